/* SPDX-License-Identifier: Apache-2.0
 * Generic work on messages through their tables: printing, walking by entity type, and the few facts about APIs and
 * internal records that the descriptions do not hold. */
#include "core/wire/codec.h"
#include "wire/keys.h"

#include <inttypes.h>

enum { METADATA_FRAME_VERSION = 1, PRINTED_ELEMENTS_MAX = 1000 };

bool wire_api_versions_advertised(int16_t key, int16_t *min, int16_t *max)
{
    const struct wire_api *api = wire_api(key);

    if (!api)
        return false;
    *min = key == WIRE_PRODUCE ? 0 : api->min;
    *max = api->latest_unstable && api->max > api->min ? (int16_t)(api->max - 1) : api->max;
    return true;
}

void *wire_struct_new(const struct wire_struct *s, struct arena *a)
{
    void *m = arena_alloc(a, s->size);
    if (m)
        s->init(m);
    return m;
}

/* ---- Printing ---- */

static void print_struct(struct buf *out, const struct wire_struct *s, const uint8_t *m, int16_t version);

static void print_string(struct buf *out, struct slice s)
{
    buf_put_str(out, "\"");
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        if (c == '"' || c == '\\')
            buf_printf(out, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            buf_printf(out, "\\x%02x", c);
        else
            buf_u8(out, c);
    }
    buf_put_str(out, "\"");
}

static void print_slice(struct buf *out, const struct wire_field *f, const uint8_t *at)
{
    struct slice s;

    memcpy(&s, at, sizeof s);
    if (!s.p)
        buf_put_str(out, "null");
    else if (f->sensitive)
        buf_put_str(out, "***");
    else if (f->type == WIRE_STRING)
        print_string(out, s);
    else
        buf_printf(out, "<%zu bytes>", s.n);
}

size_t wire_field_size(const struct wire_field *f)
{
    switch (f->type) {
    case WIRE_BOOL:
        return sizeof(bool);
    case WIRE_INT8:
        return 1;
    case WIRE_INT16:
    case WIRE_UINT16:
        return 2;
    case WIRE_INT32:
    case WIRE_UINT32:
        return 4;
    case WIRE_INT64:
    case WIRE_FLOAT64:
        return 8;
    case WIRE_UUID:
        return sizeof(struct wire_uuid);
    case WIRE_STRING:
    case WIRE_BYTES:
    case WIRE_RECORDS:
        return sizeof(struct slice);
    case WIRE_STRUCT:
        return f->body->size;
    }
    return 0;
}

static void print_value(struct buf *out, const struct wire_field *f, const uint8_t *at, int16_t version)
{
    char text[WIRE_UUID_TEXT_SIZE];
    uint64_t u64 = 0;
    uint32_t u32 = 0;
    uint16_t u16 = 0;
    double d;

    switch (f->type) {
    case WIRE_BOOL:
        buf_put_str(out, *at ? "true" : "false");
        break;
    case WIRE_INT8:
        buf_printf(out, "%d", (int8_t)*at);
        break;
    case WIRE_INT16:
    case WIRE_UINT16:
        memcpy(&u16, at, sizeof u16);
        buf_printf(out, "%d", f->type == WIRE_INT16 ? (int16_t)u16 : u16);
        break;
    case WIRE_INT32:
    case WIRE_UINT32:
        memcpy(&u32, at, sizeof u32);
        buf_printf(out, "%" PRId64, f->type == WIRE_INT32 ? (int64_t)(int32_t)u32 : (int64_t)u32);
        break;
    case WIRE_INT64:
        memcpy(&u64, at, sizeof u64);
        buf_printf(out, "%" PRId64, (int64_t)u64);
        break;
    case WIRE_FLOAT64:
        memcpy(&d, at, sizeof d);
        buf_printf(out, "%.17g", d);
        break;
    case WIRE_UUID:
        wire_uuid_format((const struct wire_uuid *)at, text);
        buf_put_str(out, text);
        break;
    case WIRE_STRING:
    case WIRE_BYTES:
    case WIRE_RECORDS:
        print_slice(out, f, at);
        break;
    case WIRE_STRUCT:
        print_struct(out, f->body, at, version);
        break;
    }
}

static void print_array(struct buf *out, const struct wire_field *f, const uint8_t *at, int16_t version)
{
    const struct wire_array *array = (const struct wire_array *)(const void *)at;
    size_t size = wire_field_size(f);

    if (array->n < 0) {
        buf_put_str(out, "null");
        return;
    }
    buf_put_str(out, "[");
    for (int32_t i = 0; i < array->n && i < PRINTED_ELEMENTS_MAX; i++) {
        if (i)
            buf_put_str(out, ", ");
        print_value(out, f, (const uint8_t *)array->v + (size_t)i * size, version);
    }
    if (array->n > PRINTED_ELEMENTS_MAX)
        buf_printf(out, ", %d more", array->n - PRINTED_ELEMENTS_MAX);
    buf_put_str(out, "]");
}

static void print_struct(struct buf *out, const struct wire_struct *s, const uint8_t *m, int16_t version)
{
    bool first = true;

    buf_printf(out, "%s(", s->name);
    for (size_t i = 0; i < s->field_count; i++) {
        const struct wire_field *f = &s->fields[i];
        const uint8_t *at = m + f->offset;
        if (!wire_versions_has(f->versions, version))
            continue;
        buf_printf(out, "%s%s=", first ? "" : ", ", f->name);
        first = false;
        if (f->array) {
            print_array(out, f, at, version);
        } else if (f->pointer) {
            const uint8_t *body;
            memcpy(&body, at, sizeof body);
            if (body)
                print_struct(out, f->body, body, version);
            else
                buf_put_str(out, "null");
        } else {
            print_value(out, f, at, version);
        }
    }
    buf_put_str(out, ")");
}

void wire_print(const struct wire_struct *s, const void *m, int16_t version, struct buf *out)
{
    print_struct(out, s, m, version);
}

/* ---- Walking ---- */

struct walk {
    int16_t version;
    enum wire_entity kind;
    wire_visit_fn visit;
    void *context;
};

static enum err walk_struct(const struct walk *w, const struct wire_struct *s, uint8_t *m);

static enum err walk_value(const struct walk *w, const struct wire_field *f, uint8_t *at)
{
    if (f->type == WIRE_STRUCT)
        return walk_struct(w, f->body, at);
    return f->entity == w->kind ? w->visit(w->context, f, at) : ERR_OK;
}

static enum err walk_field(const struct walk *w, const struct wire_field *f, uint8_t *at)
{
    if (f->array) {
        const struct wire_array *array = (const struct wire_array *)(const void *)at;
        size_t size = wire_field_size(f);
        for (int32_t i = 0; i < array->n; i++) {
            enum err e = walk_value(w, f, (uint8_t *)array->v + (size_t)i * size);
            if (e)
                return e;
        }
        return ERR_OK;
    }
    if (f->pointer) {
        uint8_t *body;
        memcpy(&body, at, sizeof body);
        return body ? walk_struct(w, f->body, body) : ERR_OK;
    }
    return walk_value(w, f, at);
}

static enum err walk_struct(const struct walk *w, const struct wire_struct *s, uint8_t *m)
{
    for (size_t i = 0; i < s->field_count; i++) {
        const struct wire_field *f = &s->fields[i];
        enum err e;
        if ((f->type != WIRE_STRUCT && f->entity != w->kind) || !wire_versions_has(f->versions, w->version))
            continue;
        e = walk_field(w, f, m + f->offset);
        if (e)
            return e;
    }
    return ERR_OK;
}

enum err wire_walk_entities(const struct wire_struct *s, void *m, int16_t version, enum wire_entity kind,
                            wire_visit_fn visit, void *context)
{
    struct walk w = {version, kind, visit, context};
    return walk_struct(&w, s, m);
}

/* ---- Uuids ---- */

static const char base64url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void wire_uuid_format(const struct wire_uuid *u, char text[WIRE_UUID_TEXT_SIZE])
{
    uint32_t bits = 0;
    unsigned have = 0;
    size_t at = 0;

    for (size_t i = 0; i < sizeof u->b; i++) {
        bits = bits << 8 | u->b[i];
        for (have += 8; have >= 6; have -= 6)
            text[at++] = base64url[bits >> (have - 6) & 63];
    }
    text[at++] = base64url[bits << (6 - have) & 63];
    text[at] = 0;
}

bool wire_uuid_parse(struct slice text, struct wire_uuid *u)
{
    uint32_t bits = 0;
    unsigned have = 0;
    size_t at = 0;

    if (text.n != WIRE_UUID_TEXT_SIZE - 1)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        const char *digit = text.p[i] ? strchr(base64url, text.p[i]) : NULL;
        if (!digit)
            return false;
        bits = bits << 6 | (uint32_t)(digit - base64url);
        have += 6;
        if (have >= 8 && at < sizeof u->b) {
            u->b[at++] = (uint8_t)(bits >> (have - 8));
            have -= 8;
        }
    }
    return (bits & ((1u << have) - 1)) == 0; /* else two texts would name one uuid */
}

/* ---- Records of internal topics ---- */

void wire_record_put_version(struct buf *out, int16_t version)
{
    wire_put_16(out, (uint16_t)version);
}

int16_t wire_record_get_version(struct cursor *c)
{
    int16_t version = (int16_t)wire_get_16(c);

    if (version < 0)
        cursor_fail(c, ERR_MALFORMED);
    return c->error ? -1 : version;
}

void wire_metadata_put_frame(struct buf *out, int16_t type, int16_t version)
{
    wire_put_uvarint(out, METADATA_FRAME_VERSION);
    wire_put_uvarint(out, (uint32_t)(uint16_t)type);
    wire_put_uvarint(out, (uint32_t)(uint16_t)version);
}

enum err wire_metadata_get_frame(struct cursor *c, int16_t *type, int16_t *version)
{
    uint32_t frame = wire_get_uvarint(c), t = wire_get_uvarint(c), v = wire_get_uvarint(c);

    if (!c->error && frame != METADATA_FRAME_VERSION)
        cursor_fail(c, ERR_UNSUPPORTED_VERSION);
    if (!c->error && (t > INT16_MAX || v > INT16_MAX))
        cursor_fail(c, ERR_MALFORMED);
    *type = c->error ? -1 : (int16_t)t;
    *version = c->error ? -1 : (int16_t)v;
    return c->error;
}
