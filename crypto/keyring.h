/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_CRYPTO_KEYRING_H
#define CASTELLAN_CRYPTO_KEYRING_H

#include "core/base/buf.h"
#include "core/base/env.h"
#include "core/base/map.h"
#include "crypto/custody.h"
#include "crypto/envelope.h"
#include "crypto/record_crypt.h"

/* The keyring: what the records of __castellan_keys amount to. State only, no I/O: keyring_apply takes records in log
 * order, the make functions give records to append.
 *
 * Records (tag and ids in hex; a tag is BLAKE2b-128(pepper, tenant | class | id), so no id stands in the topic):
 *   key/TAG/KEYID     {"created":ms,"epoch":n,"wrap":hex}      a key, wrapped under the root of that epoch
 *   fence/TAG         {"at":ms,"erasure":hex,"keys":[{"fingerprint":hex,"id":hex}...],"state":"erased"|"open"}
 *   hold/TAG          {"at":ms}                                legal hold; tombstone: released
 *   node/0/EPOCH/I    binary, see below                        a page of keys re-wrapped for an epoch
 *   root {"at":ms,"custody":"file","epoch":n,"nodes":n,"previous":v,"through":offset,"version":v,"wrap":hex}
 *
 * The fence rule needs no clock and survives compaction: a key lives only if the record that carries it stands after
 * the last fence of its subject, and that fence is "open". So "erased" kills the keys before and after it, and "open"
 * (a reopen) still kills those before it.
 *
 * ROOT is the commit point of a rotation: node records of its epoch come before it and count only once it stands there;
 * keys that are neither in them nor of its epoch are gone. "through" is the log position the rotation started from: an
 * erasure is shredded once a ROOT's "through" lies after its fence, because then no node carries its keys and the root
 * they were wrapped under is destroyed.
 *
 * A node: "CN" | version 1 | level 0 | epoch u32 | index u32 | count u16 | zero u16 | salt[16] | count entries of
 * tag[16] key_id[16] created_s u32 wrap[48]. (The tree of a later version adds levels above.)
 * wrap = XChaCha20-Poly1305(key = BLAKE2b-256(root, "cst-wrap" | epoch | salt), nonce = slot, aad = tag | key_id |
 * epoch); slot is the entry's place in its node; a key record's salt is its key_id and its slot ffffffff. Salts are
 * fresh at every writing, so no key and nonce occur twice. */
enum {
    KEYRING_TAG_SIZE = 16,
    KEYRING_ROOT_SIZE = 32,
    KEYRING_WRAP_SIZE = ENVELOPE_KEY_SIZE + 16,
    KEYRING_NODE_ENTRIES = 256,
    KEYRING_NODE_HEADER = 32,
    KEYRING_NODE_ENTRY = 2 * 16 + 4 + KEYRING_WRAP_SIZE, /* 84 */
    KEYRING_NODES_PER_WRITE = 64,                        /* nodes in one transaction of a rotation */
    KEYRING_ERASURE_ID_SIZE = 16,
    KEYRING_FINGERPRINT_SIZE = 32,
    KEYRING_RECORD_MAX = 1024 * 1024,
};
#define KEYRING_TOPIC "__castellan_keys"

struct keyring;
struct keyring *keyring_new(struct env *env); /* NULL: no memory */
void keyring_free(struct keyring *kr);        /* wipes */

/* One record of the topic, in log order. An error names a record that cannot be understood; the state is as before. */
enum err keyring_apply(struct keyring *kr, int64_t offset, struct slice key, struct slice value,
                       struct reason *why) MUST_CHECK;

/* ---- the root ---- */

struct keyring_root {
    uint32_t epoch;                     /* 0: there is none yet */
    uint32_t version, previous_version; /* of custody; previous 0: none */
    int64_t through;
    uint32_t nodes;
};
struct keyring_root keyring_root(const struct keyring *kr);
bool keyring_is_open(const struct keyring *kr); /* the current root is unwrapped in memory */
/* Unwrap the current root; no effect when it is open already. */
enum err keyring_open(struct keyring *kr, struct custody *custody, struct reason *why) MUST_CHECK;

/* ---- subjects and keys (need an open keyring) ---- */

void keyring_tag(const struct keyring *kr, struct slice tenant, struct slice subject_class, struct slice id,
                 uint8_t tag[KEYRING_TAG_SIZE]);
/* A secret of the installation for a purpose: subject salts come from here. */
void keyring_derive(const struct keyring *kr, const char *purpose, struct slice input, uint8_t out[32]);

struct keyring_subject {
    bool known, erased, held;
    int64_t fence_offset;                     /* -1: never fenced */
    uint8_t erasure[KEYRING_ERASURE_ID_SIZE]; /* of the last fence */
    size_t live_keys;
};
struct keyring_subject keyring_subject(const struct keyring *kr, const uint8_t tag[KEYRING_TAG_SIZE]);

/* Unwrap. KEY_UNKNOWN also when the wrap does not open; `tag` may be NULL. */
enum key_state keyring_unwrap(const struct keyring *kr, const uint8_t id[ENVELOPE_KEY_ID_SIZE], struct data_key *out,
                              uint8_t tag[KEYRING_TAG_SIZE]);
/* The subject's key to encrypt with: of the live ones the first in the log. False when it has none. */
bool keyring_current_key(const struct keyring *kr, const uint8_t tag[KEYRING_TAG_SIZE],
                         uint8_t id[ENVELOPE_KEY_ID_SIZE]);
/* Every live key of a subject. */
void keyring_each_key(const struct keyring *kr, const uint8_t tag[KEYRING_TAG_SIZE],
                      void (*fn)(void *ctx, const uint8_t id[ENVELOPE_KEY_ID_SIZE]), void *ctx);

struct keyring_counts {
    size_t subjects, live_keys, dead_keys, erased_subjects, held_subjects;
};
struct keyring_counts keyring_counts(const struct keyring *kr);

/* ---- records to append ---- */

struct keyring_record {
    struct buf key, value;
    bool tombstone;
};
struct keyring_records {
    struct keyring_record *v;
    size_t n, cap;
};
void keyring_records_free(struct keyring_records *r);

/* A fresh key for a subject. It may be used once its own record was applied and keyring_key_state says KEY_LIVE. */
enum err keyring_make_key(struct keyring *kr, const uint8_t tag[KEYRING_TAG_SIZE], int64_t now_ms,
                          struct keyring_records *out, uint8_t id[ENVELOPE_KEY_ID_SIZE]) MUST_CHECK;
/* The fence: names every key of the subject, live or dead, with the fingerprint BLAKE2b-256("fp" | key) of the live. */
enum err keyring_make_fence(struct keyring *kr, const uint8_t tag[KEYRING_TAG_SIZE],
                            const uint8_t erasure[KEYRING_ERASURE_ID_SIZE], bool erased, int64_t now_ms,
                            struct keyring_records *out) MUST_CHECK;
enum err keyring_make_hold(struct keyring *kr, const uint8_t tag[KEYRING_TAG_SIZE], bool hold, int64_t now_ms,
                           struct keyring_records *out) MUST_CHECK;
/* The keys a subject's last fence names, as a JSON array text (for the receipt), appended. */
enum err keyring_put_fenced_keys(const struct keyring *kr, const uint8_t tag[KEYRING_TAG_SIZE], struct buf *out,
                                 size_t *count) MUST_CHECK;

/* A rotation under custody version `version`: begin takes a fresh root and lists the live keys; next gives records
 * until *done is set, the last being ROOT. No key may be created in between (ERR_CONFLICT if one was). One at a time.
 */
enum err keyring_rotation_begin(struct keyring *kr, struct custody *custody, uint32_t version,
                                struct reason *why) MUST_CHECK;
bool keyring_rotating(const struct keyring *kr);
enum err keyring_rotation_next(struct keyring *kr, const struct custody *custody, int64_t now_ms,
                               struct keyring_records *out, bool *done, struct reason *why) MUST_CHECK;
size_t keyring_stale(const struct keyring *kr); /* records that wait for the sweep */
void keyring_rotation_abort(struct keyring *kr);

/* Tombstones for records that the current root made useless (older nodes and key records), at most `max`. */
enum err keyring_make_sweep(struct keyring *kr, size_t max, struct keyring_records *out) MUST_CHECK;

#endif
