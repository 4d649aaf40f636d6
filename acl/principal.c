/* SPDX-License-Identifier: Apache-2.0
 * Principals, and ssl.principal.mapping.rules as Kafka's SslPrincipalMapper applies them: a rule counts when its
 * pattern matches the whole name; then every match in the name is replaced, as Java's replaceAll does (which may
 * replace the empty match at the end, too). Case folding is of ASCII letters only. */
#include "acl/principal.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>

enum fold { FOLD_NONE, FOLD_LOWER, FOLD_UPPER };

struct rule {
    pcre2_code *code; /* NULL: DEFAULT */
    struct buf replacement;
    uint32_t groups;
    enum fold fold;
};

struct principal_rules {
    pcre2_match_context *limits;
    size_t n;
    struct rule rules[PRINCIPAL_RULES_MAX];
};

enum err principal_parse(struct slice text, struct slice *type, struct slice *name, struct reason *why)
{
    const uint8_t *colon = text.n ? memchr(text.p, ':', text.n) : NULL;

    if (!colon || colon == text.p || colon + 1 == text.p + text.n)
        return reason_set(why, ERR_INVALID_REQUEST,
                          "expected a string in format principalType:principalName but got %.*s", SLICE_FMT(text));
    *type = slice_of(text.p, (size_t)(colon - text.p));
    *name = slice_of(colon + 1, text.n - type->n - 1);
    return ERR_OK;
}

void principal_put_user(struct buf *out, struct slice user)
{
    buf_put_str(out, "User:");
    buf_put_slice(out, user);
}

/* --- parsing the rules --- */

static void skip_blanks(struct slice *s)
{
    while (s->n && (s->p[0] == ' ' || s->p[0] == '\t' || s->p[0] == '\n' || s->p[0] == '\r')) {
        s->p++;
        s->n--;
    }
}

static bool skip_text(struct slice *s, const char *text)
{
    if (!slice_starts(*s, slice_str(text)))
        return false;
    s->p += strlen(text);
    s->n -= strlen(text);
    return true;
}

/* Up to the next '/' that no backslash escapes; eats the '/'. */
static bool take_field(struct slice *s, struct slice *field)
{
    for (size_t i = 0; i < s->n; i++) {
        if (s->p[i] == '\\') {
            i++;
        } else if (s->p[i] == '/') {
            *field = slice_of(s->p, i);
            s->p += i + 1;
            s->n -= i + 1;
            return true;
        }
    }
    return false;
}

static enum err check_replacement(struct slice r, struct reason *why)
{
    for (size_t i = 0; i < r.n; i++) {
        bool last = i + 1 == r.n;
        if (r.p[i] == '\\') {
            if (last)
                return reason_set(why, ERR_BAD_CONFIG, "the replacement ends in a backslash");
            i++;
        } else if (r.p[i] == '$' && (last || r.p[i + 1] < '0' || r.p[i + 1] > '9')) {
            return reason_set(why, ERR_BAD_CONFIG, "'$' in a replacement must be followed by a group's number");
        }
    }
    return ERR_OK;
}

static enum err compile(struct rule *rule, struct slice pattern, struct slice replacement, struct reason *why)
{
    int error;
    PCRE2_SIZE at;
    enum err e = check_replacement(replacement, why);

    if (e)
        return e;
    rule->code = pcre2_compile(pattern.p, pattern.n, PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C, &error, &at, NULL);
    if (!rule->code) {
        PCRE2_UCHAR text[120] = {0};
        pcre2_get_error_message(error, text, sizeof text);
        return reason_set(why, ERR_BAD_CONFIG, "pattern %.*s: %s at offset %zu", SLICE_FMT(pattern), (char *)text,
                          (size_t)at);
    }
    pcre2_pattern_info(rule->code, PCRE2_INFO_CAPTURECOUNT, &rule->groups);
    buf_init(&rule->replacement, 0);
    buf_put_slice(&rule->replacement, replacement);
    return buf_error(&rule->replacement);
}

static enum err parse_rule(struct rule *rule, struct slice *rest, struct reason *why)
{
    struct slice whole = *rest, pattern, replacement;
    enum err e;

    if (skip_text(rest, "DEFAULT"))
        return ERR_OK;
    if (!skip_text(rest, "RULE:") || !take_field(rest, &pattern) || !take_field(rest, &replacement))
        return reason_set(why, ERR_BAD_CONFIG,
                          "invalid rule %.*s (RULE:pattern/replacement/[LU] or DEFAULT is expected)", SLICE_FMT(whole));
    e = compile(rule, pattern, replacement, why);
    if (e)
        return e;
    if (skip_text(rest, "L"))
        rule->fold = FOLD_LOWER;
    else if (skip_text(rest, "U"))
        rule->fold = FOLD_UPPER;
    return ERR_OK;
}

static enum err parse_rules(struct principal_rules *r, struct slice rest, struct reason *why)
{
    do {
        enum err e;
        if (r->n == PRINCIPAL_RULES_MAX)
            return reason_set(why, ERR_BAD_CONFIG, "more than %d rules", PRINCIPAL_RULES_MAX);
        skip_blanks(&rest);
        e = parse_rule(&r->rules[r->n++], &rest, why);
        if (e)
            return e;
        skip_blanks(&rest);
    } while (skip_text(&rest, ","));
    if (rest.n)
        return reason_set(why, ERR_BAD_CONFIG, "unexpected text after a rule: %.*s", SLICE_FMT(rest));
    return ERR_OK;
}

enum err principal_rules_parse(struct principal_rules **out, struct slice text, struct reason *why)
{
    struct principal_rules *r = calloc(1, sizeof *r);
    struct reason inner = {0};
    enum err e = ERR_NO_MEMORY;

    *out = NULL;
    if (!r)
        return ERR_NO_MEMORY;
    r->limits = pcre2_match_context_create(NULL);
    if (!r->limits)
        goto out;
    pcre2_set_match_limit(r->limits, PRINCIPAL_MATCH_LIMIT);
    pcre2_set_depth_limit(r->limits, PRINCIPAL_MATCH_LIMIT);
    pcre2_set_heap_limit(r->limits, PRINCIPAL_HEAP_LIMIT_KIB);
    if (text.n > PRINCIPAL_RULES_TEXT_MAX)
        e = reason_set(&inner, ERR_BAD_CONFIG, "longer than %d bytes", PRINCIPAL_RULES_TEXT_MAX);
    else
        e = parse_rules(r, text.n ? text : slice_str("DEFAULT"), &inner);
out:
    if (e) {
        principal_rules_free(r);
        return reason_set(why, e, "ssl.principal.mapping.rules: %s", inner.text[0] ? inner.text : err_text(e));
    }
    *out = r;
    return ERR_OK;
}

void principal_rules_free(struct principal_rules *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->n; i++) {
        pcre2_code_free(r->rules[i].code);
        buf_free(&r->rules[i].replacement);
    }
    pcre2_match_context_free(r->limits);
    free(r);
}

/* --- applying them --- */

struct matching {
    const struct principal_rules *r;
    const struct rule *rule;
    struct slice dn;
    pcre2_match_data *data;
};

/* 1: matched, 0: no, -1: error or limit. */
static int match_at(const struct matching *m, size_t at, uint32_t options)
{
    int n = pcre2_match(m->rule->code, m->dn.p, m->dn.n, at, options, m->data, m->r->limits);

    if (n == PCRE2_ERROR_NOMATCH)
        return 0;
    return n > 0 ? 1 : -1;
}

static void put_group(const struct matching *m, uint32_t group, struct buf *out)
{
    const PCRE2_SIZE *v = pcre2_get_ovector_pointer(m->data);

    if (v[2 * group] != PCRE2_UNSET && v[2 * group + 1] > v[2 * group])
        buf_put(out, m->dn.p + v[2 * group], v[2 * group + 1] - v[2 * group]);
}

/* Java's replacement syntax: \x is x, $12 is group 12 if there is one, else group 1 and a "2"; a group that does not
 * exist stays as text (Kafka escapes it). */
static void put_replacement(const struct matching *m, struct buf *out)
{
    struct slice r = buf_slice(&m->rule->replacement);

    for (size_t i = 0; i < r.n; i++) {
        uint32_t group;
        if (r.p[i] == '\\') {
            buf_u8(out, r.p[++i]);
            continue;
        }
        if (r.p[i] != '$') {
            buf_u8(out, r.p[i]);
            continue;
        }
        group = (uint32_t)(r.p[++i] - '0');
        if (group > m->rule->groups) {
            buf_u8(out, '$');
            buf_u8(out, r.p[i]);
            continue;
        }
        while (i + 1 < r.n && r.p[i + 1] >= '0' && r.p[i + 1] <= '9' &&
               group * 10 + (uint32_t)(r.p[i + 1] - '0') <= m->rule->groups)
            group = group * 10 + (uint32_t)(r.p[++i] - '0');
        put_group(m, group, out);
    }
}

/* False: a limit or an error of the engine. */
static bool replace_all(const struct matching *m, struct buf *out)
{
    size_t copied = 0, at = 0;
    int found = 0;

    while (at <= m->dn.n && (found = match_at(m, at, 0)) > 0) {
        const PCRE2_SIZE *v = pcre2_get_ovector_pointer(m->data);
        size_t from = v[0], to = v[1];
        if (from > copied)
            buf_put(out, m->dn.p + copied, from - copied);
        put_replacement(m, out);
        copied = to;
        at = to;
        if (from == to) /* past an empty match: to the start of the next character */
            do
                at++;
            while (at < m->dn.n && (m->dn.p[at] & 0xc0) == 0x80);
    }
    if (found < 0)
        return false;
    if (copied < m->dn.n)
        buf_put(out, m->dn.p + copied, m->dn.n - copied);
    return true;
}

static void fold_case(uint8_t *p, size_t n, enum fold fold)
{
    for (size_t i = 0; i < n; i++) {
        if (fold == FOLD_LOWER && p[i] >= 'A' && p[i] <= 'Z')
            p[i] = (uint8_t)(p[i] + ('a' - 'A'));
        else if (fold == FOLD_UPPER && p[i] >= 'a' && p[i] <= 'z')
            p[i] = (uint8_t)(p[i] - ('a' - 'A'));
    }
}

/* 1: applied, 0: does not match, -1: cannot say. */
static int apply(const struct matching *m, struct buf *out)
{
    size_t start = out->n;
    int matched;

    if (!m->rule->code) {
        buf_put_slice(out, m->dn);
        return 1;
    }
    matched = match_at(m, 0, PCRE2_ANCHORED | PCRE2_ENDANCHORED);
    if (matched <= 0)
        return matched;
    if (!replace_all(m, out))
        return -1;
    if (!out->error)
        fold_case(out->p + start, out->n - start, m->rule->fold);
    return 1;
}

enum err principal_from_dn(const struct principal_rules *r, struct slice dn, struct buf *out, struct reason *why)
{
    struct matching m = {.r = r, .dn = dn};

    if (dn.n == 0 || dn.n > PRINCIPAL_DN_MAX)
        return reason_set(why, ERR_AUTH, "a certificate's name must have 1 to %d bytes", PRINCIPAL_DN_MAX);
    buf_put_str(out, "User:");
    for (size_t i = 0; i < r->n; i++) {
        size_t start = out->n;
        int applied = -1;
        m.rule = &r->rules[i];
        m.data = m.rule->code ? pcre2_match_data_create_from_pattern(m.rule->code, NULL) : NULL;
        if (m.data || !m.rule->code)
            applied = apply(&m, out);
        pcre2_match_data_free(m.data);
        if (applied < 0)
            return reason_set(why, ERR_AUTH, "principal mapping rule %zu cannot be applied to %.*s", i + 1,
                              SLICE_FMT(dn));
        if (applied > 0 && out->n == start && !buf_error(out))
            return reason_set(why, ERR_AUTH, "principal mapping rule %zu gives an empty name for %.*s", i + 1,
                              SLICE_FMT(dn));
        if (applied > 0)
            return buf_error(out);
    }
    return reason_set(why, ERR_AUTH, "No rules apply to %.*s", SLICE_FMT(dn));
}
