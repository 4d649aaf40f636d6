/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_OPENAPI_H
#define CASTELLAN_REGISTRY_OPENAPI_H

#include <stddef.h>

/* The OpenAPI description of the REST interface: registry/openapi.json as it stands, embedded at build time. A test
 * holds it against the table of routes, so a route cannot come or go without it. */
extern const unsigned char registry_openapi[];
extern const size_t registry_openapi_n;

#endif
