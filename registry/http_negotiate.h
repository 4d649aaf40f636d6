/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_HTTP_NEGOTIATE_H
#define CASTELLAN_REGISTRY_HTTP_NEGOTIATE_H

#include "registry/rest.h"

/* What headers and the listeners' addresses say, apart from any connection: pure, for http.c. */

#define HTTP_TYPE_V1    "application/vnd.schemaregistry.v1+json"
#define HTTP_TYPE_PLAIN "application/vnd.schemaregistry+json"
#define HTTP_TYPE_JSON  "application/json"

/* The type to answer with: by the client's quality values (RFC 9110, 12.5.1; of several ranges that fit, the most
 * specific one counts), then by ours (v1, the plain one, JSON). NULL: none of ours is accepted. `accept` may be NULL
 * (anything). */
const char *http_answer_type(const char *accept);

/* 200, or the status for a request of this Content-Type (NULL: none given): 415, 400 when it is no media type. As in
 * the reference it counts whether or not there is a body. */
int http_type_status(const char *type);

/* HEAD is a GET whose body is not sent; what is not known is REST_OTHER. Methods are case-sensitive. */
const char *http_method_name(enum rest_method method);
enum rest_method http_method(const char *name);

/* The value of an Allow header: methods as bits, 1 << REST_GET and so on. "" when there are none. */
enum { HTTP_ALLOW_MAX = 40 };
void http_allow(char out[HTTP_ALLOW_MAX], unsigned methods);

enum { HTTP_HOST_MAX = 256 };

struct http_listener {
    bool tls;
    char host[HTTP_HOST_MAX]; /* no brackets; empty: every address */
    char port[8];             /* 1 to 5 digits */
};

/* "https://localhost:8081", "http://[::1]:0", "http://:8081". ERR_BAD_CONFIG with words. */
enum err http_listener_parse(struct slice text, struct http_listener *out, struct reason *why) MUST_CHECK;

#endif
