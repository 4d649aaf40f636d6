/* SPDX-License-Identifier: Apache-2.0
 * Open addressing over an index of positions into an entry array (the "compact dict" shape). Each index slot has half
 * of the key's hash beside the position, so that a slot of another key is passed without a look at its entry: in a
 * large map every such look misses the cache. Removed entries become holes; the array is packed at the next growth. */
#include "core/base/map.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

enum {
    SLOT_FREE = 0,
    SLOT_GONE = 1,
    SLOT_BASE = 2
}; /* what a slot's position says: free, removed, position + SLOT_BASE */

struct map_slot {
    uint32_t position;
    uint32_t tag; /* the hash's upper half; its lower half chose the slot */
};

static uint8_t process_key[16]; /* allow: random, made once */
static pthread_once_t process_key_once = PTHREAD_ONCE_INIT;

static void make_process_key(void)
{
    if (getrandom(process_key, sizeof process_key, 0) != (ssize_t)sizeof process_key)
        abort();
}

static inline uint64_t rotl(uint64_t x, int b)
{
    return x << b | x >> (64 - b);
}

struct sip {
    uint64_t a, b, c, d;
};

static inline void sip_round(struct sip *v)
{
    v->a += v->b;
    v->b = rotl(v->b, 13) ^ v->a;
    v->a = rotl(v->a, 32);
    v->c += v->d;
    v->d = rotl(v->d, 16) ^ v->c;
    v->a += v->d;
    v->d = rotl(v->d, 21) ^ v->a;
    v->c += v->b;
    v->b = rotl(v->b, 17) ^ v->c;
    v->c = rotl(v->c, 32);
}

static uint64_t load64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return v; /* any byte order will do: the key is random per process */
}

uint64_t hash_siphash(const uint8_t key[16], struct slice s)
{
    uint64_t k0 = load64(key), k1 = load64(key + 8), last = (uint64_t)s.n << 56;
    struct sip v = {k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du, k0 ^ 0x6c7967656e657261u,
                    k1 ^ 0x7465646279746573u};
    size_t i = 0;

    for (; i + 8 <= s.n; i += 8) {
        uint64_t m = load64(s.p + i);
        v.d ^= m;
        sip_round(&v);
        v.a ^= m;
    }
    for (size_t k = 0; i + k < s.n; k++)
        last |= (uint64_t)s.p[i + k] << (8 * k);
    v.d ^= last;
    sip_round(&v);
    v.a ^= last;
    v.c ^= 0xff;
    sip_round(&v);
    sip_round(&v);
    sip_round(&v);
    return v.a ^ v.b ^ v.c ^ v.d;
}

static uint64_t hash_of(struct slice key)
{
    pthread_once(&process_key_once, make_process_key);
    return hash_siphash(process_key, key);
}

void map_init(struct map *m)
{
    *m = (struct map){0};
}

void map_free(struct map *m, void (*free_value)(void *value))
{
    for (size_t i = 0; i < m->used; i++) {
        if (!m->entries[i].key)
            continue;
        if (free_value)
            free_value(m->entries[i].value);
        free(m->entries[i].key);
    }
    free(m->entries);
    free(m->index);
    map_init(m);
}

/* The index slot that holds `key`, or SIZE_MAX. */
static size_t find_slot(const struct map *m, struct slice key, uint64_t hash)
{
    if (!m->index_cap)
        return SIZE_MAX;
    for (size_t at = hash & (m->index_cap - 1);; at = (at + 1) & (m->index_cap - 1)) {
        struct map_slot slot = m->index[at];
        if (slot.position == SLOT_FREE)
            return SIZE_MAX;
        if (slot.position == SLOT_GONE || slot.tag != (uint32_t)(hash >> 32))
            continue;
        const struct map_entry *e = &m->entries[slot.position - SLOT_BASE];
        if (e->hash == hash && e->key_n == key.n && (key.n == 0 || memcmp(e->key, key.p, key.n) == 0))
            return at;
    }
}

static struct map_entry *find_hashed(const struct map *m, struct slice key, uint64_t hash)
{
    size_t at = find_slot(m, key, hash);
    return at == SIZE_MAX ? NULL : &m->entries[m->index[at].position - SLOT_BASE];
}

static struct map_entry *find(const struct map *m, struct slice key)
{
    return m->count ? find_hashed(m, key, hash_of(key)) : NULL;
}

static void index_insert(struct map *m, uint64_t hash, size_t position)
{
    size_t at = hash & (m->index_cap - 1);
    while (m->index[at].position >= SLOT_BASE)
        at = (at + 1) & (m->index_cap - 1);
    m->index[at] = (struct map_slot){(uint32_t)position + SLOT_BASE, (uint32_t)(hash >> 32)};
}

/* Make room for one more entry: pack the holes away and rebuild an index at most half full. */
static enum err grow(struct map *m)
{
    size_t cap = m->count < 8 ? 16 : m->count * 2, live = 0;
    struct map_entry *entries;
    struct map_slot *index;

    if (cap > UINT32_MAX / 4)
        return ERR_LIMIT_EXCEEDED;
    size_t index_cap = 32;
    while (index_cap < cap * 2)
        index_cap *= 2;
    entries = malloc(cap * sizeof *entries);
    index = calloc(index_cap, sizeof *index);
    if (!entries || !index) {
        free(entries);
        free(index);
        return ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < m->used; i++)
        if (m->entries[i].key)
            entries[live++] = m->entries[i];
    free(m->entries);
    free(m->index);
    m->entries = entries;
    m->index = index;
    m->cap = cap;
    m->index_cap = index_cap;
    m->used = live;
    for (size_t i = 0; i < live; i++)
        index_insert(m, entries[i].hash, i);
    return ERR_OK;
}

void *map_get(const struct map *m, struct slice key)
{
    struct map_entry *e = find(m, key);
    return e ? e->value : NULL;
}

bool map_has(const struct map *m, struct slice key)
{
    return find(m, key) != NULL;
}

enum err map_put(struct map *m, struct slice key, void *value, void **old)
{
    uint64_t hash = hash_of(key);
    struct map_entry *e = find_hashed(m, key, hash);
    uint8_t *copy;
    enum err err;

    if (old)
        *old = e ? e->value : NULL;
    if (e) {
        e->value = value;
        return ERR_OK;
    }
    if (m->used == m->cap && (err = grow(m)))
        return err;
    copy = malloc(key.n + 1);
    if (!copy)
        return ERR_NO_MEMORY;
    if (key.n)
        memcpy(copy, key.p, key.n);
    copy[key.n] = 0;
    m->entries[m->used] = (struct map_entry){copy, key.n, hash, value};
    index_insert(m, hash, m->used);
    m->used++;
    m->count++;
    return ERR_OK;
}

void *map_remove(struct map *m, struct slice key)
{
    size_t at = m->count ? find_slot(m, key, hash_of(key)) : SIZE_MAX;
    struct map_entry *e;
    void *value;

    if (at == SIZE_MAX)
        return NULL;
    e = &m->entries[m->index[at].position - SLOT_BASE];
    m->index[at].position = SLOT_GONE;
    value = e->value;
    free(e->key);
    *e = (struct map_entry){0};
    m->count--;
    return value;
}

size_t map_count(const struct map *m)
{
    return m->count;
}

static struct map_entry *from(const struct map *m, size_t i)
{
    for (; i < m->used; i++)
        if (m->entries[i].key)
            return &m->entries[i];
    return NULL;
}

struct map_entry *map_first(const struct map *m)
{
    return from(m, 0);
}

struct map_entry *map_next(const struct map *m, const struct map_entry *e)
{
    return from(m, (size_t)(e - m->entries) + 1);
}
