/* SPDX-License-Identifier: Apache-2.0
 * Content negotiation, methods and listener addresses: text in, choice out. Nothing is allocated, and no text is
 * trusted: a media range that is not well-formed is passed over as if it were not there. */
#include "registry/http_negotiate.h"

#include <stdio.h>
#include <string.h>

enum { TYPES = 3 };

static const char *const types[TYPES] = {HTTP_TYPE_V1, HTTP_TYPE_PLAIN, HTTP_TYPE_JSON};

static struct slice trim(struct slice s)
{
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
        s = slice_of(s.p + 1, s.n - 1);
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    return s;
}

/* Takes what stands before the next `mark` (or all) off `rest`. */
static struct slice next_part(struct slice *rest, char mark)
{
    const uint8_t *at = rest->n ? memchr(rest->p, mark, rest->n) : NULL;
    size_t n = at ? (size_t)(at - rest->p) : rest->n;
    struct slice part = slice_of(rest->p, n);
    *rest = at ? slice_of(at + 1, rest->n - n - 1) : slice_of(rest->p + n, 0);
    return trim(part);
}

static bool is_text(struct slice s, const char *want)
{
    return s.n == strlen(want) && strncasecmp((const char *)s.p, want, s.n) == 0;
}

/* A quality value in thousandths: "0", "0.5", "1.000"; -1 when it is none. Three decimals count. */
static int quality(struct slice s)
{
    int value = 0, unit = 1000;
    for (size_t i = 0; i < s.n; i++) {
        if (i == 1 ? s.p[i] != '.' : s.p[i] < '0' || s.p[i] > '9')
            return -1;
        if (i == 1)
            continue;
        value += (s.p[i] - '0') * unit;
        unit /= 10;
    }
    return s.n && value <= 1000 ? value : -1;
}

/* How well a media range fits one of our types: 0 not, 1 any type, 2 any application type, 3 exactly. */
static int fitness(struct slice range, const char *type)
{
    if (is_text(range, type))
        return 3;
    if (is_text(range, "application/*"))
        return 2;
    return is_text(range, "*/*") ? 1 : 0;
}

struct range {
    struct slice type;
    int quality; /* -1: not well-formed */
};

static struct range read_range(struct slice text)
{
    struct range r = {next_part(&text, ';'), 1000};
    while (text.n) {
        struct slice value = next_part(&text, ';');
        struct slice name = next_part(&value, '=');
        if (is_text(name, "q"))
            r.quality = quality(trim(value));
    }
    return r;
}

const char *http_answer_type(const char *accept)
{
    static const int ours[TYPES] = {10, 9, 5};
    int best_fit[TYPES] = {0}, score[TYPES] = {0};
    struct slice rest = slice_str(accept ? accept : "");
    const char *best = NULL;
    int best_score = 0;
    if (!trim(rest).n)
        return HTTP_TYPE_V1;
    while (rest.n) {
        struct range r = read_range(next_part(&rest, ','));
        for (int i = 0; i < TYPES && r.quality >= 0; i++) {
            int fit = fitness(r.type, types[i]), s = r.quality ? r.quality * 16 + ours[i] : 0;
            if (fit > best_fit[i] || (fit && fit == best_fit[i] && s > score[i])) {
                best_fit[i] = fit;
                score[i] = s;
            }
        }
    }
    for (int i = 0; i < TYPES; i++) {
        if (score[i] > best_score) {
            best_score = score[i];
            best = types[i];
        }
    }
    return best;
}

int http_type_status(const char *type)
{
    struct slice rest = slice_str(type ? type : "");
    struct slice name = next_part(&rest, ';');
    if (!type || is_text(name, "application/octet-stream"))
        return 200;
    for (int i = 0; i < TYPES; i++)
        if (is_text(name, types[i]))
            return 200;
    return name.n && memchr(name.p, '/', name.n) ? 415 : 400;
}

static const struct {
    const char *name;
    enum rest_method method;
} methods[] = {{"GET", REST_GET}, {"HEAD", REST_GET},      {"POST", REST_POST},
               {"PUT", REST_PUT}, {"DELETE", REST_DELETE}, {"OPTIONS", REST_OPTIONS}};

enum rest_method http_method(const char *name)
{
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (!strcmp(name, methods[i].name))
            return methods[i].method;
    return REST_OTHER;
}

const char *http_method_name(enum rest_method method)
{
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (methods[i].method == method)
            return methods[i].name;
    return "";
}

void http_allow(char out[HTTP_ALLOW_MAX], unsigned allowed)
{
    size_t n = 0;
    out[0] = 0;
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (allowed & 1u << methods[i].method)
            n += (size_t)snprintf(out + n, HTTP_ALLOW_MAX - n, "%s%s", n ? ", " : "", methods[i].name);
}

static bool is_port(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
    return s.n >= 1 && s.n <= 5;
}

enum err http_listener_parse(struct slice text, struct http_listener *out, struct reason *why)
{
    struct slice s = text;
    out->tls = slice_starts(s, slice_str("https://"));
    if (!out->tls && !slice_starts(s, slice_str("http://")))
        return reason_set(why, ERR_BAD_CONFIG, "listener '%.*s' must begin with http:// or https://", SLICE_FMT(text));
    size_t skip = out->tls ? 8 : 7;
    s = slice_of(s.p + skip, s.n - skip);
    const uint8_t *colon = s.n ? memrchr(s.p, ':', s.n) : NULL;
    struct slice host = slice_of(s.p, colon ? (size_t)(colon - s.p) : 0);
    struct slice port = colon ? slice_of(colon + 1, s.n - host.n - 1) : slice_str("");
    if (!is_port(port))
        return reason_set(why, ERR_BAD_CONFIG, "listener '%.*s' has no port", SLICE_FMT(text));
    bool open = host.n && host.p[0] == '[', shut = host.n && host.p[host.n - 1] == ']';
    if (open && shut && host.n >= 2)
        host = slice_of(host.p + 1, host.n - 2);
    else if (open || shut)
        return reason_set(why, ERR_BAD_CONFIG, "listener '%.*s' has half a pair of brackets", SLICE_FMT(text));
    if (host.n >= sizeof out->host)
        return reason_set(why, ERR_BAD_CONFIG, "listener '%.*s' has a host of more than %d characters", SLICE_FMT(text),
                          HTTP_HOST_MAX - 1);
    memcpy(out->host, host.p, host.n);
    out->host[host.n] = 0;
    memcpy(out->port, port.p, port.n);
    out->port[port.n] = 0;
    return ERR_OK;
}
