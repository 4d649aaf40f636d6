/* SPDX-License-Identifier: Apache-2.0
 * What a log derives from its batches: producers, aborted transactions, leader epochs; its snapshots of them, and the
 * replay that rebuilds them. */
#include "broker/log/log_private.h"
#include "core/base/log.h"

#include <dirent.h>
#include <stdlib.h>

enum { OFFSET_DIGITS = 20 };

enum err plog_save_epochs(struct plog *l, struct reason *why)
{
    struct io_path path;
    struct buf text;
    enum err e = io_join(&path, l->dir, "leader-epoch-checkpoint", why);

    buf_init(&text, 0);
    if (!e)
        e = epochs_encode(&l->epochs, &text);
    if (!e)
        e = io_write_file(l->env, path.s, buf_slice(&text), true, why);
    buf_free(&text);
    return e;
}

enum err plog_save_snapshot(struct plog *l, int64_t offset, bool sync, struct reason *why)
{
    struct io_path path;
    struct buf bytes;
    enum err e = io_segment_path(&path, l->dir, offset, ".snapshot", why);

    buf_init(&bytes, 0);
    if (!e)
        e = producer_snapshot_encode(&l->producers, &bytes);
    if (!e)
        e = io_write_file(l->env, path.s, buf_slice(&bytes), sync, why);
    buf_free(&bytes);
    return e;
}

/* The offsets of the snapshot files, in no order. */
static enum err list_snapshots(struct plog *l, struct buf *offsets, struct reason *why)
{
    DIR *dir = l->env->fault(l->env, "log.open") ? NULL : opendir(l->dir);
    struct dirent *d;

    if (!dir)
        return reason_set(why, ERR_IO, "cannot read the folder %s", l->dir);
    while ((d = readdir(dir))) {
        char *end;
        long long offset = strtoll(d->d_name, &end, 10);
        int64_t value = offset;
        if (end == d->d_name + OFFSET_DIGITS && strcmp(end, ".snapshot") == 0)
            buf_put(offsets, &value, sizeof value);
    }
    closedir(dir);
    return buf_error(offsets);
}

enum err plog_drop_snapshots(struct plog *l, int64_t from, int64_t to, struct reason *why)
{
    struct buf offsets;
    enum err e;

    buf_init(&offsets, 0);
    e = list_snapshots(l, &offsets, why);
    for (size_t i = 0; !e && i + sizeof(int64_t) <= offsets.n; i += sizeof(int64_t)) {
        struct io_path path;
        int64_t offset;
        memcpy(&offset, offsets.p + i, sizeof offset);
        if (offset < from || offset >= to)
            continue;
        e = io_segment_path(&path, l->dir, offset, ".snapshot", why);
        if (!e)
            e = io_unlink(l->env, path.s, why);
    }
    buf_free(&offsets);
    return e;
}

enum err plog_reserve_state(struct plog *l, struct segment *s, const struct record_batch *b, struct reason *why)
{
    enum err e = ERR_OK;

    if (b->producer_id >= 0)
        e = producer_reserve(&l->producers, b->producer_id);
    if (!e && record_batch_is_control(b))
        e = segment_reserve_aborted(s);
    return e ? reason_set(why, e, "no memory for producer state") : ERR_OK;
}

static void learn_marker(struct plog *l, struct segment *s, const struct record_batch *b, bool add_aborted)
{
    struct plog_marker marker;
    struct txn_span span;

    if (!plog_parse_marker(b, &marker))
        return; /* leader change, snapshot header and the like say nothing about producers */
    if (!producer_end_txn(&l->producers, b->producer_id, b->producer_epoch, marker.coordinator_epoch, b->base_offset,
                          b->max_timestamp, &span))
        return;
    if (!marker.commit && add_aborted) {
        struct plog_aborted a = {b->producer_id, span.first_offset, span.last_offset,
                                 producer_stable_after(&l->producers, &span)};
        segment_add_aborted(s, &a);
    }
}

enum err plog_learn(struct plog *l, struct segment *s, const struct record_batch *b, bool add_aborted,
                    struct reason *why)
{
    bool changed;
    enum err e = epochs_assign(&l->epochs, b->partition_leader_epoch, b->base_offset, &changed);

    if (e)
        return reason_set(why, e, "no memory for leader epochs");
    if (changed)
        e = plog_save_epochs(l, why);
    if (e || b->producer_id < 0)
        return e;
    if (record_batch_is_control(b)) {
        learn_marker(l, s, b, add_aborted);
    } else {
        struct producer_append a = {
            .producer_id = b->producer_id,
            .epoch = b->producer_epoch,
            .base_sequence = b->base_sequence,
            .last_sequence = record_batch_last_sequence(b),
            .first_offset = b->base_offset,
            .last_offset = record_batch_last_offset(b),
            .max_timestamp = b->max_timestamp,
            .transactional = record_batch_is_transactional(b),
        };
        producer_apply(&l->producers, &a);
    }
    return ERR_OK;
}

static enum err replay_segment(struct plog *l, struct segment *s, int64_t from, struct reason *why)
{
    struct segment_scan c;
    struct record_batch b;
    struct buf body;
    int64_t at;
    bool more;
    enum err e;

    buf_init(&body, INT32_MAX);
    segment_scan_open(&c, s, 0, false);
    while (!(e = segment_scan_next(&c, &b, &at, &more, why)) && more) {
        if (record_batch_last_offset(&b) < from)
            continue;
        if (record_batch_is_control(&b))
            e = segment_read_batch(s, at, b.bytes.n, &body, &b, why);
        if (!e)
            e = plog_reserve_state(l, s, &b, why);
        if (!e)
            e = plog_learn(l, s, &b, s->rebuilt, why);
        if (e)
            break;
    }
    segment_scan_close(&c);
    buf_free(&body);
    return e;
}

/* The newest snapshot at or before `limit` that decodes; broken ones are removed. Without any: the log's first batch.
 */
static enum err load_snapshot(struct plog *l, int64_t limit, int64_t now_ms, int64_t *from, struct reason *why)
{
    struct buf offsets, bytes;
    enum err e;

    buf_init(&offsets, 0);
    buf_init(&bytes, 0);
    *from = l->segments[0]->base_offset;
    e = list_snapshots(l, &offsets, why);
    while (!e) {
        struct io_path path;
        int64_t best = -1, offset;
        size_t best_at = 0;
        for (size_t i = 0; i + sizeof offset <= offsets.n; i += sizeof offset) {
            memcpy(&offset, offsets.p + i, sizeof offset);
            if (offset <= limit && offset > best) {
                best = offset;
                best_at = i;
            }
        }
        if (best < l->segments[0]->base_offset)
            break;
        buf_clear(&bytes);
        e = io_segment_path(&path, l->dir, best, ".snapshot", why);
        if (!e)
            e = io_read_file(l->env, path.s, &bytes, why);
        if (!e)
            e = producer_snapshot_decode(&l->producers, buf_slice(&bytes), now_ms, l->config.producer_id_expiration_ms,
                                         why);
        if (!e) {
            *from = best;
            break;
        }
        producer_state_free(&l->producers);
        if (e == ERR_CORRUPT_MESSAGE) {
            log_warn("%s: the producer snapshot at %lld is broken, using an older one: %s", l->dir, (long long)best,
                     why ? why->text : err_text(e));
            offset = -1;
            memcpy(offsets.p + best_at, &offset, sizeof offset);
            e = io_unlink(l->env, path.s, why);
        }
    }
    buf_free(&offsets);
    buf_free(&bytes);
    return e;
}

enum err plog_rebuild_state(struct plog *l, int64_t limit, int64_t now_ms, struct reason *why)
{
    int64_t from;
    enum err e;

    producer_state_free(&l->producers);
    if (limit > l->end_offset)
        limit = l->end_offset;
    e = plog_drop_snapshots(l, l->end_offset + 1, INT64_MAX, why);
    if (!e)
        e = load_snapshot(l, limit, now_ms, &from, why);
    for (size_t i = 0; !e && i < l->segment_n; i++)
        if (plog_segment_end(l, i) > from)
            e = replay_segment(l, l->segments[i], from, why);
    for (size_t i = 0; !e && i < l->segment_n; i++) {
        struct segment *s = l->segments[i];
        if (s->rebuilt && i + 1 < l->segment_n)
            e = segment_save(s, true, why);
        s->rebuilt = false;
    }
    return e;
}
