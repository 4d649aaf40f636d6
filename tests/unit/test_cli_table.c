/* SPDX-License-Identifier: Apache-2.0
 * JSON rows as aligned columns. */
#include "cli/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void expect(const char *json, const struct table_column *columns, bool fields, const char *wanted)
{
    json_t *value = json_loads(json, 0, NULL);
    struct buf out;

    assert_non_null(value);
    buf_init(&out, 0);
    if (fields)
        cli_table_put_fields(&out, value, columns);
    else
        cli_table_put(&out, value, columns);
    assert_string_equal(buf_cstr(&out), wanted);
    buf_free(&out);
    json_decref(value);
}

static const struct table_column columns[] = {{"name", "NAME"}, {"n", "N"}, {"list", "LIST"}, {0}};

static void test_columns_line_up(void **state)
{
    (void)state;
    expect("[{\"name\":\"a\",\"n\":7,\"list\":[1,2]},{\"name\":\"longer\",\"n\":1234,\"list\":[]}]", columns, false,
           "NAME       N  LIST\n"
           "a          7  1,2\n"
           "longer  1234  -\n");
    expect("[]", columns, false, "");
}

static void test_what_is_absent_and_other_kinds(void **state)
{
    (void)state;
    expect("[{\"n\":1.5,\"list\":true},{\"name\":null,\"n\":20,\"list\":{\"b\":1,\"a\":2}}]", columns, false,
           "NAME    N  LIST\n"
           "-     1.5  yes\n"
           "-      20  {\"a\":2,\"b\":1}\n");
}

static void test_width_is_in_characters_and_control_characters_do_not_reach_a_terminal(void **state)
{
    (void)state;
    expect("[{\"name\":\"\\u00e4\\u00f6\\u00fc\\u00df\\u20ac\",\"n\":1},{\"name\":\"\\u001b[31m\",\"n\":2}]", columns,
           false,
           "NAME   N  LIST\n"
           "\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f\xe2\x82\xac  1  -\n"
           "?[31m  2  -\n");
}

static void test_fields(void **state)
{
    (void)state;
    expect("{\"name\":\"x\",\"n\":3}", columns, true, "NAME  x\nN     3\nLIST  -\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns_line_up),
        cmocka_unit_test(test_what_is_absent_and_other_kinds),
        cmocka_unit_test(test_width_is_in_characters_and_control_characters_do_not_reach_a_terminal),
        cmocka_unit_test(test_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
