/* SPDX-License-Identifier: Apache-2.0
 * What filters and API steps may do with a request. */
#include "gateway/request/request.h"
#include "core/base/log.h"
#include "gateway/knowledge.h"
#include "gateway/request/coding.h"
#include "gateway/request/engine_data.h"
#include "gateway/request/list_data.h"
#include "gateway/request/pipeline.h"
#include "gateway/request/refusal.h"
#include "gateway/request/turns.h"

#include <assert.h>

/* ---- Who may what ---- */

const struct peer *request_peer(const struct request *r)
{
    assert(r->pipeline);
    return &r->pipeline->peer;
}

/* ERR_OK, or what to answer, in a request of this API. */
static enum err judge(const struct request *r, enum acl_type type, enum acl_operation op, struct slice name,
                      bool by_cluster, int16_t api_key)
{
    const struct peer *peer = request_peer(r);
    struct acl_question q = {type, op, name, peer->principal, peer->host};

    if (!r->engine->view)
        return reserved_refusal(type);
    return reserved_judge(&r->engine->reserved, r->engine->view->acl, &q, api_key, by_cluster, NULL);
}

enum err request_judge(const struct request *r, enum acl_type type, enum acl_operation op, struct slice name,
                       bool by_cluster)
{
    enum err err = judge(r, type, op, name, by_cluster, r->api->key);

    if (err)
        r->engine->ops->refused(r, type, op, name);
    return err;
}

enum err request_decide(const struct request *r, enum acl_type type, enum acl_operation op, struct slice name,
                        bool by_cluster)
{
    return judge(r, type, op, name, by_cluster, r->api->key);
}

bool request_is_super_user(const struct request *r)
{
    const struct peer *peer = request_peer(r);
    struct acl_question q = {ACL_CLUSTER, ACL_ALTER, slice_str(ACL_CLUSTER_NAME), peer->principal, peer->host};
    struct acl_explanation e;

    if (!r->engine->view)
        return false;
    acl_explain(r->engine->view->acl, &q, &e);
    return e.allowed && e.basis == ACL_BASIS_SUPER_USER;
}

bool request_sees(const struct request *r, enum acl_type type, enum acl_operation op, struct slice name)
{
    return judge(r, type, op, name, false, RESERVED_ANY_API) == ERR_OK;
}

bool request_may_cluster(const struct request *r, enum acl_operation op)
{
    return request_judge(r, ACL_CLUSTER, op, slice_str(ACL_CLUSTER_NAME), false) == ERR_OK;
}

bool request_sees_cluster(const struct request *r, enum acl_operation op)
{
    return request_sees(r, ACL_CLUSTER, op, slice_str(ACL_CLUSTER_NAME));
}

bool request_may_any_topic(const struct request *r, enum acl_operation op)
{
    const struct peer *peer = request_peer(r);
    struct acl_question q = {ACL_TOPIC, op, slice_of("", 0), peer->principal, peer->host};

    return r->engine->view && acl_allowed_by_type(r->engine->view->acl, &q);
}

int32_t request_operations(const struct request *r, enum acl_type type, struct slice name)
{
    int32_t bits = 0;

    for (int op = ACL_READ; op < ACL_OPERATIONS; op++)
        if (acl_operation_supported(type, (enum acl_operation)op) &&
            request_sees(r, type, (enum acl_operation)op, name))
            bits |= 1 << op;
    return bits;
}

/* ---- Ends ---- */

enum step request_reply(struct request *r, void *response)
{
    assert(response && !r->no_answer);
    r->response = response;
    return STEP_DONE;
}

/* A producer that wants no answer learns of a refusal by the end of its connection, as from Kafka. */
static enum step refused_unanswered(struct request *r)
{
    return request_end(r, CONN_CLOSE_PROTOCOL, "a produce with acks=0 was refused");
}

enum step request_refuse(struct request *r, enum err err)
{
    void *response;

    if (r->no_answer)
        return refused_unanswered(r);
    response = wire_struct_new(r->api->response->body, &r->arena);
    r->refusal = arena_alloc(&r->arena, sizeof *r->refusal);
    if (r->list && r->list->n > 0) /* as it came: some may have been taken out already */
        *r->list->array = (struct wire_array){r->list->elements, r->list->n};
    r->list = NULL;   /* whatever its parts were to get, this is the answer to all */
    r->coding = NULL; /* it may have been on its way out */
    if (!response || !r->refusal || refusal_begin(r->refusal, r->api, r->version, r->body, err, &r->arena, response))
        return request_no_memory(r);
    return request_go_on_refusing(r);
}

enum step request_go_on_refusing(struct request *r)
{
    void *response = r->refusal->response;

    switch (refusal_run(r->refusal, &r->left)) {
    case REFUSAL_MORE:
        return STEP_AGAIN;
    case REFUSAL_NO_MEMORY:
        return request_no_memory(r);
    case REFUSAL_DONE:
        break;
    }
    r->refusal = NULL;
    return request_reply(r, response);
}

enum step request_silent(struct request *r)
{
    r->no_answer = true;
    return STEP_DONE;
}

enum step request_end(struct request *r, enum conn_close why, const char *detail)
{
    assert(r->pipeline);
    pipeline_fail(r->pipeline, why, detail);
    return STEP_FAIL;
}

enum step request_no_memory(struct request *r)
{
    return request_end(r, CONN_CLOSE_NO_MEMORY, NULL);
}

struct slice request_words(struct request *r, enum err err, const struct reason *why)
{
    struct slice copy = arena_copy(&r->arena, slice_str(why && why->code ? why->text : err_text(err)));
    return slice_is_null(copy) ? slice_str(err_text(err)) : copy;
}

/* ---- To the cluster ---- */

static enum step send_to_cluster(struct request *r, const struct engine_send *s)
{
    enum err err;

    assert(!r->call.asked || r->call.arrived);
    buf_free(&r->call.frame);
    r->call.asked = !s->no_answer;
    r->call.arrived = false;
    r->call.err = ERR_OK;
    if (!s->no_answer)
        request_wait(r);
    err = r->engine->ops->send(r, s);
    if (!err)
        return s->no_answer ? request_silent(r) : STEP_WAIT;
    if (!s->no_answer)
        r->waits--;
    r->call.asked = false;
    log_warn("%s: %s cannot be sent to the cluster: %s", request_peer(r)->label, r->api->name, err_text(err));
    return request_end(r, CONN_CLOSE_LOCAL, "the cluster cannot be reached");
}

static enum step not_encodable(struct request *r, int16_t api_key, int16_t version, enum err err)
{
    log_error("a request %s version %d cannot be encoded: %s", wire_api(api_key)->name, version, err_text(err));
    return request_end(r, CONN_CLOSE_INTERNAL, "a request could not be encoded");
}

enum step request_ask(struct request *r, int16_t api_key, int16_t version, const void *message)
{
    struct engine_send s = {.api_key = api_key, .version = version, .client_id = r->client_id};
    enum step step;
    struct buf body;
    enum err err;

    buf_init(&body, 0);
    err = wire_api(api_key)->request->encode(message, &body, version);
    s.body = buf_slice(&body);
    s.owned = &body;
    step = err ? not_encodable(r, api_key, version, err) : send_to_cluster(r, &s);
    buf_free(&body);
    return step;
}

/* `forwarding` holds the encoded body between slices. */
static enum step forward_changed(struct request *r, struct engine_send *s)
{
    enum err err = ERR_OK;
    enum step step = coding_encode(r, r->api->request, r->body, &r->forwarding, &err);

    if (step == STEP_AGAIN)
        return step;
    if (err)
        return not_encodable(r, r->api->key, r->version, err);
    s->body = buf_slice(&r->forwarding);
    s->owned = &r->forwarding;
    r->forwarded = true;
    step = send_to_cluster(r, s);
    buf_free(&r->forwarding);
    return step;
}

enum step request_forward(struct request *r)
{
    struct engine_send s = {.api_key = r->api->key,
                            .version = r->version,
                            .client_id = r->client_id,
                            .body = r->body_bytes,
                            .no_answer = r->no_answer};
    enum step step;

    assert(!r->forwarded);
    if (r->changed)
        return forward_changed(r, &s);
    r->forwarded = true;
    /* the body ends the frame only where nothing was left out behind it */
    if (r->frame_spent && s.body.p + s.body.n == r->frame.p + r->frame.n)
        s.owned = &r->frame;
    step = send_to_cluster(r, &s);
    if (r->frame_spent) {
        buf_free(&r->frame);
        r->client_id = r->body_bytes = SLICE_NULL;
    }
    return step;
}

struct slice request_call_body(const struct request *r)
{
    assert(r->call.arrived && !r->call.err);
    if (r->call.frame.n < r->call.body_at)
        return slice_of("", 0);
    return slice_of(r->call.frame.p + r->call.body_at, r->call.frame.n - r->call.body_at);
}

/* ---- Events ---- */

void request_wait(struct request *r)
{
    r->waits++;
}

void request_wake(struct request *r)
{
    request_check(r);
    assert(r->waits > 0);
    r->waits--;
    r->woken = true;
    if (!r->pipeline) { /* the client left, and this was what was still under way */
        if (r->waits == 0)
            request_free(r);
        return;
    }
    if (r->engine->current != r) /* else its turn goes on */
        turns_add(r->engine, r);
}
