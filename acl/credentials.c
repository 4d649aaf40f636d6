/* SPDX-License-Identifier: Apache-2.0
 * SCRAM credentials over OpenSSL's PBKDF2 and HMAC. RFC 5802, section 3:
 *   SaltedPassword := Hi(Normalize(password), salt, i)
 *   ClientKey      := HMAC(SaltedPassword, "Client Key")
 *   StoredKey      := H(ClientKey)
 *   ServerKey      := HMAC(SaltedPassword, "Server Key")
 * Salted passwords and client keys live on the stack and are wiped before return. */
#include "acl/credentials.h"
#include "acl/acl_base64.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

static const EVP_MD *digest_of(enum credential_mechanism m)
{
    switch (m) {
    case CREDENTIAL_UNKNOWN:
        return NULL;
    case CREDENTIAL_SCRAM_SHA_256:
        return EVP_sha256();
    case CREDENTIAL_SCRAM_SHA_512:
        return EVP_sha512();
    }
    return NULL;
}

const char *credential_mechanism_name(enum credential_mechanism m)
{
    switch (m) {
    case CREDENTIAL_UNKNOWN:
        return "UNKNOWN";
    case CREDENTIAL_SCRAM_SHA_256:
        return "SCRAM-SHA-256";
    case CREDENTIAL_SCRAM_SHA_512:
        return "SCRAM-SHA-512";
    }
    return "UNKNOWN";
}

enum credential_mechanism credential_mechanism_parse(struct slice s)
{
    if (slice_eq_str(s, "SCRAM-SHA-256"))
        return CREDENTIAL_SCRAM_SHA_256;
    if (slice_eq_str(s, "SCRAM-SHA-512"))
        return CREDENTIAL_SCRAM_SHA_512;
    return CREDENTIAL_UNKNOWN;
}

enum credential_mechanism credential_mechanism_of(int8_t code)
{
    if (code == CREDENTIAL_SCRAM_SHA_256)
        return CREDENTIAL_SCRAM_SHA_256;
    return code == CREDENTIAL_SCRAM_SHA_512 ? CREDENTIAL_SCRAM_SHA_512 : CREDENTIAL_UNKNOWN;
}

size_t credential_digest_size(enum credential_mechanism m)
{
    const EVP_MD *md = digest_of(m);
    return md ? (size_t)EVP_MD_get_size(md) : 0;
}

void credential_wipe(struct credential *c)
{
    secret_wipe(c, sizeof *c);
}

static bool hmac(const EVP_MD *md, struct slice key, struct slice text, uint8_t *out)
{
    unsigned n = 0;
    return HMAC(md, key.p, (int)key.n, text.p, text.n, out, &n) != NULL;
}

/* The two keys from a salted password of the digest's size. */
static bool derive(struct credential *c, const uint8_t *salted)
{
    const EVP_MD *md = digest_of(c->mechanism);
    size_t size = credential_digest_size(c->mechanism);
    uint8_t client_key[CREDENTIAL_DIGEST_MAX];
    bool ok = hmac(md, slice_of(salted, size), slice_str("Client Key"), client_key) &&
              EVP_Digest(client_key, size, c->stored_key, NULL, md, NULL) == 1 &&
              hmac(md, slice_of(salted, size), slice_str("Server Key"), c->server_key);

    secret_wipe(client_key, sizeof client_key);
    return ok;
}

static bool salt_password(const struct credential *c, struct slice password, uint8_t *out)
{
    return PKCS5_PBKDF2_HMAC(password.n ? (const char *)password.p : "", (int)password.n, c->salt, (int)c->salt_n,
                             (int)c->iterations, digest_of(c->mechanism), (int)credential_digest_size(c->mechanism),
                             out) == 1;
}

/* Kafka's ScramControlManager: texts as there, plus our limits on sizes. */
static enum err check(enum credential_mechanism m, struct slice salt, int64_t iterations, struct reason *why)
{
    if (m == CREDENTIAL_UNKNOWN)
        return reason_set(why, ERR_UNSUPPORTED_SASL_MECHANISM, "Unknown SCRAM mechanism");
    if (iterations < CREDENTIAL_ITERATIONS_MIN)
        return reason_set(why, ERR_UNACCEPTABLE_CREDENTIAL, "Too few iterations");
    if (iterations > CREDENTIAL_ITERATIONS_MAX)
        return reason_set(why, ERR_UNACCEPTABLE_CREDENTIAL, "Too many iterations");
    if (salt.n < CREDENTIAL_SALT_MIN)
        return reason_set(why, ERR_UNACCEPTABLE_CREDENTIAL, "Salt must not be empty");
    if (salt.n > CREDENTIAL_SALT_MAX)
        return reason_set(why, ERR_UNACCEPTABLE_CREDENTIAL, "Salt is longer than %d bytes", CREDENTIAL_SALT_MAX);
    return ERR_OK;
}

static void start(struct credential *c, enum credential_mechanism m, struct slice salt, uint32_t iterations)
{
    *c = (struct credential){.mechanism = m, .iterations = iterations, .salt_n = (uint32_t)salt.n};
    memcpy(c->salt, salt.p, salt.n);
}

enum err credential_from_password(struct credential *out, enum credential_mechanism m, struct slice password,
                                  struct slice salt, uint32_t iterations, struct reason *why)
{
    uint8_t salted[CREDENTIAL_DIGEST_MAX];
    enum err e = check(m, salt, iterations, why);
    bool ok;

    if (e)
        return e;
    if (password.n == 0 || password.n > CREDENTIAL_PASSWORD_MAX)
        return reason_set(why, ERR_UNACCEPTABLE_CREDENTIAL, "A password must have 1 to %d bytes",
                          CREDENTIAL_PASSWORD_MAX);
    if (memchr(password.p, 0, password.n))
        return reason_set(why, ERR_UNACCEPTABLE_CREDENTIAL, "A password must not contain a NUL byte");
    start(out, m, salt, iterations);
    ok = salt_password(out, password, salted) && derive(out, salted);
    secret_wipe(salted, sizeof salted);
    return ok ? ERR_OK : reason_set(why, ERR_NO_MEMORY, "the password could not be hashed");
}

enum err credential_from_salted(struct credential *out, enum credential_mechanism m, struct slice salt,
                                struct slice salted_password, int32_t iterations, struct reason *why)
{
    enum err e = check(m, salt, iterations, why);

    if (e)
        return e;
    if (salted_password.n != credential_digest_size(m))
        return reason_set(why, ERR_UNACCEPTABLE_CREDENTIAL, "The salted password of %s must have %zu bytes, not %zu",
                          credential_mechanism_name(m), credential_digest_size(m), salted_password.n);
    start(out, m, salt, (uint32_t)iterations);
    return derive(out, salted_password.p) ? ERR_OK : reason_set(why, ERR_NO_MEMORY, "the password could not be hashed");
}

/* Length of the well-formed UTF-8 sequence at p (no overlong forms, no surrogates), 0 if none. */
static size_t utf8_length(const uint8_t *p, size_t left)
{
    size_t n = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;

    if (n == 0 || n > left)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
        (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return n;
}

enum err credential_user_validate(struct slice user, struct reason *why)
{
    if (user.n == 0)
        return reason_set(why, ERR_UNACCEPTABLE_CREDENTIAL, "Username must not be empty");
    if (user.n > CREDENTIAL_USER_MAX)
        return reason_set(why, ERR_UNACCEPTABLE_CREDENTIAL, "Username is longer than %d bytes", CREDENTIAL_USER_MAX);
    for (size_t i = 0, n; i < user.n; i += n) {
        n = utf8_length(user.p + i, user.n - i);
        if (n == 0)
            return reason_set(why, ERR_UNACCEPTABLE_CREDENTIAL, "Username is not UTF-8");
        if (user.p[i] < 0x20 || user.p[i] == 0x7f)
            return reason_set(why, ERR_UNACCEPTABLE_CREDENTIAL, "Username has a control character");
    }
    return ERR_OK;
}

bool credential_verify(const struct credential *c, struct slice password)
{
    size_t size = credential_digest_size(c->mechanism);
    uint8_t salted[CREDENTIAL_DIGEST_MAX];
    struct credential got = *c;
    bool same = password.n <= CREDENTIAL_PASSWORD_MAX && salt_password(c, password, salted) && derive(&got, salted) &&
                secret_equal(slice_of(got.stored_key, size), slice_of(c->stored_key, size));

    secret_wipe(salted, sizeof salted);
    credential_wipe(&got);
    return same;
}

bool credential_equal(const struct credential *a, const struct credential *b)
{
    size_t size = credential_digest_size(a->mechanism);

    return a->mechanism == b->mechanism && a->iterations == b->iterations &&
           slice_eq(slice_of(a->salt, a->salt_n), slice_of(b->salt, b->salt_n)) &&
           secret_equal(slice_of(a->stored_key, size), slice_of(b->stored_key, size)) &&
           secret_equal(slice_of(a->server_key, size), slice_of(b->server_key, size));
}

/* --- decoys --- */

static const char salt_alphabet[] = "0123456789abcdefghijklmnopqrstuvwxyz";

static bool salt_is_text(const struct credential *c)
{
    for (uint32_t i = 0; i < c->salt_n; i++)
        if (c->salt[i] == 0 || !strchr(salt_alphabet, c->salt[i]))
            return false;
    return true;
}

/* Block number `label` of the bytes that stand for this user and shape; false (and zeros): HMAC failed. */
static bool decoy_block(const struct credential *shape, struct slice user, struct slice secret, uint8_t label,
                        uint8_t out[CREDENTIAL_DIGEST_MAX])
{
    uint8_t text[16 + CREDENTIAL_USER_MAX] = {label,
                                              (uint8_t)shape->mechanism,
                                              (uint8_t)(shape->iterations >> 8),
                                              (uint8_t)shape->iterations,
                                              (uint8_t)(shape->salt_n >> 8),
                                              (uint8_t)shape->salt_n};
    size_t n = user.n < CREDENTIAL_USER_MAX ? user.n : CREDENTIAL_USER_MAX;

    memset(out, 0, CREDENTIAL_DIGEST_MAX);
    if (n)
        memcpy(text + 16, user.p, n);
    return hmac(EVP_sha512(), secret, slice_of(text, 16 + n), out);
}

/* Kafka's text salts are a number of 130 bits in base 36 without leading zeros: of 26 digits the first is always 1. */
static void make_text(struct credential *c)
{
    for (uint32_t i = 0; i < c->salt_n; i++)
        c->salt[i] = (uint8_t)salt_alphabet[i ? c->salt[i] % 36 : 1 + c->salt[i] % 35];
    if (c->salt_n == 26)
        c->salt[0] = '1';
}

void credential_decoy(struct credential *out, const struct credential *like, struct slice user, struct slice secret)
{
    enum { LABEL_STORED_KEY = 254, LABEL_SERVER_KEY = 255 };
    uint8_t block[CREDENTIAL_DIGEST_MAX];

    *out = (struct credential){.mechanism = like->mechanism, .iterations = like->iterations, .salt_n = like->salt_n};
    for (uint32_t at = 0; at < out->salt_n; at += sizeof block) {
        uint32_t left = out->salt_n - at;
        (void)decoy_block(out, user, secret, (uint8_t)(at / sizeof block), block);
        memcpy(out->salt + at, block, left < sizeof block ? left : sizeof block);
    }
    if (salt_is_text(like))
        make_text(out);
    /* A StoredKey with no known preimage, unknown to anyone without the secret. */
    (void)decoy_block(out, user, secret, LABEL_STORED_KEY, out->stored_key);
    (void)decoy_block(out, user, secret, LABEL_SERVER_KEY, out->server_key);
    secret_wipe(block, sizeof block);
}

/* --- bootstrap lines --- */

struct line {
    struct slice name, password, salt, salted, iterations;
};

static bool skip_char(struct slice *s, uint8_t c)
{
    if (!s->n || s->p[0] != c)
        return false;
    s->p++;
    s->n--;
    return true;
}

/* One `key=value`, the value quoted or up to ',' or ']'. Base64's '=' needs no quotes. */
static bool read_pair(struct slice *s, struct slice *key, struct slice *value)
{
    const uint8_t *end = memchr(s->p, '=', s->n);
    size_t n = 0;

    if (!end)
        return false;
    *key = slice_of(s->p, (size_t)(end - s->p));
    s->n -= key->n + 1;
    s->p = end + 1;
    if (skip_char(s, '"')) {
        end = memchr(s->p, '"', s->n);
        if (!end)
            return false;
        *value = slice_of(s->p, (size_t)(end - s->p));
        s->n -= value->n + 1;
        s->p = end + 1;
        return true;
    }
    while (n < s->n && s->p[n] != ',' && s->p[n] != ']')
        n++;
    *value = slice_of(s->p, n);
    s->p += n;
    s->n -= n;
    return true;
}

static enum err read_pairs(struct slice *rest, struct line *l, struct reason *why)
{
    struct slice key, value;

    do {
        struct slice *field;
        if (!read_pair(rest, &key, &value))
            return reason_set(why, ERR_BAD_CONFIG, "expected KEY=VALUE pairs between the brackets");
        field = slice_eq_str(key, "name")             ? &l->name
                : slice_eq_str(key, "password")       ? &l->password
                : slice_eq_str(key, "salt")           ? &l->salt
                : slice_eq_str(key, "saltedpassword") ? &l->salted
                : slice_eq_str(key, "iterations")     ? &l->iterations
                                                      : NULL;
        if (!field)
            return reason_set(why, ERR_BAD_CONFIG, "unknown key %.*s", SLICE_FMT(key));
        if (!slice_is_null(*field))
            return reason_set(why, ERR_BAD_CONFIG, "%.*s is given twice", SLICE_FMT(key));
        *field = value;
    } while (skip_char(rest, ','));
    if (!skip_char(rest, ']') || rest->n)
        return reason_set(why, ERR_BAD_CONFIG, "expected one ']' at the end of the line");
    return ERR_OK;
}

static int32_t read_number(struct slice s)
{
    int32_t n = 0;

    if (s.n == 0 || s.n > 8)
        return -1;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return -1;
        n = n * 10 + (s.p[i] - '0');
    }
    return n;
}

static enum err make(const struct line *l, enum credential_mechanism m, struct slice fresh_salt, struct credential *out,
                     struct reason *why)
{
    uint8_t salt[CREDENTIAL_SALT_MAX], salted[CREDENTIAL_DIGEST_MAX];
    struct slice salt_bytes = fresh_salt;
    size_t n = 0;
    int32_t iterations = slice_is_null(l->iterations) ? CREDENTIAL_ITERATIONS_MIN : read_number(l->iterations);
    enum err e;

    if (!slice_is_null(l->salt)) {
        if (!base64_read(l->salt, salt, sizeof salt, &n))
            return reason_set(why, ERR_BAD_CONFIG, "salt is not base64 of at most %d bytes", CREDENTIAL_SALT_MAX);
        salt_bytes = slice_of(salt, n);
    }
    if (slice_is_null(l->password) == slice_is_null(l->salted))
        return reason_set(why, ERR_BAD_CONFIG, "exactly one of password and saltedpassword is needed");
    if (!slice_is_null(l->password))
        return credential_from_password(out, m, l->password, salt_bytes, iterations < 0 ? 0 : (uint32_t)iterations,
                                        why);
    if (slice_is_null(l->salt))
        return reason_set(why, ERR_BAD_CONFIG, "saltedpassword needs its salt");
    if (base64_read(l->salted, salted, sizeof salted, &n))
        e = credential_from_salted(out, m, salt_bytes, slice_of(salted, n), iterations, why);
    else
        e = reason_set(why, ERR_BAD_CONFIG, "saltedpassword is not base64");
    secret_wipe(salted, sizeof salted);
    return e;
}

enum err credential_parse_line(struct slice line, struct slice fresh_salt, struct slice *user, struct credential *out,
                               struct reason *why)
{
    const uint8_t *eq = line.n ? memchr(line.p, '=', line.n) : NULL;
    struct line l = {0};
    enum credential_mechanism m;
    enum err e;

    while (line.n && (line.p[line.n - 1] == '\n' || line.p[line.n - 1] == '\r' || line.p[line.n - 1] == ' '))
        line.n--;
    m = eq ? credential_mechanism_parse(slice_of(line.p, (size_t)(eq - line.p))) : CREDENTIAL_UNKNOWN;
    if (m == CREDENTIAL_UNKNOWN)
        return reason_set(why, ERR_BAD_CONFIG, "the line must begin with SCRAM-SHA-256= or SCRAM-SHA-512=");
    line.n -= (size_t)(eq - line.p) + 1;
    line.p = eq + 1;
    if (!skip_char(&line, '['))
        return reason_set(why, ERR_BAD_CONFIG, "expected '[' after the mechanism");
    e = read_pairs(&line, &l, why);
    if (e)
        return e;
    if (slice_is_null(l.name))
        return reason_set(why, ERR_BAD_CONFIG, "name is missing");
    *user = l.name;
    e = credential_user_validate(l.name, why);
    return e ? e : make(&l, m, fresh_salt, out, why);
}
