/* SPDX-License-Identifier: Apache-2.0
 * Countdown faults: the n-th I/O call fails, for every n until the workload passes untouched. Whatever fails, what was
 * acknowledged is there after reopening (cleanly or as after a crash), in its place, and the log takes appends again.
 */
#include "brokerlog_util.h"

enum { ACKED_MAX = 200 };

struct acked {
    int64_t offset[ACKED_MAX];
    int64_t stamp[ACKED_MAX]; /* its timestamp tells one batch from another */
    int n;
};

static void try_append(struct bench_log *t, struct acked *a, int64_t stamp, struct batch_args args)
{
    struct plog_appended out;

    /* Tried again until it is taken: a fault fires once, a failed log is opened again. */
    for (int attempt = 0; attempt < 4; attempt++) {
        enum err e;
        if (!t->log && open_with(t, false, 0))
            continue;
        args.timestamp = NOW_MS + stamp;
        e = append_batch(t, args, &out);
        if (!e) {
            a->offset[a->n] = out.first_offset;
            a->stamp[a->n++] = args.timestamp;
            return;
        }
        assert_true(e == ERR_DISK_FULL || e == ERR_IO || e == ERR_KAFKA_STORAGE_ERROR);
        if (attempt && e == ERR_KAFKA_STORAGE_ERROR) {
            plog_abandon(t->log);
            t->log = NULL;
        }
    }
    fail_msg("an append was refused four times: %s", t->why.text);
}

static void ensure_open(struct bench_log *t)
{
    if (!t->log && open_with(t, false, 0))
        must(t, open_with(t, false, 0));
}

/* Errors of upkeep are the caller's to see; here only their consequences matter. */
static void ignore(enum err e)
{
    (void)e;
}

static void workload(struct bench_log *t, struct acked *a)
{
    struct plog_marker abort_it = {7, 0, 0, false};
    struct plog_appended out;

    for (int i = 0; i < 12; i++)
        try_append(t, a, i, (struct batch_args){.count = 2, .value_n = 700});
    ignore(plog_flush(t->log, &t->why));
    try_append(t, a, 20, (struct batch_args){.producer = true, .producer_id = 7, .transactional = true});
    ensure_open(t);
    ignore(plog_append_marker(t->log, &abort_it, 0, NOW_MS, &out, &t->why));
    ignore(plog_roll(t->log, NOW_MS, &t->why));
    try_append(t, a, 21, (struct batch_args){.count = 3, .codec = WIRE_CODEC_ZSTD});
    ensure_open(t);
    ignore(plog_tick(t->log, NOW_MS, &t->why));
    ignore(plog_retain(t->log, NOW_MS, &t->why));
    {
        bool clean = plog_close(t->log, &t->why) == ERR_OK;
        t->log = NULL;
        if (open_with(t, clean, 0))
            must(t, open_with(t, false, 0));
    }
    for (int i = 30; i < 36; i++)
        try_append(t, a, i, (struct batch_args){.count = 1, .value_n = 900});
}

static void verify(struct bench_log *t, const struct acked *a)
{
    struct buf out;
    int64_t last = -1;

    buf_init(&out, 0);
    for (int i = 0; i < a->n; i++) {
        struct plog_region region;
        struct record_batch b;
        buf_clear(&out);
        must(t, plog_fetch(t->log, a->offset[i], 1, PLOG_READ_TO_END, true, &out, &region, &t->why));
        assert_int_equal(record_batch_parse(buf_slice(&out), &b, NULL), ERR_OK);
        assert_int_equal(record_batch_check_crc(&b, NULL), ERR_OK);
        assert_int_equal(b.base_offset, a->offset[i]);
        assert_int_equal(b.base_timestamp, a->stamp[i]);
        assert_true(b.base_offset > last);
        last = record_batch_last_offset(&b);
    }
    assert_true(count_all(t) > 0);
    buf_free(&out);
}

static void run(bool end_clean)
{
    bool fired = true;

    for (int n = 0; fired; n++) {
        struct bench_log t;
        struct acked a = {0};
        setup(&t);
        log_set_level(LOG_ERROR + 1);
        t.config.segment_bytes = 4000;
        t.config.index_interval_bytes = 1000;
        plog_set_config(t.log, &t.config);
        t.env.fault_countdown = n;
        workload(&t, &a);
        fired = t.env.fault_fired;
        t.env.fault_countdown = -1;
        verify(&t, &a);
        if (end_clean) {
            bool clean = plog_close(t.log, &t.why) == ERR_OK;
            t.log = NULL;
            must(&t, open_with(&t, clean, 0));
        } else {
            crash_and_reopen(&t);
        }
        verify(&t, &a);
        append_ok(&t, (struct batch_args){.count = 1});
        assert_true(n < 2000);
        if (!fired)
            print_message("%d I/O calls failed in turn\n", n);
        teardown(&t);
    }
}

static void every_fault_then_a_crash(void **state)
{
    (void)state;
    run(false);
}

static void every_fault_then_a_clean_end(void **state)
{
    (void)state;
    run(true);
}

/* Opening itself: every call of a recovery fails once; the next try succeeds and finds all. */
static void every_fault_of_opening(void **state)
{
    bool fired = true;
    (void)state;

    for (int n = 0; fired; n++) {
        struct bench_log t;
        struct acked a = {0};
        enum err e;
        setup(&t);
        log_set_level(LOG_ERROR + 1);
        t.config.segment_bytes = 4000;
        plog_set_config(t.log, &t.config);
        for (int i = 0; i < 12; i++)
            try_append(&t, &a, i, (struct batch_args){.count = 2, .value_n = 700});
        plog_abandon(t.log);
        t.log = NULL;
        t.env.fault_countdown = n;
        e = open_with(&t, false, 0);
        fired = t.env.fault_fired;
        t.env.fault_countdown = -1;
        if (e)
            must(&t, open_with(&t, false, 0));
        verify(&t, &a);
        teardown(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_fault_then_a_crash),
        cmocka_unit_test(every_fault_then_a_clean_end),
        cmocka_unit_test(every_fault_of_opening),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
