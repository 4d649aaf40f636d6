/* SPDX-License-Identifier: Apache-2.0
 * What those who wait are told. Answers are copied into the waiter's own arena, because they go out only when the
 * records of the step are written, and the group may have moved on by then. Without memory for an answer the member is
 * told to look for its coordinator again, which is always safe. */
#include "broker/core/group_private.h"

static void answer(struct group_waiter *w, struct group_call *c)
{
    w->next = NULL;
    *c->answers_end = w;
    c->answers_end = &w->next;
}

static bool copy(struct group_waiter *w, struct slice *s)
{
    if (slice_is_null(*s))
        return true;
    *s = arena_copy(w->arena, *s);
    return !slice_is_null(*s);
}

void answer_join_error(struct group_waiter *w, enum err err, struct slice member_id, struct group_call *c)
{
    struct join_group_response *r = &w->answer.join;

    join_group_response_init(r);
    r->error_code = err_kafka(err);
    r->member_id = member_id;
    r->leader = slice_str("");
    if (!copy(w, &r->member_id)) {
        r->member_id = slice_str("");
        r->error_code = ERR_COORDINATOR_NOT_AVAILABLE;
    }
    answer(w, c);
}

static bool copy_members(struct group *g, struct group_waiter *w, struct join_group_response *r)
{
    int32_t n = 0;

    if (!join_group_response_join_group_response_member_array_alloc(&r->members, (int32_t)map_count(&g->members),
                                                                    w->arena))
        return false;
    for (const struct map_entry *e = map_first(&g->members); e; e = map_next(&g->members, e)) {
        const struct group_member *m = e->value;
        struct join_group_response_join_group_response_member *out = &r->members.v[n++];
        out->member_id = slice_str(m->id);
        out->group_instance_id = group_slice(m->instance_id);
        out->metadata = member_metadata(m, g->protocol);
        if (!copy(w, &out->member_id) || !copy(w, &out->group_instance_id) || !copy(w, &out->metadata))
            return false;
    }
    return true;
}

void answer_join(struct group *g, struct group_member *m, struct group_waiter *w, bool with_members,
                 struct slice leader, bool skip_assignment, struct group_call *c)
{
    struct join_group_response *r = &w->answer.join;

    join_group_response_init(r);
    r->generation_id = g->generation;
    r->protocol_type = group_slice(g->protocol_type);
    r->protocol_name = group_slice(g->protocol);
    r->leader = leader;
    r->skip_assignment = skip_assignment;
    r->member_id = slice_str(m->id);
    if (!copy(w, &r->protocol_type) || !copy(w, &r->protocol_name) || !copy(w, &r->leader) || !copy(w, &r->member_id) ||
        (with_members && !copy_members(g, w, r))) {
        answer_join_error(w, ERR_COORDINATOR_NOT_AVAILABLE, slice_str(""), c);
        return;
    }
    answer(w, c);
}

void answer_sync(struct group *g, struct group_member *m, struct group_waiter *w, enum err err, struct group_call *c)
{
    struct sync_group_response *r = &w->answer.sync;

    sync_group_response_init(r);
    r->error_code = err_kafka(err);
    r->assignment = slice_str("");
    if (!err) {
        r->protocol_type = group_slice(g->protocol_type);
        r->protocol_name = group_slice(g->protocol);
        if (m->assignment_n)
            r->assignment = slice_of(m->assignment, m->assignment_n);
        if (!copy(w, &r->protocol_type) || !copy(w, &r->protocol_name) || !copy(w, &r->assignment)) {
            sync_group_response_init(r);
            r->error_code = ERR_COORDINATOR_NOT_AVAILABLE;
            r->assignment = slice_str("");
        }
    }
    answer(w, c);
}

void answer_member(struct group *g, struct group_member *m, enum err err, struct group_call *c)
{
    struct group_waiter *joining = m->joining, *syncing = m->syncing;

    m->joining = m->syncing = NULL;
    if (joining)
        answer_join_error(joining, err, slice_str(m->id), c);
    if (syncing)
        answer_sync(g, m, syncing, err, c);
}
