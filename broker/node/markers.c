/* SPDX-License-Identifier: Apache-2.0
 * Ending a transaction: a marker for each of its partitions, at each partition's leader. Markers for partitions led
 * here are appended directly, others go out as WriteTxnMarkers, one request per node. What fails is tried again until
 * it succeeds; a partition whose topic is gone needs no marker. The coordinator's prepared record is already in its
 * log, so a crash anywhere here resumes at the next load. */
#include "broker/node/coordinators_private.h"
#include "core/base/log.h"
#include "wire/end_txn.h"
#include "wire/write_txn_markers.h"

#include <stdlib.h>

enum { PARKED_TICKS_MAX = 1 };

struct parked_end {
    struct parked_end *next;
    struct request *request;
    char *id;
    int ticks;
};

struct marker_call {
    struct node *node; /* which outlives its coordinators */
    char *id;
    int64_t producer_id;
};

static enum err write_marker(struct node *n, struct slice topic, int32_t index, const struct plog_marker *m)
{
    struct partition *p;
    struct plog_appended appended;
    struct reason why = {0};
    enum err err = node_leading(n, topic, index, -1, &p);

    if (err)
        return err;
    err = plog_append_marker(p->log, m, p->leader_epoch, node_wall_ms(n), &appended, &why);
    if (err) {
        log_warn("marker of producer %lld for %s-%d: %s", (long long)m->producer_id, p->topic, (int)index,
                 why.code ? why.text : err_text(err));
        return err;
    }
    p->markers++;
    plog_set_high_watermark(p->log, plog_end_offset(p->log));
    partition_appended(p);
    if (strcmp(p->topic, OFFSETS_TOPIC) == 0 && n->coordinators)
        group_coordinator_txn_ended(n->coordinators->groups, index, m->producer_id, m->commit);
    return ERR_OK;
}

void node_handle_write_txn_markers(struct request *r)
{
    const struct write_txn_markers_request *req = r->body;
    struct write_txn_markers_response resp;

    write_txn_markers_response_init(&resp);
    write_txn_markers_response_writable_txn_marker_result_array_alloc(&resp.markers, req->markers.n, &r->arena);
    for (int32_t m = 0; m < resp.markers.n; m++) {
        const struct write_txn_markers_request_writable_txn_marker *in = &req->markers.v[m];
        struct write_txn_markers_response_writable_txn_marker_result *out = &resp.markers.v[m];
        struct plog_marker marker = {in->producer_id, in->producer_epoch, in->coordinator_epoch,
                                     in->transaction_result};
        out->producer_id = in->producer_id;
        write_txn_markers_response_writable_txn_marker_topic_result_array_alloc(&out->topics, in->topics.n, &r->arena);
        for (int32_t t = 0; t < out->topics.n; t++) {
            out->topics.v[t].name = in->topics.v[t].name;
            write_txn_markers_response_writable_txn_marker_partition_result_array_alloc(
                &out->topics.v[t].partitions, in->topics.v[t].partition_indexes.n, &r->arena);
            for (int32_t i = 0; i < out->topics.v[t].partitions.n; i++) {
                int32_t index = in->topics.v[t].partition_indexes.v[i];
                out->topics.v[t].partitions.v[i].partition_index = index;
                out->topics.v[t].partitions.v[i].error_code =
                    err_kafka(write_marker(r->node, in->topics.v[t].name, index, &marker));
            }
        }
    }
    request_answer(r, &resp);
}

/* ---- The coordinator's side ---- */

static struct txn *txn_of(struct coordinators *c, struct slice id, int64_t producer_id)
{
    const struct image_topic *t = image_topic(&c->node->image, slice_str(TXN_TOPIC));
    int32_t p = t ? coordinator_partition(id, t->partition_count) : -1;
    struct txn *x = p >= 0 && p < c->txns_count && c->txns[p] ? txn_find(c->txns[p], id) : NULL;
    return x && x->producer_id == producer_id ? x : NULL;
}

static void answer_end_txn(struct request *r)
{
    struct end_txn_response resp;

    end_txn_response_init(&resp);
    request_answer(r, &resp);
}

/* Take one parked request out of the list and answer it. */
static void answer_parked_at(struct parked_end **at)
{
    struct parked_end *p = *at;

    *at = p->next;
    answer_end_txn(p->request);
    free(p->id);
    free(p);
}

static void answer_parked(struct coordinators *c, const struct txn *x)
{
    struct parked_end **at = &c->parked_ends, *p;

    while ((p = *at)) {
        if (strcmp(p->id, x->id) != 0) {
            at = &p->next;
            continue;
        }
        answer_parked_at(at);
    }
}

static void complete(struct coordinators *c, struct txn *x, struct record_list *records)
{
    if (txn_coordinator_write(c, slice_str(x->id), records) == ERR_OK)
        answer_parked(c, x);
}

static void mark(struct coordinators *c, struct txn *x, struct slice topic, int32_t index)
{
    struct record_list records;
    record_list_init(&records);
    if (txn_marked(x, topic, index, node_wall_ms(c->node), &records))
        complete(c, x, &records);
    record_list_free(&records);
}

static void on_retry(void *arg)
{
    markers_resume(arg);
}

static void retry_soon(struct coordinators *c)
{
    if (c->retry.running)
        return;
    loop_timer_init(&c->retry, c->node->loop, on_retry, c);
    loop_timer_start(&c->retry, NODE_RETRY_MS);
}

static void take_results(struct coordinators *c, struct slice id, int64_t producer_id,
                         const struct write_txn_markers_response_writable_txn_marker_result *result)
{
    for (int32_t t = 0; t < result->topics.n; t++) {
        for (int32_t i = 0; i < result->topics.v[t].partitions.n; i++) {
            struct txn *x = txn_of(c, id, producer_id); /* again each time: the last marker may free it */
            if (x && result->topics.v[t].partitions.v[i].error_code == 0)
                mark(c, x, result->topics.v[t].name, result->topics.v[t].partitions.v[i].partition_index);
        }
    }
}

static void on_markers(void *user, enum err err, int16_t version, struct slice body)
{
    struct marker_call *call = user;
    struct coordinators *c = call->node->coordinators; /* NULL: stopping */
    struct slice id = slice_str(call->id);
    struct write_txn_markers_response resp;
    struct cursor cur = cursor_of(body);
    struct arena a;
    struct txn *x = c ? txn_of(c, id, call->producer_id) : NULL;

    arena_init(&a, 0);
    if (x)
        x->marker_calls--;
    if (x && !err && !write_txn_markers_response_decode(&resp, &cur, version, &a))
        for (int32_t m = 0; m < resp.markers.n; m++)
            take_results(c, id, call->producer_id, &resp.markers.v[m]);
    x = c ? txn_of(c, id, call->producer_id) : NULL;
    if (x && x->partition_count && (x->state == TXN_PREPARE_COMMIT || x->state == TXN_PREPARE_ABORT))
        retry_soon(c);
    arena_free(&a);
    free(call->id);
    free(call);
}

/* One request with every unmarked partition that `leader` leads. */
static void send_to(struct coordinators *c, struct txn *x, int32_t leader)
{
    struct write_txn_markers_request req;
    struct write_txn_markers_request_writable_txn_marker marker;
    struct marker_call *call = calloc(1, sizeof *call);
    struct arena a;
    int32_t n = 0;

    if (!call || !(call->id = strdup(x->id))) {
        free(call);
        return;
    }
    call->node = c->node;
    call->producer_id = x->producer_id;
    arena_init(&a, 0);
    write_txn_markers_request_init(&req);
    write_txn_markers_request_writable_txn_marker_init(&marker);
    req.markers.v = &marker;
    req.markers.n = 1;
    marker.producer_id = x->producer_id;
    marker.producer_epoch = x->epoch;
    marker.transaction_result = x->state == TXN_PREPARE_COMMIT;
    write_txn_markers_request_writable_txn_marker_topic_array_alloc(&marker.topics, x->partition_count, &a);
    for (int32_t i = 0; i < x->partition_count && marker.topics.v; i++) {
        const struct image_partition *ip =
            node_image_partition(c->node, slice_str(x->partitions[i].topic), x->partitions[i].index);
        if (x->partitions[i].marked || !ip || ip->leader != leader)
            continue;
        marker.topics.v[n].name = slice_str(x->partitions[i].topic);
        marker.topics.v[n].partition_indexes.v = &x->partitions[i].index;
        marker.topics.v[n++].partition_indexes.n = 1;
    }
    marker.topics.n = n;
    x->marker_calls++;
    node_call(c->node, leader, WIRE_WRITE_TXN_MARKERS, 1, &req, on_markers, call);
    arena_free(&a);
}

/* Marks what is led here or gone; true when the transaction is complete (and may be freed). */
static bool mark_local(struct coordinators *c, struct txn *x)
{
    struct plog_marker m = {x->producer_id, x->epoch, 0, x->state == TXN_PREPARE_COMMIT};
    struct record_list records;
    bool done;

    for (int32_t i = 0; i < x->partition_count; i++) {
        struct txn_partition *tp = &x->partitions[i];
        struct slice topic = slice_str(tp->topic);
        const struct image_partition *ip = node_image_partition(c->node, topic, tp->index);
        if (tp->marked)
            continue;
        if (!ip || (ip->leader == c->node->id && write_marker(c->node, topic, tp->index, &m) == ERR_OK))
            tp->marked = true;
    }
    record_list_init(&records);
    done = txn_complete_if_done(x, node_wall_ms(c->node), &records);
    if (done)
        complete(c, x, &records);
    record_list_free(&records);
    return done;
}

void markers_send(struct coordinators *c, struct txn *x)
{
    if (mark_local(c, x))
        return;
    for (int v = 0; v < c->node->voter_count; v++) {
        int32_t id = c->node->voters[v].id;
        bool any = false;
        for (int32_t i = 0; i < x->partition_count && !any; i++) {
            const struct image_partition *ip =
                node_image_partition(c->node, slice_str(x->partitions[i].topic), x->partitions[i].index);
            any = !x->partitions[i].marked && ip && ip->leader == id && id != c->node->id;
        }
        if (any)
            send_to(c, x, id);
    }
    if (x->marker_calls == 0)
        retry_soon(c);
}

void markers_resume(struct coordinators *c)
{
    for (int32_t p = 0; p < c->txns_count; p++) {
        uint64_t loads = c->loads;
        if (!c->txns[p])
            continue;
        for (struct map_entry *e = map_first(&c->txns[p]->by_id); e; e = map_next(&c->txns[p]->by_id, e)) {
            struct txn *x = e->value;
            if ((x->state == TXN_PREPARE_COMMIT || x->state == TXN_PREPARE_ABORT) && x->marker_calls == 0)
                markers_send(c, x);
            if (c->loads != loads)
                return; /* a write failed and the table was loaded anew; the next tick goes on */
        }
    }
}

void markers_park(struct coordinators *c, struct request *r, struct txn *x)
{
    struct parked_end *p = calloc(1, sizeof *p);

    if (p && (p->id = strdup(x->id))) {
        p->request = r;
        p->next = c->parked_ends;
        c->parked_ends = p;
        return;
    }
    free(p);
    answer_end_txn(r);
}

/* The outcome is decided once prepared: a slow marker must not hold the client up for long. */
void markers_parked_tick(struct coordinators *c, bool all)
{
    struct parked_end **at = &c->parked_ends, *p;

    while ((p = *at)) {
        if (!all && p->ticks++ < PARKED_TICKS_MAX) {
            at = &p->next;
            continue;
        }
        answer_parked_at(at);
    }
}
