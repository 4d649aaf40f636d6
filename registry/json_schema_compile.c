/* SPDX-License-Identifier: Apache-2.0
 * From values to nodes. A node is made the first time somebody names its value and filled in by one loop, so neither
 * long chains of references nor cycles recurse. Only subschemas that can be reached from the root become nodes.
 * Keywords of the wrong type are errors in the terms of the schema's author. The schema owns arena and expressions. */
#include "registry/json_schema_graph.h"

#include <stdlib.h>

static enum err no_memory(struct json_loader *l)
{
    return reason_set(l->why, ERR_NO_MEMORY, "out of memory compiling a JSON schema");
}

enum err json_compile_wrong(struct json_loader *l, const char *keyword, const char *expected,
                            const struct jvalue *found)
{
    return reason_set(l->why, ERR_MALFORMED, "%s: expected %s, found %s", keyword, expected,
                      json_text_kind_name(found->kind));
}

enum err json_compile_node(struct json_loader *l, const struct jvalue *v, struct json_resource *r,
                           struct json_node **out)
{
    struct json_schema *s = l->schema;
    struct json_resource *owner = json_load_owner(l, v);
    *out = map_get(&l->compiled, slice_of(&v, sizeof v));
    if (*out)
        return ERR_OK;
    if (v->kind != J_OBJECT && v->kind != J_TRUE && v->kind != J_FALSE)
        return reason_set(l->why, ERR_MALFORMED, "expected a schema (an object or a boolean), found %s",
                          json_text_kind_name(v->kind));
    if (s->nodes_n >= JSON_SCHEMA_NODES_MAX)
        return reason_set(l->why, ERR_LIMIT_EXCEEDED, "more than %d subschemas", JSON_SCHEMA_NODES_MAX);
    if (s->nodes_n == s->nodes_cap) {
        uint32_t cap = s->nodes_cap ? s->nodes_cap * 2 : 16;
        struct json_node **grown = realloc(s->nodes, cap * sizeof *grown);
        if (!grown)
            return no_memory(l);
        s->nodes = grown;
        s->nodes_cap = cap;
    }
    struct json_node *n = arena_alloc(&s->arena, sizeof *n);
    if (!n)
        return no_memory(l);
    *n = (struct json_node){.value = v, .resource = owner ? owner : r, .index = s->nodes_n};
    s->nodes[s->nodes_n++] = n;
    *out = n;
    return map_put(&l->compiled, slice_of(&v, sizeof v), n, NULL);
}

enum err json_compile_child(struct json_loader *l, struct json_node *n, const char *keyword, struct json_node **out)
{
    const struct jvalue *v = json_text_get_str(n->value, keyword);
    return v ? json_compile_node(l, v, n->resource, out) : ERR_OK;
}

enum err json_compile_children(struct json_loader *l, struct json_node *n, const char *keyword, struct json_nodes *out)
{
    const struct jvalue *v = json_text_get_str(n->value, keyword);
    if (!v)
        return ERR_OK;
    if (v->kind != J_ARRAY)
        return json_compile_wrong(l, keyword, "an array of schemas", v);
    if (!(out->v = arena_array(&l->schema->arena, v->n ? v->n : 1, sizeof *out->v)))
        return no_memory(l);
    out->n = v->n;
    for (uint32_t i = 0; i < v->n; i++) {
        enum err e = json_compile_node(l, &v->u.items[i], n->resource, &out->v[i]);
        if (e != ERR_OK)
            return e;
    }
    return ERR_OK;
}

enum err json_compile_count(struct json_loader *l, struct json_node *n, const char *keyword, uint64_t *out)
{
    const struct jvalue *v = json_text_get_str(n->value, keyword);
    if (!v)
        return ERR_OK;
    if (v->kind != J_NUMBER)
        return json_compile_wrong(l, keyword, "an integer", v);
    struct json_number number = json_number_of(v->u.text);
    if (json_number_u64(&number, out))
        return ERR_OK;
    if (!json_number_is_integer(&number) && n->resource->draft < JSON_DRAFT_2019_09)
        return reason_set(l->why, ERR_MALFORMED, "%s: expected an integer, found %.*s", keyword, SLICE_FMT(v->u.text));
    /* the reference takes a negative count, and cuts a broken one in the later drafts */
    double count = json_number_double(v->u.text);
    *out = count <= 0 ? 0 : count < 1e18 ? (uint64_t)count : JSON_COUNT_NONE - 1;
    return ERR_OK;
}

enum err json_compile_regex(struct json_loader *l, struct json_node *n, struct slice text, struct json_regex **out)
{
    (void)n;
    enum err e = json_regex_compile(out, text, JSON_REGEX_LENIENT, l->why);
    if (e == ERR_OK) {
        (*out)->next = l->schema->regexes;
        l->schema->regexes = *out;
    }
    return e;
}

static enum err add_type(struct json_loader *l, struct json_node *n, const struct jvalue *v)
{
    static const char *const names[] = {"null", "boolean", "integer", "number", "string", "array", "object"};
    if (v->kind != J_STRING)
        return json_compile_wrong(l, "type", "a type's name", v);
    for (unsigned i = 0; i < 7; i++)
        if (slice_eq_str(v->u.text, names[i])) {
            n->types |= (uint8_t)(1u << i);
            return ERR_OK;
        }
    return reason_set(l->why, ERR_MALFORMED, "unknown type: [%.*s]", SLICE_FMT(v->u.text));
}

static enum err compile_type(struct json_loader *l, struct json_node *n)
{
    const struct jvalue *v = json_text_get_str(n->value, "type");
    enum err e = ERR_OK;
    if (!v)
        return ERR_OK;
    if (v->kind == J_STRING)
        return add_type(l, n, v);
    if (v->kind != J_ARRAY)
        return json_compile_wrong(l, "type", "a string or an array of strings", v);
    n->types_list = true;
    for (uint32_t i = 0; e == ERR_OK && i < v->n; i++)
        e = add_type(l, n, &v->u.items[i]);
    return e;
}

static struct json_number_rules *number_rules(struct json_loader *l, struct json_node *n)
{
    if (!n->number)
        n->number = arena_alloc(&l->schema->arena, sizeof *n->number);
    return n->number;
}

static enum err compile_limit(struct json_loader *l, struct json_node *n, const char *keyword, size_t offset)
{
    const struct jvalue *v = json_text_get_str(n->value, keyword);
    struct json_limit *limit;
    if (!v)
        return ERR_OK;
    if (!number_rules(l, n))
        return no_memory(l);
    limit = (struct json_limit *)((char *)n->number + offset);
    if (n->resource->draft == JSON_DRAFT_4 && strncmp(keyword, "exclusive", 9) == 0) {
        if (v->kind != J_TRUE && v->kind != J_FALSE)
            return json_compile_wrong(l, keyword, "a boolean", v);
        if (strcmp(keyword, "exclusiveMinimum") == 0)
            n->number->minimum_excluded = v->kind == J_TRUE;
        else
            n->number->maximum_excluded = v->kind == J_TRUE;
        return ERR_OK;
    }
    if (v->kind != J_NUMBER)
        return json_compile_wrong(l, keyword, "a number", v);
    *limit = (struct json_limit){.set = true, .text = v->u.text, .number = json_number_of(v->u.text)};
    return ERR_OK;
}

static enum err compile_numbers(struct json_loader *l, struct json_node *n)
{
    static const struct {
        const char *keyword;
        size_t offset;
    } limits[] = {
        {"minimum", offsetof(struct json_number_rules, minimum)},
        {"maximum", offsetof(struct json_number_rules, maximum)},
        {"exclusiveMinimum", offsetof(struct json_number_rules, exclusive_minimum)},
        {"exclusiveMaximum", offsetof(struct json_number_rules, exclusive_maximum)},
        {"multipleOf", offsetof(struct json_number_rules, multiple_of)},
    };
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        enum err e = compile_limit(l, n, limits[i].keyword, limits[i].offset);
        if (e != ERR_OK)
            return e;
    }
    if (n->number && n->number->multiple_of.set && n->number->multiple_of.number.n == 0)
        return reason_set(l->why, ERR_MALFORMED, "multipleOf should not be 0");
    return ERR_OK;
}

static enum err string_rules(struct json_loader *l, struct json_node *n)
{
    if (!n->string && !(n->string = arena_alloc(&l->schema->arena, sizeof *n->string)))
        return no_memory(l);
    *n->string = (struct json_string_rules){.min = JSON_COUNT_NONE, .max = JSON_COUNT_NONE};
    return ERR_OK;
}

static bool asserts(const struct json_loader *l, const struct json_node *n, struct slice format)
{
    enum json_draft since;
    if (n->resource->formats || l->options->formats == JSON_FORMAT_ASSERTION)
        return true;
    return l->options->formats == JSON_FORMAT_REFERENCE && n->resource->draft <= JSON_DRAFT_7 &&
           json_format_known(format, &since) && since <= n->resource->draft;
}

static enum err compile_format(struct json_loader *l, struct json_node *n)
{
    const struct jvalue *format = json_text_get_str(n->value, "format");
    enum err e;
    if (!format)
        return ERR_OK;
    if (format->kind != J_STRING)
        return json_compile_wrong(l, "format", "a string", format);
    if (!n->string && (e = string_rules(l, n)) != ERR_OK)
        return e;
    n->string->format = format->u.text;
    /* to the reference, draft 4's "uri" may be relative */
    if (l->options->formats == JSON_FORMAT_REFERENCE && n->resource->draft == JSON_DRAFT_4 &&
        slice_eq_str(format->u.text, "uri"))
        n->string->format = slice_str("uri-reference");
    n->string->assert_format = asserts(l, n, format->u.text);
    return ERR_OK;
}

static enum err compile_strings(struct json_loader *l, struct json_node *n)
{
    const struct jvalue *pattern = json_text_get_str(n->value, "pattern");
    enum err e = compile_format(l, n);
    if (e != ERR_OK ||
        (!pattern && !json_text_get_str(n->value, "minLength") && !json_text_get_str(n->value, "maxLength")))
        return e;
    if (!n->string && (e = string_rules(l, n)) != ERR_OK)
        return e;
    if ((e = json_compile_count(l, n, "minLength", &n->string->min)) != ERR_OK ||
        (e = json_compile_count(l, n, "maxLength", &n->string->max)) != ERR_OK)
        return e;
    if (!pattern)
        return ERR_OK;
    if (pattern->kind != J_STRING)
        return json_compile_wrong(l, "pattern", "a string", pattern);
    n->string->pattern_text = pattern->u.text;
    return json_compile_regex(l, n, pattern->u.text, &n->string->pattern);
}

static enum err compile_ref(struct json_loader *l, struct json_node *n, const struct jvalue *v, const char *keyword,
                            struct json_node **out)
{
    const struct jvalue *target;
    struct json_resource *owner;
    enum err e;
    if (v->kind != J_STRING)
        return json_compile_wrong(l, keyword, "a string", v);
    if ((e = json_load_reference(l, n->resource, v->u.text, &target, &owner)) != ERR_OK)
        return e;
    return json_compile_node(l, target, owner, out);
}

static enum err compile_dynamic_ref(struct json_loader *l, struct json_node *n, const struct jvalue *v)
{
    const struct jvalue *anchor;
    enum err e = compile_ref(l, n, v, "$dynamicRef", &n->dynamic_ref);
    if (e != ERR_OK)
        return e;
    anchor = json_text_get_str(n->dynamic_ref->value, "$dynamicAnchor");
    for (size_t i = 0; i < v->u.text.n; i++)
        if (v->u.text.p[i] == '#' && anchor && anchor->kind == J_STRING &&
            slice_eq(slice_of(v->u.text.p + i + 1, v->u.text.n - i - 1), anchor->u.text)) {
            n->dynamic_name = anchor->u.text;
            l->schema->dynamic = true;
        }
    return ERR_OK;
}

static enum err compile_refs(struct json_loader *l, struct json_node *n)
{
    enum json_draft draft = n->resource->draft;
    const struct jvalue *v = json_text_get_str(n->value, "$ref");
    enum err e;
    if (v && (draft >= JSON_DRAFT_2019_09 || v->kind == J_STRING) &&
        (e = compile_ref(l, n, v, "$ref", &n->ref)) != ERR_OK)
        return e;
    v = draft == JSON_DRAFT_2020_12 ? json_text_get_str(n->value, "$dynamicRef") : NULL;
    if (v && (e = compile_dynamic_ref(l, n, v)) != ERR_OK)
        return e;
    v = draft == JSON_DRAFT_2019_09 ? json_text_get_str(n->value, "$recursiveRef") : NULL;
    if (v) {
        if ((e = compile_ref(l, n, v, "$recursiveRef", &n->dynamic_ref)) != ERR_OK)
            return e;
        n->recursive =
            n->dynamic_ref->resource->recursive_anchor && n->dynamic_ref->value == n->dynamic_ref->resource->root;
        l->schema->dynamic |= n->recursive;
    }
    return ERR_OK;
}

static enum err compile_choices(struct json_loader *l, struct json_node *n)
{
    enum json_draft draft = n->resource->draft;
    const struct jvalue *v = json_text_get_str(n->value, "enum");
    enum err e;
    if (v && v->kind != J_ARRAY)
        return json_compile_wrong(l, "enum", "an array", v);
    n->enumeration = v;
    n->constant = draft >= JSON_DRAFT_6 ? json_text_get_str(n->value, "const") : NULL;
    if ((e = json_compile_children(l, n, "allOf", &n->all_of)) != ERR_OK ||
        (e = json_compile_children(l, n, "anyOf", &n->any_of)) != ERR_OK ||
        (e = json_compile_children(l, n, "oneOf", &n->one_of)) != ERR_OK ||
        (e = json_compile_child(l, n, "not", &n->not_)) != ERR_OK || draft < JSON_DRAFT_7)
        return e;
    if (draft >= JSON_DRAFT_2019_09 && !json_text_get_str(n->value, "if"))
        return ERR_OK;
    if ((e = json_compile_child(l, n, "if", &n->if_)) != ERR_OK ||
        (e = json_compile_child(l, n, "then", &n->then_)) != ERR_OK)
        return e;
    return json_compile_child(l, n, "else", &n->else_);
}

enum err json_compile_fill(struct json_loader *l, struct json_node *n)
{
    bool checks = !n->resource->plain;
    enum err e;
    n->boolean = n->value->kind != J_OBJECT;
    n->accept = n->value->kind == J_TRUE;
    if (n->boolean)
        return ERR_OK;
    if ((e = json_compile_annotations(l, n)) != ERR_OK || (e = compile_refs(l, n)) != ERR_OK)
        return e;
    /* Drafts 4 to 7: "All other properties in a "$ref" object MUST be ignored." */
    if (n->ref && n->resource->draft <= JSON_DRAFT_7)
        return ERR_OK;
    if ((e = compile_choices(l, n)) != ERR_OK || (e = json_compile_array(l, n)) != ERR_OK ||
        (e = json_compile_object(l, n)) != ERR_OK)
        return e;
    if (!checks) {
        n->enumeration = n->constant = NULL;
        return n->resource->formats ? compile_format(l, n) : ERR_OK;
    }
    if ((e = compile_type(l, n)) != ERR_OK || (e = compile_numbers(l, n)) != ERR_OK)
        return e;
    return compile_strings(l, n);
}

/* Dynamic references may land on any dynamic anchor or recursive root of a resource taking part. */
static enum err compile_dynamics(struct json_loader *l)
{
    enum err e = ERR_OK;
    for (struct json_resource *r = l->schema->resources; r && e == ERR_OK; r = r->next) {
        for (struct json_anchor *a = r->anchors; a && e == ERR_OK; a = a->next)
            if (a->dynamic && !a->node)
                e = json_compile_node(l, a->value, r, &a->node);
        if (e == ERR_OK && r->recursive_anchor && !r->root_node)
            e = json_compile_node(l, r->root, r, &r->root_node);
    }
    return e;
}

static enum err compile_all(struct json_loader *l, const struct jvalue *root)
{
    struct json_schema *s = l->schema;
    enum err e = json_compile_node(l, root, NULL, &s->root);
    while (e == ERR_OK && l->filled < s->nodes_n) {
        while (e == ERR_OK && l->filled < s->nodes_n)
            e = json_compile_fill(l, s->nodes[l->filled++]);
        if (e == ERR_OK && s->dynamic)
            e = compile_dynamics(l);
    }
    return e;
}

enum err json_schema_compile(struct json_schema **out, struct slice text, const struct json_schema_options *options,
                             struct reason *why)
{
    static const struct json_schema_options defaults = {.draft = JSON_DRAFT_7};
    struct json_schema *s = calloc(1, sizeof *s);
    struct json_loader l = {.schema = s, .options = options ? options : &defaults, .why = why};
    const struct jvalue *root;
    enum err e;
    *out = NULL;
    if (!s)
        return no_memory(&l);
    l.draft = l.options->draft;
    arena_init(&s->arena, 0);
    map_init(&l.resources);
    map_init(&l.owners);
    map_init(&l.compiled);
    e = json_load_root(&l, text, &root);
    if (e == ERR_OK)
        e = compile_all(&l, root);
    map_free(&l.resources, NULL);
    map_free(&l.owners, NULL);
    map_free(&l.compiled, NULL);
    if (e == ERR_OK)
        *out = s;
    else
        json_schema_free(s);
    return e;
}

void json_schema_free(struct json_schema *s)
{
    if (!s)
        return;
    while (s->regexes) {
        struct json_regex *next = s->regexes->next;
        json_regex_free(s->regexes);
        s->regexes = next;
    }
    free(s->nodes);
    arena_free(&s->arena);
    free(s);
}

enum json_draft json_schema_draft(const struct json_schema *s)
{
    return s->root->resource->draft;
}

const struct jvalue *json_schema_root(const struct json_schema *s)
{
    return s->root->value;
}
