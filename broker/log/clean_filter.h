/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_BROKER_LOG_CLEAN_FILTER_H
#define CASTELLAN_BROKER_LOG_CLEAN_FILTER_H

#include "broker/log/log.h"
#include "broker/log/producer_state.h"
#include "core/wire/record_batch.h"

/* What compaction keeps of a batch. Pure: batches in, batches out. */

/* The last offset of every key in the part of the log that is being compacted. Keys stand as 128 bits of SipHash under
 * random keys: equal digests of different keys do not happen. */
struct clean_map {
    struct clean_slot *slots;
    size_t n, cap; /* cap is a power of two */
    uint8_t hash_keys[2][16];
    int64_t latest_offset; /* of the last record taken in; -1: none */
};
enum { CLEAN_KEYS_MAX = 2000000 };

void clean_map_init(struct clean_map *m, struct env *env);
void clean_map_free(struct clean_map *m);
enum err clean_map_put(struct clean_map *m, struct slice key, int64_t offset) MUST_CHECK; /* LIMIT_EXCEEDED: full */
int64_t clean_map_get(const struct clean_map *m, struct slice key);                       /* -1: not there */

/* Which transaction each batch belongs to, while the log is walked in order. */
struct clean_txns {
    const struct plog_aborted *aborted; /* by first_offset */
    size_t n, next;
    struct map open; /* producer id -> struct clean_open */
};
void clean_txns_init(struct clean_txns *t, const struct plog_aborted *aborted, size_t n);
void clean_txns_free(struct clean_txns *t);
/* A data batch: *drop when it belongs to an aborted transaction. */
enum err clean_txns_data(struct clean_txns *t, const struct record_batch *b, bool *drop) MUST_CHECK;
/* A marker: *empty when no data of its transaction was met; `still` is its entry of the aborted index when there was.
 */
enum err clean_txns_marker(struct clean_txns *t, const struct record_batch *b, bool commit, bool *empty,
                           const struct plog_aborted **still) MUST_CHECK;

struct clean_rules {
    const struct clean_map *map;
    struct clean_txns *txns;
    const struct producer_state *producers; /* their last batches stay, empty if need be: they hold the sequence */
    int64_t now_ms, delete_retention_ms;
};

/* Append to `out` what stays of `b` (a whole batch). `still`: an aborted transaction that stays in the index, or NULL.
 */
enum err clean_batch(const struct clean_rules *rules, const struct record_batch *b, struct buf *scratch,
                     struct buf *records, struct buf *out, const struct plog_aborted **still,
                     struct reason *why) MUST_CHECK;

#endif
