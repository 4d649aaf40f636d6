/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_NET_CONN_INTERNAL_H
#define CASTELLAN_NET_CONN_INTERNAL_H

#include "core/net/conn.h"
#include "core/net/listener_internal.h"
#include "core/net/loop_internal.h"
#include "core/net/tls_internal.h"

/* The parts of a connection share this. conn.c owns the life, conn_connect.c gets a socket, conn_tls.c sits between
 * socket and plaintext, conn_read.c cuts frames, conn_write.c holds the queue, conn_stream.c passes frames on. */

enum {
    CONN_MAGIC = 0x6f6e6e43,
    CONN_READ_BUDGET = 1 << 20,      /* socket bytes read in one event before others get their turn */
    CONN_READ_FIRST = 64 << 10,      /* of which the first read asks for so many: what a pause leaves over is kept */
    CONN_READ_SHARE = 16 << 10,      /* read in one event when the loop's round has used up its own budget */
    CONN_READ_SKIPS_MAX = 7,         /* and inside of a long frame so many rounds are left to others first */
    CONN_WRITE_BUDGET = 4 << 20,     /* the same for sending */
    CONN_DIRECT_MIN = 4096,          /* as much missing of a frame: read straight into its buffer */
    CONN_FRAME_EAGER_MAX = 1 << 20,  /* longer frames get their buffer as the bytes come */
    CONN_CHUNK_SIZE = 4096,          /* small writes are gathered in chunks of this size */
    CONN_RECORD_ROOM = 16384 + 1024, /* what one TLS record may need in the send batch */
    CONN_SEND_PARTS_MAX = 64,        /* pieces of one sendmsg */
    CONN_LINGER_MS = 1000,           /* after the last byte: how long the peer may take to hang up */
    CONN_DETAIL_MAX = 240,
};

enum conn_state {
    CONN_RESOLVING,   /* client: the host name */
    CONN_CONNECTING,  /* client: TCP */
    CONN_HANDSHAKING, /* TLS, or plain before on_ready */
    CONN_OPEN,
    CONN_FLUSHING,  /* conn_close_after_flush: no more reading */
    CONN_LINGERING, /* all sent, our direction shut: waiting for the peer to hang up, so that no reset eats the last
                       bytes */
    CONN_CLOSED,
};

enum { WORK_READY = 1, WORK_FLUSH = 2, WORK_READ = 4, WORK_DRAINED = 8, WORK_CLOSED = 16, WORK_CONGESTED = 32 };

/* A piece of the write queue. A mark holds the place where a streamed frame's bytes go in. */
struct chunk {
    struct chunk *next, *prev;
    uint8_t *p;
    size_t at, n, cap;
    enum { CHUNK_INLINE, CHUNK_OWNED, CHUNK_BLOCK, CHUNK_MARK } kind;
    struct chunk *mark;      /* data of a streamed frame: its mark */
    struct conn *source;     /* mark: who streams; NULL once the frame is through */
    size_t ahead;            /* mark: bytes in the queue before it */
    struct chunk *next_mark; /* mark: the next one in the queue */
    struct loop_block *block;
};

struct conn_io; /* a uv_poll on a socket, outliving the conn until libuv lets go */
struct conn_resolve;

struct conn {
    uint32_t magic;
    enum conn_state state;
    struct loop *loop;
    struct conn_io *io;
    struct conn_resolve *resolve;
    struct loop_deferred deferred;
    struct loop_resident resident;
    struct loop_timer timer;
    unsigned work;
    int watched;

    const struct conn_ops *ops;
    void *user;
    uint32_t frame_max, stream_above, stream_peek;
    size_t queue_high, queue_low, queue_max;
    int64_t idle_ms, last_active_ms;
    bool raw, server, in_callback_frame;

    struct tls *tls;
    SSL *ssl;
    X509 *peer_cert;
    char *server_name;
    bool alert_held; /* LINGERING: the last record has still to leave */

    /* reading: ciphertext window, framing, what was left over by a pause */
    unsigned paused;
    bool stream_wait, in_short, seen_first;
    uint8_t read_skips;
    bool read_first, read_over; /* this event's first read is still to come; its budget is used up */
    struct loop_block *in_block;
    uint8_t *in_owned;
    const uint8_t *in_p;
    size_t in_at, in_n;
    uint8_t head[4];
    uint8_t head_n;
    bool in_frame, decided;
    uint32_t frame_n;
    uint8_t *frame;
    size_t frame_got, frame_cap;
    struct slice delivering;
    uint8_t *rest;
    size_t rest_at, rest_n;

    /* the frame being passed on */
    bool streaming, stream_broken;
    uint32_t stream_left, stream_skip;
    struct conn *stream_to;
    struct chunk *stream_mark, *stream_spare;
    conn_edit_fn edit; /* NULL: the bytes pass as they are */
    void *edit_context;

    /* writing */
    struct chunk *first, *last, *marks;
    size_t queued;
    bool congested, blocked;
    struct loop_block *out_block;
    size_t out_at, out_n;

    struct accepted accepted;
    bool has_place;
    enum conn_close why;
    char *detail;
    uint64_t bytes_in, bytes_out;
    char peer_host[46];
    char peer[56];
};

/* conn.c */
enum err conn_make(struct conn **out, struct loop *l, bool server, const struct conn_opts *opts) MUST_CHECK;
void conn_destroy(struct conn *c);
void conn_move(struct conn *c, enum conn_state to);
void conn_work_later(struct conn *c, unsigned work);
enum err conn_set_fd(struct conn *c, int fd) MUST_CHECK; /* takes the descriptor also on failure */
void conn_drop_fd(struct conn *c);
int conn_fd(const struct conn *c);
void conn_watch(struct conn *c); /* poll for what the state wants */
void conn_set_peer(struct conn *c, const struct sockaddr_storage *peer);
void conn_established(struct conn *c);                             /* TCP is there: handshake or open */
void conn_opened(struct conn *c);                                  /* all handshakes done; calls on_ready */
void conn_failed(struct conn *c, enum conn_close why, int errnum); /* closes with strerror as the detail */
bool conn_wants_read(const struct conn *c);
bool conn_fault(struct conn *c, const char *point);

/* conn_connect.c */
void conn_connect_ready(struct conn *c); /* the socket polled ready while connecting */
void conn_connect_cancel(struct conn *c);

/* conn_tls.c; pulls return > 0 bytes, 0 would block, -1 the connection was closed */
enum err conn_tls_start(struct conn *c) MUST_CHECK;
void conn_tls_handshake(struct conn *c);
ssize_t conn_pull(struct conn *c, uint8_t *dst, size_t cap);
bool conn_window_left(const struct conn *c);
void conn_window_park(struct conn *c); /* end of a read event: give the block back */
void conn_tls_say_alert(struct conn *c);
void conn_tls_goodbye(struct conn *c); /* close_notify, as far as it goes without waiting */
/* Encrypt from the queue into the batch until it is full or the queue is not sendable; false: closed. */
bool conn_tls_fill(struct conn *c);

/* conn_read.c */
void conn_read(struct conn *c);

/* conn_write.c */
void conn_flush(struct conn *c);
void conn_queue_grew(struct conn *c, size_t n);
void conn_queue_free(struct conn *c);
bool conn_queue_sendable(const struct conn *c);
void conn_queue_sent(struct conn *c, size_t n); /* n bytes of the first chunks left the queue */
void conn_queue_insert(struct conn *c, struct chunk *k, struct chunk *before); /* before NULL: at the end */
void conn_queue_remove(struct conn *c, struct chunk *k);                       /* and frees it */
bool conn_out_ready(struct conn *c);                                           /* there is a batch to fill */
bool conn_send_out(struct conn *c);                                            /* true: the batch is empty */

/* conn_stream.c */
void conn_stream_begin(struct conn *c);
bool conn_stream_put(struct conn *c, const uint8_t *p, size_t n); /* n <= stream_left; false: closed */
uint8_t *conn_stream_room(struct conn *c, size_t *cap);           /* NULL: use conn_stream_put */
bool conn_stream_commit(struct conn *c, size_t n);
void conn_stream_source_gone(struct conn *c);
void conn_stream_target_gone(struct chunk *mark);
void conn_stream_drained(struct conn *to, size_t n); /* n bytes left the front of its queue */

#endif
