/* SPDX-License-Identifier: Apache-2.0
 * Fetch. Fetch sessions (KIP-227) end at the gateway: every fetch goes on as a full one and is answered with session id
 * 0, which tells the client to send full fetches, so that a refusal or a policy that changes between two fetches is
 * always seen. An answer that nobody has to change passes through while it arrives. */
#include "wire/fetch.h"
#include "gateway/api/nodes.h"
#include "gateway/api/steps.h"
#include "gateway/filter/filter.h"
#include "gateway/knowledge.h"
#include "gateway/request/engine.h"
#include "gateway/request/list.h"

enum { SESSIONS_SINCE = 7, NODES_SINCE = 16 };

/* Only a node of the cluster may say it is one: its reads go past the high watermark. */
bool fetch_is_by_replica(const struct request *r)
{
    const struct fetch_request *req = r->body;

    return req->replica_id >= 0 || req->replica_state.replica_id >= 0;
}

void fetch_fill(const struct request *r, int32_t i, void *out, const struct list_note *note)
{
    struct fetch_response_partition_data *p = out;

    (void)r;
    (void)i;
    (void)note;
    p->high_watermark = -1;
    p->records = slice_of("", 0);
}

static enum step refuse_session(struct request *r)
{
    struct fetch_response *resp = arena_alloc(&r->arena, sizeof *resp);

    if (!resp)
        return request_no_memory(r);
    fetch_response_init(resp);
    resp->error_code = ERR_FETCH_SESSION_ID_NOT_FOUND; /* we never gave one out */
    r->list = NULL;
    return request_reply(r, resp);
}

/* Where memory is short the answer is made smaller: what is read, decoded and opened is held up to twice. */
static void ask_for_less(struct request *r, struct fetch_request *req)
{
    int64_t room = pipeline_room(r->pipeline) / 2;

    if (req->max_bytes <= room)
        return;
    req->max_bytes = room > 0 ? (int32_t)room : 1;
    r->changed = true;
}

enum step fetch_start(struct request *r)
{
    struct fetch_request *req = r->body;

    if (r->version >= SESSIONS_SINCE && req->session_id != 0)
        return refuse_session(r);
    if (r->version >= SESSIONS_SINCE && req->session_epoch != -1) {
        req->session_epoch = -1;
        r->changed = true;
    }
    if (r->version >= SESSIONS_SINCE && req->forgotten_topics_data.n > 0) { /* nothing is remembered */
        req->forgotten_topics_data.n = 0;
        r->changed = true;
    }
    ask_for_less(r, req);
    if (r->list && r->list->refused > 0)
        req->max_wait_ms = 0;      /* what was refused is to be answered now */
    if (r->version >= NODES_SINCE) /* a short answer tells where else to go; in a long one that is hidden */
        r->reads_answer = true;
    r->streamable = !(r->list && r->list->refused);
    return STEP_NEXT;
}

enum step fetch_finish(struct request *r)
{
    struct fetch_response *resp = r->response;
    int32_t kept = 0;

    for (int32_t i = 0; i < resp->node_endpoints.n; i++) {
        struct fetch_response_node_endpoint *n = &resp->node_endpoints.v[i];
        if (node_rewrite_known(r, n->node_id, &n->host, &n->port))
            resp->node_endpoints.v[kept++] = *n;
    }
    resp->node_endpoints.n = kept;
    resp->session_id = 0;
    return STEP_NEXT;
}
