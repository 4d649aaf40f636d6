/* SPDX-License-Identifier: Apache-2.0
 * Who is it: ApiVersions (allowed to everybody, KIP-511), SaslHandshake and SaslAuthenticate (KIP-43, KIP-152), and the
 * bare tokens of SaslHandshake v0. The mechanisms are acl/sasl_server.h's. A failed authentication is answered with
 * SASL_AUTHENTICATION_FAILED and Kafka's text, then the connection ends; when, is the failure limiter's to say
 * (door.h): the token that decides waits before it is judged where its address has failed too often, and a failure
 * waits before it is told. Meanwhile the session takes no frame and a timer of the loop runs. An authenticated session
 * may authenticate again as the same principal (KIP-368) where connections.max.reauth.ms asks for it; else both
 * requests are answered with ILLEGAL_SASL_STATE, as by Kafka, and the session goes on. Certificates of mutual TLS are
 * auth_certificate.c's. */
#include "core/base/log.h"
#include "gateway/api/api.h"
#include "gateway/api/steps.h"
#include "gateway/session/door.h"
#include "gateway/session/session.h"
#include "gateway/request/list.h"
#include "gateway/request/request.h"
#include "wire/api_versions.h"
#include "wire/sasl_authenticate.h"
#include "wire/sasl_handshake.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- ApiVersions ---- */

enum { FEATURES_SINCE = 3 };

static int32_t rows(void)
{
    int32_t n = 0;

    while (api_at((size_t)n))
        n++;
    return n;
}

/* What the clients of Kafka decide by, as transactions of version 2 (KIP-890): what every node behind does. */
static bool list_features(struct request *r, struct api_versions_response *resp)
{
    struct feature_set s;

    if (r->version < FEATURES_SINCE)
        return true;
    cluster_features(r->engine->cluster, &s);
    return feature_set_write(&s, resp, r->version, &r->arena) == ERR_OK;
}

static void list_apis(struct request *r, struct api_versions_response *resp)
{
    const struct api_row *row;

    resp->api_keys.n = 0;
    for (size_t i = 0; (row = api_at(i)); i++) {
        struct api_versions_response_api_version *a = &resp->api_keys.v[resp->api_keys.n];
        if ((resp->error_code && row->key != WIRE_API_VERSIONS) ||
            !api_versions(r->engine->cluster, row, &a->min_version, &a->max_version))
            continue;
        a->api_key = row->key;
        if (row->key == WIRE_PRODUCE)
            a->min_version = 0; /* KAFKA-18659: old librdkafka decides its features by it */
        resp->api_keys.n++;
    }
}

enum step api_versions_answer(struct request *r)
{
    const struct api_versions_request *req = r->body;
    struct api_versions_response *resp = arena_alloc(&r->arena, sizeof *resp);

    if (!resp)
        return request_no_memory(r);
    api_versions_response_init(resp);
    if (!req) { /* a version nobody knows: a v0 answer that tells which ones are known */
        resp->error_code = ERR_UNSUPPORTED_VERSION;
        r->version = 0;
    } else if (r->version >= 3 && (!client_software_is_valid(req->client_software_name) ||
                                   !client_software_is_valid(req->client_software_version))) {
        resp->error_code = ERR_INVALID_REQUEST;
        return request_reply(r, resp);
    } else if (r->version >= 3) {
        client_software_set(&session_of(r->pipeline)->software, req->client_software_name,
                            req->client_software_version);
    }
    if (!api_versions_response_api_version_array_alloc(&resp->api_keys, rows(), &r->arena))
        return request_no_memory(r);
    list_apis(r, resp);
    if (!resp->error_code && !list_features(r, resp))
        return request_no_memory(r);
    return request_reply(r, resp);
}

/* ---- SASL ---- */

static void count_auth(struct session *s, enum sasl_reason reason)
{
    metric_add(s->worker->gateway->counters.authentications[s->mechanism][reason], 1);
}

static enum err begin_sasl(struct session *s, struct slice mechanism, int16_t version)
{
    struct sasl_session *begun;
    enum sasl_mechanism m;
    struct reason why = {0};

    if (!sasl_mechanism_parse(mechanism, &m) || !s->worker->gateway->mechanisms[m]) {
        log_warn("%s: unsupported SASL mechanism %.*s", conn_peer(s->conn), SLICE_FMT(mechanism));
        return ERR_UNSUPPORTED_SASL_MECHANISM;
    }
    if (!s->worker->view || sasl_session_new(&begun, m, &why)) {
        log_error("SASL cannot start: %s", why.code ? why.text : "the users are not loaded yet");
        return ERR_BROKER_NOT_AVAILABLE;
    }
    sasl_session_free(s->sasl); /* a handshake that led nowhere */
    s->sasl = begun;
    s->mechanism = m;
    if (s->phase == PHASE_READY) {
        s->reauth_principal = s->principal;
        s->principal = NULL;
    }
    s->phase = version == 0 ? PHASE_RAW_SASL : PHASE_SASL;
    return ERR_OK;
}

/* There is nothing to authenticate: a certificate did that, or it was done and need not be done again. */
static bool is_settled(const struct session *s)
{
    return s->entrance->kind == ENTRANCE_SSL || (s->phase == PHASE_READY && s->worker->gateway->reauth_ms <= 0);
}

enum step sasl_handshake_answer(struct request *r)
{
    const struct sasl_handshake_request *req = r->body;
    struct session *s = session_of(r->pipeline);
    struct sasl_handshake_response *resp = arena_alloc(&r->arena, sizeof *resp);
    struct slice *names = arena_array(&r->arena, SASL_MECHANISMS, sizeof *names);

    if (!resp || !names)
        return request_no_memory(r);
    sasl_handshake_response_init(resp);
    if (is_settled(s)) {
        resp->error_code = ERR_ILLEGAL_SASL_STATE;
        return request_reply(r, resp);
    }
    resp->mechanisms.v = names;
    for (int i = 0; i < SASL_MECHANISMS; i++)
        if (s->worker->gateway->mechanisms[i])
            names[resp->mechanisms.n++] = slice_str(sasl_mechanism_name((enum sasl_mechanism)i));
    resp->error_code = err_kafka(begin_sasl(s, req->mechanism, r->version));
    return request_reply(r, resp);
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
    s->auth_waited_ms = waited_ms;
}

void auth_session_gone(struct session *s)
{
    struct request *r = s->auth_request;

    loop_timer_stop(&s->auth_timer);
    loop_timer_stop(&s->deadline);
    s->auth_request = NULL;
    if (r)
        request_wake(r); /* nothing waits for it any more */
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
    session_is_known(s);
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

static void go_on(struct session *s)
{
    struct request *r = s->auth_request;

    s->auth_request = NULL;
    request_wake(r);
}

/* The step of this request is called again after so long. */
static enum step wait_for(struct session *s, struct request *r, int64_t ms)
{
    assert(!s->auth_request && !s->auth_then);
    request_wait(r);
    s->auth_request = r;
    auth_wait(s, ms, go_on);
    return STEP_WAIT;
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

/* One token: before it is judged it may have to wait, and before its failure is told. NEXT: `out` has the answer. DONE:
 * it failed, s->auth_text says how. WAIT. */
static enum step judge(struct session *s, struct request *r, struct slice token, struct buf *out)
{
    struct address_group from = address_of(s);

    r->secret = true;
    switch (s->token) {
    case TOKEN_NEW:
        s->auth_waited_ms = sasl_session_decides_next(s->sasl) ? door_before(&s->worker->gateway->door, &from) : 0;
        s->token = TOKEN_WAITED;
        if (s->auth_waited_ms > 0)
            return wait_for(s, r, s->auth_waited_ms);
        return judge(s, r, token, out);
    case TOKEN_WAITED:
        s->token = TOKEN_NEW;
        if (take_token(s, token, out, &s->auth_text))
            return STEP_NEXT;
        s->token = TOKEN_FAILED;
        return wait_for(s, r, auth_failure_delay(s));
    case TOKEN_FAILED:
        break;
    }
    s->token = TOKEN_NEW;
    return STEP_DONE;
}

static enum step refuse(struct request *r, struct session *s, enum err code, const char *text)
{
    struct sasl_authenticate_response *resp = arena_alloc(&r->arena, sizeof *resp);

    if (!resp)
        return request_no_memory(r);
    sasl_authenticate_response_init(resp);
    resp->auth_bytes = slice_of("", 0);
    resp->error_code = err_kafka(code);
    resp->error_message = slice_str(text);
    s->auth_text = text;
    s->ends_after_answer = s->phase != PHASE_READY;
    return request_reply(r, resp);
}

enum step sasl_authenticate_answer(struct request *r)
{
    const struct sasl_authenticate_request *req = r->body;
    struct session *s = session_of(r->pipeline);
    struct sasl_authenticate_response *resp;
    enum step step;
    struct buf out;

    if (s->phase == PHASE_READY)
        return refuse(r, s, ERR_ILLEGAL_SASL_STATE,
                      "SaslAuthenticate request received after successful authentication");
    if (s->phase != PHASE_SASL || !s->sasl) {
        log_warn("%s: SaslAuthenticate without a SaslHandshake before it", conn_peer(s->conn));
        return refuse(r, s, ERR_ILLEGAL_SASL_STATE,
                      "SaslAuthenticate request received without a SaslHandshake before it");
    }
    resp = arena_alloc(&r->arena, sizeof *resp);
    if (!resp)
        return request_no_memory(r);
    buf_init(&out, 0);
    step = judge(s, r, req->auth_bytes, &out);
    if (step == STEP_DONE)
        step = refuse(r, s, ERR_SASL_AUTHENTICATION_FAILED, s->auth_text);
    if (step == STEP_NEXT) {
        sasl_authenticate_response_init(resp);
        resp->auth_bytes = arena_copy(&r->arena, buf_slice(&out));
        if (out.n == 0)
            resp->auth_bytes = slice_of("", 0);
        if (s->phase == PHASE_READY)
            resp->session_lifetime_ms = s->worker->gateway->reauth_ms;
        step = request_reply(r, resp);
    }
    buf_wipe_free(&out);
    return step;
}

enum step auth_take_raw(struct session *s, struct request *r)
{
    struct slice token = slice_of(r->frame.p, r->frame.n < SASL_TOKEN_MAX + 1 ? r->frame.n : SASL_TOKEN_MAX + 1);
    enum step step;
    struct buf out;

    buf_init(&out, 0);
    step = judge(s, r, token, &out);
    if (step == STEP_DONE)
        step = request_end(r, CONN_CLOSE_AUTH_FAILED, s->auth_text);
    if (step == STEP_NEXT) {
        buf_put_slice(&r->answer, buf_slice(&out));
        r->relayed = true; /* the token alone, behind its length */
        step = buf_error(&r->answer) ? request_no_memory(r) : STEP_DONE;
    }
    buf_wipe_free(&out);
    return step;
}
