/* SPDX-License-Identifier: Apache-2.0
 * Envelope v1: what is sealed opens, under both suites and both AES implementations; nothing else does. The golden
 * envelopes were made by another implementation (tests/golden/envelope-v1.py). */
#include "crypto/aead.h"
#include "crypto/envelope.h"
#include "core/base/env.h"
#include "core/base/fs.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static const enum envelope_suite suites[] = {ENVELOPE_AES_256_GCM, ENVELOPE_CHACHA20_POLY1305};

struct fixture {
    struct env_test env;
    struct data_key key;
    struct envelope_context context;
    uint8_t salt[ENVELOPE_SALT_SIZE];
    struct buf sealed, opened;
};

static void setup(struct fixture *f, uint64_t seed)
{
    env_test_init(&f->env, seed);
    f->env.env.random(&f->env.env, &f->key, sizeof f->key);
    f->env.env.random(&f->env.env, f->salt, sizeof f->salt);
    assert_int_equal(envelope_context_init(&f->context, slice_str("default"), slice_str("orders")), ERR_OK);
    buf_init(&f->sealed, 0);
    buf_init(&f->opened, 0);
}

static void teardown(struct fixture *f)
{
    buf_free(&f->sealed);
    buf_free(&f->opened);
}

static void seal(struct fixture *f, enum envelope_suite suite, struct slice key, struct slice plain)
{
    buf_clear(&f->sealed);
    assert_int_equal(envelope_seal(suite, &f->key, &f->context, key, f->salt, plain, &f->sealed), ERR_OK);
}

static enum err open_it(struct fixture *f, struct slice key)
{
    struct envelope e;
    buf_clear(&f->opened);
    enum err err = envelope_parse(buf_slice(&f->sealed), &e, NULL);
    return err ? err : envelope_open(&e, f->key.bytes, &f->context, key, &f->opened, NULL);
}

static void test_opens_what_it_sealed(void **state)
{
    static const size_t sizes[] = {0, 1, 15, 16, 17, 255, 256, 1024, 65537, 1 << 20};
    struct fixture f;
    uint8_t *plain = malloc(1 << 20);
    (void)state;
    setup(&f, 1);
    f.env.env.random(&f.env.env, plain, 1 << 20);
    for (size_t s = 0; s < 2; s++) {
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            for (int crossed = 0; crossed < 4; crossed++) { /* sealed and opened by either AES */
                aead_force_portable(crossed & 1);
                seal(&f, suites[s], slice_str("u1"), slice_of(plain, sizes[i]));
                assert_int_equal(f.sealed.n, sizes[i] + ENVELOPE_OVERHEAD);
                aead_force_portable(crossed & 2);
                assert_int_equal(open_it(&f, slice_str("u1")), ERR_OK);
                assert_true(slice_eq(slice_of(f.opened.p, f.opened.n), slice_of(plain, sizes[i])) || sizes[i] == 0);
            }
        }
    }
    aead_force_portable(false);
    free(plain);
    teardown(&f);
}

static void test_any_flipped_bit_is_refused(void **state)
{
    struct fixture f;
    (void)state;
    for (int portable = 0; portable < 2; portable++) {
        aead_force_portable(portable);
        for (size_t s = 0; s < 2; s++) {
            setup(&f, 2);
            seal(&f, suites[s], slice_str("u1"), slice_str("a person's secret"));
            for (size_t bit = 0; bit < f.sealed.n * 8; bit++) {
                f.sealed.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
                assert_int_not_equal(open_it(&f, slice_str("u1")), ERR_OK);
                assert_int_equal(f.opened.n, 0);
                f.sealed.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
            }
            for (size_t n = 0; n < f.sealed.n; n++) {
                struct envelope e;
                struct slice cut = slice_of(f.sealed.p, n);
                assert_true(envelope_parse(cut, &e, NULL) ||
                            envelope_open(&e, f.key.bytes, &f.context, slice_str("u1"), &f.opened, NULL));
            }
            assert_int_equal(open_it(&f, slice_str("u1")), ERR_OK);
            teardown(&f);
        }
    }
    aead_force_portable(false);
}

static void test_bound_to_key_salt_and_place(void **state)
{
    struct fixture f, g;
    struct envelope e;
    (void)state;
    setup(&f, 3);
    seal(&f, ENVELOPE_AES_256_GCM, slice_str("u1"), slice_str("x"));
    assert_int_equal(open_it(&f, slice_str("u2")), ERR_DECRYPT);
    assert_int_equal(open_it(&f, SLICE_NULL), ERR_DECRYPT);
    assert_int_equal(open_it(&f, slice_str("")), ERR_DECRYPT);
    assert_int_equal(envelope_context_init(&f.context, slice_str("default"), slice_str("orders2")), ERR_OK);
    assert_int_equal(open_it(&f, slice_str("u1")), ERR_DECRYPT);
    /* the length prefix keeps tenant and lineage apart */
    assert_int_equal(envelope_context_init(&f.context, slice_str("defaultorders"), slice_str("")), ERR_OK);
    assert_int_equal(open_it(&f, slice_str("u1")), ERR_DECRYPT);
    teardown(&f);

    setup(&f, 4);
    setup(&g, 5);
    seal(&f, ENVELOPE_AES_256_GCM, slice_str("u1"), slice_str("one"));
    seal(&g, ENVELOPE_AES_256_GCM, slice_str("u1"), slice_str("two"));
    assert_int_equal(envelope_parse(buf_slice(&f.sealed), &e, NULL), ERR_OK);
    assert_int_equal(envelope_open(&e, g.key.bytes, &f.context, slice_str("u1"), &f.opened, NULL), ERR_DECRYPT);
    memcpy(f.sealed.p + 24, g.sealed.p + 24, ENVELOPE_SALT_SIZE);
    assert_int_equal(open_it(&f, slice_str("u1")), ERR_DECRYPT);
    teardown(&f);
    teardown(&g);
}

static void test_unknown_fields_are_refused(void **state)
{
    static const struct {
        size_t at;
        uint8_t value;
        enum err e;
    } cases[] = {{0, 0xc2, ERR_MALFORMED}, {1, 0x5c, ERR_MALFORMED},   {2, 2, ERR_UNSUPPORTED},
                 {2, 0, ERR_UNSUPPORTED},  {3, 0, ERR_UNSUPPORTED},    {3, 3, ERR_UNSUPPORTED},
                 {4, 1, ERR_UNSUPPORTED},  {4, 0x80, ERR_UNSUPPORTED}, {5, 0, ERR_UNSUPPORTED},
                 {5, 2, ERR_UNSUPPORTED},  {6, 0, ERR_UNSUPPORTED},    {6, 2, ERR_UNSUPPORTED},
                 {7, 1, ERR_MALFORMED}};
    struct fixture f;
    struct envelope e;
    struct reason why;
    (void)state;
    setup(&f, 6);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        seal(&f, ENVELOPE_CHACHA20_POLY1305, SLICE_NULL, slice_str("x"));
        f.sealed.p[cases[i].at] = cases[i].value;
        assert_int_equal(envelope_parse(buf_slice(&f.sealed), &e, &why), cases[i].e);
        assert_true(strlen(why.text) > 10);
    }
    assert_false(envelope_is(SLICE_NULL));
    assert_false(envelope_is(slice_str("")));
    assert_int_equal(envelope_seal(ENVELOPE_AES_256_GCM, &f.key, &f.context, SLICE_NULL, f.salt, SLICE_NULL, &f.sealed),
                     ERR_MALFORMED);
    teardown(&f);
}

static size_t unhex(uint8_t *out, size_t cap, const char *hex)
{
    size_t n = strlen(hex) / 2;
    assert_true(n <= cap);
    for (size_t i = 0; i < n; i++) {
        unsigned v;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &v), 1);
        out[i] = (uint8_t)v;
    }
    return n;
}

static void test_golden(void **state)
{
    struct fixture f;
    json_error_t je;
    size_t i;
    json_t *all = json_load_file(TEST_SOURCE "/tests/golden/envelope-v1.json", 0, &je), *one;
    uint8_t plain[4096], record_key[256], want[8192];
    (void)state;
    assert_non_null(all);
    assert_true(json_array_size(all) >= 12);
    json_array_foreach(all, i, one)
    {
        const char *key, *id, *salt, *text, *bytes, *tenant, *lineage, *rkey = NULL;
        int suite;
        assert_int_equal(json_unpack_ex(one, &je, 0, "{s:i s:s s:s s:s s:s s:s s:s s:s s?s}", "suite", &suite, "key",
                                        &key, "key_id", &id, "salt", &salt, "plain", &text, "envelope", &bytes,
                                        "tenant", &tenant, "lineage", &lineage, "record_key", &rkey),
                         0);
        setup(&f, 7);
        unhex(f.key.bytes, 32, key);
        unhex(f.key.id, 16, id);
        unhex(f.salt, 16, salt);
        struct slice p = slice_of(plain, unhex(plain, sizeof plain, text));
        struct slice k = rkey ? slice_of(record_key, unhex(record_key, sizeof record_key, rkey)) : SLICE_NULL;
        struct slice w = slice_of(want, unhex(want, sizeof want, bytes));
        assert_int_equal(envelope_context_init(&f.context, slice_str(tenant), slice_str(lineage)), ERR_OK);
        for (int portable = 0; portable < 2; portable++) {
            aead_force_portable(portable);
            seal(&f, (enum envelope_suite)suite, k, p);
            assert_true(slice_eq(buf_slice(&f.sealed), w));
            assert_int_equal(open_it(&f, k), ERR_OK);
        }
        aead_force_portable(false);
        teardown(&f);
    }
    json_decref(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_opens_what_it_sealed),
        cmocka_unit_test(test_any_flipped_bit_is_refused),
        cmocka_unit_test(test_bound_to_key_salt_and_place),
        cmocka_unit_test(test_unknown_fields_are_refused),
        cmocka_unit_test(test_golden),
    };
    if (crypto_init(NULL))
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
