/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_BROKER_NODE_HANDLERS_H
#define CASTELLAN_BROKER_NODE_HANDLERS_H

#include "broker/node/node.h"

/* One function per API; the table in handlers.c names them. Each finishes its request exactly once, now or later. */
void node_handle_api_versions(struct request *r);
void node_handle_metadata(struct request *r);
void node_handle_describe_cluster(struct request *r);
void node_handle_describe_topic_partitions(struct request *r);
void node_handle_describe_configs(struct request *r);
void node_handle_list_config_resources(struct request *r);
void node_handle_describe_log_dirs(struct request *r);
void node_handle_describe_quorum(struct request *r);
void node_handle_produce(struct request *r);
void node_handle_fetch(struct request *r);
void node_handle_list_offsets(struct request *r);
void node_handle_offset_for_leader_epoch(struct request *r);
void node_handle_delete_records(struct request *r);
/* Answered by the controller; other nodes pass the request on and its answer back. */
void node_handle_create_topics(struct request *r);
void node_handle_delete_topics(struct request *r);
void node_handle_create_partitions(struct request *r);
void node_handle_alter_configs(struct request *r);
void node_handle_incremental_alter_configs(struct request *r);
void node_handle_broker_registration(struct request *r);
void node_handle_broker_heartbeat(struct request *r);
void node_handle_allocate_producer_ids(struct request *r);
/* Answered by any node. */
void node_handle_elect_leaders(struct request *r);
void node_handle_alter_partition_reassignments(struct request *r);
void node_handle_list_partition_reassignments(struct request *r);

/* __consumer_offsets and __transaction_state: clients may read but not shape them. */
bool topic_is_internal(struct slice name);
/* Make a missing topic (auto creation, the coordinators' own topics): asks the controller, does not wait. */
void node_create_topic(struct node *n, struct slice name, int32_t partitions, bool compacted);

#endif
