/* SPDX-License-Identifier: Apache-2.0
 * The rules of compaction, Kafka's:
 * - of records with one key the last stays; offsets never change, so a kept batch keeps its offset range;
 * - a tombstone stays until its batch's delete horizon, which is set when the batch is first compacted (then the base
 *   timestamp is the horizon and the attributes say so), delete.retention.ms ahead;
 * - data of aborted transactions goes; a marker goes when no data of its transaction is left and its horizon is over;
 * - the last batch of a producer that is still known stays even when it is empty, for its sequence number. */
#include "broker/log/clean_filter.h"
#include "broker/log/log_private.h"

#include <stdlib.h>

struct clean_slot {
    uint64_t digest[2];
    int64_t offset; /* -1: free */
};

struct clean_open {
    const struct plog_aborted *aborted; /* NULL: it will commit */
    bool seen;                          /* some of its data was met */
};

enum { SLOTS_MIN = 1024 };

/* ---- The last offset per key ---- */

void clean_map_init(struct clean_map *m, struct env *env)
{
    memset(m, 0, sizeof *m);
    env->random(env, m->hash_keys, sizeof m->hash_keys);
    m->latest_offset = -1;
}

void clean_map_free(struct clean_map *m)
{
    free(m->slots);
    m->slots = NULL;
    m->n = m->cap = 0;
}

static struct clean_slot *slot_of(const struct clean_map *m, const uint64_t digest[2])
{
    size_t i = (size_t)digest[0] & (m->cap - 1);
    while (m->slots[i].offset >= 0 && (m->slots[i].digest[0] != digest[0] || m->slots[i].digest[1] != digest[1]))
        i = (i + 1) & (m->cap - 1);
    return &m->slots[i];
}

static bool map_grow(struct clean_map *m)
{
    struct clean_map bigger = *m;

    bigger.cap = m->cap ? 2 * m->cap : SLOTS_MIN;
    bigger.slots = malloc(bigger.cap * sizeof *bigger.slots);
    if (!bigger.slots)
        return false;
    for (size_t i = 0; i < bigger.cap; i++)
        bigger.slots[i].offset = -1;
    for (size_t i = 0; i < m->cap; i++)
        if (m->slots[i].offset >= 0)
            *slot_of(&bigger, m->slots[i].digest) = m->slots[i];
    free(m->slots);
    *m = bigger;
    return true;
}

enum err clean_map_put(struct clean_map *m, struct slice key, int64_t offset)
{
    uint64_t digest[2] = {hash_siphash(m->hash_keys[0], key), hash_siphash(m->hash_keys[1], key)};
    struct clean_slot *s;

    if (4 * (m->n + 1) > 3 * m->cap && !map_grow(m))
        return ERR_NO_MEMORY;
    s = slot_of(m, digest);
    if (s->offset < 0) {
        if (m->n == CLEAN_KEYS_MAX)
            return ERR_LIMIT_EXCEEDED;
        m->n++;
    }
    *s = (struct clean_slot){{digest[0], digest[1]}, offset};
    return ERR_OK;
}

int64_t clean_map_get(const struct clean_map *m, struct slice key)
{
    uint64_t digest[2] = {hash_siphash(m->hash_keys[0], key), hash_siphash(m->hash_keys[1], key)};
    return m->cap ? slot_of(m, digest)->offset : -1;
}

/* ---- Transactions ---- */

void clean_txns_init(struct clean_txns *t, const struct plog_aborted *aborted, size_t n)
{
    memset(t, 0, sizeof *t);
    t->aborted = aborted;
    t->n = n;
    map_init(&t->open);
}

void clean_txns_free(struct clean_txns *t)
{
    map_free(&t->open, free);
}

static struct slice id_key(const int64_t *id)
{
    return slice_of(id, sizeof *id);
}

static enum err open_txn(struct clean_txns *t, int64_t id, const struct plog_aborted *aborted, bool seen)
{
    struct clean_open *o = calloc(1, sizeof *o);
    void *old = NULL;

    if (!o || map_put(&t->open, id_key(&id), o, &old)) {
        free(o);
        return ERR_NO_MEMORY;
    }
    free(old);
    o->aborted = aborted;
    o->seen = seen;
    return ERR_OK;
}

/* Aborted transactions that begin at or before this offset are open now. */
static enum err begin_aborted(struct clean_txns *t, int64_t offset)
{
    enum err e = ERR_OK;
    for (; !e && t->next < t->n && t->aborted[t->next].first_offset <= offset; t->next++)
        e = open_txn(t, t->aborted[t->next].producer_id, &t->aborted[t->next], false);
    return e;
}

enum err clean_txns_data(struct clean_txns *t, const struct record_batch *b, bool *drop)
{
    enum err e = begin_aborted(t, record_batch_last_offset(b));
    struct clean_open *o;

    *drop = false;
    if (e || !record_batch_is_transactional(b))
        return e;
    o = map_get(&t->open, id_key(&b->producer_id));
    if (!o)
        return open_txn(t, b->producer_id, NULL, true);
    o->seen = true;
    *drop = o->aborted != NULL;
    return ERR_OK;
}

enum err clean_txns_marker(struct clean_txns *t, const struct record_batch *b, bool commit, bool *empty,
                           const struct plog_aborted **still)
{
    enum err e = begin_aborted(t, record_batch_last_offset(b));
    struct clean_open *o;

    *still = NULL;
    *empty = true;
    if (e)
        return e;
    o = map_remove(&t->open, id_key(&b->producer_id));
    if (o) {
        *empty = !o->seen;
        if (!commit && o->seen)
            *still = o->aborted;
        free(o);
    }
    return ERR_OK;
}

/* ---- A batch ---- */

static bool holds_producer(const struct producer_state *s, const struct record_batch *b)
{
    const struct producer_entry *e = b->producer_id >= 0 ? producer_find(s, b->producer_id) : NULL;

    if (!e)
        return false;
    if (e->batch_count)
        return e->batches[e->batch_count - 1].last_offset == record_batch_last_offset(b);
    return record_batch_is_control(b) && e->epoch == b->producer_epoch;
}

static bool has_horizon(const struct record_batch *b)
{
    return b->attributes & RECORD_DELETE_HORIZON;
}

static bool horizon_over(const struct clean_rules *rules, const struct record_batch *b)
{
    return has_horizon(b) && b->base_timestamp <= rules->now_ms;
}

static bool keeps_record(const struct clean_rules *rules, const struct record_batch *b, const struct record *r)
{
    int64_t last;

    if (r->offset > rules->map->latest_offset)
        return true;
    if (!r->key.p)
        return false;
    last = clean_map_get(rules->map, r->key);
    return r->offset >= last && (r->value.p || !horizon_over(rules, b));
}

/* One record as it was, but for its timestamp delta: the base may have become the delete horizon. */
static void put_record(struct buf *out, const struct record *r, int64_t base_timestamp)
{
    int64_t delta = r->timestamp - base_timestamp;
    size_t size = 1 + varint_size(delta) + varint_size(r->offset_delta) +
                  varint_size(r->key.p ? (int64_t)r->key.n : -1) + r->key.n +
                  varint_size(r->value.p ? (int64_t)r->value.n : -1) + r->value.n + varint_size(r->header_count) +
                  r->headers.n;

    buf_varint(out, (int64_t)size);
    buf_u8(out, (uint8_t)r->attributes);
    buf_varint(out, delta);
    buf_varint(out, r->offset_delta);
    buf_varint(out, r->key.p ? (int64_t)r->key.n : -1);
    buf_put_slice(out, r->key);
    buf_varint(out, r->value.p ? (int64_t)r->value.n : -1);
    buf_put_slice(out, r->value);
    buf_varint(out, r->header_count);
    buf_put_slice(out, r->headers);
}

struct kept {
    int32_t count;
    int64_t max_timestamp;
    bool tombstones;
};

/* Which records stay; with `records` they are also encoded into it. */
static enum err walk(const struct clean_rules *rules, const struct record_batch *b, bool drop_all, struct buf *scratch,
                     struct buf *records, int64_t base_timestamp, struct kept *kept, struct reason *why)
{
    struct record_iter it;
    struct record r;
    bool more;
    enum err e = record_iter_open(&it, b, scratch, 0, why);

    *kept = (struct kept){.max_timestamp = -1};
    while (!e && !drop_all && !(e = record_iter_next(&it, &r, &more, why)) && more) {
        if (!record_batch_is_control(b) && !keeps_record(rules, b, &r))
            continue;
        kept->count++;
        kept->tombstones |= !record_batch_is_control(b) && !r.value.p;
        if (r.timestamp > kept->max_timestamp)
            kept->max_timestamp = r.timestamp;
        if (records)
            put_record(records, &r, base_timestamp);
    }
    return e ? e : records ? buf_error(records) : ERR_OK;
}

static enum err rewrite(const struct clean_rules *rules, const struct record_batch *b, bool drop_all, bool set_horizon,
                        struct buf *scratch, struct buf *records, struct buf *out, struct reason *why)
{
    struct record_batch head = *b;
    struct kept kept;
    enum err e;

    if (set_horizon) {
        head.base_timestamp = rules->now_ms + rules->delete_retention_ms;
        head.attributes |= RECORD_DELETE_HORIZON;
    }
    buf_clear(records);
    e = walk(rules, b, drop_all, scratch, records, head.base_timestamp, &kept, why);
    if (e)
        return e;
    head.record_count = kept.count;
    if (kept.count)
        head.max_timestamp = b->attributes & RECORD_LOG_APPEND_TIME ? b->max_timestamp : kept.max_timestamp;
    else
        head.attributes = (int16_t)(head.attributes & ~RECORD_CODEC_MASK); /* nothing is left to compress */
    return record_batch_encode(&head, WIRE_LEVEL_DEFAULT, buf_slice(records), out);
}

enum err clean_batch(const struct clean_rules *rules, const struct record_batch *b, struct buf *scratch,
                     struct buf *records, struct buf *out, const struct plog_aborted **still, struct reason *why)
{
    bool drop = false, empty_txn = false, hold = holds_producer(rules->producers, b), set_horizon;
    struct plog_marker marker;
    struct kept kept;
    enum err e = ERR_OK;

    *still = NULL;
    if (record_batch_is_control(b)) {
        if (!plog_parse_marker(b, &marker)) { /* already emptied, or not about a transaction */
            if (b->record_count || hold)
                buf_put_slice(out, b->bytes);
            return buf_error(out);
        }
        e = clean_txns_marker(rules->txns, b, marker.commit, &empty_txn, still);
        drop = empty_txn && horizon_over(rules, b);
    } else {
        e = clean_txns_data(rules->txns, b, &drop);
    }
    if (!e)
        e = walk(rules, b, drop, scratch, NULL, 0, &kept, why);
    if (e || (!kept.count && !hold))
        return e;
    set_horizon = kept.count && (kept.tombstones || empty_txn) && !has_horizon(b);
    if (kept.count == b->record_count && !set_horizon) {
        buf_put_slice(out, b->bytes);
        return buf_error(out);
    }
    return rewrite(rules, b, drop, set_horizon, scratch, records, out, why);
}
