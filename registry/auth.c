/* SPDX-License-Identifier: Apache-2.0
 * Authentication and authorization of registry requests.
 *
 * Users and rules are read from the same topics as the gateway's, into snapshots that requests borrow by reference.
 * A password check costs milliseconds on purpose, so a successful one is remembered under a keyed hash of the whole
 * header, until the users change; the password itself is never kept. */
#include "registry/auth.h"

#include "acl/acl_base64.h"
#include "acl/acl_records.h"
#include "core/base/env.h"
#include "core/base/log.h"
#include "core/base/metrics.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdlib.h>

enum { VERIFIED_MAX = 10000, HEADER_MAX = 4096 };

struct auth {
    bool basic;
    struct principal_rules *mapping;
    char *super_users;
    struct ledger *users_ledger, *acl_ledger;
    pthread_rwlock_t lock; /* the snapshots and the cache */
    struct users *users;
    struct acl_set *acls;
    struct users_snapshot *users_now;
    struct acl_snapshot *acls_now;
    bool users_ready, acls_ready;
    uint8_t key[32];
    struct map verified; /* keyed hash of a header -> principal text */
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
    map_init(&a->verified);
    env->random(env, a->key, sizeof a->key);
    a->basic = config->basic;
    a->super_users = config->super_users ? strdup(config->super_users) : NULL;
    a->users = users_new();
    a->acls = acl_set_new();
    a->failed = metrics_counter("castellan_registry_authentication_failures_total", NULL, "Requests refused with 401");
    enum err e = a->users && a->acls ? ERR_OK : reason_set(why, ERR_NO_MEMORY, "out of memory");
    if (!e)
        e = principal_rules_parse(&a->mapping, slice_str(config->mapping_rules), why);
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
    users_snapshot_unref(a->users_now);
    acl_snapshot_unref(a->acls_now);
    users_free(a->users);
    acl_set_free(a->acls);
    principal_rules_free(a->mapping);
    map_free(&a->verified, free);
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

static bool find_verified(struct auth *a, struct slice tag, struct buf *principal)
{
    pthread_rwlock_rdlock(&a->lock);
    const char *known = map_get(&a->verified, tag);
    if (known)
        buf_put_str(principal, known);
    pthread_rwlock_unlock(&a->lock);
    return known != NULL;
}

static void remember(struct auth *a, struct slice tag, struct slice principal, const struct users_snapshot *seen)
{
    void *old = NULL;
    char *text = strndup((const char *)principal.p, principal.n);
    pthread_rwlock_wrlock(&a->lock);
    if (map_count(&a->verified) >= VERIFIED_MAX) {
        map_free(&a->verified, free);
        map_init(&a->verified);
    }
    /* the users may have changed while the password was being checked */
    if (!text || seen != a->users_now || map_put(&a->verified, tag, text, &old))
        free(text);
    free(old);
    pthread_rwlock_unlock(&a->lock);
}

/* "Basic dXNlcjpwYXNz" -> the bytes user:pass. */
static enum err decode_basic(const char *header, struct buf *out)
{
    if (!header || strncasecmp(header, "Basic ", 6))
        return ERR_AUTH;
    header += 6;
    while (*header == ' ')
        header++;
    size_t n = 0;
    uint8_t *p = buf_grow(out, HEADER_MAX);
    if (!p || !base64_read(slice_str(header), p, HEADER_MAX, &n))
        return ERR_AUTH;
    out->n = n;
    return ERR_OK;
}

static enum err check_basic(struct auth *a, const char *header, struct slice tag, struct buf *principal)
{
    struct buf plain;
    buf_init(&plain, HEADER_MAX);
    enum err e = decode_basic(header, &plain);
    const uint8_t *colon = e ? NULL : memchr(plain.p, ':', plain.n);
    if (!e && !colon)
        e = ERR_AUTH;
    if (!e) {
        struct slice user = slice_of(plain.p, (size_t)(colon - plain.p));
        struct slice password = slice_of(colon + 1, plain.n - user.n - 1);
        pthread_rwlock_rdlock(&a->lock);
        struct users_snapshot *users = a->users_now ? users_snapshot_ref(a->users_now) : NULL;
        pthread_rwlock_unlock(&a->lock);
        const struct credential *c = users ? users_snapshot_any(users, user) : NULL;
        if (!credential_verify(c, password)) {
            e = ERR_AUTH;
        } else {
            principal_put_user(principal, user);
            remember(a, tag, buf_slice(principal), users);
        }
        users_snapshot_unref(users);
    }
    buf_wipe_free(&plain);
    return e;
}

enum err auth_identify(struct auth *a, const char *header, const char *dn, struct buf *principal)
{
    uint8_t tag[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    enum err e = ERR_AUTH;
    if (header && a->basic && strlen(header) <= HEADER_MAX) {
        if (!HMAC(EVP_sha256(), a->key, sizeof a->key, (const uint8_t *)header, strlen(header), tag, &n))
            return ERR_AUTH;
        e = find_verified(a, slice_of(tag, n), principal) ? ERR_OK
                                                          : check_basic(a, header, slice_of(tag, n), principal);
    } else if (!header && dn) {
        e = principal_from_dn(a->mapping, slice_str(dn), principal, NULL);
    } else if (!header && !a->basic) {
        buf_put_str(principal, PRINCIPAL_ANONYMOUS);
        e = ERR_OK;
    }
    if (e)
        metric_add(a->failed, 1);
    return e;
}

/* --- authorizing --- */

static bool ask(const struct acl_snapshot *s, enum acl_operation op, struct slice subject, struct slice principal,
                struct slice host)
{
    struct acl_question q = {ACL_SUBJECT, op, subject, principal, host};
    return acl_allowed(s, &q);
}

bool auth_allowed(struct auth *a, struct slice principal, struct slice host, enum rest_right right,
                  struct slice subject)
{
    bool global = slice_is_null(subject) || !subject.n;
    struct slice name = global ? slice_str("__GLOBAL") : subject;
    bool yes = false;
    pthread_rwlock_rdlock(&a->lock);
    struct acl_snapshot *s = a->acls_now ? acl_snapshot_ref(a->acls_now) : NULL;
    pthread_rwlock_unlock(&a->lock);
    if (!s)
        return false;
    switch (right) {
    case RIGHT_NONE:
        yes = true;
        break;
    case RIGHT_DESCRIBE:
        yes = ask(s, ACL_DESCRIBE, name, principal, host);
        break;
    case RIGHT_READ:
        yes = ask(s, ACL_READ, name, principal, host);
        break;
    case RIGHT_WRITE:
        yes = ask(s, ACL_WRITE, name, principal, host);
        break;
    case RIGHT_DELETE:
        yes = ask(s, ACL_DELETE, name, principal, host);
        break;
    case RIGHT_SEE_CONFIG: /* whoever reads a subject, or is known at all, may know the rules that apply */
        yes = global || ask(s, ACL_DESCRIBE_CONFIGS, name, principal, host) || ask(s, ACL_READ, name, principal, host);
        break;
    case RIGHT_ALTER_CONFIG:
        yes = ask(s, ACL_ALTER_CONFIGS, name, principal, host);
        break;
    }
    acl_snapshot_unref(s);
    return yes;
}
