/* SPDX-License-Identifier: Apache-2.0
 * Avro records per second, of about 200 bytes: validated, shown as JSON and searched by path; for comparison in the
 * same run, copied by memcpy, and decoded by avro-c. Usage: bench_avro */
#include "registry/avro.h"
#include "tests/bench/bench_avro_c.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 2000, KINDS = 1000 };

static const char schema_text[] =
    "{\"type\":\"record\",\"name\":\"Order\",\"fields\":["
    "{\"name\":\"id\",\"type\":\"long\"},{\"name\":\"placed\",\"type\":\"long\"},"
    "{\"name\":\"customer\",\"type\":{\"type\":\"record\",\"name\":\"Customer\",\"fields\":["
    "{\"name\":\"name\",\"type\":\"string\"},{\"name\":\"mail\",\"type\":[\"null\",\"string\"]},"
    "{\"name\":\"age\",\"type\":\"int\"},{\"name\":\"city\",\"type\":\"string\"}]}},"
    "{\"name\":\"state\",\"type\":{\"type\":\"enum\",\"name\":\"State\",\"symbols\":[\"NEW\",\"PAID\",\"SENT\"]}},"
    "{\"name\":\"lines\",\"type\":{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":\"Line\",\"fields\":["
    "{\"name\":\"sku\",\"type\":\"string\"},{\"name\":\"count\",\"type\":\"int\"},{\"name\":\"price\",\"type\":"
    "\"double\"}]}}},{\"name\":\"labels\",\"type\":{\"type\":\"map\",\"values\":\"string\"}},"
    "{\"name\":\"express\",\"type\":\"boolean\"},{\"name\":\"note\",\"type\":[\"null\",\"string\"]}]}";

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
    buf_varint(b, 1000000 + i);
    buf_varint(b, 1700000000000 + i);
    put_text(b, "Customer Number ", i, 6);
    buf_varint(b, 1);
    put_text(b, "customer@mail.example.com", i, 6);
    buf_varint(b, 20 + i % 60);
    put_text(b, "Castelvecchio ", i % 10, 1);
    buf_varint(b, i % 3);
    buf_varint(b, 3);
    for (int k = 0; k < 3; k++) {
        double price = 9.95 + k;
        put_text(b, "SKU-", i + k, 8);
        buf_varint(b, 1 + k);
        buf_put(b, &price, sizeof price);
    }
    buf_varint(b, 0);
    buf_varint(b, 1);
    put_text(b, "channel", i % 10, 1);
    put_text(b, "web", i % 10, 1);
    buf_varint(b, 0);
    buf_u8(b, 1);
    buf_varint(b, 1);
    put_text(b, "leave at the door, number ", i % 100, 2);
}

static void say(const char *what, double seconds, size_t bytes)
{
    double n = (double)ROUNDS * KINDS;
    printf("%-28s %12.0f records/s  %8.1f MB/s\n", what, n / seconds, (double)bytes * ROUNDS / seconds / 1e6);
}

static bool ignore(void *context, const struct avro_found *f)
{
    *(size_t *)context += f->n;
    return true;
}

int main(void)
{
    static struct slice records[KINDS];
    static uint8_t copy[4096];
    struct parsed_schema *s;
    struct avro_program *p;
    struct buf all, json;
    size_t at[KINDS + 1], sum = 0;
    enum { SLOWER = 20 };
    buf_init(&all, 0);
    buf_init(&json, 0);
    for (int i = 0; i < KINDS; i++) {
        at[i] = all.n;
        put_order(&all, i);
    }
    at[KINDS] = all.n;
    for (int i = 0; i < KINDS; i++)
        records[i] = slice_of(all.p + at[i], at[i + 1] - at[i]);
    if (schema_parse(&s, &schema_type_avro, slice_str(schema_text), NULL, 0, NULL, NULL) != ERR_OK ||
        avro_program_new(&p, s, NULL) != ERR_OK)
        return 1;
    printf("%zu bytes each\n", all.n / KINDS);

    double started = now();
    for (int r = 0; r < ROUNDS; r++)
        for (int i = 0; i < KINDS; i++) {
            memcpy(copy, records[i].p, records[i].n);
            __asm__ volatile("" ::"r"(copy) : "memory");
        }
    say("memcpy", now() - started, all.n);

    started = now();
    for (int r = 0; r < ROUNDS; r++)
        for (int i = 0; i < KINDS; i++)
            if (avro_program_validate(p, records[i], NULL) != ERR_OK)
                return 1;
    say("validate", now() - started, all.n);

    started = now();
    for (int r = 0; r < ROUNDS / 4; r++)
        for (int i = 0; i < KINDS; i++)
            if (avro_program_locate(p, records[i], slice_str("customer.mail"), ignore, &sum, NULL) != ERR_OK)
                return 1;
    say("locate customer.mail", (now() - started) * 4, all.n);

    started = now();
    for (int r = 0; r < ROUNDS / SLOWER; r++)
        for (int i = 0; i < KINDS; i++) {
            buf_clear(&json);
            if (avro_program_to_json(p, records[i], AVRO_JSON_PLAIN, &json, NULL) != ERR_OK)
                return 1;
        }
    say("to JSON", (now() - started) * SLOWER, all.n);
    say("decode by avro-c", bench_avro_c(schema_text, records, KINDS, ROUNDS / SLOWER) * SLOWER, all.n);
    avro_program_free(p);
    schema_free(s);
    buf_free(&all);
    buf_free(&json);
    return sum == 0;
}
