/* SPDX-License-Identifier: Apache-2.0
 * Compaction: the last value of each key stays at its offset, tombstones and markers wait for their horizon, aborted
 * data goes, sequence numbers stay known, and no fault in the middle loses anything. */
#include "brokerlog_util.h"

static void put(struct bench_log *t, const char *key, int value_n)
{
    append_ok(t, (struct batch_args){.key = key, .value_n = value_n});
}

static void compact_at(struct bench_log *t, int64_t now_ms)
{
    bool done = false;
    for (int i = 0; !done; i++) {
        must(t, plog_clean(t->log, now_ms, 500, &done, &t->why));
        assert_true(i < 10000);
    }
}

static void compacted(struct bench_log *t)
{
    setup(t);
    t->config.cleanup_policy = PLOG_CLEANUP_COMPACT;
    t->config.min_cleanable_dirty_ratio = 0;
    plog_set_config(t->log, &t->config);
}

/* "key@offset " of every record, a tombstone with a minus; batches without records as "-" */
static void contents(struct bench_log *t, struct buf *out)
{
    struct buf bytes, scratch;
    struct slice rest;
    struct record_batch b;
    bool more;

    buf_init(&bytes, 0);
    buf_init(&scratch, 0);
    read_all(t, plog_start_offset(t->log), &bytes);
    rest = buf_slice(&bytes);
    while (assert_int_equal(record_batches_next(&rest, &b, &more, NULL), ERR_OK), more) {
        struct record_iter it;
        struct record r;
        bool record;
        if (!b.record_count)
            buf_put_str(out, "- ");
        assert_int_equal(record_iter_open(&it, &b, &scratch, 0, NULL), ERR_OK);
        while (assert_int_equal(record_iter_next(&it, &r, &record, NULL), ERR_OK), record) {
            if (record_batch_is_control(&b))
                buf_printf(out, "marker@%lld ", (long long)r.offset);
            else
                buf_printf(out, "%s%.*s@%lld ", r.value.p ? "" : "-", SLICE_FMT(r.key), (long long)r.offset);
        }
    }
    buf_free(&bytes);
    buf_free(&scratch);
}

static void expect(struct bench_log *t, const char *text)
{
    struct buf b;
    buf_init(&b, 0);
    contents(t, &b);
    assert_string_equal(buf_cstr(&b), text);
    buf_free(&b);
}

static void last_values_stay(void **state)
{
    struct bench_log t;
    (void)state;

    compacted(&t);
    put(&t, "a", 10);
    put(&t, "b", 10);
    put(&t, "a", 10);
    append_ok(&t, (struct batch_args){.count = 3, .codec = WIRE_CODEC_GZIP}); /* keys 0 1 2 */
    put(&t, "1", 10);
    assert_true(plog_clean_wanted(t.log, NOW_MS) == 0.0); /* the active segment is never compacted */
    must(&t, plog_roll(t.log, NOW_MS, &t.why));
    put(&t, "b", 10);
    assert_true(plog_clean_wanted(t.log, NOW_MS) > 0);
    compact_at(&t, NOW_MS);
    expect(&t, "b@1 a@2 0@3 2@5 1@6 b@7 ");
    assert_int_equal(plog_cleaned_to(t.log), 7);
    assert_true(plog_clean_wanted(t.log, NOW_MS) == 0.0);
    must(&t, plog_roll(t.log, NOW_MS, &t.why));
    put(&t, "z", 10);
    compact_at(&t, NOW_MS);
    expect(&t, "a@2 0@3 2@5 1@6 b@7 z@8 ");
    assert_int_equal(plog_segment_count(t.log), 2); /* the two small ones became one */
    crash_and_reopen(&t);
    expect(&t, "a@2 0@3 2@5 1@6 b@7 z@8 ");
    teardown(&t);
}

static void tombstones_wait(void **state)
{
    struct bench_log t;
    (void)state;

    compacted(&t);
    t.config.delete_retention_ms = 1000;
    plog_set_config(t.log, &t.config);
    put(&t, "a", 10);
    put(&t, "b", 10);
    put(&t, "a", -1);
    must(&t, plog_roll(t.log, NOW_MS, &t.why));
    put(&t, "c", 10);
    compact_at(&t, NOW_MS);
    expect(&t, "b@1 -a@2 c@3 ");
    must(&t, plog_roll(t.log, NOW_MS, &t.why));
    put(&t, "d", 10);
    compact_at(&t, NOW_MS + 500);
    expect(&t, "b@1 -a@2 c@3 d@4 ");
    must(&t, plog_roll(t.log, NOW_MS, &t.why));
    put(&t, "e", 10);
    compact_at(&t, NOW_MS + 1000);
    expect(&t, "b@1 c@3 d@4 e@5 ");
    teardown(&t);
}

static void transactions_are_respected(void **state)
{
    struct bench_log t;
    struct batch_args a = {.producer = true, .producer_id = 1, .transactional = true, .key = "k"};
    const struct plog_aborted *list;
    struct plog_appended out;
    size_t n;
    (void)state;

    compacted(&t);
    t.config.delete_retention_ms = 1000;
    plog_set_config(t.log, &t.config);
    put(&t, "k", 10);               /* 0 */
    append_ok(&t, a);               /* 1: aborted, so it does not replace 0 */
    append_marker(&t, 1, 0, false); /* 2 */
    a.sequence = 1;
    a.key = "j";
    append_ok(&t, a);              /* 3: committed */
    append_marker(&t, 1, 0, true); /* 4 */
    a.sequence = 2;
    a.key = "open";
    must(&t, plog_roll(t.log, NOW_MS, &t.why));
    append_ok(&t, a); /* 5: open */
    put(&t, "k", 10); /* 6: past the stable offset, so it does not count yet */
    must(&t, plog_roll(t.log, NOW_MS, &t.why));
    put(&t, "x", 10);
    compact_at(&t, NOW_MS);
    expect(&t, "k@0 marker@2 j@3 marker@4 open@5 k@6 x@7 ");
    must(&t, plog_aborted_between(t.log, 0, 8, &t.arena, &list, &n));
    assert_int_equal(n, 1);
    append_marker(&t, 1, 0, true); /* 8 */
    must(&t, plog_roll(t.log, NOW_MS, &t.why));
    put(&t, "y", 10);
    compact_at(&t, NOW_MS);
    /* the aborted marker's data is gone: its horizon is set now */
    expect(&t, "marker@2 j@3 marker@4 open@5 k@6 x@7 marker@8 y@9 ");
    must(&t, plog_roll(t.log, NOW_MS, &t.why));
    put(&t, "z", 10);
    compact_at(&t, NOW_MS + 2000);
    expect(&t, "j@3 marker@4 open@5 k@6 x@7 marker@8 y@9 z@10 ");
    crash_and_reopen(&t);
    expect(&t, "j@3 marker@4 open@5 k@6 x@7 marker@8 y@9 z@10 ");
    a.sequence = 3;
    must(&t, append_batch(&t, a, &out)); /* the sequence is still known */
    teardown(&t);
}

static void sequences_outlive_their_records(void **state)
{
    struct bench_log t;
    struct batch_args a = {.producer = true, .producer_id = 1, .key = "k", .count = 1};
    struct plog_appended out;
    (void)state;

    compacted(&t);
    append_ok(&t, a);
    a.sequence = 1;
    append_ok(&t, a);
    put(&t, "k", 10);
    must(&t, plog_roll(t.log, NOW_MS, &t.why));
    put(&t, "x", 10);
    compact_at(&t, NOW_MS);
    expect(&t, "- k@2 x@3 ");
    plog_abandon(t.log);
    for (int64_t o = 3; o <= 4; o++) { /* without the snapshots the log alone must tell */
        char path[128];
        file_path(&t, o, ".snapshot", path);
        unlink(path);
    }
    must(&t, open_with(&t, false, 0));
    must(&t, append_batch(&t, a, &out));
    assert_true(out.duplicate);
    a.sequence = 7;
    assert_int_equal(append_batch(&t, a, &out), ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    teardown(&t);
}

static void lags_are_kept(void **state)
{
    struct bench_log t;
    (void)state;

    compacted(&t);
    t.config.min_compaction_lag_ms = 1000;
    t.config.min_cleanable_dirty_ratio = 0.9;
    t.config.max_compaction_lag_ms = 5000;
    plog_set_config(t.log, &t.config);
    put(&t, "a", 10);
    put(&t, "a", 10);
    must(&t, plog_roll(t.log, NOW_MS, &t.why));
    assert_true(plog_clean_wanted(t.log, NOW_MS + 500) == 0.0);
    assert_true(plog_clean_wanted(t.log, NOW_MS + 1500) > 0);
    compact_at(&t, NOW_MS + 1500);
    expect(&t, "a@1 ");
    put(&t, "b", 1);
    must(&t, plog_roll(t.log, NOW_MS, &t.why));
    assert_true(plog_clean_wanted(t.log, NOW_MS + 1500) == 0.0); /* half of it is clean */
    assert_true(plog_clean_wanted(t.log, NOW_MS + 5500) > 1);    /* but it is old */
    teardown(&t);
}

/* Many keys, many segments, many passes against a table of what must be there. */
static void long_history(void **state)
{
    enum { KEYS = 40 };
    struct bench_log t;
    int64_t last[KEYS];
    uint64_t seed = 99;
    (void)state;

    compacted(&t);
    t.config.segment_bytes = 3000;
    plog_set_config(t.log, &t.config);
    memset(last, -1, sizeof last);
    for (int step = 0; step < 1500; step++) {
        char key[16];
        int k = (int)((seed = seed * 6364136223846793005u + 1442695040888963407u) >> 33) % KEYS;
        snprintf(key, sizeof key, "%d", k);
        last[k] = append_ok(&t, (struct batch_args){.key = key, .value_n = 50, .codec = (enum wire_codec)(k % 5)});
        if (step % 100 == 99)
            compact_at(&t, NOW_MS);
        if (step % 300 == 150)
            crash_and_reopen(&t);
    }
    must(&t, plog_roll(t.log, NOW_MS, &t.why));
    put(&t, "end", 1);
    compact_at(&t, NOW_MS);
    {
        struct buf b;
        int64_t records = count_all(&t);
        assert_int_equal(records, KEYS + 1);
        buf_init(&b, 0);
        contents(&t, &b);
        for (int k = 0; k < KEYS; k++) {
            char text[64];
            snprintf(text, sizeof text, "%d@%lld ", k, (long long)last[k]);
            assert_non_null(strstr(buf_cstr(&b), text));
        }
        buf_free(&b);
    }
    assert_true(plog_segment_count(t.log) <= 4);
    teardown(&t);
}

/* Fail every I/O call of a compaction in turn, crash, reopen: the view of the last values never changes. */
static void every_fault(void **state)
{
    bool fired = true;
    (void)state;

    for (int n = 0; fired; n++) {
        struct bench_log t;
        bool done = false;
        enum err e = ERR_OK;
        struct batch_args a = {.producer = true, .producer_id = 1, .transactional = true, .key = "k"};

        compacted(&t);
        log_set_level(LOG_ERROR + 1);
        append_ok(&t, a);
        append_marker(&t, 1, 0, false);
        for (int i = 0; i < 12; i++) {
            put(&t, i % 2 ? "a" : "b", 100);
            if (i % 4 == 3)
                must(&t, plog_roll(t.log, NOW_MS, &t.why));
        }
        put(&t, "c", 10);
        t.env.fault_countdown = n;
        while (!e && !done)
            e = plog_clean(t.log, NOW_MS, 300, &done, &t.why);
        fired = t.env.fault_fired;
        t.env.fault_countdown = -1;
        if (n % 2)
            crash_and_reopen(&t);
        if (n % 3 == 0) {
            must(&t, plog_truncate(t.log, plog_end_offset(t.log), &t.why));
        }
        if (plog_clean(t.log, NOW_MS, 1 << 20, &done, &t.why) == ERR_OK && plog_clean_wanted(t.log, NOW_MS) == 0.0)
            assert_true(done);
        crash_and_reopen(&t);
        must(&t, plog_clean(t.log, NOW_MS, 1 << 20, &done, &t.why));
        expect(&t, "- marker@1 b@12 a@13 c@14 ");
        assert_true(n < 500);
        if (!fired)
            print_message("%d I/O calls of a compaction failed in turn\n", n);
        teardown(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(last_values_stay),
        cmocka_unit_test(tombstones_wait),
        cmocka_unit_test(transactions_are_respected),
        cmocka_unit_test(sequences_outlive_their_records),
        cmocka_unit_test(lags_are_kept),
        cmocka_unit_test(long_history),
        cmocka_unit_test(every_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
