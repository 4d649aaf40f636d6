/* SPDX-License-Identifier: Apache-2.0
 * The edge of the quota meters: who is charged (user and client id of the request) and by which clock. */
#include "gateway/traffic.h"

void traffic_record(struct pending *p, enum quota_key key, double value)
{
    struct session *s = p->session;
    struct quota_bound bound;
    int64_t ms;

    if (!s || !s->worker->view || !quota_snapshot_limits_any(s->worker->view->quotas, key))
        return;
    if (!quota_snapshot_resolve(s->worker->view->quotas, key, session_user(s),
                                slice_is_null(p->client_id) ? slice_of("", 0) : p->client_id, &bound))
        return;
    ms = quota_record(s->worker->gateway->meters, &bound, value, loop_now_ms(s->worker->loop));
    if (ms > p->throttle_ms)
        p->throttle_ms = ms;
    session_mute(s, ms);
    if (ms > 0)
        metric_add(metrics_counter("castellan_gateway_throttled_total", NULL, "Answers that carried a throttle time."),
                   1);
}
