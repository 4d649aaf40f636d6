/* SPDX-License-Identifier: Apache-2.0
 * The schema as a binary FileDescriptorProto, for clients that ask for `serialized`, byte for byte as the reference
 * makes it, which differs from protoc in what it leaves to its readers: names stay as written, a field without label
 * has none, fields of oneofs come first, imports that are not there and weak ones are left out. Options without a field
 * of their own in descriptors are left out, Confluent's excepted. */
#include "registry/protobuf_model.h"

#include <ctype.h>
#include <stdint.h>
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
    if (inner.n)
        put_inner(b, PROTO_META_NUMBER, &inner);
    else
        buf_free(&inner);
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

static const struct proto_value *last_value(const struct proto_options *o, const char *name)
{
    for (uint32_t i = o->n; i > 0; i--)
        if (!o->v[i - 1].custom && slice_eq_str(o->v[i - 1].name, name))
            return &o->v[i - 1].value;
    return NULL;
}

/* The option of the next number; NULL: none. */
static const struct proto_known_option *next_option(const char *what, int after)
{
    const struct proto_known_option *next = NULL;
    for (const struct proto_known_option *k = proto_known_options(what); k && k->name; k++)
        if (k->number > after && (!next || k->number < next->number))
            next = k;
    return next;
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
    for (const struct proto_known_option *k = next_option(what, 0); k; k = next_option(what, k->number)) {
        const struct proto_value *v = last_value(&o, k->name);
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

/* foo_bar -> FooBarEntry, but fooBar -> fooBarEntry */
static void put_entry_name(struct buf *b, struct slice field)
{
    bool words = memchr(field.p, '_', field.n) != NULL, first = true;
    for (size_t i = 0; i < field.n; i++) {
        uint8_t c = field.p[i];
        if (words && c == '_') {
            first = true;
            continue;
        }
        buf_u8(b, words ? (uint8_t)(first ? toupper(c) : tolower(c)) : c);
        first = false;
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
    if (m)
        put_number(b, 5, m->is_enum ? PROTO_ENUM : PROTO_MESSAGE);
    put_bytes(b, 6, type);
}

struct placing {
    struct slice extendee; /* null: none */
    int64_t oneof;         /* -1: none */
    bool optional3;
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
    enum proto_label label = map ? PROTO_REPEATED : at->oneof >= 0 ? PROTO_OPTIONAL : f->label;
    if (label != PROTO_UNLABELED)
        put_number(&inner, 4, label == PROTO_REPEATED ? 3 : label == PROTO_REQUIRED ? 2 : 1);
    if (map) {
        buf_init(&name, PROTOBUF_PRINT_MAX);
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
    struct proto_field half = {.label = PROTO_UNLABELED, .default_value = SLICE_NULL, .json_name = SLICE_NULL};
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
        struct placing at = {.extendee = list->v[i].name, .oneof = -1};
        for (uint32_t k = 0; k < list->v[i].fields.n; k++)
            put_field(e, b, number, &list->v[i].fields.v[k], &at);
    }
}

/* Options that are there, with nothing in them. */
static void put_no_options(struct buf *b, uint32_t number)
{
    put_bytes(b, number, slice_str(""));
}

static void put_ranges(struct buf *b, uint32_t number, uint32_t names, bool past, const struct proto_range_lists *lists)
{
    for (uint32_t i = 0; i < lists->n; i++)
        for (uint32_t k = 0; k < lists->v[i].n; k++) {
            const struct proto_range *r = &lists->v[i].v[k];
            struct buf inner;
            if (!slice_is_null(r->name))
                continue;
            buf_init(&inner, PROTOBUF_PRINT_MAX);
            put_number(&inner, 1, r->from);
            put_number(&inner, 2, (int32_t)((uint32_t)r->to + past));
            if (names == 0)
                put_no_options(&inner, 3); /* of extensions */
            put_inner(b, number, &inner);
        }
    for (uint32_t i = 0; i < lists->n; i++)
        for (uint32_t k = 0; k < lists->v[i].n; k++)
            if (!slice_is_null(lists->v[i].v[k].name))
                put_bytes(b, names, lists->v[i].v[k].name);
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
    put_no_options(&inner, 2);
    put_inner(b, 8, &inner);
}

static bool is_in_oneof(const struct protobuf_message *m, struct slice name)
{
    for (uint32_t i = 0; i < m->oneofs.n; i++)
        for (uint32_t k = 0; k < m->oneofs.v[i].fields.n; k++)
            if (slice_eq(m->oneofs.v[i].fields.v[k].name, name))
                return true;
    return false;
}

static bool is_optional3(const struct encoding *e, const struct proto_field *f)
{
    return e->s->file.syntax == 3 && f->label == PROTO_OPTIONAL;
}

static void put_message_fields(struct encoding *e, struct buf *b, const struct protobuf_message *m)
{
    int64_t synthetic = m->oneofs.n;
    for (uint32_t i = 0; i < m->oneofs.n; i++)
        for (uint32_t k = 0; k < m->oneofs.v[i].fields.n; k++) {
            struct placing at = {SLICE_NULL, i, false};
            put_field(e, b, 2, &m->oneofs.v[i].fields.v[k], &at);
        }
    for (uint32_t i = 0; i < m->fields.n; i++) {
        bool optional3 = is_optional3(e, &m->fields.v[i]);
        if (m->oneofs.n && is_in_oneof(m, m->fields.v[i].name))
            continue;
        struct placing at = {SLICE_NULL, optional3 ? synthetic++ : -1, optional3};
        put_field(e, b, 2, &m->fields.v[i], &at);
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
        if (!m->oneofs.n || !is_in_oneof(m, m->fields.v[i].name))
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
        if (is_optional3(e, &m->fields.v[i]) && !(m->oneofs.n && is_in_oneof(m, m->fields.v[i].name)))
            put_oneof_name(&inner, "_", m->fields.v[i].name);
    put_ranges(&inner, 9, 10, true, &m->reserved);
    put_inner(b, number, &inner);
    e->scope = outer;
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
        put_bytes(&rpc, 2, r->request);
        put_bytes(&rpc, 3, r->response);
        put_options(e, &rpc, 4, "MethodOptions", &r->options);
        put_number(&rpc, 5, r->request_stream);
        put_number(&rpc, 6, r->response_stream);
        put_inner(&inner, 2, &rpc);
    }
    put_options(e, &inner, 3, "ServiceOptions", &s->options);
    put_inner(b, 6, &inner);
}

static bool is_there(const struct proto_schema *s, struct slice import_name)
{
    for (size_t i = 0; i < s->refs_n; i++)
        if (slice_eq(s->refs[i]->import_name, import_name))
            return true;
    for (const char *const *p = proto_known_files(); *p; p += 2)
        if (slice_eq_str(import_name, *p))
            return true;
    return false;
}

/* Each import once; numbers of the public ones to `publics`. */
static void put_imports(struct encoding *e, struct buf *out, struct buf *publics)
{
    const struct proto_file *f = &e->s->file;
    const struct proto_names *lists[] = {&f->imports, &f->public_imports};
    struct map seen;
    map_init(&seen);
    for (unsigned list = 0; list < 2; list++)
        for (uint32_t i = 0; i < lists[list]->n; i++) {
            struct slice name = lists[list]->v[i];
            if (!is_there(e->s, name))
                continue;
            if (!map_has(&seen, name)) {
                uintptr_t number = map_count(&seen);
                if (map_put(&seen, name, (void *)number, NULL) != ERR_OK)
                    e->error = ERR_NO_MEMORY;
                put_bytes(out, 3, name);
            }
            if (list == 1)
                put_number(publics, 10, (int64_t)(uintptr_t)map_get(&seen, name));
        }
    map_free(&seen, NULL);
}

enum err proto_encode_descriptor(const struct proto_schema *s, struct buf *out)
{
    const struct proto_file *f = &s->file;
    struct encoding e = {.s = s, .scope = slice_str("")};
    struct buf publics;
    buf_init(&publics, PROTOBUF_PRINT_MAX);
    put_bytes(out, 1, slice_str("default"));
    if (!slice_is_null(f->package))
        put_bytes(out, 2, f->package);
    put_imports(&e, out, &publics);
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
    buf_put_slice(out, buf_slice(&publics));
    if (buf_error(&publics) != ERR_OK)
        e.error = buf_error(&publics);
    buf_free(&publics);
    if (f->syntax)
        put_bytes(out, 12, slice_str(f->syntax == 3 ? "proto3" : "proto2"));
    return e.error != ERR_OK ? e.error : buf_error(out);
}
