/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_WIRE_RECORD_UNPACK_H
#define CASTELLAN_WIRE_RECORD_UNPACK_H

#include "core/wire/record_batch.h"

#include <stdatomic.h>

/* Runs of record batches (what Produce and Fetch carry) without their compression: a copy in which each compressed
 * batch has the same header but for codec, length and CRC, and its records plain; the others are copied as they are.
 * Some bytes may decompress to 30,000 times as many, so this is slow work for a thread of its own, and bounded. */
struct record_unpack_limits {
    size_t batch_max;   /* decompressed bytes of one batch */
    size_t request_max; /* and of all runs of a request together; one batch always fits */
};

enum { RECORD_UNPACK_BATCH_MAX = 64 * 1024 * 1024, RECORD_UNPACK_REQUEST_MAX = 128 * 1024 * 1024 }; /* defaults */

/* Is any whole batch compressed? Reads headers only; what cannot be read is not. */
bool record_unpack_needed(struct slice run);
/* The most bytes that record_unpack() makes of it, by what each codec can expand to and by the limits. */
size_t record_unpack_bound(struct slice run, const struct record_unpack_limits *l);

/* The runs of one request, one after the other. */
struct record_unpack {
    struct record_unpack_limits limits;
    bool cuts;                    /* past the request's limit a run ends early, at a batch, instead of failing */
    const atomic_bool *cancelled; /* looked at between batches; may be NULL */
    size_t spent;                 /* decompressed bytes so far */
};

/* Append the run to `out`. *used, when not NULL: the bytes of the run that this is, less than all when it was cut, or
 * when its last batch is cut short already. The CRC of a batch is checked before it is decompressed.
 * ERR_MESSAGE_TOO_LARGE: beyond a limit (a producer splits the batch and tries again). ERR_CORRUPT_MESSAGE, and what
 * wire_decompress() says. ERR_CANCELLED. On failure `out` is as it was. */
enum err record_unpack_run(struct record_unpack *u, struct slice run, struct buf *out, size_t *used,
                           struct reason *why) MUST_CHECK;

#endif
