/* SPDX-License-Identifier: Apache-2.0
 * CreateTopics: CREATE on the cluster, or on each topic. The answer tells a new topic's configuration to those who may
 * DESCRIBE_CONFIGS on it (KIP-525). Names of our own topics are for super users: whoever made `__castellan_users`
 * before the gateway does would choose how long it lives. */
#include "gateway/admin.h"
#include "gateway/handlers.h"
#include "gateway/judge.h"
#include "gateway/schema_topics.h"
#include "gateway/split.h"
#include "wire/create_topics.h"

enum { CONFIGS_SINCE = 5 };

enum err judge_create_topic(struct pending *p, const void *element)
{
    const struct create_topics_request_creatable_topic *t = element;

    if (admin_topic_is_reserved(t->name) && !admin_is_super_user(p->session))
        return ERR_TOPIC_AUTHORIZATION_FAILED;
    if (session_sees(p->session, ACL_CLUSTER, ACL_CREATE, slice_str(ACL_CLUSTER_NAME)) ||
        session_may(p->session, ACL_TOPIC, ACL_CREATE, t->name))
        return ERR_OK;
    return ERR_TOPIC_AUTHORIZATION_FAILED;
}

static void hide_configs(struct pending *p, void *response)
{
    struct create_topics_response *resp = response;

    for (int32_t i = 0; p->version >= CONFIGS_SINCE && i < resp->topics.n; i++) {
        struct create_topics_response_creatable_topic_result *t = &resp->topics.v[i];
        if (t->error_code || session_sees(p->session, ACL_TOPIC, ACL_DESCRIBE_CONFIGS, t->name))
            continue;
        t->topic_config_error_code = ERR_TOPIC_AUTHORIZATION_FAILED;
        t->num_partitions = -1;
        t->replication_factor = -1;
        t->configs.n = -1;
    }
    schema_topics_changed(p->session->worker->gateway); /* it may have existed before, with another configuration */
    pending_answer(p, resp);
}

void handle_create_topics(struct pending *p)
{
    split_run(p, hide_configs);
}
