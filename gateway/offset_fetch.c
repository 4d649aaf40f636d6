/* SPDX-License-Identifier: Apache-2.0
 * OffsetFetch: DESCRIBE on the group, then DESCRIBE on each topic. Topics that were named and are refused are answered
 * with TOPIC_AUTHORIZATION_FAILED; when all topics are asked for, those are left out.
 *
 * Versions up to 7 ask for one group and go through the split engine. From 8 on a request holds several groups, each
 * with its own list, and from 10 on topics are named by id: refused groups and topics are taken out, the rest is
 * forwarded, and the answer is put together in the order of the request. */
#include "core/base/log.h"
#include "gateway/handlers.h"
#include "gateway/split.h"
#include "gateway/topic_ids.h"
#include "wire/offset_fetch.h"

enum { GROUPS_SINCE = 8, IDS_SINCE = 10, NO_OFFSET = -1 };

typedef struct offset_fetch_request_offset_fetch_request_group group_request;
typedef struct offset_fetch_request_offset_fetch_request_topics topic_request;
typedef struct offset_fetch_response_offset_fetch_response_group group_answer;
typedef struct offset_fetch_response_offset_fetch_response_topics topic_answer;

struct group_fate {
    group_request asked; /* as it came */
    enum err err;        /* of the group */
    bool all;            /* all topics are asked for */
    enum err *fate;      /* per topic */
};

struct offset_fetch {
    struct group_fate *groups;
    int32_t n;
    struct offset_fetch_response response;
};

/* ---- One group, up to version 7 ---- */

static void filter_one(struct pending *p, void *response)
{
    const struct offset_fetch_request *req = p->body;
    struct offset_fetch_response *resp = response;
    int32_t kept = 0;

    for (int32_t i = 0; i < resp->topics.n; i++) {
        struct offset_fetch_response_offset_fetch_response_topic *t = &resp->topics.v[i];

        for (int32_t k = 0; k < t->partitions.n; k++) {
            if (t->partitions.v[k].error_code != ERR_TOPIC_AUTHORIZATION_FAILED)
                continue;
            t->partitions.v[k].committed_offset = NO_OFFSET;
            t->partitions.v[k].committed_leader_epoch = -1;
            t->partitions.v[k].metadata = slice_of("", 0);
        }
        if (req->topics.n >= 0 || session_sees(p->session, ACL_TOPIC, ACL_DESCRIBE, t->name))
            resp->topics.v[kept++] = *t;
    }
    resp->topics.n = kept;
    pending_answer(p, resp);
}

/* ---- Several groups ---- */

static struct slice topic_name(struct pending *p, struct slice name, const struct wire_uuid *id)
{
    return p->version < IDS_SINCE ? name : slice_str(worker_topic_name(p->session->worker, id->b));
}

static enum err judge_topic(struct pending *p, struct slice name, const struct wire_uuid *id)
{
    name = topic_name(p, name, id);
    if (slice_is_null(name))
        return ERR_UNKNOWN_TOPIC_ID;
    return session_judge(p->session, WIRE_OFFSET_FETCH, ACL_TOPIC, ACL_DESCRIBE, name);
}

/* In an answer about all topics. */
static bool sees_topic(struct pending *p, const topic_answer *t)
{
    struct slice name = topic_name(p, t->name, &t->topic_id);

    return !slice_is_null(name) && session_sees(p->session, ACL_TOPIC, ACL_DESCRIBE, name);
}

/* Keeps in the group's list what may be asked for. */
static bool judge_group(struct pending *p, struct group_fate *f, group_request *g)
{
    int32_t kept = 0;

    f->asked = *g;
    f->all = g->topics.n < 0;
    if (!session_may(p->session, ACL_GROUP, ACL_DESCRIBE, g->group_id)) {
        f->err = ERR_GROUP_AUTHORIZATION_FAILED;
        return true;
    }
    if (f->all)
        return true;
    f->fate = arena_array(&p->arena, (size_t)g->topics.n, sizeof *f->fate);
    g->topics.v = arena_array(&p->arena, (size_t)g->topics.n, sizeof *g->topics.v);
    if (!f->fate || !g->topics.v)
        return false;
    for (int32_t i = 0; i < f->asked.topics.n; i++) {
        f->fate[i] = judge_topic(p, f->asked.topics.v[i].name, &f->asked.topics.v[i].topic_id);
        if (!f->fate[i])
            g->topics.v[kept++] = f->asked.topics.v[i];
    }
    g->topics.n = kept;
    return true;
}

static bool refuse_topic(struct pending *p, const topic_request *asked, topic_answer *out, enum err err)
{
    offset_fetch_response_offset_fetch_response_topics_init(out);
    out->name = asked->name;
    out->topic_id = asked->topic_id;
    if (!offset_fetch_response_offset_fetch_response_partitions_array_alloc(&out->partitions,
                                                                            asked->partition_indexes.n, &p->arena))
        return false;
    for (int32_t i = 0; i < asked->partition_indexes.n; i++) {
        out->partitions.v[i].partition_index = asked->partition_indexes.v[i];
        out->partitions.v[i].committed_offset = NO_OFFSET;
        out->partitions.v[i].committed_leader_epoch = -1;
        out->partitions.v[i].metadata = slice_of("", 0);
        out->partitions.v[i].error_code = err_kafka(err);
    }
    return true;
}

/* The cluster's answer for a group, with what was refused put back, or what may not be seen left out. */
static bool finish_group(struct pending *p, const struct group_fate *f, group_answer *g)
{
    struct offset_fetch_response_offset_fetch_response_topics_array all;
    int32_t n = 0, got = g->topics.n > 0 ? g->topics.n : 0, asked = f->all || g->error_code ? 0 : f->asked.topics.n;

    if (!offset_fetch_response_offset_fetch_response_topics_array_alloc(&all, got + asked, &p->arena))
        return false;
    for (int32_t i = 0; i < got; i++)
        if (!f->all || sees_topic(p, &g->topics.v[i]))
            all.v[n++] = g->topics.v[i];
    for (int32_t i = 0; i < asked; i++)
        if (f->fate[i] && !refuse_topic(p, &f->asked.topics.v[i], &all.v[n++], f->fate[i]))
            return false;
    all.n = n;
    g->topics = all;
    return true;
}

static const group_answer *answer_for(const struct offset_fetch *s, struct slice group_id)
{
    for (int32_t i = 0; i < s->response.groups.n; i++)
        if (slice_eq(s->response.groups.v[i].group_id, group_id))
            return &s->response.groups.v[i];
    return NULL;
}

static void merge(struct pending *p)
{
    struct offset_fetch *s = p->filter;
    struct offset_fetch_response_offset_fetch_response_group_array all;

    if (!p->session) {
        pending_silent(p);
        return;
    }
    if (!offset_fetch_response_offset_fetch_response_group_array_alloc(&all, s->n, &p->arena)) {
        pending_fail(p, CONN_CLOSE_NO_MEMORY, NULL);
        return;
    }
    for (int32_t i = 0; i < s->n; i++) {
        const struct group_fate *f = &s->groups[i];
        const group_answer *got = f->err ? NULL : answer_for(s, f->asked.group_id);

        if (got)
            all.v[i] = *got;
        all.v[i].group_id = f->asked.group_id;
        if (!got)
            all.v[i].error_code = err_kafka(f->err ? f->err : ERR_UNKNOWN_SERVER_ERROR);
        else if (!finish_group(p, f, &all.v[i])) {
            pending_fail(p, CONN_CLOSE_NO_MEMORY, NULL);
            return;
        }
    }
    s->response.groups = all;
    pending_answer(p, &s->response);
}

static void on_offsets(struct pending *p, enum err err, struct slice body)
{
    struct offset_fetch *s = p->filter;
    enum err wrong = ERR_OK;
    struct cursor c;

    if (!p->session) {
        pending_silent(p);
        return;
    }
    body = arena_copy(&p->arena, body); /* kept while unknown topic ids are asked for */
    c = cursor_of(body);
    if (!err)
        wrong =
            slice_is_null(body) ? ERR_NO_MEMORY : offset_fetch_response_decode(&s->response, &c, p->version, &p->arena);
    if (!err && !wrong)
        wrong = cursor_finish(&c);
    if (err || wrong) {
        pending_fail_unanswered(p, err, wrong);
        return;
    }
    topic_ids_resolve_in(p, p->api->response->body, &s->response, merge);
}

static void decide(struct pending *p)
{
    struct offset_fetch_request *req = p->body;
    struct offset_fetch *s = p->filter;
    int32_t kept = 0;

    if (!p->session) {
        pending_silent(p);
        return;
    }
    for (int32_t i = 0; i < s->n; i++) {
        if (!judge_group(p, &s->groups[i], &req->groups.v[i])) {
            pending_fail(p, CONN_CLOSE_NO_MEMORY, NULL);
            return;
        }
        if (!s->groups[i].err)
            req->groups.v[kept++] = req->groups.v[i];
    }
    req->groups.n = kept;
    if (kept == 0)
        merge(p);
    else
        pending_forward_struct(p, req, on_offsets);
}

void handle_offset_fetch(struct pending *p)
{
    const struct offset_fetch_request *req = p->body;
    struct offset_fetch *s;

    if (p->version < GROUPS_SINCE) {
        split_run(p, filter_one);
        return;
    }
    s = p->filter = arena_alloc(&p->arena, sizeof *s);
    if (s)
        s->groups = arena_array(&p->arena, (size_t)req->groups.n, sizeof *s->groups);
    if (!s || !s->groups) {
        pending_fail(p, CONN_CLOSE_NO_MEMORY, NULL);
        return;
    }
    s->n = req->groups.n;
    offset_fetch_response_init(&s->response);
    topic_ids_resolve(p, decide);
}
