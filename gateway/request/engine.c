/* SPDX-License-Identifier: Apache-2.0
 * How requests move. Each phase has one function that says what is next, one function moves a request from phase to
 * phase and knows which moves there are, and one place asks whether the client is still there.
 *
 * Whose turn it is: turns.c. */
#include "gateway/request/engine.h"
#include "core/base/log.h"
#include "gateway/api/api.h"
#include "gateway/filter/filter.h"
#include "gateway/request/coding.h"
#include "gateway/request/list.h"
#include "gateway/request/turns.h"

#include <assert.h>
#include <stdio.h>

enum { ENGINE_MAGIC = 0x456e6769 };

void engine_init(struct engine *e, const struct engine_ops *ops, void *owner)
{
    *e = (struct engine){.magic = ENGINE_MAGIC,
                         .ops = ops,
                         .owner = owner,
                         .slice_units = ENGINE_SLICE_UNITS,
                         .turn_units = ENGINE_TURN_UNITS};
    turn_init(&e->ready);
}

/* ---- The phases ---- */

static enum step decode_body(struct request *r)
{
    struct cursor c = cursor_of(r->body_bytes);
    enum step step;
    enum err err;

    if (!r->body && !(r->body = wire_struct_new(r->api->request->body, &r->arena)))
        return request_no_memory(r);
    step = coding_decode(r, r->api->request, r->body, &c, &err);
    if (step == STEP_AGAIN)
        return step;
    if (step == STEP_DONE && (err == ERR_NO_MEMORY || err == ERR_LIMIT_EXCEEDED))
        return request_end(r, CONN_CLOSE_PROTOCOL,
                           "a request needs more memory than castellan.request.memory.max.bytes");
    if (step == STEP_DONE)
        return request_end(r, CONN_CLOSE_PROTOCOL, "a request body does not parse");
    if (cursor_left(&c))
        r->engine->ops->surplus(r);
    r->body_bytes.n -= cursor_left(&c); /* what stands behind a request means nothing (docs/leniencies.md) */
    return STEP_NEXT;
}

static enum step decode(struct request *r)
{
    enum step step = r->body ? STEP_NEXT : r->engine->ops->admit(r);

    if (step == STEP_NEXT && !slice_is_null(r->body_bytes)) /* ApiVersions of an unknown version has no body for us */
        step = decode_body(r);
    if (step != STEP_NEXT)
        return step;
    r->no_answer = r->row->silent && r->row->silent(r);
    for (int i = 0; i < FILTERS; i++)
        if (filters[i].plan(r))
            r->taking |= 1u << i;
    return STEP_NEXT;
}

static bool takes_part(const struct request *r, int filter)
{
    return r->taking & 1u << filter;
}

static enum step go(struct request *r)
{
    if (r->refusal)
        return request_go_on_refusing(r);
    while (r->at < FILTERS) {
        enum step step = takes_part(r, r->at) ? filters[r->at].start(r) : STEP_NEXT;
        if (step != STEP_NEXT)
            return step;
        r->at++;
    }
    if (r->list) {
        enum step step = list_take_out(r);
        if (step != STEP_NEXT)
            return step;
        if (r->list->refused > 0 && r->list->array->n == 0 && !r->row->asks_always)
            return list_answer(r);
        r->reads_answer = r->reads_answer || r->list->refused > 0;
    }
    r->frame_spent = r->row->spends_frame && (!r->list || r->list->refused == 0);
    return request_forward(r);
}

static enum step read_answer(struct request *r)
{
    struct cursor c;
    enum step step;
    enum err err;

    if (!r->response) {
        r->response = wire_struct_new(r->api->response->body, &r->arena);
        if (!r->response)
            return request_no_memory(r);
        r->reply = r->call.frame; /* a filter may ask something else yet */
        buf_init(&r->call.frame, 0);
    }
    c = cursor_of(slice_of(r->reply.p + r->call.body_at, r->reply_n));
    step = coding_decode(r, r->api->response, r->response, &c, &err);
    if (step == STEP_AGAIN || (step == STEP_NEXT && cursor_left(&c) == 0))
        return step;
    log_warn("%s: the cluster's answer to %s version %d is not understood", r->pipeline->peer.label, r->api->name,
             r->version);
    return request_end(r, CONN_CLOSE_LOCAL, "the cluster's answer is not understood");
}

static enum step come(struct request *r)
{
    while (r->at >= 0) {
        enum step step = takes_part(r, r->at) && filters[r->at].finish ? filters[r->at].finish(r) : STEP_NEXT;
        if (step != STEP_NEXT)
            return step;
        r->at--;
    }
    return STEP_NEXT;
}

static void put_u32(uint8_t *at, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(v >> (24 - 8 * i));
}

static int32_t throttle(const struct request *r)
{
    return r->throttle_ms < INT32_MAX ? (int32_t)r->throttle_ms : INT32_MAX;
}

/* The cluster's frame has the very header the client expects (same API, same version); only the correlation id is the
 * connection's own. ThrottleTimeMs is patched where it is the body's first field. */
static void relay(struct request *r)
{
    const struct wire_field *first = &r->api->response->body->fields[0];

    r->answer = r->call.frame;
    buf_init(&r->call.frame, 0);
    put_u32(r->answer.p, (uint32_t)r->correlation_id);
    if (r->throttle_ms > 0 && strcmp(first->name, "ThrottleTimeMs") == 0 &&
        wire_versions_has(first->versions, r->version) && r->answer.n >= r->call.body_at + 4)
        put_u32(r->answer.p + r->call.body_at, (uint32_t)throttle(r));
    r->relayed = true;
}

static void put_throttle(struct request *r)
{
    const struct wire_struct *body = r->api->response->body;

    for (size_t i = 0; r->throttle_ms > 0 && i < body->field_count; i++)
        if (strcmp(body->fields[i].name, "ThrottleTimeMs") == 0 &&
            wire_versions_has(body->fields[i].versions, r->version))
            *(int32_t *)(void *)((uint8_t *)r->response + body->fields[i].offset) = throttle(r);
}

/* The words of a refusal, where the answer has a place for them. */
static void put_words(struct request *r)
{
    const struct wire_struct *body = r->api->response->body;

    for (size_t i = 0; !slice_is_null(r->words) && i < body->field_count; i++)
        if (strcmp(body->fields[i].name, "ErrorMessage") == 0 &&
            wire_versions_has(body->fields[i].versions, r->version))
            *(struct slice *)(void *)((uint8_t *)r->response + body->fields[i].offset) = r->words;
}

static enum step encode(struct request *r)
{
    enum step step = STEP_NEXT;
    enum err err = ERR_OK;

    if (r->no_answer || r->streamed)
        return STEP_NEXT;
    if (!r->response) {
        assert(r->call.arrived && !r->reads_answer);
        relay(r);
        return STEP_NEXT;
    }
    if (!r->coding) {
        put_throttle(r);
        put_words(r);
        err = wire_response_frame_open(&r->answer, r->api->key, r->version, r->correlation_id);
    }
    if (!err)
        step = coding_encode(r, r->api->response, r->response, &r->answer, &err);
    if (step == STEP_AGAIN)
        return step;
    err = wire_frame_close(&r->answer, 0, err);
    if (!err)
        return STEP_NEXT;
    log_error("an answer to %s version %d cannot be encoded: %s", r->api->name, r->version, err_text(err));
    return request_end(r, CONN_CLOSE_INTERNAL, "an answer could not be encoded");
}

/* ---- One request's turn ---- */

static enum step phase_step(struct request *r)
{
    switch (r->phase) {
    case REQUEST_DECODING:
        return decode(r);
    case REQUEST_GOING:
        return go(r);
    case REQUEST_AWAY:
        if (!r->call.arrived)
            return STEP_WAIT;
        if (r->call.err)
            return request_end(r, CONN_CLOSE_LOCAL, "the cluster did not answer");
        if (!r->response && !r->streamed)
            r->reply_n = request_call_body(r).n;
        return r->reads_answer && !r->streamed ? read_answer(r) : STEP_NEXT;
    case REQUEST_COMING:
        return come(r);
    case REQUEST_ENCODING:
        return encode(r);
    case REQUEST_ARRIVED:
    case REQUEST_ANSWERED:
    case REQUEST_ABANDONED:
        break;
    }
    assert(!"a request that has no step");
    return STEP_FAIL;
}

/* Its phase is through. */
static void advance(struct request *r, enum step step)
{
    switch (r->phase) {
    case REQUEST_DECODING:
        request_move(r, step == STEP_DONE ? REQUEST_ANSWERED : REQUEST_GOING);
        break;
    case REQUEST_GOING: /* answered here; what has started is finished */
        if (r->at == FILTERS)
            r->at--;
        request_move(r, r->no_answer ? REQUEST_ENCODING : REQUEST_COMING);
        break;
    case REQUEST_AWAY:
        r->at = FILTERS - 1;
        request_move(r, REQUEST_COMING);
        break;
    case REQUEST_COMING:
        request_move(r, REQUEST_ENCODING);
        break;
    case REQUEST_ENCODING:
        request_move(r, REQUEST_ANSWERED);
        break;
    case REQUEST_ARRIVED:
    case REQUEST_ANSWERED:
    case REQUEST_ABANDONED:
        assert(!"a request that has no step");
    }
}

/* Over its budget: refused where it can be said, else the connection ends. */
static void over_budget(struct request *r, const struct budget *full)
{
    char text[160];
    enum step step;

    snprintf(text, sizeof text, "a request needs more memory than %s=%lld allows", full->setting, (long long)full->max);
    log_warn("%s (%.*s): %s: %s", r->pipeline->peer.label, SLICE_FMT(r->pipeline->peer.principal),
             r->api ? r->api->name : "a request", text);
    if (r->phase != REQUEST_GOING || r->waits > 0 || r->response || r->refusal || !r->body) {
        request_end(r, CONN_CLOSE_PROTOCOL, text);
        return;
    }
    r->over_budget = true; /* the refusal itself is not held against it again */
    r->taking = 0;
    r->words = arena_copy(&r->arena, slice_str(text));
    step = request_refuse(r, ERR_INVALID_REQUEST);
    if (step == STEP_DONE)
        advance(r, step);
}

static int32_t end_turn(struct pipeline *p, struct request *r)
{
    int32_t used = r->engine->slice_units - r->left;

    if (p->closing)
        return used;
    if (r->phase != REQUEST_ANSWERED) {
        turns_add(r->engine, r);
        return used;
    }
    pipeline_advance(p, r);
    pipeline_flush(p); /* r may be gone now */
    return used;
}

/* Runs it until it waits, is through, or has used up its slice. The units of work used. */
static int32_t run_request(struct request *r)
{
    struct pipeline *p = r->pipeline;

    request_check(r);
    assert(p); /* whose client left has no turn: pipeline_abandon() */
    r->left = r->engine->slice_units;
    while (!p->closing && r->phase != REQUEST_ANSWERED && r->left > 0) {
        const struct budget *full;
        enum step step;

        r->woken = false;
        r->engine->current = r;
        step = phase_step(r);
        r->engine->current = NULL;
        r->left -= ENGINE_STEP_UNITS;
        if (step == STEP_FAIL)
            return r->engine->slice_units - r->left;
        full = r->over_budget ? NULL : pipeline_charge(p, r);
        if (full) {
            over_budget(r, full);
            continue;
        }
        if (step == STEP_AGAIN)
            break;
        if (step != STEP_WAIT) {
            advance(r, step);
            continue;
        }
        if (r->phase == REQUEST_GOING && r->forwarded) {
            request_move(r, REQUEST_AWAY);
            pipeline_advance(p, r);
        }
        if (!r->woken)
            return r->engine->slice_units - r->left;
    }
    return end_turn(p, r);
}

/* ---- Turns ---- */

bool engine_run(struct engine *e, int64_t now_ms)
{
    assert(e->magic == ENGINE_MAGIC);
    if (e->running)
        return true;
    e->running = true;
    e->now_ms = now_ms;
    for (int32_t left = e->turn_units; left > 0 && turn_is_waiting(&e->ready);)
        left -= run_request(turns_next(e));
    e->running = false;
    e->announced = turn_is_waiting(&e->ready);
    return e->announced;
}

/* ---- Events ---- */

void request_answered(struct request *r, enum err err, struct buf *frame, size_t body_at)
{
    request_check(r);
    assert(r->call.asked && !r->call.arrived);
    r->call.arrived = true;
    r->call.err = err;
    if (frame) {
        buf_free(&r->call.frame);
        r->call.frame = *frame;
        buf_init(frame, 0);
        r->call.body_at = body_at;
    }
    request_wake(r);
}

bool request_may_stream(const struct request *r)
{
    return r->streamable && r->phase == REQUEST_AWAY && r->pipeline && r->pipeline->head == r && !r->pipeline->closing;
}

void request_stream(struct request *r, uint32_t header_n, uint32_t body_n, struct buf *head, uint32_t *skip)
{
    const struct wire_field *first = &r->api->response->body->fields[0];
    enum { CORRELATION_ID_SIZE = 4 };

    assert(request_may_stream(r) && header_n >= CORRELATION_ID_SIZE);
    r->streamed = true;
    if (r->row->filters & FILTER_BIT(FILTER_QUOTA))
        filter_quota_record(r, body_n);
    buf_u32(head, header_n + body_n);
    buf_u32(head, (uint32_t)r->correlation_id);
    *skip = header_n;
    for (uint32_t i = CORRELATION_ID_SIZE; i < header_n; i++)
        buf_u8(head, 0); /* no tagged fields */
    if (r->throttle_ms > 0 && strcmp(first->name, "ThrottleTimeMs") == 0 &&
        wire_versions_has(first->versions, r->version) && body_n >= sizeof(int32_t)) {
        buf_u32(head, (uint32_t)throttle(r));
        *skip += sizeof(int32_t);
    }
}
