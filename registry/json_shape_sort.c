/* SPDX-License-Identifier: Apache-2.0
 * The order in which the reference counts the parts of combined JSON schemas: by kind in alphabetical order of the
 * kinds' names, then title, description and default, then what is particular to the kind. */
#include "registry/json_compat_shape.h"
#include "registry/json_tags.h"

#include <stdlib.h>

enum { COMPARE_DEPTH_MAX = 64 };

static int compare(const struct shape_sorting *s, struct arena *a, struct shape *x, struct shape *y, unsigned depth);

static int rank_of(const struct shape *s)
{
    static const int ranks[] = {
        [SHAPE_ARRAY] = 0,   [SHAPE_BOOLEAN] = 1, [SHAPE_COMBINED] = 2,   [SHAPE_CONDITIONAL] = 3, [SHAPE_CONST] = 4,
        [SHAPE_EMPTY] = 5,   [SHAPE_ENUM] = 6,    [SHAPE_FALSE] = 7,      [SHAPE_NOT] = 8,         [SHAPE_NULL] = 9,
        [SHAPE_NUMBER] = 10, [SHAPE_OBJECT] = 11, [SHAPE_REFERENCE] = 12, [SHAPE_STRING] = 13};
    return s->kind == SHAPE_EMPTY && s->node->boolean ? 14 : ranks[s->kind];
}

/* As Java's toString() has it: strings bare. */
static struct slice text_of(struct arena *a, const struct jvalue *v)
{
    struct buf b;
    if (!v || v->kind == J_STRING)
        return v ? v->u.text : SLICE_NULL;
    buf_init(&b, 0);
    json_text_print(&b, v, JSON_TEXT_AS_WRITTEN);
    struct slice s = arena_copy(a, buf_slice(&b));
    buf_free(&b);
    return s;
}

/* Null first. */
static int compare_text(struct slice x, struct slice y)
{
    if (slice_is_null(x) || slice_is_null(y))
        return slice_is_null(y) - slice_is_null(x);
    return slice_cmp(x, y);
}

static int compare_member(struct arena *a, const struct shape *x, const struct shape *y, const char *name)
{
    const struct jvalue *v = x->whole ? json_text_get_str(x->node->value, name) : NULL;
    const struct jvalue *w = y->whole ? json_text_get_str(y->node->value, name) : NULL;
    return compare_text(text_of(a, v), text_of(a, w));
}

static int by_text(const void *a, const void *b)
{
    return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

static int compare_sets(struct slice *x, uint32_t n, struct slice *y, uint32_t m)
{
    if (n != m || !x || !y)
        return (n > m) - (n < m);
    qsort(x, n, sizeof *x, by_text);
    qsort(y, n, sizeof *y, by_text);
    for (uint32_t i = 0; i < n; i++) {
        int c = slice_cmp(x[i], y[i]);
        if (c)
            return c;
    }
    return 0;
}

static struct slice *values_of(struct arena *a, const struct jvalue *list, uint32_t *n)
{
    *n = list && list->kind == J_ARRAY ? list->n : 0;
    struct slice *out = arena_array(a, (size_t)*n + 1, sizeof *out);
    for (uint32_t i = 0; out && i < *n; i++)
        out[i] = text_of(a, &list->u.items[i]);
    return out;
}

static struct slice *names_of(struct arena *a, const struct json_node *node, bool required, uint32_t *n)
{
    const struct json_object_rules *o = node->object;
    struct slice *out = arena_array(a, o ? (size_t)o->properties_n + 1 : 1, sizeof *out);
    *n = 0;
    for (uint32_t i = 0; out && o && i < o->properties_n; i++)
        if (required ? o->properties[i].required : o->properties[i].node != NULL)
            out[(*n)++] = o->properties[i].name;
    return out;
}

static int compare_objects(struct arena *a, const struct shape *x, const struct shape *y)
{
    int c = 0;
    for (int required = 0; required < 2 && !c; required++) {
        uint32_t n, m;
        struct slice *v = names_of(a, x->node, required, &n), *w = names_of(a, y->node, required, &m);
        c = compare_sets(v, n, w, m);
    }
    return c;
}

static int compare_nodes(const struct shape_sorting *s, struct arena *a, const struct json_node *x,
                         const struct json_node *y, unsigned depth)
{
    return compare(s, a, shape_unfollowed(s->shapes, x), shape_unfollowed(s->shapes, y), depth);
}

static int compare_combined(const struct shape_sorting *s, struct arena *a, struct shape *x, struct shape *y,
                            unsigned depth)
{
    static const char *const words[] = {"allof", "anyof", "oneof"};
    int c = strcmp(words[x->criterion], words[y->criterion]);
    if (c || !shape_fill(s->shapes, x) || !shape_fill(s->shapes, y) || x->n != y->n)
        return c ? c : (x->n > y->n) - (x->n < y->n);
    struct shape **v = shape_sorted(s, a, x->parts, x->n), **w = shape_sorted(s, a, y->parts, y->n);
    for (uint32_t i = 0; v && w && i < x->n && !c; i++)
        c = compare(s, a, v[i], w[i], depth);
    return c;
}

static int compare_kind(const struct shape_sorting *s, struct arena *a, struct shape *x, struct shape *y,
                        unsigned depth)
{
    const struct json_node *n = x->node, *m = y->node;
    uint32_t i, k;
    int c;
    switch (x->kind) {
    case SHAPE_CONST:
        return compare_text(text_of(a, n->constant), text_of(a, m->constant));
    case SHAPE_ENUM: {
        struct slice *v = values_of(a, n->enumeration, &i), *w = values_of(a, m->enumeration, &k);
        return compare_sets(v, i, w, k);
    }
    case SHAPE_COMBINED:
        return compare_combined(s, a, x, y, depth);
    case SHAPE_NOT:
    case SHAPE_REFERENCE:
        return compare_nodes(s, a, x->inner, y->inner, depth);
    case SHAPE_CONDITIONAL:
        c = compare_nodes(s, a, n->if_, m->if_, depth);
        c = c ? c : compare_nodes(s, a, n->then_, m->then_, depth);
        return c ? c : compare_nodes(s, a, n->else_, m->else_, depth);
    case SHAPE_OBJECT:
        return compare_objects(a, x, y);
    case SHAPE_ARRAY:
        return compare_nodes(s, a, shape_items_of(s->shapes, x).every, shape_items_of(s->shapes, y).every, depth);
    case SHAPE_EMPTY:
    case SHAPE_FALSE:
    case SHAPE_NULL:
    case SHAPE_BOOLEAN:
    case SHAPE_STRING:
    case SHAPE_NUMBER:
        break;
    }
    return 0;
}

static int compare(const struct shape_sorting *s, struct arena *a, struct shape *x, struct shape *y, unsigned depth)
{
    if (x == y || depth > COMPARE_DEPTH_MAX || *s->work == 0)
        return 0;
    --*s->work;
    if (!x || !y)
        return x ? 1 : -1;
    int c = rank_of(x) - rank_of(y);
    c = c ? c : compare_member(a, x, y, "title");
    c = c ? c : compare_member(a, x, y, "description");
    c = c ? c : compare_member(a, x, y, "default");
    return c ? c : compare_kind(s, a, x, y, depth + 1);
}

struct sorting_call {
    const struct shape_sorting *s;
    struct arena *a;
};

struct placed_shape {
    struct shape *shape;
    uint32_t at;
};

static int by_order(const void *a, const void *b, void *ctx)
{
    const struct placed_shape *x = a, *y = b;
    struct sorting_call *call = ctx;
    int c = compare(call->s, call->a, x->shape, y->shape, 0);
    return c ? c : (x->at > y->at) - (x->at < y->at);
}

struct shape **shape_sorted(const struct shape_sorting *s, struct arena *a, struct shape *const *parts, uint32_t n)
{
    struct placed_shape *all = arena_array(a, (size_t)n + 1, sizeof *all);
    struct shape **out = arena_array(a, (size_t)n + 1, sizeof *out);
    struct sorting_call call = {s, a};
    if (!all || !out)
        return NULL;
    for (uint32_t i = 0; i < n; i++)
        all[i] = (struct placed_shape){parts[i], i};
    qsort_r(all, n, sizeof *all, by_order, &call);
    for (uint32_t i = 0; i < n; i++)
        out[i] = all[i].shape;
    return out;
}
