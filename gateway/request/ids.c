/* SPDX-License-Identifier: Apache-2.0
 * Walks the ids of a list, or of lists in a list, and asks Metadata for those whose names are not known. */
#include "gateway/request/ids.h"
#include "gateway/request/engine.h"
#include "gateway/request/topic_names.h"
#include "wire/metadata.h"

enum { METADATA_BY_ID_VERSION = 12 };

static const struct wire_field *id_in(const struct wire_struct *s, int16_t version)
{
    for (size_t i = 0; i < s->field_count; i++)
        if (s->fields[i].entity == WIRE_ENTITY_TOPIC_ID && wire_versions_has(s->fields[i].versions, version))
            return &s->fields[i];
    return NULL;
}

bool ids_begin(struct ids *s, const struct wire_struct *body, int16_t version)
{
    *s = (struct ids){0};
    for (size_t i = 0; i < body->field_count; i++) {
        const struct wire_field *f = &body->fields[i];
        if (f->type != WIRE_STRUCT || !f->array || !wire_versions_has(f->versions, version))
            continue;
        s->outer = f;
        s->id = id_in(f->body, version);
        if (s->id)
            return true;
        for (size_t k = 0; k < f->body->field_count; k++) {
            const struct wire_field *g = &f->body->fields[k];
            if (g->type != WIRE_STRUCT || !g->array || !wire_versions_has(g->versions, version))
                continue;
            s->inner = g;
            s->id = id_in(g->body, version);
            if (s->id)
                return true;
        }
        s->inner = NULL;
    }
    return false;
}

static const struct wire_uuid *next_id(struct request *r, struct ids *s, const void *message)
{
    const struct wire_array *outer = wire_at(message, s->outer);

    while (s->i < outer->n) {
        const uint8_t *e = (const uint8_t *)outer->v + (size_t)s->i * s->outer->body->size;
        const struct wire_array *inner;

        request_spent(r, 1);
        if (!s->inner) {
            s->i++;
            return wire_at(e, s->id);
        }
        inner = wire_at(e, s->inner);
        if (s->k < inner->n)
            return wire_at((const uint8_t *)inner->v + (size_t)s->k++ * s->inner->body->size, s->id);
        s->k = 0;
        s->i++;
    }
    return NULL;
}

/* The answer is needed no longer than this: it is not kept with the request, which may ask many times. */
static void learn(struct request *r)
{
    struct metadata_response resp;
    struct arena a;
    struct cursor c;

    if (r->call.err)
        return;
    arena_init(&a, r->arena.max);
    metadata_response_init(&resp);
    c = cursor_of(request_call_body(r));
    if (metadata_response_decode(&resp, &c, METADATA_BY_ID_VERSION, &a))
        resp.topics.n = 0;
    for (int32_t i = 0; i < resp.topics.n; i++)
        if (!resp.topics.v[i].error_code && !slice_is_null(resp.topics.v[i].name))
            topic_names_learn(r->engine->topics, &resp.topics.v[i].topic_id, resp.topics.v[i].name);
    arena_free(&a);
    request_spent(r, resp.topics.n > 0 ? resp.topics.n : 0);
}

/* Up to IDS_ASKED_AT_ONCE ids whose names are not known; n == 0: none are left, or the slice is used up. False: no
 * memory. */
static bool gather(struct request *r, struct ids *s, const void *message, struct metadata_request *req)
{
    int32_t n = 0;
    const struct wire_uuid *id;

    metadata_request_init(req);
    req->allow_auto_topic_creation = false;
    while (n < IDS_ASKED_AT_ONCE && r->left > 0 && (id = next_id(r, s, message))) {
        if (wire_uuid_is_zero(id) || !slice_is_null(topic_names_find(r->engine->topics, id)))
            continue;
        if (!s->asked && !(s->asked = arena_array(&r->arena, IDS_ASKED_AT_ONCE, sizeof *s->asked)))
            return false;
        req->topics.v = s->asked;
        metadata_request_metadata_request_topic_init(&req->topics.v[n]);
        req->topics.v[n].topic_id = *id;
        req->topics.v[n++].name = SLICE_NULL;
    }
    req->topics.n = n;
    return true;
}

enum step ids_resolve(struct request *r, struct ids *s, const void *message)
{
    struct metadata_request req;

    if (s->asking) {
        if (!r->call.arrived)
            return STEP_WAIT;
        learn(r);
        s->asking = false;
    }
    if (!gather(r, s, message, &req))
        return request_no_memory(r);
    if (req.topics.n == 0)
        return r->left > 0 ? STEP_NEXT : STEP_AGAIN;
    s->asking = true;
    return request_ask(r, WIRE_METADATA, METADATA_BY_ID_VERSION, &req);
}
