/* SPDX-License-Identifier: Apache-2.0
 * The SCRAM client against the exchange of RFC 7677, section 3, a SHA-512 exchange computed apart, and a server's
 * tricks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/net/scram_client.h"

#include <stdio.h>

#define SERVER_FIRST "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"

static void start(struct scram_client *s, const char *user, struct buf *out)
{
    buf_init(out, 0);
    assert_int_equal(scram_client_init(s, SCRAM_SHA_256, slice_str("rOprNGfwEbeRWgbNEkqO")), ERR_OK);
    assert_int_equal(scram_client_first(s, slice_str(user), out), ERR_OK);
}

static void test_rfc_7677(void **state)
{
    struct scram_client s;
    struct reason why;
    struct buf out;

    (void)state;
    start(&s, "user", &out);
    assert_string_equal(buf_cstr(&out), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
    buf_clear(&out);
    assert_int_equal(scram_client_final(&s, slice_str("pencil"), slice_str(SERVER_FIRST), &out, &why), ERR_OK);
    assert_string_equal(buf_cstr(&out), "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                                        "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
    assert_int_equal(scram_client_verify(&s, slice_str("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), &why),
                     ERR_OK);
    /* Done is done. */
    assert_int_equal(scram_client_verify(&s, slice_str("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), &why),
                     ERR_AUTH);
    scram_client_free(&s);
    buf_free(&out);
}

static void test_escapes(void **state)
{
    struct scram_client s;
    struct buf out;

    (void)state;
    start(&s, "a,b=c", &out);
    assert_string_equal(buf_cstr(&out), "n,,n=a=2Cb=3Dc,r=rOprNGfwEbeRWgbNEkqO");
    scram_client_free(&s);
    buf_free(&out);
}

static void test_bad_servers(void **state)
{
    static const char *const first[] = {
        "",
        "r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",    /* adds nothing to our nonce */
        "r=XOprNGfwEbeRWgbNEkqOxyz,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", /* not our nonce */
        "r=rOprNGfwEbeRWgbNEkqOxyz,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4095", /* too few */
        "r=rOprNGfwEbeRWgbNEkqOxyz,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1",
        "r=rOprNGfwEbeRWgbNEkqOxyz,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1000001", /* too many */
        "r=rOprNGfwEbeRWgbNEkqOxyz,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=-5",
        "r=rOprNGfwEbeRWgbNEkqOxyz,s=W22ZaJ0SNY7soEsUEjb6gQ==",
        "r=rOprNGfwEbeRWgbNEkqOxyz,s=!!!!,i=4096",
        "r=rOprNGfwEbeRWgbNEkqOxyz,s=W22,i=4096",
        "r=rOprNGfwEbeRWgbNEkqOxyz,s=,i=4096",
        "m=x,r=rOprNGfwEbeRWgbNEkqOxyz,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
    };
    static const char *const final[] = {
        "",
        "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl85G4=",
        "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl9",
        "v=",
        "e=invalid-proof",
        "x=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    };
    struct scram_client s;
    struct reason why;
    struct buf out;

    (void)state;
    for (size_t i = 0; i < sizeof first / sizeof first[0]; i++) {
        start(&s, "user", &out);
        assert_int_equal(scram_client_final(&s, slice_str("pencil"), slice_str(first[i]), &out, &why), ERR_AUTH);
        assert_int_equal(scram_client_final(&s, slice_str("pencil"), slice_str(SERVER_FIRST), &out, &why), ERR_AUTH);
        scram_client_free(&s);
        buf_free(&out);
    }
    for (size_t i = 0; i < sizeof final / sizeof final[0]; i++) {
        start(&s, "user", &out);
        assert_int_equal(scram_client_final(&s, slice_str("pencil"), slice_str(SERVER_FIRST), &out, &why), ERR_OK);
        assert_int_equal(scram_client_verify(&s, slice_str(final[i]), &why), ERR_AUTH);
        scram_client_free(&s);
        buf_free(&out);
    }
    assert_int_not_equal(scram_client_init(&s, SCRAM_SHA_256, slice_str("a,b")), ERR_OK);
    scram_client_free(&s);
}

/* RFC 7914, section 11, has PBKDF2-HMAC-SHA-256 vectors; this one with c=80000. */
static void test_salting(void **state)
{
    static const uint8_t expect[32] = {0x4d, 0xdc, 0xd8, 0xf6, 0x0b, 0x98, 0xbe, 0x21, 0x83, 0x0c, 0xee,
                                       0x5e, 0xf2, 0x27, 0x01, 0xf9, 0x64, 0x1a, 0x44, 0x18, 0xd0, 0x4c,
                                       0x04, 0x14, 0xae, 0xff, 0x08, 0x87, 0x6b, 0x34, 0xab, 0x56};
    uint8_t out[SCRAM_DIGEST_MAX];

    (void)state;
    assert_int_equal(scram_salt_password(SCRAM_SHA_256, slice_str("Password"), slice_str("NaCl"), 80000, out), ERR_OK);
    assert_memory_equal(out, expect, sizeof expect);
    assert_int_equal(scram_digest_size(SCRAM_SHA_512), 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc_7677),
        cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_bad_servers),
        cmocka_unit_test(test_salting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
