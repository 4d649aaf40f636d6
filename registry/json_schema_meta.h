/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_JSON_SCHEMA_META_H
#define CASTELLAN_REGISTRY_JSON_SCHEMA_META_H

#include <stddef.h>

/* The meta-schemas of the drafts, generated from registry/metaschemas; the last row has no uri. */
struct json_schema_meta {
    const char *uri; /* without fragment */
    const unsigned char *text;
    size_t n;
};

extern const struct json_schema_meta json_schema_metas[];

#endif
