/* SPDX-License-Identifier: Apache-2.0
 * The life of a ledger and its reading side: positions, readiness, handing records to the owner.
 *
 * Happy path: ledger_open makes the object, the backend's reader thread delivers records through ledger_apply() and
 * moves the position with ledger_advance(); when every partition has reached the end seen at start, the ledger is
 * ready. With hooks.post each group of records is carried to the owner's loop and the reader waits for it: that is the
 * back-pressure. The waiting ends early when the ledger closes: whoever wins the atomic `state` of the group (the loop:
 * PENDING -> RUNNING, the closing reader: PENDING -> ABANDONED) decides whether the group is applied.
 * Locking: `lock` guards positions and queue and is never held during a callback; `table_lock` guards the kept table.
 */
#include "core/base/env.h"
#include "core/base/log.h"
#include "core/ledger/ledger_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int64_t ledger_now_ms(void)
{
    return env_mono_ms(env_system());
}

static char *copy(const char *s)
{
    return s ? strdup(s) : NULL;
}

static void ledger_destroy(struct ledger *l)
{
    table_free(&l->table);
    for (size_t i = 0; l->kafka && l->kafka[i]; i++)
        free(l->kafka[i]);
    free(l->kafka);
    free(l->topic);
    free(l->transactional_id);
    pthread_cond_destroy(&l->changed);
    pthread_mutex_destroy(&l->lock);
    pthread_mutex_destroy(&l->table_lock);
    free(l);
}

void ledger_unref(struct ledger *l)
{
    if (atomic_fetch_sub(&l->refs, 1) == 1)
        ledger_destroy(l);
}

static void init_locks(struct ledger *l)
{
    pthread_condattr_t ca;
    pthread_mutexattr_t ma;
    pthread_condattr_init(&ca);
    pthread_condattr_setclock(&ca, CLOCK_MONOTONIC);
    pthread_cond_init(&l->changed, &ca);
    pthread_condattr_destroy(&ca);
    pthread_mutex_init(&l->lock, NULL);
    pthread_mutexattr_init(&ma);
    pthread_mutexattr_settype(&ma, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&l->table_lock, &ma);
    pthread_mutexattr_destroy(&ma);
}

struct ledger *ledger_new(const struct ledger_config *config, const struct ledger_hooks *hooks,
                          const struct ledger_backend *backend)
{
    struct ledger *l = calloc(1, sizeof *l);
    size_t n = 0;
    if (!l)
        return NULL;
    init_locks(l);
    table_init(&l->table);
    atomic_init(&l->refs, 1);
    l->hooks = *hooks;
    l->config = *config;
    l->backend = backend;
    l->tail = &l->head;
    l->watch_offset = -1;
    l->topic = copy(config->topic);
    if (config->transactional_id)
        l->transactional_id = copy(config->transactional_id);
    else if (asprintf(&l->transactional_id, "castellan-ledger-%s", config->topic) < 0)
        l->transactional_id = NULL;
    while (config->kafka && config->kafka[n])
        n++;
    l->kafka = calloc(n + 1, sizeof *l->kafka);
    bool ok = l->topic && l->transactional_id && l->kafka;
    for (size_t i = 0; ok && i < n; i++)
        ok = (l->kafka[i] = copy(config->kafka[i])) != NULL;
    if (!ok) {
        ledger_destroy(l);
        return NULL;
    }
    l->config.topic = l->topic;
    l->config.transactional_id = l->transactional_id;
    l->config.kafka = (const char *const *)l->kafka;
    if (!l->config.submit_timeout_ms)
        l->config.submit_timeout_ms = LEDGER_SUBMIT_TIMEOUT_MS;
    if (!l->config.partitions)
        l->config.partitions = 1;
    return l;
}

enum err ledger_start(struct ledger *l, struct ledger **out, struct reason *why)
{
    enum err e = l->backend->start(l, why);
    if (e) {
        ledger_unref(l);
        return e;
    }
    if (!l->config.read_only) {
        if (pthread_create(&l->writer, NULL, ledger_writer_main, l)) {
            l->backend->stop(l);
            ledger_unref(l);
            return reason_set(why, ERR_NO_MEMORY, "cannot start the writer thread");
        }
        l->writer_started = true;
    }
    *out = l;
    return ERR_OK;
}

void ledger_close(struct ledger *l)
{
    if (!l)
        return;
    atomic_store(&l->closing, true);
    pthread_mutex_lock(&l->lock);
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
    l->backend->wake(l);
    if (l->writer_started)
        pthread_join(l->writer, NULL);
    l->backend->stop(l);
    ledger_unref(l);
}

bool ledger_cond_wait(struct ledger *l, int64_t deadline_ms)
{
    struct timespec ts = {deadline_ms / 1000, (deadline_ms % 1000) * 1000000L};
    return pthread_cond_timedwait(&l->changed, &l->lock, &ts) != ETIMEDOUT;
}

void ledger_sleep(struct ledger *l, int64_t ms)
{
    int64_t until = ledger_now_ms() + ms;
    pthread_mutex_lock(&l->lock);
    while (!atomic_load(&l->closing) && ledger_cond_wait(l, until))
        ;
    pthread_mutex_unlock(&l->lock);
}

/* --- handing records over --- */

enum { GROUP_PENDING, GROUP_RUNNING, GROUP_DONE, GROUP_ABANDONED };

struct apply_group {
    struct ledger *ledger;
    const struct ledger_record *records;
    size_t n;
    atomic_int state;
    atomic_int refs; /* the reader and the posted function */
};

static void group_unref(struct apply_group *g)
{
    if (atomic_fetch_sub(&g->refs, 1) == 1) {
        ledger_unref(g->ledger);
        free(g);
    }
}

static void apply_all(struct ledger *l, const struct ledger_record *records, size_t n)
{
    for (size_t i = 0; l->hooks.apply && i < n; i++)
        l->hooks.apply(l->hooks.user, &records[i]);
}

static void group_run(void *arg)
{
    struct apply_group *g = arg;
    struct ledger *l = g->ledger;
    int expected = GROUP_PENDING;
    if (!atomic_load(&l->closing) && atomic_compare_exchange_strong(&g->state, &expected, GROUP_RUNNING)) {
        apply_all(l, g->records, g->n);
        pthread_mutex_lock(&l->lock);
        atomic_store(&g->state, GROUP_DONE);
        pthread_cond_broadcast(&l->changed);
        pthread_mutex_unlock(&l->lock);
    }
    group_unref(g);
}

static void apply_posted(struct ledger *l, const struct ledger_record *records, size_t n)
{
    struct apply_group *g = calloc(1, sizeof *g);
    if (!g)
        abort(); /* a record that cannot be applied must not be skipped */
    g->ledger = l;
    g->records = records;
    g->n = n;
    atomic_init(&g->state, GROUP_PENDING);
    atomic_init(&g->refs, 2);
    atomic_fetch_add(&l->refs, 1);
    l->hooks.post(l->hooks.post_ctx, group_run, g);
    pthread_mutex_lock(&l->lock);
    while (atomic_load(&g->state) != GROUP_DONE) {
        int expected = GROUP_PENDING;
        if (atomic_load(&l->closing) && atomic_compare_exchange_strong(&g->state, &expected, GROUP_ABANDONED))
            break;
        pthread_cond_wait(&l->changed, &l->lock);
    }
    pthread_mutex_unlock(&l->lock);
    group_unref(g);
}

static void keep_records(struct ledger *l, const struct ledger_record *records, size_t n)
{
    pthread_mutex_lock(&l->table_lock);
    for (size_t i = 0; i < n; i++) {
        if (slice_is_null(records[i].value))
            table_remove(&l->table, records[i].key);
        else if (table_put(&l->table, records[i].key, records[i].value))
            abort();
    }
    pthread_mutex_unlock(&l->table_lock);
}

void ledger_apply(struct ledger *l, const struct ledger_record *records, size_t n)
{
    if (!n)
        return;
    if (l->config.keep)
        keep_records(l, records, n);
    if (l->hooks.post)
        apply_posted(l, records, n);
    else
        apply_all(l, records, n);
    pthread_mutex_lock(&l->lock);
    l->applied += n;
    for (size_t i = 0; i < n; i++)
        if (records[i].partition == l->watch_partition && records[i].offset == l->watch_offset)
            l->watch_seen = true;
    pthread_mutex_unlock(&l->lock);
}

struct call {
    struct ledger *ledger;
    void (*fn)(void *arg);
    void *arg;
};

static void call_run(void *arg)
{
    struct call *c = arg;
    c->fn(c->arg);
    ledger_unref(c->ledger);
    free(c);
}

void ledger_call(struct ledger *l, void (*fn)(void *arg), void *arg)
{
    if (!l->hooks.post) {
        fn(arg);
        return;
    }
    struct call *c = malloc(sizeof *c);
    if (!c)
        abort();
    *c = (struct call){l, fn, arg};
    atomic_fetch_add(&l->refs, 1);
    l->hooks.post(l->hooks.post_ctx, call_run, c);
}

static void say_ready(void *arg)
{
    struct ledger *l = arg;
    if (l->hooks.ready && !atomic_load(&l->closing))
        l->hooks.ready(l->hooks.user);
}

static bool reached(const struct ledger *l, int32_t partitions, const int64_t *ends)
{
    for (int32_t p = 0; p < partitions; p++)
        if (l->position[p] < ends[p])
            return false;
    return true;
}

/* Lock held. */
static bool becomes_ready(struct ledger *l)
{
    if (l->ready || !l->targets_known || !reached(l, l->partitions, l->target))
        return false;
    l->ready = true;
    return true;
}

static void after_move(struct ledger *l, bool now_ready)
{
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
    if (now_ready) {
        log_debug("ledger %s: ready at offset %lld", l->topic, (long long)l->position[0]);
        ledger_call(l, say_ready, l);
    }
}

void ledger_advance(struct ledger *l, int32_t partition, int64_t position)
{
    if (partition < 0 || partition >= LEDGER_PARTITIONS_MAX)
        return;
    pthread_mutex_lock(&l->lock);
    if (position > l->position[partition])
        l->position[partition] = position;
    after_move(l, becomes_ready(l));
}

void ledger_targets(struct ledger *l, int32_t partitions, const int64_t *targets)
{
    pthread_mutex_lock(&l->lock);
    l->partitions = partitions;
    memcpy(l->target, targets, (size_t)partitions * sizeof *targets);
    l->targets_known = true;
    after_move(l, becomes_ready(l));
}

static void run_reset(void *arg)
{
    struct ledger *l = arg;
    if (l->hooks.reset && !atomic_load(&l->closing))
        l->hooks.reset(l->hooks.user);
}

void ledger_reset(struct ledger *l)
{
    pthread_mutex_lock(&l->lock);
    memset(l->position, 0, sizeof l->position);
    pthread_mutex_unlock(&l->lock);
    pthread_mutex_lock(&l->table_lock);
    table_clear(&l->table);
    pthread_mutex_unlock(&l->table_lock);
    ledger_call(l, run_reset, l);
}

void ledger_fail(struct ledger *l, const struct reason *why)
{
    log_error("ledger %s: %s", l->topic, why->text);
    pthread_mutex_lock(&l->lock);
    l->failed = true;
    l->why = *why;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
}

/* --- waiting --- */

bool ledger_is_ready(const struct ledger *l)
{
    struct ledger *m = (struct ledger *)l;
    pthread_mutex_lock(&m->lock);
    bool ready = m->ready;
    pthread_mutex_unlock(&m->lock);
    return ready;
}

int64_t ledger_position(const struct ledger *l)
{
    struct ledger *m = (struct ledger *)l;
    pthread_mutex_lock(&m->lock);
    int64_t position = m->position[0];
    pthread_mutex_unlock(&m->lock);
    return position;
}

/* Lock held. Why a wait must end before its condition holds. */
static enum err wait_over(struct ledger *l, int64_t deadline_ms, struct reason *why)
{
    if (atomic_load(&l->closing))
        return reason_set(why, ERR_CANCELLED, "the ledger %s is closing", l->topic);
    if (l->failed) {
        if (why)
            *why = l->why;
        return l->why.code;
    }
    if (!ledger_cond_wait(l, deadline_ms))
        return reason_set(why, ERR_TIMEOUT, "the ledger %s did not get there in time", l->topic);
    return ERR_OK;
}

enum err ledger_wait_ready(struct ledger *l, int timeout_ms, struct reason *why)
{
    int64_t deadline = ledger_now_ms() + timeout_ms;
    enum err e = ERR_OK;
    pthread_mutex_lock(&l->lock);
    while (!l->ready && !e)
        e = wait_over(l, deadline, why);
    if (l->ready)
        e = ERR_OK;
    pthread_mutex_unlock(&l->lock);
    return e;
}

enum err ledger_wait_position(struct ledger *l, int32_t partitions, const int64_t *ends, int64_t deadline_ms,
                              struct reason *why)
{
    enum err e = ERR_OK;
    pthread_mutex_lock(&l->lock);
    while (!reached(l, partitions, ends) && !e)
        e = wait_over(l, deadline_ms, why);
    if (reached(l, partitions, ends))
        e = ERR_OK;
    pthread_mutex_unlock(&l->lock);
    return e;
}

enum err ledger_sync(struct ledger *l, int timeout_ms, struct reason *why)
{
    return l->backend->sync(l, ledger_now_ms() + timeout_ms, why);
}

void ledger_cluster_id(struct ledger *l, int timeout_ms, struct buf *out)
{
    if (l->backend->cluster_id)
        l->backend->cluster_id(l, timeout_ms, out);
}

enum err ledger_get(struct ledger *l, struct slice key, struct buf *out)
{
    pthread_mutex_lock(&l->table_lock);
    const struct table_value *v = table_get(&l->table, key);
    if (v)
        buf_put(out, v->bytes, v->n);
    pthread_mutex_unlock(&l->table_lock);
    return v ? buf_error(out) : ERR_NOT_FOUND;
}
