/* SPDX-License-Identifier: Apache-2.0
 * Who is it, by certificate: the principal of a mutual TLS connection. What OpenSSL says of the certificate comes first
 * (signed by our authority, in its time, for clients); then it must give a principal, still be in its time (a resumed
 * session was judged earlier), and not be older than the deletion of the user it names. The last is asked again
 * whenever the users have changed: a connection that never authenticates again must not outlive its user. */
#include "core/base/log.h"
#include "gateway/session/session.h"

#include <stdlib.h>

enum { MS_PER_S = 1000 };

static bool user_counts(const struct session *s)
{
    const struct view *view = s->worker->view;
    return view && users_snapshot_certificate_counts(view->users, session_user(s), s->certificate_from);
}

/* NULL, or why not: for log and audit. */
static const char *judge(struct session *s, int64_t now_s, struct reason *why)
{
    struct x509_st *cert = conn_peer_cert(s->conn);
    struct buf dn, name;
    enum err err;

    if (!cert)
        return "no_certificate";
    if (tls_cert_not_after(cert) <= now_s)
        return "certificate_expired";
    buf_init(&dn, PRINCIPAL_DN_MAX);
    buf_init(&name, PRINCIPAL_DN_MAX + 8);
    err = tls_cert_subject(cert, &dn);
    if (!err)
        err = principal_from_dn(s->worker->gateway->principal_rules, buf_slice(&dn), &name, why);
    if (!err)
        s->principal = strdup(buf_cstr(&name));
    buf_free(&dn);
    buf_free(&name);
    if (!s->principal)
        return "certificate_unmapped";
    s->certificate_from = tls_cert_not_before(cert);
    return user_counts(s) ? NULL : "certificate_of_deleted_user";
}

static void give_up(struct session *s)
{
    session_close(s, CONN_CLOSE_AUTH_FAILED, s->auth_text);
}

void auth_by_certificate(struct session *s)
{
    struct env *env = loop_env(s->worker->loop);
    int64_t now_ms = env->wall_ms(env), ends_ms;
    struct reason why = {0};

    s->auth_text = judge(s, now_ms / MS_PER_S, &why);
    if (s->auth_text) {
        log_warn("%s: the certificate lets nobody in: %s", conn_peer(s->conn), why.code ? why.text : s->auth_text);
        gateway_audit_login(s->worker->gateway->audit, SLICE_NULL, session_host(s), "TLS", s->auth_text);
        free(s->principal);
        s->principal = NULL;
        auth_wait(s, auth_failure_delay(s), give_up);
        return;
    }
    s->users_id = users_snapshot_id(s->worker->view->users);
    ends_ms = tls_cert_not_after(conn_peer_cert(s->conn)) * MS_PER_S;
    if (s->worker->gateway->ends_with_certificate)
        s->expires_ms = loop_now_ms(s->worker->loop) + (ends_ms - now_ms);
    auth_is_known(s);
}

int64_t auth_certificate_refused(void *user, struct conn *conn)
{
    struct session *s = session_checked(user);
    (void)conn;
    return s->entrance->kind == ENTRANCE_SSL ? auth_failure_delay(s) : 0;
}

bool auth_certificate_counts(struct session *s)
{
    const struct view *view = s->worker->view;

    if (s->entrance->kind != ENTRANCE_SSL || s->phase != PHASE_READY || !view ||
        s->users_id == users_snapshot_id(view->users))
        return true;
    s->users_id = users_snapshot_id(view->users);
    if (user_counts(s))
        return true;
    log_warn("%s: %s was deleted: the connection ends", conn_peer(s->conn), s->principal);
    return false;
}
