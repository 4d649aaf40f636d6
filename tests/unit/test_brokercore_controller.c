/* SPDX-License-Identifier: Apache-2.0
 * The controller's decisions and the image they build: what is decided, applied and decided upon again. */
#include "broker/core/controller.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

struct cluster {
    struct env_test env;
    struct image image;
    struct controller controller;
    struct arena arena;
    struct record_list records;
    struct controller_call call;
    int64_t next_offset;
};

static void commit(struct cluster *c)
{
    struct reason why;
    for (size_t i = 0; i < c->records.count; i++)
        assert_int_equal(image_apply(&c->image, record_list_value(&c->records, i), c->next_offset++, &why), ERR_OK);
    record_list_clear(&c->records);
}

static void register_broker(struct cluster *c, int32_t id, uint8_t incarnation)
{
    struct broker_registration_request req;
    struct broker_registration_request_listener l;
    struct broker_registration_response resp;
    struct broker_heartbeat_request beat;
    struct broker_heartbeat_response pulse;

    broker_registration_request_init(&req);
    broker_registration_request_listener_init(&l);
    req.broker_id = id;
    req.cluster_id = slice_str("cluster");
    req.incarnation_id.b[0] = incarnation;
    req.listeners.v = &l;
    req.listeners.n = 1;
    l.host = slice_str("127.0.0.1");
    l.port = (uint16_t)(19091 + id);
    assert_int_equal(controller_register_broker(&c->controller, &req, c->next_offset, &resp, &c->call), ERR_OK);
    assert_int_equal(resp.error_code, 0);
    commit(c);
    assert_false(image_broker_alive(&c->image, id));
    broker_heartbeat_request_init(&beat);
    beat.broker_id = id;
    beat.broker_epoch = resp.broker_epoch;
    beat.current_metadata_offset = c->image.applied;
    assert_int_equal(controller_heartbeat(&c->controller, &beat, &pulse, &c->call), ERR_OK);
    assert_false(pulse.is_fenced);
    commit(c);
    assert_true(image_broker_alive(&c->image, id));
}

static void cluster_init(struct cluster *c)
{
    memset(c, 0, sizeof *c);
    env_test_init(&c->env, 7);
    image_init(&c->image);
    controller_init(&c->controller, &c->image, "cluster");
    arena_init(&c->arena, 0);
    record_list_init(&c->records);
    c->call = (struct controller_call){&c->arena, &c->records, &c->env.env, 1000};
    for (int32_t id = 1; id <= 3; id++)
        register_broker(c, id, (uint8_t)id);
}

static void cluster_free(struct cluster *c)
{
    record_list_free(&c->records);
    arena_free(&c->arena);
    controller_free(&c->controller);
    image_free(&c->image);
}

static int16_t create(struct cluster *c, const char *name, int32_t partitions, int16_t factor, const char *key,
                      const char *value)
{
    struct create_topics_request req;
    struct create_topics_request_creatable_topic t;
    struct create_topics_request_creatable_topic_config config;
    struct create_topics_response resp;

    create_topics_request_init(&req);
    create_topics_request_creatable_topic_init(&t);
    create_topics_request_creatable_topic_config_init(&config);
    req.topics.v = &t;
    req.topics.n = 1;
    t.name = slice_str(name);
    t.num_partitions = partitions;
    t.replication_factor = factor;
    if (key) {
        config.name = slice_str(key);
        config.value = slice_str(value);
        t.configs.v = &config;
        t.configs.n = 1;
    }
    assert_int_equal(controller_create_topics(&c->controller, &req, &resp, &c->call), ERR_OK);
    commit(c);
    return resp.topics.v[0].error_code;
}

static void test_partitions_are_spread_over_the_brokers(void **state)
{
    struct cluster c;
    int led[4] = {0};
    (void)state;
    cluster_init(&c);
    assert_int_equal(create(&c, "orders", 9, -1, NULL, NULL), 0);
    const struct image_topic *t = image_topic(&c.image, slice_str("orders"));
    assert_non_null(t);
    assert_int_equal(t->partition_count, 9);
    for (int32_t i = 0; i < 9; i++)
        led[t->partitions[i].leader]++;
    for (int id = 1; id <= 3; id++)
        assert_int_equal(led[id], 3);
    assert_ptr_equal(image_topic_by_id(&c.image, &t->id), t);
    cluster_free(&c);
}

static void test_what_create_refuses(void **state)
{
    static const struct {
        const char *name;
        int32_t partitions;
        int16_t factor;
        const char *key, *value;
        int16_t error;
    } cases[] = {
        {"a/b", 1, 1, NULL, NULL, ERR_INVALID_TOPIC_EXCEPTION},
        {"..", 1, 1, NULL, NULL, ERR_INVALID_TOPIC_EXCEPTION},
        {"", 1, 1, NULL, NULL, ERR_INVALID_TOPIC_EXCEPTION},
        {"t", 0, 1, NULL, NULL, ERR_INVALID_PARTITIONS},
        {"t", 1, 0, NULL, NULL, ERR_INVALID_REPLICATION_FACTOR},
        {"t", 1, 4, NULL, NULL, ERR_INVALID_REPLICATION_FACTOR},
        {"t", 1, 1, "no.such.key", "1", ERR_INVALID_CONFIG},
        {"t", 1, 1, "retention.ms", "soon", ERR_INVALID_CONFIG},
        {"taken", 1, 1, NULL, NULL, ERR_TOPIC_ALREADY_EXISTS},
        {"dot_ted", 1, 1, NULL, NULL, ERR_INVALID_TOPIC_EXCEPTION},
    };
    struct cluster c;
    (void)state;
    cluster_init(&c);
    assert_int_equal(create(&c, "taken", 1, 1, "cleanup.policy", "compact"), 0);
    assert_int_equal(create(&c, "dot.ted", 1, 1, NULL, NULL), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t before = map_count(&c.image.topics);
        assert_int_equal(create(&c, cases[i].name, cases[i].partitions, cases[i].factor, cases[i].key, cases[i].value),
                         cases[i].error);
        assert_int_equal(map_count(&c.image.topics), before);
    }
    cluster_free(&c);
}

static void test_a_silent_broker_is_fenced_and_comes_back(void **state)
{
    struct cluster c;
    (void)state;
    cluster_init(&c);
    c.call.now_ms += BROKER_SESSION_TIMEOUT_MS;
    assert_int_equal(controller_tick(&c.controller, &c.call), ERR_OK);
    assert_int_equal(c.records.count, 0);
    c.call.now_ms += 1;
    assert_int_equal(controller_tick(&c.controller, &c.call), ERR_OK);
    commit(&c);
    for (int32_t id = 1; id <= 3; id++)
        assert_false(image_broker_alive(&c.image, id));
    register_broker(&c, 2, 77);
    assert_true(image_broker_alive(&c.image, 2));
    cluster_free(&c);
}

static void test_configs_are_set_appended_and_removed(void **state)
{
    struct cluster c;
    struct incremental_alter_configs_request req;
    struct incremental_alter_configs_request_alter_configs_resource resource;
    struct incremental_alter_configs_request_alterable_config change;
    struct incremental_alter_configs_response resp;
    static const struct {
        int8_t operation;
        const char *value, *after;
    } steps[] = {{0, "delete", "delete"},
                 {2, "compact", "delete,compact"},
                 {2, "compact", "delete,compact"},
                 {3, "delete", "compact"},
                 {1, NULL, NULL}};
    (void)state;
    cluster_init(&c);
    assert_int_equal(create(&c, "t", 1, 1, NULL, NULL), 0);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        incremental_alter_configs_request_init(&req);
        incremental_alter_configs_request_alter_configs_resource_init(&resource);
        incremental_alter_configs_request_alterable_config_init(&change);
        req.resources.v = &resource;
        req.resources.n = 1;
        resource.resource_type = CONFIG_RESOURCE_TOPIC;
        resource.resource_name = slice_str("t");
        resource.configs.v = &change;
        resource.configs.n = 1;
        change.name = slice_str("cleanup.policy");
        change.config_operation = steps[i].operation;
        change.value = slice_str(steps[i].value);
        assert_int_equal(controller_incremental_alter_configs(&c.controller, &req, &resp, &c.call), ERR_OK);
        assert_int_equal(resp.responses.v[0].error_code, 0);
        commit(&c);
        const char *now =
            map_get(image_configs(&c.image, CONFIG_RESOURCE_TOPIC, slice_str("t")), slice_str("cleanup.policy"));
        if (steps[i].after)
            assert_string_equal(now, steps[i].after);
        else
            assert_null(now);
    }
    cluster_free(&c);
}

static void test_deleting_removes_topic_and_configs(void **state)
{
    struct cluster c;
    struct delete_topics_request req;
    struct delete_topics_response resp;
    struct slice names[2] = {slice_str("t"), slice_str("none")};
    (void)state;
    cluster_init(&c);
    assert_int_equal(create(&c, "t", 2, 1, "retention.ms", "1"), 0);
    delete_topics_request_init(&req);
    req.topic_names.v = names;
    req.topic_names.n = 2;
    assert_int_equal(controller_delete_topics(&c.controller, &req, 5, &resp, &c.call), ERR_OK);
    commit(&c);
    assert_int_equal(resp.responses.v[0].error_code, 0);
    assert_int_equal(resp.responses.v[1].error_code, ERR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_null(image_topic(&c.image, slice_str("t")));
    assert_null(image_configs(&c.image, CONFIG_RESOURCE_TOPIC, slice_str("t")));
    assert_int_equal(create(&c, "t", 1, 1, NULL, NULL), 0);
    cluster_free(&c);
}

static int delete_codes(struct cluster *c, const struct delete_topics_request_delete_topic_state *asked, int32_t n,
                        int16_t *codes)
{
    struct delete_topics_request req;
    struct delete_topics_response resp;

    delete_topics_request_init(&req);
    req.topics.v = (struct delete_topics_request_delete_topic_state *)(uintptr_t)asked;
    req.topics.n = n;
    assert_int_equal(controller_delete_topics(&c->controller, &req, 6, &resp, &c->call), ERR_OK);
    for (int32_t i = 0; i < resp.responses.n; i++) {
        codes[i] = resp.responses.v[i].error_code;
        assert_int_equal(codes[i] == 0, slice_is_null(resp.responses.v[i].error_message));
    }
    commit(c);
    return resp.responses.n;
}

static void test_a_topic_is_deleted_once_however_it_is_named(void **state)
{
    struct cluster c;
    struct wire_uuid id, other = {{9}};
    int16_t codes[4];
    (void)state;
    cluster_init(&c);
    assert_int_equal(create(&c, "t", 1, 1, NULL, NULL), 0);
    id = image_topic(&c.image, slice_str("t"))->id;
    const struct delete_topics_request_delete_topic_state by_name = {.name = slice_str("t")}, by_id = {.topic_id = id},
                                                          both = {.name = slice_str("t"), .topic_id = id},
                                                          unknown = {.topic_id = other}, none = {.name = SLICE_NULL};
    const struct delete_topics_request_delete_topic_state wrong[][4] = {
        {by_name, by_id}, {by_id, by_name}, {by_name, by_name}, {by_id, by_id}, {both, none}, {by_id, by_id, by_name}};
    static const int answers[] = {1, 1, 1, 1, 2, 2};
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        int n = delete_codes(&c, wrong[i], i == 5 ? 3 : 2, codes);
        assert_int_equal(n, answers[i]);
        for (int k = 0; k < n; k++)
            assert_int_equal(codes[k], ERR_INVALID_REQUEST);
        assert_non_null(image_topic(&c.image, slice_str("t")));
    }
    const struct delete_topics_request_delete_topic_state good[] = {unknown, by_name, by_name, by_id};
    assert_int_equal(delete_codes(&c, good, 4, codes), 3); /* the name is there twice and only the id counts */
    assert_int_equal(codes[0], ERR_UNKNOWN_TOPIC_ID);
    assert_int_equal(codes[1], ERR_INVALID_REQUEST);
    assert_int_equal(codes[2], 0);
    assert_null(image_topic(&c.image, slice_str("t")));
    cluster_free(&c);
}

static void test_nobody_makes_the_metadata_log(void **state)
{
    struct cluster c;
    (void)state;
    cluster_init(&c);
    assert_int_equal(create(&c, METADATA_TOPIC, 1, 1, NULL, NULL), ERR_INVALID_REQUEST);
    assert_null(image_topic(&c.image, slice_str(METADATA_TOPIC)));
    cluster_free(&c);
}

static int16_t grow(struct cluster *c, const char *name, int32_t count)
{
    struct create_partitions_request req;
    struct create_partitions_request_create_partitions_topic t;
    struct create_partitions_response resp;

    create_partitions_request_init(&req);
    create_partitions_request_create_partitions_topic_init(&t);
    t.name = slice_str(name);
    t.count = count;
    t.assignments.n = -1;
    req.topics.v = &t;
    req.topics.n = 1;
    assert_int_equal(controller_create_partitions(&c->controller, &req, &resp, &c->call), ERR_OK);
    commit(c);
    return resp.results.v[0].error_code;
}

static void test_the_cluster_has_room_for_so_many_partitions(void **state)
{
    struct cluster c;
    struct delete_topics_request req;
    struct delete_topics_response resp;
    struct slice name = slice_str("t0");
    char text[16];

    (void)state;
    cluster_init(&c);
    for (int i = 0; i < PARTITIONS_PER_CLUSTER_MAX / PARTITIONS_PER_TOPIC_MAX - 1; i++) {
        snprintf(text, sizeof text, "t%d", i);
        assert_int_equal(create(&c, text, PARTITIONS_PER_TOPIC_MAX, 1, NULL, NULL), 0);
    }
    assert_int_equal(create(&c, "nearly", PARTITIONS_PER_TOPIC_MAX - 100, 1, NULL, NULL), 0);
    assert_int_equal(create(&c, "over", 101, 1, NULL, NULL), ERR_POLICY_VIOLATION);
    assert_int_equal(grow(&c, "nearly", PARTITIONS_PER_TOPIC_MAX), 0);
    assert_int_equal(create(&c, "over", 1, 1, NULL, NULL), ERR_POLICY_VIOLATION);
    assert_int_equal(c.image.partitions, PARTITIONS_PER_CLUSTER_MAX);
    delete_topics_request_init(&req);
    req.topic_names.v = &name;
    req.topic_names.n = 1;
    assert_int_equal(controller_delete_topics(&c.controller, &req, 5, &resp, &c.call), ERR_OK);
    commit(&c);
    assert_int_equal(create(&c, "over", 1, 1, NULL, NULL), 0);
    assert_int_equal(grow(&c, "over", PARTITIONS_PER_TOPIC_MAX), 0);
    assert_int_equal(create(&c, "again", 1, 1, NULL, NULL), ERR_POLICY_VIOLATION);
    cluster_free(&c);
}

static void test_producer_id_blocks_never_overlap(void **state)
{
    struct cluster c;
    struct allocate_producer_ids_request req;
    struct allocate_producer_ids_response resp;
    (void)state;
    cluster_init(&c);
    for (int64_t i = 0; i < 5; i++) {
        allocate_producer_ids_request_init(&req);
        req.broker_id = 1 + (int32_t)(i % 3);
        req.broker_epoch = image_broker(&c.image, req.broker_id)->epoch;
        assert_int_equal(controller_allocate_producer_ids(&c.controller, &req, &resp, &c.call), ERR_OK);
        assert_int_equal(resp.error_code, 0);
        assert_true(resp.producer_id_start == i * PRODUCER_ID_BLOCK);
        commit(&c);
    }
    cluster_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_partitions_are_spread_over_the_brokers),
        cmocka_unit_test(test_what_create_refuses),
        cmocka_unit_test(test_the_cluster_has_room_for_so_many_partitions),
        cmocka_unit_test(test_a_silent_broker_is_fenced_and_comes_back),
        cmocka_unit_test(test_configs_are_set_appended_and_removed),
        cmocka_unit_test(test_deleting_removes_topic_and_configs),
        cmocka_unit_test(test_a_topic_is_deleted_once_however_it_is_named),
        cmocka_unit_test(test_nobody_makes_the_metadata_log),
        cmocka_unit_test(test_producer_id_blocks_never_overlap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
