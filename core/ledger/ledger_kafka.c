/* SPDX-License-Identifier: Apache-2.0
 * A ledger's log in Kafka: the reader thread over librdkafka's simple consumer, and the fenced transactional producer.
 *
 * Reader, happy path: make sure of the topic -> ask each partition for its end -> consume from the beginning, for ever.
 * Offsets have gaps (transaction markers, compaction), so progress is a position: one past the last record, or the
 * offset an end-of-partition event names. Records are handed over in groups of at most LEDGER_APPLY_MAX.
 * The simple consumer is used because it needs no group coordinator; nothing is ever committed.
 *
 * Writer, happy path: fence() makes the producer and init_transactions() when it does not hold the fence, then reads up
 * to the end; commit() produces, commits, and waits for the last offsets to be read back. A fatal producer error
 * (fenced, lost epoch) drops the producer; the next fence() makes a new one.
 * The end of the log is asked for by a client of its own (ledger_end.h).
 * Failures: connections are retried by librdkafka for ever; we log one line when all brokers are gone and one when they
 * are back. Ownership: the reader owns the consumer handle from start to stop (sync() borrows it, librdkafka is
 * thread-safe); the writer thread alone touches the producer, except stop(), after it was joined. */
#include "core/base/log.h"
#include "core/ledger/ledger_end.h"
#include "core/ledger/ledger_internal.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    CONNECT_TIMEOUT_MS = 1000,
    CONNECT_PAUSE_MS_MIN = 50,
    CONNECT_PAUSE_MS_MAX = 1000,
    READ_WAIT_MS = 200,
    CHECK_BACK_MS = 500,      /* while all brokers are down: how often to look */
    INIT_TIMEOUT_MS_MIN = 40, /* doubled from try to try */
    INIT_TIMEOUT_MS_MAX = 5000,
    COMMIT_TIMEOUT_MS = 5000,
    QUERY_TIMEOUT_MS = 2000,
};

struct kafka_side {
    rd_kafka_t *consumer;
    rd_kafka_topic_t *topic;
    rd_kafka_queue_t *queue;
    pthread_t reader;
    bool reader_started;
    int32_t partitions; /* being consumed; 0 before */
    atomic_bool down;
    atomic_int lost; /* librdkafka error code that makes the reader start over; 0 when none */
    int64_t looked_ms;

    int64_t own_last[LEDGER_PARTITIONS_MAX];      /* our last committed record that was read back; -1 when none */
    int64_t own_committed[LEDGER_PARTITIONS_MAX]; /* our last committed record; -1 when none */

    pthread_mutex_t ask_lock; /* guards the making of `end` */
    struct ledger_end *end;   /* made when first needed */

    rd_kafka_t *producer; /* holds the fence when not NULL */
    int init_timeout_ms;
    atomic_int producer_fatal;
};

/* --- settings --- */

struct pair {
    const char *key, *value;
};

static const struct pair common_settings[] = {
    {"client.id", "castellan"},
    {"reconnect.backoff.ms", "50"},
    {"reconnect.backoff.max.ms", "250"},
    {"retry.backoff.ms", "50"},
    {"socket.connection.setup.timeout.ms", "3000"},
    {"socket.nagle.disable", "true"},
    {"socket.keepalive.enable", "true"},
    {"topic.metadata.refresh.interval.ms", "300000"},
    {"topic.metadata.refresh.fast.interval.ms", "50"},
    {"topic.metadata.refresh.sparse", "true"},
    {"log.connection.close", "false"},
    {NULL, NULL},
};

static const struct pair consumer_settings[] = {
    {"isolation.level", "read_committed"},
    {"enable.partition.eof", "true"},
    {"auto.offset.reset", "error"},
    {"allow.auto.create.topics", "false"},
    {"fetch.wait.max.ms", "100"},
    {"fetch.error.backoff.ms", "50"},
    /* a partition whose queue is over either limit is looked at again only a second later: be above them */
    {"queued.min.messages", "10000000"},
    {"queued.max.messages.kbytes", "32768"},
    {"fetch.message.max.bytes", "1048576"},
    {"fetch.max.bytes", "4194304"},
    {"check.crcs", "true"},
    {NULL, NULL},
};

static const struct pair asker_settings[] = {
    {"isolation.level", "read_committed"}, {"enable.partition.eof", "true"},    {"auto.offset.reset", "error"},
    {"allow.auto.create.topics", "false"}, {"fetch.wait.max.ms", "1"},          {"fetch.error.backoff.ms", "50"},
    {"queued.min.messages", "1"},          {"fetch.message.max.bytes", "4096"}, {NULL, NULL},
};

static const struct pair producer_settings[] = {
    {"acks", "all"},
    {"enable.idempotence", "true"},
    {"linger.ms", "0"},
    {"partitioner", "murmur2_random"}, /* as Java clients place keys */
    {"transaction.timeout.ms", "10000"},
    {"message.timeout.ms", "10000"},
    {"queue.buffering.max.kbytes", "16384"},
    {NULL, NULL},
};

/* What clients are made for. */
enum purpose { TO_READ, TO_WRITE, TO_ASK };

static const struct pair *settings_for(enum purpose purpose)
{
    return purpose == TO_READ ? consumer_settings : purpose == TO_WRITE ? producer_settings : asker_settings;
}

static bool is_for_another(const char *key, enum purpose purpose)
{
    return purpose != TO_READ && !strncmp(key, "fetch.", 6);
}

static enum err set_all(rd_kafka_conf_t *conf, const struct pair *pairs, struct reason *why)
{
    char text[256];
    for (; pairs->key; pairs++)
        if (rd_kafka_conf_set(conf, pairs->key, pairs->value, text, sizeof text) != RD_KAFKA_CONF_OK)
            return reason_set(why, ERR_BAD_CONFIG, "%s: %s", pairs->key, text);
    return ERR_OK;
}

static void on_log(const rd_kafka_t *rk, int level, const char *fac, const char *text)
{
    (void)rk, (void)level; /* what matters comes as an error too, and is told once per change of state */
    log_debug("ledger: librdkafka %s: %s", fac, text);
}

static void say_down(struct ledger *l, bool down, const char *text)
{
    struct kafka_side *k = l->side;
    if (atomic_exchange(&k->down, down) == down)
        return;
    if (down)
        log_warn("ledger %s: connection lost, trying for ever: %s", l->topic, text);
    else
        log_info("ledger %s: connected", l->topic);
}

static void on_error(rd_kafka_t *rk, int code, const char *text, void *opaque)
{
    struct ledger *l = opaque;
    struct kafka_side *k = l->side;
    char fatal[256];
    if (code == RD_KAFKA_RESP_ERR__FATAL) {
        rd_kafka_resp_err_t e = rd_kafka_fatal_error(rk, fatal, sizeof fatal);
        log_debug("ledger %s: %s: %s", l->topic, rd_kafka_err2name(e), fatal);
        atomic_store(&k->producer_fatal, (int)e);
        return;
    }
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
        say_down(l, true, text);
    else
        log_debug("ledger %s: %s", l->topic, text);
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    struct ledger_out *r = m->_private;
    (void)rk, (void)opaque;
    if (!m->err) {
        r->partition = m->partition;
        r->offset = m->offset;
    } else if (!r->error) {
        r->error = (int)m->err;
    }
}

/* Known librdkafka codes to ours: what the caller can act on. */
static enum err map_error(rd_kafka_resp_err_t code)
{
    if (code == RD_KAFKA_RESP_ERR__FENCED || code == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH ||
        code == RD_KAFKA_RESP_ERR_PRODUCER_FENCED || code == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING ||
        code == RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID)
        return ERR_FENCED;
    switch ((int)code) {
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
        return (enum err)code;
    }
    return ERR_UNAVAILABLE;
}

static enum err client_new(struct ledger *l, enum purpose purpose, rd_kafka_t **out, struct reason *why)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char text[256];
    enum err e = set_all(conf, common_settings, why);
    if (!e)
        e = set_all(conf, settings_for(purpose), why);
    for (size_t i = 0; !e && l->kafka[i] && l->kafka[i + 1]; i += 2) {
        struct pair one[2] = {{l->kafka[i], l->kafka[i + 1]}, {NULL, NULL}};
        if (!is_for_another(one->key, purpose))
            e = set_all(conf, one, why);
    }
    if (!e && purpose == TO_WRITE) {
        struct pair id[2] = {{"transactional.id", l->transactional_id}, {NULL, NULL}};
        e = set_all(conf, id, why);
        rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    }
    if (e) {
        rd_kafka_conf_destroy(conf);
        return e;
    }
    rd_kafka_conf_set_opaque(conf, l);
    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_conf_set_error_cb(conf, on_error);
    *out = rd_kafka_new(purpose == TO_WRITE ? RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER, conf, text, sizeof text);
    if (!*out) {
        rd_kafka_conf_destroy(conf);
        return reason_set(why, ERR_BAD_CONFIG, "%s", text);
    }
    return ERR_OK;
}

/* --- the reader --- */

/* At start, right after the brokers answered. Later ledger_end.h asks. */
static enum err query_ends(struct ledger *l, int32_t partitions, int64_t *ends, int64_t deadline_ms, struct reason *why)
{
    for (int32_t p = 0; p < partitions; p++) {
        int64_t low = 0, left = deadline_ms - ledger_now_ms();
        if (left <= 0)
            return reason_set(why, ERR_TIMEOUT, "%s: asking for the end took too long", l->topic);
        rd_kafka_resp_err_t code =
            rd_kafka_query_watermark_offsets(((struct kafka_side *)l->side)->consumer, l->topic, p, &low, &ends[p],
                                             left < QUERY_TIMEOUT_MS ? (int)left : QUERY_TIMEOUT_MS);
        if (code)
            return reason_set(why, map_error(code), "%s: asking for the end: %s", l->topic, rd_kafka_err2str(code));
    }
    return ERR_OK;
}

static enum err count_partitions(struct ledger *l, int32_t *partitions, struct reason *why)
{
    struct kafka_side *k = l->side;
    const struct rd_kafka_metadata *m = NULL;
    rd_kafka_resp_err_t code = rd_kafka_metadata(k->consumer, 0, k->topic, &m, CONNECT_TIMEOUT_MS);
    enum err e = ERR_OK;
    if (code)
        return reason_set(why, map_error(code), "%s: metadata: %s", l->topic, rd_kafka_err2str(code));
    if (m->topic_cnt != 1 || m->topics[0].err || m->topics[0].partition_cnt < 1) {
        rd_kafka_resp_err_t te = m->topic_cnt == 1 ? m->topics[0].err : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
        e = reason_set(why, te == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ? ERR_NOT_FOUND : ERR_UNAVAILABLE, "%s: %s",
                       l->topic, te ? rd_kafka_err2str(te) : "no partitions");
    } else if (m->topics[0].partition_cnt > LEDGER_PARTITIONS_MAX) {
        e = reason_set(why, ERR_LIMIT_EXCEEDED, "%s has more than %d partitions", l->topic, LEDGER_PARTITIONS_MAX);
    } else {
        *partitions = m->topics[0].partition_cnt;
    }
    rd_kafka_metadata_destroy(m);
    return e;
}

static enum err judge_partitions(const struct ledger *l, int32_t partitions, bool *fatal, struct reason *why)
{
    if (!l->config.check_partitions || partitions == l->config.partitions)
        return ERR_OK;
    *fatal = true;
    return reason_set(why, ERR_BAD_CONFIG,
                      "the topic %s must have %d partition%s and has %d: its records have one order", l->topic,
                      (int)l->config.partitions, l->config.partitions == 1 ? "" : "s", (int)partitions);
}

static enum err reader_connect(struct ledger *l, bool *fatal, struct reason *why)
{
    struct kafka_side *k = l->side;
    int64_t ends[LEDGER_PARTITIONS_MAX];
    int32_t partitions = 0;
    enum err e = count_partitions(l, &partitions, why);
    if ((e == ERR_NOT_FOUND && l->config.create) || (!e && l->config.check_policy)) {
        bool made = e == ERR_NOT_FOUND;
        e = ledger_topic_ensure(l, k->consumer, 2 * CONNECT_TIMEOUT_MS, fatal, why);
        if (!e && made)
            e = count_partitions(l, &partitions, why);
    }
    if (!e)
        e = judge_partitions(l, partitions, fatal, why);
    if (!e)
        e = query_ends(l, partitions, ends, ledger_now_ms() + 2 * CONNECT_TIMEOUT_MS, why);
    for (int32_t p = 0; !e && p < partitions; p++)
        if (rd_kafka_consume_start_queue(k->topic, p, RD_KAFKA_OFFSET_BEGINNING, k->queue))
            e = reason_set(why, ERR_UNAVAILABLE, "%s: %s", l->topic, rd_kafka_err2str(rd_kafka_last_error()));
    if (e)
        return e;
    k->partitions = partitions;
    ledger_targets(l, partitions, ends);
    return ERR_OK;
}

static void handle_error(struct ledger *l, const rd_kafka_message_t *m)
{
    struct kafka_side *k = l->side;
    switch ((int)m->err) {
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        ledger_advance(l, m->partition, m->offset);
        say_down(l, false, "");
        return;
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
        atomic_store(&k->lost, (int)m->err);
        return;
    }
    log_debug("ledger %s: %s", l->topic, rd_kafka_message_errstr(m));
}

static void hand_over(struct ledger *l, rd_kafka_message_t **m, size_t n)
{
    struct ledger_record records[LEDGER_APPLY_MAX] = {0};
    if (!n)
        return;
    for (size_t i = 0; i < n; i++) {
        rd_kafka_timestamp_type_t type;
        records[i] = (struct ledger_record){m[i]->partition, m[i]->offset, rd_kafka_message_timestamp(m[i], &type),
                                            slice_of(m[i]->key ? m[i]->key : "", m[i]->key_len),
                                            slice_of(m[i]->payload, m[i]->len)};
    }
    ledger_apply(l, records, n);
    for (size_t i = 0; i < n; i++)
        if (i + 1 == n || m[i + 1]->partition != m[i]->partition)
            ledger_advance(l, m[i]->partition, m[i]->offset + 1);
    say_down(l, false, "");
}

/* Errors and records come in one order: what precedes an error is handed over first. */
static void handle_messages(struct ledger *l, rd_kafka_message_t **m, size_t n)
{
    size_t from = 0;
    for (size_t i = 0; i < n; i++) {
        if (!m[i]->err)
            continue;
        hand_over(l, m + from, i - from);
        handle_error(l, m[i]);
        from = i + 1;
    }
    hand_over(l, m + from, n - from);
    for (size_t i = 0; i < n; i++)
        rd_kafka_message_destroy(m[i]);
}

/* Nothing arrives on an idle topic, so after an outage we have to ask whether the cluster is back. Metadata is the
 * question, because librdkafka keeps to its timeout; asking for offsets waits for as long as every broker is down. */
static void look_whether_back(struct ledger *l)
{
    struct kafka_side *k = l->side;
    const struct rd_kafka_metadata *metadata = NULL;
    int64_t now = ledger_now_ms();
    if (!atomic_load(&k->down) || now - k->looked_ms < CHECK_BACK_MS)
        return;
    k->looked_ms = now;
    if (rd_kafka_metadata(k->consumer, 0, k->topic, &metadata, CHECK_BACK_MS))
        return;
    rd_kafka_metadata_destroy(metadata);
    say_down(l, false, "");
}

/* A partition whose queue was full is not fetched from until its broker thread wakes up, within a second. While we
 * catch up and have emptied the queue, any question wakes it. */
static void nudge(struct ledger *l)
{
    struct kafka_side *k = l->side;
    int64_t low, high;
    (void)rd_kafka_query_watermark_offsets(k->consumer, l->topic, 0, &low, &high, READ_WAIT_MS);
}

static void reader_run(struct ledger *l)
{
    struct kafka_side *k = l->side;
    rd_kafka_message_t *m[LEDGER_APPLY_MAX];
    while (!atomic_load(&l->closing) && !atomic_load(&k->lost)) {
        m[0] = rd_kafka_consume_queue(k->queue, READ_WAIT_MS);
        rd_kafka_poll(k->consumer, 0);
        if (m[0]) {
            ssize_t more = rd_kafka_consume_batch_queue(k->queue, 0, m + 1, LEDGER_APPLY_MAX - 1);
            handle_messages(l, m, 1 + (more > 0 ? (size_t)more : 0));
            if (more < LEDGER_APPLY_MAX - 1 && !ledger_is_ready(l))
                nudge(l);
        } else {
            look_whether_back(l);
        }
    }
    for (int32_t p = 0; p < k->partitions; p++)
        rd_kafka_consume_stop(k->topic, p);
    k->partitions = 0;
}

static void drain_queue(struct kafka_side *k)
{
    rd_kafka_message_t *m;
    while ((m = rd_kafka_consume_queue(k->queue, 0)))
        rd_kafka_message_destroy(m);
}

static void *reader_main(void *arg)
{
    struct ledger *l = arg;
    struct kafka_side *k = l->side;
    int64_t pause = CONNECT_PAUSE_MS_MIN, since = ledger_now_ms();
    bool said = false;
    while (!atomic_load(&l->closing)) {
        struct reason why = {0};
        bool fatal = false;
        enum err e = reader_connect(l, &fatal, &why);
        if (fatal) {
            ledger_fail(l, &why);
            return NULL;
        }
        if (e) {
            if (!said && ledger_now_ms() - since > CONNECT_TIMEOUT_MS) {
                log_warn("ledger %s: cannot read yet, trying for ever: %s", l->topic, why.text);
                said = true;
            }
            rd_kafka_poll(k->consumer, 0);
            ledger_sleep(l, pause);
            pause = pause * 2 > CONNECT_PAUSE_MS_MAX ? CONNECT_PAUSE_MS_MAX : pause * 2;
            continue;
        }
        if (said || atomic_load(&k->down))
            log_info("ledger %s: connected", l->topic);
        said = false;
        atomic_store(&k->down, false);
        reader_run(l);
        if (!atomic_load(&l->closing)) {
            log_error("ledger %s: the log was lost (%s): starting over from its beginning", l->topic,
                      rd_kafka_err2str((rd_kafka_resp_err_t)atomic_load(&k->lost)));
            drain_queue(k);
            pthread_mutex_lock(&l->lock);
            for (int32_t p = 0; p < LEDGER_PARTITIONS_MAX; p++)
                k->own_last[p] = k->own_committed[p] = -1;
            pthread_mutex_unlock(&l->lock);
            atomic_store(&k->lost, 0);
            ledger_reset(l);
            pause = CONNECT_PAUSE_MS_MIN;
        }
    }
    return NULL;
}

/* --- the writer --- */

static void drop_producer(struct kafka_side *k)
{
    if (!k->producer)
        return;
    rd_kafka_purge(k->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_poll(k->producer, 0);
    rd_kafka_destroy(k->producer);
    k->producer = NULL;
}

static int left_ms(int64_t deadline_ms, int cap)
{
    int64_t left = deadline_ms - ledger_now_ms();
    return left < 1 ? 1 : left < cap ? (int)left : cap;
}

static enum err take_error(struct ledger *l, rd_kafka_error_t *error, const char *what, struct reason *why)
{
    rd_kafka_resp_err_t code = rd_kafka_error_code(error);
    enum err e = map_error(code);
    reason_set(why, e, "%s: %s: %s", l->topic, what, rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    return e;
}

static enum err ask_ends(struct ledger *l, int32_t partitions, int64_t *ends, int64_t deadline_ms, struct reason *why)
{
    struct kafka_side *k = l->side;
    rd_kafka_t *client = NULL;
    enum err e = ERR_OK;
    pthread_mutex_lock(&k->ask_lock);
    if (!k->end)
        e = client_new(l, TO_ASK, &client, why);
    if (!e && client)
        e = ledger_end_new(&k->end, client, l->topic, why);
    pthread_mutex_unlock(&k->ask_lock);
    return e ? e : ledger_end_ask(k->end, partitions, ends, deadline_ms, why);
}

static enum err sync_by(struct ledger *l, bool fenced, int64_t deadline_ms, struct reason *why)
{
    int64_t ends[LEDGER_PARTITIONS_MAX];
    pthread_mutex_lock(&l->lock);
    int32_t partitions = l->targets_known ? l->partitions : 0;
    pthread_mutex_unlock(&l->lock);
    enum err e = partitions ? ask_ends(l, partitions, ends, deadline_ms, why)
                            : ledger_wait_ready(l, left_ms(deadline_ms, INT32_MAX), why);
    if (e || !partitions)
        return e;
    /* When only the marker of our own transaction stands between our last record and the end, there is nothing to wait
     * for; the reader hears of the marker only when its next fetch times out. Right after taking the fence that goes
     * for anybody's last marker: a transaction of those who were fenced takes two offsets at least. (The one offset may
     * also be the record of a foreign writer that knows no fence, and comes a moment later.) */
    struct kafka_side *k = l->side;
    pthread_mutex_lock(&l->lock);
    for (int32_t p = 0; p < partitions; p++)
        if (ends[p] > k->own_committed[p] + 1 && (fenced || (k->own_last[p] >= 0 && ends[p] == k->own_last[p] + 2)))
            ends[p]--;
    pthread_mutex_unlock(&l->lock);
    return ledger_wait_position(l, partitions, ends, deadline_ms, why);
}

static enum err kafka_sync(struct ledger *l, int64_t deadline_ms, struct reason *why)
{
    return sync_by(l, false, deadline_ms, why);
}

/* init_transactions looks for its coordinator at once, and again only a second later when no broker was connected. */
static void connect_first(struct ledger *l)
{
    struct kafka_side *k = l->side;
    const struct rd_kafka_metadata *m = NULL;
    if (!rd_kafka_metadata(k->producer, 0, NULL, &m, CONNECT_TIMEOUT_MS))
        rd_kafka_metadata_destroy(m);
}

/* An open transaction of the one before is aborted first, and librdkafka asks again only half a second later. A new
 * producer asks at once: so the first tries are short. */
static enum err init_transactions(struct ledger *l, int64_t deadline_ms, struct reason *why)
{
    struct kafka_side *k = l->side;
    int timeout = k->init_timeout_ms ? k->init_timeout_ms : INIT_TIMEOUT_MS_MIN;
    rd_kafka_error_t *error = rd_kafka_init_transactions(k->producer, left_ms(deadline_ms, timeout));
    if (!error) {
        k->init_timeout_ms = 0;
        return ERR_OK;
    }
    k->init_timeout_ms = timeout * 2 > INIT_TIMEOUT_MS_MAX ? INIT_TIMEOUT_MS_MAX : timeout * 2;
    return take_error(l, error, "taking the fence", why);
}

static enum err kafka_fence(struct ledger *l, int64_t deadline_ms, struct reason *why)
{
    struct kafka_side *k = l->side;
    if (k->producer)
        return ERR_OK;
    enum err e = ledger_wait_ready(l, left_ms(deadline_ms, INT32_MAX), why);
    if (!e)
        e = client_new(l, TO_WRITE, &k->producer, why);
    if (e)
        return e;
    atomic_store(&k->producer_fatal, 0);
    connect_first(l);
    e = init_transactions(l, deadline_ms, why);
    if (!e)
        e = sync_by(l, true, deadline_ms, why);
    if (e)
        drop_producer(k);
    return e;
}

static enum err produce_all(struct ledger *l, struct ledger_batch *b, struct reason *why)
{
    struct kafka_side *k = l->side;
    for (size_t i = 0; i < b->record_count; i++) {
        struct ledger_out *r = &b->records[i];
        r->offset = -1;
        r->error = 0;
        rd_kafka_resp_err_t code =
            rd_kafka_producev(k->producer, RD_KAFKA_V_TOPIC(l->topic), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                              RD_KAFKA_V_KEY(r->key.p, r->key.n), RD_KAFKA_V_VALUE((void *)r->value.p, r->value.n),
                              RD_KAFKA_V_OPAQUE(r), RD_KAFKA_V_END);
        if (code)
            return reason_set(why, map_error(code), "%s: producing: %s", l->topic, rd_kafka_err2str(code));
    }
    return ERR_OK;
}

/* What the broker refuses for good is known from the records; what else failed is told by the commit. */
static enum err check_delivered(struct ledger *l, const struct ledger_batch *b, struct reason *why)
{
    for (size_t i = 0; i < b->record_count; i++) {
        rd_kafka_resp_err_t code = (rd_kafka_resp_err_t)b->records[i].error;
        if (code && map_error(code) != ERR_UNAVAILABLE && map_error(code) != ERR_FENCED)
            return reason_set(why, map_error(code), "%s: %s", l->topic, rd_kafka_err2str(code));
    }
    return ERR_OK;
}

/* The batch's last record is the one whose arrival tells that all of it is there: one transaction, one order. */
static void watch_last(struct ledger *l, const struct ledger_batch *b)
{
    const struct ledger_out *last = &b->records[b->record_count - 1];
    pthread_mutex_lock(&l->lock);
    l->watch_partition = last->partition;
    l->watch_offset = last->offset;
    l->watch_seen = false;
    pthread_mutex_unlock(&l->lock);
}

static enum err wait_read_back(struct ledger *l, const struct ledger_batch *b, int64_t deadline_ms, struct reason *why)
{
    struct kafka_side *k = l->side;
    int64_t ends[LEDGER_PARTITIONS_MAX] = {0};
    for (size_t i = 0; i < b->record_count; i++)
        if (b->records[i].offset + 1 > ends[b->records[i].partition])
            ends[b->records[i].partition] = b->records[i].offset + 1;
    pthread_mutex_lock(&l->lock);
    for (int32_t p = 0; p < l->partitions; p++)
        if (ends[p])
            k->own_committed[p] = ends[p] - 1;
    pthread_mutex_unlock(&l->lock);
    enum err e = ledger_wait_position(l, l->partitions, ends, deadline_ms, why);
    pthread_mutex_lock(&l->lock);
    for (int32_t p = 0; !e && p < l->partitions; p++)
        if (ends[p])
            k->own_last[p] = ends[p] - 1;
    pthread_mutex_unlock(&l->lock);
    return e;
}

/* A transaction that failed: abort when the producer survives, else drop it; either way the batch is free to go again.
 */
static enum err give_up(struct ledger *l, rd_kafka_error_t *error, const char *what, int64_t deadline_ms,
                        struct reason *why)
{
    struct kafka_side *k = l->side;
    bool fatal = rd_kafka_error_is_fatal(error) || atomic_load(&k->producer_fatal);
    bool abortable = rd_kafka_error_txn_requires_abort(error);
    enum err e = take_error(l, error, what, why);
    if (!fatal && abortable) {
        rd_kafka_error_t *again = rd_kafka_abort_transaction(k->producer, left_ms(deadline_ms, COMMIT_TIMEOUT_MS));
        if (!again)
            return e;
        rd_kafka_error_destroy(again);
    }
    if (fatal)
        e = e == ERR_UNAVAILABLE ? ERR_FENCED : e;
    drop_producer(k);
    return e;
}

static enum err kafka_commit(struct ledger *l, struct ledger_batch *b, int64_t deadline_ms, struct reason *why)
{
    struct kafka_side *k = l->side;
    rd_kafka_error_t *error = rd_kafka_begin_transaction(k->producer);
    if (error)
        return give_up(l, error, "beginning a transaction", deadline_ms, why);
    enum err e = produce_all(l, b, why);
    if (!e) {
        /* flush first, so that the offsets are known before the outcome can be in doubt */
        rd_kafka_resp_err_t code = rd_kafka_flush(k->producer, left_ms(deadline_ms, COMMIT_TIMEOUT_MS));
        if (code)
            e = reason_set(why, ERR_UNAVAILABLE, "%s: %s", l->topic, rd_kafka_err2str(code));
    }
    if (!e)
        e = check_delivered(l, b, why);
    if (e) {
        error = rd_kafka_abort_transaction(k->producer, left_ms(deadline_ms, COMMIT_TIMEOUT_MS));
        if (error) {
            rd_kafka_error_destroy(error);
            drop_producer(k);
        }
        return e;
    }
    watch_last(l, b);
    do {
        error = rd_kafka_commit_transaction(k->producer, left_ms(deadline_ms, COMMIT_TIMEOUT_MS));
        if (!error || !rd_kafka_error_is_retriable(error) || ledger_now_ms() >= deadline_ms)
            break;
        rd_kafka_error_destroy(error);
    } while (!atomic_load(&l->closing));
    if (error) {
        b->in_doubt = b->records[b->record_count - 1].offset >= 0;
        return give_up(l, error, "committing", deadline_ms, why);
    }
    e = wait_read_back(l, b, deadline_ms, why);
    if (e) {
        /* it is there, and the state does not know it yet: nothing may be decided before it does */
        b->in_doubt = true;
        drop_producer(k);
    }
    return e;
}

static bool kafka_landed(struct ledger *l, const struct ledger_batch *b)
{
    (void)b;
    pthread_mutex_lock(&l->lock);
    bool seen = l->watch_seen;
    pthread_mutex_unlock(&l->lock);
    return seen;
}

/* --- life --- */

static void kafka_wake(struct ledger *l)
{
    struct kafka_side *k = l->side;
    rd_kafka_queue_yield(k->queue);
}

static void kafka_stop(struct ledger *l)
{
    struct kafka_side *k = l->side;
    if (k->reader_started) {
        rd_kafka_queue_yield(k->queue);
        pthread_join(k->reader, NULL);
    }
    drop_producer(k);
    ledger_end_free(k->end);
    if (k->queue)
        rd_kafka_queue_destroy(k->queue);
    if (k->topic)
        rd_kafka_topic_destroy(k->topic);
    if (k->consumer)
        rd_kafka_destroy(k->consumer);
    pthread_mutex_destroy(&k->ask_lock);
    free(k);
    l->side = NULL;
}

static enum err kafka_start(struct ledger *l, struct reason *why)
{
    struct kafka_side *k = calloc(1, sizeof *k);
    if (!k)
        return reason_set(why, ERR_NO_MEMORY, "no memory for a ledger");
    l->side = k;
    pthread_mutex_init(&k->ask_lock, NULL);
    for (int32_t p = 0; p < LEDGER_PARTITIONS_MAX; p++)
        k->own_last[p] = k->own_committed[p] = -1;
    enum err e = client_new(l, TO_READ, &k->consumer, why);
    if (!e) {
        k->queue = rd_kafka_queue_new(k->consumer);
        k->topic = rd_kafka_topic_new(k->consumer, l->topic, NULL);
        if (!k->queue || !k->topic)
            e = reason_set(why, ERR_NO_MEMORY, "%s: cannot make the consumer", l->topic);
    }
    if (!e && pthread_create(&k->reader, NULL, reader_main, l))
        e = reason_set(why, ERR_NO_MEMORY, "cannot start the reader thread");
    k->reader_started = !e;
    if (e)
        kafka_stop(l);
    return e;
}

static void kafka_cluster_id(struct ledger *l, int timeout_ms, struct buf *out)
{
    struct kafka_side *k = l->side;
    char *id = rd_kafka_clusterid(k->consumer, timeout_ms);
    if (id)
        buf_put_str(out, id);
    rd_kafka_mem_free(k->consumer, id);
}

static const struct ledger_backend backend = {
    .start = kafka_start,
    .stop = kafka_stop,
    .fence = kafka_fence,
    .commit = kafka_commit,
    .landed = kafka_landed,
    .sync = kafka_sync,
    .cluster_id = kafka_cluster_id,
    .wake = kafka_wake,
};

enum err ledger_open(struct ledger **out, const struct ledger_config *config, const struct ledger_hooks *hooks,
                     struct reason *why)
{
    struct ledger *l = ledger_new(config, hooks, &backend);
    if (!l)
        return reason_set(why, ERR_NO_MEMORY, "no memory for a ledger");
    return ledger_start(l, out, why);
}
