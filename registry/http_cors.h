/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_HTTP_CORS_H
#define CASTELLAN_REGISTRY_HTTP_CORS_H

#include "core/base/slice.h"
#include <microhttpd.h>

/* Pages of other origins that may use the registry from a browser (Fetch standard, 3.3 "CORS protocol"), by the
 * reference's settings. Off unless origins are named. Strings are borrowed from the settings. */
struct cors {
    const char *origins; /* access.control.allow.origin: origins apart by commas, each may hold one *; "*" alone: all;
                            NULL: off */
    const char *methods; /* access.control.allow.methods; NULL: CORS_METHODS */
    const char *headers; /* access.control.allow.headers; NULL: CORS_HEADERS */
    const char *exposed; /* access.control.expose.headers; may be NULL */
};

#define CORS_METHODS "GET,POST,HEAD"
#define CORS_HEADERS "X-Requested-With,Content-Type,Accept,Origin"

enum { CORS_MAX_AGE_SECONDS = 1800 };

/* May a page of `origin` read our answers? With "*" alone any page may, but its browser sends no credentials along. */
enum cors_verdict { CORS_NO, CORS_ANY, CORS_NAMED };
enum cors_verdict cors_judge(const struct cors *c, const char *origin); /* origin may be NULL */
/* The headers for the page that asks, and, when that is what a browser asks for first (a preflight), what it may do. */
void cors_answer(const struct cors *c, struct MHD_Connection *connection, struct MHD_Response *response);

#endif
