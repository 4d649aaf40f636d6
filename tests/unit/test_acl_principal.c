/* SPDX-License-Identifier: Apache-2.0
 * Principals and the mapping of distinguished names: the examples of Kafka's documentation (KIP-371), broken rules,
 * hostile patterns. */
#include "acl/principal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const char dn[] = "CN=serviceuser,OU=ServiceUsers,O=Unknown,L=Unknown,ST=Unknown,C=Unknown";

/* The mapped principal, or NULL when refused; valid until the next call. */
static const char *map(const char *rules, const char *name)
{
    static struct buf out;
    struct principal_rules *r;
    struct reason why;
    enum err e;

    assert_int_equal(principal_rules_parse(&r, slice_str(rules), &why), ERR_OK);
    buf_free(&out);
    buf_init(&out, 0);
    e = principal_from_dn(r, slice_str(name), &out, &why);
    principal_rules_free(r);
    if (e) {
        assert_int_equal(e, ERR_AUTH);
        buf_free(&out);
        return NULL;
    }
    return buf_cstr(&out);
}

static void rules_map_names(void **state)
{
    static const char both[] = "RULE:^CN=(.*?),OU=ServiceUsers.*$/$1/, "
                               "RULE:^CN=(.*?),OU=(.*?),O=(.*?),L=(.*?),ST=(.*?),C=(.*?)$/$1@$2/L, "
                               "RULE:^.*[Cc][Nn]=([a-zA-Z0-9.]*).*$/$1/L , DEFAULT";

    (void)state;
    assert_string_equal(map(NULL, dn), "User:CN=serviceuser,OU=ServiceUsers,O=Unknown,L=Unknown,ST=Unknown,C=Unknown");
    assert_string_equal(map("DEFAULT", "CN=a"), "User:CN=a");
    assert_string_equal(map(both, dn), "User:serviceuser");
    assert_string_equal(map(both, "CN=adminUser,OU=Admin,O=Unknown,L=Unknown,ST=Unknown,C=Unknown"),
                        "User:adminuser@admin");
    assert_string_equal(map(both, "cn=Kafka.Bob,ou=x"), "User:kafka.bob");
    assert_string_equal(map(both, "O=only"), "User:O=only");
    assert_string_equal(map("RULE:^CN=(.*?),.*$/$1/U", "CN=alice,O=x"), "User:ALICE");
    assert_null(map("RULE:^CN=(.*?),OU=None$/$1/", dn));
    assert_null(map("RULE:^CN=(.*)$//", "CN=alice"));
    assert_string_equal(map("RULE:^CN=(.*?)$/a\\/$1\\$x/", "CN=z"), "User:a/z$x");
    assert_string_equal(map("RULE:^CN=(.*?)$/$1$2/", "CN=z"), "User:z$2"); /* no such group: text, as in Kafka */
    assert_string_equal(map("RULE:^CN=(.)$/$11/", "CN=z"), "User:z1");
    assert_string_equal(map("RULE:CN=(a|ab)/$1/", "CN=ab"), "User:ab");
    assert_string_equal(map("RULE:^CN=(.*)$/$1/L", "CN=J\xc3\x9cRGEN"), "User:j\xc3\x9crgen"); /* ASCII only */
}

static void broken_rules_are_refused(void **state)
{
    static const char *const bad[] = {
        "RULE:a/b",   "RULE:a",     "rule:a/b/", "DEFAULT,", "DEFAULTS",          "RULE:(/b/",    "RULE:a/b/LU",
        "RULE:a/b/X", "RULE:a/$x/", "RULE:a/$/", ",DEFAULT", "RULE:a/b/ DEFAULT", "RULE:\\C/b/L", "DEFAULT,RULE:a/b"};
    struct principal_rules *r;
    struct reason why;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (principal_rules_parse(&r, slice_str(bad[i]), &why) != ERR_BAD_CONFIG)
            fail_msg("accepted: %s", bad[i]);
        assert_null(r);
    }
}

/* A pattern that would backtrack for ever refuses the session instead of stopping the gateway. */
static void hostile_patterns_end(void **state)
{
    char name[64];

    (void)state;
    memset(name, 'a', sizeof name);
    name[sizeof name - 1] = 0;
    name[sizeof name - 2] = '!';
    assert_null(map("RULE:^(([a-z])+.)+[A-Z]([a-z])+$/$1/, DEFAULT", name));
    assert_null(map("DEFAULT", ""));
    assert_null(map("RULE:(.*)/$1/", "CN=\xff\xfe"));
}

static void principals_are_cut_at_the_colon(void **state)
{
    struct slice type, name;
    struct reason why;

    (void)state;
    assert_int_equal(principal_parse(slice_str("User:CN=a:b"), &type, &name, &why), ERR_OK);
    assert_true(slice_eq_str(type, "User") && slice_eq_str(name, "CN=a:b"));
    assert_int_equal(principal_parse(slice_str("alice"), &type, &name, &why), ERR_INVALID_REQUEST);
    assert_string_equal(why.text, "expected a string in format principalType:principalName but got alice");
    assert_int_equal(principal_parse(slice_str(":a"), &type, &name, NULL), ERR_INVALID_REQUEST);
    assert_int_equal(principal_parse(slice_str("User:"), &type, &name, NULL), ERR_INVALID_REQUEST);
    assert_int_equal(principal_parse(SLICE_NULL, &type, &name, NULL), ERR_INVALID_REQUEST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_map_names),
        cmocka_unit_test(broken_rules_are_refused),
        cmocka_unit_test(hostile_patterns_end),
        cmocka_unit_test(principals_are_cut_at_the_colon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
