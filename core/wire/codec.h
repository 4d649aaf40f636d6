/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_WIRE_CODEC_H
#define CASTELLAN_WIRE_CODEC_H

#include "core/wire/message.h"

#include <endian.h>

/* The primitives generated code is made of; only it and this folder include this. `flexible` chooses between the old
 * length prefixes (int16 for strings, int32 elsewhere, -1 for null) and the compact ones (uvarint n + 1, 0 for null).
 */

enum { WIRE_STRING_MAX = INT16_MAX };

static inline bool wire_can_get(struct cursor *c, size_t n)
{
    if ((size_t)(c->end - c->p) >= n)
        return true;
    cursor_fail(c, ERR_TRUNCATED);
    return false;
}

static inline uint8_t wire_get_8(struct cursor *c)
{
    return wire_can_get(c, 1) ? *c->p++ : 0;
}

static inline uint16_t wire_get_16(struct cursor *c)
{
    uint16_t v;
    if (!wire_can_get(c, 2))
        return 0;
    memcpy(&v, c->p, 2);
    c->p += 2;
    return be16toh(v);
}

static inline uint32_t wire_get_32(struct cursor *c)
{
    uint32_t v;
    if (!wire_can_get(c, 4))
        return 0;
    memcpy(&v, c->p, 4);
    c->p += 4;
    return be32toh(v);
}

static inline uint64_t wire_get_64(struct cursor *c)
{
    uint64_t v;
    if (!wire_can_get(c, 8))
        return 0;
    memcpy(&v, c->p, 8);
    c->p += 8;
    return be64toh(v);
}

static inline double wire_get_double(struct cursor *c)
{
    uint64_t bits = wire_get_64(c);
    double v;
    memcpy(&v, &bits, 8);
    return v;
}

static inline struct wire_uuid wire_get_uuid(struct cursor *c)
{
    struct wire_uuid u = {{0}};
    if (wire_can_get(c, sizeof u.b)) {
        memcpy(u.b, c->p, sizeof u.b);
        c->p += sizeof u.b;
    }
    return u;
}

static inline uint32_t wire_get_uvarint(struct cursor *c)
{
    if (c->p < c->end && *c->p < 0x80)
        return *c->p++;
    return cursor_uvarint32(c);
}

struct slice wire_get_string(struct cursor *c, bool flexible, bool nullable);
struct slice wire_get_bytes(struct cursor *c, bool flexible, bool nullable);
/* An array's count, -1 for null: held against the bytes that remain, of which each element takes at least
 * `min_encoded`. 0 when the cursor failed. */
int32_t wire_get_count(struct cursor *c, bool flexible, bool nullable, size_t min_encoded);
/* Reads the count, then makes room for so many elements. */
void *wire_get_array(struct cursor *c, struct arena *a, bool flexible, bool nullable, size_t min_encoded, size_t size,
                     int32_t *n);
void wire_get_int8_array(struct cursor *c, struct arena *a, bool flexible, bool nullable, struct wire_int8_array *out);
void wire_get_int16_array(struct cursor *c, struct arena *a, bool flexible, bool nullable,
                          struct wire_int16_array *out);
void wire_get_int32_array(struct cursor *c, struct arena *a, bool flexible, bool nullable,
                          struct wire_int32_array *out);
void wire_get_int64_array(struct cursor *c, struct arena *a, bool flexible, bool nullable,
                          struct wire_int64_array *out);
void wire_get_uuid_array(struct cursor *c, struct arena *a, bool flexible, bool nullable, struct wire_uuid_array *out);
void wire_get_string_array(struct cursor *c, struct arena *a, bool flexible, bool nullable,
                           struct wire_string_array *out);
/* A struct behind a pointer; with `prefixed` an int8 tells whether it is there (negative: null). */
void *wire_get_struct(struct cursor *c, struct arena *a, bool prefixed, size_t size);

/* Tagged fields. wire_tags_next() yields each with a cursor over exactly its bytes; tags must rise. */
struct wire_tags_reader {
    uint32_t left;
    int64_t last;
};
struct wire_tags_reader wire_tags_begin(struct cursor *c);
bool wire_tags_next(struct wire_tags_reader *r, struct cursor *c, uint32_t *tag, struct cursor *field);
void wire_tags_close(struct cursor *c, const struct cursor *field); /* a known field ends where it says */
void wire_tags_keep(struct wire_tags_reader *r, struct cursor *c, uint32_t tag, const struct cursor *field,
                    struct wire_tags *tags, struct arena *a);
void wire_get_tags(struct cursor *c, struct wire_tags *tags, struct arena *a); /* all unknown */

static inline uint8_t *wire_room(struct buf *b, size_t n)
{
    if (!b->error && b->cap - b->n >= n) {
        uint8_t *at = b->p + b->n;
        b->n += n;
        return at;
    }
    return buf_grow(b, n);
}

static inline void wire_put_8(struct buf *b, uint8_t v)
{
    uint8_t *at = wire_room(b, 1);
    if (at)
        *at = v;
}

static inline void wire_put_16(struct buf *b, uint16_t v)
{
    uint8_t *at = wire_room(b, 2);
    v = htobe16(v);
    if (at)
        memcpy(at, &v, 2);
}

static inline void wire_put_32(struct buf *b, uint32_t v)
{
    uint8_t *at = wire_room(b, 4);
    v = htobe32(v);
    if (at)
        memcpy(at, &v, 4);
}

static inline void wire_put_64(struct buf *b, uint64_t v)
{
    uint8_t *at = wire_room(b, 8);
    v = htobe64(v);
    if (at)
        memcpy(at, &v, 8);
}

static inline void wire_put_double(struct buf *b, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, 8);
    wire_put_64(b, bits);
}

static inline void wire_put_uuid(struct buf *b, const struct wire_uuid *u)
{
    buf_put(b, u->b, sizeof u->b);
}

static inline void wire_put_uvarint(struct buf *b, uint32_t v)
{
    if (v < 0x80)
        wire_put_8(b, (uint8_t)v);
    else
        buf_uvarint(b, v);
}

void wire_put_fail(struct buf *b, enum err e); /* keeps the first error */
void wire_put_string(struct buf *b, struct slice s, bool flexible, bool nullable);
void wire_put_bytes(struct buf *b, struct slice s, bool flexible, bool nullable);
/* Only the length before them. */
void wire_put_length(struct buf *b, struct slice s, bool flexible, bool nullable, bool is_string);
void wire_put_count(struct buf *b, int32_t n, bool flexible, bool nullable);
void wire_put_int8_array(struct buf *b, const struct wire_int8_array *in, bool flexible, bool nullable);
void wire_put_int16_array(struct buf *b, const struct wire_int16_array *in, bool flexible, bool nullable);
void wire_put_int32_array(struct buf *b, const struct wire_int32_array *in, bool flexible, bool nullable);
void wire_put_int64_array(struct buf *b, const struct wire_int64_array *in, bool flexible, bool nullable);
void wire_put_uuid_array(struct buf *b, const struct wire_uuid_array *in, bool flexible, bool nullable);
void wire_put_string_array(struct buf *b, const struct wire_string_array *in, bool flexible, bool nullable);
/* The presence byte of a nullable struct; false when there is nothing to write after it. */
bool wire_put_present(struct buf *b, const void *p, bool prefixed);

/* Tagged fields are written as: count, then for each known one wire_put_tag_begin(), its body, wire_put_tag_end();
 * unknown ones with smaller tags go before it, the rest at the end. */
struct wire_tags_writer {
    const struct wire_tags *unknown;
    int32_t at;
    size_t body; /* where the field being written starts */
};
struct wire_tags_writer wire_put_tags_count(struct buf *b, const struct wire_tags *unknown, uint32_t known);
void wire_put_tag_begin(struct wire_tags_writer *w, struct buf *b, uint32_t tag);
void wire_put_tag_end(struct wire_tags_writer *w, struct buf *b);
void wire_put_tags_rest(struct wire_tags_writer *w, struct buf *b);
/* Tag and size of the next unknown one, if its tag is below that; its bytes are to follow. NULL: there is none. */
const struct wire_tag *wire_put_unknown_tag(struct wire_tags_writer *w, struct buf *b, uint64_t below);

/* What every x_encode ends with. */
enum err wire_encode_finish(struct buf *b, size_t before) MUST_CHECK;

#endif
