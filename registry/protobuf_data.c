/* SPDX-License-Identifier: Apache-2.0
 * A Protobuf message held against its schema: the wire format is sound, known fields have their type's wire form,
 * required ones are there, strings are UTF-8 where the syntax asks for it. Unknown fields are what Protobuf is made to
 * carry, so they pass. Nothing is decoded into memory. */
#include "registry/avro_program.h"
#include "registry/protobuf_model.h"

#include <stdlib.h>

struct check {
    const uint8_t *start, *p, *end;
    unsigned depth;
    struct reason *why;
};

enum { WIRE_VARINT, WIRE_FIXED64, WIRE_BYTES, WIRE_GROUP, WIRE_END_GROUP, WIRE_FIXED32 };

static bool fail(struct check *c, const struct protobuf_message *m, const struct proto_field *f, const char *what)
{
    (void)reason_set(c->why, ERR_INVALID_RECORD, "Protobuf data does not fit %.*s%s%.*s: %s at byte %zu",
                     SLICE_FMT(m->full), f ? "." : "", f ? (int)f->name.n : 0, f ? (const char *)f->name.p : "", what,
                     (size_t)(c->p - c->start));
    return false;
}

static bool varint(struct check *c, uint64_t *out)
{
    *out = 0;
    for (unsigned shift = 0; shift < 70 && c->p < c->end; shift += 7) {
        uint8_t b = *c->p++;
        *out |= shift < 64 ? (uint64_t)(b & 0x7f) << shift : 0;
        if (b < 0x80)
            return true;
    }
    return false;
}

static const struct proto_field *field_tagged(const struct protobuf_message *m, uint32_t tag)
{
    for (uint32_t i = 0; i < m->fields.n; i++)
        if ((uint32_t)m->fields.v[i].tag == tag)
            return &m->fields.v[i];
    for (uint32_t i = 0; i < m->oneofs.n; i++)
        for (uint32_t k = 0; k < m->oneofs.v[i].fields.n; k++)
            if ((uint32_t)m->oneofs.v[i].fields.v[k].tag == tag)
                return &m->oneofs.v[i].fields.v[k];
    return NULL;
}

/* The wire form of a kind; by the numbers of descriptors. */
static unsigned wire_of(uint8_t kind)
{
    switch (kind) {
    case 1:  /* double */
    case 6:  /* fixed64 */
    case 16: /* sfixed64 */
        return WIRE_FIXED64;
    case 2:  /* float */
    case 7:  /* fixed32 */
    case 15: /* sfixed32 */
        return WIRE_FIXED32;
    case 9:  /* string */
    case 12: /* bytes */
    case PROTO_MESSAGE:
    case PROTO_MAP_FIELD:
        return WIRE_BYTES;
    }
    return WIRE_VARINT;
}

enum { KIND_STRING = 9 };

static bool check_message(struct check *c, const struct protobuf_message *m, struct slice bytes);

/* Numbers one after the other. */
static bool check_packed(struct check *c, const struct protobuf_message *m, const struct proto_field *f,
                         struct slice bytes)
{
    struct check inner = *c;
    uint64_t v;
    unsigned wire = wire_of(f->kind);
    if (wire != WIRE_VARINT)
        return bytes.n % (wire == WIRE_FIXED64 ? 8 : 4) == 0 || fail(c, m, f, "packed numbers cut short");
    inner.p = bytes.p;
    inner.end = bytes.p + bytes.n;
    while (inner.p < inner.end)
        if (!varint(&inner, &v))
            return fail(c, m, f, "packed numbers cut short");
    return true;
}

static bool check_bytes(struct check *c, const struct protobuf_message *m, const struct proto_field *f, uint8_t kind,
                        struct slice bytes)
{
    if (kind == KIND_STRING && m->file->syntax == 3 && !avro_is_utf8(bytes.p, bytes.n))
        return fail(c, m, f, "a string that is not UTF-8");
    if (kind == PROTO_MESSAGE && f->message)
        return check_message(c, f->message, bytes);
    return true;
}

/* A map's entry: a message of key (1) and value (2). */
static bool check_entry(struct check *c, const struct protobuf_message *m, const struct proto_field *f,
                        struct slice bytes)
{
    struct check in = *c;
    uint64_t tag, v;
    in.p = bytes.p;
    in.end = bytes.p + bytes.n;
    while (in.p < in.end) {
        if (!varint(&in, &tag))
            return fail(&in, m, f, "a map entry cut short");
        uint8_t kind = tag >> 3 == 1 ? f->key_kind : tag >> 3 == 2 ? f->value_kind : PROTO_UNKNOWN;
        unsigned wire = tag & 7;
        if (tag >> 3 == 0 || tag >> 3 > 2 || (kind != PROTO_UNKNOWN && wire != wire_of(kind)))
            return fail(&in, m, f, "a map entry of another form");
        size_t fixed = wire == WIRE_FIXED64 ? 8 : wire == WIRE_FIXED32 ? 4 : 0;
        if (!fixed && !varint(&in, &v))
            return fail(&in, m, f, "a map entry cut short");
        size_t n = wire == WIRE_VARINT ? 0 : fixed ? fixed : v > SIZE_MAX / 2 ? SIZE_MAX / 2 : (size_t)v;
        if (n > (size_t)(in.end - in.p))
            return fail(&in, m, f, "a map entry cut short");
        if (wire == WIRE_BYTES && !check_bytes(&in, m, f, kind, slice_of(in.p, n)))
            return false;
        in.p += n;
    }
    return true;
}

static bool skip_group(struct check *c, const struct protobuf_message *m, uint64_t number);

/* One value of this wire form; `bytes` is what is inside, for lengths. */
static bool take_value(struct check *c, const struct protobuf_message *m, uint64_t tag, struct slice *bytes)
{
    uint64_t v = 0;
    size_t n = 0;
    *bytes = SLICE_NULL;
    switch (tag & 7) {
    case WIRE_VARINT:
        return varint(c, &v) || fail(c, m, NULL, "a number cut short");
    case WIRE_FIXED64:
        n = 8;
        break;
    case WIRE_FIXED32:
        n = 4;
        break;
    case WIRE_BYTES:
        if (!varint(c, &v) || v > (uint64_t)(c->end - c->p))
            return fail(c, m, NULL, "a length beyond the end");
        n = (size_t)v;
        break;
    case WIRE_GROUP:
        return skip_group(c, m, tag >> 3);
    default:
        return fail(c, m, NULL, "an unknown wire type");
    }
    if (n > (size_t)(c->end - c->p))
        return fail(c, m, NULL, "a value cut short");
    *bytes = slice_of(c->p, n);
    c->p += n;
    return true;
}

static bool skip_group(struct check *c, const struct protobuf_message *m, uint64_t number)
{
    uint64_t tag;
    struct slice bytes;
    if (++c->depth > PROTOBUF_DATUM_DEPTH_MAX)
        return fail(c, m, NULL, "messages nested too deep");
    while (c->p < c->end) {
        if (!varint(c, &tag) || tag >> 3 == 0)
            return fail(c, m, NULL, "a broken field number");
        if ((tag & 7) == WIRE_END_GROUP) {
            c->depth--;
            return tag >> 3 == number || fail(c, m, NULL, "the end of another group");
        }
        if (!take_value(c, m, tag, &bytes))
            return false;
    }
    return fail(c, m, NULL, "a group without end");
}

static bool check_field(struct check *c, const struct protobuf_message *m, const struct proto_field *f, uint64_t tag)
{
    struct slice bytes;
    unsigned wire = tag & 7;
    if (!take_value(c, m, tag, &bytes))
        return false;
    if (!f || f->kind == PROTO_UNKNOWN)
        return true;
    if (wire == WIRE_BYTES && wire_of(f->kind) != WIRE_BYTES && f->label == PROTO_REPEATED)
        return check_packed(c, m, f, bytes);
    if (wire != wire_of(f->kind))
        return fail(c, m, f, "a value of another wire type");
    if (f->kind == PROTO_MAP_FIELD)
        return check_entry(c, m, f, bytes);
    return wire != WIRE_BYTES || check_bytes(c, m, f, f->kind, bytes);
}

static bool check_required(struct check *c, const struct protobuf_message *m, const uint8_t *seen)
{
    for (uint32_t i = 0; i < m->fields.n; i++)
        if (m->fields.v[i].label == PROTO_REQUIRED && !seen[i])
            return fail(c, m, &m->fields.v[i], "the required field is missing");
    return true;
}

static bool check_message(struct check *c, const struct protobuf_message *m, struct slice bytes)
{
    struct check in = *c;
    uint8_t *seen = m->has_required ? calloc(m->fields.n, 1) : NULL;
    uint64_t tag;
    bool ok = ++in.depth <= PROTOBUF_DATUM_DEPTH_MAX && (seen || !m->has_required);
    in.p = bytes.p;
    in.end = bytes.p + bytes.n;
    if (!ok)
        (void)fail(c, m, NULL, "messages nested too deep");
    while (ok && in.p < in.end) {
        if (!varint(&in, &tag) || tag >> 3 == 0 || tag >> 3 > PROTO_TAG_MAX) {
            ok = fail(&in, m, NULL, "a broken field number");
            break;
        }
        const struct proto_field *f = field_tagged(m, (uint32_t)(tag >> 3));
        if (seen && f >= m->fields.v && f < m->fields.v + m->fields.n)
            seen[f - m->fields.v] = 1;
        ok = check_field(&in, m, f, tag);
    }
    if (ok && seen)
        ok = check_required(&in, m, seen);
    free(seen);
    return ok;
}

enum err protobuf_validate(const struct protobuf_message *m, struct slice datum, struct reason *why)
{
    const uint8_t *p = datum.p ? datum.p : (const uint8_t *)"";
    struct check c = {.start = p, .p = p, .end = p + datum.n, .why = why};
    return check_message(&c, m, slice_of(p, datum.n)) ? ERR_OK : ERR_INVALID_RECORD;
}

/* --- which message --- */

static const struct protobuf_message *message_at(const struct proto_types *types, int64_t index)
{
    for (uint32_t i = 0; i < types->n && index >= 0; i++)
        if (!types->v[i]->is_enum && index-- == 0)
            return types->v[i];
    return NULL;
}

/* A file that holds nothing but one public import stands for what it imports. */
const struct proto_types *proto_effective_types(const struct proto_schema *s)
{
    const struct proto_file *f = &s->file;
    if (f->types.n || f->imports.n || f->services.n || f->extends.n || f->public_imports.n != 1)
        return &f->types;
    for (size_t i = 0; i < s->refs_n; i++)
        if (slice_eq(s->refs[i]->import_name, f->public_imports.v[0]) && s->refs[i]->types.n)
            return &s->refs[i]->types;
    const struct proto_file *known = proto_known_file(f->public_imports.v[0]);
    return known ? &known->types : &f->types;
}

const struct protobuf_message *protobuf_first_message(const struct parsed_schema *s)
{
    return message_at(proto_effective_types((const struct proto_schema *)s), 0);
}

struct slice protobuf_message_name(const struct protobuf_message *m)
{
    return m->full;
}

enum err protobuf_read_indexes(const struct parsed_schema *s, struct slice payload, const struct protobuf_message **out,
                               size_t *used, struct reason *why)
{
    struct check c = {.start = payload.p, .p = payload.p, .end = payload.p + payload.n, .why = why};
    const struct proto_types *types = proto_effective_types((const struct proto_schema *)s);
    uint64_t raw;
    *out = NULL;
    if (!varint(&c, &raw) || zigzag_decode(raw) < 0 || zigzag_decode(raw) > PROTOBUF_INDEXES_MAX)
        return reason_set(why, ERR_INVALID_RECORD, "Protobuf data begins with a broken list of message indexes");
    int64_t n = zigzag_decode(raw);
    if (n == 0)
        *out = message_at(types, 0);
    for (int64_t i = 0; i < n; i++) {
        if (!varint(&c, &raw))
            return reason_set(why, ERR_INVALID_RECORD, "Protobuf data begins with a broken list of message indexes");
        *out = types ? message_at(types, zigzag_decode(raw)) : NULL;
        types = *out ? &(*out)->types : NULL;
    }
    *used = (size_t)(c.p - c.start);
    return *out ? ERR_OK
                : reason_set(why, ERR_INVALID_RECORD, "Protobuf data names a message that its schema does not have");
}
