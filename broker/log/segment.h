/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_BROKER_LOG_SEGMENT_H
#define CASTELLAN_BROKER_LOG_SEGMENT_H

#include "broker/log/index.h"
#include "broker/log/log.h"
#include "core/wire/record_batch.h"

/* One segment: a run of batches in BASE.log with its indexes and its aborted transactions. The active segment (the
 * last) keeps its indexes in memory; a sealed one has them in files. A segment borrows its folder's name and the env
 * from its log. */
struct segment {
    const char *dir;
    const char *tail; /* after every suffix: "" but for the copies of a compaction */
    struct env *env;
    int64_t base_offset;
    int64_t next_offset; /* one past the last record; exact for the active segment, at least that for sealed ones */
    int64_t size;        /* bytes of whole batches; the file may hold more when tail_dirty */
    int64_t max_timestamp;
    int64_t max_timestamp_offset;
    int64_t first_timestamp; /* of the first batch: segment.ms counts from it; -1: not known yet */
    int64_t created_ms;
    int64_t bytes_since_index;
    struct log_index offsets, times;
    struct plog_aborted *aborted; /* in the order of their markers */
    size_t aborted_n, aborted_cap, aborted_saved;
    int fd;
    bool tail_dirty; /* a failed write left bytes past `size`: cut before the next one */
    bool rebuilt;    /* recovery rewrote it: its aborted transactions are found again by the replay */
};

enum { SEGMENT_RELATIVE_MAX = INT32_MAX };

/* Make an empty one (an existing file of that name is emptied: it can only be a leftover). */
enum err segment_create(struct segment **out, const char *dir, struct env *env, int64_t base_offset, int64_t now_ms,
                        struct reason *why) MUST_CHECK;
/* The same with files named BASE.log.cleaned and so on. */
enum err segment_create_as(struct segment **out, const char *dir, struct env *env, int64_t base_offset,
                           const char *tail, int64_t now_ms, struct reason *why) MUST_CHECK;
/* Rename its files to another tail (a string that lives on), the .log last. */
enum err segment_rename(struct segment *s, const char *tail, struct reason *why) MUST_CHECK;
/* Open an existing file with its indexes as they are: in memory when `active`. ERR_CORRUPT_MESSAGE when an index is
 * missing or does not fit the file, in which case the segment is open and segment_recover puts it right. */
enum err segment_open(struct segment **out, const char *dir, struct env *env, int64_t base_offset, bool active,
                      struct reason *why) MUST_CHECK;
void segment_free(struct segment *s);
void segment_preallocate(struct segment *s, int64_t bytes); /* a hint: reserves space past the end of the file */
/* Read every batch: check it, rebuild both indexes, cut what does not hold. *cut: bytes dropped. */
enum err segment_recover(struct segment *s, int32_t index_interval, int64_t *cut, struct reason *why) MUST_CHECK;
/* Write out indexes and aborted transactions; with seal also let go of the memory. */
enum err segment_save(struct segment *s, bool seal, struct reason *why) MUST_CHECK;
enum err segment_unseal(struct segment *s, struct reason *why) MUST_CHECK;       /* indexes into memory again */
enum err segment_delete_files(struct segment *s, struct reason *why) MUST_CHECK; /* at once, without a delay */
/* The same by name, whether or not they exist. */
enum err segment_delete_at(const char *dir, struct env *env, int64_t base_offset, struct reason *why) MUST_CHECK;
/* Rename all files of it to *.deleted; the segment can still be read. */
enum err segment_mark_deleted(struct segment *s, struct reason *why) MUST_CHECK;

/* One write at the end. On failure the segment is as before. */
enum err segment_write(struct segment *s, struct iovec *iov, int count, size_t bytes, struct reason *why) MUST_CHECK;
/* After the write: what indexes and timestamps must know of a batch that stands at `position`. */
void segment_note(struct segment *s, const struct record_batch *b, int64_t position, int32_t index_interval);
void segment_note_end(struct segment *s);                       /* the last time index entry, before sealing */
enum err segment_reserve_aborted(struct segment *s) MUST_CHECK; /* memory for one more */
void segment_add_aborted(struct segment *s, const struct plog_aborted *a);
/* Drop the batches from `offset` on; the segment must be in memory (active). */
enum err segment_truncate(struct segment *s, int64_t offset, int32_t index_interval, struct reason *why) MUST_CHECK;
/* Of a segment opened as it was: find its next offset, its largest and its first timestamp. */
enum err segment_load_end(struct segment *s, struct reason *why) MUST_CHECK;
enum err segment_index_view(struct segment *s, bool times, struct slice *out, struct reason *why) MUST_CHECK;

/* ---- Walking ---- */

struct segment_scan {
    struct segment *segment;
    struct buf window;
    int64_t window_at;
    int64_t position;  /* of the next batch */
    size_t last_bytes; /* of the batch given last */
    bool bodies;       /* give whole batches; else only the header fields are good and the slices must not be read */
};

void segment_scan_open(struct segment_scan *c, struct segment *s, int64_t position, bool bodies);
void segment_scan_close(struct segment_scan *c);
/* The next batch and where it stands; *more is false at the end. ERR_CORRUPT_MESSAGE (TRUNCATED when cut short) when
 * what stands there is no batch; then position is at it. */
enum err segment_scan_next(struct segment_scan *c, struct record_batch *out, int64_t *position, bool *more,
                           struct reason *why) MUST_CHECK;

/* One whole batch into `body` (cleared first). */
enum err segment_read_batch(struct segment *s, int64_t position, size_t bytes, struct buf *body,
                            struct record_batch *out, struct reason *why) MUST_CHECK;

/* The first batch whose last offset is at least `offset`: *found is false when there is none in this segment. */
struct segment_spot {
    int64_t position;
    int64_t base_offset;
    size_t bytes;
};
enum err segment_find(struct segment *s, int64_t offset, struct segment_spot *out, bool *found,
                      struct reason *why) MUST_CHECK;
/* The first record at or after `from` with at least this timestamp. */
enum err segment_find_time(struct segment *s, int64_t timestamp, int64_t from, struct plog_at *out, bool *found,
                           struct reason *why) MUST_CHECK;

#endif
