/* SPDX-License-Identifier: Apache-2.0
 * The sticky reader. Every read checks what is left first; a failed cursor stands at its end, so loops that ask
 * cursor_left() stop by themselves. */
#include "core/base/buf.h"
#include "core/base/cursor.h"

struct cursor cursor_of(struct slice s)
{
    static const uint8_t empty[1];
    const uint8_t *p = s.p ? s.p : empty;
    return (struct cursor){p, p + s.n, ERR_OK};
}

size_t cursor_left(const struct cursor *c)
{
    return (size_t)(c->end - c->p);
}

void cursor_fail(struct cursor *c, enum err e)
{
    if (!c->error)
        c->error = e;
    c->p = c->end;
}

enum err cursor_finish(const struct cursor *c)
{
    if (c->error)
        return c->error;
    return c->p == c->end ? ERR_OK : ERR_MALFORMED;
}

static bool need(struct cursor *c, size_t n)
{
    if (cursor_left(c) >= n)
        return true;
    cursor_fail(c, ERR_TRUNCATED);
    return false;
}

uint8_t cursor_u8(struct cursor *c)
{
    return need(c, 1) ? *c->p++ : 0;
}

uint16_t cursor_u16(struct cursor *c)
{
    uint16_t v;
    if (!need(c, 2))
        return 0;
    v = (uint16_t)(c->p[0] << 8 | c->p[1]);
    c->p += 2;
    return v;
}

uint32_t cursor_u32(struct cursor *c)
{
    uint32_t v;
    if (!need(c, 4))
        return 0;
    v = (uint32_t)c->p[0] << 24 | (uint32_t)c->p[1] << 16 | (uint32_t)c->p[2] << 8 | c->p[3];
    c->p += 4;
    return v;
}

uint64_t cursor_u64(struct cursor *c)
{
    uint64_t hi, lo;
    if (!need(c, 8))
        return 0;
    hi = cursor_u32(c);
    lo = cursor_u32(c);
    return hi << 32 | lo;
}

static uint64_t read_uvarint(struct cursor *c, unsigned bits)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < bits; shift += 7) {
        uint8_t b = cursor_u8(c);
        if (c->error)
            return 0;
        if (bits - shift < 7 && (b & 0x7f) >> (bits - shift)) {
            cursor_fail(c, ERR_MALFORMED);
            return 0;
        }
        v |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80))
            return v;
    }
    cursor_fail(c, ERR_MALFORMED);
    return 0;
}

uint32_t cursor_uvarint32(struct cursor *c)
{
    return (uint32_t)read_uvarint(c, 32);
}

int64_t cursor_varint(struct cursor *c)
{
    return zigzag_decode(read_uvarint(c, 64));
}

int32_t cursor_varint32(struct cursor *c)
{
    return (int32_t)zigzag_decode(read_uvarint(c, 32));
}

struct slice cursor_take(struct cursor *c, size_t n)
{
    struct slice s;
    if (!need(c, n))
        return SLICE_NULL;
    s = slice_of(c->p, n);
    c->p += n;
    return s;
}
