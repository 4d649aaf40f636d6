/* SPDX-License-Identifier: Apache-2.0
 * Which browser pages may use the registry. */
#include "registry/http_cors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void test_origins(void **state)
{
    static const struct {
        const char *origins, *origin;
        enum cors_verdict verdict;
    } cases[] = {
        {NULL, "https://ui.example", CORS_NO},
        {"", "https://ui.example", CORS_NO},
        {"https://ui.example", NULL, CORS_NO},
        {"https://ui.example", "https://ui.example", CORS_NAMED},
        {"https://ui.example", "http://ui.example", CORS_NO},
        {"https://ui.example", "https://ui.example.evil", CORS_NO},
        {"https://a.example, https://ui.example", "https://ui.example", CORS_NAMED},
        {"*", "https://anything.example", CORS_ANY},
        {"*,https://ui.example", "https://ui.example", CORS_NAMED},
        {"https://*.example", "https://ui.example", CORS_NAMED},
        {"https://*.example", "https://.example", CORS_NAMED},
        {"https://*.example", "https://evil/.example", CORS_NO},
        {"https://*.example", "http://ui.example", CORS_NO},
        {"https://ui.example:*", "https://ui.example:8443", CORS_NAMED},
        {"null", "null", CORS_NAMED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cors c = {.origins = cases[i].origins};
        assert_int_equal(cors_judge(&c, cases[i].origin), cases[i].verdict);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_origins)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
