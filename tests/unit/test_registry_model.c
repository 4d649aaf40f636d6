/* SPDX-License-Identifier: Apache-2.0
 * The cache of parsed schemas: bounded by number and by weight. */
#include "registry/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct slice key_of(int i)
{
    static char text[16];
    snprintf(text, sizeof text, "%d", i);
    return slice_str(text);
}

/* Puts one model under `n` keys and tells how many of them are still there. */
static int kept(size_t max, size_t text_n, int n)
{
    struct model_cache *c = model_cache_new(max);
    struct model *m;
    struct reason why;
    struct buf text;
    int there = 0;
    buf_init(&text, 0);
    buf_put_str(&text, "{\"type\":\"string\",\"doc\":\"");
    while (text.n < text_n)
        buf_put_str(&text, "x");
    buf_put_str(&text, "\"}");
    assert_int_equal(model_new(&m, SCHEMA_AVRO, buf_slice(&text), NULL, 0, NULL, &why), ERR_OK);
    for (int i = 0; i < n; i++)
        model_cache_put(c, key_of(i), m);
    assert_true(n == 0 || model_cache_get(c, key_of(n - 1)) == m); /* the last is always there */
    model_unref(m);
    for (int i = 0; i < n; i++) {
        struct model *got = model_cache_get(c, key_of(i));
        there += got != NULL;
        model_unref(got);
    }
    model_unref(m);
    model_cache_free(c);
    buf_free(&text);
    return there;
}

static void test_number(void **state)
{
    (void)state;
    assert_int_equal(kept(100, 0, 50), 50);
    assert_int_equal(kept(100, 0, 100), 100);
    int there = kept(100, 0, 1000);
    assert_true(there >= 50 && there <= 100);
}

static void test_weight(void **state)
{
    (void)state;
    int there = kept(1000, 1024 * 1024, 100);
    assert_true(there >= 3 && there <= 8);
    assert_in_range(kept(1000, MODEL_CACHE_TEXT_MAX / 2 + 1, 3), 1, 2); /* heavier than a generation */
}

/* The same key again weighs once. */
static void test_again(void **state)
{
    struct model_cache *c = model_cache_new(10);
    struct model *light, *m;
    struct reason why;
    struct buf text;
    (void)state;
    buf_init(&text, 0);
    buf_printf(&text, "{\"type\":\"string\",\"doc\":\"%0*d\"}", 1024 * 1024, 0);
    assert_int_equal(model_new(&light, SCHEMA_AVRO, slice_str("\"int\""), NULL, 0, NULL, &why), ERR_OK);
    assert_int_equal(model_new(&m, SCHEMA_AVRO, buf_slice(&text), NULL, 0, NULL, &why), ERR_OK);
    model_cache_put(c, slice_str("light"), light);
    for (int i = 0; i < 100; i++)
        model_cache_put(c, slice_str("again"), m);
    assert_ptr_equal(model_cache_get(c, slice_str("light")), light);
    model_unref(light);
    model_unref(light);
    model_unref(m);
    model_cache_free(c);
    buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_number),
        cmocka_unit_test(test_weight),
        cmocka_unit_test(test_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
