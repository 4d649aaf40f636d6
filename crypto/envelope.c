/* SPDX-License-Identifier: Apache-2.0
 * Envelope v1: seal, parse, open. Each record gets its own encryption key and commitment from one keyed BLAKE2b-512
 * over the header, and the tenant, lineage and record key it belongs to; so a value moved to another record, key,
 * topic or tenant has another commitment and is refused before anything is decrypted. */
#include "crypto/envelope.h"
#include "crypto/aead.h"

#include <assert.h>
#include <sodium.h>

/* What stands in records for ever. */
_Static_assert(ENVELOPE_HEADER_SIZE == 56, "docs: the envelope's header");
_Static_assert(ENVELOPE_TAG_SIZE == 16, "AES-GCM and ChaCha20-Poly1305");
_Static_assert(ENVELOPE_KEY_SIZE == 32, "AES-256");
_Static_assert(ENVELOPE_KEY_ID_SIZE == 16 && ENVELOPE_SALT_SIZE == 16, "of the header");
_Static_assert(ENVELOPE_BATCH_SALT_SIZE == 12 && ENVELOPE_COMMITMENT_SIZE == 16, "of the header");

enum { OKM_SIZE = 64, COMMITTED_SIZE = 40, KEY_AT = 8, SALT_AT = 24, COMMITMENT_AT = 40, HASH_SIZE = 32 };

static const uint8_t label[8] = {'c', 's', 't', '-', 'e', 'n', 'v', '1'};

enum err crypto_init(struct reason *why)
{
    if (sodium_init() < 0)
        return reason_set(why, ERR_UNSUPPORTED, "libsodium cannot be initialised");
    return ERR_OK;
}

const char *envelope_suite_name(enum envelope_suite suite)
{
    switch (suite) {
    case ENVELOPE_AES_256_GCM:
        return "aes-256-gcm";
    case ENVELOPE_CHACHA20_POLY1305:
        return "chacha20-poly1305";
    }
    return "unknown";
}

static size_t put_name(uint8_t *p, struct slice name)
{
    p[0] = (uint8_t)(name.n >> 8);
    p[1] = (uint8_t)name.n;
    if (name.n)
        memcpy(p + 2, name.p, name.n);
    return 2 + name.n;
}

enum err envelope_context_init(struct envelope_context *c, struct slice tenant, struct slice lineage)
{
    c->n = 0;
    if (tenant.n > ENVELOPE_NAME_MAX || lineage.n > ENVELOPE_NAME_MAX)
        return ERR_LIMIT_EXCEEDED;
    c->n = put_name(c->bytes, tenant);
    c->n += put_name(c->bytes + c->n, lineage);
    return ERR_OK;
}

bool envelope_is(struct slice value)
{
    return value.n >= 2 && value.p[0] == ENVELOPE_MAGIC_0 && value.p[1] == ENVELOPE_MAGIC_1;
}

enum err envelope_parse(struct slice value, struct envelope *out, struct reason *why)
{
    const uint8_t *p = value.p;
    if (!envelope_is(value))
        return reason_set(why, ERR_MALFORMED, "the value is no envelope: it does not start with C1 5D");
    if (value.n < ENVELOPE_OVERHEAD)
        return reason_set(why, ERR_TRUNCATED, "the envelope has %zu bytes, the least is %d", value.n,
                          ENVELOPE_OVERHEAD);
    if (p[2] != ENVELOPE_VERSION)
        return reason_set(why, ERR_UNSUPPORTED, "envelope version %u is not known", p[2]);
    if (p[3] != ENVELOPE_AES_256_GCM && p[3] != ENVELOPE_CHACHA20_POLY1305)
        return reason_set(why, ERR_UNSUPPORTED, "envelope suite %u is not known", p[3]);
    if (p[4])
        return reason_set(why, ERR_UNSUPPORTED, "envelope flags 0x%02x are not known", p[4]);
    if (p[5] != ENVELOPE_AAD_RECORD)
        return reason_set(why, ERR_UNSUPPORTED, "envelope aad profile %u is not known", p[5]);
    if (p[6] != 1)
        return reason_set(why, ERR_UNSUPPORTED, "an envelope with %u key slots is not known", p[6]);
    if (p[7])
        return reason_set(why, ERR_MALFORMED, "the envelope's reserved byte is 0x%02x", p[7]);
    *out = (struct envelope){.suite = (enum envelope_suite)p[3],
                             .header = p,
                             .key_id = p + KEY_AT,
                             .salt = p + SALT_AT,
                             .commitment = p + COMMITMENT_AT,
                             .sealed = slice_of(p + ENVELOPE_HEADER_SIZE, value.n - ENVELOPE_HEADER_SIZE)};
    return ERR_OK;
}

/* okm from the first COMMITTED_SIZE bytes of a header and the aad. One update call keeps short inputs in two blocks. */
static void derive(uint8_t okm[OKM_SIZE], const uint8_t key[ENVELOPE_KEY_SIZE], const uint8_t *header,
                   const struct envelope_context *context, struct slice record_key)
{
    uint8_t m[sizeof label + COMMITTED_SIZE + sizeof context->bytes + 1 + HASH_SIZE];
    size_t n = 0;
    memcpy(m, label, sizeof label);
    n += sizeof label;
    memcpy(m + n, header, COMMITTED_SIZE);
    n += COMMITTED_SIZE;
    memcpy(m + n, context->bytes, context->n);
    n += context->n;
    m[n++] = !slice_is_null(record_key);
    if (!slice_is_null(record_key)) {
        crypto_generichash(m + n, HASH_SIZE, record_key.p, record_key.n, NULL, 0);
        n += HASH_SIZE;
    }
    crypto_generichash(okm, OKM_SIZE, m, n, key, ENVELOPE_KEY_SIZE);
}

/* The header, with its commitment, and the value's own key. */
static void begin_sealing(enum envelope_suite suite, const struct data_key *key, const struct envelope_context *context,
                          struct slice record_key, const uint8_t salt[ENVELOPE_SALT_SIZE], uint8_t *p,
                          uint8_t okm[OKM_SIZE])
{
    const uint8_t head[KEY_AT] = {
        ENVELOPE_MAGIC_0, ENVELOPE_MAGIC_1, ENVELOPE_VERSION, (uint8_t)suite, 0, ENVELOPE_AAD_RECORD, 1, 0};
    memcpy(p, head, sizeof head);
    memcpy(p + KEY_AT, key->id, ENVELOPE_KEY_ID_SIZE);
    memcpy(p + SALT_AT, salt, ENVELOPE_SALT_SIZE);
    derive(okm, key->bytes, p, context, record_key);
    memcpy(p + COMMITMENT_AT, okm + 32, ENVELOPE_COMMITMENT_SIZE);
}

enum err envelope_seal(enum envelope_suite suite, const struct data_key *key, const struct envelope_context *context,
                       struct slice record_key, const uint8_t salt[ENVELOPE_SALT_SIZE], struct slice plain,
                       struct buf *out)
{
    uint8_t okm[OKM_SIZE];
    if (slice_is_null(plain))
        return ERR_MALFORMED;
    if (plain.n > ENVELOPE_PLAIN_MAX)
        return ERR_LIMIT_EXCEEDED;
    size_t before = out->n;
    uint8_t *p = buf_grow(out, ENVELOPE_OVERHEAD + plain.n);
    if (!p)
        return buf_error(out);
    begin_sealing(suite, key, context, record_key, salt, p, okm);
    enum err e = aead_seal_once(suite, okm, plain, p + ENVELOPE_HEADER_SIZE);
    sodium_memzero(okm, sizeof okm);
    if (e)
        out->n = before;
    return e;
}

/* The value's own key, if the envelope was sealed with this key for this place. */
static enum err begin_opening(const struct envelope *e, const uint8_t key[ENVELOPE_KEY_SIZE],
                              const struct envelope_context *context, struct slice record_key, uint8_t okm[OKM_SIZE],
                              struct reason *why)
{
    derive(okm, key, e->header, context, record_key);
    if (!sodium_memcmp(okm + 32, e->commitment, ENVELOPE_COMMITMENT_SIZE))
        return ERR_OK;
    sodium_memzero(okm, OKM_SIZE);
    return reason_set(why, ERR_DECRYPT,
                      "the envelope was not sealed with this key for this record key, topic lineage and tenant");
}

static enum err tampered(struct reason *why, enum err e)
{
    return reason_set(why, e, "the envelope's ciphertext was tampered with");
}

enum err envelope_open(const struct envelope *e, const uint8_t key[ENVELOPE_KEY_SIZE],
                       const struct envelope_context *context, struct slice record_key, struct buf *out,
                       struct reason *why)
{
    uint8_t okm[OKM_SIZE];
    size_t before = out->n;
    enum err err = begin_opening(e, key, context, record_key, okm, why);
    if (err)
        return err;
    uint8_t *p = buf_grow(out, e->sealed.n - ENVELOPE_TAG_SIZE);
    if (!p) {
        sodium_memzero(okm, sizeof okm);
        return buf_error(out);
    }
    err = aead_open_once(e->suite, okm, e->sealed, p);
    sodium_memzero(okm, sizeof okm);
    if (err) {
        out->n = before;
        return tampered(why, err);
    }
    return ERR_OK;
}

/* ---- Piece by piece ---- */

static enum err begin(struct envelope_stream *s, enum envelope_suite suite, uint8_t okm[OKM_SIZE], bool sealing)
{
    s->sealing = sealing;
    s->cipher = aead_stream_new(suite, okm, sealing);
    sodium_memzero(okm, OKM_SIZE);
    return s->cipher ? ERR_OK : ERR_NO_MEMORY;
}

enum err envelope_seal_begin(struct envelope_stream *s, enum envelope_suite suite, const struct data_key *key,
                             const struct envelope_context *context, struct slice record_key,
                             const uint8_t salt[ENVELOPE_SALT_SIZE], uint8_t *header)
{
    uint8_t okm[OKM_SIZE];
    begin_sealing(suite, key, context, record_key, salt, header, okm);
    return begin(s, suite, okm, true);
}

enum err envelope_open_begin(struct envelope_stream *s, const struct envelope *e, const uint8_t key[ENVELOPE_KEY_SIZE],
                             const struct envelope_context *context, struct slice record_key, struct reason *why)
{
    uint8_t okm[OKM_SIZE];
    enum err err = begin_opening(e, key, context, record_key, okm, why);
    return err ? err : begin(s, e->suite, okm, false);
}

enum err envelope_stream_update(struct envelope_stream *s, struct slice in, uint8_t *out)
{
    assert(s->cipher);
    return aead_stream_update(s->cipher, in, out);
}

enum err envelope_seal_end(struct envelope_stream *s, uint8_t tag[ENVELOPE_TAG_SIZE])
{
    assert(s->cipher && s->sealing);
    enum err e = aead_stream_tag(s->cipher, tag);
    envelope_stream_wipe(s);
    return e;
}

enum err envelope_open_end(struct envelope_stream *s, const uint8_t tag[ENVELOPE_TAG_SIZE], struct reason *why)
{
    assert(s->cipher && !s->sealing);
    enum err e = aead_stream_check(s->cipher, tag);
    envelope_stream_wipe(s);
    return e ? tampered(why, e) : ERR_OK;
}

void envelope_stream_wipe(struct envelope_stream *s)
{
    aead_stream_free(s->cipher);
    s->cipher = NULL;
}
