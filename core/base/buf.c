/* SPDX-License-Identifier: Apache-2.0
 * The growing buffer. Growth doubles up to the cap; the first failure sticks until buf_clear(). */
#include "core/base/buf.h"

#include <stdio.h>
#include <stdlib.h>

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf_free(struct buf *b)
{
    free(b->p);
    *b = (struct buf){.max = b->max};
}

void buf_wipe_free(struct buf *b)
{
    if (b->p)
        explicit_bzero(b->p, b->cap);
    buf_free(b);
}

void buf_clear(struct buf *b)
{
    b->n = 0;
    b->error = ERR_OK;
}

enum err buf_error(const struct buf *b)
{
    return b->error;
}

bool buf_reserve(struct buf *b, size_t more)
{
    size_t max = b->max ? b->max : (size_t)BUF_MAX_DEFAULT;
    size_t want, cap;
    uint8_t *p;

    if (b->error)
        return false;
    if (more <= b->cap - b->n)
        return true;
    if (b->n > max || more > max - b->n) {
        b->error = ERR_LIMIT_EXCEEDED;
        return false;
    }
    want = b->n + more;
    cap = b->cap ? b->cap : 64;
    while (cap < want)
        cap *= 2;
    if (cap > max)
        cap = max;
    p = realloc(b->p, cap);
    if (!p) {
        b->error = ERR_NO_MEMORY;
        return false;
    }
    b->p = p;
    b->cap = cap;
    return true;
}

uint8_t *buf_grow(struct buf *b, size_t n)
{
    uint8_t *at;
    if (!buf_reserve(b, n ? n : 1))
        return NULL;
    at = b->p + b->n;
    b->n += n;
    return at;
}

void buf_put(struct buf *b, const void *p, size_t n)
{
    uint8_t *at;
    if (n == 0)
        return;
    at = buf_grow(b, n);
    if (at)
        memcpy(at, p, n);
}

void buf_put_slice(struct buf *b, struct slice s)
{
    buf_put(b, s.p, s.n);
}

void buf_put_str(struct buf *b, const char *s)
{
    buf_put(b, s, strlen(s));
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    size_t room = b->cap - b->n;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(room ? (char *)b->p + b->n : NULL, room, fmt, ap);
    va_end(ap);
    if (n < 0 || !buf_reserve(b, (size_t)n + 1))
        return;
    if ((size_t)n >= room) {
        va_start(ap, fmt);
        vsnprintf((char *)b->p + b->n, (size_t)n + 1, fmt, ap);
        va_end(ap);
    }
    b->n += (size_t)n;
}

void buf_put_int(struct buf *b, int64_t v)
{
    char text[20], *at = text + sizeof text;
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    do
        *--at = (char)('0' + u % 10);
    while (u /= 10);
    if (v < 0)
        *--at = '-';
    buf_put(b, at, (size_t)(text + sizeof text - at));
}

void buf_u8(struct buf *b, uint8_t v)
{
    buf_put(b, &v, 1);
}

void buf_u16(struct buf *b, uint16_t v)
{
    uint8_t x[2] = {(uint8_t)(v >> 8), (uint8_t)v};
    buf_put(b, x, sizeof x);
}

static void store_u32(uint8_t *x, uint32_t v)
{
    x[0] = (uint8_t)(v >> 24);
    x[1] = (uint8_t)(v >> 16);
    x[2] = (uint8_t)(v >> 8);
    x[3] = (uint8_t)v;
}

void buf_u32(struct buf *b, uint32_t v)
{
    uint8_t x[4];
    store_u32(x, v);
    buf_put(b, x, sizeof x);
}

void buf_u64(struct buf *b, uint64_t v)
{
    uint8_t x[8];
    store_u32(x, (uint32_t)(v >> 32));
    store_u32(x + 4, (uint32_t)v);
    buf_put(b, x, sizeof x);
}

void buf_uvarint(struct buf *b, uint64_t v)
{
    uint8_t x[10];
    size_t n = 0;
    while (v >= 0x80) {
        x[n++] = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    x[n++] = (uint8_t)v;
    buf_put(b, x, n);
}

void buf_varint(struct buf *b, int64_t v)
{
    buf_uvarint(b, zigzag_encode(v));
}

void buf_patch_u32(struct buf *b, size_t at, uint32_t v)
{
    if (!b->error && at + 4 <= b->n)
        store_u32(b->p + at, v);
}

void buf_consume(struct buf *b, size_t n)
{
    if (n >= b->n) {
        b->n = 0;
        return;
    }
    memmove(b->p, b->p + n, b->n - n);
    b->n -= n;
}

struct slice buf_slice(const struct buf *b)
{
    static const uint8_t empty[1];
    return b->p ? slice_of(b->p, b->n) : slice_of(empty, 0);
}

char *buf_cstr(struct buf *b)
{
    static char empty[1]; /* allow: always 0 */
    if (!buf_reserve(b, 1)) {
        empty[0] = 0;
        return empty;
    }
    b->p[b->n] = 0;
    return (char *)b->p;
}
