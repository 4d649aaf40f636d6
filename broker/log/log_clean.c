/* SPDX-License-Identifier: Apache-2.0
 * Compaction of a log, in steps. First the dirty part is read and the last offset of each key noted; then every segment
 * up to its end is copied through the filter (clean_filter.c), small neighbours together, into BASE.log.cleaned; when a
 * copy is complete it is synced and renamed .swap, which is the moment it counts: a crash before leaves the originals,
 * a crash after is finished by the next open. Then the originals become *.deleted and the copy takes their place. Never
 * touched: the active segment, anything at or past the first open transaction or the high watermark, anything younger
 * than min.compaction.lag.ms. */
#include "broker/log/log_private.h"
#include "broker/log/clean_filter.h"
#include "core/base/log.h"

#include <fcntl.h>
#include <stdlib.h>

enum clean_phase { CLEAN_MAP, CLEAN_COPY };

struct cleaner {
    enum clean_phase phase;
    int64_t now_ms;
    int64_t from, to; /* the dirty part; all before `to` is copied */
    struct arena arena;
    struct clean_map map;
    struct clean_txns txns;
    size_t segment; /* being read */
    struct segment_scan scan;
    bool scanning;
    struct segment *out; /* the copy under way; of the segments [group, segment] */
    size_t group;
    struct buf scratch, records, batch;
    int64_t bytes_before, bytes_after;
};

void cleaner_free(struct cleaner *c)
{
    if (!c)
        return;
    if (c->scanning)
        segment_scan_close(&c->scan);
    segment_free(c->out); /* its .cleaned files are removed by the next pass or open */
    clean_map_free(&c->map);
    clean_txns_free(&c->txns);
    arena_free(&c->arena);
    buf_free(&c->scratch);
    buf_free(&c->records);
    buf_free(&c->batch);
    free(c);
}

/* ---- What is there to do ---- */

static int64_t first_dirty(const struct plog *l)
{
    int64_t from = l->cleaned_to > l->start_offset ? l->cleaned_to : l->start_offset;
    return from > l->end_offset ? l->start_offset : from;
}

static int64_t first_uncleanable(const struct plog *l, int64_t now_ms)
{
    int64_t end = plog_stable_offset(l);

    if (plog_active(l)->base_offset < end)
        end = plog_active(l)->base_offset;
    for (size_t i = 0; l->config.min_compaction_lag_ms > 0 && i + 1 < l->segment_n; i++) {
        const struct segment *s = l->segments[i];
        if (s->base_offset < end && now_ms - s->max_timestamp < l->config.min_compaction_lag_ms)
            end = s->base_offset;
    }
    return end;
}

static bool lag_is_over(const struct plog *l, int64_t from, int64_t now_ms)
{
    const struct segment *s = l->segments[plog_segment_at(l, from)];
    int64_t oldest = s->first_timestamp >= 0 ? s->first_timestamp : s->max_timestamp;
    return oldest >= 0 && l->config.max_compaction_lag_ms < INT64_MAX &&
           now_ms - oldest > l->config.max_compaction_lag_ms;
}

double plog_clean_wanted(struct plog *l, int64_t now_ms)
{
    int64_t from, to, clean = 0, dirty = 0;
    double ratio;

    if (!(l->config.cleanup_policy & PLOG_CLEANUP_COMPACT) || l->failed)
        return 0;
    if (l->cleaner)
        return 3; /* finish what was begun */
    from = first_dirty(l);
    to = first_uncleanable(l, now_ms);
    for (size_t i = 0; i + 1 < l->segment_n && l->segments[i]->base_offset < to; i++) {
        if (l->segments[i + 1]->base_offset <= from)
            clean += l->segments[i]->size;
        else
            dirty += l->segments[i]->size;
    }
    if (from >= to || !dirty)
        return 0;
    ratio = (double)dirty / (double)(clean + dirty);
    if (lag_is_over(l, from, now_ms))
        return 1 + ratio;
    return ratio > l->config.min_cleanable_dirty_ratio ? ratio : 0;
}

static int by_first_offset(const void *a, const void *b)
{
    const struct plog_aborted *x = a, *y = b;
    return (x->first_offset > y->first_offset) - (x->first_offset < y->first_offset);
}

/* Begin to follow transactions from `from` on; the list is sorted in an arena copy. */
static enum err follow_txns(struct plog *l, struct cleaner *c, int64_t from)
{
    const struct plog_aborted *list;
    struct plog_aborted *sorted = NULL;
    size_t n;
    enum err e = plog_aborted_between(l, from, c->to, &c->arena, &list, &n);

    if (!e && n && !(sorted = arena_array(&c->arena, n, sizeof *sorted)))
        e = ERR_NO_MEMORY;
    if (e)
        return e;
    for (size_t i = 0; i < n; i++)
        sorted[i] = list[i];
    if (n)
        qsort(sorted, n, sizeof *sorted, by_first_offset);
    clean_txns_free(&c->txns);
    clean_txns_init(&c->txns, sorted, n);
    return ERR_OK;
}

static enum err begin(struct plog *l, int64_t now_ms, struct reason *why)
{
    struct cleaner *c = calloc(1, sizeof *c);
    enum err e;

    if (!c)
        return reason_set(why, ERR_NO_MEMORY, "no memory to compact %s", l->dir);
    c->now_ms = now_ms;
    c->from = first_dirty(l);
    c->to = first_uncleanable(l, now_ms);
    c->segment = plog_segment_at(l, c->from);
    arena_init(&c->arena, 0);
    clean_map_init(&c->map, l->env);
    clean_txns_init(&c->txns, NULL, 0);
    buf_init(&c->scratch, INT32_MAX);
    buf_init(&c->records, INT32_MAX);
    buf_init(&c->batch, INT32_MAX);
    e = follow_txns(l, c, c->from);
    if (e) {
        cleaner_free(c);
        return reason_set(why, e, "no memory to compact %s", l->dir);
    }
    l->cleaner = c;
    return ERR_OK;
}

/* ---- First walk: the last offset of each key ---- */

static enum err note_keys(struct cleaner *c, const struct record_batch *b, struct reason *why)
{
    const struct plog_aborted *still;
    struct plog_marker marker;
    struct record_iter it;
    struct record r;
    bool drop, empty, more;
    enum err e;

    if (record_batch_is_control(b))
        return plog_parse_marker(b, &marker) ? clean_txns_marker(&c->txns, b, marker.commit, &empty, &still) : ERR_OK;
    e = clean_txns_data(&c->txns, b, &drop);
    if (e || drop)
        return e;
    e = record_iter_open(&it, b, &c->scratch, 0, why);
    while (!e && !(e = record_iter_next(&it, &r, &more, why)) && more) {
        if (r.key.p && r.offset >= c->from)
            e = clean_map_put(&c->map, r.key, r.offset);
        if (e)
            break;
        c->map.latest_offset = r.offset;
    }
    return e;
}

/* The next batch of the segment being read; *more is false at its end or at `to`. */
static enum err next_batch(struct plog *l, struct cleaner *c, struct record_batch *b, bool *more, struct reason *why)
{
    int64_t at;
    enum err e;

    if (!c->scanning) {
        segment_scan_open(&c->scan, l->segments[c->segment], 0, true);
        c->scanning = true;
    }
    e = segment_scan_next(&c->scan, b, &at, more, why);
    if (!*more || e) {
        segment_scan_close(&c->scan);
        c->scanning = false;
    }
    return e;
}

static bool segment_is_in(const struct plog *l, const struct cleaner *c)
{
    return c->segment + 1 < l->segment_n && l->segments[c->segment]->base_offset < c->to;
}

static enum err step_map(struct plog *l, struct cleaner *c, size_t *spent, struct reason *why)
{
    struct record_batch b;
    bool more, full = false;
    enum err e;

    if (segment_is_in(l, c)) {
        e = next_batch(l, c, &b, &more, why);
        if (e)
            return e;
        if (!more) {
            c->segment++;
            return ERR_OK;
        }
        *spent += b.bytes.n;
        if (record_batch_last_offset(&b) < c->from)
            return ERR_OK;
        if (b.base_offset < c->to) {
            e = note_keys(c, &b, why);
            if (e != ERR_LIMIT_EXCEEDED)
                return e;
            full = true; /* what was noted is enough for this pass */
        }
        segment_scan_close(&c->scan);
        c->scanning = false;
    }
    if (full)
        c->to = c->map.latest_offset + 1;
    c->phase = CLEAN_COPY;
    c->segment = 0;
    return follow_txns(l, c, l->segments[0]->base_offset);
}

/* ---- Second walk: copy ---- */

static enum err begin_copy(struct plog *l, struct cleaner *c, struct reason *why)
{
    static const char *const stale[] = {".txnindex.cleaned", ".txnindex.swap"}; /* of a pass that failed */
    int64_t base = l->segments[c->segment]->base_offset;
    enum err e = ERR_OK;

    for (size_t i = 0; !e && i < sizeof stale / sizeof *stale; i++) {
        struct io_path path;
        e = io_segment_path(&path, l->dir, base, stale[i], why);
        if (!e)
            e = io_unlink(l->env, path.s, why);
    }
    c->group = c->segment;
    return e ? e : segment_create_as(&c->out, l->dir, l->env, base, ".cleaned", c->now_ms, why);
}

/* May the next segment join the copy? Then the copy stays within a segment's limits even if nothing is dropped. */
static bool joins(const struct plog *l, const struct cleaner *c)
{
    int64_t size = 0, end;

    if (!segment_is_in(l, c))
        return false;
    for (size_t i = c->group; i <= c->segment; i++)
        size += l->segments[i]->size;
    end = l->segments[c->segment + 1]->base_offset;
    return size <= l->config.segment_bytes && end - l->segments[c->group]->base_offset <= SEGMENT_RELATIVE_MAX;
}

/* All or nothing for the caller: after the .log is named .swap the copy counts, and what is not done after it will be.
 */
static enum err swap_in(struct plog *l, struct cleaner *c, struct reason *why)
{
    size_t from = c->group, to = c->segment; /* [from, to) */
    struct segment *out = c->out;
    enum err e;

    segment_note_end(out);
    e = io_sync(l->env, out->fd, why);
    if (!e)
        e = segment_save(out, true, why);
    if (!e)
        e = segment_rename(out, ".swap", why); /* the .log last */
    if (e)
        return e;
    for (size_t i = from; i < to; i++)
        c->bytes_before += l->segments[i]->size;
    c->bytes_after += out->size;
    e = io_sync_dir(l->env, l->dir, why);
    if (!e)
        e = plog_retire_segments(l, from, to, c->now_ms, why);
    if (!e)
        e = segment_rename(out, "", why);
    if (!e)
        e = plog_add_segment(l, out);
    if (e)
        return plog_storage_error(l, e); /* the next open finishes it */
    c->out = NULL;
    c->segment = from + 1; /* the copy is one segment now */
    return ERR_OK;
}

static enum err write_kept(struct plog *l, struct cleaner *c, const struct plog_aborted *still, struct reason *why)
{
    struct segment *out = c->out;
    struct iovec iov = {c->batch.p, c->batch.n};
    struct record_batch kept;
    int64_t position = out->size;
    enum err e = ERR_OK;

    if (still) {
        e = segment_reserve_aborted(out);
        if (e)
            return e;
        segment_add_aborted(out, still);
    }
    if (!c->batch.n)
        return ERR_OK;
    e = record_batch_parse(buf_slice(&c->batch), &kept, why);
    if (!e)
        e = segment_write(out, &iov, 1, c->batch.n, why);
    if (e)
        return e;
    segment_note(out, &kept, position, l->config.index_interval_bytes);
    out->next_offset = record_batch_last_offset(&kept) + 1;
    return ERR_OK;
}

static enum err step_copy(struct plog *l, struct cleaner *c, size_t *spent, bool *done, struct reason *why)
{
    struct clean_rules rules = {&c->map, &c->txns, &l->producers, c->now_ms, l->config.delete_retention_ms};
    const struct plog_aborted *still;
    struct record_batch b;
    bool more;
    enum err e = ERR_OK;

    if (!c->out && !segment_is_in(l, c)) {
        *done = true;
        return ERR_OK;
    }
    if (!c->out)
        e = begin_copy(l, c, why);
    if (!e)
        e = next_batch(l, c, &b, &more, why);
    if (e)
        return e;
    if (!more) {
        c->segment++;
        return joins(l, c) ? ERR_OK : swap_in(l, c, why);
    }
    *spent += b.bytes.n;
    buf_clear(&c->batch);
    e = clean_batch(&rules, &b, &c->scratch, &c->records, &c->batch, &still, why);
    return e ? e : write_kept(l, c, still, why);
}

enum err plog_clean(struct plog *l, int64_t now_ms, size_t budget_bytes, bool *done, struct reason *why)
{
    size_t spent = 0;
    struct cleaner *c;
    enum err e = ERR_OK;

    *done = !l->cleaner && plog_clean_wanted(l, now_ms) <= 0;
    if (*done)
        return ERR_OK;
    if (!l->cleaner)
        e = begin(l, now_ms, why);
    c = l->cleaner;
    while (!e && !*done && spent <= budget_bytes) {
        switch (c->phase) {
        case CLEAN_MAP:
            e = step_map(l, c, &spent, why);
            break;
        case CLEAN_COPY:
            e = step_copy(l, c, &spent, done, why);
            break;
        }
    }
    if (*done) {
        l->cleaned_to = c->to;
        log_debug("%s: compacted to offset %lld, %lld bytes became %lld", l->dir, (long long)c->to,
                  (long long)c->bytes_before, (long long)c->bytes_after);
    }
    if (*done || e) {
        cleaner_free(l->cleaner);
        l->cleaner = NULL;
    }
    return e;
}
