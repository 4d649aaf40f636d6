/* SPDX-License-Identifier: Apache-2.0
 * What clients say of themselves. */
#include "core/wire/client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_software_names_as_kafka_reads_them(void **state)
{
    static const char *const good[] = {"a", "librdkafka", "apache-kafka-java", "2.16.1", "3.9.0-ccs", "0--1", "A.b"};
    static const char *const bad[] = {"", "-a", "a-", ".1", "1.", "a b", "a_b", "kafka/1", "caf\xc3\xa9", "a\n"};

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(client_software_is_valid(slice_str(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(client_software_is_valid(slice_str(bad[i])));
    assert_false(client_software_is_valid(SLICE_NULL));
}

static void test_requests_are_described(void **state)
{
    struct client_software s = {0};
    char text[CLIENT_DESCRIPTION_MAX], longest[2000];

    (void)state;
    client_describe_request(text, 1, 99, slice_str("app"), &s);
    assert_string_equal(text, "Fetch version 99 (client id \"app\", software unknown)");
    client_software_set(&s, slice_str("librdkafka"), slice_str("2.16.1"));
    client_describe_request(text, 999, -3, SLICE_NULL, &s);
    assert_string_equal(text, "API 999 version -3 (client id \"\", software librdkafka 2.16.1)");
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    client_software_set(&s, slice_str(longest), slice_str(longest));
    assert_int_equal(strlen(s.name), CLIENT_SOFTWARE_MAX);
    client_describe_request(text, 1, INT16_MIN, slice_str(longest), &s);
    assert_int_equal(text[strlen(text) - 1], ')');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_software_names_as_kafka_reads_them),
        cmocka_unit_test(test_requests_are_described),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
