/* SPDX-License-Identifier: Apache-2.0
 * Which origins are allowed. A pattern is an origin as browsers send it, or has one '*' for any run of characters that
 * holds no '/', so that a pattern for the hosts of a domain stays within it. */
#include "registry/http_cors.h"

#include <stdio.h>

static bool pattern_fits(struct slice pattern, struct slice origin)
{
    const uint8_t *star = pattern.n ? memchr(pattern.p, '*', pattern.n) : NULL;
    if (!star)
        return slice_eq(pattern, origin);
    size_t before = (size_t)(star - pattern.p), after = pattern.n - before - 1;
    if (origin.n < before + after || memcmp(origin.p, pattern.p, before) != 0 ||
        memcmp(origin.p + origin.n - after, star + 1, after) != 0)
        return false;
    return memchr(origin.p + before, '/', origin.n - before - after) == NULL;
}

enum cors_verdict cors_judge(const struct cors *c, const char *origin)
{
    if (!c->origins || !origin || !*origin)
        return CORS_NO;
    enum cors_verdict verdict = CORS_NO;
    struct slice rest = slice_str(c->origins), one;
    while (slice_next_item(&rest, ',', &one)) {
        if (slice_eq_str(one, "*"))
            verdict = CORS_ANY;
        else if (one.n && pattern_fits(one, slice_str(origin)))
            return CORS_NAMED;
    }
    return verdict;
}

static void put(struct MHD_Response *response, const char *name, const char *value)
{
    if (value)
        MHD_add_response_header(response, name, value);
}

void cors_answer(const struct cors *c, struct MHD_Connection *connection, struct MHD_Response *response)
{
    const char *origin = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ORIGIN);
    enum cors_verdict verdict = cors_judge(c, origin);
    char age[16];
    if (c->origins)
        put(response, MHD_HTTP_HEADER_VARY, MHD_HTTP_HEADER_ORIGIN); /* caches must tell pages apart */
    if (verdict == CORS_NO)
        return;
    put(response, MHD_HTTP_HEADER_ACCESS_CONTROL_ALLOW_ORIGIN, verdict == CORS_ANY ? "*" : origin);
    if (verdict == CORS_NAMED)
        put(response, "Access-Control-Allow-Credentials", "true");
    put(response, "Access-Control-Expose-Headers", c->exposed);
    if (!MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Access-Control-Request-Method"))
        return;
    snprintf(age, sizeof age, "%d", CORS_MAX_AGE_SECONDS);
    put(response, "Access-Control-Allow-Methods", c->methods ? c->methods : CORS_METHODS);
    put(response, "Access-Control-Allow-Headers", c->headers ? c->headers : CORS_HEADERS);
    put(response, "Access-Control-Max-Age", age);
}
