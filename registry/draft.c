/* SPDX-License-Identifier: Apache-2.0
 * Reading schema requests, and the configuration that applies to a subject. */
#include "registry/draft.h"

#include <stdlib.h>
#include <string.h>

static struct slice text_of(const json_t *v)
{
    return json_is_string(v) ? slice_of(json_string_value(v), json_string_length(v)) : SLICE_NULL;
}

static int32_t int_of(const json_t *v, int32_t fallback)
{
    return json_is_integer(v) ? (int32_t)json_integer_value(v) : fallback;
}

static enum err read_references(struct draft *d)
{
    const json_t *list = json_object_get(d->request, "references");
    d->reference_count = json_array_size(list);
    d->references = calloc(d->reference_count + 1, sizeof *d->references);
    if (!d->references)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < d->reference_count; i++) {
        const json_t *r = json_array_get(list, i);
        d->references[i] =
            (struct schema_ref){text_of(json_object_get(r, "name")), text_of(json_object_get(r, "subject")),
                                int_of(json_object_get(r, "version"), DRAFT_NO_VERSION)};
    }
    return ERR_OK;
}

enum err draft_read(struct draft *d, const json_t *request, struct answer *a)
{
    struct reason why = {0};
    *d = (struct draft){.id = -1, .request = json_incref((json_t *)request)};
    tag_edits_init(&d->tags);
    d->text = text_of(json_object_get(request, "schema"));
    d->type = text_of(json_object_get(request, "schemaType"));
    d->version = int_of(json_object_get(request, "version"), 0);
    d->id = int_of(json_object_get(request, "id"), -1);
    d->propagate_tags = json_is_true(json_object_get(request, "propagateSchemaTags"));
    if (read_references(d))
        return answer_error(a, 500, "out of memory");
    enum err e = contract_metadata(&d->metadata, json_object_get(request, "metadata"), &why);
    if (!e)
        e = contract_rules(&d->rules, json_object_get(request, "ruleSet"), &why);
    if (!e)
        e = tag_edits_read(&d->tags, json_object_get(request, "schemaTagsToAdd"),
                           json_object_get(request, "schemaTagsToRemove"), &why);
    return e ? answer_error(a, 400, "%s", why.text) : ERR_OK;
}

bool draft_is_blank(const struct draft *d)
{
    for (size_t i = 0; i < d->text.n; i++)
        if (d->text.p[i] > ' ')
            return false;
    return true;
}

void draft_free(struct draft *d)
{
    json_decref(d->request);
    json_decref(d->metadata);
    json_decref(d->rules);
    free(d->references);
    tag_edits_free(&d->tags);
    *d = (struct draft){.id = -1};
}

/* --- scopes: subject, context, global context --- */

static json_t *with_level(const struct store *s, const json_t *config)
{
    json_t *copy = json_copy((json_t *)config);
    if (!json_object_get(copy, "compatibilityLevel"))
        json_object_set_new(copy, "compatibilityLevel", json_string(store_default_level(s)));
    return copy;
}

static json_t *default_config(const struct store *s)
{
    return json_pack("{s:s}", "compatibilityLevel", store_default_level(s));
}

/* What lies above a subject: its context, then the global context. */
static const json_t *config_above(const struct store *s, struct slice subject)
{
    struct qsubject q = subject_parse(slice_is_null(subject) ? slice_str("") : subject);
    struct buf scope;
    buf_init(&scope, 0);
    subject_put(&scope, q.context, slice_str(""));
    const json_t *c = store_config(s, buf_slice(&scope));
    if (!c)
        c = store_config(s, slice_str(SUBJECT_GLOBAL_SCOPE));
    buf_free(&scope);
    return c;
}

json_t *scope_config(const struct store *s, struct slice subject, bool inherit)
{
    bool global = slice_is_null(subject) || subject.n == 0;
    const json_t *own = store_config(s, subject);
    if (own)
        return with_level(s, own);
    if (!inherit)
        return global || slice_eq_str(subject_parse(subject).context, SUBJECT_GLOBAL_CONTEXT) ? default_config(s)
                                                                                              : NULL;
    const json_t *above = config_above(s, subject);
    return above ? with_level(s, above) : default_config(s);
}

enum mode scope_mode(const struct store *s, struct slice subject, bool inherit)
{
    bool global = slice_is_null(subject) || subject.n == 0;
    struct qsubject q = subject_parse(global ? slice_str("") : subject);
    enum mode m = store_mode(s, subject);
    if (m != MODE_NONE)
        return m;
    if (!inherit)
        return global || slice_eq_str(q.context, SUBJECT_GLOBAL_CONTEXT) ? MODE_READWRITE : MODE_NONE;
    struct buf scope;
    buf_init(&scope, 0);
    subject_put(&scope, q.context, slice_str(""));
    m = store_mode(s, buf_slice(&scope));
    if (m == MODE_NONE)
        m = store_mode(s, slice_str(SUBJECT_GLOBAL_SCOPE));
    buf_free(&scope);
    return m == MODE_NONE ? MODE_READWRITE : m;
}

void scope_read(struct scope *c, const struct store *s, struct slice subject)
{
    c->config = scope_config(s, subject, true);
    c->mode = scope_mode(s, subject, true);
}

void scope_free(struct scope *c)
{
    json_decref(c->config);
    c->config = NULL;
}

const char *scope_text(const struct scope *c, const char *name)
{
    return json_string_value(json_object_get(c->config, name));
}

const char *scope_level(const struct scope *c)
{
    const char *level = scope_text(c, "compatibilityLevel");
    return level ? level : "BACKWARD";
}

bool scope_flag(const struct scope *c, const char *name)
{
    return json_is_true(json_object_get(c->config, name));
}

bool scope_flag_or(const struct scope *c, const char *name, bool unset)
{
    const json_t *v = json_object_get(c->config, name);
    return v ? json_is_true(v) : unset;
}

bool mode_is_import(enum mode m)
{
    return m == MODE_IMPORT || m == MODE_FORWARD;
}
