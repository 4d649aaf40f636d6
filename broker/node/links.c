/* SPDX-License-Identifier: Apache-2.0
 * Calls to other nodes: one connection per voter, opened at the first call and again after it broke. A call made while
 * the connection comes up waits for it; when it cannot be made the call fails, and trying again is the caller's. A call
 * to this node itself goes through its own listener like any other. Metadata fetches have a connection of their own:
 * they wait at the controller for news, and whatever else was sent on the same connection would wait behind them. */
#include "broker/node/node.h"
#include "core/base/log.h"

#include <stdlib.h>

struct waiting_call {
    struct waiting_call *next;
    struct kafka_call call;
    struct buf body;
    node_done done;
    void *user;
};

static struct node_voter *voter_of(struct node *n, int32_t id)
{
    for (int i = 0; i < n->voter_count; i++)
        if (n->voters[i].id == id)
            return &n->voters[i];
    return NULL;
}

static void on_done(void *user, struct kafka_client *k, enum err err, int16_t version, struct slice body)
{
    struct waiting_call *w = user;
    (void)k;
    w->done(w->user, err, version, body);
    buf_free(&w->body);
    free(w);
}

static void send_call(struct kafka_client *k, struct waiting_call *w)
{
    struct slice body = buf_slice(&w->body);
    enum err err = kafka_client_send_body(k, &w->call, SLICE_NULL, &body, 1);
    if (err)
        on_done(w, k, err, -1, SLICE_NULL);
}

static struct waiting_call *take_waiting(struct node_voter *v)
{
    struct waiting_call *list = v->waiting;
    v->waiting = NULL;
    return list;
}

static void on_up(void *owner, struct kafka_client *k)
{
    struct node_voter *v = owner;
    struct waiting_call *w = take_waiting(v), *next;
    v->up = true;
    for (; w; w = next) {
        next = w->next;
        send_call(k, w);
    }
}

static void on_down(void *owner, struct kafka_client *k, enum err err, const char *why)
{
    struct node_voter *v = owner;
    struct waiting_call *w = take_waiting(v), *next;
    (void)k;
    if (v->up)
        log_info("the connection to node %d ended: %s", (int)v->id, why ? why : err_text(err));
    v->link = NULL;
    v->up = false;
    for (; w; w = next) {
        next = w->next;
        on_done(w, NULL, err ? err : ERR_CLOSED, -1, SLICE_NULL);
    }
}

static enum err connect_to(struct node *n, struct node_voter *v)
{
    struct kafka_client_opts o = {.host = v->host,
                                  .port = v->port,
                                  .tls = n->tls_client,
                                  .client_id = "castellan-broker",
                                  .connect_ms = 3000,
                                  .on_up = on_up,
                                  .on_down = on_down,
                                  .owner = v};
    return kafka_client_connect(&v->link, n->loop, &o);
}

static void call_over(struct node *n, struct node_voter *v, int16_t api_key, int16_t version, struct slice body,
                      node_done done, void *user)
{
    struct waiting_call *w = calloc(1, sizeof *w), **at;

    if (!v || !w || n->stopping) {
        free(w);
        done(user, v ? ERR_CANCELLED : ERR_BROKER_NOT_AVAILABLE, -1, SLICE_NULL);
        return;
    }
    buf_init(&w->body, 0);
    buf_put_slice(&w->body, body);
    w->call = (struct kafka_call){.api_key = api_key, .version = version, .done = on_done, .user = w};
    w->done = done;
    w->user = user;
    if (v->up) {
        send_call(v->link, w);
        return;
    }
    if (!v->link && connect_to(n, v)) {
        on_done(w, NULL, ERR_BROKER_NOT_AVAILABLE, -1, SLICE_NULL);
        return;
    }
    for (at = &v->waiting; *at; at = &(*at)->next)
        ;
    *at = w;
}

void node_call_body(struct node *n, int32_t to, int16_t api_key, int16_t version, struct slice body, node_done done,
                    void *user)
{
    call_over(n, voter_of(n, to), api_key, version, body, done, user);
}

static void call_with(struct node *n, struct node_voter *v, int16_t api_key, int16_t version, const void *request,
                      node_done done, void *user)
{
    struct buf body;
    enum err err;

    buf_init(&body, 0);
    err = wire_api(api_key)->request->encode(request, &body, version);
    if (!err)
        call_over(n, v, api_key, version, buf_slice(&body), done, user);
    else
        done(user, err, -1, SLICE_NULL);
    buf_free(&body);
}

void node_call(struct node *n, int32_t to, int16_t api_key, int16_t version, const void *request, node_done done,
               void *user)
{
    call_with(n, voter_of(n, to), api_key, version, request, done, user);
}

void node_call_fetch(struct node *n, int16_t version, const struct fetch_request *request, node_done done, void *user)
{
    struct node_voter *v = &n->metadata_source, *controller = voter_of(n, n->controller_id);

    if (controller && !v->link) {
        memcpy(v->host, controller->host, sizeof v->host);
        v->port = controller->port;
        v->id = controller->id;
    }
    call_with(n, v, WIRE_FETCH, version, request, done, user);
}

void node_links_close(struct node *n)
{
    for (int i = 0; i < n->voter_count; i++)
        if (n->voters[i].link)
            kafka_client_close(n->voters[i].link, "shutting down");
    if (n->metadata_source.link)
        kafka_client_close(n->metadata_source.link, "shutting down");
}
