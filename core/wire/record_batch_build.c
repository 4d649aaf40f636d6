/* SPDX-License-Identifier: Apache-2.0
 * Building record batches and patching them in place. Records are encoded as they are appended, into the builder's own
 * buffer; finish compresses them behind a header whose sizes and CRC are filled in last. */
#include "core/wire/record_batch.h"
#include "core/wire/crc32c.h"

enum { BATCH_LENGTH_AT = 8, LEADER_EPOCH_AT = 12, MAX_TIMESTAMP_AT = 35, RECORD_COUNT_AT = 57 };

static void store_u32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

static void store_u64(uint8_t *p, uint64_t v)
{
    store_u32(p, (uint32_t)(v >> 32));
    store_u32(p + 4, (uint32_t)v);
}

static void store_crc(uint8_t *batch, size_t n)
{
    store_u32(batch + RECORD_BATCH_CRC_AT, crc32c(batch + RECORD_BATCH_ATTRIBUTES_AT, n - RECORD_BATCH_ATTRIBUTES_AT));
}

void record_batch_builder_init(struct record_batch_builder *b, enum wire_codec codec, size_t max)
{
    *b = (struct record_batch_builder){.level = WIRE_LEVEL_DEFAULT};
    b->head = (struct record_batch){.partition_leader_epoch = -1,
                                    .attributes = (int16_t)codec,
                                    .last_offset_delta = -1,
                                    .base_timestamp = -1,
                                    .max_timestamp = -1,
                                    .producer_id = -1,
                                    .producer_epoch = -1,
                                    .base_sequence = -1};
    buf_init(&b->records, max ? max : (size_t)WIRE_DECOMPRESSED_MAX);
}

void record_batch_builder_like(struct record_batch_builder *b, const struct record_batch *like, size_t max)
{
    record_batch_builder_init(b, WIRE_CODEC_NONE, max);
    b->head = *like;
    b->head.record_count = 0;
}

void record_batch_builder_free(struct record_batch_builder *b)
{
    buf_free(&b->records);
}

static size_t nullable_size(struct slice s)
{
    return s.p ? varint_size((int64_t)s.n) + s.n : 1;
}

static void put_nullable(struct buf *out, struct slice s)
{
    buf_varint(out, s.p ? (int64_t)s.n : -1);
    if (s.p)
        buf_put_slice(out, s);
}

/* One record; its headers come either as entries or, when there are none, as already encoded bytes. */
static void encode_record(struct buf *out, int64_t timestamp_delta, int32_t offset_delta, struct slice key,
                          struct slice value, const struct record_header *headers, struct slice encoded_headers,
                          int32_t header_count)
{
    size_t size = 1 + varint_size(timestamp_delta) + varint_size(offset_delta) + nullable_size(key) +
                  nullable_size(value) + varint_size(header_count);

    for (int32_t i = 0; headers && i < header_count; i++)
        size += nullable_size(headers[i].key) + nullable_size(headers[i].value);
    if (!headers)
        size += encoded_headers.n;
    if (size > INT32_MAX) {
        out->error = ERR_LIMIT_EXCEEDED;
        return;
    }
    if (!buf_reserve(out, size + 5))
        return;
    buf_varint(out, (int64_t)size);
    buf_u8(out, 0);
    buf_varint(out, timestamp_delta);
    buf_varint(out, offset_delta);
    put_nullable(out, key);
    put_nullable(out, value);
    buf_varint(out, header_count);
    for (int32_t i = 0; headers && i < header_count; i++) {
        put_nullable(out, headers[i].key);
        put_nullable(out, headers[i].value);
    }
    if (!headers)
        buf_put_slice(out, encoded_headers);
}

void record_put_head(struct buf *out, const struct record *r, int64_t value_n)
{
    size_t value = varint_size(value_n) + (value_n > 0 ? (size_t)value_n : 0);
    size_t size = 1 + varint_size(r->timestamp_delta) + varint_size(r->offset_delta) + nullable_size(r->key) + value +
                  varint_size(r->header_count) + r->headers.n;

    if (size > INT32_MAX) {
        out->error = ERR_LIMIT_EXCEEDED;
        return;
    }
    buf_varint(out, (int64_t)size);
    buf_u8(out, 0);
    buf_varint(out, r->timestamp_delta);
    buf_varint(out, r->offset_delta);
    put_nullable(out, r->key);
    buf_varint(out, value_n);
}

void record_encode(struct buf *out, int64_t timestamp_delta, int32_t offset_delta, struct slice key, struct slice value,
                   const struct record_header *headers, int32_t header_count)
{
    encode_record(out, timestamp_delta, offset_delta, key, value, headers, SLICE_NULL, header_count);
}

void record_batch_append(struct record_batch_builder *b, int64_t timestamp, struct slice key, struct slice value,
                         const struct record_header *headers, int32_t header_count)
{
    struct record_batch *h = &b->head;

    if (h->record_count == INT32_MAX)
        b->error = ERR_LIMIT_EXCEEDED;
    if (b->error)
        return;
    if (h->record_count == 0 && h->base_timestamp == -1)
        h->base_timestamp = timestamp;
    if (timestamp > h->max_timestamp)
        h->max_timestamp = timestamp;
    h->last_offset_delta++;
    h->record_count++;
    encode_record(&b->records, (int64_t)((uint64_t)timestamp - (uint64_t)h->base_timestamp), h->last_offset_delta, key,
                  value, headers, SLICE_NULL, header_count);
    b->error = buf_error(&b->records);
}

void record_batch_append_like(struct record_batch_builder *b, const struct record *r, struct slice key,
                              struct slice value)
{
    if (b->error)
        return;
    b->head.record_count++;
    encode_record(&b->records, r->timestamp_delta, r->offset_delta, key, value, NULL, r->headers, r->header_count);
    b->error = buf_error(&b->records);
}

enum err record_batch_encode(const struct record_batch *head, int level, struct slice records, struct buf *out)
{
    size_t at = out->n, size;
    enum err e;

    buf_u64(out, (uint64_t)head->base_offset);
    buf_u32(out, 0);
    buf_u32(out, (uint32_t)head->partition_leader_epoch);
    buf_u8(out, RECORD_BATCH_MAGIC);
    buf_u32(out, 0);
    buf_u16(out, (uint16_t)head->attributes);
    buf_u32(out, (uint32_t)head->last_offset_delta);
    buf_u64(out, (uint64_t)head->base_timestamp);
    buf_u64(out, (uint64_t)head->max_timestamp);
    buf_u64(out, (uint64_t)head->producer_id);
    buf_u16(out, (uint16_t)head->producer_epoch);
    buf_u32(out, (uint32_t)head->base_sequence);
    buf_u32(out, (uint32_t)head->record_count);
    e = buf_error(out);
    if (!e)
        e = wire_compress(record_batch_codec(head), level, records, out);
    if (!e && out->n - at > (size_t)INT32_MAX)
        e = ERR_LIMIT_EXCEEDED;
    if (e) {
        out->n = at;
        return e;
    }
    size = out->n - at;
    return record_batch_close(out->p + at, size);
}

enum err record_batch_finish(struct record_batch_builder *b, struct buf *out)
{
    if (b->error)
        return b->error;
    return record_batch_encode(&b->head, b->level, buf_slice(&b->records), out);
}

enum err record_batch_close(uint8_t *batch, size_t n)
{
    return record_batch_close_with(batch, n,
                                   crc32c(batch + RECORD_BATCH_ATTRIBUTES_AT, n - RECORD_BATCH_ATTRIBUTES_AT));
}

enum err record_batch_close_with(uint8_t *batch, size_t n, uint32_t crc)
{
    if (n > (size_t)INT32_MAX)
        return ERR_LIMIT_EXCEEDED;
    store_u32(batch + BATCH_LENGTH_AT, (uint32_t)(n - RECORD_BATCH_OVERHEAD));
    store_u32(batch + RECORD_BATCH_CRC_AT, crc);
    return ERR_OK;
}

void record_batch_set_record_count(uint8_t *batch, int32_t n)
{
    store_u32(batch + RECORD_COUNT_AT, (uint32_t)n);
}

void record_batch_set_base_offset(uint8_t *batch, int64_t base_offset)
{
    store_u64(batch, (uint64_t)base_offset);
}

void record_batch_set_leader_epoch(uint8_t *batch, int32_t epoch)
{
    store_u32(batch + LEADER_EPOCH_AT, (uint32_t)epoch);
}

void record_batch_set_max_timestamp(uint8_t *batch, size_t n, bool log_append_time, int64_t max_timestamp)
{
    uint8_t *low = batch + RECORD_BATCH_ATTRIBUTES_AT + 1;

    *low = (uint8_t)(log_append_time ? *low | RECORD_LOG_APPEND_TIME : *low & ~RECORD_LOG_APPEND_TIME);
    store_u64(batch + MAX_TIMESTAMP_AT, (uint64_t)max_timestamp);
    store_crc(batch, n);
}

enum err record_batch_put_control(struct buf *out, const struct record_batch *head, enum record_control_type type,
                                  struct slice value)
{
    const uint8_t key[4] = {0, 0, (uint8_t)((unsigned)type >> 8), (uint8_t)type};
    struct record_batch h = *head;
    struct buf records;
    enum err e;

    h.attributes = (int16_t)((head->attributes & RECORD_TRANSACTIONAL) | RECORD_CONTROL);
    h.last_offset_delta = 0;
    h.max_timestamp = h.base_timestamp;
    h.base_sequence = -1;
    h.record_count = 1;
    buf_init(&records, 0);
    record_encode(&records, 0, 0, slice_of(key, sizeof key), value, NULL, 0);
    e = buf_error(&records);
    if (!e)
        e = record_batch_encode(&h, WIRE_LEVEL_DEFAULT, buf_slice(&records), out);
    buf_free(&records);
    return e;
}

enum err record_batch_put_end_txn(struct buf *out, int64_t base_offset, int32_t leader_epoch, int64_t timestamp,
                                  int64_t producer_id, int16_t producer_epoch, bool commit, int32_t coordinator_epoch)
{
    uint8_t value[6] = {0};
    struct record_batch head = {.base_offset = base_offset,
                                .partition_leader_epoch = leader_epoch,
                                .attributes = RECORD_TRANSACTIONAL,
                                .base_timestamp = timestamp,
                                .producer_id = producer_id,
                                .producer_epoch = producer_epoch};

    store_u32(value + 2, (uint32_t)coordinator_epoch);
    return record_batch_put_control(out, &head, commit ? RECORD_CONTROL_COMMIT : RECORD_CONTROL_ABORT,
                                    slice_of(value, sizeof value));
}
