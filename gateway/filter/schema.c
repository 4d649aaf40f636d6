/* SPDX-License-Identifier: Apache-2.0
 * Produced records are held against their topics' schemas (docs/schema-validation.md). A partition with bad records is
 * refused with an error for each; one whose records all went to the dead-letter topic is answered as done. */
#include "gateway/api/api.h"
#include "gateway/filter/filter.h"
#include "gateway/filter/schema_job.h"
#include "gateway/request/engine.h"
#include "gateway/request/list.h"
#include "wire/produce.h"

struct schema_filter {
    struct schema_job *job;
    int32_t at;  /* topics planned */
    size_t told; /* runs whose outcome is taken */
};

bool filter_schema_plan(struct request *r)
{
    return r->row->filters & FILTER_BIT(FILTER_SCHEMA);
}

static enum step plan_topic(struct request *r, struct schema_filter *s, int32_t i)
{
    struct produce_request *req = r->body;
    struct produce_request_topic_produce_data *t = &req->topic_data.v[i];
    const struct wire_uuid *id;
    struct slice name = list_name(r, r->list, i, &id);

    if (!schema_job_wants(r->engine->owner, name))
        return STEP_NEXT;
    name = arena_copy(&r->arena, name); /* the worker may forget the name meanwhile */
    if (!s->job)
        s->job = schema_job_new(r, r->engine->owner, list_parts_all(r->list));
    if (slice_is_null(name) || !s->job)
        return request_no_memory(r);
    for (int32_t k = 0; k < t->partition_data.n; k++) {
        struct schema_run *run;
        if (!list_goes(r->list, i, k))
            continue;
        run = schema_job_add(s->job);
        run->topic = name;
        run->records = &t->partition_data.v[k].records;
        run->tag_topic = i;
        run->tag_partition = k;
    }
    request_spent(r, t->partition_data.n);
    return STEP_NEXT;
}

static enum step take_outcome(struct request *r, struct schema_filter *s)
{
    while (s->told < schema_job_count(s->job)) {
        const struct schema_run *run = schema_job_run(s->job, s->told++);
        struct list_note note = {.text = run->text, .bad = run->bad, .bad_n = run->bad_n};
        int16_t fate = run->err ? err_kafka(run->err) : FATE_ANSWERED_HERE;

        r->changed = r->changed || (!run->err && run->bad_n > 0);
        if ((run->err || run->emptied) && !list_refuse_part(r, run->tag_topic, run->tag_partition, fate, &note))
            return request_no_memory(r);
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    return STEP_NEXT;
}

enum step filter_schema_start(struct request *r)
{
    struct schema_filter *s = r->state[FILTER_SCHEMA];
    enum step step;

    if (!s && !(s = r->state[FILTER_SCHEMA] = arena_alloc(&r->arena, sizeof *s)))
        return request_no_memory(r);
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
    step = schema_job_step(s->job);
    return step == STEP_NEXT ? take_outcome(r, s) : step;
}
