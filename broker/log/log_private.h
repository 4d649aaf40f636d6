/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_BROKER_LOG_LOG_PRIVATE_H
#define CASTELLAN_BROKER_LOG_LOG_PRIVATE_H

#include "broker/log/epochs.h"
#include "broker/log/log.h"
#include "broker/log/producer_state.h"
#include "broker/log/segment.h"

/* The inside of a log, shared by the files log_*.c. */
struct plog_doomed { /* a segment whose files are named *.deleted */
    int64_t base_offset;
    int64_t due_ms;
};

struct cleaner;

struct plog {
    char *dir;
    struct env *env;
    struct plog_config config;
    struct segment **segments; /* by base offset; the last is the active one; never empty once open */
    size_t segment_n, segment_cap;
    struct producer_state producers;
    struct epochs epochs;
    int64_t start_offset, high_watermark, end_offset, recovery_point, cleaned_to;
    uint8_t topic_id[16];
    bool has_topic_id;
    bool failed; /* an fsync or a rollback failed: no append until it is opened again */
    int64_t unflushed_records;
    int64_t last_flush_ms, last_expiry_ms;
    struct plog_doomed *doomed;
    size_t doomed_n, doomed_cap;
    struct buf scratch;      /* decompressed records */
    struct buf rewrite;      /* a batch as it will be stored, when it differs from what came */
    struct cleaner *cleaner; /* a compaction under way */
};

static inline struct segment *plog_active(const struct plog *l)
{
    return l->segments[l->segment_n - 1];
}

/* How long a segment may take writes: segment.ms, and in a compacted log no longer than max.compaction.lag.ms. */
static inline int64_t plog_segment_ms(const struct plog *l)
{
    const struct plog_config *c = &l->config;
    bool lag = c->cleanup_policy & PLOG_CLEANUP_COMPACT && c->max_compaction_lag_ms < c->segment_ms;
    return lag ? c->max_compaction_lag_ms : c->segment_ms;
}

/* log_load.c */
enum err plog_load(struct plog *l, const struct plog_open_args *args, struct reason *why) MUST_CHECK;
/* Producer state and epochs from the newest usable snapshot at or before `limit` and the batches after it. */
enum err plog_rebuild_state(struct plog *l, int64_t limit, int64_t now_ms, struct reason *why) MUST_CHECK;
/* What a batch in `s` means to producers, epochs and the aborted index. Reserve first (plog_reserve_state). */
enum err plog_learn(struct plog *l, struct segment *s, const struct record_batch *b, bool add_aborted,
                    struct reason *why) MUST_CHECK;
enum err plog_reserve_state(struct plog *l, struct segment *s, const struct record_batch *b,
                            struct reason *why) MUST_CHECK;
enum err plog_save_epochs(struct plog *l, struct reason *why) MUST_CHECK;
enum err plog_save_snapshot(struct plog *l, int64_t offset, bool sync, struct reason *why) MUST_CHECK;
enum err plog_drop_snapshots(struct plog *l, int64_t from, int64_t to, struct reason *why) MUST_CHECK; /* [from, to) */

/* log.c */
enum err plog_add_segment(struct plog *l, struct segment *s) MUST_CHECK; /* at its place */
size_t plog_segment_at(const struct plog *l, int64_t offset); /* the last one that begins at or before it, else 0 */
int64_t plog_segment_end(const struct plog *l, size_t i);     /* where the next one begins */
/* Take the segments [from, to) out of the log and rename their files to *.deleted; all of them leaves none. */
enum err plog_retire_segments(struct plog *l, size_t from, size_t to, int64_t now_ms, struct reason *why) MUST_CHECK;
enum err plog_doom(struct plog *l, int64_t base_offset, int64_t now_ms) MUST_CHECK;
enum err plog_storage_error(struct plog *l, enum err e); /* after a failed fsync: no more appends; gives e back */

/* log_append.c */
bool plog_parse_marker(const struct record_batch *b, struct plog_marker *out); /* b: a whole control batch */

/* log_clean.c */
void cleaner_free(struct cleaner *c);

#endif
