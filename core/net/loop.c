/* SPDX-License-Identifier: Apache-2.0
 * One event loop on one thread, over libuv.
 *
 * A round: libuv runs its timer, our prepare hook runs due timers and deferred work, libuv polls and calls back, our
 * check hook runs deferred work again. Deferred work is what connections put off to the end of a round: sending what
 * was written during it, reporting that they closed. If deferred work defers more, an idle handle keeps the next poll
 * from blocking.
 *
 * Other threads reach a loop only through the posted list (a mutex and a uv_async).
 * The block pool hands out 256 KiB batches for socket bytes, so that idle connections own none. */
#include "core/net/loop_internal.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

struct loop_signal {
    uv_signal_t uv;
    struct loop_signal *next;
    loop_fn fn;
    void *arg;
};

int64_t loop_now_ms(struct loop *l)
{
    return env_mono_ms(l->env);
}

struct env *loop_env(struct loop *l)
{
    return l->env;
}

struct uv_loop_s *loop_uv(struct loop *l)
{
    return &l->uv;
}

/* ---- deferred work, residents, blocks ---- */

void loop_defer(struct loop *l, struct loop_deferred *d)
{
    if (d->queued)
        return;
    d->queued = true;
    d->prev = l->deferred.prev;
    d->next = &l->deferred;
    d->prev->next = d;
    d->next->prev = d;
}

void loop_undefer(struct loop_deferred *d)
{
    if (!d->queued)
        return;
    d->queued = false;
    d->prev->next = d->next;
    d->next->prev = d->prev;
}

enum err loop_later_new(struct loop_deferred **out, loop_fn fn, void *arg)
{
    *out = calloc(1, sizeof **out);
    if (!*out)
        return ERR_NO_MEMORY;
    (*out)->fn = fn;
    (*out)->arg = arg;
    return ERR_OK;
}

void loop_later_free(struct loop_deferred *d)
{
    if (d)
        loop_undefer(d);
    free(d);
}

void loop_later(struct loop *l, struct loop_deferred *d)
{
    loop_defer(l, d);
}

static void on_idle(uv_idle_t *idle)
{
    (void)idle;
}

/* Runs what is queued now; what that queues waits for the next hook. True: something ran. */
static bool deferred_run(struct loop *l)
{
    struct loop_deferred fence = {0};
    bool ran = l->deferred.next != &l->deferred;

    if (ran) {
        loop_defer(l, &fence);
        while (l->deferred.next != &fence) {
            struct loop_deferred *d = l->deferred.next;
            loop_undefer(d);
            d->fn(d->arg);
        }
        loop_undefer(&fence);
    }
    return ran;
}

/* With `on` the next poll does not block. */
static void keep_awake(struct loop *l, bool on)
{
    if (on)
        uv_idle_start(&l->idle, on_idle);
    else
        uv_idle_stop(&l->idle);
}

void loop_settle(struct loop *l, struct loop_resident *r)
{
    r->prev = l->residents.prev;
    r->next = &l->residents;
    r->prev->next = r;
    r->next->prev = r;
}

void loop_unsettle(struct loop_resident *r)
{
    if (!r->next)
        return;
    r->prev->next = r->next;
    r->next->prev = r->prev;
    r->next = r->prev = NULL;
}

struct loop_block *loop_block_get(struct loop *l)
{
    struct loop_block *b = l->blocks;

    if (!b)
        return malloc(sizeof *b);
    l->blocks = b->next;
    l->blocks_n--;
    return b;
}

void loop_block_put(struct loop *l, struct loop_block *b)
{
    if (!b)
        return;
    if (l->blocks_n >= LOOP_BLOCKS_KEPT_MAX) {
        free(b);
        return;
    }
    b->next = l->blocks;
    l->blocks = b;
    l->blocks_n++;
}

/* ---- timers ---- */

static void on_timer(uv_timer_t *timer)
{
    struct loop *l = timer->data;
    l->armed_ms = -1;
}

static void timers_arm(struct loop *l)
{
    int64_t after;

    if (!l->timers) {
        if (l->armed_ms >= 0)
            uv_timer_stop(&l->timer);
        l->armed_ms = -1;
        return;
    }
    if (l->armed_ms == l->timers->due_ms)
        return;
    l->armed_ms = l->timers->due_ms;
    after = l->timers->due_ms - loop_now_ms(l);
    uv_update_time(&l->uv);
    uv_timer_start(&l->timer, on_timer, after > 0 ? (uint64_t)after : 0, 0);
}

/* Runs what is due at `now`; timers started meanwhile, even with no delay, wait for the next round. */
static bool timers_run(struct loop *l)
{
    int64_t now;
    int i;

    if (!l->timers)
        return false;
    now = loop_now_ms(l);
    for (i = 0; i < 100000 && l->timers && l->timers->due_ms <= now; i++) {
        struct loop_timer *t = l->timers;
        loop_timer_stop(t);
        t->fn(t->arg);
    }
    return i > 0;
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct loop *l = prepare->data;

    bool ran;

    l->read_left = LOOP_READ_BUDGET;
    ran = timers_run(l);
    /* What ran here may be what the caller of loop_run_once() waits for, so the round ends without waiting for more. */
    ran = deferred_run(l) || ran;
    keep_awake(l, ran || l->deferred.next != &l->deferred);
    timers_arm(l);
}

static void on_check(uv_check_t *check)
{
    struct loop *l = check->data;

    (void)deferred_run(l);
    keep_awake(l, l->deferred.next != &l->deferred);
}

/* ---- posting ---- */

static void posted_run(struct loop *l)
{
    struct loop_task *list, *next;

    pthread_mutex_lock(&l->lock);
    list = l->posted_head;
    l->posted_head = l->posted_tail = NULL;
    l->posted_n = 0;
    pthread_mutex_unlock(&l->lock);
    for (; list; list = next) {
        struct loop_task task = *list; /* a task of the caller's may be posted again, or freed, by its own function */

        next = task.next;
        if (task.allocated)
            free(list);
        task.fn(task.arg);
    }
}

static void on_async(uv_async_t *async)
{
    posted_run(async->data);
}

/* False when `max` are waiting. */
static bool enqueue(struct loop *l, struct loop_task *task, size_t max)
{
    bool room;

    pthread_mutex_lock(&l->lock);
    room = l->posted_n < max;
    if (room) {
        if (l->posted_tail)
            l->posted_tail->next = task;
        else
            l->posted_head = task;
        l->posted_tail = task;
        l->posted_n++;
    }
    pthread_mutex_unlock(&l->lock);
    if (room)
        uv_async_send(&l->async);
    return room;
}

enum err loop_post(struct loop *l, loop_fn fn, void *arg)
{
    struct loop_task *task = malloc(sizeof *task);

    if (!task)
        return ERR_NO_MEMORY;
    *task = (struct loop_task){NULL, fn, arg, true};
    if (enqueue(l, task, LOOP_POST_MAX))
        return ERR_OK;
    free(task);
    return ERR_LIMIT_EXCEEDED;
}

void loop_post_task(struct loop *l, struct loop_task *task, loop_fn fn, void *arg)
{
    *task = (struct loop_task){NULL, fn, arg, false};
    (void)enqueue(l, task, SIZE_MAX);
}

/* ---- signals ---- */

static void on_signal(uv_signal_t *signal, int signum)
{
    struct loop_signal *s = signal->data;
    (void)signum;
    s->fn(s->arg);
}

enum err loop_on_signal(struct loop *l, int signum, loop_fn fn, void *arg)
{
    struct loop_signal *s = calloc(1, sizeof *s);

    if (!s)
        return ERR_NO_MEMORY;
    s->fn = fn;
    s->arg = arg;
    if (uv_signal_init(&l->uv, &s->uv)) {
        free(s);
        return ERR_IO;
    }
    s->uv.data = s;
    s->next = l->signals;
    l->signals = s;
    uv_unref((uv_handle_t *)&s->uv);
    return uv_signal_start(&s->uv, on_signal, signum) ? ERR_IO : ERR_OK;
}

/* ---- life ---- */

enum err loop_new(struct loop **out, struct env *env, struct reason *why)
{
    struct loop *l = calloc(1, sizeof *l);
    int e;

    *out = NULL;
    if (!l)
        return reason_set(why, ERR_NO_MEMORY, "no memory for an event loop");
    l->scratch = malloc(LOOP_SCRATCH_SIZE);
    if (!l->scratch) {
        free(l);
        return reason_set(why, ERR_NO_MEMORY, "no memory for an event loop");
    }
    e = uv_loop_init(&l->uv);
    if (!e) {
        e = uv_async_init(&l->uv, &l->async, on_async);
        if (e)
            (void)uv_loop_close(&l->uv);
    }
    if (e) {
        free(l->scratch);
        free(l);
        return reason_set(why, err_from_errno(-e), "cannot make an event loop: %s", uv_strerror(e));
    }
    /* These four cannot fail. */
    uv_prepare_init(&l->uv, &l->prepare);
    uv_check_init(&l->uv, &l->check);
    uv_idle_init(&l->uv, &l->idle);
    uv_timer_init(&l->uv, &l->timer);
    l->async.data = l->prepare.data = l->check.data = l->idle.data = l->timer.data = l;
    uv_prepare_start(&l->prepare, on_prepare);
    uv_check_start(&l->check, on_check);
    l->env = env ? env : env_system();
    l->armed_ms = -1;
    l->read_left = LOOP_READ_BUDGET;
    l->deferred.next = l->deferred.prev = &l->deferred;
    l->residents.next = l->residents.prev = &l->residents;
    pthread_mutex_init(&l->lock, NULL);
    *out = l;
    return ERR_OK;
}

bool loop_run_once(struct loop *l, bool wait)
{
    if (!atomic_load(&l->stopping))
        uv_run(&l->uv, wait ? UV_RUN_ONCE : UV_RUN_NOWAIT);
    return !atomic_load(&l->stopping);
}

void loop_run(struct loop *l)
{
    while (loop_run_once(l, true))
        ;
    atomic_store(&l->stopping, false);
}

void loop_stop(struct loop *l)
{
    atomic_store(&l->stopping, true);
    uv_async_send(&l->async);
}

static void close_own_handles(struct loop *l)
{
    uv_close((uv_handle_t *)&l->async, NULL);
    uv_close((uv_handle_t *)&l->prepare, NULL);
    uv_close((uv_handle_t *)&l->check, NULL);
    uv_close((uv_handle_t *)&l->idle, NULL);
    uv_close((uv_handle_t *)&l->timer, NULL);
    for (struct loop_signal *s = l->signals; s; s = s->next)
        uv_close((uv_handle_t *)&s->uv, NULL);
    while (uv_run(&l->uv, UV_RUN_DEFAULT))
        ;
}

void loop_free(struct loop *l)
{
    if (!l)
        return;
    posted_run(l);
    while (l->residents.next != &l->residents || l->deferred.next != &l->deferred) {
        if (l->residents.next != &l->residents) {
            struct loop_resident *r = l->residents.next;
            loop_unsettle(r);
            r->evict(r->arg);
        }
        (void)deferred_run(l);
    }
    close_own_handles(l);
    posted_run(l);
    if (uv_loop_close(&l->uv))
        assert(!"a handle outlived its loop");
    while (l->signals) {
        struct loop_signal *s = l->signals;
        l->signals = s->next;
        free(s);
    }
    while (l->blocks) {
        struct loop_block *b = l->blocks;
        l->blocks = b->next;
        free(b);
    }
    pthread_mutex_destroy(&l->lock);
    free(l->scratch);
    free(l);
}
