/* SPDX-License-Identifier: Apache-2.0
 * Transactions and producer ids:
 *   ListTransactions     DESCRIBE on each transactional id
 *   DescribeTransactions DESCRIBE on each transactional id; topics that may not be described are left out
 *   InitProducerId       WRITE on the transactional id; without one IDEMPOTENT_WRITE on the cluster or WRITE on any
 * topic (KIP-679) */
#include "gateway/api/steps.h"
#include "gateway/filter/filter.h"
#include "gateway/request/list.h"
#include "gateway/request/request.h"
#include "wire/describe_transactions.h"
#include "wire/init_producer_id.h"
#include "wire/list_transactions.h"

struct progress {
    int32_t at, kept;
};

static struct progress *progress(struct request *r)
{
    if (!r->state[FILTER_API])
        r->state[FILTER_API] = arena_alloc(&r->arena, sizeof(struct progress));
    return r->state[FILTER_API];
}

enum step list_transactions_finish(struct request *r)
{
    struct list_transactions_response *resp = r->response;
    struct progress *p = progress(r);

    if (!p)
        return request_no_memory(r);
    while (p->at < resp->transaction_states.n) {
        struct list_transactions_response_transaction_state t = resp->transaction_states.v[p->at++];
        if (request_sees(r, ACL_TRANSACTIONAL_ID, ACL_DESCRIBE, t.transactional_id))
            resp->transaction_states.v[p->kept++] = t;
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    resp->transaction_states.n = p->kept;
    return STEP_NEXT;
}

static void hide_topics(struct request *r, struct describe_transactions_response_transaction_state *t)
{
    int32_t kept = 0;

    request_spent(r, t->topics.n);
    for (int32_t i = 0; i < t->topics.n; i++)
        if (request_sees(r, ACL_TOPIC, ACL_DESCRIBE, t->topics.v[i].topic))
            t->topics.v[kept++] = t->topics.v[i];
    if (t->topics.n > 0)
        t->topics.n = kept;
}

enum step describe_transactions_finish(struct request *r)
{
    struct describe_transactions_response *resp = r->response;
    struct progress *p = progress(r);

    if (!p)
        return request_no_memory(r);
    while (p->at < resp->transaction_states.n) {
        hide_topics(r, &resp->transaction_states.v[p->at++]);
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    return STEP_NEXT;
}

enum step init_producer_id_start(struct request *r)
{
    const struct init_producer_id_request *req = r->body;
    struct init_producer_id_response *resp;
    enum err err = ERR_OK;

    if (!slice_is_null(req->transactional_id))
        err = request_judge(r, ACL_TRANSACTIONAL_ID, ACL_WRITE, req->transactional_id, false);
    else if (!request_may_any_topic(r, ACL_WRITE) && !request_may_cluster(r, ACL_IDEMPOTENT_WRITE))
        err = ERR_CLUSTER_AUTHORIZATION_FAILED;
    if (!err)
        return STEP_NEXT;
    resp = arena_alloc(&r->arena, sizeof *resp);
    if (!resp)
        return request_no_memory(r);
    init_producer_id_response_init(resp);
    resp->error_code = err_kafka(err);
    resp->producer_epoch = -1;
    return request_reply(r, resp);
}
