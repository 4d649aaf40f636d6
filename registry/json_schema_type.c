/* SPDX-License-Identifier: Apache-2.0
 * JSON Schema behind the face all kinds of schema share. Tags are found by walking the compiled graph; a recursive
 * schema's fields are visited once per path, not into the recursion, and the walk is limited in steps. */
#include "registry/json_compat.h"
#include "registry/json_schema_graph.h"
#include "registry/json_tags.h"
#include "registry/schema_type.h"

#include <stdlib.h>

enum { TAG_STEPS_MAX = 100000, TAG_DEPTH_MAX = 500 };

struct json_parsed {
    struct parsed_schema base;
    struct json_schema *schema;
};

static const struct json_schema *schema_in(const struct parsed_schema *s)
{
    return ((const struct json_parsed *)s)->schema;
}

/* Names that the reference keeps for itself, at the top level. */
static enum err check_names(const struct json_schema *s, struct reason *why)
{
    const struct jvalue *properties = json_text_get_str(json_schema_root(s), "properties");
    for (uint32_t i = 0; properties && properties->kind == J_OBJECT && i < properties->n; i++)
        if (slice_starts(properties->u.object.members[i].name, slice_str("$$")))
            return reason_set(why, ERR_MALFORMED, "#: Field names cannot start with $$ prefix");
    return ERR_OK;
}

static enum err parse(struct parsed_schema **out, struct slice text, const struct schema_ref_text *refs, size_t refs_n,
                      const struct schema_options *options, struct reason *why)
{
    struct json_schema_document *documents = refs_n ? calloc(refs_n, sizeof *documents) : NULL;
    struct json_schema_options o = {
        .documents = documents, .documents_n = refs_n, .draft = JSON_DRAFT_7, .formats = JSON_FORMAT_REFERENCE};
    struct json_parsed *p = calloc(1, sizeof *p);
    enum err e = ERR_OK;
    *out = NULL;
    if (!p || (refs_n && !documents))
        e = reason_set(why, ERR_NO_MEMORY, "out of memory reading a JSON schema");
    for (size_t i = 0; e == ERR_OK && i < refs_n; i++)
        documents[i] = (struct json_schema_document){.uri = refs[i].name, .text = refs[i].text};
    if (e == ERR_OK)
        e = json_schema_compile(&p->schema, text, &o, why); /* one already stored is read as strictly as a new one */
    if (e == ERR_OK && options && options->validate_fields)
        e = check_names(p->schema, why);
    free(documents);
    if (e != ERR_OK) {
        if (p)
            json_schema_free(p->schema);
        free(p);
        return e;
    }
    p->base.ops = &schema_type_json;
    *out = &p->base;
    return ERR_OK;
}

static void free_parsed(struct parsed_schema *s)
{
    json_schema_free(((struct json_parsed *)s)->schema);
    free(s);
}

static enum err canonical(const struct parsed_schema *s, struct buf *out)
{
    json_text_print(out, json_schema_root(schema_in(s)), JSON_TEXT_AS_WRITTEN);
    return buf_error(out);
}

static enum err normalized(const struct parsed_schema *s, struct buf *out)
{
    json_text_print(out, json_schema_root(schema_in(s)), JSON_TEXT_SORTED);
    return buf_error(out);
}

static bool format(const struct parsed_schema *s, struct slice name, struct buf *out)
{
    (void)s, (void)name, (void)out; /* JSON Schema has no other form */
    return false;
}

static bool has_field(const struct parsed_schema *s, struct slice name)
{
    return json_text_get(json_text_get_str(json_schema_root(schema_in(s)), "properties"), name) != NULL;
}

static enum err add_item(struct compat_result *out, const struct json_compat_item *item, bool reader_is_new)
{
    struct compat_item *added = compat_result_add(out, json_difference_name(item->type));
    struct buf text;
    enum err e;
    if (!added)
        return ERR_NO_MEMORY;
    buf_init(&text, 0);
    json_compat_print(&text, item, reader_is_new ? "new" : "old", reader_is_new ? "old" : "new");
    added->path = arena_copy(&out->arena, item->path);
    added->text = arena_copy(&out->arena, buf_slice(&text));
    e = buf_error(&text);
    if (e == ERR_OK && (slice_is_null(added->path) || slice_is_null(added->text)))
        e = ERR_NO_MEMORY;
    buf_free(&text);
    return e;
}

static enum err compatible(const struct parsed_schema *reader, const struct parsed_schema *writer,
                           const struct compat_question *q, struct compat_result *out, struct reason *why)
{
    enum json_compat_policy policy = q->policy == COMPAT_LENIENT ? JSON_COMPAT_LENIENT : JSON_COMPAT_STRICT;
    struct json_compat c;
    if (out->work > JSON_COMPAT_VERSIONS_WORK_MAX)
        return reason_set(why, ERR_LIMIT_EXCEEDED, "the schema is too entangled to compare with so many versions");
    enum err e = json_compat_compare(&c, schema_in(writer), schema_in(reader), policy, why);
    if (e != ERR_OK)
        return e;
    out->work += c.work;
    for (size_t i = 0; i < c.n && e == ERR_OK; i++)
        if (!json_difference_is_compatible(c.items[i].type, policy))
            e = add_item(out, &c.items[i], q->reader_is_new);
    json_compat_free(&c);
    return e;
}

static enum err validate(const struct parsed_schema *s, struct slice payload, struct reason *why)
{
    enum err e = json_schema_validate_text(schema_in(s), payload, why);
    return e == ERR_MALFORMED ? ERR_INVALID_RECORD : e;
}

struct tag_walk {
    schema_tag_visit visit;
    void *context;
    uint8_t *open; /* per node: being visited */
    struct buf path;
    unsigned steps, depth;
    bool stop, incomplete;
};

static void walk_node(struct tag_walk *w, const struct json_node *n);

static void walk_nodes(struct tag_walk *w, const struct json_nodes *nodes)
{
    for (uint32_t i = 0; i < nodes->n; i++)
        walk_node(w, nodes->v[i]);
}

static void walk_object(struct tag_walk *w, const struct json_object_rules *o)
{
    for (uint32_t i = 0; i < o->properties_n && !w->stop; i++) {
        size_t n = w->path.n;
        if (!o->properties[i].node)
            continue;
        if (n)
            buf_put_str(&w->path, ".");
        buf_put_slice(&w->path, o->properties[i].name);
        walk_node(w, o->properties[i].node);
        if (buf_error(&w->path) == ERR_OK)
            w->path.n = n;
        else
            w->stop = true;
    }
    for (uint32_t i = 0; i < o->patterns_n; i++)
        walk_node(w, o->patterns[i].node);
    walk_node(w, o->additional);
    walk_node(w, o->unevaluated);
    for (uint32_t i = 0; i < o->dependencies_n; i++)
        walk_node(w, o->dependencies[i].node);
}

static void walk_array(struct tag_walk *w, const struct json_array_rules *a)
{
    walk_nodes(w, &a->prefix);
    walk_node(w, a->items);
    walk_node(w, a->additional);
    walk_node(w, a->contains);
    walk_node(w, a->unevaluated);
}

static void visit_tags(struct tag_walk *w, const struct json_node *n)
{
    const struct jvalue *tags = json_text_get_str(n->value, "confluent:tags");
    struct slice path = w->path.n ? buf_slice(&w->path) : slice_str("");
    for (uint32_t i = 0; tags && tags->kind == J_ARRAY && i < tags->n && !w->stop; i++)
        if (tags->u.items[i].kind == J_STRING)
            w->stop = !w->visit(w->context, path, tags->u.items[i].u.text);
}

static void walk_node(struct tag_walk *w, const struct json_node *n)
{
    if (!n || w->stop || n->boolean || w->open[n->index])
        return;
    if (w->depth == TAG_DEPTH_MAX || ++w->steps > TAG_STEPS_MAX) {
        w->stop = w->incomplete = true;
        return;
    }
    w->open[n->index] = 1;
    w->depth++;
    visit_tags(w, n);
    walk_node(w, n->ref);
    walk_node(w, n->dynamic_ref);
    walk_nodes(w, &n->all_of);
    walk_nodes(w, &n->any_of);
    walk_nodes(w, &n->one_of);
    walk_node(w, n->if_);
    walk_node(w, n->then_);
    walk_node(w, n->else_);
    if (n->object)
        walk_object(w, n->object);
    if (n->array)
        walk_array(w, n->array);
    w->depth--;
    w->open[n->index] = 0;
}

static enum err tags(const struct parsed_schema *s, schema_tag_visit visit, void *context)
{
    const struct json_schema *schema = schema_in(s);
    struct tag_walk w = {.visit = visit, .context = context, .open = calloc(schema->nodes_n, 1)};
    if (!w.open)
        return ERR_NO_MEMORY;
    buf_init(&w.path, 0);
    walk_node(&w, schema->root);
    enum err e = buf_error(&w.path) != ERR_OK ? ERR_NO_MEMORY : w.incomplete ? ERR_LIMIT_EXCEEDED : ERR_OK;
    buf_free(&w.path);
    free(w.open);
    return e;
}

static enum err tagged(const struct parsed_schema *s, schema_entity_visit visit, void *context)
{
    return json_tagged(schema_in(s), visit, context);
}

static enum err edit_tags(const struct parsed_schema *s, const struct schema_tag_edit *edits, size_t n, bool *missing,
                          struct buf *out, struct reason *why)
{
    return json_edit_tags(schema_in(s), edits, n, missing, out, why);
}

static struct slice record_name(const struct parsed_schema *s)
{
    const struct jvalue *title = json_text_get_str(json_schema_root(schema_in(s)), "title");
    return title && title->kind == J_STRING ? title->u.text : SLICE_NULL;
}

const struct schema_type_ops schema_type_json = {
    .name = "JSON",
    .parse = parse,
    .free = free_parsed,
    .canonical = canonical,
    .normalized = normalized,
    .format = format,
    .has_field = has_field,
    .compatible = compatible,
    .validate = validate,
    .tags = tags,
    .tagged = tagged,
    .edit_tags = edit_tags,
    .record_name = record_name,
};
