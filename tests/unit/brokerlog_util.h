/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_BROKERLOG_UTIL_H
#define TESTS_UNIT_BROKERLOG_UTIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/log/log.h"
#include "core/base/fs.h"
#include "core/base/log.h"
#include "core/wire/record_batch.h"

/* A log in a fresh folder, a clock that stands at NOW, and batches of numbered records. */
enum { NOW = 1700000001 };
#define NOW_MS ((int64_t)1700000001000)

struct bench_log {
    struct env_test env;
    struct plog_config config;
    char dir[64];
    struct plog *log;
    struct reason why;
    struct arena arena;
};

static inline void must(struct bench_log *t, enum err e)
{
    if (e)
        print_error("%s: %s\n", err_name(e), t->why.text);
    assert_int_equal(e, ERR_OK);
}

static inline enum err open_with(struct bench_log *t, bool clean, int64_t recovery_point)
{
    struct plog_open_args args = {.dir = t->dir,
                                  .config = &t->config,
                                  .env = &t->env.env,
                                  .clean_shutdown = clean,
                                  .recovery_point = recovery_point,
                                  .now_ms = NOW_MS};
    enum err e = plog_open(&t->log, &args, &t->why);
    if (!e)
        plog_set_high_watermark(t->log, INT64_MAX);
    return e;
}

static inline void setup(struct bench_log *t)
{
    memset(t, 0, sizeof *t);
    env_test_init(&t->env, 1);
    plog_config_init(&t->config);
    arena_init(&t->arena, 0);
    snprintf(t->dir, sizeof t->dir, "/tmp/castellan-log-XXXXXX");
    assert_non_null(mkdtemp(t->dir));
    log_set_level(LOG_ERROR);
    must(t, open_with(t, false, 0));
}

static inline void teardown(struct bench_log *t)
{
    plog_abandon(t->log);
    arena_free(&t->arena);
    assert_int_equal(fs_remove_tree(t->dir), ERR_OK);
}

/* As after a crash of the process: nothing is written on the way out. */
static inline void crash_and_reopen(struct bench_log *t)
{
    plog_abandon(t->log);
    t->log = NULL;
    must(t, open_with(t, false, 0));
}

struct batch_args {
    int64_t timestamp; /* 0: NOW_MS */
    int count, value_n;
    int64_t producer_id; /* with producer: */
    int16_t epoch;
    int32_t sequence;
    bool producer, transactional, keyless;
    enum wire_codec codec;
    const char *key; /* NULL: the record's number */
};

static inline void make_batch(struct buf *out, struct batch_args a)
{
    struct record_batch_builder b;
    char value[1 << 16];

    record_batch_builder_init(&b, a.codec, 0);
    memset(value, 'v', sizeof value);
    for (int i = 0; i < (a.count ? a.count : 1); i++) {
        char key[32];
        snprintf(key, sizeof key, "%d", i);
        record_batch_append(&b, (a.timestamp ? a.timestamp : NOW_MS) + i,
                            a.keyless ? SLICE_NULL : slice_str(a.key ? a.key : key),
                            a.value_n < 0 ? SLICE_NULL : slice_of(value, a.value_n ? (size_t)a.value_n : 10), NULL, 0);
    }
    if (a.producer) {
        b.head.producer_id = a.producer_id;
        b.head.producer_epoch = a.epoch;
        b.head.base_sequence = a.sequence;
        if (a.transactional)
            b.head.attributes |= RECORD_TRANSACTIONAL;
    }
    assert_int_equal(record_batch_finish(&b, out), ERR_OK);
    record_batch_builder_free(&b);
}

static inline enum err append_bytes(struct bench_log *t, struct slice bytes, int32_t epoch, struct plog_appended *out)
{
    struct plog_append_args args = {PLOG_FROM_CLIENT, epoch, NOW_MS, &t->arena};
    enum err e = plog_append(t->log, bytes, &args, out, &t->why);
    plog_set_high_watermark(t->log, INT64_MAX);
    return e;
}

static inline enum err append_batch(struct bench_log *t, struct batch_args a, struct plog_appended *out)
{
    struct buf b;
    enum err e;
    buf_init(&b, 0);
    make_batch(&b, a);
    e = append_bytes(t, buf_slice(&b), 0, out);
    buf_free(&b);
    return e;
}

static inline int64_t append_ok(struct bench_log *t, struct batch_args a)
{
    struct plog_appended out;
    must(t, append_batch(t, a, &out));
    return out.first_offset;
}

static inline void append_marker(struct bench_log *t, int64_t producer_id, int16_t epoch, bool commit)
{
    struct plog_marker m = {producer_id, epoch, 0, commit};
    struct plog_appended out;
    must(t, plog_append_marker(t->log, &m, 0, NOW_MS, &out, &t->why));
    plog_set_high_watermark(t->log, INT64_MAX);
}

/* All of the log's bytes from `offset` on, as a reader gets them, each batch checked. Counts records. */
static inline int64_t read_all(struct bench_log *t, int64_t offset, struct buf *out)
{
    int64_t records = 0;
    struct plog_region region;
    do {
        size_t start = out->n;
        struct slice rest;
        struct record_batch b;
        bool more;
        must(t, plog_fetch(t->log, offset, 1 << 20, PLOG_READ_TO_END, true, out, &region, &t->why));
        rest = slice_of(out->p + start, out->n - start);
        while (assert_int_equal(record_batches_next(&rest, &b, &more, NULL), ERR_OK), more) {
            assert_int_equal(record_batch_check_crc(&b, NULL), ERR_OK);
            records += b.record_count;
        }
        offset = region.next_offset;
    } while (region.bytes);
    return records;
}

static inline int64_t count_all(struct bench_log *t)
{
    struct buf b;
    int64_t n;
    buf_init(&b, 0);
    n = read_all(t, plog_start_offset(t->log), &b);
    buf_free(&b);
    return n;
}

static inline void file_path(struct bench_log *t, int64_t base, const char *suffix, char out[128])
{
    snprintf(out, 128, "%s/%020lld%s", t->dir, (long long)base, suffix);
}

#endif
