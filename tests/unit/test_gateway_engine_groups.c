/* SPDX-License-Identifier: Apache-2.0
 * ConsumerGroupHeartbeat and ConsumerGroupDescribe through the engine: what the cluster is told in place of a pattern,
 * and what a member is told of its assignment. bob may describe topic-a and topic-c, nothing else. */
#include "gateway/filter/subscriptions.h"
#include "tests/unit/engine_util.h"
#include "wire/consumer_group_describe.h"
#include "wire/consumer_group_heartbeat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

typedef struct consumer_group_heartbeat_request heartbeat;
typedef struct consumer_group_heartbeat_response heartbeat_answer;
typedef struct consumer_group_heartbeat_response_topic_partitions assigned;

enum { VERSION = 1, REBALANCE_MS = 60000 };

static const char *const topics[] = {"topic-a", "hidden-b", "topic-c", "other-d", "topic-e"};
static struct scene s;
static struct arena arena;
static struct client *bob;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 0);
    scene_init(&s);
    scene_allow(&s, "User:bob", ACL_GROUP, ACL_READ, "*");
    scene_allow(&s, "User:bob", ACL_TOPIC, ACL_DESCRIBE, "topic-a");
    scene_allow(&s, "User:bob", ACL_TOPIC, ACL_DESCRIBE, "topic-c");
    scene_rules_done(&s);
    s.cluster.topics = (struct fake_names){topics, 4};
    bob = scene_client(&s, 0, "User:bob");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    scene_free(&s);
    arena_free(&arena);
    return 0;
}

static heartbeat *says(int32_t epoch, const char *regex)
{
    heartbeat *h = arena_alloc(&arena, sizeof *h);

    consumer_group_heartbeat_request_init(h);
    h->group_id = slice_str("g");
    h->member_id = slice_str("m");
    h->member_epoch = epoch;
    h->rebalance_timeout_ms = epoch == 0 ? REBALANCE_MS : -1;
    h->subscribed_topic_regex = slice_str(regex);
    return h;
}

static heartbeat *with_names(heartbeat *h, int n, const char *const *names)
{
    h->subscribed_topic_names.v = arena_array(&arena, (size_t)n, sizeof(struct slice));
    h->subscribed_topic_names.n = n;
    for (int i = 0; i < n; i++)
        h->subscribed_topic_names.v[i] = slice_str(names[i]);
    return h;
}

static const heartbeat_answer *last_answer(int id)
{
    scene_settle(&s);
    assert_true(bob->here);
    assert_int_equal(bob->answers_n, id + 1);
    return client_answer(bob, id, WIRE_CONSUMER_GROUP_HEARTBEAT, VERSION, id, &arena);
}

/* What was forwarded of a heartbeat: "a b|pattern", or "-" for null. */
static const char *forwarded(const heartbeat *h)
{
    static char text[400];
    const heartbeat *out;
    size_t at = 0;

    scene_forget_sent(&s);
    client_asks(bob, WIRE_CONSUMER_GROUP_HEARTBEAT, VERSION, h);
    scene_run(&s);
    assert_int_equal(s.sent_n, 1);
    assert_true(s.sent[0].is_forwarded);
    out = scene_sent(&s, 0, &arena);
    at += (size_t)snprintf(text, sizeof text, "%s", out->subscribed_topic_names.n < 0 ? "-" : "");
    for (int32_t i = 0; i < out->subscribed_topic_names.n; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%.*s", i ? " " : "",
                               SLICE_FMT(out->subscribed_topic_names.v[i]));
    snprintf(text + at, sizeof text - at, "|%s%.*s", slice_is_null(out->subscribed_topic_regex) ? "-" : "",
             SLICE_FMT(out->subscribed_topic_regex));
    return text;
}

/* The cluster's answer, with these topics assigned. */
static void assigns(int16_t error, int n, const char *const *names)
{
    struct consumer_group_heartbeat_response_assignment assignment;
    heartbeat_answer resp;
    struct buf body;

    consumer_group_heartbeat_response_init(&resp);
    consumer_group_heartbeat_response_assignment_init(&assignment);
    resp.error_code = error;
    resp.member_id = slice_str("m");
    resp.member_epoch = 7;
    if (n >= 0) {
        assert_non_null(
            consumer_group_heartbeat_response_topic_partitions_array_alloc(&assignment.topic_partitions, n, &arena));
        for (int i = 0; i < n; i++)
            assignment.topic_partitions.v[i].topic_id = fake_topic_id(names[i]);
        resp.assignment = &assignment;
    }
    buf_init(&body, 0);
    assert_int_equal(consumer_group_heartbeat_response_encode(&resp, &body, VERSION), ERR_OK);
    scene_answer_body(&s, 0, buf_slice(&body));
    buf_free(&body);
    scene_settle(&s);
}

static void assert_assigned(const heartbeat_answer *a, int n, const char *const *names)
{
    assert_int_equal(a->error_code, ERR_OK);
    assert_non_null(a->assignment);
    assert_int_equal(a->assignment->topic_partitions.n, n);
    for (int i = 0; i < n; i++) {
        struct wire_uuid id = fake_topic_id(names[i]);
        assert_memory_equal(&a->assignment->topic_partitions.v[i].topic_id, &id, sizeof id);
    }
}

/* ---- Patterns ---- */

static void test_a_pattern_becomes_names(void **state)
{
    (void)state;
    assert_string_equal(forwarded(says(0, ".*-[a-d]")), "topic-a topic-c|");
    assigns(ERR_OK, 2, topics);
    assert_assigned(last_answer(0), 1, topics); /* not hidden-b */
    assert_string_equal(forwarded(says(7, NULL)), "-|-");
    assigns(ERR_OK, -1, NULL);
    assert_null(last_answer(1)->assignment);

    scene_allow(&s, "User:bob", ACL_TOPIC, ACL_DESCRIBE, "other-d");
    scene_rules_done(&s);
    assert_string_equal(forwarded(says(7, NULL)), "other-d topic-a topic-c|");
    assigns(ERR_NOT_COORDINATOR, -1, NULL);
    assert_int_equal(last_answer(2)->error_code, ERR_NOT_COORDINATOR);
    assert_string_equal(forwarded(says(7, NULL)), "other-d topic-a topic-c|"); /* not taken: said again */
    assigns(ERR_OK, -1, NULL);
    assert_string_equal(forwarded(says(7, NULL)), "-|-");
    assigns(ERR_OK, -1, NULL);

    scene_allow(&s, "User:bob", ACL_TOPIC, ACL_DESCRIBE, "topic-e");
    scene_rules_done(&s);
    s.cluster.topics.n = 5;
    scene_tell_topics(&s);
    assert_string_equal(forwarded(says(7, "topic.*")), "topic-a topic-c topic-e|");
}

static void test_in_slices(void **state)
{
    (void)state;
    s.engine.slice_units = s.engine.turn_units = 1;
    assert_string_equal(forwarded(with_names(says(0, ".*-[a-d]"), 1, topics)), "topic-a topic-c|");
    assigns(ERR_OK, 4, topics);
    assert_assigned(last_answer(0), 2, (const char *[]){"topic-a", "topic-c"});
}

static void test_a_pattern_that_chooses_nothing(void **state)
{
    (void)state;
    assert_string_equal(forwarded(says(0, "hidden.*")), "|");
    assigns(ERR_OK, 0, NULL);
    assert_assigned(last_answer(0), 0, NULL);
}

static void test_before_the_topics_are_known(void **state)
{
    struct subscriptions *fresh = subscriptions_new(NULL), *full = s.engine.subscriptions;

    (void)state;
    assert_non_null(fresh);
    s.engine.subscriptions = fresh;
    client_asks(bob, WIRE_CONSUMER_GROUP_HEARTBEAT, VERSION, says(0, ".*"));
    assert_int_equal(last_answer(0)->error_code, ERR_COORDINATOR_LOAD_IN_PROGRESS);
    assert_int_equal(s.sent_n, 0);
    s.engine.subscriptions = full;
    subscriptions_free(fresh);
}

static void test_a_pattern_that_is_none(void **state)
{
    const heartbeat_answer *a;

    (void)state;
    client_asks(bob, WIRE_CONSUMER_GROUP_HEARTBEAT, VERSION, says(0, "(("));
    a = last_answer(0);
    assert_int_equal(a->error_code, ERR_INVALID_REGULAR_EXPRESSION);
    assert_true(slice_eq_str(a->error_message,
                             "SubscribedTopicRegex `((` is not a valid regular expression: missing closing )."));
    assert_int_equal(s.sent_n, 0);
}

/* ---- Names ---- */

static void test_names(void **state)
{
    const heartbeat_answer *a;

    (void)state;
    assert_string_equal(forwarded(with_names(says(0, NULL), 1, topics)), "topic-a|-");
    assigns(ERR_OK, 3, topics);
    assert_assigned(last_answer(0), 2, (const char *[]){"topic-a", "topic-c"});
    scene_forget_sent(&s);
    client_asks(bob, WIRE_CONSUMER_GROUP_HEARTBEAT, VERSION, with_names(says(7, NULL), 3, topics));
    a = last_answer(1);
    assert_int_equal(a->error_code, ERR_TOPIC_AUTHORIZATION_FAILED);
    assert_true(slice_is_null(a->error_message) && slice_is_null(a->member_id));
    assert_int_equal(s.sent_n, 0);
}

/* An id whose name the cluster does not tell: the topic is gone. */
static void test_ids_without_a_name(void **state)
{
    static const char *const two[] = {"gone", "topic-a"};

    (void)state;
    assert_string_equal(forwarded(with_names(says(0, NULL), 1, topics)), "topic-a|-");
    assigns(ERR_OK, 2, two);
    assert_assigned(last_answer(0), 1, topics);
}

/* What the member owns is nobody's question: no names are asked for. */
static void test_owned_partitions(void **state)
{
    heartbeat *h = with_names(says(0, NULL), 1, topics);

    (void)state;
    assert_non_null(consumer_group_heartbeat_request_topic_partitions_array_alloc(&h->topic_partitions, 1, &arena));
    h->topic_partitions.v[0].topic_id = fake_topic_id("hidden-b");
    assert_string_equal(forwarded(h), "topic-a|-");
    assigns(ERR_OK, -1, NULL);
}

/* ---- Members nobody has heard of ---- */

static void test_unknown_members_join_again(void **state)
{
    const heartbeat_answer *a;

    (void)state;
    assert_string_equal(forwarded(says(5, NULL)), "-|-");
    assigns(ERR_OK, 2, topics);
    a = last_answer(0);
    assert_int_equal(a->error_code, ERR_FENCED_MEMBER_EPOCH);
    assert_null(a->assignment);
    assert_int_equal(a->member_epoch, 0);
    assert_string_equal(forwarded(says(5, NULL)), "-|-");
    assigns(ERR_UNKNOWN_MEMBER_ID, -1, NULL);
    assert_int_equal(last_answer(1)->error_code, ERR_UNKNOWN_MEMBER_ID);

    scene_forget_sent(&s);
    client_asks(bob, WIRE_CONSUMER_GROUP_HEARTBEAT, VERSION, says(5, "topic.*")); /* and names that are not known */
    assert_int_equal(last_answer(2)->error_code, ERR_FENCED_MEMBER_EPOCH);
    assert_int_equal(s.sent_n, 0);

    assert_string_equal(forwarded(with_names(says(0, NULL), 1, topics)), "topic-a|-");
    assigns(ERR_OK, -1, NULL);
    assert_string_equal(forwarded(says(7, NULL)), "-|-");
    assigns(ERR_OK, -1, NULL);
    assert_int_equal(last_answer(4)->error_code, ERR_OK);
}

/* ---- ConsumerGroupDescribe ---- */

static void describe(struct client *c, int id, const char *names, struct consumer_group_describe_response *out)
{
    struct consumer_group_describe_response_described_group group;
    struct consumer_group_describe_response_member members[2];
    struct slice list[] = {slice_str("topic-a"), slice_str(names)}, asked = slice_str("g");
    struct consumer_group_describe_request req;
    struct consumer_group_describe_response resp;
    struct buf body;

    scene_forget_sent(&s);
    consumer_group_describe_request_init(&req);
    req.group_ids = (struct wire_string_array){&asked, 1};
    client_asks(c, WIRE_CONSUMER_GROUP_DESCRIBE, 1, &req);
    scene_run(&s);
    assert_int_equal(s.sent_n, 1);

    consumer_group_describe_response_init(&resp);
    consumer_group_describe_response_described_group_init(&group);
    group.group_id = asked;
    group.group_state = slice_str("Stable");
    for (int i = 0; i < 2; i++) {
        consumer_group_describe_response_member_init(&members[i]);
        members[i].member_id = slice_str(i ? "other" : "m");
        members[i].subscribed_topic_names = (struct wire_string_array){list, 2};
    }
    group.members.v = members;
    group.members.n = 2;
    resp.groups.v = &group;
    resp.groups.n = 1;
    buf_init(&body, 0);
    assert_int_equal(consumer_group_describe_response_encode(&resp, &body, 1), ERR_OK);
    scene_answer_body(&s, 0, buf_slice(&body));
    buf_free(&body);
    scene_settle(&s);
    *out =
        *(struct consumer_group_describe_response *)client_answer(c, id, WIRE_CONSUMER_GROUP_DESCRIBE, 1, id, &arena);
}

static void test_describe(void **state)
{
    struct consumer_group_describe_response resp;
    const struct consumer_group_describe_response_member *m;

    (void)state;
    forwarded(with_names(says(0, "topic.*"), 1, topics + 2));
    assigns(ERR_OK, -1, NULL);
    scene_allow(&s, "User:bob", ACL_GROUP, ACL_DESCRIBE, "g");
    scene_rules_done(&s);
    describe(bob, 1, "hidden-b", &resp);
    m = resp.groups.v[0].members.v;
    assert_true(slice_eq_str(m[0].subscribed_topic_regex, "topic.*"));
    assert_int_equal(m[0].subscribed_topic_names.n, 1);
    assert_true(slice_eq_str(m[0].subscribed_topic_names.v[0], "topic-c"));
    assert_true(slice_is_null(m[1].subscribed_topic_regex)); /* told elsewhere: what bob may describe of its names */
    assert_int_equal(m[1].subscribed_topic_names.n, 1);
    assert_true(slice_eq_str(m[1].subscribed_topic_names.v[0], "topic-a"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_pattern_becomes_names),
        TEST(test_in_slices),
        TEST(test_a_pattern_that_chooses_nothing),
        TEST(test_before_the_topics_are_known),
        TEST(test_a_pattern_that_is_none),
        TEST(test_names),
        TEST(test_ids_without_a_name),
        TEST(test_owned_partitions),
        TEST(test_unknown_members_join_again),
        TEST(test_describe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
