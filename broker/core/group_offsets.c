/* SPDX-License-Identifier: Apache-2.0
 * Who may commit offsets, when they run out, and what deleting them takes. Nothing here changes an offset: it makes
 * records, and the table changes when they are applied. */
#include "broker/core/group_private.h"

enum err group_check_commit(struct group_table *t, const struct group_commit *k, struct group_call *c)
{
    struct group *g = group_find(t, k->group_id);
    struct group_member *m;
    enum err err;

    if (k->group_id.n == 0 && k->transactional)
        return ERR_INVALID_GROUP_ID;
    if (!g) /* a consumer that manages its partitions itself has no group and no generation */
        return k->generation < 0 ? ERR_OK : ERR_ILLEGAL_GENERATION;
    if (k->generation < 0 && g->state == GROUP_EMPTY)
        return ERR_OK;
    if (k->generation >= 0 || k->member_id.n || k->instance_id.p) {
        err = member_validate(g, k->member_id, k->instance_id, &m);
        if (err)
            return err;
        if (k->generation != g->generation)
            return ERR_ILLEGAL_GENERATION;
        if (!k->transactional && g->state == GROUP_COMPLETING)
            return ERR_REBALANCE_IN_PROGRESS; /* it knows of the generation, so it will sync and commit again */
        member_beat(m, c->now_ms);
        return ERR_OK;
    }
    /* old transactional producers do not say which member they act for */
    return k->transactional ? ERR_OK : ERR_UNKNOWN_MEMBER_ID;
}

enum err group_check_offset_delete(const struct group_table *t, struct slice id)
{
    const struct group *g = group_find(t, id);

    if (id.n == 0)
        return ERR_INVALID_GROUP_ID;
    if (!g)
        return ERR_GROUP_ID_NOT_FOUND;
    if (g->state != GROUP_EMPTY && strcmp(g->protocol_type ? g->protocol_type : "", "consumer") != 0)
        return ERR_NON_EMPTY_GROUP;
    return ERR_OK;
}

bool group_is_subscribed(const struct group *g, struct slice topic)
{
    if (g->state == GROUP_EMPTY)
        return false;
    return !g->topics_known || map_has(&g->topics, topic);
}

static void remove_all(const struct group *g, struct record_list *records)
{
    for (const struct map_entry *e = map_first(&g->offsets.slots); e; e = map_next(&g->offsets.slots, e)) {
        const struct offset_slot *s = e->value;
        offset_record_remove(records, slice_str(g->id), slice_str(s->topic), s->partition);
    }
}

enum err group_delete(struct group_table *t, struct slice id, struct record_list *records)
{
    struct group *g = group_find(t, id);

    if (!g)
        return ERR_GROUP_ID_NOT_FOUND;
    if (g->state != GROUP_EMPTY)
        return ERR_NON_EMPTY_GROUP;
    remove_all(g, records);
    group_record_remove(id, records);
    return ERR_OK;
}

void group_table_forget_topic(struct group_table *t, struct slice topic, struct record_list *records)
{
    for (const struct map_entry *e = map_first(&t->by_id); e; e = map_next(&t->by_id, e)) {
        const struct group *g = e->value;
        for (const struct map_entry *k = map_first(&g->offsets.slots); k; k = map_next(&g->offsets.slots, k)) {
            const struct offset_slot *s = k->value;
            if (slice_eq_str(topic, s->topic))
                offset_record_remove(records, slice_str(g->id), topic, s->partition);
        }
    }
}

/* KIP-211: offsets of a group of consumers age from when the group became empty, or the topic unsubscribed; those
 * of simple consumers from their commit. */
static bool expired(const struct group *g, const struct offset_slot *s, int64_t wall_ms)
{
    int64_t from = s->value.commit_ms;

    if (!s->committed || s->staged)
        return false;
    if (g->state != GROUP_EMPTY && (g->state != GROUP_STABLE || group_is_subscribed(g, slice_str(s->topic))))
        return false;
    if (s->value.expire_ms >= 0)
        return wall_ms >= s->value.expire_ms;
    if (g->state == GROUP_EMPTY && g->protocol_type && g->since_ms > from)
        from = g->since_ms;
    return wall_ms - from >= g->table->config.retention_ms;
}

static void sweep_group(const struct group *g, struct group_call *c)
{
    bool any_left = false;

    for (const struct map_entry *e = map_first(&g->offsets.slots); e; e = map_next(&g->offsets.slots, e)) {
        const struct offset_slot *s = e->value;
        if (expired(g, s, c->wall_ms))
            offset_record_remove(c->records, slice_str(g->id), slice_str(s->topic), s->partition);
        else
            any_left = true;
    }
    if (!any_left && g->state == GROUP_EMPTY && map_count(&g->promised) == 0)
        group_record_remove(slice_str(g->id), c->records);
}

void group_table_sweep(struct group_table *t, struct group_call *c)
{
    for (const struct map_entry *e = map_first(&t->by_id); e; e = map_next(&t->by_id, e))
        sweep_group(e->value, c);
}
