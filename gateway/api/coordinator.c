/* SPDX-License-Identifier: Apache-2.0
 * FindCoordinator: DESCRIBE on the group or transactional id that is looked for. Up to version 3 there is one key, then
 * a list. */
#include "gateway/api/nodes.h"
#include "gateway/api/steps.h"
#include "gateway/request/list.h"
#include "gateway/request/request.h"
#include "wire/find_coordinator.h"

enum { KEY_GROUP = 0, KEY_TRANSACTION = 1, LIST_SINCE = 4 };

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
    struct find_coordinator_response *resp;
    enum err err = r->version < LIST_SINCE ? judge(r, req->key) : ERR_OK;

    if (!err)
        return STEP_NEXT;
    resp = arena_alloc(&r->arena, sizeof *resp);
    if (!resp)
        return request_no_memory(r);
    find_coordinator_response_init(resp);
    resp->error_code = err_kafka(err);
    resp->error_message = slice_str(err_text(err));
    resp->node_id = -1;
    resp->host = slice_of("", 0);
    resp->port = -1;
    return request_reply(r, resp);
}

enum step find_coordinator_finish(struct request *r)
{
    struct find_coordinator_response *resp = r->response;

    if (r->version < LIST_SINCE && !resp->error_code)
        resp->port = node_rewrite(r, resp->node_id, &resp->host, resp->port);
    for (int32_t i = 0; i < resp->coordinators.n; i++) {
        struct find_coordinator_response_coordinator *c = &resp->coordinators.v[i];
        if (!c->error_code)
            c->port = node_rewrite(r, c->node_id, &c->host, c->port);
    }
    return STEP_NEXT;
}
