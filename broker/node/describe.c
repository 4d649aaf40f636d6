/* SPDX-License-Identifier: Apache-2.0
 * What clients ask about the cluster: Metadata, DescribeCluster, DescribeTopicPartitions, DescribeQuorum,
 * DescribeLogDirs. Answers come from the image and the local logs; nothing here changes anything but for the automatic
 * creation of topics that Metadata may ask for. */
#include "broker/node/coordinators.h"
#include "broker/node/handlers.h"
#include "wire/describe_cluster.h"
#include "wire/describe_log_dirs.h"
#include "wire/describe_quorum.h"
#include "wire/describe_topic_partitions.h"
#include "wire/metadata.h"

#include <stdlib.h>

enum { TOPIC_PARTITIONS_MAX = 2000 }; /* max.request.partition.size.limit */

bool topic_is_internal(struct slice name)
{
    return slice_eq_str(name, OFFSETS_TOPIC) || slice_eq_str(name, TXN_TOPIC) ||
           slice_eq_str(name, "__share_group_state");
}

static enum err leader_state(struct node *n, const struct image_partition *p)
{
    return p->leader >= 0 && image_broker_alive(&n->image, p->leader) ? ERR_OK : ERR_LEADER_NOT_AVAILABLE;
}

static void offline_of(struct node *n, const struct image_partition *p, struct wire_int32_array *out, struct arena *a)
{
    out->v = arena_array(a, (size_t)p->replica_count, sizeof *out->v);
    out->n = 0;
    for (int32_t i = 0; out->v && i < p->replica_count; i++)
        if (!image_broker_alive(&n->image, p->replicas[i]))
            out->v[out->n++] = p->replicas[i];
}

static void fill_topic(struct request *r, const struct image_topic *t,
                       struct metadata_response_metadata_response_topic *out)
{
    out->name = slice_str(t->name);
    out->topic_id = t->id;
    out->is_internal = topic_is_internal(out->name);
    metadata_response_metadata_response_partition_array_alloc(&out->partitions, t->partition_count, &r->arena);
    for (int32_t i = 0; i < out->partitions.n; i++) {
        const struct image_partition *p = &t->partitions[i];
        struct metadata_response_metadata_response_partition *a = &out->partitions.v[i];
        enum err err = leader_state(r->node, p);

        a->error_code = err_kafka(err);
        a->partition_index = i;
        a->leader_id = err ? -1 : p->leader;
        a->leader_epoch = p->leader_epoch;
        a->replica_nodes = (struct wire_int32_array){p->replicas, p->replica_count};
        a->isr_nodes = (struct wire_int32_array){p->isr, p->isr_count};
        offline_of(r->node, p, &a->offline_replicas, &r->arena);
    }
}

static bool may_create(const struct request *r, const struct metadata_request *req)
{
    return (r->version < 4 || req->allow_auto_topic_creation) &&
           settings_bool(r->node->settings, "auto.create.topics.enable");
}

static void fill_named(struct request *r, const struct metadata_request_metadata_request_topic *in,
                       struct metadata_response_metadata_response_topic *out)
{
    const struct metadata_request *req = r->body;
    bool by_id = slice_is_null(in->name) || !wire_uuid_is_zero(&in->topic_id); /* an id comes with an empty name too */
    const struct image_topic *t =
        by_id ? image_topic_by_id(&r->node->image, &in->topic_id) : image_topic(&r->node->image, in->name);

    if (t) {
        fill_topic(r, t, out);
        return;
    }
    out->name = in->name;
    out->topic_id = in->topic_id;
    if (by_id) {
        out->error_code = ERR_UNKNOWN_TOPIC_ID;
        out->name = r->version < 12 ? slice_str("") : SLICE_NULL;
    } else if (!topic_name_is_valid(in->name)) {
        out->error_code = ERR_INVALID_TOPIC_EXCEPTION;
    } else if (may_create(r, req)) {
        struct node *n = r->node;
        bool internal = topic_is_internal(in->name);
        node_create_topic(n, in->name, internal ? coordinators_partitions(n, in->name) : -1, internal);
        out->error_code = ERR_UNKNOWN_TOPIC_OR_PARTITION; /* Kafka's "try again soon": it is being made */
    } else {
        out->error_code = ERR_UNKNOWN_TOPIC_OR_PARTITION;
    }
}

static int by_broker_id(const void *a, const void *b)
{
    int32_t x = (*(const struct image_broker *const *)a)->id, y = (*(const struct image_broker *const *)b)->id;
    return (x > y) - (x < y);
}

/* The brokers in the order of their ids; with `fenced` also those that are not alive. */
static const struct image_broker **brokers_of(struct node *n, bool fenced, struct arena *a, int32_t *count)
{
    const struct image_broker **list = arena_array(a, map_count(&n->image.brokers) + 1, sizeof *list);

    *count = 0;
    for (const struct map_entry *e = map_first(&n->image.brokers); list && e; e = map_next(&n->image.brokers, e))
        if (fenced || !((const struct image_broker *)e->value)->fenced)
            list[(*count)++] = e->value;
    if (list)
        qsort(list, (size_t)*count, sizeof *list, by_broker_id);
    return list;
}

void node_handle_metadata(struct request *r)
{
    const struct metadata_request *req = r->body;
    struct node *n = r->node;
    struct metadata_response resp;
    bool all = req->topics.n < 0 || (r->version == 0 && req->topics.n == 0);
    int32_t count;
    const struct image_broker **brokers = brokers_of(n, false, &r->arena, &count);

    metadata_response_init(&resp);
    resp.cluster_id = slice_str(n->cluster_id);
    resp.controller_id = image_broker_alive(&n->image, n->controller_id) ? n->controller_id : -1;
    metadata_response_metadata_response_broker_array_alloc(&resp.brokers, count, &r->arena);
    for (int32_t i = 0; i < resp.brokers.n; i++) {
        resp.brokers.v[i].node_id = brokers[i]->id;
        resp.brokers.v[i].host = slice_str(brokers[i]->host);
        resp.brokers.v[i].port = brokers[i]->port;
        resp.brokers.v[i].rack = brokers[i]->rack[0] ? slice_str(brokers[i]->rack) : SLICE_NULL;
    }
    count = all ? (int32_t)map_count(&n->image.topics) : req->topics.n;
    metadata_response_metadata_response_topic_array_alloc(&resp.topics, count, &r->arena);
    const struct map_entry *e = all ? map_first(&n->image.topics) : NULL;
    for (int32_t i = 0; i < resp.topics.n; i++) {
        if (all) {
            fill_topic(r, e->value, &resp.topics.v[i]);
            e = map_next(&n->image.topics, e);
        } else {
            fill_named(r, &req->topics.v[i], &resp.topics.v[i]);
        }
    }
    request_answer(r, &resp);
}

void node_handle_describe_cluster(struct request *r)
{
    const struct describe_cluster_request *req = r->body;
    struct node *n = r->node;
    struct describe_cluster_response resp;
    int32_t count;
    const struct image_broker **brokers = brokers_of(n, req->include_fenced_brokers, &r->arena, &count);

    describe_cluster_response_init(&resp);
    if (req->endpoint_type != 1) {
        resp.error_code = req->endpoint_type == 2 ? ERR_MISMATCHED_ENDPOINT_TYPE : ERR_UNSUPPORTED_ENDPOINT_TYPE;
        resp.error_message = slice_str("The request was sent to an endpoint of type BROKER.");
        request_answer(r, &resp);
        return;
    }
    resp.cluster_id = slice_str(n->cluster_id);
    resp.endpoint_type = 1;
    resp.controller_id = n->controller_id;
    describe_cluster_response_describe_cluster_broker_array_alloc(&resp.brokers, count, &r->arena);
    for (int32_t i = 0; i < resp.brokers.n; i++) {
        resp.brokers.v[i].broker_id = brokers[i]->id;
        resp.brokers.v[i].host = slice_str(brokers[i]->host);
        resp.brokers.v[i].port = brokers[i]->port;
        resp.brokers.v[i].rack = brokers[i]->rack[0] ? slice_str(brokers[i]->rack) : SLICE_NULL;
        resp.brokers.v[i].is_fenced = brokers[i]->fenced;
    }
    request_answer(r, &resp);
}

typedef struct describe_topic_partitions_response_describe_topic_partitions_response_topic topic_answer;

static void fill_partitions(struct request *r, const struct image_topic *t, int32_t from, int32_t limit,
                            topic_answer *out)
{
    int32_t count = t->partition_count - from;

    if (count < 0)
        count = 0;
    if (count > limit)
        count = limit;
    out->name = slice_str(t->name);
    out->topic_id = t->id;
    out->is_internal = topic_is_internal(out->name);
    describe_topic_partitions_response_describe_topic_partitions_response_partition_array_alloc(&out->partitions, count,
                                                                                                &r->arena);
    for (int32_t i = 0; i < out->partitions.n; i++) {
        const struct image_partition *p = &t->partitions[from + i];
        struct describe_topic_partitions_response_describe_topic_partitions_response_partition *a =
            &out->partitions.v[i];
        enum err err = leader_state(r->node, p);
        a->error_code = err_kafka(err);
        a->partition_index = from + i;
        a->leader_id = err ? -1 : p->leader;
        a->leader_epoch = p->leader_epoch;
        a->replica_nodes = (struct wire_int32_array){p->replicas, p->replica_count};
        a->isr_nodes = (struct wire_int32_array){p->isr, p->isr_count};
        a->eligible_leader_replicas.n = a->last_known_elr.n = 0; /* none, which is not null: Java's client insists */
        offline_of(r->node, p, &a->offline_replicas, &r->arena);
    }
}

static int by_slice(const void *a, const void *b)
{
    return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

/* KIP-966: topics in the order of their names, cut at a number of partitions; the cursor says where to go on. */
void node_handle_describe_topic_partitions(struct request *r)
{
    const struct describe_topic_partitions_request *req = r->body;
    const struct image *m = &r->node->image;
    struct describe_topic_partitions_response resp;
    int32_t n = req->topics.n > 0 ? req->topics.n : (int32_t)map_count(&m->topics), kept = 0;
    int32_t left =
        req->response_partition_limit < TOPIC_PARTITIONS_MAX ? req->response_partition_limit : TOPIC_PARTITIONS_MAX;
    struct slice *names = arena_array(&r->arena, (size_t)n + 1, sizeof *names);
    const struct map_entry *e = map_first(&m->topics);

    describe_topic_partitions_response_init(&resp);
    if (!names || !describe_topic_partitions_response_describe_topic_partitions_response_topic_array_alloc(
                      &resp.topics, n, &r->arena)) {
        request_fail(r, "out of memory");
        return;
    }
    for (int32_t i = 0; i<n; i++, e = req->topics.n> 0 ? e : map_next(&m->topics, e))
        names[i] = req->topics.n > 0 ? req->topics.v[i].name : map_key(e);
    qsort(names, (size_t)n, sizeof *names, by_slice);
    for (int32_t i = 0; i < n; i++) {
        const struct image_topic *t = image_topic(m, names[i]);
        int32_t from = 0;
        if (req->cursor) {
            int order = slice_cmp(names[i], req->cursor->topic_name);
            if (order < 0)
                continue;
            from = order == 0 ? req->cursor->partition_index : 0;
        }
        if (left <= 0 && t) {
            resp.next_cursor = arena_alloc(&r->arena, sizeof *resp.next_cursor);
            if (resp.next_cursor) {
                describe_topic_partitions_response_cursor_init(resp.next_cursor);
                resp.next_cursor->topic_name = names[i];
                resp.next_cursor->partition_index = from;
            }
            break;
        }
        topic_answer *out = &resp.topics.v[kept++];
        if (!t) {
            out->name = names[i];
            out->error_code =
                topic_name_is_valid(names[i]) ? ERR_UNKNOWN_TOPIC_OR_PARTITION : ERR_INVALID_TOPIC_EXCEPTION;
            continue;
        }
        fill_partitions(r, t, from, left, out);
        left -= out->partitions.n;
        if (from + out->partitions.n < t->partition_count) {
            resp.next_cursor = arena_alloc(&r->arena, sizeof *resp.next_cursor);
            if (resp.next_cursor) {
                describe_topic_partitions_response_cursor_init(resp.next_cursor);
                resp.next_cursor->topic_name = names[i];
                resp.next_cursor->partition_index = from + out->partitions.n;
            }
            break;
        }
    }
    resp.topics.n = kept;
    request_answer(r, &resp);
}

static void describe_quorum(struct request *r, struct describe_quorum_response_partition_data *p)
{
    struct node *n = r->node;

    p->leader_id = n->controller_id;
    p->leader_epoch = n->metadata.leader_epoch;
    p->high_watermark = plog_high_watermark(n->metadata.log);
    describe_quorum_response_replica_state_array_alloc(&p->current_voters, n->voter_count, &r->arena);
    for (int32_t i = 0; i < p->current_voters.n; i++) {
        struct describe_quorum_response_replica_state *v = &p->current_voters.v[i];
        v->replica_id = n->voters[i].id;
        if (v->replica_id != n->id)
            continue; /* what the others have is theirs to say */
        v->log_end_offset = plog_end_offset(n->metadata.log);
        if (n->controller_id == n->id) /* a leader is always up to date with itself */
            v->last_fetch_timestamp = v->last_caught_up_timestamp = node_wall_ms(n);
    }
}

/* The only quorum is that of the metadata log. */
void node_handle_describe_quorum(struct request *r)
{
    const struct describe_quorum_request *req = r->body;
    struct describe_quorum_response resp;

    describe_quorum_response_init(&resp);
    resp.error_message = SLICE_NULL;
    describe_quorum_response_topic_data_array_alloc(&resp.topics, req->topics.n, &r->arena);
    for (int32_t t = 0; t < resp.topics.n; t++) {
        const struct describe_quorum_request_topic_data *in = &req->topics.v[t];
        struct describe_quorum_response_topic_data *out = &resp.topics.v[t];

        out->topic_name = in->topic_name;
        describe_quorum_response_partition_data_array_alloc(&out->partitions, in->partitions.n, &r->arena);
        for (int32_t i = 0; i < out->partitions.n; i++) {
            struct describe_quorum_response_partition_data *p = &out->partitions.v[i];
            p->error_message = SLICE_NULL;
            p->partition_index = in->partitions.v[i].partition_index;
            if (slice_eq_str(in->topic_name, METADATA_TOPIC) && p->partition_index == 0)
                describe_quorum(r, p);
            else
                p->error_code = ERR_UNKNOWN_TOPIC_OR_PARTITION;
        }
    }
    request_answer(r, &resp);
}

static bool wants_partition(const struct describe_log_dirs_request *req, struct slice topic, int32_t partition)
{
    if (req->topics.n < 0)
        return true;
    for (int32_t t = 0; t < req->topics.n; t++)
        for (int32_t i = 0; slice_eq(req->topics.v[t].topic, topic) && i < req->topics.v[t].partitions.n; i++)
            if (req->topics.v[t].partitions.v[i] == partition)
                return true;
    return false;
}

void node_handle_describe_log_dirs(struct request *r)
{
    struct node *n = r->node;
    struct describe_log_dirs_response resp;
    struct log_dir_entry e;
    int32_t count = 0, used = 0;
    int64_t logs;

    describe_log_dirs_response_init(&resp);
    for (size_t at = 0; log_dir_at(n->dir, &at, &e);)
        count++;
    describe_log_dirs_response_describe_log_dirs_result_array_alloc(&resp.results, 1, &r->arena);
    if (!resp.results.n ||
        !describe_log_dirs_response_describe_log_dirs_topic_array_alloc(&resp.results.v[0].topics, count, &r->arena)) {
        request_fail(r, "out of memory");
        return;
    }
    struct describe_log_dirs_response_describe_log_dirs_result *dir = &resp.results.v[0];
    dir->log_dir = slice_str(log_dir_path(n->dir));
    if (log_dir_usage(n->dir, &logs, &dir->total_bytes, &dir->usable_bytes))
        dir->total_bytes = dir->usable_bytes = -1;
    for (size_t at = 0; log_dir_at(n->dir, &at, &e) && used < count;) {
        if (e.log == n->metadata.log || !wants_partition(r->body, e.topic, e.partition))
            continue;
        struct describe_log_dirs_response_describe_log_dirs_topic *t = &dir->topics.v[used++];
        t->name = arena_copy(&r->arena, e.topic);
        describe_log_dirs_response_describe_log_dirs_partition_array_alloc(&t->partitions, 1, &r->arena);
        if (t->partitions.n) {
            t->partitions.v[0].partition_index = e.partition;
            t->partitions.v[0].partition_size = plog_size(e.log);
        }
    }
    dir->topics.n = used;
    request_answer(r, &resp);
}
