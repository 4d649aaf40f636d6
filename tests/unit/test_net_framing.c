/* SPDX-License-Identifier: Apache-2.0
 * Framing, pausing, queueing and closing of plain connections, over socket pairs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/net_side.h"

#include <pthread.h>
#include <unistd.h>

static void put(int fd, const void *p, size_t n)
{
    assert_int_equal(write(fd, p, n), (ssize_t)n);
}

static void test_byte_by_byte(void **state)
{
    static const uint8_t bytes[] = {0, 0, 0, 3, 'a', 'b', 'c', 0, 0, 0, 1, 'd', 0, 0, 0, 2, 'e', 'f'};
    struct loop *l = side_loop(NULL);
    struct side s;
    struct conn_opts o = side_opts(&s, l);
    int fd = side_bare(&s, l, &o, true);

    (void)state;
    s.keep_last = true;
    RUN_UNTIL(l, s.ready);
    for (size_t i = 0; i < sizeof bytes; i++) {
        size_t expect = (i >= 6) + (i >= 11) + (i >= 17);
        put(fd, bytes + i, 1);
        RUN_UNTIL(l, conn_bytes_in(s.conn) == i + 1);
        assert_int_equal(s.frames, expect);
    }
    assert_int_equal(s.bytes, 6);
    assert_memory_equal(s.last.p, "ef", 2);
    close(fd);
    RUN_UNTIL(l, s.closed);
    assert_int_equal(s.why, CONN_CLOSE_PEER);
    buf_free(&s.last);
    loop_free(l);
}

static void bad_length(const uint8_t length[4], enum conn_close why)
{
    struct loop *l = side_loop(NULL);
    struct side s;
    struct conn_opts o = side_opts(&s, l);
    int fd;

    o.frame_max = 1000;
    fd = side_bare(&s, l, &o, true);
    put(fd, length, 4);
    RUN_UNTIL(l, s.closed);
    assert_int_equal(s.why, why);
    assert_int_equal(s.frames, 0);
    close(fd);
    loop_free(l);
}

static void test_bad_lengths(void **state)
{
    (void)state;
    bad_length((const uint8_t[]){0, 0, 0, 0}, CONN_CLOSE_FRAME_BAD_LENGTH);
    bad_length((const uint8_t[]){0xff, 0xff, 0xff, 0xff}, CONN_CLOSE_FRAME_BAD_LENGTH);
    bad_length((const uint8_t[]){0x80, 0, 0, 0}, CONN_CLOSE_FRAME_BAD_LENGTH);
    bad_length((const uint8_t[]){0, 0, 3, 0xe9}, CONN_CLOSE_FRAME_TOO_LARGE);
    bad_length((const uint8_t[]){0x7f, 0xff, 0xff, 0xff}, CONN_CLOSE_FRAME_TOO_LARGE);
}

static void test_truncated_frame(void **state)
{
    struct loop *l = side_loop(NULL);
    struct side s;
    struct conn_opts o = side_opts(&s, l);
    int fd = side_bare(&s, l, &o, true);

    (void)state;
    put(fd, "\0\0\0\5ab", 6);
    close(fd);
    RUN_UNTIL(l, s.closed);
    assert_int_equal(s.why, CONN_CLOSE_FRAME_TRUNCATED);
    loop_free(l);
}

/* A long length that is only announced must not make us allocate it. */
static void test_announced_only(void **state)
{
    struct loop *l = side_loop(NULL);
    struct side s;
    struct conn_opts o = side_opts(&s, l);
    int fd = side_bare(&s, l, &o, true);

    (void)state;
    put(fd, "\6\0\0\0x", 5);
    RUN_UNTIL(l, s.ready && conn_bytes_in(s.conn) == 5);
    side_settle(l);
    assert_false(s.closed);
    close(fd);
    RUN_UNTIL(l, s.closed);
    loop_free(l);
}

static void test_live_frame_limit(void **state)
{
    struct loop *l = side_loop(NULL);
    struct side s;
    struct conn_opts o = side_opts(&s, l);
    int fd;

    (void)state;
    o.frame_max = 2;
    fd = side_bare(&s, l, &o, true);
    put(fd, "\0\0\0\2ab", 6);
    RUN_UNTIL(l, s.frames == 1);
    conn_set_frame_max(s.conn, 3);
    put(fd, "\0\0\0\3abc", 7);
    RUN_UNTIL(l, s.frames == 2);
    conn_set_frame_max(s.conn, 1);
    put(fd, "\0\0\0\2ab", 6);
    RUN_UNTIL(l, s.closed);
    assert_int_equal(s.why, CONN_CLOSE_FRAME_TOO_LARGE);
    assert_non_null(strstr(s.detail, "2 bytes"));
    close(fd);
    loop_free(l);
}

static void test_pause_between_frames(void **state)
{
    struct loop *l = side_loop(NULL);
    struct side s;
    struct conn_opts o = side_opts(&s, l);
    int fd = side_bare(&s, l, &o, true);

    (void)state;
    s.pause_after_frame = true;
    put(fd, "\0\0\0\1a\0\0\0\1b\0\0\0\2cd\0\0", 18);
    for (size_t i = 1; i <= 3; i++) {
        RUN_UNTIL(l, s.frames == i);
        side_settle(l);
        assert_int_equal(s.frames, i);
        conn_resume(s.conn);
    }
    put(fd, "\0\1e", 3);
    RUN_UNTIL(l, s.frames == 4);
    close(fd);
    side_settle(l);
    assert_false(s.closed); /* paused: the end is not read */
    conn_resume(s.conn);
    RUN_UNTIL(l, s.closed);
    loop_free(l);
}

static void test_take_frame(void **state)
{
    struct loop *l = side_loop(NULL);
    struct side a, b;
    struct conn_opts oa = side_opts(&a, l), ob = side_opts(&b, l);
    size_t n = 3 << 20;
    uint8_t *p = side_pattern(n, 1);
    struct slice whole = slice_of(p, n), small = slice_of("hi", 2);
    int fds[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    assert_int_equal(conn_adopt(&a.conn, l, fds[0], true, &oa), ERR_OK);
    assert_int_equal(conn_adopt(&b.conn, l, fds[1], false, &ob), ERR_OK);
    b.take = true;
    assert_int_equal(conn_write_frame(a.conn, &whole, 1), ERR_OK);
    RUN_UNTIL(l, b.frames == 1);
    assert_int_equal(b.last.n, n);
    assert_memory_equal(b.last.p, p, n);
    assert_int_equal(conn_write_frame(a.conn, &small, 1), ERR_OK);
    RUN_UNTIL(l, b.frames == 2);
    assert_memory_equal(b.last.p, "hi", 2);
    conn_close(a.conn, CONN_CLOSE_LOCAL, NULL);
    RUN_UNTIL(l, a.closed && b.closed);
    assert_int_equal(a.why, CONN_CLOSE_LOCAL);
    buf_free(&b.last);
    free(p);
    loop_free(l);
}

/* A sender that never stops meets a reader that does: the queue is bounded and drains later. */
static void test_backpressure(void **state)
{
    struct loop *l = side_loop(NULL);
    struct side a, b;
    struct conn_opts oa = side_opts(&a, l), ob = side_opts(&b, l);
    uint8_t *p = side_pattern(100000, 2);
    struct slice frame = slice_of(p, 100000);
    size_t sent = 0;
    int fds[2];

    (void)state;
    oa.queue_max = 4 << 20;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    assert_int_equal(conn_adopt(&a.conn, l, fds[0], true, &oa), ERR_OK);
    assert_int_equal(conn_adopt(&b.conn, l, fds[1], false, &ob), ERR_OK);
    RUN_UNTIL(l, a.ready && b.ready);
    conn_pause(b.conn);
    while (!conn_is_congested(a.conn)) {
        assert_int_equal(conn_write_frame(a.conn, &frame, 1), ERR_OK);
        sent++;
        side_settle(l);
    }
    assert_in_range(conn_queued(a.conn), CONN_QUEUE_HIGH_DEFAULT, CONN_QUEUE_HIGH_DEFAULT + 100004);
    side_settle(l);
    assert_int_equal(a.congested, 1);
    assert_int_equal(a.drained, 0);
    assert_int_equal(b.frames, 0);
    conn_resume(b.conn);
    RUN_UNTIL(l, a.drained == 1 && b.frames == sent);
    /* Over the cap the connection goes. */
    conn_pause(b.conn);
    for (int i = 0; i < 1000 && !a.closed; i++) {
        if (a.conn && conn_write_frame(a.conn, &frame, 1) == ERR_LIMIT_EXCEEDED)
            break;
        side_settle(l);
    }
    RUN_UNTIL(l, a.closed);
    assert_int_equal(a.why, CONN_CLOSE_QUEUE_FULL);
    conn_resume(b.conn);
    RUN_UNTIL(l, b.closed);
    free(p);
    loop_free(l);
}

static void test_close_after_flush(void **state)
{
    struct loop *l = side_loop(NULL);
    struct side a, b;
    struct conn_opts oa = side_opts(&a, l), ob = side_opts(&b, l);
    uint8_t *p = side_pattern(2 << 20, 3);
    struct slice frame = slice_of(p, 2 << 20);
    int fds[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    assert_int_equal(conn_adopt(&a.conn, l, fds[0], true, &oa), ERR_OK);
    assert_int_equal(conn_adopt(&b.conn, l, fds[1], false, &ob), ERR_OK);
    RUN_UNTIL(l, a.ready);
    assert_int_equal(conn_write_frame(a.conn, &frame, 1), ERR_OK);
    conn_close_after_flush(a.conn, CONN_CLOSE_AUTH_FAILED, "wrong password");
    assert_int_equal(conn_write_frame(a.conn, &frame, 1), ERR_CLOSED);
    RUN_UNTIL(l, a.closed && b.closed);
    assert_int_equal(b.frames, 1);
    assert_int_equal(b.bytes, 2 << 20);
    assert_int_equal(a.why, CONN_CLOSE_AUTH_FAILED);
    assert_string_equal(a.detail, "wrong password");
    assert_int_equal(b.why, CONN_CLOSE_PEER);
    free(p);
    loop_free(l);
}

static void test_timeouts(void **state)
{
    struct env_test t;
    struct loop *l;
    struct side s;
    struct conn_opts o;
    int fd;

    (void)state;
    env_test_init(&t, 1);
    l = side_loop(&t.env);
    o = side_opts(&s, l);
    o.idle_ms = 1000;
    fd = side_bare(&s, l, &o, true);
    RUN_UNTIL(l, s.ready);
    env_test_advance_ms(&t, 900);
    put(fd, "\0\0\0\1a", 5);
    RUN_UNTIL(l, s.frames == 1);
    env_test_advance_ms(&t, 900);
    side_settle(l);
    assert_false(s.closed);
    env_test_advance_ms(&t, 101);
    RUN_UNTIL(l, s.closed);
    assert_int_equal(s.why, CONN_CLOSE_IDLE);
    close(fd);
    loop_free(l);
}

/* Every receive and send failing once, in turn: a clean close each time. */
static void test_faults(void **state)
{
    bool fired = true;

    (void)state;
    for (int countdown = 0; fired; countdown++) {
        struct env_test t;
        struct loop *l;
        struct side a, b;
        struct conn_opts oa, ob;
        struct slice hi = slice_of("hi", 2);
        int fds[2];

        env_test_init(&t, 1);
        l = side_loop(&t.env);
        oa = side_opts(&a, l);
        ob = side_opts(&b, l);
        t.fault_countdown = countdown;
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
        assert_int_equal(conn_adopt(&a.conn, l, fds[0], true, &oa), ERR_OK);
        assert_int_equal(conn_adopt(&b.conn, l, fds[1], false, &ob), ERR_OK);
        b.echo = true;
        assert_int_equal(conn_write_frame(a.conn, &hi, 1), ERR_OK);
        RUN_UNTIL(l, a.frames == 1 || a.closed || b.closed);
        fired = t.fault_fired;
        if (fired)
            RUN_UNTIL(l, a.closed && b.closed);
        loop_free(l);
        assert_true(a.closed && b.closed);
    }
}

static void test_raw(void **state)
{
    struct loop *l = side_loop(NULL);
    struct side s;
    struct conn_opts o = side_opts(&s, l);
    struct slice parts[2] = {slice_of("ab", 2), slice_of("cd", 2)};
    char back[8];
    int fd;

    (void)state;
    o.raw = true;
    s.keep_last = true;
    fd = side_bare(&s, l, &o, true);
    put(fd, "\0\0hello", 7);
    RUN_UNTIL(l, s.data_bytes == 7);
    assert_memory_equal(s.last.p, "\0\0hello", 7);
    assert_int_equal(conn_write(s.conn, parts, 2), ERR_OK);
    side_settle(l);
    assert_int_equal(read(fd, back, sizeof back), 4);
    assert_memory_equal(back, "abcd", 4);
    assert_string_equal(conn_peer(s.conn), "unix");
    close(fd);
    RUN_UNTIL(l, s.closed);
    buf_free(&s.last);
    loop_free(l);
}

/* Streaming: a long frame passes from one pair to another without being collected; what others write waits behind it.
 */
struct relay {
    struct loop *l;
    struct side in, out, far; /* bare fd -> in ~> out -> far */
    int fd;
};

static void relay_open(struct relay *r, uint32_t above, uint32_t peek, uint32_t skip)
{
    struct conn_opts oi, oo, of;
    int fds[2];

    r->l = side_loop(NULL);
    oi = side_opts(&r->in, r->l);
    oo = side_opts(&r->out, r->l);
    of = side_opts(&r->far, r->l);
    oi.ops = &side_stream_ops;
    oi.stream_above = above;
    oi.stream_peek = peek;
    r->in.stream_to = &r->out;
    r->in.stream_skip = skip;
    r->fd = side_bare(&r->in, r->l, &oi, true);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    assert_int_equal(conn_adopt(&r->out.conn, r->l, fds[0], false, &oo), ERR_OK);
    assert_int_equal(conn_adopt(&r->far.conn, r->l, fds[1], true, &of), ERR_OK);
    RUN_UNTIL(r->l, r->in.ready && r->out.ready && r->far.ready);
}

/* Writes everything to the bare socket, running the loop when it is full. */
static void relay_feed(struct relay *r, const uint8_t *p, size_t n)
{
    while (n) {
        ssize_t w = write(r->fd, p, n);
        if (w > 0) {
            p += w;
            n -= (size_t)w;
        }
        loop_run_once(r->l, false);
    }
}

static void test_stream(void **state)
{
    static const uint32_t peeks[] = {0, 1, 100, 5000, 70000};
    enum { N = 3000000 };
    uint8_t *p = side_pattern(N + 4, 9);

    (void)state;
    p[0] = 0;
    p[1] = (uint8_t)(N >> 16);
    p[2] = (uint8_t)(N >> 8);
    p[3] = (uint8_t)N;
    for (size_t i = 0; i < sizeof peeks / sizeof peeks[0]; i++) {
        struct relay r;
        uint32_t skip = peeks[i] / 2;
        struct slice other = slice_of("other", 5);

        relay_open(&r, 100, peeks[i], skip);
        r.far.keep_last = true;
        relay_feed(&r, (const uint8_t *)"\0\0\0\3abc", 7);
        RUN_UNTIL(r.l, r.in.frames == 1);
        relay_feed(&r, p, 200000);
        RUN_UNTIL(r.l, r.in.start_n == N);
        assert_int_equal(conn_write_frame(r.out.conn, &other, 1), ERR_OK); /* waits behind */
        relay_feed(&r, p + 200000, N + 4 - 200000);
        relay_feed(&r, (const uint8_t *)"\0\0\0\2de", 6);
        RUN_UNTIL(r.l, r.far.frames == 2 && r.in.frames == 2);
        assert_true(r.in.ended && r.in.ended_ok);
        assert_int_equal(r.far.bytes, N - skip + 5);
        assert_int_equal(r.far.sum, side_sum(side_sum(0, slice_of(p + 4 + skip, N - skip)), other));
        assert_memory_equal(r.far.last.p, "other", 5);
        close(r.fd);
        RUN_UNTIL(r.l, r.in.closed);
        assert_false(r.out.closed);
        buf_free(&r.far.last);
        loop_free(r.l);
    }
    free(p);
}

static bool edit_bytes(void *context, uint8_t *bytes, size_t n, const char **why)
{
    struct side *s = context;

    (void)why;
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)(bytes[i] ^ (s->edited + i));
    s->edited += n;
    return true;
}

/* An editor sees each byte once, in order, also those that came before the frame was streamed. */
static void test_stream_edited(void **state)
{
    static const uint32_t peeks[] = {0, 7, 5000, 60000};
    enum { N = 1000000, SKIP = 3 };
    uint8_t *p = side_pattern(N + 4, 5), *edited = malloc(N);

    (void)state;
    assert_non_null(edited);
    memcpy(p, (uint8_t[]){0, (uint8_t)(N >> 16), (uint8_t)(N >> 8), (uint8_t)N}, 4);
    for (size_t i = 0; i < N - SKIP; i++)
        edited[i] = (uint8_t)(p[4 + SKIP + i] ^ i);
    for (size_t i = 0; i < sizeof peeks / sizeof peeks[0]; i++) {
        struct relay r;

        relay_open(&r, 100, peeks[i], SKIP);
        r.in.edit = edit_bytes;
        relay_feed(&r, p, N + 4);
        RUN_UNTIL(r.l, r.far.frames == 1 && r.in.ended);
        assert_int_equal(r.in.edited, N - SKIP);
        assert_int_equal(r.far.bytes, N - SKIP);
        assert_int_equal(r.far.sum, side_sum(0, slice_of(edited, N - SKIP)));
        r.in.edit = NULL; /* the next frame has none */
        relay_feed(&r, p, N + 4);
        RUN_UNTIL(r.l, r.far.frames == 2);
        assert_int_equal(r.in.edited, N - SKIP);
        close(r.fd);
        RUN_UNTIL(r.l, r.in.closed);
        loop_free(r.l);
    }
    free(edited);
    free(p);
}

static bool refuse_a_byte(void *context, uint8_t *bytes, size_t n, const char **why)
{
    struct side *s = context;

    s->edited += n;
    if (!memchr(bytes, 'X', n))
        return true;
    *why = "an X";
    return false;
}

/* What the editor refuses does not go out, nor anything behind it: both connections end. */
static void test_stream_refused(void **state)
{
    static const size_t at[] = {5, 200000}; /* with the frame's first bytes, and while it streams */
    enum { N = 250000 };
    uint8_t *p = calloc(1, N + 4);

    (void)state;
    assert_non_null(p);
    memcpy(p, (uint8_t[]){0, (uint8_t)(N >> 16), (uint8_t)(N >> 8), (uint8_t)N}, 4);
    for (size_t i = 0; i < sizeof at / sizeof at[0]; i++) {
        struct relay r;

        p[at[i]] = 'X';
        relay_open(&r, 100, 8, 0);
        r.in.edit = refuse_a_byte;
        for (size_t sent = 0; sent < N + 4 && !r.in.closed;) {
            ssize_t n = send(r.fd, p + sent, N + 4 - sent, MSG_NOSIGNAL);
            sent += n > 0 ? (size_t)n : 0;
            loop_run_once(r.l, false);
        }
        RUN_UNTIL(r.l, r.in.closed && r.out.closed && r.far.closed);
        assert_int_equal(r.in.why, CONN_CLOSE_PROTOCOL);
        assert_string_equal(r.in.detail, "an X");
        assert_int_equal(r.out.why, CONN_CLOSE_STREAM_BROKEN);
        assert_int_equal(r.far.frames, 0);
        assert_true(r.in.edited <= N && !r.in.ended);
        close(r.fd);
        loop_free(r.l);
        p[at[i]] = 0;
    }
    free(p);
}

static void test_stream_backpressure(void **state)
{
    enum { N = 20 << 20 };
    static uint8_t zeros[100000];
    struct relay r;
    size_t fed = 0;

    (void)state;
    relay_open(&r, 100, 8, 0);
    conn_pause(r.far.conn);
    relay_feed(&r, (const uint8_t *)"\x01\x40\0\0", 4);
    for (int i = 0; i < 2000; i++) {
        ssize_t w = write(r.fd, zeros, sizeof zeros);
        fed += w > 0 ? (size_t)w : 0;
        side_settle(r.l);
    }
    assert_true(fed < 4 << 20); /* the reader's stop reached the writer */
    assert_true(conn_queued(r.out.conn) < 3 << 20);
    conn_resume(r.far.conn);
    while (fed < N) {
        size_t n = N - fed < sizeof zeros ? N - fed : sizeof zeros;
        relay_feed(&r, zeros, n);
        fed += n;
    }
    RUN_UNTIL(r.l, r.far.frames == 1);
    assert_int_equal(r.far.bytes, N);
    close(r.fd);
    loop_free(r.l);
}

/* The same for a run of frames, none of which alone fills the queue. */
static void test_stream_backpressure_frames(void **state)
{
    enum { N = 100000, FRAMES = 200 };
    static uint8_t frame[N + 4] = {0, 1, 0x86, 0xa0};
    struct relay r;
    size_t fed = 0;

    (void)state;
    relay_open(&r, 100, 8, 0);
    conn_pause(r.far.conn);
    for (int i = 0; i < 2000; i++) {
        ssize_t w = write(r.fd, frame + fed % sizeof frame, sizeof frame - fed % sizeof frame);
        fed += w > 0 ? (size_t)w : 0;
        side_settle(r.l);
    }
    assert_true(fed < 6 << 20);
    assert_true(conn_queued(r.out.conn) < 3 << 20);
    conn_resume(r.far.conn);
    while (fed < FRAMES * sizeof frame) {
        size_t n = sizeof frame - fed % sizeof frame;
        relay_feed(&r, frame + fed % sizeof frame, n);
        fed += n;
    }
    RUN_UNTIL(r.l, r.far.frames == FRAMES);
    assert_int_equal(r.far.bytes, (size_t)FRAMES * N);
    close(r.fd);
    loop_free(r.l);
}

static void test_stream_source_dies(void **state)
{
    struct relay r;

    (void)state;
    relay_open(&r, 1, 2, 0);
    relay_feed(&r, (const uint8_t *)"\0\0\1\0abcd", 8);
    RUN_UNTIL(r.l, r.in.start_n == 256);
    close(r.fd);
    RUN_UNTIL(r.l, r.in.closed && r.out.closed && r.far.closed);
    assert_int_equal(r.in.why, CONN_CLOSE_FRAME_TRUNCATED);
    assert_int_equal(r.out.why, CONN_CLOSE_STREAM_BROKEN);
    loop_free(r.l);
}

static void test_stream_target_dies(void **state)
{
    uint8_t rest[252] = {0};
    struct relay r;

    (void)state;
    relay_open(&r, 1, 2, 0);
    relay_feed(&r, (const uint8_t *)"\0\0\1\0abcd", 8);
    RUN_UNTIL(r.l, r.in.start_n == 256);
    conn_close(r.out.conn, CONN_CLOSE_LOCAL, NULL);
    RUN_UNTIL(r.l, r.out.closed);
    relay_feed(&r, rest, sizeof rest);
    relay_feed(&r, (const uint8_t *)"\0\0\0\1z", 5);
    RUN_UNTIL(r.l, r.in.frames == 1);
    assert_true(r.in.ended && !r.in.ended_ok);
    close(r.fd);
    loop_free(r.l);
}

static void count_call(void *arg)
{
    (*(int *)arg)++;
}

static void stop_call(void *arg)
{
    loop_stop(arg);
}

static void *post_from_thread(void *arg)
{
    void **a = arg;

    for (int i = 0; i < 1000; i++)
        assert_int_equal(loop_post(a[0], count_call, a[1]), ERR_OK);
    assert_int_equal(loop_post(a[0], stop_call, a[0]), ERR_OK);
    return NULL;
}

static void test_loop(void **state)
{
    struct env_test t;
    struct loop *l;
    struct loop_timer timers[50];
    int fired[50] = {0}, posted = 0;
    void *a[2];
    pthread_t thread;

    (void)state;
    env_test_init(&t, 1);
    l = side_loop(&t.env);
    for (int i = 0; i < 50; i++) {
        loop_timer_init(&timers[i], l, count_call, &fired[i]);
        loop_timer_start(&timers[i], (i * 37) % 50);
    }
    for (int i = 0; i < 50; i += 3)
        loop_timer_stop(&timers[i]);
    for (int ms = 0; ms < 50; ms++) {
        side_settle(l);
        for (int i = 0; i < 50; i++)
            assert_int_equal(fired[i], i % 3 != 0 && (i * 37) % 50 <= ms);
        env_test_advance_ms(&t, 1);
    }
    a[0] = l;
    a[1] = &posted;
    assert_int_equal(pthread_create(&thread, NULL, post_from_thread, a), 0);
    loop_run(l);
    pthread_join(thread, NULL);
    assert_int_equal(posted, 1000);
    loop_free(l);
}

static void test_host_port(void **state)
{
    struct host_port hp;
    struct reason why;

    (void)state;
    assert_int_equal(host_port_parse(&hp, slice_str("SASL_SSL://localhost:9093"), &why), ERR_OK);
    assert_string_equal(hp.scheme, "SASL_SSL");
    assert_string_equal(hp.host, "localhost");
    assert_int_equal(hp.port, 9093);
    assert_int_equal(host_port_parse(&hp, slice_str("[::1]:80"), &why), ERR_OK);
    assert_string_equal(hp.host, "::1");
    assert_int_equal(host_port_parse(&hp, slice_str(":0"), &why), ERR_OK);
    assert_string_equal(hp.host, "");
    static const char *const wrong[] = {"",       "host",  "host:",   "host:65536", "host:-1",
                                        "::1:80", "[::1]", "[::1]80", "h:12x"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(host_port_parse(&hp, slice_str(wrong[i]), &why), ERR_BAD_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loop),
        cmocka_unit_test(test_host_port),
        cmocka_unit_test(test_byte_by_byte),
        cmocka_unit_test(test_bad_lengths),
        cmocka_unit_test(test_truncated_frame),
        cmocka_unit_test(test_announced_only),
        cmocka_unit_test(test_live_frame_limit),
        cmocka_unit_test(test_pause_between_frames),
        cmocka_unit_test(test_take_frame),
        cmocka_unit_test(test_backpressure),
        cmocka_unit_test(test_close_after_flush),
        cmocka_unit_test(test_timeouts),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_raw),
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_stream_edited),
        cmocka_unit_test(test_stream_refused),
        cmocka_unit_test(test_stream_backpressure),
        cmocka_unit_test(test_stream_backpressure_frames),
        cmocka_unit_test(test_stream_source_dies),
        cmocka_unit_test(test_stream_target_dies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
