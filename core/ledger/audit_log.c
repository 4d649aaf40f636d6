/* SPDX-License-Identifier: Apache-2.0
 * The writer of the audit.
 *
 * Happy path: audit_log_put() seals the record under the lock and appends it to the queue; the thread produces whatever
 * was not sent yet, in order, and takes records off the front as the cluster acknowledges them.
 * Failures: librdkafka tries for ever (message.timeout.ms=0) and keeps the order. A fatal producer error (the broker no
 * longer knows the producer's sequence) drops the producer; a new one is given everything not acknowledged again, so a
 * record may be written twice, identical, and never out of order. An unreachable cluster fills the queue; then records
 * are lost, which is counted, logged, and recorded by the next record that fits.
 * Locking: `lock` guards the queue and the chain. The thread alone touches the producer, except for the yield that
 * wakes its poll. Callbacks are called without the lock. */
#include "core/ledger/audit_log.h"

#include "core/base/env.h"
#include "core/base/log.h"
#include "core/base/metrics.h"
#include "core/ledger/ledger_internal.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { POLL_MS = 100, RETRY_MS = 500, ADMIN_MS = 2000, LATE_AT_ONCE = 64, SAY_LOST_MS = 10000 };

struct waiter { /* somebody who is told */
    void (*done)(void *ctx);
    void *ctx;
};

struct item {
    struct item *next;
    struct waiter waiter;
    int64_t deadline_ms; /* monotonic: when the waiter is told at the latest */
    bool sent, acked;
    size_t n;
    char bytes[];
};

struct audit_log {
    char *role, *retention_ms;
    char **kafka; /* owned copies, NULL-terminated; NULL: to the process's log */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct audit_chain chain;
    struct buf scratch;
    struct item *head, **tail;
    size_t queued, bytes;
    int64_t lost;                          /* since the last record that fit */
    int64_t say_lost_ms;                   /* monotonic: not before */
    int64_t strangers_milli, strangers_ms; /* a bucket for authentication records: thousandths left, when */
    bool closing, stopped;
    int64_t stop_ms; /* monotonic: when the thread gives up */
    pthread_t thread;
    bool started;
    rd_kafka_t *producer;    /* the thread's; set and cleared under the lock */
    rd_kafka_queue_t *queue; /* what its poll waits on */
    atomic_bool broken;
    bool topic_known;
    bool said, refused; /* so that one trouble is one line */
    struct metric *written, *lost_total, *late, *waiting;
};

static int64_t now_ms(void)
{
    return env_mono_ms(env_system());
}

static void tell(struct waiter *w)
{
    void (*done)(void *ctx) = w->done;
    w->done = NULL;
    if (done)
        done(w->ctx);
}

/* --- putting --- */

/* Locked. Seals and queues; false: there is no room, or no memory. */
static bool append(struct audit_log *l, const struct audit_entry *e, void (*done)(void *ctx), void *ctx)
{
    struct audit_entry filled = *e;
    filled.role = l->role;
    filled.time_ms = env_system()->wall_ms(env_system());
    if (l->queued >= AUDIT_QUEUE_MAX || l->bytes >= AUDIT_QUEUE_BYTES_MAX)
        return false;
    struct audit_chain before = l->chain;
    if (audit_seal(&l->chain, &filled, &l->scratch))
        return false;
    struct item *i = calloc(1, sizeof *i + l->scratch.n);
    if (!i) {
        l->chain = before;
        return false;
    }
    i->waiter = (struct waiter){done, ctx};
    i->deadline_ms = now_ms() + AUDIT_WAIT_MS;
    i->n = l->scratch.n;
    memcpy(i->bytes, l->scratch.p, i->n);
    *l->tail = i;
    l->tail = &i->next;
    l->queued++;
    l->bytes += i->n;
    metric_set(l->waiting, (int64_t)l->queued);
    return true;
}

static bool append_after_loss(struct audit_log *l, const struct audit_entry *e, void (*done)(void *ctx), void *ctx)
{
    struct audit_entry loss = {.event = AUDIT_LOST, .outcome = AUDIT_FAILED, .lost = l->lost};
    if (l->lost && !append(l, &loss, NULL, NULL))
        return false;
    l->lost = 0;
    return append(l, e, done, ctx);
}

/* No cluster: one line of the log is the record. */
static void say(struct audit_log *l, const struct audit_entry *e)
{
    struct audit_entry filled = *e;
    filled.role = l->role;
    filled.time_ms = env_system()->wall_ms(env_system());
    pthread_mutex_lock(&l->lock);
    if (!audit_seal(&l->chain, &filled, &l->scratch))
        log_info("audit: %s", buf_cstr(&l->scratch));
    pthread_mutex_unlock(&l->lock);
}

/* Locked. */
static bool strangers_may(struct audit_log *l)
{
    int64_t now = now_ms(), full = AUDIT_STRANGERS_BURST * INT64_C(1000);
    l->strangers_milli += (now - l->strangers_ms) * AUDIT_STRANGERS_RATE;
    l->strangers_ms = now;
    if (l->strangers_milli > full)
        l->strangers_milli = full;
    if (l->strangers_milli < 1000)
        return false;
    l->strangers_milli -= 1000;
    return true;
}

/* Locked. Not more than a line in a while, whatever goes on. */
static void say_lost(struct audit_log *l, const char *why)
{
    int64_t now = now_ms();
    if (now < l->say_lost_ms)
        return;
    l->say_lost_ms = now + SAY_LOST_MS;
    log_error("audit: %s: not all is recorded", why);
}

static const char *keep(struct audit_log *l, const struct audit_entry *e, void (*done)(void *ctx), void *ctx)
{
    if (l->closing)
        return "the audit is closed";
    if (e->event == AUDIT_AUTHENTICATION && !strangers_may(l))
        return "too many failed authentications";
    return append_after_loss(l, e, done, ctx) ? NULL : "the queue is full";
}

void audit_log_put(struct audit_log *l, const struct audit_entry *e, void (*done)(void *ctx), void *ctx)
{
    bool kept = false;
    if (l && !l->kafka) {
        say(l, e);
    } else if (l) {
        pthread_mutex_lock(&l->lock);
        const char *why = keep(l, e, done, ctx);
        kept = !why;
        if (why) {
            l->lost++;
            say_lost(l, why);
            metric_add(l->lost_total, 1);
        }
        pthread_cond_signal(&l->changed);
        if (l->queue)
            rd_kafka_queue_yield(l->queue);
        pthread_mutex_unlock(&l->lock);
    }
    if (!kept && done)
        done(ctx);
}

/* --- the producer --- */

static void on_log(const rd_kafka_t *rk, int level, const char *fac, const char *text)
{
    (void)rk, (void)level;
    log_debug("audit: librdkafka %s: %s", fac, text);
}

static void on_error(rd_kafka_t *rk, int code, const char *text, void *opaque)
{
    struct audit_log *l = opaque;
    (void)rk;
    log_debug("audit: %s", text);
    if (code == RD_KAFKA_RESP_ERR__FATAL)
        atomic_store(&l->broken, true);
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    struct audit_log *l = opaque;
    struct item *i = m->_private;
    (void)rk;
    if (m->err) {
        if (!l->refused)
            log_error("audit: a record was not accepted, all not accepted yet are sent again: %s",
                      rd_kafka_err2str(m->err));
        l->refused = true;
        atomic_store(&l->broken, true);
        return;
    }
    l->refused = false;
    i->acked = true;
    metric_add(l->written, 1);
}

static enum err producer_new(struct audit_log *l, rd_kafka_t **out, struct reason *why)
{
    static const char *const fixed[] = {
        "client.id", "castellan-audit", "acks", "all", "enable.idempotence", "true",
        /* what follows a refused record must not be taken before it: a chain has no gaps */
        "enable.gapless.guarantee", "true", "max.in.flight", "1", "linger.ms", "0", "message.timeout.ms", "0",
        "reconnect.backoff.max.ms", "1000", "topic.metadata.refresh.sparse", "true", "log.connection.close", "false",
        NULL};
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    const char *const *lists[] = {fixed, (const char *const *)l->kafka};
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; lists[k][i] && lists[k][i + 1]; i += 2)
            if (rd_kafka_conf_set(conf, lists[k][i], lists[k][i + 1], text, sizeof text) != RD_KAFKA_CONF_OK) {
                rd_kafka_conf_destroy(conf);
                return reason_set(why, ERR_BAD_CONFIG, "%s: %s", lists[k][i], text);
            }
    rd_kafka_conf_set_opaque(conf, l);
    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    *out = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    if (*out)
        return ERR_OK;
    rd_kafka_conf_destroy(conf);
    return reason_set(why, ERR_BAD_CONFIG, "%s", text);
}

static void drop_producer(struct audit_log *l)
{
    rd_kafka_t *rk = l->producer;
    if (!rk)
        return;
    rd_kafka_purge(rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_queue_poll(l->queue, 0);
    rd_kafka_poll(rk, 0); /* deliveries that were reported before count */
    pthread_mutex_lock(&l->lock);
    rd_kafka_queue_destroy(l->queue);
    l->queue = NULL;
    l->producer = NULL;
    for (struct item *i = l->head; i; i = i->next)
        i->sent = false;
    pthread_mutex_unlock(&l->lock);
    rd_kafka_destroy(rk);
    atomic_store(&l->broken, false);
}

/* All topics are asked for, because asking for one may create it, with the broker's settings instead of ours. */
static enum err find_topic(rd_kafka_t *rk, bool *found, struct reason *why)
{
    const struct rd_kafka_metadata *m = NULL;
    rd_kafka_resp_err_t code = rd_kafka_metadata(rk, 1, NULL, &m, ADMIN_MS);
    *found = false;
    if (code)
        return reason_set(why, ERR_UNAVAILABLE, "%s", rd_kafka_err2str(code));
    for (int i = 0; i < m->topic_cnt; i++)
        *found = *found || !strcmp(m->topics[i].topic, AUDIT_TOPIC);
    rd_kafka_metadata_destroy(m);
    return ERR_OK;
}

static enum err ensure_topic(struct audit_log *l, struct reason *why)
{
    const struct ledger_topic topic = {AUDIT_TOPIC, 1, "delete", l->retention_ms, 0};
    bool found, fatal = false;
    enum err e = find_topic(l->producer, &found, why);
    if (!e && !found)
        e = ledger_topic_create(l->producer, &topic, ADMIN_MS, &fatal, why);
    l->topic_known = !e;
    return e;
}

static enum err ensure_producer(struct audit_log *l, struct reason *why)
{
    if (!l->producer) {
        rd_kafka_t *rk = NULL;
        enum err e = producer_new(l, &rk, why);
        if (e)
            return e;
        pthread_mutex_lock(&l->lock);
        l->producer = rk;
        l->queue = rd_kafka_queue_get_main(rk);
        pthread_mutex_unlock(&l->lock);
    }
    return l->topic_known ? ERR_OK : ensure_topic(l, why);
}

/* --- the thread --- */

/* Everything not sent yet, in order. The items stay in the queue; only this thread takes them off. */
static void send_all(struct audit_log *l)
{
    pthread_mutex_lock(&l->lock);
    for (struct item *i = l->head; i; i = i->next) {
        if (i->sent)
            continue;
        rd_kafka_resp_err_t code =
            rd_kafka_producev(l->producer, RD_KAFKA_V_TOPIC(AUDIT_TOPIC), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                              RD_KAFKA_V_KEY(l->chain.writer, strlen(l->chain.writer)),
                              RD_KAFKA_V_VALUE(i->bytes, i->n), RD_KAFKA_V_OPAQUE(i), RD_KAFKA_V_END);
        if (code) /* its queue is full, or it is done for: the deliveries will tell */
            break;
        i->sent = true;
    }
    pthread_mutex_unlock(&l->lock);
}

/* Takes off what was acknowledged; the list of it, for the caller to free. */
static struct item *take_acked(struct audit_log *l)
{
    struct item *gone = NULL, **end = &gone;
    pthread_mutex_lock(&l->lock);
    while (l->head && l->head->acked) {
        struct item *i = l->head;
        l->head = i->next;
        l->queued--;
        l->bytes -= i->n;
        i->next = NULL;
        *end = i;
        end = &i->next;
    }
    if (!l->head)
        l->tail = &l->head;
    metric_set(l->waiting, (int64_t)l->queued);
    pthread_mutex_unlock(&l->lock);
    return gone;
}

/* The callbacks of records that have waited long enough; 0 when there are none left. */
static size_t call_late(struct audit_log *l)
{
    struct waiter late[LATE_AT_ONCE];
    size_t n = 0;
    int64_t now = now_ms();
    pthread_mutex_lock(&l->lock);
    for (struct item *i = l->head; i && i->deadline_ms <= now && n < LATE_AT_ONCE; i = i->next)
        if (i->waiter.done) {
            late[n++] = i->waiter;
            i->waiter.done = NULL;
        }
    pthread_mutex_unlock(&l->lock);
    metric_add(l->late, (int64_t)n);
    for (size_t i = 0; i < n; i++)
        tell(&late[i]);
    return n;
}

static void settle(struct audit_log *l)
{
    struct item *gone = take_acked(l);
    while (gone) {
        struct item *i = gone;
        gone = i->next;
        tell(&i->waiter);
        free(i);
    }
    while (call_late(l))
        ;
}

static void wait_for_work(struct audit_log *l)
{
    pthread_mutex_lock(&l->lock);
    while (!l->head && !l->closing)
        pthread_cond_wait(&l->changed, &l->lock);
    pthread_mutex_unlock(&l->lock);
}

static bool is_over(struct audit_log *l)
{
    pthread_mutex_lock(&l->lock);
    bool over = l->closing && (!l->head || now_ms() >= l->stop_ms);
    pthread_mutex_unlock(&l->lock);
    return over;
}

static void pause_before_retry(struct audit_log *l)
{
    const struct timespec step = {.tv_nsec = POLL_MS * 1000000L};
    for (int i = 0; i < RETRY_MS / POLL_MS && !is_over(l); i++) {
        nanosleep(&step, NULL);
        settle(l);
    }
}

static void *run(void *arg)
{
    struct audit_log *l = arg;
    while (!is_over(l)) {
        struct reason why = {0};
        wait_for_work(l);
        enum err e = ensure_producer(l, &why);
        if (e) {
            if (!l->said)
                log_error("audit: cannot write yet, records wait (at most %d): %s", AUDIT_QUEUE_MAX, why.text);
            l->said = true;
            pause_before_retry(l);
            continue;
        }
        if (l->said)
            log_info("audit: can be written again");
        l->said = false;
        send_all(l);
        rd_kafka_poll(l->producer, POLL_MS); /* ends early at a delivery, or when something is put */
        settle(l);
        if (atomic_load(&l->broken)) {
            drop_producer(l);
            pause_before_retry(l);
        }
    }
    drop_producer(l);
    settle(l);
    return NULL;
}

/* --- life --- */

static enum err copy_settings(struct audit_log *l, const char *const *kafka)
{
    size_t n = 0;
    while (kafka[n])
        n++;
    l->kafka = calloc(n + 1, sizeof *l->kafka);
    if (!l->kafka)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < n; i++)
        if (!(l->kafka[i] = strdup(kafka[i])))
            return ERR_NO_MEMORY;
    return ERR_OK;
}

static void name_writer(struct audit_log *l)
{
    uint8_t random[8];
    struct env *env = env_system();
    env->random(env, random, sizeof random);
    int n = snprintf(l->chain.writer, sizeof l->chain.writer, "%s-", l->role);
    for (size_t i = 0; i < sizeof random; i++)
        n += snprintf(l->chain.writer + n, sizeof l->chain.writer - (size_t)n, "%02x", random[i]);
}

enum err audit_log_open(struct audit_log **out, const struct audit_log_config *config, struct reason *why)
{
    struct audit_entry start = {.event = AUDIT_START};
    struct audit_log *l = calloc(1, sizeof *l);
    if (!l)
        return reason_set(why, ERR_NO_MEMORY, "out of memory");
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->changed, NULL);
    buf_init(&l->scratch, AUDIT_RECORD_MAX);
    l->tail = &l->head;
    l->strangers_milli = AUDIT_STRANGERS_BURST * INT64_C(1000);
    l->strangers_ms = now_ms();
    l->role = strdup(config->role);
    l->retention_ms = config->retention_ms ? strdup(config->retention_ms) : NULL;
    l->written = metrics_counter("castellan_audit_records_total", NULL, "Audit records the cluster acknowledged");
    l->lost_total = metrics_counter("castellan_audit_lost_total", NULL, "Audit records that did not fit the queue");
    l->late =
        metrics_counter("castellan_audit_late_total", NULL, "Changes answered before their audit record was safe");
    l->waiting = metrics_gauge("castellan_audit_waiting", NULL, "Audit records not acknowledged yet");
    enum err e = l->role && (l->retention_ms || !config->retention_ms) ? ERR_OK : ERR_NO_MEMORY;
    if (!e && config->kafka)
        e = copy_settings(l, config->kafka);
    if (!e) {
        name_writer(l);
        audit_log_put(l, &start, NULL, NULL);
        if (l->kafka && pthread_create(&l->thread, NULL, run, l))
            e = ERR_NO_MEMORY;
        l->started = l->kafka && !e;
    }
    if (e) {
        audit_log_free(l);
        return reason_set(why, e, "the audit: %s", err_text(e));
    }
    *out = l;
    return ERR_OK;
}

enum err audit_log_open_settings(struct audit_log **out, const char *role, const struct settings *s,
                                 const char *const *kafka, struct reason *why)
{
    char retention[24];
    struct audit_log_config config = {.role = role, .retention_ms = retention, .kafka = kafka};
    *out = NULL;
    snprintf(retention, sizeof retention, "%lld", (long long)settings_int(s, "castellan.audit.retention.ms"));
    return settings_bool(s, "castellan.audit.enable") ? audit_log_open(out, &config, why) : ERR_OK;
}

void audit_log_stop(struct audit_log *l)
{
    struct audit_entry stop = {.event = AUDIT_STOP};
    if (!l || l->stopped)
        return;
    l->stopped = true;
    audit_log_put(l, &stop, NULL, NULL);
    pthread_mutex_lock(&l->lock);
    l->closing = true;
    l->stop_ms = now_ms() + AUDIT_STOP_MS;
    pthread_cond_signal(&l->changed);
    pthread_mutex_unlock(&l->lock);
    if (l->started)
        pthread_join(l->thread, NULL);
    l->started = false;
    if (l->queued)
        log_error("audit: %zu records were not written before the end", l->queued);
    for (struct item *i = l->head; i; i = i->next)
        tell(&i->waiter);
}

void audit_log_free(struct audit_log *l)
{
    if (!l)
        return;
    audit_log_stop(l);
    while (l->head) {
        struct item *i = l->head;
        l->head = i->next;
        free(i);
    }
    for (size_t i = 0; l->kafka && l->kafka[i]; i++)
        free(l->kafka[i]);
    free(l->kafka);
    buf_free(&l->scratch);
    pthread_cond_destroy(&l->changed);
    pthread_mutex_destroy(&l->lock);
    free(l->role);
    free(l->retention_ms);
    free(l);
}
