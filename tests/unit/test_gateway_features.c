/* SPDX-License-Identifier: Apache-2.0
 * Features of the nodes behind: what a client is told of several nodes that differ. */
#include "gateway/cluster/features.h"
#include "wire/api_versions.h"

#include <stdio.h>
#include <stdlib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* "name:min-max name:min-max" */
static int parse(struct feature *v, const char *text)
{
    int n = 0, used;

    while (*text) {
        int min, max;
        assert_int_equal(sscanf(text, "%100[^:]:%d-%d%n", v[n].name, &min, &max, &used), 3);
        v[n].min = (int16_t)min;
        v[n++].max = (int16_t)max;
        text += used + (text[used] == ' ');
    }
    return n;
}

static struct feature_set node(int64_t epoch, const char *supported, const char *settled)
{
    struct feature_set s;

    feature_set_clear(&s);
    s.epoch = epoch;
    s.supported_n = parse(s.supported, supported);
    s.settled_n = parse(s.settled, settled);
    return s;
}

static void assert_features(const struct feature *v, int n, const char *expected)
{
    char text[500] = "";
    size_t at = 0;

    for (int i = 0; i < n; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%s:%d-%d", i ? " " : "", v[i].name, v[i].min, v[i].max);
    assert_string_equal(text, expected);
}

static struct feature_set all_of(const struct feature_set *a, const struct feature_set *b, const struct feature_set *c)
{
    const struct feature_set *nodes[] = {a, b, c};
    struct feature_set out;

    feature_set_intersect(&out, nodes, 3);
    return out;
}

static void test_same(void **state)
{
    struct feature_set a = node(5, "group.version:0-1 transaction.version:0-2", "transaction.version:1-2"), all;

    (void)state;
    all = all_of(&a, &a, &a);
    assert_true(feature_set_equal(&all, &a));
    all.settled[0].max = 1;
    assert_false(feature_set_equal(&all, &a));
}

/* Transactions of version 2 only when every node has them. */
static void test_one_is_older(void **state)
{
    struct feature_set a = node(9, "x:1-3 transaction.version:0-2 y:0-1",
                                "transaction.version:0-2 metadata.version:1-25"),
                       old = node(7, "transaction.version:0-1 x:2-5", "metadata.version:1-21 transaction.version:0-1"),
                       all = all_of(&a, &old, &a);

    (void)state;
    assert_int_equal(all.epoch, 7);
    assert_features(all.supported, all.supported_n, "x:2-3 transaction.version:0-1");
    assert_features(all.settled, all.settled_n, "transaction.version:0-1 metadata.version:1-21");
}

static void test_one_lacks_it(void **state)
{
    struct feature_set a = node(9, "x:1-3", "x:1-2"), none = node(4, "", ""), apart = node(9, "x:4-5", "x:3-4"), all;

    (void)state;
    all = all_of(&a, &none, &a);
    assert_int_equal(all.epoch, 4);
    assert_int_equal(all.supported_n + all.settled_n, 0);
    all = all_of(&a, &a, &apart);
    assert_int_equal(all.supported_n + all.settled_n, 0);
}

static void test_one_was_not_heard(void **state)
{
    struct feature_set a = node(9, "x:1-3", "x:1-2"), all = all_of(&a, NULL, &a), nothing;

    (void)state;
    feature_set_clear(&nothing);
    assert_true(feature_set_equal(&all, &nothing));
    assert_int_equal(all.epoch, -1);
    all = a;
    feature_set_intersect(&all, NULL, 0);
    assert_true(feature_set_equal(&all, &nothing));
}

static void test_migration(void **state)
{
    struct feature_set a = node(1, "", ""), b = a, all;

    (void)state;
    a.migration_ready = b.migration_ready = true;
    all = all_of(&a, &b, &a);
    assert_true(all.migration_ready);
    b.migration_ready = false;
    all = all_of(&a, &b, &a);
    assert_false(all.migration_ready);
}

/* Out and in again, through the bytes of each version. */
static struct feature_set through(const struct feature_set *s, int16_t version)
{
    struct api_versions_response answer, back;
    struct feature_set out;
    struct arena a;
    struct cursor c;
    struct buf b;

    arena_init(&a, 0);
    buf_init(&b, 0);
    api_versions_response_init(&answer);
    assert_int_equal(feature_set_write(s, &answer, version, &a), ERR_OK);
    assert_int_equal(api_versions_response_encode(&answer, &b, version), ERR_OK);
    c = cursor_of(buf_slice(&b));
    assert_int_equal(api_versions_response_decode(&back, &c, version, &a), ERR_OK);
    feature_set_read(&out, &back);
    buf_free(&b);
    arena_free(&a);
    return out;
}

static void test_bytes(void **state)
{
    struct feature_set s = node(77, "group.version:0-1 metadata.version:7-29",
                                "group.version:0-1 metadata.version:7-29"),
                       back;

    (void)state;
    s.migration_ready = true;
    back = through(&s, 4);
    assert_true(feature_set_equal(&back, &s));
    back = through(&s, 3); /* cannot tell a minimum of 0 */
    assert_int_equal(back.epoch, 77);
    assert_features(back.supported, back.supported_n, "metadata.version:7-29");
    assert_features(back.settled, back.settled_n, "group.version:0-1 metadata.version:7-29");
    s.epoch = -1; /* the settled ones mean nothing without it */
    back = through(&s, 4);
    assert_int_equal(back.settled_n, 0);
    assert_int_equal(back.supported_n, 2);
}

/* Names that are too long are left out, the first FEATURES_MAX are kept. */
static void test_too_much(void **state)
{
    static struct api_versions_response_supported_feature_key keys[FEATURES_MAX + 10];
    static char names[FEATURES_MAX + 10][16], longest[FEATURE_NAME_MAX + 1];
    struct api_versions_response answer;
    struct feature_set s;

    (void)state;
    api_versions_response_init(&answer);
    memset(longest, 'a', FEATURE_NAME_MAX);
    for (int i = 0; i < FEATURES_MAX + 10; i++) {
        api_versions_response_supported_feature_key_init(&keys[i]);
        snprintf(names[i], sizeof names[i], "f%d", i);
        keys[i].name = i == 0 ? slice_str(longest) : i == 1 ? slice_str(longest + 1) : slice_str(names[i]);
    }
    answer.supported_features.v = keys;
    answer.supported_features.n = FEATURES_MAX + 10;
    feature_set_read(&s, &answer);
    assert_int_equal(s.supported_n, FEATURES_MAX);
    assert_string_equal(s.supported[0].name, longest + 1);
    assert_string_equal(s.supported[1].name, "f2");
}

static void test_no_memory(void **state)
{
    struct feature_set s = node(1, "a:1-1 b:1-1", "a:1-1 b:1-1");
    bool done = false;

    (void)state;
    for (size_t limit = 1; !done; limit += 16) {
        struct api_versions_response answer;
        struct arena a;

        arena_init(&a, limit);
        api_versions_response_init(&answer);
        done = feature_set_write(&s, &answer, 4, &a) == ERR_OK;
        arena_free(&a);
        assert_true(limit < 1 << 20);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same),         cmocka_unit_test(test_one_is_older),
        cmocka_unit_test(test_one_lacks_it), cmocka_unit_test(test_one_was_not_heard),
        cmocka_unit_test(test_migration),    cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_too_much),     cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
