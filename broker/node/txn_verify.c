/* SPDX-License-Identifier: Apache-2.0
 * Before the first transactional write of a producer to a partition its coordinator is asked whether that partition is
 * part of an open transaction of it (KIP-890). Without this a write that was delayed on its way and arrives after the
 * transaction's marker would begin a transaction here that nobody ever ends, and readers of committed data would stand
 * still before it. A marker that is written while the question is under way makes its answer worthless: then the client
 * has to try again. */
#include "broker/node/coordinators_private.h"
#include "wire/add_partitions_to_txn.h"

typedef struct add_partitions_to_txn_request_add_partitions_to_txn_topic asked_topic;

struct verification {
    struct node *node;
    struct txn_claim *claims;
    size_t count;
    int64_t producer_id;
    void (*done)(void *user);
    void *user;
};

/* The partition when the question must be asked. */
static struct partition *unknown_here(struct node *n, const struct txn_claim *c, int64_t producer_id)
{
    struct partition *p = node_partition_named(n, c->topic, c->index);
    return p && p->leader && !plog_txn_is_open(p->log, producer_id) ? p : NULL;
}

static enum err result_for(const struct add_partitions_to_txn_response *resp, const struct txn_claim *c)
{
    if (resp->error_code)
        return (enum err)resp->error_code;
    for (int32_t x = 0; x < resp->results_by_transaction.n; x++) {
        const struct add_partitions_to_txn_response_add_partitions_to_txn_topic_result_array *topics =
            &resp->results_by_transaction.v[x].topic_results;
        for (int32_t t = 0; t < topics->n; t++)
            for (int32_t i = 0; slice_eq(topics->v[t].name, c->topic) && i < topics->v[t].results_by_partition.n; i++)
                if (topics->v[t].results_by_partition.v[i].partition_index == c->index)
                    return (enum err)topics->v[t].results_by_partition.v[i].partition_error_code;
    }
    return ERR_COORDINATOR_NOT_AVAILABLE;
}

static void on_answer(void *user, enum err err, int16_t version, struct slice body)
{
    struct verification *v = user;
    struct add_partitions_to_txn_response resp;
    struct cursor c = cursor_of(body);
    struct arena a;

    arena_init(&a, 0);
    if (!err)
        err = add_partitions_to_txn_response_decode(&resp, &c, version, &a);
    for (size_t i = 0; i < v->count; i++) {
        struct txn_claim *claim = &v->claims[i];
        const struct partition *p = unknown_here(v->node, claim, v->producer_id);
        if (!claim->asked)
            continue;
        claim->err = err ? ERR_COORDINATOR_NOT_AVAILABLE : result_for(&resp, claim);
        if (!claim->err && p && p->markers != claim->markers)
            claim->err = ERR_CONCURRENT_TRANSACTIONS;
    }
    arena_free(&a);
    v->done(v->user);
}

static int32_t coordinator_of(struct node *n, struct slice id)
{
    const struct image_topic *t = image_topic(&n->image, slice_str(TXN_TOPIC));
    int32_t leader = t ? t->partitions[coordinator_partition(id, t->partition_count)].leader : -1;
    return leader >= 0 && image_broker_alive(&n->image, leader) ? leader : -1;
}

static void ask(struct verification *v, struct slice id, int16_t producer_epoch, asked_topic *topics, int32_t n)
{
    struct add_partitions_to_txn_request_add_partitions_to_txn_transaction txn;
    struct add_partitions_to_txn_request req;
    int32_t coordinator = coordinator_of(v->node, id);

    add_partitions_to_txn_request_init(&req);
    add_partitions_to_txn_request_add_partitions_to_txn_transaction_init(&txn);
    req.transactions.v = &txn;
    req.transactions.n = 1;
    txn.transactional_id = id;
    txn.producer_id = v->producer_id;
    txn.producer_epoch = producer_epoch;
    txn.verify_only = true;
    txn.topics.v = topics;
    txn.topics.n = n;
    if (coordinator < 0)
        on_answer(v, ERR_COORDINATOR_NOT_AVAILABLE, -1, SLICE_NULL);
    else
        node_call(v->node, coordinator, WIRE_ADD_PARTITIONS_TO_TXN, 4, &req, on_answer, v);
}

void txn_verify(struct node *n, struct slice id, int64_t producer_id, int16_t producer_epoch, struct txn_claim *claims,
                size_t count, struct arena *a, void (*done)(void *user), void *user)
{
    struct verification *v = arena_alloc(a, sizeof *v);
    asked_topic *topics = arena_array(a, count + 1, sizeof *topics);
    int32_t asked = 0;

    for (size_t i = 0; i < count; i++) {
        struct partition *p = unknown_here(n, &claims[i], producer_id);
        claims[i].asked = p != NULL;
        claims[i].err = v && topics ? ERR_OK : ERR_COORDINATOR_NOT_AVAILABLE;
        if (!p || claims[i].err)
            continue;
        claims[i].markers = p->markers;
        add_partitions_to_txn_request_add_partitions_to_txn_topic_init(&topics[asked]);
        topics[asked].name = claims[i].topic;
        topics[asked].partitions = (struct wire_int32_array){&claims[i].index, 1};
        asked++;
    }
    if (asked == 0) {
        done(user);
        return;
    }
    *v = (struct verification){n, claims, count, producer_id, done, user};
    ask(v, id, producer_epoch, topics, asked);
}
