/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_JSON_SCHEMA_GRAPH_H
#define CASTELLAN_REGISTRY_JSON_SCHEMA_GRAPH_H

#include "core/base/map.h"
#include "registry/json_number.h"
#include "registry/json_regex.h"
#include "registry/json_schema.h"

/* The inside of a compiled JSON Schema: for the loader, the validator and the comparison, nobody else. */

struct json_node;

/* A schema resource: a document, or the part of one below an `$id`. */
struct json_resource {
    struct slice uri; /* absolute, no fragment */
    const struct jvalue *root;
    enum json_draft draft;
    bool plain;            /* the meta-schema's vocabularies leave out validation keywords */
    bool formats;          /* the meta-schema asserts formats */
    bool recursive_anchor; /* 2019-09 */
    struct json_node *root_node;
    struct json_anchor *anchors;
    struct json_resource *next;
};

struct json_anchor {
    struct slice name;
    const struct jvalue *value;
    struct json_node *node; /* dynamic anchors: compiled when anything is dynamic */
    bool dynamic;
    struct json_anchor *next;
};

enum json_types {
    JSON_TYPE_NULL = 1,
    JSON_TYPE_BOOLEAN = 2,
    JSON_TYPE_INTEGER = 4,
    JSON_TYPE_NUMBER = 8,
    JSON_TYPE_STRING = 16,
    JSON_TYPE_ARRAY = 32,
    JSON_TYPE_OBJECT = 64
};

struct json_nodes {
    struct json_node **v;
    uint32_t n;
};

struct json_names {
    struct slice *v;
    uint32_t n;
};

struct json_limit {
    bool set;
    struct slice text;
    struct json_number number;
};

struct json_number_rules {
    struct json_limit minimum, maximum, exclusive_minimum, exclusive_maximum, multiple_of;
    bool minimum_excluded, maximum_excluded; /* draft 4's boolean form */
};

#define JSON_COUNT_NONE UINT64_MAX

struct json_string_rules {
    uint64_t min, max; /* JSON_COUNT_NONE: not set */
    struct slice pattern_text;
    struct json_regex *pattern;
    struct slice format;
    bool assert_format;
};

struct json_array_rules {
    uint64_t min, max, min_contains, max_contains;
    bool unique;
    bool tuple;               /* `items` or `prefixItems` is a list */
    struct json_nodes prefix; /* that list */
    struct json_node *items;  /* every item, or those after the prefix (`items` of 2020-12) */
    struct json_node *additional;
    struct json_node *contains, *unevaluated;
};

/* A name that `properties` or `required` mentions. */
struct json_property {
    struct slice name;
    struct json_node *node; /* NULL: only required */
    bool required;
};

struct json_pattern_property {
    struct slice text;
    struct json_regex *regex;
    struct json_node *node;
};

struct json_dependency {
    struct slice name;
    struct json_names names; /* or */
    struct json_node *node;
    bool old; /* of `dependencies`, which 2019-09 split in two */
};

struct json_object_rules {
    uint64_t min, max;
    struct json_property *properties;
    uint32_t properties_n, required_n, table_size; /* table: power of two, index + 1 */
    uint32_t *table;
    struct json_pattern_property *patterns;
    uint32_t patterns_n;
    struct json_node *additional, *names, *unevaluated;
    struct json_dependency *dependencies;
    uint32_t dependencies_n;
};

struct json_node {
    const struct jvalue *value;
    struct json_resource *resource;
    uint32_t index;
    uint8_t types;        /* enum json_types; 0: any */
    bool types_list;      /* `type` was an array */
    bool boolean, accept; /* a boolean schema and which */
    bool own_seen;        /* has unevaluatedItems or unevaluatedProperties */
    struct json_node *ref, *dynamic_ref;
    struct slice dynamic_name; /* of dynamic_ref; null: the target is fixed */
    bool recursive;            /* dynamic_ref is a $recursiveRef whose target has $recursiveAnchor */
    struct json_nodes all_of, any_of, one_of;
    struct json_node *not_, *if_, *then_, *else_;
    const struct jvalue *constant, *enumeration;
    struct json_number_rules *number;
    struct json_string_rules *string;
    struct json_array_rules *array;
    struct json_object_rules *object;
};

struct json_schema {
    struct arena arena;
    struct json_node *root;
    struct json_resource *resources;
    struct json_node **nodes;
    uint32_t nodes_n, nodes_cap;
    bool dynamic;               /* some reference depends on the dynamic scope */
    struct json_regex *regexes; /* all of them, to free */
};

/* The loader: documents, resources and references. */
struct json_loader {
    struct json_schema *schema;
    const struct json_schema_options *options;
    struct map resources; /* uri -> struct json_resource */
    struct map owners;    /* address of a subschema's value -> struct json_resource */
    struct map compiled;  /* address of a subschema's value -> struct json_node */
    uint32_t documents, filled;
    enum json_draft draft; /* of documents that do not say: the root's */
    struct slice base;     /* the root's uri: document names are relative to it */
    struct reason *why;
};

enum err json_load_root(struct json_loader *l, struct slice text, const struct jvalue **root) MUST_CHECK;
/* The value a reference names, seen from a resource; `owner` becomes the resource it lies in. */
enum err json_load_reference(struct json_loader *l, struct json_resource *from, struct slice reference,
                             const struct jvalue **out, struct json_resource **owner) MUST_CHECK;
struct json_resource *json_load_owner(struct json_loader *l, const struct jvalue *v);
struct json_anchor *json_resource_anchor(const struct json_resource *r, struct slice name, bool dynamic);

/* The node of a subschema; filled in later by the compiler's loop. */
enum err json_compile_node(struct json_loader *l, const struct jvalue *v, struct json_resource *r,
                           struct json_node **out) MUST_CHECK;
enum err json_compile_fill(struct json_loader *l, struct json_node *n) MUST_CHECK;
enum err json_compile_annotations(struct json_loader *l, struct json_node *n) MUST_CHECK;
enum err json_compile_array(struct json_loader *l, struct json_node *n) MUST_CHECK;
enum err json_compile_object(struct json_loader *l, struct json_node *n) MUST_CHECK;
enum err json_compile_children(struct json_loader *l, struct json_node *n, const char *keyword,
                               struct json_nodes *out) MUST_CHECK;
enum err json_compile_child(struct json_loader *l, struct json_node *n, const char *keyword,
                            struct json_node **out) MUST_CHECK;
enum err json_compile_count(struct json_loader *l, struct json_node *n, const char *keyword, uint64_t *out) MUST_CHECK;
enum err json_compile_regex(struct json_loader *l, struct json_node *n, struct slice text,
                            struct json_regex **out) MUST_CHECK;
enum err json_compile_wrong(struct json_loader *l, const char *keyword, const char *expected,
                            const struct jvalue *found) MUST_CHECK;

const struct json_property *json_property_find(const struct json_object_rules *o, struct slice name);
bool json_schema_known_draft(struct slice uri, enum json_draft *out);

#endif
