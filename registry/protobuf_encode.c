/* SPDX-License-Identifier: Apache-2.0
 * The schema as a binary FileDescriptorProto, for clients that ask for `serialized`. Names are resolved, maps become
 * entry messages, and optional fields of proto3 their oneofs, as protoc does it. Options without a field of their own
 * in descriptors are left out, Confluent's excepted. */
#include "registry/protobuf_model.h"

#include <stdlib.h>

struct encoding {
    const struct proto_schema *s;
    struct slice scope;
    enum err error;
};

static void put_tag(struct buf *b, uint32_t number, unsigned wire)
{
    buf_uvarint(b, (uint64_t)number << 3 | wire);
}

static void put_number(struct buf *b, uint32_t number, int64_t v)
{
    put_tag(b, number, 0);
    buf_uvarint(b, (uint64_t)v);
}

static void put_bytes(struct buf *b, uint32_t number, struct slice s)
{
    put_tag(b, number, 2);
    buf_uvarint(b, s.n);
    buf_put_slice(b, s);
}

/* A message made in `inner`, put and freed. */
static void put_inner(struct buf *b, uint32_t number, struct buf *inner)
{
    put_bytes(b, number, buf_slice(inner));
    if (buf_error(inner) != ERR_OK)
        b->error = inner->error;
    buf_free(inner);
}

static void put_names(struct buf *b, uint32_t number, const struct proto_names *names)
{
    for (uint32_t i = 0; i < names->n; i++)
        put_bytes(b, number, names->v[i]);
}

/* --- options --- */

static struct slice entry_text(const struct proto_value *map, const char *key)
{
    for (uint32_t i = 0; i < map->n; i++)
        if (slice_eq_str(map->entries[i].key, key))
            return map->entries[i].value.text;
    return SLICE_NULL;
}

static void put_strings(struct buf *b, uint32_t number, const struct proto_value *map, const char *const *names)
{
    struct buf inner;
    buf_init(&inner, PROTOBUF_PRINT_MAX);
    for (uint32_t i = 0; names[i]; i++)
        if (entry_text(map, names[i]).n)
            put_bytes(&inner, i + 1, entry_text(map, names[i]));
    put_inner(b, number, &inner);
}

/* One value, or each of a list. */
static void put_meta_part(struct buf *b, struct slice key, const struct proto_value *v)
{
    static const char *const pair[] = {"key", "value", NULL}, *const rule[] = {"name", "doc", "expr", "sql", NULL};
    if (v->kind == PROTO_LIST) {
        for (uint32_t i = 0; i < v->n; i++)
            if (v->items[i].kind != PROTO_LIST)
                put_meta_part(b, key, &v->items[i]);
    } else if (slice_eq_str(key, "params") && v->kind == PROTO_MAP) {
        put_strings(b, 2, v, pair);
    } else if (slice_eq_str(key, "rules") && v->kind == PROTO_MAP) {
        put_strings(b, 4, v, rule);
    } else if (slice_eq_str(key, "tags") && v->kind == PROTO_STRING) {
        put_bytes(b, 3, v->text);
    } else if (slice_eq_str(key, "doc") && v->kind == PROTO_STRING) {
        put_bytes(b, 1, v->text);
    }
}

static void put_meta(struct buf *b, const struct proto_value *map)
{
    struct buf inner;
    buf_init(&inner, PROTOBUF_PRINT_MAX);
    for (uint32_t i = 0; map->kind == PROTO_MAP && i < map->n; i++)
        put_meta_part(&inner, map->entries[i].key, &map->entries[i].value);
    put_inner(b, PROTO_META_NUMBER, &inner);
}

static void put_known_option(struct buf *b, const struct proto_known_option *k, const struct proto_value *v)
{
    if (k->kind == PROTO_STRING && v->kind == PROTO_STRING)
        put_bytes(b, (uint32_t)k->number, v->text);
    else if (k->kind == PROTO_BOOLEAN)
        put_number(b, (uint32_t)k->number, slice_eq_str(v->text, "true"));
    for (int i = 0; k->words && k->words[i]; i++)
        if (k->words[i][0] && slice_eq_str(v->text, k->words[i]))
            put_number(b, (uint32_t)k->number, i);
}

static void put_options(struct encoding *e, struct buf *b, uint32_t number, const char *what,
                        const struct proto_options *written)
{
    struct arena a;
    struct buf inner;
    if (written->n == 0)
        return;
    arena_init(&a, 0);
    buf_init(&inner, PROTOBUF_PRINT_MAX);
    struct proto_options o = proto_normal_options(e->s, written, e->scope, &a);
    for (const struct proto_known_option *k = proto_known_options(what); k && k->name; k++) {
        const struct proto_value *v = proto_option_value(&o, k->name, false);
        if (v)
            put_known_option(&inner, k, v);
    }
    const char *meta = proto_meta_name(what);
    for (uint32_t i = 0; meta && i < o.n; i++)
        if (o.v[i].custom && slice_eq_str(o.v[i].name, meta))
            put_meta(&inner, &o.v[i].value);
    if (inner.n)
        put_inner(b, number, &inner);
    else
        buf_free(&inner);
    arena_free(&a);
}

/* --- fields --- */

/* fooBar_baz -> FooBarBazEntry */
static void put_entry_name(struct buf *b, struct slice field)
{
    bool upper = true;
    for (size_t i = 0; i < field.n; i++) {
        uint8_t c = field.p[i];
        if (c == '_') {
            upper = true;
            continue;
        }
        buf_u8(b, upper && c >= 'a' && c <= 'z' ? (uint8_t)(c - 32) : c);
        upper = false;
    }
    buf_put_str(b, "Entry");
}

static void put_type(struct encoding *e, struct buf *b, struct slice type)
{
    int scalar = proto_scalar_number(type);
    if (scalar) {
        put_number(b, 5, scalar);
        return;
    }
    const struct protobuf_message *m = proto_find_type(e->s, e->s->file.package, e->scope, type);
    struct buf name;
    if (!m) {
        e->error = ERR_MALFORMED;
        return;
    }
    buf_init(&name, PROTOBUF_PRINT_MAX);
    put_number(b, 5, m->is_enum ? PROTO_ENUM : PROTO_MESSAGE);
    buf_put_str(&name, ".");
    buf_put_slice(&name, m->full);
    put_inner(b, 6, &name);
}

struct placing {
    struct slice extendee; /* null: none */
    int64_t oneof;         /* -1: none */
    bool optional3;
    const struct protobuf_message *in; /* whose map entries are its own */
};

static void put_field(struct encoding *e, struct buf *b, uint32_t number, const struct proto_field *f,
                      const struct placing *at)
{
    struct buf inner, name;
    struct slice key, value;
    bool map = proto_is_map(f->type, &key, &value);
    buf_init(&inner, PROTOBUF_PRINT_MAX);
    put_bytes(&inner, 1, f->name);
    if (!slice_is_null(at->extendee))
        put_bytes(&inner, 2, at->extendee);
    put_number(&inner, 3, f->tag);
    put_number(&inner, 4, map || f->label == PROTO_REPEATED ? 3 : f->label == PROTO_REQUIRED ? 2 : 1);
    if (map) {
        buf_init(&name, PROTOBUF_PRINT_MAX);
        put_number(&inner, 5, PROTO_MESSAGE);
        buf_printf(&name, ".%.*s.", SLICE_FMT(at->in ? at->in->full : slice_str("")));
        put_entry_name(&name, f->name);
        put_inner(&inner, 6, &name);
    } else {
        put_type(e, &inner, f->type);
    }
    if (!slice_is_null(f->default_value))
        put_bytes(&inner, 7, f->default_value);
    put_options(e, &inner, 8, "FieldOptions", &f->options);
    if (at->oneof >= 0)
        put_number(&inner, 9, at->oneof);
    if (!slice_is_null(f->json_name))
        put_bytes(&inner, 10, f->json_name);
    if (at->optional3)
        put_number(&inner, 17, 1);
    put_inner(b, number, &inner);
}

static void put_map_entry(struct encoding *e, struct buf *b, const struct proto_field *f)
{
    struct proto_field half = {.label = PROTO_OPTIONAL, .default_value = SLICE_NULL, .json_name = SLICE_NULL};
    struct placing at = {.extendee = SLICE_NULL, .oneof = -1};
    struct slice key, value;
    struct buf inner, name, options;
    if (!proto_is_map(f->type, &key, &value))
        return;
    buf_init(&inner, PROTOBUF_PRINT_MAX);
    buf_init(&name, PROTOBUF_PRINT_MAX);
    buf_init(&options, PROTOBUF_PRINT_MAX);
    put_entry_name(&name, f->name);
    put_inner(&inner, 1, &name);
    for (int i = 1; i <= 2; i++) {
        half.name = slice_str(i == 1 ? "key" : "value");
        half.type = i == 1 ? key : value;
        half.tag = i;
        put_field(e, &inner, 2, &half, &at);
    }
    put_number(&options, 7, 1);
    put_inner(&inner, 7, &options);
    put_inner(b, 3, &inner);
}

static void put_extends(struct encoding *e, struct buf *b, uint32_t number, const struct proto_extends *list)
{
    for (uint32_t i = 0; i < list->n; i++) {
        const struct protobuf_message *m = proto_find_type(e->s, e->s->file.package, e->scope, list->v[i].name);
        struct buf name;
        buf_init(&name, PROTOBUF_PRINT_MAX);
        buf_printf(&name, ".%.*s", SLICE_FMT(m ? m->full : list->v[i].name));
        struct placing at = {.extendee = buf_slice(&name), .oneof = -1};
        for (uint32_t k = 0; k < list->v[i].fields.n; k++) {
            at.optional3 = e->s->file.syntax == 3 && list->v[i].fields.v[k].label == PROTO_OPTIONAL;
            put_field(e, b, number, &list->v[i].fields.v[k], &at);
        }
        buf_free(&name);
    }
}

static void put_ranges(struct buf *b, uint32_t number, uint32_t names, bool past, const struct proto_range_lists *lists)
{
    for (uint32_t i = 0; i < lists->n; i++)
        for (uint32_t k = 0; k < lists->v[i].n; k++) {
            const struct proto_range *r = &lists->v[i].v[k];
            struct buf inner;
            if (!slice_is_null(r->name)) {
                put_bytes(b, names, r->name);
                continue;
            }
            buf_init(&inner, PROTOBUF_PRINT_MAX);
            put_number(&inner, 1, r->from);
            put_number(&inner, 2, (int64_t)r->to + past);
            put_inner(b, number, &inner);
        }
}

/* --- types --- */

static void put_enum(struct encoding *e, struct buf *b, uint32_t number, const struct protobuf_message *m)
{
    struct buf inner;
    buf_init(&inner, PROTOBUF_PRINT_MAX);
    put_bytes(&inner, 1, m->name);
    for (uint32_t i = 0; i < m->constants.n; i++) {
        struct buf c;
        buf_init(&c, PROTOBUF_PRINT_MAX);
        put_bytes(&c, 1, m->constants.v[i].name);
        put_number(&c, 2, m->constants.v[i].tag);
        put_options(e, &c, 3, "EnumValueOptions", &m->constants.v[i].options);
        put_inner(&inner, 2, &c);
    }
    put_options(e, &inner, 3, "EnumOptions", &m->options);
    put_ranges(&inner, 4, 5, false, &m->reserved);
    put_inner(b, number, &inner);
}

static void put_oneof_name(struct buf *b, const char *prefix, struct slice name)
{
    struct buf inner, text;
    buf_init(&inner, PROTOBUF_PRINT_MAX);
    buf_init(&text, PROTOBUF_PRINT_MAX);
    buf_printf(&text, "%s%.*s", prefix, SLICE_FMT(name));
    put_inner(&inner, 1, &text);
    put_inner(b, 8, &inner);
}

static void put_message_fields(struct encoding *e, struct buf *b, const struct protobuf_message *m)
{
    int64_t synthetic = m->oneofs.n;
    for (uint32_t i = 0; i < m->fields.n; i++) {
        bool optional3 = e->s->file.syntax == 3 && m->fields.v[i].label == PROTO_OPTIONAL;
        struct placing at = {SLICE_NULL, optional3 ? synthetic++ : -1, optional3, m};
        put_field(e, b, 2, &m->fields.v[i], &at);
    }
    for (uint32_t i = 0; i < m->oneofs.n; i++)
        for (uint32_t k = 0; k < m->oneofs.v[i].fields.n; k++) {
            struct placing at = {SLICE_NULL, i, false, m};
            put_field(e, b, 2, &m->oneofs.v[i].fields.v[k], &at);
        }
}

static void put_message(struct encoding *e, struct buf *b, uint32_t number, const struct protobuf_message *m)
{
    struct slice outer = e->scope;
    size_t package = e->s->file.package.n ? e->s->file.package.n + 1 : 0;
    struct buf inner;
    e->scope = slice_of(m->full.p + package, m->full.n - package);
    buf_init(&inner, PROTOBUF_PRINT_MAX);
    put_bytes(&inner, 1, m->name);
    put_message_fields(e, &inner, m);
    for (uint32_t i = 0; i < m->types.n; i++)
        if (!m->types.v[i]->is_enum)
            put_message(e, &inner, 3, m->types.v[i]);
    for (uint32_t i = 0; i < m->fields.n; i++)
        put_map_entry(e, &inner, &m->fields.v[i]);
    for (uint32_t i = 0; i < m->types.n; i++)
        if (m->types.v[i]->is_enum)
            put_enum(e, &inner, 4, m->types.v[i]);
    put_ranges(&inner, 5, 0, true, &m->extensions);
    put_extends(e, &inner, 6, &m->extends);
    put_options(e, &inner, 7, "MessageOptions", &m->options);
    for (uint32_t i = 0; i < m->oneofs.n; i++)
        put_oneof_name(&inner, "", m->oneofs.v[i].name);
    for (uint32_t i = 0; i < m->fields.n; i++)
        if (e->s->file.syntax == 3 && m->fields.v[i].label == PROTO_OPTIONAL)
            put_oneof_name(&inner, "_", m->fields.v[i].name);
    put_ranges(&inner, 9, 10, true, &m->reserved);
    put_inner(b, number, &inner);
    e->scope = outer;
}

static void put_rpc_type(struct encoding *e, struct buf *b, uint32_t number, struct slice type)
{
    const struct protobuf_message *m = proto_find_type(e->s, e->s->file.package, e->scope, type);
    struct buf name;
    if (!m) {
        e->error = ERR_MALFORMED;
        return;
    }
    buf_init(&name, PROTOBUF_PRINT_MAX);
    buf_printf(&name, ".%.*s", SLICE_FMT(m->full));
    put_inner(b, number, &name);
}

static void put_service(struct encoding *e, struct buf *b, const struct proto_service *s)
{
    struct buf inner, rpc;
    buf_init(&inner, PROTOBUF_PRINT_MAX);
    put_bytes(&inner, 1, s->name);
    for (uint32_t i = 0; i < s->rpcs.n; i++) {
        const struct proto_rpc *r = &s->rpcs.v[i];
        buf_init(&rpc, PROTOBUF_PRINT_MAX);
        put_bytes(&rpc, 1, r->name);
        put_rpc_type(e, &rpc, 2, r->request);
        put_rpc_type(e, &rpc, 3, r->response);
        put_options(e, &rpc, 4, "MethodOptions", &r->options);
        if (r->request_stream)
            put_number(&rpc, 5, 1);
        if (r->response_stream)
            put_number(&rpc, 6, 1);
        put_inner(&inner, 2, &rpc);
    }
    put_options(e, &inner, 3, "ServiceOptions", &s->options);
    put_inner(b, 6, &inner);
}

enum err proto_encode_descriptor(const struct proto_schema *s, struct buf *out)
{
    const struct proto_file *f = &s->file;
    struct encoding e = {.s = s, .scope = slice_str("")};
    put_bytes(out, 1, slice_str("default"));
    if (!slice_is_null(f->package))
        put_bytes(out, 2, f->package);
    put_names(out, 3, &f->imports);
    put_names(out, 3, &f->public_imports);
    put_names(out, 3, &f->weak_imports);
    for (uint32_t i = 0; i < f->types.n; i++)
        if (!f->types.v[i]->is_enum)
            put_message(&e, out, 4, f->types.v[i]);
    for (uint32_t i = 0; i < f->types.n; i++)
        if (f->types.v[i]->is_enum)
            put_enum(&e, out, 5, f->types.v[i]);
    for (uint32_t i = 0; i < f->services.n; i++)
        put_service(&e, out, &f->services.v[i]);
    put_extends(&e, out, 7, &f->extends);
    put_options(&e, out, 8, "FileOptions", &f->options);
    for (uint32_t i = 0; i < f->public_imports.n; i++)
        put_number(out, 10, f->imports.n + i);
    for (uint32_t i = 0; i < f->weak_imports.n; i++)
        put_number(out, 11, f->imports.n + f->public_imports.n + i);
    if (f->syntax)
        put_bytes(out, 12, slice_str(f->syntax == 3 ? "proto3" : "proto2"));
    return e.error != ERR_OK ? e.error : buf_error(out);
}
