/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_AUTH_H
#define CASTELLAN_REGISTRY_AUTH_H

#include "acl/acl.h"
#include "acl/principal.h"
#include "acl/users.h"
#include "core/ledger/ledger.h"
#include "registry/jwks.h"
#include "registry/rest.h"

/* Who may use the registry: Basic against the users of `__castellan_users`, bearer tokens against a JWKS, client
 * certificates through the mapping rules, and per-subject rules of `__castellan_acl` (resource SUBJECT). Thread-safe.
 */
struct auth;

struct auth_config {
    bool basic, bearer;        /* authentication.method */
    const char *super_users;   /* may be NULL */
    const char *mapping_rules; /* ssl.principal.mapping.rules; may be NULL */
    bool memory;               /* no topics: tests without users */
    const char *const *kafka;  /* librdkafka settings */
    struct jwks_config jwks;   /* when bearer */
    struct jwt_policy tokens;  /* its strings outlive the auth */
};

enum err auth_new(struct auth **out, const struct auth_config *config, struct reason *why) MUST_CHECK;
void auth_free(struct auth *a);
bool auth_is_ready(const struct auth *a);
enum err auth_wait_ready(struct auth *a, int timeout_ms, struct reason *why) MUST_CHECK;

/* Why a request was not let in. */
struct auth_refusal {
    const char *reason;                 /* static, for counters and audit: "wrong_password", "token_expired" */
    bool tried;                         /* there were credentials; without them a 401 is only the question for them */
    bool token;                         /* a bearer token was given: */
    enum jwt_verdict verdict;           /* what is wrong with it; JWT_SCOPE is 403, the others 401 */
    char user[CREDENTIAL_USER_MAX + 1]; /* the user whose password it was not; "" unless there is such a user */
};

/* The principal ("User:alice") of a request: an Authorization header, or a certificate's subject. ERR_AUTH: refused.
 * `header` and `dn` may be NULL. Appends; on a refusal only what JWT_SCOPE is about counts. */
enum err auth_identify(struct auth *a, const char *header, const char *dn, struct buf *principal,
                       struct auth_refusal *refusal) MUST_CHECK;
/* The i-th WWW-Authenticate to answer with, appended; false past the last (RFC 7617, RFC 6750 section 3). */
bool auth_challenge(const struct auth *a, const struct auth_refusal *refusal, const char *realm, size_t i,
                    struct buf *out);
bool auth_allowed(struct auth *a, struct slice principal, struct slice host, enum rest_right right,
                  struct slice subject);

#endif
