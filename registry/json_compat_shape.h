/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_JSON_COMPAT_SHAPE_H
#define CASTELLAN_REGISTRY_JSON_COMPAT_SHAPE_H

#include "registry/json_compat.h"
#include "registry/json_schema_graph.h"

/* A schema as the comparison sees it: one kind per shape. A subschema that says several things at once (a type and an
 * enum, say) is an allOf of shapes; a list of types is an anyOf. That is the reference's view, and its verdicts depend
 * on it. It has two such views: one for drafts 4 to 7 and one for 2019-09 and 2020-12, chosen by the root's draft. */
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

/* The keywords of strings, numbers, arrays and objects: which of its node's a shape speaks for. */
enum shape_keyword {
    SHAPE_MIN_LENGTH = 1 << 0,
    SHAPE_MAX_LENGTH = 1 << 1,
    SHAPE_PATTERN = 1 << 2,
    SHAPE_MINIMUM = 1 << 3,
    SHAPE_MAXIMUM = 1 << 4,
    SHAPE_EXCLUSIVE_MINIMUM = 1 << 5,
    SHAPE_EXCLUSIVE_MAXIMUM = 1 << 6,
    SHAPE_MULTIPLE_OF = 1 << 7,
    SHAPE_ITEMS = 1 << 8,
    SHAPE_PREFIX_ITEMS = 1 << 9,
    SHAPE_MIN_ITEMS = 1 << 10,
    SHAPE_MAX_ITEMS = 1 << 11,
    SHAPE_UNIQUE_ITEMS = 1 << 12,
    SHAPE_CONTAINS = 1 << 13,
    SHAPE_UNEVALUATED_ITEMS = 1 << 14,
    SHAPE_PROPERTIES = 1 << 15,
    SHAPE_REQUIRED = 1 << 16,
    SHAPE_ADDITIONAL_PROPERTIES = 1 << 17,
    SHAPE_PATTERN_PROPERTIES = 1 << 18,
    SHAPE_DEPENDENT_REQUIRED = 1 << 19,
    SHAPE_DEPENDENT_SCHEMAS = 1 << 20,
    SHAPE_MIN_PROPERTIES = 1 << 21,
    SHAPE_MAX_PROPERTIES = 1 << 22,
    SHAPE_PROPERTY_NAMES = 1 << 23,
    SHAPE_UNEVALUATED_PROPERTIES = 1 << 24
};

struct shape {
    enum shape_kind kind;
    const struct json_node *node;
    bool whole;        /* the whole subschema, not one part of it: has its title, default ... */
    bool typed;        /* of `type`, not of keywords alone */
    bool integer;      /* SHAPE_NUMBER */
    bool generated;    /* SHAPE_COMBINED that nobody wrote as allOf, anyOf or oneOf */
    uint32_t keywords; /* enum shape_keyword */
    enum shape_criterion criterion;
    struct shape **parts; /* SHAPE_COMBINED; those of a literal allOf are filled on first use */
    uint32_t n;
    bool filled;
    struct shape **unique; /* the parts without repetitions; filled with them */
    uint32_t unique_n;
    const struct json_nodes *literal; /* those of allOf, anyOf, oneOf */
    const struct json_node *inner;    /* SHAPE_NOT, SHAPE_REFERENCE */
    union {                           /* what the kind's keywords say; NULL: nothing */
        const struct json_string_rules *string;
        const struct json_number_rules *number;
        const struct json_array_rules *array;
        const struct json_object_rules *object;
    } rules;
};

/* The shapes of one schema, made when asked for. */
struct shapes {
    const struct json_schema *schema;
    struct shape **by_node;
    struct arena *arena;
    bool modern; /* 2019-09 or 2020-12 */
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
bool shape_fill(struct shapes *s, struct shape *shape); /* parts of a combined shape, and which repeat */
struct shape_items shape_items_of(const struct shapes *s, const struct shape *shape);

/* Between the files that make shapes. */
struct shape *shape_new(struct shapes *s, enum shape_kind kind, const struct json_node *n);
struct shape *shape_of_type(struct shapes *s, unsigned type, const struct json_node *n); /* type: a bit's number */
struct shape *shape_combine(struct shapes *s, const struct json_node *n, enum shape_criterion c, struct shape **parts,
                            uint32_t count);
int shape_type_number(struct slice name); /* -1: no type */
/* Give a shape the rules of its keywords: the node's own, when it has all that are `written`. False: out of memory. */
bool shape_give_rules(struct shapes *s, struct shape *shape, uint32_t written);
bool shape_part_has(const struct shape *part, struct slice keyword);
struct shape *shape_build_modern(struct shapes *s, const struct json_node *n);

#endif
