/* SPDX-License-Identifier: Apache-2.0
 * The conditions of a rule set, ready to be asked about messages. Only `domainRules` speak about the decoded message;
 * migration and encoding rules are for clients. The set owns a copy of the text it was made of. */
#include "registry/rules.h"

#include "registry/rules_cel.h"

#include <stdlib.h>

struct condition {
    struct slice name;
    enum rules_action action;
    struct cel_node *expression;
};

struct skipped {
    struct slice name;
    const char *why;
};

struct rules {
    struct arena arena;
    struct condition *conditions;
    struct skipped *skipped;
    size_t n, skipped_n;
    struct json_regex *regexes;
};

static struct slice string_member(const struct jvalue *rule, const char *name)
{
    const struct jvalue *v = json_text_get_str(rule, name);
    return v && v->kind == J_STRING ? v->u.text : SLICE_NULL;
}

static bool covers(const struct jvalue *rule, enum rules_side side)
{
    struct slice mode = string_member(rule, "mode");
    /* a rule without a mode is WRITEREAD */
    return slice_is_null(mode) || slice_eq_str(mode, "WRITEREAD") ||
           slice_eq_str(mode, side == RULES_WRITE ? "WRITE" : "READ");
}

/* onFailure may be a pair "write,read". */
static enum rules_action action_of(const struct jvalue *rule, enum rules_side side)
{
    struct slice s = string_member(rule, "onFailure"), part = s;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == ',')
            part = side == RULES_WRITE ? slice_of(s.p, i) : slice_of(s.p + i + 1, s.n - i - 1);
    if (part.n == 4 && strncasecmp((const char *)part.p, "none", 4) == 0)
        return RULES_ACTION_NONE;
    return part.n == 3 && strncasecmp((const char *)part.p, "dlq", 3) == 0 ? RULES_ACTION_DLQ : RULES_ACTION_ERROR;
}

static enum err add_condition(struct rules *r, const struct jvalue *rule, enum rules_side side, struct reason *why)
{
    struct slice name = string_member(rule, "name"), expr = string_member(rule, "expr");
    struct reason inner = {0};
    struct cel_node *expression = NULL;
    enum err e = ERR_OK;
    if (!slice_eq_str(string_member(rule, "type"), "CEL"))
        e = reason_set(&inner, ERR_UNSUPPORTED, "rules of type '%.*s' are for clients",
                       SLICE_FMT(string_member(rule, "type")));
    else if (slice_is_null(expr))
        e = reason_set(&inner, ERR_MALFORMED, "no expression");
    else
        e = cel_parse(&expression, expr, &r->arena, &r->regexes, &inner);
    if (e == ERR_NO_MEMORY)
        return reason_set(why, e, "out of memory reading a rule set");
    if (e == ERR_OK) {
        r->conditions[r->n++] =
            (struct condition){.name = name, .action = action_of(rule, side), .expression = expression};
        return ERR_OK;
    }
    char *text = arena_strdup(&r->arena, slice_str(inner.text));
    if (!text)
        return reason_set(why, ERR_NO_MEMORY, "out of memory reading a rule set");
    r->skipped[r->skipped_n++] = (struct skipped){.name = name, .why = text};
    return ERR_OK;
}

static enum err read_rules(struct rules *r, const struct jvalue *list, enum rules_side side, struct reason *why)
{
    if (list->n > RULES_MAX)
        return reason_set(why, ERR_LIMIT_EXCEEDED, "a rule set of more than %d rules", RULES_MAX);
    r->conditions = arena_array(&r->arena, list->n + 1, sizeof *r->conditions);
    r->skipped = arena_array(&r->arena, list->n + 1, sizeof *r->skipped);
    if (!r->conditions || !r->skipped)
        return reason_set(why, ERR_NO_MEMORY, "out of memory reading a rule set");
    for (uint32_t i = 0; i < list->n; i++) {
        const struct jvalue *rule = &list->u.items[i], *disabled = json_text_get_str(rule, "disabled");
        enum err e;
        if (rule->kind != J_OBJECT)
            return reason_set(why, ERR_MALFORMED, "a rule is an object, not %s", json_text_kind_name(rule->kind));
        if (!slice_eq_str(string_member(rule, "kind"), "CONDITION") || (disabled && disabled->kind == J_TRUE) ||
            !covers(rule, side))
            continue;
        if ((e = add_condition(r, rule, side, why)) != ERR_OK)
            return e;
    }
    return ERR_OK;
}

enum err rules_compile(struct rules **out, struct slice rule_set, enum rules_side side, struct reason *why)
{
    struct rules *r = calloc(1, sizeof *r);
    const struct jvalue *list;
    struct jvalue *root;
    struct slice text;
    enum err e;
    *out = NULL;
    if (!r)
        return reason_set(why, ERR_NO_MEMORY, "out of memory reading a rule set");
    arena_init(&r->arena, 0);
    text = arena_copy(&r->arena, rule_set);
    e = json_text_parse(&root, text, &r->arena, why);
    if (e == ERR_OK && root->kind != J_OBJECT && root->kind != J_NULL)
        e = reason_set(why, ERR_MALFORMED, "a rule set is an object, not %s", json_text_kind_name(root->kind));
    list = e == ERR_OK ? json_text_get_str(root, "domainRules") : NULL;
    if (list && list->kind == J_ARRAY)
        e = read_rules(r, list, side, why);
    else if (list && list->kind != J_NULL)
        e = reason_set(why, ERR_MALFORMED, "domainRules is a list, not %s", json_text_kind_name(list->kind));
    if (e != ERR_OK) {
        rules_free(r);
        return e;
    }
    *out = r;
    return ERR_OK;
}

void rules_free(struct rules *r)
{
    if (!r)
        return;
    while (r->regexes) {
        struct json_regex *next = r->regexes->next;
        json_regex_free(r->regexes);
        r->regexes = next;
    }
    arena_free(&r->arena);
    free(r);
}

size_t rules_count(const struct rules *r)
{
    return r->n;
}

size_t rules_skipped(const struct rules *r)
{
    return r->skipped_n;
}

struct slice rules_skipped_name(const struct rules *r, size_t i)
{
    return r->skipped[i].name;
}

const char *rules_skipped_why(const struct rules *r, size_t i)
{
    return r->skipped[i].why;
}

enum err rules_check(const struct rules *r, const struct jvalue *message, struct rules_verdict *out, struct reason *why)
{
    *out = (struct rules_verdict){0};
    for (size_t i = 0; i < r->n; i++) {
        const struct condition *c = &r->conditions[i];
        struct reason inner = {0};
        bool holds = false;
        if (c->action == RULES_ACTION_NONE)
            continue;
        enum err e = cel_is_true(c->expression, message, &holds, &inner);
        if (e != ERR_OK && e != ERR_INVALID_RECORD)
            return reason_set(why, e, "rule %.*s: %s", SLICE_FMT(c->name), inner.text);
        if (holds)
            continue;
        *out = (struct rules_verdict){.broken = true, .rule = c->name, .action = c->action};
        (void)reason_set(why, ERR_INVALID_RECORD, "rule %.*s does not hold%s%s", SLICE_FMT(c->name),
                         inner.text[0] ? ": " : "", inner.text);
        return ERR_OK;
    }
    return ERR_OK;
}
