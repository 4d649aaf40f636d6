/* SPDX-License-Identifier: Apache-2.0
 * Connections on their way to a session. Most go straight through. One whose address has taken all its turns for now,
 * or, at a mutual TLS port, has failed too often of late, is parked on its worker with a timer: its socket is not read
 * and no handshake begins. It keeps its place among the strangers meanwhile, so what is parked is bounded. */
#include "gateway/session/door.h"
#include "core/base/env.h"
#include "core/base/settings.h"
#include "gateway/session/session.h"

#include <assert.h>
#include <stdlib.h>

enum { PARKED_MAGIC = 0x70a26b3d };

struct parked {
    uint32_t magic; /* PARKED_MAGIC: it comes back through a timer */
    struct parked *next, **prev;
    struct worker *worker;
    struct entrance *entrance;
    int place;
    struct accepted accepted;
    struct loop_timer turn;
};

enum err door_open(struct door *d, const struct settings *s, struct reason *why)
{
    struct accept_limit_opts o = {
        .strangers_max = settings_int(s, "castellan.unauthenticated.connections.max"),
        .strangers_per_address_max = settings_int(s, "castellan.unauthenticated.connections.per.address.max"),
        .rate_per_address = settings_int(s, "castellan.connection.creation.rate.per.address")};

    pthread_mutex_init(&d->lock, NULL);
    d->authentication_ms = settings_int(s, "castellan.authentication.timeout.ms");
    d->strangers = accept_limit_new(&o);
    d->failures =
        failure_limit_new(settings_int(s, "connection.failed.authentication.delay.ms"), FAILURE_ADDRESSES_MAX);
    return d->strangers && d->failures ? ERR_OK : reason_set(why, ERR_NO_MEMORY, "no memory for the limits by address");
}

void door_close(struct door *d)
{
    accept_limit_free(d->strangers);
    failure_limit_free(d->failures);
    d->strangers = NULL;
    d->failures = NULL;
}

int64_t door_before(struct door *d, const struct address_group *from)
{
    int64_t wait_ms;

    pthread_mutex_lock(&d->lock);
    wait_ms = failure_limit_before(d->failures, from, env_mono_ms(env_system()));
    pthread_mutex_unlock(&d->lock);
    return wait_ms;
}

int64_t door_failed(struct door *d, const struct address_group *from, int64_t waited_ms)
{
    int64_t delay_ms;

    pthread_mutex_lock(&d->lock);
    delay_ms = failure_limit_failed(d->failures, from, waited_ms, env_mono_ms(env_system()));
    pthread_mutex_unlock(&d->lock);
    return delay_ms;
}

static void unlink_parked(struct parked *p)
{
    assert(p->magic == PARKED_MAGIC);
    loop_timer_stop(&p->turn);
    if (p->next)
        p->next->prev = p->prev;
    *p->prev = p->next;
    p->magic = 0;
}

static void on_turn(void *arg)
{
    struct parked *p = arg, copy = *p;

    unlink_parked(p);
    free(p);
    session_accept(copy.worker, copy.entrance, copy.place, copy.accepted);
}

void door_let_in(struct worker *w, struct entrance *e, int place, struct accepted a)
{
    struct address_group from = address_group_of(&a.peer);
    int64_t failed_ms = e->kind == ENTRANCE_SSL ? door_before(&w->gateway->door, &from) : 0;
    struct parked *p;

    if (failed_ms > a.wait_ms)
        a.wait_ms = failed_ms;
    if (a.wait_ms <= 0) {
        session_accept(w, e, place, a);
        return;
    }
    p = w->stopping ? NULL : calloc(1, sizeof *p);
    if (!p) {
        listener_drop(a);
        return;
    }
    *p = (struct parked){PARKED_MAGIC, w->parked, &w->parked, w, e, place, a, {0}};
    if (p->next)
        p->next->prev = &p->next;
    w->parked = p;
    loop_timer_init(&p->turn, w->loop, on_turn, p);
    loop_timer_start(&p->turn, a.wait_ms);
}

void door_send_away(struct worker *w)
{
    while (w->parked) {
        struct parked *p = w->parked;

        unlink_parked(p);
        listener_drop(p->accepted);
        free(p);
    }
}
