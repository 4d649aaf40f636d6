/* SPDX-License-Identifier: Apache-2.0
 * A registry's content as one JSON document, and back:
 *
 *   {"castellan_schemas": 1, "config": {...}, "subjects": {"NAME": {"config": {...}}, ...},
 *    "schemas": [{"subject", "version", "id", "schemaType", "schema", "references", "metadata", "ruleSet"}, ...]}
 *
 * Import keeps ids and versions: each subject is switched to mode IMPORT, given what it lacks in the order of ids, so
 * that what is referred to comes first, and switched back. What is there already is compared, never replaced: an import
 * that was cut short can be repeated, one onto other content is refused. */
#include "cli/schema.h"
#include "core/base/fs.h"

#include <stdio.h>
#include <stdlib.h>

static int by_id(const void *a, const void *b)
{
    json_int_t x = json_integer_value(json_object_get(*(json_t *const *)a, "id"));
    json_int_t y = json_integer_value(json_object_get(*(json_t *const *)b, "id"));
    json_int_t v = json_integer_value(json_object_get(*(json_t *const *)a, "version"));
    json_int_t w = json_integer_value(json_object_get(*(json_t *const *)b, "version"));

    return x != y ? (x > y) - (x < y) : (v > w) - (v < w);
}

/* The configuration of a subject (NULL: the global one); *out stays NULL where there is none. */
static enum err get_config(struct session *s, const char *subject, json_t **out)
{
    enum err err = schema_ask(s, "GET", NULL, out, subject ? "/config/" : "/config", subject, "");

    if (err != ERR_NOT_FOUND || !subject)
        return err;
    s->why = (struct reason){0};
    return ERR_OK;
}

/* GET answers with compatibilityLevel, PUT wants compatibility. */
static json_t *config_for_put(const json_t *config)
{
    json_t *o = json_deep_copy(config), *level = json_object_get(o, "compatibilityLevel");

    if (level) {
        json_object_set(o, "compatibility", level);
        json_object_del(o, "compatibilityLevel");
    }
    return o;
}

static enum err put_subject_configs(struct session *s, const json_t *schemas, json_t *subjects)
{
    json_t *schema;
    size_t i;

    json_array_foreach(schemas, i, schema)
    {
        const char *name = json_string_value(json_object_get(schema, "subject"));
        json_t *config = NULL, *o;
        enum err err;
        if (!name || json_object_get(subjects, name))
            continue;
        err = get_config(s, name, &config);
        if (err)
            return err;
        o = json_object();
        if (config)
            json_object_set_new(o, "config", config);
        json_object_set_new(subjects, name, o);
    }
    return ERR_OK;
}

enum err schema_export(struct session *s)
{
    json_t *schemas = NULL, *config = NULL, *subjects = json_object(), *all;
    enum err err = schema_each_page(s, "", &schemas);
    char *text;

    if (!err)
        err = get_config(s, NULL, &config);
    if (!err)
        err = put_subject_configs(s, schemas, subjects);
    if (err) {
        json_decref(schemas);
        json_decref(config);
        json_decref(subjects);
        return err;
    }
    all = json_pack("{s:i, s:o, s:o, s:o}", "castellan_schemas", 1, "config", config, "subjects", subjects, "schemas",
                    schemas);
    text = all ? json_dumps(all, JSON_INDENT(1) | JSON_SORT_KEYS) : NULL;
    json_decref(all);
    if (!text)
        return session_fail(s, ERR_NO_MEMORY, "no memory for the export");
    puts(text);
    free(text);
    return ERR_OK;
}

static enum err read_export(struct session *s, json_t **out)
{
    struct buf text;
    json_error_t wrong;
    enum err err;

    buf_init(&text, SCHEMA_FILE_MAX);
    err = fs_read_file(s->words[0], &text, &s->why);
    *out = err ? NULL : json_loadb(text.n ? (const char *)text.p : "", text.n, JSON_REJECT_DUPLICATES, &wrong);
    buf_free(&text);
    if (err)
        return err;
    if (!*out)
        return session_fail(s, ERR_MALFORMED, "%s:%d: %s", s->words[0], wrong.line, wrong.text);
    if (json_integer_value(json_object_get(*out, "castellan_schemas")) == 1 &&
        json_is_array(json_object_get(*out, "schemas")))
        return ERR_OK;
    json_decref(*out);
    return session_fail(s, ERR_MALFORMED, "%s was not written by `castellan schema export`", s->words[0]);
}

static enum err set_mode(struct session *s, const char *subject, const char *mode)
{
    json_t *body = json_pack("{s:s}", "mode", mode);
    enum err err = schema_ask(s, "PUT", body, NULL, "/mode/", subject, "?force=true");

    json_decref(body);
    return err;
}

/* *there: the same schema stands under the same version and id. Another one there is ERR_CONFLICT. */
static enum err compare_version(struct session *s, const json_t *schema, bool *there)
{
    const char *subject = json_string_value(json_object_get(schema, "subject"));
    json_int_t version = json_integer_value(json_object_get(schema, "version"));
    json_t *found = NULL;
    char rest[48];
    enum err err;

    *there = false;
    if (!subject || version <= 0)
        return session_fail(s, ERR_MALFORMED, "%s: a schema without subject or version", s->words[0]);
    snprintf(rest, sizeof rest, "/versions/%lld", (long long)version);
    err = schema_ask(s, "GET", NULL, &found, "/subjects/", subject, rest);
    if (err == ERR_NOT_FOUND) {
        s->why = (struct reason){0};
        return ERR_OK;
    }
    if (err)
        return err;
    *there = json_equal(json_object_get(found, "id"), json_object_get(schema, "id")) &&
             json_equal(json_object_get(found, "schema"), json_object_get(schema, "schema"));
    json_decref(found);
    return *there ? ERR_OK
                  : session_fail(s, ERR_CONFLICT, "%s version %lld is there with other content; nothing was replaced",
                                 subject, (long long)version);
}

static enum err import_schema(struct session *s, const json_t *schema)
{
    static const char *const members[] = {"schema", "schemaType", "references", "metadata", "ruleSet", "id", "version"};
    const char *subject = json_string_value(json_object_get(schema, "subject"));
    json_t *body = json_object();
    enum err err;

    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (json_object_get(schema, members[i]))
            json_object_set(body, members[i], json_object_get(schema, members[i]));
    err = schema_ask(s, "POST", body, NULL, "/subjects/", subject, "/versions");
    json_decref(body);
    return err;
}

static enum err import_one(struct session *s, const json_t *schema, json_t *subjects, size_t *added)
{
    const char *subject = json_string_value(json_object_get(schema, "subject"));
    bool there;
    enum err err = compare_version(s, schema, &there);

    if (err || there)
        return err;
    if (!json_object_get(subjects, subject)) {
        err = set_mode(s, subject, "IMPORT");
        if (err)
            return err;
        json_object_set_new(subjects, subject, json_true());
    }
    *added += 1;
    return import_schema(s, schema);
}

/* In the order of ids. `subjects` collects the names switched to IMPORT. */
static enum err import_schemas(struct session *s, const json_t *schemas, json_t *subjects, size_t *added)
{
    size_t n = json_array_size(schemas);
    json_t **order = calloc(n ? n : 1, sizeof *order);
    enum err err = order ? ERR_OK : session_fail(s, ERR_NO_MEMORY, "no memory");

    for (size_t i = 0; !err && i < n; i++)
        order[i] = json_array_get(schemas, i);
    if (!err)
        qsort(order, n, sizeof *order, by_id);
    for (size_t i = 0; !err && i < n; i++)
        err = import_one(s, order[i], subjects, added);
    free(order);
    return err;
}

static enum err import_configs(struct session *s, const json_t *all)
{
    json_t *subject, *body, *config = json_object_get(all, "config");
    const char *name;
    enum err err = ERR_OK;

    if (config) {
        body = config_for_put(config);
        err = schema_ask(s, "PUT", body, NULL, "/config", NULL, "");
        json_decref(body);
    }
    json_object_foreach(json_object_get(all, "subjects"), name, subject)
    {
        config = json_object_get(subject, "config");
        if (err || !config)
            continue;
        body = config_for_put(config);
        err = schema_ask(s, "PUT", body, NULL, "/config/", name, "");
        json_decref(body);
    }
    return err;
}

enum err schema_import(struct session *s)
{
    json_t *all = NULL, *switched, *value;
    const char *name;
    size_t n = 0;
    struct reason first;
    enum err err = read_export(s, &all);

    if (err)
        return err;
    switched = json_object();
    err = import_schemas(s, json_object_get(all, "schemas"), switched, &n);
    first = s->why;
    json_object_foreach(switched, name, value) /* whatever happened: nobody is left in mode IMPORT */
    {
        enum err back = schema_ask(s, "DELETE", NULL, NULL, "/mode/", name, "");
        if (!err && back) {
            err = back;
            first = s->why;
        }
    }
    s->why = first;
    if (!err)
        err = import_configs(s, all);
    json_decref(all);
    if (err) {
        json_decref(switched);
        return err;
    }
    value = json_pack("{s:I, s:I}", "schemas", (json_int_t)n, "subjects", (json_int_t)json_object_size(switched));
    err = session_say(s, value, "%zu schemas of %zu subjects imported; what was there already stayed", n,
                      json_object_size(switched));
    json_decref(switched);
    return err;
}
