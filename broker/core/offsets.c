/* SPDX-License-Identifier: Apache-2.0
 * Committed and staged offsets. A slot exists while it holds a committed value or a staged one. A stage is in two
 * lists, its slot's and its transaction's; the slot owns it. Which write wins is decided by the place of its record in
 * the log alone, never by the order of events, see the header. */
#include "broker/core/offsets.h"

#include "wire/group_records.h"

#include <stdlib.h>

enum { SLOT_KEY_MAX = INT16_MAX + 4, OFFSET_VALUE_VERSION = 3, OFFSET_VALUE_VERSION_EXPIRING = 1 };

struct slot_key {
    uint8_t b[SLOT_KEY_MAX];
};

static struct slice slot_key(struct slot_key *k, struct slice topic, int32_t partition)
{
    size_t n = topic.n < INT16_MAX ? topic.n : INT16_MAX;

    if (n)
        memcpy(k->b, topic.p, n);
    for (int i = 0; i < 4; i++)
        k->b[n + (size_t)i] = (uint8_t)((uint32_t)partition >> (24 - 8 * i));
    return slice_of(k->b, n + 4);
}

static struct slice txn_key(uint8_t out[8], int64_t producer_id)
{
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)((uint64_t)producer_id >> (56 - 8 * i));
    return slice_of(out, 8);
}

/* ---- Values ---- */

static void value_free(struct offset_value *v)
{
    free((void *)(uintptr_t)v->metadata.p);
    v->metadata = SLICE_NULL;
}

static enum err value_copy(struct offset_value *out, const struct offset_value *v)
{
    uint8_t *p = malloc(v->metadata.n + 1);

    if (!p)
        return ERR_NO_MEMORY;
    if (v->metadata.n)
        memcpy(p, v->metadata.p, v->metadata.n);
    *out = *v;
    out->metadata = slice_of(p, v->metadata.n);
    return ERR_OK;
}

/* ---- Slots and stages ---- */

static void stage_unlink(struct offset_stage *s)
{
    struct offset_stage **at = &s->slot->staged;

    while (*at != s)
        at = &(*at)->slot_next;
    *at = s->slot_next;
    *s->txn_prev = s->txn_next;
    if (s->txn_next)
        s->txn_next->txn_prev = s->txn_prev;
}

static void stage_free(struct offset_stage *s)
{
    stage_unlink(s);
    value_free(&s->value);
    free(s);
}

static void slot_free(void *p)
{
    struct offset_slot *s = p;

    while (s->staged)
        stage_free(s->staged);
    if (s->committed)
        value_free(&s->value);
    free(s->topic);
    free(s);
}

void offsets_free(struct offsets *o)
{
    map_free(&o->slots, slot_free);
}

void offset_txns_free(struct offset_txns *t)
{
    map_free(&t->by_producer, free);
}

const struct offset_slot *offsets_find(const struct offsets *o, struct slice topic, int32_t partition)
{
    struct slot_key k;
    return map_get(&o->slots, slot_key(&k, topic, partition));
}

static struct offset_slot *slot_get(struct offsets *o, struct group *g, struct slice topic, int32_t partition)
{
    struct slot_key k;
    struct slice key = slot_key(&k, topic, partition);
    struct offset_slot *s = map_get(&o->slots, key);

    if (s)
        return s;
    s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->group = g;
    s->topic = strndup((const char *)topic.p, topic.n);
    s->partition = partition;
    if (!s->topic || map_put(&o->slots, key, s, NULL)) {
        slot_free(s);
        return NULL;
    }
    return s;
}

/* A slot that holds nothing goes. */
static void slot_settle(struct offsets *o, struct offset_slot *s)
{
    struct slot_key k;

    if (s->committed || s->staged)
        return;
    map_remove(&o->slots, slot_key(&k, slice_str(s->topic), s->partition));
    slot_free(s);
}

/* Takes ownership of v's metadata. */
static void slot_take(struct offset_slot *s, struct offset_value *v)
{
    if (s->committed && s->value.at > v->at) {
        value_free(v);
        return;
    }
    if (s->committed)
        value_free(&s->value);
    s->value = *v;
    s->committed = true;
}

enum err offsets_commit(struct offsets *o, struct group *g, struct slice topic, int32_t partition,
                        const struct offset_value *v)
{
    struct offset_value copy;
    struct offset_slot *s = slot_get(o, g, topic, partition);

    if (!s)
        return ERR_NO_MEMORY;
    if (value_copy(&copy, v)) {
        slot_settle(o, s);
        return ERR_NO_MEMORY;
    }
    slot_take(s, &copy);
    return ERR_OK;
}

static struct offset_txn *txn_get(struct offset_txns *txns, int64_t producer_id)
{
    uint8_t k[8];
    struct offset_txn *x = map_get(&txns->by_producer, txn_key(k, producer_id));

    if (x)
        return x;
    x = calloc(1, sizeof *x);
    if (!x)
        return NULL;
    x->producer_id = producer_id;
    if (map_put(&txns->by_producer, txn_key(k, producer_id), x, NULL)) {
        free(x);
        return NULL;
    }
    return x;
}

static void txn_settle(struct offset_txns *txns, int64_t producer_id)
{
    uint8_t k[8];
    struct offset_txn *x = map_get(&txns->by_producer, txn_key(k, producer_id));

    if (!x || x->stages)
        return;
    map_remove(&txns->by_producer, txn_key(k, producer_id));
    free(x);
}

enum err offsets_stage(struct offsets *o, struct group *g, struct offset_txns *txns, int64_t producer_id,
                       struct slice topic, int32_t partition, const struct offset_value *v)
{
    struct offset_slot *slot = slot_get(o, g, topic, partition);
    struct offset_txn *x = txn_get(txns, producer_id);
    struct offset_stage *s = calloc(1, sizeof *s);

    if (!slot || !x || !s || value_copy(&s->value, v)) {
        free(s);
        if (slot)
            slot_settle(o, slot);
        txn_settle(txns, producer_id);
        return ERR_NO_MEMORY;
    }
    for (struct offset_stage *old = slot->staged; old; old = old->slot_next) {
        if (old->producer_id == producer_id) { /* a later commit in the same transaction */
            stage_free(old);
            break;
        }
    }
    s->producer_id = producer_id;
    s->slot = slot;
    s->slot_next = slot->staged;
    slot->staged = s;
    s->txn_next = x->stages;
    s->txn_prev = &x->stages;
    if (s->txn_next)
        s->txn_next->txn_prev = &s->txn_next;
    x->stages = s;
    return ERR_OK;
}

void offsets_remove(struct offsets *o, struct offset_txns *txns, struct slice topic, int32_t partition, int64_t at)
{
    struct slot_key k;
    struct offset_slot *s = map_get(&o->slots, slot_key(&k, topic, partition));

    if (!s)
        return;
    if (s->committed && s->value.at < at) {
        value_free(&s->value);
        s->committed = false;
    }
    for (struct offset_stage *x = s->staged, *next; x; x = next) {
        int64_t producer_id = x->producer_id;
        next = x->slot_next;
        if (x->value.at < at) {
            stage_free(x);
            txn_settle(txns, producer_id);
        }
    }
    slot_settle(o, s);
}

bool offset_txns_end_one(struct offset_txns *txns, int64_t producer_id, bool commit, struct offset_ended *out)
{
    uint8_t k[8];
    struct offset_txn *x = map_get(&txns->by_producer, txn_key(k, producer_id));
    struct offset_stage *s = x ? x->stages : NULL;

    if (!s)
        return false;
    *out = (struct offset_ended){s->slot, s->slot->group};
    stage_unlink(s);
    if (commit)
        slot_take(s->slot, &s->value);
    else
        value_free(&s->value);
    free(s);
    txn_settle(txns, producer_id);
    return true;
}

void offsets_settle(struct offsets *o, struct offset_slot *s)
{
    slot_settle(o, s);
}

/* ---- Records ---- */

static void put_key(struct buf *out, struct slice group, struct slice topic, int32_t partition)
{
    struct offset_commit_key k;

    offset_commit_key_init(&k);
    k.group = group;
    k.topic = topic;
    k.partition = partition;
    wire_record_put_version(out, 1);
    enum err err = offset_commit_key_encode(&k, out, 0);
    if (err && !out->error)
        out->error = err;
}

static void add(struct record_list *out, const struct buf *key, const struct buf *value)
{
    enum err err = key->error ? key->error : value ? value->error : ERR_OK;

    if (err && !out->bytes.error)
        out->bytes.error = err;
    record_list_add(out, buf_slice(key), value ? buf_slice(value) : SLICE_NULL);
}

void offset_record_put(struct record_list *out, struct slice group, struct slice topic, int32_t partition,
                       const struct offset_value *v)
{
    int16_t version = v->expire_ms < 0 ? OFFSET_VALUE_VERSION : OFFSET_VALUE_VERSION_EXPIRING;
    struct offset_commit_value value;
    struct buf key, body;

    buf_init(&key, 0);
    buf_init(&body, 0);
    put_key(&key, group, topic, partition);
    offset_commit_value_init(&value);
    value.offset = v->offset;
    value.leader_epoch = v->leader_epoch;
    value.metadata = slice_is_null(v->metadata) ? slice_str("") : v->metadata;
    value.commit_timestamp = v->commit_ms;
    value.expire_timestamp = v->expire_ms;
    wire_record_put_version(&body, version);
    enum err err = offset_commit_value_encode(&value, &body, version);
    if (err && !body.error)
        body.error = err;
    add(out, &key, &body);
    buf_free(&key);
    buf_free(&body);
}

void offset_record_remove(struct record_list *out, struct slice group, struct slice topic, int32_t partition)
{
    struct buf key;

    buf_init(&key, 0);
    put_key(&key, group, topic, partition);
    add(out, &key, NULL);
    buf_free(&key);
}
