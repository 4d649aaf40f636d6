/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_CRYPTO_ENVELOPE_H
#define CASTELLAN_CRYPTO_ENVELOPE_H

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/slice.h"

/* Envelope v1: what a protected record value looks like on the brokers. Big-endian:
 *
 *    0  2  magic C1 5D           (C1 never occurs in UTF-8; framed schema data starts 00)
 *    2  1  version 1
 *    3  1  suite                 (enum envelope_suite)
 *    4  1  flags 0               (none defined yet: any bit set is refused)
 *    5  1  aad profile 1         (ENVELOPE_AAD_RECORD)
 *    6  1  slots 1               (one data key)
 *    7  1  zero
 *    8 16  key_id
 *   24 16  salt                  (12 random bytes per batch, 4 bytes index of the record)
 *   40 16  commitment
 *   56  n  ciphertext
 * 56+n 16  tag
 *
 * okm = BLAKE2b-512(key = data key, "cst-env1" | bytes 0..39 | aad); encryption key okm[0..32), commitment okm[32..48),
 * nonce all zero (the key is used once), the AEAD's own additional data is empty. The commitment is compared in
 * constant time before anything is opened, so "not this key, record or topic" and "tampered with" are told apart.
 *
 * aad of profile 1 = u16 length, tenant | u16 length, lineage | 01, BLAKE2b-256(record key), or 00 when the record has
 * no key. The lineage id names a topic's history, not its name or offsets, so a mirrored topic still opens. */
enum {
    ENVELOPE_MAGIC_0 = 0xc1,
    ENVELOPE_MAGIC_1 = 0x5d,
    ENVELOPE_VERSION = 1,
    ENVELOPE_HEADER_SIZE = 56,
    ENVELOPE_TAG_SIZE = 16,
    ENVELOPE_OVERHEAD = ENVELOPE_HEADER_SIZE + ENVELOPE_TAG_SIZE, /* 72: sealed size - plain size */
    ENVELOPE_KEY_SIZE = 32,
    ENVELOPE_KEY_ID_SIZE = 16,
    ENVELOPE_SALT_SIZE = 16,
    ENVELOPE_BATCH_SALT_SIZE = 12,
    ENVELOPE_COMMITMENT_SIZE = 16,
    ENVELOPE_NAME_MAX = 255, /* tenant, lineage */
    ENVELOPE_PLAIN_MAX = 256 * 1024 * 1024,
};

enum envelope_suite {
    ENVELOPE_AES_256_GCM = 1,       /* BLAKE2b KDF + AES-256-GCM */
    ENVELOPE_CHACHA20_POLY1305 = 2, /* BLAKE2b KDF + ChaCha20-Poly1305 (IETF) */
};

enum envelope_aad_profile { ENVELOPE_AAD_RECORD = 1 };

/* A data key. Lives in locked memory; pass pointers, make no copies. */
struct data_key {
    uint8_t id[ENVELOPE_KEY_ID_SIZE];
    uint8_t bytes[ENVELOPE_KEY_SIZE];
};

/* The part of the AAD that is the same for a whole topic, made once. */
struct envelope_context {
    uint8_t bytes[2 * (2 + ENVELOPE_NAME_MAX)];
    size_t n;
};

/* The bytes of one envelope, taken apart; slices point into them. */
struct envelope {
    enum envelope_suite suite;
    const uint8_t *header; /* ENVELOPE_HEADER_SIZE bytes */
    const uint8_t *key_id;
    const uint8_t *salt;
    const uint8_t *commitment;
    struct slice sealed; /* ciphertext and tag */
};

/* Call once before anything else here (any thread, again is fine). */
enum err crypto_init(struct reason *why) MUST_CHECK;
/* True when suite 1 runs on the processor's own AES; otherwise it goes through OpenSSL and suite 2 is faster. */
bool envelope_has_fast_aes(void);
const char *envelope_suite_name(enum envelope_suite suite);

enum err envelope_context_init(struct envelope_context *c, struct slice tenant, struct slice lineage) MUST_CHECK;

/* Whether `value` claims to be an envelope (starts with the magic); null never does. */
bool envelope_is(struct slice value);
/* ERR_MALFORMED, ERR_TRUNCATED or ERR_UNSUPPORTED (version, suite, flags, profile, slots) with the words in `why`. */
enum err envelope_parse(struct slice value, struct envelope *out, struct reason *why) MUST_CHECK;

/* Append the envelope of `plain` to `out`. A salt must never be used twice with one key. */
enum err envelope_seal(enum envelope_suite suite, const struct data_key *key, const struct envelope_context *context,
                       struct slice record_key, const uint8_t salt[ENVELOPE_SALT_SIZE], struct slice plain,
                       struct buf *out) MUST_CHECK;
/* Append the plaintext to `out`; on failure nothing is appended. ERR_DECRYPT: another key, record key, topic or tenant
 * (commitment differs), or tampered with. */
enum err envelope_open(const struct envelope *e, const uint8_t key[ENVELOPE_KEY_SIZE],
                       const struct envelope_context *context, struct slice record_key, struct buf *out,
                       struct reason *why) MUST_CHECK;

/* The same for a large value, piece by piece, with the same bytes as outcome. Between the pieces the stream holds a key
 * that opens this one value: envelope_stream_wipe() forgets it. */
struct envelope_stream {
    void *cipher; /* NULL: none, or wiped */
    bool sealing;
};
/* Writes the ENVELOPE_HEADER_SIZE bytes of the envelope's header. */
enum err envelope_seal_begin(struct envelope_stream *s, enum envelope_suite suite, const struct data_key *key,
                             const struct envelope_context *context, struct slice record_key,
                             const uint8_t salt[ENVELOPE_SALT_SIZE], uint8_t *header) MUST_CHECK;
enum err envelope_open_begin(struct envelope_stream *s, const struct envelope *e, const uint8_t key[ENVELOPE_KEY_SIZE],
                             const struct envelope_context *context, struct slice record_key,
                             struct reason *why) MUST_CHECK;
enum err envelope_stream_update(struct envelope_stream *s, struct slice in, uint8_t *out) MUST_CHECK; /* in.n bytes */
/* Writes the tag, or checks it: before ERR_OK nothing that was opened may be used. Wipes the stream. */
enum err envelope_seal_end(struct envelope_stream *s, uint8_t tag[ENVELOPE_TAG_SIZE]) MUST_CHECK;
enum err envelope_open_end(struct envelope_stream *s, const uint8_t tag[ENVELOPE_TAG_SIZE],
                           struct reason *why) MUST_CHECK;
void envelope_stream_wipe(struct envelope_stream *s); /* fine on one that holds nothing */

#endif
