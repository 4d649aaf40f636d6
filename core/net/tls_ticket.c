/* SPDX-License-Identifier: Apache-2.0
 * Session tickets and client certificates. OpenSSL judges a client's certificate in a full handshake only; a resumed
 * session takes the verdict of the first one over, and with TLS 1.3 gets a new ticket each time, so a client would be
 * let in for as long as it likes after its certificate has expired.
 *
 * Each ticket therefore carries the time at which the first certificate of the verified chain ends (the client's own,
 * or an authority's): its lifetime is cut to that, and after it the ticket does not count. Whoever shows such a ticket
 * is not refused but asked for the certificate in a full handshake, which then says what is wrong with it. */
#include "core/net/tls_internal.h"

#include <time.h>

/* The ticket's part of ours: big-endian Unix seconds. */
enum { ENDS_SIZE = 8 };

static void put_ends(uint8_t out[ENDS_SIZE], int64_t ends_s)
{
    for (int i = 0; i < ENDS_SIZE; i++)
        out[i] = (uint8_t)((uint64_t)ends_s >> (8 * (ENDS_SIZE - 1 - i)));
}

/* False when the session has none. */
static bool get_ends(SSL_SESSION *session, int64_t *ends_s)
{
    void *data = NULL;
    size_t n = 0;
    uint64_t v = 0;

    if (SSL_SESSION_get0_ticket_appdata(session, &data, &n) != 1 || n != ENDS_SIZE)
        return false;
    for (int i = 0; i < ENDS_SIZE; i++)
        v = v << 8 | ((const uint8_t *)data)[i];
    *ends_s = (int64_t)v;
    return true;
}

/* When the first of the certificates that let the client in ends. */
static int64_t chain_ends(const SSL *ssl, X509 *own)
{
    STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
    int64_t ends_s = tls_cert_not_after(own);

    for (int i = 0; chain && i < sk_X509_num(chain); i++) {
        int64_t one = tls_cert_not_after(sk_X509_value(chain, i));
        if (one < ends_s)
            ends_s = one;
    }
    return ends_s;
}

/* Before a ticket is made; 0: the handshake fails. */
static int on_new_ticket(SSL *ssl, void *arg)
{
    SSL_SESSION *session = SSL_get_session(ssl);
    X509 *own = session ? SSL_SESSION_get0_peer(session) : NULL;
    int64_t ends_s, left_s;
    uint8_t data[ENDS_SIZE];

    (void)arg;
    if (!own)
        return 1;
    if (!SSL_session_reused(ssl) || !get_ends(session, &ends_s))
        ends_s = chain_ends(ssl, own);
    put_ends(data, ends_s);
    left_s = ends_s - (int64_t)time(NULL);
    if (left_s < SSL_SESSION_get_timeout(session))
        SSL_SESSION_set_timeout(session, left_s > 1 ? (long)left_s : 1);
    return SSL_SESSION_set1_ticket_appdata(session, data, sizeof data) == 1;
}

static SSL_TICKET_RETURN on_ticket(SSL *ssl, SSL_SESSION *session, const unsigned char *name, size_t name_n,
                                   SSL_TICKET_STATUS status, void *arg)
{
    X509 *own = session ? SSL_SESSION_get0_peer(session) : NULL;
    int64_t ends_s;

    (void)ssl;
    (void)name;
    (void)name_n;
    (void)arg;
    if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    if (own && (!get_ends(session, &ends_s) || ends_s <= (int64_t)time(NULL) ||
                tls_cert_not_after(own) <= (int64_t)time(NULL)))
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    return status == SSL_TICKET_SUCCESS_RENEW ? SSL_TICKET_RETURN_USE_RENEW : SSL_TICKET_RETURN_USE;
}

bool tls_tickets_follow_certificates(SSL_CTX *ctx)
{
    return SSL_CTX_set_session_ticket_cb(ctx, on_new_ticket, on_ticket, NULL) == 1;
}
