/* SPDX-License-Identifier: Apache-2.0
 * Avro records per second that the gateway's judge gets through, of about 200 bytes, in batches as a Produce brings
 * them: framing and id only, and payloads too; beside it the same bytes by memcpy, and only walking the records.
 * Usage: bench_schema_filter */
#include "core/ledger/ledger.h"
#include "gateway/filter/schema_check.h"

#include <stdio.h>
#include <time.h>

enum { ROUNDS = 2000, BATCH = 1000 };

static const char key_json[] = "{\"keytype\":\"SCHEMA\",\"subject\":\"orders-value\",\"version\":1,\"magic\":1}";
static const char value_json[] =
    "{\"subject\":\"orders-value\",\"version\":1,\"id\":1,\"schemaType\":\"AVRO\",\"schema\":\""
    "{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"Order\\\",\\\"fields\\\":["
    "{\\\"name\\\":\\\"id\\\",\\\"type\\\":\\\"long\\\"},{\\\"name\\\":\\\"placed\\\",\\\"type\\\":\\\"long\\\"},"
    "{\\\"name\\\":\\\"customer\\\",\\\"type\\\":\\\"string\\\"},"
    "{\\\"name\\\":\\\"mail\\\",\\\"type\\\":[\\\"null\\\",\\\"string\\\"]},"
    "{\\\"name\\\":\\\"street\\\",\\\"type\\\":\\\"string\\\"},{\\\"name\\\":\\\"city\\\",\\\"type\\\":\\\"string\\\"},"
    "{\\\"name\\\":\\\"age\\\",\\\"type\\\":\\\"int\\\"},{\\\"name\\\":\\\"price\\\",\\\"type\\\":\\\"double\\\"},"
    "{\\\"name\\\":\\\"skus\\\",\\\"type\\\":{\\\"type\\\":\\\"array\\\",\\\"items\\\":\\\"string\\\"}},"
    "{\\\"name\\\":\\\"express\\\",\\\"type\\\":\\\"boolean\\\"},"
    "{\\\"name\\\":\\\"note\\\",\\\"type\\\":[\\\"null\\\",\\\"string\\\"]}]}\",\"deleted\":false}";

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void put_text(struct buf *b, const char *words, int number, int digits)
{
    char text[100];
    int n = snprintf(text, sizeof text, "%s%0*d", words, digits, number);
    buf_varint(b, n);
    buf_put(b, text, (size_t)n);
}

static void put_order(struct buf *b, int i)
{
    double price = 9.95 + i;

    buf_u8(b, 0);
    buf_u32(b, 1);
    buf_varint(b, 1000000 + i);
    buf_varint(b, 1700000000000 + i);
    put_text(b, "Customer Number ", i, 6);
    buf_varint(b, 1);
    put_text(b, "customer@mail.example.com", i, 6);
    put_text(b, "A street with a long name ", i, 3);
    put_text(b, "Castelvecchio di Rocca ", i % 10, 1);
    buf_varint(b, 20 + i % 60);
    buf_put(b, &price, sizeof price);
    buf_varint(b, 3);
    for (int k = 0; k < 3; k++)
        put_text(b, "SKU-", i + k, 8);
    buf_varint(b, 0);
    buf_u8(b, 1);
    buf_varint(b, 1);
    put_text(b, "leave at the door, number ", i % 100, 2);
}

static double say(const char *what, double seconds, size_t bytes)
{
    double n = (double)ROUNDS * BATCH;
    printf("%-24s %12.0f records/s  %9.1f MB/s\n", what, n / seconds, (double)bytes * ROUNDS / seconds / 1e6);
    return n / seconds;
}

static enum err make_batch(struct buf *out, size_t *payload)
{
    struct record_batch_builder b;
    struct buf value;
    enum err err;

    buf_init(&value, 0);
    record_batch_builder_init(&b, WIRE_CODEC_NONE, 0);
    *payload = 0;
    for (int i = 0; i < BATCH; i++) {
        buf_clear(&value);
        put_order(&value, i);
        *payload += value.n;
        record_batch_append(&b, 1700000000000, SLICE_NULL, buf_slice(&value), NULL, 0);
    }
    err = record_batch_finish(&b, out);
    record_batch_builder_free(&b);
    buf_free(&value);
    return err;
}

static double judge(struct schema_judge *j, enum schema_level level, struct slice batch)
{
    struct schema_settings s = {0};
    struct arena a;
    double started = now();

    arena_init(&a, 0);
    s.side[SCHEMA_VALUE].level = level;
    for (int r = 0; r < ROUNDS; r++) {
        struct schema_findings f = {.arena = &a};
        if (schema_judge_records(j, &s, batch, NULL, &f, NULL) || f.n > 0)
            return 0;
    }
    arena_free(&a);
    return now() - started;
}

static double walk(struct slice batch)
{
    double started = now();

    for (int r = 0; r < ROUNDS; r++) {
        struct record_batch b;
        struct record_iter it;
        struct record record;
        struct buf plain;
        bool more = true;

        buf_init(&plain, 0);
        if (record_batch_parse(batch, &b, NULL) || record_iter_open(&it, &b, &plain, 0, NULL))
            return 0;
        while (more)
            if (record_iter_next(&it, &record, &more, NULL))
                return 0;
        buf_free(&plain);
    }
    return now() - started;
}

int main(void)
{
    static uint8_t copy[1024 * 1024];
    struct schemas_config config = {.topic = "_schemas", .memory = true};
    struct schemas *schemas;
    struct schema_judge *j;
    struct buf batch;
    size_t payload;
    double started, copied, judged;

    buf_init(&batch, sizeof copy);
    if (schemas_open(&schemas, &config, NULL) ||
        ledger_memory_append(schemas_ledger(schemas), slice_str(key_json), slice_str(value_json)) ||
        ledger_sync(schemas_ledger(schemas), 5000, NULL) || make_batch(&batch, &payload) ||
        !(j = schema_judge_new(schemas, slice_str("orders"))))
        return 1;
    printf("%zu bytes each, %d in a batch\n", payload / BATCH, BATCH);
    started = now();
    for (int r = 0; r < ROUNDS; r++) {
        memcpy(copy, batch.p, batch.n);
        __asm__ volatile("" ::"r"(copy) : "memory");
    }
    copied = say("memcpy", now() - started, batch.n);
    say("walk the records", walk(buf_slice(&batch)), batch.n);
    say("validation=id", judge(j, SCHEMA_LEVEL_ID, buf_slice(&batch)), batch.n);
    judged = say("validation=payload", judge(j, SCHEMA_LEVEL_PAYLOAD, buf_slice(&batch)), batch.n);
    printf("payload validation is %.3f of memcpy; the goal is 1,000,000 records/s: %s\n", judged / copied,
           judged > 1e6 ? "met" : "MISSED");
    schema_judge_free(j);
    schemas_stop(schemas);
    schemas_close(schemas);
    buf_free(&batch);
    return judged > 1e6 ? 0 : 1;
}
