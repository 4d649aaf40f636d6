/* SPDX-License-Identifier: Apache-2.0
 * The pool of threads: work comes back to its loop once, whatever happens meanwhile. Also run under TSan. */
#include "core/net/work_pool.h"

#include "malloc_fault.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <pthread.h>
#include <cmocka.h>

enum { ITEMS = 2000, LOOPS = 3 };

struct job {
    struct work_item item; /* first */
    struct scene *scene;
    int sum, times;
};

struct scene {
    struct work_pool *pool;
    struct loop *loop;
    size_t back;
    struct job *jobs;
    atomic_bool go;
    atomic_int started;
};

static void scene_init(struct scene *s, int threads, size_t bytes_max, size_t jobs)
{
    *s = (struct scene){.jobs = calloc(jobs, sizeof *s->jobs)};
    assert_int_equal(loop_new(&s->loop, NULL, NULL), ERR_OK);
    assert_int_equal(work_pool_new(&s->pool, &(struct work_pool_opts){threads, bytes_max}, NULL), ERR_OK);
}

static void scene_free(struct scene *s)
{
    work_pool_free(s->pool);
    loop_free(s->loop);
    free(s->jobs);
}

static void wait_for_all(struct scene *s, size_t n)
{
    while (s->back < n)
        loop_run_once(s->loop, true);
}

static void run_sum(struct work_item *w)
{
    struct job *j = (struct job *)w;
    for (int i = 0; i < 100; i++)
        j->sum += i;
}

static void on_done(struct work_item *w)
{
    struct job *j = (struct job *)w;
    j->times++;
    j->scene->back++;
}

static void submit(struct scene *s, struct job *j, uint64_t share, size_t bytes, void (*run)(struct work_item *))
{
    work_item_init(&j->item, s->loop, share, bytes);
    j->item.run = run;
    j->item.done = on_done;
    j->scene = s;
    assert_int_equal(work_pool_submit(s->pool, &j->item), ERR_OK);
}

static void test_all_comes_back_once(void **state)
{
    struct scene s;

    (void)state;
    scene_init(&s, 4, 1000, ITEMS);
    for (size_t i = 0; i < ITEMS; i++)
        submit(&s, &s.jobs[i], i % 5, i % 7 * 100, run_sum);
    wait_for_all(&s, ITEMS);
    for (size_t i = 0; i < ITEMS; i++) {
        assert_int_equal(s.jobs[i].sum, 4950);
        assert_int_equal(s.jobs[i].times, 1);
    }
    assert_int_equal(work_pool_load(s.pool).bytes, 0);
    scene_free(&s);
}

static void run_until_told(struct work_item *w)
{
    struct job *j = (struct job *)w;
    atomic_fetch_add(&j->scene->started, 1);
    while (!atomic_load(&j->scene->go))
        usleep(100);
}

/* One principal's work that takes long is in all threads but one: another's goes through. */
static void test_another_is_served_beside(void **state)
{
    struct scene s;

    (void)state;
    scene_init(&s, 3, 1000, 11);
    for (size_t i = 0; i < 10; i++)
        submit(&s, &s.jobs[i], 1, 0, run_until_told);
    submit(&s, &s.jobs[10], 2, 0, run_sum);
    wait_for_all(&s, 1);
    assert_int_equal(s.jobs[10].times, 1);
    assert_true(atomic_load(&s.started) <= 2);
    atomic_store(&s.go, true);
    wait_for_all(&s, 11);
    scene_free(&s);
}

static void run_keeping(struct work_item *w)
{
    w->kept = 60;
}

static void test_memory_that_is_kept_holds_others_back(void **state)
{
    struct scene s;

    (void)state;
    scene_init(&s, 2, 100, 3);
    submit(&s, &s.jobs[0], 1, 80, run_keeping);
    wait_for_all(&s, 1);
    assert_int_equal(work_pool_load(s.pool).bytes, 60);
    submit(&s, &s.jobs[1], 2, 50, run_sum);
    submit(&s, &s.jobs[2], 3, 0, run_sum);
    wait_for_all(&s, 2);
    assert_int_equal(s.jobs[1].times, 0);
    work_pool_give_back(s.pool, 1, 60);
    wait_for_all(&s, 3);
    assert_int_equal(s.jobs[1].times, 1);
    scene_free(&s);
}

static void test_cancelled_is_not_run(void **state)
{
    struct scene s;

    (void)state;
    scene_init(&s, 1, 100, 2);
    submit(&s, &s.jobs[0], 1, 0, run_until_told);
    submit(&s, &s.jobs[1], 1, 10, run_sum);
    work_item_cancel(&s.jobs[1].item);
    atomic_store(&s.go, true);
    wait_for_all(&s, 2);
    assert_true(s.jobs[0].item.ran);
    assert_false(s.jobs[1].item.ran);
    assert_int_equal(s.jobs[1].sum, 0);
    scene_free(&s);
}

static void test_stopping_gives_back_what_waits(void **state)
{
    struct scene s;
    struct job late = {0};
    struct buf b;

    (void)state;
    scene_init(&s, 2, 100, 50);
    for (size_t i = 0; i < 50; i++)
        submit(&s, &s.jobs[i], i, 0, run_until_told);
    buf_init(&b, 0);
    assert_non_null(buf_grow(&b, WORK_DISCARD_MIN));
    work_pool_discard(s.pool, &b); /* freed though nobody runs it any more */
    while (atomic_load(&s.started) < 2)
        usleep(100);
    atomic_store(&s.go, true);
    work_pool_stop(s.pool);
    wait_for_all(&s, 50);
    for (size_t i = 0; i < 50; i++)
        assert_int_equal(s.jobs[i].times, 1);
    work_item_init(&late.item, s.loop, 1, 0);
    late.item.run = run_sum;
    late.item.done = on_done;
    assert_int_equal(work_pool_submit(s.pool, &late.item), ERR_CANCELLED);
    scene_free(&s);
}

static void *feed(void *arg)
{
    struct scene *s = arg;

    for (size_t i = 0; i < ITEMS; i++)
        submit(s, &s->jobs[i], i % 11, 10, run_sum);
    wait_for_all(s, ITEMS);
    return NULL;
}

static void test_several_loops(void **state)
{
    struct scene s[LOOPS];
    pthread_t threads[LOOPS];

    (void)state;
    scene_init(&s[0], 2, 1000, ITEMS);
    for (int i = 1; i < LOOPS; i++) {
        s[i] = (struct scene){.jobs = calloc(ITEMS, sizeof *s->jobs), .pool = s[0].pool};
        assert_int_equal(loop_new(&s[i].loop, NULL, NULL), ERR_OK);
    }
    for (int i = 0; i < LOOPS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, feed, &s[i]), 0);
    for (int i = 0; i < LOOPS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 1; i < LOOPS; i++) {
        loop_free(s[i].loop);
        free(s[i].jobs);
    }
    scene_free(&s[0]);
}

static void test_discarding(void **state)
{
    struct scene s;

    (void)state;
    scene_init(&s, 1, 100, 1);
    for (size_t n = 1; n < 16 * WORK_DISCARD_MIN; n *= 3) {
        struct buf b;
        buf_init(&b, 0);
        memset(buf_grow(&b, n), 's', n);
        work_pool_discard(s.pool, &b);
        assert_null(b.p);
        assert_int_equal(b.n, 0);
    }
    scene_free(&s);
}

static void test_no_memory(void **state)
{
    struct work_pool *pool = NULL;
    struct reason why = {0};

    (void)state;
    malloc_fault_arm(0, 1);
    assert_int_equal(work_pool_new(&pool, &(struct work_pool_opts){2, 100}, &why), ERR_NO_MEMORY);
    assert_null(pool);
    malloc_fault_arm(MALLOC_FAULT_NONE, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_comes_back_once),
        cmocka_unit_test(test_another_is_served_beside),
        cmocka_unit_test(test_memory_that_is_kept_holds_others_back),
        cmocka_unit_test(test_cancelled_is_not_run),
        cmocka_unit_test(test_stopping_gives_back_what_waits),
        cmocka_unit_test(test_several_loops),
        cmocka_unit_test(test_discarding),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
