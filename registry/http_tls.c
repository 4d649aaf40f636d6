/* SPDX-License-Identifier: Apache-2.0
 * Protocol versions and client certificates. The handshake only asks for a certificate; what it is worth is judged
 * here, so that health checks pass without one and a bad one is refused in the registry's own words. */
#include "registry/http_tls.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <strings.h>

enum err http_client_auth_parse(const char *word, const char *old_word, enum http_client_auth *out, struct reason *why)
{
    *out = CLIENT_AUTH_NONE;
    if (!word && old_word) {
        if (!strcasecmp(old_word, "true"))
            *out = CLIENT_AUTH_REQUIRED;
        return ERR_OK;
    }
    if (!word || !strcasecmp(word, "NONE"))
        return ERR_OK;
    if (!strcasecmp(word, "REQUESTED"))
        *out = CLIENT_AUTH_REQUESTED;
    else if (!strcasecmp(word, "REQUIRED"))
        *out = CLIENT_AUTH_REQUIRED;
    else
        return reason_set(why, ERR_BAD_CONFIG, "ssl.client.authentication: '%s' is not NONE, REQUESTED or REQUIRED",
                          word);
    return ERR_OK;
}

enum err http_tls_priorities(const char *protocols, struct buf *out, struct reason *why)
{
    buf_put_str(out, "NORMAL:-VERS-ALL");
    size_t before = out->n;
    struct slice rest = slice_str(protocols), one;
    while (slice_next_item(&rest, ',', &one)) {
        if (slice_eq_str(one, "TLSv1.2"))
            buf_put_str(out, ":+VERS-TLS1.2");
        else if (slice_eq_str(one, "TLSv1.3"))
            buf_put_str(out, ":+VERS-TLS1.3");
        else if (one.n)
            return reason_set(why, ERR_BAD_CONFIG, "ssl.enabled.protocols: '%.*s' is not TLSv1.2 or TLSv1.3",
                              SLICE_FMT(one));
    }
    if (out->n == before)
        return reason_set(why, ERR_BAD_CONFIG, "ssl.enabled.protocols names no version");
    return buf_error(out);
}

static const char *what_is_wrong(unsigned status)
{
    if (status & GNUTLS_CERT_EXPIRED)
        return "certificate_expired";
    if (status & GNUTLS_CERT_NOT_ACTIVATED)
        return "certificate_not_yet_valid";
    if (status & GNUTLS_CERT_PURPOSE_MISMATCH)
        return "certificate_not_for_clients";
    return "certificate_untrusted";
}

static bool put_subject(const gnutls_datum_t *der, struct buf *subject, int64_t *from_s)
{
    gnutls_x509_crt_t crt;
    gnutls_datum_t dn = {0};
    if (gnutls_x509_crt_init(&crt) < 0)
        return false;
    bool ok = gnutls_x509_crt_import(crt, der, GNUTLS_X509_FMT_DER) >= 0 && gnutls_x509_crt_get_dn3(crt, &dn, 0) >= 0;
    time_t from = ok ? gnutls_x509_crt_get_activation_time(crt) : (time_t)-1;
    ok = ok && from != (time_t)-1;
    if (ok)
        buf_put(subject, dn.data, dn.size);
    *from_s = (int64_t)from;
    gnutls_free(dn.data);
    gnutls_x509_crt_deinit(crt);
    return ok;
}

enum http_certificate http_certificate_of(void *session, struct buf *subject, int64_t *from_s, const char **reason)
{
    gnutls_typed_vdata_st for_clients = {GNUTLS_DT_KEY_PURPOSE_OID, (unsigned char *)GNUTLS_KP_TLS_WWW_CLIENT, 0};
    unsigned n = 0, status = 0;
    const gnutls_datum_t *chain = session ? gnutls_certificate_get_peers(session, &n) : NULL;
    if (!chain || !n)
        return CERTIFICATE_NONE;
    *reason = "certificate_untrusted";
    if (gnutls_certificate_verify_peers(session, &for_clients, 1, &status) < 0)
        return CERTIFICATE_BAD;
    if (status) {
        *reason = what_is_wrong(status);
        return CERTIFICATE_BAD;
    }
    return put_subject(&chain[0], subject, from_s) ? CERTIFICATE_GOOD : CERTIFICATE_BAD;
}
