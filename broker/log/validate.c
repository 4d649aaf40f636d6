/* SPDX-License-Identifier: Apache-2.0
 * Validation of a produced batch, in Kafka's order: size, CRC, the header, then every record (decompressed when
 * needed). Faults of single records are collected, so that the producer learns which ones; faults of the batch end it
 * at once. Producer id, epoch and sequence are only read when there is a producer id: some clients leave zeros there.
 */
#include "broker/log/validate.h"

struct record_faults {
    struct plog_record_error *v;
    int32_t n;
    bool timestamp; /* one of them is about a timestamp */
    struct arena *arena;
};

static void fault_add(struct record_faults *f, int32_t index, bool timestamp, const char *text)
{
    f->timestamp |= timestamp;
    if (f->n >= PLOG_RECORD_ERRORS_MAX || !f->arena)
        return;
    if (!f->v)
        f->v = arena_array(f->arena, PLOG_RECORD_ERRORS_MAX, sizeof *f->v);
    if (f->v)
        f->v[f->n] = (struct plog_record_error){index, text};
    f->n += f->v != NULL;
}

static enum err check_header(const struct plog_config *config, const struct record_batch *b, enum plog_origin origin,
                             struct reason *why)
{
    enum err e;

    if (b->bytes.n > (size_t)config->max_message_bytes)
        return reason_set(why, ERR_MESSAGE_TOO_LARGE,
                          "The record batch size is %zu bytes which exceeds the maximum configured value of %d",
                          b->bytes.n, config->max_message_bytes);
    e = record_batch_check_crc(b, why);
    if (e)
        return e;
    if (origin == PLOG_FROM_CLIENT && b->base_offset != 0)
        return reason_set(why, ERR_INVALID_RECORD, "The baseOffset of the record batch should be 0, but it is %lld",
                          (long long)b->base_offset);
    if (origin == PLOG_FROM_CLIENT && record_batch_is_control(b))
        return reason_set(why, ERR_INVALID_RECORD, "Clients are not allowed to write control records");
    if ((b->attributes & RECORD_CODEC_MASK) >= WIRE_CODEC_COUNT)
        return reason_set(why, ERR_UNSUPPORTED_COMPRESSION_TYPE, "unknown compression codec %d",
                          b->attributes & RECORD_CODEC_MASK);
    if (b->record_count < 1 || b->record_count - 1 != b->last_offset_delta)
        return reason_set(why, ERR_INVALID_RECORD, "Inconsistent batch: %d records with last offset delta %d",
                          b->record_count, b->last_offset_delta);
    if (b->producer_id >= 0 && (b->producer_epoch < 0 || (origin == PLOG_FROM_CLIENT && b->base_sequence < 0)))
        return reason_set(why, ERR_INVALID_RECORD, "Invalid sequence number %d or epoch %d with producerId %lld",
                          b->base_sequence, b->producer_epoch, (long long)b->producer_id);
    if (record_batch_is_transactional(b) && b->producer_id < 0)
        return reason_set(why, ERR_INVALID_RECORD, "A transactional batch without a producer id");
    if (b->attributes & RECORD_DELETE_HORIZON && origin == PLOG_FROM_CLIENT)
        return reason_set(why, ERR_INVALID_RECORD, "Clients may not set a delete horizon");
    return ERR_OK;
}

/* Too far from the broker's clock? A record without a timestamp (-1) is not asked. */
static bool timestamp_off(const struct plog_config *config, int64_t timestamp, int64_t now_ms)
{
    if (timestamp == -1)
        return false;
    if (timestamp < now_ms)
        return timestamp < 0 ? config->message_timestamp_before_max_ms != INT64_MAX
                             : now_ms - timestamp > config->message_timestamp_before_max_ms;
    return timestamp - now_ms > config->message_timestamp_after_max_ms;
}

static enum err check_records(const struct plog_config *config, const struct record_batch *b,
                              const struct plog_append_args *args, struct buf *scratch, struct record_faults *faults,
                              int32_t *bad, int64_t *max_timestamp, struct reason *why)
{
    bool compacted = config->cleanup_policy & PLOG_CLEANUP_COMPACT, create_time = !config->message_timestamp_type;
    struct record_iter it;
    struct record r;
    bool more;
    enum err e = record_iter_open(&it, b, scratch, 0, why);

    if (e)
        return e;
    *max_timestamp = -1;
    *bad = 0;
    for (int32_t i = 0; !(e = record_iter_next(&it, &r, &more, why)) && more; i++) {
        const char *fault = NULL;
        bool timestamp = false;
        if (r.offset_delta != i) {
            fault = "Inner record does not have incremental offsets";
        } else if (compacted && !r.key.p && !record_batch_is_control(b)) {
            fault = "Compacted topic cannot accept message without key";
        } else if (b->attributes & RECORD_LOG_APPEND_TIME) {
            fault = "Invalid timestamp type: a producer may not set LogAppendTime";
            timestamp = true;
        } else if (create_time && timestamp_off(config, r.timestamp, args->now_ms)) {
            fault = "Timestamp of message is out of range: it must lie within message.timestamp.before.max.ms and "
                    "message.timestamp.after.max.ms of the broker's clock";
            timestamp = true;
        }
        if (fault) {
            fault_add(faults, i, timestamp, fault);
            faults->timestamp |= timestamp;
            ++*bad;
        }
        if (r.timestamp > *max_timestamp)
            *max_timestamp = r.timestamp;
    }
    /* A record that does not close exactly is the producer's fault, not the disk's. */
    return e == ERR_CORRUPT_MESSAGE ? ERR_INVALID_RECORD : e;
}

static int level_of(const struct plog_config *config, enum wire_codec codec)
{
    switch (codec) {
    case WIRE_CODEC_GZIP:
        return config->compression_gzip_level < 0 ? WIRE_LEVEL_DEFAULT : config->compression_gzip_level;
    case WIRE_CODEC_LZ4:
        return config->compression_lz4_level;
    case WIRE_CODEC_ZSTD:
        return config->compression_zstd_level;
    case WIRE_CODEC_NONE:
    case WIRE_CODEC_SNAPPY:
    case WIRE_CODEC_COUNT:
        break;
    }
    return WIRE_LEVEL_DEFAULT;
}

static enum err recompress(const struct plog_config *config, struct validated *v, struct buf *scratch,
                           struct buf *rewrite, struct reason *why)
{
    struct record_batch head = v->batch;
    enum wire_codec target = (enum wire_codec)config->compression_type;
    struct slice records = record_batch_codec(&head) ? buf_slice(scratch) : head.records;
    enum err e;

    head.attributes = (int16_t)((head.attributes & ~RECORD_CODEC_MASK) | target);
    e = record_batch_encode(&head, level_of(config, target), records, rewrite);
    if (e)
        return reason_set(why, e, "cannot compress a batch with %s", wire_codec_name(target));
    return record_batch_parse(buf_slice(rewrite), &v->batch, why);
}

/* The stored form: another codec, the broker's time, or the true max_timestamp. Only then is the CRC worked out again.
 */
static enum err store_form(const struct plog_config *config, struct validated *v, int64_t max_timestamp, int64_t now_ms,
                           struct buf *scratch, struct buf *rewrite, struct reason *why)
{
    bool log_time = config->message_timestamp_type != 0;
    enum err e = ERR_OK;

    buf_clear(rewrite);
    if (config->compression_type >= 0 && config->compression_type != (int32_t)record_batch_codec(&v->batch)) {
        v->rewritten = true;
        e = recompress(config, v, scratch, rewrite, why);
    }
    if (!e && (log_time || v->batch.max_timestamp != max_timestamp)) {
        if (!v->rewritten)
            buf_put_slice(rewrite, v->batch.bytes);
        e = buf_error(rewrite);
        if (e)
            return reason_set(why, e, "no memory to rewrite a batch");
        v->rewritten = true;
        record_batch_set_max_timestamp(rewrite->p, rewrite->n, log_time, log_time ? now_ms : max_timestamp);
        e = record_batch_parse(buf_slice(rewrite), &v->batch, why);
    }
    if (!e && v->rewritten && v->batch.bytes.n > (size_t)config->max_message_bytes)
        return reason_set(why, ERR_MESSAGE_TOO_LARGE,
                          "The recompressed batch is %zu bytes which exceeds the maximum configured value of %d",
                          v->batch.bytes.n, config->max_message_bytes);
    return e;
}

enum err validate_batch(const struct plog_config *config, struct slice bytes, const struct plog_append_args *args,
                        struct buf *scratch, struct buf *rewrite, struct validated *v, struct plog_appended *out,
                        struct reason *why)
{
    struct record_faults faults = {.arena = args->arena};
    int64_t max_timestamp;
    int32_t bad;
    enum err e = record_batch_parse(bytes, &v->batch, why);

    v->rewritten = false;
    if (e == ERR_TRUNCATED)
        return ERR_CORRUPT_MESSAGE;
    if (e == ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT)
        return reason_set(why, ERR_INVALID_RECORD, "Only record batches with magic version 2 are accepted");
    if (e)
        return e;
    if (v->batch.bytes.n != bytes.n)
        return reason_set(why, ERR_INVALID_RECORD, "Exactly one record batch per partition is accepted");
    e = check_header(config, &v->batch, args->origin, why);
    if (!e)
        e = check_records(config, &v->batch, args, scratch, &faults, &bad, &max_timestamp, why);
    if (e)
        return e;
    if (bad) {
        out->record_errors = faults.v;
        out->record_error_count = faults.n;
        return faults.timestamp ? reason_set(why, ERR_INVALID_TIMESTAMP,
                                             "One or more records have been rejected due to invalid timestamp")
                                : reason_set(why, ERR_INVALID_RECORD,
                                             "One or more records have been rejected due to %d record errors", bad);
    }
    return store_form(config, v, max_timestamp, args->now_ms, scratch, rewrite, why);
}
