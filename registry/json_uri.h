/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_JSON_URI_H
#define CASTELLAN_REGISTRY_JSON_URI_H

#include "core/base/arena.h"

/* RFC 3986 references, as far as schemas need them. */
struct json_uri {
    struct slice scheme, authority, path, query, fragment; /* null when absent; path never null */
};

struct json_uri json_uri_split(struct slice text);
/* RFC 3986, 5.2; the result keeps the reference's fragment. SLICE_NULL when memory runs out. */
struct slice json_uri_resolve(struct arena *a, struct slice base, struct slice reference);
struct slice json_uri_without_fragment(struct slice uri);
struct slice json_uri_fragment(struct slice uri);                      /* null when there is none */
struct slice json_uri_percent_decode(struct arena *a, struct slice s); /* SLICE_NULL: bad escape or no memory */

#endif
