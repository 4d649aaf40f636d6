/* SPDX-License-Identifier: Apache-2.0
 * Keywords that say nothing about a document, yet must have their type: the reference refuses a schema whose title is a
 * number. In 2019-09 and 2020-12 it also refuses what is wrong in a definition nobody refers to. */
#include "registry/json_schema_graph.h"

static enum err want_string(struct json_loader *l, const struct json_node *n, const char *keyword)
{
    const struct jvalue *v = json_text_get_str(n->value, keyword);
    return v && v->kind != J_STRING ? json_compile_wrong(l, keyword, "a string", v) : ERR_OK;
}

static enum err want_boolean(struct json_loader *l, const struct json_node *n, const char *keyword)
{
    const struct jvalue *v = json_text_get_str(n->value, keyword);
    return v && v->kind != J_TRUE && v->kind != J_FALSE ? json_compile_wrong(l, keyword, "a boolean", v) : ERR_OK;
}

static enum err compile_definitions(struct json_loader *l, struct json_node *n, const char *keyword)
{
    const struct jvalue *v = json_text_get_str(n->value, keyword);
    if (!v)
        return ERR_OK;
    if (v->kind != J_OBJECT)
        return json_compile_wrong(l, keyword, "an object", v);
    for (uint32_t i = 0; i < v->n; i++) {
        struct json_node *ignored;
        enum err e = json_compile_node(l, &v->u.object.members[i].value, n->resource, &ignored);
        if (e != ERR_OK)
            return e;
    }
    return ERR_OK;
}

static enum err check_modern(struct json_loader *l, struct json_node *n)
{
    const struct jvalue *old = n->value == n->resource->root ? json_text_get_str(n->value, "definitions") : NULL;
    enum err e;
    if ((e = want_string(l, n, "$dynamicAnchor")) != ERR_OK || (e = want_boolean(l, n, "readOnly")) != ERR_OK ||
        (e = want_boolean(l, n, "writeOnly")) != ERR_OK || (e = want_boolean(l, n, "deprecated")) != ERR_OK ||
        (e = compile_definitions(l, n, "$defs")) != ERR_OK)
        return e;
    return old && old->kind == J_OBJECT ? compile_definitions(l, n, "definitions") : ERR_OK;
}

enum err json_compile_annotations(struct json_loader *l, struct json_node *n)
{
    enum json_draft draft = n->resource->draft;
    enum err e;
    if ((e = want_string(l, n, "title")) != ERR_OK || (e = want_string(l, n, "description")) != ERR_OK)
        return e;
    if (draft >= JSON_DRAFT_2019_09)
        return check_modern(l, n);
    if ((e = want_string(l, n, draft == JSON_DRAFT_4 ? "id" : "$id")) != ERR_OK ||
        (e = want_string(l, n, "$ref")) != ERR_OK || draft < JSON_DRAFT_7)
        return e;
    e = want_boolean(l, n, "readOnly");
    return e == ERR_OK ? want_boolean(l, n, "writeOnly") : e;
}
