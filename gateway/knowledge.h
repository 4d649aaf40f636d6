/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_KNOWLEDGE_H
#define CASTELLAN_GATEWAY_KNOWLEDGE_H

#include "acl/acl.h"
#include "acl/quota.h"
#include "acl/users.h"
#include "core/ledger/ledger.h"
#include "crypto/policy.h"

/* What every worker must know and nobody may change: rules, users, limits, policies as of some offset of the ledger.
 * Built by the knowledge keeper from four ledger tables, handed to each worker's loop, swapped between events. */
struct view {
    struct acl_snapshot *acl;
    struct users_snapshot *users;
    struct quota_snapshot *quotas;
    struct policy_set *policies;
    uint64_t rules; /* counts the states of `acl`: another number, other rules */
};

void view_free(struct view *v); /* drops the references and the struct; NULL is fine */

struct knowledge;

struct knowledge_config {
    const char *const *kafka; /* librdkafka settings towards the cluster; see core/ledger */
    bool memory;              /* tables in memory only: tests */
    struct acl_options acl;
    int64_t tell_ms_max;              /* the process ends when it cannot tell for so long; 0: KNOWLEDGE_TELL_MS_MAX */
    const char *bootstrap_scram_file; /* users to add when they are absent; NULL: none */
};

/* Called whenever something changed (several changes at once are one call). ERR_OK: everybody was told, and what was
 * changed counts as done. Otherwise it is called again after a while. */
typedef enum err (*knowledge_changed_fn)(void *user);
enum { KNOWLEDGE_TELL_MS_MAX = 10000 };

enum err knowledge_open(struct knowledge **out, const struct knowledge_config *config, knowledge_changed_fn changed,
                        void *user, struct reason *why) MUST_CHECK;
void knowledge_close(struct knowledge *k);          /* NULL is fine */
bool knowledge_is_ready(const struct knowledge *k); /* all tables have reached their end, users are bootstrapped */
/* A view of the newest state; the caller frees it. Thread-safe. NULL: not ready yet, or no memory. */
struct view *knowledge_view(struct knowledge *k);
/* For the status: the tables' topics, NULL past the end, and how far each was read. */
enum { KNOWLEDGE_TABLES = 4 };
const char *knowledge_topic(int table);
void knowledge_offsets(const struct knowledge *k, int64_t out[KNOWLEDGE_TABLES]);

/* Changes. Each is one decision in the ledger: all or nothing, durable, applied here and told to everybody here when
 * done() is called (from a thread of the keeper's). The arguments are copied. */
typedef void (*knowledge_done_fn)(void *ctx, enum err err, const struct reason *why);

struct knowledge_change {
    const struct acl_rule *add_rules, *remove_rules;
    size_t add_rules_n, remove_rules_n;
    struct {
        struct slice user;
        enum credential_mechanism mechanism;
        const struct credential *credential; /* NULL: remove */
    } * users;
    size_t users_n;
    struct {
        struct quota_entity entity;
        enum quota_key key;
        bool remove;
        double value;
    } * quotas;
    size_t quotas_n;
    struct {
        const struct policy *policy; /* NULL: remove the policy of topic/prefixed */
        struct slice topic;
        bool prefixed;
    } * policies;
    size_t policies_n;
};
/* One kind of change per call: the kinds live in different topics. */
enum err knowledge_submit(struct knowledge *k, const struct knowledge_change *change, knowledge_done_fn done,
                          void *ctx) MUST_CHECK;

#endif
