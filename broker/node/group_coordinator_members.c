/* SPDX-License-Identifier: Apache-2.0
 * The requests of a group's members: JoinGroup, SyncGroup, Heartbeat, LeaveGroup. */
#include "broker/node/group_coordinator_private.h"

static struct group_waiter *waiter_new(struct request *r)
{
    struct group_waiter *w = arena_alloc(&r->arena, sizeof *w);

    if (!w) {
        request_fail(r, "out of memory");
        return NULL;
    }
    w->arena = &r->arena;
    w->user = r;
    return w;
}

void node_handle_join_group(struct request *r)
{
    const struct join_group_request *req = r->body;
    struct node *n = r->node;
    struct join_group_response resp;
    struct group_waiter *w;
    struct group_table *t;
    struct group_step s;
    struct group_join j = {.request = req,
                           .id_required = r->version >= 4,
                           .may_skip = r->version >= 9,
                           .client_id = r->client_id,
                           .client_host = slice_str(arena_printf(&r->arena, "/%s", request_host(r)))};
    int32_t partition;
    enum err err = group_coordinator_find(n, req->group_id, &t, &partition);

    if (!err && slice_has_nul(req->group_instance_id))
        err = ERR_INVALID_REQUEST;
    if (err) {
        join_group_response_init(&resp);
        resp.error_code = err_kafka(err);
        resp.member_id = req->member_id;
        resp.leader = slice_str("");
        resp.protocol_name = r->version < 7 ? slice_str("") : SLICE_NULL;
        request_answer(r, &resp);
        return;
    }
    if (!(w = waiter_new(r)))
        return;
    n->env->random(n->env, j.random, sizeof j.random);
    group_step_begin(&s, n->coordinators->groups, partition);
    group_join(t, &j, w, &s.call);
    group_step_finish(&s);
}

void node_handle_sync_group(struct request *r)
{
    const struct sync_group_request *req = r->body;
    struct sync_group_response resp;
    struct group_waiter *w;
    struct group_table *t;
    struct group_step s;
    int32_t partition;
    bool lacks = r->version >= 5 && (slice_is_null(req->protocol_type) || slice_is_null(req->protocol_name));
    enum err err =
        lacks ? ERR_INCONSISTENT_GROUP_PROTOCOL : group_coordinator_find(r->node, req->group_id, &t, &partition);

    if (err) {
        sync_group_response_init(&resp);
        resp.error_code = err_kafka(err);
        resp.assignment = slice_str("");
        request_answer(r, &resp);
        return;
    }
    if (!(w = waiter_new(r)))
        return;
    group_step_begin(&s, r->node->coordinators->groups, partition);
    group_sync(t, req, w, &s.call);
    group_step_finish(&s);
}

void node_handle_heartbeat(struct request *r)
{
    const struct heartbeat_request *req = r->body;
    struct heartbeat_response resp;
    struct group_table *t;
    int32_t partition;
    enum err err = group_coordinator_find(r->node, req->group_id, &t, &partition);

    if (!err) {
        struct group_call call; /* a heartbeat writes nothing and wakes no one */
        group_call_init(&call, loop_now_ms(r->node->loop), node_wall_ms(r->node), NULL);
        err = group_heartbeat(t, req, &call);
    }
    heartbeat_response_init(&resp);
    resp.error_code = err_kafka(err);
    request_answer(r, &resp);
}

static void answer_leave(struct request *r, const struct leave_group_request_member_identity *members, int32_t n,
                         const enum err *errors, enum err err)
{
    struct leave_group_response resp;

    leave_group_response_init(&resp);
    if (r->version < 3) {
        resp.error_code = err_kafka(err ? err : errors[0]);
        request_answer(r, &resp);
        return;
    }
    resp.error_code = err_kafka(err);
    if (!err)
        leave_group_response_member_response_array_alloc(&resp.members, n, &r->arena);
    for (int32_t i = 0; i < resp.members.n; i++) {
        resp.members.v[i].member_id = members[i].member_id;
        resp.members.v[i].group_instance_id = members[i].group_instance_id;
        resp.members.v[i].error_code = err_kafka(errors[i]);
    }
    request_answer(r, &resp);
}

void node_handle_leave_group(struct request *r)
{
    const struct leave_group_request *req = r->body;
    struct leave_group_request_member_identity one;
    const struct leave_group_request_member_identity *members = r->version < 3 ? &one : req->members.v;
    int32_t n = r->version < 3 ? 1 : req->members.n, partition;
    enum err *errors = arena_array(&r->arena, (size_t)n + 1, sizeof *errors);
    struct group_table *t;
    struct group_step s;
    enum err err = group_coordinator_find(r->node, req->group_id, &t, &partition);

    leave_group_request_member_identity_init(&one);
    one.member_id = req->member_id;
    if (!errors) {
        request_fail(r, "out of memory");
        return;
    }
    if (!err) {
        enum err written;
        group_step_begin(&s, r->node->coordinators->groups, partition);
        err = group_leave(t, req->group_id, members, n, errors, &s.call);
        written = group_step_finish(&s);
        err = err ? err : written;
    }
    answer_leave(r, members, n, errors, err);
}
