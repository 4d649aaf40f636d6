/* SPDX-License-Identifier: Apache-2.0
 * What the controller answers. On the controller: decide (broker/core/controller.h), write the metadata log, answer. On
 * any other node the request is passed on as it came and the answer passed back, so clients may ask any broker. */
#include "broker/node/handlers.h"
#include "core/base/log.h"

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
