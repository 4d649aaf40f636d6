/* SPDX-License-Identifier: Apache-2.0
 * DescribeTopicPartitions (KIP-966). Named topics have their fates from the table. Asked for all, topics that may not be
 * described are left out, and the cursor, too, tells only what may be described: a page that ends at a hidden topic goes
 * on from the last one shown. */
#include "gateway/api/steps.h"
#include "gateway/filter/filter.h"
#include "gateway/request/engine.h"
#include "gateway/request/topic_names.h"
#include "wire/describe_topic_partitions.h"

typedef struct describe_topic_partitions_response_describe_topic_partitions_response_topic topic_answer;

struct progress {
    int32_t at, kept;
    bool all;
};

enum step describe_topic_partitions_start(struct request *r)
{
    const struct describe_topic_partitions_request *req = r->body;
    struct progress *p = r->state[FILTER_API] = arena_alloc(&r->arena, sizeof *p);

    if (!p)
        return request_no_memory(r);
    p->all = !r->list || r->list->n == 0;
    (void)req;
    return STEP_NEXT;
}

enum step describe_topic_partitions_finish(struct request *r)
{
    struct describe_topic_partitions_response *resp = r->response;
    struct progress *p = r->state[FILTER_API];

    while (p->at < resp->topics.n) {
        topic_answer *t = &resp->topics.v[p->at++];
        bool named = !slice_is_null(t->name);

        if (p->all && named && !request_sees(r, ACL_TOPIC, ACL_DESCRIBE, t->name))
            continue;
        t->topic_authorized_operations =
            t->error_code || !named ? OPERATIONS_ABSENT : request_operations(r, ACL_TOPIC, t->name);
        if (!t->error_code && named)
            topic_names_learn(r->engine->topics, &t->topic_id, t->name);
        resp->topics.v[p->kept++] = *t;
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    resp->topics.n = p->kept;
    if (resp->next_cursor && !request_sees(r, ACL_TOPIC, ACL_DESCRIBE, resp->next_cursor->topic_name))
        resp->next_cursor->partition_index = 0; /* the name must stay: without it the client cannot go on */
    return STEP_NEXT;
}
