/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_BROKER_CORE_OFFSETS_H
#define CASTELLAN_BROKER_CORE_OFFSETS_H

#include "broker/core/record_list.h"
#include "core/base/map.h"

/* The committed offsets of one group, and what open transactions have staged for it.
 *
 * One rule gives the same state live, after a replay, and after compaction of the log, whatever the order in which
 * plain commits, staged commits, tombstones and markers came: of all writes to a partition's offset that count (plain
 * ones, and staged ones whose transaction committed), the one that stands last in the log wins; a tombstone removes
 * what stands before it, staged or not. */
struct group;

struct offset_value {
    int64_t offset;
    int32_t leader_epoch;
    struct slice metadata; /* owned by the slot or stage it is in */
    int64_t commit_ms;
    int64_t expire_ms; /* -1: by the group's retention */
    int64_t at;        /* where its record stands in the log */
};

/* A value staged by an open transaction. */
struct offset_stage {
    struct offset_value value;
    int64_t producer_id;
    struct offset_slot *slot;
    struct offset_stage *slot_next;
    struct offset_stage *txn_next, **txn_prev;
};

struct offset_slot {
    struct group *group;
    char *topic;
    int32_t partition;
    bool committed;
    struct offset_value value; /* when committed */
    struct offset_stage *staged;
};

struct offsets {
    struct map slots; /* topic, then 4 bytes of partition -> struct offset_slot */
};

struct offset_txn {
    int64_t producer_id;
    struct offset_stage *stages;
};

struct offset_txns {
    struct map by_producer; /* 8 bytes -> struct offset_txn */
};

void offsets_free(struct offsets *o);
void offset_txns_free(struct offset_txns *t); /* after the offsets that are staged in it */

const struct offset_slot *offsets_find(const struct offsets *o, struct slice topic, int32_t partition);
/* `v` is copied. ERR_NO_MEMORY only. */
enum err offsets_commit(struct offsets *o, struct group *g, struct slice topic, int32_t partition,
                        const struct offset_value *v) MUST_CHECK;
enum err offsets_stage(struct offsets *o, struct group *g, struct offset_txns *txns, int64_t producer_id,
                       struct slice topic, int32_t partition, const struct offset_value *v) MUST_CHECK;
/* The tombstone at `at`. */
void offsets_remove(struct offsets *o, struct offset_txns *txns, struct slice topic, int32_t partition, int64_t at);
/* The marker: settles one stage of the transaction; false when none is left. The caller then drops the slot if it is
 * empty: offsets_settle(&group->offsets, slot). */
struct offset_ended {
    struct offset_slot *slot;
    struct group *group;
};
bool offset_txns_end_one(struct offset_txns *txns, int64_t producer_id, bool commit, struct offset_ended *out);
void offsets_settle(struct offsets *o, struct offset_slot *s);

/* ---- Records (Kafka's OffsetCommitKey and OffsetCommitValue) ---- */

void offset_record_put(struct record_list *out, struct slice group, struct slice topic, int32_t partition,
                       const struct offset_value *v);
void offset_record_remove(struct record_list *out, struct slice group, struct slice topic, int32_t partition);

#endif
