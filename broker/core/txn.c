/* SPDX-License-Identifier: Apache-2.0
 * The transaction coordinator's decisions. The epoch is the fence: whoever calls InitProducerId bumps it, and
 * everything with an older epoch is refused from then on. A transaction left open by the fenced one is aborted under
 * the bumped epoch before the new one may begin. */
#include "broker/core/txn.h"

#include "core/base/arena.h"
#include "wire/transaction_records.h"

#include <stdlib.h>

static const char *const names[] = {"Empty",          "Ongoing",       "PrepareCommit", "PrepareAbort",
                                    "CompleteCommit", "CompleteAbort", "Dead"};

const char *txn_state_name(enum txn_state s)
{
    return names[s];
}

bool txn_state_parse(struct slice name, enum txn_state *out)
{
    for (int i = TXN_EMPTY; i <= TXN_DEAD; i++) {
        if (slice_eq_str(name, names[i])) {
            *out = (enum txn_state)i;
            return true;
        }
    }
    return false;
}

static void partitions_clear(struct txn *x)
{
    for (int32_t i = 0; i < x->partition_count; i++)
        free(x->partitions[i].topic);
    x->partition_count = 0;
}

static void txn_free(void *p)
{
    struct txn *x = p;
    partitions_clear(x);
    free(x->partitions);
    free(x->id);
    free(x);
}

void txn_table_init(struct txn_table *t, int32_t timeout_max_ms)
{
    *t = (struct txn_table){.timeout_max_ms = timeout_max_ms};
}

void txn_table_free(struct txn_table *t)
{
    map_free(&t->by_id, txn_free);
}

struct txn *txn_find(const struct txn_table *t, struct slice id)
{
    return map_get(&t->by_id, id);
}

static struct txn *txn_new(struct txn_table *t, struct slice id)
{
    struct txn *x = slice_has_nul(id) ? NULL : calloc(1, sizeof *x);
    if (!x)
        return NULL;
    x->id = strndup((const char *)id.p, id.n);
    x->previous_producer_id = -1;
    x->last_epoch = -1;
    x->started_ms = -1;
    x->producer_id = -1;
    x->epoch = -1;
    if (!x->id || map_put(&t->by_id, id, x, NULL)) {
        txn_free(x);
        return NULL;
    }
    return x;
}

/* ---- Records ---- */

enum { TRANSACTION_LOG_VERSION = 0 };

static void put_key(struct buf *out, const char *id)
{
    struct transaction_log_key k;
    transaction_log_key_init(&k);
    k.transactional_id = slice_str(id);
    wire_record_put_version(out, 0);
    if (transaction_log_key_encode(&k, out, 0) && !out->error)
        out->error = ERR_NO_MEMORY;
}

/* Partitions grouped by topic, as the record wants them. */
static void group_partitions(const struct txn *x, struct transaction_log_value *v, struct arena *a)
{
    transaction_log_value_partitions_schema_array_alloc(&v->transaction_partitions, x->partition_count, a);
    int32_t topics = 0;
    for (int32_t i = 0; i < x->partition_count && v->transaction_partitions.v; i++) {
        struct transaction_log_value_partitions_schema *g = NULL;
        for (int32_t k = 0; k < topics && !g; k++)
            if (slice_eq_str(v->transaction_partitions.v[k].topic, x->partitions[i].topic))
                g = &v->transaction_partitions.v[k];
        if (!g) {
            g = &v->transaction_partitions.v[topics++];
            g->topic = slice_str(x->partitions[i].topic);
            g->partition_ids.v = arena_array(a, (size_t)x->partition_count, sizeof(int32_t));
            g->partition_ids.n = 0;
        }
        if (g->partition_ids.v)
            g->partition_ids.v[g->partition_ids.n++] = x->partitions[i].index;
    }
    v->transaction_partitions.n = topics;
}

static void record_txn(const struct txn *x, struct record_list *records)
{
    struct transaction_log_value v;
    struct buf key, value;
    struct arena a;

    arena_init(&a, 0);
    buf_init(&key, 0);
    buf_init(&value, 0);
    put_key(&key, x->id);
    transaction_log_value_init(&v);
    v.producer_id = x->producer_id;
    v.producer_epoch = x->epoch;
    v.transaction_timeout_ms = x->timeout_ms;
    v.transaction_status = (int8_t)x->state;
    v.transaction_last_update_timestamp_ms = x->updated_ms;
    v.transaction_start_timestamp_ms = x->started_ms;
    if (x->state == TXN_EMPTY)
        v.transaction_partitions.n = -1;
    else
        group_partitions(x, &v, &a);
    wire_record_put_version(&value, TRANSACTION_LOG_VERSION);
    enum err err = transaction_log_value_encode(&v, &value, TRANSACTION_LOG_VERSION);
    if (!err)
        err = key.error ? key.error : value.error;
    if (err && !records->bytes.error)
        records->bytes.error = err;
    record_list_add(records, buf_slice(&key), buf_slice(&value));
    buf_free(&key);
    buf_free(&value);
    arena_free(&a);
}

static enum err take_value(struct txn *x, const struct transaction_log_value *v)
{
    partitions_clear(x);
    x->producer_id = v->producer_id;
    x->epoch = v->producer_epoch;
    x->last_epoch = -1;
    x->previous_producer_id = v->previous_producer_id;
    x->timeout_ms = v->transaction_timeout_ms;
    x->state = (enum txn_state)v->transaction_status;
    x->updated_ms = v->transaction_last_update_timestamp_ms;
    x->started_ms = v->transaction_start_timestamp_ms;
    for (int32_t t = 0; t < v->transaction_partitions.n; t++) {
        const struct transaction_log_value_partitions_schema *g = &v->transaction_partitions.v[t];
        for (int32_t i = 0; i < g->partition_ids.n; i++) {
            enum err err = txn_add(x, g->topic, g->partition_ids.v[i]);
            if (err)
                return err;
        }
    }
    return ERR_OK;
}

enum err txn_table_apply(struct txn_table *t, struct slice key, struct slice value)
{
    struct cursor c = cursor_of(key);
    struct transaction_log_key k;
    struct transaction_log_value v;
    struct arena a;
    struct txn *x;
    int16_t version;
    enum err err;

    arena_init(&a, 0);
    version = wire_record_get_version(&c);
    err = c.error ? c.error : transaction_log_key_decode(&k, &c, version, &a);
    if (!err && slice_is_null(value)) {
        x = map_remove(&t->by_id, k.transactional_id);
        if (x)
            txn_free(x);
    } else if (!err) {
        c = cursor_of(value);
        version = wire_record_get_version(&c);
        err = c.error ? c.error : transaction_log_value_decode(&v, &c, version, &a);
        if (!err && slice_has_nul(k.transactional_id))
            err = ERR_CORRUPT_MESSAGE;
        if (!err && (v.transaction_status < TXN_EMPTY || v.transaction_status > TXN_DEAD))
            err = ERR_CORRUPT_MESSAGE;
        x = err ? NULL : txn_find(t, k.transactional_id);
        if (!err && !x && !(x = txn_new(t, k.transactional_id)))
            err = ERR_NO_MEMORY;
        if (!err)
            err = take_value(x, &v);
    }
    arena_free(&a);
    return err && err != ERR_NO_MEMORY ? ERR_CORRUPT_MESSAGE : err;
}

/* ---- Steps ---- */

static void move(struct txn *x, enum txn_state to, int64_t now_ms, struct record_list *records)
{
    static const uint8_t allowed[] = {
        /* from each state, the states it may become, as bits */
        [TXN_EMPTY] = 1 << TXN_EMPTY | 1 << TXN_ONGOING,
        [TXN_ONGOING] = 1 << TXN_ONGOING | 1 << TXN_PREPARE_COMMIT | 1 << TXN_PREPARE_ABORT,
        [TXN_PREPARE_COMMIT] = 1 << TXN_COMPLETE_COMMIT,
        [TXN_PREPARE_ABORT] = 1 << TXN_COMPLETE_ABORT,
        [TXN_COMPLETE_COMMIT] = 1 << TXN_EMPTY | 1 << TXN_ONGOING,
        [TXN_COMPLETE_ABORT] = 1 << TXN_EMPTY | 1 << TXN_ONGOING,
        [TXN_DEAD] = 0,
    };
    if (!(allowed[x->state] & 1 << to))
        abort(); /* a programmer's error: the callers check the state first */
    x->state = to;
    x->updated_ms = now_ms;
    record_txn(x, records);
}

static void begin_abort(struct txn *x, int64_t now_ms, struct record_list *records)
{
    if (x->epoch <= TXN_EPOCH_LAST)
        x->epoch++; /* fences the producer that left it open */
    x->last_epoch = -1;
    x->fencing = true;
    move(x, TXN_PREPARE_ABORT, now_ms, records);
}

/* What the client says it has must be what is known, or what it had before a bump whose answer it lost (KIP-360). */
static enum err check_claim(const struct txn *x, int64_t producer_id, int16_t epoch)
{
    if (producer_id < 0)
        return ERR_OK;
    if (x->producer_id < 0)
        return ERR_OK;
    if (x->producer_id == producer_id && (x->epoch == epoch || (x->last_epoch >= 0 && x->last_epoch == epoch)))
        return ERR_OK;
    if (x->previous_producer_id == producer_id && x->epoch == 0)
        return ERR_OK;
    return ERR_PRODUCER_FENCED;
}

static enum err new_epoch(struct txn *x, int64_t claimed_id, int16_t claimed_epoch, int64_t fresh,
                          struct txn_init_result *out)
{
    if (claimed_id >= 0 && x->producer_id == claimed_id && x->last_epoch >= 0 && x->last_epoch == claimed_epoch)
        return ERR_OK; /* a retry: the bump was made, its answer lost */
    if (x->producer_id < 0 || x->epoch >= TXN_EPOCH_LAST) {
        if (fresh < 0)
            return ERR_UNAVAILABLE;
        x->previous_producer_id = x->producer_id;
        x->producer_id = fresh;
        x->epoch = 0;
        x->last_epoch = -1;
        out->used_fresh = true;
        return ERR_OK;
    }
    x->last_epoch = claimed_id >= 0 ? x->epoch : -1;
    x->epoch++;
    return ERR_OK;
}

enum err txn_init(struct txn_table *t, struct slice id, int32_t timeout_ms, int64_t producer_id, int16_t epoch,
                  int64_t fresh, int64_t now_ms, struct record_list *records, struct txn_init_result *out)
{
    struct txn *x = txn_find(t, id);
    enum err err;

    *out = (struct txn_init_result){.producer_id = -1, .epoch = -1};
    if (id.n == 0)
        return ERR_INVALID_REQUEST;
    if (timeout_ms <= 0 || timeout_ms > t->timeout_max_ms)
        return ERR_INVALID_TRANSACTION_TIMEOUT;
    if (!x && fresh < 0)
        return ERR_UNAVAILABLE;
    if (!x && !(x = txn_new(t, id)))
        return ERR_NO_MEMORY;
    if ((err = check_claim(x, producer_id, epoch)))
        return err;
    switch (x->state) {
    case TXN_ONGOING:
        begin_abort(x, now_ms, records);
        out->to_end = x;
        return ERR_CONCURRENT_TRANSACTIONS;
    case TXN_PREPARE_COMMIT:
    case TXN_PREPARE_ABORT:
        return ERR_CONCURRENT_TRANSACTIONS;
    case TXN_DEAD:
        return ERR_UNKNOWN_SERVER_ERROR;
    case TXN_EMPTY:
    case TXN_COMPLETE_COMMIT:
    case TXN_COMPLETE_ABORT:
        break;
    }
    if ((err = new_epoch(x, producer_id, epoch, fresh, out)))
        return err;
    x->timeout_ms = timeout_ms;
    x->started_ms = -1;
    x->fencing = false;
    partitions_clear(x);
    move(x, TXN_EMPTY, now_ms, records);
    out->producer_id = x->producer_id;
    out->epoch = x->epoch;
    return ERR_OK;
}

static enum err check_identity(const struct txn_table *t, struct slice id, int64_t producer_id, int16_t epoch,
                               struct txn **out)
{
    struct txn *x = txn_find(t, id);

    *out = x;
    if (!x || x->producer_id != producer_id)
        return ERR_INVALID_PRODUCER_ID_MAPPING;
    return x->epoch == epoch ? ERR_OK : ERR_PRODUCER_FENCED;
}

enum err txn_check(const struct txn_table *t, struct slice id, int64_t producer_id, int16_t epoch, struct txn **out)
{
    enum err err = check_identity(t, id, producer_id, epoch, out);

    if (err)
        return err;
    if ((*out)->state == TXN_PREPARE_COMMIT || (*out)->state == TXN_PREPARE_ABORT)
        return ERR_CONCURRENT_TRANSACTIONS;
    return ERR_OK;
}

bool txn_has(const struct txn *x, struct slice topic, int32_t index)
{
    for (int32_t i = 0; i < x->partition_count; i++)
        if (x->partitions[i].index == index && slice_eq_str(topic, x->partitions[i].topic))
            return true;
    return false;
}

enum err txn_add(struct txn *x, struct slice topic, int32_t index)
{
    struct txn_partition *p;

    if (x->state == TXN_COMPLETE_COMMIT || x->state == TXN_COMPLETE_ABORT)
        x->started_ms = -1;
    if (txn_has(x, topic, index))
        return ERR_OK;
    if (x->partition_count == TXN_PARTITIONS_MAX)
        return ERR_LIMIT_EXCEEDED;
    if (x->partition_count == x->partition_cap) {
        int32_t cap = x->partition_cap ? x->partition_cap * 2 : 8;
        p = realloc(x->partitions, (size_t)cap * sizeof *p);
        if (!p)
            return ERR_NO_MEMORY;
        x->partitions = p;
        x->partition_cap = cap;
    }
    p = &x->partitions[x->partition_count];
    *p = (struct txn_partition){.topic = strndup((const char *)topic.p, topic.n), .index = index};
    if (!p->topic)
        return ERR_NO_MEMORY;
    x->partition_count++;
    return ERR_OK;
}

void txn_added(struct txn *x, int64_t now_ms, struct record_list *records)
{
    if (x->state != TXN_ONGOING)
        x->started_ms = now_ms;
    move(x, TXN_ONGOING, now_ms, records);
}

enum err txn_end(struct txn_table *t, struct slice id, int64_t producer_id, int16_t epoch, bool commit, int64_t now_ms,
                 struct record_list *records, struct txn **to_end)
{
    struct txn *x;
    enum err err = check_identity(t, id, producer_id, epoch, &x);

    *to_end = NULL;
    if (err)
        return err;
    switch (x->state) {
    case TXN_ONGOING:
        move(x, commit ? TXN_PREPARE_COMMIT : TXN_PREPARE_ABORT, now_ms, records);
        *to_end = x;
        return ERR_OK;
    case TXN_COMPLETE_COMMIT:
        return commit ? ERR_OK : ERR_INVALID_TXN_STATE;
    case TXN_COMPLETE_ABORT:
        return commit ? ERR_INVALID_TXN_STATE : ERR_OK;
    case TXN_PREPARE_COMMIT:
        return commit ? ERR_CONCURRENT_TRANSACTIONS : ERR_INVALID_TXN_STATE;
    case TXN_PREPARE_ABORT:
        return commit ? ERR_INVALID_TXN_STATE : ERR_CONCURRENT_TRANSACTIONS;
    case TXN_EMPTY:
    case TXN_DEAD:
        break;
    }
    return ERR_INVALID_TXN_STATE;
}

bool txn_complete_if_done(struct txn *x, int64_t now_ms, struct record_list *records)
{
    bool commit = x->state == TXN_PREPARE_COMMIT;

    if (!commit && x->state != TXN_PREPARE_ABORT)
        return false;
    for (int32_t i = 0; i < x->partition_count; i++)
        if (!x->partitions[i].marked)
            return false;
    partitions_clear(x);
    x->fencing = false;
    move(x, commit ? TXN_COMPLETE_COMMIT : TXN_COMPLETE_ABORT, now_ms, records);
    return true;
}

bool txn_marked(struct txn *x, struct slice topic, int32_t index, int64_t now_ms, struct record_list *records)
{
    for (int32_t i = 0; i < x->partition_count; i++)
        if (x->partitions[i].index == index && slice_eq_str(topic, x->partitions[i].topic))
            x->partitions[i].marked = true;
    return txn_complete_if_done(x, now_ms, records);
}

struct txn *txn_expire_one(struct txn_table *t, int64_t now_ms, struct record_list *records)
{
    for (struct map_entry *e = map_first(&t->by_id); e; e = map_next(&t->by_id, e)) {
        struct txn *x = e->value;
        if (x->state == TXN_ONGOING && x->started_ms >= 0 && now_ms - x->started_ms > x->timeout_ms) {
            begin_abort(x, now_ms, records);
            return x;
        }
    }
    return NULL;
}

void txn_forget_unused(struct txn_table *t, int64_t now_ms, int64_t expiration_ms, struct record_list *records)
{
    for (struct map_entry *e = map_first(&t->by_id); e; e = map_next(&t->by_id, e)) {
        struct txn *x = e->value;
        struct buf key;
        if ((x->state != TXN_EMPTY && x->state != TXN_COMPLETE_COMMIT && x->state != TXN_COMPLETE_ABORT) ||
            now_ms - x->updated_ms < expiration_ms)
            continue;
        buf_init(&key, 0);
        put_key(&key, x->id);
        record_list_add(records, buf_slice(&key), SLICE_NULL);
        buf_free(&key);
        map_remove(&t->by_id, map_key(e));
        txn_free(x);
    }
}

/* ---- Where an id lives ---- */

static uint32_t next_code_point(struct slice s, size_t *at)
{
    uint8_t b = s.p[(*at)++];
    int more = b >= 0xf0 ? 3 : b >= 0xe0 ? 2 : b >= 0xc0 ? 1 : 0;
    uint32_t c = more == 3 ? b & 0x07 : more == 2 ? b & 0x0f : more == 1 ? b & 0x1f : b;

    for (; more > 0 && *at < s.n && (s.p[*at] & 0xc0) == 0x80; more--)
        c = c << 6 | (s.p[(*at)++] & 0x3f);
    return c;
}

int32_t java_string_hash(struct slice utf8)
{
    uint32_t h = 0;
    for (size_t at = 0; at < utf8.n;) {
        uint32_t c = next_code_point(utf8, &at);
        if (c >= 0x10000) { /* UTF-16 surrogates */
            h = 31 * h + (0xd800 + ((c - 0x10000) >> 10));
            c = 0xdc00 + ((c - 0x10000) & 0x3ff);
        }
        h = 31 * h + c;
    }
    return (int32_t)h;
}

int32_t coordinator_partition(struct slice id, int32_t partitions)
{
    int32_t h = java_string_hash(id);
    return (h == INT32_MIN ? 0 : h < 0 ? -h : h) % partitions;
}
