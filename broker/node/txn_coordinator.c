/* SPDX-License-Identifier: Apache-2.0
 * The transaction coordinator at its edge: requests in, records to `__transaction_state`, markers out. Decisions are
 * broker/core/txn.h's. A step counts only once its record is in the log; when that fails the partition's table is
 * thrown away and loaded again, so memory never runs ahead of the log. */
#include "broker/node/coordinators_private.h"
#include "broker/node/handlers.h"
#include "core/base/log.h"
#include "wire/add_offsets_to_txn.h"
#include "wire/add_partitions_to_txn.h"
#include "wire/describe_producers.h"
#include "wire/describe_transactions.h"
#include "wire/end_txn.h"
#include "wire/init_producer_id.h"
#include "wire/list_transactions.h"

#include <stdlib.h>

static enum err replay_record(void *user, const struct coordinator_record *r)
{
    enum err err = record_batch_is_control(r->batch) ? ERR_OK : txn_table_apply(user, r->record.key, r->record.value);
    if (err == ERR_CORRUPT_MESSAGE) {
        log_warn("skipping a record of " TXN_TOPIC " that does not parse, at offset %lld", (long long)r->record.offset);
        return ERR_OK;
    }
    return err;
}

void txn_coordinator_unload(struct coordinators *c, int32_t partition)
{
    if (partition >= c->txns_count || !c->txns[partition])
        return;
    txn_table_free(c->txns[partition]);
    free(c->txns[partition]);
    c->txns[partition] = NULL;
}

void txn_coordinator_load(struct coordinators *c, struct partition *p)
{
    struct reason why = {0};
    struct txn_table *t = calloc(1, sizeof *t);
    enum err err = t ? ERR_OK : ERR_NO_MEMORY;

    c->loads++;
    txn_coordinator_unload(c, p->index);
    if (p->index >= c->txns_count) {
        struct txn_table **grown = realloc(c->txns, (size_t)(p->index + 1) * sizeof *grown);
        if (!grown) {
            free(t);
            return;
        }
        for (int32_t i = c->txns_count; i <= p->index; i++)
            grown[i] = NULL;
        c->txns = grown;
        c->txns_count = p->index + 1;
    }
    if (!err) {
        txn_table_init(t, (int32_t)settings_int(c->node->settings, "transaction.max.timeout.ms"));
        err = coordinator_replay(p, replay_record, t, &why);
    }
    if (err) {
        log_error("transactions of " TXN_TOPIC "-%d cannot be loaded: %s", (int)p->index,
                  why.code ? why.text : err_text(err));
        if (t)
            txn_table_free(t);
        free(t);
        return;
    }
    c->txns[p->index] = t;
}

void txn_coordinator_free(struct coordinators *c)
{
    for (int32_t i = 0; i < c->txns_count; i++)
        txn_coordinator_unload(c, i);
    free(c->txns);
    c->txns = NULL;
    c->txns_count = 0;
}

/* The table an id lives in, when this node leads its partition. */
static enum err table_of(struct coordinators *c, struct slice id, struct txn_table **out, int32_t *partition)
{
    const struct image_topic *t = image_topic(&c->node->image, slice_str(TXN_TOPIC));

    *out = NULL;
    if (slice_has_nul(id)) /* ids are kept as C strings */
        return ERR_INVALID_REQUEST;
    if (!t)
        return ERR_COORDINATOR_NOT_AVAILABLE;
    *partition = coordinator_partition(id, t->partition_count);
    if (*partition >= c->txns_count || !c->txns[*partition])
        return ERR_NOT_COORDINATOR;
    *out = c->txns[*partition];
    return ERR_OK;
}

enum err txn_coordinator_write(struct coordinators *c, struct slice id, struct record_list *records)
{
    struct txn_table *t;
    struct partition *p;
    struct reason why = {0};
    int32_t index;
    enum err err = table_of(c, id, &t, &index);

    if (err)
        return err;
    p = node_partition_named(c->node, slice_str(TXN_TOPIC), index);
    err = p ? coordinator_append(p, records, -1, -1, &why) : ERR_NOT_COORDINATOR;
    if (!err)
        return ERR_OK;
    log_error("cannot write " TXN_TOPIC "-%d: %s", (int)index, why.code ? why.text : err_text(err));
    if (p)
        txn_coordinator_load(c, p);
    return ERR_COORDINATOR_NOT_AVAILABLE;
}

void txn_coordinator_tick(struct coordinators *c)
{
    int64_t now = node_wall_ms(c->node), keep = settings_int(c->node->settings, "transactional.id.expiration.ms");

    markers_parked_tick(c, false);
    for (int32_t i = 0; i < c->txns_count; i++) {
        struct partition *p = node_partition_named(c->node, slice_str(TXN_TOPIC), i);
        struct record_list records;
        struct reason why = {0};
        struct txn *x;

        if (!c->txns[i] || !p)
            continue;
        record_list_init(&records);
        while ((x = txn_expire_one(c->txns[i], now, &records))) {
            log_info("transaction of %s ran out of time and is aborted", x->id);
            if (txn_coordinator_write(c, slice_str(x->id), &records))
                break;
            record_list_clear(&records);
            markers_send(c, x);
        }
        record_list_clear(&records);
        if (c->txns[i]) {
            txn_forget_unused(c->txns[i], now, keep, &records);
            if (coordinator_append(p, &records, -1, -1, &why))
                txn_coordinator_load(c, p);
        }
        record_list_free(&records);
    }
    markers_resume(c);
}

/* ---- InitProducerId ---- */

static void answer_init(struct request *r, enum err err, int64_t producer_id, int16_t epoch)
{
    struct init_producer_id_response resp;

    init_producer_id_response_init(&resp);
    /* older clients know the fence only as INVALID_PRODUCER_EPOCH (KIP-588) */
    if (err == ERR_PRODUCER_FENCED && r->version < 4)
        err = ERR_INVALID_PRODUCER_EPOCH;
    resp.error_code = err_kafka(err);
    resp.producer_id = err ? -1 : producer_id;
    resp.producer_epoch = err ? -1 : epoch;
    request_answer(r, &resp);
}

static void init_transactional(struct request *r, int64_t fresh);

static void on_fresh_id(void *user, int64_t id)
{
    struct request *r = user;
    const struct init_producer_id_request *req = r->body;

    if (id < 0)
        answer_init(r, ERR_COORDINATOR_LOAD_IN_PROGRESS, -1, -1); /* retriable everywhere */
    else if (slice_is_null(req->transactional_id))
        answer_init(r, ERR_OK, id, 0);
    else
        init_transactional(r, id);
}

static void init_transactional(struct request *r, int64_t fresh)
{
    const struct init_producer_id_request *req = r->body;
    struct coordinators *c = r->node->coordinators;
    struct txn_init_result result = {.producer_id = -1, .epoch = -1};
    struct record_list records;
    struct txn_table *t;
    int32_t index;
    enum err err = c ? table_of(c, req->transactional_id, &t, &index) : ERR_COORDINATOR_NOT_AVAILABLE, written;

    if (err) {
        answer_init(r, err, -1, -1);
        return;
    }
    record_list_init(&records);
    err = txn_init(t, req->transactional_id, req->transaction_timeout_ms, req->producer_id, req->producer_epoch, fresh,
                   node_wall_ms(r->node), &records, &result);
    written = records.count ? txn_coordinator_write(c, req->transactional_id, &records) : ERR_OK;
    record_list_free(&records);
    if (err == ERR_UNAVAILABLE && fresh < 0) {
        producer_id_get(r->node, on_fresh_id, r);
        return;
    }
    if (result.to_end && !written)
        markers_send(c, result.to_end);
    answer_init(r, written ? written : err, result.producer_id, result.epoch);
}

void node_handle_init_producer_id(struct request *r)
{
    const struct init_producer_id_request *req = r->body;

    if ((req->producer_id < 0) != (req->producer_epoch < 0))
        answer_init(r, ERR_INVALID_REQUEST, -1, -1);
    else if (slice_is_null(req->transactional_id))
        producer_id_get(r->node, on_fresh_id, r);
    else
        init_transactional(r, -1);
}

/* ---- Adding partitions ---- */

typedef struct add_partitions_to_txn_request_add_partitions_to_txn_topic_array request_topics;
typedef struct add_partitions_to_txn_response_add_partitions_to_txn_topic_result_array result_topics;

static enum err for_version(const struct request *r, enum err err, int16_t fenced_since)
{
    return err == ERR_PRODUCER_FENCED && r->version < fenced_since ? ERR_INVALID_PRODUCER_EPOCH : err;
}

/* Clients may not write to Kafka's own topics in a transaction, but by committing offsets (brokers ask with version 4
 * and later). */
static enum err check_partition(const struct request *r, struct slice topic, int32_t index)
{
    if (r->version < 4 && topic_is_internal(topic))
        return ERR_TOPIC_AUTHORIZATION_FAILED;
    return node_image_partition(r->node, topic, index) ? ERR_OK : ERR_UNKNOWN_TOPIC_OR_PARTITION;
}

static enum err check_partitions(const struct request *r, const request_topics *topics)
{
    for (int32_t t = 0; t < topics->n; t++)
        for (int32_t i = 0; i < topics->v[t].partitions.n; i++)
            if (check_partition(r, topics->v[t].name, topics->v[t].partitions.v[i]))
                return ERR_OPERATION_NOT_ATTEMPTED;
    return ERR_OK;
}

static enum err add_all(struct coordinators *c, struct txn *x, struct slice id, const request_topics *topics)
{
    struct record_list records;
    bool missing = false;
    enum err err = ERR_OK;

    for (int32_t t = 0; t < topics->n; t++)
        for (int32_t i = 0; i < topics->v[t].partitions.n; i++)
            missing = missing || !txn_has(x, topics->v[t].name, topics->v[t].partitions.v[i]);
    if (!missing && x->state == TXN_ONGOING)
        return ERR_OK;
    for (int32_t t = 0; t < topics->n && !err; t++)
        for (int32_t i = 0; i < topics->v[t].partitions.n && !err; i++)
            err = txn_add(x, topics->v[t].name, topics->v[t].partitions.v[i]);
    if (err)
        return err;
    record_list_init(&records);
    txn_added(x, node_wall_ms(c->node), &records);
    err = txn_coordinator_write(c, id, &records);
    record_list_free(&records);
    return err;
}

static enum err add_to_txn(struct request *r, struct slice id, int64_t producer_id, int16_t epoch, bool verify_only,
                           const request_topics *topics, result_topics *out)
{
    struct coordinators *c = r->node->coordinators;
    struct txn_table *t;
    struct txn *x = NULL;
    int32_t index;
    enum err err = id.n ? check_partitions(r, topics) : ERR_INVALID_REQUEST;

    if (!err)
        err = table_of(c, id, &t, &index);
    if (!err)
        err = txn_check(t, id, producer_id, epoch, &x);
    if (!err && !verify_only)
        err = add_all(c, x, id, topics);
    add_partitions_to_txn_response_add_partitions_to_txn_topic_result_array_alloc(out, topics->n, &r->arena);
    for (int32_t k = 0; k < out->n; k++) {
        const struct wire_int32_array *in = &topics->v[k].partitions;
        out->v[k].name = topics->v[k].name;
        add_partitions_to_txn_response_add_partitions_to_txn_partition_result_array_alloc(
            &out->v[k].results_by_partition, in->n, &r->arena);
        for (int32_t i = 0; i < out->v[k].results_by_partition.n; i++) {
            enum err one = err;
            if (err == ERR_OPERATION_NOT_ATTEMPTED && check_partition(r, topics->v[k].name, in->v[i]))
                one = check_partition(r, topics->v[k].name, in->v[i]);
            if (!err && verify_only && !txn_has(x, topics->v[k].name, in->v[i]))
                one = ERR_TRANSACTION_ABORTABLE;
            out->v[k].results_by_partition.v[i].partition_index = in->v[i];
            out->v[k].results_by_partition.v[i].partition_error_code = err_kafka(for_version(r, one, 2));
        }
    }
    return err;
}

void node_handle_add_partitions_to_txn(struct request *r)
{
    const struct add_partitions_to_txn_request *req = r->body;
    struct add_partitions_to_txn_response resp;

    add_partitions_to_txn_response_init(&resp);
    if (r->version < 4) {
        add_to_txn(r, req->v3_and_below_transactional_id, req->v3_and_below_producer_id,
                   req->v3_and_below_producer_epoch, false, &req->v3_and_below_topics,
                   &resp.results_by_topic_v3_and_below);
        request_answer(r, &resp);
        return;
    }
    add_partitions_to_txn_response_add_partitions_to_txn_result_array_alloc(&resp.results_by_transaction,
                                                                            req->transactions.n, &r->arena);
    for (int32_t i = 0; i < resp.results_by_transaction.n; i++) {
        const struct add_partitions_to_txn_request_add_partitions_to_txn_transaction *in = &req->transactions.v[i];
        resp.results_by_transaction.v[i].transactional_id = in->transactional_id;
        add_to_txn(r, in->transactional_id, in->producer_id, in->producer_epoch, in->verify_only, &in->topics,
                   &resp.results_by_transaction.v[i].topic_results);
    }
    request_answer(r, &resp);
}

void node_handle_add_offsets_to_txn(struct request *r)
{
    const struct add_offsets_to_txn_request *req = r->body;
    struct coordinators *c = r->node->coordinators;
    const struct image_topic *offsets = image_topic(&r->node->image, slice_str(OFFSETS_TOPIC));
    struct add_partitions_to_txn_request_add_partitions_to_txn_topic topic;
    struct add_offsets_to_txn_response resp;
    request_topics topics = {&topic, 1};
    struct txn_table *t;
    struct txn *x;
    int32_t index;
    enum err err = table_of(c, req->transactional_id, &t, &index);

    if (!err && !offsets)
        err = ERR_COORDINATOR_NOT_AVAILABLE;
    if (!err)
        err = txn_check(t, req->transactional_id, req->producer_id, req->producer_epoch, &x);
    if (!err) {
        add_partitions_to_txn_request_add_partitions_to_txn_topic_init(&topic);
        index = coordinator_partition(req->group_id, offsets->partition_count);
        topic.name = slice_str(OFFSETS_TOPIC);
        topic.partitions = (struct wire_int32_array){&index, 1};
        err = add_all(c, x, req->transactional_id, &topics);
    }
    add_offsets_to_txn_response_init(&resp);
    resp.error_code = err_kafka(for_version(r, err, 2));
    request_answer(r, &resp);
}

/* ---- EndTxn ---- */

void node_handle_end_txn(struct request *r)
{
    const struct end_txn_request *req = r->body;
    struct coordinators *c = r->node->coordinators;
    struct end_txn_response resp;
    struct record_list records;
    struct txn_table *t;
    struct txn *to_end = NULL;
    int32_t index;
    enum err err = table_of(c, req->transactional_id, &t, &index);

    record_list_init(&records);
    if (!err)
        err = txn_end(t, req->transactional_id, req->producer_id, req->producer_epoch, req->committed,
                      node_wall_ms(r->node), &records, &to_end);
    if (to_end)
        err = txn_coordinator_write(c, req->transactional_id, &records);
    record_list_free(&records);
    if (!err && to_end) {
        markers_park(c, r, to_end);
        markers_send(c, to_end);
        return;
    }
    end_txn_response_init(&resp);
    resp.error_code = err_kafka(for_version(r, err, 2));
    request_answer(r, &resp);
}

/* ---- Looking at transactions ---- */

static void describe_txn(struct request *r, const struct txn *x,
                         struct describe_transactions_response_transaction_state *out)
{
    int32_t topics = 0;

    out->transaction_state = slice_str(txn_state_name(x->state));
    out->transaction_timeout_ms = x->timeout_ms;
    out->transaction_start_time_ms = x->started_ms;
    out->producer_id = x->producer_id;
    out->producer_epoch = x->epoch;
    describe_transactions_response_topic_data_array_alloc(&out->topics, x->partition_count, &r->arena);
    for (int32_t i = 0; i < x->partition_count && out->topics.v; i++) {
        struct describe_transactions_response_topic_data *d = NULL;
        for (int32_t k = 0; k < topics && !d; k++)
            if (slice_eq_str(out->topics.v[k].topic, x->partitions[i].topic))
                d = &out->topics.v[k];
        if (!d) {
            d = &out->topics.v[topics++];
            d->topic = slice_str(x->partitions[i].topic);
            d->partitions.v = arena_array(&r->arena, (size_t)x->partition_count, sizeof(int32_t));
        }
        if (d->partitions.v)
            d->partitions.v[d->partitions.n++] = x->partitions[i].index;
    }
    out->topics.n = topics;
}

void node_handle_describe_transactions(struct request *r)
{
    const struct describe_transactions_request *req = r->body;
    struct describe_transactions_response resp;

    describe_transactions_response_init(&resp);
    describe_transactions_response_transaction_state_array_alloc(&resp.transaction_states, req->transactional_ids.n,
                                                                 &r->arena);
    for (int32_t i = 0; i < resp.transaction_states.n; i++) {
        struct txn_table *t;
        int32_t index;
        enum err err = req->transactional_ids.v[i].n
                           ? table_of(r->node->coordinators, req->transactional_ids.v[i], &t, &index)
                           : ERR_INVALID_REQUEST;
        const struct txn *x = err ? NULL : txn_find(t, req->transactional_ids.v[i]);

        resp.transaction_states.v[i].transactional_id = req->transactional_ids.v[i];
        if (x)
            describe_txn(r, x, &resp.transaction_states.v[i]);
        else
            resp.transaction_states.v[i].error_code = err_kafka(err ? err : ERR_TRANSACTIONAL_ID_NOT_FOUND);
    }
    request_answer(r, &resp);
}

static bool listed(const struct list_transactions_request *req, const struct txn *x, int64_t now_ms)
{
    bool state = req->state_filters.n == 0, producer = req->producer_id_filters.n == 0;

    for (int32_t i = 0; i < req->state_filters.n; i++)
        state = state || slice_eq_str(req->state_filters.v[i], txn_state_name(x->state));
    for (int32_t i = 0; i < req->producer_id_filters.n; i++)
        producer = producer || req->producer_id_filters.v[i] == x->producer_id;
    return state && producer && x->state != TXN_DEAD &&
           (req->duration_filter < 0 || (x->started_ms >= 0 && now_ms - x->started_ms > req->duration_filter));
}

void node_handle_list_transactions(struct request *r)
{
    const struct list_transactions_request *req = r->body;
    struct coordinators *c = r->node->coordinators;
    struct list_transactions_response resp;
    int64_t now = node_wall_ms(r->node);
    size_t total = 0;
    int32_t n = 0;

    list_transactions_response_init(&resp);
    for (int32_t i = 0; i < c->txns_count; i++)
        total += c->txns[i] ? map_count(&c->txns[i]->by_id) : 0;
    list_transactions_response_transaction_state_array_alloc(&resp.transaction_states, (int32_t)total, &r->arena);
    for (int32_t i = 0; i < c->txns_count && resp.transaction_states.v; i++) {
        for (const struct map_entry *e = c->txns[i] ? map_first(&c->txns[i]->by_id) : NULL; e;
             e = map_next(&c->txns[i]->by_id, e)) {
            const struct txn *x = e->value;
            if (!listed(req, x, now))
                continue;
            resp.transaction_states.v[n].transactional_id = slice_str(x->id);
            resp.transaction_states.v[n].producer_id = x->producer_id;
            resp.transaction_states.v[n++].transaction_state = slice_str(txn_state_name(x->state));
        }
    }
    resp.transaction_states.n = n;
    resp.unknown_state_filters.v = arena_array(&r->arena, (size_t)req->state_filters.n, sizeof(struct slice));
    for (int32_t i = 0; i < req->state_filters.n && resp.unknown_state_filters.v; i++) {
        enum txn_state s;
        if (!txn_state_parse(req->state_filters.v[i], &s))
            resp.unknown_state_filters.v[resp.unknown_state_filters.n++] = req->state_filters.v[i];
    }
    request_answer(r, &resp);
}

void node_handle_describe_producers(struct request *r)
{
    const struct describe_producers_request *req = r->body;
    struct describe_producers_response resp;

    describe_producers_response_init(&resp);
    describe_producers_response_topic_response_array_alloc(&resp.topics, req->topics.n, &r->arena);
    for (int32_t t = 0; t < resp.topics.n; t++) {
        struct describe_producers_response_topic_response *out = &resp.topics.v[t];
        out->name = req->topics.v[t].name;
        describe_producers_response_partition_response_array_alloc(&out->partitions,
                                                                   req->topics.v[t].partition_indexes.n, &r->arena);
        for (int32_t i = 0; i < out->partitions.n; i++) {
            struct describe_producers_response_partition_response *a = &out->partitions.v[i];
            struct partition *p;
            struct plog_producer producer;
            int32_t n = 0;

            a->partition_index = req->topics.v[t].partition_indexes.v[i];
            a->error_code = err_kafka(node_leading(r->node, out->name, a->partition_index, -1, &p));
            if (a->error_code)
                a->error_message = slice_str(err_text((enum err)a->error_code));
            for (size_t at = 0; p && plog_producer_at(p->log, &at, &producer);)
                n++;
            describe_producers_response_producer_state_array_alloc(&a->active_producers, n, &r->arena);
            n = 0;
            for (size_t at = 0; p && n < a->active_producers.n && plog_producer_at(p->log, &at, &producer); n++) {
                a->active_producers.v[n].producer_id = producer.producer_id;
                a->active_producers.v[n].producer_epoch = producer.producer_epoch;
                a->active_producers.v[n].last_sequence = producer.last_sequence;
                a->active_producers.v[n].last_timestamp = producer.last_timestamp;
                a->active_producers.v[n].coordinator_epoch = producer.coordinator_epoch;
                a->active_producers.v[n].current_txn_start_offset = producer.txn_start_offset;
            }
        }
    }
    request_answer(r, &resp);
}
