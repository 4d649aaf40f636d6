/* SPDX-License-Identifier: Apache-2.0
 * CRC-32C and the codecs: known answers, round trips, foreign framings, broken and hostile input. */
#include "core/wire/compress.h"
#include "core/wire/crc32c.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <snappy-c.h>
#include <cmocka.h>

static void test_crc_known_answers(void **state)
{
    uint8_t b[32] = {0};
    (void)state;
    /* RFC 3720, B.4 */
    assert_int_equal(crc32c("", 0), 0);
    assert_int_equal(crc32c("123456789", 9), 0xe3069283);
    assert_int_equal(crc32c(b, 32), 0x8a9136aa);
    memset(b, 0xff, 32);
    assert_int_equal(crc32c(b, 32), 0x62a8ab43);
    for (int i = 0; i < 32; i++)
        b[i] = (uint8_t)i;
    assert_int_equal(crc32c(b, 32), 0x46dd794e);
}

static void test_crc_ways_agree(void **state)
{
    uint8_t b[300];
    (void)state;
    for (size_t i = 0; i < sizeof b; i++)
        b[i] = (uint8_t)(i * 31 + 7);
    for (size_t at = 0; at < 9; at++) {
        for (size_t n = 0; n + at <= sizeof b; n++) {
            uint32_t whole = crc32c(b + at, n);
            assert_int_equal(whole, crc32c_extend_portable(0, b + at, n));
            assert_int_equal(whole, crc32c_extend(crc32c(b + at, n / 3), b + at + n / 3, n - n / 3));
        }
    }
}

static struct slice sample(size_t n, uint8_t *space)
{
    uint32_t x = 1;
    for (size_t i = 0; i < n; i++) { /* compressible, not trivial */
        x = x * 1664525u + 1013904223u;
        space[i] = i % 7 ? (uint8_t) "castellan"[i % 9] : (uint8_t)(x >> 24);
    }
    return slice_of(space, n);
}

static void test_round_trips(void **state)
{
    static const size_t sizes[] = {0, 1, 10, 1000, 32 * 1024, 32 * 1024 + 1, 65536, 300000};
    uint8_t *space = malloc(300000);
    (void)state;
    assert_non_null(space);
    for (int codec = WIRE_CODEC_NONE; codec < WIRE_CODEC_COUNT; codec++) {
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            struct slice in = sample(sizes[i], space);
            struct buf packed, back;
            buf_init(&packed, 0);
            buf_init(&back, 0);
            buf_put_str(&back, "x"); /* appends */
            assert_int_equal(wire_compress((enum wire_codec)codec, WIRE_LEVEL_DEFAULT, in, &packed), ERR_OK);
            assert_int_equal(wire_decompress((enum wire_codec)codec, buf_slice(&packed), &back, 300000, NULL), ERR_OK);
            assert_int_equal(back.n, sizes[i] + 1);
            assert_true(sizes[i] == 0 || memcmp(back.p + 1, in.p, in.n) == 0);
            buf_free(&packed);
            buf_free(&back);
        }
    }
    free(space);
}

static void test_levels(void **state)
{
    static const struct {
        enum wire_codec codec;
        int level;
    } levels[] = {{WIRE_CODEC_GZIP, 1}, {WIRE_CODEC_GZIP, 9},  {WIRE_CODEC_GZIP, 1},
                  {WIRE_CODEC_LZ4, 9},  {WIRE_CODEC_ZSTD, -3}, {WIRE_CODEC_ZSTD, 9}};
    uint8_t space[5000];
    struct slice in = sample(sizeof space, space);
    (void)state;
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        struct buf packed, back;
        buf_init(&packed, 0);
        buf_init(&back, 0);
        assert_int_equal(wire_compress(levels[i].codec, levels[i].level, in, &packed), ERR_OK);
        assert_int_equal(wire_decompress(levels[i].codec, buf_slice(&packed), &back, 0, NULL), ERR_OK);
        assert_true(slice_eq(buf_slice(&back), in));
        buf_free(&packed);
        buf_free(&back);
    }
}

static void expect_text(enum wire_codec codec, const void *p, size_t n, const char *text)
{
    struct reason why = {0};
    struct buf back;
    buf_init(&back, 0);
    if (wire_decompress(codec, slice_of(p, n), &back, 0, &why) != ERR_OK)
        fail_msg("%s", why.text);
    assert_string_equal(buf_cstr(&back), text);
    buf_free(&back);
}

static void test_foreign_framings(void **state)
{
    /* "hello hello hello hello" as raw snappy, gzip in two members, LZ4 with two frames, zstd in two frames. */
    char raw[64];
    size_t n = sizeof raw;
    struct buf b;
    (void)state;
    assert_int_equal(snappy_compress("hello hello hello hello", 23, raw, &n), SNAPPY_OK);
    expect_text(WIRE_CODEC_SNAPPY, raw, n, "hello hello hello hello");
    buf_init(&b, 0);
    for (int codec = WIRE_CODEC_GZIP; codec < WIRE_CODEC_COUNT; codec++) {
        buf_clear(&b);
        assert_int_equal(wire_compress((enum wire_codec)codec, WIRE_LEVEL_DEFAULT, slice_str("hello "), &b), ERR_OK);
        assert_int_equal(wire_compress((enum wire_codec)codec, WIRE_LEVEL_DEFAULT, slice_str("again"), &b), ERR_OK);
        expect_text((enum wire_codec)codec, b.p, b.n, "hello again");
    }
    buf_free(&b);
}

static void test_xerial_bytes(void **state)
{
    static const uint8_t want[] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0, 0, 0, 0,   1,
                                   0,    0,   0,   1,   0,   0,   0,   4, 2, 4, 'a', 'b'};
    struct buf b;
    (void)state;
    buf_init(&b, 0);
    assert_int_equal(wire_compress(WIRE_CODEC_SNAPPY, WIRE_LEVEL_DEFAULT, slice_str("ab"), &b), ERR_OK);
    assert_int_equal(b.n, sizeof want);
    assert_memory_equal(b.p, want, sizeof want);
    buf_free(&b);
}

static void test_bombs_stop_at_the_limit(void **state)
{
    enum { ZEROS = 8 * 1024 * 1024, LIMIT = 100000 };
    uint8_t *zeros = calloc(1, ZEROS);
    (void)state;
    assert_non_null(zeros);
    for (int codec = WIRE_CODEC_NONE; codec < WIRE_CODEC_COUNT; codec++) {
        struct reason why = {0};
        struct buf packed, back;
        buf_init(&packed, 0);
        buf_init(&back, 0);
        assert_int_equal(wire_compress((enum wire_codec)codec, WIRE_LEVEL_DEFAULT, slice_of(zeros, ZEROS), &packed),
                         ERR_OK);
        assert_int_equal(wire_decompress((enum wire_codec)codec, buf_slice(&packed), &back, LIMIT, &why),
                         ERR_LIMIT_EXCEEDED);
        assert_int_equal(back.n, 0);
        assert_true(back.cap < 4 * LIMIT);
        assert_true(why.text[0] != 0);
        buf_clear(&back); /* exactly the limit is allowed */
        packed.n = 0;
        assert_int_equal(wire_compress((enum wire_codec)codec, WIRE_LEVEL_DEFAULT, slice_of(zeros, LIMIT), &packed),
                         ERR_OK);
        assert_int_equal(wire_decompress((enum wire_codec)codec, buf_slice(&packed), &back, LIMIT, &why), ERR_OK);
        buf_free(&packed);
        buf_free(&back);
    }
    free(zeros);
}

static void test_cut_and_changed_input(void **state)
{
    uint8_t space[3000], *copy;
    struct slice in = sample(sizeof space, space);
    (void)state;
    for (int codec = WIRE_CODEC_GZIP; codec < WIRE_CODEC_COUNT; codec++) {
        struct buf packed, back;
        buf_init(&packed, 0);
        buf_init(&back, 0);
        assert_int_equal(wire_compress((enum wire_codec)codec, WIRE_LEVEL_DEFAULT, in, &packed), ERR_OK);
        for (size_t n = 1; n < packed.n; n += 1 + n / 50) {
            copy = malloc(n);
            assert_non_null(copy);
            memcpy(copy, packed.p, n);
            buf_clear(&back);
            if (codec != WIRE_CODEC_SNAPPY || n != 16) /* a bare xerial header is an empty stream */
                assert_int_equal(wire_decompress((enum wire_codec)codec, slice_of(copy, n), &back, 0, NULL),
                                 ERR_CORRUPT_MESSAGE);
            copy[n / 2] ^= 0x55;
            buf_clear(&back);
            (void)!wire_decompress((enum wire_codec)codec, slice_of(copy, n), &back, 0, NULL);
            free(copy);
        }
        buf_free(&packed);
        buf_free(&back);
    }
}

static void test_unknown_codec(void **state)
{
    struct buf b;
    enum wire_codec codec;
    (void)state;
    buf_init(&b, 0);
    assert_int_equal(wire_decompress((enum wire_codec)7, slice_str("x"), &b, 0, NULL),
                     ERR_UNSUPPORTED_COMPRESSION_TYPE);
    assert_int_equal(wire_compress((enum wire_codec)7, 0, slice_str("x"), &b), ERR_UNSUPPORTED_COMPRESSION_TYPE);
    assert_true(wire_codec_parse(slice_str("zstd"), &codec));
    assert_int_equal(codec, WIRE_CODEC_ZSTD);
    assert_false(wire_codec_parse(slice_str("brotli"), &codec));
    assert_string_equal(wire_codec_name((enum wire_codec)6), "unknown");
    buf_free(&b);
}

static void *compress_in_thread(void *unused)
{
    struct buf packed, back;
    (void)unused;
    buf_init(&packed, 0);
    buf_init(&back, 0);
    for (int codec = WIRE_CODEC_NONE; codec < WIRE_CODEC_COUNT; codec++) {
        buf_clear(&packed);
        if (wire_compress((enum wire_codec)codec, WIRE_LEVEL_DEFAULT, slice_str("thread"), &packed) ||
            wire_decompress((enum wire_codec)codec, buf_slice(&packed), &back, 0, NULL))
            abort();
    }
    buf_free(&packed);
    buf_free(&back);
    return NULL;
}

static void test_threads_free_their_contexts(void **state) /* the leak checker is the judge */
{
    pthread_t t[3];
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&t[i], NULL, compress_in_thread, NULL), 0);
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc_known_answers),
        cmocka_unit_test(test_crc_ways_agree),
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_foreign_framings),
        cmocka_unit_test(test_xerial_bytes),
        cmocka_unit_test(test_bombs_stop_at_the_limit),
        cmocka_unit_test(test_cut_and_changed_input),
        cmocka_unit_test(test_unknown_codec),
        cmocka_unit_test(test_threads_free_their_contexts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
