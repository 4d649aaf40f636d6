/* SPDX-License-Identifier: Apache-2.0
 * Clients that repeat their nonce. librdkafka before 2.7 sends, in client-final, its own nonce followed by the whole
 * nonce of server-first (which begins with it already). RFC 5802 section 5.1 wants exactly the latter, and so does
 * cyrus-sasl; Kafka's server accepts any nonce that ends with its own, so every such client works with Kafka. The proof
 * covers the nonce as sent, therefore the token cannot be straightened out for cyrus: in just this case the last step
 * is RFC 5802's verification here, over the same stored credentials:
 *   AuthMessage     := client-first-bare "," server-first "," client-final-without-proof
 *   ClientSignature := HMAC(StoredKey, AuthMessage);  ClientKey := ClientProof XOR ClientSignature
 *   accept if H(ClientKey) == StoredKey;  answer "v=" base64(HMAC(ServerKey, AuthMessage)) */
#include "acl/sasl_internal.h"
#include "acl/acl_base64.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

/* The value of the part that begins with `prefix` ("r="); null when there is none. */
static struct slice part_of(struct slice message, const char *prefix)
{
    while (message.n) {
        const uint8_t *comma = memchr(message.p, ',', message.n);
        size_t n = comma ? (size_t)(comma - message.p) : message.n;
        if (slice_starts(slice_of(message.p, n), slice_str(prefix)))
            return slice_of(message.p + strlen(prefix), n - strlen(prefix));
        message = comma ? slice_of(comma + 1, message.n - n - 1) : SLICE_NULL;
    }
    return SLICE_NULL;
}

void sasl_scram_keep(struct buf *to, struct slice message)
{
    buf_clear(to);
    buf_put_slice(to, message);
}

bool sasl_scram_nonce_is_repeated(const struct sasl_session *s, struct slice final)
{
    struct slice theirs = part_of(final, "r="), ours = part_of(buf_slice(&s->server_first), "r=");

    return !slice_is_null(ours) && ours.n && theirs.n > ours.n &&
           memcmp(theirs.p + (theirs.n - ours.n), ours.p, ours.n) == 0;
}

static bool hmac(const EVP_MD *md, const uint8_t *key, size_t key_n, struct slice text, uint8_t *out)
{
    unsigned n = 0;
    return HMAC(md, key, (int)key_n, text.p, text.n, out, &n) && n == key_n;
}

static bool verify(const struct credential *c, const EVP_MD *md, size_t size, struct slice auth,
                   struct slice proof_text, uint8_t *server_signature)
{
    uint8_t proof[CREDENTIAL_DIGEST_MAX], signature[CREDENTIAL_DIGEST_MAX], key[CREDENTIAL_DIGEST_MAX];
    uint8_t digest[CREDENTIAL_DIGEST_MAX];
    size_t n = 0;
    bool ok =
        base64_read(proof_text, proof, sizeof proof, &n) && n == size && hmac(md, c->stored_key, size, auth, signature);

    for (size_t i = 0; ok && i < size; i++)
        key[i] = proof[i] ^ signature[i];
    ok = ok && EVP_Digest(key, size, digest, NULL, md, NULL) == 1 &&
         secret_equal(slice_of(digest, size), slice_of(c->stored_key, size)) &&
         hmac(md, c->server_key, size, auth, server_signature);
    secret_wipe(key, sizeof key);
    secret_wipe(signature, sizeof signature);
    return ok;
}

bool sasl_scram_final(const struct sasl_session *s, struct slice final, struct buf *out)
{
    bool sha512 = s->mechanism == SASL_MECHANISM_SCRAM_SHA_512;
    const EVP_MD *md = sha512 ? EVP_sha512() : EVP_sha256();
    size_t size = sha512 ? 64 : 32;
    struct slice proof = part_of(final, "p=");
    uint8_t signature[CREDENTIAL_DIGEST_MAX];
    struct buf auth;
    bool ok;

    if (slice_is_null(proof) || proof.p + proof.n != final.p + final.n)
        return false;
    buf_init(&auth, 4 * SASL_TOKEN_MAX);
    buf_put_slice(&auth, buf_slice(&s->client_first_bare));
    buf_u8(&auth, ',');
    buf_put_slice(&auth, buf_slice(&s->server_first));
    buf_u8(&auth, ',');
    buf_put(&auth, final.p, final.n - proof.n - 3); /* without ",p=" and the proof */
    ok = !buf_error(&auth) && verify(&s->used, md, size, buf_slice(&auth), proof, signature);
    if (ok) {
        buf_put_str(out, "v=");
        base64_put(out, slice_of(signature, size));
        ok = !buf_error(out);
    }
    secret_wipe(signature, sizeof signature);
    buf_wipe_free(&auth);
    return ok;
}
