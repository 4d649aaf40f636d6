/* SPDX-License-Identifier: Apache-2.0
 * The keeper of schemas. The ledger's reader thread applies `_schemas` to a store (registry/store.h) under the write
 * lock; workers look up under the read lock, and only what they have not seen yet. A schema is parsed and compiled at
 * its first use, under the read lock too, because its references are found in the store.
 *
 * Freshness: a producer may use an id the moment the registry gave it out, before the record arrived here. So an id
 * that is not known, or not in its subject, is not refused before a read barrier was passed: the sync thread asks the
 * cluster for the end of the topic and waits until it was read, once for all requests that wait at that time.
 *
 * Failure: records that are not understood are counted and skipped, as the registry does. While the cluster cannot be
 * reached, what is known stays in use and unknown ids are answered with a retriable error. */
#include "gateway/filter/schemas.h"
#include "core/base/log.h"
#include "core/base/metrics.h"
#include "core/ledger/ledger.h"
#include "registry/draft.h"

#include <pthread.h>
#include <stdlib.h>

enum { MODELS_KEPT = 64 }; /* parsed schemas kept for references; compiled ones hold their own */

struct waiter {
    struct waiter *next;
    schemas_synced_fn then;
    void *arg;
};

struct schemas {
    struct ledger *ledger;
    pthread_rwlock_t lock; /* store */
    struct store store;
    _Atomic uint64_t generation;
    struct model_cache *models;

    pthread_mutex_t compiled_lock;
    struct map compiled; /* id -> struct schema */

    pthread_mutex_t sync_lock;
    pthread_cond_t sync_wake;
    struct waiter *waiting;
    bool stopping, syncing_started;
    pthread_t syncing;
    struct metric *skipped;
};

/* ---- Following the topic ---- */

static void drop_compiled(struct schemas *s);

static void on_record(void *user, const struct ledger_record *r)
{
    struct schemas *s = user;
    struct reason why = {0};
    enum err err;

    pthread_rwlock_wrlock(&s->lock);
    err = store_apply(&s->store, r->key, r->value, r->timestamp_ms, &why);
    pthread_rwlock_unlock(&s->lock);
    atomic_fetch_add(&s->generation, 1);
    if (err) {
        metric_add(s->skipped, 1);
        log_debug("the schema record at offset %lld is skipped: %s", (long long)r->offset, why.text);
    }
}

static void on_reset(void *user)
{
    struct schemas *s = user;

    pthread_rwlock_wrlock(&s->lock);
    store_free(&s->store);
    store_init(&s->store, NULL);
    pthread_rwlock_unlock(&s->lock);
    drop_compiled(s);
    atomic_fetch_add(&s->generation, 1);
}

bool schemas_is_ready(const struct schemas *s)
{
    return s->ledger && ledger_is_ready(s->ledger);
}

uint64_t schemas_generation(const struct schemas *s)
{
    return atomic_load(&s->generation);
}

struct ledger *schemas_ledger(struct schemas *s)
{
    return s->ledger;
}

/* ---- The read barrier ---- */

static void *sync_main(void *arg)
{
    struct schemas *s = arg;

    pthread_mutex_lock(&s->sync_lock);
    while (!s->stopping || s->waiting) {
        struct waiter *w = s->waiting, *next;
        bool stopping = s->stopping;
        enum err err;

        if (!w) {
            pthread_cond_wait(&s->sync_wake, &s->sync_lock);
            continue;
        }
        s->waiting = NULL;
        pthread_mutex_unlock(&s->sync_lock);
        err = stopping ? ERR_CANCELLED : ledger_sync(s->ledger, SCHEMAS_SYNC_MS, NULL);
        for (; w; w = next) {
            next = w->next;
            w->then(w->arg, err);
            free(w);
        }
        pthread_mutex_lock(&s->sync_lock);
    }
    pthread_mutex_unlock(&s->sync_lock);
    return NULL;
}

enum err schemas_sync(struct schemas *s, schemas_synced_fn then, void *arg)
{
    struct waiter *w = calloc(1, sizeof *w);

    if (!w)
        return ERR_NO_MEMORY;
    w->then = then;
    w->arg = arg;
    pthread_mutex_lock(&s->sync_lock);
    if (s->stopping) {
        pthread_mutex_unlock(&s->sync_lock);
        free(w);
        return ERR_CANCELLED;
    }
    w->next = s->waiting;
    s->waiting = w;
    pthread_cond_signal(&s->sync_wake);
    pthread_mutex_unlock(&s->sync_lock);
    return ERR_OK;
}

/* ---- Compiled schemas ---- */

void schema_unref(struct schema *c)
{
    if (!c || atomic_fetch_sub(&c->refs, 1) != 1)
        return;
    avro_program_free(c->avro);
    rules_free(c->rules);
    model_unref(c->model);
    free(c);
}

static void unref_schema(void *p)
{
    schema_unref(p);
}

static void drop_compiled(struct schemas *s)
{
    pthread_mutex_lock(&s->compiled_lock);
    map_free(&s->compiled, unref_schema);
    pthread_mutex_unlock(&s->compiled_lock);
}

static struct slice id_key(const int32_t *id)
{
    return slice_of(id, sizeof *id);
}

static bool is_bare_bytes(const struct parsed_schema *p)
{
    struct buf text;
    bool yes;

    buf_init(&text, 0);
    yes = schema_canonical(p, &text) == ERR_OK && slice_eq_str(buf_slice(&text), "\"bytes\"");
    buf_free(&text);
    return yes;
}

static void warn_about_rules(const struct schema *c)
{
    for (size_t i = 0; i < rules_skipped(c->rules); i++)
        log_warn("schema %d: the rule %.*s is not enforced here: %s", (int)c->id,
                 SLICE_FMT(rules_skipped_name(c->rules, i)), rules_skipped_why(c->rules, i));
}

/* Under the read lock. */
static enum err compile(struct schemas *s, int32_t id, const struct content *content, struct schema **out,
                        struct reason *why)
{
    struct schema *c = calloc(1, sizeof *c);
    enum err err;

    if (!c)
        return reason_set(why, ERR_NO_MEMORY, "no memory for a schema");
    atomic_init(&c->refs, 1);
    c->id = id;
    memcpy(c->guid, content->guid, GUID_SIZE);
    c->type = content->type;
    err = work_model(s->models, &s->store, SLICE_NULL, content, &c->model, why);
    if (!err) {
        c->parsed = c->model->schema;
        c->record_name = schema_record_name(c->parsed);
        if (c->type == SCHEMA_AVRO) {
            err = avro_program_new(&c->avro, c->parsed, why);
            c->raw_bytes = is_bare_bytes(c->parsed);
        }
    }
    if (!err && !slice_is_null(content->rules)) {
        err = rules_compile(&c->rules, content->rules, RULES_WRITE, why);
        if (!err)
            warn_about_rules(c);
        if (!err && rules_count(c->rules) == 0) {
            rules_free(c->rules);
            c->rules = NULL;
        }
    }
    if (err)
        schema_unref(c);
    else
        *out = c;
    return err;
}

/* An id may come to mean something else when an operator forces it; the content tells. */
static struct schema *find_compiled(struct schemas *s, int32_t id, const struct content *content)
{
    struct schema *c;

    pthread_mutex_lock(&s->compiled_lock);
    c = map_get(&s->compiled, id_key(&id));
    if (c && memcmp(c->guid, content->guid, GUID_SIZE) != 0)
        c = NULL;
    if (c)
        atomic_fetch_add(&c->refs, 1);
    pthread_mutex_unlock(&s->compiled_lock);
    return c;
}

static void keep_compiled(struct schemas *s, struct schema *c)
{
    void *old = NULL;

    pthread_mutex_lock(&s->compiled_lock);
    if (map_count(&s->compiled) >= SCHEMAS_COMPILED_MAX)
        map_free(&s->compiled, unref_schema);
    atomic_fetch_add(&c->refs, 1);
    if (map_put(&s->compiled, id_key(&c->id), c, &old))
        old = c;
    schema_unref(old);
    pthread_mutex_unlock(&s->compiled_lock);
}

enum err schemas_find(struct schemas *s, const struct schema_id *id, struct schema **out, struct reason *why)
{
    struct slice context = slice_str(SUBJECT_DEFAULT_CONTEXT);
    const struct content *content;
    int32_t number = id->id;
    enum err err = ERR_OK;

    *out = NULL;
    pthread_rwlock_rdlock(&s->lock);
    content =
        id->is_guid ? store_by_guid(&s->store, context, id->guid, &number) : store_by_id(&s->store, context, number);
    if (!content)
        err = reason_set(why, ERR_NOT_FOUND, "no schema has that id");
    else if (!(*out = find_compiled(s, number, content))) {
        err = compile(s, number, content, out, why);
        if (!err)
            keep_compiled(s, *out);
    }
    pthread_rwlock_unlock(&s->lock);
    return err;
}

static bool has_live(const struct store *s, struct slice subject, int32_t id)
{
    const struct subject *u = store_subject(s, subject);

    for (size_t i = 0; u && i < u->n; i++)
        if (u->versions[i].id == id && !u->versions[i].deleted)
            return true;
    return false;
}

bool schemas_subject_has(struct schemas *s, struct slice subject, int32_t id)
{
    struct buf normal;
    bool yes;

    buf_init(&normal, 0);
    pthread_rwlock_rdlock(&s->lock);
    yes = has_live(&s->store, subject, id);
    if (!yes) {
        const json_t *alias = json_object_get(store_config(&s->store, subject), "alias");
        if (json_is_string(alias))
            subject_put_normal(&normal, slice_of(json_string_value(alias), json_string_length(alias)));
        yes = normal.n > 0 && has_live(&s->store, buf_slice(&normal), id);
    }
    pthread_rwlock_unlock(&s->lock);
    buf_free(&normal);
    return yes;
}

/* ---- Open and close ---- */

enum err schemas_open(struct schemas **out, const struct schemas_config *config, struct reason *why)
{
    struct schemas *s = calloc(1, sizeof *s);
    struct ledger_config c = {.topic = config->topic, .read_only = !config->memory, .kafka = config->kafka};
    struct ledger_hooks hooks = {.user = s, .apply = on_record, .reset = on_reset};
    enum err err;

    if (!s)
        return reason_set(why, ERR_NO_MEMORY, "no memory for schemas");
    pthread_rwlock_init(&s->lock, NULL);
    pthread_mutex_init(&s->compiled_lock, NULL);
    pthread_mutex_init(&s->sync_lock, NULL);
    pthread_cond_init(&s->sync_wake, NULL);
    store_init(&s->store, NULL);
    map_init(&s->compiled);
    s->skipped = metrics_counter("castellan_gateway_schema_records_skipped_total", NULL,
                                 "Records of the schemas' topic that were not understood.");
    s->models = model_cache_new(MODELS_KEPT);
    err = s->models ? ERR_OK : reason_set(why, ERR_NO_MEMORY, "no memory for schemas");
    if (!err)
        err =
            config->memory ? ledger_memory_new(&s->ledger, &c, &hooks, why) : ledger_open(&s->ledger, &c, &hooks, why);
    if (!err && pthread_create(&s->syncing, NULL, sync_main, s))
        err = reason_set(why, ERR_NO_MEMORY, "cannot start the schemas' thread");
    s->syncing_started = !err;
    if (err)
        schemas_close(s);
    else
        *out = s;
    return err;
}

void schemas_stop(struct schemas *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->sync_lock);
    s->stopping = true;
    pthread_cond_signal(&s->sync_wake);
    pthread_mutex_unlock(&s->sync_lock);
    if (s->syncing_started)
        pthread_join(s->syncing, NULL);
    s->syncing_started = false;
    ledger_close(s->ledger);
    s->ledger = NULL;
}

void schemas_close(struct schemas *s)
{
    if (!s)
        return;
    schemas_stop(s);
    drop_compiled(s);
    model_cache_free(s->models);
    store_free(&s->store);
    pthread_cond_destroy(&s->sync_wake);
    pthread_mutex_destroy(&s->sync_lock);
    pthread_mutex_destroy(&s->compiled_lock);
    pthread_rwlock_destroy(&s->lock);
    free(s);
}
