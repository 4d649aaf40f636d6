/* SPDX-License-Identifier: Apache-2.0
 * Public keys out of a JWKS document (RFC 7517, RFC 7518 section 6, RFC 8037), and signatures checked with them.
 *
 * A key whose numbers make no key of its kind (a point off the curve, a short modulus) is left out like one of an
 * unknown type: a set with one odd key still serves the others. What can be told apart early is: the kind of a key
 * fixes the algorithms it may check, and `alg` of the key narrows it to one. */
#include "acl/acl_base64.h"
#include "acl/acl_json.h"
#include "acl/jwt_internal.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <stdlib.h>

enum { NUMBER_MAX = JWT_RSA_BITS_MAX / 8 + 1, ED25519_SIZE = 32, EC_HALF_MAX = 66, EC_DER_MAX = 160 };

static const struct jwt_algorithm algorithms[] = {
    {"RS256", JWT_KIND_RSA, "SHA256", false, 0},   {"RS384", JWT_KIND_RSA, "SHA384", false, 0},
    {"RS512", JWT_KIND_RSA, "SHA512", false, 0},   {"PS256", JWT_KIND_RSA, "SHA256", true, 0},
    {"PS384", JWT_KIND_RSA, "SHA384", true, 0},    {"PS512", JWT_KIND_RSA, "SHA512", true, 0},
    {"ES256", JWT_KIND_P256, "SHA256", false, 32}, {"ES384", JWT_KIND_P384, "SHA384", false, 48},
    {"ES512", JWT_KIND_P521, "SHA512", false, 66}, {"EdDSA", JWT_KIND_ED25519, NULL, false, 0},
};

const struct jwt_algorithm *jwt_algorithm_find(struct slice name)
{
    for (size_t i = 0; i < sizeof algorithms / sizeof *algorithms; i++)
        if (slice_eq_str(name, algorithms[i].name))
            return &algorithms[i];
    return NULL;
}

/* --- reading keys --- */

static bool read_number(const json_t *jwk, const char *name, uint8_t *out, size_t cap, size_t *n)
{
    struct slice text = acl_json_string(jwk, name);
    return text.n && base64url_read(text, out, cap, n) && *n;
}

static EVP_PKEY *build(const char *type, OSSL_PARAM *params)
{
    EVP_PKEY *pkey = NULL;
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (!c || EVP_PKEY_fromdata_init(c) <= 0 || EVP_PKEY_fromdata(c, &pkey, EVP_PKEY_PUBLIC_KEY, params) <= 0)
        pkey = NULL;
    EVP_PKEY_CTX_free(c);
    return pkey;
}

/* Is what was built a valid public key (on the curve, not the point at infinity, in range)? */
static bool is_sound(EVP_PKEY *pkey)
{
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    bool sound = c && EVP_PKEY_public_check(c) > 0;
    EVP_PKEY_CTX_free(c);
    return sound;
}

static EVP_PKEY *read_rsa(const json_t *jwk)
{
    uint8_t n_bytes[NUMBER_MAX], e_bytes[8];
    size_t n_len, e_len;
    EVP_PKEY *pkey = NULL;
    OSSL_PARAM *params = NULL;
    if (!read_number(jwk, "n", n_bytes, sizeof n_bytes, &n_len) ||
        !read_number(jwk, "e", e_bytes, sizeof e_bytes, &e_len))
        return NULL;
    BIGNUM *n = BN_bin2bn(n_bytes, (int)n_len, NULL), *e = BN_bin2bn(e_bytes, (int)e_len, NULL);
    OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
    bool fits = n && e && b && BN_num_bits(n) >= JWT_RSA_BITS_MIN && BN_num_bits(n) <= JWT_RSA_BITS_MAX &&
                BN_is_odd(n) && BN_is_odd(e) && BN_num_bits(e) >= 2;
    if (fits && OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_N, n) &&
        OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_E, e) && (params = OSSL_PARAM_BLD_to_param(b)))
        pkey = build("RSA", params);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(b);
    BN_free(n);
    BN_free(e);
    return pkey;
}

static EVP_PKEY *read_ec(const json_t *jwk, enum jwt_kind *kind)
{
    static const struct {
        const char *name, *group;
        enum jwt_kind kind;
        size_t half;
    } curves[] = {{"P-256", "prime256v1", JWT_KIND_P256, 32},
                  {"P-384", "secp384r1", JWT_KIND_P384, 48},
                  {"P-521", "secp521r1", JWT_KIND_P521, 66}};
    uint8_t point[1 + 2 * EC_HALF_MAX] = {POINT_CONVERSION_UNCOMPRESSED};
    size_t x, y;
    for (size_t i = 0; i < sizeof curves / sizeof *curves; i++) {
        size_t half = curves[i].half;
        if (!slice_eq_str(acl_json_string(jwk, "crv"), curves[i].name))
            continue;
        /* RFC 7518 section 6.2.1.2: the full size of a coordinate, leading zeros included */
        if (!read_number(jwk, "x", point + 1, half, &x) || !read_number(jwk, "y", point + 1 + half, half, &y) ||
            x != half || y != half)
            return NULL;
        OSSL_PARAM params[] = {
            OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)curves[i].group, 0),
            OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * half),
            OSSL_PARAM_construct_end(),
        };
        *kind = curves[i].kind;
        return build("EC", params);
    }
    return NULL;
}

static EVP_PKEY *read_okp(const json_t *jwk)
{
    uint8_t x[ED25519_SIZE];
    size_t n;
    if (!slice_eq_str(acl_json_string(jwk, "crv"), "Ed25519") || !read_number(jwk, "x", x, sizeof x, &n) ||
        n != sizeof x)
        return NULL;
    return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, x, sizeof x);
}

/* RFC 7517 sections 4.2 and 4.3: a key that says what it is for must be for verifying. */
static bool is_for_verifying(const json_t *jwk)
{
    const json_t *use = json_object_get(jwk, "use"), *ops = json_object_get(jwk, "key_ops"), *op;
    size_t i;
    if (use && !slice_eq_str(acl_json_string(jwk, "use"), "sig"))
        return false;
    if (!ops)
        return true;
    json_array_foreach(ops, i, op) if (json_is_string(op) && !strcmp(json_string_value(op), "verify")) return true;
    return false;
}

static bool read_text(const json_t *jwk, const char *name, char **out)
{
    const json_t *v = json_object_get(jwk, name);
    if (!v)
        return true;
    if (!json_is_string(v) || strlen(json_string_value(v)) != json_string_length(v))
        return false;
    *out = strdup(json_string_value(v));
    return *out != NULL;
}

static void key_clear(struct jwt_key *k)
{
    EVP_PKEY_free(k->pkey);
    free(k->kid);
    free(k->alg);
    *k = (struct jwt_key){0};
}

static bool read_key(struct jwt_key *k, const json_t *jwk)
{
    struct slice kty = acl_json_string(jwk, "kty");
    if (!json_is_object(jwk) || !is_for_verifying(jwk))
        return false;
    if (slice_eq_str(kty, "RSA")) {
        k->kind = JWT_KIND_RSA;
        k->pkey = read_rsa(jwk);
    } else if (slice_eq_str(kty, "EC")) {
        k->pkey = read_ec(jwk, &k->kind);
    } else if (slice_eq_str(kty, "OKP")) {
        k->kind = JWT_KIND_ED25519;
        k->pkey = read_okp(jwk);
    }
    if (k->pkey && is_sound(k->pkey) && read_text(jwk, "kid", &k->kid) && read_text(jwk, "alg", &k->alg))
        return true;
    key_clear(k);
    return false;
}

enum err jwt_keys_parse(struct jwt_keys **out, struct slice json, size_t *left_out, struct reason *why)
{
    json_error_t at;
    json_t *j = json.n > JWT_KEYS_TEXT_MAX ? NULL
                                           : json_loadb((const char *)json.p, json.n, JSON_REJECT_DUPLICATES, &at),
           *jwk;
    const json_t *list = json_object_get(j, "keys");
    size_t i, count = json_array_size(list);
    struct jwt_keys *k = NULL;
    enum err e = ERR_OK;

    if (json.n > JWT_KEYS_TEXT_MAX)
        e = reason_set(why, ERR_LIMIT_EXCEEDED, "a JWKS of more than %d bytes", JWT_KEYS_TEXT_MAX);
    else if (!j)
        e = reason_set(why, ERR_MALFORMED, "not JSON: %s", at.text);
    else if (!json_is_array(list))
        e = reason_set(why, ERR_MALFORMED, "not a JWKS: there is no array \"keys\"");
    else if (count > JWT_KEYS_MAX)
        e = reason_set(why, ERR_LIMIT_EXCEEDED, "a JWKS of more than %d keys", JWT_KEYS_MAX);
    if (!e && (!(k = calloc(1, sizeof *k)) || !(k->list = calloc(count + 1, sizeof *k->list))))
        e = reason_set(why, ERR_NO_MEMORY, "out of memory");
    if (k)
        atomic_init(&k->refs, 1);
    if (!e)
        json_array_foreach(list, i, jwk) k->n += read_key(&k->list[k->n], jwk);
    if (!e && !k->n)
        e = reason_set(why, ERR_MALFORMED,
                       "no key of the %zu is an RSA (from %d bits), P-256, P-384, P-521 or "
                       "Ed25519 key for signatures",
                       count, JWT_RSA_BITS_MIN);
    if (left_out)
        *left_out = e ? 0 : count - k->n;
    json_decref(j);
    if (e)
        jwt_keys_unref(k);
    else
        *out = k;
    return e;
}

struct jwt_keys *jwt_keys_ref(struct jwt_keys *k)
{
    atomic_fetch_add(&k->refs, 1);
    return k;
}

void jwt_keys_unref(struct jwt_keys *k)
{
    if (!k || atomic_fetch_sub(&k->refs, 1) != 1)
        return;
    for (size_t i = 0; i < k->n; i++)
        key_clear(&k->list[i]);
    free(k->list);
    free(k);
}

size_t jwt_keys_count(const struct jwt_keys *k)
{
    return k->n;
}

const struct jwt_key *jwt_keys_find(const struct jwt_keys *k, const struct jwt_algorithm *a, struct slice kid)
{
    const struct jwt_key *found = NULL;
    for (size_t i = 0; i < k->n; i++) {
        const struct jwt_key *key = &k->list[i];
        if (key->kind != a->kind || (key->alg && strcmp(key->alg, a->name)))
            continue;
        if (!slice_is_null(kid)) {
            if (key->kid && slice_eq_str(kid, key->kid))
                return key;
            continue;
        }
        if (found)
            return NULL; /* which one? */
        found = key;
    }
    return found;
}

/* --- signatures --- */

/* r || s, each of the curve's size, as DER. Zero is never r or s. */
static int der_of_raw(struct slice raw, size_t half, uint8_t *der)
{
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(raw.p, (int)half, NULL), *s = BN_bin2bn(raw.p + half, (int)half, NULL);
    int n = -1;
    if (sig && r && s && !BN_is_zero(r) && !BN_is_zero(s) && ECDSA_SIG_set0(sig, r, s)) {
        r = s = NULL; /* taken */
        n = i2d_ECDSA_SIG(sig, &der);
    }
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(sig);
    return n;
}

bool jwt_signature_is_good(const struct jwt_key *key, const struct jwt_algorithm *a, struct slice signed_part,
                           struct slice signature)
{
    uint8_t der[EC_DER_MAX];
    EVP_PKEY_CTX *p = NULL;
    bool good = false;
    if (a->half) {
        int n = signature.n == 2 * a->half ? der_of_raw(signature, a->half, der) : -1;
        if (n <= 0)
            return false;
        signature = slice_of(der, (size_t)n);
    } else if (signature.n != (size_t)EVP_PKEY_get_size(key->pkey)) {
        return false; /* RFC 8017 section 8.2.2: exactly as long as the modulus; Ed25519: 64 bytes */
    }
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    if (c && EVP_DigestVerifyInit_ex(c, &p, a->digest, NULL, NULL, key->pkey, NULL) > 0 &&
        (!a->pss || (EVP_PKEY_CTX_set_rsa_padding(p, RSA_PKCS1_PSS_PADDING) > 0 &&
                     EVP_PKEY_CTX_set_rsa_pss_saltlen(p, RSA_PSS_SALTLEN_DIGEST) > 0)))
        good = EVP_DigestVerify(c, signature.p, signature.n, signed_part.p, signed_part.n) == 1;
    EVP_MD_CTX_free(c);
    return good;
}
