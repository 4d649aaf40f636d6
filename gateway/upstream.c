/* SPDX-License-Identifier: Apache-2.0
 * A session's connections to the cluster: at most one per node, opened when first needed. A port that stands for a node
 * speaks to that node; the bootstrap port to the first node that answers, and stays with it. Requests made while a
 * connection comes up wait for it in order. When the node of a port cannot be reached the client's connection is
 * closed: to a Kafka client that is what an unreachable broker looks like, and it goes on to the next.
 *
 * What any node can answer (gateway/node_choice.c) goes to another one while the session's is silent; what was asked
 * already and may be asked twice is asked again there. */
#include "core/base/log.h"
#include "gateway/pending.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    HAND_OVER_MIN = 8 << 10,      /* bodies shorter than this are copied into the queue's last chunk */
    ASK_AGAIN_BODY_MAX = 64 << 10 /* of a request that is kept to be asked again */
};

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
    int place; /* of the node it speaks to; -1: an address of bootstrap.servers */
    bool up;
    struct waiting *waiting, **waiting_tail;
    struct call *calls; /* in flight, those that can be asked again */
    struct upstream *next;
    uint64_t tried;      /* places that the bootstrap port tried in vain */
    int bootstrap_tries; /* then these addresses */
};

struct call {
    struct pending *pending; /* NULL: asked again elsewhere, the answer is dropped */
    pending_response_fn then;
    struct waiting *again;     /* the request, kept; NULL: it cannot be asked again */
    uint64_t tried;            /* places that did not answer it */
    struct upstream *upstream; /* where it went */
    struct call *next, **prev; /* in upstream.calls; prev NULL: not */
};

static bool ask_elsewhere(struct call *c);
static void waiting_free(struct waiting *w);

static uint64_t bit_of(int place)
{
    return place >= 0 ? (uint64_t)1 << place : 0;
}

static void unlink_call(struct call *c)
{
    if (!c->prev)
        return;
    *c->prev = c->next;
    if (c->next)
        c->next->prev = c->prev;
    c->prev = NULL;
}

static void call_free(struct call *c)
{
    unlink_call(c);
    if (c->again)
        waiting_free(c->again);
    free(c);
}

/* A connection to another node than the one that the client's port stands for. */
static bool is_helper(const struct upstream *u)
{
    return u && u->session && u->session->place >= 0 && u->place != u->session->place;
}

static void call_done(struct call *c, enum err err, struct slice body, struct kafka_client *k)
{
    struct pending *p = c->pending;
    pending_response_fn then = c->then;

    if (p && err && is_helper(c->upstream) && ask_elsewhere(c))
        return;
    call_free(c);
    if (!p)
        return;
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
        call_free(c);
        pending_silent(p);
    } else {
        if (c->again) {
            c->next = u->calls;
            c->prev = &u->calls;
            if (c->next)
                c->next->prev = &c->next;
            u->calls = c;
        }
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
    struct session *s = p ? p->session : NULL;
    uint32_t n = st->header_n + st->body_n, id = p ? (uint32_t)p->correlation_id : 0;
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
        if (s->place >= 0 ? u->place == s->place : !s->upstreams)
            session_close(s, CONN_CLOSE_LOCAL, "the node behind is lost");
    }
    for (w = take_waiting(u); w; w = next) {
        next = w->next;
        call_done(w->call, err ? err : ERR_CLOSED, SLICE_NULL, NULL);
        waiting_free(w);
    }
    free(u);
}

/* The address to try next; false when all were tried. `u->place` is the first place to try, then the bootstrap port
 * goes through the others. */
static bool next_address(struct upstream *u, char host[256], uint16_t *port)
{
    struct session *s = u->session;
    struct cluster *c = &s->worker->gateway->cluster;
    struct node_wish wish = {.class = REQUEST_ANY_NODE, .own = -1, .start = s->worker->index};
    struct cluster_node node;

    while (u->place >= 0) {
        bool untried = !(u->tried & bit_of(u->place)) && cluster_node_at(c, u->place, &node);
        u->tried |= bit_of(u->place);
        if (untried) {
            snprintf(host, 256, "%s", node.host);
            *port = node.port;
            return true;
        }
        if (s->place >= 0)
            return false;
        wish.tried = u->tried;
        u->place = node_choice(&wish, atomic_load(&c->known), atomic_load(&c->silent));
    }
    if (s->place >= 0 || u->bootstrap_tries >= c->bootstrap_count)
        return false;
    const struct host_port *b = &c->bootstrap[u->bootstrap_tries++];
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

static struct upstream *upstream_open(struct session *s, int place)
{
    struct upstream *u = calloc(1, sizeof *u);

    if (!u)
        return NULL;
    u->session = s;
    u->place = place;
    u->waiting_tail = &u->waiting;
    if (upstream_connect(u)) {
        free(u);
        return NULL;
    }
    u->next = s->upstreams;
    s->upstreams = u;
    return u;
}

static bool may_use(const struct session *s, const struct upstream *u, const struct node_wish *w, uint64_t silent)
{
    bool only_own = s->place >= 0 && w->class == REQUEST_THIS_NODE;

    if (bit_of(u->place) & w->tried)
        return false;
    return only_own ? u->place == s->place : !(bit_of(u->place) & silent);
}

/* The connection for a request: one that is there and not silent, else a new one, else whatever there is. */
static struct upstream *upstream_for(struct session *s, enum request_class class, uint64_t tried)
{
    struct cluster *c = &s->worker->gateway->cluster;
    struct node_wish w = {.class = class, .own = s->place, .start = s->worker->index, .tried = tried};
    uint64_t silent = atomic_load(&c->silent);
    struct upstream *u;
    int place;

    for (u = s->upstreams; u; u = u->next)
        if (may_use(s, u, &w, silent))
            return u;
    place = node_choice(&w, atomic_load(&c->known), silent);
    for (u = s->upstreams; u; u = u->next)
        if (place >= 0 && u->place == place)
            return u;
    return place >= 0 || (s->place < 0 && !tried) ? upstream_open(s, place) : NULL;
}

static struct waiting *waiting_new(int16_t api_key, int16_t version, struct slice client_id, struct slice body,
                                   bool no_answer)
{
    struct waiting *w = calloc(1, sizeof *w);

    if (!w)
        return NULL;
    w->api_key = api_key;
    w->version = version;
    w->no_answer = no_answer;
    w->client_id_null = slice_is_null(client_id);
    buf_init(&w->body, 0);
    buf_init(&w->client_id, 0);
    buf_put_slice(&w->body, body);
    buf_put_slice(&w->client_id, client_id);
    if (!buf_error(&w->body) && !buf_error(&w->client_id))
        return w;
    waiting_free(w);
    return NULL;
}

static bool enqueue(struct upstream *u, struct call *c, int16_t api_key, int16_t version, struct slice client_id,
                    struct slice body, bool no_answer)
{
    struct waiting *w = waiting_new(api_key, version, client_id, body, no_answer);

    if (!w)
        return false;
    w->call = c;
    *u->waiting_tail = w;
    u->waiting_tail = &w->next;
    return true;
}

static void send_on(struct upstream *u, struct call *c, int16_t api_key, int16_t version, struct slice client_id,
                    struct slice body, bool no_answer)
{
    struct pending *p = c->pending;

    c->upstream = u;
    if (u->up)
        send_now(u, c, api_key, version, client_id, body, no_answer);
    else if (!enqueue(u, c, api_key, version, client_id, body, no_answer))
        call_done(c, ERR_NO_MEMORY, SLICE_NULL, NULL);
    else if (!no_answer)
        release_if_forwarded(p, api_key);
}

void upstream_send(struct session *s, struct pending *p, int16_t api_key, int16_t version, struct slice client_id,
                   struct slice body, bool no_answer, pending_response_fn then)
{
    enum request_class class = node_choice_class(api_key);
    struct call *c = calloc(1, sizeof *c);
    struct upstream *u = s && c ? upstream_for(s, class, 0) : NULL;

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
    *c = (struct call){.pending = p, .then = then};
    if (class == REQUEST_ANY_NODE && body.n <= ASK_AGAIN_BODY_MAX)
        c->again = waiting_new(api_key, version, client_id, body, false);
    send_on(u, c, api_key, version, client_id, body, no_answer);
}

/* ---- Asking another node ---- */

/* The call goes on at another node, if there is one left. */
static bool ask_elsewhere(struct call *c)
{
    struct session *s = c->pending->session;
    struct waiting *w = c->again;
    struct upstream *u;

    if (!w || !s || s->phase == PHASE_CLOSING || s->worker->stopping)
        return false;
    if (c->upstream->place < 0) /* every address was tried */
        return false;
    c->tried |= bit_of(c->upstream->place);
    u = upstream_for(s, REQUEST_ANY_NODE, c->tried);
    if (!u || u == c->upstream || bit_of(u->place) & c->tried || u->place < 0)
        return false;
    unlink_call(c);
    send_on(u, c, w->api_key, w->version, w->client_id_null ? SLICE_NULL : buf_slice(&w->client_id),
            buf_slice(&w->body), false);
    return true;
}

/* Takes over what the silent node was asked; what it answers after all is dropped. */
static void move_call(struct call *c)
{
    struct call *other = calloc(1, sizeof *other);

    if (!other)
        return;
    *other = (struct call){
        .pending = c->pending, .then = c->then, .again = c->again, .tried = c->tried, .upstream = c->upstream};
    if (!ask_elsewhere(other)) {
        free(other);
        return;
    }
    unlink_call(c);
    c->pending = NULL;
    c->again = NULL;
}

static void move_waiting(struct upstream *u)
{
    struct waiting *w = take_waiting(u), *next;

    for (; w; w = next) {
        next = w->next;
        w->next = NULL;
        if (ask_elsewhere(w->call)) {
            waiting_free(w);
            continue;
        }
        *u->waiting_tail = w;
        u->waiting_tail = &w->next;
    }
}

void upstreams_leave_silent(struct session *s)
{
    uint64_t silent = atomic_load(&s->worker->gateway->cluster.silent);

    for (struct upstream *u = s->upstreams; u && s->phase != PHASE_CLOSING; u = u->next) {
        if (!(bit_of(u->place) & silent))
            continue;
        for (struct call *c = u->calls, *next; c; c = next) {
            next = c->next;
            move_call(c);
        }
        if (!u->up && s->place < 0)
            kafka_client_close(u->client, "the node does not answer"); /* then the next one is tried */
        else
            move_waiting(u);
    }
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
