/* SPDX-License-Identifier: Apache-2.0
 * What workers share about subscriptions by pattern: the list of topics and its versions, and the members, from several
 * threads at once. */
#include "gateway/filter/subscriptions.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static bool all(void *context, struct slice topic)
{
    (void)context;
    (void)topic;
    return true;
}

static void set_topics(struct subscriptions *s, int n, const char *const *names)
{
    struct slice v[10];

    for (int i = 0; i < n; i++)
        v[i] = slice_str(names[i]);
    assert_int_equal(subscriptions_set_topics(s, v, (size_t)n), ERR_OK);
}
#define SET(s, ...) set_topics(s, sizeof(const char *[]){__VA_ARGS__} / sizeof(char *), (const char *[]){__VA_ARGS__})

static struct regex_heartbeat heartbeat(const char *member, int32_t epoch, const char *regex)
{
    return (struct regex_heartbeat){.group = slice_str("g"),
                                    .member = slice_str(member),
                                    .principal = slice_str("User:alice"),
                                    .epoch = epoch,
                                    .names = {NULL, -1},
                                    .regex = slice_str(regex)};
}

/* How many names it had to send, or -1: it keeps those it has. */
static int sent(struct subscriptions *s, struct regex_heartbeat h, uint64_t rules)
{
    struct regex_resolution r = {0};
    struct topic_list *topics;
    enum regex_plan plan;
    int n = -1;

    assert_int_equal(subscriptions_heartbeat(s, &h, rules, 1, &plan, &r, &topics, NULL), ERR_OK);
    if (plan == REGEX_RESOLVE) {
        assert_non_null(topics);
        assert_int_equal(regex_resolution_step(&r, topics->v, topics->n, all, NULL, UINT64_MAX, NULL), REGEX_DONE);
        n = r.names.n;
        subscriptions_answered(s, &h, r.ticket, ERR_OK);
        regex_resolution_free(&r);
    } else {
        assert_null(topics);
    }
    topic_list_unref(topics);
    return n;
}

static void test_topics_change(void **state)
{
    struct subscriptions *s = subscriptions_new(NULL);
    struct regex_heartbeat h = heartbeat("m", 0, "a.*");
    struct regex_resolution r;
    struct topic_list *held, *none;
    enum regex_plan plan;

    (void)state;
    assert_int_equal(subscriptions_heartbeat(s, &h, 1, 1, &plan, &r, &none, NULL), ERR_OK);
    assert_int_equal(plan, REGEX_RESOLVE);
    assert_null(none); /* they are not known yet */
    regex_resolution_free(&r);

    SET(s, "b", "a2", "a1", "a2");
    assert_int_equal(sent(s, heartbeat("m", 1, NULL), 1), 2);
    assert_int_equal(sent(s, heartbeat("m", 1, NULL), 1), -1);
    SET(s, "a1", "a2", "b"); /* the same ones, in another order */
    assert_int_equal(sent(s, heartbeat("m", 1, NULL), 1), -1);
    assert_int_equal(sent(s, heartbeat("m", 1, NULL), 2), 2); /* other rules */

    /* A resolution goes on over the list it began with. */
    assert_int_equal(subscriptions_heartbeat(s, &h, 2, 1, &plan, &r, &held, NULL), ERR_OK);
    SET(s, "a1", "a2", "a3", "b");
    assert_int_equal(held->n, 3);
    assert_int_equal(regex_resolution_step(&r, held->v, held->n, all, NULL, UINT64_MAX, NULL), REGEX_DONE);
    assert_int_equal(r.names.n, 2);
    subscriptions_answered(s, &h, r.ticket, ERR_OK);
    regex_resolution_free(&r);
    topic_list_unref(held);
    assert_int_equal(sent(s, heartbeat("m", 1, NULL), 2), 3); /* and then the next heartbeat sends what came since */
    SET(s, "b");
    assert_int_equal(sent(s, heartbeat("m", 1, NULL), 2), 0);
    subscriptions_free(s);
}

static void test_describe(void **state)
{
    struct subscriptions *s = subscriptions_new(NULL);
    struct regex_heartbeat h = heartbeat("m", 0, "a.*");
    struct slice list[] = {slice_str("x")}, pattern;
    struct wire_string_array names = {NULL, 7};
    struct arena a;

    (void)state;
    arena_init(&a, 0);
    SET(s, "a1", "x");
    h.names = (struct wire_string_array){list, 1};
    assert_int_equal(sent(s, h, 1), 2);
    assert_true(subscriptions_describe(s, slice_str("g"), slice_str("other"), &a, &pattern, &names));
    assert_true(slice_is_null(pattern));
    assert_int_equal(names.n, 7); /* as the cluster said */
    assert_true(subscriptions_describe(s, slice_str("g"), slice_str("m"), &a, &pattern, &names));
    assert_int_equal(sent(s, heartbeat("m", -1, NULL), 1), -1); /* leaves: what was copied stays */
    assert_true(slice_eq_str(pattern, "a.*"));
    assert_int_equal(names.n, 1);
    assert_true(slice_eq_str(names.v[0], "x"));
    arena_free(&a);
    subscriptions_free(s);
}

enum { THREADS = 4, ROUNDS = 20000 };

static void *work(void *arg)
{
    static _Atomic int number;
    struct subscriptions *s = arg;
    char member[20];

    snprintf(member, sizeof member, "m%d", number++);
    for (int i = 0; i < ROUNDS; i++) {
        int n = sent(s, heartbeat(member, i % 10 > 0, i % 10 == 0 ? "a.*" : NULL), 1);
        assert_true(n == -1 || n == 1 || n == 2);
    }
    return NULL;
}

static void test_threads(void **state)
{
    struct subscriptions *s = subscriptions_new(NULL);
    pthread_t threads[THREADS];

    (void)state;
    SET(s, "a1");
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, s), 0);
    for (int i = 0; i < ROUNDS; i++)
        if (i % 2)
            SET(s, "a1", "a2");
        else
            SET(s, "a1", "b");
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    subscriptions_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_topics_change),
        cmocka_unit_test(test_describe),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
