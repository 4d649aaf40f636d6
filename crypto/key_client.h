/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_CRYPTO_KEY_CLIENT_H
#define CASTELLAN_CRYPTO_KEY_CLIENT_H

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/slice.h"
#include "crypto/record_crypt.h"

/* The client of the key process, for one worker. Every call here belongs to that worker's thread.
 *
 * With a keeper the connection, the lease and the wiping of erased keys live on a thread of their own, which no request
 * can delay; the worker meets it at a lock that is held for one record's encryption at the most. Without one (tests)
 * everything happens on the loop given.
 *
 * It keeps data keys in a bounded, locked, wiped cache and a lease: renewed by heartbeat, counted from the moment a
 * renewal was sent. When the lease is older than its limit, or the key process is gone that long, every cached key is
 * wiped and requests fail with ERR_KAFKA_STORAGE_ERROR until it is back: fail closed. A push "erased" wipes and acks.
 * It reconnects for ever. */
struct uv_loop_s;
struct loop;
struct key_client;
struct key_keeper;
struct key_set;

enum {
    KEY_CLIENT_CACHE_KEYS = 16384,   /* default; a worker's own */
    KEY_CLIENT_ERASED_MAX = 1000000, /* remembered erased key ids */
    KEY_CLIENT_REQUEST_TIMEOUT_MS = 10000,
    KEY_CLIENT_PENDING_MAX = 10000, /* resolves waiting for the key process */
};

struct key_client_opts {
    const char *socket_path;
    const char *name;          /* shown in receipts and status: "gateway-1/worker-0" */
    size_t cache_keys;         /* 0: KEY_CLIENT_CACHE_KEYS */
    struct key_keeper *keeper; /* NULL: none */
    struct loop *caller;       /* with a keeper: the worker's loop, where answers are delivered */
    /* Called after keys were wiped by an erase and before it is acknowledged, on the keeper's thread if there is one;
     * may be NULL. */
    void (*on_erased)(void *user);
    void *user;
};

/* `loop` is not looked at with a keeper; then clients are made before the keeper starts. */
enum err key_client_new(struct key_client **out, struct uv_loop_s *loop, const struct key_client_opts *opts,
                        struct reason *why) MUST_CHECK;
/* Waiting requests are called back with ERR_CANCELLED; keys are wiped at once, memory goes when the loop ran once
 * more. NULL is fine. Key sets still held stay valid but find nothing. */
void key_client_free(struct key_client *c);
/* The thread of its own, for the clients of one process. Free it after its clients, and before the loops where answers
 * are delivered; what is still to be delivered runs when those are freed. */
enum err key_keeper_new(struct key_keeper **out, struct reason *why) MUST_CHECK;
enum err key_keeper_start(struct key_keeper *k, struct reason *why) MUST_CHECK;
void key_keeper_free(struct key_keeper *k); /* NULL is fine */
/* Connected, with a lease that holds right now. */
bool key_client_ready(const struct key_client *c);

/* Get every key that `needs` names: creates keys for subjects that have none. The callback is called exactly once,
 * maybe before this returns (all in the cache); when this itself returns an error it is not called. On ERR_OK `set`
 * belongs to the callee (key_set_free); erased and unknown keys are answers, not failures. On failure set is NULL and
 * `why` says what is wrong. */
typedef void (*key_client_fn)(void *arg, enum err e, struct key_set *set, const struct reason *why);
enum err key_client_resolve(struct key_client *c, const struct policy *policy, const struct record_crypt_needs *needs,
                            key_client_fn fn, void *arg, struct reason *why) MUST_CHECK;
/* The keys for record_crypt_seal and _open. Looked up anew at each use: erased in the meantime is erased, and without a
 * lease everything is KEY_UNAVAILABLE. */
struct key_lookup key_set_lookup(struct key_set *s);
void key_set_free(struct key_set *s);

struct key_subject {
    struct slice tenant;        /* null: "default" */
    struct slice subject_class; /* null: "default" */
    struct slice id;
};

/* The administrator's calls, blocking, each on a connection of its own to the key process's admin socket: for the admin
 * interface's threads. The answer's JSON is appended to `out` (a receipt bundle, checked, for forget; a bundle for
 * receipt). Status may also be asked of the socket for data keys. */
enum err key_admin_forget(const char *socket_path, const struct key_subject *s, struct slice requester, int timeout_ms,
                          struct buf *out, struct reason *why) MUST_CHECK;
enum err key_admin_reopen(const char *socket_path, const struct key_subject *s, int timeout_ms, struct buf *out,
                          struct reason *why) MUST_CHECK;
enum err key_admin_hold(const char *socket_path, const struct key_subject *s, bool hold, int timeout_ms,
                        struct buf *out, struct reason *why) MUST_CHECK;
enum err key_admin_status(const char *socket_path, int timeout_ms, struct buf *out, struct reason *why) MUST_CHECK;
enum err key_admin_receipt(const char *socket_path, uint64_t seq, int timeout_ms, struct buf *out,
                           struct reason *why) MUST_CHECK;

#endif
