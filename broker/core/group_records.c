/* SPDX-License-Identifier: Apache-2.0
 * Records of `__consumer_offsets` in Kafka's formats, and the table as they tell it. A group with members is stable in
 * the log: rebalances under way are not written, their members join again after a failover. */
#include "broker/core/group_private.h"
#include "wire/group_records.h"

#include <stdlib.h>

enum { KEY_OFFSET_LEGACY = 0, KEY_OFFSET = 1, KEY_GROUP = 2, GROUP_VALUE_VERSION = 3 };

static void put_key(struct buf *out, struct slice id)
{
    struct group_metadata_key k;

    group_metadata_key_init(&k);
    k.group = id;
    wire_record_put_version(out, KEY_GROUP);
    enum err err = group_metadata_key_encode(&k, out, 0);
    if (err && !out->error)
        out->error = err;
}

static void add(struct record_list *out, const struct buf *key, struct slice value, enum err err)
{
    if (!err)
        err = key->error;
    if (err && !out->bytes.error)
        out->bytes.error = err;
    record_list_add(out, buf_slice(key), value);
}

static void fill_member(const struct group *g, const struct group_member *m,
                        struct group_metadata_value_member_metadata *out)
{
    group_metadata_value_member_metadata_init(out);
    out->member_id = slice_str(m->id);
    out->group_instance_id = group_slice(m->instance_id);
    out->client_id = slice_str(m->client_id);
    out->client_host = slice_str(m->client_host);
    out->rebalance_timeout = m->rebalance_ms;
    out->session_timeout = m->session_ms;
    out->subscription = member_metadata(m, g->protocol);
    out->assignment = m->assignment_n ? slice_of(m->assignment, m->assignment_n) : slice_str("");
}

void group_record_put(const struct group *g, struct record_list *out)
{
    struct group_metadata_value v;
    struct buf key, value;
    struct arena a;
    enum err err = ERR_OK;
    int32_t n = 0;

    arena_init(&a, 0);
    buf_init(&key, 0);
    buf_init(&value, 0);
    put_key(&key, slice_str(g->id));
    group_metadata_value_init(&v);
    v.protocol_type = slice_str(g->protocol_type ? g->protocol_type : "");
    v.generation = g->generation;
    v.protocol = group_slice(g->protocol);
    v.leader = g->leader ? slice_str(g->leader->id) : SLICE_NULL;
    v.current_state_timestamp = g->since_ms;
    if (!group_metadata_value_member_metadata_array_alloc(&v.members, (int32_t)map_count(&g->members), &a) &&
        map_count(&g->members))
        err = ERR_NO_MEMORY;
    for (const struct map_entry *e = map_first(&g->members); e && !err; e = map_next(&g->members, e))
        fill_member(g, e->value, &v.members.v[n++]);
    wire_record_put_version(&value, GROUP_VALUE_VERSION);
    if (!err)
        err = group_metadata_value_encode(&v, &value, GROUP_VALUE_VERSION);
    add(out, &key, buf_slice(&value), err ? err : value.error);
    buf_free(&key);
    buf_free(&value);
    arena_free(&a);
}

void group_record_remove(struct slice id, struct record_list *out)
{
    struct buf key;

    buf_init(&key, 0);
    put_key(&key, id);
    add(out, &key, SLICE_NULL, ERR_OK);
    buf_free(&key);
}

/* ---- Groups from the log ---- */

/* Back to a group that never had members; its offsets stay. */
static void group_reset(struct group *g)
{
    for (struct map_entry *e = map_first(&g->members); e; e = map_next(&g->members, e))
        member_remove(g, e->value);
    free(g->protocol_type);
    free(g->protocol);
    g->protocol_type = g->protocol = NULL;
    g->state = g->previous = GROUP_EMPTY;
    g->generation = 0;
    g->since_ms = g->join_deadline_ms = g->sync_deadline_ms = -1;
    group_learn_topics(g);
}

static enum err restore_member(struct group *g, const struct group_metadata_value *v,
                               const struct group_metadata_value_member_metadata *in, int64_t now_ms)
{
    struct join_group_request_join_group_request_protocol p = {.name = v->protocol.p ? v->protocol : slice_str(""),
                                                               .metadata = in->subscription};
    struct join_group_request_join_group_request_protocol_array protocols = {&p, 1};
    struct member_spec spec = {
        .id = in->member_id,
        .instance_id = in->group_instance_id,
        .client_id = in->client_id,
        .client_host = in->client_host,
        .session_ms = in->session_timeout,
        .rebalance_ms = in->rebalance_timeout < 0 ? in->session_timeout : in->rebalance_timeout,
        .protocols = &protocols,
    };
    struct group_member *m = member_new(&spec);

    if (!m || member_set_assignment(m, in->assignment) || member_add(g, m, v->protocol_type)) {
        member_free(m);
        return ERR_NO_MEMORY;
    }
    member_beat(m, now_ms);
    if (v->leader.p && slice_eq(v->leader, in->member_id))
        g->leader = m;
    return ERR_OK;
}

static enum err restore_group(struct group *g, const struct group_metadata_value *v, int64_t now_ms)
{
    enum err err = ERR_OK;

    for (int32_t i = 0; i < v->members.n; i++)
        if (v->members.v[i].member_id.n == 0 || member_find(g, v->members.v[i].member_id))
            return ERR_CORRUPT_MESSAGE;
    for (int32_t i = 0; i < v->members.n && !err; i++)
        err = restore_member(g, v, &v->members.v[i], now_ms);
    if (err)
        return err;
    free(g->protocol_type);
    free(g->protocol);
    g->protocol_type = group_text(v->protocol_type);
    g->protocol = group_text(v->protocol);
    g->generation = v->generation;
    g->since_ms = v->current_state_timestamp;
    g->state = v->members.n > 0 && g->protocol ? GROUP_STABLE : GROUP_EMPTY;
    if (!g->protocol_type || (v->protocol.p && !g->protocol))
        return ERR_NO_MEMORY;
    if (g->state == GROUP_EMPTY && v->members.n > 0)
        return ERR_CORRUPT_MESSAGE;
    group_learn_topics(g);
    return ERR_OK;
}

static enum err apply_group(struct group_table *t, struct cursor *key, const struct group_record *r, struct arena *a)
{
    struct group_metadata_key k;
    struct group_metadata_value v;
    struct cursor c = cursor_of(r->value);
    struct group *g;
    int16_t version;
    enum err err = group_metadata_key_decode(&k, key, 0, a);

    if (err)
        return err;
    if (slice_is_null(r->value)) {
        g = group_find(t, k.group);
        if (g && map_count(&g->promised) == 0)
            group_reset(g);
        if (g)
            group_settle(g);
        return ERR_OK;
    }
    version = wire_record_get_version(&c);
    err = c.error ? c.error : group_metadata_value_decode(&v, &c, version, a);
    if (err || slice_has_nul(k.group))
        return err ? err : ERR_CORRUPT_MESSAGE;
    g = group_get(t, k.group);
    if (!g)
        return ERR_NO_MEMORY;
    group_reset(g);
    err = restore_group(g, &v, r->now_ms);
    if (err)
        group_reset(g);
    group_settle(g);
    return err;
}

/* ---- Offsets from the log ---- */

static enum err decode_offset(struct cursor *c, struct offset_value *out, struct arena *a)
{
    struct offset_commit_value v;
    int16_t version = wire_record_get_version(c);
    enum err err = c->error ? c->error : offset_commit_value_decode(&v, c, version, a);

    if (err)
        return err;
    out->offset = v.offset;
    out->leader_epoch = v.leader_epoch;
    out->metadata = v.metadata;
    out->commit_ms = v.commit_timestamp;
    out->expire_ms = v.expire_timestamp;
    return ERR_OK;
}

static enum err apply_offset(struct group_table *t, struct cursor *key, const struct group_record *r, struct arena *a)
{
    struct offset_commit_key k;
    struct offset_value v = {.at = r->offset};
    struct cursor c = cursor_of(r->value);
    struct group *g;
    enum err err = offset_commit_key_decode(&k, key, 0, a);

    if (err)
        return err;
    if (slice_is_null(r->value)) {
        g = group_find(t, k.group);
        if (!g)
            return ERR_OK;
        offsets_remove(&g->offsets, &t->txns, k.topic, k.partition, r->offset);
        group_settle(g);
        return ERR_OK;
    }
    err = decode_offset(&c, &v, a);
    if (err)
        return err;
    g = group_get(t, k.group);
    if (!g)
        return ERR_NO_MEMORY;
    if (r->producer_id < 0)
        err = offsets_commit(&g->offsets, g, k.topic, k.partition, &v);
    else
        err = offsets_stage(&g->offsets, g, &t->txns, r->producer_id, k.topic, k.partition, &v);
    group_settle(g);
    return err;
}

enum err group_table_apply(struct group_table *t, const struct group_record *r)
{
    struct cursor c = cursor_of(r->key);
    int16_t kind = wire_record_get_version(&c);
    enum err err = c.error;
    struct arena a;

    arena_init(&a, 0);
    if (!err && (kind == KEY_OFFSET || kind == KEY_OFFSET_LEGACY))
        err = apply_offset(t, &c, r, &a);
    else if (!err && kind == KEY_GROUP)
        err = apply_group(t, &c, r, &a);
    arena_free(&a);
    return err && err != ERR_NO_MEMORY ? ERR_CORRUPT_MESSAGE : err;
}

void group_table_txn_ended(struct group_table *t, int64_t producer_id, bool commit)
{
    struct offset_ended e;

    while (offset_txns_end_one(&t->txns, producer_id, commit, &e)) {
        offsets_settle(&e.group->offsets, e.slot);
        group_settle(e.group);
    }
}
