/* SPDX-License-Identifier: Apache-2.0
 * The keyring and the erase protocol over two arrays that stand for the topics: killed before and after every step, on
 * topics compacted or not, an erased key never comes back, a living one is never lost, and the receipt verifies. */
#include "crypto/keyring_step.h"
#include "core/base/fs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

enum { TOPIC_MAX = 20000 };

struct rec {
    struct buf key, value;
    bool tombstone, gone; /* gone: compacted away */
};

struct topic {
    struct rec v[TOPIC_MAX];
    size_t n;
};

struct world {
    struct env_test env;
    char dir[64], root[128], mark[128], signing[128], public_key[128];
    struct topic keys, erasures;
    struct custody *custody;
    struct keyring *kr;
    struct erasure_log log;
    struct receipt_signer signer;
    struct keyring_work work;
    bool up;
    int countdown; /* crash when it reaches 0; -1: never */
};

static void append(struct topic *t, struct slice key, struct slice value)
{
    assert_true(t->n < TOPIC_MAX);
    struct rec *r = &t->v[t->n++];
    *r = (struct rec){.tombstone = slice_is_null(value)};
    buf_init(&r->key, 0);
    buf_init(&r->value, 0);
    buf_put_slice(&r->key, key);
    if (!r->tombstone)
        buf_put_slice(&r->value, value);
}

static struct slice value_of(struct rec *r)
{
    return r->tombstone ? SLICE_NULL : buf_slice(&r->value);
}

static void topic_free(struct topic *t)
{
    for (size_t i = 0; i < t->n; i++) {
        buf_free(&t->v[i].key);
        buf_free(&t->v[i].value);
    }
    t->n = 0;
}

/* What a broker's cleaner leaves: the last record of each key, tombstones gone too. */
static void compact(struct topic *t)
{
    for (size_t i = 0; i < t->n; i++) {
        for (size_t j = i + 1; j < t->n && !t->v[i].gone; j++)
            t->v[i].gone = slice_eq(buf_slice(&t->v[i].key), buf_slice(&t->v[j].key));
        t->v[i].gone = t->v[i].gone || t->v[i].tombstone;
    }
}

static enum err up(struct world *w, struct reason *why)
{
    enum err e = custody_file_open(&w->custody, w->root, w->mark, true, &w->env.env, why);
    if (e)
        return e;
    w->kr = keyring_new(&w->env.env);
    erasure_log_init(&w->log);
    for (size_t i = 0; i < w->keys.n; i++) {
        if (!w->keys.v[i].gone)
            assert_int_equal(
                keyring_apply(w->kr, (int64_t)i, buf_slice(&w->keys.v[i].key), value_of(&w->keys.v[i]), NULL), ERR_OK);
    }
    for (size_t i = 0; !e && i < w->erasures.n; i++)
        e = erasure_log_apply(&w->log, buf_slice(&w->erasures.v[i].key), value_of(&w->erasures.v[i]), why);
    assert_int_equal(receipt_signer_open(&w->signer, w->signing, w->public_key, NULL), ERR_OK);
    keyring_work_init(&w->work, w->kr, &w->log, w->custody, &w->signer, &w->env.env);
    w->up = true;
    return e ? e : keyring_work_check(&w->work, why);
}

static void down(struct world *w)
{
    if (w->up) {
        keyring_work_free(&w->work);
        keyring_free(w->kr);
        erasure_log_free(&w->log);
        receipt_signer_close(&w->signer);
    }
    custody_close(w->custody);
    w->custody = NULL;
    w->up = false;
}

static struct world *world_new(uint64_t seed)
{
    struct world *w = calloc(1, sizeof *w);
    env_test_init(&w->env, seed);
    w->countdown = -1;
    snprintf(w->dir, sizeof w->dir, "/tmp/castellan-keyring-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    snprintf(w->root, sizeof w->root, "%s/root", w->dir);
    snprintf(w->mark, sizeof w->mark, "%s/mark", w->dir);
    snprintf(w->signing, sizeof w->signing, "%s/signing", w->dir);
    snprintf(w->public_key, sizeof w->public_key, "%s/receipt-signing.pub", w->dir);
    assert_int_equal(up(w, NULL), ERR_OK);
    return w;
}

static void world_free(struct world *w)
{
    down(w);
    topic_free(&w->keys);
    topic_free(&w->erasures);
    assert_int_equal(fs_remove_tree(w->dir), ERR_OK);
    free(w);
}

/* True: the process dies here. */
static bool dies(struct world *w)
{
    return w->countdown >= 0 && w->countdown-- == 0;
}

static bool write_out(struct world *w, enum keyring_need need, struct keyring_records *r)
{
    struct topic *t = need == KEYRING_NEED_WRITE_KEYS ? &w->keys : &w->erasures;
    if (dies(w))
        return false;
    size_t from = t->n;
    for (size_t i = 0; i < r->n; i++)
        append(t, buf_slice(&r->v[i].key), r->v[i].tombstone ? SLICE_NULL : buf_slice(&r->v[i].value));
    if (dies(w))
        return false;
    for (size_t i = from; i < t->n; i++) {
        struct reason why = {0};
        enum err e = t == &w->keys ? keyring_apply(w->kr, (int64_t)i, buf_slice(&t->v[i].key), value_of(&t->v[i]), &why)
                                   : erasure_log_apply(&w->log, buf_slice(&t->v[i].key), value_of(&t->v[i]), &why);
        if (e)
            fail_msg("apply: %s", why.text);
    }
    return true;
}

static void ack_all(struct world *w)
{
    const struct erasure_entry *i;
    size_t at = 0;
    while (keyring_work_unacked(&w->work, &at, &i))
        assert_int_equal(keyring_work_acked(&w->work, i->erasure,
                                            slice_str("[{\"at\":1,\"client\":\"test\",\"how\":\"acknowledged\"}]")),
                         ERR_OK);
}

/* Until nothing is left to do; false: died, or an operation failed, on the way. */
static bool pump(struct world *w)
{
    for (int i = 0; i < 10000; i++) {
        struct keyring_output out;
        struct reason why = {0};
        if (dies(w))
            return false;
        env_test_advance_ms(&w->env, 1);
        if (keyring_step(&w->work, w->env.env.wall_ms(&w->env.env), &out, &why))
            return false;
        bool alive = true;
        switch (out.need) {
        case KEYRING_NEED_NOTHING:
            return true;
        case KEYRING_NEED_AGAIN:
            break;
        case KEYRING_NEED_WRITE_KEYS:
        case KEYRING_NEED_WRITE_ERASURE:
            alive = write_out(w, out.need, &out.records);
            break;
        case KEYRING_NEED_ACKS:
            ack_all(w);
            break;
        case KEYRING_NEED_CREATES_SETTLED:
            fail_msg("nothing is in flight");
        }
        keyring_records_free(&out.records);
        if (!alive)
            return false;
    }
    fail_msg("the protocol does not end");
    return false;
}

static void tag_of(struct world *w, const char *id, uint8_t tag[KEYRING_TAG_SIZE])
{
    keyring_tag(w->kr, slice_str("default"), slice_str("default"), slice_str(id), tag);
}

static struct data_key create(struct world *w, const char *id)
{
    struct keyring_records r = {0};
    struct data_key k;
    uint8_t tag[KEYRING_TAG_SIZE];
    tag_of(w, id, tag);
    assert_int_equal(keyring_make_key(w->kr, tag, 1000, &r, k.id), ERR_OK);
    assert_true(write_out(w, KEYRING_NEED_WRITE_KEYS, &r));
    keyring_records_free(&r);
    enum key_state s = keyring_unwrap(w->kr, k.id, &k, NULL);
    assert_true(s == KEY_LIVE || s == KEY_ERASED);
    return k;
}

static void lives(struct world *w, const struct data_key *k)
{
    struct data_key got;
    assert_int_equal(keyring_unwrap(w->kr, k->id, &got, NULL), KEY_LIVE);
    assert_memory_equal(got.bytes, k->bytes, sizeof got.bytes);
}

static void is_erased(struct world *w, const struct data_key *k)
{
    struct data_key got;
    assert_int_equal(keyring_unwrap(w->kr, k->id, &got, NULL), KEY_ERASED);
}

static void forget(struct world *w, const char *id, uint8_t erasure[KEYRING_ERASURE_ID_SIZE])
{
    struct keyring_forget f = {slice_str("default"), slice_str("default"), slice_str(id), slice_str("User:admin")};
    assert_int_equal(keyring_work_forget(&w->work, &f, w->env.env.wall_ms(&w->env.env), erasure, NULL), ERR_OK);
}

static void check_receipt(struct world *w, const uint8_t *erasure, const char *id, size_t keys)
{
    struct buf bundle, pub;
    struct receipt_report report;
    struct reason why = {0};
    const struct erasure_entry *intent = erasure_log_intent(&w->log, erasure);
    assert_non_null(intent);
    assert_true(intent->done);
    assert_int_equal(keyring_work_progress(&w->work, erasure), KEYRING_DONE);
    buf_init(&bundle, 0);
    buf_init(&pub, 0);
    assert_int_equal(fs_read_file(w->public_key, &pub, NULL), ERR_OK);
    assert_int_equal(keyring_work_bundle(&w->work, intent->receipt_seq, true, &bundle, NULL), ERR_OK);
    if (receipt_verify(buf_slice(&bundle), buf_slice(&pub), SLICE_NULL, SLICE_NULL, slice_str(id), &report, &why))
        fail_msg("receipt: %s: %s", why.text, buf_cstr(&bundle));
    assert_true(report.signer_trusted && report.inclusion_checked && report.subject_checked);
    assert_string_equal(report.level, "E2");
    assert_int_equal(report.keys, keys);
    assert_int_not_equal(
        receipt_verify(buf_slice(&bundle), buf_slice(&pub), SLICE_NULL, SLICE_NULL, slice_str("eve"), &report, NULL),
        ERR_OK);
    assert_null(memmem(bundle.p, bundle.n, id, strlen(id)));
    /* no byte of it can be changed: flip one letter or digit at a time */
    for (size_t i = 0; i < bundle.n; i += 7) {
        uint8_t was = bundle.p[i];
        bundle.p[i] ^= 1;
        assert_int_not_equal(
            receipt_verify(buf_slice(&bundle), buf_slice(&pub), SLICE_NULL, SLICE_NULL, slice_str(id), &report, NULL),
            ERR_OK);
        bundle.p[i] = was;
    }
    buf_free(&bundle);
    buf_free(&pub);
}

static void test_life_of_keys(void **state)
{
    struct world *w = world_new(1);
    uint8_t erasure[KEYRING_ERASURE_ID_SIZE], again[KEYRING_ERASURE_ID_SIZE], tag[KEYRING_TAG_SIZE], id[16];
    (void)state;
    assert_true(pump(w));
    assert_int_equal(keyring_root(w->kr).epoch, 1);
    struct data_key a1 = create(w, "alice"), a2 = create(w, "alice"), b = create(w, "bob");
    tag_of(w, "alice", tag);
    assert_true(keyring_current_key(w->kr, tag, id));
    assert_memory_equal(id, a1.id, 16); /* the first stays the one to use */
    lives(w, &a2);

    forget(w, "alice", erasure);
    assert_int_equal(keyring_work_progress(&w->work, erasure), KEYRING_PENDING);
    assert_true(pump(w));
    is_erased(w, &a1), is_erased(w, &a2), lives(w, &b);
    assert_int_equal(keyring_root(w->kr).epoch, 2);
    check_receipt(w, erasure, "alice", 2);
    /* a second time: the same receipt; a key made afterwards is dead on arrival */
    forget(w, "alice", again);
    assert_memory_equal(again, erasure, sizeof again);
    assert_true(pump(w));
    struct data_key a3 = create(w, "alice");
    is_erased(w, &a3);
    assert_false(keyring_current_key(w->kr, tag, id));

    /* someone without keys: a fence and a receipt, and no rotation */
    forget(w, "nobody", erasure);
    assert_true(pump(w));
    assert_int_equal(keyring_root(w->kr).epoch, 2);
    check_receipt(w, erasure, "nobody", 0);

    /* reopened: new keys live, old ones stay dead, also on a compacted topic */
    struct keyring_records r = {0};
    assert_int_equal(keyring_make_fence(w->kr, tag, keyring_subject(w->kr, tag).erasure, false, 5, &r), ERR_OK);
    assert_true(write_out(w, KEYRING_NEED_WRITE_KEYS, &r));
    keyring_records_free(&r);
    struct data_key a4 = create(w, "alice");
    for (int i = 0; i < 3; i++) {
        is_erased(w, &a1), is_erased(w, &a2), is_erased(w, &a3), lives(w, &a4), lives(w, &b);
        down(w);
        if (i)
            compact(&w->keys);
        assert_int_equal(up(w, NULL), ERR_OK);
    }
    forget(w, "alice", erasure);
    assert_true(pump(w));
    is_erased(w, &a1), is_erased(w, &a4), lives(w, &b);
    check_receipt(w, erasure, "alice", 4);
    world_free(w);
}

static void test_hold(void **state)
{
    struct world *w = world_new(2);
    uint8_t erasure[KEYRING_ERASURE_ID_SIZE], tag[KEYRING_TAG_SIZE];
    struct keyring_records r = {0};
    (void)state;
    assert_true(pump(w));
    struct data_key a = create(w, "alice");
    tag_of(w, "alice", tag);
    assert_int_equal(keyring_make_hold(w->kr, tag, true, 5, &r), ERR_OK);
    assert_true(write_out(w, KEYRING_NEED_WRITE_KEYS, &r));
    keyring_records_free(&r);
    forget(w, "alice", erasure);
    assert_true(pump(w));
    assert_int_equal(keyring_work_progress(&w->work, erasure), KEYRING_HELD);
    lives(w, &a);
    down(w);
    assert_int_equal(up(w, NULL), ERR_OK);
    assert_true(pump(w));
    lives(w, &a);
    assert_int_equal(keyring_make_hold(w->kr, tag, false, 6, &r), ERR_OK);
    assert_true(write_out(w, KEYRING_NEED_WRITE_KEYS, &r));
    keyring_records_free(&r);
    assert_true(pump(w));
    is_erased(w, &a);
    check_receipt(w, erasure, "alice", 1);
    world_free(w);
}

/* Killed at the n-th point, for every n, until a run needs no kill. `fault`: also fail custody's writes. */
static void kill_everywhere(bool fault, bool compacting)
{
    for (int n = 0;; n++) {
        struct world *w = world_new(100 + (uint64_t)n);
        uint8_t erasure[KEYRING_ERASURE_ID_SIZE], e2[KEYRING_ERASURE_ID_SIZE];
        assert_true(pump(w));
        struct data_key a = create(w, "alice"), b = create(w, "bob"), c = create(w, "carol");
        struct data_key many[600];
        for (int i = 0; i < 600; i++) {
            char name[32];
            snprintf(name, sizeof name, "u%d", i);
            many[i] = create(w, name);
        }
        forget(w, "alice", erasure);
        forget(w, "carol", e2);
        w->countdown = fault ? -1 : n;
        w->env.fault_countdown = fault ? n : -1;
        bool finished = pump(w);
        bool untouched = finished && (fault ? !w->env.fault_fired : w->countdown >= 0);
        w->countdown = -1;
        w->env.fault_countdown = -1;
        if (!finished) {
            struct reason why = {0};
            down(w);
            if (compacting)
                compact(&w->keys);
            if (up(w, &why))
                fail_msg("restart after point %d: %s", n, why.text);
            forget(w, "alice", erasure); /* whoever asked asks again */
            forget(w, "carol", e2);
            assert_true(pump(w));
        }
        is_erased(w, &a), lives(w, &b), is_erased(w, &c);
        for (int i = 0; i < 600; i++)
            lives(w, &many[i]);
        check_receipt(w, erasure, "alice", 1);
        check_receipt(w, e2, "carol", 1);
        uint32_t versions[CUSTODY_VERSIONS_MAX];
        assert_int_equal(w->custody->ops->versions(w->custody, versions), 1);
        assert_int_equal(keyring_stale(w->kr), 0);
        world_free(w);
        if (untouched)
            break;
        assert_true(n < 200);
    }
}

static void test_killed_between_any_two_steps(void **state)
{
    (void)state;
    kill_everywhere(false, false);
    kill_everywhere(false, true);
}

static void test_custody_faults(void **state)
{
    (void)state;
    kill_everywhere(true, false);
}

/* Everything that stands in the topics, from the first record on, with all secrets of today: no wrap of the dead opens.
 */
static void test_old_wraps_do_not_open(void **state)
{
    struct world *w = world_new(7);
    uint8_t erasure[KEYRING_ERASURE_ID_SIZE];
    (void)state;
    assert_true(pump(w));
    create(w, "alice"), create(w, "bob");
    forget(w, "bob", erasure);
    assert_true(pump(w)); /* alice's key is in a node now, and in an older loose record */
    struct keyring_root before = keyring_root(w->kr);
    forget(w, "alice", erasure);
    assert_true(pump(w));
    size_t roots = 0;
    for (size_t i = 0; i < w->keys.n; i++) {
        if (!slice_eq_str(buf_slice(&w->keys.v[i].key), "root"))
            continue;
        roots++;
        struct keyring *old = keyring_new(&w->env.env);
        for (size_t j = 0; j <= i; j++)
            assert_int_equal(
                keyring_apply(old, (int64_t)j, buf_slice(&w->keys.v[j].key), value_of(&w->keys.v[j]), NULL), ERR_OK);
        struct reason why;
        enum err e = keyring_open(old, w->custody, &why);
        assert_int_equal(e, keyring_root(old).epoch == keyring_root(w->kr).epoch ? ERR_OK : ERR_NOT_FOUND);
        keyring_free(old);
    }
    assert_int_equal(roots, 3);
    assert_true(keyring_root(w->kr).epoch > before.epoch);
    world_free(w);
}

static void copy_file(const char *from, const char *to)
{
    struct buf b;
    buf_init(&b, 0);
    assert_int_equal(fs_read_file(from, &b, NULL), ERR_OK);
    assert_int_equal(fs_write_file(to, buf_slice(&b), 0600, NULL), ERR_OK);
    buf_free(&b);
}

static void test_restored_backups_are_refused(void **state)
{
    struct world *w = world_new(8);
    uint8_t erasure[KEYRING_ERASURE_ID_SIZE];
    char saved[160], now[160];
    struct reason why;
    (void)state;
    snprintf(saved, sizeof saved, "%s/saved", w->dir);
    snprintf(now, sizeof now, "%s/now", w->dir);
    assert_true(pump(w));
    struct data_key a = create(w, "alice");
    down(w);
    copy_file(w->root, saved);
    size_t keys_then = w->keys.n, erasures_then = w->erasures.n;
    assert_int_equal(up(w, NULL), ERR_OK);
    forget(w, "alice", erasure);
    assert_true(pump(w));
    down(w);
    copy_file(w->root, now);
    size_t keys_now = w->keys.n, erasures_now = w->erasures.n;

    /* old topics, today's root */
    w->keys.n = keys_then, w->erasures.n = erasures_then;
    assert_int_equal(up(w, &why), ERR_CONFLICT);
    assert_non_null(strstr(why.text, "older"));
    down(w);
    /* only the key topic is old */
    w->erasures.n = erasures_now;
    assert_int_equal(up(w, &why), ERR_CONFLICT);
    down(w);
    /* today's topics, the old root */
    w->keys.n = keys_now;
    copy_file(saved, w->root);
    assert_int_equal(up(w, &why), ERR_CONFLICT);
    down(w);
    /* both old: the mark that is kept apart knows */
    w->keys.n = keys_then, w->erasures.n = erasures_then;
    assert_int_equal(up(w, &why), ERR_CONFLICT);
    down(w);
    /* an erasure ledger that was rewritten */
    copy_file(now, w->root);
    w->keys.n = keys_now, w->erasures.n = erasures_now;
    w->erasures.v[0].value.p[w->erasures.v[0].value.n - 3] ^= 1;
    assert_int_not_equal(up(w, &why), ERR_OK);
    down(w);
    w->erasures.v[0].value.p[w->erasures.v[0].value.n - 3] ^= 1;
    /* and today's everything is fine, and alice stays forgotten */
    assert_int_equal(up(w, NULL), ERR_OK);
    is_erased(w, &a);
    world_free(w);
}

static void test_custody_is_exclusive_and_strict(void **state)
{
    struct world *w = world_new(9);
    struct custody *second;
    struct reason why;
    (void)state;
    assert_true(pump(w));
    assert_int_equal(custody_file_open(&second, w->root, NULL, false, &w->env.env, &why), ERR_CONFLICT);
    assert_null(second);
    down(w);
    assert_int_equal(truncate(w->root, 100), 0);
    assert_int_equal(custody_file_open(&second, w->root, NULL, false, &w->env.env, &why), ERR_MALFORMED);
    world_free(w);
}

static void test_bad_records_change_nothing(void **state)
{
    static const char *const bad[][2] = {
        {"key/zz/zz", "{}"},
        {"key/00112233445566778899aabbccddeeff/00112233445566778899aabbccddeeff", "{\"created\":1}"},
        {"fence/00112233445566778899aabbccddeeff", "{\"state\":\"erased\"}"},
        {"fence/0011", "{}"},
        {"node/0/9/0", "CN"},
        {"root", "{}"},
        {"other", "{}"},
    };
    struct world *w = world_new(10);
    (void)state;
    assert_true(pump(w));
    struct data_key a = create(w, "alice");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_not_equal(
            keyring_apply(w->kr, (int64_t)(w->keys.n + i), slice_str(bad[i][0]), slice_str(bad[i][1]), NULL), ERR_OK);
    lives(w, &a);
    world_free(w);
}

static void test_merkle(void **state)
{
    uint8_t leaves[40][MERKLE_HASH_SIZE], root[MERKLE_HASH_SIZE], path[MERKLE_PATH_MAX][MERKLE_HASH_SIZE];
    (void)state;
    for (int i = 0; i < 40; i++)
        merkle_leaf(leaves[i], slice_of(&i, sizeof i));
    for (uint64_t n = 1; n <= 40; n++) {
        merkle_root(root, (const uint8_t(*)[MERKLE_HASH_SIZE])leaves, n);
        for (uint64_t i = 0; i < n; i++) {
            size_t len = merkle_path(path, (const uint8_t(*)[MERKLE_HASH_SIZE])leaves, n, i);
            const uint8_t(*p)[MERKLE_HASH_SIZE] = (const uint8_t(*)[MERKLE_HASH_SIZE])path;
            assert_int_equal(merkle_verify(leaves[i], i, n, p, len, root), ERR_OK);
            assert_int_not_equal(merkle_verify(leaves[(i + 1) % 40], i, n, p, len, root), ERR_OK);
            if (n > 1)
                assert_int_not_equal(merkle_verify(leaves[i], (i + 1) % n, n, p, len, root), ERR_OK);
            assert_int_not_equal(merkle_verify(leaves[i], i, n, p, len + 1, root), ERR_OK);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life_of_keys),
        cmocka_unit_test(test_hold),
        cmocka_unit_test(test_killed_between_any_two_steps),
        cmocka_unit_test(test_custody_faults),
        cmocka_unit_test(test_old_wraps_do_not_open),
        cmocka_unit_test(test_restored_backups_are_refused),
        cmocka_unit_test(test_custody_is_exclusive_and_strict),
        cmocka_unit_test(test_bad_records_change_nothing),
        cmocka_unit_test(test_merkle),
    };
    if (crypto_init(NULL))
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
