/* SPDX-License-Identifier: Apache-2.0
 * Both parties of SASL: a client written here from RFC 5802, the server of acl/sasl_server.h (cyrus-sasl inside).
 * Kafka-like exchanges succeed; wrong passwords, unknown users, bent tokens never do; several threads at once. */
#include "acl/acl_base64.h"
#include "acl/sasl_server.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct users_snapshot *users;
static struct users_snapshot *users_at_end; /* what SCRAM's second step is given; NULL: the same */

static void put(struct users *u, const char *name, enum credential_mechanism m, const char *password, uint32_t rounds)
{
    struct credential c;
    if (credential_from_password(&c, m, slice_str(password), slice_str("0123456789abcdefghijklmn"), rounds, NULL) ||
        users_put(u, slice_str(name), &c))
        abort();
}

static int make_users(void **state)
{
    struct users *u = users_new();

    (void)state;
    put(u, "alice", CREDENTIAL_SCRAM_SHA_512, "alice-secret", 4096);
    put(u, "alice", CREDENTIAL_SCRAM_SHA_256, "alice-secret", 8192);
    put(u, "bob", CREDENTIAL_SCRAM_SHA_256, "bob-secret", 4096);
    put(u, "a,b=c", CREDENTIAL_SCRAM_SHA_512, "odd", 4096);
    put(u, " alice", CREDENTIAL_SCRAM_SHA_512, "other", 4096);
    put(u, "j\xc3\xbcrgen@corp", CREDENTIAL_SCRAM_SHA_512, "p\xc3\xa4ss", 4096);
    if (users_snapshot_build(&users, u))
        return 1;
    users_free(u);
    return 0;
}

static int drop_users(void **state)
{
    (void)state;
    users_snapshot_unref(users);
    return 0;
}

struct client {
    enum sasl_mechanism m;
    const char *gs2, *name, *ext, *password; /* name as on the wire */
    bool repeats_nonce;                      /* as librdkafka before 2.7 does in client-final */
};

static void hmac(const EVP_MD *md, const uint8_t *key, size_t n, const char *text, size_t text_n, uint8_t *out)
{
    unsigned got;
    HMAC(md, key, (int)n, (const uint8_t *)text, text_n, out, &got);
}

/* client-final for server-first, by the RFC; `signature` is what the server must show. Not for hostile servers. */
static void make_final(const struct client *c, const char *first_bare, const char *server_first, struct buf *out,
                       uint8_t signature[64])
{
    const EVP_MD *md = c->m == SASL_MECHANISM_SCRAM_SHA_256 ? EVP_sha256() : EVP_sha512();
    size_t size = (size_t)EVP_MD_get_size(md), salt_n = 0;
    uint8_t salt[256], salted[64], key[64], stored[64], proof[64];
    char nonce[256] = "", salt_text[400] = "";
    int iterations = 0;
    struct buf message;

    if (sscanf(server_first, "r=%255[^,],s=%399[^,],i=%d", nonce, salt_text, &iterations) != 3 ||
        !base64_read(slice_str(salt_text), salt, sizeof salt, &salt_n))
        abort();
    PKCS5_PBKDF2_HMAC(c->password, (int)strlen(c->password), salt, (int)salt_n, iterations, md, (int)size, salted);
    hmac(md, salted, size, "Client Key", 10, key);
    EVP_Digest(key, size, stored, NULL, md, NULL);
    buf_init(&message, 0);
    buf_put_str(out, "c=");
    base64_put(out, slice_str(c->gs2));
    buf_printf(out, ",r=%s%s", c->repeats_nonce ? "fyko+d2lbbFgONRv9qkxdawL" : "", nonce);
    buf_printf(&message, "%s,%s,%.*s", first_bare, server_first, SLICE_FMT(buf_slice(out)));
    hmac(md, stored, size, (const char *)message.p, message.n, proof);
    for (size_t i = 0; i < size; i++)
        proof[i] ^= key[i];
    buf_put_str(out, ",p=");
    base64_put(out, slice_of(proof, size));
    hmac(md, salted, size, "Server Key", 10, key);
    hmac(md, key, size, (const char *)message.p, message.n, signature);
    buf_free(&message);
}

static bool server_proved_itself(const struct client *c, struct slice final, const uint8_t *signature)
{
    uint8_t got[64];
    size_t n;
    return slice_starts(final, slice_str("v=")) &&
           base64_read(slice_of(final.p + 2, final.n - 2), got, sizeof got, &n) &&
           n == (c->m == SASL_MECHANISM_SCRAM_SHA_256 ? 32u : 64u) && memcmp(got, signature, n) == 0;
}

/* Plays SCRAM; `bend` may spoil the final token. Thread-safe, so no asserts in here. */
static enum sasl_state play(const struct client *c, void (*bend)(struct buf *token, uint32_t how), uint32_t how,
                            struct sasl_session **session)
{
    struct buf token, answer;
    char bare[600];
    uint8_t signature[64];
    enum sasl_state st;

    if (sasl_session_new(session, c->m, NULL))
        abort();
    buf_init(&token, 0);
    buf_init(&answer, 0);
    snprintf(bare, sizeof bare, "n=%s,r=fyko+d2lbbFgONRv9qkxdawL%s", c->name, c->ext);
    buf_printf(&token, "%s%s", c->gs2, bare);
    st = sasl_session_step(*session, users, buf_slice(&token), &answer);
    if (st == SASL_STATE_MORE) {
        buf_clear(&token);
        make_final(c, bare, buf_cstr(&answer), &token, signature);
        if (bend)
            bend(&token, how);
        buf_clear(&answer);
        st = sasl_session_step(*session, users_at_end ? users_at_end : users, buf_slice(&token), &answer);
        if (st == SASL_STATE_DONE && !server_proved_itself(c, buf_slice(&answer), signature))
            abort();
    }
    buf_free(&token);
    buf_free(&answer);
    return st;
}

static void scram_lets_the_right_ones_in(void **state)
{
    static const struct {
        struct client c;
        const char *user;
    } good[] = {
        {{SASL_MECHANISM_SCRAM_SHA_512, "n,,", "alice", "", "alice-secret", false}, "alice"},
        {{SASL_MECHANISM_SCRAM_SHA_256, "n,,", "alice", "", "alice-secret", false}, "alice"},
        {{SASL_MECHANISM_SCRAM_SHA_256, "n,,", "bob", "", "bob-secret", false}, "bob"},
        {{SASL_MECHANISM_SCRAM_SHA_256, "n,a=bob,", "bob", "", "bob-secret", false}, "bob"},
        {{SASL_MECHANISM_SCRAM_SHA_256, "y,,", "bob", "", "bob-secret", false}, "bob"},
        {{SASL_MECHANISM_SCRAM_SHA_256, "n,,", "bob", ",x=unknown", "bob-secret", false}, "bob"},
        {{SASL_MECHANISM_SCRAM_SHA_512, "n,,", "a=2Cb=3Dc", "", "odd", false}, "a,b=c"},
        {{SASL_MECHANISM_SCRAM_SHA_512, "n,,", " alice", "", "other", false}, " alice"},
        {{SASL_MECHANISM_SCRAM_SHA_512, "n,,", "j\xc3\xbcrgen@corp", "", "p\xc3\xa4ss", false}, "j\xc3\xbcrgen@corp"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct sasl_session *s;
        if (play(&good[i].c, NULL, 0, &s) != SASL_STATE_DONE)
            fail_msg("case %zu: %s", i, sasl_reason_name(sasl_session_reason(s)));
        assert_true(slice_eq_str(sasl_session_user(s), good[i].user));
        sasl_session_free(s);
    }
}

static void scram_keeps_the_others_out(void **state)
{
    static const struct {
        struct client c;
        enum sasl_reason reason;
    } bad[] = {
        {{SASL_MECHANISM_SCRAM_SHA_512, "n,,", "alice", "", "alice-secrex", false}, SASL_REASON_CREDENTIALS},
        {{SASL_MECHANISM_SCRAM_SHA_512, "n,,", "alice", "", "", false}, SASL_REASON_CREDENTIALS},
        {{SASL_MECHANISM_SCRAM_SHA_512, "n,,", "alice ", "", "alice-secret", false}, SASL_REASON_CREDENTIALS},
        {{SASL_MECHANISM_SCRAM_SHA_512, "n,,", "bob", "", "bob-secret", false}, SASL_REASON_CREDENTIALS},
        {{SASL_MECHANISM_SCRAM_SHA_512, "n,,", "nobody", "", "x", false}, SASL_REASON_CREDENTIALS},
        {{SASL_MECHANISM_SCRAM_SHA_256, "n,a=alice,", "bob", "", "bob-secret", false}, SASL_REASON_AUTHORIZATION_ID},
        {{SASL_MECHANISM_SCRAM_SHA_256, "n,,", "bob", ",tokenauth=true", "bob-secret", false}, SASL_REASON_EXTENSION},
        {{SASL_MECHANISM_SCRAM_SHA_256, "n,,m=1,", "bob", "", "bob-secret", false}, SASL_REASON_EXTENSION},
        {{SASL_MECHANISM_SCRAM_SHA_256, "p=tls-unique,,", "bob", "", "bob-secret", false}, SASL_REASON_MALFORMED},
        {{SASL_MECHANISM_SCRAM_SHA_256, "n,,", "b=ob", "", "bob-secret", false}, SASL_REASON_MALFORMED},
        {{SASL_MECHANISM_SCRAM_SHA_256, "n,,", "", "", "bob-secret", false}, SASL_REASON_CREDENTIALS},
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct sasl_session *s;
        struct buf out;
        assert_int_equal(play(&bad[i].c, NULL, 0, &s), SASL_STATE_FAILED);
        if (sasl_session_reason(s) != bad[i].reason)
            fail_msg("case %zu: %s", i, sasl_reason_name(sasl_session_reason(s)));
        assert_true(slice_is_null(sasl_session_user(s)));
        assert_non_null(sasl_session_error(s));
        buf_init(&out, 0);
        assert_int_equal(sasl_session_step(s, users, slice_str("again"), &out), SASL_STATE_FAILED);
        assert_int_equal(out.n, 0);
        buf_free(&out);
        sasl_session_free(s);
    }
}

static void a_repeated_nonce_is_accepted_with_the_right_proof_only(void **state)
{
    static const struct {
        const char *name, *password;
        enum sasl_state state;
    } cases[] = {{"bob", "bob-secret", SASL_STATE_DONE},
                 {"bob", "wrong", SASL_STATE_FAILED},
                 {"nobody", "bob-secret", SASL_STATE_FAILED}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct client c = {SASL_MECHANISM_SCRAM_SHA_256, "n,,", cases[i].name, "", cases[i].password, true};
        struct sasl_session *s;
        assert_int_equal(play(&c, NULL, 0, &s), cases[i].state);
        if (cases[i].state == SASL_STATE_DONE)
            assert_true(slice_eq_str(sasl_session_user(s), cases[i].name));
        sasl_session_free(s);
    }
}

/* The users change between the exchange's first message and its proof. */
static void a_proof_counts_only_while_its_credential_does(void **state)
{
    static const struct {
        const char *password; /* alice's when the proof arrives; NULL: deleted */
        bool repeats_nonce;
        enum sasl_state want;
    } cases[] = {
        {NULL, false, SASL_STATE_FAILED},         {NULL, true, SASL_STATE_FAILED},
        {"new-secret", false, SASL_STATE_FAILED}, {"new-secret", true, SASL_STATE_FAILED},
        {"alice-secret", false, SASL_STATE_DONE}, {"alice-secret", true, SASL_STATE_DONE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct client c = {SASL_MECHANISM_SCRAM_SHA_512, "n,,", "alice", "", "alice-secret", cases[i].repeats_nonce};
        struct users *later = users_new();
        struct sasl_session *s;

        put(later, "bob", CREDENTIAL_SCRAM_SHA_512, "bob-secret", 4096);
        if (cases[i].password)
            put(later, "alice", CREDENTIAL_SCRAM_SHA_512, cases[i].password, 4096);
        assert_int_equal(users_snapshot_build(&users_at_end, later), ERR_OK);
        if (play(&c, NULL, 0, &s) != cases[i].want)
            fail_msg("case %zu: %s", i, sasl_reason_name(sasl_session_reason(s)));
        if (cases[i].want == SASL_STATE_FAILED)
            assert_int_equal(sasl_session_reason(s), SASL_REASON_CREDENTIALS);
        sasl_session_free(s);
        users_snapshot_unref(users_at_end);
        users_at_end = NULL;
        users_free(later);
    }
}

static void texts_are_kafkas(void **state)
{
    struct client c = {SASL_MECHANISM_SCRAM_SHA_512, "n,,", "alice", "", "wrong", false};
    struct sasl_session *s;

    (void)state;
    assert_int_equal(play(&c, NULL, 0, &s), SASL_STATE_FAILED);
    assert_string_equal(sasl_session_error(s), "Authentication failed during authentication due to invalid credentials "
                                               "with SASL mechanism SCRAM-SHA-512");
    assert_true(slice_eq_str(sasl_session_claimed(s), "alice"));
    sasl_session_free(s);
}

static enum sasl_state plain(const char *token, size_t n, struct sasl_session **s)
{
    struct buf out;
    enum sasl_state st;

    assert_int_equal(sasl_session_new(s, SASL_MECHANISM_PLAIN, NULL), ERR_OK);
    buf_init(&out, 0);
    st = sasl_session_step(*s, users, slice_of(token, n), &out);
    assert_int_equal(out.n, 0);
    buf_free(&out);
    return st;
}

static void plain_knows_right_from_wrong(void **state)
{
#define TOKEN(text) (text), sizeof(text) - 1
    static const struct {
        const char *token;
        size_t n;
        enum sasl_reason reason; /* NONE: lets in */
        const char *user, *error;
    } cases[] = {
        {TOKEN("\0alice\0alice-secret"), SASL_REASON_NONE, "alice", NULL},
        {TOKEN("alice\0alice\0alice-secret"), SASL_REASON_NONE, "alice", NULL},
        {TOKEN("\0bob\0bob-secret"), SASL_REASON_NONE, "bob", NULL},
        {TOKEN("\0 alice\0other"), SASL_REASON_NONE, " alice", NULL},
        {TOKEN("\0j\xc3\xbcrgen@corp\0p\xc3\xa4ss"), SASL_REASON_NONE, "j\xc3\xbcrgen@corp", NULL},
        {TOKEN("\0alice\0wrong"), SASL_REASON_CREDENTIALS, NULL, "Authentication failed: Invalid username or password"},
        {TOKEN("\0nobody\0x"), SASL_REASON_CREDENTIALS, NULL, "Authentication failed: Invalid username or password"},
        {TOKEN("\0alice\0alice-secret\0"), SASL_REASON_MALFORMED, NULL,
         "Invalid SASL/PLAIN response: expected 3 tokens"},
        {TOKEN("\0\0x"), SASL_REASON_MALFORMED, NULL, "Authentication failed: username not specified"},
        {TOKEN("\0alice\0"), SASL_REASON_MALFORMED, NULL, "Authentication failed: password not specified"},
        {TOKEN("alice"), SASL_REASON_MALFORMED, NULL, "Invalid SASL/PLAIN response: expected 3 tokens"},
        {TOKEN(""), SASL_REASON_MALFORMED, NULL, NULL},
        {TOKEN("bob\0alice\0alice-secret"), SASL_REASON_AUTHORIZATION_ID, NULL,
         "Authentication failed: Client requested an authorization id that is different from username"},
        {TOKEN("\0ali\nce\0x"), SASL_REASON_CREDENTIALS, NULL, NULL},
    };
#undef TOKEN

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sasl_session *s;
        enum sasl_state want = cases[i].reason == SASL_REASON_NONE ? SASL_STATE_DONE : SASL_STATE_FAILED;
        if (plain(cases[i].token, cases[i].n, &s) != want || sasl_session_reason(s) != cases[i].reason)
            fail_msg("case %zu: %s", i, sasl_reason_name(sasl_session_reason(s)));
        if (cases[i].user)
            assert_true(slice_eq_str(sasl_session_user(s), cases[i].user));
        if (cases[i].error)
            assert_string_equal(sasl_session_error(s), cases[i].error);
        sasl_session_free(s);
    }
}

static void over_long_tokens_are_refused(void **state)
{
    static char big[SASL_TOKEN_MAX + 1];
    struct sasl_session *s;

    (void)state;
    memset(big, 'a', sizeof big);
    assert_int_equal(plain(big, sizeof big, &s), SASL_STATE_FAILED);
    assert_int_equal(sasl_session_reason(s), SASL_REASON_TOO_LONG);
    sasl_session_free(s);
}

/* Change, drop or double one byte of the client's final token; not the proof's last digit, whose low bits mean nothing.
 */
static void bend_token(struct buf *token, uint32_t how)
{
    size_t at = how / 3 % (token->n - 2);
    if (how % 3 == 0) {
        token->p[at] ^= (uint8_t)(1 + how % 127);
    } else if (how % 3 == 1) {
        memmove(token->p + at, token->p + at + 1, token->n - at - 1);
        token->n--;
    } else {
        uint8_t again = token->p[at];
        buf_u8(token, 0);
        memmove(token->p + at + 1, token->p + at, token->n - at - 1);
        token->p[at] = again;
    }
}

static void bent_proofs_never_pass(void **state)
{
    struct client c = {SASL_MECHANISM_SCRAM_SHA_256, "n,,", "bob", "", "bob-secret", false};

    (void)state;
    for (uint32_t how = 0; how < 600; how++) {
        struct sasl_session *s;
        if (play(&c, bend_token, how, &s) != SASL_STATE_FAILED)
            fail_msg("bend %u got in", how);
        sasl_session_free(s);
    }
}

static void random_tokens_never_pass(void **state)
{
    static const char alphabet[] = "n,,a=bob=2C\0r=mpcy\xff\xc3,";
    uint64_t seed = 7;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        struct sasl_session *s;
        struct buf out;
        char token[64];
        size_t n;
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        n = (seed >> 58) + 1;
        for (size_t k = 0; k < n && k < sizeof token; k++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            token[k] = alphabet[(seed >> 33) % (sizeof alphabet - 1)];
        }
        assert_int_equal(sasl_session_new(&s, (enum sasl_mechanism)(1 + i % 2), NULL), ERR_OK);
        buf_init(&out, 0);
        assert_int_not_equal(sasl_session_step(s, users, slice_of(token, n > sizeof token ? sizeof token : n), &out),
                             SASL_STATE_DONE);
        buf_free(&out);
        sasl_session_free(s);
    }
}

static void *play_many(void *arg)
{
    struct client right = {SASL_MECHANISM_SCRAM_SHA_256, "n,,", "bob", "", "bob-secret", false};
    struct client wrong = {SASL_MECHANISM_SCRAM_SHA_512, "n,,", "alice", "", "bob-secret", false};
    long bad = 0;

    (void)arg;
    for (int i = 0; i < 40; i++) {
        struct sasl_session *s, *t;
        bad += play(&right, NULL, 0, &s) != SASL_STATE_DONE;
        bad += play(&wrong, NULL, 0, &t) != SASL_STATE_FAILED;
        sasl_session_free(s);
        sasl_session_free(t);
    }
    return (void *)bad;
}

static void workers_do_not_disturb_each_other(void **state)
{
    pthread_t threads[4];

    (void)state;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, play_many, NULL), 0);
    for (int i = 0; i < 4; i++) {
        void *bad;
        pthread_join(threads[i], &bad);
        assert_null(bad);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scram_lets_the_right_ones_in),
        cmocka_unit_test(scram_keeps_the_others_out),
        cmocka_unit_test(a_repeated_nonce_is_accepted_with_the_right_proof_only),
        cmocka_unit_test(a_proof_counts_only_while_its_credential_does),
        cmocka_unit_test(texts_are_kafkas),
        cmocka_unit_test(plain_knows_right_from_wrong),
        cmocka_unit_test(over_long_tokens_are_refused),
        cmocka_unit_test(bent_proofs_never_pass),
        cmocka_unit_test(random_tokens_never_pass),
        cmocka_unit_test(workers_do_not_disturb_each_other),
    };
    return cmocka_run_group_tests(tests, make_users, drop_users);
}
