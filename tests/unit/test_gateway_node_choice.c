/* SPDX-License-Identifier: Apache-2.0
 * Which node behind a request goes to, by what is known of their health. */
#include "core/wire/header.h"
#include "gateway/cluster/node_choice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_silence_is_a_question_without_an_answer(void **state)
{
    struct node_health h = {.state = NODE_UNKNOWN};

    (void)state;
    assert_false(node_health_look(&h, 1000000));
    assert_false(node_health_asked(&h, 1000));
    assert_true(node_health_answered(&h, 1100));
    assert_int_equal(h.since_ms, 1100);
    assert_false(node_health_look(&h, 1000000)); /* nobody asked */
    assert_false(node_health_asked(&h, 2000));
    assert_false(node_health_look(&h, 2000 + NODE_SILENT_MS - 1));
    assert_false(node_health_asked(&h, 2000 + NODE_SILENT_MS - 1)); /* asking again does not make it wait longer */
    assert_true(node_health_look(&h, 2000 + NODE_SILENT_MS));
    assert_int_equal(h.state, NODE_SILENT);
    assert_false(node_health_look(&h, 3000 + NODE_SILENT_MS));
    assert_int_equal(h.since_ms, 2000 + NODE_SILENT_MS);
    assert_true(node_health_answered(&h, 9000));
    assert_true(node_health_lost(&h, 9001));
    assert_false(node_health_lost(&h, 9002));
    assert_int_equal(h.state, NODE_SILENT);
}

static void test_a_silent_node_is_passed_over(void **state)
{
    struct node_wish w = {.class = REQUEST_ANY_NODE, .own = -1, .start = 0};

    (void)state;
    assert_int_equal(node_choice(&w, 0x7, 0), 0);
    assert_int_equal(node_choice(&w, 0x7, 0x1), 1);
    w.tried = 0x2;
    assert_int_equal(node_choice(&w, 0x7, 0x1), 2);
    w.tried = 0x6; /* only the silent one is left: it may be back */
    assert_int_equal(node_choice(&w, 0x7, 0x1), 0);
    w.tried = 0x7;
    assert_int_equal(node_choice(&w, 0x7, 0x1), -1);
}

static void test_bootstrap_sessions_are_spread(void **state)
{
    struct node_wish w = {.class = REQUEST_THIS_NODE, .own = -1};
    int seen[8] = {0};

    (void)state;
    for (w.start = 0; w.start < 30; w.start++)
        seen[node_choice(&w, 0x8d, 0x04)]++; /* places 0, 2, 3, 7; 2 is silent */
    assert_int_equal(seen[0], 10);
    assert_int_equal(seen[2], 0);
    assert_int_equal(seen[3], 10);
    assert_int_equal(seen[7], 10);
}

static void test_a_port_that_stands_for_a_node(void **state)
{
    struct node_wish w = {.class = REQUEST_THIS_NODE, .own = 1, .start = 0};

    (void)state;
    assert_int_equal(node_choice(&w, 0x7, 0), 1);
    assert_int_equal(node_choice(&w, 0x7, 0x2), 1); /* nobody else can answer */
    w.class = REQUEST_ANY_NODE;
    assert_int_equal(node_choice(&w, 0x7, 0), 1);
    assert_int_equal(node_choice(&w, 0x7, 0x2), 0);
    assert_int_equal(node_choice(&w, 0x7, 0x7), 1); /* all are silent: its own first */
    w.class = REQUEST_THIS_NODE;
    w.tried = 0x2;
    assert_int_equal(node_choice(&w, 0x7, 0), -1);
    w.own = 63;
    w.tried = 0;
    assert_int_equal(node_choice(&w, (uint64_t)1 << 63, 0), 63);
}

static void test_what_only_one_node_can_answer(void **state)
{
    (void)state;
    assert_int_equal(node_choice_class(WIRE_METADATA), REQUEST_ANY_NODE);
    assert_int_equal(node_choice_class(WIRE_FIND_COORDINATOR), REQUEST_ANY_NODE);
    assert_int_equal(node_choice_class(WIRE_CREATE_TOPICS), REQUEST_ANY_ONCE);
    assert_int_equal(node_choice_class(WIRE_PRODUCE), REQUEST_THIS_NODE);
    assert_int_equal(node_choice_class(WIRE_FETCH), REQUEST_THIS_NODE);
    assert_int_equal(node_choice_class(WIRE_JOIN_GROUP), REQUEST_THIS_NODE);
    assert_int_equal(node_choice_class(9999), REQUEST_THIS_NODE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_silence_is_a_question_without_an_answer),
        cmocka_unit_test(test_a_silent_node_is_passed_over),
        cmocka_unit_test(test_bootstrap_sessions_are_spread),
        cmocka_unit_test(test_a_port_that_stands_for_a_node),
        cmocka_unit_test(test_what_only_one_node_can_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
