/* SPDX-License-Identifier: Apache-2.0
 * Appending to and reading from a partition's log, next to plain write() and pread() of the same bytes in the same run.
 * Usage: bench_log [MiB] [DIR]. Batches of 1 KiB records; MB/s, best of some rounds taken in turn. */
#include "broker/log/log.h"
#include "core/base/fs.h"
#include "core/base/log.h"
#include "core/wire/crc32c.h"
#include "core/wire/record_batch.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { MIB = 1024 * 1024, MIB_DEFAULT = 256, RECORD = 1024, FETCH = MIB, ROUNDS = 3 };

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void check(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "bench_log: %s failed\n", what);
    exit(1);
}

static void make_batch(struct buf *out, int records, enum wire_codec codec)
{
    struct record_batch_builder b;
    uint8_t value[RECORD];

    for (size_t i = 0; i < sizeof value; i++)
        value[i] = (uint8_t)("abcdefghijklmnopqrstuvwxyz0123456789"[(i * 7 + i / 11) % 36]);
    record_batch_builder_init(&b, codec, 0);
    for (int i = 0; i < records; i++)
        record_batch_append(&b, 1700000000000 + i, SLICE_NULL, slice_of(value, sizeof value), NULL, 0);
    check(record_batch_finish(&b, out) == ERR_OK, "making a batch");
    record_batch_builder_free(&b);
}

struct result {
    double write, append, pread, fetch, recover, crc;
};

static void keep(double *best, double seconds, double mb)
{
    if (mb / seconds > *best)
        *best = mb / seconds;
}

static void plain(const char *dir, struct slice batch, size_t times, struct result *r)
{
    double mb = (double)(batch.n * times) / 1e6, t;
    char path[400], *chunk = malloc(FETCH);
    int fd;

    check(chunk != NULL, "memory");
    snprintf(path, sizeof path, "%s/plain", dir);
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    check(fd >= 0, "open");
    t = now_s();
    for (size_t i = 0; i < times; i++)
        check(write(fd, batch.p, batch.n) == (ssize_t)batch.n, "write");
    keep(&r->write, now_s() - t, mb);
    t = now_s();
    for (off_t at = 0; at < (off_t)(batch.n * times); at += FETCH)
        check(pread(fd, chunk, FETCH, at) > 0, "pread");
    keep(&r->pread, now_s() - t, mb);
    close(fd);
    unlink(path);
    free(chunk);
}

static void logged(const char *dir, struct slice batch, size_t times, struct result *r)
{
    struct plog_config config;
    char path[400];
    struct plog_open_args open_args = {.dir = path, .config = &config, .env = env_system(), .now_ms = 1700000000000};
    struct plog_append_args args = {PLOG_FROM_CLIENT, 0, 1700000000000, NULL};
    double mb = (double)(batch.n * times) / 1e6, t;
    struct plog_region region;
    struct plog_appended out;
    struct plog *l;
    struct buf bytes;
    int64_t offset = 0;

    plog_config_init(&config);
    snprintf(path, sizeof path, "%s/bench-0", dir);
    check(plog_open(&l, &open_args, NULL) == ERR_OK, "opening the log");
    t = now_s();
    for (size_t i = 0; i < times; i++)
        check(plog_append(l, batch, &args, &out, NULL) == ERR_OK, "append");
    keep(&r->append, now_s() - t, mb);
    plog_set_high_watermark(l, INT64_MAX);
    buf_init(&bytes, 0);
    t = now_s();
    while (offset < plog_end_offset(l)) {
        buf_clear(&bytes);
        check(plog_fetch(l, offset, FETCH, PLOG_READ_REPLICATED, true, &bytes, &region, NULL) == ERR_OK, "fetch");
        offset = region.next_offset;
    }
    keep(&r->fetch, now_s() - t, mb);
    buf_free(&bytes);
    plog_abandon(l);
    t = now_s();
    check(plog_open(&l, &open_args, NULL) == ERR_OK, "recovering the log");
    keep(&r->recover, now_s() - t, mb);
    plog_abandon(l);
    check(fs_remove_tree(path) == ERR_OK, "removing the log");
}

static void crc_only(struct slice batch, size_t times, struct result *r)
{
    double t = now_s();
    volatile uint32_t sink = 0;
    for (size_t i = 0; i < times; i++)
        sink = sink + crc32c(batch.p, batch.n);
    keep(&r->crc, now_s() - t, (double)(batch.n * times) / 1e6);
}

int main(int argc, char **argv)
{
    static const int sizes[] = {1, 16, 64, 512};
    size_t total = (argc > 1 ? strtoul(argv[1], NULL, 10) : MIB_DEFAULT) * (size_t)MIB;
    char dir[300];

    log_set_level(LOG_ERROR + 1);
    snprintf(dir, sizeof dir, "%s/castellan-bench-XXXXXX", argc > 2 ? argv[2] : "/tmp");
    check(mkdtemp(dir) != NULL, "making a folder");
    printf("%zu MiB of 1 KiB records, MB/s\n", total / MIB);
    printf("%8s %8s %8s %6s %8s %8s %8s %6s %8s\n", "batch", "write()", "append", "ratio", "crc32c", "pread()", "fetch",
           "ratio", "recover");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct result r = {0};
        struct buf batch;
        size_t times;
        buf_init(&batch, 0);
        make_batch(&batch, sizes[i], WIRE_CODEC_NONE);
        times = total / batch.n;
        for (int round = 0; round < ROUNDS; round++) {
            plain(dir, buf_slice(&batch), times, &r);
            logged(dir, buf_slice(&batch), times, &r);
            crc_only(buf_slice(&batch), times, &r);
        }
        printf("%5d KB %8.0f %8.0f %5.0f%% %8.0f %8.0f %8.0f %5.0f%% %8.0f\n", sizes[i], r.write, r.append,
               100 * r.append / r.write, r.crc, r.pread, r.fetch, 100 * r.fetch / r.pread, r.recover);
        buf_free(&batch);
    }
    check(fs_remove_tree(dir) == ERR_OK, "removing the folder");
    return 0;
}
