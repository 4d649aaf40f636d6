/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_ACL_SASL_INTERNAL_H
#define CASTELLAN_ACL_SASL_INTERNAL_H

#include "acl/sasl_server.h"

#include <sasl/sasl.h>

/* A session as its four files see it: sasl_server.c (steps), sasl_token.c (what the tokens say, before cyrus sees
 * them), sasl_cyrus.c (the library's start, plugins and callbacks). */

enum { SASL_SESSION_MAGIC = 0x5a515ec5, SASL_CALLBACKS = 2 };

struct sasl_session {
    uint32_t magic; /* SASL_SESSION_MAGIC: the session comes back to us through cyrus as a void * */
    enum sasl_mechanism mechanism;
    enum sasl_state state;
    enum sasl_reason reason;
    const char *error;
    int steps;
    sasl_conn_t *conn;
    struct users_snapshot *users; /* of the step at hand, or of the last one */
    struct credential used;       /* SCRAM: what the exchange is about, the user's own or a stand-in */
    sasl_callback_t callbacks[SASL_CALLBACKS];
    char claimed[CREDENTIAL_USER_MAX + 1]; /* the user's name out of the first token */
    size_t claimed_n;
    bool has_claimed;
    struct buf client_first_bare, server_first; /* SCRAM: what the proof covers, for sasl_scram_nonce.c */
};

/* Fills claimed; SASL_REASON_NONE when cyrus may have the token. `error` gets Kafka's own text where it has one. */
enum sasl_reason sasl_token_plain(struct sasl_session *s, struct slice token, const char **error);
enum sasl_reason sasl_token_scram_first(struct sasl_session *s, struct slice token, const char **error);
enum sasl_reason sasl_token_scram_final(struct slice token);

/* sasl_scram_nonce.c: clients whose client-final repeats their nonce, as Kafka's server lets them. */
void sasl_scram_keep(struct buf *to, struct slice message);
bool sasl_scram_nonce_is_repeated(const struct sasl_session *s, struct slice final);
bool sasl_scram_final(const struct sasl_session *s, struct slice final, struct buf *out); /* false: wrong proof */

int sasl_cyrus_conn_new(struct sasl_session *s);

#endif
