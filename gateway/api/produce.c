/* SPDX-License-Identifier: Apache-2.0
 * Produce. Records of a transaction need WRITE on the transactional id, and are refused as a whole without one; a batch
 * that cannot be one is refused for its partition (produce_batches.h). Then the filters: schemas, sealing. Nothing
 * protected leaves here unsealed: a partition that cannot be sealed is answered with its error and taken out of the
 * request. The cluster's answer is rewritten where it names nodes. */
#include "wire/produce.h"
#include "gateway/api/nodes.h"
#include "gateway/api/steps.h"
#include "gateway/filter/filter.h"
#include "gateway/api/produce_batches.h"
#include "gateway/filter/schema_check.h"
#include "gateway/request/list.h"
#include "gateway/request/request.h"

enum { RECORD_ERRORS_SINCE = 8, NODES_SINCE = 10, IDS_SINCE = 13 };

struct produce {
    int32_t at, part; /* batches looked at so far */
    bool looked, transactional;
};

bool produce_is_silent(const struct request *r)
{
    return ((const struct produce_request *)r->body)->acks == 0;
}

static struct produce *state(struct request *r)
{
    if (!r->state[FILTER_API])
        r->state[FILTER_API] = arena_alloc(&r->arena, sizeof(struct produce));
    return r->state[FILTER_API];
}

/* Is any partition's batch part of a transaction? */
static enum step look_for_transaction(struct request *r, struct produce *s)
{
    const struct produce_request *req = r->body;

    while (!s->transactional && s->at < req->topic_data.n) {
        const struct produce_request_topic_produce_data *t = &req->topic_data.v[s->at];
        if (s->part < t->partition_data.n) {
            s->transactional = produce_batches_look(t->partition_data.v[s->part++].records).transactional;
        } else {
            s->part = 0;
            s->at++;
        }
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    s->looked = true;
    s->at = s->part = 0;
    return STEP_NEXT;
}

/* An id that may not be written says nothing over plain records; it stays here. Records of a transaction without one
 * that may be written are refused with the whole request. */
enum step produce_judge_whole(struct request *r, enum err *err)
{
    struct produce_request *req = r->body;
    struct produce *s = state(r);
    bool transactional, may = false;
    enum step step;

    if (!s)
        return request_no_memory(r);
    step = s->looked ? STEP_NEXT : look_for_transaction(r, s);
    if (step != STEP_NEXT)
        return step;
    transactional = s->transactional;
    if (!slice_is_null(req->transactional_id))
        may = transactional ? !request_judge(r, ACL_TRANSACTIONAL_ID, ACL_WRITE, req->transactional_id, false)
                            : request_sees(r, ACL_TRANSACTIONAL_ID, ACL_WRITE, req->transactional_id);
    *err = transactional && !may ? ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED : ERR_OK;
    if (!*err && !may && !slice_is_null(req->transactional_id)) {
        req->transactional_id = SLICE_NULL;
        r->changed = true;
    }
    return STEP_NEXT;
}

/* One batch for each partition, and no byte behind it goes on. False: no memory. */
static bool check_batch(struct request *r, int32_t topic, int32_t part)
{
    struct produce_request *req = r->body;
    struct slice *records = &req->topic_data.v[topic].partition_data.v[part].records;
    struct produce_batches b = produce_batches_look(*records);

    if (b.wrong)
        return list_refuse_part(r, topic, part, err_kafka(b.wrong), NULL);
    if (records->n != b.length) {
        records->n = b.length;
        r->changed = true;
    }
    return true;
}

enum step produce_start(struct request *r)
{
    struct produce *s = r->state[FILTER_API]; /* by produce_judge_whole() */

    while (s->at < r->list->n) {
        int32_t n = list_goes(r->list, s->at, -1) ? list_parts(r->list, s->at) : 0;
        while (s->part < n) {
            if (!check_batch(r, s->at, s->part))
                return request_no_memory(r);
            s->part++;
            if (request_spent(r, 1))
                return STEP_AGAIN;
        }
        s->part = 0;
        s->at++;
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    return STEP_NEXT;
}

static void put_record_errors(const struct request *r, struct produce_response_partition_produce_response *p,
                              const struct list_note *note)
{
    int32_t n = (int32_t)(note->bad_n < SCHEMA_ERRORS_MAX ? note->bad_n : SCHEMA_ERRORS_MAX);

    if (n == 0 || !produce_response_batch_index_and_error_message_array_alloc(&p->record_errors, n,
                                                                              (struct arena *)(uintptr_t)&r->arena))
        return;
    for (int32_t i = 0; i < n; i++) {
        p->record_errors.v[i].batch_index = note->bad[i].index;
        p->record_errors.v[i].batch_index_error_message = slice_str(note->bad[i].text);
    }
}

void produce_fill(const struct request *r, int32_t i, void *out, const struct list_note *note)
{
    struct produce_response_partition_produce_response *p = out;

    (void)i;
    p->base_offset = -1;
    if (note && p->error_code)
        put_record_errors(r, p, note);
}

enum step produce_finish(struct request *r)
{
    struct produce_response *resp = r->response;
    int32_t kept = 0;

    for (int32_t i = 0; i < resp->node_endpoints.n; i++) {
        struct produce_response_node_endpoint *n = &resp->node_endpoints.v[i];
        if (node_rewrite_known(r, n->node_id, &n->host, &n->port))
            resp->node_endpoints.v[kept++] = *n;
    }
    resp->node_endpoints.n = kept;
    return STEP_NEXT;
}
