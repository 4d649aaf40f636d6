/* SPDX-License-Identifier: Apache-2.0
 * Shapes of schemas of 2019-09 and 2020-12. The reference reads those with another library and translates what that
 * made into the terms of the older one, keyword by keyword in the order of a Java map: keywords of strings, numbers,
 * arrays and objects join the shape of that kind which is there already (the type, or a member of a list of types), all
 * else stands beside it in an allOf of its own making. The order and the exceptions show in its verdicts, so they are
 * followed here. Pure; shapes live in the comparison's arena. */
#include "registry/json_compat_shape.h"
#include "registry/json_java.h"

#include <stdlib.h>

enum { PRODUCT_MAX = 32 };

/* What the keywords so far amount to: one shape, or an allOf of the translation's making. */
struct product {
    struct shapes *shapes;
    const struct json_node *node;
    struct shape *parts[PRODUCT_MAX];
    uint32_t n;
    bool some; /* a keyword was met */
    bool all;  /* an allOf, of whatever size; else parts[0] */
    bool failed;
};

enum keyword_action {
    IGNORED, /* known, but says nothing here */
    PIECE,   /* of a string, number, array or object */
    NOTHING, /* checked elsewhere: leaves an empty allOf */
    MARK,    /* the same when it is true */
    TYPE,
    REFERENCE,
    ALL,
    ANY,
    ONE,
    NOT,
    ENUM,
    CONST,
    IF
};

static const struct keyword {
    const char *name;
    enum keyword_action action;
    enum shape_kind kind;
    uint32_t bit;
} keywords[] = {
    /* sorted by name */
    {"$anchor", IGNORED, 0, 0},
    {"$defs", IGNORED, 0, 0},
    {"$dynamicAnchor", IGNORED, 0, 0},
    {"$dynamicRef", IGNORED, 0, 0},
    {"$id", IGNORED, 0, 0},
    {"$ref", REFERENCE, 0, 0},
    {"$schema", IGNORED, 0, 0},
    {"$vocabulary", IGNORED, 0, 0},
    {"additionalProperties", PIECE, SHAPE_OBJECT, SHAPE_ADDITIONAL_PROPERTIES},
    {"allOf", ALL, 0, 0},
    {"anyOf", ANY, 0, 0},
    {"const", CONST, 0, 0},
    {"contains", PIECE, SHAPE_ARRAY, SHAPE_CONTAINS},
    {"default", IGNORED, 0, 0},
    {"dependentRequired", PIECE, SHAPE_OBJECT, SHAPE_DEPENDENT_REQUIRED},
    {"dependentSchemas", PIECE, SHAPE_OBJECT, SHAPE_DEPENDENT_SCHEMAS},
    {"deprecated", IGNORED, 0, 0},
    {"description", IGNORED, 0, 0},
    {"else", IGNORED, 0, 0},
    {"enum", ENUM, 0, 0},
    {"exclusiveMaximum", PIECE, SHAPE_NUMBER, SHAPE_EXCLUSIVE_MAXIMUM},
    {"exclusiveMinimum", PIECE, SHAPE_NUMBER, SHAPE_EXCLUSIVE_MINIMUM},
    {"false", IGNORED, 0, 0},
    {"format", NOTHING, 0, 0},
    {"if", IF, 0, 0},
    {"items", PIECE, SHAPE_ARRAY, SHAPE_ITEMS},
    {"maxContains", IGNORED, 0, 0},
    {"maxItems", PIECE, SHAPE_ARRAY, SHAPE_MAX_ITEMS},
    {"maxLength", PIECE, SHAPE_STRING, SHAPE_MAX_LENGTH},
    {"maxProperties", PIECE, SHAPE_OBJECT, SHAPE_MAX_PROPERTIES},
    {"maximum", PIECE, SHAPE_NUMBER, SHAPE_MAXIMUM},
    {"minContains", IGNORED, 0, 0},
    {"minItems", PIECE, SHAPE_ARRAY, SHAPE_MIN_ITEMS},
    {"minLength", PIECE, SHAPE_STRING, SHAPE_MIN_LENGTH},
    {"minProperties", PIECE, SHAPE_OBJECT, SHAPE_MIN_PROPERTIES},
    {"minimum", PIECE, SHAPE_NUMBER, SHAPE_MINIMUM},
    {"multipleOf", PIECE, SHAPE_NUMBER, SHAPE_MULTIPLE_OF},
    {"not", NOT, 0, 0},
    {"oneOf", ONE, 0, 0},
    {"pattern", PIECE, SHAPE_STRING, SHAPE_PATTERN},
    {"patternProperties", IGNORED, 0, 0}, /* after all others, as are `properties` and `unevaluated...` */
    {"prefixItems", PIECE, SHAPE_ARRAY, SHAPE_PREFIX_ITEMS},
    {"properties", IGNORED, 0, 0},
    {"propertyNames", PIECE, SHAPE_OBJECT, SHAPE_PROPERTY_NAMES},
    {"readOnly", MARK, 0, 0},
    {"required", PIECE, SHAPE_OBJECT, SHAPE_REQUIRED},
    {"then", IGNORED, 0, 0},
    {"title", IGNORED, 0, 0},
    {"true", IGNORED, 0, 0},
    {"type", TYPE, 0, 0},
    {"unevaluatedItems", IGNORED, 0, 0},
    {"unevaluatedProperties", IGNORED, 0, 0},
    {"uniqueItems", PIECE, SHAPE_ARRAY, SHAPE_UNIQUE_ITEMS},
    {"writeOnly", MARK, 0, 0},
};

static int compare_keyword(const void *name, const void *keyword)
{
    const struct slice *s = name;
    const char *k = ((const struct keyword *)keyword)->name;
    int cmp = strncmp((const char *)s->p, k, s->n);
    return cmp ? cmp : -(k[s->n] != '\0');
}

static const struct keyword *find_keyword(struct slice name)
{
    if (name.n == 0 || memchr(name.p, '\0', name.n))
        return NULL;
    return bsearch(&name, keywords, sizeof keywords / sizeof *keywords, sizeof *keywords, compare_keyword);
}

static bool joins(enum shape_kind kind)
{
    return kind == SHAPE_ARRAY || kind == SHAPE_NUMBER || kind == SHAPE_OBJECT || kind == SHAPE_STRING;
}

static void join(struct shape *into, const struct shape *s)
{
    into->keywords |= s->keywords;
    into->integer |= s->integer;
    into->typed |= s->typed;
}

static bool is_types(const struct shape *s)
{
    return s->kind == SHAPE_COMBINED && s->generated && s->criterion == SHAPE_ANY_OF;
}

static bool has_kind(const struct shape *types, enum shape_kind kind)
{
    for (uint32_t i = 0; i < types->n; i++)
        if (types->parts[i]->kind == kind)
            return true;
    return false;
}

/* A shape beside others, joined with the first of its kind. False: too many. */
static bool accumulate(struct shape **parts, uint32_t *n, uint32_t most, struct shape *s)
{
    for (uint32_t i = 0; joins(s->kind) && i < *n; i++)
        if (parts[i]->kind == s->kind) {
            join(parts[i], s);
            return true;
        }
    if (*n == most)
        return false;
    parts[(*n)++] = s;
    return true;
}

/* The lists of types have room for one more. */
static void add_to_types(struct product *p, struct shape *types, struct shape *s)
{
    p->failed |= !accumulate(types->parts, &types->n, types->n + 1, s);
}

static void add(struct product *p, struct shape *s)
{
    struct shape *first = p->n == 1 && !p->all ? p->parts[0] : NULL;
    if (!s) {
        p->failed = true;
        return;
    }
    if (!p->some) {
        p->parts[p->n++] = s;
        p->some = true;
        return;
    }
    if (first && first->kind == s->kind && joins(s->kind)) {
        join(first, s);
    } else if (first && is_types(first) && has_kind(first, s->kind)) {
        add_to_types(p, first, s);
    } else if (first && is_types(s) && has_kind(s, first->kind)) {
        add_to_types(p, s, first);
        p->parts[0] = s;
    } else {
        p->all = true;
        p->failed |= !accumulate(p->parts, &p->n, PRODUCT_MAX, s);
    }
}

static void add_nothing(struct product *p)
{
    p->some = p->all = true;
}

static struct shape *piece(struct product *p, enum shape_kind kind, uint32_t bit)
{
    struct shape *s = shape_new(p->shapes, kind, p->node);
    if (s)
        s->keywords = bit;
    return s;
}

static struct shape *inner(struct product *p, enum shape_kind kind, const struct json_node *node)
{
    struct shape *s = shape_new(p->shapes, kind, p->node);
    if (s)
        s->inner = node;
    return s;
}

static struct shape *literal(struct product *p, const struct json_nodes *nodes, enum shape_criterion criterion)
{
    struct shape *s = shape_new(p->shapes, SHAPE_COMBINED, p->node);
    if (s) {
        s->criterion = criterion;
        s->literal = nodes;
    }
    return s;
}

static struct shape *type(struct product *p, const struct jvalue *v)
{
    struct shape *s;
    if (v->kind == J_STRING)
        return shape_of_type(p->shapes, (unsigned)shape_type_number(v->u.text), p->node);
    s = shape_combine(p->shapes, p->node, SHAPE_ANY_OF, NULL, 0);
    if (!s || !(s->parts = arena_array(p->shapes->arena, (size_t)v->n + 1, sizeof *s->parts)))
        return NULL;
    for (uint32_t i = 0; i < v->n; i++) {
        unsigned t = (unsigned)shape_type_number(v->u.items[i].u.text);
        if (!(s->parts[s->n++] = shape_of_type(p->shapes, t, p->node)))
            return NULL;
    }
    return s;
}

static void add_keyword(struct product *p, const struct keyword *k, const struct jvalue *v)
{
    const struct json_node *n = p->node;
    switch (k->action) {
    case IGNORED:
        return;
    case PIECE:
        add(p, piece(p, k->kind, k->bit));
        return;
    case MARK:
        if (v->kind != J_TRUE)
            return;
        add_nothing(p);
        return;
    case NOTHING:
        add_nothing(p);
        return;
    case TYPE:
        if (n->types || n->types_list)
            add(p, type(p, v));
        return;
    case REFERENCE:
        if (n->ref)
            add(p, inner(p, SHAPE_REFERENCE, n->ref));
        return;
    case ALL:
        add(p, literal(p, &n->all_of, SHAPE_ALL_OF));
        return;
    case ANY:
        add(p, literal(p, &n->any_of, SHAPE_ANY_OF));
        return;
    case ONE:
        add(p, literal(p, &n->one_of, SHAPE_ONE_OF));
        return;
    case NOT:
        add(p, inner(p, SHAPE_NOT, n->not_));
        return;
    case ENUM:
        if (n->enumeration)
            add(p, piece(p, SHAPE_ENUM, 0));
        return;
    case CONST:
        if (n->constant)
            add(p, piece(p, SHAPE_CONST, 0));
        return;
    case IF:
        add(p, piece(p, SHAPE_CONDITIONAL, 0));
        return;
    }
}

static bool some_members(const struct jvalue *v, const char *keyword)
{
    const struct jvalue *member = json_text_get_str(v, keyword);
    return member && member->kind == J_OBJECT && member->n > 0;
}

/* At the root of a document the reference has `definitions` under `$defs` too. */
static uint32_t keyword_count(const struct json_node *n)
{
    bool copied =
        n->value == n->resource->root && some_members(n->value, "definitions") && !json_text_get_str(n->value, "$defs");
    return n->value->n + copied;
}

static bool is_unknown(const struct keyword *k, const struct jmember *m)
{
    return !k || (slice_eq_str(m->name, "$defs") && m->value.kind == J_OBJECT && m->value.n);
}

/* True: the schema has keywords unknown to the reference, or definitions. */
static bool collect(struct product *p)
{
    const struct jvalue *v = p->node->value;
    struct json_java_key *order = arena_array(p->shapes->arena, v->n ? v->n : 1, sizeof *order);
    bool unknown = false;
    uint32_t n = 0;
    if (!order) {
        p->failed = true;
        return false;
    }
    for (uint32_t i = 0; i < v->n; i++) {
        const struct jmember *m = &v->u.object.members[i];
        const struct keyword *k = find_keyword(m->name);
        unknown |= is_unknown(k, m);
        if (k && k->action != IGNORED)
            order[n++] = (struct json_java_key){.name = m->name, .index = i};
    }
    json_java_sort(order, n, json_java_buckets(keyword_count(p->node)));
    for (uint32_t i = 0; i < n && !p->failed; i++)
        add_keyword(p, find_keyword(order[i].name), &v->u.object.members[order[i].index].value);
    if (some_members(v, "properties"))
        add(p, piece(p, SHAPE_OBJECT, SHAPE_PROPERTIES));
    if (some_members(v, "patternProperties"))
        add(p, piece(p, SHAPE_OBJECT, SHAPE_PATTERN_PROPERTIES));
    if (json_text_get_str(v, "unevaluatedItems"))
        add(p, piece(p, SHAPE_ARRAY, SHAPE_UNEVALUATED_ITEMS));
    if (json_text_get_str(v, "unevaluatedProperties"))
        add(p, piece(p, SHAPE_OBJECT, SHAPE_UNEVALUATED_PROPERTIES));
    return unknown;
}

/* Is a keyword one of those a part (not the whole of its subschema) speaks for? */
bool shape_part_has(const struct shape *part, struct slice name)
{
    static const char *const criteria[] = {"allOf", "anyOf", "oneOf"};
    const struct keyword *k = find_keyword(name);
    uint32_t bit = k ? k->bit : 0;
    if (slice_eq_str(name, "properties"))
        bit = SHAPE_PROPERTIES;
    else if (slice_eq_str(name, "patternProperties"))
        bit = SHAPE_PATTERN_PROPERTIES;
    else if (slice_eq_str(name, "unevaluatedItems"))
        bit = SHAPE_UNEVALUATED_ITEMS;
    else if (slice_eq_str(name, "unevaluatedProperties"))
        bit = SHAPE_UNEVALUATED_PROPERTIES;
    else if (slice_eq_str(name, "minContains") || slice_eq_str(name, "maxContains"))
        bit = SHAPE_CONTAINS;
    switch (part->kind) {
    case SHAPE_STRING:
    case SHAPE_NUMBER:
    case SHAPE_ARRAY:
    case SHAPE_OBJECT:
        return (part->keywords & bit) != 0;
    case SHAPE_CONST:
        return k && k->action == CONST;
    case SHAPE_ENUM:
        return k && k->action == ENUM;
    case SHAPE_NOT:
        return k && k->action == NOT;
    case SHAPE_REFERENCE:
        return k && k->action == REFERENCE;
    case SHAPE_CONDITIONAL:
        return (k && k->action == IF) || slice_eq_str(name, "then") || slice_eq_str(name, "else");
    case SHAPE_COMBINED:
        return part->generated || slice_eq_str(name, criteria[part->criterion]);
    case SHAPE_EMPTY:
    case SHAPE_FALSE:
    case SHAPE_NULL:
    case SHAPE_BOOLEAN:
        return false;
    }
    return false;
}

/* All keywords given to one shape or another. */
static uint32_t written_by(const struct product *p)
{
    uint32_t k = 0;
    for (uint32_t i = 0; i < p->n; i++) {
        k |= p->parts[i]->keywords;
        for (uint32_t j = 0; p->parts[i]->kind == SHAPE_COMBINED && j < p->parts[i]->n; j++)
            k |= p->parts[i]->parts[j]->keywords;
    }
    return k;
}

/* The reference inlines what a $dynamicRef names, beside what the schema says itself. */
static struct shape *beside_dynamic(struct shapes *s, const struct json_node *n, struct shape *own)
{
    struct shape *parts[PRODUCT_MAX + 1] = {shape_new(s, SHAPE_REFERENCE, n)};
    uint32_t count = 1;
    if (!parts[0] || !own)
        return NULL;
    parts[0]->inner = n->dynamic_ref;
    if (own->kind == SHAPE_COMBINED && own->generated && own->criterion == SHAPE_ALL_OF)
        for (uint32_t i = 0; i < own->n && count <= PRODUCT_MAX; i++)
            parts[count++] = own->parts[i];
    else
        parts[count++] = own;
    return shape_combine(s, n, SHAPE_ALL_OF, parts, count);
}

struct shape *shape_build_modern(struct shapes *s, const struct json_node *n)
{
    struct product p = {.shapes = s, .node = n};
    bool unknown = collect(&p);
    struct shape *whole;
    if (p.failed)
        return NULL;
    uint32_t written = written_by(&p);
    /* the reference forgets these where it remembers keywords it does not know */
    if (unknown && p.n == 1)
        p.parts[0]->keywords &= ~(uint32_t)(SHAPE_CONTAINS | SHAPE_UNEVALUATED_ITEMS | SHAPE_UNEVALUATED_PROPERTIES);
    for (uint32_t i = 0; i < p.n; i++)
        if (!shape_give_rules(s, p.parts[i], written))
            return NULL;
    if (p.n == 0)
        whole = shape_new(s, SHAPE_EMPTY, n);
    else
        whole = p.n == 1 ? p.parts[0] : shape_combine(s, n, SHAPE_ALL_OF, p.parts, p.n);
    return n->dynamic_ref && !n->recursive && json_text_get_str(n->value, "$dynamicRef") ? beside_dynamic(s, n, whole)
                                                                                         : whole;
}
