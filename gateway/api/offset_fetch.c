/* SPDX-License-Identifier: Apache-2.0
 * OffsetFetch: DESCRIBE on the group, then DESCRIBE on each topic. Topics that were named and are refused are answered
 * with their error; when all topics are asked for, those are left out.
 *
 * Versions up to 7 ask for one group: their rights stand in the table. From 8 on a request holds several groups, each
 * with its own list, and from 10 on topics are named by id: refused groups and topics are taken out here, and the
 * answer is put together in the order of the request. Groups are found in the answer by name, in the order they were
 * asked. */
#include "gateway/api/steps.h"
#include "gateway/filter/filter.h"
#include "gateway/request/engine.h"
#include "gateway/request/ids.h"
#include "gateway/request/topic_names.h"
#include "gateway/request/list.h"
#include "wire/offset_fetch.h"

enum { GROUPS_SINCE = 8, IDS_SINCE = 10, NO_OFFSET = -1 };

typedef struct offset_fetch_request_offset_fetch_request_group group_request;
typedef struct offset_fetch_request_offset_fetch_request_topics topic_request;
typedef struct offset_fetch_response_offset_fetch_response_group group_answer;
typedef struct offset_fetch_response_offset_fetch_response_topics topic_answer;

struct group_fate {
    group_request asked; /* as it came */
    int16_t error;       /* of the group */
    bool all;            /* all topics are asked for */
    int16_t *fate;       /* per topic */
    int32_t refused;
};

struct offset_fetch {
    struct group_fate *groups;
    int32_t n, kept;
    int32_t at, topic, part; /* where the work stands */
    struct ids ids;          /* of the answer */
    bool ids_begun, ids_known;
    struct offset_fetch_response_offset_fetch_response_group_array merged;
    int32_t next; /* in the cluster's list of groups */
};

/* ---- One group, up to version 7 ---- */

void offset_fetch_fill(const struct request *r, int32_t i, void *out, const struct list_note *note)
{
    struct offset_fetch_response_offset_fetch_response_partition *p = out;

    (void)r;
    (void)i;
    (void)note;
    p->committed_offset = NO_OFFSET;
    p->committed_leader_epoch = -1;
    p->metadata = slice_of("", 0);
}

static enum step finish_one(struct request *r, struct offset_fetch *s)
{
    const struct offset_fetch_request *req = r->body;
    struct offset_fetch_response *resp = r->response;

    if (req->topics.n >= 0)
        return STEP_NEXT;
    while (s->at < resp->topics.n) {
        struct offset_fetch_response_offset_fetch_response_topic t = resp->topics.v[s->at++];
        if (request_sees(r, ACL_TOPIC, ACL_DESCRIBE, t.name))
            resp->topics.v[s->kept++] = t;
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    if (resp->topics.n > 0)
        resp->topics.n = s->kept;
    return STEP_NEXT;
}

/* ---- Several groups: going ---- */

static struct slice topic_name(struct request *r, struct slice name, const struct wire_uuid *id)
{
    return r->version < IDS_SINCE ? name : topic_names_find(r->engine->topics, id);
}

static enum err judge_topic(struct request *r, const topic_request *t)
{
    struct slice name = topic_name(r, t->name, &t->topic_id);
    enum err err;

    if (slice_is_null(name))
        return ERR_UNKNOWN_TOPIC_ID;
    err = request_judge(r, ACL_TOPIC, ACL_DESCRIBE, name, false);
    return r->version >= IDS_SINCE && err == ERR_UNKNOWN_TOPIC_OR_PARTITION ? ERR_UNKNOWN_TOPIC_ID : err;
}

/* Keeps in the group's list what may be asked for; `topic` says how far that is. */
static enum step judge_group(struct request *r, struct offset_fetch *s, struct group_fate *f, group_request *g)
{
    if (s->topic == 0) {
        enum err err = request_judge(r, ACL_GROUP, ACL_DESCRIBE, g->group_id, false);
        f->asked = *g;
        f->all = g->topics.n < 0;
        f->error = err_kafka(err);
        if (err || f->all)
            return STEP_NEXT;
        f->fate = arena_array(&r->arena, (size_t)g->topics.n, sizeof *f->fate);
        g->topics.v = arena_array(&r->arena, (size_t)g->topics.n, sizeof *g->topics.v);
        if (!f->fate || !g->topics.v)
            return request_no_memory(r);
        g->topics.n = 0;
    }
    while (s->topic < f->asked.topics.n) {
        const topic_request *t = &f->asked.topics.v[s->topic];
        enum err err = judge_topic(r, t);

        f->fate[s->topic++] = err_kafka(err);
        f->refused += err != ERR_OK;
        if (!err)
            g->topics.v[g->topics.n++] = *t;
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    s->topic = 0;
    return STEP_NEXT;
}

static enum step judge_groups(struct request *r, struct offset_fetch *s)
{
    struct offset_fetch_request *req = r->body;

    while (s->at < s->n) {
        enum step step = judge_group(r, s, &s->groups[s->at], &req->groups.v[s->at]);
        if (step != STEP_NEXT)
            return step;
        r->changed = r->changed || s->groups[s->at].error || s->groups[s->at].refused;
        if (!s->groups[s->at].error)
            req->groups.v[s->kept++] = req->groups.v[s->at];
        s->at++;
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    s->at = 0;
    req->groups.n = s->kept;
    if (s->kept > 0 || s->n == 0)
        return STEP_NEXT;
    r->response = wire_struct_new(r->api->response->body, &r->arena);
    return r->response ? STEP_DONE : request_no_memory(r);
}

enum step offset_fetch_start(struct request *r)
{
    const struct offset_fetch_request *req = r->body;
    struct offset_fetch *s = r->state[FILTER_API];

    if (!s) {
        s = r->state[FILTER_API] = arena_alloc(&r->arena, sizeof *s);
        if (!s)
            return request_no_memory(r);
        s->n = r->version >= GROUPS_SINCE ? req->groups.n : 0;
        s->groups = arena_array(&r->arena, (size_t)s->n, sizeof *s->groups);
        if (!s->groups)
            return request_no_memory(r);
    }
    return r->version < GROUPS_SINCE ? STEP_NEXT : judge_groups(r, s);
}

/* ---- Several groups: coming ---- */

/* `part` says how far its partitions are. */
static enum step refuse_topic(struct request *r, struct offset_fetch *s, const topic_request *asked, topic_answer *out,
                              int16_t error)
{
    int32_t n = asked->partition_indexes.n > 0 ? asked->partition_indexes.n : 0;

    if (s->part == 0) {
        offset_fetch_response_offset_fetch_response_topics_init(out);
        out->name = asked->name;
        out->topic_id = asked->topic_id;
        out->partitions.n = n;
        out->partitions.v = arena_array_unset(&r->arena, (size_t)n, sizeof *out->partitions.v);
        if (!out->partitions.v)
            return request_no_memory(r);
    }
    while (s->part < n) {
        struct offset_fetch_response_offset_fetch_response_partitions *p = &out->partitions.v[s->part];
        offset_fetch_response_offset_fetch_response_partitions_init(p);
        p->partition_index = asked->partition_indexes.v[s->part++];
        p->committed_offset = NO_OFFSET;
        p->committed_leader_epoch = -1;
        p->metadata = slice_of("", 0);
        p->error_code = error;
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    s->part = 0;
    return STEP_NEXT;
}

static bool sees(struct request *r, const topic_answer *t)
{
    struct slice name = topic_name(r, t->name, &t->topic_id);

    return !slice_is_null(name) && request_sees(r, ACL_TOPIC, ACL_DESCRIBE, name);
}

/* The cluster's answer for a group, with what was refused put back, or what may not be seen left out. */
static enum step finish_group(struct request *r, struct offset_fetch *s, const struct group_fate *f,
                              const group_answer *got, group_answer *out)
{
    int32_t have = got->topics.n > 0 ? got->topics.n : 0, asked = f->all || got->error_code ? 0 : f->asked.topics.n;

    if (s->topic == 0 && s->part == 0) {
        *out = *got;
        out->topics.v = arena_array_unset(&r->arena, (size_t)have + (size_t)f->refused, sizeof *out->topics.v);
        out->topics.n = 0;
        if (!out->topics.v)
            return request_no_memory(r);
    }
    while (s->topic < have + asked) {
        int32_t k = s->topic;
        enum step step = STEP_NEXT;

        if (k < have && (!f->all || sees(r, &got->topics.v[k]))) {
            out->topics.v[out->topics.n++] = got->topics.v[k];
        } else if (k >= have && f->fate[k - have]) {
            step = refuse_topic(r, s, &f->asked.topics.v[k - have], &out->topics.v[out->topics.n], f->fate[k - have]);
            out->topics.n += step == STEP_NEXT;
        }
        if (step != STEP_NEXT)
            return step;
        s->topic++;
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    s->topic = 0;
    return STEP_NEXT;
}

/* Kafka answers the groups in the order they were asked. */
static const group_answer *answer_for(const struct offset_fetch *s, const struct offset_fetch_response *resp,
                                      struct slice group_id)
{
    if (s->next < resp->groups.n && slice_eq(resp->groups.v[s->next].group_id, group_id))
        return &resp->groups.v[s->next];
    return NULL;
}

static enum step merge(struct request *r, struct offset_fetch *s)
{
    struct offset_fetch_response *resp = r->response;

    if (!s->merged.v && s->n > 0) {
        s->merged.v = arena_array(&r->arena, (size_t)s->n, sizeof *s->merged.v);
        if (!s->merged.v)
            return request_no_memory(r);
    }
    while (s->at < s->n) {
        const struct group_fate *f = &s->groups[s->at];
        group_answer *out = &s->merged.v[s->at];
        const group_answer *got = f->error ? NULL : answer_for(s, resp, f->asked.group_id);
        enum step step = STEP_NEXT;

        if (got)
            step = finish_group(r, s, f, got, out);
        if (step != STEP_NEXT)
            return step;
        if (!got) {
            offset_fetch_response_offset_fetch_response_group_init(out);
            out->group_id = f->asked.group_id;
            out->error_code = f->error ? f->error : ERR_UNKNOWN_SERVER_ERROR;
        }
        s->next += !f->error;
        s->at++;
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    s->merged.n = s->n;
    resp->groups = s->merged;
    return STEP_NEXT;
}

enum step offset_fetch_finish(struct request *r)
{
    struct offset_fetch *s = r->state[FILTER_API];
    enum step step;

    if (r->version < GROUPS_SINCE)
        return finish_one(r, s);
    if (!s->ids_begun) {
        s->ids_begun = true;
        s->ids_known = !ids_begin(&s->ids, r->api->response->body, r->version);
    }
    if (!s->ids_known) {
        step = ids_resolve(r, &s->ids, r->response);
        if (step != STEP_NEXT)
            return step;
        s->ids_known = true;
    }
    return merge(r, s);
}
