/* SPDX-License-Identifier: Apache-2.0
 * Characters: escapes, "[...]" and the named classes, as RE2J 1.8 reads them. A class is kept as its ASCII part only.
 * Under (?i), RE2J folds by Unicode's simple case folding; of the characters beyond ASCII only U+017F (long s) and
 * U+212A (Kelvin sign) fold to ASCII. */
#include "gateway/filter/topic_regex_internal.h"

#include <assert.h>

enum { LONG_S = 0x17f, KELVIN_SIGN = 0x212a };

static const char bad_range[] = "invalid character class range";
static const char bad_escape[] = "invalid escape sequence";

static enum err refuse(struct reason *why, const char *text)
{
    return reason_set(why, ERR_INVALID_REGULAR_EXPRESSION, "%s", text);
}

/* --- sets --- */

static void add_one(struct char_set *s, uint32_t c)
{
    assert(c < 128);
    s->bits[c / 64] |= UINT64_C(1) << c % 64;
}

void char_set_add(struct char_set *s, uint32_t low, uint32_t high, bool fold)
{
    assert(low <= high);
    for (uint32_t c = low; c <= high && c < 128; c++) {
        add_one(s, c);
        if (fold && ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')))
            add_one(s, c ^ 0x20);
    }
    if (fold && low <= LONG_S && high >= LONG_S)
        char_set_add(s, 's', 's', true);
    if (fold && low <= KELVIN_SIGN && high >= KELVIN_SIGN)
        char_set_add(s, 'k', 'k', true);
}

static void add_set(struct char_set *s, struct char_set more, bool negated)
{
    uint64_t flip = negated ? UINT64_MAX : 0;

    s->bits[0] |= more.bits[0] ^ flip;
    s->bits[1] |= more.bits[1] ^ flip;
}

/* `ranges`: pairs of first and last character. */
static void add_ranges(struct char_set *s, const char *ranges, bool negated, bool fold)
{
    struct char_set set = {{0, 0}};

    for (; *ranges; ranges += 2)
        char_set_add(&set, (uint8_t)ranges[0], (uint8_t)ranges[1], fold);
    add_set(s, set, negated);
}

/* --- one character --- */

static int hex_value(uint32_t c)
{
    if (c >= '0' && c <= '9')
        return (int)(c - '0');
    if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
        return (int)((c | 0x20) - 'a' + 10);
    return -1;
}

static bool at_octal(const struct regex_text *t)
{
    return regex_text_more(t) && regex_text_peek(t) >= '0' && regex_text_peek(t) <= '7';
}

/* Up to three digits, the first of which was read. */
static uint32_t read_octal(struct regex_text *t, uint32_t first)
{
    uint32_t r = first - '0';

    for (int i = 1; i < 3 && at_octal(t); i++)
        r = r * 8 + regex_text_pop(t) - '0';
    return r;
}

/* Behind "\x": two digits, or any number of them in braces. */
static bool read_hex(struct regex_text *t, uint32_t *rune)
{
    uint32_t r = 0;
    int high, low, digits = 0;

    if (!regex_text_more(t))
        return false;
    if (regex_text_peek(t) != '{') {
        high = hex_value(regex_text_pop(t));
        if (!regex_text_more(t))
            return false;
        low = hex_value(regex_text_pop(t));
        *rune = (uint32_t)(high * 16 + low);
        return high >= 0 && low >= 0;
    }
    regex_text_pop(t);
    for (; regex_text_more(t) && regex_text_peek(t) != '}'; digits++) {
        low = hex_value(regex_text_pop(t));
        if (low < 0)
            return false;
        r = r * 16 + (uint32_t)low;
        if (r > RUNE_MAX)
            return false;
    }
    if (!digits || !regex_text_more(t))
        return false;
    regex_text_pop(t);
    *rune = r;
    return true;
}

enum err regex_escape_parse(struct regex_text *t, uint32_t *rune, struct reason *why)
{
    static const char letters[] = "afnrtv", meant[] = "\a\f\n\r\t\v";
    uint32_t c;
    const char *letter;

    assert(regex_text_peek(t) == '\\');
    regex_text_pop(t);
    if (!regex_text_more(t))
        return refuse(why, "trailing backslash at end of expression");
    c = regex_text_pop(t);
    if (c == '0' || (c >= '1' && c <= '7' && at_octal(t))) { /* "\1" alone is a backreference */
        *rune = read_octal(t, c);
        return ERR_OK;
    }
    if (c == 'x')
        return read_hex(t, rune) ? ERR_OK : refuse(why, bad_escape);
    letter = c && c < 128 ? strchr(letters, (int)c) : NULL;
    if (letter) {
        *rune = (uint8_t)meant[letter - letters];
        return ERR_OK;
    }
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
        return refuse(why, bad_escape);
    *rune = c; /* escaped, anything but a letter or digit is itself */
    return ERR_OK;
}

/* --- named classes --- */

/* "\p" with one letter or a name in braces; '^' before the name negates. */
static enum err unicode_escape(struct regex_text *t, bool fold, struct char_set *out, struct reason *why)
{
    struct char_set set;
    struct slice name, rest;
    bool negated;
    size_t begin;

    regex_text_pop(t);
    negated = regex_text_pop(t) == 'P';
    if (!regex_text_more(t))
        return refuse(why, bad_range);
    begin = t->at;
    if (regex_text_pop(t) == '{') {
        rest = regex_text_rest(t);
        const uint8_t *end = rest.n ? memchr(rest.p, '}', rest.n) : NULL;
        if (!end)
            return refuse(why, bad_range);
        name = slice_of(rest.p, (size_t)(end - rest.p));
        t->at += name.n + 1;
    } else {
        name = slice_of(t->all.p + begin, t->at - begin);
    }
    if (name.n && name.p[0] == '^') {
        negated = !negated;
        name = slice_of(name.p + 1, name.n - 1);
    }
    if (!regex_unicode_class(name, fold, &set))
        return refuse(why, bad_range);
    add_set(out, set, negated);
    return ERR_OK;
}

enum err regex_class_escape(struct regex_text *t, bool fold, struct char_set *out, bool *found, struct reason *why)
{
    static const struct {
        char letter;
        bool negated;
        const char *ranges;
    } rows[] = {
        {'d', false, "09"},        {'D', true, "09"},        {'s', false, "\t\n\f\r  "},
        {'S', true, "\t\n\f\r  "}, {'w', false, "09AZ__az"}, {'W', true, "09AZ__az"},
    };
    struct slice rest = regex_text_rest(t);

    *found = rest.n >= 2 && rest.p[0] == '\\' && (rest.p[1] == 'p' || rest.p[1] == 'P');
    if (*found)
        return unicode_escape(t, fold, out, why);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rest.n >= 2 && rest.p[0] == '\\' && rest.p[1] == (uint8_t)rows[i].letter) {
            *found = true;
            t->at += 2;
            add_ranges(out, rows[i].ranges, rows[i].negated, fold);
            return ERR_OK;
        }
    return ERR_OK;
}

/* "[:alpha:]" or "[:^alpha:]", `t` at its bracket. What has no ":]" anywhere behind it is no such class. */
static enum err posix_class(struct regex_text *t, bool fold, struct char_set *out, bool *found, struct reason *why)
{
    static const struct {
        const char *name, *ranges;
    } rows[] = {
        {"alnum", "09AZaz"}, {"alpha", "AZaz"}, {"ascii", NULL},      {"blank", "\t\t  "},  {"cntrl", NULL},
        {"digit", "09"},     {"graph", "!~"},   {"lower", "az"},      {"print", " ~"},      {"punct", "!/:@[`{~"},
        {"space", "\t\r  "}, {"upper", "AZ"},   {"word", "09AZ__az"}, {"xdigit", "09AFaf"},
    };
    struct slice rest = regex_text_rest(t), name;
    const uint8_t *end = memmem(rest.p, rest.n, ":]", 2);
    struct char_set set = {{0, 0}};
    bool negated;

    *found = end != NULL;
    if (!end)
        return ERR_OK;
    t->at += (size_t)(end - rest.p) + 2;
    if (end < rest.p + 2)
        return refuse(why, bad_range); /* "[:]" */
    name = slice_of(rest.p + 2, (size_t)(end - rest.p) - 2);
    negated = name.n && name.p[0] == '^';
    if (negated)
        name = slice_of(name.p + 1, name.n - 1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (!slice_eq_str(name, rows[i].name))
            continue;
        if (rows[i].ranges) {
            add_ranges(out, rows[i].ranges, negated, fold);
            return ERR_OK;
        }
        char_set_add(&set, 0, name.p[0] == 'a' ? 127 : 31, false); /* these begin at NUL, which ends a string */
        char_set_add(&set, 127, 127, false);
        add_set(out, set, negated);
        return ERR_OK;
    }
    return refuse(why, bad_range);
}

/* --- "[...]" --- */

static enum err class_char(struct regex_text *t, uint32_t *rune, struct reason *why)
{
    if (!regex_text_more(t))
        return refuse(why, "missing closing ]");
    if (regex_text_peek(t) == '\\')
        return regex_escape_parse(t, rune, why);
    *rune = regex_text_pop(t);
    return ERR_OK;
}

/* One character, or a range of two. */
static enum err class_range(struct regex_text *t, bool fold, struct char_set *out, struct reason *why)
{
    uint32_t low, high;
    enum err e = class_char(t, &low, why);

    if (e)
        return e;
    high = low;
    if (regex_text_starts(t, "-") && !regex_text_starts(t, "-]")) {
        regex_text_pop(t);
        e = class_char(t, &high, why);
        if (e)
            return e;
        if (high < low)
            return refuse(why, bad_range);
    }
    char_set_add(out, low, high, fold);
    return ERR_OK;
}

enum err regex_class_parse(struct regex_text *t, bool fold, struct char_set *out, struct reason *why)
{
    struct char_set set = {{0, 0}};
    bool negated;

    regex_text_pop(t);
    negated = regex_text_starts(t, "^");
    if (negated)
        regex_text_pop(t);
    /* ']' as the first character is one of the class. */
    for (bool first = true; first || !regex_text_starts(t, "]"); first = false) {
        bool found = false;
        enum err e = ERR_OK;
        if (regex_text_starts(t, "[:"))
            e = posix_class(t, fold, &set, &found, why);
        if (!e && !found)
            e = regex_class_escape(t, fold, &set, &found, why);
        if (!e && !found)
            e = class_range(t, fold, &set, why);
        if (e)
            return e;
    }
    regex_text_pop(t);
    *out = (struct char_set){{0, 0}};
    add_set(out, set, negated);
    return ERR_OK;
}
