/* SPDX-License-Identifier: Apache-2.0
 * The order within a session, and what it may hold. */
#include "gateway/request/pipeline.h"
#include "gateway/request/request_life.h"
#include "gateway/request/turns.h"

#include <assert.h>

enum { PIPELINE_MAGIC = 0x50697065 };

void pipeline_init(struct pipeline *p, struct engine *e, void *session)
{
    *p = (struct pipeline){.magic = PIPELINE_MAGIC, .engine = e, .session = session};
    p->tail = &p->head;
    turn_init(&p->turn);
    turn_init(&p->ready);
    share_init(&p->alone);
    p->share = &p->alone;
}

void share_init(struct share *s)
{
    *s = (struct share){0};
    turn_init(&s->turn);
    turn_init(&s->ready);
}

static void check(const struct pipeline *p)
{
    assert(p->magic == PIPELINE_MAGIC);
    assert((p->count == 0) == (p->head == NULL));
}

/* Not while the client does not take its answers, nor while many are on their way: they would only pile up. */
static bool may_begin(struct pipeline *p, const struct request *r)
{
    return p->engine->ops->may_answer(p) && (r == p->head || p->held <= PIPELINE_HELD_BYTES_MAX);
}

static void decide_next(struct pipeline *p)
{
    struct request *r = p->deciding;

    if (!r || r->phase != REQUEST_ARRIVED || p->closing || !may_begin(p, r))
        return;
    assert(p->ahead >= r->frame.n);
    p->ahead -= r->frame.n;
    p->held += r->charged;
    request_move(r, REQUEST_DECODING);
    turns_add(p->engine, r);
}

bool pipeline_take(struct pipeline *p, struct buf *frame)
{
    struct request *r = request_new(p, frame);

    check(p);
    if (!r) {
        buf_free(frame);
        return false;
    }
    *p->tail = r;
    p->tail = &r->next;
    p->count++;
    p->ahead += r->frame.n;
    if (!p->deciding)
        p->deciding = r;
    (void)pipeline_charge(p, r); /* too much is found when its turn comes */
    decide_next(p);
    p->engine->ops->reading(p);
    return true;
}

void pipeline_advance(struct pipeline *p, struct request *r)
{
    if (p->deciding != r)
        return;
    p->deciding = r->next;
    decide_next(p);
    p->engine->ops->reading(p);
}

const struct budget *pipeline_charge(struct pipeline *p, struct request *r)
{
    int64_t now =
        (int64_t)(r->frame.cap + r->arena.used + r->answer.cap + r->call.frame.cap + r->reply.cap + r->forwarding.cap);
    const struct budget *full = NULL;

    if (now > r->charged) {
        full = budget_take(&p->budget, now - r->charged);
        if (full)
            return full;
    } else {
        budget_give(&p->budget, r->charged - now);
    }
    if (r->phase != REQUEST_ARRIVED)
        p->held += now - r->charged;
    r->charged = now;
    return NULL;
}

static void release(struct pipeline *p, struct request *r)
{
    budget_give(&p->budget, r->charged);
    if (r->phase != REQUEST_ARRIVED)
        p->held -= r->charged;
    r->charged = 0;
}

bool pipeline_may_read(const struct pipeline *p)
{
    int64_t used = budget_used(&p->budget);
    const struct budget *process = p->engine->process;

    if (p->closing || p->count >= PIPELINE_REQUESTS_MAX || p->ahead > PIPELINE_AHEAD_BYTES_MAX ||
        used > p->budget.max / 2)
        return false;
    return !process || used <= p->reserve || budget_used(process) < process->max;
}

int64_t pipeline_room(const struct pipeline *p)
{
    int64_t room = INT64_MAX;

    for (const struct budget *b = &p->budget; b && !b->soft; b = b->parent)
        if (b->max - budget_used(b) < room)
            room = b->max - budget_used(b);
    return room > 0 ? room : 0;
}

void pipeline_flush(struct pipeline *p)
{
    check(p);
    while (p->head && p->head->phase == REQUEST_ANSWERED && !p->closing) {
        struct request *r = p->head;

        if (!r->no_answer && !r->streamed && !p->engine->ops->may_answer(p))
            break;
        if (!r->no_answer && !r->streamed && p->engine->ops->answer(p, r)) {
            pipeline_fail(p, CONN_CLOSE_QUEUE_FULL, NULL);
            return;
        }
        p->head = r->next;
        if (!p->head)
            p->tail = &p->head;
        p->count--;
        release(p, r);
        request_free(r);
    }
    decide_next(p);
    p->engine->ops->reading(p);
}

void pipeline_fail(struct pipeline *p, enum conn_close why, const char *detail)
{
    if (p->closing)
        return;
    p->closing = true;
    p->engine->ops->close(p, why, detail);
}

static void leave_turns(struct pipeline *p)
{
    turn_leave(&p->turn);
    if (!turn_is_waiting(&p->share->ready))
        turn_leave(&p->share->turn);
}

void pipeline_abandon(struct pipeline *p)
{
    check(p);
    assert(!p->engine->running);
    p->closing = true;
    leave_turns(p);
    for (struct request *r = p->head, *next; r; r = next) {
        next = r->next;
        r->next = NULL;
        r->pipeline = NULL;
        turn_leave(&r->turn);
        release(p, r);
        if (r->waits == 0) {
            request_free(r);
            continue;
        }
        request_move(r, REQUEST_ABANDONED);
        if (r->abandoned)
            r->abandoned(r->abandoned_arg);
    }
    p->head = p->deciding = NULL;
    p->tail = &p->head;
    p->count = 0;
    p->ahead = 0;
    assert(p->held == 0);
    p->magic = 0;
}

void pipeline_set_share(struct pipeline *p, struct share *s)
{
    check(p);
    leave_turns(p);
    p->share = s;
    if (turn_is_waiting(&p->ready))
        turns_add_pipeline(p->engine, p);
}
