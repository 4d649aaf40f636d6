/* SPDX-License-Identifier: Apache-2.0
 * Percent-encoding, both ways. */
#include "core/base/percent.h"

enum { REQUEST_LINE_MAX = 1024 * 1024 }; /* farther away it is no part of the same line */

static int digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool percent_decode(struct slice text, uint8_t *out, size_t *n)
{
    *n = 0;
    for (size_t i = 0; i < text.n; i++) {
        int hi, lo;
        if (text.p[i] != '%') {
            out[(*n)++] = text.p[i];
            continue;
        }
        if (text.n - i < 3 || (hi = digit(text.p[i + 1])) < 0 || (lo = digit(text.p[i + 2])) < 0)
            return false;
        out[(*n)++] = (uint8_t)(hi << 4 | lo);
        i += 2;
    }
    return true;
}

bool percent_uri_is_cut(const char *uri, size_t uri_n, const char *version)
{
    uintptr_t from = (uintptr_t)uri, to = (uintptr_t)version;
    return *version && to > from && to - from < REQUEST_LINE_MAX && to - from != uri_n + 1;
}

void percent_encode(struct buf *out, struct slice bytes)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

    for (size_t i = 0; i < bytes.n; i++) {
        if (bytes.p[i] && strchr(plain, bytes.p[i]))
            buf_u8(out, bytes.p[i]);
        else
            buf_printf(out, "%%%02X", (unsigned)bytes.p[i]);
    }
}
