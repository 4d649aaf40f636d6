/* SPDX-License-Identifier: Apache-2.0
 * Users and their credentials: a map from name to a user holding one credential per mechanism. The snapshot copies all
 * of them once into one array, sorted by name, with a map for lookup; the last reference wipes it. */
#include "acl/users_internal.h"
#include "acl/acl_base64.h"
#include "acl/acl_json.h"

#include <stdlib.h>

struct users {
    struct map map;     /* name -> struct user */
    struct map deleted; /* name -> int64_t Unix ms */
    uint8_t secret[USERS_SECRET_SIZE];
    bool has_secret;
};

static void free_user(void *u)
{
    secret_wipe(u, sizeof(struct user));
    free(u);
}

static struct credential *slot_of(struct user *u, enum credential_mechanism m)
{
    switch (m) {
    case CREDENTIAL_UNKNOWN:
        return NULL;
    case CREDENTIAL_SCRAM_SHA_256:
        return &u->sha256;
    case CREDENTIAL_SCRAM_SHA_512:
        return &u->sha512;
    }
    return NULL;
}

static const struct credential *credential_of(struct user *u, enum credential_mechanism m)
{
    struct credential *c = u ? slot_of(u, m) : NULL;
    return c && c->mechanism != CREDENTIAL_UNKNOWN ? c : NULL;
}

struct users *users_new(void)
{
    struct users *u = calloc(1, sizeof *u);
    if (u) {
        map_init(&u->map);
        map_init(&u->deleted);
    }
    return u;
}

void users_free(struct users *u)
{
    if (!u)
        return;
    users_clear(u);
    free(u);
}

void users_clear(struct users *u)
{
    map_free(&u->map, free_user);
    map_init(&u->map);
    map_free(&u->deleted, free);
    map_init(&u->deleted);
    secret_wipe(u->secret, sizeof u->secret);
    u->has_secret = false;
}

enum err users_put(struct users *u, struct slice name, const struct credential *c)
{
    struct user *user = map_get(&u->map, name);

    if (!credential_digest_size(c->mechanism))
        return ERR_UNSUPPORTED_SASL_MECHANISM;
    if (!user) {
        user = calloc(1, sizeof *user);
        if (!user || map_put(&u->map, name, user, NULL)) {
            free(user);
            return ERR_NO_MEMORY;
        }
    }
    *slot_of(user, c->mechanism) = *c;
    return ERR_OK;
}

bool users_remove(struct users *u, struct slice name, enum credential_mechanism m)
{
    struct user *user = map_get(&u->map, name);

    if (!credential_of(user, m))
        return false;
    credential_wipe(slot_of(user, m));
    if (!credential_of(user, CREDENTIAL_SCRAM_SHA_256) && !credential_of(user, CREDENTIAL_SCRAM_SHA_512))
        free_user(map_remove(&u->map, name));
    return true;
}

const struct credential *users_find(const struct users *u, struct slice name, enum credential_mechanism m)
{
    return credential_of(map_get(&u->map, name), m);
}

bool users_has(const struct users *u, struct slice name)
{
    return map_has(&u->map, name);
}

int64_t users_deleted_ms(const struct users *u, struct slice name)
{
    const int64_t *at_ms = map_get(&u->deleted, name);
    return at_ms ? *at_ms : 0;
}

bool users_has_secret(const struct users *u)
{
    return u->has_secret;
}

/* --- records --- */

enum err users_record_key(struct buf *out, struct slice user, enum credential_mechanism m)
{
    json_t *o = json_object();

    if (!o || json_object_set_new(o, "mechanism", json_string(credential_mechanism_name(m))) ||
        json_object_set_new(o, "user", acl_json_text(user))) {
        json_decref(o);
        return ERR_INVALID_REQUEST; /* a name that is not UTF-8 (or no memory) */
    }
    return acl_json_write(out, o);
}

/* Base64 needs no escaping, so the value is printed directly (sorted keys) and no copy of a key is left on the heap. */
enum err users_record_value(struct buf *out, const struct credential *c)
{
    size_t size = credential_digest_size(c->mechanism);

    if (!size)
        return ERR_UNSUPPORTED_SASL_MECHANISM;
    buf_printf(out, "{\"iterations\":%u,\"salt\":\"", c->iterations);
    base64_put(out, slice_of(c->salt, c->salt_n));
    buf_put_str(out, "\",\"server_key\":\"");
    base64_put(out, slice_of(c->server_key, size));
    buf_put_str(out, "\",\"stored_key\":\"");
    base64_put(out, slice_of(c->stored_key, size));
    buf_printf(out, "\",\"version\":%d}", ACL_RECORD_VERSION);
    return buf_error(out);
}

/* {"kind": kind, "user": user}; no user when it is null. */
static enum err put_kind(struct buf *out, const char *kind, struct slice user)
{
    json_t *o = json_object();

    if (!o || json_object_set_new(o, "kind", json_string(kind)) ||
        (!slice_is_null(user) && json_object_set_new(o, "user", acl_json_text(user)))) {
        json_decref(o);
        return ERR_INVALID_REQUEST;
    }
    return acl_json_write(out, o);
}

enum err users_deleted_record(struct buf *key, struct buf *value, struct slice user, int64_t at_ms)
{
    enum err e = put_kind(key, "deleted", user);

    buf_printf(value, "{\"at_ms\":%lld,\"version\":%d}", (long long)at_ms, ACL_RECORD_VERSION);
    return e ? e : buf_error(value);
}

enum err users_secret_record(struct buf *key, struct buf *value, const uint8_t secret[USERS_SECRET_SIZE])
{
    enum err e = put_kind(key, "decoys", SLICE_NULL);

    buf_put_str(value, "{\"secret\":\"");
    base64_put(value, slice_of(secret, USERS_SECRET_SIZE));
    buf_printf(value, "\",\"version\":%d}", ACL_RECORD_VERSION);
    return e ? e : buf_error(value);
}

static enum err apply_deleted(struct users *u, struct slice user, struct slice value, struct reason *why)
{
    json_t *o = slice_is_null(value) ? NULL : acl_json_read(value, why);
    int64_t at_ms = o ? json_integer_value(json_object_get(o, "at_ms")) : 0, *kept;

    json_decref(o);
    if (slice_is_null(value)) {
        free(map_remove(&u->deleted, user));
        return ERR_OK;
    }
    if (at_ms <= 0 || credential_user_validate(user, NULL))
        return reason_set(why, ERR_MALFORMED, "the deletion names no user, or no time");
    kept = map_get(&u->deleted, user);
    if (!kept) {
        kept = calloc(1, sizeof *kept);
        if (!kept || map_put(&u->deleted, user, kept, NULL)) {
            free(kept);
            return ERR_NO_MEMORY;
        }
    }
    *kept = at_ms;
    return ERR_OK;
}

static enum err apply_secret(struct users *u, struct slice value, struct reason *why)
{
    uint8_t secret[USERS_SECRET_SIZE];
    json_t *o = acl_json_read(value, why);
    size_t n = 0;
    bool ok = o && base64_read(acl_json_string(o, "secret"), secret, sizeof secret, &n) && n == sizeof secret;

    json_decref(o);
    if (ok) {
        memcpy(u->secret, secret, sizeof secret);
        u->has_secret = true;
    }
    secret_wipe(secret, sizeof secret);
    return ok ? ERR_OK : reason_set(why, ERR_MALFORMED, "the decoys' secret is missing or has another length");
}

static enum err apply_kind(struct users *u, struct slice kind, struct slice user, struct slice value,
                           struct reason *why)
{
    if (slice_eq_str(kind, "deleted"))
        return apply_deleted(u, user, value, why);
    if (slice_eq_str(kind, "decoys"))
        return apply_secret(u, value, why);
    return reason_set(why, ERR_MALFORMED, "the key is of an unknown kind");
}

static enum err read_value(struct credential *c, struct slice value, struct reason *why)
{
    json_t *o = acl_json_read(value, why);
    size_t size = credential_digest_size(c->mechanism), salt = 0, stored = 0, server = 0;
    json_int_t iterations;
    bool ok;

    if (!o)
        return ERR_MALFORMED;
    iterations = json_integer_value(json_object_get(o, "iterations"));
    ok = base64_read(acl_json_string(o, "salt"), c->salt, sizeof c->salt, &salt) && salt >= CREDENTIAL_SALT_MIN &&
         base64_read(acl_json_string(o, "stored_key"), c->stored_key, size, &stored) && stored == size &&
         base64_read(acl_json_string(o, "server_key"), c->server_key, size, &server) && server == size &&
         iterations >= CREDENTIAL_ITERATIONS_MIN && iterations <= CREDENTIAL_ITERATIONS_MAX;
    c->salt_n = (uint32_t)salt;
    c->iterations = (uint32_t)iterations;
    json_decref(o);
    return ok ? ERR_OK : reason_set(why, ERR_MALFORMED, "the credential's fields are missing or wrong");
}

enum err users_apply(struct users *u, struct slice key, struct slice value, struct reason *why)
{
    json_t *o = acl_json_read(key, why);
    struct slice user;
    struct credential c = {0};
    enum err e = ERR_OK;

    if (!o)
        return ERR_MALFORMED;
    user = acl_json_string(o, "user");
    if (json_object_get(o, "kind")) {
        e = apply_kind(u, acl_json_string(o, "kind"), user, value, why);
        json_decref(o);
        return e;
    }
    c.mechanism = credential_mechanism_parse(acl_json_string(o, "mechanism"));
    if (c.mechanism == CREDENTIAL_UNKNOWN || credential_user_validate(user, NULL)) {
        e = reason_set(why, ERR_MALFORMED, "the key names no user and SCRAM mechanism");
    } else if (slice_is_null(value)) {
        users_remove(u, user, c.mechanism);
    } else {
        e = read_value(&c, value, why);
        if (!e)
            e = users_put(u, user, &c);
    }
    credential_wipe(&c);
    json_decref(o);
    return e;
}

/* --- snapshot --- */

static int compare_names(const void *a, const void *b)
{
    const struct map_entry *const *x = a, *const *y = b;
    return slice_cmp(map_key(*x), map_key(*y));
}

static enum err fill(struct users_snapshot *s, const struct users *u)
{
    struct map_entry **order = calloc(s->n + 1, sizeof *order);
    size_t i = 0;
    enum err e = ERR_OK;

    if (!order)
        return ERR_NO_MEMORY;
    for (struct map_entry *m = map_first(&u->map); m; m = map_next(&u->map, m))
        order[i++] = m;
    qsort(order, s->n, sizeof *order, compare_names);
    for (i = 0; i < s->n && !e; i++) {
        memcpy(&s->all[i], order[i]->value, sizeof s->all[i]);
        e = map_put(&s->map, map_key(order[i]), &s->all[i], NULL);
    }
    free(order);
    if (e)
        return e;
    i = 0;
    for (struct map_entry *m = map_first(&s->map); m; m = map_next(&s->map, m))
        s->name[i++] = map_key(m);
    return users_rings_build(s);
}

static enum err copy_deleted(struct users_snapshot *s, const struct users *u)
{
    for (struct map_entry *m = map_first(&u->deleted); m; m = map_next(&u->deleted, m)) {
        int64_t *at_ms = malloc(sizeof *at_ms);
        if (!at_ms || map_put(&s->deleted, map_key(m), at_ms, NULL)) {
            free(at_ms);
            return ERR_NO_MEMORY;
        }
        *at_ms = *(const int64_t *)m->value;
    }
    return ERR_OK;
}

enum err users_snapshot_build(struct users_snapshot **out, const struct users *u)
{
    static _Atomic uint64_t last_id; /* allow: unique in the process, no state */
    struct users_snapshot *s = calloc(1, sizeof *s);
    enum err e = ERR_NO_MEMORY;

    *out = NULL;
    if (!s)
        return e;
    atomic_init(&s->refs, 1);
    s->id = atomic_fetch_add(&last_id, 1) + 1;
    map_init(&s->map);
    map_init(&s->deleted);
    memcpy(s->secret, u->secret, sizeof s->secret);
    s->n = map_count(&u->map);
    s->all = calloc(s->n + 1, sizeof *s->all);
    s->name = calloc(s->n + 1, sizeof *s->name);
    if (s->all && s->name)
        e = fill(s, u);
    if (!e)
        e = copy_deleted(s, u);
    if (e)
        users_snapshot_unref(s);
    else
        *out = s;
    return e;
}

struct users_snapshot *users_snapshot_ref(struct users_snapshot *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void users_snapshot_unref(struct users_snapshot *s)
{
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    users_rings_free(s);
    map_free(&s->map, NULL);
    map_free(&s->deleted, free);
    secret_wipe(s->secret, sizeof s->secret);
    if (s->all)
        secret_wipe(s->all, s->n * sizeof *s->all);
    free(s->all);
    free(s->name);
    free(s);
}

const struct credential *users_snapshot_find(const struct users_snapshot *s, struct slice user,
                                             enum credential_mechanism m)
{
    return credential_of(map_get(&s->map, user), m);
}

const struct credential *users_snapshot_any(const struct users_snapshot *s, struct slice user)
{
    const struct credential *c = users_snapshot_find(s, user, CREDENTIAL_SCRAM_SHA_512);
    return c ? c : users_snapshot_find(s, user, CREDENTIAL_SCRAM_SHA_256);
}

bool users_snapshot_certificate_counts(const struct users_snapshot *s, struct slice user, int64_t not_before_s)
{
    const int64_t *at_ms = map_get(&s->deleted, user);
    return !at_ms || not_before_s > *at_ms / 1000;
}

uint64_t users_snapshot_id(const struct users_snapshot *s)
{
    return s->id;
}

size_t users_snapshot_count(const struct users_snapshot *s)
{
    return s->n;
}

struct users_entry users_snapshot_at(const struct users_snapshot *s, size_t i)
{
    return (struct users_entry){.name = s->name[i],
                                .sha256 = credential_of(&s->all[i], CREDENTIAL_SCRAM_SHA_256),
                                .sha512 = credential_of(&s->all[i], CREDENTIAL_SCRAM_SHA_512)};
}
