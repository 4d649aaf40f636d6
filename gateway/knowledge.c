/* SPDX-License-Identifier: Apache-2.0
 * The keeper of what all workers know. Four ledger tables are applied into four mutable models under one lock; views
 * are references to snapshots of these, built when somebody wants one and something changed.
 *
 * Happy path: the tables are replayed (no snapshot is built meanwhile) -> the keeper's thread adds the bootstrap users
 * that are absent -> the view is built and `changed` called -> from then on, each burst of records is one rebuild and
 * one call. A change submitted here is announced before its done() runs, so that whoever hands the views on by posting
 * to a loop has posted the new one before it can post the answer.
 *
 * Failure: until all tables were read there is no view at all (a rule that denies may not have been read yet). A record
 * that cannot be understood is counted and skipped, except for policies, whose table then refuses the topic. When the
 * new view cannot be built or handed over for want of memory, the change is not answered; the keeper's thread tries
 * again, and ends the process when that does not help for KNOWLEDGE_TELL_MS_MAX: nobody may go on for long by rules
 * that were changed. A record that cannot be applied for want of memory ends it at once, as in the ledger itself.
 *
 * Locks: `lock` guards the models and snapshots; `announcing` is held around calls of `changed`, never inside `lock`.*/
#include "gateway/knowledge_internal.h"
#include "acl/acl_records.h"
#include "acl/quota_records.h"
#include "core/base/env.h"
#include "core/base/log.h"
#include "core/base/metrics.h"

#include <stdlib.h>
#include <time.h>

enum {
    COALESCE_MS = 3,           /* a burst of records is one rebuild */
    TELL_RETRY_MS = 20,        /* between tries to hand a view over */
    BOOTSTRAP_RETRY_MS = 1000, /* between tries to add the bootstrap users */
};

static const char *const topics[TABLES] = {"__castellan_acl", "__castellan_users", "__castellan_quotas", POLICY_TOPIC};

/* ---- Applying ---- */

static enum err apply_record(struct knowledge *k, enum knowledge_table t, const struct ledger_record *r,
                             struct reason *why)
{
    switch (t) {
    case TABLE_ACL:
        return acl_record_apply(k->acl, r->key, r->value, why);
    case TABLE_USERS:
        return users_apply(k->users, r->key, r->value, why);
    case TABLE_QUOTAS:
        return quota_record_apply(k->quotas, r->key, r->value, why);
    case TABLE_POLICIES:
        return policy_table_apply(k->policies, r->key, r->value, why);
    case TABLES:
        break;
    }
    return ERR_OK;
}

static void mark(struct knowledge *k, enum knowledge_table t)
{
    k->dirty[t] = true;
    k->unannounced = true;
    pthread_cond_signal(&k->wake);
}

static void on_apply(void *user, const struct ledger_record *r)
{
    struct knowledge_hook *h = user;
    struct knowledge *k = h->owner;
    struct reason why = {0};
    enum err err;

    pthread_mutex_lock(&k->lock);
    err = apply_record(k, h->table, r, &why);
    if (err == ERR_NO_MEMORY)
        abort(); /* a rule that denies must not be skipped */
    if (!err || h->table == TABLE_POLICIES)
        mark(k, h->table);
    pthread_mutex_unlock(&k->lock);
    if (err) {
        metric_add(k->bad_records, 1);
        log_warn("%s: the record at offset %lld is not understood: %s", topics[h->table], (long long)r->offset,
                 why.code ? why.text : err_text(err));
    }
}

static void on_read(void *user)
{
    struct knowledge_hook *h = user;

    pthread_mutex_lock(&h->owner->lock);
    h->owner->read[h->table] = true;
    mark(h->owner, h->table);
    pthread_mutex_unlock(&h->owner->lock);
}

static void on_reset(void *user)
{
    struct knowledge_hook *h = user;
    struct knowledge *k = h->owner;

    pthread_mutex_lock(&k->lock);
    switch (h->table) {
    case TABLE_ACL:
        acl_set_clear(k->acl);
        break;
    case TABLE_USERS:
        users_clear(k->users);
        break;
    case TABLE_QUOTAS:
        quota_table_clear(k->quotas);
        break;
    case TABLE_POLICIES:
        policy_table_clear(k->policies);
        break;
    case TABLES:
        break;
    }
    mark(k, h->table);
    pthread_mutex_unlock(&k->lock);
    log_warn("%s was recreated: its old content is forgotten", topics[h->table]);
}

/* ---- Snapshots; all under the lock ---- */

static enum err build_one(struct knowledge *k, enum knowledge_table t, struct reason *why)
{
    struct acl_snapshot *acl;
    struct users_snapshot *users;
    struct quota_snapshot *quotas;
    struct policy_set *policies;
    enum err err = ERR_OK;

    switch (t) {
    case TABLE_ACL:
        err = acl_snapshot_build(&acl, k->acl, &k->config.acl, why);
        if (!err) {
            acl_snapshot_unref(k->now.acl);
            k->now.acl = acl;
            k->now.rules++;
        }
        break;
    case TABLE_USERS:
        err = users_snapshot_build(&users, k->users);
        if (!err) {
            users_snapshot_unref(k->now.users);
            k->now.users = users;
        }
        break;
    case TABLE_QUOTAS:
        err = quota_snapshot_build(&quotas, k->quotas);
        if (!err) {
            quota_snapshot_unref(k->now.quotas);
            k->now.quotas = quotas;
        }
        break;
    case TABLE_POLICIES:
        policies = policy_table_snapshot(k->policies);
        err = policies ? ERR_OK : ERR_NO_MEMORY;
        if (!err) {
            policy_set_unref(k->now.policies);
            k->now.policies = policies;
        }
        break;
    case TABLES:
        break;
    }
    return err;
}

/* False unless every snapshot is as new as its model. */
static bool build(struct knowledge *k)
{
    bool complete = true;

    for (int t = 0; t < TABLES; t++) {
        struct reason why = {0};
        enum err err;

        if (!k->dirty[t])
            continue;
        err = build_one(k, (enum knowledge_table)t, &why);
        if (err) {
            log_error("%s: the new state cannot be used yet: %s", topics[t], why.code ? why.text : err_text(err));
            complete = false;
            continue;
        }
        k->dirty[t] = false;
    }
    return complete && k->now.acl && k->now.users && k->now.quotas && k->now.policies;
}

struct view *knowledge_view(struct knowledge *k)
{
    struct view *v;

    if (!knowledge_is_ready(k))
        return NULL;
    v = calloc(1, sizeof *v);
    if (!v)
        return NULL;
    pthread_mutex_lock(&k->lock);
    if (build(k)) {
        v->acl = acl_snapshot_ref(k->now.acl);
        v->users = users_snapshot_ref(k->now.users);
        v->quotas = quota_snapshot_ref(k->now.quotas);
        v->policies = policy_set_ref(k->now.policies);
        v->rules = k->now.rules;
    } else {
        free(v);
        v = NULL;
    }
    pthread_mutex_unlock(&k->lock);
    return v;
}

static void drop_view(struct view *v)
{
    acl_snapshot_unref(v->acl);
    users_snapshot_unref(v->users);
    quota_snapshot_unref(v->quotas);
    policy_set_unref(v->policies);
}

void view_free(struct view *v)
{
    if (!v)
        return;
    drop_view(v);
    free(v);
}

bool knowledge_is_ready(const struct knowledge *k)
{
    return atomic_load(&((struct knowledge *)(uintptr_t)k)->ready);
}

void knowledge_offsets(const struct knowledge *k, int64_t out[KNOWLEDGE_TABLES])
{
    for (int t = 0; t < TABLES; t++)
        out[t] = ledger_position(k->ledgers[t]);
}

const char *knowledge_topic(int table)
{
    return table >= 0 && table < TABLES ? topics[table] : NULL;
}

/* ---- Telling the owner ---- */

/* Under the lock. Ends the process when it has failed for too long. */
static void note_failure(struct knowledge *k)
{
    int64_t now_ms = env_mono_ms(env_system());

    k->unannounced = true;
    if (k->untold_since_ms == INT64_MAX)
        k->untold_since_ms = now_ms;
    if (now_ms - k->untold_since_ms < k->config.tell_ms_max)
        return;
    log_error("changed rules could not be handed to the workers for %lld ms: no memory; the process ends",
              (long long)(now_ms - k->untold_since_ms));
    abort();
}

bool knowledge_announce(struct knowledge *k)
{
    bool tell, told = true;

    pthread_mutex_lock(&k->announcing);
    pthread_mutex_lock(&k->lock);
    tell = k->unannounced && knowledge_is_ready(k);
    if (tell)
        k->unannounced = false;
    pthread_mutex_unlock(&k->lock);
    if (tell && k->changed)
        told = k->changed(k->changed_user) == ERR_OK;
    pthread_mutex_lock(&k->lock);
    if (!told)
        note_failure(k);
    else if (tell)
        k->untold_since_ms = INT64_MAX;
    pthread_cond_signal(&k->wake);
    pthread_mutex_unlock(&k->lock);
    pthread_mutex_unlock(&k->announcing);
    return told;
}

/* ---- The keeper's thread ---- */

static bool all_read(const struct knowledge *k)
{
    for (int t = 0; t < TABLES; t++)
        if (!k->read[t])
            return false;
    return true;
}

static void wait_ms(struct knowledge *k, int64_t ms) /* under the lock */
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    while (!k->stopping && pthread_cond_timedwait(&k->wake, &k->lock, &until) == 0)
        ;
}

/* True once everything was read and the first users are there; false: stopping. */
static bool become_ready(struct knowledge *k)
{
    bool done = false;

    pthread_mutex_lock(&k->lock);
    while (!k->stopping && !all_read(k))
        pthread_cond_wait(&k->wake, &k->lock);
    while (!k->stopping && !done) {
        done = knowledge_add_first_users(k);
        if (!done)
            wait_ms(k, BOOTSTRAP_RETRY_MS);
    }
    while (!k->stopping && !build(k))
        wait_ms(k, BOOTSTRAP_RETRY_MS);
    done = !k->stopping;
    pthread_mutex_unlock(&k->lock);
    return done;
}

static bool announce_and_finish(struct knowledge *k)
{
    struct submission *waiting = knowledge_take_untold(k);
    bool told = knowledge_announce(k);

    if (told)
        knowledge_finish_untold(waiting, ERR_OK);
    else
        knowledge_return_untold(k, waiting);
    return told;
}

static void *keep(void *arg)
{
    struct knowledge *k = arg;
    bool told;

    if (!become_ready(k))
        return NULL;
    log_info("the tables are read: %zu users, %zu rules, %zu quotas, %zu policies", users_snapshot_count(k->now.users),
             acl_snapshot_count(k->now.acl), quota_snapshot_count(k->now.quotas), policy_set_count(k->now.policies));
    atomic_store(&k->ready, true);
    pthread_mutex_lock(&k->lock);
    k->unannounced = true;
    while (!k->stopping) {
        if (!k->unannounced) {
            pthread_cond_wait(&k->wake, &k->lock);
            continue;
        }
        pthread_mutex_unlock(&k->lock);
        told = announce_and_finish(k);
        pthread_mutex_lock(&k->lock);
        wait_ms(k, told ? COALESCE_MS : TELL_RETRY_MS);
    }
    pthread_mutex_unlock(&k->lock);
    return NULL;
}

/* ---- Open and close ---- */

static enum err open_tables(struct knowledge *k, struct reason *why)
{
    for (int t = 0; t < TABLES; t++) {
        struct ledger_config c = {
            .topic = topics[t], .create = true, .keep = t == TABLE_USERS, .kafka = k->config.kafka};
        struct ledger_hooks hooks = {.user = &k->hooks[t], .apply = on_apply, .ready = on_read, .reset = on_reset};
        enum err err;

        k->hooks[t] = (struct knowledge_hook){k, (enum knowledge_table)t};
        err = k->config.memory ? ledger_memory_new(&k->ledgers[t], &c, &hooks, why)
                               : ledger_open(&k->ledgers[t], &c, &hooks, why);
        if (err)
            return err;
    }
    return ERR_OK;
}

static enum err init(struct knowledge *k, const struct knowledge_config *config, struct reason *why)
{
    pthread_condattr_t attr;

    pthread_mutex_init(&k->lock, NULL);
    pthread_mutex_init(&k->announcing, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&k->wake, &attr);
    pthread_condattr_destroy(&attr);
    k->config = *config;
    if (k->config.tell_ms_max <= 0)
        k->config.tell_ms_max = KNOWLEDGE_TELL_MS_MAX;
    k->untold_tail = &k->untold;
    k->untold_since_ms = INT64_MAX;
    if (!slice_is_null(config->acl.super_users)) {
        k->super_users = strndup((const char *)config->acl.super_users.p, config->acl.super_users.n);
        k->config.acl.super_users = slice_str(k->super_users);
    }
    k->bootstrap_file = config->bootstrap_scram_file ? strdup(config->bootstrap_scram_file) : NULL;
    k->acl = acl_set_new();
    k->users = users_new();
    k->quotas = quota_table_new();
    k->policies = policy_table_new();
    k->bad_records = metrics_counter("castellan_gateway_bad_table_records_total", NULL,
                                     "Records of the gateway's tables that were not understood.");
    if (!k->acl || !k->users || !k->quotas || !k->policies || (config->bootstrap_scram_file && !k->bootstrap_file))
        return reason_set(why, ERR_NO_MEMORY, "no memory for the tables");
    return ERR_OK;
}

enum err knowledge_open(struct knowledge **out, const struct knowledge_config *config, knowledge_changed_fn changed,
                        void *user, struct reason *why)
{
    struct knowledge *k = calloc(1, sizeof *k);
    enum err err;

    if (!k)
        return reason_set(why, ERR_NO_MEMORY, "no memory for the tables");
    k->changed = changed;
    k->changed_user = user;
    err = init(k, config, why);
    if (!err)
        err = open_tables(k, why);
    *out = k; /* `changed` may look there as soon as the thread runs */
    if (!err) {
        k->keeper_started = pthread_create(&k->keeper, NULL, keep, k) == 0;
        if (!k->keeper_started)
            err = reason_set(why, ERR_NO_MEMORY, "cannot start the tables' thread");
    }
    if (err) {
        knowledge_close(k);
        *out = NULL;
    }
    return err;
}

void knowledge_close(struct knowledge *k)
{
    if (!k)
        return;
    pthread_mutex_lock(&k->lock);
    k->stopping = true;
    pthread_cond_signal(&k->wake);
    pthread_mutex_unlock(&k->lock);
    if (k->keeper_started)
        pthread_join(k->keeper, NULL);
    for (int t = 0; t < TABLES; t++)
        ledger_close(k->ledgers[t]);
    knowledge_finish_untold(knowledge_take_untold(k), ERR_CANCELLED);
    knowledge_drop_first_users(&k->bootstrap);
    drop_view(&k->now);
    acl_set_free(k->acl);
    users_free(k->users);
    quota_table_free(k->quotas);
    policy_table_free(k->policies);
    pthread_cond_destroy(&k->wake);
    pthread_mutex_destroy(&k->announcing);
    pthread_mutex_destroy(&k->lock);
    free(k->super_users);
    free(k->bootstrap_file);
    free(k);
}
