/* SPDX-License-Identifier: Apache-2.0
 * A hash table with open addressing, half full at the most. */
#include "gateway/request/seen.h"
#include "core/base/env.h"
#include "core/base/map.h"

#include <assert.h>

enum { SLOTS_MIN = 16 };

bool seen_init(struct seen *s, int32_t n, struct slice (*key)(const void *list, int32_t place), const void *list,
               struct arena *a)
{
    size_t size = SLOTS_MIN;

    assert(n >= 0 && key);
    while (size < (size_t)n * 2)
        size *= 2;
    *s = (struct seen){.list = list, .key = key, .mask = (uint32_t)(size - 1)};
    s->slots = arena_array(a, size, sizeof *s->slots);
    env_system()->random(env_system(), s->secret, sizeof s->secret);
    return s->slots != NULL;
}

/* The slot that holds this key, or the free one where it would go. */
static int32_t *find_slot(const struct seen *s, struct slice key)
{
    uint32_t at = (uint32_t)hash_siphash(s->secret, key) & s->mask;

    while (s->slots[at] && !slice_eq(s->key(s->list, s->slots[at] - 1), key))
        at = (at + 1) & s->mask;
    return &s->slots[at];
}

int32_t seen_put(struct seen *s, int32_t place)
{
    int32_t *slot = find_slot(s, s->key(s->list, place));

    if (!*slot)
        *slot = place + 1;
    return *slot - 1;
}

int32_t seen_find(const struct seen *s, struct slice key)
{
    return *find_slot(s, key) - 1;
}
