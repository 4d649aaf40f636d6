/* SPDX-License-Identifier: Apache-2.0
 * Appending. The order is: validate, ask the producer state, reserve memory, roll if the segment is full, one write,
 * then tell everything that must know. Nothing after the write can fail but the fsync that flush.messages asks for, and
 * everything before it leaves the log as it was.
 *
 * A batch that is stored as it came is not copied: its first 16 bytes (base offset, length, leader epoch, all outside
 * the CRC) are written from the stack, the rest from the caller's bytes. */
#include "broker/log/log_private.h"
#include "broker/log/validate.h"

#include <assert.h>
#include <stdlib.h>

enum { PATCHED_HEAD = 16 };

bool plog_parse_marker(const struct record_batch *b, struct plog_marker *out)
{
    struct buf none;
    struct record_iter it;
    struct record r;
    bool more;
    bool ok;

    buf_init(&none, 1);
    ok = !record_batch_codec(b) && !record_iter_open(&it, b, &none, 0, NULL) &&
         !record_iter_next(&it, &r, &more, NULL) && more;
    if (ok) {
        enum record_control_type type = record_control_type(r.key);
        ok = (type == RECORD_CONTROL_COMMIT || type == RECORD_CONTROL_ABORT) &&
             !record_control_coordinator_epoch(r.value, &out->coordinator_epoch);
        out->commit = type == RECORD_CONTROL_COMMIT;
        out->producer_id = b->producer_id;
        out->producer_epoch = b->producer_epoch;
    }
    buf_free(&none);
    return ok;
}

static enum err refuse_when_failed(const struct plog *l, struct reason *why)
{
    if (!l->failed)
        return ERR_OK;
    return reason_set(why, ERR_KAFKA_STORAGE_ERROR, "%s failed to reach the disk before and takes no more", l->dir);
}

/* Begin a new segment when this batch does not fit the active one (size, time, full index, relative offsets). */
static enum err roll_if_needed(struct plog *l, const struct record_batch *b, int64_t last_offset, int64_t now_ms,
                               struct reason *why)
{
    const struct plog_config *c = &l->config;
    struct segment *s = plog_active(l);
    int64_t waited = s->first_timestamp >= 0 && b->max_timestamp >= 0 ? b->max_timestamp - s->first_timestamp
                                                                      : now_ms - s->created_ms;
    bool full = (int64_t)b->bytes.n > (int64_t)c->segment_bytes - s->size ||
                s->offsets.own.n + OFFSET_INDEX_ENTRY > (size_t)c->segment_index_bytes ||
                s->times.own.n + 2 * TIME_INDEX_ENTRY > (size_t)c->segment_index_bytes;

    if (last_offset - s->base_offset <= SEGMENT_RELATIVE_MAX && (!s->size || !(full || waited > plog_segment_ms(l))))
        return ERR_OK;
    return plog_roll(l, now_ms, why);
}

/* Write one parsed batch at the end of the log, at `base_offset` under `epoch`, and learn from it. */
static enum err write_batch(struct plog *l, struct record_batch *b, int64_t base_offset, int32_t epoch, int64_t now_ms,
                            struct reason *why)
{
    uint8_t head[PATCHED_HEAD];
    struct iovec iov[2] = {{head, sizeof head},
                           {(void *)(uintptr_t)(b->bytes.p + sizeof head), b->bytes.n - sizeof head}};
    struct segment *s;
    int64_t position;
    bool changed;
    enum err e;

    if ((int64_t)b->bytes.n > (int64_t)l->config.segment_bytes)
        return reason_set(why, ERR_RECORD_LIST_TOO_LARGE,
                          "The batch of %zu bytes exceeds the maximum configured segment size of %d", b->bytes.n,
                          l->config.segment_bytes);
    e = roll_if_needed(l, b, base_offset + b->last_offset_delta, now_ms, why);
    s = plog_active(l);
    b->base_offset = base_offset;
    b->partition_leader_epoch = epoch;
    if (!e)
        e = plog_reserve_state(l, s, b, why);
    if (!e)
        e = epochs_assign(&l->epochs, epoch, base_offset, &changed);
    if (!e && changed) {
        e = plog_save_epochs(l, why);
        if (e)
            epochs_truncate_end(&l->epochs, base_offset);
    }
    if (e)
        return e;
    memcpy(head, b->bytes.p, sizeof head);
    record_batch_set_base_offset(head, base_offset);
    record_batch_set_leader_epoch(head, epoch);
    position = s->size;
    e = segment_write(s, iov, 2, b->bytes.n, why);
    if (e)
        return e;
    segment_note(s, b, position, l->config.index_interval_bytes);
    s->next_offset = l->end_offset = record_batch_last_offset(b) + 1;
    e = plog_learn(l, s, b, true, why);
    assert(e == ERR_OK); /* its epoch is assigned and its memory reserved */
    l->unflushed_records += b->record_count;
    return ERR_OK;
}

static enum err flush_if_asked(struct plog *l, struct reason *why)
{
    return l->unflushed_records >= l->config.flush_messages ? plog_flush(l, why) : ERR_OK;
}

static struct producer_append append_of(const struct record_batch *b, int64_t first_offset)
{
    return (struct producer_append){
        .producer_id = b->producer_id,
        .epoch = b->producer_epoch,
        .base_sequence = b->base_sequence,
        .last_sequence = record_batch_last_sequence(b),
        .first_offset = first_offset,
        .last_offset = first_offset + b->last_offset_delta,
        .max_timestamp = b->max_timestamp,
        .transactional = record_batch_is_transactional(b),
    };
}

/* *duplicate: an earlier append had this batch; `out` says where. */
static enum err ask_producers(struct plog *l, const struct record_batch *b, enum plog_origin origin,
                              struct plog_appended *out, struct reason *why)
{
    struct producer_append a = append_of(b, l->end_offset);
    const struct producer_batch *old;
    struct plog_marker marker;

    if (b->producer_id < 0)
        return ERR_OK;
    if (record_batch_is_control(b)) {
        if (!plog_parse_marker(b, &marker))
            return ERR_OK;
        return producer_check_marker(&l->producers, b->producer_id, b->producer_epoch, marker.coordinator_epoch, why);
    }
    old = origin == PLOG_FROM_CLIENT ? producer_duplicate(&l->producers, &a) : NULL;
    if (old) {
        out->duplicate = true;
        out->first_offset = old->last_offset - old->offset_delta;
        out->last_offset = old->last_offset;
        out->max_timestamp = old->timestamp;
        return ERR_OK;
    }
    return producer_check(&l->producers, &a, origin == PLOG_FROM_CLIENT, why);
}

static enum err append_checked(struct plog *l, struct record_batch *b, const struct plog_append_args *args,
                               struct plog_appended *out, struct reason *why)
{
    enum err e = ask_producers(l, b, args->origin, out, why);

    out->record_count = b->record_count;
    out->log_append_time_ms = l->config.message_timestamp_type ? args->now_ms : -1;
    if (e)
        return e;
    if (out->duplicate) {
        if (l->config.message_timestamp_type)
            out->log_append_time_ms = out->max_timestamp;
        return ERR_OK;
    }
    out->first_offset = l->end_offset;
    out->last_offset = l->end_offset + b->last_offset_delta;
    out->max_timestamp = b->max_timestamp;
    return write_batch(l, b, l->end_offset, args->leader_epoch, args->now_ms, why);
}

static void appended_init(struct plog_appended *out)
{
    memset(out, 0, sizeof *out);
    out->first_offset = out->last_offset = out->log_append_time_ms = out->max_timestamp = -1;
}

/* The metadata leader's own batches: well formed, no producers; all of them or, after an error, the first ones. */
static enum err append_quorum(struct plog *l, struct slice batches, const struct plog_append_args *args,
                              struct plog_appended *out, struct reason *why)
{
    struct record_batch b;
    enum err e = ERR_OK;

    while (!e && batches.n) {
        e = record_batch_parse(batches, &b, why);
        if (!e)
            e = record_batch_check_crc(&b, why);
        if (e)
            break;
        batches = slice_of(batches.p + b.bytes.n, batches.n - b.bytes.n);
        if (out->first_offset < 0)
            out->first_offset = l->end_offset;
        e = write_batch(l, &b, l->end_offset, args->leader_epoch, args->now_ms, why);
        out->last_offset = l->end_offset - 1;
        out->record_count += b.record_count;
        out->max_timestamp = b.max_timestamp;
    }
    return e;
}

enum err plog_append(struct plog *l, struct slice batches, const struct plog_append_args *args,
                     struct plog_appended *out, struct reason *why)
{
    struct validated v;
    enum err e = refuse_when_failed(l, why);

    appended_init(out);
    if (!e && args->origin == PLOG_FROM_QUORUM) {
        e = append_quorum(l, batches, args, out, why);
    } else if (!e) {
        e = validate_batch(&l->config, batches, args, &l->scratch, &l->rewrite, &v, out, why);
        if (!e)
            e = append_checked(l, &v.batch, args, out, why);
    }
    if (!e)
        e = flush_if_asked(l, why);
    return e;
}

enum err plog_append_marker(struct plog *l, const struct plog_marker *m, int32_t leader_epoch, int64_t now_ms,
                            struct plog_appended *out, struct reason *why)
{
    struct record_batch b;
    enum err e = refuse_when_failed(l, why);

    appended_init(out);
    if (!e)
        e = producer_check_marker(&l->producers, m->producer_id, m->producer_epoch, m->coordinator_epoch, why);
    if (e)
        return e;
    buf_clear(&l->rewrite);
    e = record_batch_put_end_txn(&l->rewrite, l->end_offset, leader_epoch, now_ms, m->producer_id, m->producer_epoch,
                                 m->commit, m->coordinator_epoch);
    if (!e)
        e = record_batch_parse(buf_slice(&l->rewrite), &b, why);
    if (e)
        return e;
    out->first_offset = out->last_offset = l->end_offset;
    out->max_timestamp = now_ms;
    out->record_count = 1;
    e = write_batch(l, &b, l->end_offset, leader_epoch, now_ms, why);
    return e ? e : flush_if_asked(l, why);
}

enum err plog_append_follower(struct plog *l, struct slice batches, struct plog_appended *out, struct reason *why)
{
    struct record_batch b;
    bool more;
    enum err e = refuse_when_failed(l, why);

    appended_init(out);
    while (!e && !(e = record_batches_next(&batches, &b, &more, why)) && more) {
        if (record_batch_last_offset(&b) < l->end_offset)
            continue;
        e = record_batch_check_crc(&b, why);
        if (!e && b.base_offset < l->end_offset)
            e = reason_set(why, ERR_OFFSET_OUT_OF_RANGE, "a batch from %lld overlaps the end offset %lld",
                           (long long)b.base_offset, (long long)l->end_offset);
        if (e)
            break;
        if (out->first_offset < 0)
            out->first_offset = b.base_offset;
        e = write_batch(l, &b, b.base_offset, b.partition_leader_epoch, b.max_timestamp, why);
        if (e)
            break;
        out->last_offset = l->end_offset - 1;
        out->record_count += b.record_count;
        out->max_timestamp = b.max_timestamp;
    }
    return e ? e : flush_if_asked(l, why);
}
