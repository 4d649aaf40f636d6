/* SPDX-License-Identifier: Apache-2.0
 * Produce: each partition's batch is judged and appended alone; what cannot be is answered in its place. Transactional
 * batches are first verified with their coordinator where this broker does not know their transaction. With one
 * replica an append is committed at once, so nothing waits. acks=0 gets no answer; if something failed the connection
 * is closed, which is how Kafka tells such a producer to look up the metadata again. */
#include "broker/node/coordinators.h"
#include "broker/node/handlers.h"
#include "broker/node/node.h"
#include "core/base/log.h"
#include "core/wire/record_batch.h"
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

/* Only the lengths are looked at: whether it is a good one, the log says. */
static bool is_one_batch(struct slice records)
{
    struct cursor c = cursor_of(records);
    int32_t length;

    cursor_u64(&c); /* base offset */
    length = (int32_t)cursor_u32(&c);
    return !c.error && records.n >= RECORD_BATCH_HEADER_SIZE && length > 0 && cursor_left(&c) == (size_t)length;
}

/* Errors with which Kafka tells nothing about the log. */
static bool hides_log_start(enum err err)
{
    return err == ERR_CORRUPT_MESSAGE || err == ERR_MESSAGE_TOO_LARGE || err == ERR_RECORD_LIST_TOO_LARGE ||
           err_kafka(err) == ERR_KAFKA_STORAGE_ERROR;
}

static enum err append_one(struct request *r, struct slice topic, int32_t index, struct slice records,
                           partition_answer *out, struct reason *why)
{
    struct partition *p;
    struct plog_append_args args = {.origin = PLOG_FROM_CLIENT, .now_ms = node_wall_ms(r->node), .arena = &r->arena};
    struct plog_appended appended = {0};
    enum err err;

    if (!node_image_partition(r->node, topic, index))
        return ERR_UNKNOWN_TOPIC_OR_PARTITION;
    if (!is_one_batch(records))
        return reason_set(why, ERR_INVALID_RECORD,
                          "The records of a partition are not exactly one whole record batch.");
    if (topic_is_internal(topic))
        return reason_set(why, ERR_INVALID_TOPIC_EXCEPTION, "Cannot append to internal topic %.*s", SLICE_FMT(topic));
    err = node_leading(r->node, topic, index, -1, &p);
    if (err)
        return err;
    args.leader_epoch = p->leader_epoch;
    err = plog_append(p->log, records, &args, &appended, why);
    out->log_start_offset = hides_log_start(err) ? -1 : plog_start_offset(p->log);
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

/* What a producer is told when its transaction could not be verified: what may pass is retriable everywhere. */
static enum err claim_error(const struct request *r, enum err err)
{
    switch (err_kafka(err)) {
    case ERR_OK:
    case ERR_INVALID_PRODUCER_ID_MAPPING:
    case ERR_INVALID_PRODUCER_EPOCH:
    case ERR_INVALID_TXN_STATE:
        return err;
    case ERR_PRODUCER_FENCED:
        return ERR_INVALID_PRODUCER_EPOCH;
    case ERR_TRANSACTION_ABORTABLE:
        return r->version < 11 ? ERR_INVALID_TXN_STATE : err;
    default:
        return ERR_NOT_ENOUGH_REPLICAS;
    }
}

struct produce {
    struct request *request;
    struct txn_claim *claims; /* one per partition, in order */
    size_t count;
    enum err refused; /* the request as a whole */
};

static void produce_partition(const struct produce *p, const struct txn_claim *claim,
                              const struct produce_request_partition_produce_data *in, partition_answer *out,
                              bool *failed)
{
    struct request *r = p->request;
    const struct produce_request *req = r->body;
    struct reason why = {0};
    enum err err;

    produce_response_partition_produce_response_init(out);
    out->index = in->index;
    out->base_offset = -1;
    if (p->refused == ERR_INVALID_PRODUCER_ID_MAPPING)
        err = reason_set(&why, p->refused, "Transactional records contained more than one producer ID");
    else if (p->refused)
        err = p->refused;
    else if (req->acks != 0 && req->acks != 1 && req->acks != -1)
        err = ERR_INVALID_REQUIRED_ACKS;
    else if (slice_is_null(claim->topic))
        err = r->version >= 13 ? ERR_UNKNOWN_TOPIC_ID : ERR_UNKNOWN_TOPIC_OR_PARTITION;
    else if (claim->refused)
        err = reason_set(&why, claim->refused, "Expected transactional write from this producer");
    else if (claim->err)
        err = reason_set(&why, claim_error(r, claim->err), "the transaction could not be verified: %s",
                         err_text(claim->err));
    else
        err = append_one(r, claim->topic, in->index, in->records, out, &why);
    if (!err)
        return;
    *failed = true;
    out->error_code = err_kafka(err);
    if (why.code)
        out->error_message = arena_copy(&r->arena, slice_str(why.text));
    if (err == ERR_IO || err == ERR_DISK_FULL || err == ERR_KAFKA_STORAGE_ERROR)
        log_error("produce to %.*s-%d failed: %s", SLICE_FMT(claim->topic), (int)in->index,
                  why.code ? why.text : err_text(err));
}

static void append_all(void *user)
{
    struct produce *p = user;
    struct request *r = p->request;
    const struct produce_request *req = r->body;
    struct produce_response resp;
    const struct txn_claim *claim = p->claims;
    bool failed = false;

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
            produce_partition(p, claim++, &in->partition_data.v[i], &out->partition_responses.v[i], &failed);
    }
    if (req->acks != 0)
        request_answer(r, &resp);
    else if (failed)
        request_fail(r, "a produce with acks=0 failed");
    else
        request_no_answer(r);
}

/* Notes which claims are of transactional batches, and who their producer is. A transaction is of one producer, and who
 * writes in one says its transactional id: else he is not the one whose right to that id was asked. */
static enum err find_producer(const struct produce *p, struct record_batch *producer)
{
    const struct produce_request *req = p->request->body;
    struct txn_claim *claim = p->claims;
    bool any = false;

    for (int32_t t = 0; t < req->topic_data.n; t++) {
        for (int32_t i = 0; i < req->topic_data.v[t].partition_data.n; i++, claim++) {
            struct record_batch b;
            if (record_batch_parse(req->topic_data.v[t].partition_data.v[i].records, &b, NULL))
                continue; /* the log refuses it */
            if (!record_batch_is_transactional(&b)) {
                /* under its id and sequence the producer's own next batch would pass for a duplicate */
                if (b.producer_id >= 0 && txn_owns_producer(p->request->node, b.producer_id))
                    claim->refused = ERR_INVALID_TXN_STATE;
                continue;
            }
            if (slice_is_null(req->transactional_id))
                return ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
            if (b.producer_id < 0)
                continue;
            if (any && (b.producer_id != producer->producer_id || b.producer_epoch != producer->producer_epoch))
                return ERR_INVALID_PRODUCER_ID_MAPPING;
            *producer = b;
            claim->transactional = any = true;
        }
    }
    return ERR_OK;
}

void node_handle_produce(struct request *r)
{
    const struct produce_request *req = r->body;
    struct produce *p = arena_alloc(&r->arena, sizeof *p);
    struct record_batch producer = {.producer_id = -1};
    size_t n = 0;

    for (int32_t t = 0; t < req->topic_data.n; t++)
        n += (size_t)req->topic_data.v[t].partition_data.n;
    if (p)
        p->claims = arena_array(&r->arena, n + 1, sizeof *p->claims);
    if (!p || !p->claims) {
        request_fail(r, "out of memory");
        return;
    }
    p->request = r;
    for (int32_t t = 0; t < req->topic_data.n; t++) {
        const struct produce_request_topic_produce_data *in = &req->topic_data.v[t];
        const struct image_topic *known = r->version >= 13 ? image_topic_by_id(&r->node->image, &in->topic_id) : NULL;
        struct slice topic = r->version < 13 ? in->name
                             : known         ? arena_copy(&r->arena, slice_str(known->name))
                                             : SLICE_NULL; /* copied: the image may change while it is verified */
        for (int32_t i = 0; i < in->partition_data.n; i++)
            p->claims[p->count++] = (struct txn_claim){.topic = topic, .index = in->partition_data.v[i].index};
    }
    p->refused = find_producer(p, &producer);
    if (!p->refused && producer.producer_id >= 0)
        txn_verify(r->node, req->transactional_id, producer.producer_id, producer.producer_epoch, p->claims, p->count,
                   &r->arena, append_all, p);
    else
        append_all(p);
}
