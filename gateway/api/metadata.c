/* SPDX-License-Identifier: Apache-2.0
 * Metadata needs DESCRIBE on each topic, and CREATE (on the topic or the cluster) before a missing one may be made on
 * demand (metadata_plan.h); topics a principal may not describe are refused when named and left out when all are asked
 * for. What may not be made is asked for apart, without making it. What is named twice is asked and answered once, as
 * by Kafka. */
#include "core/base/map.h"
#include "gateway/api/nodes.h"
#include "gateway/api/steps.h"
#include "gateway/filter/filter.h"
#include "gateway/api/metadata_plan.h"
#include "gateway/request/engine.h"
#include "gateway/request/topic_names.h"
#include "wire/metadata.h"

enum { CLUSTER_OPERATIONS_SINCE = 8, CLUSTER_OPERATIONS_UNTIL = 10, ASKED_AT_ONCE = 1000 };

typedef struct metadata_response_metadata_response_topic topic_answer;
typedef struct metadata_response_metadata_response_topic_array topic_answers;

struct metadata {
    struct metadata_plan plan;
    struct map seen; /* names or ids, until all are planned */
    bool planned, asked, all;
    int32_t at, kept;     /* in the list at hand */
    int32_t asked_n;      /* of plan.ask: so many were asked for, in portions */
    topic_answers held;   /* and answered */
    topic_answers merged; /* the answer's topics, as far as they are decided */
};

static void refuse(struct request *r, topic_answer *out, struct slice name, const struct wire_uuid *id, enum err err)
{
    metadata_response_metadata_response_topic_init(out);
    out->name = id && r->version >= METADATA_IDS_SINCE ? SLICE_NULL : slice_is_null(name) ? slice_of("", 0) : name;
    if (id)
        out->topic_id = *id;
    out->error_code = err_kafka(err);
}

/* ---- Going ---- */

static void free_seen(void *seen)
{
    map_free(seen, NULL);
    map_init(seen);
}

static enum err may_describe(void *ctx, struct slice topic)
{
    return request_judge(ctx, ACL_TOPIC, ACL_DESCRIBE, topic, false);
}

static enum err may_make(void *ctx, struct slice topic)
{
    return request_decide(ctx, ACL_TOPIC, ACL_CREATE, topic, request_sees_cluster(ctx, ACL_CREATE));
}

static int16_t asked_version(const struct request *r)
{
    return r->version < METADATA_CREATE_FLAG_SINCE ? METADATA_CREATE_FLAG_SINCE : r->version;
}

/* Was this one named before? */
static enum err see(struct metadata *s, const struct metadata_request_metadata_request_topic *t, bool *before)
{
    struct slice key = s->plan.by_id ? slice_of(t->topic_id.b, sizeof t->topic_id.b) : t->name;

    *before = map_has(&s->seen, key);
    return *before ? ERR_OK : map_put(&s->seen, key, s, NULL);
}

static enum step plan(struct request *r, struct metadata *s)
{
    struct metadata_rights rights = {r, may_describe, may_make};
    const struct metadata_request *req = r->body;

    while (s->plan.at < req->topics.n && !s->plan.whole) {
        bool before;
        if (see(s, &req->topics.v[s->plan.at], &before))
            return request_no_memory(r);
        if (before)
            s->plan.at++;
        else
            metadata_plan_next(&s->plan, req, r->version, &rights);
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    free_seen(&s->seen);
    s->planned = true;
    return STEP_NEXT;
}

static enum step refuse_whole(struct request *r, enum err err)
{
    struct metadata_response *resp = arena_alloc(&r->arena, sizeof *resp);

    r->taking = 0; /* nothing to put together */
    if (!resp || metadata_refuse_whole(resp, r->body, err, &r->arena))
        return request_no_memory(r);
    return request_reply(r, resp);
}

static enum step ask_without_making(struct request *r, struct metadata *s)
{
    struct metadata_request ask = *(const struct metadata_request *)r->body;
    int32_t left = s->plan.ask.n - s->asked_n;

    s->asked = true;
    ask.topics.v = s->plan.ask.v + s->asked_n;
    ask.topics.n = left < ASKED_AT_ONCE ? left : ASKED_AT_ONCE;
    ask.allow_auto_topic_creation = false;
    s->asked_n += ask.topics.n;
    return request_ask(r, WIRE_METADATA, asked_version(r), &ask);
}

/* It cannot exist either when its name is impossible. */
static bool is_missing(const topic_answer *t)
{
    return t->error_code == ERR_UNKNOWN_TOPIC_OR_PARTITION || t->error_code == ERR_INVALID_TOPIC_EXCEPTION;
}

/* The missing ones are refused, as Kafka refuses them. */
static void hold(struct request *r, struct metadata *s, const topic_answers *topics)
{
    for (int32_t i = 0; i < topics->n && s->held.n < s->plan.ask.n; i++) {
        topic_answer *t = &s->held.v[s->held.n++];
        *t = topics->v[i];
        if (is_missing(t))
            refuse(r, t, t->name, NULL, may_make(r, t->name));
        request_spent(r, 1);
    }
}

static enum step take_asked(struct request *r, struct metadata *s)
{
    struct metadata_response *resp = arena_alloc(&r->arena, sizeof *resp);
    struct cursor c;
    struct slice body;

    if (r->call.err)
        return request_end(r, CONN_CLOSE_LOCAL, "the cluster did not answer");
    body = arena_copy(&r->arena, request_call_body(r)); /* kept while the rest is asked for */
    if (!s->held.v)
        s->held.v = arena_array_unset(&r->arena, (size_t)s->plan.ask.n, sizeof *s->held.v);
    if (!resp || slice_is_null(body) || !s->held.v)
        return request_no_memory(r);
    c = cursor_of(body);
    if (metadata_response_decode(resp, &c, asked_version(r), &r->arena))
        return request_end(r, CONN_CLOSE_LOCAL, "the cluster's answer is not understood");
    hold(r, s, &resp->topics);
    if (s->asked_n < s->plan.ask.n)
        return ask_without_making(r, s);
    if (s->plan.send.n > 0)
        return STEP_NEXT;
    resp->topics = s->held;
    r->response = resp; /* there is nothing more to ask */
    return STEP_DONE;
}

static enum step begin(struct request *r)
{
    const struct metadata_request *req = r->body;
    struct metadata *s = r->state[FILTER_API] = arena_alloc(&r->arena, sizeof *s);

    if (!s)
        return request_no_memory(r);
    map_init(&s->seen);
    if (!request_own(r, &s->seen, free_seen) || metadata_plan_begin(&s->plan, req, r->version, &r->arena))
        return request_no_memory(r);
    s->all = r->version == 0 ? req->topics.n == 0 : req->topics.n < 0;
    return STEP_NEXT;
}

enum step metadata_start(struct request *r)
{
    struct metadata_request *req = r->body;
    struct metadata *s = r->state[FILTER_API];
    enum step step = s ? STEP_NEXT : begin(r);

    s = r->state[FILTER_API];
    if (step == STEP_NEXT && !s->planned)
        step = plan(r, s);
    if (step != STEP_NEXT)
        return step;
    if (s->plan.whole)
        return refuse_whole(r, s->plan.whole);
    if (s->asked) {
        step = take_asked(r, s);
        if (step != STEP_NEXT)
            return step;
    } else if (s->plan.ask.n || (r->version == 0 && req->topics.n > 0 && s->plan.send.n == 0)) {
        return ask_without_making(r, s); /* in version 0 an empty list means all */
    }
    if (req->topics.n > 0 && (s->plan.send.n < req->topics.n || s->plan.by_id)) {
        req->topics = s->plan.send; /* none, maybe: the nodes must be told all the same */
        r->changed = true;
    }
    return STEP_NEXT;
}

/* ---- Coming ---- */

/* Whom may describe it is told the rest, though it does not exist (yet). */
static int32_t told_operations(const struct request *r, struct slice topic, int16_t error)
{
    const struct metadata_request *req = r->body;

    if (!req->include_topic_authorized_operations || error == ERR_TOPIC_AUTHORIZATION_FAILED)
        return OPERATIONS_ABSENT;
    return request_operations(r, ACL_TOPIC, topic);
}

static void put_refused(struct request *r, struct metadata *s, const struct metadata_refused *f)
{
    topic_answer *t = &s->merged.v[s->merged.n++];

    refuse(r, t, f->name, NULL, f->err);
    t->topic_authorized_operations = told_operations(r, f->name, t->error_code);
}

/* Drop or refuse what the principal may not describe; learn the ids of the rest. */
static void judge_topic(struct request *r, struct metadata *s, topic_answer t)
{
    struct wire_uuid id = t.topic_id;
    bool unnamed = slice_is_null(t.name); /* an id nobody knows */
    enum err err = ERR_OK;

    if (!unnamed && s->all && request_decide(r, ACL_TOPIC, ACL_DESCRIBE, t.name, false))
        return;
    if (!unnamed && !s->all)
        err = may_describe(r, t.name);
    if (err && s->plan.by_id) /* the name stays unknown to it */
        refuse(r, &t, t.name, &id, err == ERR_UNKNOWN_TOPIC_OR_PARTITION ? ERR_UNKNOWN_TOPIC_ID : err);
    else if (err)
        refuse(r, &t, t.name, NULL, err);
    else if (!t.error_code && !unnamed)
        topic_names_learn(r->engine->topics, &id, t.name);
    t.topic_authorized_operations =
        slice_is_null(t.name) ? OPERATIONS_ABSENT : told_operations(r, t.name, t.error_code);
    s->merged.v[s->merged.n++] = t;
}

static bool begin_finish(struct request *r, struct metadata *s)
{
    struct metadata_response *resp = r->response;
    int32_t have = resp->topics.n > 0 ? resp->topics.n : 0, held = s->held.n > 0 ? s->held.n : 0;
    int32_t kept = 0;

    for (int32_t i = 0; i < resp->brokers.n; i++) {
        struct metadata_response_metadata_response_broker *b = &resp->brokers.v[i];
        b->port = node_rewrite(r, b->node_id, &b->host, b->port);
        if (b->port >= 0)
            resp->brokers.v[kept++] = *b;
    }
    resp->brokers.n = kept;
    if (resp->topics.v == s->held.v) /* what was asked apart was all there is */
        s->held.n = held = 0;
    s->merged.v =
        arena_array_unset(&r->arena, (size_t)have + (size_t)held + (size_t)s->plan.refused_n, sizeof *s->merged.v);
    s->merged.n = 0;
    return s->merged.v != NULL;
}

static void put_cluster(struct request *r, struct metadata_response *resp)
{
    const struct metadata_request *req = r->body;

    resp->cluster_authorized_operations = OPERATIONS_ABSENT;
    if (r->version < CLUSTER_OPERATIONS_SINCE || r->version > CLUSTER_OPERATIONS_UNTIL ||
        !req->include_cluster_authorized_operations)
        return;
    resp->cluster_authorized_operations =
        request_sees_cluster(r, ACL_DESCRIBE) ? request_operations(r, ACL_CLUSTER, slice_str(ACL_CLUSTER_NAME)) : 0;
}

enum step metadata_finish(struct request *r)
{
    struct metadata *s = r->state[FILTER_API];
    struct metadata_response *resp = r->response;
    int32_t have = resp->topics.n > 0 ? resp->topics.n : 0;

    if (!s->merged.v && !begin_finish(r, s))
        return request_no_memory(r);
    while (s->at < have + s->held.n) {
        int32_t i = s->at++;
        judge_topic(r, s, i < have ? resp->topics.v[i] : s->held.v[i - have]);
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    while (s->kept < s->plan.refused_n) {
        const struct metadata_refused *f = &s->plan.refused[s->kept++];
        put_refused(r, s, f);
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    resp->topics = s->merged;
    put_cluster(r, resp);
    return STEP_NEXT;
}
