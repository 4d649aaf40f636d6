/* SPDX-License-Identifier: Apache-2.0
 * Listening sockets for several workers.
 *
 * listener_open() binds everything up front. With SO_REUSEPORT alone a second process of the same user would silently
 * join the group and take half of the connections; so the first socket of each address is bound without it, which fails
 * when anybody has the port, and only then marked, so that the sockets of the other workers can join.
 *
 * Counting: `total` and the per-address counts belong to the whole listener and are guarded by one mutex, taken when a
 * connection comes and when it goes, never on the data path. The listener is freed when its owner and every connection
 * counted in it have let go.
 *
 * Out of descriptors: accept() fails with EMFILE and the socket stays readable, which would spin. The worker stops
 * watching for LISTENER_BACKOFF_MS and says so once. */
#include "core/net/listener_internal.h"

#include "core/base/log.h"
#include "core/base/map.h"
#include "core/base/metrics.h"
#include "core/net/loop_internal.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ACCEPTS_PER_ROUND_MAX = 64, PORT_TRIES_MAX = 16 };

struct acceptor; /* one worker */

struct acceptor_socket {
    uv_poll_t poll;
    struct acceptor *owner;
    int fd;
};

struct acceptor {
    struct listener *listener;
    struct loop *loop;
    void (*on_accept)(void *arg, struct accepted a);
    void *arg;
    struct acceptor_socket sockets[LISTENER_ADDRESSES_MAX];
    unsigned worker, sockets_n, closing_n;
    struct loop_timer backoff;
    struct loop_resident resident;
    bool complained;
    int64_t refused_n, refused_logged_ms; /* since the last line about it; when that was */
};

/* Why a connection was refused: setting, and label of the counter. */
enum refusal {
    REFUSED_NOT,
    REFUSED_TOTAL,
    REFUSED_PER_IP,
    REFUSED_STRANGERS,
    REFUSED_STRANGERS_OF_ADDRESS,
    REFUSED_RATE,
    REFUSED_MEMORY,
    REFUSALS,
};
static const char *const refusal_names[REFUSALS] = {
    [REFUSED_NOT] = "none",
    [REFUSED_TOTAL] = "max.connections",
    [REFUSED_PER_IP] = "max.connections.per.ip",
    [REFUSED_STRANGERS] = "castellan.unauthenticated.connections.max",
    [REFUSED_STRANGERS_OF_ADDRESS] = "castellan.unauthenticated.connections.per.address.max",
    [REFUSED_RATE] = "castellan.connection.creation.rate.per.address",
    [REFUSED_MEMORY] = "memory",
};

struct listener {
    char name[300]; /* host:port, for messages */
    uint16_t port;
    unsigned workers, addresses_n;
    int *fds; /* [worker * addresses_n + address], -1 once an acceptor owns it */
    struct acceptor *acceptors[LISTENER_WORKERS_MAX];
    struct accept_limit *strangers;
    struct metric *refused[REFUSALS];

    pthread_mutex_t lock; /* guards what follows */
    int64_t max_total, max_per_ip, total;
    struct map per_ip; /* address text -> count as pointer-sized integer */
    unsigned holds;    /* the owner, each acceptor, each counted connection */
};

void sockaddr_print(const struct sockaddr_storage *a, char *host, size_t cap, uint16_t *port)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)a;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)a;

    *port = 0;
    if (a->ss_family == AF_INET) {
        inet_ntop(AF_INET, &v4->sin_addr, host, (socklen_t)cap);
        *port = ntohs(v4->sin_port);
    } else if (a->ss_family == AF_INET6) {
        if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
            inet_ntop(AF_INET, &v6->sin6_addr.s6_addr[12], host, (socklen_t)cap);
        else
            inet_ntop(AF_INET6, &v6->sin6_addr, host, (socklen_t)cap);
        *port = ntohs(v6->sin6_port);
    } else {
        snprintf(host, cap, "unix");
    }
}

/* ---- opening ---- */

struct address_list {
    struct sockaddr_storage v[LISTENER_ADDRESSES_MAX];
    unsigned n;
};

static void address_add(struct address_list *list, const struct sockaddr *a, socklen_t n)
{
    struct sockaddr_storage s = {0};

    if (list->n >= LISTENER_ADDRESSES_MAX || n > sizeof s)
        return;
    memcpy(&s, a, n);
    for (unsigned i = 0; i < list->n; i++)
        if (!memcmp(&list->v[i], &s, sizeof s))
            return;
    list->v[list->n++] = s;
}

static enum err resolve(struct address_list *list, const char *host, struct reason *why)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found, *i;
    const struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int e;

    if (!strcmp(host, "localhost")) {
        address_add(list, (const struct sockaddr *)&v4, sizeof v4);
        address_add(list, (const struct sockaddr *)&v6, sizeof v6);
        return ERR_OK;
    }
    e = getaddrinfo(*host && strcmp(host, "*") != 0 ? host : NULL, NULL, &hints, &found);
    if (e)
        return reason_set(why, ERR_BAD_CONFIG, "cannot listen on %s: %s", host, gai_strerror(e));
    for (i = found; i; i = i->ai_next)
        if (i->ai_family == AF_INET || i->ai_family == AF_INET6)
            address_add(list, i->ai_addr, i->ai_addrlen);
    freeaddrinfo(found);
    return list->n ? ERR_OK : reason_set(why, ERR_BAD_CONFIG, "cannot listen on %s: no address", host);
}

/* A bound, listening socket, or -1 with errno. `first`: nobody else may have the port. */
static int open_socket(struct sockaddr_storage *a, uint16_t port, bool first)
{
    bool v6 = a->ss_family == AF_INET6;
    socklen_t n = v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    int one = 1, e;
    int fd = socket(a->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    if (v6)
        ((struct sockaddr_in6 *)a)->sin6_port = htons(port);
    else
        ((struct sockaddr_in *)a)->sin_port = htons(port);
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) ||
        (v6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one)) ||
        (!first && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one)) || bind(fd, (struct sockaddr *)a, n) ||
        (first && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one)) || listen(fd, LISTENER_BACKLOG)) {
        e = errno;
        close(fd);
        errno = e;
        return -1;
    }
    return fd;
}

static uint16_t bound_port(int fd)
{
    struct sockaddr_storage a;
    socklen_t n = sizeof a;
    char host[INET6_ADDRSTRLEN];
    uint16_t port = 0;

    if (!getsockname(fd, (struct sockaddr *)&a, &n))
        sockaddr_print(&a, host, sizeof host, &port);
    return port;
}

static void close_fds(struct listener *l)
{
    for (unsigned i = 0; l->fds && i < l->workers * LISTENER_ADDRESSES_MAX; i++)
        if (l->fds[i] >= 0) {
            close(l->fds[i]);
            l->fds[i] = -1;
        }
}

/* Binds every worker to every address. An address the machine does not have (::1 without IPv6) is passed over as long
 * as one remains. errno tells why it failed. */
static bool open_all(struct listener *l, const struct address_list *list, uint16_t port)
{
    int unavailable = EADDRNOTAVAIL;

    l->addresses_n = 0;
    l->port = port;
    for (unsigned i = 0; i < list->n; i++) {
        for (unsigned w = 0; w < l->workers; w++) {
            struct sockaddr_storage a = list->v[i];
            int fd = open_socket(&a, l->port, w == 0);
            if (fd < 0 && w == 0 && (errno == EADDRNOTAVAIL || errno == EAFNOSUPPORT)) {
                unavailable = errno;
                break;
            }
            if (fd < 0)
                return false;
            l->fds[w * LISTENER_ADDRESSES_MAX + l->addresses_n] = fd;
            if (l->port == 0)
                l->port = bound_port(fd);
            if (w + 1 == l->workers)
                l->addresses_n++;
        }
    }
    errno = unavailable;
    return l->addresses_n > 0;
}

static void listener_destroy(struct listener *l)
{
    close_fds(l);
    free(l->fds);
    map_free(&l->per_ip, NULL);
    accept_limit_free(l->strangers);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

static void count_refusals(struct listener *l)
{
    for (int i = REFUSED_NOT + 1; i < REFUSALS; i++) {
        char labels[96];
        snprintf(labels, sizeof labels, "limit=\"%s\"", refusal_names[i]);
        l->refused[i] = metrics_counter("castellan_connections_refused_total", labels,
                                        "Connections closed as they came, by the limit that said no.");
    }
}

enum err listener_open(struct listener **out, const struct listener_opts *opts, struct reason *why)
{
    struct address_list list = {.n = 0};
    struct listener *l;
    enum err err = resolve(&list, opts->host, why);
    bool ok = false;

    assert(opts->workers >= 1 && opts->workers <= LISTENER_WORKERS_MAX);
    *out = NULL;
    if (err)
        return err;
    l = calloc(1, sizeof *l);
    if (l)
        l->fds = malloc(sizeof *l->fds * opts->workers * LISTENER_ADDRESSES_MAX);
    if (!l || !l->fds) {
        free(l);
        return reason_set(why, ERR_NO_MEMORY, "no memory for a listener");
    }
    memset(l->fds, 0xff, sizeof *l->fds * opts->workers * LISTENER_ADDRESSES_MAX);
    l->workers = opts->workers;
    l->holds = 1;
    pthread_mutex_init(&l->lock, NULL);
    map_init(&l->per_ip);
    listener_set_limits(l, opts->max_connections, opts->max_connections_per_ip);
    l->strangers = accept_limit_hold(opts->strangers);
    count_refusals(l);
    /* A free port of the first address may be taken on the second: try others. */
    for (int tries = 0; !ok && tries < (opts->port ? 1 : PORT_TRIES_MAX); tries++) {
        ok = open_all(l, &list, opts->port);
        if (!ok) {
            int e = errno;
            close_fds(l);
            errno = e;
            if (e != EADDRINUSE)
                break;
        }
    }
    if (!ok) {
        int e = errno;
        if (e == EADDRINUSE)
            err = reason_set(why, ERR_ADDRESS_IN_USE, "cannot listen on %s:%u: the port is in use by another process",
                             opts->host, opts->port);
        else
            err = reason_set(why, err_from_errno(e), "cannot listen on %s:%u: %s", opts->host, opts->port, strerror(e));
        listener_destroy(l);
        return err;
    }
    snprintf(l->name, sizeof l->name, "%s:%u", opts->host, l->port);
    *out = l;
    return ERR_OK;
}

uint16_t listener_port(const struct listener *l)
{
    return l->port;
}

/* ---- counting ---- */

void listener_set_limits(struct listener *l, int64_t max_connections, int64_t max_connections_per_ip)
{
    pthread_mutex_lock(&l->lock);
    l->max_total = max_connections > 0 ? max_connections : LISTENER_CONNECTIONS_MAX;
    l->max_per_ip = max_connections_per_ip > 0 ? max_connections_per_ip : INT64_MAX;
    pthread_mutex_unlock(&l->lock);
}

int64_t listener_connections(const struct listener *l)
{
    struct listener *m = (struct listener *)l;
    int64_t n;

    pthread_mutex_lock(&m->lock);
    n = l->total;
    pthread_mutex_unlock(&m->lock);
    return n;
}

static struct slice peer_key(const struct sockaddr_storage *peer, char *text, size_t cap)
{
    uint16_t port;

    sockaddr_print(peer, text, cap, &port);
    return slice_str(text);
}

static enum refusal refusal_of(enum accept_verdict v)
{
    switch (v) {
    case ACCEPT_IN:
        return REFUSED_NOT;
    case ACCEPT_TOO_MANY:
        return REFUSED_STRANGERS;
    case ACCEPT_TOO_MANY_OF_ADDRESS:
        return REFUSED_STRANGERS_OF_ADDRESS;
    case ACCEPT_TOO_FAST:
        return REFUSED_RATE;
    case ACCEPT_NO_MEMORY:
        return REFUSED_MEMORY;
    }
    return REFUSED_MEMORY;
}

static enum refusal enter(struct listener *l, struct accepted *a, int64_t now_us)
{
    struct address_group group = address_group_of(&a->peer);
    char text[INET6_ADDRSTRLEN];
    struct slice key = peer_key(&a->peer, text, sizeof text);
    enum refusal why = REFUSED_NOT;
    intptr_t n;

    pthread_mutex_lock(&l->lock);
    n = (intptr_t)map_get(&l->per_ip, key);
    if (l->total >= l->max_total)
        why = REFUSED_TOTAL;
    else if (n >= l->max_per_ip)
        why = REFUSED_PER_IP;
    else
        why = refusal_of(accept_limit_enter(l->strangers, &group, now_us, &a->wait_ms));
    if (!why && map_put(&l->per_ip, key, (void *)(n + 1), NULL)) {
        accept_limit_known(l->strangers, &group);
        why = REFUSED_MEMORY;
    }
    if (!why) {
        a->stranger = true;
        l->total++;
        l->holds++;
    }
    pthread_mutex_unlock(&l->lock);
    return why;
}

static void release(struct listener *l)
{
    bool last;

    pthread_mutex_lock(&l->lock);
    last = --l->holds == 0;
    pthread_mutex_unlock(&l->lock);
    if (last)
        listener_destroy(l);
}

void listener_peer_is_known(struct accepted *a)
{
    struct address_group group = address_group_of(&a->peer);

    if (a->stranger)
        accept_limit_known(a->from->strangers, &group);
    a->stranger = false;
}

void listener_leave(const struct accepted *a)
{
    struct accepted copy = *a;
    struct listener *l = a->from;
    char text[INET6_ADDRSTRLEN];
    struct slice key = peer_key(&a->peer, text, sizeof text);
    intptr_t n;

    listener_peer_is_known(&copy);
    pthread_mutex_lock(&l->lock);
    l->total--;
    n = (intptr_t)map_get(&l->per_ip, key);
    if (n <= 1)
        (void)map_remove(&l->per_ip, key);
    else if (map_put(&l->per_ip, key, (void *)(n - 1), NULL))
        assert(!"replacing a value needs no memory");
    pthread_mutex_unlock(&l->lock);
    release(l);
}

void listener_drop(struct accepted a)
{
    close(a.fd);
    listener_leave(&a);
}

/* ---- accepting ---- */

static void on_readable(uv_poll_t *poll, int status, int events);

static void acceptor_watch(struct acceptor *w, bool on)
{
    for (unsigned i = 0; i < w->sockets_n; i++) {
        if (on)
            uv_poll_start(&w->sockets[i].poll, UV_READABLE, on_readable);
        else
            uv_poll_stop(&w->sockets[i].poll);
    }
}

static void on_backoff_over(void *arg)
{
    struct acceptor *w = arg;
    acceptor_watch(w, true);
}

static void out_of_resources(struct acceptor *w, int e)
{
    if (!w->complained)
        log_error("%s: cannot accept connections: %s; trying again every %d ms", w->listener->name, strerror(e),
                  LISTENER_BACKOFF_MS);
    w->complained = true;
    acceptor_watch(w, false);
    loop_timer_start(&w->backoff, LISTENER_BACKOFF_MS);
}

/* One line a second at the most: who floods must not fill the log as well. */
static void refuse(struct acceptor *w, int fd, enum refusal why)
{
    int64_t now_ms = loop_now_ms(w->loop);

    close(fd);
    metric_add(w->listener->refused[why], 1);
    w->refused_n++;
    if (w->refused_logged_ms && now_ms - w->refused_logged_ms < LISTENER_LOG_MS)
        return;
    log_warn("%s: %lld connections refused by %s", w->listener->name, (long long)w->refused_n, refusal_names[why]);
    w->refused_n = 0;
    w->refused_logged_ms = now_ms;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct acceptor_socket *s = poll->data;
    struct acceptor *w = s->owner;
    struct listener *l = w->listener;

    (void)events;
    if (status < 0)
        return;
    for (int i = 0; i < ACCEPTS_PER_ROUND_MAX && w->loop && !uv_is_closing((uv_handle_t *)poll); i++) {
        struct accepted a = {.from = l};
        socklen_t n = sizeof a.peer;
        enum refusal why;

        a.fd = accept4(s->fd, (struct sockaddr *)&a.peer, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (a.fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
                out_of_resources(w, errno);
            if (errno == EINTR || errno == ECONNABORTED)
                continue;
            return;
        }
        w->complained = false;
        why = enter(l, &a, loop_env(w->loop)->mono_us(loop_env(w->loop)));
        if (why) {
            refuse(w, a.fd, why);
            continue;
        }
        w->on_accept(w->arg, a);
    }
}

static void on_socket_closed(uv_handle_t *h)
{
    struct acceptor_socket *s = h->data;
    struct acceptor *w = s->owner;

    if (--w->closing_n == 0)
        free(w);
}

static void acceptor_close(void *arg)
{
    struct acceptor *w = arg;

    loop_timer_stop(&w->backoff);
    loop_unsettle(&w->resident);
    w->loop = NULL;
    w->closing_n = w->sockets_n;
    w->listener->acceptors[w->worker] = NULL;
    release(w->listener);
    if (w->sockets_n == 0) {
        free(w);
        return;
    }
    for (unsigned i = 0; i < w->sockets_n; i++) {
        uv_close((uv_handle_t *)&w->sockets[i].poll, on_socket_closed);
        close(w->sockets[i].fd);
    }
}

enum err listener_attach(struct listener *l, unsigned worker, struct loop *loop,
                         void (*on_accept)(void *arg, struct accepted a), void *arg)
{
    struct acceptor *w = calloc(1, sizeof *w);

    assert(worker < l->workers && !l->acceptors[worker]);
    if (!w)
        return ERR_NO_MEMORY;
    w->listener = l;
    w->worker = worker;
    w->loop = loop;
    w->on_accept = on_accept;
    w->arg = arg;
    loop_timer_init(&w->backoff, loop, on_backoff_over, w);
    for (unsigned i = 0; i < l->addresses_n; i++) {
        struct acceptor_socket *s = &w->sockets[i];
        int *fd = &l->fds[worker * LISTENER_ADDRESSES_MAX + i];
        s->owner = w;
        s->fd = *fd;
        s->poll.data = s;
        if (uv_poll_init(&loop->uv, &s->poll, s->fd))
            break;
        *fd = -1;
        w->sockets_n++;
    }
    l->acceptors[worker] = w;
    pthread_mutex_lock(&l->lock);
    l->holds++;
    pthread_mutex_unlock(&l->lock);
    w->resident.evict = acceptor_close;
    w->resident.arg = w;
    loop_settle(loop, &w->resident);
    if (w->sockets_n != l->addresses_n) {
        acceptor_close(w);
        return ERR_IO;
    }
    acceptor_watch(w, true);
    return ERR_OK;
}

void listener_detach(struct listener *l, unsigned worker)
{
    if (l->acceptors[worker])
        acceptor_close(l->acceptors[worker]);
}

void listener_free(struct listener *l)
{
    if (!l)
        return;
    release(l);
}
