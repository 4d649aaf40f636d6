/* SPDX-License-Identifier: Apache-2.0
 * A map from address to its strangers and its next turn (the generic cell rate algorithm: one number, the time at which
 * the address would have used up what it took). An entry is of no use once it has no strangers and its turn is past;
 * such entries are dropped when the map has doubled since the last time, so it stays within twice what is in use. */
#include "core/net/accept_limit.h"

#include "core/base/map.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

enum { SWEEP_MIN = 1024 };
#define SECOND_US INT64_C(1000000)

struct visitors {
    int64_t strangers;
    int64_t due_us; /* what it took is paid for at this time */
};

struct accept_limit {
    struct accept_limit_opts opts;
    pthread_mutex_t lock; /* guards what follows */
    unsigned holds;
    int64_t strangers;
    struct map map; /* address group -> struct visitors */
    size_t sweep_at;
};

struct accept_limit *accept_limit_new(const struct accept_limit_opts *opts)
{
    struct accept_limit *l = calloc(1, sizeof *l);

    if (!l)
        return NULL;
    l->opts = *opts;
    l->holds = 1;
    l->sweep_at = SWEEP_MIN;
    pthread_mutex_init(&l->lock, NULL);
    map_init(&l->map);
    return l;
}

struct accept_limit *accept_limit_hold(struct accept_limit *l)
{
    if (!l)
        return NULL;
    pthread_mutex_lock(&l->lock);
    l->holds++;
    pthread_mutex_unlock(&l->lock);
    return l;
}

void accept_limit_free(struct accept_limit *l)
{
    bool last;

    if (!l)
        return;
    pthread_mutex_lock(&l->lock);
    assert(l->holds > 0);
    last = --l->holds == 0;
    pthread_mutex_unlock(&l->lock);
    if (!last)
        return;
    map_free(&l->map, free);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

static void sweep(struct accept_limit *l, int64_t now_us)
{
    for (struct map_entry *e = map_first(&l->map), *next; e; e = next) {
        const struct visitors *v = e->value;

        next = map_next(&l->map, e);
        if (v->strangers == 0 && v->due_us <= now_us)
            free(map_remove(&l->map, map_key(e)));
    }
    l->sweep_at = 2 * map_count(&l->map) + SWEEP_MIN;
}

static struct visitors *visitors_of(struct accept_limit *l, const struct address_group *from, int64_t now_us)
{
    struct slice key = address_group_slice(from);
    struct visitors *v = map_get(&l->map, key);

    if (v)
        return v;
    if (map_count(&l->map) >= l->sweep_at)
        sweep(l, now_us);
    v = calloc(1, sizeof *v);
    if (v && map_put(&l->map, key, v, NULL)) {
        free(v);
        v = NULL;
    }
    return v;
}

/* Under the lock. Takes a turn only when the verdict is ACCEPT_IN. */
static enum accept_verdict enter(struct accept_limit *l, struct visitors *v, int64_t now_us, int64_t *wait_ms)
{
    const struct accept_limit_opts *o = &l->opts;
    int64_t due_us = v->due_us > now_us ? v->due_us : now_us, wait_us;

    if (o->strangers_max > 0 && l->strangers >= o->strangers_max)
        return ACCEPT_TOO_MANY;
    if (o->strangers_per_address_max > 0 && v->strangers >= o->strangers_per_address_max)
        return ACCEPT_TOO_MANY_OF_ADDRESS;
    if (o->rate_per_address > 0) {
        due_us += SECOND_US / o->rate_per_address;
        wait_us = due_us - SECOND_US - now_us; /* a second's worth is free */
        if (wait_us > ACCEPT_WAIT_MAX_MS * INT64_C(1000))
            return ACCEPT_TOO_FAST;
        v->due_us = due_us;
        if (wait_us > 0)
            *wait_ms = (wait_us + 999) / 1000;
    }
    v->strangers++;
    l->strangers++;
    return ACCEPT_IN;
}

enum accept_verdict accept_limit_enter(struct accept_limit *l, const struct address_group *from, int64_t now_us,
                                       int64_t *wait_ms)
{
    enum accept_verdict verdict = ACCEPT_NO_MEMORY;
    struct visitors *v;

    *wait_ms = 0;
    if (!l)
        return ACCEPT_IN;
    pthread_mutex_lock(&l->lock);
    v = visitors_of(l, from, now_us);
    if (v)
        verdict = enter(l, v, now_us, wait_ms);
    pthread_mutex_unlock(&l->lock);
    return verdict;
}

void accept_limit_known(struct accept_limit *l, const struct address_group *from)
{
    struct visitors *v;

    if (!l)
        return;
    pthread_mutex_lock(&l->lock);
    v = map_get(&l->map, address_group_slice(from));
    assert(v && v->strangers > 0 && l->strangers > 0);
    v->strangers--;
    l->strangers--;
    pthread_mutex_unlock(&l->lock);
}

int64_t accept_limit_strangers(struct accept_limit *l)
{
    int64_t n;

    pthread_mutex_lock(&l->lock);
    n = l->strangers;
    pthread_mutex_unlock(&l->lock);
    return n;
}

size_t accept_limit_addresses(struct accept_limit *l)
{
    size_t n;

    pthread_mutex_lock(&l->lock);
    n = map_count(&l->map);
    pthread_mutex_unlock(&l->lock);
    return n;
}
