/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_NET_CONN_H
#define CASTELLAN_NET_CONN_H

#include "core/base/buf.h"
#include "core/net/listener.h"
#include "core/net/loop.h"
#include "core/net/tls.h"

/* A connection: one socket on one loop, plain or TLS, Kafka-framed or raw.
 *
 * Life: conn_accept/conn_connect/conn_adopt give a conn; it stays valid until its on_closed returned, which is called
 * exactly once, always from the loop, never from inside another conn_ call. conn_close() may be called any time, in any
 * callback; after it only on_closed follows. Callbacks left NULL are skipped.
 *
 * Writing never blocks and is batched: what is written in one round of events leaves in few sends at the end of it. */
struct conn;

enum conn_close {
#define CLOSE(name, label, text) CONN_CLOSE_##name,
#include "core/net/conn_close.tbl"
#undef CLOSE
    CONN_CLOSE_COUNT_
};
const char *conn_close_label(enum conn_close c); /* for counters */
const char *conn_close_text(enum conn_close c);  /* for people */

enum {
    CONN_FRAME_MAX_DEFAULT = 104857600,  /* socket.request.max.bytes */
    CONN_FRAME_MAX_BEFORE_AUTH = 524288, /* what a stranger may send */
    CONN_QUEUE_HIGH_DEFAULT = 1 << 20,   /* above: conn_is_congested() */
    CONN_QUEUE_LOW_DEFAULT = 256 << 10,  /* below, after having been above: on_drained */
    CONN_QUEUE_MAX_DEFAULT = 256 << 20,  /* more queued than this closes the connection */
    CONN_HANDSHAKE_MS_DEFAULT = 10000,   /* TCP connect and TLS handshake together */
    CONN_IDLE_MS_DEFAULT = 600000,       /* connections.max.idle.ms */
    CONN_FLUSH_MS_MAX = 10000,           /* conn_close_after_flush(): how long the peer may take */
    CONN_STREAM_PEEK_MAX = 64 << 10,     /* the most of a frame on_frame_start can ask to see */
};

/* What on_frame_start wants done with the frame whose first bytes it saw. */
enum conn_frame_choice {
    CONN_FRAME_WHOLE,    /* collect it, deliver by on_frame */
    CONN_FRAME_STREAMED, /* conn_stream_to() or conn_stream_discard() was called; on_frame_end follows */
};

struct conn_ops {
    void (*on_ready)(void *user, struct conn *c); /* connected, TLS handshake done */
    /* The peer's certificate is refused, or it has none and needs one: how many ms to wait before it is told so. */
    int64_t (*on_refused)(void *user, struct conn *c);
    void (*on_frame)(void *user, struct conn *c,
                     struct slice frame); /* framed: without the length; only during the call */
    void (*on_data)(void *user, struct conn *c, struct slice data); /* raw: only during the call */
    void (*on_congested)(void *user, struct conn *c);               /* the write queue is above queue_high now */
    void (*on_drained)(void *user, struct conn *c);                 /* and fell below queue_low again */
    void (*on_closed)(void *user, struct conn *c, enum conn_close why,
                      const char *detail); /* last call; conn is gone after */
    /* Framed, only for frames longer than stream_above: called once the first min(stream_peek, frame_n) bytes are
     * there. */
    enum conn_frame_choice (*on_frame_start)(void *user, struct conn *c, uint32_t frame_n, struct slice head);
    /* Framed: a frame that is coming in needs a buffer of `cap` bytes. False: not now; the owner has paused the
     * connection, and is asked again after it resumes. */
    bool (*on_frame_grow)(void *user, struct conn *c, size_t cap);
    /* The streamed frame is through (ok), or its destination went away and the rest was thrown away (!ok). */
    void (*on_frame_end)(void *user, struct conn *c, bool ok);
};

struct conn_opts {
    const struct conn_ops *ops;
    void *user;
    struct tls *tls;                         /* NULL: plain TCP. The conn takes its own hold of the context. */
    const char *server_name;                 /* client: SNI and the name to verify; NULL: the host connected to */
    bool raw;                                /* no Kafka framing: on_data */
    uint32_t frame_max;                      /* 0: CONN_FRAME_MAX_DEFAULT */
    uint32_t stream_above;                   /* frames longer than this go through on_frame_start (when set) */
    uint32_t stream_peek;                    /* how much of them it sees; at most CONN_STREAM_PEEK_MAX */
    size_t queue_high, queue_low, queue_max; /* 0: the defaults */
    int64_t handshake_ms;                    /* 0: default; negative: none */
    int64_t idle_ms;                         /* 0: default; negative: none */
};

/* All three: on failure nothing is called and the socket is closed. */
enum err conn_accept(struct conn **out, struct loop *l, struct accepted a, const struct conn_opts *opts) MUST_CHECK;
enum err conn_connect(struct conn **out, struct loop *l, const char *host, uint16_t port,
                      const struct conn_opts *opts) MUST_CHECK;
/* Any connected stream socket (a Unix socket, a socketpair). `server`: which TLS side this is. */
enum err conn_adopt(struct conn **out, struct loop *l, int fd, bool server, const struct conn_opts *opts) MUST_CHECK;

/* Writing. Bytes go out as they are: framed mode frames only what is read; conn_write_frame() adds the length.
 * Fails with ERR_CLOSED after a close, ERR_LIMIT_EXCEEDED over queue_max (which closes the connection), ERR_NO_MEMORY.
 */
enum err conn_write(struct conn *c, const struct slice *slices, size_t n) MUST_CHECK; /* copies */
enum err conn_write_owned(struct conn *c,
                          struct buf *b) MUST_CHECK; /* takes b's memory also on failure; b is empty after */
enum err conn_write_owned_from(struct conn *c, struct buf *b,
                               size_t at) MUST_CHECK; /* the same, without the first `at` */
enum err conn_write_frame(struct conn *c, const struct slice *slices, size_t n) MUST_CHECK; /* length, then copies */
size_t conn_queued(const struct conn *c);     /* bytes not yet given to the kernel */
bool conn_is_congested(const struct conn *c); /* above queue_high and not yet below queue_low again */

/* Reading: pauses count; as many resumes as pauses. While paused no frame is delivered and the socket is not read. */
void conn_pause(struct conn *c);
void conn_resume(struct conn *c);
/* Inside on_frame only: take the frame's memory; `out` (freed first) holds exactly the frame. Frames that came alone in
 * a buffer of their own (large ones) are not copied. */
enum err conn_take_frame(struct conn *c, struct buf *out) MUST_CHECK;
void conn_set_frame_max(struct conn *c, uint32_t frame_max); /* live: after authentication */
/* The peer has said who it is: the connection no longer counts as a stranger's (accept_limit.h). May be repeated. */
void conn_peer_is_known(struct conn *c);
void conn_set_stream(struct conn *c, uint32_t stream_above, uint32_t stream_peek); /* for the frames to come */

/* Inside on_frame_start only: send the rest of this frame, from byte `skip` of it on, to `to` while it arrives. The
 * caller has written what goes before (a length, a rewritten head) with conn_write(to, ...) immediately before. What
 * others write to `to` meanwhile goes out after the frame. Reading pauses while `to` is congested. If this connection
 * ends inside the frame, `to` is closed with STREAM_BROKEN; if `to` ends, the rest of the frame is thrown away. `to`
 * must live on the same loop. */
enum err conn_stream_to(struct conn *c, struct conn *to, uint32_t skip) MUST_CHECK;
void conn_stream_discard(struct conn *c);
/* Right after conn_stream_to(): every piece of the frame from `skip` on is shown to `edit` before it is queued, and may
 * be changed in place. False: nothing of that piece goes out and this connection is closed for PROTOCOL with the text
 * that `edit` left in `*why` (which is "" before); `to` ends with STREAM_BROKEN as always. `context` must live until
 * on_frame_end or on_closed. `edit` makes no conn_ calls. */
typedef bool (*conn_edit_fn)(void *context, uint8_t *bytes, size_t n, const char **why);
void conn_stream_edit(struct conn *c, conn_edit_fn edit, void *context);

/* Closing. `detail` (may be NULL) is copied and handed to on_closed. */
void conn_close(struct conn *c, enum conn_close why, const char *detail);
/* Stop reading, send what is queued, then close. */
void conn_close_after_flush(struct conn *c, enum conn_close why, const char *detail);

const char *conn_peer(const struct conn *c);      /* "127.0.0.1:51234", "unix" */
const char *conn_peer_host(const struct conn *c); /* "127.0.0.1", "::1"; what ACL hosts are compared with */
/* TLS facts, after on_ready. */
const char *conn_tls_version(const struct conn *c); /* "TLSv1.3"; "" for plain */
/* The peer's certificate, NULL when it showed none; lives as long as the conn. See tls_cert_*() for what to ask it. */
struct x509_st *conn_peer_cert(const struct conn *c);
uint64_t conn_bytes_taken(const struct conn *c); /* what was sent and the peer's kernel has acknowledged */
uint64_t conn_bytes_in(const struct conn *c);    /* from the socket, TLS overhead included */

#endif
