/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_WIRE_RECORD_BATCH_H
#define CASTELLAN_WIRE_RECORD_BATCH_H

#include "core/base/cursor.h"
#include "core/wire/compress.h"

/* Record batches, format version ("magic") 2: what Produce and Fetch carry and what log segments hold.
 *
 * Layout, big-endian: base_offset i64 | batch_length i32 (of all that follows) | partition_leader_epoch i32 | magic i8
 * | crc u32 (CRC-32C of all that follows) | attributes i16 | last_offset_delta i32 | base_timestamp i64
 * | max_timestamp i64 | producer_id i64 | producer_epoch i16 | base_sequence i32 | record_count i32 | records.
 * Base offset and leader epoch stand before the CRC, so a broker sets them without touching the checksum. */
enum {
    RECORD_BATCH_OVERHEAD = 12, /* base_offset and batch_length */
    RECORD_BATCH_HEADER_SIZE = 61,
    RECORD_BATCH_MAGIC = 2,
    RECORD_BATCH_MAGIC_AT = 16,
    RECORD_BATCH_CRC_AT = 17,
    RECORD_BATCH_ATTRIBUTES_AT = 21, /* first byte under the CRC */
};

enum record_attributes {
    RECORD_CODEC_MASK = 0x07,
    RECORD_LOG_APPEND_TIME = 0x08, /* else the timestamps are the producer's */
    RECORD_TRANSACTIONAL = 0x10,
    RECORD_CONTROL = 0x20,
    RECORD_DELETE_HORIZON = 0x40, /* base_timestamp is the delete horizon (compacted logs) */
};

/* A view of one batch; the slices point into the bytes it was read from. */
struct record_batch {
    struct slice bytes; /* the whole batch, header included */
    int64_t base_offset;
    int32_t batch_length;
    int32_t partition_leader_epoch;
    uint32_t crc;
    int16_t attributes;
    int32_t last_offset_delta;
    int64_t base_timestamp;
    int64_t max_timestamp;
    int64_t producer_id; /* -1: none */
    int16_t producer_epoch;
    int32_t base_sequence; /* -1: none */
    int32_t record_count;
    struct slice records; /* compressed as the attributes say */
};

static inline enum wire_codec record_batch_codec(const struct record_batch *b)
{
    return (enum wire_codec)(b->attributes & RECORD_CODEC_MASK);
}

static inline bool record_batch_is_control(const struct record_batch *b)
{
    return (b->attributes & RECORD_CONTROL) != 0;
}

static inline bool record_batch_is_transactional(const struct record_batch *b)
{
    return (b->attributes & RECORD_TRANSACTIONAL) != 0;
}

static inline int64_t record_batch_last_offset(const struct record_batch *b)
{
    return b->base_offset + b->last_offset_delta;
}

/* Sequences wrap from INT32_MAX to 0; -1 when the batch has none. */
int32_t record_batch_last_sequence(const struct record_batch *b);

/* ---- Reading ---- */

/* Read the header of the batch at the start of `bytes`, which may hold more after it (out->bytes.n says how long the
 * batch is). Checks sizes, magic and the signs of counts, not the CRC. ERR_TRUNCATED: the batch goes beyond `bytes`.
 * ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT: message formats 0 and 1. ERR_CORRUPT_MESSAGE: anything else that is wrong. */
enum err record_batch_parse(struct slice bytes, struct record_batch *out, struct reason *why) MUST_CHECK;

/* Walk a run of batches (a Fetch answer, a segment). *more is false at the end, and also when the last batch is cut
 * short, as a Fetch may do; `rest` then stands at its first byte. */
enum err record_batches_next(struct slice *rest, struct record_batch *out, bool *more, struct reason *why) MUST_CHECK;

enum err record_batch_check_crc(const struct record_batch *b, struct reason *why) MUST_CHECK;

/* What a broker asks of a batch a client sends: the CRC, at least one record, contiguous offset deltas
 * (record_count == last_offset_delta + 1), no control batch, producer id, epoch and sequence all given or all absent,
 * a known codec. Does not open the records. */
enum err record_batch_check_produced(const struct record_batch *b, struct reason *why) MUST_CHECK;

struct record {
    struct slice bytes; /* the record, its length prefix included */
    int8_t attributes;
    int64_t timestamp; /* absolute; the batch's max_timestamp when it has log append time */
    int64_t timestamp_delta;
    int64_t offset; /* absolute */
    int32_t offset_delta;
    struct slice key;     /* null when absent */
    struct slice value;   /* null when absent: a tombstone */
    struct slice headers; /* header_count encoded headers, for record_header_next */
    int32_t header_count;
};

struct record_header {
    struct slice key;
    struct slice value; /* may be null */
};

struct record_iter {
    struct cursor c;
    const struct record_batch *batch;
    int32_t left;
    int32_t last_delta;  /* offset delta of the record before; -1 at the start */
    int32_t headers_max; /* set it after record_iter_open(): more in one record are ERR_INVALID_RECORD; 0: no limit */
};

/* Begin to read the records. When they are compressed they are decompressed into `scratch` (cleared first), at most
 * `max` bytes (0: WIRE_DECOMPRESSED_MAX). Batch and scratch must outlive the iterator and the records it yields. */
enum err record_iter_open(struct record_iter *it, const struct record_batch *b, struct buf *scratch, size_t max,
                          struct reason *why) MUST_CHECK;
/* The next record; *more is false after the last. A record that does not close exactly at its length, a count that
 * does not match and offset deltas that do not rise within the batch are ERR_CORRUPT_MESSAGE. */
enum err record_iter_next(struct record_iter *it, struct record *out, bool *more, struct reason *why) MUST_CHECK;

/* Walk a record's headers, which record_iter_next has checked already:
 *     struct cursor c = cursor_of(r.headers);
 *     while (record_header_next(&c, &h)) ... */
bool record_header_next(struct cursor *c, struct record_header *out);

/* ---- Building ---- */

struct record_batch_builder {
    struct record_batch head; /* the caller may set any header field before record_batch_finish */
    int level;
    struct buf records; /* uncompressed */
    enum err error;     /* sticky */
};

/* An empty batch with Kafka's defaults: no producer id, epoch -1, sequence -1, leader epoch -1, base offset 0, `codec`,
 * the producer's own timestamps. `max` caps the uncompressed records (0: WIRE_DECOMPRESSED_MAX). */
void record_batch_builder_init(struct record_batch_builder *b, enum wire_codec codec, size_t max);
/* The same, but with every header field of `like`: for rewriting a batch, record by record. */
void record_batch_builder_like(struct record_batch_builder *b, const struct record_batch *like, size_t max);
void record_batch_builder_free(struct record_batch_builder *b);
/* Append a record with the next offset delta. `headers` may be NULL when count is 0. Errors stick until finish. */
void record_batch_append(struct record_batch_builder *b, int64_t timestamp, struct slice key, struct slice value,
                         const struct record_header *headers, int32_t header_count);
/* Append a copy of `r` (offset delta, timestamp delta and encoded headers kept) with this key and value. */
void record_batch_append_like(struct record_batch_builder *b, const struct record *r, struct slice key,
                              struct slice value);
/* Compress, write header and CRC, append the batch to `out`. A builder from _init sets record_count, last_offset_delta,
 * base and max timestamp from its records; one from _like keeps `like`'s but for record_count. */
enum err record_batch_finish(struct record_batch_builder *b, struct buf *out) MUST_CHECK;
/* Append a batch with the header `head` (sizes and CRC are worked out) and these encoded, uncompressed records. */
enum err record_batch_encode(const struct record_batch *head, int level, struct slice records,
                             struct buf *out) MUST_CHECK;
/* Append one encoded record, length prefix included, to `out`. */
void record_encode(struct buf *out, int64_t timestamp_delta, int32_t offset_delta, struct slice key, struct slice value,
                   const struct record_header *headers, int32_t header_count);

/* Append `r` up to where its value begins, a value of `value_n` bytes (-1: null). The caller appends that, the count of
 * headers (zigzag varint) and r->headers. */
void record_put_head(struct buf *out, const struct record *r, int64_t value_n);

/* ---- Patching in place (`batch` points at the first byte of a whole, parsed batch) ---- */

/* Its length becomes n, its CRC right (or what the caller worked out for the bytes from RECORD_BATCH_ATTRIBUTES_AT on).
 * ERR_LIMIT_EXCEEDED: longer than a batch may be. */
enum err record_batch_close(uint8_t *batch, size_t n) MUST_CHECK;
enum err record_batch_close_with(uint8_t *batch, size_t n, uint32_t crc) MUST_CHECK;
void record_batch_set_record_count(uint8_t *batch, int32_t n); /* the CRC is not */
void record_batch_set_base_offset(uint8_t *batch, int64_t base_offset);
void record_batch_set_leader_epoch(uint8_t *batch, int32_t epoch);
/* Set max_timestamp, and with log_append_time the timestamp type; works out the CRC again. */
void record_batch_set_max_timestamp(uint8_t *batch, size_t n, bool log_append_time, int64_t max_timestamp);

/* ---- Control batches ---- */

enum record_control_type {
    RECORD_CONTROL_UNKNOWN = -1,
    RECORD_CONTROL_ABORT = 0,
    RECORD_CONTROL_COMMIT = 1,
    RECORD_CONTROL_LEADER_CHANGE = 2,
    RECORD_CONTROL_SNAPSHOT_HEADER = 3,
    RECORD_CONTROL_SNAPSHOT_FOOTER = 4,
    RECORD_CONTROL_KRAFT_VERSION = 5,
    RECORD_CONTROL_KRAFT_VOTERS = 6,
};

/* The type in a control record's key; RECORD_CONTROL_UNKNOWN for a newer one, which readers skip. */
enum record_control_type record_control_type(struct slice key);
/* The coordinator epoch in the value of a COMMIT or ABORT record. */
enum err record_control_coordinator_epoch(struct slice value, int32_t *epoch) MUST_CHECK;
/* Append a control batch of one record; `head` gives base_offset, leader epoch, producer id and epoch, base_timestamp
 * and RECORD_TRANSACTIONAL if wanted; the value is the encoded body with its version prefix. */
enum err record_batch_put_control(struct buf *out, const struct record_batch *head, enum record_control_type type,
                                  struct slice value) MUST_CHECK;
/* Append the marker that ends a transaction: a transactional control batch of one record at `timestamp`. */
enum err record_batch_put_end_txn(struct buf *out, int64_t base_offset, int32_t leader_epoch, int64_t timestamp,
                                  int64_t producer_id, int16_t producer_epoch, bool commit,
                                  int32_t coordinator_epoch) MUST_CHECK;

#endif
