/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_BROKER_LOG_LOG_CONFIG_H
#define CASTELLAN_BROKER_LOG_LOG_CONFIG_H

#include "core/base/err.h"
#include "core/base/slice.h"

/* A topic's configuration as its log needs it, with Kafka's names, defaults and limits in one table (which also serves
 * DescribeConfigs and the validation of CreateTopics and AlterConfigs). */
enum plog_cleanup { PLOG_CLEANUP_DELETE = 1, PLOG_CLEANUP_COMPACT = 2 }; /* may be both */
enum { PLOG_COMPRESSION_PRODUCER = -1 };                                 /* else an enum wire_codec */

struct plog_config {
    int32_t cleanup_policy;
    int32_t compression_type;
    int32_t compression_gzip_level;
    int32_t compression_lz4_level;
    int32_t compression_zstd_level;
    int64_t delete_retention_ms;
    int64_t file_delete_delay_ms;
    int64_t flush_messages;
    int64_t flush_ms;
    int32_t index_interval_bytes;
    int64_t max_compaction_lag_ms;
    int32_t max_message_bytes;
    int32_t message_timestamp_type; /* 0 CreateTime, 1 LogAppendTime */
    int64_t message_timestamp_after_max_ms;
    int64_t message_timestamp_before_max_ms;
    double min_cleanable_dirty_ratio;
    int64_t min_compaction_lag_ms;
    int32_t min_insync_replicas; /* for the broker; the log does not use it */
    bool preallocate;
    int64_t retention_bytes; /* -1: no limit */
    int64_t retention_ms;    /* -1: no limit */
    int32_t segment_bytes;
    int32_t segment_index_bytes;
    int64_t segment_jitter_ms; /* accepted, not used: logs of one process roll as they fill */
    int64_t segment_ms;
    bool unclean_leader_election; /* for the broker */
    /* Not a topic's but the broker's: producer.id.expiration.ms. */
    int64_t producer_id_expiration_ms;
};

enum plog_config_type { PLOG_BOOL, PLOG_INT, PLOG_LONG, PLOG_DOUBLE, PLOG_CHOICE, PLOG_CHOICES };

struct plog_config_row {
    const char *name;           /* of the topic: "retention.ms" */
    const char *broker_synonym; /* "log.retention.bytes"; NULL: none that has a default, as in Kafka */
    enum plog_config_type type;
    size_t at; /* offset of the field in struct plog_config */
    const char *fallback;
    int64_t min, max;
    const char *const *choices; /* PLOG_CHOICE(S): names, NULL-terminated */
    const int32_t *values;      /* what each choice stands for */
    const char *help;
};

void plog_config_init(struct plog_config *c); /* Kafka 4's defaults */
/* The rows in the order of their names; the last has a NULL name. */
const struct plog_config_row *plog_config_rows(void);
const struct plog_config_row *plog_config_row(struct slice topic_key); /* NULL: no such key */
/* Set one by its topic name and text. INVALID_CONFIG with words for an unknown key or a bad value. */
enum err plog_config_set(struct plog_config *c, struct slice key, struct slice value, struct reason *why) MUST_CHECK;

#endif
