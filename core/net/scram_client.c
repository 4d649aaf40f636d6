/* SPDX-License-Identifier: Apache-2.0
 * SCRAM, the client's side: RFC 5802 with SHA-256 (RFC 7677) and SHA-512 (which Kafka adds), without channel binding.
 *
 * User names and passwords are taken as they are: Kafka does not apply SASLprep, so neither do we, or a password with
 * unusual characters would work with one and fail with the other. Only the escapes of section 5.1 (=2C for a comma, =3D
 * for an equals sign) are made. Every intermediate secret is wiped before the step returns. */
#include "core/net/scram_client.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

enum { STATE_NEW, STATE_FIRST_SENT, STATE_FINAL_SENT, STATE_DONE, STATE_FAILED };
enum { SALT_MAX = 1024 };

static const EVP_MD *digest_of(enum scram_hash hash)
{
    switch (hash) {
    case SCRAM_SHA_256:
        return EVP_sha256();
    case SCRAM_SHA_512:
        return EVP_sha512();
    }
    return NULL;
}

size_t scram_digest_size(enum scram_hash hash)
{
    switch (hash) {
    case SCRAM_SHA_256:
        return 32;
    case SCRAM_SHA_512:
        return 64;
    }
    return 0;
}

static bool hmac(enum scram_hash hash, const uint8_t *key, struct slice data, uint8_t *out)
{
    unsigned n = 0;
    return HMAC(digest_of(hash), key, (int)scram_digest_size(hash), data.p, data.n, out, &n) != NULL;
}

enum err scram_salt_password(enum scram_hash hash, struct slice password, struct slice salt, uint32_t iterations,
                             uint8_t *out)
{
    if (password.n > SCRAM_MESSAGE_MAX || salt.n > SALT_MAX || iterations > SCRAM_ITERATIONS_MAX)
        return ERR_LIMIT_EXCEEDED;
    if (PKCS5_PBKDF2_HMAC(password.p ? (const char *)password.p : "", (int)password.n, salt.p, (int)salt.n,
                          (int)iterations, digest_of(hash), (int)scram_digest_size(hash), out) != 1)
        return ERR_AUTH;
    return ERR_OK;
}

/* ---- base64, strict ---- */

static bool base64_decode(struct slice in, uint8_t *out, size_t cap, size_t *n)
{
    size_t pad = in.n && in.p[in.n - 1] == '=' ? (in.n > 1 && in.p[in.n - 2] == '=' ? 2 : 1) : 0;

    if (in.n == 0 || in.n % 4 || in.n / 4 * 3 > cap)
        return false;
    for (size_t i = 0; i < in.n - pad; i++) {
        uint8_t ch = in.p[i];
        bool alphabet =
            (ch >= 'A' && ch <= 'Z') || (ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9') || ch == '+' || ch == '/';
        if (!alphabet)
            return false;
    }
    if (EVP_DecodeBlock(out, in.p, (int)in.n) < 0)
        return false;
    *n = in.n / 4 * 3 - pad;
    return true;
}

static void base64_put(struct buf *out, const uint8_t *p, size_t n)
{
    size_t cap = (n + 2) / 3 * 4 + 1;
    uint8_t *at = buf_grow(out, cap);

    if (!at)
        return;
    EVP_EncodeBlock(at, p, (int)n);
    out->n--; /* the NUL it wrote */
}

/* ---- messages ---- */

/* The value of attribute `key` at the front of *rest, which moves past it and its comma; null when another stands
 * there. */
static struct slice take_attribute(struct slice *rest, char key)
{
    const uint8_t *comma;
    struct slice value;

    if (rest->n < 2 || rest->p[0] != (uint8_t)key || rest->p[1] != '=')
        return SLICE_NULL;
    comma = memchr(rest->p, ',', rest->n);
    value = slice_of(rest->p + 2, (comma ? (size_t)(comma - rest->p) : rest->n) - 2);
    *rest = comma ? slice_of(comma + 1, rest->n - (size_t)(comma + 1 - rest->p)) : slice_of(rest->p + rest->n, 0);
    return value;
}

static bool parse_number(struct slice s, uint32_t *out)
{
    uint64_t v = 0;

    if (s.n == 0 || s.n > 9)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        v = v * 10 + (uint64_t)(s.p[i] - '0');
    }
    *out = (uint32_t)v;
    return true;
}

static enum err fail(struct scram_client *s, struct reason *why, const char *text)
{
    s->state = STATE_FAILED;
    return reason_set(why, ERR_AUTH, "SCRAM: %s", text);
}

enum err scram_client_init(struct scram_client *s, enum scram_hash hash, struct slice nonce)
{
    *s = (struct scram_client){.hash = hash};
    buf_init(&s->auth_message, 4 * SCRAM_MESSAGE_MAX);
    buf_init(&s->nonce, SCRAM_MESSAGE_MAX);
    for (size_t i = 0; i < nonce.n; i++)
        if (nonce.p[i] < 0x21 || nonce.p[i] > 0x7e || nonce.p[i] == ',')
            return ERR_MALFORMED;
    if (nonce.n == 0)
        return ERR_MALFORMED;
    buf_put_slice(&s->nonce, nonce);
    return buf_error(&s->nonce);
}

void scram_client_free(struct scram_client *s)
{
    buf_wipe_free(&s->auth_message);
    buf_wipe_free(&s->nonce);
    secret_wipe(s->server_signature, sizeof s->server_signature);
    s->state = STATE_FAILED;
}

enum err scram_client_first(struct scram_client *s, struct slice user, struct buf *out)
{
    if (s->state != STATE_NEW)
        return ERR_AUTH;
    buf_put_str(&s->auth_message, "n=");
    for (size_t i = 0; i < user.n; i++) {
        if (user.p[i] == ',')
            buf_put_str(&s->auth_message, "=2C");
        else if (user.p[i] == '=')
            buf_put_str(&s->auth_message, "=3D");
        else
            buf_u8(&s->auth_message, user.p[i]);
    }
    buf_put_str(&s->auth_message, ",r=");
    buf_put_slice(&s->auth_message, buf_slice(&s->nonce));
    if (buf_error(&s->auth_message))
        return buf_error(&s->auth_message);
    buf_put_str(out, "n,,");
    buf_put_slice(out, buf_slice(&s->auth_message));
    s->state = STATE_FIRST_SENT;
    return buf_error(out);
}

/* Proof into `proof` and the signature to expect into s->server_signature, from the salted password and the complete
 * AuthMessage. RFC 5802, section 3. */
static bool compute_proof(struct scram_client *s, const uint8_t *salted, uint8_t *proof)
{
    size_t n = scram_digest_size(s->hash);
    uint8_t client_key[SCRAM_DIGEST_MAX], stored_key[SCRAM_DIGEST_MAX], signature[SCRAM_DIGEST_MAX],
        server_key[SCRAM_DIGEST_MAX];
    struct slice message = buf_slice(&s->auth_message);
    bool ok = hmac(s->hash, salted, slice_str("Client Key"), client_key) &&
              EVP_Digest(client_key, n, stored_key, NULL, digest_of(s->hash), NULL) == 1 &&
              hmac(s->hash, stored_key, message, signature) &&
              hmac(s->hash, salted, slice_str("Server Key"), server_key) &&
              hmac(s->hash, server_key, message, s->server_signature);

    for (size_t i = 0; ok && i < n; i++)
        proof[i] = client_key[i] ^ signature[i];
    secret_wipe(client_key, sizeof client_key);
    secret_wipe(stored_key, sizeof stored_key);
    secret_wipe(signature, sizeof signature);
    secret_wipe(server_key, sizeof server_key);
    return ok;
}

enum err scram_client_final(struct scram_client *s, struct slice password, struct slice server_first, struct buf *out,
                            struct reason *why)
{
    uint8_t salt[SALT_MAX], salted[SCRAM_DIGEST_MAX], proof[SCRAM_DIGEST_MAX];
    struct slice rest = server_first, nonce, salt_text, count, own = buf_slice(&s->nonce);
    size_t salt_n = 0;
    uint32_t iterations = 0;
    bool ok;
    enum err err;

    if (s->state != STATE_FIRST_SENT)
        return fail(s, why, "a message out of order");
    if (!server_first.p || server_first.n > SCRAM_MESSAGE_MAX)
        return fail(s, why, "the server's first message is missing or too long");
    /* "m=" first would be a mandatory extension we do not know; it fails here as a missing nonce. */
    nonce = take_attribute(&rest, 'r');
    salt_text = take_attribute(&rest, 's');
    count = take_attribute(&rest, 'i');
    if (!nonce.p || !salt_text.p || !parse_number(count, &iterations) ||
        !base64_decode(salt_text, salt, sizeof salt, &salt_n))
        return fail(s, why, "the server's first message is malformed");
    if (!slice_starts(nonce, own) || nonce.n == own.n)
        return fail(s, why, "the server's nonce does not extend ours");
    if (iterations < SCRAM_ITERATIONS_MIN || iterations > SCRAM_ITERATIONS_MAX)
        return fail(s, why, "the server's iteration count is out of bounds");
    err = scram_salt_password(s->hash, password, slice_of(salt, salt_n), iterations, salted);
    if (err)
        return fail(s, why, "the password cannot be salted");
    buf_put_str(&s->auth_message, ",");
    buf_put_slice(&s->auth_message, server_first);
    buf_put_str(&s->auth_message, ",c=biws,r=");
    buf_put_slice(&s->auth_message, nonce);
    ok = !buf_error(&s->auth_message) && compute_proof(s, salted, proof);
    secret_wipe(salted, sizeof salted);
    if (!ok)
        return fail(s, why, "the proof cannot be computed");
    buf_put_str(out, "c=biws,r=");
    buf_put_slice(out, nonce);
    buf_put_str(out, ",p=");
    base64_put(out, proof, scram_digest_size(s->hash));
    secret_wipe(proof, sizeof proof);
    s->state = STATE_FINAL_SENT;
    return buf_error(out);
}

enum err scram_client_verify(struct scram_client *s, struct slice server_final, struct reason *why)
{
    uint8_t signature[SCRAM_DIGEST_MAX * 2];
    struct slice rest = server_final, value;
    size_t n = 0;

    if (s->state != STATE_FINAL_SENT)
        return fail(s, why, "a message out of order");
    if (!server_final.p || server_final.n > SCRAM_MESSAGE_MAX)
        return fail(s, why, "the server's final message is missing or too long");
    value = take_attribute(&rest, 'e');
    if (value.p) {
        s->state = STATE_FAILED;
        return reason_set(why, ERR_AUTH, "the server refuses: %.*s", (int)(value.n < 100 ? value.n : 100),
                          (const char *)value.p);
    }
    value = take_attribute(&rest, 'v');
    if (!value.p || !base64_decode(value, signature, sizeof signature, &n))
        return fail(s, why, "the server's final message is malformed");
    if (!secret_equal(slice_of(signature, n), slice_of(s->server_signature, scram_digest_size(s->hash))))
        return fail(s, why, "the server's signature is wrong: it does not know the password");
    s->state = STATE_DONE;
    return ERR_OK;
}
