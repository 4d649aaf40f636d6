/* SPDX-License-Identifier: Apache-2.0
 * What gateway.properties says about the data of topics, for clusters that do not know the topics' own keys. */
#include "gateway/filter/schema_topics.h"
#include "gateway/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static enum err check(const char *text, struct gateway *g, struct reason *why)
{
    assert_int_equal(settings_parse(&g->settings, "gateway.properties", slice_str(text), gateway_setting_rows, why),
                     ERR_OK);
    return schema_topics_check_settings(g, why);
}

static void test_own_settings(void **state)
{
    static struct gateway g;
    struct schema_settings s = {0}, other = {0};
    struct reason why = {0};

    (void)state;
    assert_int_equal(check("castellan.topic.shop.orders.value.schema.validation=payload\n"
                           "castellan.topic.shop.orders.key.subject.name.strategy=RecordNameStrategy\n"
                           "castellan.topic.shop.orders.schema.dead.letter.topic=dead\n",
                           &g, &why),
                     ERR_OK);
    schema_topics_put_own(&g, &s, slice_str("shop.orders"));
    assert_int_equal(s.side[SCHEMA_VALUE].level, SCHEMA_LEVEL_PAYLOAD);
    assert_int_equal(s.side[SCHEMA_KEY].strategy, SUBJECT_OF_RECORD);
    assert_string_equal(s.dead_letter, "dead");
    schema_topics_put_own(&g, &other, slice_str("orders"));
    assert_false(schema_settings_check_anything(&other));
    settings_free(g.settings);
}

static void test_wrong_settings(void **state)
{
    static struct gateway g;
    struct reason why = {0};

    (void)state;
    assert_int_equal(check("castellan.topic.t.value.schema.validation=maybe\n", &g, &why), ERR_BAD_CONFIG);
    settings_free(g.settings);
    assert_int_equal(check("# a typing error\ncastellan.topic.t.value.schema.validate=id\n", &g, &why), ERR_BAD_CONFIG);
    assert_non_null(strstr(why.text, "line 2"));
    settings_free(g.settings);
    assert_int_equal(check("castellan.topic.value.schema.validation=id\n", &g, &why), ERR_BAD_CONFIG);
    settings_free(g.settings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_settings),
        cmocka_unit_test(test_wrong_settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
