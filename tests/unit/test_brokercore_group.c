/* SPDX-License-Identifier: Apache-2.0
 * The classic group protocol under a clock of its own: rebalances, static members, timeouts, fencing. */
#include "tests/unit/brokercore_group_util.h"

static const struct who R0 = {.topics = {"t"}};

static const struct group *the_group(const struct bench *b)
{
    return group_find(&b->table, slice_str("g"));
}

static struct who as(const char *id)
{
    struct who w = R0;
    w.id = id;
    w.version = 5;
    return w;
}

/* Two members through their first rebalance; returns with the group stable in generation 1, "a" leading. */
struct pair {
    const char *a, *b;
};

static struct pair stable_pair(struct bench *b)
{
    struct ask ja, jb, sa, sb;
    struct pair p;
    struct who wa, wb;

    p.a = join_new(b, R0, &ja);
    p.b = join_new(b, R0, &jb);
    assert_false(ja.answered || jb.answered);
    advance(b, 6100); /* the initial delay, once more for the second member */
    assert_true(ja.answered && jb.answered);
    assert_int_equal(ja.w.answer.join.error_code, 0);
    assert_int_equal(ja.w.answer.join.generation_id, 1);
    assert_int_equal(ja.w.answer.join.members.n, 2);
    assert_int_equal(jb.w.answer.join.members.n, 0);
    assert_true(slice_eq_str(jb.w.answer.join.leader, p.a));
    assert_true(slice_eq_str(jb.w.answer.join.protocol_name, "range"));
    wa = as(p.a);
    wb = as(p.b);
    sync_as(b, &wb, 1, NULL, 0, &sb);
    assert_false(sb.answered);
    sync_as(b, &wa, 1, (const char *const[]){p.a, p.b}, 2, &sa);
    assert_true(sa.answered && sb.answered);
    assert_true(slice_eq_str(sa.w.answer.sync.assignment, p.a));
    assert_true(slice_eq_str(sb.w.answer.sync.assignment, p.b));
    assert_int_equal(the_group(b)->state, GROUP_STABLE);
    ask_free(&ja);
    ask_free(&jb);
    ask_free(&sa);
    ask_free(&sb);
    return p;
}

static struct bench *bench_new(void)
{
    struct bench *b = malloc(sizeof *b);
    assert_non_null(b);
    bench_init(b);
    return b;
}

static void done(struct bench *b)
{
    bench_free(b);
    free(b);
}

static void test_two_members(void **state)
{
    struct bench *b = bench_new();
    struct pair p = stable_pair(b);
    struct who wa = as(p.a), wb = as(p.b);
    struct ask jc, ja, jb, sa;
    const char *c;
    (void)state;

    assert_int_equal(beat(b, &wa, 1), ERR_OK);
    assert_int_equal(beat(b, &wa, 0), ERR_ILLEGAL_GENERATION);
    c = join_new(b, R0, &jc); /* a third one: everybody is called again */
    assert_int_equal(the_group(b)->state, GROUP_PREPARING);
    assert_int_equal(beat(b, &wa, 1), ERR_REBALANCE_IN_PROGRESS);
    join(b, &wa, &ja);
    assert_false(ja.answered);
    join(b, &wb, &jb);
    assert_true(ja.answered && jb.answered && jc.answered);
    assert_int_equal(ja.w.answer.join.generation_id, 2);
    assert_int_equal(ja.w.answer.join.members.n, 3);
    sync_as(b, &wa, 2, (const char *const[]){p.a, c}, 2, &sa); /* b is given nothing */
    assert_true(sa.answered);
    ask_free(&sa);
    sync_as(b, &wb, 2, NULL, 0, &sa);
    assert_true(sa.answered);
    assert_int_equal(sa.w.answer.sync.assignment.n, 0);
    assert_int_equal(leave(b, &wa), ERR_OK);
    assert_int_equal(leave(b, &wa), ERR_UNKNOWN_MEMBER_ID);
    assert_int_equal(the_group(b)->state, GROUP_PREPARING);
    assert_int_equal(leave(b, &wb), ERR_OK);
    wa = as(c);
    assert_int_equal(leave(b, &wa), ERR_OK);
    assert_int_equal(the_group(b)->state, GROUP_EMPTY);
    assert_int_equal(the_group(b)->generation, 3);
    ask_free(&ja);
    ask_free(&jb);
    ask_free(&jc);
    ask_free(&sa);
    done(b);
}

static void test_refusals(void **state)
{
    struct bench *b = bench_new();
    struct who w = R0;
    struct ask a;
    (void)state;

    w.group = "";
    join(b, &w, &a);
    assert_int_equal(a.w.answer.join.error_code, ERR_INVALID_GROUP_ID);
    ask_free(&a);
    w.group = NULL;
    w.session_ms = 5999;
    join(b, &w, &a);
    assert_int_equal(a.w.answer.join.error_code, ERR_INVALID_SESSION_TIMEOUT);
    ask_free(&a);
    w.session_ms = 0;
    w.id = "nobody";
    join(b, &w, &a);
    assert_int_equal(a.w.answer.join.error_code, ERR_UNKNOWN_MEMBER_ID);
    ask_free(&a);
    sync_as(b, &w, 1, NULL, 0, &a);
    assert_int_equal(a.w.answer.sync.error_code, ERR_UNKNOWN_MEMBER_ID);
    ask_free(&a);
    assert_int_equal(beat(b, &w, 1), ERR_UNKNOWN_MEMBER_ID);
    assert_null(the_group(b)); /* none of that left a group behind */
    stable_pair(b);
    w = (struct who){.topics = {"t"}, .protocols = {"sticky"}};
    join(b, &w, &a);
    assert_int_equal(a.w.answer.join.error_code, ERR_INCONSISTENT_GROUP_PROTOCOL);
    ask_free(&a);
    b->table.config.members_max = 2;
    join(b, &R0, &a);
    assert_int_equal(a.w.answer.join.error_code, ERR_GROUP_MAX_SIZE_REACHED);
    ask_free(&a);
    done(b);
}

/* Votes go to each member's first protocol that all speak. */
static void test_protocol_choice(void **state)
{
    struct bench *b = bench_new();
    struct who w = {.topics = {"t"}, .protocols = {"roundrobin", "range"}};
    struct ask a[3];
    (void)state;

    join(b, &w, &a[0]);
    w.protocols[0] = "range";
    w.protocols[1] = "roundrobin";
    join(b, &w, &a[1]);
    w.protocols[0] = "sticky";
    w.protocols[1] = "range";
    w.protocols[2] = "roundrobin";
    join(b, &w, &a[2]);
    advance(b, 9000);
    for (int i = 0; i < 3; i++) {
        assert_true(a[i].answered);
        assert_true(slice_eq_str(a[i].w.answer.join.protocol_name, "range"));
        ask_free(&a[i]);
    }
    done(b);
}

static void test_member_times_out(void **state)
{
    struct bench *b = bench_new();
    struct pair p = stable_pair(b);
    struct who wa = as(p.a), wb = as(p.b);
    struct ask ja;
    (void)state;

    for (int i = 0; i < 2; i++) { /* b is silent */
        advance(b, 4900);
        assert_int_equal(beat(b, &wa, 1), ERR_OK);
    }
    advance(b, 300);
    assert_int_equal(the_group(b)->state, GROUP_PREPARING);
    assert_int_equal(beat(b, &wb, 1), ERR_UNKNOWN_MEMBER_ID);
    join(b, &wa, &ja);
    assert_true(ja.answered); /* nobody else to wait for */
    assert_int_equal(ja.w.answer.join.generation_id, 2);
    assert_int_equal(ja.w.answer.join.members.n, 1);
    ask_free(&ja);
    advance(b, 60000); /* it never syncs, and its session ends */
    assert_int_equal(the_group(b)->state, GROUP_EMPTY);
    done(b);
}

/* Who does not come back within the rebalance timeout is left behind. */
static void test_absent_member(void **state)
{
    struct bench *b = bench_new();
    struct pair p = stable_pair(b);
    struct who wa = as(p.a), wb = as(p.b);
    struct ask ja;
    (void)state;

    join(b, &wa, &ja); /* the leader joins again: a rebalance */
    for (int i = 0; i < 12; i++) {
        assert_int_equal(beat(b, &wb, 1), ERR_REBALANCE_IN_PROGRESS); /* alive, but does not join */
        assert_false(ja.answered);
        advance(b, 5000);
    }
    advance(b, 100);
    assert_true(ja.answered);
    assert_int_equal(ja.w.answer.join.members.n, 1);
    assert_int_equal(beat(b, &wb, 1), ERR_UNKNOWN_MEMBER_ID);
    ask_free(&ja);
    done(b);
}

static void test_promised_id_runs_out(void **state)
{
    struct bench *b = bench_new();
    struct who w = {.topics = {"t"}, .version = 5};
    struct ask a;
    (void)state;

    join(b, &w, &a);
    assert_int_equal(a.w.answer.join.error_code, ERR_MEMBER_ID_REQUIRED);
    ask_free(&a);
    assert_non_null(the_group(b));
    advance(b, 10001);
    assert_null(the_group(b));
    done(b);
}

/* The one who joined and never synced holds the group up only for the rebalance timeout. */
static void test_missing_sync(void **state)
{
    struct bench *b = bench_new();
    struct ask ja, jb, sb;
    const char *x = join_new(b, R0, &ja), *y = join_new(b, R0, &jb);
    struct who wx = as(x), wy = as(y);
    (void)state;

    advance(b, 6100);
    sync_as(b, &wy, 1, NULL, 0, &sb);
    for (int i = 0; i < 13; i++) { /* the leader heartbeats but does not assign */
        beat(b, &wx, 1);
        advance(b, 5000);
    }
    assert_true(sb.answered);
    assert_int_equal(sb.w.answer.sync.error_code, ERR_REBALANCE_IN_PROGRESS);
    assert_int_equal(beat(b, &wx, 1), ERR_UNKNOWN_MEMBER_ID);
    assert_int_equal(beat(b, &wy, 1), ERR_REBALANCE_IN_PROGRESS);
    ask_free(&ja);
    ask_free(&jb);
    ask_free(&sb);
    done(b);
}

/* ---- Static members ---- */

static struct pair stable_static(struct bench *b, int version)
{
    struct who w1 = {.topics = {"t"}, .instance = "i1", .version = version};
    struct who w2 = {.topics = {"t"}, .instance = "i2", .version = version};
    struct ask j1, j2, s1, s2;
    struct pair p;

    join(b, &w1, &j1);
    join(b, &w2, &j2);
    advance(b, 6100);
    assert_true(j1.answered && j2.answered);
    p.a = arena_strdup(&b->arena, j1.w.answer.join.member_id);
    p.b = arena_strdup(&b->arena, j2.w.answer.join.member_id);
    w1.id = p.a;
    w2.id = p.b;
    sync_as(b, &w1, 1, (const char *const[]){p.a, p.b}, 2, &s1);
    sync_as(b, &w2, 1, NULL, 0, &s2);
    assert_true(s1.answered && s2.answered);
    ask_free(&j1);
    ask_free(&j2);
    ask_free(&s1);
    ask_free(&s2);
    return p;
}

static void static_comes_back(int version, bool leader)
{
    struct bench *b = bench_new();
    struct pair p = stable_static(b, version);
    struct who w = {.topics = {"t"}, .instance = leader ? "i1" : "i2", .version = version};
    struct who old = w;
    struct ask j, s;

    join(b, &w, &j); /* restarted, without an id: no rebalance */
    assert_true(j.answered);
    assert_int_equal(j.w.answer.join.error_code, 0);
    assert_int_equal(j.w.answer.join.generation_id, 1);
    assert_int_equal(the_group(b)->state, GROUP_STABLE);
    assert_int_equal(j.w.answer.join.skip_assignment, leader && version >= 9);
    assert_int_equal(j.w.answer.join.members.n, leader && version >= 9 ? 2 : 0);
    if (leader && version < 9)
        assert_true(slice_eq_str(j.w.answer.join.leader, p.a)); /* not itself: it must not assign */
    w.id = arena_strdup(&b->arena, j.w.answer.join.member_id);
    old.id = leader ? p.a : p.b;
    assert_string_not_equal(w.id, old.id);
    assert_int_equal(beat(b, &old, 1), ERR_FENCED_INSTANCE_ID);
    assert_int_equal(beat(b, &w, 1), ERR_OK);
    sync_as(b, &w, 1, NULL, 0, &s);
    assert_true(s.answered);
    assert_true(slice_eq_str(s.w.answer.sync.assignment, old.id)); /* what the old one had */
    ask_free(&s);
    sync_as(b, &old, 1, NULL, 0, &s);
    assert_int_equal(s.w.answer.sync.error_code, ERR_FENCED_INSTANCE_ID);
    ask_free(&s);
    ask_free(&j);
    done(b);
}

static void test_static_restart(void **state)
{
    (void)state;
    static_comes_back(5, false);
    static_comes_back(5, true);
    static_comes_back(9, false);
    static_comes_back(9, true);
}

static void test_static_replacement_survives_failover(void **state)
{
    struct bench *b = bench_new();
    struct who w = {.topics = {"t"}, .instance = "i2", .version = 5};
    struct group_table again;
    const struct group *g;
    struct ask j;
    (void)state;

    stable_static(b, 5);
    join(b, &w, &j);
    replay(b, &again);
    g = group_find(&again, slice_str("g"));
    assert_int_equal(g->state, GROUP_STABLE);
    assert_int_equal(g->generation, 1);
    assert_int_equal(map_count(&g->members), 2);
    assert_true(map_has(&g->members, j.w.answer.join.member_id));
    assert_string_equal(g->leader->instance_id, "i1");
    assert_true(group_is_subscribed(g, slice_str("t")));
    assert_false(group_is_subscribed(g, slice_str("u")));
    group_table_free(&again);
    ask_free(&j);
    done(b);
}

/* Joining again under the same instance while the rebalance goes on fences the first one. */
static void test_static_fenced_while_joining(void **state)
{
    struct bench *b = bench_new();
    struct who w = {.topics = {"t"}, .instance = "i1", .version = 5};
    struct ask first, second;
    (void)state;

    join(b, &w, &first);
    join(b, &w, &second);
    assert_true(first.answered);
    assert_int_equal(first.w.answer.join.error_code, ERR_FENCED_INSTANCE_ID);
    assert_false(second.answered);
    advance(b, 6100);
    assert_true(second.answered);
    assert_int_equal(second.w.answer.join.error_code, 0);
    assert_int_equal(second.w.answer.join.members.n, 1);
    ask_free(&first);
    ask_free(&second);
    done(b);
}

/* A static member that is away keeps its place through a rebalance, until its session ends. */
static void test_static_absent_keeps_place(void **state)
{
    struct bench *b = bench_new();
    struct who w = {.topics = {"t"}, .instance = "i1", .version = 5, .rebalance_ms = 7000};
    struct who back = {.topics = {"t"}, .instance = "i2", .version = 5, .rebalance_ms = 7000};
    struct pair p = stable_static(b, 5);
    struct ask j, k;
    (void)state;

    w.id = p.a;
    back.id = p.b;
    back.topics[0] = "u"; /* changed: a rebalance */
    join(b, &back, &k);
    join(b, &w, &j);
    assert_true(j.answered && k.answered);
    ask_free(&j);
    ask_free(&k);
    sync_as(b, &back, 2, NULL, 0, &k);
    sync_as(b, &w, 2, (const char *const[]){p.a, p.b}, 2, &j);
    assert_true(j.answered && k.answered);
    ask_free(&j);
    ask_free(&k);
    join(b, &w, &j); /* the leader again; i2 does not come within the rebalance timeout of 7 s */
    advance(b, 7001);
    assert_true(j.answered);
    assert_int_equal(j.w.answer.join.generation_id, 3);
    assert_int_equal(j.w.answer.join.members.n, 2); /* still there */
    ask_free(&j);
    assert_int_equal(leave(b, &(struct who){.instance = "i3"}), ERR_UNKNOWN_MEMBER_ID);
    assert_int_equal(leave(b, &(struct who){.instance = "i2", .id = "other"}), ERR_FENCED_INSTANCE_ID);
    assert_int_equal(leave(b, &(struct who){.instance = "i2"}), ERR_OK); /* an administrator's removal */
    done(b);
}

static void test_rejoin_of_known_members(void **state)
{
    struct bench *b = bench_new();
    struct pair p = stable_pair(b);
    struct who wa = as(p.a), wb = as(p.b);
    struct ask j, k, s;
    (void)state;

    join(b, &wb, &j); /* a follower with nothing new gets the generation again */
    assert_true(j.answered);
    assert_int_equal(j.w.answer.join.generation_id, 1);
    assert_int_equal(the_group(b)->state, GROUP_STABLE);
    ask_free(&j);
    join(b, &wa, &j); /* the leader always rebalances */
    assert_int_equal(the_group(b)->state, GROUP_PREPARING);
    join(b, &wa, &k); /* and again, on a new connection */
    assert_true(j.answered);
    ask_free(&j);
    join(b, &wb, &j);
    assert_true(k.answered && j.answered);
    assert_int_equal(the_group(b)->state, GROUP_COMPLETING);
    ask_free(&j);
    join(b, &wb, &j); /* the answer was lost: the same again */
    assert_true(j.answered);
    assert_int_equal(j.w.answer.join.generation_id, 2);
    ask_free(&j);
    sync_as(b, &wb, 2, NULL, 0, &s);
    wb.topics[0] = "u"; /* a change ends the generation for all who sync */
    join(b, &wb, &j);
    assert_true(s.answered);
    assert_int_equal(s.w.answer.sync.error_code, ERR_REBALANCE_IN_PROGRESS);
    assert_false(j.answered);
    advance(b, 120000);
    assert_true(j.answered);
    ask_free(&s);
    ask_free(&j);
    ask_free(&k);
    done(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_members),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_protocol_choice),
        cmocka_unit_test(test_member_times_out),
        cmocka_unit_test(test_absent_member),
        cmocka_unit_test(test_promised_id_runs_out),
        cmocka_unit_test(test_missing_sync),
        cmocka_unit_test(test_static_restart),
        cmocka_unit_test(test_static_replacement_survives_failover),
        cmocka_unit_test(test_static_fenced_while_joining),
        cmocka_unit_test(test_static_absent_keeps_place),
        cmocka_unit_test(test_rejoin_of_known_members),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
