/* SPDX-License-Identifier: Apache-2.0
 * The log's table of keys, and after it the keys only others read. */
#include "broker/core/topic_config.h"

struct other_row {
    struct topic_config_row row;
    const char *words; /* "a|b": the values allowed; NULL: any */
};

static const struct other_row others[] = {
    {{"castellan.key.schema.validation", CONFIG_TYPE_STRING, NULL, "", "What the gateway checks of keys: id, payload."},
     "|id|payload"},
    {{"castellan.key.subject.name.strategy", CONFIG_TYPE_STRING, NULL, "TopicNameStrategy",
      "How the subject of a key's schema is named."},
     "TopicNameStrategy|RecordNameStrategy|TopicRecordNameStrategy"},
    {{"castellan.lineage.id", CONFIG_TYPE_STRING, NULL, "",
      "The id that encrypted records are bound to; empty: the topic's name."},
     NULL},
    {{"castellan.schema.dead.letter.topic", CONFIG_TYPE_STRING, NULL, "",
      "Where records that fail validation go; empty: they are refused."},
     NULL},
    {{"castellan.value.schema.validation", CONFIG_TYPE_STRING, NULL, "",
      "What the gateway checks of values: id, payload."},
     "|id|payload"},
    {{"castellan.value.subject.name.strategy", CONFIG_TYPE_STRING, NULL, "TopicNameStrategy",
      "How the subject of a value's schema is named."},
     "TopicNameStrategy|RecordNameStrategy|TopicRecordNameStrategy"},
    {{"follower.replication.throttled.replicas", CONFIG_TYPE_LIST, NULL, "", "Replicas throttled as followers."}, NULL},
    {{"leader.replication.throttled.replicas", CONFIG_TYPE_LIST, NULL, "", "Replicas throttled as leaders."}, NULL},
    {{"local.retention.bytes", CONFIG_TYPE_LONG, "log.local.retention.bytes", "-2", "Needs tiered storage."}, "-2"},
    {{"local.retention.ms", CONFIG_TYPE_LONG, "log.local.retention.ms", "-2", "Needs tiered storage."}, "-2"},
    {{"remote.log.copy.disable", CONFIG_TYPE_BOOLEAN, NULL, "false", "Needs tiered storage."}, "false"},
    {{"remote.log.delete.on.disable", CONFIG_TYPE_BOOLEAN, NULL, "false", "Needs tiered storage."}, "false"},
    {{"remote.storage.enable", CONFIG_TYPE_BOOLEAN, NULL, "false", "Tiered storage, which is not offered here."},
     "false"},
};
enum { OTHERS = sizeof others / sizeof *others };

static size_t log_rows(void)
{
    size_t n = 0;
    while (plog_config_rows()[n].name)
        n++;
    return n;
}

size_t topic_config_count(void)
{
    return log_rows() + OTHERS;
}

static enum config_type type_of(enum plog_config_type t)
{
    switch (t) {
    case PLOG_BOOL:
        return CONFIG_TYPE_BOOLEAN;
    case PLOG_INT:
        return CONFIG_TYPE_INT;
    case PLOG_LONG:
        return CONFIG_TYPE_LONG;
    case PLOG_DOUBLE:
        return CONFIG_TYPE_DOUBLE;
    case PLOG_CHOICE:
        return CONFIG_TYPE_STRING;
    case PLOG_CHOICES:
        return CONFIG_TYPE_LIST;
    }
    return CONFIG_TYPE_STRING;
}

struct topic_config_row topic_config_at(size_t i)
{
    size_t n = log_rows();
    const struct plog_config_row *r = plog_config_rows() + i;

    if (i >= n)
        return others[i - n].row;
    return (struct topic_config_row){r->name, type_of(r->type), r->broker_synonym, r->fallback, r->help};
}

bool topic_config_find(struct slice name, struct topic_config_row *out)
{
    for (size_t i = 0; i < topic_config_count(); i++) {
        *out = topic_config_at(i);
        if (slice_eq_str(name, out->name))
            return true;
    }
    return false;
}

static bool is_one_of(const char *words, struct slice value)
{
    for (;;) {
        const char *bar = strchrnul(words, '|');
        if (slice_eq(slice_of(words, (size_t)(bar - words)), value))
            return true;
        if (!*bar)
            return false;
        words = bar + 1;
    }
}

enum err topic_config_check(struct slice name, struct slice value, struct reason *why)
{
    struct plog_config scratch;

    if (plog_config_row(name)) {
        plog_config_init(&scratch);
        return plog_config_set(&scratch, name, value, why);
    }
    for (size_t i = 0; i < OTHERS; i++) {
        if (!slice_eq_str(name, others[i].row.name))
            continue;
        if (slice_is_null(value) || (others[i].words && !is_one_of(others[i].words, value)))
            return reason_set(why, ERR_INVALID_CONFIG,
                              "Invalid value %.*s for configuration %s: String must be one of: %s", SLICE_FMT(value),
                              others[i].row.name, others[i].words ? others[i].words : "any text");
        return ERR_OK;
    }
    return reason_set(why, ERR_INVALID_CONFIG, "Unknown topic config name: %.*s", SLICE_FMT(name));
}

void topic_config_apply(const struct map *configs, struct plog_config *out)
{
    plog_config_init(out);
    for (const struct map_entry *e = configs ? map_first(configs) : NULL; e; e = map_next(configs, e))
        if (plog_config_row(map_key(e)) && plog_config_set(out, map_key(e), slice_str(e->value), NULL))
            continue; /* checked when it was set; a value this version no longer takes leaves the default */
}
