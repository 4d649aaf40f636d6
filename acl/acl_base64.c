/* SPDX-License-Identifier: Apache-2.0
 * Base64 both ways. The texts are keys, so decoding looks nothing up in a table by secret index: digits are computed.
 */
#include "acl/acl_base64.h"

static char digit_of(uint32_t v)
{
    if (v < 26)
        return (char)('A' + v);
    if (v < 52)
        return (char)('a' + (v - 26));
    if (v < 62)
        return (char)('0' + (v - 52));
    return v == 62 ? '+' : '/';
}

static int value_of(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+')
        return 62;
    return c == '/' ? 63 : -1;
}

void base64_put(struct buf *out, struct slice bytes)
{
    for (size_t i = 0; i < bytes.n; i += 3) {
        size_t left = bytes.n - i;
        uint32_t v = (uint32_t)bytes.p[i] << 16 | (left > 1 ? (uint32_t)bytes.p[i + 1] << 8 : 0) |
                     (left > 2 ? bytes.p[i + 2] : 0);
        char quad[4] = {digit_of(v >> 18), digit_of(v >> 12 & 63), left > 1 ? digit_of(v >> 6 & 63) : '=',
                        left > 2 ? digit_of(v & 63) : '='};
        buf_put(out, quad, sizeof quad);
    }
}

static bool read_quad(const uint8_t *p, bool last, uint32_t *v, size_t *n)
{
    *v = 0;
    *n = 3;
    if (last && p[3] == '=')
        *n = p[2] == '=' ? 1 : 2;
    for (size_t k = 0; k < 4; k++) {
        int d = k > *n ? 0 : value_of(p[k]);
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
        size_t bytes;
        if (!read_quad(text.p + i, i + 4 == text.n, &v, &bytes) || *n + bytes > cap)
            return false;
        for (size_t k = 0; k < bytes; k++)
            out[(*n)++] = (uint8_t)(v >> (16 - 8 * k));
    }
    return true;
}
