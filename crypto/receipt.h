/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_CRYPTO_RECEIPT_H
#define CASTELLAN_CRYPTO_RECEIPT_H

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/slice.h"

/* Receipts of erasure. A receipt is an entry of the erasure ledger: JSON, signed with ed25519 over
 * "castellan-receipt-v1\n" and its canonical text (keys sorted, no spaces, ASCII) without the member "signature", and
 * chained: "prev_hash" is the BLAKE2b-256 of the entry before it as it stands in the topic.
 *
 * What `castellan forget` hands out is a bundle around it:
 *   {"receipt": {...}, "subject_salt": hex, "inclusion": {"tree_size", "leaf_index", "path": [hex...], "root": hex,
 *    "signature": hex}}
 * The salt opens the subject's commitment, BLAKE2b-256(salt | tenant | class | id, each with a u16 length), and is
 * known to the requester alone. The inclusion proof is RFC 6962's, over all entries of the ledger, the head signed. */
enum {
    RECEIPT_HASH_SIZE = 32,
    RECEIPT_SALT_SIZE = 32,
    RECEIPT_PUBLIC_KEY_SIZE = 32,
    RECEIPT_SECRET_KEY_SIZE = 64,
    RECEIPT_SIGNATURE_SIZE = 64,
    RECEIPT_FILE_MAX = 16 * 1024 * 1024,
    RECEIPT_KEYS_MAX = 10000,
};

/* What a verified bundle says, for people and scripts. */
struct receipt_report {
    uint64_t seq;
    char level[4];          /* "E2" */
    char signer[65];        /* fingerprint of the public key, hex */
    bool signer_trusted;    /* equals the trusted key that was given */
    bool inclusion_checked; /* the bundle had a proof, and it held */
    bool subject_checked;   /* a subject was given, and the commitment opens to it */
    size_t keys;            /* erased keys named */
    uint32_t epoch_old, epoch_new;
    int64_t completed_at_ms;
};

/* Check a bundle (or a bare receipt) offline: signature, self-consistency, inclusion. `trusted_key` is the content of a
 * receipt-signing.pub, null to go by the key inside (then signer_trusted is false). `subject` may be null. ERR_AUTH:
 * signature, chain or proof do not hold. `out` is filled only on success. */
enum err receipt_verify(struct slice json, struct slice trusted_key, struct slice tenant, struct slice subject_class,
                        struct slice subject, struct receipt_report *out, struct reason *why) MUST_CHECK;

/* ---- Used by the key process ---- */

struct receipt_signer {
    uint8_t public_key[RECEIPT_PUBLIC_KEY_SIZE];
    uint8_t *secret_key; /* locked memory */
    char fingerprint[65];
};
/* Read the signing key (0600), or make it when absent; the public one is written to `public_path` as one line,
 * "ed25519:" and hex. */
enum err receipt_signer_open(struct receipt_signer *s, const char *path, const char *public_path,
                             struct reason *why) MUST_CHECK;
void receipt_signer_close(struct receipt_signer *s);

struct json_t;
/* Add "signer" and "signature" to a JSON object, which must have neither. */
enum err receipt_sign(const struct receipt_signer *s, struct json_t *receipt) MUST_CHECK;
/* The canonical text of a JSON value, appended. */
enum err receipt_canonical(const struct json_t *value, struct buf *out) MUST_CHECK;
void receipt_commitment(uint8_t out[32], const uint8_t salt[RECEIPT_SALT_SIZE], struct slice tenant,
                        struct slice subject_class, struct slice subject);
void receipt_entry_hash(uint8_t out[RECEIPT_HASH_SIZE], struct slice entry);
/* The bundle for entry `index` of a ledger whose leaf hashes are given; `salt` (RECEIPT_SALT_SIZE bytes) may be NULL.
 */
enum err receipt_bundle(const struct receipt_signer *s, struct slice receipt, const uint8_t *salt,
                        const uint8_t (*leaves)[RECEIPT_HASH_SIZE], uint64_t size, uint64_t index,
                        struct buf *out) MUST_CHECK;

#endif
