/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_BASE_BUF_H
#define CASTELLAN_BASE_BUF_H

#include "core/base/err.h"
#include "core/base/slice.h"

/* A growing byte buffer with a cap. It owns its bytes. Appends are sticky: after the first failure (cap reached, no
 * memory) every further append is ignored and buf_error() says why, so encoders check once at the end.
 * Integers are written big-endian, as Kafka does. Varints are Kafka's (unsigned LEB128; zigzag for signed). */
struct buf {
    uint8_t *p;
    size_t n;   /* bytes in use */
    size_t cap; /* bytes allocated */
    size_t max; /* named limit of the owner; 0 means BUF_MAX_DEFAULT */
    enum err error;
};

enum { BUF_MAX_DEFAULT = 256 * 1024 * 1024 };

void buf_init(struct buf *b, size_t max);
void buf_free(struct buf *b);      /* frees; the buffer may be used again */
void buf_wipe_free(struct buf *b); /* for bytes that were secret */
void buf_clear(struct buf *b);     /* n = 0, error = OK, memory kept */
enum err buf_error(const struct buf *b) MUST_CHECK;
bool buf_reserve(struct buf *b, size_t more); /* room for `more` further bytes */
uint8_t *buf_grow(struct buf *b,
                  size_t n); /* n uninitialised bytes appended; NULL on failure; valid until next append */
void buf_put(struct buf *b, const void *p, size_t n);
void buf_put_slice(struct buf *b, struct slice s);
void buf_put_str(struct buf *b, const char *s); /* the characters, no NUL */
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void buf_put_int(struct buf *b, int64_t v); /* in decimal */
void buf_u8(struct buf *b, uint8_t v);
void buf_u16(struct buf *b, uint16_t v);
void buf_u32(struct buf *b, uint32_t v);
void buf_u64(struct buf *b, uint64_t v);
void buf_uvarint(struct buf *b, uint64_t v);
void buf_varint(struct buf *b, int64_t v); /* zigzag */
void buf_patch_u32(struct buf *b, size_t at, uint32_t v);
void buf_consume(struct buf *b, size_t n); /* drop n bytes from the front */
struct slice buf_slice(const struct buf *b);
char *buf_cstr(struct buf *b); /* NUL-terminated view, NUL not counted; "" after an error */

static inline size_t uvarint_size(uint64_t v)
{
    size_t n = 1;
    while (v >= 0x80) {
        v >>= 7;
        n++;
    }
    return n;
}

static inline uint64_t zigzag_encode(int64_t v)
{
    return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}

static inline int64_t zigzag_decode(uint64_t v)
{
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

static inline size_t varint_size(int64_t v)
{
    return uvarint_size(zigzag_encode(v));
}

#endif
