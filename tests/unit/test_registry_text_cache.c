/* SPDX-License-Identifier: Apache-2.0
 * Kept texts are the texts themselves, whatever else was asked for, and their memory is bounded. */
#include "registry/json_text.h"
#include "registry/text_cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static struct content *content_of(const char *text, size_t n)
{
    struct content *c = content_new(SCHEMA_AVRO, slice_of(text, n), NULL, 0, NULL, NULL);
    assert_non_null(c);
    return c;
}

static void expect_text(struct text_cache *cache, const struct content *c)
{
    struct buf got, want;
    buf_init(&got, 0);
    buf_init(&want, 0);
    buf_put_str(&got, "{\"schema\":");
    buf_put_str(&want, "{\"schema\":");
    text_cache_put(cache, &got, c);
    json_text_print_string(&want, c->text);
    assert_true(slice_eq(buf_slice(&got), buf_slice(&want)));
    buf_free(&got);
    buf_free(&want);
}

static void test_texts_are_what_they_are(void **state)
{
    struct text_cache *cache = text_cache_new();
    (void)state;
    assert_non_null(cache);
    for (int round = 0; round < 2; round++) /* more texts than places, each twice */
        for (int i = 0; i < 2 * TEXT_CACHE_PLACES; i++) {
            char text[64];
            int n = snprintf(text, sizeof text, "{\"type\":\"fixed\",\"name\":\"F%d\",\"size\":%d}\n", i, i);
            struct content *c = content_of(text, (size_t)n);
            expect_text(cache, c);
            expect_text(cache, c);
            content_unref(c);
        }
    struct content *c = content_of("\"string\"", 8);
    expect_text(NULL, c);
    content_unref(c);
    text_cache_free(cache);
}

static void test_long_texts(void **state)
{
    struct text_cache *cache = text_cache_new();
    size_t n = TEXT_CACHE_TEXT_MAX + 10;
    char *text = malloc(n);
    (void)state;
    assert_non_null(cache);
    assert_non_null(text);
    for (int i = 0; i < 600; i++) { /* together more than is kept */
        memset(text, 'a' + i % 26, n);
        int digits = snprintf(text, 16, "%d\"", i);
        text[digits] = '"';
        struct content *c = content_of(text, i % 3 ? TEXT_CACHE_TEXT_MAX - 20 : n);
        expect_text(cache, c);
        expect_text(cache, c);
        content_unref(c);
    }
    free(text);
    text_cache_free(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts_are_what_they_are),
        cmocka_unit_test(test_long_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
