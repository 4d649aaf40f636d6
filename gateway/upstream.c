/* SPDX-License-Identifier: Apache-2.0
 * A session's connections to the cluster: at most one per node, opened when first needed. A port that stands for a node
 * speaks to that node; the bootstrap port to the first node that answers, and stays with it. Requests made while a
 * connection comes up wait for it in order. When the node cannot be reached the client's connection is closed: to a
 * Kafka client that is what an unreachable broker looks like, and it goes on to the next. */
#include "core/base/log.h"
#include "gateway/pending.h"

#include <stdio.h>
#include <stdlib.h>

enum { HAND_OVER_MIN = 8 << 10 }; /* bodies shorter than this are copied into the queue's last chunk */

struct waiting {
    struct waiting *next;
    struct call *call;
    struct buf body;
    struct buf client_id;
    bool client_id_null;
    int16_t api_key, version;
    bool no_answer;
};

struct upstream {
    struct session *session; /* NULL: the session is gone and this closes */
    struct kafka_client *client;
    bool up;
    struct waiting *waiting, **waiting_tail;
    struct upstream *next;
    int tries; /* addresses tried by the bootstrap port */
};

struct call {
    struct pending *pending;
    pending_response_fn then;
};

static void call_done(struct call *c, enum err err, struct slice body, struct kafka_client *k)
{
    struct pending *p = c->pending;
    pending_response_fn then = c->then;

    free(c);
    p->answering = k;
    if (then) {
        then(p, err, body);
        return;
    }
    if (err) {
        pending_fail_unanswered(p, err, ERR_OK);
        return;
    }
    if (p->session)
        pending_relay(p);
    else
        pending_silent(p);
}

static void on_done(void *user, struct kafka_client *k, enum err err, int16_t version, struct slice body)
{
    (void)version;
    call_done(user, err, body, k);
}

/* A question on a request's behalf does not let the next one overtake it. */
static void release_if_forwarded(struct pending *p, int16_t api_key)
{
    if (api_key == p->api->key)
        pending_release(p);
}

static void send_now(struct upstream *u, struct call *c, int16_t api_key, int16_t version, struct slice client_id,
                     struct slice body, bool no_answer)
{
    /* a fetch may wait for as long as its client asked; the client's own timeout ends it */
    struct kafka_call call = {.api_key = api_key,
                              .version = version,
                              .timeout_ms = 10 * 60 * 1000,
                              .no_answer = no_answer,
                              .done = no_answer ? NULL : on_done,
                              .user = c};
    struct pending *p = c->pending;
    enum err err;

    if (p->frame_spent && body.n >= HAND_OVER_MIN && body.p == p->body_bytes.p) {
        err = kafka_client_send_owned(u->client, &call, client_id, &p->frame, p->frame.n - body.n);
        if (!err)
            p->client_id = p->body_bytes = SLICE_NULL;
    } else {
        err = kafka_client_send_body(u->client, &call, client_id, &body, 1);
    }
    if (err) {
        call_done(c, err, SLICE_NULL, NULL);
        return;
    }
    if (no_answer) {
        free(c);
        pending_silent(p);
    } else {
        release_if_forwarded(p, api_key);
    }
}

static void waiting_free(struct waiting *w)
{
    buf_free(&w->body);
    buf_free(&w->client_id);
    free(w);
}

static struct waiting *take_waiting(struct upstream *u)
{
    struct waiting *w = u->waiting;
    u->waiting = NULL;
    u->waiting_tail = &u->waiting;
    return w;
}

static void on_up(void *owner, struct kafka_client *k)
{
    struct upstream *u = owner;
    struct waiting *w = take_waiting(u), *next;

    (void)k;
    u->up = true;
    for (; w; w = next) {
        next = w->next;
        send_now(u, w->call, w->api_key, w->version, w->client_id_null ? SLICE_NULL : buf_slice(&w->client_id),
                 buf_slice(&w->body), w->no_answer);
        waiting_free(w);
    }
}

/* A long answer that needs no change goes to the client while it still arrives, if it is the next in the client's
 * order: length and header of our own, then the body from wherever it has got to. */
static enum conn_frame_choice on_stream(void *owner, struct kafka_client *k, const struct kafka_stream_start *st)
{
    struct pending *p = ((struct call *)st->user)->pending;
    struct session *s = p->session;
    uint32_t n = st->header_n + st->body_n, id = (uint32_t)p->correlation_id;
    uint8_t head[9] = {(uint8_t)(n >> 24),  (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n, (uint8_t)(id >> 24),
                       (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id,       0 /* no tagged fields */};
    struct slice slice = slice_of(head, 4 + st->header_n);

    (void)owner;
    if (!s || !p->streamable || s->head != p || s->phase != PHASE_READY || st->header_n > 5)
        return CONN_FRAME_WHOLE;
    if (conn_write(s->conn, &slice, 1) || conn_stream_to(kafka_client_conn(k), s->conn, st->header_n)) {
        session_close(s, CONN_CLOSE_STREAM_BROKEN, NULL);
        return CONN_FRAME_WHOLE;
    }
    p->streamed = true;
    return CONN_FRAME_STREAMED;
}

static enum err upstream_connect(struct upstream *u);

static void unlink_upstream(struct upstream *u)
{
    for (struct upstream **at = &u->session->upstreams; *at; at = &(*at)->next) {
        if (*at == u) {
            *at = u->next;
            return;
        }
    }
}

static void on_down(void *owner, struct kafka_client *k, enum err err, const char *why)
{
    struct upstream *u = owner;
    struct session *s = u->session;
    struct waiting *w, *next;

    (void)k;
    u->client = NULL;
    if (s && !u->up && s->place < 0 && upstream_connect(u) == ERR_OK)
        return; /* the bootstrap port tries the next node */
    if (s) {
        log_warn("%s: the node behind is lost: %s", conn_peer(s->conn), why ? why : err_text(err));
        metric_add(s->worker->gateway->counters.upstream_losses, 1);
        unlink_upstream(u);
        session_close(s, CONN_CLOSE_LOCAL, "the node behind is lost");
    }
    for (w = take_waiting(u); w; w = next) {
        next = w->next;
        call_done(w->call, err ? err : ERR_CLOSED, SLICE_NULL, NULL);
        waiting_free(w);
    }
    free(u);
}

/* The address to try next; false when all were tried. */
static bool next_address(struct upstream *u, char host[256], uint16_t *port)
{
    struct cluster *c = &u->session->worker->gateway->cluster;
    struct cluster_node node;
    int places = cluster_places(c), start = u->session->worker->index;

    if (u->session->place >= 0) {
        if (u->tries++ || !cluster_node_at(c, u->session->place, &node))
            return false;
        snprintf(host, 256, "%s", node.host);
        *port = node.port;
        return true;
    }
    while (u->tries < places) {
        if (!cluster_node_at(c, (start + u->tries++) % places, &node))
            continue;
        snprintf(host, 256, "%s", node.host);
        *port = node.port;
        return true;
    }
    if (u->tries - places >= c->bootstrap_count)
        return false;
    const struct host_port *b = &c->bootstrap[u->tries++ - places];
    snprintf(host, 256, "%s", b->host);
    *port = b->port;
    return true;
}

static enum err upstream_connect(struct upstream *u)
{
    struct worker *w = u->session->worker;
    struct kafka_client_opts o = {.tls = w->gateway->tls_upstream,
                                  .client_id = "castellan-gateway",
                                  .connect_ms = 5000,
                                  .in_flight_max = SESSION_PENDING_MAX * 2,
                                  .on_up = on_up,
                                  .on_down = on_down,
                                  .owner = u};
    char host[256];
    enum err err = ERR_BROKER_NOT_AVAILABLE;

    while (next_address(u, host, &o.port)) {
        o.host = host;
        err = kafka_client_connect(&u->client, w->loop, &o);
        if (err)
            continue;
        kafka_client_on_stream(u->client, STREAM_ABOVE, 1, on_stream);
        return ERR_OK;
    }
    return err;
}

static struct upstream *upstream_of(struct session *s)
{
    struct upstream *u = s->upstreams;

    if (u)
        return u;
    u = calloc(1, sizeof *u);
    if (!u)
        return NULL;
    u->session = s;
    u->waiting_tail = &u->waiting;
    if (upstream_connect(u)) {
        free(u);
        return NULL;
    }
    u->next = s->upstreams;
    s->upstreams = u;
    return u;
}

static bool enqueue(struct upstream *u, struct call *c, int16_t api_key, int16_t version, struct slice client_id,
                    struct slice body, bool no_answer)
{
    struct waiting *w = calloc(1, sizeof *w);
    if (!w)
        return false;
    w->call = c;
    w->api_key = api_key;
    w->version = version;
    w->no_answer = no_answer;
    w->client_id_null = slice_is_null(client_id);
    buf_init(&w->body, 0);
    buf_init(&w->client_id, 0);
    buf_put_slice(&w->body, body);
    buf_put_slice(&w->client_id, client_id);
    if (buf_error(&w->body) || buf_error(&w->client_id)) {
        waiting_free(w);
        return false;
    }
    *u->waiting_tail = w;
    u->waiting_tail = &w->next;
    return true;
}

void upstream_send(struct session *s, struct pending *p, int16_t api_key, int16_t version, struct slice client_id,
                   struct slice body, bool no_answer, pending_response_fn then)
{
    struct call *c = calloc(1, sizeof *c);
    struct upstream *u = s && c ? upstream_of(s) : NULL;

    if (!u) {
        if (s)
            log_warn("%s: no node of the cluster can be reached", conn_peer(s->conn));
        free(c);
        if (then)
            then(p, s ? ERR_BROKER_NOT_AVAILABLE : ERR_CANCELLED, SLICE_NULL);
        else
            pending_fail(p, CONN_CLOSE_LOCAL, "the cluster cannot be reached");
        return;
    }
    *c = (struct call){p, then};
    if (u->up) {
        send_now(u, c, api_key, version, client_id, body, no_answer);
        return;
    }
    if (!enqueue(u, c, api_key, version, client_id, body, no_answer))
        call_done(c, ERR_NO_MEMORY, SLICE_NULL, NULL);
    else if (!no_answer)
        release_if_forwarded(p, api_key);
}

void upstreams_close(struct session *s)
{
    while (s->upstreams) {
        struct upstream *u = s->upstreams;
        s->upstreams = u->next;
        u->session = NULL;
        kafka_client_close(u->client, "the client left");
    }
}
