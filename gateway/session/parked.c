/* SPDX-License-Identifier: Apache-2.0
 * Connections on their way to a session. Most go straight through. One whose address has taken all its turns for now,
 * or, at a mutual TLS port, has failed too often of late, is parked on its worker with a timer: its socket is not read
 * and no handshake begins. It keeps its place among the strangers meanwhile, so what is parked is bounded. */
#include "gateway/session/parked.h"
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

void parked_let_in(struct worker *w, struct entrance *e, int place, struct accepted a)
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

void parked_send_away(struct worker *w)
{
    while (w->parked) {
        struct parked *p = w->parked;

        unlink_parked(p);
        listener_drop(p->accepted);
        free(p);
    }
}
