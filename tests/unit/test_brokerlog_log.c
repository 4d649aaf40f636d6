/* SPDX-License-Identifier: Apache-2.0
 * A partition's log from outside: what was appended is read, after restarts and crashes too; a torn tail is cut at
 * every byte; indexes are rebuilt; validation, lookups, rolling, retention, truncation. */
#include "brokerlog_util.h"

#include <fcntl.h>
#include <sys/stat.h>

static void appended_is_read(void **state)
{
    struct bench_log t;
    struct plog_region region;
    struct buf out;
    (void)state;

    setup(&t);
    buf_init(&out, 0);
    assert_int_equal(append_ok(&t, (struct batch_args){.count = 3}), 0);
    assert_int_equal(append_ok(&t, (struct batch_args){.count = 5, .codec = WIRE_CODEC_LZ4}), 3);
    assert_int_equal(append_ok(&t, (struct batch_args){.count = 1}), 8);
    assert_int_equal(plog_end_offset(t.log), 9);
    assert_int_equal(read_all(&t, 0, &out), 9);
    /* an offset within a batch gives the whole batch */
    buf_clear(&out);
    must(&t, plog_fetch(t.log, 5, 1 << 20, PLOG_READ_REPLICATED, true, &out, &region, &t.why));
    assert_int_equal(region.base_offset, 3);
    assert_int_equal(region.next_offset, 9);
    /* min_one gives one batch, whole, however little was asked for; without it nothing fits */
    buf_clear(&out);
    must(&t, plog_fetch(t.log, 5, 1, PLOG_READ_REPLICATED, true, &out, &region, &t.why));
    assert_int_equal(region.next_offset, 8);
    buf_clear(&out);
    must(&t, plog_fetch(t.log, 5, 1, PLOG_READ_REPLICATED, false, &out, &region, &t.why));
    assert_int_equal(out.n, 0);
    /* at the end: empty; beyond it and before the start: an error */
    must(&t, plog_read(t.log, 9, 100, PLOG_READ_REPLICATED, true, &region, &t.why));
    assert_int_equal(region.bytes, 0);
    assert_int_equal(plog_read(t.log, 10, 100, PLOG_READ_REPLICATED, true, &region, NULL), ERR_OFFSET_OUT_OF_RANGE);
    assert_int_equal(plog_read(t.log, -1, 100, PLOG_READ_REPLICATED, true, &region, NULL), ERR_OFFSET_OUT_OF_RANGE);
    /* the high watermark bounds readers, not followers */
    plog_set_high_watermark(t.log, 3);
    buf_clear(&out);
    must(&t, plog_fetch(t.log, 0, 1 << 20, PLOG_READ_REPLICATED, true, &out, &region, &t.why));
    assert_int_equal(region.next_offset, 3);
    must(&t, plog_read(t.log, 4, 100, PLOG_READ_REPLICATED, true, &region, &t.why));
    assert_int_equal(region.bytes, 0);
    buf_free(&out);
    teardown(&t);
}

static void restarts_keep_all(void **state)
{
    struct bench_log t;
    struct buf before, after;
    (void)state;

    setup(&t);
    buf_init(&before, 0);
    buf_init(&after, 0);
    t.config.segment_bytes = 20000;
    plog_set_config(t.log, &t.config);
    for (int i = 0; i < 200; i++)
        append_ok(&t, (struct batch_args){.count = 1 + i % 7, .value_n = 100});
    assert_true(plog_segment_count(t.log) > 3);
    read_all(&t, 0, &before);
    must(&t, plog_close(t.log, &t.why));
    must(&t, open_with(&t, true, 0));
    read_all(&t, 0, &after);
    assert_true(slice_eq(buf_slice(&before), buf_slice(&after)));
    append_ok(&t, (struct batch_args){.count = 2});
    crash_and_reopen(&t);
    buf_clear(&after);
    read_all(&t, 0, &after);
    assert_true(after.n > before.n && memcmp(after.p, before.p, before.n) == 0);
    for (int64_t o = 0; o < plog_end_offset(t.log); o += 13) {
        struct plog_region region;
        must(&t, plog_read(t.log, o, 1, PLOG_READ_TO_END, true, &region, &t.why));
        assert_true(region.bytes && region.base_offset <= o && region.base_offset + 7 > o);
    }
    buf_free(&before);
    buf_free(&after);
    teardown(&t);
}

/* Cut the file at every byte of the last batch: all before it stays, a new append goes on. */
static void torn_tail_at_every_byte(void **state)
{
    struct bench_log t;
    struct stat st;
    char path[128];
    struct buf bytes;
    int64_t keep;
    (void)state;

    setup(&t);
    buf_init(&bytes, 0);
    append_ok(&t, (struct batch_args){.count = 4});
    keep = plog_size(t.log);
    append_ok(&t, (struct batch_args){.count = 2});
    file_path(&t, 0, ".log", path);
    assert_int_equal(fs_read_file(path, &bytes, NULL), ERR_OK);
    for (int64_t cut = keep; cut < (int64_t)bytes.n; cut++) {
        int64_t garbage = cut % 3 ? 0 : 40; /* sometimes zeros follow, as after a machine's crash */
        assert_int_equal(fs_write_file(path, slice_of(bytes.p, (size_t)cut), 0644, NULL), ERR_OK);
        assert_int_equal(truncate(path, cut + garbage), 0);
        crash_and_reopen(&t);
        /* zeros in place of the last bytes may well be those bytes; the CRC decides */
        assert_int_equal(plog_end_offset(t.log), 4);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_size, keep);
        assert_int_equal(append_ok(&t, (struct batch_args){.count = 1}), 4);
        assert_int_equal(count_all(&t), 5);
    }
    buf_free(&bytes);
    teardown(&t);
}

static void flip(const char *path, int64_t at)
{
    int fd = open(path, O_RDWR);
    uint8_t b;
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &b, 1, at), 1);
    b ^= 0x40;
    assert_int_equal(pwrite(fd, &b, 1, at), 1);
    close(fd);
}

static void corrupt_middle_ends_the_log(void **state)
{
    struct bench_log t;
    char path[128];
    int64_t second;
    (void)state;

    setup(&t);
    log_set_level(LOG_ERROR + 1);
    t.config.segment_bytes = 5000;
    plog_set_config(t.log, &t.config);
    append_ok(&t, (struct batch_args){.count = 4});
    second = plog_size(t.log);
    for (int i = 0; i < 50; i++)
        append_ok(&t, (struct batch_args){.count = 1, .value_n = 500});
    assert_true(plog_segment_count(t.log) > 3);
    plog_abandon(t.log);
    file_path(&t, 0, ".log", path);
    flip(path, second + 90);
    must(&t, open_with(&t, false, 0));
    assert_int_equal(plog_end_offset(t.log), 4);
    assert_int_equal(plog_segment_count(t.log), 1);
    assert_int_equal(append_ok(&t, (struct batch_args){.count = 1}), 4);
    crash_and_reopen(&t);
    assert_int_equal(count_all(&t), 5);
    teardown(&t);
}

static void broken_indexes_are_rebuilt(void **state)
{
    static const char *const suffixes[] = {".index", ".timeindex"};
    struct bench_log t;
    int64_t end;
    (void)state;

    setup(&t);
    log_set_level(LOG_ERROR);
    t.config.segment_bytes = 60000;
    plog_set_config(t.log, &t.config);
    for (int i = 0; i < 100; i++)
        append_ok(&t, (struct batch_args){.timestamp = NOW_MS + i, .value_n = 2000});
    end = plog_end_offset(t.log);
    assert_true(plog_segment_count(t.log) > 2);
    for (int round = 0; round < 8; round++) {
        char path[128];
        struct plog_region region;
        struct plog_at at;
        file_path(&t, 0, suffixes[round % 2], path);
        must(&t, plog_close(t.log, &t.why));
        if (round < 2)
            assert_int_equal(unlink(path), 0);
        else if (round < 4)
            assert_int_equal(truncate(path, 13), 0);
        else
            flip(path, round < 6 ? 4 + 4 * (round % 2) : 20); /* an entry that lies */
        must(&t, open_with(&t, true, 0));
        assert_int_equal(plog_end_offset(t.log), end);
        for (int64_t o = 0; o < end; o++) {
            must(&t, plog_read(t.log, o, 1, PLOG_READ_TO_END, true, &region, &t.why));
            assert_int_equal(region.base_offset, o);
        }
        must(&t, plog_offset_for_time(t.log, NOW_MS + 90, &at, &t.why));
        assert_int_equal(at.offset, 90);
    }
    teardown(&t);
}

static void times_are_found(void **state)
{
    struct bench_log t;
    struct plog_at at;
    (void)state;

    setup(&t);
    t.config.segment_bytes = 30000;
    t.config.message_timestamp_after_max_ms = INT64_MAX;
    plog_set_config(t.log, &t.config);
    must(&t, plog_offset_for_time(t.log, 0, &at, &t.why));
    assert_int_equal(at.offset, -1);
    for (int i = 0; i < 100; i++)
        append_ok(&t, (struct batch_args){.timestamp = NOW_MS + 100 * i, .count = 3, .value_n = 500});
    for (int i = 0; i < 100; i++) {
        must(&t, plog_offset_for_time(t.log, NOW_MS + 100 * i, &at, &t.why));
        assert_int_equal(at.offset, 3 * i);
        assert_int_equal(at.timestamp, NOW_MS + 100 * i);
        must(&t, plog_offset_for_time(t.log, NOW_MS + 100 * i + 2, &at, &t.why));
        assert_int_equal(at.offset, 3 * i + 2);
        must(&t, plog_offset_for_time(t.log, NOW_MS + 100 * i - 1, &at, &t.why));
        assert_int_equal(at.offset, 3 * i);
    }
    must(&t, plog_offset_for_time(t.log, NOW_MS + 100 * 100, &at, &t.why));
    assert_int_equal(at.offset, -1);
    append_ok(&t, (struct batch_args){.timestamp = NOW_MS - 5000});
    must(&t, plog_offset_of_max_time(t.log, &at, &t.why));
    assert_int_equal(at.offset, 299);
    must(&t, plog_advance_start(t.log, 50, &t.why));
    must(&t, plog_offset_for_time(t.log, 0, &at, &t.why));
    assert_int_equal(at.offset, 50);
    teardown(&t);
}

static void bad_batches_are_refused(void **state)
{
    struct bench_log t;
    struct plog_appended out;
    struct buf b;
    (void)state;

    setup(&t);
    buf_init(&b, 0);
    make_batch(&b, (struct batch_args){.count = 3});
    b.p[70] ^= 1;
    assert_int_equal(append_bytes(&t, buf_slice(&b), 0, &out), ERR_CORRUPT_MESSAGE);
    b.p[70] ^= 1;
    assert_int_equal(append_bytes(&t, slice_of(b.p, b.n - 1), 0, &out), ERR_CORRUPT_MESSAGE);
    b.p[RECORD_BATCH_MAGIC_AT] = 1;
    assert_int_equal(append_bytes(&t, buf_slice(&b), 0, &out), ERR_INVALID_RECORD);
    b.p[RECORD_BATCH_MAGIC_AT] = 2;
    make_batch(&b, (struct batch_args){.count = 3});
    assert_int_equal(append_bytes(&t, buf_slice(&b), 0, &out), ERR_INVALID_RECORD); /* two batches */
    b.n /= 2;
    b.p[7] = 1;
    assert_int_equal(append_bytes(&t, buf_slice(&b), 0, &out), ERR_INVALID_RECORD); /* base offset */
    buf_clear(&b);
    assert_int_equal(record_batch_put_end_txn(&b, 0, 0, NOW_MS, 1, 0, true, 0), ERR_OK);
    assert_int_equal(append_bytes(&t, buf_slice(&b), 0, &out), ERR_INVALID_RECORD); /* a control batch */
    t.config.max_message_bytes = 200;
    plog_set_config(t.log, &t.config);
    assert_int_equal(append_batch(&t, (struct batch_args){.value_n = 300}, &out), ERR_MESSAGE_TOO_LARGE);
    t.config.max_message_bytes = 1 << 20;
    t.config.segment_bytes = 1000;
    plog_set_config(t.log, &t.config);
    assert_int_equal(append_batch(&t, (struct batch_args){.value_n = 2000}, &out), ERR_RECORD_LIST_TOO_LARGE);
    t.config.cleanup_policy = PLOG_CLEANUP_COMPACT;
    plog_set_config(t.log, &t.config);
    assert_int_equal(append_batch(&t, (struct batch_args){.count = 3, .keyless = true}, &out), ERR_INVALID_RECORD);
    assert_int_equal(out.record_error_count, 3);
    assert_int_equal(out.record_errors[2].index, 2);
    assert_int_equal(append_batch(&t, (struct batch_args){.timestamp = NOW_MS + 3600000, .count = 2}, &out),
                     ERR_INVALID_TIMESTAMP);
    assert_int_equal(out.record_error_count, 1);
    assert_int_equal(out.record_errors[0].index, 1);
    t.config.message_timestamp_before_max_ms = 1000;
    plog_set_config(t.log, &t.config);
    assert_int_equal(append_batch(&t, (struct batch_args){.timestamp = NOW_MS - 2000}, &out), ERR_INVALID_TIMESTAMP);
    assert_int_equal(plog_end_offset(t.log), 0);
    buf_free(&b);
    teardown(&t);
}

static void stored_form_follows_the_topic(void **state)
{
    struct bench_log t;
    struct plog_region region;
    struct record_batch b;
    struct buf out;
    struct plog_appended done;
    (void)state;

    setup(&t);
    buf_init(&out, 0);
    for (int codec = 0; codec < WIRE_CODEC_COUNT; codec++) {
        for (int from = 0; from < WIRE_CODEC_COUNT; from++) {
            int64_t at;
            t.config.compression_type = codec;
            t.config.message_timestamp_type = from & 1;
            plog_set_config(t.log, &t.config);
            must(&t, append_batch(&t, (struct batch_args){.count = 4, .codec = from, .timestamp = 1000}, &done));
            at = done.first_offset;
            assert_int_equal(done.log_append_time_ms, from & 1 ? NOW_MS : -1);
            buf_clear(&out);
            must(&t, plog_fetch(t.log, at, 1 << 20, PLOG_READ_TO_END, true, &out, &region, &t.why));
            assert_int_equal(record_batch_parse(buf_slice(&out), &b, NULL), ERR_OK);
            assert_int_equal(record_batch_check_crc(&b, NULL), ERR_OK);
            assert_int_equal(record_batch_codec(&b), codec);
            assert_int_equal(b.base_offset, at);
            assert_int_equal(b.max_timestamp, from & 1 ? NOW_MS : 1003);
        }
    }
    crash_and_reopen(&t);
    assert_int_equal(count_all(&t), 4 * WIRE_CODEC_COUNT * WIRE_CODEC_COUNT);
    buf_free(&out);
    teardown(&t);
}

static void epochs_are_remembered(void **state)
{
    struct bench_log t;
    struct plog_appended out;
    struct buf b;
    int32_t epoch;
    int64_t end;
    (void)state;

    setup(&t);
    buf_init(&b, 0);
    make_batch(&b, (struct batch_args){.count = 10});
    must(&t, append_bytes(&t, buf_slice(&b), 1, &out));
    must(&t, append_bytes(&t, buf_slice(&b), 1, &out));
    must(&t, append_bytes(&t, buf_slice(&b), 4, &out));
    for (int round = 0; round < 2; round++) {
        plog_end_offset_for_epoch(t.log, 4, &epoch, &end);
        assert_int_equal(epoch, 4);
        assert_int_equal(end, 30);
        plog_end_offset_for_epoch(t.log, 3, &epoch, &end);
        assert_int_equal(epoch, 1);
        assert_int_equal(end, 20);
        plog_end_offset_for_epoch(t.log, 0, &epoch, &end);
        assert_int_equal(epoch, 0);
        assert_int_equal(end, 0);
        plog_end_offset_for_epoch(t.log, 5, &epoch, &end);
        assert_int_equal(epoch, -1);
        assert_int_equal(end, -1);
        assert_int_equal(plog_epoch_of_offset(t.log, 19), 1);
        crash_and_reopen(&t);
    }
    must(&t, plog_truncate(t.log, 20, &t.why));
    assert_int_equal(plog_end_offset(t.log), 20);
    assert_int_equal(plog_leader_epoch(t.log), 1);
    assert_int_equal(count_all(&t), 20);
    crash_and_reopen(&t);
    assert_int_equal(plog_leader_epoch(t.log), 1);
    assert_int_equal(count_all(&t), 20);
    buf_free(&b);
    teardown(&t);
}

static void followers_keep_offsets(void **state)
{
    struct bench_log leader, follower;
    struct plog_appended out;
    struct buf a, b;
    (void)state;

    setup(&leader);
    setup(&follower);
    buf_init(&a, 0);
    buf_init(&b, 0);
    for (int i = 0; i < 20; i++)
        append_ok(&leader, (struct batch_args){.count = 3});
    read_all(&leader, 0, &a);
    must(&follower, plog_append_follower(follower.log, slice_of(a.p, a.n - 5), &out, &follower.why));
    assert_int_equal(plog_end_offset(follower.log), 57);
    must(&follower, plog_append_follower(follower.log, buf_slice(&a), &out, &follower.why));
    assert_int_equal(plog_end_offset(follower.log), 60);
    read_all(&follower, 0, &b);
    assert_true(slice_eq(buf_slice(&a), buf_slice(&b)));
    must(&follower, plog_truncate_fully(follower.log, 1000, &follower.why));
    assert_int_equal(plog_start_offset(follower.log), 1000);
    assert_int_equal(plog_end_offset(follower.log), 1000);
    buf_free(&a);
    buf_free(&b);
    teardown(&leader);
    teardown(&follower);
}

static void retention_drops_whole_segments(void **state)
{
    struct bench_log t;
    struct plog_region region;
    char path[128];
    (void)state;

    setup(&t);
    t.config.segment_bytes = 10000;
    t.config.retention_bytes = 30000;
    t.config.file_delete_delay_ms = 1000;
    plog_set_config(t.log, &t.config);
    for (int i = 0; i < 100; i++)
        append_ok(&t, (struct batch_args){.value_n = 1000});
    must(&t, plog_tick(t.log, NOW_MS, &t.why));
    assert_int_equal(plog_start_offset(t.log), 0); /* not by the way */
    must(&t, plog_retain(t.log, NOW_MS, &t.why));
    assert_in_range(plog_size(t.log), 30000, 40000);
    assert_true(plog_start_offset(t.log) > 50);
    assert_int_equal(plog_read(t.log, 0, 1, PLOG_READ_TO_END, true, &region, NULL), ERR_OFFSET_OUT_OF_RANGE);
    file_path(&t, 0, ".log.deleted", path);
    assert_true(fs_exists(path));
    must(&t, plog_tick(t.log, NOW_MS + 1000, &t.why));
    assert_false(fs_exists(path));
    /* by time: all of it, the active segment is rolled first; offsets go on */
    t.config.retention_ms = 1000;
    plog_set_config(t.log, &t.config);
    must(&t, plog_tick(t.log, NOW_MS + 5000, &t.why));
    assert_true(plog_start_offset(t.log) < 100);
    must(&t, plog_retain(t.log, NOW_MS + 5000, &t.why));
    assert_int_equal(plog_start_offset(t.log), 100);
    assert_int_equal(plog_segment_count(t.log), 1);
    assert_int_equal(append_ok(&t, (struct batch_args){.count = 1}), 100);
    crash_and_reopen(&t);
    assert_int_equal(plog_start_offset(t.log), 100);
    assert_int_equal(count_all(&t), 1);
    /* DeleteRecords */
    append_ok(&t, (struct batch_args){.count = 5});
    must(&t, plog_advance_start(t.log, 103, &t.why));
    assert_int_equal(plog_read(t.log, 102, 1, PLOG_READ_TO_END, true, &region, NULL), ERR_OFFSET_OUT_OF_RANGE);
    assert_int_equal(plog_advance_start(t.log, 107, NULL), ERR_OFFSET_OUT_OF_RANGE);
    must(&t, plog_advance_start(t.log, -1, &t.why));
    assert_int_equal(plog_start_offset(t.log), 106);
    teardown(&t);
}

static void segments_roll_by_time(void **state)
{
    struct bench_log t;
    (void)state;

    setup(&t);
    t.config.segment_ms = 1000;
    plog_set_config(t.log, &t.config);
    append_ok(&t, (struct batch_args){.timestamp = NOW_MS});
    append_ok(&t, (struct batch_args){.timestamp = NOW_MS + 900});
    assert_int_equal(plog_segment_count(t.log), 1);
    append_ok(&t, (struct batch_args){.timestamp = NOW_MS + 1100});
    assert_int_equal(plog_segment_count(t.log), 2);
    assert_int_equal(count_all(&t), 3);
    teardown(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appended_is_read),
        cmocka_unit_test(restarts_keep_all),
        cmocka_unit_test(torn_tail_at_every_byte),
        cmocka_unit_test(corrupt_middle_ends_the_log),
        cmocka_unit_test(broken_indexes_are_rebuilt),
        cmocka_unit_test(times_are_found),
        cmocka_unit_test(bad_batches_are_refused),
        cmocka_unit_test(stored_form_follows_the_topic),
        cmocka_unit_test(epochs_are_remembered),
        cmocka_unit_test(followers_keep_offsets),
        cmocka_unit_test(retention_drops_whole_segments),
        cmocka_unit_test(segments_roll_by_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
