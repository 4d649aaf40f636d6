/* SPDX-License-Identifier: Apache-2.0
 * "SCHEME://host:port" in pieces. IPv6 addresses stand in brackets. */
#include "core/net/listener.h"

#include <ctype.h>

static enum err bad(struct slice text, const char *what, struct reason *why)
{
    return reason_set(why, ERR_BAD_CONFIG, "\"%.*s\" is not host:port (%s)", (int)(text.n > 200 ? 200 : text.n),
                      text.p ? (const char *)text.p : "", what);
}

static bool cut(char *out, size_t cap, struct slice s)
{
    if (s.n >= cap || memchr(s.p, 0, s.n))
        return false;
    memcpy(out, s.p, s.n);
    out[s.n] = 0;
    return true;
}

static bool parse_port(struct slice s, uint16_t *out)
{
    unsigned long port = 0;

    if (s.n == 0 || s.n > 5)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (!isdigit(s.p[i]))
            return false;
        port = port * 10 + (unsigned long)(s.p[i] - '0');
    }
    *out = (uint16_t)port;
    return port <= 65535;
}

enum err host_port_parse(struct host_port *out, struct slice text, struct reason *why)
{
    struct slice rest = text, host, port;
    const uint8_t *at;

    *out = (struct host_port){0};
    if (!text.p || text.n == 0)
        return bad(text, "empty", why);
    at = memmem(rest.p, rest.n, "://", 3);
    if (at) {
        if (!cut(out->scheme, sizeof out->scheme, slice_of(rest.p, (size_t)(at - rest.p))))
            return bad(text, "the scheme is too long", why);
        rest = slice_of(at + 3, rest.n - (size_t)(at + 3 - rest.p));
    }
    if (rest.n && rest.p[0] == '[') {
        at = memchr(rest.p, ']', rest.n);
        if (!at || (size_t)(at - rest.p) + 1 >= rest.n || at[1] != ':')
            return bad(text, "an IPv6 address is written [address]:port", why);
        host = slice_of(rest.p + 1, (size_t)(at - rest.p) - 1);
        port = slice_of(at + 2, rest.n - (size_t)(at + 2 - rest.p));
    } else {
        at = memrchr(rest.p, ':', rest.n);
        if (!at)
            return bad(text, "no port", why);
        host = slice_of(rest.p, (size_t)(at - rest.p));
        port = slice_of(at + 1, rest.n - (size_t)(at + 1 - rest.p));
        if (host.n && memchr(host.p, ':', host.n))
            return bad(text, "an IPv6 address is written [address]:port", why);
    }
    if (!cut(out->host, sizeof out->host, host))
        return bad(text, "the host name is too long", why);
    if (!parse_port(port, &out->port))
        return bad(text, "the port is not a number up to 65535", why);
    return ERR_OK;
}
