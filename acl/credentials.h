/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_ACL_CREDENTIALS_H
#define CASTELLAN_ACL_CREDENTIALS_H

#include "core/base/buf.h"
#include "core/base/secret.h"

/* SCRAM credentials (RFC 5802, RFC 7677; KIP-84, KIP-554): salt, iterations, StoredKey and ServerKey. The password and
 * the salted password are never kept. A StoredKey does not let its finder log in, a ServerKey lets them pose as the
 * server; both are treated as secrets all the same: never printed, records of them only in the users' topic.
 *
 * Passwords are bytes. SASLprep (RFC 4013) is the identity for printable ASCII; other bytes are passed through
 * unchanged, as Kafka's own SCRAM does ("normalize" there is the identity too), so both ends agree. */

/* Kafka's codes (DescribeUserScramCredentials) */
enum credential_mechanism {
    CREDENTIAL_UNKNOWN = 0,
    CREDENTIAL_SCRAM_SHA_256 = 1,
    CREDENTIAL_SCRAM_SHA_512 = 2,
};

enum {
    CREDENTIAL_ITERATIONS_MIN = 4096,  /* Kafka's */
    CREDENTIAL_ITERATIONS_MAX = 16384, /* Kafka's */
    CREDENTIAL_SALT_MIN = 1,
    CREDENTIAL_SALT_MAX = 256,
    CREDENTIAL_SALT_SIZE = 24, /* what we make */
    CREDENTIAL_DIGEST_MAX = 64,
    CREDENTIAL_PASSWORD_MAX = 1024,
    CREDENTIAL_USER_MAX = 255,
};

struct credential {
    enum credential_mechanism mechanism;
    uint32_t iterations;
    uint32_t salt_n;
    uint8_t salt[CREDENTIAL_SALT_MAX];
    uint8_t stored_key[CREDENTIAL_DIGEST_MAX]; /* credential_digest_size() bytes */
    uint8_t server_key[CREDENTIAL_DIGEST_MAX];
};

const char *credential_mechanism_name(enum credential_mechanism m); /* "SCRAM-SHA-512" */
enum credential_mechanism credential_mechanism_parse(struct slice s);
enum credential_mechanism credential_mechanism_of(int8_t code);
size_t credential_digest_size(enum credential_mechanism m);

/* From a password; `salt` comes from the caller's randomness (CREDENTIAL_SALT_SIZE bytes). */
enum err credential_from_password(struct credential *out, enum credential_mechanism m, struct slice password,
                                  struct slice salt, uint32_t iterations, struct reason *why) MUST_CHECK;
/* From AlterUserScramCredentials' upsert: the salted password arrives, the two keys are derived. Kafka's checks and
 * texts: ERR_UNACCEPTABLE_CREDENTIAL, ERR_UNSUPPORTED_SASL_MECHANISM. */
enum err credential_from_salted(struct credential *out, enum credential_mechanism m, struct slice salt,
                                struct slice salted_password, int32_t iterations, struct reason *why) MUST_CHECK;
/* A user's name as AlterUserScramCredentials accepts it (not empty, no control characters, at most
 * CREDENTIAL_USER_MAX bytes of UTF-8). */
enum err credential_user_validate(struct slice user, struct reason *why) MUST_CHECK;
void credential_wipe(struct credential *c);

/* Does the password belong to the credential? Costs one PBKDF2 (a few ms). For a user who may not exist see
 * users_snapshot_check_password(), which does the same work for everybody. */
bool credential_verify(const struct credential *c, struct slice password);
bool credential_equal(const struct credential *a, const struct credential *b); /* constant time in the keys */

/* A stand-in for a user who does not exist: keys that no password gives, and a salt that only the secret, the user and
 * the shape decide, so that it is the same tomorrow and at another gateway. Mechanism, iterations, the salt's length
 * and its alphabet (Kafka's tools make salts of lower-case letters and digits) are those of `like`, a real user's. Used
 * to play SCRAM to its end with anyone, and to hash a password for nobody. */
void credential_decoy(struct credential *out, const struct credential *like, struct slice user, struct slice secret);

/* One bootstrap line, as kafka-storage's --add-scram takes it:
 *   SCRAM-SHA-512=[name=admin,iterations=4096,salt="BASE64",saltedpassword="BASE64"]
 *   SCRAM-SHA-256=[name=alice,password=secret]      (iterations default 4096; salt default `fresh_salt`)
 * Values may be quoted; a value with ',' or ']' must be. `user` points into `line`. */
enum err credential_parse_line(struct slice line, struct slice fresh_salt, struct slice *user, struct credential *out,
                               struct reason *why) MUST_CHECK;

#endif
