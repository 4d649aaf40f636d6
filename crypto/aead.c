/* SPDX-License-Identifier: Apache-2.0
 * AES-256-GCM through libsodium where the processor has AES and carry-less multiplication, through OpenSSL elsewhere
 * (libsodium has no software AES); ChaCha20-Poly1305 always through libsodium. Streams go through OpenSSL, for
 * libsodium takes a value in one piece only. All paths give the same bytes. */
#include "crypto/aead.h"

#include <openssl/evp.h>
#include <sodium.h>

static bool portable; /* allow: only tests set it */

void aead_force_portable(bool on)
{
    portable = on;
}

bool envelope_has_fast_aes(void)
{
    return !portable && crypto_aead_aes256gcm_is_available();
}

static const uint8_t zero_nonce[crypto_aead_aes256gcm_NPUBBYTES];

static enum err evp_seal(const uint8_t key[32], struct slice plain, uint8_t *out)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n = 0, tail = 0;
    bool ok = ctx && EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, zero_nonce) == 1 &&
              EVP_EncryptUpdate(ctx, out, &n, plain.n ? plain.p : zero_nonce, (int)plain.n) == 1 &&
              EVP_EncryptFinal_ex(ctx, out + n, &tail) == 1 &&
              EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, ENVELOPE_TAG_SIZE, out + plain.n) == 1;
    EVP_CIPHER_CTX_free(ctx); /* wipes */
    return ok ? ERR_OK : ERR_NO_MEMORY;
}

static enum err evp_open(const uint8_t key[32], struct slice sealed, uint8_t *out)
{
    size_t plain_n = sealed.n - ENVELOPE_TAG_SIZE;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    uint8_t tag[ENVELOPE_TAG_SIZE];
    int n = 0, tail = 0;
    if (!ctx)
        return ERR_NO_MEMORY;
    memcpy(tag, sealed.p + plain_n, sizeof tag);
    bool ok = EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, zero_nonce) == 1 &&
              EVP_DecryptUpdate(ctx, out, &n, sealed.p, (int)plain_n) == 1 &&
              EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, sizeof tag, tag) == 1 &&
              EVP_DecryptFinal_ex(ctx, out + n, &tail) == 1;
    EVP_CIPHER_CTX_free(ctx);
    if (!ok)
        sodium_memzero(out, plain_n);
    return ok ? ERR_OK : ERR_DECRYPT;
}

enum err aead_seal_once(enum envelope_suite suite, const uint8_t key[32], struct slice plain, uint8_t *out)
{
    switch (suite) {
    case ENVELOPE_AES_256_GCM:
        if (!envelope_has_fast_aes())
            return evp_seal(key, plain, out);
        crypto_aead_aes256gcm_encrypt(out, NULL, plain.p, plain.n, NULL, 0, NULL, zero_nonce, key);
        return ERR_OK;
    case ENVELOPE_CHACHA20_POLY1305:
        crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, plain.p, plain.n, NULL, 0, NULL, zero_nonce, key);
        return ERR_OK;
    }
    return ERR_UNSUPPORTED;
}

enum err aead_open_once(enum envelope_suite suite, const uint8_t key[32], struct slice sealed, uint8_t *out)
{
    int bad = -1;
    if (sealed.n < ENVELOPE_TAG_SIZE)
        return ERR_TRUNCATED;
    switch (suite) {
    case ENVELOPE_AES_256_GCM:
        if (!envelope_has_fast_aes())
            return evp_open(key, sealed, out);
        bad = crypto_aead_aes256gcm_decrypt(out, NULL, NULL, sealed.p, sealed.n, NULL, 0, zero_nonce, key);
        break;
    case ENVELOPE_CHACHA20_POLY1305:
        bad = crypto_aead_chacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed.p, sealed.n, NULL, 0, zero_nonce, key);
        break;
    }
    return bad ? ERR_DECRYPT : ERR_OK;
}

/* ---- Streams ---- */

void *aead_stream_new(enum envelope_suite suite, const uint8_t key[32], bool sealing)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    const EVP_CIPHER *cipher = NULL;

    switch (suite) {
    case ENVELOPE_AES_256_GCM:
        cipher = EVP_aes_256_gcm();
        break;
    case ENVELOPE_CHACHA20_POLY1305:
        cipher = EVP_chacha20_poly1305();
        break;
    }
    if (ctx && cipher && EVP_CipherInit_ex(ctx, cipher, NULL, key, zero_nonce, sealing) == 1)
        return ctx;
    EVP_CIPHER_CTX_free(ctx);
    return NULL;
}

enum err aead_stream_update(void *stream, struct slice in, uint8_t *out)
{
    int n = 0;

    if (in.n == 0)
        return ERR_OK;
    return EVP_CipherUpdate(stream, out, &n, in.p, (int)in.n) == 1 && (size_t)n == in.n ? ERR_OK : ERR_NO_MEMORY;
}

enum err aead_stream_tag(void *stream, uint8_t tag[ENVELOPE_TAG_SIZE])
{
    uint8_t none[16];
    int n = 0;
    bool ok = EVP_CipherFinal_ex(stream, none, &n) == 1 &&
              EVP_CIPHER_CTX_ctrl(stream, EVP_CTRL_AEAD_GET_TAG, ENVELOPE_TAG_SIZE, tag) == 1;

    return ok ? ERR_OK : ERR_NO_MEMORY;
}

enum err aead_stream_check(void *stream, const uint8_t tag[ENVELOPE_TAG_SIZE])
{
    uint8_t none[16], copy[ENVELOPE_TAG_SIZE];
    int n = 0;
    bool ok;

    memcpy(copy, tag, sizeof copy);
    ok = EVP_CIPHER_CTX_ctrl(stream, EVP_CTRL_AEAD_SET_TAG, sizeof copy, copy) == 1 &&
         EVP_CipherFinal_ex(stream, none, &n) == 1;
    return ok ? ERR_OK : ERR_DECRYPT;
}

void aead_stream_free(void *stream)
{
    EVP_CIPHER_CTX_free(stream); /* wipes */
}
