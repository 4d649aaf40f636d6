/* SPDX-License-Identifier: Apache-2.0
 * The worker threads. Each runs one loop; everything that reaches a worker from outside (a new view, a new port) is
 * posted to its loop. A new view is offered in a slot of the worker's own, so handing it over takes no memory, and a
 * newer one takes the place of one that was not taken yet. */
#include "gateway/session/worker.h"
#include "core/base/log.h"
#include "gateway/filter/schema_topics.h"
#include "gateway/session/parked.h"
#include "gateway/session/session.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static void *run(void *arg)
{
    struct worker *w = arg;
    loop_run(w->loop);
    return NULL;
}

struct attach { /* lives as long as the worker */
    struct attach *next;
    struct worker *worker;
    struct entrance *entrance;
    int listener;
};

static void on_accept(void *arg, struct accepted a)
{
    struct attach *at = arg;
    parked_let_in(at->worker, at->entrance, at->listener - 1, a);
}

void worker_attach(struct worker *w, struct entrance *e, int listener_index)
{
    struct attach *at = calloc(1, sizeof *at);
    if (!at)
        return;
    *at = (struct attach){w->attached, w, e, listener_index};
    if (listener_attach(e->listeners[listener_index], (unsigned)w->index, w->loop, on_accept, at)) {
        log_error("worker %d cannot listen on port %u", w->index, listener_port(e->listeners[listener_index]));
        free(at);
        return;
    }
    w->attached = at;
}

static void take_view(void *arg)
{
    struct worker *w = arg;
    struct view *v;

    atomic_store(&w->taking, false); /* from here on a newer one posts again */
    v = atomic_exchange(&w->offered, NULL);
    if (!v)
        return;
    view_free(w->view);
    w->view = v;
    w->engine.view = v;
}

static void offer_view(struct worker *w, struct view *v)
{
    view_free(atomic_exchange(&w->offered, v));
    if (!atomic_exchange(&w->taking, true))
        loop_post_task(w->loop, &w->take, take_view, w);
}

enum err workers_set_view(struct gateway *g)
{
    struct view *views[WORKERS_MAX];
    int n = 0;

    while (n < g->worker_count && (views[n] = knowledge_view(g->knowledge)))
        n++;
    for (int i = 0; i < n; i++) {
        if (n == g->worker_count)
            offer_view(&g->workers[i], views[i]);
        else
            view_free(views[i]);
    }
    return n == g->worker_count ? ERR_OK : ERR_NO_MEMORY;
}

static void leave_silent(void *arg)
{
    struct worker *w = arg;

    atomic_store(&w->leaving, false);
    for (struct session *s = w->sessions; s; s = s->next)
        upstreams_leave_silent(s);
}

void workers_leave_silent(struct gateway *g)
{
    for (int i = 0; i < g->worker_count; i++)
        if (!atomic_exchange(&g->workers[i].leaving, true))
            loop_post_task(g->workers[i].loop, &g->workers[i].leave, leave_silent, &g->workers[i]);
}

/* ---- The engine's turns ---- */

static void take_turn(void *arg)
{
    struct worker *w = arg;

    if (engine_run(&w->engine, loop_now_ms(w->loop)))
        loop_later(w->loop, w->turn);
}

static void look_at_memory(void *arg)
{
    struct worker *w = arg;
    bool any = false;

    for (struct session *s = w->sessions; s; s = s->next) {
        session_feed(s);
        any = any || s->starved || s->held;
    }
    if (any)
        loop_timer_start(&w->memory, MEMORY_WATCH_MS);
}

static enum err start_engine(struct worker *w)
{
    struct gateway *g = w->gateway;

    engine_init(&w->engine, &session_engine_ops, w);
    w->engine.meters = g->meters;
    w->engine.cluster = &g->cluster;
    w->engine.topics = &w->topics;
    w->engine.subscriptions = g->subscriptions;
    w->engine.process = &g->holders.process;
    w->engine.reserved = g->reserved;
    loop_timer_init(&w->memory, w->loop, look_at_memory, w);
    return loop_later_new(&w->turn, take_turn, w);
}

static enum err worker_start(struct gateway *g, int index, size_t series_max, struct reason *why)
{
    struct worker *w = &g->workers[index];
    struct key_client_opts keys = {.socket_path = g->keyd_socket, .keeper = g->keeper};
    char name[64];
    enum err err;

    w->gateway = g;
    w->index = index;
    w->refusals = refusals_new("castellan_gateway_refusals_total",
                               "Rights that were asked for and not given, by principal, operation and resource type.",
                               "is refused", series_max);
    w->throttles = refusals_new("castellan_gateway_throttles_total",
                                "Answers that carried a throttle time, by principal, request and quota.",
                                "is throttled", series_max);
    if (!w->refusals || !w->throttles)
        return reason_set(why, ERR_NO_MEMORY, "no memory for a worker");
    err = loop_new(&w->loop, NULL, why);
    if (!err)
        err = start_engine(w);
    if (err)
        return err;
    if (g->keyd_socket) {
        snprintf(name, sizeof name, "gateway/worker-%d", index);
        keys.name = name;
        keys.caller = w->loop;
        err = key_client_new(&w->keys, NULL, &keys, why);
        if (err)
            return err;
    }
    if (!pthread_create(&w->thread, NULL, run, w))
        return ERR_OK;
    key_client_free(w->keys);
    w->keys = NULL;
    return reason_set(why, ERR_NO_MEMORY, "cannot start a worker thread");
}

enum err workers_start(struct gateway *g, int count, struct reason *why)
{
    g->workers = calloc((size_t)count, sizeof *g->workers);
    if (!g->workers)
        return ERR_NO_MEMORY;
    if (g->keyd_socket) {
        enum err err = key_keeper_new(&g->keeper, why);
        if (err)
            return err;
    }
    for (int i = 0; i < count; i++) {
        enum err err = worker_start(g, i, REFUSALS_MAX / (size_t)count, why);
        if (err)
            return err;
        g->worker_count++;
    }
    return g->keeper ? key_keeper_start(g->keeper, why) : ERR_OK;
}

static void end_worker(void *arg)
{
    struct worker *w = arg;
    w->stopping = true;
    parked_send_away(w);
    session_close_all(w);
    key_client_free(w->keys);
    w->keys = NULL;
    loop_stop(w->loop);
}

void workers_stop(struct gateway *g)
{
    for (int i = 0; i < g->worker_count; i++) {
        struct worker *w = &g->workers[i];
        loop_post_task(w->loop, &w->end, end_worker, w);
    }
    for (int i = 0; i < g->worker_count; i++)
        pthread_join(g->workers[i].thread, NULL);
    key_keeper_free(g->keeper); /* the workers' loops are still there: keys on their way to them arrive */
    g->keeper = NULL;
}

void workers_free(struct gateway *g)
{
    for (int i = 0; i < g->worker_count; i++) {
        struct worker *w = &g->workers[i];
        for (int round = 0; round < 100 && w->sessions; round++) /* let the closes call back */
            loop_run_once(w->loop, false);
        loop_later_free(w->turn);
        loop_free(w->loop);
        view_free(w->view);
        view_free(atomic_load(&w->offered));
        refusals_free(w->refusals);
        refusals_free(w->throttles);
        schema_topics_free(w->schema_topics);
        topic_names_free(&w->topics);
        map_free(&w->shares, free);
        while (w->attached) {
            struct attach *at = w->attached;
            w->attached = at->next;
            free(at);
        }
    }
    free(g->workers);
    g->workers = NULL;
    g->worker_count = 0;
}

struct heavy worker_heavy(struct worker *w, struct slice principal)
{
    return (struct heavy){.pool = w->gateway->pool,
                          .loop = w->loop,
                          .share = work_share_of(w->gateway->pool, principal),
                          .limits = w->gateway->unpack_limits,
                          .counters = &w->gateway->counters};
}
