/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_NET_TLS_H
#define CASTELLAN_NET_TLS_H

#include "core/base/buf.h"
#include "core/base/settings.h"

/* TLS contexts from PEM files, TLS 1.2 and 1.3 only. A `struct tls` is shared by any number of threads and counts its
 * holders; tls_reload() swaps what it holds, so that connections made later use the new files and running ones keep
 * theirs. */
struct tls;
struct x509_st;

enum tls_client_auth { TLS_CLIENT_AUTH_NONE, TLS_CLIENT_AUTH_REQUESTED, TLS_CLIENT_AUTH_REQUIRED };

struct tls_opts {
    const char *keystore;     /* PEM with private key and certificate chain; NULL: no certificate (client only) */
    const char *key_password; /* for an encrypted private key; NULL: none */
    const char *truststore;   /* PEM with CA certificates; NULL: client trusts the system's, server trusts nobody */
    const char *protocols;    /* ssl.enabled.protocols; NULL: "TLSv1.2,TLSv1.3" */
    const char *ciphers;      /* ssl.cipher.suites, IANA names, comma-separated; NULL: OpenSSL's default list */
    enum tls_client_auth client_auth; /* server */
    bool skip_hostname;               /* client: ssl.endpoint.identification.algorithm is empty */
};

enum err tls_server_new(struct tls **out, const struct tls_opts *opts, struct reason *why) MUST_CHECK;
enum err tls_client_new(struct tls **out, const struct tls_opts *opts, struct reason *why) MUST_CHECK;
struct tls *tls_hold(struct tls *t);
void tls_free(struct tls *t); /* drops one hold; NULL is fine */

/* Read the files again if they changed on disk. On failure the old state stays in use and `why` says what is wrong. */
enum err tls_reload(struct tls *t, bool *changed, struct reason *why) MUST_CHECK;
/* When the own certificate ends, Unix seconds; INT64_MAX without one. */
int64_t tls_not_after(const struct tls *t);

/* The rows of Kafka's ssl.* settings, for a settings table: { TLS_SETTING_ROWS("") , ... {0} } or with a prefix such as
 * "castellan.upstream." or "kafkastore.". tls_opts_from_settings() reads them back (strings live as long as `s`) and
 * refuses store types other than PEM. */
#define TLS_SETTING_ROWS(prefix)                                                                                        \
    {prefix "ssl.keystore.location", SETTING_STRING, NULL, 0, 0, "PEM file with private key and certificate chain"},    \
        {prefix "ssl.keystore.type", SETTING_STRING, "PEM", 0, 0, "PEM"},                                               \
        {prefix "ssl.keystore.password", SETTING_PASSWORD, NULL, 0, 0, "accepted and unused: PEM stores have none"},    \
        {prefix "ssl.key.password", SETTING_PASSWORD, NULL, 0, 0, "password of the private key"},                       \
        {prefix "ssl.truststore.location", SETTING_STRING, NULL, 0, 0, "PEM file with CA certificates"},                \
        {prefix "ssl.truststore.type", SETTING_STRING, "PEM", 0, 0, "PEM"},                                             \
        {prefix "ssl.truststore.password", SETTING_PASSWORD, NULL, 0, 0, "accepted and unused: PEM stores have none"},  \
        {prefix "ssl.enabled.protocols", SETTING_STRING, "TLSv1.2,TLSv1.3", 0, 0, "TLS versions"},                      \
        {prefix "ssl.protocol", SETTING_STRING, "TLSv1.3", 0, 0, "accepted; ssl.enabled.protocols decides"},            \
        {prefix "ssl.cipher.suites", SETTING_STRING, NULL, 0, 0, "cipher suites, IANA names; default: OpenSSL's list"}, \
        {prefix "ssl.client.auth", SETTING_STRING, "none", 0, 0, "none, requested or required"},                        \
    {                                                                                                                   \
        prefix "ssl.endpoint.identification.algorithm", SETTING_STRING, "https", 0, 0, "https, or empty for no check"   \
    }
enum err tls_opts_from_settings(struct tls_opts *out, const struct settings *s, const char *prefix,
                                struct reason *why) MUST_CHECK;

/* What a certificate says. */
/* The subject as Java's X500Principal.getName() prints it (RFC 2253): "CN=alice,OU=data,O=Example". */
enum err tls_cert_subject(struct x509_st *cert, struct buf *out) MUST_CHECK;
int64_t tls_cert_not_before(struct x509_st *cert); /* Unix seconds */
int64_t tls_cert_not_after(struct x509_st *cert);  /* Unix seconds */

#endif
