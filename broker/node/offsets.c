/* SPDX-License-Identifier: Apache-2.0
 * ListOffsets, OffsetForLeaderEpoch and DeleteRecords. */
#include "broker/node/handlers.h"
#include "broker/node/node.h"
#include "wire/delete_records.h"
#include "wire/list_offsets.h"
#include "wire/offset_for_leader_epoch.h"

/* Special timestamps of ListOffsets (KIP-79, KIP-734, KIP-405, KIP-1005, KIP-1023). */
enum {
    TIME_LATEST = -1,
    TIME_EARLIEST = -2,
    TIME_MAX_TIMESTAMP = -3,
    TIME_EARLIEST_LOCAL = -4,
    TIME_LATEST_TIERED = -5,
    TIME_EARLIEST_PENDING = -6
};

static enum err find_offset(struct partition *p, const struct list_offsets_request_list_offsets_partition *in,
                            bool stable, struct list_offsets_response_list_offsets_partition_response *out)
{
    struct plog_at at = {-1, -1, -1};
    struct reason why = {0};
    int64_t end = stable ? plog_stable_offset(p->log) : plog_high_watermark(p->log);
    enum err err = ERR_OK;

    switch (in->timestamp) {
    case TIME_LATEST:
        at = (struct plog_at){end, -1, p->leader_epoch};
        break;
    case TIME_EARLIEST:
    case TIME_EARLIEST_LOCAL:
    case TIME_EARLIEST_PENDING:
        at = (struct plog_at){plog_start_offset(p->log), -1, plog_epoch_of_offset(p->log, plog_start_offset(p->log))};
        break;
    case TIME_LATEST_TIERED:
        break; /* nothing is tiered: -1, as Kafka answers */
    case TIME_MAX_TIMESTAMP:
        err = plog_offset_of_max_time(p->log, &at, &why);
        break;
    default:
        if (in->timestamp < 0)
            return ERR_UNSUPPORTED_VERSION;
        err = plog_offset_for_time(p->log, in->timestamp, &at, &why);
        if (at.offset >= end)
            at = (struct plog_at){-1, -1, -1};
    }
    out->offset = at.offset;
    out->timestamp = at.timestamp;
    out->leader_epoch = at.leader_epoch;
    return err;
}

void node_handle_list_offsets(struct request *r)
{
    const struct list_offsets_request *req = r->body;
    struct list_offsets_response resp;

    list_offsets_response_init(&resp);
    resp.topics.v = arena_array(&r->arena, (size_t)req->topics.n, sizeof *resp.topics.v);
    for (int32_t t = 0; resp.topics.v && t < req->topics.n; t++) {
        const struct list_offsets_request_list_offsets_topic *in = &req->topics.v[t];
        struct list_offsets_response_list_offsets_topic_response *out = &resp.topics.v[t];

        list_offsets_response_list_offsets_topic_response_init(out);
        out->name = in->name;
        out->partitions.v = arena_array(&r->arena, (size_t)in->partitions.n, sizeof *out->partitions.v);
        out->partitions.n = out->partitions.v ? in->partitions.n : 0;
        for (int32_t i = 0; i < out->partitions.n; i++) {
            struct list_offsets_response_list_offsets_partition_response *a = &out->partitions.v[i];
            struct partition *p;
            enum err err;

            list_offsets_response_list_offsets_partition_response_init(a);
            a->partition_index = in->partitions.v[i].partition_index;
            err = node_leading(r->node, in->name, a->partition_index, in->partitions.v[i].current_leader_epoch, &p);
            if (!err)
                err = find_offset(p, &in->partitions.v[i], req->isolation_level == 1, a);
            if (r->version < 4)
                a->leader_epoch = -1;
            a->error_code = err_kafka(err);
        }
        resp.topics.n = t + 1;
    }
    request_answer(r, &resp);
}

void node_handle_offset_for_leader_epoch(struct request *r)
{
    const struct offset_for_leader_epoch_request *req = r->body;
    struct offset_for_leader_epoch_response resp;

    offset_for_leader_epoch_response_init(&resp);
    resp.topics.v = arena_array(&r->arena, (size_t)req->topics.n, sizeof *resp.topics.v);
    for (int32_t t = 0; resp.topics.v && t < req->topics.n; t++) {
        const struct offset_for_leader_epoch_request_offset_for_leader_topic *in = &req->topics.v[t];
        struct offset_for_leader_epoch_response_offset_for_leader_topic_result *out = &resp.topics.v[t];

        offset_for_leader_epoch_response_offset_for_leader_topic_result_init(out);
        out->topic = in->topic;
        out->partitions.v = arena_array(&r->arena, (size_t)in->partitions.n, sizeof *out->partitions.v);
        out->partitions.n = out->partitions.v ? in->partitions.n : 0;
        for (int32_t i = 0; i < out->partitions.n; i++) {
            struct offset_for_leader_epoch_response_epoch_end_offset *a = &out->partitions.v[i];
            struct partition *p;
            enum err err;

            offset_for_leader_epoch_response_epoch_end_offset_init(a);
            a->partition = in->partitions.v[i].partition;
            err = node_leading(r->node, in->topic, a->partition, in->partitions.v[i].current_leader_epoch, &p);
            a->error_code = err_kafka(err);
            if (!err && in->partitions.v[i].leader_epoch == p->leader_epoch) {
                a->leader_epoch = p->leader_epoch;
                a->end_offset = plog_end_offset(p->log);
            } else if (!err) {
                plog_end_offset_for_epoch(p->log, in->partitions.v[i].leader_epoch, &a->leader_epoch, &a->end_offset);
            }
        }
        resp.topics.n = t + 1;
    }
    request_answer(r, &resp);
}

static enum err delete_up_to(struct request *r, struct slice topic, int32_t index, int64_t offset, int64_t *low)
{
    struct partition *p;
    struct reason why = {0};
    enum err err;

    if (topic_is_internal(topic) && node_image_partition(r->node, topic, index))
        return ERR_INVALID_TOPIC_EXCEPTION;
    err = node_leading(r->node, topic, index, -1, &p);
    if (err)
        return err;
    err = plog_advance_start(p->log, offset, &why);
    *low = err ? -1 : plog_start_offset(p->log);
    return err;
}

void node_handle_delete_records(struct request *r)
{
    const struct delete_records_request *req = r->body;
    struct delete_records_response resp;

    delete_records_response_init(&resp);
    resp.topics.v = arena_array(&r->arena, (size_t)req->topics.n, sizeof *resp.topics.v);
    for (int32_t t = 0; resp.topics.v && t < req->topics.n; t++) {
        const struct delete_records_request_delete_records_topic *in = &req->topics.v[t];
        struct delete_records_response_delete_records_topic_result *out = &resp.topics.v[t];

        delete_records_response_delete_records_topic_result_init(out);
        out->name = in->name;
        out->partitions.v = arena_array(&r->arena, (size_t)in->partitions.n, sizeof *out->partitions.v);
        out->partitions.n = out->partitions.v ? in->partitions.n : 0;
        for (int32_t i = 0; i < out->partitions.n; i++) {
            struct delete_records_response_delete_records_partition_result *a = &out->partitions.v[i];
            delete_records_response_delete_records_partition_result_init(a);
            a->partition_index = in->partitions.v[i].partition_index;
            a->low_watermark = -1;
            a->error_code =
                err_kafka(delete_up_to(r, in->name, a->partition_index, in->partitions.v[i].offset, &a->low_watermark));
        }
        resp.topics.n = t + 1;
    }
    request_answer(r, &resp);
}
