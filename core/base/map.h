/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_BASE_MAP_H
#define CASTELLAN_BASE_MAP_H

#include "core/base/err.h"
#include "core/base/slice.h"

/* A hash map from byte strings to pointers. Keys are copied; values belong to the caller. The hash is SipHash-1-3 under
 * a random per-process key, so peers cannot choose colliding names. Iteration is in insertion order (a removed entry
 * leaves no trace); removing the entry at hand while iterating is allowed, adding is not. Not thread-safe. */
struct map {
    struct map_entry *entries; /* insertion order; a NULL key is a hole */
    struct map_slot *index;
    size_t used, count, cap, index_cap;
};

struct map_entry {
    uint8_t *key; /* NUL-terminated past key_n, for printing */
    size_t key_n;
    uint64_t hash;
    void *value;
};

void map_init(struct map *m);
void map_free(struct map *m, void (*free_value)(void *value)); /* free_value may be NULL */
void *map_get(const struct map *m, struct slice key);          /* NULL when absent (or stored as NULL) */
bool map_has(const struct map *m, struct slice key);
enum err map_put(struct map *m, struct slice key, void *value, void **old) MUST_CHECK; /* old may be NULL */
void *map_remove(struct map *m, struct slice key); /* the value that was there, or NULL */
size_t map_count(const struct map *m);

/* for (struct map_entry *e = map_first(m); e; e = map_next(m, e)) */
struct map_entry *map_first(const struct map *m);
struct map_entry *map_next(const struct map *m, const struct map_entry *e);
static inline struct slice map_key(const struct map_entry *e)
{
    return slice_of(e->key, e->key_n);
}

uint64_t hash_siphash(const uint8_t key[16], struct slice s); /* SipHash-1-3 */

#endif
