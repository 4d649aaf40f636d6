/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_CRYPTO_AEAD_H
#define CASTELLAN_CRYPTO_AEAD_H

#include "core/base/err.h"
#include "core/base/slice.h"
#include "crypto/envelope.h"

/* The two AEADs, one interface, with nonce zero and no additional data: for keys that are used once. `out` has room for
 * plain.n + ENVELOPE_TAG_SIZE (seal) or sealed.n - ENVELOPE_TAG_SIZE (open) bytes and does not overlap the input. */
enum err aead_seal_once(enum envelope_suite suite, const uint8_t key[32], struct slice plain, uint8_t *out) MUST_CHECK;
enum err aead_open_once(enum envelope_suite suite, const uint8_t key[32], struct slice sealed, uint8_t *out) MUST_CHECK;

/* The same piece by piece, through OpenSSL. NULL: no memory, or an unknown suite. */
void *aead_stream_new(enum envelope_suite suite, const uint8_t key[32], bool sealing);
enum err aead_stream_update(void *stream, struct slice in, uint8_t *out) MUST_CHECK; /* at most INT_MAX bytes at once */
enum err aead_stream_tag(void *stream, uint8_t tag[ENVELOPE_TAG_SIZE]) MUST_CHECK;
enum err aead_stream_check(void *stream, const uint8_t tag[ENVELOPE_TAG_SIZE]) MUST_CHECK;
void aead_stream_free(void *stream); /* wipes; NULL is fine */

/* For tests: pretend that the processor has no AES, so that suite 1 goes through OpenSSL. */
void aead_force_portable(bool on);

#endif
