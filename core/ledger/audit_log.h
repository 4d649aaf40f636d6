/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_LEDGER_AUDIT_LOG_H
#define CASTELLAN_LEDGER_AUDIT_LOG_H

#include "core/base/settings.h"
#include "core/ledger/audit.h"

/* Writes the audit of one process to AUDIT_TOPIC. Nobody waits for it: a record is sealed into the chain and queued; a
 * thread of the log's own sends what is queued, in order, with an idempotent producer that waits for all replicas, for
 * as long as it takes. What does not fit the queue, or is too much of strangers' doing, is counted, and the next record
 * that fits says how many were lost.
 *
 * Whoever wants to tell somebody "done" only when the record is safe gives a callback: it is called when the cluster
 * has the record, or AUDIT_WAIT_MS later, or at once when the record is lost. */
struct audit_log;

enum {
    AUDIT_QUEUE_MAX = 10000, /* records waiting to be acknowledged */
    AUDIT_QUEUE_BYTES_MAX = 16 * 1024 * 1024,
    AUDIT_WAIT_MS = 1000,
    AUDIT_STRANGERS_BURST = 1000, /* authentication records at once; */
    AUDIT_STRANGERS_RATE = 100,   /* and each second: who is not let in must not fill a disk */
    AUDIT_STOP_MS = 3000,
};

/* For a role's table of settings. */
#define AUDIT_SETTING_ROWS                                                                                             \
    {"castellan.audit.enable", SETTING_BOOL, "true", 0, 0, "record refusals and changes in " AUDIT_TOPIC},             \
    {                                                                                                                  \
        "castellan.audit.retention.ms", SETTING_INT, "31536000000", -1, INT64_MAX,                                     \
            "how long that topic keeps records when it is created here; -1: for ever"                                  \
    }

struct audit_log_config {
    const char *role;         /* "registry": begins the writer's name */
    const char *retention_ms; /* of the topic, when it is created: "31536000000" */
    const char *const *kafka; /* librdkafka settings; NULL: records go to the process's log alone (no cluster) */
};

enum err audit_log_open(struct audit_log **out, const struct audit_log_config *config, struct reason *why) MUST_CHECK;
/* By a role's settings; *out is NULL when they say so. `kafka` as above. */
enum err audit_log_open_settings(struct audit_log **out, const char *role, const struct settings *s,
                                 const char *const *kafka, struct reason *why) MUST_CHECK;
/* The entry's texts are copied; time and role are filled in. `done` may be NULL; it runs on any thread, or within this
 * call. A NULL log: done is called. */
void audit_log_put(struct audit_log *l, const struct audit_entry *e, void (*done)(void *ctx), void *ctx);
/* Writes the last record and waits at most AUDIT_STOP_MS for what is queued; every callback was called on return. Later
 * records are lost (and said so in the log). NULL is fine. */
void audit_log_stop(struct audit_log *l);
void audit_log_free(struct audit_log *l); /* stops first; NULL is fine */

#endif
