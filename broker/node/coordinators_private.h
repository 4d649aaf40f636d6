/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_BROKER_NODE_COORDINATORS_PRIVATE_H
#define CASTELLAN_BROKER_NODE_COORDINATORS_PRIVATE_H

#include "broker/core/txn.h"
#include "broker/node/coordinators.h"
#include "core/wire/record_batch.h"

/* What the parts of the coordinators share. */
struct group_coordinator;

struct coordinators {
    struct node *node;
    int32_t offsets_partitions, txn_partitions; /* as configured; an existing topic's count wins */
    struct txn_table **txns;                    /* by partition of TXN_TOPIC; NULL: not led here */
    int32_t txns_count;
    uint64_t loads;                 /* how often a table was loaded: pointers into tables from before are gone */
    struct parked_end *parked_ends; /* EndTxn requests that wait for their markers */
    struct loop_timer retry;
    struct group_coordinator *groups;
};

/* Walk a coordinator partition from its start: every record of every batch, in order, control records included. */
struct coordinator_record {
    const struct record_batch *batch;
    struct record record;
};
enum err coordinator_replay(struct partition *p, enum err (*fn)(void *user, const struct coordinator_record *r),
                            void *user, struct reason *why) MUST_CHECK;
/* Write decided records as one batch; on failure the caller answers COORDINATOR_NOT_AVAILABLE. `producer_id` >= 0: a
 * transactional batch (staged offsets). */
enum err coordinator_append(struct partition *p, const struct record_list *records, int64_t producer_id,
                            int16_t producer_epoch, struct reason *why) MUST_CHECK;

/* txn_coordinator.c */
void txn_coordinator_load(struct coordinators *c, struct partition *p);
void txn_coordinator_unload(struct coordinators *c, int32_t partition);
void txn_coordinator_tick(struct coordinators *c);
void txn_coordinator_free(struct coordinators *c);

/* markers.c */
void markers_send(struct coordinators *c, struct txn *x);
void markers_resume(struct coordinators *c); /* whatever still waits for markers */
/* An EndTxn whose transaction is prepared: answered when complete, or soon after if that takes long. */
void markers_park(struct coordinators *c, struct request *r, struct txn *x);
void markers_parked_tick(struct coordinators *c, bool all);
/* Make the steps of a transaction durable; on failure the partition's table is loaded again from its log. */
enum err txn_coordinator_write(struct coordinators *c, struct slice id, struct record_list *records) MUST_CHECK;

/* producer_ids.c: a new producer id for `done`, now or once the controller gave a block; -1 when it cannot be had. */
void producer_id_get(struct node *n, void (*done)(void *user, int64_t id), void *user);

/* group_coordinator.c: the same for groups; see broker/core/group.h. */
enum err group_coordinator_new(struct group_coordinator **out, struct coordinators *c) MUST_CHECK;
void group_coordinator_free(struct group_coordinator *g);
void group_coordinator_load(struct group_coordinator *g, struct partition *p);
void group_coordinator_unload(struct group_coordinator *g, int32_t partition);
void group_coordinator_tick(struct group_coordinator *g);
/* A transaction that staged offsets in this partition of OFFSETS_TOPIC has ended; the marker is in the log. */
void group_coordinator_txn_ended(struct group_coordinator *g, int32_t partition, int64_t producer_id, bool commit);
/* Its committed offsets go with it. */
void group_coordinator_topic_deleted(struct group_coordinator *g, struct slice topic);

#endif
