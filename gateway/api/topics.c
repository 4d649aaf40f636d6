/* SPDX-License-Identifier: Apache-2.0
 * CreateTopics: CREATE on the cluster, or on each topic (the table's part). The answer tells a new topic's configuration
 * to those who may DESCRIBE_CONFIGS on it (KIP-525). DeleteRecords: what a refused partition says. */
#include "gateway/api/steps.h"
#include "gateway/filter/filter.h"
#include "gateway/request/engine.h"
#include "wire/create_topics.h"
#include "wire/delete_records.h"

enum { CONFIGS_SINCE = 5, INVALID_LOW_WATERMARK = -1 };

enum step create_topics_finish(struct request *r)
{
    struct create_topics_response *resp = r->response;

    for (int32_t i = 0; r->version >= CONFIGS_SINCE && i < resp->topics.n; i++) {
        struct create_topics_response_creatable_topic_result *t = &resp->topics.v[i];
        if (t->error_code || request_sees(r, ACL_TOPIC, ACL_DESCRIBE_CONFIGS, t->name))
            continue;
        t->topic_config_error_code = ERR_TOPIC_AUTHORIZATION_FAILED;
        t->num_partitions = -1;
        t->replication_factor = -1;
        t->configs.n = -1;
    }
    r->engine->ops->topics_changed(r->engine); /* it may have existed before, with another configuration */
    return STEP_NEXT;
}

void delete_records_fill(const struct request *r, void *out, const struct list_note *note)
{
    struct delete_records_response_delete_records_partition_result *p = out;

    (void)r;
    (void)note;
    p->low_watermark = INVALID_LOW_WATERMARK;
}
