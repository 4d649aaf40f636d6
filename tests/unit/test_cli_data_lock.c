/* SPDX-License-Identifier: Apache-2.0
 * Who may run on a data folder: one supervisor, and none while roles of an earlier one still run. */
#include "cli/data_lock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/castellan-lock-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    char path[96];

    (void)state;
    snprintf(path, sizeof path, "%s/.lock", folder);
    unlink(path);
    snprintf(path, sizeof path, "%s/.roles", folder);
    unlink(path);
    return rmdir(folder);
}

static void close_all(const struct data_lock *l)
{
    close(l->supervisor_fd);
    close(l->roles_fd);
}

static void test_a_second_supervisor_is_refused_at_once(void **state)
{
    struct data_lock first, second;
    struct reason why = {0};

    (void)state;
    assert_int_equal(data_lock_take(&first, folder, 0, &why), ERR_OK);
    assert_int_equal(data_lock_take(&second, folder, 60000, &why), ERR_CONFLICT);
    assert_non_null(strstr(why.text, "another `castellan up`"));
    close(second.supervisor_fd);
    close_all(&first);
}

static void test_a_role_that_outlives_its_supervisor_is_named(void **state)
{
    struct data_lock first, second;
    struct reason why = {0};
    int inherited;

    (void)state;
    assert_int_equal(data_lock_take(&first, folder, 0, &why), ERR_OK);
    data_lock_note(&first, "broker-1", 4711);
    data_lock_note(&first, "gateway", 4712);
    inherited = dup(first.roles_fd);
    close_all(&first); /* the supervisor dies */
    assert_int_equal(data_lock_take(&second, folder, 30, &why), ERR_CONFLICT);
    assert_non_null(strstr(why.text, "broker-1 4711,gateway 4712"));
    close_all(&second);
    close(inherited); /* the role ends */
    assert_int_equal(data_lock_take(&second, folder, 0, &why), ERR_OK);
    close_all(&second);
}

static void test_old_notes_are_gone(void **state)
{
    struct data_lock l;
    struct reason why = {0};
    char text[100];

    (void)state;
    assert_int_equal(data_lock_take(&l, folder, 0, &why), ERR_OK);
    data_lock_note(&l, "broker-1", 4711);
    close_all(&l);
    assert_int_equal(data_lock_take(&l, folder, 0, &why), ERR_OK);
    assert_int_equal(pread(l.roles_fd, text, sizeof text, 0), 0);
    close_all(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_second_supervisor_is_refused_at_once, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_a_role_that_outlives_its_supervisor_is_named, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_old_notes_are_gone, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
