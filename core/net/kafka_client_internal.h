/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_NET_KAFKA_CLIENT_INTERNAL_H
#define CASTELLAN_NET_KAFKA_CLIENT_INTERNAL_H

#include "core/base/arena.h"
#include "core/net/kafka_client.h"
#include "core/net/scram_client.h"

/* kafka_client.c carries requests and answers, kafka_client_auth.c everything between TCP and on_up. */

enum {
    KAFKA_CLIENT_APIS_MAX = 256,      /* API keys whose versions are remembered */
    KAFKA_CLIENT_ARENA_MAX = 1 << 20, /* for headers and the messages of the handshake */
};

enum kafka_client_state { KAFKA_CLIENT_CONNECTING, KAFKA_CLIENT_NEGOTIATING, KAFKA_CLIENT_UP, KAFKA_CLIENT_DOWN };

struct kafka_slot {
    struct kafka_slot *next;
    int32_t correlation_id;
    struct kafka_call call;
    int64_t deadline_ms;
};

enum { KAFKA_CLIENT_MAGIC = 0x4b436c69 };

struct kafka_client {
    uint32_t magic;
    enum kafka_client_state state;
    struct loop *loop;
    struct conn *conn;
    struct loop_timer timer;
    struct arena arena;

    uint32_t in_flight_max, in_flight;
    int64_t request_ms;
    struct kafka_slot *first, *last;
    int32_t next_correlation_id;
    struct slice frame; /* inside done */
    size_t body_at;
    struct kafka_slot *streaming; /* the slot whose answer passes through */

    int16_t api_min[KAFKA_CLIENT_APIS_MAX], api_max[KAFKA_CLIENT_APIS_MAX]; /* max -1: not spoken */

    enum kafka_sasl sasl;
    char *client_id;
    struct buf user;
    struct secret password;
    struct scram_client scram;
    int scram_step;

    enum err failed; /* our own reason to go down */
    void (*on_up)(void *owner, struct kafka_client *k);
    void (*on_down)(void *owner, struct kafka_client *k, enum err err, const char *why);
    void (*on_drained)(void *owner, struct kafka_client *k);
    enum conn_frame_choice (*on_stream)(void *owner, struct kafka_client *k, const struct kafka_stream_start *s);
    void *owner;
};

/* Connected: starts the negotiation, which ends in kafka_client_came_up() or kafka_client_fail(). */
void kafka_client_negotiate(struct kafka_client *k);
void kafka_client_came_up(struct kafka_client *k);
void kafka_client_fail(struct kafka_client *k, enum err err, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* kafka_client_send() also before on_up. */
enum err kafka_client_send_early(struct kafka_client *k, const struct kafka_call *call, const void *request) MUST_CHECK;
void kafka_client_forget_secrets(struct kafka_client *k);

#endif
