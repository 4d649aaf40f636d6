/* SPDX-License-Identifier: Apache-2.0
 * Registering a schema, and finding one that is registered.
 *
 * The order, as the reference has it: mode -> contract from configuration and previous version -> parse -> the same
 * content under this subject is returned as it is -> compatibility -> context record -> version and id -> the records:
 * tombstones for older softly deleted versions with the same id, then the schema. */
#include "registry/change_internal.h"
#include "registry/json_text.h"

#include <stdlib.h>

bool config_has_contract(const json_t *config)
{
    return json_object_get(config, "defaultMetadata") || json_object_get(config, "overrideMetadata") ||
           json_object_get(config, "defaultRuleSet") || json_object_get(config, "overrideRuleSet");
}

static int32_t version_after(int32_t version)
{
    return version < INT32_MAX ? version + 1 : INT32_MAX;
}

/* --- finding --- */

static const struct version *version_with(const struct subject *u, const struct content *c, bool deleted)
{
    for (size_t i = u ? u->n : 0; i > 0; i--)
        if (content_same(u->versions[i - 1].content, c) && (deleted || !u->versions[i - 1].deleted))
            return &u->versions[i - 1];
    return NULL;
}

struct search {
    const struct store *store;
    const struct api_settings *settings;
    struct slice subject;
    const struct draft *draft;
    bool normalize, deleted, latest;
};

static const struct version *version_alike(const struct search *f, const struct subject *u, const struct work *w)
{
    struct model_cache *cache = f->settings->models;
    if (f->latest) {
        const struct version *v = subject_latest(u, false);
        return v && work_alike(cache, f->store, f->subject, w, v) ? v : NULL;
    }
    for (size_t i = u ? u->n : 0; i > 0; i--) {
        const struct version *v = &u->versions[i - 1];
        if ((f->deleted || !v->deleted) && work_alike(cache, f->store, f->subject, w, v))
            return v;
    }
    return NULL;
}

static enum err find_with(const struct search *f, const json_t *metadata, const json_t *rules, struct found *out,
                          struct answer *a)
{
    struct work w;
    enum err e =
        work_prepare(&w, f->settings->shape, f->store, f->subject, f->draft, metadata, rules, f->normalize, false, a);
    if (!e) {
        out->v = f->latest ? NULL : version_with(out->u, w.content, f->deleted);
        out->stored = !out->v;
        if (!out->v)
            out->v = version_alike(f, out->u, &w);
    }
    work_free(&w);
    return e;
}

enum err find_draft(const struct store *s, const struct api_settings *settings, const struct lookup_wish *w,
                    struct found *out, struct answer *a)
{
    struct search f = {s, settings, w->subject, w->draft, w->normalize, w->deleted, w->latest_only};
    struct scope scope;
    *out = (struct found){.u = store_subject(s, w->subject)};
    if (draft_is_blank(w->draft))
        return ERR_OK;
    enum err e = find_with(&f, w->draft->metadata, w->draft->rules, out, a);
    const struct version *previous = subject_latest(out->u, false);
    if (e || out->v || !previous || w->fill < 0)
        return e;
    scope_read(&scope, s, w->subject);
    json_t *metadata = NULL, *rules = NULL;
    work_contract(&scope, w->draft, previous->content, w->fill, &metadata, &rules);
    if (metadata || rules)
        e = find_with(&f, metadata, rules, out, a);
    json_decref(metadata);
    json_decref(rules);
    scope_free(&scope);
    return e;
}

/* --- registering --- */

/* The answer, with the schema in the format asked for. */
static enum err answer_registered(struct change *c, const struct store *s, const struct api_settings *st,
                                  const struct version *v, bool stored)
{
    struct reason why = {0};
    struct model *m = NULL;
    struct buf text;
    enum err e = ERR_OK;
    buf_init(&text, 0);
    if (c->format.n)
        e = work_model(st->models, s, c->subject, v->content, &m, &why);
    if (!e && c->format.n)
        e = schema_format(m->schema, c->format, &text);
    if (e)
        e = answer_error(c->answer, API_INVALID_SCHEMA, "%s", why.text[0] ? why.text : err_text(e));
    else
        put_registered(&c->answer->body, st, v, c->format.n ? buf_slice(&text) : SLICE_NULL, stored);
    c->answer->id = v->id;
    c->answer->version = v->version;
    model_unref(m);
    buf_free(&text);
    return e;
}

static enum err check_mode(struct change *c, struct decision *d, enum mode mode)
{
    enum err e = refuse_read_only(c->answer, d->store, c->subject);
    if (e)
        return e;
    if (c->draft.id >= 0 && !mode_is_import(mode))
        return refuse_in_context(c->answer, c->subject, " is not in import mode");
    if (c->draft.id < 0 && mode != MODE_READWRITE)
        return refuse_in_context(c->answer, c->subject, " is not in read-write mode");
    return ERR_OK;
}

/* What is known before anything is decided. */
struct registration {
    struct scope scope;
    struct draft draft; /* the request's, filled up from the previous version; borrows */
    const struct subject *u;
    const struct version *previous; /* the latest live one */
    int32_t new_version;
    struct buf tagged; /* the text with other tags; draft.text when it is not empty */
    json_t *metadata, *rules;
    struct work work;
};

static void registration_free(struct registration *r)
{
    scope_free(&r->scope);
    buf_free(&r->tagged);
    json_decref(r->metadata);
    json_decref(r->rules);
    work_free(&r->work);
}

/* The draft's text with its tags edited. */
static enum err edit_tags(struct registration *r, struct change *c, struct decision *d, const struct tag_edits *edits)
{
    struct work w;
    struct reason why = {0};
    struct buf text;
    enum err e = work_prepare(&w, d->settings->shape, d->store, c->subject, &r->draft, r->draft.metadata,
                              r->draft.rules, false, false, c->answer);
    buf_init(&text, 0);
    if (!e) {
        e = schema_edit_tags(w.model->schema, edits->list, edits->n, NULL, &text, &why);
        if (e)
            e = answer_error(c->answer, API_INVALID_SCHEMA, "%s", why.text[0] ? why.text : err_text(e));
    }
    work_free(&w);
    if (e) {
        buf_free(&text);
        return e;
    }
    buf_free(&r->tagged);
    r->tagged = text;
    r->draft.text = buf_slice(&r->tagged);
    return ERR_OK;
}

/* The tags of the previous version on what the new one has of it. */
static enum err propagate_tags(struct registration *r, struct change *c, struct decision *d)
{
    struct model *m = NULL;
    struct reason why = {0};
    struct tag_edits edits;
    tag_edits_init(&edits);
    enum err e = work_model(d->settings->models, d->store, c->subject, r->previous->content, &m, &why);
    if (!e)
        e = tag_edits_from(&edits, m->schema);
    if (e)
        e = answer_error(c->answer, API_INVALID_SCHEMA, "%s",
                         why.text[0]               ? why.text
                         : e == ERR_LIMIT_EXCEEDED ? "the previous version has too many tags to take over"
                                                   : err_text(e));
    else if (edits.n)
        e = edit_tags(r, c, d, &edits);
    tag_edits_free(&edits);
    model_unref(m);
    return e;
}

static enum err fill_up(struct registration *r, struct change *c, struct decision *d)
{
    bool import = mode_is_import(r->scope.mode);
    if (draft_is_blank(&r->draft)) {
        if (!r->previous || import)
            return answer_error(c->answer, API_INVALID_SCHEMA, "Empty schema");
        const struct content *p = r->previous->content;
        r->draft.text = p->text;
        r->draft.type = slice_str(schema_type_name(p->type));
        r->draft.references = (struct schema_ref *)p->references;
        r->draft.reference_count = p->reference_count;
    }
    if (!import && c->draft.propagate_tags && r->previous) {
        enum err e = propagate_tags(r, c, d);
        if (e)
            return e;
    }
    if (import) {
        r->metadata = json_incref(c->draft.metadata);
        r->rules = json_incref(c->draft.rules);
    } else {
        work_contract(&r->scope, &c->draft, r->previous ? r->previous->content : NULL, r->new_version, &r->metadata,
                      &r->rules);
    }
    return ERR_OK;
}

static enum err check_compatible(struct registration *r, struct change *c, struct decision *d)
{
    const struct version **live = calloc(r->u ? r->u->n + 1 : 1, sizeof *live);
    struct compat_result m;
    size_t n = 0;
    if (!live)
        return answer_error(c->answer, 500, "out of memory");
    compat_result_init(&m);
    for (size_t i = 0; r->u && i < r->u->n; i++)
        if (!r->u->versions[i].deleted)
            live[n++] = &r->u->versions[i];
    enum err e =
        work_compatible(d->settings->models, d->store, c->subject, &r->scope, &r->work, live, n, &m, c->answer);
    if (!e && m.n) {
        struct buf b;
        buf_init(&b, 0);
        buf_printf(&b, "Schema being registered is incompatible with an earlier schema for subject \"%.*s\", details: ",
                   SLICE_FMT(c->subject));
        if (c->blind)
            buf_put_str(&b, "shown to those who may read it");
        else
            compat_print(&m, &b);
        e = answer_error_text(c->answer, d->settings->shape >= 82 ? API_INCOMPATIBLE_82 : API_INCOMPATIBLE,
                              buf_slice(&b));
        buf_free(&b);
    }
    compat_result_free(&m);
    free(live);
    return e;
}

static enum err choose_id(struct registration *r, struct change *c, struct decision *d, int32_t id, int32_t *out)
{
    struct slice context = subject_parse(c->subject).context;
    if (id >= 0) {
        const struct content *there = store_by_id(d->store, context, id);
        if (there && !content_same(there, r->work.content)) {
            struct buf b;
            buf_init(&b, 0);
            put_context_name(&b, c->subject);
            enum err e =
                answer_error(c->answer, API_NOT_PERMITTED,
                             "Overwrite new schema with id %d in context %s is not permitted.", (int)id, buf_cstr(&b));
            buf_free(&b);
            return e;
        }
        *out = id;
        return ERR_OK;
    }
    int32_t max = store_max_id(d->store, context);
    if (max == INT32_MAX)
        return answer_error(c->answer, API_STORE, "no ids are left in the context");
    *out = max + 1;
    return ERR_OK;
}

static void emit_registration(struct registration *r, struct change *c, struct decision *d, const struct version *v)
{
    struct slice context = subject_parse(c->subject).context;
    if (!subject_is_default_context(context) && !store_has_context(d->store, context)) {
        struct buf key, value;
        buf_init(&key, 0);
        buf_init(&value, 0);
        record_context_key(&key, context);
        record_context_value(&value, context);
        decision_emit(d, &key, &value);
    }
    for (size_t i = 0, n; r->u && i < r->u->n; i += r->u->n == n) { /* a stage takes them out at once */
        const struct version *old = &r->u->versions[i];
        n = r->u->n;
        if (old->deleted && old->id == v->id && old->version < v->version &&
            !store_is_referenced(d->store, c->subject, old->version, true, SLICE_NULL))
            emit_tombstone(d, c->subject, old->version);
    }
    emit_version(d, c->subject, v, false);
}

static enum err register_prepared(struct registration *r, struct change *c, struct decision *d)
{
    struct slice context = subject_parse(c->subject).context;
    bool import = mode_is_import(r->scope.mode);
    int32_t id = r->scope.mode == MODE_IMPORT ? c->draft.id : -1;
    int32_t known = store_id_of(d->store, context, r->work.content);
    const struct version *same = NULL;
    if (known >= 0 && (id < 0 || id == known)) {
        same = c->draft.version == 0 ? version_with(r->u, r->work.content, false) : NULL;
        id = known;
    }
    if (!same && c->draft.version == 0) {
        struct search f = {.store = d->store, .settings = d->settings, .subject = c->subject};
        same = version_alike(&f, r->u, &r->work);
        if (same && id >= 0 && same->id != id)
            same = NULL;
    }
    if (same) {
        c->version = same->version;
        return answer_registered(c, d->store, d->settings, same, false);
    }
    enum err e = import ? ERR_OK : check_compatible(r, c, d);
    if (e)
        return e;
    struct version v = {.content = r->work.content,
                        .version = c->draft.version > 0 ? c->draft.version : r->new_version};
    if (v.version != r->new_version && !import)
        return answer_error(c->answer, API_INVALID_SCHEMA, "Version is not one more than previous version");
    e = choose_id(r, c, d, id, &v.id);
    if (e)
        return e;
    c->version = v.version;
    emit_registration(r, c, d, &v);
    return answer_registered(c, d->store, d->settings, &v, false);
}

enum err decide_register(struct change *c, struct decision *d)
{
    struct registration r = {.u = store_subject(d->store, c->subject), .new_version = 1, .draft = c->draft};
    buf_init(&r.tagged, 0);
    scope_read(&r.scope, d->store, c->subject);
    r.previous = subject_latest(r.u, false);
    int32_t highest = store_reserved(d->store, c->subject);
    if (r.u && r.u->versions[r.u->n - 1].version > highest)
        highest = r.u->versions[r.u->n - 1].version;
    r.new_version = version_after(highest);
    enum err e = c->draft.tags.n ? edit_tags(&r, c, d, &c->draft.tags) : ERR_OK;
    if (!e)
        e = check_mode(c, d, r.scope.mode);
    if (!e && highest == INT32_MAX)
        e = answer_error(c->answer, API_STORE, "no versions are left in the subject");
    if (!e)
        e = fill_up(&r, c, d);
    if (!e) {
        bool fresh = c->draft.id < 0 && scope_flag_or(&r.scope, "validateNewSchemas", true);
        bool normalize = c->normalize || scope_flag(&r.scope, "normalize");
        e = work_prepare(&r.work, d->settings->shape, d->store, c->subject, &r.draft, r.metadata, r.rules, normalize,
                         fresh, c->answer);
    }
    if (!e)
        e = register_prepared(&r, c, d);
    registration_free(&r);
    return e;
}

/* The version a request means that was found registered; NULL: none, so that there is something to write. A request
 * with an id and a version (an import) means exactly those. */
static const struct version *settled_version(const struct draft *d, const struct found *f)
{
    const struct version *v = f->v;
    if (v && (d->version == 0 || d->version == -1))
        return d->id < 0 || d->id == v->id ? v : NULL;
    if (!v || d->id != v->id || d->version == v->version)
        return v && d->id == v->id ? v : NULL;
    const struct version *other = subject_version(f->u, d->version);
    return other && !other->deleted && other->id == v->id && content_same(other->content, v->content) ? other : NULL;
}

enum err change_settle(struct change *c, const struct store *s, const struct api_settings *settings, bool *settled)
{
    struct found found = {0};
    struct scope scope;
    *settled = false;
    if (c->kind != CHANGE_REGISTER || c->draft.propagate_tags || c->draft.tags.n)
        return ERR_OK;
    enum err e = ERR_OK;
    scope_read(&scope, s, c->subject);
    if (!config_has_contract(scope.config)) {
        const struct subject *u = store_subject(s, c->subject);
        bool latest = c->draft.version == -1;
        struct lookup_wish w = {
            .subject = c->subject,
            .draft = &c->draft,
            .normalize = c->normalize || scope_flag(&scope, "normalize"),
            .latest_only = latest,
            /* what registering would find, once it may register at all */
            .fill = u && !latest && scope.mode == MODE_READWRITE ? version_after(u->versions[u->n - 1].version) : -1,
        };
        e = find_draft(s, settings, &w, &found, c->answer);
        const struct version *v = e ? NULL : settled_version(&c->draft, &found);
        *settled = v != NULL;
        if (v)
            e = answer_registered(c, s, settings, v, found.stored);
    }
    scope_free(&scope);
    return e;
}
