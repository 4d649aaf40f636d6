/* SPDX-License-Identifier: Apache-2.0
 * Steps of single APIs: what a right on the cluster covers and what it does not, fetch sessions, configurations by
 * type, transactional records, and what is answered without asking anybody. */
#include "core/wire/record_batch.h"
#include "gateway/api/api.h"
#include "tests/unit/engine_util.h"
#include "wire/alter_replica_log_dirs.h"
#include "wire/create_delegation_token.h"
#include "wire/describe_configs.h"
#include "wire/describe_log_dirs.h"
#include "wire/elect_leaders.h"
#include "wire/fetch.h"
#include "wire/init_producer_id.h"
#include "wire/list_partition_reassignments.h"
#include "wire/offset_fetch.h"
#include "wire/produce.h"
#include "wire/write_txn_markers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define LOG "__cluster_metadata" /* nobody's, whatever the rules */

static struct scene s;
static struct arena arena;
static const char *const reserved_and_not[] = {"orders", LOG, "payments"}, *const only_reserved[] = {LOG};
static const struct fake_asked mixed = {.topics = {reserved_and_not, 3}, .partitions = 2},
                               reserved = {.topics = {only_reserved, 1}, .partitions = 2};

static int begin(void **state)
{
    (void)state;
    arena_init(&arena, 0);
    scene_init(&s);
    scene_allow(&s, "User:ops", ACL_CLUSTER, ACL_ALL, ACL_CLUSTER_NAME);
    scene_allow(&s, "User:alice", ACL_TOPIC, ACL_ALL, "orders");
    scene_rules_done(&s);
    s.cluster.topics = (struct fake_names){reserved_and_not, 3};
    return 0;
}

static int end(void **state)
{
    (void)state;
    scene_free(&s);
    arena_free(&arena);
    return 0;
}

static void *asks(int i, const char *who, int16_t key, int16_t version, const void *request)
{
    struct client *c = &s.clients[i];
    int id;

    if (!c->here)
        c = scene_client(&s, i, who);
    client_forget_answers(c);
    id = client_asks(c, key, version, request);
    scene_settle(&s);
    if (c->answers_n != 1)
        fail_msg("%s %d: %s", wire_api(key)->name, version, c->detail);
    return client_answer(c, 0, key, version, id, &arena);
}

static struct slice last_sent(void)
{
    assert_true(s.sent_n > 0);
    return buf_slice(&s.sent[s.sent_n - 1].body);
}

static bool contains(struct slice in, const char *what)
{
    return in.n > 0 && memmem(in.p, in.n, what, strlen(what)) != NULL;
}

/* ---- A right on the cluster ---- */

static int errors_of_markers(const struct write_txn_markers_response *r, int *all)
{
    int n = 0;

    *all = 0;
    for (int32_t m = 0; m < r->markers.n; m++)
        for (int32_t t = 0; t < r->markers.v[m].topics.n; t++)
            for (int32_t p = 0; p < r->markers.v[m].topics.v[t].partitions.n; p++, ++*all) {
                bool log = slice_eq_str(r->markers.v[m].topics.v[t].name, LOG);
                assert_true((r->markers.v[m].topics.v[t].partitions.v[p].error_code != 0) == log);
                n += log;
            }
    return n;
}

/* Several producers, some whose topics are all reserved; in slices too. */
static void test_write_txn_markers(void **state)
{
    (void)state;
    for (int slices = 0; slices < 2; slices++) {
        struct write_txn_markers_request *q = fake_request(WIRE_WRITE_TXN_MARKERS, 1, &mixed, &arena);
        struct write_txn_markers_request_writable_txn_marker one = q->markers.v[0], none = one;
        int all;

        s.engine.slice_units = s.engine.turn_units = slices ? 1 : ENGINE_SLICE_UNITS;
        none.producer_id = 9;
        none.topics = ((struct write_txn_markers_request *)fake_request(WIRE_WRITE_TXN_MARKERS, 1, &reserved, &arena))
                          ->markers.v[0]
                          .topics;
        assert_true(write_txn_markers_request_writable_txn_marker_array_alloc(&q->markers, 2, &arena));
        q->markers.v[0] = one;
        q->markers.v[1] = none;
        assert_int_equal(errors_of_markers(asks(0, "User:ops", WIRE_WRITE_TXN_MARKERS, 1, q), &all), 4);
        assert_false(contains(last_sent(), LOG));
        assert_true(contains(last_sent(), "orders"));
        scene_forget_sent(&s);
        q = fake_request(WIRE_WRITE_TXN_MARKERS, 1, &reserved, &arena);
        q->markers.n = 1;
        assert_int_equal(errors_of_markers(asks(0, "User:ops", WIRE_WRITE_TXN_MARKERS, 1, q), &all), 2);
        assert_int_equal(all, 2);
        assert_int_equal(s.sent_n, 0); /* nothing is left to forward */
    }
}

static void test_alter_replica_log_dirs(void **state)
{
    struct alter_replica_log_dirs_response *r;

    (void)state;
    for (int slices = 0; slices < 2; slices++) {
        int log = 0;

        s.engine.slice_units = s.engine.turn_units = slices ? 1 : ENGINE_SLICE_UNITS;
        r = asks(0, "User:ops", WIRE_ALTER_REPLICA_LOG_DIRS, 2,
                 fake_request(WIRE_ALTER_REPLICA_LOG_DIRS, 2, &mixed, &arena));
        assert_false(contains(last_sent(), LOG));
        for (int32_t i = 0; i < r->results.n; i++)
            for (int32_t k = 0; k < r->results.v[i].partitions.n; k++)
                log += r->results.v[i].partitions.v[k].error_code != 0;
        assert_int_equal(log, 2);
        scene_forget_sent(&s);
        r = asks(0, "User:ops", WIRE_ALTER_REPLICA_LOG_DIRS, 2,
                 fake_request(WIRE_ALTER_REPLICA_LOG_DIRS, 2, &reserved, &arena));
        assert_int_equal(r->results.n, 1);
        assert_int_equal(r->results.v[0].partitions.n, 2);
        assert_int_not_equal(r->results.v[0].partitions.v[0].error_code, 0);
        assert_int_equal(s.sent_n, 0);
    }
}

static void test_lists_under_the_cluster(void **state)
{
    static const struct fake_asked nothing = {.partitions = 0};
    struct describe_log_dirs_request *dirs = fake_request(WIRE_DESCRIBE_LOG_DIRS, 4, &nothing, &arena);
    struct list_partition_reassignments_request *moves =
        fake_request(WIRE_LIST_PARTITION_REASSIGNMENTS, 0, &nothing, &arena);

    (void)state;
    dirs->topics.n = -1;
    moves->topics.n = -1;
    asks(0, "User:ops", WIRE_DESCRIBE_LOG_DIRS, 4, dirs);
    assert_false(contains(buf_slice(&s.clients[0].answers[0]), LOG));
    assert_true(contains(buf_slice(&s.clients[0].answers[0]), "orders"));
    asks(0, "User:ops", WIRE_LIST_PARTITION_REASSIGNMENTS, 0, moves);
    assert_false(contains(buf_slice(&s.clients[0].answers[0]), LOG));
    assert_true(contains(buf_slice(&s.clients[0].answers[0]), "orders"));
}

static void test_elections(void **state)
{
    struct elect_leaders_request *q = fake_request(WIRE_ELECT_LEADERS, 2, &mixed, &arena);
    struct elect_leaders_response *r = asks(0, "User:ops", WIRE_ELECT_LEADERS, 2, q);

    (void)state;
    assert_int_equal(r->replica_election_results.n, 3);
    assert_false(contains(last_sent(), LOG));
    q->topic_partitions.n = -1;
    q->election_type = 1; /* unclean, everywhere */
    r = asks(0, "User:ops", WIRE_ELECT_LEADERS, 2, q);
    assert_int_equal(r->error_code, ERR_CLUSTER_AUTHORIZATION_FAILED);
    r = asks(1, "User:root", WIRE_ELECT_LEADERS, 2, q);
    assert_int_equal(r->error_code, 0);
}

/* ---- Fetch ---- */

static const char *const orders[] = {"orders"};
static const struct fake_asked one = {.topics = {orders, 1}, .partitions = 1};

static void test_fetch_sessions_end_here(void **state)
{
    struct fetch_request *q = fake_request(WIRE_FETCH, 12, &one, &arena);
    struct fetch_response *r;

    (void)state;
    q->session_id = 5;
    r = asks(0, "User:alice", WIRE_FETCH, 12, q);
    assert_int_equal(r->error_code, ERR_FETCH_SESSION_ID_NOT_FOUND);
    assert_int_equal(s.sent_n, 0);
    q->session_id = 0;
    q->session_epoch = 0;
    r = asks(0, "User:alice", WIRE_FETCH, 12, q);
    assert_int_equal(r->error_code, 0);
    assert_int_equal(((struct fetch_request *)scene_sent(&s, s.sent_n - 1, &arena))->session_epoch, -1);
    assert_int_equal(((struct fetch_request *)scene_sent(&s, s.sent_n - 1, &arena))->forgotten_topics_data.n, 0);
}

static void test_only_replicas_say_they_are(void **state)
{
    struct fetch_request *q = fake_request(WIRE_FETCH, 12, &one, &arena);
    struct fetch_response *r;

    (void)state;
    q->session_epoch = -1;
    q->replica_id = 1;
    r = asks(0, "User:alice", WIRE_FETCH, 12, q);
    assert_int_equal(r->error_code, 0); /* each partition is refused, as by Kafka */
    assert_int_equal(r->responses.v[0].partitions.v[0].error_code, ERR_TOPIC_AUTHORIZATION_FAILED);
    assert_int_equal(s.sent_n, 0);
}

/* ---- Produce ---- */

static struct slice transactional_records(void)
{
    struct slice r = fake_records(&arena);
    uint8_t *p = (uint8_t *)(uintptr_t)r.p;

    p[RECORD_BATCH_ATTRIBUTES_AT + 1] |= RECORD_TRANSACTIONAL;
    return r;
}

static void test_transactional_records(void **state)
{
    struct produce_request *q = fake_request(WIRE_PRODUCE, 9, &one, &arena);
    struct produce_response *r;

    (void)state;
    q->topic_data.v[0].partition_data.v[0].records = transactional_records();
    r = asks(0, "User:alice", WIRE_PRODUCE, 9, q); /* of no transaction */
    assert_int_equal(r->responses.v[0].partition_responses.v[0].error_code, ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    q->transactional_id = slice_str("t1");
    r = asks(0, "User:alice", WIRE_PRODUCE, 9, q); /* of one that is not hers */
    assert_int_equal(r->responses.v[0].partition_responses.v[0].error_code, ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    q->topic_data.v[0].partition_data.v[0].records = fake_records(&arena);
    r = asks(0, "User:alice", WIRE_PRODUCE, 9, q); /* plain records: the id says nothing, and stays here */
    assert_int_equal(r->responses.v[0].partition_responses.v[0].error_code, 0);
    assert_false(contains(last_sent(), "t1"));
}

static void test_batches(void **state)
{
    struct produce_request *q = fake_request(WIRE_PRODUCE, 9, &one, &arena);
    struct slice *records = &q->topic_data.v[0].partition_data.v[0].records, good = *records;
    uint8_t *longer = arena_alloc(&arena, good.n + 5);
    struct produce_response *r;

    (void)state;
    *records = slice_str("no batch");
    r = asks(0, "User:alice", WIRE_PRODUCE, 9, q);
    assert_int_not_equal(r->responses.v[0].partition_responses.v[0].error_code, 0);
    memcpy(longer, good.p, good.n);
    memcpy(longer + good.n, "extra", 5);
    *records = slice_of(longer, good.n + 5);
    r = asks(0, "User:alice", WIRE_PRODUCE, 9, q);
    if (r->responses.v[0].partition_responses.v[0].error_code == 0)
        assert_false(contains(last_sent(), "extra"));
}

/* ---- Others ---- */

static void test_configurations_by_type(void **state)
{
    static const int8_t types[] = {2, 4, 8, 16, 32, 77};
    static const int16_t alice[] = {0,
                                    ERR_CLUSTER_AUTHORIZATION_FAILED,
                                    ERR_CLUSTER_AUTHORIZATION_FAILED,
                                    ERR_CLUSTER_AUTHORIZATION_FAILED,
                                    ERR_GROUP_AUTHORIZATION_FAILED,
                                    ERR_INVALID_REQUEST};

    (void)state;
    for (size_t i = 0; i < sizeof types; i++) {
        struct describe_configs_request *q = fake_request(WIRE_DESCRIBE_CONFIGS, 4, &one, &arena);
        struct describe_configs_response *r;
        q->resources.v[0].resource_type = types[i];
        r = asks(0, "User:alice", WIRE_DESCRIBE_CONFIGS, 4, q);
        assert_int_equal(r->results.v[0].error_code, alice[i]);
        assert_int_equal(r->results.v[0].resource_type, types[i]);
        r = asks(1, "User:root", WIRE_DESCRIBE_CONFIGS, 4, q);
        assert_int_equal(r->results.v[0].error_code, types[i] == 77 ? ERR_INVALID_REQUEST : 0);
    }
}

static void test_all_offsets_of_a_group(void **state)
{
    (void)state;
    scene_allow(&s, "User:alice", ACL_GROUP, ACL_DESCRIBE, "g1");
    scene_rules_done(&s);
    for (int16_t v = 2; v <= 10; v++) {
        static const char *const g1[] = {"g1"};
        static const struct fake_asked q1 = {.groups = {g1, 1}, .topics = {orders, 1}, .partitions = 1};
        struct offset_fetch_request *q = fake_request(WIRE_OFFSET_FETCH, v, &q1, &arena);

        if (v < 8)
            q->topics.n = -1;
        else
            q->groups.v[0].topics.n = -1;
        asks(0, "User:alice", WIRE_OFFSET_FETCH, v, q);
        assert_false(contains(buf_slice(&s.clients[0].answers[0]), "payments"));
        assert_true(v >= 10 || contains(buf_slice(&s.clients[0].answers[0]), "orders"));
    }
}

static void test_producer_ids(void **state)
{
    struct init_producer_id_request *q = fake_request(WIRE_INIT_PRODUCER_ID, 4, &one, &arena);

    (void)state;
    q->transactional_id = SLICE_NULL;
    assert_int_equal(
        ((struct init_producer_id_response *)asks(0, "User:alice", WIRE_INIT_PRODUCER_ID, 4, q))->error_code,
        0); /* she may write somewhere */
    assert_int_equal(
        ((struct init_producer_id_response *)asks(1, "User:nemo", WIRE_INIT_PRODUCER_ID, 4, q))->error_code,
        ERR_CLUSTER_AUTHORIZATION_FAILED);
    q->transactional_id = slice_str("t1");
    assert_int_equal(
        ((struct init_producer_id_response *)asks(0, "User:alice", WIRE_INIT_PRODUCER_ID, 4, q))->error_code,
        ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
}

static void test_delegation_tokens_are_not_served(void **state)
{
    static const int16_t keys[] = {WIRE_CREATE_DELEGATION_TOKEN, WIRE_RENEW_DELEGATION_TOKEN,
                                   WIRE_EXPIRE_DELEGATION_TOKEN, WIRE_DESCRIBE_DELEGATION_TOKEN};

    (void)state;
    for (size_t i = 0; i < 4; i++)
        for (int16_t v = wire_api(keys[i])->min; v <= wire_api(keys[i])->max; v++)
            assert_int_equal(*(int16_t *)asks(0, "User:alice", keys[i], v, fake_request(keys[i], v, &one, &arena)),
                             ERR_DELEGATION_TOKEN_AUTH_DISABLED);
    assert_int_equal(s.sent_n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
        TEST(test_write_txn_markers),
        TEST(test_alter_replica_log_dirs),
        TEST(test_lists_under_the_cluster),
        TEST(test_elections),
        TEST(test_fetch_sessions_end_here),
        TEST(test_only_replicas_say_they_are),
        TEST(test_transactional_records),
        TEST(test_batches),
        TEST(test_configurations_by_type),
        TEST(test_all_offsets_of_a_group),
        TEST(test_producer_ids),
        TEST(test_delegation_tokens_are_not_served),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
