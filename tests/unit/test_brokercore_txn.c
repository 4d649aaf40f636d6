/* SPDX-License-Identifier: Apache-2.0
 * The transaction coordinator's decisions: the fence, the states, what a replay of its records gives. */
#include "broker/core/txn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

struct bench {
    struct txn_table t;
    struct record_list records;
    int64_t now_ms;
};

static const struct slice ID = {(const uint8_t *)"tx", 2};

static void bench_init(struct bench *b)
{
    txn_table_init(&b->t, 900000);
    record_list_init(&b->records);
    b->now_ms = 1000;
}

static struct txn_init_result init_ok(struct bench *b, int64_t pid, int16_t epoch, int64_t fresh)
{
    struct txn_init_result r;
    assert_int_equal(txn_init(&b->t, ID, 60000, pid, epoch, fresh, b->now_ms, &b->records, &r), ERR_OK);
    return r;
}

static void add_ok(struct bench *b, int64_t pid, int16_t epoch, const char *topic, int32_t index)
{
    struct txn *x;
    assert_int_equal(txn_check(&b->t, ID, pid, epoch, &x), ERR_OK);
    assert_int_equal(txn_add(x, slice_str(topic), index), ERR_OK);
    txn_added(x, b->now_ms, &b->records);
}

static enum err end(struct bench *b, int64_t pid, int16_t epoch, bool commit, struct txn **x)
{
    return txn_end(&b->t, ID, pid, epoch, commit, b->now_ms, &b->records, x);
}

/* What another coordinator would know from the same log. */
static void assert_replayed(const struct bench *b)
{
    struct txn_table again;
    txn_table_init(&again, 900000);
    for (size_t i = 0; i < b->records.count; i++)
        assert_int_equal(txn_table_apply(&again, record_list_key(&b->records, i), record_list_value(&b->records, i)),
                         ERR_OK);
    assert_int_equal(map_count(&again.by_id), map_count(&b->t.by_id));
    for (const struct map_entry *e = map_first(&b->t.by_id); e; e = map_next(&b->t.by_id, e)) {
        const struct txn *x = e->value, *y = txn_find(&again, map_key(e));
        assert_non_null(y);
        assert_int_equal(x->state, y->state);
        assert_int_equal(x->producer_id, y->producer_id);
        assert_int_equal(x->epoch, y->epoch);
        assert_int_equal(x->timeout_ms, y->timeout_ms);
        assert_int_equal(x->started_ms, y->started_ms);
        assert_int_equal(x->partition_count, y->partition_count);
        for (int32_t i = 0; i < x->partition_count; i++)
            assert_true(txn_has(y, slice_str(x->partitions[i].topic), x->partitions[i].index));
    }
    txn_table_free(&again);
}

static void bench_free(struct bench *b)
{
    assert_replayed(b);
    txn_table_free(&b->t);
    record_list_free(&b->records);
}

static void test_commit_and_abort(void **state)
{
    struct bench b;
    struct txn_init_result r;
    struct txn *x;
    (void)state;

    bench_init(&b);
    assert_int_equal(txn_init(&b.t, ID, 60000, -1, -1, -1, b.now_ms, &b.records, &r), ERR_UNAVAILABLE);
    r = init_ok(&b, -1, -1, 500);
    assert_true(r.used_fresh);
    assert_int_equal(r.producer_id, 500);
    assert_int_equal(r.epoch, 0);
    assert_int_equal(end(&b, 500, 0, true, &x), ERR_INVALID_TXN_STATE);
    add_ok(&b, 500, 0, "t", 0);
    add_ok(&b, 500, 0, "t", 1);
    add_ok(&b, 500, 0, "t", 1);
    assert_replayed(&b);
    assert_int_equal(end(&b, 500, 0, true, &x), ERR_OK);
    assert_non_null(x);
    assert_replayed(&b);
    assert_int_equal(txn_check(&b.t, ID, 500, 0, &x), ERR_CONCURRENT_TRANSACTIONS);
    assert_false(txn_marked(x, slice_str("t"), 0, b.now_ms, &b.records));
    assert_true(txn_marked(x, slice_str("t"), 1, b.now_ms, &b.records));
    assert_int_equal(x->state, TXN_COMPLETE_COMMIT);
    assert_int_equal(end(&b, 500, 0, true, &x), ERR_OK); /* a retry whose answer was lost */
    assert_null(x);
    assert_int_equal(end(&b, 500, 0, false, &x), ERR_INVALID_TXN_STATE);
    add_ok(&b, 500, 0, "u", 0);
    assert_int_equal(end(&b, 500, 0, false, &x), ERR_OK);
    assert_true(txn_marked(x, slice_str("u"), 0, b.now_ms, &b.records));
    assert_int_equal(x->state, TXN_COMPLETE_ABORT);
    bench_free(&b);
}

static void test_fence(void **state)
{
    struct bench b;
    struct txn_init_result r;
    struct txn *x;
    (void)state;

    bench_init(&b);
    init_ok(&b, -1, -1, 500);
    add_ok(&b, 500, 0, "t", 0);
    assert_int_equal(txn_init(&b.t, ID, 60000, -1, -1, -1, b.now_ms, &b.records, &r), ERR_CONCURRENT_TRANSACTIONS);
    assert_non_null(r.to_end); /* the one left open is aborted under a higher epoch */
    x = r.to_end;
    assert_int_equal(x->state, TXN_PREPARE_ABORT);
    assert_int_equal(x->epoch, 1);
    assert_int_equal(end(&b, 500, 0, true, &x), ERR_PRODUCER_FENCED);
    assert_int_equal(txn_init(&b.t, ID, 60000, -1, -1, -1, b.now_ms, &b.records, &r), ERR_CONCURRENT_TRANSACTIONS);
    assert_true(txn_marked(txn_find(&b.t, ID), slice_str("t"), 0, b.now_ms, &b.records));
    r = init_ok(&b, -1, -1, -1);
    assert_int_equal(r.epoch, 2);
    assert_int_equal(txn_check(&b.t, ID, 500, 0, &x), ERR_PRODUCER_FENCED);
    assert_int_equal(txn_check(&b.t, ID, 501, 2, &x), ERR_INVALID_PRODUCER_ID_MAPPING);
    assert_int_equal(txn_init(&b.t, ID, 60000, 500, 1, -1, b.now_ms, &b.records, &r), ERR_PRODUCER_FENCED);
    assert_int_equal(txn_init(&b.t, ID, 900001, 500, 2, -1, b.now_ms, &b.records, &r), ERR_INVALID_TRANSACTION_TIMEOUT);
    bench_free(&b);
}

/* KIP-360: a producer bumps its own epoch; the same request again gives the same answer. */
static void test_bump_and_retry(void **state)
{
    struct bench b;
    struct txn_init_result r;
    (void)state;

    bench_init(&b);
    init_ok(&b, -1, -1, 500);
    r = init_ok(&b, 500, 0, -1);
    assert_int_equal(r.epoch, 1);
    r = init_ok(&b, 500, 0, -1);
    assert_int_equal(r.epoch, 1);
    r = init_ok(&b, 500, 1, -1);
    assert_int_equal(r.epoch, 2);
    bench_free(&b);
}

/* At the last epoch a new producer id is taken. */
static void test_epochs_run_out(void **state)
{
    struct bench b;
    struct txn_init_result r;
    (void)state;

    bench_init(&b);
    init_ok(&b, -1, -1, 500);
    txn_find(&b.t, ID)->epoch = TXN_EPOCH_LAST;
    assert_int_equal(txn_init(&b.t, ID, 60000, -1, -1, -1, b.now_ms, &b.records, &r), ERR_UNAVAILABLE);
    r = init_ok(&b, -1, -1, 501);
    assert_int_equal(r.producer_id, 501);
    assert_int_equal(r.epoch, 0);
    r = init_ok(&b, 500, TXN_EPOCH_LAST, -1); /* the retry of that */
    assert_int_equal(r.producer_id, 501);
    bench_free(&b);
}

static void test_timeout_and_forgetting(void **state)
{
    struct bench b;
    struct txn *x;
    (void)state;

    bench_init(&b);
    init_ok(&b, -1, -1, 500);
    add_ok(&b, 500, 0, "t", 0);
    b.now_ms += 60000;
    assert_null(txn_expire_one(&b.t, b.now_ms, &b.records));
    b.now_ms++;
    x = txn_expire_one(&b.t, b.now_ms, &b.records);
    assert_non_null(x);
    assert_int_equal(x->state, TXN_PREPARE_ABORT);
    assert_int_equal(x->epoch, 1); /* the slow producer is fenced */
    assert_null(txn_expire_one(&b.t, b.now_ms, &b.records));
    txn_forget_unused(&b.t, b.now_ms + 1000000, 1000, &b.records);
    assert_non_null(txn_find(&b.t, ID)); /* not before it has ended */
    assert_true(txn_marked(x, slice_str("t"), 0, b.now_ms, &b.records));
    txn_forget_unused(&b.t, b.now_ms + 999, 1000, &b.records);
    assert_non_null(txn_find(&b.t, ID));
    txn_forget_unused(&b.t, b.now_ms + 1000, 1000, &b.records);
    assert_null(txn_find(&b.t, ID));
    bench_free(&b);
}

/* Values of Java's String.hashCode(), and where Kafka puts a group. */
static void test_partition_of_an_id(void **state)
{
    (void)state;
    assert_int_equal(java_string_hash(slice_str("")), 0);
    assert_int_equal(java_string_hash(slice_str("group")), 98629247);
    assert_int_equal(java_string_hash(slice_str("polygenelubricants")), INT32_MIN);
    assert_int_equal(java_string_hash(slice_str("h\xc3\xa9")), 104 * 31 + 233);
    assert_int_equal(java_string_hash(slice_str("\xf0\x9f\x98\x80")), 0xd83d * 31 + 0xde00);
    assert_int_equal(coordinator_partition(slice_str("polygenelubricants"), 50), 0);
    assert_int_equal(coordinator_partition(slice_str("group"), 50), 98629247 % 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commit_and_abort),       cmocka_unit_test(test_fence),
        cmocka_unit_test(test_bump_and_retry),         cmocka_unit_test(test_epochs_run_out),
        cmocka_unit_test(test_timeout_and_forgetting), cmocka_unit_test(test_partition_of_an_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
