/* SPDX-License-Identifier: Apache-2.0
 * TLS contexts. A `struct tls` remembers what it was made from, so that tls_reload() can make a new SSL_CTX and put it
 * in place; sessions made from the old one keep it alive through OpenSSL's own reference count. The mutex is held only
 * to read or swap the pointer.
 *
 * Sessions resume through stateless tickets (tls_ticket.c); the server cache is off, so connections share nothing that
 * locks. Tickets of an older context do not open under a newer one, so a reload also ends resumption of what the old
 * truststore let in. */
#include "core/net/tls_internal.h"

#include "core/base/fs.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { PEM_FILE_MAX = 4 << 20, CHAIN_MAX = 16, CA_MAX = 10000 };

struct file_stamp {
    struct timespec mtime;
    off_t size;
    ino_t inode;
};

struct tls {
    atomic_uint holds;
    bool server;
    struct tls_opts opts; /* strings owned */
    pthread_mutex_t lock; /* guards the four below */
    SSL_CTX *ctx;
    int64_t not_after;
    struct file_stamp keystore_stamp, truststore_stamp;
};

const char *tls_error_text(char *text, size_t cap, const char *fallback)
{
    unsigned long e = ERR_peek_last_error();
    const char *reason = e ? ERR_reason_error_string(e) : NULL;

    snprintf(text, cap, "%s", reason ? reason : fallback);
    ERR_clear_error();
    return text;
}

static struct file_stamp stamp_of(const char *path)
{
    struct stat st;
    struct file_stamp s = {0};

    if (path && !stat(path, &st)) {
        s.mtime = st.st_mtim;
        s.size = st.st_size;
        s.inode = st.st_ino;
    }
    return s;
}

static bool stamp_equal(const struct file_stamp *a, const struct file_stamp *b)
{
    return a->mtime.tv_sec == b->mtime.tv_sec && a->mtime.tv_nsec == b->mtime.tv_nsec && a->size == b->size &&
           a->inode == b->inode;
}

static enum err pem_open(const char *path, struct buf *bytes, BIO **bio, struct reason *why)
{
    enum err err;

    buf_init(bytes, PEM_FILE_MAX);
    *bio = NULL;
    err = fs_read_file(path, bytes, why);
    if (err)
        return err;
    *bio = BIO_new_mem_buf(bytes->n ? (const void *)bytes->p : "", (int)bytes->n);
    return *bio ? ERR_OK : reason_set(why, ERR_NO_MEMORY, "no memory to read %s", path);
}

static int on_password(char *out, int cap, int writing, void *arg)
{
    const char *password = arg;
    size_t n = password ? strlen(password) : 0;

    (void)writing;
    if (!password || cap < 0 || n > (size_t)cap)
        return -1;
    memcpy(out, password, n);
    return (int)n;
}

/* The next certificate of the file, NULL at its end; other PEM blocks are passed over. */
static X509 *next_cert(BIO *bio)
{
    X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);

    if (!cert && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE)
        ERR_clear_error();
    return cert;
}

static enum err use_chain(SSL_CTX *ctx, BIO *bio, const char *path, int64_t *not_after, struct reason *why)
{
    char text[200];
    X509 *cert = next_cert(bio);

    if (!cert)
        return reason_set(why, ERR_BAD_CONFIG, "%s: %s", path,
                          tls_error_text(text, sizeof text, "no certificate in it"));
    *not_after = tls_cert_not_after(cert);
    if (SSL_CTX_use_certificate(ctx, cert) != 1) {
        X509_free(cert);
        return reason_set(why, ERR_BAD_CONFIG, "%s: the certificate cannot be used: %s", path,
                          tls_error_text(text, sizeof text, "refused"));
    }
    X509_free(cert);
    for (int i = 0; (cert = next_cert(bio)); i++) {
        if (i >= CHAIN_MAX || SSL_CTX_add0_chain_cert(ctx, cert) != 1) {
            X509_free(cert);
            return reason_set(why, ERR_BAD_CONFIG, "%s: the certificate chain cannot be used", path);
        }
    }
    if (ERR_peek_error())
        return reason_set(why, ERR_BAD_CONFIG, "%s: %s", path, tls_error_text(text, sizeof text, "bad certificate"));
    return ERR_OK;
}

static enum err use_keystore(SSL_CTX *ctx, const struct tls_opts *o, int64_t *not_after, struct reason *why)
{
    struct buf bytes;
    BIO *bio;
    EVP_PKEY *key = NULL;
    char text[200];
    enum err err = pem_open(o->keystore, &bytes, &bio, why);

    if (err)
        goto out;
    err = use_chain(ctx, bio, o->keystore, not_after, why);
    if (err)
        goto out;
    (void)BIO_reset(bio);
    key = PEM_read_bio_PrivateKey(bio, NULL, on_password, (void *)o->key_password);
    if (!key) {
        err = reason_set(why, ERR_BAD_CONFIG, "%s: cannot read a private key: %s", o->keystore,
                         tls_error_text(text, sizeof text, "none in it"));
        goto out;
    }
    if (SSL_CTX_use_PrivateKey(ctx, key) != 1 || SSL_CTX_check_private_key(ctx) != 1)
        err = reason_set(why, ERR_BAD_CONFIG, "%s: the private key does not belong to the first certificate: %s",
                         o->keystore, tls_error_text(text, sizeof text, "mismatch"));
out:
    EVP_PKEY_free(key);
    BIO_free(bio);
    buf_wipe_free(&bytes);
    return err;
}

static enum err use_truststore(SSL_CTX *ctx, bool server, const char *path, struct reason *why)
{
    struct buf bytes;
    BIO *bio;
    X509 *cert;
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    char text[200];
    int n = 0;
    enum err err = pem_open(path, &bytes, &bio, why);

    while (!err && (cert = next_cert(bio))) {
        bool ok =
            n < CA_MAX && X509_STORE_add_cert(store, cert) == 1 && (!server || SSL_CTX_add_client_CA(ctx, cert) == 1);
        X509_free(cert);
        n++;
        if (!ok)
            err = reason_set(why, ERR_BAD_CONFIG, "%s: %s", path, tls_error_text(text, sizeof text, "cannot be used"));
    }
    if (!err && (n == 0 || ERR_peek_error()))
        err =
            reason_set(why, ERR_BAD_CONFIG, "%s: %s", path, tls_error_text(text, sizeof text, "no certificate in it"));
    BIO_free(bio);
    buf_free(&bytes);
    return err;
}

static enum err use_protocols(SSL_CTX *ctx, const char *list, struct reason *why)
{
    bool v12 = false, v13 = false;

    for (const char *p = list; *p;) {
        size_t n = strcspn(p, ", ");
        struct slice word = slice_of(p, n);
        if (slice_eq_str(word, "TLSv1.2"))
            v12 = true;
        else if (slice_eq_str(word, "TLSv1.3"))
            v13 = true;
        else if (n)
            return reason_set(why, ERR_BAD_CONFIG, "ssl.enabled.protocols: \"%.*s\" is neither TLSv1.2 nor TLSv1.3",
                              (int)n, p);
        p += n;
        p += strspn(p, ", ");
    }
    if (!v12 && !v13)
        return reason_set(why, ERR_BAD_CONFIG, "ssl.enabled.protocols is empty");
    if (SSL_CTX_set_min_proto_version(ctx, v12 ? TLS1_2_VERSION : TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_max_proto_version(ctx, v13 ? TLS1_3_VERSION : TLS1_2_VERSION) != 1)
        return reason_set(why, ERR_BAD_CONFIG, "ssl.enabled.protocols: OpenSSL refuses %s", list);
    return ERR_OK;
}

/* Kafka lists IANA names of both TLS versions together; OpenSSL wants two lists, TLS 1.2 under its own names. */
static enum err use_ciphers(SSL_CTX *ctx, const char *list, struct reason *why)
{
    struct buf v12, v13;
    enum err err = ERR_OK;
    char text[200];

    buf_init(&v12, 0);
    buf_init(&v13, 0);
    for (const char *p = list; *p && !err;) {
        size_t n = strcspn(p, ", ");
        char name[100];
        const char *openssl_name;
        snprintf(name, sizeof name, "%.*s", (int)n, p);
        openssl_name = OPENSSL_cipher_name(name);
        if (!n)
            ;
        else if (!strncmp(name, "TLS_AES_", 8) || !strncmp(name, "TLS_CHACHA20_", 13))
            buf_printf(&v13, "%s%s", v13.n ? ":" : "", name);
        else if (openssl_name && strcmp(openssl_name, "(NONE)") != 0)
            buf_printf(&v12, "%s%s", v12.n ? ":" : "", openssl_name);
        else
            err = reason_set(why, ERR_BAD_CONFIG, "ssl.cipher.suites: unknown suite \"%s\"", name);
        p += n;
        p += strspn(p, ", ");
    }
    if (!err && buf_error(&v12))
        err = buf_error(&v12);
    if (!err && buf_error(&v13))
        err = buf_error(&v13);
    /* A list without suites of one version switches that version off. */
    if (!err && ((v12.n && SSL_CTX_set_cipher_list(ctx, buf_cstr(&v12)) != 1) ||
                 (v13.n && SSL_CTX_set_ciphersuites(ctx, buf_cstr(&v13)) != 1) ||
                 (!v12.n && SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1) ||
                 (!v13.n && SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION) != 1)))
        err = reason_set(why, ERR_BAD_CONFIG, "ssl.cipher.suites: %s", tls_error_text(text, sizeof text, "refused"));
    buf_free(&v12);
    buf_free(&v13);
    return err;
}

static int verify_mode(const struct tls *t)
{
    if (!t->server)
        return SSL_VERIFY_PEER;
    switch (t->opts.client_auth) {
    case TLS_CLIENT_AUTH_NONE:
        return SSL_VERIFY_NONE;
    case TLS_CLIENT_AUTH_REQUESTED:
        return SSL_VERIFY_PEER;
    case TLS_CLIENT_AUTH_REQUIRED:
        return SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    }
    return SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
}

static enum err context_make(const struct tls *t, SSL_CTX **out, int64_t *not_after, struct reason *why)
{
    static const unsigned char session_context[] = "castellan";
    const struct tls_opts *o = &t->opts;
    SSL_CTX *ctx = SSL_CTX_new(t->server ? TLS_server_method() : TLS_client_method());
    enum err err = ERR_OK;

    *not_after = INT64_MAX;
    if (!ctx)
        return reason_set(why, ERR_NO_MEMORY, "no memory for a TLS context");
    ERR_clear_error();
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(ctx,
                     SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    if (SSL_CTX_set_session_id_context(ctx, session_context, sizeof session_context - 1) != 1)
        err = reason_set(why, ERR_TLS, "cannot set up a TLS context");
    SSL_CTX_set_verify(ctx, verify_mode(t), tls_on_verify);
    if (!err && t->server && !tls_tickets_follow_certificates(ctx))
        err = reason_set(why, ERR_TLS, "cannot set up session tickets");
    if (!err)
        err = use_protocols(ctx, o->protocols, why);
    if (!err && o->ciphers && *o->ciphers)
        err = use_ciphers(ctx, o->ciphers, why);
    if (!err && o->keystore)
        err = use_keystore(ctx, o, not_after, why);
    if (!err && o->truststore)
        err = use_truststore(ctx, t->server, o->truststore, why);
    else if (!err && !t->server && SSL_CTX_set_default_verify_paths(ctx) != 1)
        err = reason_set(why, ERR_TLS, "cannot read the system's CA certificates");
    if (err) {
        SSL_CTX_free(ctx);
        ctx = NULL;
    }
    *out = ctx;
    return err;
}

static bool copy_string(const char **field, const char *value)
{
    *field = value ? strdup(value) : NULL;
    return !value || *field;
}

static enum err tls_new(struct tls **out, const struct tls_opts *opts, bool server, struct reason *why)
{
    struct tls *t = calloc(1, sizeof *t);
    bool copied;
    enum err err;

    *out = NULL;
    if (!t)
        return reason_set(why, ERR_NO_MEMORY, "no memory for a TLS context");
    atomic_init(&t->holds, 1);
    t->server = server;
    t->opts = *opts;
    pthread_mutex_init(&t->lock, NULL);
    copied = copy_string(&t->opts.keystore, opts->keystore);
    copied = copy_string(&t->opts.key_password, opts->key_password) && copied;
    copied = copy_string(&t->opts.truststore, opts->truststore) && copied;
    copied = copy_string(&t->opts.protocols, opts->protocols ? opts->protocols : "TLSv1.2,TLSv1.3") && copied;
    copied = copy_string(&t->opts.ciphers, opts->ciphers) && copied;
    t->keystore_stamp = stamp_of(opts->keystore);
    t->truststore_stamp = stamp_of(opts->truststore);
    if (!copied)
        err = reason_set(why, ERR_NO_MEMORY, "no memory for a TLS context");
    else if (server && !opts->keystore)
        err = reason_set(why, ERR_BAD_CONFIG, "a TLS server needs ssl.keystore.location");
    else if (server && opts->client_auth != TLS_CLIENT_AUTH_NONE && !opts->truststore)
        err = reason_set(why, ERR_BAD_CONFIG, "ssl.client.auth needs ssl.truststore.location");
    else
        err = context_make(t, &t->ctx, &t->not_after, why);
    if (err) {
        tls_free(t);
        return err;
    }
    *out = t;
    return ERR_OK;
}

enum err tls_server_new(struct tls **out, const struct tls_opts *opts, struct reason *why)
{
    return tls_new(out, opts, true, why);
}

enum err tls_client_new(struct tls **out, const struct tls_opts *opts, struct reason *why)
{
    return tls_new(out, opts, false, why);
}

struct tls *tls_hold(struct tls *t)
{
    if (t)
        atomic_fetch_add(&t->holds, 1);
    return t;
}

void tls_free(struct tls *t)
{
    if (!t || atomic_fetch_sub(&t->holds, 1) != 1)
        return;
    SSL_CTX_free(t->ctx);
    if (t->opts.key_password)
        explicit_bzero((char *)t->opts.key_password, strlen(t->opts.key_password));
    free((char *)t->opts.keystore);
    free((char *)t->opts.key_password);
    free((char *)t->opts.truststore);
    free((char *)t->opts.protocols);
    free((char *)t->opts.ciphers);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

enum err tls_reload(struct tls *t, bool *changed, struct reason *why)
{
    /* Stamps first: a file that changes while it is read is read again next time. */
    struct file_stamp keystore = stamp_of(t->opts.keystore), truststore = stamp_of(t->opts.truststore);
    SSL_CTX *fresh, *old;
    int64_t not_after;
    bool same;
    enum err err;

    pthread_mutex_lock(&t->lock);
    same = stamp_equal(&keystore, &t->keystore_stamp) && stamp_equal(&truststore, &t->truststore_stamp);
    pthread_mutex_unlock(&t->lock);
    if (changed)
        *changed = false;
    if (same)
        return ERR_OK;
    err = context_make(t, &fresh, &not_after, why);
    if (err)
        return err;
    pthread_mutex_lock(&t->lock);
    old = t->ctx;
    t->ctx = fresh;
    t->not_after = not_after;
    t->keystore_stamp = keystore;
    t->truststore_stamp = truststore;
    pthread_mutex_unlock(&t->lock);
    SSL_CTX_free(old);
    if (changed)
        *changed = true;
    return ERR_OK;
}

int64_t tls_not_after(const struct tls *t)
{
    struct tls *m = (struct tls *)t;
    int64_t not_after;

    pthread_mutex_lock(&m->lock);
    not_after = m->not_after;
    pthread_mutex_unlock(&m->lock);
    return not_after;
}

/* SNI and the check of the name; an address is checked as one and sends no SNI (RFC 6066, section 3). */
static bool set_peer_name(const struct tls *t, SSL *ssl, const char *name)
{
    uint8_t address[16];
    bool is_address = inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;

    if (!is_address && SSL_set_tlsext_host_name(ssl, name) != 1)
        return false;
    if (t->opts.skip_hostname)
        return true;
    if (is_address)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, name) == 1;
}

enum err tls_session_new(struct tls *t, bool server, const char *name, SSL **out)
{
    SSL_CTX *ctx;
    SSL *ssl;

    *out = NULL;
    if (server != t->server)
        return ERR_BAD_CONFIG;
    pthread_mutex_lock(&t->lock);
    ctx = t->ctx;
    SSL_CTX_up_ref(ctx);
    pthread_mutex_unlock(&t->lock);
    ssl = SSL_new(ctx);
    SSL_CTX_free(ctx);
    if (!ssl)
        return ERR_NO_MEMORY;
    if (server) {
        SSL_set_accept_state(ssl);
    } else {
        SSL_set_connect_state(ssl);
        if (name && *name && !set_peer_name(t, ssl, name)) {
            SSL_free(ssl);
            return ERR_TLS;
        }
    }
    *out = ssl;
    return ERR_OK;
}
