/* SPDX-License-Identifier: Apache-2.0
 * What the controller answers. On the controller: decide (broker/core/controller.h), write the metadata log, answer. On
 * any other node the request is passed on as it came and the answer passed back, so clients may ask any broker. */
#include "broker/node/handlers.h"
#include "core/base/log.h"
#include "wire/alter_partition_reassignments.h"
#include "wire/elect_leaders.h"
#include "wire/list_partition_reassignments.h"

static void on_forwarded(void *user, enum err err, int16_t version, struct slice body)
{
    struct request *r = user;
    (void)version;
    if (err)
        request_fail(r, "the controller did not answer");
    else
        request_answer_body(r, body);
}

static bool forwarded(struct request *r)
{
    struct node *n = r->node;
    if (n->id == n->controller_id)
        return false;
    node_call_body(n, n->controller_id, r->api->key, r->version, r->body_bytes, on_forwarded, r);
    return true;
}

/* Runs one of the controller's decisions and answers with `resp`; closes the connection when its records could not be
 * written, because then nobody knows whether they are. */
#define DECIDE(r, resp, ...)                                                                                           \
    do {                                                                                                               \
        struct record_list records;                                                                                    \
        struct reason why = {0};                                                                                       \
        struct controller_call call = {&(r)->arena, &records, (r)->node->env, env_mono_ms((r)->node->env)};            \
        enum err err;                                                                                                  \
        record_list_init(&records);                                                                                    \
        err = __VA_ARGS__;                                                                                             \
        if (!err)                                                                                                      \
            err = node_commit((r)->node, &records, &why);                                                              \
        record_list_free(&records);                                                                                    \
        if (err) {                                                                                                     \
            log_error("%s failed: %s", (r)->api->name, why.code ? why.text : err_text(err));                           \
            request_fail((r), "the controller could not carry it out");                                                \
        } else {                                                                                                       \
            request_answer((r), &(resp));                                                                              \
        }                                                                                                              \
    } while (0)

void node_handle_create_topics(struct request *r)
{
    struct create_topics_response resp;
    if (!forwarded(r))
        DECIDE(r, resp, controller_create_topics(&r->node->controller, r->body, &resp, &call));
}

void node_handle_delete_topics(struct request *r)
{
    struct delete_topics_response resp;
    if (!forwarded(r))
        DECIDE(r, resp, controller_delete_topics(&r->node->controller, r->body, r->version, &resp, &call));
}

void node_handle_create_partitions(struct request *r)
{
    struct create_partitions_response resp;
    if (!forwarded(r))
        DECIDE(r, resp, controller_create_partitions(&r->node->controller, r->body, &resp, &call));
}

void node_handle_alter_configs(struct request *r)
{
    struct alter_configs_response resp;
    if (!forwarded(r))
        DECIDE(r, resp, controller_alter_configs(&r->node->controller, r->body, &resp, &call));
}

void node_handle_incremental_alter_configs(struct request *r)
{
    struct incremental_alter_configs_response resp;
    if (!forwarded(r))
        DECIDE(r, resp, controller_incremental_alter_configs(&r->node->controller, r->body, &resp, &call));
}

void node_handle_broker_registration(struct request *r)
{
    struct broker_registration_response resp;
    if (!forwarded(r))
        DECIDE(r, resp,
               controller_register_broker(&r->node->controller, r->body, plog_end_offset(r->node->metadata.log), &resp,
                                          &call));
}

void node_handle_broker_heartbeat(struct request *r)
{
    struct broker_heartbeat_response resp;
    if (!forwarded(r))
        DECIDE(r, resp, controller_heartbeat(&r->node->controller, r->body, &resp, &call));
}

void node_handle_allocate_producer_ids(struct request *r)
{
    struct allocate_producer_ids_response resp;
    if (!forwarded(r))
        DECIDE(r, resp, controller_allocate_producer_ids(&r->node->controller, r->body, &resp, &call));
}

/* With one replica per partition its leader is always the preferred one, and there is nothing to move. */
void node_handle_elect_leaders(struct request *r)
{
    const struct elect_leaders_request *req = r->body;
    struct elect_leaders_response resp;
    int32_t n = req->topic_partitions.n > 0 ? req->topic_partitions.n : 0;

    elect_leaders_response_init(&resp);
    elect_leaders_response_replica_election_result_array_alloc(&resp.replica_election_results, n, &r->arena);
    for (int32_t t = 0; t < resp.replica_election_results.n; t++) {
        struct elect_leaders_response_replica_election_result *out = &resp.replica_election_results.v[t];
        out->topic = req->topic_partitions.v[t].topic;
        elect_leaders_response_partition_result_array_alloc(&out->partition_result,
                                                            req->topic_partitions.v[t].partitions.n, &r->arena);
        for (int32_t i = 0; i < out->partition_result.n; i++) {
            struct elect_leaders_response_partition_result *a = &out->partition_result.v[i];
            a->partition_id = req->topic_partitions.v[t].partitions.v[i];
            enum err err = node_image_partition(r->node, out->topic, a->partition_id) ? ERR_ELECTION_NOT_NEEDED
                                                                                      : ERR_UNKNOWN_TOPIC_OR_PARTITION;
            a->error_code = err_kafka(err);
            a->error_message = slice_str(err_text(err));
        }
    }
    request_answer(r, &resp);
}

void node_handle_alter_partition_reassignments(struct request *r)
{
    const struct alter_partition_reassignments_request *req = r->body;
    struct alter_partition_reassignments_response resp;

    alter_partition_reassignments_response_init(&resp);
    resp.allow_replication_factor_change = req->allow_replication_factor_change;
    alter_partition_reassignments_response_reassignable_topic_response_array_alloc(&resp.responses, req->topics.n,
                                                                                   &r->arena);
    for (int32_t t = 0; t < resp.responses.n; t++) {
        struct alter_partition_reassignments_response_reassignable_topic_response *out = &resp.responses.v[t];
        out->name = req->topics.v[t].name;
        alter_partition_reassignments_response_reassignable_partition_response_array_alloc(
            &out->partitions, req->topics.v[t].partitions.n, &r->arena);
        for (int32_t i = 0; i < out->partitions.n; i++) {
            struct alter_partition_reassignments_response_reassignable_partition_response *a = &out->partitions.v[i];
            a->partition_index = req->topics.v[t].partitions.v[i].partition_index;
            a->error_code = req->topics.v[t].partitions.v[i].replicas.n < 0 ? ERR_NO_REASSIGNMENT_IN_PROGRESS
                                                                            : ERR_INVALID_REPLICA_ASSIGNMENT;
            a->error_message = slice_str("the bundled brokers keep one replica of each partition where it was made");
        }
    }
    request_answer(r, &resp);
}

void node_handle_list_partition_reassignments(struct request *r)
{
    struct list_partition_reassignments_response resp;
    list_partition_reassignments_response_init(&resp);
    request_answer(r, &resp);
}

static void on_topic_made(void *user, enum err err, int16_t version, struct slice body)
{
    (void)user;
    (void)version;
    (void)body;
    if (err)
        log_warn("a topic could not be made on demand: %s", err_text(err));
}

void node_create_topic(struct node *n, struct slice name, int32_t partitions, bool compacted)
{
    struct create_topics_request req;
    struct create_topics_request_creatable_topic topic;
    struct create_topics_request_creatable_topic_config config;

    create_topics_request_init(&req);
    create_topics_request_creatable_topic_init(&topic);
    create_topics_request_creatable_topic_config_init(&config);
    req.topics.v = &topic;
    req.topics.n = 1;
    topic.name = name;
    topic.num_partitions = partitions;
    topic.replication_factor = -1;
    if (compacted) {
        config.name = slice_str("cleanup.policy");
        config.value = slice_str("compact");
        topic.configs.v = &config;
        topic.configs.n = 1;
    }
    node_call(n, n->controller_id, WIRE_CREATE_TOPICS, 5, &req, on_topic_made, NULL);
}
