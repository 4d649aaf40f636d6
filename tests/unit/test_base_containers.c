/* SPDX-License-Identifier: Apache-2.0
 * Buffers, cursors, arenas, maps and settings: the small things everything else leans on. */
#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/cursor.h"
#include "core/base/map.h"
#include "core/base/metrics.h"
#include "core/base/secret.h"
#include "core/base/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static void test_buf_is_capped_and_sticky(void **state)
{
    struct buf b;
    (void)state;
    buf_init(&b, 8);
    buf_u64(&b, 1);
    assert_int_equal(buf_error(&b), ERR_OK);
    buf_u8(&b, 1);
    assert_int_equal(buf_error(&b), ERR_LIMIT_EXCEEDED);
    assert_int_equal(b.n, 8);
    buf_clear(&b);
    buf_u8(&b, 7);
    assert_int_equal(buf_error(&b), ERR_OK);
    buf_free(&b);
}

static void test_buf_formats_text_and_numbers(void **state)
{
    static const int64_t values[] = {0, 7, -7, 10, 1000000, INT32_MIN, INT64_MAX, INT64_MIN};
    struct buf b;
    (void)state;
    buf_init(&b, 0);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char want[32];
        buf_clear(&b);
        buf_put_int(&b, values[i]);
        snprintf(want, sizeof want, "%lld", (long long)values[i]);
        assert_true(slice_eq_str(buf_slice(&b), want));
    }
    buf_free(&b);
    for (int n = 0; n < 200; n++) { /* through every state of the room that is left */
        buf_printf(&b, "%0*d", n % 7 + 1, n);
        assert_true(b.n <= b.cap);
    }
    assert_memory_equal(b.p, "0010020003", 10);
    buf_free(&b);
}

static void test_lists_are_taken_apart(void **state)
{
    static const struct {
        const char *list, *items; /* items each with a bar behind */
    } cases[] = {{NULL, ""},        {"", ""},     {"a", "a|"}, {"a,b", "a|b|"}, {" a , b c ,d", "a|b c|d|"},
                 {"a,,b", "a||b|"}, {"a,", "a|"}, {",", "|"},  {"  ", "|"},     {", ", "||"}};
    struct buf b;
    (void)state;
    buf_init(&b, 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct slice rest = slice_str(cases[i].list), item;
        buf_clear(&b);
        while (slice_next_item(&rest, ',', &item))
            buf_printf(&b, "%.*s|", SLICE_FMT(item));
        assert_string_equal(buf_cstr(&b), cases[i].items);
    }
    buf_free(&b);
}

static void test_varints_round_trip(void **state)
{
    static const int64_t values[] = {0, 1, -1, 63, -64, 64, 300, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN};
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct buf b;
        struct cursor c;
        buf_init(&b, 0);
        buf_varint(&b, values[i]);
        assert_int_equal(b.n, varint_size(values[i]));
        c = cursor_of(buf_slice(&b));
        assert_true(cursor_varint(&c) == values[i]);
        assert_int_equal(cursor_finish(&c), ERR_OK);
        buf_free(&b);
    }
}

static void test_cursor_refuses_what_is_too_long_or_short(void **state)
{
    static const uint8_t six[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x01}, over[] = {0xff, 0xff, 0xff, 0xff, 0x1f};
    struct cursor c;
    (void)state;
    c = cursor_of(slice_of(six, sizeof six));
    cursor_uvarint32(&c);
    assert_int_equal(c.error, ERR_MALFORMED);
    c = cursor_of(slice_of(over, sizeof over));
    cursor_uvarint32(&c);
    assert_int_equal(c.error, ERR_MALFORMED);
    c = cursor_of(slice_of(six, 3));
    assert_int_equal(cursor_u32(&c), 0);
    assert_int_equal(c.error, ERR_TRUNCATED);
    assert_null(cursor_take(&c, 1).p);
    c = cursor_of(slice_of(six, 3));
    cursor_u8(&c);
    assert_int_equal(cursor_finish(&c), ERR_MALFORMED);
}

static void test_arena_is_zeroed_aligned_and_capped(void **state)
{
    struct arena a;
    (void)state;
    arena_init(&a, 100000);
    for (int i = 0; i < 500; i++) {
        uint8_t *p = arena_alloc(&a, (size_t)i % 97);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
        for (int k = 0; k < i % 97; k++)
            assert_int_equal(p[k], 0);
        memset(p, 0xff, (size_t)i % 97);
        if (i % 100 == 99)
            arena_reset(&a);
    }
    assert_null(arena_alloc(&a, 100001));
    assert_null(arena_array(&a, SIZE_MAX / 2, 3));
    arena_free(&a);
}

static void test_map_keeps_order_through_growth_and_removal(void **state)
{
    struct map m;
    char key[32];
    size_t seen = 0;
    (void)state;
    map_init(&m);
    for (uintptr_t i = 1; i <= 5000; i++) {
        snprintf(key, sizeof key, "key-%zu", (size_t)i);
        assert_int_equal(map_put(&m, slice_str(key), (void *)i, NULL), ERR_OK);
    }
    for (uintptr_t i = 1; i <= 5000; i += 2) {
        snprintf(key, sizeof key, "key-%zu", (size_t)i);
        assert_true((uintptr_t)map_remove(&m, slice_str(key)) == i);
        assert_false(map_has(&m, slice_str(key)));
    }
    for (struct map_entry *e = map_first(&m); e; e = map_next(&m, e)) {
        seen++;
        assert_true((uintptr_t)e->value == seen * 2);
    }
    assert_int_equal(seen, 2500);
    for (uintptr_t round = 0; round < 20000; round++) { /* churn must not grow or hang */
        assert_int_equal(map_put(&m, slice_str("churn"), (void *)1, NULL), ERR_OK);
        map_remove(&m, slice_str("churn"));
    }
    assert_int_equal(map_count(&m), 2500);
    map_free(&m, NULL);
}

static const struct setting_row rows[] = {
    {"listeners", SETTING_LIST, NULL, 0, 0, ""},
    {"num.network.threads", SETTING_INT, "3", 1, 100, ""},
    {"auto.create", SETTING_BOOL, "true", 0, 0, ""},
    {"listener.name.*", SETTING_STRING, NULL, 0, 0, ""},
    {0},
};

static void test_settings_follow_java_properties(void **state)
{
    static const char text[] = "# comment\nlisteners = A://x:1 , \\\n   B://y:2\nlistener.name.a.b : \\u00e9t\\t!\n"
                               "auto.create false\n";
    struct settings *s;
    struct reason why;
    (void)state;
    assert_int_equal(settings_parse(&s, "t", slice_str(text), rows, &why), ERR_OK);
    assert_true(slice_eq_str(settings_list(s, "listeners", 0), "A://x:1"));
    assert_true(slice_eq_str(settings_list(s, "listeners", 1), "B://y:2"));
    assert_true(slice_is_null(settings_list(s, "listeners", 2)));
    assert_string_equal(settings_string(s, "listener.name.a.b"), "\xc3\xa9t\t!");
    assert_int_equal(settings_int(s, "num.network.threads"), 3);
    assert_false(settings_bool(s, "auto.create"));
    settings_free(s);
}

static void test_settings_name_file_and_line(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"\nlisteners=a\nwrong.key=1\n", "f.properties:3: unknown configuration key \"wrong.key\""},
        {"num.network.threads=many", "f.properties:1: num.network.threads must be a whole number, not \"many\""},
        {"num.network.threads=0", "f.properties:1: num.network.threads must be from 1 to 100, not 0"},
        {"auto.create=yes", "f.properties:1: auto.create must be true or false, not \"yes\""},
        {"listeners=a\nlisteners=b", "f.properties:2: listeners is set twice"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct settings *s;
        struct reason why;
        assert_int_equal(settings_parse(&s, "f.properties", slice_str(cases[i].text), rows, &why), ERR_BAD_CONFIG);
        assert_string_equal(why.text, cases[i].says);
    }
}

static void test_metrics_render_as_prometheus_text(void **state)
{
    struct buf out;
    (void)state;
    metric_add(metrics_counter("castellan_test_total", "kind=\"a\"", "Tests."), 3);
    metric_add(metrics_counter("castellan_test_total", "kind=\"a\"", "Tests."), 1);
    histogram_observe_us(metrics_histogram("castellan_test_seconds", NULL, "Time."), 70);
    buf_init(&out, 0);
    metrics_render(&out);
    assert_non_null(
        strstr(buf_cstr(&out), "# TYPE castellan_test_total counter\ncastellan_test_total{kind=\"a\"} 4\n"));
    assert_non_null(strstr(buf_cstr(&out), "castellan_test_seconds_bucket{le=\"0.0001\"} 1\n"));
    assert_non_null(strstr(buf_cstr(&out), "castellan_test_seconds_count 1\n"));
    buf_free(&out);
}

static void test_secret_compare(void **state)
{
    (void)state;
    assert_true(secret_equal(slice_str("abc"), slice_str("abc")));
    assert_false(secret_equal(slice_str("abc"), slice_str("abd")));
    assert_false(secret_equal(slice_str("abc"), slice_str("ab")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buf_is_capped_and_sticky),
        cmocka_unit_test(test_buf_formats_text_and_numbers),
        cmocka_unit_test(test_lists_are_taken_apart),
        cmocka_unit_test(test_varints_round_trip),
        cmocka_unit_test(test_cursor_refuses_what_is_too_long_or_short),
        cmocka_unit_test(test_arena_is_zeroed_aligned_and_capped),
        cmocka_unit_test(test_map_keeps_order_through_growth_and_removal),
        cmocka_unit_test(test_settings_follow_java_properties),
        cmocka_unit_test(test_settings_name_file_and_line),
        cmocka_unit_test(test_metrics_render_as_prometheus_text),
        cmocka_unit_test(test_secret_compare),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
