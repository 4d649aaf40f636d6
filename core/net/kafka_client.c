/* SPDX-License-Identifier: Apache-2.0
 * A connection to a Kafka node: requests out, answers in.
 *
 * Kafka answers in the order of the requests, so what is in flight is a list and an answer belongs to its head; a
 * correlation id that is not the head's means the stream is not what we think, and the connection goes. A request that
 * times out takes the connection with it too: an answer that may still come could not be told from the next one's.
 *
 * Going down has one path: conn's on_closed fails what is in flight, calls on_down and frees. Everything else only
 * closes the connection and leaves the reason in `failed`. */
#include "core/net/kafka_client_internal.h"

#include "core/wire/header.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- versions ---- */

bool kafka_client_range(const struct kafka_client *k, int16_t api_key, int16_t *min, int16_t *max)
{
    if (api_key < 0 || api_key >= KAFKA_CLIENT_APIS_MAX || k->api_max[api_key] < 0)
        return false;
    *min = k->api_min[api_key];
    *max = k->api_max[api_key];
    return true;
}

int16_t kafka_client_version(const struct kafka_client *k, int16_t api_key)
{
    const struct wire_api *api = wire_api(api_key);
    int16_t min, max, ours;

    if (!api || !kafka_client_range(k, api_key, &min, &max))
        return -1;
    ours = (int16_t)(api->max - (api->latest_unstable ? 1 : 0));
    if (max > ours)
        max = ours;
    if (min < api->min)
        min = api->min;
    return min <= max ? max : -1;
}

/* ---- time ---- */

/* The timer stands at the earliest deadline, or earlier: it looks again when it fires. */
static void timer_for(struct kafka_client *k, int64_t deadline_ms)
{
    int64_t after = deadline_ms - loop_now_ms(k->loop);

    if (!k->timer.running || k->timer.due_ms > deadline_ms)
        loop_timer_start(&k->timer, after);
}

static struct kafka_client *checked(void *user)
{
    struct kafka_client *k = user;

    assert(k && k->magic == KAFKA_CLIENT_MAGIC);
    return k;
}

static void on_timer(void *arg)
{
    struct kafka_client *k = checked(arg);
    int64_t now = loop_now_ms(k->loop), next = INT64_MAX;

    if (k->state != KAFKA_CLIENT_UP) {
        kafka_client_fail(k, ERR_TIMEOUT, "no connection with %s within the time allowed", conn_peer(k->conn));
        return;
    }
    for (const struct kafka_slot *s = k->first; s; s = s->next) {
        if (s->deadline_ms <= now) {
            const struct wire_api *api = wire_api(s->call.api_key);
            kafka_client_fail(k, ERR_TIMEOUT, "%s did not answer %s in time", conn_peer(k->conn),
                              api ? api->name : "a request");
            return;
        }
        if (s->deadline_ms < next)
            next = s->deadline_ms;
    }
    if (next != INT64_MAX)
        timer_for(k, next);
}

/* ---- sending ---- */

static enum err may_send(const struct kafka_client *k, const struct kafka_call *call)
{
    if (k->state == KAFKA_CLIENT_DOWN)
        return ERR_CLOSED;
    if (!call->no_answer && k->in_flight >= k->in_flight_max)
        return ERR_LIMIT_EXCEEDED;
    return ERR_OK;
}

/* The slot is made before anything is written and joins the list after, so a failed send leaves no trace. */
static enum err slot_new(struct kafka_client *k, const struct kafka_call *call, int16_t version,
                         struct kafka_slot **out)
{
    struct kafka_slot *s;

    *out = NULL;
    if (call->no_answer)
        return ERR_OK;
    s = malloc(sizeof *s);
    if (!s)
        return ERR_NO_MEMORY;
    *s = (struct kafka_slot){.call = *call, .correlation_id = k->next_correlation_id};
    s->call.version = version;
    s->deadline_ms = loop_now_ms(k->loop) + (call->timeout_ms > 0 ? call->timeout_ms : k->request_ms);
    *out = s;
    return ERR_OK;
}

static void slot_join(struct kafka_client *k, struct kafka_slot *s)
{
    k->next_correlation_id = k->next_correlation_id == INT32_MAX ? 0 : k->next_correlation_id + 1;
    if (!s)
        return;
    if (k->last)
        k->last->next = s;
    else
        k->first = s;
    k->last = s;
    k->in_flight++;
    if (k->state == KAFKA_CLIENT_UP)
        timer_for(k, s->deadline_ms);
}

/* Length placeholder and header. */
static enum err put_head(struct kafka_client *k, int16_t api_key, int16_t version, struct slice client_id,
                         struct buf *out)
{
    struct request_header h;
    enum err err;

    request_header_init(&h);
    h.request_api_key = api_key;
    h.request_api_version = version;
    h.correlation_id = k->next_correlation_id;
    h.client_id = slice_is_null(client_id) ? slice_str(k->client_id) : client_id;
    buf_u32(out, 0);
    err = wire_request_header_encode(&h, out);
    return err ? err : buf_error(out);
}

enum err kafka_client_send_early(struct kafka_client *k, const struct kafka_call *call, const void *request)
{
    const struct wire_api *api = wire_api(call->api_key);
    int16_t version = call->version >= 0 ? call->version : kafka_client_version(k, call->api_key);
    struct kafka_slot *slot = NULL;
    struct buf b;
    enum err err = may_send(k, call);

    if (err)
        return err;
    if (!api || version < 0)
        return ERR_UNSUPPORTED_VERSION;
    buf_init(&b, 0);
    err = put_head(k, call->api_key, version, SLICE_NULL, &b);
    if (!err)
        err = api->request->encode(request, &b, version);
    if (!err)
        err = buf_error(&b);
    if (!err)
        err = slot_new(k, call, version, &slot);
    if (!err) {
        buf_patch_u32(&b, 0, (uint32_t)(b.n - 4));
        err = conn_write_owned(k->conn, &b);
    }
    buf_free(&b);
    if (err) {
        free(slot);
        return err;
    }
    slot_join(k, slot);
    return ERR_OK;
}

enum err kafka_client_send(struct kafka_client *k, const struct kafka_call *call, const void *request)
{
    if (k->state != KAFKA_CLIENT_UP)
        return k->state == KAFKA_CLIENT_DOWN ? ERR_CLOSED : ERR_UNAVAILABLE;
    return kafka_client_send_early(k, call, request);
}

enum err kafka_client_send_head(struct kafka_client *k, const struct kafka_call *call, struct slice client_id,
                                size_t body_n)
{
    struct kafka_slot *slot = NULL;
    struct slice head;
    struct buf b;
    enum err err = k->state == KAFKA_CLIENT_CONNECTING || k->state == KAFKA_CLIENT_NEGOTIATING ? ERR_UNAVAILABLE
                                                                                               : may_send(k, call);

    if (err)
        return err;
    if (call->version < 0)
        return ERR_UNSUPPORTED_VERSION;
    buf_init(&b, 0);
    err = put_head(k, call->api_key, call->version, client_id, &b);
    if (!err && (body_n > INT32_MAX || b.n - 4 > INT32_MAX - body_n))
        err = ERR_LIMIT_EXCEEDED;
    if (!err)
        err = slot_new(k, call, call->version, &slot);
    if (!err) {
        buf_patch_u32(&b, 0, (uint32_t)(b.n - 4 + body_n));
        head = buf_slice(&b);
        err = conn_write(k->conn, &head, 1);
    }
    buf_free(&b);
    if (err) {
        free(slot);
        return err;
    }
    slot_join(k, slot);
    return ERR_OK;
}

enum err kafka_client_send_body(struct kafka_client *k, const struct kafka_call *call, struct slice client_id,
                                const struct slice *body, size_t n)
{
    size_t body_n = 0;
    enum err err;

    for (size_t i = 0; i < n; i++)
        body_n += body[i].n;
    err = kafka_client_send_head(k, call, client_id, body_n);
    if (err)
        return err;
    /* The head is out: without its body the stream is broken. The slot is in flight, so done() will be told. */
    if (conn_write(k->conn, body, n))
        kafka_client_fail(k, ERR_CLOSED, "a request for %s could not be queued", conn_peer(k->conn));
    return ERR_OK;
}

enum err kafka_client_send_owned(struct kafka_client *k, const struct kafka_call *call, struct slice client_id,
                                 struct buf *b, size_t body_at)
{
    enum err err = kafka_client_send_head(k, call, client_id, b->n - body_at);

    if (err)
        return err;
    if (conn_write_owned_from(k->conn, b, body_at))
        kafka_client_fail(k, ERR_CLOSED, "a request for %s could not be queued", conn_peer(k->conn));
    return ERR_OK;
}

/* ---- answers ---- */

static struct kafka_slot *slot_take(struct kafka_client *k)
{
    struct kafka_slot *s = k->first;

    k->first = s->next;
    if (!k->first)
        k->last = NULL;
    k->in_flight--;
    return s;
}

/* Reads the response header at the front of `frame`; the head of the line is whose it must be. False: connection
 * closed. */
static bool read_header(struct kafka_client *k, struct slice frame, size_t *header_n)
{
    struct response_header h;
    struct cursor c = cursor_of(frame);
    const struct kafka_slot *s = k->first;

    arena_reset(&k->arena);
    if (!s) {
        kafka_client_fail(k, ERR_MALFORMED, "%s sent an answer nobody asked for", conn_peer(k->conn));
        return false;
    }
    if (wire_response_header_decode(&h, &c, s->call.api_key, s->call.version, &k->arena)) {
        kafka_client_fail(k, ERR_MALFORMED, "%s sent a malformed answer", conn_peer(k->conn));
        return false;
    }
    if (h.correlation_id != s->correlation_id) {
        kafka_client_fail(k, ERR_MALFORMED, "%s sent correlation id %d where %d is next", conn_peer(k->conn),
                          h.correlation_id, s->correlation_id);
        return false;
    }
    *header_n = (size_t)(c.p - frame.p);
    return true;
}

static void answered(struct kafka_client *k, struct kafka_slot *s, enum err err, struct slice body)
{
    bool was_full = k->in_flight + 1 >= k->in_flight_max;

    if (s->call.done)
        s->call.done(s->call.user, k, err, s->call.version, body);
    free(s);
    if (was_full && k->state == KAFKA_CLIENT_UP && k->on_drained && !kafka_client_is_congested(k))
        k->on_drained(k->owner, k);
}

static void on_frame(void *user, struct conn *c, struct slice frame)
{
    struct kafka_client *k = checked(user);
    size_t header_n;

    (void)c;
    if (k->state == KAFKA_CLIENT_DOWN || !read_header(k, frame, &header_n))
        return;
    k->frame = frame;
    k->body_at = header_n;
    answered(k, slot_take(k), ERR_OK, slice_of(frame.p + header_n, frame.n - header_n));
    k->frame = SLICE_NULL;
}

enum err kafka_client_take(struct kafka_client *k, struct buf *out, size_t *body_at)
{
    assert(!slice_is_null(k->frame));
    *body_at = k->body_at;
    return conn_take_frame(k->conn, out);
}

static enum conn_frame_choice on_frame_start(void *user, struct conn *c, uint32_t frame_n, struct slice head)
{
    struct kafka_client *k = checked(user);
    struct kafka_stream_start s = {0};
    enum conn_frame_choice choice;
    size_t header_n;

    if (!k->on_stream || k->state != KAFKA_CLIENT_UP)
        return CONN_FRAME_WHOLE;
    if (!read_header(k, head, &header_n)) {
        conn_stream_discard(c);
        return CONN_FRAME_STREAMED;
    }
    s.api_key = k->first->call.api_key;
    s.version = k->first->call.version;
    s.user = k->first->call.user;
    s.header_n = (uint32_t)header_n;
    s.body_n = frame_n - (uint32_t)header_n;
    s.head = slice_of(head.p + header_n, head.n - header_n);
    choice = k->on_stream(k->owner, k, &s);
    if (choice == CONN_FRAME_STREAMED && k->state == KAFKA_CLIENT_UP)
        k->streaming = slot_take(k);
    return choice;
}

static void on_frame_end(void *user, struct conn *c, bool ok)
{
    struct kafka_client *k = checked(user);
    struct kafka_slot *s = k->streaming;

    (void)c;
    k->streaming = NULL;
    if (s)
        answered(k, s, ok ? ERR_OK : ERR_CANCELLED, SLICE_NULL);
}

enum { HEADER_PEEK = 64 }; /* a response header with the tags anybody sends today */

void kafka_client_on_stream(struct kafka_client *k, uint32_t above, uint32_t peek,
                            enum conn_frame_choice (*start)(void *owner, struct kafka_client *k,
                                                            const struct kafka_stream_start *s))
{
    k->on_stream = start;
    conn_set_stream(k->conn, start ? above : UINT32_MAX, peek + HEADER_PEEK);
}

/* ---- life ---- */

static void on_ready(void *user, struct conn *c)
{
    struct kafka_client *k = checked(user);

    (void)c;
    k->state = KAFKA_CLIENT_NEGOTIATING;
    kafka_client_negotiate(k);
}

void kafka_client_came_up(struct kafka_client *k)
{
    kafka_client_forget_secrets(k);
    loop_timer_stop(&k->timer);
    k->state = KAFKA_CLIENT_UP;
    if (k->on_up)
        k->on_up(k->owner, k);
}

void kafka_client_fail(struct kafka_client *k, enum err err, const char *fmt, ...)
{
    char text[300];
    va_list args;

    if (k->state == KAFKA_CLIENT_DOWN)
        return;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    k->state = KAFKA_CLIENT_DOWN;
    k->failed = err;
    conn_close(k->conn, CONN_CLOSE_LOCAL, text);
}

void kafka_client_close(struct kafka_client *k, const char *why)
{
    kafka_client_fail(k, ERR_CANCELLED, "%s", why ? why : "closed");
}

static enum err err_of(enum conn_close why)
{
    switch (why) {
    case CONN_CLOSE_CONNECT_FAILED:
    case CONN_CLOSE_RESOLVE_FAILED:
        return ERR_UNAVAILABLE;
    case CONN_CLOSE_TLS_HANDSHAKE:
    case CONN_CLOSE_TLS_PLAINTEXT:
    case CONN_CLOSE_TLS_RECORD:
    case CONN_CLOSE_TLS_TRUNCATED:
        return ERR_TLS;
    case CONN_CLOSE_HANDSHAKE_TIMEOUT:
    case CONN_CLOSE_FLUSH_TIMEOUT:
        return ERR_TIMEOUT;
    case CONN_CLOSE_FRAME_TOO_LARGE:
    case CONN_CLOSE_QUEUE_FULL:
        return ERR_LIMIT_EXCEEDED;
    case CONN_CLOSE_FRAME_BAD_LENGTH:
    case CONN_CLOSE_PROTOCOL:
    case CONN_CLOSE_NOT_SERVED:
    case CONN_CLOSE_NOT_TAKEN:
        return ERR_MALFORMED;
    case CONN_CLOSE_AUTH_FAILED:
    case CONN_CLOSE_AUTH_TIMEOUT:
    case CONN_CLOSE_AUTH_EXPIRED:
        return ERR_AUTH;
    case CONN_CLOSE_NO_MEMORY:
        return ERR_NO_MEMORY;
    case CONN_CLOSE_NONE:
    case CONN_CLOSE_LOCAL:
    case CONN_CLOSE_PEER:
    case CONN_CLOSE_RESET:
    case CONN_CLOSE_FRAME_TRUNCATED:
    case CONN_CLOSE_IDLE:
    case CONN_CLOSE_STREAM_BROKEN:
    case CONN_CLOSE_SHUTDOWN:
    case CONN_CLOSE_INTERNAL:
    case CONN_CLOSE_COUNT_:
        break;
    }
    return ERR_CLOSED;
}

static void on_closed(void *user, struct conn *c, enum conn_close why, const char *detail)
{
    struct kafka_client *k = checked(user);
    enum err err = k->failed ? k->failed : err_of(why);
    char text[400];

    /* Close reasons do not all name the peer. */
    if (strstr(detail, conn_peer(c)) || strstr(detail, "cannot "))
        snprintf(text, sizeof text, "%s", detail);
    else
        snprintf(text, sizeof text, "%s: %s", conn_peer(c), detail);
    k->state = KAFKA_CLIENT_DOWN;
    loop_timer_stop(&k->timer);
    if (k->streaming)
        on_frame_end(k, c, false);
    while (k->first)
        answered(k, slot_take(k), err, SLICE_NULL);
    if (k->on_down)
        k->on_down(k->owner, k, err, text);
    kafka_client_forget_secrets(k);
    arena_free(&k->arena);
    free(k->client_id);
    k->magic = 0;
    free(k);
}

static void on_drained(void *user, struct conn *c)
{
    struct kafka_client *k = checked(user);

    (void)c;
    if (k->state == KAFKA_CLIENT_UP && k->on_drained && !kafka_client_is_congested(k))
        k->on_drained(k->owner, k);
}

static const struct conn_ops ops = {
    .on_ready = on_ready,
    .on_frame = on_frame,
    .on_drained = on_drained,
    .on_closed = on_closed,
    .on_frame_start = on_frame_start,
    .on_frame_end = on_frame_end,
};

enum err kafka_client_connect(struct kafka_client **out, struct loop *l, const struct kafka_client_opts *opts)
{
    struct kafka_client *k = calloc(1, sizeof *k);
    int64_t connect_ms = opts->connect_ms > 0 ? opts->connect_ms : KAFKA_CLIENT_CONNECT_MS;
    struct conn_opts co = {.ops = &ops, .user = k, .tls = opts->tls, .frame_max = opts->frame_max};
    enum err err = ERR_NO_MEMORY;

    *out = NULL;
    if (!k)
        return ERR_NO_MEMORY;
    k->magic = KAFKA_CLIENT_MAGIC;
    k->loop = l;
    k->sasl = opts->sasl;
    k->in_flight_max = opts->in_flight_max ? opts->in_flight_max : KAFKA_CLIENT_IN_FLIGHT_MAX;
    k->request_ms = opts->request_ms > 0 ? opts->request_ms : KAFKA_CLIENT_REQUEST_MS;
    k->on_up = opts->on_up;
    k->on_down = opts->on_down;
    k->on_drained = opts->on_drained;
    k->owner = opts->owner;
    arena_init(&k->arena, KAFKA_CLIENT_ARENA_MAX);
    loop_timer_init(&k->timer, l, on_timer, k);
    memset(k->api_max, 0xff, sizeof k->api_max);
    buf_init(&k->user, 0);
    buf_put_slice(&k->user, opts->user);
    k->client_id = strdup(opts->client_id ? opts->client_id : "castellan");
    co.handshake_ms = connect_ms;
    co.idle_ms = opts->idle_ms > 0 ? opts->idle_ms : -1;
    co.stream_above = UINT32_MAX;
    if (k->client_id && !buf_error(&k->user))
        err = secret_init(&k->password, slice_is_null(opts->password) ? slice_of("", 0) : opts->password);
    if (!err)
        err = conn_connect(&k->conn, l, opts->host, opts->port, &co);
    if (err) {
        kafka_client_forget_secrets(k);
        free(k->client_id);
        free(k);
        return err;
    }
    loop_timer_start(&k->timer, connect_ms);
    *out = k;
    return ERR_OK;
}

struct conn *kafka_client_conn(struct kafka_client *k)
{
    return k->conn;
}

bool kafka_client_is_up(const struct kafka_client *k)
{
    return k->state == KAFKA_CLIENT_UP;
}

bool kafka_client_is_congested(const struct kafka_client *k)
{
    return k->in_flight >= k->in_flight_max || conn_is_congested(k->conn);
}

uint32_t kafka_client_in_flight(const struct kafka_client *k)
{
    return k->in_flight;
}
