/* SPDX-License-Identifier: Apache-2.0
 * Credentials against RFC 7677's vector, Kafka's limits, the bootstrap lines, and users' records. */
#include "acl/acl_base64.h"
#include "acl/users.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct slice salt24 = {(const uint8_t *)"abcdefghijklmnopqrstuvwx", 24};

/* RFC 7677, section 3: user "user", password "pencil". */
static const char auth_message[] =
    "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,"
    "i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";

static size_t unbase64(const char *text, uint8_t *out, size_t cap)
{
    size_t n;
    assert_true(base64_read(slice_str(text), out, cap, &n));
    return n;
}

static void rfc_7677_vector(void **state)
{
    uint8_t salt[32], proof[32], signature[32], want[32], stored[32];
    size_t salt_n = unbase64("W22ZaJ0SNY7soEsUEjb6gQ==", salt, sizeof salt);
    struct credential c;
    unsigned n;

    (void)state;
    assert_int_equal(
        credential_from_password(&c, CREDENTIAL_SCRAM_SHA_256, slice_str("pencil"), slice_of(salt, salt_n), 4096, NULL),
        ERR_OK);
    unbase64("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", proof, sizeof proof);
    HMAC(EVP_sha256(), c.stored_key, 32, (const uint8_t *)auth_message, strlen(auth_message), signature, &n);
    for (int i = 0; i < 32; i++)
        proof[i] ^= signature[i];
    EVP_Digest(proof, 32, stored, NULL, EVP_sha256(), NULL);
    assert_memory_equal(stored, c.stored_key, 32);
    HMAC(EVP_sha256(), c.server_key, 32, (const uint8_t *)auth_message, strlen(auth_message), signature, &n);
    unbase64("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", want, sizeof want);
    assert_memory_equal(signature, want, 32);
}

static void passwords_verify(void **state)
{
    static const enum credential_mechanism both[] = {CREDENTIAL_SCRAM_SHA_256, CREDENTIAL_SCRAM_SHA_512};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct credential c, decoy;
        assert_int_equal(credential_from_password(&c, both[i], slice_str("s\xc3\xa9same"), salt24, 4096, NULL), ERR_OK);
        assert_true(credential_verify(&c, slice_str("s\xc3\xa9same")));
        assert_false(credential_verify(&c, slice_str("sesame")));
        assert_false(credential_verify(&c, slice_str("")));
        credential_decoy(&decoy, &c, slice_str("nobody"), slice_str("secret"));
        assert_false(credential_verify(&decoy, slice_str("")));
        assert_false(credential_verify(&decoy, slice_str("sesame")));
    }
}

static void limits_are_kafkas(void **state)
{
    struct credential c;
    struct reason why;
    uint8_t salted[64] = {1};

    (void)state;
    assert_int_equal(credential_from_salted(&c, CREDENTIAL_SCRAM_SHA_256, salt24, slice_of(salted, 32), 4095, &why),
                     ERR_UNACCEPTABLE_CREDENTIAL);
    assert_string_equal(why.text, "Too few iterations");
    assert_int_equal(credential_from_salted(&c, CREDENTIAL_SCRAM_SHA_256, salt24, slice_of(salted, 32), 16385, &why),
                     ERR_UNACCEPTABLE_CREDENTIAL);
    assert_string_equal(why.text, "Too many iterations");
    assert_int_equal(credential_from_salted(&c, CREDENTIAL_UNKNOWN, salt24, slice_of(salted, 32), 4096, &why),
                     ERR_UNSUPPORTED_SASL_MECHANISM);
    assert_int_equal(credential_from_salted(&c, CREDENTIAL_SCRAM_SHA_512, salt24, slice_of(salted, 32), 4096, &why),
                     ERR_UNACCEPTABLE_CREDENTIAL);
    assert_int_equal(credential_from_salted(&c, CREDENTIAL_SCRAM_SHA_512, SLICE_NULL, slice_of(salted, 64), 4096, &why),
                     ERR_UNACCEPTABLE_CREDENTIAL);
    assert_int_equal(credential_from_salted(&c, CREDENTIAL_SCRAM_SHA_512, salt24, slice_of(salted, 64), 16384, &why),
                     ERR_OK);
    assert_int_equal(credential_user_validate(slice_str(""), &why), ERR_UNACCEPTABLE_CREDENTIAL);
    assert_string_equal(why.text, "Username must not be empty");
    assert_int_equal(credential_user_validate(slice_str("a\nb"), &why), ERR_UNACCEPTABLE_CREDENTIAL);
    assert_int_equal(credential_user_validate(slice_str("\xc0\xaf"), &why), ERR_UNACCEPTABLE_CREDENTIAL);
    assert_int_equal(credential_user_validate(slice_str("\xed\xa0\x80"), &why), ERR_UNACCEPTABLE_CREDENTIAL);
    assert_int_equal(credential_user_validate(slice_str("j\xc3\xbcrgen@x y"), &why), ERR_OK);
}

static void bootstrap_lines(void **state)
{
    static const char *const bad[] = {"",
                                      "SCRAM-SHA-512",
                                      "SCRAM-SHA-1=[name=a,password=b]",
                                      "SCRAM-SHA-256=name=a",
                                      "SCRAM-SHA-256=[name=a]",
                                      "SCRAM-SHA-256=[password=b]",
                                      "SCRAM-SHA-256=[name=a,password=b",
                                      "SCRAM-SHA-256=[name=a,password=b]x",
                                      "SCRAM-SHA-256=[name=a,name=b,password=c]",
                                      "SCRAM-SHA-256=[name=a,password=b,colour=c]",
                                      "SCRAM-SHA-256=[name=a,saltedpassword=\"AAAA\"]",
                                      "SCRAM-SHA-256=[name=a,password=b,iterations=12]",
                                      "SCRAM-SHA-256=[name=a,password=b,iterations=-1]",
                                      "SCRAM-SHA-256=[name=a,password=b,salt=***]",
                                      "SCRAM-SHA-256=[name=a,password=b,saltedpassword=c]",
                                      "SCRAM-SHA-256=[name=\"a,password=b]"};
    struct credential c, d;
    struct slice user;
    struct reason why;

    (void)state;
    assert_int_equal(credential_parse_line(slice_str("SCRAM-SHA-512=[name=admin,iterations=8192,salt=\"c2FsdHNhbHQ=\","
                                                     "password=\"a,b]c\"]\n"),
                                           salt24, &user, &c, &why),
                     ERR_OK);
    assert_true(slice_eq_str(user, "admin"));
    assert_int_equal(c.iterations, 8192);
    assert_int_equal(c.salt_n, 8);
    assert_true(credential_verify(&c, slice_str("a,b]c")));
    /* RFC 7677's salted password, unquoted base64 with its '=' */
    assert_int_equal(credential_parse_line(slice_str("SCRAM-SHA-256=[name=u,salt=W22ZaJ0SNY7soEsUEjb6gQ==,"
                                                     "saltedpassword=xKSVEDI6tPlSysH6mUQZOeeOp01r6B3fcJbodRPcYV0=]"),
                                           salt24, &user, &d, &why),
                     ERR_OK);
    assert_true(credential_verify(&d, slice_str("pencil")));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (credential_parse_line(slice_str(bad[i]), salt24, &user, &c, &why) == ERR_OK)
            fail_msg("accepted: %s", bad[i]);
}

static void user_records_round_trip(void **state)
{
    struct users *u = users_new(), *v = users_new();
    struct users_snapshot *s;
    struct credential c;
    struct buf key, value;
    struct reason why;

    (void)state;
    buf_init(&key, 0);
    buf_init(&value, 0);
    assert_int_equal(credential_from_password(&c, CREDENTIAL_SCRAM_SHA_512, slice_str("pw"), salt24, 4096, NULL),
                     ERR_OK);
    assert_int_equal(users_record_key(&key, slice_str("ali\"ce"), c.mechanism), ERR_OK);
    assert_string_equal(buf_cstr(&key), "{\"mechanism\":\"SCRAM-SHA-512\",\"user\":\"ali\\\"ce\"}");
    assert_int_equal(users_record_value(&value, &c), ERR_OK);
    assert_int_equal(users_apply(u, buf_slice(&key), buf_slice(&value), &why), ERR_OK);
    assert_memory_equal(users_find(u, slice_str("ali\"ce"), CREDENTIAL_SCRAM_SHA_512), &c, sizeof c);
    assert_null(users_find(u, slice_str("ali\"ce"), CREDENTIAL_SCRAM_SHA_256));
    c.mechanism = CREDENTIAL_SCRAM_SHA_256;
    assert_int_equal(users_put(u, slice_str("bob"), &c), ERR_OK);
    assert_int_equal(users_snapshot_build(&s, u), ERR_OK);
    assert_int_equal(users_snapshot_count(s), 2);
    assert_true(slice_eq_str(users_snapshot_at(s, 1).name, "bob"));
    assert_null(users_snapshot_at(s, 1).sha512);
    assert_non_null(users_snapshot_any(s, slice_str("bob")));
    assert_null(users_snapshot_any(s, slice_str("eve")));

    assert_int_equal(users_apply(u, buf_slice(&key), SLICE_NULL, &why), ERR_OK);
    assert_false(users_has(u, slice_str("ali\"ce")));
    assert_non_null(users_snapshot_any(s, slice_str("ali\"ce"))); /* the snapshot stays as it was */
    users_snapshot_unref(s);

    assert_int_equal(users_apply(v, slice_str("hello"), buf_slice(&value), &why), ERR_MALFORMED);
    assert_int_equal(users_apply(v, slice_str("{}"), buf_slice(&value), &why), ERR_MALFORMED);
    assert_int_equal(users_apply(v, slice_str("[1]"), buf_slice(&value), &why), ERR_MALFORMED);
    assert_int_equal(users_apply(v, SLICE_NULL, buf_slice(&value), &why), ERR_MALFORMED);
    assert_int_equal(users_apply(v, buf_slice(&key), slice_str("{\"iterations\":4096}"), &why), ERR_MALFORMED);
    assert_int_equal(users_apply(v, buf_slice(&key), slice_str(""), &why), ERR_MALFORMED);
    assert_false(users_has(v, slice_str("ali\"ce")));
    users_free(u);
    users_free(v);
    buf_free(&key);
    buf_free(&value);
}

static void base64_is_strict(void **state)
{
    uint8_t out[8];
    size_t n;

    (void)state;
    assert_true(base64_read(slice_str(""), out, sizeof out, &n));
    assert_true(base64_read(slice_str("AQ=="), out, sizeof out, &n) && n == 1 && out[0] == 1);
    assert_true(base64_read(slice_str("AQI="), out, sizeof out, &n) && n == 2);
    assert_false(base64_read(slice_str("AQ=A"), out, sizeof out, &n));
    assert_false(base64_read(slice_str("===="), out, sizeof out, &n));
    assert_false(base64_read(slice_str("AQ==AQ=="), out, sizeof out, &n));
    assert_false(base64_read(slice_str("AQI"), out, sizeof out, &n));
    assert_false(base64_read(slice_str("AQIDAQIDAQID"), out, sizeof out, &n));
}

static void put_user(struct users *u, const char *name, enum credential_mechanism m, struct slice salt, uint32_t rounds)
{
    struct credential c;

    assert_int_equal(credential_from_password(&c, m, slice_str("pw"), salt, rounds, NULL), ERR_OK);
    assert_int_equal(users_put(u, slice_str(name), &c), ERR_OK);
}

static void set_secret(struct users *u, uint8_t byte)
{
    uint8_t secret[USERS_SECRET_SIZE];
    struct buf key, value;

    buf_init(&key, 0);
    buf_init(&value, 0);
    memset(secret, byte, sizeof secret);
    assert_int_equal(users_secret_record(&key, &value, secret), ERR_OK);
    assert_int_equal(users_apply(u, buf_slice(&key), buf_slice(&value), NULL), ERR_OK);
    assert_true(users_has_secret(u));
    buf_free(&key);
    buf_free(&value);
}

static struct credential decoy_of(struct users *u, const char *name, enum credential_mechanism m)
{
    struct users_snapshot *s;
    struct credential c;

    assert_int_equal(users_snapshot_build(&s, u), ERR_OK);
    users_snapshot_decoy(s, slice_str(name), m, &c);
    users_snapshot_unref(s);
    return c;
}

/* What a stranger sees of a user who does not exist: the same at every gateway and after every start, in the shape of
 * the users there are. */
static void decoys_look_like_users(void **state)
{
    static const struct slice text_salt = {(const uint8_t *)"1qk2hq8q9d7w6vd0f4xv3y1bpz", 26};
    struct users *u = users_new(), *v = users_new();
    int long_ones = 0, changed = 0;

    (void)state;
    set_secret(u, 7);
    put_user(u, "a", CREDENTIAL_SCRAM_SHA_512, salt24, 8192);
    for (int i = 0; i < 20; i++) {
        char name[32];
        struct credential c, again;
        snprintf(name, sizeof name, "ghost%d", i);
        c = decoy_of(u, name, CREDENTIAL_SCRAM_SHA_512);
        again = decoy_of(u, name, CREDENTIAL_SCRAM_SHA_512);
        assert_int_equal(c.iterations, 8192);
        assert_int_equal(c.salt_n, 24);
        assert_true(credential_equal(&c, &again));
    }
    /* nobody has SHA-256: what the first user would have */
    assert_int_equal(decoy_of(u, "ghost", CREDENTIAL_SCRAM_SHA_256).iterations, CREDENTIAL_ITERATIONS_MIN);

    set_secret(v, 8);
    put_user(v, "a", CREDENTIAL_SCRAM_SHA_512, salt24, 8192);
    assert_memory_not_equal(decoy_of(u, "ghost", CREDENTIAL_SCRAM_SHA_512).salt,
                            decoy_of(v, "ghost", CREDENTIAL_SCRAM_SHA_512).salt, 24);

    /* as many of each shape among the decoys as among the users, and a new user changes few of them */
    users_clear(v);
    set_secret(v, 7);
    for (int i = 0; i < 40; i++) {
        char name[32];
        snprintf(name, sizeof name, "user%d", i);
        put_user(v, name, CREDENTIAL_SCRAM_SHA_512, i % 2 ? text_salt : salt24, i % 2 ? 8192 : 4096);
    }
    for (int i = 0; i < 200; i++) {
        char name[32];
        struct credential before, after;
        snprintf(name, sizeof name, "ghost%d", i);
        before = decoy_of(v, name, CREDENTIAL_SCRAM_SHA_512);
        put_user(v, "newcomer", CREDENTIAL_SCRAM_SHA_512, text_salt, 8192);
        after = decoy_of(v, name, CREDENTIAL_SCRAM_SHA_512);
        users_remove(v, slice_str("newcomer"), CREDENTIAL_SCRAM_SHA_512);
        assert_int_equal(before.salt_n, before.iterations == 8192 ? 26 : 24);
        for (uint32_t k = 0; before.salt_n == 26 && k < 26; k++)
            assert_true((before.salt[k] >= '0' && before.salt[k] <= '9') ||
                        (before.salt[k] >= 'a' && before.salt[k] <= 'z'));
        long_ones += before.salt_n == 26;
        changed += !credential_equal(&before, &after);
    }
    assert_in_range(long_ones, 40, 160);
    assert_in_range(changed, 0, 60);
    users_free(u);
    users_free(v);
}

static void a_deletion_is_remembered(void **state)
{
    struct users *u = users_new();
    struct users_snapshot *s;
    struct buf key, value;

    (void)state;
    buf_init(&key, 0);
    buf_init(&value, 0);
    assert_int_equal(users_deleted_record(&key, &value, slice_str("alice"), 1700000000500), ERR_OK);
    assert_string_equal(buf_cstr(&key), "{\"kind\":\"deleted\",\"user\":\"alice\"}");
    assert_int_equal(users_apply(u, buf_slice(&key), buf_slice(&value), NULL), ERR_OK);
    assert_int_equal(users_deleted_ms(u, slice_str("alice")), 1700000000500);
    put_user(u, "alice", CREDENTIAL_SCRAM_SHA_512, salt24, 4096); /* she is back, with another certificate */
    assert_int_equal(users_snapshot_build(&s, u), ERR_OK);
    assert_false(users_snapshot_certificate_counts(s, slice_str("alice"), 1600000000));
    assert_false(users_snapshot_certificate_counts(s, slice_str("alice"), 1700000000));
    assert_true(users_snapshot_certificate_counts(s, slice_str("alice"), 1700000001));
    assert_true(users_snapshot_certificate_counts(s, slice_str("bob"), 1600000000));
    users_snapshot_unref(s);

    assert_int_equal(users_apply(u, buf_slice(&key), slice_str("{\"at_ms\":\"x\"}"), NULL), ERR_MALFORMED);
    assert_int_equal(users_apply(u, slice_str("{\"kind\":\"deleted\"}"), buf_slice(&value), NULL), ERR_MALFORMED);
    assert_int_equal(users_apply(u, slice_str("{\"kind\":\"other\"}"), buf_slice(&value), NULL), ERR_MALFORMED);
    assert_int_equal(users_apply(u, slice_str("{\"kind\":\"decoys\"}"), slice_str("{\"secret\":\"AAAA\"}"), NULL),
                     ERR_MALFORMED);
    assert_false(users_has_secret(u));
    assert_int_equal(users_apply(u, buf_slice(&key), SLICE_NULL, NULL), ERR_OK);
    assert_int_equal(users_deleted_ms(u, slice_str("alice")), 0);
    users_free(u);
    buf_free(&key);
    buf_free(&value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decoys_look_like_users),  cmocka_unit_test(a_deletion_is_remembered),
        cmocka_unit_test(rfc_7677_vector),         cmocka_unit_test(passwords_verify),
        cmocka_unit_test(limits_are_kafkas),       cmocka_unit_test(bootstrap_lines),
        cmocka_unit_test(user_records_round_trip), cmocka_unit_test(base64_is_strict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
