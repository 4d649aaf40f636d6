/* SPDX-License-Identifier: Apache-2.0
 * Meters behind quotas: token buckets that may go into debt. A bucket starts full with what a window of samples - 1
 * samples allows (Kafka's rate counts that much time as passed before a client's first byte), fills at the bound's
 * rate, and what is recorded is taken out, whatever its size; the time to wait is the time until the debt is paid. So a
 * client never gets more than window + bound * time, however large its requests are.
 *
 * Kafka itself measures a rate over samples, which agrees with this while requests are small against a sample; with
 * requests worth several seconds its samples expire before they are paid for and a client gets 7 to 20 % too much.
 *
 * Shards are locked one at a time, for the few instructions of one update. */
#include "acl/quota_meter.h"
#include "core/base/map.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>

enum { KEY_ON_STACK = 512 };

static const uint8_t shard_key[16] = "quota shards"; /* spreads only; the maps' own hash is keyed at random */

struct meter {
    bool used; /* false: the bucket is full */
    double tokens;
    int64_t at_ms;   /* when tokens were counted */
    int64_t full_ms; /* when the bucket is full again: from then on it is as good as none */
};

struct shard {
    pthread_mutex_t lock;
    struct map meters;
    struct meter overflow;
    int64_t swept_ms;
};

struct quota_meters {
    uint32_t samples;
    int64_t sample_ms;
    size_t shard_max;
    struct shard shards[QUOTA_METER_SHARDS];
};

struct quota_meters *quota_meters_new(const struct quota_meter_options *o)
{
    struct quota_meters *m = calloc(1, sizeof *m);
    size_t max = o && o->meters_max ? o->meters_max : QUOTA_METERS_MAX;

    if (!m)
        return NULL;
    m->samples = o && o->samples > 0 ? (uint32_t)o->samples : QUOTA_WINDOW_SAMPLES;
    if (m->samples > QUOTA_WINDOW_SAMPLES_MAX)
        m->samples = QUOTA_WINDOW_SAMPLES_MAX;
    m->sample_ms = o && o->sample_ms > 0 ? o->sample_ms : QUOTA_WINDOW_SAMPLE_MS;
    m->shard_max = (max + QUOTA_METER_SHARDS - 1) / QUOTA_METER_SHARDS;
    for (int i = 0; i < QUOTA_METER_SHARDS; i++) {
        struct shard *s = &m->shards[i];
        pthread_mutex_init(&s->lock, NULL);
        map_init(&s->meters);
    }
    return m;
}

void quota_meters_free(struct quota_meters *m)
{
    if (!m)
        return;
    for (int i = 0; i < QUOTA_METER_SHARDS; i++) {
        pthread_mutex_destroy(&m->shards[i].lock);
        map_free(&m->shards[i].meters, free);
    }
    free(m);
}

/* --- finding the meter --- */

/* A full bucket is as a new one: nothing is lost. */
static void sweep(struct shard *s, int64_t now_ms)
{
    for (struct map_entry *e = map_first(&s->meters); e; e = map_next(&s->meters, e)) {
        const struct meter *r = e->value;
        if (r->full_ms <= now_ms)
            free(map_remove(&s->meters, map_key(e)));
    }
    s->swept_ms = now_ms;
}

static struct meter *find(struct quota_meters *m, struct shard *s, struct slice key, int64_t now_ms)
{
    struct meter *r = map_get(&s->meters, key);
    bool full;

    if (r)
        return r;
    full = map_count(&s->meters) >= m->shard_max;
    if (now_ms - s->swept_ms > (full ? m->sample_ms : QUOTA_METER_SWEEP_MS))
        sweep(s, now_ms);
    r = map_count(&s->meters) < m->shard_max ? calloc(1, sizeof *r) : NULL;
    if (r && map_put(&s->meters, key, r, NULL)) {
        free(r);
        r = NULL;
    }
    return r ? r : &s->overflow;
}

struct meter_key {
    uint8_t stack[KEY_ON_STACK];
    uint8_t *heap;
    struct slice bytes; /* null: no memory for it */
};

static void key_make(struct meter_key *k, const struct quota_bound *b)
{
    struct slice parts[] = {b->user, b->client_id, b->ip};
    size_t n = 2 + b->user.n + b->client_id.n + b->ip.n + 3 * sizeof(uint32_t);
    uint8_t *at = k->stack;

    k->heap = NULL;
    k->bytes = SLICE_NULL;
    if (n > KEY_ON_STACK)
        at = k->heap = malloc(n);
    if (!at)
        return;
    k->bytes = slice_of(at, n);
    *at++ = (uint8_t)b->key;
    *at++ = (uint8_t)b->tags;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        uint32_t part_n = (uint32_t)parts[i].n;
        memcpy(at, &part_n, sizeof part_n);
        at += sizeof part_n;
        if (part_n)
            memcpy(at, parts[i].p, part_n);
        at += part_n;
    }
}

/* Locks the shard; unlock it when done with the meter. */
static struct meter *acquire(struct quota_meters *m, const struct quota_bound *b, int64_t now_ms, struct shard **shard)
{
    struct meter_key k;
    struct meter *r;

    key_make(&k, b);
    *shard = &m->shards[slice_is_null(k.bytes) ? 0 : hash_siphash(shard_key, k.bytes) % QUOTA_METER_SHARDS];
    pthread_mutex_lock(&(*shard)->lock);
    r = slice_is_null(k.bytes) ? &(*shard)->overflow : find(m, *shard, k.bytes, now_ms);
    free(k.heap);
    return r;
}

/* --- the bucket --- */

static double burst_of(const struct quota_meters *m, const struct quota_bound *b)
{
    /* KIP-599 gives mutations the whole window */
    int64_t samples = b->key == QUOTA_CONTROLLER_MUTATION_RATE || m->samples < 2 ? m->samples : m->samples - 1;
    return b->bound * (double)(samples * m->sample_ms) / 1000.0;
}

static void refill(const struct quota_meters *m, struct meter *r, const struct quota_bound *b, int64_t now_ms)
{
    double burst = burst_of(m, b);

    if (!r->used)
        r->tokens = burst;
    else if (now_ms > r->at_ms)
        r->tokens += b->bound * (double)(now_ms - r->at_ms) / 1000.0;
    if (r->tokens > burst)
        r->tokens = burst; /* also when the bound was lowered */
    r->used = true;
    r->at_ms = now_ms;
}

/* Debt is bounded by the longest wait; that of request time by a window, since one wait is bounded by a sample. */
static void take(const struct quota_meters *m, struct meter *r, const struct quota_bound *b, double value)
{
    double burst = burst_of(m, b);
    double debt_max = b->key == QUOTA_REQUEST_PERCENTAGE ? burst : b->bound * ((double)QUOTA_THROTTLE_MAX_MS / 1000.0);

    r->tokens -= value;
    if (r->tokens < -debt_max)
        r->tokens = -debt_max;
    if (r->tokens > burst)
        r->tokens = burst;
    r->full_ms = r->at_ms + (int64_t)ceil((burst - r->tokens) / b->bound * 1000.0);
}

static int64_t wait_ms(const struct quota_meters *m, const struct meter *r, const struct quota_bound *b)
{
    double wait = r->tokens < 0 ? -r->tokens / b->bound * 1000.0 : 0;

    if (b->key == QUOTA_REQUEST_PERCENTAGE && wait > (double)m->sample_ms)
        wait = (double)m->sample_ms;
    return wait >= QUOTA_THROTTLE_MAX_MS ? QUOTA_THROTTLE_MAX_MS : llround(wait);
}

int64_t quota_record(struct quota_meters *m, const struct quota_bound *b, double value, int64_t now_ms)
{
    struct shard *s;
    struct meter *r = acquire(m, b, now_ms, &s);
    int64_t wait;

    refill(m, r, b, now_ms);
    take(m, r, b, value);
    wait = wait_ms(m, r, b);
    pthread_mutex_unlock(&s->lock);
    return wait;
}

void quota_unrecord(struct quota_meters *m, const struct quota_bound *b, double value, int64_t now_ms)
{
    (void)quota_record(m, b, -value, now_ms);
}

int64_t quota_peek(struct quota_meters *m, const struct quota_bound *b, int64_t now_ms)
{
    return quota_record(m, b, 0, now_ms);
}

double quota_window_max(const struct quota_meters *m, const struct quota_bound *b)
{
    return burst_of(m, b);
}

int64_t quota_record_mutations(struct quota_meters *m, const struct quota_bound *b, double mutations, bool strict,
                               bool *refused, int64_t now_ms)
{
    struct shard *s;
    struct meter *r = acquire(m, b, now_ms, &s);
    int64_t wait;

    refill(m, r, b, now_ms);
    *refused = strict && r->tokens < 0;
    take(m, r, b, *refused ? 0 : mutations);
    wait = wait_ms(m, r, b);
    pthread_mutex_unlock(&s->lock);
    return wait;
}

size_t quota_meters_count(struct quota_meters *m)
{
    size_t n = 0;

    for (int i = 0; i < QUOTA_METER_SHARDS; i++) {
        struct shard *s = &m->shards[i];
        pthread_mutex_lock(&s->lock);
        n += map_count(&s->meters);
        pthread_mutex_unlock(&s->lock);
    }
    return n;
}
