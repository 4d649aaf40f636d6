/* SPDX-License-Identifier: Apache-2.0
 * The writer: queue, group commit, and the promise that a decision is taken on the state it is written to.
 *
 * Happy path of a batch: take what is queued (up to LEDGER_BATCH_MAX) -> fence -> decide each, its records going into
 * the overlay -> commit all records in one transaction -> read back -> done for each.
 * Retries: ERR_FENCED and ERR_UNAVAILABLE lose the overlay and start the batch over with fresh decisions, with a short
 * random pause so that two instances do not fence each other in step, until the submissions' deadlines. When a commit's
 * outcome is unknown (the answer was lost), taking the fence settles it: the old transaction is then either committed
 * and its last record was read back (landed), or it is aborted and will never be seen. The same goes for a batch that
 * was committed and not read back in time: nothing is decided before it is.
 * A batch that the log refuses for good (too large a record, no authorization) is taken apart, and each of its
 * decisions goes alone, so that only the one to blame fails. A batch that emits nothing is still checked against the
 * end of the log, so that a refusal is never founded on an old state: when something had arrived meanwhile, its
 * decisions are taken anew. */
#include "core/base/env.h"
#include "core/base/log.h"
#include "core/ledger/ledger_internal.h"

#include <stdlib.h>

enum {
    RETRY_PAUSE_MS_MIN = 4,
    RETRY_PAUSE_MS_MAX = 250,
    TURN_PAUSE_MS_MIN = 20, /* what another instance that wants to write as well gets done in its turn */
    TURN_PAUSE_MS_MAX = 120,
    TURN_MEMORY_MS = 1000, /* fenced twice within this: somebody else is writing all the time */
};

/* --- the queue --- */

enum err ledger_submit(struct ledger *l, ledger_decide_fn decide, ledger_done_fn done, void *ctx)
{
    if (l->config.read_only)
        return ERR_UNSUPPORTED;
    struct ledger_submission *s = calloc(1, sizeof *s);
    if (!s)
        return ERR_NO_MEMORY;
    s->decide = decide;
    s->done = done;
    s->ctx = ctx;
    s->ledger = l;
    s->deadline_ms = ledger_now_ms() + l->config.submit_timeout_ms;
    pthread_mutex_lock(&l->lock);
    enum err e = ERR_OK;
    if (atomic_load(&l->closing))
        e = ERR_CANCELLED;
    else if (l->queued >= LEDGER_QUEUE_MAX)
        e = ERR_LIMIT_EXCEEDED;
    if (!e) {
        *l->tail = s;
        l->tail = &s->next;
        l->queued++;
        pthread_cond_broadcast(&l->changed);
    }
    pthread_mutex_unlock(&l->lock);
    if (e)
        free(s);
    return e;
}

static void submission_done(void *arg)
{
    struct ledger_submission *s = arg;
    s->done(s->ctx, &s->result);
    free(s);
}

static void finish(struct ledger *l, struct ledger_submission *s)
{
    ledger_call(l, submission_done, s);
}

static void fail_submission(struct ledger *l, struct ledger_submission *s, enum err e, const struct reason *why)
{
    s->result = (struct ledger_result){.err = e, .first_offset = -1, .last_offset = -1};
    if (why)
        s->result.why = *why;
    s->result.why.code = e;
    finish(l, s);
}

static void set_deadline(struct ledger_batch *b)
{
    b->deadline_ms = INT64_MAX;
    for (size_t i = 0; i < b->n; i++)
        if (b->submissions[i]->deadline_ms < b->deadline_ms)
            b->deadline_ms = b->submissions[i]->deadline_ms;
}

/* Waits for work; fills the batch; false when closing. */
static bool take_batch(struct ledger *l, struct ledger_batch *b)
{
    pthread_mutex_lock(&l->lock);
    while (!l->head && !atomic_load(&l->closing))
        pthread_cond_wait(&l->changed, &l->lock);
    b->n = 0;
    b->in_doubt = false;
    size_t max = l->alone ? 1 : LEDGER_BATCH_MAX;
    while (l->head && b->n < max && !atomic_load(&l->closing)) {
        struct ledger_submission *s = l->head;
        l->head = s->next;
        if (!l->head)
            l->tail = &l->head;
        l->queued--;
        l->alone -= l->alone ? 1 : 0;
        b->submissions[b->n++] = s;
    }
    pthread_mutex_unlock(&l->lock);
    set_deadline(b);
    return b->n > 0;
}

static void cancel_queue(struct ledger *l)
{
    pthread_mutex_lock(&l->lock);
    struct ledger_submission *s = l->head;
    l->head = NULL;
    l->tail = &l->head;
    l->queued = 0;
    pthread_mutex_unlock(&l->lock);
    while (s) {
        struct ledger_submission *next = s->next;
        fail_submission(l, s, ERR_CANCELLED, NULL);
        s = next;
    }
}

/* --- the view --- */

static bool grow_records(struct ledger_batch *b)
{
    if (b->record_count < b->record_cap)
        return true;
    size_t cap = b->record_cap ? b->record_cap * 2 : 64;
    struct ledger_out *p = realloc(b->records, cap * sizeof *p);
    if (!p)
        return false;
    b->records = p;
    b->record_cap = cap;
    return true;
}

void ledger_view_emit(struct ledger_view *view, struct slice key, struct slice value)
{
    struct ledger_batch *b = view->batch;
    if (view->error)
        return;
    if (key.n + value.n > LEDGER_RECORD_MAX) {
        view->error = ERR_MESSAGE_TOO_LARGE;
        return;
    }
    struct ledger_out r = {.offset = -1};
    r.key = arena_copy(&view->arena, key);
    r.value = arena_copy(&view->arena, value);
    if (slice_is_null(r.key) || (slice_is_null(r.value) && !slice_is_null(value)) || !grow_records(b) ||
        (view->ledger->config.keep && table_put(&view->overlay, key, value))) {
        view->error = ERR_NO_MEMORY;
        return;
    }
    b->records[b->record_count++] = r;
    b->bytes += key.n + value.n;
}

bool ledger_view_get(struct ledger_view *view, struct slice key, struct slice *value)
{
    struct ledger *l = view->ledger;
    const struct table_value *v = table_get(&view->overlay, key);
    bool found = false;
    pthread_mutex_lock(&l->table_lock);
    if (!v)
        v = table_get(&l->table, key);
    if (v && !v->tombstone) {
        *value = arena_copy(&view->arena, slice_of(v->bytes, v->n));
        found = !slice_is_null(*value);
    }
    pthread_mutex_unlock(&l->table_lock);
    return found;
}

/* --- the batch --- */

static void speculate(struct ledger *l, const struct ledger_out *records, size_t n)
{
    for (size_t i = 0; l->hooks.speculate && i < n; i++) {
        struct ledger_record r = {0, -1, 0, records[i].key, records[i].value};
        l->hooks.speculate(l->hooks.user, &r);
    }
}

/* A refused decision leaves nothing: rebuild the overlay from the records that stay. */
static void undo_overlay(struct ledger_view *v, size_t from)
{
    struct ledger_batch *b = v->batch;
    if (b->record_count == from)
        return;
    b->record_count = from;
    table_clear(&v->overlay);
    for (size_t i = 0; v->ledger->config.keep && i < from; i++)
        if (table_put(&v->overlay, b->records[i].key, b->records[i].value))
            abort();
}

static void decide_one(struct ledger *l, struct ledger_view *v, struct ledger_submission *s)
{
    struct ledger_batch *b = v->batch;
    size_t from = b->record_count;
    v->error = ERR_OK;
    s->result = (struct ledger_result){.first_offset = -1, .last_offset = -1};
    enum err e = s->decide(s->ctx, v);
    if (!e)
        e = v->error;
    if (e)
        undo_overlay(v, from);
    s->result.err = e;
    s->result.why.code = e;
    s->first_record = from;
    s->record_count = b->record_count - from;
    speculate(l, b->records + from, s->record_count);
}

/* Drop what has waited too long; the rest stays in order. */
static void drop_expired(struct ledger *l, struct ledger_batch *b, const struct reason *why)
{
    int64_t now = ledger_now_ms();
    size_t kept = 0;
    for (size_t i = 0; i < b->n; i++) {
        struct ledger_submission *s = b->submissions[i];
        if (atomic_load(&l->closing))
            fail_submission(l, s, ERR_CANCELLED, NULL);
        else if (s->deadline_ms <= now)
            fail_submission(l, s, ERR_TIMEOUT, why);
        else
            b->submissions[kept++] = s;
    }
    b->n = kept;
    set_deadline(b);
}

static void finish_batch(struct ledger *l, struct ledger_batch *b)
{
    for (size_t i = 0; i < b->n; i++) {
        struct ledger_submission *s = b->submissions[i];
        if (!s->result.err && s->record_count) {
            s->result.first_offset = b->records[s->first_record].offset;
            s->result.last_offset = b->records[s->first_record + s->record_count - 1].offset;
        }
        finish(l, s);
    }
    b->n = 0;
}

/* The batch ends here, the rest goes back to the head of the queue. */
static void put_back(struct ledger *l, struct ledger_batch *b, size_t from)
{
    pthread_mutex_lock(&l->lock);
    for (size_t i = b->n; i > from; i--) {
        struct ledger_submission *s = b->submissions[i - 1];
        s->next = l->head;
        if (!l->head)
            l->tail = &s->next;
        l->head = s;
        l->queued++;
    }
    pthread_mutex_unlock(&l->lock);
    b->n = from;
}

static uint64_t applied_records(struct ledger *l)
{
    pthread_mutex_lock(&l->lock);
    uint64_t n = l->applied;
    pthread_mutex_unlock(&l->lock);
    return n;
}

/* One try: everything from the fence to the read-back. ERR_FENCED and the like ask for another. */
static enum err try_batch(struct ledger *l, struct ledger_view *v, struct reason *why)
{
    struct ledger_batch *b = v->batch;
    enum err e = l->backend->fence(l, b->deadline_ms, why);
    if (e)
        return e;
    if (b->in_doubt && l->backend->landed(l, b))
        return ERR_OK;
    b->in_doubt = false;
    b->record_count = b->bytes = 0;
    arena_reset(&v->arena);
    table_clear(&v->overlay);
    if (l->hooks.speculate)
        l->hooks.speculate(l->hooks.user, NULL);
    uint64_t applied = applied_records(l);
    for (size_t i = 0; i < b->n; i++) {
        decide_one(l, v, b->submissions[i]);
        if (b->bytes >= LEDGER_BATCH_BYTES)
            put_back(l, b, i + 1);
    }
    if (b->record_count)
        return l->backend->commit(l, b, b->deadline_ms, why);
    e = l->backend->sync(l, b->deadline_ms, why);
    return e ? e : applied_records(l) == applied ? ERR_OK : reason_set(why, ERR_FENCED, "the log moved on");
}

/* Every instance that takes the fence undoes what the one before was about to commit. Instances that all have work
 * therefore take turns: who lost the fence leaves it alone for as long as a few transactions take. The pause does not
 * grow, or who waited longest would wait longer still. */
static void pause_before_retry(struct ledger *l, unsigned attempt, bool fenced, int64_t *fenced_ms)
{
    uint8_t r;
    struct env *env = env_system();
    int64_t now = ledger_now_ms(), ms = RETRY_PAUSE_MS_MIN << (attempt < 6 ? attempt : 6);
    env->random(env, &r, 1);
    ms = ms > RETRY_PAUSE_MS_MAX ? RETRY_PAUSE_MS_MAX : ms;
    if (fenced && *fenced_ms && now - *fenced_ms < TURN_MEMORY_MS)
        ledger_sleep(l, TURN_PAUSE_MS_MIN + (TURN_PAUSE_MS_MAX - TURN_PAUSE_MS_MIN) * r / 256);
    else
        ledger_sleep(l, ms / 2 + ms * r / 512);
    if (fenced)
        *fenced_ms = now;
}

/* A timeout is that of the submission with the earliest deadline; the others may still be in time. */
static bool may_retry(enum err e)
{
    return e == ERR_FENCED || e == ERR_UNAVAILABLE || e == ERR_CONCURRENT_TRANSACTIONS || e == ERR_TIMEOUT;
}

/* Refused for good, and it is not known for whose sake: the first stays, those behind it will go alone, too. */
static void take_apart(struct ledger *l, struct ledger_batch *b)
{
    size_t others = b->n - 1;
    put_back(l, b, 1);
    set_deadline(b);
    pthread_mutex_lock(&l->lock);
    l->alone += others;
    pthread_mutex_unlock(&l->lock);
}

static void run_batch(struct ledger *l, struct ledger_view *v, int64_t *fenced_ms)
{
    struct ledger_batch *b = v->batch;
    for (unsigned attempt = 0; b->n; attempt++) {
        struct reason why = {0};
        enum err e = try_batch(l, v, &why);
        if (!e) {
            finish_batch(l, b);
        } else if (may_retry(e) && !atomic_load(&l->closing)) {
            if (attempt == 0)
                log_debug("ledger %s: trying again: %s", l->topic, why.text);
            pause_before_retry(l, attempt, e == ERR_FENCED, fenced_ms);
            drop_expired(l, b, &why);
        } else if (b->n > 1 && !atomic_load(&l->closing)) {
            take_apart(l, b);
        } else {
            for (size_t i = 0; i < b->n; i++)
                fail_submission(l, b->submissions[i], atomic_load(&l->closing) ? ERR_CANCELLED : e, &why);
            b->n = 0;
        }
    }
    if (l->hooks.speculate)
        l->hooks.speculate(l->hooks.user, NULL);
}

void *ledger_writer_main(void *arg)
{
    struct ledger *l = arg;
    struct ledger_batch *b = calloc(1, sizeof *b);
    struct ledger_view v = {.ledger = l, .batch = b};
    int64_t fenced_ms = 0; /* when the fence was last lost; 0: never */
    if (!b)
        abort();
    table_init(&v.overlay);
    arena_init(&v.arena, 0);
    while (take_batch(l, b))
        run_batch(l, &v, &fenced_ms);
    cancel_queue(l);
    table_free(&v.overlay);
    arena_free(&v.arena);
    free(b->records);
    free(b);
    return NULL;
}

/* --- blocking forms --- */

struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t done;
    bool is_done;
    struct ledger_result result;
    ledger_decide_fn decide;
    void *ctx;
};

static enum err waiter_decide(void *ctx, struct ledger_view *view)
{
    struct waiter *w = ctx;
    return w->decide(w->ctx, view);
}

static void waiter_done(void *ctx, const struct ledger_result *result)
{
    struct waiter *w = ctx;
    pthread_mutex_lock(&w->lock);
    w->result = *result;
    w->is_done = true;
    pthread_cond_signal(&w->done);
    pthread_mutex_unlock(&w->lock);
}

enum err ledger_decide(struct ledger *l, ledger_decide_fn decide, void *ctx, struct ledger_result *result)
{
    struct waiter w = {.decide = decide, .ctx = ctx};
    pthread_mutex_init(&w.lock, NULL);
    pthread_cond_init(&w.done, NULL);
    enum err e = ledger_submit(l, waiter_decide, waiter_done, &w);
    if (!e) {
        pthread_mutex_lock(&w.lock);
        while (!w.is_done)
            pthread_cond_wait(&w.done, &w.lock);
        pthread_mutex_unlock(&w.lock);
        e = w.result.err;
        if (result)
            *result = w.result;
    } else if (result) {
        *result = (struct ledger_result){.err = e, .first_offset = -1, .last_offset = -1};
    }
    pthread_cond_destroy(&w.done);
    pthread_mutex_destroy(&w.lock);
    return e;
}

struct plain_write {
    const struct ledger_write_record *records;
    size_t n;
    int64_t deadline_ms;
};

static enum err decide_plain(void *ctx, struct ledger_view *view)
{
    struct plain_write *w = ctx;
    if (ledger_now_ms() > w->deadline_ms)
        return ERR_TIMEOUT;
    for (size_t i = 0; i < w->n; i++)
        ledger_view_emit(view, w->records[i].key, w->records[i].value);
    return ERR_OK;
}

enum err ledger_write(struct ledger *l, const struct ledger_write_record *records, size_t n, int timeout_ms,
                      struct reason *why)
{
    struct plain_write w = {records, n, ledger_now_ms() + timeout_ms};
    struct ledger_result result;
    enum err e = ledger_decide(l, decide_plain, &w, &result);
    if (e && result.why.text[0]) {
        if (why)
            *why = result.why;
        return e;
    }
    return e ? reason_set(why, e, "writing to %s: %s", l->topic, err_text(e)) : ERR_OK;
}
