/* SPDX-License-Identifier: Apache-2.0
 * Options in one order and one form: custom names qualified, (name).part = value written as a map, sorted by name, and
 * the settings of an option that is not repeated merged into one. */
#include "registry/protobuf_model.h"

#include <stdlib.h>

struct merging {
    const struct proto_schema *s;
    struct arena *arena;
};

static struct proto_value as_map(struct merging *g, const struct proto_option *inner);

/* Maps without empty lists, keys sorted, extension keys qualified, all the way down. */
static struct proto_value tidy(struct merging *g, const struct proto_value *v);

static int by_key(const void *a, const void *b)
{
    return slice_cmp(((const struct proto_entry *)a)->key, ((const struct proto_entry *)b)->key);
}

static struct slice qualified_key(struct merging *g, struct slice key)
{
    struct buf full;
    if (key.n < 3 || key.p[0] != '[' || key.p[key.n - 1] != ']')
        return key;
    buf_init(&full, PROTOBUF_SCHEMA_SIZE_MAX);
    struct slice name = slice_of(key.p + 1, key.n - 2);
    if (proto_find_extension(g->s, slice_str(""), name, &full)) {
        const char *text = arena_printf(g->arena, "[%.*s]", SLICE_FMT(buf_slice(&full)));
        key = text ? slice_str(text) : key;
    }
    buf_free(&full);
    return key;
}

static struct proto_value tidy(struct merging *g, const struct proto_value *v)
{
    struct proto_value out = *v;
    if (v->kind == PROTO_OPTION)
        return as_map(g, v->inner);
    if (v->kind == PROTO_LIST) {
        out.items = arena_array(g->arena, v->n + 1, sizeof *out.items);
        out.cap = out.n;
        for (uint32_t i = 0; out.items && i < v->n; i++)
            out.items[i] = tidy(g, &v->items[i]);
        return out.items ? out : *v;
    }
    if (v->kind != PROTO_MAP)
        return out;
    out.entries = arena_array(g->arena, v->n + 1, sizeof *out.entries);
    out.n = 0;
    for (uint32_t i = 0; out.entries && i < v->n; i++) {
        const struct proto_entry *e = &v->entries[i];
        if (e->value.kind != PROTO_LIST || e->value.n)
            out.entries[out.n++] = (struct proto_entry){qualified_key(g, e->key), tidy(g, &e->value)};
    }
    if (!out.entries)
        return *v;
    qsort(out.entries, out.n, sizeof *out.entries, by_key);
    out.cap = out.n;
    return out;
}

static struct proto_value as_map(struct merging *g, const struct proto_option *inner)
{
    struct proto_value map = {.kind = PROTO_MAP};
    struct proto_entry *e = proto_more(g->arena, &map.entries, &map.n, &map.cap, sizeof *e);
    if (e)
        *e = (struct proto_entry){inner->name, tidy(g, &inner->value)};
    return map;
}

static const struct proto_field *field_of(const struct protobuf_message *m, struct slice name)
{
    for (uint32_t i = 0; m && i < m->fields.n; i++)
        if (slice_eq(m->fields.v[i].name, name))
            return &m->fields.v[i];
    for (uint32_t i = 0; m && i < m->oneofs.n; i++)
        for (uint32_t k = 0; k < m->oneofs.v[i].fields.n; k++)
            if (slice_eq(m->oneofs.v[i].fields.v[k].name, name))
                return &m->oneofs.v[i].fields.v[k];
    return NULL;
}

static const struct protobuf_message *message_of(struct merging *g, const struct proto_field *f)
{
    const struct protobuf_message *m = f ? proto_find_type(g->s, g->s->file.package, slice_str(""), f->type) : NULL;
    return m && !m->is_enum ? m : NULL;
}

static bool same_value(const struct proto_value *a, const struct proto_value *b)
{
    if (a->kind != b->kind || a->n != b->n || !slice_eq(a->text, b->text))
        return false;
    for (uint32_t i = 0; i < a->n; i++)
        if (a->kind == PROTO_MAP ? !slice_eq(a->entries[i].key, b->entries[i].key) ||
                                       !same_value(&a->entries[i].value, &b->entries[i].value)
                                 : !same_value(&a->items[i], &b->items[i]))
            return false;
    return a->kind != PROTO_OPTION;
}

/* Each value once. */
static void add_to_list(struct merging *g, struct proto_value *list, const struct proto_value *v)
{
    for (uint32_t i = 0; i < (v->kind == PROTO_LIST ? v->n : 1); i++) {
        const struct proto_value *one = v->kind == PROTO_LIST ? &v->items[i] : v;
        uint32_t k = 0;
        while (k < list->n && !same_value(&list->items[k], one))
            k++;
        struct proto_value *item =
            k == list->n ? proto_more(g->arena, &list->items, &list->n, &list->cap, sizeof *item) : NULL;
        if (item)
            *item = *one;
    }
}

static struct proto_value merge_maps(struct merging *g, const struct proto_field *f, const struct proto_value *a,
                                     const struct proto_value *b, unsigned depth);

static struct proto_value merge_values(struct merging *g, const struct proto_field *f, const struct proto_value *a,
                                       const struct proto_value *b, unsigned depth)
{
    bool singular = f && f->label != PROTO_REPEATED;
    struct proto_value list = a->kind == PROTO_LIST ? *a : (struct proto_value){.kind = PROTO_LIST};
    if (singular && a->kind == PROTO_MAP && b->kind == PROTO_MAP && message_of(g, f) && depth < PROTOBUF_DEPTH_MAX)
        return merge_maps(g, f, a, b, depth + 1);
    if (singular)
        return *b;
    if (a->kind != PROTO_LIST)
        add_to_list(g, &list, a);
    add_to_list(g, &list, b);
    return list;
}

static struct proto_value merge_maps(struct merging *g, const struct proto_field *f, const struct proto_value *a,
                                     const struct proto_value *b, unsigned depth)
{
    const struct protobuf_message *m = message_of(g, f);
    struct proto_value out = {.kind = PROTO_MAP};
    for (uint32_t i = 0; i < a->n + b->n; i++) {
        const struct proto_entry *from = i < a->n ? &a->entries[i] : &b->entries[i - a->n];
        uint32_t k = 0;
        while (k < out.n && !slice_eq(out.entries[k].key, from->key))
            k++;
        if (k < out.n) {
            out.entries[k].value = merge_values(g, field_of(m, from->key), &out.entries[k].value, &from->value, depth);
            continue;
        }
        struct proto_entry *e = proto_more(g->arena, &out.entries, &out.n, &out.cap, sizeof *e);
        if (e)
            *e = *from;
    }
    return out;
}

/* The parts of a name whose option is not known stay parts; what they are set to is tidied. */
static struct proto_option *tidy_inner(struct merging *g, const struct proto_option *inner)
{
    struct proto_option *copy = arena_alloc(g->arena, sizeof *copy);
    if (!copy)
        return (struct proto_option *)inner;
    *copy = *inner;
    if (copy->value.kind == PROTO_OPTION)
        copy->value.inner = tidy_inner(g, copy->value.inner);
    else
        copy->value = tidy(g, &copy->value);
    return copy;
}

static struct proto_option normal_option(struct merging *g, const struct proto_option *o, struct slice scope)
{
    struct proto_option out = *o;
    struct buf full;
    buf_init(&full, PROTOBUF_SCHEMA_SIZE_MAX);
    if (o->custom && proto_find_extension(g->s, scope, o->name, &full)) {
        struct slice name = arena_copy(g->arena, buf_slice(&full));
        if (!slice_is_null(name))
            out.name = name;
        if (o->value.kind == PROTO_OPTION)
            out.value = as_map(g, o->value.inner);
    }
    buf_free(&full);
    if (out.value.kind == PROTO_OPTION)
        out.value.inner = tidy_inner(g, out.value.inner);
    else
        out.value = tidy(g, &out.value);
    return out;
}

struct placed {
    struct proto_option option;
    uint32_t at;
};

/* Equal names keep the order they were written in. */
static int by_name(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;
    int c = slice_cmp(x->option.name, y->option.name);
    return c ? c : (x->at > y->at) - (x->at < y->at);
}

static uint32_t sorted_options(struct merging *g, const struct proto_options *o, struct slice scope,
                               struct placed **out)
{
    struct placed *v = *out = arena_array(g->arena, o->n + 1, sizeof *v);
    for (uint32_t i = 0; v && i < o->n; i++)
        v[i] = (struct placed){normal_option(g, &o->v[i], scope), i};
    if (v)
        qsort(v, o->n, sizeof *v, by_name);
    return v ? o->n : 0;
}

struct proto_options proto_normal_options(const struct proto_schema *s, const struct proto_options *o,
                                          struct slice scope, struct arena *a)
{
    struct merging g = {s, a};
    struct proto_options out = {0};
    struct placed *all;
    bool merged = false;
    uint32_t n = sorted_options(&g, o, scope, &all);
    for (uint32_t i = 0; i < n; i++) {
        struct proto_option *last = out.n ? &out.v[out.n - 1] : NULL;
        struct buf full;
        buf_init(&full, PROTOBUF_SCHEMA_SIZE_MAX);
        const struct proto_field *f =
            all[i].option.custom ? proto_find_extension(s, slice_str(""), all[i].option.name, &full) : NULL;
        buf_free(&full);
        if (last && f && f->label != PROTO_REPEATED && slice_eq(last->name, all[i].option.name)) {
            if (last->value.kind == PROTO_MAP && all[i].option.value.kind == PROTO_MAP) {
                last->value = merge_maps(&g, f, &last->value, &all[i].option.value, 0);
                merged = true;
            } else {
                last->value = all[i].option.value;
            }
            continue;
        }
        struct proto_option *one = PROTO_MORE(a, out);
        if (one)
            *one = all[i].option;
    }
    for (uint32_t i = 0; merged && i < out.n; i++)
        if (out.v[i].value.kind == PROTO_MAP)
            out.v[i].value = tidy(&g, &out.v[i].value);
    return out;
}
