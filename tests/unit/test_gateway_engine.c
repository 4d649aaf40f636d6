/* SPDX-License-Identifier: Apache-2.0
 * How the engine moves requests: phases, the order of answers, slices and turns, clients that leave, answers that pass
 * through, throttling. What it decides about names is test_gateway_engine_apis.c's. */
#include "acl/quota_meter.h"
#include "tests/unit/engine_util.h"
#include "wire/describe_groups.h"
#include "wire/fetch.h"
#include "wire/list_groups.h"
#include "wire/metadata.h"
#include "wire/produce.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { METADATA_V = 12, FETCH_V = 12, PRODUCE_V = 9, GROUPS_V = 5 };

static struct scene s;
static struct arena arena;

static const char *const orders_only[] = {"orders"};
static const struct fake_asked orders = {
    .topics = {orders_only, 1}, .groups = {orders_only, 1}, .txns = {orders_only, 1}, .partitions = 1};

static int begin(void **state)
{
    (void)state;
    arena_init(&arena, 0);
    scene_init(&s);
    scene_allow(&s, "User:alice", ACL_TOPIC, ACL_ALL, "*");
    scene_allow(&s, "User:alice", ACL_GROUP, ACL_ALL, "*");
    scene_allow(&s, "User:bob", ACL_TOPIC, ACL_ALL, "*");
    scene_allow(&s, "User:bob", ACL_GROUP, ACL_ALL, "*");
    scene_rules_done(&s);
    return 0;
}

static int end(void **state)
{
    (void)state;
    scene_free(&s);
    arena_free(&arena);
    return 0;
}

static int asks(struct client *c, int16_t key, int16_t version)
{
    return client_asks(c, key, version, fake_request(key, version, &orders, &arena));
}

static const char *many_name(int i)
{
    char text[24];

    snprintf(text, sizeof text, "%s-%05d", i % 2 ? "payments" : "orders", i);
    return arena_strdup(&arena, slice_str(text));
}

static struct fake_names many_names(int n)
{
    const char **v = arena_array(&arena, (size_t)n, sizeof *v);

    for (int i = 0; i < n; i++)
        v[i] = many_name(i);
    return (struct fake_names){v, n};
}

/* ---- Phases and order ---- */

static void test_one_request(void **state)
{
    struct client *c = scene_client(&s, 0, "User:alice");
    int id = asks(c, WIRE_FETCH, FETCH_V);
    struct request *r = c->pipeline.head;

    (void)state;
    assert_int_equal(s.ready, 1);
    assert_int_equal(r->phase, REQUEST_DECODING);
    scene_run(&s);
    assert_int_equal(r->phase, REQUEST_AWAY);
    assert_int_equal(scene_waiting(&s), 1);
    assert_true(s.sent[0].is_forwarded);
    assert_int_equal(c->answers_n, 0);
    scene_answer(&s, 0, ERR_OK);
    assert_int_equal(s.ready, 2);
    scene_run(&s);
    assert_int_equal(c->answers_n, 1);
    assert_null(c->pipeline.head);
    assert_int_equal(c->pipeline.count, 0);
    assert_int_equal(budget_used(&c->pipeline.budget), 0);
    client_answer(c, 0, WIRE_FETCH, FETCH_V, id, &arena);
}

static void test_answers_in_the_order_asked(void **state)
{
    struct client *c = scene_client(&s, 0, "User:alice");
    int first = asks(c, WIRE_FETCH, FETCH_V), second = asks(c, WIRE_DESCRIBE_GROUPS, GROUPS_V),
        third = asks(c, WIRE_FETCH, FETCH_V);

    (void)state;
    scene_run(&s);
    assert_int_equal(scene_waiting(&s), 3); /* all are on their way at once */
    scene_answer(&s, 2, ERR_OK);
    scene_run(&s);
    scene_answer(&s, 1, ERR_OK);
    scene_run(&s);
    assert_int_equal(c->answers_n, 0);
    scene_answer(&s, 0, ERR_OK);
    scene_run(&s);
    assert_int_equal(c->answers_n, 3);
    client_answer(c, 0, WIRE_FETCH, FETCH_V, first, &arena);
    client_answer(c, 1, WIRE_DESCRIBE_GROUPS, GROUPS_V, second, &arena);
    client_answer(c, 2, WIRE_FETCH, FETCH_V, third, &arena);
}

/* One that asks something before it goes holds back those behind it. */
static void test_who_waits_holds_back_the_next(void **state)
{
    struct client *c = scene_client(&s, 0, "User:alice");

    (void)state;
    asks(c, WIRE_FETCH, 13); /* by id: the name is asked for first */
    asks(c, WIRE_DESCRIBE_GROUPS, GROUPS_V);
    scene_run(&s);
    assert_int_equal(s.sent_n, 1);
    assert_int_equal(s.sent[0].key, WIRE_METADATA);
    assert_false(s.sent[0].is_forwarded);
    scene_answer(&s, 0, ERR_OK);
    scene_run(&s);
    assert_int_equal(s.sent_n, 3);
    assert_int_equal(s.sent[1].key, WIRE_FETCH);
    assert_int_equal(s.sent[2].key, WIRE_DESCRIBE_GROUPS);
    scene_settle(&s);
    assert_int_equal(c->answers_n, 2);
}

static void test_answers_wait_for_the_client(void **state)
{
    struct client *c = scene_client(&s, 0, "User:alice");

    (void)state;
    asks(c, WIRE_FETCH, FETCH_V);
    asks(c, WIRE_FETCH, FETCH_V);
    scene_run(&s);
    c->deaf = true;
    asks(c, WIRE_FETCH, FETCH_V); /* not begun while the client takes nothing */
    scene_settle(&s);
    assert_int_equal(s.sent_n, 2);
    assert_int_equal(c->answers_n, 0);
    assert_int_equal(c->pipeline.count, 3);
    assert_true(budget_used(&c->pipeline.budget) > 0);
    c->deaf = false;
    pipeline_flush(&c->pipeline);
    assert_int_equal(c->answers_n, 2);
    scene_settle(&s);
    assert_int_equal(c->answers_n, 3);
    assert_int_equal(budget_used(&c->pipeline.budget), 0);
}

static void test_no_more_than_so_many_at_once(void **state)
{
    struct client *c = scene_client(&s, 0, "User:alice");

    (void)state;
    for (int i = 0; i < PIPELINE_REQUESTS_MAX; i++) {
        assert_true(pipeline_may_read(&c->pipeline));
        asks(c, WIRE_LIST_GROUPS, 4);
    }
    assert_false(pipeline_may_read(&c->pipeline));
    client_leaves(c);
}

/* Long requests: few are begun, and few more are read, until their answers are out. */
static void test_what_is_on_its_way_is_bounded(void **state)
{
    struct client *c = scene_client(&s, 0, "User:alice");
    struct fake_asked many = {.topics = many_names(5000), .partitions = 1};
    int asked = 0, begun;

    (void)state;
    while (pipeline_may_read(&c->pipeline) && asked < SCENE_ANSWERS_MAX) {
        client_asks(c, WIRE_FETCH, FETCH_V, fake_request(WIRE_FETCH, FETCH_V, &many, &arena));
        asked++;
        scene_run(&s);
    }
    begun = scene_waiting(&s);
    assert_true(begun > 0 && begun < asked && asked < SCENE_ANSWERS_MAX);
    assert_true(c->pipeline.held > PIPELINE_HELD_BYTES_MAX);
    assert_true(c->pipeline.ahead > PIPELINE_AHEAD_BYTES_MAX);
    assert_true(c->pipeline.ahead + (size_t)c->pipeline.held < 16 << 20);
    scene_settle(&s);
    assert_int_equal(c->answers_n, asked);
    assert_int_equal(c->pipeline.ahead, 0);
    assert_int_equal(c->pipeline.held, 0);
    assert_true(pipeline_may_read(&c->pipeline));
}

/* ---- Bad input ---- */

static void test_what_does_not_parse_ends_the_connection(void **state)
{
    static const uint8_t no_header[] = {0, 1, 0}, no_body[] = {0, 1, 0, 12, 0, 0, 0, 1, 0, 0, 0, 9};
    static const uint8_t not_served[] = {0, 1, 0, 99, 0, 0, 0, 1, 0, 0}, unknown[] = {3, 1, 0, 0, 0, 0, 0, 1, 0, 0};
    const struct slice bad[] = {slice_of(no_header, sizeof no_header), slice_of(no_body, sizeof no_body),
                                slice_of(not_served, sizeof not_served), slice_of(unknown, sizeof unknown),
                                slice_of("", 0)};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct client *c = scene_client(&s, 0, "User:alice");
        assert_true(client_sends(c, bad[i]));
        scene_run(&s);
        assert_false(c->here);
        assert_true(c->detail[0] != 0);
        assert_int_equal(c->answers_n, 0);
        assert_int_equal(s.sent_n, 0);
    }
}

static void test_surplus_is_counted_and_not_forwarded(void **state)
{
    struct client *c = scene_client(&s, 0, "User:alice");
    struct buf frame;

    (void)state;
    buf_init(&frame, 0);
    assert_int_equal(wire_request_frame(&frame, WIRE_FETCH, FETCH_V, 0, slice_str("x"),
                                        fake_request(WIRE_FETCH, FETCH_V, &orders, &arena)),
                     ERR_OK);
    buf_put_str(&frame, "surplus");
    client_sends(c, slice_of(frame.p + 4, frame.n - 4));
    buf_free(&frame);
    scene_settle(&s);
    assert_int_equal(s.surplus, 1);
    assert_int_equal(c->answers_n, 1);
    scene_sent(&s, 0, &arena); /* exactly the request */
}

static void test_a_cluster_that_fails_ends_the_connection(void **state)
{
    struct client *c = scene_client(&s, 0, "User:alice");

    (void)state;
    asks(c, WIRE_FETCH, FETCH_V);
    scene_run(&s);
    scene_answer(&s, 0, ERR_UNAVAILABLE);
    scene_run(&s);
    assert_false(c->here);
    c = scene_client(&s, 0, "User:alice");
    asks(c, WIRE_LIST_GROUPS, 4); /* an answer that is read */
    scene_run(&s);
    scene_answer_body(&s, 1, slice_str("no such answer"));
    scene_run(&s);
    assert_false(c->here);
    assert_int_equal(c->why, CONN_CLOSE_LOCAL);
    c = scene_client(&s, 0, "User:alice");
    s.unreachable = true;
    asks(c, WIRE_FETCH, FETCH_V);
    scene_run(&s);
    assert_false(c->here);
    s.unreachable = false;
}

/* ---- Slices and turns ---- */

static void cut_up(int32_t slice_units, struct buf *answer, struct buf *sent, int *turns)
{
    struct scene t;
    struct fake_asked asked = {.topics = many_names(3000), .partitions = 2};
    struct client *c;

    scene_init(&t);
    for (int i = 0; i < asked.topics.n; i += 2)
        scene_allow(&t, "User:alice", ACL_TOPIC, ACL_ALL, asked.topics.v[i]);
    scene_rules_done(&t);
    t.engine.slice_units = slice_units;
    t.engine.turn_units = slice_units;
    t.cluster.shuffled = true;
    c = scene_client(&t, 0, "User:alice");
    client_asks(c, WIRE_LIST_OFFSETS, 7, fake_request(WIRE_LIST_OFFSETS, 7, &asked, &arena));
    for (*turns = 1; engine_run(&t.engine, 0); ++*turns)
        ;
    assert_int_equal(t.sent_n, 1);
    scene_answer(&t, 0, ERR_OK);
    for (; engine_run(&t.engine, 0); ++*turns)
        ;
    assert_int_equal(c->answers_n, 1);
    buf_put_slice(answer, buf_slice(&c->answers[0]));
    buf_put_slice(sent, buf_slice(&t.sent[0].body));
    scene_free(&t);
}

static void test_slices_change_nothing(void **state)
{
    struct buf answers[4], sent[4];
    int turns[4];
    static const int32_t units[] = {1, 17, 500, ENGINE_SLICE_UNITS * 100};

    (void)state;
    for (int i = 0; i < 4; i++) {
        buf_init(&answers[i], 0);
        buf_init(&sent[i], 0);
        cut_up(units[i], &answers[i], &sent[i], &turns[i]);
        assert_true(slice_eq(buf_slice(&answers[i]), buf_slice(&answers[0])));
        assert_true(slice_eq(buf_slice(&sent[i]), buf_slice(&sent[0])));
        assert_true(i == 0 || turns[i] < turns[i - 1]);
    }
    assert_true(turns[0] > 3000);
    for (int i = 0; i < 4; i++) {
        buf_free(&answers[i]);
        buf_free(&sent[i]);
    }
}

/* Alice has three sessions full of work, bob one request: he waits for one slice of hers, not for all. */
static void test_principals_take_turns(void **state)
{
    struct fake_asked big = {.topics = many_names(2000), .partitions = 1};
    void *work = fake_request(WIRE_LIST_OFFSETS, 7, &big, &arena);
    struct client *bob, *alice[3];
    int turns = 0;

    (void)state;
    s.engine.slice_units = s.engine.turn_units = 64;
    for (int i = 0; i < 3; i++) {
        alice[i] = scene_client(&s, i, "User:alice");
        for (int k = 0; k < 5; k++)
            client_asks(alice[i], WIRE_LIST_OFFSETS, 7, work);
    }
    engine_run(&s.engine, 0);
    bob = scene_client(&s, 3, "User:bob");
    asks(bob, WIRE_FETCH, FETCH_V);
    while (bob->pipeline.head->phase != REQUEST_AWAY && turns++ < 100)
        engine_run(&s.engine, 0);
    assert_in_range(turns, 0, 8);
    scene_settle(&s);
    for (int i = 0; i < 3; i++)
        assert_int_equal(alice[i]->answers_n, 5);
}

/* The sessions of one principal take turns among themselves. */
static void test_sessions_take_turns(void **state)
{
    struct fake_asked big = {.topics = many_names(2000), .partitions = 1};
    struct client *busy = scene_client(&s, 0, "User:alice"), *small = scene_client(&s, 1, "User:alice");
    int turns = 0;

    (void)state;
    s.engine.slice_units = s.engine.turn_units = 64;
    for (int k = 0; k < 5; k++)
        client_asks(busy, WIRE_LIST_OFFSETS, 7, fake_request(WIRE_LIST_OFFSETS, 7, &big, &arena));
    engine_run(&s.engine, 0);
    asks(small, WIRE_FETCH, FETCH_V);
    while (small->pipeline.head->phase != REQUEST_AWAY && turns++ < 100)
        engine_run(&s.engine, 0);
    assert_in_range(turns, 0, 8);
}

static void test_the_owner_is_told_once(void **state)
{
    struct client *c = scene_client(&s, 0, "User:alice");

    (void)state;
    asks(c, WIRE_FETCH, FETCH_V);
    asks(c, WIRE_FETCH, FETCH_V);
    assert_int_equal(s.ready, 1);
    assert_false(engine_run(&s.engine, 0));
    asks(c, WIRE_FETCH, FETCH_V);
    assert_int_equal(s.ready, 2);
}

/* ---- Leaving ---- */

/* At every point of a request's way, by leaving after each turn of the smallest size. */
static void test_leaving_at_any_point(void **state)
{
    static const int16_t keys[] = {WIRE_METADATA, WIRE_FETCH, WIRE_PRODUCE, WIRE_DESCRIBE_TOPIC_PARTITIONS};
    static const int16_t versions[] = {METADATA_V, 13, PRODUCE_V, 0};

    (void)state;
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
        for (int steps = 0, done = 0; !done; steps++) {
            struct scene t;
            struct client *c;
            struct fake_asked all = {.partitions = 1};

            scene_init(&t);
            scene_allow(&t, "User:alice", ACL_TOPIC, ACL_ALL, "orders");
            scene_rules_done(&t);
            t.engine.slice_units = t.engine.turn_units = 1;
            c = scene_client(&t, 0, "User:alice");
            asks(c, keys[k], versions[k]);
            client_asks(c, keys[k], versions[k], fake_request(keys[k], versions[k], &all, &arena));
            for (int i = 0; i < steps && !done; i++) {
                bool more = engine_run(&t.engine, 0);
                if (!more && scene_waiting(&t)) {
                    int at = t.sent_n - 1;
                    while (!t.sent[at].request)
                        at--;
                    scene_answer(&t, at, ERR_OK);
                } else {
                    done = !more;
                }
            }
            assert_true(done == (c->answers_n == 2));
            scene_free(&t); /* leaves, and answers what is still away: all memory comes back */
        }
}

static void test_an_answer_after_the_client_left(void **state)
{
    struct client *c = scene_client(&s, 0, "User:alice");

    (void)state;
    asks(c, WIRE_FETCH, FETCH_V);
    scene_run(&s);
    client_leaves(c);
    assert_int_equal(budget_used(&s.process), 0);
    scene_answer(&s, 0, ERR_OK);
    scene_run(&s);
    assert_int_equal(c->answers_n, 0);
}

/* ---- No answer ---- */

static void test_acks_0(void **state)
{
    struct client *c = scene_client(&s, 0, "User:alice");
    struct produce_request *req = fake_request(WIRE_PRODUCE, PRODUCE_V, &orders, &arena);
    int id;

    (void)state;
    req->acks = 0;
    client_asks(c, WIRE_PRODUCE, PRODUCE_V, req);
    id = asks(c, WIRE_FETCH, FETCH_V);
    scene_settle(&s);
    assert_int_equal(c->answers_n, 1);
    client_answer(c, 0, WIRE_FETCH, FETCH_V, id, &arena);
    for (int i = 0, n = 0; i < s.sent_n; i++) {
        n += s.sent[i].key == WIRE_PRODUCE;
        assert_true(s.sent[i].no_answer == (s.sent[i].key == WIRE_PRODUCE));
        assert_true(i < s.sent_n - 1 || n == 1);
    }
}

/* Who wants no answer learns of a refusal by the end of the connection. */
static void test_acks_0_refused(void **state)
{
    struct client *c = scene_client(&s, 0, "User:carol");
    struct produce_request *req = fake_request(WIRE_PRODUCE, PRODUCE_V, &orders, &arena);

    (void)state;
    req->acks = 0;
    client_asks(c, WIRE_PRODUCE, PRODUCE_V, req);
    scene_settle(&s);
    assert_false(c->here);
    assert_int_equal(s.sent_n, 0);
}

/* ---- Passing through ---- */

static void test_a_stream(void **state)
{
    struct client *c = scene_client(&s, 0, "User:alice");
    struct request *r;
    struct buf head;
    uint32_t skip;

    (void)state;
    buf_init(&head, 0);
    asks(c, WIRE_FETCH, FETCH_V);
    asks(c, WIRE_FETCH, FETCH_V);
    scene_run(&s);
    r = s.sent[s.sent_n - 2].request;
    assert_false(request_may_stream(s.sent[s.sent_n - 1].request)); /* it is not its turn */
    assert_true(request_may_stream(r));
    r->throttle_ms = 5;
    request_stream(r, 5, 1000, &head, &skip);
    assert_int_equal(skip, 5 + 4);
    assert_int_equal(head.n, 4 + 5 + 4);
    assert_memory_equal(head.p, "\0\0\x03\xed", 4);
    assert_memory_equal(head.p + 9, "\0\0\0\x05", 4);
    buf_free(&head);
    scene_answer_body(&s, s.sent_n - 2, slice_of("", 0)); /* it went through: nothing is left to be told */
    scene_run(&s);
    assert_int_equal(c->answers_n, 0);
    assert_int_equal(c->pipeline.count, 1);
    assert_true(request_may_stream(s.sent[s.sent_n - 1].request));
    scene_settle(&s);
    assert_int_equal(c->answers_n, 1);
}

static void test_no_stream_where_the_answer_is_read(void **state)
{
    struct client *c = scene_client(&s, 0, "User:carol");
    const char *two[] = {"orders", "hidden"};
    struct fake_asked asked = {.topics = {two, 2}, .partitions = 1};

    (void)state;
    scene_allow(&s, "User:carol", ACL_TOPIC, ACL_READ, "orders");
    scene_rules_done(&s);
    client_asks(c, WIRE_FETCH, FETCH_V, fake_request(WIRE_FETCH, FETCH_V, &asked, &arena));
    scene_run(&s);
    assert_int_equal(scene_waiting(&s), 1);
    assert_false(request_may_stream(s.sent[s.sent_n - 1].request));
}

/* ---- Throttling ---- */

static void limit(enum quota_key key, double value)
{
    struct quota_entity e = {.user = {QUOTA_NAMED, slice_str("alice")}};

    assert_int_equal(quota_table_put(s.quotas, &e, key, value), ERR_OK);
    scene_rules_done(&s);
}

static void test_throttling(void **state)
{
    struct client *c;
    int id;

    (void)state;
    limit(QUOTA_PRODUCER_BYTE_RATE, 1);
    limit(QUOTA_CONSUMER_BYTE_RATE, 1);
    c = scene_client(&s, 0, "User:alice");
    id = asks(c, WIRE_PRODUCE, PRODUCE_V);
    scene_settle(&s);
    assert_true(c->muted_ms > 0);
    assert_int_equal(s.throttled, 1);
    assert_int_equal(
        ((struct produce_response *)client_answer(c, 0, WIRE_PRODUCE, PRODUCE_V, id, &arena))->throttle_time_ms,
        c->muted_ms);
    for (int16_t v = 4; v <= FETCH_V; v += FETCH_V - 4) { /* relayed as it came, and patched */
        c->muted_ms = 0;
        client_forget_answers(c);
        id = asks(c, WIRE_FETCH, v);
        scene_settle(&s);
        assert_true(c->muted_ms > 0);
        assert_int_equal(((struct fetch_response *)client_answer(c, 0, WIRE_FETCH, v, id, &arena))->throttle_time_ms,
                         c->muted_ms);
    }
}

/* ---- Without rules ---- */

static void test_before_the_rules_are_there(void **state)
{
    struct client *c = scene_client(&s, 0, "User:root");
    struct metadata_response *m;
    int id;

    (void)state;
    s.engine.view = NULL;
    id = asks(c, WIRE_METADATA, METADATA_V);
    asks(c, WIRE_FETCH, FETCH_V);
    scene_settle(&s);
    assert_int_equal(c->answers_n, 2);
    m = client_answer(c, 0, WIRE_METADATA, METADATA_V, id, &arena);
    assert_int_equal(m->topics.n, 1);
    assert_int_equal(m->topics.v[0].error_code, ERR_TOPIC_AUTHORIZATION_FAILED);
    s.engine.view = &s.view;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
        TEST(test_one_request),
        TEST(test_answers_in_the_order_asked),
        TEST(test_who_waits_holds_back_the_next),
        TEST(test_answers_wait_for_the_client),
        TEST(test_no_more_than_so_many_at_once),
        TEST(test_what_is_on_its_way_is_bounded),
        TEST(test_what_does_not_parse_ends_the_connection),
        TEST(test_surplus_is_counted_and_not_forwarded),
        TEST(test_a_cluster_that_fails_ends_the_connection),
        TEST(test_slices_change_nothing),
        TEST(test_principals_take_turns),
        TEST(test_sessions_take_turns),
        TEST(test_the_owner_is_told_once),
        TEST(test_leaving_at_any_point),
        TEST(test_an_answer_after_the_client_left),
        TEST(test_acks_0),
        TEST(test_acks_0_refused),
        TEST(test_a_stream),
        TEST(test_no_stream_where_the_answer_is_read),
        TEST(test_throttling),
        TEST(test_before_the_rules_are_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
