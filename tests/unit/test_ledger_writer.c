/* SPDX-License-Identifier: Apache-2.0
 * The writer's promises over memory: order, the overlay of a batch, refusals that leave nothing, retries after a lost
 * fence, derived state through speculate, posting to a loop, and closing with work in the queue. */
#include "core/base/env.h"
#include "core/ledger/ledger.h"

#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

struct seen {
    pthread_mutex_t lock;
    char text[4096];
    size_t n;
    int ready, drops, speculated;
};

static void on_apply(void *user, const struct ledger_record *r)
{
    struct seen *s = user;
    pthread_mutex_lock(&s->lock);
    s->n += (size_t)snprintf(s->text + s->n, sizeof s->text - s->n, "%.*s=%.*s;", SLICE_FMT(r->key),
                             SLICE_FMT(slice_is_null(r->value) ? slice_str("-") : r->value));
    pthread_mutex_unlock(&s->lock);
}

static void on_ready(void *user)
{
    ((struct seen *)user)->ready++;
}

static void on_speculate(void *user, const struct ledger_record *r)
{
    struct seen *s = user;
    if (r)
        s->speculated++;
    else
        s->drops++;
}

static struct ledger *open_memory(struct seen *s, bool keep)
{
    struct ledger *l = NULL;
    struct ledger_config c = {.topic = "t", .keep = keep};
    struct ledger_hooks h = {.user = s, .apply = on_apply, .ready = on_ready, .speculate = on_speculate};
    memset(s, 0, sizeof *s);
    pthread_mutex_init(&s->lock, NULL);
    assert_int_equal(ledger_memory_new(&l, &c, &h, NULL), ERR_OK);
    return l;
}

/* Counts up "n": every increment must see the one before, also inside one batch. */
static enum err decide_increment(void *ctx, struct ledger_view *view)
{
    struct slice v;
    char text[32];
    int n = 0;
    (void)ctx;
    if (ledger_view_get(view, slice_str("n"), &v)) {
        snprintf(text, sizeof text, "%.*s", SLICE_FMT(v));
        n = (int)strtol(text, NULL, 10);
    }
    snprintf(text, sizeof text, "%d", n + 1);
    ledger_view_emit(view, slice_str("n"), slice_str(text));
    return ERR_OK;
}

struct tally {
    atomic_int ok, refused, cancelled;
};

static void count_done(void *ctx, const struct ledger_result *r)
{
    struct tally *t = ctx;
    if (!r->err)
        atomic_fetch_add(&t->ok, 1);
    else if (r->err == ERR_CANCELLED)
        atomic_fetch_add(&t->cancelled, 1);
    else
        atomic_fetch_add(&t->refused, 1);
}

static enum err decide_refuse(void *ctx, struct ledger_view *view)
{
    (void)ctx;
    ledger_view_emit(view, slice_str("n"), slice_str("999"));
    return ERR_CONFLICT;
}

static enum err decide_nothing(void *ctx, struct ledger_view *view)
{
    (void)ctx, (void)view;
    return ERR_OK;
}

static void value_is(struct ledger *l, const char *key, const char *want)
{
    struct buf b;
    buf_init(&b, 0);
    assert_int_equal(ledger_get(l, slice_str(key), &b), ERR_OK);
    assert_string_equal(buf_cstr(&b), want);
    buf_free(&b);
}

static void test_each_decision_sees_the_one_before(void **state)
{
    struct seen s;
    struct tally t = {0};
    struct ledger *l = open_memory(&s, true);
    (void)state;
    assert_int_equal(s.ready, 1);
    for (int i = 0; i < 500; i++) {
        assert_int_equal(ledger_submit(l, decide_increment, count_done, &t), ERR_OK);
        if (i % 5 == 0)
            assert_int_equal(ledger_submit(l, decide_refuse, count_done, &t), ERR_OK);
    }
    assert_int_equal(ledger_decide(l, decide_nothing, NULL, NULL), ERR_OK);
    assert_int_equal(t.ok, 500);
    assert_int_equal(t.refused, 100);
    value_is(l, "n", "500");
    assert_int_equal(ledger_position(l), 500);
    assert_int_equal(s.speculated, 500);
    assert_true(s.drops > 0);
    ledger_close(l);
}

static void test_a_lost_fence_is_retried_and_decided_anew(void **state)
{
    struct seen s;
    struct ledger_result r;
    struct ledger *l = open_memory(&s, true);
    (void)state;
    ledger_memory_fail(l, ERR_FENCED, 3);
    assert_int_equal(ledger_decide(l, decide_increment, NULL, &r), ERR_OK);
    assert_int_equal(r.first_offset, 0);
    value_is(l, "n", "1");
    ledger_memory_fail(l, ERR_TOPIC_AUTHORIZATION_FAILED, 1);
    assert_int_equal(ledger_decide(l, decide_increment, NULL, &r), ERR_TOPIC_AUTHORIZATION_FAILED);
    value_is(l, "n", "1");
    ledger_close(l);
}

static enum err decide_wait(void *ctx, struct ledger_view *view)
{
    (void)view;
    sem_wait(ctx);
    sem_post(ctx); /* it may be decided again */
    return ERR_OK;
}

static void no_done(void *ctx, const struct ledger_result *r)
{
    (void)ctx, (void)r;
}

static void test_what_the_log_refuses_fails_alone(void **state)
{
    struct seen s;
    struct tally t = {0};
    sem_t queued;
    struct ledger *l = open_memory(&s, true);
    (void)state;
    sem_init(&queued, 0, 0);
    assert_int_equal(ledger_submit(l, decide_wait, no_done, &queued), ERR_OK); /* keeps the others in the queue */
    ledger_memory_fail(l, ERR_MESSAGE_TOO_LARGE, 2); /* the transaction of all, then that of the first alone */
    for (int i = 0; i < 4; i++)
        assert_int_equal(ledger_submit(l, decide_increment, count_done, &t), ERR_OK);
    sem_post(&queued);
    assert_int_equal(ledger_decide(l, decide_nothing, NULL, NULL), ERR_OK);
    assert_int_equal(t.refused, 1);
    assert_int_equal(t.ok, 3);
    value_is(l, "n", "3");
    ledger_close(l);
    sem_destroy(&queued);
}

static void test_plain_writes_tombstones_and_limits(void **state)
{
    struct seen s;
    struct reason why;
    struct buf b;
    struct ledger *l = open_memory(&s, true);
    struct ledger_write_record two[] = {{slice_str("a"), slice_str("1")}, {slice_str("b"), slice_str("2")}};
    struct ledger_write_record gone = {slice_str("a"), SLICE_NULL};
    char *big = calloc(1, 1100000);
    struct ledger_write_record large = {slice_str("c"), slice_of(big, 1100000)};
    (void)state;
    assert_int_equal(ledger_write(l, two, 2, 1000, NULL), ERR_OK);
    assert_int_equal(ledger_write(l, &gone, 1, 1000, NULL), ERR_OK);
    assert_int_equal(ledger_write(l, &large, 1, 1000, &why), ERR_MESSAGE_TOO_LARGE);
    assert_string_equal(s.text, "a=1;b=2;a=-;");
    buf_init(&b, 0);
    assert_int_equal(ledger_get(l, slice_str("a"), &b), ERR_NOT_FOUND);
    assert_int_equal(ledger_memory_append(l, slice_str("x"), slice_str("foreign")), ERR_OK);
    value_is(l, "x", "foreign");
    ledger_close(l);
    free(big);
}

/* A loop of one thread: functions wait until the test runs them. */
struct loop {
    pthread_mutex_t lock;
    struct {
        void (*fn)(void *arg);
        void *arg;
    } queue[64];
    size_t head, tail;
};

static void loop_post(void *ctx, void (*fn)(void *arg), void *arg)
{
    struct loop *loop = ctx;
    pthread_mutex_lock(&loop->lock);
    loop->queue[loop->tail++ % 64].fn = fn;
    loop->queue[(loop->tail - 1) % 64].arg = arg;
    pthread_mutex_unlock(&loop->lock);
}

static bool loop_run_one(struct loop *loop)
{
    void (*fn)(void *arg) = NULL;
    void *arg = NULL;
    pthread_mutex_lock(&loop->lock);
    if (loop->head != loop->tail) {
        fn = loop->queue[loop->head % 64].fn;
        arg = loop->queue[loop->head++ % 64].arg;
    }
    pthread_mutex_unlock(&loop->lock);
    if (fn)
        fn(arg);
    return fn != NULL;
}

static void test_callbacks_run_on_the_callers_loop(void **state)
{
    struct loop loop = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct seen s = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct tally t = {0};
    struct ledger *l = NULL;
    struct ledger_config c = {.topic = "t", .keep = true};
    struct ledger_hooks h = {.user = &s, .apply = on_apply, .ready = on_ready, .post = loop_post, .post_ctx = &loop};
    (void)state;
    assert_int_equal(ledger_memory_new(&l, &c, &h, NULL), ERR_OK);
    assert_int_equal(s.ready, 0);
    assert_int_equal(ledger_submit(l, decide_increment, count_done, &t), ERR_OK);
    while (atomic_load(&t.ok) == 0)
        loop_run_one(&loop);
    assert_int_equal(s.ready, 1);
    assert_string_equal(s.text, "n=1;");
    /* closing from the loop while a group waits for the loop must not hang; what was posted does nothing later */
    assert_int_equal(ledger_submit(l, decide_increment, count_done, &t), ERR_OK);
    ledger_close(l);
    while (loop_run_one(&loop))
        ;
    assert_int_equal(t.ok + t.cancelled, 2);
}

static void test_close_cancels_what_waits(void **state)
{
    struct seen s;
    struct tally t = {0};
    struct ledger *l = open_memory(&s, true);
    (void)state;
    ledger_memory_fail(l, ERR_UNAVAILABLE, 1000000);
    for (int i = 0; i < 10; i++)
        assert_int_equal(ledger_submit(l, decide_increment, count_done, &t), ERR_OK);
    ledger_close(l);
    assert_int_equal(t.cancelled, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_decision_sees_the_one_before),
        cmocka_unit_test(test_a_lost_fence_is_retried_and_decided_anew),
        cmocka_unit_test(test_what_the_log_refuses_fails_alone),
        cmocka_unit_test(test_plain_writes_tombstones_and_limits),
        cmocka_unit_test(test_callbacks_run_on_the_callers_loop),
        cmocka_unit_test(test_close_cancels_what_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
