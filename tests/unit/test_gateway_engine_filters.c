/* SPDX-License-Identifier: Apache-2.0
 * Schemas and privacy policies on the way of a request: who asks nothing of the key process or the registry is not held
 * up, and without them nothing that is protected or bound to a schema passes. */
#include "core/net/loop.h"
#include "gateway/filter/schema_topics.h"
#include "gateway/filter/schemas.h"
#include "tests/unit/engine_util.h"
#include "wire/describe_configs.h"
#include "wire/fetch.h"
#include "wire/produce.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { PRODUCE_V = 9, FETCH_V = 12 };

static struct scene s;
static struct arena arena;
static const char *const two[] = {"orders", "payments"};
static const struct fake_asked both = {.topics = {two, 2}, .partitions = 2};

static int begin(void **state)
{
    (void)state;
    arena_init(&arena, 0);
    scene_init(&s);
    scene_allow(&s, "User:alice", ACL_TOPIC, ACL_ALL, "*");
    scene_rules_done(&s);
    return 0;
}

static int end(void **state)
{
    (void)state;
    scene_free(&s);
    schemas_close(s.gateway.schemas);
    arena_free(&arena);
    return 0;
}

/* ---- Policies ---- */

static void protect(const char *topic)
{
    struct policy_words w = {.topic = topic, .subject_from = "key", .protect = "value", .erased = "null"};
    struct policy *p;
    struct buf key, value;

    buf_init(&key, 0);
    buf_init(&value, 0);
    assert_int_equal(policy_new(&p, &w, NULL), ERR_OK);
    assert_int_equal(policy_encode(p, &key, &value), ERR_OK);
    assert_int_equal(policy_table_apply(s.policies, buf_slice(&key), buf_slice(&value), NULL), ERR_OK);
    buf_free(&key);
    buf_free(&value);
    policy_free(p);
    scene_rules_done(&s);
}

static struct produce_response *produces(struct client *c, void *request)
{
    int id = client_asks(c, WIRE_PRODUCE, PRODUCE_V, request);

    client_forget_answers(c);
    scene_settle(&s);
    assert_int_equal(c->answers_n, 1);
    return client_answer(c, 0, WIRE_PRODUCE, PRODUCE_V, id, &arena);
}

static int16_t produce_error(const struct produce_response *r, int topic, int part)
{
    assert_int_equal(r->responses.n, 2);
    assert_int_equal(r->responses.v[topic].partition_responses.n, 2);
    return r->responses.v[topic].partition_responses.v[part].error_code;
}

/* Without a key process what is to be sealed does not pass, and the rest does. */
static void test_nothing_passes_unsealed(void **state)
{
    struct client *c = scene_client(&s, 0, "User:alice");
    struct produce_response *r;

    (void)state;
    protect("orders");
    for (int slices = 0; slices < 2; slices++) {
        s.engine.slice_units = s.engine.turn_units = slices ? 1 : ENGINE_SLICE_UNITS;
        r = produces(c, fake_request(WIRE_PRODUCE, PRODUCE_V, &both, &arena));
        for (int part = 0; part < 2; part++) {
            assert_int_equal(produce_error(r, 0, part), ERR_KAFKA_STORAGE_ERROR);
            assert_true(r->responses.v[0].partition_responses.v[part].error_message.n > 0);
            assert_int_equal(produce_error(r, 1, part), 0);
        }
        struct produce_request *sent = scene_sent(&s, s.sent_n - 1, &arena);
        assert_int_equal(sent->topic_data.n, 1);
        assert_true(slice_eq_str(sent->topic_data.v[0].name, "payments"));
    }
}

static void test_a_policy_nobody_understands(void **state)
{
    struct client *c = scene_client(&s, 0, "User:alice");
    struct reason why;
    struct produce_response *r;

    (void)state;
    assert_int_not_equal(
        policy_table_apply(s.policies, slice_str("literal/orders"), slice_str("{\"version\":9}"), &why), ERR_OK);
    scene_rules_done(&s);
    r = produces(c, fake_request(WIRE_PRODUCE, PRODUCE_V, &both, &arena));
    assert_int_equal(produce_error(r, 0, 0), ERR_POLICY_VIOLATION);
    assert_int_equal(produce_error(r, 1, 0), 0);
}

/* The cluster's answer with these records in each partition. */
static void answer_fetch(int sent, int16_t version, struct slice records)
{
    struct fetch_response *r = wire_struct_new(wire_api(WIRE_FETCH)->response->body, &arena);
    struct buf body;

    assert_true(fetch_response_fetchable_topic_response_array_alloc(&r->responses, 2, &arena));
    for (int t = 0; t < 2; t++) {
        struct fetch_response_fetchable_topic_response *topic = &r->responses.v[t];
        topic->topic = slice_str(two[t]);
        topic->topic_id = fake_topic_id(two[t]);
        assert_true(fetch_response_partition_data_array_alloc(&topic->partitions, 1, &arena));
        topic->partitions.v[0].records = records;
    }
    buf_init(&body, 0);
    assert_int_equal(fetch_response_encode(r, &body, version), ERR_OK);
    scene_answer_body(&s, sent, buf_slice(&body));
    buf_free(&body);
}

static struct fetch_response *fetches(struct client *c, int16_t version, struct slice records)
{
    int id = client_asks(c, WIRE_FETCH, version, fake_request(WIRE_FETCH, version, &both, &arena));

    client_forget_answers(c);
    scene_run(&s);
    while (scene_waiting(&s) && s.sent[s.sent_n - 1].key != WIRE_FETCH) {
        scene_answer(&s, s.sent_n - 1, ERR_OK);
        scene_run(&s);
    }
    assert_int_equal(s.sent[s.sent_n - 1].key, WIRE_FETCH);
    answer_fetch(s.sent_n - 1, version, records);
    scene_run(&s);
    assert_int_equal(c->answers_n, 1);
    return client_answer(c, 0, WIRE_FETCH, version, id, &arena);
}

static void test_opening(void **state)
{
    struct client *c = scene_client(&s, 0, "User:alice");
    struct slice plain = fake_records(&arena);

    (void)state;
    protect("orders");
    for (int16_t v = FETCH_V; v <= FETCH_V + 1; v++) {   /* by name and by id */
        struct fetch_response *r = fetches(c, v, plain); /* nothing sealed in it: no key is needed */
        for (int t = 0; t < 2; t++) {
            assert_int_equal(r->responses.v[t].partitions.v[0].error_code, 0);
            assert_true(slice_eq(r->responses.v[t].partitions.v[0].records, plain));
        }
        r = fetches(c, v, slice_str("these are no records at all, however long they are made to be, and more"));
        assert_int_not_equal(r->responses.v[0].partitions.v[0].error_code, 0);
        assert_int_equal(r->responses.v[0].partitions.v[0].records.n, 0);
        assert_int_equal(r->responses.v[1].partitions.v[0].error_code, 0); /* not protected: nobody looked */
        r = fetches(c, v, SLICE_NULL);
        assert_int_equal(r->responses.v[0].partitions.v[0].error_code, 0);
    }
}

static void test_opening_where_the_policy_is_broken(void **state)
{
    struct client *c = scene_client(&s, 0, "User:alice");
    struct reason why;
    struct fetch_response *r;

    (void)state;
    assert_int_not_equal(
        policy_table_apply(s.policies, slice_str("literal/orders"), slice_str("{\"version\":9}"), &why), ERR_OK);
    scene_rules_done(&s);
    r = fetches(c, FETCH_V, fake_records(&arena));
    assert_int_equal(r->responses.v[0].partitions.v[0].error_code, ERR_POLICY_VIOLATION);
    assert_int_equal(r->responses.v[0].partitions.v[0].records.n, 0);
    assert_int_equal(r->responses.v[1].partitions.v[0].error_code, 0);
}

/* ---- Schemas ---- */

static void open_schemas(void)
{
    struct schemas_config config = {.topic = "_schemas", .memory = true};
    struct reason why = {0};

    assert_int_equal(schemas_open(&s.gateway.schemas, &config, &why), ERR_OK);
}

/* Its topic asks for schemas on "orders": the answer to DescribeConfigs, whose rest asks nothing. */
static void answer_configs(int sent, const char *value, int16_t error)
{
    struct describe_configs_request *q = scene_sent(&s, sent, &arena);
    struct describe_configs_response *r = wire_struct_new(wire_api(WIRE_DESCRIBE_CONFIGS)->response->body, &arena);
    struct buf body;

    assert_true(describe_configs_response_describe_configs_result_array_alloc(&r->results, q->resources.n, &arena));
    for (int32_t i = 0; i < q->resources.n; i++) {
        struct describe_configs_response_describe_configs_result *t = &r->results.v[i];
        t->resource_type = 2;
        t->resource_name = q->resources.v[i].resource_name;
        if (!slice_eq_str(t->resource_name, "orders"))
            continue;
        t->error_code = error;
        assert_true(describe_configs_response_describe_configs_resource_result_array_alloc(&t->configs, 1, &arena));
        t->configs.v[0].name = slice_str("castellan.value.schema.validation");
        t->configs.v[0].value = slice_str(value);
    }
    buf_init(&body, 0);
    assert_int_equal(describe_configs_response_encode(r, &body, s.sent[sent].version), ERR_OK);
    scene_answer_body(&s, sent, buf_slice(&body));
    buf_free(&body);
}

/* Produces; the topic's configuration is asked for once. */
static struct produce_response *produces_asked(struct client *c, const char *value, int16_t error)
{
    int id = client_asks(c, WIRE_PRODUCE, PRODUCE_V, fake_request(WIRE_PRODUCE, PRODUCE_V, &both, &arena));
    int before = s.sent_n;

    client_forget_answers(c);
    scene_run(&s);
    assert_int_equal(s.sent_n, before + 1);
    assert_int_equal(s.sent[before].key, WIRE_DESCRIBE_CONFIGS);
    answer_configs(before, value, error);
    scene_settle(&s);
    for (int i = 0; c->here && c->answers_n == 0 && i < 500; i++) { /* the read barrier is another thread's */
        loop_run_once(s.worker.loop, true);
        scene_settle(&s);
    }
    assert_int_equal(c->answers_n, 1);
    return client_answer(c, 0, WIRE_PRODUCE, PRODUCE_V, id, &arena);
}

static void test_a_topic_that_asks_nothing(void **state)
{
    struct client *c = scene_client(&s, 0, "User:alice");

    (void)state;
    assert_int_equal(produce_error(produces_asked(c, "", 0), 0, 0), 0);
    assert_int_equal(produce_error(produces(c, fake_request(WIRE_PRODUCE, PRODUCE_V, &both, &arena)), 0, 0), 0);
}

static void test_a_topic_whose_settings_are_not_known(void **state)
{
    struct client *c = scene_client(&s, 0, "User:alice");

    (void)state;
    assert_int_equal(produce_error(produces_asked(c, "", ERR_KAFKA_STORAGE_ERROR), 0, 0), ERR_KAFKA_STORAGE_ERROR);
    assert_int_equal(produce_error(produces_asked(c, "", ERR_UNKNOWN_TOPIC_OR_PARTITION), 0, 0),
                     ERR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(produce_error(produces_asked(c, "no such level", 0), 0, 0), ERR_INVALID_CONFIG);
}

/* Records that do not say which schema they are of are refused one by one; the other topic's pass. */
static void test_records_without_a_schema(void **state)
{
    struct client *c = scene_client(&s, 0, "User:alice");
    struct produce_response *r;

    (void)state;
    open_schemas();
    r = produces_asked(c, "payload", 0);
    for (int part = 0; part < 2; part++) {
        assert_int_equal(produce_error(r, 0, part), ERR_INVALID_RECORD);
        assert_int_equal(r->responses.v[0].partition_responses.v[part].record_errors.n, 2);
        assert_true(r->responses.v[0].partition_responses.v[part].record_errors.v[1].batch_index_error_message.n > 0);
        assert_int_equal(produce_error(r, 1, part), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
        TEST(test_nothing_passes_unsealed),
        TEST(test_a_policy_nobody_understands),
        TEST(test_opening),
        TEST(test_opening_where_the_policy_is_broken),
        TEST(test_a_topic_that_asks_nothing),
        TEST(test_a_topic_whose_settings_are_not_known),
        TEST(test_records_without_a_schema),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
