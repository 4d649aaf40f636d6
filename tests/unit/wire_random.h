/* SPDX-License-Identifier: Apache-2.0
 * Messages full of seeded random values, and the comparison of two messages, both by way of the field tables. */
#ifndef CASTELLAN_TESTS_WIRE_RANDOM_H
#define CASTELLAN_TESTS_WIRE_RANDOM_H

#include "core/wire/message.h"

static inline uint64_t random_next(uint64_t *seed) /* splitmix64 */
{
    uint64_t z = *seed += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static inline struct slice random_bytes(uint64_t *seed, size_t max, struct arena *a)
{
    size_t n = random_next(seed) % (max + 1);
    uint8_t *p = arena_alloc(a, n);
    for (size_t i = 0; p && i < n; i++)
        p[i] = (uint8_t)('a' + random_next(seed) % 26);
    return p ? slice_of(p, n) : SLICE_NULL;
}

static inline void random_struct(const struct wire_struct *s, uint8_t *m, int16_t version, bool unknown_tags,
                                 uint64_t *seed, struct arena *a);

static inline void random_value(const struct wire_field *f, uint8_t *at, int16_t version, bool nullable, bool tags,
                                uint64_t *seed, struct arena *a)
{
    uint64_t bits = random_next(seed);
    struct slice bytes;
    double d = (double)(int32_t)bits / 16;

    switch (f->type) {
    case WIRE_BOOL:
        *at = bits & 1;
        break;
    case WIRE_INT8:
    case WIRE_INT16:
    case WIRE_UINT16:
    case WIRE_INT32:
    case WIRE_UINT32:
    case WIRE_INT64:
    case WIRE_UUID:
        for (size_t i = 0; i < wire_field_size(f); i++)
            at[i] = (uint8_t)random_next(seed);
        break;
    case WIRE_FLOAT64:
        memcpy(at, &d, sizeof d);
        break;
    case WIRE_STRING:
    case WIRE_BYTES:
    case WIRE_RECORDS:
        bytes = nullable && bits % 4 == 0 ? SLICE_NULL : random_bytes(seed, bits % 16 == 1 ? 200 : 8, a);
        memcpy(at, &bytes, sizeof bytes);
        break;
    case WIRE_STRUCT:
        random_struct(f->body, at, version, tags, seed, a);
        break;
    }
}

static inline void random_field(const struct wire_field *f, uint8_t *at, int16_t version, bool tags, uint64_t *seed,
                                struct arena *a)
{
    bool nullable = wire_versions_has(f->nullable, version);

    if (f->array) {
        struct wire_array array = {NULL, (int32_t)(random_next(seed) % 4) - (nullable ? 1 : 0)};
        size_t size = wire_field_size(f);
        if (array.n > 0)
            array.v = arena_array(a, (size_t)array.n, size);
        for (int32_t i = 0; i < array.n; i++) {
            if (f->body)
                f->body->init((uint8_t *)array.v + (size_t)i * size);
            random_value(f, (uint8_t *)array.v + (size_t)i * size, version, false, tags, seed, a);
        }
        memcpy(at, &array, sizeof array);
    } else if (f->pointer) {
        void *body = nullable && random_next(seed) % 3 == 0 ? NULL : wire_struct_new(f->body, a);
        if (body)
            random_struct(f->body, body, version, tags, seed, a);
        memcpy(at, &body, sizeof body);
    } else {
        random_value(f, at, version, nullable, tags, seed, a);
    }
}

static inline void random_struct(const struct wire_struct *s, uint8_t *m, int16_t version, bool unknown_tags,
                                 uint64_t *seed, struct arena *a)
{
    for (size_t i = 0; i < s->field_count; i++)
        if (wire_versions_has(s->fields[i].versions, version))
            random_field(&s->fields[i], m + s->fields[i].offset, version, unknown_tags, seed, a);
    if (unknown_tags && s->tags_offset != SIZE_MAX) {
        struct wire_tags *tags = (struct wire_tags *)(void *)(m + s->tags_offset);
        tags->n = (int32_t)(random_next(seed) % 3);
        tags->v = arena_array(a, (size_t)tags->n, sizeof *tags->v);
        for (int32_t i = 0; i < tags->n; i++)
            tags->v[i] = (struct wire_tag){1000u + (uint32_t)i * 7, random_bytes(seed, 5, a)};
    }
}

static inline bool wire_struct_equal(const struct wire_struct *s, const uint8_t *x, const uint8_t *y);

static inline bool wire_value_equal(const struct wire_field *f, const uint8_t *x, const uint8_t *y)
{
    struct slice s, t;

    if (f->type == WIRE_STRUCT)
        return wire_struct_equal(f->body, x, y);
    if (f->type != WIRE_STRING && f->type != WIRE_BYTES && f->type != WIRE_RECORDS)
        return memcmp(x, y, wire_field_size(f)) == 0;
    memcpy(&s, x, sizeof s);
    memcpy(&t, y, sizeof t);
    return slice_eq(s, t);
}

static inline bool wire_field_equal(const struct wire_field *f, const uint8_t *x, const uint8_t *y)
{
    size_t size = wire_field_size(f);

    if (f->array) {
        struct wire_array s, t;
        memcpy(&s, x, sizeof s);
        memcpy(&t, y, sizeof t);
        if (s.n != t.n)
            return false;
        for (int32_t i = 0; i < s.n; i++)
            if (!wire_value_equal(f, (uint8_t *)s.v + (size_t)i * size, (uint8_t *)t.v + (size_t)i * size))
                return false;
        return true;
    }
    if (f->pointer) {
        const uint8_t *s, *t;
        memcpy(&s, x, sizeof s);
        memcpy(&t, y, sizeof t);
        return s && t ? wire_struct_equal(f->body, s, t) : s == t;
    }
    return wire_value_equal(f, x, y);
}

static inline bool wire_struct_equal(const struct wire_struct *s, const uint8_t *x, const uint8_t *y)
{
    for (size_t i = 0; i < s->field_count; i++)
        if (!wire_field_equal(&s->fields[i], x + s->fields[i].offset, y + s->fields[i].offset))
            return false;
    if (s->tags_offset != SIZE_MAX) {
        const struct wire_tags *t = (const struct wire_tags *)(const void *)(x + s->tags_offset);
        const struct wire_tags *u = (const struct wire_tags *)(const void *)(y + s->tags_offset);
        if (t->n != u->n)
            return false;
        for (int32_t i = 0; i < t->n; i++)
            if (t->v[i].tag != u->v[i].tag || !slice_eq(t->v[i].data, u->v[i].data))
                return false;
    }
    return true;
}

/* Encodes a random message, half of them with unknown tags where there may be some; it stays in the arena. */
static inline enum err random_message(const struct wire_message *w, int16_t version, uint64_t seed, struct arena *a,
                                      uint8_t **m, struct buf *out)
{
    *m = wire_struct_new(w->body, a);
    random_struct(w->body, *m, version, wire_versions_has(w->flexible, version) && seed % 2, &seed, a);
    return w->encode(*m, out, version);
}

typedef void (*each_message_fn)(const struct wire_message *w, int16_t version, uint64_t seed);

/* Every described message in every version, so many times, each with a seed of its own. */
static inline void every_version(each_message_fn each, uint64_t rounds)
{
    size_t n;
    const struct wire_message *const *all = wire_messages(&n);

    for (size_t i = 0; i < n; i++)
        for (int16_t v = all[i]->valid.min; v <= all[i]->valid.max; v++)
            for (uint64_t round = 0; round < rounds; round++)
                each(all[i], v, round * 1000003 + (uint64_t)i * 1009 + (uint64_t)v);
}

#endif
