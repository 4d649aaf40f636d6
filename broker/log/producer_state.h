/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_BROKER_LOG_PRODUCER_STATE_H
#define CASTELLAN_BROKER_LOG_PRODUCER_STATE_H

#include "core/base/buf.h"
#include "core/base/map.h"

/* What one partition knows of its producers: epochs, the last batches' sequence numbers, open transactions. Pure: the
 * log asks before it writes (producer_check, producer_reserve) and tells after (producer_apply, producer_end_txn), and
 * replaying the log's batches through the same two functions gives the same state.
 *
 * Rules are Kafka 4's (ProducerAppendInfo): a lower epoch is INVALID_PRODUCER_EPOCH; in the same epoch a client's first
 * sequence must follow the last one (INT32_MAX wraps to 0), in a new epoch it must be 0, else
 * OUT_OF_ORDER_SEQUENCE_NUMBER; a producer nothing is known of may begin anywhere (its state may have expired), so
 * UNKNOWN_PRODUCER_ID is not given; one of the last five batches again is a duplicate. */
enum { PRODUCER_BATCHES = 5 };

struct producer_batch {
    int32_t last_sequence;
    int32_t offset_delta;
    int64_t last_offset;
    int64_t timestamp;
};

struct producer_entry {
    int64_t producer_id;
    int16_t epoch; /* -1: nothing known yet */
    int32_t coordinator_epoch;
    int64_t last_timestamp;
    int64_t txn_first_offset; /* -1: no open transaction */
    uint8_t batch_count;
    struct producer_batch batches[PRODUCER_BATCHES]; /* oldest first */
};

struct txn_span {
    int64_t producer_id;
    int64_t first_offset;
    int64_t last_offset; /* of the marker; -1 while open */
};

struct txn_list { /* in the order of first_offset */
    struct txn_span *v;
    size_t n, cap;
};

struct producer_state {
    struct map by_id;             /* 8 bytes of id -> struct producer_entry */
    struct txn_list open;         /* no marker yet */
    struct txn_list unreplicated; /* marker at or above the high watermark */
};

/* The header fields of one batch. */
struct producer_append {
    int64_t producer_id; /* >= 0 */
    int16_t epoch;
    int32_t base_sequence; /* -1: none */
    int32_t last_sequence;
    int64_t first_offset;
    int64_t last_offset;
    int64_t max_timestamp;
    bool transactional;
};

void producer_state_init(struct producer_state *s);
void producer_state_free(struct producer_state *s);
const struct producer_entry *producer_find(const struct producer_state *s, int64_t producer_id); /* NULL: unknown */

/* The earlier append that `a` repeats, or NULL. */
const struct producer_batch *producer_duplicate(const struct producer_state *s, const struct producer_append *a);
/* May a leader append this? check_sequence: it comes from a client. */
enum err producer_check(const struct producer_state *s, const struct producer_append *a, bool check_sequence,
                        struct reason *why) MUST_CHECK;
enum err producer_check_marker(const struct producer_state *s, int64_t producer_id, int16_t epoch,
                               int32_t coordinator_epoch, struct reason *why) MUST_CHECK;
/* Memory for one apply or end, so that after the write nothing can fail. */
enum err producer_reserve(struct producer_state *s, int64_t producer_id) MUST_CHECK;
void producer_apply(struct producer_state *s, const struct producer_append *a);
/* The marker at `offset` ended the producer's transaction: true and the span when there was one. */
bool producer_end_txn(struct producer_state *s, int64_t producer_id, int16_t epoch, int32_t coordinator_epoch,
                      int64_t offset, int64_t timestamp, struct txn_span *ended);
/* The last stable offset once `ended` is decided (what its entry in the aborted index says). */
int64_t producer_stable_after(const struct producer_state *s, const struct txn_span *ended);

/* The first offset of a transaction that is open or not yet replicated; -1: none. */
int64_t producer_first_unstable(const struct producer_state *s);
void producer_high_watermark(struct producer_state *s, int64_t high_watermark);
size_t producer_expire(struct producer_state *s, int64_t now_ms, int64_t expiration_ms); /* how many went */

/* The .snapshot file, Kafka's: version i16 = 1 | crc u32 (CRC-32C of what follows) | count i32 | entries. Holds of each
 * producer its last batch. */
enum err producer_snapshot_encode(const struct producer_state *s, struct buf *out) MUST_CHECK;
/* Into an empty state; ERR_CORRUPT_MESSAGE when it is not exactly one snapshot. Producers expired at now_ms are left
 * out. */
enum err producer_snapshot_decode(struct producer_state *s, struct slice bytes, int64_t now_ms, int64_t expiration_ms,
                                  struct reason *why) MUST_CHECK;

#endif
