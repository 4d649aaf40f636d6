/* SPDX-License-Identifier: Apache-2.0
 * Groups, transactions and producer ids, where a list is filtered by what may be described or where the right depends
 * on what the request names:
 *   ListGroups            DESCRIBE on the cluster shows all, else on each group
 *   DescribeGroups        DESCRIBE on each group; authorized_operations are this principal's, not the gateway's
 *   ConsumerGroupDescribe the same, and DESCRIBE on every topic its members have (KIP-848)
 *   ListTransactions      DESCRIBE on each transactional id
 *   DescribeTransactions  DESCRIBE on each transactional id; topics that may not be described are left out
 *   InitProducerId        WRITE on the transactional id; without one IDEMPOTENT_WRITE on the cluster or WRITE on any
 *                         topic (KIP-679) */
#include "core/base/log.h"
#include "gateway/admin.h"
#include "gateway/handlers.h"
#include "gateway/split.h"
#include "wire/consumer_group_describe.h"
#include "wire/describe_groups.h"
#include "wire/describe_transactions.h"
#include "wire/init_producer_id.h"
#include "wire/list_groups.h"
#include "wire/list_transactions.h"

enum { OPERATIONS_ABSENT = INT32_MIN };

/* ---- ListGroups ---- */

static void on_groups(struct pending *p, enum err err, struct slice body)
{
    struct list_groups_response resp;
    int32_t kept = 0;

    if (!pending_decode(p, err, body, &resp))
        return;
    for (int32_t i = 0; i < resp.groups.n; i++)
        if (session_sees(p->session, ACL_GROUP, ACL_DESCRIBE, resp.groups.v[i].group_id))
            resp.groups.v[kept++] = resp.groups.v[i];
    resp.groups.n = kept;
    pending_answer(p, &resp);
}

void handle_list_groups(struct pending *p)
{
    pending_forward(p, session_sees(p->session, ACL_CLUSTER, ACL_DESCRIBE, slice_str(ACL_CLUSTER_NAME)) ? NULL
                                                                                                        : on_groups);
}

/* ---- DescribeGroups ---- */

static void put_operations(struct pending *p, void *response)
{
    struct describe_groups_response *resp = response;

    for (int32_t i = 0; i < resp->groups.n; i++) {
        struct describe_groups_response_described_group *g = &resp->groups.v[i];
        g->authorized_operations =
            g->error_code ? OPERATIONS_ABSENT : authorized_operations(p->session, ACL_GROUP, g->group_id);
    }
    pending_answer(p, resp);
}

void handle_describe_groups(struct pending *p)
{
    const struct describe_groups_request *req = p->body;
    split_run(p, req->include_authorized_operations ? put_operations : NULL);
}

/* ---- ConsumerGroupDescribe ---- */

typedef struct consumer_group_describe_response_described_group described_group;
typedef struct consumer_group_describe_response_assignment assignment;

static bool may_see(struct pending *p, const assignment *a)
{
    for (int32_t i = 0; i < a->topic_partitions.n; i++)
        if (!session_sees(p->session, ACL_TOPIC, ACL_DESCRIBE, a->topic_partitions.v[i].topic_name))
            return false;
    return true;
}

static bool may_see_members(struct pending *p, const described_group *g)
{
    for (int32_t i = 0; i < g->members.n; i++)
        if (!may_see(p, &g->members.v[i].assignment) || !may_see(p, &g->members.v[i].target_assignment))
            return false;
    return true;
}

static void check_members(struct pending *p, void *response)
{
    const struct consumer_group_describe_request *req = p->body;
    struct consumer_group_describe_response *resp = response;

    for (int32_t i = 0; i < resp->groups.n; i++) {
        described_group *g = &resp->groups.v[i];

        g->authorized_operations = req->include_authorized_operations && !g->error_code
                                       ? authorized_operations(p->session, ACL_GROUP, g->group_id)
                                       : OPERATIONS_ABSENT;
        if (g->error_code || may_see_members(p, g))
            continue;
        g->error_code = ERR_TOPIC_AUTHORIZATION_FAILED;
        g->error_message = slice_str("The described group uses topics that the client is not authorized to describe.");
        g->members.n = 0;
    }
    pending_answer(p, resp);
}

void handle_consumer_group_describe(struct pending *p)
{
    split_run(p, check_members);
}

/* ---- ListTransactions ---- */

static void on_transactions(struct pending *p, enum err err, struct slice body)
{
    struct list_transactions_response resp;
    int32_t kept = 0;

    if (!pending_decode(p, err, body, &resp))
        return;
    for (int32_t i = 0; i < resp.transaction_states.n; i++)
        if (session_sees(p->session, ACL_TRANSACTIONAL_ID, ACL_DESCRIBE, resp.transaction_states.v[i].transactional_id))
            resp.transaction_states.v[kept++] = resp.transaction_states.v[i];
    resp.transaction_states.n = kept;
    pending_answer(p, &resp);
}

void handle_list_transactions(struct pending *p)
{
    pending_forward(p, on_transactions);
}

/* ---- DescribeTransactions ---- */

static void hide_topics(struct pending *p, void *response)
{
    struct describe_transactions_response *resp = response;

    for (int32_t i = 0; i < resp->transaction_states.n; i++) {
        struct describe_transactions_response_transaction_state *t = &resp->transaction_states.v[i];
        int32_t kept = 0;

        for (int32_t k = 0; k < t->topics.n; k++)
            if (session_sees(p->session, ACL_TOPIC, ACL_DESCRIBE, t->topics.v[k].topic))
                t->topics.v[kept++] = t->topics.v[k];
        if (t->topics.n > 0)
            t->topics.n = kept;
    }
    pending_answer(p, resp);
}

void handle_describe_transactions(struct pending *p)
{
    split_run(p, hide_topics);
}

/* ---- InitProducerId ---- */

static enum err may_produce(struct pending *p)
{
    const struct init_producer_id_request *req = p->body;
    struct acl_question q = {ACL_TOPIC, ACL_WRITE, slice_of("", 0), session_principal(p->session),
                             session_host(p->session)};

    if (!slice_is_null(req->transactional_id))
        return session_may(p->session, ACL_TRANSACTIONAL_ID, ACL_WRITE, req->transactional_id)
                   ? ERR_OK
                   : ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    if (acl_allowed_by_type(p->session->worker->view->acl, &q) || admin_may(p, ACL_IDEMPOTENT_WRITE))
        return ERR_OK;
    return ERR_CLUSTER_AUTHORIZATION_FAILED;
}

void handle_init_producer_id(struct pending *p)
{
    struct init_producer_id_response resp;
    enum err err = may_produce(p);

    if (!err) {
        pending_forward(p, NULL);
        return;
    }
    init_producer_id_response_init(&resp);
    resp.error_code = err_kafka(err);
    resp.producer_epoch = -1;
    pending_answer(p, &resp);
}
