/* SPDX-License-Identifier: Apache-2.0
 * The worker threads. Each runs one loop; everything that reaches a worker from outside (a new view, a new port) is
 * posted to its loop. */
#include "gateway/worker.h"
#include "core/base/log.h"
#include "gateway/schema_topics.h"
#include "gateway/session.h"

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
    door_let_in(at->worker, at->entrance, at->listener - 1, a);
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

struct new_view {
    struct worker *worker;
    struct view *view;
};

static void take_view(void *arg)
{
    struct new_view *n = arg;
    view_free(n->worker->view);
    n->worker->view = n->view;
    free(n);
}

void workers_set_view(struct gateway *g)
{
    for (int i = 0; i < g->worker_count; i++) {
        struct new_view *n = calloc(1, sizeof *n);
        if (!n)
            return;
        n->worker = &g->workers[i];
        n->view = knowledge_view(g->knowledge);
        if (!n->view || loop_post(n->worker->loop, take_view, n)) {
            view_free(n->view);
            free(n);
        }
    }
}

const char *worker_topic_name(struct worker *w, const uint8_t id[16])
{
    return map_get(&w->topic_ids, slice_of(id, 16));
}

void worker_learn_topic(struct worker *w, const uint8_t id[16], struct slice name)
{
    char *copy;

    if (map_has(&w->topic_ids, slice_of(id, 16)))
        return;
    if (map_count(&w->topic_ids) >= TOPIC_IDS_MAX) /* ids of topics long gone: start over, they are learned again */
        map_free(&w->topic_ids, free);
    copy = strndup((const char *)name.p, name.n);
    if (copy && map_put(&w->topic_ids, slice_of(id, 16), copy, NULL))
        free(copy);
}

static enum err worker_start(struct gateway *g, int index, struct reason *why)
{
    struct worker *w = &g->workers[index];
    struct key_client_opts keys = {.socket_path = g->keyd_socket};
    char name[64];
    enum err err;

    w->gateway = g;
    w->index = index;
    err = loop_new(&w->loop, NULL, why);
    if (err)
        return err;
    if (g->keyd_socket) {
        snprintf(name, sizeof name, "gateway/worker-%d", index);
        keys.name = name;
        keys.admin = index == 0;
        err = key_client_new(&w->keys, loop_uv(w->loop), &keys, why);
        if (err)
            return err;
    }
    return pthread_create(&w->thread, NULL, run, w) ? reason_set(why, ERR_NO_MEMORY, "cannot start a worker thread")
                                                    : ERR_OK;
}

enum err workers_start(struct gateway *g, int count, struct reason *why)
{
    g->workers = calloc((size_t)count, sizeof *g->workers);
    if (!g->workers)
        return ERR_NO_MEMORY;
    for (int i = 0; i < count; i++) {
        enum err err = worker_start(g, i, why);
        if (err)
            return err;
        g->worker_count++;
    }
    return ERR_OK;
}

static void end_worker(void *arg)
{
    struct worker *w = arg;
    w->stopping = true;
    door_send_away(w);
    session_close_all(w);
    key_client_free(w->keys);
    w->keys = NULL;
    loop_stop(w->loop);
}

void workers_stop(struct gateway *g)
{
    for (int i = 0; i < g->worker_count; i++) {
        struct worker *w = &g->workers[i];
        if (loop_post(w->loop, end_worker, w))
            loop_stop(w->loop);
    }
    for (int i = 0; i < g->worker_count; i++)
        pthread_join(g->workers[i].thread, NULL);
}

void workers_free(struct gateway *g)
{
    for (int i = 0; i < g->worker_count; i++) {
        struct worker *w = &g->workers[i];
        for (int round = 0; round < 100 && w->sessions; round++) /* let the closes call back */
            loop_run_once(w->loop, false);
        loop_free(w->loop);
        view_free(w->view);
        schema_topics_free(w->schema_topics);
        map_free(&w->topic_ids, free);
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
