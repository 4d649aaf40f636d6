/* SPDX-License-Identifier: Apache-2.0
 * Basic authentication against the gateway's users. Checking a password costs milliseconds on purpose; one that was
 * right is remembered under a keyed hash of the whole header until the users change. Passwords are checked one at a
 * time, so that guessing cannot take more than one processor. When a failure is told is the failure limiter's to say
 * (door.h); admin_http.c lets the connection wait. */
#include "acl/acl_base64.h"
#include "core/base/env.h"
#include "core/base/log.h"
#include "gateway/admin/admin_request.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdlib.h>
#include <strings.h>

enum { VERIFIED_MAX = 1000, HEADER_MAX = 4096 };

struct admin_auth {
    pthread_mutex_t lock;         /* the three below */
    struct users_snapshot *users; /* those the cache is of */
    struct map verified;          /* keyed hash of a header -> principal text */
    uint8_t key[32];
    pthread_mutex_t checking;
    struct metric *failed;
};

struct admin_auth *admin_auth_new(void)
{
    struct env *env = env_system();
    struct admin_auth *a = calloc(1, sizeof *a);

    if (!a)
        return NULL;
    pthread_mutex_init(&a->lock, NULL);
    pthread_mutex_init(&a->checking, NULL);
    map_init(&a->verified);
    env->random(env, a->key, sizeof a->key);
    a->failed = metrics_counter("castellan_admin_authentication_failures_total", NULL,
                                "Requests to the admin interface refused with 401.");
    return a;
}

void admin_auth_free(struct admin_auth *a)
{
    if (!a)
        return;
    users_snapshot_unref(a->users);
    map_free(&a->verified, free);
    secret_wipe(a->key, sizeof a->key);
    pthread_mutex_destroy(&a->lock);
    pthread_mutex_destroy(&a->checking);
    free(a);
}

static void forget_all(struct admin_auth *a)
{
    map_free(&a->verified, free);
    map_init(&a->verified);
}

static bool recall(struct admin_auth *a, const struct view *v, struct slice tag, struct buf *principal)
{
    const char *known;

    pthread_mutex_lock(&a->lock);
    if (a->users != v->users) {
        users_snapshot_unref(a->users);
        a->users = users_snapshot_ref(v->users);
        forget_all(a);
    }
    known = map_get(&a->verified, tag);
    if (known)
        buf_put_str(principal, known);
    pthread_mutex_unlock(&a->lock);
    return known != NULL;
}

static void remember(struct admin_auth *a, const struct view *v, struct slice tag, struct slice principal)
{
    char *text = strndup((const char *)principal.p, principal.n);
    void *old = NULL;

    pthread_mutex_lock(&a->lock);
    if (map_count(&a->verified) >= VERIFIED_MAX)
        forget_all(a);
    /* the users may have changed while the password was being checked */
    if (!text || a->users != v->users || map_put(&a->verified, tag, text, &old))
        free(text);
    free(old);
    pthread_mutex_unlock(&a->lock);
}

/* "Basic dXNlcjpwYXNz" -> the bytes user:pass. */
static bool decode_basic(const char *header, struct buf *out)
{
    uint8_t *p;
    size_t n;

    if (strncasecmp(header, "Basic ", 6) != 0)
        return false;
    header += 6;
    while (*header == ' ')
        header++;
    p = buf_grow(out, HEADER_MAX);
    if (!p || !base64_read(slice_str(header), p, HEADER_MAX, &n))
        return false;
    out->n = n;
    return true;
}

static bool check(struct admin_auth *a, const struct view *v, const char *header, struct buf *principal)
{
    struct buf plain;
    const uint8_t *colon;
    bool ok = false;

    buf_init(&plain, HEADER_MAX);
    colon = decode_basic(header, &plain) && plain.n ? memchr(plain.p, ':', plain.n) : NULL;
    if (colon) {
        struct slice user = slice_of(plain.p, (size_t)(colon - plain.p));
        struct slice password = slice_of(colon + 1, plain.n - user.n - 1);

        pthread_mutex_lock(&a->checking);
        ok = users_snapshot_check_password(v->users, user, password);
        pthread_mutex_unlock(&a->checking);
        if (ok)
            principal_put_user(principal, user);
        else
            log_warn("admin: wrong user or password for \"%.*s\"", SLICE_FMT(user));
    }
    buf_wipe_free(&plain);
    return ok && !buf_error(principal);
}

uint64_t admin_header_mark(const struct admin_auth *a, const char *header)
{
    uint64_t mark = hash_siphash(a->key, slice_str(header));
    return mark ? mark : 1;
}

bool admin_identify(struct admin_auth *a, const struct view *v, const char *header, struct buf *principal)
{
    uint8_t bytes[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    struct slice tag;

    if (!header)
        return false; /* a browser asks like this first: no failure */
    if (strlen(header) <= HEADER_MAX &&
        HMAC(EVP_sha256(), a->key, sizeof a->key, (const uint8_t *)header, strlen(header), bytes, &n)) {
        tag = slice_of(bytes, n);
        if (recall(a, v, tag, principal))
            return true;
        if (check(a, v, header, principal)) {
            remember(a, v, tag, buf_slice(principal));
            return true;
        }
    }
    metric_add(a->failed, 1);
    return false;
}
