/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_BROKER_CORE_IMAGE_H
#define CASTELLAN_BROKER_CORE_IMAGE_H

#include "broker/core/record_list.h"
#include "core/base/arena.h"
#include "core/base/map.h"
#include "core/wire/message.h"

/* What the cluster's metadata log says: brokers, topics, partitions, configurations, the next producer id. Built by
 * applying the records of `__cluster_metadata` in order (KIP-500, KIP-631; the records are Kafka's own), the same on
 * every node. Pure; one thread. Pointers into an image are valid until the next image_apply(). */
struct image_partition {
    int32_t leader; /* -1: none */
    int32_t leader_epoch;
    int32_t partition_epoch;
    int32_t *replicas;
    int32_t *isr;
    int32_t replica_count, isr_count;
};

struct image_topic {
    struct wire_uuid id;
    char *name;
    struct map *configs; /* name -> char *; never NULL; lives in the image even before the topic does */
    struct image_partition *partitions;
    int32_t partition_count;
};

struct image_broker {
    int32_t id;
    int64_t epoch; /* the offset of its registration record (KIP-631) */
    struct wire_uuid incarnation;
    char host[256];
    int32_t port;
    char rack[64]; /* "" when unknown */
    bool fenced;
};

struct image {
    struct map topics;       /* name -> struct image_topic */
    struct map topics_by_id; /* 16 bytes -> the same */
    struct map brokers;      /* 4 bytes, big-endian id -> struct image_broker */
    struct map configs;      /* "T" + topic or "B" + broker id ("" for the default) -> struct map of name -> char * */
    int64_t partitions;      /* of all topics */
    int64_t next_producer_id;
    int64_t applied; /* the offset of the last record applied; -1 at first */
};

/* Kafka's ConfigResource types that the metadata log holds. */
enum { CONFIG_RESOURCE_TOPIC = 2, CONFIG_RESOURCE_BROKER = 4, CONFIG_RESOURCE_BROKER_LOGGER = 8 };

void image_init(struct image *m);
void image_free(struct image *m);

/* Apply one record (frame version, api key, version, body; KIP-631). An unknown record kind is ERR_UNSUPPORTED, a
 * broken one ERR_CORRUPT_MESSAGE; the image is then unchanged but for what a repetition would set again. */
enum err image_apply(struct image *m, struct slice record, int64_t offset, struct reason *why) MUST_CHECK;

const struct image_topic *image_topic(const struct image *m, struct slice name);
const struct image_topic *image_topic_by_id(const struct image *m, const struct wire_uuid *id);
const struct image_broker *image_broker(const struct image *m, int32_t id); /* NULL when never registered */
bool image_broker_alive(const struct image *m, int32_t id);                 /* registered and not fenced */
/* Own configurations of a topic or broker (name -> char *); NULL when it has none. */
const struct map *image_configs(const struct image *m, int8_t resource_type, struct slice name);

/* ---- Making records: each appends one framed record to `out` ---- */
void record_put_topic(struct record_list *out, struct slice name, const struct wire_uuid *id);
void record_put_partition(struct record_list *out, const struct wire_uuid *topic, int32_t partition,
                          const int32_t *replicas, int32_t n, int32_t leader, int32_t leader_epoch);
void record_put_remove_topic(struct record_list *out, const struct wire_uuid *id);
void record_put_config(struct record_list *out, int8_t resource_type, struct slice resource, struct slice name,
                       struct slice value); /* a null value removes */
void record_put_register_broker(struct record_list *out, const struct image_broker *b, const char *listener_name,
                                int16_t security_protocol);
void record_put_broker_fenced(struct record_list *out, int32_t id, int64_t epoch, bool fenced);
void record_put_producer_ids(struct record_list *out, int32_t broker_id, int64_t broker_epoch, int64_t next);

#endif
