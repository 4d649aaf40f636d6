/* SPDX-License-Identifier: Apache-2.0
 * The data folder of `castellan up`: a first start, a second one, one that was cut short, moved ports, client files. */
#include "cli/client_files.h"
#include "cli/layout.h"
#include "acl/credentials.h"
#include "core/base/fs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char dir[64];
static struct layout layout;

static const char *in_dir(const char *name)
{
    static char path[2][256];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", dir, name);
    return path[turn];
}

static void prepare(int port_base, int brokers, bool demo_users)
{
    struct reason why = {0};
    if (layout_init(&layout, dir, port_base, brokers, &why) || layout_prepare(&layout, demo_users, &why))
        fail_msg("%s", why.text);
}

static int make_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/test-layout-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    return fs_remove_tree(dir);
}

/* The content, to be freed. */
static char *content(const char *name)
{
    struct buf b;
    char *copy;

    buf_init(&b, 0);
    assert_int_equal(fs_read_file(in_dir(name), &b, NULL), ERR_OK);
    copy = strdup(buf_cstr(&b));
    buf_free(&b);
    return copy;
}

static bool same(char *before, const char *name)
{
    char *now = content(name);
    bool equal = strcmp(before, now) == 0;
    free(now);
    free(before);
    return equal;
}

static unsigned mode_of(const char *name)
{
    struct stat st;
    assert_int_equal(stat(in_dir(name), &st), 0);
    return st.st_mode & 07777;
}

static void test_a_first_start_makes_everything(void **state)
{
    static const char *const secrets[] = {
        "secrets/cluster-ca.key",       "secrets/client-ca.key",      "secrets/users.scram",
        "clients/admin.properties",     "clients/admin.conf",         "clients/admin.key",
        "broker-1/node.keystore.pem",   "broker-3/broker.properties", "gateway/server.key",
        "registry/registry.properties", "keyd/keyd.properties"};
    char *ca, *text;
    (void)state;
    prepare(0, 3, false);
    for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++)
        assert_int_equal(mode_of(secrets[i]), 0600);
    assert_int_equal(mode_of("secrets"), 0700);
    assert_int_equal(mode_of("clients"), 0700);
    assert_false(fs_exists(in_dir("clients/alice.conf")));
    ca = content("ca.pem");
    assert_true(same(ca, "secrets/client-ca.pem"));
    text = content("broker-2/broker.properties");
    assert_non_null(strstr(text, "node.id=2\n"));
    assert_non_null(strstr(text, "controller.quorum.voters=1@127.0.0.1:19092,2@127.0.0.1:19093,3@127.0.0.1:19094\n"));
    free(text);
    text = content("cluster.id");
    assert_int_equal(strlen(text), 22);
    assert_int_not_equal(text[0], '-');
    free(text);
}

static void test_a_second_start_changes_nothing(void **state)
{
    static const char *const names[] = {"ca.pem",
                                        "cluster.id",
                                        "secrets/users.scram",
                                        "clients/alice.properties",
                                        "clients/alice.pem",
                                        "broker-1/node.pem",
                                        "gateway/gateway.properties"};
    char *before[sizeof names / sizeof *names];
    (void)state;
    prepare(0, 3, true);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        before[i] = content(names[i]);
    prepare(0, 3, true);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_true(same(before[i], names[i]));
}

static void test_what_is_missing_is_made_again(void **state)
{
    char *other;
    (void)state;
    prepare(0, 1, true);
    other = content("registry/server.pem");
    assert_int_equal(unlink(in_dir("gateway/server.key")), 0);
    prepare(0, 1, true);
    assert_true(fs_exists(in_dir("gateway/server.key")));
    assert_true(same(other, "registry/server.pem"));
    /* cut short between a new authority and what it signs: everything under it is issued again */
    other = content("registry/server.pem");
    assert_int_equal(unlink(in_dir("secrets/client-ca.key")), 0);
    prepare(0, 1, true);
    assert_false(same(other, "registry/server.pem"));
    assert_true(same(content("secrets/client-ca.pem"), "ca.pem"));
}

static void test_demo_users_can_come_later(void **state)
{
    char *admin, *scram;
    (void)state;
    prepare(0, 1, false);
    admin = content("clients/admin.properties");
    prepare(0, 1, true);
    assert_true(same(admin, "clients/admin.properties"));
    scram = content("secrets/users.scram");
    assert_non_null(strstr(scram, "SCRAM-SHA-256=[name=bob,"));
    assert_non_null(strstr(scram, "SCRAM-SHA-512=[name=bob,"));
    free(scram);
}

/* The bootstrap lines hold the password of the client files. */
static void test_the_bootstrap_file_fits_the_client_files(void **state)
{
    struct secret password = {0};
    struct credential c;
    struct slice user;
    char *scram;
    int n = 0;
    (void)state;
    prepare(0, 1, false);
    assert_int_equal(client_files_password(in_dir("clients/admin.properties"), &password, NULL), ERR_OK);
    assert_true(password.n >= 24);
    scram = content("secrets/users.scram");
    for (char *at = scram, *end; (end = strchr(at, '\n')); at = end + 1, n++) {
        assert_int_equal(credential_parse_line(slice_of(at, (size_t)(end - at)), SLICE_NULL, &user, &c, NULL), ERR_OK);
        assert_true(slice_eq_str(user, "admin"));
        assert_true(credential_verify(&c, secret_view(&password)));
    }
    free(scram);
    assert_int_equal(n, 2);
    secret_free(&password);
}

static void test_moved_ports_reach_the_client_files_and_the_password_stays(void **state)
{
    struct secret before = {0}, after = {0};
    char *text;
    (void)state;
    prepare(0, 1, false);
    assert_int_equal(client_files_password(in_dir("clients/admin.properties"), &before, NULL), ERR_OK);
    prepare(20000, 1, false);
    assert_int_equal(client_files_password(in_dir("clients/admin.properties"), &after, NULL), ERR_OK);
    assert_true(secret_equal(secret_view(&before), secret_view(&after)));
    text = content("clients/admin.conf");
    assert_non_null(strstr(text, "bootstrap.servers=localhost:20000\n"));
    free(text);
    text = content("clients/admin.properties");
    assert_non_null(strstr(text, "castellan.registry.url=https://localhost:20200\n"));
    free(text);
    secret_free(&before);
    secret_free(&after);
}

static void test_a_cluster_does_not_shrink(void **state)
{
    struct reason why = {0};
    (void)state;
    prepare(0, 3, false);
    assert_int_equal(layout_init(&layout, dir, 0, 2, &why), ERR_OK);
    assert_int_equal(layout_prepare(&layout, false, &why), ERR_BAD_CONFIG);
    assert_non_null(strstr(why.text, "--brokers"));
    prepare(0, 4, false);
}

static void test_any_password_survives_the_client_files(void **state)
{
    static const char *const passwords[] = {"plain",       " blank first", "quote\"inside",
                                            "back\\slash", "a=b:c#d!e;f",  "tab\tand umlaut \xc3\xa4",
                                            "\\\"",        "{}[]<>$'`"};
    (void)state;
    for (size_t i = 0; i < sizeof passwords / sizeof *passwords; i++) {
        const struct client_files f = {.dir = dir,
                                       .user = "eve",
                                       .password = slice_str(passwords[i]),
                                       .mechanism = "SCRAM-SHA-256",
                                       .bootstrap = "localhost:1"};
        struct secret back = {0};
        struct reason why = {0};
        assert_int_equal(client_files_write(&f, &why), ERR_OK);
        assert_int_equal(client_files_password(in_dir("eve.properties"), &back, &why), ERR_OK);
        assert_true(slice_eq_str(secret_view(&back), passwords[i]));
        secret_free(&back);
    }
}

static void test_users_that_are_no_file_names(void **state)
{
    static const char *const names[] = {"../eve", "a/b", ".hidden"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct client_files f = {
            .dir = dir, .user = names[i], .password = slice_str("p"), .mechanism = "x", .bootstrap = "y"};
        assert_int_equal(client_files_write(&f, NULL), ERR_BAD_CONFIG);
    }
}

int main(void)
{
#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(test_a_first_start_makes_everything),
        IN_A_FOLDER(test_a_second_start_changes_nothing),
        IN_A_FOLDER(test_what_is_missing_is_made_again),
        IN_A_FOLDER(test_demo_users_can_come_later),
        IN_A_FOLDER(test_the_bootstrap_file_fits_the_client_files),
        IN_A_FOLDER(test_moved_ports_reach_the_client_files_and_the_password_stays),
        IN_A_FOLDER(test_a_cluster_does_not_shrink),
        IN_A_FOLDER(test_any_password_survives_the_client_files),
        IN_A_FOLDER(test_users_that_are_no_file_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
