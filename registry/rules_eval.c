/* SPDX-License-Identifier: Apache-2.0
 * Evaluating CEL over one message. An operand without a value (a field that is missing, types that do not go together)
 * makes the whole without a value, except that && and || take the answer from the other side where that side decides,
 * as CEL does. Integers overflow into no value. Steps are counted; strings put together live in an arena of the call.
 */
#include "registry/rules_cel.h"

#include "registry/json_number.h"

#include <math.h>

struct eval {
    const struct jvalue *message;
    struct arena arena;
    struct json_regex_scratch regex;
    unsigned steps;
    enum err error; /* ERR_INVALID_RECORD: no value; others stop everything */
    struct reason *why;
};

static bool no_value(struct eval *e, const char *what)
{
    if (e->error == ERR_OK)
        e->error = reason_set(e->why, ERR_INVALID_RECORD, "%s", what);
    return false;
}

static bool halt(struct eval *e, enum err error, const char *what)
{
    e->error = reason_set(e->why, error, "%s", what);
    return false;
}

static bool spend(struct eval *e, unsigned steps)
{
    if (RULES_STEPS_MAX - e->steps < steps)
        return halt(e, ERR_LIMIT_EXCEEDED, "a rule takes more steps than the limit allows");
    e->steps += steps;
    return true;
}

static bool eval(struct eval *e, const struct cel_node *n, struct cel_value *out);

static struct cel_value bool_value(bool b)
{
    return (struct cel_value){.kind = CEL_BOOL, .u.b = b};
}

/* A whole number that fits is an int; every other number a double. */
static struct cel_value of_number(struct slice text)
{
    struct json_number number = json_number_of(text), magnitude = number;
    uint64_t u;
    magnitude.negative = false;
    if (json_number_u64(&magnitude, &u) && u <= INT64_MAX)
        return (struct cel_value){.kind = CEL_INT, .u.i = number.negative ? -(int64_t)u : (int64_t)u};
    return (struct cel_value){.kind = CEL_DOUBLE, .u.d = json_number_double(text)};
}

static struct cel_value of_json(const struct jvalue *v)
{
    switch (v->kind) {
    case J_NULL:
        return (struct cel_value){.kind = CEL_NULL};
    case J_FALSE:
    case J_TRUE:
        return bool_value(v->kind == J_TRUE);
    case J_NUMBER:
        return of_number(v->u.text);
    case J_STRING:
        return (struct cel_value){.kind = CEL_STRING, .u.s = v->u.text};
    case J_ARRAY:
    case J_OBJECT:
        break;
    }
    return (struct cel_value){.kind = CEL_JSON, .u.j = v};
}

static bool is_number(const struct cel_value *v)
{
    return v->kind == CEL_INT || v->kind == CEL_DOUBLE;
}

static double as_double(const struct cel_value *v)
{
    return v->kind == CEL_INT ? (double)v->u.i : v->u.d;
}

/* Order of two values that have one; false when they have none. */
static bool compare(const struct cel_value *a, const struct cel_value *b, int *out)
{
    if (a->kind == CEL_INT && b->kind == CEL_INT) {
        *out = (a->u.i > b->u.i) - (a->u.i < b->u.i);
        return true;
    }
    if (is_number(a) && is_number(b)) {
        double x = as_double(a), y = as_double(b);
        *out = (x > y) - (x < y);
        return !isnan(x) && !isnan(y);
    }
    if (a->kind != b->kind)
        return false;
    if (a->kind == CEL_STRING)
        *out = slice_cmp(a->u.s, b->u.s);
    else if (a->kind == CEL_BOOL)
        *out = a->u.b - b->u.b;
    else
        return false;
    return true;
}

static bool equal(struct eval *e, const struct cel_value *a, const struct cel_value *b, bool *out);

static bool list_equal(struct eval *e, const struct cel_value *json, const struct cel_node *list, bool *out)
{
    const struct cel_node *item = list->items;
    *out = json->u.j->kind == J_ARRAY && json->u.j->n == list->n;
    for (uint32_t i = 0; *out && item; i++, item = item->next) {
        struct cel_value x = of_json(&json->u.j->u.items[i]), y;
        if (!eval(e, item, &y) || !equal(e, &x, &y, out))
            return false;
    }
    return true;
}

static bool equal(struct eval *e, const struct cel_value *a, const struct cel_value *b, bool *out)
{
    int order;
    if (!spend(e, 1))
        return false;
    if (compare(a, b, &order)) {
        *out = order == 0;
        return true;
    }
    *out = false;
    if (a->kind == CEL_JSON && b->kind == CEL_VALUES)
        return list_equal(e, a, b->u.list, out);
    if (a->kind == CEL_VALUES && b->kind == CEL_JSON)
        return list_equal(e, b, a->u.list, out);
    if (a->kind == b->kind)
        *out = a->kind == CEL_NULL || (a->kind == CEL_JSON && json_text_equal(a->u.j, b->u.j));
    return true;
}

static bool eval_field(struct eval *e, const struct cel_node *n, struct cel_value *out)
{
    struct cel_value object;
    const struct jvalue *v;
    if (!eval(e, n->left, &object))
        return false;
    if (object.kind != CEL_JSON || object.u.j->kind != J_OBJECT)
        return no_value(e, "a field of what is no object");
    if (!(v = json_text_get(object.u.j, n->name)))
        return no_value(e, "a field that the message does not have");
    *out = of_json(v);
    return true;
}

static bool eval_has(struct eval *e, const struct cel_node *n, struct cel_value *out)
{
    struct cel_value object;
    const struct jvalue *v = NULL;
    if (!eval(e, n->left->left, &object))
        return false;
    if (object.kind == CEL_JSON && object.u.j->kind == J_OBJECT)
        v = json_text_get(object.u.j, n->left->name);
    *out = bool_value(v && v->kind != J_NULL);
    return true;
}

static bool eval_index(struct eval *e, const struct cel_node *n, struct cel_value *out)
{
    struct cel_value container, index;
    if (!eval(e, n->left, &container) || !eval(e, n->right, &index))
        return false;
    if (container.kind == CEL_JSON && container.u.j->kind == J_ARRAY && index.kind == CEL_INT && index.u.i >= 0 &&
        index.u.i < container.u.j->n) {
        *out = of_json(&container.u.j->u.items[index.u.i]);
        return true;
    }
    if (container.kind == CEL_JSON && container.u.j->kind == J_OBJECT && index.kind == CEL_STRING) {
        const struct jvalue *v = json_text_get(container.u.j, index.u.s);
        if (v) {
            *out = of_json(v);
            return true;
        }
    }
    return no_value(e, "an index that leads nowhere");
}

/* true || no value is true: the side that decides wins. */
static bool eval_logic(struct eval *e, const struct cel_node *n, struct cel_value *out)
{
    bool decisive = n->op == CEL_OR;
    struct cel_value left, right;
    bool has_left = eval(e, n->left, &left) && left.kind == CEL_BOOL;
    if (has_left && left.u.b == decisive) {
        *out = left;
        return true;
    }
    if (!has_left && e->error != ERR_OK && e->error != ERR_INVALID_RECORD)
        return false;
    enum err before = e->error;
    e->error = ERR_OK;
    if (!eval(e, n->right, &right))
        return false;
    if (right.kind != CEL_BOOL)
        return no_value(e, "&& and || need true or false");
    if (!has_left && right.u.b != decisive) {
        e->error = before;
        return no_value(e, "&& and || need true or false");
    }
    *out = right;
    return true;
}

static bool eval_in(struct eval *e, const struct cel_node *n, struct cel_value *out)
{
    struct cel_value needle, hay, item;
    bool found = false;
    if (!eval(e, n->left, &needle) || !eval(e, n->right, &hay))
        return false;
    if (hay.kind == CEL_VALUES) {
        for (const struct cel_node *i = hay.u.list->items; i && !found; i = i->next)
            if (!eval(e, i, &item) || !equal(e, &needle, &item, &found))
                return false;
    } else if (hay.kind == CEL_JSON && hay.u.j->kind == J_ARRAY) {
        for (uint32_t i = 0; i < hay.u.j->n && !found; i++) {
            item = of_json(&hay.u.j->u.items[i]);
            if (!equal(e, &needle, &item, &found))
                return false;
        }
    } else if (hay.kind == CEL_JSON && needle.kind == CEL_STRING) {
        found = json_text_get(hay.u.j, needle.u.s) != NULL;
    } else {
        return no_value(e, "in needs a list or an object");
    }
    *out = bool_value(found);
    return true;
}

static bool add_strings(struct eval *e, struct slice a, struct slice b, struct cel_value *out)
{
    uint8_t *p;
    if (a.n + b.n > RULES_STRING_MAX)
        return halt(e, ERR_LIMIT_EXCEEDED, "a rule puts together too long a string");
    if (!(p = arena_alloc(&e->arena, a.n + b.n + 1)))
        return halt(e, ERR_NO_MEMORY, "out of memory evaluating a rule");
    if (a.n)
        memcpy(p, a.p, a.n);
    if (b.n)
        memcpy(p + a.n, b.p, b.n);
    *out = (struct cel_value){.kind = CEL_STRING, .u.s = slice_of(p, a.n + b.n)};
    return true;
}

static bool int_arithmetic(struct eval *e, enum cel_op op, int64_t a, int64_t b, struct cel_value *out)
{
    bool bad = false;
    int64_t r = 0;
    if (op == CEL_ADD)
        bad = __builtin_add_overflow(a, b, &r);
    else if (op == CEL_SUBTRACT)
        bad = __builtin_sub_overflow(a, b, &r);
    else if (op == CEL_MULTIPLY)
        bad = __builtin_mul_overflow(a, b, &r);
    else if (b == 0 || (a == INT64_MIN && b == -1))
        bad = true;
    else
        r = op == CEL_DIVIDE ? a / b : a % b;
    *out = (struct cel_value){.kind = CEL_INT, .u.i = r};
    return !bad || no_value(e, "integer overflow or division by zero");
}

static bool eval_arithmetic(struct eval *e, const struct cel_node *n, struct cel_value *out)
{
    struct cel_value a, b;
    double x, y;
    if (!eval(e, n->left, &a) || !eval(e, n->right, &b))
        return false;
    if (n->op == CEL_ADD && a.kind == CEL_STRING && b.kind == CEL_STRING)
        return add_strings(e, a.u.s, b.u.s, out);
    if (a.kind == CEL_INT && b.kind == CEL_INT)
        return int_arithmetic(e, n->op, a.u.i, b.u.i, out);
    if (!is_number(&a) || !is_number(&b) || n->op == CEL_REMAINDER)
        return no_value(e, "arithmetic on what are no numbers");
    x = as_double(&a);
    y = as_double(&b);
    *out = (struct cel_value){.kind = CEL_DOUBLE,
                              .u.d = n->op == CEL_ADD        ? x + y
                                     : n->op == CEL_SUBTRACT ? x - y
                                     : n->op == CEL_MULTIPLY ? x * y
                                                             : x / y};
    return true;
}

static bool eval_comparison(struct eval *e, const struct cel_node *n, struct cel_value *out)
{
    struct cel_value a, b;
    bool same;
    int order;
    if (!eval(e, n->left, &a) || !eval(e, n->right, &b))
        return false;
    if (n->op == CEL_EQ || n->op == CEL_NE) {
        if (!equal(e, &a, &b, &same))
            return false;
        *out = bool_value(same == (n->op == CEL_EQ));
        return true;
    }
    if (!compare(&a, &b, &order))
        return no_value(e, "a comparison of values that have no order");
    *out = bool_value(n->op == CEL_LT   ? order < 0
                      : n->op == CEL_LE ? order <= 0
                      : n->op == CEL_GT ? order > 0
                                        : order >= 0);
    return true;
}

static bool eval_size(struct eval *e, const struct cel_node *n, struct cel_value *out)
{
    struct cel_value v;
    int64_t size = 0;
    if (!eval(e, n->left, &v))
        return false;
    if (v.kind == CEL_STRING) {
        for (size_t i = 0; i < v.u.s.n; i++)
            size += (v.u.s.p[i] & 0xc0) != 0x80;
    } else if (v.kind == CEL_JSON) {
        size = v.u.j->n;
    } else if (v.kind == CEL_VALUES) {
        size = v.u.list->n;
    } else {
        return no_value(e, "size() of what has none");
    }
    *out = (struct cel_value){.kind = CEL_INT, .u.i = size};
    return true;
}

static bool eval_string(struct eval *e, const struct cel_node *n, struct cel_value *out)
{
    struct cel_value a, b;
    bool yes = false;
    if (!eval(e, n->left, &a) || !eval(e, n->right, &b))
        return false;
    if (a.kind != CEL_STRING || b.kind != CEL_STRING)
        return no_value(e, "a string function of what is no string");
    struct slice s = a.u.s, part = b.u.s;
    if (n->op == CEL_MATCHES) {
        if (json_regex_search(n->regex, s, &e->regex, &yes) != ERR_OK)
            return halt(e, ERR_LIMIT_EXCEEDED, "a regular expression of a rule takes too many steps");
    } else if (n->op == CEL_STARTS_WITH) {
        yes = slice_starts(s, part);
    } else if (n->op == CEL_ENDS_WITH) {
        yes = s.n >= part.n && (part.n == 0 || memcmp(s.p + s.n - part.n, part.p, part.n) == 0);
    } else {
        yes = part.n == 0 || (s.n && memmem(s.p, s.n, part.p, part.n));
    }
    *out = bool_value(yes);
    return true;
}

static bool eval_negation(struct eval *e, const struct cel_node *n, struct cel_value *out)
{
    if (!eval(e, n->left, out))
        return false;
    if (n->op == CEL_NOT) {
        if (out->kind != CEL_BOOL)
            return no_value(e, "! needs true or false");
        out->u.b = !out->u.b;
        return true;
    }
    if (out->kind == CEL_DOUBLE)
        out->u.d = -out->u.d;
    else if (out->kind != CEL_INT || out->u.i == INT64_MIN)
        return no_value(e, "- needs a number");
    else
        out->u.i = -out->u.i;
    return true;
}

static bool eval_choose(struct eval *e, const struct cel_node *n, struct cel_value *out)
{
    if (!eval(e, n->left, out))
        return false;
    if (out->kind != CEL_BOOL)
        return no_value(e, "a condition that is neither true nor false");
    return eval(e, out->u.b ? n->right : n->third, out);
}

static bool eval(struct eval *e, const struct cel_node *n, struct cel_value *out)
{
    if (!spend(e, 1))
        return false;
    switch (n->op) {
    case CEL_LITERAL:
        *out = n->literal;
        return true;
    case CEL_MESSAGE:
        *out = of_json(e->message);
        return true;
    case CEL_LIST:
        *out = (struct cel_value){.kind = CEL_VALUES, .u.list = n};
        return true;
    case CEL_FIELD:
        return eval_field(e, n, out);
    case CEL_INDEX:
        return eval_index(e, n, out);
    case CEL_HAS:
        return eval_has(e, n, out);
    case CEL_NOT:
    case CEL_NEGATE:
        return eval_negation(e, n, out);
    case CEL_AND:
    case CEL_OR:
        return eval_logic(e, n, out);
    case CEL_CHOOSE:
        return eval_choose(e, n, out);
    case CEL_EQ:
    case CEL_NE:
    case CEL_LT:
    case CEL_LE:
    case CEL_GT:
    case CEL_GE:
        return eval_comparison(e, n, out);
    case CEL_IN:
        return eval_in(e, n, out);
    case CEL_ADD:
    case CEL_SUBTRACT:
    case CEL_MULTIPLY:
    case CEL_DIVIDE:
    case CEL_REMAINDER:
        return eval_arithmetic(e, n, out);
    case CEL_SIZE:
        return eval_size(e, n, out);
    case CEL_STARTS_WITH:
    case CEL_ENDS_WITH:
    case CEL_CONTAINS:
    case CEL_MATCHES:
        return eval_string(e, n, out);
    }
    return no_value(e, "unknown operation");
}

enum err cel_is_true(const struct cel_node *n, const struct jvalue *message, bool *out, struct reason *why)
{
    struct eval e = {.message = message, .why = why};
    struct cel_value v = {0};
    bool ok;
    arena_init(&e.arena, 64 * RULES_STRING_MAX);
    ok = eval(&e, n, &v);
    if (ok && v.kind != CEL_BOOL)
        ok = no_value(&e, "the expression is neither true nor false");
    *out = ok && v.u.b;
    json_regex_scratch_free(&e.regex);
    arena_free(&e.arena);
    return ok ? ERR_OK : e.error;
}
