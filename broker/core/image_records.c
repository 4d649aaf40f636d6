/* SPDX-License-Identifier: Apache-2.0
 * Making metadata records. Encoding errors stick to the list; whoever appends it to the log checks once. */
#include "broker/core/image.h"
#include "wire/metadata_records.h"

static struct buf *put_frame(struct record_list *out, int16_t key, int16_t version)
{
    struct buf *b = record_list_begin(out);
    wire_metadata_put_frame(b, key, version);
    return b;
}

static void put_end(struct record_list *out, enum err err)
{
    if (err && !out->bytes.error)
        out->bytes.error = err;
    record_list_end(out);
}

void record_put_topic(struct record_list *out, struct slice name, const struct wire_uuid *id)
{
    struct topic_record r;
    topic_record_init(&r);
    r.name = name;
    r.topic_id = *id;
    put_end(out, topic_record_encode(&r, put_frame(out, 2, 0), 0));
}

void record_put_partition(struct record_list *out, const struct wire_uuid *topic, int32_t partition,
                          const int32_t *replicas, int32_t n, int32_t leader, int32_t leader_epoch)
{
    struct partition_record r;
    partition_record_init(&r);
    r.partition_id = partition;
    r.topic_id = *topic;
    r.replicas.v = (int32_t *)replicas;
    r.replicas.n = n;
    r.isr.v = (int32_t *)replicas;
    r.isr.n = n;
    r.removing_replicas.n = 0;
    r.adding_replicas.n = 0;
    r.leader = leader;
    r.leader_epoch = leader_epoch;
    r.partition_epoch = 0;
    put_end(out, partition_record_encode(&r, put_frame(out, 3, 0), 0));
}

void record_put_remove_topic(struct record_list *out, const struct wire_uuid *id)
{
    struct remove_topic_record r;
    remove_topic_record_init(&r);
    r.topic_id = *id;
    put_end(out, remove_topic_record_encode(&r, put_frame(out, 9, 0), 0));
}

void record_put_config(struct record_list *out, int8_t resource_type, struct slice resource, struct slice name,
                       struct slice value)
{
    struct config_record r;
    config_record_init(&r);
    r.resource_type = resource_type;
    r.resource_name = resource;
    r.name = name;
    r.value = value;
    put_end(out, config_record_encode(&r, put_frame(out, 4, 0), 0));
}

void record_put_register_broker(struct record_list *out, const struct image_broker *b, const char *listener_name,
                                int16_t security_protocol)
{
    struct register_broker_record r;
    struct register_broker_record_broker_endpoint e;

    register_broker_record_init(&r);
    register_broker_record_broker_endpoint_init(&e);
    e.name = slice_str(listener_name);
    e.host = slice_str(b->host);
    e.port = (uint16_t)b->port;
    e.security_protocol = security_protocol;
    r.broker_id = b->id;
    r.incarnation_id = b->incarnation;
    r.broker_epoch = b->epoch;
    r.end_points.v = &e;
    r.end_points.n = 1;
    r.features.n = 0;
    r.rack = b->rack[0] ? slice_str(b->rack) : SLICE_NULL;
    r.fenced = b->fenced;
    put_end(out, register_broker_record_encode(&r, put_frame(out, 0, 1), 1));
}

void record_put_broker_fenced(struct record_list *out, int32_t id, int64_t epoch, bool fenced)
{
    if (fenced) {
        struct fence_broker_record r;
        fence_broker_record_init(&r);
        r.id = id;
        r.epoch = epoch;
        put_end(out, fence_broker_record_encode(&r, put_frame(out, 7, 0), 0));
    } else {
        struct unfence_broker_record r;
        unfence_broker_record_init(&r);
        r.id = id;
        r.epoch = epoch;
        put_end(out, unfence_broker_record_encode(&r, put_frame(out, 8, 0), 0));
    }
}

void record_put_producer_ids(struct record_list *out, int32_t broker_id, int64_t broker_epoch, int64_t next)
{
    struct producer_ids_record r;
    producer_ids_record_init(&r);
    r.broker_id = broker_id;
    r.broker_epoch = broker_epoch;
    r.next_producer_id = next;
    put_end(out, producer_ids_record_encode(&r, put_frame(out, 15, 0), 0));
}
