/* SPDX-License-Identifier: Apache-2.0
 * JoinGroup. New dynamic members are first told an id (KIP-394), so that a client that goes away before it knows its id
 * leaves nothing behind. A static member that comes back under a new id takes its old one's place (KIP-345), without a
 * rebalance when the group is stable and its protocol stays the same (KIP-814 tells a returning leader to skip the
 * assignment). */
#include "broker/core/group_private.h"

#include <stdlib.h>

/* "<client or instance id>-<uuid>", as Kafka makes them. */
static struct slice make_member_id(const struct group_join *j, struct arena *a)
{
    const uint8_t *r = j->random;
    struct slice prefix = j->request->group_instance_id.p ? j->request->group_instance_id : j->client_id;

    return slice_str(arena_printf(a, "%.*s-%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
                                  SLICE_FMT(prefix), r[0], r[1], r[2], r[3], r[4], r[5], (r[6] & 0x0f) | 0x40, r[7],
                                  (r[8] & 0x3f) | 0x80, r[9], r[10], r[11], r[12], r[13], r[14], r[15]));
}

static int32_t rebalance_ms(const struct join_group_request *req)
{
    return req->rebalance_timeout_ms < 0 ? req->session_timeout_ms : req->rebalance_timeout_ms; /* version 0 has none */
}

static bool has_room(const struct group *g, struct slice member_id)
{
    size_t max = (size_t)g->table->config.members_max;
    const struct group_member *m = member_find(g, member_id);

    switch (g->state) {
    case GROUP_EMPTY:
    case GROUP_DEAD:
        return true;
    case GROUP_PREPARING:
        return (m && m->joining) || group_joining_count(g) < max;
    case GROUP_COMPLETING:
    case GROUP_STABLE:
        return m || map_count(&g->members) < max;
    }
    return true;
}

static void wait_for_join(struct group *g, struct group_member *m, struct group_waiter *w, struct group_call *c)
{
    if (m->joining) /* the same member on a new connection */
        answer_join_error(m->joining, ERR_REBALANCE_IN_PROGRESS, slice_str(m->id), c);
    m->joining = w;
    (void)g;
}

static enum err add_member(struct group *g, const struct group_join *j, struct slice id, struct group_waiter *w,
                           struct group_call *c)
{
    struct member_spec spec = {
        .id = id,
        .instance_id = j->request->group_instance_id,
        .client_id = j->client_id,
        .client_host = j->client_host,
        .session_ms = j->request->session_timeout_ms,
        .rebalance_ms = rebalance_ms(j->request),
        .protocols = &j->request->protocols,
    };
    struct group_member *m = member_new(&spec);
    enum err err = m ? member_add(g, m, j->request->protocol_type) : ERR_NO_MEMORY;

    if (err) {
        member_free(m);
        return ERR_COORDINATOR_NOT_AVAILABLE;
    }
    m->is_new = true;
    m->deadline_ms = c->now_ms + GROUP_NEW_MEMBER_JOIN_MS;
    m->joining = w;
    if (g->state == GROUP_PREPARING && g->previous == GROUP_EMPTY)
        g->grew = true;
    rebalance_prepare(g, c);
    return ERR_OK;
}

static enum err promise_id(struct group *g, const struct group_join *j, struct slice id, struct group_call *c)
{
    struct group_promise *p = calloc(1, sizeof *p);

    if (!p || map_put(&g->promised, id, p, NULL)) {
        free(p);
        return ERR_COORDINATOR_NOT_AVAILABLE;
    }
    p->deadline_ms = c->now_ms + j->request->session_timeout_ms;
    return ERR_MEMBER_ID_REQUIRED;
}

static enum err update_member(struct group_member *m, const struct group_join *j)
{
    if (member_set_protocols(m, &j->request->protocols))
        return ERR_COORDINATOR_NOT_AVAILABLE;
    m->session_ms = j->request->session_timeout_ms;
    m->rebalance_ms = rebalance_ms(j->request);
    return ERR_OK;
}

static enum err update_and_rebalance(struct group *g, struct group_member *m, const struct group_join *j,
                                     struct group_waiter *w, struct group_call *c)
{
    enum err err = update_member(m, j);

    if (err)
        return err;
    /* before it waits for its join: a rebalance that begins here answers the syncs of the generation that ends */
    if (m->syncing) {
        answer_sync(g, m, m->syncing, ERR_REBALANCE_IN_PROGRESS, c);
        m->syncing = NULL;
    }
    wait_for_join(g, m, w, c);
    rebalance_prepare(g, c);
    return ERR_OK;
}

/* ---- Static members ---- */

/* The member keeps everything but its id; whoever waits under the old id is fenced. */
static enum err rename_member(struct group *g, struct group_member *m, struct slice id, struct group_call *c)
{
    char *fresh = group_text(id);

    if (!fresh || map_put(&g->members, id, m, NULL)) {
        free(fresh);
        return ERR_COORDINATOR_NOT_AVAILABLE;
    }
    answer_member(g, m, ERR_FENCED_INSTANCE_ID, c);
    map_remove(&g->members, slice_str(m->id));
    free(m->id);
    m->id = fresh;
    return ERR_OK;
}

static enum err replace_in_stable(struct group *g, struct group_member *m, const struct group_join *j,
                                  struct slice old_leader, struct group_waiter *w, struct group_call *c)
{
    char *next = group_choose_protocol(g);
    bool same = next && g->protocol && strcmp(next, g->protocol) == 0, leads = m == g->leader;

    free(next);
    if (!same) {
        m->joining = w;
        rebalance_prepare(g, c);
        return ERR_OK;
    }
    group_record_put(g, c->records);
    member_beat(m, c->now_ms);
    /* a returning leader that cannot be told to skip is told that someone else leads, so that it does not assign */
    if (j->may_skip)
        answer_join(g, m, w, leads, slice_str(g->leader->id), leads, c);
    else
        answer_join(g, m, w, false, old_leader, false, c);
    return ERR_OK;
}

static enum err replace_static(struct group *g, struct group_member *m, const struct group_join *j, struct slice id,
                               struct group_waiter *w, struct group_call *c)
{
    struct slice old_leader = arena_copy(w->arena, slice_str(g->leader->id));
    enum err err = slice_is_null(old_leader) ? ERR_COORDINATOR_NOT_AVAILABLE : rename_member(g, m, id, c);

    if (!err)
        err = update_member(m, j);
    if (err)
        return err;
    switch (g->state) {
    case GROUP_STABLE:
        return replace_in_stable(g, m, j, old_leader, w, c);
    case GROUP_COMPLETING: /* the leader may be assigning to the old id right now */
    case GROUP_PREPARING:
        m->joining = w;
        if (g->previous != GROUP_EMPTY || g->state == GROUP_COMPLETING)
            member_beat(m, c->now_ms);
        rebalance_prepare(g, c);
        return ERR_OK;
    case GROUP_EMPTY:
    case GROUP_DEAD:
        break;
    }
    return ERR_UNKNOWN_MEMBER_ID;
}

/* ---- The join ---- */

static enum err join_unknown(struct group *g, const struct group_join *j, struct slice *id, struct group_waiter *w,
                             struct group_call *c)
{
    struct slice instance = j->request->group_instance_id;
    struct slice fresh = make_member_id(j, w->arena);
    struct group_member *named = instance.p ? map_get(&g->statics, instance) : NULL;

    if (slice_is_null(fresh))
        return ERR_COORDINATOR_NOT_AVAILABLE;
    if (named)
        return replace_static(g, named, j, fresh, w, c);
    if (instance.p || !j->id_required)
        return add_member(g, j, fresh, w, c);
    *id = fresh;
    return promise_id(g, j, fresh, c);
}

static enum err join_known(struct group *g, const struct group_join *j, struct group_waiter *w, struct group_call *c)
{
    const struct join_group_request *req = j->request;
    struct group_member *m;
    enum err err;
    bool same;

    if (map_has(&g->promised, req->member_id) && !req->group_instance_id.p)
        return add_member(g, j, req->member_id, w, c);
    err = member_validate(g, req->member_id, req->group_instance_id, &m);
    if (err)
        return err;
    same = member_matches(m, &req->protocols);
    if ((g->state == GROUP_COMPLETING && same) || (g->state == GROUP_STABLE && same && m != g->leader)) {
        /* it did not get the answer to its join: the generation goes on with it */
        member_beat(m, c->now_ms);
        answer_join(g, m, w, g->state == GROUP_COMPLETING && m == g->leader, slice_str(g->leader->id), false, c);
        return ERR_OK;
    }
    return update_and_rebalance(g, m, j, w, c);
}

static enum err join(struct group_table *t, const struct group_join *j, struct slice *id, struct group_waiter *w,
                     struct group_call *c)
{
    const struct join_group_request *req = j->request;
    struct group *g;
    enum err err;

    if (req->group_id.n == 0)
        return ERR_INVALID_GROUP_ID;
    if (req->session_timeout_ms < t->config.session_min_ms || req->session_timeout_ms > t->config.session_max_ms)
        return ERR_INVALID_SESSION_TIMEOUT;
    g = req->member_id.n ? group_find(t, req->group_id) : group_get(t, req->group_id);
    if (!g)
        return req->member_id.n ? ERR_UNKNOWN_MEMBER_ID : ERR_COORDINATOR_NOT_AVAILABLE;
    if (!has_room(g, req->member_id)) {
        struct group_member *m = member_find(g, req->member_id);
        *id = slice_str("");
        err = ERR_GROUP_MAX_SIZE_REACHED;
        if (m)
            rebalance_member_gone(g, m, c);
        free(map_remove(&g->promised, req->member_id));
        rebalance_maybe_complete(g, c);
    } else if (!group_supports(g, req->protocol_type, &req->protocols)) {
        err = ERR_INCONSISTENT_GROUP_PROTOCOL;
    } else {
        err = req->member_id.n ? join_known(g, j, w, c) : join_unknown(g, j, id, w, c);
    }
    group_settle(g);
    return err;
}

void group_join(struct group_table *t, const struct group_join *j, struct group_waiter *w, struct group_call *c)
{
    struct slice id = j->request->member_id.p ? j->request->member_id : slice_str("");
    enum err err;

    w->is_sync = false;
    err = join(t, j, &id, w, c);
    if (err)
        answer_join_error(w, err, id, c);
}
