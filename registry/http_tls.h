/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_HTTP_TLS_H
#define CASTELLAN_REGISTRY_HTTP_TLS_H

#include "core/base/buf.h"

/* The TLS side of the HTTPS listeners, over GnuTLS as libmicrohttpd has it. */
enum http_client_auth { CLIENT_AUTH_NONE, CLIENT_AUTH_REQUESTED, CLIENT_AUTH_REQUIRED };

/* ssl.client.authentication; or, when that is not set, Confluent's older ssl.client.auth (true: REQUIRED). Either may
 * be NULL. */
enum err http_client_auth_parse(const char *word, const char *old_word, enum http_client_auth *out,
                                struct reason *why) MUST_CHECK;
/* ssl.enabled.protocols ("TLSv1.2,TLSv1.3") as a GnuTLS priority string. */
enum err http_tls_priorities(const char *protocols, struct buf *out, struct reason *why) MUST_CHECK;

enum http_certificate { CERTIFICATE_NONE, CERTIFICATE_GOOD, CERTIFICATE_BAD };
/* The client's certificate of a GnuTLS session (gnutls_session_t; NULL: not TLS). GOOD: its chain is trusted, it is in
 * its time and for TLS clients; its subject (RFC 2253 text, as the gateway has it) is appended, and its time begins at
 * *from_s (Unix seconds). BAD: *reason (static) says what is wrong. */
enum http_certificate http_certificate_of(void *session, struct buf *subject, int64_t *from_s, const char **reason);

#endif
