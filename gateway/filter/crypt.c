/* SPDX-License-Identifier: Apache-2.0
 * Privacy policies: what a Produce brings to a protected topic is sealed before it goes on, what a Fetch answers is
 * opened before it reaches the client. A partition that cannot be sealed is refused, one that cannot be opened is
 * answered with its error and no records. */
#include "core/base/log.h"
#include "gateway/api/api.h"
#include "gateway/filter/crypt_job.h"
#include "gateway/filter/filter.h"
#include "gateway/knowledge.h"
#include "gateway/request/engine.h"
#include "gateway/request/list.h"
#include "gateway/request/topic_names.h"
#include "gateway/session/worker.h"
#include "wire/fetch.h"
#include "wire/produce.h"

enum { FETCH_IDS_SINCE = 13 };

struct crypt {
    struct crypt_job *job;
    int32_t at;  /* topics planned */
    size_t told; /* runs whose outcome is taken */
    bool planned;
};

bool filter_crypt_plan(struct request *r)
{
    return (r->row->filters & FILTER_BIT(FILTER_CRYPT)) && r->engine->view &&
           policy_set_count(r->engine->view->policies) > 0;
}

/* The policy of a topic. ERR_POLICY_VIOLATION: there is one, but it cannot be understood, so nothing may pass. */
static enum err policy_of(const struct request *r, struct slice topic, const struct policy **out)
{
    bool broken = false;

    *out = policy_set_find(r->engine->view->policies, topic, &broken);
    return broken ? ERR_POLICY_VIOLATION : ERR_OK;
}

static struct crypt *state(struct request *r)
{
    if (!r->state[FILTER_CRYPT])
        r->state[FILTER_CRYPT] = arena_alloc(&r->arena, sizeof(struct crypt));
    return r->state[FILTER_CRYPT];
}

static struct crypt_job *job_of(struct request *r, struct crypt *s, size_t runs_max, bool sealing)
{
    struct worker *w = worker_of(r->engine->owner);
    struct heavy heavy = worker_heavy(w, request_peer(r)->principal);

    if (!s->job)
        s->job = crypt_job_new(r, runs_max, sealing, w->keys, &w->gateway->counters, &heavy);
    return s->job;
}

/* ---- Produce ---- */

/* Not for what was refused: no keys are made for people named by somebody who may not write. */
static enum step plan_topic(struct request *r, struct crypt *s, int32_t i)
{
    struct produce_request *req = r->body;
    struct produce_request_topic_produce_data *t = &req->topic_data.v[i];
    const struct policy *policy;
    const struct wire_uuid *id;
    struct slice name = list_name(r, r->list, i, &id);
    enum err err = policy_of(r, name, &policy);

    if (err)
        list_refuse(r->list, i, err);
    if (err || !policy)
        return STEP_NEXT;
    name = arena_copy(&r->arena, name); /* the worker may forget the name while keys are fetched */
    if (slice_is_null(name) || !job_of(r, s, list_parts_all(r->list), true))
        return request_no_memory(r);
    for (int32_t k = 0; k < t->partition_data.n; k++) {
        struct crypt_run *run;
        if (!list_goes(r->list, i, k))
            continue;
        run = crypt_job_add(s->job);
        *run = (struct crypt_run){.topic = name,
                                  .policy = policy,
                                  .records = &t->partition_data.v[k].records,
                                  .tag_topic = i,
                                  .tag_partition = k};
    }
    request_spent(r, t->partition_data.n);
    return STEP_NEXT;
}

static enum step take_sealed(struct request *r, struct crypt *s)
{
    while (s->told < crypt_job_count(s->job)) {
        const struct crypt_run *run = crypt_job_run(s->job, s->told++);
        struct list_note note = {.text = run->text};
        if (!run->err)
            continue;
        log_warn("%s: produce to %.*s is refused: %s", request_peer(r)->label, SLICE_FMT(run->topic),
                 run->text ? run->text : err_text(run->err));
        if (!list_refuse_part(r, run->tag_topic, run->tag_partition, err_kafka(run->err), &note))
            return request_no_memory(r);
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    return STEP_NEXT;
}

static enum step seal(struct request *r, struct crypt *s)
{
    enum step step;

    while (s->at < r->list->n) {
        step = list_goes(r->list, s->at, -1) ? plan_topic(r, s, s->at) : STEP_NEXT;
        if (step != STEP_NEXT)
            return step;
        s->at++;
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    if (!s->job)
        return STEP_NEXT;
    r->changed = true;
    step = crypt_job_step(s->job);
    return step == STEP_NEXT ? take_sealed(r, s) : step;
}

/* ---- Fetch ---- */

/* Only where a policy is set now must the answer be looked into. */
static enum step look_for_policies(struct request *r, struct crypt *s)
{
    while (s->at < r->list->n && !s->planned) {
        int32_t i = s->at++;
        const struct policy *policy;
        const struct wire_uuid *id;
        s->planned = list_goes(r->list, i, -1) && (policy_of(r, list_name(r, r->list, i, &id), &policy) || policy);
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    if (s->planned) {
        r->reads_answer = true;
        r->streamable = false;
    }
    s->at = 0;
    return STEP_NEXT;
}

static size_t partitions_of(const struct fetch_response *resp)
{
    size_t n = 0;

    for (int32_t i = 0; i < resp->responses.n; i++)
        n += (size_t)resp->responses.v[i].partitions.n;
    return n;
}

static enum step plan_answer(struct request *r, struct crypt *s, int32_t i)
{
    struct fetch_response *resp = r->response;
    struct fetch_response_fetchable_topic_response *t = &resp->responses.v[i];
    struct slice name = r->version < FETCH_IDS_SINCE ? t->topic : topic_names_find(r->engine->topics, &t->topic_id);
    const struct policy *policy = NULL;
    enum err err = slice_is_null(name) ? ERR_UNKNOWN_TOPIC_ID : policy_of(r, name, &policy);

    if (!err && !policy)
        return STEP_NEXT;
    name = arena_copy(&r->arena, name);
    if (!job_of(r, s, partitions_of(resp), false))
        return request_no_memory(r);
    for (int32_t k = 0; k < t->partitions.n; k++) {
        struct crypt_run *run;
        if (t->partitions.v[k].records.n == 0)
            continue;
        run = crypt_job_add(s->job);
        *run = (struct crypt_run){.topic = name,
                                  .policy = policy,
                                  .records = &t->partitions.v[k].records,
                                  .err = err,
                                  .tag_topic = i,
                                  .tag_partition = k};
    }
    request_spent(r, t->partitions.n);
    return STEP_NEXT;
}

static void take_opened(struct request *r, struct crypt *s)
{
    struct fetch_response *resp = r->response;

    for (; s->told < crypt_job_count(s->job); s->told++) {
        const struct crypt_run *run = crypt_job_run(s->job, s->told);
        struct fetch_response_partition_data *p = &resp->responses.v[run->tag_topic].partitions.v[run->tag_partition];
        if (!run->err)
            continue;
        log_warn("%s: records of %.*s-%d cannot be opened: %s", request_peer(r)->label, SLICE_FMT(run->topic),
                 (int)p->partition_index, run->text ? run->text : err_text(run->err));
        p->error_code = err_kafka(run->err);
        p->records = slice_of("", 0);
        p->aborted_transactions.n = -1;
    }
}

static enum step open_answer(struct request *r, struct crypt *s)
{
    struct fetch_response *resp = r->response;
    enum step step;

    while (s->at < resp->responses.n) {
        step = plan_answer(r, s, s->at);
        if (step != STEP_NEXT)
            return step;
        s->at++;
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    if (!s->job)
        return STEP_NEXT;
    step = crypt_job_step(s->job);
    if (step == STEP_NEXT)
        take_opened(r, s);
    return step;
}

/* ---- Both ---- */

enum step filter_crypt_start(struct request *r)
{
    struct crypt *s = state(r);

    if (!s)
        return request_no_memory(r);
    if (!r->list)
        return STEP_NEXT;
    return r->api->key == WIRE_PRODUCE ? seal(r, s) : look_for_policies(r, s);
}

enum step filter_crypt_finish(struct request *r)
{
    struct crypt *s = state(r);

    if (!s)
        return request_no_memory(r);
    return r->api->key == WIRE_FETCH && s->planned && r->response ? open_answer(r, s) : STEP_NEXT;
}
