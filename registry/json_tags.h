/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_JSON_TAGS_H
#define CASTELLAN_REGISTRY_JSON_TAGS_H

#include "registry/json_schema_graph.h"
#include "registry/schema_type.h"

/* schema_tagged() and schema_edit_tags() of JSON schemas. */
enum err json_tagged(const struct json_schema *s, schema_entity_visit visit, void *context) MUST_CHECK;
enum err json_edit_tags(const struct json_schema *s, const struct schema_tag_edit *edits, size_t n, bool *missing,
                        struct buf *out, struct reason *why) MUST_CHECK;

/* The reference's order of combined schemas, which paths count by. */
struct shape;
struct shapes;
struct shape_sorting {
    struct shapes *shapes;
    uint32_t *work; /* comparisons left; at 0 everything is equal */
};
/* A sorted copy of the parts in `a`; NULL: no memory. */
struct shape **shape_sorted(const struct shape_sorting *s, struct arena *a, struct shape *const *parts, uint32_t n);

#endif
