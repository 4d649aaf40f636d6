/* SPDX-License-Identifier: Apache-2.0
 * Decoding and encoding in slices is the same as the generated code: for every message in every version, whatever the
 * length of a slice, for good and for broken bytes, and when memory or room runs out. And a slice does no more than it
 * may: its length bounds how much of a long list is read at once. */
#include "tests/unit/wire_resumable.h"
#include "wire/create_topics.h"
#include "wire/delete_topics.h"
#include "wire/produce.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { ROUNDS = 4 };
static const int32_t slices[] = {1, 2, 7, INT32_MAX};

static void expect_none(const struct wire_message *w, int16_t version, int32_t slice, const char *differs)
{
    if (differs)
        fail_msg("%s version %d in slices of %d: %s", w->name, version, (int)slice, differs);
}

static struct buf encoded(const struct wire_message *w, int16_t version, uint64_t seed, struct arena *a, uint8_t **m)
{
    struct buf b;

    arena_init(a, 0);
    buf_init(&b, 0);
    assert_int_equal(random_message(w, version, seed, a, m, &b), ERR_OK);
    return b;
}

static void same_both_ways(const struct wire_message *w, int16_t version, uint64_t seed)
{
    struct arena a;
    uint8_t *m;
    struct buf b = encoded(w, version, seed, &a, &m);

    for (size_t i = 0; i < sizeof slices / sizeof *slices; i++) {
        expect_none(w, version, slices[i], decoding_differs(w, buf_slice(&b), version, slices[i], 0));
        expect_none(w, version, slices[i], encoding_differs(w, m, version, slices[i], 0));
    }
    buf_u8(&b, 7); /* what stands behind stays there */
    expect_none(w, version, 3, decoding_differs(w, buf_slice(&b), version, 3, 0));
    buf_free(&b);
    arena_free(&a);
}

static void test_the_same_both_ways(void **state)
{
    (void)state;
    every_version(same_both_ways, ROUNDS);
}

/* What one version says and another one cannot, or only by leaving it out; and versions that there are not. */
static void same_in_other_versions(const struct wire_message *w, int16_t version, uint64_t seed)
{
    struct arena a;
    uint8_t *m;
    struct buf b = encoded(w, version, seed, &a, &m);

    for (int16_t v = (int16_t)(w->valid.min - 1); v <= w->valid.max + 1; v++) {
        expect_none(w, v, 2, encoding_differs(w, m, v, 2, 0));
        expect_none(w, v, 2, decoding_differs(w, buf_slice(&b), v, 2, 64 << 20));
    }
    buf_free(&b);
    arena_free(&a);
}

static void test_the_same_in_other_versions(void **state)
{
    (void)state;
    every_version(same_in_other_versions, 2);
}

static void same_when_broken(const struct wire_message *w, int16_t version, uint64_t seed)
{
    struct arena a;
    uint8_t *m;
    struct buf b = encoded(w, version, seed, &a, &m);

    for (size_t n = 0; n < b.n; n++)
        expect_none(w, version, 5, decoding_differs(w, slice_of(b.p, n), version, 5, 0));
    for (size_t at = 0; at < b.n; at++) {
        uint8_t was = b.p[at];
        b.p[at] = (uint8_t)random_next(&seed);
        expect_none(w, version, 4, decoding_differs(w, buf_slice(&b), version, 4, 64 << 20));
        b.p[at] = was;
    }
    buf_free(&b);
    arena_free(&a);
}

static void test_the_same_when_broken(void **state)
{
    (void)state;
    every_version(same_when_broken, 2);
}

static void same_when_full(const struct wire_message *w, int16_t version, uint64_t seed)
{
    struct arena a, used;
    uint8_t *m;
    struct buf b = encoded(w, version, seed, &a, &m);
    struct cursor c = cursor_of(buf_slice(&b));

    arena_init(&used, 0);
    assert_int_equal(w->decode(wire_struct_new(w->body, &used), &c, version, &used), ERR_OK);
    for (size_t max = 16; max < used.used; max += 1 + used.used / 16)
        expect_none(w, version, 3, decoding_differs(w, buf_slice(&b), version, 3, max));
    for (size_t max = 6; max < b.n + 6; max += 1 + b.n / 16)
        expect_none(w, version, 3, encoding_differs(w, m, version, 3, max));
    arena_free(&used);
    buf_free(&b);
    arena_free(&a);
}

static void test_the_same_when_there_is_no_room(void **state)
{
    (void)state;
    every_version(same_when_full, 2);
}

static void defaults_are_the_same(const struct wire_message *w, int16_t version, uint64_t seed)
{
    struct arena a;

    (void)seed;
    arena_init(&a, 0);
    expect_none(w, version, 1, encoding_differs(w, wire_struct_new(w->body, &a), version, 1, 0));
    arena_free(&a);
}

static void test_defaults_are_the_same(void **state)
{
    (void)state;
    every_version(defaults_are_the_same, 1);
}

static void test_long_bytes_are_copied_in_pieces(void **state)
{
    enum { N = 5 * WIRE_SLICE_BYTES + 3 };
    static const int16_t versions[] = {3, 9};
    struct produce_request m;
    struct arena a;
    uint8_t *records = calloc(1, N);

    (void)state;
    assert_non_null(records);
    records[N - 1] = 9;
    arena_init(&a, 0);
    produce_request_init(&m);
    m.transactional_id = SLICE_NULL;
    assert_non_null(produce_request_topic_produce_data_array_alloc(&m.topic_data, 1, &a));
    m.topic_data.v[0].name = slice_str("t");
    assert_non_null(produce_request_partition_produce_data_array_alloc(&m.topic_data.v[0].partition_data, 2, &a));
    m.topic_data.v[0].partition_data.v[0].records = slice_of(records, N);
    m.topic_data.v[0].partition_data.v[1].records = slice_of(records, 2);
    for (size_t i = 0; i < 2; i++) {
        struct wire_encoding e;
        struct buf b;
        int32_t units = 1, runs = 1;

        expect_none(&produce_request_message, versions[i], 1,
                    encoding_differs(&produce_request_message, &m, versions[i], 1, 0));
        buf_init(&b, 0);
        wire_encoding_begin(&e, &produce_request_message, &m, &b, versions[i]);
        for (; wire_encoding_run(&e, &units) == WIRE_MORE; runs++) {
            assert_true(b.n <= (size_t)runs * (WIRE_SLICE_BYTES + 100));
            units = 1;
        }
        assert_true(runs >= 6);
        buf_free(&b);
    }
    arena_free(&a);
    free(records);
}

/* Topics by the hundred thousand: no run takes more elements than it has units, and what one run takes is short. */
static void test_a_slice_is_bounded(void **state)
{
    enum { TOPICS = 300000, SLICE = 2048 };
    const struct wire_message *w = &create_topics_request_message;
    struct create_topics_request m, back;
    struct wire_decoding d;
    struct arena a, b;
    struct buf bytes;
    enum wire_progress progress;
    int32_t runs = 0, units;

    (void)state;
    arena_init(&a, 0);
    arena_init(&b, 0);
    buf_init(&bytes, 0);
    create_topics_request_init(&m);
    assert_non_null(create_topics_request_creatable_topic_array_alloc(&m.topics, TOPICS, &a));
    assert_int_equal(encode_in_slices(w, &m, &bytes, 7, SLICE), ERR_OK);
    wire_decoding_begin(&d, w, &back, cursor_of(buf_slice(&bytes)), 7, &b);
    do {
        const uint8_t *was = d.cursor.p;
        units = SLICE;
        progress = wire_decoding_run(&d, &units);
        assert_true(progress == WIRE_DONE || units <= 0);
        assert_true((size_t)(d.cursor.p - was) <= 10 * (SLICE + 1)); /* a topic has 10 bytes here */
        runs++;
    } while (progress == WIRE_MORE);
    assert_int_equal(progress, WIRE_DONE);
    assert_true(runs >= TOPICS / SLICE);
    assert_true(wire_struct_equal(w->body, (uint8_t *)&m, (uint8_t *)&back));
    units = 0;
    wire_decoding_begin(&d, w, &back, cursor_of(buf_slice(&bytes)), 7, &b);
    assert_int_equal(wire_decoding_run(&d, &units), WIRE_MORE); /* without units nothing is done */
    assert_ptr_equal(d.cursor.p, bytes.p);
    arena_free(&a);
    arena_free(&b);
    buf_free(&bytes);
}

/* Unknown tagged fields are a list too. */
static void test_a_slice_of_tags_is_bounded(void **state)
{
    enum { TAGS = 100000 };
    struct delete_topics_request back;
    struct wire_decoding d;
    struct arena a;
    struct buf bytes;
    int32_t units = 100;

    (void)state;
    arena_init(&a, 0);
    buf_init(&bytes, 0);
    buf_u8(&bytes, 1);
    buf_u32(&bytes, 1000);
    buf_uvarint(&bytes, TAGS);
    for (uint32_t i = 0; i < TAGS; i++) {
        buf_uvarint(&bytes, i + 50);
        buf_u8(&bytes, 0);
    }
    wire_decoding_begin(&d, &delete_topics_request_message, &back, cursor_of(buf_slice(&bytes)), 6, &a);
    assert_int_equal(wire_decoding_run(&d, &units), WIRE_MORE);
    assert_in_range(back.tags.n, 90, 101);
    expect_none(&delete_topics_request_message, 6, 1000,
                decoding_differs(&delete_topics_request_message, buf_slice(&bytes), 6, 1000, 0));
    arena_free(&a);
    buf_free(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_both_ways),    cmocka_unit_test(test_the_same_in_other_versions),
        cmocka_unit_test(test_the_same_when_broken),  cmocka_unit_test(test_the_same_when_there_is_no_room),
        cmocka_unit_test(test_defaults_are_the_same), cmocka_unit_test(test_long_bytes_are_copied_in_pieces),
        cmocka_unit_test(test_a_slice_is_bounded),    cmocka_unit_test(test_a_slice_of_tags_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
