/* SPDX-License-Identifier: Apache-2.0
 * Decompressing whole runs, bounded. The checksum comes first: it costs as much as reading the compressed bytes, and
 * what does not have it was not written by a producer that may be answered in any better way. Decompression is streamed
 * (compress.c) and stops at the limit, so a bomb costs no more than what is allowed.
 *
 * A batch beyond a limit is MESSAGE_TOO_LARGE, as a batch beyond max.message.bytes is: Kafka's producer splits it and
 * sends the halves, which an INVALID_RECORD would not make it do. */
#include "core/wire/record_unpack.h"
#include "core/wire/compress.h"

#include <assert.h>

enum { GZIP_RATIO_MAX = 1040, LZ4_RATIO_MAX = 256, SNAPPY_RATIO_MAX = 64 };

bool record_unpack_needed(struct slice run)
{
    struct record_batch b;
    bool more;

    while (!record_batches_next(&run, &b, &more, NULL) && more)
        if (record_batch_codec(&b) != WIRE_CODEC_NONE)
            return true;
    return false;
}

static size_t ratio_max(enum wire_codec codec)
{
    switch (codec) {
    case WIRE_CODEC_GZIP:
        return GZIP_RATIO_MAX;
    case WIRE_CODEC_SNAPPY:
        return SNAPPY_RATIO_MAX;
    case WIRE_CODEC_LZ4:
        return LZ4_RATIO_MAX;
    case WIRE_CODEC_NONE:
    case WIRE_CODEC_ZSTD:
    case WIRE_CODEC_COUNT:
        break;
    }
    return 0;
}

/* Without what is there already: header and uncompressed batches. */
static size_t expansion_bound(const struct record_batch *b, size_t max)
{
    size_t ratio = ratio_max(record_batch_codec(b));

    if (record_batch_codec(b) == WIRE_CODEC_NONE)
        return 0;
    return ratio && b->records.n < max / ratio ? b->records.n * ratio : max;
}

size_t record_unpack_bound(struct slice run, const struct record_unpack_limits *l)
{
    size_t n = run.n, sum = 0;
    struct record_batch b;
    bool more;

    while (!record_batches_next(&run, &b, &more, NULL) && more && sum < l->request_max)
        sum += expansion_bound(&b, l->batch_max);
    return n + (sum < l->request_max ? sum : l->request_max);
}

static enum err too_large(const struct record_unpack *u, bool request, struct reason *why)
{
    if (request)
        return reason_set(why, ERR_MESSAGE_TOO_LARGE,
                          "the request's batches decompress to more than castellan.request.decompressed.max.bytes "
                          "(%zu): send fewer at once",
                          u->limits.request_max);
    return reason_set(why, ERR_MESSAGE_TOO_LARGE,
                      "the batch decompresses to more than castellan.batch.decompressed.max.bytes (%zu): send smaller "
                      "batches",
                      u->limits.batch_max);
}

/* *over: it is the request's limit that does not allow it. */
static enum err unpack(struct record_unpack *u, const struct record_batch *b, struct buf *out, bool *over,
                       struct reason *why)
{
    size_t left = u->limits.request_max > u->spent ? u->limits.request_max - u->spent : 0, at = out->n, plain_at;
    size_t max = u->spent == 0 || left > u->limits.batch_max ? u->limits.batch_max : left;
    enum err e = record_batch_check_crc(b, why);

    *over = false;
    if (e)
        return e;
    buf_put(out, b->bytes.p, RECORD_BATCH_HEADER_SIZE);
    plain_at = out->n;
    e = buf_error(out);
    if (!e && max == 0)
        e = ERR_LIMIT_EXCEEDED;
    else if (!e)
        e = wire_decompress(record_batch_codec(b), b->records, out, max, why);
    if (e == ERR_LIMIT_EXCEEDED) {
        *over = max < u->limits.batch_max;
        return too_large(u, *over, why);
    }
    if (e)
        return e;
    u->spent += out->n - plain_at;
    out->p[at + RECORD_BATCH_ATTRIBUTES_AT + 1] &= (uint8_t)~RECORD_CODEC_MASK;
    return record_batch_close(out->p + at, out->n - at);
}

enum err record_unpack_run(struct record_unpack *u, struct slice run, struct buf *out, size_t *used, struct reason *why)
{
    size_t before = out->n, n = run.n, end = 0;
    struct record_batch b;
    enum err e;
    bool more;

    assert(u->limits.batch_max > 0 && u->limits.request_max > 0);
    while (!(e = record_batches_next(&run, &b, &more, why)) && more) {
        size_t batch_at = out->n;
        bool over = false;
        if (u->cancelled && atomic_load_explicit(u->cancelled, memory_order_relaxed)) {
            e = ERR_CANCELLED;
        } else if (record_batch_codec(&b) == WIRE_CODEC_NONE) {
            buf_put_slice(out, b.bytes);
            e = buf_error(out);
        } else {
            e = unpack(u, &b, out, &over, why);
        }
        if (e) {
            out->n = batch_at;
            if (over && u->cuts) {
                e = ERR_OK;
                out->error = ERR_OK;
            }
            break;
        }
        end = n - run.n;
    }
    if (e)
        out->n = before;
    else if (used)
        *used = end;
    return e;
}
