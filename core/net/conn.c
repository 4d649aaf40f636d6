/* SPDX-License-Identifier: Apache-2.0
 * The life of a connection.
 *
 * States move along the table `moves` only. One timer serves the state: connect and handshake deadline, idleness, the
 * deadline of the last flush. Idleness is checked lazily: bytes only stamp the time, the timer looks at the stamp when
 * it fires and starts again, so the data path never touches the timer heap.
 *
 * conn_close() lets go of socket, queue and timer at once, but the memory and the on_closed call wait for the loop's
 * deferred work, so callers up the stack may still hold the pointer. The uv_poll handle is an object of its own because
 * libuv needs it a little longer than the connection lives. */
#include "core/net/conn_internal.h"

#include <arpa/inet.h>
#include <assert.h>
#include <linux/sockios.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct conn_io {
    uv_poll_t poll;
    struct conn *conn; /* NULL once let go */
    int fd;
};

static const uint8_t moves[] = {
    [CONN_RESOLVING] = 1 << CONN_CONNECTING | 1 << CONN_CLOSED,
    [CONN_CONNECTING] = 1 << CONN_HANDSHAKING | 1 << CONN_CLOSED,
    [CONN_HANDSHAKING] = 1 << CONN_OPEN | 1 << CONN_LINGERING | 1 << CONN_CLOSED,
    [CONN_OPEN] = 1 << CONN_FLUSHING | 1 << CONN_LINGERING | 1 << CONN_CLOSED,
    [CONN_FLUSHING] = 1 << CONN_LINGERING | 1 << CONN_CLOSED,
    [CONN_LINGERING] = 1 << CONN_CLOSED,
    [CONN_CLOSED] = 0,
};

void conn_move(struct conn *c, enum conn_state to)
{
    assert(c->magic == CONN_MAGIC);
    assert(moves[c->state] & 1 << to);
    c->state = to;
}

bool conn_fault(struct conn *c, const char *point)
{
    struct env *e = loop_env(c->loop);
    return e->fault && e->fault(e, point);
}

/* ---- socket ---- */

static void on_io_closed(uv_handle_t *h)
{
    free(h->data);
}

void conn_drop_fd(struct conn *c)
{
    struct conn_io *io = c->io;

    if (!io)
        return;
    c->io = NULL;
    c->watched = 0;
    io->conn = NULL;
    uv_close((uv_handle_t *)&io->poll, on_io_closed);
    close(io->fd);
}

int conn_fd(const struct conn *c)
{
    return c->io ? c->io->fd : -1;
}

enum err conn_set_fd(struct conn *c, int fd)
{
    struct conn_io *io = calloc(1, sizeof *io);
    int one = 1, e;

    if (!io) {
        close(fd);
        return ERR_NO_MEMORY;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* fails on Unix sockets, rightly */
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    e = uv_poll_init(&c->loop->uv, &io->poll, fd);
    if (e) {
        free(io);
        close(fd);
        return err_from_errno(-e);
    }
    io->poll.data = io;
    io->conn = c;
    io->fd = fd;
    c->io = io;
    return ERR_OK;
}

void conn_set_peer(struct conn *c, const struct sockaddr_storage *peer)
{
    uint16_t port;

    sockaddr_print(peer, c->peer_host, sizeof c->peer_host, &port);
    if (peer->ss_family == AF_INET || peer->ss_family == AF_INET6)
        snprintf(c->peer, sizeof c->peer,
                 peer->ss_family == AF_INET6 && strchr(c->peer_host, ':') ? "[%s]:%u" : "%s:%u", c->peer_host, port);
    else
        snprintf(c->peer, sizeof c->peer, "unix");
}

static void on_poll(uv_poll_t *poll, int status, int events);

bool conn_wants_read(const struct conn *c)
{
    switch (c->state) {
    case CONN_RESOLVING:
    case CONN_CONNECTING:
    case CONN_FLUSHING:
    case CONN_CLOSED:
        return false;
    case CONN_HANDSHAKING:
        return c->ssl != NULL;
    case CONN_OPEN:
        return c->paused == 0 && !c->stream_wait;
    case CONN_LINGERING:
        return true;
    }
    return false;
}

void conn_watch(struct conn *c)
{
    int want = 0;

    if (!c->io)
        return;
    if (conn_wants_read(c))
        want |= UV_READABLE;
    if (c->blocked || c->state == CONN_CONNECTING)
        want |= UV_WRITABLE;
    if (want == c->watched)
        return;
    c->watched = want;
    if (want)
        uv_poll_start(&c->io->poll, want, on_poll);
    else
        uv_poll_stop(&c->io->poll);
}

/* The peer answered our FIN or sends on regardless; either way nothing of it matters any more. */
static void linger_read(struct conn *c)
{
    for (int i = 0; i < 16; i++) {
        ssize_t n = recv(conn_fd(c), c->loop->scratch, LOOP_SCRATCH_SIZE, 0);
        if (n > 0)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        conn_close(c, c->why, c->detail);
        return;
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct conn_io *io = poll->data;
    struct conn *c = io->conn;

    if (!c)
        return;
    if (status < 0) { /* libuv stopped the poll: the socket has an error to tell, perhaps bytes before it */
        c->watched = 0;
        events = UV_READABLE | UV_WRITABLE;
    }
    if (c->state == CONN_CONNECTING) {
        conn_connect_ready(c);
        return;
    }
    if (status >= 0 && events & UV_WRITABLE) {
        c->blocked = false;
        conn_flush(c);
    }
    if (events & UV_READABLE && c->state != CONN_CLOSED) {
        if (c->state == CONN_LINGERING)
            linger_read(c);
        else if (c->state == CONN_HANDSHAKING)
            conn_tls_handshake(c);
        else if (conn_wants_read(c))
            conn_read(c);
        else if (status < 0)
            conn_close(c, CONN_CLOSE_RESET, NULL);
    }
    if (c->state != CONN_CLOSED)
        conn_watch(c);
}

/* ---- deferred work ---- */

void conn_work_later(struct conn *c, unsigned work)
{
    c->work |= work;
    loop_defer(c->loop, &c->deferred);
}

static void finish(struct conn *c)
{
    if (c->ops && c->ops->on_closed)
        c->ops->on_closed(c->user, c, c->why, c->detail ? c->detail : conn_close_text(c->why));
    conn_destroy(c);
}

static void on_work(void *arg)
{
    struct conn *c = arg;
    unsigned work = c->work;

    c->work = 0;
    if (c->state == CONN_CLOSED) {
        finish(c);
        return;
    }
    if (work & WORK_READY)
        conn_established(c);
    if (work & WORK_READ && c->state == CONN_OPEN && conn_wants_read(c))
        conn_read(c);
    if (work & WORK_CONGESTED && c->state == CONN_OPEN && c->congested && c->ops->on_congested)
        c->ops->on_congested(c->user, c);
    /* It may have filled up again since; then it will drain again too. */
    if (work & WORK_DRAINED && c->state == CONN_OPEN && !c->congested && c->ops->on_drained)
        c->ops->on_drained(c->user, c);
    work |= c->work;
    c->work &= ~(unsigned)WORK_FLUSH;
    if (work & WORK_FLUSH && c->state != CONN_CLOSED && !c->blocked)
        conn_flush(c);
    if (c->state != CONN_CLOSED)
        conn_watch(c);
}

/* ---- timer ---- */

static void on_timer(void *arg)
{
    struct conn *c = arg;
    int64_t left;

    switch (c->state) {
    case CONN_RESOLVING:
    case CONN_CONNECTING:
    case CONN_HANDSHAKING:
        conn_close(c, CONN_CLOSE_HANDSHAKE_TIMEOUT, NULL);
        return;
    case CONN_OPEN:
        left = c->idle_ms - (loop_now_ms(c->loop) - c->last_active_ms);
        if (left <= 0)
            conn_close(c, CONN_CLOSE_IDLE, NULL);
        else
            loop_timer_start(&c->timer, left);
        return;
    case CONN_FLUSHING:
        c->why = CONN_CLOSE_FLUSH_TIMEOUT;
        conn_close(c, c->why, NULL);
        return;
    case CONN_LINGERING:
        if (c->alert_held)
            conn_tls_say_alert(c);
        else
            conn_close(c, c->why, c->detail);
        return;
    case CONN_CLOSED:
        return;
    }
}

/* ---- opening ---- */

void conn_established(struct conn *c)
{
    enum err err;

    if (!c->tls) {
        conn_opened(c);
        return;
    }
    err = conn_tls_start(c);
    if (err) {
        conn_close(c, CONN_CLOSE_TLS_HANDSHAKE, err_text(err));
        return;
    }
    conn_tls_handshake(c);
}

void conn_opened(struct conn *c)
{
    conn_move(c, CONN_OPEN);
    loop_timer_stop(&c->timer);
    c->last_active_ms = loop_now_ms(c->loop);
    if (c->idle_ms > 0)
        loop_timer_start(&c->timer, c->idle_ms);
    if (c->first)
        conn_work_later(c, WORK_FLUSH);
    if (c->ops->on_ready)
        c->ops->on_ready(c->user, c);
}

static void on_evict(void *arg)
{
    conn_close(arg, CONN_CLOSE_SHUTDOWN, NULL);
}

static size_t or_default(size_t v, size_t fallback)
{
    return v ? v : fallback;
}

enum err conn_make(struct conn **out, struct loop *l, bool server, const struct conn_opts *opts)
{
    struct conn *c = calloc(1, sizeof *c);
    int64_t handshake_ms = opts->handshake_ms ? opts->handshake_ms : CONN_HANDSHAKE_MS_DEFAULT;

    *out = NULL;
    if (!c)
        return ERR_NO_MEMORY;
    if (opts->server_name) {
        c->server_name = strdup(opts->server_name);
        if (!c->server_name) {
            free(c);
            return ERR_NO_MEMORY;
        }
    }
    c->magic = CONN_MAGIC;
    c->loop = l;
    c->server = server;
    c->ops = opts->ops;
    c->user = opts->user;
    c->raw = opts->raw;
    c->tls = tls_hold(opts->tls);
    c->frame_max = (uint32_t)or_default(opts->frame_max, CONN_FRAME_MAX_DEFAULT);
    c->stream_above = opts->stream_above;
    c->stream_peek = opts->stream_peek < CONN_STREAM_PEEK_MAX ? opts->stream_peek : CONN_STREAM_PEEK_MAX;
    c->queue_high = or_default(opts->queue_high, CONN_QUEUE_HIGH_DEFAULT);
    c->queue_low = or_default(opts->queue_low, CONN_QUEUE_LOW_DEFAULT);
    c->queue_max = or_default(opts->queue_max, CONN_QUEUE_MAX_DEFAULT);
    c->idle_ms = opts->idle_ms ? opts->idle_ms : CONN_IDLE_MS_DEFAULT;
    c->deferred.fn = on_work;
    c->deferred.arg = c;
    c->resident.evict = on_evict;
    c->resident.arg = c;
    loop_settle(l, &c->resident);
    loop_timer_init(&c->timer, l, on_timer, c);
    if (handshake_ms > 0)
        loop_timer_start(&c->timer, handshake_ms);
    *out = c;
    return ERR_OK;
}

enum err conn_adopt(struct conn **out, struct loop *l, int fd, bool server, const struct conn_opts *opts)
{
    struct sockaddr_storage peer = {0};
    socklen_t n = sizeof peer;
    struct conn *c;
    enum err err = conn_make(&c, l, server, opts);

    *out = NULL;
    if (err) {
        close(fd);
        return err;
    }
    if (getpeername(fd, (struct sockaddr *)&peer, &n))
        peer.ss_family = AF_UNSPEC;
    conn_set_peer(c, &peer);
    err = conn_set_fd(c, fd);
    if (err) {
        conn_destroy(c);
        return err;
    }
    c->state = CONN_HANDSHAKING;
    conn_work_later(c, WORK_READY);
    *out = c;
    return ERR_OK;
}

enum err conn_accept(struct conn **out, struct loop *l, struct accepted a, const struct conn_opts *opts)
{
    enum err err = conn_adopt(out, l, a.fd, true, opts);

    if (err) {
        listener_leave(&a);
        return err;
    }
    if (a.peer.ss_family == AF_INET || a.peer.ss_family == AF_INET6)
        conn_set_peer(*out, &a.peer); /* one that has gone again can no longer be asked for its address */
    (*out)->accepted = a;
    (*out)->has_place = true;
    return ERR_OK;
}

/* ---- closing ---- */

static void set_why(struct conn *c, enum conn_close why, const char *detail)
{
    if (c->why != CONN_CLOSE_NONE) /* the first reason is the real one */
        return;
    c->why = why;
    if (detail && detail != c->detail) {
        free(c->detail);
        c->detail = strndup(detail, CONN_DETAIL_MAX);
    }
}

void conn_close(struct conn *c, enum conn_close why, const char *detail)
{
    assert(c->magic == CONN_MAGIC);
    if (c->state == CONN_CLOSED)
        return;
    set_why(c, why, detail);
    if (c->io && c->ssl && c->state != CONN_LINGERING)
        conn_tls_goodbye(c);
    conn_move(c, CONN_CLOSED);
    loop_timer_stop(&c->timer);
    conn_connect_cancel(c);
    conn_drop_fd(c);
    conn_stream_source_gone(c);
    conn_queue_free(c);
    if (c->has_place)
        listener_leave(&c->accepted);
    c->has_place = false;
    conn_work_later(c, WORK_CLOSED);
}

void conn_failed(struct conn *c, enum conn_close why, int errnum)
{
    conn_close(c, why, errnum ? strerror(errnum) : NULL);
}

void conn_close_after_flush(struct conn *c, enum conn_close why, const char *detail)
{
    if (c->state == CONN_FLUSHING || c->state == CONN_LINGERING || c->state == CONN_CLOSED)
        return;
    if (c->state != CONN_OPEN) {
        conn_close(c, why, detail);
        return;
    }
    set_why(c, why, detail);
    conn_move(c, CONN_FLUSHING);
    conn_stream_source_gone(c);
    loop_timer_start(&c->timer, CONN_FLUSH_MS_MAX);
    conn_work_later(c, WORK_FLUSH);
}

void conn_destroy(struct conn *c)
{
    loop_timer_stop(&c->timer);
    loop_undefer(&c->deferred);
    loop_unsettle(&c->resident);
    conn_drop_fd(c);
    loop_block_put(c->loop, c->in_block);
    loop_block_put(c->loop, c->out_block);
    X509_free(c->peer_cert);
    SSL_free(c->ssl);
    tls_free(c->tls);
    free(c->in_owned);
    free(c->frame);
    free(c->rest);
    free(c->server_name);
    free(c->detail);
    c->magic = 0;
    free(c);
}

/* ---- what may be asked ---- */

void conn_pause(struct conn *c)
{
    c->paused++;
}

void conn_resume(struct conn *c)
{
    assert(c->paused > 0);
    if (--c->paused == 0 && c->state == CONN_OPEN)
        conn_work_later(c, WORK_READ);
}

void conn_set_frame_max(struct conn *c, uint32_t frame_max)
{
    c->frame_max = frame_max ? frame_max : CONN_FRAME_MAX_DEFAULT;
}

void conn_peer_is_known(struct conn *c)
{
    if (c->has_place)
        listener_peer_is_known(&c->accepted);
}

void conn_set_stream(struct conn *c, uint32_t stream_above, uint32_t stream_peek)
{
    c->stream_above = stream_above;
    c->stream_peek = stream_peek < CONN_STREAM_PEEK_MAX ? stream_peek : CONN_STREAM_PEEK_MAX;
}

const char *conn_peer(const struct conn *c)
{
    return c->peer;
}

const char *conn_peer_host(const struct conn *c)
{
    return c->peer_host;
}

const char *conn_tls_version(const struct conn *c)
{
    return c->ssl ? SSL_get_version(c->ssl) : "";
}

struct x509_st *conn_peer_cert(const struct conn *c)
{
    return c->peer_cert;
}

uint64_t conn_bytes_in(const struct conn *c)
{
    return c->bytes_in;
}

uint64_t conn_bytes_taken(const struct conn *c)
{
    int waiting = 0;

    if (!c->io || ioctl(conn_fd(c), SIOCOUTQ, &waiting) || waiting < 0 || (uint64_t)waiting > c->bytes_out)
        waiting = 0;
    return c->bytes_out - (uint64_t)waiting;
}
