/* SPDX-License-Identifier: Apache-2.0
 * The words of Avro's types, and names: how a full name is made of a name and its namespace, and what may stand in
 * one. Messages are those of the Java implementation. */
#define PCRE2_CODE_UNIT_WIDTH 8

#include "registry/avro_read.h"

#include <pcre2.h>
#include <pthread.h>
#include <stdlib.h>

static const struct {
    const char *name, *upper;
} kinds[] = {
    [AVRO_NULL] = {"null", "NULL"},
    [AVRO_BOOLEAN] = {"boolean", "BOOLEAN"},
    [AVRO_INT] = {"int", "INT"},
    [AVRO_LONG] = {"long", "LONG"},
    [AVRO_FLOAT] = {"float", "FLOAT"},
    [AVRO_DOUBLE] = {"double", "DOUBLE"},
    [AVRO_BYTES] = {"bytes", "BYTES"},
    [AVRO_STRING] = {"string", "STRING"},
    [AVRO_RECORD] = {"record", "RECORD"},
    [AVRO_ENUM] = {"enum", "ENUM"},
    [AVRO_ARRAY] = {"array", "ARRAY"},
    [AVRO_MAP] = {"map", "MAP"},
    [AVRO_FIXED] = {"fixed", "FIXED"},
    [AVRO_UNION] = {"union", "UNION"},
    [AVRO_UNRESOLVED] = {"record", "RECORD"},
};

const char *avro_kind_name(int kind)
{
    return kinds[kind].name;
}

const char *avro_kind_upper(int kind)
{
    return kinds[kind].upper;
}

int avro_primitive_of(struct slice name)
{
    for (int k = AVRO_NULL; k <= AVRO_STRING; k++)
        if (slice_eq_str(name, kinds[k].name))
            return k;
    return -1;
}

struct slice avro_full_name(const struct avro_node *n)
{
    return avro_is_named(n->kind) ? n->name.full : slice_str(kinds[n->kind].name);
}

struct slice avro_alias_text(struct arena *a, const struct avro_node *of, const struct avro_name *alias)
{
    if (!slice_is_null(alias->space) || slice_is_null(of->name.space))
        return alias->full;
    const char *text = arena_printf(a, ".%.*s", SLICE_FMT(alias->name));
    return text ? slice_str(text) : SLICE_NULL;
}

enum err avro_no_memory(struct reading *r)
{
    return reason_set(r->why, ERR_NO_MEMORY, "out of memory reading an Avro schema");
}

enum err avro_bad_json(struct reading *r, const char *words, const struct jvalue *v)
{
    struct buf b;
    buf_init(&b, AVRO_SCHEMA_SIZE_MAX);
    avro_print_json(&b, v);
    enum err e = reason_set(r->why, ERR_MALFORMED, "%s: %s", words, buf_cstr(&b));
    buf_free(&b);
    return e;
}

static bool is_letter(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static const char *name_fault(struct slice name)
{
    if (slice_is_null(name))
        return "Null name";
    if (name.n == 0)
        return "Empty name";
    if (!is_letter(name.p[0]) && name.p[0] != '_')
        return "Illegal initial character: ";
    for (size_t i = 1; i < name.n; i++) {
        uint8_t c = name.p[i];
        if (!is_letter(c) && c != '_' && !(c >= '0' && c <= '9'))
            return "Illegal character in: ";
    }
    return NULL;
}

static enum err bad_name(struct reason *why, const char *fault, struct slice name)
{
    return reason_set(why, ERR_MALFORMED, "%s%.*s", fault, name.n ? (int)name.n : 0,
                      name.n ? (const char *)name.p : "");
}

enum err avro_check_name(struct reading *r, struct slice name)
{
    const char *fault = r->o->fresh ? name_fault(name) : NULL;
    return fault ? bad_name(r->why, fault, name) : ERR_OK;
}

enum err avro_make_name(struct reading *r, struct slice text, struct slice space, struct avro_name *out)
{
    const uint8_t *dot = text.n ? memrchr(text.p, '.', text.n) : NULL;
    out->name = text;
    out->space = space;
    if (dot) {
        out->space = slice_of(text.p, (size_t)(dot - text.p));
        out->name = slice_of(dot + 1, (size_t)(text.p + text.n - dot - 1));
    }
    if (out->space.n == 0)
        out->space = SLICE_NULL;
    out->full = dot && out->space.n ? text : out->name;
    if (!dot && out->space.n) {
        const char *full = arena_printf(&r->s->arena, "%.*s.%.*s", SLICE_FMT(out->space), SLICE_FMT(out->name));
        if (!full)
            return avro_no_memory(r);
        out->full = slice_str(full);
    }
    return avro_check_name(r, out->name);
}

struct slice avro_text_of(const struct jvalue *object, const char *key)
{
    const struct jvalue *v = json_text_get_str(object, key);
    return v && v->kind == J_STRING ? v->u.text : SLICE_NULL;
}

enum err avro_read_name(struct reading *r, const struct jvalue *v, struct slice space, struct avro_name *out)
{
    struct slice own = avro_text_of(v, "namespace"), name = avro_text_of(v, "name");
    if (slice_is_null(name))
        return avro_bad_json(r, "No name in schema", v);
    return avro_make_name(r, name, slice_is_null(own) ? space : own, out);
}

enum err avro_check_no_primitive(struct reading *r, const struct avro_name *name)
{
    if (avro_primitive_of(name->full) < 0)
        return ERR_OK;
    return reason_set(r->why, ERR_MALFORMED, "Schemas may not be named after primitives: %.*s", SLICE_FMT(name->full));
}

enum err avro_check_namespace(struct reading *r, struct slice space)
{
    size_t from = 0;
    for (size_t i = 0; r->o->fresh && i <= space.n && space.n; i++) {
        if (i < space.n && space.p[i] != '.')
            continue;
        struct slice part = slice_of(space.p + from, i - from);
        const char *fault = name_fault(part);
        if (fault)
            return reason_set(r->why, ERR_MALFORMED, "Namespace part \"%.*s\" is invalid: %s%.*s", SLICE_FMT(part),
                              fault, SLICE_FMT(part));
        from = i + 1;
    }
    return ERR_OK;
}

/* --- names of what is stored already --- */

static pcre2_code *letters; /* allow: compiled once, read-only then */
static pthread_once_t letters_once = PTHREAD_ONCE_INIT;

static void compile_letters(void)
{
    static const char pattern[] = "\\A[\\p{L}_]([\\p{L}\\p{Nd}_]*+\\z)?";
    int error;
    PCRE2_SIZE at;
    letters = pcre2_compile((PCRE2_SPTR)pattern, sizeof pattern - 1, PCRE2_UTF, &error, &at, NULL);
}

/* As far as a Java char goes: what lies beyond the basic plane is no letter to it. */
static const char *stored_fault(struct slice name)
{
    const char *fault = name_fault(name);
    bool plain = true, basic = true;
    for (size_t i = 0; i < name.n; i++) {
        plain = plain && name.p[i] < 0x80;
        basic = basic && name.p[i] < 0xf0;
    }
    if (!fault || plain)
        return fault;
    pthread_once(&letters_once, compile_letters);
    pcre2_match_data *match = letters ? pcre2_match_data_create(2, NULL) : NULL;
    int groups = match ? pcre2_match(letters, name.p, name.n, 0, 0, match, NULL) : -1;
    pcre2_match_data_free(match);
    if (groups < 1 || name.p[0] >= 0xf0)
        return "Illegal initial character: ";
    return groups == 2 && basic ? NULL : "Illegal character in: ";
}

struct name_walk {
    uint8_t *seen;
    struct reason *why;
};

static enum err walk_names(struct name_walk *w, const struct avro_node *n);

static enum err walk_record(struct name_walk *w, const struct avro_node *n)
{
    enum err e = ERR_OK;
    for (uint32_t i = 0; i < n->n && e == ERR_OK; i++) {
        const char *fault = stored_fault(n->u.fields[i].name);
        e = fault ? bad_name(w->why, fault, n->u.fields[i].name) : walk_names(w, n->u.fields[i].type);
    }
    return e;
}

static enum err walk_names(struct name_walk *w, const struct avro_node *n)
{
    uint8_t bit = (uint8_t)(1u << n->id % 8);
    enum err e = ERR_OK;
    if (w->seen[n->id / 8] & bit)
        return ERR_OK;
    w->seen[n->id / 8] |= bit;
    const char *fault = avro_is_named(n->kind) ? stored_fault(n->name.name) : NULL;
    if (fault)
        return bad_name(w->why, fault, n->name.name);
    if (n->kind == AVRO_RECORD)
        return walk_record(w, n);
    if (n->kind == AVRO_ARRAY || n->kind == AVRO_MAP)
        return walk_names(w, n->u.items);
    for (uint32_t i = 0; n->kind == AVRO_ENUM && i < n->n && e == ERR_OK; i++)
        if ((fault = stored_fault(n->u.en.symbols[i])))
            e = bad_name(w->why, fault, n->u.en.symbols[i]);
    for (uint32_t i = 0; n->kind == AVRO_UNION && i < n->n && e == ERR_OK; i++)
        e = walk_names(w, n->u.branches[i]);
    return e;
}

enum err avro_check_stored_names(const struct avro_schema *s, struct reason *why)
{
    struct name_walk w = {calloc(s->nodes / 8 + 1, 1), why};
    enum err e = w.seen ? walk_names(&w, s->root) : reason_set(why, ERR_NO_MEMORY, "out of memory");
    free(w.seen);
    return e;
}
