/* SPDX-License-Identifier: Apache-2.0
 * Pages of DescribeTopicPartitions against a plain reading of what Kafka does, on every small list, right and cursor.
 */
#include "gateway/api/topic_page.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { NAMES = 5 };

static const char *const names[NAMES] = {"a", "aa", "b", "c", "d"};

static enum err describe(void *ctx, struct slice topic)
{
    unsigned allowed = *(unsigned *)ctx;

    for (int i = 0; i < NAMES; i++)
        if (slice_eq_str(topic, names[i]))
            return allowed & 1u << i ? ERR_OK : ERR_TOPIC_AUTHORIZATION_FAILED;
    return ERR_TOPIC_AUTHORIZATION_FAILED;
}

static void check(const struct topic_page *got, unsigned listed, unsigned allowed, bool all, const char *from,
                  int limit)
{
    int32_t sent = 0, refused = 0;
    const char *next = NULL;

    for (int i = 0; i < NAMES; i++) {
        if (!(listed & 1u << i) || (from && strcmp(names[i], from) < 0))
            continue;
        if (!(allowed & 1u << i)) {
            if (!all)
                assert_true(slice_eq_str(got->refused[refused++].name, names[i]));
        } else if (sent < limit) {
            assert_true(slice_eq_str(got->send.v[sent++].name, names[i]));
        } else if (!next) {
            next = names[i];
        }
    }
    assert_int_equal(got->send.n, sent);
    assert_int_equal(got->refused_n, refused);
    if (next)
        assert_true(slice_eq_str(got->next, next));
    else
        assert_true(slice_is_null(got->next));
    assert_int_equal(got->keeps_cursor, from && sent && slice_eq_str(got->send.v[0].name, from));
}

static struct topic_page plan_whole(const struct describe_topic_partitions_request *req, const struct slice *list,
                                    int32_t n, bool all, const struct topic_page_rights *rights, struct arena *a)
{
    struct topic_page_names given = {list, sizeof *list, n};
    struct topic_page got;

    assert_true(topic_page_begin(&got, req, &given, all, a));
    while (topic_page_next(&got, rights))
        ;
    got.names = NULL;
    return got;
}

static void plan(unsigned listed, unsigned allowed, bool all, int from, int limit)
{
    struct describe_topic_partitions_request_cursor cursor = {.partition_index = 3};
    struct describe_topic_partitions_request req;
    struct topic_page_rights rights = {&allowed, describe};
    struct slice list[2 * NAMES];
    struct topic_page got;
    struct arena arena;
    int32_t n = 0;

    for (int i = NAMES - 1; i >= 0; i--) /* backwards, and every second one twice */
        for (int k = 0; k < 1 + i % 2; k++)
            if (listed & 1u << i)
                list[n++] = slice_str(names[i]);
    describe_topic_partitions_request_init(&req);
    req.response_partition_limit = limit;
    if (from >= 0) {
        cursor.topic_name = slice_str(names[from]);
        req.cursor = &cursor;
    }
    arena_init(&arena, 0);
    got = plan_whole(&req, list, n, all, &rights, &arena);
    if (from >= 0 && !all && !(listed & 1u << from))
        assert_int_equal(got.whole, ERR_INVALID_REQUEST);
    else
        check(&got, listed, allowed, all, from >= 0 ? names[from] : NULL, limit < 1 ? 1 : limit);
    arena_free(&arena);
}

static void test_every_small_page(void **state)
{
    (void)state;
    for (unsigned listed = 0; listed < 1u << NAMES; listed++)
        for (unsigned allowed = 0; allowed < 1u << NAMES; allowed++)
            for (int from = -1; from < NAMES; from++)
                for (int limit = -1; limit < NAMES + 1; limit++)
                    for (int all = 0; all < 2; all++)
                        plan(listed, allowed, all, from, limit);
}

static void test_a_negative_partition(void **state)
{
    struct describe_topic_partitions_request_cursor cursor = {.topic_name = slice_str("a"), .partition_index = -1};
    struct describe_topic_partitions_request req;
    struct slice list[] = {slice_str("a")};
    unsigned allowed = ~0u;
    struct topic_page_rights rights = {&allowed, describe};
    struct topic_page got;
    struct arena arena;

    (void)state;
    describe_topic_partitions_request_init(&req);
    req.cursor = &cursor;
    arena_init(&arena, 0);
    for (int all = 0; all < 2; all++) {
        got = plan_whole(&req, list, 1, all, &rights, &arena);
        assert_int_equal(got.whole, ERR_INVALID_REQUEST);
        assert_int_equal(got.send.n, 0);
    }
    arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_small_page),
                                       cmocka_unit_test(test_a_negative_partition)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
