/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_ACL_JWT_INTERNAL_H
#define CASTELLAN_ACL_JWT_INTERNAL_H

#include "acl/jwt.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <stdatomic.h>

/* What a key is good for; an algorithm belongs to exactly one kind. */
enum jwt_kind { JWT_KIND_RSA, JWT_KIND_P256, JWT_KIND_P384, JWT_KIND_P521, JWT_KIND_ED25519 };

struct jwt_algorithm {
    const char *name; /* "RS256" */
    enum jwt_kind kind;
    const char *digest; /* NULL: the algorithm's own */
    bool pss;
    size_t half; /* bytes of r and of s; 0 when not ECDSA */
};

struct jwt_key {
    EVP_PKEY *pkey;
    enum jwt_kind kind;
    char *kid, *alg; /* NULL when the key has none */
};

struct jwt_keys {
    atomic_int refs;
    struct jwt_key *list;
    size_t n;
};

const struct jwt_algorithm *jwt_algorithm_find(struct slice name); /* NULL: not one of ours */
/* The key for a token's header. Without a kid there must be exactly one that fits. NULL: none. */
const struct jwt_key *jwt_keys_find(const struct jwt_keys *k, const struct jwt_algorithm *a, struct slice kid);
bool jwt_signature_is_good(const struct jwt_key *key, const struct jwt_algorithm *a, struct slice signed_part,
                           struct slice signature);

#endif
