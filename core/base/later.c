/* SPDX-License-Identifier: Apache-2.0
 * A list sorted by time. What is added is usually due after all others, so the place is looked for from the end. */
#include "core/base/later.h"

#include "core/base/env.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct later {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    struct later_item list; /* head */
    bool flushing, calling, stop;
};

static int64_t now_ms(void)
{
    return env_mono_ms(env_system());
}

static void take_out(struct later_item *i)
{
    i->prev->next = i->next;
    i->next->prev = i->prev;
    i->next = i->prev = NULL;
}

/* Under the lock, which it drops for the call. */
static void call_first(struct later *l)
{
    struct later_item *i = l->list.next;
    void (*fn)(void *) = i->fn;
    void *ctx = i->ctx;

    take_out(i);
    l->calling = true;
    pthread_mutex_unlock(&l->lock);
    fn(ctx); /* the item may be gone afterwards */
    pthread_mutex_lock(&l->lock);
    l->calling = false;
    pthread_cond_broadcast(&l->changed);
}

static void wait_for_first(struct later *l)
{
    struct timespec until;
    int64_t due_ms = l->list.next->due_ms;

    until.tv_sec = due_ms / 1000;
    until.tv_nsec = due_ms % 1000 * 1000000;
    (void)pthread_cond_timedwait(&l->changed, &l->lock, &until);
}

static void *run(void *arg)
{
    struct later *l = arg;

    pthread_mutex_lock(&l->lock);
    while (!l->stop) {
        if (l->list.next == &l->list)
            pthread_cond_wait(&l->changed, &l->lock);
        else if (l->flushing || l->list.next->due_ms <= now_ms())
            call_first(l);
        else
            wait_for_first(l);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

struct later *later_start(void)
{
    struct later *l = calloc(1, sizeof *l);
    pthread_condattr_t monotonic;

    if (!l)
        return NULL;
    l->list.next = l->list.prev = &l->list;
    pthread_mutex_init(&l->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&l->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&l->thread, NULL, run, l)) {
        pthread_cond_destroy(&l->changed);
        pthread_mutex_destroy(&l->lock);
        free(l);
        return NULL;
    }
    return l;
}

void later_add(struct later *l, struct later_item *i, int64_t after_ms, void (*fn)(void *ctx), void *ctx)
{
    struct later_item *before;

    assert(!i->next && fn);
    i->fn = fn;
    i->ctx = ctx;
    i->due_ms = now_ms() + after_ms;
    pthread_mutex_lock(&l->lock);
    for (before = l->list.prev; before != &l->list && before->due_ms > i->due_ms;)
        before = before->prev;
    i->prev = before;
    i->next = before->next;
    before->next->prev = i;
    before->next = i;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
}

void later_flush(struct later *l)
{
    if (!l)
        return;
    pthread_mutex_lock(&l->lock);
    l->flushing = true;
    pthread_cond_broadcast(&l->changed);
    while (l->calling || l->list.next != &l->list)
        pthread_cond_wait(&l->changed, &l->lock);
    pthread_mutex_unlock(&l->lock);
}

void later_stop(struct later *l)
{
    if (!l)
        return;
    pthread_mutex_lock(&l->lock);
    assert(l->list.next == &l->list);
    l->stop = true;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
    pthread_join(l->thread, NULL);
    pthread_cond_destroy(&l->changed);
    pthread_mutex_destroy(&l->lock);
    free(l);
}
