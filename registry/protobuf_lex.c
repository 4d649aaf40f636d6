/* SPDX-License-Identifier: Apache-2.0
 * The characters of a .proto file: words, quoted strings, numbers; blanks and comments go unseen. The first error
 * sticks, so parsers read on and check once per declaration. What is accepted follows the parser the reference uses,
 * which is laxer than protoc in places. */
#include "registry/protobuf_model.h"

#include <stdarg.h>
#include <stdio.h>

/* Columns are Java's chars: one for a character, two for one beyond the basic plane. */
void proto_place(struct proto_reader *r, const uint8_t *at, unsigned *line, unsigned *column)
{
    if (!r->placed || at < r->placed) {
        r->placed = r->start;
        r->placed_line = r->placed_column = 1;
    }
    for (; r->placed < at; r->placed++) {
        if (*r->placed == '\n') {
            r->placed_line++;
            r->placed_column = 1;
        } else {
            r->placed_column += (*r->placed & 0xc0) == 0x80 ? 0 : *r->placed >= 0xf0 ? 2 : 1;
        }
    }
    *line = r->placed_line;
    *column = r->placed_column;
}

PRINTF_LIKE(3, 0)
static bool bad(struct proto_reader *r, const uint8_t *at, const char *format, va_list args)
{
    char text[300];
    unsigned line, column;
    if (r->error != ERR_OK)
        return false;
    proto_place(r, at, &line, &column);
    vsnprintf(text, sizeof text, format, args);
    r->error =
        reason_set(r->why, ERR_MALFORMED, "Could not parse Protobuf - Syntax error in :%u:%u: %s", line, column, text);
    return false;
}

bool proto_bad(struct proto_reader *r, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)bad(r, r->p, format, args);
    va_end(args);
    return false;
}

bool proto_bad_at(struct proto_reader *r, const uint8_t *at, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)bad(r, at, format, args);
    va_end(args);
    return false;
}

bool proto_trailing_comment(struct proto_reader *r)
{
    if (r->error != ERR_OK)
        return false;
    while (r->p < r->end && (*r->p == ' ' || *r->p == '\t'))
        r->p++;
    if (r->p < r->end && *r->p != '/')
        return true;
    bool star = r->p + 1 < r->end && r->p[1] == '*';
    if (!star && !(r->p + 1 < r->end && r->p[1] == '/'))
        return proto_bad_at(r, r->p + (r->p < r->end), "expected '//' or '/*'");
    if (!star)
        return true; /* the rest of the line is gone past as any comment is */
    r->p += 2;
    while (r->p < r->end && !(*r->p == '*' && r->p + 1 < r->end && r->p[1] == '/'))
        r->p++;
    if (r->p >= r->end)
        return proto_bad(r, "trailing comment must be closed");
    r->p += 2;
    while (r->p < r->end) {
        uint8_t c = *r->p++;
        if (c == '\n')
            break;
        if (c != ' ' && c != '\t')
            return proto_bad(r, "no syntax may follow trailing comment");
    }
    return true;
}

static void skip_comment(struct proto_reader *r)
{
    bool line = r->p + 1 < r->end && r->p[1] == '/';
    if (!line && !(r->p + 1 < r->end && r->p[1] == '*')) {
        proto_bad_at(r, r->p + (r->end - r->p < 2 ? 1 : 2), "unexpected '/'");
        return;
    }
    r->p += 2;
    while (r->p < r->end && (line ? *r->p != '\n' : !(*r->p == '*' && r->p + 1 < r->end && r->p[1] == '/')))
        r->p++;
    if (!line && r->p >= r->end)
        proto_bad_at(r, r->end - 1, "unterminated comment");
    else if (!line)
        r->p += 2;
}

bool proto_exhausted(struct proto_reader *r)
{
    while (r->error == ERR_OK && r->p < r->end) {
        if (*r->p == ' ' || *r->p == '\t' || *r->p == '\r' || *r->p == '\n')
            r->p++;
        else if (*r->p == '/')
            skip_comment(r);
        else
            return false;
    }
    return true;
}

int proto_peek(struct proto_reader *r)
{
    if (!proto_exhausted(r))
        return *r->p;
    proto_bad(r, "unexpected end of file");
    return -1;
}

bool proto_take(struct proto_reader *r, char c)
{
    if (proto_peek(r) != (uint8_t)c)
        return false;
    r->p++;
    return true;
}

bool proto_require(struct proto_reader *r, char c)
{
    int got = proto_peek(r);
    if (got < 0)
        return false;
    r->p++;
    return got == (uint8_t)c || proto_bad(r, "expected '%c' but was '%c'", c, got >= 0x20 && got < 0x7f ? got : '?');
}

static bool is_word_char(uint8_t c, bool dots)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           (dots && c == '.');
}

bool proto_is_word(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_word_char(s.p[i], true))
            return false;
    return s.n > 0;
}

struct slice proto_word(struct proto_reader *r, bool dots)
{
    (void)proto_exhausted(r);
    const uint8_t *from = r->p;
    while (r->p < r->end && is_word_char(*r->p, dots))
        r->p++;
    if (r->p == from)
        proto_bad(r, "expected a word");
    return slice_of(from, (size_t)(r->p - from));
}

struct slice proto_name(struct proto_reader *r)
{
    int c = proto_peek(r);
    if (c != '(' && c != '[')
        return proto_word(r, true);
    r->p++;
    struct slice word = proto_word(r, true);
    (void)proto_require(r, c == '(' ? ')' : ']');
    return word;
}

static int digit_of(uint8_t c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : 99;
}

/* A code point below 0x100, as UTF-8. */
static void put_latin(struct buf *b, unsigned c)
{
    if (c < 0x80) {
        buf_u8(b, (uint8_t)c);
        return;
    }
    buf_u8(b, (uint8_t)(0xc0 | c >> 6));
    buf_u8(b, (uint8_t)(0x80 | (c & 63)));
}

static void read_numeric(struct proto_reader *r, struct buf *b, int radix, int most)
{
    int value = -1;
    for (int i = 0; i < most && r->p < r->end && digit_of(*r->p) < radix; i++)
        value = (value < 0 ? 0 : value * radix) + digit_of(*r->p++);
    if (value < 0)
        proto_bad(r, "expected a digit after \\x or \\X");
    else
        put_latin(b, (unsigned)value & 0xff);
}

static void read_escape(struct proto_reader *r, struct buf *b)
{
    static const char from[] = "abfnrtv", to[] = "\a\b\f\n\r\t\v";
    if (r->p >= r->end) {
        proto_bad(r, "unexpected end of file");
        return;
    }
    uint8_t c = *r->p;
    const char *at = c ? strchr(from, c) : NULL;
    if (c == 'x' || c == 'X') {
        r->p++;
        read_numeric(r, b, 16, 2);
    } else if (c >= '0' && c <= '7') {
        read_numeric(r, b, 8, 3);
    } else {
        r->p++;
        buf_u8(b, at ? (uint8_t)to[at - from] : c);
    }
}

/* Strings next to each other are one. */
struct slice proto_quoted(struct proto_reader *r)
{
    int quote = proto_peek(r);
    struct buf b;
    if (quote != '"' && quote != '\'') {
        proto_bad(r, "expected quoted string");
        return SLICE_NULL;
    }
    buf_init(&b, PROTOBUF_SCHEMA_SIZE_MAX);
    while (r->error == ERR_OK && (quote == '"' || quote == '\'')) {
        r->p++;
        while (r->p < r->end && *r->p != quote && r->error == ERR_OK) {
            if (*r->p == '\\') {
                r->p++;
                read_escape(r, &b);
            } else {
                buf_u8(&b, *r->p++);
            }
        }
        if (r->p >= r->end)
            proto_bad(r, "unterminated string");
        else
            r->p++;
        quote = r->error == ERR_OK ? proto_peek(r) : 0;
    }
    struct slice copy = arena_copy(r->arena, b.n ? buf_slice(&b) : slice_str(""));
    if (slice_is_null(copy) || buf_error(&b) != ERR_OK)
        r->error = ERR_NO_MEMORY;
    buf_free(&b);
    return copy;
}

static bool int_of(struct slice word, int radix, int32_t *out)
{
    bool negative = word.n && word.p[0] == '-';
    int64_t v = 0;
    if (word.n == negative)
        return false;
    for (size_t i = negative; i < word.n; i++) {
        int d = digit_of(word.p[i]);
        v = v * radix + d;
        if (d >= radix || v > (int64_t)INT32_MAX + 1)
            return false;
    }
    v = negative ? -v : v;
    *out = (int32_t)v;
    return v <= INT32_MAX;
}

bool proto_decimal(struct slice word, int32_t *out)
{
    return int_of(word, 10, out);
}

bool proto_int(struct proto_reader *r, int32_t *out)
{
    struct slice word = proto_word(r, true);
    bool hex = word.n >= 2 && word.p[0] == '0' && (word.p[1] | 32) == 'x';
    if (hex)
        word = slice_of(word.p + 2, word.n - 2);
    *out = 0;
    return r->error == ERR_OK &&
           (int_of(word, hex ? 16 : 10, out) || proto_bad(r, "expected an integer but was %.*s", SLICE_FMT(word)));
}

struct slice proto_data_type(struct proto_reader *r, struct slice first)
{
    struct slice name = slice_is_null(first) ? proto_word(r, true) : first;
    if (!slice_eq_str(name, "map"))
        return name;
    if (++r->depth > PROTOBUF_DEPTH_MAX)
        proto_bad(r, "nested deeper than %d", PROTOBUF_DEPTH_MAX);
    (void)proto_require(r, '<');
    struct slice key = r->error == ERR_OK ? proto_data_type(r, SLICE_NULL) : SLICE_NULL;
    (void)proto_require(r, ',');
    struct slice value = r->error == ERR_OK ? proto_data_type(r, SLICE_NULL) : SLICE_NULL;
    (void)proto_require(r, '>');
    r->depth--;
    const char *text = arena_printf(r->arena, "map<%.*s, %.*s>", SLICE_FMT(key), SLICE_FMT(value));
    if (!text)
        r->error = ERR_NO_MEMORY;
    return slice_str(text ? text : "");
}

void *proto_more(struct arena *a, void *list, uint32_t *n, uint32_t *cap, size_t size)
{
    uint8_t *v;
    memcpy(&v, list, sizeof v);
    if (*n >= PROTO_LIST_MAX)
        return NULL;
    if (*n == *cap) {
        uint32_t more = *cap ? *cap * 2 : 4;
        uint8_t *grown = arena_array(a, more, size);
        if (!grown)
            return NULL;
        if (*n)
            memcpy(grown, v, *n * size);
        v = grown;
        memcpy(list, &v, sizeof v);
        *cap = more;
    }
    return v + (*n)++ * size;
}
