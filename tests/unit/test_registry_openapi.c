/* SPDX-License-Identifier: Apache-2.0
 * The OpenAPI description against the table of routes, both ways, and against itself: every reference leads somewhere,
 * every operation has a name of its own, says what it answers and names the parameters of its path. */
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "registry/openapi.h"
#include "registry/rest.h"

static const char *const method_names[] = {
    [REST_GET] = "get", [REST_POST] = "post", [REST_PUT] = "put", [REST_DELETE] = "delete"};

static json_t *description;

static int load(void **state)
{
    json_error_t at;
    (void)state;
    description = json_loadb((const char *)registry_openapi, registry_openapi_n, JSON_REJECT_DUPLICATES, &at);
    if (!description)
        print_error("registry/openapi.json:%d: %s\n", at.line, at.text);
    return description ? 0 : -1;
}

static int unload(void **state)
{
    (void)state;
    json_decref(description);
    return 0;
}

/* "/subjects/{subject}/versions" as the table has it: a star for each name in braces. */
static void pattern_of(const char *path, char *out, size_t cap)
{
    size_t n = 0;
    for (const char *p = path + (*path == '/'); *p && n + 1 < cap; p++) {
        out[n++] = *p == '{' ? '*' : *p;
        p = *p == '{' ? strchr(p, '}') : p;
        assert_non_null(p);
    }
    out[n] = 0;
}

static const struct rest_route *route_of(const char *pattern, const char *method)
{
    const struct rest_route *r;
    for (size_t i = 0; (r = rest_route_at(i)); i++)
        if (!strcmp(rest_route_name(r), pattern) && !strcmp(method_names[rest_route_method(r)], method))
            return r;
    return NULL;
}

static void test_described_is_routed(void **state)
{
    const char *path, *method;
    json_t *item, *operation;
    char pattern[200];
    (void)state;
    json_object_foreach(json_object_get(description, "paths"), path, item)
    {
        pattern_of(path, pattern, sizeof pattern);
        json_object_foreach(item, method, operation)
        {
            const struct rest_route *r = route_of(pattern, method);
            if (!r)
                fail_msg("described, but not served: %s %s", method, path);
            json_t *security = json_object_get(operation, "security");
            if (rest_route_is_public(r) != (security && json_array_size(security) == 0))
                fail_msg("%s %s: whether it is public differs", method, path);
        }
    }
}

static void test_routed_is_described(void **state)
{
    const struct rest_route *r;
    (void)state;
    for (size_t i = 0; (r = rest_route_at(i)); i++) {
        const char *path;
        json_t *item;
        char pattern[200];
        bool found = false;
        json_object_foreach(json_object_get(description, "paths"), path, item)
        {
            pattern_of(path, pattern, sizeof pattern);
            found |= !strcmp(pattern, rest_route_name(r)) && json_object_get(item, method_names[rest_route_method(r)]);
        }
        if (!found)
            fail_msg("served, but not in registry/openapi.json: %s /%s", method_names[rest_route_method(r)],
                     rest_route_name(r));
    }
}

static const json_t *follow(const char *ref)
{
    const json_t *at = description;
    char name[100];
    assert_true(ref[0] == '#' && ref[1] == '/');
    for (ref += 2; at && *ref; ref += *ref == '/') {
        size_t n = strcspn(ref, "/");
        snprintf(name, sizeof name, "%.*s", (int)n, ref);
        at = json_object_get(at, name);
        ref += n;
    }
    return at;
}

static void check_refs(const json_t *v)
{
    const char *name;
    json_t *item;
    size_t i;
    if (json_is_string(json_object_get(v, "$ref")) && !follow(json_string_value(json_object_get(v, "$ref"))))
        fail_msg("leads nowhere: %s", json_string_value(json_object_get(v, "$ref")));
    json_object_foreach((json_t *)v, name, item) check_refs(item);
    json_array_foreach(v, i, item) check_refs(item);
}

static bool has_parameter(const json_t *operation, const char *name, size_t n)
{
    size_t i;
    json_t *p;
    json_array_foreach(json_object_get(operation, "parameters"), i, p)
    {
        const char *ref = json_string_value(json_object_get(p, "$ref"));
        const json_t *whole = ref ? follow(ref) : p;
        const char *have = json_string_value(json_object_get(whole, "name"));
        const char *in = json_string_value(json_object_get(whole, "in"));
        if (have && in && !strcmp(in, "path") && strlen(have) == n && !memcmp(have, name, n))
            return true;
    }
    return false;
}

static void test_sound(void **state)
{
    const char *path, *method;
    json_t *item, *operation, *ids = json_object();
    (void)state;
    assert_string_equal(json_string_value(json_object_get(description, "openapi")), "3.1.0");
    check_refs(description);
    json_object_foreach(json_object_get(description, "paths"), path, item)
    {
        json_object_foreach(item, method, operation)
        {
            const char *id = json_string_value(json_object_get(operation, "operationId"));
            const json_t *responses = json_object_get(operation, "responses");
            if (!id || json_object_get(ids, id))
                fail_msg("%s %s: no operationId of its own", method, path);
            json_object_set_new(ids, id, json_true());
            if (!json_object_get(responses, "200") && !json_object_get(responses, "204") &&
                !json_object_get(responses, "207"))
                fail_msg("%s %s: no success", method, path);
            if ((!strcmp(method, "put") || (!strcmp(method, "post") && strlen(path) > 1)) !=
                (json_object_get(operation, "requestBody") != NULL))
                fail_msg("%s %s: is there a body?", method, path);
            for (const char *p = strchr(path, '{'); p; p = strchr(p + 1, '{'))
                if (!has_parameter(operation, p + 1, strcspn(p + 1, "}")))
                    fail_msg("%s %s: a parameter of the path is not described", method, path);
        }
    }
    json_decref(ids);
}

static void test_served(void **state)
{
    static const char *const targets[] = {"/openapi.json", "/openapi"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct rest_request r;
        struct rest_server server = {0};
        struct change *change = NULL;
        struct answer a;
        rest_request_init(&r);
        answer_init(&a);
        r.method = REST_GET;
        assert_int_equal(rest_request_target(&r, slice_str(targets[i]), &a), ERR_OK);
        const struct rest_route *route = rest_route(&r, &a);
        assert_non_null(route);
        assert_true(rest_route_is_public(route));
        rest_run(route, &server, &r, &a, &change);
        assert_null(change);
        assert_int_equal(a.status, 200);
        assert_string_equal(a.content_type, "application/json");
        assert_true(slice_eq(buf_slice(&a.body), slice_of(registry_openapi, registry_openapi_n)));
        answer_free(&a);
        rest_request_free(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_described_is_routed),
        cmocka_unit_test(test_routed_is_described),
        cmocka_unit_test(test_sound),
        cmocka_unit_test(test_served),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
