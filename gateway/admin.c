/* SPDX-License-Identifier: Apache-2.0
 * The way of a change through the keeper and back to the worker. The keeper calls from a thread of its own; the answer
 * is posted to the worker's loop. The new view was posted there before, so whoever reads the answer meets a gateway
 * that knows about the change. */
#include "gateway/admin.h"

#include <stdlib.h>

struct admin_wait {
    struct pending *pending;
    struct loop *loop;
    admin_then then;
    enum err err;
    struct reason why;
    struct gateway *gateway;
    struct audited_change *audited;
    struct loop_task back; /* the answer must come back without memory, too */
};

static void back_on_loop(void *arg)
{
    struct admin_wait *w = arg;
    w->then(w->pending, w->err, &w->why);
    free(w);
}

static void post_back(void *ctx)
{
    struct admin_wait *w = ctx;

    loop_post_task(w->loop, &w->back, back_on_loop, w);
}

static void on_done(void *ctx, enum err err, const struct reason *why)
{
    struct admin_wait *w = ctx;

    w->err = err;
    w->why = *why;
    gateway_audit_change(w->gateway->audit, w->audited, err, post_back, w);
}

void admin_submit(struct pending *p, const struct knowledge_change *change, admin_then then)
{
    struct admin_wait *w = calloc(1, sizeof *w);
    struct reason why = {0};
    enum err err = ERR_NO_MEMORY;

    if (w) {
        struct gateway *g = p->session->worker->gateway;
        *w = (struct admin_wait){.pending = p, .loop = p->session->worker->loop, .then = then, .gateway = g};
        w->audited = gateway_audit_prepare(g->audit, session_principal(p->session), session_host(p->session),
                                           p->api->name, change);
        err = knowledge_submit(g->knowledge, change, on_done, w);
    }
    if (err) {
        if (w)
            gateway_audit_change(w->gateway->audit, w->audited, err, NULL, NULL);
        free(w);
        then(p, err, &why);
    }
}

bool admin_may(const struct pending *p, enum acl_operation op)
{
    return session_may(p->session, ACL_CLUSTER, op, slice_str(ACL_CLUSTER_NAME));
}

struct slice admin_words(struct pending *p, enum err err, const struct reason *why)
{
    struct slice text = slice_str(why && why->code ? why->text : err_text(err));
    struct slice copy = arena_copy(&p->arena, text);
    return slice_is_null(copy) ? slice_str(err_text(err)) : copy;
}
