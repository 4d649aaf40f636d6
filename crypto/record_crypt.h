/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_CRYPTO_RECORD_CRYPT_H
#define CASTELLAN_CRYPTO_RECORD_CRYPT_H

#include "core/base/buf.h"
#include "core/base/env.h"
#include "core/base/map.h"
#include "crypto/envelope.h"
#include "crypto/policy.h"

/* Sealing and opening the values in runs of record batches (what Produce and Fetch carry). In two phases, so that the
 * caller may fetch keys without blocking:
 *
 *   produce:  record_crypt_collect_subjects -> get the keys -> record_crypt_seal
 *   fetch:    record_crypt_collect_keys     -> get the keys -> record_crypt_open
 *
 * Kept as they are: control batches, tombstones, producer id, epoch, sequence, offset deltas, timestamps, headers,
 * attributes, last offset delta. Sizes and CRC are redone. Sealed batches are written uncompressed (ciphertext does not
 * compress); opened batches are written uncompressed as well. A run in which nothing has to change comes out byte by
 * byte, and *changed stays false so the caller can forward what it had.
 *
 * On produce a value that already bears the envelope's magic is sealed again like any other value: what a producer sent
 * is what a reader gets back. On fetch a record without the magic passes as it is (it was there before the policy).
 * A subject is named by bytes of at most RECORD_CRYPT_SUBJECT_MAX; a record that has none (null key, missing header)
 * cannot be protected and is refused with ERR_INVALID_RECORD. */
enum {
    RECORD_CRYPT_SUBJECT_MAX = 1024,
    RECORD_CRYPT_SUBJECTS_MAX = 100000, /* distinct subjects, or key ids, in one call */
};

/* What a run of batches needs: keys of the maps, values unused. */
struct record_crypt_needs {
    struct map subjects; /* subject id bytes */
    struct map key_ids;  /* 16 bytes each */
};
void record_crypt_needs_init(struct record_crypt_needs *n);
void record_crypt_needs_free(struct record_crypt_needs *n);
bool record_crypt_needs_nothing(const struct record_crypt_needs *n);

enum key_state {
    KEY_LIVE,
    KEY_ERASED,
    KEY_UNKNOWN,     /* no such key in the keyring: another installation's, or lost */
    KEY_UNAVAILABLE, /* the key process does not answer, or the lease ran out: fail closed */
};

/* Where resolved keys come from. On KEY_LIVE *out points at a key that stays as it is until release(): for the one
 * record at hand, and no longer, for an erasure waits for it. `release` may be NULL; it is not called after other
 * answers. */
struct key_lookup {
    void *user;
    enum key_state (*by_subject)(void *user, struct slice subject, const struct data_key **out);
    enum key_state (*by_id)(void *user, const uint8_t id[ENVELOPE_KEY_ID_SIZE], const struct data_key **out);
    void (*release)(void *user);
};

/* Produce: which subjects' keys does this run need? Adds to `needs`. Nothing needed: forward as it is. */
enum err record_crypt_collect_subjects(struct slice batches, const struct policy *p, struct record_crypt_needs *needs,
                                       struct reason *why) MUST_CHECK;
/* Fetch: which key ids occur? Needs no policy: any topic may hold envelopes. A last batch that is cut short is left. */
enum err record_crypt_collect_keys(struct slice batches, struct record_crypt_needs *needs,
                                   struct reason *why) MUST_CHECK;

struct record_crypt_counts {
    int64_t sealed, opened, erased, passed; /* records */
};

/* Append the run with its values sealed. `topic` gives the lineage when the policy has none. `max` is the topic's
 * max.message.bytes (0: no limit): a batch that would outgrow it is ERR_MESSAGE_TOO_LARGE. An erased subject is
 * ERR_POLICY_VIOLATION, keys that are not to be had ERR_KAFKA_STORAGE_ERROR. On failure `out` is as it was. */
enum err record_crypt_seal(struct slice batches, const struct policy *p, struct slice topic,
                           const struct key_lookup *keys, struct env *env, size_t max, struct buf *out, bool *changed,
                           struct record_crypt_counts *counts, struct reason *why) MUST_CHECK;

/* Append the run with its values opened. `p` may be NULL (a topic with envelopes but without policy any more): then
 * erased values become null. With may_read false (a principal that may not see this data) nothing is opened and values
 * stay ciphertext. A key that is not to be had, and POLICY_ERASED_ERROR, fail the run (ERR_KAFKA_STORAGE_ERROR,
 * ERR_ERASED); a value that does not open is ERR_CORRUPT_MESSAGE. A cut last batch is left out. */
enum err record_crypt_open(struct slice batches, const struct policy *p, struct slice topic,
                           const struct key_lookup *keys, bool may_read, struct buf *out, bool *changed,
                           struct record_crypt_counts *counts, struct reason *why) MUST_CHECK;

#endif
