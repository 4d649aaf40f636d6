/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_REQUEST_DATA_H
#define CASTELLAN_GATEWAY_REQUEST_DATA_H

#include "core/base/arena.h"
#include "core/base/buf.h"
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

/* Who asks: borrowed from the session, constant while the request is decided. */
struct peer {
    struct slice principal; /* "User:alice" */
    struct slice user;      /* "alice" */
    struct slice host;      /* "127.0.0.1" */
    const char *label;      /* "127.0.0.1:51234", for the log */
    const char *advertised; /* the gateway's host as this listener tells it */
    int32_t port;           /* bootstrap; the node at place i is at port + 1 + i */
};
/* Work was done on `units` elements. True: the slice is used up, return STEP_AGAIN. */
static inline bool request_spent(struct request *r, int32_t units)
{
    r->left -= units;
    return r->left <= 0;
}

static inline const void *wire_at(const void *m, const struct wire_field *f)
{
    return (const uint8_t *)m + f->offset;
}

#endif
