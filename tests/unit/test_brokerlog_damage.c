/* SPDX-License-Identifier: Apache-2.0
 * Damage at random: bytes flipped, files cut, lengthened or gone, in any file of a log of several segments. Opening
 * never crashes and never fails; what a recovered log gives is whole and in order; it takes appends again. */
#include "brokerlog_util.h"

#include <dirent.h>
#include <fcntl.h>

enum { ROUNDS = 400, FILES_MAX = 64 };

static uint64_t seed = 7;

static uint32_t below(uint32_t n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % n;
}

struct files {
    char names[FILES_MAX][256];
    struct buf bytes[FILES_MAX];
    int n;
};

static void remember(struct bench_log *t, struct files *f)
{
    DIR *dir = opendir(t->dir);
    struct dirent *d;
    assert_non_null(dir);
    while ((d = readdir(dir))) {
        char path[400];
        if (d->d_name[0] == '.')
            continue;
        assert_true(f->n < FILES_MAX);
        snprintf(f->names[f->n], sizeof f->names[0], "%s", d->d_name);
        snprintf(path, sizeof path, "%s/%s", t->dir, d->d_name);
        buf_init(&f->bytes[f->n], 0);
        assert_int_equal(fs_read_file(path, &f->bytes[f->n], NULL), ERR_OK);
        f->n++;
    }
    closedir(dir);
}

static void put_back(struct bench_log *t, const struct files *f)
{
    assert_int_equal(fs_remove_tree(t->dir), ERR_OK);
    assert_int_equal(fs_mkdirs(t->dir, 0700, NULL), ERR_OK);
    for (int i = 0; i < f->n; i++) {
        char path[400];
        int fd;
        snprintf(path, sizeof path, "%s/%s", t->dir, f->names[i]);
        fd = open(path, O_WRONLY | O_CREAT, 0600);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, f->bytes[i].p ? (const void *)f->bytes[i].p : "", f->bytes[i].n), f->bytes[i].n);
        close(fd);
    }
}

static void damage(struct bench_log *t, const struct files *f)
{
    int i = (int)below((uint32_t)f->n);
    size_t n = f->bytes[i].n;
    uint8_t junk[64];
    char path[400];
    int fd;

    snprintf(path, sizeof path, "%s/%s", t->dir, f->names[i]);
    for (size_t k = 0; k < sizeof junk; k++)
        junk[k] = (uint8_t)below(256);
    fd = open(path, O_RDWR);
    if (fd < 0)
        return; /* gone in this round already */
    switch (below(5)) {
    case 0:
        assert_int_equal(ftruncate(fd, (off_t)below((uint32_t)n + 1)), 0);
        break;
    case 1:
        assert_int_equal(pwrite(fd, junk, sizeof junk, (off_t)n), sizeof junk);
        break;
    case 2:
        assert_int_equal(unlink(path), 0);
        break;
    default:
        for (uint32_t k = below(4) + 1; n && k-- > 0;)
            assert_int_equal(pwrite(fd, junk + k, 1 + below(8), (off_t)below((uint32_t)n)) > 0, 1);
        break;
    }
    close(fd);
}

/* Every answer is allowed but a crash; what is given as data after a recovery must be whole. */
static void use(struct bench_log *t, bool recovered)
{
    struct plog_appended out;
    struct plog_region region;
    struct plog_at at;
    struct buf bytes;
    enum err e = ERR_OK;
    int64_t offset = plog_start_offset(t->log);

    buf_init(&bytes, 0);
    for (int i = 0; !e && i < 1000; i++) {
        struct record_batch b;
        struct slice rest;
        bool more;
        buf_clear(&bytes);
        e = plog_fetch(t->log, offset, 3000, PLOG_READ_TO_END, true, &bytes, &region, NULL);
        if (e || !region.bytes)
            break;
        rest = buf_slice(&bytes);
        while (!record_batches_next(&rest, &b, &more, NULL) && more)
            if (recovered)
                assert_int_equal(record_batch_check_crc(&b, NULL), ERR_OK);
        if (region.next_offset <= offset)
            break;
        offset = region.next_offset;
    }
    if (recovered)
        assert_int_equal(e, ERR_OK);
    e = plog_offset_for_time(t->log, NOW_MS + (int64_t)below(1000), &at, NULL);
    e = plog_truncate(t->log, plog_end_offset(t->log) - 3, &t->why);
    if (!e) {
        e = append_batch(t, (struct batch_args){.count = 2}, &out);
        assert_true(e == ERR_OK || e == ERR_CORRUPT_MESSAGE || e == ERR_KAFKA_STORAGE_ERROR);
    }
    buf_free(&bytes);
}

static void any_damage(void **state)
{
    struct bench_log t;
    struct files f = {0};
    (void)state;

    setup(&t);
    log_set_level(LOG_ERROR + 1);
    t.config.segment_bytes = 6000;
    t.config.index_interval_bytes = 500;
    plog_set_config(t.log, &t.config);
    for (int i = 0; i < 40; i++) {
        append_ok(&t, (struct batch_args){.count = 2,
                                          .timestamp = NOW_MS + i * 10,
                                          .value_n = 400,
                                          .producer = true,
                                          .producer_id = i % 3,
                                          .sequence = i / 3 * 2,
                                          .transactional = true,
                                          .codec = (enum wire_codec)(i % 2)});
        if (i % 7 == 6)
            append_marker(&t, i % 3, 0, i % 2);
    }
    must(&t, plog_close(t.log, &t.why));
    remember(&t, &f);
    for (int round = 0; round < ROUNDS; round++) {
        bool clean = round % 2;
        put_back(&t, &f);
        for (uint32_t k = below(3) + 1; k-- > 0;)
            damage(&t, &f);
        t.log = NULL;
        if (open_with(&t, clean, 0)) {
            /* a clean shutdown was promised but is not true: the caller falls back to recovery */
            assert_true(clean);
            must(&t, open_with(&t, false, 0));
            clean = false;
        }
        use(&t, !clean);
        plog_abandon(t.log);
        t.log = NULL;
        must(&t, open_with(&t, false, 0));
        use(&t, true);
        plog_abandon(t.log);
        t.log = NULL;
    }
    for (int i = 0; i < f.n; i++)
        buf_free(&f.bytes[i]);
    teardown(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(any_damage)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
