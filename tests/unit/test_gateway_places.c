/* SPDX-License-Identifier: Apache-2.0
 * Lists that a client chooses, by places: what was named before (seen.h), and their order (sorting.h). */
#include "gateway/request/seen.h"
#include "gateway/request/sorting.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { LIST_MAX = 300 };

struct list {
    char text[LIST_MAX][8];
    int32_t n;
};

static struct slice name_at(const void *list, int32_t place)
{
    return slice_str(((const struct list *)list)->text[place]);
}

static int compare(const void *list, int32_t a, int32_t b)
{
    return slice_cmp(name_at(list, a), name_at(list, b));
}

/* `kinds` different names, in an order of their own. */
static void fill(struct list *l, int32_t n, int kinds)
{
    l->n = n;
    for (int32_t i = 0; i < n; i++)
        snprintf(l->text[i], sizeof l->text[i], "%d", (int)((unsigned)i * 7919u % 1009u) % kinds);
}

static const int kinds[] = {1, 2, 7, 100, 1009};
enum { KINDS = sizeof kinds / sizeof *kinds };

static void test_sorting(void **state)
{
    static struct list l;
    struct arena a;

    (void)state;
    arena_init(&a, 0);
    for (int k = 0; k < KINDS; k++) {
        for (int32_t n = 0; n <= LIST_MAX; n++) {
            struct sorting s;
            int32_t moves = 0, log2 = 0;

            fill(&l, n, kinds[k]);
            assert_true(sorting_begin(&s, n, &a));
            while (sorting_next(&s, compare, &l))
                moves++;
            assert_false(sorting_next(&s, compare, &l));
            for (int32_t i = 1; i < n; i++) {
                int order = compare(&l, s.sorted[i - 1], s.sorted[i]);
                assert_true(order < 0 || (order == 0 && s.sorted[i - 1] < s.sorted[i]));
            }
            while (1 << log2 < n)
                log2++;
            assert_true(moves <= n * log2);
            arena_reset(&a);
        }
    }
    arena_free(&a);
}

static void test_seen(void **state)
{
    static struct list l;
    struct arena a;

    (void)state;
    arena_init(&a, 0);
    for (int k = 0; k < KINDS; k++) {
        struct seen s;

        fill(&l, LIST_MAX, kinds[k]);
        assert_true(seen_init(&s, l.n, name_at, &l, &a));
        assert_int_equal(seen_find(&s, name_at(&l, 0)), -1);
        for (int32_t i = 0; i < l.n; i++) {
            int32_t first = 0;
            while (!slice_eq(name_at(&l, first), name_at(&l, i)))
                first++;
            assert_int_equal(seen_put(&s, i), first);
            assert_int_equal(seen_find(&s, name_at(&l, i)), first);
        }
        assert_int_equal(seen_find(&s, slice_str("none")), -1);
        arena_reset(&a);
    }
    arena_free(&a);
}

static void test_no_memory(void **state)
{
    struct sorting sorting;
    struct seen seen;
    struct arena a;

    (void)state;
    arena_init(&a, 64);
    assert_false(seen_init(&seen, LIST_MAX, name_at, NULL, &a));
    assert_false(sorting_begin(&sorting, LIST_MAX, &a));
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sorting), cmocka_unit_test(test_seen),
                                       cmocka_unit_test(test_no_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
