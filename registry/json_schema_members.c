/* SPDX-License-Identifier: Apache-2.0
 * Compiling what looks into arrays and objects. Names of `properties` and `required` share one hash table, so that
 * validating an object is one pass over its members. */
#include "registry/json_schema_graph.h"

static enum err no_memory(struct json_loader *l)
{
    return reason_set(l->why, ERR_NO_MEMORY, "out of memory compiling a JSON schema");
}

struct since {
    const char *keyword;
    enum json_draft draft;
};

/* Has a schema any keyword of a kind that its draft knows? */
static bool has_any(const struct json_node *n, const struct since *keywords, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (n->resource->draft >= keywords[i].draft && json_text_get_str(n->value, keywords[i].keyword))
            return true;
    return false;
}

static enum err compile_items(struct json_loader *l, struct json_node *n, struct json_array_rules *a)
{
    enum json_draft draft = n->resource->draft;
    const struct jvalue *items = json_text_get_str(n->value, "items");
    enum err e = ERR_OK;
    if (draft == JSON_DRAFT_2020_12) {
        a->tuple = json_text_get_str(n->value, "prefixItems") != NULL;
        if ((e = json_compile_children(l, n, "prefixItems", &a->prefix)) != ERR_OK)
            return e;
        return json_compile_child(l, n, "items", &a->items);
    }
    if (items && items->kind == J_ARRAY) {
        a->tuple = true;
        e = json_compile_children(l, n, "items", &a->prefix);
    } else {
        e = json_compile_child(l, n, "items", &a->items);
    }
    /* 2019-09: "additionalItems" has no meaning beside one schema for all items */
    if (e != ERR_OK || (draft == JSON_DRAFT_2019_09 && !a->tuple))
        return e;
    return json_compile_child(l, n, "additionalItems", &a->additional);
}

/* The reference takes anything for minContains, and heeds a number. */
static enum err compile_contained(struct json_loader *l, struct json_node *n, const char *keyword, uint64_t *out)
{
    const struct jvalue *v = json_text_get_str(n->value, keyword);
    return v && v->kind == J_NUMBER ? json_compile_count(l, n, keyword, out) : ERR_OK;
}

enum err json_compile_array(struct json_loader *l, struct json_node *n)
{
    static const struct since keywords[] = {
        {"items", JSON_DRAFT_4},
        {"additionalItems", JSON_DRAFT_4},
        {"minItems", JSON_DRAFT_4},
        {"maxItems", JSON_DRAFT_4},
        {"uniqueItems", JSON_DRAFT_4},
        {"contains", JSON_DRAFT_6},
        {"prefixItems", JSON_DRAFT_2019_09},
        {"unevaluatedItems", JSON_DRAFT_2019_09},
    };
    const struct jvalue *unique = json_text_get_str(n->value, "uniqueItems");
    enum json_draft draft = n->resource->draft;
    struct json_array_rules *a;
    enum err e;
    if (!has_any(n, keywords, sizeof keywords / sizeof *keywords))
        return ERR_OK;
    if (!(a = n->array = arena_alloc(&l->schema->arena, sizeof *a)))
        return no_memory(l);
    a->min = a->max = a->min_contains = a->max_contains = JSON_COUNT_NONE;
    if ((e = compile_items(l, n, a)) != ERR_OK)
        return e;
    if (draft >= JSON_DRAFT_6 && (e = json_compile_child(l, n, "contains", &a->contains)) != ERR_OK)
        return e;
    if (draft >= JSON_DRAFT_2019_09 && (e = json_compile_child(l, n, "unevaluatedItems", &a->unevaluated)) != ERR_OK)
        return e;
    n->own_seen |= a->unevaluated != NULL;
    if (n->resource->plain)
        return ERR_OK;
    if ((e = json_compile_count(l, n, "minItems", &a->min)) != ERR_OK ||
        (e = json_compile_count(l, n, "maxItems", &a->max)) != ERR_OK)
        return e;
    if (draft >= JSON_DRAFT_2019_09 && ((e = compile_contained(l, n, "minContains", &a->min_contains)) != ERR_OK ||
                                        (e = compile_contained(l, n, "maxContains", &a->max_contains)) != ERR_OK))
        return e;
    if (unique && unique->kind != J_TRUE && unique->kind != J_FALSE)
        return json_compile_wrong(l, "uniqueItems", "a boolean", unique);
    a->unique = unique && unique->kind == J_TRUE;
    return ERR_OK;
}

static uint32_t hash_name(struct slice s)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < s.n; i++)
        h = (h ^ s.p[i]) * 0x100000001b3u;
    return (uint32_t)(h ^ h >> 32);
}

/* The entry of a name, or the free place for it. */
static uint32_t *find_slot(const struct json_object_rules *o, struct slice name)
{
    uint32_t mask = o->table_size - 1, at = hash_name(name) & mask;
    while (o->table[at] && !slice_eq(o->properties[o->table[at] - 1].name, name))
        at = (at + 1) & mask;
    return &o->table[at];
}

const struct json_property *json_property_find(const struct json_object_rules *o, struct slice name)
{
    uint32_t i = o->table_size ? *find_slot(o, name) : 0;
    return i ? &o->properties[i - 1] : NULL;
}

static struct json_property *add_property(struct json_object_rules *o, struct slice name)
{
    uint32_t *slot = find_slot(o, name);
    if (!*slot) {
        o->properties[o->properties_n] = (struct json_property){.name = name};
        *slot = ++o->properties_n;
    }
    return &o->properties[*slot - 1];
}

static enum err compile_properties(struct json_loader *l, struct json_node *n, struct json_object_rules *o)
{
    const struct jvalue *properties = json_text_get_str(n->value, "properties");
    const struct jvalue *required = n->resource->plain ? NULL : json_text_get_str(n->value, "required");
    enum err e;
    if (properties && properties->kind != J_OBJECT)
        return json_compile_wrong(l, "properties", "an object", properties);
    if (required && required->kind != J_ARRAY)
        return json_compile_wrong(l, "required", "an array", required);
    uint32_t most = (properties ? properties->n : 0) + (required ? required->n : 0);
    if (most == 0)
        return ERR_OK;
    for (o->table_size = 4; o->table_size < most * 2; o->table_size *= 2)
        ;
    o->table = arena_array(&l->schema->arena, o->table_size, sizeof *o->table);
    o->properties = arena_array(&l->schema->arena, most, sizeof *o->properties);
    if (!o->table || !o->properties)
        return no_memory(l);
    for (uint32_t i = 0; properties && i < properties->n; i++) {
        const struct jmember *m = &properties->u.object.members[i];
        struct json_property *p = add_property(o, m->name);
        if ((e = json_compile_node(l, &m->value, n->resource, &p->node)) != ERR_OK)
            return e;
    }
    for (uint32_t i = 0; required && i < required->n; i++) {
        if (required->u.items[i].kind != J_STRING)
            return json_compile_wrong(l, "required", "strings", &required->u.items[i]);
        struct json_property *p = add_property(o, required->u.items[i].u.text);
        o->required_n += !p->required;
        p->required = true;
    }
    return ERR_OK;
}

static enum err compile_patterns(struct json_loader *l, struct json_node *n, struct json_object_rules *o)
{
    const struct jvalue *v = json_text_get_str(n->value, "patternProperties");
    if (!v)
        return ERR_OK;
    if (v->kind != J_OBJECT)
        return json_compile_wrong(l, "patternProperties", "an object", v);
    if (!(o->patterns = arena_array(&l->schema->arena, v->n ? v->n : 1, sizeof *o->patterns)))
        return no_memory(l);
    for (uint32_t i = 0; i < v->n; i++, o->patterns_n++) {
        const struct jmember *m = &v->u.object.members[i];
        struct json_pattern_property *p = &o->patterns[i];
        enum err e;
        p->text = m->name;
        if ((e = json_compile_regex(l, n, m->name, &p->regex)) != ERR_OK ||
            (e = json_compile_node(l, &m->value, n->resource, &p->node)) != ERR_OK)
            return e;
    }
    return ERR_OK;
}

static enum err dependency_names(struct json_loader *l, const char *keyword, const struct jvalue *v,
                                 struct json_names *out)
{
    if (!(out->v = arena_array(&l->schema->arena, v->n ? v->n : 1, sizeof *out->v)))
        return no_memory(l);
    for (uint32_t i = 0; i < v->n; i++) {
        if (v->u.items[i].kind != J_STRING)
            return json_compile_wrong(l, keyword, "strings", &v->u.items[i]);
        out->v[out->n++] = v->u.items[i].u.text;
    }
    return ERR_OK;
}

static enum err compile_dependencies(struct json_loader *l, struct json_node *n, struct json_object_rules *o)
{
    bool new = n->resource->draft >= JSON_DRAFT_2019_09;
    const char *const keywords[] = {"dependencies", new ? "dependentRequired" : NULL, new ? "dependentSchemas" : NULL};
    const struct jvalue *values[3] = {NULL};
    uint32_t most = 0;
    enum err e;
    for (int k = 0; k < 3; k++) {
        values[k] = keywords[k] ? json_text_get_str(n->value, keywords[k]) : NULL;
        if (values[k] && values[k]->kind != J_OBJECT) {
            if (!new || k != 0)
                return json_compile_wrong(l, keywords[k], "an object", values[k]);
            values[k] = NULL; /* the later drafts no longer know `dependencies` */
        }
        most += values[k] ? values[k]->n : 0;
    }
    if (most == 0)
        return ERR_OK;
    if (!(o->dependencies = arena_array(&l->schema->arena, most, sizeof *o->dependencies)))
        return no_memory(l);
    for (int k = 0; k < 3; k++)
        for (uint32_t i = 0; values[k] && i < values[k]->n; i++) {
            const struct jmember *m = &values[k]->u.object.members[i];
            struct json_dependency *d = &o->dependencies[o->dependencies_n++];
            d->name = m->name;
            d->old = k == 0;
            e = m->value.kind == J_ARRAY ? dependency_names(l, keywords[k], &m->value, &d->names)
                                         : json_compile_node(l, &m->value, n->resource, &d->node);
            if (e != ERR_OK)
                return e;
            if (n->resource->plain && !d->node)
                o->dependencies_n--;
        }
    return ERR_OK;
}

enum err json_compile_object(struct json_loader *l, struct json_node *n)
{
    static const struct since keywords[] = {
        {"properties", JSON_DRAFT_4},
        {"required", JSON_DRAFT_4},
        {"minProperties", JSON_DRAFT_4},
        {"maxProperties", JSON_DRAFT_4},
        {"dependencies", JSON_DRAFT_4},
        {"patternProperties", JSON_DRAFT_4},
        {"additionalProperties", JSON_DRAFT_4},
        {"propertyNames", JSON_DRAFT_6},
        {"dependentRequired", JSON_DRAFT_2019_09},
        {"dependentSchemas", JSON_DRAFT_2019_09},
        {"unevaluatedProperties", JSON_DRAFT_2019_09},
    };
    enum json_draft draft = n->resource->draft;
    struct json_object_rules *o;
    enum err e;
    if (!has_any(n, keywords, sizeof keywords / sizeof *keywords))
        return ERR_OK;
    if (!(o = n->object = arena_alloc(&l->schema->arena, sizeof *o)))
        return no_memory(l);
    o->min = o->max = JSON_COUNT_NONE;
    if ((e = compile_properties(l, n, o)) != ERR_OK || (e = compile_patterns(l, n, o)) != ERR_OK ||
        (e = compile_dependencies(l, n, o)) != ERR_OK ||
        (e = json_compile_child(l, n, "additionalProperties", &o->additional)) != ERR_OK)
        return e;
    if (draft >= JSON_DRAFT_6 && (e = json_compile_child(l, n, "propertyNames", &o->names)) != ERR_OK)
        return e;
    if (draft >= JSON_DRAFT_2019_09 &&
        (e = json_compile_child(l, n, "unevaluatedProperties", &o->unevaluated)) != ERR_OK)
        return e;
    n->own_seen |= o->unevaluated != NULL;
    if (n->resource->plain)
        return ERR_OK;
    if ((e = json_compile_count(l, n, "minProperties", &o->min)) != ERR_OK)
        return e;
    return json_compile_count(l, n, "maxProperties", &o->max);
}
