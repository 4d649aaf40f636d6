/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_NET_LOOP_H
#define CASTELLAN_NET_LOOP_H

#include "core/base/env.h"
#include "core/base/err.h"

/* One event loop per thread, over libuv. Only loop_post(), loop_post_task() and loop_stop() may be called from another
 * thread; everything else, and every object that lives on the loop (timers, connections, listeners), belongs to the
 * loop's thread. Before loop_run() "the loop's thread" is whoever made the loop. */
struct loop;
struct uv_loop_s;
typedef void (*loop_fn)(void *arg);

enum { LOOP_POST_MAX = 1000000 }; /* posted calls waiting in one loop */

/* `env` gives the clock for timers; NULL is env_system(). With another env the timers run by its clock, looked at
 * whenever the loop wakes up (a test advances the clock and calls loop_run_once()). */
enum err loop_new(struct loop **out, struct env *env, struct reason *why) MUST_CHECK;
/* After loop_run() returned: runs what was posted, closes what is left, frees. NULL is fine. */
void loop_free(struct loop *l);
void loop_run(struct loop *l);                 /* until loop_stop() */
bool loop_run_once(struct loop *l, bool wait); /* one round of events; false once stopped */
void loop_stop(struct loop *l);                /* thread-safe; sticky until the next loop_run() */
int64_t loop_now_ms(struct loop *l);           /* monotonic, of the env */
struct env *loop_env(struct loop *l);
struct uv_loop_s *loop_uv(struct loop *l);

/* Run fn(arg) on the loop's thread, in order of posting. Thread-safe. Fails with ERR_LIMIT_EXCEEDED or ERR_NO_MEMORY.
 */
enum err loop_post(struct loop *l, loop_fn fn, void *arg) MUST_CHECK;
/* The same in memory of the caller's, so it cannot fail: for what must reach the loop when there is no memory, too. The
 * task is free again, to be posted or to go away, from the moment fn is called. Post it once at a time. */
struct loop_task {
    struct loop_task *next;
    loop_fn fn;
    void *arg;
    bool allocated; /* by loop_post() */
};
void loop_post_task(struct loop *l, struct loop_task *task, loop_fn fn, void *arg);
/* Run fn(arg) when a signal arrives (SIGTERM, SIGHUP ...). One loop of the process should own the signals. */
enum err loop_on_signal(struct loop *l, int signum, loop_fn fn, void *arg) MUST_CHECK;

/* Work for the end of the present round of events, on the loop's thread: queued at most once, without allocation. Work
 * that queues itself again runs after the sockets were looked at. */
struct loop_deferred;
enum err loop_later_new(struct loop_deferred **out, loop_fn fn, void *arg) MUST_CHECK;
void loop_later_free(struct loop_deferred *d); /* NULL is fine */
void loop_later(struct loop *l, struct loop_deferred *d);

/* A one-shot timer, embedded in its owner. Stopping it is immediate: after loop_timer_stop() fn is not called and the
 * memory may go. Starting a running timer moves it. No allocation, O(log n). */
struct loop_timer {
    struct loop *loop;
    loop_fn fn;
    void *arg;
    int64_t due_ms;
    struct loop_timer *child, *next, *prev; /* pairing heap */
    bool running;
};

void loop_timer_init(struct loop_timer *t, struct loop *l, loop_fn fn, void *arg);
void loop_timer_start(struct loop_timer *t, int64_t after_ms);
void loop_timer_stop(struct loop_timer *t); /* fine on one that never ran */

#endif
