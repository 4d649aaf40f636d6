/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_BROKER_LOG_LOG_H
#define CASTELLAN_BROKER_LOG_LOG_H

#include "broker/log/log_config.h"
#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/env.h"

/* The persisted log of one partition, in Kafka's on-disk format (segments, sparse indexes, aborted transactions,
 * leader epochs, producer snapshots), so that Kafka's own dump tool reads it.
 *
 * Threading: a log has no lock; one thread uses it at a time (its caller's loop). Time is passed in.
 * What "acknowledged" means: an append that returned ERR_OK is in the file (the page cache, so it survives the death
 * of the process); it survives the machine's death once plog_flush returned ERR_OK for it. A failed append leaves the
 * log as it was; when the disk has space again, later appends work. After a failed fsync the log refuses appends with
 * ERR_KAFKA_STORAGE_ERROR until it is opened again, because the kernel may have dropped what it could not write. */
struct plog;

struct plog_open_args {
    const char *dir; /* ".../topic-partition"; made when absent */
    const struct plog_config *config;
    struct env *env; /* for its faults: log.open log.read log.write log.fsync log.truncate log.rename log.unlink */
    const uint8_t *topic_id; /* 16 bytes to record for a new partition; NULL: none. An existing one must agree */
    /* From the log dir's checkpoints (broker/log/log_dir.h does this); 0 when there is none. */
    int64_t recovery_point;   /* all before it was fsynced and needs no CRC check after a crash */
    int64_t log_start_offset; /* DeleteRecords moved it here */
    int64_t high_watermark;
    bool clean_shutdown; /* false: validate from the recovery point on, cut a torn tail, rebuild what is broken */
    int64_t now_ms;
};

enum err plog_open(struct plog **out, const struct plog_open_args *args, struct reason *why) MUST_CHECK;
/* Flush and write the producer snapshot, then free. On failure it is freed all the same; the next open must not be
 * told clean_shutdown. */
enum err plog_close(struct plog *l, struct reason *why) MUST_CHECK;
/* Free without writing anything: what a crash leaves behind. For tests, and for a log whose disk failed. */
void plog_abandon(struct plog *l);

void plog_set_config(struct plog *l, const struct plog_config *config);
const struct plog_config *plog_config(const struct plog *l);
const char *plog_dir(const struct plog *l);
const uint8_t *plog_topic_id(const struct plog *l); /* 16 bytes, NULL when the log has none */

/* ---- Offsets ---- */

int64_t plog_start_offset(const struct plog *l);   /* the first one a reader may ask for */
int64_t plog_high_watermark(const struct plog *l); /* the first one not yet replicated (with one replica: the end) */
int64_t plog_stable_offset(const struct plog *l);  /* LSO: at most the high watermark; before any open transaction */
int64_t plog_end_offset(const struct plog *l);     /* LEO: what the next record gets */
int64_t plog_recovery_point(const struct plog *l); /* all before it is fsynced */
int64_t plog_size(const struct plog *l);           /* bytes in all segments */
size_t plog_segment_count(const struct plog *l);
int32_t plog_leader_epoch(const struct plog *l); /* the latest in the log, -1 when empty */
/* Clamped to [start, end]. The leader calls it after appends (with one replica: at once), a follower after fetches. */
void plog_set_high_watermark(struct plog *l, int64_t offset);

/* ---- Appending ---- */

enum plog_origin {
    PLOG_FROM_CLIENT,      /* a Produce: one batch, everything checked, no control batch */
    PLOG_FROM_COORDINATOR, /* our own coordinators: sequences are not checked, control batches are allowed */
    PLOG_FROM_QUORUM,      /* the metadata log's leader: several batches, no producer state */
};

enum { PLOG_RECORD_ERRORS_MAX = 1000 }; /* named per record, at most; the rest are only counted */

struct plog_record_error {
    int32_t index; /* of the record in its batch */
    const char *text;
};

struct plog_append_args {
    enum plog_origin origin;
    int32_t leader_epoch;
    int64_t now_ms;      /* wall clock: log append time and the timestamp rules */
    struct arena *arena; /* for record_errors; may be NULL: then there are none */
};

struct plog_appended {
    int64_t first_offset, last_offset; /* of a duplicate: those the first one got */
    int64_t log_append_time_ms;        /* -1: the topic keeps the producer's timestamps */
    int64_t max_timestamp;
    int32_t record_count;
    bool duplicate;             /* an idempotent producer's retry: nothing was written; answer as success */
    int32_t record_error_count; /* with ERR_INVALID_RECORD and ERR_INVALID_TIMESTAMP: entries in record_errors */
    const struct plog_record_error *record_errors;
};

/* Append what a leader accepts: validates as Kafka's LogValidator does, assigns offsets and the leader epoch. `batches`
 * is not changed. Errors beyond I/O: CORRUPT_MESSAGE, MESSAGE_TOO_LARGE, RECORD_LIST_TOO_LARGE, INVALID_RECORD,
 * INVALID_TIMESTAMP, UNSUPPORTED_FOR_MESSAGE_FORMAT, UNSUPPORTED_COMPRESSION_TYPE, OUT_OF_ORDER_SEQUENCE_NUMBER,
 * INVALID_PRODUCER_EPOCH, INVALID_TXN_STATE. */
enum err plog_append(struct plog *l, struct slice batches, const struct plog_append_args *args,
                     struct plog_appended *out, struct reason *why) MUST_CHECK;
/* Append what a leader sent: offsets and epochs stay (a compacted leader's have gaps); batches below the end offset are
 * skipped, one that overlaps it is OFFSET_OUT_OF_RANGE; a batch cut short at the end is ignored. */
enum err plog_append_follower(struct plog *l, struct slice batches, struct plog_appended *out,
                              struct reason *why) MUST_CHECK;
/* End the producer's transaction here. TRANSACTION_COORDINATOR_FENCED for an older coordinator epoch,
 * INVALID_PRODUCER_EPOCH for an older producer epoch. */
struct plog_marker {
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t coordinator_epoch;
    bool commit;
};
enum err plog_append_marker(struct plog *l, const struct plog_marker *marker, int32_t leader_epoch, int64_t now_ms,
                            struct plog_appended *out, struct reason *why) MUST_CHECK;

/* ---- Reading ---- */

enum plog_isolation {
    PLOG_READ_TO_END,     /* followers */
    PLOG_READ_REPLICATED, /* up to the high watermark: read_uncommitted consumers */
    PLOG_READ_STABLE,     /* up to the last stable offset: read_committed consumers */
};

/* A run of batches in one segment file. Empty (bytes == 0) when there is nothing up to the bound. */
struct plog_region {
    int fd; /* the segment's, read-only use (pread, sendfile); good until the next call that changes the log */
    int64_t position;
    size_t bytes;
    int64_t base_offset; /* of the first batch: at or before the offset asked for */
    int64_t next_offset; /* one past the last whole batch; set by plog_fetch, else -1 */
};

/* Where the batches from `offset` on stand, at most max_bytes up to the isolation's bound. An offset within a batch
 * gives the whole batch. With min_one the first batch is given whole even if it is larger than max_bytes; without it,
 * and in the middle of a run, the last batch may be cut short by max_bytes, as Kafka's fetches are.
 * OFFSET_OUT_OF_RANGE below the start or above the end offset; between bound and end it is empty. */
enum err plog_read(struct plog *l, int64_t offset, size_t max_bytes, enum plog_isolation isolation, bool min_one,
                   struct plog_region *out, struct reason *why) MUST_CHECK;
/* plog_read, and append the bytes to `out`: whole batches only. */
enum err plog_fetch(struct plog *l, int64_t offset, size_t max_bytes, enum plog_isolation isolation, bool min_one,
                    struct buf *out, struct plog_region *region, struct reason *why) MUST_CHECK;

struct plog_aborted {
    int64_t producer_id;
    int64_t first_offset;
    int64_t last_offset; /* the marker's */
    int64_t last_stable_offset;
};
/* The aborted transactions that overlap [from, to): what a read_committed fetch answers beside its records (to: the
 * region's next_offset, or the stable offset). In the order of their markers. */
enum err plog_aborted_between(struct plog *l, int64_t from, int64_t to, struct arena *arena,
                              const struct plog_aborted **list, size_t *count) MUST_CHECK;

/* ---- Looking up ---- */

struct plog_at {
    int64_t offset; /* -1: none */
    int64_t timestamp;
    int32_t leader_epoch;
};
/* The first record at or after the log start whose timestamp is at least `timestamp`. */
enum err plog_offset_for_time(struct plog *l, int64_t timestamp, struct plog_at *out, struct reason *why) MUST_CHECK;
/* The first record that has the log's largest timestamp (ListOffsets -3). */
enum err plog_offset_of_max_time(struct plog *l, struct plog_at *out, struct reason *why) MUST_CHECK;
/* OffsetForLeaderEpoch: the largest epoch <= `epoch` and its end offset; both -1 when unknown. */
void plog_end_offset_for_epoch(const struct plog *l, int32_t epoch, int32_t *found_epoch, int64_t *end_offset);
int32_t plog_epoch_of_offset(const struct plog *l, int64_t offset); /* -1: none */

/* ---- Changing what is kept ---- */

/* Drop everything from `offset` on (a follower that diverged). */
enum err plog_truncate(struct plog *l, int64_t offset, struct reason *why) MUST_CHECK;
/* Drop everything and go on at `offset` (a follower that fell behind the leader's start). */
enum err plog_truncate_fully(struct plog *l, int64_t offset, struct reason *why) MUST_CHECK;
/* DeleteRecords: readers may no longer ask below `offset` (-1: the high watermark). OFFSET_OUT_OF_RANGE above it. It
 * survives a crash once the log dir's checkpoints are written (log_dir_checkpoint). */
enum err plog_advance_start(struct plog *l, int64_t offset, struct reason *why) MUST_CHECK;
enum err plog_roll(struct plog *l, int64_t now_ms, struct reason *why) MUST_CHECK; /* begin a new segment now */
/* Make all that was appended survive the machine: fsync, index files, recovery point. */
enum err plog_flush(struct plog *l, struct reason *why) MUST_CHECK;

/* Time-driven upkeep: flush.ms, segment.ms of an idle segment, removal of *.deleted files whose delay is over, expiry
 * of producer ids. Call it every few seconds. */
enum err plog_tick(struct plog *l, int64_t now_ms, struct reason *why) MUST_CHECK;
/* Drop the segments that retention.ms, retention.bytes and the start offset no longer keep. Kafka looks every five
 * minutes, and records older than retention.ms when they are written can be read until then. */
enum err plog_retain(struct plog *l, int64_t now_ms, struct reason *why) MUST_CHECK;

/* Compaction in small steps, so that the caller's loop stays responsive. plog_clean_wanted says how dirty the log is:
 * 0 when there is nothing to do by its configuration, else its dirty ratio (over 1 when max.compaction.lag forces it).
 * plog_clean works for about `budget_bytes` of log; *done when the pass is complete or there was nothing to do. */
double plog_clean_wanted(struct plog *l, int64_t now_ms);
enum err plog_clean(struct plog *l, int64_t now_ms, size_t budget_bytes, bool *done, struct reason *why) MUST_CHECK;
int64_t plog_cleaned_to(const struct plog *l); /* cleaner-offset-checkpoint: first dirty offset */
void plog_set_cleaned_to(struct plog *l, int64_t offset);

/* ---- Producers ---- */

struct plog_producer {
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t last_sequence;
    int64_t last_timestamp;
    int32_t coordinator_epoch;
    int64_t txn_start_offset; /* -1: no transaction is open */
};
/* Walk the active producers (DescribeProducers): set *at to 0, false at the end. */
bool plog_producer_at(const struct plog *l, size_t *at, struct plog_producer *out);
/* Is a transaction of this producer open here, whatever its epoch? (verification of transactional writes) */
bool plog_txn_is_open(const struct plog *l, int64_t producer_id);

#endif
