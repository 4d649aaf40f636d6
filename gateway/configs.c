/* SPDX-License-Identifier: Apache-2.0
 * DescribeConfigs, AlterConfigs, IncrementalAlterConfigs: what right is needed depends on the type of each resource.
 * Topics and groups are their own resources; brokers, their loggers and client metrics belong to the cluster. */
#include "gateway/admin.h"
#include "gateway/handlers.h"
#include "gateway/judge.h"
#include "gateway/schema_topics.h"
#include "gateway/split.h"
#include "wire/alter_configs.h"
#include "wire/describe_configs.h"
#include "wire/incremental_alter_configs.h"

/* ConfigResource.Type */
enum {
    RESOURCE_TOPIC = 2,
    RESOURCE_BROKER = 4,
    RESOURCE_BROKER_LOGGER = 8,
    RESOURCE_CLIENT_METRICS = 16,
    RESOURCE_GROUP = 32
};

static enum err judge(struct pending *p, int8_t type, struct slice name, enum acl_operation op)
{
    switch (type) {
    case RESOURCE_TOPIC:
        return session_judge(p->session, p->api->key, ACL_TOPIC, op, name);
    case RESOURCE_BROKER:
    case RESOURCE_BROKER_LOGGER:
    case RESOURCE_CLIENT_METRICS:
        return admin_may(p, op) ? ERR_OK : ERR_CLUSTER_AUTHORIZATION_FAILED;
    case RESOURCE_GROUP:
        return session_judge(p->session, p->api->key, ACL_GROUP, op, name);
    }
    return ERR_INVALID_REQUEST;
}

enum err judge_describe_configs(struct pending *p, const void *element)
{
    const struct describe_configs_request_describe_configs_resource *r = element;
    return judge(p, r->resource_type, r->resource_name, ACL_DESCRIBE_CONFIGS);
}

enum err judge_alter_configs(struct pending *p, const void *element)
{
    const struct alter_configs_request_alter_configs_resource *r = element;
    return judge(p, r->resource_type, r->resource_name, ACL_ALTER_CONFIGS);
}

enum err judge_incremental_alter_configs(struct pending *p, const void *element)
{
    const struct incremental_alter_configs_request_alter_configs_resource *r = element;
    return judge(p, r->resource_type, r->resource_name, ACL_ALTER_CONFIGS);
}

void handle_describe_configs(struct pending *p)
{
    handle_split(p);
}

/* What topics ask of their data may be something else now, and the client must find it so. */
static void answer_changed(struct pending *p, void *response)
{
    if (p->session)
        schema_topics_changed(p->session->worker->gateway);
    pending_answer(p, response);
}

void handle_alter_configs(struct pending *p)
{
    split_run(p, answer_changed);
}

void handle_incremental_alter_configs(struct pending *p)
{
    split_run(p, answer_changed);
}
