/* SPDX-License-Identifier: Apache-2.0
 * Produce: each partition's batch is judged and appended alone; what cannot be is answered in its place. With one
 * replica an append is committed at once, so nothing waits. acks=0 gets no answer; if something failed the connection
 * is closed, which is how Kafka tells such a producer to look up the metadata again. */
#include "broker/node/handlers.h"
#include "broker/node/node.h"
#include "core/base/log.h"
#include "wire/produce.h"

typedef struct produce_response_partition_produce_response partition_answer;

static void answer_record_errors(const struct plog_appended *a, partition_answer *out, struct arena *arena)
{
    if (a->record_error_count <= 0)
        return;
    out->record_errors.v = arena_array(arena, (size_t)a->record_error_count, sizeof *out->record_errors.v);
    if (!out->record_errors.v)
        return;
    out->record_errors.n = a->record_error_count;
    for (int32_t i = 0; i < a->record_error_count; i++) {
        produce_response_batch_index_and_error_message_init(&out->record_errors.v[i]);
        out->record_errors.v[i].batch_index = a->record_errors[i].index;
        out->record_errors.v[i].batch_index_error_message = slice_str(a->record_errors[i].text);
    }
}

static enum err append_one(struct request *r, struct slice topic, int32_t index, struct slice records,
                           partition_answer *out, struct reason *why)
{
    struct partition *p;
    struct plog_append_args args = {.origin = PLOG_FROM_CLIENT, .now_ms = node_wall_ms(r->node), .arena = &r->arena};
    struct plog_appended appended = {0};
    enum err err;

    if (slice_eq_str(topic, r->node->metadata.topic))
        return ERR_INVALID_TOPIC_EXCEPTION;
    err = node_leading(r->node, topic, index, -1, &p);
    if (err)
        return err;
    args.leader_epoch = p->leader_epoch;
    err = plog_append(p->log, records, &args, &appended, why);
    out->log_start_offset = plog_start_offset(p->log);
    if (err) {
        answer_record_errors(&appended, out, &r->arena);
        return err;
    }
    out->base_offset = appended.first_offset;
    out->log_append_time_ms = appended.log_append_time_ms;
    if (!appended.duplicate) {
        plog_set_high_watermark(p->log, plog_end_offset(p->log));
        partition_appended(p);
    }
    return ERR_OK;
}

static void produce_partition(struct request *r, struct slice topic, const struct wire_uuid *topic_id,
                              const struct produce_request_partition_produce_data *in, bool acks_ok,
                              partition_answer *out, bool *failed)
{
    struct reason why = {0};
    enum err err;

    produce_response_partition_produce_response_init(out);
    out->index = in->index;
    out->base_offset = -1;
    if (!acks_ok)
        err = ERR_INVALID_REQUIRED_ACKS;
    else if (slice_is_null(topic))
        err = topic_id ? ERR_UNKNOWN_TOPIC_ID : ERR_UNKNOWN_TOPIC_OR_PARTITION;
    else
        err = append_one(r, topic, in->index, in->records, out, &why);
    if (!err)
        return;
    *failed = true;
    out->error_code = err_kafka(err);
    if (why.code)
        out->error_message = arena_copy(&r->arena, slice_str(why.text));
    if (err == ERR_IO || err == ERR_DISK_FULL || err == ERR_KAFKA_STORAGE_ERROR)
        log_error("produce to %.*s-%d failed: %s", SLICE_FMT(topic), (int)in->index,
                  why.code ? why.text : err_text(err));
}

void node_handle_produce(struct request *r)
{
    const struct produce_request *req = r->body;
    struct produce_response resp;
    bool acks_ok = req->acks == 0 || req->acks == 1 || req->acks == -1, failed = false;

    produce_response_init(&resp);
    resp.responses.v = arena_array(&r->arena, (size_t)req->topic_data.n, sizeof *resp.responses.v);
    if (!resp.responses.v) {
        request_fail(r, "out of memory");
        return;
    }
    resp.responses.n = req->topic_data.n;
    for (int32_t t = 0; t < req->topic_data.n; t++) {
        const struct produce_request_topic_produce_data *in = &req->topic_data.v[t];
        struct produce_response_topic_produce_response *out = &resp.responses.v[t];
        const struct image_topic *known = r->version >= 13 ? image_topic_by_id(&r->node->image, &in->topic_id) : NULL;
        struct slice topic = r->version < 13 ? in->name : known ? slice_str(known->name) : SLICE_NULL;

        produce_response_topic_produce_response_init(out);
        out->name = in->name;
        out->topic_id = in->topic_id;
        out->partition_responses.v =
            arena_array(&r->arena, (size_t)in->partition_data.n, sizeof *out->partition_responses.v);
        if (!out->partition_responses.v) {
            request_fail(r, "out of memory");
            return;
        }
        out->partition_responses.n = in->partition_data.n;
        for (int32_t i = 0; i < in->partition_data.n; i++)
            produce_partition(r, topic, r->version >= 13 ? &in->topic_id : NULL, &in->partition_data.v[i], acks_ok,
                              &out->partition_responses.v[i], &failed);
    }
    if (req->acks != 0)
        request_answer(r, &resp);
    else if (failed)
        request_fail(r, "a produce with acks=0 failed");
    else
        request_no_answer(r);
}
