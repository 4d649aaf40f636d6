/* SPDX-License-Identifier: Apache-2.0
 * Answers and forwarding. A request is finished exactly once: by an answer made here, by the cluster's answer relayed
 * or changed, or by failing. One whose client went away still runs to its end (what was sent to the cluster was sent)
 * and is then freed. */
#include "core/base/log.h"
#include "gateway/api.h"
#include "gateway/pending.h"

static void set_throttle(struct pending *p, void *response)
{
    const struct wire_struct *body = p->api->response->body;

    if (p->throttle_ms <= 0)
        return;
    for (size_t i = 0; i < body->field_count; i++)
        if (strcmp(body->fields[i].name, "ThrottleTimeMs") == 0 &&
            wire_versions_has(body->fields[i].versions, p->version))
            *(int32_t *)(void *)((uint8_t *)response + body->fields[i].offset) =
                p->throttle_ms < INT32_MAX ? (int32_t)p->throttle_ms : INT32_MAX;
}

void pending_answer(struct pending *p, void *response)
{
    enum err err;

    set_throttle(p, response);
    err = wire_response_frame(&p->answer, p->api->key, p->version, p->correlation_id, response);
    if (err) {
        log_error("an answer to %s version %d cannot be encoded: %s", p->api->name, p->version, err_text(err));
        pending_fail(p, CONN_CLOSE_INTERNAL, "an answer could not be encoded");
        return;
    }
    pending_finish(p);
}

static void put_u32(uint8_t *at, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(v >> (24 - 8 * i));
}

/* The cluster's frame has the very header the client expects (same API, same version); only the correlation id is the
 * connection's own. ThrottleTimeMs is patched where it is the body's first field. */
void pending_relay(struct pending *p)
{
    const struct wire_field *first = &p->api->response->body->fields[0];
    size_t body_at;

    if (kafka_client_take(p->answering, &p->answer, &body_at)) {
        pending_fail(p, CONN_CLOSE_NO_MEMORY, NULL);
        return;
    }
    put_u32(p->answer.p, (uint32_t)p->correlation_id);
    if (p->throttle_ms > 0 && strcmp(first->name, "ThrottleTimeMs") == 0 &&
        wire_versions_has(first->versions, p->version) && p->answer.n >= body_at + 4)
        put_u32(p->answer.p + body_at, p->throttle_ms < INT32_MAX ? (uint32_t)p->throttle_ms : INT32_MAX);
    p->bare = true;
    pending_finish(p);
}

void pending_fail_unanswered(struct pending *p, enum err lost, enum err wrong)
{
    if (!lost && p->session)
        log_warn("%s: the cluster's answer to %s version %d cannot be used: %s", conn_peer(p->session->conn),
                 p->api->name, p->version, err_text(wrong));
    pending_fail(p, CONN_CLOSE_LOCAL, "the cluster did not answer");
}

void pending_silent(struct pending *p)
{
    p->silent = true;
    pending_finish(p);
}

void pending_forward(struct pending *p, pending_response_fn then)
{
    upstream_send(p->session, p, p->api->key, p->version, p->client_id, p->body_bytes, false, then);
}

static void send_struct(struct pending *p, int16_t api_key, int16_t version, const void *request, bool no_answer,
                        pending_response_fn then)
{
    struct buf body;
    enum err err;

    buf_init(&body, 0);
    err = wire_api(api_key)->request->encode(request, &body, version);
    if (err) {
        log_error("a request %s version %d cannot be encoded: %s", wire_api(api_key)->name, version, err_text(err));
        buf_free(&body);
        pending_fail(p, CONN_CLOSE_INTERNAL, "a request could not be encoded");
        return;
    }
    upstream_send(p->session, p, api_key, version, p->client_id, buf_slice(&body), no_answer, then);
    buf_free(&body);
}

void pending_forward_struct(struct pending *p, const void *request, pending_response_fn then)
{
    send_struct(p, p->api->key, p->version, request, false, then);
}

void pending_forward_silent(struct pending *p, const void *request)
{
    if (request)
        send_struct(p, p->api->key, p->version, request, true, NULL);
    else
        upstream_send(p->session, p, p->api->key, p->version, p->client_id, p->body_bytes, true, NULL);
}

void pending_ask(struct pending *p, int16_t api_key, int16_t version, const void *request, pending_response_fn then)
{
    send_struct(p, api_key, version, request, false, then);
}

bool pending_decode(struct pending *p, enum err err, struct slice body, void *response)
{
    struct cursor c = cursor_of(body);
    enum err wrong = ERR_OK;

    if (!p->session) { /* the client left while the cluster answered */
        pending_silent(p);
        return false;
    }
    if (!err)
        wrong = p->api->response->decode(response, &c, p->version, &p->arena);
    if (!err && !wrong)
        wrong = cursor_finish(&c);
    if (!err && !wrong)
        return true;
    pending_fail_unanswered(p, err, wrong);
    return false;
}
