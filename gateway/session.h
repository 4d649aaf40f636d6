/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_SESSION_H
#define CASTELLAN_GATEWAY_SESSION_H

#include "core/base/arena.h"
#include "core/wire/client.h"
#include "core/wire/header.h"
#include "gateway/worker.h"

/* One client connection. Frames become pending requests in order; each is answered here or forwarded, and answers leave
 * in the order the requests came, whatever finishes first.
 *
 *   NEW -(mutual TLS)-> READY            NEW -SaslHandshake-> SASL -SaslAuthenticate ok-> READY
 *   which API may be asked in which phase is a column of the API table (gateway/api.c). */
enum session_phase {
    PHASE_CONNECTING, /* TLS handshake */
    PHASE_NEW,        /* nobody yet */
    PHASE_SASL,       /* a mechanism is chosen, SaslAuthenticate follows */
    PHASE_RAW_SASL,   /* SaslHandshake v0: bare tokens follow */
    PHASE_READY,      /* authenticated */
    PHASE_CLOSING,
};

enum { STREAM_ABOVE = 64 << 10 }; /* answers longer than this pass through while they arrive, where they may */
enum { SESSION_PENDING_MAX = 256 };

struct session {
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
    struct pending *auth_request;         /* the SaslAuthenticate; NULL: a bare token, or a certificate */
    struct buf auth_token;                /* the bare token */
    const char *auth_text;                /* what the peer is told */
    int64_t auth_waited_ms;
    uint64_t users_id;        /* mutual TLS: the users its certificate was held against last */
    int64_t certificate_from; /* mutual TLS: when the certificate's time begins, Unix seconds */
    struct pending *head, **tail;
    int pending_count;
    bool paused;            /* too many pending */
    bool busy;              /* a request is still on its way to being forwarded: the next must wait */
    struct loop_timer mute; /* KIP-219 */
    bool muted;
    struct upstream *upstreams;
    struct session *next, **prev;
};

/* A request on its way. */
struct pending {
    struct session *session; /* NULL once the connection is gone: finishing it just frees it */
    struct pending *next;
    const struct api_row *row;
    const struct wire_api *api;
    int16_t key, version; /* as asked for, served or not */
    int32_t correlation_id;
    struct slice client_id;
    struct buf frame;        /* owned; slices of the request point here */
    struct slice body_bytes; /* the request's body as it came */
    struct arena arena;
    void *body;                     /* the decoded request */
    struct buf answer;              /* the frame to send, once done */
    bool frame_spent;               /* once forwarded nobody looks into the request again: its memory goes with it */
    bool streamable;                /* the cluster's answer needs no change and may pass through while it arrives */
    bool streamed;                  /* and it did */
    bool bare;                      /* the answer is the cluster's own frame, without its length bytes */
    struct kafka_client *answering; /* whose frame is at hand; only inside a pending_response_fn */
    bool done, silent;              /* silent: there is no answer (acks=0) */
    bool holds_session;             /* session.busy is on its behalf */
    int64_t throttle_ms;
    int64_t arrived_us;
    struct resolving *resolving;            /* while topic ids are looked up (topic_ids.c) */
    struct schema_job *schema_job;          /* while its records are validated (schema_filter.c) */
    struct asking *resolving_configs;       /* while topics' configurations are asked for (schema_topics.c) */
    void *filter;                           /* the filter's own state, in the arena */
    void (*filter_free)(struct pending *p); /* NULL: nothing to free beyond the arena */
};

/* ---- session.c ---- */
void session_accept(struct worker *w, struct entrance *e, int place, struct accepted a);
void session_close(struct session *s, enum conn_close why, const char *detail);
void session_close_all(struct worker *w);
/* Take no further request for this long (KIP-219): at once, so that requests already sent wait as well. */
void session_mute(struct session *s, int64_t ms);
struct slice session_principal(const struct session *s);
struct slice session_user(const struct session *s); /* without "User:" */
struct slice session_host(const struct session *s);
/* One decision for this session's principal and host, about a name in a request of this API: ERR_OK, or what to answer.
 * Rules and the table of reserved names (reserved.h). A refusal is counted, and now and then logged. */
enum err session_judge(const struct session *s, int16_t api_key, enum acl_type type, enum acl_operation op,
                       struct slice name) MUST_CHECK;
/* The same where a right on the cluster, asked before, stands in for the one on the resource. */
enum err session_judge_by_cluster(const struct session *s, int16_t api_key, enum acl_type type, enum acl_operation op,
                                  struct slice name, bool by_cluster) MUST_CHECK;
/* The same decision, not counted: for what is left out of a list, and for rights that may be absent without a refusal.
 */
enum err session_decide(const struct session *s, int16_t api_key, enum acl_type type, enum acl_operation op,
                        struct slice name, bool by_cluster) MUST_CHECK;
/* Yes or no, where no API makes a difference. session_sees() is not counted: for lists that are filtered, and for
 * rights that are only one of several ways. */
bool session_may(const struct session *s, enum acl_type type, enum acl_operation op, struct slice name);
bool session_sees(const struct session *s, enum acl_type type, enum acl_operation op, struct slice name);

/* ---- pending.c ---- */
/* Answer with the API's response struct; throttle_ms is put in where the response has the field. */
void pending_answer(struct pending *p, void *response);
/* Inside a pending_response_fn: pass the cluster's frame on in its own memory, with our correlation id. */
void pending_relay(struct pending *p);
void pending_silent(struct pending *p); /* done, and nothing is sent */
/* The peer broke the protocol, or the cluster cannot be reached: the connection is closed. Frees the request. */
void pending_fail(struct pending *p, enum conn_close why, const char *detail);
/* The cluster's answer was lost (`lost`; upstream.c says why, once for the connection) or cannot be understood
 * (`wrong`). Frees the request. */
void pending_fail_unanswered(struct pending *p, enum err lost, enum err wrong);

/* The answer of the cluster: body after the response header (null with an error). */
typedef void (*pending_response_fn)(struct pending *p, enum err err, struct slice body);
/* Forward as it came, or a changed request; NULL then: the answer is relayed as it is. */
void pending_forward(struct pending *p, pending_response_fn then);
/* Inside a pending_response_fn: the cluster's answer into the API's response struct. False: the request is finished,
 * because the client left or the answer could not be had or read. */
bool pending_decode(struct pending *p, enum err err, struct slice body, void *response);
void pending_forward_struct(struct pending *p, const void *request, pending_response_fn then);
void pending_forward_silent(struct pending *p, const void *request); /* Produce with acks=0; request NULL: as it came */
/* Ask the cluster something else on the request's behalf (the same connection). */
void pending_ask(struct pending *p, int16_t api_key, int16_t version, const void *request, pending_response_fn then);
/* While a filter waits before the request is forwarded, later requests of the session must not overtake it. */
void pending_hold(struct pending *p);
void pending_release(struct pending *p);
void session_flush(struct session *s);

/* ---- upstream.c ---- */
/* Send on the session's connection to the cluster; `then` NULL: relay the answer. s NULL: the client left. */
void upstream_send(struct session *s, struct pending *p, int16_t api_key, int16_t version, struct slice client_id,
                   struct slice body, bool no_answer, pending_response_fn then);
void upstreams_close(struct session *s);
/* A node was found silent: what any node can answer is asked elsewhere. */
void upstreams_leave_silent(struct session *s);

#endif
