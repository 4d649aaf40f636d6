/* SPDX-License-Identifier: Apache-2.0
 * The rings. A turn in no ring points to itself. */
#include "gateway/request/turns.h"

#include <assert.h>
#include <stddef.h>

#define owner_of(link, type, member) ((type *)(void *)((uint8_t *)(link)-offsetof(type, member)))

void turn_init(struct turn *t)
{
    t->next = t->prev = t;
}

bool turn_is_waiting(const struct turn *t)
{
    return t->next != t;
}

void turn_leave(struct turn *t)
{
    t->next->prev = t->prev;
    t->prev->next = t->next;
    turn_init(t);
}

/* To the end of the ring, if it is in none. */
static void join(struct turn *ring, struct turn *t)
{
    if (turn_is_waiting(t))
        return;
    t->prev = ring->prev;
    t->next = ring;
    ring->prev->next = t;
    ring->prev = t;
}

static struct turn *take_first(struct turn *ring)
{
    struct turn *t = ring->next;

    assert(t != ring);
    turn_leave(t);
    return t;
}

void turns_add_pipeline(struct engine *e, struct pipeline *p)
{
    join(&p->share->ready, &p->turn);
    join(&e->ready, &p->share->turn);
}

void turns_add(struct engine *e, struct request *r)
{
    assert(r->pipeline);
    join(&r->pipeline->ready, &r->turn);
    turns_add_pipeline(e, r->pipeline);
    if (!e->running && !e->announced) {
        e->announced = true;
        e->ops->ready(e);
    }
}

/* The request whose turn it is; the rings behind it are in order again. */
struct request *turns_next(struct engine *e)
{
    struct share *s = owner_of(take_first(&e->ready), struct share, turn);
    struct pipeline *p = owner_of(take_first(&s->ready), struct pipeline, turn);
    struct request *r = owner_of(take_first(&p->ready), struct request, turn);

    if (turn_is_waiting(&p->ready))
        join(&s->ready, &p->turn);
    if (turn_is_waiting(&s->ready))
        join(&e->ready, &s->turn);
    return r;
}
