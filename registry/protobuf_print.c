/* SPDX-License-Identifier: Apache-2.0
 * A .proto file as text. The canonical text is the schema's identity and follows the reference's printer to the blank:
 * members of a kind stand together in its fixed order of kinds, and every line inside a block is indented, empty ones
 * too. The normal style also resolves names, sorts what has no order, and writes maps as maps. */
#include "registry/protobuf_print.h"

#include <stdlib.h>

/* --- fields --- */

static const char *const label_words[] = {"", "required ", "optional ", "repeated "};

static void unresolved(struct writing *w, struct slice type)
{
    if (w->error == ERR_OK)
        w->error = reason_set(w->why, ERR_MALFORMED, "Could not resolve type: %.*s", SLICE_FMT(type));
}

static void check_key(struct writing *w, struct slice key)
{
    bool bad = !proto_is_scalar(key) || slice_eq_str(key, "bytes") || slice_eq_str(key, "double") ||
               slice_eq_str(key, "float");
    if (bad && w->error == ERR_OK)
        w->error = reason_set(w->why, ERR_MALFORMED, "map key must be non-byte, non-floating point scalar: %.*s",
                              SLICE_FMT(key));
}

/* The type as normalization writes it; says whether it is a map. */
static struct slice normal_type(struct writing *w, struct slice type, bool *map)
{
    struct slice key, value;
    const char *text = NULL;
    *map = proto_is_map(type, &key, &value);
    if (proto_is_scalar(type))
        return type;
    struct protobuf_message *m = *map ? NULL : proto_find_type(w->s, w->s->file.package, w->scope, type);
    if (m && m->is_map) {
        for (uint32_t i = 0; i < m->fields.n; i++)
            *(slice_eq_str(m->fields.v[i].name, "key") ? &key : &value) = m->fields.v[i].type;
        *map = m->fields.n == 2;
    }
    if (*map) {
        check_key(w, key);
        struct protobuf_message *inner =
            proto_is_scalar(value) ? NULL : proto_find_type(w->s, w->s->file.package, w->scope, value);
        text = inner ? arena_printf(&w->arena, "map<%.*s, .%.*s>", SLICE_FMT(key), SLICE_FMT(inner->full))
                     : arena_printf(&w->arena, "map<%.*s, %.*s>", SLICE_FMT(key), SLICE_FMT(value));
    } else if (m) {
        text = arena_printf(&w->arena, ".%.*s", SLICE_FMT(m->full));
    } else {
        unresolved(w, type);
    }
    return text ? slice_str(text) : type;
}

/* Everything but strings stands bare, bytes too, as the reference has it; but in quotes when it would not read again.
 */
static enum proto_value_kind default_kind(struct slice type, struct slice text)
{
    if (slice_eq_str(type, "string") || !proto_is_word(text))
        return PROTO_STRING;
    if (slice_eq_str(type, "bool"))
        return PROTO_BOOLEAN;
    return proto_is_scalar(type) ? PROTO_NUMBER : PROTO_WORD;
}

static void add_special(struct writing *w, struct proto_options *o, const char *name, enum proto_value_kind kind,
                        struct slice text)
{
    if (slice_is_null(text))
        return;
    struct proto_option *one = PROTO_MORE(&w->arena, *o);
    if (one)
        *one = (struct proto_option){.name = slice_str(name), .value = {.kind = kind, .text = text}};
    else
        w->error = ERR_NO_MEMORY;
}

static void put_field(struct writing *w, const struct proto_field *f)
{
    enum proto_label label = f->label;
    struct slice type = f->type;
    struct proto_options all = f->options;
    bool map = false;
    if (proto_is_normal(w))
        type = normal_type(w, type, &map);
    if (map && proto_is_normal(w))
        label = PROTO_UNLABELED;
    proto_put(w, label_words[label]);
    proto_put_slice(w, type);
    proto_put(w, " ");
    proto_put_slice(w, f->name);
    proto_put(w, " = ");
    proto_put_int(w, f->tag);
    all.cap = all.n; /* grow a copy */
    add_special(w, &all, "default", default_kind(f->type, f->default_value), f->default_value);
    add_special(w, &all, "json_name", PROTO_STRING, f->json_name);
    proto_put_bracketed_options(w, &all);
    proto_put(w, ";\n");
}

static int by_tag(const void *a, const void *b)
{
    const struct proto_field *f = a, *g = b;
    return (f->tag > g->tag) - (f->tag < g->tag);
}

static void put_fields(struct writing *w, const struct proto_fields *fields)
{
    const struct proto_field *v =
        proto_is_normal(w) ? proto_sorted(w, fields->v, fields->n, sizeof *v, by_tag) : fields->v;
    for (uint32_t i = 0; v && i < fields->n; i++)
        put_field(w, &v[i]);
}

static int by_group_tag(const void *a, const void *b)
{
    const struct proto_group *f = a, *g = b;
    return (f->tag > g->tag) - (f->tag < g->tag);
}

static void put_groups(struct writing *w, const struct proto_groups *groups)
{
    const struct proto_group *v =
        proto_is_normal(w) ? proto_sorted(w, groups->v, groups->n, sizeof *v, by_group_tag) : groups->v;
    for (uint32_t i = 0; v && i < groups->n; i++) {
        proto_put(w, label_words[v[i].label]);
        proto_put(w, "group ");
        proto_put_slice(w, v[i].name);
        proto_put(w, " = ");
        proto_put_int(w, v[i].tag);
        proto_put(w, v[i].fields.n ? " {\n" : " {");
        w->level++;
        put_fields(w, &v[i].fields);
        w->level--;
        proto_put(w, "}\n");
    }
}

static int by_first_tag(const void *a, const void *b)
{
    const struct proto_oneof *o = a, *p = b;
    int32_t x = o->fields.v[0].tag, y = p->fields.v[0].tag;
    return (x > y) - (x < y);
}

static void put_oneof(struct writing *w, const struct proto_oneof *o)
{
    struct proto_options options = proto_chosen_options(w, &o->options);
    proto_put(w, "oneof ");
    proto_put_slice(w, o->name);
    proto_put(w, " {");
    w->level++;
    proto_put_break(w, options.n);
    proto_put_declared_options(w, &options);
    proto_put_break(w, o->fields.n);
    put_fields(w, &o->fields);
    proto_put_break(w, o->groups.n);
    put_groups(w, &o->groups);
    w->level--;
    proto_put(w, "}\n");
}

static void put_oneofs(struct writing *w, const struct protobuf_message *m)
{
    if (!proto_is_normal(w)) {
        for (uint32_t i = 0; i < m->oneofs.n; i++)
            put_oneof(w, &m->oneofs.v[i]);
        return;
    }
    struct proto_oneof *v = proto_sorted(w, m->oneofs.v, m->oneofs.n, sizeof *v, NULL);
    uint32_t n = 0;
    for (uint32_t i = 0; v && i < m->oneofs.n; i++) {
        if (v[i].fields.n == 0)
            continue;
        v[i].fields.v = proto_sorted(w, v[i].fields.v, v[i].fields.n, sizeof *v[i].fields.v, by_tag);
        if (!v[i].fields.v)
            return;
        v[n++] = v[i];
    }
    if (n)
        qsort(v, n, sizeof *v, by_first_tag);
    for (uint32_t i = 0; i < n; i++)
        put_oneof(w, &v[i]);
}

/* --- reserved, extensions --- */

static int by_range(const void *a, const void *b)
{
    const struct proto_range *r = a, *q = b;
    bool x = !slice_is_null(r->name), y = !slice_is_null(q->name);
    if (x || y)
        return x && y ? slice_cmp(r->name, q->name) : x - y;
    return r->from != q->from ? (r->from > q->from) - (r->from < q->from) : (r->to > q->to) - (r->to < q->to);
}

static void put_range(struct writing *w, const struct proto_range *r)
{
    if (!slice_is_null(r->name)) {
        proto_put(w, "\"");
        proto_put_slice(w, r->name);
        proto_put(w, "\"");
        return;
    }
    proto_put_int(w, r->from);
    if (!r->range || (proto_is_normal(w) && r->from == r->to))
        return;
    proto_put(w, " to ");
    if (r->to < PROTO_TAG_MAX)
        proto_put_int(w, r->to);
    else
        proto_put(w, "max");
}

static void put_range_line(struct writing *w, const char *word, const struct proto_range *v, uint32_t n,
                           const struct proto_options *options)
{
    proto_put(w, word);
    for (uint32_t i = 0; i < n; i++) {
        proto_put(w, i ? ", " : "");
        put_range(w, &v[i]);
    }
    proto_put_bracketed_options(w, options);
    proto_put(w, ";\n");
}

struct range_and_options {
    struct proto_range range; /* first: by_range() sorts by it */
    const struct proto_options *options;
};

static void put_ranges(struct writing *w, const char *word, const struct proto_range_lists *lists)
{
    struct range_and_options *all;
    uint32_t n = 0;
    if (!proto_is_normal(w)) {
        for (uint32_t i = 0; i < lists->n; i++)
            put_range_line(w, word, lists->v[i].v, lists->v[i].n, &lists->v[i].options);
        return;
    }
    for (uint32_t i = 0; i < lists->n; i++)
        n += lists->v[i].n;
    all = arena_array(&w->arena, n + 1, sizeof *all);
    if (!all) {
        w->error = ERR_NO_MEMORY;
        return;
    }
    n = 0;
    for (uint32_t i = 0; i < lists->n; i++)
        for (uint32_t k = 0; k < lists->v[i].n; k++)
            all[n++] = (struct range_and_options){lists->v[i].v[k], &lists->v[i].options};
    qsort(all, n, sizeof *all, by_range);
    for (uint32_t i = 0; i < n; i++)
        put_range_line(w, word, &all[i].range, 1, all[i].options);
}

/* --- extend --- */

static void put_extend(struct writing *w, struct slice name, const struct proto_fields *fields)
{
    proto_put(w, "extend ");
    proto_put_slice(w, name);
    proto_put(w, fields->n ? " {\n" : " {");
    w->level++;
    put_fields(w, fields);
    w->level--;
    proto_put(w, "}\n");
}

/* What is extended, asked or answered is a message, whatever its name. */
static struct slice extended_name(struct writing *w, struct slice name)
{
    struct protobuf_message *m = proto_find_type(w->s, w->s->file.package, w->scope, name);
    const char *text = m ? arena_printf(&w->arena, ".%.*s", SLICE_FMT(m->full)) : NULL;
    if (!m)
        unresolved(w, name);
    return text ? slice_str(text) : name;
}

/* Those of one type become one. */
static void put_extends(struct writing *w, const struct proto_extends *list)
{
    if (!proto_is_normal(w)) {
        for (uint32_t i = 0; i < list->n; i++)
            put_extend(w, list->v[i].name, &list->v[i].fields);
        return;
    }
    struct slice *names = arena_array(&w->arena, list->n + 1, sizeof *names);
    for (uint32_t i = 0; names && i < list->n; i++)
        names[i] = list->v[i].fields.n ? extended_name(w, list->v[i].name) : SLICE_NULL;
    for (uint32_t i = 0; names && i < list->n; i++) {
        struct proto_fields merged = {0};
        if (slice_is_null(names[i]))
            continue;
        struct slice name = names[i];
        for (uint32_t k = i; k < list->n; k++) {
            if (!slice_eq(names[k], name))
                continue;
            names[k] = SLICE_NULL;
            for (uint32_t f = 0; f < list->v[k].fields.n; f++) {
                struct proto_field *one = PROTO_MORE(&w->arena, merged);
                if (!one)
                    w->error = ERR_NO_MEMORY;
                else
                    *one = list->v[k].fields.v[f];
            }
        }
        if (merged.n)
            put_extend(w, name, &merged);
    }
}

/* --- types --- */

static void put_types(struct writing *w, const struct proto_types *types);

static int by_constant(const void *a, const void *b)
{
    const struct proto_constant *c = a, *d = b;
    return c->tag != d->tag ? (c->tag > d->tag) - (c->tag < d->tag) : slice_cmp(c->name, d->name);
}

static void put_enum(struct writing *w, const struct protobuf_message *m)
{
    struct proto_options options = proto_chosen_options(w, &m->options);
    proto_put(w, "enum ");
    proto_put_slice(w, m->name);
    proto_put(w, " {");
    w->level++;
    proto_put_break(w, m->reserved.n || m->options.n || m->constants.n);
    put_ranges(w, "reserved ", &m->reserved);
    proto_put_declared_options(w, &options);
    const struct proto_constant *v =
        proto_is_normal(w) ? proto_sorted(w, m->constants.v, m->constants.n, sizeof *v, by_constant) : m->constants.v;
    for (uint32_t i = 0; v && i < m->constants.n; i++) {
        proto_put_slice(w, v[i].name);
        proto_put(w, " = ");
        proto_put_int(w, v[i].tag);
        proto_put_bracketed_options(w, &v[i].options);
        proto_put(w, ";\n");
    }
    w->level--;
    proto_put(w, "}\n");
}

static bool has_types(const struct writing *w, const struct proto_types *types)
{
    for (uint32_t i = 0; i < types->n; i++)
        if (!(proto_is_normal(w) && types->v[i]->is_map))
            return true;
    return false;
}

static void put_message(struct writing *w, const struct protobuf_message *m)
{
    struct proto_options options = proto_chosen_options(w, &m->options);
    bool extensions = w->style != PROTO_NO_EXTENSIONS;
    proto_put(w, "message ");
    proto_put_slice(w, m->name);
    proto_put(w, " {");
    w->level++;
    proto_put_break(w, m->reserved.n);
    put_ranges(w, "reserved ", &m->reserved);
    proto_put_break(w, options.n);
    proto_put_declared_options(w, &options);
    proto_put_break(w, m->fields.n);
    put_fields(w, &m->fields);
    proto_put_break(w, m->oneofs.n);
    put_oneofs(w, m);
    proto_put_break(w, m->groups.n);
    put_groups(w, &m->groups);
    proto_put_break(w, extensions && m->extensions.n);
    if (extensions)
        put_ranges(w, "extensions ", &m->extensions);
    proto_put_break(w, extensions && m->extends.n);
    if (extensions)
        put_extends(w, &m->extends);
    proto_put_break(w, has_types(w, &m->types));
    put_types(w, &m->types);
    w->level--;
    proto_put(w, "}\n");
}

/* Messages first, then enums, as the reference prints them. */
static void put_types(struct writing *w, const struct proto_types *types)
{
    struct slice outer = w->scope;
    for (int enums = 0; enums < 2; enums++)
        for (uint32_t i = 0; i < types->n && w->error == ERR_OK; i++) {
            const struct protobuf_message *m = types->v[i];
            size_t package = w->s->file.package.n ? w->s->file.package.n + 1 : 0;
            if (m->is_enum != (enums == 1) || (proto_is_normal(w) && m->is_map))
                continue;
            if (w->out->n > PROTOBUF_PRINT_MAX)
                w->error = ERR_LIMIT_EXCEEDED;
            if (m->full.n) /* a file read only to be printed again is not linked; canonically nothing is resolved */
                w->scope = slice_of(m->full.p + package, m->full.n - package);
            if (m->is_enum)
                put_enum(w, m);
            else
                put_message(w, m);
        }
    w->scope = outer;
}

/* --- services and the file --- */

static void put_rpc(struct writing *w, const struct proto_rpc *r)
{
    struct proto_options options = proto_chosen_options(w, &r->options);
    proto_put(w, "rpc ");
    proto_put_slice(w, r->name);
    proto_put(w, r->request_stream ? " (stream " : " (");
    proto_put_slice(w, proto_is_normal(w) ? extended_name(w, r->request) : r->request);
    proto_put(w, r->response_stream ? ") returns (stream " : ") returns (");
    proto_put_slice(w, proto_is_normal(w) ? extended_name(w, r->response) : r->response);
    proto_put(w, options.n ? ") {\n" : ")");
    w->level++;
    proto_put_declared_options(w, &options);
    w->level--;
    proto_put(w, options.n ? "};\n" : ";\n");
}

static void put_service(struct writing *w, const struct proto_service *service)
{
    struct proto_options options = proto_chosen_options(w, &service->options);
    proto_put(w, "service ");
    proto_put_slice(w, service->name);
    proto_put(w, " {");
    w->level++;
    proto_put_break(w, options.n);
    proto_put_declared_options(w, &options);
    proto_put_break(w, service->rpcs.n);
    for (uint32_t i = 0; i < service->rpcs.n; i++)
        put_rpc(w, &service->rpcs.v[i]);
    w->level--;
    proto_put(w, "}\n");
}

static int by_slice(const void *a, const void *b)
{
    return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

static void put_imports(struct writing *w, const struct proto_names *names, const char *word)
{
    const struct slice *v = proto_is_normal(w) ? proto_sorted(w, names->v, names->n, sizeof *v, by_slice) : names->v;
    for (uint32_t i = 0; v && i < names->n; i++) {
        if (proto_is_normal(w) && i && slice_eq(v[i], v[i - 1]))
            continue;
        proto_put(w, word);
        proto_put_slice(w, v[i]);
        proto_put(w, "\";\n");
    }
}

static void put_file(struct writing *w, const struct proto_file *f)
{
    struct proto_options options = proto_chosen_options(w, &f->options);
    if (f->syntax == 3 || (f->syntax == 2 && !proto_is_normal(w)))
        proto_put(w, f->syntax == 3 ? "syntax = \"proto3\";\n" : "syntax = \"proto2\";\n");
    if (!slice_is_null(f->package)) {
        proto_put(w, "package ");
        proto_put_slice(w, f->package);
        proto_put(w, ";\n");
    }
    proto_put(w, f->imports.n || f->public_imports.n ? "\n" : "");
    put_imports(w, &f->imports, "import \"");
    put_imports(w, &f->public_imports, "import public \"");
    proto_put(w, options.n ? "\n" : "");
    proto_put_declared_options(w, &options);
    proto_put(w, has_types(w, &f->types) ? "\n" : "");
    put_types(w, &f->types);
    if (w->style != PROTO_NO_EXTENSIONS) {
        proto_put(w, f->extends.n ? "\n" : "");
        put_extends(w, &f->extends);
    }
    proto_put(w, f->services.n ? "\n" : "");
    for (uint32_t i = 0; i < f->services.n; i++)
        put_service(w, &f->services.v[i]);
}

enum err proto_print(const struct proto_schema *s, enum proto_style style, struct buf *out, struct reason *why)
{
    struct writing w = {.s = s, .style = style, .out = out, .scope = slice_str(""), .why = why};
    arena_init(&w.arena, 0);
    put_file(&w, &s->file);
    arena_free(&w.arena);
    return w.error != ERR_OK ? w.error : buf_error(out);
}
