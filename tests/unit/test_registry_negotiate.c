/* SPDX-License-Identifier: Apache-2.0
 * Content negotiation and listener addresses. */
#include "registry/http_negotiate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void test_answer_types(void **state)
{
    static const struct {
        const char *accept, *type;
    } cases[] = {
        {NULL, HTTP_TYPE_V1},
        {"", HTTP_TYPE_V1},
        {" \t", HTTP_TYPE_V1},
        {"*/*", HTTP_TYPE_V1},
        {"application/*", HTTP_TYPE_V1},
        {"application/json", HTTP_TYPE_JSON},
        {"APPLICATION/JSON", HTTP_TYPE_JSON},
        {"application/json; charset=utf-8", HTTP_TYPE_JSON},
        {"application/vnd.schemaregistry+json", HTTP_TYPE_PLAIN},
        {"application/vnd.schemaregistry.v1+json, application/vnd.schemaregistry+json, application/json", HTTP_TYPE_V1},
        {"application/json, */*;q=0.1", HTTP_TYPE_JSON},
        {"application/json;q=0.9,application/vnd.schemaregistry.v1+json;q=0.4", HTTP_TYPE_JSON},
        {"application/json;q=0.5, application/vnd.schemaregistry+json;q=0.4", HTTP_TYPE_JSON}, /* theirs before ours */
        {"application/vnd.schemaregistry.v1+json;q=0, */*", HTTP_TYPE_PLAIN},
        {"*/*, application/vnd.schemaregistry.v1+json;q=0", HTTP_TYPE_PLAIN},
        {"application/json\t;\tq=0.2 , text/html", HTTP_TYPE_JSON},
        {"application/json;freq=0", HTTP_TYPE_JSON},
        {"text/html", NULL},
        {"application/json;q=0", NULL},
        {"application/json;q=0.0001", NULL}, /* three decimals count */
        {"*/*;q=0.000", NULL},
        {"application/json;q=nan", NULL},
        {"application/json;q=inf, application/vnd.schemaregistry+json;q=0.001", HTTP_TYPE_PLAIN},
        {"application/json;q=", NULL},
        {"application/json;q=15", NULL},
        {"application/json;q=-1", NULL},
        {"application/json;q=1.5", NULL},
        {"application", NULL},
        {",,;,;;q=1,", NULL},
        {"application/jsonx", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *type = http_answer_type(cases[i].accept);
        if (type != cases[i].type && (!type || !cases[i].type || strcmp(type, cases[i].type)))
            fail_msg("Accept: %s gives %s", cases[i].accept ? cases[i].accept : "(none)", type ? type : "none");
    }
}

static void test_body_types(void **state)
{
    static const char *const good[] = {NULL,
                                       "application/json",
                                       "application/JSON ; charset=UTF-8",
                                       "application/vnd.schemaregistry.v1+json",
                                       "application/vnd.schemaregistry+json",
                                       "application/octet-stream"};
    static const char *const bad[] = {"text/plain", "application/xml", "*/*", "application/json, text/plain",
                                      "application/x-www-form-urlencoded"};
    static const char *const none[] = {"", "garbage", " ;a/b"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(http_type_status(good[i]), 200);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(http_type_status(bad[i]), 415);
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_int_equal(http_type_status(none[i]), 400);
}

static void test_methods(void **state)
{
    (void)state;
    assert_int_equal(http_method("GET"), REST_GET);
    assert_int_equal(http_method("HEAD"), REST_GET);
    assert_int_equal(http_method("DELETE"), REST_DELETE);
    assert_int_equal(http_method("get"), REST_OTHER);
    assert_int_equal(http_method("OPTIONS"), REST_OPTIONS);
    assert_int_equal(http_method(""), REST_OTHER);
}

static void test_allow(void **state)
{
    char text[HTTP_ALLOW_MAX];
    (void)state;
    http_allow(text, 0);
    assert_string_equal(text, "");
    http_allow(text, 1u << REST_POST);
    assert_string_equal(text, "POST");
    http_allow(text, ~0u);
    assert_string_equal(text, "GET, HEAD, POST, PUT, DELETE, OPTIONS");
}

static void test_listeners(void **state)
{
    static const struct {
        const char *text, *host, *port;
        bool tls;
    } good[] = {
        {"http://localhost:8081", "localhost", "8081", false},
        {"https://127.0.0.1:0", "127.0.0.1", "0", true},
        {"http://[::1]:80", "::1", "80", false},
        {"http://:8081", "", "8081", false},
        {"http://::1:80", "::1", "80", false},
    };
    static const char *const bad[] = {"",
                                      "http",
                                      "ftp://a:1",
                                      "http://a",
                                      "http://a:",
                                      "http://a:b",
                                      "http://a:1x",
                                      "http://a:123456",
                                      "http://[::1:80",
                                      "http://::1]:80",
                                      "http://[:80",
                                      "HTTP://a:1"};
    struct http_listener l;
    struct reason why;
    char longest[400];
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(http_listener_parse(slice_str(good[i].text), &l, &why), ERR_OK);
        assert_string_equal(l.host, good[i].host);
        assert_string_equal(l.port, good[i].port);
        assert_int_equal(l.tls, good[i].tls);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(http_listener_parse(slice_str(bad[i]), &l, &why), ERR_BAD_CONFIG);
    snprintf(longest, sizeof longest, "http://%0300d:80", 0);
    assert_int_equal(http_listener_parse(slice_str(longest), &l, &why), ERR_BAD_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answer_types), cmocka_unit_test(test_body_types), cmocka_unit_test(test_methods),
        cmocka_unit_test(test_allow),        cmocka_unit_test(test_listeners),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
