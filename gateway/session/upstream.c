/* SPDX-License-Identifier: Apache-2.0
 * A session's connections to the cluster: at most one per node, opened when first needed. A port that stands for a node
 * speaks to that node; the bootstrap port to the first node that answers, and stays with it. Requests made while a
 * connection comes up wait for it in order. When the node of a port cannot be reached the client's connection is
 * closed: to a Kafka client that is what an unreachable broker looks like, and it goes on to the next.
 *
 * What any node can answer (gateway/node_choice.c) goes to another one while the session's is silent; what was asked
 * already and may be asked twice is asked again there. */
#include "core/base/log.h"
#include "core/wire/skim.h"
#include "gateway/filter/filter.h"
#include "gateway/cluster/node_choice.h"
#include "gateway/session/session.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    CALL_MAGIC = 0x43616c6c,
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
    struct wire_skim skim; /* follows the answer that passes through */
    struct call *calls;    /* in flight, those that can be asked again */
    struct upstream *next;
    uint64_t tried;      /* places that the bootstrap port tried in vain */
    int bootstrap_tries; /* then these addresses */
};

struct call {
    uint32_t magic;
    struct request *request;   /* NULL: nobody waits for the answer */
    struct waiting *again;     /* the request, kept; NULL: it cannot be asked again */
    uint64_t tried;            /* places that did not answer it */
    struct upstream *upstream; /* where it went */
    struct call *next, **prev; /* in upstream.calls; prev NULL: not */
};

static bool ask_elsewhere(struct call *c, struct session *s);
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

static struct session *session_of_call(const struct call *c)
{
    return c->request && c->request->pipeline ? session_of(c->request->pipeline) : NULL;
}

static void call_failed(struct call *c, enum err err)
{
    struct request *r = c->request;
    struct session *s = session_of_call(c);

    if (s && is_helper(c->upstream) && ask_elsewhere(c, s))
        return;
    call_free(c);
    if (r)
        request_answered(r, err, NULL, 0);
}

static void on_done(void *user, struct kafka_client *k, enum err err, int16_t version, struct slice body)
{
    struct call *c = user;
    struct request *r = c->request;
    struct buf frame;
    size_t body_at = 0;

    (void)version;
    assert(c->magic == CALL_MAGIC);
    buf_init(&frame, 0);
    if (!err && r && !r->streamed && !slice_is_null(body))
        err = kafka_client_take(k, &frame, &body_at);
    if (err) {
        call_failed(c, err);
        return;
    }
    call_free(c);
    if (r)
        request_answered(r, ERR_OK, &frame, body_at);
}

static void send_now(struct upstream *u, struct call *c, const struct engine_send *what)
{
    /* a fetch may wait for as long as its client asked; the client's own timeout ends it */
    struct kafka_call call = {.api_key = what->api_key,
                              .version = what->version,
                              .timeout_ms = 10 * 60 * 1000,
                              .no_answer = what->no_answer,
                              .done = what->no_answer ? NULL : on_done,
                              .user = c};
    enum err err;

    if (what->owned && what->body.n >= HAND_OVER_MIN)
        err = kafka_client_send_owned(u->client, &call, what->client_id, what->owned, what->owned->n - what->body.n);
    else
        err = kafka_client_send_body(u->client, &call, what->client_id, &what->body, 1);
    if (err) {
        call_failed(c, err);
    } else if (what->no_answer) {
        call_free(c);
    } else if (c->again) {
        c->next = u->calls;
        c->prev = &u->calls;
        if (c->next)
            c->next->prev = &c->next;
        u->calls = c;
    }
}

static void waiting_free(struct waiting *w)
{
    buf_free(&w->body);
    buf_free(&w->client_id);
    free(w);
}

static struct engine_send sending(const struct waiting *w)
{
    return (struct engine_send){.api_key = w->api_key,
                                .version = w->version,
                                .client_id = w->client_id_null ? SLICE_NULL : buf_slice(&w->client_id),
                                .body = buf_slice(&w->body),
                                .no_answer = w->no_answer};
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
        struct engine_send what = sending(w);
        next = w->next;
        send_now(u, w->call, &what);
        waiting_free(w);
    }
}

/* What passes through is followed: the addresses of the cluster's nodes, which stand at its end, are hidden. */
static bool follow(void *context, uint8_t *bytes, size_t n, const char **why)
{
    struct upstream *u = context;

    if (wire_skim_pass(&u->skim, bytes, n))
        return true;
    *why = "the cluster's answer is not understood";
    return false;
}

/* The part of the answer's body that stands in `head` already has passed, too. */
static bool begin_following(struct upstream *u, const struct request *r, const struct kafka_stream_start *st,
                            uint32_t replaced)
{
    uint8_t copy[sizeof(int32_t)];

    wire_skim_begin(&u->skim, r->api->response, r->version, st->body_n, true);
    if (replaced > sizeof copy || replaced > st->head.n)
        return false;
    memcpy(copy, st->head.p, replaced);
    return wire_skim_pass(&u->skim, copy, replaced);
}

/* A long answer that needs no change goes to the client while it still arrives, if it is the next in the client's
 * order: length, header and throttle time of our own, then the body from wherever it has got to. */
static enum conn_frame_choice on_stream(void *owner, struct kafka_client *k, const struct kafka_stream_start *st)
{
    struct upstream *u = owner;
    struct call *c = st->user;
    struct session *s = session_of_call(c);
    struct buf head;
    struct slice slice;
    uint32_t skip;

    assert(c->magic == CALL_MAGIC);
    if (!s || s->phase != PHASE_READY || conn_is_congested(s->conn) || !request_may_stream(c->request))
        return CONN_FRAME_WHOLE;
    buf_init(&head, 0);
    request_stream(c->request, st->header_n, st->body_n, &head, &skip);
    slice = buf_slice(&head);
    if (buf_error(&head) || !begin_following(u, c->request, st, skip - st->header_n) ||
        conn_write(s->conn, &slice, 1) || conn_stream_to(kafka_client_conn(k), s->conn, skip)) {
        session_close(s, CONN_CLOSE_STREAM_BROKEN, NULL);
        buf_free(&head);
        return CONN_FRAME_WHOLE;
    }
    conn_stream_edit(kafka_client_conn(k), follow, u);
    buf_free(&head);
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
        call_failed(w->call, err ? err : ERR_CLOSED);
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
                                  .in_flight_max = PIPELINE_REQUESTS_MAX * 2,
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
        kafka_client_on_stream(u->client, STREAM_ABOVE, STREAM_PEEK, on_stream);
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

static struct waiting *waiting_new(const struct engine_send *what)
{
    struct waiting *w = calloc(1, sizeof *w);

    if (!w)
        return NULL;
    w->api_key = what->api_key;
    w->version = what->version;
    w->no_answer = what->no_answer;
    w->client_id_null = slice_is_null(what->client_id);
    buf_init(&w->body, 0);
    buf_init(&w->client_id, 0);
    buf_put_slice(&w->body, what->body);
    buf_put_slice(&w->client_id, what->client_id);
    if (!buf_error(&w->body) && !buf_error(&w->client_id))
        return w;
    waiting_free(w);
    return NULL;
}

static bool enqueue(struct upstream *u, struct call *c, const struct engine_send *what)
{
    struct waiting *w = waiting_new(what);

    if (!w)
        return false;
    w->call = c;
    *u->waiting_tail = w;
    u->waiting_tail = &w->next;
    return true;
}

static void send_on(struct upstream *u, struct call *c, const struct engine_send *what)
{
    c->upstream = u;
    if (u->up)
        send_now(u, c, what);
    else if (!enqueue(u, c, what))
        call_failed(c, ERR_NO_MEMORY);
}

enum err upstream_send(struct session *s, struct request *r, const struct engine_send *what)
{
    enum request_class class = node_choice_class(what->api_key);
    struct upstream *u = upstream_for(s, class, 0);
    struct call *c = u ? calloc(1, sizeof *c) : NULL;

    if (!u)
        return ERR_BROKER_NOT_AVAILABLE;
    if (!c)
        return ERR_NO_MEMORY;
    *c = (struct call){.magic = CALL_MAGIC, .request = what->no_answer ? NULL : r};
    if (class == REQUEST_ANY_NODE && what->body.n <= ASK_AGAIN_BODY_MAX)
        c->again = waiting_new(what);
    send_on(u, c, what);
    return ERR_OK;
}

/* ---- Asking another node ---- */

/* The call goes on at another node, if there is one left. */
static bool ask_elsewhere(struct call *c, struct session *s)
{
    struct engine_send what;
    struct upstream *u;

    if (!c->again || s->phase == PHASE_CLOSING || s->worker->stopping)
        return false;
    if (c->upstream->place < 0) /* every address was tried */
        return false;
    c->tried |= bit_of(c->upstream->place);
    u = upstream_for(s, REQUEST_ANY_NODE, c->tried);
    if (!u || u == c->upstream || bit_of(u->place) & c->tried || u->place < 0)
        return false;
    unlink_call(c);
    what = sending(c->again);
    send_on(u, c, &what);
    return true;
}

/* Takes over what the silent node was asked; what it answers after all is dropped. */
static void move_call(struct call *c)
{
    struct session *s = session_of_call(c);
    struct call *other = s ? calloc(1, sizeof *other) : NULL;

    if (!other)
        return;
    *other = (struct call){
        .magic = CALL_MAGIC, .request = c->request, .again = c->again, .tried = c->tried, .upstream = c->upstream};
    if (!ask_elsewhere(other, s)) {
        free(other);
        return;
    }
    unlink_call(c);
    c->request = NULL;
    c->again = NULL;
}

static void move_waiting(struct upstream *u)
{
    struct waiting *w = take_waiting(u), *next;

    for (; w; w = next) {
        next = w->next;
        w->next = NULL;
        if (w->call->request && ask_elsewhere(w->call, u->session)) {
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
