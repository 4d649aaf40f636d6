/* SPDX-License-Identifier: Apache-2.0
 * DescribeTopicPartitions (KIP-966): DESCRIBE on each topic. A page is computed by topic_page.c over what may be
 * described; when the client asks for all topics, their names are had from the cluster's Metadata first. */
#include "gateway/api/steps.h"
#include "gateway/filter/filter.h"
#include "gateway/request/engine.h"
#include "gateway/request/topic_names.h"
#include "gateway/api/topic_page.h"
#include "wire/describe_topic_partitions.h"
#include "wire/metadata.h"

enum { NAMES_VERSION = 12 };

typedef struct describe_topic_partitions_request page_request;
typedef struct describe_topic_partitions_response page_response;
typedef struct describe_topic_partitions_response_describe_topic_partitions_response_topic topic_answer;
typedef struct describe_topic_partitions_response_describe_topic_partitions_response_topic_array topic_answers;

struct describe {
    struct topic_page_names names;
    struct topic_page page;
    bool all, asked, begun;
    int32_t at, refused_at; /* in the answer */
    topic_answers merged;
};

static void refuse_topic(topic_answer *t, struct slice name, enum err err)
{
    describe_topic_partitions_response_describe_topic_partitions_response_topic_init(t);
    t->name = name;
    t->error_code = err_kafka(err);
    t->topic_authorized_operations = OPERATIONS_ABSENT;
}

/* ---- Going ---- */

static enum err may_describe(void *ctx, struct slice topic)
{
    const struct request *r = ctx;
    const struct describe *s = r->state[FILTER_API];

    return s->all ? request_decide(r, ACL_TOPIC, ACL_DESCRIBE, topic, false)
                  : request_judge(r, ACL_TOPIC, ACL_DESCRIBE, topic, false);
}

static enum step use_page(struct request *r, struct describe *s)
{
    page_request *req = r->body;

    if (s->page.whole)
        return request_refuse(r, s->page.whole);
    if (s->page.send.n == 0) { /* an empty list would mean all */
        r->response = wire_struct_new(r->api->response->body, &r->arena);
        return r->response ? STEP_DONE : request_no_memory(r);
    }
    req->topics = s->page.send;
    if (!s->page.keeps_cursor)
        req->cursor = NULL;
    r->changed = true;
    return STEP_NEXT;
}

static enum step plan(struct request *r, struct describe *s)
{
    struct topic_page_rights rights = {r, may_describe};

    if (!s->begun && !topic_page_begin(&s->page, r->body, &s->names, s->all, &r->arena))
        return request_no_memory(r);
    s->begun = true;
    while (topic_page_next(&s->page, &rights))
        if (request_spent(r, 1))
            return STEP_AGAIN;
    return use_page(r, s);
}

/* The names of all topics, from the cluster. */
static enum step take_names(struct request *r, struct describe *s)
{
    struct metadata_response *resp = arena_alloc(&r->arena, sizeof *resp);
    struct slice body;
    struct cursor c;

    if (r->call.err)
        return request_end(r, CONN_CLOSE_LOCAL, "the cluster did not answer");
    body = arena_copy(&r->arena, request_call_body(r)); /* kept while the page is asked for */
    c = cursor_of(body);
    if (!resp || slice_is_null(body))
        return request_no_memory(r);
    if (metadata_response_decode(resp, &c, NAMES_VERSION, &r->arena))
        return request_end(r, CONN_CLOSE_LOCAL, "the cluster's answer is not understood");
    if (resp->topics.n > 0)
        s->names = (struct topic_page_names){&resp->topics.v->name, sizeof *resp->topics.v, resp->topics.n};
    return STEP_NEXT;
}

static enum step ask_names(struct request *r, struct describe *s)
{
    struct metadata_request ask;

    s->asked = true;
    metadata_request_init(&ask);
    ask.topics.n = -1; /* all */
    ask.allow_auto_topic_creation = false;
    return request_ask(r, WIRE_METADATA, NAMES_VERSION, &ask);
}

enum step describe_topic_partitions_start(struct request *r)
{
    const page_request *req = r->body;
    struct describe *s = r->state[FILTER_API];
    enum step step = STEP_NEXT;

    if (!s) {
        s = r->state[FILTER_API] = arena_alloc(&r->arena, sizeof *s);
        if (!s)
            return request_no_memory(r);
        s->all = req->topics.n == 0;
        if (!s->all)
            s->names = (struct topic_page_names){&req->topics.v->name, sizeof *req->topics.v, req->topics.n};
    }
    if (s->all && !s->asked)
        return ask_names(r, s);
    if (s->all && !s->begun)
        step = take_names(r, s);
    return step == STEP_NEXT ? plan(r, s) : step;
}

/* ---- Coming ---- */

/* False: not for this client. Its names are those that were asked for; one that is not would be the cluster's fault. */
static bool finish_topic(struct request *r, const struct describe *s, topic_answer *t)
{
    if (slice_is_null(t->name) || !request_sees(r, ACL_TOPIC, ACL_DESCRIBE, t->name))
        return false;
    if (s->all && t->error_code == ERR_UNKNOWN_TOPIC_OR_PARTITION) /* deleted since it was listed */
        return false;
    t->topic_authorized_operations = request_operations(r, ACL_TOPIC, t->name);
    if (!t->error_code)
        topic_names_learn(r->engine->topics, &t->topic_id, t->name);
    return true;
}

static bool put_cursor(struct request *r, const struct describe *s, page_response *resp)
{
    struct slice name = resp->next_cursor ? resp->next_cursor->topic_name : s->page.next;

    if (slice_is_null(name) || !request_sees(r, ACL_TOPIC, ACL_DESCRIBE, name)) {
        resp->next_cursor = NULL;
        return true;
    }
    if (resp->next_cursor)
        return true;
    resp->next_cursor = arena_alloc(&r->arena, sizeof *resp->next_cursor);
    if (!resp->next_cursor)
        return false;
    describe_topic_partitions_response_cursor_init(resp->next_cursor);
    resp->next_cursor->topic_name = name;
    return true;
}

enum step describe_topic_partitions_finish(struct request *r)
{
    page_response *resp = r->response;
    struct describe *s = r->state[FILTER_API];
    int32_t have = resp->topics.n > 0 ? resp->topics.n : 0;

    if (s->page.whole)
        return STEP_NEXT;
    if (!s->merged.v) {
        s->merged.v = arena_array_unset(&r->arena, (size_t)have + (size_t)s->page.refused_n, sizeof *s->merged.v);
        if (!s->merged.v || !put_cursor(r, s, resp))
            return request_no_memory(r);
    }
    while (s->at < have) {
        topic_answer *t = &resp->topics.v[s->at++];
        if (finish_topic(r, s, t))
            s->merged.v[s->merged.n++] = *t;
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    while (s->refused_at < s->page.refused_n) {
        const struct topic_page_refused *f = &s->page.refused[s->refused_at++];
        refuse_topic(&s->merged.v[s->merged.n++], f->name, f->err);
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    resp->topics = s->merged;
    return STEP_NEXT;
}
