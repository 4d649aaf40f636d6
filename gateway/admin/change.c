/* SPDX-License-Identifier: Apache-2.0
 * The keeper calls from a thread of its own; the outcome is posted to the worker's loop. The new view was posted there
 * before, so whoever reads the answer meets a gateway that knows about the change. What is on its way outlives its
 * client, not its request: that one waits for it. */
#include "gateway/admin/change.h"
#include "gateway/session/worker.h"

#include <assert.h>
#include <stdlib.h>

enum { CHANGE_MAGIC = 0x43686e67 };

struct change {
    uint32_t magic;
    struct request *request;
    struct worker *worker;
    struct change_outcome *outcome;
    struct audited_change *audited;
    struct loop_task back;
};

static void come_back(void *arg)
{
    struct change *c = arg;
    struct request *r = c->request;

    assert(c->magic == CHANGE_MAGIC);
    c->magic = 0;
    c->outcome->came = true;
    free(c);
    request_wake(r);
}

static void post_back(void *ctx)
{
    struct change *c = ctx;
    loop_post_task(c->worker->loop, &c->back, come_back, c);
}

static void on_done(void *ctx, enum err err, const struct reason *why)
{
    struct change *c = ctx;

    assert(c->magic == CHANGE_MAGIC);
    c->outcome->err = err;
    c->outcome->why = *why;
    gateway_audit_change(c->worker->gateway->audit, c->audited, err, post_back, c);
}

enum step change_submit(struct request *r, struct change_outcome *o, const struct knowledge_change *change)
{
    struct worker *w = r->engine->owner;
    struct gateway *g = w->gateway;
    struct change *c = calloc(1, sizeof *c);
    enum err err;

    *o = (struct change_outcome){.err = ERR_NO_MEMORY, .came = true};
    if (!c)
        return STEP_NEXT;
    *c = (struct change){.magic = CHANGE_MAGIC, .request = r, .worker = w, .outcome = o};
    c->audited =
        gateway_audit_prepare(g->audit, request_peer(r)->principal, request_peer(r)->host, r->api->name, change);
    o->came = false;
    request_wait(r);
    err = knowledge_submit(g->knowledge, change, on_done, c);
    if (!err)
        return STEP_WAIT; /* from here on the outcome is the keeper's, which may have called already */
    r->waits--;
    o->err = err;
    o->came = true;
    gateway_audit_change(g->audit, c->audited, err, NULL, NULL);
    free(c);
    return STEP_NEXT;
}
