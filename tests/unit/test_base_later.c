/* SPDX-License-Identifier: Apache-2.0
 * Calls that are due later: in the order of their time, all at once when flushed. */
#include "core/base/later.h"

#include "core/base/env.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t called = PTHREAD_COND_INITIALIZER;
static char order[16];
static size_t order_n;

static void note(void *ctx)
{
    pthread_mutex_lock(&lock);
    order[order_n++] = *(const char *)ctx;
    pthread_cond_broadcast(&called);
    pthread_mutex_unlock(&lock);
}

static void wait_for(size_t n)
{
    pthread_mutex_lock(&lock);
    while (order_n < n)
        pthread_cond_wait(&called, &lock);
    pthread_mutex_unlock(&lock);
}

static void calls_come_in_the_order_of_their_time(void **state)
{
    struct later *l = later_start();
    struct later_item items[3] = {{0}};
    int64_t started_ms = env_mono_ms(env_system());

    (void)state;
    order_n = 0;
    later_add(l, &items[0], 60, note, "c");
    later_add(l, &items[1], 20, note, "a");
    later_add(l, &items[2], 40, note, "b");
    wait_for(3);
    assert_memory_equal(order, "abc", 3);
    assert_true(env_mono_ms(env_system()) - started_ms >= 60);
    later_stop(l);
}

static void a_flush_makes_all_calls(void **state)
{
    struct later *l = later_start();
    struct later_item items[3] = {{0}};

    (void)state;
    order_n = 0;
    later_add(l, &items[0], 3600000, note, "b");
    later_add(l, &items[1], 1800000, note, "a");
    later_flush(l);
    assert_int_equal(order_n, 2);
    assert_memory_equal(order, "ab", 2);
    later_add(l, &items[2], 3600000, note, "c"); /* from now on at once */
    wait_for(3);
    later_flush(l);
    later_stop(l);
    later_stop(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_come_in_the_order_of_their_time),
        cmocka_unit_test(a_flush_makes_all_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
