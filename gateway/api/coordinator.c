/* SPDX-License-Identifier: Apache-2.0
 * FindCoordinator: DESCRIBE on the group or transactional id that is looked for. Up to version 3 there is one key, then
 * a list. Share groups are not served: their keys are answered as by a Kafka without them. */
#include "gateway/api/nodes.h"
#include "gateway/api/steps.h"
#include "gateway/request/list.h"
#include "gateway/request/request.h"
#include "gateway/filter/filter.h"
#include "wire/find_coordinator.h"

enum { KEY_GROUP = 0, KEY_TRANSACTION = 1, KEY_SHARE = 2, LIST_SINCE = 4, SHARE_SINCE = 6 };

enum step find_coordinator_judge_whole(struct request *r, enum err *err)
{
    const struct find_coordinator_request *req = r->body;

    *err = ERR_OK;
    if (req->key_type < KEY_GROUP || req->key_type > KEY_SHARE)
        *err = ERR_INVALID_REQUEST;
    else if (req->key_type == KEY_SHARE && r->version >= SHARE_SINCE && !request_may_cluster(r, ACL_CLUSTER_ACTION))
        *err = ERR_CLUSTER_AUTHORIZATION_FAILED;
    return STEP_NEXT;
}

static enum err judge(struct request *r, struct slice key)
{
    const struct find_coordinator_request *req = r->body;

    if (req->key_type == KEY_TRANSACTION)
        return request_judge(r, ACL_TRANSACTIONAL_ID, ACL_DESCRIBE, key, false);
    if (req->key_type == KEY_GROUP)
        return request_judge(r, ACL_GROUP, ACL_DESCRIBE, key, false);
    return ERR_INVALID_REQUEST;
}

enum err find_coordinator_judge(struct request *r, const void *element)
{
    return judge(r, *(const struct slice *)element);
}

void find_coordinator_fill(const struct request *r, int32_t i, void *out, const struct list_note *note)
{
    struct find_coordinator_response_coordinator *c = out;

    (void)r;
    (void)i;
    (void)note;
    c->node_id = -1;
    c->host = slice_of("", 0);
    c->port = -1;
}

enum step find_coordinator_start(struct request *r)
{
    const struct find_coordinator_request *req = r->body;
    enum err err = r->version < LIST_SINCE ? judge(r, req->key) : ERR_OK;

    return err ? request_refuse(r, err) : STEP_NEXT;
}

/* A coordinator that is not told, or has no place here, leaves nothing of the cluster's own addresses behind. */
static void put_node(struct request *r, int16_t *error, int32_t *id, struct slice *host, int32_t *port)
{
    if (!*error) {
        *port = node_rewrite(r, *id, host, *port);
        if (*port >= 0)
            return;
        *error = ERR_COORDINATOR_NOT_AVAILABLE;
    }
    *id = *port = -1;
    *host = slice_of("", 0);
}

enum step find_coordinator_finish(struct request *r)
{
    struct find_coordinator_response *resp = r->response;
    int32_t *at = r->state[FILTER_API]; /* coordinators looked at */

    if (r->version < LIST_SINCE)
        put_node(r, &resp->error_code, &resp->node_id, &resp->host, &resp->port);
    if (!at && !(at = r->state[FILTER_API] = arena_alloc(&r->arena, sizeof *at)))
        return request_no_memory(r);
    while (*at < resp->coordinators.n) {
        struct find_coordinator_response_coordinator *c = &resp->coordinators.v[(*at)++];
        put_node(r, &c->error_code, &c->node_id, &c->host, &c->port);
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    return STEP_NEXT;
}
