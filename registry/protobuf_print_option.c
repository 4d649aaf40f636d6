/* SPDX-License-Identifier: Apache-2.0
 * The lower half of printing a .proto file: indentation, values and options. */
#include "registry/protobuf_print.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static void put_n(struct writing *w, const uint8_t *p, size_t n)
{
    while (n) {
        const uint8_t *newline = memchr(p, '\n', n);
        size_t k = newline ? (size_t)(newline - p) : n;
        if (!w->line_started)
            for (unsigned i = 0; i < w->level; i++)
                buf_put_str(w->out, "  ");
        buf_put(w->out, p, k);
        w->line_started = !newline;
        if (newline) {
            buf_put_str(w->out, "\n");
            k++;
        }
        p += k;
        n -= k;
    }
}

void proto_put_slice(struct writing *w, struct slice s)
{
    put_n(w, s.p, s.n);
}

void proto_put(struct writing *w, const char *s)
{
    put_n(w, (const uint8_t *)s, strlen(s));
}

void proto_put_break(struct writing *w, bool wanted)
{
    w->level--;
    proto_put(w, wanted ? "\n" : "");
    w->level++;
}

void proto_put_int(struct writing *w, int32_t v)
{
    char text[16];
    struct slice s = slice_of(text, (size_t)snprintf(text, sizeof text, "%d", (int)v));
    proto_put_slice(w, s);
}

bool proto_is_normal(const struct writing *w)
{
    return w->style == PROTO_NORMAL;
}

void *proto_sorted(struct writing *w, const void *v, uint32_t n, size_t size, int (*order)(const void *, const void *))
{
    void *copy = n ? arena_array(&w->arena, n, size) : NULL;
    if (n && !copy)
        w->error = ERR_NO_MEMORY;
    if (copy) {
        memcpy(copy, v, n * size);
        if (order)
            qsort(copy, n, size, order);
    }
    return copy;
}

/* --- options --- */

static void put_value(struct writing *w, const struct proto_value *v);
static void put_option(struct writing *w, const struct proto_option *o);

static void put_quoted(struct writing *w, struct slice s)
{
    static const char from[] = "\a\b\f\n\r\t\v\\'\"", to[] = "abfnrtv\\'\"";
    proto_put(w, "\"");
    for (size_t i = 0; i < s.n; i++) {
        const char *at = s.p[i] ? strchr(from, s.p[i]) : NULL;
        char two[3] = {'\\', at ? to[at - from] : 0, 0};
        if (at)
            proto_put(w, two);
        else
            put_n(w, s.p + i, 1);
    }
    proto_put(w, "\"");
}

static size_t count_digits(const char *p)
{
    size_t n = 0;
    while (p[n] >= '0' && p[n] <= '9')
        n++;
    return n;
}

enum { NUMBER_MAX = 60, FRACTION_MAX = 3 };

/* "1.500" as "1.5", "1.0f" as "1", "1e3" as "1000"; the reference rounds longer fractions, which are left alone here.
 */
static bool plain_decimal(const char *text, char *out)
{
    char digits[NUMBER_MAX + 1], *end;
    const char *p = text + (*text == '-');
    size_t whole = count_digits(p), fraction = p[whole] == '.' ? count_digits(p + whole + 1) : 0;
    const char *rest = p + whole + (p[whole] == '.' ? 1 + fraction : 0);
    long exponent = 0;
    if (whole + fraction == 0 || (whole > 1 && *p == '0'))
        return false;
    if (*rest == 'e' || *rest == 'E') {
        exponent = strtol(rest + 1, &end, 10);
        if (end == rest + 1)
            return false;
        rest = end;
    }
    if ((*rest && strchr("fFdD", *rest) && !rest[1]) ? false : *rest != '\0')
        return false;
    memcpy(digits, p, whole);
    memcpy(digits + whole, p + whole + 1, fraction);
    size_t n = whole + fraction, from = 0;
    while (from < n && digits[from] == '0')
        from++;
    while (n > from && digits[n - 1] == '0')
        n--;
    long point = (long)whole + exponent; /* digits before it, zeros in front counted */
    if (n > from && ((long)n - point > FRACTION_MAX || point > NUMBER_MAX - 10))
        return false;
    if (*text == '-')
        *out++ = '-';
    if (n == from || point <= (long)from)
        *out++ = '0';
    for (long i = (long)from; n > from && i < point; i++)
        *out++ = i < (long)n ? digits[i] : '0';
    if (n > from && (long)n > point)
        *out++ = '.';
    for (long i = point; n > from && i < (long)n; i++)
        *out++ = i < (long)from ? '0' : digits[i];
    *out = '\0';
    return true;
}

/* Whole numbers in decimal, fractions without closing zeros; what is neither, as it stands. */
static void put_number(struct writing *w, struct slice s)
{
    char text[NUMBER_MAX / 2 + 1], out[NUMBER_MAX * 2], *end;
    if (!proto_is_normal(w) || s.n == 0 || s.n > NUMBER_MAX / 2) {
        proto_put_slice(w, s);
        return;
    }
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    errno = 0;
    long long v = strtoll(text, &end, 0);
    if (*end == '\0' && errno == 0)
        snprintf(out, sizeof out, "%lld", v);
    else if (!plain_decimal(text, out))
        memcpy(out, text, s.n + 1);
    proto_put(w, out);
}

static void put_map(struct writing *w, const struct proto_value *map)
{
    w->level++;
    for (uint32_t i = 0; i < map->n; i++) {
        proto_put_slice(w, map->entries[i].key);
        proto_put(w, ": ");
        put_value(w, &map->entries[i].value);
        proto_put(w, i + 1 < map->n ? ",\n" : "\n");
    }
    w->level--;
}

static void put_list(struct writing *w, const struct proto_value *list)
{
    proto_put(w, "[\n");
    w->level++;
    for (uint32_t i = 0; i < list->n; i++) {
        put_value(w, &list->items[i]);
        proto_put(w, i + 1 < list->n ? ",\n" : "\n");
    }
    w->level--;
    proto_put(w, "]");
}

/* A value inside of a map or list. */
static void put_value(struct writing *w, const struct proto_value *v)
{
    switch (v->kind) {
    case PROTO_STRING:
        put_quoted(w, v->text);
        break;
    case PROTO_NUMBER:
        put_number(w, v->text);
        break;
    case PROTO_BOOLEAN:
    case PROTO_WORD:
        proto_put_slice(w, v->text);
        break;
    case PROTO_MAP:
        proto_put(w, "{\n");
        put_map(w, v);
        proto_put(w, "}");
        break;
    case PROTO_LIST:
        if (proto_is_normal(w) && v->n == 1)
            put_value(w, &v->items[0]);
        else
            put_list(w, v);
        break;
    case PROTO_OPTION:
        put_option(w, v->inner);
        break;
    }
}

static void put_option(struct writing *w, const struct proto_option *o)
{
    proto_put(w, o->custom ? "(" : "");
    proto_put_slice(w, o->name);
    proto_put(w, o->custom ? ")" : "");
    if (o->value.kind == PROTO_OPTION) {
        proto_put(w, ".");
        put_option(w, o->value.inner);
        return;
    }
    proto_put(w, " = ");
    if (o->value.kind == PROTO_LIST && o->value.n == 1) {
        proto_put(w, "[");
        put_value(w, &o->value.items[0]);
        proto_put(w, "]");
    } else if (o->value.kind == PROTO_LIST) {
        put_list(w, &o->value);
    } else {
        put_value(w, &o->value);
    }
}

struct proto_options proto_chosen_options(struct writing *w, const struct proto_options *o)
{
    struct proto_options out = {0};
    if (o->n == 0 || w->style == PROTO_CANONICAL)
        return *o;
    if (proto_is_normal(w))
        return proto_normal_options(w->s, o, w->scope, &w->arena);
    for (uint32_t i = 0; i < o->n; i++) {
        if (o->v[i].custom && !slice_starts(o->v[i].name, slice_str("confluent.")))
            continue;
        struct proto_option *one = PROTO_MORE(&w->arena, out);
        if (!one) {
            w->error = ERR_NO_MEMORY;
            break;
        }
        *one = o->v[i];
    }
    return out;
}

void proto_put_declared_options(struct writing *w, const struct proto_options *o)
{
    for (uint32_t i = 0; i < o->n; i++) {
        proto_put(w, "option ");
        put_option(w, &o->v[i]);
        proto_put(w, ";\n");
    }
}

void proto_put_bracketed_options(struct writing *w, const struct proto_options *all)
{
    struct proto_options o = proto_chosen_options(w, all);
    if (o.n == 0)
        return;
    proto_put(w, o.n == 1 ? " [" : " [\n");
    w->level += o.n > 1;
    for (uint32_t i = 0; i < o.n; i++) {
        put_option(w, &o.v[i]);
        if (o.n > 1)
            proto_put(w, i + 1 < o.n ? ",\n" : "\n");
    }
    w->level -= o.n > 1;
    proto_put(w, "]");
}
