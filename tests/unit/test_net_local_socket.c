/* SPDX-License-Identifier: Apache-2.0
 * Private folders and the sockets in them: paths of any length, folders that others may have made, files laid out to be
 * written to. Tests of other owners need root and are left out without it. */
#include "core/base/fs.h"
#include "core/net/local_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

enum { SOMEBODY_ELSE = 12345 };

static char top[64];

static int make_top(void **state)
{
    (void)state;
    snprintf(top, sizeof top, "/tmp/castellan-local-XXXXXX");
    return mkdtemp(top) ? 0 : -1;
}

static int remove_top(void **state)
{
    (void)state;
    return fs_remove_tree(top);
}

static const char *in_top(const char *name)
{
    static char path[4][PATH_MAX];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/%s", top, name);
    return path[turn];
}

static void refused(const char *folder, const char *word)
{
    struct reason why = {0};
    assert_int_equal(fs_private_dir(folder, NULL, &why), ERR_BAD_CONFIG);
    if (!strstr(why.text, word))
        fail_msg("%s", why.text);
}

static void test_whose_folder_it_is(void **state)
{
    int fd = -1;
    (void)state;
    assert_int_equal(fs_private_dir(top, &fd, NULL), ERR_OK);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(fs_private_dir_of(in_top("file"), NULL, NULL), ERR_OK);
    assert_int_equal(chmod(top, 0750), 0);
    refused(top, "open to other users");
    assert_int_equal(chmod(top, 0700), 0);
    assert_int_equal(symlink(top, in_top("link")), 0);
    assert_int_equal(fs_private_dir(in_top("link"), NULL, NULL), ERR_OK); /* ours, to a folder that is ours and 0700 */
    assert_int_not_equal(fs_private_dir(in_top("nothing"), NULL, NULL), ERR_OK);
    if (geteuid())
        return;
    assert_int_equal(lchown(in_top("link"), SOMEBODY_ELSE, SOMEBODY_ELSE), 0);
    refused(in_top("link"), "symbolic link");
    assert_int_equal(unlink(in_top("link")), 0);
    assert_int_equal(mkdir(in_top("his"), 0700), 0);
    assert_int_equal(chown(in_top("his"), SOMEBODY_ELSE, SOMEBODY_ELSE), 0);
    refused(in_top("his"), "belongs to user 12345");
    assert_int_equal(symlink(in_top("his"), in_top("link")), 0);
    refused(in_top("link"), "belongs to user 12345");
}

static void test_an_empty_folder_is_closed_to_others(void **state)
{
    struct stat st;
    (void)state;
    assert_int_equal(mkdir(in_top("empty"), 0755), 0);
    assert_int_equal(fs_private_dir_make(in_top("empty"), NULL), ERR_OK);
    assert_int_equal(stat(in_top("empty"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(chmod(top, 0755), 0);
    assert_int_equal(fs_private_dir_make(top, NULL), ERR_BAD_CONFIG); /* something may have been put there */
    assert_int_equal(chmod(top, 0700), 0);
}

static void test_private_files(void **state)
{
    struct buf b;
    (void)state;
    buf_init(&b, 0);
    assert_int_equal(fs_write_file(in_top("f"), slice_str("x"), 0600, NULL), ERR_OK);
    assert_int_equal(fs_read_private_file(in_top("f"), &b, NULL), ERR_OK);
    assert_int_equal(b.n, 1);
    assert_int_equal(symlink(in_top("f"), in_top("link")), 0);
    assert_int_not_equal(fs_read_private_file(in_top("link"), &b, NULL), ERR_OK);
    assert_int_equal(chmod(in_top("f"), 0640), 0);
    assert_int_equal(fs_read_private_file(in_top("f"), &b, NULL), ERR_BAD_CONFIG);
    assert_int_equal(fs_check_trusted(in_top("f"), NULL), ERR_OK);
    assert_int_equal(chmod(in_top("f"), 0660), 0);
    assert_int_equal(fs_check_trusted(in_top("f"), NULL), ERR_BAD_CONFIG);
    buf_free(&b);
}

/* The temporary file's name can be guessed: what lies there must not be written to. */
static void test_writing_follows_no_link_laid_out_for_it(void **state)
{
    char temp[64];
    struct buf b;
    (void)state;
    buf_init(&b, 0);
    assert_int_equal(fs_write_file(in_top("victim"), slice_str("untouched"), 0600, NULL), ERR_OK);
    snprintf(temp, sizeof temp, "f.new.%d", (int)getpid());
    assert_int_equal(symlink(in_top("victim"), in_top(temp)), 0);
    assert_int_equal(fs_write_file(in_top("f"), slice_str("new"), 0600, NULL), ERR_OK);
    assert_int_equal(fs_read_file(in_top("victim"), &b, NULL), ERR_OK);
    assert_true(slice_eq(buf_slice(&b), slice_str("untouched")));
    buf_clear(&b);
    assert_int_equal(fs_read_private_file(in_top("f"), &b, NULL), ERR_OK);
    assert_true(slice_eq(buf_slice(&b), slice_str("new")));
    buf_free(&b);
}

static void test_a_path_of_any_length(void **state)
{
    char path[PATH_MAX] = "";
    struct reason why = {0};
    struct stat st;
    int server, client, again;
    (void)state;
    snprintf(path, sizeof path, "%s", top);
    while (strlen(path) < 1000) {
        snprintf(path + strlen(path), sizeof path - strlen(path), "/a-folder-with-a-name-of-some-length");
        assert_int_equal(mkdir(path, 0700), 0);
    }
    snprintf(path + strlen(path), sizeof path - strlen(path), "/s");
    if (local_socket_listen(&server, path, &why))
        fail_msg("%s", why.text);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(local_socket_connect(&client, path, 0, &why), ERR_OK);
    assert_true(local_socket_same_user(client, NULL));
    assert_int_equal(local_socket_listen(&again, path, &why), ERR_ADDRESS_IN_USE);
    close(client);
    close(server);
    assert_int_equal(local_socket_connect(&client, path, 1000, &why), ERR_UNAVAILABLE);
    assert_int_equal(local_socket_listen(&server, path, &why), ERR_OK); /* nobody listened: replaced */
    close(server);
}

static void test_a_folder_of_others_holds_no_socket(void **state)
{
    struct reason why = {0};
    int server, client;
    (void)state;
    assert_int_equal(mkdir(in_top("d"), 0700), 0);
    assert_int_equal(local_socket_listen(&server, in_top("d/s"), NULL), ERR_OK);
    assert_int_equal(chmod(in_top("d"), 0711), 0);
    assert_int_equal(local_socket_connect(&client, in_top("d/s"), 0, &why), ERR_UNAVAILABLE);
    assert_non_null(strstr(why.text, "open to other users"));
    close(server);
    assert_int_equal(local_socket_listen(&server, in_top("d/s"), &why), ERR_BAD_CONFIG);
    assert_int_equal(local_socket_listen(&server, in_top(""), &why), ERR_BAD_CONFIG);
}

/* Whoever listens is asked who he is, even where the folder let him in (it was given away and back). */
static void test_a_listener_of_another_user_is_not_spoken_to(void **state)
{
    struct reason why = {0};
    int ready[2], done[2], status, client;
    char byte;
    (void)state;
    if (geteuid())
        skip();
    assert_int_equal(mkdir(in_top("d"), 0700), 0);
    assert_int_equal(chown(in_top("d"), SOMEBODY_ELSE, SOMEBODY_ELSE), 0);
    assert_int_equal(chmod(top, 0711), 0);
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(done), 0);
    pid_t child = fork();
    if (child == 0) {
        int fd;
        close(done[1]);
        if (setuid(SOMEBODY_ELSE) || local_socket_listen(&fd, in_top("d/s"), NULL))
            _exit(1);
        if (write(ready[1], "r", 1) != 1 || read(done[0], &byte, 1) != 0)
            _exit(2);
        _exit(0);
    }
    close(done[0]);
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(chown(in_top("d"), 0, 0), 0);
    assert_int_equal(local_socket_connect(&client, in_top("d/s"), 1000, &why), ERR_UNAVAILABLE);
    assert_non_null(strstr(why.text, "another user"));
    close(done[1]);
    close(ready[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(chmod(top, 0700), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_top, remove_top)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_whose_folder_it_is),
        TEST(test_an_empty_folder_is_closed_to_others),
        TEST(test_private_files),
        TEST(test_writing_follows_no_link_laid_out_for_it),
        TEST(test_a_path_of_any_length),
        TEST(test_a_folder_of_others_holds_no_socket),
        TEST(test_a_listener_of_another_user_is_not_spoken_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
