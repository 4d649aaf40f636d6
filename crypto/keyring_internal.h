/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_CRYPTO_KEYRING_INTERNAL_H
#define CASTELLAN_CRYPTO_KEYRING_INTERNAL_H

#include "crypto/keyring.h"

enum { KEYRING_LOOSE_SLOT = UINT32_MAX, KEYRING_TEXT_MAX = 128 };

/* A wrapped key and where it stands. */
struct keyring_key {
    uint8_t id[ENVELOPE_KEY_ID_SIZE];
    uint8_t tag[KEYRING_TAG_SIZE];
    uint8_t salt[16];
    uint8_t wrap[KEYRING_WRAP_SIZE];
    uint8_t fingerprint[KEYRING_FINGERPRINT_SIZE]; /* of a dead key whose fence named it */
    uint32_t epoch, slot;
    int64_t created_ms;
    int64_t offset;    /* of the record that carries it */
    bool dead, fenced; /* fenced: a fence record names it, with its fingerprint if has_fingerprint */
    bool has_fingerprint;
    struct keyring_key *next; /* of the same subject, in log order */
};

struct keyring_person {
    uint8_t tag[KEYRING_TAG_SIZE];
    struct keyring_key *first, *last;
    int64_t fence_offset; /* -1: none */
    uint8_t erasure[KEYRING_ERASURE_ID_SIZE];
    bool erased, held;
};

/* A node record, kept until its epoch's ROOT takes it in. */
struct keyring_node {
    uint32_t epoch, index;
    int64_t offset;
    size_t n;
    uint8_t bytes[];
};

/* In locked memory. */
struct keyring_secret {
    uint8_t root[KEYRING_ROOT_SIZE];
    uint8_t pepper[KEYRING_ROOT_SIZE];
};

struct keyring_rotation {
    bool active;
    uint32_t version, epoch, node, nodes;
    int64_t through;
    struct keyring_key **keys; /* live at the start */
    size_t n;
    struct buf wrapped_root;
};

struct keyring {
    struct env *env;
    struct map people; /* tag -> struct keyring_person */
    struct map keys;   /* id -> struct keyring_key */
    struct map nodes;  /* record key -> struct keyring_node, epochs after the root's */
    struct map stale;  /* record keys that are useless under the current root, for the sweep */
    struct map loose;  /* record keys of key records that are not swept yet -> struct keyring_key */
    struct map paged;  /* record keys of the current root's nodes */
    struct keyring_root root;
    struct buf wrapped_root;
    bool open;
    struct keyring_secret *secret, *next; /* current, and the rotation's */
    int64_t position;
    int64_t last_loose_offset;
    struct keyring_rotation rotation;
};

/* keyring_wrap.c */
void keyring_wrap_key(const struct keyring_secret *secret, const struct keyring_key *k,
                      const uint8_t key[ENVELOPE_KEY_SIZE], uint8_t wrap[KEYRING_WRAP_SIZE]);
bool keyring_unwrap_key(const struct keyring_secret *secret, const struct keyring_key *k,
                        uint8_t key[ENVELOPE_KEY_SIZE]);
void keyring_fingerprint(uint8_t out[KEYRING_FINGERPRINT_SIZE], const uint8_t key[ENVELOPE_KEY_SIZE]);
enum err keyring_wrap_root(struct custody *c, uint32_t version, uint32_t epoch, const struct keyring_secret *secret,
                           struct buf *out) MUST_CHECK;

/* keyring_record.c */
struct keyring_record *keyring_records_add(struct keyring_records *r);
void keyring_put_hex(struct buf *out, const uint8_t *p, size_t n);
bool keyring_get_hex(struct slice text, uint8_t *out, size_t n); /* exactly n bytes */
void keyring_node_name(struct buf *out, uint32_t epoch, uint32_t index);
void keyring_key_name(struct buf *out, const struct keyring_key *k);

/* keyring.c */
struct keyring_person *keyring_person_of(struct keyring *kr, const uint8_t *tag);
struct keyring_key *keyring_key_of(struct keyring *kr, const uint8_t *id, const uint8_t *tag);
void keyring_settle(struct keyring_person *p, struct keyring_key *k);

#endif
