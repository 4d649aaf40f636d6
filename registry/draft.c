/* SPDX-License-Identifier: Apache-2.0
 * Reading schema requests, and the configuration that applies to a subject. */
#include "registry/draft.h"

#include <stdlib.h>
#include <string.h>

static struct slice text_of(const json_t *v)
{
    return json_is_string(v) ? slice_of(json_string_value(v), json_string_length(v)) : SLICE_NULL;
}

static enum err bad_member(struct answer *a, const char *name)
{
    return answer_error(a, 400, "Unrecognized value for field \"%s\"", name);
}

static enum err read_text(struct answer *a, const json_t *request, const char *name, struct slice *out)
{
    const json_t *v = json_object_get(request, name);
    if (v && !json_is_null(v) && !json_is_string(v))
        return bad_member(a, name);
    *out = text_of(v);
    return ERR_OK;
}

static enum err read_int(struct answer *a, const json_t *request, const char *name, int32_t *out)
{
    const json_t *v = json_object_get(request, name);
    if (!v || json_is_null(v))
        return ERR_OK;
    json_int_t i = json_integer_value(v);
    if (!json_is_integer(v) || i < INT32_MIN || i > INT32_MAX)
        return bad_member(a, name);
    *out = (int32_t)i;
    return ERR_OK;
}

static enum err read_references(struct draft *d, struct answer *a)
{
    const json_t *list = json_object_get(d->request, "references");
    if (list && !json_is_null(list) && !json_is_array(list))
        return bad_member(a, "references");
    d->reference_count = json_array_size(list);
    d->references = calloc(d->reference_count + 1, sizeof *d->references);
    if (!d->references)
        return answer_error(a, 500, "out of memory");
    for (size_t i = 0; i < d->reference_count; i++) {
        const json_t *r = json_array_get(list, i);
        struct schema_ref *ref = &d->references[i];
        ref->name = text_of(json_object_get(r, "name"));
        ref->subject = text_of(json_object_get(r, "subject"));
        const json_t *v = json_object_get(r, "version");
        ref->version = (int32_t)json_integer_value(v);
        if (slice_is_null(ref->name) || slice_is_null(ref->subject) || !json_is_integer(v))
            return answer_error(a, API_INVALID_SCHEMA, "Invalid reference: {name='%.*s', subject='%.*s', version=%d}",
                                SLICE_FMT(ref->name), SLICE_FMT(ref->subject), (int)ref->version);
    }
    return ERR_OK;
}

enum err draft_read(struct draft *d, const json_t *request, struct answer *a)
{
    struct reason why = {0};
    *d = (struct draft){.id = -1, .request = json_incref((json_t *)request)};
    if (!json_is_object(request))
        return answer_error(a, 400, "Unable to parse the request: a JSON object is expected");
    enum err e = read_text(a, request, "schema", &d->text);
    if (!e)
        e = read_text(a, request, "schemaType", &d->type);
    if (!e)
        e = read_int(a, request, "version", &d->version);
    if (!e)
        e = read_int(a, request, "id", &d->id);
    if (!e)
        e = read_references(d, a);
    if (!e && contract_metadata(&d->metadata, json_object_get(request, "metadata"), &why))
        e = answer_error(a, 400, "%s", why.text);
    if (!e && contract_rules(&d->rules, json_object_get(request, "ruleSet"), &why))
        e = answer_error(a, 400, "%s", why.text);
    d->propagate_tags = json_is_true(json_object_get(request, "propagateSchemaTags"));
    return e;
}

void draft_free(struct draft *d)
{
    json_decref(d->request);
    json_decref(d->metadata);
    json_decref(d->rules);
    free(d->references);
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
    if (own && (global || !inherit))
        return with_level(s, own);
    if (own) {
        const json_t *top = store_config(s, SLICE_NULL);
        json_t *merged = top ? json_copy((json_t *)top) : json_object();
        json_t *mine = with_level(s, own);
        json_object_update(merged, mine);
        json_decref(mine);
        return merged;
    }
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

bool mode_is_import(enum mode m)
{
    return m == MODE_IMPORT || m == MODE_FORWARD;
}
