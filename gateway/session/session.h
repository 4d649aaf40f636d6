/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_SESSION_H
#define CASTELLAN_GATEWAY_SESSION_H

#include "core/wire/client.h"
#include "gateway/request/engine.h"
#include "gateway/session/worker_data.h"

/* One client connection: the edge between sockets and the engine (gateway/request/engine.h). Frames become requests of
 * its pipeline; answers leave in the order the requests came.
 *
 *   NEW -(mutual TLS)-> READY            NEW -SaslHandshake-> SASL -SaslAuthenticate ok-> READY
 *   which API may be asked in which phase is a column of the API table (gateway/api/api.c). */
enum session_phase {
    PHASE_CONNECTING, /* TLS handshake */
    PHASE_NEW,        /* nobody yet */
    PHASE_SASL,       /* a mechanism is chosen, SaslAuthenticate follows */
    PHASE_RAW_SASL,   /* SaslHandshake v0: bare tokens follow */
    PHASE_READY,      /* authenticated */
    PHASE_CLOSING,
};

enum {
    STREAM_PEEK = 16,
    STREAM_ABOVE = 64 << 10
}; /* answers longer than this pass through while they arrive, where they may */

struct session {
    uint32_t magic;
    struct worker *worker;
    struct entrance *entrance;
    int place; /* of the node this port stands for; -1: bootstrap */
    struct conn *conn;
    enum session_phase phase;
    struct client_software software; /* what it says it is */
    struct sasl_session *sasl;
    enum sasl_mechanism mechanism;
    char *principal;            /* "User:alice" once READY */
    char *reauth_principal;     /* who it was, while authenticating again */
    int64_t expires_ms;         /* connections.max.reauth.ms, or the certificate's end; INT64_MAX: never */
    struct loop_timer deadline; /* to say who it is */
    /* Authentication that waits (auth.c): before it is judged, or before its failure is told. */
    struct loop_timer auth_timer;
    void (*auth_then)(struct session *s); /* NULL: nothing waits */
    struct request *auth_request;         /* the SaslAuthenticate or bare token that waits; NULL: none */
    enum { TOKEN_NEW, TOKEN_WAITED, TOKEN_FAILED } token;
    const char *auth_text; /* what the peer is told */
    int64_t auth_waited_ms;
    bool ends_after_answer;   /* a failed authentication is told, then the connection ends */
    uint64_t users_id;        /* mutual TLS: the users its certificate was held against last */
    int64_t certificate_from; /* mutual TLS: when the certificate's time begins, Unix seconds */
    struct pipeline pipeline;
    int64_t receiving; /* bytes its budget counts for a frame that is coming in */
    int64_t wanted;    /* and so many more when it is starved: not read, for there is no memory for that frame */
    bool starved;
    int64_t sending;         /* bytes the process counts for answers that the client does not take */
    struct holder *holder;   /* whose memory it uses: the address's, then the principal's */
    bool held;               /* not read: too much under way, or its answers are not taken */
    struct loop_timer stall; /* its answers are not taken: until when */
    uint64_t stall_out;      /* bytes the peer had taken when `stall` began */
    struct loop_timer mute;  /* KIP-219 */
    bool muted;
    struct upstream *upstreams;
    struct session *next, **prev;
};

/* ---- session.c ---- */
void session_accept(struct worker *w, struct entrance *e, int place, struct accepted a);
void session_close(struct session *s, enum conn_close why, const char *detail);
void session_close_all(struct worker *w);
struct session *session_of(const struct pipeline *p);
struct slice session_principal(const struct session *s);
struct slice session_user(const struct session *s); /* without "User:" */
struct slice session_host(const struct session *s);
/* Who it is is known now: its requests take turns, and memory, with those of its principal. */
void session_is_known(struct session *s);
void session_look_at_reading(struct session *s); /* may it be read? */
void session_feed(struct session *s);            /* there may be memory again */
extern const struct engine_ops session_engine_ops;

/* ---- auth.c, auth_certificate.c ---- */
void auth_session_begins(struct session *s, int64_t waited_ms);
void auth_session_gone(struct session *s);
/* Run `then` after so long, with no frame taken meanwhile; at once when ms <= 0. */
void auth_wait(struct session *s, int64_t ms, void (*then)(struct session *s));
void auth_is_known(struct session *s);
int64_t auth_failure_delay(struct session *s);
enum step auth_take_raw(struct session *s, struct request *r); /* after SaslHandshake v0: a bare token */
void auth_by_certificate(struct session *s);
int64_t auth_certificate_refused(void *user, struct conn *conn); /* in the handshake */
bool auth_certificate_counts(struct session *s);                 /* asked with every request */

/* ---- upstream.c ---- */
/* Send on the session's connection to the cluster; request_answered() follows unless there is no answer. */
enum err upstream_send(struct session *s, struct request *r, const struct engine_send *what) MUST_CHECK;
void upstreams_close(struct session *s);
/* A node was found silent: what any node can answer is asked elsewhere. */
void upstreams_leave_silent(struct session *s);

#endif
