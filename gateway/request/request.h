/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_REQUEST_H
#define CASTELLAN_GATEWAY_REQUEST_H

#include "acl/acl.h"
#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/net/conn.h"
#include "core/wire/header.h"

/* One request of a client on its way through the gate.
 *
 *   ARRIVED -> DECODING -> GOING -> AWAY -> COMING -> ENCODING -> ANSWERED
 *
 * GOING runs the `start` of every filter that takes part, in the order of the table (gateway/filter/filter.h), AWAY
 * waits for the cluster, COMING runs their `finish` backwards. A request that is answered here goes from GOING to
 * COMING at once. The engine (engine.h) moves requests; filters look at one and say what is next. They have no sockets,
 * clock or threads: what reaches outside is asked of the engine's ops, and its outcome comes back as an event.
 *
 * Memory: everything about a request stands in its arena and its frame, and goes with it. */

enum request_phase {
    REQUEST_ARRIVED, /* waits until those before it in its session are on their way */
    REQUEST_DECODING,
    REQUEST_GOING,
    REQUEST_AWAY, /* with the cluster; the next one of the session may go */
    REQUEST_COMING,
    REQUEST_ENCODING,
    REQUEST_ANSWERED,  /* the answer waits for its turn */
    REQUEST_ABANDONED, /* the client left; freed when all that is under way on its behalf came back */
};
enum { REQUEST_PHASES = REQUEST_ABANDONED + 1 };

/* What a step says. It is called again after `wait` (when the event it waits for came) and after `again`. */
enum step {
    STEP_NEXT,  /* on to the next filter */
    STEP_WAIT,  /* for an event: request_wake() */
    STEP_DONE,  /* the answer is there (or there will be none): no further filter starts */
    STEP_AGAIN, /* its slice is used up: let the other sessions go first */
    STEP_FAIL,  /* request_end() was called: the connection ends */
};

enum { REQUEST_FILTERS_MAX = 8 };

/* A place in a ring of what waits for its turn; in no ring it points to itself. */
struct turn {
    struct turn *next, *prev;
};

struct pipeline;
struct api_row;
struct request_list;

struct request {
    uint32_t magic;
    enum request_phase phase;
    struct engine *engine;
    struct pipeline *pipeline; /* its session's; NULL once the client left */
    struct request *next;      /* of the session, in the order they came */
    struct turn turn;          /* among its session's requests */

    const struct api_row *row;
    const struct wire_api *api;
    int16_t key, version; /* as asked for, served or not */
    int32_t correlation_id;
    struct slice client_id;
    struct buf frame;        /* owned; slices of the request point here */
    struct slice body_bytes; /* of the frame: exactly what was decoded */
    struct arena arena;
    void *body;     /* the decoded request */
    void *response; /* the answer's struct, once there is one */

    unsigned taking;                  /* filters that take part, a bit each */
    int at;                           /* the filter whose turn it is */
    void *state[REQUEST_FILTERS_MAX]; /* each filter's own */
    struct request_list *list;        /* the things it names, each with its fate (list.h) */
    struct slice words;               /* why it is refused as a whole, where the error does not say it; null: it does */
    struct refusal *refusal;          /* it is refused as a whole, and that answer is being made */
    struct owned *owned;              /* to be freed with the request */

    bool changed;                 /* `body` is not what the frame says any more: encode it before it is forwarded */
    bool reads_answer;            /* a filter looks into the cluster's answer: decode it */
    bool frame_spent;             /* nobody looks at the request after it is forwarded: its memory may go with it */
    bool streamable;              /* the cluster's answer may pass through while it arrives */
    bool streamed;                /* and it did */
    bool relayed;                 /* `answer` is the cluster's own frame, without its length */
    bool secret;                  /* its frame holds a secret: wiped before it is freed */
    bool no_answer;               /* acks=0 */
    bool forwarded;               /* it, not a question on its behalf, was sent to the cluster */
    bool over_budget;             /* it is refused for that */
    int waits;                    /* events that must come before it may be freed */
    void (*abandoned)(void *arg); /* told when the client leaves while it waits: what is under way may be cut short */
    void *abandoned_arg;
    bool woken;      /* one came since the step began */
    int64_t charged; /* bytes its session's budget counts for it */
    int64_t throttle_ms;
    int32_t left; /* units of work until its slice is used up */

    /* The one question to the cluster that may be under way: the request itself or one on its behalf. */
    struct {
        bool asked, arrived;
        enum err err;
        struct buf frame; /* the answer; its body begins at `body_at` */
        size_t body_at;
    } call;
    struct buf reply;  /* the cluster's answer to the request itself, once decoded; slices of `response` point here */
    size_t reply_n;    /* bytes of its body */
    struct buf answer; /* the frame to send */
    struct buf forwarding; /* the changed request, while it is encoded */
    struct coding *coding; /* a long message that is decoded or encoded in slices; NULL: none */
};

/* ---- For filters and API steps ---- */

/* Who asks: borrowed from the session, constant while the request is decided. */
struct peer {
    struct slice principal; /* "User:alice" */
    struct slice user;      /* "alice" */
    struct slice host;      /* "127.0.0.1" */
    const char *label;      /* "127.0.0.1:51234", for the log */
    const char *advertised; /* the gateway's host as this listener tells it */
    int32_t port;           /* bootstrap; the node at place i is at port + 1 + i */
};
const struct peer *request_peer(const struct request *r);

/* One decision about a name in this request: ERR_OK, or what to answer. Rules and the table of reserved names
 * (gateway/reserved.h). A refusal is counted, and now and then logged. `by_cluster`: a right on the cluster, asked
 * before, stands in for the one on the name. */
enum err request_judge(const struct request *r, enum acl_type type, enum acl_operation op, struct slice name,
                       bool by_cluster) MUST_CHECK;
/* The same, not counted: for what is left out of a list, and for rights that may be absent without a refusal. */
enum err request_decide(const struct request *r, enum acl_type type, enum acl_operation op, struct slice name,
                        bool by_cluster) MUST_CHECK;
/* As yes or no, where no API makes a difference, and not counted: for lists that are filtered, and rights that are one
 * of several ways. */
bool request_sees(const struct request *r, enum acl_type type, enum acl_operation op, struct slice name);
bool request_may_cluster(const struct request *r, enum acl_operation op); /* counted */
bool request_is_super_user(const struct request *r);
bool request_sees_cluster(const struct request *r, enum acl_operation op); /* not counted */
/* May it do this on any topic at all (KIP-679)? */
bool request_may_any_topic(const struct request *r, enum acl_operation op);
/* The bits of the operations it may do (KIP-430), for *_authorized_operations. */
int32_t request_operations(const struct request *r, enum acl_type type, struct slice name);
enum { OPERATIONS_ABSENT = INT32_MIN };

/* Work was done on `units` elements. True: the slice is used up, return STEP_AGAIN. */
static inline bool request_spent(struct request *r, int32_t units)
{
    r->left -= units;
    return r->left <= 0;
}

/* The answer is this struct (in the arena). Returns STEP_DONE. */
enum step request_reply(struct request *r, void *response);
/* The answer with `err` wherever Kafka's own answer to this request would have it. Returns STEP_DONE or STEP_FAIL; or
 * STEP_AGAIN, and the step is not called again: the engine goes on with the answer. */
enum step request_refuse(struct request *r, enum err err);
enum step request_go_on_refusing(struct request *r); /* for the engine */
/* Nothing of the list is left to forward: its refusals are the answer. Returns STEP_DONE or STEP_FAIL. */
enum step request_answer_list(struct request *r);
/* There is no answer (acks=0). Returns STEP_DONE. */
enum step request_silent(struct request *r);
/* The connection must end: the peer broke the protocol, memory ran out, the cluster is lost. Returns STEP_FAIL. */
enum step request_end(struct request *r, enum conn_close why, const char *detail);
enum step request_no_memory(struct request *r);

/* Ask the cluster on this request's behalf. STEP_WAIT, and when the step is called again r->call has the answer. */
enum step request_ask(struct request *r, int16_t api_key, int16_t version, const void *message);
/* Send the request itself: as it came, or r->body encoded when it was changed. */
enum step request_forward(struct request *r);
/* The question asked was answered: take the answer's body. It lives as long as the request. */
struct slice request_call_body(const struct request *r);

/* Something outside of the engine is under way for this request; request_wake() must follow exactly once, from the
 * worker's thread. It may come before the step that called this returns. */
void request_wait(struct request *r);
void request_wake(struct request *r);
/* Free `p` by `free_fn` when the request goes. False: no memory, and it was freed. */
bool request_own(struct request *r, void *p, void (*free_fn)(void *p));
/* What a text says, kept as long as the request; the error's own text when there are no words. */
struct slice request_words(struct request *r, enum err err, const struct reason *why);

static inline const void *wire_at(const void *m, const struct wire_field *f)
{
    return (const uint8_t *)m + f->offset;
}

#endif
