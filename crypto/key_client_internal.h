/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_CRYPTO_KEY_CLIENT_INTERNAL_H
#define CASTELLAN_CRYPTO_KEY_CLIENT_INTERNAL_H

#include "core/base/map.h"
#include "core/net/loop.h"
#include "crypto/key_client.h"
#include "crypto/keyd_proto.h"

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

enum {
    KEY_CLIENT_RECONNECT_MS = 100,
    KEY_CLIENT_TICK_MS_MAX = 250,
    KEY_CLIENT_CREATE_BYTES = 1024 * 1024, /* of subjects in one CREATE */
};

/* One cached key. The bytes live in the cache's slab; a pinned entry that was erased or dropped stays until unpinned,
 * wiped. */
struct key_entry {
    struct key_entry *prev, *next; /* recently used first; not listed while pinned or out of the cache */
    struct data_key *key;
    struct key_client *client;
    char *subject; /* the subjects map's key, when it was got by subject */
    size_t subject_n;
    unsigned pins;
    bool erased, dropped, listed;
    struct key_hold holds; /* list head: what was made from the key, and is wiped with it */
};

struct key_cache {
    struct data_key *slab; /* locked memory */
    struct data_key **free_keys;
    size_t size, free_n;
    struct map ids;      /* key id -> struct key_entry */
    struct map subjects; /* tenant 0 class 0 id -> struct key_entry */
    struct map erased;   /* key ids known to be erased */
    struct key_entry recent;
    uint64_t wiped; /* keys, ever */
};

/* What a set knows of one key it was asked for. */
struct key_item {
    struct key_entry *entry; /* pinned; NULL unless live */
    enum key_state state;
};

struct key_set {
    struct key_client *client; /* NULL once the client is gone; changed on the worker's thread alone */
    struct loop_task task;     /* delivers it */
    struct key_set *finished_next;
    struct key_set *prev, *next;
    struct map subjects, ids; /* -> struct key_item */
    char *scope;              /* tenant 0 class 0 */
    size_t scope_n;
    uint64_t wiped_then; /* the cache's count when ... */
    size_t lost;         /* ... so many of its keys were found wiped */
    size_t waiting;      /* answers to come */
    bool complete;       /* handed over, or being filled */
    enum err failed;
    struct reason why;
    key_client_fn fn;
    void *arg;
};

/* What is to be asked: names and items, in order. The names point into the set's own maps. */
struct ask {
    struct slice *names;
    struct key_item **items;
    size_t n;
};

/* On its way to the keeper's thread. */
struct asking {
    struct loop_task task;
    struct asking *prev, *next;
    struct key_client *client;
    struct key_set *set; /* NULL: cancelled */
    struct ask subjects, ids;
};

/* A request that was sent. */
struct key_request {
    struct key_request *prev, *next;
    uint32_t id;
    int64_t sent_ms;
    struct key_set *set;     /* CREATE, GET */
    struct key_item **items; /* in the order asked */
    struct slice *names;     /* of the items: subject, or key id */
    size_t n;
    bool by_subject;
};

enum key_client_state { KEY_CLIENT_DOWN, KEY_CLIENT_CONNECTING, KEY_CLIENT_GREETING, KEY_CLIENT_UP };

/* The lock is held by whoever looks at anything below it: the worker's thread, or the keeper's. Callbacks are never
 * called under it: what is finished is listed, and delivered when the lock is given back. */
struct key_client {
    pthread_mutex_t lock;
    atomic_int wanted;          /* the keeper waits for the lock: a worker that goes from record to record lets it in */
    struct loop *home, *caller; /* NULL without a keeper */
    struct loop_task leaving;
    struct key_set *finished, **finished_end;
    struct asking askings; /* list head */
    uv_loop_t *loop;
    uv_pipe_t *pipe; /* on its own, for it outlives a close */
    uv_timer_t timer;
    struct key_client_opts opts;
    char *socket_path, *name;
    enum key_client_state state;
    struct buf in;
    uint32_t next_request, renewal;
    int64_t lease_ms, lease_until_ms, renewal_sent_ms, connect_after_ms;
    bool freeing, lease_lost;
    bool complained;             /* the log knows that it cannot connect, and why */
    struct key_request requests; /* list head */
    size_t requests_n;
    struct key_set sets; /* list head */
    struct key_cache cache;
};

/* key_client.c */
int64_t key_client_now_ms(void);
bool key_client_leased(const struct key_client *c);
void key_client_enter(struct key_client *c);
void key_client_enter_first(struct key_client *c); /* for the keeper's thread */
/* Gives the lock back and delivers; `here`: on this very thread, which is the worker's. The client may be gone then. */
void key_client_leave(struct key_client *c, bool here);
struct loop *key_keeper_loop(struct key_keeper *k);
/* Send a frame (its bytes are taken) and remember the request; NULL: not connected, or too many. */
struct key_request *key_client_send(struct key_client *c, struct buf *frame, uint32_t id);

/* key_cache.c */
enum err key_cache_init(struct key_cache *k, size_t size) MUST_CHECK;
void key_cache_free(struct key_cache *k);
struct key_entry *key_cache_by_id(struct key_client *c, const uint8_t id[ENVELOPE_KEY_ID_SIZE]);
struct key_entry *key_cache_by_subject(struct key_client *c, struct slice scoped);
/* Put a key in, pinned once. NULL: every place is pinned, or no memory. `scoped` may be null. */
struct key_entry *key_cache_put(struct key_client *c, const uint8_t *id, const uint8_t *bytes, struct slice scoped);
void key_cache_pin(struct key_entry *e);
void key_cache_unpin(struct key_entry *e);
void key_cache_hold(struct key_entry *e, struct key_hold *h);
void key_cache_let_go(struct key_hold *h);
void key_cache_erase(struct key_client *c, const uint8_t id[ENVELOPE_KEY_ID_SIZE]);
void key_cache_note_erased(struct key_client *c, const uint8_t id[ENVELOPE_KEY_ID_SIZE]);
void key_cache_drop_all(struct key_client *c);

/* key_set.c */
void key_set_answer(struct key_client *c, struct key_request *r, struct slice body, enum err e,
                    const struct reason *why);
void key_set_orphan_all(struct key_client *c);
void key_set_cancel_askings(struct key_client *c);
void key_set_deliver(void *set);

#endif
