/* SPDX-License-Identifier: Apache-2.0
 * String.hashCode and HashMap's order. Pure; nothing fails: bytes that are no UTF-8 (which the reader has refused long
 * before) count as they come. */
#include "registry/json_java.h"

#include <stdlib.h>

uint32_t json_java_hash(struct slice s)
{
    uint32_t h = 0;
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        size_t more = c < 0xc0 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
        uint32_t code = more == 0 ? c : c & (0x3fu >> more);
        for (; more && i + 1 < s.n; more--)
            code = code << 6 | (s.p[++i] & 0x3f);
        if (code >= 0x10000) { /* two units of UTF-16 */
            h = h * 31 + (0xd800 + ((code - 0x10000) >> 10));
            code = 0xdc00 + ((code - 0x10000) & 0x3ff);
        }
        h = h * 31 + code;
    }
    return h;
}

static uint32_t grown(uint32_t buckets, uint32_t keys)
{
    while (buckets < 1u << 30 && keys > buckets / 4 * 3)
        buckets *= 2;
    return buckets;
}

uint32_t json_java_buckets(uint32_t keys)
{
    return grown(16, keys);
}

uint32_t json_java_buckets_copied(uint32_t keys, uint32_t all)
{
    uint64_t least = (uint64_t)keys * 4 / 3 + 1;
    uint32_t buckets = 16;
    while (buckets < least && buckets < 1u << 30)
        buckets *= 2;
    return grown(buckets, all);
}

static int compare(const void *a, const void *b)
{
    const struct json_java_key *x = a, *y = b;
    if (x->bucket != y->bucket)
        return x->bucket < y->bucket ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

void json_java_sort(struct json_java_key *keys, uint32_t n, uint32_t buckets)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t h = json_java_hash(keys[i].name);
        keys[i].bucket = (h ^ h >> 16) & (buckets - 1);
    }
    if (n > 1)
        qsort(keys, n, sizeof *keys, compare);
}
