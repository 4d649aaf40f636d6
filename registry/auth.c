/* SPDX-License-Identifier: Apache-2.0
 * Authentication and authorization of registry requests.
 *
 * Users and rules are read from the same topics as the gateway's, into snapshots that requests borrow by reference.
 * A password check costs milliseconds on purpose, and a signature's some microseconds, so a successful one is
 * remembered under a keyed hash of the whole header: a password until the users change, a token until it expires or the
 * keys change. Neither is ever kept itself. */
#include "registry/auth.h"

#include "acl/acl_base64.h"
#include "acl/acl_records.h"
#include "core/base/env.h"
#include "core/base/log.h"
#include "core/base/metrics.h"
#include "registry/rights.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { VERIFIED_MAX = 10000, BASIC_MAX = 4096, HEADER_MAX = JWT_TOKEN_MAX + 64 };

/* What a header was found to mean. */
struct verified {
    int64_t until_ms;    /* Unix time; INT64_MAX: until the users change */
    uint64_t generation; /* of the JWKS; 0 for passwords */
    char principal[];
};

struct auth {
    bool basic, bearer;
    struct jwks *jwks;
    struct jwt_policy tokens;
    struct principal_rules *mapping;
    char *super_users;
    struct ledger *users_ledger, *acl_ledger;
    pthread_rwlock_t lock; /* the snapshots and the cache */
    struct users *users;
    struct acl_set *acls;
    struct users_snapshot *users_now;
    struct acl_snapshot *acls_now;
    bool users_ready, acls_ready;
    pthread_mutex_t failures_lock;
    struct failure_limit *failures;
    uint8_t key[32];
    struct map verified; /* keyed hash of a header -> struct verified */
    struct metric *failed;
};

/* --- keeping the snapshots --- */

static void rebuild_users(struct auth *a)
{
    struct users_snapshot *s = NULL;
    if (users_snapshot_build(&s, a->users))
        return;
    pthread_rwlock_wrlock(&a->lock);
    users_snapshot_unref(a->users_now);
    a->users_now = s;
    map_free(&a->verified, free);
    map_init(&a->verified);
    pthread_rwlock_unlock(&a->lock);
}

static void rebuild_acls(struct auth *a)
{
    struct acl_snapshot *s = NULL;
    struct acl_options options = {.super_users = slice_str(a->super_users ? a->super_users : "")};
    struct reason why;
    if (acl_snapshot_build(&s, a->acls, &options, &why)) {
        log_error("registry: building the access rules: %s", why.text);
        return;
    }
    pthread_rwlock_wrlock(&a->lock);
    acl_snapshot_unref(a->acls_now);
    a->acls_now = s;
    pthread_rwlock_unlock(&a->lock);
}

static void on_user(void *user, const struct ledger_record *r)
{
    struct auth *a = user;
    struct reason why;
    if (users_apply(a->users, r->key, r->value, &why))
        log_debug("registry: user record at %lld skipped: %s", (long long)r->offset, why.text);
    else if (a->users_ready)
        rebuild_users(a);
}

static void on_acl(void *user, const struct ledger_record *r)
{
    struct auth *a = user;
    struct reason why;
    if (acl_record_apply(a->acls, r->key, r->value, &why))
        log_debug("registry: rule record at %lld skipped: %s", (long long)r->offset, why.text);
    else if (a->acls_ready)
        rebuild_acls(a);
}

static void users_are_ready(void *user)
{
    struct auth *a = user;
    a->users_ready = true;
    rebuild_users(a);
}

static void acls_are_ready(void *user)
{
    struct auth *a = user;
    a->acls_ready = true;
    rebuild_acls(a);
}

static void reset_users(void *user)
{
    users_clear(((struct auth *)user)->users);
}

static void reset_acls(void *user)
{
    acl_set_clear(((struct auth *)user)->acls);
}

static enum err open_ledgers(struct auth *a, const struct auth_config *config, struct reason *why)
{
    struct ledger_config users = {
        .topic = "__castellan_users", .create = true, .read_only = true, .kafka = config->kafka};
    struct ledger_config acls = {.topic = "__castellan_acl", .create = true, .read_only = true, .kafka = config->kafka};
    struct ledger_hooks on_users = {.user = a, .apply = on_user, .ready = users_are_ready, .reset = reset_users};
    struct ledger_hooks on_acls = {.user = a, .apply = on_acl, .ready = acls_are_ready, .reset = reset_acls};
    if (config->memory) {
        enum err e = ledger_memory_new(&a->users_ledger, &users, &on_users, why);
        return e ? e : ledger_memory_new(&a->acl_ledger, &acls, &on_acls, why);
    }
    enum err e = ledger_open(&a->users_ledger, &users, &on_users, why);
    return e ? e : ledger_open(&a->acl_ledger, &acls, &on_acls, why);
}

enum err auth_new(struct auth **out, const struct auth_config *config, struct reason *why)
{
    struct env *env = env_system();
    struct auth *a = calloc(1, sizeof *a);
    if (!a)
        return reason_set(why, ERR_NO_MEMORY, "out of memory");
    pthread_rwlock_init(&a->lock, NULL);
    pthread_mutex_init(&a->failures_lock, NULL);
    map_init(&a->verified);
    env->random(env, a->key, sizeof a->key);
    a->basic = config->basic;
    a->bearer = config->bearer;
    a->tokens = config->tokens;
    a->super_users = config->super_users ? strdup(config->super_users) : NULL;
    a->users = users_new();
    a->acls = acl_set_new();
    a->failures = failure_limit_new(config->failed_delay_ms, FAILURE_ADDRESSES_MAX);
    a->failed = metrics_counter("castellan_registry_authentication_failures_total", NULL, "Requests refused with 401");
    enum err e = a->users && a->acls && a->failures ? ERR_OK : reason_set(why, ERR_NO_MEMORY, "out of memory");
    if (!e)
        e = principal_rules_parse(&a->mapping, slice_str(config->mapping_rules), why);
    if (!e && a->bearer)
        e = jwks_open(&a->jwks, &config->jwks, why);
    if (!e)
        e = open_ledgers(a, config, why);
    if (e)
        auth_free(a);
    else
        *out = a;
    return e;
}

void auth_free(struct auth *a)
{
    if (!a)
        return;
    ledger_close(a->users_ledger);
    ledger_close(a->acl_ledger);
    jwks_close(a->jwks);
    users_snapshot_unref(a->users_now);
    acl_snapshot_unref(a->acls_now);
    users_free(a->users);
    acl_set_free(a->acls);
    principal_rules_free(a->mapping);
    map_free(&a->verified, free);
    failure_limit_free(a->failures);
    pthread_mutex_destroy(&a->failures_lock);
    pthread_rwlock_destroy(&a->lock);
    free(a->super_users);
    secret_wipe(a->key, sizeof a->key);
    free(a);
}

bool auth_is_ready(const struct auth *a)
{
    return !a || (ledger_is_ready(a->users_ledger) && ledger_is_ready(a->acl_ledger));
}

enum err auth_wait_ready(struct auth *a, int timeout_ms, struct reason *why)
{
    enum err e = ledger_wait_ready(a->users_ledger, timeout_ms, why);
    return e ? e : ledger_wait_ready(a->acl_ledger, timeout_ms, why);
}

/* --- identifying --- */

static int64_t now_ms(void)
{
    return env_system()->wall_ms(env_system());
}

int64_t auth_before(struct auth *a, const char *host)
{
    struct address_group from = address_group_of_text(host);
    pthread_mutex_lock(&a->failures_lock);
    int64_t ms = failure_limit_before(a->failures, &from, env_mono_ms(env_system()));
    pthread_mutex_unlock(&a->failures_lock);
    return ms;
}

int64_t auth_failed(struct auth *a, const char *host, int64_t waited_ms)
{
    struct address_group from = address_group_of_text(host);
    pthread_mutex_lock(&a->failures_lock);
    int64_t ms = failure_limit_failed(a->failures, &from, waited_ms, env_mono_ms(env_system()));
    pthread_mutex_unlock(&a->failures_lock);
    return ms;
}

uint64_t auth_header_mark(const struct auth *a, const char *header)
{
    uint64_t mark = hash_siphash(a->key, slice_str(header));
    return mark ? mark : 1;
}

static bool find_verified(struct auth *a, struct slice tag, struct buf *principal)
{
    uint64_t generation = a->jwks ? jwks_generation(a->jwks) : 0;
    pthread_rwlock_rdlock(&a->lock);
    const struct verified *known = map_get(&a->verified, tag);
    bool good = known && now_ms() < known->until_ms && (!known->generation || known->generation == generation);
    if (good)
        buf_put_str(principal, known->principal);
    pthread_rwlock_unlock(&a->lock);
    return good;
}

/* `seen`: the users a password was checked against; NULL for tokens. */
static void remember(struct auth *a, struct slice tag, struct slice principal, const struct users_snapshot *seen,
                     int64_t until_ms, uint64_t generation)
{
    void *old = NULL;
    struct verified *v = calloc(1, sizeof *v + principal.n + 1);
    if (!v)
        return;
    v->until_ms = until_ms;
    v->generation = generation;
    memcpy(v->principal, principal.p, principal.n);
    pthread_rwlock_wrlock(&a->lock);
    if (map_count(&a->verified) >= VERIFIED_MAX) {
        map_free(&a->verified, free);
        map_init(&a->verified);
    }
    /* the users may have changed while the password was being checked */
    if ((seen && seen != a->users_now) || map_put(&a->verified, tag, v, &old))
        free(v);
    free(old);
    pthread_rwlock_unlock(&a->lock);
}

/* What follows the scheme's name and its blanks; null: another scheme. */
static struct slice after_scheme(const char *header, const char *scheme)
{
    size_t n = strlen(scheme);
    if (strncasecmp(header, scheme, n) || header[n] != ' ')
        return SLICE_NULL;
    for (header += n; *header == ' ';)
        header++;
    struct slice s = slice_str(header);
    while (s.n && s.p[s.n - 1] == ' ')
        s.n--;
    return s;
}

static enum err refuse(struct auth_refusal *r, const char *reason)
{
    r->reason = reason;
    return ERR_AUTH;
}

/* "dXNlcjpwYXNz" -> the bytes user:pass. */
static enum err decode_basic(struct slice text, struct buf *out)
{
    size_t n = 0;
    uint8_t *p = text.n > BASIC_MAX ? NULL : buf_grow(out, BASIC_MAX);
    if (!p || !base64_read(text, p, BASIC_MAX, &n))
        return ERR_AUTH;
    out->n = n;
    return ERR_OK;
}

static struct users_snapshot *users_now(struct auth *a)
{
    pthread_rwlock_rdlock(&a->lock);
    struct users_snapshot *users = a->users_now ? users_snapshot_ref(a->users_now) : NULL;
    pthread_rwlock_unlock(&a->lock);
    return users;
}

/* The users may have changed while the password was being hashed: the very credential must still be the user's. */
static bool still_counts(struct auth *a, struct slice user, const struct credential *c)
{
    struct users_snapshot *users = users_now(a);
    const struct credential *now = users ? users_snapshot_any(users, user) : NULL;
    bool same = now && credential_equal(now, c);
    users_snapshot_unref(users);
    return same;
}

static enum err check_password(struct auth *a, struct slice user, struct slice password, struct slice tag,
                               struct buf *principal, struct auth_refusal *r)
{
    struct users_snapshot *users = users_now(a);
    const struct credential *c = users ? users_snapshot_any(users, user) : NULL;
    enum err e = ERR_OK;
    if (!users) {
        e = refuse(r, "internal");
    } else if (!users_snapshot_check_password(users, user, password) || !still_counts(a, user, c)) {
        e = refuse(r, c ? "wrong_password" : "unknown_user");
        if (c) /* what is no user's name may be a password typed into the wrong field */
            snprintf(r->user, sizeof r->user, "%.*s", SLICE_FMT(user));
    } else {
        principal_put_user(principal, user);
        remember(a, tag, buf_slice(principal), users, INT64_MAX, 0);
    }
    users_snapshot_unref(users);
    return e;
}

static enum err check_basic(struct auth *a, struct slice text, struct slice tag, struct buf *principal,
                            struct auth_refusal *r)
{
    struct buf plain;
    buf_init(&plain, BASIC_MAX);
    enum err e = decode_basic(text, &plain);
    const uint8_t *colon = e ? NULL : memchr(plain.p, ':', plain.n);
    if (!colon) {
        e = refuse(r, "malformed_header");
    } else {
        struct slice user = slice_of(plain.p, (size_t)(colon - plain.p));
        struct slice password = slice_of(colon + 1, plain.n - user.n - 1);
        e = check_password(a, user, password, tag, principal, r);
    }
    buf_wipe_free(&plain);
    return e;
}

static enum err check_token(struct auth *a, struct slice token, struct slice tag, struct buf *principal,
                            struct auth_refusal *r)
{
    struct jwt_identity who;
    uint64_t generation;
    struct jwt_keys *keys = jwks_keys(a->jwks, &generation);
    r->verdict = jwt_verify(keys, &a->tokens, token, now_ms(), &who);
    jwt_keys_unref(keys);
    if (r->verdict == JWT_UNKNOWN_KEY)
        jwks_ask(a->jwks);
    if (!r->verdict || r->verdict == JWT_SCOPE) /* somebody known, who lacks something */
        principal_put_user(principal, slice_str(who.subject));
    if (r->verdict)
        return refuse(r, jwt_verdict_label(r->verdict));
    remember(a, tag, buf_slice(principal), NULL, who.valid_until_ms, generation);
    return ERR_OK;
}

static enum err check_header(struct auth *a, const char *header, struct buf *principal, struct auth_refusal *r)
{
    uint8_t tag[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    struct slice basic = a->basic ? after_scheme(header, "Basic") : SLICE_NULL;
    struct slice token = a->bearer ? after_scheme(header, "Bearer") : SLICE_NULL;
    r->token = !slice_is_null(token);
    if (slice_is_null(basic) && slice_is_null(token))
        return refuse(r, "unsupported_scheme");
    if (strlen(header) > HEADER_MAX) {
        r->verdict = JWT_TOO_LARGE;
        return refuse(r, r->token ? jwt_verdict_label(JWT_TOO_LARGE) : "malformed_header");
    }
    if (!HMAC(EVP_sha256(), a->key, sizeof a->key, (const uint8_t *)header, strlen(header), tag, &n))
        return refuse(r, "internal");
    if (find_verified(a, slice_of(tag, n), principal))
        return ERR_OK;
    return r->token ? check_token(a, token, slice_of(tag, n), principal, r)
                    : check_basic(a, basic, slice_of(tag, n), principal, r);
}

static enum err check_certificate(struct auth *a, const struct auth_shown *shown, struct buf *principal,
                                  struct auth_refusal *r)
{
    if (principal_from_dn(a->mapping, slice_str(shown->dn), principal, NULL))
        return refuse(r, "certificate_unmapped");
    struct slice user = buf_slice(principal), prefix = slice_str("User:");
    if (slice_starts(user, prefix))
        user = slice_of(user.p + prefix.n, user.n - prefix.n);
    struct users_snapshot *users = users_now(a);
    bool counts = users && users_snapshot_certificate_counts(users, user, shown->dn_from_s);
    users_snapshot_unref(users);
    return counts ? ERR_OK : refuse(r, "certificate_of_deleted_user");
}

enum err auth_identify(struct auth *a, const struct auth_shown *shown, struct buf *principal,
                       struct auth_refusal *refusal)
{
    enum err e = ERR_OK;
    *refusal = (struct auth_refusal){.tried = shown->header || shown->dn};
    if (shown->header)
        e = check_header(a, shown->header, principal, refusal);
    else if (shown->dn)
        e = check_certificate(a, shown, principal, refusal);
    else if (!a->basic && !a->bearer)
        buf_put_str(principal, PRINCIPAL_ANONYMOUS);
    else
        e = refuse(refusal, "no_credentials");
    if (e)
        metric_add(a->failed, 1);
    return e;
}

bool auth_challenge(const struct auth *a, const struct auth_refusal *refusal, const char *realm, size_t i,
                    struct buf *out)
{
    if (a->basic && i-- == 0) {
        buf_printf(out, "Basic realm=\"%s\"", realm);
        return true;
    }
    if (!a->bearer || i)
        return false;
    buf_printf(out, "Bearer realm=\"%s\"", realm);
    if (refusal->token)
        buf_printf(out, ", error=\"%s\", error_description=\"%s\"",
                   refusal->verdict == JWT_SCOPE ? "insufficient_scope" : "invalid_token",
                   jwt_verdict_text(refusal->verdict));
    if (refusal->token && refusal->verdict == JWT_SCOPE)
        buf_printf(out, ", scope=\"%s\"", a->tokens.scope);
    return true;
}

/* --- authorizing --- */

bool auth_allowed(struct auth *a, struct slice principal, struct slice host, enum rest_right right,
                  struct slice subject)
{
    pthread_rwlock_rdlock(&a->lock);
    struct acl_snapshot *s = a->acls_now ? acl_snapshot_ref(a->acls_now) : NULL;
    pthread_rwlock_unlock(&a->lock);
    bool yes = s && rights_allow(s, principal, host, right, subject);
    acl_snapshot_unref(s);
    return yes;
}
