/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_BROKER_CORE_TOPIC_CONFIG_H
#define CASTELLAN_BROKER_CORE_TOPIC_CONFIG_H

#include "broker/log/log_config.h"
#include "core/base/map.h"

/* Every key a topic may carry: those its log obeys (broker/log/log_config.h) and those that others read (the gateway's
 * castellan.*, replication throttles, tiered storage, which this broker does not offer). Pure. */

/* DescribeConfigsResponse's config types. */
enum config_type {
    CONFIG_TYPE_BOOLEAN = 1,
    CONFIG_TYPE_STRING = 2,
    CONFIG_TYPE_INT = 3,
    CONFIG_TYPE_LONG = 5,
    CONFIG_TYPE_DOUBLE = 6,
    CONFIG_TYPE_LIST = 7,
};

struct topic_config_row {
    const char *name;
    enum config_type type;
    const char *synonym;  /* the broker-level key; NULL: none */
    const char *fallback; /* the default, as text */
    const char *help;
};

size_t topic_config_count(void);
struct topic_config_row topic_config_at(size_t i);
bool topic_config_find(struct slice name, struct topic_config_row *out);

/* ERR_INVALID_CONFIG with words when the key is unknown or the value does not fit. */
enum err topic_config_check(struct slice name, struct slice value, struct reason *why) MUST_CHECK;

/* What a log obeys: Kafka's defaults under the topic's own `configs` (name -> char *, checked before; may be NULL). */
void topic_config_apply(const struct map *configs, struct plog_config *out);

#endif
