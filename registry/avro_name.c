/* SPDX-License-Identifier: Apache-2.0
 * The words of Avro's types, and names: how a full name is made of a name and its namespace, and what may stand in
 * one. Messages are those of the Java implementation. */
#include "registry/avro_read.h"

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

static bool is_letter(const struct reading *r, uint8_t c, const uint8_t *p)
{
    if (c < 0x80)
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    (void)p;
    return r->o->names == AVRO_NAMES_UTF && c < 0xf0; /* beyond the basic plane is not a letter to Java's chars */
}

static const char *name_fault(const struct reading *r, struct slice name)
{
    if (slice_is_null(name))
        return "Null name";
    if (name.n == 0)
        return "Empty name";
    if (!is_letter(r, name.p[0], name.p) && name.p[0] != '_')
        return "Illegal initial character: ";
    for (size_t i = 1; i < name.n; i++) {
        uint8_t c = name.p[i];
        if (!is_letter(r, c, name.p + i) && c != '_' && !(c >= '0' && c <= '9'))
            return "Illegal character in: ";
    }
    return NULL;
}

enum err avro_check_name(struct reading *r, struct slice name)
{
    const char *fault = name_fault(r, name);
    if (!fault)
        return ERR_OK;
    bool with_name = name.n > 0;
    return reason_set(r->why, ERR_MALFORMED, "%s%.*s", fault, with_name ? (int)name.n : 0,
                      with_name ? (const char *)name.p : "");
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
    enum err e = avro_make_name(r, name, slice_is_null(own) ? space : own, out);
    if (e == ERR_OK && avro_primitive_of(out->full) >= 0)
        e = reason_set(r->why, ERR_MALFORMED, "Schemas may not be named after primitives: %.*s", SLICE_FMT(out->full));
    return e;
}

enum err avro_check_namespace(struct reading *r, struct slice space)
{
    size_t from = 0;
    for (size_t i = 0; r->o->check_namespaces && i <= space.n && space.n; i++) {
        if (i < space.n && space.p[i] != '.')
            continue;
        struct slice part = slice_of(space.p + from, i - from);
        const char *fault = name_fault(r, part);
        if (fault)
            return reason_set(r->why, ERR_MALFORMED, "Namespace part \"%.*s\" is invalid: %s%.*s", SLICE_FMT(part),
                              fault, SLICE_FMT(part));
        from = i + 1;
    }
    return ERR_OK;
}
