/* SPDX-License-Identifier: Apache-2.0
 * The JSON reader and exact decimals: what Jackson would print, what is refused, arithmetic without rounding. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "registry/json_number.h"
#include "registry/json_text.h"

static const char *reprint(const char *in, enum json_text_order order)
{
    static char out[4096];
    struct arena a;
    struct buf b;
    struct jvalue *v;
    struct reason why = {0};
    arena_init(&a, 0);
    buf_init(&b, 0);
    if (json_text_parse(&v, slice_str(in), &a, &why) == ERR_OK) {
        json_text_print(&b, v, order);
        snprintf(out, sizeof out, "%s", buf_cstr(&b));
    } else {
        snprintf(out, sizeof out, "error: %s", why.text);
    }
    buf_free(&b);
    arena_free(&a);
    return out;
}

static void test_print(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } cases[] = {
        {" { \"b\" : 1 , \"a\" : [ true , false , null ] } ", "{\"b\":1,\"a\":[true,false,null]}"},
        {"{\"a\":1,\"b\":2,\"a\":3}", "{\"a\":3,\"b\":2}"},
        {"\"\\u0041\\u00e9\\ud83d\\ude00\\/\\u001f\\n\\\"\"", "\"A\xc3\xa9\xf0\x9f\x98\x80/\\u001F\\n\\\"\""},
        {"[-0,0,123456789012345678901234567890,1.0,1.50,-0.0]", "[0,0,123456789012345678901234567890,1.0,1.50,0.0]"},
        {"[1e2,1E-7,0.000001,0.0000001,12.5e1,12.5e3,0e5,-1.20e-10]",
         "[1E+2,1E-7,0.000001,1E-7,125,1.25E+4,0E+5,-1.20E-10]"},
        {"[]", "[]"},
        {"{}", "{}"},
        {"\"\"", "\"\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(reprint(cases[i].in, JSON_TEXT_AS_WRITTEN), cases[i].out);
    assert_string_equal(reprint("{\"b\":{\"z\":1,\"y\":2},\"a\":[{\"d\":1,\"c\":2}]}", JSON_TEXT_SORTED),
                        "{\"a\":[{\"c\":2,\"d\":1}],\"b\":{\"y\":2,\"z\":1}}");
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "{",
        "[1,]",
        "{\"a\":1,}",
        "{a:1}",
        "01",
        "1.",
        "-",
        "+1",
        "1e",
        "nul",
        "\"\x01\"",
        "\"\\x\"",
        "\"\\ud800\"",
        "\"\\ud800\\u0041\"",
        "\"\xc0\x80\"",
        "\"\xed\xa0\x80\"",
        "\"\xff\"",
        "[1] 2",
        "\"abc",
        "1e1234567890",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(strncmp(reprint(cases[i], JSON_TEXT_AS_WRITTEN), "error: ", 7), 0);
    char deep[2 * (JSON_TEXT_DEPTH_MAX + 1) + 1];
    memset(deep, '[', JSON_TEXT_DEPTH_MAX + 1);
    memset(deep + JSON_TEXT_DEPTH_MAX + 1, ']', JSON_TEXT_DEPTH_MAX + 1);
    deep[sizeof deep - 1] = '\0';
    assert_non_null(strstr(reprint(deep, JSON_TEXT_AS_WRITTEN), "deeper"));
}

static void test_large_object(void **state)
{
    (void)state;
    struct buf b;
    struct arena a;
    struct jvalue *v;
    buf_init(&b, 0);
    arena_init(&a, 0);
    buf_put_str(&b, "{");
    for (int i = 0; i < 200; i++)
        buf_printf(&b, "%s\"k%d\":%d", i ? "," : "", i % 100, i);
    buf_put_str(&b, "}");
    assert_int_equal(json_text_parse(&v, buf_slice(&b), &a, NULL), ERR_OK);
    assert_int_equal(v->n, 100);
    for (int i = 0; i < 100; i++) {
        char name[16], want[16];
        snprintf(name, sizeof name, "k%d", i);
        snprintf(want, sizeof want, "%d", i + 100);
        assert_true(slice_eq_str(v->u.object.members[i].name, name));
        assert_true(slice_eq_str(json_text_get_str(v, name)->u.text, want));
    }
    assert_null(json_text_get_str(v, "k100"));
    arena_free(&a);
    buf_free(&b);
}

static int cmp(const char *x, const char *y)
{
    struct json_number a = json_number_of(slice_str(x)), b = json_number_of(slice_str(y));
    assert_int_equal(json_number_cmp(&a, &b) == 0, json_number_hash(&a) == json_number_hash(&b));
    return json_number_cmp(&a, &b);
}

static bool multiple(const char *x, const char *y)
{
    struct json_number a = json_number_of(slice_str(x)), b = json_number_of(slice_str(y));
    return json_number_is_multiple(&a, &b);
}

static void test_numbers(void **state)
{
    (void)state;
    assert_int_equal(cmp("1", "1.0"), 0);
    assert_int_equal(cmp("100", "1e2"), 0);
    assert_int_equal(cmp("-0.0", "0"), 0);
    assert_int_equal(cmp("0.0000001", "1e-7"), 0);
    assert_int_equal(cmp("98249283749234923498293171823948729348710298301928331",
                         "98249283749234923498293171823948729348710298301928332"),
                     -1);
    assert_int_equal(cmp("-2", "-1"), -1);
    assert_int_equal(cmp("1e400", "1e399"), 1);
    assert_int_equal(cmp("972783798187987123879878123.18878137", "972783798187987123879878123.188781371"), -1);
    assert_int_equal(cmp("10.01", "10.001"), 1);
    assert_true(multiple("0.0075", "0.0001"));
    assert_false(multiple("0.00751", "0.0001"));
    assert_true(multiple("1e308", "1"));
    assert_true(multiple("1e308", "0.5"));
    assert_false(multiple("1e308", "0.123456789"));
    assert_true(multiple("12391239123", "1e-8"));
    assert_true(multiple("246913578024691357802469135780", "123456789012345678901234567890"));
    assert_false(multiple("246913578024691357802469135781", "123456789012345678901234567890"));
    assert_true(multiple("0", "7"));
    assert_false(multiple("5", "10"));
    uint64_t u;
    struct json_number a = json_number_of(slice_str("2.0e3"));
    assert_true(json_number_u64(&a, &u));
    assert_int_equal(u, 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_print),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_large_object),
        cmocka_unit_test(test_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
