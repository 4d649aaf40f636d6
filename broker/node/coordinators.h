/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_BROKER_NODE_COORDINATORS_H
#define CASTELLAN_BROKER_NODE_COORDINATORS_H

#include "broker/node/node.h"

#define OFFSETS_TOPIC "__consumer_offsets"
#define TXN_TOPIC     "__transaction_state"

/* The group and transaction coordinators of this node: state machines of broker/core, loaded from and written to the
 * partitions of `__consumer_offsets` and `__transaction_state` that this node leads. */
enum err coordinators_start(struct node *n, struct reason *why) MUST_CHECK;
void coordinators_stop(struct node *n);
void coordinators_tick(struct node *n);
/* A partition here changed its leadership (p->leader); both kinds of partition and all others come by. */
void coordinators_leadership(struct node *n, struct partition *p);
/* A topic was deleted: what groups committed for it goes too. */
void coordinators_topic_removed(struct node *n, struct slice topic);

/* How many partitions `__consumer_offsets` or `__transaction_state` is made with. */
int32_t coordinators_partitions(struct node *n, struct slice topic);

/* txn_verify.c: may the producer that owns this transactional id write to these partitions in a transaction? Calls
 * done, now or later, with each claim's `err` set: ERR_OK also where this node does not lead the partition (the write
 * itself will tell) and where nothing transactional is written, INVALID_PRODUCER_ID_MAPPING when the id is another
 * producer's, INVALID_TXN_STATE or TRANSACTION_ABORTABLE when the partition is not part of an open transaction, others
 * when it could not be found out. Claims and arena must live until then. */
struct txn_claim {
    struct slice topic;
    int32_t index;
    bool transactional; /* what is to be written there is */
    enum err refused;   /* by the caller, whatever is found out */
    enum err err;
    bool asked;
    uint64_t markers;
};
/* Whether a coordinator confirmed lately that this producer id belongs to a transactional id. */
bool txn_owns_producer(const struct node *n, int64_t producer_id);
void txn_verify(struct node *n, struct slice id, int64_t producer_id, int16_t producer_epoch, struct txn_claim *claims,
                size_t count, struct arena *a, void (*done)(void *user), void *user);

/* Handlers, for the table in handlers.c. */
void node_handle_find_coordinator(struct request *r);
void node_handle_join_group(struct request *r);
void node_handle_sync_group(struct request *r);
void node_handle_heartbeat(struct request *r);
void node_handle_leave_group(struct request *r);
void node_handle_offset_commit(struct request *r);
void node_handle_offset_fetch(struct request *r);
void node_handle_offset_delete(struct request *r);
void node_handle_describe_groups(struct request *r);
void node_handle_list_groups(struct request *r);
void node_handle_delete_groups(struct request *r);
void node_handle_init_producer_id(struct request *r);
void node_handle_add_partitions_to_txn(struct request *r);
void node_handle_add_offsets_to_txn(struct request *r);
void node_handle_end_txn(struct request *r);
void node_handle_txn_offset_commit(struct request *r);
void node_handle_write_txn_markers(struct request *r);
void node_handle_describe_transactions(struct request *r);
void node_handle_list_transactions(struct request *r);
void node_handle_describe_producers(struct request *r);

#endif
