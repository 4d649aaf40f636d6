/* SPDX-License-Identifier: Apache-2.0
 * A generation's life: preparing (everyone is called to join again), completing (the leader assigns), stable; and what
 * ends it: heartbeats that stop, members that leave.
 *
 * The first rebalance of an empty group waits group.initial.rebalance.delay.ms for more members, again after each that
 * comes, up to the rebalance timeout. Any other waits until all known members have joined again, or until the longest
 * rebalance timeout among them; dynamic members that did not come are dropped, static ones stay (KIP-345). */
#include "broker/core/group_private.h"

#include <stdlib.h>

static int32_t rebalance_timeout(const struct group *g)
{
    int32_t most = 0;
    for (const struct map_entry *e = map_first(&g->members); e; e = map_next(&g->members, e)) {
        const struct group_member *m = e->value;
        if (m->rebalance_ms > most)
            most = m->rebalance_ms;
    }
    return most;
}

/* ---- Completing the join ---- */

static void drop_absent(struct group *g, struct group_call *c)
{
    for (struct map_entry *e = map_first(&g->members); e; e = map_next(&g->members, e)) {
        struct group_member *m = e->value;
        if (m->joining || m->instance_id)
            continue;
        answer_member(g, m, ERR_UNKNOWN_MEMBER_ID, c);
        member_remove(g, m);
    }
}

/* The leader must be one who is here; false when nobody is. */
static bool elect_present_leader(struct group *g)
{
    if (g->leader && g->leader->joining)
        return true;
    for (const struct map_entry *e = map_first(&g->members); e; e = map_next(&g->members, e)) {
        struct group_member *m = e->value;
        if (m->joining) {
            g->leader = m;
            return true;
        }
    }
    return false;
}

static void next_generation(struct group *g, struct group_call *c)
{
    bool empty = map_count(&g->members) == 0;

    g->join_deadline_ms = -1;
    g->grew = false;
    g->generation = g->generation == INT32_MAX ? 1 : g->generation + 1;
    free(g->protocol);
    g->protocol = empty ? NULL : group_choose_protocol(g);
    group_learn_topics(g);
    group_move(g, empty ? GROUP_EMPTY : GROUP_COMPLETING, c->wall_ms);
    if (empty)
        group_record_put(g, c->records);
}

static void answer_all_joined(struct group *g, struct group_call *c)
{
    for (struct map_entry *e = map_first(&g->members); e; e = map_next(&g->members, e)) {
        struct group_member *m = e->value;
        struct group_waiter *w = m->joining;
        m->joining = NULL;
        m->is_new = false;
        m->sync_pending = true;
        member_beat(m, c->now_ms);
        if (w)
            answer_join(g, m, w, m == g->leader, slice_str(g->leader->id), false, c);
    }
}

static void complete_join(struct group *g, struct group_call *c)
{
    drop_absent(g, c);
    if (map_count(&g->members) && !elect_present_leader(g)) {
        /* only absent static members: wait until one comes or their sessions end */
        g->join_deadline_ms = c->now_ms + rebalance_timeout(g);
        return;
    }
    next_generation(g, c);
    if (g->state == GROUP_EMPTY)
        return;
    g->sync_deadline_ms = c->now_ms + rebalance_timeout(g);
    answer_all_joined(g, c);
}

static bool all_joined(const struct group *g)
{
    return map_count(&g->promised) == 0 && group_joining_count(g) == map_count(&g->members);
}

void rebalance_maybe_complete(struct group *g, struct group_call *c)
{
    if (g->state == GROUP_PREPARING && g->previous != GROUP_EMPTY && all_joined(g))
        complete_join(g, c);
}

static void fail_syncs(struct group *g, struct group_call *c)
{
    for (struct map_entry *e = map_first(&g->members); e; e = map_next(&g->members, e)) {
        struct group_member *m = e->value;
        struct group_waiter *w = m->syncing;
        free(m->assignment);
        m->assignment = NULL;
        m->assignment_n = 0;
        m->syncing = NULL;
        if (w) {
            member_beat(m, c->now_ms);
            answer_sync(g, m, w, ERR_REBALANCE_IN_PROGRESS, c);
        }
    }
}

void rebalance_prepare(struct group *g, struct group_call *c)
{
    int32_t timeout = rebalance_timeout(g), delay = g->table->config.initial_delay_ms;
    bool initial = g->state == GROUP_EMPTY;

    if (g->state == GROUP_PREPARING) {
        rebalance_maybe_complete(g, c);
        return;
    }
    if (g->state == GROUP_COMPLETING)
        fail_syncs(g, c);
    for (struct map_entry *e = map_first(&g->members); e; e = map_next(&g->members, e))
        ((struct group_member *)e->value)->sync_pending = false;
    g->sync_deadline_ms = -1;
    group_move(g, GROUP_PREPARING, c->wall_ms);
    if (!initial) {
        g->join_deadline_ms = c->now_ms + timeout;
        rebalance_maybe_complete(g, c);
        return;
    }
    if (delay > timeout)
        delay = timeout;
    g->grew = false;
    g->join_left_ms = timeout - delay;
    g->join_deadline_ms = c->now_ms + delay;
    if (delay == 0)
        complete_join(g, c);
}

static void initial_delay_over(struct group *g, struct group_call *c)
{
    int64_t delay = g->table->config.initial_delay_ms;

    if (!g->grew || g->join_left_ms <= 0) {
        complete_join(g, c);
        return;
    }
    g->grew = false;
    if (delay > g->join_left_ms)
        delay = g->join_left_ms;
    g->join_left_ms -= delay;
    g->join_deadline_ms = c->now_ms + delay;
}

void rebalance_member_gone(struct group *g, struct group_member *m, struct group_call *c)
{
    /* a member that still waits asks again if it is there: UNKNOWN_MEMBER_ID makes it begin anew */
    answer_member(g, m, ERR_UNKNOWN_MEMBER_ID, c);
    member_remove(g, m);
    switch (g->state) {
    case GROUP_STABLE:
    case GROUP_COMPLETING:
        rebalance_prepare(g, c);
        break;
    case GROUP_PREPARING:
        rebalance_maybe_complete(g, c);
        break;
    case GROUP_EMPTY:
    case GROUP_DEAD:
        break;
    }
}

/* ---- SyncGroup ---- */

static enum err check_sync(struct group *g, const struct sync_group_request *req, struct group_member **m)
{
    enum err err = member_validate(g, req->member_id, req->group_instance_id, m);

    if (err)
        return err;
    if (req->generation_id != g->generation)
        return ERR_ILLEGAL_GENERATION;
    if (req->protocol_type.p && !slice_eq(req->protocol_type, group_slice(g->protocol_type)))
        return ERR_INCONSISTENT_GROUP_PROTOCOL;
    if (req->protocol_name.p && !slice_eq(req->protocol_name, group_slice(g->protocol)))
        return ERR_INCONSISTENT_GROUP_PROTOCOL;
    return g->state == GROUP_PREPARING ? ERR_REBALANCE_IN_PROGRESS : ERR_OK;
}

static struct slice assignment_of(const struct sync_group_request *req, const char *member_id)
{
    for (int32_t i = 0; i < req->assignments.n; i++)
        if (slice_eq_str(req->assignments.v[i].member_id, member_id))
            return req->assignments.v[i].assignment;
    return slice_str("");
}

static enum err take_assignments(struct group *g, const struct sync_group_request *req)
{
    enum err err = ERR_OK;

    for (struct map_entry *e = map_first(&g->members); e && !err; e = map_next(&g->members, e)) {
        struct group_member *m = e->value;
        err = member_set_assignment(m, assignment_of(req, m->id));
    }
    return err;
}

static void finish_sync(struct group *g, struct group_call *c)
{
    group_record_put(g, c->records);
    group_move(g, GROUP_STABLE, c->wall_ms);
    for (struct map_entry *e = map_first(&g->members); e; e = map_next(&g->members, e)) {
        struct group_member *m = e->value;
        struct group_waiter *w = m->syncing;
        m->syncing = NULL;
        if (!w)
            continue;
        member_beat(m, c->now_ms);
        answer_sync(g, m, w, ERR_OK, c);
    }
}

static bool all_synced(const struct group *g)
{
    for (const struct map_entry *e = map_first(&g->members); e; e = map_next(&g->members, e))
        if (((const struct group_member *)e->value)->sync_pending)
            return false;
    return true;
}

void group_sync(struct group_table *t, const struct sync_group_request *req, struct group_waiter *w,
                struct group_call *c)
{
    struct group *g = req->group_id.n ? group_find(t, req->group_id) : NULL;
    struct group_member *m = NULL;
    enum err err = req->group_id.n == 0 ? ERR_INVALID_GROUP_ID : g ? check_sync(g, req, &m) : ERR_UNKNOWN_MEMBER_ID;

    w->is_sync = true;
    if (!err && g->state == GROUP_COMPLETING && m == g->leader && take_assignments(g, req))
        err = ERR_COORDINATOR_NOT_AVAILABLE;
    if (err) {
        answer_sync(g, m, w, err, c);
        return;
    }
    m->sync_pending = false;
    if (all_synced(g))
        g->sync_deadline_ms = -1;
    member_beat(m, c->now_ms);
    if (g->state == GROUP_STABLE) {
        answer_sync(g, m, w, ERR_OK, c);
    } else {
        if (m->syncing) /* the same member on a new connection: the old request is of no use to it */
            answer_sync(g, m, m->syncing, ERR_REBALANCE_IN_PROGRESS, c);
        m->syncing = w;
        if (m == g->leader)
            finish_sync(g, c);
    }
    group_settle(g);
}

/* ---- Heartbeat and LeaveGroup ---- */

enum err group_heartbeat(struct group_table *t, const struct heartbeat_request *req, struct group_call *c)
{
    struct group *g = req->group_id.n ? group_find(t, req->group_id) : NULL;
    struct group_member *m;
    enum err err;

    if (req->group_id.n == 0)
        return ERR_INVALID_GROUP_ID;
    if (!g)
        return ERR_UNKNOWN_MEMBER_ID;
    err = member_validate(g, req->member_id, req->group_instance_id, &m);
    if (err)
        return err;
    if (req->generation_id != g->generation)
        return ERR_ILLEGAL_GENERATION;
    member_beat(m, c->now_ms);
    return g->state == GROUP_PREPARING ? ERR_REBALANCE_IN_PROGRESS : ERR_OK;
}

static enum err leave_one(struct group *g, const struct leave_group_request_member_identity *who, bool *left,
                          struct group_call *c)
{
    struct group_member *m = member_find(g, who->member_id);

    if (who->group_instance_id.p) {
        struct group_member *named = map_get(&g->statics, who->group_instance_id);
        if (!named)
            return ERR_UNKNOWN_MEMBER_ID;
        if (who->member_id.n && named != m) /* an administrator names the instance only */
            return ERR_FENCED_INSTANCE_ID;
        m = named;
    } else if (map_has(&g->promised, who->member_id)) {
        free(map_remove(&g->promised, who->member_id));
        *left = true;
        return ERR_OK;
    }
    if (!m)
        return ERR_UNKNOWN_MEMBER_ID;
    answer_member(g, m, ERR_UNKNOWN_MEMBER_ID, c);
    member_remove(g, m);
    *left = true;
    return ERR_OK;
}

enum err group_leave(struct group_table *t, struct slice group_id,
                     const struct leave_group_request_member_identity *members, int32_t n, enum err *errors,
                     struct group_call *c)
{
    struct group *g = group_id.n ? group_find(t, group_id) : NULL;
    size_t before = g ? map_count(&g->members) : 0;
    bool left = false;

    if (group_id.n == 0)
        return ERR_INVALID_GROUP_ID;
    for (int32_t i = 0; i < n; i++)
        errors[i] = g ? leave_one(g, &members[i], &left, c) : ERR_UNKNOWN_MEMBER_ID;
    if (!g || !left)
        return ERR_OK;
    if (map_count(&g->members) != before && (g->state == GROUP_STABLE || g->state == GROUP_COMPLETING))
        rebalance_prepare(g, c);
    else
        rebalance_maybe_complete(g, c);
    group_settle(g);
    return ERR_OK;
}

/* ---- Time ---- */

static void expire_promises(struct group *g, struct group_call *c)
{
    bool any = false;

    for (struct map_entry *e = map_first(&g->promised); e; e = map_next(&g->promised, e)) {
        const struct group_promise *p = e->value;
        if (p->deadline_ms > c->now_ms)
            continue;
        free(map_remove(&g->promised, map_key(e)));
        any = true;
    }
    if (any)
        rebalance_maybe_complete(g, c);
}

/* One at a time: a member that goes may end a rebalance, which gives the others new sessions. */
static bool expire_member(struct group *g, struct group_call *c)
{
    for (struct map_entry *e = map_first(&g->members); e; e = map_next(&g->members, e)) {
        struct group_member *m = e->value;
        bool waits = (m->joining || m->syncing) && !m->is_new;
        if (waits || m->deadline_ms > c->now_ms)
            continue;
        rebalance_member_gone(g, m, c);
        return true;
    }
    return false;
}

/* Whoever joined the generation but never asked for its assignment holds the others up. */
static void expire_syncs(struct group *g, struct group_call *c)
{
    g->sync_deadline_ms = -1;
    for (struct map_entry *e = map_first(&g->members); e; e = map_next(&g->members, e)) {
        struct group_member *m = e->value;
        if (!m->sync_pending)
            continue;
        answer_member(g, m, ERR_UNKNOWN_MEMBER_ID, c);
        member_remove(g, m);
    }
    rebalance_prepare(g, c);
}

bool group_table_expire(struct group_table *t, struct group_call *c)
{
    struct group *g = t->heap_n ? t->heap[0] : NULL;

    if (!g || g->wake_ms > c->now_ms)
        return false;
    expire_promises(g, c);
    while (expire_member(g, c)) {
    }
    if (g->sync_deadline_ms >= 0 && g->sync_deadline_ms <= c->now_ms)
        expire_syncs(g, c);
    if (g->state == GROUP_PREPARING && g->join_deadline_ms <= c->now_ms) {
        if (g->previous == GROUP_EMPTY)
            initial_delay_over(g, c);
        else
            complete_join(g, c);
    }
    group_settle(g);
    return true;
}
