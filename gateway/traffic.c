/* SPDX-License-Identifier: Apache-2.0
 * The edge of the quota meters: who is charged (user and client id of the request) and by which clock. */
#include "gateway/traffic.h"

static void note_throttle(const struct pending *p, enum quota_key key)
{
    struct worker *w = p->session->worker;

    metric_add(w->gateway->counters.throttled, 1);
    if (w->throttles)
        refusals_note(w->throttles, session_principal(p->session), p->api->name, quota_key_name(key), p->client_id,
                      loop_now_ms(w->loop));
}

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
        note_throttle(p, key);
}
