/* SPDX-License-Identifier: Apache-2.0
 * Forgetting a person, holds, and receipts: handed to the key process over its socket, in this request's own thread.
 * DELETE on the data subject (gateway/subject_name.h) forgets; ALTER on it holds, releases and reopens; receipts need
 * ALTER on the cluster, because a bundle opens the commitment to whom it is about. */
#include "acl/acl_json.h"
#include "core/base/log.h"
#include "gateway/admin/admin_request.h"
#include "gateway/admin/subject_name.h"

#include <errno.h>
#include <stdlib.h>

static bool name_part(struct admin_request *r, const char *key, const char *otherwise, struct slice *out)
{
    if (!admin_query(r, key, out))
        return false;
    if (slice_is_null(*out))
        *out = slice_str(otherwise);
    if (out->n == 0 || out->n > ENVELOPE_NAME_MAX)
        admin_refuse(r, 400, "%s must have 1 to %d bytes", key, ENVELOPE_NAME_MAX);
    return out->n && out->n <= ENVELOPE_NAME_MAX;
}

/* Who it is about, and may the caller do that? The right is asked on the very bytes that are acted on, tenant and class
 * among them. */
static bool may(struct admin_request *r, enum acl_operation op, struct key_subject *out)
{
    struct buf name;
    bool yes;

    out->id = r->name;
    if (!name_part(r, "tenant", POLICY_TENANT_DEFAULT, &out->tenant) ||
        !name_part(r, "class", POLICY_CLASS_DEFAULT, &out->subject_class))
        return false;
    buf_init(&name, 0);
    subject_name_put(&name, out->tenant, out->subject_class, out->id);
    if (buf_error(&name)) {
        admin_refuse(r, 500, "no memory");
        yes = false;
    } else {
        yes = admin_needs(r, ACL_DATA_SUBJECT, op, buf_slice(&name));
    }
    buf_free(&name);
    return yes;
}

static bool has_keyd(struct admin_request *r)
{
    if (!r->gateway->keyd_admin_socket)
        admin_refuse(r, 503, "no key process is configured (castellan.keyd.admin.socket)");
    return r->gateway->keyd_admin_socket != NULL;
}

static void finish(struct admin_request *r, enum err err, struct buf *answer, const struct reason *why,
                   const char *what)
{
    if (err) {
        log_warn("%.*s wanted to %s: %s", SLICE_FMT(buf_slice(&r->principal)), what,
                 why->code ? why->text : err_text(err));
        admin_refuse_err(r, err, why);
    } else {
        log_info("%.*s: %s: done", SLICE_FMT(buf_slice(&r->principal)), what);
        r->status = 200;
        buf_put_slice(&r->out, buf_slice(answer));
    }
    buf_free(answer);
}

/* What the key process is asked to do about somebody. */
typedef enum err (*act_fn)(const struct admin_request *r, const struct key_subject *s, struct buf *answer,
                           struct reason *why);

/* `what` never says who: logs outlive keys. */
static void act(struct admin_request *r, enum acl_operation right, act_fn fn, const char *what)
{
    struct key_subject s;
    struct reason why = {0};
    struct buf answer;
    enum err err;

    if (!may(r, right, &s) || !has_keyd(r))
        return;
    buf_init(&answer, 0);
    err = fn(r, &s, &answer, &why);
    finish(r, err, &answer, &why, what);
}

static enum err forget(const struct admin_request *r, const struct key_subject *s, struct buf *answer,
                       struct reason *why)
{
    return key_admin_forget(r->gateway->keyd_admin_socket, s, buf_slice(&r->principal), ADMIN_FORGET_MS, answer, why);
}

static enum err reopen(const struct admin_request *r, const struct key_subject *s, struct buf *answer,
                       struct reason *why)
{
    return key_admin_reopen(r->gateway->keyd_admin_socket, s, ADMIN_FORGET_MS, answer, why);
}

static enum err hold(const struct admin_request *r, const struct key_subject *s, struct buf *answer, struct reason *why)
{
    return key_admin_hold(r->gateway->keyd_admin_socket, s, true, ADMIN_FORGET_MS, answer, why);
}

static enum err release(const struct admin_request *r, const struct key_subject *s, struct buf *answer,
                        struct reason *why)
{
    return key_admin_hold(r->gateway->keyd_admin_socket, s, false, ADMIN_FORGET_MS, answer, why);
}

void admin_forget(struct admin_request *r)
{
    act(r, ACL_DELETE, forget, "forget a data subject");
}

void admin_reopen(struct admin_request *r)
{
    act(r, ACL_ALTER, reopen, "reopen a data subject");
}

void admin_hold(struct admin_request *r)
{
    act(r, ACL_ALTER, hold, "hold a data subject");
}

void admin_release(struct admin_request *r)
{
    act(r, ACL_ALTER, release, "release a data subject");
}

void admin_get_receipt(struct admin_request *r)
{
    struct reason why = {0};
    struct buf answer;
    const char *name = admin_name_text(r);
    char *end = NULL;
    uint64_t seq;

    if (!name)
        return;
    errno = 0;
    seq = strtoull(name, &end, 10);
    if (errno || *end || *name < '0' || *name > '9') {
        admin_refuse(r, 400, "a receipt is named by its number");
        return;
    }
    if (!admin_needs(r, ACL_CLUSTER, ACL_ALTER, slice_str(ACL_CLUSTER_NAME)) || !has_keyd(r))
        return;
    buf_init(&answer, 0);
    finish(r, key_admin_receipt(r->gateway->keyd_admin_socket, seq, ADMIN_KEYD_MS, &answer, &why), &answer, &why,
           "read a receipt");
}
