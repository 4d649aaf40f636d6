/* SPDX-License-Identifier: Apache-2.0
 * What both coordinators share: which partition an id lives in, finding its leader, loading at leadership, appending.
 * Loading reads the local log at once, on the loop: with one replica it is small and there, so no request ever sees a
 * half-loaded coordinator. */
#include "broker/node/coordinators_private.h"
#include "broker/node/handlers.h"
#include "core/base/log.h"
#include "wire/find_coordinator.h"

#include <stdlib.h>

enum { REPLAY_BYTES = 1 << 20, KEY_GROUP = 0, KEY_TRANSACTION = 1, KEY_SHARE = 2 };

enum err coordinators_start(struct node *n, struct reason *why)
{
    struct coordinators *c = calloc(1, sizeof *c);
    (void)why;
    if (!c)
        return ERR_NO_MEMORY;
    n->coordinators = c;
    c->node = n;
    c->offsets_partitions = (int32_t)settings_int(n->settings, "offsets.topic.num.partitions");
    c->txn_partitions = (int32_t)settings_int(n->settings, "transaction.state.log.num.partitions");
    return group_coordinator_new(&c->groups, c);
}

void coordinators_stop(struct node *n)
{
    struct coordinators *c = n->coordinators;
    if (!c)
        return;
    n->coordinators = NULL;
    loop_timer_stop(&c->retry);
    markers_parked_tick(c, true);
    txn_coordinator_free(c);
    group_coordinator_free(c->groups);
    free(c);
}

void coordinators_tick(struct node *n)
{
    txn_coordinator_tick(n->coordinators);
    group_coordinator_tick(n->coordinators->groups);
}

void coordinators_topic_removed(struct node *n, struct slice topic)
{
    if (n->coordinators)
        group_coordinator_topic_deleted(n->coordinators->groups, topic);
}

int32_t coordinators_partitions(struct node *n, struct slice topic)
{
    return slice_eq_str(topic, OFFSETS_TOPIC) ? n->coordinators->offsets_partitions : n->coordinators->txn_partitions;
}

void coordinators_leadership(struct node *n, struct partition *p)
{
    struct coordinators *c = n->coordinators;

    if (!c)
        return;
    if (strcmp(p->topic, TXN_TOPIC) == 0) {
        if (p->leader)
            txn_coordinator_load(c, p);
        else
            txn_coordinator_unload(c, p->index);
    } else if (strcmp(p->topic, OFFSETS_TOPIC) == 0) {
        if (p->leader)
            group_coordinator_load(c->groups, p);
        else
            group_coordinator_unload(c->groups, p->index);
    }
}

static enum err replay_batches(struct slice bytes, enum err (*fn)(void *user, const struct coordinator_record *r),
                               void *user, struct buf *scratch, struct reason *why)
{
    struct record_batch batch;
    bool more = true;
    enum err err = ERR_OK;

    while (!err && !(err = record_batches_next(&bytes, &batch, &more, why)) && more) {
        struct record_iter it;
        struct coordinator_record r = {.batch = &batch};
        bool another = true;
        err = record_iter_open(&it, &batch, scratch, 0, why);
        while (!err && !(err = record_iter_next(&it, &r.record, &another, why)) && another)
            err = fn(user, &r);
    }
    return err;
}

enum err coordinator_replay(struct partition *p, enum err (*fn)(void *user, const struct coordinator_record *r),
                            void *user, struct reason *why)
{
    struct buf bytes, scratch;
    struct plog_region region;
    enum err err = ERR_OK;

    buf_init(&bytes, 0);
    buf_init(&scratch, 0);
    for (int64_t at = plog_start_offset(p->log); !err && at < plog_end_offset(p->log); at = region.next_offset) {
        buf_clear(&bytes);
        err = plog_fetch(p->log, at, REPLAY_BYTES, PLOG_READ_TO_END, true, &bytes, &region, why);
        if (!err)
            err = replay_batches(buf_slice(&bytes), fn, user, &scratch, why);
        if (!err && !region.bytes) /* what stood from here to the end offset was compacted away */
            break;
        if (!err && region.next_offset <= at)
            err = reason_set(why, ERR_CORRUPT_MESSAGE, "%s-%d does not read on", p->topic, (int)p->index);
    }
    buf_free(&bytes);
    buf_free(&scratch);
    return err;
}

enum err coordinator_append(struct partition *p, const struct record_list *records, int64_t producer_id,
                            int16_t producer_epoch, struct reason *why)
{
    struct plog_append_args args = {
        .origin = PLOG_FROM_COORDINATOR, .leader_epoch = p->leader_epoch, .now_ms = node_wall_ms(p->node)};
    struct record_batch_builder b;
    struct plog_appended appended;
    struct buf batch;
    enum err err = record_list_error(records);

    if (err || records->count == 0)
        return err;
    buf_init(&batch, 0);
    record_batch_builder_init(&b, WIRE_CODEC_NONE, 0);
    if (producer_id >= 0) {
        b.head.producer_id = producer_id;
        b.head.producer_epoch = producer_epoch;
        b.head.attributes |= RECORD_TRANSACTIONAL;
    }
    for (size_t i = 0; i < records->count; i++)
        record_batch_append(&b, args.now_ms, record_list_key(records, i), record_list_value(records, i), NULL, 0);
    err = record_batch_finish(&b, &batch);
    if (!err)
        err = plog_append(p->log, buf_slice(&batch), &args, &appended, why);
    if (!err) {
        plog_set_high_watermark(p->log, plog_end_offset(p->log));
        partition_appended(p);
    }
    record_batch_builder_free(&b);
    buf_free(&batch);
    return err;
}

/* ---- FindCoordinator ---- */

struct found {
    enum err err;
    const char *message;
    const struct image_broker *broker;
};

static struct found find(struct node *n, struct slice key, int8_t type)
{
    struct slice topic = slice_str(type == KEY_TRANSACTION ? TXN_TOPIC : OFFSETS_TOPIC);
    const struct image_topic *t = image_topic(&n->image, topic);
    int32_t leader;

    if (type != KEY_GROUP && type != KEY_TRANSACTION)
        return (struct found){ERR_INVALID_REQUEST, "this broker coordinates groups and transactions only", NULL};
    if (!t) {
        node_create_topic(n, topic, coordinators_partitions(n, topic), true);
        return (struct found){ERR_COORDINATOR_NOT_AVAILABLE, err_text(ERR_COORDINATOR_NOT_AVAILABLE), NULL};
    }
    leader = t->partitions[coordinator_partition(key, t->partition_count)].leader;
    if (leader < 0 || !image_broker_alive(&n->image, leader))
        return (struct found){ERR_COORDINATOR_NOT_AVAILABLE, err_text(ERR_COORDINATOR_NOT_AVAILABLE), NULL};
    return (struct found){ERR_OK, NULL, image_broker(&n->image, leader)};
}

void node_handle_find_coordinator(struct request *r)
{
    const struct find_coordinator_request *req = r->body;
    struct find_coordinator_response resp;

    find_coordinator_response_init(&resp);
    if (r->version < 4) {
        struct found f = find(r->node, req->key, req->key_type);
        resp.error_code = err_kafka(f.err);
        resp.error_message = slice_str(f.err ? f.message : "NONE"); /* as Kafka writes it */
        resp.node_id = f.broker ? f.broker->id : -1;
        resp.host = slice_str(f.broker ? f.broker->host : "");
        resp.port = f.broker ? f.broker->port : -1;
        request_answer(r, &resp);
        return;
    }
    find_coordinator_response_coordinator_array_alloc(&resp.coordinators, req->coordinator_keys.n, &r->arena);
    for (int32_t i = 0; i < resp.coordinators.n; i++) {
        struct found f = find(r->node, req->coordinator_keys.v[i], req->key_type);
        struct find_coordinator_response_coordinator *a = &resp.coordinators.v[i];
        a->key = req->coordinator_keys.v[i];
        a->error_code = err_kafka(f.err);
        a->error_message = slice_str(f.err ? f.message : "");
        a->node_id = f.broker ? f.broker->id : -1;
        a->host = slice_str(f.broker ? f.broker->host : "");
        a->port = f.broker ? f.broker->port : -1;
    }
    request_answer(r, &resp);
}
