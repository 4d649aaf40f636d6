/* SPDX-License-Identifier: Apache-2.0
 * A client connection: frames in, phases, back-pressure, the end. What a request does is its handler's; the order of
 * answers is pending.c's. A frame that cannot be a request (no header, unknown API, a version not served, wrong phase)
 * closes the connection with one log line and a counter, as Kafka does. */
#include "gateway/session.h"
#include "core/base/log.h"
#include "gateway/api.h"
#include "gateway/handlers.h"
#include "gateway/pending.h"

#include <stdlib.h>

static void pending_free(struct pending *p)
{
    if (p->filter_free)
        p->filter_free(p);
    buf_free(&p->frame);
    buf_free(&p->answer);
    arena_free(&p->arena);
    free(p);
}

/* While it authenticates again it is still who it was: answers to earlier requests are on their way. */
static const char *principal_text(const struct session *s)
{
    return s->principal ? s->principal : s->reauth_principal;
}

struct slice session_principal(const struct session *s)
{
    return slice_str(principal_text(s));
}

struct slice session_user(const struct session *s)
{
    const char *text = principal_text(s), *colon = text ? strchr(text, ':') : NULL;
    return slice_str(colon ? colon + 1 : "");
}

struct slice session_host(const struct session *s)
{
    return slice_str(conn_peer_host(s->conn));
}

enum err session_decide(const struct session *s, int16_t api_key, enum acl_type type, enum acl_operation op,
                        struct slice name, bool by_cluster)
{
    struct acl_question q = {type, op, name, session_principal(s), session_host(s)};

    if (!s->worker->view)
        return reserved_refusal(type);
    return reserved_judge(&s->worker->gateway->reserved, s->worker->view->acl, &q, api_key, by_cluster, NULL);
}

enum err session_judge_by_cluster(const struct session *s, int16_t api_key, enum acl_type type, enum acl_operation op,
                                  struct slice name, bool by_cluster)
{
    enum err err = session_decide(s, api_key, type, op, name, by_cluster);

    if (err && s->worker->refusals)
        refusals_note(s->worker->refusals, session_principal(s), acl_operation_name(op), acl_type_name(type), name,
                      loop_now_ms(s->worker->loop));
    return err;
}

enum err session_judge(const struct session *s, int16_t api_key, enum acl_type type, enum acl_operation op,
                       struct slice name)
{
    return session_judge_by_cluster(s, api_key, type, op, name, false);
}

bool session_may(const struct session *s, enum acl_type type, enum acl_operation op, struct slice name)
{
    return session_judge(s, RESERVED_ANY_API, type, op, name) == ERR_OK;
}

bool session_sees(const struct session *s, enum acl_type type, enum acl_operation op, struct slice name)
{
    return session_decide(s, RESERVED_ANY_API, type, op, name, false) == ERR_OK;
}

void session_close(struct session *s, enum conn_close why, const char *detail)
{
    if (s->phase == PHASE_CLOSING)
        return;
    s->phase = PHASE_CLOSING;
    if (why == CONN_CLOSE_AUTH_FAILED) /* the answer that says so must still get out */
        conn_close_after_flush(s->conn, why, detail);
    else
        conn_close(s->conn, why, detail);
}

/* ---- Frames ---- */

/* *close: CONN_CLOSE_PROTOCOL before the call. */
static const char *check_request(struct session *s, struct pending *p, enum conn_close *close)
{
    unsigned phase = s->phase == PHASE_READY ? API_READY : API_BEFORE_AUTH;
    int16_t min, max;

    if (!p->row || !p->api) {
        *close = CONN_CLOSE_NOT_SERVED;
        return "a request of an unknown API";
    }
    if (!(p->row->phases & phase))
        return s->phase == PHASE_READY ? "a request that is not valid now" : "a request before authentication";
    *close = CONN_CLOSE_NOT_SERVED;
    if (!api_versions(&s->worker->gateway->cluster, p->row, &min, &max))
        return "a request of an API the cluster does not serve";
    /* Produce is advertised from 0, but 0-2 are refused (KAFKA-18659) */
    if (p->version < min || p->version > max || p->version < p->api->min)
        return "a request of a version that is not served";
    *close = CONN_CLOSE_PROTOCOL;
    p->body = wire_struct_new(p->api->request->body, &p->arena);
    return p->body ? NULL : "out of memory";
}

/* ApiVersions of a version nobody knows: its header may be of any shape too, so only the fixed part is read (KIP-511).
 */
static bool is_unknown_api_versions(struct pending *p)
{
    struct cursor c = cursor_of(buf_slice(&p->frame));
    int16_t key = (int16_t)cursor_u16(&c), version = (int16_t)cursor_u16(&c);

    p->correlation_id = (int32_t)cursor_u32(&c);
    return !c.error && key == WIRE_API_VERSIONS && (version < 0 || version > wire_api(key)->max);
}

/* Kafka reads what it knows of a request and lets the rest be, and so do we (docs/leniencies.md). What is forwarded
 * ends where the decoded request ends. */
static void drop_surplus(struct pending *p, const struct cursor *end)
{
    if (!cursor_left(end))
        return;
    metric_add(metrics_counter("castellan_gateway_surplus_requests_total", NULL,
                               "Requests with bytes after their end, which were dropped."),
               1);
    p->frame.n -= cursor_left(end);
    p->body_bytes.n -= cursor_left(end);
}

static const char *parse_request(struct session *s, struct pending *p, enum conn_close *close)
{
    struct cursor c = cursor_of(buf_slice(&p->frame));
    struct request_header h;
    const char *wrong;

    if (is_unknown_api_versions(p)) {
        p->row = api_find(WIRE_API_VERSIONS);
        p->api = wire_api(WIRE_API_VERSIONS);
        return NULL; /* no body: the handler answers error 35 in version 0 */
    }
    if (wire_request_header_decode(&h, &c, &p->arena))
        return "a request header does not parse";
    p->row = api_find(h.request_api_key);
    p->api = wire_api(h.request_api_key);
    p->key = h.request_api_key;
    p->version = h.request_api_version;
    p->correlation_id = h.correlation_id;
    p->client_id = h.client_id;
    p->body_bytes = slice_of(c.p, cursor_left(&c));
    wrong = check_request(s, p, close);
    if (wrong)
        return wrong;
    if (p->api->request->decode(p->body, &c, p->version, &p->arena))
        return "a request body does not parse";
    drop_surplus(p, &c);
    return NULL;
}

static struct pending *pending_new(struct session *s)
{
    struct pending *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->session = s;
    arena_init(&p->arena, 0);
    buf_init(&p->frame, 0);
    buf_init(&p->answer, 0);
    if (conn_take_frame(s->conn, &p->frame)) {
        pending_free(p);
        return NULL;
    }
    p->arrived_us = loop_env(s->worker->loop)->mono_us(loop_env(s->worker->loop));
    *s->tail = p;
    s->tail = &p->next;
    s->pending_count++;
    return p;
}

static void pause_if_many(struct session *s)
{
    bool want = s->busy || s->pending_count >= SESSION_PENDING_MAX;
    if (want == s->paused || s->phase == PHASE_CLOSING)
        return;
    s->paused = want;
    if (want)
        conn_pause(s->conn);
    else
        conn_resume(s->conn);
}

/* Told here, where the request is known, and not when the connection is closed: a client may come back for ever. */
static void log_not_served(struct session *s, const struct pending *p, const char *wrong)
{
    char what[CLIENT_DESCRIPTION_MAX];
    uint64_t held;

    if (!log_limit_pass(&s->worker->not_served, loop_now_ms(s->worker->loop), &held))
        return;
    client_describe_request(what, p->key, p->version, p->client_id, &s->software);
    log_warn("%s (%s): %s: %s; %llu such lines were left out", conn_peer(s->conn),
             principal_text(s) ? principal_text(s) : "not authenticated", wrong, what, (unsigned long long)held);
}

static void on_frame(void *user, struct conn *conn, struct slice frame)
{
    struct session *s = user;
    struct pending *p;
    const char *wrong;
    enum conn_close close = CONN_CLOSE_PROTOCOL;

    (void)conn;
    if (s->phase == PHASE_CLOSING)
        return;
    if (s->phase == PHASE_RAW_SASL) {
        handle_raw_sasl(s, frame);
        return;
    }
    p = pending_new(s);
    if (!p) {
        session_close(s, CONN_CLOSE_NO_MEMORY, NULL);
        return;
    }
    wrong = parse_request(s, p, &close);
    if (wrong) {
        if (close == CONN_CLOSE_NOT_SERVED)
            log_not_served(s, p, wrong);
        pending_fail(p, close, wrong); /* on_closed() says so otherwise */
        return;
    }
    if (!auth_certificate_counts(s)) {
        pending_fail(p, CONN_CLOSE_AUTH_FAILED, "the user of the certificate was deleted");
        return;
    }
    if (s->phase == PHASE_READY && loop_now_ms(s->worker->loop) > s->expires_ms && p->row->key != WIRE_SASL_HANDSHAKE &&
        p->row->key != WIRE_SASL_AUTHENTICATE && p->row->key != WIRE_API_VERSIONS) {
        pending_fail(p, CONN_CLOSE_AUTH_EXPIRED, NULL);
        return;
    }
    p->row->handle(p);
    pause_if_many(s);
}

/* ---- Life ---- */

static void on_ready(void *user, struct conn *conn)
{
    struct session *s = user;
    (void)conn;
    s->phase = PHASE_NEW;
    if (s->entrance->kind == ENTRANCE_SSL)
        auth_by_certificate(s);
}

static void on_closed(void *user, struct conn *conn, enum conn_close why, const char *detail)
{
    struct session *s = user;
    bool more = detail && *detail && strcmp(detail, conn_close_text(why)) != 0;

    metric_add(s->worker->gateway->counters.disconnects[why], 1);
    /* a failed authentication, a lost node, a shutdown and what is not served were told where they happened */
    if (why != CONN_CLOSE_PEER && why != CONN_CLOSE_RESET && why != CONN_CLOSE_LOCAL && why != CONN_CLOSE_SHUTDOWN &&
        why != CONN_CLOSE_AUTH_FAILED && why != CONN_CLOSE_NOT_SERVED)
        log_warn("%s (%s): %s%s%s", conn_peer(conn), principal_text(s) ? principal_text(s) : "not authenticated",
                 conn_close_text(why), more ? ": " : "", more ? detail : "");
    s->phase = PHASE_CLOSING;
    for (struct pending *p = s->head, *next; p; p = next) {
        next = p->next;
        p->session = NULL; /* what is still under way frees itself when it comes back */
        p->next = NULL;
        if (p->done)
            pending_free(p);
    }
    loop_timer_stop(&s->mute);
    upstreams_close(s);
    auth_session_gone(s);
    if (s->next)
        s->next->prev = s->prev;
    *s->prev = s->next;
    s->worker->session_count--;
    free(s->principal);
    free(s->reauth_principal);
    free(s);
}

static const struct conn_ops ops = {
    .on_ready = on_ready, .on_refused = auth_certificate_refused, .on_frame = on_frame, .on_closed = on_closed};

static void on_unmute(void *arg)
{
    struct session *s = arg;
    s->muted = false;
    conn_resume(s->conn);
}

void session_accept(struct worker *w, struct entrance *e, int place, struct accepted a)
{
    struct session *s = calloc(1, sizeof *s);
    struct conn_opts o = {
        .ops = &ops, .user = s, .tls = e->tls, .frame_max = CONN_FRAME_MAX_BEFORE_AUTH, .idle_ms = w->gateway->idle_ms};

    if (!s || w->stopping) {
        free(s);
        listener_drop(a);
        return;
    }
    s->worker = w;
    s->entrance = e;
    s->place = place;
    s->tail = &s->head;
    s->expires_ms = INT64_MAX;
    loop_timer_init(&s->mute, w->loop, on_unmute, s);
    auth_session_begins(s, a.wait_ms);
    if (conn_accept(&s->conn, w->loop, a, &o)) {
        auth_session_gone(s);
        free(s);
        return;
    }
    metric_add(w->gateway->counters.connections, 1);
    s->next = w->sessions;
    s->prev = &w->sessions;
    if (s->next)
        s->next->prev = &s->next;
    w->sessions = s;
    w->session_count++;
}

void session_close_all(struct worker *w)
{
    for (struct session *s = w->sessions; s; s = s->next)
        session_close(s, CONN_CLOSE_SHUTDOWN, NULL);
}

/* ---- Sending answers in order ---- */

void session_mute(struct session *s, int64_t ms)
{
    if (ms <= 0 || s->phase == PHASE_CLOSING)
        return;
    if (!s->muted)
        conn_pause(s->conn);
    s->muted = true;
    loop_timer_start(&s->mute, ms);
}

static enum err send_answer(struct session *s, struct pending *p)
{
    uint8_t length[4] = {(uint8_t)(p->answer.n >> 24), (uint8_t)(p->answer.n >> 16), (uint8_t)(p->answer.n >> 8),
                         (uint8_t)p->answer.n};
    struct slice prefix = slice_of(length, sizeof length);
    enum err err = p->bare ? conn_write(s->conn, &prefix, 1) : ERR_OK;

    return err ? err : conn_write_owned(s->conn, &p->answer);
}

void session_flush(struct session *s)
{
    while (s->head && s->head->done && s->phase != PHASE_CLOSING) {
        struct pending *p = s->head;

        if (!p->silent && send_answer(s, p)) {
            session_close(s, CONN_CLOSE_QUEUE_FULL, NULL);
            return;
        }
        s->head = p->next;
        if (!s->head)
            s->tail = &s->head;
        s->pending_count--;
        pending_free(p);
    }
    pause_if_many(s);
}

void pending_hold(struct pending *p)
{
    if (!p->session || p->holds_session)
        return;
    p->holds_session = p->session->busy = true;
    pause_if_many(p->session);
}

void pending_release(struct pending *p)
{
    if (!p->holds_session)
        return;
    p->holds_session = false;
    if (!p->session)
        return;
    p->session->busy = false;
    pause_if_many(p->session);
}

/* Done: sent when its turn comes, or freed when the client is gone. */
void pending_finish(struct pending *p)
{
    p->done = true;
    pending_release(p);
    if (p->session)
        session_flush(p->session);
    else
        pending_free(p);
}

void pending_fail(struct pending *p, enum conn_close why, const char *detail)
{
    struct session *s = p->session;
    p->silent = true;
    p->done = true;
    if (!s) {
        pending_free(p);
        return;
    }
    session_close(s, why, detail); /* the request is freed with the session */
}
