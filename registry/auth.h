/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_AUTH_H
#define CASTELLAN_REGISTRY_AUTH_H

#include "acl/acl.h"
#include "acl/principal.h"
#include "acl/users.h"
#include "core/ledger/ledger.h"
#include "registry/rest.h"

/* Who may use the registry: Basic against the users of `__castellan_users`, client certificates through the mapping
 * rules, and per-subject rules of `__castellan_acl` (resource SUBJECT). Thread-safe. */
struct auth;

struct auth_config {
    bool basic;                /* authentication.method=BASIC */
    const char *super_users;   /* may be NULL */
    const char *mapping_rules; /* ssl.principal.mapping.rules; may be NULL */
    bool memory;               /* no topics: tests without users */
    const char *const *kafka;  /* librdkafka settings */
};

enum err auth_new(struct auth **out, const struct auth_config *config, struct reason *why) MUST_CHECK;
void auth_free(struct auth *a);
bool auth_is_ready(const struct auth *a);
enum err auth_wait_ready(struct auth *a, int timeout_ms, struct reason *why) MUST_CHECK;

/* The principal ("User:alice") of a request: an Authorization header, or a certificate's subject. ERR_AUTH: refused.
 * `header` and `dn` may be NULL. Appends. */
enum err auth_identify(struct auth *a, const char *header, const char *dn, struct buf *principal) MUST_CHECK;
bool auth_allowed(struct auth *a, struct slice principal, struct slice host, enum rest_right right,
                  struct slice subject);

#endif
