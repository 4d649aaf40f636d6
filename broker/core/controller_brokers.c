/* SPDX-License-Identifier: Apache-2.0
 * The controller's decisions about brokers: registration, heartbeats, fencing of the silent, producer id blocks
 * (KIP-631, KIP-730). A broker registers fenced and is unfenced by the first heartbeat that says it has caught up with
 * its own registration, so clients are never sent to a broker that does not yet know its partitions. */
#include "broker/core/controller.h"

#include <stdio.h>
#include <stdlib.h>

static struct slice id_key(uint8_t out[4], int32_t id)
{
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)((uint32_t)id >> (24 - 8 * i));
    return slice_of(out, 4);
}

void controller_init(struct controller *c, const struct image *image, const char *cluster_id)
{
    *c = (struct controller){
        .image = image, .cluster_id = cluster_id, .default_partitions = 1, .default_replication = 1};
}

void controller_free(struct controller *c)
{
    map_free(&c->sessions, free);
}

static enum err session_touch(struct controller *c, int32_t id, int64_t now_ms)
{
    uint8_t key[4];
    struct controller_session *s = map_get(&c->sessions, id_key(key, id));
    enum err err;

    if (!s) {
        s = calloc(1, sizeof *s);
        if (!s)
            return ERR_NO_MEMORY;
        s->broker_id = id;
        err = map_put(&c->sessions, id_key(key, id), s, NULL);
        if (err) {
            free(s);
            return err;
        }
    }
    s->last_heartbeat_ms = now_ms;
    return ERR_OK;
}

enum err controller_register_broker(struct controller *c, const struct broker_registration_request *req,
                                    int64_t record_offset, struct broker_registration_response *resp,
                                    const struct controller_call *call)
{
    const struct image_broker *old = image_broker(c->image, req->broker_id);
    struct image_broker b = {.id = req->broker_id, .incarnation = req->incarnation_id, .fenced = true};
    uint8_t key[4];
    const struct controller_session *s = map_get(&c->sessions, id_key(key, req->broker_id));

    broker_registration_response_init(resp);
    if (!slice_eq_str(req->cluster_id, c->cluster_id)) {
        resp->error_code = ERR_INCONSISTENT_CLUSTER_ID;
        return ERR_OK;
    }
    if (req->broker_id < 0 || req->listeners.n < 1) {
        resp->error_code = ERR_INVALID_REGISTRATION;
        return ERR_OK;
    }
    if (old && memcmp(old->incarnation.b, req->incarnation_id.b, sizeof b.incarnation.b) == 0) {
        resp->broker_epoch = old->epoch; /* a retry */
        return session_touch(c, b.id, call->now_ms);
    }
    /* another process with this id still beats: refuse until its session is over */
    if (old && !old->fenced && s && call->now_ms - s->last_heartbeat_ms < BROKER_HEARTBEAT_INTERVAL_MS) {
        resp->error_code = ERR_DUPLICATE_BROKER_REGISTRATION;
        return ERR_OK;
    }
    snprintf(b.host, sizeof b.host, "%.*s", SLICE_FMT(req->listeners.v[0].host));
    snprintf(b.rack, sizeof b.rack, "%.*s", SLICE_FMT(req->rack));
    b.port = req->listeners.v[0].port;
    b.epoch = record_offset;
    resp->broker_epoch = record_offset;
    record_put_register_broker(call->records, &b, "SSL", req->listeners.v[0].security_protocol);
    enum err err = session_touch(c, b.id, call->now_ms);
    return err ? err : record_list_error(call->records);
}

enum err controller_heartbeat(struct controller *c, const struct broker_heartbeat_request *req,
                              struct broker_heartbeat_response *resp, const struct controller_call *call)
{
    const struct image_broker *b = image_broker(c->image, req->broker_id);

    broker_heartbeat_response_init(resp);
    if (!b) {
        resp->error_code = ERR_BROKER_ID_NOT_REGISTERED;
        return ERR_OK;
    }
    if (b->epoch != req->broker_epoch) {
        resp->error_code = ERR_STALE_BROKER_EPOCH;
        return ERR_OK;
    }
    bool fence = req->want_fence || req->want_shut_down;
    resp->is_caught_up = req->current_metadata_offset >= b->epoch;
    if (b->fenced && !fence && resp->is_caught_up)
        record_put_broker_fenced(call->records, b->id, b->epoch, false);
    else if (!b->fenced && fence)
        record_put_broker_fenced(call->records, b->id, b->epoch, true);
    resp->is_fenced = fence || (b->fenced && !resp->is_caught_up);
    resp->should_shut_down = req->want_shut_down;
    enum err err = session_touch(c, req->broker_id, call->now_ms);
    return err ? err : record_list_error(call->records);
}

enum err controller_tick(struct controller *c, const struct controller_call *call)
{
    for (const struct map_entry *e = map_first(&c->image->brokers); e; e = map_next(&c->image->brokers, e)) {
        const struct image_broker *b = e->value;
        const struct controller_session *s = map_get(&c->sessions, map_key(e));
        if (b->fenced)
            continue;
        if (!s) { /* after the controller's own restart: give it one session's time to speak up */
            enum err err = session_touch(c, b->id, call->now_ms);
            if (err)
                return err;
        } else if (call->now_ms - s->last_heartbeat_ms > BROKER_SESSION_TIMEOUT_MS) {
            record_put_broker_fenced(call->records, b->id, b->epoch, true);
        }
    }
    return record_list_error(call->records);
}

enum err controller_allocate_producer_ids(struct controller *c, const struct allocate_producer_ids_request *req,
                                          struct allocate_producer_ids_response *resp,
                                          const struct controller_call *call)
{
    const struct image_broker *b = image_broker(c->image, req->broker_id);

    allocate_producer_ids_response_init(resp);
    if (!b || b->epoch != req->broker_epoch) {
        resp->error_code = b ? ERR_STALE_BROKER_EPOCH : ERR_BROKER_ID_NOT_REGISTERED;
        return ERR_OK;
    }
    resp->producer_id_start = c->image->next_producer_id;
    resp->producer_id_len = PRODUCER_ID_BLOCK;
    record_put_producer_ids(call->records, b->id, b->epoch, c->image->next_producer_id + PRODUCER_ID_BLOCK);
    return record_list_error(call->records);
}
