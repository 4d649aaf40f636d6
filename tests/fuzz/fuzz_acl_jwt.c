/* SPDX-License-Identifier: Apache-2.0
 * Two parties: an issuer whose private keys were made for this run, and the verifier. Input: a byte that chooses, then
 * a token, a JWKS, or how to change a token that verifies. Whatever is not, byte for byte, what the issuer signed must
 * never verify; an input alone, which no issuer signed, never does either. */
#include "tests/fuzz/fuzz.h"
#include "tests/unit/acl_jwt_util.h"

enum { NOW_MS = 1000, TOKENS = 3 };

static struct jwt_keys *keys;
static struct buf tokens[TOKENS];
static const struct jwt_policy policy = {.sub_claim = "sub", .scope_claim = "scope"};

static void issue(void)
{
    static const struct {
        const char *alg, *kid;
    } kinds[TOKENS] = {{"RS256", "r"}, {"ES256", "e"}, {"EdDSA", "d"}};
    EVP_PKEY *pkeys[TOKENS] = {EVP_RSA_gen(2048), EVP_EC_gen("P-256"), EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")};
    struct buf set;
    buf_init(&set, 0);
    buf_put_str(&set, "{\"keys\":[");
    for (int i = 0; i < TOKENS; i++) {
        char header[64];
        snprintf(header, sizeof header, "{\"alg\":\"%s\",\"kid\":\"%s\"}", kinds[i].alg, kinds[i].kid);
        buf_init(&tokens[i], 0);
        jwt_put_token(&tokens[i], header, "{\"sub\":\"alice\",\"exp\":2}", kinds[i].alg, pkeys[i]);
        buf_put_str(&set, i ? "," : "");
        jwt_put_jwk(&set, pkeys[i], kinds[i].kid, NULL);
        EVP_PKEY_free(pkeys[i]);
    }
    buf_put_str(&set, "]}");
    FUZZ_EXPECT(jwt_keys_parse(&keys, buf_slice(&set), NULL, NULL) == ERR_OK);
    buf_free(&set);
    for (int i = 0; i < TOKENS; i++) {
        struct jwt_identity who;
        FUZZ_EXPECT(jwt_verify(keys, &policy, buf_slice(&tokens[i]), NOW_MS, &who) == JWT_OK);
    }
}

static void mutate(struct slice in)
{
    if (in.n < 1)
        return;
    const struct buf *from = &tokens[in.p[0] % TOKENS];
    struct buf b;
    struct jwt_identity who;
    buf_init(&b, 0);
    buf_put_slice(&b, buf_slice(from));
    for (size_t i = 1; i + 3 < in.n; i += 4) {
        size_t at = (size_t)(in.p[i] << 8 | in.p[i + 1]) % (b.n ? b.n : 1);
        if (!b.n)
            break;
        if (in.p[i + 2] % 4 == 0)
            b.n = at; /* cut */
        else if (in.p[i + 2] % 4 == 1)
            buf_u8(&b, in.p[i + 3]);
        else
            b.p[at] = in.p[i + 3];
    }
    if (!slice_eq(buf_slice(&b), buf_slice(from)))
        FUZZ_EXPECT(jwt_verify(keys, &policy, buf_slice(&b), NOW_MS, &who) != JWT_OK);
    buf_free(&b);
}

/* The issuer's signature under other words. */
static void splice(struct slice in)
{
    const struct buf *from = &tokens[in.n % TOKENS];
    const uint8_t *first = memchr(from->p, '.', from->n), *last = memrchr(from->p, '.', from->n);
    struct buf b;
    struct jwt_identity who;
    buf_init(&b, 0);
    buf_put(&b, from->p, (size_t)(first - from->p) + 1);
    base64url_put(&b, in);
    buf_put(&b, last, from->n - (size_t)(last - from->p));
    if (!slice_eq(buf_slice(&b), buf_slice(from)))
        FUZZ_EXPECT(jwt_verify(keys, &policy, buf_slice(&b), NOW_MS, &who) != JWT_OK);
    buf_free(&b);
}

static void read_set(struct slice in)
{
    struct jwt_keys *k = NULL;
    struct jwt_identity who;
    if (jwt_keys_parse(&k, in, NULL, NULL))
        return;
    for (int i = 0; i < TOKENS; i++) /* only the issuer's own key verifies what it signed */
        if (jwt_verify(k, &policy, buf_slice(&tokens[i]), NOW_MS, &who) == JWT_OK)
            FUZZ_EXPECT(0);
    jwt_keys_unref(k);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct jwt_identity who;
    if (!keys)
        issue();
    if (!size)
        return 0;
    struct slice in = slice_of(data + 1, size - 1);
    switch (data[0] % 4) {
    case 0:
        FUZZ_EXPECT(jwt_verify(keys, &policy, in, NOW_MS, &who) != JWT_OK);
        break;
    case 1:
        mutate(in);
        break;
    case 2:
        splice(in);
        break;
    case 3:
        read_set(in);
        break;
    }
    return 0;
}
