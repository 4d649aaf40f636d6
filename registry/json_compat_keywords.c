/* SPDX-License-Identifier: Apache-2.0
 * The rules of a shape that speaks for some keywords of its node only: a copy without the others. Nearly always a shape
 * has all keywords of its kind and shares the node's rules. Copies live in the comparison's arena. */
#include "registry/json_compat_shape.h"

static void *copy_of(struct arena *a, const void *from, size_t n)
{
    void *copy = arena_alloc(a, n);
    if (copy)
        memcpy(copy, from, n);
    return copy;
}

static const struct json_string_rules *some_string(struct arena *a, const struct json_string_rules *from, uint32_t k)
{
    struct json_string_rules *r = copy_of(a, from, sizeof *from);
    if (!r)
        return NULL;
    r->min = k & SHAPE_MIN_LENGTH ? from->min : JSON_COUNT_NONE;
    r->max = k & SHAPE_MAX_LENGTH ? from->max : JSON_COUNT_NONE;
    if (!(k & SHAPE_PATTERN))
        r->pattern = NULL;
    return r;
}

static const struct json_number_rules *some_number(struct arena *a, const struct json_number_rules *from, uint32_t k)
{
    struct json_number_rules *r = copy_of(a, from, sizeof *from);
    if (!r)
        return NULL;
    r->minimum.set &= (k & SHAPE_MINIMUM) != 0;
    r->maximum.set &= (k & SHAPE_MAXIMUM) != 0;
    r->exclusive_minimum.set &= (k & SHAPE_EXCLUSIVE_MINIMUM) != 0;
    r->exclusive_maximum.set &= (k & SHAPE_EXCLUSIVE_MAXIMUM) != 0;
    r->multiple_of.set &= (k & SHAPE_MULTIPLE_OF) != 0;
    return r;
}

static const struct json_array_rules *some_array(struct arena *a, const struct json_array_rules *from, uint32_t k)
{
    struct json_array_rules *r = copy_of(a, from, sizeof *from);
    if (!r)
        return NULL;
    r->min = k & SHAPE_MIN_ITEMS ? from->min : JSON_COUNT_NONE;
    r->max = k & SHAPE_MAX_ITEMS ? from->max : JSON_COUNT_NONE;
    r->unique &= (k & SHAPE_UNIQUE_ITEMS) != 0;
    if (!(k & SHAPE_ITEMS))
        r->items = r->additional = NULL;
    if (!(k & (SHAPE_PREFIX_ITEMS | (from->additional ? SHAPE_ITEMS : 0))))
        r->prefix = (struct json_nodes){0};
    if (!(k & SHAPE_CONTAINS))
        r->contains = NULL;
    if (!(k & SHAPE_UNEVALUATED_ITEMS))
        r->unevaluated = NULL;
    return r;
}

static bool some_dependencies(struct arena *a, struct json_object_rules *r, uint32_t k)
{
    const struct json_dependency *from = r->dependencies;
    uint32_t n = r->dependencies_n;
    r->dependencies_n = 0;
    if (!(r->dependencies = arena_array(a, n ? n : 1, sizeof *from)))
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (!from[i].old && k & (from[i].node ? SHAPE_DEPENDENT_SCHEMAS : SHAPE_DEPENDENT_REQUIRED))
            r->dependencies[r->dependencies_n++] = from[i];
    return true;
}

static const struct json_object_rules *some_object(struct arena *a, const struct json_object_rules *from, uint32_t k)
{
    struct json_object_rules *r = copy_of(a, from, sizeof *from);
    if (!r)
        return NULL;
    r->min = k & SHAPE_MIN_PROPERTIES ? from->min : JSON_COUNT_NONE;
    r->max = k & SHAPE_MAX_PROPERTIES ? from->max : JSON_COUNT_NONE;
    if (!(k & SHAPE_PATTERN_PROPERTIES))
        r->patterns_n = 0;
    if (!(k & SHAPE_ADDITIONAL_PROPERTIES))
        r->additional = NULL;
    if (!(k & SHAPE_UNEVALUATED_PROPERTIES))
        r->unevaluated = NULL;
    if (!some_dependencies(a, r, k))
        return NULL;
    if (from->properties_n == 0)
        return r;
    if (!(r->properties = arena_array(a, from->properties_n, sizeof *r->properties)))
        return NULL;
    for (uint32_t i = 0; i < from->properties_n; i++) {
        r->properties[i] = from->properties[i];
        r->properties[i].required &= (k & SHAPE_REQUIRED) != 0;
        if (!(k & SHAPE_PROPERTIES))
            r->properties[i].node = NULL;
    }
    return r;
}

static bool has_old_dependencies(const struct json_object_rules *o)
{
    for (uint32_t i = 0; i < o->dependencies_n; i++)
        if (o->dependencies[i].old)
            return true;
    return false;
}

bool shape_give_rules(struct shapes *s, struct shape *shape, uint32_t written)
{
    const struct json_node *n = shape->node;
    uint32_t k = shape->keywords;
    bool every = k == written;
    if (shape->kind == SHAPE_COMBINED) {
        for (uint32_t i = 0; i < shape->n; i++) /* a list of types; what a literal one has is not there yet */
            if (!shape_give_rules(s, shape->parts[i], written))
                return false;
        return true;
    }
    if (k == 0)
        return true;
    if (shape->kind == SHAPE_STRING && n->string)
        return (shape->rules.string = every ? n->string : some_string(s->arena, n->string, k)) != NULL;
    if (shape->kind == SHAPE_NUMBER && n->number)
        return (shape->rules.number = every ? n->number : some_number(s->arena, n->number, k)) != NULL;
    if (shape->kind == SHAPE_ARRAY && n->array)
        return (shape->rules.array = every ? n->array : some_array(s->arena, n->array, k)) != NULL;
    if (shape->kind == SHAPE_OBJECT && n->object) {
        every = every && !has_old_dependencies(n->object);
        return (shape->rules.object = every ? n->object : some_object(s->arena, n->object, k)) != NULL;
    }
    return true;
}
