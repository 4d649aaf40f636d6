/* SPDX-License-Identifier: Apache-2.0
 * Reading a pattern, and writing its program on the way: no tree is built and nothing recurses, so the depth of groups
 * is a number in an array. What is read and refused, and in which words, is RE2J 1.8's (Pattern.compile without flags),
 * with these properties of the question used:
 * - A topic's name has no line feed, so (?s) and (?m) are read and change nothing.
 * - The whole name must match, so greedy and lazy are the same, and (?U) changes nothing.
 * - Groups do not capture; their names are only checked.
 * It differs from RE2J 1.8 on purpose in this:
 * - An unmatched ')' is "unexpected )"; there it is an internal error.
 * - "[Aa]b|A" does not match "a"; RE2J factors the two alternatives as if both began with the class.
 * - (?i) with a class that contains U+1C80 to U+1C88 compiles; there it never ends under Java 17, whose tables fold
 * these letters one way only.
 * - The limits of topic_regex.h. */
#include "gateway/filter/topic_regex_internal.h"

#include "core/base/map.h"

#include <assert.h>

struct group {
    uint16_t start;       /* its first instruction */
    uint16_t alternative; /* first instruction of the alternative at hand */
    uint16_t jump; /* the last alternative's OP_JUMP, NO_JUMP when there is none; its `to` leads to the one before */
    bool fold;     /* (?i) outside, in force again behind the group */
};

enum { NO_JUMP = UINT16_MAX, NO_ATOM = -1, NO_REPEAT = -1, REPEAT_END = -1, TOO_LARGE = -2 };

struct parser {
    struct regex_text t;
    struct regex_code *code;
    struct reason *why;
    bool fold;
    int32_t atom;      /* first instruction of what an operator would repeat, or NO_ATOM */
    bool after_repeat; /* the token before was an operator, and those do not stack */
    struct map names;
    uint32_t depth;
    struct group groups[TOPIC_REGEX_DEPTH_MAX + 1]; /* [0] is the whole pattern */
};

static enum err refuse(struct parser *p, const char *text)
{
    return reason_set(p->why, ERR_INVALID_REGULAR_EXPRESSION, "%s", text);
}

/* --- the text --- */

bool regex_text_more(const struct regex_text *t)
{
    return t->at < t->all.n;
}

struct slice regex_text_rest(const struct regex_text *t)
{
    return slice_of(t->all.p + t->at, t->all.n - t->at);
}

bool regex_text_starts(const struct regex_text *t, const char *with)
{
    return slice_starts(regex_text_rest(t), slice_str(with));
}

/* Bytes of the character that begins with `first`; 0: none begins so. */
static size_t rune_size(uint8_t first)
{
    if (first < 0x80)
        return 1;
    if (first < 0xc2 || first > 0xf4)
        return 0;
    return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

uint32_t regex_text_peek(const struct regex_text *t)
{
    const uint8_t *p = t->all.p + t->at;
    size_t size;
    uint32_t rune;

    assert(regex_text_more(t));
    size = rune_size(p[0]);
    rune = size == 1 ? p[0] : p[0] & (0x7fu >> size);
    for (size_t i = 1; i < size; i++)
        rune = rune << 6 | (p[i] & 0x3f);
    return rune;
}

uint32_t regex_text_pop(struct regex_text *t)
{
    uint32_t rune = regex_text_peek(t);

    t->at += rune_size(t->all.p[t->at]);
    return rune;
}

static bool is_utf8(struct slice s)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    struct regex_text t = {s, 0};

    while (regex_text_more(&t)) {
        size_t size = rune_size(s.p[t.at]);
        if (!size || size > s.n - t.at)
            return false;
        for (size_t i = 1; i < size; i++)
            if ((s.p[t.at + i] & 0xc0) != 0x80)
                return false;
        uint32_t rune = regex_text_pop(&t);
        if (rune < least[size] || rune > RUNE_MAX || (rune >= 0xd800 && rune <= 0xdfff))
            return false;
    }
    return true;
}

/* --- atoms --- */

static enum err add_set(struct parser *p, struct char_set set)
{
    p->atom = (int32_t)p->code->n;
    return regex_code_add_set(p->code, set, p->why);
}

static enum err add_literal(struct parser *p, uint32_t rune)
{
    struct char_set set = {{0, 0}};

    char_set_add(&set, rune, rune, p->fold);
    if (rune >= 128 || (set.bits[rune / 64] & ~(UINT64_C(1) << rune % 64)) || set.bits[1 - rune / 64])
        return add_set(p, set); /* beyond ASCII it is empty, or what folds to it */
    p->atom = (int32_t)p->code->n;
    return regex_code_add(p->code, OP_BYTE, (uint8_t)rune, p->why);
}

static enum err add_assert(struct parser *p, enum condition condition)
{
    p->atom = (int32_t)p->code->n;
    return regex_code_add(p->code, OP_ASSERT, (uint8_t)condition, p->why);
}

/* --- groups and alternatives --- */

static enum err open_group(struct parser *p)
{
    uint16_t at = (uint16_t)p->code->n;

    if (p->depth == TOPIC_REGEX_DEPTH_MAX)
        return reason_set(p->why, ERR_INVALID_REGULAR_EXPRESSION, "groups are nested more than %d deep",
                          TOPIC_REGEX_DEPTH_MAX);
    p->depth++;
    p->groups[p->depth] = (struct group){.start = at, .alternative = at, .jump = NO_JUMP, .fold = p->fold};
    p->atom = NO_ATOM;
    return ERR_OK;
}

/* '|': a way past the alternative before it, and a jump from its end to the group's. */
static enum err next_alternative(struct parser *p)
{
    struct group *g = &p->groups[p->depth];
    struct regex_code *c = p->code;
    int32_t size = (int32_t)c->n - g->alternative;
    enum err e = regex_code_insert_split(c, g->alternative, size + 2, p->why);

    if (!e)
        e = regex_code_add(c, OP_JUMP, 0, p->why);
    if (e)
        return e;
    uint32_t jump = c->n - 1;
    if (g->jump != NO_JUMP)
        c->code[jump].to = (int16_t)((int32_t)g->jump - (int32_t)jump);
    g->jump = (uint16_t)jump;
    g->alternative = (uint16_t)c->n;
    p->atom = NO_ATOM;
    return ERR_OK;
}

/* The last alternative ends here: every jump of the group leads behind it. */
static void end_alternatives(struct parser *p)
{
    struct instruction *code = p->code->code;
    uint32_t at = p->groups[p->depth].jump;

    while (at != NO_JUMP) {
        int32_t back = code[at].to;
        code[at].to = (int16_t)(p->code->n - at);
        assert(back <= 0);
        at = back ? (uint32_t)((int32_t)at + back) : NO_JUMP;
    }
}

static enum err close_group(struct parser *p)
{
    if (p->depth == 0)
        return refuse(p, "unexpected )");
    end_alternatives(p);
    p->fold = p->groups[p->depth].fold;
    p->atom = p->groups[p->depth].start;
    p->depth--;
    return ERR_OK;
}

/* "(?P<name>" or "(?<name>". */
static enum err open_named(struct parser *p, size_t prefix)
{
    struct slice rest = regex_text_rest(&p->t), name;
    const uint8_t *end = memchr(rest.p + prefix, '>', rest.n - prefix);
    enum err e;

    if (!end)
        return refuse(p, "invalid named capture");
    name = slice_of(rest.p + prefix, (size_t)(end - rest.p) - prefix);
    for (size_t i = 0; i < name.n; i++) {
        uint8_t c = name.p[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'))
            return refuse(p, "invalid named capture");
    }
    if (!name.n)
        return refuse(p, "invalid named capture");
    if (map_has(&p->names, name))
        return refuse(p, "duplicate capture group name");
    e = map_put(&p->names, name, p, NULL);
    if (e)
        return reason_set(p->why, e, "no memory for the names of a pattern's groups");
    p->t.at += prefix + name.n + 1;
    return open_group(p);
}

/* "(?": a named group, or flags that hold to the group's end, or for the group that begins here. */
static enum err parse_flags(struct parser *p)
{
    static const char unknown[] = "invalid or unsupported Perl syntax";
    bool fold = p->fold, negative = false, any = false;

    if (regex_text_starts(&p->t, "(?P<"))
        return open_named(p, 4);
    if (regex_text_starts(&p->t, "(?<"))
        return open_named(p, 3);
    p->t.at += 2;
    while (regex_text_more(&p->t)) {
        uint32_t c = regex_text_pop(&p->t);
        enum err e = ERR_OK;
        switch (c) {
        case 'i':
            fold = !negative;
            any = true;
            break;
        case 'm':
        case 's':
        case 'U':
            any = true;
            break;
        case '-':
            if (negative)
                return refuse(p, unknown);
            negative = true;
            any = false;
            break;
        case ':':
        case ')':
            if (negative && !any)
                return refuse(p, unknown);
            if (c == ':')
                e = open_group(p); /* keeps the flags from before */
            p->fold = fold;
            return e;
        default:
            return refuse(p, unknown);
        }
    }
    return refuse(p, unknown);
}

/* --- repetition --- */

static enum err repeat(struct parser *p, int min, int max)
{
    if (regex_text_starts(&p->t, "?")) /* lazy: the same set of names */
        p->t.at++;
    if (p->after_repeat)
        return refuse(p, "invalid nested repetition operator");
    if (p->atom == NO_ATOM)
        return refuse(p, "missing argument to repetition operator");
    return regex_code_repeat(p->code, (uint32_t)p->atom, min, max, p->why);
}

/* Digits without leading zero; false: there is no such number. */
static bool read_count(struct regex_text *t, int *count)
{
    struct slice rest = regex_text_rest(t);
    size_t n = 0;

    *count = 0;
    for (; n < rest.n && rest.p[n] >= '0' && rest.p[n] <= '9'; n++)
        if (*count != TOO_LARGE)
            *count = n < 8 ? *count * 10 + (rest.p[n] - '0') : TOO_LARGE;
    t->at += n;
    return n == 1 || (n > 1 && rest.p[0] != '0');
}

/* "{n}", "{n,}", "{n,m}"; anything else leaves `t` where it was: the brace is a literal. */
static bool read_counts(struct regex_text *t, int *min, int *max)
{
    struct regex_text r = *t;
    bool ok;

    r.at++;
    ok = read_count(&r, min);
    *max = *min;
    if (ok && regex_text_starts(&r, ",")) {
        r.at++;
        if (regex_text_starts(&r, "}"))
            *max = REPEAT_END;
        else
            ok = read_count(&r, max);
    }
    if (!ok || !regex_text_starts(&r, "}"))
        return false;
    t->at = r.at + 1;
    return true;
}

static enum err parse_counted(struct parser *p)
{
    int min, max;

    if (!read_counts(&p->t, &min, &max))
        return add_literal(p, regex_text_pop(&p->t));
    if (min == TOO_LARGE || min > TOPIC_REGEX_COUNT_MAX || max == TOO_LARGE || max > TOPIC_REGEX_COUNT_MAX ||
        (max != REPEAT_END && min > max))
        return refuse(p, "invalid repeat count");
    return repeat(p, min, max);
}

/* --- the whole --- */

/* "\Q...\E": literals up to "\E" or the end. */
static enum err parse_quoted(struct parser *p)
{
    p->t.at += 2;
    while (regex_text_more(&p->t) && !regex_text_starts(&p->t, "\\E")) {
        enum err e = add_literal(p, regex_text_pop(&p->t));
        if (e)
            return e;
    }
    if (regex_text_more(&p->t))
        p->t.at += 2;
    return ERR_OK;
}

static enum err parse_backslash(struct parser *p)
{
    struct slice rest = regex_text_rest(&p->t);
    struct char_set set = {{0, 0}};
    bool found = false;
    uint32_t rune;
    enum err e;

    switch (rest.n > 1 ? rest.p[1] : 0) {
    case 'A':
        p->t.at += 2;
        return add_assert(p, AT_BEGIN);
    case 'z':
        p->t.at += 2;
        return add_assert(p, AT_END);
    case 'b':
        p->t.at += 2;
        return add_assert(p, AT_WORD_BOUNDARY);
    case 'B':
        p->t.at += 2;
        return add_assert(p, NOT_AT_WORD_BOUNDARY);
    case 'Q':
        return parse_quoted(p);
    }
    e = regex_class_escape(&p->t, p->fold, &set, &found, p->why);
    if (e)
        return e;
    if (found)
        return add_set(p, set);
    e = regex_escape_parse(&p->t, &rune, p->why);
    return e ? e : add_literal(p, rune);
}

/* One token. *repeated: it was an operator that repeats what stands before it. */
static enum err parse_token(struct parser *p, bool *repeated)
{
    struct char_set set = {{UINT64_MAX, UINT64_MAX}};
    uint32_t c = regex_text_peek(&p->t);
    enum err e;

    switch (c) {
    case '[':
        e = regex_class_parse(&p->t, p->fold, &set, p->why);
        return e ? e : add_set(p, set);
    case '\\':
        return parse_backslash(p);
    case '{':
        *repeated = true; /* RE2J refuses "{*" as well, where the brace is a literal */
        return parse_counted(p);
    case '(':
        if (regex_text_starts(&p->t, "(?"))
            return parse_flags(p);
    }
    p->t.at += rune_size(p->t.all.p[p->t.at]);
    switch (c) {
    case '(':
        return open_group(p);
    case ')':
        return close_group(p);
    case '|':
        return next_alternative(p);
    case '^':
        return add_assert(p, AT_BEGIN);
    case '$':
        return add_assert(p, AT_END);
    case '.':
        return add_set(p, set);
    case '*':
    case '+':
    case '?':
        *repeated = true;
        return repeat(p, c == '+', c == '?' ? 1 : REPEAT_END);
    default:
        return add_literal(p, c);
    }
}

static enum err parse_tokens(struct parser *p)
{
    while (regex_text_more(&p->t)) {
        bool repeated = false;
        enum err e = parse_token(p, &repeated);
        if (e)
            return e;
        p->after_repeat = repeated;
    }
    if (p->depth)
        return refuse(p, "missing closing )");
    end_alternatives(p);
    return regex_code_add(p->code, OP_MATCH, 0, p->why);
}

enum err regex_parse(struct regex_code *c, struct slice pattern, struct reason *why)
{
    struct parser p = {.t = {pattern, 0}, .code = c, .why = why, .atom = NO_ATOM, .groups[0] = {.jump = NO_JUMP}};
    enum err e;

    assert(c->n == 0);
    if (!is_utf8(pattern))
        return refuse(&p, "the pattern is not valid UTF-8");
    map_init(&p.names);
    e = parse_tokens(&p);
    map_free(&p.names, NULL);
    assert(e || (c->n && c->code[c->n - 1].op == OP_MATCH));
    return e;
}
