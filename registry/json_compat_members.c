/* SPDX-License-Identifier: Apache-2.0
 * Comparing objects and arrays by their content model: open (anything else is welcome), closed, or partly open (what is
 * not named must fit some schema). A property may be added where the old model could not have let it in with another
 * meaning, and removed where the new model lets it in. */
#include "registry/json_compat_diff.h"
#include "registry/json_java.h"

#include <stdio.h>
#include <stdlib.h>

static const struct json_object_rules no_rules = {.min = JSON_COUNT_NONE, .max = JSON_COUNT_NONE};

static struct diff_at below(const struct diff_at *at, struct diff_path *path, struct slice segment)
{
    struct diff_at r = *at;
    *path = (struct diff_path){.up = at->path, .segment = segment};
    r.path = path;
    return r;
}

bool diff_is_false(const struct json_node *n)
{
    return n && n->boolean && !n->accept;
}

bool diff_is_empty(struct shapes *s, const struct json_node *n)
{
    const struct shape *shape = shape_unfollowed(s, n);
    return shape && shape->kind == SHAPE_EMPTY;
}

const struct jvalue *diff_default(const struct shapes *s, const struct shape *shape)
{
    const struct jvalue *v = shape->whole && shape->kind != SHAPE_REFERENCE && !shape->node->boolean
                                 ? json_text_get_str(shape->node->value, "default")
                                 : NULL;
    return v && s->modern && v->kind == J_NULL ? NULL : v;
}

static bool has_default(const struct diff_at *at, const struct json_node *newer)
{
    const struct shape *shape = shape_unfollowed(at->newer, newer);
    return shape && diff_default(at->newer, shape);
}

static const struct json_property *property(const struct json_object_rules *o, struct slice name)
{
    const struct json_property *p = json_property_find(o, name);
    return p && p->node ? p : NULL;
}

static bool is_required(const struct json_object_rules *o, struct slice name)
{
    const struct json_property *p = json_property_find(o, name);
    return p && p->required;
}

/* The schema of properties not named; NULL for true, false or nothing said. */
static const struct json_node *additional_schema(const struct json_object_rules *o)
{
    return o->additional && !o->additional->boolean ? o->additional : NULL;
}

static bool is_open(struct shapes *s, const struct json_object_rules *o)
{
    return !diff_is_false(o->additional) && !additional_schema(o) && o->patterns_n == 0 &&
           (!o->unevaluated || diff_is_empty(s, o->unevaluated));
}

/* What a partly open model asks of a property it does not name; NULL when it is closed to it. */
static const struct json_node *partial_schema(const struct diff_at *at, struct shapes *s,
                                              const struct json_object_rules *o, struct slice name)
{
    struct diff *d = at->diff;
    for (uint32_t i = 0; i < o->patterns_n && diff_spend(d, 1); i++) {
        bool found = false;
        if (json_regex_search(o->patterns[i].regex, name, &d->regex, &found) != ERR_OK)
            diff_fail(d, ERR_LIMIT_EXCEEDED, "a regular expression of the schema takes too many steps");
        if (found)
            return o->patterns[i].node;
    }
    if (additional_schema(o))
        return o->additional;
    if (!diff_is_false(o->additional) && o->unevaluated && !diff_is_false(o->unevaluated) &&
        !diff_is_empty(s, o->unevaluated))
        return o->unevaluated;
    return NULL;
}

static void property_removed(const struct diff_at *at, const struct json_node *older, const struct json_object_rules *b,
                             struct slice name)
{
    struct diff_list list = {0};
    const struct json_node *partial;
    if (is_open(at->newer, b)) {
        diff_add(at, JSON_DIFF_PROPERTY_REMOVED_FROM_OPEN_CONTENT_MODEL);
        return;
    }
    partial = partial_schema(at, at->newer, b, name);
    if (partial) {
        bool covered = diff_nodes_apart(at, older, partial, &list);
        diff_append(at, &list);
        diff_add(at, covered ? JSON_DIFF_PROPERTY_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL
                             : JSON_DIFF_PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL);
        return;
    }
    diff_add(at, diff_is_false(older) ? JSON_DIFF_PROPERTY_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL
                                      : JSON_DIFF_PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL);
}

static void property_added(const struct diff_at *at, const struct json_object_rules *a,
                           const struct json_object_rules *b, const struct json_property *newer)
{
    bool required = is_required(b, newer->name);
    struct diff_list list = {0};
    const struct json_node *partial;
    if (is_open(at->older, a)) {
        if (diff_is_empty(at->newer, newer->node))
            diff_add(at, JSON_DIFF_PROPERTY_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL);
        else if (!required)
            diff_add(at, JSON_DIFF_OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL);
        else
            diff_add(at, has_default(at, newer->node)
                             ? JSON_DIFF_REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_OPEN_CONTENT_MODEL
                             : JSON_DIFF_REQUIRED_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL);
        return;
    }
    partial = partial_schema(at, at->older, a, newer->name);
    if (partial) {
        bool covered = diff_nodes_apart(at, partial, newer->node, &list);
        diff_append(at, &list);
        diff_add(at, covered ? JSON_DIFF_PROPERTY_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL
                             : JSON_DIFF_PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL);
    }
    if (!required)
        diff_add(at, JSON_DIFF_OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL);
    else
        diff_add(at, has_default(at, newer->node)
                         ? JSON_DIFF_REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_UNOPEN_CONTENT_MODEL
                         : JSON_DIFF_REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL);
}

/* To free. */
static struct json_java_key *keys_for(struct diff *d, size_t n)
{
    struct json_java_key *keys = diff_spend(d, n) ? calloc(n ? n : 1, sizeof *keys) : NULL;
    if (!keys)
        diff_fail(d, ERR_NO_MEMORY, "out of memory comparing schemas");
    return keys;
}

/* The properties of both sides, in the order the reference has them. Index: of the older side, then of the newer. */
static struct json_java_key *properties_of(struct diff *d, const struct json_object_rules *a,
                                           const struct json_object_rules *b, uint32_t *n)
{
    struct json_java_key *keys = keys_for(d, (size_t)a->properties_n + b->properties_n);
    uint32_t older;
    *n = 0;
    if (!keys)
        return NULL;
    for (uint32_t i = 0; i < a->properties_n; i++)
        if (a->properties[i].node)
            keys[(*n)++] = (struct json_java_key){.name = a->properties[i].name, .index = i};
    older = *n;
    for (uint32_t i = 0; i < b->properties_n; i++)
        if (b->properties[i].node && !property(a, b->properties[i].name))
            keys[(*n)++] = (struct json_java_key){.name = b->properties[i].name, .index = a->properties_n + i};
    json_java_sort(keys, *n, json_java_buckets_copied(older, *n));
    return keys;
}

static void compare_properties(const struct diff_at *outer, const struct json_object_rules *a,
                               const struct json_object_rules *b)
{
    struct diff_path path, inner;
    struct diff_at at = below(outer, &path, slice_str("properties"));
    uint32_t n;
    struct json_java_key *keys = properties_of(at.diff, a, b, &n);
    for (uint32_t i = 0; keys && i < n && diff_spend(at.diff, 1); i++) {
        struct diff_at here = below(&at, &inner, keys[i].name);
        const struct json_property *older, *newer;
        if (keys[i].index >= a->properties_n) {
            property_added(&here, a, b, &b->properties[keys[i].index - a->properties_n]);
            continue;
        }
        older = &a->properties[keys[i].index];
        newer = property(b, older->name);
        if (newer)
            diff_nodes(&here, older->node, newer->node);
        else
            property_removed(&here, older->node, b, older->name);
    }
    free(keys);
}

static void compare_required(const struct diff_at *outer, const struct json_object_rules *a,
                             const struct json_object_rules *b)
{
    struct diff_path path, inner;
    struct diff_at at = below(outer, &path, slice_str("required"));
    struct json_java_key *keys = keys_for(at.diff, a->properties_n);
    uint32_t n = 0;
    for (uint32_t i = 0; keys && i < a->properties_n; i++)
        if (a->properties[i].node)
            keys[n++] = (struct json_java_key){.name = a->properties[i].name, .index = i};
    if (keys)
        json_java_sort(keys, n, json_java_buckets(n));
    for (uint32_t i = 0; i < n && diff_spend(at.diff, 1); i++) {
        const struct json_property *older = &a->properties[keys[i].index], *newer = property(b, older->name);
        struct diff_at here = below(&at, &inner, older->name);
        if (!newer || older->required == newer->required)
            continue;
        if (older->required)
            diff_add(&here, JSON_DIFF_REQUIRED_ATTRIBUTE_REMOVED);
        else
            diff_add(&here, has_default(&here, newer->node) ? JSON_DIFF_REQUIRED_ATTRIBUTE_WITH_DEFAULT_ADDED
                                                            : JSON_DIFF_REQUIRED_ATTRIBUTE_ADDED);
    }
    free(keys);
}

static bool has_name(const struct json_names *names, struct slice name)
{
    for (uint32_t i = 0; i < names->n; i++)
        if (slice_eq(names->v[i], name))
            return true;
    return false;
}

static bool has_names(struct diff *d, const struct json_names *all, const struct json_names *some)
{
    for (uint32_t i = 0; i < some->n; i++)
        if (!diff_spend(d, 1 + all->n / 8) || !has_name(all, some->v[i]))
            return false;
    return true;
}

/* A dependency on nothing does not reach the reference's comparison. */
static bool counts(const struct json_dependency *d, bool schema)
{
    return schema ? d->node != NULL : !d->node && d->names.n > 0;
}

static const struct json_dependency *dependency(struct diff *d, const struct json_object_rules *o, struct slice name,
                                                bool schema)
{
    for (uint32_t i = 0; i < o->dependencies_n && diff_spend(d, 1); i++)
        if (slice_eq(o->dependencies[i].name, name) && counts(&o->dependencies[i], schema))
            return &o->dependencies[i];
    return NULL;
}

static void compare_dependency(const struct diff_at *at, const struct json_dependency *a,
                               const struct json_dependency *b)
{
    bool more, fewer;
    if (a->node) {
        diff_nodes(at, a->node, b->node);
        return;
    }
    more = has_names(at->diff, &b->names, &a->names);
    fewer = has_names(at->diff, &a->names, &b->names);
    if (more && fewer)
        return;
    diff_add(at, more    ? JSON_DIFF_DEPENDENCY_ARRAY_EXTENDED
                 : fewer ? JSON_DIFF_DEPENDENCY_ARRAY_NARROWED
                         : JSON_DIFF_DEPENDENCY_ARRAY_CHANGED);
}

static struct json_java_key *dependencies_of(struct diff *d, const struct json_object_rules *a,
                                             const struct json_object_rules *b, bool schemas, uint32_t *n)
{
    struct json_java_key *keys = keys_for(d, (size_t)a->dependencies_n + b->dependencies_n);
    uint32_t older;
    *n = 0;
    if (!keys)
        return NULL;
    for (uint32_t i = 0; i < a->dependencies_n; i++)
        if (counts(&a->dependencies[i], schemas))
            keys[(*n)++] = (struct json_java_key){.name = a->dependencies[i].name, .index = i};
    older = *n;
    for (uint32_t i = 0; i < b->dependencies_n; i++)
        if (counts(&b->dependencies[i], schemas) && !dependency(d, a, b->dependencies[i].name, schemas))
            keys[(*n)++] = (struct json_java_key){.name = b->dependencies[i].name, .index = a->dependencies_n + i};
    json_java_sort(keys, *n, json_java_buckets_copied(older, *n));
    return keys;
}

static void compare_some_dependencies(const struct diff_at *at, const struct json_object_rules *a,
                                      const struct json_object_rules *b, bool schemas)
{
    struct diff_path inner;
    uint32_t n;
    struct json_java_key *keys = dependencies_of(at->diff, a, b, schemas, &n);
    for (uint32_t i = 0; keys && i < n && at->diff->error == ERR_OK; i++) {
        struct diff_at here = below(at, &inner, keys[i].name);
        const struct json_dependency *newer;
        if (keys[i].index >= a->dependencies_n)
            diff_add(&here, schemas ? JSON_DIFF_DEPENDENCY_SCHEMA_ADDED : JSON_DIFF_DEPENDENCY_ARRAY_ADDED);
        else if ((newer = dependency(at->diff, b, keys[i].name, schemas)))
            compare_dependency(&here, &a->dependencies[keys[i].index], newer);
        else
            diff_add(&here, schemas ? JSON_DIFF_DEPENDENCY_SCHEMA_REMOVED : JSON_DIFF_DEPENDENCY_ARRAY_REMOVED);
    }
    free(keys);
}

static void compare_dependencies(const struct diff_at *outer, const struct json_object_rules *a,
                                 const struct json_object_rules *b)
{
    struct diff_path path;
    struct diff_at at = below(outer, &path, slice_str("dependencies"));
    compare_some_dependencies(&at, a, b, false);
    compare_some_dependencies(&at, a, b, true);
}

static void compare_additional(const struct diff_at *at, bool older_open, bool newer_open,
                               const struct json_node *older, const struct json_node *newer, struct diff_rest types)
{
    if (older_open != newer_open)
        diff_add(at, newer_open ? types.added : types.removed);
    else if (!older && newer)
        diff_add(at, types.narrowed);
    else if (older && !newer)
        diff_add(at, types.extended);
    else
        diff_nodes(at, older, newer);
}

void diff_unevaluated(const struct diff_at *at, const struct json_node *older, const struct json_node *newer,
                      struct diff_rest types)
{
    bool a_false = diff_is_false(older), b_false = diff_is_false(newer);
    if (!older && !newer)
        return;
    if (!older) {
        diff_add(at, b_false ? types.removed : types.narrowed);
    } else if (!newer) {
        diff_add(at, a_false ? types.added : types.extended);
    } else if (a_false != b_false) {
        diff_add(at, a_false ? types.added : types.removed);
    } else {
        bool a_any = diff_is_empty(at->older, older), b_any = diff_is_empty(at->newer, newer);
        if (a_any != b_any)
            diff_add(at, a_any ? types.narrowed : types.extended);
        else
            diff_nodes(at, older, newer);
    }
}

void diff_objects(const struct diff_at *at, const struct shape *older, const struct shape *newer)
{
    const struct json_object_rules *a = older->rules.object ? older->rules.object : &no_rules;
    const struct json_object_rules *b = newer->rules.object ? newer->rules.object : &no_rules;
    struct diff_path path;
    compare_required(at, a, b);
    compare_properties(at, a, b);
    compare_dependencies(at, a, b);
    struct diff_at here = below(at, &path, slice_str("additionalProperties"));
    compare_additional(
        &here, !diff_is_false(a->additional), !diff_is_false(b->additional), additional_schema(a), additional_schema(b),
        (struct diff_rest){JSON_DIFF_ADDITIONAL_PROPERTIES_ADDED, JSON_DIFF_ADDITIONAL_PROPERTIES_REMOVED,
                           JSON_DIFF_ADDITIONAL_PROPERTIES_EXTENDED, JSON_DIFF_ADDITIONAL_PROPERTIES_NARROWED});
    here = below(at, &path, slice_str("unevaluatedProperties"));
    diff_unevaluated(
        &here, a->unevaluated, b->unevaluated,
        (struct diff_rest){JSON_DIFF_UNEVALUATED_PROPERTIES_ADDED, JSON_DIFF_UNEVALUATED_PROPERTIES_REMOVED,
                           JSON_DIFF_UNEVALUATED_PROPERTIES_EXTENDED, JSON_DIFF_UNEVALUATED_PROPERTIES_NARROWED});
    diff_count(at, "maxProperties", a->max, b->max,
               (struct diff_change){JSON_DIFF_MAX_PROPERTIES_ADDED, JSON_DIFF_MAX_PROPERTIES_REMOVED,
                                    JSON_DIFF_MAX_PROPERTIES_INCREASED, JSON_DIFF_MAX_PROPERTIES_DECREASED});
    diff_count(at, "minProperties", a->min, b->min,
               (struct diff_change){JSON_DIFF_MIN_PROPERTIES_ADDED, JSON_DIFF_MIN_PROPERTIES_REMOVED,
                                    JSON_DIFF_MIN_PROPERTIES_INCREASED, JSON_DIFF_MIN_PROPERTIES_DECREASED});
}

static bool items_open(struct shapes *s, const struct shape_items *v)
{
    return v->open && !v->additional && (!v->unevaluated || diff_is_empty(s, v->unevaluated));
}

static const struct json_node *items_partial(struct shapes *s, const struct shape_items *v)
{
    if (v->additional)
        return v->additional;
    if (v->open && v->unevaluated && !diff_is_false(v->unevaluated) && !diff_is_empty(s, v->unevaluated))
        return v->unevaluated;
    return NULL;
}

static void item_removed(const struct diff_at *at, const struct json_node *older, const struct shape_items *b)
{
    const struct json_node *partial = items_partial(at->newer, b);
    struct diff_list list = {0};
    if (items_open(at->newer, b)) {
        diff_add(at, JSON_DIFF_ITEM_REMOVED_FROM_OPEN_CONTENT_MODEL);
    } else if (partial) {
        bool covered = diff_nodes_apart(at, older, partial, &list);
        diff_append(at, &list);
        diff_add(at, covered ? JSON_DIFF_ITEM_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL
                             : JSON_DIFF_ITEM_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL);
    } else {
        diff_add(at, diff_is_false(older) ? JSON_DIFF_ITEM_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL
                                          : JSON_DIFF_ITEM_REMOVED_FROM_CLOSED_CONTENT_MODEL);
    }
}

static void item_added(const struct diff_at *at, const struct shape_items *a, const struct json_node *newer)
{
    const struct json_node *partial = items_partial(at->older, a);
    struct diff_list list = {0};
    if (items_open(at->older, a)) {
        diff_add(at, diff_is_empty(at->newer, newer) ? JSON_DIFF_ITEM_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL
                                                     : JSON_DIFF_ITEM_ADDED_TO_OPEN_CONTENT_MODEL);
    } else if (partial) {
        bool covered = diff_nodes_apart(at, partial, newer, &list);
        diff_append(at, &list);
        diff_add(at, covered ? JSON_DIFF_ITEM_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL
                             : JSON_DIFF_ITEM_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL);
    } else {
        diff_add(at, JSON_DIFF_ITEM_ADDED_TO_CLOSED_CONTENT_MODEL);
    }
}

static void compare_tuples(const struct diff_at *at, const struct shape_items *a, const struct shape_items *b)
{
    uint32_t most = a->prefix.n > b->prefix.n ? a->prefix.n : b->prefix.n;
    for (uint32_t i = 0; i < most && diff_spend(at->diff, 1); i++) {
        char segment[32];
        struct diff_path path;
        snprintf(segment, sizeof segment, "items/%u", i);
        struct diff_at here = below(at, &path, slice_str(segment));
        if (i < a->prefix.n && i < b->prefix.n)
            diff_nodes(&here, a->prefix.v[i], b->prefix.v[i]);
        else if (i < a->prefix.n)
            item_removed(&here, a->prefix.v[i], b);
        else
            item_added(&here, a, b->prefix.v[i]);
    }
}

static void compare_array_counts(const struct diff_at *at, const struct shape *older, const struct shape *newer,
                                 const struct shape_items *a, const struct shape_items *b)
{
    static const struct json_array_rules none = {.min = JSON_COUNT_NONE, .max = JSON_COUNT_NONE};
    const struct json_array_rules *x = older->rules.array ? older->rules.array : &none;
    const struct json_array_rules *y = newer->rules.array ? newer->rules.array : &none;
    diff_count(at, "maxItems", x->max, y->max,
               (struct diff_change){JSON_DIFF_MAX_ITEMS_ADDED, JSON_DIFF_MAX_ITEMS_REMOVED,
                                    JSON_DIFF_MAX_ITEMS_INCREASED, JSON_DIFF_MAX_ITEMS_DECREASED});
    diff_count(at, "minItems", x->min, y->min,
               (struct diff_change){JSON_DIFF_MIN_ITEMS_ADDED, JSON_DIFF_MIN_ITEMS_REMOVED,
                                    JSON_DIFF_MIN_ITEMS_INCREASED, JSON_DIFF_MIN_ITEMS_DECREASED});
    if (x->unique != y->unique)
        diff_add_below(at, "uniqueItems", x->unique ? JSON_DIFF_UNIQUE_ITEMS_REMOVED : JSON_DIFF_UNIQUE_ITEMS_ADDED);
    diff_count(at, "maxContains", a->max_contains, b->max_contains,
               (struct diff_change){JSON_DIFF_MAX_CONTAINS_ADDED, JSON_DIFF_MAX_CONTAINS_REMOVED,
                                    JSON_DIFF_MAX_CONTAINS_INCREASED, JSON_DIFF_MAX_CONTAINS_DECREASED});
    diff_count(at, "minContains", a->min_contains, b->min_contains,
               (struct diff_change){JSON_DIFF_MIN_CONTAINS_ADDED, JSON_DIFF_MIN_CONTAINS_REMOVED,
                                    JSON_DIFF_MIN_CONTAINS_INCREASED, JSON_DIFF_MIN_CONTAINS_DECREASED});
}

void diff_arrays(const struct diff_at *at, const struct shape *older, const struct shape *newer)
{
    struct shape_items a = shape_items_of(at->older, older), b = shape_items_of(at->newer, newer);
    struct diff_path path;
    struct diff_at here = below(at, &path, slice_str("items"));
    diff_nodes(&here, a.every, b.every);
    compare_tuples(at, &a, &b);
    here = below(at, &path, slice_str("additionalItems"));
    compare_additional(&here, a.open, b.open, a.additional, b.additional,
                       (struct diff_rest){JSON_DIFF_ADDITIONAL_ITEMS_ADDED, JSON_DIFF_ADDITIONAL_ITEMS_REMOVED,
                                          JSON_DIFF_ADDITIONAL_ITEMS_EXTENDED, JSON_DIFF_ADDITIONAL_ITEMS_NARROWED});
    here = below(at, &path, slice_str("unevaluatedItems"));
    diff_unevaluated(&here, a.unevaluated, b.unevaluated,
                     (struct diff_rest){JSON_DIFF_UNEVALUATED_ITEMS_ADDED, JSON_DIFF_UNEVALUATED_ITEMS_REMOVED,
                                        JSON_DIFF_UNEVALUATED_ITEMS_EXTENDED, JSON_DIFF_UNEVALUATED_ITEMS_NARROWED});
    compare_array_counts(at, older, newer, &a, &b);
}
