/* SPDX-License-Identifier: Apache-2.0
 * Dead letters go out through librdkafka, which knows the leaders of the dead-letter topic; a session's own connection
 * leads to one node only. The producer is idempotent and waits for all replicas. One thread serves its callbacks. */
#include "gateway/filter/schema_dead_letter.h"
#include "core/base/log.h"

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { POLL_MS = 100, CLOSE_MS = 1000 };

struct dead_letters {
    const char *const *kafka;
    pthread_mutex_t lock; /* making the producer */
    rd_kafka_t *rk;
    pthread_t poller;
    atomic_bool stopping;
};

struct sent {
    dead_letter_done_fn done;
    void *arg;
};

static void on_delivered(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    struct sent *s = m->_private;

    (void)rk;
    (void)opaque;
    if (m->err)
        log_warn("a record could not be put into the dead-letter topic %s: %s", rd_kafka_topic_name(m->rkt),
                 rd_kafka_err2str(m->err));
    s->done(s->arg, m->err ? ERR_UNAVAILABLE : ERR_OK);
    free(s);
}

/* librdkafka's own lines are for its developers; what is lost is told per record, in our words. */
static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)rk;
    (void)level;
    log_debug("dead letters: %s: %s", facility, text);
}

static void on_error(rd_kafka_t *rk, int code, const char *text, void *opaque)
{
    (void)rk;
    (void)code;
    (void)opaque;
    log_debug("dead letters: %s", text);
}

static void *poll_main(void *arg)
{
    struct dead_letters *d = arg;

    while (!atomic_load(&d->stopping))
        rd_kafka_poll(d->rk, POLL_MS);
    return NULL;
}

struct dead_letters *dead_letters_new(const char *const *kafka)
{
    struct dead_letters *d = calloc(1, sizeof *d);

    if (!d)
        return NULL;
    d->kafka = kafka;
    pthread_mutex_init(&d->lock, NULL);
    return d;
}

/* Under the lock. */
static enum err start(struct dead_letters *d)
{
    static const char *const own[] = {"enable.idempotence",
                                      "true",
                                      "message.timeout.ms",
                                      DEAD_LETTER_TIMEOUT_MS,
                                      "linger.ms",
                                      "0",
                                      "client.id",
                                      "castellan-gateway-dead-letters",
                                      NULL};
    const char *const *const lists[] = {d->kafka, own};
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char why[256] = "";

    for (size_t l = 0; l < 2; l++)
        for (size_t i = 0; lists[l][i]; i += 2)
            if (rd_kafka_conf_set(conf, lists[l][i], lists[l][i + 1], why, sizeof why) != RD_KAFKA_CONF_OK) {
                log_error("dead letters: %s", why);
                rd_kafka_conf_destroy(conf);
                return ERR_BAD_CONFIG;
            }
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivered);
    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_conf_set_error_cb(conf, on_error);
    d->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (!d->rk) {
        log_error("dead letters: %s", why);
        rd_kafka_conf_destroy(conf);
        return ERR_UNAVAILABLE;
    }
    if (pthread_create(&d->poller, NULL, poll_main, d)) {
        rd_kafka_destroy(d->rk);
        d->rk = NULL;
        return ERR_NO_MEMORY;
    }
    return ERR_OK;
}

void dead_letters_free(struct dead_letters *d)
{
    if (!d)
        return;
    if (d->rk) {
        atomic_store(&d->stopping, true);
        pthread_join(d->poller, NULL);
        rd_kafka_flush(d->rk, CLOSE_MS);
        rd_kafka_purge(d->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_flush(d->rk, CLOSE_MS);
        rd_kafka_destroy(d->rk);
    }
    pthread_mutex_destroy(&d->lock);
    free(d);
}

static rd_kafka_headers_t *headers_of(const struct dead_letter *l)
{
    rd_kafka_headers_t *out = rd_kafka_headers_new((size_t)l->record->header_count + 3);
    struct cursor c = cursor_of(l->record->headers);
    struct record_header h;
    char partition[16];

    for (int32_t i = 0; out && i < DEAD_LETTER_HEADERS_MAX && record_header_next(&c, &h); i++)
        rd_kafka_header_add(out, (const char *)h.key.p, (ssize_t)h.key.n, h.value.p, (ssize_t)h.value.n);
    if (out) {
        snprintf(partition, sizeof partition, "%d", (int)l->from_partition);
        rd_kafka_header_add(out, "__castellan.schema.error", -1, l->why, -1);
        rd_kafka_header_add(out, "__castellan.schema.topic", -1, l->from, -1);
        rd_kafka_header_add(out, "__castellan.schema.partition", -1, partition, -1);
    }
    return out;
}

enum err dead_letters_send(struct dead_letters *d, const struct dead_letter *l, dead_letter_done_fn done, void *arg)
{
    struct sent *s = calloc(1, sizeof *s);
    rd_kafka_headers_t *headers = s ? headers_of(l) : NULL;
    rd_kafka_resp_err_t failed;
    enum err err = ERR_OK;

    if (headers) {
        pthread_mutex_lock(&d->lock);
        err = d->rk ? ERR_OK : start(d);
        pthread_mutex_unlock(&d->lock);
    }
    if (!headers || err) {
        if (headers)
            rd_kafka_headers_destroy(headers);
        free(s);
        return err ? err : ERR_NO_MEMORY;
    }
    *s = (struct sent){done, arg};
    failed = rd_kafka_producev(d->rk, RD_KAFKA_V_TOPIC(l->topic), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                               RD_KAFKA_V_KEY(l->record->key.p, l->record->key.n),
                               RD_KAFKA_V_VALUE((void *)(uintptr_t)l->record->value.p, l->record->value.n),
                               RD_KAFKA_V_TIMESTAMP(l->record->timestamp), RD_KAFKA_V_HEADERS(headers),
                               RD_KAFKA_V_OPAQUE(s), RD_KAFKA_V_END);
    if (!failed)
        return ERR_OK;
    log_warn("a record could not be put into the dead-letter topic %s: %s", l->topic, rd_kafka_err2str(failed));
    rd_kafka_headers_destroy(headers);
    free(s);
    return ERR_UNAVAILABLE;
}
