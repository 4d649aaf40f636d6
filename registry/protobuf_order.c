/* SPDX-License-Identifier: Apache-2.0
 * Java's hash maps iterate by bucket, and within a bucket in the order of insertion (buckets so full that Java makes
 * trees of them are not modelled: their order is the same but for the first entry). A table doubles when it is three
 * quarters full and never shrinks. */
#include "registry/protobuf_order.h"

#include <stdlib.h>

enum { TABLE_FIRST = 16 };

static uint32_t grown(uint32_t capacity, uint32_t n)
{
    while (n > capacity / 4 * 3)
        capacity *= 2;
    return capacity;
}

/* Java mixes the upper half of a hash into the lower. */
static uint32_t spread(uint32_t h)
{
    return h ^ h >> 16;
}

struct proto_keyed proto_key_name(struct slice name, const void *was, const void *now)
{
    uint32_t h = 0;
    for (size_t i = 0; i < name.n; i++)
        h = 31 * h + name.p[i];
    return (struct proto_keyed){.name = name, .was = was, .now = now, .hash = spread(h)};
}

struct proto_keyed proto_key_tag(int32_t tag, const void *was, const void *now)
{
    return (struct proto_keyed){.name = SLICE_NULL, .tag = tag, .was = was, .now = now, .hash = spread((uint32_t)tag)};
}

static int by_key(const void *a, const void *b)
{
    const struct proto_keyed *x = a, *y = b;
    int c = (x->hash > y->hash) - (x->hash < y->hash);
    if (c == 0)
        c = (x->tag > y->tag) - (x->tag < y->tag);
    if (c == 0)
        c = slice_cmp(x->name, y->name);
    return c ? c : (x->place > y->place) - (x->place < y->place);
}

static int by_bucket(const void *a, const void *b, void *context)
{
    const struct proto_keyed *x = a, *y = b;
    uint32_t mask = *(const uint32_t *)context - 1, i = x->hash & mask, j = y->hash & mask;
    int c = (i > j) - (i < j);
    return c ? c : (x->place > y->place) - (x->place < y->place);
}

static void merge_keys(struct proto_keyed_list *list)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < list->n; i++)
        list->v[i].place = i;
    if (list->n)
        qsort(list->v, list->n, sizeof *list->v, by_key);
    for (uint32_t i = 0; i < list->n; i++) {
        struct proto_keyed *last = kept ? &list->v[kept - 1] : NULL, *k = &list->v[i];
        if (!last || last->hash != k->hash || last->tag != k->tag || !slice_eq(last->name, k->name)) {
            list->v[kept++] = *k;
            continue;
        }
        last->was = k->was ? k->was : last->was;
        last->now = k->now ? k->now : last->now;
    }
    list->n = kept;
}

static void sort_buckets(struct proto_keyed_list *list, uint32_t capacity)
{
    if (list->n)
        qsort_r(list->v, list->n, sizeof *list->v, by_bucket, &capacity);
}

void proto_order_map(struct proto_keyed_list *list)
{
    merge_keys(list);
    sort_buckets(list, grown(TABLE_FIRST, list->n));
}

enum err proto_order_union(struct arena *a, const struct proto_keyed_list *was, const struct proto_keyed_list *now,
                           struct proto_keyed_list *out)
{
    uint32_t capacity = TABLE_FIRST;
    out->n = was->n + now->n;
    if (!(out->v = arena_array(a, (size_t)out->n + 1, sizeof *out->v)))
        return ERR_NO_MEMORY;
    if (was->n)
        memcpy(out->v, was->v, was->n * sizeof *out->v);
    if (now->n)
        memcpy(out->v + was->n, now->v, now->n * sizeof *out->v);
    while (capacity < (uint32_t)((float)was->n / .75f) + 1)
        capacity *= 2;
    merge_keys(out);
    sort_buckets(out, grown(capacity, out->n));
    return ERR_OK;
}
