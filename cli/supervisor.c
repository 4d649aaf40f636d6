/* SPDX-License-Identifier: Apache-2.0
 * The life of one role's process as a function of events and time. A role that dies after it served is started again,
 * ever more slowly; one that never came up is given up, because starting again will not mend its configuration. */
#include "cli/supervisor.h"

void supervisor_init(struct supervisor *s)
{
    *s = (struct supervisor){.state = SUP_IDLE, .deadline_ms = INT64_MAX, .backoff_ms = SUP_BACKOFF_MS_MIN};
}

static enum supervisor_action move(struct supervisor *s, enum supervisor_state to, int64_t deadline_ms,
                                   enum supervisor_action action)
{
    s->state = to;
    s->deadline_ms = deadline_ms;
    return action;
}

static enum supervisor_action on_exit_while_up(struct supervisor *s, int64_t now_ms)
{
    int64_t wait;

    if (!s->was_ready && ++s->early_exits >= SUP_EARLY_EXITS_MAX)
        return move(s, SUP_FAILED, INT64_MAX, SUP_DO_GIVE_UP);
    if (s->state == SUP_READY && now_ms - s->ready_at_ms >= SUP_STABLE_MS)
        s->backoff_ms = SUP_BACKOFF_MS_MIN;
    wait = s->backoff_ms;
    s->backoff_ms = s->backoff_ms * 2 > SUP_BACKOFF_MS_MAX ? SUP_BACKOFF_MS_MAX : s->backoff_ms * 2;
    return move(s, SUP_BACKOFF, now_ms + wait, SUP_DO_NOTHING);
}

static enum supervisor_action on_stop(struct supervisor *s, int64_t now_ms)
{
    switch (s->state) {
    case SUP_IDLE:
    case SUP_BACKOFF:
        return move(s, SUP_STOPPED, INT64_MAX, SUP_DO_NOTHING);
    case SUP_STARTING:
    case SUP_READY:
        return move(s, SUP_STOPPING, now_ms + SUP_STOP_MS_MAX, SUP_DO_TERMINATE);
    case SUP_STOPPING:
    case SUP_STOPPED:
    case SUP_FAILED:
        break;
    }
    return SUP_DO_NOTHING;
}

static enum supervisor_action on_timer(struct supervisor *s, int64_t now_ms)
{
    if (now_ms < s->deadline_ms)
        return SUP_DO_NOTHING;
    if (s->state == SUP_BACKOFF)
        return move(s, SUP_STARTING, INT64_MAX, SUP_DO_SPAWN);
    s->deadline_ms = INT64_MAX;
    return s->state == SUP_STOPPING ? SUP_DO_KILL : SUP_DO_NOTHING;
}

enum supervisor_action supervisor_step(struct supervisor *s, enum supervisor_event event, int64_t now_ms)
{
    switch (event) {
    case SUP_EV_START:
        return s->state == SUP_IDLE ? move(s, SUP_STARTING, INT64_MAX, SUP_DO_SPAWN) : SUP_DO_NOTHING;
    case SUP_EV_IS_READY:
        if (s->state == SUP_STARTING) {
            s->was_ready = true;
            s->ready_at_ms = now_ms;
            move(s, SUP_READY, INT64_MAX, SUP_DO_NOTHING);
        }
        return SUP_DO_NOTHING;
    case SUP_EV_EXITED:
        if (s->state == SUP_STARTING || s->state == SUP_READY)
            return on_exit_while_up(s, now_ms);
        if (s->state == SUP_STOPPING)
            return move(s, SUP_STOPPED, INT64_MAX, SUP_DO_NOTHING);
        return SUP_DO_NOTHING;
    case SUP_EV_TIMER:
        return on_timer(s, now_ms);
    case SUP_EV_STOP:
        return on_stop(s, now_ms);
    }
    return SUP_DO_NOTHING;
}
