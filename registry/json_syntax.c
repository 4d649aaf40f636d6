/* SPDX-License-Identifier: Apache-2.0
 * Walking a JSON text to say what is wrong with it, as Jackson 2 words it. Only the first fault counts. The walk keeps
 * a stack of what is open, at most as deep as Jackson allows; it allocates nothing else and stops at the first fault,
 * so its cost is linear. The text itself is decoded elsewhere: this runs only for texts that were refused there. */
#include "registry/json_syntax.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { DEPTH_MAX = 1000, TOKEN_MAX = 256 };

#define VALID_TOKENS "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"
#define SOURCE       "[Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: %u, column: %u]"

struct open {
    uint32_t line, column;
    char kind; /* '{' or '[' */
};

struct walk {
    const uint8_t *p, *end, *line_start;
    uint32_t line;
    struct open open[DEPTH_MAX];
    size_t depth;
    struct buf *out;
    bool wrong;
};

/* Everything that says something goes through here; the first fault stays. */
static bool wrong(struct walk *w, const char *fmt, ...) PRINTF_LIKE(2, 3);
static bool wrong(struct walk *w, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (!w->wrong)
        buf_put_str(w->out, text);
    w->wrong = true;
    return false;
}

/* Bytes of the UTF-8 character at p: 0 when its start is none, -n when byte n is none. */
static int utf8_length(const uint8_t *p, const uint8_t *end)
{
    int n = *p < 0x80 ? 1 : *p >= 0xc0 && *p < 0xe0 ? 2 : (*p & 0xf0) == 0xe0 ? 3 : (*p & 0xf8) == 0xf0 ? 4 : 0;
    for (int i = 1; i < n; i++)
        if (p + i >= end || (p[i] & 0xc0) != 0x80)
            return -i;
    return n;
}

static uint32_t utf8_value(const uint8_t *p, int n)
{
    uint32_t v = n == 1 ? *p : n == 2 ? *p & 0x1f : n == 3 ? *p & 0x0f : *p & 0x07;
    for (int i = 1; i < n; i++)
        v = v << 6 | (p[i] & 0x3f);
    return v;
}

static bool check_utf8(struct walk *w, int *n)
{
    *n = utf8_length(w->p, w->end);
    if (*n == 0)
        return wrong(w, "Invalid UTF-8 start byte 0x%x", *w->p);
    if (*n < 0)
        return w->p - *n < w->end ? wrong(w, "Invalid UTF-8 middle byte 0x%x", w->p[-*n])
                                  : wrong(w, "Unexpected end-of-input in VALUE_STRING");
    return true;
}

/* "Unexpected character ('x' (code 120))" and what was expected. */
static bool unexpected(struct walk *w, const char *join, const char *expected)
{
    int n = 1;
    if (!check_utf8(w, &n))
        return false;
    uint32_t c = utf8_value(w->p, n);
    if (c < ' ')
        return wrong(w, "Unexpected character ((CTRL-CHAR, code %u))%s%s", c, join, expected);
    if (c > 255)
        return wrong(w, "Unexpected character ('%.*s' (code %u / 0x%x))%s%s", n, (const char *)w->p, c, c, join,
                     expected);
    return wrong(w, "Unexpected character ('%.*s' (code %u))%s%s", n, (const char *)w->p, c, join, expected);
}

/* To the next thing that is no blank; false at a control character. */
static bool skip_blanks(struct walk *w)
{
    for (; w->p < w->end && *w->p <= ' '; w->p++) {
        if (*w->p == '\n') {
            w->line++;
            w->line_start = w->p + 1;
        } else if (*w->p != ' ' && *w->p != '\r' && *w->p != '\t') {
            return wrong(
                w,
                "Illegal character ((CTRL-CHAR, code %u)): only regular white space (\\r, \\n, \\t) is allowed "
                "between tokens",
                *w->p);
        }
    }
    if (w->p < w->end && *w->p == '/')
        return unexpected(w, ": ",
                          "maybe a (non-standard) comment? (not recognized as one since Feature 'ALLOW_COMMENTS' not "
                          "enabled for parser)");
    return true;
}

static const char *kind_name(char kind)
{
    return kind == '{' ? "Object" : "Array";
}

static bool walk_escape(struct walk *w)
{
    if (w->p == w->end)
        return wrong(w, "Unexpected end-of-input in character escape sequence");
    if (*w->p == 'u') {
        w->p++;
        for (int i = 0; i < 4; i++, w->p++) {
            if (w->p == w->end)
                return wrong(w, "Unexpected end-of-input in character escape sequence");
            if (!isxdigit(*w->p))
                return unexpected(w, ": ", "expected a hex-digit for character escape sequence");
        }
        return true;
    }
    if (!strchr("\"\\/bfnrt", *w->p) || !*w->p) {
        int n;
        return check_utf8(w, &n) &&
               wrong(w, "Unrecognized character escape '%.*s' (code %u)", n, (const char *)w->p, utf8_value(w->p, n));
    }
    w->p++;
    return true;
}

static bool walk_string(struct walk *w, bool name)
{
    for (w->p++; w->p < w->end && *w->p != '"';) {
        int n;
        if (*w->p == '\\') {
            w->p++;
            if (!walk_escape(w))
                return false;
        } else if (*w->p < ' ') {
            return wrong(w,
                         "Illegal unquoted character ((CTRL-CHAR, code %u)): has to be escaped using backslash to be "
                         "included in %s",
                         *w->p, name ? "name" : "string value");
        } else if (!check_utf8(w, &n)) {
            return false;
        } else {
            w->p += n;
        }
    }
    if (w->p == w->end)
        return wrong(w, "Unexpected end-of-input in %s", name ? "field name" : "VALUE_STRING");
    w->p++;
    return true;
}

static bool at_digit(const struct walk *w)
{
    return w->p < w->end && isdigit(*w->p);
}

static bool walk_digits(struct walk *w, const char *missing)
{
    if (w->p == w->end)
        return wrong(w, "Unexpected end-of-input in a Number value");
    if (!at_digit(w))
        return unexpected(w, " in numeric value: ", missing);
    while (at_digit(w))
        w->p++;
    return true;
}

static bool walk_number(struct walk *w)
{
    if (*w->p == '-')
        w->p++;
    if (at_digit(w) && *w->p == '0' && w->p + 1 < w->end && isdigit(w->p[1]))
        return wrong(w, "Invalid numeric value: Leading zeroes not allowed");
    if (!walk_digits(w, "expected digit (0-9) to follow minus sign, for valid numeric value"))
        return false;
    if (w->p < w->end && *w->p == '.') {
        w->p++;
        if (!walk_digits(w, "Decimal point not followed by a digit"))
            return false;
    }
    if (w->p < w->end && (*w->p | 0x20) == 'e') {
        w->p++;
        if (w->p < w->end && (*w->p == '+' || *w->p == '-'))
            w->p++;
        if (!walk_digits(w, "Exponent indicator not followed by a digit"))
            return false;
    }
    if (!w->depth && w->p<w->end && * w->p> ' ')
        return unexpected(w, ": ", "Expected space separating root-level values");
    return true;
}

static bool is_token(uint8_t c)
{
    return isalnum(c) || c == '_' || c == '$' || c >= 0x80;
}

static bool walk_token(struct walk *w)
{
    static const char *const words[] = {"true", "false", "null"};
    size_t n = 0;
    while (w->p + n < w->end && n < TOKEN_MAX && is_token(w->p[n]))
        n++;
    for (size_t i = 0; i < 3; i++)
        if (n == strlen(words[i]) && !memcmp(w->p, words[i], n)) {
            w->p += n;
            return true;
        }
    if ((n == 3 && !memcmp(w->p, "NaN", 3)) || (n == 8 && !memcmp(w->p, "Infinity", 8)))
        return wrong(w, "Non-standard token '%.*s': enable `JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS` to allow",
                     (int)n, (const char *)w->p);
    return wrong(w, "Unrecognized token '%.*s': was expecting " VALID_TOKENS, (int)n, (const char *)w->p);
}

static bool walk_close(struct walk *w)
{
    char close = (char)*w->p, kind = close == '}' ? '{' : '[';
    if (!w->depth)
        return wrong(w, "Unexpected close marker '%c': no open %s to close", close, kind_name(kind));
    const struct open *o = &w->open[w->depth - 1];
    if (o->kind != kind)
        return wrong(w, "Unexpected close marker '%c': expected '%c' (for %s starting at " SOURCE ")", close,
                     o->kind == '{' ? '}' : ']', kind_name(o->kind), o->line, o->column);
    w->depth--;
    w->p++;
    return true;
}

static bool walk_open(struct walk *w)
{
    if (w->depth == DEPTH_MAX)
        return wrong(w,
                     "Document nesting depth (%d) exceeds the maximum allowed (%d, from "
                     "`StreamReadConstraints.getMaxNestingDepth()`)",
                     DEPTH_MAX + 1, DEPTH_MAX);
    w->open[w->depth++] = (struct open){w->line, (uint32_t)(w->p - w->line_start) + 1, (char)*w->p};
    w->p++;
    return true;
}

/* What begins at p, up to its first inner value; blanks are behind us. */
static bool walk_value(struct walk *w)
{
    switch (*w->p) {
    case '"':
        return walk_string(w, false);
    case '{':
    case '[':
        return walk_open(w);
    case ']':
    case '}':
        return w->depth ? unexpected(w, ": ", "expected a value") : walk_close(w);
    case ',':
        return unexpected(w, ": ", "expected a value");
    case '+':
        return unexpected(w, " in numeric value: ",
                          "JSON spec does not allow numbers to have plus signs: enable "
                          "`JsonReadFeature.ALLOW_LEADING_PLUS_SIGN_FOR_NUMBERS` to allow");
    default:
        if (*w->p == '-' || isdigit(*w->p))
            return walk_number(w);
        if (is_token(*w->p))
            return walk_token(w);
        return unexpected(w, ": ", "expected a valid value " VALID_TOKENS);
    }
}

static bool within(struct walk *w)
{
    if (!skip_blanks(w))
        return false;
    if (w->p == w->end)
        return wrong(w, "Unexpected end-of-input within/between %s entries", kind_name(w->open[w->depth - 1].kind));
    return true;
}

/* A member's name and colon, then its value; in an array just the value. */
static bool walk_entry(struct walk *w)
{
    if (w->open[w->depth - 1].kind == '{') {
        if (*w->p != '"')
            return unexpected(w, ": ", "was expecting double-quote to start field name");
        if (!walk_string(w, true) || !within(w))
            return false;
        if (*w->p != ':')
            return unexpected(w, ": ", "was expecting a colon to separate field name and value");
        w->p++;
        if (!within(w))
            return false;
    }
    return walk_value(w);
}

/* Inside something open: its end, or its next entry. */
static bool walk_inside(struct walk *w, bool first)
{
    const struct open o = w->open[w->depth - 1];
    if (!skip_blanks(w))
        return false;
    if (w->p == w->end)
        return wrong(w, "Unexpected end-of-input: expected close marker for %s (start marker at " SOURCE ")",
                     kind_name(o.kind), o.line, o.column);
    if (*w->p == '}' || *w->p == ']')
        return walk_close(w);
    if (first)
        return walk_entry(w);
    if (*w->p != ',')
        return o.kind == '{' ? unexpected(w, ": ", "was expecting comma to separate Object entries")
                             : unexpected(w, ": ", "was expecting comma to separate Array entries");
    w->p++;
    return within(w) && walk_entry(w);
}

static const char *token_name(uint8_t c)
{
    return c == '{'   ? "START_OBJECT"
           : c == '[' ? "START_ARRAY"
           : c == '"' ? "VALUE_STRING"
           : c == 't' ? "VALUE_TRUE"
           : c == 'f' ? "VALUE_FALSE"
           : c == 'n' ? "VALUE_NULL"
                      : "VALUE_NUMBER_INT";
}

static bool walk_document(struct walk *w, const char *bound)
{
    size_t before = 0; /* what was open when the last value began */
    bool ok = walk_value(w);
    while (ok && w->depth) {
        bool first = w->depth > before;
        before = w->depth;
        ok = walk_inside(w, first);
    }
    if (!ok || !skip_blanks(w) || w->p == w->end)
        return ok && !w->wrong;
    uint8_t c = *w->p;
    return walk_value(w) && wrong(w,
                                  "Trailing token (of type %s) found after value (bound as `%s`): not allowed as per "
                                  "`DeserializationFeature.FAIL_ON_TRAILING_TOKENS`",
                                  token_name(c), bound);
}

enum json_syntax json_syntax_check(struct slice text, const char *bound, struct buf *out)
{
    struct walk w = {.p = text.p, .end = text.p + text.n, .line_start = text.p, .line = 1, .out = out};
    if (text.n >= 3 && !memcmp(text.p, "\xef\xbb\xbf", 3))
        w.p += 3;
    if (!skip_blanks(&w))
        return JSON_SYNTAX_WRONG;
    if (w.p == w.end)
        return JSON_SYNTAX_EMPTY;
    return walk_document(&w, bound) ? JSON_SYNTAX_FINE : JSON_SYNTAX_WRONG;
}
