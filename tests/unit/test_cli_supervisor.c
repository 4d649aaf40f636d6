/* SPDX-License-Identifier: Apache-2.0
 * The supervisor's decisions under injected time. */
#include "cli/supervisor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void test_a_role_that_served_is_restarted_ever_more_slowly(void **state)
{
    struct supervisor s;
    int64_t now = 0, wait = SUP_BACKOFF_MS_MIN;
    (void)state;
    supervisor_init(&s);
    assert_int_equal(supervisor_step(&s, SUP_EV_START, now), SUP_DO_SPAWN);
    for (int i = 0; i < 12; i++) {
        supervisor_step(&s, SUP_EV_IS_READY, ++now);
        assert_int_equal(s.state, SUP_READY);
        assert_int_equal(supervisor_step(&s, SUP_EV_EXITED, ++now), SUP_DO_NOTHING);
        assert_int_equal(s.deadline_ms - now, wait);
        assert_int_equal(supervisor_step(&s, SUP_EV_TIMER, s.deadline_ms - 1), SUP_DO_NOTHING);
        now = s.deadline_ms;
        assert_int_equal(supervisor_step(&s, SUP_EV_TIMER, now), SUP_DO_SPAWN);
        wait = wait * 2 > SUP_BACKOFF_MS_MAX ? SUP_BACKOFF_MS_MAX : wait * 2;
    }
    supervisor_step(&s, SUP_EV_IS_READY, ++now);
    now += SUP_STABLE_MS;
    supervisor_step(&s, SUP_EV_EXITED, now);
    assert_int_equal(s.deadline_ms - now, SUP_BACKOFF_MS_MIN);
}

static void test_a_role_that_never_served_is_given_up(void **state)
{
    struct supervisor s;
    int64_t now = 0;
    (void)state;
    supervisor_init(&s);
    supervisor_step(&s, SUP_EV_START, now);
    for (int i = 1; i < SUP_EARLY_EXITS_MAX; i++) {
        assert_int_equal(supervisor_step(&s, SUP_EV_EXITED, now), SUP_DO_NOTHING);
        now = s.deadline_ms;
        assert_int_equal(supervisor_step(&s, SUP_EV_TIMER, now), SUP_DO_SPAWN);
    }
    assert_int_equal(supervisor_step(&s, SUP_EV_EXITED, now), SUP_DO_GIVE_UP);
    assert_int_equal(s.state, SUP_FAILED);
}

static void test_stopping_kills_after_the_time_allowed(void **state)
{
    struct supervisor s;
    (void)state;
    supervisor_init(&s);
    supervisor_step(&s, SUP_EV_START, 0);
    supervisor_step(&s, SUP_EV_IS_READY, 1);
    assert_int_equal(supervisor_step(&s, SUP_EV_STOP, 2), SUP_DO_TERMINATE);
    assert_int_equal(supervisor_step(&s, SUP_EV_STOP, 3), SUP_DO_NOTHING);
    assert_int_equal(supervisor_step(&s, SUP_EV_TIMER, 2 + SUP_STOP_MS_MAX), SUP_DO_KILL);
    assert_int_equal(supervisor_step(&s, SUP_EV_EXITED, 3 + SUP_STOP_MS_MAX), SUP_DO_NOTHING);
    assert_int_equal(s.state, SUP_STOPPED);
}

static void test_stopping_while_waiting_starts_nothing(void **state)
{
    struct supervisor s;
    (void)state;
    supervisor_init(&s);
    supervisor_step(&s, SUP_EV_START, 0);
    supervisor_step(&s, SUP_EV_IS_READY, 1);
    supervisor_step(&s, SUP_EV_EXITED, 2);
    assert_int_equal(supervisor_step(&s, SUP_EV_STOP, 3), SUP_DO_NOTHING);
    assert_int_equal(s.state, SUP_STOPPED);
    assert_int_equal(supervisor_step(&s, SUP_EV_TIMER, 1000000), SUP_DO_NOTHING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_role_that_served_is_restarted_ever_more_slowly),
        cmocka_unit_test(test_a_role_that_never_served_is_given_up),
        cmocka_unit_test(test_stopping_kills_after_the_time_allowed),
        cmocka_unit_test(test_stopping_while_waiting_starts_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
