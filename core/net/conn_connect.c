/* SPDX-License-Identifier: Apache-2.0
 * From a host name to a connected socket: resolve (in libuv's thread pool, addresses at once), then try one address
 * after the other. The whole is under the connection's handshake deadline. A close during resolution detaches the
 * request, whose callback then frees it. */
#include "core/net/conn_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct conn_resolve {
    uv_getaddrinfo_t req;
    struct conn *conn; /* NULL: closed meanwhile */
    char host[256];
    uint16_t port;
    struct addrinfo *found, *next; /* libuv's, freed with the resolve */
    struct sockaddr_storage fixed; /* a numeric address */
    struct addrinfo fixed_info;
    bool running;
};

static void resolve_free(struct conn_resolve *r)
{
    uv_freeaddrinfo(r->found);
    free(r);
}

void conn_connect_cancel(struct conn *c)
{
    struct conn_resolve *r = c->resolve;

    if (!r)
        return;
    c->resolve = NULL;
    if (!r->running) {
        resolve_free(r);
        return;
    }
    r->conn = NULL;
    (void)uv_cancel((uv_req_t *)&r->req);
}

static void fail(struct conn *c, int errnum)
{
    char text[CONN_DETAIL_MAX];
    const struct conn_resolve *r = c->resolve;

    snprintf(text, sizeof text, "cannot connect to %.160s:%u: %s", r->host, r->port, strerror(errnum));
    conn_close(c, CONN_CLOSE_CONNECT_FAILED, text);
}

/* Starts on the next address; after the last one `errnum` is the reason. */
static void try_next(struct conn *c, int errnum)
{
    struct conn_resolve *r = c->resolve;

    for (; r->next; errnum = errno) {
        struct addrinfo *a = r->next;
        struct sockaddr_storage peer = {0};
        int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        r->next = a->ai_next;
        if (fd < 0)
            continue;
        memcpy(&peer, a->ai_addr, a->ai_addrlen < sizeof peer ? a->ai_addrlen : sizeof peer);
        if (a->ai_family == AF_INET6)
            ((struct sockaddr_in6 *)&peer)->sin6_port = htons(r->port);
        else
            ((struct sockaddr_in *)&peer)->sin_port = htons(r->port);
        if (connect(fd, (struct sockaddr *)&peer, a->ai_addrlen) && errno != EINPROGRESS) {
            int e = errno;
            close(fd);
            errno = e;
            continue;
        }
        conn_set_peer(c, &peer);
        if (conn_set_fd(c, fd)) {
            errno = ENOMEM;
            continue;
        }
        conn_watch(c);
        return;
    }
    fail(c, errnum);
}

void conn_connect_ready(struct conn *c)
{
    int e = 0;
    socklen_t n = sizeof e;

    if (getsockopt(conn_fd(c), SOL_SOCKET, SO_ERROR, &e, &n))
        e = errno;
    if (!e && conn_fault(c, "net.connect"))
        e = ECONNREFUSED;
    if (e) {
        conn_drop_fd(c);
        try_next(c, e);
        return;
    }
    conn_connect_cancel(c);
    conn_move(c, CONN_HANDSHAKING);
    conn_established(c);
    if (c->state != CONN_CLOSED)
        conn_watch(c);
}

static void on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *found)
{
    struct conn_resolve *r = req->data;
    struct conn *c = r->conn;
    char text[CONN_DETAIL_MAX];

    r->running = false;
    r->found = r->next = found;
    if (!c) {
        resolve_free(r);
        return;
    }
    if (status || !found) {
        snprintf(text, sizeof text, "cannot resolve %.180s: %s", r->host, status ? uv_strerror(status) : "no address");
        conn_close(c, CONN_CLOSE_RESOLVE_FAILED, text);
        return;
    }
    conn_move(c, CONN_CONNECTING);
    try_next(c, EADDRNOTAVAIL);
}

/* A numeric address needs no thread pool. */
static bool parse_address(struct conn_resolve *r)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&r->fixed;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&r->fixed;

    r->fixed_info.ai_addr = (struct sockaddr *)&r->fixed;
    if (inet_pton(AF_INET, r->host, &v4->sin_addr) == 1) {
        r->fixed.ss_family = AF_INET;
        r->fixed_info.ai_addrlen = sizeof *v4;
    } else if (inet_pton(AF_INET6, r->host, &v6->sin6_addr) == 1) {
        r->fixed.ss_family = AF_INET6;
        r->fixed_info.ai_addrlen = sizeof *v6;
    } else {
        return false;
    }
    r->fixed_info.ai_family = r->fixed.ss_family;
    r->next = &r->fixed_info;
    return true;
}

static void on_start(void *arg)
{
    struct conn *c = arg;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct conn_resolve *r = c->resolve;
    int e;

    if (parse_address(r)) {
        conn_move(c, CONN_CONNECTING);
        try_next(c, EADDRNOTAVAIL);
        return;
    }
    r->running = true;
    e = uv_getaddrinfo(&c->loop->uv, &r->req, on_resolved, r->host, NULL, &hints);
    if (e) {
        r->running = false;
        conn_close(c, CONN_CLOSE_RESOLVE_FAILED, uv_strerror(e));
    }
}

enum err conn_connect(struct conn **out, struct loop *l, const char *host, uint16_t port, const struct conn_opts *opts)
{
    struct conn_opts o = *opts;
    struct conn_resolve *r = calloc(1, sizeof *r);
    struct conn *c;
    enum err err;

    *out = NULL;
    if (!r)
        return ERR_NO_MEMORY;
    if (strlen(host) >= sizeof r->host) {
        free(r);
        return ERR_LIMIT_EXCEEDED;
    }
    if (!o.server_name)
        o.server_name = host;
    err = conn_make(&c, l, false, &o);
    if (err) {
        free(r);
        return err;
    }
    snprintf(r->host, sizeof r->host, "%s", host);
    snprintf(c->peer, sizeof c->peer, "%.40s:%u", host, port);
    snprintf(c->peer_host, sizeof c->peer_host, "%.45s", host);
    r->port = port;
    r->conn = c;
    r->req.data = r;
    c->resolve = r;
    c->state = CONN_RESOLVING;
    /* Starting may close, which only the loop may report: conn_close() defers on_closed, so this is safe here. */
    on_start(c);
    *out = c;
    return ERR_OK;
}
