/* SPDX-License-Identifier: Apache-2.0
 * Decisions about associations: deleting them, with the subjects they own when that is asked for; batches, each request
 * of which is done or not done; and what associations keep from being deleted. */
#include "registry/association_linking.h"
#include "registry/change_staged.h"

#include <stdlib.h>

/* --- deleting --- */

static enum err delete_subject_of(struct linking *l, const struct association *a)
{
    struct change c = {.kind = CHANGE_DELETE_SUBJECT, .subject = a->subject};
    struct answer scratch;
    enum err e = ERR_OK;
    answer_init(&scratch);
    c.answer = &scratch;
    for (int permanent = 0; permanent < 2 && !e; permanent++) {
        const struct subject *u = store_subject(l->d->store, c.subject);
        c.permanent = permanent;
        if (!u || (!permanent && !subject_has(u, false)))
            continue;
        buf_clear(&scratch.body);
        e = decide_delete_subject(&c, l->d);
    }
    if (e && scratch.error_code) {
        buf_clear(&l->a->body);
        buf_put_slice(&l->a->body, buf_slice(&scratch.body));
        l->a->status = scratch.status;
        l->a->error_code = scratch.error_code;
    }
    answer_free(&scratch);
    return e;
}

static enum err unlink_one(struct linking *l, const struct association *a, bool cascade)
{
    struct buf key;
    struct association copy = *a;
    copy.subject = arena_copy(&l->arena, a->subject); /* the store forgets it */
    buf_init(&key, 0);
    record_association_key(&key, a);
    decision_emit(l->d, &key, NULL);
    if (!cascade || copy.lifecycle != LIFECYCLE_STRONG || scope_mode(l->d->store, copy.subject, true) == MODE_IMPORT)
        return ERR_OK;
    return delete_subject_of(l, &copy);
}

/* `told`: how many the client may know of; NULL: does not matter. */
static enum err unlink_resource(struct linking *l, const struct slice *types, size_t types_n, bool cascade,
                                size_t *told)
{
    struct association_query q = {
        .resource_id = l->r->resource_id, .resource_type = l->resource_type, .types = types, .types_n = types_n};
    struct association_list found = {0};
    enum err e = slice_is_null(q.resource_id) ? ERR_OK : association_find(l->d->store, &q, &found);
    for (size_t i = 0; i < found.n; i++)
        *told += linking_may(l, RIGHT_READ, found.v[i]->subject) || linking_may(l, RIGHT_DELETE, found.v[i]->subject);
    for (size_t i = 0; *told && i < found.n && !e; i++)
        if (!linking_may(l, RIGHT_DELETE, found.v[i]->subject))
            e = linking_deny(l, "Association", l->r->resource_id);
    for (size_t i = 0; *told && i < found.n && !e; i++) {
        e = linking_refuse_mode(l, found.v[i]->subject);
        if (!e && !cascade && found.v[i]->frozen)
            e = linking_refuse_frozen(l->a, found.v[i]);
    }
    for (size_t i = 0; *told && i < found.n && !e && !l->dry_run; i++)
        e = unlink_one(l, found.v[i], cascade);
    association_list_free(&found);
    return e;
}

enum err decide_dissociate(struct change *c, struct decision *d)
{
    const struct association_change *w = c->associations;
    struct staged s;
    struct linking l;
    size_t told = 0;
    staged_init(&s, d);
    enum err e = linking_init(&l, c, &s.d, &w->requests[0], NULL, 0, c->answer) ? ERR_OK : ERR_NO_MEMORY;
    if (!e)
        e = unlink_resource(&l, w->types, w->types_n, w->cascade, &told);
    if (!e && !told)
        e = answer_error(c->answer, API_ASSOCIATION_NOT_FOUND, "Association for '%.*s' not found.",
                         SLICE_FMT(l.r->resource_id));
    if (!e)
        e = s.error;
    if (!e) {
        staged_commit(&s, d);
        c->answer->status = 204;
    }
    arena_free(&l.arena);
    staged_free(&s);
    return e;
}

/* --- batches --- */

/* One operation, as a request of its own. Schemas registered are noted per type. */
static enum err batch_step(struct linking *all, size_t i, struct slice *schemas)
{
    const struct association_wish *w = &all->wishes[i];
    struct linking l;
    struct buf out;
    size_t told = 0;
    if (!linking_init(&l, all->c, all->d, all->r, w, 1, all->a))
        return ERR_NO_MEMORY;
    buf_init(&out, 0);
    l.create = w->op == ASSOCIATION_CREATE;
    enum err e =
        w->op == ASSOCIATION_DELETE ? unlink_resource(&l, &w->type, 1, w->cascade, &told) : linking_link(&l, &out);
    if (!e && !slice_is_null(l.schemas[0]))
        schemas[slice_eq_str(w->type, "key")] = arena_copy(&all->arena, l.schemas[0]);
    buf_free(&out);
    arena_free(&l.arena);
    return e;
}

static enum err put_batch_result(struct linking *l, const struct slice *schemas, struct buf *out)
{
    struct association_query q = {.resource_id = l->r->resource_id, .resource_type = l->resource_type};
    struct association_list found = {0};
    enum err e = l->dry_run ? ERR_OK : association_find(l->d->store, &q, &found);
    bool any = false;
    linking_put_resource(out, l);
    for (size_t i = 0; i < found.n && !e; i++) {
        if (!linking_may(l, RIGHT_READ, found.v[i]->subject) && !linking_may(l, RIGHT_WRITE, found.v[i]->subject))
            continue;
        linking_put_info(out, !any, found.v[i], schemas[slice_eq_str(found.v[i]->type, "key")]);
        any = true;
    }
    buf_put_str(out, any ? "]}" : "}");
    association_list_free(&found);
    return e;
}

static bool is_told_by_code(int code)
{
    return code == API_INVALID_ASSOCIATION || code == API_RESOURCE_ASSOCIATED || code == API_SUBJECT_ASSOCIATED ||
           code == API_ASSOCIATION_FROZEN || code == API_NO_ACTIVE_VERSION || code == API_SUBJECT_OWNED ||
           code == API_INCOMPATIBLE_82 || code == 40301;
}

/* The error of a request in a batch; kinds the reference does not tell apart have its common code. */
static void put_batch_error(struct buf *out, struct answer *a)
{
    json_t *body = contract_parse(buf_slice(&a->body));
    const char *message = json_string_value(json_object_get(body, "message"));
    struct answer told;
    struct buf text;
    answer_init(&told);
    buf_init(&text, 0);
    int code = a->error_code == API_INVALID_SCHEMA ? API_INVALID_ASSOCIATION
               : is_told_by_code(a->error_code)    ? a->error_code
                                                   : 500;
    if (code == 500)
        buf_put_str(&text, "Error while creating association: ");
    buf_put_str(&text, message ? message : "");
    (void)!answer_error_text(&told, code, buf_slice(&text));
    buf_put_slice(out, buf_slice(&told.body));
    buf_free(&text);
    answer_free(&told);
    json_decref(body);
}

static enum err batch_request(struct change *c, struct decision *d, const struct association_request *r,
                              struct buf *out)
{
    struct slice schemas[2] = {SLICE_NULL, SLICE_NULL}; /* of values, of keys */
    struct staged s;
    struct linking l;
    struct answer scratch;
    answer_init(&scratch);
    staged_init(&s, d);
    size_t start = out->n;
    buf_put_str(out, "{\"result\":");
    enum err e = linking_init(&l, c, &s.d, r, r->wishes, r->n, &scratch) ? linking_check_request(&l) : ERR_NO_MEMORY;
    for (size_t i = 0; i < l.n && !e; i++)
        e = batch_step(&l, i, schemas);
    if (!e)
        e = put_batch_result(&l, schemas, out);
    if (!e)
        e = s.error;
    if (!e)
        staged_commit(&s, d);
    if (e && scratch.error_code) {
        out->n = start;
        buf_put_str(out, "{\"error\":");
        put_batch_error(out, &scratch);
        e = ERR_OK;
    }
    buf_put_str(out, "}");
    arena_free(&l.arena);
    staged_free(&s);
    answer_free(&scratch);
    return e;
}

enum err decide_association_batch(struct change *c, struct decision *d)
{
    const struct association_change *w = c->associations;
    struct buf *out = &c->answer->body;
    struct staged s; /* later requests see what earlier ones did */
    enum err e = ERR_OK;
    staged_init(&s, d);
    buf_put_str(out, "{\"results\":[");
    for (size_t i = 0; i < w->n && !e; i++) {
        buf_put_str(out, i ? "," : "");
        if (slice_is_null(w->requests[i].error)) {
            e = batch_request(c, &s.d, &w->requests[i], out);
        } else {
            buf_put_str(out, "{\"error\":");
            buf_put_slice(out, w->requests[i].error);
            buf_put_str(out, "}");
        }
    }
    buf_put_str(out, "]}");
    c->answer->status = 207;
    if (!e)
        e = s.error;
    if (!e)
        staged_commit(&s, d);
    staged_free(&s);
    return e;
}

/* --- what associations forbid --- */

enum err refuse_associated(struct answer *a, const struct decision *d, struct slice subject, int32_t version)
{
    if (d->settings->shape < 82 || !association_exists(d->store, subject))
        return ERR_OK;
    if (version == 0)
        return answer_error(a, API_SUBJECT_ASSOCIATED, "An association already exists for subject '%.*s'",
                            SLICE_FMT(subject));
    const struct subject *u = store_subject(d->store, subject);
    for (size_t i = 0; u && i < u->n; i++)
        if (!u->versions[i].deleted && u->versions[i].version != version)
            return ERR_OK;
    return answer_error(a, API_NO_ACTIVE_VERSION, "No active (non-deleted) version exists for subject '%.*s'",
                        SLICE_FMT(subject));
}
