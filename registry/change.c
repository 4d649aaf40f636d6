/* SPDX-License-Identifier: Apache-2.0
 * Decisions: deleting, configuration, modes, contexts. Registration has a file of its own.
 * Order of checks and words of refusals are the reference's, because clients match on them. */
#include "registry/change.h"
#include "registry/change_associations.h"
#include "registry/change_internal.h"

#include <stdlib.h>

void change_free(struct change *c)
{
    draft_free(&c->draft);
    json_decref(c->config);
    c->config = NULL;
    association_change_free(c->associations);
    c->associations = NULL;
}

/* --- emitting --- */

void decision_emit(struct decision *d, struct buf *key, struct buf *value)
{
    if (!value) {
        /* a tombstone must also fall on every other form of the key that was seen */
        for (size_t i = 0;; i++) {
            struct slice raw = store_raw_key(d->store, buf_slice(key), i);
            if (slice_is_null(raw))
                break;
            d->emit(d->emit_ctx, raw, SLICE_NULL);
        }
    }
    d->emit(d->emit_ctx, buf_slice(key), value ? buf_slice(value) : SLICE_NULL);
    buf_free(key);
    if (value)
        buf_free(value);
}

void emit_tombstone(struct decision *d, struct slice subject, int32_t version)
{
    struct buf key;
    buf_init(&key, 0);
    record_schema_key(&key, subject, version);
    decision_emit(d, &key, NULL);
}

void emit_version(struct decision *d, struct slice subject, const struct version *v, bool deleted)
{
    struct buf key, value;
    buf_init(&key, 0);
    buf_init(&value, 0);
    record_schema_key(&key, subject, v->version);
    record_schema_value(&value, subject, v, deleted);
    decision_emit(d, &key, &value);
}

static void emit_no_config(struct decision *d, struct slice subject)
{
    struct buf key;
    buf_init(&key, 0);
    record_config_key(&key, subject);
    decision_emit(d, &key, NULL);
}

static void emit_no_mode(struct decision *d, struct slice subject)
{
    struct buf key;
    buf_init(&key, 0);
    record_mode_key(&key, subject);
    decision_emit(d, &key, NULL);
}

/* With its last version a subject's own configuration and mode go too. */
static void emit_forget_subject(struct decision *d, struct slice subject)
{
    if (store_mode(d->store, subject) != MODE_NONE)
        emit_no_mode(d, subject);
    if (store_config(d->store, subject))
        emit_no_config(d, subject);
}

/* --- shared refusals --- */

void put_context_name(struct buf *out, struct slice subject)
{
    struct slice context = subject_parse(slice_is_null(subject) ? slice_str("") : subject).context;
    if (!subject_is_default_context(context)) /* the default one has no name here */
        subject_put(out, context, slice_str(""));
}

enum err refuse_in_context(struct answer *a, struct slice subject, const char *words)
{
    struct buf b;
    buf_init(&b, 0);
    buf_printf(&b, "Subject %.*s in context ",
               SLICE_FMT(slice_is_null(subject) || !subject.n ? slice_str("null") : subject));
    put_context_name(&b, subject);
    buf_put_str(&b, words);
    enum err e = answer_error_text(a, API_NOT_PERMITTED, buf_slice(&b));
    buf_free(&b);
    return e;
}

enum err refuse_read_only(struct answer *a, const struct store *s, struct slice subject)
{
    enum mode m = scope_mode(s, subject, true);
    return m == MODE_READONLY || m == MODE_READONLY_OVERRIDE ? refuse_in_context(a, subject, " is in read-only mode")
                                                             : ERR_OK;
}

static enum err refuse_referenced(struct answer *a, struct slice subject, int32_t version)
{
    return answer_error(a, API_REFERENCE_EXISTS,
                        "One or more references exist to the schema {magic=1,keytype=SCHEMA,subject=%.*s,version=%d}.",
                        SLICE_FMT(subject), (int)version);
}

/* --- deleting --- */

enum err decide_delete_subject(struct change *c, struct decision *d)
{
    struct answer *a = c->answer;
    const struct subject *u = store_subject(d->store, c->subject);
    if (!u)
        return answer_error(a, API_SUBJECT_NOT_FOUND, "Subject '%.*s' not found.", SLICE_FMT(c->subject));
    if (!c->permanent && !subject_has(u, false))
        return answer_error(a, API_SUBJECT_SOFT_DELETED,
                            "Subject '%.*s' was soft deleted.Set permanent=true to delete permanently",
                            SLICE_FMT(c->subject));
    enum err e = refuse_read_only(a, d->store, c->subject);
    if (!e)
        e = refuse_associated(a, d, c->subject, 0);
    int32_t highest = 0;
    if (!e)
        buf_put_str(&a->body, "[");
    for (size_t i = 0; i < u->n && !e; i++) {
        const struct version *v = &u->versions[i];
        if (v->deleted && !c->permanent)
            continue;
        if (store_is_referenced(d->store, c->subject, v->version, c->permanent, c->subject))
            e = refuse_referenced(a, c->subject, v->version);
        else if (c->permanent && !v->deleted)
            e = answer_error(a, API_SUBJECT_NOT_SOFT_DELETED,
                             "Subject '%.*s' was not deleted first before being permanently deleted",
                             SLICE_FMT(c->subject));
        else
            buf_printf(&a->body, "%s%d", highest ? "," : "", (int)v->version);
        highest = v->version;
    }
    if (e)
        return e;
    buf_put_str(&a->body, "]");
    if (!c->permanent) {
        struct buf key, value;
        buf_init(&key, 0);
        buf_init(&value, 0);
        record_delete_subject_key(&key, c->subject);
        record_delete_subject_value(&value, c->subject, highest);
        decision_emit(d, &key, &value);
        return ERR_OK;
    }
    for (size_t i = u->n; i > 0; i--)
        emit_tombstone(d, c->subject, u->versions[i - 1].version);
    emit_forget_subject(d, c->subject);
    return ERR_OK;
}

static enum err decide_delete_version(struct change *c, struct decision *d)
{
    struct answer *a = c->answer;
    const struct subject *u = store_subject(d->store, c->subject);
    const struct version *v = c->version == -1 ? subject_latest(u, false) : subject_version(u, c->version);
    if (!u)
        return answer_error(a, API_SUBJECT_NOT_FOUND, "Subject '%.*s' not found.", SLICE_FMT(c->subject));
    if (!v)
        return answer_error(a, API_VERSION_NOT_FOUND, "Version %d not found.", (int)c->version);
    if (!c->permanent && v->deleted)
        return answer_error(a, API_VERSION_SOFT_DELETED,
                            "Subject '%.*s' Version %d was soft deleted.Set permanent=true to delete permanently",
                            SLICE_FMT(c->subject), (int)v->version);
    enum err e = refuse_read_only(a, d->store, c->subject);
    if (!e && !c->permanent)
        e = refuse_associated(a, d, c->subject, v->version);
    if (e)
        return e;
    if (store_is_referenced(d->store, c->subject, v->version, c->permanent, SLICE_NULL))
        return refuse_referenced(a, c->subject, v->version);
    if (c->permanent && !v->deleted)
        return answer_error(a, API_VERSION_NOT_SOFT_DELETED,
                            "Subject '%.*s' Version %d was not deleted first before being permanently deleted",
                            SLICE_FMT(c->subject), (int)v->version);
    buf_printf(&a->body, "%d", (int)v->version);
    a->version = v->version;
    if (!c->permanent) {
        emit_version(d, c->subject, v, true);
        return ERR_OK;
    }
    emit_tombstone(d, c->subject, v->version);
    if (u->n == 1)
        emit_forget_subject(d, c->subject);
    return ERR_OK;
}

/* --- configuration --- */

void put_config(struct buf *out, const json_t *config, const char *level)
{
    buf_put_str(out, "{");
    config_put_members(out, config, level, true);
    buf_put_str(out, "}");
}

/* The level as stored: known words, upper case. */
static const char *known_level(const char *text)
{
    static const char *const levels[] = {
        "NONE", "BACKWARD", "BACKWARD_TRANSITIVE", "FORWARD", "FORWARD_TRANSITIVE", "FULL", "FULL_TRANSITIVE"};
    for (size_t i = 0; text && i < sizeof levels / sizeof *levels; i++)
        if (!strcasecmp(text, levels[i]))
            return levels[i];
    return NULL;
}

static enum err update_contract(json_t *config, const char *name, const json_t *v, struct answer *a)
{
    json_t *canonical = NULL;
    struct reason why = {0};
    bool rules = strstr(name, "RuleSet") != NULL;
    if (rules ? contract_rules(&canonical, v, &why) : contract_metadata(&canonical, v, &why))
        return answer_error(a, 400, "%s", why.text);
    if (rules && contract_rules_validate(canonical, &why)) {
        json_decref(canonical);
        return answer_error(a, API_INVALID_RULES, "%s", why.text);
    }
    json_object_set_new(config, name, canonical);
    return ERR_OK;
}

static enum err update_member(json_t *config, const char *name, const json_t *v, struct answer *a)
{
    enum compat_policy policy;
    if (!strcmp(name, "compatibilityPolicy") &&
        !compat_policy_parse(slice_of(json_is_string(v) ? json_string_value(v) : "", json_string_length(v)), &policy))
        v = json_null(); /* unknown words unset it */
    if (json_is_null(v)) {
        json_object_del(config, name);
        return ERR_OK;
    }
    if (strstr(name, "RuleSet") || strstr(name, "Metadata"))
        return update_contract(config, name, v, a);
    if (!strcmp(name, "compatibilityLevel")) {
        struct slice text = slice_of(json_string_value(v), json_string_length(v));
        const char *level = slice_has_nul(text) ? NULL : known_level(json_string_value(v));
        if (!level)
            return answer_error(a, API_INVALID_COMPATIBILITY,
                                "Invalid compatibility level. Valid values are none, backward, forward, full, "
                                "backward_transitive, forward_transitive, and full_transitive");
        json_object_set_new(config, name, json_string(level));
        return ERR_OK;
    }
    bool flag = !strncmp(name, "validate", 8) || !strcmp(name, "normalize");
    if (flag ? !json_is_boolean(v) : !json_is_string(v))
        return answer_error(a, 400, "Unrecognized value for field \"%s\"", name);
    json_object_set(config, name, (json_t *)v);
    return ERR_OK;
}

enum err config_update_check(const json_t *update, struct answer *a)
{
    static const char *const members[][2] = {{"compatibility", "compatibilityLevel"},
                                             {"defaultRuleSet", "defaultRuleSet"},
                                             {"overrideRuleSet", "overrideRuleSet"}};
    json_t *scratch = json_object();
    enum err e = ERR_OK;
    for (size_t i = 0; i < sizeof members / sizeof *members && !e; i++) {
        const json_t *v = json_object_get(update, members[i][0]);
        if (v)
            e = update_member(scratch, members[i][1], v, a);
    }
    json_decref(scratch);
    return e;
}

static enum err decide_set_config(struct change *c, struct decision *d)
{
    const json_t *old = store_config(d->store, c->subject);
    json_t *config = old ? json_copy((json_t *)old) : json_object();
    enum err e = ERR_OK;
    for (size_t i = 0; config_members[i] && !e; i++) {
        const json_t *v = json_object_get(c->config, config_members[i]);
        if (!strcmp(config_members[i], "compatibilityLevel"))
            v = json_object_get(c->config, "compatibility") ? json_object_get(c->config, "compatibility") : v;
        if (v)
            e = update_member(config, config_members[i], v, c->answer);
    }
    if (!e)
        e = refuse_read_only(c->answer, d->store, c->subject);
    if (!e) {
        struct buf key, value;
        buf_init(&key, 0);
        buf_init(&value, 0);
        record_config_key(&key, c->subject);
        record_config_value(&value, c->subject, config);
        decision_emit(d, &key, &value);
        put_config(&c->answer->body, config, "compatibility");
    }
    json_decref(config);
    return e;
}

static enum err decide_delete_config(struct change *c, struct decision *d)
{
    json_t *old = scope_config(d->store, c->subject, false);
    if (!old)
        return answer_error(c->answer, API_SUBJECT_NOT_FOUND, "Subject '%.*s' not found.", SLICE_FMT(c->subject));
    enum err e = refuse_read_only(c->answer, d->store, c->subject);
    if (!e) {
        put_config(&c->answer->body, old, "compatibilityLevel");
        emit_no_config(d, c->subject);
    }
    json_decref(old);
    return e;
}

/* --- modes --- */

/* The subjects of a scope: a whole context, or the one it names. */
struct sweep {
    struct slice scope;
    struct qsubject want;
    struct decision *d; /* drop_mode_below */
    const struct subject **list;
    size_t n;
    enum err e;
};

static bool sweep_collect(void *ctx, const struct subject *u)
{
    struct sweep *w = ctx;
    bool whole = subject_is_context(w->scope);
    if (whole ? !slice_eq(subject_parse(u->name).context, w->want.context) : !slice_eq(u->name, w->scope))
        return true;
    const struct subject **list = realloc(w->list, (w->n + 1) * sizeof *list);
    w->e = list ? ERR_OK : ERR_NO_MEMORY;
    if (!list)
        return false;
    w->list = list;
    list[w->n++] = u;
    return true;
}

static int cmp_subjects(const void *a, const void *b)
{
    const struct subject *const *x = a, *const *y = b;
    return slice_cmp((*x)->name, (*y)->name);
}

static enum err sweep_referenced(const struct sweep *w, struct change *c, const struct store *s)
{
    for (size_t i = 0; i < w->n; i++)
        for (size_t k = 0; k < w->list[i]->n; k++)
            if (store_is_referenced(s, w->list[i]->name, w->list[i]->versions[k].version, true, SLICE_NULL))
                return refuse_referenced(c->answer, w->list[i]->name, w->list[i]->versions[k].version);
    return ERR_OK;
}

/* IMPORT wants an empty place: no live subject, and what is softly deleted goes for good. */
static enum err clear_for_import(struct change *c, struct decision *d)
{
    struct slice subject = slice_is_null(c->subject) ? slice_str("") : c->subject;
    struct sweep w = {.scope = subject, .want = subject_parse(subject)};
    if (store_has_subjects(d->store, subject, false))
        return answer_error(c->answer, API_NOT_PERMITTED, "Cannot import since found existing subjects");
    store_each_subject(d->store, sweep_collect, &w);
    if (w.n > 1)
        qsort(w.list, w.n, sizeof *w.list, cmp_subjects);
    enum err e = w.e ? w.e : sweep_referenced(&w, c, d->store);
    for (size_t i = 0; i < w.n && !e; i++)
        for (size_t k = 0; k < w.list[i]->n; k++)
            emit_tombstone(d, w.list[i]->name, w.list[i]->versions[k].version);
    if (!e) {
        struct buf key, value;
        buf_init(&key, 0);
        buf_init(&value, 0);
        record_clear_subject_key(&key, c->subject);
        record_clear_subject_value(&value, c->subject);
        decision_emit(d, &key, &value);
    }
    free(w.list);
    return e;
}

static enum err decide_set_mode(struct change *c, struct decision *d)
{
    if (!d->settings->mode_mutability)
        return answer_error(c->answer, API_NOT_PERMITTED, "Mode changes are not allowed");
    if (c->mode == MODE_IMPORT && scope_mode(d->store, c->subject, true) != MODE_IMPORT && !c->force) {
        enum err e = clear_for_import(c, d);
        if (e)
            return e;
    }
    buf_put_str(&c->answer->body, "{\"mode\":"); /* as the request spelt it */
    contract_put(&c->answer->body, json_object_get(c->config, "mode"));
    buf_put_str(&c->answer->body, "}");
    if (c->mode == MODE_NONE) {
        emit_no_mode(d, c->subject);
        return ERR_OK;
    }
    struct buf key, value;
    buf_init(&key, 0);
    buf_init(&value, 0);
    record_mode_key(&key, c->subject);
    record_mode_value(&value, c->subject, c->mode);
    decision_emit(d, &key, &value);
    return ERR_OK;
}

static bool drop_mode_below(void *ctx, struct slice name)
{
    struct sweep *w = ctx;
    if (slice_eq(subject_parse(name).context, w->want.context) && !subject_is_context(name))
        emit_no_mode(w->d, name);
    return true;
}

static enum err decide_delete_mode(struct change *c, struct decision *d)
{
    enum mode old = scope_mode(d->store, c->subject, false);
    struct slice subject = slice_is_null(c->subject) ? slice_str("") : c->subject;
    if (old == MODE_NONE && !c->recursive)
        return answer_error(c->answer, API_SUBJECT_NOT_FOUND, "Subject '%.*s' not found.", SLICE_FMT(c->subject));
    if (!d->settings->mode_mutability)
        return answer_error(c->answer, API_NOT_PERMITTED, "Mode changes are not allowed");
    emit_no_mode(d, c->subject);
    if (c->recursive && subject_is_context(subject)) {
        struct sweep w = {.d = d, .want = subject_parse(subject)};
        store_each_mode(d->store, drop_mode_below, &w);
    }
    if (old == MODE_NONE)
        buf_put_str(&c->answer->body, "{}");
    else
        buf_printf(&c->answer->body, "{\"mode\":\"%s\"}", mode_name(old));
    return ERR_OK;
}

static enum err decide_delete_context(struct change *c, struct decision *d)
{
    if (store_has_subjects(d->store, c->subject, true))
        return answer_error(c->answer, API_CONTEXT_NOT_EMPTY, "The specified context '%.*s' is not empty.",
                            SLICE_FMT(c->subject));
    struct buf key;
    buf_init(&key, 0);
    record_context_key(&key, subject_parse(c->subject).context);
    decision_emit(d, &key, NULL);
    c->answer->status = 204;
    return ERR_OK;
}

enum err change_decide(struct change *c, const struct store *s, const struct api_settings *settings, emit_fn emit,
                       void *emit_ctx)
{
    struct decision d = {s, settings, emit, emit_ctx};
    c->answer->status = 200;
    c->answer->error_code = 0;
    buf_clear(&c->answer->body);
    switch (c->kind) {
    case CHANGE_REGISTER:
        return decide_register(c, &d);
    case CHANGE_DELETE_SUBJECT:
        return decide_delete_subject(c, &d);
    case CHANGE_DELETE_VERSION:
        return decide_delete_version(c, &d);
    case CHANGE_SET_CONFIG:
        return decide_set_config(c, &d);
    case CHANGE_DELETE_CONFIG:
        return decide_delete_config(c, &d);
    case CHANGE_SET_MODE:
        return decide_set_mode(c, &d);
    case CHANGE_DELETE_MODE:
        return decide_delete_mode(c, &d);
    case CHANGE_DELETE_CONTEXT:
        return decide_delete_context(c, &d);
    case CHANGE_ASSOCIATE:
        return decide_associate(c, &d);
    case CHANGE_DISSOCIATE:
        return decide_dissociate(c, &d);
    case CHANGE_ASSOCIATION_BATCH:
        return decide_association_batch(c, &d);
    }
    return ERR_UNSUPPORTED;
}
