/* SPDX-License-Identifier: Apache-2.0
 * The table of settings in docs/gateway.md says what the rows say: every key, its default and what it does, in order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void table_is_the_rows(void **state)
{
    FILE *f = fopen(TEST_SOURCE "/docs/gateway.md", "r");
    const struct setting_row *row = gateway_setting_rows;
    char line[1024], expected[1024];
    bool print = getenv("CASTELLAN_PRINT_SETTINGS") != NULL; /* writes the table */

    (void)state;
    assert_non_null(f);
    for (const struct setting_row *r = row; print && r->key; r++)
        printf("| `%s` | %s | %s |\n", r->key, r->fallback && *r->fallback ? r->fallback : "-", r->help);
    while (!print && fgets(line, sizeof line, f)) {
        if (strncmp(line, "| `", 3) != 0)
            continue;
        if (!row->key)
            fail_msg("docs/gateway.md has a row too many: %s", line);
        snprintf(expected, sizeof expected, "| `%s` | %s | %s |\n", row->key,
                 row->fallback && *row->fallback ? row->fallback : "-", row->help);
        assert_string_equal(line, expected);
        row++;
    }
    fclose(f);
    if (!print && row->key)
        fail_msg("docs/gateway.md lacks %s", row->key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(table_is_the_rows)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
