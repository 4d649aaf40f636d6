/* SPDX-License-Identifier: Apache-2.0
 * Before the first transactional write of a producer to a partition its coordinator is asked whether that partition is
 * part of an open transaction of it (KIP-890). Without this a write that was delayed on its way and arrives after the
 * transaction's marker would begin a transaction here that nobody ever ends, and readers of committed data would stand
 * still before it. A marker that is written while the question is under way makes its answer worthless: then the client
 * has to try again.
 *
 * The coordinator also knows whose the producer id is. That a transaction is open here does not show that who writes
 * now has opened it: whoever knows producer id and epoch could put records into it under a transactional id of his own.
 * So it is asked too when this node has not heard yet that this transactional id has this producer id and epoch. */
#include "broker/node/coordinators_private.h"
#include "wire/add_partitions_to_txn.h"

#include <stdlib.h>

typedef struct add_partitions_to_txn_request_add_partitions_to_txn_topic asked_topic;

enum { VERIFIED_MAX = 10000 }; /* producers remembered; then all are forgotten, which costs a question each */

/* What a coordinator has confirmed. */
struct verified_producer {
    int16_t epoch;
    size_t id_n;
    uint8_t id[]; /* its transactional id */
};

struct verification {
    struct node *node;
    struct txn_claim *claims;
    size_t count;
    struct slice id;
    int64_t producer_id;
    int16_t epoch;
    void (*done)(void *user);
    void *user;
};

static struct slice verified_key(const int64_t *producer_id)
{
    return slice_of(producer_id, sizeof *producer_id);
}

static bool is_verified(const struct node *n, struct slice id, int64_t producer_id, int16_t epoch)
{
    const struct verified_producer *v = map_get(&n->verified, verified_key(&producer_id));
    return v && v->epoch == epoch && slice_eq(slice_of(v->id, v->id_n), id);
}

bool txn_owns_producer(const struct node *n, int64_t producer_id)
{
    return map_has(&n->verified, verified_key(&producer_id));
}

static void remember(struct node *n, struct slice id, int64_t producer_id, int16_t epoch)
{
    struct verified_producer *v = malloc(sizeof *v + id.n);
    void *old = NULL;

    if (!v) /* asked again next time */
        return;
    v->epoch = epoch;
    v->id_n = id.n;
    memcpy(v->id, id.p, id.n);
    if (map_count(&n->verified) >= VERIFIED_MAX) {
        map_free(&n->verified, free);
        map_init(&n->verified);
    }
    if (map_put(&n->verified, verified_key(&producer_id), v, &old))
        free(v);
    free(old);
}

/* The partition when the question must be asked. */
static struct partition *unknown_here(struct node *n, const struct txn_claim *c, const struct verification *v)
{
    struct partition *p = c->transactional ? node_partition_named(n, c->topic, c->index) : NULL;
    bool known = p && plog_txn_is_open(p->log, v->producer_id) && is_verified(n, v->id, v->producer_id, v->epoch);
    return p && p->leader && !known ? p : NULL;
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
        const struct partition *p = node_partition_named(v->node, claim->topic, claim->index);
        if (!claim->asked)
            continue;
        claim->err = err ? ERR_COORDINATOR_NOT_AVAILABLE : result_for(&resp, claim);
        if (claim->err)
            continue;
        if (!p || p->markers != claim->markers)
            claim->err = ERR_CONCURRENT_TRANSACTIONS;
        else
            remember(v->node, v->id, v->producer_id, v->epoch);
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

static void ask(struct verification *v, asked_topic *topics, int32_t n)
{
    struct add_partitions_to_txn_request_add_partitions_to_txn_transaction txn;
    struct add_partitions_to_txn_request req;
    int32_t coordinator = coordinator_of(v->node, v->id);

    add_partitions_to_txn_request_init(&req);
    add_partitions_to_txn_request_add_partitions_to_txn_transaction_init(&txn);
    req.transactions.v = &txn;
    req.transactions.n = 1;
    txn.transactional_id = v->id;
    txn.producer_id = v->producer_id;
    txn.producer_epoch = v->epoch;
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

    if (v)
        *v = (struct verification){n, claims, count, id, producer_id, producer_epoch, done, user};
    for (size_t i = 0; i < count; i++) {
        struct partition *p = v ? unknown_here(n, &claims[i], v) : NULL;
        claims[i].asked = p != NULL;
        claims[i].err = (v && topics) || !claims[i].transactional ? ERR_OK : ERR_COORDINATOR_NOT_AVAILABLE;
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
    ask(v, topics, asked);
}
