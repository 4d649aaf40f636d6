/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_RULES_CEL_H
#define CASTELLAN_REGISTRY_RULES_CEL_H

#include "registry/json_regex.h"
#include "registry/rules.h"

/* The part of CEL that rules.c uses: an expression as a tree, and its evaluation over one message. */
enum cel_op {
    CEL_LITERAL,
    CEL_MESSAGE, /* the variable `message` */
    CEL_FIELD,   /* left.name */
    CEL_INDEX,   /* left[right] */
    CEL_HAS,     /* has(left) where left is a CEL_FIELD */
    CEL_LIST,
    CEL_NOT,
    CEL_NEGATE,
    CEL_AND,
    CEL_OR,
    CEL_CHOOSE, /* left ? right : third */
    CEL_EQ,
    CEL_NE,
    CEL_LT,
    CEL_LE,
    CEL_GT,
    CEL_GE,
    CEL_IN,
    CEL_ADD,
    CEL_SUBTRACT,
    CEL_MULTIPLY,
    CEL_DIVIDE,
    CEL_REMAINDER,
    CEL_SIZE,
    CEL_STARTS_WITH,
    CEL_ENDS_WITH,
    CEL_CONTAINS,
    CEL_MATCHES
};

enum cel_kind {
    CEL_NULL,
    CEL_BOOL,
    CEL_INT,
    CEL_DOUBLE,
    CEL_STRING,
    CEL_JSON /* a list or map of the message */,
    CEL_VALUES /* a list of the expression */
};

struct cel_value {
    enum cel_kind kind;
    union {
        bool b;
        int64_t i;
        double d;
        struct slice s;
        const struct jvalue *j;
        const struct cel_node *list;
    } u;
};

struct cel_node {
    enum cel_op op;
    struct cel_value literal;
    struct slice name;
    struct cel_node *left, *right, *third;
    struct cel_node *items, *next; /* CEL_LIST: first item; chained */
    uint32_t n;
    struct json_regex *regex; /* CEL_MATCHES with a literal pattern; owned by whoever parsed */
};

/* ERR_UNSUPPORTED: not in this part of CEL; ERR_MALFORMED: not CEL. `regexes` collects what must be freed. The tree
 * lives in `a` and points into `text`. */
enum err cel_parse(struct cel_node **out, struct slice text, struct arena *a, struct json_regex **regexes,
                   struct reason *why) MUST_CHECK;
/* ERR_OK and *out; ERR_INVALID_RECORD: no value (missing field, wrong types), ERR_LIMIT_EXCEEDED, ERR_NO_MEMORY. */
enum err cel_is_true(const struct cel_node *n, const struct jvalue *message, bool *out, struct reason *why) MUST_CHECK;

#endif
