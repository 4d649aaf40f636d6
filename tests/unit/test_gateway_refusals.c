/* SPDX-License-Identifier: Apache-2.0
 * What was refused is counted by principal, operation and type, within a limit, and logged within another. */
#include "core/base/metrics.h"
#include "gateway/refusals.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct slice rendered(struct buf *b)
{
    buf_init(b, 0);
    metrics_render(b);
    return slice_str(buf_cstr(b));
}

static void expect_line(const char *line)
{
    struct buf b;
    struct slice text = rendered(&b);

    if (!strstr((const char *)text.p, line))
        fail_msg("no line \"%s\" in\n%s", line, (const char *)text.p);
    buf_free(&b);
}

static void test_each_principal_operation_and_type_has_its_counter(void **state)
{
    struct refusals *r = refusals_new("t1_total", "Refused.", "is refused", 100);

    (void)state;
    refusals_note(r, slice_str("User:bob"), "READ", "TOPIC", slice_str("orders"), 0);
    refusals_note(r, slice_str("User:bob"), "READ", "TOPIC", slice_str("others"), 0);
    refusals_note(r, slice_str("User:bob"), "WRITE", "TOPIC", slice_str("orders"), 0);
    refusals_note(r, slice_str("User:eve"), "READ", "GROUP", slice_str("g"), 0);
    expect_line("t1_total{principal=\"User:bob\",operation=\"READ\",type=\"TOPIC\"} 2\n");
    expect_line("t1_total{principal=\"User:bob\",operation=\"WRITE\",type=\"TOPIC\"} 1\n");
    expect_line("t1_total{principal=\"User:eve\",operation=\"READ\",type=\"GROUP\"} 1\n");
    refusals_free(r);
}

static void test_past_the_limit_the_principal_is_other(void **state)
{
    struct refusals *r = refusals_new("t2_total", "Refused.", "is refused", 3);
    char name[32];

    (void)state;
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "User:u%d", i);
        refusals_note(r, slice_str(name), "READ", "TOPIC", slice_str("orders"), 0);
    }
    refusals_note(r, slice_str("User:u1"), "READ", "TOPIC", slice_str("orders"), 0);
    expect_line("t2_total{principal=\"User:u2\",operation=\"READ\",type=\"TOPIC\"} 1\n");
    expect_line("t2_total{principal=\"User:u1\",operation=\"READ\",type=\"TOPIC\"} 2\n");
    expect_line("t2_total{principal=\"other\",operation=\"READ\",type=\"TOPIC\"} 997\n");
    refusals_free(r);
}

static void test_a_name_cannot_leave_its_quotes(void **state)
{
    struct refusals *r = refusals_new("t3_total", "Refused.", "is refused", 10);
    char text[600];

    (void)state;
    refusals_note(r, slice_str("User:a\"} 1\nb\\"), "READ", "TOPIC", slice_str("x"), 0);
    expect_line("t3_total{principal=\"User:a\\\"} 1\\nb\\\\\",operation=\"READ\",type=\"TOPIC\"} 1\n");
    memset(text, '"', sizeof text); /* the longest there is, every byte escaped */
    refusals_note(r, slice_of(text, sizeof text), "READ", "TOPIC", slice_of(text, sizeof text), 0);
    refusals_free(r);
}

static void test_lines_are_few(void **state)
{
    struct refusals *r = refusals_new("t4_total", "Refused.", "is refused", 1000);
    char name[32];

    (void)state;
    for (int i = 0; i < 1000; i++)
        refusals_note(r, slice_str("User:bob"), "READ", "TOPIC", slice_str("orders"), i);
    assert_int_equal(refusals_lines(r), 1);
    refusals_note(r, slice_str("User:eve"), "READ", "TOPIC", slice_str("orders"), 1000);
    assert_int_equal(refusals_lines(r), 2); /* the noisy one does not hide her */
    refusals_note(r, slice_str("User:bob"), "READ", "TOPIC", slice_str("orders"), REFUSALS_LINE_MS);
    assert_int_equal(refusals_lines(r), 3);
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof name, "User:v%d", i);
        refusals_note(r, slice_str(name), "READ", "TOPIC", slice_str("orders"), REFUSALS_LINE_MS + 1);
    }
    assert_true(refusals_lines(r) < 20);
    refusals_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_principal_operation_and_type_has_its_counter),
        cmocka_unit_test(test_past_the_limit_the_principal_is_other),
        cmocka_unit_test(test_a_name_cannot_leave_its_quotes),
        cmocka_unit_test(test_lines_are_few),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
