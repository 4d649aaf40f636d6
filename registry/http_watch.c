/* SPDX-License-Identifier: Apache-2.0
 * Connections that wait for a request, and a thread that looks at them now and then.
 *
 * A connection's state is one atomic number, so that a request costs no lock; the list is locked when a connection
 * comes or goes, and while the thread looks. Shutting a socket down (not closing it) makes its owner see the end of it.
 */
#include "registry/http_watch.h"

#include "core/base/env.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

struct watched {
    struct watched *next, **at;
    _Atomic int64_t since_ms; /* waiting since then; 0: at work */
    int fd;
    uint64_t mark;
};

struct watch {
    pthread_mutex_t lock;
    pthread_cond_t stop_asked;
    pthread_t thread;
    struct watched *list;
    unsigned limit_ms;
    bool stop;
};

static int64_t now_ms(void)
{
    return env_mono_ms(env_system());
}

static void shut_late(struct watch *w)
{
    int64_t now = now_ms();
    for (struct watched *c = w->list; c; c = c->next) {
        int64_t since = atomic_load(&c->since_ms);
        if (since && now - since > w->limit_ms)
            (void)shutdown(c->fd, SHUT_RDWR);
    }
}

static void *look(void *ctx)
{
    struct watch *w = ctx;
    struct timespec next;
    pthread_mutex_lock(&w->lock);
    clock_gettime(CLOCK_MONOTONIC, &next);
    while (!w->stop) {
        next.tv_sec++;
        while (!w->stop && pthread_cond_timedwait(&w->stop_asked, &w->lock, &next) == 0)
            ;
        shut_late(w);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

enum err watch_start(struct watch **out, unsigned limit_ms, struct reason *why)
{
    pthread_condattr_t monotonic;
    struct watch *w = calloc(1, sizeof *w);
    if (!w)
        return reason_set(why, ERR_NO_MEMORY, "out of memory");
    w->limit_ms = limit_ms;
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&w->stop_asked, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&w->thread, NULL, look, w)) {
        pthread_cond_destroy(&w->stop_asked);
        pthread_mutex_destroy(&w->lock);
        free(w);
        return reason_set(why, ERR_NO_MEMORY, "no thread to watch connections");
    }
    *out = w;
    return ERR_OK;
}

void watch_stop(struct watch *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_cond_signal(&w->stop_asked);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    pthread_cond_destroy(&w->stop_asked);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

struct watched *watch_open(struct watch *w, int fd)
{
    struct watched *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->fd = fd;
    atomic_init(&c->since_ms, now_ms());
    pthread_mutex_lock(&w->lock);
    c->next = w->list;
    c->at = &w->list;
    if (c->next)
        c->next->at = &c->next;
    w->list = c;
    pthread_mutex_unlock(&w->lock);
    return c;
}

void watch_close(struct watch *w, struct watched *c)
{
    if (!c)
        return;
    pthread_mutex_lock(&w->lock);
    *c->at = c->next;
    if (c->next)
        c->next->at = c->at;
    pthread_mutex_unlock(&w->lock);
    free(c);
}

uint64_t watched_mark(const struct watched *c)
{
    return c ? c->mark : 0;
}

void watched_set_mark(struct watched *c, uint64_t mark)
{
    if (c)
        c->mark = mark;
}

void watch_busy(struct watched *c)
{
    if (c)
        atomic_store(&c->since_ms, 0);
}

void watch_waiting(struct watched *c)
{
    if (c)
        atomic_store(&c->since_ms, now_ms());
}
