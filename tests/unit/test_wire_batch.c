/* SPDX-License-Identifier: Apache-2.0
 * Record batches: built, read back, walked, patched, cut and changed. */
#include "core/wire/record_batch.h"
#include "core/wire/crc32c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static void build(struct buf *out, enum wire_codec codec, int records)
{
    struct record_batch_builder b;
    struct record_header headers[] = {{slice_str("h"), slice_str("v")}, {slice_str("null"), SLICE_NULL}};

    record_batch_builder_init(&b, codec, 0);
    b.head.producer_id = 7;
    b.head.producer_epoch = 1;
    b.head.base_sequence = 10;
    for (int i = 0; i < records; i++)
        record_batch_append(&b, 1000 + i, i % 2 ? SLICE_NULL : slice_str("key"),
                            i == 2 ? SLICE_NULL : slice_str("value"), headers, i % 3);
    assert_int_equal(record_batch_finish(&b, out), ERR_OK);
    record_batch_builder_free(&b);
}

static void check_records(const struct record_batch *b, int records, int64_t first_offset)
{
    struct buf scratch;
    struct record_iter it;
    struct record r;
    bool more;
    int n = 0;

    buf_init(&scratch, 0);
    assert_int_equal(record_iter_open(&it, b, &scratch, 0, NULL), ERR_OK);
    while (record_iter_next(&it, &r, &more, NULL) == ERR_OK && more) {
        struct cursor c = cursor_of(r.headers);
        struct record_header h;
        int headers = 0;
        assert_true(r.offset == first_offset + n);
        assert_true(r.timestamp == 1000 + n);
        assert_true(slice_eq(r.key, n % 2 ? SLICE_NULL : slice_str("key")));
        assert_true(slice_eq(r.value, n == 2 ? SLICE_NULL : slice_str("value")));
        while (record_header_next(&c, &h))
            headers++;
        assert_int_equal(headers, n % 3);
        assert_int_equal(r.header_count, n % 3);
        n++;
    }
    assert_int_equal(n, records);
    buf_free(&scratch);
}

static void test_build_and_read(void **state)
{
    (void)state;
    for (int codec = WIRE_CODEC_NONE; codec < WIRE_CODEC_COUNT; codec++) {
        struct record_batch b;
        struct buf out;
        buf_init(&out, 0);
        build(&out, (enum wire_codec)codec, 20);
        assert_int_equal(record_batch_parse(buf_slice(&out), &b, NULL), ERR_OK);
        assert_int_equal(b.bytes.n, out.n);
        assert_int_equal(record_batch_check_produced(&b, NULL), ERR_OK);
        assert_int_equal(record_batch_codec(&b), codec);
        assert_int_equal(b.record_count, 20);
        assert_int_equal(b.last_offset_delta, 19);
        assert_true(b.base_timestamp == 1000 && b.max_timestamp == 1019);
        assert_int_equal(record_batch_last_sequence(&b), 29);
        check_records(&b, 20, 0);
        buf_free(&out);
    }
}

static void test_patching(void **state)
{
    struct record_batch b;
    struct record_iter it;
    struct record r;
    struct buf out, scratch;
    bool more;
    (void)state;
    buf_init(&out, 0);
    buf_init(&scratch, 0);
    build(&out, WIRE_CODEC_LZ4, 5);
    record_batch_set_base_offset(out.p, INT64_C(1) << 40);
    record_batch_set_leader_epoch(out.p, 9);
    assert_int_equal(record_batch_parse(buf_slice(&out), &b, NULL), ERR_OK);
    assert_int_equal(record_batch_check_crc(&b, NULL), ERR_OK);
    assert_int_equal(b.partition_leader_epoch, 9);
    assert_true(record_batch_last_offset(&b) == (INT64_C(1) << 40) + 4);
    check_records(&b, 5, INT64_C(1) << 40);
    record_batch_set_max_timestamp(out.p, out.n, true, 5000);
    assert_int_equal(record_batch_parse(buf_slice(&out), &b, NULL), ERR_OK);
    assert_int_equal(record_batch_check_crc(&b, NULL), ERR_OK);
    assert_int_equal(record_batch_codec(&b), WIRE_CODEC_LZ4);
    assert_int_equal(record_iter_open(&it, &b, &scratch, 0, NULL), ERR_OK);
    assert_int_equal(record_iter_next(&it, &r, &more, NULL), ERR_OK);
    assert_true(more && r.timestamp == 5000);
    buf_free(&out);
    buf_free(&scratch);
}

static void test_walk_tolerates_a_cut_end(void **state)
{
    struct buf out;
    size_t first, second;
    (void)state;
    buf_init(&out, 0);
    build(&out, WIRE_CODEC_NONE, 2);
    first = out.n;
    build(&out, WIRE_CODEC_ZSTD, 3);
    second = out.n;
    build(&out, WIRE_CODEC_NONE, 4);
    for (size_t n = 0; n <= out.n; n++) {
        uint8_t *copy = malloc(n ? n : 1);
        struct slice rest = slice_of(copy, n);
        struct record_batch b;
        bool more = true;
        int seen = 0;
        memcpy(copy, out.p, n);
        for (;;) {
            assert_int_equal(record_batches_next(&rest, &b, &more, NULL), ERR_OK);
            if (!more)
                break;
            seen++;
        }
        assert_int_equal(seen, (n >= first) + (n >= second) + (n == out.n));
        free(copy);
    }
    buf_free(&out);
}

static enum err parse_changed(struct buf *out, size_t at, uint8_t value, struct reason *why)
{
    struct record_batch b;
    uint8_t was = out->p[at];
    enum err e;
    out->p[at] = value;
    e = record_batch_parse(buf_slice(out), &b, why);
    if (!e)
        e = record_batch_check_crc(&b, why);
    out->p[at] = was;
    return e;
}

static void test_wrong_headers(void **state)
{
    struct reason why;
    struct buf out;
    (void)state;
    buf_init(&out, 0);
    build(&out, WIRE_CODEC_NONE, 3);
    assert_int_equal(parse_changed(&out, RECORD_BATCH_MAGIC_AT, 1, &why), ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT);
    assert_int_equal(parse_changed(&out, RECORD_BATCH_MAGIC_AT, 0, &why), ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT);
    assert_int_equal(parse_changed(&out, RECORD_BATCH_MAGIC_AT, 3, &why), ERR_CORRUPT_MESSAGE);
    assert_int_equal(parse_changed(&out, 8, 0x80, &why), ERR_CORRUPT_MESSAGE);         /* negative length */
    assert_int_equal(parse_changed(&out, 11, 10, &why), ERR_CORRUPT_MESSAGE);          /* shorter than a header */
    assert_int_equal(parse_changed(&out, 10, 0x7f, &why), ERR_TRUNCATED);              /* longer than there is */
    assert_int_equal(parse_changed(&out, 57, 0x80, &why), ERR_CORRUPT_MESSAGE);        /* negative count */
    assert_int_equal(parse_changed(&out, out.n - 1, 0x77, &why), ERR_CORRUPT_MESSAGE); /* CRC */
    assert_non_null(strstr(why.text, "CRC"));
    buf_free(&out);
}

/* Gives the batch a right CRC again after a change. */
static void reseal(struct buf *out)
{
    uint32_t crc = crc32c(out->p + RECORD_BATCH_ATTRIBUTES_AT, out->n - RECORD_BATCH_ATTRIBUTES_AT);
    buf_patch_u32(out, RECORD_BATCH_CRC_AT, crc);
}

static void test_what_producers_may_send(void **state)
{
    static const struct {
        size_t at;
        uint8_t value;
        enum err want;
    } cases[] = {{22, 0x05, ERR_UNSUPPORTED_COMPRESSION_TYPE},
                 {22, 0x20, ERR_INVALID_RECORD},
                 {60, 4, ERR_INVALID_RECORD},
                 {60, 0, ERR_INVALID_RECORD},
                 {43, 0xff, ERR_INVALID_RECORD},
                 {53, 0xff, ERR_INVALID_RECORD},
                 {51, 0xff, ERR_INVALID_RECORD},
                 {22, 0x10, ERR_OK}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct record_batch b;
        struct buf out;
        buf_init(&out, 0);
        build(&out, WIRE_CODEC_NONE, 3);
        out.p[cases[i].at] = cases[i].value;
        reseal(&out);
        assert_int_equal(record_batch_parse(buf_slice(&out), &b, NULL), ERR_OK);
        assert_int_equal(record_batch_check_produced(&b, NULL), cases[i].want);
        buf_free(&out);
    }
}

static void test_changed_records_never_crash(void **state)
{
    (void)state;
    for (int codec = WIRE_CODEC_NONE; codec < WIRE_CODEC_COUNT; codec++) {
        struct buf out, scratch;
        buf_init(&out, 0);
        buf_init(&scratch, 0);
        build(&out, (enum wire_codec)codec, 6);
        for (size_t at = 57; at < out.n; at++) {
            for (unsigned change = 1; change < 256; change += 37) {
                struct record_batch b;
                struct record_iter it;
                struct record r;
                bool more = true;
                out.p[at] ^= (uint8_t)change;
                if (record_batch_parse(buf_slice(&out), &b, NULL) == ERR_OK &&
                    record_iter_open(&it, &b, &scratch, 1 << 20, NULL) == ERR_OK)
                    while (more && record_iter_next(&it, &r, &more, NULL) == ERR_OK)
                        ;
                out.p[at] ^= (uint8_t)change;
            }
        }
        buf_free(&out);
        buf_free(&scratch);
    }
}

static void test_rewriting_keeps_the_header(void **state)
{
    struct record_batch before, after;
    struct record_batch_builder b;
    struct record_iter it;
    struct record r;
    struct buf in, out, scratch;
    bool more;
    (void)state;
    buf_init(&in, 0);
    buf_init(&out, 0);
    buf_init(&scratch, 0);
    build(&in, WIRE_CODEC_GZIP, 6);
    record_batch_set_base_offset(in.p, 77);
    assert_int_equal(record_batch_parse(buf_slice(&in), &before, NULL), ERR_OK);
    record_batch_builder_like(&b, &before, 0);
    assert_int_equal(record_iter_open(&it, &before, &scratch, 0, NULL), ERR_OK);
    while (record_iter_next(&it, &r, &more, NULL) == ERR_OK && more)
        if (r.offset_delta != 3) /* left out, as compaction does: the others keep their offsets */
            record_batch_append_like(&b, &r, r.key, slice_str("changed"));
    assert_int_equal(record_batch_finish(&b, &out), ERR_OK);
    record_batch_builder_free(&b);
    assert_int_equal(record_batch_parse(buf_slice(&out), &after, NULL), ERR_OK);
    assert_int_equal(record_batch_check_crc(&after, NULL), ERR_OK);
    assert_int_equal(after.record_count, 5);
    assert_int_equal(after.last_offset_delta, 5);
    assert_int_equal(after.base_sequence, before.base_sequence);
    assert_true(after.base_offset == 77 && after.max_timestamp == before.max_timestamp);
    assert_int_equal(record_iter_open(&it, &after, &scratch, 0, NULL), ERR_OK);
    for (int64_t want = 77; want < 83; want++) {
        if (want == 80)
            continue;
        assert_int_equal(record_iter_next(&it, &r, &more, NULL), ERR_OK);
        assert_true(more && r.offset == want && slice_eq_str(r.value, "changed"));
    }
    buf_free(&in);
    buf_free(&out);
    buf_free(&scratch);
}

static void test_end_txn_markers(void **state)
{
    (void)state;
    for (int commit = 0; commit < 2; commit++) {
        struct record_batch b;
        struct record_iter it;
        struct record r;
        struct buf out, scratch;
        int32_t epoch;
        bool more;
        buf_init(&out, 0);
        buf_init(&scratch, 0);
        assert_int_equal(record_batch_put_end_txn(&out, 5, 2, 123456, 99, 3, commit, 11), ERR_OK);
        assert_int_equal(record_batch_parse(buf_slice(&out), &b, NULL), ERR_OK);
        assert_int_equal(record_batch_check_crc(&b, NULL), ERR_OK);
        assert_true(record_batch_is_control(&b) && record_batch_is_transactional(&b));
        assert_int_equal(b.base_sequence, -1);
        assert_int_equal(record_iter_open(&it, &b, &scratch, 0, NULL), ERR_OK);
        assert_int_equal(record_iter_next(&it, &r, &more, NULL), ERR_OK);
        assert_int_equal(record_control_type(r.key), commit ? RECORD_CONTROL_COMMIT : RECORD_CONTROL_ABORT);
        assert_int_equal(record_control_coordinator_epoch(r.value, &epoch), ERR_OK);
        assert_int_equal(epoch, 11);
        assert_int_equal(record_control_type(slice_str("x")), RECORD_CONTROL_UNKNOWN);
        buf_free(&out);
        buf_free(&scratch);
    }
}

static void test_sequences_wrap(void **state)
{
    struct record_batch b = {.base_sequence = INT32_MAX - 1, .last_offset_delta = 3};
    (void)state;
    assert_int_equal(record_batch_last_sequence(&b), 1);
    b.base_sequence = -1;
    assert_int_equal(record_batch_last_sequence(&b), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_build_and_read),
        cmocka_unit_test(test_patching),
        cmocka_unit_test(test_walk_tolerates_a_cut_end),
        cmocka_unit_test(test_wrong_headers),
        cmocka_unit_test(test_what_producers_may_send),
        cmocka_unit_test(test_changed_records_never_crash),
        cmocka_unit_test(test_rewriting_keeps_the_header),
        cmocka_unit_test(test_end_txn_markers),
        cmocka_unit_test(test_sequences_wrap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
