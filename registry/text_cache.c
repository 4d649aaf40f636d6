/* SPDX-License-Identifier: Apache-2.0
 * Direct-mapped: a guid, which is a digest, names its place by its first bytes. A place is guarded by one of a few
 * locks, held for a copy. When all texts together are at the limit, a new one is kept only in the place of an older one
 * that is at least as long. */
#include "registry/text_cache.h"

#include "registry/json_text.h"

#include <pthread.h>
#include <stdlib.h>

enum { LOCKS = 64 };

struct place {
    uint8_t guid[GUID_SIZE];
    char *text;
    size_t n;
};

struct text_cache {
    pthread_mutex_t locks[LOCKS];
    struct place places[TEXT_CACHE_PLACES];
    atomic_size_t bytes;
};

struct text_cache *text_cache_new(void)
{
    struct text_cache *c = calloc(1, sizeof *c);
    for (int i = 0; c && i < LOCKS; i++)
        pthread_mutex_init(&c->locks[i], NULL);
    return c;
}

void text_cache_free(struct text_cache *c)
{
    if (!c)
        return;
    for (int i = 0; i < TEXT_CACHE_PLACES; i++)
        free(c->places[i].text);
    for (int i = 0; i < LOCKS; i++)
        pthread_mutex_destroy(&c->locks[i]);
    free(c);
}

static size_t place_of(const struct content *content)
{
    return ((size_t)content->guid[0] << 8 | content->guid[1]) % TEXT_CACHE_PLACES;
}

/* The place's lock is held. */
static void keep(struct text_cache *c, struct place *p, const struct content *content, struct slice text)
{
    if (atomic_load(&c->bytes) + text.n > TEXT_CACHE_BYTES_MAX + p->n)
        return;
    char *copy = malloc(text.n);
    if (!copy)
        return;
    memcpy(copy, text.p, text.n);
    atomic_fetch_add(&c->bytes, text.n);
    atomic_fetch_sub(&c->bytes, p->n);
    free(p->text);
    memcpy(p->guid, content->guid, GUID_SIZE);
    p->text = copy;
    p->n = text.n;
}

void text_cache_put(struct text_cache *c, struct buf *out, const struct content *content)
{
    if (!c || content->text.n > TEXT_CACHE_TEXT_MAX) {
        json_text_print_string(out, content->text);
        return;
    }
    size_t at = place_of(content), before = out->n;
    struct place *p = &c->places[at];
    pthread_mutex_t *lock = &c->locks[at % LOCKS];
    pthread_mutex_lock(lock);
    bool known = p->text && memcmp(p->guid, content->guid, GUID_SIZE) == 0;
    if (known)
        buf_put(out, p->text, p->n);
    pthread_mutex_unlock(lock);
    if (known)
        return;
    json_text_print_string(out, content->text);
    if (buf_error(out) || out->n - before > TEXT_CACHE_TEXT_MAX)
        return;
    pthread_mutex_lock(lock);
    keep(c, p, content, slice_of(out->p + before, out->n - before));
    pthread_mutex_unlock(lock);
}
