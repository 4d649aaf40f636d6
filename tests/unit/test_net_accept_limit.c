/* SPDX-License-Identifier: Apache-2.0
 * Strangers at the door, with a clock of the test's own. */
#include "core/net/accept_limit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static enum accept_verdict enter(struct accept_limit *l, const char *host, int64_t now_us, int64_t *wait_ms)
{
    struct address_group g = address_group_of_text(host);
    return accept_limit_enter(l, &g, now_us, wait_ms);
}

static void known(struct accept_limit *l, const char *host)
{
    struct address_group g = address_group_of_text(host);
    accept_limit_known(l, &g);
}

static void strangers_are_counted_by_address_and_together(void **state)
{
    struct accept_limit *l = accept_limit_new(&(struct accept_limit_opts){3, 2, 0});
    int64_t wait;

    (void)state;
    assert_int_equal(enter(l, "2001:db8::1", 0, &wait), ACCEPT_IN);
    assert_int_equal(enter(l, "2001:db8::2", 0, &wait), ACCEPT_IN);
    assert_int_equal(enter(l, "2001:db8::3", 0, &wait), ACCEPT_TOO_MANY_OF_ADDRESS);
    assert_int_equal(enter(l, "192.0.2.1", 0, &wait), ACCEPT_IN);
    assert_int_equal(enter(l, "192.0.2.2", 0, &wait), ACCEPT_TOO_MANY);
    known(l, "2001:db8::2");
    assert_int_equal(enter(l, "192.0.2.2", 0, &wait), ACCEPT_IN);
    assert_int_equal(accept_limit_strangers(l), 3);
    accept_limit_free(l);
}

static void who_comes_too_fast_waits_for_a_turn(void **state)
{
    struct accept_limit *l = accept_limit_new(&(struct accept_limit_opts){0, 0, 10});
    int64_t wait;

    (void)state;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(enter(l, "192.0.2.1", 5, &wait), ACCEPT_IN);
        assert_int_equal(wait, 0);
    }
    for (int i = 1; i <= 100; i++) {
        assert_int_equal(enter(l, "192.0.2.1", 5, &wait), ACCEPT_IN);
        assert_int_equal(wait, 100 * i);
    }
    assert_int_equal(enter(l, "192.0.2.1", 5, &wait), ACCEPT_TOO_FAST);
    assert_int_equal(enter(l, "192.0.2.2", 5, &wait), ACCEPT_IN); /* the neighbour does not notice */
    assert_int_equal(wait, 0);
    /* a refusal takes no turn; eleven seconds later all is paid for */
    assert_int_equal(enter(l, "192.0.2.1", 5 + 11000000, &wait), ACCEPT_IN);
    assert_int_equal(wait, 0);
    accept_limit_free(l);
}

static void what_is_of_no_use_is_forgotten(void **state)
{
    struct accept_limit *l = accept_limit_new(&(struct accept_limit_opts){0, 0, 100});
    char host[64];
    int64_t wait;

    (void)state;
    for (int i = 0; i < 100000; i++) {
        snprintf(host, sizeof host, "2001:db8:%x:%x::1", i / 1000, i % 1000);
        assert_int_equal(enter(l, host, i * INT64_C(1000), &wait), ACCEPT_IN);
        known(l, host);
    }
    assert_in_range(accept_limit_addresses(l), 1, 4000);
    assert_int_equal(accept_limit_strangers(l), 0);
    accept_limit_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strangers_are_counted_by_address_and_together),
        cmocka_unit_test(who_comes_too_fast_waits_for_a_turn),
        cmocka_unit_test(what_is_of_no_use_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
