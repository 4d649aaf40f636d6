/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_TESTS_NET_SIDE_H
#define CASTELLAN_TESTS_NET_SIDE_H

/* One end of a connection in a test: counts what happens to it. Needs cmocka's headers before it. */
#include "core/net/conn.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

struct side {
    struct conn *conn; /* NULL once closed */
    struct loop *loop;
    bool ready, closed, ended, ended_ok, pause_after_frame;
    size_t frames, bytes, congested, drained, data_bytes;
    struct buf last; /* the last frame, or all raw data */
    bool keep_last, take, echo;
    uint64_t sum; /* of all frame bytes */
    enum conn_close why;
    char detail[256], version[32], subject[256];
    struct side *stream_to; /* on_frame_start streams there */
    uint32_t stream_skip, start_n;
    size_t head_n;
    conn_edit_fn edit; /* of what is streamed, with this side as context */
    size_t edited;
};

static inline uint64_t side_sum(uint64_t sum, struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        sum = sum * 31 + s.p[i];
    return sum;
}

static inline void side_on_ready(void *user, struct conn *c)
{
    struct side *s = user;

    assert_false(s->ready);
    s->ready = true;
    snprintf(s->version, sizeof s->version, "%s", conn_tls_version(c));
    if (conn_peer_cert(c)) {
        struct buf b;
        buf_init(&b, 0);
        assert_int_equal(tls_cert_subject(conn_peer_cert(c), &b), ERR_OK);
        snprintf(s->subject, sizeof s->subject, "%s", buf_cstr(&b));
        buf_free(&b);
    }
}

static inline void side_on_frame(void *user, struct conn *c, struct slice frame)
{
    struct side *s = user;

    s->frames++;
    s->bytes += frame.n;
    s->sum = side_sum(s->sum, frame);
    if (s->echo)
        assert_int_equal(conn_write_frame(c, &frame, 1), ERR_OK);
    if (s->take) {
        assert_int_equal(conn_take_frame(c, &s->last), ERR_OK);
    } else if (s->keep_last) {
        buf_clear(&s->last);
        buf_put_slice(&s->last, frame);
    }
    if (s->pause_after_frame)
        conn_pause(c);
}

static inline void side_on_data(void *user, struct conn *c, struct slice data)
{
    struct side *s = user;

    (void)c;
    s->data_bytes += data.n;
    if (s->keep_last)
        buf_put_slice(&s->last, data);
}

static inline void side_on_congested(void *user, struct conn *c)
{
    struct side *s = user;

    assert_true(conn_is_congested(c));
    s->congested++;
}

static inline void side_on_drained(void *user, struct conn *c)
{
    struct side *s = user;

    assert_false(conn_is_congested(c));
    s->drained++;
}

static inline void side_on_closed(void *user, struct conn *c, enum conn_close why, const char *detail)
{
    struct side *s = user;

    (void)c;
    assert_false(s->closed);
    s->closed = true;
    s->conn = NULL;
    s->why = why;
    snprintf(s->detail, sizeof s->detail, "%s", detail);
}

static inline enum conn_frame_choice side_on_frame_start(void *user, struct conn *c, uint32_t n, struct slice head)
{
    struct side *s = user;

    s->start_n = n;
    s->head_n = head.n;
    if (!s->stream_to)
        return CONN_FRAME_WHOLE;
    if (s->stream_to->conn) {
        uint32_t left = n - s->stream_skip;
        uint8_t length[4] = {(uint8_t)(left >> 24), (uint8_t)(left >> 16), (uint8_t)(left >> 8), (uint8_t)left};
        struct slice l = slice_of(length, 4);
        assert_int_equal(conn_write(s->stream_to->conn, &l, 1), ERR_OK);
        assert_int_equal(conn_stream_to(c, s->stream_to->conn, s->stream_skip), ERR_OK);
        if (s->edit)
            conn_stream_edit(c, s->edit, s);
    } else {
        conn_stream_discard(c);
    }
    return CONN_FRAME_STREAMED;
}

static inline void side_on_frame_end(void *user, struct conn *c, bool ok)
{
    struct side *s = user;

    (void)c;
    s->ended = true;
    s->ended_ok = ok;
}

static const struct conn_ops side_ops = {
    .on_ready = side_on_ready,
    .on_frame = side_on_frame,
    .on_data = side_on_data,
    .on_congested = side_on_congested,
    .on_drained = side_on_drained,
    .on_closed = side_on_closed,
};

static const struct conn_ops side_stream_ops = {
    .on_ready = side_on_ready,
    .on_frame = side_on_frame,
    .on_congested = side_on_congested,
    .on_drained = side_on_drained,
    .on_closed = side_on_closed,
    .on_frame_start = side_on_frame_start,
    .on_frame_end = side_on_frame_end,
};

static inline struct conn_opts side_opts(struct side *s, struct loop *l)
{
    *s = (struct side){.loop = l};
    return (struct conn_opts){.ops = &side_ops, .user = s};
}

/* Rounds of the loop until the condition holds; far more rounds than any test needs means it never will. */
#define RUN_UNTIL(l, condition)                                                                                        \
    do {                                                                                                               \
        for (int rounds_ = 0; !(condition) && rounds_ < 2000000; rounds_++)                                            \
            loop_run_once((l), true);                                                                                  \
        assert_true(condition);                                                                                        \
    } while (0)

/* A few rounds without waiting: for "nothing more happens". */
static inline void side_settle(struct loop *l)
{
    for (int i = 0; i < 20; i++)
        loop_run_once(l, false);
}

static inline struct loop *side_loop(struct env *env)
{
    struct loop *l;
    struct reason why;

    assert_int_equal(loop_new(&l, env, &why), ERR_OK);
    return l;
}

/* A conn and a bare blocking-free socket the test writes to by hand. */
static inline int side_bare(struct side *s, struct loop *l, struct conn_opts *opts, bool server)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(conn_adopt(&s->conn, l, fds[0], server, opts), ERR_OK);
    return fds[1];
}

static inline uint8_t *side_pattern(size_t n, uint8_t seed)
{
    uint8_t *p = malloc(n);

    assert_non_null(p);
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(i * 7 + (i >> 8) + seed);
    return p;
}

#endif
