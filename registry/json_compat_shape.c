/* SPDX-License-Identifier: Apache-2.0
 * From compiled nodes to shapes. Which keywords make which shape, and in which order parts stand, follows what the
 * reference's schema loaders do, since paths ("allOf/0") and verdicts show it. Everything lives in the comparison's
 * arena. */
#include "registry/json_compat_shape.h"

enum { PARTS_MAX = 16, REFERENCES_FOLLOWED_MAX = 100 };

bool shapes_init(struct shapes *s, const struct json_schema *schema, struct arena *a)
{
    s->schema = schema;
    s->arena = a;
    s->by_node = arena_array(a, schema->nodes_n ? schema->nodes_n : 1, sizeof *s->by_node);
    return s->by_node != NULL;
}

struct builder {
    struct shapes *shapes;
    const struct json_node *node;
    struct shape *parts[PARTS_MAX];
    uint32_t n;
    bool failed;
};

static struct shape *new_shape(struct builder *b, enum shape_kind kind)
{
    struct shape *s = arena_alloc(b->shapes->arena, sizeof *s);
    if (!s) {
        b->failed = true;
        return NULL;
    }
    s->kind = kind;
    s->node = b->node;
    return s;
}

static struct shape *add_part(struct builder *b, enum shape_kind kind)
{
    struct shape *s = new_shape(b, kind);
    if (s && b->n < PARTS_MAX)
        b->parts[b->n++] = s;
    return s;
}

static bool has_strings(const struct json_node *n)
{
    const struct json_string_rules *r = n->string;
    return r &&
           (r->min != JSON_COUNT_NONE || r->max != JSON_COUNT_NONE || r->pattern || n->resource->draft <= JSON_DRAFT_7);
}

static struct shape *type_shape(struct builder *b, unsigned type)
{
    static const enum shape_kind kinds[] = {SHAPE_NULL,   SHAPE_BOOLEAN, SHAPE_NUMBER, SHAPE_NUMBER,
                                            SHAPE_STRING, SHAPE_ARRAY,   SHAPE_OBJECT};
    struct shape *s = new_shape(b, kinds[type]);
    if (s)
        s->integer = 1u << type == JSON_TYPE_INTEGER;
    return s;
}

/* `type` takes the keywords of its types with it. */
static void add_type(struct builder *b)
{
    unsigned types = b->node->types, first = 0, count = (unsigned)__builtin_popcount(types);
    struct shape *s;
    if (!b->node->types_list && types) {
        while (!(types & 1u << first))
            first++;
        s = type_shape(b, first);
        if (s && b->n < PARTS_MAX)
            b->parts[b->n++] = s;
        return;
    }
    if (!b->node->types_list || !(s = add_part(b, SHAPE_COMBINED)))
        return;
    s->criterion = SHAPE_ANY_OF;
    if (!(s->parts = arena_array(b->shapes->arena, count ? count : 1, sizeof *s->parts))) {
        b->failed = true;
        return;
    }
    /* in the order the list has */
    const struct jvalue *list = json_text_get_str(b->node->value, "type");
    static const char *const names[] = {"null", "boolean", "integer", "number", "string", "array", "object"};
    unsigned seen = 0;
    for (uint32_t i = 0; i < list->n; i++)
        for (unsigned t = 0; t < 7; t++)
            if (slice_eq_str(list->u.items[i].u.text, names[t]) && !(seen & 1u << t)) {
                seen |= 1u << t;
                s->parts[s->n++] = type_shape(b, t);
            }
}

static void add_literal(struct builder *b, const struct json_nodes *nodes, enum shape_criterion criterion)
{
    struct shape *s = nodes->v ? add_part(b, SHAPE_COMBINED) : NULL;
    if (!s)
        return;
    s->criterion = criterion;
    s->literal = nodes;
}

static void add_inner(struct builder *b, enum shape_kind kind, const struct json_node *inner)
{
    struct shape *s = inner ? add_part(b, kind) : NULL;
    if (s)
        s->inner = inner;
}

static void collect(struct builder *b)
{
    const struct json_node *n = b->node;
    unsigned types = n->types;
    add_inner(b, SHAPE_REFERENCE, n->ref);
    add_inner(b, SHAPE_REFERENCE, n->dynamic_ref);
    if (n->enumeration)
        add_part(b, SHAPE_ENUM);
    add_literal(b, &n->all_of, SHAPE_ALL_OF);
    add_literal(b, &n->any_of, SHAPE_ANY_OF);
    add_literal(b, &n->one_of, SHAPE_ONE_OF);
    add_inner(b, SHAPE_NOT, n->not_);
    if (n->constant)
        add_part(b, SHAPE_CONST);
    add_type(b);
    /* keywords of a type that `type` does not name */
    if (n->array && !(types & JSON_TYPE_ARRAY))
        add_part(b, SHAPE_ARRAY);
    if (n->object && !(types & JSON_TYPE_OBJECT))
        add_part(b, SHAPE_OBJECT);
    if (n->number && !(types & (JSON_TYPE_NUMBER | JSON_TYPE_INTEGER)))
        add_part(b, SHAPE_NUMBER);
    if (has_strings(n) && !(types & JSON_TYPE_STRING))
        add_part(b, SHAPE_STRING);
    if (n->if_ || n->then_ || n->else_)
        add_part(b, SHAPE_CONDITIONAL);
}

static struct shape *build(struct shapes *s, const struct json_node *n)
{
    struct builder b = {.shapes = s, .node = n};
    struct shape *whole;
    if (n->boolean)
        return new_shape(&b, n->accept ? SHAPE_EMPTY : SHAPE_FALSE);
    collect(&b);
    if (b.n == 0) {
        whole = new_shape(&b, SHAPE_EMPTY);
    } else if (b.n == 1) {
        whole = b.parts[0];
    } else if ((whole = new_shape(&b, SHAPE_COMBINED))) {
        whole->criterion = SHAPE_ALL_OF;
        whole->n = b.n;
        if (!(whole->parts = arena_array(s->arena, b.n, sizeof *whole->parts)))
            return NULL;
        memcpy(whole->parts, b.parts, b.n * sizeof *b.parts);
    }
    return b.failed ? NULL : whole;
}

struct shape *shape_unfollowed(struct shapes *s, const struct json_node *n)
{
    struct shape **slot;
    if (!n)
        return NULL;
    slot = &s->by_node[n->index];
    if (!*slot && (*slot = build(s, n)))
        (*slot)->whole = true;
    return *slot;
}

struct shape *shape_of(struct shapes *s, const struct json_node *n)
{
    struct shape *shape = shape_unfollowed(s, n);
    for (int i = 0; shape && shape->kind == SHAPE_REFERENCE && i < REFERENCES_FOLLOWED_MAX; i++)
        shape = shape_unfollowed(s, shape->inner);
    return shape;
}

static bool same_part(const struct shape *a, const struct shape *b)
{
    return json_text_equal(a->node->value, b->node->value);
}

bool shape_fill(struct shapes *s, struct shape *shape)
{
    if (!shape->literal || shape->parts)
        return true;
    if (!(shape->parts = arena_array(s->arena, shape->literal->n ? shape->literal->n : 1, sizeof *shape->parts)))
        return false;
    uint64_t *hashes = arena_array(s->arena, shape->literal->n ? shape->literal->n : 1, sizeof *hashes);
    if (!hashes)
        return false;
    for (uint32_t i = 0; i < shape->literal->n; i++) {
        struct shape *part = shape_unfollowed(s, shape->literal->v[i]);
        uint32_t j = 0;
        if (!part)
            return false;
        hashes[shape->n] = json_text_hash(part->node->value);
        while (j < shape->n && !(hashes[j] == hashes[shape->n] && same_part(shape->parts[j], part)))
            j++;
        if (j == shape->n)
            shape->parts[shape->n++] = part;
    }
    return true;
}

static bool is_boolean(const struct json_node *n, bool accept)
{
    return n && n->boolean && n->accept == accept;
}

struct shape_items shape_items_of(const struct json_node *n)
{
    struct shape_items v = {.open = true, .min_contains = JSON_COUNT_NONE, .max_contains = JSON_COUNT_NONE};
    const struct json_array_rules *a = n->array;
    const struct json_node *rest;
    if (!a)
        return v;
    v.prefix = a->prefix;
    v.unevaluated = a->unevaluated;
    if (n->resource->draft >= JSON_DRAFT_2019_09 && a->contains) {
        v.min_contains = a->min_contains == JSON_COUNT_NONE ? 1 : a->min_contains;
        v.max_contains = a->max_contains;
    }
    if (n->resource->draft <= JSON_DRAFT_7) {
        v.every = a->tuple ? NULL : a->items;
        rest = a->additional;
    } else {
        rest = n->resource->draft == JSON_DRAFT_2019_09 && a->tuple ? a->additional : a->items;
        if (a->prefix.n == 0 && rest && !rest->boolean) {
            v.every = rest;
            return v;
        }
    }
    if (is_boolean(rest, false))
        v.open = v.every != NULL; /* after a schema for every item there is nothing to close */
    else if (!is_boolean(rest, true))
        v.additional = rest;
    return v;
}
