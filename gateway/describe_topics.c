/* SPDX-License-Identifier: Apache-2.0
 * DescribeTopicPartitions: DESCRIBE on each topic. A page is computed by topic_page.c over what may be described; when
 * the client asks for all topics, their names are had from the cluster's Metadata first. */
#include "core/base/log.h"
#include "gateway/handlers.h"
#include "gateway/topic_page.h"
#include "wire/metadata.h"

enum { NAMES_VERSION = 12, OPERATIONS_ABSENT = INT32_MIN };

typedef struct describe_topic_partitions_request request;
typedef struct describe_topic_partitions_response response;
typedef struct describe_topic_partitions_response_describe_topic_partitions_response_topic topic_answer;

struct describe {
    struct topic_page page;
    bool all;
};

static void refuse_topic(topic_answer *t, struct slice name, enum err err)
{
    describe_topic_partitions_response_describe_topic_partitions_response_topic_init(t);
    t->name = name;
    t->error_code = err_kafka(err);
    t->topic_authorized_operations = OPERATIONS_ABSENT;
}

/* ---- The answer ---- */

/* False: not for this client. Its names are those that were asked for; one that is not would be the cluster's fault. */
static bool finish_topic(struct pending *p, topic_answer *t)
{
    const struct describe *s = p->filter;

    if (slice_is_null(t->name) || !session_sees(p->session, ACL_TOPIC, ACL_DESCRIBE, t->name))
        return false;
    if (s->all && t->error_code == ERR_UNKNOWN_TOPIC_OR_PARTITION) /* deleted since it was listed */
        return false;
    t->topic_authorized_operations = authorized_operations(p->session, ACL_TOPIC, t->name);
    if (!t->error_code)
        worker_learn_topic(p->session->worker, t->topic_id.b, t->name);
    return true;
}

static bool put_cursor(struct pending *p, response *resp)
{
    const struct describe *s = p->filter;
    struct slice name = resp->next_cursor ? resp->next_cursor->topic_name : s->page.next;

    if (slice_is_null(name) || !session_sees(p->session, ACL_TOPIC, ACL_DESCRIBE, name)) {
        resp->next_cursor = NULL;
        return true;
    }
    if (resp->next_cursor)
        return true;
    resp->next_cursor = arena_alloc(&p->arena, sizeof *resp->next_cursor);
    if (!resp->next_cursor)
        return false;
    describe_topic_partitions_response_cursor_init(resp->next_cursor);
    resp->next_cursor->topic_name = name;
    return true;
}

static void answer(struct pending *p, response *resp)
{
    const struct describe *s = p->filter;
    struct describe_topic_partitions_response_describe_topic_partitions_response_topic_array all;
    int32_t n = 0, have = resp->topics.n > 0 ? resp->topics.n : 0;

    if (!describe_topic_partitions_response_describe_topic_partitions_response_topic_array_alloc(
            &all, have + s->page.refused_n + 1, &p->arena) ||
        !put_cursor(p, resp)) {
        pending_fail(p, CONN_CLOSE_NO_MEMORY, NULL);
        return;
    }
    for (int32_t i = 0; i < have; i++)
        if (finish_topic(p, &resp->topics.v[i]))
            all.v[n++] = resp->topics.v[i];
    for (int32_t i = 0; i < s->page.refused_n; i++)
        refuse_topic(&all.v[n++], s->page.refused[i].name, s->page.refused[i].err);
    all.n = n;
    resp->topics = all;
    pending_answer(p, resp);
}

static void on_response(struct pending *p, enum err err, struct slice body)
{
    response resp;

    if (pending_decode(p, err, body, &resp))
        answer(p, &resp);
}

static void refuse_whole(struct pending *p, const request *req, enum err err)
{
    response resp;

    describe_topic_partitions_response_init(&resp);
    if (req->topics.n > 0 && !describe_topic_partitions_response_describe_topic_partitions_response_topic_array_alloc(
                                 &resp.topics, req->topics.n, &p->arena)) {
        pending_fail(p, CONN_CLOSE_NO_MEMORY, NULL);
        return;
    }
    for (int32_t i = 0; i < resp.topics.n; i++)
        refuse_topic(&resp.topics.v[i], req->topics.v[i].name, err);
    pending_answer(p, &resp);
}

/* ---- The request ---- */

static enum err may_describe(void *ctx, struct slice topic)
{
    const struct pending *p = ctx;
    const struct describe *s = p->filter;

    if (s->all)
        return session_decide(p->session, WIRE_DESCRIBE_TOPIC_PARTITIONS, ACL_TOPIC, ACL_DESCRIBE, topic, false);
    return session_judge(p->session, WIRE_DESCRIBE_TOPIC_PARTITIONS, ACL_TOPIC, ACL_DESCRIBE, topic);
}

static void plan_and_go(struct pending *p, const struct slice *names, int32_t n)
{
    request *req = p->body;
    struct describe *s = p->filter;
    struct topic_page_rights rights = {p, may_describe};
    response resp;

    if (topic_page_plan(&s->page, req, names, n, s->all, &rights, &p->arena)) {
        pending_fail(p, CONN_CLOSE_NO_MEMORY, NULL);
    } else if (s->page.whole) {
        refuse_whole(p, req, s->page.whole);
    } else if (s->page.send.n == 0) { /* an empty list would mean all */
        describe_topic_partitions_response_init(&resp);
        answer(p, &resp);
    } else {
        req->topics = s->page.send;
        if (!s->page.keeps_cursor)
            req->cursor = NULL;
        pending_forward_struct(p, req, on_response);
    }
}

static void on_names(struct pending *p, enum err err, struct slice body)
{
    struct metadata_response *resp;
    struct slice *names = NULL;
    enum err wrong = ERR_NO_MEMORY;
    struct cursor c;

    if (!p->session) {
        pending_silent(p);
        return;
    }
    body = err ? body : arena_copy(&p->arena, body); /* kept while the page is asked for */
    c = cursor_of(body);
    resp = arena_alloc(&p->arena, sizeof *resp);
    if (!err && resp && !slice_is_null(body))
        wrong = metadata_response_decode(resp, &c, NAMES_VERSION, &p->arena);
    if (!err && !wrong && !(names = arena_array(&p->arena, (size_t)resp->topics.n + 1, sizeof *names)))
        wrong = ERR_NO_MEMORY;
    if (err || wrong) {
        pending_fail_unanswered(p, err, wrong);
        return;
    }
    for (int32_t i = 0; i < resp->topics.n; i++)
        names[i] = resp->topics.v[i].name;
    plan_and_go(p, names, resp->topics.n);
}

static void ask_names(struct pending *p)
{
    struct metadata_request ask;

    metadata_request_init(&ask);
    ask.topics.n = -1; /* all */
    ask.allow_auto_topic_creation = false;
    pending_hold(p);
    pending_ask(p, WIRE_METADATA, NAMES_VERSION, &ask, on_names);
}

void handle_describe_topic_partitions(struct pending *p)
{
    const request *req = p->body;
    struct describe *s = p->filter = arena_alloc(&p->arena, sizeof *s);
    struct slice *names = arena_array(&p->arena, (size_t)req->topics.n + 1, sizeof *names);

    if (!s || !names) {
        pending_fail(p, CONN_CLOSE_NO_MEMORY, NULL);
        return;
    }
    s->all = req->topics.n == 0;
    for (int32_t i = 0; i < req->topics.n; i++)
        names[i] = req->topics.v[i].name;
    if (s->all)
        ask_names(p);
    else
        plan_and_go(p, names, req->topics.n);
}
