/* SPDX-License-Identifier: Apache-2.0
 * ECMA-262 to pcre2: the pattern is rewritten where the two differ (white space, unit escapes of surrogate pairs, long
 * property names), the rest is options. Matching is bounded by pcre2's match limit, so a hostile pattern answers
 * ERR_LIMIT_EXCEEDED instead of running for ever. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "registry/json_regex.h"

#include "core/base/buf.h"
#include "registry/json_schema.h"

#include <pcre2.h>
#include <stdlib.h>

/* ECMA-262 WhiteSpace and LineTerminator, as the inside of a class */
#define BLANKS "\\t-\\r \\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000\\ufeff"

struct rewrite {
    struct slice in;
    size_t at;
    struct buf *out;
    bool in_class;
    enum json_regex_dialect dialect;
};

static int hex4_at(struct slice s, size_t at)
{
    int v = 0;
    if (at + 4 > s.n)
        return -1;
    for (size_t i = at; i < at + 4; i++) {
        uint8_t c = s.p[i];
        int d = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
        if (d < 0)
            return -1;
        v = v * 16 + d;
    }
    return v;
}

/* \p{Letter}, \p{Script=Greek}, \p{gc=Lu}: pcre2 wants the short or bare name. */
static void rewrite_property(struct rewrite *w)
{
    static const char *const names[][2] = {
        {"Letter", "L"},
        {"Lowercase_Letter", "Ll"},
        {"Uppercase_Letter", "Lu"},
        {"Titlecase_Letter", "Lt"},
        {"Modifier_Letter", "Lm"},
        {"Other_Letter", "Lo"},
        {"Mark", "M"},
        {"Number", "N"},
        {"Decimal_Number", "Nd"},
        {"digit", "Nd"},
        {"Letter_Number", "Nl"},
        {"Other_Number", "No"},
        {"Punctuation", "P"},
        {"punct", "P"},
        {"Symbol", "S"},
        {"Separator", "Z"},
        {"Other", "C"},
        {"Control", "Cc"},
        {"Space_Separator", "Zs"},
        {"Math_Symbol", "Sm"},
        {"Currency_Symbol", "Sc"},
    };
    static const char *const prefixes[] = {"Script=", "sc=", "Script_Extensions=", "scx=", "General_Category=", "gc="};
    size_t close = w->at;
    while (close < w->in.n && w->in.p[close] != '}')
        close++;
    struct slice name = slice_of(w->in.p + w->at + 1, close - w->at - 1);
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        struct slice prefix = slice_str(prefixes[i]);
        if (slice_starts(name, prefix)) {
            name = slice_of(name.p + prefix.n, name.n - prefix.n);
            break;
        }
    }
    buf_put_str(w->out, "{");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (slice_eq_str(name, names[i][0]))
            name = slice_str(names[i][1]);
    buf_put_slice(w->out, name);
    buf_put_str(w->out, "}");
    w->at = close + 1;
}

static bool rewrite_unit(struct rewrite *w)
{
    int high = hex4_at(w->in, w->at), low = -1;
    if (high < 0xd800 || high > 0xdbff)
        return false;
    if (w->at + 6 <= w->in.n && w->in.p[w->at + 4] == '\\' && w->in.p[w->at + 5] == 'u')
        low = hex4_at(w->in, w->at + 6);
    if (low < 0xdc00 || low > 0xdfff)
        return false;
    buf_printf(w->out, "\\u{%x}", 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00));
    w->at += 10;
    return true;
}

static enum err rewrite_escape(struct rewrite *w, struct reason *why)
{
    if (w->at == w->in.n)
        return reason_set(why, ERR_MALFORMED, "a regular expression ends in a backslash");
    uint8_t c = w->in.p[w->at++];
    if (w->dialect == JSON_REGEX_STRICT && c && strchr("aAzZGhHRQEKXeNC", c))
        return reason_set(why, ERR_MALFORMED, "\\%c is no escape of ECMA-262", c);
    if (c == 's' || (c == 'S' && !w->in_class)) {
        buf_put_str(w->out, w->in_class ? BLANKS : c == 's' ? "[" BLANKS "]" : "[^" BLANKS "]");
        return ERR_OK;
    }
    if (c == 'u' && rewrite_unit(w))
        return ERR_OK;
    buf_put_str(w->out, "\\");
    buf_put(w->out, &c, 1);
    if ((c == 'p' || c == 'P') && w->at < w->in.n && w->in.p[w->at] == '{')
        rewrite_property(w);
    return ERR_OK;
}

/* (?: (?= (?! (?<= (?<! (?<name> and the plain group */
static bool group_is_ecma(const struct rewrite *w)
{
    if (w->at + 1 >= w->in.n || w->in.p[w->at] != '?')
        return true;
    return w->in.p[w->at + 1] && strchr(":=!<", w->in.p[w->at + 1]);
}

static enum err rewrite(struct rewrite *w, struct reason *why)
{
    while (w->at < w->in.n) {
        uint8_t c = w->in.p[w->at++];
        if (c == '\\') {
            enum err e = rewrite_escape(w, why);
            if (e != ERR_OK)
                return e;
            continue;
        }
        if (c == '(' && !w->in_class && w->dialect == JSON_REGEX_STRICT && !group_is_ecma(w))
            return reason_set(why, ERR_MALFORMED, "a group that ECMA-262 does not have");
        if (c == '[' && w->in_class)
            buf_put_str(w->out, "\\"); /* no POSIX classes in ECMA-262 */
        else if (c == '[')
            w->in_class = true;
        else if (c == ']')
            w->in_class = false;
        buf_put(w->out, &c, 1);
    }
    return buf_error(w->out);
}

static enum err compile(struct json_regex *r, struct slice pattern, struct reason *why)
{
    uint32_t options = PCRE2_UTF | PCRE2_NO_UTF_CHECK | PCRE2_DOLLAR_ENDONLY | PCRE2_ALT_BSUX |
                       PCRE2_MATCH_UNSET_BACKREF | PCRE2_ALLOW_EMPTY_CLASS | PCRE2_NEVER_BACKSLASH_C;
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    int error;
    PCRE2_SIZE at;
    if (!context)
        return reason_set(why, ERR_NO_MEMORY, "out of memory compiling a regular expression");
    pcre2_set_compile_extra_options(context, PCRE2_EXTRA_ALT_BSUX);
    pcre2_set_newline(context, PCRE2_NEWLINE_ANYCRLF);
    pcre2_set_parens_nest_limit(context, 100);
    r->code = pcre2_compile(pattern.p, pattern.n, options, &error, &at, context);
    pcre2_compile_context_free(context);
    if (!r->code) {
        char text[120] = "";
        pcre2_get_error_message(error, (PCRE2_UCHAR *)text, sizeof text);
        return reason_set(why, ERR_MALFORMED, "invalid regular expression: %s at offset %zu", text, (size_t)at);
    }
    (void)pcre2_jit_compile(r->code, PCRE2_JIT_COMPLETE); /* slower without, not wrong */
    return ERR_OK;
}

enum err json_regex_compile(struct json_regex **out, struct slice text, enum json_regex_dialect dialect,
                            struct reason *why)
{
    struct json_regex *r;
    struct buf b;
    enum err e;
    *out = NULL;
    if (text.n > JSON_SCHEMA_PATTERN_MAX)
        return reason_set(why, ERR_LIMIT_EXCEEDED, "a regular expression of more than %d bytes",
                          JSON_SCHEMA_PATTERN_MAX);
    if (!(r = calloc(1, sizeof *r)))
        return reason_set(why, ERR_NO_MEMORY, "out of memory compiling a regular expression");
    buf_init(&b, 64 * JSON_SCHEMA_PATTERN_MAX);
    struct rewrite w = {.in = text, .out = &b, .dialect = dialect};
    e = rewrite(&w, why);
    if (e == ERR_OK)
        e = compile(r, b.n ? buf_slice(&b) : slice_str(""), why);
    buf_free(&b);
    if (e == ERR_OK)
        *out = r;
    else
        json_regex_free(r);
    return e;
}

void json_regex_free(struct json_regex *r)
{
    if (!r)
        return;
    pcre2_code_free(r->code);
    free(r);
}

static enum err prepare(struct json_regex_scratch *s)
{
    if (s->match_data)
        return ERR_OK;
    s->context = pcre2_match_context_create(NULL);
    s->match_data = pcre2_match_data_create(1, NULL);
    if (!s->context || !s->match_data) {
        json_regex_scratch_free(s);
        return ERR_NO_MEMORY;
    }
    pcre2_set_match_limit(s->context, JSON_SCHEMA_PATTERN_STEPS_MAX);
    pcre2_set_heap_limit(s->context, 10 * 1024);
    return ERR_OK;
}

enum err json_regex_search(const struct json_regex *r, struct slice s, struct json_regex_scratch *scratch, bool *found)
{
    enum err e = prepare(scratch);
    if (e != ERR_OK)
        return e;
    int rc = pcre2_match(r->code, s.p ? s.p : (const uint8_t *)"", s.n, 0, PCRE2_NO_UTF_CHECK, scratch->match_data,
                         scratch->context);
    *found = rc >= 0;
    return rc >= 0 || rc == PCRE2_ERROR_NOMATCH ? ERR_OK : ERR_LIMIT_EXCEEDED;
}

void json_regex_scratch_free(struct json_regex_scratch *scratch)
{
    pcre2_match_data_free(scratch->match_data);
    pcre2_match_context_free(scratch->context);
    *scratch = (struct json_regex_scratch){0};
}
