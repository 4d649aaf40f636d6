/* SPDX-License-Identifier: Apache-2.0
 * Input: a byte that chooses, then what that parser reads. Nothing may crash, and what was not sealed with the key at
 * hand must never open. */
#include "crypto/erasure_log.h"
#include "crypto/keyd_proto.h"
#include "crypto/keyring.h"
#include "crypto/record_crypt.h"
#include "tests/fuzz/fuzz.h"

static const struct data_key key = {{0}, {1}};

static enum key_state by_subject(void *user, struct slice subject, const struct data_key **out)
{
    (void)user, (void)subject;
    *out = &key;
    return KEY_LIVE;
}

static enum key_state by_id(void *user, const uint8_t id[ENVELOPE_KEY_ID_SIZE], const struct data_key **out)
{
    (void)user;
    *out = &key;
    return id[0] & 1 ? KEY_ERASED : KEY_LIVE;
}

static void envelopes(struct slice in)
{
    struct envelope e;
    struct envelope_context c;
    struct buf out;
    if (envelope_parse(in, &e, NULL) || envelope_context_init(&c, slice_str("t"), slice_str("l")))
        return;
    buf_init(&out, 0);
    FUZZ_EXPECT(envelope_open(&e, key.bytes, &c, SLICE_NULL, &out, NULL) != ERR_OK && out.n == 0);
    buf_free(&out);
}

/* What seals opens again, to the same bytes but for compression. */
static void batches(struct slice in)
{
    struct policy *p;
    struct policy_words w = {.topic = "t", .subject_from = "key", .protect = "value", .erased = "redact"};
    struct key_lookup l = {.by_subject = by_subject, .by_id = by_id};
    struct record_crypt_needs needs;
    struct env_test env;
    struct buf sealed, opened;
    bool changed;
    if (policy_new(&p, &w, NULL))
        return;
    env_test_init(&env, 1);
    record_crypt_needs_init(&needs);
    buf_init(&sealed, 0);
    buf_init(&opened, 0);
    (void)!record_crypt_collect_keys(in, &needs, NULL);
    (void)!record_crypt_open(in, p, slice_str("t"), &l, true, &opened, &changed, NULL, NULL);
    buf_clear(&opened);
    enum err e = record_crypt_collect_subjects(in, p, &needs, NULL);
    if (!record_crypt_seal(in, p, slice_str("t"), &l, &env.env, 0, &sealed, &changed, NULL, NULL)) {
        FUZZ_EXPECT(e == ERR_OK);
        FUZZ_EXPECT(!record_crypt_open(buf_slice(&sealed), p, slice_str("t"), &l, true, &opened, &changed, NULL, NULL));
    }
    record_crypt_needs_free(&needs);
    buf_free(&sealed);
    buf_free(&opened);
    policy_free(p);
}

static void policies(struct slice in)
{
    struct policy *p, *again;
    struct buf k, v;
    if (policy_decode(&p, in, NULL))
        return;
    buf_init(&k, 0);
    buf_init(&v, 0);
    FUZZ_EXPECT(policy_encode(p, &k, &v) == ERR_OK && policy_decode(&again, buf_slice(&v), NULL) == ERR_OK);
    policy_free(again);
    policy_free(p);
    buf_free(&k);
    buf_free(&v);
}

/* Records: u8 length of the key, key, u16 length of the value (ffff: null), value. */
static void records(struct slice in, bool erasures)
{
    struct keyring *kr = keyring_new(env_system());
    struct erasure_log log;
    struct cursor c = cursor_of(in);
    erasure_log_init(&log);
    for (int64_t offset = 0; kr && !c.error && cursor_left(&c); offset++) {
        struct slice k = cursor_take(&c, cursor_u8(&c));
        uint16_t n = cursor_u16(&c);
        struct slice v = n == UINT16_MAX ? SLICE_NULL : cursor_take(&c, n);
        if (c.error)
            break;
        if (erasures)
            (void)!erasure_log_apply(&log, k, v, NULL);
        else
            (void)!keyring_apply(kr, offset, k, v, NULL);
    }
    erasure_log_free(&log);
    keyring_free(kr);
}

static void frames(struct slice in)
{
    struct keyd_frame f;
    bool more;
    while (!keyd_frame_next(&in, &f, &more) && more)
        FUZZ_EXPECT(keyd_message_name(f.type) && (f.type != KEYD_ERROR || keyd_get_error(f.body, NULL) != ERR_OK));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_of(data + 1, size - 1);
    struct receipt_report report;
    if (size == 0 || crypto_init(NULL))
        return 0;
    switch (data[0]) {
    case 'e':
        envelopes(in);
        break;
    case 'b':
        batches(in);
        break;
    case 'p':
        policies(in);
        break;
    case 'k':
    case 'x':
        records(in, data[0] == 'x');
        break;
    case 'f':
        frames(in);
        break;
    case 'r':
        FUZZ_EXPECT(receipt_verify(in, SLICE_NULL, SLICE_NULL, SLICE_NULL, SLICE_NULL, &report, NULL) != ERR_OK ||
                    report.seq > 0);
        break;
    }
    return 0;
}
