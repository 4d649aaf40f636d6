/* SPDX-License-Identifier: Apache-2.0
 * `castellan status`: what serves and what does not. Exit status 1 when something does not. */
#include "cli/session.h"

#include <stdio.h>

static void add_state(json_t *rows, const char *part, const char *state, const char *detail)
{
    json_t *row = json_object();

    json_object_set_new(row, "part", json_string(part));
    json_object_set_new(row, "state", json_string(state));
    json_object_set_new(row, "detail", json_string(detail ? detail : ""));
    json_array_append_new(rows, row);
}

static void add_row(json_t *rows, const char *part, bool ready, const char *detail)
{
    add_state(rows, part, ready ? "serving" : "NOT READY", detail);
}

static long long number(const json_t *o, const char *key)
{
    return (long long)json_integer_value(json_object_get(o, key));
}

static const char *text_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "?";
}

static void add_nodes(json_t *rows, const json_t *nodes)
{
    char name[32], text[400];
    json_t *node;
    size_t i;

    json_array_foreach(nodes, i, node)
    {
        const char *state = text_of(node, "state");

        snprintf(name, sizeof name, "node %lld", number(node, "id"));
        snprintf(text, sizeof text, "%s:%lld, for %lld s, %lld MiB of %lld usable", text_of(node, "host"),
                 number(node, "port"), number(node, "for_s"), number(node, "disk_usable") >> 20,
                 number(node, "disk_total") >> 20);
        add_state(rows, name, strcmp(state, "silent") == 0 ? "SILENT" : state, text);
    }
}

static json_t *rows_of(const json_t *status)
{
    const json_t *counts = json_object_get(status, "counts"), *keyd = json_object_get(status, "keyd");
    json_t *rows = json_array(), *part, *problem;
    const char *name;
    char text[256];
    size_t i;

    json_object_foreach(json_object_get(status, "parts"), name, part)
    {
        const char *detail = json_string_value(json_object_get(part, "detail"));
        if (!detail && strcmp(name, "gateway") == 0)
            snprintf(text, sizeof text, "%lld users, %lld rules, %lld quotas, %lld policies", number(counts, "users"),
                     number(counts, "acls"), number(counts, "quotas"), number(counts, "policies"));
        else if (!detail && strcmp(name, "cluster") == 0)
            snprintf(text, sizeof text, "%s, %lld partitions", text_of(status, "cluster_id"),
                     number(json_object_get(status, "partitions"), "total"));
        else if (!detail && strcmp(name, "keyd") == 0)
            snprintf(text, sizeof text, "%lld subjects with %lld keys, %lld forgotten, custody: %s",
                     number(keyd, "subjects"), number(keyd, "live_keys"), number(keyd, "erased_subjects"),
                     text_of(keyd, "custody"));
        else
            snprintf(text, sizeof text, "%s", detail ? detail : "");
        add_row(rows, name, json_is_true(json_object_get(part, "ready")), text);
    }
    add_nodes(rows, json_object_get(status, "nodes"));
    json_array_foreach(json_object_get(status, "problems"), i, problem)
    {
        add_state(rows, "problem", "-", json_string_value(problem));
    }
    return rows;
}

static enum err run_status(struct session *s)
{
    static const struct table_column columns[] = {{"part", "PART"}, {"state", "STATE"}, {"detail", "DETAIL"}, {0}};
    json_t *status = NULL, *shown;
    size_t problems;
    bool ready;
    enum err err = session_http(s, SESSION_ADMIN, "GET", "/v1/status", NULL, &status);

    if (err)
        return err;
    ready = json_is_true(json_object_get(status, "ready"));
    problems = json_array_size(json_object_get(status, "problems"));
    shown = session_flag(s, "json") ? json_incref(status) : rows_of(status);
    json_decref(status);
    err = session_show_rows(s, shown, columns, "");
    if (!err && !ready)
        err = session_fail(s, ERR_UNAVAILABLE, "not every part is ready");
    else if (!err && problems)
        err = session_fail(s, ERR_UNAVAILABLE, "it serves, with %zu problem%s", problems, problems == 1 ? "" : "s");
    return err;
}

static const struct action actions[] = {{"", 0, 0, run_status}, {0}};

static int run(const struct verb *verb, const struct args *args)
{
    return session_dispatch(verb, args, actions);
}

static const struct arg_option options[] = {{0}};

const struct verb verb_status = {
    .name = "status",
    .summary = "what serves and what does not",
    .usage = "",
    .options = options,
    .run = run,
};
