/* SPDX-License-Identifier: Apache-2.0
 * Between socket and plaintext.
 *
 * OpenSSL never sees the socket. Its read BIO is a window onto a block of received bytes, its write BIO appends records
 * to a batch of up to 256 KiB; blocks come from the loop's pool when there are bytes and go back when there are none,
 * so an idle TLS connection owns neither. One recv and one send thus carry up to sixteen records.
 *
 * The first byte of the stream tells TLS from plain text (a record starts with 0x16, or 0x15 for an alert), which gives
 * those who connect without TLS a clear line in the log instead of OpenSSL's "wrong version number". */
#include "core/net/conn_internal.h"

#include <assert.h>
#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- the BIO ---- */

static BIO_METHOD *bio_method; /* allow: a table of functions, made once */
static pthread_once_t bio_once = PTHREAD_ONCE_INIT;

static int bio_read(BIO *bio, char *out, int cap)
{
    struct conn *c = BIO_get_data(bio);
    size_t left = c->in_n - c->in_at, n = cap > 0 ? (size_t)cap : 0;

    BIO_clear_retry_flags(bio);
    if (left == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    if (n > left)
        n = left;
    memcpy(out, c->in_p + c->in_at, n);
    c->in_at += n;
    return (int)n;
}

static int bio_write(BIO *bio, const char *p, int n)
{
    struct conn *c = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    if (n <= 0)
        return 0;
    if (!conn_out_ready(c) || (size_t)n > LOOP_BLOCK_SIZE - c->out_n) {
        BIO_set_retry_write(bio);
        return -1;
    }
    memcpy(c->out_block->bytes + c->out_n, p, (size_t)n);
    c->out_n += (size_t)n;
    c->queued += (size_t)n;
    return n;
}

static long bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
    (void)bio;
    (void)num;
    (void)ptr;
    return cmd == BIO_CTRL_FLUSH;
}

static int bio_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

static void make_bio_method(void)
{
    bio_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "castellan conn");
    if (!bio_method || BIO_meth_set_read(bio_method, bio_read) != 1 || BIO_meth_set_write(bio_method, bio_write) != 1 ||
        BIO_meth_set_ctrl(bio_method, bio_ctrl) != 1 || BIO_meth_set_create(bio_method, bio_create) != 1) {
        BIO_meth_free(bio_method);
        bio_method = NULL;
    }
}

enum err conn_tls_start(struct conn *c)
{
    BIO *bio;
    enum err err = tls_session_new(c->tls, c->server, c->server_name, &c->ssl);

    if (err)
        return err;
    pthread_once(&bio_once, make_bio_method);
    bio = bio_method ? BIO_new(bio_method) : NULL;
    if (!bio)
        return ERR_NO_MEMORY;
    BIO_set_data(bio, c);
    SSL_set_bio(c->ssl, bio, bio); /* takes the one reference for both directions */
    return ERR_OK;
}

/* ---- from the socket ---- */

/* recv with the connection's bookkeeping: > 0 bytes, 0 would block, -1 closed. */
static ssize_t receive(struct conn *c, void *dst, size_t cap)
{
    ssize_t n;

    if (conn_fault(c, "net.recv")) {
        conn_failed(c, CONN_CLOSE_RESET, ECONNRESET);
        return -1;
    }
    do {
        n = recv(conn_fd(c), dst, cap, 0);
    } while (n < 0 && errno == EINTR);
    if (n > 0) {
        c->bytes_in += (uint64_t)n;
        c->in_short = (size_t)n < cap;
        c->read_first = false;
        c->loop->read_left -= (size_t)n < c->loop->read_left ? (size_t)n : c->loop->read_left;
        c->last_active_ms = loop_now_ms(c->loop);
        return n;
    }
    if (n < 0 && errno == EAGAIN)
        return 0;
    if (n < 0) {
        conn_failed(c, CONN_CLOSE_RESET, errno);
    } else if (c->head_n || c->in_frame || c->streaming) {
        conn_close(c, c->ssl ? CONN_CLOSE_TLS_TRUNCATED : CONN_CLOSE_FRAME_TRUNCATED, NULL);
    } else if (c->state == CONN_HANDSHAKING) {
        conn_close(c, CONN_CLOSE_TLS_HANDSHAKE, "the peer closed during the TLS handshake");
    } else {
        conn_close(c, CONN_CLOSE_PEER, NULL);
    }
    return -1;
}

static size_t conn_read_room(const struct conn *c, size_t cap)
{
    size_t most = c->loop->read_left == 0 ? CONN_READ_SHARE : c->read_first ? CONN_READ_FIRST : cap;
    return most < cap ? most : cap;
}

bool conn_window_left(const struct conn *c)
{
    return c->in_at < c->in_n || (c->ssl && SSL_pending(c->ssl) > 0);
}

static ssize_t window_refill(struct conn *c)
{
    ssize_t n;

    if (c->in_short || c->read_over) /* the last recv emptied the socket: do not ask again in this event */
        return 0;
    free(c->in_owned);
    c->in_owned = NULL;
    if (!c->in_block)
        c->in_block = loop_block_get(c->loop);
    if (!c->in_block) {
        conn_close(c, CONN_CLOSE_NO_MEMORY, NULL);
        return -1;
    }
    c->in_p = c->in_block->bytes;
    c->in_at = c->in_n = 0;
    n = receive(c, c->in_block->bytes, conn_read_room(c, LOOP_BLOCK_SIZE));
    if (n > 0)
        c->in_n = (size_t)n;
    return n;
}

void conn_window_park(struct conn *c)
{
    size_t left = c->in_n - c->in_at;

    c->in_short = false;
    if (!c->in_block || (left && c->stream_wait)) /* waiting for another connection is short: keep the block */
        return;
    if (left) { /* paused: keep exactly what is left, not a whole block */
        c->in_owned = malloc(left);
        if (!c->in_owned)
            return;
        memcpy(c->in_owned, c->in_p + c->in_at, left);
    }
    c->in_p = c->in_owned;
    c->in_at = 0;
    c->in_n = left;
    loop_block_put(c->loop, c->in_block);
    c->in_block = NULL;
}

/* ---- handshake ---- */

/* The alert is in the batch. Give it a chance to be read: a close with unread input would reset it away. */
void conn_tls_say_alert(struct conn *c)
{
    assert(c->state == CONN_LINGERING);
    c->alert_held = false;
    if (c->out_n > c->out_at && !conn_send_out(c) && c->state == CONN_CLOSED)
        return;
    conn_stream_source_gone(c);
    conn_queue_free(c);
    (void)shutdown(conn_fd(c), SHUT_WR);
    loop_timer_start(&c->timer, CONN_LINGER_MS);
    conn_watch(c);
}

static void tls_failed(struct conn *c)
{
    char text[CONN_DETAIL_MAX];
    bool of_peer = c->state == CONN_HANDSHAKING && tls_peer_is_refused(c->ssl);
    enum conn_close why = tls_explain(c->ssl, c->state != CONN_HANDSHAKING, text, sizeof text);
    int64_t wait_ms;

    if (c->why == CONN_CLOSE_NONE) {
        c->why = why;
        c->detail = strndup(text, CONN_DETAIL_MAX);
    }
    conn_move(c, CONN_LINGERING);
    wait_ms = of_peer && c->ops->on_refused ? c->ops->on_refused(c->user, c) : 0;
    if (wait_ms <= 0) {
        conn_tls_say_alert(c);
        return;
    }
    c->alert_held = true;
    loop_timer_start(&c->timer, wait_ms);
    conn_watch(c);
}

static bool looks_like_tls(const struct conn *c)
{
    return c->in_n == 0 || c->in_p[0] == 0x16 || c->in_p[0] == 0x15;
}

void conn_tls_handshake(struct conn *c)
{
    while (c->state == CONN_HANDSHAKING) {
        int r, e;
        ssize_t n;

        ERR_clear_error();
        r = SSL_do_handshake(c->ssl);
        e = r == 1 ? SSL_ERROR_NONE : SSL_get_error(c->ssl, r);
        if (e != SSL_ERROR_NONE && e != SSL_ERROR_WANT_READ) {
            tls_failed(c);
            return;
        }
        if (c->out_n > c->out_at && !c->blocked && !conn_send_out(c) && c->state == CONN_CLOSED)
            return;
        if (e == SSL_ERROR_NONE) {
            c->peer_cert = SSL_get1_peer_certificate(c->ssl);
            conn_opened(c);
            if (c->state == CONN_OPEN && conn_wants_read(c))
                conn_read(c);
            else
                conn_window_park(c);
            return;
        }
        n = window_refill(c);
        if (n < 0)
            return;
        if (n == 0)
            break;
        if (!c->seen_first && !looks_like_tls(c)) {
            conn_close(c, CONN_CLOSE_TLS_PLAINTEXT, NULL);
            return;
        }
        c->seen_first = true;
    }
    conn_window_park(c);
    conn_watch(c);
}

/* ---- plaintext ---- */

static ssize_t pull_tls(struct conn *c, uint8_t *dst, size_t cap)
{
    for (;;) {
        size_t got = 0;
        ssize_t n;
        int r, e;

        ERR_clear_error();
        r = SSL_read_ex(c->ssl, dst, cap, &got);
        if (r == 1)
            return (ssize_t)got;
        e = SSL_get_error(c->ssl, r);
        if (c->out_n > c->out_at) /* a key update to answer */
            conn_work_later(c, WORK_FLUSH);
        if (e == SSL_ERROR_ZERO_RETURN) {
            conn_close(c, c->head_n || c->in_frame || c->streaming ? CONN_CLOSE_FRAME_TRUNCATED : CONN_CLOSE_PEER,
                       NULL);
            return -1;
        }
        if (e == SSL_ERROR_WANT_WRITE)
            return 0;
        if (e != SSL_ERROR_WANT_READ) {
            tls_failed(c);
            return -1;
        }
        n = window_refill(c);
        if (n <= 0)
            return n;
    }
}

ssize_t conn_pull(struct conn *c, uint8_t *dst, size_t cap)
{
    if (c->ssl)
        return pull_tls(c, dst, cap);
    if (c->in_short)
        return 0;
    return receive(c, dst, conn_read_room(c, cap));
}

bool conn_tls_fill(struct conn *c)
{
    while (conn_queue_sendable(c)) {
        struct chunk *k = c->first;
        size_t wrote = 0;
        int r;

        if (!conn_out_ready(c)) {
            conn_close(c, CONN_CLOSE_NO_MEMORY, NULL);
            return false;
        }
        if (LOOP_BLOCK_SIZE - c->out_n < CONN_RECORD_ROOM)
            return true;
        ERR_clear_error();
        r = SSL_write_ex(c->ssl, k->p + k->at, k->n - k->at, &wrote);
        if (r != 1) {
            if (SSL_get_error(c->ssl, r) == SSL_ERROR_WANT_WRITE)
                return true;
            tls_failed(c);
            return false;
        }
        conn_queue_sent(c, wrote);
    }
    return true;
}

void conn_tls_goodbye(struct conn *c)
{
    if ((c->state == CONN_OPEN || c->state == CONN_FLUSHING) && c->why != CONN_CLOSE_RESET &&
        !(SSL_get_shutdown(c->ssl) & SSL_SENT_SHUTDOWN)) {
        ERR_clear_error();
        (void)SSL_shutdown(c->ssl);
        ERR_clear_error();
    }
    /* One try, without waiting. Errors do not matter any more, and must not lead back into conn_close(). */
    if (c->out_n > c->out_at)
        (void)!send(conn_fd(c), c->out_block->bytes + c->out_at, c->out_n - c->out_at, MSG_NOSIGNAL | MSG_DONTWAIT);
}
