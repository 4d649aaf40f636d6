/* SPDX-License-Identifier: Apache-2.0
 * Reading CEL: a recursive descent over the text, one function per level of precedence. Nesting, nodes and length are
 * limited. What real CEL has beyond this (macros, types, timestamps, other functions) answers ERR_UNSUPPORTED with its
 * name, so that a rule is left out for a stated reason instead of being misjudged. */
#include "registry/rules_cel.h"

#include <stdio.h>
#include <stdlib.h>

struct parser {
    struct slice text;
    size_t at;
    struct arena *arena;
    struct json_regex **regexes;
    unsigned nodes, depth;
    enum err error;
    struct reason *why;
};

static struct cel_node *bad(struct parser *p, enum err e, const char *fmt, ...) PRINTF_LIKE(3, 4);
static struct cel_node *bad(struct parser *p, enum err e, const char *fmt, ...)
{
    char text[200];
    va_list ap;
    if (p->error != ERR_OK)
        return NULL;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    p->error = reason_set(p->why, e, "%s at character %zu", text, p->at + 1);
    return NULL;
}

static void skip_blanks(struct parser *p)
{
    while (p->at < p->text.n) {
        uint8_t c = p->text.p[p->at];
        if (c == '/' && p->at + 1 < p->text.n && p->text.p[p->at + 1] == '/') {
            while (p->at < p->text.n && p->text.p[p->at] != '\n')
                p->at++;
        } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
            p->at++;
        } else {
            return;
        }
    }
}

static bool take(struct parser *p, const char *token)
{
    size_t n = strlen(token);
    skip_blanks(p);
    if (p->text.n - p->at < n || memcmp(p->text.p + p->at, token, n) != 0)
        return false;
    p->at += n;
    return true;
}

static bool is_name_start(uint8_t c)
{
    return ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '_';
}

static bool is_name(uint8_t c)
{
    return c == '_' || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
}

static struct slice take_name(struct parser *p)
{
    size_t start;
    skip_blanks(p);
    start = p->at;
    if (start == p->text.n || !(is_name_start(p->text.p[start]) || p->text.p[start] == '_'))
        return SLICE_NULL;
    while (p->at < p->text.n && is_name(p->text.p[p->at]))
        p->at++;
    return slice_of(p->text.p + start, p->at - start);
}

static struct cel_node *new_node(struct parser *p, enum cel_op op, struct cel_node *left, struct cel_node *right)
{
    struct cel_node *n;
    if (p->error != ERR_OK)
        return NULL;
    if (++p->nodes > RULES_NODES_MAX)
        return bad(p, ERR_LIMIT_EXCEEDED, "an expression of more than %d parts", RULES_NODES_MAX);
    if (!(n = arena_alloc(p->arena, sizeof *n)))
        return bad(p, ERR_NO_MEMORY, "out of memory");
    *n = (struct cel_node){.op = op, .left = left, .right = right};
    return n;
}

static struct cel_node *literal(struct parser *p, struct cel_value v)
{
    struct cel_node *n = new_node(p, CEL_LITERAL, NULL, NULL);
    if (n)
        n->literal = v;
    return n;
}

static struct cel_node *parse_number(struct parser *p)
{
    char copy[64];
    char *end;
    size_t start = p->at, n;
    bool whole = true;
    while (p->at < p->text.n) {
        uint8_t c = p->text.p[p->at];
        bool sign = (c == '+' || c == '-') && p->at > start && (p->text.p[p->at - 1] | 32) == 'e';
        if (!((c >= '0' && c <= '9') || c == '.' || (c | 32) == 'e' || sign))
            break;
        whole &= c >= '0' && c <= '9';
        p->at++;
    }
    n = p->at - start;
    if (n >= sizeof copy)
        return bad(p, ERR_LIMIT_EXCEEDED, "a number of too many digits");
    memcpy(copy, p->text.p + start, n);
    copy[n] = '\0';
    if (p->at < p->text.n && is_name(p->text.p[p->at]))
        return bad(p, ERR_UNSUPPORTED, "a number's suffix or base is not supported");
    struct cel_value v = {.kind = whole ? CEL_INT : CEL_DOUBLE};
    if (whole)
        v.u.i = strtoll(copy, &end, 10);
    else
        v.u.d = strtod(copy, &end);
    return *end ? bad(p, ERR_MALFORMED, "a broken number") : literal(p, v);
}

static struct cel_node *parse_string(struct parser *p)
{
    static const char from[] = "\\\"'`?nrtabfv", to[] = "\\\"'`?\n\r\t\a\b\f\v";
    uint8_t quote = p->text.p[p->at++], *out = arena_alloc(p->arena, p->text.n - p->at + 1);
    size_t n = 0;
    if (!out)
        return bad(p, ERR_NO_MEMORY, "out of memory");
    while (p->at < p->text.n && p->text.p[p->at] != quote) {
        uint8_t c = p->text.p[p->at++];
        if (c == '\\') {
            const char *at = p->at < p->text.n && p->text.p[p->at] ? strchr(from, p->text.p[p->at]) : NULL;
            if (!at)
                return bad(p, ERR_UNSUPPORTED, "an escape that is not supported");
            c = (uint8_t)to[at - from];
            p->at++;
        }
        out[n++] = c;
    }
    if (p->at == p->text.n)
        return bad(p, ERR_MALFORMED, "a string without its end");
    p->at++;
    return literal(p, (struct cel_value){.kind = CEL_STRING, .u.s = slice_of(out, n)});
}

static struct cel_node *parse_choice(struct parser *p);

static struct cel_node *parse_list(struct parser *p)
{
    struct cel_node *list = new_node(p, CEL_LIST, NULL, NULL), **tail = list ? &list->items : NULL;
    if (!list || take(p, "]"))
        return list;
    do {
        struct cel_node *item = parse_choice(p);
        if (!item)
            return NULL;
        *tail = item;
        tail = &item->next;
        list->n++;
    } while (take(p, ","));
    return take(p, "]") ? list : bad(p, ERR_MALFORMED, "',' or ']' was expected");
}

static struct cel_node *add_regex(struct parser *p, struct cel_node *n)
{
    enum err e;
    if (!n || n->op != CEL_MATCHES || !n->right)
        return n;
    if (n->right->op != CEL_LITERAL || n->right->literal.kind != CEL_STRING)
        return bad(p, ERR_UNSUPPORTED, "matches() needs a literal pattern");
    if ((e = json_regex_compile(&n->regex, n->right->literal.u.s, JSON_REGEX_LENIENT, p->why)) != ERR_OK) {
        p->error = e;
        return NULL;
    }
    n->regex->next = *p->regexes;
    *p->regexes = n->regex;
    return n;
}

static struct cel_node *parse_call(struct parser *p, struct slice name, struct cel_node *self)
{
    static const struct {
        const char *name;
        enum cel_op op;
        unsigned arguments; /* the one called upon included */
        bool method, function;
    } calls[] = {
        {"size", CEL_SIZE, 1, true, true},
        {"has", CEL_HAS, 1, false, true},
        {"startsWith", CEL_STARTS_WITH, 2, true, false},
        {"endsWith", CEL_ENDS_WITH, 2, true, false},
        {"contains", CEL_CONTAINS, 2, true, false},
        {"matches", CEL_MATCHES, 2, true, true},
    };
    struct cel_node *arguments[2] = {self, NULL};
    unsigned n = self != NULL;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        if (!slice_eq_str(name, calls[i].name) || !(self ? calls[i].method : calls[i].function))
            continue;
        while (n < calls[i].arguments) {
            if (!(arguments[n++] = parse_choice(p)))
                return NULL;
            if (n < calls[i].arguments && !take(p, ","))
                return bad(p, ERR_MALFORMED, "%s() needs another argument", calls[i].name);
        }
        if (!take(p, ")"))
            return bad(p, ERR_MALFORMED, "')' was expected");
        if (calls[i].op == CEL_HAS && arguments[0]->op != CEL_FIELD)
            return bad(p, ERR_MALFORMED, "has() needs a field");
        return add_regex(p, new_node(p, calls[i].op, arguments[0], arguments[1]));
    }
    return bad(p, ERR_UNSUPPORTED, "%.*s() is not supported", SLICE_FMT(name));
}

static struct cel_node *parse_name(struct parser *p)
{
    struct slice name = take_name(p);
    if (take(p, "("))
        return parse_call(p, name, NULL);
    if (slice_eq_str(name, "true") || slice_eq_str(name, "false"))
        return literal(p, (struct cel_value){.kind = CEL_BOOL, .u.b = name.n == 4});
    if (slice_eq_str(name, "null"))
        return literal(p, (struct cel_value){.kind = CEL_NULL});
    if (slice_eq_str(name, "message"))
        return new_node(p, CEL_MESSAGE, NULL, NULL);
    return bad(p, ERR_UNSUPPORTED, "the variable %.*s is not supported", SLICE_FMT(name));
}

static struct cel_node *parse_primary(struct parser *p)
{
    skip_blanks(p);
    if (p->at == p->text.n)
        return bad(p, ERR_MALFORMED, "the expression ends where an operand was expected");
    uint8_t c = p->text.p[p->at];
    if (c == '"' || c == '\'')
        return parse_string(p);
    if (c >= '0' && c <= '9')
        return parse_number(p);
    if (is_name_start(c) || c == '_')
        return parse_name(p);
    if (take(p, "[")) {
        return parse_list(p);
    }
    if (take(p, "(")) {
        struct cel_node *n = parse_choice(p);
        return !n || take(p, ")") ? n : bad(p, ERR_MALFORMED, "')' was expected");
    }
    return bad(p, ERR_MALFORMED, "an operand was expected");
}

static struct cel_node *parse_member(struct parser *p)
{
    struct cel_node *n = parse_primary(p);
    while (n && p->error == ERR_OK) {
        if (take(p, ".")) {
            struct slice name = take_name(p);
            if (slice_is_null(name))
                return bad(p, ERR_MALFORMED, "a field's name was expected");
            if (take(p, "(")) {
                n = parse_call(p, name, n);
            } else if ((n = new_node(p, CEL_FIELD, n, NULL))) {
                n->name = name;
            }
        } else if (take(p, "[")) {
            struct cel_node *index = parse_choice(p);
            if (!index)
                return NULL;
            if (!take(p, "]"))
                return bad(p, ERR_MALFORMED, "']' was expected");
            n = new_node(p, CEL_INDEX, n, index);
        } else {
            break;
        }
    }
    return n;
}

static struct cel_node *parse_unary(struct parser *p)
{
    struct cel_node *n;
    bool not ;
    skip_blanks(p);
    not = p->at < p->text.n && p->text.p[p->at] == '!';
    if (!not &&!(p->at < p->text.n && p->text.p[p->at] == '-'))
        return parse_member(p);
    if (++p->depth > RULES_DEPTH_MAX)
        return bad(p, ERR_LIMIT_EXCEEDED, "an expression nested deeper than %d levels", RULES_DEPTH_MAX);
    p->at++;
    n = parse_unary(p);
    p->depth--;
    return n ? new_node(p, not ? CEL_NOT : CEL_NEGATE, n, NULL) : NULL;
}

struct operator
{
    const char *token;
    enum cel_op op;
};

static struct cel_node *parse_left(struct parser *p, const struct operator* operators, size_t n_operators,
                                   struct cel_node *(*operand)(struct parser *p))
{
    struct cel_node *left = operand(p);
    while (left) {
        size_t i = 0;
        while (i < n_operators && !take(p, operators[i].token))
            i++;
        if (i == n_operators)
            return left;
        struct cel_node *right = operand(p);
        left = right ? new_node(p, operators[i].op, left, right) : NULL;
    }
    return NULL;
}

static struct cel_node *parse_product(struct parser *p)
{
    static const struct operator operators[] = {{"*", CEL_MULTIPLY}, {"/", CEL_DIVIDE}, {"%", CEL_REMAINDER}};
    return parse_left(p, operators, 3, parse_unary);
}

static struct cel_node *parse_sum(struct parser *p)
{
    static const struct operator operators[] = {{"+", CEL_ADD}, {"-", CEL_SUBTRACT}};
    return parse_left(p, operators, 2, parse_product);
}

static bool take_in(struct parser *p)
{
    size_t before = p->at;
    if (take(p, "in") && (p->at == p->text.n || !is_name(p->text.p[p->at])))
        return true;
    p->at = before;
    return false;
}

static struct cel_node *parse_relation(struct parser *p)
{
    static const struct operator operators[] = {{"==", CEL_EQ}, {"!=", CEL_NE}, {"<=", CEL_LE},
                                                {">=", CEL_GE}, {"<", CEL_LT},  {">", CEL_GT}};
    struct cel_node *left = parse_left(p, operators, sizeof operators / sizeof *operators, parse_sum);
    while (left && take_in(p)) {
        struct cel_node *right = parse_sum(p);
        left = right ? new_node(p, CEL_IN, left, right) : NULL;
    }
    return left;
}

static struct cel_node *parse_and(struct parser *p)
{
    static const struct operator operators[] = {{"&&", CEL_AND}};
    return parse_left(p, operators, 1, parse_relation);
}

static struct cel_node *parse_or(struct parser *p)
{
    static const struct operator operators[] = {{"||", CEL_OR}};
    return parse_left(p, operators, 1, parse_and);
}

static struct cel_node *parse_choice(struct parser *p)
{
    struct cel_node *n;
    if (++p->depth > RULES_DEPTH_MAX)
        return bad(p, ERR_LIMIT_EXCEEDED, "an expression nested deeper than %d levels", RULES_DEPTH_MAX);
    n = parse_or(p);
    if (n && take(p, "?")) {
        struct cel_node *yes = parse_choice(p), *no = NULL;
        if (yes && !take(p, ":"))
            return bad(p, ERR_MALFORMED, "':' was expected");
        no = yes ? parse_choice(p) : NULL;
        if ((n = no ? new_node(p, CEL_CHOOSE, n, yes) : NULL))
            n->third = no;
    }
    p->depth--;
    return n;
}

enum err cel_parse(struct cel_node **out, struct slice text, struct arena *a, struct json_regex **regexes,
                   struct reason *why)
{
    struct parser p = {.text = text, .arena = a, .regexes = regexes, .why = why};
    *out = NULL;
    if (text.n > RULES_EXPRESSION_MAX)
        return reason_set(why, ERR_LIMIT_EXCEEDED, "an expression of more than %d bytes", RULES_EXPRESSION_MAX);
    struct cel_node *n = parse_choice(&p);
    /* "guard; expression": where the guard is false, the rule does not apply */
    if (n && take(&p, ";")) {
        struct cel_node *then = parse_choice(&p);
        struct cel_node *yes = literal(&p, (struct cel_value){.kind = CEL_BOOL, .u.b = true});
        if (then && yes && (n = new_node(&p, CEL_CHOOSE, n, then)))
            n->third = yes;
    }
    skip_blanks(&p);
    if (n && p.error == ERR_OK && p.at < text.n)
        bad(&p, ERR_MALFORMED, "something follows the expression");
    if (p.error == ERR_OK)
        *out = n;
    return p.error;
}
