/* SPDX-License-Identifier: Apache-2.0
 * The values of `format`: dates and times (RFC 3339), durations, names and addresses, pointers, identifiers. Each check
 * is one pass over the string; URIs, host names and mail addresses have json_format_net.c. */
#include "registry/json_format.h"

#include "registry/json_regex.h"
#include "registry/json_schema.h"

static bool digits(struct slice s, size_t from, size_t n, int *out)
{
    *out = 0;
    if (from + n > s.n)
        return false;
    for (size_t i = from; i < from + n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        *out = *out * 10 + (s.p[i] - '0');
    }
    return true;
}

static bool is_date(struct slice s)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int y, m, d;
    if (s.n != 10 || s.p[4] != '-' || s.p[7] != '-' || !digits(s, 0, 4, &y) || !digits(s, 5, 2, &m) ||
        !digits(s, 8, 2, &d) || m < 1 || m > 12 || d < 1)
        return false;
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    return d <= days[m - 1] + (m == 2 && leap);
}

static bool is_time(struct slice s)
{
    int h, m, sec, oh = 0, om = 0, sign = 1;
    size_t at = 8;
    if (!digits(s, 0, 2, &h) || !digits(s, 3, 2, &m) || !digits(s, 6, 2, &sec) || s.p[2] != ':' || s.p[5] != ':' ||
        h > 23 || m > 59 || sec > 60)
        return false;
    if (at < s.n && s.p[at] == '.') {
        size_t start = ++at;
        while (at < s.n && s.p[at] >= '0' && s.p[at] <= '9')
            at++;
        if (at == start)
            return false;
    }
    if (at == s.n)
        return false;
    if (s.p[at] == 'Z' || s.p[at] == 'z') {
        at++;
    } else {
        if (s.p[at] != '+' && s.p[at] != '-')
            return false;
        sign = s.p[at] == '+' ? -1 : 1;
        if (s.n != at + 6 || s.p[at + 3] != ':' || !digits(s, at + 1, 2, &oh) || !digits(s, at + 4, 2, &om) ||
            oh > 23 || om > 59)
            return false;
        at += 6;
    }
    if (at != s.n)
        return false;
    /* a leap second stands at 23:59:60 UTC only */
    int minutes = (h * 60 + m + sign * (oh * 60 + om) + 2 * 1440) % 1440;
    return sec < 60 || minutes == 23 * 60 + 59;
}

static bool is_date_time(struct slice s)
{
    return s.n > 11 && (s.p[10] == 'T' || s.p[10] == 't') && is_date(slice_of(s.p, 10)) &&
           is_time(slice_of(s.p + 11, s.n - 11));
}

/* One part of a duration, units in their order; false when a unit repeats or is out of order. */
static bool duration_part(struct slice s, size_t *at, const char *units, bool *any)
{
    const char *next = units;
    while (*at < s.n && s.p[*at] != 'T') {
        size_t start = *at;
        const char *unit;
        while (*at < s.n && s.p[*at] >= '0' && s.p[*at] <= '9')
            (*at)++;
        if (*at == start || *at == s.n || !(unit = memchr(next, s.p[*at], strlen(next))))
            return false;
        /* units may not be skipped in the middle: P1Y1D is no duration of RFC 3339 */
        if (*any && unit != next)
            return false;
        next = unit + 1;
        *any = true;
        (*at)++;
    }
    return true;
}

static bool is_duration(struct slice s)
{
    size_t at = 1;
    bool any = false, any_time = false;
    if (s.n < 3 || s.p[0] != 'P')
        return false;
    if (s.p[s.n - 1] == 'W')
        return duration_part(s, &at, "W", &any) && at == s.n;
    if (!duration_part(s, &at, "YMD", &any))
        return false;
    if (at == s.n)
        return any;
    at++;
    return duration_part(s, &at, "HMS", &any_time) && at == s.n && any_time;
}

static bool is_pointer(struct slice s)
{
    if (s.n && s.p[0] != '/')
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '~' && (i + 1 == s.n || (s.p[i + 1] != '0' && s.p[i + 1] != '1')))
            return false;
    return true;
}

static bool is_relative_pointer(struct slice s)
{
    size_t at = 0;
    while (at < s.n && s.p[at] >= '0' && s.p[at] <= '9')
        at++;
    if (at == 0 || (at > 1 && s.p[0] == '0'))
        return false;
    if (at < s.n && s.p[at] == '#')
        return at + 1 == s.n;
    return is_pointer(slice_of(s.p + at, s.n - at));
}

static bool is_uuid(struct slice s)
{
    if (s.n != 36)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i] | 32;
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? s.p[i] != '-' : !((s.p[i] >= '0' && s.p[i] <= '9') || (c >= 'a' && c <= 'f')))
            return false;
    }
    return true;
}

static bool is_regex(struct slice s)
{
    struct json_regex *r;
    if (json_regex_compile(&r, s, JSON_REGEX_STRICT, NULL) != ERR_OK)
        return false;
    json_regex_free(r);
    return true;
}

bool json_format_check(struct slice format, struct slice value)
{
    static const struct {
        const char *name;
        bool (*check)(struct slice s);
    } formats[] = {
        {"date-time", is_date_time},
        {"date", is_date},
        {"time", is_time},
        {"duration", is_duration},
        {"email", json_format_is_email},
        {"idn-email", json_format_is_idn_email},
        {"hostname", json_format_is_hostname},
        {"idn-hostname", json_format_is_idn_hostname},
        {"ipv4", json_format_is_ipv4},
        {"ipv6", json_format_is_ipv6},
        {"uri", json_format_is_uri},
        {"uri-reference", json_format_is_uri_reference},
        {"iri", json_format_is_iri},
        {"iri-reference", json_format_is_iri_reference},
        {"uri-template", json_format_is_uri_template},
        {"json-pointer", is_pointer},
        {"relative-json-pointer", is_relative_pointer},
        {"uuid", is_uuid},
        {"regex", is_regex},
    };
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (slice_eq_str(format, formats[i].name))
            return formats[i].check(value);
    return true;
}

bool json_format_known(struct slice format, enum json_draft *since)
{
    static const struct {
        const char *name;
        enum json_draft since;
    } known[] = {
        {"date-time", JSON_DRAFT_4},
        {"uri", JSON_DRAFT_4},
        {"email", JSON_DRAFT_4},
        {"ipv4", JSON_DRAFT_4},
        {"ipv6", JSON_DRAFT_4},
        {"hostname", JSON_DRAFT_4},
        {"json-pointer", JSON_DRAFT_6},
        {"uri-reference", JSON_DRAFT_6},
        {"uri-template", JSON_DRAFT_6},
        {"date", JSON_DRAFT_7},
        {"time", JSON_DRAFT_7},
        {"regex", JSON_DRAFT_7},
        {"relative-json-pointer", JSON_DRAFT_7},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (slice_eq_str(format, known[i].name)) {
            *since = known[i].since;
            return true;
        }
    return false;
}
