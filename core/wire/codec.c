/* SPDX-License-Identifier: Apache-2.0
 * The primitives of the Kafka protocol that are too long to be inline. Decoding trusts no length: each is held against
 * the bytes that remain before it is used or anything is allocated for it, and the first failure sticks in the cursor.
 * Encoding fails stickily in the buffer. */
#include "core/wire/codec.h"

/* A length or count, -1 for null, which any negative one is, as in Kafka; null where none may be fails. */
static int64_t get_length(struct cursor *c, bool flexible, bool nullable, bool is_string)
{
    int64_t n;

    if (flexible)
        n = (int32_t)(wire_get_uvarint(c) - 1);
    else if (is_string)
        n = (int16_t)wire_get_16(c);
    else
        n = (int32_t)wire_get_32(c);
    if (c->error)
        return 0;
    if ((n < 0 && !nullable) || (is_string && n > WIRE_STRING_MAX)) {
        cursor_fail(c, ERR_MALFORMED);
        return 0;
    }
    return n < 0 ? -1 : n;
}

static struct slice get_slice(struct cursor *c, bool flexible, bool nullable, bool is_string)
{
    int64_t n = get_length(c, flexible, nullable, is_string);
    struct slice s;

    if (n < 0 || c->error)
        return SLICE_NULL;
    if ((uint64_t)n > cursor_left(c)) {
        cursor_fail(c, ERR_TRUNCATED);
        return SLICE_NULL;
    }
    s = slice_of(c->p, (size_t)n);
    c->p += n;
    return s;
}

struct slice wire_get_string(struct cursor *c, bool flexible, bool nullable)
{
    return get_slice(c, flexible, nullable, true);
}

struct slice wire_get_bytes(struct cursor *c, bool flexible, bool nullable)
{
    return get_slice(c, flexible, nullable, false);
}

int32_t wire_get_count(struct cursor *c, bool flexible, bool nullable, size_t min_encoded)
{
    int64_t count = get_length(c, flexible, nullable, false);

    if (count > 0 && (uint64_t)count > cursor_left(c) / min_encoded) {
        cursor_fail(c, ERR_TRUNCATED);
        return 0;
    }
    return (int32_t)count;
}

void *wire_get_array(struct cursor *c, struct arena *a, bool flexible, bool nullable, size_t min_encoded, size_t size,
                     int32_t *n)
{
    void *v;

    *n = wire_get_count(c, flexible, nullable, min_encoded);
    if (*n <= 0)
        return NULL;
    v = arena_array(a, (size_t)*n, size);
    if (!v) {
        *n = 0;
        cursor_fail(c, ERR_NO_MEMORY);
    }
    return v;
}

#define GET_ARRAY(name, type, size, get)                                                                               \
    void wire_get_##name##_array(struct cursor *c, struct arena *a, bool flexible, bool nullable,                      \
                                 struct wire_##name##_array *out)                                                      \
    {                                                                                                                  \
        out->v = wire_get_array(c, a, flexible, nullable, size, sizeof *out->v, &out->n);                              \
        for (int32_t i = 0; i < out->n; i++)                                                                           \
            out->v[i] = (type)get;                                                                                     \
    }
GET_ARRAY(int8, int8_t, 1, wire_get_8(c))
GET_ARRAY(int16, int16_t, 2, wire_get_16(c))
GET_ARRAY(int32, int32_t, 4, wire_get_32(c))
GET_ARRAY(int64, int64_t, 8, wire_get_64(c))

void wire_get_uuid_array(struct cursor *c, struct arena *a, bool flexible, bool nullable, struct wire_uuid_array *out)
{
    out->v = wire_get_array(c, a, flexible, nullable, sizeof *out->v, sizeof *out->v, &out->n);
    for (int32_t i = 0; i < out->n; i++)
        out->v[i] = wire_get_uuid(c);
}

void wire_get_string_array(struct cursor *c, struct arena *a, bool flexible, bool nullable,
                           struct wire_string_array *out)
{
    out->v = wire_get_array(c, a, flexible, nullable, flexible ? 1 : 2, sizeof *out->v, &out->n);
    for (int32_t i = 0; i < out->n; i++)
        out->v[i] = wire_get_string(c, flexible, false);
}

void *wire_get_struct(struct cursor *c, struct arena *a, bool prefixed, size_t size)
{
    void *p;

    if (prefixed && (int8_t)wire_get_8(c) < 0)
        return NULL;
    if (c->error)
        return NULL;
    p = arena_alloc(a, size);
    if (!p)
        cursor_fail(c, ERR_NO_MEMORY);
    return p;
}

struct wire_tags_reader wire_tags_begin(struct cursor *c)
{
    struct wire_tags_reader r = {wire_get_uvarint(c), -1};

    if (r.left > cursor_left(c) / 2) { /* each takes a tag and a size */
        cursor_fail(c, ERR_TRUNCATED);
        r.left = 0;
    }
    return r;
}

bool wire_tags_next(struct wire_tags_reader *r, struct cursor *c, uint32_t *tag, struct cursor *field)
{
    uint32_t size;

    if (c->error || r->left == 0)
        return false;
    *tag = wire_get_uvarint(c);
    size = wire_get_uvarint(c);
    if (c->error)
        return false;
    if ((int64_t)*tag <= r->last) {
        cursor_fail(c, ERR_MALFORMED);
        return false;
    }
    if (size > cursor_left(c)) {
        cursor_fail(c, ERR_TRUNCATED);
        return false;
    }
    *field = (struct cursor){c->p, c->p + size, ERR_OK};
    c->p += size;
    r->last = *tag;
    r->left--;
    return true;
}

void wire_tags_close(struct cursor *c, const struct cursor *field)
{
    enum err e = cursor_finish(field);
    if (e)
        cursor_fail(c, e);
}

void wire_tags_keep(struct wire_tags_reader *r, struct cursor *c, uint32_t tag, const struct cursor *field,
                    struct wire_tags *tags, struct arena *a)
{
    if (!tags->v) { /* this one and at most all that are left */
        tags->v = arena_array_unset(a, (size_t)r->left + 1, sizeof *tags->v);
        if (!tags->v) {
            cursor_fail(c, ERR_NO_MEMORY);
            return;
        }
    }
    tags->v[tags->n++] = (struct wire_tag){tag, slice_of(field->p, cursor_left(field))};
}

void wire_get_tags(struct cursor *c, struct wire_tags *tags, struct arena *a)
{
    struct wire_tags_reader r;
    struct cursor field;
    uint32_t tag;

    if (c->p < c->end && *c->p == 0) { /* the usual case: none */
        c->p++;
        return;
    }
    r = wire_tags_begin(c);
    while (wire_tags_next(&r, c, &tag, &field))
        wire_tags_keep(&r, c, tag, &field, tags, a);
}

void wire_put_fail(struct buf *b, enum err e)
{
    if (!b->error)
        b->error = e;
}

static void put_length(struct buf *b, int64_t n, bool flexible, bool nullable, bool is_string)
{
    if (n < 0 && !nullable)
        wire_put_fail(b, ERR_MALFORMED);
    else if (n > (is_string ? WIRE_STRING_MAX : INT32_MAX))
        wire_put_fail(b, ERR_LIMIT_EXCEEDED);
    else if (flexible)
        wire_put_uvarint(b, (uint32_t)(n + 1));
    else if (is_string)
        wire_put_16(b, (uint16_t)n);
    else
        wire_put_32(b, (uint32_t)n);
}

static int64_t slice_length(struct slice s)
{
    if (!s.p)
        return -1;
    return s.n > INT64_MAX ? INT64_MAX : (int64_t)s.n;
}

void wire_put_length(struct buf *b, struct slice s, bool flexible, bool nullable, bool is_string)
{
    put_length(b, slice_length(s), flexible, nullable, is_string);
}

void wire_put_string(struct buf *b, struct slice s, bool flexible, bool nullable)
{
    wire_put_length(b, s, flexible, nullable, true);
    buf_put_slice(b, s);
}

void wire_put_bytes(struct buf *b, struct slice s, bool flexible, bool nullable)
{
    wire_put_length(b, s, flexible, nullable, false);
    buf_put_slice(b, s);
}

void wire_put_count(struct buf *b, int32_t n, bool flexible, bool nullable)
{
    put_length(b, n < 0 ? -1 : n, flexible, nullable, false);
}

#define PUT_ARRAY(name, put)                                                                                           \
    void wire_put_##name##_array(struct buf *b, const struct wire_##name##_array *in, bool flexible, bool nullable)    \
    {                                                                                                                  \
        wire_put_count(b, in->n, flexible, nullable);                                                                  \
        for (int32_t i = 0; i < in->n && !b->error; i++)                                                               \
            put;                                                                                                       \
    }
PUT_ARRAY(int8, wire_put_8(b, (uint8_t)in->v[i]))
PUT_ARRAY(int16, wire_put_16(b, (uint16_t)in->v[i]))
PUT_ARRAY(int32, wire_put_32(b, (uint32_t)in->v[i]))
PUT_ARRAY(int64, wire_put_64(b, (uint64_t)in->v[i]))
PUT_ARRAY(uuid, wire_put_uuid(b, &in->v[i]))
PUT_ARRAY(string, wire_put_string(b, in->v[i], flexible, false))

bool wire_put_present(struct buf *b, const void *p, bool prefixed)
{
    if (prefixed)
        wire_put_8(b, p ? 1 : 0xff);
    else if (!p)
        wire_put_fail(b, ERR_MALFORMED);
    return p != NULL;
}

struct wire_tags_writer wire_put_tags_count(struct buf *b, const struct wire_tags *unknown, uint32_t known)
{
    wire_put_uvarint(b, known + (uint32_t)unknown->n);
    return (struct wire_tags_writer){unknown, 0, 0};
}

const struct wire_tag *wire_put_unknown_tag(struct wire_tags_writer *w, struct buf *b, uint64_t below)
{
    const struct wire_tag *t;

    if (b->error || w->at == w->unknown->n || w->unknown->v[w->at].tag >= below)
        return NULL;
    t = &w->unknown->v[w->at++];
    if (t->data.n > INT32_MAX) {
        wire_put_fail(b, ERR_LIMIT_EXCEEDED);
        return NULL;
    }
    wire_put_uvarint(b, t->tag);
    wire_put_uvarint(b, (uint32_t)t->data.n);
    return t;
}

static void put_unknown_before(struct wire_tags_writer *w, struct buf *b, uint64_t tag)
{
    const struct wire_tag *t;

    while ((t = wire_put_unknown_tag(w, b, tag)))
        buf_put_slice(b, t->data);
}

void wire_put_tag_begin(struct wire_tags_writer *w, struct buf *b, uint32_t tag)
{
    put_unknown_before(w, b, tag);
    if (w->at < w->unknown->n && w->unknown->v[w->at].tag == tag) /* the field would stand there twice */
        wire_put_fail(b, ERR_MALFORMED);
    wire_put_uvarint(b, tag);
    w->body = b->n;
}

/* The size goes before a body whose size is known only now: one byte is the usual case, and bodies are small. */
void wire_put_tag_end(struct wire_tags_writer *w, struct buf *b)
{
    size_t n = b->n - w->body, prefix = uvarint_size(n), v = n;
    uint8_t *at;

    if (b->error)
        return;
    if (n > INT32_MAX) {
        wire_put_fail(b, ERR_LIMIT_EXCEEDED);
        return;
    }
    if (!buf_grow(b, prefix))
        return;
    at = b->p + w->body;
    memmove(at + prefix, at, n);
    for (; v >= 0x80; v >>= 7)
        *at++ = (uint8_t)(v | 0x80);
    *at = (uint8_t)v;
}

void wire_put_tags_rest(struct wire_tags_writer *w, struct buf *b)
{
    put_unknown_before(w, b, (uint64_t)UINT32_MAX + 1);
}

enum err wire_encode_finish(struct buf *b, size_t before)
{
    enum err e = b->error;
    if (!e)
        return ERR_OK;
    b->n = before;
    b->error = ERR_OK;
    return e;
}
