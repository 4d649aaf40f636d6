/* SPDX-License-Identifier: Apache-2.0
 * From a frame to the last free(), and the one place that moves a request from phase to phase and knows which moves
 * there are. */
#include "gateway/request/request_life.h"
#include "gateway/request/turns.h"

#include <assert.h>
#include <stdlib.h>

enum { REQUEST_MAGIC = 0x52714573 };

void request_check(const struct request *r)
{
    assert(r && r->magic == REQUEST_MAGIC);
    assert(r->waits >= 0 && r->at >= -1 && r->at <= REQUEST_FILTERS_MAX);
}

static const uint8_t moves[REQUEST_PHASES] = {
    [REQUEST_ARRIVED] = 1 << REQUEST_DECODING,
    [REQUEST_DECODING] = 1 << REQUEST_GOING | 1 << REQUEST_ANSWERED,
    [REQUEST_GOING] = 1 << REQUEST_AWAY | 1 << REQUEST_COMING | 1 << REQUEST_ENCODING,
    [REQUEST_AWAY] = 1 << REQUEST_COMING | 1 << REQUEST_ENCODING,
    [REQUEST_COMING] = 1 << REQUEST_ENCODING,
    [REQUEST_ENCODING] = 1 << REQUEST_ANSWERED,
};

void request_move(struct request *r, enum request_phase to)
{
    assert(to == REQUEST_ABANDONED || (moves[r->phase] & 1 << to));
    r->phase = to;
}

struct request *request_new(struct pipeline *p, struct buf *frame)
{
    struct request *r = calloc(1, sizeof *r);

    if (!r)
        return NULL;
    r->magic = REQUEST_MAGIC;
    r->engine = p->engine;
    r->pipeline = p;
    turn_init(&r->turn);
    arena_init(&r->arena, (size_t)p->request_max);
    buf_init(&r->answer, 0);
    buf_init(&r->call.frame, 0);
    buf_init(&r->reply, 0);
    buf_init(&r->forwarding, 0);
    r->frame = *frame;
    buf_init(frame, 0);
    return r;
}

struct owned {
    struct owned *next;
    void *p;
    void (*free_fn)(void *p);
};

void request_free(struct request *r)
{
    request_check(r);
    assert(r->waits == 0 && !turn_is_waiting(&r->turn));
    for (struct owned *o = r->owned; o; o = o->next)
        o->free_fn(o->p);
    if (r->secret)
        buf_wipe_free(&r->frame);
    buf_free(&r->frame);
    buf_free(&r->answer);
    buf_free(&r->call.frame);
    buf_free(&r->reply);
    buf_free(&r->forwarding);
    arena_free(&r->arena);
    r->magic = 0;
    free(r);
}

bool request_own(struct request *r, void *p, void (*free_fn)(void *p))
{
    struct owned *o = p ? arena_alloc(&r->arena, sizeof *o) : NULL;

    if (!o) {
        if (p)
            free_fn(p);
        return false;
    }
    *o = (struct owned){r->owned, p, free_fn};
    r->owned = o;
    return true;
}
