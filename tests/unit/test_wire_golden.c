/* SPDX-License-Identifier: Apache-2.0
 * Our bytes against those of Apache Kafka's own clients library: messages decode, and encode to the same bytes; some
 * are built here from scratch; record batches of every codec open to the records that were put in. */
#include "core/wire/record_batch.h"
#include "wire/fetch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { LINE_MAX_BYTES = 4096 };

static const char golden_path[] = TEST_SOURCE "/tests/golden/wire_kafka_clients.txt";

struct golden {
    char name[64];
    int version;
    uint8_t bytes[LINE_MAX_BYTES / 2];
    size_t n;
};

static bool next_golden(FILE *in, struct golden *g)
{
    char line[LINE_MAX_BYTES], hex[LINE_MAX_BYTES];

    while (fgets(line, sizeof line, in)) {
        if (line[0] == '#')
            continue;
        hex[0] = 0;
        assert_true(sscanf(line, "%63s %d %4095s", g->name, &g->version, hex) >= 2);
        g->n = strlen(hex) / 2;
        for (size_t i = 0; i < g->n; i++) {
            char two[3] = {hex[2 * i], hex[2 * i + 1], 0};
            g->bytes[i] = (uint8_t)strtoul(two, NULL, 16);
        }
        return true;
    }
    return false;
}

/* The first golden line of that name and version. */
static void find_golden(const char *name, int version, struct golden *g)
{
    FILE *in = fopen(golden_path, "r");
    assert_non_null(in);
    while (next_golden(in, g)) {
        if (strcmp(g->name, name) == 0 && g->version == version) {
            fclose(in);
            return;
        }
    }
    fclose(in);
    fail_msg("no golden bytes for %s %d", name, version);
}

static const struct wire_message *find_message(const char *name)
{
    size_t n;
    const struct wire_message *const *all = wire_messages(&n);
    for (size_t i = 0; i < n; i++)
        if (strcmp(all[i]->name, name) == 0)
            return all[i];
    return NULL;
}

static void test_messages_encode_as_kafka_does(void **state)
{
    FILE *in = fopen(golden_path, "r");
    struct golden g;
    int seen = 0;
    (void)state;
    assert_non_null(in);
    while (next_golden(in, &g)) {
        const struct wire_message *w = find_message(g.name);
        struct arena a;
        struct buf out;
        struct cursor c = cursor_of(slice_of(g.bytes, g.n));
        void *m;
        if (!w)
            continue;
        arena_init(&a, 0);
        buf_init(&out, 0);
        m = wire_struct_new(w->body, &a);
        if (w->decode(m, &c, (int16_t)g.version, &a) != ERR_OK || cursor_finish(&c) != ERR_OK)
            fail_msg("%s version %d does not decode", g.name, g.version);
        assert_int_equal(w->encode(m, &out, (int16_t)g.version), ERR_OK);
        if (!slice_eq(buf_slice(&out), slice_of(g.bytes, g.n)))
            fail_msg("%s version %d encodes differently", g.name, g.version);
        seen++;
        buf_free(&out);
        arena_free(&a);
    }
    fclose(in);
    assert_int_equal(seen, 70);
}

static const struct wire_uuid id = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};

static void fill_fetch(struct fetch_request *m, int16_t v, struct arena *a)
{
    struct fetch_request_fetch_partition *p;
    static int32_t forgotten[] = {1, 2};

    fetch_request_init(m);
    m->max_wait_ms = 500;
    m->min_bytes = 1;
    m->max_bytes = 1 << 20;
    m->isolation_level = 1;
    m->rack_id = slice_str("r1");
    if (v >= 12)
        m->cluster_id = slice_str("cluster");
    if (v >= 15)
        m->replica_state.replica_id = 3, m->replica_state.replica_epoch = 9;
    else
        m->replica_id = 3;
    assert_non_null(fetch_request_fetch_topic_array_alloc(&m->topics, 1, a));
    m->topics.v[0].topic = slice_str("topic");
    m->topics.v[0].topic_id = id;
    p = fetch_request_fetch_partition_array_alloc(&m->topics.v[0].partitions, 1, a);
    assert_non_null(p);
    p->partition = 5;
    p->current_leader_epoch = 6;
    p->fetch_offset = 1234567890123;
    p->log_start_offset = 7;
    p->partition_max_bytes = 4096;
    p->last_fetched_epoch = v >= 12 ? 4 : -1;
    if (v >= 17)
        p->replica_directory_id = id;
    if (v >= 18)
        p->high_watermark = 99;
    if (v < 7)
        return;
    m->session_id = 11;
    m->session_epoch = 12;
    assert_non_null(fetch_request_forgotten_topic_array_alloc(&m->forgotten_topics_data, 1, a));
    m->forgotten_topics_data.v[0].topic = slice_str("old");
    m->forgotten_topics_data.v[0].topic_id = id;
    m->forgotten_topics_data.v[0].partitions = (struct wire_int32_array){forgotten, 2};
}

static void test_fetch_from_scratch(void **state)
{
    (void)state;
    for (int16_t v = FETCH_REQUEST_MIN; v <= FETCH_REQUEST_MAX; v++) {
        struct fetch_request m;
        struct golden g;
        struct arena a;
        struct buf out;
        find_golden("FetchRequest", v, &g);
        arena_init(&a, 0);
        buf_init(&out, 0);
        fill_fetch(&m, v, &a);
        assert_int_equal(fetch_request_encode(&m, &out, v), ERR_OK);
        if (!slice_eq(buf_slice(&out), slice_of(g.bytes, g.n)))
            fail_msg("FetchRequest version %d encodes differently", v);
        buf_free(&out);
        arena_free(&a);
    }
}

static void append_golden_records(struct record_batch_builder *b)
{
    const struct record_header headers[] = {{slice_str("h"), slice_str("v")}, {slice_str("n"), SLICE_NULL}};

    record_batch_append(b, 1700000000000, slice_str("key"), slice_str("some value some value some value"), headers, 2);
    record_batch_append(b, 1700000000005, SLICE_NULL, slice_str("second"), NULL, 0);
    record_batch_append(b, 1699999999999, slice_str("k3"), SLICE_NULL, NULL, 0);
}

static void test_batch_from_scratch(void **state)
{
    struct record_batch_builder b;
    struct golden g;
    struct buf out;
    (void)state;
    buf_init(&out, 0);
    for (int codec = WIRE_CODEC_NONE; codec <= WIRE_CODEC_SNAPPY;
         codec += 2) { /* whose bytes are the same everywhere */
        find_golden("batch", codec, &g);
        record_batch_builder_init(&b, (enum wire_codec)codec, 0);
        b.head.base_offset = 42;
        b.head.partition_leader_epoch = 7;
        b.head.producer_id = 1000;
        b.head.producer_epoch = 2;
        b.head.base_sequence = 17;
        append_golden_records(&b);
        buf_clear(&out);
        assert_int_equal(record_batch_finish(&b, &out), ERR_OK);
        assert_int_equal(out.n, g.n);
        assert_memory_equal(out.p, g.bytes, g.n);
        record_batch_builder_free(&b);
    }
    buf_free(&out);
}

static void test_batches_open(void **state)
{
    struct record_batch plain;
    struct golden g, none;
    (void)state;
    find_golden("batch", WIRE_CODEC_NONE, &none);
    assert_int_equal(record_batch_parse(slice_of(none.bytes, none.n), &plain, NULL), ERR_OK);
    for (int codec = WIRE_CODEC_NONE; codec < WIRE_CODEC_COUNT; codec++) {
        struct record_batch b;
        struct buf records;
        find_golden("batch", codec, &g);
        buf_init(&records, 0);
        assert_int_equal(record_batch_parse(slice_of(g.bytes, g.n), &b, NULL), ERR_OK);
        assert_int_equal(record_batch_check_produced(&b, NULL), ERR_OK);
        assert_int_equal(record_batch_codec(&b), codec);
        assert_true(b.base_offset == 42 && b.max_timestamp == 1700000000005 && b.record_count == 3);
        assert_int_equal(wire_decompress((enum wire_codec)codec, b.records, &records, 0, NULL), ERR_OK);
        assert_true(slice_eq(buf_slice(&records), plain.records));
        buf_free(&records);
    }
}

static void test_commit_marker(void **state)
{
    struct golden g;
    struct buf out;
    (void)state;
    buf_init(&out, 0);
    find_golden("marker", 0, &g);
    assert_int_equal(record_batch_put_end_txn(&out, 5, 3, 1700000000000, 99, 4, true, 11), ERR_OK);
    assert_int_equal(out.n, g.n);
    assert_memory_equal(out.p, g.bytes, g.n);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_encode_as_kafka_does),
        cmocka_unit_test(test_fetch_from_scratch),
        cmocka_unit_test(test_batch_from_scratch),
        cmocka_unit_test(test_batches_open),
        cmocka_unit_test(test_commit_marker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
