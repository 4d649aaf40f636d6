/* SPDX-License-Identifier: Apache-2.0
 * What requests may hold: request, session and principal refuse, the process only stops reading; all of it is given
 * back, whatever becomes of the request. */
#include "tests/unit/engine_util.h"
#include "wire/list_offsets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { NAMES = 400, VERSION = 7 };

static struct scene s;
static struct arena arena;
static const char *names[NAMES];
static const struct fake_asked many = {.topics = {names, NAMES}, .partitions = 3};

static int begin(void **state)
{
    (void)state;
    arena_init(&arena, 0);
    scene_init(&s);
    for (int i = 0; i < NAMES; i++) {
        char text[24];
        snprintf(text, sizeof text, "topic-%04d", i);
        names[i] = arena_strdup(&arena, slice_str(text));
        if (i % 2)
            scene_allow(&s, "User:bob", ACL_TOPIC, ACL_ALL, names[i]);
    }
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

enum outcome { ENDED, REFUSED, ANSWERED };

/* The request of many names, with that much memory on one level. */
static enum outcome play(int64_t *level, int64_t max, const char *setting)
{
    struct client *c = &s.clients[0];
    struct list_offsets_response *answer;
    struct arena a;
    enum outcome out;
    int id;

    *level = max;
    id = client_asks(c, WIRE_LIST_OFFSETS, VERSION, fake_request(WIRE_LIST_OFFSETS, VERSION, &many, &arena));
    scene_settle(&s);
    if (!c->here) {
        assert_int_equal(c->answers_n, 0);
        if (!strstr(c->detail, setting))
            fail_msg("the end does not name %s: %s", setting, c->detail);
        return ENDED;
    }
    assert_int_equal(c->answers_n, 1);
    arena_init(&a, 0);
    answer = client_answer(c, 0, WIRE_LIST_OFFSETS, VERSION, id, &a);
    assert_int_equal(answer->topics.n, NAMES);
    out = answer->topics.v[0].partitions.v[0].error_code == ERR_INVALID_REQUEST ? REFUSED : ANSWERED;
    if (out == REFUSED) /* the whole of it, and nothing was forwarded */
        assert_int_equal(answer->topics.v[1].partitions.v[0].error_code, ERR_INVALID_REQUEST);
    arena_free(&a);
    return out;
}

static void sweep(int64_t *(*level)(struct client *c), const char *setting, bool refuses)
{
    int seen[3] = {0};
    enum outcome before = ENDED;

    for (int64_t max = 8 << 10; max < 4 << 20; max += max / 16) {
        struct client *c = scene_client(&s, 0, "User:bob");
        enum outcome o = play(level(c), max, setting);

        seen[o]++;
        assert_true(o >= before || o == ENDED); /* may end later, when the answer is put together */
        before = o == ENDED ? before : o;
        assert_int_equal(budget_used(&c->pipeline.budget), 0);
        assert_int_equal(budget_used(&s.process), 0);
        client_leaves(c);
        scene_forget_sent(&s);
    }
    assert_true(seen[ENDED] > 0);
    assert_true(seen[ANSWERED] > 0);
    assert_true(!refuses || seen[REFUSED] > 0);
}

static int64_t *of_request(struct client *c)
{
    return &c->pipeline.request_max;
}

static int64_t *of_session(struct client *c)
{
    return &c->pipeline.budget.max;
}

static int64_t *of_principal(struct client *c)
{
    return &c->principal.max;
}

static void test_session(void **state)
{
    (void)state;
    sweep(of_session, "castellan.session.memory.max.bytes", true);
}

static void test_principal(void **state)
{
    (void)state;
    sweep(of_principal, "castellan.principal.memory.max.bytes", true);
}

static void test_request(void **state)
{
    struct client *c = scene_client(&s, 0, "User:bob");

    (void)state;
    assert_int_equal(play(of_request(c), 8 << 10, "castellan.request.memory.max.bytes"), ENDED);
    assert_int_equal(budget_used(&s.process), 0);
}

/* The process never refuses: who holds more than the reserve is not read. */
static void test_process(void **state)
{
    struct client *c = scene_client(&s, 0, "User:bob");

    (void)state;
    s.process.max = 1;
    c->pipeline.reserve = 1;
    assert_true(pipeline_may_read(&c->pipeline)); /* it holds nothing */
    client_asks(c, WIRE_LIST_OFFSETS, VERSION, fake_request(WIRE_LIST_OFFSETS, VERSION, &many, &arena));
    assert_false(pipeline_may_read(&c->pipeline));
    c->pipeline.reserve = 1 << 30;
    assert_true(pipeline_may_read(&c->pipeline));
    scene_settle(&s);
    assert_true(c->here);
    assert_int_equal(c->answers_n, 1);
    assert_int_equal(budget_used(&s.process), 0);
}

static void test_a_session_that_holds_half_is_not_read(void **state)
{
    struct client *c = scene_client(&s, 0, "User:bob");

    (void)state;
    c->deaf = true;
    client_asks(c, WIRE_LIST_OFFSETS, VERSION, fake_request(WIRE_LIST_OFFSETS, VERSION, &many, &arena));
    scene_settle(&s);
    c->pipeline.budget.max = budget_used(&c->pipeline.budget) * 2 - 1;
    assert_false(pipeline_may_read(&c->pipeline));
    c->pipeline.budget.max += 2;
    assert_true(pipeline_may_read(&c->pipeline));
}

static void test_levels(void **state)
{
    struct budget process, a, b, one, two;

    (void)state;
    budget_init(&process, "p", NULL, 100);
    process.soft = true;
    budget_init(&a, "a", &process, 50);
    budget_init(&b, "b", &process, 500);
    budget_init(&one, "1", &a, 40);
    budget_init(&two, "2", &a, 40);
    assert_null(budget_take(&one, 30));
    assert_ptr_equal(budget_take(&one, 11), &one);
    assert_ptr_equal(budget_take(&two, 21), &a);
    assert_ptr_equal(budget_take(&two, INT64_MAX), &two);
    assert_int_equal(budget_used(&two), 0);
    assert_int_equal(budget_used(&a), 30);
    assert_null(budget_take(&b, 200)); /* the process only counts */
    assert_int_equal(budget_used(&process), 230);
    budget_move(&one, &b);
    assert_int_equal(budget_used(&a), 0);
    assert_int_equal(budget_used(&b), 230);
    assert_int_equal(budget_used(&process), 230);
    budget_give(&one, 30);
    budget_give(&b, 200);
    assert_int_equal(budget_used(&process), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
        TEST(test_request),
        TEST(test_session),
        TEST(test_principal),
        TEST(test_process),
        TEST(test_a_session_that_holds_half_is_not_read),
        TEST(test_levels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
