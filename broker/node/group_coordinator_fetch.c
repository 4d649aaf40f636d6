/* SPDX-License-Identifier: Apache-2.0
 * OffsetFetch: one group (versions up to 7) or several (8 on), the partitions asked for or all there are, by topic name
 * or (10 on) id. A partition nobody committed for has offset -1 and no error. With RequireStable a partition with
 * offsets staged by an open transaction is UNSTABLE_OFFSET_COMMIT: the client asks again. */
#include "broker/node/group_coordinator_private.h"
#include "wire/offset_fetch.h"

typedef struct offset_fetch_response_offset_fetch_response_topics topic_answer;
typedef struct offset_fetch_response_offset_fetch_response_partitions partition_answer;

static void answer_partition(const struct group *g, struct slice topic, int32_t index, bool stable,
                             partition_answer *out)
{
    const struct offset_slot *s = g ? offsets_find(&g->offsets, topic, index) : NULL;

    out->partition_index = index;
    out->committed_offset = -1;
    out->committed_leader_epoch = -1;
    out->metadata = slice_str("");
    if (s && s->staged && stable) {
        out->error_code = ERR_UNSTABLE_OFFSET_COMMIT;
    } else if (s && s->committed) {
        out->committed_offset = s->value.offset;
        out->committed_leader_epoch = s->value.leader_epoch;
        out->metadata = s->value.metadata;
    }
}

static void answer_asked(struct request *r, const struct group *g, enum err err,
                         const struct offset_fetch_request_offset_fetch_request_group *in, bool stable,
                         struct offset_fetch_response_offset_fetch_response_group *out)
{
    offset_fetch_response_offset_fetch_response_topics_array_alloc(&out->topics, in->topics.n, &r->arena);
    for (int32_t t = 0; t < out->topics.n; t++) {
        const struct offset_fetch_request_offset_fetch_request_topics *asked = &in->topics.v[t];
        const struct image_topic *known =
            r->version >= 10 ? image_topic_by_id(&r->node->image, &asked->topic_id) : NULL;
        struct slice name = r->version < 10 ? asked->name : known ? slice_str(known->name) : SLICE_NULL;
        topic_answer *a = &out->topics.v[t];
        a->name = asked->name;
        a->topic_id = asked->topic_id;
        offset_fetch_response_offset_fetch_response_partitions_array_alloc(&a->partitions, asked->partition_indexes.n,
                                                                           &r->arena);
        for (int32_t i = 0; i < a->partitions.n; i++) {
            answer_partition(g, name, asked->partition_indexes.v[i], stable, &a->partitions.v[i]);
            if (err)
                a->partitions.v[i].error_code = err_kafka(err);
            else if (slice_is_null(name))
                a->partitions.v[i].error_code = ERR_UNKNOWN_TOPIC_ID;
        }
    }
}

static topic_answer *topic_in(struct offset_fetch_response_offset_fetch_response_group *out, struct map *seen,
                              const struct offset_slot *s)
{
    topic_answer *a = map_get(seen, slice_str(s->topic));

    if (a)
        return a;
    a = &out->topics.v[out->topics.n];
    offset_fetch_response_offset_fetch_response_topics_init(a);
    a->name = slice_str(s->topic);
    if (map_put(seen, a->name, a, NULL))
        return NULL;
    out->topics.n++;
    return a;
}

/* Everything the group has: first the topics and how many partitions each has, then the partitions. */
static void answer_all(struct request *r, const struct group *g, bool stable,
                       struct offset_fetch_response_offset_fetch_response_group *out)
{
    struct map seen;

    out->topics.n = 0;
    if (!g)
        return;
    map_init(&seen);
    out->topics.v = arena_array(&r->arena, map_count(&g->offsets.slots) + 1, sizeof *out->topics.v);
    for (const struct map_entry *e = map_first(&g->offsets.slots); e && out->topics.v;
         e = map_next(&g->offsets.slots, e)) {
        const struct offset_slot *s = e->value;
        const struct image_topic *known = image_topic(&r->node->image, slice_str(s->topic));
        topic_answer *a = s->committed && (known || r->version < 10) ? topic_in(out, &seen, s) : NULL;
        if (!a)
            continue;
        if (known)
            a->topic_id = known->id;
        a->partitions.n++;
    }
    for (int32_t t = 0; t < out->topics.n; t++) {
        topic_answer *a = &out->topics.v[t];
        a->partitions.v = arena_array(&r->arena, (size_t)a->partitions.n, sizeof *a->partitions.v);
        a->partitions.n = 0;
    }
    for (const struct map_entry *e = map_first(&g->offsets.slots); e && out->topics.v;
         e = map_next(&g->offsets.slots, e)) {
        const struct offset_slot *s = e->value;
        topic_answer *a = s->committed ? map_get(&seen, slice_str(s->topic)) : NULL;
        if (!a || !a->partitions.v)
            continue;
        offset_fetch_response_offset_fetch_response_partitions_init(&a->partitions.v[a->partitions.n]);
        answer_partition(g, slice_str(s->topic), s->partition, stable, &a->partitions.v[a->partitions.n++]);
    }
    map_free(&seen, NULL);
}

static void answer_group(struct request *r, const struct offset_fetch_request_offset_fetch_request_group *in,
                         struct offset_fetch_response_offset_fetch_response_group *out)
{
    const struct offset_fetch_request *req = r->body;
    struct group_table *t;
    int32_t partition;
    enum err err = group_coordinator_find_any(r->node, in->group_id, &t, &partition);
    const struct group *g = err ? NULL : group_find(t, in->group_id);

    out->group_id = in->group_id;
    out->error_code = err_kafka(err);
    if (in->topics.n >= 0) {
        if (!err || r->version < 8)
            answer_asked(r, g, r->version < 8 ? err : ERR_OK, in, req->require_stable, out);
    } else {
        answer_all(r, g, req->require_stable, out);
    }
}

/* Versions up to 7 ask for one group in fields of their own. */
static bool one_group(struct request *r, struct offset_fetch_request_offset_fetch_request_group *g)
{
    const struct offset_fetch_request *req = r->body;

    offset_fetch_request_offset_fetch_request_group_init(g);
    g->group_id = req->group_id;
    g->topics.n = req->topics.n;
    if (req->topics.n < 0)
        return true;
    if (!offset_fetch_request_offset_fetch_request_topics_array_alloc(&g->topics, req->topics.n, &r->arena) &&
        req->topics.n)
        return false;
    for (int32_t t = 0; t < g->topics.n; t++) {
        g->topics.v[t].name = req->topics.v[t].name;
        g->topics.v[t].partition_indexes = req->topics.v[t].partition_indexes;
    }
    return true;
}

static void answer_old(struct request *r)
{
    struct offset_fetch_request_offset_fetch_request_group in;
    struct offset_fetch_response_offset_fetch_response_group out;
    struct offset_fetch_response resp;

    offset_fetch_response_init(&resp);
    offset_fetch_response_offset_fetch_response_group_init(&out);
    if (!one_group(r, &in)) {
        request_fail(r, "out of memory");
        return;
    }
    answer_group(r, &in, &out);
    resp.error_code = out.error_code;
    offset_fetch_response_offset_fetch_response_topic_array_alloc(&resp.topics, out.topics.n, &r->arena);
    for (int32_t t = 0; t < resp.topics.n; t++) {
        resp.topics.v[t].name = out.topics.v[t].name;
        offset_fetch_response_offset_fetch_response_partition_array_alloc(&resp.topics.v[t].partitions,
                                                                          out.topics.v[t].partitions.n, &r->arena);
        for (int32_t i = 0; i < resp.topics.v[t].partitions.n; i++) {
            const partition_answer *p = &out.topics.v[t].partitions.v[i];
            struct offset_fetch_response_offset_fetch_response_partition *to = &resp.topics.v[t].partitions.v[i];
            to->partition_index = p->partition_index;
            to->committed_offset = p->committed_offset;
            to->committed_leader_epoch = p->committed_leader_epoch;
            to->metadata = p->metadata;
            to->error_code = p->error_code;
        }
    }
    request_answer(r, &resp);
}

void node_handle_offset_fetch(struct request *r)
{
    const struct offset_fetch_request *req = r->body;
    struct offset_fetch_response resp;

    if (r->version < 8) {
        answer_old(r);
        return;
    }
    offset_fetch_response_init(&resp);
    offset_fetch_response_offset_fetch_response_group_array_alloc(&resp.groups, req->groups.n, &r->arena);
    for (int32_t i = 0; i < resp.groups.n; i++)
        answer_group(r, &req->groups.v[i], &resp.groups.v[i]);
    request_answer(r, &resp);
}
