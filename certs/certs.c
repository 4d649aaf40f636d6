/* SPDX-License-Identifier: Apache-2.0
 * Development certificates over OpenSSL. A CA is a P-256 key and a self-signed certificate that may sign leaves only; a
 * leaf names what it serves in its alternative names and what it is for in its extended key usage. Serial numbers are
 * random, so two CAs of one name never give the same pair of issuer and serial.
 *
 * Keys exist in memory only inside OpenSSL objects and in PEM buffers that are wiped; files appear atomically with
 * their final mode, so a key is never readable by others, not even for a moment. */
#include "certs/certs.h"

#include "core/base/buf.h"
#include "core/base/fs.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <time.h>

enum { PEM_MAX = 1 << 20, DAY_S = 86400, SERIAL_BITS = 159 };

static enum err openssl_failed(struct reason *why, const char *what)
{
    unsigned long e = ERR_peek_last_error();
    const char *text = e ? ERR_reason_error_string(e) : NULL;
    enum err err = reason_set(why, ERR_TLS, "cannot %s: %s", what, text ? text : "OpenSSL refused");

    ERR_clear_error();
    return err;
}

/* ---- files ---- */

static enum err path_of(char path[PATH_MAX], const char *dir, const char *name, const char *suffix, struct reason *why)
{
    char file[NAME_MAX + 1];
    int n = snprintf(file, sizeof file, "%s%s", name, suffix);

    if (n < 0 || (size_t)n >= sizeof file || fs_join(path, PATH_MAX, dir, file))
        return reason_set(why, ERR_LIMIT_EXCEEDED, "the path %s/%s%s is too long", dir, name, suffix);
    return ERR_OK;
}

static enum err read_pem(const char *path, struct buf *bytes, BIO **bio, struct reason *why)
{
    enum err err;

    *bio = NULL;
    buf_init(bytes, PEM_MAX);
    err = fs_read_file(path, bytes, why);
    if (err)
        return err;
    *bio = BIO_new_mem_buf(bytes->n ? (const void *)bytes->p : "", (int)bytes->n);
    return *bio ? ERR_OK : reason_set(why, ERR_NO_MEMORY, "no memory to read %s", path);
}

static X509 *read_cert(const char *path, struct reason *why)
{
    struct buf bytes;
    BIO *bio;
    X509 *cert = NULL;

    if (!read_pem(path, &bytes, &bio, why)) {
        cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
        if (!cert)
            (void)reason_set(why, ERR_MALFORMED, "%s holds no certificate", path);
    }
    ERR_clear_error();
    BIO_free(bio);
    buf_free(&bytes);
    return cert;
}

static EVP_PKEY *read_key(const char *path, struct reason *why)
{
    struct buf bytes;
    BIO *bio;
    EVP_PKEY *key = NULL;

    if (!read_pem(path, &bytes, &bio, why)) {
        key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
        if (!key)
            (void)reason_set(why, ERR_MALFORMED, "%s holds no private key", path);
    }
    ERR_clear_error();
    BIO_free(bio);
    buf_wipe_free(&bytes);
    return key;
}

/* PEM of key (may be NULL), then of the certificates, into one file. */
static enum err write_pem(const char *dir, const char *name, const char *suffix, EVP_PKEY *key, X509 *cert,
                          X509 *issuer, struct reason *why)
{
    char path[PATH_MAX];
    BIO *bio = BIO_new(BIO_s_secmem());
    char *p = NULL;
    long n;
    enum err err = path_of(path, dir, name, suffix, why);

    if (err)
        goto out;
    if (!bio || (key && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1) ||
        (cert && PEM_write_bio_X509(bio, cert) != 1) || (issuer && PEM_write_bio_X509(bio, issuer) != 1)) {
        err = openssl_failed(why, "write PEM");
        goto out;
    }
    n = BIO_get_mem_data(bio, &p);
    err = fs_write_file(path, slice_of(p, n > 0 ? (size_t)n : 0), key ? 0600 : 0644, why);
out:
    BIO_free(bio); /* the secure memory BIO wipes what it held */
    return err;
}

/* ---- certificates ---- */

static bool add_name(X509_NAME *name, const char *key, const char *value)
{
    return !value || !*value ||
           X509_NAME_add_entry_by_txt(name, key, MBSTRING_UTF8, (const unsigned char *)value, -1, -1, 0) == 1;
}

static bool add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *e;
    bool ok;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    ok = e && X509_add_ext(cert, e, -1) == 1;
    X509_EXTENSION_free(e);
    return ok;
}

static bool set_serial(X509 *cert)
{
    BIGNUM *n = BN_new();
    bool ok = n && BN_rand(n, SERIAL_BITS, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
              (BN_is_zero(n) ? BN_one(n) : 1) && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert));

    BN_free(n);
    return ok;
}

/* An unsigned certificate with names, times and key. Negative days: a year of validity that ended so long ago. */
static X509 *make_cert(EVP_PKEY *key, const char *common_name, const char *organization, int days, int backdate_s)
{
    X509 *cert = X509_new();
    time_t now = time(NULL);
    time_t from = days < 0 ? now - (time_t)(365 - days) * DAY_S : now - backdate_s;
    time_t until = now + (time_t)days * DAY_S;
    X509_NAME *name = cert ? X509_get_subject_name(cert) : NULL;

    if (cert && X509_set_version(cert, X509_VERSION_3) == 1 && set_serial(cert) &&
        ASN1_TIME_set(X509_getm_notBefore(cert), from) && ASN1_TIME_set(X509_getm_notAfter(cert), until) &&
        add_name(name, "O", organization) && add_name(name, "CN", common_name) && X509_set_pubkey(cert, key) == 1)
        return cert;
    X509_free(cert);
    return NULL;
}

enum err certs_make_ca(const char *dir, const char *name, const char *common_name, int days, struct reason *why)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = key ? make_cert(key, common_name, NULL, days ? days : CERTS_CA_DAYS_DEFAULT, CERTS_BACKDATE_S) : NULL;
    enum err err = ERR_OK;

    if (!cert || X509_set_issuer_name(cert, X509_get_subject_name(cert)) != 1 ||
        !add_extension(cert, cert, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
        !add_extension(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign") ||
        !add_extension(cert, cert, NID_subject_key_identifier, "hash") ||
        !add_extension(cert, cert, NID_authority_key_identifier, "keyid:always") || !X509_sign(cert, key, EVP_sha256()))
        err = openssl_failed(why, "make a CA certificate");
    if (!err)
        err = fs_mkdirs(dir, 0700, why);
    if (!err)
        err = write_pem(dir, name, ".key", key, NULL, NULL, why);
    if (!err)
        err = write_pem(dir, name, ".pem", NULL, cert, NULL, why);
    X509_free(cert);
    EVP_PKEY_free(key);
    return err;
}

/* "DNS:a,IP:b" for OpenSSL. A comma inside a name would smuggle in another one. */
static enum err join_sans(const char *const *sans, struct buf *out, struct reason *why)
{
    for (size_t i = 0; sans && sans[i]; i++) {
        if (i >= CERTS_SANS_MAX)
            return reason_set(why, ERR_LIMIT_EXCEEDED, "more than %d alternative names", CERTS_SANS_MAX);
        if ((strncmp(sans[i], "DNS:", 4) != 0 && strncmp(sans[i], "IP:", 3) != 0) || strpbrk(sans[i], ",;\n"))
            return reason_set(why, ERR_BAD_CONFIG, "\"%s\" is not DNS:name or IP:address", sans[i]);
        buf_printf(out, "%s%s", i ? "," : "", sans[i]);
    }
    return buf_error(out);
}

static bool add_leaf_extensions(X509 *cert, X509 *ca, const struct certs_request *r, struct buf *sans)
{
    const char *usage = r->server && r->client ? "serverAuth,clientAuth" : r->server ? "serverAuth" : "clientAuth";

    return add_extension(cert, ca, NID_basic_constraints, "critical,CA:FALSE") &&
           add_extension(cert, ca, NID_key_usage, "critical,digitalSignature") &&
           (!(r->server || r->client) || add_extension(cert, ca, NID_ext_key_usage, usage)) &&
           add_extension(cert, ca, NID_subject_key_identifier, "hash") &&
           add_extension(cert, ca, NID_authority_key_identifier, "keyid:always") &&
           (sans->n == 0 || add_extension(cert, ca, NID_subject_alt_name, buf_cstr(sans)));
}

enum err certs_issue(const char *ca_dir, const char *ca_name, const char *dir, const char *name,
                     const struct certs_request *request, struct reason *why)
{
    char path[PATH_MAX];
    X509 *ca = NULL, *cert = NULL;
    EVP_PKEY *ca_key = NULL, *key = NULL;
    struct buf sans;
    enum err err;

    buf_init(&sans, 0);
    err = path_of(path, ca_dir, ca_name, ".pem", why);
    if (!err && !(ca = read_cert(path, why)))
        err = ERR_NOT_FOUND;
    if (!err)
        err = path_of(path, ca_dir, ca_name, ".key", why);
    if (!err && !(ca_key = read_key(path, why)))
        err = ERR_NOT_FOUND;
    if (!err)
        err = join_sans(request->sans, &sans, why);
    if (err)
        goto out;
    key = EVP_EC_gen("P-256");
    cert = key ? make_cert(key, request->common_name, request->organization,
                           request->days ? request->days : CERTS_DAYS_DEFAULT, request->server ? CERTS_BACKDATE_S : 0)
               : NULL;
    if (!cert || X509_set_issuer_name(cert, X509_get_subject_name(ca)) != 1 ||
        !add_leaf_extensions(cert, ca, request, &sans) || !X509_sign(cert, ca_key, EVP_sha256()))
        err = openssl_failed(why, "issue a certificate");
    if (!err)
        err = fs_mkdirs(dir, 0700, why);
    if (!err)
        err = write_pem(dir, name, ".key", key, NULL, NULL, why);
    if (!err)
        err = write_pem(dir, name, ".pem", NULL, cert, ca, why);
    if (!err)
        err = write_pem(dir, name, ".keystore.pem", key, cert, ca, why);
out:
    buf_free(&sans);
    X509_free(cert);
    X509_free(ca);
    EVP_PKEY_free(key);
    EVP_PKEY_free(ca_key);
    return err;
}

enum err certs_days_left(const char *path, int *days, struct reason *why)
{
    X509 *cert;
    int d = 0, s = 0;
    enum err err = ERR_OK;

    *days = 0;
    if (why)
        why->code = ERR_OK;
    cert = read_cert(path, why);
    if (!cert)
        return why && why->code ? why->code : ERR_NOT_FOUND;
    if (ASN1_TIME_diff(&d, &s, NULL, X509_get0_notAfter(cert)) != 1)
        err = reason_set(why, ERR_MALFORMED, "%s: the end of its validity cannot be read", path);
    /* Both parts carry the sign; rounding down means one day less once over. */
    *days = d - (s < 0 ? 1 : 0);
    X509_free(cert);
    return err;
}
