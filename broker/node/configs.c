/* SPDX-License-Identifier: Apache-2.0
 * DescribeConfigs and ListConfigResources: every key with its effective value and where it comes from. */
#include "broker/core/topic_config.h"
#include "broker/node/handlers.h"
#include "wire/describe_configs.h"
#include "wire/list_config_resources.h"

#include <stdio.h>
#include <stdlib.h>

enum config_source { SOURCE_TOPIC = 1, SOURCE_STATIC_BROKER = 4, SOURCE_DEFAULT = 5 };
enum { RESOURCE_TOPIC = 2, RESOURCE_BROKER = 4, RESOURCE_BROKER_LOGGER = 8 };

typedef struct describe_configs_response_describe_configs_result result;
typedef struct describe_configs_response_describe_configs_resource_result entry;

static bool wanted(const struct describe_configs_request_describe_configs_resource *in, struct slice name)
{
    if (in->configuration_keys.n <= 0) /* none named: all, as in Kafka */
        return true;
    for (int32_t i = 0; i < in->configuration_keys.n; i++)
        if (slice_eq(in->configuration_keys.v[i], name))
            return true;
    return false;
}

static void add_synonym(entry *e, struct slice name, struct slice value, int8_t source, struct arena *a)
{
    if (!e->synonyms.v)
        e->synonyms.v = arena_array(a, 2, sizeof *e->synonyms.v);
    if (!e->synonyms.v || e->synonyms.n == 2)
        return;
    describe_configs_response_describe_configs_synonym_init(&e->synonyms.v[e->synonyms.n]);
    e->synonyms.v[e->synonyms.n].name = name;
    e->synonyms.v[e->synonyms.n].value = value;
    e->synonyms.v[e->synonyms.n++].source = source;
}

static void fill_topic_entry(struct request *r, const struct topic_config_row *row, const char *own, entry *e)
{
    const struct describe_configs_request *req = r->body;

    describe_configs_response_describe_configs_resource_result_init(e);
    e->name = slice_str(row->name);
    e->value = slice_str(own ? own : row->fallback);
    e->config_source = own ? SOURCE_TOPIC : SOURCE_DEFAULT;
    e->config_type = (int8_t)row->type;
    e->documentation = req->include_documentation ? slice_str(row->help) : SLICE_NULL;
    if (!req->include_synonyms)
        return;
    if (own)
        add_synonym(e, e->name, e->value, SOURCE_TOPIC, &r->arena);
    if (row->synonym)
        add_synonym(e, slice_str(row->synonym), slice_str(row->fallback), SOURCE_DEFAULT, &r->arena);
}

static enum err describe_topic(struct request *r, const struct describe_configs_request_describe_configs_resource *in,
                               result *out, struct reason *why)
{
    const struct image_topic *t = image_topic(&r->node->image, in->resource_name);
    size_t n = topic_config_count();

    if (!topic_name_is_valid(in->resource_name))
        return reason_set(why, ERR_INVALID_TOPIC_EXCEPTION, "Topic name is invalid.");
    if (!t)
        return ERR_UNKNOWN_TOPIC_OR_PARTITION;
    if (!describe_configs_response_describe_configs_resource_result_array_alloc(&out->configs, (int32_t)n, &r->arena))
        return ERR_NO_MEMORY;
    out->configs.n = 0;
    for (size_t i = 0; i < n; i++) {
        struct topic_config_row row = topic_config_at(i);
        if (wanted(in, slice_str(row.name)))
            fill_topic_entry(r, &row, map_get(t->configs, slice_str(row.name)), &out->configs.v[out->configs.n++]);
    }
    return ERR_OK;
}

static int8_t type_of(const struct setting_row *row)
{
    switch (row->type) {
    case SETTING_STRING:
    case SETTING_PASSWORD:
        return CONFIG_TYPE_STRING;
    case SETTING_INT:
        return row->max > 0 && row->max <= INT32_MAX ? CONFIG_TYPE_INT : CONFIG_TYPE_LONG;
    case SETTING_BOOL:
        return CONFIG_TYPE_BOOLEAN;
    case SETTING_DOUBLE:
        return CONFIG_TYPE_DOUBLE;
    case SETTING_LIST:
        return CONFIG_TYPE_LIST;
    }
    return CONFIG_TYPE_STRING;
}

static enum err describe_broker(struct request *r, const struct describe_configs_request_describe_configs_resource *in,
                                result *out, struct reason *why)
{
    const struct describe_configs_request *req = r->body;
    const struct settings *s = r->node->settings;
    char id[16];
    size_t n = 0;

    snprintf(id, sizeof id, "%d", (int)r->node->id);
    if (!slice_eq_str(in->resource_name, id) && in->resource_name.n)
        return reason_set(why, ERR_INVALID_REQUEST,
                          "Unexpected broker id, expected %s, but received %.*s: ask that broker.", id,
                          SLICE_FMT(in->resource_name));
    if (in->resource_name.n == 0) /* what is set for all brokers at once: nothing, each has its file */
        return ERR_OK;
    while (node_setting_rows()[n].key)
        n++;
    if (!describe_configs_response_describe_configs_resource_result_array_alloc(&out->configs, (int32_t)n, &r->arena))
        return ERR_NO_MEMORY;
    out->configs.n = 0;
    for (size_t i = 0; i < n; i++) {
        const struct setting_row *row = &node_setting_rows()[i];
        const char *value = settings_string(s, row->key);
        entry *e = &out->configs.v[out->configs.n];
        bool own = value && value != row->fallback;

        if (!wanted(in, slice_str(row->key)))
            continue;
        out->configs.n++;
        e->name = slice_str(row->key);
        e->is_sensitive = row->type == SETTING_PASSWORD;
        e->value = e->is_sensitive ? SLICE_NULL : slice_str(value);
        e->read_only = true;
        e->config_source = own ? SOURCE_STATIC_BROKER : SOURCE_DEFAULT;
        e->config_type = type_of(row);
        e->documentation = req->include_documentation ? slice_str(row->help) : SLICE_NULL;
        if (req->include_synonyms)
            add_synonym(e, e->name, e->value, e->config_source, &r->arena);
    }
    return ERR_OK;
}

void node_handle_describe_configs(struct request *r)
{
    const struct describe_configs_request *req = r->body;
    struct describe_configs_response resp;

    describe_configs_response_init(&resp);
    describe_configs_response_describe_configs_result_array_alloc(&resp.results, req->resources.n, &r->arena);
    for (int32_t i = 0; i < resp.results.n; i++) {
        const struct describe_configs_request_describe_configs_resource *in = &req->resources.v[i];
        result *out = &resp.results.v[i];
        struct reason why = {0};
        enum err err;

        out->resource_type = in->resource_type;
        out->resource_name = in->resource_name;
        if (in->resource_type == RESOURCE_TOPIC)
            err = describe_topic(r, in, out, &why);
        else if (in->resource_type == RESOURCE_BROKER)
            err = describe_broker(r, in, out, &why);
        else if (in->resource_type == RESOURCE_BROKER_LOGGER)
            err = ERR_OK; /* there are none */
        else
            err = reason_set(&why, ERR_INVALID_REQUEST, "Unsupported resource type %d.", in->resource_type);
        out->error_code = err_kafka(err);
        if (why.code) /* else "", as in Kafka */
            out->error_message = arena_copy(&r->arena, slice_str(why.text));
    }
    request_answer(r, &resp);
}

static bool asks_for(const struct list_config_resources_request *req, int8_t type)
{
    for (int32_t i = 0; i < req->resource_types.n; i++)
        if (req->resource_types.v[i] == type)
            return true;
    return req->resource_types.n == 0;
}

/* Version 0 lists client metrics subscriptions, of which there are none; version 1 any resource (KIP-1142). */
void node_handle_list_config_resources(struct request *r)
{
    const struct image *m = &r->node->image;
    struct list_config_resources_response resp;
    int32_t n = 0;

    list_config_resources_response_init(&resp);
    if (!list_config_resources_response_config_resource_array_alloc(
            &resp.config_resources, (int32_t)(map_count(&m->topics) + map_count(&m->brokers)), &r->arena)) {
        request_answer(r, &resp);
        return;
    }
    for (const struct map_entry *e = map_first(&m->topics); r->version > 0 && asks_for(r->body, RESOURCE_TOPIC) && e;
         e = map_next(&m->topics, e)) {
        resp.config_resources.v[n].resource_type = RESOURCE_TOPIC;
        resp.config_resources.v[n++].resource_name = map_key(e);
    }
    for (const struct map_entry *e = map_first(&m->brokers); r->version > 0 && asks_for(r->body, RESOURCE_BROKER) && e;
         e = map_next(&m->brokers, e)) {
        resp.config_resources.v[n].resource_type = RESOURCE_BROKER;
        resp.config_resources.v[n++].resource_name =
            slice_str(arena_printf(&r->arena, "%d", (int)((const struct image_broker *)e->value)->id));
    }
    resp.config_resources.n = n;
    request_answer(r, &resp);
}
