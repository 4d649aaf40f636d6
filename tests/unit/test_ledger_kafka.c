/* SPDX-License-Identifier: Apache-2.0
 * The ledger against librdkafka's mock cluster: reading what is there, group commit under load, a fence lost to an
 * injected error, brokers going away and coming back. */
#include "core/base/env.h"
#include "core/ledger/ledger.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { WAIT_MS = 20000 };

struct cluster {
    rd_kafka_t *rk;
    rd_kafka_mock_cluster_t *mock;
    const char *kafka[7];
};

static int start_cluster(void **state)
{
    struct cluster *c = calloc(1, sizeof *c);
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "client.id", "mock", text, sizeof text);
    c->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    c->mock = rd_kafka_mock_cluster_new(c->rk, 3);
    rd_kafka_mock_topic_create(c->mock, "table", 1, 1);
    c->kafka[0] = "bootstrap.servers";
    c->kafka[1] = rd_kafka_mock_cluster_bootstraps(c->mock);
    c->kafka[2] = "fetch.wait.max.ms"; /* the mock answers an empty fetch only when this has passed */
    c->kafka[3] = "2";
    *state = c;
    return 0;
}

static int stop_cluster(void **state)
{
    struct cluster *c = *state;
    rd_kafka_mock_cluster_destroy(c->mock);
    rd_kafka_destroy(c->rk);
    free(c);
    return 0;
}

static struct ledger *open_table(struct cluster *c)
{
    struct ledger *l = NULL;
    struct reason why;
    struct ledger_config config = {.topic = "table", .keep = true, .kafka = c->kafka};
    struct ledger_hooks hooks = {0};
    assert_int_equal(ledger_open(&l, &config, &hooks, &why), ERR_OK);
    assert_int_equal(ledger_wait_ready(l, WAIT_MS, &why), ERR_OK);
    return l;
}

static void value_is(struct ledger *l, const char *key, const char *want)
{
    struct buf b;
    buf_init(&b, 0);
    assert_int_equal(ledger_get(l, slice_str(key), &b), ERR_OK);
    assert_string_equal(buf_cstr(&b), want);
    buf_free(&b);
}

static void test_written_is_read_by_another(void **state)
{
    struct cluster *c = *state;
    struct reason why;
    struct ledger *a = open_table(c);
    struct ledger_write_record two[] = {{slice_str("a"), slice_str("1")}, {slice_str("b"), slice_str("2")}};
    struct ledger_write_record gone = {slice_str("a"), SLICE_NULL};
    assert_int_equal(ledger_write(a, two, 2, WAIT_MS, &why), ERR_OK);
    value_is(a, "a", "1"); /* read back before the write returned */
    struct ledger *b = open_table(c);
    value_is(b, "b", "2");
    assert_int_equal(ledger_write(a, &gone, 1, WAIT_MS, &why), ERR_OK);
    assert_int_equal(ledger_sync(b, WAIT_MS, &why), ERR_OK);
    struct buf out;
    buf_init(&out, 0);
    assert_int_equal(ledger_get(b, slice_str("a"), &out), ERR_NOT_FOUND);
    ledger_close(b);
    ledger_close(a);
}

struct load {
    struct ledger *ledger;
    sem_t slots;
    atomic_int ok, bad;
};

static enum err decide_increment(void *ctx, struct ledger_view *view)
{
    struct slice v;
    char text[32] = "0";
    (void)ctx;
    if (ledger_view_get(view, slice_str("count"), &v))
        snprintf(text, sizeof text, "%.*s", SLICE_FMT(v));
    int n = (int)strtol(text, NULL, 10) + 1;
    snprintf(text, sizeof text, "%d", n);
    ledger_view_emit(view, slice_str("count"), slice_str(text));
    return ERR_OK;
}

static void on_done(void *ctx, const struct ledger_result *r)
{
    struct load *load = ctx;
    atomic_fetch_add(r->err ? &load->bad : &load->ok, 1);
    sem_post(&load->slots);
}

static void run_load(struct load *load, int n, int in_flight)
{
    sem_init(&load->slots, 0, (unsigned)in_flight);
    for (int i = 0; i < n; i++) {
        sem_wait(&load->slots);
        assert_int_equal(ledger_submit(load->ledger, decide_increment, on_done, load), ERR_OK);
    }
    for (int i = 0; i < in_flight; i++)
        sem_wait(&load->slots);
    sem_destroy(&load->slots);
}

static void test_group_commit_under_load(void **state)
{
    struct cluster *c = *state;
    struct load load = {.ledger = open_table(c)};
    struct env *env = env_system();
    run_load(&load, 1, 1);
    int64_t t0 = env->mono_us(env);
    run_load(&load, 2000, 32);
    double s = (double)(env->mono_us(env) - t0) / 1e6;
    print_message("2000 decisions, 32 in flight: %.0f/s\n", 2000 / s);
    assert_int_equal(load.ok, 2001);
    value_is(load.ledger, "count", "2001");
    ledger_close(load.ledger);
}

static void test_a_fenced_producer_is_replaced(void **state)
{
    struct cluster *c = *state;
    struct load load = {.ledger = open_table(c)};
    run_load(&load, 5, 1);
    rd_kafka_mock_push_request_errors(c->mock, 26 /* EndTxn */, 1, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH);
    run_load(&load, 5, 1);
    assert_int_equal(load.bad, 0);
    assert_int_equal(load.ok, 10);
    ledger_close(load.ledger);
}

/* Written and not read back in time: the answer is a timeout, and the next decision must still see it. */
static void test_nothing_is_decided_before_it_was_read_back(void **state)
{
    enum { FETCH = 1, FETCHES_LOST = 60 };
    struct cluster *c = *state;
    struct load load = {.ledger = NULL};
    struct reason why;
    struct ledger_config config = {.topic = "table", .keep = true, .kafka = c->kafka, .submit_timeout_ms = 2000};
    struct ledger_hooks hooks = {0};
    rd_kafka_resp_err_t lost[FETCHES_LOST];
    assert_int_equal(ledger_open(&load.ledger, &config, &hooks, &why), ERR_OK);
    assert_int_equal(ledger_wait_ready(load.ledger, WAIT_MS, &why), ERR_OK);
    run_load(&load, 1, 1);
    for (int i = 0; i < FETCHES_LOST; i++)
        lost[i] = RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT;
    rd_kafka_mock_push_request_errors_array(c->mock, FETCH, FETCHES_LOST, lost);
    run_load(&load, 1, 1);
    assert_int_equal(load.bad, 1);
    while (load.ok < 3)
        run_load(&load, 1, 1);
    assert_int_equal(ledger_sync(load.ledger, WAIT_MS, &why), ERR_OK);
    value_is(load.ledger, "count", "4"); /* the three that were told, and the one that was not */
    ledger_close(load.ledger);
}

static void test_brokers_go_and_come_back(void **state)
{
    struct cluster *c = *state;
    struct load load = {.ledger = open_table(c)};
    run_load(&load, 3, 1);
    for (int32_t id = 1; id <= 3; id++)
        rd_kafka_mock_broker_set_down(c->mock, id);
    sem_init(&load.slots, 0, 0);
    assert_int_equal(ledger_submit(load.ledger, decide_increment, on_done, &load), ERR_OK);
    for (int32_t id = 1; id <= 3; id++)
        rd_kafka_mock_broker_set_up(c->mock, id);
    sem_wait(&load.slots);
    assert_int_equal(load.ok, 4);
    ledger_close(load.ledger);
}

static void test_close_without_a_cluster(void **state)
{
    static const char *const nowhere[] = {"bootstrap.servers", "127.0.0.1:1", NULL};
    struct ledger_config config = {.topic = "table", .kafka = nowhere, .submit_timeout_ms = 200};
    struct ledger_hooks hooks = {0};
    struct ledger *l = NULL;
    struct ledger_write_record r = {slice_str("a"), slice_str("1")};
    struct reason why;
    (void)state;
    assert_int_equal(ledger_open(&l, &config, &hooks, &why), ERR_OK);
    assert_int_equal(ledger_write(l, &r, 1, 200, &why), ERR_TIMEOUT);
    ledger_close(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_written_is_read_by_another, start_cluster, stop_cluster),
        cmocka_unit_test_setup_teardown(test_group_commit_under_load, start_cluster, stop_cluster),
        cmocka_unit_test_setup_teardown(test_a_fenced_producer_is_replaced, start_cluster, stop_cluster),
        cmocka_unit_test_setup_teardown(test_nothing_is_decided_before_it_was_read_back, start_cluster, stop_cluster),
        cmocka_unit_test_setup_teardown(test_brokers_go_and_come_back, start_cluster, stop_cluster),
        cmocka_unit_test(test_close_without_a_cluster),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
