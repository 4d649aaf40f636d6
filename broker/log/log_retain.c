/* SPDX-License-Identifier: Apache-2.0
 * What a log keeps: rolling to a new segment, truncation, DeleteRecords, retention by time, size and start offset, the
 * delayed removal of deleted files, periodic flushes, expiry of producer ids. Only whole segments below the high
 * watermark are dropped by retention; the active one is rolled first when it is due itself. */
#include "broker/log/log_private.h"
#include "core/base/log.h"

enum { PRODUCER_EXPIRY_EVERY_MS = 600000 };

enum err plog_roll(struct plog *l, int64_t now_ms, struct reason *why)
{
    struct segment *old = plog_active(l), *s = NULL;
    enum err e;

    if (!old->size)
        return ERR_OK;
    if (old->tail_dirty || l->config.preallocate) {
        e = io_truncate(l->env, old->fd, old->size, why);
        if (e)
            return e;
        old->tail_dirty = false;
    }
    e = io_sync(l->env, old->fd, why);
    if (e)
        return plog_storage_error(l, e);
    segment_note_end(old);
    e = plog_save_snapshot(l, l->end_offset, false, why);
    if (!e)
        e = segment_create(&s, l->dir, l->env, l->end_offset, now_ms, why);
    if (!e)
        e = segment_save(old, true, why); /* after the last thing that may leave it the active one */
    if (!e)
        e = io_sync_dir(l->env, l->dir, why);
    if (!e)
        e = plog_add_segment(l, s);
    if (e) {
        /* An empty file with this name, left behind, would look like the log's end to the next open. */
        enum err undone = segment_delete_at(l->dir, l->env, l->end_offset, NULL);
        segment_free(s);
        if (undone || segment_unseal(old, NULL))
            return plog_storage_error(l, e);
    }
    if (e)
        return e;
    if (l->config.preallocate)
        segment_preallocate(s, l->config.segment_bytes);
    l->recovery_point = l->end_offset;
    l->unflushed_records = 0;
    return ERR_OK;
}

/* ---- Truncation ---- */

enum err plog_truncate_fully(struct plog *l, int64_t offset, struct reason *why)
{
    struct segment *s;
    enum err e = ERR_OK;

    cleaner_free(l->cleaner);
    l->cleaner = NULL;
    while (!e && l->segment_n) {
        struct segment *last = plog_active(l);
        e = segment_delete_files(last, why);
        if (!e) {
            segment_free(last);
            l->segment_n--;
        }
    }
    if (!e)
        e = plog_drop_snapshots(l, 0, INT64_MAX, why);
    if (!e)
        e = segment_create(&s, l->dir, l->env, offset, 0, why);
    if (!e)
        e = plog_add_segment(l, s);
    if (e) {
        l->failed = true;
        return e;
    }
    producer_state_free(&l->producers);
    l->epochs.n = 0;
    l->start_offset = l->end_offset = l->recovery_point = l->high_watermark = offset;
    l->cleaned_to = 0;
    return plog_save_epochs(l, why);
}

enum err plog_truncate(struct plog *l, int64_t offset, struct reason *why)
{
    enum err e = ERR_OK;

    if (offset >= l->end_offset)
        return ERR_OK;
    if (offset <= l->segments[0]->base_offset)
        return plog_truncate_fully(l, offset, why);
    cleaner_free(l->cleaner);
    l->cleaner = NULL;
    while (!e && plog_active(l)->base_offset > offset) {
        struct segment *last = plog_active(l);
        e = segment_delete_files(last, why);
        if (!e) {
            segment_free(last);
            l->segment_n--;
        }
    }
    if (!e)
        e = segment_unseal(plog_active(l), why);
    if (!e)
        e = segment_truncate(plog_active(l), offset, l->config.index_interval_bytes, why);
    if (e)
        return plog_storage_error(l, e);
    l->end_offset = plog_active(l)->next_offset;
    if (l->recovery_point > l->end_offset)
        l->recovery_point = l->end_offset;
    if (l->start_offset > l->end_offset)
        l->start_offset = l->end_offset;
    if (epochs_truncate_end(&l->epochs, l->end_offset))
        e = plog_save_epochs(l, why);
    if (!e)
        e = plog_rebuild_state(l, INT64_MAX, plog_active(l)->max_timestamp, why);
    plog_set_high_watermark(l, l->high_watermark);
    return e ? plog_storage_error(l, e) : ERR_OK;
}

/* ---- Deleting from the front ---- */

static enum err start_moved(struct plog *l, int64_t offset, struct reason *why)
{
    enum err e = ERR_OK;

    if (offset <= l->start_offset)
        return ERR_OK;
    l->start_offset = offset;
    if (l->high_watermark < offset)
        plog_set_high_watermark(l, offset);
    if (epochs_truncate_start(&l->epochs, offset))
        e = plog_save_epochs(l, why);
    return e;
}

enum err plog_advance_start(struct plog *l, int64_t offset, struct reason *why)
{
    if (offset == -1)
        offset = l->high_watermark;
    if (offset < 0 || offset > l->high_watermark)
        return reason_set(why, ERR_OFFSET_OUT_OF_RANGE, "cannot delete records up to %lld, the high watermark is %lld",
                          (long long)offset, (long long)l->high_watermark);
    return start_moved(l, offset, why);
}

/* How many of the oldest segments retention lets go, and why. */
static size_t count_expired(struct plog *l, int64_t now_ms, const char **cause)
{
    const struct plog_config *c = &l->config;
    bool deletes = c->cleanup_policy & PLOG_CLEANUP_DELETE;
    int64_t excess = deletes && c->retention_bytes >= 0 ? plog_size(l) - c->retention_bytes : -1;
    size_t n = 0;

    for (; n < l->segment_n; n++) {
        const struct segment *s = l->segments[n];
        int64_t end = plog_segment_end(l, n);
        bool last = n + 1 == l->segment_n;
        if (end > l->high_watermark || (last && !s->size))
            break;
        if (!last && end <= l->start_offset) {
            *cause = "the log start offset passed it";
        } else if (deletes && c->retention_ms >= 0 && s->max_timestamp >= 0 &&
                   now_ms - s->max_timestamp > c->retention_ms) {
            *cause = "retention.ms";
        } else if (excess >= s->size && s->size) {
            *cause = "retention.bytes";
        } else if (deletes && !s->size) {
            *cause = "compaction left it empty";
        } else {
            break;
        }
        if (excess >= 0)
            excess -= s->size;
    }
    return n;
}

static enum err apply_retention(struct plog *l, int64_t now_ms, struct reason *why)
{
    const char *cause = "";
    size_t n = count_expired(l, now_ms, &cause);
    int64_t begin = l->segments[0]->base_offset, end;
    enum err e = ERR_OK;

    if (!n || l->cleaner)
        return ERR_OK; /* a compaction under way holds the segments; its end is soon */
    if (n == l->segment_n)
        e = plog_roll(l, now_ms, why);
    if (e)
        return e;
    end = plog_segment_end(l, n - 1);
    /* First the promise, then the files: after a crash in between the start offset is found from what is left. */
    e = start_moved(l, end, why);
    if (!e)
        e = plog_retire_segments(l, 0, n, now_ms, why);
    if (!e)
        e = plog_drop_snapshots(l, 0, l->segments[0]->base_offset, why);
    if (!e)
        log_info("%s: deleted %zu segments, offsets %lld to %lld: %s", l->dir, n, (long long)begin, (long long)end - 1,
                 cause);
    return e;
}

static enum err remove_doomed(struct plog *l, int64_t now_ms, struct reason *why)
{
    static const char *const suffixes[] = {".log.deleted", ".index.deleted", ".timeindex.deleted", ".txnindex.deleted"};
    enum err e = ERR_OK;

    for (size_t i = l->doomed_n; !e && i-- > 0;) {
        if (l->doomed[i].due_ms > now_ms)
            continue;
        for (size_t k = 0; !e && k < sizeof suffixes / sizeof *suffixes; k++) {
            struct io_path path;
            e = io_segment_path(&path, l->dir, l->doomed[i].base_offset, suffixes[k], why);
            if (!e)
                e = io_unlink(l->env, path.s, why);
        }
        if (!e)
            l->doomed[i] = l->doomed[--l->doomed_n];
    }
    return e;
}

enum err plog_retain(struct plog *l, int64_t now_ms, struct reason *why)
{
    return l->failed ? reason_set(why, ERR_KAFKA_STORAGE_ERROR, "%s has failed", l->dir)
                     : apply_retention(l, now_ms, why);
}

enum err plog_tick(struct plog *l, int64_t now_ms, struct reason *why)
{
    struct segment *s = plog_active(l);
    enum err e = ERR_OK;

    if (l->failed)
        return reason_set(why, ERR_KAFKA_STORAGE_ERROR, "%s has failed", l->dir);
    if (now_ms - l->last_flush_ms >= l->config.flush_ms) {
        e = plog_flush(l, why);
        l->last_flush_ms = now_ms;
    }
    if (!e && s->size && now_ms - s->created_ms > plog_segment_ms(l) && l->config.cleanup_policy & PLOG_CLEANUP_COMPACT)
        e = plog_roll(l, now_ms, why); /* so that an idle log's last segment can be compacted */
    if (!e)
        e = remove_doomed(l, now_ms, why);
    if (!e && now_ms - l->last_expiry_ms >= PRODUCER_EXPIRY_EVERY_MS) {
        producer_expire(&l->producers, now_ms, l->config.producer_id_expiration_ms);
        l->last_expiry_ms = now_ms;
    }
    return e;
}
