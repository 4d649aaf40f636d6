/* SPDX-License-Identifier: Apache-2.0
 * Formats of the network: host names (RFC 1123), mail addresses (RFC 5321), IP addresses, URIs and IRIs (RFC 3986,
 * 3987), URI templates (RFC 6570). Internationalised host names are checked for shape, not against the tables of
 * IDNA 2008. */
#include "registry/json_format.h"
#include "registry/json_uri.h"

#include <arpa/inet.h>

static bool is_alpha(uint8_t c)
{
    return (c | 32) >= 'a' && (c | 32) <= 'z';
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(uint8_t c)
{
    return is_digit(c) || ((c | 32) >= 'a' && (c | 32) <= 'f');
}

static bool one_of(uint8_t c, const char *set)
{
    return c && strchr(set, c);
}

bool json_format_is_ipv4(struct slice s)
{
    unsigned parts = 0, value = 0, length = 0;
    for (size_t i = 0; i <= s.n; i++) {
        if (i == s.n || s.p[i] == '.') {
            if (length == 0 || value > 255 || ++parts > 4)
                return false;
            value = length = 0;
            continue;
        }
        if (!is_digit(s.p[i]) || (length == 1 && value == 0) || ++length > 3)
            return false;
        value = value * 10 + (s.p[i] - '0');
    }
    return parts == 4;
}

bool json_format_is_ipv6(struct slice s)
{
    char text[48];
    uint8_t out[16];
    if (s.n >= sizeof text || memchr(s.p, 0, s.n))
        return false;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    return inet_pton(AF_INET6, text, out) == 1;
}

/* Code points of a label's punycode are not decoded; "xn--" needs something behind it. */
static bool is_label(struct slice s, bool international)
{
    size_t characters = 0;
    for (size_t i = 0; i < s.n; i++)
        characters += (s.p[i] & 0xc0) != 0x80;
    if (s.n == 0 || characters > 63 || s.p[0] == '-' || s.p[s.n - 1] == '-')
        return false;
    if (s.n >= 4 && s.p[2] == '-' && s.p[3] == '-' && ((s.p[0] | 32) != 'x' || (s.p[1] | 32) != 'n' || s.n == 4))
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!is_alpha(s.p[i]) && !is_digit(s.p[i]) && s.p[i] != '-' && !(international && s.p[i] >= 0x80))
            return false;
    return true;
}

static bool is_host(struct slice s, bool international)
{
    size_t from = 0;
    if (s.n == 0 || s.n > (international ? 1024 : 253))
        return false;
    for (size_t i = 0; i <= s.n; i++)
        if (i == s.n || s.p[i] == '.') {
            if (!is_label(slice_of(s.p + from, i - from), international))
                return false;
            from = i + 1;
        }
    return true;
}

bool json_format_is_hostname(struct slice s)
{
    return is_host(s, false);
}

/* The other full stops of IDNA (U+3002, U+FF0E, U+FF61) separate labels too. */
bool json_format_is_idn_hostname(struct slice s)
{
    static const char *const stops[] = {"\xe3\x80\x82", "\xef\xbc\x8e", "\xef\xbd\xa1"};
    uint8_t copy[1024];
    size_t n = 0;
    if (s.n > sizeof copy)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        bool stop = false;
        for (size_t k = 0; k < 3 && !stop; k++)
            stop = s.n - i >= 3 && memcmp(s.p + i, stops[k], 3) == 0;
        copy[n++] = stop ? '.' : s.p[i];
        i += stop ? 2 : 0;
    }
    return is_host(slice_of(copy, n), true);
}

static bool is_local_part(struct slice s, bool international)
{
    bool quoted = s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"';
    if (s.n == 0 || s.n > 64 * (international ? 4 : 1))
        return false;
    for (size_t i = quoted; i < s.n - quoted; i++) {
        uint8_t c = s.p[i];
        if (c >= 0x80 ? international : is_alpha(c) || is_digit(c) || one_of(c, "!#$%&'*+-/=?^_`{|}~"))
            continue;
        if (quoted) {
            if (c == '\\' && i + 2 < s.n)
                i++;
            else if (c == '"' || c == '\\' || c < 0x20 || c >= 0x7f)
                return false;
            continue;
        }
        if (c != '.' || i == 0 || i + 1 == s.n || s.p[i + 1] == '.')
            return false;
    }
    return true;
}

static bool is_mail(struct slice s, bool international)
{
    size_t at = s.n;
    while (at && s.p[at - 1] != '@')
        at--;
    if (at < 2)
        return false;
    struct slice local = slice_of(s.p, at - 1), domain = slice_of(s.p + at, s.n - at);
    if (!is_local_part(local, international))
        return false;
    if (domain.n > 2 && domain.p[0] == '[' && domain.p[domain.n - 1] == ']') {
        struct slice literal = slice_of(domain.p + 1, domain.n - 2), prefix = slice_str("IPv6:");
        if (slice_starts(literal, prefix))
            return json_format_is_ipv6(slice_of(literal.p + prefix.n, literal.n - prefix.n));
        return json_format_is_ipv4(literal);
    }
    return is_host(domain, international);
}

bool json_format_is_email(struct slice s)
{
    return is_mail(s, false);
}

bool json_format_is_idn_email(struct slice s)
{
    return is_mail(s, true);
}

/* pchar and friends: unreserved, sub-delims, escapes and the characters of `more`. */
static bool all_chars(struct slice s, const char *more, bool international)
{
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        if (is_alpha(c) || is_digit(c) || one_of(c, "-._~!$&'()*+,;=") || one_of(c, more) ||
            (c >= 0x80 && international))
            continue;
        if (c != '%' || i + 2 >= s.n || !is_hex(s.p[i + 1]) || !is_hex(s.p[i + 2]))
            return false;
        i += 2;
    }
    return true;
}

static bool is_authority(struct slice s, bool international)
{
    size_t at = 0, end = s.n;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '@')
            at = i + 1;
    if (at && !all_chars(slice_of(s.p, at - 1), ":", international))
        return false;
    while (end > at && is_digit(s.p[end - 1]))
        end--;
    if (end > at && s.p[end - 1] == ':')
        end--;
    else
        end = s.n;
    struct slice host = slice_of(s.p + at, end - at);
    if (host.n && host.p[0] == '[') {
        if (host.n < 3 || host.p[host.n - 1] != ']')
            return false;
        struct slice literal = slice_of(host.p + 1, host.n - 2);
        return (literal.p[0] | 32) == 'v' || json_format_is_ipv6(literal);
    }
    return all_chars(host, "", international);
}

static bool is_reference(struct slice s, bool absolute, bool international)
{
    struct json_uri u = json_uri_split(s);
    if (absolute && slice_is_null(u.scheme))
        return false;
    if (!slice_is_null(u.authority) && !is_authority(u.authority, international))
        return false;
    if (slice_is_null(u.scheme) && slice_is_null(u.authority)) {
        /* a first segment with a colon would be a scheme */
        for (size_t i = 0; i < u.path.n && u.path.p[i] != '/'; i++)
            if (u.path.p[i] == ':')
                return false;
    }
    return all_chars(u.path, ":@/", international) && all_chars(u.query, ":@/?", international) &&
           all_chars(u.fragment, ":@/?", international);
}

bool json_format_is_uri(struct slice s)
{
    return is_reference(s, true, false);
}

bool json_format_is_uri_reference(struct slice s)
{
    return is_reference(s, false, false);
}

bool json_format_is_iri(struct slice s)
{
    return is_reference(s, true, true);
}

bool json_format_is_iri_reference(struct slice s)
{
    return is_reference(s, false, true);
}

static bool is_varspec(struct slice s)
{
    size_t n = s.n;
    if (n && s.p[n - 1] == '*') {
        n--;
    } else {
        size_t at = n;
        while (at && is_digit(s.p[at - 1]))
            at--;
        if (at && at < n && s.p[at - 1] == ':' && n - at <= 4 && s.p[at] != '0')
            n = at - 1;
    }
    if (n == 0)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (is_alpha(s.p[i]) || is_digit(s.p[i]) || s.p[i] == '_' ||
            (s.p[i] == '.' && i && i + 1 < n && s.p[i + 1] != '.'))
            continue;
        if (s.p[i] != '%' || i + 2 >= n || !is_hex(s.p[i + 1]) || !is_hex(s.p[i + 2]))
            return false;
        i += 2;
    }
    return true;
}

static bool is_expression(struct slice s)
{
    size_t from = s.n && one_of(s.p[0], "+#./;?&=,!@|") ? 1 : 0;
    for (size_t i = from; i <= s.n; i++)
        if (i == s.n || s.p[i] == ',') {
            if (!is_varspec(slice_of(s.p + from, i - from)))
                return false;
            from = i + 1;
        }
    return true;
}

bool json_format_is_uri_template(struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        if (c == '{') {
            size_t close = i + 1;
            while (close < s.n && s.p[close] != '}')
                close++;
            if (close == s.n || !is_expression(slice_of(s.p + i + 1, close - i - 1)))
                return false;
            i = close;
        } else if (c == '%') {
            if (i + 2 >= s.n || !is_hex(s.p[i + 1]) || !is_hex(s.p[i + 2]))
                return false;
            i += 2;
        } else if (c <= 0x20 || one_of(c, "\"<>\\^`|}") || c == 0x7f) {
            return false;
        }
    }
    return true;
}
