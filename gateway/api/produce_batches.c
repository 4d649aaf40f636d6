/* SPDX-License-Identifier: Apache-2.0
 * Looking into the batches of a Produce request. A client chooses every byte here: sizes are compared before anything
 * behind them is read, and what cannot be read is refused. */
#include "gateway/api/produce_batches.h"
#include "core/wire/record_batch.h"

enum {
    LENGTH_AT = 8,
    UP_TO_MAGIC = RECORD_BATCH_MAGIC_AT + 1,
    OLD_BATCH_MIN = 14, /* of the formats before 2, behind the length */
};

enum found { FOUND_NONE, FOUND_BATCH, FOUND_CORRUPT };

/* The batch at the start of `s`, as Kafka's own reader of batches sees it: an incomplete one is none. */
static enum found find(struct slice s, size_t *length, uint8_t *magic)
{
    struct cursor c;
    int32_t n;

    if (s.n < RECORD_BATCH_OVERHEAD)
        return FOUND_NONE;
    c = cursor_of(slice_of(s.p + LENGTH_AT, 4));
    n = (int32_t)cursor_u32(&c);
    if (n < OLD_BATCH_MIN)
        return FOUND_CORRUPT;
    if (s.n < UP_TO_MAGIC)
        return FOUND_NONE;
    *magic = s.p[RECORD_BATCH_MAGIC_AT];
    if (*magic > RECORD_BATCH_MAGIC)
        return FOUND_CORRUPT;
    *length = RECORD_BATCH_OVERHEAD + (size_t)n;
    return *length > s.n ? FOUND_NONE : FOUND_BATCH;
}

struct produce_batches produce_batches_look(struct slice records)
{
    struct produce_batches out = {.wrong = ERR_INVALID_RECORD};
    size_t next;
    uint8_t magic;

    switch (find(records, &out.length, &magic)) {
    case FOUND_NONE:
        out.length = 0;
        return out;
    case FOUND_CORRUPT:
        out.wrong = ERR_CORRUPT_MESSAGE;
        return out;
    case FOUND_BATCH:
        break;
    }
    if (magic != RECORD_BATCH_MAGIC)
        return out;
    if (out.length < RECORD_BATCH_HEADER_SIZE) {
        out.wrong = ERR_CORRUPT_MESSAGE;
        return out;
    }
    /* two bytes, big-endian; the bits we know stand in the second */
    out.transactional = (records.p[RECORD_BATCH_ATTRIBUTES_AT + 1] & RECORD_TRANSACTIONAL) != 0;
    switch (find(slice_of(records.p + out.length, records.n - out.length), &next, &magic)) {
    case FOUND_NONE:
        out.wrong = ERR_OK;
        break;
    case FOUND_CORRUPT:
        out.wrong = ERR_CORRUPT_MESSAGE;
        break;
    case FOUND_BATCH:
        break;
    }
    return out;
}
