/* SPDX-License-Identifier: Apache-2.0
 * Reading record batches: the header view, the checks, the walk over records and over runs of batches. Every length
 * comes from a peer or from a disk, so each is held against the bytes that remain before it is used; offsets are
 * added in unsigned arithmetic, so hostile values wrap instead of being undefined. Building is record_batch_build.c. */
#include "core/wire/record_batch.h"
#include "core/wire/crc32c.h"

/* Offset 8, length 4, epoch 4, magic 1, CRC 4, attributes 2, last delta 4, times 16, producer 14, count 4. */
_Static_assert(RECORD_BATCH_HEADER_SIZE == 8 + 4 + 4 + 1 + 4 + 2 + 4 + 16 + 14 + 4, "Kafka's record batch, magic 2");

enum {
    RECORD_SIZE_MIN = 7, /* length, attributes, two deltas, key and value length, header count: one byte each */
    HEADER_SIZE_MIN = 2
};

int32_t record_batch_last_sequence(const struct record_batch *b)
{
    if (b->base_sequence < 0)
        return -1;
    return (int32_t)(((uint32_t)b->base_sequence + (uint32_t)b->last_offset_delta) & 0x7fffffffu);
}

static void read_header(struct cursor *c, struct record_batch *out)
{
    out->base_offset = (int64_t)cursor_u64(c);
    out->batch_length = (int32_t)cursor_u32(c);
    out->partition_leader_epoch = (int32_t)cursor_u32(c);
    cursor_u8(c); /* magic, checked by the caller */
    out->crc = cursor_u32(c);
    out->attributes = (int16_t)cursor_u16(c);
    out->last_offset_delta = (int32_t)cursor_u32(c);
    out->base_timestamp = (int64_t)cursor_u64(c);
    out->max_timestamp = (int64_t)cursor_u64(c);
    out->producer_id = (int64_t)cursor_u64(c);
    out->producer_epoch = (int16_t)cursor_u16(c);
    out->base_sequence = (int32_t)cursor_u32(c);
    out->record_count = (int32_t)cursor_u32(c);
}

enum err record_batch_parse(struct slice bytes, struct record_batch *out, struct reason *why)
{
    struct cursor c;
    uint8_t magic;
    uint32_t length;
    size_t size;

    if (bytes.n <= RECORD_BATCH_MAGIC_AT)
        return reason_set(why, ERR_TRUNCATED, "%zu bytes are too few for a batch header", bytes.n);
    magic = bytes.p[RECORD_BATCH_MAGIC_AT];
    if (magic < RECORD_BATCH_MAGIC)
        return reason_set(why, ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT,
                          "message format %u is older than version 2 and no longer supported", magic);
    if (magic > RECORD_BATCH_MAGIC)
        return reason_set(why, ERR_CORRUPT_MESSAGE, "unknown message format %u", magic);
    c = cursor_of(slice_of(bytes.p + 8, 4));
    length = cursor_u32(&c);
    if (length < RECORD_BATCH_HEADER_SIZE - RECORD_BATCH_OVERHEAD || length > INT32_MAX)
        return reason_set(why, ERR_CORRUPT_MESSAGE, "batch length %d is impossible", (int32_t)length);
    size = (size_t)length + RECORD_BATCH_OVERHEAD;
    if (size > bytes.n)
        return reason_set(why, ERR_TRUNCATED, "a batch of %zu bytes is cut short at %zu", size, bytes.n);
    c = cursor_of(bytes);
    read_header(&c, out);
    out->bytes = slice_of(bytes.p, size);
    out->records = slice_of(bytes.p + RECORD_BATCH_HEADER_SIZE, size - RECORD_BATCH_HEADER_SIZE);
    if (out->record_count < 0 || out->last_offset_delta < 0)
        return reason_set(why, ERR_CORRUPT_MESSAGE, "negative record count %d or last offset delta %d",
                          out->record_count, out->last_offset_delta);
    return ERR_OK;
}

enum err record_batches_next(struct slice *rest, struct record_batch *out, bool *more, struct reason *why)
{
    enum err e;

    *more = false;
    if (rest->n == 0)
        return ERR_OK;
    e = record_batch_parse(*rest, out, NULL);
    if (e == ERR_TRUNCATED)
        return ERR_OK;
    if (e)
        return record_batch_parse(*rest, out, why);
    *rest = slice_of(rest->p + out->bytes.n, rest->n - out->bytes.n);
    *more = true;
    return ERR_OK;
}

enum err record_batch_check_crc(const struct record_batch *b, struct reason *why)
{
    uint32_t crc = crc32c(b->bytes.p + RECORD_BATCH_ATTRIBUTES_AT, b->bytes.n - RECORD_BATCH_ATTRIBUTES_AT);
    if (crc != b->crc)
        return reason_set(why, ERR_CORRUPT_MESSAGE, "batch CRC is %08x, its bytes give %08x", b->crc, crc);
    return ERR_OK;
}

enum err record_batch_check_produced(const struct record_batch *b, struct reason *why)
{
    bool idempotent = b->producer_id >= 0;
    enum err e = record_batch_check_crc(b, why);

    if (e)
        return e;
    if ((b->attributes & RECORD_CODEC_MASK) >= WIRE_CODEC_COUNT)
        return reason_set(why, ERR_UNSUPPORTED_COMPRESSION_TYPE, "unknown compression codec %d",
                          b->attributes & RECORD_CODEC_MASK);
    if (record_batch_is_control(b))
        return reason_set(why, ERR_INVALID_RECORD, "clients may not write control records");
    if (b->record_count < 1 || b->record_count - 1 != b->last_offset_delta)
        return reason_set(why, ERR_INVALID_RECORD, "a batch of %d records has last offset delta %d", b->record_count,
                          b->last_offset_delta);
    if (b->producer_id < -1 || idempotent != (b->producer_epoch >= 0) || idempotent != (b->base_sequence >= 0))
        return reason_set(why, ERR_INVALID_RECORD, "producer id %lld, epoch %d and sequence %d contradict each other",
                          (long long)b->producer_id, b->producer_epoch, b->base_sequence);
    if (record_batch_is_transactional(b) && !idempotent)
        return reason_set(why, ERR_INVALID_RECORD, "a transactional batch without a producer id");
    return ERR_OK;
}

enum err record_iter_open(struct record_iter *it, const struct record_batch *b, struct buf *scratch, size_t max,
                          struct reason *why)
{
    struct slice records = b->records;

    it->batch = b;
    it->left = b->record_count;
    it->last_delta = -1;
    it->headers_max = 0;
    it->c = cursor_of(SLICE_NULL);
    if (record_batch_codec(b) != WIRE_CODEC_NONE) {
        enum err e;
        buf_clear(scratch);
        e = wire_decompress(record_batch_codec(b), records, scratch, max, why);
        if (e)
            return e;
        records = buf_slice(scratch);
    }
    if ((size_t)b->record_count > records.n / RECORD_SIZE_MIN)
        return reason_set(why, ERR_CORRUPT_MESSAGE, "%d records cannot stand in %zu bytes", b->record_count, records.n);
    it->c = cursor_of(records);
    return ERR_OK;
}

/* Key or value: a zigzag length, -1 for null. */
static struct slice read_nullable(struct cursor *c)
{
    int32_t n = cursor_varint32(c);
    if (n == -1)
        return SLICE_NULL;
    if (n < 0) {
        cursor_fail(c, ERR_CORRUPT_MESSAGE);
        return SLICE_NULL;
    }
    return cursor_take(c, (size_t)n);
}

static bool read_header_entry(struct cursor *c, struct record_header *out)
{
    out->key = read_nullable(c);
    if (!c->error && !out->key.p)
        cursor_fail(c, ERR_CORRUPT_MESSAGE);
    out->value = read_nullable(c);
    return c->error == ERR_OK;
}

bool record_header_next(struct cursor *c, struct record_header *out)
{
    return cursor_left(c) > 0 && read_header_entry(c, out);
}

static void read_record(struct cursor *c, const struct record_iter *it, struct record *out)
{
    const struct record_batch *b = it->batch;
    const uint8_t *headers;
    struct record_header h;

    out->attributes = (int8_t)cursor_u8(c);
    out->timestamp_delta = cursor_varint(c);
    out->offset_delta = cursor_varint32(c);
    out->key = read_nullable(c);
    out->value = read_nullable(c);
    out->header_count = cursor_varint32(c);
    if (out->header_count < 0 || (size_t)out->header_count > cursor_left(c) / HEADER_SIZE_MIN)
        cursor_fail(c, ERR_CORRUPT_MESSAGE);
    else if (it->headers_max && out->header_count > it->headers_max)
        cursor_fail(c, ERR_INVALID_RECORD);
    headers = c->p;
    for (int32_t i = 0; !c->error && i < out->header_count; i++)
        read_header_entry(c, &h);
    out->headers = slice_of(headers, c->error ? 0 : (size_t)(c->p - headers));
    out->offset = (int64_t)((uint64_t)b->base_offset + (uint64_t)(int64_t)out->offset_delta);
    out->timestamp = b->attributes & RECORD_LOG_APPEND_TIME
                         ? b->max_timestamp
                         : (int64_t)((uint64_t)b->base_timestamp + (uint64_t)out->timestamp_delta);
}

enum err record_iter_next(struct record_iter *it, struct record *out, bool *more, struct reason *why)
{
    const struct record_batch *b = it->batch;
    const uint8_t *start = it->c.p;
    struct cursor body;
    int32_t size, index = b->record_count - it->left;

    *more = false;
    if (it->left == 0) {
        if (cursor_left(&it->c))
            return reason_set(why, ERR_CORRUPT_MESSAGE, "%zu bytes follow the last record", cursor_left(&it->c));
        return ERR_OK;
    }
    size = cursor_varint32(&it->c);
    if (it->c.error || size < 0 || (size_t)size > cursor_left(&it->c))
        return reason_set(why, ERR_CORRUPT_MESSAGE, "record %d of %d: impossible length", index, b->record_count);
    body = cursor_of(cursor_take(&it->c, (size_t)size));
    read_record(&body, it, out);
    if (body.error == ERR_INVALID_RECORD)
        return reason_set(why, ERR_INVALID_RECORD, "record %d of %d has %d headers, the most is %d", index,
                          b->record_count, out->header_count, it->headers_max);
    if (cursor_finish(&body))
        return reason_set(why, ERR_CORRUPT_MESSAGE, "record %d of %d does not close at its length", index,
                          b->record_count);
    if (out->offset_delta <= it->last_delta || out->offset_delta > b->last_offset_delta)
        return reason_set(why, ERR_CORRUPT_MESSAGE,
                          "record %d of %d has offset delta %d after %d, the batch ends at %d", index, b->record_count,
                          out->offset_delta, it->last_delta, b->last_offset_delta);
    out->bytes = slice_of(start, (size_t)(it->c.p - start));
    it->last_delta = out->offset_delta;
    it->left--;
    *more = true;
    return ERR_OK;
}

enum record_control_type record_control_type(struct slice key)
{
    struct cursor c = cursor_of(key);
    int16_t version = (int16_t)cursor_u16(&c), type = (int16_t)cursor_u16(&c);

    if (c.error || version < 0 || type < RECORD_CONTROL_ABORT || type > RECORD_CONTROL_KRAFT_VOTERS)
        return RECORD_CONTROL_UNKNOWN;
    return (enum record_control_type)type;
}

enum err record_control_coordinator_epoch(struct slice value, int32_t *epoch)
{
    struct cursor c = cursor_of(value);
    int16_t version = (int16_t)cursor_u16(&c);

    *epoch = (int32_t)cursor_u32(&c);
    return c.error || version < 0 ? ERR_CORRUPT_MESSAGE : ERR_OK;
}
