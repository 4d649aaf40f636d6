/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_JSON_COMPAT_SHAPE_H
#define CASTELLAN_REGISTRY_JSON_COMPAT_SHAPE_H

#include "registry/json_compat.h"
#include "registry/json_schema_graph.h"

/* A schema as the comparison sees it: one kind per shape. A subschema that says several things at once (a type and an
 * enum, say) is an allOf of shapes; a list of types is an anyOf. That is the reference's view, and its verdicts depend
 * on it. */
enum shape_kind {
    SHAPE_EMPTY, /* {} or true */
    SHAPE_FALSE,
    SHAPE_NULL,
    SHAPE_BOOLEAN,
    SHAPE_STRING,
    SHAPE_NUMBER,
    SHAPE_CONST,
    SHAPE_ENUM,
    SHAPE_COMBINED,
    SHAPE_NOT,
    SHAPE_CONDITIONAL,
    SHAPE_OBJECT,
    SHAPE_ARRAY,
    SHAPE_REFERENCE
};

enum shape_criterion { SHAPE_ALL_OF, SHAPE_ANY_OF, SHAPE_ONE_OF };

struct shape {
    enum shape_kind kind;
    const struct json_node *node;
    bool whole;   /* the whole subschema, not one part of it: has its title, default ... */
    bool integer; /* SHAPE_NUMBER */
    enum shape_criterion criterion;
    struct shape **parts; /* SHAPE_COMBINED; of a literal allOf the parts are filled on first use */
    uint32_t n;
    const struct json_nodes *literal; /* those of allOf, anyOf, oneOf */
    const struct json_node *inner;    /* SHAPE_NOT, SHAPE_REFERENCE */
};

/* The shapes of one schema, made when asked for. */
struct shapes {
    const struct json_schema *schema;
    struct shape **by_node;
    struct arena *arena;
};

struct shape_items {
    const struct json_node *every; /* schema of all items */
    struct json_nodes prefix;
    bool open;                          /* further items are permitted */
    const struct json_node *additional; /* their schema, if any */
    const struct json_node *unevaluated;
    uint64_t min_contains, max_contains;
};

bool shapes_init(struct shapes *s, const struct json_schema *schema, struct arena *a);
/* The shape of a node, references followed; NULL: out of memory, or NULL given. */
struct shape *shape_of(struct shapes *s, const struct json_node *n);
struct shape *shape_unfollowed(struct shapes *s, const struct json_node *n);
bool shape_fill(struct shapes *s, struct shape *shape); /* parts of a literal allOf, anyOf, oneOf; duplicates dropped */
struct shape_items shape_items_of(const struct json_node *n);

#endif
