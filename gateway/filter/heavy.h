/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_HEAVY_H
#define CASTELLAN_GATEWAY_HEAVY_H

#include "core/net/work_pool.h"
#include "core/wire/record_unpack.h"
#include "gateway/filter/schema_check.h"

/* Work on record sets that would hold a worker for more than some milliseconds, on the pool's threads: decompression,
 * and judging by schemas. Each job is one item of the pool, on the principal's share. While it is under way what it was
 * given must stay: a request waits for it (request_wait(), and request_wake() in `done`) even when its client left,
 * which heavy_*_cancel() makes short. Keys never come here: what needs them stays on the worker (record_crypt_run.c).
 *
 * Settings: castellan.work.threads, castellan.batch.decompressed.max.bytes, castellan.request.decompressed.max.bytes,
 * castellan.decompressed.max.bytes (of all requests, while it is needed). */
struct gateway_counters;

#define HEAVY_SETTING_ROWS                                                                                             \
    {"castellan.work.threads",                                                                                         \
     SETTING_INT,                                                                                                      \
     "0",                                                                                                              \
     0,                                                                                                                \
     WORK_THREADS_MAX,                                                                                                 \
     "threads for what takes long: decompressing, JSON schemas, rules; 0: one for each processor, from 2 to 4"},       \
        {"castellan.batch.decompressed.max.bytes",                                                                     \
         SETTING_INT,                                                                                                  \
         "67108864",                                                                                                   \
         1024,                                                                                                         \
         INT32_MAX,                                                                                                    \
         "what a batch may decompress to where it is encrypted or validated"},                                         \
        {"castellan.request.decompressed.max.bytes",                                                                   \
         SETTING_INT,                                                                                                  \
         "134217728",                                                                                                  \
         1024,                                                                                                         \
         INT32_MAX,                                                                                                    \
         "what the batches of one request may decompress to, together"},                                               \
    {                                                                                                                  \
        "castellan.decompressed.max.bytes", SETTING_INT, "536870912", 1024, INT64_MAX,                                 \
            "what the batches of all requests may decompress to at a time; requests wait for it"                       \
    }

/* Whose work, and where it comes back: of one request. */
struct heavy {
    struct work_pool *pool;
    struct loop *loop; /* the worker's */
    uint64_t share;    /* work_share_of(pool, principal) */
    struct record_unpack_limits limits;
    const struct gateway_counters *counters; /* may be NULL */
};

typedef void (*heavy_done_fn)(void *arg); /* on the loop's thread, once */

/* ---- Decompression ---- */

/* The record sets of some partitions. */
struct heavy_unpack_run {
    struct slice records; /* in: with at least one compressed batch (record_unpack_needed()) */
    struct slice plain;   /* out: the same without compression, as long as the job */
    size_t used;          /* out: bytes of `records` that this is; less than all when it was cut */
    enum err err;         /* out */
    const char *text;     /* why, in words; as long as the job */
};

struct heavy_unpack;
/* At most runs_max runs. `cuts`: see struct record_unpack. NULL: no memory. */
struct heavy_unpack *heavy_unpack_new(const struct heavy *h, size_t runs_max, bool cuts);
struct heavy_unpack_run *heavy_unpack_add(struct heavy_unpack *u, struct slice records);
/* ERR_LIMIT_EXCEEDED: too much waits already (tell a client to try again). `done` is not called then. */
enum err heavy_unpack_start(struct heavy_unpack *u, heavy_done_fn done, void *arg) MUST_CHECK;
void heavy_unpack_cancel(struct heavy_unpack *u);
/* Not while it is under way. What was decompressed is wiped. NULL is fine. */
void heavy_unpack_free(struct heavy_unpack *u);

/* ---- Judging ---- */

/* The record set of one partition. The judge is the job's until it is done: one that nobody else uses meanwhile. */
struct heavy_judge {
    struct work_item item; /* the job's own, as `unpack` and `arena` */
    struct record_unpack unpack;
    struct arena arena; /* of the findings */
    size_t spent_before;
    heavy_done_fn done;
    void *arg;
    const struct heavy *heavy;
    struct schema_judge *judge;
    const struct schema_settings *settings;
    struct slice records;
    struct schema_findings findings; /* out */
    enum err err;                    /* out; ERR_CANCELLED: the process stops */
    struct reason why;               /* out */
};

void heavy_judge_init(struct heavy_judge *j, const struct heavy *h);
enum err heavy_judge_start(struct heavy_judge *j, struct schema_judge *judge, const struct schema_settings *settings,
                           struct slice records, heavy_done_fn done, void *arg) MUST_CHECK;
void heavy_judge_cancel(struct heavy_judge *j);
void heavy_judge_free(struct heavy_judge *j); /* not while it is under way; may be started again before */

#endif
