/* SPDX-License-Identifier: Apache-2.0
 * Learning the names of topic ids. The ids of a request are found by the descriptions: fields named TopicId beside a
 * topic list. */
#include "gateway/topic_ids.h"
#include "wire/metadata.h"

enum { RESOLVE_VERSION = 12, DEPTH_MAX = 4 };

struct unknown {
    struct worker *worker;
    struct wire_uuid *ids;
    size_t n, cap;
    struct arena *arena;
};

struct resolving {
    struct pending *pending;
    void (*go)(struct pending *p);
};

static void add(struct unknown *u, const struct wire_uuid *id)
{
    if (wire_uuid_is_zero(id) || worker_topic_name(u->worker, id->b))
        return;
    for (size_t i = 0; i < u->n; i++)
        if (wire_uuid_eq(&u->ids[i], id))
            return;
    if (u->n == u->cap) {
        size_t cap = u->cap ? u->cap * 2 : 8;
        struct wire_uuid *grown = arena_array(u->arena, cap, sizeof *grown);
        if (!grown)
            return;
        if (u->n)
            memcpy(grown, u->ids, u->n * sizeof *grown);
        u->ids = grown;
        u->cap = cap;
    }
    u->ids[u->n++] = *id;
}

static void collect(struct unknown *u, const struct wire_struct *body, const void *m, int16_t version, int depth)
{
    for (size_t i = 0; i < body->field_count && depth < DEPTH_MAX; i++) {
        const struct wire_field *f = &body->fields[i];
        const uint8_t *at = (const uint8_t *)m + f->offset;
        if (!wire_versions_has(f->versions, version))
            continue;
        if (f->type == WIRE_UUID && !f->array && strcmp(f->name, "TopicId") == 0)
            add(u, (const struct wire_uuid *)(const void *)at);
        if (f->type == WIRE_STRUCT && f->array) {
            const struct wire_array *a = (const struct wire_array *)(const void *)at;
            for (int32_t k = 0; k < a->n; k++)
                collect(u, f->body, (const uint8_t *)a->v + (size_t)k * f->body->size, version, depth + 1);
        }
    }
}

static void on_metadata(struct pending *p, enum err err, struct slice body)
{
    struct resolving *r = p->resolving;
    struct metadata_response resp;
    struct cursor c = cursor_of(body);

    if (!err)
        err = metadata_response_decode(&resp, &c, RESOLVE_VERSION, &p->arena);
    for (int32_t i = 0; !err && p->session && i < resp.topics.n; i++)
        if (!resp.topics.v[i].error_code && !slice_is_null(resp.topics.v[i].name))
            worker_learn_topic(p->session->worker, resp.topics.v[i].topic_id.b, resp.topics.v[i].name);
    p->resolving = NULL;
    r->go(p);
}

void topic_ids_resolve(struct pending *p, void (*go)(struct pending *p))
{
    topic_ids_resolve_in(p, p->api->request->body, p->body, go);
}

void topic_ids_resolve_in(struct pending *p, const struct wire_struct *body, const void *message,
                          void (*go)(struct pending *p))
{
    struct unknown u = {.worker = p->session->worker, .arena = &p->arena};
    struct metadata_request req;
    struct resolving *r;

    collect(&u, body, message, p->version, 0);
    if (u.n == 0) {
        go(p);
        return;
    }
    metadata_request_init(&req);
    r = arena_alloc(&p->arena, sizeof *r);
    if (!r || !metadata_request_metadata_request_topic_array_alloc(&req.topics, (int32_t)u.n, &p->arena)) {
        pending_fail(p, CONN_CLOSE_NO_MEMORY, NULL);
        return;
    }
    for (size_t i = 0; i < u.n; i++) {
        req.topics.v[i].topic_id = u.ids[i];
        req.topics.v[i].name = SLICE_NULL;
    }
    req.allow_auto_topic_creation = false;
    *r = (struct resolving){p, go};
    p->resolving = r;
    pending_hold(p);
    pending_ask(p, WIRE_METADATA, RESOLVE_VERSION, &req, on_metadata);
}
