/* SPDX-License-Identifier: Apache-2.0
 * The authorization table against the descriptions: every field a plan names exists in every version the plan is for,
 * and every API the gateway forwards through the engine has a plan for every version it serves. */
#include "gateway/api.h"
#include "gateway/handlers.h"
#include "gateway/split.h"
#include "gateway/split_plans.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void test_every_field_of_every_plan_exists(void **state)
{
    const char *bad = split_check_plans();
    (void)state;
    if (bad)
        fail_msg("a plan names a field that is not there: %s", bad);
}

static bool has_plan(int16_t key, int16_t version)
{
    for (const struct split_plan *p = split_plans; p->api_key >= 0; p++)
        if (p->api_key == key && version >= p->min && version <= p->max)
            return true;
    return false;
}

static void test_every_version_that_goes_through_the_engine_has_a_plan(void **state)
{
    const struct api_row *row;
    (void)state;
    for (size_t i = 0; (row = api_at(i)); i++) {
        const struct wire_api *api = wire_api(row->key);
        assert_non_null(api);
        if (row->handle != handle_split && row->handle != handle_describe_topic_partitions)
            continue;
        for (int16_t v = api->min; v <= api->max && v <= row->max; v++)
            if (!has_plan(row->key, v))
                fail_msg("%s version %d has no plan", api->name, v);
    }
}

static void test_what_is_advertised_is_what_all_three_speak(void **state)
{
    static struct cluster c;
    int16_t min, max;
    (void)state;
    cluster_init(&c);
    assert_false(api_versions(&c, api_find(WIRE_FETCH), &min, &max)); /* the cluster does not serve it */
    c.min_version[WIRE_FETCH] = 4;
    c.max_version[WIRE_FETCH] = 11;
    assert_true(api_versions(&c, api_find(WIRE_FETCH), &min, &max));
    assert_int_equal(min, 4);
    assert_int_equal(max, 11);
    c.max_version[WIRE_FETCH] = 99;
    assert_true(api_versions(&c, api_find(WIRE_FETCH), &min, &max));
    assert_int_equal(max, 18);
    assert_true(api_versions(&c, api_find(WIRE_CREATE_ACLS), &min, &max)); /* answered here, whatever is behind */
    assert_null(api_find(WIRE_VOTE)); /* what is between brokers does not pass the gate */
    assert_null(api_find(WIRE_BROKER_REGISTRATION));
    assert_null(api_find(WIRE_ENVELOPE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_field_of_every_plan_exists),
        cmocka_unit_test(test_every_version_that_goes_through_the_engine_has_a_plan),
        cmocka_unit_test(test_what_is_advertised_is_what_all_three_speak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
