/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_ENGINE_DATA_H
#define CASTELLAN_GATEWAY_ENGINE_DATA_H

#include "acl/quota.h"
#include "core/net/conn.h"
#include "gateway/request/pipeline_data.h"
#include "gateway/request/reserved.h"

struct view;
struct quota_meters;
struct cluster;
struct topic_names;
struct subscriptions;

/* The engine of one worker: runs the steps of its sessions' requests, in turn. Pure: what it cannot do alone it asks of
 * `ops`, and nothing of that calls back before it returns, except request_wake() and request_answered().
 *
 * Turns: principals take turns, then the sessions of one principal, then the requests of one session. A slice is
 * ENGINE_SLICE_UNITS elements of work, a turn of the engine ENGINE_TURN_UNITS; what is left waits until the loop has
 * looked at its sockets. */
enum {
    ENGINE_SLICE_UNITS = 512,
    ENGINE_TURN_UNITS = 2048, /* less than a millisecond: a request has several turns of the loop before it */
    ENGINE_STEP_UNITS = 16,   /* a step counts at least as much */
};

struct engine_send {
    int16_t api_key, version;
    struct slice client_id;
    struct slice body; /* valid during the call, unless `owned` */
    struct buf *owned; /* NULL, or the memory whose last bytes are the body: may be taken */
    bool no_answer;
};

struct engine_ops {
    /* A request's turn has come: may it be, in the phase the session is in? Reads the header by request_read_header(),
     * finds row and versions. NEXT: decode it. DONE: it was answered (r->answer). FAIL: the connection ends. */
    enum step (*admit)(struct request *r);
    /* To the session's node. ERR_OK: request_answered() follows once (not with no_answer). */
    enum err (*send)(struct request *r, const struct engine_send *s) MUST_CHECK;
    /* May the next answer go out? False: later, by pipeline_flush(). */
    bool (*may_answer)(struct pipeline *p);
    /* The next answer in the session's order. */
    enum err (*answer)(struct pipeline *p, struct request *r) MUST_CHECK;
    /* End the connection; pipeline_abandon() follows later. */
    void (*close)(struct pipeline *p, enum conn_close why, const char *detail);
    /* Take no further request for this long (KIP-219). */
    void (*mute)(struct pipeline *p, int64_t ms);
    /* Whether the session may be read has changed: pipeline_may_read(). */
    void (*reading)(struct pipeline *p);
    /* Requests are ready: call engine_run() soon. */
    void (*ready)(struct engine *e);
    /* A right was asked for and not given, or an answer carries a throttle time: counted, and now and then logged. */
    void (*refused)(const struct request *r, enum acl_type type, enum acl_operation op, struct slice name);
    void (*throttled)(const struct request *r, enum quota_key key);
    void (*surplus)(const struct request *r); /* bytes stood behind its end */
    void (*topics_changed)(struct engine *e); /* some topic's configuration may be another one */
    /* A node of the cluster that had no port yet. */
    void (*node_learned)(struct engine *e, int place);
};

struct engine {
    uint32_t magic;
    const struct engine_ops *ops;
    void *owner;             /* of the ops */
    const struct view *view; /* rules, limits, policies; NULL: not there yet, nothing is allowed */
    struct quota_meters *meters;
    struct cluster *cluster;
    struct topic_names *topics;          /* names of topic ids */
    struct subscriptions *subscriptions; /* by pattern; shared by the workers */
    struct reserved_names reserved;
    struct budget *process;          /* memory of all sessions of the process */
    int64_t now_ms;                  /* of the turn */
    int32_t slice_units, turn_units; /* ENGINE_SLICE_UNITS, ENGINE_TURN_UNITS; tests make them small */
    bool running, announced;
    struct request *current; /* whose step runs */
    struct turn ready;       /* ring of principals (struct share) with something to do */
};

#endif
