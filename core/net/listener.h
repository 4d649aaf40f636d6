/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_NET_LISTENER_H
#define CASTELLAN_NET_LISTENER_H

#include "core/net/accept_limit.h"
#include "core/net/loop.h"
#include "core/base/slice.h"
#include <sys/socket.h>

/* A listening address shared by several workers: opened once (so that a port in use is found at start, before any
 * thread runs), then each worker attaches its own SO_REUSEPORT sockets to its own loop.
 * "localhost" listens on 127.0.0.1 and, where the machine has it, ::1, on the same port. */
struct listener;

enum {
    LISTENER_WORKERS_MAX = 256,
    LISTENER_ADDRESSES_MAX = 8,       /* addresses one host name may stand for */
    LISTENER_CONNECTIONS_MAX = 50000, /* default of max_connections */
    LISTENER_BACKLOG = 1024,
    LISTENER_BACKOFF_MS = 100, /* pause of accepting after the process ran out of descriptors */
    LISTENER_LOG_MS = 1000,    /* refusals within this are one line of the log */
};

struct listener_opts {
    const char *host;               /* name or address; "" or "*" is every address */
    uint16_t port;                  /* 0: any free one, listener_port() tells */
    unsigned workers;               /* how many loops will attach; at least 1 */
    int64_t max_connections;        /* Kafka's max.connections; 0: LISTENER_CONNECTIONS_MAX */
    int64_t max_connections_per_ip; /* Kafka's max.connections.per.ip; 0: no limit */
    struct accept_limit *strangers; /* may be shared with other listeners; the listener takes a hold; NULL: no limit */
};

/* A socket that was let in, to be handed to conn_accept() or listener_drop(), which release its place in the counts. */
struct accepted {
    int fd;
    struct listener *from;
    struct sockaddr_storage peer;
    int64_t wait_ms; /* its turn: hand it to conn_accept() so much later */
    bool stranger;   /* counted as one; conn_peer_is_known() ends it */
};

/* ERR_ADDRESS_IN_USE with host:port in the words when the port is taken. */
enum err listener_open(struct listener **out, const struct listener_opts *opts, struct reason *why) MUST_CHECK;
uint16_t listener_port(const struct listener *l);
/* Start accepting for worker number `worker` on its loop (call on that loop's thread, once per worker). */
enum err listener_attach(struct listener *l, unsigned worker, struct loop *loop,
                         void (*on_accept)(void *arg, struct accepted a), void *arg) MUST_CHECK;
void listener_detach(struct listener *l, unsigned worker); /* stop accepting; on that loop's thread */
void listener_free(struct listener *l); /* drops the owner's hold; connections that came from it may live on */

void listener_drop(struct accepted a);
void listener_set_limits(struct listener *l, int64_t max_connections, int64_t max_connections_per_ip); /* live */
int64_t listener_connections(const struct listener *l);

/* "host:port", "[::1]:port", "SSL://host:port" -> parts. `scheme` may be NULL when none is expected; host and scheme
 * are cut into the caller's arrays. */
struct host_port {
    char scheme[32]; /* "" when there was none */
    char host[256];
    uint16_t port;
};
enum err host_port_parse(struct host_port *out, struct slice text, struct reason *why) MUST_CHECK;

#endif
