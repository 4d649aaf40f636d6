/* SPDX-License-Identifier: Apache-2.0
 * Wrapping: data keys under the root of an epoch, the root under a version of custody. The root travels with the
 * pepper, which stays the same for life, so that a subject's tag never changes. */
#include "crypto/keyring_internal.h"

#include <sodium.h>

enum { WRAP_KEY = crypto_aead_xchacha20poly1305_ietf_KEYBYTES, NONCE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES };

static void put_u32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static void prepare(const struct keyring_secret *secret, const struct keyring_key *k, uint8_t key[WRAP_KEY],
                    uint8_t nonce[NONCE], uint8_t aad[36])
{
    uint8_t m[8 + 4 + 16] = "cst-wrap";
    put_u32(m + 8, k->epoch);
    memcpy(m + 12, k->salt, 16);
    crypto_generichash(key, WRAP_KEY, m, sizeof m, secret->root, sizeof secret->root);
    memset(nonce, 0, NONCE);
    put_u32(nonce + NONCE - 4, k->slot);
    memcpy(aad, k->tag, 16);
    memcpy(aad + 16, k->id, 16);
    put_u32(aad + 32, k->epoch);
}

void keyring_wrap_key(const struct keyring_secret *secret, const struct keyring_key *k,
                      const uint8_t key[ENVELOPE_KEY_SIZE], uint8_t wrap[KEYRING_WRAP_SIZE])
{
    uint8_t wrap_key[WRAP_KEY], nonce[NONCE], aad[36];
    prepare(secret, k, wrap_key, nonce, aad);
    crypto_aead_xchacha20poly1305_ietf_encrypt(wrap, NULL, key, ENVELOPE_KEY_SIZE, aad, sizeof aad, NULL, nonce,
                                               wrap_key);
    sodium_memzero(wrap_key, sizeof wrap_key);
}

bool keyring_unwrap_key(const struct keyring_secret *secret, const struct keyring_key *k,
                        uint8_t key[ENVELOPE_KEY_SIZE])
{
    uint8_t wrap_key[WRAP_KEY], nonce[NONCE], aad[36];
    prepare(secret, k, wrap_key, nonce, aad);
    int bad = crypto_aead_xchacha20poly1305_ietf_decrypt(key, NULL, NULL, k->wrap, KEYRING_WRAP_SIZE, aad, sizeof aad,
                                                         nonce, wrap_key);
    sodium_memzero(wrap_key, sizeof wrap_key);
    return !bad;
}

void keyring_fingerprint(uint8_t out[KEYRING_FINGERPRINT_SIZE], const uint8_t key[ENVELOPE_KEY_SIZE])
{
    uint8_t m[2 + ENVELOPE_KEY_SIZE] = "fp";
    memcpy(m + 2, key, ENVELOPE_KEY_SIZE);
    crypto_generichash(out, KEYRING_FINGERPRINT_SIZE, m, sizeof m, NULL, 0);
    sodium_memzero(m, sizeof m);
}

static void root_aad(uint8_t aad[12], uint32_t epoch)
{
    memcpy(aad, "cst-root", 8);
    put_u32(aad + 8, epoch);
}

enum err keyring_wrap_root(struct custody *c, uint32_t version, uint32_t epoch, const struct keyring_secret *secret,
                           struct buf *out)
{
    uint8_t aad[12];
    root_aad(aad, epoch);
    return c->ops->wrap(c, version, slice_of(aad, sizeof aad), slice_of(secret, sizeof *secret), out);
}

enum err keyring_open(struct keyring *kr, struct custody *custody, struct reason *why)
{
    uint8_t aad[12];
    struct buf plain;
    if (kr->open)
        return ERR_OK;
    if (!kr->root.epoch)
        return reason_set(why, ERR_NOT_FOUND, "the keyring has no root yet");
    root_aad(aad, kr->root.epoch);
    buf_init(&plain, 4096);
    enum err e = custody->ops->unwrap(custody, kr->root.version, slice_of(aad, sizeof aad),
                                      buf_slice(&kr->wrapped_root), &plain, why);
    if (!e && plain.n != sizeof *kr->secret)
        e = reason_set(why, ERR_MALFORMED, "the root has a wrong size");
    if (!e) {
        memcpy(kr->secret, plain.p, sizeof *kr->secret);
        kr->open = true;
    }
    buf_wipe_free(&plain);
    return e;
}

void keyring_tag(const struct keyring *kr, struct slice tenant, struct slice subject_class, struct slice id,
                 uint8_t tag[KEYRING_TAG_SIZE])
{
    const struct slice parts[] = {tenant, subject_class, id};
    crypto_generichash_state s;
    crypto_generichash_init(&s, kr->secret->pepper, sizeof kr->secret->pepper, KEYRING_TAG_SIZE);
    for (int i = 0; i < 3; i++) {
        uint8_t n[4];
        put_u32(n, (uint32_t)parts[i].n);
        crypto_generichash_update(&s, n, sizeof n);
        crypto_generichash_update(&s, parts[i].p, parts[i].n);
    }
    crypto_generichash_final(&s, tag, KEYRING_TAG_SIZE);
    sodium_memzero(&s, sizeof s);
}

void keyring_derive(const struct keyring *kr, const char *purpose, struct slice input, uint8_t out[32])
{
    crypto_generichash_state s;
    crypto_generichash_init(&s, kr->secret->pepper, sizeof kr->secret->pepper, 32);
    crypto_generichash_update(&s, (const uint8_t *)purpose, strlen(purpose) + 1);
    crypto_generichash_update(&s, input.p, input.n);
    crypto_generichash_final(&s, out, 32);
    sodium_memzero(&s, sizeof s);
}
