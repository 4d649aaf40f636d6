/* SPDX-License-Identifier: Apache-2.0
 * Runs of batches without their compression: the same records, within limits, whatever the codec. */
#include "core/wire/compress.h"
#include "core/wire/record_unpack.h"

#include "malloc_fault.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

enum { MIB = 1 << 20 };

static void put_batch(struct buf *out, enum wire_codec codec, int records, size_t value_n)
{
    struct record_batch_builder b;
    uint8_t *value = calloc(1, value_n + 1);

    record_batch_builder_init(&b, codec, 0);
    b.head.base_offset = 77;
    b.head.producer_id = 9;
    b.head.producer_epoch = 1;
    b.head.base_sequence = 5;
    for (int i = 0; i < records; i++)
        record_batch_append(&b, 1000 + i, slice_str("key"), slice_of(value, value_n), NULL, 0);
    assert_int_equal(record_batch_finish(&b, out), ERR_OK);
    record_batch_builder_free(&b);
    free(value);
}

static struct record_unpack limits(size_t batch_max, size_t request_max)
{
    return (struct record_unpack){.limits = {batch_max, request_max}};
}

/* The batches of both hold the same records, and the second is not compressed. */
static void expect_same(struct slice run, struct slice plain)
{
    struct record_batch a, b;
    bool more, more_plain;
    struct buf scratch;

    buf_init(&scratch, 0);
    while (!record_batches_next(&run, &a, &more, NULL) && more) {
        struct slice records = a.records;
        assert_int_equal(record_batches_next(&plain, &b, &more_plain, NULL), ERR_OK);
        assert_true(more_plain);
        assert_int_equal(record_batch_codec(&b), WIRE_CODEC_NONE);
        assert_int_equal(record_batch_check_crc(&b, NULL), ERR_OK);
        assert_int_equal(a.attributes & ~RECORD_CODEC_MASK, b.attributes);
        assert_int_equal(a.base_offset, b.base_offset);
        assert_int_equal(a.producer_id, b.producer_id);
        assert_int_equal(a.base_sequence, b.base_sequence);
        assert_int_equal(a.record_count, b.record_count);
        assert_int_equal(a.max_timestamp, b.max_timestamp);
        buf_clear(&scratch);
        if (record_batch_codec(&a)) {
            assert_int_equal(wire_decompress(record_batch_codec(&a), a.records, &scratch, 0, NULL), ERR_OK);
            records = buf_slice(&scratch);
        }
        assert_true(slice_eq(records, b.records));
    }
    assert_int_equal(plain.n, 0);
    buf_free(&scratch);
}

static void test_every_codec(void **state)
{
    struct record_unpack u = limits(MIB, 2 * MIB);
    struct buf run, plain;
    size_t used;

    (void)state;
    buf_init(&run, 0);
    buf_init(&plain, 0);
    for (int codec = 0; codec < WIRE_CODEC_COUNT; codec++)
        put_batch(&run, (enum wire_codec)codec, 10 + codec, 1000);
    buf_put_str(&plain, "before");
    assert_true(record_unpack_needed(buf_slice(&run)));
    assert_int_equal(record_unpack_run(&u, buf_slice(&run), &plain, &used, NULL), ERR_OK);
    assert_int_equal(used, run.n);
    assert_memory_equal(plain.p, "before", 6);
    expect_same(buf_slice(&run), slice_of(plain.p + 6, plain.n - 6));
    assert_true(u.spent > 40000 && u.spent < 60000); /* the plain one needs no work */
    assert_true(record_unpack_bound(buf_slice(&run), &u.limits) >= plain.n);
    buf_clear(&run);
    put_batch(&run, WIRE_CODEC_NONE, 3, 10);
    assert_false(record_unpack_needed(buf_slice(&run)));
    assert_false(record_unpack_needed(slice_str("no batch at all, not even a header")));
    buf_free(&run);
    buf_free(&plain);
}

static void test_a_last_batch_that_is_cut_short(void **state)
{
    struct record_unpack u = limits(MIB, MIB);
    struct buf run, plain;
    size_t first, used;

    (void)state;
    buf_init(&run, 0);
    buf_init(&plain, 0);
    put_batch(&run, WIRE_CODEC_LZ4, 10, 100);
    first = run.n;
    put_batch(&run, WIRE_CODEC_LZ4, 10, 100);
    assert_int_equal(record_unpack_run(&u, slice_of(run.p, run.n - 5), &plain, &used, NULL), ERR_OK);
    assert_int_equal(used, first);
    expect_same(slice_of(run.p, first), buf_slice(&plain));
    buf_free(&run);
    buf_free(&plain);
}

static void test_bombs_stop_at_the_limit(void **state)
{
    (void)state;
    for (int codec = WIRE_CODEC_GZIP; codec < WIRE_CODEC_COUNT; codec++) {
        struct record_unpack u = limits(MIB, 8 * MIB);
        struct reason why = {0};
        struct buf run, plain;
        buf_init(&run, 0);
        buf_init(&plain, 0);
        put_batch(&run, (enum wire_codec)codec, 1, 20 * MIB);
        assert_int_equal(record_unpack_run(&u, buf_slice(&run), &plain, NULL, &why), ERR_MESSAGE_TOO_LARGE);
        assert_non_null(strstr(why.text, "castellan.batch.decompressed.max.bytes (1048576)"));
        assert_true(plain.cap <= 4 * MIB);
        assert_int_equal(plain.n, 0);
        assert_true(record_unpack_bound(buf_slice(&run), &u.limits) <= run.n + MIB);
        buf_free(&run);
        buf_free(&plain);
    }
}

static void test_the_limit_of_a_request(void **state)
{
    struct record_unpack u = limits(2 * MIB, 3 * MIB);
    struct reason why = {0};
    struct buf run, plain;
    size_t one, used;

    (void)state;
    buf_init(&run, 0);
    buf_init(&plain, 0);
    put_batch(&run, WIRE_CODEC_ZSTD, 1, MIB);
    one = run.n;
    for (int i = 0; i < 4; i++)
        put_batch(&run, WIRE_CODEC_ZSTD, 1, MIB);
    assert_int_equal(record_unpack_run(&u, buf_slice(&run), &plain, NULL, &why), ERR_MESSAGE_TOO_LARGE);
    assert_non_null(strstr(why.text, "castellan.request.decompressed.max.bytes"));
    assert_int_equal(plain.n, 0);

    u = limits(2 * MIB, 3 * MIB);
    u.cuts = true; /* what a Fetch asks for: as many as fit, the rest next time */
    assert_int_equal(record_unpack_run(&u, buf_slice(&run), &plain, &used, NULL), ERR_OK);
    assert_int_equal(used, 2 * one);
    expect_same(slice_of(run.p, used), buf_slice(&plain));
    buf_clear(&plain);
    assert_int_equal(record_unpack_run(&u, buf_slice(&run), &plain, &used, NULL), ERR_OK);
    assert_int_equal(used, 0);
    buf_free(&run);
    buf_free(&plain);
}

static void test_damage(void **state)
{
    struct record_unpack u = limits(MIB, MIB);
    struct reason why = {0};
    struct buf run, plain;
    atomic_bool cancelled = true;

    (void)state;
    buf_init(&run, 0);
    buf_init(&plain, 0);
    put_batch(&run, WIRE_CODEC_GZIP, 10, 100);
    run.p[run.n - 3] ^= 1;
    assert_int_equal(record_unpack_run(&u, buf_slice(&run), &plain, NULL, &why), ERR_CORRUPT_MESSAGE);
    assert_non_null(strstr(why.text, "CRC"));
    assert_int_equal(u.spent, 0); /* not one byte was decompressed */
    assert_int_equal(record_batch_close(run.p, run.n), ERR_OK);
    assert_int_equal(record_unpack_run(&u, buf_slice(&run), &plain, NULL, &why), ERR_CORRUPT_MESSAGE);
    u.cancelled = &cancelled;
    assert_int_equal(record_unpack_run(&u, buf_slice(&run), &plain, NULL, &why), ERR_CANCELLED);
    assert_int_equal(plain.n, 0);
    buf_free(&run);
    buf_free(&plain);
}

static void test_no_memory(void **state)
{
    struct buf run;
    int n = 0;
    enum err e;

    (void)state;
    buf_init(&run, 0);
    for (int codec = 0; codec < WIRE_CODEC_COUNT; codec++)
        put_batch(&run, (enum wire_codec)codec, 10, 50000);
    do {
        struct record_unpack u = limits(MIB, 8 * MIB);
        struct buf plain;
        buf_init(&plain, 0);
        malloc_fault_arm(n++, 1);
        e = record_unpack_run(&u, buf_slice(&run), &plain, NULL, NULL);
        if (e) {
            assert_int_equal(e, ERR_NO_MEMORY);
            assert_int_equal(plain.n, 0);
        }
        malloc_fault_countdown = MALLOC_FAULT_NONE;
        buf_free(&plain);
    } while (e);
    assert_true(n > 2);
    buf_free(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_codec),
        cmocka_unit_test(test_a_last_batch_that_is_cut_short),
        cmocka_unit_test(test_bombs_stop_at_the_limit),
        cmocka_unit_test(test_the_limit_of_a_request),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
