/* SPDX-License-Identifier: Apache-2.0
 * The metadata log at work. The controller appends what it decided to `__cluster_metadata`, applies it and answers; the
 * other nodes fetch that log, append and apply the same records; every node then makes its local partitions what the
 * image says. With one controller a record counts as committed once it is in its log; the quorum that will decide that
 * later changes node_commit() and the fetch, nothing else. */
#include "broker/core/topic_config.h"
#include "broker/node/coordinators.h"
#include "broker/node/node.h"
#include "core/base/log.h"
#include "core/wire/record_batch.h"
#include "wire/broker_heartbeat.h"
#include "wire/broker_registration.h"
#include "wire/fetch.h"
#include "wire/keys.h"
#include "wire/metadata_records.h"

#include <stdlib.h>

/* Kafka's fixed id of the metadata topic: 00000000-0000-0000-0000-000000000001 */
static const struct wire_uuid METADATA_TOPIC_ID = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
enum { METADATA_FETCH_VERSION = 12 };

/* The name of the topic this record removes, copied; NULL when it removes none. */
static char *removed_topic(struct node *n, struct slice record)
{
    struct cursor c = cursor_of(record);
    struct remove_topic_record r;
    const struct image_topic *t = NULL;
    struct arena a;
    char *name;
    int16_t type, version;

    if (wire_metadata_get_frame(&c, &type, &version) || type != WIRE_REMOVE_TOPIC_RECORD)
        return NULL;
    arena_init(&a, 0);
    if (!remove_topic_record_decode(&r, &c, version, &a))
        t = image_topic_by_id(&n->image, &r.topic_id);
    name = t ? strdup(t->name) : NULL;
    arena_free(&a);
    return name;
}

static enum err apply_record(struct node *n, struct slice record, int64_t offset, struct reason *why)
{
    char *removed = removed_topic(n, record);
    enum err err = image_apply(&n->image, record, offset, why);

    if (!err && removed)
        coordinators_topic_removed(n, slice_str(removed));
    free(removed);
    return err;
}

static enum err apply_batches(struct node *n, struct slice batches, struct reason *why)
{
    struct record_batch batch;
    struct buf scratch;
    enum err err = ERR_OK;
    bool more = true;

    buf_init(&scratch, 0);
    while (!err && !(err = record_batches_next(&batches, &batch, &more, why)) && more) {
        struct record_iter it;
        struct record r;
        bool another = true;
        if (record_batch_is_control(&batch))
            continue;
        err = record_iter_open(&it, &batch, &scratch, 0, why);
        while (!err && !(err = record_iter_next(&it, &r, &another, why)) && another)
            if (r.offset > n->image.applied)
                err = apply_record(n, r.value, r.offset, why);
    }
    buf_free(&scratch);
    return err;
}

enum err node_metadata_start(struct node *n, struct reason *why)
{
    struct slice topic = slice_str(METADATA_TOPIC);
    struct plog_config config;
    enum err err = ERR_OK;

    plog_config_init(&config);
    config.retention_ms = -1;
    config.max_message_bytes = 8 << 20;
    n->metadata = (struct partition){.node = n,
                                     .topic = (char *)METADATA_TOPIC,
                                     .topic_id = METADATA_TOPIC_ID,
                                     .leader = n->id == n->controller_id,
                                     .leader_epoch = 1};
    n->metadata.log = log_dir_find(n->dir, topic, 0);
    if (!n->metadata.log)
        err = log_dir_create(n->dir, topic, 0, METADATA_TOPIC_ID.b, &config, node_wall_ms(n), &n->metadata.log, why);
    else
        plog_set_config(n->metadata.log, &config);
    if (err)
        return err;
    plog_set_high_watermark(n->metadata.log, plog_end_offset(n->metadata.log));
    for (int64_t at = plog_start_offset(n->metadata.log); !err && at < plog_end_offset(n->metadata.log);) {
        struct plog_region region;
        struct buf bytes;
        buf_init(&bytes, 0);
        err = plog_fetch(n->metadata.log, at, NODE_METADATA_FETCH_BYTES, PLOG_READ_TO_END, true, &bytes, &region, why);
        if (!err)
            err = apply_batches(n, buf_slice(&bytes), why);
        buf_free(&bytes);
        if (!err && region.next_offset <= at)
            err = reason_set(why, ERR_CORRUPT_MESSAGE, "the metadata log ends before its end offset");
        at = region.next_offset;
    }
    return err;
}

enum err node_commit(struct node *n, struct record_list *records, struct reason *why)
{
    struct record_batch_builder b;
    struct plog_append_args args = {.origin = PLOG_FROM_QUORUM, .leader_epoch = 1, .now_ms = node_wall_ms(n)};
    struct plog_appended appended;
    struct buf batch;
    enum err err = record_list_error(records);

    if (err || records->count == 0)
        return err;
    buf_init(&batch, 0);
    record_batch_builder_init(&b, WIRE_CODEC_NONE, 0);
    for (size_t i = 0; i < records->count; i++)
        record_batch_append(&b, args.now_ms, record_list_key(records, i), record_list_value(records, i), NULL, 0);
    err = record_batch_finish(&b, &batch);
    if (!err)
        err = plog_append(n->metadata.log, buf_slice(&batch), &args, &appended, why);
    for (size_t i = 0; !err && i < records->count; i++)
        err = apply_record(n, record_list_value(records, i), appended.first_offset + (int64_t)i, why);
    if (!err) {
        plog_set_high_watermark(n->metadata.log, plog_end_offset(n->metadata.log));
        partition_appended(&n->metadata);
        node_reconcile(n);
    }
    record_batch_builder_free(&b);
    buf_free(&batch);
    return err;
}

/* ---- Local partitions ---- */

static void partition_free(void *p)
{
    struct partition *part = p;
    partition_gone(part);
    free(part->topic);
    free(part);
}

static struct slice partition_key(uint8_t out[20], const struct wire_uuid *id, int32_t index)
{
    memcpy(out, id->b, 16);
    for (int i = 0; i < 4; i++)
        out[16 + i] = (uint8_t)((uint32_t)index >> (24 - 8 * i));
    return slice_of(out, 20);
}

struct partition *node_partition(struct node *n, const struct wire_uuid *topic_id, int32_t index)
{
    uint8_t key[20];
    return map_get(&n->partitions, partition_key(key, topic_id, index));
}

static enum err partition_make(struct node *n, const struct image_topic *t, int32_t index,
                               const struct plog_config *config, struct partition **out, struct reason *why)
{
    uint8_t key[20];
    struct partition *p = calloc(1, sizeof *p);
    struct slice topic = slice_str(t->name);
    enum err err;

    *out = NULL;
    if (!p)
        return ERR_NO_MEMORY;
    p->node = n;
    p->topic = strdup(t->name);
    p->index = index;
    p->topic_id = t->id;
    p->log = log_dir_find(n->dir, topic, index);
    if (p->log && memcmp(plog_topic_id(p->log), t->id.b, 16) != 0) { /* of a topic deleted while this node was down */
        err = log_dir_delete(n->dir, topic, index, node_wall_ms(n), why);
        p->log = NULL;
        if (err)
            goto fail;
    }
    if (!p->log) {
        err = log_dir_create(n->dir, topic, index, t->id.b, config, node_wall_ms(n), &p->log, why);
        if (err)
            goto fail;
    } else {
        plog_set_config(p->log, config);
    }
    plog_set_high_watermark(p->log, plog_end_offset(p->log)); /* one replica: what is written is committed */
    err = p->topic ? map_put(&n->partitions, partition_key(key, &t->id, index), p, NULL) : ERR_NO_MEMORY;
    if (err)
        goto fail;
    *out = p;
    return ERR_OK;
fail:
    free(p->topic);
    free(p);
    return err;
}

static bool is_replica(const struct image_partition *p, int32_t id)
{
    for (int32_t i = 0; i < p->replica_count; i++)
        if (p->replicas[i] == id)
            return true;
    return false;
}

static void reconcile_topic(struct node *n, const struct image_topic *t)
{
    struct plog_config config;
    bool have_config = false;

    if (strcmp(t->name, METADATA_TOPIC) == 0) /* made before such names were refused: its folder is not its own */
        return;
    for (int32_t i = 0; i < t->partition_count; i++) {
        const struct image_partition *ip = &t->partitions[i];
        struct partition *p = node_partition(n, &t->id, i);
        struct reason why = {0};

        if (!is_replica(ip, n->id))
            continue;
        if (!have_config) {
            topic_config_apply(t->configs, &config);
            have_config = true;
        }
        if (!p && partition_make(n, t, i, &config, &p, &why)) {
            log_error("cannot open partition %s-%d: %s", t->name, (int)i, why.text);
            continue;
        }
        plog_set_config(p->log, &config);
        bool leads = ip->leader == n->id;
        if (leads != p->leader || ip->leader_epoch != p->leader_epoch) {
            p->leader = leads;
            p->leader_epoch = ip->leader_epoch;
            coordinators_leadership(n, p);
        }
    }
}

static void drop_removed(struct node *n)
{
    for (struct map_entry *e = map_first(&n->partitions); e; e = map_next(&n->partitions, e)) {
        struct partition *p = e->value;
        struct reason why = {0};
        if (image_topic_by_id(&n->image, &p->topic_id))
            continue;
        p->leader = false;
        coordinators_leadership(n, p);
        if (log_dir_delete(n->dir, slice_str(p->topic), p->index, node_wall_ms(n), &why))
            log_error("cannot remove partition %s-%d: %s", p->topic, (int)p->index, why.text);
        p->log = NULL;
        map_remove(&n->partitions, map_key(e));
        partition_free(p);
    }
}

void node_reconcile(struct node *n)
{
    drop_removed(n);
    for (const struct map_entry *e = map_first(&n->image.topics); e; e = map_next(&n->image.topics, e))
        reconcile_topic(n, e->value);
}

/* ---- Following the controller ---- */

static void retry_fetch(void *arg)
{
    node_metadata_fetch(arg);
}

static void take_metadata(struct node *n, int16_t version, struct slice body)
{
    struct fetch_response resp;
    struct arena arena;
    struct cursor c = cursor_of(body);
    struct plog_appended appended;
    struct reason why = {0};
    enum err err;

    arena_init(&arena, 0);
    err = fetch_response_decode(&resp, &c, version, &arena);
    if (!err && (resp.error_code || resp.responses.n != 1 || resp.responses.v[0].partitions.n != 1))
        err = ERR_UNKNOWN_SERVER_ERROR;
    if (!err && resp.responses.v[0].partitions.v[0].error_code)
        err = (enum err)resp.responses.v[0].partitions.v[0].error_code;
    struct slice records = err ? SLICE_NULL : resp.responses.v[0].partitions.v[0].records;
    if (!err && records.n) {
        err = plog_append_follower(n->metadata.log, records, &appended, &why);
        if (!err) {
            plog_set_high_watermark(n->metadata.log, plog_end_offset(n->metadata.log));
            err = apply_batches(n, records, &why);
            node_reconcile(n);
        }
    }
    if (err)
        log_error("metadata from the controller cannot be used: %s", why.code ? why.text : err_text(err));
    arena_free(&arena);
    if (err)
        loop_timer_start(&n->metadata_retry, NODE_TICK_MS);
    else
        node_metadata_fetch(n);
}

static void on_metadata(void *user, enum err err, int16_t version, struct slice body)
{
    struct node *n = node_of(user);

    n->metadata_fetching = false;
    if (n->stopping)
        return;
    if (err)
        loop_timer_start(&n->metadata_retry, NODE_RETRY_MS);
    else
        take_metadata(n, version, body);
}

void node_metadata_fetch(struct node *n)
{
    struct fetch_request req;
    struct fetch_request_fetch_topic topic;
    struct fetch_request_fetch_partition partition;

    if (n->metadata_fetching || n->stopping)
        return;
    n->metadata_fetching = true;
    loop_timer_init(&n->metadata_retry, n->loop, retry_fetch, n);
    fetch_request_init(&req);
    fetch_request_fetch_topic_init(&topic);
    fetch_request_fetch_partition_init(&partition);
    req.replica_id = n->id;
    req.max_wait_ms = NODE_METADATA_WAIT_MS;
    req.min_bytes = 1;
    req.max_bytes = NODE_METADATA_FETCH_BYTES;
    req.topics.v = &topic;
    req.topics.n = 1;
    topic.topic = slice_str(METADATA_TOPIC);
    topic.partitions.v = &partition;
    topic.partitions.n = 1;
    partition.fetch_offset = plog_end_offset(n->metadata.log);
    partition.partition_max_bytes = NODE_METADATA_FETCH_BYTES;
    node_call_fetch(n, METADATA_FETCH_VERSION, &req, on_metadata, n);
}

/* ---- Registration and heartbeats ---- */

static void send_heartbeat(void *arg);

static void on_heartbeat(void *user, enum err err, int16_t version, struct slice body)
{
    struct node *n = node_of(user);
    struct broker_heartbeat_response resp;
    struct cursor c = cursor_of(body);
    struct arena arena;

    if (n->stopping)
        return;
    arena_init(&arena, 0);
    if (!err)
        err = broker_heartbeat_response_decode(&resp, &c, version, &arena);
    arena_free(&arena);
    if (!err && (resp.error_code == ERR_STALE_BROKER_EPOCH || resp.error_code == ERR_BROKER_ID_NOT_REGISTERED)) {
        n->broker_epoch = -1;
        node_register(n);
        return;
    }
    n->unfenced = !err && !resp.error_code && !resp.is_fenced;
    loop_timer_start(&n->heartbeat, n->unfenced ? BROKER_HEARTBEAT_INTERVAL_MS : NODE_RETRY_MS);
}

static void send_heartbeat(void *arg)
{
    struct node *n = node_of(arg);
    struct broker_heartbeat_request req;

    if (n->broker_epoch < 0) {
        node_register(n);
        return;
    }
    broker_heartbeat_request_init(&req);
    req.broker_id = n->id;
    req.broker_epoch = n->broker_epoch;
    req.current_metadata_offset = n->image.applied;
    node_call(n, n->controller_id, 63, 0, &req, on_heartbeat, n);
}

static void on_registered(void *user, enum err err, int16_t version, struct slice body)
{
    struct node *n = node_of(user);
    struct broker_registration_response resp;
    struct cursor c = cursor_of(body);
    struct arena arena;

    n->registering = false;
    if (n->stopping)
        return;
    arena_init(&arena, 0);
    if (!err)
        err = broker_registration_response_decode(&resp, &c, version, &arena);
    arena_free(&arena);
    if (!err && resp.error_code)
        err = (enum err)resp.error_code;
    if (!err)
        n->broker_epoch = resp.broker_epoch;
    else if (err != ERR_CLOSED && err != ERR_UNAVAILABLE && err != ERR_BROKER_NOT_AVAILABLE &&
             err != ERR_DUPLICATE_BROKER_REGISTRATION) /* those pass: the controller is starting too */
        log_error("the controller refused this broker's registration: %s", err_text(err));
    loop_timer_start(&n->heartbeat, err ? NODE_RETRY_MS : 0);
}

void node_register(struct node *n)
{
    struct broker_registration_request req;
    struct broker_registration_request_listener l;

    if (n->registering || n->stopping)
        return;
    n->registering = true;
    loop_timer_init(&n->heartbeat, n->loop, send_heartbeat, n);
    broker_registration_request_init(&req);
    broker_registration_request_listener_init(&l);
    req.broker_id = n->id;
    req.cluster_id = slice_str(n->cluster_id);
    req.incarnation_id = n->incarnation;
    l.name = slice_str("SSL");
    l.host = slice_str(n->listen.host);
    l.port = n->listen.port;
    l.security_protocol = 1; /* SSL */
    req.listeners.v = &l;
    req.listeners.n = 1;
    node_call(n, n->controller_id, 62, 0, &req, on_registered, n);
}
