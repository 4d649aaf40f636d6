/* SPDX-License-Identifier: Apache-2.0
 * Base64 both ways. The texts are keys, so decoding looks nothing up in a table by secret index: digits are computed.
 */
#include "acl/acl_base64.h"

/* The two digits in which the alphabets differ. */
struct alphabet {
    char d62, d63;
};
static const struct alphabet standard = {'+', '/'}, url = {'-', '_'};

static char digit_of(const struct alphabet *a, uint32_t v)
{
    if (v < 26)
        return (char)('A' + v);
    if (v < 52)
        return (char)('a' + (v - 26));
    if (v < 62)
        return (char)('0' + (v - 52));
    return v == 62 ? a->d62 : a->d63;
}

static int value_of(const struct alphabet *a, uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == (uint8_t)a->d62)
        return 62;
    return c == (uint8_t)a->d63 ? 63 : -1;
}

static void put(struct buf *out, const struct alphabet *a, struct slice bytes, bool pad)
{
    for (size_t i = 0; i < bytes.n; i += 3) {
        size_t left = bytes.n - i;
        uint32_t v = (uint32_t)bytes.p[i] << 16 | (left > 1 ? (uint32_t)bytes.p[i + 1] << 8 : 0) |
                     (left > 2 ? bytes.p[i + 2] : 0);
        char quad[4] = {digit_of(a, v >> 18), digit_of(a, v >> 12 & 63), left > 1 ? digit_of(a, v >> 6 & 63) : '=',
                        left > 2 ? digit_of(a, v & 63) : '='};
        buf_put(out, quad, pad || left > 2 ? 4 : left + 1);
    }
}

void base64_put(struct buf *out, struct slice bytes)
{
    put(out, &standard, bytes, true);
}

void base64url_put(struct buf *out, struct slice bytes)
{
    put(out, &url, bytes, false);
}

/* `digits` (2 to 4) characters give digits - 1 bytes, which stand at the top of the 24 bits. */
static bool read_digits(const struct alphabet *a, const uint8_t *p, size_t digits, uint32_t *v)
{
    *v = 0;
    for (size_t k = 0; k < 4; k++) {
        int d = k < digits ? value_of(a, p[k]) : 0;
        if (d < 0)
            return false;
        *v = *v << 6 | (uint32_t)d;
    }
    return true;
}

bool base64_read(struct slice text, uint8_t *out, size_t cap, size_t *n)
{
    *n = 0;
    if (text.n % 4)
        return false;
    for (size_t i = 0; i < text.n; i += 4) {
        uint32_t v;
        size_t bytes = 3;
        if (i + 4 == text.n && text.p[i + 3] == '=')
            bytes = text.p[i + 2] == '=' ? 1 : 2;
        if (!read_digits(&standard, text.p + i, bytes + 1, &v) || *n + bytes > cap)
            return false;
        for (size_t k = 0; k < bytes; k++)
            out[(*n)++] = (uint8_t)(v >> (16 - 8 * k));
    }
    return true;
}

bool base64url_read(struct slice text, uint8_t *out, size_t cap, size_t *n)
{
    *n = 0;
    if (text.n % 4 == 1)
        return false;
    for (size_t i = 0; i < text.n; i += 4) {
        uint32_t v;
        size_t digits = text.n - i < 4 ? text.n - i : 4;
        size_t bytes = digits - 1;
        if (!read_digits(&url, text.p + i, digits, &v) || *n + bytes > cap)
            return false;
        if (v & ((1u << (24 - 8 * bytes)) - 1))
            return false;
        for (size_t k = 0; k < bytes; k++)
            out[(*n)++] = (uint8_t)(v >> (16 - 8 * k));
    }
    return true;
}
