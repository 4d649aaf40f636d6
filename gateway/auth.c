/* SPDX-License-Identifier: Apache-2.0
 * Who is it: ApiVersions (allowed to everybody, KIP-511), SaslHandshake and SaslAuthenticate (KIP-43, KIP-152), and the
 * bare tokens of SaslHandshake v0. The mechanisms are acl/sasl_server.h's. A failed authentication is answered with
 * SASL_AUTHENTICATION_FAILED and Kafka's text, then the connection ends; when, is the failure limiter's to say
 * (door.h): the token that decides waits before it is judged where its address has failed too often, and a failure
 * waits before it is told. Meanwhile the session takes no frame and a timer of the loop runs. An authenticated session
 * may authenticate again as the same principal (KIP-368). Certificates of mutual TLS are auth_certificate.c's. */
#include "core/base/log.h"
#include "gateway/api.h"
#include "gateway/handlers.h"
#include "wire/api_versions.h"
#include "wire/sasl_authenticate.h"
#include "wire/sasl_handshake.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- ApiVersions ---- */

void handle_api_versions(struct pending *p)
{
    const struct api_versions_request *req = p->body;
    struct cluster *cluster = &p->session->worker->gateway->cluster;
    struct api_versions_response resp;
    const struct api_row *row;
    int32_t n = 0;

    api_versions_response_init(&resp);
    while (api_at((size_t)n))
        n++;
    if (!api_versions_response_api_version_array_alloc(&resp.api_keys, n, &p->arena)) {
        pending_fail(p, CONN_CLOSE_NO_MEMORY, NULL);
        return;
    }
    resp.api_keys.n = 0;
    if (!req) { /* a version nobody knows: a v0 answer that tells which ones are known */
        resp.error_code = ERR_UNSUPPORTED_VERSION;
        p->version = 0;
    } else if (p->version >= 3 && (!client_software_is_valid(req->client_software_name) ||
                                   !client_software_is_valid(req->client_software_version))) {
        resp.error_code = ERR_INVALID_REQUEST;
        pending_answer(p, &resp);
        return;
    } else if (p->version >= 3) {
        client_software_set(&p->session->software, req->client_software_name, req->client_software_version);
    }
    for (size_t i = 0; (row = api_at(i)); i++) {
        struct api_versions_response_api_version *a = &resp.api_keys.v[resp.api_keys.n];
        if ((resp.error_code && row->key != WIRE_API_VERSIONS) ||
            !api_versions(cluster, row, &a->min_version, &a->max_version))
            continue;
        a->api_key = row->key;
        if (row->key == WIRE_PRODUCE)
            a->min_version = 0; /* KAFKA-18659: old librdkafka decides its features by it */
        resp.api_keys.n++;
    }
    resp.finalized_features_epoch = -1;
    pending_answer(p, &resp);
}

/* ---- SASL ---- */

static void count_auth(struct session *s, enum sasl_reason reason)
{
    metric_add(s->worker->gateway->counters.authentications[s->mechanism][reason], 1);
}

void handle_sasl_handshake(struct pending *p)
{
    const struct sasl_handshake_request *req = p->body;
    struct session *s = p->session;
    struct gateway *g = s->worker->gateway;
    struct sasl_handshake_response resp;
    struct sasl_session *begun;
    enum sasl_mechanism m;
    struct reason why = {0};

    sasl_handshake_response_init(&resp);
    resp.mechanisms.v = arena_array(&p->arena, SASL_MECHANISMS, sizeof *resp.mechanisms.v);
    for (int i = 0; resp.mechanisms.v && i < SASL_MECHANISMS; i++)
        if (g->mechanisms[i])
            resp.mechanisms.v[resp.mechanisms.n++] = slice_str(sasl_mechanism_name((enum sasl_mechanism)i));
    if (s->entrance->kind == ENTRANCE_SSL) {
        resp.error_code = ERR_ILLEGAL_SASL_STATE;
    } else if (!sasl_mechanism_parse(req->mechanism, &m) || !g->mechanisms[m]) {
        log_warn("%s: unsupported SASL mechanism %.*s", conn_peer(s->conn), SLICE_FMT(req->mechanism));
        resp.error_code = ERR_UNSUPPORTED_SASL_MECHANISM;
    } else if (!s->worker->view || sasl_session_new(&begun, m, &why)) {
        log_error("SASL cannot start: %s", why.code ? why.text : "the users are not loaded yet");
        resp.error_code = ERR_BROKER_NOT_AVAILABLE;
    } else {
        sasl_session_free(s->sasl); /* a handshake that led nowhere */
        s->sasl = begun;
        s->mechanism = m;
        if (s->phase == PHASE_READY) {
            s->reauth_principal = s->principal;
            s->principal = NULL;
        }
        s->phase = p->version == 0 ? PHASE_RAW_SASL : PHASE_SASL;
    }
    pending_answer(p, &resp);
}

static bool became_ready(struct session *s)
{
    struct buf name;
    int64_t life = s->worker->gateway->reauth_ms;

    buf_init(&name, CREDENTIAL_USER_MAX + 16);
    principal_put_user(&name, sasl_session_user(s->sasl));
    s->principal = strdup(buf_cstr(&name));
    buf_free(&name);
    sasl_session_free(s->sasl);
    s->sasl = NULL;
    if (!s->principal)
        return false;
    if (s->reauth_principal && strcmp(s->reauth_principal, s->principal) != 0) {
        log_warn("%s: re-authentication as %s of a session of %s is refused", conn_peer(s->conn), s->principal,
                 s->reauth_principal);
        free(s->principal); /* answers to earlier requests may still be on their way: they are the old one's */
        s->principal = NULL;
        return false;
    }
    free(s->reauth_principal);
    s->reauth_principal = NULL;
    s->expires_ms = life > 0 ? loop_now_ms(s->worker->loop) + life : INT64_MAX;
    auth_is_known(s);
    return true;
}

/* ---- Waiting ---- */

static void on_deadline(void *arg)
{
    session_close(arg, CONN_CLOSE_AUTH_TIMEOUT, NULL);
}

static void on_waited(void *arg)
{
    struct session *s = arg;
    void (*then)(struct session *) = s->auth_then;

    assert(then);
    if (s->phase == PHASE_CLOSING)
        return;
    s->auth_then = NULL;
    conn_resume(s->conn);
    then(s);
}

void auth_session_begins(struct session *s, int64_t waited_ms)
{
    loop_timer_init(&s->auth_timer, s->worker->loop, on_waited, s);
    loop_timer_init(&s->deadline, s->worker->loop, on_deadline, s);
    loop_timer_start(&s->deadline, s->worker->gateway->door.authentication_ms);
    buf_init(&s->auth_token, SASL_TOKEN_MAX + 1);
    s->auth_waited_ms = waited_ms;
}

void auth_session_gone(struct session *s)
{
    struct pending *p = s->auth_request;

    loop_timer_stop(&s->auth_timer);
    loop_timer_stop(&s->deadline);
    s->auth_request = NULL;
    if (p)
        pending_silent(p);
    buf_wipe_free(&s->auth_token);
    sasl_session_free(s->sasl);
}

void auth_wait(struct session *s, int64_t ms, void (*then)(struct session *s))
{
    assert(!s->auth_then);
    if (ms <= 0) {
        then(s);
        return;
    }
    s->auth_then = then;
    conn_pause(s->conn);
    loop_timer_start(&s->auth_timer, ms);
}

void auth_is_known(struct session *s)
{
    s->phase = PHASE_READY;
    loop_timer_stop(&s->deadline);
    conn_peer_is_known(s->conn);
    conn_set_frame_max(s->conn, s->worker->gateway->frame_max);
}

static struct address_group address_of(const struct session *s)
{
    return address_group_of_text(conn_peer_host(s->conn));
}

int64_t auth_failure_delay(struct session *s)
{
    struct address_group from = address_of(s);
    return door_failed(&s->worker->gateway->door, &from, s->auth_waited_ms);
}

/* The next token is about to be judged, at once or later. */
static void judge_later(struct session *s, void (*then)(struct session *s))
{
    struct address_group from = address_of(s);

    s->auth_waited_ms = sasl_session_decides_next(s->sasl) ? door_before(&s->worker->gateway->door, &from) : 0;
    auth_wait(s, s->auth_waited_ms, then);
}

/* The name is told only when it is a user's: what is none may be a password in the wrong place. */
static void audit_failure(struct session *s)
{
    const struct view *view = s->worker->view;
    struct slice claimed = sasl_session_claimed(s->sasl);
    char operation[64];

    snprintf(operation, sizeof operation, "SaslAuthenticate %s", sasl_mechanism_name(s->mechanism));
    gateway_audit_login(s->worker->gateway->audit,
                        view && claimed.n && users_snapshot_any(view->users, claimed) ? claimed : SLICE_NULL,
                        session_host(s), operation, sasl_reason_name(sasl_session_reason(s->sasl)));
}

/* One token; false when the session must end. *text is Kafka's words for the peer. */
static bool take_token(struct session *s, struct slice token, struct buf *out, const char **text)
{
    enum sasl_state state = sasl_session_step(s->sasl, s->worker->view->users, token, out);

    *text = NULL;
    switch (state) {
    case SASL_STATE_MORE:
        return true;
    case SASL_STATE_DONE:
        if (became_ready(s)) {
            count_auth(s, SASL_REASON_NONE);
            return true;
        }
        *text = "Authentication failed: cannot change principals during re-authentication";
        return false;
    case SASL_STATE_FAILED:
        break;
    }
    *text = sasl_session_error(s->sasl);
    count_auth(s, sasl_session_reason(s->sasl));
    log_warn("%s: authentication of \"%.*s\" by %s failed: %s", conn_peer(s->conn),
             SLICE_FMT(sasl_session_claimed(s->sasl)), sasl_mechanism_name(s->mechanism),
             sasl_reason_name(sasl_session_reason(s->sasl)));
    audit_failure(s);
    return false;
}

static void refuse(struct session *s, enum err code, const char *text)
{
    struct sasl_authenticate_response resp;
    struct pending *p = s->auth_request;

    s->auth_request = NULL;
    sasl_authenticate_response_init(&resp);
    resp.auth_bytes = slice_of("", 0);
    resp.error_code = err_kafka(code);
    resp.error_message = slice_str(text);
    if (p)
        pending_answer(p, &resp);
    session_close(s, CONN_CLOSE_AUTH_FAILED, text);
}

static void tell_failure(struct session *s)
{
    refuse(s, ERR_SASL_AUTHENTICATION_FAILED, s->auth_text);
}

/* Its turn has come. */
static void judge(struct session *s)
{
    struct pending *p = s->auth_request;
    const struct sasl_authenticate_request *req = p->body;
    struct sasl_authenticate_response resp;
    struct buf out;

    buf_init(&out, 0);
    if (take_token(s, req->auth_bytes, &out, &s->auth_text)) {
        sasl_authenticate_response_init(&resp);
        resp.auth_bytes = buf_slice(&out);
        if (s->phase == PHASE_READY)
            resp.session_lifetime_ms = s->worker->gateway->reauth_ms;
        s->auth_request = NULL;
        pending_answer(p, &resp);
    } else {
        auth_wait(s, auth_failure_delay(s), tell_failure);
    }
    buf_wipe_free(&out);
}

void handle_sasl_authenticate(struct pending *p)
{
    struct session *s = p->session;

    assert(!s->auth_request && !s->auth_then); /* no frame is taken while one waits */
    s->auth_request = p;
    if (s->phase != PHASE_SASL || !s->sasl) {
        log_warn("%s: SaslAuthenticate without a SaslHandshake before it", conn_peer(s->conn));
        refuse(s, ERR_ILLEGAL_SASL_STATE, "SaslAuthenticate request received without a SaslHandshake before it");
        return;
    }
    judge_later(s, judge);
}

static void judge_raw(struct session *s)
{
    struct slice answer;
    struct buf out;

    buf_init(&out, 0);
    if (take_token(s, buf_slice(&s->auth_token), &out, &s->auth_text)) {
        answer = buf_slice(&out);
        if (conn_write_frame(s->conn, &answer, 1))
            session_close(s, CONN_CLOSE_QUEUE_FULL, NULL);
    } else {
        auth_wait(s, auth_failure_delay(s), tell_failure);
    }
    buf_wipe_free(&out);
    buf_wipe_free(&s->auth_token);
    buf_init(&s->auth_token, SASL_TOKEN_MAX + 1);
}

void handle_raw_sasl(struct session *s, struct slice token)
{
    buf_clear(&s->auth_token);
    buf_put_slice(&s->auth_token, slice_of(token.p, token.n < SASL_TOKEN_MAX + 1 ? token.n : SASL_TOKEN_MAX + 1));
    if (buf_error(&s->auth_token)) {
        session_close(s, CONN_CLOSE_NO_MEMORY, NULL);
        return;
    }
    judge_later(s, judge_raw);
}
