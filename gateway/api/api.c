/* SPDX-License-Identifier: Apache-2.0
 * The table of APIs. The rights are those of Kafka 4.3 (KafkaApis.scala, as documented under "Security > Authorization
 * and ACLs"). */
#include "gateway/api/api.h"
#include "gateway/api/steps.h"
#include "gateway/filter/filter.h"
#include "gateway/request/refusal.h"

#include <stdio.h>

enum { ALL = INT16_MAX };

#define TOPIC(op)   .type = ACL_TOPIC, .operation = (op)
#define GROUP(op)   .type = ACL_GROUP, .operation = (op)
#define TXN(op)     .type = ACL_TRANSACTIONAL_ID, .operation = (op)
#define CLUSTER(op) .type = ACL_CLUSTER, .operation = (op)

#define RESERVED_TOPIC(op)                                                                                             \
    {                                                                                                                  \
        RIGHT_EACH, WIRE_ENTITY_TOPIC_NAME, TOPIC(op), .by_cluster = true                                              \
    }
#define EACH_TOPIC(op)                                                                                                 \
    {                                                                                                                  \
        RIGHT_EACH, WIRE_ENTITY_TOPIC_NAME, TOPIC(op)                                                                  \
    }
#define EACH_GROUP(op)                                                                                                 \
    {                                                                                                                  \
        RIGHT_EACH, WIRE_ENTITY_GROUP_ID, GROUP(op)                                                                    \
    }
#define EACH_TXN(op)                                                                                                   \
    {                                                                                                                  \
        RIGHT_EACH, WIRE_ENTITY_TRANSACTIONAL_ID, TXN(op)                                                              \
    }
#define WHOLE_GROUP(op)                                                                                                \
    {                                                                                                                  \
        RIGHT_WHOLE, WIRE_ENTITY_GROUP_ID, GROUP(op)                                                                   \
    }
#define WHOLE_TXN(op)                                                                                                  \
    {                                                                                                                  \
        RIGHT_WHOLE, WIRE_ENTITY_TRANSACTIONAL_ID, TXN(op)                                                             \
    }
#define WHOLE_CLUSTER(op)                                                                                              \
    {                                                                                                                  \
        RIGHT_WHOLE, WIRE_ENTITY_NONE, CLUSTER(op)                                                                     \
    }
#define OWN(entity_)                                                                                                   \
    {                                                                                                                  \
        RIGHT_OWN, WIRE_ENTITY_##entity_                                                                               \
    }
#define FREE(entity_, because)                                                                                         \
    {                                                                                                                  \
        RIGHT_FREE, WIRE_ENTITY_##entity_, .why = because                                                              \
    }

#define UNDER_CLUSTER "the right on the cluster covers it"

#define FORWARDED(key_) .key = (key_), .max = ALL, .phases = API_READY, .where = API_FORWARDED
#define HERE(key_)      .key = (key_), .max = ALL, .phases = API_READY, .where = API_ANSWERED_HERE

static const struct api_row rows[] = {
    {WIRE_API_VERSIONS, 4, API_BEFORE_AUTH | API_READY, API_ANSWERED_HERE, .start = api_versions_answer},
    {WIRE_SASL_HANDSHAKE, ALL, API_BEFORE_AUTH | API_READY, API_ANSWERED_HERE, .start = sasl_handshake_answer},
    {WIRE_SASL_AUTHENTICATE, ALL, API_BEFORE_AUTH | API_READY, API_ANSWERED_HERE, .start = sasl_authenticate_answer},

    {FORWARDED(WIRE_PRODUCE),
     .filters = FILTER_BIT(FILTER_QUOTA) | FILTER_BIT(FILTER_SCHEMA) | FILTER_BIT(FILTER_CRYPT),
     .quota = QUOTA_PRODUCER_BYTE_RATE, .rights = {OWN(TRANSACTIONAL_ID), EACH_TOPIC(ACL_WRITE)},
     .judge_whole = produce_judge_whole, .fill = produce_fill, .silent = produce_is_silent, .start = produce_start,
     .finish = produce_finish},
    {FORWARDED(WIRE_FETCH), .filters = FILTER_BIT(FILTER_QUOTA) | FILTER_BIT(FILTER_CRYPT),
     .quota = QUOTA_CONSUMER_BYTE_RATE,
     .rights = {{RIGHT_EACH, WIRE_ENTITY_TOPIC_NAME, TOPIC(ACL_READ), .cluster = ACL_CLUSTER_ACTION,
                 .cluster_instead = fetch_is_by_replica}},
     .fill = fetch_fill, .start = fetch_start, .finish = fetch_finish, .finish_if_read = true},
    {FORWARDED(WIRE_LIST_OFFSETS), .rights = {EACH_TOPIC(ACL_DESCRIBE)}},
    {FORWARDED(WIRE_METADATA), .rights = {OWN(TOPIC_NAME)}, .start = metadata_start, .finish = metadata_finish},
    {FORWARDED(WIRE_DESCRIBE_TOPIC_PARTITIONS), .rights = {OWN(TOPIC_NAME)}, .start = describe_topic_partitions_start,
     .finish = describe_topic_partitions_finish},
    {FORWARDED(WIRE_OFFSET_FOR_LEADER_EPOCH),
     .rights = {{RIGHT_EACH, WIRE_ENTITY_TOPIC_NAME, TOPIC(ACL_DESCRIBE), .cluster = ACL_CLUSTER_ACTION}}},
    {FORWARDED(WIRE_DELETE_RECORDS), .rights = {EACH_TOPIC(ACL_DELETE)}, .fill = delete_records_fill},
    {FORWARDED(WIRE_DESCRIBE_PRODUCERS), .rights = {EACH_TOPIC(ACL_READ)}, .texts = true},

    {FORWARDED(WIRE_FIND_COORDINATOR), .rights = {{RIGHT_EACH, WIRE_ENTITY_COORDINATOR_KEY}},
     .judge_whole = find_coordinator_judge_whole, .judge = find_coordinator_judge, .fill = find_coordinator_fill,
     .start = find_coordinator_start, .finish = find_coordinator_finish},
    {FORWARDED(WIRE_JOIN_GROUP), .rights = {WHOLE_GROUP(ACL_READ)}},
    {FORWARDED(WIRE_SYNC_GROUP), .rights = {WHOLE_GROUP(ACL_READ)}},
    {FORWARDED(WIRE_HEARTBEAT), .rights = {WHOLE_GROUP(ACL_READ)}},
    {FORWARDED(WIRE_LEAVE_GROUP), .rights = {WHOLE_GROUP(ACL_READ)}},
    {FORWARDED(WIRE_OFFSET_COMMIT), .rights = {WHOLE_GROUP(ACL_READ), EACH_TOPIC(ACL_READ)}},
    {FORWARDED(WIRE_OFFSET_FETCH),
     .rights = {{RIGHT_WHOLE, WIRE_ENTITY_GROUP_ID, GROUP(ACL_DESCRIBE), .min = 0, .max = 7},
                {RIGHT_EACH, WIRE_ENTITY_TOPIC_NAME, TOPIC(ACL_DESCRIBE), .min = 0, .max = 7},
                OWN(GROUP_ID),
                OWN(TOPIC_NAME)},
     .fill = offset_fetch_fill, .start = offset_fetch_start, .finish = offset_fetch_finish},
    {FORWARDED(WIRE_OFFSET_DELETE), .rights = {WHOLE_GROUP(ACL_DELETE), EACH_TOPIC(ACL_READ)}, .asks_always = true,
     .finish = offset_delete_finish},
    {FORWARDED(WIRE_DESCRIBE_GROUPS), .rights = {EACH_GROUP(ACL_DESCRIBE)}, .finish = describe_groups_finish},
    {FORWARDED(WIRE_LIST_GROUPS), .finish = list_groups_finish},
    {FORWARDED(WIRE_DELETE_GROUPS), .rights = {EACH_GROUP(ACL_DELETE)}},
    {FORWARDED(WIRE_CONSUMER_GROUP_HEARTBEAT),
     .rights = {WHOLE_GROUP(ACL_READ),
                {RIGHT_OWN, WIRE_ENTITY_TOPIC_NAME, .field = "SubscribedTopicNames"},
                {RIGHT_FREE, WIRE_ENTITY_TOPIC_NAME, .field = "TopicPartitions.TopicId",
                 .why = "what a member says it owns tells it nothing"}},
     .start = consumer_group_heartbeat_start, .finish = consumer_group_heartbeat_finish},
    {FORWARDED(WIRE_CONSUMER_GROUP_DESCRIBE), .rights = {EACH_GROUP(ACL_DESCRIBE)}, .texts = true,
     .finish = consumer_group_describe_finish},

    {.key = WIRE_INIT_PRODUCER_ID,
     .max = 5,
     .phases = API_READY,
     .where = API_FORWARDED,
     .rights = {OWN(TRANSACTIONAL_ID)},
     .start = init_producer_id_start},
    {FORWARDED(WIRE_ADD_PARTITIONS_TO_TXN),
     .rights = {{RIGHT_WHOLE, WIRE_ENTITY_TRANSACTIONAL_ID, TXN(ACL_WRITE), .min = 0, .max = 3},
                {RIGHT_EACH, WIRE_ENTITY_TOPIC_NAME, TOPIC(ACL_WRITE), .others = ERR_OPERATION_NOT_ATTEMPTED, .min = 0,
                 .max = 3},
                {RIGHT_WHOLE, WIRE_ENTITY_NONE, CLUSTER(ACL_CLUSTER_ACTION), .min = 4, .max = ALL},
                FREE(TRANSACTIONAL_ID, UNDER_CLUSTER),
                FREE(TOPIC_NAME, UNDER_CLUSTER)}},
    {FORWARDED(WIRE_ADD_OFFSETS_TO_TXN), .rights = {WHOLE_TXN(ACL_WRITE), WHOLE_GROUP(ACL_READ)}},
    {FORWARDED(WIRE_END_TXN), .rights = {WHOLE_TXN(ACL_WRITE)}},
    {FORWARDED(WIRE_WRITE_TXN_MARKERS),
     .rights = {{RIGHT_WHOLE, WIRE_ENTITY_NONE, CLUSTER(ACL_CLUSTER_ACTION), .cluster = ACL_ALTER}, OWN(TOPIC_NAME)},
     .start = write_txn_markers_start, .finish = write_txn_markers_finish},
    {FORWARDED(WIRE_TXN_OFFSET_COMMIT), .rights = {WHOLE_TXN(ACL_WRITE), WHOLE_GROUP(ACL_READ), EACH_TOPIC(ACL_READ)}},
    {FORWARDED(WIRE_DESCRIBE_TRANSACTIONS), .rights = {EACH_TXN(ACL_DESCRIBE)}, .finish = describe_transactions_finish},
    {FORWARDED(WIRE_LIST_TRANSACTIONS), .finish = list_transactions_finish},

    {FORWARDED(WIRE_CREATE_TOPICS), .rights = {OWN(TOPIC_NAME)}, .texts = true, .fill = create_topics_fill,
     .start = create_topics_start, .finish = create_topics_finish},
    {FORWARDED(WIRE_DELETE_TOPICS), .rights = {OWN(TOPIC_NAME)}, .texts = true, .fill = delete_topics_fill,
     .start = delete_topics_start},
    {FORWARDED(WIRE_CREATE_PARTITIONS), .rights = {EACH_TOPIC(ACL_ALTER)}, .texts = true, .twice = TWICE_ONE_ANSWER},
    {FORWARDED(WIRE_DESCRIBE_CONFIGS), .rights = {{RIGHT_EACH, WIRE_ENTITY_RESOURCE_NAME}},
     .judge = describe_configs_judge, .texts = true},
    {FORWARDED(WIRE_ALTER_CONFIGS), .rights = {{RIGHT_EACH, WIRE_ENTITY_RESOURCE_NAME}}, .judge = alter_configs_judge,
     .texts = true, .twice = TWICE_EACH, .finish = alter_configs_finish},
    {FORWARDED(WIRE_INCREMENTAL_ALTER_CONFIGS), .rights = {{RIGHT_EACH, WIRE_ENTITY_RESOURCE_NAME}},
     .judge = incremental_alter_configs_judge, .texts = true, .twice = TWICE_EACH, .finish = alter_configs_finish},
    {FORWARDED(WIRE_LIST_CONFIG_RESOURCES), .rights = {WHOLE_CLUSTER(ACL_DESCRIBE_CONFIGS)}},

    {FORWARDED(WIRE_DESCRIBE_CLUSTER), .finish = describe_cluster_finish},
    {FORWARDED(WIRE_DESCRIBE_LOG_DIRS), .rights = {WHOLE_CLUSTER(ACL_DESCRIBE), FREE(TOPIC_NAME, UNDER_CLUSTER)},
     .finish = describe_log_dirs_finish},
    {FORWARDED(WIRE_ALTER_REPLICA_LOG_DIRS), .rights = {WHOLE_CLUSTER(ACL_ALTER), OWN(TOPIC_NAME)},
     .start = alter_replica_log_dirs_start, .finish = alter_replica_log_dirs_finish},
    {FORWARDED(WIRE_ELECT_LEADERS), .rights = {WHOLE_CLUSTER(ACL_ALTER), RESERVED_TOPIC(ACL_ALTER)},
     .judge_whole = elect_leaders_judge_whole, .texts = true},
    {FORWARDED(WIRE_ALTER_PARTITION_REASSIGNMENTS), .rights = {WHOLE_CLUSTER(ACL_ALTER), RESERVED_TOPIC(ACL_ALTER)},
     .texts = true},
    {FORWARDED(WIRE_LIST_PARTITION_REASSIGNMENTS),
     .rights = {WHOLE_CLUSTER(ACL_DESCRIBE), FREE(TOPIC_NAME, UNDER_CLUSTER)},
     .finish = list_partition_reassignments_finish},
    {.key = WIRE_DESCRIBE_QUORUM, /* version 2 tells the nodes' addresses */
     .max = 1,
     .phases = API_READY,
     .where = API_FORWARDED,
     .rights = {WHOLE_CLUSTER(ACL_DESCRIBE), FREE(TOPIC_NAME, UNDER_CLUSTER)}},
    {FORWARDED(WIRE_UPDATE_FEATURES), .rights = {WHOLE_CLUSTER(ACL_ALTER)}},
    {FORWARDED(WIRE_UNREGISTER_BROKER), .rights = {WHOLE_CLUSTER(ACL_ALTER)}},

    {HERE(WIRE_DESCRIBE_ACLS), .start = describe_acls_answer},
    {HERE(WIRE_CREATE_ACLS), .start = create_acls_answer},
    {HERE(WIRE_DELETE_ACLS), .start = delete_acls_answer},
    {HERE(WIRE_DESCRIBE_CLIENT_QUOTAS), .start = describe_client_quotas_answer},
    {HERE(WIRE_ALTER_CLIENT_QUOTAS), .start = alter_client_quotas_answer},
    {HERE(WIRE_DESCRIBE_USER_SCRAM_CREDENTIALS), .start = describe_user_scram_credentials_answer},
    {HERE(WIRE_ALTER_USER_SCRAM_CREDENTIALS), .start = alter_user_scram_credentials_answer},
    {HERE(WIRE_CREATE_DELEGATION_TOKEN), .start = delegation_tokens_answer},
    {HERE(WIRE_RENEW_DELEGATION_TOKEN), .start = delegation_tokens_answer},
    {HERE(WIRE_EXPIRE_DELEGATION_TOKEN), .start = delegation_tokens_answer},
    {HERE(WIRE_DESCRIBE_DELEGATION_TOKEN), .start = delegation_tokens_answer},
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

/* ---- The check at start ---- */

const struct api_right *api_right_of(const struct api_row *row, enum wire_entity entity, const char *path,
                                     int16_t version)
{
    for (const struct api_right *r = row->rights; r < row->rights + API_RIGHTS_MAX && r->scope != RIGHT_END; r++)
        if (r->entity == entity && (r->max == 0 || (version >= r->min && version <= r->max)) &&
            (!r->field || strcmp(r->field, path) == 0))
            return r;
    return NULL;
}

static bool needs_decision(enum wire_entity entity)
{
    switch (entity) {
    case WIRE_ENTITY_TOPIC_NAME:
    case WIRE_ENTITY_TOPIC_ID:
    case WIRE_ENTITY_GROUP_ID:
    case WIRE_ENTITY_TRANSACTIONAL_ID:
    case WIRE_ENTITY_RESOURCE_NAME:
    case WIRE_ENTITY_COORDINATOR_KEY:
        return true;
    case WIRE_ENTITY_NONE:
    case WIRE_ENTITY_PRODUCER_ID:
    case WIRE_ENTITY_BROKER_ID:
        return false;
    }
    return false;
}

static enum err check_struct(const struct api_row *row, const struct wire_struct *s, int16_t version,
                             const char *prefix, int depth, struct reason *why)
{
    for (size_t i = 0; i < s->field_count; i++) {
        const struct wire_field *f = &s->fields[i];
        char path[160];
        enum wire_entity entity = f->entity == WIRE_ENTITY_TOPIC_ID ? WIRE_ENTITY_TOPIC_NAME : f->entity;
        enum err err = ERR_OK;

        if (!wire_versions_has(f->versions, version))
            continue;
        if ((size_t)snprintf(path, sizeof path, "%s%s%s", prefix, *prefix ? "." : "", f->name) >= sizeof path)
            err = reason_set(why, ERR_UNKNOWN_SERVER_ERROR, "a field of %s has too long a path",
                             wire_api(row->key)->name);
        else if (f->type == WIRE_STRUCT && depth < 8)
            err = check_struct(row, f->body, version, path, depth + 1, why);
        else if (needs_decision(f->entity) && !api_right_of(row, entity, path, version))
            err = reason_set(why, ERR_UNKNOWN_SERVER_ERROR, "%s version %d: nothing decides about %s",
                             wire_api(row->key)->name, version, path);
        if (err)
            return err;
    }
    return ERR_OK;
}

enum err api_check(struct reason *why)
{
    for (size_t i = 0; i < ROWS; i++) {
        const struct wire_api *api = wire_api(rows[i].key);
        int16_t max;

        if (!api)
            return reason_set(why, ERR_UNKNOWN_SERVER_ERROR, "API %d has a row and no description", rows[i].key);
        if (!refusal_is_known(rows[i].key))
            return reason_set(why, ERR_UNKNOWN_SERVER_ERROR, "%s: there is no answer that refuses it", api->name);
        max = api->max < rows[i].max ? api->max : rows[i].max;
        for (int16_t v = api->min; v <= max; v++) {
            enum err err = check_struct(&rows[i], api->request->body, v, "", 0, why);
            if (err)
                return err;
        }
    }
    return ERR_OK;
}
