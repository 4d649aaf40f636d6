/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_BROKER_CORE_CONTROLLER_H
#define CASTELLAN_BROKER_CORE_CONTROLLER_H

#include "broker/core/image.h"
#include "core/base/env.h"
#include "wire/allocate_producer_ids.h"
#include "wire/alter_configs.h"
#include "wire/broker_heartbeat.h"
#include "wire/broker_registration.h"
#include "wire/create_partitions.h"
#include "wire/create_topics.h"
#include "wire/delete_topics.h"
#include "wire/incremental_alter_configs.h"

/* The controller's decisions: from a request and the image to an answer and the metadata records that make it true.
 * Pure: the caller appends the records to the metadata log and applies them to the image before it answers.
 * Answers are allocated from `arena`; strings in them point into the request, the image or the arena.
 * Every function returns ERR_NO_MEMORY or the record list's error, or ERR_OK; refusals are in the answer. */
enum {
    BROKER_SESSION_TIMEOUT_MS = 9000, /* broker.session.timeout.ms */
    BROKER_HEARTBEAT_INTERVAL_MS = 2000,
    PRODUCER_ID_BLOCK = 1000, /* ids per AllocateProducerIds, as Kafka */
    TOPIC_NAME_MAX = 249,
    PARTITIONS_PER_TOPIC_MAX = 10000,    /* a limit of ours */
    PARTITIONS_PER_CLUSTER_MAX = 200000, /* another; POLICY_VIOLATION */
};

/* The log of the cluster's metadata: no topic, and nobody may make one of that name. */
#define METADATA_TOPIC "__cluster_metadata"

struct controller_session {
    int32_t broker_id;
    int64_t last_heartbeat_ms;
};

struct controller {
    const struct image *image;
    const char *cluster_id;
    int32_t default_partitions;  /* num.partitions */
    int16_t default_replication; /* default.replication.factor */
    struct map sessions;         /* 4-byte broker id -> struct controller_session */
};

struct controller_call {
    struct arena *arena;
    struct record_list *records;
    struct env *env; /* for topic ids */
    int64_t now_ms;  /* monotonic */
};

void controller_init(struct controller *c, const struct image *image, const char *cluster_id);
void controller_free(struct controller *c);

/* `topic.` names: [a-zA-Z0-9._-]{1,249}, not "." or "..". */
bool topic_name_is_valid(struct slice name);

enum err controller_create_topics(struct controller *c, const struct create_topics_request *req,
                                  struct create_topics_response *resp, const struct controller_call *call) MUST_CHECK;
enum err controller_delete_topics(struct controller *c, const struct delete_topics_request *req, int16_t version,
                                  struct delete_topics_response *resp, const struct controller_call *call) MUST_CHECK;
enum err controller_create_partitions(struct controller *c, const struct create_partitions_request *req,
                                      struct create_partitions_response *resp,
                                      const struct controller_call *call) MUST_CHECK;
enum err controller_alter_configs(struct controller *c, const struct alter_configs_request *req,
                                  struct alter_configs_response *resp, const struct controller_call *call) MUST_CHECK;
enum err controller_incremental_alter_configs(struct controller *c, const struct incremental_alter_configs_request *req,
                                              struct incremental_alter_configs_response *resp,
                                              const struct controller_call *call) MUST_CHECK;
/* `record_offset` is where the registration record will stand: the broker's epoch (KIP-631). */
enum err controller_register_broker(struct controller *c, const struct broker_registration_request *req,
                                    int64_t record_offset, struct broker_registration_response *resp,
                                    const struct controller_call *call) MUST_CHECK;
enum err controller_heartbeat(struct controller *c, const struct broker_heartbeat_request *req,
                              struct broker_heartbeat_response *resp, const struct controller_call *call) MUST_CHECK;
/* Fence the brokers that fell silent. Call it now and then. */
enum err controller_tick(struct controller *c, const struct controller_call *call) MUST_CHECK;
enum err controller_allocate_producer_ids(struct controller *c, const struct allocate_producer_ids_request *req,
                                          struct allocate_producer_ids_response *resp,
                                          const struct controller_call *call) MUST_CHECK;

#endif
