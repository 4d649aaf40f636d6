/* SPDX-License-Identifier: Apache-2.0
 * Idempotence and transactions of a partition: the rules as a table, the last stable offset, aborted transactions, and
 * that the state after a recovery is the live one. */
#include "brokerlog_util.h"

#include "broker/log/producer_state.h"

struct row {
    const char *name;
    int16_t epoch;
    int32_t first, last; /* sequences */
    bool transactional, client;
    enum err expected;
    bool duplicate;
};

static struct producer_append append_of(const struct row *r, int64_t offset)
{
    return (struct producer_append){
        .producer_id = 1,
        .epoch = r->epoch,
        .base_sequence = r->first,
        .last_sequence = r->last,
        .first_offset = offset,
        .last_offset = offset + (int32_t)(((uint32_t)r->last - (uint32_t)r->first) & 0x7fffffff),
        .max_timestamp = 1000,
        .transactional = r->transactional,
    };
}

static void play(const struct row *rows, size_t n)
{
    struct producer_state s;
    int64_t offset = 0;

    producer_state_init(&s);
    for (size_t i = 0; i < n; i++) {
        struct producer_append a = append_of(&rows[i], offset);
        struct reason why;
        bool duplicate = producer_duplicate(&s, &a) != NULL;
        enum err e = duplicate ? ERR_OK : producer_check(&s, &a, rows[i].client, &why);
        if (e != rows[i].expected || duplicate != rows[i].duplicate)
            fail_msg("%s: %s, duplicate %d", rows[i].name, err_name(e), duplicate);
        if (e || duplicate)
            continue;
        assert_int_equal(producer_reserve(&s, 1), ERR_OK);
        producer_apply(&s, &a);
        offset = a.last_offset + 1;
    }
    producer_state_free(&s);
}

static void rules(void **state)
{
    static const struct row ordinary[] = {
        {"a producer nothing is known of may begin anywhere", 0, 5, 9, false, true, ERR_OK, false},
        {"the next in line", 0, 10, 10, false, true, ERR_OK, false},
        {"the same again", 0, 10, 10, false, true, ERR_OK, true},
        {"an earlier one again", 0, 5, 9, false, true, ERR_OK, true},
        {"part of an earlier one", 0, 5, 8, false, true, ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, false},
        {"a gap", 0, 12, 12, false, true, ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, false},
        {"a new epoch must begin at 0", 1, 11, 11, false, true, ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, false},
        {"a new epoch begins at 0", 1, 0, 0, false, true, ERR_OK, false},
        {"the old epoch is fenced", 0, 11, 11, false, true, ERR_INVALID_PRODUCER_EPOCH, false},
        {"the old epoch's batches are no duplicates now", 0, 10, 10, false, true, ERR_INVALID_PRODUCER_EPOCH, false},
        {"a coordinator's batch is not asked for its sequence", 1, 40, 40, false, false, ERR_OK, false},
    };
    static const struct row wrapping[] = {
        {"up to the last sequence", 0, INT32_MAX - 1, INT32_MAX, false, true, ERR_OK, false},
        {"over it", 0, 0, 3, false, true, ERR_OK, false},
        {"the one at the edge again", 0, INT32_MAX - 1, INT32_MAX, false, true, ERR_OK, true},
        {"a batch around the edge is out of order here", 0, INT32_MAX, 2, false, true, ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
         false},
    };
    static const struct row around[] = {
        {"begin", 0, INT32_MAX - 3, INT32_MAX - 1, false, true, ERR_OK, false},
        {"a batch around the edge", 0, INT32_MAX, 2, false, true, ERR_OK, false},
        {"it again", 0, INT32_MAX, 2, false, true, ERR_OK, true},
        {"after it", 0, 3, 3, false, true, ERR_OK, false},
    };
    static const struct row six[] = {
        {"1", 0, 0, 0, false, true, ERR_OK, false},
        {"2", 0, 1, 1, false, true, ERR_OK, false},
        {"3", 0, 2, 2, false, true, ERR_OK, false},
        {"4", 0, 3, 3, false, true, ERR_OK, false},
        {"5", 0, 4, 4, false, true, ERR_OK, false},
        {"6", 0, 5, 5, false, true, ERR_OK, false},
        {"the second is one of five", 0, 1, 1, false, true, ERR_OK, true},
        {"the first is forgotten", 0, 0, 0, false, true, ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, false},
    };
    static const struct row transactions[] = {
        {"begin", 0, 0, 0, true, true, ERR_OK, false},
        {"a plain batch within", 0, 1, 1, false, true, ERR_INVALID_TXN_STATE, false},
        {"go on", 0, 1, 1, true, true, ERR_OK, false},
    };
    (void)state;
#define PLAY(rows) play(rows, sizeof rows / sizeof *(rows))
    PLAY(ordinary);
    PLAY(wrapping);
    PLAY(around);
    PLAY(six);
    PLAY(transactions);
}

static void retries_get_the_first_offset(void **state)
{
    struct bench_log t;
    struct plog_appended out;
    struct batch_args a = {.producer = true, .producer_id = 9, .count = 3};
    (void)state;

    setup(&t);
    append_ok(&t, (struct batch_args){.count = 2});
    must(&t, append_batch(&t, a, &out));
    assert_int_equal(out.first_offset, 2);
    must(&t, append_batch(&t, a, &out));
    assert_true(out.duplicate);
    assert_int_equal(out.first_offset, 2);
    assert_int_equal(out.last_offset, 4);
    assert_int_equal(plog_end_offset(t.log), 5);
    crash_and_reopen(&t);
    must(&t, append_batch(&t, a, &out));
    assert_true(out.duplicate);
    assert_int_equal(out.first_offset, 2);
    a.sequence = 5;
    assert_int_equal(append_batch(&t, a, &out), ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    a.sequence = 3;
    must(&t, append_batch(&t, a, &out));
    assert_int_equal(out.first_offset, 5);
    teardown(&t);
}

static int64_t txn(struct bench_log *t, int64_t id, int32_t sequence, int count)
{
    return append_ok(
        t, (struct batch_args){
               .producer = true, .producer_id = id, .sequence = sequence, .count = count, .transactional = true});
}

static void check_aborted(struct bench_log *t, int64_t from, int64_t to, size_t expected, int64_t first_id)
{
    const struct plog_aborted *list;
    size_t n;
    must(t, plog_aborted_between(t->log, from, to, &t->arena, &list, &n));
    assert_int_equal(n, expected);
    if (n)
        assert_int_equal(list[0].producer_id, first_id);
}

static void stable_offset_follows_transactions(void **state)
{
    struct bench_log t;
    struct plog_marker old = {1, 0, -1, true};
    struct plog_appended out;
    struct plog_region region;
    struct buf bytes;
    (void)state;

    setup(&t);
    buf_init(&bytes, 0);
    append_ok(&t, (struct batch_args){.count = 2});
    assert_int_equal(plog_stable_offset(t.log), 2);
    txn(&t, 1, 0, 3);                               /* 2..4 */
    txn(&t, 2, 0, 1);                               /* 5 */
    append_ok(&t, (struct batch_args){.count = 1}); /* 6 */
    assert_int_equal(plog_stable_offset(t.log), 2);
    assert_true(plog_txn_is_open(t.log, 1));
    append_marker(&t, 2, 0, false); /* 7: aborts 5 */
    assert_int_equal(plog_stable_offset(t.log), 2);
    must(&t, plog_fetch(t.log, 0, 1 << 20, PLOG_READ_STABLE, true, &bytes, &region, &t.why));
    assert_int_equal(region.next_offset, 2);
    append_marker(&t, 1, 0, true); /* 8 */
    assert_false(plog_txn_is_open(t.log, 1));
    assert_int_equal(plog_stable_offset(t.log), 9);
    check_aborted(&t, 0, 9, 1, 2);
    check_aborted(&t, 0, 5, 0, 0);
    check_aborted(&t, 8, 9, 0, 0);
    /* a marker counts once it is replicated */
    txn(&t, 1, 3, 1);                                                                                   /* 9 */
    must(&t, plog_append_marker(t.log, &(struct plog_marker){1, 0, 5, true}, 0, NOW_MS, &out, &t.why)); /* 10 */
    plog_set_high_watermark(t.log, 10);
    assert_int_equal(plog_stable_offset(t.log), 9);
    plog_set_high_watermark(t.log, 11);
    assert_int_equal(plog_stable_offset(t.log), 11);
    /* an older coordinator and an older producer epoch are fenced */
    old.coordinator_epoch = 4;
    assert_int_equal(plog_append_marker(t.log, &old, 0, NOW_MS, &out, NULL), ERR_TRANSACTION_COORDINATOR_FENCED);
    append_marker(&t, 2, 3, false); /* 11: an epoch bump without data */
    assert_int_equal(plog_stable_offset(t.log), 12);
    assert_int_equal(
        append_batch(&t, (struct batch_args){.producer = true, .producer_id = 2, .sequence = 1, .epoch = 2}, &out),
        ERR_INVALID_PRODUCER_EPOCH);
    assert_int_equal(plog_append_marker(t.log, &(struct plog_marker){2, 2, 0, true}, 0, NOW_MS, &out, NULL),
                     ERR_INVALID_PRODUCER_EPOCH);
    buf_free(&bytes);
    teardown(&t);
}

static void state_bytes(struct bench_log *t, struct buf *out)
{
    struct plog_producer p;
    const struct plog_aborted *list;
    size_t n;

    buf_printf(out, "end %lld stable %lld\n", (long long)plog_end_offset(t->log),
               (long long)plog_stable_offset(t->log));
    for (size_t at = 0; plog_producer_at(t->log, &at, &p);)
        buf_printf(out, "%lld/%d seq %d at %lld coordinator %d open %lld\n", (long long)p.producer_id, p.producer_epoch,
                   p.last_sequence, (long long)p.last_timestamp, p.coordinator_epoch, (long long)p.txn_start_offset);
    must(t, plog_aborted_between(t->log, 0, plog_end_offset(t->log), &t->arena, &list, &n));
    for (size_t i = 0; i < n; i++)
        buf_printf(out, "aborted %lld %lld-%lld stable %lld\n", (long long)list[i].producer_id,
                   (long long)list[i].first_offset, (long long)list[i].last_offset,
                   (long long)list[i].last_stable_offset);
}

/* A few hundred random steps over several segments; after each of many restarts the state is what it was. */
static void recovery_gives_the_live_state(void **state)
{
    struct bench_log t;
    int32_t sequence[5] = {0};
    int16_t epoch[5] = {0};
    uint64_t seed = 12345;
    (void)state;

    setup(&t);
    t.config.segment_bytes = 3000;
    plog_set_config(t.log, &t.config);
    for (int step = 0; step < 400; step++) {
        int id = (int)((seed = seed * 6364136223846793005u + 1442695040888963407u) >> 33) % 5;
        int what = (int)(seed >> 40) % 10;
        if (what < 6) {
            append_ok(&t, (struct batch_args){.producer = true,
                                              .producer_id = id,
                                              .epoch = epoch[id],
                                              .sequence = sequence[id],
                                              .count = 2,
                                              .transactional = true});
            sequence[id] += 2;
        } else if (what < 9) {
            append_marker(&t, id, epoch[id], what == 6);
        } else {
            append_marker(&t, id, ++epoch[id], false);
            sequence[id] = 0;
        }
        if (step % 20 == 19) {
            struct buf live, again;
            buf_init(&live, 0);
            buf_init(&again, 0);
            state_bytes(&t, &live);
            if (step % 40 == 39) {
                must(&t, plog_close(t.log, &t.why));
                must(&t, open_with(&t, true, 0));
            } else {
                crash_and_reopen(&t);
            }
            state_bytes(&t, &again);
            assert_string_equal(buf_cstr(&live), buf_cstr(&again));
            buf_free(&live);
            buf_free(&again);
        }
    }
    assert_true(plog_segment_count(t.log) > 5);
    teardown(&t);
}

static void snapshots_are_read_back(void **state)
{
    struct producer_state s, again;
    struct reason why = {0};
    struct buf bytes;
    (void)state;

    producer_state_init(&s);
    producer_state_init(&again);
    buf_init(&bytes, 0);
    for (int64_t id = 1; id <= 3; id++) {
        struct producer_append a = {.producer_id = id,
                                    .epoch = 4,
                                    .base_sequence = 7,
                                    .last_sequence = 9,
                                    .first_offset = 10 * id,
                                    .last_offset = 10 * id + 2,
                                    .max_timestamp = 1000,
                                    .transactional = id == 2};
        assert_int_equal(producer_reserve(&s, id), ERR_OK);
        producer_apply(&s, &a);
    }
    assert_int_equal(producer_snapshot_encode(&s, &bytes), ERR_OK);
    assert_int_equal(bytes.n, 10 + 3 * 46); /* version, CRC, count; Kafka's entry */
    assert_int_equal(producer_snapshot_decode(&again, buf_slice(&bytes), 1000, 5000, &why), ERR_OK);
    for (int64_t id = 1; id <= 3; id++) {
        const struct producer_entry *e = producer_find(&again, id);
        assert_non_null(e);
        assert_int_equal(e->epoch, 4);
        assert_int_equal(e->batch_count, 1);
        assert_int_equal(e->batches[0].last_sequence, 9);
        assert_int_equal(e->batches[0].last_offset, 10 * id + 2);
        assert_int_equal(e->txn_first_offset, id == 2 ? 20 : -1);
    }
    assert_int_equal(producer_first_unstable(&again), 20);
    producer_state_free(&s);
    producer_state_free(&again);
    buf_free(&bytes);
}

static void broken_snapshots_are_replaced_by_the_log(void **state)
{
    struct bench_log t;
    struct buf live, again;
    char path[128];
    (void)state;

    setup(&t);
    log_set_level(LOG_ERROR);
    buf_init(&live, 0);
    buf_init(&again, 0);
    txn(&t, 1, 0, 3);
    txn(&t, 2, 0, 1);
    append_marker(&t, 1, 0, false);
    state_bytes(&t, &live);
    must(&t, plog_close(t.log, &t.why));
    file_path(&t, 5, ".snapshot", path);
    assert_true(fs_exists(path));
    assert_int_equal(truncate(path, 20), 0);
    must(&t, open_with(&t, true, 0));
    state_bytes(&t, &again);
    assert_string_equal(buf_cstr(&live), buf_cstr(&again));
    buf_free(&live);
    buf_free(&again);
    teardown(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules),
        cmocka_unit_test(retries_get_the_first_offset),
        cmocka_unit_test(stable_offset_follows_transactions),
        cmocka_unit_test(recovery_gives_the_live_state),
        cmocka_unit_test(snapshots_are_read_back),
        cmocka_unit_test(broken_snapshots_are_replaced_by_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
