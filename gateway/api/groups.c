/* SPDX-License-Identifier: Apache-2.0
 * Groups, where a list is filtered by what may be described:
 *   ListGroups            DESCRIBE on the cluster shows all, else on each group
 *   DescribeGroups        authorized_operations are this principal's, not the gateway's
 *   ConsumerGroupDescribe the same, and DESCRIBE on every topic its members have (KIP-848); a member's pattern, which
 *                         the cluster does not know, is put back
 * OffsetDelete: what the group's absence does to refused topics. */
#include "gateway/api/steps.h"
#include "gateway/filter/filter.h"
#include "gateway/filter/subscriptions.h"
#include "gateway/request/engine.h"
#include "gateway/request/list.h"
#include "gateway/request/request.h"
#include "wire/consumer_group_describe.h"
#include "wire/describe_groups.h"
#include "wire/list_groups.h"
#include "wire/offset_delete.h"

/* How far a step has come in the answer's list. */
struct progress {
    int32_t at, kept;
    bool all;
};

static struct progress *progress(struct request *r)
{
    if (!r->state[FILTER_API])
        r->state[FILTER_API] = arena_alloc(&r->arena, sizeof(struct progress));
    return r->state[FILTER_API];
}

/* ---- ListGroups ---- */

enum step list_groups_finish(struct request *r)
{
    struct list_groups_response *resp = r->response;
    struct progress *p = progress(r);

    if (!p)
        return request_no_memory(r);
    p->all = p->at == 0 ? request_sees_cluster(r, ACL_DESCRIBE) : p->all;
    if (p->all)
        return STEP_NEXT;
    while (p->at < resp->groups.n) {
        struct list_groups_response_listed_group g = resp->groups.v[p->at++];
        if (request_sees(r, ACL_GROUP, ACL_DESCRIBE, g.group_id))
            resp->groups.v[p->kept++] = g;
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    resp->groups.n = p->kept;
    return STEP_NEXT;
}

/* ---- DescribeGroups ---- */

enum step describe_groups_finish(struct request *r)
{
    const struct describe_groups_request *req = r->body;
    struct describe_groups_response *resp = r->response;
    struct progress *p = progress(r);

    if (!p)
        return request_no_memory(r);
    while (p->at < resp->groups.n) {
        struct describe_groups_response_described_group *g = &resp->groups.v[p->at++];
        g->authorized_operations = req->include_authorized_operations && !g->error_code
                                       ? request_operations(r, ACL_GROUP, g->group_id)
                                       : OPERATIONS_ABSENT;
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    return STEP_NEXT;
}

/* ---- OffsetDelete ---- */

/* A group that is not there is all there is to say: its topics are not in the answer, the refused ones neither. */
enum step offset_delete_finish(struct request *r)
{
    const struct offset_delete_response *resp = r->response;

    if (resp->error_code)
        r->list = NULL;
    return STEP_NEXT;
}

/* ---- ConsumerGroupDescribe ---- */

typedef struct consumer_group_describe_response_described_group described_group;
typedef struct consumer_group_describe_response_member described_member;
typedef struct consumer_group_describe_response_assignment assignment;

static bool sees(struct request *r, const assignment *a)
{
    request_spent(r, a->topic_partitions.n);
    for (int32_t i = 0; i < a->topic_partitions.n; i++)
        if (!request_sees(r, ACL_TOPIC, ACL_DESCRIBE, a->topic_partitions.v[i].topic_name))
            return false;
    return true;
}

static bool sees_members(struct request *r, const described_group *g)
{
    for (int32_t i = 0; i < g->members.n; i++)
        if (!sees(r, &g->members.v[i].assignment) || !sees(r, &g->members.v[i].target_assignment))
            return false;
    return true;
}

/* As Kafka: nothing of it is told but why. */
static void hide_group(described_group *g)
{
    struct slice id = g->group_id;

    consumer_group_describe_response_described_group_init(g);
    g->group_id = id;
    g->error_code = ERR_TOPIC_AUTHORIZATION_FAILED;
    g->error_message = slice_str("The described group uses topics that the client is not authorized to describe.");
}

/* The member's own words in place of the names that were sent for its pattern; and of names only those that this client
 * may describe, as they may be what a pattern stood for at another gateway. False: no memory. */
static bool show_subscription(struct request *r, struct slice group, described_member *m)
{
    struct wire_string_array *names = &m->subscribed_topic_names;
    struct slice pattern;
    int32_t kept = 0;

    if (!subscriptions_describe(r->engine->subscriptions, group, m->member_id, &r->arena, &pattern, names))
        return false;
    if (!slice_is_null(pattern))
        m->subscribed_topic_regex = pattern;
    for (int32_t i = 0; i < names->n; i++)
        if (request_sees(r, ACL_TOPIC, ACL_DESCRIBE, names->v[i]))
            names->v[kept++] = names->v[i];
    request_spent(r, names->n);
    if (names->n > 0)
        names->n = kept;
    return true;
}

enum step consumer_group_describe_finish(struct request *r)
{
    const struct consumer_group_describe_request *req = r->body;
    struct consumer_group_describe_response *resp = r->response;
    struct progress *p = progress(r);

    if (!p)
        return request_no_memory(r);
    while (p->at < resp->groups.n) {
        described_group *g = &resp->groups.v[p->at++];

        g->authorized_operations = req->include_authorized_operations && !g->error_code
                                       ? request_operations(r, ACL_GROUP, g->group_id)
                                       : OPERATIONS_ABSENT;
        if (!g->error_code && !sees_members(r, g))
            hide_group(g);
        if (g->error_code)
            g->members.n = 0;
        for (int32_t i = 0; i < g->members.n; i++)
            if (!show_subscription(r, g->group_id, &g->members.v[i]))
                return request_no_memory(r);
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    return STEP_NEXT;
}
