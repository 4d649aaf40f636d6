/* SPDX-License-Identifier: Apache-2.0
 * Numbers as Java and Jackson print them. A JSON number with a point or an exponent is a double to them, so 1e2 in a
 * default comes out as 100.0; whole numbers keep their digits whatever their size. */
#include "registry/avro_model.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIGITS_MAX = 17, TEXT_MAX = 40, DOUBLE_TEXT_MAX = 1000 };

/* digits without point, and the decimal exponent of the first one */
static int split(const char *scientific, char *digits, int *exponent)
{
    int n = 0;
    const char *p = scientific;
    for (; *p && *p != 'e'; p++)
        if (*p >= '0' && *p <= '9' && n < DIGITS_MAX)
            digits[n++] = *p;
    *exponent = *p ? (int)strtol(p + 1, NULL, 10) : 0;
    while (n > 1 && digits[n - 1] == '0')
        n--;
    return n;
}

static void put_shortest(struct buf *out, double magnitude, const char *digits, int n, int exponent)
{
    if (magnitude >= 1e-3 && magnitude < 1e7) {
        if (exponent < 0) {
            buf_put_str(out, "0.");
            for (int i = -1; i > exponent; i--)
                buf_put_str(out, "0");
            buf_put(out, digits, (size_t)n);
            return;
        }
        for (int i = 0; i <= exponent; i++)
            buf_put(out, i < n ? digits + i : "0", 1);
        buf_put_str(out, ".");
        if (n > exponent + 1)
            buf_put(out, digits + exponent + 1, (size_t)(n - exponent - 1));
        else
            buf_put_str(out, "0");
        return;
    }
    buf_put(out, digits, 1);
    buf_put_str(out, ".");
    if (n > 1)
        buf_put(out, digits + 1, (size_t)n - 1);
    else
        buf_put_str(out, "0");
    buf_printf(out, "E%d", exponent);
}

/* True when handled: what has no digits, and the sign. */
static bool put_special(struct buf *out, double d)
{
    if (isnan(d) || isinf(d)) {
        buf_put_str(out, isnan(d) ? "\"NaN\"" : d > 0 ? "\"Infinity\"" : "\"-Infinity\"");
        return true;
    }
    if (signbit(d))
        buf_put_str(out, "-");
    if (d == 0)
        buf_put_str(out, "0.0");
    return d == 0;
}

/* The next decimal of as many digits, in place: "9.99e+01" becomes "1.00e+02". */
static void increment(char *scientific)
{
    char *e = strchr(scientific, 'e'), *p = e;
    while (p > scientific) {
        if (*--p == '.')
            continue;
        if (*p != '9') {
            ++*p;
            return;
        }
        *p = '0';
    }
    *p = '1';
    snprintf(e, TEXT_MAX - (size_t)(e - scientific), "e%ld", strtol(e + 1, NULL, 10) + 1);
}

static bool reads_as(const char *text, double magnitude, bool single)
{
    return single ? (double)strtof(text, NULL) == magnitude : strtod(text, NULL) == magnitude;
}

/* The fewest digits that read as the number again, two at least, and of those the closest: what Java prints since
 * version 19. Below a power of two the gap is half as wide as above, so the nearest decimal may not do where the
 * next one does. */
static void put_number(struct buf *out, double d, bool single)
{
    char text[TEXT_MAX], digits[DIGITS_MAX];
    int exponent;
    double magnitude = fabs(d);
    if (put_special(out, d))
        return;
    for (int precision = 1; precision < DIGITS_MAX; precision++) {
        snprintf(text, sizeof text, "%.*e", precision, magnitude);
        if (reads_as(text, magnitude, single))
            break;
        increment(text);
        if (reads_as(text, magnitude, single))
            break;
    }
    int n = split(text, digits, &exponent);
    put_shortest(out, magnitude, digits, n, exponent);
}

void avro_put_double(struct buf *out, double d)
{
    put_number(out, d, false);
}

void avro_put_float(struct buf *out, float f)
{
    put_number(out, (double)f, true);
}

/* digits, a point and an exponent as Java's grammar has them: "1.", ".5", "0x1.8p3", but no lone "." */
static bool is_java_number(const char *p, size_t n)
{
    bool hex = n > 2 && p[0] == '0' && (p[1] | 32) == 'x', point = false;
    size_t i = hex ? 2 : 0, digits = 0;
    for (; i < n && (p[i] == '.' || (hex ? isxdigit((unsigned char)p[i]) : isdigit((unsigned char)p[i]))); i++) {
        if (p[i] == '.' && point)
            return false;
        point = point || p[i] == '.';
        digits += p[i] != '.';
    }
    bool exponent = i < n && (p[i] | 32) == (hex ? 'p' : 'e');
    if (digits == 0 || (hex && !exponent))
        return false;
    if (!exponent)
        return i == n;
    i++;
    i += i < n && (p[i] == '+' || p[i] == '-');
    size_t from = i;
    while (i < n && isdigit((unsigned char)p[i]))
        i++;
    return i == n && i > from;
}

struct slice avro_trim(struct slice text)
{
    while (text.n && text.p[0] <= ' ')
        text = slice_of(text.p + 1, text.n - 1);
    while (text.n && text.p[text.n - 1] <= ' ')
        text.n--;
    return text;
}

bool avro_parse_double(struct slice text, double *out)
{
    char copy[DOUBLE_TEXT_MAX + 1], *p = copy;
    text = avro_trim(text);
    if (text.n == 0 || text.n > DOUBLE_TEXT_MAX || memchr(text.p, 0, text.n))
        return false;
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    bool negative = *p == '-';
    p += *p == '-' || *p == '+';
    size_t n = strlen(p);
    if (!strcmp(p, "NaN") || !strcmp(p, "Infinity")) {
        *out = *p == 'N' ? NAN : negative ? -INFINITY : INFINITY;
        return true;
    }
    bool hex = n > 2 && (p[1] | 32) == 'x';
    if (n && strchr("fFdD", p[n - 1]) && (!hex || memchr(p, 'p', n) || memchr(p, 'P', n)))
        p[--n] = '\0';
    if (!is_java_number(p, n))
        return false;
    *out = negative ? -strtod(p, NULL) : strtod(p, NULL);
    return true;
}

bool avro_number_is_integral(struct slice text)
{
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] == '.' || (text.p[i] | 32) == 'e')
            return false;
    return true;
}

bool avro_number_int64(struct slice text, int64_t *out)
{
    bool negative = text.n && text.p[0] == '-';
    uint64_t v = 0, limit = negative ? (uint64_t)INT64_MAX + 1 : INT64_MAX;
    if (!avro_number_is_integral(text))
        return false;
    for (size_t i = negative; i < text.n; i++) {
        uint64_t digit = (uint64_t)(text.p[i] - '0');
        if (v > (limit - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    *out = negative ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

static void print_number(struct buf *out, struct slice text)
{
    char copy[JSON_TEXT_NUMBER_MAX + 1];
    if (avro_number_is_integral(text)) {
        buf_put_slice(out, text.n == 2 && text.p[0] == '-' && text.p[1] == '0' ? slice_str("0") : text);
        return;
    }
    size_t n = text.n < sizeof copy - 1 ? text.n : sizeof copy - 1;
    memcpy(copy, text.p, n);
    copy[n] = '\0';
    avro_put_double(out, strtod(copy, NULL));
}

static int by_member(const void *a, const void *b)
{
    const struct jmember *const *x = a, *const *y = b;
    return slice_cmp((*x)->name, (*y)->name);
}

static void print_object(struct buf *out, const struct jvalue *v, bool sorted)
{
    const struct jmember **order = sorted && v->n ? malloc(v->n * sizeof *order) : NULL;
    buf_put_str(out, "{");
    if (order) {
        for (uint32_t i = 0; i < v->n; i++)
            order[i] = &v->u.object.members[i];
        qsort(order, v->n, sizeof *order, by_member);
    }
    for (uint32_t i = 0; i < v->n; i++) {
        const struct jmember *m = order ? order[i] : &v->u.object.members[i];
        buf_put_str(out, i ? "," : "");
        json_text_print_string(out, m->name);
        buf_put_str(out, ":");
        if (sorted)
            avro_print_json_sorted(out, &m->value);
        else
            avro_print_json(out, &m->value);
    }
    buf_put_str(out, "}");
    free(order);
}

static void print(struct buf *out, const struct jvalue *v, bool sorted)
{
    switch (v->kind) {
    case J_NULL:
        buf_put_str(out, "null");
        break;
    case J_FALSE:
        buf_put_str(out, "false");
        break;
    case J_TRUE:
        buf_put_str(out, "true");
        break;
    case J_NUMBER:
        print_number(out, v->u.text);
        break;
    case J_STRING:
        json_text_print_string(out, v->u.text);
        break;
    case J_ARRAY:
        buf_put_str(out, "[");
        for (uint32_t i = 0; i < v->n; i++) {
            buf_put_str(out, i ? "," : "");
            print(out, &v->u.items[i], sorted);
        }
        buf_put_str(out, "]");
        break;
    case J_OBJECT:
        print_object(out, v, sorted);
        break;
    }
}

void avro_print_json(struct buf *out, const struct jvalue *v)
{
    print(out, v, false);
}

void avro_print_json_sorted(struct buf *out, const struct jvalue *v)
{
    print(out, v, true);
}

bool avro_json_same(const struct jvalue *a, const struct jvalue *b)
{
    struct buf x, y;
    if (a->kind != b->kind || a->n != b->n)
        return false;
    buf_init(&x, AVRO_PRINT_MAX);
    buf_init(&y, AVRO_PRINT_MAX);
    avro_print_json_sorted(&x, a);
    avro_print_json_sorted(&y, b);
    bool same = buf_error(&x) == ERR_OK && buf_error(&y) == ERR_OK && slice_eq(buf_slice(&x), buf_slice(&y));
    buf_free(&x);
    buf_free(&y);
    return same;
}
