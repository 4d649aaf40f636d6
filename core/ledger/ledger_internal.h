/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_LEDGER_INTERNAL_H
#define CASTELLAN_LEDGER_INTERNAL_H

#include "core/base/arena.h"
#include "core/ledger/ledger.h"
#include "core/ledger/ledger_table.h"
#include <pthread.h>
#include <stdatomic.h>

enum {
    LEDGER_PARTITIONS_MAX = 256,
    LEDGER_RECORD_MAX = 1000000, /* bytes of key and value together; librdkafka's default message.max.bytes */
    LEDGER_APPLY_MAX = 512,      /* records handed to the owner at once */
};

/* One queued decision. Owned by the queue, then by the batch, until done was called. */
struct ledger_submission {
    struct ledger_submission *next;
    ledger_decide_fn decide;
    ledger_done_fn done;
    void *ctx;
    int64_t deadline_ms;
    struct ledger *ledger; /* for the posted done */
    struct ledger_result result;
    size_t first_record, record_count; /* in the batch */
};

/* One record a decision emitted; key and value live in the batch's arena. */
struct ledger_out {
    struct slice key, value;
    int32_t partition; /* filled by commit */
    int64_t offset;    /* filled by commit; -1 before */
    int error;         /* the log's own code for why it did not take the record; 0 when it did */
};

struct ledger_batch {
    struct ledger_submission *submissions[LEDGER_BATCH_MAX];
    size_t n;
    struct ledger_out *records;
    size_t record_count, record_cap;
    size_t bytes;
    int64_t deadline_ms; /* the earliest of its submissions' */
    bool in_doubt;       /* a commit was begun and its outcome is not known */
};

struct ledger_view {
    struct ledger *ledger;
    struct ledger_batch *batch;
    struct ledger_table overlay; /* effects of the accepted decisions of the batch, and of the running one */
    struct arena arena;
    enum err error; /* sticky: emit failed */
};

/* Where a ledger's log lives. All functions run on the writer thread, except start and stop (the owner's) and sync
 * (any). Deadlines are monotonic milliseconds. */
struct ledger_backend {
    enum err (*start)(struct ledger *l, struct reason *why);
    void (*stop)(struct ledger *l); /* called after the writer was joined; must join the reader */
    /* Hold the fence and have everything up to the end applied. `fresh` says the fence was taken anew. */
    enum err (*fence)(struct ledger *l, int64_t deadline_ms, struct reason *why);
    /* Write the batch in one transaction and wait until it was read back. ERR_FENCED: taken over. Sets in_doubt. */
    enum err (*commit)(struct ledger *l, struct ledger_batch *b, int64_t deadline_ms, struct reason *why);
    /* After a doubtful commit and a new fence: did the batch land? */
    bool (*landed)(struct ledger *l, const struct ledger_batch *b);
    enum err (*sync)(struct ledger *l, int64_t deadline_ms, struct reason *why);
    void (*cluster_id)(struct ledger *l, int timeout_ms, struct buf *out); /* NULL: no cluster */
    void (*wake)(struct ledger *l);                                        /* closing: leave blocking calls soon */
};

struct ledger {
    struct ledger_hooks hooks;
    struct ledger_config config; /* strings owned */
    char *topic, *transactional_id;
    char **kafka; /* owned copies, NULL-terminated */
    const struct ledger_backend *backend;
    void *side; /* the backend's own */

    atomic_int refs; /* the owner, and every posted function */
    atomic_bool closing;
    pthread_mutex_t lock; /* everything below */
    pthread_cond_t changed;
    bool ready;
    bool failed; /* for good: `why` says it */
    struct reason why;
    int32_t partitions;
    int64_t position[LEDGER_PARTITIONS_MAX];
    uint64_t applied;                      /* records handed over so far */
    int64_t target[LEDGER_PARTITIONS_MAX]; /* the end seen at start */
    bool targets_known;
    int32_t watch_partition; /* the record whose arrival tells that a doubtful batch landed */
    int64_t watch_offset;
    bool watch_seen;

    struct ledger_submission *head, **tail; /* queue */
    size_t queued;
    size_t alone; /* so many from the head of the queue go one at a time: one of them is refused by the log */
    bool writer_started;
    pthread_t writer;
    pthread_mutex_t table_lock; /* recursive: the kept table */
    struct ledger_table table;
};

int64_t ledger_now_ms(void);
struct ledger *ledger_new(const struct ledger_config *config, const struct ledger_hooks *hooks,
                          const struct ledger_backend *backend);
enum err ledger_start(struct ledger *l, struct ledger **out, struct reason *why) MUST_CHECK;
void ledger_unref(struct ledger *l);
void *ledger_writer_main(void *arg);
/* Wait on l->changed (lock held) until deadline; false when it has passed. */
bool ledger_cond_wait(struct ledger *l, int64_t deadline_ms);
void ledger_sleep(struct ledger *l, int64_t ms); /* ends early when closing */

/* Reader side: hand records over (in order) and move the position. Returns when they are applied or closing. */
void ledger_apply(struct ledger *l, const struct ledger_record *records, size_t n);
void ledger_advance(struct ledger *l, int32_t partition, int64_t position);
void ledger_targets(struct ledger *l, int32_t partitions, const int64_t *targets);
void ledger_reset(struct ledger *l); /* forget everything: the log starts anew */
void ledger_fail(struct ledger *l, const struct reason *why);
/* Wait until each partition's position is at least ends[p]. */
enum err ledger_wait_position(struct ledger *l, int32_t partitions, const int64_t *ends, int64_t deadline_ms,
                              struct reason *why) MUST_CHECK;
/* Run fn(arg) on the owner's loop, or here; false when it may never run because we are closing. */
void ledger_call(struct ledger *l, void (*fn)(void *arg), void *arg);

/* A topic to be made when it is missing. `client`: an rd_kafka_t. *fatal: trying again is of no use. */
struct ledger_topic {
    const char *name;
    int32_t partitions;
    const char *policy;       /* cleanup.policy */
    const char *retention_ms; /* retention.ms; NULL: the broker's */
    int replicas;             /* 0: the broker's default. ERR_INVALID_REPLICATION_FACTOR: not so many */
};
enum err ledger_topic_create(void *client, const struct ledger_topic *t, int timeout_ms, bool *fatal,
                             struct reason *why) MUST_CHECK;
enum err ledger_topic_ensure(const struct ledger *l, void *consumer, int timeout_ms, bool *fatal,
                             struct reason *why) MUST_CHECK;

#endif
