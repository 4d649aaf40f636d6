/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_BROKER_NODE_COORDINATORS_H
#define CASTELLAN_BROKER_NODE_COORDINATORS_H

#include "broker/node/node.h"

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
