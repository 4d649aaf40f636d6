/* SPDX-License-Identifier: Apache-2.0
 * Numbers as Java and Jackson print them. A JSON number with a point or an exponent is a double to them, so 1e2 in a
 * default comes out as 100.0; whole numbers keep their digits whatever their size. */
#include "registry/avro_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { DIGITS_MAX = 17, TEXT_MAX = 40 };

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

void avro_put_double(struct buf *out, double d)
{
    char text[TEXT_MAX], digits[DIGITS_MAX];
    int exponent;
    if (put_special(out, d))
        return;
    for (int precision = 0; precision < DIGITS_MAX; precision++) {
        snprintf(text, sizeof text, "%.*e", precision, fabs(d));
        if (strtod(text, NULL) == fabs(d))
            break;
    }
    int n = split(text, digits, &exponent);
    put_shortest(out, fabs(d), digits, n, exponent);
}

void avro_put_float(struct buf *out, float f)
{
    char text[TEXT_MAX], digits[DIGITS_MAX];
    int exponent;
    if (put_special(out, (double)f))
        return;
    for (int precision = 0; precision < 9; precision++) {
        snprintf(text, sizeof text, "%.*e", precision, fabs((double)f));
        if (strtof(text, NULL) == fabsf(f))
            break;
    }
    int n = split(text, digits, &exponent);
    put_shortest(out, fabs((double)f), digits, n, exponent);
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
