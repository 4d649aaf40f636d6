/* SPDX-License-Identifier: Apache-2.0
 * A .proto file read into its declarations. Which declaration may stand where is one table; recursion is by messages
 * inside messages and bounded. */
#include "registry/protobuf_model.h"

#include <assert.h>

enum place { IN_FILE = 1, IN_MESSAGE = 2, IN_ENUM = 4, IN_SERVICE = 8, IN_RPC = 16, IN_EXTEND = 32 };

/* What is being filled; those that do not apply are NULL. */
struct target {
    enum place place;
    struct proto_file *file;
    struct protobuf_message *type;
    struct proto_service *service;
    struct proto_rpc *rpc;
    struct proto_extend *extend;
};

static bool declaration(struct proto_reader *r, const struct proto_file *f, struct target *t);

static bool more(struct proto_reader *r, const void *p)
{
    if (!p && r->error == ERR_OK)
        r->error = reason_set(r->why, ERR_LIMIT_EXCEEDED,
                              "more than %d declarations of a kind in one place, or out of memory", PROTO_LIST_MAX);
    return p != NULL && r->error == ERR_OK;
}

/* { declarations } */
static bool body(struct proto_reader *r, const struct proto_file *f, struct target *t)
{
    if (++r->depth > PROTOBUF_DEPTH_MAX)
        return proto_bad(r, "nested deeper than %d", PROTOBUF_DEPTH_MAX);
    (void)proto_require(r, '{');
    while (r->error == ERR_OK && !proto_take(r, '}'))
        if (!declaration(r, f, t))
            return false;
    r->depth--;
    return r->error == ERR_OK;
}

/* --- fields --- */

/* `default` and `json_name` are no options. */
static void strip(struct proto_options *o, const char *name, struct slice *out)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < o->n; i++) {
        if (slice_eq_str(o->v[i].name, name))
            *out = o->v[i].value.text;
        else
            o->v[kept++] = o->v[i];
    }
    o->n = kept;
}

static bool field_rest(struct proto_reader *r, enum proto_label label, struct slice type, struct proto_field *f)
{
    f->label = label;
    f->type = type;
    f->default_value = f->json_name = SLICE_NULL;
    f->name = proto_name(r);
    if (f->name.n && f->name.p[0] >= '0' && f->name.p[0] <= '9')
        return proto_bad_at(r, f->name.p - 1, "field and constant names cannot start with a digit");
    if (!proto_require(r, '=') || !proto_int(r, &f->tag) || !proto_read_options(r, &f->options))
        return false;
    strip(&f->options, "default", &f->default_value);
    strip(&f->options, "json_name", &f->json_name);
    return proto_require(r, ';') && proto_trailing_comment(r);
}

static bool field_head(struct proto_reader *r, const struct proto_file *f, struct slice word, enum proto_label *label,
                       struct slice *type)
{
    static const char *const labels[] = {"", "required", "optional", "repeated"};
    *label = PROTO_UNLABELED;
    for (int i = PROTO_REQUIRED; i <= PROTO_REPEATED; i++)
        if (slice_eq_str(word, labels[i]))
            *label = (enum proto_label)i;
    if (*label == PROTO_REQUIRED && f->syntax == 3)
        return proto_bad_at(r, r->declaration, "'required' label forbidden in proto3 field declarations");
    if (*label == PROTO_UNLABELED && f->syntax != 3 && !(slice_eq_str(word, "map") && proto_peek(r) == '<'))
        return proto_bad_at(r, r->declaration, "unexpected label: %.*s", SLICE_FMT(word));
    *type = proto_data_type(r, *label == PROTO_UNLABELED ? word : SLICE_NULL);
    if (*label != PROTO_UNLABELED && slice_starts(*type, slice_str("map<")))
        return proto_bad_at(r, r->declaration, "'map' type cannot have label");
    return r->error == ERR_OK;
}

static bool group(struct proto_reader *r, const struct proto_file *f, enum proto_label label, struct proto_group *g)
{
    g->label = label;
    g->name = proto_word(r, true);
    if (!proto_require(r, '=') || !proto_int(r, &g->tag) || !proto_require(r, '{'))
        return false;
    while (r->error == ERR_OK && !proto_take(r, '}')) {
        enum proto_label inner;
        struct slice type;
        struct proto_field *field;
        r->declaration = r->p;
        if (!field_head(r, f, proto_word(r, true), &inner, &type))
            return false;
        if (slice_eq_str(type, "group"))
            return proto_bad(r, "expected field declaration");
        if (!more(r, field = PROTO_MORE(r->arena, g->fields)) || !field_rest(r, inner, type, field))
            return false;
    }
    return r->error == ERR_OK;
}

static bool field(struct proto_reader *r, const struct proto_file *f, struct target *t, struct slice word)
{
    enum proto_label label;
    struct slice type;
    struct proto_fields *fields = t->extend ? &t->extend->fields : &t->type->fields;
    if (!field_head(r, f, word, &label, &type))
        return false;
    if (slice_eq_str(type, "group")) {
        struct proto_group unused = {0}, *g = &unused;
        if (!t->extend && !more(r, g = PROTO_MORE(r->arena, t->type->groups)))
            return false;
        return group(r, f, label, g);
    }
    struct proto_field *one = PROTO_MORE(r->arena, *fields);
    return more(r, one) && field_rest(r, label, type, one);
}

static bool option(struct proto_reader *r, struct proto_options *list)
{
    struct proto_option o, *one;
    if (!proto_read_option(r, '=', &o) || !proto_require(r, ';') || !more(r, one = PROTO_MORE(r->arena, *list)))
        return false;
    *one = o;
    return true;
}

static bool oneof(struct proto_reader *r, const struct proto_file *f, struct target *t)
{
    struct proto_oneof *o = PROTO_MORE(r->arena, t->type->oneofs);
    if (!more(r, o))
        return false;
    o->name = proto_name(r);
    (void)proto_require(r, '{');
    while (r->error == ERR_OK && !proto_take(r, '}')) {
        r->declaration = r->p;
        struct slice type = proto_data_type(r, SLICE_NULL);
        struct proto_field *one;
        struct proto_group *g;
        bool ok;
        if (slice_eq_str(type, "option"))
            ok = option(r, &o->options);
        else if (slice_eq_str(type, "group"))
            ok = more(r, g = PROTO_MORE(r->arena, o->groups)) && group(r, f, PROTO_UNLABELED, g);
        else
            ok = more(r, one = PROTO_MORE(r->arena, o->fields)) && field_rest(r, PROTO_UNLABELED, type, one);
        if (!ok)
            return false;
    }
    return r->error == ERR_OK;
}

/* A name in quotes. It is printed as it stands, so what would read as something else then is refused. */
static struct slice quoted_name(struct proto_reader *r)
{
    struct slice s = proto_quoted(r);
    for (size_t i = 0; i < s.n && r->error == ERR_OK; i++)
        if (s.p[i] < ' ' || s.p[i] == '"' || s.p[i] == '\\')
            proto_bad(r, "a name in quotes holds no quotes, backslashes or control characters");
    return s;
}

/* --- reserved, extensions --- */

static bool range(struct proto_reader *r, bool names, struct proto_range *out)
{
    int c = proto_peek(r);
    *out = (struct proto_range){.name = SLICE_NULL};
    if (names && (c == '"' || c == '\'')) {
        out->name = quoted_name(r);
        return r->error == ERR_OK;
    }
    if (!proto_int(r, &out->from))
        return false;
    out->to = out->from;
    c = proto_peek(r);
    if (c == ',' || c == ';' || (c == '[' && !names))
        return true;
    if (!slice_eq_str(proto_word(r, true), "to"))
        return proto_bad_at(r, r->declaration, names ? "expected ',', ';', or 'to'" : "expected ',', ';', '[' or 'to'");
    out->range = true;
    struct slice word = proto_word(r, true);
    if (slice_eq_str(word, "max"))
        out->to = PROTO_TAG_MAX;
    else if (r->error == ERR_OK && !proto_decimal(word, &out->to))
        r->error =
            reason_set(r->why, ERR_MALFORMED, "Could not parse Protobuf - For input string: \"%.*s\"", SLICE_FMT(word));
    return r->error == ERR_OK;
}

static bool ranges(struct proto_reader *r, struct proto_range_lists *lists, bool names)
{
    struct proto_ranges *l = PROTO_MORE(r->arena, *lists);
    if (!more(r, l))
        return false;
    for (;;) {
        struct proto_range *one = PROTO_MORE(r->arena, *l);
        if (!more(r, one) || !range(r, names, one))
            return false;
        if (!names && proto_peek(r) == '[')
            return proto_read_options(r, &l->options) && proto_require(r, ';');
        if (proto_take(r, ';'))
            return !names || proto_trailing_comment(r);
        if (!proto_take(r, ',')) {
            r->p += r->p < r->end;
            return proto_bad(r, "expected ',' or ';'");
        }
    }
}

/* --- declarations --- */

static bool twice(struct proto_reader *r, struct slice name, unsigned line, unsigned column, unsigned first_line,
                  unsigned first_column)
{
    r->error =
        reason_set(r->why, ERR_MALFORMED, "Could not parse Protobuf - %.*s (:%u:%u) is already defined at :%u:%u",
                   SLICE_FMT(name), line, column, first_line, first_column);
    return false;
}

static bool type(struct proto_reader *r, const struct proto_file *f, struct target *t, bool is_enum)
{
    struct proto_types *types = t->place == IN_FILE ? &t->file->types : &t->type->types;
    struct protobuf_message *m = arena_alloc(r->arena, sizeof *m), **slot;
    if (!more(r, m))
        return false;
    m->is_enum = is_enum;
    proto_place(r, r->declaration, &m->line, &m->column);
    m->name = proto_name(r);
    m->up = t->place == IN_FILE ? NULL : t->type;
    struct target inner = {.place = is_enum ? IN_ENUM : IN_MESSAGE, .type = m};
    if (r->error != ERR_OK || !body(r, f, &inner))
        return false;
    if (t->place == IN_FILE) {
        const struct protobuf_message *before = map_get(&r->types, m->name);
        if (before)
            return twice(r, m->name, m->line, m->column, before->line, before->column);
        if (map_put(&r->types, m->name, m, NULL) != ERR_OK)
            return more(r, NULL);
    }
    if (!more(r, slot = PROTO_MORE(r->arena, *types)))
        return false;
    *slot = m;
    return true;
}

/* In quotes or without. */
static struct slice quoted_or_word(struct proto_reader *r)
{
    int c = proto_peek(r);
    return c == '"' || c == '\'' ? quoted_name(r) : proto_word(r, true);
}

static bool import(struct proto_reader *r, struct target *t)
{
    struct proto_names *list = &t->file->imports;
    struct slice name = quoted_or_word(r), *one;
    bool weak = slice_eq_str(name, "weak");
    if (weak || slice_eq_str(name, "public")) {
        list = weak ? &t->file->weak_imports : &t->file->public_imports;
        name = quoted_or_word(r);
    }
    if (r->error != ERR_OK || !more(r, one = PROTO_MORE(r->arena, *list)))
        return false;
    *one = name;
    return proto_require(r, ';');
}

static bool syntax(struct proto_reader *r, struct target *t, bool first)
{
    const uint8_t *at = r->declaration;
    if (t->file->syntax)
        return proto_bad_at(r, at, "too many syntax definitions");
    if (!proto_require(r, '='))
        return false;
    if (!first)
        return proto_bad_at(r, at, "'syntax' element must be the first declaration in a file");
    struct slice word = proto_quoted(r);
    if (slice_eq_str(word, "proto2") || slice_eq_str(word, "proto3"))
        t->file->syntax = word.p[5] - '0';
    else
        return proto_bad_at(r, at, "unexpected syntax: %.*s", SLICE_FMT(word));
    return proto_require(r, ';');
}

static bool rpc_type(struct proto_reader *r, struct slice *type_name, bool *stream)
{
    (void)proto_require(r, '(');
    struct slice word = proto_word(r, true);
    *stream = slice_eq_str(word, "stream");
    *type_name = proto_data_type(r, *stream ? SLICE_NULL : word);
    return proto_require(r, ')');
}

static bool rpc(struct proto_reader *r, const struct proto_file *f, struct target *t)
{
    struct proto_rpc *one = PROTO_MORE(r->arena, t->service->rpcs);
    if (!more(r, one))
        return false;
    one->name = proto_name(r);
    if (!rpc_type(r, &one->request, &one->request_stream))
        return false;
    if (!slice_eq_str(proto_word(r, true), "returns"))
        return proto_bad_at(r, r->declaration, "expected 'returns'");
    if (!rpc_type(r, &one->response, &one->response_stream))
        return false;
    if (proto_peek(r) != '{')
        return proto_require(r, ';');
    struct target inner = {.place = IN_RPC, .rpc = one};
    return body(r, f, &inner);
}

static bool service(struct proto_reader *r, const struct proto_file *f, struct target *t)
{
    struct proto_service *one = PROTO_MORE(r->arena, t->file->services);
    if (!more(r, one))
        return false;
    proto_place(r, r->declaration, &one->line, &one->column);
    one->name = proto_name(r);
    struct target inner = {.place = IN_SERVICE, .service = one};
    if (!body(r, f, &inner))
        return false;
    uintptr_t before = (uintptr_t)map_get(&r->services, one->name), index = t->file->services.n;
    if (before) {
        const struct proto_service *other = &t->file->services.v[before - 1];
        return twice(r, one->name, one->line, one->column, other->line, other->column);
    }
    return map_put(&r->services, one->name, (void *)index, NULL) == ERR_OK || more(r, NULL);
}

static bool extend(struct proto_reader *r, const struct proto_file *f, struct target *t)
{
    struct proto_extends *list = t->place == IN_FILE ? &t->file->extends : &t->type->extends;
    struct proto_extend *one = PROTO_MORE(r->arena, *list);
    if (!more(r, one))
        return false;
    one->name = proto_name(r);
    struct target inner = {.place = IN_EXTEND, .extend = one};
    return body(r, f, &inner);
}

static bool constant(struct proto_reader *r, struct target *t, struct slice name)
{
    struct proto_constant *one = PROTO_MORE(r->arena, t->type->constants);
    if (!more(r, one))
        return false;
    one->name = name;
    return proto_require(r, '=') && proto_int(r, &one->tag) && proto_read_options(r, &one->options) &&
           proto_require(r, ';') && proto_trailing_comment(r);
}

static struct proto_options *options_of(struct target *t)
{
    switch (t->place) {
    case IN_FILE:
        return &t->file->options;
    case IN_MESSAGE:
    case IN_ENUM:
        return &t->type->options;
    case IN_SERVICE:
        return &t->service->options;
    case IN_RPC:
        return &t->rpc->options;
    case IN_EXTEND:
        break;
    }
    assert(!"no option stands there: see declaration()");
    return NULL;
}

static bool package(struct proto_reader *r, struct target *t)
{
    t->file->package = proto_name(r);
    return proto_require(r, ';');
}

static bool declaration(struct proto_reader *r, const struct proto_file *f, struct target *t)
{
    static const struct {
        const char *word;
        unsigned places;
    } words[] = {
        {"package", IN_FILE},
        {"import", IN_FILE},
        {"syntax", IN_FILE},
        {"option", IN_FILE | IN_MESSAGE | IN_ENUM | IN_SERVICE | IN_RPC},
        {"reserved", IN_MESSAGE | IN_ENUM},
        {"message", IN_FILE | IN_MESSAGE},
        {"enum", IN_FILE | IN_MESSAGE},
        {"service", IN_FILE},
        {"extend", IN_FILE | IN_MESSAGE},
        {"rpc", IN_SERVICE},
        {"oneof", IN_MESSAGE},
        {"extensions", IN_MESSAGE},
        {"edition", IN_FILE},
    };
    bool first = r->declarations++ == 0;
    if (proto_take(r, ';'))
        return true;
    r->declaration = r->p;
    struct slice word = proto_word(r, true);
    if (t->place == IN_ENUM && word.n && word.p[0] >= '0' && word.p[0] <= '9')
        return proto_bad_at(r, word.p - 1, "field and constant names cannot start with a digit");
    int found = -1;
    for (int i = 0; i < (int)(sizeof words / sizeof *words) && r->error == ERR_OK; i++)
        if (slice_eq_str(word, words[i].word) && (words[i].places & t->place))
            found = i;
    switch (r->error == ERR_OK ? found : -2) {
    case -2:
        return false;
    case 0:
        return package(r, t);
    case 1:
        return import(r, t);
    case 2:
        return syntax(r, t, first);
    case 3:
        return option(r, options_of(t));
    case 4:
        return ranges(r, &t->type->reserved, true);
    case 5:
    case 6:
        return type(r, f, t, found == 6);
    case 7:
        return service(r, f, t);
    case 8:
        return extend(r, f, t);
    case 9:
        return rpc(r, f, t);
    case 10:
        return oneof(r, f, t);
    case 11:
        return ranges(r, &t->type->extensions, false);
    case 12:
        return proto_bad(r, "edition is not currently supported");
    }
    if (t->place == IN_MESSAGE || t->place == IN_EXTEND)
        return field(r, f, t, word);
    if (t->place == IN_ENUM)
        return constant(r, t, word);
    return proto_bad_at(r, r->declaration, "unexpected label: %.*s", SLICE_FMT(word));
}

enum err proto_read_text(struct proto_file *f, struct slice text, struct arena *a, struct reason *why)
{
    struct proto_reader r = {.p = text.p, .start = text.p, .end = text.p + text.n, .arena = a, .why = why};
    struct target t = {.place = IN_FILE, .file = f};
    f->package = SLICE_NULL;
    map_init(&r.types);
    map_init(&r.services);
    while (!proto_exhausted(&r))
        if (!declaration(&r, f, &t))
            break;
    map_free(&r.types, NULL);
    map_free(&r.services, NULL);
    if (r.error == ERR_NO_MEMORY)
        return reason_set(why, ERR_NO_MEMORY, "out of memory reading a Protobuf schema");
    return r.error;
}
