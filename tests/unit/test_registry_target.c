/* SPDX-License-Identifier: Apache-2.0
 * Request targets taken apart, routes found by them, and the words of refusals. */
#include "registry/http_negotiate.h"
#include "registry/rest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct asked {
    struct rest_request r;
    struct answer a;
    const struct rest_route *route;
};

static void ask(struct asked *q, enum rest_method method, const char *target)
{
    rest_request_init(&q->r);
    answer_init(&q->a);
    q->r.method = method;
    q->route = rest_request_target(&q->r, slice_str(target), &q->a) ? NULL : rest_route(&q->r, &q->a);
}

static void done(struct asked *q)
{
    answer_free(&q->a);
    rest_request_free(&q->r);
}

static void test_routes(void **state)
{
    static const struct {
        enum rest_method method;
        const char *target, *route;
    } cases[] = {
        {REST_GET, "/", ""},
        {REST_GET, "", ""},
        {REST_GET, "/subjects/", "subjects"},
        {REST_GET, "/subjects?deleted=true", "subjects"},
        {REST_GET, "/contexts/./subjects", "subjects"},
        {REST_GET, "/contexts/.", ""},
        {REST_DELETE, "/contexts/c", "contexts/*"},
        {REST_POST, "/subjects/a%2Fb/versions", "subjects/*/versions"},
        {REST_GET, "/contexts/.c/subjects/a/versions/1", "subjects/*/versions/*"},
        {REST_GET, "/contexts/:.c:/subjects", "subjects"},
        {REST_DELETE, "/contexts/.c", "contexts/*"},
        {REST_GET, "http://host:8081/schemas/ids/1?subject=a", "schemas/ids/*"},
        {REST_GET, "https://host", ""},
        {REST_GET, "https://host?x=1", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct asked q;
        ask(&q, cases[i].method, cases[i].target);
        if (!q.route || strcmp(rest_route_name(q.route), cases[i].route) != 0)
            fail_msg("%s: wanted %s", cases[i].target, cases[i].route);
        done(&q);
    }
}

static void test_refused(void **state)
{
    static const struct {
        const char *target;
        int code;
    } cases[] = {
        {"/nowhere", 404},
        {"/subjects//versions/1/2/3", 404},
        {"/1/2/3/4/5/6/7/8/9/10/11/12/13", 404},
        {"/subjects/%", 400},
        {"/subjects/%4", 400},
        {"/subjects/%4x", 400},
        {"/subjects/%00", 400},
        {"/subjects/%ff", 400},
        {"/subjects/\xc3", 400},
        {"/subjects/%ed%a0%80", 400},
        {"/subjects/%f4%90%80%80", 400},
        {"/subjects?a=%c0%af", 400},
        {"/subjects?%ff=a", 400},
        {"/subjects?a=%", 400},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct asked q;
        ask(&q, REST_GET, cases[i].target);
        if (q.route || q.a.error_code != cases[i].code)
            fail_msg("%s: wanted %d, got %d", cases[i].target, cases[i].code, q.a.error_code);
        done(&q);
    }
}

static void test_parameters(void **state)
{
    char target[REST_PARAMS_MAX * 8 + 32] = "/subjects?";
    struct asked q;
    (void)state;
    for (int i = 0; i < REST_PARAMS_MAX; i++)
        snprintf(target + strlen(target), sizeof target - strlen(target), "%sp%d=1", i ? "&" : "", i);
    ask(&q, REST_GET, target);
    assert_non_null(q.route);
    assert_int_equal(q.r.param_count, REST_PARAMS_MAX);
    done(&q);
    snprintf(target + strlen(target), sizeof target - strlen(target), "&more=1");
    ask(&q, REST_GET, target);
    assert_null(q.route);
    assert_int_equal(q.a.error_code, 400);
    done(&q);
    ask(&q, REST_GET, "/subjects?a=b+c%2b&&d");
    assert_int_equal(q.r.param_count, 2);
    assert_true(slice_eq_str(q.r.params[0].value, "b c+"));
    assert_true(slice_eq_str(q.r.params[1].name, "d"));
    done(&q);
}

static void test_methods(void **state)
{
    struct asked q;
    char text[HTTP_ALLOW_MAX];
    (void)state;
    ask(&q, REST_OTHER, "/config/a");
    assert_null(q.route);
    assert_int_equal(q.a.error_code, 405);
    http_allow(text, q.a.allow);
    assert_string_equal(text, "GET, HEAD, PUT, DELETE");
    done(&q);
    ask(&q, REST_OTHER, "/nowhere");
    assert_int_equal(q.a.allow, 0);
    done(&q);
}

/* Whatever a message quotes, the answer is JSON. */
static void test_messages(void **state)
{
    static const struct {
        const char *message, *body;
    } cases[] = {
        {"", ""},
        {"plain \xc3\xa4", "plain \xc3\xa4"},
        {"\xff", "\xef\xbf\xbd"},
        {"a\xff\xfe"
         "b",
         "a\xef\xbf\xbd\xef\xbf\xbd"
         "b"},
        {"cut \xe2\x82", "cut \xef\xbf\xbd\xef\xbf\xbd"},
        {"\xc3\xa4\xed\xa0\x80!", "\xc3\xa4\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd!"},
        {"\"\\\n", "\\\"\\\\\\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct answer a;
        char wanted[100];
        answer_init(&a);
        assert_int_equal(answer_error(&a, 42201, "%s", cases[i].message), ERR_CONFLICT);
        snprintf(wanted, sizeof wanted, "{\"error_code\":42201,\"message\":\"%s\"}", cases[i].body);
        assert_string_equal(buf_cstr(&a.body), wanted);
        assert_int_equal(a.status, 422);
        answer_free(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_routes),  cmocka_unit_test(test_refused),  cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_methods), cmocka_unit_test(test_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
