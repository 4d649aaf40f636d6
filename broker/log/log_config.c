/* SPDX-License-Identifier: Apache-2.0
 * The table of topic configurations and its setter. One row per key; a value is checked for its type and limits before
 * anything is stored, so a refused value leaves the configuration as it was. */
#include "broker/log/log_config.h"

#include <stdio.h>
#include <errno.h>
#include <stdlib.h>

static const char *const codec_names[] = {"uncompressed", "zstd", "lz4", "snappy", "gzip", "producer", NULL};
static const int32_t codec_values[] = {0, 4, 3, 2, 1, PLOG_COMPRESSION_PRODUCER};
static const char *const cleanup_names[] = {"compact", "delete", NULL};
static const int32_t cleanup_values[] = {PLOG_CLEANUP_COMPACT, PLOG_CLEANUP_DELETE};
static const char *const timestamp_names[] = {"CreateTime", "LogAppendTime", NULL};
static const int32_t timestamp_values[] = {0, 1};

#define AT(field) offsetof(struct plog_config, field)
#define LONG(key, syn, field, d, lo, hi, help)                                                                         \
    {                                                                                                                  \
        key, syn, PLOG_LONG, AT(field), d, lo, hi, NULL, NULL, help                                                    \
    }
#define INT(key, syn, field, d, lo, hi, help)                                                                          \
    {                                                                                                                  \
        key, syn, PLOG_INT, AT(field), d, lo, hi, NULL, NULL, help                                                     \
    }
#define ONE(key, syn, type, field, d, names, values, help)                                                             \
    {                                                                                                                  \
        key, syn, type, AT(field), d, 0, 0, names, values, help                                                        \
    }
#define MAX_LONG "9223372036854775807"

static const struct plog_config_row rows[] = {
    ONE("cleanup.policy", "log.cleanup.policy", PLOG_CHOICES, cleanup_policy, "delete", cleanup_names, cleanup_values,
        "What happens to old segments: delete them, compact them, or both."),
    INT("compression.gzip.level", "compression.gzip.level", compression_gzip_level, "-1", -1, 9,
        "The level when compression.type is gzip."),
    INT("compression.lz4.level", "compression.lz4.level", compression_lz4_level, "9", 1, 17,
        "The level when compression.type is lz4."),
    ONE("compression.type", "compression.type", PLOG_CHOICE, compression_type, "producer", codec_names, codec_values,
        "The compression of stored batches; producer keeps what the producer chose."),
    INT("compression.zstd.level", "compression.zstd.level", compression_zstd_level, "3", -131072, 22,
        "The level when compression.type is zstd."),
    LONG("delete.retention.ms", "log.cleaner.delete.retention.ms", delete_retention_ms, "86400000", 0, INT64_MAX,
         "How long a compacted topic keeps tombstones."),
    LONG("file.delete.delay.ms", "log.segment.delete.delay.ms", file_delete_delay_ms, "60000", 0, INT64_MAX,
         "How long a deleted file stays on disk."),
    LONG("flush.messages", "log.flush.interval.messages", flush_messages, MAX_LONG, 1, INT64_MAX,
         "Force data to disk after this many records."),
    LONG("flush.ms", NULL, flush_ms, MAX_LONG, 0, INT64_MAX, "Force data to disk after this much time."),
    INT("index.interval.bytes", "log.index.interval.bytes", index_interval_bytes, "4096", 0, INT32_MAX,
        "How often an index entry is made."),
    LONG("max.compaction.lag.ms", "log.cleaner.max.compaction.lag.ms", max_compaction_lag_ms, MAX_LONG, 1, INT64_MAX,
         "The longest a record stays uncompacted."),
    INT("max.message.bytes", "message.max.bytes", max_message_bytes, "1048588", 0, INT32_MAX,
        "The largest batch that is accepted."),
    LONG("message.timestamp.after.max.ms", "log.message.timestamp.after.max.ms", message_timestamp_after_max_ms,
         "3600000", 0, INT64_MAX, "How far ahead of the broker's clock a timestamp may be."),
    LONG("message.timestamp.before.max.ms", "log.message.timestamp.before.max.ms", message_timestamp_before_max_ms,
         MAX_LONG, 0, INT64_MAX, "How far behind the broker's clock a timestamp may be."),
    ONE("message.timestamp.type", "log.message.timestamp.type", PLOG_CHOICE, message_timestamp_type, "CreateTime",
        timestamp_names, timestamp_values, "Whose clock a record's timestamp is."),
    {"min.cleanable.dirty.ratio", "log.cleaner.min.cleanable.ratio", PLOG_DOUBLE, AT(min_cleanable_dirty_ratio), "0.5",
     0, 1, NULL, NULL, "How dirty a log must be to be compacted."},
    LONG("min.compaction.lag.ms", "log.cleaner.min.compaction.lag.ms", min_compaction_lag_ms, "0", 0, INT64_MAX,
         "The shortest a record stays uncompacted."),
    INT("min.insync.replicas", "min.insync.replicas", min_insync_replicas, "1", 1, INT32_MAX,
        "How many replicas must have a record before acks=all succeeds."),
    {"preallocate", "log.preallocate", PLOG_BOOL, AT(preallocate), "false", 0, 0, NULL, NULL,
     "Reserve disk space for a segment when it is made."},
    LONG("retention.bytes", "log.retention.bytes", retention_bytes, "-1", -1, INT64_MAX,
         "The largest a partition grows before old segments go; -1: no limit."),
    LONG("retention.ms", NULL, retention_ms, "604800000", -1, INT64_MAX, "How long records are kept; -1: for ever."),
    INT("segment.bytes", "log.segment.bytes", segment_bytes, "1073741824", 1024 * 1024, INT32_MAX,
        "The size of a segment file."),
    INT("segment.index.bytes", "log.index.size.max.bytes", segment_index_bytes, "10485760", 4, INT32_MAX,
        "The size of an index file."),
    LONG("segment.jitter.ms", NULL, segment_jitter_ms, "0", 0, INT64_MAX, "Accepted, without effect."),
    LONG("segment.ms", NULL, segment_ms, "604800000", 1, INT64_MAX,
         "A segment is closed after this time even if it is not full."),
    {"unclean.leader.election.enable", "unclean.leader.election.enable", PLOG_BOOL, AT(unclean_leader_election),
     "false", 0, 0, NULL, NULL, "May a replica that is behind become leader?"},
    {NULL, NULL, PLOG_BOOL, 0, NULL, 0, 0, NULL, NULL, NULL},
};

enum { PRODUCER_ID_EXPIRATION_MS = 86400000, VALUE_MAX = 64 };

const struct plog_config_row *plog_config_rows(void)
{
    return rows;
}

const struct plog_config_row *plog_config_row(struct slice topic_key)
{
    for (const struct plog_config_row *r = rows; r->name; r++)
        if (slice_eq_str(topic_key, r->name))
            return r;
    return NULL;
}

static bool choice_of(const struct plog_config_row *r, struct slice word, int32_t *value)
{
    for (size_t i = 0; r->choices[i]; i++) {
        if (slice_eq_str(word, r->choices[i])) {
            *value = r->values[i];
            return true;
        }
    }
    return false;
}

/* "compact,delete": the bits of each; an empty list is no policy and refused. */
static bool choices_of(const struct plog_config_row *r, struct slice list, int32_t *value)
{
    *value = 0;
    struct slice word;
    while (slice_next_item(&list, ',', &word)) {
        int32_t bit;
        if (!choice_of(r, word, &bit))
            return false;
        *value |= bit;
    }
    return *value != 0;
}

static bool number_of(const struct plog_config_row *r, const char *text, int64_t *value)
{
    char *end;
    errno = 0;
    *value = strtoll(text, &end, 10);
    return end != text && !*end && !errno && *value >= r->min && *value <= r->max;
}

static bool store(void *at, const struct plog_config_row *r, struct slice value, const char *text)
{
    int64_t number;
    int32_t choice;
    double real;
    char *end;

    switch (r->type) {
    case PLOG_BOOL:
        if (!slice_eq_str(value, "true") && !slice_eq_str(value, "false"))
            return false;
        *(bool *)at = slice_eq_str(value, "true");
        return true;
    case PLOG_INT:
        if (!number_of(r, text, &number))
            return false;
        *(int32_t *)at = (int32_t)number;
        return true;
    case PLOG_LONG:
        if (!number_of(r, text, &number))
            return false;
        *(int64_t *)at = number;
        return true;
    case PLOG_DOUBLE:
        real = strtod(text, &end);
        if (end == text || *end || !(real >= (double)r->min && real <= (double)r->max))
            return false;
        *(double *)at = real;
        return true;
    case PLOG_CHOICE:
        if (!choice_of(r, value, &choice))
            return false;
        *(int32_t *)at = choice;
        return true;
    case PLOG_CHOICES:
        if (!choices_of(r, value, &choice))
            return false;
        *(int32_t *)at = choice;
        return true;
    }
    return false;
}

enum err plog_config_set(struct plog_config *c, struct slice key, struct slice value, struct reason *why)
{
    const struct plog_config_row *r = plog_config_row(key);
    char text[VALUE_MAX];

    if (!r)
        return reason_set(why, ERR_INVALID_CONFIG, "Unknown topic config name: %.*s", SLICE_FMT(key));
    if (slice_is_null(value) || value.n >= sizeof text || memchr(value.p, 0, value.n))
        return reason_set(why, ERR_INVALID_CONFIG, "Invalid value for configuration %s", r->name);
    snprintf(text, sizeof text, "%.*s", SLICE_FMT(value));
    if (!store((char *)c + r->at, r, value, text))
        return reason_set(why, ERR_INVALID_CONFIG, "Invalid value %s for configuration %s", text, r->name);
    return ERR_OK;
}

void plog_config_init(struct plog_config *c)
{
    memset(c, 0, sizeof *c);
    for (const struct plog_config_row *r = rows; r->name; r++) {
        if (plog_config_set(c, slice_str(r->name), slice_str(r->fallback), NULL))
            abort(); /* a default in the table above is wrong */
    }
    c->producer_id_expiration_ms = PRODUCER_ID_EXPIRATION_MS;
}
