/* SPDX-License-Identifier: Apache-2.0
 * What a certificate says, in the words Java uses: Kafka's principals and mapping rules are written against
 * X500Principal.getName(), so the printed subject must agree byte for byte. RFC 2253: RDNs from last to first, joined
 * by commas; CN, C, L, ST, O, OU, STREET, DC and UID by keyword, every other attribute as OID=#hex of its DER. */
#include "core/net/tls.h"

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <time.h>

static const struct {
    int nid;
    const char *keyword;
} keywords[] = {
    {NID_commonName, "CN"},          {NID_countryName, "C"},      {NID_localityName, "L"},
    {NID_stateOrProvinceName, "ST"}, {NID_organizationName, "O"}, {NID_organizationalUnitName, "OU"},
    {NID_streetAddress, "STREET"},   {NID_domainComponent, "DC"}, {NID_userId, "UID"},
};

static const char *keyword_of(const ASN1_OBJECT *type)
{
    int nid = OBJ_obj2nid(type);

    for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++)
        if (keywords[i].nid == nid)
            return keywords[i].keyword;
    return NULL;
}

static void put_hex_der(struct buf *out, const ASN1_STRING *value)
{
    unsigned char *der = NULL;
    ASN1_TYPE t = {.type = ASN1_STRING_type(value)};
    int n;

    t.value.asn1_string = (ASN1_STRING *)value;
    n = i2d_ASN1_TYPE(&t, &der);
    buf_put_str(out, "#");
    for (int i = 0; i < n; i++)
        buf_printf(out, "%02x", der[i]);
    OPENSSL_free(der);
}

/* Characters Java escapes; of blanks only leading and trailing ones. */
static void put_escaped(struct buf *out, const unsigned char *s, size_t n)
{
    size_t lead = 0, end = n;

    while (lead < n && (s[lead] == ' ' || s[lead] == '\r'))
        lead++;
    while (end > lead && (s[end - 1] == ' ' || s[end - 1] == '\r'))
        end--;
    for (size_t i = 0; i < n; i++) {
        if (s[i] == 0) {
            buf_put_str(out, "\\00");
            continue;
        }
        if (i < lead || i >= end || strchr(",=+<>#;\"\\", s[i]))
            buf_u8(out, '\\');
        buf_u8(out, s[i]);
    }
}

static enum err put_attribute(struct buf *out, X509_NAME_ENTRY *entry)
{
    const ASN1_OBJECT *type = X509_NAME_ENTRY_get_object(entry);
    const ASN1_STRING *value = X509_NAME_ENTRY_get_data(entry);
    const char *keyword = keyword_of(type);
    unsigned char *utf8 = NULL;
    char oid[128];
    int n;

    if (!keyword) {
        OBJ_obj2txt(oid, sizeof oid, type, 1);
        buf_printf(out, "%s=", oid);
        put_hex_der(out, value);
        return ERR_OK;
    }
    buf_printf(out, "%s=", keyword);
    n = ASN1_STRING_to_UTF8(&utf8, value);
    if (n < 0) {
        put_hex_der(out, value);
        return ERR_OK;
    }
    put_escaped(out, utf8, (size_t)n);
    OPENSSL_free(utf8);
    return ERR_OK;
}

enum err tls_cert_subject(struct x509_st *cert, struct buf *out)
{
    X509_NAME *name = X509_get_subject_name(cert);
    int n = X509_NAME_entry_count(name);

    /* From the last RDN to the first; inside a multi-valued RDN in order. */
    for (int last = n - 1; last >= 0;) {
        int set = X509_NAME_ENTRY_set(X509_NAME_get_entry(name, last)), first = last;
        while (first > 0 && X509_NAME_ENTRY_set(X509_NAME_get_entry(name, first - 1)) == set)
            first--;
        if (last != n - 1)
            buf_put_str(out, ",");
        for (int i = first; i <= last; i++) {
            enum err err;
            if (i > first)
                buf_put_str(out, "+");
            err = put_attribute(out, X509_NAME_get_entry(name, i));
            if (err)
                return err;
        }
        last = first - 1;
    }
    return buf_error(out);
}

static bool put_general_name(struct buf *out, const GENERAL_NAME *name)
{
    int type;
    const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);
    char text[INET6_ADDRSTRLEN];
    int n;

    switch (type) {
    case GEN_DNS:
        buf_put_str(out, "DNS:");
        break;
    case GEN_URI:
        buf_put_str(out, "URI:");
        break;
    case GEN_EMAIL:
        buf_put_str(out, "email:");
        break;
    case GEN_IPADD:
        n = ASN1_STRING_length(value);
        if ((n != 4 && n != 16) ||
            !inet_ntop(n == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(value), text, sizeof text))
            return false;
        buf_printf(out, "IP:%s", text);
        return true;
    default: /* a number of OpenSSL's, not an enum of ours: names nobody maps to a principal */
        return false;
    }
    buf_put(out, ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value));
    return true;
}

enum err tls_cert_san(struct x509_st *cert, size_t i, struct buf *out)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    size_t seen = 0;
    bool found = false;

    for (int k = 0; !found && names && k < sk_GENERAL_NAME_num(names); k++) {
        size_t before = out->n;
        if (!put_general_name(out, sk_GENERAL_NAME_value(names, k)))
            continue;
        found = seen++ == i;
        if (!found)
            out->n = before;
    }
    GENERAL_NAMES_free(names);
    return found ? buf_error(out) : ERR_NOT_FOUND;
}

enum err tls_cert_fingerprint(struct x509_st *cert, uint8_t sha256[32])
{
    unsigned n = 0;
    return X509_digest(cert, EVP_sha256(), sha256, &n) == 1 && n == 32 ? ERR_OK : ERR_TLS;
}

static int64_t seconds_of(const ASN1_TIME *t)
{
    struct tm tm = {0};

    return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

int64_t tls_cert_not_before(struct x509_st *cert)
{
    return seconds_of(X509_get0_notBefore(cert));
}

int64_t tls_cert_not_after(struct x509_st *cert)
{
    return seconds_of(X509_get0_notAfter(cert));
}
