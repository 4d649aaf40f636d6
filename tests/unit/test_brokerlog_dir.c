/* SPDX-License-Identifier: Apache-2.0
 * The log directory: identity, lock, clean and unclean ends, deletion of partitions, every I/O fault of its own, and
 * the configuration table and text formats. */
#include "brokerlog_util.h"

#include "broker/log/checkpoint.h"
#include "broker/log/log_dir.h"

#include <dirent.h>

static const uint8_t topic_id[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

struct dir_test {
    struct env_test env;
    struct plog_config config;
    char path[64];
    struct log_dir *dir;
    struct reason why;
};

static enum err open_dir(struct dir_test *t, int64_t now_ms)
{
    struct log_dir_args args = {t->path, 1, "the-cluster", &t->env.env, &t->config, now_ms};
    return log_dir_open(&t->dir, &args, &t->why);
}

static void begin(struct dir_test *t)
{
    memset(t, 0, sizeof *t);
    env_test_init(&t->env, 1);
    plog_config_init(&t->config);
    snprintf(t->path, sizeof t->path, "/tmp/castellan-dir-XXXXXX");
    assert_non_null(mkdtemp(t->path));
    log_set_level(LOG_ERROR + 1);
}

static void end(struct dir_test *t)
{
    log_dir_abandon(t->dir);
    assert_int_equal(fs_remove_tree(t->path), ERR_OK);
}

static enum err append_one(struct dir_test *t, struct plog *l)
{
    struct plog_append_args args = {PLOG_FROM_CLIENT, 0, NOW_MS, NULL};
    struct plog_appended out;
    struct buf b;
    enum err e;
    buf_init(&b, 0);
    make_batch(&b, (struct batch_args){.count = 1});
    e = plog_append(l, buf_slice(&b), &args, &out, &t->why);
    plog_set_high_watermark(l, INT64_MAX);
    buf_free(&b);
    return e;
}

static void logs_come_back(void **state)
{
    struct dir_test t;
    struct log_dir_args other;
    struct log_dir *second;
    struct plog *l;
    uint8_t id[16];
    int64_t logs, total, usable;
    (void)state;

    begin(&t);
    assert_int_equal(open_dir(&t, NOW_MS), ERR_OK);
    assert_false(log_dir_was_clean(t.dir));
    memcpy(id, log_dir_id(t.dir), 16);
    assert_int_equal(log_dir_create(t.dir, slice_str("my-topic"), 3, topic_id, &t.config, NOW_MS, &l, &t.why), ERR_OK);
    assert_int_equal(log_dir_create(t.dir, slice_str("my-topic"), 3, topic_id, &t.config, NOW_MS, &l, NULL),
                     ERR_EXISTS);
    l = log_dir_find(t.dir, slice_str("my-topic"), 3);
    for (int i = 0; i < 5; i++)
        assert_int_equal(append_one(&t, l), ERR_OK);
    assert_int_equal(plog_advance_start(l, 2, &t.why), ERR_OK);
    assert_int_equal(log_dir_usage(t.dir, &logs, &total, &usable), ERR_OK);
    assert_true(logs == plog_size(l) && total > usable && usable > 0);
    /* a second process is kept out, another cluster's and another node's directory is refused */
    other = (struct log_dir_args){t.path, 1, "the-cluster", &t.env.env, &t.config, NOW_MS};
    assert_int_equal(log_dir_open(&second, &other, NULL), ERR_CONFLICT);
    assert_int_equal(log_dir_close(t.dir, &t.why), ERR_OK);
    other.cluster_id = "another";
    assert_int_equal(log_dir_open(&second, &other, NULL), ERR_INCONSISTENT_CLUSTER_ID);
    other.cluster_id = "the-cluster";
    other.node_id = 2;
    assert_int_equal(log_dir_open(&second, &other, NULL), ERR_BAD_CONFIG);

    assert_int_equal(open_dir(&t, NOW_MS), ERR_OK);
    assert_true(log_dir_was_clean(t.dir));
    assert_memory_equal(id, log_dir_id(t.dir), 16);
    l = log_dir_find(t.dir, slice_str("my-topic"), 3);
    assert_non_null(l);
    assert_memory_equal(plog_topic_id(l), topic_id, 16);
    assert_int_equal(plog_end_offset(l), 5);
    assert_int_equal(plog_start_offset(l), 2);
    assert_int_equal(plog_high_watermark(l), 5);
    log_dir_abandon(t.dir);
    assert_int_equal(open_dir(&t, NOW_MS), ERR_OK);
    assert_false(log_dir_was_clean(t.dir));
    l = log_dir_find(t.dir, slice_str("my-topic"), 3);
    assert_int_equal(plog_end_offset(l), 5);
    assert_int_equal(plog_start_offset(l), 2);
    end(&t);
}

static size_t count_folders(struct dir_test *t, const char *containing)
{
    DIR *dir = opendir(t->path);
    struct dirent *d;
    size_t n = 0;
    assert_non_null(dir);
    while ((d = readdir(dir)))
        n += strstr(d->d_name, containing) != NULL;
    closedir(dir);
    return n;
}

static void deleted_partitions_go_later(void **state)
{
    struct dir_test t;
    struct plog *l;
    (void)state;

    begin(&t);
    assert_int_equal(open_dir(&t, NOW_MS), ERR_OK);
    assert_int_equal(log_dir_create(t.dir, slice_str("gone"), 0, topic_id, &t.config, NOW_MS, &l, &t.why), ERR_OK);
    assert_int_equal(append_one(&t, l), ERR_OK);
    assert_int_equal(log_dir_delete(t.dir, slice_str("gone"), 0, NOW_MS, &t.why), ERR_OK);
    assert_null(log_dir_find(t.dir, slice_str("gone"), 0));
    assert_int_equal(log_dir_delete(t.dir, slice_str("gone"), 0, NOW_MS, NULL), ERR_NOT_FOUND);
    assert_int_equal(count_folders(&t, "-delete"), 1);
    /* the same name again is another log */
    assert_int_equal(log_dir_create(t.dir, slice_str("gone"), 0, topic_id, &t.config, NOW_MS, &l, &t.why), ERR_OK);
    assert_int_equal(plog_end_offset(l), 0);
    log_dir_tick(t.dir, NOW_MS + 59999, 1 << 20);
    assert_int_equal(count_folders(&t, "-delete"), 1);
    log_dir_tick(t.dir, NOW_MS + 60000, 1 << 20);
    assert_int_equal(count_folders(&t, "-delete"), 0);
    assert_int_equal(log_dir_delete(t.dir, slice_str("gone"), 0, NOW_MS, &t.why), ERR_OK);
    assert_int_equal(log_dir_close(t.dir, &t.why), ERR_OK);
    assert_int_equal(open_dir(&t, NOW_MS), ERR_OK);
    log_dir_tick(t.dir, NOW_MS, 0);
    assert_int_equal(count_folders(&t, "gone"), 0);
    end(&t);
}

static void every_fault(void **state)
{
    bool fired = true;
    (void)state;

    for (int n = 0; fired; n++) {
        struct dir_test t;
        struct plog *l;
        int64_t acked = 0;
        begin(&t);
        t.env.fault_countdown = n;
        if (open_dir(&t, NOW_MS))
            assert_int_equal(open_dir(&t, NOW_MS), ERR_OK);
        if (log_dir_create(t.dir, slice_str("t"), 0, topic_id, &t.config, NOW_MS, &l, &t.why))
            assert_int_equal(log_dir_create(t.dir, slice_str("t"), 0, topic_id, &t.config, NOW_MS, &l, &t.why), ERR_OK);
        for (int i = 0; i < 3; i++)
            acked += append_one(&t, l) == ERR_OK;
        if (log_dir_checkpoint(t.dir, &t.why))
            assert_int_equal(log_dir_checkpoint(t.dir, &t.why), ERR_OK);
        if (log_dir_close(t.dir, &t.why))
            assert_true(t.env.fault_fired);
        if (open_dir(&t, NOW_MS))
            assert_int_equal(open_dir(&t, NOW_MS), ERR_OK);
        fired = t.env.fault_fired;
        t.env.fault_countdown = -1;
        l = log_dir_find(t.dir, slice_str("t"), 0);
        assert_non_null(l);
        assert_int_equal(plog_end_offset(l), acked);
        end(&t);
    }
}

static void configuration_is_checked(void **state)
{
    struct plog_config c;
    struct reason why;
    const char *last = "";
    (void)state;

    plog_config_init(&c);
    assert_int_equal(c.retention_ms, 604800000);
    assert_int_equal(c.cleanup_policy, PLOG_CLEANUP_DELETE);
    assert_int_equal(c.compression_type, PLOG_COMPRESSION_PRODUCER);
    for (const struct plog_config_row *r = plog_config_rows(); r->name; r++) {
        assert_true(strcmp(last, r->name) < 0);
        last = r->name;
    }
#define SET(key, value) plog_config_set(&c, slice_str(key), slice_str(value), &why)
    assert_int_equal(SET("cleanup.policy", "compact,delete"), ERR_OK);
    assert_int_equal(c.cleanup_policy, PLOG_CLEANUP_COMPACT | PLOG_CLEANUP_DELETE);
    assert_int_equal(SET("cleanup.policy", "compact"), ERR_OK);
    assert_int_equal(SET("cleanup.policy", ""), ERR_INVALID_CONFIG);
    assert_int_equal(SET("cleanup.policy", "shrink"), ERR_INVALID_CONFIG);
    assert_int_equal(SET("compression.type", "zstd"), ERR_OK);
    assert_int_equal(c.compression_type, WIRE_CODEC_ZSTD);
    assert_int_equal(SET("min.cleanable.dirty.ratio", "0.25"), ERR_OK);
    assert_int_equal(SET("min.cleanable.dirty.ratio", "nan"), ERR_INVALID_CONFIG);
    assert_int_equal(SET("retention.ms", "-2"), ERR_INVALID_CONFIG);
    assert_int_equal(SET("retention.ms", "99999999999999999999"), ERR_INVALID_CONFIG);
    assert_int_equal(SET("preallocate", "yes"), ERR_INVALID_CONFIG);
    assert_int_equal(SET("no.such.key", "1"), ERR_INVALID_CONFIG);
    assert_int_equal(c.retention_ms, 604800000);
}

static void texts_are_parsed(void **state)
{
    struct slice topic;
    int32_t partition;
    uint8_t id[16];
    char text[23];
    struct map m;
    (void)state;

    assert_true(partition_folder_parse(slice_str("a-b-12"), &topic, &partition));
    assert_true(slice_eq_str(topic, "a-b"));
    assert_int_equal(partition, 12);
    assert_false(partition_folder_parse(slice_str("a"), &topic, &partition));
    assert_false(partition_folder_parse(slice_str("-1"), &topic, &partition));
    assert_false(partition_folder_parse(slice_str("a-"), &topic, &partition));
    assert_false(partition_folder_parse(slice_str("a-0.b00-delete"), &topic, &partition));
    assert_false(partition_folder_parse(slice_str("a-99999999999"), &topic, &partition));
    uuid_text(topic_id, text);
    assert_string_equal(text, "AQIDBAUGBwgJCgsMDQ4PEA");
    assert_true(uuid_parse(slice_str(text), id));
    assert_memory_equal(id, topic_id, 16);
    assert_false(uuid_parse(slice_str("AQIDBAUGBwgJCgsMDQ4PEB"), id));
    map_init(&m);
    assert_int_equal(checkpoint_decode(&m, slice_str("0\n2\na 0 5\na 1 7\n"), NULL), ERR_OK);
    assert_int_equal(*(int64_t *)map_get(&m, slice_str("a-1")), 7);
    assert_int_equal(checkpoint_decode(&m, slice_str("0\n2\na 0 5\n"), NULL), ERR_MALFORMED);
    assert_int_equal(checkpoint_decode(&m, slice_str("1\n0\n"), NULL), ERR_MALFORMED);
    map_free(&m, free);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logs_come_back),   cmocka_unit_test(deleted_partitions_go_later),
        cmocka_unit_test(every_fault),      cmocka_unit_test(configuration_is_checked),
        cmocka_unit_test(texts_are_parsed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
