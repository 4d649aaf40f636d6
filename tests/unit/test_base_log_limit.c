/* SPDX-License-Identifier: Apache-2.0
 * The limit of log lines. */
#include "core/base/log_limit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_a_burst_is_cut_and_counted(void **state)
{
    struct log_limit l = {0};
    uint64_t held = 99;

    (void)state;
    for (int i = 0; i < LOG_LIMIT_LINES; i++) {
        assert_true(log_limit_pass(&l, 5000 + i, &held));
        assert_int_equal(held, 0);
    }
    for (int i = 0; i < 7; i++)
        assert_false(log_limit_pass(&l, 5100, &held));
    assert_false(log_limit_pass(&l, 5000 + LOG_LIMIT_WINDOW_MS - 1, &held));
    assert_true(log_limit_pass(&l, 5000 + LOG_LIMIT_WINDOW_MS, &held));
    assert_int_equal(held, 8);
    assert_true(log_limit_pass(&l, 5000 + LOG_LIMIT_WINDOW_MS, &held));
    assert_int_equal(held, 0);
}

static void test_a_slow_trickle_passes_whole(void **state)
{
    struct log_limit l = {0};
    uint64_t held;

    (void)state;
    for (int64_t at = -100 * LOG_LIMIT_WINDOW_MS; at < 100LL * LOG_LIMIT_WINDOW_MS; at += LOG_LIMIT_WINDOW_MS / 5) {
        assert_true(log_limit_pass(&l, at, &held));
        assert_int_equal(held, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_burst_is_cut_and_counted),
        cmocka_unit_test(test_a_slow_trickle_passes_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
