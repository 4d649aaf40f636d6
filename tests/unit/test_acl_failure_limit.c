/* SPDX-License-Identifier: Apache-2.0
 * The failure limiter with a clock of its own: growth, forgiveness, whom it never delays, and a full table. */
#include "acl/failure_limit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static struct address_group from(const char *host)
{
    return address_group_of_text(host);
}

static int64_t fail_once(struct failure_limit *l, const char *host, int64_t now_ms)
{
    struct address_group g = from(host);
    return failure_limit_failed(l, &g, 0, now_ms);
}

static int64_t before(struct failure_limit *l, const char *host, int64_t now_ms)
{
    struct address_group g = from(host);
    return failure_limit_before(l, &g, now_ms);
}

static void a_failure_is_answered_later_and_later(void **state)
{
    static const int64_t want[] = {100,  100,  100,  200,  200,  200,  400,  400,  400,  800,   800,   800,
                                   1600, 1600, 1600, 3200, 3200, 3200, 6400, 6400, 6400, 10000, 10000, 10000};
    struct failure_limit *l = failure_limit_new(100, 10);

    (void)state;
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        assert_int_equal(fail_once(l, "192.0.2.1", 1000), want[i]);
    assert_int_equal(fail_once(l, "192.0.2.2", 1000), 100); /* another address starts anew */
    failure_limit_free(l);
}

static void the_right_password_waits_only_where_guessing_goes_on(void **state)
{
    struct failure_limit *l = failure_limit_new(100, 10);
    struct address_group g = from("192.0.2.1");

    (void)state;
    for (int i = 1; i < FAILURE_HOLD_LEVEL; i++) {
        assert_int_equal(before(l, "192.0.2.1", 0), 0);
        fail_once(l, "192.0.2.1", 0);
    }
    assert_int_equal(before(l, "192.0.2.1", 0), 0);
    fail_once(l, "192.0.2.1", 0);
    assert_int_equal(before(l, "192.0.2.1", 0), 800);
    assert_int_equal(before(l, "192.0.2.2", 0), 0);
    /* what it waited before counts towards the answer's delay */
    assert_int_equal(failure_limit_failed(l, &g, 800, 800), 0);
    assert_int_equal(failure_limit_failed(l, &g, 300, 800), 500);
    failure_limit_free(l);
}

static void time_forgives(void **state)
{
    struct failure_limit *l = failure_limit_new(100, 10);

    (void)state;
    for (int i = 0; i < 100; i++)
        fail_once(l, "192.0.2.1", 0);
    assert_int_equal(before(l, "192.0.2.1", FAILURE_FORGIVEN_MS - 1), 10000);
    assert_int_equal(before(l, "192.0.2.1", FAILURE_FORGIVEN_MS), 6400);
    assert_int_equal(before(l, "192.0.2.1", 13 * FAILURE_FORGIVEN_MS), 0);
    assert_int_equal(fail_once(l, "192.0.2.1", 13 * FAILURE_FORGIVEN_MS), 800);
    assert_int_equal(fail_once(l, "192.0.2.1", INT64_MAX / 2), 100);
    failure_limit_free(l);
}

static void ipv6_counts_by_network(void **state)
{
    struct failure_limit *l = failure_limit_new(100, 10);

    (void)state;
    assert_int_equal(fail_once(l, "2001:db8:0:1::1", 0), 100);
    fail_once(l, "2001:db8:0:1::3", 0);
    assert_int_equal(fail_once(l, "2001:db8:0:1:ffff::2", 0), 100);
    assert_int_equal(fail_once(l, "2001:db8:0:1:ffff::3", 0), 200);
    assert_int_equal(fail_once(l, "2001:db8:0:2::1", 0), 100);
    for (int i = 0; i < 3; i++)
        fail_once(l, "192.0.2.9", 0);
    assert_int_equal(fail_once(l, "::ffff:192.0.2.9", 0), 200); /* the same, mapped */
    assert_int_equal(fail_once(l, "unix", 0), 100);
    failure_limit_free(l);
}

static void zero_switches_it_off(void **state)
{
    struct failure_limit *l = failure_limit_new(0, 10);

    (void)state;
    for (int i = 0; i < 20; i++)
        assert_int_equal(fail_once(l, "192.0.2.1", 0), 0);
    assert_int_equal(before(l, "192.0.2.1", 0), 0);
    assert_int_equal(failure_limit_addresses(l), 0);
    failure_limit_free(l);
}

/* An attacker who has more addresses than the table: he is not forgotten for it, and everybody's failures become dear;
 * right passwords stay free. */
static void a_full_table_helps_nobody(void **state)
{
    enum { ROOM = 64 };
    struct failure_limit *l = failure_limit_new(100, ROOM);
    char host[32];

    (void)state;
    for (int i = 0; i < 40; i++)
        fail_once(l, "203.0.113.7", 0);
    for (int i = 0; i < 1000; i++) {
        snprintf(host, sizeof host, "10.0.%d.%d", i / 250, 1 + i % 250);
        assert_int_equal(fail_once(l, host, 1 + i), i + 1 < ROOM ? 100 : 10000);
        assert_in_range(failure_limit_addresses(l), 1, ROOM);
    }
    assert_int_equal(before(l, "203.0.113.7", 1001), 10000);
    assert_int_equal(before(l, "198.51.100.1", 1001), 0);
    /* once they are forgiven there is room again */
    assert_int_equal(fail_once(l, "198.51.100.1", 1001 + 40 * FAILURE_FORGIVEN_MS), 100);
    assert_int_equal(failure_limit_addresses(l), 1);
    failure_limit_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_is_answered_later_and_later),
        cmocka_unit_test(the_right_password_waits_only_where_guessing_goes_on),
        cmocka_unit_test(time_forgives),
        cmocka_unit_test(ipv6_counts_by_network),
        cmocka_unit_test(zero_switches_it_off),
        cmocka_unit_test(a_full_table_helps_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
