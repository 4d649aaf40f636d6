/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_NET_TLS_INTERNAL_H
#define CASTELLAN_NET_TLS_INTERNAL_H

#include "core/net/conn.h"
#include "core/net/tls.h"
#include <openssl/ssl.h>

/* A fresh session of the context as it is now. `name`: client side, SNI and the name to verify. */
enum err tls_session_new(struct tls *t, bool server, const char *name, SSL **out) MUST_CHECK;
/* After a failed OpenSSL call: which close reason it is, and one clear line. Empties OpenSSL's error queue. */
enum conn_close tls_explain(SSL *ssl, bool handshake_done, char *text, size_t cap);
/* After a failed handshake, before tls_explain(): it failed for the peer's certificate, or for the want of one. */
bool tls_peer_is_refused(const SSL *ssl);
/* Server: tickets that end with the client's certificate. */
bool tls_tickets_follow_certificates(SSL_CTX *ctx);
/* For SSL_CTX_set_verify(): changes no verdict, remembers the refused certificate for tls_explain(). */
int tls_on_verify(int ok, X509_STORE_CTX *ctx);
/* The newest OpenSSL error as text, queue emptied; `fallback` when there is none. */
const char *tls_error_text(char *text, size_t cap, const char *fallback);

#endif
