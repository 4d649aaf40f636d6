/* SPDX-License-Identifier: Apache-2.0
 * DescribeConfigs, AlterConfigs, IncrementalAlterConfigs: what right is needed depends on the type of each resource.
 * Topics and groups are their own resources; brokers, their loggers and client metrics belong to the cluster. */
#include "gateway/api/steps.h"
#include "gateway/request/engine.h"
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

static enum err judge(struct request *r, int8_t type, struct slice name, enum acl_operation op)
{
    switch (type) {
    case RESOURCE_TOPIC:
        return request_judge(r, ACL_TOPIC, op, name, false);
    case RESOURCE_BROKER:
    case RESOURCE_BROKER_LOGGER:
    case RESOURCE_CLIENT_METRICS:
        return request_may_cluster(r, op) ? ERR_OK : ERR_CLUSTER_AUTHORIZATION_FAILED;
    case RESOURCE_GROUP:
        return request_judge(r, ACL_GROUP, op, name, false);
    }
    return ERR_INVALID_REQUEST;
}

enum err describe_configs_judge(struct request *r, const void *element)
{
    const struct describe_configs_request_describe_configs_resource *e = element;
    return judge(r, e->resource_type, e->resource_name, ACL_DESCRIBE_CONFIGS);
}

enum err alter_configs_judge(struct request *r, const void *element)
{
    const struct alter_configs_request_alter_configs_resource *e = element;
    return judge(r, e->resource_type, e->resource_name, ACL_ALTER_CONFIGS);
}

enum err incremental_alter_configs_judge(struct request *r, const void *element)
{
    const struct incremental_alter_configs_request_alter_configs_resource *e = element;
    return judge(r, e->resource_type, e->resource_name, ACL_ALTER_CONFIGS);
}

/* What topics ask of their data may be something else now, and the client must find it so. */
enum step alter_configs_finish(struct request *r)
{
    r->engine->ops->topics_changed(r->engine);
    return STEP_NEXT;
}
