/* SPDX-License-Identifier: Apache-2.0
 * Runs in slices: the same outcome as at once, however small the slices; nothing that was opened with a key that is
 * erased meanwhile is left; nothing leaks when memory runs out or the run is abandoned. */
#include "core/wire/record_batch.h"
#include "crypto/record_crypt.h"

#include "malloc_fault.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

enum { MIB = 1 << 20, BIG = 3 * MIB + 12345, STEPS_MAX = 100000 };

/* One key for every subject whose name begins with its letter; a letter can be erased. */
struct ring {
    struct data_key keys[26];
    bool erased[26], in_use;
    size_t lost, holds;
    struct key_hold *held;
    char held_letter;
};

static void enter(void *user)
{
    struct ring *r = user;
    assert_false(r->in_use);
    r->in_use = true;
}

static void release(void *user)
{
    struct ring *r = user;
    assert_true(r->in_use);
    r->in_use = false;
}

static enum key_state find(struct ring *r, int letter, const struct data_key **out)
{
    struct data_key *k = &r->keys[letter];

    if (r->erased[letter])
        return KEY_ERASED;
    enter(r);
    for (int i = 0; i < ENVELOPE_KEY_ID_SIZE; i++)
        k->id[i] = (uint8_t)(letter + 'a');
    for (int i = 0; i < ENVELOPE_KEY_SIZE; i++)
        k->bytes[i] = (uint8_t)(letter * 7 + i);
    *out = k;
    return KEY_LIVE;
}

static enum key_state by_subject(void *user, struct slice subject, const struct data_key **out)
{
    return find(user, subject.p[0] - 'a', out);
}

static enum key_state by_id(void *user, const uint8_t id[ENVELOPE_KEY_ID_SIZE], const struct data_key **out)
{
    return id[0] >= 'a' && id[0] <= 'z' ? find(user, id[0] - 'a', out) : KEY_UNKNOWN;
}

static size_t lost(void *user)
{
    return ((struct ring *)user)->lost;
}

static void hold(void *user, const struct data_key *key, struct key_hold *h)
{
    struct ring *r = user;

    assert_null(r->held);
    assert_true(r->in_use);
    r->held = h;
    r->held_letter = (char)key->id[0];
    r->holds++;
}

static void let_go(void *user, struct key_hold *h)
{
    struct ring *r = user;

    assert_true(r->in_use);
    if (r->held == h)
        r->held = NULL;
}

static void erase(struct ring *r, char letter)
{
    struct key_hold *h = r->held;

    assert_false(r->in_use); /* it would wait */
    r->erased[letter - 'a'] = true;
    r->lost++;
    if (h && r->held_letter == letter) {
        r->held = NULL;
        h->wipe(h);
    }
}

static struct key_lookup lookup(struct ring *r)
{
    return (struct key_lookup){r, by_subject, by_id, enter, release, lost, hold, let_go};
}

static struct policy *make(const char *erased)
{
    struct policy *p;
    struct policy_words w = {.topic = "orders", .subject_from = "key", .protect = "value", .erased = erased};

    assert_int_equal(policy_new(&p, &w, NULL), ERR_OK);
    return p;
}

static void add(struct record_batch_builder *b, const char *key, size_t value_n, char fill)
{
    struct record_header h = {slice_str("trace"), slice_str("x")};
    uint8_t *value = malloc(value_n + 1);

    memset(value, fill, value_n + 1);
    record_batch_append(b, 5, slice_str(key), slice_of(value, value_n), &h, 1);
    free(value);
}

/* Small values, large ones, a tombstone, a value that only looks like an envelope. */
static void sample(struct buf *out, bool large)
{
    struct record_batch_builder b;

    record_batch_builder_init(&b, WIRE_CODEC_NONE, 0);
    add(&b, "alice", 10, 'A');
    if (large)
        add(&b, "bob", BIG, 'B');
    record_batch_append(&b, 6, slice_str("carol"), SLICE_NULL, NULL, 0);
    add(&b, "alice", 0, ' ');
    add(&b, "dave", large ? RECORD_CRYPT_PIECE + 1 : 1000, 'D');
    assert_int_equal(record_batch_finish(&b, out), ERR_OK);
    record_batch_builder_free(&b);
}

static struct record_crypt_args args_of(enum record_crypt_kind kind, struct slice in, const struct policy *p,
                                        struct ring *r, struct env_test *env, struct buf *out)
{
    env_test_init(env, 42);
    return (struct record_crypt_args){.kind = kind,
                                      .batches = in,
                                      .policy = p,
                                      .topic = slice_str("orders"),
                                      .keys = lookup(r),
                                      .env = kind == RECORD_CRYPT_SEAL ? &env->env : NULL,
                                      .out = out};
}

/* *steps, when not NULL: how many slices it took. */
static enum err run(const struct record_crypt_args *a, size_t slice, bool *changed, int *steps)
{
    struct record_crypt_run *w = record_crypt_run_new(a);
    size_t budget;
    int n = 0;

    if (!w)
        return ERR_NO_MEMORY;
    do {
        budget = slice;
        assert_true(n++ < STEPS_MAX);
    } while (!record_crypt_run_step(w, &budget));
    if (steps)
        *steps = n;
    return record_crypt_run_end(w, changed, NULL, NULL);
}

static void seal_sample(const struct policy *p, struct ring *r, bool large, struct buf *plain, struct buf *sealed)
{
    struct env_test env;
    struct record_crypt_args a;
    bool changed;

    sample(plain, large);
    a = args_of(RECORD_CRYPT_SEAL, buf_slice(plain), p, r, &env, sealed);
    assert_int_equal(run(&a, SIZE_MAX, &changed, NULL), ERR_OK);
    assert_true(changed);
}

static void test_slices_of_any_size_give_the_same(void **state)
{
    static const size_t slices[] = {1, 5000, RECORD_CRYPT_SLICE, SIZE_MAX};
    struct policy *p = make("null");
    struct buf plain, sealed;
    struct ring r = {0};

    (void)state;
    buf_init(&plain, 0), buf_init(&sealed, 0);
    seal_sample(p, &r, true, &plain, &sealed);
    for (size_t i = 0; i < 4; i++) {
        struct record_crypt_args a;
        struct env_test env;
        struct buf out;
        int steps = 0;
        bool changed;
        buf_init(&out, 0);
        buf_put_str(&out, "first");
        a = args_of(RECORD_CRYPT_SEAL, buf_slice(&plain), p, &r, &env, &out);
        assert_int_equal(run(&a, slices[i], &changed, &steps), ERR_OK);
        assert_true(slice_eq(slice_of(out.p + 5, out.n - 5), buf_slice(&sealed)));
        assert_true(i == 3 ? steps == 1 : i < 2 ? steps > 14 : steps > 2);
        buf_clear(&out);
        a = args_of(RECORD_CRYPT_OPEN, buf_slice(&sealed), p, &r, &env, &out);
        assert_int_equal(run(&a, slices[i], &changed, &steps), ERR_OK);
        assert_true(slice_eq(buf_slice(&out), buf_slice(&plain)));
        buf_free(&out);
    }
    assert_true(r.holds > 0);
    assert_null(r.held);
    buf_free(&plain), buf_free(&sealed);
    policy_free(p);
}

/* Large values have the bytes that they have in one piece. */
static void test_a_stream_seals_as_one_piece_does(void **state)
{
    static const enum envelope_suite suites[] = {ENVELOPE_AES_256_GCM, ENVELOPE_CHACHA20_POLY1305};
    const uint8_t salt[ENVELOPE_SALT_SIZE] = {1, 2, 3};
    struct slice record_key = slice_str("k");
    struct envelope_context context;
    struct data_key key = {{4}, {5}};
    uint8_t *plain = calloc(1, MIB), *back = calloc(1, MIB);

    (void)state;
    assert_int_equal(envelope_context_init(&context, slice_str("t"), slice_str("l")), ERR_OK);
    for (size_t i = 0; i < MIB; i++)
        plain[i] = (uint8_t)(i * 31 >> 3);
    for (int s = 0; s < 2; s++) {
        struct buf whole, pieces;
        struct envelope_stream stream = {0};
        struct envelope e;
        uint8_t *at, tag[ENVELOPE_TAG_SIZE];
        buf_init(&whole, 0), buf_init(&pieces, 0);
        assert_int_equal(envelope_seal(suites[s], &key, &context, record_key, salt, slice_of(plain, MIB), &whole),
                         ERR_OK);
        at = buf_grow(&pieces, ENVELOPE_OVERHEAD + MIB);
        assert_int_equal(envelope_seal_begin(&stream, suites[s], &key, &context, record_key, salt, at), ERR_OK);
        at += ENVELOPE_HEADER_SIZE;
        for (size_t n, done = 0; done < MIB; done += n) {
            n = done + 70001 < MIB ? 70001 : MIB - done;
            assert_int_equal(envelope_stream_update(&stream, slice_of(plain + done, n), at + done), ERR_OK);
        }
        assert_int_equal(envelope_seal_end(&stream, at + MIB), ERR_OK);
        assert_true(slice_eq(buf_slice(&whole), buf_slice(&pieces)));

        assert_int_equal(envelope_parse(buf_slice(&whole), &e, NULL), ERR_OK);
        for (int bad = 0; bad < 2; bad++) {
            memcpy(tag, e.sealed.p + MIB, sizeof tag);
            tag[3] ^= (uint8_t)bad;
            assert_int_equal(envelope_open_begin(&stream, &e, key.bytes, &context, record_key, NULL), ERR_OK);
            assert_int_equal(envelope_stream_update(&stream, slice_of(e.sealed.p, 1000), back), ERR_OK);
            assert_int_equal(envelope_stream_update(&stream, slice_of(e.sealed.p + 1000, MIB - 1000), back + 1000),
                             ERR_OK);
            assert_int_equal(envelope_open_end(&stream, tag, NULL), bad ? ERR_DECRYPT : ERR_OK);
            assert_memory_equal(plain, back, MIB);
        }
        assert_int_equal(envelope_open_begin(&stream, &e, key.bytes, &context, slice_str("other"), NULL), ERR_DECRYPT);
        envelope_stream_wipe(&stream);
        buf_free(&whole), buf_free(&pieces);
    }
    free(plain);
    free(back);
}

/* The value is what a reader gets who comes after the erasure, whenever it comes. */
static void erased_after(int steps_before, char letter, bool *through)
{
    struct policy *p = make("null");
    struct buf plain, sealed, opened, expected;
    struct record_crypt_args a;
    struct record_crypt_run *w;
    struct ring r = {0};
    struct env_test env;
    bool changed;
    size_t budget;

    buf_init(&plain, 0), buf_init(&sealed, 0), buf_init(&opened, 0), buf_init(&expected, 0);
    seal_sample(p, &r, true, &plain, &sealed);
    a = args_of(RECORD_CRYPT_OPEN, buf_slice(&sealed), p, &r, &env, &opened);
    w = record_crypt_run_new(&a);
    assert_non_null(w);
    *through = false;
    for (int i = 0; i < steps_before && !*through; i++) {
        budget = 1;
        *through = record_crypt_run_step(w, &budget);
    }
    if (!*through) {
        erase(&r, letter);
        assert_true(!r.held || r.held_letter != letter);
        for (int i = 0; budget = 1, !record_crypt_run_step(w, &budget); i++)
            assert_true(i < STEPS_MAX);
    }
    assert_int_equal(record_crypt_run_end(w, &changed, NULL, NULL), ERR_OK);
    a.out = &expected;
    assert_int_equal(run(&a, SIZE_MAX, &changed, NULL), ERR_OK);
    assert_true(slice_eq(buf_slice(&opened), buf_slice(&expected)));
    buf_free(&plain), buf_free(&sealed), buf_free(&opened), buf_free(&expected);
    policy_free(p);
}

static void test_nothing_leaves_that_was_opened_with_an_erased_key(void **state)
{
    (void)state;
    for (const char *letter = "abd"; *letter; letter++) {
        bool through = false;
        int steps = 1;
        for (; !through; steps++)
            erased_after(steps, *letter, &through);
        assert_true(steps > 20);
    }
}

static void test_sealing_for_a_subject_that_is_erased_meanwhile(void **state)
{
    struct policy *p = make("null");
    struct buf plain, out;
    struct record_crypt_args a;
    struct record_crypt_run *w;
    struct ring r = {0};
    struct env_test env;
    struct reason why = {0};
    bool changed;
    size_t budget = 0;

    (void)state;
    buf_init(&plain, 0), buf_init(&out, 0);
    sample(&plain, true);
    a = args_of(RECORD_CRYPT_SEAL, buf_slice(&plain), p, &r, &env, &out);
    w = record_crypt_run_new(&a);
    while (!r.held) {
        budget = 1;
        assert_false(record_crypt_run_step(w, &budget));
    }
    erase(&r, 'b');
    while (budget = 1000, !record_crypt_run_step(w, &budget))
        ;
    assert_int_equal(record_crypt_run_end(w, &changed, NULL, &why), ERR_POLICY_VIOLATION);
    assert_int_equal(out.n, 0);
    assert_false(changed);
    buf_free(&plain), buf_free(&out);
    policy_free(p);
}

static void test_what_only_looks_like_an_envelope_passes(void **state)
{
    struct record_batch_builder b;
    struct policy *p = make("null");
    struct buf plain, sealed, odd, out;
    struct record_crypt_args a;
    struct record_batch batch;
    struct record_iter it;
    struct record rec;
    struct ring r = {0};
    struct env_test env;
    bool changed, more;

    (void)state;
    buf_init(&plain, 0), buf_init(&sealed, 0), buf_init(&odd, 0), buf_init(&out, 0);
    seal_sample(p, &r, true, &plain, &sealed);
    assert_int_equal(record_batch_parse(buf_slice(&sealed), &batch, NULL), ERR_OK);
    assert_int_equal(record_iter_open(&it, &batch, NULL, 0, NULL), ERR_OK);
    record_batch_builder_like(&b, &batch, 0);
    while (!record_iter_next(&it, &rec, &more, NULL) && more) {
        if (rec.value.n > MIB) /* its last byte, in the tag, is another */
            ((uint8_t *)(uintptr_t)rec.value.p)[rec.value.n - 1] ^= 1;
        record_batch_append_like(&b, &rec, rec.key, rec.value);
    }
    assert_int_equal(record_batch_finish(&b, &odd), ERR_OK);
    record_batch_builder_free(&b);
    a = args_of(RECORD_CRYPT_OPEN, buf_slice(&odd), p, &r, &env, &out);
    assert_int_equal(run(&a, 100, &changed, NULL), ERR_CORRUPT_MESSAGE);
    assert_int_equal(out.n, 0);
    a.policy = NULL; /* nobody protects the topic: the one passes, the others open */
    assert_int_equal(run(&a, 100, &changed, NULL), ERR_OK);
    assert_true(changed);
    assert_int_equal(record_batch_parse(buf_slice(&out), &batch, NULL), ERR_OK);
    assert_int_equal(record_batch_check_crc(&batch, NULL), ERR_OK);
    assert_int_equal(record_iter_open(&it, &batch, NULL, 0, NULL), ERR_OK);
    for (int i = 0; !record_iter_next(&it, &rec, &more, NULL) && more; i++)
        assert_int_equal(envelope_is(rec.value), i == 1);
    buf_free(&plain), buf_free(&sealed), buf_free(&odd), buf_free(&out);
    policy_free(p);
}

static void test_limits(void **state)
{
    struct record_header *headers = calloc(RECORD_CRYPT_HEADERS_MAX + 1, sizeof *headers);
    struct policy *p = make("null"), *by_header;
    struct policy_words w = {.topic = "orders", .subject_from = "header:who", .protect = "value", .erased = "null"};
    struct record_batch_builder b;
    struct buf plain, out, key;
    struct record_crypt_args a;
    struct ring r = {0};
    struct env_test env;
    bool changed;

    (void)state;
    assert_int_equal(policy_new(&by_header, &w, NULL), ERR_OK);
    buf_init(&plain, 0), buf_init(&out, 0), buf_init(&key, 0);
    sample(&plain, true);
    a = args_of(RECORD_CRYPT_SEAL, buf_slice(&plain), p, &r, &env, &out);
    a.max = plain.n;
    assert_int_equal(run(&a, 1000, &changed, NULL), ERR_MESSAGE_TOO_LARGE);
    a.max = plain.n + 5 * (ENVELOPE_OVERHEAD + 2);
    assert_int_equal(run(&a, 1000, &changed, NULL), ERR_OK);

    /* one header too many, just as many; a byte too many in the key, just as many */
    headers[0] = (struct record_header){slice_str("who"), slice_str("alice")};
    for (int i = 1; i <= RECORD_CRYPT_HEADERS_MAX; i++)
        headers[i] = (struct record_header){slice_str(""), SLICE_NULL};
    memset(buf_grow(&key, RECORD_CRYPT_KEY_MAX + 1), 'k', RECORD_CRYPT_KEY_MAX + 1);
    a.policy = by_header;
    a.max = 0;
    for (int i = 0; i < 4; i++) {
        struct slice k = i < 2 ? slice_str("k") : slice_of(key.p, key.n - (size_t)i + 2);
        buf_clear(&plain);
        record_batch_builder_init(&b, WIRE_CODEC_NONE, 0);
        record_batch_append(&b, 1, k, slice_str("y"), headers, i < 2 ? RECORD_CRYPT_HEADERS_MAX + 1 - i : 1);
        assert_int_equal(record_batch_finish(&b, &plain), ERR_OK);
        record_batch_builder_free(&b);
        a.batches = buf_slice(&plain);
        assert_int_equal(run(&a, 1000, &changed, NULL), i % 2 ? ERR_OK : ERR_INVALID_RECORD);
    }
    policy_free(by_header);
    free(headers);
    buf_free(&plain), buf_free(&out), buf_free(&key);
    policy_free(p);
}

static void test_abandoned(void **state)
{
    struct policy *p = make("null");
    struct buf plain, sealed, out;
    struct record_crypt_args a;
    struct ring r = {0};
    struct env_test env;

    (void)state;
    buf_init(&plain, 0), buf_init(&sealed, 0), buf_init(&out, 0);
    seal_sample(p, &r, true, &plain, &sealed);
    for (int steps = 0; steps < 40; steps++) {
        struct record_crypt_run *w;
        size_t budget;
        a = args_of(RECORD_CRYPT_OPEN, buf_slice(&sealed), p, &r, &env, &out);
        w = record_crypt_run_new(&a);
        for (int i = 0; i < steps; i++) {
            budget = 1;
            (void)record_crypt_run_step(w, &budget);
        }
        record_crypt_run_abandon(w);
        assert_int_equal(out.n, 0);
        assert_null(r.held);
        assert_true(out.n == out.cap || !memmem(out.p, out.cap, "AAAAAAAAAA", 10));
    }
    record_crypt_run_abandon(NULL);
    buf_free(&plain), buf_free(&sealed), buf_free(&out);
    policy_free(p);
}

static void no_memory(enum record_crypt_kind kind)
{
    struct policy *p = make("null");
    struct buf plain, sealed, out;
    struct record_crypt_needs needs;
    struct record_crypt_args a;
    struct ring r = {0};
    struct env_test env;
    bool changed;
    int n = 0;
    enum err e;

    buf_init(&plain, 0), buf_init(&sealed, 0);
    seal_sample(p, &r, true, &plain, &sealed);
    do {
        buf_init(&out, 0);
        record_crypt_needs_init(&needs);
        a = args_of(kind, buf_slice(kind == RECORD_CRYPT_SEAL || kind == RECORD_CRYPT_SUBJECTS ? &plain : &sealed), p,
                    &r, &env, &out);
        a.needs = &needs;
        malloc_fault_arm(n++, 1);
        e = run(&a, 100000, &changed, NULL);
        malloc_fault_countdown = MALLOC_FAULT_NONE;
        if (e) {
            assert_int_equal(e, ERR_NO_MEMORY);
            assert_int_equal(out.n, 0);
            assert_int_equal(out.error, ERR_OK);
        }
        assert_null(r.held);
        buf_free(&out);
        record_crypt_needs_free(&needs);
    } while (e);
    assert_true(n > 1);
    buf_free(&plain), buf_free(&sealed);
    policy_free(p);
}

static void test_no_memory(void **state)
{
    (void)state;
    for (int kind = RECORD_CRYPT_SUBJECTS; kind <= RECORD_CRYPT_OPEN; kind++)
        no_memory((enum record_crypt_kind)kind);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slices_of_any_size_give_the_same),
        cmocka_unit_test(test_a_stream_seals_as_one_piece_does),
        cmocka_unit_test(test_nothing_leaves_that_was_opened_with_an_erased_key),
        cmocka_unit_test(test_sealing_for_a_subject_that_is_erased_meanwhile),
        cmocka_unit_test(test_what_only_looks_like_an_envelope_passes),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_abandoned),
        cmocka_unit_test(test_no_memory),
    };
    if (crypto_init(NULL))
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
