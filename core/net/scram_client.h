/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_NET_SCRAM_CLIENT_H
#define CASTELLAN_NET_SCRAM_CLIENT_H

#include "core/base/buf.h"
#include "core/base/secret.h"

/* The client side of SCRAM-SHA-256 and SCRAM-SHA-512 (RFC 5802, RFC 7677), no channel binding, as pure steps: no I/O,
 * the nonce is passed in. Order: scram_client_first -> server-first -> scram_client_final -> server-final ->
 * scram_client_verify. Any failure is final. */
enum scram_hash { SCRAM_SHA_256, SCRAM_SHA_512 };

enum {
    SCRAM_ITERATIONS_MIN = 4096,    /* a server that asks for fewer is refused */
    SCRAM_ITERATIONS_MAX = 1000000, /* a server that asks for more would burn our time */
    SCRAM_MESSAGE_MAX = 8192,
    SCRAM_DIGEST_MAX = 64,
};

struct scram_client {
    enum scram_hash hash;
    int state;
    struct buf auth_message; /* grows: client-first-bare,server-first,client-final-without-proof */
    struct buf nonce;        /* ours */
    uint8_t server_signature[SCRAM_DIGEST_MAX];
};

/* `nonce`: printable ASCII without comma, chosen at random by the caller. */
enum err scram_client_init(struct scram_client *s, enum scram_hash hash, struct slice nonce) MUST_CHECK;
void scram_client_free(struct scram_client *s);
enum err scram_client_first(struct scram_client *s, struct slice user, struct buf *out) MUST_CHECK;
enum err scram_client_final(struct scram_client *s, struct slice password, struct slice server_first, struct buf *out,
                            struct reason *why) MUST_CHECK;
enum err scram_client_verify(struct scram_client *s, struct slice server_final, struct reason *why) MUST_CHECK;

/* SaltedPassword = Hi(password, salt, iterations); out has scram_digest_size() bytes. For whoever stores credentials.
 */
size_t scram_digest_size(enum scram_hash hash);
enum err scram_salt_password(enum scram_hash hash, struct slice password, struct slice salt, uint32_t iterations,
                             uint8_t *out) MUST_CHECK;

#endif
