/* SPDX-License-Identifier: Apache-2.0
 * A request of every API while one allocation fails, for each allocation on its way: it is answered as it should be, or
 * refused, or the connection ends; what may not be seen is never forwarded, and all memory comes back. */
#include "gateway/api/api.h"
#include "tests/unit/engine_util.h"
#include "tests/unit/malloc_fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const char *const topics[] = {"topic-a", "hidden-b", "topic-c", "topic-a"},
                         *const groups[] = {"group-a", "hidden-g"}, *const txns[] = {"txn-a", "hidden-t"};

static struct scene s;
static int held = MALLOC_FAULT_NONE;

static void faults(bool on)
{
    if (on)
        atomic_store(&malloc_fault_countdown, held);
    else
        held = atomic_exchange(&malloc_fault_countdown, MALLOC_FAULT_NONE);
}

static void begin(void)
{
    scene_init(&s);
    scene_allow(&s, "User:bob", ACL_TOPIC, ACL_ALL, "topic-a");
    scene_allow(&s, "User:bob", ACL_TOPIC, ACL_ALL, "topic-c");
    scene_allow(&s, "User:bob", ACL_GROUP, ACL_ALL, "group-a");
    scene_allow(&s, "User:bob", ACL_TRANSACTIONAL_ID, ACL_ALL, "txn-a");
    scene_rules_done(&s);
    s.cluster.topics = (struct fake_names){topics, 3};
    s.cluster.groups = (struct fake_names){groups, 2};
    s.cluster.txns = (struct fake_names){txns, 2};
    s.cluster.shuffled = s.cluster.once = s.cluster.with_next = true;
    s.faults = faults;
}

static bool contains(struct slice in, const char *what)
{
    return in.n > 0 && memmem(in.p, in.n, what, strlen(what)) != NULL;
}

static void check_sent(const struct wire_api *api, int16_t v, const char *who)
{
    for (int i = 0; i < s.sent_n; i++)
        if (s.sent[i].is_forwarded && strcmp(who, "User:bob") == 0 && contains(buf_slice(&s.sent[i].body), "hidden"))
            fail_msg("%s %d: what may not be seen was forwarded", api->name, v);
}

/* False: no allocation failed. */
static bool play(const struct wire_api *api, int16_t v, const char *who, struct slice frame, int n, struct buf *answer)
{
    struct client *c;
    bool fired, taken;

    begin();
    c = scene_client(&s, 0, who);
    malloc_fault_arm(n, 1);
    taken = client_sends(c, frame);
    for (int round = 0; round < 6 && taken;
         round++) { /* the scene's own look at clients that leave has no allocation */
        scene_run(&s);
        for (int i = 0; i < s.sent_n; i++)
            if (s.sent[i].request)
                scene_answer(&s, i, ERR_OK);
    }
    fired = atomic_load(&malloc_fault_fired);
    malloc_fault_arm(MALLOC_FAULT_NONE, 1);
    scene_run(&s);
    check_sent(api, v, who);
    if (taken && c->here && c->answers_n != 1)
        fail_msg("%s %d: allocation %d fails, and there is no answer", api->name, v, n);
    assert_true(c->answers_n <= 1);
    if (!fired && c->answers_n != 1)
        fail_msg("%s %d: no answer: %s", api->name, v, c->detail);
    if (c->answers_n == 1 && contains(buf_slice(&c->answers[0]), FAKE_HOST))
        fail_msg("%s %d: allocation %d fails, and the cluster's own address is told", api->name, v, n);
    if (!fired)
        buf_put_slice(answer, buf_slice(&c->answers[0]));
    if (!taken)
        client_leaves(c);
    scene_free(&s);
    return fired;
}

static void every_allocation(const char *who)
{
    const struct api_row *row;
    int all = 0;

    for (size_t i = 0; (row = api_at(i)); i++) {
        const struct wire_api *api = wire_api(row->key);
        struct fake_asked asked = {{topics, 4}, {groups, 2}, {txns, 2}, true, 2};
        int16_t v = api->max < row->max ? api->max : row->max;
        struct buf frame, answer;
        struct arena a;
        int n = 0;

        if (row->where != API_FORWARDED)
            continue;
        arena_init(&a, 0);
        buf_init(&frame, 0);
        buf_init(&answer, 0);
        assert_int_equal(
            wire_request_frame(&frame, api->key, v, 7, slice_str("x"), fake_request(api->key, v, &asked, &a)), ERR_OK);
        while (play(api, v, who, slice_of(frame.p + 4, frame.n - 4), n, &answer))
            n++;
        all += n;
        buf_free(&frame);
        buf_free(&answer);
        arena_free(&a);
    }
    assert_true(all > 300); /* the faults reached what they are for */
}

static void test_half_refused(void **state)
{
    (void)state;
    every_allocation("User:bob");
}

static void test_allowed(void **state)
{
    (void)state;
    every_allocation("User:root");
}

static void test_refused(void **state)
{
    (void)state;
    every_allocation("User:nemo");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_half_refused),
        cmocka_unit_test(test_allowed),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
