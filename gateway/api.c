/* SPDX-License-Identifier: Apache-2.0
 * The table of APIs. */
#include "gateway/api.h"
#include "gateway/handlers.h"
#include "gateway/split.h"

enum { ALL = INT16_MAX };

static const struct api_row rows[] = {
    {WIRE_API_VERSIONS, 4, API_BEFORE_AUTH | API_READY, API_ANSWERED_HERE, handle_api_versions},
    {WIRE_SASL_HANDSHAKE, ALL, API_BEFORE_AUTH | API_READY, API_ANSWERED_HERE, handle_sasl_handshake},
    {WIRE_SASL_AUTHENTICATE, ALL, API_BEFORE_AUTH | API_READY, API_ANSWERED_HERE, handle_sasl_authenticate},

    {WIRE_PRODUCE, ALL, API_READY, API_FORWARDED, handle_produce},
    {WIRE_FETCH, ALL, API_READY, API_FORWARDED, handle_fetch},
    {WIRE_LIST_OFFSETS, ALL, API_READY, API_FORWARDED, handle_split},
    {WIRE_METADATA, ALL, API_READY, API_FORWARDED, handle_metadata},
    {WIRE_DESCRIBE_TOPIC_PARTITIONS, ALL, API_READY, API_FORWARDED, handle_describe_topic_partitions},
    {WIRE_OFFSET_FOR_LEADER_EPOCH, ALL, API_READY, API_FORWARDED, handle_split},
    {WIRE_DELETE_RECORDS, ALL, API_READY, API_FORWARDED, handle_split},
    {WIRE_DESCRIBE_PRODUCERS, ALL, API_READY, API_FORWARDED, handle_split},

    {WIRE_FIND_COORDINATOR, ALL, API_READY, API_FORWARDED, handle_find_coordinator},
    {WIRE_JOIN_GROUP, ALL, API_READY, API_FORWARDED, handle_split},
    {WIRE_SYNC_GROUP, ALL, API_READY, API_FORWARDED, handle_split},
    {WIRE_HEARTBEAT, ALL, API_READY, API_FORWARDED, handle_split},
    {WIRE_LEAVE_GROUP, ALL, API_READY, API_FORWARDED, handle_split},
    {WIRE_OFFSET_COMMIT, ALL, API_READY, API_FORWARDED, handle_split},
    {WIRE_OFFSET_FETCH, ALL, API_READY, API_FORWARDED, handle_offset_fetch},
    {WIRE_OFFSET_DELETE, ALL, API_READY, API_FORWARDED, handle_split},
    {WIRE_DESCRIBE_GROUPS, ALL, API_READY, API_FORWARDED, handle_describe_groups},
    {WIRE_LIST_GROUPS, ALL, API_READY, API_FORWARDED, handle_list_groups},
    {WIRE_DELETE_GROUPS, ALL, API_READY, API_FORWARDED, handle_split},
    {WIRE_CONSUMER_GROUP_HEARTBEAT, ALL, API_READY, API_FORWARDED, handle_split},
    {WIRE_CONSUMER_GROUP_DESCRIBE, ALL, API_READY, API_FORWARDED, handle_consumer_group_describe},

    {WIRE_INIT_PRODUCER_ID, 5, API_READY, API_FORWARDED, handle_init_producer_id},
    {WIRE_ADD_PARTITIONS_TO_TXN, ALL, API_READY, API_FORWARDED, handle_split},
    {WIRE_ADD_OFFSETS_TO_TXN, ALL, API_READY, API_FORWARDED, handle_split},
    {WIRE_END_TXN, ALL, API_READY, API_FORWARDED, handle_split},
    {WIRE_WRITE_TXN_MARKERS, ALL, API_READY, API_FORWARDED, handle_write_txn_markers},
    {WIRE_TXN_OFFSET_COMMIT, ALL, API_READY, API_FORWARDED, handle_split},
    {WIRE_DESCRIBE_TRANSACTIONS, ALL, API_READY, API_FORWARDED, handle_describe_transactions},
    {WIRE_LIST_TRANSACTIONS, ALL, API_READY, API_FORWARDED, handle_list_transactions},

    {WIRE_CREATE_TOPICS, ALL, API_READY, API_FORWARDED, handle_create_topics},
    {WIRE_DELETE_TOPICS, ALL, API_READY, API_FORWARDED, handle_delete_topics},
    {WIRE_CREATE_PARTITIONS, ALL, API_READY, API_FORWARDED, handle_split},
    {WIRE_DESCRIBE_CONFIGS, ALL, API_READY, API_FORWARDED, handle_describe_configs},
    {WIRE_ALTER_CONFIGS, ALL, API_READY, API_FORWARDED, handle_alter_configs},
    {WIRE_INCREMENTAL_ALTER_CONFIGS, ALL, API_READY, API_FORWARDED, handle_incremental_alter_configs},
    {WIRE_LIST_CONFIG_RESOURCES, ALL, API_READY, API_FORWARDED, handle_split},

    {WIRE_DESCRIBE_CLUSTER, ALL, API_READY, API_FORWARDED, handle_describe_cluster},
    {WIRE_DESCRIBE_LOG_DIRS, ALL, API_READY, API_FORWARDED, handle_describe_log_dirs},
    {WIRE_ALTER_REPLICA_LOG_DIRS, ALL, API_READY, API_FORWARDED, handle_alter_replica_log_dirs},
    {WIRE_ELECT_LEADERS, ALL, API_READY, API_FORWARDED, handle_elect_leaders},
    {WIRE_ALTER_PARTITION_REASSIGNMENTS, ALL, API_READY, API_FORWARDED, handle_split},
    {WIRE_LIST_PARTITION_REASSIGNMENTS, ALL, API_READY, API_FORWARDED, handle_list_partition_reassignments},
    {WIRE_DESCRIBE_QUORUM, 1, API_READY, API_FORWARDED, handle_split}, /* 2 tells the nodes' addresses */
    {WIRE_UPDATE_FEATURES, ALL, API_READY, API_FORWARDED, handle_split},
    {WIRE_UNREGISTER_BROKER, ALL, API_READY, API_FORWARDED, handle_split},

    {WIRE_DESCRIBE_ACLS, ALL, API_READY, API_ANSWERED_HERE, handle_describe_acls},
    {WIRE_CREATE_ACLS, ALL, API_READY, API_ANSWERED_HERE, handle_create_acls},
    {WIRE_DELETE_ACLS, ALL, API_READY, API_ANSWERED_HERE, handle_delete_acls},
    {WIRE_DESCRIBE_CLIENT_QUOTAS, ALL, API_READY, API_ANSWERED_HERE, handle_describe_client_quotas},
    {WIRE_ALTER_CLIENT_QUOTAS, ALL, API_READY, API_ANSWERED_HERE, handle_alter_client_quotas},
    {WIRE_DESCRIBE_USER_SCRAM_CREDENTIALS, ALL, API_READY, API_ANSWERED_HERE, handle_describe_user_scram_credentials},
    {WIRE_ALTER_USER_SCRAM_CREDENTIALS, ALL, API_READY, API_ANSWERED_HERE, handle_alter_user_scram_credentials},
    {WIRE_CREATE_DELEGATION_TOKEN, ALL, API_READY, API_ANSWERED_HERE, handle_no_delegation_tokens},
    {WIRE_RENEW_DELEGATION_TOKEN, ALL, API_READY, API_ANSWERED_HERE, handle_no_delegation_tokens},
    {WIRE_EXPIRE_DELEGATION_TOKEN, ALL, API_READY, API_ANSWERED_HERE, handle_no_delegation_tokens},
    {WIRE_DESCRIBE_DELEGATION_TOKEN, ALL, API_READY, API_ANSWERED_HERE, handle_no_delegation_tokens},
};
enum { ROWS = sizeof rows / sizeof *rows };

const struct api_row *api_find(int16_t key)
{
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].key == key)
            return &rows[i];
    return NULL;
}

const struct api_row *api_at(size_t i)
{
    return i < ROWS ? &rows[i] : NULL;
}

bool api_versions(struct cluster *c, const struct api_row *row, int16_t *min, int16_t *max)
{
    const struct wire_api *api = wire_api(row->key);

    if (!api)
        return false;
    *min = api->min;
    *max = api->max < row->max ? api->max : row->max;
    if (row->where == API_ANSWERED_HERE)
        return true;
    if (row->key >= CLUSTER_APIS || c->max_version[row->key] < 0)
        return false;
    if (c->max_version[row->key] < *max)
        *max = c->max_version[row->key];
    if (c->min_version[row->key] > *min)
        *min = c->min_version[row->key];
    return *min <= *max;
}
