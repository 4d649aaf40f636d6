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
 * cannot be protected and is refused with ERR_INVALID_RECORD.
 *
 * A run may take longer than a loop's thread can spare: struct record_crypt_run does the same work in slices. */
enum {
    RECORD_CRYPT_SUBJECT_MAX = 1024,
    RECORD_CRYPT_SUBJECTS_MAX = 100000,   /* distinct subjects, or key ids, in one call */
    RECORD_CRYPT_KEY_MAX = 1024 * 1024,   /* bytes of a record's key on a protected topic: it is hashed in one piece */
    RECORD_CRYPT_HEADERS_MAX = 100000,    /* of one record on a protected topic: they are read in one piece */
    RECORD_CRYPT_PIECE = 512 * 1024,      /* larger values are worked on piece by piece */
    RECORD_CRYPT_SLICE = 2 * 1024 * 1024, /* work that takes one or two milliseconds */
    RECORD_CRYPT_RECORD_COST = 1024,      /* work for a record beside its bytes: as long as so many bytes take */
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

/* Something that was made from a data key and is kept longer than the key is in use: `wipe` is called when that key is
 * wiped, on whatever thread, under the lock that release() gives back. */
struct key_hold {
    struct key_hold *next, *prev; /* the cache's; NULL: not held */
    void (*wipe)(struct key_hold *h);
};

/* Where resolved keys come from. On KEY_LIVE *out points at a key that stays as it is until release(): for the one
 * record at hand, and no longer, for an erasure waits for it. All but the first two functions may be NULL, when keys
 * are never wiped while a run is worked on. */
struct key_lookup {
    void *user;
    enum key_state (*by_subject)(void *user, struct slice subject, const struct data_key **out);
    enum key_state (*by_id)(void *user, const uint8_t id[ENVELOPE_KEY_ID_SIZE], const struct data_key **out);
    /* Nothing is wiped from here until release(), which follows every KEY_LIVE and every enter(). */
    void (*enter)(void *user);
    void (*release)(void *user);
    size_t (*lost)(void *user); /* how many of its keys were wiped until now: erased, or the lease is over */
    void (*hold)(void *user, const struct data_key *key, struct key_hold *h); /* while the key is in use */
    void (*let_go)(void *user, struct key_hold *h);                           /* after enter(); fine when not held */
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

/* ---- In slices ---- */

enum record_crypt_kind { RECORD_CRYPT_SUBJECTS, RECORD_CRYPT_KEYS, RECORD_CRYPT_SEAL, RECORD_CRYPT_OPEN };

/* What the functions above take; all of it, and `batches`, must outlive the run. */
struct record_crypt_args {
    enum record_crypt_kind kind;
    struct slice batches;             /* better without compression (core/wire/record_unpack.h): a batch is one slice */
    const struct policy *policy;      /* not for _KEYS */
    struct record_crypt_needs *needs; /* _SUBJECTS, _KEYS */
    struct slice topic;               /* the rest: _SEAL, _OPEN */
    struct key_lookup keys;
    struct env *env; /* _SEAL */
    size_t max;      /* a batch that comes out larger is ERR_MESSAGE_TOO_LARGE; 0: no limit but WIRE_DECOMPRESSED_MAX */
    bool ciphertext; /* _OPEN: the reader may not see the values */
    struct buf *out;
};

struct record_crypt_run;
struct record_crypt_run *record_crypt_run_new(const struct record_crypt_args *a); /* NULL: no memory */
/* Work on it for as long as about *budget bytes take, and take them off. True: it is through.
 *
 * Erasure: every key is looked up when it is used, and before a run is through it is asked whether any of its keys was
 * wiped since the start; then it begins anew. So what is in `out` in the moment this returns true was opened with keys
 * that are live in that moment. Whether that still holds
 * later, keys.lost() says: it grows. */
bool record_crypt_run_step(struct record_crypt_run *r, size_t *budget);
/* How it went, and free it. It must be through. */
enum err record_crypt_run_end(struct record_crypt_run *r, bool *changed, struct record_crypt_counts *counts,
                              struct reason *why) MUST_CHECK;
/* Free it before it is through (or not): `out` is as it was, what was written there is wiped. NULL is fine. */
void record_crypt_run_abandon(struct record_crypt_run *r);

#endif
