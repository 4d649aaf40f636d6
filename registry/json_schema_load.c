/* SPDX-License-Identifier: Apache-2.0
 * Documents, resources and references. Every document taking part is parsed once and walked along the keywords that
 * hold subschemas, so that an `$id` or anchor counts only where a schema can stand (not inside `enum`, say). The walk
 * notes which resource each subschema lies in; a reference is resolved against that resource's URI and looked up among
 * the resources seen, the documents given and the built-in meta-schemas. A JSON pointer may lead to a place the walk
 * did not take for a schema: it is walked then. Nothing is ever fetched. */
#include "registry/json_schema_graph.h"
#include "registry/json_schema_meta.h"
#include "registry/json_uri.h"

#define BASE_URI "mem://input"

enum shape { ONE, LIST, MAP, ONE_OR_LIST, DEPENDENCIES };

static const struct keyword {
    const char *name;
    enum shape shape;
    enum json_draft from, to;
} keywords[] = {
    {"additionalItems", ONE, JSON_DRAFT_4, JSON_DRAFT_2019_09},
    {"additionalProperties", ONE, JSON_DRAFT_4, JSON_DRAFT_2020_12},
    {"allOf", LIST, JSON_DRAFT_4, JSON_DRAFT_2020_12},
    {"anyOf", LIST, JSON_DRAFT_4, JSON_DRAFT_2020_12},
    {"oneOf", LIST, JSON_DRAFT_4, JSON_DRAFT_2020_12},
    {"not", ONE, JSON_DRAFT_4, JSON_DRAFT_2020_12},
    {"contains", ONE, JSON_DRAFT_6, JSON_DRAFT_2020_12},
    {"contentSchema", ONE, JSON_DRAFT_2019_09, JSON_DRAFT_2020_12},
    {"definitions", MAP, JSON_DRAFT_4, JSON_DRAFT_2020_12},
    {"$defs", MAP, JSON_DRAFT_4, JSON_DRAFT_2020_12}, /* of 2019-09, but found in schemas of all drafts */
    {"dependencies", DEPENDENCIES, JSON_DRAFT_4, JSON_DRAFT_2020_12},
    {"dependentSchemas", MAP, JSON_DRAFT_2019_09, JSON_DRAFT_2020_12},
    {"if", ONE, JSON_DRAFT_7, JSON_DRAFT_2020_12},
    {"then", ONE, JSON_DRAFT_7, JSON_DRAFT_2020_12},
    {"else", ONE, JSON_DRAFT_7, JSON_DRAFT_2020_12},
    {"items", ONE_OR_LIST, JSON_DRAFT_4, JSON_DRAFT_2020_12},
    {"prefixItems", LIST, JSON_DRAFT_2020_12, JSON_DRAFT_2020_12},
    {"patternProperties", MAP, JSON_DRAFT_4, JSON_DRAFT_2020_12},
    {"properties", MAP, JSON_DRAFT_4, JSON_DRAFT_2020_12},
    {"propertyNames", ONE, JSON_DRAFT_6, JSON_DRAFT_2020_12},
    {"unevaluatedItems", ONE, JSON_DRAFT_2019_09, JSON_DRAFT_2020_12},
    {"unevaluatedProperties", ONE, JSON_DRAFT_2019_09, JSON_DRAFT_2020_12},
};

static enum err no_memory(struct json_loader *l)
{
    return reason_set(l->why, ERR_NO_MEMORY, "out of memory reading a JSON schema");
}

bool json_schema_known_draft(struct slice uri, enum json_draft *out)
{
    static const struct {
        const char *rest;
        enum json_draft draft;
    } known[] = {
        {"draft-04/schema", JSON_DRAFT_4},
        {"schema", JSON_DRAFT_4},
        {"draft-06/schema", JSON_DRAFT_6},
        {"draft-07/schema", JSON_DRAFT_7},
        {"draft/2019-09/schema", JSON_DRAFT_2019_09},
        {"draft/2020-12/schema", JSON_DRAFT_2020_12},
    };
    static const char *const hosts[] = {"http://json-schema.org/", "https://json-schema.org/"};
    if (uri.n && uri.p[uri.n - 1] == '#')
        uri.n--;
    for (size_t h = 0; h < 2; h++) {
        struct slice host = slice_str(hosts[h]);
        if (!slice_starts(uri, host))
            continue;
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            if (slice_eq_str(slice_of(uri.p + host.n, uri.n - host.n), known[i].rest)) {
                *out = known[i].draft;
                return true;
            }
    }
    return false;
}

static struct slice address_key(const struct jvalue *const *v)
{
    return slice_of(v, sizeof *v);
}

struct json_resource *json_load_owner(struct json_loader *l, const struct jvalue *v)
{
    return map_get(&l->owners, address_key(&v));
}

struct json_anchor *json_resource_anchor(const struct json_resource *r, struct slice name, bool dynamic)
{
    for (struct json_anchor *a = r->anchors; a; a = a->next)
        if (slice_eq(a->name, name) && (a->dynamic || !dynamic))
            return a;
    return NULL;
}

static enum err add_anchor(struct json_loader *l, struct json_resource *r, struct slice name, const struct jvalue *v,
                           bool dynamic)
{
    struct json_anchor *a = json_resource_anchor(r, name, false);
    if (a) {
        a->dynamic |= dynamic;
        return ERR_OK;
    }
    if (!(a = arena_alloc(&l->schema->arena, sizeof *a)))
        return no_memory(l);
    *a = (struct json_anchor){.name = name, .value = v, .dynamic = dynamic, .next = r->anchors};
    r->anchors = a;
    return ERR_OK;
}

static enum err add_resource(struct json_loader *l, struct slice uri, const struct jvalue *root, enum json_draft draft,
                             struct json_resource **out)
{
    struct json_resource *r = arena_alloc(&l->schema->arena, sizeof *r);
    if (!r)
        return no_memory(l);
    *r = (struct json_resource){.uri = uri, .root = root, .draft = draft, .next = l->schema->resources};
    l->schema->resources = r;
    *out = r;
    return map_has(&l->resources, uri) ? ERR_OK : map_put(&l->resources, uri, r, NULL);
}

static enum err load_document(struct json_loader *l, struct slice uri, struct json_resource **out);

/* The dialect of a resource root: a known draft, or a meta-schema among the documents. */
static enum err read_dialect(struct json_loader *l, const struct jvalue *root, struct json_resource *r)
{
    const struct jvalue *schema = json_text_get_str(root, "$schema");
    struct json_resource *meta = NULL;
    if (!schema || schema->kind != J_STRING)
        return ERR_OK;
    if (json_schema_known_draft(schema->u.text, &r->draft)) {
        r->plain = r->formats = false;
        return ERR_OK;
    }
    enum err e = load_document(l, json_uri_without_fragment(schema->u.text), &meta);
    if (e != ERR_OK || !meta)
        return e;
    const struct jvalue *vocabulary = json_text_get_str(meta->root, "$vocabulary");
    r->draft = meta->draft;
    r->plain = false;
    if (!vocabulary || vocabulary->kind != J_OBJECT)
        return ERR_OK;
    r->plain = true;
    for (uint32_t i = 0; i < vocabulary->n; i++) {
        struct slice name = vocabulary->u.object.members[i].name;
        if (slice_eq_str(name, "https://json-schema.org/draft/2020-12/vocab/validation") ||
            slice_eq_str(name, "https://json-schema.org/draft/2019-09/vocab/validation"))
            r->plain = false;
        if (slice_eq_str(name, "https://json-schema.org/draft/2020-12/vocab/format-assertion"))
            r->formats = true;
    }
    return ERR_OK;
}

/* `$id` (or draft 4's `id`) may open a resource or name an anchor. */
static enum err walk_id(struct json_loader *l, const struct jvalue *v, struct json_resource **r)
{
    bool old = (*r)->draft <= JSON_DRAFT_7;
    const struct jvalue *id = json_text_get_str(v, (*r)->draft == JSON_DRAFT_4 ? "id" : "$id");
    struct json_resource *inner = NULL;
    if (!id || id->kind != J_STRING || (old && json_text_get_str(v, "$ref")))
        return ERR_OK;
    struct slice fragment = json_uri_fragment(id->u.text);
    if (old && id->u.text.n && id->u.text.p[0] == '#')
        return fragment.n ? add_anchor(l, *r, fragment, v, false) : ERR_OK;
    struct slice uri = json_uri_resolve(&l->schema->arena, (*r)->uri, json_uri_without_fragment(id->u.text));
    if (slice_is_null(uri))
        return no_memory(l);
    if (v != (*r)->root || !slice_eq(uri, (*r)->uri)) {
        enum err e = add_resource(l, uri, v, (*r)->draft, &inner);
        if (e != ERR_OK)
            return e;
        inner->plain = (*r)->plain;
        inner->formats = (*r)->formats;
        if ((e = read_dialect(l, v, inner)) != ERR_OK)
            return e;
        *r = inner;
    }
    return old && fragment.n ? add_anchor(l, *r, fragment, v, false) : ERR_OK;
}

static enum err walk_anchors(struct json_loader *l, const struct jvalue *v, struct json_resource *r)
{
    const struct jvalue *a;
    enum err e = ERR_OK;
    if (r->draft < JSON_DRAFT_2019_09)
        return ERR_OK;
    a = json_text_get_str(v, "$anchor");
    if (a && a->kind == J_STRING)
        e = add_anchor(l, r, a->u.text, v, false);
    a = json_text_get_str(v, "$dynamicAnchor");
    if (e == ERR_OK && r->draft == JSON_DRAFT_2020_12 && a && a->kind == J_STRING)
        e = add_anchor(l, r, a->u.text, v, true);
    a = json_text_get_str(v, "$recursiveAnchor");
    if (r->draft == JSON_DRAFT_2019_09 && v == r->root && a && a->kind == J_TRUE)
        r->recursive_anchor = true;
    return e;
}

static enum err walk(struct json_loader *l, const struct jvalue *v, struct json_resource *r);

static enum err walk_keyword(struct json_loader *l, const struct jvalue *v, enum shape shape, struct json_resource *r)
{
    enum err e = ERR_OK;
    if (shape == ONE || (shape == ONE_OR_LIST && v->kind != J_ARRAY))
        return walk(l, v, r);
    if ((shape == LIST || shape == ONE_OR_LIST) && v->kind == J_ARRAY)
        for (uint32_t i = 0; e == ERR_OK && i < v->n; i++)
            e = walk(l, &v->u.items[i], r);
    if ((shape == MAP || shape == DEPENDENCIES) && v->kind == J_OBJECT)
        for (uint32_t i = 0; e == ERR_OK && i < v->n; i++)
            e = walk(l, &v->u.object.members[i].value, r);
    return e;
}

static enum err walk(struct json_loader *l, const struct jvalue *v, struct json_resource *r)
{
    enum err e;
    if ((v->kind != J_OBJECT && v->kind != J_TRUE && v->kind != J_FALSE) || json_load_owner(l, v))
        return ERR_OK;
    if (map_count(&l->owners) >= JSON_SCHEMA_NODES_MAX)
        return reason_set(l->why, ERR_LIMIT_EXCEEDED, "more than %d subschemas", JSON_SCHEMA_NODES_MAX);
    if (v->kind == J_OBJECT && ((e = walk_id(l, v, &r)) != ERR_OK || (e = walk_anchors(l, v, r)) != ERR_OK))
        return e;
    if ((e = map_put(&l->owners, address_key(&v), r, NULL)) != ERR_OK)
        return e;
    for (uint32_t i = 0; v->kind == J_OBJECT && i < v->n; i++) {
        const struct jmember *m = &v->u.object.members[i];
        for (size_t k = 0; k < sizeof keywords / sizeof *keywords; k++)
            if (r->draft >= keywords[k].from && r->draft <= keywords[k].to && slice_eq_str(m->name, keywords[k].name)) {
                if ((e = walk_keyword(l, &m->value, keywords[k].shape, r)) != ERR_OK)
                    return e;
                break;
            }
    }
    return ERR_OK;
}

static enum err add_document(struct json_loader *l, struct slice uri, struct slice text, struct json_resource **out)
{
    struct jvalue *root;
    struct json_resource *r;
    enum err e;
    if (++l->documents > JSON_SCHEMA_DOCUMENTS_MAX)
        return reason_set(l->why, ERR_LIMIT_EXCEEDED, "more than %d documents", JSON_SCHEMA_DOCUMENTS_MAX);
    /* the schema outlives the texts it was made of */
    struct slice copy = arena_copy(&l->schema->arena, text);
    uri = arena_copy(&l->schema->arena, uri);
    if (slice_is_null(copy) || slice_is_null(uri))
        return no_memory(l);
    if ((e = json_text_parse(&root, copy, &l->schema->arena, l->why)) != ERR_OK)
        return e;
    if ((e = add_resource(l, uri, root, l->draft, &r)) != ERR_OK || (e = read_dialect(l, root, r)) != ERR_OK ||
        (e = walk(l, root, r)) != ERR_OK)
        return e;
    *out = json_load_owner(l, root);
    if (!*out)
        *out = r;
    /* the root's own id may have opened another resource than the retrieval address did */
    return *out == r ? ERR_OK : map_put(&l->resources, uri, *out, NULL);
}

static bool same_meta(struct slice uri, const char *meta)
{
    static const char http[] = "http://json-schema.org/", https[] = "https://json-schema.org/";
    struct slice m = slice_str(meta);
    for (int i = 0; i < 2; i++) {
        struct slice prefix = slice_str(i ? http : https);
        if (slice_starts(uri, prefix)) {
            uri = slice_of(uri.p + prefix.n, uri.n - prefix.n);
            prefix = slice_str(slice_starts(m, slice_str(http)) ? http : https);
            return slice_eq(uri, slice_of(m.p + prefix.n, m.n - prefix.n));
        }
    }
    return false;
}

/* The resource of an absolute URI; *out stays NULL when nobody knows it. */
static enum err load_document(struct json_loader *l, struct slice uri, struct json_resource **out)
{
    *out = map_get(&l->resources, uri);
    if (*out)
        return ERR_OK;
    for (size_t i = 0; i < l->options->documents_n; i++) {
        const struct json_schema_document *d = &l->options->documents[i];
        struct slice name = json_uri_without_fragment(d->uri);
        if (!slice_eq(name, uri) && !slice_eq(json_uri_resolve(&l->schema->arena, l->base, name), uri))
            continue;
        return add_document(l, uri, d->text, out);
    }
    for (const struct json_schema_meta *m = json_schema_metas; m->uri; m++)
        if (same_meta(uri, m->uri))
            return add_document(l, uri, slice_of(m->text, m->n), out);
    return ERR_OK;
}

static struct slice unescape_token(struct arena *a, struct slice token)
{
    uint8_t *out = arena_alloc(a, token.n + 1);
    size_t n = 0;
    if (!out)
        return SLICE_NULL;
    for (size_t i = 0; i < token.n; i++) {
        uint8_t c = token.p[i];
        if (c == '~' && i + 1 < token.n && (token.p[i + 1] == '0' || token.p[i + 1] == '1'))
            c = token.p[++i] == '0' ? '~' : '/';
        out[n++] = c;
    }
    return slice_of(out, n);
}

static const struct jvalue *step(const struct jvalue *v, struct slice token, bool top)
{
    uint64_t index;
    if (v->kind == J_OBJECT) {
        const struct jvalue *next = json_text_get(v, token);
        /* Confluent finds "#/$defs/x" under "definitions" too */
        return !next && top && slice_eq_str(token, "$defs") ? json_text_get_str(v, "definitions") : next;
    }
    if (v->kind != J_ARRAY || token.n == 0 || token.n > 9 || (token.p[0] == '0' && token.n > 1))
        return NULL;
    index = 0;
    for (size_t i = 0; i < token.n; i++) {
        if (token.p[i] < '0' || token.p[i] > '9')
            return NULL;
        index = index * 10 + (uint64_t)(token.p[i] - '0');
    }
    return index < v->n ? &v->u.items[index] : NULL;
}

static enum err follow_pointer(struct json_loader *l, struct json_resource *r, struct slice pointer,
                               const struct jvalue **out, struct json_resource **owner)
{
    const struct jvalue *v = r->root;
    size_t at = 0;
    while (v && at < pointer.n) {
        size_t end = at + 1;
        while (end < pointer.n && pointer.p[end] != '/')
            end++;
        struct slice token = unescape_token(&l->schema->arena, slice_of(pointer.p + at + 1, end - at - 1));
        if (slice_is_null(token))
            return no_memory(l);
        v = step(v, token, v == r->root);
        struct json_resource *inner = v ? json_load_owner(l, v) : NULL;
        *owner = inner ? inner : *owner;
        at = end;
    }
    *out = v;
    if (!v)
        return ERR_OK;
    enum err e = walk(l, v, *owner);
    if (json_load_owner(l, v))
        *owner = json_load_owner(l, v);
    return e;
}

/* A name between subjects need not look like a URI: try it as it was written. */
static enum err load_by_name(struct json_loader *l, struct slice reference, struct json_resource **out)
{
    struct slice name = json_uri_without_fragment(reference);
    for (size_t i = 0; name.n && i < l->options->documents_n; i++)
        if (slice_eq(l->options->documents[i].uri, name))
            return load_document(l, name, out);
    return ERR_OK;
}

enum err json_load_reference(struct json_loader *l, struct json_resource *from, struct slice reference,
                             const struct jvalue **out, struct json_resource **owner)
{
    struct slice uri = json_uri_resolve(&l->schema->arena, from->uri, reference), fragment;
    struct json_resource *r = NULL;
    enum err e;
    *out = NULL;
    if (slice_is_null(uri))
        return no_memory(l);
    if (reference.n == 0 || reference.p[0] == '#')
        r = from;
    else if ((e = load_document(l, json_uri_without_fragment(uri), &r)) != ERR_OK ||
             (!r && (e = load_by_name(l, reference, &r)) != ERR_OK))
        return e;
    if (r) {
        fragment = json_uri_fragment(uri);
        fragment = slice_is_null(fragment) ? slice_str("") : json_uri_percent_decode(&l->schema->arena, fragment);
        *owner = r;
        if (fragment.n && fragment.p[0] != '/') {
            struct json_anchor *a = json_resource_anchor(r, fragment, false);
            if (a) {
                *out = a->value;
                *owner = json_load_owner(l, a->value) ? json_load_owner(l, a->value) : r;
            }
        } else if (!slice_is_null(fragment)) {
            if ((e = follow_pointer(l, r, fragment, out, owner)) != ERR_OK)
                return e;
        }
    }
    if (!*out)
        return reason_set(l->why, ERR_MALFORMED, "unresolved $ref '%.*s'%s", SLICE_FMT(reference),
                          r ? "" : " (references are never fetched; register the schema and name it in references)");
    return ERR_OK;
}

enum err json_load_root(struct json_loader *l, struct slice text, const struct jvalue **root)
{
    struct json_resource *r = NULL;
    struct jvalue *peek;
    struct arena a;
    enum err e;
    l->base = slice_str(BASE_URI);
    /* document names are relative to the root's own id, which must be known before the walk meets `$schema` */
    arena_init(&a, 0);
    if ((e = json_text_parse(&peek, text, &a, l->why)) == ERR_OK) {
        const struct jvalue *id = json_text_get_str(peek, "$id");
        const struct jvalue *schema = json_text_get_str(peek, "$schema");
        if (!id)
            id = json_text_get_str(peek, "id");
        if (id && id->kind == J_STRING)
            l->base = json_uri_resolve(&l->schema->arena, l->base, json_uri_without_fragment(id->u.text));
        if (slice_is_null(l->base))
            e = no_memory(l);
        else if (peek->kind != J_OBJECT && peek->kind != J_TRUE && peek->kind != J_FALSE)
            e = reason_set(l->why, ERR_MALFORMED,
                           "Invalid JSON schema: expected an object or boolean at the root, found %s",
                           json_text_kind_name(peek->kind));
        else if (schema && schema->kind != J_STRING)
            e = json_compile_wrong(l, "$schema", "a string", schema);
    }
    arena_free(&a);
    if (e != ERR_OK || (e = add_document(l, slice_str(BASE_URI), text, &r)) != ERR_OK)
        return e;
    l->draft = r->draft;
    *root = r->root;
    return ERR_OK;
}
