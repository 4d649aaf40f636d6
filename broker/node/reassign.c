/* SPDX-License-Identifier: Apache-2.0
 * Where replicas are and who leads them: ElectLeaders and the reassignments. With one replica per partition its leader
 * is always the preferred one, no reassignment is ever under way, and one to the replica that is there is done already.
 * Anything else is refused with Kafka's words, and what Kafka could do and these brokers cannot, in so many words. */
#include "broker/node/handlers.h"
#include "wire/alter_partition_reassignments.h"
#include "wire/elect_leaders.h"
#include "wire/list_partition_reassignments.h"

enum { ELECTION_PREFERRED = 0, ELECTION_UNCLEAN = 1 };

static enum err elect(struct node *n, int8_t type, struct slice topic, int32_t index, struct reason *why)
{
    if (type != ELECTION_PREFERRED && type != ELECTION_UNCLEAN)
        return reason_set(why, ERR_INVALID_REQUEST, "Unknown election type %d", type);
    if (!image_topic(&n->image, topic))
        return reason_set(why, ERR_UNKNOWN_TOPIC_OR_PARTITION, "No such topic as %.*s", SLICE_FMT(topic));
    if (!node_image_partition(n, topic, index))
        return reason_set(why, ERR_UNKNOWN_TOPIC_OR_PARTITION, "No such partition as %.*s-%d", SLICE_FMT(topic),
                          (int)index);
    return reason_set(why, ERR_ELECTION_NOT_NEEDED, "Leader election not needed for topic partition.");
}

void node_handle_elect_leaders(struct request *r)
{
    const struct elect_leaders_request *req = r->body;
    struct elect_leaders_response resp;
    int32_t n = req->topic_partitions.n > 0 ? req->topic_partitions.n : 0;

    elect_leaders_response_init(&resp);
    if (req->election_type != ELECTION_PREFERRED && req->election_type != ELECTION_UNCLEAN)
        resp.error_code = ERR_INVALID_REQUEST;
    elect_leaders_response_replica_election_result_array_alloc(&resp.replica_election_results, n, &r->arena);
    for (int32_t t = 0; t < resp.replica_election_results.n; t++) {
        struct elect_leaders_response_replica_election_result *out = &resp.replica_election_results.v[t];
        out->topic = req->topic_partitions.v[t].topic;
        elect_leaders_response_partition_result_array_alloc(&out->partition_result,
                                                            req->topic_partitions.v[t].partitions.n, &r->arena);
        for (int32_t i = 0; i < out->partition_result.n; i++) {
            struct elect_leaders_response_partition_result *a = &out->partition_result.v[i];
            struct reason why = {0};
            a->partition_id = req->topic_partitions.v[t].partitions.v[i];
            a->error_code = err_kafka(elect(r->node, req->election_type, out->topic, a->partition_id, &why));
            a->error_message = arena_copy(&r->arena, slice_str(why.text));
        }
    }
    request_answer(r, &resp);
}

static enum err check_replicas(struct node *n, const struct wire_int32_array *replicas, struct reason *why)
{
    if (replicas->n == 0)
        return reason_set(why, ERR_INVALID_REPLICA_ASSIGNMENT,
                          "The manual partition assignment includes an empty replica list.");
    for (int32_t i = 0; i < replicas->n; i++) {
        if (!image_broker(&n->image, replicas->v[i]))
            return reason_set(why, ERR_INVALID_REPLICA_ASSIGNMENT,
                              "The manual partition assignment includes broker %d, but no such broker is registered.",
                              (int)replicas->v[i]);
        for (int32_t k = 0; k < i && i <= NODE_VOTERS_MAX; k++) /* of so many one is unknown or named twice */
            if (replicas->v[k] == replicas->v[i])
                return reason_set(why, ERR_INVALID_REPLICA_ASSIGNMENT,
                                  "The manual partition assignment includes the broker %d more than once.",
                                  (int)replicas->v[i]);
    }
    return ERR_OK;
}

static enum err reassign(struct node *n, struct slice topic, int32_t index, const struct wire_int32_array *replicas,
                         bool other_factor, struct reason *why)
{
    const struct image_partition *p = node_image_partition(n, topic, index);
    enum err err;

    if (!image_topic(&n->image, topic))
        return reason_set(why, ERR_UNKNOWN_TOPIC_OR_PARTITION, "Unable to find a topic named %.*s.", SLICE_FMT(topic));
    if (!p)
        return reason_set(why, ERR_UNKNOWN_TOPIC_OR_PARTITION, "Unable to find partition %.*s:%d.", SLICE_FMT(topic),
                          (int)index);
    if (replicas->n < 0)
        return ERR_NO_REASSIGNMENT_IN_PROGRESS;
    err = check_replicas(n, replicas, why);
    if (err)
        return err;
    if (!other_factor && replicas->n != p->replica_count)
        return reason_set(why, ERR_INVALID_REPLICATION_FACTOR, "The replication factor is changed from %d to %d",
                          (int)p->replica_count, (int)replicas->n);
    if (replicas->n == p->replica_count && memcmp(replicas->v, p->replicas, (size_t)replicas->n * sizeof(int32_t)) == 0)
        return ERR_OK;
    return reason_set(why, ERR_INVALID_REPLICA_ASSIGNMENT,
                      "The bundled brokers keep one replica of each partition where it was made; %.*s-%d stays on "
                      "broker %d.",
                      SLICE_FMT(topic), (int)index, (int)p->replicas[0]);
}

void node_handle_alter_partition_reassignments(struct request *r)
{
    const struct alter_partition_reassignments_request *req = r->body;
    struct alter_partition_reassignments_response resp;

    alter_partition_reassignments_response_init(&resp);
    resp.error_message = SLICE_NULL;
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
            struct reason why = {0};
            a->partition_index = req->topics.v[t].partitions.v[i].partition_index;
            a->error_code =
                err_kafka(reassign(r->node, out->name, a->partition_index, &req->topics.v[t].partitions.v[i].replicas,
                                   req->allow_replication_factor_change, &why));
            a->error_message = why.code ? arena_copy(&r->arena, slice_str(why.text)) : SLICE_NULL;
        }
    }
    request_answer(r, &resp);
}

void node_handle_list_partition_reassignments(struct request *r)
{
    struct list_partition_reassignments_response resp;
    list_partition_reassignments_response_init(&resp);
    resp.error_message = SLICE_NULL;
    request_answer(r, &resp);
}
