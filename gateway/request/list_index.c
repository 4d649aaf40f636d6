/* SPDX-License-Identifier: Apache-2.0
 * A hash table of the answer's elements: a slot for each distinct name, and a chain of the elements that share it, so
 * that many equal names cost no more than many different ones. The hash is keyed at random: clients choose the names.
 */
#include "gateway/request/list_index.h"
#include "core/base/env.h"
#include "core/base/map.h"
#include "gateway/request/request.h"

struct table {
    int32_t *slots; /* 1 + the first element of a chain; 0: free */
    int32_t *next;  /* of each element: 1 + the next one of its name */
    uint32_t mask;
    int32_t left; /* elements not yet in the table */
    bool complete;
};

struct list_index {
    const uint8_t *v;
    int32_t n;
    int32_t in_order; /* elements given out in the cluster's order so far */
    bool tabled;
    struct table by_name, by_id; /* DeleteTopics may name one topic so and the next so */
    uint8_t key[16];
};

struct list_index *list_index_new(struct request *r, void *v, int32_t n)
{
    struct list_index *x = arena_alloc(&r->arena, sizeof *x);

    if (x)
        *x = (struct list_index){.v = v, .n = n};
    return x;
}

/* What an element is about: bytes to compare, and the kind beside them. */
struct identity {
    struct slice bytes;
    int8_t kind;
};

static struct identity asked(struct request *r, int32_t i)
{
    const struct shape *s = &r->list->shape;
    const struct wire_uuid *id;
    struct identity out = {.bytes = list_name(r, r->list, i, &id)};

    if (id && s->out_id)
        out.bytes = slice_of(id->b, sizeof id->b);
    if (s->kind)
        out.kind = *(const int8_t *)wire_at(list_element(r->list, i), s->kind);
    return out;
}

/* By id where the request names it so: the name may stand beside it in the answer. */
static struct identity answered(struct request *r, const struct list_index *x, int32_t k, bool by_id)
{
    const struct shape *s = &r->list->shape;
    const void *e = x->v + (size_t)k * s->out_list->body->size;
    struct identity out = {0};

    if (by_id && s->out_id)
        out.bytes = slice_of(((const struct wire_uuid *)wire_at(e, s->out_id))->b, sizeof(struct wire_uuid));
    else if (s->out_name)
        out.bytes = *(const struct slice *)wire_at(e, s->out_name);
    if (s->out_kind)
        out.kind = *(const int8_t *)wire_at(e, s->out_kind);
    return out;
}

static bool same(struct identity a, struct identity b)
{
    return a.kind == b.kind && slice_eq(a.bytes, b.bytes);
}

static bool named_by_id(struct request *r, int32_t i)
{
    const struct wire_uuid *id;

    list_name(r, r->list, i, &id);
    return id && r->list->shape.out_id;
}

/* The slot that holds this identity, or the free one where it would go. */
static int32_t *find_slot(struct request *r, const struct list_index *x, const struct table *t, struct identity d,
                          bool by_id)
{
    uint32_t at = (uint32_t)(hash_siphash(x->key, d.bytes) + (uint8_t)d.kind) & t->mask;

    while (t->slots[at] && !same(answered(r, x, t->slots[at] - 1, by_id), d))
        at = (at + 1) & t->mask;
    return &t->slots[at];
}

static bool make_table(struct request *r, struct list_index *x, struct table *t)
{
    uint32_t size = 16;

    while (size < (uint32_t)x->n * 2)
        size *= 2;
    if (!x->tabled)
        env_system()->random(env_system(), x->key, sizeof x->key);
    x->tabled = true;
    t->mask = size - 1;
    t->left = x->n;
    t->slots = arena_array(&r->arena, size, sizeof *t->slots);
    t->next = arena_array(&r->arena, (size_t)x->n, sizeof *t->next);
    return t->slots && t->next;
}

/* From the last to the first, so that a chain begins with the earliest. What was given out in the cluster's order
 * already comes in only where nothing else has its name: it was asked for twice and answered once. */
static enum step build(struct request *r, struct list_index *x, struct table *t, bool by_id)
{
    if (!t->slots && !make_table(r, x, t))
        return request_no_memory(r);
    while (t->left > 0) {
        int32_t k = --t->left;
        int32_t *slot = find_slot(r, x, t, answered(r, x, k, by_id), by_id);

        if (k >= x->in_order || !*slot) {
            t->next[k] = *slot;
            *slot = k + 1;
        }
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    t->complete = true;
    return STEP_NEXT;
}

enum step list_index_find(struct request *r, struct list_index *x, int32_t i, const void **got)
{
    bool by_id = named_by_id(r, i);
    struct table *t = by_id ? &x->by_id : &x->by_name;
    struct identity want = asked(r, i);
    size_t size = r->list->shape.out_list->body->size;
    int32_t *slot;

    *got = NULL;
    if (!x->tabled && x->in_order < x->n && same(answered(r, x, x->in_order, by_id), want)) {
        *got = x->v + (size_t)x->in_order++ * size;
        return STEP_NEXT;
    }
    if (!t->complete) {
        enum step step = build(r, x, t, by_id);
        if (step != STEP_NEXT)
            return step;
    }
    slot = find_slot(r, x, t, want, by_id);
    if (!*slot)
        return STEP_NEXT;
    *got = x->v + (size_t)(*slot - 1) * size;
    if (t->next[*slot - 1]) /* asked for twice and answered once: the answer serves both */
        *slot = t->next[*slot - 1];
    return STEP_NEXT;
}
