/* SPDX-License-Identifier: Apache-2.0
 * Whose turn it is among shares: round robin, limits on what waits, runs and holds memory. */
#include "core/base/work_queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static const struct work_limits wide = {1000, 1000, 1000, 1000, 1000};

static struct work_queue *queue(const struct work_limits *limits)
{
    struct work_queue *q = malloc(sizeof *q);

    assert_non_null(q);
    work_queue_init(q, limits);
    return q;
}

static void put(struct work_queue *q, struct work_entry *e, uint64_t share, size_t bytes)
{
    *e = (struct work_entry){.share = share, .bytes = bytes};
    assert_int_equal(work_queue_put(q, e), ERR_OK);
}

static void test_one_who_sends_much_delays_another_by_one(void **state)
{
    struct work_entry many[100], one;
    struct work_queue *q = queue(&wide);

    (void)state;
    for (int i = 0; i < 100; i++)
        put(q, &many[i], 7, 0);
    put(q, &one, 8, 0);
    assert_ptr_equal(work_queue_take(q), &many[0]);
    assert_ptr_equal(work_queue_take(q), &one);
    for (int i = 1; i < 100; i++)
        assert_ptr_equal(work_queue_take(q), &many[i]); /* its own in the order they came */
    assert_null(work_queue_take(q));
    free(q);
}

static void test_turns_go_round(void **state)
{
    struct work_entry e[3][10];
    struct work_queue *q = queue(&wide);

    (void)state;
    for (uint64_t s = 0; s < 3; s++)
        for (int i = 0; i < 10; i++)
            put(q, &e[s][i], s, 0);
    for (int i = 0; i < 10; i++)
        for (int s = 0; s < 3; s++)
            assert_ptr_equal(work_queue_take(q), &e[s][i]);
    free(q);
}

static void test_what_waits_is_bounded(void **state)
{
    const struct work_limits limits = {.waiting_max = 5, .waiting_per_share_max = 3, .running_per_share_max = 9};
    struct work_entry e[8];
    struct work_queue *q = queue(&limits);

    (void)state;
    for (int i = 0; i < 3; i++)
        put(q, &e[i], 1, 0);
    e[3] = (struct work_entry){.share = 1};
    assert_int_equal(work_queue_put(q, &e[3]), ERR_LIMIT_EXCEEDED);
    put(q, &e[4], 2, 0);
    put(q, &e[5], 3, 0);
    e[6] = (struct work_entry){.share = 4};
    assert_int_equal(work_queue_put(q, &e[6]), ERR_LIMIT_EXCEEDED);
    assert_ptr_equal(work_queue_take(q), &e[0]);
    put(q, &e[3], 1, 0);
    free(q);
}

static void test_a_share_never_has_all_that_runs(void **state)
{
    const struct work_limits limits = {100, 100, 1, 100, 100};
    struct work_entry mine[2], other;
    struct work_queue *q = queue(&limits);

    (void)state;
    put(q, &mine[0], 1, 0);
    put(q, &mine[1], 1, 0);
    assert_ptr_equal(work_queue_take(q), &mine[0]);
    assert_null(work_queue_take(q));
    put(q, &other, 2, 0);
    assert_ptr_equal(work_queue_take(q), &other);
    work_queue_ran(q, &mine[0], 0);
    assert_ptr_equal(work_queue_take(q), &mine[1]);
    free(q);
}

static void test_memory_of_a_share_and_of_all(void **state)
{
    const struct work_limits limits = {100, 100, 100, 100, 50};
    struct work_entry mine[2], other[2], small, none;
    struct work_queue *q = queue(&limits);

    (void)state;
    put(q, &mine[0], 1, 40);
    put(q, &mine[1], 1, 40);
    put(q, &other[0], 2, 45);
    assert_ptr_equal(work_queue_take(q), &mine[0]);
    assert_ptr_equal(work_queue_take(q), &other[0]); /* the share's second one must wait */
    assert_null(work_queue_take(q));
    put(q, &other[1], 3, 20); /* 85 + 20 > 100: the first that is short of it is waited for ... */
    put(q, &small, 4, 10);
    put(q, &none, 5, 0); /* ... but by those who want none */
    assert_ptr_equal(work_queue_take(q), &none);
    assert_null(work_queue_take(q));
    work_queue_ran(q, &mine[0], 30); /* it keeps some: 75 + 20 fits */
    assert_ptr_equal(work_queue_take(q), &other[1]);
    assert_null(work_queue_take(q));
    work_queue_give_back(q, 1, 30);
    assert_ptr_equal(work_queue_take(q), &small);
    free(q);
}

static void test_more_than_all_memory_goes_alone(void **state)
{
    const struct work_limits limits = {100, 100, 100, 100, 50};
    struct work_entry huge, small;
    struct work_queue *q = queue(&limits);

    (void)state;
    put(q, &huge, 1, 500);
    put(q, &small, 2, 1);
    assert_ptr_equal(work_queue_take(q), &huge);
    assert_null(work_queue_take(q));
    work_queue_ran(q, &huge, 0);
    assert_ptr_equal(work_queue_take(q), &small);
    work_queue_ran(q, &small, 0);
    assert_int_equal(q->bytes, 0);
    assert_int_equal(q->running, 0);
    free(q);
}

static void test_dropping(void **state)
{
    const struct work_limits none_runs = {.waiting_max = 9, .waiting_per_share_max = 9};
    struct work_entry e[3];
    struct work_queue *q = queue(&none_runs);
    size_t n = 0;

    (void)state;
    for (int i = 0; i < 3; i++)
        put(q, &e[i], (uint64_t)i % 2, 5);
    assert_null(work_queue_take(q));
    while (work_queue_drop(q))
        n++;
    assert_int_equal(n, 3);
    assert_int_equal(q->waiting, 0);
    free(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_who_sends_much_delays_another_by_one),
        cmocka_unit_test(test_turns_go_round),
        cmocka_unit_test(test_what_waits_is_bounded),
        cmocka_unit_test(test_a_share_never_has_all_that_runs),
        cmocka_unit_test(test_memory_of_a_share_and_of_all),
        cmocka_unit_test(test_more_than_all_memory_goes_alone),
        cmocka_unit_test(test_dropping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
