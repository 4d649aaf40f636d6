/* SPDX-License-Identifier: Apache-2.0
 * A binary FileDescriptorProto read into the same model as .proto text. Options that descriptors hold in fields of
 * their own are taken in the reference's order; extensions other than Confluent's are left out, as it leaves them out.
 */
#include "registry/protobuf_model.h"

struct wire {
    const uint8_t *p, *end;
    struct arena *arena;
    struct reason *why;
    enum err *error;
    unsigned depth;
};

/* One field of a message. */
struct wired {
    uint32_t number;
    uint64_t value;     /* varint, fixed */
    struct slice bytes; /* length-delimited; else null */
};

static bool broken(struct wire *w)
{
    if (*w->error == ERR_OK)
        *w->error = reason_set(w->why, ERR_MALFORMED, "Could not parse Protobuf - not a FileDescriptorProto");
    return false;
}

static bool varint(struct wire *w, uint64_t *out)
{
    *out = 0;
    for (unsigned shift = 0; shift < 70 && w->p < w->end; shift += 7) {
        uint8_t b = *w->p++;
        *out |= shift < 64 ? (uint64_t)(b & 0x7f) << shift : 0;
        if (b < 0x80)
            return true;
    }
    return broken(w);
}

static bool next_field(struct wire *w, struct wired *f)
{
    uint64_t tag, n;
    if (*w->error != ERR_OK || w->p >= w->end || !varint(w, &tag))
        return false;
    *f = (struct wired){.number = (uint32_t)(tag >> 3), .bytes = SLICE_NULL};
    size_t left;
    switch (tag & 7) {
    case 0:
        return varint(w, &f->value);
    case 2:
        if (!varint(w, &n) || n > (uint64_t)(w->end - w->p))
            return broken(w);
        f->bytes = slice_of(w->p, (size_t)n);
        w->p += n;
        return true;
    case 1:
    case 5:
        left = (tag & 7) == 1 ? 8 : 4;
        if ((size_t)(w->end - w->p) < left)
            return broken(w);
        w->p += left;
        return true;
    }
    return broken(w);
}

static struct wire inside(struct wire *w, struct slice bytes)
{
    struct wire inner = *w;
    inner.p = bytes.p ? bytes.p : (const uint8_t *)"";
    inner.end = inner.p + bytes.n;
    inner.depth++;
    if (inner.depth > PROTOBUF_DEPTH_MAX || slice_is_null(bytes))
        (void)broken(w);
    return inner;
}

static bool have(struct wire *w, const void *p)
{
    if (!p && *w->error == ERR_OK)
        *w->error = reason_set(w->why, ERR_LIMIT_EXCEEDED,
                               "more than %d declarations of a kind in one place, or out "
                               "of memory",
                               PROTO_LIST_MAX);
    return p != NULL;
}

static bool is_name(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= 'A' && s.p[i] <= 'Z') ||
              (s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '_' || s.p[i] == '.'))
            return false;
    return s.n > 0;
}

static struct slice name_in(struct wire *w, const struct wired *f)
{
    if (!is_name(f->bytes))
        (void)broken(w);
    return f->bytes;
}

static struct slice text_in(struct wire *w, const struct wired *f)
{
    for (size_t i = 0; i < f->bytes.n; i++)
        if (f->bytes.p[i] == 0)
            (void)broken(w);
    if (slice_is_null(f->bytes))
        (void)broken(w);
    return f->bytes;
}

/* --- options --- */

static struct proto_value text_value(struct slice s)
{
    return (struct proto_value){.kind = PROTO_STRING, .text = s};
}

static void put(struct wire *w, struct proto_value *map, const char *key, struct proto_value v)
{
    struct proto_entry *e = proto_more(w->arena, &map->entries, &map->n, &map->cap, sizeof *e);
    if (have(w, e))
        *e = (struct proto_entry){slice_str(key), v};
}

static void append(struct wire *w, struct proto_value *list, struct proto_value v)
{
    struct proto_value *item = proto_more(w->arena, &list->items, &list->n, &list->cap, sizeof *item);
    if (have(w, item))
        *item = v;
}

/* A message of strings, by the names of its fields from 1 on. */
static struct proto_value read_strings(struct wire *w, struct slice bytes, const char *const *names)
{
    struct proto_value map = {.kind = PROTO_MAP};
    struct wire in = inside(w, bytes);
    struct wired f;
    for (unsigned i = 0; names[i]; i++) {
        in.p = in.end - bytes.n;
        while (next_field(&in, &f))
            if (f.number == i + 1 && f.bytes.n)
                put(w, &map, names[i], text_value(text_in(w, &f)));
    }
    return map;
}

/* Those two of decimals have their value first, as the reference writes them. */
static struct proto_value pair_of(struct proto_value map)
{
    if (map.n != 2)
        return map;
    struct proto_entry key = map.entries[0];
    if (slice_eq_str(key.value.text, "precision") || slice_eq_str(key.value.text, "scale")) {
        map.entries[0] = map.entries[1];
        map.entries[1] = key;
    }
    return map;
}

static bool read_meta(struct wire *w, struct slice bytes, struct proto_value *map)
{
    static const char *const pair[] = {"key", "value", NULL}, *const rule[] = {"name", "doc", "expr", "sql", NULL};
    struct proto_value params = {.kind = PROTO_LIST}, tags = params, rules = params;
    struct wire in = inside(w, bytes);
    struct wired f;
    *map = (struct proto_value){.kind = PROTO_MAP};
    while (next_field(&in, &f)) {
        if (f.number == 1 && f.bytes.n)
            put(w, map, "doc", text_value(text_in(w, &f)));
        else if (f.number == 2)
            append(w, &params, pair_of(read_strings(&in, f.bytes, pair)));
        else if (f.number == 3)
            append(w, &tags, text_value(text_in(w, &f)));
        else if (f.number == 4)
            append(w, &rules, read_strings(&in, f.bytes, rule));
    }
    if (params.n)
        put(w, map, "params", params);
    if (tags.n)
        put(w, map, "tags", tags);
    if (rules.n)
        put(w, map, "rules", rules);
    return map->n > 0;
}

static void add_option(struct wire *w, struct proto_options *out, const char *name, bool custom, struct proto_value v)
{
    struct proto_option *o = PROTO_MORE(w->arena, *out);
    if (have(w, o))
        *o = (struct proto_option){slice_str(name), custom, v};
}

static void read_known_option(struct wire *w, const struct proto_known_option *known, const struct wired *f,
                              struct proto_options *out)
{
    struct proto_value v = {.kind = known->kind};
    uint64_t words = 0;
    while (known->words && known->words[words])
        words++;
    if (known->kind == PROTO_STRING)
        v.text = text_in(w, f);
    else if (known->kind == PROTO_BOOLEAN)
        v.text = slice_str(f->value ? "true" : "false");
    else if (f->value < words)
        v.text = slice_str(known->words[f->value]);
    else
        return;
    add_option(w, out, known->name, false, v);
}

static void read_options(struct wire *w, struct slice bytes, const char *what, struct proto_options *out)
{
    struct wire in = inside(w, bytes);
    struct wired f, last = {0};
    struct proto_value meta;
    for (const struct proto_known_option *k = proto_known_options(what); k && k->name; k++) {
        bool found = false;
        in.p = in.end - bytes.n;
        while (next_field(&in, &f))
            if ((int)f.number == k->number) {
                last = f;
                found = true;
            }
        if (found)
            read_known_option(w, k, &last, out);
    }
    in.p = in.end - bytes.n;
    while (proto_meta_name(what) && next_field(&in, &f))
        if (f.number == PROTO_META_NUMBER && read_meta(w, f.bytes, &meta))
            add_option(w, out, proto_meta_name(what), true, meta);
}

/* --- declarations --- */

struct field_facts {
    int64_t oneof;
    struct slice extendee;
    bool optional3;
};

static void read_field(struct wire *w, struct slice bytes, int syntax, struct proto_field *out,
                       struct field_facts *facts)
{
    struct wire in = inside(w, bytes);
    struct wired f;
    int label = 0, type = 0;
    *out = (struct proto_field){.type = SLICE_NULL, .default_value = SLICE_NULL, .json_name = SLICE_NULL};
    *facts = (struct field_facts){.oneof = -1, .extendee = SLICE_NULL};
    while (next_field(&in, &f)) {
        switch (f.number) {
        case 1:
            out->name = name_in(w, &f);
            break;
        case 2:
            facts->extendee = name_in(w, &f);
            break;
        case 3:
            out->tag = (int32_t)f.value;
            break;
        case 4:
            label = (int)f.value;
            break;
        case 5:
            type = (int)f.value;
            break;
        case 6:
            out->type = name_in(w, &f);
            break;
        case 7:
            out->default_value = syntax == 3 ? SLICE_NULL : text_in(w, &f);
            break;
        case 8:
            read_options(&in, f.bytes, "FieldOptions", &out->options);
            break;
        case 9:
            facts->oneof = (int64_t)f.value;
            break;
        case 10:
            out->json_name = text_in(w, &f);
            break;
        case 17:
            facts->optional3 = f.value != 0;
            break;
        }
    }
    if (slice_is_null(out->type) && !proto_scalar_name(type))
        (void)broken(w);
    else if (slice_is_null(out->type))
        out->type = slice_str(proto_scalar_name(type));
    if (slice_is_null(out->name))
        (void)broken(w);
    out->label = label == 3         ? PROTO_REPEATED
                 : facts->optional3 ? PROTO_OPTIONAL
                 : syntax == 3      ? PROTO_UNLABELED
                 : label == 2       ? PROTO_REQUIRED
                                    : PROTO_OPTIONAL;
}

static void read_extension(struct wire *w, struct slice bytes, int syntax, struct proto_extends *out)
{
    struct proto_field field, *slot;
    struct field_facts facts;
    struct proto_extend *e = NULL;
    read_field(w, bytes, syntax, &field, &facts);
    for (uint32_t i = 0; i < out->n; i++)
        if (slice_eq(out->v[i].name, facts.extendee))
            e = &out->v[i];
    if (!e && have(w, e = PROTO_MORE(w->arena, *out)))
        *e = (struct proto_extend){.name = facts.extendee};
    if (e && have(w, slot = PROTO_MORE(w->arena, e->fields)))
        *slot = field;
}

/* `past`: the end is the number after the last one. */
static void read_range(struct wire *w, struct slice bytes, bool past, struct proto_range_lists *out)
{
    struct wire in = inside(w, bytes);
    struct wired f;
    struct proto_range range = {.name = SLICE_NULL}, *one;
    struct proto_ranges *list;
    while (next_field(&in, &f)) {
        if (f.number == 1)
            range.from = (int32_t)f.value;
        else if (f.number == 2)
            range.to = (int32_t)f.value;
    }
    if (past && range.to > INT32_MIN)
        range.to--;
    range.range = range.from != range.to;
    if (have(w, list = PROTO_MORE(w->arena, *out)) && have(w, one = PROTO_MORE(w->arena, *list)))
        *one = range;
}

static void read_reserved_name(struct wire *w, const struct wired *f, struct proto_range_lists *out)
{
    struct proto_ranges *list;
    struct proto_range *one;
    if (have(w, list = PROTO_MORE(w->arena, *out)) && have(w, one = PROTO_MORE(w->arena, *list)))
        *one = (struct proto_range){.name = name_in(w, f)};
}

static void read_constant(struct wire *w, struct slice bytes, struct protobuf_message *m)
{
    struct wire in = inside(w, bytes);
    struct wired f;
    struct proto_constant *c = PROTO_MORE(w->arena, m->constants);
    if (!have(w, c))
        return;
    *c = (struct proto_constant){.name = SLICE_NULL};
    while (next_field(&in, &f)) {
        if (f.number == 1)
            c->name = name_in(w, &f);
        else if (f.number == 2)
            c->tag = (int32_t)f.value;
        else if (f.number == 3)
            read_options(&in, f.bytes, "EnumValueOptions", &c->options);
    }
}

static struct protobuf_message *new_type(struct wire *w, bool is_enum, struct protobuf_message *up,
                                         struct proto_types *out)
{
    struct protobuf_message *m = arena_alloc(w->arena, sizeof *m), **slot;
    if (!have(w, m) || !have(w, slot = PROTO_MORE(w->arena, *out)))
        return NULL;
    *slot = m;
    m->is_enum = is_enum;
    m->up = up;
    m->name = slice_str("");
    return m;
}

static void read_enum(struct wire *w, struct slice bytes, struct protobuf_message *up, struct proto_types *out)
{
    struct wire in = inside(w, bytes);
    struct wired f;
    struct protobuf_message *m = new_type(w, true, up, out);
    while (m && next_field(&in, &f)) {
        if (f.number == 1)
            m->name = name_in(w, &f);
        else if (f.number == 2)
            read_constant(&in, f.bytes, m);
        else if (f.number == 3)
            read_options(&in, f.bytes, "EnumOptions", &m->options);
        else if (f.number == 4)
            read_range(&in, f.bytes, false, &m->reserved);
        else if (f.number == 5)
            read_reserved_name(w, &f, &m->reserved);
    }
}

static void read_oneof(struct wire *w, struct slice bytes, struct protobuf_message *m)
{
    struct wire in = inside(w, bytes);
    struct wired f;
    struct proto_oneof *o = PROTO_MORE(w->arena, m->oneofs);
    if (!have(w, o))
        return;
    *o = (struct proto_oneof){.name = slice_str("")};
    while (next_field(&in, &f))
        if (f.number == 1)
            o->name = name_in(w, &f);
}

static void read_message_field(struct wire *w, struct slice bytes, int syntax, struct protobuf_message *m)
{
    struct proto_field field, *slot;
    struct field_facts facts;
    read_field(w, bytes, syntax, &field, &facts);
    bool in_oneof = facts.oneof >= 0 && !facts.optional3;
    if (in_oneof && facts.oneof >= m->oneofs.n) {
        (void)broken(w);
        return;
    }
    if (in_oneof)
        field.label = PROTO_UNLABELED;
    slot = in_oneof ? PROTO_MORE(w->arena, m->oneofs.v[facts.oneof].fields) : PROTO_MORE(w->arena, m->fields);
    if (have(w, slot))
        *slot = field;
}

static void drop_empty_oneofs(struct protobuf_message *m)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < m->oneofs.n; i++)
        if (m->oneofs.v[i].fields.n)
            m->oneofs.v[n++] = m->oneofs.v[i];
    m->oneofs.n = n;
}

static void read_message(struct wire *w, struct slice bytes, int syntax, struct protobuf_message *up,
                         struct proto_types *out)
{
    struct wire in = inside(w, bytes);
    struct wired f;
    struct protobuf_message *m = new_type(w, false, up, out);
    while (m && next_field(&in, &f)) /* oneofs first: fields count on them */
        if (f.number == 8)
            read_oneof(&in, f.bytes, m);
    in.p = in.end - bytes.n;
    while (m && next_field(&in, &f)) {
        switch (f.number) {
        case 1:
            m->name = name_in(w, &f);
            break;
        case 2:
            read_message_field(&in, f.bytes, syntax, m);
            break;
        case 3:
            read_message(&in, f.bytes, syntax, m, &m->types);
            break;
        case 4:
            read_enum(&in, f.bytes, m, &m->types);
            break;
        case 5:
            read_range(&in, f.bytes, true, &m->extensions);
            break;
        case 6:
            read_extension(&in, f.bytes, syntax, &m->extends);
            break;
        case 7:
            read_options(&in, f.bytes, "MessageOptions", &m->options);
            break;
        case 9:
            read_range(&in, f.bytes, true, &m->reserved);
            break;
        case 10:
            read_reserved_name(w, &f, &m->reserved);
            break;
        }
    }
    if (m)
        drop_empty_oneofs(m);
}

static void read_rpc(struct wire *w, struct slice bytes, struct proto_service *s)
{
    struct wire in = inside(w, bytes);
    struct wired f;
    struct proto_rpc *r = PROTO_MORE(w->arena, s->rpcs);
    if (!have(w, r))
        return;
    *r = (struct proto_rpc){.name = slice_str("")};
    while (next_field(&in, &f)) {
        if (f.number == 1)
            r->name = name_in(w, &f);
        else if (f.number == 2)
            r->request = name_in(w, &f);
        else if (f.number == 3)
            r->response = name_in(w, &f);
        else if (f.number == 4)
            read_options(&in, f.bytes, "MethodOptions", &r->options);
        else if (f.number == 5)
            r->request_stream = f.value != 0;
        else if (f.number == 6)
            r->response_stream = f.value != 0;
    }
}

static void read_service(struct wire *w, struct slice bytes, struct proto_file *file)
{
    struct wire in = inside(w, bytes);
    struct wired f;
    struct proto_service *s = PROTO_MORE(w->arena, file->services);
    if (!have(w, s))
        return;
    *s = (struct proto_service){.name = slice_str("")};
    while (next_field(&in, &f)) {
        if (f.number == 1)
            s->name = name_in(w, &f);
        else if (f.number == 2)
            read_rpc(&in, f.bytes, s);
        else if (f.number == 3)
            read_options(&in, f.bytes, "ServiceOptions", &s->options);
    }
}

static bool has_number(const struct wire *all, uint32_t number, uint64_t value)
{
    struct wire w = *all;
    struct wired f;
    while (next_field(&w, &f))
        if (f.number == number && slice_is_null(f.bytes) && f.value == value)
            return true;
    return false;
}

/* Syntax, package and imports. */
static void read_file_facts(struct wire *w, struct proto_file *file)
{
    struct wire in = *w;
    struct wired f;
    uint64_t imports = 0;
    while (next_field(&in, &f)) {
        if (f.number == 12)
            file->syntax = slice_eq_str(f.bytes, "proto3") ? 3 : slice_eq_str(f.bytes, "proto2") ? 2 : 0;
        if (f.number == 2 && f.bytes.n)
            file->package = name_in(w, &f);
        if (f.number != 3)
            continue;
        struct proto_names *list = has_number(w, 10, imports)   ? &file->public_imports
                                   : has_number(w, 11, imports) ? &file->weak_imports
                                                                : &file->imports;
        struct slice *one = PROTO_MORE(w->arena, *list);
        if (have(w, one))
            *one = text_in(w, &f);
        if (imports++ > 1000)
            (void)broken(w);
    }
}

enum err proto_read_descriptor(struct proto_file *file, struct slice bytes, struct arena *a, struct reason *why)
{
    enum err error = ERR_OK;
    struct wire w = {.p = bytes.p, .end = bytes.p + bytes.n, .arena = a, .why = why, .error = &error};
    struct wired f;
    *file = (struct proto_file){.import_name = file->import_name, .package = SLICE_NULL};
    if (bytes.n == 0)
        (void)broken(&w);
    read_file_facts(&w, file);
    while (next_field(&w, &f)) {
        if (f.number == 4)
            read_message(&w, f.bytes, file->syntax, NULL, &file->types);
        else if (f.number == 5)
            read_enum(&w, f.bytes, NULL, &file->types);
        else if (f.number == 6)
            read_service(&w, f.bytes, file);
        else if (f.number == 7)
            read_extension(&w, f.bytes, file->syntax, &file->extends);
        else if (f.number == 8)
            read_options(&w, f.bytes, "FileOptions", &file->options);
    }
    if (error == ERR_OK && !file->types.n && !file->services.n && !file->extends.n && !file->package.n &&
        !file->syntax && !file->imports.n && !file->public_imports.n)
        (void)broken(&w); /* any bytes may look like unknown fields */
    return error;
}
