/* SPDX-License-Identifier: Apache-2.0
 * When memory is given back by itself: after it grew, and only while there is nothing else to do. */
#include "core/base/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { MIB = 1 << 20, SECOND_US = 1000000 };

static void test_only_what_grew(void **state)
{
    (void)state;
    assert_false(heap_is_worth_it(0, 500 * MIB, 0, 2000)); /* nothing to compare with */
    assert_false(heap_is_worth_it(24 * MIB, 20 * MIB, 0, 2000));
    assert_false(heap_is_worth_it(24 * MIB, 24 * MIB + HEAP_GROWN_MIN - 1, 0, 2000));
    assert_true(heap_is_worth_it(24 * MIB, 24 * MIB + HEAP_GROWN_MIN, 0, 2000));
    assert_false(heap_is_worth_it(800 * (size_t)MIB, 850 * (size_t)MIB, 0, 2000)); /* little of a lot */
    assert_true(heap_is_worth_it(800 * (size_t)MIB, 900 * (size_t)MIB, 0, 2000));
}

static void test_only_while_idle(void **state)
{
    (void)state;
    assert_true(heap_is_worth_it(24 * MIB, 700 * MIB, SECOND_US / 10, 2000));
    assert_false(heap_is_worth_it(24 * MIB, 700 * MIB, SECOND_US / 5, 2000));
    assert_false(heap_is_worth_it(24 * MIB, 700 * MIB, 4 * SECOND_US, 2000));
    assert_false(heap_is_worth_it(24 * MIB, 700 * MIB, 0, 0));
}

static void test_a_look_finds_its_floor(void **state)
{
    struct heap_keeper k = {0};

    (void)state;
    assert_false(heap_look(&k, 1000));
    assert_true(k.floor > 0);
    assert_int_equal(k.looked_ms, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_what_grew),
        cmocka_unit_test(test_only_while_idle),
        cmocka_unit_test(test_a_look_finds_its_floor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
