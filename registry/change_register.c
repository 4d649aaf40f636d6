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

static bool is_blank(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] > ' ')
            return false;
    return true;
}

/* --- finding --- */

static const struct version *version_with(const struct subject *u, const struct content *c, bool deleted)
{
    for (size_t i = u ? u->n : 0; i > 0; i--)
        if (content_same(u->versions[i - 1].content, c) && (deleted || !u->versions[i - 1].deleted))
            return &u->versions[i - 1];
    return NULL;
}

static const struct version *version_alike(const struct subject *u, const struct content *c, bool deleted, bool latest)
{
    if (latest) {
        const struct version *v = subject_latest(u, false);
        return v && work_alike(c, v->content) ? v : NULL;
    }
    for (size_t i = u ? u->n : 0; i > 0; i--)
        if ((deleted || !u->versions[i - 1].deleted) && work_alike(c, u->versions[i - 1].content))
            return &u->versions[i - 1];
    return NULL;
}

static enum err find_with(const struct store *s, struct slice subject, const struct draft *d, const json_t *metadata,
                          const json_t *rules, bool normalize, bool deleted, bool latest, const struct subject *u,
                          const struct version **v, struct answer *a)
{
    struct work w;
    enum err e = work_prepare(&w, s, subject, d, metadata, rules, normalize, false, a);
    if (!e) {
        *v = latest ? NULL : version_with(u, w.content, deleted);
        if (!*v)
            *v = version_alike(u, w.content, deleted, latest);
    }
    work_free(&w);
    return e;
}

enum err find_draft(const struct store *s, const struct api_settings *settings, struct slice subject,
                    const struct draft *d, bool normalize, bool deleted, bool latest_only, const struct subject **u,
                    const struct version **v, struct answer *a)
{
    struct scope scope;
    (void)settings;
    *v = NULL;
    *u = store_subject(s, subject);
    if (is_blank(d->text))
        return ERR_OK;
    enum err e = find_with(s, subject, d, d->metadata, d->rules, normalize, deleted, latest_only, *u, v, a);
    const struct version *previous = subject_latest(*u, false);
    if (e || *v || !previous)
        return e;
    scope_read(&scope, s, subject);
    json_t *metadata = NULL, *rules = NULL;
    work_contract(&scope, d, previous->content, 0, &metadata, &rules);
    if (metadata || rules)
        e = find_with(s, subject, d, metadata, rules, normalize, deleted, latest_only, *u, v, a);
    json_decref(metadata);
    json_decref(rules);
    scope_free(&scope);
    return e;
}

/* --- rendering --- */

void put_schema_members(struct buf *out, const struct api_settings *st, const struct content *c)
{
    (void)st;
    for (size_t i = 0; i < c->reference_count; i++) {
        buf_put_str(out, i ? ",{\"name\":" : ",\"references\":[{\"name\":");
        json_text_print_string(out, c->references[i].name);
        buf_put_str(out, ",\"subject\":");
        json_text_print_string(out, c->references[i].subject);
        buf_printf(out, ",\"version\":%d}%s", (int)c->references[i].version, i + 1 == c->reference_count ? "]" : "");
    }
    if (!slice_is_null(c->metadata)) {
        buf_put_str(out, ",\"metadata\":");
        buf_put_slice(out, c->metadata);
    }
    if (!slice_is_null(c->rules)) {
        buf_put_str(out, ",\"ruleSet\":");
        buf_put_slice(out, c->rules);
    }
}

static void put_identity(struct buf *out, const struct api_settings *st, const struct content *c)
{
    if (st->shape >= 80) {
        buf_put_str(out, ",\"guid\":\"");
        guid_put(out, c->guid);
        buf_put_str(out, "\"");
    }
    if (st->shape >= 80 || c->type != SCHEMA_AVRO) {
        buf_put_str(out, ",\"schemaType\":\"");
        buf_put_str(out, schema_type_name(c->type));
        buf_put_str(out, "\"");
    }
}

static void put_int_member(struct buf *out, const char *before, int64_t v)
{
    buf_put_str(out, before);
    buf_put_int(out, v);
}

static void put_state(struct buf *out, const struct version *v)
{
    put_int_member(out, ",\"ts\":", v->timestamp_ms);
    buf_put_str(out, v->deleted ? ",\"deleted\":true" : ",\"deleted\":false");
}

void put_schema_entity(struct buf *out, const struct api_settings *st, struct slice subject, const struct version *v,
                       struct slice text)
{
    buf_put_str(out, "{\"subject\":");
    json_text_print_string(out, subject);
    put_int_member(out, ",\"version\":", v->version);
    put_int_member(out, ",\"id\":", v->id);
    put_identity(out, st, v->content);
    put_schema_members(out, st, v->content);
    buf_put_str(out, ",\"schema\":");
    json_text_print_string(out, slice_is_null(text) ? v->content->text : text);
    if (st->shape >= 80)
        put_state(out, v);
    buf_put_str(out, "}");
}

void put_registered(struct buf *out, const struct api_settings *st, const struct version *v, bool stored)
{
    put_int_member(out, "{\"id\":", v->id);
    if (st->shape >= 80) {
        put_int_member(out, ",\"version\":", v->version);
        put_identity(out, st, v->content);
        put_schema_members(out, st, v->content);
        buf_put_str(out, ",\"schema\":");
        json_text_print_string(out, v->content->text);
        if (stored)
            put_state(out, v);
    }
    buf_put_str(out, "}");
}

/* --- registering --- */

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
    json_t *metadata, *rules;
    struct work work;
};

static void registration_free(struct registration *r)
{
    scope_free(&r->scope);
    json_decref(r->metadata);
    json_decref(r->rules);
    work_free(&r->work);
}

static enum err fill_up(struct registration *r, struct change *c)
{
    bool import = mode_is_import(r->scope.mode);
    r->draft = c->draft;
    if (is_blank(c->draft.text)) {
        if (!r->previous || import)
            return answer_error(c->answer, API_INVALID_SCHEMA, "Empty schema");
        const struct content *p = r->previous->content;
        r->draft.text = p->text;
        r->draft.type = slice_str(schema_type_name(p->type));
        r->draft.references = (struct schema_ref *)p->references;
        r->draft.reference_count = p->reference_count;
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
    for (size_t i = 0; r->u && i < r->u->n; i++) {
        const struct version *old = &r->u->versions[i];
        if (old->deleted && old->id == v->id && old->version < v->version &&
            !store_is_referenced(d->store, c->subject, old->version, true, SLICE_NULL))
            emit_tombstone(d, c->subject, old->version);
    }
    emit_version(d, c->subject, v, false);
}

static void note_ids(struct change *c, const struct version *v)
{
    c->answer->id = v->id;
    c->answer->version = v->version;
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
        same = version_alike(r->u, r->work.content, false, false);
        if (same && id >= 0 && same->id != id)
            same = NULL;
    }
    if (same) {
        put_registered(&c->answer->body, d->settings, same, true);
        note_ids(c, same);
        return ERR_OK;
    }
    enum err e = import || c->force ? ERR_OK : check_compatible(r, c, d);
    if (e)
        return e;
    struct version v = {.content = r->work.content,
                        .version = c->draft.version > 0 ? c->draft.version : r->new_version};
    if (v.version != r->new_version && !import)
        return answer_error(c->answer, API_INVALID_SCHEMA, "Version is not one more than previous version");
    e = choose_id(r, c, d, id, &v.id);
    if (e)
        return e;
    emit_registration(r, c, d, &v);
    put_registered(&c->answer->body, d->settings, &v, false);
    note_ids(c, &v);
    return ERR_OK;
}

enum err decide_register(struct change *c, struct decision *d)
{
    struct registration r = {.u = store_subject(d->store, c->subject), .new_version = 1};
    scope_read(&r.scope, d->store, c->subject);
    r.previous = subject_latest(r.u, false);
    int32_t highest = store_reserved(d->store, c->subject);
    if (r.u && r.u->versions[r.u->n - 1].version > highest)
        highest = r.u->versions[r.u->n - 1].version;
    r.new_version = highest < INT32_MAX ? highest + 1 : INT32_MAX;
    enum err e = check_mode(c, d, r.scope.mode);
    if (!e && highest == INT32_MAX)
        e = answer_error(c->answer, API_STORE, "no versions are left in the subject");
    if (!e)
        e = fill_up(&r, c);
    if (!e) {
        bool fresh = !mode_is_import(r.scope.mode);
        bool normalize = fresh && (c->normalize || scope_flag(&r.scope, "normalize"));
        e = work_prepare(&r.work, d->store, c->subject, &r.draft, r.metadata, r.rules, normalize, fresh, c->answer);
    }
    if (!e)
        e = register_prepared(&r, c, d);
    registration_free(&r);
    return e;
}

/* Already there, so that nothing need be written? Serializers ask for the same schema again and again. */
bool change_is_settled(struct change *c, const struct store *s, const struct api_settings *settings)
{
    const struct subject *u;
    const struct version *v;
    struct scope scope;
    struct answer scratch;
    if (c->kind != CHANGE_REGISTER || c->draft.propagate_tags || (c->draft.version != 0 && c->draft.version != -1))
        return false;
    scope_read(&scope, s, c->subject);
    bool settled = false;
    if (!config_has_contract(scope.config)) {
        answer_init(&scratch);
        bool normalize = c->normalize || scope_flag(&scope, "normalize");
        settled = !find_draft(s, settings, c->subject, &c->draft, normalize, false, c->draft.version == -1, &u, &v,
                              &scratch) &&
                  v && (c->draft.id < 0 || c->draft.id == v->id);
        if (settled)
            put_registered(&c->answer->body, settings, v, true);
        answer_free(&scratch);
    }
    scope_free(&scope);
    return settled;
}
