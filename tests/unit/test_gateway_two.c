/* SPDX-License-Identifier: Apache-2.0
 * Two gateways in one process: each has its own configuration, workers, limits and memory, and ends without the other.
 * The cluster behind is not there, which a gateway takes in its stride. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/gateway.h"
#include "gateway/session/worker_data.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct gateway *start(const char *dir, const char *name, int workers, int memory)
{
    struct gateway *g = gateway_new();
    struct reason why = {0};
    char path[256];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s.properties", dir, name);
    f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f,
            "bootstrap.servers=127.0.0.1:1\nlisteners=SASL_PLAINTEXT://127.0.0.1:0\n"
            "castellan.upstream.security.protocol=PLAINTEXT\nnum.network.threads=%d\n"
            "castellan.session.memory.max.bytes=%d\nsuper.users=User:%s\ncastellan.audit.enable=false\n",
            workers, memory, name);
    assert_int_equal(fclose(f), 0);
    assert_non_null(g);
    if (gateway_start(g, path, &why))
        fail_msg("%s", why.text);
    unlink(path);
    return g;
}

static void two_gateways(void **state)
{
    char dir[] = "/tmp/test-gateway-two-XXXXXX";
    struct gateway *a, *b;
    struct reason why = {0};
    struct holder *h;
    bool is_new;

    (void)state;
    assert_non_null(mkdtemp(dir));
    a = start(dir, "alice", 1, 1 << 20);
    b = start(dir, "bob", 3, 2 << 20);

    assert_ptr_not_equal(a->workers, b->workers);
    assert_int_equal(a->worker_count, 1);
    assert_int_equal(b->worker_count, 3);
    assert_int_equal(a->session_memory_max, 1 << 20);
    assert_int_equal(b->session_memory_max, 2 << 20);
    assert_string_equal(settings_string(a->settings, "super.users"), "User:alice");
    assert_string_equal(settings_string(b->settings, "super.users"), "User:bob");

    h = holder_get(&a->holders, slice_str("User:carol"));
    assert_non_null(h);
    assert_null(budget_take(&h->budget, 1000));
    assert_int_equal(budget_used(&a->holders.process), 1000);
    assert_int_equal(budget_used(&b->holders.process), 0);
    budget_give(&h->budget, 1000);
    holder_put(&a->holders, h);

    assert_true(cluster_learn(&a->cluster, 7, slice_str("127.0.0.1"), 9092, &is_new) >= 0);
    assert_true(is_new);
    assert_true(cluster_places(&a->cluster) > cluster_places(&b->cluster));

    gateway_run_once(a);
    gateway_run_once(b);
    assert_false(gateway_is_ready(a, &why));
    gateway_free(a);
    gateway_run_once(b); /* goes on without it */
    assert_false(gateway_is_ready(b, &why));
    gateway_free(b);
    rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(two_gateways)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
