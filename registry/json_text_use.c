/* SPDX-License-Identifier: Apache-2.0
 * Using a JSON tree: look-up, equality, hash, printing. Recursion is bounded by the reader's depth limit. */
#include "registry/json_number.h"
#include "registry/json_scan.h"
#include "registry/json_text.h"

#include <stdlib.h>

static const struct jvalue *get_sorted(const struct jvalue *o, struct slice name)
{
    uint32_t low = 0, high = o->n;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct jmember *m = &o->u.object.members[o->u.object.sorted[middle]];
        int c = slice_cmp(m->name, name);
        if (c == 0)
            return &m->value;
        if (c < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const struct jvalue *json_text_get(const struct jvalue *object, struct slice name)
{
    if (!object || object->kind != J_OBJECT)
        return NULL;
    if (object->u.object.sorted)
        return get_sorted(object, name);
    for (uint32_t i = 0; i < object->n; i++) {
        const struct jmember *m = &object->u.object.members[i];
        if (m->name.n == name.n && memcmp(m->name.p, name.p, name.n) == 0)
            return &m->value;
    }
    return NULL;
}

const struct jvalue *json_text_get_str(const struct jvalue *object, const char *name)
{
    return json_text_get(object, slice_str(name));
}

bool json_text_is_str(const struct jvalue *v, const char *s)
{
    return v && v->kind == J_STRING && slice_eq_str(v->u.text, s);
}

/* In Java an integer is not a decimal, and decimals have a scale: two numbers are one when they print alike. */
static bool same_number(struct slice a, struct slice b, bool java)
{
    struct json_number x = json_number_of(a), y = json_number_of(b);
    struct buf print[2];
    bool same = json_number_cmp(&x, &y) == 0;
    if (!same || !java || slice_eq(a, b))
        return same;
    buf_init(&print[0], 0);
    buf_init(&print[1], 0);
    json_number_print(&print[0], a);
    json_number_print(&print[1], b);
    same = buf_error(&print[0]) == ERR_OK && buf_error(&print[1]) == ERR_OK &&
           slice_eq(buf_slice(&print[0]), buf_slice(&print[1]));
    buf_free(&print[0]);
    buf_free(&print[1]);
    return same;
}

static bool equal(const struct jvalue *a, const struct jvalue *b, bool java)
{
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case J_NULL:
    case J_FALSE:
    case J_TRUE:
        return true;
    case J_STRING:
        return slice_eq(a->u.text, b->u.text);
    case J_NUMBER:
        return same_number(a->u.text, b->u.text, java);
    case J_ARRAY:
        if (a->n != b->n)
            return false;
        for (uint32_t i = 0; i < a->n; i++)
            if (!equal(&a->u.items[i], &b->u.items[i], java))
                return false;
        return true;
    case J_OBJECT:
        if (a->n != b->n)
            return false;
        for (uint32_t i = 0; i < a->n; i++) {
            const struct jvalue *other = json_text_get(b, a->u.object.members[i].name);
            if (!other || !equal(&a->u.object.members[i].value, other, java))
                return false;
        }
        return true;
    }
    return false;
}

bool json_text_equal(const struct jvalue *a, const struct jvalue *b)
{
    return equal(a, b, false);
}

bool json_text_equal_java(const struct jvalue *a, const struct jvalue *b)
{
    return equal(a, b, true);
}

static uint64_t mix(uint64_t h)
{
    h ^= h >> 33;
    h *= 0xff51afd7ed558ccdu;
    h ^= h >> 33;
    return h;
}

static uint64_t hash_bytes(struct slice s)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < s.n; i++)
        h = (h ^ s.p[i]) * 0x100000001b3u;
    return h;
}

uint64_t json_text_hash(const struct jvalue *v)
{
    uint64_t h = mix((uint64_t)v->kind + 1);
    switch (v->kind) {
    case J_NULL:
    case J_FALSE:
    case J_TRUE:
        break;
    case J_STRING:
        h ^= hash_bytes(v->u.text);
        break;
    case J_NUMBER: {
        struct json_number x = json_number_of(v->u.text);
        h ^= json_number_hash(&x);
        break;
    }
    case J_ARRAY:
        for (uint32_t i = 0; i < v->n; i++)
            h = mix(h * 31 + json_text_hash(&v->u.items[i]));
        break;
    case J_OBJECT: /* a sum, so that order does not count */
        for (uint32_t i = 0; i < v->n; i++) {
            const struct jmember *m = &v->u.object.members[i];
            h += mix(hash_bytes(m->name) ^ mix(json_text_hash(&m->value)));
        }
        break;
    }
    return mix(h);
}

static size_t put_escape(uint8_t *out, uint8_t c)
{
    static const char hex[] = "0123456789ABCDEF";
    static const char letters[0x20] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    out[0] = '\\';
    out[1] = c >= 0x20 ? c : (uint8_t)letters[c];
    if (out[1])
        return 2;
    memcpy(out + 1, "u00", 3);
    out[4] = (uint8_t)hex[c >> 4];
    out[5] = (uint8_t)hex[c & 15];
    return 6;
}

static bool is_escaped(uint8_t c)
{
    return c < 0x20 || c == '"' || c == '\\';
}

/* Escapes the n bytes at `at`; the output has room for six times as many and a word. */
static uint8_t *put_piece(uint8_t *to, const uint8_t *at, size_t n)
{
    const uint8_t *end = at + n;
    while (end - at >= JSON_WORD) {
        size_t plain = json_word_before(json_word_escapes(json_load_word(at)));
        memcpy(to, at, JSON_WORD); /* what is not plain is written over */
        to += plain;
        at += plain;
        if (plain < JSON_WORD)
            to += put_escape(to, *at++);
    }
    for (; at < end; at++) {
        if (is_escaped(*at))
            to += put_escape(to, *at);
        else
            *to++ = *at;
    }
    return to;
}

enum { PIECE = 512, ESCAPE_MAX = 6 };

void json_text_print_string(struct buf *out, struct slice s)
{
    buf_put(out, "\"", 1);
    while (s.n) {
        size_t n = s.n < PIECE ? s.n : PIECE;
        if (!buf_reserve(out, n * ESCAPE_MAX + JSON_WORD))
            return;
        out->n = (size_t)(put_piece(out->p + out->n, s.p, n) - out->p);
        s = slice_of(s.p + n, s.n - n);
    }
    buf_put(out, "\"", 1);
}

static int by_name(const void *a, const void *b)
{
    const struct jmember *const *x = a, *const *y = b;
    return slice_cmp((*x)->name, (*y)->name);
}

static void print_member(struct buf *out, const struct jmember *m, enum json_text_order order, bool first)
{
    if (!first)
        buf_put(out, ",", 1);
    json_text_print_string(out, m->name);
    buf_put(out, ":", 1);
    json_text_print(out, &m->value, order);
}

static void print_object(struct buf *out, const struct jvalue *v, enum json_text_order order)
{
    const struct jmember **sorted = NULL;
    if (order == JSON_TEXT_SORTED && v->n > 1) {
        if (!(sorted = calloc(v->n, sizeof *sorted))) {
            out->error = ERR_NO_MEMORY;
            return;
        }
        for (uint32_t i = 0; i < v->n; i++)
            sorted[i] = &v->u.object.members[i];
        qsort(sorted, v->n, sizeof *sorted, by_name);
    }
    buf_put(out, "{", 1);
    for (uint32_t i = 0; i < v->n; i++)
        print_member(out, sorted ? sorted[i] : &v->u.object.members[i], order, i == 0);
    buf_put(out, "}", 1);
    free(sorted);
}

void json_text_print(struct buf *out, const struct jvalue *v, enum json_text_order order)
{
    switch (v->kind) {
    case J_NULL:
        buf_put_str(out, "null");
        return;
    case J_FALSE:
        buf_put_str(out, "false");
        return;
    case J_TRUE:
        buf_put_str(out, "true");
        return;
    case J_NUMBER:
        json_number_print(out, v->u.text);
        return;
    case J_STRING:
        json_text_print_string(out, v->u.text);
        return;
    case J_ARRAY:
        buf_put(out, "[", 1);
        for (uint32_t i = 0; i < v->n; i++) {
            if (i)
                buf_put(out, ",", 1);
            json_text_print(out, &v->u.items[i], order);
        }
        buf_put(out, "]", 1);
        return;
    case J_OBJECT:
        print_object(out, v, order);
        return;
    }
}

const char *json_text_kind_name(enum jkind kind)
{
    static const char *const names[] = {"null", "boolean", "boolean", "number", "string", "array", "object"};
    return names[kind];
}
