/* SPDX-License-Identifier: Apache-2.0
 * A registry's content in memory: schemas in one normal form, found by subject and version or by context and id.
 * Ownership: the set owns all its values; lookups are borrowed. Reading and writing files is schema_file.c. */
#include "cli/schema_set.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { REFERENCE_DEPTH_MAX = 1000 };

void schema_set_init(struct schema_set *set)
{
    *set = (struct schema_set){
        .schemas = json_array(),
        .by_version = json_object(),
        .by_id = json_object(),
        .configs = json_object(),
        .modes = json_object(),
        .notes = json_array(),
    };
}

void schema_set_free(struct schema_set *set)
{
    free(set->from);
    json_decref(set->schemas);
    json_decref(set->by_version);
    json_decref(set->by_id);
    json_decref(set->configs);
    json_decref(set->modes);
    json_decref(set->notes);
    *set = (struct schema_set){0};
}

enum err schema_set_from(struct session *s, struct schema_set *set, const char *where)
{
    free(set->from);
    set->from = strdup(where);
    return set->from ? ERR_OK : session_fail(s, ERR_NO_MEMORY, "no memory");
}

void schema_set_note(struct schema_set *set, const char *fmt, ...)
{
    char text[500];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    json_array_append_new(set->notes, json_string(text));
}

/* --- schema objects --- */

const char *schema_subject(const json_t *schema)
{
    return json_string_value(json_object_get(schema, "subject"));
}

json_int_t schema_version(const json_t *schema)
{
    return json_integer_value(json_object_get(schema, "version"));
}

json_int_t schema_id(const json_t *schema)
{
    return json_integer_value(json_object_get(schema, "id"));
}

bool schema_deleted(const json_t *schema)
{
    return json_is_true(json_object_get(schema, "deleted"));
}

/* The length of ":.CONTEXT:" at the head of a qualified subject, 0 for a plain one. */
static size_t context_length(const char *subject)
{
    const char *end = subject[0] == ':' && subject[1] == '.' ? strchr(subject + 1, ':') : NULL;

    return end ? (size_t)(end - subject) + 1 : 0;
}

void schema_put_context_scope(struct buf *out, const char *subject)
{
    size_t n = context_length(subject);

    if (n > strlen(":.:"))
        buf_put(out, subject, n);
}

void schema_put_referred(struct buf *out, const char *parent, const char *subject)
{
    if (context_length(subject) == strlen(":.:")) {
        buf_put_str(out, subject + strlen(":.:"));
        return;
    }
    if (!context_length(subject))
        schema_put_context_scope(out, parent);
    buf_put_str(out, subject);
}

static json_t *text_as_json(const json_t *text)
{
    return json_is_string(text) ? json_loadb(json_string_value(text), json_string_length(text), JSON_DECODE_ANY, NULL)
                                : NULL;
}

bool schema_same_text(const json_t *a, const json_t *b)
{
    const json_t *x = json_object_get(a, "schema"), *y = json_object_get(b, "schema");
    json_t *p, *q;
    bool same = json_equal(x, y);

    if (same)
        return true;
    p = text_as_json(x);
    q = text_as_json(y);
    same = p && q && json_equal(p, q);
    json_decref(p);
    json_decref(q);
    return same;
}

static bool same_member(const json_t *a, const json_t *b, const char *name)
{
    const json_t *x = json_object_get(a, name), *y = json_object_get(b, name);

    return (!x && !y) || json_equal(x, y);
}

bool schema_same_content(const json_t *a, const json_t *b)
{
    return same_member(a, b, "schemaType") && same_member(a, b, "references") && same_member(a, b, "metadata") &&
           same_member(a, b, "ruleSet") && schema_same_text(a, b);
}

/* --- the set --- */

static void put_version_key(struct buf *out, const char *subject, json_int_t version)
{
    buf_printf(out, "%lld %s", (long long)version, subject);
}

static json_t *find(const json_t *index, struct buf *key)
{
    json_t *found = buf_error(key) ? NULL : json_object_get(index, buf_cstr(key));

    buf_free(key);
    return found;
}

json_t *schema_set_find(const struct schema_set *set, const char *subject, json_int_t version)
{
    struct buf key;

    buf_init(&key, 0);
    put_version_key(&key, subject, version);
    return find(set->by_version, &key);
}

static void put_id_key(struct buf *out, const char *subject, json_int_t id)
{
    buf_printf(out, "%lld ", (long long)id);
    schema_put_context_scope(out, subject);
}

const json_t *schema_set_with_id(const struct schema_set *set, const char *subject, json_int_t id)
{
    struct buf key;

    buf_init(&key, 0);
    put_id_key(&key, subject, id);
    return find(set->by_id, &key);
}

static json_t *normal_form(const json_t *in, bool deleted)
{
    static const char *const always[] = {"subject", "version", "id", "schemaType", "schema"};
    static const char *const filled[] = {"references", "metadata", "ruleSet"};
    json_t *out = json_object();

    for (size_t i = 0; i < sizeof always / sizeof *always; i++)
        if (json_object_get(in, always[i]))
            json_object_set(out, always[i], json_object_get(in, always[i]));
        else
            json_object_set_new(out, always[i], json_string("AVRO")); /* the others were checked */
    for (size_t i = 0; i < sizeof filled / sizeof *filled; i++) {
        json_t *v = json_object_get(in, filled[i]);
        if (json_array_size(v) || json_object_size(v))
            json_object_set(out, filled[i], v);
    }
    if (deleted)
        json_object_set_new(out, "deleted", json_true());
    return out;
}

enum err schema_set_add(struct session *s, struct schema_set *set, const json_t *schema, bool deleted)
{
    const char *subject = schema_subject(schema);
    json_t *normal, *same_id;
    struct buf key;

    if (!subject || !json_is_integer(json_object_get(schema, "version")) || schema_version(schema) < 1 ||
        !json_is_integer(json_object_get(schema, "id")) || !json_is_string(json_object_get(schema, "schema")))
        return session_fail(s, ERR_MALFORMED, "%s: a schema without subject, version, id or text", set->from);
    if (schema_set_find(set, subject, schema_version(schema)))
        return ERR_OK;
    normal = normal_form(schema, deleted);
    buf_init(&key, 0);
    put_version_key(&key, subject, schema_version(schema));
    json_object_set(set->by_version, buf_cstr(&key), normal);
    buf_clear(&key);
    put_id_key(&key, subject, schema_id(schema));
    same_id = json_object_get(set->by_id, buf_cstr(&key));
    if (!same_id) {
        same_id = json_array();
        json_object_set_new(set->by_id, buf_cstr(&key), same_id);
    }
    json_array_append(same_id, normal);
    buf_free(&key);
    return json_array_append_new(set->schemas, normal) ? session_fail(s, ERR_NO_MEMORY, "no memory") : ERR_OK;
}

/* --- order --- */

static int by_id(const void *a, const void *b)
{
    const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
    int order = (schema_id(x) > schema_id(y)) - (schema_id(x) < schema_id(y));

    if (!order)
        order = strcmp(schema_subject(x), schema_subject(y));
    return order ? order : (schema_version(x) > schema_version(y)) - (schema_version(x) < schema_version(y));
}

struct sorting {
    struct session *s;
    const struct schema_set *set;
    json_t *placed; /* version key -> true */
    json_t *out;
};

static enum err place(struct sorting *sort, json_t *schema, unsigned depth);

static enum err place_references(struct sorting *sort, const json_t *schema, unsigned depth)
{
    json_t *reference;
    size_t i;
    enum err err = ERR_OK;

    json_array_foreach(json_object_get(schema, "references"), i, reference)
    {
        const char *subject = schema_subject(reference);
        struct buf name;
        json_t *referred;
        if (err || !subject)
            continue;
        buf_init(&name, 0);
        schema_put_referred(&name, schema_subject(schema), subject);
        referred = schema_set_find(sort->set, buf_cstr(&name), schema_version(reference));
        buf_free(&name);
        if (referred)
            err = place(sort, referred, depth + 1);
    }
    return err;
}

static enum err place(struct sorting *sort, json_t *schema, unsigned depth)
{
    struct buf key;
    bool known;
    enum err err;

    if (depth > REFERENCE_DEPTH_MAX)
        return session_fail(sort->s, ERR_LIMIT_EXCEEDED, "%s: references are nested more than %d deep",
                            schema_subject(schema), REFERENCE_DEPTH_MAX);
    buf_init(&key, 0);
    put_version_key(&key, schema_subject(schema), schema_version(schema));
    known = json_object_get(sort->placed, buf_cstr(&key)) != NULL;
    if (!known)
        json_object_set_new(sort->placed, buf_cstr(&key), json_true()); /* before its references: a circle ends */
    buf_free(&key);
    if (known)
        return ERR_OK;
    err = place_references(sort, schema, depth);
    if (!err && json_array_append(sort->out, schema))
        err = session_fail(sort->s, ERR_NO_MEMORY, "no memory");
    return err;
}

enum err schema_set_sort(struct session *s, struct schema_set *set)
{
    size_t n = json_array_size(set->schemas);
    json_t **order = calloc(n ? n : 1, sizeof *order);
    struct sorting sort = {.s = s, .set = set, .placed = json_object(), .out = json_array()};
    enum err err = order ? ERR_OK : session_fail(s, ERR_NO_MEMORY, "no memory");

    for (size_t i = 0; !err && i < n; i++)
        order[i] = json_array_get(set->schemas, i);
    if (!err)
        qsort(order, n, sizeof *order, by_id);
    for (size_t i = 0; !err && i < n; i++)
        err = place(&sort, order[i], 0);
    free(order);
    json_decref(sort.placed);
    if (err) {
        json_decref(sort.out);
        return err;
    }
    json_decref(set->schemas);
    set->schemas = sort.out;
    return ERR_OK;
}
