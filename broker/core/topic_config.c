/* SPDX-License-Identifier: Apache-2.0
 * The table of topic configuration keys and what their values may be. Values are kept as text, checked once. */
#include "broker/core/topic_config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

const struct topic_config_row topic_config_rows[TOPIC_CONFIG_COUNT] = {
#define T(id, name, type, synonym, fallback, min, words, help)                                                         \
    {name, CONFIG_TYPE_##type, synonym, fallback, min, words, help},
#include "broker/core/topic_config.tbl"
#undef T
};

const struct topic_config_row *topic_config_find(struct slice name)
{
    for (size_t i = 0; i < TOPIC_CONFIG_COUNT; i++)
        if (slice_eq_str(name, topic_config_rows[i].name))
            return &topic_config_rows[i];
    return NULL;
}

static bool is_one_of(const char *words, const char *value, size_t n)
{
    for (;;) {
        const char *bar = strchrnul(words, '|');
        if ((size_t)(bar - words) == n && memcmp(words, value, n) == 0)
            return true;
        if (!*bar)
            return false;
        words = bar + 1;
    }
}

static enum err check_number(const struct topic_config_row *row, const char *text, struct reason *why)
{
    int64_t max = row->type == CONFIG_TYPE_INT ? INT32_MAX : INT64_MAX;
    char *end;
    int64_t v;

    errno = 0;
    v = strtoll(text, &end, 10);
    if (!*text || *end || errno || v > max)
        return reason_set(why, ERR_INVALID_CONFIG, "Invalid value %s for configuration %s: Not a number of type %s",
                          text, row->name, row->type == CONFIG_TYPE_INT ? "INT" : "LONG");
    if (v < row->min)
        return reason_set(why, ERR_INVALID_CONFIG, "Invalid value %s for configuration %s: Value must be at least %lld",
                          text, row->name, (long long)row->min);
    return ERR_OK;
}

static enum err check_words(const struct topic_config_row *row, const char *text, struct reason *why)
{
    const char *p = text;

    while (row->words) {
        size_t n = row->type == CONFIG_TYPE_LIST ? strcspn(p, ",") : strlen(p);
        if (!is_one_of(row->words, p, n))
            return reason_set(why, ERR_INVALID_CONFIG,
                              "Invalid value %s for configuration %s: String must be one of: %s", text, row->name,
                              row->words);
        if (!p[n])
            break;
        p += n + 1;
    }
    return ERR_OK;
}

enum err topic_config_check(struct slice name, struct slice value, struct reason *why)
{
    const struct topic_config_row *row = topic_config_find(name);
    char text[1024], *end;
    double d;

    if (!row)
        return reason_set(why, ERR_INVALID_CONFIG, "Unknown topic config name: %.*s", SLICE_FMT(name));
    if (!value.p || value.n >= sizeof text)
        return reason_set(why, ERR_INVALID_CONFIG, "Invalid value for configuration %s: %s", row->name,
                          value.p ? "too long" : "null value not supported");
    memcpy(text, value.p, value.n);
    text[value.n] = 0;
    switch (row->type) {
    case CONFIG_TYPE_BOOLEAN:
        if (strcmp(text, "true") && strcmp(text, "false"))
            return reason_set(why, ERR_INVALID_CONFIG,
                              "Invalid value %s for configuration %s: Expected value to be either true or false", text,
                              row->name);
        return ERR_OK;
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_SHORT:
    case CONFIG_TYPE_LONG:
        return check_number(row, text, why);
    case CONFIG_TYPE_DOUBLE:
        d = strtod(text, &end);
        if (!*text || *end || !(d >= 0 && d <= 1))
            return reason_set(why, ERR_INVALID_CONFIG,
                              "Invalid value %s for configuration %s: Not a number from 0 to 1", text, row->name);
        return ERR_OK;
    case CONFIG_TYPE_STRING:
    case CONFIG_TYPE_LIST:
        return check_words(row, text, why);
    case CONFIG_TYPE_UNKNOWN:
    case CONFIG_TYPE_CLASS:
    case CONFIG_TYPE_PASSWORD:
        return ERR_OK;
    }
    return ERR_OK;
}

const char *topic_config_value(const struct map *configs, enum topic_config_id id)
{
    const char *own = configs ? map_get(configs, slice_str(topic_config_rows[id].name)) : NULL;
    return own ? own : topic_config_rows[id].fallback;
}

int64_t topic_config_int(const struct map *configs, enum topic_config_id id)
{
    return strtoll(topic_config_value(configs, id), NULL, 10);
}

double topic_config_double(const struct map *configs, enum topic_config_id id)
{
    return strtod(topic_config_value(configs, id), NULL);
}

bool topic_config_bool(const struct map *configs, enum topic_config_id id)
{
    return strcmp(topic_config_value(configs, id), "true") == 0;
}

bool topic_config_list_has(const struct map *configs, enum topic_config_id id, const char *word)
{
    const char *p = topic_config_value(configs, id);
    size_t want = strlen(word);

    for (;;) {
        size_t n = strcspn(p, ",");
        if (n == want && memcmp(p, word, n) == 0)
            return true;
        if (!p[n])
            return false;
        p += n + 1;
    }
}
