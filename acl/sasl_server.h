/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_ACL_SASL_SERVER_H
#define CASTELLAN_ACL_SASL_SERVER_H

#include "acl/users.h"

/* The server's side of SASL PLAIN (RFC 4616), SCRAM-SHA-256 and SCRAM-SHA-512 (RFC 5802, RFC 7677; KIP-43, KIP-84,
 * KIP-152) as a step function over bytes: what arrived in a SaslAuthenticate goes in, what goes back comes out. The
 * mechanisms are cyrus-sasl's; credentials come from a users snapshot, never from files.
 *
 * Each step is given the users as they are then: a user who was deleted, or whose password was changed, after the
 * exchange began does not get through its end. A session belongs to one thread at a time; sessions on different threads
 * are independent. */

enum sasl_mechanism { SASL_MECHANISM_PLAIN, SASL_MECHANISM_SCRAM_SHA_256, SASL_MECHANISM_SCRAM_SHA_512 };
enum { SASL_MECHANISMS = 3, SASL_TOKEN_MAX = 8192 };

const char *sasl_mechanism_name(enum sasl_mechanism m); /* "SCRAM-SHA-512" */
bool sasl_mechanism_parse(struct slice name, enum sasl_mechanism *out);

enum sasl_state {
    SASL_STATE_MORE,   /* send `out`, wait for the next token */
    SASL_STATE_DONE,   /* send `out`; sasl_session_user() is who it is */
    SASL_STATE_FAILED, /* answer ERR_SASL_AUTHENTICATION_FAILED with sasl_session_error(), then close */
};

/* Why it failed: for the log and the counter. The peer is told only what Kafka would tell it. */
enum sasl_reason {
    SASL_REASON_NONE,
    SASL_REASON_MALFORMED,        /* the token does not follow the mechanism's format */
    SASL_REASON_TOO_LONG,         /* over SASL_TOKEN_MAX */
    SASL_REASON_CREDENTIALS,      /* unknown user or wrong password */
    SASL_REASON_AUTHORIZATION_ID, /* authorization id differs from the user */
    SASL_REASON_EXTENSION,        /* tokenauth=true (delegation tokens are not served), or a mandatory extension */
    SASL_REASON_INTERNAL,
};
enum { SASL_REASONS = SASL_REASON_INTERNAL + 1 };
const char *sasl_reason_name(enum sasl_reason r); /* "wrong_credentials": a metric's label */

struct sasl_session;

/* Once per process, before the first session, from any thread; later calls give the first call's result. Fails when a
 * mechanism of cyrus-sasl is not installed. */
enum err sasl_server_setup(struct reason *why) MUST_CHECK;
enum err sasl_session_new(struct sasl_session **out, enum sasl_mechanism m, struct reason *why) MUST_CHECK;
void sasl_session_free(struct sasl_session *s); /* NULL is fine */
/* One token of the client; the answer is appended to `out`, which means nothing when FAILED. PLAIN costs one PBKDF2 (a
 * few ms of this thread). `users`: the newest there are; the session takes a reference until its next step. */
enum sasl_state sasl_session_step(struct sasl_session *s, struct users_snapshot *users, struct slice token,
                                  struct buf *out);
/* Will the next token prove the password (or not)? True for PLAIN's only one and SCRAM's second. */
bool sasl_session_decides_next(const struct sasl_session *s);
struct slice sasl_session_user(const struct sasl_session *s); /* without "User:"; null unless DONE */
/* The name the client claimed, for the log line of a failure; null if none was read. Not trustworthy. */
struct slice sasl_session_claimed(const struct sasl_session *s);
enum sasl_reason sasl_session_reason(const struct sasl_session *s);
/* Kafka's text for the peer, e.g. "Authentication failed during authentication due to invalid credentials with SASL
 * mechanism SCRAM-SHA-512"; NULL unless FAILED. Static. */
const char *sasl_session_error(const struct sasl_session *s);

#endif
