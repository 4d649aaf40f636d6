/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_LEDGER_LEDGER_H
#define CASTELLAN_LEDGER_LEDGER_H

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/slice.h"

/* A table materialised from a compacted topic, and its only writer.
 *
 * Reading: every committed record is handed to hooks.apply, in log order, from the beginning of the topic and then for
 * ever, whoever wrote it. Nothing is ever committed to a consumer group.
 *
 * Writing: ledger_submit() queues a decision. The writer thread takes what is queued, makes sure it holds the topic's
 * fence (the transactional id: a newer holder fences the older, Kafka's own doing) and has applied everything up to the
 * end, calls each decide function in turn, writes all their records in ONE transaction, commits, waits until they were
 * read back and applied, and calls each done function. When another instance took the fence in between, nothing was
 * written: the fence is taken again and the decisions are taken anew, so a decide function may run several times and
 * must not have effects of its own beyond its ctx and ledger_view_emit().
 *
 * What a decide function sees: the state as of the end of the log plus the effects of the decisions before it in the
 * same batch. Two ways to see them:
 *   - config.keep: the ledger keeps key -> latest value itself, and ledger_view_get/each look through the batch's
 *     overlay. Nothing else to do; for small tables.
 *   - derived state: hooks.speculate is called with each emitted record once its decision was accepted (put it in an
 *     overlay over your state; never into the state itself, readers must not see it) and with NULL when the overlay
 *     must be dropped (batch finished or given up).
 *
 * Threads: decide and speculate run on the ledger's writer thread; apply, ready and reset on its reader thread, or,
 * with hooks.post, on the caller's loop; done on the writer thread, or, with hooks.post, on the caller's loop. While a
 * decide function runs no fenced peer can write, but a foreign writer without the fence (kcat, another product) can:
 * apply may then run at the same time, so state shared between the two needs the owner's lock. */

struct ledger;
struct ledger_view;

struct ledger_record {
    int32_t partition;
    int64_t offset; /* -1 in speculate */
    int64_t timestamp_ms;
    struct slice key;
    struct slice value; /* null: tombstone */
};

struct ledger_hooks {
    void *user;
    void (*apply)(void *user, const struct ledger_record *r); /* slices live during the call */
    void (*ready)(void *user);                                /* once: the end seen at start was reached; may be NULL */
    void (*reset)(void *user);                                /* topic was recreated: forget all; may be NULL */
    void (*speculate)(void *user, const struct ledger_record *r); /* may be NULL */
    /* Run fn(arg) soon on the caller's loop. NULL: callbacks run on the ledger's own threads. ledger_close may be
     * called from that loop. Functions posted before close may run after it and then do nothing. */
    void (*post)(void *post_ctx, void (*fn)(void *arg), void *arg);
    void *post_ctx;
};

struct ledger_config {
    const char *topic;
    const char *transactional_id; /* NULL: "castellan-ledger-" + topic */
    int32_t partitions;           /* when created; 0 means 1 */
    int replication_factor;       /* when created, or as many as there are brokers; 0: the broker's default */
    bool create;                  /* create when missing: cleanup.policy=compact */
    bool check_partitions;        /* fail unless there are as many */
    bool check_policy;            /* fail unless cleanup.policy is compact (DescribeConfigs) */
    bool keep;                    /* keep key -> value for ledger_view_get and ledger_get */
    bool read_only;               /* no writer; ledger_submit is refused */
    int submit_timeout_ms;        /* from submit to done; 0 means LEDGER_SUBMIT_TIMEOUT_MS */
    const char *const *kafka;     /* librdkafka settings: key, value, key, value, ..., NULL */
};

enum {
    LEDGER_SUBMIT_TIMEOUT_MS = 15000,
    LEDGER_BATCH_MAX = 256,               /* decisions in one transaction */
    LEDGER_BATCH_BYTES = 8 * 1024 * 1024, /* record bytes in one transaction, past which it is closed */
    LEDGER_QUEUE_MAX = 100000,            /* decisions waiting */
};

/* Starts the threads; connects in the background, for ever (one log line per change of state). */
enum err ledger_open(struct ledger **out, const struct ledger_config *config, const struct ledger_hooks *hooks,
                     struct reason *why) MUST_CHECK;
/* The same interface over memory alone: for tests and development without Kafka. The log is lost at close. */
enum err ledger_memory_new(struct ledger **out, const struct ledger_config *config, const struct ledger_hooks *hooks,
                           struct reason *why) MUST_CHECK;
/* Stops and joins; decisions still waiting are done with ERR_CANCELLED. NULL is fine. */
void ledger_close(struct ledger *l);

bool ledger_is_ready(const struct ledger *l);
/* Waits until ready. ERR_TIMEOUT, or the fatal reason (wrong cleanup.policy ...). Not from the posting loop. */
enum err ledger_wait_ready(struct ledger *l, int timeout_ms, struct reason *why) MUST_CHECK;
/* Read barrier: everything committed before the call (by anyone) is applied on return. Not from the posting loop. */
enum err ledger_sync(struct ledger *l, int timeout_ms, struct reason *why) MUST_CHECK;
/* The offset after the last applied record of partition 0 (for cheap "has anything changed" checks). */
int64_t ledger_position(const struct ledger *l);
/* Appends the id of the Kafka cluster behind; nothing when there is none, or it was not told in time. */
void ledger_cluster_id(struct ledger *l, int timeout_ms, struct buf *out);

/* --- writing --- */

/* Decide: emit records and return ERR_OK (0 records: nothing to write, still ordered behind the batch before it), or
 * refuse with any other code, which drops what it emitted and goes to done. */
typedef enum err (*ledger_decide_fn)(void *ctx, struct ledger_view *view);

struct ledger_result {
    enum err err;         /* ERR_OK: committed and applied; or decide's refusal; ERR_TIMEOUT, ERR_CANCELLED ... */
    int64_t first_offset; /* of this decision's records in partition order of emission; -1 when none */
    int64_t last_offset;
    struct reason why; /* set for failures of the ledger itself */
};
typedef void (*ledger_done_fn)(void *ctx, const struct ledger_result *result);

/* Queues; from any thread. On ERR_OK done is called exactly once, never from within this call. */
enum err ledger_submit(struct ledger *l, ledger_decide_fn decide, ledger_done_fn done, void *ctx) MUST_CHECK;

void ledger_view_emit(struct ledger_view *view, struct slice key,
                      struct slice value); /* copies; null value: tombstone */
/* The value of `key` as the decision must see it; false when absent. Needs config.keep. Valid during decide. */
bool ledger_view_get(struct ledger_view *view, struct slice key, struct slice *value);

/* Blocking form for records that need no decision (last writer wins). Not from the posting loop. */
struct ledger_write_record {
    struct slice key, value;
};
enum err ledger_write(struct ledger *l, const struct ledger_write_record *records, size_t n, int timeout_ms,
                      struct reason *why) MUST_CHECK;
/* Blocking form of ledger_submit. */
enum err ledger_decide(struct ledger *l, ledger_decide_fn decide, void *ctx, struct ledger_result *result) MUST_CHECK;

/* The committed value of a key into `out` (appended); ERR_NOT_FOUND. Needs config.keep. Any thread. */
enum err ledger_get(struct ledger *l, struct slice key, struct buf *out) MUST_CHECK;

/* --- for tests over ledger_memory_new --- */
/* The next n transactions fail with `e` (ERR_FENCED: retried, ERR_UNAVAILABLE ...) and leave nothing behind. */
void ledger_memory_fail(struct ledger *l, enum err e, int n);
/* Append a record as a foreign writer would. */
enum err ledger_memory_append(struct ledger *l, struct slice key, struct slice value) MUST_CHECK;

#endif
