/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_BROKER_CORE_TOPIC_CONFIG_H
#define CASTELLAN_BROKER_CORE_TOPIC_CONFIG_H

#include "core/base/err.h"
#include "core/base/map.h"

/* Topic configuration: the known keys, their defaults and what values they take. Pure. */
enum topic_config_id {
#define T(id, name, type, synonym, fallback, min, words, help) TOPIC_CONFIG_##id,
#include "broker/core/topic_config.tbl"
#undef T
    TOPIC_CONFIG_COUNT
};

/* Kafka's ConfigDef types with the codes DescribeConfigs puts on the wire (DescribeConfigsResponse.ConfigType). */
enum config_type {
    CONFIG_TYPE_UNKNOWN = 0,
    CONFIG_TYPE_BOOLEAN = 1,
    CONFIG_TYPE_STRING = 2,
    CONFIG_TYPE_INT = 3,
    CONFIG_TYPE_SHORT = 4,
    CONFIG_TYPE_LONG = 5,
    CONFIG_TYPE_DOUBLE = 6,
    CONFIG_TYPE_LIST = 7,
    CONFIG_TYPE_CLASS = 8,
    CONFIG_TYPE_PASSWORD = 9,
};

struct topic_config_row {
    const char *name;
    enum config_type type;
    const char *synonym; /* the broker-level key it falls back to; NULL: none */
    const char *fallback;
    int64_t min;
    const char *words; /* "a|b": the values allowed */
    const char *help;
};

extern const struct topic_config_row topic_config_rows[TOPIC_CONFIG_COUNT];

/* The row of a key, or NULL. */
const struct topic_config_row *topic_config_find(struct slice name);

/* ERR_INVALID_CONFIG with Kafka-like words when the key is unknown or the value does not fit. */
enum err topic_config_check(struct slice name, struct slice value, struct reason *why) MUST_CHECK;

/* The effective value: `configs` (name -> char *; the topic's own) or the default. */
const char *topic_config_value(const struct map *configs, enum topic_config_id id);
int64_t topic_config_int(const struct map *configs, enum topic_config_id id);
double topic_config_double(const struct map *configs, enum topic_config_id id);
bool topic_config_bool(const struct map *configs, enum topic_config_id id);
/* True when the list value holds `word`. */
bool topic_config_list_has(const struct map *configs, enum topic_config_id id, const char *word);

#endif
