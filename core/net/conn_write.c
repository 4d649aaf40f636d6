/* SPDX-License-Identifier: Apache-2.0
 * The write queue: a list of chunks. Small writes are copied into the last chunk while it has room, owned buffers
 * become chunks as they are, a mark keeps the place of a frame that streams in from another connection.
 *
 * Nothing is sent from inside conn_write(): the flush runs as deferred work at the end of the round, so many small
 * writes leave in one send. When the socket is full the flush waits for it to poll writable. */
#include "core/net/conn_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/uio.h>

/* ---- the list ---- */

static void chunk_free(struct conn *c, struct chunk *k)
{
    switch (k->kind) {
    case CHUNK_OWNED:
        free(k->p);
        break;
    case CHUNK_BLOCK:
        loop_block_put(c->loop, k->block);
        break;
    case CHUNK_INLINE:
    case CHUNK_MARK:
        break;
    }
    free(k);
}

void conn_queue_insert(struct conn *c, struct chunk *k, struct chunk *before)
{
    k->next = before;
    k->prev = before ? before->prev : c->last;
    if (k->prev)
        k->prev->next = k;
    else
        c->first = k;
    if (before)
        before->prev = k;
    else
        c->last = k;
}

void conn_queue_remove(struct conn *c, struct chunk *k)
{
    if (k->prev)
        k->prev->next = k->next;
    else
        c->first = k->next;
    if (k->next)
        k->next->prev = k->prev;
    else
        c->last = k->prev;
    chunk_free(c, k);
}

void conn_queue_free(struct conn *c)
{
    while (c->first) {
        struct chunk *k = c->first;
        if (k->kind == CHUNK_MARK && k->source)
            conn_stream_target_gone(k);
        conn_queue_remove(c, k);
    }
    c->marks = NULL;
    c->queued = 0;
    loop_block_put(c->loop, c->out_block);
    c->out_block = NULL;
    c->out_at = c->out_n = 0;
}

bool conn_queue_sendable(const struct conn *c)
{
    return c->first && c->first->kind != CHUNK_MARK;
}

void conn_queue_sent(struct conn *c, size_t n)
{
    c->queued -= n;
    if (c->marks)
        conn_stream_drained(c, n);
    while (n) {
        struct chunk *k = c->first;
        size_t take = k->n - k->at < n ? k->n - k->at : n;

        k->at += take;
        n -= take;
        if (k->at == k->n)
            conn_queue_remove(c, k);
    }
}

/* ---- sending ---- */

bool conn_out_ready(struct conn *c)
{
    if (!c->out_block) {
        c->out_block = loop_block_get(c->loop);
        c->out_at = c->out_n = 0;
    }
    return c->out_block != NULL;
}

/* sendmsg with the bookkeeping: > 0 bytes, 0 the socket is full, -1 closed. */
static ssize_t send_parts(struct conn *c, struct iovec *v, size_t n)
{
    struct msghdr m = {.msg_iov = v, .msg_iovlen = n};
    ssize_t r;

    if (conn_fault(c, "net.send")) {
        conn_failed(c, CONN_CLOSE_RESET, EPIPE);
        return -1;
    }
    do {
        r = sendmsg(conn_fd(c), &m, MSG_NOSIGNAL);
    } while (r < 0 && errno == EINTR);
    if (r > 0) {
        c->bytes_out += (uint64_t)r;
        c->last_active_ms = loop_now_ms(c->loop);
        return r;
    }
    if (r < 0 && errno == EAGAIN) {
        c->blocked = true;
        return 0;
    }
    /* The peer may have said why before it went: an alert waits unread behind the EPIPE. */
    if (r < 0 && (errno == EPIPE || errno == ECONNRESET) && c->state == CONN_OPEN && conn_wants_read(c)) {
        c->blocked = true;
        return 0;
    }
    conn_failed(c, CONN_CLOSE_RESET, errno);
    return -1;
}

bool conn_send_out(struct conn *c)
{
    while (c->out_at < c->out_n) {
        struct iovec v = {c->out_block->bytes + c->out_at, c->out_n - c->out_at};
        ssize_t n = send_parts(c, &v, 1);
        if (n <= 0)
            return false;
        c->out_at += (size_t)n;
        c->queued -= (size_t)n;
    }
    c->out_at = c->out_n = 0;
    return true;
}

static bool flush_tls(struct conn *c)
{
    for (size_t sent = 0; sent < CONN_WRITE_BUDGET;) {
        bool may_write = c->state == CONN_OPEN || c->state == CONN_FLUSHING;

        if (c->out_at > 0 && !conn_send_out(c)) /* a batch half sent goes out first */
            return c->state != CONN_CLOSED;
        if (may_write && !conn_tls_fill(c))
            return false;
        if (c->out_n == 0)
            return true;
        sent += c->out_n;
        if (!conn_send_out(c))
            return c->state != CONN_CLOSED;
    }
    conn_work_later(c, WORK_FLUSH);
    return true;
}

static bool flush_plain(struct conn *c)
{
    for (size_t sent = 0; sent < CONN_WRITE_BUDGET;) {
        struct iovec v[CONN_SEND_PARTS_MAX];
        size_t n = 0;
        ssize_t r;

        for (struct chunk *k = c->first; k && k->kind != CHUNK_MARK && n < CONN_SEND_PARTS_MAX; k = k->next)
            v[n++] = (struct iovec){k->p + k->at, k->n - k->at};
        if (n == 0)
            return true;
        r = send_parts(c, v, n);
        if (r <= 0)
            return r == 0;
        conn_queue_sent(c, (size_t)r);
        sent += (size_t)r;
    }
    conn_work_later(c, WORK_FLUSH);
    return true;
}

static void flushed(struct conn *c)
{
    if (c->out_n == 0 && c->out_block) {
        loop_block_put(c->loop, c->out_block);
        c->out_block = NULL;
    }
    if (c->congested && c->queued <= c->queue_low) {
        c->congested = false;
        conn_work_later(c, WORK_DRAINED);
    }
    if (c->state == CONN_FLUSHING && !c->first && c->out_n == 0) {
        if (c->ssl)
            conn_tls_goodbye(c);
        conn_move(c, CONN_LINGERING);
        (void)shutdown(conn_fd(c), SHUT_WR);
        loop_timer_start(&c->timer, CONN_LINGER_MS);
    }
}

void conn_flush(struct conn *c)
{
    bool alive;

    if (!c->io || c->state == CONN_CONNECTING || c->state == CONN_LINGERING)
        return;
    if (c->tls)
        alive = !c->ssl || flush_tls(c);
    else
        alive = c->state == CONN_HANDSHAKING || flush_plain(c);
    if (!alive || c->state == CONN_CLOSED || c->state == CONN_LINGERING)
        return;
    flushed(c);
    conn_watch(c);
}

/* ---- writing ---- */

static enum err may_write(struct conn *c, size_t n)
{
    if (c->state > CONN_OPEN)
        return ERR_CLOSED;
    if (n > c->queue_max || c->queued > c->queue_max - n) {
        conn_close(c, CONN_CLOSE_QUEUE_FULL, NULL);
        return ERR_LIMIT_EXCEEDED;
    }
    return ERR_OK;
}

void conn_queue_grew(struct conn *c, size_t n)
{
    c->queued += n;
    if (c->queued > c->queue_high && !c->congested) {
        c->congested = true;
        conn_work_later(c, WORK_CONGESTED);
    }
    conn_work_later(c, WORK_FLUSH);
}

/* Room for n bytes at the end of the queue: in the last chunk, or in a new one. */
static uint8_t *queue_room(struct conn *c, size_t n)
{
    struct chunk *k = c->last;
    size_t cap = n > CONN_CHUNK_SIZE - sizeof *k ? n : CONN_CHUNK_SIZE - sizeof *k;
    uint8_t *p;

    if (!k || k->kind != CHUNK_INLINE || k->mark || k->cap - k->n < n) {
        k = malloc(sizeof *k + cap);
        if (!k)
            return NULL;
        *k = (struct chunk){.kind = CHUNK_INLINE, .p = (uint8_t *)(k + 1), .cap = cap};
        conn_queue_insert(c, k, NULL);
    }
    p = k->p + k->n;
    k->n += n;
    return p;
}

static enum err write_prefixed(struct conn *c, const uint8_t *prefix, size_t prefix_n, const struct slice *slices,
                               size_t n)
{
    size_t total = prefix_n;
    uint8_t *p;
    enum err err;

    for (size_t i = 0; i < n; i++)
        total += slices[i].n;
    if (total == 0)
        return ERR_OK;
    err = may_write(c, total);
    if (err)
        return err;
    p = queue_room(c, total);
    if (!p)
        return ERR_NO_MEMORY;
    if (prefix_n)
        memcpy(p, prefix, prefix_n);
    p += prefix_n;
    for (size_t i = 0; i < n; i++) {
        if (slices[i].n)
            memcpy(p, slices[i].p, slices[i].n);
        p += slices[i].n;
    }
    conn_queue_grew(c, total);
    return ERR_OK;
}

enum err conn_write(struct conn *c, const struct slice *slices, size_t n)
{
    return write_prefixed(c, NULL, 0, slices, n);
}

enum err conn_write_frame(struct conn *c, const struct slice *slices, size_t n)
{
    size_t total = 0;
    uint8_t length[4];

    for (size_t i = 0; i < n; i++)
        total += slices[i].n;
    if (total > INT32_MAX)
        return ERR_LIMIT_EXCEEDED;
    for (int i = 0; i < 4; i++)
        length[i] = (uint8_t)(total >> (24 - 8 * i));
    return write_prefixed(c, length, sizeof length, slices, n);
}

enum err conn_write_owned(struct conn *c, struct buf *b)
{
    return conn_write_owned_from(c, b, 0);
}

enum err conn_write_owned_from(struct conn *c, struct buf *b, size_t at)
{
    struct buf mine = *b;
    struct chunk *k;
    enum err err = buf_error(&mine);

    *b = (struct buf){.max = mine.max};
    assert(at <= mine.n);
    if (!err)
        err = may_write(c, mine.n - at);
    if (err || mine.n == at) {
        buf_free(&mine);
        return err;
    }
    k = malloc(sizeof *k);
    if (!k) {
        buf_free(&mine);
        return ERR_NO_MEMORY;
    }
    *k = (struct chunk){.kind = CHUNK_OWNED, .p = mine.p, .at = at, .n = mine.n, .cap = mine.n};
    conn_queue_insert(c, k, NULL);
    conn_queue_grew(c, mine.n - at);
    return ERR_OK;
}

size_t conn_queued(const struct conn *c)
{
    return c->queued;
}

bool conn_is_congested(const struct conn *c)
{
    return c->congested;
}
