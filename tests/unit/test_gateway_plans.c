/* SPDX-License-Identifier: Apache-2.0
 * Every name in the table of plans stands in its message, in every version the plan is for. */
#include "gateway/split.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void test_plans(void **state)
{
    const char *bad = split_check_plans();

    (void)state;
    if (bad)
        fail_msg("a plan names what is not there: %s", bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_plans)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
