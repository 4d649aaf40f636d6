/* SPDX-License-Identifier: Apache-2.0
 * The producer snapshot file: Kafka's schema, both ways. */
#include "broker/log/producer_state.h"
#include "core/base/cursor.h"
#include "core/wire/crc32c.h"

#include <stdlib.h>

enum { SNAPSHOT_VERSION = 1, SNAPSHOT_CRC_AT = 2, SNAPSHOT_ENTRIES_AT = 6, SNAPSHOT_ENTRY = 46 };

static void put_entry(struct buf *out, const struct producer_entry *e)
{
    struct producer_batch none = {.last_sequence = -1, .last_offset = -1, .timestamp = e->last_timestamp};
    const struct producer_batch *b = e->batch_count ? &e->batches[e->batch_count - 1] : &none;

    buf_u64(out, (uint64_t)e->producer_id);
    buf_u16(out, (uint16_t)e->epoch);
    buf_u32(out, (uint32_t)b->last_sequence);
    buf_u64(out, (uint64_t)b->last_offset);
    buf_u32(out, (uint32_t)b->offset_delta);
    buf_u64(out, (uint64_t)e->last_timestamp);
    buf_u32(out, (uint32_t)e->coordinator_epoch);
    buf_u64(out, (uint64_t)e->txn_first_offset);
}

enum err producer_snapshot_encode(const struct producer_state *s, struct buf *out)
{
    size_t start = out->n;
    uint32_t count = 0;

    buf_u16(out, SNAPSHOT_VERSION);
    buf_u32(out, 0);
    buf_u32(out, 0);
    for (struct map_entry *m = map_first(&s->by_id); m; m = map_next(&s->by_id, m)) {
        const struct producer_entry *e = m->value;
        if (e->epoch < 0)
            continue;
        put_entry(out, e);
        count++;
    }
    if (buf_error(out))
        return buf_error(out);
    buf_patch_u32(out, start + SNAPSHOT_ENTRIES_AT, count);
    buf_patch_u32(out, start + SNAPSHOT_CRC_AT,
                  crc32c(out->p + start + SNAPSHOT_ENTRIES_AT, out->n - start - SNAPSHOT_ENTRIES_AT));
    return ERR_OK;
}

static void read_entry(struct cursor *c, struct producer_entry *e)
{
    struct producer_batch b = {0};

    memset(e, 0, sizeof *e);
    e->producer_id = (int64_t)cursor_u64(c);
    e->epoch = (int16_t)cursor_u16(c);
    b.last_sequence = (int32_t)cursor_u32(c);
    b.last_offset = (int64_t)cursor_u64(c);
    b.offset_delta = (int32_t)cursor_u32(c);
    e->last_timestamp = b.timestamp = (int64_t)cursor_u64(c);
    e->coordinator_epoch = (int32_t)cursor_u32(c);
    e->txn_first_offset = (int64_t)cursor_u64(c);
    if (b.last_offset >= 0) {
        e->batches[0] = b;
        e->batch_count = 1;
    }
}

static void add_open_txn(struct producer_state *s, const struct producer_entry *e)
{
    struct txn_list *l = &s->open;
    size_t i = l->n++;
    for (; i > 0 && l->v[i - 1].first_offset > e->txn_first_offset; i--)
        l->v[i] = l->v[i - 1];
    l->v[i] = (struct txn_span){e->producer_id, e->txn_first_offset, -1};
}

static enum err store_entry(struct producer_state *s, const struct producer_entry *in)
{
    struct producer_entry *e;
    uint8_t key[8];
    enum err err = producer_reserve(s, in->producer_id);

    if (err)
        return err;
    for (int i = 0; i < 8; i++)
        key[i] = (uint8_t)((uint64_t)in->producer_id >> (8 * i));
    e = map_get(&s->by_id, slice_of(key, 8));
    *e = *in;
    if (in->txn_first_offset >= 0)
        add_open_txn(s, in);
    return ERR_OK;
}

enum err producer_snapshot_decode(struct producer_state *s, struct slice bytes, int64_t now_ms, int64_t expiration_ms,
                                  struct reason *why)
{
    struct cursor c = cursor_of(bytes);
    uint16_t version = cursor_u16(&c);
    uint32_t crc = cursor_u32(&c), count = cursor_u32(&c);

    if (c.error || version != SNAPSHOT_VERSION)
        return reason_set(why, ERR_CORRUPT_MESSAGE, "a producer snapshot of version %u, %zu bytes", version, bytes.n);
    if (crc != crc32c(bytes.p + SNAPSHOT_ENTRIES_AT, bytes.n - SNAPSHOT_ENTRIES_AT))
        return reason_set(why, ERR_CORRUPT_MESSAGE, "the producer snapshot's CRC is wrong");
    if (count > cursor_left(&c) / SNAPSHOT_ENTRY || cursor_left(&c) != (size_t)count * SNAPSHOT_ENTRY)
        return reason_set(why, ERR_CORRUPT_MESSAGE, "a producer snapshot of %u entries has %zu bytes", count, bytes.n);
    while (count--) {
        struct producer_entry e;
        enum err err;
        read_entry(&c, &e);
        if (e.producer_id < 0 || e.epoch < 0 || producer_find(s, e.producer_id))
            return reason_set(why, ERR_CORRUPT_MESSAGE, "a producer snapshot with an impossible entry");
        if (e.txn_first_offset < 0 && now_ms - e.last_timestamp >= expiration_ms)
            continue;
        err = store_entry(s, &e);
        if (err)
            return reason_set(why, err, "no memory for the producer snapshot");
    }
    return ERR_OK;
}
