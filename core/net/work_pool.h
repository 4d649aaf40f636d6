/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_NET_WORK_POOL_H
#define CASTELLAN_NET_WORK_POOL_H

#include "core/base/buf.h"
#include "core/base/work_queue.h"
#include "core/net/loop.h"

#include <stdatomic.h>

/* A few threads for work that would hold an event loop for more than some milliseconds. Who goes next: work_queue.h.
 * Everything here may be called from any thread. */
struct work_pool;
struct work_item;

enum {
    WORK_THREADS_MAX = 64,
    WORK_THREADS_DEFAULT_MAX = 4, /* and not more than there are processors, but two at least */
    WORK_WAITING_MAX = 100000,
    WORK_WAITING_PER_SHARE_MAX = 10000,
    WORK_DISCARD_MIN = 256 * 1024, /* smaller buffers are freed where they are */
};

struct work_pool_opts {
    int threads;      /* 0: as many as there are processors, from 2 to WORK_THREADS_DEFAULT_MAX */
    size_t bytes_max; /* that all work may hold, while it runs and after it; each share may hold half of it */
};

/* One piece of work, embedded in its owner. From work_pool_submit() until `done` is called (or, without `done`, until
 * `run` is) it belongs to the pool, and it and what it works on must stay, whoever else has gone: an owner that is not
 * interested any more says work_item_cancel() and waits for `done`. */
struct work_item {
    struct work_entry entry; /* share and bytes: filled in by work_item_init() */
    /* On a thread of the pool. It may set `kept`, at most entry.bytes: the memory held further on, which the owner
     * gives back with work_pool_give_back(). */
    void (*run)(struct work_item *w);
    /* On the loop's thread, once, maybe without `run` having been called (see `ran`). NULL: the pool does not touch the
     * item once `run` is called, so that may free it. */
    void (*done)(struct work_item *w);
    struct loop *loop;
    struct loop_task back;
    size_t kept;
    bool ran;
    atomic_bool cancelled;
};

enum err work_pool_new(struct work_pool **out, const struct work_pool_opts *opts, struct reason *why) MUST_CHECK;
/* What runs is finished, what waits is given back without having run, submitting fails from here on. The loops must
 * live until then, and run what was posted to them. */
void work_pool_stop(struct work_pool *p);
void work_pool_free(struct work_pool *p); /* stops first; NULL is fine */

/* `share`: whose work it is (work_share_of(), or any number); `bytes`: the most memory it may hold. */
void work_item_init(struct work_item *w, struct loop *loop, uint64_t share, size_t bytes);
/* ERR_LIMIT_EXCEEDED: too much waits. ERR_CANCELLED: the pool stops. `done` is not called then. */
enum err work_pool_submit(struct work_pool *p, struct work_item *w) MUST_CHECK;
void work_item_cancel(struct work_item *w);
/* For `run`: nobody wants the outcome any more. */
static inline bool work_item_cancelled(const struct work_item *w)
{
    return atomic_load_explicit(&w->cancelled, memory_order_relaxed);
}
void work_pool_give_back(struct work_pool *p, uint64_t share, size_t bytes);
uint64_t work_share_of(const struct work_pool *p, struct slice name); /* keyed, so that nobody chooses his neighbour */

/* Wipe and free a large buffer, which takes milliseconds, on the pool; a small one here. Never fails. */
void work_pool_discard(struct work_pool *p, struct buf *b);

struct work_pool_load {
    size_t waiting, running, bytes;
};
struct work_pool_load work_pool_load(struct work_pool *p);

#endif
