/* SPDX-License-Identifier: Apache-2.0
 * Tokens: the examples of RFC 7515 and RFC 8037, every algorithm, and everything that must be refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/acl_jwt_util.h"

#define NOW_MS 1800000000000

static EVP_PKEY *rsa, *other_rsa, *small_rsa, *p256, *p384, *p521, *ed25519;
static struct jwt_keys *keys; /* all but other_rsa and small_rsa, each named by its kid */
static char *jwks_text;

static const struct jwt_policy policy = {.issuer = "https://issuer.example",
                                         .audience = "registry, other",
                                         .sub_claim = "sub",
                                         .scope_claim = "scope",
                                         .clock_skew_s = 30};

#define GOOD_CLAIMS                                                                                                    \
    "{\"iss\":\"https://"                                                                                              \
    "issuer.example\",\"aud\":\"registry\",\"sub\":\"alice\",\"exp\":1800000600,\"iat\":1799999999}"

static int set_up(void **state)
{
    struct buf b;
    struct reason why;
    size_t left_out;
    (void)state;
    rsa = EVP_RSA_gen(2048);
    other_rsa = EVP_RSA_gen(2048);
    small_rsa = EVP_RSA_gen(1024);
    p256 = EVP_EC_gen("P-256");
    p384 = EVP_EC_gen("P-384");
    p521 = EVP_EC_gen("P-521");
    ed25519 = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    buf_init(&b, 0);
    buf_put_str(&b, "{\"keys\":[");
    jwt_put_jwk(&b, rsa, "r", ",\"use\":\"sig\"");
    buf_put_str(&b, ",");
    jwt_put_jwk(&b, rsa, "r256", ",\"alg\":\"RS256\",\"key_ops\":[\"verify\"]");
    buf_put_str(&b, ",");
    jwt_put_jwk(&b, p256, "p256", NULL);
    buf_put_str(&b, ",");
    jwt_put_jwk(&b, p384, "p384", NULL);
    buf_put_str(&b, ",");
    jwt_put_jwk(&b, p521, "p521", NULL);
    buf_put_str(&b, ",");
    jwt_put_jwk(&b, ed25519, "ed", NULL);
    buf_put_str(&b, "]}");
    jwks_text = strdup(buf_cstr(&b));
    buf_free(&b);
    if (jwt_keys_parse(&keys, slice_str(jwks_text), &left_out, &why) || left_out) {
        print_error("%s\n", why.text);
        return 1;
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(other_rsa);
    EVP_PKEY_free(small_rsa);
    EVP_PKEY_free(p256);
    EVP_PKEY_free(p384);
    EVP_PKEY_free(p521);
    EVP_PKEY_free(ed25519);
    jwt_keys_unref(keys);
    free(jwks_text);
    return 0;
}

static enum jwt_verdict ask(struct slice token, struct jwt_identity *who)
{
    return jwt_verify(keys, &policy, token, NOW_MS, who);
}

static enum jwt_verdict ask_made(const char *header, const char *claims, const char *alg, EVP_PKEY *pkey)
{
    struct buf b;
    struct jwt_identity who;
    buf_init(&b, 0);
    jwt_put_token(&b, header, claims, alg, pkey);
    enum jwt_verdict v = ask(buf_slice(&b), &who);
    buf_free(&b);
    return v;
}

#define assert_verdict(want, got) assert_string_equal(jwt_verdict_label(want), jwt_verdict_label(got))

/* --- the RFCs' own examples --- */

#define RFC_PAYLOAD "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
#define RFC_RSA_KEY                                                                                                    \
    "{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-"    \
    "4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSH"        \
    "SXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-"      \
    "DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\"}"
#define RFC_P256_KEY                                                                                                   \
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","                         \
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}"
#define RFC_P521_KEY                                                                                                   \
    "{\"kty\":\"EC\",\"crv\":\"P-521\","                                                                               \
    "\"x\":\"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk\","              \
    "\"y\":\"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2\"}"
#define RFC_ED_KEY "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}"

static void published_examples(void **state)
{
    /* the last two sign no JSON: a good signature is what brings them as far as MALFORMED */
    static const struct {
        const char *what, *key, *token;
        enum jwt_verdict verdict;
    } cases[] = {
        {"RFC 7515 A.2 (RS256)", RFC_RSA_KEY,
         "eyJhbGciOiJSUzI1NiJ9." RFC_PAYLOAD
         ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-"
         "0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHl"
         "b1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6Lbg"
         "GY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
         JWT_OK},
        {"RFC 7515 A.3 (ES256)", RFC_P256_KEY,
         "eyJhbGciOiJFUzI1NiJ9." RFC_PAYLOAD
         ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
         JWT_OK},
        {"RFC 7515 A.3 under A.2's key", RFC_RSA_KEY,
         "eyJhbGciOiJFUzI1NiJ9." RFC_PAYLOAD
         ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
         JWT_UNKNOWN_KEY},
        {"RFC 7515 A.4 (ES512)", RFC_P521_KEY,
         "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-"
         "KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn",
         JWT_MALFORMED},
        {"RFC 8037 A.4 (EdDSA)", RFC_ED_KEY,
         "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR"
         "4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
         JWT_MALFORMED},
        {"RFC 8037 A.4, one bit of it changed", RFC_ED_KEY,
         "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR"
         "4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAw",
         JWT_SIGNATURE},
    };
    const struct jwt_policy joe = {.sub_claim = "iss", .scope_claim = "scope"};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct jwt_keys *k = NULL;
        struct jwt_identity who;
        char set[1024];
        snprintf(set, sizeof set, "{\"keys\":[%s]}", cases[i].key);
        assert_int_equal(jwt_keys_parse(&k, slice_str(set), NULL, NULL), ERR_OK);
        enum jwt_verdict v = jwt_verify(k, &joe, slice_str(cases[i].token), 1300819379000, &who);
        if (v != cases[i].verdict)
            fail_msg("%s: %s", cases[i].what, jwt_verdict_label(v));
        if (!v) {
            assert_string_equal(who.subject, "joe");
            assert_verdict(JWT_EXPIRED, jwt_verify(k, &joe, slice_str(cases[i].token), 1300819380000, &who));
        }
        jwt_keys_unref(k);
    }
}

static void every_algorithm(void **state)
{
    struct {
        const char *alg, *kid;
        EVP_PKEY *pkey;
    } cases[] = {{"RS256", "r", rsa},     {"RS384", "r", rsa},     {"RS512", "r", rsa},     {"PS256", "r", rsa},
                 {"PS384", "r", rsa},     {"PS512", "r", rsa},     {"RS256", "r256", rsa},  {"ES256", "p256", p256},
                 {"ES384", "p384", p384}, {"ES512", "p521", p521}, {"EdDSA", "ed", ed25519}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char header[128];
        struct buf b;
        struct jwt_identity who;
        buf_init(&b, 0);
        snprintf(header, sizeof header, "{\"alg\":\"%s\",\"kid\":\"%s\",\"typ\":\"at+jwt\"}", cases[i].alg,
                 cases[i].kid);
        jwt_put_token(&b, header, GOOD_CLAIMS, cases[i].alg, cases[i].pkey);
        enum jwt_verdict v = ask(buf_slice(&b), &who);
        if (v)
            fail_msg("%s: %s", cases[i].alg, jwt_verdict_label(v));
        assert_string_equal(who.subject, "alice");
        assert_int_equal(who.valid_until_ms, 1800000630000);
        /* every other key and every other algorithm of the same family refuses it */
        for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
            struct buf w;
            if (!strcmp(cases[k].alg, cases[i].alg) && cases[k].pkey == cases[i].pkey)
                continue;
            buf_init(&w, 0);
            snprintf(header, sizeof header, "{\"alg\":\"%s\",\"kid\":\"%s\"}", cases[k].alg, cases[k].kid);
            jwt_put_unsigned(&w, header, GOOD_CLAIMS);
            buf_put_slice(&w,
                          slice_of(memrchr(b.p, '.', b.n), b.n - (size_t)((uint8_t *)memrchr(b.p, '.', b.n) - b.p)));
            assert_int_not_equal(ask(buf_slice(&w), &who), JWT_OK);
            buf_free(&w);
        }
        buf_free(&b);
    }
}

/* --- what is refused --- */

static void headers_refused(void **state)
{
    static const struct {
        const char *header;
        enum jwt_verdict verdict;
    } cases[] = {
        {"{\"alg\":\"RS256\",\"kid\":\"r\"}", JWT_OK},
        {"{\"alg\":\"none\",\"kid\":\"r\"}", JWT_ALGORITHM},
        {"{\"alg\":\"None\",\"kid\":\"r\"}", JWT_ALGORITHM},
        {"{\"alg\":\"HS256\",\"kid\":\"r\"}", JWT_ALGORITHM},
        {"{\"alg\":\"rs256\",\"kid\":\"r\"}", JWT_ALGORITHM},
        {"{\"alg\":\"RS256\\u0000\",\"kid\":\"r\"}", JWT_MALFORMED},
        {"{\"alg\":[\"RS256\"],\"kid\":\"r\"}", JWT_ALGORITHM},
        {"{\"kid\":\"r\"}", JWT_ALGORITHM},
        {"{\"alg\":\"RS512\",\"kid\":\"r256\"}", JWT_UNKNOWN_KEY}, /* the key says RS256 */
        {"{\"alg\":\"RS256\",\"kid\":\"nobody\"}", JWT_UNKNOWN_KEY},
        {"{\"alg\":\"RS256\",\"kid\":\"\"}", JWT_UNKNOWN_KEY},
        {"{\"alg\":\"RS256\",\"kid\":7}", JWT_MALFORMED},
        {"{\"alg\":\"RS256\"}", JWT_UNKNOWN_KEY}, /* two RSA keys, no kid */
        {"{\"alg\":\"RS256\",\"kid\":\"r\",\"crit\":[\"exp\"]}", JWT_CRITICAL},
        {"{\"alg\":\"RS256\",\"kid\":\"r\",\"crit\":[\"b64\"],\"b64\":false}", JWT_CRITICAL},
        {"{\"alg\":\"RS256\",\"kid\":\"r\",\"b64\":false}", JWT_CRITICAL},
        {"{\"alg\":\"RS256\",\"kid\":\"r\",\"typ\":\"JWT\"}", JWT_OK},
        {"{\"alg\":\"RS256\",\"kid\":\"r\",\"typ\":\"application/at+jwt\"}", JWT_OK},
        {"{\"alg\":\"RS256\",\"kid\":\"r\",\"typ\":\"logout+jwt\"}", JWT_TYPE},
        {"{\"alg\":\"RS256\",\"kid\":\"r\",\"typ\":1}", JWT_TYPE},
        {"{\"alg\":\"RS256\",\"alg\":\"RS256\",\"kid\":\"r\"}", JWT_MALFORMED}, /* twice */
        {"[\"alg\",\"RS256\"]", JWT_MALFORMED},
        {"{\"alg\":\"RS256\",\"kid\":\"r\"} x", JWT_MALFORMED},
        {"{\"alg\":\"RS256\",\"kid\":\"\xff\"}", JWT_MALFORMED}, /* not UTF-8 */
        {"", JWT_MALFORMED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum jwt_verdict v = ask_made(cases[i].header, GOOD_CLAIMS, "RS256", rsa);
        if (v != cases[i].verdict)
            fail_msg("%s: %s, not %s", cases[i].header, jwt_verdict_label(v), jwt_verdict_label(cases[i].verdict));
    }
}

static void claims_refused(void **state)
{
#define ISS "\"iss\":\"https://issuer.example\""
#define AUD "\"aud\":\"registry\""
#define SUB "\"sub\":\"alice\""
#define EXP "\"exp\":1800000600"
    static const struct {
        const char *claims;
        enum jwt_verdict verdict;
    } cases[] = {
        {"{" ISS "," AUD "," SUB "," EXP "}", JWT_OK},
        {"{" ISS "," AUD "," SUB "}", JWT_NO_EXPIRY},
        {"{" ISS "," AUD "," SUB ",\"exp\":1800000000}", JWT_OK}, /* within the skew of 30 s */
        {"{" ISS "," AUD "," SUB ",\"exp\":1799999971}", JWT_OK},
        {"{" ISS "," AUD "," SUB ",\"exp\":1799999970}", JWT_EXPIRED},
        {"{" ISS "," AUD "," SUB ",\"exp\":1799999970.5}", JWT_OK},
        {"{" ISS "," AUD "," SUB ",\"exp\":0}", JWT_EXPIRED},
        {"{" ISS "," AUD "," SUB ",\"exp\":-1}", JWT_CLAIM},
        {"{" ISS "," AUD "," SUB ",\"exp\":1e300}", JWT_CLAIM},
        {"{" ISS "," AUD "," SUB ",\"exp\":\"1800000600\"}", JWT_CLAIM},
        {"{" ISS "," AUD "," SUB ",\"exp\":null}", JWT_CLAIM},
        {"{" ISS "," AUD "," SUB ",\"exp\":1,\"exp\":1800000600}", JWT_MALFORMED},
        {"{" ISS "," AUD "," SUB "," EXP ",\"nbf\":1800000030}", JWT_OK},
        {"{" ISS "," AUD "," SUB "," EXP ",\"nbf\":1800000031}", JWT_NOT_YET_VALID},
        {"{" ISS "," AUD "," SUB "," EXP ",\"nbf\":true}", JWT_CLAIM},
        {"{" ISS "," AUD "," SUB "," EXP ",\"iat\":1800000031}", JWT_ISSUED_LATER},
        {"{" AUD "," SUB "," EXP "}", JWT_ISSUER},
        {"{\"iss\":\"https://issuer.example/\"," AUD "," SUB "," EXP "}", JWT_ISSUER},
        {"{\"iss\":[\"https://issuer.example\"]," AUD "," SUB "," EXP "}", JWT_ISSUER},
        {"{" ISS "," SUB "," EXP "}", JWT_AUDIENCE},
        {"{" ISS ",\"aud\":\"gateway\"," SUB "," EXP "}", JWT_AUDIENCE},
        {"{" ISS ",\"aud\":\"registry, other\"," SUB "," EXP "}", JWT_AUDIENCE},
        {"{" ISS ",\"aud\":[]," SUB "," EXP "}", JWT_AUDIENCE},
        {"{" ISS ",\"aud\":[\"gateway\",\"other\"]," SUB "," EXP "}", JWT_OK},
        {"{" ISS ",\"aud\":{\"registry\":1}," SUB "," EXP "}", JWT_AUDIENCE},
        {"{" ISS "," AUD "," EXP "}", JWT_SUBJECT},
        {"{" ISS "," AUD ",\"sub\":\"\"," EXP "}", JWT_SUBJECT},
        {"{" ISS "," AUD ",\"sub\":\"*\"," EXP "}", JWT_SUBJECT}, /* User:* is everyone */
        {"{" ISS "," AUD ",\"sub\":7," EXP "}", JWT_SUBJECT},
        {"{" ISS "," AUD ",\"sub\":\"a\\nb\"," EXP "}", JWT_CLAIM},
        {"{" ISS "," AUD ",\"sub\":\"a\\u0000b\"," EXP "}", JWT_MALFORMED},
        {"{" ISS "," AUD "," SUB "," EXP ",\"scope\":7}", JWT_CLAIM},
        {"{" ISS "," AUD "," SUB "," EXP ",\"scope\":\"a b\"}", JWT_OK},
        {"{" ISS "," AUD "," SUB "," EXP ",\"x\":\"\xc0\x80\"}", JWT_MALFORMED},
        {"\"text\"", JWT_MALFORMED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum jwt_verdict v = ask_made("{\"alg\":\"ES256\",\"kid\":\"p256\"}", cases[i].claims, "ES256", p256);
        if (v != cases[i].verdict)
            fail_msg("%s: %s, not %s", cases[i].claims, jwt_verdict_label(v), jwt_verdict_label(cases[i].verdict));
    }
}

static void scope_asked(void **state)
{
    static const struct {
        const char *scope;
        enum jwt_verdict verdict;
    } cases[] = {{"", JWT_SCOPE},
                 {",\"scp\":\"schemas\"", JWT_OK},
                 {",\"scp\":\"a schemas b\"", JWT_OK},
                 {",\"scp\":\"schemasx a\"", JWT_SCOPE},
                 {",\"scp\":[\"a\",\"schemas\"]", JWT_OK},
                 {",\"scp\":[\"a schemas\"]", JWT_SCOPE},
                 {",\"scope\":\"schemas\"", JWT_SCOPE}};
    const struct jwt_policy p = {.sub_claim = "client_id", .scope_claim = "scp", .scope = "schemas"};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char claims[128];
        struct buf b;
        struct jwt_identity who;
        snprintf(claims, sizeof claims, "{\"client_id\":\"svc\",\"exp\":1800000600%s}", cases[i].scope);
        buf_init(&b, 0);
        jwt_put_token(&b, "{\"alg\":\"EdDSA\",\"kid\":\"ed\"}", claims, "EdDSA", ed25519);
        assert_verdict(cases[i].verdict, jwt_verify(keys, &p, buf_slice(&b), NOW_MS, &who));
        assert_string_equal(who.subject, "svc");
        buf_free(&b);
    }
}

/* HMAC with the public key as the secret, in the forms it is at hand: the oldest trick of all. */
static void public_key_is_no_secret(void **state)
{
    static const char header[] = "{\"alg\":\"HS256\",\"kid\":\"r\"}";
    uint8_t mac[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    struct buf b;
    struct jwt_identity who;
    (void)state;
    buf_init(&b, 0);
    jwt_put_unsigned(&b, header, GOOD_CLAIMS);
    HMAC(EVP_sha256(), jwks_text, (int)strlen(jwks_text), b.p, b.n, mac, &n);
    buf_put_str(&b, ".");
    base64url_put(&b, slice_of(mac, n));
    assert_verdict(JWT_ALGORITHM, ask(buf_slice(&b), &who));
    buf_free(&b);
}

static enum jwt_verdict ask_with_signature(const char *header, struct slice signature)
{
    struct buf b;
    struct jwt_identity who;
    buf_init(&b, 0);
    jwt_put_unsigned(&b, header, GOOD_CLAIMS);
    buf_put_str(&b, ".");
    base64url_put(&b, signature);
    enum jwt_verdict v = ask(buf_slice(&b), &who);
    buf_free(&b);
    return v;
}

static void signatures_refused(void **state)
{
    static const char header[] = "{\"alg\":\"ES256\",\"kid\":\"p256\"}", rs[] = "{\"alg\":\"RS256\",\"kid\":\"r\"}";
    uint8_t s[512], edge[64];
    struct buf b;
    size_t n;
    (void)state;
    buf_init(&b, 0);
    jwt_put_unsigned(&b, header, GOOD_CLAIMS);
    n = jwt_sign_raw(s, sizeof s, "ES256", p256, buf_slice(&b), true);
    assert_verdict(JWT_SIGNATURE, ask_with_signature(header, slice_of(s, n))); /* DER */
    n = jwt_sign_raw(s, sizeof s, "ES256", p256, buf_slice(&b), false);
    assert_verdict(JWT_OK, ask_with_signature(header, slice_of(s, n)));
    assert_verdict(JWT_SIGNATURE, ask_with_signature(header, slice_of(s, n - 1)));
    assert_verdict(JWT_SIGNATURE, ask_with_signature(header, slice_of(s, 0)));
    s[n] = 0;
    assert_verdict(JWT_SIGNATURE, ask_with_signature(header, slice_of(s, n + 1)));
    /* r or s zero, or not below the order (CVE-2022-21449) */
    memset(edge, 0, sizeof edge);
    assert_verdict(JWT_SIGNATURE, ask_with_signature(header, slice_of(edge, 64)));
    memcpy(edge, s, 32);
    assert_verdict(JWT_SIGNATURE, ask_with_signature(header, slice_of(edge, 64)));
    memset(edge, 0xff, sizeof edge);
    assert_verdict(JWT_SIGNATURE, ask_with_signature(header, slice_of(edge, 64)));
    memcpy(edge, s, 64);
    memset(edge + 32, 0xff, 32);
    assert_verdict(JWT_SIGNATURE, ask_with_signature(header, slice_of(edge, 64)));
    buf_clear(&b);
    jwt_put_unsigned(&b, rs, GOOD_CLAIMS);
    n = jwt_sign_raw(s, sizeof s, "RS256", rsa, buf_slice(&b), false);
    assert_verdict(JWT_OK, ask_with_signature(rs, slice_of(s, n)));
    assert_verdict(JWT_SIGNATURE, ask_with_signature(rs, slice_of(s, n - 1)));
    n = jwt_sign_raw(s, sizeof s, "RS256", other_rsa, buf_slice(&b), false);
    assert_verdict(JWT_SIGNATURE, ask_with_signature(rs, slice_of(s, n)));
    buf_free(&b);
}

static void forms_refused(void **state)
{
    static const char *const forms[] = {"",        ".",        "..",       "...",      "a.b",         "a.b.c",
                                        "a.b.c.d", "e30.e30.", "e30..e30", ".e30.e30", "e30=.e30.e30"};
    struct buf b;
    struct jwt_identity who;
    (void)state;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        assert_int_not_equal(ask(slice_str(forms[i]), &who), JWT_OK);
    buf_init(&b, 0);
    jwt_put_token(&b, "{\"alg\":\"RS256\",\"kid\":\"r\"}", GOOD_CLAIMS, "RS256", rsa);
    assert_verdict(JWT_OK, ask(buf_slice(&b), &who));
    /* the last character of a 256-byte signature has four spare bits: only one writing is the token's */
    for (int c = 33; c < 127; c++) {
        uint8_t was = b.p[b.n - 1];
        b.p[b.n - 1] = (uint8_t)c;
        assert_true((c == was) == (ask(buf_slice(&b), &who) == JWT_OK));
        b.p[b.n - 1] = was;
    }
    buf_put_str(&b, "=");
    assert_verdict(JWT_MALFORMED, ask(buf_slice(&b), &who));
    while (b.n <= JWT_TOKEN_MAX)
        buf_put_str(&b, "A");
    assert_verdict(JWT_TOO_LARGE, ask(buf_slice(&b), &who));
    buf_free(&b);
}

/* --- key sets --- */

static void key_sets(void **state)
{
    struct jwt_keys *k = NULL;
    struct reason why;
    struct buf b;
    size_t left_out = 0;
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"keys\":{}}",
        "{\"keys\":[]}",
        "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"}]}",
        "{\"keys\":[],\"keys\":[]}",
        ("{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
         "AAAAAAAAAAAAA\",\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}]}")};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_not_equal(jwt_keys_parse(&k, slice_str(bad[i]), NULL, &why), ERR_OK);
    /* odd keys are left out, the others serve */
    buf_init(&b, 0);
    buf_put_str(&b, "{\"keys\":[{\"kty\":\"RSA\"},7,");
    jwt_put_jwk(&b, small_rsa, "small", NULL);
    buf_put_str(&b, ",");
    jwt_put_jwk(&b, rsa, "enc", ",\"use\":\"enc\"");
    buf_put_str(&b, ",");
    jwt_put_jwk(&b, rsa, "ops", ",\"key_ops\":[\"encrypt\"]");
    buf_put_str(&b, ",");
    jwt_put_jwk(&b, rsa, NULL, NULL);
    buf_put_str(&b, "]}");
    assert_int_equal(jwt_keys_parse(&k, buf_slice(&b), &left_out, &why), ERR_OK);
    assert_int_equal(jwt_keys_count(k), 1);
    assert_int_equal(left_out, 5);
    /* one key and no kid on either side: there is nothing to choose; a kid nobody has chooses nothing */
    struct jwt_identity who;
    buf_clear(&b);
    jwt_put_token(&b, "{\"alg\":\"RS256\"}", GOOD_CLAIMS, "RS256", rsa);
    assert_verdict(JWT_OK, jwt_verify(k, &policy, buf_slice(&b), NOW_MS, &who));
    buf_clear(&b);
    jwt_put_token(&b, "{\"alg\":\"RS256\",\"kid\":\"x\"}", GOOD_CLAIMS, "RS256", rsa);
    assert_verdict(JWT_UNKNOWN_KEY, jwt_verify(k, &policy, buf_slice(&b), NOW_MS, &who));
    buf_free(&b);
    jwt_keys_unref(k);
}

static void base64url_is_strict(void **state)
{
    static const struct {
        const char *text;
        int n; /* -1: refused */
    } cases[] = {{"", 0},       {"Zg", 1},  {"Zm8", 2},  {"Zm9v", 3},  {"Zm9vYg", 4}, {"-_-_", 3}, {"Z", -1},
                 {"Zm9vY", -1}, {"Zh", -1}, {"Zm9", -1}, {"Zg==", -1}, {"+/+/", -1},  {"Zm 9", -1}};
    uint8_t out[8];
    size_t n;
    struct buf b;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool ok = base64url_read(slice_str(cases[i].text), out, sizeof out, &n);
        assert_int_equal(ok ? (int)n : -1, cases[i].n);
        if (!ok)
            continue;
        buf_init(&b, 0);
        base64url_put(&b, slice_of(out, n));
        assert_string_equal(buf_cstr(&b), cases[i].text);
        buf_free(&b);
    }
    assert_false(base64url_read(slice_str("Zm9vYmFyZm9v"), out, sizeof out, &n)); /* more than there is room for */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_examples), cmocka_unit_test(every_algorithm),
        cmocka_unit_test(headers_refused),    cmocka_unit_test(claims_refused),
        cmocka_unit_test(scope_asked),        cmocka_unit_test(public_key_is_no_secret),
        cmocka_unit_test(signatures_refused), cmocka_unit_test(forms_refused),
        cmocka_unit_test(key_sets),           cmocka_unit_test(base64url_is_strict),
    };
    return cmocka_run_group_tests_name("jwt", tests, set_up, tear_down);
}
