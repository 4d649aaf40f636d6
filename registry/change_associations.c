/* SPDX-License-Identifier: Apache-2.0
 * Decisions about associations: creating and updating.
 *
 * A wish is checked in the reference's order: the request by itself, the subjects it names, what the resource has
 * already, what the subjects have already, the schemas; then schemas are registered and the associations written. Steps
 * build on one another (an association needs the version just registered), so they are staged in an overlay and reach
 * the log together, once all have succeeded: a request is done or not done, also one within a batch.
 *
 * Rights are asked for every subject touched, those of associations that are there already included; a refusal does not
 * name a subject the client has not named. */
#include "registry/association_linking.h"
#include "registry/change_staged.h"

#include <stdlib.h>

/* --- the subjects it names --- */

/* In the request's context when it names none, and what its alias says. */
static struct slice resolve_subject(struct linking *l, struct slice subject)
{
    struct buf b;
    struct slice context = l->c->associations->context;
    buf_init(&b, 0);
    if (context.n && !slice_starts(subject, slice_str(":.")))
        subject_put(&b, subject_parse(context).context, subject);
    else
        subject_put_normal(&b, subject);
    struct slice out = arena_copy(&l->arena, buf_slice(&b));
    const json_t *alias = json_object_get(store_config(l->d->store, out), "alias");
    if (json_string_length(alias)) {
        buf_clear(&b);
        subject_put_from_parent(&b, out, slice_of(json_string_value(alias), json_string_length(alias)));
        out = arena_copy(&l->arena, buf_slice(&b));
    }
    buf_free(&b);
    return out;
}

static enum err name_subjects(struct linking *l)
{
    for (size_t i = 0; i < l->n; i++) {
        struct association_wish *w = &l->wishes[i];
        if (slice_is_null(w->subject))
            continue;
        struct slice given = w->subject;
        w->subject = resolve_subject(l, given);
        if (!linking_may(l, RIGHT_WRITE, w->subject))
            return linking_deny(l, "Subject", given);
        enum err e = linking_refuse_mode(l, w->subject);
        if (e)
            return e;
    }
    for (size_t i = 0; i < l->n; i++)
        for (size_t k = 0; k < i; k++)
            if (slice_eq(l->wishes[i].type, l->wishes[k].type)) {
                const char *detail =
                    arena_printf(&l->arena, "Duplicate association type: %.*s", SLICE_FMT(l->wishes[i].type));
                return linking_illegal(l, "associationType", detail ? detail : "");
            }
    return ERR_OK;
}

static struct slice normal_subject(struct linking *l, struct slice subject)
{
    struct buf b;
    buf_init(&b, 0);
    subject_put_normal(&b, subject);
    struct slice s = arena_copy(&l->arena, buf_slice(&b));
    buf_free(&b);
    return slice_is_null(s) ? subject : s;
}

/* --- what the resource has already --- */

static void note_old(struct linking *l, const struct association_list *found)
{
    for (size_t i = 0; i < l->n; i++)
        for (size_t k = 0; k < found->n; k++) {
            const struct association *a = found->v[k];
            if (slice_eq(a->type, l->wishes[i].type) && (!l->old[i] || a->updated_ms > l->old[i]->updated_ms))
                l->old[i] = a;
        }
}

static enum err find_old(struct linking *l)
{
    struct association_query q = {.resource_id = l->r->resource_id, .resource_type = l->resource_type};
    struct association_list found = {0};
    enum err e = ERR_OK;
    /* a trial before the resource has an id goes by its name */
    bool by_name = l->create && l->dry_run && slice_is_null(l->r->resource_id);
    if (by_name) {
        q.resource_name = l->r->resource_name;
        q.resource_namespace = l->r->resource_namespace;
    }
    if (by_name || !slice_is_null(l->r->resource_id))
        e = association_find(l->d->store, &q, &found);
    if (!e)
        note_old(l, &found);
    for (size_t i = 0; i < l->n && !e; i++)
        if (l->old[i] && !linking_may(l, RIGHT_WRITE, l->old[i]->subject))
            e = linking_deny(l, "Association", l->r->resource_name);
    association_list_free(&found);
    return e;
}

/* Is the schema of the wish registered there? */
static enum err has_schema(struct linking *l, const struct association_wish *w, bool *yes)
{
    struct lookup_wish wish = {.subject = w->subject, .draft = &w->draft};
    struct found found;
    struct scope scope;
    scope_read(&scope, l->d->store, w->subject);
    wish.normalize = w->normalize || scope_flag(&scope, "normalize");
    scope_free(&scope);
    enum err e = find_draft(l->d->store, l->d->settings, &wish, &found, l->a);
    *yes = !e && found.v;
    return e;
}

static enum err refuse_existing(struct linking *l, const struct association *old)
{
    return answer_error(l->a, API_RESOURCE_ASSOCIATED,
                        "An association of type '%.*s' already exists for resource '%.*s'", SLICE_FMT(old->type),
                        SLICE_FMT(old->resource_name));
}

/* Frozen from the start: the subject holds that one schema, or nothing yet. */
static enum err check_new_frozen(struct linking *l, const struct association_wish *w)
{
    bool same = false;
    if (w->frozen != MAYBE_YES || scope_mode(l->d->store, w->subject, true) == MODE_IMPORT)
        return ERR_OK;
    if (l->create && !w->has_schema)
        return linking_illegal(l, "schema", "schema must be provided when creating a frozen association");
    const struct version *latest = subject_latest(store_subject(l->d->store, w->subject), false);
    if (!latest)
        return ERR_OK;
    if (w->has_schema && latest->version == 1) {
        enum err e = has_schema(l, w, &same);
        if (e)
            return e;
    }
    return same ? ERR_OK
                : linking_illegal(l, "frozen",
                                  "cannot create a frozen association when schemas already exist in the subject");
}

static bool is_equivalent(const struct association *old, const struct association_wish *w)
{
    return slice_eq(old->subject, w->subject) && (w->lifecycle == LIFECYCLE_UNSET || w->lifecycle == old->lifecycle) &&
           (w->frozen == MAYBE_UNSET || (w->frozen == MAYBE_YES) == old->frozen);
}

static enum err check_update(struct linking *l, const struct association *old, const struct association_wish *w)
{
    const char *by_default = linking_default_subject(l, w);
    const char *detail;
    if (w->lifecycle == LIFECYCLE_UNSET && !w->has_schema)
        return linking_illegal(l, "lifecycle", "at least lifecycle or schema must be provided for update");
    if (!slice_eq(old->subject, w->subject)) {
        detail = arena_printf(&l->arena, "subject of association cannot be changed from '%.*s' to '%.*s'",
                              SLICE_FMT(old->subject), SLICE_FMT(w->subject));
        return linking_illegal(l, "subject", detail ? detail : "");
    }
    if (old->lifecycle == LIFECYCLE_STRONG && w->lifecycle == LIFECYCLE_WEAK &&
        slice_eq_str(old->subject, by_default)) {
        detail = arena_printf(&l->arena, "cannot change to WEAK when subject matches default format '%s'", by_default);
        return linking_illegal(l, "lifecycle", detail ? detail : "");
    }
    if (w->frozen != MAYBE_UNSET && (w->frozen == MAYBE_YES) != old->frozen)
        return linking_illegal(l, "frozen", "frozen attribute of association cannot be changed");
    if (old->frozen)
        return linking_refuse_frozen(l->a, old);
    if (!slice_eq(old->resource_name, l->r->resource_name) ||
        !slice_eq(old->resource_namespace, l->r->resource_namespace))
        return linking_illegal(l, "resourceName", "the resource ID belongs to another resource");
    return ERR_OK;
}

static enum err choose_subject(struct linking *l, struct association_wish *w, const struct association *old)
{
    if (!slice_is_null(w->subject))
        return ERR_OK;
    if (!old && w->lifecycle != LIFECYCLE_STRONG)
        return linking_illegal(l, "subject", "must be provided for WEAK associations");
    w->subject = old ? old->subject : normal_subject(l, slice_str(linking_default_subject(l, w)));
    return linking_may(l, RIGHT_WRITE, w->subject) ? ERR_OK : linking_deny(l, "Subject", w->subject);
}

/* A schema takes the text of what it refers to: whoever brings it must be allowed to read that. */
static enum err check_references(struct linking *l, const struct association_wish *w)
{
    struct buf target;
    enum err e = ERR_OK;
    buf_init(&target, 0);
    for (size_t i = 0; i < w->draft.reference_count && !e; i++) {
        buf_clear(&target);
        subject_put_from_parent(&target, w->subject, w->draft.references[i].subject);
        if (!linking_may(l, RIGHT_READ, buf_slice(&target)))
            e = linking_deny(l, "Subject", w->draft.references[i].subject);
    }
    buf_free(&target);
    return e;
}

static enum err check_against_resource(struct linking *l, size_t i)
{
    struct association_wish *w = &l->wishes[i];
    const struct association *old = l->old[i];
    const char *by_default = linking_default_subject(l, w);
    bool same = true;
    enum err e = !old && !l->create ? linking_apply_defaults(l, w, false) : ERR_OK;
    if (!e)
        e = choose_subject(l, w, old);
    if (!e)
        e = check_references(l, w);
    if (e)
        return e;
    enum lifecycle lifecycle = w->lifecycle != LIFECYCLE_UNSET ? w->lifecycle : old ? old->lifecycle : LIFECYCLE_UNSET;
    if (lifecycle == LIFECYCLE_WEAK && w->has_schema)
        return linking_illegal(l, "lifecycle", "cannot be WEAK when schema is provided");
    if (lifecycle == LIFECYCLE_WEAK && slice_eq_str(w->subject, by_default))
        return linking_wrong_subject(l, "WEAK", "cannot", by_default);
    if ((old ? old->frozen : w->frozen == MAYBE_YES) && !slice_eq_str(w->subject, by_default))
        return linking_wrong_subject(l, "frozen", "must", by_default);
    if (!old)
        return check_new_frozen(l, w);
    if (!is_equivalent(old, w))
        return l->create ? refuse_existing(l, old) : check_update(l, old, w);
    if (l->create && w->has_schema)
        e = has_schema(l, w, &same);
    if (!e && !same)
        e = refuse_existing(l, old);
    l->skip[i] = true;
    return e;
}

/* --- what the subject has already --- */

static bool same_link(const struct association *a, const struct association *b)
{
    return slice_eq(a->resource_id, b->resource_id) && slice_eq(a->resource_type, b->resource_type) &&
           slice_eq(a->type, b->type);
}

static enum err check_against_subject(struct linking *l, size_t i)
{
    const struct association_wish *w = &l->wishes[i];
    struct association_query q = {.subject = w->subject};
    struct association_list others;
    size_t any = 0, strong = 0;
    if (!w->has_schema && !subject_has(store_subject(l->d->store, w->subject), false))
        return answer_error(l->a, API_NO_ACTIVE_VERSION, "No active (non-deleted) version exists for subject '%.*s'",
                            SLICE_FMT(w->subject));
    enum err e = association_find(l->d->store, &q, &others);
    for (size_t k = 0; k < others.n; k++) {
        bool other = !l->old[i] || !same_link(others.v[k], l->old[i]);
        any += other;
        strong += other && others.v[k]->lifecycle == LIFECYCLE_STRONG;
    }
    association_list_free(&others);
    if (e)
        return e;
    enum lifecycle lifecycle = w->lifecycle != LIFECYCLE_UNSET ? w->lifecycle : l->old[i]->lifecycle;
    if (lifecycle == LIFECYCLE_STRONG && any)
        return answer_error(l->a, API_SUBJECT_ASSOCIATED, "An association already exists for subject '%.*s'",
                            SLICE_FMT(w->subject));
    if (lifecycle == LIFECYCLE_WEAK && w->frozen == MAYBE_YES)
        return linking_illegal(l, "frozen", "association with lifecycle of WEAK cannot be frozen");
    if (lifecycle == LIFECYCLE_WEAK && strong)
        return answer_error(l->a, API_SUBJECT_OWNED, "A strong association already exists for subject '%.*s'",
                            SLICE_FMT(w->subject));
    return ERR_OK;
}

/* --- schemas --- */

static enum err judge_schema(struct linking *l, const struct association_wish *w, struct compat_result *m)
{
    const struct subject *u = store_subject(l->d->store, w->subject);
    const struct version **live = calloc(u ? u->n + 1 : 1, sizeof *live);
    struct work work = {0};
    struct scope scope;
    size_t n = 0;
    if (!live)
        return ERR_NO_MEMORY;
    for (size_t i = 0; u && i < u->n; i++)
        if (!u->versions[i].deleted)
            live[n++] = &u->versions[i];
    scope_read(&scope, l->d->store, w->subject);
    bool normalize = w->normalize || scope_flag(&scope, "normalize");
    enum err e = work_prepare(&work, l->d->settings->shape, l->d->store, w->subject, &w->draft, w->draft.metadata,
                              w->draft.rules, normalize, true, l->a);
    if (!e)
        e = work_compatible(l->d->settings->models, l->d->store, w->subject, &scope, &work, live, n, m, l->a);
    work_free(&work);
    scope_free(&scope);
    free(live);
    return e;
}

static enum err check_schema(struct linking *l, const struct association_wish *w)
{
    struct compat_result m;
    if (!w->has_schema)
        return ERR_OK;
    if (draft_is_blank(&w->draft))
        return answer_error(l->a, API_INVALID_SCHEMA, "Empty schema");
    compat_result_init(&m);
    enum err e = judge_schema(l, w, &m);
    if (!e && m.n) {
        struct buf b;
        buf_init(&b, 0);
        if (linking_may(l, RIGHT_READ, w->subject))
            compat_print(&m, &b);
        else
            buf_put_str(&b, "shown to those who may read it");
        e = answer_error_text(l->a, API_INCOMPATIBLE_82, buf_slice(&b));
        buf_free(&b);
    }
    compat_result_free(&m);
    return e;
}

static enum err register_schema(struct linking *l, size_t i)
{
    const struct association_wish *w = &l->wishes[i];
    struct change c = {.kind = CHANGE_REGISTER, .subject = w->subject, .normalize = w->normalize};
    struct answer scratch;
    struct buf b;
    if (!w->has_schema || scope_mode(l->d->store, w->subject, true) == MODE_IMPORT)
        return ERR_OK;
    c.draft = w->draft; /* borrowed */
    c.draft.tags.n = 0;
    c.draft.propagate_tags = false;
    c.blind = !linking_may(l, RIGHT_READ, w->subject);
    answer_init(&scratch);
    c.answer = &scratch;
    enum err e = decide_register(&c, l->d);
    if (e && scratch.error_code) {
        buf_clear(&l->a->body);
        buf_put_slice(&l->a->body, buf_slice(&scratch.body));
        l->a->status = scratch.status;
        l->a->error_code = scratch.error_code;
    }
    const struct version *v = e ? NULL : subject_version(store_subject(l->d->store, w->subject), c.version);
    if (v) {
        buf_init(&b, 0);
        put_schema_entity(&b, l->d->settings, w->subject, v, SLICE_NULL, false);
        l->schemas[i] = arena_copy(&l->arena, buf_slice(&b));
        buf_free(&b);
    }
    answer_free(&scratch);
    return e;
}

/* --- writing --- */

static struct association wished(const struct linking *l, size_t i)
{
    const struct association_wish *w = &l->wishes[i];
    const struct association *old = l->old[i];
    struct association a = {.resource_name = l->r->resource_name,
                            .resource_namespace = l->r->resource_namespace,
                            .resource_id = l->r->resource_id,
                            .resource_type = l->resource_type,
                            .type = w->type,
                            .subject = w->subject,
                            .guid = slice_str(w->guid),
                            .lifecycle = w->lifecycle,
                            .frozen = w->frozen == MAYBE_YES};
    if (!old)
        return a;
    a.guid = old->guid;
    a.subject = old->subject;
    a.lifecycle = w->lifecycle == LIFECYCLE_UNSET ? old->lifecycle : w->lifecycle;
    a.frozen = w->frozen == MAYBE_UNSET ? old->frozen : w->frozen == MAYBE_YES;
    return a;
}

void linking_put_resource(struct buf *out, const struct linking *l)
{
    buf_put_str(out, "{");
    association_put_resource(out, l->r->resource_name, l->r->resource_namespace, l->r->resource_id, l->resource_type);
}

void linking_put_info(struct buf *out, bool first, const struct association *a, struct slice schema)
{
    buf_put_str(out, first ? ",\"associations\":[" : ",");
    association_put_info(out, a, schema);
}

/* Writes what is not so already, and tells it. */
static void write_links(struct linking *l, struct buf *out)
{
    bool any = false;
    linking_put_resource(out, l);
    for (size_t i = 0; i < l->n; i++) {
        if (l->skip[i])
            continue;
        struct buf key, value;
        struct association a = wished(l, i);
        buf_init(&key, 0);
        buf_init(&value, 0);
        record_association_key(&key, &a);
        record_association_value(&value, &a);
        linking_put_info(out, !any, &a, l->schemas[i]);
        any = true;
        decision_emit(l->d, &key, &value);
    }
    buf_put_str(out, any ? "]}" : "}");
}

/* The whole way, once the request by itself is well. */
enum err linking_link(struct linking *l, struct buf *out)
{
    enum err e = name_subjects(l);
    if (!e)
        e = find_old(l);
    for (size_t i = 0; i < l->n && !e; i++)
        e = check_against_resource(l, i);
    for (size_t i = 0; i < l->n && !e; i++)
        e = check_against_subject(l, i);
    for (size_t i = 0; i < l->n && !e; i++)
        e = check_schema(l, &l->wishes[i]);
    if (!e && l->dry_run) {
        linking_put_resource(out, l);
        buf_put_str(out, "}");
        return ERR_OK;
    }
    for (size_t i = 0; i < l->n && !e; i++)
        e = register_schema(l, i);
    if (!e)
        write_links(l, out);
    return e;
}

enum err decide_associate(struct change *c, struct decision *d)
{
    const struct association_request *r = &c->associations->requests[0];
    struct staged s;
    struct linking l;
    staged_init(&s, d);
    enum err e = linking_init(&l, c, &s.d, r, r->wishes, r->n, c->answer) ? ERR_OK : ERR_NO_MEMORY;
    l.create = r->n && r->wishes[0].op == ASSOCIATION_CREATE;
    if (!e)
        e = linking_check_request(&l);
    if (!e)
        e = linking_link(&l, &c->answer->body);
    if (!e)
        e = s.error;
    if (!e)
        staged_commit(&s, d);
    arena_free(&l.arena);
    staged_free(&s);
    return e;
}
