/* SPDX-License-Identifier: Apache-2.0
 * URI references by RFC 3986. Splitting borrows; resolving writes one new string into the arena. */
#include "registry/json_uri.h"

#include "core/base/buf.h"

static struct slice cut(struct slice s, size_t from, size_t to)
{
    return slice_of(s.p + from, to - from);
}

static size_t find(struct slice s, size_t from, const char *any)
{
    for (; from < s.n; from++)
        if (s.p[from] && strchr(any, s.p[from]))
            break;
    return from;
}

static bool is_scheme(struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i] | 32;
        bool alpha = c >= 'a' && c <= 'z';
        if (!alpha && (i == 0 || !((s.p[i] >= '0' && s.p[i] <= '9') || strchr("+-.", s.p[i]))))
            return false;
    }
    return s.n > 0;
}

struct json_uri json_uri_split(struct slice text)
{
    struct json_uri u = {0};
    size_t at = 0, end = find(text, 0, "#"), query, colon = find(text, 0, ":/?#");
    if (end < text.n)
        u.fragment = cut(text, end + 1, text.n);
    query = find(text, 0, "?#");
    if (query < end)
        u.query = cut(text, query + 1, end);
    if (colon < query && text.p[colon] == ':' && is_scheme(cut(text, 0, colon))) {
        u.scheme = cut(text, 0, colon);
        at = colon + 1;
    }
    if (at + 1 < query && text.p[at] == '/' && text.p[at + 1] == '/') {
        size_t slash = find(text, at + 2, "/?#");
        u.authority = cut(text, at + 2, slash);
        at = slash;
    }
    u.path = cut(text, at, query);
    return u;
}

struct slice json_uri_without_fragment(struct slice uri)
{
    return cut(uri, 0, find(uri, 0, "#"));
}

struct slice json_uri_fragment(struct slice uri)
{
    size_t at = find(uri, 0, "#");
    return at < uri.n ? cut(uri, at + 1, uri.n) : SLICE_NULL;
}

/* 5.2.4, remove dot segments: append `path` to `out`. */
static void put_path(struct buf *out, struct slice path)
{
    size_t at = 0;
    bool absolute = path.n && path.p[0] == '/';
    if (absolute) {
        buf_put_str(out, "/");
        at = 1;
    }
    size_t root = out->n;
    while (at <= path.n) {
        size_t slash = find(path, at, "/");
        struct slice segment = cut(path, at, slash);
        bool last = slash == path.n;
        if (slice_eq_str(segment, "..")) {
            size_t n = out->n;
            if (n > root)
                n--; /* the slash that ends the segment before */
            while (n > root && out->p[n - 1] != '/')
                n--;
            out->n = n;
        } else if (!slice_eq_str(segment, ".")) {
            buf_put_slice(out, segment);
            if (!last)
                buf_put_str(out, "/");
        }
        at = slash + 1;
    }
}

static void put_merged(struct buf *out, const struct json_uri *base, struct slice path)
{
    struct buf merged;
    buf_init(&merged, 0);
    if (!slice_is_null(base->authority) && base->path.n == 0) {
        buf_put_str(&merged, "/");
    } else {
        size_t n = base->path.n;
        while (n && base->path.p[n - 1] != '/')
            n--;
        buf_put(&merged, base->path.p, n);
    }
    buf_put_slice(&merged, path);
    put_path(out, slice_of(merged.p, merged.n));
    buf_free(&merged);
}

struct slice json_uri_resolve(struct arena *a, struct slice base, struct slice reference)
{
    struct json_uri b = json_uri_split(base), r = json_uri_split(reference);
    bool own = !slice_is_null(r.scheme), host = own || !slice_is_null(r.authority);
    struct slice scheme = own ? r.scheme : b.scheme, authority = host ? r.authority : b.authority, query = r.query;
    struct buf out;
    buf_init(&out, 0);
    if (!slice_is_null(scheme)) {
        buf_put_slice(&out, scheme);
        buf_put_str(&out, ":");
    }
    if (!slice_is_null(authority)) {
        buf_put_str(&out, "//");
        buf_put_slice(&out, authority);
    }
    if (host) {
        put_path(&out, r.path);
    } else if (r.path.n == 0) {
        buf_put_slice(&out, b.path);
        if (slice_is_null(query))
            query = b.query;
    } else if (r.path.p[0] == '/') {
        put_path(&out, r.path);
    } else {
        put_merged(&out, &b, r.path);
    }
    if (!slice_is_null(query)) {
        buf_put_str(&out, "?");
        buf_put_slice(&out, query);
    }
    if (!slice_is_null(r.fragment)) {
        buf_put_str(&out, "#");
        buf_put_slice(&out, r.fragment);
    }
    struct slice result = SLICE_NULL;
    if (buf_error(&out) == ERR_OK)
        result = arena_copy(a, out.n ? slice_of(out.p, out.n) : slice_str(""));
    buf_free(&out);
    return result;
}

static int hex(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

struct slice json_uri_percent_decode(struct arena *a, struct slice s)
{
    uint8_t *out = arena_alloc(a, s.n + 1);
    size_t n = 0;
    if (!out)
        return SLICE_NULL;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '%') {
            out[n++] = s.p[i];
            continue;
        }
        if (i + 2 >= s.n || hex(s.p[i + 1]) < 0 || hex(s.p[i + 2]) < 0)
            return SLICE_NULL;
        out[n++] = (uint8_t)(hex(s.p[i + 1]) * 16 + hex(s.p[i + 2]));
        i += 2;
    }
    return slice_of(out, n);
}
