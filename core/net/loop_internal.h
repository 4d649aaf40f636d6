/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_NET_LOOP_INTERNAL_H
#define CASTELLAN_NET_LOOP_INTERNAL_H

#include "core/net/loop.h"
#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

/* What connections and listeners share with their loop; not for anybody else. */

enum {
    LOOP_BLOCK_SIZE = 256 << 10,  /* one batch of socket bytes */
    LOOP_BLOCKS_KEPT_MAX = 16,    /* free blocks a loop keeps for the next use */
    LOOP_SCRATCH_SIZE = 64 << 10, /* plaintext that is parsed in place */
    LOOP_READ_BUDGET = 1 << 20,   /* socket bytes read in one round; then each connection gets a small share only */
};

struct loop_block {
    struct loop_block *next;
    uint8_t bytes[LOOP_BLOCK_SIZE];
};

/* Work that waits for the end of the present round of callbacks. Embedded; queued at most once. */
struct loop_deferred {
    struct loop_deferred *next, *prev;
    loop_fn fn;
    void *arg;
    bool queued;
};

/* Something that lives on the loop and must go before the loop does. */
struct loop_resident {
    struct loop_resident *next, *prev;
    loop_fn evict;
    void *arg;
};

struct loop_signal;

struct loop {
    uv_loop_t uv;
    uv_async_t async;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t idle; /* runs while deferred work is left over, so that polling does not block */
    uv_timer_t timer;
    struct env *env;
    atomic_bool stopping;

    pthread_mutex_t lock; /* guards the three below */
    struct loop_task *posted_head, *posted_tail;
    size_t posted_n;

    struct loop_timer *timers;     /* pairing heap, earliest at the root */
    int64_t armed_ms;              /* what `timer` is set to, -1: not running */
    struct loop_deferred deferred; /* list heads */
    struct loop_resident residents;
    struct loop_signal *signals;
    struct loop_block *blocks;
    size_t blocks_n;
    uint8_t *scratch;
    bool scratch_busy;
    size_t read_left; /* of LOOP_READ_BUDGET */
};

void loop_defer(struct loop *l, struct loop_deferred *d);
void loop_undefer(struct loop_deferred *d);
void loop_settle(struct loop *l, struct loop_resident *r);
void loop_unsettle(struct loop_resident *r);
struct loop_block *loop_block_get(struct loop *l); /* NULL: no memory */
void loop_block_put(struct loop *l, struct loop_block *b);

#endif
