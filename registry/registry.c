/* SPDX-License-Identifier: Apache-2.0
 * The registry's process: settings, the ledger over `_schemas`, the state behind its lock, the listeners.
 *
 * Threads: HTTP threads read the store under the read lock; the ledger's reader applies committed records under the
 * write lock; the ledger's writer takes decisions on store + overlay under the read lock. The overlay belongs to the
 * writer alone. Order at start: ledgers, then wait until they are read, then listeners, then READY; so nobody is
 * answered from half a state. At stop: no new connections, and what is in flight gets a while to end well; then no new
 * changes, then the ledger (whatever still waits for a commit is answered), then the audit (whatever waits for its
 * record is), then the listeners, which must not have a connection that waits. */
#include "registry/registry.h"

#include "core/base/env.h"
#include "core/base/fs.h"
#include "core/base/heap.h"
#include "core/ledger/ledger_settings.h"
#include "core/base/log.h"
#include "core/base/metrics.h"
#include "core/base/ready.h"
#include "core/base/settings.h"
#include "registry/auth_settings.h"
#include "registry/http.h"
#include "registry/text_cache.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    MODELS_CACHED = 2000,
    START_LOG_MS = 10000,
    CLUSTER_ID_MS = 1000, /* the brokers have told it by then */
    START_LOOK_MS = 200,  /* how often start-up looks whether it is to stop */
    DRAIN_MS = 3000,      /* what requests in flight get to end well */
    FLUSH_MS = 2000,      /* what their answers get to go out */
};

static const struct setting_row rows[] = {
    {"listeners", SETTING_STRING, "http://localhost:8081", 0, 0, "where to serve: http:// and https:// addresses"},
    {"host.name", SETTING_STRING, NULL, 0, 0, "accepted for compatibility; not used"},
    {"kafkastore.bootstrap.servers", SETTING_STRING, NULL, 0, 0, "the cluster that holds the schemas"},
    {"kafkastore.topic", SETTING_STRING, "_schemas", 0, 0, "the topic that holds them"},
    {"kafkastore.topic.replication.factor", SETTING_INT, "3", 1, 100,
     "replicas of the topic when it is created, or as many as there are brokers"},
    {"kafkastore.timeout.ms", SETTING_INT, "15000", 100, 600000, "how long a change may take"},
    {"kafkastore.init.timeout.ms", SETTING_INT, NULL, 0, 3600000,
     "give up when the topic could not be read within this; unset: start-up waits for ever"},
    {"kafkastore.group.id", SETTING_STRING, NULL, 0, 0, "accepted for compatibility; no consumer group is used"},
    {"kafkastore.security.protocol", SETTING_STRING, NULL, 0, 0, "PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL"},
    {"kafkastore.ssl.keystore.type", SETTING_STRING, "PEM", 0, 0, "PEM"},
    {"kafkastore.ssl.keystore.location", SETTING_STRING, NULL, 0, 0, "key and certificate chain towards the brokers"},
    {"kafkastore.ssl.key.password", SETTING_PASSWORD, NULL, 0, 0, "password of that key"},
    {"kafkastore.ssl.truststore.type", SETTING_STRING, "PEM", 0, 0, "PEM"},
    {"kafkastore.ssl.truststore.location", SETTING_STRING, NULL, 0, 0, "the authority of the brokers' certificates"},
    {"kafkastore.ssl.endpoint.identification.algorithm", SETTING_STRING, "https", 0, 0,
     "https, or empty for no name check"},
    {"kafkastore.sasl.mechanism", SETTING_STRING, NULL, 0, 0, "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512"},
    {"kafkastore.sasl.username", SETTING_STRING, NULL, 0, 0, "SASL user towards the brokers"},
    {"kafkastore.sasl.password", SETTING_PASSWORD, NULL, 0, 0, "its password"},
    {"ssl.keystore.type", SETTING_STRING, "PEM", 0, 0, "PEM"},
    {"ssl.keystore.location", SETTING_STRING, NULL, 0, 0, "key and certificate chain of the https listeners"},
    {"ssl.truststore.type", SETTING_STRING, "PEM", 0, 0, "PEM"},
    {"ssl.truststore.location", SETTING_STRING, NULL, 0, 0, "the authority of clients' certificates"},
    {"ssl.enabled.protocols", SETTING_STRING, "TLSv1.2,TLSv1.3", 0, 0, "TLS versions of the https listeners"},
    {"ssl.client.authentication", SETTING_STRING, NULL, 0, 0, "NONE (default), REQUESTED, REQUIRED"},
    {"ssl.client.auth", SETTING_BOOL, NULL, 0, 0, "its older form: true is REQUIRED"},
    {"ssl.key.password", SETTING_PASSWORD, NULL, 0, 0, "password of that key"},
    AUTH_SETTING_ROWS,
    {"access.control.allow.origin", SETTING_STRING, NULL, 0, 0, "origins of pages that may use the registry; * is any"},
    {"access.control.allow.methods", SETTING_STRING, NULL, 0, 0, "what those may do (" CORS_METHODS ")"},
    {"access.control.allow.headers", SETTING_STRING, NULL, 0, 0, "headers those may send (" CORS_HEADERS ")"},
    {"access.control.expose.headers", SETTING_STRING, NULL, 0, 0, "headers of answers those may see"},
    {"leader.eligibility", SETTING_BOOL, NULL, 0, 0, "accepted for compatibility; every instance writes"},
    {"inter.instance.protocol", SETTING_STRING, NULL, 0, 0, "accepted for compatibility; instances do not talk"},
    {"debug", SETTING_BOOL, NULL, 0, 0, "accepted for compatibility; see log.level"},
    {"schema.registry.group.id", SETTING_STRING, "schema-registry", 0, 0, "name of this registry cluster"},
    {"schema.compatibility.level", SETTING_STRING, "backward", 0, 0, "level where nothing is configured"},
    {"mode.mutability", SETTING_BOOL, "true", 0, 0, "may modes be changed"},
    {"schema.reject.empty.subject", SETTING_BOOL, "false", 0, 0, "refuse the empty subject"},
    {"schema.search.default.limit", SETTING_INT, "1000", 1, INT32_MAX, "schemas in a list without limit"},
    {"schema.search.max.limit", SETTING_INT, "1000", 1, INT32_MAX, "most schemas in a list"},
    {"subject.search.default.limit", SETTING_INT, "20000", 1, INT32_MAX, "subjects in a list without limit"},
    {"subject.search.max.limit", SETTING_INT, "20000", 1, INT32_MAX, "most subjects in a list"},
    {"castellan.registry.compat.version", SETTING_STRING, "8.1", 0, 0, "whose answers: 7.9, 8.0, 8.1, 8.2"},
    {"castellan.registry.authentication", SETTING_STRING, NULL, 0, 0, "none: everybody may do everything (tests)"},
    {"idle.timeout.ms", SETTING_INT, "30000", 1000, 3600000,
     "a connection on which nothing moves is closed after that"},
    {"castellan.registry.body.timeout.ms", SETTING_INT, "300000", 100, 3600000,
     "how long a request's body may take to come"},
    {"castellan.registry.threads", SETTING_INT, "2", 1, 64, "HTTP threads for each listener"},
    {"castellan.registry.address.file", SETTING_STRING, NULL, 0, 0, "written with the addresses served, one a line"},
    AUDIT_SETTING_ROWS,
    {"castellan.ledger", SETTING_STRING, "kafka", 0, 0, "kafka; memory keeps nothing and is for tests"},
    {"log.level", SETTING_STRING, "info", 0, 0, "debug, info, warn, error"},
    {NULL, SETTING_STRING, NULL, 0, 0, NULL},
};

struct registry {
    struct settings *settings;
    struct api_settings api;
    struct rest_server rest;
    struct buf cluster_id;
    struct store store, overlay;
    bool overlay_used;
    pthread_rwlock_t lock;
    pthread_rwlock_t submit_lock; /* held while submitting, so that nothing is submitted to a closed ledger */
    atomic_bool stopping;
    atomic_bool serving;   /* the topic was read: what is wrong in it is set right once somebody writes */
    atomic_bool repairing; /* it is being set right */
    struct ledger *ledger;
    struct auth *auth;
    struct audit_log *audit;
    struct http *http;
    struct ledger_settings kafka;
    struct metric *records, *skipped;
};

/* --- the ledger's side --- */

static void repair(struct registry *g);

static void on_record(void *user, const struct ledger_record *r)
{
    struct registry *g = user;
    struct reason why;
    pthread_rwlock_wrlock(&g->lock);
    enum err e = store_apply(&g->store, r->key, r->value, r->timestamp_ms, &why);
    bool wants_repair = store_wants_repair(&g->store);
    pthread_rwlock_unlock(&g->lock);
    metric_add(g->records, 1);
    if (e) {
        metric_add(g->skipped, 1);
        log_warn("%s: record at offset %lld skipped: %s", settings_string(g->settings, "kafkastore.topic"),
                 (long long)r->offset, why.text);
    }
    if (wants_repair)
        repair(g);
}

static void on_reset(void *user)
{
    struct registry *g = user;
    pthread_rwlock_wrlock(&g->lock);
    const char *level = g->store.default_level;
    store_free(&g->store);
    store_init(&g->store, NULL);
    g->store.default_level = level;
    pthread_rwlock_unlock(&g->lock);
}

static void on_speculate(void *user, const struct ledger_record *r)
{
    struct registry *g = user;
    struct reason why;
    if (!r) {
        if (g->overlay_used)
            store_free(&g->overlay);
        g->overlay_used = false;
        return;
    }
    pthread_rwlock_rdlock(&g->lock);
    if (!g->overlay_used)
        store_init(&g->overlay, &g->store);
    g->overlay_used = true;
    if (store_apply(&g->overlay, r->key, r->value, r->timestamp_ms, &why))
        log_error("a record of ours is not understood: %s", why.text);
    pthread_rwlock_unlock(&g->lock);
}

struct submitted {
    struct registry *registry;
    struct change *change;
    void (*done)(void *ctx);
    void *done_ctx;
};

static void emit(void *ctx, struct slice key, struct slice value)
{
    ledger_view_emit(ctx, key, value);
}

static enum err decide(void *ctx, struct ledger_view *view)
{
    struct submitted *s = ctx;
    struct registry *g = s->registry;
    pthread_rwlock_rdlock(&g->lock);
    enum err e = change_decide(s->change, g->overlay_used ? &g->overlay : &g->store, &g->api, emit, view);
    pthread_rwlock_unlock(&g->lock);
    return e;
}

/* The reference's words; what it has none for when time runs out is a failure of the store like any other. */
static const struct failure_words {
    const char *timed_out, *failed;
} failure_words[] = {
    [CHANGE_REGISTER] = {"Register operation timed out",
                         "Register schema operation failed while writing to the Kafka store"},
    [CHANGE_DELETE_SUBJECT] = {"Delete subject operation timed out", "Error while deleting the subject"},
    [CHANGE_DELETE_VERSION] = {"Delete Schema Version operation timed out",
                               "Delete Schema Version operation failed while writing to the Kafka store"},
    [CHANGE_SET_CONFIG] = {NULL, "Failed to update compatibility level"},
    [CHANGE_DELETE_CONFIG] = {NULL, "Failed to delete compatibility level"},
    [CHANGE_SET_MODE] = {"Update mode operation timed out", "Failed to update mode"},
    [CHANGE_DELETE_MODE] = {NULL, "Failed to delete mode"},
    [CHANGE_DELETE_CONTEXT] = {NULL, "Error while deleting context"},
};

static void answer_failure(struct change *c, const struct ledger_result *r)
{
    const char *reason = r->why.text[0] ? r->why.text : err_text(r->err);
    struct failure_words words = {0};
    if ((size_t)c->kind < sizeof failure_words / sizeof *failure_words)
        words = failure_words[c->kind];
    if (r->err == ERR_MESSAGE_TOO_LARGE)
        (void)!answer_error(c->answer, API_TOO_LARGE, "Register operation failed because schema is too large");
    else if (r->err == ERR_TIMEOUT && words.timed_out)
        (void)!answer_error(c->answer, API_TIMEOUT, "%s: %s", words.timed_out, reason);
    else
        (void)!answer_error(c->answer, API_STORE, "%s: %s", words.failed ? words.failed : "Error in the backend store",
                            reason);
}

static void decided(void *ctx, const struct ledger_result *r)
{
    struct submitted *s = ctx;
    if (r->err && !(r->err == ERR_CONFLICT && s->change->answer->error_code))
        answer_failure(s->change, r);
    s->done(s->done_ctx);
    free(s);
}

static void submit(void *ctx, struct change *c, void (*done)(void *ctx), void *done_ctx)
{
    struct registry *g = ctx;
    struct submitted *s = calloc(1, sizeof *s);
    enum err e = s ? ERR_OK : ERR_NO_MEMORY;
    pthread_rwlock_rdlock(&g->submit_lock);
    if (!e && g->stopping)
        e = ERR_CANCELLED;
    if (!e) {
        *s = (struct submitted){g, c, done, done_ctx};
        e = ledger_submit(g->ledger, decide, decided, s);
    }
    pthread_rwlock_unlock(&g->submit_lock);
    if (e) {
        struct ledger_result r = {.err = e};
        free(s);
        answer_failure(c, &r);
        done(done_ctx);
    }
}

static enum err decide_repair(void *ctx, struct ledger_view *view)
{
    struct registry *g = ctx;
    pthread_rwlock_rdlock(&g->lock);
    store_repair(g->overlay_used ? &g->overlay : &g->store, emit, view);
    pthread_rwlock_unlock(&g->lock);
    return ERR_OK;
}

static void repaired(void *ctx, const struct ledger_result *r)
{
    struct registry *g = ctx;
    if (!r->err && r->first_offset >= 0)
        log_warn(
            "%s: records of other writers were overwritten, from offset %lld on: ids stand for one schema, deleted "
            "schemas stay deleted",
            settings_string(g->settings, "kafkastore.topic"), (long long)r->first_offset);
    g->repairing = false;
}

/* Another writer left records that must not stand (store_foreign.c). A topic that is only looked at is left as it is:
 * they begin to matter when something is written behind them. */
static void repair(struct registry *g)
{
    if (!g->serving || atomic_exchange(&g->repairing, true))
        return;
    pthread_rwlock_rdlock(&g->submit_lock);
    if (g->stopping || ledger_submit(g->ledger, decide_repair, repaired, g))
        g->repairing = false;
    pthread_rwlock_unlock(&g->submit_lock);
}

static bool is_ready(void *ctx)
{
    struct registry *g = ctx;
    return !g->stopping && ledger_is_ready(g->ledger) && auth_is_ready(g->auth);
}

/* --- settings --- */

static void read_kafka(struct registry *g)
{
    const struct settings *s = g->settings;

    ledger_settings_cluster(&g->kafka, s, "kafkastore.bootstrap.servers", "kafkastore.");
    ledger_settings_put(&g->kafka, "sasl.mechanism", settings_string(s, "kafkastore.sasl.mechanism"));
    ledger_settings_put(&g->kafka, "sasl.username", settings_string(s, "kafkastore.sasl.username"));
    ledger_settings_put(&g->kafka, "sasl.password", settings_string(s, "kafkastore.sasl.password"));
}

static enum err read_level(struct registry *g, struct reason *why)
{
    enum compat_level level;
    const char *text = settings_string(g->settings, "schema.compatibility.level");
    if (!compat_level_parse(slice_str(text), &level))
        return reason_set(why, ERR_BAD_CONFIG, "schema.compatibility.level: '%s' is no compatibility level", text);
    g->store.default_level = compat_level_name(level);
    return ERR_OK;
}

static enum err read_api(struct registry *g, struct reason *why)
{
    static const char *const shapes[] = {"7.9", "8.0", "8.1", "8.2"};
    const struct settings *s = g->settings;
    const char *shape = settings_string(s, "castellan.registry.compat.version");
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        if (!strcmp(shape, shapes[i]))
            g->api.shape = 79 + (int)i;
    if (!g->api.shape)
        return reason_set(why, ERR_BAD_CONFIG, "castellan.registry.compat.version: '%s' is not one of 7.9 8.0 8.1 8.2",
                          shape);
    g->api.mode_mutability = settings_bool(s, "mode.mutability");
    g->api.reject_empty_subject = settings_bool(s, "schema.reject.empty.subject");
    g->api.schema_limit_default = (int)settings_int(s, "schema.search.default.limit");
    g->api.schema_limit_max = (int)settings_int(s, "schema.search.max.limit");
    g->api.list_limit_default = settings_has(s, "subject.search.default.limit")
                                    ? (int)settings_int(s, "subject.search.default.limit")
                                    : INT32_MAX;
    g->api.list_limit_max = (int)settings_int(s, "subject.search.max.limit");
    g->api.models = model_cache_new(MODELS_CACHED);
    g->api.texts = text_cache_new();
    return g->api.models && g->api.texts ? read_level(g, why) : reason_set(why, ERR_NO_MEMORY, "out of memory");
}

static bool is_memory(const struct registry *g)
{
    return !strcmp(settings_string(g->settings, "castellan.ledger"), "memory");
}

static enum err open_ledger(struct registry *g, struct reason *why)
{
    struct ledger_config config = {
        .topic = settings_string(g->settings, "kafkastore.topic"),
        .create = true,
        .replication_factor = (int)settings_int(g->settings, "kafkastore.topic.replication.factor"),
        .check_policy = true,
        .check_partitions = true,
        .submit_timeout_ms = (int)settings_int(g->settings, "kafkastore.timeout.ms"),
        .kafka = g->kafka.words,
    };
    struct ledger_hooks hooks = {.user = g, .apply = on_record, .reset = on_reset, .speculate = on_speculate};
    if (is_memory(g)) {
        log_warn("castellan.ledger=memory: schemas are lost at exit; for tests only");
        return ledger_memory_new(&g->ledger, &config, &hooks, why);
    }
    if (!settings_has(g->settings, "kafkastore.bootstrap.servers"))
        return reason_set(why, ERR_BAD_CONFIG, "kafkastore.bootstrap.servers is missing");
    return ledger_open(&g->ledger, &config, &hooks, why);
}

static enum err open_auth(struct registry *g, struct reason *why)
{
    const char *choice = settings_string(g->settings, "castellan.registry.authentication");
    struct auth_config config = {.memory = is_memory(g), .kafka = g->kafka.words};
    if (choice && !strcmp(choice, "none")) {
        log_warn("castellan.registry.authentication=none: EVERYBODY MAY READ AND CHANGE EVERY SCHEMA; for tests only");
        return ERR_OK;
    }
    enum err e = auth_config_read(&config, g->settings, why);
    return e ? e : auth_new(&g->auth, &config, why);
}

static bool told_to_stop(void)
{
    sigset_t pending;
    sigpending(&pending);
    return sigismember(&pending, SIGTERM) || sigismember(&pending, SIGINT);
}

/* ERR_CANCELLED: a signal came first; it is left pending. */
static enum err wait_ready(struct registry *g, struct reason *why)
{
    struct env *env = env_system();
    int64_t start = env_mono_ms(env), said = start;
    int64_t limit = settings_has(g->settings, "kafkastore.init.timeout.ms")
                        ? settings_int(g->settings, "kafkastore.init.timeout.ms")
                        : INT64_MAX;
    for (;;) {
        enum err e = ledger_wait_ready(g->ledger, START_LOOK_MS, why);
        const char *what = settings_string(g->settings, "kafkastore.topic");
        if (!e && g->auth) {
            e = auth_wait_ready(g->auth, START_LOOK_MS, why);
            what = "the topics of users and rules";
        }
        int64_t now = env_mono_ms(env);
        if (e != ERR_TIMEOUT)
            return e;
        if (told_to_stop())
            return ERR_CANCELLED;
        if (now - start >= limit)
            return reason_set(why, ERR_TIMEOUT, "%s: not read within kafkastore.init.timeout.ms=%lld", what,
                              (long long)limit);
        if (now - said >= START_LOG_MS) {
            log_warn("still waiting for %s", what);
            said = now;
        }
    }
}

static enum err start_http(struct registry *g, struct reason *why)
{
    const struct settings *s = g->settings;
    struct http_config config = {
        .listeners = settings_string(s, "listeners"),
        .keystore = settings_string(s, "ssl.keystore.location"),
        .truststore = settings_string(s, "ssl.truststore.location"),
        .protocols = settings_string(s, "ssl.enabled.protocols"),
        .threads = (unsigned)settings_int(s, "castellan.registry.threads"),
        .idle_seconds = (unsigned)((settings_int(s, "idle.timeout.ms") + 999) / 1000),
        .body_ms = (unsigned)settings_int(s, "castellan.registry.body.timeout.ms"),
        .realm = settings_string(s, "authentication.realm"),
        .key_password = settings_string(s, "ssl.key.password"),
        .cors = {settings_string(s, "access.control.allow.origin"), settings_string(s, "access.control.allow.methods"),
                 settings_string(s, "access.control.allow.headers"),
                 settings_string(s, "access.control.expose.headers")},
        .auth = g->auth,
        .audit = g->audit,
        .rest = &g->rest,
        .lock = &g->lock,
        .submit = submit,
        .submit_ctx = g,
    };
    ledger_cluster_id(g->ledger, CLUSTER_ID_MS, &g->cluster_id);
    g->rest = (struct rest_server){
        &g->store, &g->api, buf_slice(&g->cluster_id), slice_str(settings_string(s, "schema.registry.group.id")),
        is_ready,  g};
    enum err e = http_client_auth_parse(settings_string(s, "ssl.client.authentication"),
                                        settings_string(s, "ssl.client.auth"), &config.client_auth, why);
    if (!e && config.client_auth != CLIENT_AUTH_NONE && !config.truststore)
        e = reason_set(why, ERR_BAD_CONFIG, "client certificates need ssl.truststore.location");
    return e ? e : http_start(&g->http, &config, why);
}

static enum err tell_addresses(struct registry *g, struct reason *why)
{
    const char *path = settings_string(g->settings, "castellan.registry.address.file");
    struct buf b;
    buf_init(&b, 0);
    for (size_t i = 0; http_address(g->http, i); i++) {
        log_info("serving at %s", http_address(g->http, i));
        buf_printf(&b, "%s\n", http_address(g->http, i));
    }
    enum err e = path ? fs_write_file(path, buf_slice(&b), 0644, why) : ERR_OK;
    buf_free(&b);
    return e;
}

static enum err registry_start(struct registry *g, struct reason *why)
{
    read_kafka(g);
    enum err e = read_api(g, why);
    if (!e)
        e = open_ledger(g, why);
    if (!e)
        e = open_auth(g, why);
    if (!e)
        e = wait_ready(g, why);
    if (!e)
        e = audit_log_open_settings(&g->audit, "registry", g->settings, is_memory(g) ? NULL : g->kafka.words, why);
    if (!e) {
        g->serving = true;
        e = start_http(g, why);
    }
    if (!e)
        e = tell_addresses(g, why);
    return e;
}

static void registry_stop(struct registry *g)
{
    http_drain(g->http, DRAIN_MS);
    pthread_rwlock_wrlock(&g->submit_lock);
    g->stopping = true;
    pthread_rwlock_unlock(&g->submit_lock);
    ledger_close(g->ledger); /* what still waits is answered now */
    audit_log_stop(g->audit);
    http_drain(g->http, FLUSH_MS);
    http_stop(g->http);
    audit_log_free(g->audit);
    auth_free(g->auth);
    if (g->overlay_used)
        store_free(&g->overlay);
    store_free(&g->store);
    model_cache_free(g->api.models);
    text_cache_free(g->api.texts);
    buf_free(&g->cluster_id);
    pthread_rwlock_destroy(&g->lock);
    pthread_rwlock_destroy(&g->submit_lock);
    settings_free(g->settings);
}

static void set_log_level(const struct settings *s)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    for (int i = 0; i < 4; i++)
        if (!strcasecmp(settings_string(s, "log.level"), names[i]))
            log_set_level((enum log_level)i);
}

/* Records must get in between requests: glibc's default would let a row of long reads keep them out for ever. */
static void lock_init(pthread_rwlock_t *lock)
{
    pthread_rwlockattr_t attr;
    pthread_rwlockattr_init(&attr);
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(lock, &attr);
    pthread_rwlockattr_destroy(&attr);
}

int registry_main(const char *config_path)
{
    struct registry g = {0};
    struct reason why = {0};
    sigset_t stop;
    int sig = 0, status = 0;
    log_set_role("registry");
    if (settings_load(&g.settings, config_path, rows, &why)) {
        log_error("%s", why.text);
        return 2;
    }
    set_log_level(g.settings);
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    pthread_sigmask(SIG_BLOCK, &stop, NULL); /* before any thread is made */
    signal(SIGPIPE, SIG_IGN);
    heap_keep_frames(); /* the whole topic comes through in fetches of a megabyte */
    lock_init(&g.lock);
    pthread_rwlock_init(&g.submit_lock, NULL);
    store_init(&g.store, NULL);
    g.records = metrics_counter("castellan_registry_records_total", NULL, "Records of the schemas topic applied");
    g.skipped = metrics_counter("castellan_registry_records_skipped_total", NULL, "Records not understood");
    enum err e = registry_start(&g, &why);
    if (e == ERR_CANCELLED && told_to_stop()) {
        log_info("stopping before it was ready");
    } else if (e) {
        log_error("%s", why.text);
        status = e == ERR_BAD_CONFIG ? 2 : 1;
    } else {
        ready_notify();
        heap_give_back();
        sigwait(&stop, &sig);
        log_info("stopping");
    }
    registry_stop(&g);
    return status;
}
