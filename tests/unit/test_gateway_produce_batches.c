/* SPDX-License-Identifier: Apache-2.0
 * What the gateway reads in a Produce request's batches; the bytes are a client's, so every cut and every wrong size.
 */
#include "gateway/api/produce_batches.h"
#include "core/wire/record_batch.h"
#include "wire/produce.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { SIZE = 80 };

static void put_batch(uint8_t *at, size_t size, uint8_t magic, uint8_t attributes)
{
    memset(at, 0, size);
    at[11] = (uint8_t)(size - RECORD_BATCH_OVERHEAD);
    at[RECORD_BATCH_MAGIC_AT] = magic;
    at[RECORD_BATCH_ATTRIBUTES_AT + 1] = attributes;
}

/* In memory of its own, so that a sanitizer sees a byte too many. */
static struct produce_batches look(const uint8_t *bytes, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);
    struct produce_batches out;

    assert_non_null(copy);
    memcpy(copy, bytes, n);
    out = produce_batches_look(slice_of(copy, n));
    free(copy);
    return out;
}

static void test_one_batch(void **state)
{
    uint8_t b[SIZE];
    struct produce_batches got;

    (void)state;
    put_batch(b, SIZE, 2, 0);
    got = look(b, SIZE);
    assert_int_equal(got.wrong, ERR_OK);
    assert_false(got.transactional);
    assert_int_equal(got.length, SIZE);
    put_batch(b, SIZE, 2, RECORD_TRANSACTIONAL | RECORD_CONTROL | 1);
    got = look(b, SIZE);
    assert_int_equal(got.wrong, ERR_OK);
    assert_true(got.transactional);
}

static void test_none(void **state)
{
    uint8_t b[SIZE];

    (void)state;
    assert_int_equal(produce_batches_look(SLICE_NULL).wrong, ERR_INVALID_RECORD);
    put_batch(b, SIZE, 2, RECORD_TRANSACTIONAL);
    for (size_t n = 0; n < SIZE; n++) {
        assert_int_equal(look(b, n).wrong, ERR_INVALID_RECORD);
        assert_int_equal(look(b, n).length, 0);
    }
}

static void test_old_formats_and_wrong_sizes(void **state)
{
    uint8_t b[SIZE];

    (void)state;
    for (uint8_t magic = 0; magic < 2; magic++) {
        put_batch(b, SIZE, magic, RECORD_TRANSACTIONAL);
        assert_int_equal(look(b, SIZE).wrong, ERR_INVALID_RECORD);
        assert_false(look(b, SIZE).transactional);
    }
    for (int magic = 3; magic < 256; magic++) {
        put_batch(b, SIZE, (uint8_t)magic, 0);
        assert_int_equal(look(b, SIZE).wrong, ERR_CORRUPT_MESSAGE);
    }
    for (size_t size = 26; size < RECORD_BATCH_HEADER_SIZE; size++) { /* a batch that ends inside its own header */
        put_batch(b, SIZE, 2, 0);
        b[11] = (uint8_t)(size - RECORD_BATCH_OVERHEAD);
        assert_int_equal(look(b, size).wrong, ERR_CORRUPT_MESSAGE);
    }
    put_batch(b, SIZE, 2, 0);
    b[8] = 0x80; /* negative */
    assert_int_equal(look(b, SIZE).wrong, ERR_CORRUPT_MESSAGE);
    put_batch(b, SIZE, 2, 0);
    b[8] = 0x7f; /* beyond everything */
    assert_int_equal(look(b, SIZE).wrong, ERR_INVALID_RECORD);
    put_batch(b, SIZE, 2, 0);
    b[11] = 13;
    assert_int_equal(look(b, SIZE).wrong, ERR_CORRUPT_MESSAGE);
}

static void test_what_follows(void **state)
{
    uint8_t b[2 * SIZE];
    struct produce_batches got;

    (void)state;
    put_batch(b, SIZE, 2, 0);
    put_batch(b + SIZE, SIZE, 2, RECORD_TRANSACTIONAL);
    assert_int_equal(look(b, sizeof b).wrong, ERR_INVALID_RECORD); /* a second batch */
    for (size_t n = SIZE; n < sizeof b; n++) {                     /* less than a batch: dropped */
        got = look(b, n);
        assert_int_equal(got.wrong, ERR_OK);
        assert_int_equal(got.length, SIZE);
        assert_false(got.transactional);
    }
    put_batch(b, SIZE, 2, RECORD_TRANSACTIONAL);
    put_batch(b + SIZE, SIZE, 2, 0);
    got = look(b, sizeof b);
    assert_true(got.transactional);
    assert_int_equal(got.wrong, ERR_INVALID_RECORD);
    memset(b + SIZE, 0xff, SIZE);
    assert_int_equal(look(b, sizeof b).wrong, ERR_CORRUPT_MESSAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_batch),
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_what_follows),
        cmocka_unit_test(test_old_formats_and_wrong_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
