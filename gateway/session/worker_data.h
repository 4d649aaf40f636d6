/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_WORKER_DATA_H
#define CASTELLAN_GATEWAY_WORKER_DATA_H

#include "acl/principal.h"
#include "acl/quota_meter.h"
#include "acl/sasl_server.h"
#include "core/base/log_limit.h"
#include "core/base/map.h"
#include "core/base/metrics.h"
#include "core/net/conn.h"
#include "core/wire/record_unpack.h"
#include "crypto/key_client.h"
#include "gateway/cluster/cluster.h"
#include "gateway/audit.h"
#include "gateway/counters.h"
#include "gateway/filter/heavy.h"
#include "gateway/knowledge.h"
#include "gateway/refusals.h"
#include "gateway/request/engine_data.h"
#include "gateway/request/topic_names.h"
#include "gateway/request/reserved.h"
#include "gateway/session/door.h"
#include "gateway/session/holders.h"

#include <pthread.h>
#include <stdatomic.h>

/* A worker: one thread, one loop, its share of the client connections. A session and its upstream connections stay on
 * one worker, so the data path takes no lock. */
enum { WORKERS_MAX = 64, GATEWAY_LISTENERS_MAX = 4, MEMORY_WATCH_MS = 20 /* between looks at who may be read again */ };

enum entrance_kind { ENTRANCE_SASL_SSL, ENTRANCE_SSL, ENTRANCE_SASL_PLAINTEXT };

/* One configured listener: a bootstrap port and, after it, a port for each node of the cluster. */
struct entrance {
    enum entrance_kind kind;
    char host[256];       /* listened on */
    char advertised[256]; /* told to clients */
    uint16_t port;        /* the bootstrap port; node at place i is at port + 1 + i */
    struct tls *tls;
    struct listener *listeners[1 + CLUSTER_NODES_MAX]; /* 0: bootstrap */
};

struct control; /* gateway.c */

struct gateway {
    struct control *control; /* the loop that watches the cluster */
    /* Opens the node's ports on every entrance and attaches them to all workers. Any thread. */
    void (*node_learned)(struct gateway *g, int place);
    struct settings *settings;
    struct cluster cluster;
    struct entrance entrances[GATEWAY_LISTENERS_MAX];
    int entrance_count;
    struct tls *tls_upstream;
    struct principal_rules *principal_rules;
    struct knowledge *knowledge;
    struct audit_log *audit; /* NULL: none */
    struct door door;
    struct quota_meters *meters;
    struct subscriptions *subscriptions; /* by pattern, of consumer groups */
    struct schemas *schemas;             /* what the registry knows */
    struct dead_letters *dead_letters;   /* where bad records go */
    struct node_watch *watch;            /* NULL: not started */
    struct work_pool *pool;              /* threads for what would hold a worker too long (heavy.h) */
    struct record_unpack_limits unpack_limits;
    struct gateway_counters counters; /* looked up once, added to without a lock */
    _Atomic uint64_t topic_changes;   /* configurations of topics changed through this gateway, and when last */
    _Atomic int64_t topic_changed_ms;
    bool mechanisms[SASL_MECHANISMS];
    struct key_keeper *keeper; /* keeps the workers' key leases; NULL without a key process */
    struct worker *workers;
    int worker_count;
    int64_t idle_ms;
    uint32_t frame_max;
    struct holders holders; /* memory by principal, and of the process */
    int64_t request_memory_max, session_memory_max, session_memory_reserve, write_stall_ms;
    struct reserved_names reserved; /* as configured */
    bool ends_with_certificate;     /* castellan.ssl.close.when.certificate.expires */
    int64_t reauth_ms;              /* connections.max.reauth.ms; 0: never */
    const char *keyd_socket;        /* NULL: no key process; protected topics are then refused */
    const char *keyd_admin_socket;  /* NULL: nobody can be forgotten through this gateway */
};

struct worker {
    struct gateway *gateway;
    int index;
    pthread_t thread;
    struct loop *loop;
    struct view *view;              /* the current one */
    _Atomic(struct view *) offered; /* the next one, until the worker takes it */
    struct loop_task take, end, leave;
    atomic_bool taking, leaving; /* `take`, `leave` is posted */
    struct key_client *keys;
    struct schema_topics *schema_topics;   /* what topics ask of their data (schema_topics.h) */
    struct refusals *refusals, *throttles; /* by principal */
    struct engine engine;                  /* runs the sessions' requests */
    struct loop_deferred *turn;            /* its next turn */
    struct topic_names topics;             /* of topic ids, learned from Metadata answers */
    struct map shares;                     /* of principals: struct share */
    struct loop_timer memory;              /* while sessions are not read for want of memory */
    struct log_limit not_served;           /* lines about what clients ask for and is not served */
    bool stopping;                         /* takes no more connections: what would serve them is going */
    struct session *sessions;
    struct parked *parked;        /* connections whose turn has not come (parked.c) */
    _Atomic size_t session_count; /* the status page reads it from another thread */
    struct attach *attached;      /* the listeners it accepts from */
};

bool gateway_is_ready(struct gateway *g, struct reason *why); /* gateway.c */

#endif
