/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_JSON_SCAN_H
#define CASTELLAN_REGISTRY_JSON_SCAN_H

#include "core/base/slice.h"

#include <endian.h>

/* Looking through the inside of a JSON string eight bytes at a time. */
enum { JSON_WORD = 8 };

/* Eight bytes, the first in memory lowest. */
static inline uint64_t json_load_word(const uint8_t *p)
{
    uint64_t w;
    memcpy(&w, p, sizeof w);
    return le64toh(w);
}

/* The high bit of each byte of w that must be escaped: quote, backslash, control character. Exact up to and including
 * the first such byte in memory order, which is all that may be looked at. */
static inline uint64_t json_word_escapes(uint64_t w)
{
    const uint64_t ones = 0x0101010101010101u, high = 0x8080808080808080u;
    uint64_t quote = w ^ ones * '"', backslash = w ^ ones * '\\', low = (w - ones * 0x20) & ~w;
    return (low | ((quote - ones) & ~quote) | ((backslash - ones) & ~backslash)) & high;
}

static inline uint64_t json_word_beyond_ascii(uint64_t w)
{
    return w & 0x8080808080808080u;
}

/* How many bytes before the first one marked in a mask of the functions above; JSON_WORD when none is. */
static inline size_t json_word_before(uint64_t mask)
{
    return mask ? (size_t)(__builtin_ctzll(mask) / 8) : JSON_WORD;
}

#endif
