/* SPDX-License-Identifier: Apache-2.0
 * A SASL session: our reading of the token first (sasl_token.c), then cyrus's step, then, before DONE, the check that
 * the name cyrus authenticated is the name that was claimed, and that the credential the exchange began with is still
 * the user's. Any failure is final. */
#include "acl/sasl_internal.h"

#include <stdlib.h>

struct mechanism_row {
    const char *name;
    const char *bad_credentials; /* what Kafka tells the peer */
    const char *failed;
};

static const struct mechanism_row mechanisms[SASL_MECHANISMS] = {
    [SASL_MECHANISM_PLAIN] = {"PLAIN", "Authentication failed: Invalid username or password",
                              "Authentication failed during authentication due to invalid credentials with SASL "
                              "mechanism PLAIN"},
    [SASL_MECHANISM_SCRAM_SHA_256] = {"SCRAM-SHA-256",
                                      "Authentication failed during authentication due to invalid credentials with "
                                      "SASL mechanism SCRAM-SHA-256",
                                      "Authentication failed during authentication due to invalid credentials with "
                                      "SASL mechanism SCRAM-SHA-256"},
    [SASL_MECHANISM_SCRAM_SHA_512] = {"SCRAM-SHA-512",
                                      "Authentication failed during authentication due to invalid credentials with "
                                      "SASL mechanism SCRAM-SHA-512",
                                      "Authentication failed during authentication due to invalid credentials with "
                                      "SASL mechanism SCRAM-SHA-512"},
};

const char *sasl_mechanism_name(enum sasl_mechanism m)
{
    return mechanisms[m].name;
}

bool sasl_mechanism_parse(struct slice name, enum sasl_mechanism *out)
{
    for (int m = 0; m < SASL_MECHANISMS; m++) {
        if (slice_eq_str(name, mechanisms[m].name)) {
            *out = (enum sasl_mechanism)m;
            return true;
        }
    }
    return false;
}

const char *sasl_reason_name(enum sasl_reason r)
{
    switch (r) {
    case SASL_REASON_NONE:
        return "none";
    case SASL_REASON_MALFORMED:
        return "malformed_token";
    case SASL_REASON_TOO_LONG:
        return "token_too_long";
    case SASL_REASON_CREDENTIALS:
        return "wrong_credentials";
    case SASL_REASON_AUTHORIZATION_ID:
        return "other_authorization_id";
    case SASL_REASON_EXTENSION:
        return "refused_extension";
    case SASL_REASON_INTERNAL:
        return "internal";
    }
    return "internal";
}

enum err sasl_session_new(struct sasl_session **out, enum sasl_mechanism m, struct reason *why)
{
    enum err e = sasl_server_setup(why);
    struct sasl_session *s;

    *out = NULL;
    if (e)
        return e;
    s = calloc(1, sizeof *s);
    if (!s)
        return ERR_NO_MEMORY;
    *s = (struct sasl_session){.magic = SASL_SESSION_MAGIC, .mechanism = m, .state = SASL_STATE_MORE};
    buf_init(&s->client_first_bare, SASL_TOKEN_MAX);
    buf_init(&s->server_first, SASL_TOKEN_MAX);
    if (sasl_cyrus_conn_new(s) != SASL_OK) {
        sasl_session_free(s);
        return reason_set(why, ERR_NO_MEMORY, "cyrus-sasl makes no session");
    }
    *out = s;
    return ERR_OK;
}

void sasl_session_free(struct sasl_session *s)
{
    if (!s)
        return;
    if (s->conn)
        sasl_dispose(&s->conn);
    buf_wipe_free(&s->client_first_bare);
    buf_wipe_free(&s->server_first);
    users_snapshot_unref(s->users);
    credential_wipe(&s->used);
    s->magic = 0;
    free(s);
}

static enum sasl_state fail(struct sasl_session *s, enum sasl_reason reason, const char *error)
{
    const struct mechanism_row *m = &mechanisms[s->mechanism];

    s->state = SASL_STATE_FAILED;
    s->reason = reason;
    s->error = error ? error : reason == SASL_REASON_CREDENTIALS ? m->bad_credentials : m->failed;
    return s->state;
}

static enum sasl_reason read_token(struct sasl_session *s, struct slice token, const char **error)
{
    if (token.n > SASL_TOKEN_MAX)
        return SASL_REASON_TOO_LONG;
    if (token.n == 0)
        return SASL_REASON_MALFORMED;
    switch (s->mechanism) {
    case SASL_MECHANISM_PLAIN:
        return s->steps == 0 ? sasl_token_plain(s, token, error) : SASL_REASON_MALFORMED;
    case SASL_MECHANISM_SCRAM_SHA_256:
    case SASL_MECHANISM_SCRAM_SHA_512:
        if (s->steps == 0)
            return sasl_token_scram_first(s, token, error);
        return s->steps == 1 ? sasl_token_scram_final(token) : SASL_REASON_MALFORMED;
    }
    return SASL_REASON_INTERNAL;
}

static bool property_is_claimed(struct sasl_session *s, int property)
{
    const void *value = NULL;

    return sasl_getprop(s->conn, property, &value) == SASL_OK && value &&
           slice_eq(slice_str(value), sasl_session_claimed(s));
}

/* "n,a=x,n=user,r=nonce" -> "n=user,r=nonce" */
static struct slice without_gs2_header(struct slice token)
{
    for (int commas = 0; commas < 2 && token.n;) {
        commas += token.p[0] == ',';
        token = slice_of(token.p + 1, token.n - 1);
    }
    return token;
}

static void look_at(struct sasl_session *s, struct users_snapshot *users)
{
    users_snapshot_ref(users);
    users_snapshot_unref(s->users);
    s->users = users;
}

/* The user as the users are now has the very credential the proof was made with. */
static bool still_counts(const struct sasl_session *s)
{
    const struct credential *now;

    if (s->mechanism == SASL_MECHANISM_PLAIN) /* checked within this step */
        return users_snapshot_any(s->users, sasl_session_claimed(s)) != NULL;
    now = users_snapshot_find(s->users, sasl_session_claimed(s), s->used.mechanism);
    return now && credential_equal(now, &s->used);
}

bool sasl_session_decides_next(const struct sasl_session *s)
{
    return s->state == SASL_STATE_MORE && (s->mechanism == SASL_MECHANISM_PLAIN || s->steps == 1);
}

enum sasl_state sasl_session_step(struct sasl_session *s, struct users_snapshot *users, struct slice token,
                                  struct buf *out)
{
    const char *error = NULL, *answer = NULL;
    unsigned answer_n = 0;
    enum sasl_reason reason;
    int r;

    if (s->state != SASL_STATE_MORE)
        return fail(s, SASL_REASON_INTERNAL, NULL);
    look_at(s, users);
    reason = read_token(s, token, &error);
    if (reason == SASL_REASON_CREDENTIALS && s->mechanism == SASL_MECHANISM_PLAIN) /* costs what an unknown name does */
        (void)users_snapshot_check_password(s->users, SLICE_NULL, slice_str("x"));
    if (reason != SASL_REASON_NONE)
        return fail(s, reason, error);
    if (s->mechanism != SASL_MECHANISM_PLAIN && s->steps == 1 && sasl_scram_nonce_is_repeated(s, token)) {
        s->steps++;
        if (!sasl_scram_final(s, token, out) || !still_counts(s))
            return fail(s, SASL_REASON_CREDENTIALS, NULL);
        s->state = SASL_STATE_DONE;
        return s->state;
    }
    if (s->mechanism != SASL_MECHANISM_PLAIN && s->steps == 0)
        sasl_scram_keep(&s->client_first_bare, without_gs2_header(token));
    if (s->steps++ == 0)
        r = sasl_server_start(s->conn, mechanisms[s->mechanism].name, (const char *)token.p, (unsigned)token.n, &answer,
                              &answer_n);
    else
        r = sasl_server_step(s->conn, (const char *)token.p, (unsigned)token.n, &answer, &answer_n);
    if (r != SASL_OK && r != SASL_CONTINUE)
        return fail(s, r == SASL_NOMEM ? SASL_REASON_INTERNAL : SASL_REASON_CREDENTIALS, NULL);
    if (r == SASL_OK && !(property_is_claimed(s, SASL_AUTHUSER) && property_is_claimed(s, SASL_USERNAME)))
        return fail(s, SASL_REASON_INTERNAL, NULL);
    if (r == SASL_OK && !still_counts(s))
        return fail(s, SASL_REASON_CREDENTIALS, NULL);
    buf_put(out, answer, answer_n);
    if (r == SASL_CONTINUE && s->mechanism != SASL_MECHANISM_PLAIN)
        sasl_scram_keep(&s->server_first, slice_of(answer, answer_n));
    if (buf_error(out))
        return fail(s, SASL_REASON_INTERNAL, NULL);
    if (r == SASL_OK)
        s->state = SASL_STATE_DONE;
    return s->state;
}

struct slice sasl_session_user(const struct sasl_session *s)
{
    return s->state == SASL_STATE_DONE ? sasl_session_claimed(s) : SLICE_NULL;
}

struct slice sasl_session_claimed(const struct sasl_session *s)
{
    return s->has_claimed ? slice_of(s->claimed, s->claimed_n) : SLICE_NULL;
}

enum sasl_reason sasl_session_reason(const struct sasl_session *s)
{
    return s->reason;
}

const char *sasl_session_error(const struct sasl_session *s)
{
    return s->error;
}
