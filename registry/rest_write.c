/* SPDX-License-Identifier: Apache-2.0
 * Requests that change something: checked as far as the request alone allows, then made into a change that is decided
 * on the ledger's thread. What is already so is answered at once. */
#include "registry/rest_internal.h"

#include <stdlib.h>

struct change *rest_change_new(struct rest_call *c, enum change_kind kind)
{
    struct change *n = calloc(1, sizeof *n);
    if (!n)
        return NULL;
    n->kind = kind;
    n->subject = c->subject;
    n->draft.id = -1;
    n->answer = c->answer;
    c->change = n;
    return n;
}

enum err rest_invalid_subject(struct rest_call *c)
{
    return answer_error(c->answer, API_INVALID_SUBJECT, "The specified subject '%.*s' is not a valid.",
                        SLICE_FMT(c->subject));
}

static bool is_registrable(struct rest_call *c)
{
    if (!subject_is_valid(c->subject, false))
        return false;
    struct slice name = subject_parse(c->subject).name;
    return !c->settings->reject_empty_subject || (name.n && !slice_eq_str(name, "*"));
}

static enum err check_rules(struct rest_call *c, const struct draft *d)
{
    struct reason why = {0};
    if (d->rules && contract_rules_validate(d->rules, &why))
        return answer_error(c->answer, API_INVALID_RULES, "%s", why.text);
    return ERR_OK;
}

enum err post_version(struct rest_call *c)
{
    json_t *body = NULL;
    struct change *n = rest_change_new(c, CHANGE_REGISTER);
    if (!n)
        return ERR_NO_MEMORY;
    n->normalize = rest_flag(c->request, "normalize");
    n->format = rest_param(c->request, "format");
    enum err e = rest_body(c, &bind_register, "register.arg5", &body);
    if (!e)
        e = draft_read(&n->draft, body, c->answer);
    /* with edited tags it is a new version, whose number the metadata tell */
    if (!e && n->draft.tags.n && !json_is_integer(json_object_get(body, "version")))
        n->draft.version = -1;
    json_decref(body);
    if (!e)
        e = check_rules(c, &n->draft);
    if (!e && !is_registrable(c))
        e = rest_invalid_subject(c);
    if (!e)
        e = rest_require(c, RIGHT_WRITE, c->subject);
    if (!e)
        e = rest_require_references(c, c->subject, n->draft.references, n->draft.reference_count, n->format.n != 0);
    /* what is shown, or taken over, may be an earlier version's */
    if (!e && (n->format.n || n->draft.propagate_tags || draft_is_blank(&n->draft)))
        e = rest_require(c, RIGHT_READ, c->subject);
    n->blind = !rest_allowed(c, RIGHT_READ, c->subject);
    bool settled = false;
    if (!e)
        e = change_settle(n, c->store, c->settings, &settled);
    if (settled) {
        rest_change_free(n);
        c->change = NULL;
    }
    return e;
}

enum err delete_subject(struct rest_call *c)
{
    enum err e = rest_require(c, RIGHT_DELETE, c->subject);
    struct change *n = e ? NULL : rest_change_new(c, CHANGE_DELETE_SUBJECT);
    if (n)
        n->permanent = rest_flag(c->request, "permanent");
    return e ? e : n ? ERR_OK : ERR_NO_MEMORY;
}

enum err delete_version(struct rest_call *c)
{
    int32_t version;
    enum err e = rest_version(c, c->request->segments[3], &version);
    if (!e)
        e = rest_require(c, RIGHT_DELETE, c->subject);
    struct change *n = e ? NULL : rest_change_new(c, CHANGE_DELETE_VERSION);
    if (n) {
        n->version = version;
        n->permanent = rest_flag(c->request, "permanent");
    }
    return e ? e : n ? ERR_OK : ERR_NO_MEMORY;
}

enum err put_config_route(struct rest_call *c)
{
    json_t *body = NULL;
    bool global = c->request->segment_count == 1;
    enum err e =
        rest_body(c, &bind_config, global ? "updateTopLevelConfig.arg1" : "updateSubjectLevelConfig.arg2", &body);
    if (!e)
        e = config_update_check(body, c->answer);
    if (!e && c->subject.n && !subject_is_valid(c->subject, true))
        e = rest_invalid_subject(c);
    if (!e)
        e = rest_require(c, RIGHT_ALTER_CONFIG, c->subject);
    if (c->settings->shape < 82)
        json_object_del(body, "compatibilityPolicy");
    struct change *n = e ? NULL : rest_change_new(c, CHANGE_SET_CONFIG);
    if (n)
        n->config = body;
    else
        json_decref(body);
    return e ? e : n ? ERR_OK : ERR_NO_MEMORY;
}

enum err delete_config(struct rest_call *c)
{
    enum err e = rest_require(c, RIGHT_ALTER_CONFIG, c->subject);
    if (e)
        return e;
    return rest_change_new(c, CHANGE_DELETE_CONFIG) ? ERR_OK : ERR_NO_MEMORY;
}

/* *body: the request, NULL when there is none. */
static enum err read_mode(struct rest_call *c, enum mode *m, json_t **body)
{
    bool global = c->request->segment_count == 1;
    enum err e = rest_body(c, &bind_mode, global ? "updateTopLevelMode.arg1" : "updateMode.arg2", body);
    if (!e && c->subject.n && !subject_is_valid(c->subject, true))
        e = rest_invalid_subject(c);
    const json_t *v = json_object_get(*body, "mode");
    *m = MODE_NONE;
    bool known =
        json_is_null(v) || (json_is_string(v) && mode_parse(slice_of(json_string_value(v), json_string_length(v)), m));
    if (!e && !known)
        e = answer_error(c->answer, API_INVALID_MODE,
                         "Invalid mode. Valid values are READWRITE, READONLY, IMPORT and FORWARD.");
    return e;
}

enum err put_mode(struct rest_call *c)
{
    enum mode m;
    json_t *body = NULL;
    enum err e = read_mode(c, &m, &body);
    struct slice context = subject_parse(slice_is_null(c->subject) ? slice_str("") : c->subject).context;
    if (!e && m == MODE_FORWARD && !slice_eq_str(context, SUBJECT_GLOBAL_CONTEXT))
        e = answer_error(c->answer, API_INVALID_MODE, "Forward mode only supported on global level");
    if (!e)
        e = rest_require(c, RIGHT_ALTER_CONFIG, c->subject);
    if (!e && m == MODE_IMPORT && !rest_flag(c->request, "force")) /* what is softly deleted goes for good */
        e = rest_require_deleted_below(c);
    struct change *n = e ? NULL : rest_change_new(c, CHANGE_SET_MODE);
    if (n) {
        n->mode = m;
        n->config = json_incref(body);
        n->force = rest_flag(c->request, "force");
    }
    json_decref(body);
    return e ? e : n ? ERR_OK : ERR_NO_MEMORY;
}

enum err delete_mode(struct rest_call *c)
{
    enum err e = rest_require(c, RIGHT_ALTER_CONFIG, c->subject);
    if (!e && rest_flag(c->request, "recursive"))
        e = rest_require_modes_below(c);
    struct change *n = e ? NULL : rest_change_new(c, CHANGE_DELETE_MODE);
    if (n)
        n->recursive = rest_flag(c->request, "recursive");
    return e ? e : n ? ERR_OK : ERR_NO_MEMORY;
}

enum err delete_context(struct rest_call *c)
{
    enum err e = rest_require(c, RIGHT_DELETE, c->subject);
    struct change *n = e ? NULL : rest_change_new(c, CHANGE_DELETE_CONTEXT);
    return e ? e : n ? ERR_OK : ERR_NO_MEMORY;
}
