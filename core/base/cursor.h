/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_BASE_CURSOR_H
#define CASTELLAN_BASE_CURSOR_H

#include "core/base/err.h"
#include "core/base/slice.h"

/* A sticky reader over borrowed bytes. After the first failure every read returns zero or null and `error` keeps the
 * reason, so decoders check once, at the end. Slices point into the bytes; they live as long as the bytes do. */
struct cursor {
    const uint8_t *p;
    const uint8_t *end;
    enum err error;
};

struct cursor cursor_of(struct slice s);
size_t cursor_left(const struct cursor *c);
void cursor_fail(struct cursor *c, enum err e); /* keeps the first error */
/* ERR_OK when nothing failed and nothing is left; trailing bytes are ERR_MALFORMED. */
enum err cursor_finish(const struct cursor *c) MUST_CHECK;

uint8_t cursor_u8(struct cursor *c);
uint16_t cursor_u16(struct cursor *c);
uint32_t cursor_u32(struct cursor *c);
uint64_t cursor_u64(struct cursor *c);
uint32_t cursor_uvarint32(struct cursor *c); /* at most 5 bytes; over 32 bits is ERR_MALFORMED */
int64_t cursor_varint(struct cursor *c);     /* zigzag */
int32_t cursor_varint32(struct cursor *c);
struct slice cursor_take(struct cursor *c, size_t n); /* n bytes, never null on success */

#endif
