/* SPDX-License-Identifier: Apache-2.0
 * Who the admin interface lets in: right and wrong passwords, headers that are none, a remembered password that must
 * not outlive a change of the users. */
#include "acl/acl_base64.h"
#include "gateway/admin/admin_request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static struct users_snapshot *users_with(const char *name, const char *password)
{
    uint8_t salt[CREDENTIAL_SALT_SIZE] = {7};
    struct users *u = users_new();
    struct users_snapshot *s = NULL;
    struct credential c;

    assert_non_null(u);
    assert_int_equal(credential_from_password(&c, CREDENTIAL_SCRAM_SHA_512, slice_str(password),
                                              slice_of(salt, sizeof salt), 4096, NULL),
                     ERR_OK);
    assert_int_equal(users_put(u, slice_str(name), &c), ERR_OK);
    assert_int_equal(users_snapshot_build(&s, u), ERR_OK);
    users_free(u);
    return s;
}

/* The principal an Authorization of "Basic user:password" gives; "" when it is refused. */
static const char *ask(struct admin_auth *a, const struct view *v, const char *pair)
{
    static char text[128];
    struct buf header, principal;

    buf_init(&header, 0);
    buf_init(&principal, 0);
    buf_put_str(&header, "Basic ");
    base64_put(&header, slice_str(pair));
    snprintf(text, sizeof text, "%s", admin_identify(a, v, buf_cstr(&header), &principal) ? buf_cstr(&principal) : "");
    buf_free(&header);
    buf_free(&principal);
    return text;
}

static void test_passwords(void **state)
{
    struct view v = {.users = users_with("alice", "a:b")};
    struct admin_auth *a = admin_auth_new();

    (void)state;
    for (int round = 0; round < 2; round++) { /* the second time from memory */
        assert_string_equal(ask(a, &v, "alice:a:b"), "User:alice");
        assert_string_equal(ask(a, &v, "alice:a:c"), "");
        assert_string_equal(ask(a, &v, "alice:"), "");
        assert_string_equal(ask(a, &v, "alice"), "");
        assert_string_equal(ask(a, &v, ":a:b"), "");
        assert_string_equal(ask(a, &v, "bob:a:b"), "");
        assert_string_equal(ask(a, &v, ""), "");
    }
    admin_auth_free(a);
    users_snapshot_unref(v.users);
}

static void test_users_change(void **state)
{
    struct view old = {.users = users_with("alice", "old")}, now = {.users = users_with("alice", "new")};
    struct admin_auth *a = admin_auth_new();

    (void)state;
    assert_string_equal(ask(a, &old, "alice:old"), "User:alice");
    assert_string_equal(ask(a, &now, "alice:old"), "");
    assert_string_equal(ask(a, &now, "alice:new"), "User:alice");
    admin_auth_free(a);
    users_snapshot_unref(old.users);
    users_snapshot_unref(now.users);
}

static void test_headers(void **state)
{
    static const char *const bad[] = {
        "", "Basic", "Basic ", "Basic ====", "Bearer x", "Basic YWxpY2U", "basicYWxpY2U6eA=="};
    struct view v = {.users = users_with("alice", "x")};
    struct admin_auth *a = admin_auth_new();
    struct buf principal;

    (void)state;
    buf_init(&principal, 0);
    assert_false(admin_identify(a, &v, NULL, &principal));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(admin_identify(a, &v, bad[i], &principal));
    assert_true(admin_identify(a, &v, "basic  YWxpY2U6eA==", &principal));
    buf_free(&principal);
    admin_auth_free(a);
    users_snapshot_unref(v.users);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_passwords), cmocka_unit_test(test_users_change),
                                       cmocka_unit_test(test_headers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
