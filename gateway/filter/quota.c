/* SPDX-License-Identifier: Apache-2.0
 * Quotas (acl/quota.h) at work: what a request used is recorded under the client's user and client id; its answer's
 * throttle time, and the muting that follows, is the longest of all (KIP-219). */
#include "acl/quota_meter.h"
#include "gateway/api/api.h"
#include "gateway/filter/filter.h"
#include "gateway/knowledge.h"
#include "gateway/request/engine.h"

bool filter_quota_plan(struct request *r)
{
    return (r->row->filters & FILTER_BIT(FILTER_QUOTA)) && r->engine->view &&
           quota_snapshot_limits_any(r->engine->view->quotas, r->row->quota);
}

void filter_quota_record(struct request *r, double value)
{
    struct engine *e = r->engine;
    struct quota_bound bound;
    int64_t ms;

    if (!e->view || !quota_snapshot_limits_any(e->view->quotas, r->row->quota) ||
        !quota_snapshot_resolve(e->view->quotas, r->row->quota, request_peer(r)->user,
                                slice_is_null(r->client_id) ? slice_of("", 0) : r->client_id, &bound))
        return;
    ms = quota_record(e->meters, &bound, value, e->now_ms);
    if (ms > r->throttle_ms)
        r->throttle_ms = ms;
    if (ms <= 0)
        return;
    e->ops->mute(r->pipeline, ms);
    e->ops->throttled(r, r->row->quota);
}

enum step filter_quota_start(struct request *r)
{
    if (r->row->quota == QUOTA_PRODUCER_BYTE_RATE)
        filter_quota_record(r, (double)r->frame.n);
    return STEP_NEXT;
}

enum step filter_quota_finish(struct request *r)
{
    if (r->row->quota == QUOTA_CONSUMER_BYTE_RATE)
        filter_quota_record(r, (double)r->reply_n);
    return STEP_NEXT;
}
