/* SPDX-License-Identifier: Apache-2.0
 * Tags over REST: POST /subjects/{subject}/versions/{version}/tags, and what ?findTags= adds to a schema read.
 *
 * Editing is a registration of the version named, with the edits, other metadata and rules; the ledger's thread does
 * it. A version is not registered again when nothing but its number would differ. */
#include "registry/rest_internal.h"

#include <stdlib.h>

enum err rest_put_tags(struct rest_call *c, struct slice subject, const struct content *content, struct buf *out)
{
    struct slice wanted[REST_PARAMS_MAX];
    size_t n = 0;
    struct model *m = NULL;
    struct reason why = {0};
    for (size_t i = 0; i < c->request->param_count; i++)
        if (slice_eq_str(c->request->params[i].name, "findTags"))
            wanted[n++] = c->request->params[i].value;
    if (!n)
        return ERR_OK;
    enum err e = work_model(c->settings->models, c->store, subject, content, &m, &why);
    if (!e)
        e = tags_put(out, m->schema, wanted, n);
    model_unref(m);
    if (e == ERR_LIMIT_EXCEEDED && !why.text[0])
        return answer_error(c->answer, API_INVALID_SCHEMA, "the schema is too large for its tags to be listed");
    return e ? answer_error(c->answer, API_INVALID_SCHEMA, "%s", why.text[0] ? why.text : err_text(e)) : ERR_OK;
}

/* --- POST .../tags --- */

static enum err bad_text(struct rest_call *c, enum err e, const struct reason *why)
{
    return e ? answer_error(c->answer, 400, "%s", why->text) : ERR_OK;
}

/* A rule set of the request, canonical and checked; NULL when it has none. */
static enum err read_rules(struct rest_call *c, const json_t *body, const char *name, json_t **out)
{
    struct reason why = {0};
    enum err e = bad_text(c, contract_rules(out, json_object_get(body, name), &why), &why);
    if (!e && *out && contract_rules_validate(*out, &why))
        e = answer_error(c->answer, API_INVALID_RULES, "%s", why.text);
    return e;
}

static bool is_given(const json_t *body, const char *name)
{
    const json_t *v = json_object_get(body, name);
    return v && !json_is_null(v);
}

/* The rules of the version before the new one, with some merged and some taken out. */
static enum err change_rules(struct rest_call *c, const json_t *body, int32_t new_version, json_t **out)
{
    json_t *merge = NULL;
    const json_t *remove = is_given(body, "rulesToRemove") ? json_object_get(body, "rulesToRemove") : NULL;
    if (is_given(body, "ruleSet"))
        return answer_error(c->answer, API_INVALID_RULES,
                            "ruleSet should be omitted if specifying rulesToMerge or rulesToRemove");
    enum err e = read_rules(c, body, "rulesToMerge", &merge);
    if (!e) {
        const struct subject *u = store_subject(c->store, c->subject);
        const struct version *old = new_version > 0    ? subject_version(u, new_version - 1)
                                    : new_version == 0 ? subject_latest(u, false)
                                                       : NULL; /* there is none below */
        json_t *rules = old && !old->deleted ? contract_parse(old->content->rules) : NULL;
        *out = contract_rules_merge(rules, merge);
        json_decref(rules);
        if (remove && *out) {
            json_t *left = contract_rules_without(*out, remove);
            json_decref(*out);
            *out = left;
        }
    }
    json_decref(merge);
    return e;
}

static enum err read_contract(struct rest_call *c, const json_t *body, const struct content *content,
                              int32_t new_version, json_t **metadata, json_t **rules)
{
    struct reason why = {0};
    json_t *given = NULL;
    char text[16];
    enum err e = bad_text(c, contract_metadata(&given, json_object_get(body, "metadata"), &why), &why);
    if (e)
        return e;
    if (!is_given(body, "metadata"))
        given = contract_parse(content->metadata);
    snprintf(text, sizeof text, "%d", (int)new_version);
    *metadata = contract_with_property(given, "confluent:version", text);
    json_decref(given);
    if (is_given(body, "rulesToMerge") || is_given(body, "rulesToRemove"))
        return change_rules(c, body, new_version, rules);
    return read_rules(c, body, "ruleSet", rules);
}

static json_t *references_of(const struct content *content)
{
    json_t *list = json_array();
    for (size_t i = 0; i < content->reference_count; i++) {
        const struct schema_ref *r = &content->references[i];
        json_array_append_new(list, json_pack("{s:s%,s:s%,s:i}", "name", (const char *)r->name.p, r->name.n, "subject",
                                              (const char *)r->subject.p, r->subject.n, "version", (int)r->version));
    }
    return list;
}

/* The registration that comes of it, as a request for one. */
static json_t *registration(const json_t *body, const struct content *content, int32_t new_version,
                            const json_t *metadata, const json_t *rules)
{
    json_t *r = json_object();
    json_object_set_new(r, "schema", json_stringn((const char *)content->text.p, content->text.n));
    json_object_set_new(r, "schemaType", json_string(schema_type_name(content->type)));
    json_object_set_new(r, "version", json_integer(new_version));
    json_object_set_new(r, "references", references_of(content));
    json_object_set(r, "metadata", (json_t *)metadata);
    if (rules)
        json_object_set(r, "ruleSet", (json_t *)rules);
    if (json_object_get(body, "tagsToAdd"))
        json_object_set(r, "schemaTagsToAdd", json_object_get(body, "tagsToAdd"));
    if (json_object_get(body, "tagsToRemove"))
        json_object_set(r, "schemaTagsToRemove", json_object_get(body, "tagsToRemove"));
    return r;
}

enum err post_tags(struct rest_call *c)
{
    json_t *body = NULL, *metadata = NULL, *rules = NULL;
    const struct subject *u;
    const struct version *v;
    int32_t new_version = 0;
    int32_t asked;
    enum err e = rest_body(c, &bind_tags, "modifyTags.arg4", &body);
    if (!e && !subject_is_valid(c->subject, true))
        e = rest_invalid_subject(c);
    if (!e)
        e = rest_version(c, c->request->segments[3], &asked);
    if (!e)
        e = rest_require(c, RIGHT_WRITE, c->subject);
    if (!e) /* the answer shows the schema */
        e = rest_require(c, RIGHT_READ, c->subject);
    if (!e)
        e = rest_find_version(c, c->request->segments[3], false, &u, &v);
    if (!e)
        e = rest_require_references(c, c->subject, v->content->references, v->content->reference_count, false);
    new_version = (int32_t)json_integer_value(json_object_get(body, "newVersion"));
    if (!e)
        e = read_contract(c, body, v->content, new_version, &metadata, &rules);
    struct change *n = e ? NULL : rest_change_new(c, CHANGE_REGISTER);
    if (n) {
        json_t *request = registration(body, v->content, new_version, metadata, rules);
        e = draft_read(&n->draft, request, c->answer);
        json_decref(request);
    } else if (!e) {
        e = ERR_NO_MEMORY;
    }
    json_decref(metadata);
    json_decref(rules);
    json_decref(body);
    return e;
}
