/* SPDX-License-Identifier: Apache-2.0
 * The pool of threads for heavy work: decompressing, judging by slow schemas, wiping large buffers.
 *
 * Why not libuv's own pool: its queue is first in, first out, so one client's thousand bombs delay everybody's work;
 * name lookups of connecting sockets stand in the same queue; its size is an environment variable; and it can be asked
 * only from a loop's thread. Here shares take turns, one share never has all the threads (when there are two or more),
 * and no share has more than half of the memory.
 *
 * One mutex guards the queue; work is milliseconds long, so it is not contended. An item goes submit -> run (pool's
 * thread) -> done (loop's thread, by loop_post_task(), which cannot fail). The item's fields are written by one side at
 * a time: the mutex orders submit before run, the loop's lock orders run before done. */
#include "core/net/work_pool.h"
#include "core/base/env.h"
#include "core/base/map.h"
#include "core/base/secret.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

enum { HASH_KEY_SIZE = 16 };

struct work_pool {
    pthread_mutex_t lock; /* guards the three below */
    pthread_cond_t wake;
    struct work_queue queue;
    bool stopping;
    pthread_t threads[WORK_THREADS_MAX];
    int thread_count;
    uint8_t hash_key[HASH_KEY_SIZE];
};

/* Kept at the head of the buffer that goes: no memory is needed to free memory. */
struct discard {
    struct work_item item;
    size_t n;
};

static void come_back(void *arg)
{
    struct work_item *w = arg;
    w->done(w);
}

static void finish(struct work_item *w)
{
    loop_post_task(w->loop, &w->back, come_back, w);
}

/* ---- The threads ---- */

/* Under the lock, given up meanwhile. */
static void run_one(struct work_pool *p, struct work_item *w)
{
    struct work_entry entry = w->entry;
    bool comes_back = w->done != NULL;
    size_t kept = 0;

    pthread_mutex_unlock(&p->lock);
    w->ran = !comes_back || !work_item_cancelled(w);
    if (w->ran)
        w->run(w);
    if (comes_back)
        kept = w->kept;
    assert(kept <= entry.bytes);
    pthread_mutex_lock(&p->lock);
    work_queue_ran(&p->queue, &entry, kept);
    /* Its share, or its memory, may be what another waits for: whoever is idle looks again. */
    pthread_cond_broadcast(&p->wake);
    if (comes_back)
        finish(w);
}

static void *pool_main(void *arg)
{
    struct work_pool *p = arg;

    pthread_mutex_lock(&p->lock);
    while (!p->stopping) {
        struct work_entry *e = work_queue_take(&p->queue);
        if (e)
            run_one(p, (struct work_item *)e); /* its first member */
        else
            pthread_cond_wait(&p->wake, &p->lock);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* ---- Life ---- */

static int default_threads(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);

    return n < 2 ? 2 : n > WORK_THREADS_DEFAULT_MAX ? WORK_THREADS_DEFAULT_MAX : (int)n;
}

enum err work_pool_new(struct work_pool **out, const struct work_pool_opts *opts, struct reason *why)
{
    struct work_pool *p = calloc(1, sizeof *p);
    int threads = opts->threads ? opts->threads : default_threads();

    assert(threads > 0 && threads <= WORK_THREADS_MAX);
    *out = NULL;
    if (!p)
        return reason_set(why, ERR_NO_MEMORY, "no memory for the pool of threads");
    work_queue_init(&p->queue, &(struct work_limits){.waiting_max = WORK_WAITING_MAX,
                                                     .waiting_per_share_max = WORK_WAITING_PER_SHARE_MAX,
                                                     .running_per_share_max = threads > 1 ? (size_t)threads - 1 : 1,
                                                     .bytes_max = opts->bytes_max,
                                                     .bytes_per_share_max = opts->bytes_max / 2});
    env_system()->random(env_system(), p->hash_key, sizeof p->hash_key);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    while (p->thread_count < threads) {
        if (pthread_create(&p->threads[p->thread_count], NULL, pool_main, p)) {
            work_pool_free(p);
            return reason_set(why, ERR_NO_MEMORY, "cannot start a thread for heavy work");
        }
        p->thread_count++;
    }
    *out = p;
    return ERR_OK;
}

/* Without running it, unless running is what frees it. */
static void give_up(struct work_item *w)
{
    if (w->done)
        finish(w);
    else
        w->run(w);
}

void work_pool_stop(struct work_pool *p)
{
    struct work_entry *e;

    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    for (int i = 0; i < p->thread_count; i++)
        pthread_join(p->threads[i], NULL);
    p->thread_count = 0;
    while ((e = work_queue_drop(&p->queue)))
        give_up((struct work_item *)e);
}

void work_pool_free(struct work_pool *p)
{
    if (!p)
        return;
    work_pool_stop(p);
    assert(p->queue.running == 0);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

/* ---- Work ---- */

void work_item_init(struct work_item *w, struct loop *loop, uint64_t share, size_t bytes)
{
    *w = (struct work_item){.entry = {.share = share, .bytes = bytes}, .loop = loop};
}

enum err work_pool_submit(struct work_pool *p, struct work_item *w)
{
    enum err err = ERR_CANCELLED;

    assert(w->run && (!w->done || w->loop));
    w->ran = false;
    w->kept = 0;
    pthread_mutex_lock(&p->lock);
    if (!p->stopping)
        err = work_queue_put(&p->queue, &w->entry);
    if (!err)
        pthread_cond_signal(&p->wake);
    pthread_mutex_unlock(&p->lock);
    return err;
}

void work_item_cancel(struct work_item *w)
{
    atomic_store_explicit(&w->cancelled, true, memory_order_relaxed);
}

void work_pool_give_back(struct work_pool *p, uint64_t share, size_t bytes)
{
    if (!bytes)
        return;
    pthread_mutex_lock(&p->lock);
    work_queue_give_back(&p->queue, share, bytes);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
}

uint64_t work_share_of(const struct work_pool *p, struct slice name)
{
    return hash_siphash(p->hash_key, name);
}

struct work_pool_load work_pool_load(struct work_pool *p)
{
    struct work_pool_load load;

    pthread_mutex_lock(&p->lock);
    load = (struct work_pool_load){p->queue.waiting, p->queue.running, p->queue.bytes};
    pthread_mutex_unlock(&p->lock);
    return load;
}

/* ---- Discarding ---- */

static void run_discard(struct work_item *w)
{
    struct discard *d = (struct discard *)w; /* its first member */

    secret_wipe((uint8_t *)d + sizeof *d, d->n - sizeof *d);
    free(d);
}

void work_pool_discard(struct work_pool *p, struct buf *b)
{
    struct discard *d;
    size_t n = b->cap;

    static_assert(sizeof *d <= WORK_DISCARD_MIN, "it must fit into the buffer");
    if (!p || n < WORK_DISCARD_MIN) {
        buf_wipe_free(b);
        return;
    }
    secret_wipe(b->p, sizeof *d);
    d = (struct discard *)(void *)b->p; /* as malloc() gave it, so it is aligned */
    *b = (struct buf){.max = b->max};
    work_item_init(&d->item, NULL, work_share_of(p, slice_str("discard")), 0);
    d->item.run = run_discard;
    d->n = n;
    if (work_pool_submit(p, &d->item))
        run_discard(&d->item);
}
