/* SPDX-License-Identifier: Apache-2.0
 * Where does the log end? librdkafka's own question (rd_kafka_query_watermark_offsets) waits, whatever timeout it is
 * given, until the broker it chose is back, even when another has long become the leader. So a second consumer is
 * started at the end and its first event is awaited instead: the end of the partition, or a record that came meanwhile.
 * That follows the leader and keeps to a deadline. Ownership: the asker owns its client; `lock` serialises questions.
 */
#include "core/ledger/ledger_end.h"

#include "core/base/slice.h"
#include "core/ledger/ledger_internal.h"

#include <librdkafka/rdkafka.h>
#include <stdlib.h>

enum { LOOK_MS = 1, WAKE_MS_MAX = 200 };

struct ledger_end {
    pthread_mutex_t lock;
    rd_kafka_t *client;
    rd_kafka_topic_t *topic;
    rd_kafka_queue_t *queue;
};

enum err ledger_end_new(struct ledger_end **out, void *client, const char *topic, struct reason *why)
{
    struct ledger_end *a = calloc(1, sizeof *a);
    if (!a) {
        rd_kafka_destroy(client);
        return reason_set(why, ERR_NO_MEMORY, "no memory to ask for the end of %s", topic);
    }
    pthread_mutex_init(&a->lock, NULL);
    a->client = client;
    a->queue = rd_kafka_queue_new(client);
    a->topic = rd_kafka_topic_new(client, topic, NULL);
    if (!a->queue || !a->topic) {
        ledger_end_free(a);
        return reason_set(why, ERR_NO_MEMORY, "no memory to ask for the end of %s", topic);
    }
    *out = a;
    return ERR_OK;
}

void ledger_end_free(struct ledger_end *a)
{
    if (!a)
        return;
    if (a->topic)
        rd_kafka_topic_destroy(a->topic);
    if (a->queue)
        rd_kafka_queue_destroy(a->queue);
    rd_kafka_destroy(a->client);
    pthread_mutex_destroy(&a->lock);
    free(a);
}

/* The first event of a partition says where it ends. */
static enum err take_event(const rd_kafka_message_t *m, int32_t partitions, int64_t *ends, int32_t *missing,
                           struct reason *why)
{
    if (m->err && m->err != RD_KAFKA_RESP_ERR__PARTITION_EOF)
        return reason_set(why, ERR_UNAVAILABLE, "asking for the end: %s", rd_kafka_err2str(m->err));
    if (m->partition >= 0 && m->partition < partitions && ends[m->partition] < 0) {
        ends[m->partition] = m->offset;
        --*missing;
    }
    return ERR_OK;
}

/* A partition that was just started is fetched from when its broker's thread looks at it next, within a second, or when
 * that thread wakes up for an answer; metadata comes from any broker, the leader among them. */
static void wake_brokers(struct ledger_end *a, int64_t left_ms)
{
    const struct rd_kafka_metadata *m = NULL;
    if (!rd_kafka_metadata(a->client, 0, a->topic, &m, left_ms < WAKE_MS_MAX ? (int)left_ms : WAKE_MS_MAX))
        rd_kafka_metadata_destroy(m);
}

static enum err wait_events(struct ledger_end *a, int32_t partitions, int64_t *ends, int64_t deadline_ms,
                            struct reason *why)
{
    int32_t missing = partitions;
    enum err e = ERR_OK;
    while (missing && !e) {
        rd_kafka_message_t *m = rd_kafka_consume_queue(a->queue, LOOK_MS);
        int64_t left = deadline_ms - ledger_now_ms();
        if (m) {
            e = take_event(m, partitions, ends, &missing, why);
            rd_kafka_message_destroy(m);
        } else if (left <= 0) {
            e = reason_set(why, ERR_TIMEOUT, "%s: asking for the end took too long", rd_kafka_topic_name(a->topic));
        } else {
            wake_brokers(a, left);
        }
    }
    return e;
}

enum err ledger_end_ask(struct ledger_end *a, int32_t partitions, int64_t *ends, int64_t deadline_ms,
                        struct reason *why)
{
    enum err e = ERR_OK;
    rd_kafka_message_t *m;
    int32_t started = 0;
    pthread_mutex_lock(&a->lock);
    while (!e && started < partitions) {
        ends[started] = -1;
        if (rd_kafka_consume_start_queue(a->topic, started, RD_KAFKA_OFFSET_END, a->queue))
            e = reason_set(why, ERR_UNAVAILABLE, "asking for the end: %s", rd_kafka_err2str(rd_kafka_last_error()));
        else
            started++;
    }
    if (!e)
        e = wait_events(a, partitions, ends, deadline_ms, why);
    for (int32_t p = 0; p < started; p++)
        rd_kafka_consume_stop(a->topic, p);
    while ((m = rd_kafka_consume_queue(a->queue, 0)))
        rd_kafka_message_destroy(m);
    rd_kafka_poll(a->client, 0);
    pthread_mutex_unlock(&a->lock);
    return e;
}
