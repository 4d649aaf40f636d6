/* SPDX-License-Identifier: Apache-2.0
 * What the columns of the table of APIs say beyond "this right on that name": rights on the cluster that stand in or
 * count instead, one refusal that stops all, names that stand in a request twice, requests that are asked although
 * nothing of their list is left. Kafka's answers, held equal by tests/interop/test_authorization.py. */
#include "gateway/request/engine.h"
#include "tests/unit/engine_util.h"
#include "wire/add_partitions_to_txn.h"
#include "wire/create_partitions.h"
#include "wire/fetch.h"
#include "wire/incremental_alter_configs.h"
#include "wire/metadata.h"
#include "wire/offset_delete.h"
#include "wire/offset_for_leader_epoch.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* alice may do all with "orders"; bob, a node, has CLUSTER_ACTION, carol ALTER on the cluster. */
static const char *const names[] = {"orders", "payments", "orders"};
static const struct fake_asked two = {{names, 2}, {names, 1}, {names, 1}, false, 1};
static const struct fake_asked twice = {{names, 3}, {names, 1}, {names, 1}, false, 1};

static struct scene s;
static struct arena arena;

static void begin(int32_t slice_units)
{
    arena_init(&arena, 0);
    scene_init(&s);
    scene_allow(&s, "User:alice", ACL_TOPIC, ACL_ALL, "orders");
    scene_allow(&s, "User:alice", ACL_GROUP, ACL_ALL, "*");
    scene_allow(&s, "User:alice", ACL_TRANSACTIONAL_ID, ACL_ALL, "*");
    scene_allow(&s, "User:bob", ACL_CLUSTER, ACL_CLUSTER_ACTION, ACL_CLUSTER_NAME);
    scene_allow(&s, "User:carol", ACL_CLUSTER, ACL_ALTER, ACL_CLUSTER_NAME);
    scene_rules_done(&s);
    s.engine.slice_units = s.engine.turn_units = slice_units;
}

static void end(void)
{
    scene_free(&s);
    arena_free(&arena);
}

/* The answer to this request by this user. */
static void *ask(const char *user, int16_t key, int16_t version, const void *request)
{
    struct client *c = scene_client(&s, 0, user);
    int id = client_asks(c, key, version, request);

    scene_settle(&s);
    assert_int_equal(c->answers_n, 1);
    return client_answer(c, 0, key, version, id, &arena);
}

static bool was_forwarded(void)
{
    for (int i = 0; i < s.sent_n; i++)
        if (s.sent[i].is_forwarded)
            return true;
    return false;
}

/* ---- Rights on the cluster ---- */

static void test_markers_by_either_right(void **state)
{
    static const struct {
        const char *user;
        bool may;
    } rows[] = {{"User:bob", true}, {"User:carol", true}, {"User:alice", false}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin(ENGINE_SLICE_UNITS);
        ask(rows[i].user, WIRE_WRITE_TXN_MARKERS, 1, fake_request(WIRE_WRITE_TXN_MARKERS, 1, &two, &arena));
        assert_int_equal(was_forwarded(), rows[i].may);
        end();
    }
}

static void test_epochs_by_the_right_on_the_cluster(void **state)
{
    struct offset_for_leader_epoch_response *got;

    (void)state;
    begin(ENGINE_SLICE_UNITS);
    got = ask("User:bob", WIRE_OFFSET_FOR_LEADER_EPOCH, 4, fake_request(WIRE_OFFSET_FOR_LEADER_EPOCH, 4, &two, &arena));
    assert_true(was_forwarded());
    for (int i = 0; i < 2; i++)
        assert_int_equal(got->topics.v[i].partitions.v[0].error_code, 0);
    end();
}

static int16_t fetched(const char *user, int16_t version, int32_t replica)
{
    struct fetch_request *req;
    struct fetch_response *got;
    int16_t error;

    begin(ENGINE_SLICE_UNITS);
    req = fake_request(WIRE_FETCH, version, &(struct fake_asked){{names, 1}, {0}, {0}, false, 1}, &arena);
    req->replica_id = version < 15 ? replica : -1;
    req->replica_state.replica_id = version < 15 ? -1 : replica;
    got = ask(user, WIRE_FETCH, version, req);
    error = got->responses.v[0].partitions.v[0].error_code;
    assert_int_equal(was_forwarded(), error == 0);
    assert_int_equal(got->error_code, 0);
    end();
    return error;
}

static void test_fetch_by_a_replica(void **state)
{
    static const int16_t versions[] = {12, 16};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        int16_t v = versions[i];
        assert_int_equal(fetched("User:alice", v, -1), 0);
        assert_int_equal(fetched("User:bob", v, -1), ERR_TOPIC_AUTHORIZATION_FAILED); /* a client needs READ */
        assert_int_equal(fetched("User:bob", v, 5), 0);
        assert_int_equal(fetched("User:alice", v, 5), ERR_TOPIC_AUTHORIZATION_FAILED); /* READ makes no replica */
    }
}

/* ---- One refusal stops all ---- */

static void test_nothing_is_added_to_a_transaction(void **state)
{
    (void)state;
    for (int32_t units = 1; units <= ENGINE_SLICE_UNITS; units += ENGINE_SLICE_UNITS - 1) {
        struct add_partitions_to_txn_response *got;

        begin(units);
        got =
            ask("User:alice", WIRE_ADD_PARTITIONS_TO_TXN, 3, fake_request(WIRE_ADD_PARTITIONS_TO_TXN, 3, &two, &arena));
        assert_false(was_forwarded());
        assert_int_equal(got->results_by_topic_v3_and_below.v[0].results_by_partition.v[0].partition_error_code,
                         ERR_OPERATION_NOT_ATTEMPTED);
        assert_int_equal(got->results_by_topic_v3_and_below.v[1].results_by_partition.v[0].partition_error_code,
                         ERR_TOPIC_AUTHORIZATION_FAILED);
        end();
    }
}

/* ---- Named twice ---- */

static void test_partitions_of_one_topic_twice(void **state)
{
    (void)state;
    for (int32_t units = 1; units <= ENGINE_SLICE_UNITS; units += ENGINE_SLICE_UNITS - 1) {
        struct create_partitions_response *got;

        begin(units);
        got = ask("User:alice", WIRE_CREATE_PARTITIONS, 3, fake_request(WIRE_CREATE_PARTITIONS, 3, &twice, &arena));
        assert_false(was_forwarded());
        assert_int_equal(got->results.n, 2);
        assert_true(slice_eq_str(got->results.v[0].name, "orders"));
        assert_int_equal(got->results.v[0].error_code, ERR_INVALID_REQUEST);
        assert_false(slice_is_null(got->results.v[0].error_message));
        assert_int_equal(got->results.v[1].error_code, ERR_TOPIC_AUTHORIZATION_FAILED);
        end();
    }
}

/* Of another kind, the same name is another resource. */
static void test_settings_of_one_resource_twice(void **state)
{
    static const int8_t kinds[][2] = {{2, 2}, {2, 32}};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct incremental_alter_configs_request req;
        struct incremental_alter_configs_response *got;

        begin(ENGINE_SLICE_UNITS);
        incremental_alter_configs_request_init(&req);
        assert_true(incremental_alter_configs_request_alter_configs_resource_array_alloc(&req.resources, 2, &arena));
        for (int k = 0; k < 2; k++) {
            req.resources.v[k].resource_type = kinds[i][k];
            req.resources.v[k].resource_name = slice_str("orders");
        }
        got = ask("User:alice", WIRE_INCREMENTAL_ALTER_CONFIGS, 1, &req);
        assert_int_equal(got->responses.n, 2);
        for (int k = 0; k < 2; k++)
            assert_int_equal(got->responses.v[k].error_code, i == 0 ? ERR_INVALID_REQUEST : 0);
        assert_int_equal(was_forwarded(), i == 1);
        end();
    }
}

static void test_metadata_of_one_topic_twice(void **state)
{
    static const char *const users[] = {"User:alice", "User:bob"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct metadata_response *got;

        begin(ENGINE_SLICE_UNITS);
        got = ask(users[i], WIRE_METADATA, 12, fake_request(WIRE_METADATA, 12, &twice, &arena));
        assert_int_equal(got->topics.n, 2);
        end();
    }
}

/* ---- Asked although nothing is left ---- */

static void test_offsets_of_a_group_that_is_not_there(void **state)
{
    static const int16_t errors[] = {0, ERR_GROUP_ID_NOT_FOUND};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct fake_asked hidden = {{names + 1, 1}, {names, 1}, {0}, false, 1};
        struct offset_delete_response *got;
        const struct offset_delete_request *sent;

        begin(ENGINE_SLICE_UNITS);
        s.cluster.error = errors[i];
        got = ask("User:alice", WIRE_OFFSET_DELETE, 0, fake_request(WIRE_OFFSET_DELETE, 0, &hidden, &arena));
        assert_true(was_forwarded());
        sent = scene_sent(&s, s.sent_n - 1, &arena);
        assert_int_equal(sent->topics.n, 0);
        assert_int_equal(got->error_code, errors[i]);
        assert_int_equal(got->topics.n, errors[i] ? 0 : 1);
        if (!errors[i])
            assert_int_equal(got->topics.v[0].partitions.v[0].error_code, ERR_TOPIC_AUTHORIZATION_FAILED);
        end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_markers_by_either_right),
        cmocka_unit_test(test_epochs_by_the_right_on_the_cluster),
        cmocka_unit_test(test_fetch_by_a_replica),
        cmocka_unit_test(test_nothing_is_added_to_a_transaction),
        cmocka_unit_test(test_partitions_of_one_topic_twice),
        cmocka_unit_test(test_settings_of_one_resource_twice),
        cmocka_unit_test(test_metadata_of_one_topic_twice),
        cmocka_unit_test(test_offsets_of_a_group_that_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
