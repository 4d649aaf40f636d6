/* SPDX-License-Identifier: Apache-2.0
 * `castellan schema`: the registry from the command line, over its REST interface as any client uses it, so that
 * export and import also work with another registry of that interface. Exporting and importing whole registries is
 * cli/schema_transfer.c. */
#include "cli/schema.h"
#include "core/base/fs.h"

#include <stdio.h>
#include <stdlib.h>

enum err schema_ask(struct session *s, const char *method, const json_t *body, json_t **answer, const char *first,
                    const char *subject, const char *rest)
{
    struct buf path;
    enum err err;

    buf_init(&path, 0);
    session_put_path(&path, first, subject, rest);
    err = buf_error(&path) ? session_fail(s, buf_error(&path), "no memory")
                           : session_http(s, SESSION_REGISTRY, method, buf_cstr(&path), body, answer);
    buf_free(&path);
    return err;
}

enum err schema_each_page(struct session *s, const char *query, json_t **out)
{
    json_t *all = json_array();

    for (;;) {
        char rest[96];
        json_t *page = NULL;
        size_t n;
        enum err err;
        snprintf(rest, sizeof rest, "?offset=%zu&limit=%d%s", json_array_size(all), SCHEMA_PAGE, query);
        err = schema_ask(s, "GET", NULL, &page, "/schemas", NULL, rest);
        if (err) {
            json_decref(all);
            return err;
        }
        n = json_array_size(page);
        json_array_extend(all, page);
        json_decref(page);
        if (n < SCHEMA_PAGE)
            break;
    }
    *out = all;
    return ERR_OK;
}

static enum err run_list(struct session *s)
{
    static const struct table_column columns[] = {
        {"subject", "SUBJECT"}, {"version", "VERSION"}, {"id", "ID"}, {"schemaType", "TYPE"}, {0}};
    json_t *rows = NULL, *row;
    size_t i;
    enum err err = schema_each_page(s, session_flag(s, "all") ? "" : "&latestOnly=true", &rows);

    if (err)
        return err;
    json_array_foreach(rows, i, row) if (!json_object_get(row, "schemaType"))
        json_object_set_new(row, "schemaType", json_string("AVRO"));
    return session_show_rows(s, rows, columns, "no schemas that this user may see");
}

static enum err run_show(struct session *s)
{
    static const struct table_column columns[] = {{"subject", "subject"}, {"version", "version"}, {"id", "id"},
                                                  {"schemaType", "type"}, {"references", "uses"}, {0}};
    char rest[64];
    json_t *answer = NULL, *schema;
    const char *text;
    char *pretty;
    enum err err;

    snprintf(rest, sizeof rest, "/versions/%.40s", s->word_count > 1 ? s->words[1] : "latest");
    err = schema_ask(s, "GET", NULL, &answer, "/subjects/", s->words[0], rest);
    if (err)
        return err;
    if (session_flag(s, "json"))
        return session_show_fields(s, answer, columns);
    if (!json_object_get(answer, "schemaType"))
        json_object_set_new(answer, "schemaType", json_string("AVRO"));
    text = json_string_value(json_object_get(answer, "schema"));
    schema = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL; /* protobuf is not JSON */
    pretty = schema ? json_dumps(schema, JSON_INDENT(2) | JSON_ENCODE_ANY) : NULL;
    err = session_show_fields(s, json_incref(answer), columns);
    if (!err)
        printf("%s\n", pretty ? pretty : text ? text : "");
    free(pretty);
    json_decref(schema);
    json_decref(answer);
    return err;
}

/* "NAME=SUBJECT:VERSION" */
static enum err put_references(struct session *s, json_t *body)
{
    json_t *list = json_array();

    for (size_t i = 0; i < s->args->given; i++) {
        const char *word = s->args->given_value[i], *equals, *colon;
        json_t *o;
        if (strcmp(s->args->given_name[i], "reference") != 0)
            continue;
        equals = strchr(word, '=');
        colon = strrchr(word, ':');
        if (!equals || !colon || colon < equals || strspn(colon + 1, "0123456789") != strlen(colon + 1) || !colon[1]) {
            json_decref(list);
            return session_wrong_usage(s, "--reference \"%s\" is not NAME=SUBJECT:VERSION", word);
        }
        o = json_object();
        json_object_set_new(o, "name", json_stringn(word, (size_t)(equals - word)));
        json_object_set_new(o, "subject", json_stringn(equals + 1, (size_t)(colon - equals - 1)));
        json_object_set_new(o, "version", json_integer(strtoll(colon + 1, NULL, 10)));
        json_array_append_new(list, o);
    }
    if (json_array_size(list))
        json_object_set(body, "references", list);
    json_decref(list);
    return ERR_OK;
}

/* {"schema": text of the file, "schemaType": ...} */
static enum err body_of(struct session *s, json_t **out)
{
    const char *type = session_option(s, "type");
    struct buf text;
    json_t *schema;
    enum err err;

    buf_init(&text, SCHEMA_FILE_MAX);
    err = fs_read_file(s->words[1], &text, &s->why);
    schema = err ? NULL : json_stringn(text.n ? (const char *)text.p : "", text.n);
    buf_free(&text);
    if (err)
        return err;
    if (!schema)
        return session_fail(s, ERR_MALFORMED, "%s is not UTF-8 text", s->words[1]);
    *out = json_object();
    json_object_set_new(*out, "schema", schema);
    if (type)
        json_object_set_new(*out, "schemaType", json_string(type));
    err = put_references(s, *out);
    if (err)
        json_decref(*out);
    return err;
}

static enum err run_register(struct session *s)
{
    json_t *body = NULL, *answer = NULL;
    enum err err = body_of(s, &body);

    if (err)
        return err;
    err = schema_ask(s, "POST", body, &answer, "/subjects/", s->words[0], "/versions");
    json_decref(body);
    return err ? err
               : session_say(s, answer, "%s has the schema with id %lld", s->words[0],
                             (long long)json_integer_value(json_object_get(answer, "id")));
}

static enum err run_check(struct session *s)
{
    json_t *body = NULL, *answer = NULL, *message;
    bool compatible;
    size_t i;
    enum err err = body_of(s, &body);

    if (err)
        return err;
    err = schema_ask(s, "POST", body, &answer, "/compatibility/subjects/", s->words[0], "/versions?verbose=true");
    json_decref(body);
    if (err)
        return err;
    compatible = json_is_true(json_object_get(answer, "is_compatible"));
    if (!session_flag(s, "json"))
        json_array_foreach(json_object_get(answer, "messages"), i, message)
            printf("%s\n", json_string_value(message) ? json_string_value(message) : "");
    if (compatible)
        return session_say(s, answer, "compatible with what %s has", s->words[0]);
    err = session_flag(s, "json") ? session_say(s, answer, " ") : ERR_OK;
    if (!session_flag(s, "json"))
        json_decref(answer);
    return err ? err : session_fail(s, ERR_CONFLICT, "not compatible with what %s has", s->words[0]);
}

static const struct action actions[] = {
    {"list", 0, 0, run_list},
    {"show", 1, 2, run_show},
    {"register", 2, 2, run_register},
    {"check", 2, 2, run_check},
    {"export", 0, 0, schema_export},
    {"import", 0, 1, schema_import},
    {0},
};

static int run(const struct verb *verb, const struct args *args)
{
    return session_dispatch(verb, args, actions);
}

static const struct arg_option options[] = {
    {"type", "TYPE", "AVRO (default), JSON or PROTOBUF"},
    {"reference", "NAME=SUBJECT:VERSION", "a schema this one uses; may be repeated"},
    {"all", NULL, "list: every version, not only the latest"},
    {"from", "URL", "export, import: this running registry instead of --config's or a file"},
    {"from-user", "NAME", "log in there; the password comes with --password-stdin"},
    {"password-stdin", NULL, "the first line of stdin is that password"},
    {"from-ca", "PEM", "the authority of its certificate; default: the system's"},
    {"from-insecure", NULL, "do not verify its certificate; allow a password over http"},
    {"context", "NAME", "export, import: only this context (\".\": the default one)"},
    {"subject-prefix", "PREFIX", "export, import: only subjects that begin so"},
    {"dry-run", NULL, "import: tell what would be done, and every conflict; write nothing"},
    {0},
};

const struct verb verb_schema = {
    .name = "schema",
    .summary = "the shapes of data",
    .usage = "list [--all]\n"
             "show SUBJECT [VERSION]\n"
             "register SUBJECT FILE [--type AVRO|JSON|PROTOBUF] [--reference NAME=SUBJECT:VERSION]...\n"
             "check SUBJECT FILE [--type ...]     (would it be accepted?)\n"
             "export [--from URL ...]             (all schemas and settings, to stdout, as JSON lines)\n"
             "import FILE [--dry-run]             (\"-\": stdin; same ids and versions; may be repeated)\n"
             "import --from URL [--dry-run]       (from a running registry)",
    .options = options,
    .run = run,
};
