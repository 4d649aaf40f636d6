/* SPDX-License-Identifier: Apache-2.0
 * The table of what this broker serves: an API without a row does not exist here. The versions are Kafka 4.3's where
 * all of them are served in full. */
#include "broker/node/handlers.h"
#include "broker/node/coordinators.h"
#include "wire/api_versions.h"

static const struct handler_row rows[] = {
    {WIRE_PRODUCE, 3, 13, node_handle_produce},
    {WIRE_FETCH, 4, 18, node_handle_fetch},
    {WIRE_LIST_OFFSETS, 1, 11, node_handle_list_offsets},
    {WIRE_METADATA, 0, 13, node_handle_metadata},
    {WIRE_OFFSET_COMMIT, 2, 10, node_handle_offset_commit},
    {WIRE_OFFSET_FETCH, 1, 10, node_handle_offset_fetch},
    {WIRE_FIND_COORDINATOR, 0, 6, node_handle_find_coordinator},
    {WIRE_JOIN_GROUP, 0, 9, node_handle_join_group},
    {WIRE_HEARTBEAT, 0, 4, node_handle_heartbeat},
    {WIRE_LEAVE_GROUP, 0, 5, node_handle_leave_group},
    {WIRE_SYNC_GROUP, 0, 5, node_handle_sync_group},
    {WIRE_DESCRIBE_GROUPS, 0, 6, node_handle_describe_groups},
    {WIRE_LIST_GROUPS, 0, 5, node_handle_list_groups},
    {WIRE_API_VERSIONS, 0, 4, node_handle_api_versions},
    {WIRE_CREATE_TOPICS, 2, 7, node_handle_create_topics},
    {WIRE_DELETE_TOPICS, 1, 6, node_handle_delete_topics},
    {WIRE_DELETE_RECORDS, 0, 2, node_handle_delete_records},
    {WIRE_INIT_PRODUCER_ID, 0, 5, node_handle_init_producer_id},
    {WIRE_OFFSET_FOR_LEADER_EPOCH, 2, 4, node_handle_offset_for_leader_epoch},
    {WIRE_ADD_PARTITIONS_TO_TXN, 0, 5, node_handle_add_partitions_to_txn},
    {WIRE_ADD_OFFSETS_TO_TXN, 0, 4, node_handle_add_offsets_to_txn},
    {WIRE_END_TXN, 0, 4, node_handle_end_txn},
    {WIRE_WRITE_TXN_MARKERS, 1, 1, node_handle_write_txn_markers},
    {WIRE_TXN_OFFSET_COMMIT, 0, 4, node_handle_txn_offset_commit},
    {WIRE_DESCRIBE_CONFIGS, 1, 4, node_handle_describe_configs},
    {WIRE_ALTER_CONFIGS, 0, 2, node_handle_alter_configs},
    {WIRE_DESCRIBE_LOG_DIRS, 1, 5, node_handle_describe_log_dirs},
    {WIRE_CREATE_PARTITIONS, 0, 3, node_handle_create_partitions},
    {WIRE_DELETE_GROUPS, 0, 2, node_handle_delete_groups},
    {WIRE_ELECT_LEADERS, 0, 2, node_handle_elect_leaders},
    {WIRE_INCREMENTAL_ALTER_CONFIGS, 0, 1, node_handle_incremental_alter_configs},
    {WIRE_ALTER_PARTITION_REASSIGNMENTS, 0, 1, node_handle_alter_partition_reassignments},
    {WIRE_LIST_PARTITION_REASSIGNMENTS, 0, 0, node_handle_list_partition_reassignments},
    {WIRE_OFFSET_DELETE, 0, 0, node_handle_offset_delete},
    {WIRE_DESCRIBE_QUORUM, 0, 2, node_handle_describe_quorum},
    {WIRE_DESCRIBE_CLUSTER, 0, 2, node_handle_describe_cluster},
    {WIRE_DESCRIBE_PRODUCERS, 0, 0, node_handle_describe_producers},
    {WIRE_BROKER_REGISTRATION, 0, 4, node_handle_broker_registration},
    {WIRE_BROKER_HEARTBEAT, 0, 2, node_handle_broker_heartbeat},
    {WIRE_DESCRIBE_TRANSACTIONS, 0, 0, node_handle_describe_transactions},
    {WIRE_LIST_TRANSACTIONS, 0, 1, node_handle_list_transactions},
    {WIRE_ALLOCATE_PRODUCER_IDS, 0, 0, node_handle_allocate_producer_ids},
    {WIRE_LIST_CONFIG_RESOURCES, 0, 1, node_handle_list_config_resources},
    {WIRE_DESCRIBE_TOPIC_PARTITIONS, 0, 0, node_handle_describe_topic_partitions},
};
enum { ROWS = sizeof rows / sizeof *rows };

const struct handler_row *handler_find(int16_t api_key)
{
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].api_key == api_key)
            return &rows[i];
    return NULL;
}

void node_handle_api_versions(struct request *r)
{
    const struct api_versions_request *req = r->body;
    struct api_versions_response resp;

    api_versions_response_init(&resp);
    if (r->version >= 3) {
        if (!client_software_is_valid(req->client_software_name) ||
            !client_software_is_valid(req->client_software_version)) {
            resp.error_code = ERR_INVALID_REQUEST;
            request_answer(r, &resp);
            return;
        }
        request_set_software(r, req->client_software_name, req->client_software_version);
    }
    if (!api_versions_response_api_version_array_alloc(&resp.api_keys, ROWS, &r->arena)) {
        request_fail(r, "out of memory");
        return;
    }
    for (size_t i = 0; i < ROWS; i++) {
        resp.api_keys.v[i].api_key = rows[i].api_key;
        /* Produce is said to start at 0 although 0-2 are refused (KAFKA-18659) */
        resp.api_keys.v[i].min_version = rows[i].api_key == WIRE_PRODUCE ? 0 : rows[i].min_version;
        resp.api_keys.v[i].max_version = rows[i].max_version;
    }
    resp.finalized_features_epoch = r->node->image.applied;
    request_answer(r, &resp);
}
