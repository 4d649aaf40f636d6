/* SPDX-License-Identifier: Apache-2.0
 * From compiled nodes to shapes, for schemas of drafts 4 to 7; json_compat_modern.c makes those of the later drafts.
 * Which keywords make which shape, and in which order parts stand, follows what the reference's schema loaders do,
 * since paths ("allOf/0") and verdicts show it. Everything lives in the comparison's arena. */
#include "registry/json_compat_shape.h"

enum { PARTS_MAX = 16, REFERENCES_FOLLOWED_MAX = 100 };

bool shapes_init(struct shapes *s, const struct json_schema *schema, struct arena *a)
{
    s->schema = schema;
    s->arena = a;
    s->modern = json_schema_draft(schema) >= JSON_DRAFT_2019_09;
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

struct shape *shape_new(struct shapes *s, enum shape_kind kind, const struct json_node *n)
{
    struct shape *shape = arena_alloc(s->arena, sizeof *shape);
    if (!shape)
        return NULL;
    *shape = (struct shape){.kind = kind, .node = n};
    return shape;
}

struct shape *shape_combine(struct shapes *s, const struct json_node *n, enum shape_criterion c, struct shape **parts,
                            uint32_t count)
{
    struct shape *shape = shape_new(s, SHAPE_COMBINED, n);
    if (!shape || !(shape->parts = arena_array(s->arena, count ? count : 1, sizeof *parts)))
        return NULL;
    shape->criterion = c;
    shape->generated = true;
    shape->n = count;
    if (count)
        memcpy(shape->parts, parts, count * sizeof *parts);
    return shape;
}

int shape_type_number(struct slice name)
{
    static const char *const names[] = {"null", "boolean", "integer", "number", "string", "array", "object"};
    for (int t = 0; t < 7; t++)
        if (slice_eq_str(name, names[t]))
            return t;
    return -1;
}

struct shape *shape_of_type(struct shapes *s, unsigned type, const struct json_node *n)
{
    static const enum shape_kind kinds[] = {SHAPE_NULL,   SHAPE_BOOLEAN, SHAPE_NUMBER, SHAPE_NUMBER,
                                            SHAPE_STRING, SHAPE_ARRAY,   SHAPE_OBJECT};
    struct shape *shape = shape_new(s, kinds[type], n);
    if (!shape)
        return NULL;
    shape->typed = true;
    shape->integer = 1u << type == JSON_TYPE_INTEGER;
    return shape;
}

/* In drafts 4 to 7 a shape has all keywords of its kind. */
static struct shape *with_rules(struct shape *s)
{
    if (!s)
        return NULL;
    if (s->kind == SHAPE_STRING)
        s->rules.string = s->node->string;
    else if (s->kind == SHAPE_NUMBER)
        s->rules.number = s->node->number;
    else if (s->kind == SHAPE_ARRAY)
        s->rules.array = s->node->array;
    else if (s->kind == SHAPE_OBJECT)
        s->rules.object = s->node->object;
    return s;
}

static struct shape *add(struct builder *b, struct shape *s)
{
    b->failed |= !s;
    if (s && b->n < PARTS_MAX)
        b->parts[b->n++] = with_rules(s);
    return s;
}

static struct shape *add_part(struct builder *b, enum shape_kind kind)
{
    return add(b, shape_new(b->shapes, kind, b->node));
}

/* `type` takes the keywords of its types with it. */
static void add_type(struct builder *b)
{
    const struct jvalue *type = json_text_get_str(b->node->value, "type");
    struct shape *s;
    if (!b->node->types_list) {
        if (b->node->types)
            add(b, shape_of_type(b->shapes, (unsigned)shape_type_number(type->u.text), b->node));
        return;
    }
    if (!(s = add(b, shape_combine(b->shapes, b->node, SHAPE_ANY_OF, NULL, 0))))
        return;
    if (!(s->parts = arena_array(b->shapes->arena, type->n ? type->n : 1, sizeof *s->parts))) {
        b->failed = true;
        return;
    }
    for (uint32_t i = 0; i < type->n && !b->failed; i++) {
        unsigned t = (unsigned)shape_type_number(type->u.items[i].u.text);
        s->parts[s->n] = with_rules(shape_of_type(b->shapes, t, b->node));
        b->failed |= !s->parts[s->n++];
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
    if (n->string && !(types & JSON_TYPE_STRING))
        add_part(b, SHAPE_STRING);
    if (n->if_ || n->then_ || n->else_)
        add_part(b, SHAPE_CONDITIONAL);
}

static struct shape *build(struct shapes *s, const struct json_node *n)
{
    struct builder b = {.shapes = s, .node = n};
    if (n->boolean)
        return shape_new(s, n->accept ? SHAPE_EMPTY : SHAPE_FALSE, n);
    if (s->modern)
        return shape_build_modern(s, n);
    collect(&b);
    if (b.failed)
        return NULL;
    if (b.n == 0)
        return shape_new(s, SHAPE_EMPTY, n);
    return b.n == 1 ? b.parts[0] : shape_combine(s, n, SHAPE_ALL_OF, b.parts, b.n);
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

/* The parts of a written allOf, anyOf or oneOf. In the later drafts the reference takes a part that says several things
 * apart, whatever it is a part of. */
static bool fill_literal(struct shapes *s, struct shape *shape)
{
    uint32_t most = 0, at = 0;
    for (uint32_t i = 0; i < shape->literal->n; i++) {
        const struct shape *part = shape_unfollowed(s, shape->literal->v[i]);
        if (!part)
            return false;
        most += s->modern && part->kind == SHAPE_COMBINED && part->generated && part->criterion == SHAPE_ALL_OF
                    ? part->n
                    : 1;
    }
    if (!(shape->parts = arena_array(s->arena, most ? most : 1, sizeof *shape->parts)))
        return false;
    for (uint32_t i = 0; i < shape->literal->n; i++) {
        struct shape *part = shape_unfollowed(s, shape->literal->v[i]);
        if (s->modern && part->kind == SHAPE_COMBINED && part->generated && part->criterion == SHAPE_ALL_OF)
            for (uint32_t j = 0; j < part->n; j++)
                shape->parts[at++] = part->parts[j];
        else
            shape->parts[at++] = part;
    }
    shape->n = at;
    return true;
}

static bool knows_format(enum json_draft draft, const struct jvalue *v)
{
    enum json_draft since;
    return v->kind == J_STRING && json_format_known(v->u.text, &since) && draft >= since;
}

/* Does a keyword change what the reference makes of a schema? */
static bool matters(const struct shapes *s, const struct jmember *m)
{
    static const char *const unseen[] = {"format",  "readOnly",       "writeOnly", "deprecated",
                                         "$anchor", "$dynamicAnchor", "$id"};
    for (size_t i = 0; s->modern && i < sizeof unseen / sizeof *unseen; i++)
        if (slice_eq_str(m->name, unseen[i]))
            return false;
    if (slice_eq_str(m->name, "format"))
        return knows_format(json_schema_draft(s->schema), &m->value);
    if (slice_eq_str(m->name, "properties") || slice_eq_str(m->name, "patternProperties"))
        return m->value.kind != J_OBJECT || m->value.n > 0;
    if (slice_eq_str(m->name, "required"))
        return m->value.kind != J_ARRAY || m->value.n > 0;
    if (slice_eq_str(m->name, "additionalProperties") || slice_eq_str(m->name, "additionalItems"))
        return m->value.kind != J_TRUE;
    if (slice_eq_str(m->name, "uniqueItems") || slice_starts(m->name, slice_str("exclusive")))
        return m->value.kind != J_FALSE;
    return true;
}

/* Keywords without effect are all the reference does not print, and it compares parts by what it prints. */
static enum shape_kind printed_kind(const struct shapes *s, const struct shape *part)
{
    const struct jvalue *v = part->node->value;
    if (part->kind < SHAPE_STRING || part->kind == SHAPE_FALSE || v->kind != J_OBJECT || part->kind == SHAPE_COMBINED)
        return part->kind;
    for (uint32_t i = 0; i < v->n; i++)
        if (matters(s, &v->u.object.members[i]))
            return part->kind;
    return SHAPE_EMPTY;
}

/* One kind, whose type `typed` tells. */
static bool is_simple(const struct shape *s)
{
    return s->kind != SHAPE_COMBINED && s->typed;
}

static bool speaks_for(const struct shapes *s, const struct shape *part, const struct jmember *m)
{
    if (!matters(s, m) || (s->modern && is_simple(part) && slice_eq_str(m->name, "type")))
        return false;
    return part->whole || !s->modern || shape_part_has(part, m->name);
}

static bool members_in(const struct shapes *s, const struct shape *some, const struct jvalue *all)
{
    const struct jvalue *v = some->node->value;
    for (uint32_t i = 0; i < v->n; i++) {
        const struct jmember *m = &v->u.object.members[i];
        if (!speaks_for(s, some, m))
            continue;
        const struct jvalue *other = json_text_get(all, m->name);
        if (!other || !json_text_equal(&m->value, other))
            return false;
    }
    return true;
}

static bool same_sort(const struct shapes *s, const struct shape *a, const struct shape *b)
{
    if (!s->modern && a->whole && b->whole)
        return true; /* the keywords tell */
    return printed_kind(s, a) == printed_kind(s, b) && a->integer == b->integer && a->n == b->n &&
           a->typed == b->typed && a->criterion == b->criterion && !a->literal == !b->literal;
}

static bool same_part(const struct shapes *s, const struct shape *a, const struct shape *b)
{
    const struct jvalue *x = a->node->value, *y = b->node->value;
    if (!same_sort(s, a, b))
        return false;
    if (a->node == b->node)
        return a->literal == b->literal && a->inner == b->inner;
    if (x->kind != J_OBJECT || y->kind != J_OBJECT)
        return x->kind == y->kind;
    return members_in(s, a, y) && members_in(s, b, x);
}

static uint64_t part_hash(const struct shapes *s, const struct shape *part)
{
    const struct jvalue *v = part->node->value;
    uint64_t h = v->kind == J_OBJECT;
    for (uint32_t i = 0; v->kind == J_OBJECT && i < v->n; i++) /* whatever the order */
        if (speaks_for(s, part, &v->u.object.members[i]))
            h += json_text_hash(&v->u.object.members[i].value);
    return h;
}

bool shape_fill(struct shapes *s, struct shape *shape)
{
    uint64_t *hashes;
    if (shape->kind != SHAPE_COMBINED || shape->filled)
        return true;
    if (shape->literal && !fill_literal(s, shape))
        return false;
    shape->unique = arena_array(s->arena, shape->n ? shape->n : 1, sizeof *shape->unique);
    hashes = arena_array(s->arena, shape->n ? shape->n : 1, sizeof *hashes);
    if (!shape->unique || !hashes)
        return false;
    for (uint32_t i = 0; i < shape->n; i++) {
        struct shape *part = shape->parts[i];
        uint64_t h = part_hash(s, part);
        uint32_t j = 0;
        while (j < shape->unique_n && !(hashes[j] == h && same_part(s, shape->unique[j], part)))
            j++;
        if (j < shape->unique_n)
            continue;
        hashes[shape->unique_n] = h;
        shape->unique[shape->unique_n++] = part;
    }
    shape->filled = true;
    return true;
}

static bool is_boolean(const struct json_node *n, bool accept)
{
    return n && n->boolean && n->accept == accept;
}

/* Drafts 4 to 7 do not know minContains, yet the reference compares it when it is there. */
static uint64_t stray_count(const struct shape *shape, const char *keyword)
{
    const struct jvalue *v = shape->whole ? json_text_get_str(shape->node->value, keyword) : NULL;
    uint64_t count;
    if (!v || v->kind != J_NUMBER)
        return JSON_COUNT_NONE;
    struct json_number number = json_number_of(v->u.text);
    return json_number_u64(&number, &count) ? count : JSON_COUNT_NONE;
}

struct shape_items shape_items_of(const struct shapes *s, const struct shape *shape)
{
    struct shape_items v = {.open = true, .min_contains = JSON_COUNT_NONE, .max_contains = JSON_COUNT_NONE};
    const struct json_array_rules *a = shape->rules.array;
    const struct json_node *n = shape->node, *rest;
    if (!s->modern) {
        v.min_contains = stray_count(shape, "minContains");
        v.max_contains = stray_count(shape, "maxContains");
    }
    if (!a)
        return v;
    v.prefix = a->prefix;
    v.unevaluated = a->unevaluated;
    if (s->modern && a->contains) {
        v.min_contains = a->min_contains == JSON_COUNT_NONE ? 1 : a->min_contains;
        v.max_contains = a->max_contains;
    }
    if (!s->modern) {
        v.every = a->tuple ? NULL : a->items;
        rest = a->additional;
    } else {
        rest = n->resource->draft <= JSON_DRAFT_2019_09 && a->tuple ? a->additional : a->items;
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
