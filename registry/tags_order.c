/* SPDX-License-Identifier: Apache-2.0
 * The order a Java HashMap gives. The reference keeps some lists in such maps and shows their order (of tagged
 * entities, of a Protobuf element's options once its tags were edited), so it is followed here: buckets in order, and
 * within one bucket as put in. Buckets so full that Java makes trees of them are not copied. */
#include "registry/tags.h"

#include <stdlib.h>

static uint32_t next_unit(const uint8_t **p, const uint8_t *end)
{
    static const uint8_t first_bits[] = {0x7f, 0x1f, 0x0f, 0x07};
    unsigned c = *(*p)++, more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;
    uint32_t v = c & first_bits[more];
    for (; more && *p < end; more--)
        v = v << 6 | (*(*p)++ & 0x3f);
    return v;
}

/* String.hashCode() spread as HashMap spreads it. */
static uint32_t java_hash(struct slice s)
{
    uint32_t h = 0;
    for (const uint8_t *p = s.p, *end = s.p + s.n; p < end;) {
        uint32_t c = next_unit(&p, end);
        if (c >= 0x10000) {
            h = h * 31 + (0xd800 + ((c - 0x10000) >> 10));
            c = 0xdc00 + ((c - 0x10000) & 0x3ff);
        }
        h = h * 31 + c;
    }
    return h ^ h >> 16;
}

struct placed {
    uint32_t bucket, at;
};

static int by_bucket(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;
    int c = (x->bucket > y->bucket) - (x->bucket < y->bucket);
    return c ? c : (x->at > y->at) - (x->at < y->at);
}

uint32_t *tags_hash_order(struct arena *a, const struct slice *names, uint32_t n)
{
    uint32_t *order = arena_array(a, (size_t)n + 1, sizeof *order);
    struct placed *all = arena_array(a, (size_t)n + 1, sizeof *all);
    uint32_t buckets = 16;
    if (!order || !all)
        return NULL;
    while (buckets / 4 * 3 < n)
        buckets *= 2;
    for (uint32_t i = 0; i < n; i++)
        all[i] = (struct placed){java_hash(names[i]) & (buckets - 1), i};
    qsort(all, n, sizeof *all, by_bucket);
    for (uint32_t i = 0; i < n; i++)
        order[i] = all[i].at;
    return order;
}
