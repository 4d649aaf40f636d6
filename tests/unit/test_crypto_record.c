/* SPDX-License-Identifier: Apache-2.0
 * Sealing and opening batches: every codec, everything but the values unchanged, each erased view, and refusals. */
#include "crypto/record_crypt.h"
#include "core/wire/record_batch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

/* A keyring of keys made from the subject's name: id and key are its bytes, repeated. */
struct ring {
    enum key_state state; /* what is answered for the subject in `except` */
    const char *except;
    struct data_key keys[64];
    struct buf names[64];
    size_t n;
    bool all; /* the state is answered for everyone */
};

static enum key_state ring_find(struct ring *r, size_t i, const struct data_key **out)
{
    if (r->all || (r->except && !strcmp(buf_cstr(&r->names[i]), r->except)))
        return r->state;
    *out = &r->keys[i];
    return KEY_LIVE;
}

static enum key_state by_subject(void *user, struct slice subject, const struct data_key **out)
{
    struct ring *r = user;
    for (size_t i = 0; i < r->n; i++) {
        if (slice_eq(buf_slice(&r->names[i]), subject))
            return ring_find(r, i, out);
    }
    assert_true(r->n < 64);
    size_t i = r->n++;
    buf_init(&r->names[i], 0);
    buf_put_slice(&r->names[i], subject);
    for (size_t b = 0; b < 16; b++)
        r->keys[i].id[b] = subject.p[b % subject.n];
    for (size_t b = 0; b < 32; b++)
        r->keys[i].bytes[b] = (uint8_t)(0x80 | subject.p[b % subject.n]);
    return ring_find(r, i, out);
}

static enum key_state by_id(void *user, const uint8_t id[16], const struct data_key **out)
{
    struct ring *r = user;
    for (size_t i = 0; i < r->n; i++) {
        if (!memcmp(r->keys[i].id, id, 16))
            return ring_find(r, i, out);
    }
    return r->all ? r->state : KEY_UNKNOWN;
}

static void ring_free(struct ring *r)
{
    for (size_t i = 0; i < r->n; i++)
        buf_free(&r->names[i]);
}

static struct policy *make(const char *subject, const char *erased)
{
    struct policy *p;
    struct policy_words w = {.topic = "orders", .subject_from = subject, .protect = "value", .erased = erased};
    assert_int_equal(policy_new(&p, &w, NULL), ERR_OK);
    return p;
}

static void add(struct record_batch_builder *b, int64_t t, const char *key, const char *value)
{
    struct record_header h[] = {{slice_str("user"), slice_str(key ? key : "nobody")}, {slice_str("trace"), SLICE_NULL}};
    record_batch_append(b, t, key ? slice_str(key) : SLICE_NULL, value ? slice_str(value) : SLICE_NULL, h, 2);
}

/* A transactional batch of five records, one a tombstone and one empty. */
static void sample(struct buf *out, enum wire_codec codec)
{
    struct record_batch_builder b;
    record_batch_builder_init(&b, codec, 0);
    b.head.producer_id = 4711;
    b.head.producer_epoch = 3;
    b.head.base_sequence = 100;
    b.head.base_offset = 9000;
    b.head.partition_leader_epoch = 5;
    b.head.attributes |= RECORD_TRANSACTIONAL;
    add(&b, 1000, "alice", "alice lives here alice lives here alice lives here");
    add(&b, 1005, "bob", "bob");
    add(&b, 1003, "alice", NULL);
    add(&b, 1010, "carol", "");
    add(&b, 1011, "alice", "more about alice");
    assert_int_equal(record_batch_finish(&b, out), ERR_OK);
    record_batch_builder_free(&b);
}

static enum err seal(struct buf *in, const struct policy *p, struct ring *r, size_t max, struct buf *out)
{
    struct env_test env;
    struct key_lookup l = {.user = r, .by_subject = by_subject, .by_id = by_id};
    struct record_crypt_counts counts = {0};
    bool changed;
    env_test_init(&env, 42);
    return record_crypt_seal(buf_slice(in), p, slice_str("orders"), &l, &env.env, max, out, &changed, &counts, NULL);
}

static enum err open_run(struct slice in, const struct policy *p, struct ring *r, const char *topic, struct buf *out,
                         struct record_crypt_counts *counts)
{
    struct key_lookup l = {.user = r, .by_subject = by_subject, .by_id = by_id};
    bool changed;
    *counts = (struct record_crypt_counts){0};
    return record_crypt_open(in, p, slice_str(topic), &l, true, out, &changed, counts, NULL);
}

static size_t records(struct slice run, struct record_batch *b, struct record *out, struct buf *scratch)
{
    struct record_iter it;
    bool more;
    size_t n = 0;
    assert_int_equal(record_batch_parse(run, b, NULL), ERR_OK);
    assert_int_equal(record_batch_check_crc(b, NULL), ERR_OK);
    assert_int_equal(record_iter_open(&it, b, scratch, 0, NULL), ERR_OK);
    while (record_iter_next(&it, &out[n], &more, NULL) == ERR_OK && more)
        n++;
    assert_int_equal(n, b->record_count);
    return n;
}

static void same_frame(const struct record_batch *a, const struct record_batch *b)
{
    assert_int_equal(a->base_offset, b->base_offset);
    assert_int_equal(a->partition_leader_epoch, b->partition_leader_epoch);
    assert_int_equal(a->attributes & ~RECORD_CODEC_MASK, b->attributes & ~RECORD_CODEC_MASK);
    assert_int_equal(a->last_offset_delta, b->last_offset_delta);
    assert_int_equal(a->base_timestamp, b->base_timestamp);
    assert_int_equal(a->max_timestamp, b->max_timestamp);
    assert_int_equal(a->producer_id, b->producer_id);
    assert_int_equal(a->producer_epoch, b->producer_epoch);
    assert_int_equal(a->base_sequence, b->base_sequence);
}

static void same_but_value(const struct record *a, const struct record *b)
{
    assert_int_equal(a->offset, b->offset);
    assert_int_equal(a->timestamp, b->timestamp);
    assert_int_equal(a->header_count, b->header_count);
    assert_true(slice_eq(a->key, b->key));
    assert_true(slice_eq(a->headers, b->headers));
}

static bool contains(const struct buf *b, const char *word)
{
    return memmem(b->p, b->n, word, strlen(word)) != NULL;
}

static void test_every_codec_comes_back(void **state)
{
    struct policy *p = make("key", "null");
    struct buf plain, sealed, opened, s1, s2;
    struct record r1[16], r2[16];
    struct record_batch b1, b2;
    struct record_crypt_counts counts;
    (void)state;
    buf_init(&plain, 0), buf_init(&sealed, 0), buf_init(&opened, 0), buf_init(&s1, 0), buf_init(&s2, 0);
    for (int codec = 0; codec < WIRE_CODEC_COUNT; codec++) {
        struct ring r = {0};
        buf_clear(&plain), buf_clear(&sealed), buf_clear(&opened);
        sample(&plain, (enum wire_codec)codec);
        sample(&plain, (enum wire_codec)codec); /* a run of two */
        assert_int_equal(seal(&plain, p, &r, 0, &sealed), ERR_OK);
        assert_false(contains(&sealed, "lives"));

        size_t n = records(buf_slice(&plain), &b1, r1, &s1);
        assert_int_equal(records(buf_slice(&sealed), &b2, r2, &s2), n);
        same_frame(&b1, &b2);
        for (size_t i = 0; i < n; i++) {
            same_but_value(&r1[i], &r2[i]);
            assert_int_equal(slice_is_null(r1[i].value), slice_is_null(r2[i].value));
            if (!slice_is_null(r1[i].value))
                assert_int_equal(r2[i].value.n, r1[i].value.n + ENVELOPE_OVERHEAD);
        }
        assert_int_equal(open_run(buf_slice(&sealed), p, &r, "orders", &opened, &counts), ERR_OK);
        assert_int_equal(counts.opened, 8);
        assert_int_equal(counts.passed, 2);
        assert_int_equal(records(buf_slice(&opened), &b2, r2, &s2), n);
        same_frame(&b1, &b2);
        for (size_t i = 0; i < n; i++) {
            same_but_value(&r1[i], &r2[i]);
            assert_true(slice_eq(r1[i].value, r2[i].value));
        }
        ring_free(&r);
    }
    buf_free(&plain), buf_free(&sealed), buf_free(&opened), buf_free(&s1), buf_free(&s2);
    policy_free(p);
}

static void test_erased_views(void **state)
{
    static const char *const views[] = {"null", "skip", "redact", "error", "ciphertext"};
    struct buf plain, sealed, opened, s1, s2;
    struct record before[16], r[16];
    struct record_batch b1, b2;
    struct record_crypt_counts counts;
    (void)state;
    buf_init(&plain, 0), buf_init(&sealed, 0), buf_init(&opened, 0), buf_init(&s1, 0), buf_init(&s2, 0);
    for (size_t v = 0; v < 5; v++) {
        struct ring ring = {0};
        struct policy *p = make("key", views[v]);
        buf_clear(&plain), buf_clear(&sealed), buf_clear(&opened);
        sample(&plain, WIRE_CODEC_LZ4);
        assert_int_equal(seal(&plain, p, &ring, 0, &sealed), ERR_OK);
        records(buf_slice(&sealed), &b1, before, &s1);
        ring.except = "alice";
        ring.state = KEY_ERASED;
        enum err e = open_run(buf_slice(&sealed), p, &ring, "orders", &opened, &counts);
        if (p->erased == POLICY_ERASED_ERROR) {
            assert_int_equal(e, ERR_ERASED);
            assert_int_equal(opened.n, 0);
        } else {
            bool skip = p->erased == POLICY_ERASED_SKIP;
            assert_int_equal(e, ERR_OK);
            assert_int_equal(counts.erased, 2);
            size_t n = records(buf_slice(&opened), &b2, r, &s2);
            assert_int_equal(n, skip ? 3 : 5);
            same_frame(&b1, &b2);
            for (size_t i = 0; i < n; i++) {
                size_t was = (size_t)(r[i].offset - b1.base_offset);
                same_but_value(&before[was], &r[i]);
                if (was == 1)
                    assert_true(slice_eq_str(r[i].value, "bob"));
                if (was != 0 && was != 4)
                    continue;
                if (p->erased == POLICY_ERASED_NULL)
                    assert_true(slice_is_null(r[i].value));
                if (p->erased == POLICY_ERASED_REDACT)
                    assert_true(slice_eq_str(r[i].value, POLICY_REDACTED));
                if (p->erased == POLICY_ERASED_CIPHERTEXT)
                    assert_true(slice_eq(r[i].value, before[was].value));
            }
        }
        policy_free(p);
        ring_free(&ring);
    }
    buf_free(&plain), buf_free(&sealed), buf_free(&opened), buf_free(&s1), buf_free(&s2);
}

static void test_needs(void **state)
{
    struct policy *by_key = make("key", "null"), *by_header = make("header:user", "null"),
                  *missing = make("header:absent", "null");
    struct record_crypt_needs needs;
    struct ring r = {0};
    struct buf plain, sealed;
    struct reason why;
    (void)state;
    buf_init(&plain, 0), buf_init(&sealed, 0);
    sample(&plain, WIRE_CODEC_ZSTD);
    const struct policy *both[] = {by_key, by_header};
    for (int i = 0; i < 2; i++) {
        record_crypt_needs_init(&needs);
        assert_int_equal(record_crypt_collect_subjects(buf_slice(&plain), both[i], &needs, NULL), ERR_OK);
        assert_int_equal(map_count(&needs.subjects), 3);
        assert_true(map_has(&needs.subjects, slice_str("carol")));
        record_crypt_needs_free(&needs);
    }
    record_crypt_needs_init(&needs);
    assert_int_equal(record_crypt_collect_subjects(buf_slice(&plain), missing, &needs, &why), ERR_INVALID_RECORD);
    assert_non_null(strstr(why.text, "absent"));
    assert_int_equal(record_crypt_collect_keys(buf_slice(&plain), &needs, NULL), ERR_OK);
    assert_int_equal(map_count(&needs.key_ids), 0);
    assert_int_equal(seal(&plain, by_header, &r, 0, &sealed), ERR_OK);
    assert_int_equal(record_crypt_collect_keys(buf_slice(&sealed), &needs, NULL), ERR_OK);
    assert_int_equal(map_count(&needs.key_ids), 3);
    record_crypt_needs_free(&needs);
    ring_free(&r);
    buf_free(&plain), buf_free(&sealed);
    policy_free(by_key), policy_free(by_header), policy_free(missing);
}

static void test_refusals(void **state)
{
    struct policy *p = make("key", "null");
    struct buf plain, sealed, opened;
    struct record_crypt_counts counts;
    struct ring r = {0};
    (void)state;
    buf_init(&plain, 0), buf_init(&sealed, 0), buf_init(&opened, 0);
    sample(&plain, WIRE_CODEC_NONE);
    /* a key that is not to be had, an erased subject, no subject, too large: nothing comes out */
    r.except = "bob";
    r.state = KEY_UNAVAILABLE;
    assert_int_equal(seal(&plain, p, &r, 0, &sealed), ERR_KAFKA_STORAGE_ERROR);
    r.state = KEY_ERASED;
    assert_int_equal(seal(&plain, p, &r, 0, &sealed), ERR_POLICY_VIOLATION);
    r.except = NULL;
    assert_int_equal(seal(&plain, p, &r, 300, &sealed), ERR_MESSAGE_TOO_LARGE);
    assert_int_equal(sealed.n, 0);
    struct record_batch_builder b;
    record_batch_builder_init(&b, WIRE_CODEC_NONE, 0);
    add(&b, 1, NULL, "whose is this?");
    assert_int_equal(record_batch_finish(&b, &opened), ERR_OK);
    record_batch_builder_free(&b);
    assert_int_equal(seal(&opened, p, &r, 0, &sealed), ERR_INVALID_RECORD);
    buf_clear(&opened);
    /* a batch whose CRC is wrong is not given a new one; a cut one is refused */
    plain.p[plain.n - 1] ^= 1;
    assert_int_not_equal(seal(&plain, p, &r, 0, &sealed), ERR_OK);
    plain.p[plain.n - 1] ^= 1;
    plain.n--;
    assert_int_equal(seal(&plain, p, &r, 0, &sealed), ERR_CORRUPT_MESSAGE);
    plain.n++;
    assert_int_equal(sealed.n, 0);

    /* on fetch: no lease, an unknown key, another topic */
    assert_int_equal(seal(&plain, p, &r, 0, &sealed), ERR_OK);
    assert_int_equal(open_run(buf_slice(&sealed), p, &r, "elsewhere", &opened, &counts), ERR_CORRUPT_MESSAGE);
    r.all = true;
    r.state = KEY_UNAVAILABLE;
    assert_int_equal(open_run(buf_slice(&sealed), p, &r, "orders", &opened, &counts), ERR_KAFKA_STORAGE_ERROR);
    r.state = KEY_UNKNOWN;
    assert_int_equal(open_run(buf_slice(&sealed), p, &r, "orders", &opened, &counts), ERR_CORRUPT_MESSAGE);
    assert_int_equal(opened.n, 0);
    /* without a policy what cannot be opened is not ours, and passes byte by byte */
    assert_int_equal(open_run(buf_slice(&sealed), NULL, &r, "orders", &opened, &counts), ERR_OK);
    assert_true(slice_eq(buf_slice(&opened), buf_slice(&sealed)));
    /* a principal that may not read sees ciphertext */
    struct key_lookup l = {.user = &r, .by_subject = by_subject, .by_id = by_id};
    bool changed = true;
    buf_clear(&opened);
    r.all = false;
    assert_int_equal(
        record_crypt_open(buf_slice(&sealed), p, slice_str("orders"), &l, false, &opened, &changed, NULL, NULL),
        ERR_OK);
    assert_false(changed);
    assert_true(slice_eq(buf_slice(&opened), buf_slice(&sealed)));
    ring_free(&r);
    buf_free(&plain), buf_free(&sealed), buf_free(&opened);
    policy_free(p);
}

static void test_control_cut_and_plain(void **state)
{
    struct policy *p = make("key", "null");
    struct buf run, opened, sealed;
    struct record_crypt_counts counts;
    struct ring r = {0};
    (void)state;
    buf_init(&run, 0), buf_init(&opened, 0), buf_init(&sealed, 0);
    sample(&run, WIRE_CODEC_GZIP); /* written before the policy: passes as it is */
    assert_int_equal(record_batch_put_end_txn(&run, 9005, 5, 2000, 4711, 3, true, 1), ERR_OK);
    assert_int_equal(open_run(buf_slice(&run), p, &r, "orders", &opened, &counts), ERR_OK);
    assert_true(slice_eq(buf_slice(&opened), buf_slice(&run)));
    assert_int_equal(seal(&run, p, &r, 0, &sealed), ERR_OK);
    size_t whole = sealed.n;
    sample(&sealed, WIRE_CODEC_NONE);
    buf_clear(&opened);
    struct buf all;
    buf_init(&all, 0);
    assert_int_equal(open_run(slice_of(sealed.p, whole), p, &r, "orders", &all, &counts), ERR_OK);
    assert_int_equal(open_run(slice_of(sealed.p, sealed.n - 3), p, &r, "orders", &opened, &counts), ERR_OK);
    assert_true(slice_eq(buf_slice(&opened), buf_slice(&all))); /* the cut batch is left out */

    /* what looks like an envelope is sealed like anything else, and comes back as it was sent */
    struct record_batch_builder b;
    struct record rec[4];
    struct record_batch head;
    struct buf scratch;
    static const uint8_t planted[100] = {0xc1, 0x5d, 1, 1, 0, 1, 1, 0};
    buf_init(&scratch, 0);
    record_batch_builder_init(&b, WIRE_CODEC_NONE, 0);
    record_batch_append(&b, 1, slice_str("mallory"), slice_of(planted, sizeof planted), NULL, 0);
    buf_clear(&run), buf_clear(&sealed), buf_clear(&opened);
    assert_int_equal(record_batch_finish(&b, &run), ERR_OK);
    record_batch_builder_free(&b);
    assert_int_equal(seal(&run, p, &r, 0, &sealed), ERR_OK);
    assert_int_equal(open_run(buf_slice(&sealed), p, &r, "orders", &opened, &counts), ERR_OK);
    assert_int_equal(records(buf_slice(&opened), &head, rec, &scratch), 1);
    assert_true(slice_eq(rec[0].value, slice_of(planted, sizeof planted)));
    ring_free(&r);
    buf_free(&run), buf_free(&opened), buf_free(&sealed), buf_free(&all), buf_free(&scratch);
    policy_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_codec_comes_back),
        cmocka_unit_test(test_erased_views),
        cmocka_unit_test(test_needs),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_control_cut_and_plain),
    };
    if (crypto_init(NULL))
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
