/* SPDX-License-Identifier: Apache-2.0
 * One schema text read into nodes. A name is looked up in its namespace, then as it stands; one that is not known yet
 * stays AVRO_UNRESOLVED until avro_resolve(), so a type may be used before the place that defines it. Messages are
 * those of the Java implementation. Recursion is bounded by the JSON reader's depth. */
#include "registry/avro_read.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

struct slice avro_strip_comments(struct arena *a, struct slice text)
{
    bool any = false, quoted = false;
    for (size_t i = 0; i + 1 < text.n && !any; i++)
        any = text.p[i] == '/' && (text.p[i + 1] == '/' || text.p[i + 1] == '*');
    if (!any)
        return text;
    struct slice copy = arena_copy(a, text);
    uint8_t *p = (uint8_t *)copy.p;
    for (size_t i = 0; p && i < copy.n; i++) {
        if (quoted) {
            if (p[i] == '\\')
                i++;
            else if (p[i] == '"')
                quoted = false;
            continue;
        }
        quoted = p[i] == '"';
        if (p[i] != '/' || i + 1 >= copy.n || (p[i + 1] != '/' && p[i + 1] != '*'))
            continue;
        bool line = p[i + 1] == '/';
        size_t end = i + 2;
        while (end < copy.n && (line ? p[end] != '\n' : !(p[end] == '*' && end + 1 < copy.n && p[end + 1] == '/')))
            end++;
        if (!line && end >= copy.n)
            return copy; /* not closed: the reader says so */
        end += line ? 0 : 2;
        for (; i < end; i++)
            p[i] = p[i] == '\n' ? '\n' : ' ';
        i--;
    }
    return copy;
}

static enum err define(struct reading *r, struct avro_node *n)
{
    enum err e = avro_check_namespace(r, n->name.space);
    struct avro_node *known = map_get(&r->s->names, n->name.full);
    if (e != ERR_OK)
        return e;
    if (known) {
        n->name_id = known->name_id;
        return avro_equal(known, n)
                   ? ERR_OK
                   : reason_set(r->why, ERR_MALFORMED, "Can't redefine: %.*s", SLICE_FMT(n->name.full));
    }
    n->name_id = (uint32_t)map_count(&r->s->names);
    return map_put(&r->s->names, n->name.full, n, NULL) == ERR_OK ? ERR_OK : avro_no_memory(r);
}

/* --- types --- */

static struct avro_node *new_node(struct reading *r, int kind, const struct jvalue *v)
{
    struct avro_node *n = r->s->nodes < AVRO_SCHEMA_NODES_MAX ? arena_alloc(&r->s->arena, sizeof *n) : NULL;
    if (!n) {
        if (r->s->nodes >= AVRO_SCHEMA_NODES_MAX)
            (void)reason_set(r->why, ERR_LIMIT_EXCEEDED, "more than %d types in a schema", AVRO_SCHEMA_NODES_MAX);
        else
            (void)avro_no_memory(r);
        return NULL;
    }
    n->kind = kind;
    n->json = v;
    n->id = r->s->nodes++;
    n->doc = n->logical_name = SLICE_NULL;
    return n;
}

static enum err node_failed(const struct reading *r)
{
    return r->s->nodes >= AVRO_SCHEMA_NODES_MAX ? ERR_LIMIT_EXCEEDED : ERR_NO_MEMORY;
}

static enum err read_schema(struct reading *r, const struct jvalue *v, struct slice space, struct avro_node **out);

static enum err find(struct reading *r, const struct jvalue *v, struct slice name, struct slice space,
                     struct avro_node **out)
{
    int primitive = avro_primitive_of(name);
    if (primitive < 0) {
        struct slice full = name;
        if (space.n && (name.n == 0 || !memchr(name.p, '.', name.n))) {
            const char *text = arena_printf(&r->s->arena, "%.*s.%.*s", SLICE_FMT(space), SLICE_FMT(name));
            if (!text)
                return avro_no_memory(r);
            full = slice_str(text);
        }
        *out = map_get(&r->s->names, full);
        if (!*out)
            *out = map_get(&r->s->names, name);
        if (*out)
            return ERR_OK;
        if (!(*out = new_node(r, AVRO_UNRESOLVED, v)))
            return node_failed(r);
        (*out)->name.full = full;
        return ERR_OK;
    }
    *out = new_node(r, primitive, v);
    return *out ? ERR_OK : node_failed(r);
}

static enum err read_order(struct reading *r, const struct jvalue *v, struct avro_field *f)
{
    static const char *const words[] = {"ascending", "descending", "ignore"};
    const struct jvalue *order = json_text_get_str(v, "order");
    if (!order)
        return ERR_OK;
    for (int i = 0; order->kind == J_STRING && i < 3; i++)
        if (order->u.text.n == strlen(words[i]) &&
            strncasecmp((const char *)order->u.text.p, words[i], order->u.text.n) == 0) {
            f->order = (enum avro_order)i;
            return ERR_OK;
        }
    if (order->kind != J_STRING)
        return avro_bad_json(r, "Unknown field order", order);
    struct slice word = arena_copy(&r->s->arena, order->u.text);
    for (size_t i = 0; i < word.n; i++)
        ((uint8_t *)word.p)[i] = (uint8_t)toupper(word.p[i]);
    return reason_set(r->why, ERR_MALFORMED, "No enum constant org.apache.avro.Schema.Field.Order.%.*s",
                      SLICE_FMT(word));
}

/* A float or double field may have its default as a string. */
static enum err read_double_default(struct reading *r, struct avro_field *f)
{
    const struct jvalue *d = f->default_value;
    if (!d || d->kind != J_STRING || (f->type->kind != AVRO_FLOAT && f->type->kind != AVRO_DOUBLE))
        return ERR_OK;
    f->default_is_double = avro_parse_double(d->u.text, &f->default_double);
    if (f->default_is_double)
        return ERR_OK;
    struct slice word = avro_trim(d->u.text);
    return word.n ? reason_set(r->why, ERR_MALFORMED, "For input string: \"%.*s\"", SLICE_FMT(word))
                  : reason_set(r->why, ERR_MALFORMED, "empty String");
}

static enum err read_field(struct reading *r, const struct jvalue *v, struct slice space, struct avro_field *f)
{
    const struct jvalue *type = json_text_get_str(v, "type");
    enum err e;
    f->name = avro_text_of(v, "name");
    f->doc = avro_text_of(v, "doc");
    if (slice_is_null(f->name))
        return avro_bad_json(r, "No field name", v);
    if (!type)
        return avro_bad_json(r, "No field type", v);
    if ((e = read_schema(r, type, space, &f->type)) != ERR_OK || (e = read_order(r, v, f)) != ERR_OK)
        return e;
    f->default_value = json_text_get_str(v, "default");
    if ((e = read_double_default(r, f)) != ERR_OK || (e = avro_check_name(r, f->name)) != ERR_OK)
        return e;
    if (r->o->fresh && (e = avro_check_default(r->s, f, true, r->why)) != ERR_OK)
        return e;
    if ((e = avro_read_props(r, v, avro_field_reserved, &f->props)) != ERR_OK)
        return e;
    return avro_read_alias_texts(r, v, &f->aliases, &f->aliases_n);
}

static int by_field_name(const void *a, const void *b, void *context)
{
    const struct avro_field *fields = context;
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    int c = slice_cmp(fields[i].name, fields[j].name);
    return c ? c : (i > j) - (i < j);
}

static enum err index_fields(struct reading *r, struct avro_node *n)
{
    if (n->n == 0)
        return ERR_OK;
    if (!(n->by_name = arena_array(&r->s->arena, n->n, sizeof *n->by_name)))
        return avro_no_memory(r);
    for (uint32_t i = 0; i < n->n; i++)
        n->by_name[i] = i;
    qsort_r(n->by_name, n->n, sizeof *n->by_name, by_field_name, n->u.fields);
    uint32_t first = UINT32_MAX, before = 0;
    for (uint32_t i = 1; i < n->n; i++) {
        uint32_t a = n->by_name[i - 1], b = n->by_name[i];
        if (b < first && slice_eq(n->u.fields[a].name, n->u.fields[b].name)) {
            first = b;
            before = a;
        }
    }
    if (first == UINT32_MAX)
        return ERR_OK;
    const struct avro_field *f = &n->u.fields[first], *other = &n->u.fields[before];
    return reason_set(r->why, ERR_MALFORMED,
                      "Duplicate field %.*s in record %.*s: %.*s type:%s pos:%u and %.*s type:%s pos:%u.",
                      SLICE_FMT(f->name), SLICE_FMT(n->name.full), SLICE_FMT(f->name), avro_kind_upper(f->type->kind),
                      first, SLICE_FMT(other->name), avro_kind_upper(other->type->kind), before);
}

const struct avro_field *avro_field_named(const struct avro_node *record, struct slice name)
{
    uint32_t low = 0, high = record->n;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct avro_field *f = &record->u.fields[record->by_name[middle]];
        int c = slice_cmp(f->name, name);
        if (c == 0)
            return f;
        if (c < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static enum err read_record(struct reading *r, const struct jvalue *v, struct slice space, struct avro_node *n)
{
    const struct jvalue *fields = json_text_get_str(v, "fields");
    enum err e = avro_read_name(r, v, space, &n->name);
    if (e != ERR_OK || (e = avro_check_no_primitive(r, &n->name)) != ERR_OK)
        return e;
    if (!fields || fields->kind != J_ARRAY)
        return avro_bad_json(r, "Record has no fields", v);
    if (fields->n && !(n->u.fields = arena_array(&r->s->arena, fields->n, sizeof *n->u.fields)))
        return avro_no_memory(r);
    for (uint32_t i = 0; i < fields->n; i++, n->n++)
        if ((e = read_field(r, &fields->u.items[i], n->name.space, &n->u.fields[i])) != ERR_OK)
            return e;
    return index_fields(r, n);
}

static enum err bad_enum_default(struct reading *r, const struct avro_node *n)
{
    struct buf b;
    buf_init(&b, AVRO_SCHEMA_SIZE_MAX);
    for (uint32_t i = 0; i < n->n; i++) {
        buf_put_str(&b, i ? ", " : "");
        buf_put_slice(&b, n->u.en.symbols[i]);
    }
    enum err e = reason_set(r->why, ERR_MALFORMED, "The Enum Default: %.*s is not in the enum symbol set: [%s]",
                            SLICE_FMT(n->u.en.default_symbol), buf_cstr(&b));
    buf_free(&b);
    return e;
}

static enum err read_enum(struct reading *r, const struct jvalue *v, struct slice space, struct avro_node *n)
{
    const struct jvalue *symbols = json_text_get_str(v, "symbols");
    struct map seen;
    enum err e = avro_read_name(r, v, space, &n->name);
    if (e != ERR_OK)
        return e;
    if (!symbols || symbols->kind != J_ARRAY)
        return avro_bad_json(r, "Enum has no symbols", v);
    if (symbols->n && !(n->u.en.symbols = arena_array(&r->s->arena, symbols->n, sizeof *n->u.en.symbols)))
        return avro_no_memory(r);
    n->u.en.default_symbol = avro_text_of(v, "default");
    map_init(&seen);
    e = avro_check_no_primitive(r, &n->name);
    for (uint32_t i = 0; i < symbols->n && e == ERR_OK; i++) {
        struct slice symbol = symbols->u.items[i].kind == J_STRING ? symbols->u.items[i].u.text : SLICE_NULL;
        n->u.en.symbols[n->n++] = symbol;
        e = avro_check_name(r, symbol);
        if (e == ERR_OK && map_has(&seen, symbol))
            e = reason_set(r->why, ERR_MALFORMED, "Duplicate enum symbol: %.*s", SLICE_FMT(symbol));
        else if (e == ERR_OK && map_put(&seen, symbol, n, NULL) != ERR_OK)
            e = avro_no_memory(r);
    }
    if (e == ERR_OK && !slice_is_null(n->u.en.default_symbol) && !map_has(&seen, n->u.en.default_symbol))
        e = bad_enum_default(r, n);
    map_free(&seen, NULL);
    return e;
}

static enum err read_fixed(struct reading *r, const struct jvalue *v, struct slice space, struct avro_node *n)
{
    const struct jvalue *size = json_text_get_str(v, "size");
    int64_t number;
    enum err e = avro_read_name(r, v, space, &n->name);
    if (e != ERR_OK)
        return e;
    if (!size || size->kind != J_NUMBER || !avro_number_int64(size->u.text, &number) || number < INT32_MIN ||
        number > INT32_MAX)
        return avro_bad_json(r, "Invalid or no size", v);
    if ((e = avro_check_no_primitive(r, &n->name)) != ERR_OK)
        return e;
    if (number < 0)
        return reason_set(r->why, ERR_MALFORMED, "Malformed data. Length is negative: %d", (int)number);
    if (number > INT32_MAX - 8)
        return reason_set(r->why, ERR_MALFORMED, "Cannot read arrays longer than %d bytes in Java library",
                          INT32_MAX - 8);
    n->u.size = (int32_t)number;
    return ERR_OK;
}

static enum err read_container(struct reading *r, const struct jvalue *v, struct slice space, struct avro_node *n)
{
    bool array = n->kind == AVRO_ARRAY;
    const struct jvalue *inner = json_text_get_str(v, array ? "items" : "values");
    if (!inner)
        return avro_bad_json(r, array ? "Array has no items type" : "Map has no values type", v);
    return read_schema(r, inner, space, &n->u.items);
}

enum err avro_check_union(const struct avro_node *n, struct reason *why)
{
    struct map seen;
    enum err e = ERR_OK;
    map_init(&seen);
    for (uint32_t i = 0; i < n->n && e == ERR_OK; i++) {
        struct slice name = avro_full_name(n->u.branches[i]);
        if (n->u.branches[i]->kind == AVRO_UNRESOLVED)
            continue;
        if (map_has(&seen, name))
            e = reason_set(why, ERR_MALFORMED, "Duplicate in union:%.*s", SLICE_FMT(name));
        else if (map_put(&seen, name, &seen, NULL) != ERR_OK)
            e = reason_set(why, ERR_NO_MEMORY, "out of memory");
    }
    map_free(&seen, NULL);
    return e;
}

static enum err read_union(struct reading *r, const struct jvalue *v, struct slice space, struct avro_node *n)
{
    enum err e = ERR_OK;
    if (v->n > AVRO_UNION_BRANCHES_MAX)
        return reason_set(r->why, ERR_LIMIT_EXCEEDED, "a union of more than %d branches", AVRO_UNION_BRANCHES_MAX);
    if (v->n && !(n->u.branches = arena_array(&r->s->arena, v->n, sizeof *n->u.branches)))
        return avro_no_memory(r);
    for (uint32_t i = 0; i < v->n && e == ERR_OK; i++) {
        e = read_schema(r, &v->u.items[i], space, &n->u.branches[i]);
        n->n += e == ERR_OK;
    }
    for (uint32_t i = 0; i < n->n && e == ERR_OK; i++)
        if (n->u.branches[i]->kind == AVRO_UNION)
            e = avro_bad_json(r, "Nested union", v);
    return e == ERR_OK ? avro_check_union(n, r->why) : e;
}

static enum err read_object(struct reading *r, const struct jvalue *v, struct slice space, struct avro_node **out)
{
    static const struct {
        const char *word;
        int kind;
        enum err (*read)(struct reading *r, const struct jvalue *v, struct slice space, struct avro_node *n);
    } complex[] = {
        {"record", AVRO_RECORD, read_record},  {"error", AVRO_RECORD, read_record}, {"enum", AVRO_ENUM, read_enum},
        {"array", AVRO_ARRAY, read_container}, {"map", AVRO_MAP, read_container},   {"fixed", AVRO_FIXED, read_fixed},
    };
    struct slice type = avro_text_of(v, "type");
    int kind = avro_primitive_of(type);
    size_t i = 0, n_complex = sizeof complex / sizeof *complex;
    enum err e = ERR_OK;
    if (slice_is_null(type))
        return avro_bad_json(r, "No type", v);
    while (kind < 0 && i < n_complex && !slice_eq_str(type, complex[i].word))
        i++;
    if (kind < 0 && i == n_complex) { /* a name, as if it stood alone */
        e = find(r, v, type, space, out);
        if (e == ERR_OK && (*out)->kind == AVRO_UNRESOLVED)
            (*out)->is_type_word = true;
        return e;
    }
    struct avro_node *n = new_node(r, kind < 0 ? complex[i].kind : kind, v);
    if (!n)
        return node_failed(r);
    if (kind < 0)
        e = complex[i].read(r, v, space, n);
    n->is_error = slice_eq_str(type, "error");
    if (avro_is_named(n->kind))
        n->doc = avro_text_of(v, "doc");
    if (e == ERR_OK)
        e = avro_read_props(r, v, n->kind == AVRO_ENUM ? avro_enum_reserved : avro_schema_reserved, &n->props);
    if (e == ERR_OK && (e = avro_check_props(r, n)) == ERR_OK)
        avro_read_logical(n);
    if (e == ERR_OK && avro_is_named(n->kind) && (e = avro_read_aliases(r, v, n)) == ERR_OK)
        e = define(r, n);
    *out = n;
    return e;
}

static enum err read_schema(struct reading *r, const struct jvalue *v, struct slice space, struct avro_node **out)
{
    switch (v->kind) {
    case J_STRING:
        return find(r, v, v->u.text, space, out);
    case J_OBJECT:
        return read_object(r, v, space, out);
    case J_ARRAY:
        *out = new_node(r, AVRO_UNION, v);
        return *out ? read_union(r, v, space, *out) : node_failed(r);
    case J_NULL:
    case J_FALSE:
    case J_TRUE:
    case J_NUMBER:
        break;
    }
    return avro_bad_json(r, "Schema not yet supported", v);
}

enum err avro_read_text(struct avro_schema *s, struct slice text, const struct avro_parse_options *o,
                        struct avro_node **root, struct reason *why)
{
    struct reading r = {s, o, why};
    struct jvalue *v;
    if (text.n > AVRO_SCHEMA_SIZE_MAX)
        return reason_set(why, ERR_LIMIT_EXCEEDED, "a schema of more than %d bytes", AVRO_SCHEMA_SIZE_MAX);
    struct slice plain = avro_strip_comments(&s->arena, text);
    if (slice_is_null(plain))
        return avro_no_memory(&r);
    struct slice rest = slice_str("");
    enum err e = json_text_parse_first(&v, plain, &rest, &s->arena, why);
    if (e == ERR_OK)
        e = read_schema(&r, v, SLICE_NULL, root);
    rest = avro_trim(slice_of(text.p + (text.n - rest.n), rest.n)); /* as written: a comment is something, too */
    if (e == ERR_OK && rest.n)
        return reason_set(why, ERR_MALFORMED, "dangling content after end of schema: %.*s", SLICE_FMT(rest));
    if (e == ERR_OK && avro_is_named((*root)->kind)) /* where it was known before, that is the one meant */
        *root = map_get(&s->names, (*root)->name.full);
    return e;
}
