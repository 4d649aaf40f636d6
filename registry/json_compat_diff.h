/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_JSON_COMPAT_DIFF_H
#define CASTELLAN_REGISTRY_JSON_COMPAT_DIFF_H

#include "registry/json_compat_shape.h"

/* Between the files of the comparison only. */
struct diff_list {
    struct json_compat_item *v;
    size_t n, cap;
};

/* Where the comparison stands below the pair at hand: a chain of path segments on the stack. */
struct diff_path {
    const struct diff_path *up;
    struct slice segment;
};

struct diff_pair;

struct diff {
    enum json_compat_policy policy;
    struct shapes shapes[2]; /* of the two schemas; `not` swaps which side is older */
    struct map pairs;        /* (older, newer) -> struct diff_pair */
    struct arena *arena;
    uint64_t work;
    uint32_t depth;
    bool optimistic; /* a pair's differences were used before they were known for sure */
    struct diff_pair *put_off;
    struct json_regex_scratch regex;
    enum err error;
    struct reason *why;
};

/* One comparison of two shapes being made: what is found goes to `out`, below `path`. */
struct diff_at {
    struct diff *diff;
    struct diff_list *out;
    const struct diff_path *path;
    struct shapes *older, *newer;
};

bool diff_spend(struct diff *d, uint64_t steps); /* false: over the limit, `error` is set */
bool diff_fail(struct diff *d, enum err e, const char *what);
void diff_add(const struct diff_at *at, enum json_difference type);
void diff_add_below(const struct diff_at *at, const char *segment, enum json_difference type);
bool diff_list_is_compatible(const struct diff *d, const struct diff_list *list);
void diff_append(const struct diff_at *at, const struct diff_list *list);

/* Compare what two nodes mean; either may be NULL (no schema there). */
void diff_nodes(const struct diff_at *at, const struct json_node *older, const struct json_node *newer);
/* The same, into a list of its own; true when nothing incompatible was found. */
bool diff_nodes_apart(const struct diff_at *at, const struct json_node *older, const struct json_node *newer,
                      struct diff_list *out);
bool diff_shapes_apart(const struct diff_at *at, struct shape *older, struct shape *newer, struct diff_list *out);

void diff_strings(const struct diff_at *at, const struct shape *older, const struct shape *newer);
void diff_numbers(const struct diff_at *at, const struct shape *older, const struct shape *newer);
void diff_enums(const struct diff_at *at, const struct jvalue *older, const struct jvalue *newer);
void diff_objects(const struct diff_at *at, const struct shape *older, const struct shape *newer);
void diff_arrays(const struct diff_at *at, const struct shape *older, const struct shape *newer);
void diff_combined(const struct diff_at *at, struct shape *older, struct shape *newer);

/* A limit given by a count or a decimal: which of the four differences, if any. */
struct diff_change {
    enum json_difference added, removed, increased, decreased;
};
void diff_count(const struct diff_at *at, const char *name, uint64_t older, uint64_t newer, struct diff_change change);

/* `unevaluatedProperties` and `unevaluatedItems` compare alike. */
struct diff_rest {
    enum json_difference added, removed, extended, narrowed;
};
void diff_unevaluated(const struct diff_at *at, const struct json_node *older, const struct json_node *newer,
                      struct diff_rest types);
bool diff_is_empty(struct shapes *s, const struct json_node *n); /* {} or true */
bool diff_is_false(const struct json_node *n);
/* The `default` the reference sees on a shape; NULL: none. */
const struct jvalue *diff_default(const struct shapes *s, const struct shape *shape);

#endif
