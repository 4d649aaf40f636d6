/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_NET_KAFKA_CLIENT_H
#define CASTELLAN_NET_KAFKA_CLIENT_H

#include "core/base/secret.h"
#include "core/net/conn.h"

/* One connection to one Kafka node, asynchronous, on a loop: connect, TLS, ApiVersions (falling back to v0), SASL, then
 * requests. Requests may be pipelined; answers come in order. Reconnecting is the caller's business: after on_down the
 * client is gone.
 *
 * Every request sent gets its done() exactly once: with the answer, or with an error before on_down is called. */
struct kafka_client;

enum kafka_sasl { KAFKA_SASL_NONE, KAFKA_SASL_PLAIN, KAFKA_SASL_SCRAM_SHA_256, KAFKA_SASL_SCRAM_SHA_512 };

enum {
    KAFKA_CLIENT_IN_FLIGHT_MAX = 1000, /* default of in_flight_max */
    KAFKA_CLIENT_REQUEST_MS = 30000,
    KAFKA_CLIENT_CONNECT_MS = 10000, /* until on_up */
};

struct kafka_client_opts {
    const char *host;
    uint16_t port;
    struct tls *tls; /* NULL: plain TCP; held by the client */
    enum kafka_sasl sasl;
    struct slice user;     /* copied */
    struct slice password; /* copied into a secret, wiped once authenticated */
    const char *client_id; /* NULL: "castellan" */
    uint32_t in_flight_max;
    uint32_t frame_max;
    int64_t connect_ms, request_ms;                     /* 0: the defaults */
    int64_t idle_ms;                                    /* 0: none */
    void (*on_up)(void *owner, struct kafka_client *k); /* authenticated, versions known */
    void (*on_down)(void *owner, struct kafka_client *k, enum err err, const char *why); /* last call */
    void (*on_drained)(void *owner, struct kafka_client *k); /* may be NULL; see kafka_client_is_congested() */
    void *owner;
};

/* The answer's body (after the response header), valid during the call; null with an error. */
typedef void (*kafka_client_done)(void *user, struct kafka_client *k, enum err err, int16_t version, struct slice body);

enum err kafka_client_connect(struct kafka_client **out, struct loop *l,
                              const struct kafka_client_opts *opts) MUST_CHECK;
void kafka_client_close(struct kafka_client *k,
                        const char *why); /* outstanding requests get ERR_CANCELLED, then on_down */

/* The highest version both sides speak, or -1. kafka_client_range() gives what the node announced. */
int16_t kafka_client_version(const struct kafka_client *k, int16_t api_key);
bool kafka_client_range(const struct kafka_client *k, int16_t api_key, int16_t *min, int16_t *max);

/* `request` is the generated struct of the API. version -1: the highest common one. timeout_ms 0: the default. `done`
 * may be NULL for requests that get no answer (Produce with acks=0): set `no_answer`. */
struct kafka_call {
    int16_t api_key;
    int16_t version;
    int64_t timeout_ms;
    bool no_answer;
    kafka_client_done done;
    void *user;
};
enum err kafka_client_send(struct kafka_client *k, const struct kafka_call *call, const void *request) MUST_CHECK;
/* The body already encoded (copied; client_id null: our own is used). */
enum err kafka_client_send_body(struct kafka_client *k, const struct kafka_call *call, struct slice client_id,
                                const struct slice *body, size_t n) MUST_CHECK;
/* The same, of the body that stands at the end of `b` from `body_at` on. With ERR_OK b's memory was taken. */
enum err kafka_client_send_owned(struct kafka_client *k, const struct kafka_call *call, struct slice client_id,
                                 struct buf *b, size_t body_at) MUST_CHECK;
/* Send only the frame's length and request header for a body of body_n bytes that the caller delivers next, by
 * conn_write_owned() or conn_stream_to() on kafka_client_conn(). */
enum err kafka_client_send_head(struct kafka_client *k, const struct kafka_call *call, struct slice client_id,
                                size_t body_n) MUST_CHECK;
/* Inside done: take the memory of the answer's frame; `body` tells where in `out` the body begins. */
enum err kafka_client_take(struct kafka_client *k, struct buf *out, size_t *body_at) MUST_CHECK;

/* Answers longer than `above` may be streamed: `start` sees the first bytes (at least `peek`, or all) of the answer's
 * body, and may call conn_stream_to(kafka_client_conn(k), to, s->header_n + skip), or conn_stream_discard(), and return
 * CONN_FRAME_STREAMED; then done comes with a null body when the frame is through (ERR_CANCELLED when `to` went away).
 */
struct kafka_stream_start {
    int16_t api_key, version;
    uint32_t header_n; /* length of the response header inside the frame */
    uint32_t body_n;
    struct slice head; /* of the body */
    void *user;        /* of the call */
};
void kafka_client_on_stream(struct kafka_client *k, uint32_t above, uint32_t peek,
                            enum conn_frame_choice (*start)(void *owner, struct kafka_client *k,
                                                            const struct kafka_stream_start *s));

struct conn *kafka_client_conn(struct kafka_client *k);
bool kafka_client_is_up(const struct kafka_client *k);
bool kafka_client_is_congested(const struct kafka_client *k); /* write queue high, or in_flight_max reached */
uint32_t kafka_client_in_flight(const struct kafka_client *k);

#endif
