/* SPDX-License-Identifier: Apache-2.0
 * A change of the rules while memory is short: it is refused, or the process ends, or it is answered as done, and then
 * every worker goes by it. It is never answered as done while a worker keeps the old rules, and never left unanswered.
 * Each fault gets a process of its own, since ending is one of the right answers. */
#include "gateway/session/worker.h"
#include "tests/unit/malloc_fault.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { WORKERS = 3, PATIENCE_S = 60 };
enum outcome { RIGHT = 0, UNTOUCHED = 3, STALE = 4, BROKEN = 5 };

struct scene {
    struct gateway gateway;
    pthread_mutex_t lock;
    pthread_cond_t moved;
    bool answered, refuse;
    enum err err;
    int asked, fresh;
};

static struct acl_rule rule = {
    .type = ACL_TOPIC, .pattern = ACL_LITERAL, .operation = ACL_READ, .permission = ACL_DENY};

static enum err on_changed(void *user)
{
    struct scene *s = user;

    return s->refuse ? ERR_NO_MEMORY : workers_set_view(&s->gateway);
}

static void move(struct scene *s)
{
    pthread_cond_broadcast(&s->moved);
    pthread_mutex_unlock(&s->lock);
}

static void on_done(void *ctx, enum err err, const struct reason *why)
{
    struct scene *s = ctx;

    (void)why;
    malloc_fault_arm(MALLOC_FAULT_NONE, 0);
    pthread_mutex_lock(&s->lock);
    s->answered = true;
    s->err = err;
    move(s);
}

struct question {
    struct scene *scene;
    struct worker *worker;
    struct loop_task task;
};

/* On the worker's thread. */
static void look(void *arg)
{
    struct question *q = arg;
    struct acl_question ask = {ACL_TOPIC, ACL_READ, rule.name, slice_str("User:alice"), slice_str("127.0.0.1")};
    bool fresh = q->worker->view && !acl_allowed(q->worker->view->acl, &ask);

    pthread_mutex_lock(&q->scene->lock);
    q->scene->asked++;
    q->scene->fresh += fresh;
    move(q->scene);
}

static bool every_worker_is_fresh(struct scene *s)
{
    struct question questions[WORKERS];

    for (int i = 0; i < WORKERS; i++) {
        questions[i] = (struct question){.scene = s, .worker = &s->gateway.workers[i]};
        loop_post_task(s->gateway.workers[i].loop, &questions[i].task, look, &questions[i]);
    }
    pthread_mutex_lock(&s->lock);
    while (s->asked < WORKERS)
        pthread_cond_wait(&s->moved, &s->lock);
    pthread_mutex_unlock(&s->lock);
    return s->fresh == WORKERS;
}

static void start(struct scene *s, int64_t tell_ms_max)
{
    struct knowledge_config c = {.memory = true, .tell_ms_max = tell_ms_max};
    struct reason why = {0};

    memset(s, 0, sizeof *s);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->moved, NULL);
    rule.name = slice_str("orders");
    rule.principal = slice_str("User:alice");
    rule.host = slice_str("*");
    c.acl.allow_if_no_acl = true; /* so that old rules let her in */
    if (workers_start(&s->gateway, WORKERS, &why) || knowledge_open(&s->gateway.knowledge, &c, on_changed, s, &why))
        exit(BROKEN);
    while (!knowledge_is_ready(s->gateway.knowledge))
        usleep(1000); /* not a matter of timing: until it is */
}

static enum outcome change(struct scene *s, int countdown, int length)
{
    struct knowledge_change add = {.add_rules = &rule, .add_rules_n = 1};
    bool fired;

    malloc_fault_arm(countdown, length);
    if (knowledge_submit(s->gateway.knowledge, &add, on_done, s))
        return RIGHT;
    pthread_mutex_lock(&s->lock);
    while (!s->answered)
        pthread_cond_wait(&s->moved, &s->lock);
    pthread_mutex_unlock(&s->lock);
    fired = atomic_load(&malloc_fault_fired);
    if (s->err)
        return RIGHT;
    if (!every_worker_is_fresh(s))
        return STALE;
    return fired ? RIGHT : UNTOUCHED;
}

static enum outcome play(int countdown, int length)
{
    static struct scene s;
    enum outcome o;

    start(&s, 0);
    o = change(&s, countdown, length);
    malloc_fault_arm(MALLOC_FAULT_NONE, 0);
    workers_stop(&s.gateway);
    knowledge_close(s.gateway.knowledge);
    workers_free(&s.gateway);
    return o;
}

/* Whoever waits for ever is ended by SIGALRM; a signal is not the test framework's to handle. */
static void be_a_process(void)
{
    static const int handled[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};

    for (size_t i = 0; i < sizeof handled / sizeof *handled; i++)
        signal(handled[i], SIG_DFL);
    alarm(PATIENCE_S);
}

/* In a process of its own; its wait status. */
static int apart(int countdown, int length)
{
    pid_t child;
    int status;

    fflush(NULL);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        be_a_process();
        exit(play(countdown, length));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static bool is_right(int status)
{
    return WIFSIGNALED(status) ? WTERMSIG(status) == SIGABRT
                               : WEXITSTATUS(status) == RIGHT || WEXITSTATUS(status) == UNTOUCHED;
}

static void test_any_one_allocation_fails(void **state)
{
    int n = 0, status;

    (void)state;
    do {
        status = apart(n, 1);
        if (!is_right(status))
            fail_msg("allocation %d: wait status %x", n, status);
        n++;
    } while (WIFSIGNALED(status) || WEXITSTATUS(status) != UNTOUCHED);
    assert_true(n > 10); /* the faults reached what they are for */
}

static void test_many_in_a_row_fail(void **state)
{
    (void)state;
    for (int n = 0; n < 60; n += 3) {
        int status = apart(n, 25);
        if (!is_right(status))
            fail_msg("allocations from %d on: wait status %x", n, status);
    }
}

static void test_it_ends_when_it_cannot_tell(void **state)
{
    static struct scene s;
    pid_t child;
    int status;

    (void)state;
    fflush(NULL);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        be_a_process();
        start(&s, 100);
        s.refuse = true; /* from now on no view can be made */
        exit(change(&s, MALLOC_FAULT_NONE, 0));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_one_allocation_fails),
        cmocka_unit_test(test_many_in_a_row_fail),
        cmocka_unit_test(test_it_ends_when_it_cannot_tell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
