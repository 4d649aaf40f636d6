/* SPDX-License-Identifier: Apache-2.0
 * Idempotence and transactions of one partition. The state owns its entries. A reserved entry with epoch -1 stands for
 * "nothing known" and is treated as absent everywhere. */
#include "broker/log/producer_state.h"

#include <stdlib.h>

static struct slice id_key(uint8_t out[8], int64_t producer_id)
{
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)((uint64_t)producer_id >> (8 * i));
    return slice_of(out, 8);
}

static struct producer_entry *find(const struct producer_state *s, int64_t producer_id)
{
    uint8_t key[8];
    return map_get(&s->by_id, id_key(key, producer_id));
}

void producer_state_init(struct producer_state *s)
{
    memset(s, 0, sizeof *s);
    map_init(&s->by_id);
}

void producer_state_free(struct producer_state *s)
{
    map_free(&s->by_id, free);
    free(s->open.v);
    free(s->unreplicated.v);
    producer_state_init(s);
}

const struct producer_entry *producer_find(const struct producer_state *s, int64_t producer_id)
{
    const struct producer_entry *e = find(s, producer_id);
    return e && e->epoch >= 0 ? e : NULL;
}

/* Sequences count 0 .. INT32_MAX and begin again at 0. */
static int32_t sequence_minus(int32_t sequence, int32_t n)
{
    return (int32_t)(((uint32_t)sequence - (uint32_t)n) & 0x7fffffffu);
}

const struct producer_batch *producer_duplicate(const struct producer_state *s, const struct producer_append *a)
{
    const struct producer_entry *e = producer_find(s, a->producer_id);

    if (!e || e->epoch != a->epoch)
        return NULL;
    for (int i = 0; i < e->batch_count; i++) {
        const struct producer_batch *b = &e->batches[i];
        if (b->last_sequence == a->last_sequence &&
            sequence_minus(b->last_sequence, b->offset_delta) == a->base_sequence)
            return b;
    }
    return NULL;
}

static enum err check_epoch(const struct producer_entry *e, int16_t epoch, struct reason *why)
{
    if (e && epoch < e->epoch)
        return reason_set(why, ERR_INVALID_PRODUCER_EPOCH,
                          "Epoch of producer %lld is %d, which is smaller than the last seen epoch %d",
                          (long long)e->producer_id, epoch, e->epoch);
    return ERR_OK;
}

static enum err check_sequence(const struct producer_entry *e, const struct producer_append *a, struct reason *why)
{
    int32_t last;

    if (!e)
        return ERR_OK;
    if (a->epoch != e->epoch) {
        if (a->base_sequence == 0)
            return ERR_OK;
        return reason_set(why, ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
                          "Invalid sequence number for new epoch of producer %lld: %d (request epoch), %d (seq. "
                          "number), %d (current producer epoch)",
                          (long long)a->producer_id, a->epoch, a->base_sequence, e->epoch);
    }
    last = e->batch_count ? e->batches[e->batch_count - 1].last_sequence : -1;
    if ((int64_t)a->base_sequence == (int64_t)last + 1 || (a->base_sequence == 0 && last == INT32_MAX))
        return ERR_OK;
    return reason_set(why, ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
                      "Out of order sequence number for producer %lld: %d (incoming seq. number), %d (current end "
                      "sequence number)",
                      (long long)a->producer_id, a->base_sequence, last);
}

enum err producer_check(const struct producer_state *s, const struct producer_append *a, bool check_sequences,
                        struct reason *why)
{
    const struct producer_entry *e = producer_find(s, a->producer_id);
    enum err err = check_epoch(e, a->epoch, why);

    if (!err && check_sequences)
        err = check_sequence(e, a, why);
    if (!err && e && e->txn_first_offset >= 0 && !a->transactional)
        err = reason_set(why, ERR_INVALID_TXN_STATE, "Expected transactional write from producer %lld",
                         (long long)a->producer_id);
    return err;
}

enum err producer_check_marker(const struct producer_state *s, int64_t producer_id, int16_t epoch,
                               int32_t coordinator_epoch, struct reason *why)
{
    const struct producer_entry *e = producer_find(s, producer_id);
    enum err err = check_epoch(e, epoch, why);

    if (!err && e && coordinator_epoch < e->coordinator_epoch)
        err = reason_set(why, ERR_TRANSACTION_COORDINATOR_FENCED,
                         "Invalid coordinator epoch for producer id %lld: %d (zombie), %d (current)",
                         (long long)producer_id, coordinator_epoch, e->coordinator_epoch);
    return err;
}

static bool list_reserve(struct txn_list *l)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 4;
        struct txn_span *v = realloc(l->v, cap * sizeof *v);
        if (!v)
            return false;
        l->v = v;
        l->cap = cap;
    }
    return true;
}

static void list_add(struct txn_list *l, struct txn_span span)
{
    size_t i = l->n++;
    for (; i > 0 && l->v[i - 1].first_offset > span.first_offset; i--)
        l->v[i] = l->v[i - 1];
    l->v[i] = span;
}

static void list_remove(struct txn_list *l, size_t i)
{
    memmove(l->v + i, l->v + i + 1, (--l->n - i) * sizeof *l->v);
}

enum err producer_reserve(struct producer_state *s, int64_t producer_id)
{
    struct producer_entry *e = find(s, producer_id);
    uint8_t key[8];

    if (!list_reserve(&s->open) || !list_reserve(&s->unreplicated))
        return ERR_NO_MEMORY;
    if (e)
        return ERR_OK;
    e = calloc(1, sizeof *e);
    if (!e)
        return ERR_NO_MEMORY;
    e->producer_id = producer_id;
    e->epoch = e->coordinator_epoch = -1;
    e->txn_first_offset = e->last_timestamp = -1;
    if (map_put(&s->by_id, id_key(key, producer_id), e, NULL)) {
        free(e);
        return ERR_NO_MEMORY;
    }
    return ERR_OK;
}

static void set_epoch(struct producer_entry *e, int16_t epoch)
{
    if (e->epoch == epoch)
        return;
    e->epoch = epoch;
    e->batch_count = 0;
}

void producer_apply(struct producer_state *s, const struct producer_append *a)
{
    struct producer_entry *e = find(s, a->producer_id);

    set_epoch(e, a->epoch);
    if (e->batch_count == PRODUCER_BATCHES)
        memmove(e->batches, e->batches + 1, --e->batch_count * sizeof e->batches[0]);
    e->batches[e->batch_count++] = (struct producer_batch){
        .last_sequence = a->last_sequence,
        .offset_delta = (int32_t)(a->last_offset - a->first_offset),
        .last_offset = a->last_offset,
        .timestamp = a->max_timestamp,
    };
    e->last_timestamp = a->max_timestamp;
    if (a->transactional && e->txn_first_offset < 0) {
        e->txn_first_offset = a->first_offset;
        list_add(&s->open, (struct txn_span){a->producer_id, a->first_offset, -1});
    }
}

bool producer_end_txn(struct producer_state *s, int64_t producer_id, int16_t epoch, int32_t coordinator_epoch,
                      int64_t offset, int64_t timestamp, struct txn_span *ended)
{
    struct producer_entry *e = find(s, producer_id);
    bool was_open = e->txn_first_offset >= 0;

    set_epoch(e, epoch);
    e->coordinator_epoch = coordinator_epoch;
    e->last_timestamp = timestamp;
    e->txn_first_offset = -1;
    if (!was_open)
        return false; /* a marker without data leaves the stable offset alone */
    for (size_t i = 0; i < s->open.n; i++) {
        if (s->open.v[i].producer_id != producer_id)
            continue;
        *ended = s->open.v[i];
        ended->last_offset = offset;
        list_remove(&s->open, i);
        list_add(&s->unreplicated, *ended);
        return true;
    }
    return false;
}

int64_t producer_stable_after(const struct producer_state *s, const struct txn_span *ended)
{
    return s->open.n ? s->open.v[0].first_offset : ended->last_offset + 1;
}

int64_t producer_first_unstable(const struct producer_state *s)
{
    int64_t first = s->open.n ? s->open.v[0].first_offset : -1;
    if (s->unreplicated.n && (first < 0 || s->unreplicated.v[0].first_offset < first))
        first = s->unreplicated.v[0].first_offset;
    return first;
}

void producer_high_watermark(struct producer_state *s, int64_t high_watermark)
{
    for (size_t i = s->unreplicated.n; i-- > 0;)
        if (s->unreplicated.v[i].last_offset < high_watermark)
            list_remove(&s->unreplicated, i);
}

size_t producer_expire(struct producer_state *s, int64_t now_ms, int64_t expiration_ms)
{
    size_t gone = 0;
    for (struct map_entry *m = map_first(&s->by_id), *next; m; m = next) {
        struct producer_entry *e = m->value;
        next = map_next(&s->by_id, m);
        if (e->txn_first_offset >= 0 || now_ms - e->last_timestamp < expiration_ms)
            continue;
        free(map_remove(&s->by_id, map_key(m)));
        gone++;
    }
    return gone;
}
