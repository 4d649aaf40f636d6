/* SPDX-License-Identifier: Apache-2.0
 * The edge: a client's connection on one side, the engine on the other. Frames in, phases, back-pressure, the end. A
 * frame that cannot be a request (no header, unknown API, a version not served, wrong phase) closes the connection with
 * one log line and a counter, as Kafka does.
 *
 * Reading stops while the session has too much under way, while the process is short of memory and this session is over
 * its reserve, and while the client does not take its answers; one that takes none for castellan.write.stall.ms is
 * closed. What arrives of a long frame counts against the same budgets as what it becomes. */
#include "gateway/session/session.h"
#include "core/base/log.h"
#include "gateway/api/api.h"
#include "gateway/filter/filter.h"
#include "gateway/filter/schema_topics.h"
#include "gateway/session/shares.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { SESSION_MAGIC = 0x53657373 };

struct session *session_of(const struct pipeline *p)
{
    struct session *s = p->session;

    assert(s->magic == SESSION_MAGIC);
    return s;
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

void session_close(struct session *s, enum conn_close why, const char *detail)
{
    if (s->phase == PHASE_CLOSING)
        return;
    s->phase = PHASE_CLOSING;
    s->pipeline.closing = true;
    if (why == CONN_CLOSE_AUTH_FAILED) /* the answer that says so must still get out */
        conn_close_after_flush(s->conn, why, detail);
    else
        conn_close(s->conn, why, detail);
}

/* ---- Reading ---- */

/* Somebody is not read for want of memory: look again in a while. */
static void watch_memory(struct worker *w)
{
    if (!w->memory.running)
        loop_timer_start(&w->memory, MEMORY_WATCH_MS);
}

void session_look_at_reading(struct session *s)
{
    bool hold;

    if (s->phase == PHASE_CLOSING)
        return;
    hold = !pipeline_may_read(&s->pipeline) || conn_is_congested(s->conn);
    if (hold == s->held)
        return;
    s->held = hold;
    if (!hold) {
        conn_resume(s->conn);
        return;
    }
    conn_pause(s->conn);
    watch_memory(s->worker);
}

/* More memory for a frame that is coming in. */
static bool on_frame_grow(void *user, struct conn *conn, size_t cap)
{
    struct session *s = user;
    int64_t more = (int64_t)cap - s->receiving;
    const struct budget *process = s->pipeline.engine->process;
    bool short_of = (int64_t)cap > s->pipeline.reserve && budget_used(process) >= process->max;

    (void)conn;
    if (!short_of && !budget_take(&s->pipeline.budget, more)) {
        s->receiving += more;
        return true;
    }
    if (!s->starved)
        conn_pause(s->conn);
    s->starved = true;
    s->wanted = more;
    watch_memory(s->worker);
    return false;
}

static bool has_room(const struct session *s)
{
    const struct budget *process = s->pipeline.engine->process;
    bool short_of = s->receiving + s->wanted > s->pipeline.reserve && budget_used(process) >= process->max;

    return !short_of && budget_has(&s->pipeline.budget, s->wanted);
}

void session_feed(struct session *s)
{
    if (s->phase == PHASE_CLOSING)
        return;
    if (s->starved && has_room(s)) {
        s->starved = false;
        conn_resume(s->conn);
    }
    session_look_at_reading(s);
}

static void received(struct session *s)
{
    budget_give(&s->pipeline.budget, s->receiving);
    s->receiving = 0;
}

static void on_frame(void *user, struct conn *conn, struct slice frame)
{
    struct session *s = user;
    struct buf mine;

    (void)frame;
    if (s->phase == PHASE_CLOSING)
        return;
    buf_init(&mine, 0);
    received(s);
    if (conn_take_frame(conn, &mine) || !pipeline_take(&s->pipeline, &mine))
        session_close(s, CONN_CLOSE_NO_MEMORY, NULL);
}

/* ---- Is a request served? ---- */

static const char *check_request(const struct session *s, const struct request *r, enum conn_close *close)
{
    unsigned phase = s->phase == PHASE_READY ? API_READY : API_BEFORE_AUTH;
    int16_t min, max;

    *close = CONN_CLOSE_NOT_SERVED;
    if (!r->row || !r->api)
        return "a request of an unknown API";
    *close = CONN_CLOSE_PROTOCOL;
    if (!(r->row->phases & phase))
        return s->phase == PHASE_READY ? "a request that is not valid now" : "a request before authentication";
    *close = CONN_CLOSE_NOT_SERVED;
    if (!api_versions(r->engine->cluster, r->row, &min, &max))
        return "a request of an API the cluster does not serve";
    /* Produce is advertised from 0, but 0-2 are refused (KAFKA-18659) */
    if (r->version < min || r->version > max || r->version < r->api->min)
        return "a request of a version that is not served";
    return NULL;
}

/* Told here, where the request is known, and not when the connection is closed: a client may come back for ever. */
static void log_not_served(struct session *s, const struct request *r, const char *wrong)
{
    char what[CLIENT_DESCRIPTION_MAX];
    uint64_t held;

    if (!log_limit_pass(&s->worker->not_served, loop_now_ms(s->worker->loop), &held))
        return;
    client_describe_request(what, r->key, r->version, r->client_id, &s->software);
    log_warn("%s (%s): %s: %s; %llu such lines were left out", conn_peer(s->conn),
             principal_text(s) ? principal_text(s) : "not authenticated", wrong, what, (unsigned long long)held);
}

static bool has_expired(const struct session *s, const struct request *r)
{
    return s->phase == PHASE_READY && loop_now_ms(s->worker->loop) > s->expires_ms &&
           r->row->key != WIRE_SASL_HANDSHAKE && r->row->key != WIRE_SASL_AUTHENTICATE &&
           r->row->key != WIRE_API_VERSIONS;
}

static enum step admit(struct request *r)
{
    struct session *s = session_of(r->pipeline);
    enum conn_close close = CONN_CLOSE_PROTOCOL;
    const char *wrong;

    if (s->phase == PHASE_RAW_SASL)
        return auth_take_raw(s, r);
    wrong = request_read_header(r);
    if (!wrong)
        wrong = check_request(s, r, &close);
    if (wrong && close == CONN_CLOSE_NOT_SERVED)
        log_not_served(s, r, wrong);
    if (wrong)
        return request_end(r, close, wrong);
    if (!auth_certificate_counts(s))
        return request_end(r, CONN_CLOSE_AUTH_FAILED, "the user of the certificate was deleted");
    return has_expired(s, r) ? request_end(r, CONN_CLOSE_AUTH_EXPIRED, NULL) : STEP_NEXT;
}

/* ---- What the engine asks of the edge ---- */

static enum err send_to_cluster(struct request *r, const struct engine_send *what)
{
    return upstream_send(session_of(r->pipeline), r, what);
}

static bool may_answer(struct pipeline *p)
{
    return !conn_is_congested(session_of(p)->conn);
}

static enum err answer(struct pipeline *p, struct request *r)
{
    struct session *s = session_of(p);
    uint8_t length[4] = {(uint8_t)(r->answer.n >> 24), (uint8_t)(r->answer.n >> 16), (uint8_t)(r->answer.n >> 8),
                         (uint8_t)r->answer.n};
    struct slice prefix = slice_of(length, sizeof length);
    enum err err = r->relayed ? conn_write(s->conn, &prefix, 1) : ERR_OK;

    if (!err)
        err = conn_write_owned(s->conn, &r->answer);
    if (!err && s->ends_after_answer)
        session_close(s, CONN_CLOSE_AUTH_FAILED, s->auth_text);
    return err;
}

static void close_pipeline(struct pipeline *p, enum conn_close why, const char *detail)
{
    session_close(session_of(p), why, detail);
}

static void mute(struct pipeline *p, int64_t ms)
{
    struct session *s = session_of(p);

    if (ms <= 0 || s->phase == PHASE_CLOSING)
        return;
    if (!s->muted)
        conn_pause(s->conn);
    s->muted = true;
    loop_timer_start(&s->mute, ms);
}

static void reading(struct pipeline *p)
{
    session_look_at_reading(session_of(p));
}

static void refused(const struct request *r, enum acl_type type, enum acl_operation op, struct slice name)
{
    struct worker *w = r->engine->owner;

    if (w->refusals)
        refusals_note(w->refusals, request_peer(r)->principal, acl_operation_name(op), acl_type_name(type), name,
                      r->engine->now_ms);
}

static void throttled(const struct request *r, enum quota_key key)
{
    struct worker *w = r->engine->owner;

    metric_add(w->gateway->counters.throttled, 1);
    if (w->throttles)
        refusals_note(w->throttles, request_peer(r)->principal, r->api->name, quota_key_name(key), r->client_id,
                      r->engine->now_ms);
}

static void surplus(const struct request *r)
{
    struct worker *w = r->engine->owner;
    metric_add(w->gateway->counters.surplus, 1);
}

static void topics_changed(struct engine *e)
{
    struct worker *w = e->owner;
    schema_topics_changed(w->gateway);
}

static void node_learned(struct engine *e, int place)
{
    struct worker *w = e->owner;
    w->gateway->node_learned(w->gateway, place);
}

static void ready(struct engine *e)
{
    struct worker *w = e->owner;
    loop_later(w->loop, w->turn);
}

const struct engine_ops session_engine_ops = {.admit = admit,
                                              .send = send_to_cluster,
                                              .may_answer = may_answer,
                                              .answer = answer,
                                              .close = close_pipeline,
                                              .mute = mute,
                                              .reading = reading,
                                              .ready = ready,
                                              .refused = refused,
                                              .throttled = throttled,
                                              .surplus = surplus,
                                              .topics_changed = topics_changed,
                                              .node_learned = node_learned};

/* ---- Life ---- */

static void set_peer(struct session *s)
{
    s->pipeline.peer = (struct peer){.principal = session_principal(s),
                                     .user = session_user(s),
                                     .host = session_host(s),
                                     .label = conn_peer(s->conn),
                                     .advertised = s->entrance->advertised,
                                     .port = s->entrance->port};
}

static bool set_holder(struct session *s, const char *prefix, struct slice name)
{
    struct holders *all = &s->worker->gateway->holders;
    struct holder *before = s->holder, *h;
    struct buf key;

    buf_init(&key, 0);
    buf_put_str(&key, prefix);
    buf_put_slice(&key, name);
    h = buf_error(&key) ? NULL : holder_get(all, buf_slice(&key));
    buf_free(&key);
    if (!h)
        return false;
    s->holder = h;
    budget_move(&s->pipeline.budget, &h->budget);
    holder_put(all, before);
    return true;
}

void session_is_known(struct session *s)
{
    struct share *share = share_get(s->worker, session_principal(s));

    if (!share || !set_holder(s, "", session_principal(s))) {
        if (share)
            share_put(s->worker, share, session_principal(s));
        session_close(s, CONN_CLOSE_NO_MEMORY, NULL);
        return;
    }
    if (s->pipeline.share != &s->pipeline.alone) /* it authenticated again */
        share_put(s->worker, share, session_principal(s));
    else
        pipeline_set_share(&s->pipeline, share);
    set_peer(s);
}

static void on_ready(void *user, struct conn *conn)
{
    struct session *s = user;
    (void)conn;
    s->phase = PHASE_NEW;
    if (s->entrance->kind == ENTRANCE_SSL)
        auth_by_certificate(s);
}

static void take_back_sending(struct session *s)
{
    budget_give(s->pipeline.engine->process, s->sending);
    s->sending = 0;
}

/* Answers wait, whether made here or passing through. */
static void on_congested(void *user, struct conn *conn)
{
    struct session *s = user;

    take_back_sending(s);
    s->sending = (int64_t)conn_queued(conn);
    (void)budget_take(s->pipeline.engine->process, s->sending); /* it never refuses */
    s->stall_out = conn_bytes_taken(conn);
    if (!s->stall.running)
        loop_timer_start(&s->stall, s->worker->gateway->write_stall_ms);
    session_look_at_reading(s);
}

static void on_drained(void *user, struct conn *conn)
{
    struct session *s = user;
    (void)conn;
    loop_timer_stop(&s->stall);
    take_back_sending(s);
    if (s->phase == PHASE_CLOSING)
        return;
    pipeline_flush(&s->pipeline);
    session_look_at_reading(s);
}

static void on_stall(void *arg)
{
    struct session *s = arg;

    assert(s->magic == SESSION_MAGIC);
    if (conn_bytes_taken(s->conn) == s->stall_out) {
        session_close(s, CONN_CLOSE_NOT_TAKEN, NULL);
        return;
    }
    s->stall_out = conn_bytes_taken(s->conn);
    loop_timer_start(&s->stall, s->worker->gateway->write_stall_ms);
}

static void leave_share(struct session *s)
{
    struct share *share = s->pipeline.share;

    if (share != &s->pipeline.alone)
        share_put(s->worker, share, session_principal(s));
}

static void on_closed(void *user, struct conn *conn, enum conn_close why, const char *detail)
{
    struct session *s = user;
    bool more = detail && *detail && strcmp(detail, conn_close_text(why)) != 0;

    assert(s->magic == SESSION_MAGIC);
    metric_add(s->worker->gateway->counters.disconnects[why], 1);
    /* a failed authentication, a lost node, a shutdown and what is not served were told where they happened */
    if (why != CONN_CLOSE_PEER && why != CONN_CLOSE_RESET && why != CONN_CLOSE_LOCAL && why != CONN_CLOSE_SHUTDOWN &&
        why != CONN_CLOSE_AUTH_FAILED && why != CONN_CLOSE_NOT_SERVED)
        log_warn("%s (%s): %s%s%s", conn_peer(conn), principal_text(s) ? principal_text(s) : "not authenticated",
                 conn_close_text(why), more ? ": " : "", more ? detail : "");
    s->phase = PHASE_CLOSING;
    received(s);
    take_back_sending(s);
    pipeline_abandon(&s->pipeline);
    leave_share(s);
    holder_put(&s->worker->gateway->holders, s->holder);
    loop_timer_stop(&s->mute);
    loop_timer_stop(&s->stall);
    upstreams_close(s);
    auth_session_gone(s);
    if (s->next)
        s->next->prev = s->prev;
    *s->prev = s->next;
    s->worker->session_count--;
    free(s->principal);
    free(s->reauth_principal);
    s->magic = 0;
    free(s);
}

static const struct conn_ops ops = {.on_ready = on_ready,
                                    .on_refused = auth_certificate_refused,
                                    .on_frame = on_frame,
                                    .on_frame_grow = on_frame_grow,
                                    .on_congested = on_congested,
                                    .on_drained = on_drained,
                                    .on_closed = on_closed};

static void on_unmute(void *arg)
{
    struct session *s = arg;
    s->muted = false;
    conn_resume(s->conn);
}

static void begin(struct session *s, struct worker *w, struct entrance *e, int place)
{
    s->magic = SESSION_MAGIC;
    s->worker = w;
    s->entrance = e;
    s->place = place;
    s->expires_ms = INT64_MAX;
    pipeline_init(&s->pipeline, &w->engine, s);
    budget_init(&s->pipeline.budget, "castellan.session.memory.max.bytes", NULL, w->gateway->session_memory_max);
    s->pipeline.request_max = w->gateway->request_memory_max;
    s->pipeline.reserve = w->gateway->session_memory_reserve;
    loop_timer_init(&s->mute, w->loop, on_unmute, s);
    loop_timer_init(&s->stall, w->loop, on_stall, s);
}

static void link_session(struct session *s)
{
    struct worker *w = s->worker;

    metric_add(w->gateway->counters.connections, 1);
    s->next = w->sessions;
    s->prev = &w->sessions;
    if (s->next)
        s->next->prev = &s->next;
    w->sessions = s;
    w->session_count++;
}

void session_accept(struct worker *w, struct entrance *e, int place, struct accepted a)
{
    struct session *s = calloc(1, sizeof *s);
    struct address_group from;
    struct conn_opts o = {
        .ops = &ops, .user = s, .tls = e->tls, .frame_max = CONN_FRAME_MAX_BEFORE_AUTH, .idle_ms = w->gateway->idle_ms};

    if (!s || w->stopping) {
        free(s);
        listener_drop(a);
        return;
    }
    begin(s, w, e, place);
    auth_session_begins(s, a.wait_ms);
    if (conn_accept(&s->conn, w->loop, a, &o)) {
        auth_session_gone(s);
        free(s);
        return;
    }
    link_session(s);
    set_peer(s);
    from = address_group_of(&a.peer);
    if (!set_holder(s, "address ", address_group_slice(&from)))
        session_close(s, CONN_CLOSE_NO_MEMORY, NULL);
}

void session_close_all(struct worker *w)
{
    for (struct session *s = w->sessions; s; s = s->next)
        session_close(s, CONN_CLOSE_SHUTDOWN, NULL);
}
