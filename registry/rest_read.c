/* SPDX-License-Identifier: Apache-2.0
 * Reading a subject's versions. */
#include "core/base/metrics.h"
#include "registry/json_text.h"
#include "registry/rest_internal.h"

#include <stdlib.h>

static enum err subject_missing(struct rest_call *c, struct slice subject)
{
    return answer_error(c->answer, API_SUBJECT_NOT_FOUND, "Subject '%.*s' not found.", SLICE_FMT(subject));
}

/* --- one version, also in other contexts when the name is unqualified --- */

struct in_contexts {
    const struct rest_call *c;
    int32_t version;
    bool deleted;
    const struct subject *u;
    const struct version *v;
};

static const struct version *pick(const struct subject *u, int32_t version, bool deleted)
{
    const struct version *v = version == -1 ? subject_latest(u, false) : subject_version(u, version);
    return v && (deleted || !v->deleted) ? v : NULL;
}

static bool try_context(void *ctx, struct slice context, bool declared)
{
    struct in_contexts *f = ctx;
    struct buf b;
    if (!declared)
        return true;
    buf_init(&b, 0);
    subject_put(&b, context, f->c->subject);
    f->u = store_subject(f->c->store, buf_slice(&b));
    f->v = pick(f->u, f->version, f->deleted);
    buf_free(&b);
    return f->v == NULL;
}

enum err rest_find_version(struct rest_call *c, struct slice text, bool deleted, const struct subject **u,
                           const struct version **v)
{
    struct in_contexts f = {.c = c, .deleted = deleted};
    enum err e = rest_version(c, text, &f.version);
    if (!e)
        e = rest_require(c, RIGHT_READ, c->subject);
    if (e)
        return e;
    *u = store_subject(c->store, c->subject);
    *v = pick(*u, f.version, deleted);
    if (!*v && subject_is_default_context(subject_parse(c->subject).context)) {
        store_each_context(c->store, try_context, &f);
        if (f.v && rest_allowed(c, RIGHT_READ, f.u->name))
            *u = f.u, *v = f.v;
    }
    if (*v)
        return ERR_OK;
    if (!subject_has(*u, deleted))
        return subject_missing(c, c->subject);
    return answer_error(c->answer, API_VERSION_NOT_FOUND, "Version %d not found.", (int)f.version);
}

enum err rest_formatted(struct rest_call *c, struct slice subject, const struct content *content, struct buf *out,
                        struct slice *text)
{
    struct slice format = rest_param(c->request, "format");
    struct model *m = NULL;
    struct reason why = {0};
    *text = SLICE_NULL;
    if (!format.n)
        return ERR_OK;
    /* it may hold the text of what is referred to */
    enum err e = rest_require_references(c, subject, content->references, content->reference_count, true);
    if (e)
        return e;
    e = work_model(c->settings->models, c->store, subject, content, &m, &why);
    if (!e)
        e = schema_format(m->schema, format, out);
    model_unref(m);
    if (e)
        return answer_error(c->answer, API_INVALID_SCHEMA, "%s", why.text[0] ? why.text : err_text(e));
    *text = buf_slice(out);
    return ERR_OK;
}

/* With referenceFormat=qualified, the same content but with references that name their context, unless that is the
 * default one; NULL: as stored. */
struct content *rest_qualified_references(struct rest_call *c, struct slice subject, const struct content *k)
{
    if (!k->reference_count || subject_is_default_context(subject_parse(subject).context) ||
        !slice_eq_str(rest_param(c->request, "referenceFormat"), "qualified"))
        return NULL;
    struct schema_ref *refs = calloc(k->reference_count, sizeof *refs);
    struct content *out = NULL;
    for (size_t i = 0; refs && i < k->reference_count; i++) {
        struct buf b;
        buf_init(&b, 0);
        subject_put_from_parent(&b, subject, k->references[i].subject);
        refs[i] = k->references[i];
        refs[i].subject = arena_copy(&c->request->arena, buf_slice(&b));
        buf_free(&b);
    }
    if (refs) {
        json_t *metadata = contract_parse(k->metadata), *rules = contract_parse(k->rules);
        out = content_new(k->type, k->text, refs, k->reference_count, metadata, rules);
        json_decref(metadata);
        json_decref(rules);
    }
    free(refs);
    return out;
}

enum err get_version(struct rest_call *c)
{
    const struct subject *u;
    const struct version *v;
    struct slice text;
    struct buf b, tags;
    buf_init(&b, 0);
    buf_init(&tags, 0);
    enum err e = rest_find_version(c, c->request->segments[3], rest_flag(c->request, "deleted"), &u, &v);
    if (!e)
        e = rest_put_tags(c, u->name, v->content, &tags);
    if (!e)
        e = rest_formatted(c, u->name, v->content, &b, &text);
    struct content *qualified = e ? NULL : rest_qualified_references(c, u->name, v->content);
    if (!e) {
        struct version shown = *v;
        shown.content = qualified ? qualified : v->content;
        put_schema_entity_open(&c->answer->body, c->settings, u->name, &shown, text, buf_slice(&tags), true);
        put_schema_entity_close(&c->answer->body, &shown);
    }
    content_unref(qualified);
    buf_free(&b);
    buf_free(&tags);
    return e;
}

enum err get_version_schema(struct rest_call *c)
{
    const struct subject *u;
    const struct version *v;
    struct slice text;
    struct buf b;
    buf_init(&b, 0);
    enum err e = rest_find_version(c, c->request->segments[3], rest_flag(c->request, "deleted"), &u, &v);
    if (!e)
        e = rest_formatted(c, u->name, v->content, &b, &text);
    if (!e)
        buf_put_slice(&c->answer->body, slice_is_null(text) ? v->content->text : text);
    buf_free(&b);
    return e;
}

/* --- a subject's versions --- */

enum err get_versions(struct rest_call *c)
{
    bool deleted = rest_flag(c->request, "deleted"), only = rest_flag(c->request, "deletedOnly");
    bool negative = rest_flag(c->request, "deletedAsNegative");
    struct page p;
    enum err e = rest_require(c, RIGHT_READ, c->subject);
    const struct subject *u = store_subject(c->store, c->subject);
    if (!e && !subject_has(u, deleted || only))
        e = subject_missing(c, c->subject);
    if (!e)
        e = page_open(c, false, &p);
    for (size_t i = 0; !e && i < u->n; i++) {
        const struct version *v = &u->versions[i];
        if ((negative || (only ? v->deleted : deleted || !v->deleted)) && page_takes(&p))
            buf_printf(p.out, "%d", (int)(negative && v->deleted ? -v->version : v->version));
    }
    if (!e)
        buf_put_str(p.out, "]");
    return e;
}

static bool has_properties(const struct rest_request *r, const json_t *metadata)
{
    size_t values = 0;
    for (size_t i = 0; i < r->param_count; i++) {
        if (!slice_eq_str(r->params[i].name, "key"))
            continue;
        size_t seen = 0;
        for (size_t j = 0; j < r->param_count; j++) {
            if (!slice_eq_str(r->params[j].name, "value") || seen++ != values)
                continue;
            char key[256] = "";
            memcpy(key, r->params[i].value.p, r->params[i].value.n < sizeof key ? r->params[i].value.n : 0);
            const char *have = contract_property(metadata, key);
            if (!have || !slice_eq_str(r->params[j].value, have))
                return false;
        }
        values++;
    }
    return true;
}

enum err get_subject_metadata(struct rest_call *c)
{
    bool deleted = rest_flag(c->request, "deleted");
    enum err e = rest_require(c, RIGHT_READ, c->subject);
    const struct subject *u = store_subject(c->store, c->subject);
    if (e)
        return e;
    for (size_t i = u ? u->n : 0; i > 0; i--) {
        const struct version *v = &u->versions[i - 1];
        if (v->deleted && !deleted)
            continue;
        json_t *metadata = contract_parse(v->content->metadata);
        bool fits = json_object_get(metadata, "properties") && has_properties(c->request, metadata);
        json_decref(metadata);
        if (!fits)
            continue;
        struct slice text;
        struct buf b;
        buf_init(&b, 0);
        e = rest_formatted(c, u->name, v->content, &b, &text);
        if (!e)
            put_schema_entity(&c->answer->body, c->settings, u->name, v, text, true);
        buf_free(&b);
        return e;
    }
    if (!subject_has(u, deleted))
        return subject_missing(c, c->subject);
    return answer_error(c->answer, API_SCHEMA_NOT_FOUND, "Schema not found");
}
