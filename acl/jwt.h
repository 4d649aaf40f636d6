/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_ACL_JWT_H
#define CASTELLAN_ACL_JWT_H

#include "core/base/buf.h"

/* Signed JSON web tokens (RFC 7519 over RFC 7515, with the advice of RFC 8725), verified against the public keys of a
 * JWKS (RFC 7517). Pure: keys and time are given, nothing is fetched.
 *
 * Algorithms: RS256 RS384 RS512, PS256 PS384 PS512, ES256 ES384 ES512 (raw r || s, RFC 7518 section 3.4), EdDSA with
 * Ed25519 (RFC 8037). There is no `none` and no HMAC: a key is made for one kind of algorithm by its type and curve, so
 * that a public key is never taken for a secret. The algorithm is never chosen by the token alone.
 *
 * Order: size, form, header (algorithm, type, no `crit`, no `b64`), key, signature, and only then the claims. */

enum jwt_verdict {
#define JWT(name, label, text) JWT_##name,
#include "acl/jwt.tbl"
#undef JWT
};
const char *jwt_verdict_label(enum jwt_verdict v); /* "token_expired" */
const char *jwt_verdict_text(enum jwt_verdict v);  /* "The token has expired" */

enum {
    JWT_TOKEN_MAX = 12 * 1024, /* bytes of a token; the headers of a request may be 16 KiB in all */
    JWT_KEYS_MAX = 256,        /* keys of one set */
    JWT_KEYS_TEXT_MAX = 1024 * 1024,
    JWT_RSA_BITS_MIN = 2048, /* RFC 7518 section 3.3 */
    JWT_RSA_BITS_MAX = 8192, /* a larger one makes each check slow */
    JWT_SUBJECT_MAX = 255,
    JWT_AUDIENCES_MAX = 16,
};

/* --- keys: immutable, shared by reference count between threads --- */
struct jwt_keys;

/* Reads a JWKS document. Keys of other types, curves or uses (encryption, secrets) are left out, as RFC 7517 section 5
 * asks; *left_out (may be NULL) counts them. ERR_MALFORMED: not a JWKS, or no key is left. One reference for the
 * caller. */
enum err jwt_keys_parse(struct jwt_keys **out, struct slice json, size_t *left_out, struct reason *why) MUST_CHECK;
struct jwt_keys *jwt_keys_ref(struct jwt_keys *k); /* atomic */
void jwt_keys_unref(struct jwt_keys *k);           /* NULL is fine */
size_t jwt_keys_count(const struct jwt_keys *k);

/* --- tokens --- */
struct jwt_policy {
    const char *issuer;      /* sasl.oauthbearer.expected.issuer; NULL: any */
    const char *audience;    /* sasl.oauthbearer.expected.audience, comma-separated, one must fit; NULL: any */
    const char *sub_claim;   /* "sub" */
    const char *scope_claim; /* "scope": a string of words, or an array */
    const char *scope;       /* a word the scope claim must hold; NULL: none */
    int64_t clock_skew_s;
};

struct jwt_identity {
    char subject[JWT_SUBJECT_MAX + 1]; /* no control characters, never "*" */
    int64_t valid_until_ms;            /* exp and the clock skew */
};

/* `now_ms`: Unix time. `out` is filled when the verdict is JWT_OK, and the subject also for JWT_SCOPE. */
enum jwt_verdict jwt_verify(const struct jwt_keys *keys, const struct jwt_policy *policy, struct slice token,
                            int64_t now_ms, struct jwt_identity *out) MUST_CHECK;

#endif
