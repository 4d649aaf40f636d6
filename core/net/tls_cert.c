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
