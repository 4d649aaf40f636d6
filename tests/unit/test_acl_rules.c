/* SPDX-License-Identifier: Apache-2.0
 * Rules and filters by themselves: names, Kafka's checks and texts, filter matching, the set. */
#include "acl/acl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct acl_rule rule(enum acl_type t, enum acl_pattern p, const char *name)
{
    return (struct acl_rule){t, p, ACL_READ, ACL_ALLOW, slice_str(name), slice_str("User:a"), slice_str("*")};
}

static void names_and_codes(void **state)
{
    (void)state;
    for (int i = -128; i < 128; i++) {
        int8_t code = (int8_t)i;
        enum acl_operation o = acl_operation_of(code);
        assert_int_equal(o, i >= 1 && i <= 15 ? i : 0);
        assert_int_equal(acl_operation_parse(slice_str(acl_operation_name(o))), o);
        assert_int_equal(acl_type_parse(slice_str(acl_type_name(acl_type_of(code)))), acl_type_of(code));
        assert_int_equal(acl_pattern_of(code), i >= 1 && i <= 4 ? i : 0);
        assert_int_equal(acl_permission_of(code), i >= 1 && i <= 3 ? i : 0);
    }
    assert_int_equal(acl_operation_parse(slice_str("describe-configs")), ACL_DESCRIBE_CONFIGS);
    assert_int_equal(acl_operation_parse(slice_str("DescribeConfigs")), ACL_DESCRIBE_CONFIGS);
    assert_int_equal(acl_type_parse(slice_str("data-subject")), ACL_DATA_SUBJECT);
    assert_int_equal(acl_type_parse(slice_str("topics")), ACL_TYPE_UNKNOWN);
    assert_true(acl_operation_supported(ACL_TOPIC, ACL_ALL));
    assert_false(acl_operation_supported(ACL_TOPIC, ACL_CLUSTER_ACTION));
}

static void creation_is_checked_as_kafka_does(void **state)
{
    struct reason why;
    struct acl_rule r = rule(ACL_CLUSTER, ACL_LITERAL, "my-cluster");

    (void)state;
    assert_int_equal(acl_rule_validate(&r, &why), ERR_INVALID_REQUEST);
    assert_string_equal(why.text, "The only valid name for the CLUSTER resource is kafka-cluster");
    r.name = slice_str(ACL_CLUSTER_NAME);
    assert_int_equal(acl_rule_validate(&r, &why), ERR_OK);
    r = rule(ACL_TOPIC, ACL_LITERAL, "");
    assert_int_equal(acl_rule_validate(&r, &why), ERR_INVALID_REQUEST);
    assert_string_equal(why.text, "Invalid empty resource name");
    r = rule(ACL_TYPE_ANY, ACL_LITERAL, "x");
    assert_int_equal(acl_rule_validate(&r, &why), ERR_INVALID_REQUEST);
    assert_string_equal(why.text, "Invalid resourceType ANY");
    r = rule(ACL_TOPIC, ACL_PATTERN_MATCH, "x");
    assert_int_equal(acl_rule_validate(&r, &why), ERR_INVALID_REQUEST);
    assert_string_equal(why.text, "Invalid patternType MATCH");
    r = rule(ACL_TOPIC, ACL_PREFIXED, "x");
    r.operation = ACL_OP_ANY;
    assert_int_equal(acl_rule_validate(&r, &why), ERR_INVALID_REQUEST);
    assert_string_equal(why.text, "Invalid operation ANY");
    r.operation = ACL_READ;
    r.permission = ACL_PERMISSION_UNKNOWN;
    assert_int_equal(acl_rule_validate(&r, &why), ERR_INVALID_REQUEST);
    assert_string_equal(why.text, "Invalid permissionType UNKNOWN");
    r.permission = ACL_DENY;
    r.principal = slice_str("alice");
    assert_int_equal(acl_rule_validate(&r, &why), ERR_INVALID_REQUEST);
    assert_string_equal(why.text, "Could not parse principal from `alice` (no colon is present separating the "
                                  "principal type from the principal name)");
}

static bool matches(enum acl_pattern filter, const char *name, enum acl_pattern pattern, const char *rule_name)
{
    struct acl_rule r = rule(ACL_TOPIC, pattern, rule_name);
    struct acl_filter f = {ACL_TOPIC,       filter,     ACL_OP_ANY, ACL_PERMISSION_ANY,
                           slice_str(name), SLICE_NULL, SLICE_NULL, false};
    return acl_filter_matches(&f, &r);
}

static void filters_match_as_kafka_does(void **state)
{
    struct acl_rule r = rule(ACL_TOPIC, ACL_LITERAL, "orders");
    struct acl_filter f = {ACL_TYPE_ANY, ACL_PATTERN_ANY, ACL_OP_ANY, ACL_PERMISSION_ANY, {0}, {0}, {0}, false};
    struct reason why;

    (void)state;
    assert_true(matches(ACL_LITERAL, "foo", ACL_LITERAL, "foo"));
    assert_false(matches(ACL_LITERAL, "foo", ACL_PREFIXED, "foo"));
    assert_false(matches(ACL_LITERAL, "foo", ACL_LITERAL, "*"));
    assert_true(matches(ACL_PATTERN_ANY, "foo", ACL_PREFIXED, "foo"));
    assert_false(matches(ACL_PATTERN_ANY, "foo", ACL_PREFIXED, "fo"));
    assert_true(matches(ACL_PATTERN_MATCH, "foo", ACL_PREFIXED, "fo"));
    assert_true(matches(ACL_PATTERN_MATCH, "foo", ACL_LITERAL, "*"));
    assert_true(matches(ACL_PATTERN_MATCH, "foo", ACL_LITERAL, "foo"));
    assert_false(matches(ACL_PATTERN_MATCH, "foo", ACL_PREFIXED, "foob"));
    assert_true(matches(ACL_PATTERN_MATCH, NULL, ACL_PREFIXED, "foob"));

    assert_true(acl_filter_matches(&f, &r));
    f.principal = slice_str("User:b");
    assert_false(acl_filter_matches(&f, &r));
    f.principal = slice_str("User:a");
    f.host = slice_str("1.1.1.1");
    assert_false(acl_filter_matches(&f, &r));
    f.host = SLICE_NULL;
    f.operation = ACL_WRITE;
    assert_false(acl_filter_matches(&f, &r));
    f.operation = ACL_READ;
    f.permission = ACL_DENY;
    assert_false(acl_filter_matches(&f, &r));
    f.permission = ACL_ALLOW;
    assert_true(acl_filter_matches(&f, &r));

    r.type = ACL_SUBJECT; /* ANY of a Kafka client does not see ours */
    assert_false(acl_filter_matches(&f, &r));
    f.ours = true;
    assert_true(acl_filter_matches(&f, &r));
    f.ours = false;
    f.type = ACL_SUBJECT;
    assert_true(acl_filter_matches(&f, &r));
    f.type = ACL_TYPE_UNKNOWN;
    assert_int_equal(acl_filter_validate(&f, &why), ERR_INVALID_REQUEST);
}

static void the_set_holds_each_rule_once(void **state)
{
    struct acl_set *s = acl_set_new();
    struct acl_rule r = rule(ACL_TOPIC, ACL_LITERAL, "orders"), other = r;
    bool added;

    (void)state;
    other.host = slice_str("10.0.0.1");
    assert_int_equal(acl_set_add(s, &r, &added, NULL), ERR_OK);
    assert_true(added);
    assert_int_equal(acl_set_add(s, &r, &added, NULL), ERR_OK);
    assert_false(added);
    assert_int_equal(acl_set_add(s, &other, &added, NULL), ERR_OK);
    assert_int_equal(acl_set_count(s), 2);
    assert_true(acl_set_remove(s, &r));
    assert_false(acl_set_remove(s, &r));
    assert_int_equal(acl_set_count(s), 1);
    acl_set_clear(s);
    assert_int_equal(acl_set_count(s), 0);
    acl_set_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_codes),
        cmocka_unit_test(creation_is_checked_as_kafka_does),
        cmocka_unit_test(filters_match_as_kafka_does),
        cmocka_unit_test(the_set_holds_each_rule_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
