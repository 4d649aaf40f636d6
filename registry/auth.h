/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_AUTH_H
#define CASTELLAN_REGISTRY_AUTH_H

#include "acl/acl.h"
#include "acl/failure_limit.h"
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
    int64_t failed_delay_ms;   /* connection.failed.authentication.delay.ms */
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

/* How long an Authorization header from this address waits before it is judged; then, when a request's credentials were
 * refused, how long until it is told (acl/failure_limit.h). The caller does the waiting. */
int64_t auth_before(struct auth *a, const char *host);
int64_t auth_failed(struct auth *a, const char *host, int64_t waited_ms);
/* For a connection to know a header again that was good on it before; never 0. */
uint64_t auth_header_mark(const struct auth *a, const char *header);

/* What a request shows: an Authorization header, or a certificate's subject and the time it begins (Unix seconds). Both
 * may be NULL. */
struct auth_shown {
    const char *header, *dn;
    int64_t dn_from_s;
};
/* The principal ("User:alice") of a request. ERR_AUTH: refused. Appends; on a refusal only what JWT_SCOPE is about
 * counts. A certificate older than the deletion of the user it names is refused. */
enum err auth_identify(struct auth *a, const struct auth_shown *shown, struct buf *principal,
                       struct auth_refusal *refusal) MUST_CHECK;
/* The i-th WWW-Authenticate to answer with, appended; false past the last (RFC 7617, RFC 6750 section 3). */
bool auth_challenge(const struct auth *a, const struct auth_refusal *refusal, const char *realm, size_t i,
                    struct buf *out);
bool auth_allowed(struct auth *a, struct slice principal, struct slice host, enum rest_right right,
                  struct slice subject);

#endif
