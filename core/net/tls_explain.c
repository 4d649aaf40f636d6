/* SPDX-License-Identifier: Apache-2.0
 * OpenSSL's errors in one line each that says what to do about it: whose certificate is wrong and why, which side
 * refused. Three sources, in this order: our own verdict on the peer's certificate, an alert the peer sent, OpenSSL's
 * reason. */
#include "core/net/tls_internal.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>

/* A refused certificate never becomes the session's peer certificate, so the verification callback keeps it aside. */
static int refused_index = -1; /* allow: OpenSSL gives it out once for a process */
static pthread_once_t refused_once = PTHREAD_ONCE_INIT;

static void free_refused(void *parent, void *cert, CRYPTO_EX_DATA *data, int index, long argl, void *argp)
{
    (void)parent;
    (void)data;
    (void)index;
    (void)argl;
    (void)argp;
    X509_free(cert);
}

static void make_refused_index(void)
{
    refused_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, free_refused);
}

int tls_on_verify(int ok, X509_STORE_CTX *ctx)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
    X509 *cert = X509_STORE_CTX_get0_cert(ctx); /* the peer's own, whichever of its chain is wrong */

    pthread_once(&refused_once, make_refused_index);
    if (ok || !ssl || !cert || refused_index < 0 || SSL_get_ex_data(ssl, refused_index))
        return ok;
    if (SSL_set_ex_data(ssl, refused_index, cert) == 1)
        X509_up_ref(cert);
    return ok;
}

static void subject_text(X509 *cert, char *text, size_t cap)
{
    struct buf b;

    buf_init(&b, 4096);
    text[0] = 0;
    if (cert && !tls_cert_subject(cert, &b))
        snprintf(text, cap, "%s", buf_cstr(&b));
    buf_free(&b);
}

static void explain_verdict(SSL *ssl, long verdict, char *text, size_t cap)
{
    X509 *cert = refused_index >= 0 ? SSL_get_ex_data(ssl, refused_index) : NULL;
    char who[160];

    subject_text(cert, who, sizeof who);
    switch (verdict) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        snprintf(text, cap, "the peer's certificate has expired (%s)", who);
        return;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        snprintf(text, cap, "the peer's certificate is not valid yet (%s)", who);
        return;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
        snprintf(text, cap, "the peer's certificate is signed by an unknown CA (%s)", who);
        return;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        snprintf(text, cap, "the peer's certificate is for another host (%s)", who);
        return;
    case X509_V_ERR_INVALID_PURPOSE:
        snprintf(text, cap, "the peer's certificate is not meant for this use (%s)", who);
        return;
    }
    snprintf(text, cap, "the peer's certificate is refused: %s (%s)", X509_verify_cert_error_string(verdict), who);
}

/* What an OpenSSL reason code means here; NULL: no better words than OpenSSL's. */
static const char *reason_words(int reason)
{
    switch (reason) {
    case SSL_R_NO_SHARED_CIPHER:
        return "no shared cipher suite";
    case SSL_R_NO_SUITABLE_KEY_SHARE:
    case SSL_R_NO_SHARED_GROUPS:
        return "no shared key exchange group";
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
        return "no shared signature algorithm";
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_NO_PROTOCOLS_AVAILABLE:
        return "no shared TLS version";
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
        return "the client showed no certificate";
    case SSL_R_WRONG_VERSION_NUMBER:
        return "what the peer sent is not TLS";
    case SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC:
        return "a record does not open: bytes were changed on the way";
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
        return "the peer does not trust the CA of our certificate";
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
        return "the peer says our certificate has expired";
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
        return "the peer does not accept our certificate";
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
        return "the peer says our certificate is bad or for another host";
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
        return "the peer says our certificate is not meant for this use";
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
        return "the peer requires a client certificate";
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
        return "the peer found no shared cipher suite, or requires a client certificate";
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
        return "the peer does not speak our TLS versions";
    case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
        return "the peer denies access";
    case SSL_R_TLSV1_ALERT_DECRYPT_ERROR:
        return "the peer says a signature of ours is wrong";
    case SSL_R_TLSV1_ALERT_INTERNAL_ERROR:
        return "the peer had an internal error";
    case SSL_R_TLSV1_UNRECOGNIZED_NAME:
        return "the peer does not know the host name asked for";
    }
    return NULL;
}

bool tls_peer_is_refused(const SSL *ssl)
{
    int reason = ERR_GET_REASON(ERR_peek_error());

    return SSL_get_verify_result(ssl) != X509_V_OK || reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE ||
           reason == SSL_R_CERTIFICATE_VERIFY_FAILED;
}

static bool is_handshake_alert(int reason)
{
    return reason == SSL_R_TLSV1_ALERT_UNKNOWN_CA || reason == SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED ||
           reason == SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN || reason == SSL_R_SSLV3_ALERT_BAD_CERTIFICATE ||
           reason == SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE || reason == SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED ||
           reason == SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE || reason == SSL_R_TLSV1_ALERT_ACCESS_DENIED ||
           reason == SSL_R_TLSV1_ALERT_DECRYPT_ERROR || reason == SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED;
}

enum conn_close tls_explain(SSL *ssl, bool handshake_done, char *text, size_t cap)
{
    unsigned long e = ERR_peek_error();
    int reason = ERR_GET_REASON(e);
    long verdict = SSL_get_verify_result(ssl);
    const char *words = e ? reason_words(reason) : NULL;
    /* With TLS 1.3 a client is done before the server has judged its certificate: the verdict comes as an alert later.
     */
    enum conn_close why =
        !handshake_done || (e && is_handshake_alert(reason)) ? CONN_CLOSE_TLS_HANDSHAKE : CONN_CLOSE_TLS_RECORD;

    if (!handshake_done && reason == SSL_R_CERTIFICATE_VERIFY_FAILED && verdict != X509_V_OK)
        explain_verdict(ssl, verdict, text, cap);
    else if (words)
        snprintf(text, cap, "%s", words);
    else
        snprintf(text, cap, "%s", e && ERR_reason_error_string(e) ? ERR_reason_error_string(e) : "broken off");
    ERR_clear_error();
    return why;
}
