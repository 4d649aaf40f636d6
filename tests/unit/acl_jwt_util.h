/* SPDX-License-Identifier: Apache-2.0
 * Keys and tokens for tests: signed with OpenSSL, written with the code under test only where that is base64url. */
#ifndef CASTELLAN_TESTS_ACL_JWT_UTIL_H
#define CASTELLAN_TESTS_ACL_JWT_UTIL_H

#include "acl/acl_base64.h"
#include "acl/jwt.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>

static inline void jwt_put_number(struct buf *out, EVP_PKEY *pkey, const char *param, size_t size)
{
    BIGNUM *n = NULL;
    uint8_t bytes[1024];
    if (EVP_PKEY_get_bn_param(pkey, param, &n) <= 0)
        abort();
    int len = size ? BN_bn2binpad(n, bytes, (int)size) : BN_bn2bin(n, bytes);
    base64url_put(out, slice_of(bytes, (size_t)len));
    BN_free(n);
}

/* One member of "keys"; `more` is put in as it is, e.g. ",\"alg\":\"RS256\"". */
static inline void jwt_put_jwk(struct buf *out, EVP_PKEY *pkey, const char *kid, const char *more)
{
    size_t half = EVP_PKEY_get_bits(pkey) <= 256 ? 32 : EVP_PKEY_get_bits(pkey) <= 384 ? 48 : 66;
    if (EVP_PKEY_is_a(pkey, "RSA")) {
        buf_put_str(out, "{\"kty\":\"RSA\",\"n\":\"");
        jwt_put_number(out, pkey, OSSL_PKEY_PARAM_RSA_N, 0);
        buf_put_str(out, "\",\"e\":\"");
        jwt_put_number(out, pkey, OSSL_PKEY_PARAM_RSA_E, 0);
    } else if (EVP_PKEY_is_a(pkey, "EC")) {
        buf_printf(out, "{\"kty\":\"EC\",\"crv\":\"%s\",\"x\":\"",
                   half == 32   ? "P-256"
                   : half == 48 ? "P-384"
                                : "P-521");
        jwt_put_number(out, pkey, OSSL_PKEY_PARAM_EC_PUB_X, half);
        buf_put_str(out, "\",\"y\":\"");
        jwt_put_number(out, pkey, OSSL_PKEY_PARAM_EC_PUB_Y, half);
    } else {
        uint8_t x[32];
        size_t n = sizeof x;
        EVP_PKEY_get_raw_public_key(pkey, x, &n);
        buf_put_str(out, "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"");
        base64url_put(out, slice_of(x, n));
    }
    buf_put_str(out, "\"");
    if (kid)
        buf_printf(out, ",\"kid\":\"%s\"", kid);
    buf_printf(out, "%s}", more ? more : "");
}

/* The raw signature of `text` as `alg` makes it (DER for ECDSA when `der`). */
static inline size_t jwt_sign_raw(uint8_t *out, size_t cap, const char *alg, EVP_PKEY *pkey, struct slice text,
                                  bool der)
{
    const char *digest = !strcmp(alg, "EdDSA") ? NULL
                         : strstr(alg, "256")  ? "SHA256"
                         : strstr(alg, "384")  ? "SHA384"
                                               : "SHA512";
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    EVP_PKEY_CTX *p = NULL;
    size_t n = cap;
    if (EVP_DigestSignInit_ex(c, &p, digest, NULL, NULL, pkey, NULL) <= 0)
        abort();
    if (alg[0] == 'P') {
        EVP_PKEY_CTX_set_rsa_padding(p, RSA_PKCS1_PSS_PADDING);
        EVP_PKEY_CTX_set_rsa_pss_saltlen(p, RSA_PSS_SALTLEN_DIGEST);
    }
    if (EVP_DigestSign(c, out, &n, text.p, text.n) <= 0)
        abort();
    EVP_MD_CTX_free(c);
    if (EVP_PKEY_is_a(pkey, "EC") && !der) {
        const uint8_t *at = out;
        size_t half = EVP_PKEY_get_bits(pkey) <= 256 ? 32 : EVP_PKEY_get_bits(pkey) <= 384 ? 48 : 66;
        ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &at, (long)n);
        BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, (int)half);
        BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + half, (int)half);
        ECDSA_SIG_free(sig);
        n = 2 * half;
    }
    return n;
}

static inline void jwt_put_unsigned(struct buf *out, const char *header, const char *claims)
{
    base64url_put(out, slice_str(header));
    buf_put_str(out, ".");
    base64url_put(out, slice_str(claims));
}

static inline void jwt_put_token(struct buf *out, const char *header, const char *claims, const char *alg,
                                 EVP_PKEY *pkey)
{
    uint8_t signature[1024];
    size_t from = out->n;
    jwt_put_unsigned(out, header, claims);
    size_t n = jwt_sign_raw(signature, sizeof signature, alg, pkey, slice_of(out->p + from, out->n - from), false);
    buf_put_str(out, ".");
    base64url_put(out, slice_of(signature, n));
}

#endif
