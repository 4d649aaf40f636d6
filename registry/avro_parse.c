/* SPDX-License-Identifier: Apache-2.0
 * One schema text read into nodes. A name is looked up in its namespace, then as it stands; one that is not known yet
 * stays AVRO_UNRESOLVED until avro_resolve(), so a type may be used before the place that defines it. Messages are
 * those of the Java implementation. Recursion is bounded by the JSON reader's depth. */
#include "registry/avro_model.h"

#include <stdlib.h>
#include <strings.h>

struct reading {
    struct avro_schema *s;
    const struct avro_parse_options *o;
    struct reason *why;
};

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

static enum err no_memory(struct reading *r)
{
    return reason_set(r->why, ERR_NO_MEMORY, "out of memory reading an Avro schema");
}

/* "words: {the JSON as Jackson prints it}" */
static enum err bad_json(struct reading *r, const char *words, const struct jvalue *v)
{
    struct buf b;
    buf_init(&b, AVRO_SCHEMA_SIZE_MAX);
    avro_print_json(&b, v);
    enum err e = reason_set(r->why, ERR_MALFORMED, "%s: %s", words, buf_cstr(&b));
    buf_free(&b);
    return e;
}

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

/* --- names --- */

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

static enum err check_name(struct reading *r, struct slice name)
{
    const char *fault = name_fault(r, name);
    if (!fault)
        return ERR_OK;
    bool with_name = name.n > 0;
    return reason_set(r->why, ERR_MALFORMED, "%s%.*s", fault, with_name ? (int)name.n : 0,
                      with_name ? (const char *)name.p : "");
}

static enum err make_name(struct reading *r, struct slice text, struct slice space, struct avro_name *out)
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
            return no_memory(r);
        out->full = slice_str(full);
    }
    return check_name(r, out->name);
}

static struct slice text_of(const struct jvalue *object, const char *key)
{
    const struct jvalue *v = json_text_get_str(object, key);
    return v && v->kind == J_STRING ? v->u.text : SLICE_NULL;
}

static enum err read_name(struct reading *r, const struct jvalue *v, struct slice space, struct avro_name *out)
{
    struct slice own = text_of(v, "namespace"), name = text_of(v, "name");
    if (slice_is_null(name))
        return bad_json(r, "No name in schema", v);
    enum err e = make_name(r, name, slice_is_null(own) ? space : own, out);
    if (e == ERR_OK && avro_primitive_of(out->full) >= 0)
        e = reason_set(r->why, ERR_MALFORMED, "Schemas may not be named after primitives: %.*s", SLICE_FMT(out->full));
    return e;
}

static enum err check_namespace(struct reading *r, struct slice space)
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

/* --- equality, for a name defined twice --- */

enum { EQUAL_WORK_MAX = 200000, EQUAL_DEPTH_MAX = 400 };

struct equal_frame {
    const struct avro_node *a, *b;
    const struct equal_frame *up;
    unsigned depth;
};

static bool props_equal(const struct avro_props *a, const struct avro_props *b)
{
    if (a->n != b->n)
        return false;
    for (uint32_t i = 0; i < a->n; i++) {
        uint32_t j = 0;
        while (j < b->n && !slice_eq(a->v[i].name, b->v[j].name))
            j++;
        if (j == b->n || !json_text_equal(a->v[i].value, b->v[j].value))
            return false;
    }
    return true;
}

static bool nodes_equal(const struct avro_node *a, const struct avro_node *b, const struct equal_frame *up,
                        unsigned *work);

static bool fields_equal(const struct avro_node *a, const struct avro_node *b, const struct equal_frame *frame,
                         unsigned *work)
{
    for (uint32_t i = 0; i < a->n; i++) {
        const struct avro_field *f = &a->u.fields[i], *g = &b->u.fields[i];
        if (!slice_eq(f->name, g->name) || f->order != g->order || !f->default_value != !g->default_value ||
            (f->default_value && !json_text_equal(f->default_value, g->default_value)) ||
            !props_equal(&f->props, &g->props) || !nodes_equal(f->type, g->type, frame, work))
            return false;
    }
    return true;
}

static bool nodes_equal(const struct avro_node *a, const struct avro_node *b, const struct equal_frame *up,
                        unsigned *work)
{
    struct equal_frame frame = {a, b, up, up ? up->depth + 1 : 0};
    if (a == b)
        return true;
    if (a->kind != b->kind || a->kind == AVRO_UNRESOLVED || a->n != b->n || !props_equal(&a->props, &b->props) ||
        (avro_is_named(a->kind) && !slice_eq(a->name.full, b->name.full)))
        return false;
    if (++*work > EQUAL_WORK_MAX || frame.depth > EQUAL_DEPTH_MAX)
        return false;
    for (const struct equal_frame *f = up; f; f = f->up)
        if (f->a == a && f->b == b)
            return true;
    if (a->kind == AVRO_RECORD)
        return fields_equal(a, b, &frame, work);
    if (a->kind == AVRO_ARRAY || a->kind == AVRO_MAP)
        return nodes_equal(a->u.items, b->u.items, &frame, work);
    if (a->kind == AVRO_FIXED)
        return a->u.size == b->u.size;
    for (uint32_t i = 0; i < a->n; i++)
        if (a->kind == AVRO_ENUM ? !slice_eq(a->u.en.symbols[i], b->u.en.symbols[i])
                                 : !nodes_equal(a->u.branches[i], b->u.branches[i], &frame, work))
            return false;
    return true;
}

static enum err define(struct reading *r, struct avro_node *n)
{
    enum err e = check_namespace(r, n->name.space);
    struct avro_node *known = map_get(&r->s->names, n->name.full);
    unsigned work = 0;
    if (e != ERR_OK)
        return e;
    if (known) {
        n->name_id = known->name_id;
        return nodes_equal(known, n, NULL, &work)
                   ? ERR_OK
                   : reason_set(r->why, ERR_MALFORMED, "Can't redefine: %.*s", SLICE_FMT(n->name.full));
    }
    n->name_id = (uint32_t)map_count(&r->s->names);
    return map_put(&r->s->names, n->name.full, n, NULL) == ERR_OK ? ERR_OK : no_memory(r);
}

/* --- properties, aliases, logical types --- */

static bool is_reserved(struct slice name, const char *const *reserved)
{
    for (; *reserved; reserved++)
        if (slice_eq_str(name, *reserved))
            return true;
    return false;
}

static const char *const schema_reserved[] = {"doc",     "fields", "items", "name",    "namespace", "size",
                                              "symbols", "values", "type",  "aliases", NULL};
static const char *const enum_reserved[] = {"doc",     "fields", "items", "name",    "namespace", "size",
                                            "symbols", "values", "type",  "aliases", "default",   NULL};
static const char *const field_reserved[] = {"default", "doc", "name", "order", "type", "aliases", NULL};

static enum err read_props(struct reading *r, const struct jvalue *v, const char *const *reserved,
                           struct avro_props *out)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < v->n; i++)
        n += !is_reserved(v->u.object.members[i].name, reserved);
    if (n == 0)
        return ERR_OK;
    if (!(out->v = arena_array(&r->s->arena, n, sizeof *out->v)))
        return no_memory(r);
    for (uint32_t i = 0; i < v->n; i++) {
        const struct jmember *m = &v->u.object.members[i];
        if (!is_reserved(m->name, reserved))
            out->v[out->n++] = (struct avro_prop){m->name, &m->value};
    }
    return ERR_OK;
}

static enum err read_alias_texts(struct reading *r, const struct jvalue *v, struct slice **out, uint32_t *n)
{
    const struct jvalue *list = json_text_get_str(v, "aliases");
    if (!list)
        return ERR_OK;
    if (list->kind != J_ARRAY)
        return bad_json(r, "aliases not an array", v);
    if (list->n && !(*out = arena_array(&r->s->arena, list->n, sizeof **out)))
        return no_memory(r);
    for (uint32_t i = 0; i < list->n; i++) {
        uint32_t j = 0;
        if (list->u.items[i].kind != J_STRING)
            return bad_json(r, "alias not a string", &list->u.items[i]);
        while (j < *n && !slice_eq((*out)[j], list->u.items[i].u.text))
            j++;
        if (j == *n)
            (*out)[(*n)++] = list->u.items[i].u.text;
    }
    return ERR_OK;
}

static enum err read_aliases(struct reading *r, const struct jvalue *v, struct avro_node *n)
{
    struct slice *texts = NULL;
    uint32_t count = 0;
    enum err e = read_alias_texts(r, v, &texts, &count);
    if (e == ERR_OK && count && !(n->aliases = arena_array(&r->s->arena, count, sizeof *n->aliases)))
        e = no_memory(r);
    for (uint32_t i = 0; i < count && e == ERR_OK; i++) {
        struct avro_name name;
        uint32_t j = 0;
        e = make_name(r, texts[i], n->name.space, &name);
        while (j < n->aliases_n && !slice_eq(n->aliases[j].full, name.full))
            j++;
        if (e == ERR_OK && j == n->aliases_n)
            n->aliases[n->aliases_n++] = name;
    }
    return e;
}

static const struct jvalue *prop(const struct avro_node *n, const char *name)
{
    for (uint32_t i = 0; i < n->props.n; i++)
        if (slice_eq_str(n->props.v[i].name, name))
            return n->props.v[i].value;
    return NULL;
}

static bool int_prop(const struct avro_node *n, const char *name, int32_t *out)
{
    const struct jvalue *v = prop(n, name);
    int64_t number;
    if (!v || v->kind != J_NUMBER || !avro_number_int64(v->u.text, &number) || number < INT32_MIN || number > INT32_MAX)
        return false;
    *out = (int32_t)number;
    return true;
}

static bool decimal_fits(struct avro_node *n)
{
    /* floor(log10(2) * (8 * size - 1)) digits fit a fixed of that size */
    int64_t most = n->kind == AVRO_BYTES ? INT32_MAX : (8 * (int64_t)n->u.size - 1) * 30103 / 100000;
    n->scale = 0;
    return (n->kind == AVRO_BYTES || n->kind == AVRO_FIXED) && int_prop(n, "precision", &n->precision) &&
           (!prop(n, "scale") || int_prop(n, "scale", &n->scale)) && n->precision > 0 && n->precision <= most &&
           n->scale >= 0 && n->scale <= n->precision;
}

/* A logical type that is unknown, or wrong for its type, is as if it were not there. */
static void read_logical(struct avro_node *n)
{
    static const struct {
        const char *name;
        int kind;
    } simple[] = {
        {"date", AVRO_INT},
        {"time-millis", AVRO_INT},
        {"time-micros", AVRO_LONG},
        {"timestamp-millis", AVRO_LONG},
        {"timestamp-micros", AVRO_LONG},
        {"timestamp-nanos", AVRO_LONG},
        {"local-timestamp-millis", AVRO_LONG},
        {"local-timestamp-micros", AVRO_LONG},
        {"local-timestamp-nanos", AVRO_LONG},
        {"big-decimal", AVRO_BYTES},
        {"uuid", AVRO_STRING},
    };
    const struct jvalue *v = prop(n, "logicalType");
    if (!v || v->kind != J_STRING)
        return;
    n->logical_name = v->u.text;
    if (slice_eq_str(v->u.text, "decimal"))
        n->logical = decimal_fits(n) ? AVRO_LOGICAL_DECIMAL : AVRO_LOGICAL_NONE;
    else if (n->kind == AVRO_FIXED && ((slice_eq_str(v->u.text, "duration") && n->u.size == 12) ||
                                       (slice_eq_str(v->u.text, "uuid") && n->u.size == 16)))
        n->logical = AVRO_LOGICAL_OTHER;
    for (size_t i = 0; i < sizeof simple / sizeof *simple; i++)
        if (n->kind == simple[i].kind && slice_eq_str(v->u.text, simple[i].name))
            n->logical = AVRO_LOGICAL_OTHER;
}

/* --- types --- */

static struct avro_node *new_node(struct reading *r, int kind, const struct jvalue *v)
{
    struct avro_node *n = r->s->nodes < AVRO_SCHEMA_NODES_MAX ? arena_alloc(&r->s->arena, sizeof *n) : NULL;
    if (!n) {
        if (r->s->nodes >= AVRO_SCHEMA_NODES_MAX)
            (void)reason_set(r->why, ERR_LIMIT_EXCEEDED, "more than %d types in a schema", AVRO_SCHEMA_NODES_MAX);
        else
            (void)no_memory(r);
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

static enum err find(struct reading *r, const struct jvalue *v, struct slice space, struct avro_node **out)
{
    struct slice name = v->u.text;
    int primitive = avro_primitive_of(name);
    if (primitive < 0) {
        struct slice full = name;
        if (space.n && (name.n == 0 || !memchr(name.p, '.', name.n))) {
            const char *text = arena_printf(&r->s->arena, "%.*s.%.*s", SLICE_FMT(space), SLICE_FMT(name));
            if (!text)
                return no_memory(r);
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
    return bad_json(r, "Unknown field order", order);
}

/* A float or double field may have its default as a string. */
static enum err read_double_default(struct reading *r, struct avro_field *f)
{
    const struct jvalue *d = f->default_value;
    if (!d || d->kind != J_STRING || (f->type->kind != AVRO_FLOAT && f->type->kind != AVRO_DOUBLE))
        return ERR_OK;
    char text[64] = "", *end = text;
    if (d->u.text.n && d->u.text.n < sizeof text && !memchr(d->u.text.p, 0, d->u.text.n)) {
        memcpy(text, d->u.text.p, d->u.text.n);
        text[d->u.text.n] = '\0';
        f->default_double = strtod(text, &end);
    }
    if (end == text || *end)
        return reason_set(r->why, ERR_MALFORMED, "For input string: \"%.*s\"", SLICE_FMT(d->u.text));
    f->default_is_double = true;
    return ERR_OK;
}

static enum err read_field(struct reading *r, const struct jvalue *v, struct slice space, struct avro_field *f)
{
    const struct jvalue *type = json_text_get_str(v, "type");
    enum err e;
    f->name = text_of(v, "name");
    f->doc = text_of(v, "doc");
    if (slice_is_null(f->name))
        return bad_json(r, "No field name", v);
    if (!type)
        return bad_json(r, "No field type", v);
    if ((e = read_schema(r, type, space, &f->type)) != ERR_OK || (e = read_order(r, v, f)) != ERR_OK)
        return e;
    f->default_value = json_text_get_str(v, "default");
    if ((e = read_double_default(r, f)) != ERR_OK || (e = check_name(r, f->name)) != ERR_OK)
        return e;
    if ((e = read_props(r, v, field_reserved, &f->props)) != ERR_OK)
        return e;
    return read_alias_texts(r, v, &f->aliases, &f->aliases_n);
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
        return no_memory(r);
    for (uint32_t i = 0; i < n->n; i++)
        n->by_name[i] = i;
    qsort_r(n->by_name, n->n, sizeof *n->by_name, by_field_name, n->u.fields);
    for (uint32_t i = 1; i < n->n; i++) {
        const struct avro_field *f = &n->u.fields[n->by_name[i]], *other = &n->u.fields[n->by_name[i - 1]];
        if (slice_eq(f->name, other->name))
            return reason_set(r->why, ERR_MALFORMED,
                              "Duplicate field %.*s in record %.*s: %.*s type:%s pos:%u and %.*s type:%s pos:%u.",
                              SLICE_FMT(f->name), SLICE_FMT(n->name.full), SLICE_FMT(f->name),
                              avro_kind_upper(f->type->kind), n->by_name[i], SLICE_FMT(other->name),
                              avro_kind_upper(other->type->kind), n->by_name[i - 1]);
    }
    return ERR_OK;
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
    enum err e = read_name(r, v, space, &n->name);
    if (e != ERR_OK)
        return e;
    if (!fields || fields->kind != J_ARRAY)
        return bad_json(r, "Record has no fields", v);
    if (fields->n && !(n->u.fields = arena_array(&r->s->arena, fields->n, sizeof *n->u.fields)))
        return no_memory(r);
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
    enum err e = read_name(r, v, space, &n->name);
    if (e != ERR_OK)
        return e;
    if (!symbols || symbols->kind != J_ARRAY)
        return bad_json(r, "Enum has no symbols", v);
    if (symbols->n && !(n->u.en.symbols = arena_array(&r->s->arena, symbols->n, sizeof *n->u.en.symbols)))
        return no_memory(r);
    n->u.en.default_symbol = text_of(v, "default");
    map_init(&seen);
    for (uint32_t i = 0; i < symbols->n && e == ERR_OK; i++) {
        struct slice symbol = symbols->u.items[i].kind == J_STRING ? symbols->u.items[i].u.text : SLICE_NULL;
        n->u.en.symbols[n->n++] = symbol;
        e = check_name(r, symbol);
        if (e == ERR_OK && map_has(&seen, symbol))
            e = reason_set(r->why, ERR_MALFORMED, "Duplicate enum symbol: %.*s", SLICE_FMT(symbol));
        else if (e == ERR_OK && map_put(&seen, symbol, n, NULL) != ERR_OK)
            e = no_memory(r);
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
    enum err e = read_name(r, v, space, &n->name);
    if (e != ERR_OK)
        return e;
    if (!size || size->kind != J_NUMBER || !avro_number_int64(size->u.text, &number) || number < INT32_MIN ||
        number > INT32_MAX)
        return bad_json(r, "Invalid or no size", v);
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
        return bad_json(r, array ? "Array has no items type" : "Map has no values type", v);
    return read_schema(r, inner, space, &n->u.items);
}

static enum err read_union(struct reading *r, const struct jvalue *v, struct slice space, struct avro_node *n)
{
    enum err e = ERR_OK;
    if (v->n > AVRO_UNION_BRANCHES_MAX)
        return reason_set(r->why, ERR_LIMIT_EXCEEDED, "a union of more than %d branches", AVRO_UNION_BRANCHES_MAX);
    if (v->n && !(n->u.branches = arena_array(&r->s->arena, v->n, sizeof *n->u.branches)))
        return no_memory(r);
    for (uint32_t i = 0; i < v->n && e == ERR_OK; i++) {
        e = read_schema(r, &v->u.items[i], space, &n->u.branches[i]);
        n->n += e == ERR_OK;
    }
    for (uint32_t i = 0; i < n->n && e == ERR_OK; i++)
        if (n->u.branches[i]->kind == AVRO_UNION)
            e = bad_json(r, "Nested union", v);
    return e;
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
    struct slice type = text_of(v, "type");
    int kind = avro_primitive_of(type);
    size_t i = 0, n_complex = sizeof complex / sizeof *complex;
    enum err e = ERR_OK;
    if (slice_is_null(type))
        return bad_json(r, "No type", v);
    while (kind < 0 && i < n_complex && !slice_eq_str(type, complex[i].word))
        i++;
    if (kind < 0 && i == n_complex)
        return reason_set(r->why, ERR_MALFORMED,
                          "A schema \"type\" MUST be a primitive type or one of \"enum\", \"fixed\", \"record\", "
                          "\"error\", \"array\" or \"map\".");
    struct avro_node *n = new_node(r, kind < 0 ? complex[i].kind : kind, v);
    if (!n)
        return node_failed(r);
    if (kind < 0)
        e = complex[i].read(r, v, space, n);
    n->is_error = slice_eq_str(type, "error");
    if (avro_is_named(n->kind))
        n->doc = text_of(v, "doc");
    if (e == ERR_OK)
        e = read_props(r, v, n->kind == AVRO_ENUM ? enum_reserved : schema_reserved, &n->props);
    if (e == ERR_OK)
        read_logical(n);
    if (e == ERR_OK && avro_is_named(n->kind) && (e = read_aliases(r, v, n)) == ERR_OK)
        e = define(r, n);
    *out = n;
    return e;
}

static enum err read_schema(struct reading *r, const struct jvalue *v, struct slice space, struct avro_node **out)
{
    switch (v->kind) {
    case J_STRING:
        return find(r, v, space, out);
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
    return bad_json(r, "Schema not yet supported", v);
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
        return no_memory(&r);
    enum err e = json_text_parse(&v, plain, &s->arena, why);
    if (e == ERR_OK)
        e = read_schema(&r, v, SLICE_NULL, root);
    return e;
}
