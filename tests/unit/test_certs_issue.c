/* SPDX-License-Identifier: Apache-2.0
 * A CA and what it issues: chain, names, usages, modes of the files, days left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "certs/certs.h"
#include "core/base/fs.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static char dir[64];

static int make_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/test-certs-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    return fs_remove_tree(dir);
}

static const char *in_dir(char out[128], const char *name)
{
    snprintf(out, 128, "%s/%s", dir, name);
    return out;
}

static unsigned mode_of(const char *name)
{
    char path[128];
    struct stat st;

    assert_int_equal(stat(in_dir(path, name), &st), 0);
    return st.st_mode & 0777;
}

static X509 *load(const char *name)
{
    char path[128];
    FILE *f = fopen(in_dir(path, name), "r");
    X509 *cert;

    assert_non_null(f);
    cert = PEM_read_X509(f, NULL, NULL, NULL);
    fclose(f);
    assert_non_null(cert);
    return cert;
}

static int verify(X509 *ca, X509 *cert, int purpose)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    int e;

    assert_int_equal(X509_STORE_add_cert(store, ca), 1);
    assert_int_equal(X509_STORE_CTX_init(ctx, store, cert, NULL), 1);
    X509_STORE_CTX_set_purpose(ctx, purpose);
    e = X509_verify_cert(ctx) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(ctx);
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    return e;
}

static void test_issue(void **state)
{
    static const char *const sans[] = {"DNS:localhost", "IP:127.0.0.1", "IP:::1", NULL};
    const struct certs_request server = {
        .common_name = "gateway", .organization = "Castellan", .sans = sans, .server = true};
    const struct certs_request client = {.common_name = "alice", .client = true, .days = 10};
    const struct certs_request expired = {.common_name = "old", .client = true, .days = -2};
    struct reason why;
    X509 *ca, *cert;
    char path[128];
    int days;

    (void)state;
    assert_int_equal(certs_make_ca(dir, "ca", "Castellan CA", 0, &why), ERR_OK);
    assert_int_equal(certs_issue(dir, "ca", dir, "gateway", &server, &why), ERR_OK);
    assert_int_equal(certs_issue(dir, "ca", dir, "alice", &client, &why), ERR_OK);
    assert_int_equal(certs_issue(dir, "ca", dir, "old", &expired, &why), ERR_OK);
    assert_int_equal(mode_of("ca.key"), 0600);
    assert_int_equal(mode_of("ca.pem"), 0644);
    assert_int_equal(mode_of("gateway.keystore.pem"), 0600);
    ca = load("ca.pem");
    cert = load("gateway.pem");
    assert_int_equal(X509_check_ca(ca), 1);
    assert_int_equal(X509_get_pathlen(ca), 0);
    assert_int_equal(verify(ca, cert, X509_PURPOSE_SSL_SERVER), X509_V_OK);
    assert_int_equal(verify(ca, cert, X509_PURPOSE_SSL_CLIENT), X509_V_ERR_INVALID_PURPOSE);
    assert_int_equal(X509_check_host(cert, "localhost", 0, 0, NULL), 1);
    assert_int_equal(X509_check_ip_asc(cert, "::1", 0), 1);
    assert_int_equal(X509_check_host(cert, "elsewhere", 0, 0, NULL), 0);
    X509_free(cert);
    cert = load("old.pem");
    assert_int_equal(verify(ca, cert, X509_PURPOSE_SSL_CLIENT), X509_V_ERR_CERT_HAS_EXPIRED);
    X509_free(cert);
    X509_free(ca);
    assert_int_equal(certs_days_left(in_dir(path, "alice.pem"), &days, &why), ERR_OK);
    assert_in_range(days, 9, 10); /* the second may have passed or not */
    assert_int_equal(certs_days_left(in_dir(path, "old.pem"), &days, &why), ERR_OK);
    assert_true(days == -2 || days == -3);
    assert_int_equal(certs_days_left(in_dir(path, "gateway.keystore.pem"), &days, &why), ERR_OK);
    assert_in_range(days, CERTS_DAYS_DEFAULT - 1, CERTS_DAYS_DEFAULT);
}

static void test_refusals(void **state)
{
    static const char *const smuggled[] = {"DNS:a,DNS:b", NULL}, *const untyped[] = {"localhost", NULL};
    struct certs_request r = {.common_name = "x", .sans = smuggled, .server = true};
    struct reason why;
    char path[128];
    int days;

    (void)state;
    assert_int_equal(certs_make_ca(dir, "ca", "CA", 0, &why), ERR_OK);
    assert_int_equal(certs_issue(dir, "ca", dir, "x", &r, &why), ERR_BAD_CONFIG);
    r.sans = untyped;
    assert_int_equal(certs_issue(dir, "ca", dir, "x", &r, &why), ERR_BAD_CONFIG);
    r.sans = NULL;
    assert_int_not_equal(certs_issue(dir, "absent", dir, "x", &r, &why), ERR_OK);
    assert_false(fs_exists(in_dir(path, "x.key")));
    assert_int_not_equal(certs_days_left(in_dir(path, "ca.key"), &days, &why), ERR_OK);
    assert_int_not_equal(certs_days_left(in_dir(path, "absent.pem"), &days, &why), ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_issue),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
