/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_WIRE_COMPRESS_H
#define CASTELLAN_WIRE_COMPRESS_H

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/slice.h"

/* The compression codecs of record batches, by their number in a batch's attributes (bits 0-2), in the framings that
 * Kafka's Java clients write: gzip (RFC 1952), snappy in xerial's framing, LZ4 frames with independent 64 KiB blocks,
 * zstd frames. Read is what any client writes: also raw snappy (librdkafka) and several gzip, LZ4 or zstd frames in a
 * row. Thread-safe: each thread keeps its own contexts, which are freed when it ends. */
enum wire_codec {
    WIRE_CODEC_NONE = 0,
    WIRE_CODEC_GZIP = 1,
    WIRE_CODEC_SNAPPY = 2,
    WIRE_CODEC_LZ4 = 3,
    WIRE_CODEC_ZSTD = 4,
    WIRE_CODEC_COUNT
};

/* What one batch may grow to when decompressed, unless the caller names a limit. */
enum { WIRE_DECOMPRESSED_MAX = 128 * 1024 * 1024 };

enum { WIRE_LEVEL_DEFAULT = INT32_MIN }; /* the codec's own default level */

const char *wire_codec_name(enum wire_codec codec); /* "gzip", as in compression.type; "unknown" when out of range */
bool wire_codec_parse(struct slice name, enum wire_codec *codec);

/* Append the compressed form of `in` to `out`. The level is for gzip (1-9), lz4 (1-17) and zstd (-131072-22); others
 * ignore it. On failure `out` is as it was before (but for its error mark). */
enum err wire_compress(enum wire_codec codec, int level, struct slice in, struct buf *out) MUST_CHECK;

/* Append what `in` decompresses to, at most `max` bytes (0: WIRE_DECOMPRESSED_MAX); more is ERR_LIMIT_EXCEEDED. Broken
 * or unfinished input is ERR_CORRUPT_MESSAGE, an unknown codec ERR_UNSUPPORTED_COMPRESSION_TYPE. On failure `out` has
 * its former length. */
enum err wire_decompress(enum wire_codec codec, struct slice in, struct buf *out, size_t max,
                         struct reason *why) MUST_CHECK;

#endif
