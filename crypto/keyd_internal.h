/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_CRYPTO_KEYD_INTERNAL_H
#define CASTELLAN_CRYPTO_KEYD_INTERNAL_H

#include "core/ledger/ledger.h"
#include "core/net/loop.h"
#include "crypto/keyd_proto.h"
#include "crypto/keyring_step.h"

#include <stdatomic.h>
#include <uv.h>

/* The key process, taken apart: keyd.c (settings, process), keyd_run.c (ledgers and the erase protocol), keyd_server.c
 * (sockets and clients), keyd_jobs.c (requests for keys, in turn), keyd_keys.c (giving keys), keyd_admin.c (forget,
 * status, receipts), keyd_push.c (erase pushes and leases). Everything runs on one loop's thread, except the decide
 * functions of the ledgers. */
enum {
    KEYD_DATA_CLIENTS_MAX = 1024,   /* on the socket for data keys; descriptors for all are reserved at the start */
    KEYD_ADMIN_CLIENTS_MAX = 512,   /* on the administrators' */
    KEYD_PROCESS_CLIENTS_MAX = 256, /* of one process on one socket */
    KEYD_JOBS_BYTES_MAX = 8 * 1024 * 1024,    /* requests for keys of one client that wait for their turn */
    KEYD_SLICE_US = 1000,                     /* of such work at a time; renewals and forgetting come in between */
    KEYD_CREATING_MAX = 2000,                 /* keys on their way into the log; more wait */
    KEYD_PARKED_BYTES_MAX = 64 * 1024 * 1024, /* of requests that wait for keys on their way */
    KEYD_OUT_MAX = 64 * 1024 * 1024,          /* bytes a client may leave unread */
    KEYD_RETRY_MS = 500,                      /* after a failed step */
    KEYD_TICK_MS = 25,                        /* while acknowledgements are awaited */
    KEYD_GONE_MAX = 1024,                     /* clients that left and whose lease still runs */
};

struct keyd_opts {
    const char *socket_path;       /* KEYD_CAP_DATA */
    const char *admin_socket_path; /* KEYD_CAP_ADMIN; NULL: none */
    int64_t hello_ms;              /* a connection that has not said HELLO by then is closed */
    const char *root_file, *mark_file, *signing_key_file, *public_key_file;
    int64_t lease_ms;
    const char *const *kafka; /* NULL: ledgers over memory, for tests */
    bool topics_exist;        /* do not create or look at them: for clusters without an administrator's API, in tests */
    struct env *env;
    void (*on_serving)(void *user);
    void (*on_fatal)(void *user, const struct reason *why);
    void *user;
};

/* A socket, and what who comes in by it may do. */
struct keyd_door {
    struct keyd *d;
    uv_pipe_t pipe;
    const char *path;
    uint8_t caps;
    size_t clients_n, clients_max;
    bool open;
};

/* A request for keys that waits for its turn. */
struct keyd_job {
    struct keyd_job *next;
    struct keyd_frame frame; /* its body points behind this */
};

struct keyd_client {
    struct keyd *d;
    struct keyd_door *door;
    struct keyd_client *next;
    uint64_t id;
    uv_pipe_t pipe;
    pid_t pid;
    struct buf in;
    size_t out_bytes;
    uint8_t caps;
    bool welcome, closing;
    char name[KEYD_NAME_MAX + 1];
    int64_t lease_until_ms, greet_until_ms;
    struct keyd_job *jobs, **jobs_end;
    size_t jobs_bytes;
    bool reading, in_turn;                     /* in_turn: in d->turn */
    struct keyd_client *turn_prev, *turn_next; /* those with jobs, the next one first */
};

/* A CREATE whose keys are not all there yet: it counts those on their way, and is looked at again when the last one
 * came. During a rotation nothing is on its way, and it waits in d->held. */
struct keyd_parked {
    struct keyd_parked *next; /* in d->held */
    uint64_t client;
    uint32_t request;
    size_t waits; /* keys on their way */
    enum err failed;
    size_t n;
    uint8_t tags[][KEYRING_TAG_SIZE];
};

/* Who waits for a key on its way: the value in d->creating is the first of these, or NULL. */
struct keyd_wait {
    struct keyd_wait *next;
    struct keyd_parked *parked;
};

/* An admin's request that waits for an erasure, or for a write. */
struct keyd_waiter {
    struct keyd_waiter *next;
    uint64_t client;
    uint32_t request;
    uint8_t erasure[KEYRING_ERASURE_ID_SIZE];
};

enum keyd_ack { KEYD_ACK_WAITING, KEYD_ACK_DONE, KEYD_ACK_EXPIRED };

struct keyd_participant {
    uint64_t client; /* 0: clients of an earlier key process, whoever they were */
    char name[KEYD_NAME_MAX + 1];
    int64_t lease_until_ms, at_ms;
    enum keyd_ack ack;
};

struct keyd_push {
    struct keyd_push *next;
    uint32_t id;
    uint8_t erasure[KEYRING_ERASURE_ID_SIZE];
    struct keyd_participant *v;
    size_t n, cap;
};

/* A client that left: its lease may still run. */
struct keyd_gone {
    char name[KEYD_NAME_MAX + 1];
    int64_t lease_until_ms;
};

struct keyd {
    struct keyd_opts opts;
    struct loop *loop;
    struct env *env;
    struct ledger *keys_ledger, *erasures_ledger;
    bool keys_ready, erasures_ready, checked, serving, stopping, fatal;
    struct keyring *kr;
    struct erasure_log log;
    struct receipt_signer signer;
    struct custody *custody;
    struct keyring_work work;
    bool work_busy;                            /* a write of the protocol is under way */
    atomic_uint_fast64_t root_epoch, log_size; /* for the decide functions */
    struct map creating;                       /* tags whose key is being made -> struct keyd_wait */
    struct keyd_parked *held;                  /* oldest first; held_end: where the next goes */
    struct keyd_parked **held_end;
    size_t parked_bytes;
    struct keyd_client *turn; /* a ring of the clients with jobs */
    size_t turn_n;
    uv_idle_t working; /* runs while there are jobs that can be done */
    bool working_live;
    struct keyd_waiter *waiters;
    struct keyd_push *pushes;
    uint32_t next_push;
    int64_t started_ms; /* monotonic */
    struct keyd_client *clients;
    size_t clients_n;
    uint64_t next_client;
    struct keyd_gone gone[KEYD_GONE_MAX];
    size_t gone_n;
    struct keyd_door data_door, admin_door;
    struct loop_timer retry, tick, greeting;
};

/* keyd_run.c */
enum err keyd_new(struct keyd **out, struct loop *loop, const struct keyd_opts *opts, struct reason *why) MUST_CHECK;
void keyd_stop(struct keyd *d); /* closes sockets; run the loop once more, then free */
void keyd_free(struct keyd *d);
void keyd_pump(struct keyd *d);
void keyd_fail(struct keyd *d, const struct reason *why);
/* Append records to the key topic and call done on the loop; takes the records. */
typedef void (*keyd_written_fn)(struct keyd *d, void *arg, enum err e);
enum err keyd_write_keys(struct keyd *d, struct keyring_records *records, keyd_written_fn fn, void *arg) MUST_CHECK;

/* keyd_server.c */
enum err keyd_listen(struct keyd *d, struct reason *why) MUST_CHECK; /* on all sockets */
void keyd_close_doors(struct keyd *d);
void keyd_on_greeting_timer(void *arg);
void keyd_read(struct keyd_client *c, bool on);
void keyd_send(struct keyd_client *c, struct buf *frame); /* takes the bytes */
void keyd_send_error(struct keyd_client *c, uint32_t request, enum err e, const char *words);
void keyd_send_json(struct keyd_client *c, uint32_t request, struct slice text);
struct keyd_client *keyd_client_of(struct keyd *d, uint64_t id); /* NULL: gone */
void keyd_client_close(struct keyd_client *c, const char *reason);
void keyd_client_bad(struct keyd_client *c, uint8_t type, enum err e); /* cut off after a bad request */

/* keyd_jobs.c */
enum err keyd_job_add(struct keyd_client *c, const struct keyd_frame *f) MUST_CHECK;
void keyd_jobs_run(struct keyd *d);         /* go on with what can be done */
void keyd_jobs_drop(struct keyd_client *c); /* it leaves */
void keyd_jobs_close(struct keyd *d);

/* keyd_keys.c */
enum err keyd_on_create(struct keyd_client *c, const struct keyd_frame *f) MUST_CHECK;
enum err keyd_on_get(struct keyd_client *c, const struct keyd_frame *f) MUST_CHECK;
void keyd_release_held(struct keyd *d); /* a rotation is over */
void keyd_drop_parked(struct keyd *d);  /* at the end: nobody is answered */

/* keyd_admin.c */
enum err keyd_on_forget(struct keyd_client *c, const struct keyd_frame *f) MUST_CHECK;
enum err keyd_on_status(struct keyd_client *c, const struct keyd_frame *f) MUST_CHECK;
enum err keyd_on_receipt(struct keyd_client *c, const struct keyd_frame *f) MUST_CHECK;
enum err keyd_on_reopen(struct keyd_client *c, const struct keyd_frame *f) MUST_CHECK;
enum err keyd_on_hold(struct keyd_client *c, const struct keyd_frame *f) MUST_CHECK;
void keyd_settle_waiters(struct keyd *d);

/* keyd_push.c */
void keyd_push_erasures(struct keyd *d); /* push what is fenced and was not pushed */
void keyd_push_check(struct keyd *d);    /* who has acknowledged, whose lease ran out */
void keyd_push_acked(struct keyd_client *c, uint32_t push);
bool keyd_push_waits_for(const struct keyd *d, const struct keyd_client *c);
void keyd_push_left(struct keyd *d, const struct keyd_client *c);
void keyd_push_free(struct keyd *d);

#endif
