/* SPDX-License-Identifier: Apache-2.0
 * Schemas as text. The canonical text is what Java's Schema.toString() prints, for it is the schema's identity: a type
 * is written out at its first use and named afterwards. The Parsing Canonical Form keeps only what matters to readers.
 * The normal style is the reference's normalization, an ordering of everything; its identity is what that text prints
 * as once parsed again. Recursion is bounded. */
#include "registry/avro_model.h"

#include <stdlib.h>

enum { NORMAL_WORK_MAX = 50000000 }; /* branches tried for the values of defaults */

struct printing {
    const struct avro_schema *s;
    enum avro_print_style style;
    uint8_t *known;
    struct buf *out;
    unsigned depth, work;
    enum err error;
};

static void print_node(struct printing *p, const struct avro_node *n, struct slice space);

static void put(struct printing *p, const char *s)
{
    buf_put_str(p->out, s);
}

/* ,"key": */
static void put_key(struct printing *p, const char *key)
{
    buf_printf(p->out, ",\"%s\":", key);
}

static void put_string(struct printing *p, struct slice s)
{
    json_text_print_string(p->out, s);
}

static bool meet(struct printing *p, const struct avro_node *n)
{
    uint8_t bit = (uint8_t)(1u << n->name_id % 8), *byte = &p->known[n->name_id / 8];
    bool known = *byte & bit;
    *byte |= bit;
    return known;
}

/* The plain name when its namespace is the one at hand, unless it is also the word of a type. */
static struct slice qualified(const struct avro_name *name, struct slice space)
{
    if (slice_is_null(name->space) || !slice_eq(name->space, space))
        return name->full;
    for (int k = AVRO_NULL; k <= AVRO_UNION; k++)
        if (slice_eq_str(name->name, avro_kind_name(k)))
            return name->full;
    return name->name;
}

static void print_props(struct printing *p, const struct avro_props *props)
{
    for (uint32_t i = 0; i < props->n; i++) {
        put(p, ",");
        put_string(p, props->v[i].name);
        put(p, ":");
        avro_print_json(p->out, props->v[i].value);
    }
}

/* --- the canonical text --- */

static void print_aliases(struct printing *p, const struct avro_node *n)
{
    if (n->aliases_n == 0)
        return;
    put_key(p, "aliases");
    for (uint32_t i = 0; i < n->aliases_n; i++) {
        put(p, i ? "," : "[");
        put_string(p, qualified(&n->aliases[i], n->name.space));
    }
    put(p, "]");
}

static void print_field(struct printing *p, const struct avro_field *f, struct slice space)
{
    static const char *const orders[] = {"ascending", "descending", "ignore"};
    put(p, "{\"name\":");
    put_string(p, f->name);
    put_key(p, "type");
    print_node(p, f->type, space);
    if (!slice_is_null(f->doc)) {
        put_key(p, "doc");
        put_string(p, f->doc);
    }
    if (f->default_value) {
        put_key(p, "default");
        if (f->default_is_double)
            avro_put_double(p->out, f->default_double);
        else
            avro_print_json(p->out, f->default_value);
    }
    if (f->order != AVRO_ASCENDING)
        buf_printf(p->out, ",\"order\":\"%s\"", orders[f->order]);
    for (uint32_t i = 0; i < f->aliases_n; i++) {
        put(p, i ? "," : ",\"aliases\":[");
        put_string(p, f->aliases[i]);
    }
    put(p, f->aliases_n ? "]" : "");
    print_props(p, &f->props);
    put(p, "}");
}

static void print_named(struct printing *p, const struct avro_node *n, struct slice space)
{
    if (meet(p, n)) {
        put_string(p, qualified(&n->name, space));
        return;
    }
    buf_printf(p->out, "{\"type\":\"%s\"", n->is_error ? "error" : avro_kind_name(n->kind));
    put_key(p, "name");
    put_string(p, n->name.name);
    if (n->name.space.n ? !slice_eq(n->name.space, space) : !slice_is_null(space)) {
        put_key(p, "namespace");
        put_string(p, n->name.space.n ? n->name.space : slice_str(""));
    }
    if (!slice_is_null(n->doc)) {
        put_key(p, "doc");
        put_string(p, n->doc);
    }
    if (n->kind == AVRO_FIXED)
        buf_printf(p->out, ",\"size\":%d", (int)n->u.size);
    else
        put_key(p, n->kind == AVRO_ENUM ? "symbols" : "fields");
    if (n->kind != AVRO_FIXED)
        put(p, "[");
    for (uint32_t i = 0; i < n->n; i++) {
        put(p, i ? "," : "");
        if (n->kind == AVRO_ENUM)
            put_string(p, n->u.en.symbols[i]);
        else
            print_field(p, &n->u.fields[i], n->name.space);
    }
    put(p, n->kind == AVRO_FIXED ? "" : "]");
    if (n->kind == AVRO_ENUM && !slice_is_null(n->u.en.default_symbol)) {
        put_key(p, "default");
        put_string(p, n->u.en.default_symbol);
    }
    print_props(p, &n->props);
    print_aliases(p, n);
    put(p, "}");
}

/* --- the normal style --- */

static int by_prop(const void *a, const void *b)
{
    return slice_cmp(((const struct avro_prop *)a)->name, ((const struct avro_prop *)b)->name);
}

static int by_slice(const void *a, const void *b)
{
    return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

static void *copy_sorted(struct printing *p, const void *from, size_t n, size_t size,
                         int (*order)(const void *, const void *))
{
    void *copy = n ? malloc(n * size) : NULL;
    if (n && !copy)
        p->error = ERR_NO_MEMORY;
    if (copy) {
        memcpy(copy, from, n * size);
        qsort(copy, n, size, order);
    }
    return copy;
}

static void normal_props(struct printing *p, const struct avro_props *props)
{
    struct avro_prop *sorted = copy_sorted(p, props->v, props->n, sizeof *sorted, by_prop);
    for (uint32_t i = 0; sorted && i < props->n; i++) {
        put(p, ",");
        put_string(p, sorted[i].name);
        put(p, ":");
        avro_print_json_sorted(p->out, sorted[i].value);
    }
    free(sorted);
}

static void normal_logical(struct printing *p, const struct avro_node *n)
{
    if (n->logical == AVRO_LOGICAL_NONE)
        return;
    put_key(p, "logicalType");
    put_string(p, n->logical_name);
    if (n->logical != AVRO_LOGICAL_DECIMAL)
        return;
    buf_printf(p->out, ",\"precision\":%d", (int)n->precision);
    if (n->scale)
        buf_printf(p->out, ",\"scale\":%d", (int)n->scale);
}

static void normal_strings(struct printing *p, const char *key, const struct slice *list, uint32_t n)
{
    struct slice *sorted = copy_sorted(p, list, n, sizeof *sorted, by_slice);
    for (uint32_t i = 0; sorted && i < n; i++) {
        if (i == 0)
            put_key(p, key);
        put(p, i ? "," : "[");
        put_string(p, sorted[i]);
    }
    put(p, sorted ? "]" : "");
    free(sorted);
}

static void normal_aliases(struct printing *p, const struct avro_node *n)
{
    struct arena a;
    arena_init(&a, 0);
    struct slice *texts = arena_array(&a, n->aliases_n + 1, sizeof *texts);
    for (uint32_t i = 0; texts && i < n->aliases_n; i++)
        texts[i] = avro_alias_text(&a, n, &n->aliases[i]);
    if (texts)
        normal_strings(p, "aliases", texts, n->aliases_n);
    else
        p->error = ERR_NO_MEMORY;
    arena_free(&a);
}

static void normal_default(struct printing *p, const struct avro_node *n, const struct jvalue *v);

static void normal_number(struct printing *p, const struct avro_node *n, const struct jvalue *v)
{
    char text[JSON_TEXT_NUMBER_MAX + 1];
    size_t size = v->u.text.n < sizeof text - 1 ? v->u.text.n : sizeof text - 1;
    if (n->kind != AVRO_FLOAT && n->kind != AVRO_DOUBLE) {
        avro_print_json(p->out, v);
        return;
    }
    memcpy(text, v->u.text.p, size);
    text[size] = '\0';
    if (n->kind == AVRO_FLOAT)
        avro_put_float(p->out, (float)strtod(text, NULL));
    else
        avro_put_double(p->out, strtod(text, NULL));
}

/* Does the reference's conversion of a default to this branch give a value? */
static bool takes(const struct avro_node *n, const struct jvalue *v)
{
    switch (v->kind) {
    case J_NULL:
    case J_TRUE:
    case J_FALSE:
        return true;
    case J_NUMBER:
        return n->kind == AVRO_FLOAT || n->kind == AVRO_DOUBLE ||
               (avro_number_is_integral(v->u.text) && (n->kind == AVRO_INT || n->kind == AVRO_LONG));
    case J_STRING:
        return n->kind == AVRO_STRING || n->kind == AVRO_ENUM || n->kind == AVRO_BYTES || n->kind == AVRO_FIXED;
    case J_ARRAY:
        return n->kind == AVRO_ARRAY;
    case J_OBJECT:
        return n->kind == AVRO_MAP || n->kind == AVRO_RECORD;
    }
    return false;
}

static const struct avro_node *branch_for(struct printing *p, const struct avro_node *n, const struct jvalue *v)
{
    if (n->kind == AVRO_UNION && (p->work += n->n) > NORMAL_WORK_MAX)
        p->error = ERR_LIMIT_EXCEEDED;
    for (uint32_t i = 0; n->kind == AVRO_UNION && i < n->n && p->error == ERR_OK; i++)
        if (n->u.branches[i]->kind != AVRO_NULL && takes(n->u.branches[i], v))
            return n->u.branches[i];
    return n;
}

static const struct avro_node *member_type(const struct avro_node *n, struct slice name)
{
    if (n->kind == AVRO_MAP)
        return n->u.items;
    const struct avro_field *f = n->kind == AVRO_RECORD ? avro_field_named(n, name) : NULL;
    return f ? f->type : NULL;
}

static int by_member(const void *a, const void *b)
{
    return slice_cmp(((const struct jmember *)a)->name, ((const struct jmember *)b)->name);
}

static void normal_object(struct printing *p, const struct avro_node *n, const struct jvalue *v)
{
    struct jmember *sorted = copy_sorted(p, v->u.object.members, v->n, sizeof *sorted, by_member);
    put(p, "{");
    for (uint32_t i = 0; sorted && i < v->n; i++) {
        const struct avro_node *type = member_type(n, sorted[i].name);
        put(p, i ? "," : "");
        put_string(p, sorted[i].name);
        put(p, ":");
        if (type)
            normal_default(p, type, &sorted[i].value);
        else
            avro_print_json_sorted(p->out, &sorted[i].value);
    }
    put(p, "}");
    free(sorted);
}

/* Bytes are one per character; what is no byte becomes a question mark, as in Java. */
static void normal_bytes(struct printing *p, struct slice text)
{
    struct buf b;
    buf_init(&b, AVRO_PRINT_MAX);
    for (size_t i = 0; i < text.n; i++) {
        size_t n = text.p[i] < 0x80 ? 1 : text.p[i] < 0xe0 ? 2 : text.p[i] < 0xf0 ? 3 : 4;
        if (text.p[i] < 0xc4)
            buf_put(&b, text.p + i, n);
        else
            buf_put_str(&b, "?");
        i += n - 1;
    }
    put_string(p, buf_slice(&b));
    if (buf_error(&b) != ERR_OK)
        p->error = buf_error(&b);
    buf_free(&b);
}

static void normal_default(struct printing *p, const struct avro_node *n, const struct jvalue *v)
{
    n = branch_for(p, n, v);
    if (v->kind == J_NUMBER) {
        normal_number(p, n, v);
    } else if (v->kind == J_OBJECT) {
        normal_object(p, n, v);
    } else if (v->kind == J_ARRAY && n->kind == AVRO_ARRAY) {
        for (uint32_t i = 0; i < v->n; i++) {
            put(p, i ? "," : "[");
            normal_default(p, n->u.items, &v->u.items[i]);
        }
        put(p, v->n ? "]" : "[]");
    } else if (v->kind == J_STRING && (n->kind == AVRO_BYTES || n->kind == AVRO_FIXED)) {
        normal_bytes(p, v->u.text);
    } else {
        avro_print_json_sorted(p->out, v);
    }
}

static void normal_field(struct printing *p, const struct avro_field *f)
{
    static const char *const orders[] = {"ASCENDING", "DESCENDING", "IGNORE"};
    buf_printf(p->out, ",\"order\":\"%s\"", orders[f->order]);
    if (!slice_is_null(f->doc)) {
        put_key(p, "doc");
        put_string(p, f->doc);
    }
    normal_strings(p, "aliases", f->aliases, f->aliases_n);
    if (f->default_value) {
        put_key(p, "default");
        if (f->default_is_double && f->type->kind == AVRO_FLOAT)
            avro_put_float(p->out, (float)f->default_double);
        else if (f->default_is_double)
            avro_put_double(p->out, f->default_double);
        else
            normal_default(p, f->type, f->default_value);
    }
    normal_props(p, &f->props);
}

static void normal_named(struct printing *p, const struct avro_node *n)
{
    normal_logical(p, n);
    if (n->doc.n) {
        put_key(p, "doc");
        put_string(p, n->doc);
    }
    normal_aliases(p, n);
    if (n->kind == AVRO_ENUM && !slice_is_null(n->u.en.default_symbol)) {
        put_key(p, "default");
        put_string(p, n->u.en.default_symbol);
    }
    normal_props(p, &n->props);
}

/* --- what the Parsing Canonical Form and the normal style share --- */

static void form_named(struct printing *p, const struct avro_node *n, struct slice space)
{
    bool normal = p->style == AVRO_PRINT_NORMAL;
    if (meet(p, n)) {
        put_string(p, n->name.full);
        return;
    }
    put(p, "{\"name\":");
    put_string(p, n->name.full);
    if (normal && slice_is_null(n->name.space) && !slice_is_null(space))
        put(p, ",\"namespace\":\"\""); /* the reference leaves this out, which renames the type */
    buf_printf(p->out, ",\"type\":\"%s\"", avro_kind_name(n->kind));
    if (n->kind == AVRO_FIXED)
        buf_printf(p->out, ",\"size\":%d", (int)n->u.size);
    else
        put(p, n->kind == AVRO_ENUM ? ",\"symbols\":[" : ",\"fields\":[");
    for (uint32_t i = 0; i < n->n; i++) {
        put(p, i ? "," : "");
        if (n->kind == AVRO_ENUM) {
            put_string(p, n->u.en.symbols[i]);
            continue;
        }
        put(p, "{\"name\":");
        put_string(p, n->u.fields[i].name);
        put_key(p, "type");
        print_node(p, n->u.fields[i].type, n->name.space);
        if (normal)
            normal_field(p, &n->u.fields[i]);
        put(p, "}");
    }
    put(p, n->kind == AVRO_FIXED ? "" : "]");
    if (normal)
        normal_named(p, n);
    put(p, "}");
}

static void print_union(struct printing *p, const struct avro_node *n, struct slice space)
{
    put(p, "[");
    for (uint32_t i = 0; i < n->n; i++) {
        put(p, i ? "," : "");
        print_node(p, n->u.branches[i], space);
    }
    put(p, "]");
}

static void print_plain(struct printing *p, const struct avro_node *n, struct slice space)
{
    bool container = n->kind == AVRO_ARRAY || n->kind == AVRO_MAP;
    if (n->kind == AVRO_UNRESOLVED) { /* only in messages while reading */
        put_string(p, n->name.full);
        return;
    }
    if (!container && (n->props.n == 0 || p->style == AVRO_PRINT_PARSING)) {
        buf_printf(p->out, "\"%s\"", avro_kind_name(n->kind));
        return;
    }
    buf_printf(p->out, "{\"type\":\"%s\"", avro_kind_name(n->kind));
    if (container) {
        put_key(p, n->kind == AVRO_ARRAY ? "items" : "values");
        print_node(p, n->u.items, space);
    }
    if (p->style == AVRO_PRINT_NORMAL) {
        normal_logical(p, n);
        normal_props(p, &n->props);
    } else if (p->style == AVRO_PRINT_CANONICAL) {
        print_props(p, &n->props);
    }
    put(p, "}");
}

static void print_node(struct printing *p, const struct avro_node *n, struct slice space)
{
    if (p->error == ERR_OK && (p->depth >= 2 * AVRO_SCHEMA_DEPTH_MAX || p->out->n > AVRO_PRINT_MAX))
        p->error = ERR_LIMIT_EXCEEDED;
    if (p->error != ERR_OK)
        return;
    p->depth++;
    if (n->kind == AVRO_UNION)
        print_union(p, n, space);
    else if (!avro_is_named(n->kind))
        print_plain(p, n, space);
    else if (p->style == AVRO_PRINT_CANONICAL)
        print_named(p, n, space);
    else
        form_named(p, n, space);
    p->depth--;
}

enum err avro_print(const struct avro_schema *s, const struct avro_node *n, enum avro_print_style style, uint8_t *known,
                    struct buf *out)
{
    uint8_t *own = known ? NULL : calloc(map_count(&s->names) / 8 + 1, 1);
    struct printing p = {.s = s, .style = style, .known = known ? known : own, .out = out};
    if (!p.known)
        return ERR_NO_MEMORY;
    print_node(&p, n, SLICE_NULL);
    free(own);
    return p.error != ERR_OK ? p.error : buf_error(out);
}
