/* SPDX-License-Identifier: Apache-2.0
 * Connections and the requests on them. One request of a connection is worked on at a time, as in Kafka: reading is
 * paused until its answer is written, so answers leave in order and a slow client cannot pile work up here. A request
 * that outlives its connection is finished and its answer dropped. Malformed requests close the connection with one log
 * line. Unknown ApiVersions versions get error 35 in a v0 body (KIP-511). */
#include "broker/node/node.h"
#include "core/base/log.h"
#include "core/base/metrics.h"
#include "wire/api_versions.h"

#include <stdlib.h>

enum { CERTIFICATE_SUBJECT_MAX = 4096 };

enum { CLIENT_MAGIC = 0x436c6e74 };

struct client {
    uint32_t magic;
    struct node *node;
    struct conn *conn;
    struct request *current;
    struct client_software software; /* what it says it is */
    struct client *next, **prev;
};

static struct client *client_of(void *user)
{
    struct client *c = user;

    assert(c && c->magic == CLIENT_MAGIC);
    return c;
}

static void client_refuse(struct client *c, enum conn_close why, const char *what)
{
    metric_add(metrics_counter("castellan_broker_bad_requests_total", NULL, "Requests that broke the protocol."), 1);
    conn_close(c->conn, why, what); /* on_closed() says so */
}

struct request_scratch {
    struct request_scratch *next;
    struct buf bytes;
};

struct buf *request_scratch(struct request *r)
{
    struct request_scratch *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    buf_init(&s->bytes, 0);
    s->next = r->scratch;
    r->scratch = s;
    return &s->bytes;
}

void request_scratch_reset(struct request *r)
{
    while (r->scratch) {
        struct request_scratch *next = r->scratch->next;
        buf_free(&r->scratch->bytes);
        free(r->scratch);
        r->scratch = next;
    }
    arena_reset(&r->answer);
}

static void request_free(struct request *r)
{
    request_scratch_reset(r);
    arena_free(&r->answer);
    buf_free(&r->frame);
    arena_free(&r->arena);
    free(r);
}

static void request_finish(struct request *r)
{
    struct client *c = r->client;
    request_free(r);
    if (!c)
        return;
    c->current = NULL;
    conn_resume(c->conn);
}

static void send_frame(struct request *r, struct buf *out)
{
    if (conn_write_owned(r->client->conn, out))
        client_refuse(r->client, CONN_CLOSE_PROTOCOL, "the answer could not be written");
    buf_free(out);
}

void request_answer(struct request *r, const void *response)
{
    struct buf out;
    enum err err;

    if (!r->client) {
        request_free(r);
        return;
    }
    buf_init(&out, 0);
    err = wire_response_frame(&out, r->api->key, r->version, r->correlation_id, response);
    if (err) {
        log_error("answer to %s version %d cannot be encoded: %s", r->api->name, r->version, err_text(err));
        buf_free(&out);
        request_fail(r, "an answer could not be encoded");
        return;
    }
    send_frame(r, &out);
    request_finish(r);
}

void request_answer_body(struct request *r, struct slice body)
{
    struct response_header h;
    struct buf out;
    enum err err;

    if (!r->client) {
        request_free(r);
        return;
    }
    response_header_init(&h);
    h.correlation_id = r->correlation_id;
    buf_init(&out, 0);
    buf_u32(&out, 0);
    err = wire_response_header_encode(&h, &out, r->api->key, r->version);
    buf_put_slice(&out, body);
    buf_patch_u32(&out, 0, (uint32_t)(out.n - 4));
    if (err || buf_error(&out)) {
        buf_free(&out);
        request_fail(r, "an answer could not be encoded");
        return;
    }
    send_frame(r, &out);
    request_finish(r);
}

void request_no_answer(struct request *r)
{
    request_finish(r);
}

static void fail_as(struct request *r, enum conn_close close, const char *why)
{
    if (r->client)
        client_refuse(r->client, close, why);
    request_finish(r);
}

void request_fail(struct request *r, const char *why)
{
    fail_as(r, CONN_CLOSE_PROTOCOL, why);
}

void request_set_software(struct request *r, struct slice name, struct slice version)
{
    if (r->client)
        client_software_set(&r->client->software, name, version);
}

const char *request_host(const struct request *r)
{
    return r->client ? conn_peer_host(r->client->conn) : "";
}

/* An unknown version of ApiVersions is answered in version 0 with what is served, so that the client can try again. */
static void answer_unsupported_api_versions(struct request *r)
{
    struct api_versions_response resp;
    struct api_versions_response_api_version *v = arena_array(&r->arena, 1, sizeof *v);
    const struct handler_row *row = handler_find(18);

    api_versions_response_init(&resp);
    resp.error_code = ERR_UNSUPPORTED_VERSION;
    if (v) {
        api_versions_response_api_version_init(v);
        v->api_key = row->api_key;
        v->min_version = row->min_version;
        v->max_version = row->max_version;
        resp.api_keys.v = v;
        resp.api_keys.n = 1;
    }
    r->version = 0;
    request_answer(r, &resp);
}

/* ApiVersions of a version nobody knows: its header may be of any shape too, so only the fixed part is read. */
static bool is_unknown_api_versions(struct request *r)
{
    struct cursor c = cursor_of(buf_slice(&r->frame));
    int16_t key = (int16_t)cursor_u16(&c), version = (int16_t)cursor_u16(&c);

    r->correlation_id = (int32_t)cursor_u32(&c);
    return !c.error && key == WIRE_API_VERSIONS && (version < 0 || version > wire_api(key)->max);
}

/* Kafka reads what it knows of a request and lets the rest be, and so do we (docs/leniencies.md). */
static void drop_surplus(struct request *r, const struct cursor *end)
{
    if (!cursor_left(end))
        return;
    metric_add(metrics_counter("castellan_broker_surplus_requests_total", NULL,
                               "Requests with bytes after their end, which were dropped."),
               1);
    r->body_bytes.n -= cursor_left(end);
}

/* Told here, where the request is known, and not when the connection is closed: a client may come back for ever. */
static const char *not_served(struct request *r, int16_t key, const char *what)
{
    struct node *n = r->node;
    char text[CLIENT_DESCRIPTION_MAX];
    uint64_t held;

    if (log_limit_pass(&n->not_served, env_mono_ms(n->env), &held)) {
        client_describe_request(text, key, r->version, r->client_id, &r->client->software);
        log_warn("%s: %s: %s; %llu such lines were left out", conn_peer(r->client->conn), what, text,
                 (unsigned long long)held);
    }
    return what;
}

static const char *request_parse(struct request *r, const struct handler_row **row, enum conn_close *close)
{
    struct cursor c = cursor_of(buf_slice(&r->frame));
    struct request_header h;

    if (is_unknown_api_versions(r)) {
        r->api = wire_api(WIRE_API_VERSIONS);
        return NULL; /* without a body: answered with error 35 */
    }
    if (wire_request_header_decode(&h, &c, &r->arena))
        return "a request header does not parse";
    r->version = h.request_api_version;
    r->correlation_id = h.correlation_id;
    r->client_id = h.client_id;
    r->api = wire_api(h.request_api_key);
    *row = handler_find(h.request_api_key);
    *close = CONN_CLOSE_NOT_SERVED;
    if (!*row || !r->api)
        return not_served(r, h.request_api_key, "a request of an unknown API");
    if (h.request_api_version < (*row)->min_version || h.request_api_version > (*row)->max_version)
        return not_served(r, h.request_api_key, "a request of a version that is not served");
    *close = CONN_CLOSE_PROTOCOL;
    r->body_bytes = slice_of(c.p, cursor_left(&c));
    r->body = wire_struct_new(r->api->request->body, &r->arena);
    if (!r->body)
        return "out of memory";
    if (r->api->request->decode(r->body, &c, h.request_api_version, &r->arena))
        return "a request body does not parse";
    drop_surplus(r, &c);
    return NULL;
}

static void on_frame(void *user, struct conn *conn, struct slice frame)
{
    struct client *c = client_of(user);
    struct request *r = calloc(1, sizeof *r);
    const struct handler_row *row = NULL;
    const char *wrong;
    enum conn_close close = CONN_CLOSE_PROTOCOL;

    (void)frame;
    if (c->node->stopping) {
        free(r);
        conn_close(conn, CONN_CLOSE_SHUTDOWN, NULL);
        return;
    }
    if (!r) {
        conn_close(conn, CONN_CLOSE_NO_MEMORY, NULL);
        return;
    }
    r->node = c->node;
    arena_init(&r->arena, 0);
    arena_init(&r->answer, 0);
    buf_init(&r->frame, 0);
    if (conn_take_frame(conn, &r->frame)) {
        request_free(r);
        conn_close(conn, CONN_CLOSE_NO_MEMORY, NULL);
        return;
    }
    r->client = c;
    c->current = r;
    conn_pause(conn);
    wrong = request_parse(r, &row, &close);
    if (wrong)
        fail_as(r, close, wrong);
    else if (!r->body)
        answer_unsupported_api_versions(r);
    else
        row->handle(r);
}

static void on_closed(void *user, struct conn *conn, enum conn_close why, const char *detail)
{
    struct client *c = client_of(user);
    bool more = detail && strcmp(detail, conn_close_text(why)) != 0;

    if (why != CONN_CLOSE_PEER && why != CONN_CLOSE_LOCAL && why != CONN_CLOSE_RESET && why != CONN_CLOSE_SHUTDOWN &&
        why != CONN_CLOSE_NOT_SERVED)
        log_warn("%s: %s%s%s", conn_peer(conn), conn_close_text(why), more ? ": " : "", more ? detail : "");
    if (c->current)
        c->current->client = NULL;
    if (c->next)
        c->next->prev = c->prev;
    *c->prev = c->next;
    c->magic = 0;
    free(c);
}

static const struct conn_ops client_ops = {.on_frame = on_frame, .on_closed = on_closed};

static void on_accept(void *arg, struct accepted a)
{
    struct node *n = node_of(arg);
    struct client *c = calloc(1, sizeof *c);
    struct conn_opts opts = {.ops = &client_ops, .user = c, .tls = n->tls_server};

    if (!c || n->stopping) { /* there is nothing left that could serve it */
        free(c);
        listener_drop(a);
        return;
    }
    c->magic = CLIENT_MAGIC;
    c->node = n;
    if (conn_accept(&c->conn, n->loop, a, &opts)) {
        free(c);
        return;
    }
    c->next = n->clients;
    c->prev = &n->clients;
    if (c->next)
        c->next->prev = &c->next;
    n->clients = c;
}

/* The common name, which certificates of `up` begin with. */
static struct slice common_name(struct slice subject)
{
    const uint8_t *comma;

    if (!slice_starts(subject, slice_str("CN=")))
        return SLICE_NULL;
    subject = slice_of(subject.p + 3, subject.n - 3);
    comma = memchr(subject.p, ',', subject.n);
    return comma ? slice_of(subject.p, (size_t)(comma - subject.p)) : subject;
}

bool request_is_from_broker(const struct request *r)
{
    const struct settings *s = r->node->settings;
    struct x509_st *cert = r->client ? conn_peer_cert(r->client->conn) : NULL;
    struct buf subject;
    struct slice name, cn;
    bool found = false;

    if (!r->node->tls_server || slice_is_null(settings_list(s, "castellan.broker.names", 0)))
        return r->client != NULL;
    buf_init(&subject, CERTIFICATE_SUBJECT_MAX);
    cn = cert && !tls_cert_subject(cert, &subject) ? common_name(buf_slice(&subject)) : SLICE_NULL;
    for (size_t i = 0; cn.n && !found && !slice_is_null(name = settings_list(s, "castellan.broker.names", i)); i++)
        found = slice_eq(name, cn);
    buf_free(&subject);
    return found;
}

enum err node_listen(struct node *n, struct reason *why)
{
    struct listener_opts o = {.host = n->listen.host, .port = n->listen.port, .workers = 1};
    enum err err = listener_open(&n->listener, &o, why);
    return err ? err : listener_attach(n->listener, 0, n->loop, on_accept, n);
}

void node_close_clients(struct node *n)
{
    for (struct client *c = n->clients; c; c = c->next)
        conn_close(c->conn, CONN_CLOSE_SHUTDOWN, NULL);
}
