/* SPDX-License-Identifier: Apache-2.0
 * How ACLs name data subjects: no two persons share a name. */
#include "gateway/admin/subject_name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void is_named(const char *tenant, const char *subject_class, struct slice id, struct slice name)
{
    struct buf b;
    buf_init(&b, 0);
    subject_name_put(&b, slice_str(tenant), slice_str(subject_class), id);
    assert_int_equal(buf_error(&b), 0);
    if (!slice_eq(buf_slice(&b), name))
        fail_msg("%s", buf_cstr(&b));
    buf_free(&b);
}

static void test_names(void **state)
{
    (void)state;
    is_named("default", "default", slice_str("ben"), slice_str("ben"));
    is_named("default", "default", slice_of("ben\0x", 5), slice_of("ben\0x", 5));
    is_named("acme", "default", slice_str("ben"), slice_str("//acme/default/ben"));
    is_named("default", "patient", slice_str("ben"), slice_str("//default/patient/ben"));
    is_named("", "default", slice_str("ben"), slice_str("///default/ben"));
    is_named("a/b%", "c", slice_str("d/e%"), slice_str("//a%2Fb%25/c/d/e%"));
    is_named("a", "b/c", slice_str("d"), slice_str("//a/b%2Fc/d"));
    /* an id that looks like a full name is no other tenant's person */
    is_named("default", "default", slice_str("//acme/default/ben"), slice_str("//default/default///acme/default/ben"));
    is_named("default", "default", slice_str("/x"), slice_str("//default/default//x"));
}

/* Every triple over a small alphabet has a name of its own. */
static void test_no_two_share_a_name(void **state)
{
    static const char *const parts[] = {"", "default", "/", "%", "%2F", "a", "a/", "/a", "//", "//a/a/a", "default/"};
    enum { N = sizeof parts / sizeof *parts };
    static struct buf names[N * N * N];
    size_t n = 0;
    (void)state;
    for (size_t t = 0; t < N; t++)
        for (size_t c = 0; c < N; c++)
            for (size_t i = 0; i < N; i++, n++) {
                buf_init(&names[n], 0);
                subject_name_put(&names[n], slice_str(parts[t]), slice_str(parts[c]), slice_str(parts[i]));
                for (size_t k = 0; k < n; k++)
                    assert_false(slice_eq(buf_slice(&names[k]), buf_slice(&names[n])));
            }
    while (n)
        buf_free(&names[--n]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_names), cmocka_unit_test(test_no_two_share_a_name)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
