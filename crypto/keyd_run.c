/* SPDX-License-Identifier: Apache-2.0
 * The key process between its ledgers and the erase protocol: records come in through the ledgers' apply hooks on the
 * loop, keyring_step says what comes next, records go out through ledger_submit. One write of the protocol at a time;
 * key creations run beside it, except during a rotation.
 *
 * A write is prepared on the loop and decided on the ledger's writer thread. In between another holder of the fence may
 * have written: the decide functions therefore refuse when the root's epoch, or the size of the erasure ledger, is not
 * what the record was prepared for. */
#include "crypto/keyd_internal.h"
#include "core/base/log.h"

#include <stdlib.h>

struct write {
    struct keyd *d;
    struct keyring_records records;
    bool erasure; /* to the erasure ledger */
    uint64_t expected;
    keyd_written_fn fn;
    void *arg;
};

void keyd_fail(struct keyd *d, const struct reason *why)
{
    if (d->fatal)
        return;
    d->fatal = true;
    log_error("keyd: %s", why->text);
    d->opts.on_fatal(d->opts.user, why);
}

/* ---- ledgers ---- */

static void post(void *ctx, void (*fn)(void *arg), void *arg)
{
    if (loop_post(ctx, fn, arg))
        log_error("keyd: the loop takes no more work");
}

static void apply_key(void *user, const struct ledger_record *r)
{
    struct keyd *d = user;
    struct reason why = {0};
    enum err e = keyring_apply(d->kr, r->offset, r->key, r->value, &why);
    if (e == ERR_NO_MEMORY)
        keyd_fail(d, &why);
    else if (e)
        log_warn("keyd: %s at offset %lld is left out: %s", KEYRING_TOPIC, (long long)r->offset, why.text);
    atomic_store(&d->root_epoch, keyring_root(d->kr).epoch);
}

static void apply_erasure(void *user, const struct ledger_record *r)
{
    struct keyd *d = user;
    struct reason why = {0};
    enum err e = erasure_log_apply(&d->log, r->key, r->value, &why);
    if (e)
        keyd_fail(d, &why);
    atomic_store(&d->log_size, d->log.n);
}

static void check_ready(struct keyd *d)
{
    struct reason why = {0};
    if (!d->keys_ready || !d->erasures_ready || d->checked || d->fatal)
        return;
    if (keyring_work_check(&d->work, &why)) {
        keyd_fail(d, &why);
        return;
    }
    if (!keyring_root(d->kr).epoch) /* nobody can hold keys of a keyring that never was */
        d->started_ms -= d->opts.lease_ms;
    d->checked = true;
    keyd_pump(d);
}

static void keys_ready(void *user)
{
    ((struct keyd *)user)->keys_ready = true;
    check_ready(user);
}

static void erasures_ready(void *user)
{
    ((struct keyd *)user)->erasures_ready = true;
    check_ready(user);
}

static void recreated(void *user)
{
    struct reason why;
    reason_set(&why, ERR_CONFLICT, "%s or %s was deleted and created anew; refusing to serve", KEYRING_TOPIC,
               ERASURE_TOPIC);
    keyd_fail(user, &why);
}

static enum err open_ledger(struct keyd *d, const char *topic, struct ledger **out,
                            void (*apply)(void *, const struct ledger_record *), void (*ready)(void *),
                            struct reason *why)
{
    struct ledger_config config = {.topic = topic,
                                   .partitions = 1,
                                   .create = !d->opts.topics_exist,
                                   .check_policy = !d->opts.topics_exist,
                                   .kafka = d->opts.kafka};
    struct ledger_hooks hooks = {
        .user = d, .apply = apply, .ready = ready, .reset = recreated, .post = post, .post_ctx = d->loop};
    return (d->opts.kafka ? ledger_open : ledger_memory_new)(out, &config, &hooks, why);
}

/* ---- writing ---- */

static enum err decide(void *ctx, struct ledger_view *view)
{
    struct write *w = ctx;
    uint64_t now = atomic_load(w->erasure ? &w->d->log_size : &w->d->root_epoch);
    if (now != w->expected)
        return ERR_CONFLICT;
    for (size_t i = 0; i < w->records.n; i++) {
        const struct keyring_record *r = &w->records.v[i];
        ledger_view_emit(view, buf_slice(&r->key), r->tombstone ? SLICE_NULL : buf_slice(&r->value));
    }
    return ERR_OK;
}

static void written(void *ctx, const struct ledger_result *result)
{
    struct write *w = ctx;
    if (result->err)
        log_warn("keyd: a write to %s failed: %s", w->erasure ? ERASURE_TOPIC : KEYRING_TOPIC,
                 *result->why.text ? result->why.text : err_text(result->err));
    w->fn(w->d, w->arg, result->err);
    keyring_records_free(&w->records);
    free(w);
}

static enum err submit(struct keyd *d, struct keyring_records *records, bool erasure, keyd_written_fn fn, void *arg)
{
    struct write *w = calloc(1, sizeof *w);
    enum err e = w ? ERR_OK : ERR_NO_MEMORY;
    if (w) {
        *w = (struct write){.d = d, .records = *records, .erasure = erasure, .fn = fn, .arg = arg};
        w->expected = erasure ? d->log.n : keyring_root(d->kr).epoch;
        *records = (struct keyring_records){0};
        e = ledger_submit(erasure ? d->erasures_ledger : d->keys_ledger, decide, written, w);
    }
    if (e) {
        keyring_records_free(w ? &w->records : records);
        free(w);
    }
    return e;
}

enum err keyd_write_keys(struct keyd *d, struct keyring_records *records, keyd_written_fn fn, void *arg)
{
    return submit(d, records, false, fn, arg);
}

/* ---- the protocol ---- */

static void retry_later(struct keyd *d)
{
    if (keyring_rotating(d->kr))
        keyring_rotation_abort(d->kr);
    loop_timer_start(&d->retry, KEYD_RETRY_MS);
}

static void work_written(struct keyd *d, void *arg, enum err e)
{
    (void)arg;
    d->work_busy = false;
    if (d->stopping)
        return;
    if (e)
        retry_later(d);
    else
        keyd_pump(d);
}

static void start_serving(struct keyd *d)
{
    struct reason why = {0};
    if (d->serving || !keyring_is_open(d->kr))
        return;
    if (keyd_listen(d, &why)) {
        keyd_fail(d, &why);
        return;
    }
    d->serving = true;
    struct keyring_counts n = keyring_counts(d->kr);
    log_info("keyd: serving %zu keys of %zu subjects, %zu erasures recorded, root epoch %u", n.live_keys, n.subjects,
             d->log.n, keyring_root(d->kr).epoch);
    if (d->opts.on_serving)
        d->opts.on_serving(d->opts.user);
}

/* One question; true: ask again at once. */
static bool step(struct keyd *d)
{
    struct keyring_output out;
    struct reason why = {0};
    if (keyring_step(&d->work, d->env->wall_ms(d->env), &out, &why)) {
        log_warn("keyd: %s", why.text);
        retry_later(d);
        return false;
    }
    switch (out.need) {
    case KEYRING_NEED_AGAIN:
        return true;
    case KEYRING_NEED_WRITE_KEYS:
    case KEYRING_NEED_WRITE_ERASURE:
        d->work_busy = true;
        if (submit(d, &out.records, out.need == KEYRING_NEED_WRITE_ERASURE, work_written, NULL)) {
            d->work_busy = false;
            retry_later(d);
        }
        return false;
    case KEYRING_NEED_NOTHING:
    case KEYRING_NEED_ACKS:
    case KEYRING_NEED_CREATES_SETTLED:
        return false;
    }
    return false;
}

void keyd_pump(struct keyd *d)
{
    if (!d->checked || d->fatal || d->stopping)
        return;
    while (!d->work_busy && step(d)) {
    }
    if (d->fatal)
        return;
    start_serving(d);
    keyd_push_erasures(d);
    keyd_settle_waiters(d);
    if (d->held && keyring_work_may_create(&d->work))
        keyd_release_held(d);
}

static void on_retry(void *arg)
{
    keyd_pump(arg);
}

static void on_tick(void *arg)
{
    keyd_push_check(arg);
}

/* ---- life ---- */

enum err keyd_new(struct keyd **out, struct loop *loop, const struct keyd_opts *opts, struct reason *why)
{
    struct keyd *d = calloc(1, sizeof *d);
    enum err e;
    *out = NULL;
    if (!d)
        return reason_set(why, ERR_NO_MEMORY, "no memory for the key process");
    d->opts = *opts;
    d->loop = loop;
    d->env = opts->env;
    d->next_client = 1;
    d->next_push = 1;
    d->started_ms = env_mono_ms(d->env);
    map_init(&d->creating);
    erasure_log_init(&d->log);
    loop_timer_init(&d->retry, loop, on_retry, d);
    loop_timer_init(&d->tick, loop, on_tick, d);
    loop_timer_init(&d->greeting, loop, keyd_on_greeting_timer, d);
    d->held_end = &d->held;
    d->data_door = (struct keyd_door){
        .d = d, .path = opts->socket_path, .caps = KEYD_CAP_DATA, .clients_max = KEYD_DATA_CLIENTS_MAX};
    d->admin_door = (struct keyd_door){
        .d = d, .path = opts->admin_socket_path, .caps = KEYD_CAP_ADMIN, .clients_max = KEYD_ADMIN_CLIENTS_MAX};
    d->kr = keyring_new(d->env);
    e = d->kr ? crypto_init(why) : reason_set(why, ERR_NO_MEMORY, "no locked memory for the keyring");
    if (!e)
        e = custody_file_open(&d->custody, opts->root_file, opts->mark_file, true, d->env, why);
    if (!e)
        e = receipt_signer_open(&d->signer, opts->signing_key_file, opts->public_key_file, why);
    if (!e) {
        keyring_work_init(&d->work, d->kr, &d->log, d->custody, &d->signer, d->env);
        e = open_ledger(d, KEYRING_TOPIC, &d->keys_ledger, apply_key, keys_ready, why);
    }
    if (!e)
        e = open_ledger(d, ERASURE_TOPIC, &d->erasures_ledger, apply_erasure, erasures_ready, why);
    if (e) {
        keyd_stop(d);
        keyd_free(d);
        return e;
    }
    *out = d;
    return ERR_OK;
}

void keyd_stop(struct keyd *d)
{
    d->stopping = true;
    loop_timer_stop(&d->retry);
    loop_timer_stop(&d->tick);
    loop_timer_stop(&d->greeting);
    ledger_close(d->keys_ledger);
    ledger_close(d->erasures_ledger);
    d->keys_ledger = d->erasures_ledger = NULL;
    for (struct keyd_client *c = d->clients; c; c = c->next)
        keyd_client_close(c, "the key process stops");
    keyd_drop_parked(d);
    keyd_close_doors(d);
    keyd_jobs_close(d);
}

void keyd_free(struct keyd *d)
{
    if (!d)
        return;
    while (d->waiters) {
        struct keyd_waiter *w = d->waiters;
        d->waiters = w->next;
        free(w);
    }
    keyd_push_free(d);
    map_free(&d->creating, NULL);
    keyring_work_free(&d->work);
    keyring_free(d->kr);
    erasure_log_free(&d->log);
    receipt_signer_close(&d->signer);
    custody_close(d->custody);
    free(d);
}
