/* SPDX-License-Identifier: Apache-2.0
 * A request about a resource's associations, by itself: names, kinds, what may go together. The order of the checks and
 * the words are the reference's. */
#include "registry/association_linking.h"

#include <stdlib.h>

enum { NAME_MAX_CHARACTERS = 256 };

struct association_change *association_change_new(void)
{
    struct association_change *c = calloc(1, sizeof *c);
    if (c)
        arena_init(&c->arena, 0);
    return c;
}

void association_change_free(struct association_change *c)
{
    if (!c)
        return;
    for (size_t i = 0; c->requests && i < c->n; i++)
        for (size_t k = 0; c->requests[i].wishes && k < c->requests[i].n; k++)
            draft_free(&c->requests[i].wishes[k].draft);
    json_decref(c->body);
    arena_free(&c->arena);
    free(c);
}

/* --- one request at work --- */

bool linking_init(struct linking *l, const struct change *c, struct decision *d, const struct association_request *r,
                  const struct association_wish *wishes, size_t n, struct answer *a)
{
    *l = (struct linking){.c = c, .d = d, .r = r, .a = a, .n = n, .dry_run = c->associations->dry_run};
    arena_init(&l->arena, 0);
    l->resource_type = r->resource_type.n ? r->resource_type : slice_str(ASSOCIATION_RESOURCE_TYPE);
    l->wishes = arena_array(&l->arena, n + 1, sizeof *l->wishes);
    l->old = arena_array(&l->arena, n + 1, sizeof *l->old);
    l->skip = arena_array(&l->arena, n + 1, sizeof *l->skip);
    l->schemas = arena_array(&l->arena, n + 1, sizeof *l->schemas);
    if (!l->wishes || !l->old || !l->skip || !l->schemas)
        return false;
    if (n)
        memcpy(l->wishes, wishes, n * sizeof *wishes);
    for (size_t i = 0; i < n; i++)
        if (!l->wishes[i].type.n)
            l->wishes[i].type = slice_str("value");
    return true;
}

enum err linking_illegal(struct linking *l, const char *property, const char *detail)
{
    return answer_error(l->a, API_INVALID_ASSOCIATION,
                        "The association specified an invalid value for property: '%s', detail: %s", property, detail);
}

const char *linking_default_subject(struct linking *l, const struct association_wish *w)
{
    const char *s = arena_printf(&l->arena, ":.%.*s:%.*s-%.*s", SLICE_FMT(l->r->resource_namespace),
                                 SLICE_FMT(l->r->resource_name), SLICE_FMT(w->type));
    return s ? s : "";
}

enum err linking_deny(struct linking *l, const char *what, struct slice name)
{
    return answer_error(l->a, 40301, "User is denied operation on %s: %.*s", what, SLICE_FMT(name));
}

bool linking_may(const struct linking *l, enum rest_right right, struct slice subject)
{
    return !l->c->allowed || l->c->allowed(l->c->allowed_ctx, right, subject);
}

enum err linking_refuse_frozen(struct answer *a, const struct association *old)
{
    return answer_error(a, API_ASSOCIATION_FROZEN, "The association of type  '%.*s' is frozen for subject '%.*s'",
                        SLICE_FMT(old->type), SLICE_FMT(old->subject));
}

enum err linking_refuse_mode(struct linking *l, struct slice subject)
{
    struct qsubject q = subject_parse(subject);
    enum mode m = scope_mode(l->d->store, subject, true);
    if (m != MODE_READONLY && m != MODE_READONLY_OVERRIDE)
        return ERR_OK;
    return answer_error(l->a, API_NOT_PERMITTED, "Subject %.*s in context %.*s is in read-only mode", SLICE_FMT(q.name),
                        SLICE_FMT(q.context));
}

/* --- checks --- */

/* Letters beyond ASCII pass, as in rule names. */
static enum err check_name(struct linking *l, struct slice name, const char *property)
{
    size_t characters = 0;
    if (!name.n)
        return linking_illegal(l, property, "cannot be null or empty");
    for (size_t i = 0; i < name.n; i++)
        characters += (name.p[i] & 0xc0) != 0x80;
    if (characters > NAME_MAX_CHARACTERS)
        return linking_illegal(l, property, "exceeds max length of 256");
    for (size_t i = 0; i < name.n; i++) {
        uint8_t c = name.p[i], lower = c | 0x20;
        char detail[] = "illegal character '?'";
        if (c >= 0x80 || (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-')
            continue;
        *strchr(detail, '?') = (char)c;
        return linking_illegal(l, property, detail);
    }
    return ERR_OK;
}

static enum err check_subject(struct linking *l, struct slice subject)
{
    bool bad = !slice_is_null(subject) && subject.n == 0;
    for (size_t i = 0; i < subject.n; i++)
        bad |= subject.p[i] < 0x20 || subject.p[i] == 0x7f ||
               (subject.p[i] == 0xc2 && i + 1 < subject.n && subject.p[i + 1] < 0xa0);
    return bad ? linking_illegal(l, "subject", "must not be empty") : ERR_OK;
}

/* A schema makes a new association strong, and frozen when it is created rather than upserted. */
enum err linking_apply_defaults(struct linking *l, struct association_wish *w, bool create)
{
    enum maybe frozen = create ? MAYBE_YES : MAYBE_NO;
    if (w->has_schema) {
        if (w->lifecycle == LIFECYCLE_WEAK)
            return linking_illegal(l, "lifecycle", "cannot be WEAK when schema is provided");
        if (w->frozen != MAYBE_UNSET && w->frozen != frozen)
            return linking_illegal(l, "frozen",
                                   create ? "cannot be false when schema is provided for create"
                                          : "cannot be true when creating via upsert; use create instead");
        w->lifecycle = LIFECYCLE_STRONG;
        w->frozen = frozen;
    } else if (w->frozen == MAYBE_UNSET) {
        w->frozen = MAYBE_NO;
    }
    if (w->lifecycle == LIFECYCLE_UNSET)
        w->lifecycle = LIFECYCLE_WEAK;
    if (w->lifecycle == LIFECYCLE_WEAK && w->frozen == MAYBE_YES)
        return linking_illegal(l, "frozen", "association with lifecycle of WEAK cannot be frozen");
    return ERR_OK;
}

static enum err check_type(struct linking *l, const struct association_wish *w)
{
    return slice_eq_str(w->type, "key") || slice_eq_str(w->type, "value")
               ? ERR_OK
               : linking_illegal(l, "associationType", "must be either 'key' or 'value'");
}

enum err linking_wrong_subject(struct linking *l, const char *who, const char *what, const char *subject)
{
    const char *detail = arena_printf(&l->arena, "%s associations %s use subject '%s'", who, what, subject);
    return linking_illegal(l, "subject", detail ? detail : "");
}

/* What a new association's subject must and must not be. */
static enum err check_created(struct linking *l, struct association_wish *w)
{
    const char *by_default = linking_default_subject(l, w);
    if (slice_is_null(w->subject) && w->lifecycle == LIFECYCLE_WEAK)
        return linking_illegal(l, "subject", "must be provided for WEAK associations");
    if (slice_is_null(w->subject))
        w->subject = slice_str(by_default);
    if (w->frozen == MAYBE_YES && !slice_eq_str(w->subject, by_default))
        return linking_wrong_subject(l, "frozen", "must", by_default);
    if (w->lifecycle == LIFECYCLE_WEAK && slice_eq_str(w->subject, by_default))
        return linking_wrong_subject(l, "WEAK", "cannot", by_default);
    return ERR_OK;
}

static enum err check_wish_alone(struct linking *l, struct association_wish *w)
{
    if (w->op == ASSOCIATION_DELETE)
        return check_type(l, w);
    enum err e = check_subject(l, w->subject);
    if (!e && w->op == ASSOCIATION_CREATE)
        e = linking_apply_defaults(l, w, true);
    if (!e)
        e = check_type(l, w);
    if (!e && w->lifecycle == LIFECYCLE_WEAK && w->has_schema)
        e = linking_illegal(l, "lifecycle", "cannot be WEAK when schema is provided");
    if (!e && w->lifecycle == LIFECYCLE_WEAK && w->frozen == MAYBE_YES)
        e = linking_illegal(l, "frozen", "association with lifecycle of WEAK cannot be frozen");
    return !e && w->op == ASSOCIATION_CREATE ? check_created(l, w) : e;
}

enum err linking_check_request(struct linking *l)
{
    enum err e = check_name(l, l->r->resource_name, "resourceName");
    if (!e)
        e = check_name(l, l->r->resource_namespace, "resourceNamespace");
    if (!e && !l->dry_run && !l->r->resource_id.n)
        e = linking_illegal(l, "resourceId", "cannot be null or empty");
    if (!e && !slice_eq_str(l->resource_type, ASSOCIATION_RESOURCE_TYPE))
        e = linking_illegal(l, "resourceType", "must be '" ASSOCIATION_RESOURCE_TYPE "'");
    if (!e && !l->n)
        e = linking_illegal(l, "associations", "cannot be null or empty");
    for (size_t i = 0; i < l->n && !e; i++)
        e = check_wish_alone(l, &l->wishes[i]);
    return e;
}
