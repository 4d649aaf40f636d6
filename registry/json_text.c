/* SPDX-License-Identifier: Apache-2.0
 * Reading JSON text into a tree. Children of an open array or object are collected on one growing stack and copied into
 * the arena when it closes, so each container is one contiguous run. Depth, number length and document size are
 * limited; a string must be valid UTF-8 and a lone surrogate escape is refused. The tree never owns the text. */
#include "registry/json_text.h"

#include "registry/json_number.h"
#include "registry/json_scan.h"

#include <stdlib.h>

struct reader {
    const uint8_t *start, *p, *end;
    struct arena *arena;
    uint8_t *unescaped;    /* the next free byte for strings with escapes; NULL: none was read yet */
    struct jmember *stack; /* values and names of all open containers */
    size_t used, cap;
    uint32_t depth;
    struct reason *why;
};

static enum err bad(struct reader *r, const char *what)
{
    unsigned line = 1, column = 1;
    for (const uint8_t *p = r->start; p < r->p; p++) {
        column = *p == '\n' ? 1 : column + 1;
        line += *p == '\n';
    }
    return reason_set(r->why, ERR_MALFORMED, "invalid JSON at line %u, column %u: %s", line, column, what);
}

static void skip_blanks(struct reader *r)
{
    while (r->p < r->end && (*r->p == ' ' || *r->p == '\n' || *r->p == '\t' || *r->p == '\r'))
        r->p++;
}

static int hex4(const uint8_t *p)
{
    int v = 0;
    for (int i = 0; i < 4; i++) {
        uint8_t c = p[i];
        int d = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
        if (d < 0)
            return -1;
        v = v * 16 + d;
    }
    return v;
}

static size_t put_utf8(uint8_t *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (uint8_t)(0xc0 | c >> 6);
        out[1] = (uint8_t)(0x80 | (c & 63));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (uint8_t)(0xe0 | c >> 12);
        out[1] = (uint8_t)(0x80 | (c >> 6 & 63));
        out[2] = (uint8_t)(0x80 | (c & 63));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | c >> 18);
    out[1] = (uint8_t)(0x80 | (c >> 12 & 63));
    out[2] = (uint8_t)(0x80 | (c >> 6 & 63));
    out[3] = (uint8_t)(0x80 | (c & 63));
    return 4;
}

/* Length of the valid UTF-8 sequence at p, 0 when invalid (overlong, surrogate, beyond U+10FFFF, cut). */
static size_t utf8_length(const uint8_t *p, const uint8_t *end)
{
    size_t n = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;
    if (n == 0 || (size_t)(end - p) < n)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
        (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return n;
}

size_t json_text_utf8(struct slice s)
{
    return s.n ? utf8_length(s.p, s.p + s.n) : 0;
}

/* The first byte of the word that is not plain ASCII of a string, if any, is marked. */
static uint64_t special_bytes(const uint8_t *p)
{
    uint64_t w = json_load_word(p);
    return json_word_escapes(w) | json_word_beyond_ascii(w);
}

static bool is_plain(uint8_t c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* How many bytes from p are plain ASCII of a string. Eight at a time. */
static size_t plain_run(const uint8_t *p, const uint8_t *end)
{
    const uint8_t *at = p;
    for (; end - at >= JSON_WORD; at += JSON_WORD) {
        uint64_t special = special_bytes(at);
        if (special)
            return (size_t)(at - p) + json_word_before(special);
    }
    while (at < end && is_plain(*at))
        at++;
    return (size_t)(at - p);
}

static enum err read_unicode(struct reader *r, uint8_t *out, size_t *n)
{
    if (r->end - r->p < 5)
        return bad(r, "the text ends inside an escape");
    int32_t c = hex4(r->p + 1);
    if (c < 0)
        return bad(r, "\\u needs four hexadecimal digits");
    r->p += 5;
    if (c >= 0xd800 && c < 0xe000) {
        int32_t low = c < 0xdc00 && r->end - r->p >= 6 && r->p[0] == '\\' && r->p[1] == 'u' ? hex4(r->p + 2) : -1;
        if (low < 0xdc00 || low > 0xdfff)
            return bad(r, "a surrogate escape without its other half");
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        r->p += 6;
    }
    *n += put_utf8(out + *n, (uint32_t)c);
    return ERR_OK;
}

/* One escape; r->p stands behind the backslash. */
static enum err read_escape(struct reader *r, uint8_t *out, size_t *n)
{
    static const uint8_t meaning[256] = {
        ['"'] = '"', ['\\'] = '\\', ['/'] = '/', ['b'] = '\b', ['f'] = '\f', ['n'] = '\n', ['r'] = '\r', ['t'] = '\t'};
    if (r->p >= r->end)
        return bad(r, "the text ends inside a string");
    if (*r->p == 'u')
        return read_unicode(r, out, n);
    if (!meaning[*r->p])
        return bad(r, "unknown escape");
    out[(*n)++] = meaning[*r->p++];
    return ERR_OK;
}

/* Copies plain bytes from r->p to out + *n; there is room for a word more than is left of the document. */
static void copy_plain(struct reader *r, uint8_t *out, size_t *n)
{
    while (r->end - r->p >= JSON_WORD) {
        uint64_t special = special_bytes(r->p);
        size_t k = json_word_before(special);
        memcpy(out + *n, r->p, JSON_WORD);
        *n += k;
        r->p += k;
        if (special)
            return;
    }
    while (r->p < r->end && is_plain(*r->p))
        out[(*n)++] = *r->p++;
}

/* The slow path: a string with escapes is unescaped into memory all such strings of the document share. Unescaping
 * never lengthens, so the document's own size is room enough. */
static enum err read_escaped(struct reader *r, const uint8_t *start, struct slice *out)
{
    if (!r->unescaped && !(r->unescaped = arena_alloc(r->arena, (size_t)(r->end - r->start) + JSON_WORD)))
        return reason_set(r->why, ERR_NO_MEMORY, "out of memory reading JSON");
    uint8_t *copy = r->unescaped;
    size_t n = (size_t)(r->p - start);
    memcpy(copy, start, n);
    for (copy_plain(r, copy, &n); r->p < r->end && *r->p != '"'; copy_plain(r, copy, &n)) {
        if (*r->p == '\\') {
            r->p++;
            enum err e = read_escape(r, copy, &n);
            if (e != ERR_OK)
                return e;
            continue;
        }
        size_t k = *r->p < 0x20 ? 0 : utf8_length(r->p, r->end);
        if (k == 0)
            return bad(r, *r->p < 0x20 ? "a control character inside a string" : "invalid UTF-8");
        memcpy(copy + n, r->p, k);
        n += k;
        r->p += k;
    }
    if (r->p >= r->end)
        return bad(r, "the text ends inside a string");
    r->p++;
    r->unescaped += n;
    *out = slice_of(copy, n);
    return ERR_OK;
}

static enum err read_string(struct reader *r, struct slice *out)
{
    const uint8_t *start = ++r->p;
    while (r->p < r->end) {
        uint8_t c = *r->p;
        if (c == '"') {
            *out = slice_of(start, (size_t)(r->p++ - start));
            return ERR_OK;
        }
        if (c == '\\')
            return read_escaped(r, start, out);
        if (c >= 0x20 && c < 0x80) {
            r->p += plain_run(r->p, r->end);
            continue;
        }
        size_t k = c < 0x20 ? 0 : utf8_length(r->p, r->end);
        if (k == 0)
            return bad(r, c < 0x20 ? "a control character inside a string" : "invalid UTF-8");
        r->p += k;
    }
    return bad(r, "the text ends inside a string");
}

static bool skip_digits(struct reader *r)
{
    const uint8_t *start = r->p;
    while (r->p < r->end && *r->p >= '0' && *r->p <= '9')
        r->p++;
    return r->p > start;
}

static enum err read_number(struct reader *r, struct slice *out)
{
    const uint8_t *start = r->p;
    if (*r->p == '-')
        r->p++;
    if (r->p < r->end && *r->p == '0')
        r->p++;
    else if (!skip_digits(r))
        return bad(r, "a value was expected");
    if (r->p < r->end && *r->p == '.') {
        r->p++;
        if (!skip_digits(r))
            return bad(r, "a digit was expected after the decimal point");
    }
    if (r->p < r->end && (*r->p | 32) == 'e') {
        r->p++;
        if (r->p < r->end && (*r->p == '+' || *r->p == '-'))
            r->p++;
        const uint8_t *exponent = r->p;
        if (!skip_digits(r))
            return bad(r, "a digit was expected in the exponent");
        if (r->p - exponent > 9)
            return bad(r, "an exponent beyond nine digits");
    }
    if (r->p < r->end && ((*r->p >= '0' && *r->p <= '9') || *r->p == '.'))
        return bad(r, "a number with a leading zero or two points");
    if (r->p - start > JSON_TEXT_NUMBER_MAX)
        return bad(r, "a number longer than 1000 characters");
    *out = slice_of(start, (size_t)(r->p - start));
    return ERR_OK;
}

static struct jmember *push(struct reader *r)
{
    if (r->used == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 64;
        struct jmember *grown = realloc(r->stack, cap * sizeof *grown);
        if (!grown)
            return NULL;
        r->stack = grown;
        r->cap = cap;
    }
    r->stack[r->used] = (struct jmember){0};
    return &r->stack[r->used++];
}

static enum err read_value(struct reader *r, struct jvalue *v);

static enum err read_array(struct reader *r, struct jvalue *v)
{
    size_t base = r->used;
    r->p++;
    skip_blanks(r);
    if (r->p < r->end && *r->p == ']') {
        r->p++;
        return ERR_OK;
    }
    for (;;) {
        struct jvalue item;
        enum err e = read_value(r, &item);
        struct jmember *m;
        if (e != ERR_OK)
            return e;
        if (!(m = push(r)))
            return reason_set(r->why, ERR_NO_MEMORY, "out of memory reading JSON");
        m->value = item;
        skip_blanks(r);
        if (r->p < r->end && *r->p == ',') {
            r->p++;
            continue;
        }
        if (r->p < r->end && *r->p == ']')
            break;
        return bad(r, "',' or ']' was expected");
    }
    r->p++;
    v->n = (uint32_t)(r->used - base);
    if (!(v->u.items = arena_array(r->arena, v->n, sizeof *v->u.items)))
        return reason_set(r->why, ERR_NO_MEMORY, "out of memory reading JSON");
    for (uint32_t i = 0; i < v->n; i++)
        v->u.items[i] = r->stack[base + i].value;
    r->used = base;
    return ERR_OK;
}

static int by_name(const void *a, const void *b, void *context)
{
    const struct jmember *members = context;
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    int c = slice_cmp(members[i].name, members[j].name);
    return c ? c : (i > j) - (i < j);
}

/* Fold repeated names: the first place keeps the last value. Large objects get an index by name. */
static enum err close_members(struct reader *r, struct jmember *m, uint32_t *n, uint32_t **sorted)
{
    uint32_t count = *n, kept = 0;
    if (count <= JSON_TEXT_LINEAR_MAX) {
        for (uint32_t i = 0; i < count; i++) {
            uint32_t j = 0;
            while (j < kept && !slice_eq(m[j].name, m[i].name))
                j++;
            m[j] = m[i];
            kept += j == kept;
        }
        *n = kept;
        return ERR_OK;
    }
    uint32_t *index = arena_array(r->arena, count, sizeof *index);
    if (!index)
        return reason_set(r->why, ERR_NO_MEMORY, "out of memory reading JSON");
    for (uint32_t i = 0; i < count; i++)
        index[i] = i;
    qsort_r(index, count, sizeof *index, by_name, m);
    bool repeated = false;
    for (uint32_t i = 0; i + 1 < count; i++)
        if (slice_eq(m[index[i]].name, m[index[i + 1]].name)) {
            uint32_t first = i;
            while (i + 1 < count && slice_eq(m[index[first]].name, m[index[i + 1]].name))
                i++;
            m[index[first]].value = m[index[i]].value;
            for (uint32_t k = first + 1; k <= i; k++)
                m[index[k]].name = SLICE_NULL;
            repeated = true;
        }
    if (repeated) {
        for (uint32_t i = 0; i < count; i++)
            if (!slice_is_null(m[i].name))
                m[kept++] = m[i];
        for (uint32_t i = 0; i < kept; i++)
            index[i] = i;
        qsort_r(index, kept, sizeof *index, by_name, m);
        *n = kept;
    }
    *sorted = index;
    return ERR_OK;
}

static enum err read_member(struct reader *r)
{
    struct jmember *m;
    struct slice name;
    struct jvalue value;
    skip_blanks(r);
    if (r->p >= r->end || *r->p != '"')
        return bad(r, "a member name was expected");
    enum err e = read_string(r, &name);
    if (e != ERR_OK)
        return e;
    skip_blanks(r);
    if (r->p >= r->end || *r->p != ':')
        return bad(r, "':' was expected");
    r->p++;
    if ((e = read_value(r, &value)) != ERR_OK)
        return e;
    if (!(m = push(r)))
        return reason_set(r->why, ERR_NO_MEMORY, "out of memory reading JSON");
    *m = (struct jmember){.name = name, .value = value};
    return ERR_OK;
}

static enum err read_object(struct reader *r, struct jvalue *v)
{
    size_t base = r->used;
    enum err e;
    r->p++;
    skip_blanks(r);
    if (r->p < r->end && *r->p == '}') {
        r->p++;
        return ERR_OK;
    }
    for (;;) {
        if ((e = read_member(r)) != ERR_OK)
            return e;
        skip_blanks(r);
        if (r->p < r->end && *r->p == ',') {
            r->p++;
            continue;
        }
        if (r->p < r->end && *r->p == '}')
            break;
        return bad(r, "',' or '}' was expected");
    }
    r->p++;
    v->n = (uint32_t)(r->used - base);
    if ((e = close_members(r, r->stack + base, &v->n, &v->u.object.sorted)) != ERR_OK)
        return e;
    if (!(v->u.object.members = arena_array(r->arena, v->n, sizeof *v->u.object.members)))
        return reason_set(r->why, ERR_NO_MEMORY, "out of memory reading JSON");
    memcpy(v->u.object.members, r->stack + base, v->n * sizeof *v->u.object.members);
    r->used = base;
    return ERR_OK;
}

static enum err read_word(struct reader *r, const char *word, enum jkind kind, struct jvalue *v)
{
    size_t n = strlen(word);
    if ((size_t)(r->end - r->p) < n || memcmp(r->p, word, n) != 0)
        return bad(r, "a value was expected");
    r->p += n;
    v->kind = kind;
    return ERR_OK;
}

static enum err read_value(struct reader *r, struct jvalue *v)
{
    enum err e;
    skip_blanks(r);
    *v = (struct jvalue){0};
    if (r->p >= r->end)
        return bad(r, "the text ends where a value was expected");
    switch (*r->p) {
    case '{':
    case '[':
        if (r->depth == JSON_TEXT_DEPTH_MAX)
            return bad(r, "nested deeper than 1000 levels");
        r->depth++;
        v->kind = *r->p == '{' ? J_OBJECT : J_ARRAY;
        e = v->kind == J_OBJECT ? read_object(r, v) : read_array(r, v);
        r->depth--;
        return e;
    case '"':
        v->kind = J_STRING;
        return read_string(r, &v->u.text);
    case 't':
        return read_word(r, "true", J_TRUE, v);
    case 'f':
        return read_word(r, "false", J_FALSE, v);
    case 'n':
        return read_word(r, "null", J_NULL, v);
    }
    v->kind = J_NUMBER;
    return read_number(r, &v->u.text);
}

static enum err parse(struct jvalue **out, struct slice text, struct slice *rest, struct arena *a, struct reason *why)
{
    struct reader r = {.start = text.p, .p = text.p, .end = text.p + text.n, .arena = a, .why = why};
    enum err e;
    *out = NULL;
    if (slice_is_null(text))
        return reason_set(why, ERR_MALFORMED, "invalid JSON: no text");
    if (text.n > JSON_TEXT_SIZE_MAX)
        return reason_set(why, ERR_LIMIT_EXCEEDED, "a JSON document of more than %d bytes", JSON_TEXT_SIZE_MAX);
    struct jvalue *v = arena_alloc(a, sizeof *v);
    if (!v)
        return reason_set(why, ERR_NO_MEMORY, "out of memory reading JSON");
    e = read_value(&r, v);
    if (rest)
        *rest = slice_of(r.p, (size_t)(r.end - r.p));
    skip_blanks(&r);
    if (!rest && e == ERR_OK && r.p < r.end)
        e = bad(&r, "something follows the document");
    free(r.stack);
    if (e == ERR_OK)
        *out = v;
    return e;
}

enum err json_text_parse(struct jvalue **out, struct slice text, struct arena *a, struct reason *why)
{
    return parse(out, text, NULL, a, why);
}

enum err json_text_parse_first(struct jvalue **out, struct slice text, struct slice *rest, struct arena *a,
                               struct reason *why)
{
    return parse(out, text, rest, a, why);
}
