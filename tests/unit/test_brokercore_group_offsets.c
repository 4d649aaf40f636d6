/* SPDX-License-Identifier: Apache-2.0
 * Committed offsets: who may commit, transactions, deletion, expiry; and that the live table is always what a replay of
 * its log gives (bench_free checks that at the end of every test). */
#include "tests/unit/brokercore_group_util.h"

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

static const struct group_commit SIMPLE = {
    .group_id = {(const uint8_t *)"g", 1}, .member_id = {(const uint8_t *)"", 0}, .generation = -1};
static const struct group_commit IN_TXN = {.group_id = {(const uint8_t *)"g", 1},
                                           .member_id = {(const uint8_t *)"", 0},
                                           .generation = -1,
                                           .transactional = true};

static void delete_group(struct bench *b, enum err expected)
{
    struct record_list records;
    record_list_init(&records);
    assert_int_equal(group_delete(&b->table, slice_str("g"), &records), expected);
    write_and_apply(b, &records, -1);
    record_list_free(&records);
}

static void delete_offset(struct bench *b, const char *topic, int32_t partition)
{
    struct record_list records;
    record_list_init(&records);
    offset_record_remove(&records, slice_str("g"), slice_str(topic), partition);
    write_and_apply(b, &records, -1);
    record_list_free(&records);
}

static void sweep(struct bench *b)
{
    struct record_list records;
    struct group_call c;
    record_list_init(&records);
    group_call_init(&c, b->now_ms, b->now_ms, &records);
    group_table_sweep(&b->table, &c);
    write_and_apply(b, &records, -1);
    record_list_free(&records);
}

/* One member, stable in generation 1. */
static const char *one_member(struct bench *b)
{
    struct who w = {.topics = {"t"}};
    struct ask j, s;
    const char *id = join_new(b, w, &j);

    advance(b, 3100);
    assert_true(j.answered);
    w.id = id;
    sync_as(b, &w, 1, &id, 1, &s);
    assert_true(s.answered);
    ask_free(&j);
    ask_free(&s);
    return id;
}

static void test_simple(void **state)
{
    struct bench *b = bench_new();
    struct group_commit k = SIMPLE;
    (void)state;

    assert_int_equal(committed(&b->table, "g", "t", 0), -1);
    assert_int_equal(commit(b, &k, "t", 0, 7, -1), ERR_OK);
    assert_int_equal(commit(b, &k, "t", 1, 8, -1), ERR_OK);
    assert_int_equal(commit(b, &k, "t", 0, 5, -1), ERR_OK); /* going back is allowed */
    assert_int_equal(committed(&b->table, "g", "t", 0), 5);
    assert_int_equal(committed(&b->table, "g", "t", 1), 8);
    assert_int_equal(committed(&b->table, "g", "t", 2), -1);
    k.generation = 3;
    assert_int_equal(commit(b, &k, "t", 0, 9, -1), ERR_UNKNOWN_MEMBER_ID);
    k.group_id = slice_str("other");
    assert_int_equal(commit(b, &k, "t", 0, 9, -1), ERR_ILLEGAL_GENERATION);
    k.group_id = slice_str("");
    k.generation = -1;
    assert_int_equal(commit(b, &k, "t", 0, 9, -1), ERR_OK); /* old clients commit in the empty group */
    k.transactional = true;
    assert_int_equal(commit(b, &k, "t", 0, 9, -1), ERR_INVALID_GROUP_ID);
    done(b);
}

static void test_members_only(void **state)
{
    struct bench *b = bench_new();
    const char *id = one_member(b);
    struct who w = {.topics = {"t"}, .id = id, .version = 5}, other = {.topics = {"t"}};
    struct group_commit k = {.group_id = slice_str("g"), .member_id = slice_str(id), .generation = 1};
    struct ask j1, j2, s;
    (void)state;

    assert_int_equal(commit(b, &SIMPLE, "t", 0, 1, -1), ERR_UNKNOWN_MEMBER_ID);
    assert_int_equal(commit(b, &k, "t", 0, 1, -1), ERR_OK);
    k.generation = 0;
    assert_int_equal(commit(b, &k, "t", 0, 2, -1), ERR_ILLEGAL_GENERATION);
    k.generation = 1;
    k.instance_id = slice_str("i");
    assert_int_equal(commit(b, &k, "t", 0, 2, -1), ERR_UNKNOWN_MEMBER_ID);
    k.instance_id = SLICE_NULL;
    join_new(b, other, &j2); /* a rebalance begins: the old generation may commit what it has */
    assert_int_equal(commit(b, &k, "t", 0, 3, -1), ERR_OK);
    join(b, &w, &j1);
    assert_true(j1.answered && j2.answered);
    assert_int_equal(commit(b, &k, "t", 0, 4, -1), ERR_ILLEGAL_GENERATION);
    k.generation = 2; /* joined, but not synced */
    assert_int_equal(commit(b, &k, "t", 0, 4, -1), ERR_REBALANCE_IN_PROGRESS);
    sync_as(b, &w, 2, &id, 1, &s);
    assert_int_equal(commit(b, &k, "t", 0, 4, -1), ERR_OK);
    for (int i = 0; i < 3; i++) { /* commits count as heartbeats; the other one is silent and goes */
        advance(b, 9000);
        assert_int_equal(commit(b, &k, "t", 0, 5 + i, -1), ERR_OK);
    }
    assert_int_equal(committed(&b->table, "g", "t", 0), 7);
    ask_free(&j1);
    ask_free(&j2);
    ask_free(&s);
    done(b);
}

static void test_transactions(void **state)
{
    struct bench *b = bench_new();
    const struct group *g;
    (void)state;

    assert_int_equal(commit(b, &IN_TXN, "t", 0, 10, 77), ERR_OK);
    assert_int_equal(committed(&b->table, "g", "t", 0), -2);
    marker(b, 77, false);
    assert_int_equal(committed(&b->table, "g", "t", 0), -1);
    assert_null(group_find(&b->table, slice_str("g"))); /* nothing is left of it */
    assert_int_equal(commit(b, &IN_TXN, "t", 0, 10, 77), ERR_OK);
    assert_int_equal(commit(b, &IN_TXN, "t", 0, 11, 77), ERR_OK); /* again in the same transaction */
    assert_int_equal(commit(b, &IN_TXN, "t", 1, 20, 78), ERR_OK);
    marker(b, 77, true);
    assert_int_equal(committed(&b->table, "g", "t", 0), 11);
    assert_int_equal(committed(&b->table, "g", "t", 1), -2);
    g = group_find(&b->table, slice_str("g"));
    assert_non_null(offsets_find(&g->offsets, slice_str("t"), 1)->staged);
    assert_null(offsets_find(&g->offsets, slice_str("t"), 0)->staged);
    marker(b, 78, true);
    marker(b, 79, true); /* one that staged nothing here */
    assert_int_equal(committed(&b->table, "g", "t", 1), 20);
    done(b);
}

/* Plain and transactional commits of one partition: the one later in the log wins, whenever the marker comes. */
static void test_commit_order(void **state)
{
    struct bench *b = bench_new();
    (void)state;

    assert_int_equal(commit(b, &IN_TXN, "t", 0, 10, 77), ERR_OK);
    assert_int_equal(commit(b, &SIMPLE, "t", 0, 5, -1), ERR_OK);
    marker(b, 77, true);
    assert_int_equal(committed(&b->table, "g", "t", 0), 5);
    assert_int_equal(commit(b, &SIMPLE, "t", 1, 5, -1), ERR_OK);
    assert_int_equal(commit(b, &IN_TXN, "t", 1, 10, 77), ERR_OK);
    marker(b, 77, true);
    assert_int_equal(committed(&b->table, "g", "t", 1), 10);
    assert_int_equal(commit(b, &IN_TXN, "t", 2, 1, 77), ERR_OK);
    assert_int_equal(commit(b, &IN_TXN, "t", 2, 2, 78), ERR_OK);
    marker(b, 78, true);
    marker(b, 77, true);
    assert_int_equal(committed(&b->table, "g", "t", 2), 2);
    assert_int_equal(commit(b, &IN_TXN, "t", 3, 1, 77), ERR_OK);
    assert_int_equal(commit(b, &IN_TXN, "t", 3, 2, 78), ERR_OK);
    marker(b, 78, false);
    marker(b, 77, true);
    assert_int_equal(committed(&b->table, "g", "t", 3), 1);
    /* a tombstone takes what stands before it, staged or not; what is staged after it stays */
    assert_int_equal(commit(b, &IN_TXN, "t", 4, 1, 77), ERR_OK);
    delete_offset(b, "t", 4);
    marker(b, 77, true);
    assert_int_equal(committed(&b->table, "g", "t", 4), -1);
    delete_offset(b, "t", 4);
    assert_int_equal(commit(b, &SIMPLE, "t", 4, 1, -1), ERR_OK);
    delete_offset(b, "t", 4);
    assert_int_equal(commit(b, &IN_TXN, "t", 4, 9, 77), ERR_OK);
    marker(b, 77, true);
    assert_int_equal(committed(&b->table, "g", "t", 4), 9);
    done(b);
}

static void test_transaction_rules(void **state)
{
    struct bench *b = bench_new();
    const char *id = one_member(b);
    struct group_commit k = {
        .group_id = slice_str("g"), .member_id = slice_str(id), .generation = 1, .transactional = true};
    (void)state;

    assert_int_equal(commit(b, &IN_TXN, "t", 0, 1, 77), ERR_OK); /* old producers say nothing of the member */
    assert_int_equal(commit(b, &k, "t", 0, 2, 77), ERR_OK);
    k.generation = 0;
    assert_int_equal(commit(b, &k, "t", 0, 3, 77), ERR_ILLEGAL_GENERATION);
    k.member_id = slice_str("nobody");
    assert_int_equal(commit(b, &k, "t", 0, 3, 77), ERR_UNKNOWN_MEMBER_ID);
    marker(b, 77, true);
    assert_int_equal(committed(&b->table, "g", "t", 0), 2);
    done(b);
}

static void test_delete(void **state)
{
    struct bench *b = bench_new();
    struct who w = {.topics = {"t"}};
    (void)state;

    delete_group(b, ERR_GROUP_ID_NOT_FOUND);
    assert_int_equal(group_check_offset_delete(&b->table, slice_str("g")), ERR_GROUP_ID_NOT_FOUND);
    w.id = one_member(b);
    delete_group(b, ERR_NON_EMPTY_GROUP);
    assert_int_equal(group_check_offset_delete(&b->table, slice_str("g")), ERR_OK);
    assert_true(group_is_subscribed(group_find(&b->table, slice_str("g")), slice_str("t")));
    assert_false(group_is_subscribed(group_find(&b->table, slice_str("g")), slice_str("u")));
    assert_int_equal(leave(b, &w), ERR_OK);
    assert_int_equal(commit(b, &SIMPLE, "t", 0, 1, -1), ERR_OK);
    assert_int_equal(commit(b, &IN_TXN, "t", 1, 1, 77), ERR_OK);
    assert_false(group_is_subscribed(group_find(&b->table, slice_str("g")), slice_str("t")));
    delete_group(b, ERR_OK);
    assert_null(group_find(&b->table, slice_str("g")));
    marker(b, 77, true); /* it does not come back */
    assert_null(group_find(&b->table, slice_str("g")));
    done(b);
}

static void test_topic_deleted(void **state)
{
    struct bench *b = bench_new();
    struct record_list records;
    (void)state;

    commit(b, &SIMPLE, "t", 0, 1, -1);
    commit(b, &SIMPLE, "u", 0, 2, -1);
    commit(b, &IN_TXN, "t", 1, 3, 77);
    record_list_init(&records);
    group_table_forget_topic(&b->table, slice_str("t"), &records);
    assert_int_equal(records.count, 2);
    write_and_apply(b, &records, -1);
    record_list_free(&records);
    marker(b, 77, true);
    assert_int_equal(committed(&b->table, "g", "t", 0), -1);
    assert_int_equal(committed(&b->table, "g", "t", 1), -1);
    assert_int_equal(committed(&b->table, "g", "u", 0), 2);
    done(b);
}

static void test_expiry(void **state)
{
    struct bench *b = bench_new();
    struct who w = {.topics = {"t"}};
    struct group_commit k = {.group_id = slice_str("g"), .generation = 1};
    (void)state;

    w.id = one_member(b);
    k.member_id = slice_str(w.id);
    assert_int_equal(commit(b, &k, "t", 0, 1, -1), ERR_OK);
    assert_int_equal(commit(b, &k, "old", 0, 1, -1), ERR_OK);
    for (int i = 0; i < 500; i++) { /* over an hour of heartbeats */
        advance(b, 8000);
        assert_int_equal(beat(b, &w, 1), ERR_OK);
    }
    sweep(b);
    assert_int_equal(committed(&b->table, "g", "t", 0), 1); /* subscribed to */
    assert_int_equal(committed(&b->table, "g", "old", 0), -1);
    assert_int_equal(leave(b, &w), ERR_OK);
    sweep(b);
    assert_int_equal(committed(&b->table, "g", "t", 0), 1); /* counted from when the group became empty */
    advance(b, 3600 * 1000 - 1);
    sweep(b);
    assert_int_equal(committed(&b->table, "g", "t", 0), 1);
    assert_int_equal(commit(b, &IN_TXN, "t", 1, 1, 77), ERR_OK);
    assert_int_equal(commit(b, &IN_TXN, "t", 0, 2, 77), ERR_OK);
    advance(b, 2);
    sweep(b);
    assert_int_equal(committed(&b->table, "g", "t", 0), 1); /* an open transaction holds it */
    marker(b, 77, false);
    sweep(b);
    assert_null(group_find(&b->table, slice_str("g")));
    done(b);
}

static void test_expire_timestamp(void **state)
{
    struct bench *b = bench_new();
    struct record_list records;
    struct offset_value v = {.offset = 4,
                             .leader_epoch = -1,
                             .metadata = slice_str(""),
                             .commit_ms = b->now_ms,
                             .expire_ms = b->now_ms + 50};
    (void)state;

    record_list_init(&records); /* OffsetCommit up to version 4 says how long */
    offset_record_put(&records, slice_str("g"), slice_str("t"), 0, &v);
    write_and_apply(b, &records, -1);
    record_list_free(&records);
    advance(b, 49);
    sweep(b);
    assert_int_equal(committed(&b->table, "g", "t", 0), 4);
    advance(b, 1);
    sweep(b);
    assert_int_equal(committed(&b->table, "g", "t", 0), -1);
    done(b);
}

/* Records of the newer group protocols, and broken ones, leave the table alone. */
static void test_foreign_records(void **state)
{
    struct bench *b = bench_new();
    struct group_record r = {.key = slice_of("\x00\x03\x00\x01g", 5), .value = slice_of("\x00\x00\x01", 3)};
    (void)state;

    assert_int_equal(group_table_apply(&b->table, &r), ERR_OK);
    r.key = slice_of("\x00\x02\x00\x09g", 5);
    assert_int_equal(group_table_apply(&b->table, &r), ERR_CORRUPT_MESSAGE);
    r.key = slice_of("\x00", 1);
    assert_int_equal(group_table_apply(&b->table, &r), ERR_CORRUPT_MESSAGE);
    r.key = slice_of("\x00\x01\x00\x01g\x00\x01t\x00\x00\x00\x00", 12);
    r.value = slice_of("\x00\x03zz", 4);
    assert_int_equal(group_table_apply(&b->table, &r), ERR_CORRUPT_MESSAGE);
    assert_int_equal(map_count(&b->table.by_id), 0);
    done(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_simple),
        cmocka_unit_test(test_members_only),
        cmocka_unit_test(test_transactions),
        cmocka_unit_test(test_commit_order),
        cmocka_unit_test(test_transaction_rules),
        cmocka_unit_test(test_delete),
        cmocka_unit_test(test_topic_deleted),
        cmocka_unit_test(test_expiry),
        cmocka_unit_test(test_expire_timestamp),
        cmocka_unit_test(test_foreign_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
