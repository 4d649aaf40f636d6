/* SPDX-License-Identifier: Apache-2.0
 * A registry's content as a file of JSON lines (the format is in schema_set.h), both directions. */
#include "cli/schema_set.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define FORMAT "castellan-schemas"
enum { FORMAT_VERSION = 1 };

/* --- writing --- */

static enum err print_line(struct session *s, FILE *out, json_t *line)
{
    char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
    bool bad = !text || fprintf(out, "%s\n", text) < 0;

    free(text);
    json_decref(line);
    return bad ? session_fail(s, ERR_IO, "writing the export: %s", errno ? strerror(errno) : "no memory") : ERR_OK;
}

/* {"kind": KIND} with the members of `rest`. */
static json_t *line_of(const char *kind, const json_t *rest)
{
    json_t *line = json_pack("{s:s}", "kind", kind);

    if (line)
        json_object_update(line, (json_t *)rest);
    return line;
}

static enum err print_scopes(struct session *s, FILE *out, const char *kind, json_t *values)
{
    const char *scope;
    json_t *value;
    enum err err = ERR_OK;

    json_object_foreach(values, scope, value) if (!err) err =
        print_line(s, out, json_pack("{s:s, s:s, s:O}", "kind", kind, "scope", scope, kind, value));
    return err;
}

enum err schema_set_print(struct session *s, const struct schema_set *set, FILE *out)
{
    json_t *schema;
    size_t i;
    enum err err = print_line(s, out,
                              json_pack("{s:s, s:s, s:i, s:s, s:O}", "kind", "header", "format", FORMAT, "version",
                                        FORMAT_VERSION, "from", set->from, "notes", set->notes));

    json_array_foreach(set->schemas, i, schema) if (!err) err = print_line(s, out, line_of("schema", schema));
    if (!err)
        err = print_scopes(s, out, "config", set->configs);
    if (!err)
        err = print_scopes(s, out, "mode", set->modes);
    if (!err)
        err = print_line(s, out,
                         json_pack("{s:s, s:I, s:I, s:I}", "kind", "end", "schemas",
                                   (json_int_t)json_array_size(set->schemas), "configs",
                                   (json_int_t)json_object_size(set->configs), "modes",
                                   (json_int_t)json_object_size(set->modes)));
    if (!err && fflush(out))
        err = session_fail(s, ERR_IO, "writing the export: %s", strerror(errno));
    return err;
}

/* --- reading --- */

struct reading {
    struct session *s;
    struct schema_set *set;
    const char *path;
    long line;
    bool begun, ended;
};

static enum err wrong(struct reading *r, const char *what)
{
    return session_fail(r->s, ERR_MALFORMED, "%s:%ld: %s", r->path, r->line, what);
}

static enum err read_scope(struct reading *r, const json_t *line, const char *kind, json_t *into)
{
    const char *scope = json_string_value(json_object_get(line, "scope"));
    json_t *value = json_object_get(line, kind);

    if (!scope || (strcmp(kind, "mode") ? !json_is_object(value) : !json_is_string(value)))
        return wrong(r, "a setting without scope or value");
    json_object_set(into, scope, value);
    return ERR_OK;
}

static bool counts(const json_t *line, const char *name, size_t n)
{
    return json_integer_value(json_object_get(line, name)) == (json_int_t)n;
}

static enum err read_line(struct reading *r, const json_t *line)
{
    const char *kind = json_string_value(json_object_get(line, "kind"));
    const char *format = json_string_value(json_object_get(line, "format"));
    enum err err;

    if (!r->begun) {
        if (!kind || strcmp(kind, "header") != 0 || !format || strcmp(format, FORMAT) != 0)
            return wrong(r, "not written by `castellan schema export`");
        if (!counts(line, "version", FORMAT_VERSION))
            return wrong(r, "written by another version of `castellan schema export`");
        r->begun = true;
        json_array_extend(r->set->notes, json_object_get(line, "notes"));
        return ERR_OK;
    }
    if (!kind || r->ended)
        return wrong(r, r->ended ? "more lines after the last one" : "a line without kind");
    if (!strcmp(kind, "schema")) {
        err = schema_set_add(r->s, r->set, line, schema_deleted(line));
        return err ? wrong(r, "a schema without subject, version, id or text") : ERR_OK;
    }
    if (!strcmp(kind, "config"))
        return read_scope(r, line, "config", r->set->configs);
    if (!strcmp(kind, "mode"))
        return read_scope(r, line, "mode", r->set->modes);
    if (strcmp(kind, "end") != 0)
        return wrong(r, "a line of unknown kind");
    r->ended = true;
    if (!counts(line, "schemas", json_array_size(r->set->schemas)) ||
        !counts(line, "configs", json_object_size(r->set->configs)) ||
        !counts(line, "modes", json_object_size(r->set->modes)))
        return wrong(r, "lines are missing, or there twice");
    return ERR_OK;
}

static enum err read_lines(struct reading *r, FILE *in)
{
    char *text = NULL;
    size_t cap = 0;
    ssize_t n;
    enum err err = ERR_OK;

    while (!err && (n = getline(&text, &cap, in)) >= 0) {
        json_error_t bad;
        json_t *line;
        r->line++;
        if (strspn(text, " \t\r\n") == (size_t)n)
            continue;
        line = json_loadb(text, (size_t)n, JSON_REJECT_DUPLICATES, &bad);
        err = line ? read_line(r, line) : wrong(r, bad.text);
        json_decref(line);
    }
    if (!err && ferror(in))
        err = session_fail(r->s, ERR_IO, "%s: %s", r->path, strerror(errno));
    free(text);
    if (!err && !r->begun)
        return wrong(r, "not written by `castellan schema export`");
    return err || r->ended ? err : wrong(r, "the file was cut short: its last line is missing");
}

enum err schema_set_read(struct session *s, struct schema_set *set, const char *path)
{
    bool standard = strcmp(path, "-") == 0;
    struct reading r = {.s = s, .set = set, .path = standard ? "stdin" : path};
    FILE *in = standard ? stdin : fopen(path, "re");
    enum err err = schema_set_from(s, set, r.path);

    if (!in)
        return session_fail(s, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: %s", path, strerror(errno));
    if (!err)
        err = read_lines(&r, in);
    if (!standard)
        fclose(in);
    return err;
}
