/* SPDX-License-Identifier: Apache-2.0
 * Requests for keys, in turn. Reading a socket only takes frames off it; what costs time (CREATE, GET) is queued here
 * and done a slice at a time, one request of each client in its turn, and the loop looks at its sockets between two
 * slices. So a renewal, an acknowledgement or a request to forget waits for one slice at the most, however much
 * somebody asks for. A client with too much in its queue is not read until half of it is done. While too many keys are
 * on their way into the log CREATEs wait, for what comes back from there is applied in one go. */
#include "crypto/keyd_internal.h"

#include <assert.h>
#include <stdlib.h>

static void turn_add(struct keyd_client *c)
{
    struct keyd *d = c->d;
    if (c->in_turn)
        return;
    c->in_turn = true;
    d->turn_n++;
    if (!d->turn) {
        d->turn = c->turn_prev = c->turn_next = c;
        return;
    }
    c->turn_next = d->turn; /* behind all others */
    c->turn_prev = d->turn->turn_prev;
    c->turn_prev->turn_next = c;
    c->turn_next->turn_prev = c;
}

static void turn_remove(struct keyd_client *c)
{
    struct keyd *d = c->d;
    if (!c->in_turn)
        return;
    c->in_turn = false;
    d->turn_n--;
    if (d->turn == c)
        d->turn = c->turn_next;
    if (!d->turn_n)
        d->turn = NULL;
    c->turn_prev->turn_next = c->turn_next;
    c->turn_next->turn_prev = c->turn_prev;
    c->turn_prev = c->turn_next = NULL;
}

static size_t job_bytes(const struct keyd_job *j)
{
    return sizeof *j + j->frame.body.n;
}

static struct keyd_job *take(struct keyd_client *c)
{
    struct keyd_job *j = c->jobs;
    c->jobs = j->next;
    if (!c->jobs) {
        c->jobs_end = &c->jobs;
        turn_remove(c);
    }
    c->jobs_bytes -= job_bytes(j);
    return j;
}

static bool can_do(const struct keyd *d, const struct keyd_job *j)
{
    return j->frame.type != KEYD_CREATE || map_count(&d->creating) < KEYD_CREATING_MAX;
}

/* The next client whose first request can be done. */
static struct keyd_client *next_client(struct keyd *d)
{
    struct keyd_client *c = d->turn;
    for (size_t i = 0; i < d->turn_n; i++, c = c->turn_next) {
        if (can_do(d, c->jobs))
            return c;
    }
    return NULL;
}

static void do_job(struct keyd_client *c)
{
    struct keyd_job *j;
    uint8_t type;
    enum err e;
    c->d->turn = c->turn_next; /* the others are before its next one */
    j = take(c);
    type = j->frame.type;
    e = type == KEYD_CREATE ? keyd_on_create(c, &j->frame) : keyd_on_get(c, &j->frame);
    free(j);
    if (e)
        keyd_client_bad(c, type, e);
    else if (c->jobs_bytes <= KEYD_JOBS_BYTES_MAX / 2)
        keyd_read(c, true);
}

static void on_idle(uv_idle_t *idle)
{
    struct keyd *d = idle->data;
    struct keyd_client *c;
    int64_t until_us = d->env->mono_us(d->env) + KEYD_SLICE_US;
    do {
        c = next_client(d);
        if (c)
            do_job(c);
    } while (c && d->env->mono_us(d->env) < until_us);
    if (!c)
        uv_idle_stop(idle);
}

void keyd_jobs_run(struct keyd *d)
{
    if (!d->working_live) {
        uv_idle_init(loop_uv(d->loop), &d->working);
        d->working.data = d;
        d->working_live = true;
    }
    if (d->turn && !d->stopping)
        uv_idle_start(&d->working, on_idle);
}

enum err keyd_job_add(struct keyd_client *c, const struct keyd_frame *f)
{
    struct keyd_job *j = malloc(sizeof *j + f->body.n);
    if (!j)
        return ERR_NO_MEMORY;
    assert(!c->closing);
    if (f->body.n)
        memcpy(j + 1, f->body.p, f->body.n);
    *j = (struct keyd_job){.frame = {f->type, f->request, slice_of(j + 1, f->body.n)}};
    *c->jobs_end = j;
    c->jobs_end = &j->next;
    c->jobs_bytes += job_bytes(j);
    turn_add(c);
    if (c->jobs_bytes > KEYD_JOBS_BYTES_MAX)
        keyd_read(c, false);
    keyd_jobs_run(c->d);
    return ERR_OK;
}

void keyd_jobs_drop(struct keyd_client *c)
{
    while (c->jobs)
        free(take(c));
    assert(c->jobs_bytes == 0 && !c->in_turn);
}

void keyd_jobs_close(struct keyd *d)
{
    if (d->working_live)
        uv_close((uv_handle_t *)&d->working, NULL);
    d->working_live = false;
}
