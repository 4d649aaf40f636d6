/* SPDX-License-Identifier: Apache-2.0
 * The cache of data keys: a slab of locked memory for the bytes, entries that point into it, least recently used first
 * out. An erased key is wiped where it is, at once, pinned or not; whoever holds the entry finds `erased` set. What was
 * made from a key and is kept between calls (a cipher in the middle of a large value) is held by it and wiped with it.
 */
#include "crypto/key_client_internal.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>

enum err key_cache_init(struct key_cache *k, size_t size)
{
    map_init(&k->ids);
    map_init(&k->subjects);
    map_init(&k->erased);
    k->recent.prev = k->recent.next = &k->recent;
    k->slab = sodium_allocarray(size, sizeof *k->slab);
    k->free_keys = calloc(size, sizeof *k->free_keys);
    if (!k->slab || !k->free_keys)
        return ERR_NO_MEMORY;
    k->size = k->free_n = size;
    for (size_t i = 0; i < size; i++)
        k->free_keys[i] = &k->slab[size - 1 - i];
    return ERR_OK;
}

void key_cache_free(struct key_cache *k)
{
    map_free(&k->ids, NULL);
    map_free(&k->subjects, NULL);
    map_free(&k->erased, NULL);
    free(k->free_keys);
    sodium_free(k->slab);
    *k = (struct key_cache){0};
}

static void unlist(struct key_entry *e)
{
    if (!e->listed)
        return;
    e->prev->next = e->next;
    e->next->prev = e->prev;
    e->listed = false;
}

static void list_first(struct key_cache *k, struct key_entry *e)
{
    e->prev = &k->recent;
    e->next = k->recent.next;
    e->next->prev = e;
    k->recent.next = e;
    e->listed = true;
}

static void wipe(struct key_entry *e)
{
    struct key_cache *k = &e->client->cache;
    if (!e->key)
        return;
    while (e->holds.next != &e->holds) {
        struct key_hold *h = e->holds.next;
        key_cache_let_go(h);
        h->wipe(h);
    }
    k->wiped++;
    sodium_memzero(e->key, sizeof *e->key);
    k->free_keys[k->free_n++] = e->key;
    e->key = NULL;
}

static void release(struct key_entry *e)
{
    assert(e->holds.next == &e->holds);
    free(e->subject);
    free(e);
}

/* Out of the cache: wiped now, freed when nobody pins it. */
static void drop(struct key_entry *e)
{
    struct key_cache *k = &e->client->cache;
    unlist(e);
    if (!e->dropped) {
        e->dropped = true;
        map_remove(&k->ids, slice_of(e->key->id, ENVELOPE_KEY_ID_SIZE));
        if (e->subject)
            map_remove(&k->subjects, slice_of(e->subject, e->subject_n));
    }
    wipe(e);
    if (!e->pins)
        release(e);
}

struct key_entry *key_cache_by_id(struct key_client *c, const uint8_t id[ENVELOPE_KEY_ID_SIZE])
{
    return map_get(&c->cache.ids, slice_of(id, ENVELOPE_KEY_ID_SIZE));
}

struct key_entry *key_cache_by_subject(struct key_client *c, struct slice scoped)
{
    return map_get(&c->cache.subjects, scoped);
}

void key_cache_pin(struct key_entry *e)
{
    unlist(e);
    e->pins++;
}

void key_cache_unpin(struct key_entry *e)
{
    if (--e->pins)
        return;
    if (e->dropped)
        release(e);
    else
        list_first(&e->client->cache, e);
}

void key_cache_hold(struct key_entry *e, struct key_hold *h)
{
    assert(!h->next && e->key);
    h->prev = &e->holds;
    h->next = e->holds.next;
    h->next->prev = h;
    e->holds.next = h;
}

void key_cache_let_go(struct key_hold *h)
{
    if (!h->next)
        return;
    h->prev->next = h->next;
    h->next->prev = h->prev;
    h->next = h->prev = NULL;
}

static enum err name_subject(struct key_cache *k, struct key_entry *e, struct slice scoped)
{
    void *old = NULL;
    if (slice_is_null(scoped) || e->subject)
        return ERR_OK;
    e->subject = malloc(scoped.n + 1);
    if (!e->subject)
        return ERR_NO_MEMORY;
    memcpy(e->subject, scoped.p, scoped.n);
    e->subject_n = scoped.n;
    enum err err = map_put(&k->subjects, scoped, e, &old);
    struct key_entry *before = old; /* another key of the same subject: it stays, by id */
    if (!err && before && before != e) {
        free(before->subject);
        before->subject = NULL;
    }
    if (err) {
        free(e->subject);
        e->subject = NULL;
    }
    return err;
}

struct key_entry *key_cache_put(struct key_client *c, const uint8_t *id, const uint8_t *bytes, struct slice scoped)
{
    struct key_cache *k = &c->cache;
    struct key_entry *e = key_cache_by_id(c, id);
    if (!e) {
        if (!k->free_n && k->recent.prev != &k->recent)
            drop(k->recent.prev);
        e = k->free_n ? calloc(1, sizeof *e) : NULL;
        if (!e)
            return NULL;
        e->client = c;
        e->holds.next = e->holds.prev = &e->holds;
        if (map_put(&k->ids, slice_of(id, ENVELOPE_KEY_ID_SIZE), e, NULL)) {
            free(e);
            return NULL;
        }
        e->key = k->free_keys[--k->free_n];
        memcpy(e->key->id, id, ENVELOPE_KEY_ID_SIZE);
        memcpy(e->key->bytes, bytes, ENVELOPE_KEY_SIZE);
    }
    key_cache_pin(e);
    if (name_subject(k, e, scoped)) {
        key_cache_unpin(e);
        return NULL;
    }
    return e;
}

void key_cache_note_erased(struct key_client *c, const uint8_t id[ENVELOPE_KEY_ID_SIZE])
{
    struct key_cache *k = &c->cache;
    if (map_count(&k->erased) >= KEY_CLIENT_ERASED_MAX) {
        map_free(&k->erased, NULL); /* asked again when needed */
        map_init(&k->erased);
    }
    if (map_put(&k->erased, slice_of(id, ENVELOPE_KEY_ID_SIZE), NULL, NULL)) {
        /* no memory: it is asked again when needed */
    }
}

void key_cache_erase(struct key_client *c, const uint8_t id[ENVELOPE_KEY_ID_SIZE])
{
    struct key_entry *e = key_cache_by_id(c, id);
    key_cache_note_erased(c, id);
    if (!e)
        return;
    e->erased = true;
    drop(e);
}

void key_cache_drop_all(struct key_client *c)
{
    struct key_cache *k = &c->cache;
    for (struct map_entry *m = map_first(&k->ids); m; m = map_next(&k->ids, m))
        drop(m->value);
}
