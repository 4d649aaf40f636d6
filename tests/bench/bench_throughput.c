/* SPDX-License-Identifier: Apache-2.0
 * One Kafka client, as people run it (librdkafka), against one bootstrap address: how many bytes per second it produces
 * or consumes, or how long one record takes to be acknowledged. tests/bench/run compares addresses with it.
 *
 *   bench_throughput produce|consume|latency TOPIC COUNT SIZE KEY=VALUE...      prints one number:
 *     produce, consume: MB/s; latency: the median of COUNT produces, one at a time, in microseconds */
#include <librdkafka/rdkafka.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int64_t failed, delivered;

static void die(const char *what, const char *why)
{
    fprintf(stderr, "bench_throughput: %s: %s\n", what, why);
    exit(1);
}

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void on_delivery(rd_kafka_t *k, const rd_kafka_message_t *m, void *opaque)
{
    (void)k;
    (void)opaque;
    delivered++;
    failed += m->err != RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_t *client(rd_kafka_type_t type, int argc, char **argv)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char why[512];
    rd_kafka_t *k;

    for (int i = 0; i < argc; i++) {
        char *equals = strchr(argv[i], '=');
        if (!equals)
            die("not KEY=VALUE", argv[i]);
        *equals = 0;
        if (rd_kafka_conf_set(conf, argv[i], equals + 1, why, sizeof why) != RD_KAFKA_CONF_OK)
            die(argv[i], why);
    }
    if (type == RD_KAFKA_PRODUCER)
        rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    k = rd_kafka_new(type, conf, why, sizeof why);
    if (!k)
        die("client", why);
    return k;
}

static void produce_one(rd_kafka_t *k, const char *topic, const char *value, size_t size, int32_t partition)
{
    while (rd_kafka_producev(k, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
                             RD_KAFKA_V_VALUE((void *)(uintptr_t)value, size), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                             RD_KAFKA_V_END) != RD_KAFKA_RESP_ERR_NO_ERROR)
        rd_kafka_poll(k, 10); /* the queue is full */
    rd_kafka_poll(k, 0);
}

static void settle(rd_kafka_t *k, int64_t count)
{
    if (rd_kafka_flush(k, 120000) || delivered != count || failed)
        die("produce", "records were not delivered");
}

static double produce(rd_kafka_t *k, const char *topic, int64_t count, size_t size)
{
    char *value = calloc(1, size);
    int64_t started;

    for (size_t i = 0; value && i < size; i++)
        value[i] = (char)('a' + i * 31 % 26);
    produce_one(k, topic, value, size, 0); /* connect first */
    settle(k, 1);
    started = now_us();
    for (int64_t i = 0; i < count; i++)
        produce_one(k, topic, value, size, (int32_t)(i / 1000 % 3));
    settle(k, count + 1);
    free(value);
    return (double)count * (double)size / (double)(now_us() - started);
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static double latency(rd_kafka_t *k, const char *topic, int64_t count, size_t size)
{
    char *value = calloc(1, size);
    int64_t *times = calloc((size_t)count, sizeof *times);

    if (!value || !times)
        die("latency", "no memory");
    produce_one(k, topic, value, size, 0);
    settle(k, 1);
    for (int64_t i = 0; i < count; i++) {
        int64_t started = now_us(), want = delivered + 1;
        produce_one(k, topic, value, size, 0);
        while (delivered < want)
            rd_kafka_poll(k, 100);
        times[i] = now_us() - started;
    }
    qsort(times, (size_t)count, sizeof *times, by_value);
    return (double)times[count / 2];
}

static double consume(rd_kafka_t *k, const char *topic, int64_t count)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(3);
    int64_t got = 0, bytes = 0, started = 0, until = now_us() + 120000000;

    for (int32_t p = 0; p < 3; p++)
        rd_kafka_topic_partition_list_add(list, topic, p)->offset = RD_KAFKA_OFFSET_BEGINNING;
    rd_kafka_assign(k, list);
    while (got < count && now_us() < until) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(k, 1000);
        if (m && !m->err) {
            if (!got++)
                started = now_us();
            bytes += (int64_t)m->len;
        }
        if (m)
            rd_kafka_message_destroy(m);
    }
    if (got < count)
        die("consume", "too few records came");
    rd_kafka_topic_partition_list_destroy(list);
    return (double)bytes / (double)(now_us() - started);
}

int main(int argc, char **argv)
{
    double result;
    rd_kafka_t *k;

    if (argc < 6)
        die("usage", "bench_throughput produce|consume|latency TOPIC COUNT SIZE KEY=VALUE...");
    int64_t count = strtoll(argv[3], NULL, 10);
    size_t size = strtoull(argv[4], NULL, 10);
    bool consumes = strcmp(argv[1], "consume") == 0;
    k = client(consumes ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER, argc - 5, argv + 5);
    if (consumes)
        result = consume(k, argv[2], count);
    else if (strcmp(argv[1], "latency") == 0)
        result = latency(k, argv[2], count, size);
    else
        result = produce(k, argv[2], count, size);
    printf("%.1f\n", result);
    if (consumes)
        rd_kafka_consumer_close(k);
    rd_kafka_destroy(k);
    return 0;
}
