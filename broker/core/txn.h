/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_BROKER_CORE_TXN_H
#define CASTELLAN_BROKER_CORE_TXN_H

#include "broker/core/record_list.h"
#include "core/base/map.h"

/* The transaction coordinator's state for one partition of `__transaction_state` (KIP-98, KIP-360, KIP-447), pure.
 *
 *   EMPTY -add partitions-> ONGOING -end-> PREPARE_COMMIT|PREPARE_ABORT -all markers written-> COMPLETE_* -add->
 * ONGOING
 *
 * Every step appends the record that makes it durable to `records`. The state changes at once; when the caller cannot
 * write the records it must stop being the coordinator (forget the table and load it again).
 * Times are wall-clock milliseconds. Record formats are Kafka's TransactionLogKey and TransactionLogValue. */
enum txn_state { /* Kafka's TransactionState ids, as they stand in the log */
                 TXN_EMPTY = 0,
                 TXN_ONGOING = 1,
                 TXN_PREPARE_COMMIT = 2,
                 TXN_PREPARE_ABORT = 3,
                 TXN_COMPLETE_COMMIT = 4,
                 TXN_COMPLETE_ABORT = 5,
                 TXN_DEAD = 6,
};

const char *txn_state_name(enum txn_state s); /* "Ongoing", as tools print it */
bool txn_state_parse(struct slice name, enum txn_state *out);

enum { TXN_PARTITIONS_MAX = 100000, TXN_EPOCH_LAST = INT16_MAX - 1 };

struct txn_partition {
    char *topic;
    int32_t index;
    bool marked; /* its marker is written (only while PREPARE_*) */
};

struct txn {
    char *id;
    int64_t producer_id;
    int64_t previous_producer_id; /* -1: none; lets a retry after an id change succeed */
    int16_t epoch;
    int16_t last_epoch; /* the one before a bump by the client (KIP-360); -1: none */
    int32_t timeout_ms;
    enum txn_state state;
    struct txn_partition *partitions;
    int32_t partition_count, partition_cap;
    int64_t started_ms; /* -1: no transaction since the start */
    int64_t updated_ms;
    int32_t marker_calls; /* marker requests under way: the edge's bookkeeping, not in the log */
    bool fencing;         /* being aborted on behalf of a newer producer or the timeout: the epoch was bumped */
};

struct txn_table {
    struct map by_id; /* -> struct txn */
    int32_t timeout_max_ms;
};

void txn_table_init(struct txn_table *t, int32_t timeout_max_ms);
void txn_table_free(struct txn_table *t);
struct txn *txn_find(const struct txn_table *t, struct slice id);

/* Replay one record of the log. ERR_CORRUPT_MESSAGE: skip it and say so. */
enum err txn_table_apply(struct txn_table *t, struct slice key, struct slice value) MUST_CHECK;

/* InitProducerId. `fresh` is a new producer id to use when one is needed (-1: none at hand; then ERR_UNAVAILABLE asks
 * for the call to be made again with one). producer_id and epoch are what the client says it has (-1: nothing).
 * CONCURRENT_TRANSACTIONS while an earlier transaction is being ended (the caller sees *to_end and writes markers). */
struct txn_init_result {
    int64_t producer_id;
    int16_t epoch;
    struct txn *to_end; /* now in PREPARE_ABORT: its markers must be written */
    bool used_fresh;
};
enum err txn_init(struct txn_table *t, struct slice id, int32_t timeout_ms, int64_t producer_id, int16_t epoch,
                  int64_t fresh, int64_t now_ms, struct record_list *records, struct txn_init_result *out) MUST_CHECK;

/* May this producer act on the transaction? INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED, CONCURRENT_TRANSACTIONS. */
enum err txn_check(const struct txn_table *t, struct slice id, int64_t producer_id, int16_t epoch,
                   struct txn **out) MUST_CHECK;
/* Add one partition; call txn_added() after the last one of a request to make them durable. */
enum err txn_add(struct txn *x, struct slice topic, int32_t index) MUST_CHECK;
void txn_added(struct txn *x, int64_t now_ms, struct record_list *records);
bool txn_has(const struct txn *x, struct slice topic, int32_t index);

/* EndTxn. *to_end is set when markers must be written; ERR_OK without it: already ended that way. */
enum err txn_end(struct txn_table *t, struct slice id, int64_t producer_id, int16_t epoch, bool commit, int64_t now_ms,
                 struct record_list *records, struct txn **to_end) MUST_CHECK;
/* A marker is written at the partition's leader. True when it was the last one: the transaction is complete. */
bool txn_marked(struct txn *x, struct slice topic, int32_t index, int64_t now_ms, struct record_list *records);
/* Complete a transaction without partitions left to mark. */
bool txn_complete_if_done(struct txn *x, int64_t now_ms, struct record_list *records);

/* Transactions that ran out of time: aborts one and returns it (its markers must be written); NULL when none. */
struct txn *txn_expire_one(struct txn_table *t, int64_t now_ms, struct record_list *records);
/* Ids unused for longer than `expiration_ms` are forgotten (tombstones). */
void txn_forget_unused(struct txn_table *t, int64_t now_ms, int64_t expiration_ms, struct record_list *records);

/* Java's String.hashCode() of UTF-8 text, and Kafka's partition of a group or transactional id. */
int32_t java_string_hash(struct slice utf8);
int32_t coordinator_partition(struct slice id, int32_t partitions);

#endif
