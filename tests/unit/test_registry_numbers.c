/* SPDX-License-Identifier: Apache-2.0
 * Versions and ids at the ends of what 32 bits hold: a registry into which they were imported answers, and counts no
 * further. The sanitized build sees what a plain one does not. */
#include "registry/change.h"
#include "registry/rest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define KEY(version) "{\"keytype\":\"SCHEMA\",\"subject\":\"s\",\"version\":" version ",\"magic\":1}"
#define VALUE(version, id)                                                                                             \
    "{\"subject\":\"s\",\"version\":" version ",\"id\":" id                                                            \
    ",\"schemaType\":\"AVRO\",\"schema\":\"\\\"string\\\"\",\"deleted\":false}"

static void ignore(void *ctx, struct slice key, struct slice value)
{
    (void)ctx, (void)key, (void)value;
}

static void ask(struct store *s, const char *target, const char *body, int code)
{
    struct api_settings settings = {.shape = 82, .models = model_cache_new(10)};
    struct rest_server server = {.store = s, .settings = &settings};
    struct rest_request r;
    struct answer a;
    struct change *c = NULL;
    rest_request_init(&r);
    answer_init(&a);
    r.method = REST_POST;
    assert_int_equal(rest_request_target(&r, slice_str(target), &a), ERR_OK);
    r.body = slice_str(body);
    rest_run(rest_route(&r, &a), &server, &r, &a, &c);
    if (c)
        (void)!change_decide(c, s, &settings, ignore, NULL);
    if ((a.error_code ? a.error_code : a.status) != code)
        fail_msg("%s %s: %d %s", target, body, a.status, buf_cstr(&a.body));
    rest_change_free(c);
    answer_free(&a);
    rest_request_free(&r);
    model_cache_free(settings.models);
}

static void no_numbers_are_left(void **state)
{
    struct store s;
    (void)state;
    store_init(&s, NULL);
    assert_int_equal(
        store_apply(&s, slice_str(KEY("2147483647")), slice_str(VALUE("2147483647", "2147483647")), 1, NULL), ERR_OK);
    ask(&s, "/subjects/s/versions", "{\"schema\":\"\\\"string\\\"\"}", 200);
    ask(&s, "/subjects/s/versions", "{\"schema\":\"\\\"bytes\\\"\"}", 50001);
    ask(&s, "/subjects/s", "{\"schema\":\"\\\"bytes\\\"\"}", 40403);
    ask(&s, "/subjects/t/versions", "{\"schema\":\"\\\"bytes\\\"\"}", 50001);
    ask(&s, "/compatibility/subjects/s/versions", "{\"schema\":\"\\\"string\\\"\"}", 200);
    store_free(&s);
}

/* One below 1 stands for none. */
static void a_new_version_is_any_number(void **state)
{
    struct store s;
    (void)state;
    store_init(&s, NULL);
    assert_int_equal(store_apply(&s, slice_str(KEY("1")), slice_str(VALUE("1", "1")), 1, NULL), ERR_OK);
    ask(&s, "/subjects/s/versions/1/tags", "{\"newVersion\":-2147483648,\"rulesToRemove\":[\"a\"]}", 200);
    ask(&s, "/subjects/s/versions/1/tags", "{\"newVersion\":2147483647,\"rulesToRemove\":[\"a\"]}", 42201);
    store_free(&s);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_numbers_are_left),
        cmocka_unit_test(a_new_version_is_any_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
