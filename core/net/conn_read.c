/* SPDX-License-Identifier: Apache-2.0
 * From plaintext to frames. A frame: four bytes of big-endian length, then as many bytes.
 *
 * Small frames are parsed where they arrive, in the loop's scratch buffer, and delivered as slices into it. A frame
 * that is not complete there gets a buffer of its own, and what is missing is read straight into that. The buffer of a
 * long frame grows with the bytes that really came, so that a length alone makes nobody allocate.
 *
 * Any callback may close or pause. After each one the loops look again; what was read but not yet parsed when a pause
 * came waits in `rest`. */
#include "core/net/conn_internal.h"

#include <netinet/tcp.h>
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static bool going(const struct conn *c)
{
    return c->state == CONN_OPEN && conn_wants_read(c);
}

static void frame_reset(struct conn *c)
{
    free(c->frame);
    c->frame = NULL;
    c->frame_got = c->frame_cap = 0;
    c->head_n = 0;
    c->in_frame = c->decided = false;
}

static void deliver(struct conn *c, struct slice frame)
{
    c->head_n = 0;
    c->in_frame = c->decided = false;
    c->delivering = frame;
    if (c->ops->on_frame)
        c->ops->on_frame(c->user, c, frame);
    c->delivering = SLICE_NULL;
}

/* The frame in c->frame is complete. */
static void deliver_own(struct conn *c)
{
    deliver(c, slice_of(c->frame, c->frame_n));
    free(c->frame); /* NULL when taken */
    c->frame = NULL;
    c->frame_got = c->frame_cap = 0;
}

enum err conn_take_frame(struct conn *c, struct buf *out)
{
    size_t n = c->delivering.n;

    assert(!slice_is_null(c->delivering));
    buf_free(out);
    if (c->frame && c->delivering.p == c->frame) {
        *out = (struct buf){.p = c->frame, .n = n, .cap = c->frame_cap, .max = out->max};
        c->frame = NULL;
        c->delivering = slice_of("", 0);
        return ERR_OK;
    }
    out->p = malloc(n ? n : 1);
    if (!out->p)
        return ERR_NO_MEMORY;
    memcpy(out->p, c->delivering.p, n);
    out->n = out->cap = n;
    return ERR_OK;
}

static bool frame_room(struct conn *c)
{
    size_t cap;
    uint8_t *p;

    if (c->frame_cap > c->frame_got || c->frame_cap == c->frame_n)
        return true;
    cap = c->frame_cap ? c->frame_cap * 2 : CONN_FRAME_EAGER_MAX;
    if (cap > c->frame_n)
        cap = c->frame_n;
    if (c->ops->on_frame_grow && !c->ops->on_frame_grow(c->user, c, cap))
        return false;
    p = realloc(c->frame, cap);
    if (!p) {
        conn_close(c, CONN_CLOSE_NO_MEMORY, NULL);
        return false;
    }
    c->frame = p;
    c->frame_cap = cap;
    return true;
}

static bool wants_start(const struct conn *c)
{
    return !c->decided && c->ops->on_frame_start && c->frame_n > c->stream_above;
}

static uint32_t peek_n(const struct conn *c)
{
    return c->stream_peek < c->frame_n ? c->stream_peek : c->frame_n;
}

/* Asks the owner about the frame whose first bytes are `head`. True: it is streamed from now on. */
static bool ask_start(struct conn *c, struct slice head)
{
    enum conn_frame_choice choice;

    c->decided = true;
    choice = c->ops->on_frame_start(c->user, c, c->frame_n, head);
    switch (choice) {
    case CONN_FRAME_WHOLE:
        return false;
    case CONN_FRAME_STREAMED:
        if (c->state == CONN_OPEN) {
            assert(c->streaming);
            conn_stream_begin(c);
        }
        return true;
    }
    return false;
}

/* The frame's first bytes were collected in c->frame and it is streamed: pass them on. */
static void stream_collected(struct conn *c)
{
    uint8_t *head = c->frame;
    size_t n = c->frame_got;

    c->frame = NULL;
    frame_reset(c);
    if (c->state == CONN_OPEN && n)
        (void)conn_stream_put(c, head, n);
    free(head);
}

/* c->frame grew: ask, deliver, or wait for more. */
static void frame_advanced(struct conn *c)
{
    if (wants_start(c) && c->frame_got >= peek_n(c) && ask_start(c, slice_of(c->frame, c->frame_got))) {
        stream_collected(c);
        return;
    }
    if (c->state == CONN_OPEN && c->frame_got == c->frame_n)
        deliver_own(c);
}

static bool check_length(struct conn *c)
{
    char text[CONN_DETAIL_MAX];
    uint32_t n = (uint32_t)c->head[0] << 24 | (uint32_t)c->head[1] << 16 | (uint32_t)c->head[2] << 8 | c->head[3];

    if (n == 0 || n > INT32_MAX) {
        snprintf(text, sizeof text, "a frame has the length %d", (int32_t)n);
        conn_close(c, CONN_CLOSE_FRAME_BAD_LENGTH, text);
        return false;
    }
    if (n > c->frame_max) {
        snprintf(text, sizeof text, "a frame of %u bytes is longer than the %u allowed", n, c->frame_max);
        conn_close(c, CONN_CLOSE_FRAME_TOO_LARGE, text);
        return false;
    }
    c->frame_n = n;
    c->in_frame = true;
    return true;
}

/* One step over p[0..n), n > 0: how much was used. Zero when the connection closed, or was paused for want of memory.
 */
static size_t parse_step(struct conn *c, const uint8_t *p, size_t n)
{
    size_t take;

    if (c->streaming) {
        take = n < c->stream_left ? n : c->stream_left;
        return conn_stream_put(c, p, take) ? take : 0;
    }
    if (!c->in_frame) {
        take = 4u - c->head_n < n ? 4u - c->head_n : n;
        memcpy(c->head + c->head_n, p, take);
        c->head_n = (uint8_t)(c->head_n + take);
        return c->head_n < 4 || check_length(c) ? take : 0;
    }
    if (!c->frame) { /* nothing collected yet: perhaps it is all here */
        if (wants_start(c) && n >= peek_n(c) && ask_start(c, slice_of(p, n < c->frame_n ? n : c->frame_n))) {
            c->head_n = 0;
            c->in_frame = c->decided = false;
            take = n < c->stream_left ? n : c->stream_left;
            return c->state == CONN_OPEN && conn_stream_put(c, p, take) ? take : 0;
        }
        if (c->state != CONN_OPEN)
            return 0;
        if (n >= c->frame_n && !wants_start(c)) {
            take = c->frame_n;
            deliver(c, slice_of(p, take));
            return take;
        }
    }
    if (!frame_room(c))
        return 0;
    take = c->frame_cap - c->frame_got;
    if (take > n)
        take = n;
    memcpy(c->frame + c->frame_got, p, take);
    c->frame_got += take;
    frame_advanced(c);
    return take;
}

/* How much of p[0..n) was used; less than n after a pause or close. */
static size_t parse(struct conn *c, const uint8_t *p, size_t n)
{
    size_t at = 0;

    if (c->raw) {
        if (c->ops->on_data)
            c->ops->on_data(c->user, c, slice_of(p, n));
        return n;
    }
    while (at < n && going(c)) {
        size_t took = parse_step(c, p + at, n - at);
        if (took == 0)
            break;
        at += took;
    }
    return at;
}

/* Parse what a pause left behind. False: paused again, or closed. */
static bool parse_rest(struct conn *c)
{
    if (c->rest) {
        c->rest_at += parse(c, c->rest + c->rest_at, c->rest_n - c->rest_at);
        if (c->rest_at == c->rest_n) {
            free(c->rest);
            c->rest = NULL;
        }
    }
    return going(c);
}

static void keep_rest(struct conn *c, const uint8_t *p, size_t n)
{
    c->rest = malloc(n);
    if (!c->rest) {
        conn_close(c, CONN_CLOSE_NO_MEMORY, NULL);
        return;
    }
    memcpy(c->rest, p, n);
    c->rest_at = 0;
    c->rest_n = n;
}

/* One pull, to wherever the bytes belong. False: stop reading for now. */
static bool read_some(struct conn *c, size_t *got)
{
    uint8_t *dst;
    size_t cap, used;
    ssize_t n;

    if (c->streaming && c->stream_left >= CONN_DIRECT_MIN && (dst = conn_stream_room(c, &cap))) {
        n = conn_pull(c, dst, cap);
        *got = n > 0 ? (size_t)n : 0;
        return conn_stream_commit(c, *got);
    }
    if (c->frame && c->frame_n - c->frame_got >= CONN_DIRECT_MIN && !wants_start(c)) {
        if (!frame_room(c))
            return false;
        n = conn_pull(c, c->frame + c->frame_got, c->frame_cap - c->frame_got);
        if (n <= 0)
            return false;
        *got = (size_t)n;
        c->frame_got += (size_t)n;
        frame_advanced(c);
        return true;
    }
    n = conn_pull(c, c->loop->scratch, LOOP_SCRATCH_SIZE);
    if (n <= 0)
        return false;
    *got = (size_t)n;
    used = parse(c, c->loop->scratch, (size_t)n);
    if (used < (size_t)n && c->state == CONN_OPEN)
        keep_rest(c, c->loop->scratch + used, (size_t)n - used);
    return true;
}

/* A client that sends a request in two writes waits, by Nagle's rule, for the first one's acknowledgement; the kernel
 * would delay that by up to 40 ms. With half a frame at hand, acknowledge at once. */
static void acknowledge_half_a_frame(struct conn *c)
{
    int one = 1;
    if (c->state == CONN_OPEN && c->frame)
        setsockopt(conn_fd(c), IPPROTO_TCP, TCP_QUICKACK, &one, sizeof one); /* fails on a Unix socket: fine */
}

/* The round has used up its budget, and this one is inside of a long frame: what waits in the socket is found again in
 * the next round. */
static bool lets_others_first(struct conn *c)
{
    size_t missing = c->streaming ? c->stream_left : c->frame ? c->frame_n - c->frame_got : 0;
    bool kept = c->rest || conn_window_left(c); /* the socket would not tell of that */

    if (c->loop->read_left > 0 || missing <= CONN_READ_SHARE || kept || c->read_skips == CONN_READ_SKIPS_MAX) {
        c->read_skips = 0;
        return false;
    }
    c->read_skips++;
    return true;
}

void conn_read(struct conn *c)
{
    size_t total = 0, got, budget = c->loop->read_left > 0 ? CONN_READ_BUDGET : CONN_READ_SHARE;

    assert(!c->loop->scratch_busy);
    if (lets_others_first(c)) {
        conn_watch(c);
        return;
    }
    c->loop->scratch_busy = true;
    c->in_short = false;
    c->read_first = true;
    if (parse_rest(c)) {
        while (going(c) && (total < budget || conn_window_left(c))) {
            got = 0;
            c->read_over = total >= budget; /* what is in the window may end within a record: no more is fetched */
            if (!read_some(c, &got))
                break;
            total += got;
        }
    }
    c->read_over = false;
    c->loop->scratch_busy = false;
    if (c->state != CONN_CLOSED) {
        acknowledge_half_a_frame(c);
        conn_window_park(c);
        conn_watch(c);
    }
}
