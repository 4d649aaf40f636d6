/* SPDX-License-Identifier: Apache-2.0
 * Two nodes in one process: each has its own log, image and line of waiting producer ids, and ends without the other.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "broker/node/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct node *start(const char *dir, int id)
{
    struct node *n = node_new();
    struct reason why = {0};
    char path[256];
    FILE *f;

    snprintf(path, sizeof path, "%s/broker-%d.properties", dir, id);
    f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f,
            "node.id=%d\ncluster.id=cluster-%d\ncontroller.quorum.voters=%d@127.0.0.1:1\n"
            "listeners=PLAINTEXT://127.0.0.1:0\nlog.dirs=%s/log-%d\n",
            id, id, id, dir, id);
    assert_int_equal(fclose(f), 0);
    assert_non_null(n);
    if (node_start(n, path, &why))
        fail_msg("%s", why.text);
    return n;
}

static void turn(struct node *n)
{
    for (int i = 0; i < 20; i++)
        loop_run_once(n->loop, false);
}

static void two_nodes(void **state)
{
    char dir[] = "/tmp/test-node-two-XXXXXX", command[128];
    struct node *a, *b;

    (void)state;
    assert_non_null(mkdtemp(dir));
    a = start(dir, 1);
    b = start(dir, 2);
    turn(a);
    turn(b);
    assert_string_equal(a->cluster_id, "cluster-1");
    assert_string_equal(b->cluster_id, "cluster-2");
    assert_int_equal(a->controller_id, 1);
    assert_int_equal(b->controller_id, 2);
    assert_ptr_not_equal(a->dir, b->dir);
    assert_int_equal(node_free(a), 0);
    turn(b);
    assert_int_equal(node_free(b), 0);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    assert_int_equal(system(command), 0); /* allow: a folder made here */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(two_nodes)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
