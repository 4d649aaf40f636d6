/* SPDX-License-Identifier: Apache-2.0
 * `castellan topic`: topics and their settings. */
#include "cli/session.h"
#include "wire/create_partitions.h"
#include "wire/create_topics.h"
#include "wire/delete_topics.h"
#include "wire/describe_configs.h"
#include "wire/incremental_alter_configs.h"
#include "wire/metadata.h"

#include <stdlib.h>

enum {
    TIMEOUT_MS = 30000,
    RESOURCE_TOPIC = 2,
    CONFIG_SET = 0,
    CONFIG_DELETE = 1,
    SOURCE_TOPIC = 1,
    PARTITIONS_MAX = 100000
};

typedef struct metadata_response_metadata_response_topic topic;

/* How often an option was given. */
static size_t count_of(struct session *s, const char *name)
{
    size_t n = 0;
    for (size_t i = 0; i < s->args->given; i++)
        n += strcmp(s->args->given_name[i], name) == 0;
    return n;
}

static enum err split_setting(struct session *s, const char *text, struct slice *key, struct slice *value)
{
    const char *equals = strchr(text, '=');

    if (!equals || equals == text)
        return session_wrong_usage(s, "--set \"%s\" is not KEY=VALUE", text);
    *key = slice_of(text, (size_t)(equals - text));
    *value = slice_str(equals + 1);
    return ERR_OK;
}

static enum err fill_settings(struct session *s, struct create_topics_request_creatable_topic_config_array *out)
{
    int32_t n = 0;
    enum err err = ERR_OK;

    if (!create_topics_request_creatable_topic_config_array_alloc(out, (int32_t)count_of(s, "set"), &s->arena))
        return session_fail(s, ERR_NO_MEMORY, "no memory");
    for (size_t i = 0; !err && i < s->args->given; i++)
        if (strcmp(s->args->given_name[i], "set") == 0) {
            err = split_setting(s, s->args->given_value[i], &out->v[n].name, &out->v[n].value);
            n++;
        }
    return err;
}

static enum err run_create(struct session *s)
{
    struct create_topics_request request;
    struct create_topics_response response;
    int64_t partitions = -1, replicas = -1;
    enum err err = session_number(s, "partitions", 1, PARTITIONS_MAX, &partitions);

    if (!err)
        err = session_number(s, "replication-factor", 1, INT16_MAX, &replicas);
    create_topics_request_init(&request);
    request.timeout_ms = TIMEOUT_MS;
    if (!err && !create_topics_request_creatable_topic_array_alloc(&request.topics, 1, &s->arena))
        err = session_fail(s, ERR_NO_MEMORY, "no memory");
    if (!err)
        err = fill_settings(s, &request.topics.v[0].configs);
    if (err)
        return err;
    request.topics.v[0].name = slice_str(s->words[0]);
    request.topics.v[0].num_partitions = (int32_t)partitions;
    request.topics.v[0].replication_factor = (int16_t)replicas;
    err = session_call(s, KAFKA_CLI_CONTROLLER, WIRE_CREATE_TOPICS, &request, &response);
    if (!err && response.topics.n != 1)
        err =
            session_fail(s, ERR_MALFORMED, "the server answered for %d topics instead of one", (int)response.topics.n);
    if (!err)
        err = session_check(s, response.topics.v[0].error_code, response.topics.v[0].error_message,
                            "cannot create the topic %s", s->words[0]);
    if (err)
        return err;
    partitions = response.topics.v[0].num_partitions;
    return session_say(s,
                       json_pack("{s:s, s:I, s:i}", "topic", s->words[0], "partitions", (json_int_t)partitions,
                                 "replication_factor", (int)response.topics.v[0].replication_factor),
                       "topic %s created with %lld partition%s", s->words[0], (long long)partitions,
                       partitions == 1 ? "" : "s");
}

static enum err metadata(struct session *s, const char *name, struct metadata_response *out)
{
    struct metadata_request request;

    metadata_request_init(&request);
    request.allow_auto_topic_creation = false;
    request.topics.n = -1;
    if (name) {
        if (!metadata_request_metadata_request_topic_array_alloc(&request.topics, 1, &s->arena))
            return session_fail(s, ERR_NO_MEMORY, "no memory");
        request.topics.v[0].name = slice_str(name);
    }
    return session_call(s, KAFKA_CLI_ANY, WIRE_METADATA, &request, out);
}

static bool is_ours(const topic *t)
{
    return t->is_internal || slice_starts(t->name, slice_str("__")) || slice_eq_str(t->name, "_schemas");
}

static enum err run_list(struct session *s)
{
    static const struct table_column columns[] = {
        {"topic", "TOPIC"}, {"partitions", "PARTITIONS"}, {"replication_factor", "REPLICAS"}, {0}};
    struct metadata_response m;
    json_t *rows;
    enum err err = metadata(s, NULL, &m);

    if (err)
        return err;
    rows = json_array();
    for (int32_t i = 0; i < m.topics.n; i++) {
        const topic *t = &m.topics.v[i];
        json_t *row;
        if (t->error_code || (is_ours(t) && !session_flag(s, "all")))
            continue;
        row = json_object();
        json_object_set_new(row, "topic", session_json_slice(t->name));
        json_object_set_new(row, "partitions", json_integer(t->partitions.n));
        json_object_set_new(row, "replication_factor",
                            json_integer(t->partitions.n > 0 ? t->partitions.v[0].replica_nodes.n : 0));
        json_array_append_new(rows, row);
    }
    return session_show_rows(s, rows, columns, "no topics that this user may see");
}

/* The settings that were made for the topic itself. */
static enum err own_settings(struct session *s, const char *name, json_t *out)
{
    struct describe_configs_request request;
    struct describe_configs_response response;
    enum err err;

    describe_configs_request_init(&request);
    if (!describe_configs_request_describe_configs_resource_array_alloc(&request.resources, 1, &s->arena))
        return session_fail(s, ERR_NO_MEMORY, "no memory");
    request.resources.v[0].resource_type = RESOURCE_TOPIC;
    request.resources.v[0].resource_name = slice_str(name);
    request.resources.v[0].configuration_keys.n = -1;
    err = session_call(s, KAFKA_CLI_ANY, WIRE_DESCRIBE_CONFIGS, &request, &response);
    for (int32_t i = 0; !err && i < response.results.n; i++) {
        const struct describe_configs_response_describe_configs_result *r = &response.results.v[i];
        if (r->error_code == ERR_TOPIC_AUTHORIZATION_FAILED) /* DESCRIBE alone does not show settings */
            continue;
        err = session_check(s, r->error_code, r->error_message, "cannot read the settings of %s", name);
        for (int32_t k = 0; !err && k < r->configs.n; k++)
            if (r->configs.v[k].config_source == SOURCE_TOPIC)
                json_object_set_new(out, arena_strdup(&s->arena, r->configs.v[k].name),
                                    session_json_slice(r->configs.v[k].value));
    }
    return err;
}

static json_t *node_list(const struct wire_int32_array *nodes)
{
    json_t *list = json_array();
    for (int32_t i = 0; i < nodes->n; i++)
        json_array_append_new(list, json_integer(nodes->v[i]));
    return list;
}

static int by_index(const void *a, const void *b)
{
    const struct metadata_response_metadata_response_partition *x = a, *y = b;
    return (x->partition_index > y->partition_index) - (x->partition_index < y->partition_index);
}

static json_t *partition_rows(const topic *t)
{
    json_t *rows = json_array();

    qsort(t->partitions.v, (size_t)t->partitions.n, sizeof *t->partitions.v, by_index);
    for (int32_t i = 0; i < t->partitions.n; i++) {
        const struct metadata_response_metadata_response_partition *p = &t->partitions.v[i];
        json_t *row = json_object();
        json_object_set_new(row, "partition", json_integer(p->partition_index));
        json_object_set_new(row, "leader", p->leader_id < 0 ? json_null() : json_integer(p->leader_id));
        json_object_set_new(row, "replicas", node_list(&p->replica_nodes));
        json_object_set_new(row, "in_sync", node_list(&p->isr_nodes));
        json_array_append_new(rows, row);
    }
    return rows;
}

/* ["key=value", ...]: how people read them. */
static json_t *settings_as_words(struct session *s, json_t *settings)
{
    json_t *words = json_array(), *value;
    const char *key;

    json_object_foreach(settings, key, value)
    {
        const char *text = json_string_value(value);
        json_array_append_new(words, json_string(arena_printf(&s->arena, "%s=%s", key, text ? text : "")));
    }
    return words;
}

static enum err run_describe(struct session *s)
{
    static const struct table_column fields[] = {{"topic", "topic"}, {"settings", "settings"}, {0}};
    static const struct table_column columns[] = {
        {"partition", "PARTITION"}, {"leader", "LEADER"}, {"replicas", "REPLICAS"}, {"in_sync", "IN-SYNC"}, {0}};
    struct metadata_response m;
    json_t *o, *settings, *rows;
    enum err err = metadata(s, s->words[0], &m);

    if (!err && m.topics.n != 1)
        err = session_fail(s, ERR_MALFORMED, "the server answered for %d topics instead of one", (int)m.topics.n);
    if (!err)
        err = session_check(s, m.topics.v[0].error_code, SLICE_NULL, "cannot describe the topic %s", s->words[0]);
    if (err)
        return err;
    settings = json_object();
    o = json_pack("{s:s, s:o}", "topic", s->words[0], "settings", settings);
    err = own_settings(s, s->words[0], settings);
    if (err) {
        json_decref(o);
        return err;
    }
    rows = partition_rows(&m.topics.v[0]);
    if (session_flag(s, "json")) {
        json_object_set_new(o, "partitions", rows);
        return session_show_fields(s, o, fields);
    }
    json_object_set_new(o, "settings", settings_as_words(s, settings));
    err = session_show_fields(s, o, fields);
    if (!err)
        return session_show_rows(s, rows, columns, "no partitions");
    json_decref(rows);
    return err;
}

static enum err alter_partitions(struct session *s, int64_t count)
{
    struct create_partitions_request request;
    struct create_partitions_response response;
    enum err err;

    create_partitions_request_init(&request);
    request.timeout_ms = TIMEOUT_MS;
    if (!create_partitions_request_create_partitions_topic_array_alloc(&request.topics, 1, &s->arena))
        return session_fail(s, ERR_NO_MEMORY, "no memory");
    request.topics.v[0].name = slice_str(s->words[0]);
    request.topics.v[0].count = (int32_t)count;
    request.topics.v[0].assignments.n = -1;
    err = session_call(s, KAFKA_CLI_CONTROLLER, WIRE_CREATE_PARTITIONS, &request, &response);
    for (int32_t i = 0; !err && i < response.results.n; i++)
        err = session_check(s, response.results.v[i].error_code, response.results.v[i].error_message,
                            "cannot add partitions to %s", s->words[0]);
    return err;
}

static enum err fill_changes(struct session *s, struct incremental_alter_configs_request_alterable_config_array *out)
{
    size_t n = count_of(s, "set") + count_of(s, "unset"), at = 0;
    enum err err = ERR_OK;

    if (!incremental_alter_configs_request_alterable_config_array_alloc(out, (int32_t)n, &s->arena))
        return session_fail(s, ERR_NO_MEMORY, "no memory");
    for (size_t i = 0; !err && i < s->args->given; i++) {
        bool set = strcmp(s->args->given_name[i], "set") == 0, unset = strcmp(s->args->given_name[i], "unset") == 0;
        if (!set && !unset)
            continue;
        out->v[at].config_operation = set ? CONFIG_SET : CONFIG_DELETE;
        out->v[at].name = slice_str(s->args->given_value[i]);
        out->v[at].value = SLICE_NULL;
        if (set)
            err = split_setting(s, s->args->given_value[i], &out->v[at].name, &out->v[at].value);
        at++;
    }
    return err;
}

static enum err alter_settings(struct session *s)
{
    struct incremental_alter_configs_request request;
    struct incremental_alter_configs_response response;
    enum err err;

    incremental_alter_configs_request_init(&request);
    if (!incremental_alter_configs_request_alter_configs_resource_array_alloc(&request.resources, 1, &s->arena))
        return session_fail(s, ERR_NO_MEMORY, "no memory");
    request.resources.v[0].resource_type = RESOURCE_TOPIC;
    request.resources.v[0].resource_name = slice_str(s->words[0]);
    err = fill_changes(s, &request.resources.v[0].configs);
    if (!err)
        err = session_call(s, KAFKA_CLI_CONTROLLER, WIRE_INCREMENTAL_ALTER_CONFIGS, &request, &response);
    for (int32_t i = 0; !err && i < response.responses.n; i++)
        err = session_check(s, response.responses.v[i].error_code, response.responses.v[i].error_message,
                            "cannot change the settings of %s", s->words[0]);
    return err;
}

static enum err run_alter(struct session *s)
{
    int64_t partitions = 0;
    bool settings = session_flag(s, "set") || session_flag(s, "unset");
    enum err err = session_number(s, "partitions", 1, PARTITIONS_MAX, &partitions);

    if (!err && !partitions && !settings)
        err = session_wrong_usage(s, "what to change? --partitions N, --set KEY=VALUE, --unset KEY");
    if (!err && settings)
        err = alter_settings(s);
    if (!err && partitions)
        err = alter_partitions(s, partitions);
    return err ? err : session_say(s, json_pack("{s:s}", "topic", s->words[0]), "topic %s changed", s->words[0]);
}

static enum err run_delete(struct session *s)
{
    struct delete_topics_request request;
    struct delete_topics_response response;
    struct slice name = slice_str(s->words[0]);
    enum err err;

    delete_topics_request_init(&request);
    request.timeout_ms = TIMEOUT_MS;
    if (!delete_topics_request_delete_topic_state_array_alloc(&request.topics, 1, &s->arena))
        return session_fail(s, ERR_NO_MEMORY, "no memory");
    request.topics.v[0].name = name;
    request.topic_names.v = &name; /* up to version 5 */
    request.topic_names.n = 1;
    err = session_call(s, KAFKA_CLI_CONTROLLER, WIRE_DELETE_TOPICS, &request, &response);
    for (int32_t i = 0; !err && i < response.responses.n; i++)
        err = session_check(s, response.responses.v[i].error_code, response.responses.v[i].error_message,
                            "cannot delete the topic %s", s->words[0]);
    return err ? err : session_say(s, json_pack("{s:s}", "deleted", s->words[0]), "topic %s deleted", s->words[0]);
}

static const struct action actions[] = {
    {"create", 1, 1, run_create}, {"list", 0, 0, run_list},     {"describe", 1, 1, run_describe},
    {"alter", 1, 1, run_alter},   {"delete", 1, 1, run_delete}, {0},
};

static int run(const struct verb *verb, const struct args *args)
{
    return session_dispatch(verb, args, actions);
}

static const struct arg_option options[] = {
    {"partitions", "N", "how many partitions; alter: how many there shall be in all"},
    {"replication-factor", "N", "copies of each (default: the cluster's)"},
    {"set", "KEY=VALUE", "a setting of the topic; may be repeated"},
    {"unset", "KEY", "alter: back to the cluster's default; may be repeated"},
    {"all", NULL, "list: also the topics that Castellan and the cluster keep for themselves"},
    {0},
};

const struct verb verb_topic = {
    .name = "topic",
    .summary = "topics and their settings",
    .usage = "create NAME [--partitions N] [--replication-factor N] [--set KEY=VALUE]...\n"
             "list [--all]\n"
             "describe NAME\n"
             "alter NAME [--partitions N] [--set KEY=VALUE]... [--unset KEY]...\n"
             "delete NAME",
    .options = options,
    .run = run,
};
