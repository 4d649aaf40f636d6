/* SPDX-License-Identifier: Apache-2.0
 * From a request and its answer to an audit entry. What is recorded is who, from where, what route on which subject,
 * and the outcome with its ids; never a schema's text, a password or a token. */
#include "registry/http_audit.h"
#include "registry/change_associations.h"
#include "registry/http_negotiate.h"

#include <stdio.h>

static enum audit_outcome outcome_of(const struct answer *a)
{
    return !a->error_code ? AUDIT_DONE : a->status >= 500 ? AUDIT_FAILED : AUDIT_REFUSED;
}

/* What a change was about, in a few words. */
static void put_detail(struct buf *out, const struct change *c)
{
    const json_t *level = json_object_get(c->config, "compatibility"), *value;
    const char *name, *apart = "";
    switch (c->kind) {
    case CHANGE_SET_MODE:
        buf_printf(out, "mode %s%s", mode_name(c->mode), c->force ? ", forced" : "");
        break;
    case CHANGE_SET_CONFIG:
        if (json_is_string(level) && json_string_length(level) < 64) {
            buf_printf(out, "compatibility %s", json_string_value(level));
            apart = ", ";
        }
        json_object_foreach((json_t *)c->config, name, value)
        {
            if (value == level)
                continue;
            buf_printf(out, "%s%s", apart, name);
            apart = ", ";
        }
        break;
    case CHANGE_DELETE_SUBJECT:
    case CHANGE_DELETE_VERSION:
        buf_put_str(out, c->permanent ? "permanent" : "soft");
        break;
    case CHANGE_DELETE_MODE:
        buf_put_str(out, c->recursive ? "recursive" : "");
        break;
    case CHANGE_ASSOCIATE:
    case CHANGE_DISSOCIATE:
        if (c->associations->n)
            buf_printf(out, "associations of resource %.*s", SLICE_FMT(c->associations->requests[0].resource_id));
        break;
    case CHANGE_ASSOCIATION_BATCH:
        buf_printf(out, "%zu requests about associations", c->associations->n);
        break;
    case CHANGE_REGISTER:
    case CHANGE_DELETE_CONFIG:
    case CHANGE_DELETE_CONTEXT:
        break;
    }
}

static bool fill(struct audit_entry *e, const struct http_audited *a, struct buf *detail)
{
    e->status = a->answer->status;
    e->error_code = a->answer->error_code;
    if (a->refusal->reason) {
        e->event = a->refusal->token && a->refusal->verdict == JWT_SCOPE ? AUDIT_AUTHORIZATION : AUDIT_AUTHENTICATION;
        e->outcome = AUDIT_REFUSED;
        e->reason = a->refusal->reason;
        e->error_code = 0; /* no more than the status */
        e->principal = a->refusal->verdict == JWT_SCOPE ? e->principal : SLICE_NULL;
        return a->refusal->tried;
    }
    if (a->change) {
        e->event = AUDIT_CHANGE;
        e->outcome = outcome_of(a->answer);
        e->resource = slice_is_null(a->change->subject) ? slice_str("") : a->change->subject;
        if (e->outcome == AUDIT_DONE) {
            e->id = a->answer->id;
            e->version = a->answer->version;
        }
        put_detail(detail, a->change);
        e->detail = detail->n ? buf_slice(detail) : SLICE_NULL;
    } else if (a->answer->status == 403) {
        e->event = AUDIT_AUTHORIZATION;
        e->outcome = AUDIT_REFUSED;
        e->resource = a->rest->denied;
        e->right = rest_right_name(a->rest->denied_right);
    } else {
        return false;
    }
    if (!slice_is_null(e->resource)) {
        e->resource_type = "SUBJECT";
        if (!e->resource.n)
            e->resource = slice_str("__GLOBAL");
    }
    return true;
}

void http_audit(struct audit_log *log, const struct http_audited *a, void (*done)(void *ctx), void *ctx)
{
    struct audit_entry e = {.principal = a->principal.n ? a->principal : SLICE_NULL,
                            .host = a->host.n ? a->host : SLICE_NULL};
    struct buf operation, claimed, detail;
    buf_init(&operation, 0);
    buf_init(&claimed, 0);
    buf_init(&detail, AUDIT_TEXT_MAX);
    if (log && a->route && fill(&e, a, &detail)) {
        buf_printf(&operation, "%s %s", http_method_name(a->rest->method), rest_route_name(a->route));
        e.operation = buf_slice(&operation);
        if (a->refusal->user[0]) {
            principal_put_user(&claimed, slice_str(a->refusal->user));
            e.principal = buf_slice(&claimed);
        }
        /* a refusal tells nobody that something is done */
        bool wait = e.event == AUDIT_CHANGE && e.outcome == AUDIT_DONE;
        audit_log_put(log, &e, wait ? done : NULL, ctx);
        done = wait ? NULL : done;
    }
    buf_free(&operation);
    buf_free(&claimed);
    buf_free(&detail);
    if (done)
        done(ctx);
}
