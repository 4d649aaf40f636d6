/* SPDX-License-Identifier: Apache-2.0
 * The mutable table of limits (a map from an entity's bytes to its limits) and the immutable snapshot: maps nested as
 * Kafka's order asks them, so that resolving builds no key and allocates nothing. */
#include "acl/acl_internal.h"
#include "acl/quota.h"

#include <stdlib.h>

struct quota_table {
    struct map map; /* of struct row */
};

struct row {
    struct quota_entity entity; /* names point into bytes */
    struct quota_limits limits;
    uint8_t bytes[];
};

struct client_limits {
    struct map named;               /* client id -> struct quota_limits */
    const struct quota_limits *any; /* the default client id */
};

struct user_limits {
    struct client_limits clients;
    const struct quota_limits *own;
};

struct quota_snapshot {
    atomic_int refs;
    struct arena arena;
    size_t n;
    struct quota_entity *entities;
    struct quota_limits *limits;
    struct map users; /* name -> struct user_limits */
    struct user_limits default_user;
    struct client_limits clients; /* entities with no user */
    struct map ips;               /* canonical text -> struct quota_limits */
    const struct quota_limits *default_ip;
    bool any[QUOTA_KEYS];
};

struct quota_table *quota_table_new(void)
{
    struct quota_table *t = malloc(sizeof *t);
    if (t)
        map_init(&t->map);
    return t;
}

void quota_table_free(struct quota_table *t)
{
    if (!t)
        return;
    map_free(&t->map, free);
    free(t);
}

void quota_table_clear(struct quota_table *t)
{
    map_free(&t->map, free);
    map_init(&t->map);
}

static void put_part(struct buf *b, const struct quota_part *p)
{
    buf_u8(b, (uint8_t)p->kind);
    if (p->kind == QUOTA_NAMED) {
        buf_u32(b, (uint32_t)p->name.n);
        buf_put_slice(b, p->name);
    }
}

static enum err put_key(struct buf *b, const struct quota_entity *e)
{
    put_part(b, &e->user);
    put_part(b, &e->client_id);
    put_part(b, &e->ip);
    return buf_error(b);
}

static void place(struct quota_part *p, uint8_t **at)
{
    if (p->kind != QUOTA_NAMED) {
        p->name = SLICE_NULL;
        return;
    }
    memcpy(*at, p->name.p, p->name.n);
    p->name.p = *at;
    *at += p->name.n;
}

static struct row *row_new(const struct quota_entity *e)
{
    struct row *r = calloc(1, sizeof *r + e->user.name.n + e->client_id.name.n + e->ip.name.n + 1);
    uint8_t *at;

    if (!r)
        return NULL;
    at = r->bytes;
    r->entity = *e;
    place(&r->entity.user, &at);
    place(&r->entity.client_id, &at);
    place(&r->entity.ip, &at);
    return r;
}

enum err quota_table_put(struct quota_table *t, const struct quota_entity *e, enum quota_key k, double value)
{
    struct buf key;
    struct row *r = NULL, *fresh = NULL;
    enum err err;

    buf_init(&key, 0);
    err = put_key(&key, e);
    if (err)
        goto out;
    r = map_get(&t->map, buf_slice(&key));
    if (!r) {
        err = map_count(&t->map) < QUOTA_ENTITIES_MAX ? ERR_NO_MEMORY : ERR_LIMIT_EXCEEDED;
        r = fresh = err == ERR_NO_MEMORY ? row_new(e) : NULL;
        if (!fresh)
            goto out;
        err = map_put(&t->map, buf_slice(&key), fresh, NULL);
        if (err) {
            free(fresh);
            goto out;
        }
    }
    r->limits.set[k] = true;
    r->limits.value[k] = value;
out:
    buf_free(&key);
    return err;
}

bool quota_table_remove(struct quota_table *t, const struct quota_entity *e, enum quota_key k)
{
    struct buf key;
    struct row *r = NULL;
    bool had = false, left = false;

    buf_init(&key, 0);
    if (put_key(&key, e) == ERR_OK)
        r = map_get(&t->map, buf_slice(&key));
    if (r) {
        had = r->limits.set[k];
        r->limits.set[k] = false;
        r->limits.value[k] = 0;
        for (int i = 0; i < QUOTA_KEYS; i++)
            left = left || r->limits.set[i];
        if (!left)
            free(map_remove(&t->map, buf_slice(&key)));
    }
    buf_free(&key);
    return had;
}

const struct quota_limits *quota_table_get(const struct quota_table *t, const struct quota_entity *e)
{
    struct buf key;
    const struct row *r = NULL;

    buf_init(&key, 0);
    if (put_key(&key, e) == ERR_OK)
        r = map_get(&t->map, buf_slice(&key));
    buf_free(&key);
    return r ? &r->limits : NULL;
}

size_t quota_table_count(const struct quota_table *t)
{
    return map_count(&t->map);
}

/* --- snapshot --- */

static enum err index_client(struct client_limits *c, const struct quota_part *client, struct quota_limits *l)
{
    if (client->kind == QUOTA_NAMED)
        return map_put(&c->named, client->name, l, NULL);
    c->any = l;
    return ERR_OK;
}

static enum err index_user(struct quota_snapshot *s, const struct quota_entity *e, struct quota_limits *l)
{
    struct user_limits *u = &s->default_user;

    if (e->user.kind == QUOTA_NAMED) {
        u = map_get(&s->users, e->user.name);
        if (!u) {
            u = arena_alloc(&s->arena, sizeof *u);
            if (!u || map_put(&s->users, e->user.name, u, NULL))
                return ERR_NO_MEMORY;
            map_init(&u->clients.named);
        }
    }
    if (e->client_id.kind != QUOTA_ABSENT)
        return index_client(&u->clients, &e->client_id, l);
    u->own = l;
    return ERR_OK;
}

static enum err index_entity(struct quota_snapshot *s, const struct quota_entity *e, struct quota_limits *l)
{
    char space[ACL_HOST_TEXT_MAX];

    if (e->ip.kind == QUOTA_NAMED)
        return map_put(&s->ips, acl_host_canonical(e->ip.name, space), l, NULL);
    if (e->ip.kind == QUOTA_DEFAULT) {
        s->default_ip = l;
        return ERR_OK;
    }
    if (e->user.kind != QUOTA_ABSENT)
        return index_user(s, e, l);
    return index_client(&s->clients, &e->client_id, l);
}

static enum err copy_part(struct arena *a, struct quota_part *p)
{
    p->name = arena_copy(a, p->name);
    return p->kind == QUOTA_NAMED && slice_is_null(p->name) ? ERR_NO_MEMORY : ERR_OK;
}

static enum err fill(struct quota_snapshot *s, const struct quota_table *t)
{
    s->entities = arena_array(&s->arena, map_count(&t->map) + 1, sizeof *s->entities);
    s->limits = arena_array(&s->arena, map_count(&t->map) + 1, sizeof *s->limits);
    if (!s->entities || !s->limits)
        return ERR_NO_MEMORY;
    for (struct map_entry *m = map_first(&t->map); m; m = map_next(&t->map, m)) {
        const struct row *r = m->value;
        struct quota_entity *e = &s->entities[s->n];
        struct quota_limits *l = &s->limits[s->n];
        enum err err;
        *e = r->entity;
        *l = r->limits;
        if (copy_part(&s->arena, &e->user) || copy_part(&s->arena, &e->client_id) || copy_part(&s->arena, &e->ip))
            return ERR_NO_MEMORY;
        err = index_entity(s, e, l);
        if (err)
            return err;
        for (int k = 0; k < QUOTA_KEYS; k++)
            s->any[k] = s->any[k] || l->set[k];
        s->n++;
    }
    return ERR_OK;
}

enum err quota_snapshot_build(struct quota_snapshot **out, const struct quota_table *t)
{
    struct quota_snapshot *s = calloc(1, sizeof *s);
    enum err e;

    *out = NULL;
    if (!s)
        return ERR_NO_MEMORY;
    atomic_init(&s->refs, 1);
    arena_init(&s->arena, SIZE_MAX / 2);
    map_init(&s->users);
    map_init(&s->default_user.clients.named);
    map_init(&s->clients.named);
    map_init(&s->ips);
    e = fill(s, t);
    if (e)
        quota_snapshot_unref(s);
    else
        *out = s;
    return e;
}

struct quota_snapshot *quota_snapshot_ref(struct quota_snapshot *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void quota_snapshot_unref(struct quota_snapshot *s)
{
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (struct map_entry *m = map_first(&s->users); m; m = map_next(&s->users, m)) {
        struct user_limits *u = m->value;
        map_free(&u->clients.named, NULL);
    }
    map_free(&s->users, NULL);
    map_free(&s->default_user.clients.named, NULL);
    map_free(&s->clients.named, NULL);
    map_free(&s->ips, NULL);
    arena_free(&s->arena);
    free(s);
}

size_t quota_snapshot_count(const struct quota_snapshot *s)
{
    return s->n;
}

const struct quota_entity *quota_snapshot_entity(const struct quota_snapshot *s, size_t i)
{
    return &s->entities[i];
}

const struct quota_limits *quota_snapshot_limits(const struct quota_snapshot *s, size_t i)
{
    return &s->limits[i];
}

bool quota_snapshot_limits_any(const struct quota_snapshot *s, enum quota_key k)
{
    return s->any[k];
}

static bool take(const struct quota_limits *l, enum quota_tags tags, struct quota_bound *out)
{
    if (!l || !l->set[out->key])
        return false;
    out->tags = tags;
    out->bound = l->value[out->key];
    return true;
}

static bool resolve_client(const struct client_limits *c, struct slice client_id, enum quota_tags tags,
                           struct quota_bound *out)
{
    return take(map_get(&c->named, client_id), tags, out) || take(c->any, tags, out);
}

static bool resolve_user(const struct user_limits *u, struct slice client_id, struct quota_bound *out)
{
    return resolve_client(&u->clients, client_id, QUOTA_TAGS_USER_CLIENT, out) || take(u->own, QUOTA_TAGS_USER, out);
}

bool quota_snapshot_resolve(const struct quota_snapshot *s, enum quota_key k, struct slice user, struct slice client_id,
                            struct quota_bound *out)
{
    const struct user_limits *u;

    if (!s->any[k])
        return false;
    *out = (struct quota_bound){.key = k};
    if (slice_is_null(client_id))
        client_id = slice_str("");
    u = map_get(&s->users, user);
    if (!(u && resolve_user(u, client_id, out)) && !resolve_user(&s->default_user, client_id, out) &&
        !resolve_client(&s->clients, client_id, QUOTA_TAGS_CLIENT, out))
        return false;
    if (out->tags != QUOTA_TAGS_CLIENT)
        out->user = user;
    if (out->tags != QUOTA_TAGS_USER)
        out->client_id = client_id;
    return true;
}

bool quota_snapshot_resolve_ip(const struct quota_snapshot *s, struct slice ip, struct quota_bound *out)
{
    char space[ACL_HOST_TEXT_MAX];

    *out = (struct quota_bound){.key = QUOTA_CONNECTION_CREATION_RATE};
    if (!s->any[out->key])
        return false;
    out->ip = ip;
    return take(map_get(&s->ips, acl_host_canonical(ip, space)), QUOTA_TAGS_IP, out) ||
           take(s->default_ip, QUOTA_TAGS_IP, out);
}
