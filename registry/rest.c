/* SPDX-License-Identifier: Apache-2.0
 * From a request's target to the handler: decoding, the routes as one table, parameters, bodies.
 * A path may begin with /contexts/.NAME: the context is taken off and qualifies every subject the rest names. */
#include "registry/json_text.h"
#include "registry/rest_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIAS = 1, PUBLIC = 2, SUBJECT_IN_QUERY = 4 };

struct rest_route {
    enum rest_method method;
    const char *pattern; /* '*': one segment */
    rest_handler handler;
    int flags; /* ALIAS: the first '*' is a subject that may be an alias */
};

static const struct rest_route routes[] = {
    {REST_GET, "", get_root, 0},
    {REST_POST, "", post_root, 0},
    {REST_GET, "schemas", get_schemas, 0},
    {REST_GET, "schemas/types", get_types, 0},
    {REST_GET, "schemas/ids/*", get_id, SUBJECT_IN_QUERY},
    {REST_GET, "schemas/ids/*/schema", get_id_schema, SUBJECT_IN_QUERY},
    {REST_GET, "schemas/ids/*/subjects", get_id_subjects, SUBJECT_IN_QUERY},
    {REST_GET, "schemas/ids/*/versions", get_id_versions, SUBJECT_IN_QUERY},
    {REST_GET, "schemas/guids/*", get_guid, 0},
    {REST_GET, "schemas/guids/*/ids", get_guid_ids, 0},
    {REST_GET, "subjects", get_subjects, 0},
    {REST_POST, "subjects/*", post_lookup, ALIAS},
    {REST_DELETE, "subjects/*", delete_subject, ALIAS},
    {REST_GET, "subjects/*/metadata", get_subject_metadata, ALIAS},
    {REST_GET, "subjects/*/versions", get_versions, ALIAS},
    {REST_POST, "subjects/*/versions", post_version, ALIAS},
    {REST_GET, "subjects/*/versions/*", get_version, ALIAS},
    {REST_DELETE, "subjects/*/versions/*", delete_version, ALIAS},
    {REST_GET, "subjects/*/versions/*/schema", get_version_schema, ALIAS},
    {REST_GET, "subjects/*/versions/*/referencedby", get_referenced_by, ALIAS},
    {REST_POST, "subjects/*/versions/*/tags", post_tags, ALIAS},
    {REST_POST, "compatibility/subjects/*/versions", post_compatibility, ALIAS},
    {REST_POST, "compatibility/subjects/*/versions/*", post_compatibility, ALIAS},
    {REST_GET, "config", get_config, 0},
    {REST_PUT, "config", put_config_route, 0},
    {REST_DELETE, "config", delete_config, 0},
    {REST_GET, "config/*", get_config, 0},
    {REST_PUT, "config/*", put_config_route, 0},
    {REST_DELETE, "config/*", delete_config, 0},
    {REST_GET, "mode", get_mode, 0},
    {REST_PUT, "mode", put_mode, 0},
    {REST_DELETE, "mode", delete_mode, 0},
    {REST_GET, "mode/*", get_mode, 0},
    {REST_PUT, "mode/*", put_mode, 0},
    {REST_DELETE, "mode/*", delete_mode, 0},
    {REST_GET, "contexts", get_contexts, 0},
    {REST_DELETE, "contexts/*", delete_context, 0},
    {REST_GET, "associations/subjects/*", get_associations_of_subject, 0},
    {REST_GET, "associations/resources/*", get_associations_of_resource, 0},
    {REST_GET, "associations/resources/*/*", get_associations_of_resource, 0},
    {REST_POST, "associations", post_associations, 0},
    {REST_PUT, "associations/resources/*", put_associations, 0},
    {REST_DELETE, "associations/resources/*", delete_associations, 0},
    {REST_POST, "associations:batchGet", post_associations_get, 0},
    {REST_POST, "associations:batchMutate", post_associations_change, 0},
    {REST_GET, "v1/metadata/id", get_metadata_id, 0},
    {REST_GET, "v1/metadata/version", get_metadata_version, 0},
    {REST_GET, "v1/metadata/deployment", get_metadata_deployment, 0},
    {REST_GET, "health/live", get_live, PUBLIC},
    {REST_GET, "health/ready", get_ready, PUBLIC},
    {REST_GET, "metrics", get_metrics, 0},
    {REST_GET, "openapi", get_openapi, PUBLIC},
    {REST_GET, "openapi.json", get_openapi, PUBLIC},
};

/* --- decoding --- */

void rest_request_init(struct rest_request *r)
{
    memset(r, 0, sizeof *r);
    arena_init(&r->arena, 2 * REST_BODY_MAX);
}

void rest_request_free(struct rest_request *r)
{
    arena_free(&r->arena);
}

static int hex(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decoding into the arena; in queries '+' is a blank. Null when an escape is broken. */
static struct slice decode(struct arena *a, struct slice s, bool query)
{
    uint8_t *out = arena_alloc(a, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; out && i < s.n; i++) {
        if (s.p[i] == '%') {
            int hi = i + 2 < s.n + 0 ? hex(s.p[i + 1]) : -1;
            int lo = i + 2 < s.n + 0 ? hex(s.p[i + 2]) : -1;
            if (hi < 0 || lo < 0)
                return SLICE_NULL;
            out[n++] = (uint8_t)(hi << 4 | lo);
            i += 2;
        } else {
            out[n++] = query && s.p[i] == '+' ? ' ' : s.p[i];
        }
    }
    return out ? slice_of(out, n) : SLICE_NULL;
}

/* Strict UTF-8; subjects and parameters are text. */
static bool is_utf8(struct slice s)
{
    for (size_t i = 0, n; i < s.n; i += n)
        if (!(n = json_text_utf8(slice_of(s.p + i, s.n - i))))
            return false;
    return true;
}

static enum err add_segment(struct rest_request *r, struct slice raw, struct answer *a)
{
    if (r->segment_count == REST_SEGMENTS_MAX)
        return answer_error(a, 404, "HTTP 404 Not Found");
    struct slice s = decode(&r->arena, raw, false);
    if (slice_is_null(s) || !is_utf8(s) || slice_has_nul(s))
        return answer_error(a, 400, "Bad Request: the path is not valid percent-encoded UTF-8");
    r->segments[r->segment_count++] = s;
    return ERR_OK;
}

static enum err add_params(struct rest_request *r, struct slice query, struct answer *a)
{
    while (query.n) {
        if (r->param_count == REST_PARAMS_MAX)
            return answer_error(a, 400, "Bad Request: more than %d query parameters", REST_PARAMS_MAX);
        const uint8_t *end = memchr(query.p, '&', query.n);
        size_t n = end ? (size_t)(end - query.p) : query.n;
        const uint8_t *eq = memchr(query.p, '=', n);
        size_t name_n = eq ? (size_t)(eq - query.p) : n;
        struct rest_param *p = &r->params[r->param_count];
        p->name = decode(&r->arena, slice_of(query.p, name_n), true);
        p->value = eq ? decode(&r->arena, slice_of(eq + 1, n - name_n - 1), true) : slice_str("");
        if (slice_is_null(p->name) || slice_is_null(p->value) || !is_utf8(p->name) || !is_utf8(p->value) ||
            slice_has_nul(p->name) || slice_has_nul(p->value))
            return answer_error(a, 400, "Bad Request: the query is not valid percent-encoded UTF-8");
        if (n)
            r->param_count++;
        query = slice_of(query.p + n + (end != NULL), query.n - n - (end != NULL));
    }
    return ERR_OK;
}

/* /contexts/NAME is about the context; what follows NAME is about things in it. NAME may lack its dot, or come with its
 * delimiters. */
static void take_context(struct rest_request *r)
{
    if (r->segment_count < 2 || !slice_eq_str(r->segments[0], "contexts"))
        return;
    struct slice name = r->segments[1];
    if (name.n && name.p[0] == ':')
        name = subject_parse(name).context;
    const char *dot = name.n && name.p[0] == '.' ? "" : ".";
    struct slice qualified = slice_str(arena_printf(&r->arena, ":%s%.*s:", dot, SLICE_FMT(name)));
    if (r->segment_count == 2 && !subject_is_default_context(subject_parse(qualified).context)) {
        r->segments[1] = qualified;
        return;
    }
    r->context = qualified;
    r->segment_count -= 2;
    memmove(r->segments, r->segments + 2, r->segment_count * sizeof *r->segments);
}

/* "http://host:port/path" is the same request as "/path" (RFC 9112, 3.2.2). */
static struct slice without_authority(struct slice target)
{
    size_t skip = slice_starts(target, slice_str("http://")) ? 7 : slice_starts(target, slice_str("https://")) ? 8 : 0;
    while (skip && skip < target.n && target.p[skip] != '/' && target.p[skip] != '?')
        skip++;
    return slice_of(target.p + skip, target.n - skip);
}

enum err rest_request_target(struct rest_request *r, struct slice target, struct answer *a)
{
    target = without_authority(target);
    const uint8_t *question = memchr(target.p, '?', target.n);
    struct slice path = slice_of(target.p, question ? (size_t)(question - target.p) : target.n);
    enum err e = ERR_OK;
    size_t i = path.n && path.p[0] == '/' ? 1 : 0;
    while (i <= path.n && !e) {
        const uint8_t *end = i < path.n ? memchr(path.p + i, '/', path.n - i) : NULL;
        size_t n = end ? (size_t)(end - path.p) - i : path.n - i;
        if (n || end) /* a slash at the end makes no segment */
            e = add_segment(r, slice_of(path.p + i, n), a);
        i += n + 1;
    }
    if (!e && question)
        e = add_params(r, slice_of(question + 1, target.n - path.n - 1), a);
    if (!e)
        take_context(r);
    return e;
}

/* --- routing --- */

static bool pattern_fits(const char *pattern, const struct rest_request *r)
{
    size_t i = 0;
    while (*pattern) {
        const char *end = strchrnul(pattern, '/');
        size_t n = (size_t)(end - pattern);
        if (i == r->segment_count)
            return false;
        struct slice s = r->segments[i++];
        if (!(n == 1 && *pattern == '*') && !(s.n == n && memcmp(s.p, pattern, n) == 0))
            return false;
        pattern = *end ? end + 1 : end;
    }
    return i == r->segment_count;
}

const struct rest_route *rest_route(const struct rest_request *r, struct answer *a)
{
    unsigned methods = 0;
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        if (!pattern_fits(routes[i].pattern, r))
            continue;
        methods |= 1u << routes[i].method;
        if (routes[i].method == r->method)
            return &routes[i];
    }
    a->allow = methods;
    if (methods && r->method == REST_OPTIONS)
        a->allow |= 1u << REST_OPTIONS;
    else if (methods)
        (void)!answer_error(a, 405, "HTTP 405 Method Not Allowed");
    else
        (void)!answer_error(a, 404, "HTTP 404 Not Found");
    return NULL;
}

const struct rest_route *rest_route_at(size_t i)
{
    return i < sizeof routes / sizeof *routes ? &routes[i] : NULL;
}

size_t rest_route_index(const struct rest_route *route)
{
    return (size_t)(route - routes);
}

enum rest_method rest_route_method(const struct rest_route *route)
{
    return route->method;
}

const char *rest_route_name(const struct rest_route *route)
{
    return route->pattern;
}

bool rest_route_is_public(const struct rest_route *route)
{
    return route->flags & PUBLIC;
}

/* Where the route's subject stands in the path; -1: nowhere. */
static int subject_at(const struct rest_route *route)
{
    if (!strncmp(route->pattern, "subjects/*", 10) || !strcmp(route->pattern, "config/*") ||
        !strcmp(route->pattern, "mode/*") || !strcmp(route->pattern, "contexts/*"))
        return 1;
    return strncmp(route->pattern, "compatibility/subjects/*", 24) ? -1 : 2;
}

void rest_run(const struct rest_route *route, const struct rest_server *server, struct rest_request *r,
              struct answer *a, struct change **change)
{
    struct rest_call c = {server, server->store, server->settings, r, a, NULL, SLICE_NULL};
    int at = subject_at(route);
    if (at >= 0)
        c.subject = rest_qualify(&c, r->segments[at]);
    else if (route->flags & SUBJECT_IN_QUERY && !slice_is_null(rest_param(r, "subject")))
        c.subject = rest_alias(&c, rest_qualify(&c, rest_param(r, "subject")));
    else if (!slice_is_null(r->context))
        c.subject = rest_qualify(&c, slice_str(""));
    if (route->flags & ALIAS)
        c.subject = rest_alias(&c, c.subject);
    enum err e = route->handler(&c);
    if (e && !a->error_code)
        (void)!answer_error(a, 500, "Internal Server Error: %s", err_text(e));
    if (e || a->error_code) {
        rest_change_free(c.change);
        c.change = NULL;
    }
    *change = c.change;
}

void rest_change_free(struct change *c)
{
    if (!c)
        return;
    change_free(c);
    free(c);
}

/* --- what handlers ask --- */

const char *rest_right_name(enum rest_right r)
{
    static const char *const names[] = {NULL,     "DESCRIBE",         "READ",         "WRITE",
                                        "DELETE", "DESCRIBE_CONFIGS", "ALTER_CONFIGS"};
    return names[r];
}

struct slice rest_param(const struct rest_request *r, const char *name)
{
    for (size_t i = 0; i < r->param_count; i++)
        if (slice_eq_str(r->params[i].name, name))
            return r->params[i].value;
    return SLICE_NULL;
}

bool rest_flag(const struct rest_request *r, const char *name)
{
    struct slice v = rest_param(r, name);
    return v.n == 4 && strncasecmp((const char *)v.p, "true", 4) == 0;
}

enum err rest_not_found(struct rest_call *c)
{
    return answer_error(c->answer, 404, "HTTP 404 Not Found");
}

bool rest_parse_int(struct slice s, int32_t *out)
{
    char text[16];
    char *end;
    if (!s.n || s.n >= sizeof text || s.p[0] <= ' ')
        return false;
    memcpy(text, s.p, s.n);
    text[s.n] = 0;
    long v = strtol(text, &end, 10);
    if (*end || v < INT32_MIN || v > INT32_MAX)
        return false;
    *out = (int32_t)v;
    return true;
}

enum err rest_int(struct rest_call *c, const char *name, int32_t fallback, int32_t *out)
{
    struct slice s = rest_param(c->request, name);
    *out = fallback;
    if (!s.n)
        return ERR_OK;
    return rest_parse_int(s, out) ? ERR_OK : rest_not_found(c);
}

enum err rest_page(struct rest_call *c, int limit_default, int limit_max, int32_t *offset, int32_t *limit)
{
    enum err e = rest_int(c, "offset", 0, offset);
    if (!e)
        e = rest_int(c, "limit", -1, limit);
    if (!e && *offset < 0)
        *offset = 0;
    if (!e && (*limit <= 0 || *limit > limit_max))
        *limit = limit_default;
    return e;
}

struct slice rest_qualify(struct rest_call *c, struct slice subject)
{
    struct buf b;
    buf_init(&b, 0);
    if (!slice_is_null(c->request->context))
        subject_put_from_parent(&b, c->request->context, subject);
    else
        subject_put_normal(&b, subject);
    struct slice s = arena_copy(&c->request->arena, buf_slice(&b));
    buf_free(&b);
    return slice_is_null(s) ? slice_str("") : s;
}

struct slice rest_alias(struct rest_call *c, struct slice subject)
{
    const json_t *config = subject.n ? store_config(c->store, subject) : NULL;
    const json_t *alias = json_object_get(config, "alias");
    struct buf b;
    if (!json_is_string(alias) || !json_string_length(alias))
        return subject;
    buf_init(&b, 0);
    subject_put_from_parent(&b, subject, slice_of(json_string_value(alias), json_string_length(alias)));
    struct slice s = arena_copy(&c->request->arena, buf_slice(&b));
    buf_free(&b);
    return slice_is_null(s) ? subject : s;
}

bool rest_allowed(const struct rest_call *c, enum rest_right right, struct slice subject)
{
    return !c->request->allowed || c->request->allowed(c->request->allowed_ctx, right, subject);
}

enum err rest_require(struct rest_call *c, enum rest_right right, struct slice subject)
{
    if (rest_allowed(c, right, subject))
        return ERR_OK;
    c->request->denied_right = right;
    c->request->denied = slice_is_null(subject) ? slice_str("") : arena_copy(&c->request->arena, subject);
    return answer_error(c->answer, 40301, "User is denied operation on Subject: %.*s",
                        SLICE_FMT(slice_is_null(subject) || !subject.n ? slice_str("__GLOBAL") : subject));
}

enum err rest_body(struct rest_call *c, const struct bind_type *type, const char *parameter, json_t **out)
{
    enum err e = bind_body(type, c->request->body, out, c->answer);
    if (!e && !*out)
        e = answer_error(c->answer, 422, "%s must not be null (was null)", parameter);
    return e;
}

enum err rest_version(struct rest_call *c, struct slice text, int32_t *out)
{
    struct slice s = text;
    while (s.n && s.p[0] <= ' ')
        s = slice_of(s.p + 1, s.n - 1);
    while (s.n && s.p[s.n - 1] <= ' ')
        s.n--;
    if (s.n == 6 && strncasecmp((const char *)s.p, "latest", 6) == 0) {
        *out = -1;
        return ERR_OK;
    }
    if (rest_parse_int(s, out) && (*out == -1 || *out >= 1))
        return ERR_OK;
    return answer_error(
        c->answer, API_INVALID_VERSION,
        "The specified version '%.*s' is not a valid version id. Allowed values are between [1, 2^31-1] "
        "and the string \"latest\"",
        SLICE_FMT(text));
}
