/* SPDX-License-Identifier: Apache-2.0
 * TLS between two connections on one loop, over loopback through a listener: what must work, and for each thing that
 * must not, the one clear line that says why. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "certs/certs.h"
#include "core/base/fs.h"
#include "tests/unit/net_side.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/x509.h>
#include <sys/resource.h>
#include <unistd.h>

static char dir[64];

static const char *in_dir(const char *name)
{
    static char out[64][128];
    static unsigned i;

    i = (i + 1) % 64;
    snprintf(out[i], sizeof out[i], "%s/%s", dir, name);
    return out[i];
}

static void issue(const char *ca, const char *name, bool server, int days)
{
    static const char *const sans[] = {"DNS:localhost", "IP:127.0.0.1", NULL};
    const struct certs_request r = {.common_name = name,
                                    .organization = "Test",
                                    .sans = server ? sans : NULL,
                                    .server = server,
                                    .client = !server,
                                    .days = days};
    struct reason why;

    assert_int_equal(certs_issue(dir, ca, dir, name, &r, &why), ERR_OK);
}

static int setup(void **state)
{
    struct reason why;

    (void)state;
    snprintf(dir, sizeof dir, "/tmp/test-tls-XXXXXX");
    assert_non_null(mkdtemp(dir));
    assert_int_equal(certs_make_ca(dir, "ca", "Test CA", 0, &why), ERR_OK);
    assert_int_equal(certs_make_ca(dir, "other", "Other CA", 0, &why), ERR_OK);
    issue("ca", "server", true, 0);
    issue("ca", "alice", false, 0);
    issue("ca", "expired", false, -1);
    issue("ca", "stale", true, -1);
    issue("other", "mallory", false, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return fs_remove_tree(dir);
}

struct pair {
    struct loop *l;
    struct listener *listener;
    struct tls *server_tls, *client_tls;
    struct side server, client;
    struct conn_opts server_opts, client_opts;
    unsigned accepts;
};

static void on_accept(void *arg, struct accepted a)
{
    struct pair *p = arg;

    p->accepts++;
    assert_int_equal(conn_accept(&p->server.conn, p->l, a, &p->server_opts), ERR_OK);
}

static void listen_on(struct pair *p, const char *host)
{
    struct listener_opts o = {.host = host, .workers = 1};
    struct reason why;

    assert_int_equal(listener_open(&p->listener, &o, &why), ERR_OK);
    assert_int_equal(listener_attach(p->listener, 0, p->l, on_accept, p), ERR_OK);
}

/* NULL for either opts: that side speaks plain text. */
static void pair_open(struct pair *p, const struct tls_opts *server, const struct tls_opts *client, const char *host)
{
    struct reason why = {0};

    *p = (struct pair){.l = side_loop(NULL)};
    p->server_opts = side_opts(&p->server, p->l);
    p->client_opts = side_opts(&p->client, p->l);
    if (server && tls_server_new(&p->server_tls, server, &why))
        fail_msg("%s", why.text);
    if (client && tls_client_new(&p->client_tls, client, &why))
        fail_msg("%s", why.text);
    p->server_opts.tls = p->server_tls;
    p->client_opts.tls = p->client_tls;
    listen_on(p, "localhost");
    assert_int_equal(conn_connect(&p->client.conn, p->l, host, listener_port(p->listener), &p->client_opts), ERR_OK);
}

static void pair_close(struct pair *p)
{
    if (p->client.conn)
        conn_close(p->client.conn, CONN_CLOSE_LOCAL, NULL);
    if (p->accepts)
        RUN_UNTIL(p->l, p->server.closed);
    assert_int_equal(listener_connections(p->listener), 0);
    listener_free(p->listener);
    tls_free(p->server_tls);
    tls_free(p->client_tls);
    loop_free(p->l);
}

static struct tls_opts server_opts(enum tls_client_auth auth)
{
    return (struct tls_opts){
        .keystore = in_dir("server.keystore.pem"), .truststore = in_dir("ca.pem"), .client_auth = auth};
}

static struct tls_opts client_opts(const char *keystore)
{
    return (struct tls_opts){.keystore = keystore ? in_dir(keystore) : NULL, .truststore = in_dir("ca.pem")};
}

static void works(const struct tls_opts *so, const struct tls_opts *co, const char *host, const char *version,
                  const char *subject)
{
    struct slice hello = slice_str("hello");
    struct pair p;

    pair_open(&p, so, co, host);
    p.server.echo = true;
    p.client.keep_last = true;
    assert_int_equal(conn_write_frame(p.client.conn, &hello, 1), ERR_OK); /* before the handshake: waits */
    RUN_UNTIL(p.l, p.client.frames == 1);
    assert_memory_equal(p.client.last.p, "hello", 5);
    assert_string_equal(p.server.version, version);
    assert_string_equal(p.server.subject, subject);
    buf_free(&p.client.last);
    pair_close(&p);
    assert_int_equal(p.server.why, CONN_CLOSE_PEER);
}

static void test_handshakes(void **state)
{
    struct tls_opts none = server_opts(TLS_CLIENT_AUTH_NONE), requested = server_opts(TLS_CLIENT_AUTH_REQUESTED),
                    required = server_opts(TLS_CLIENT_AUTH_REQUIRED);
    struct tls_opts anonymous = client_opts(NULL), alice = client_opts("alice.keystore.pem");

    (void)state;
    works(&none, &anonymous, "localhost", "TLSv1.3", "");
    works(&none, &alice, "127.0.0.1", "TLSv1.3", "");
    works(&requested, &anonymous, "localhost", "TLSv1.3", "");
    works(&requested, &alice, "localhost", "TLSv1.3", "CN=alice,O=Test");
    works(&required, &alice, "localhost", "TLSv1.3", "CN=alice,O=Test");
    anonymous.protocols = "TLSv1.2";
    works(&none, &anonymous, "localhost", "TLSv1.2", "");
    anonymous.ciphers = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384";
    works(&none, &anonymous, "localhost", "TLSv1.2", "");
    works(NULL, NULL, "localhost", "", "");
}

/* Both sides close; `text` is found in what the server (or client) says about it. */
static void refused(const struct tls_opts *so, const struct tls_opts *co, const char *host, const char *server_text,
                    enum conn_close server_why, const char *client_text)
{
    struct slice hello = slice_str("hello");
    struct pair p;

    pair_open(&p, so, co, host);
    assert_int_equal(conn_write_frame(p.client.conn, &hello, 1), ERR_OK);
    RUN_UNTIL(p.l, p.server.closed && p.client.closed);
    if (!strstr(p.server.detail, server_text) || p.server.why != server_why)
        fail_msg("server: %s: %s, expected %s", conn_close_label(p.server.why), p.server.detail, server_text);
    if (!strstr(p.client.detail, client_text))
        fail_msg("client: %s: %s, expected %s", conn_close_label(p.client.why), p.client.detail, client_text);
    assert_int_equal(p.server.frames, 0);
    pair_close(&p);
}

static void test_refusals(void **state)
{
    struct tls_opts none = server_opts(TLS_CLIENT_AUTH_NONE), required = server_opts(TLS_CLIENT_AUTH_REQUIRED);
    struct tls_opts anonymous = client_opts(NULL), expired = client_opts("expired.keystore.pem"),
                    mallory = client_opts("mallory.keystore.pem"), wrong_use = client_opts("server.keystore.pem");
    struct tls_opts stale = none, distrust = anonymous, v12 = anonymous, v13 = none, few = anonymous, few_server = none;

    (void)state;
    refused(&required, &anonymous, "localhost", "the client showed no certificate", CONN_CLOSE_TLS_HANDSHAKE,
            "the peer requires a client certificate");
    refused(&required, &expired, "localhost", "the peer's certificate has expired (CN=expired,O=Test)",
            CONN_CLOSE_TLS_HANDSHAKE, "the peer says our certificate has expired");
    refused(&required, &mallory, "localhost", "the peer's certificate is signed by an unknown CA (CN=mallory,O=Test)",
            CONN_CLOSE_TLS_HANDSHAKE, "the peer does not trust the CA of our certificate");
    refused(&required, &wrong_use, "localhost", "not meant for this use", CONN_CLOSE_TLS_HANDSHAKE,
            "the peer says our certificate is not meant for this use");
    stale.keystore = in_dir("stale.keystore.pem");
    refused(&stale, &anonymous, "localhost", "the peer says our certificate has expired", CONN_CLOSE_TLS_HANDSHAKE,
            "the peer's certificate has expired");
    distrust.truststore = in_dir("other.pem");
    refused(&none, &distrust, "localhost", "the peer does not trust the CA of our certificate",
            CONN_CLOSE_TLS_HANDSHAKE, "signed by an unknown CA");
    refused(&none, &anonymous, "::1", "our certificate is bad or for another host", CONN_CLOSE_TLS_HANDSHAKE,
            "the peer's certificate is for another host");
    v12.protocols = "TLSv1.2";
    v13.protocols = "TLSv1.3";
    refused(&v13, &v12, "localhost", "no shared TLS version", CONN_CLOSE_TLS_HANDSHAKE,
            "does not speak our TLS versions");
    few.ciphers = "TLS_AES_128_GCM_SHA256";
    few_server.ciphers = "TLS_AES_256_GCM_SHA384";
    refused(&few_server, &few, "localhost", "no shared cipher suite", CONN_CLOSE_TLS_HANDSHAKE,
            "no shared cipher suite");
    refused(&none, NULL, "localhost", "plain text on a TLS port", CONN_CLOSE_TLS_PLAINTEXT, "");
}

/* A plain server reads the ClientHello as a length and hangs up; the client names the end of the handshake. */
static void test_tls_to_plain_port(void **state)
{
    struct tls_opts anonymous = client_opts(NULL);
    struct pair p;

    (void)state;
    pair_open(&p, NULL, &anonymous, "localhost");
    RUN_UNTIL(p.l, p.server.closed && p.client.closed);
    assert_int_equal(p.server.why, CONN_CLOSE_FRAME_TOO_LARGE);
    pair_close(&p);
}

static void test_bad_files(void **state)
{
    struct tls_opts o = server_opts(TLS_CLIENT_AUTH_NONE);
    struct tls *t;
    struct reason why;

    (void)state;
    o.keystore = in_dir("absent.pem");
    assert_int_not_equal(tls_server_new(&t, &o, &why), ERR_OK);
    assert_non_null(strstr(why.text, "absent.pem"));
    o.keystore = in_dir("alice.pem"); /* no key in it */
    assert_int_equal(tls_server_new(&t, &o, &why), ERR_BAD_CONFIG);
    assert_non_null(strstr(why.text, "private key"));
    o.keystore = in_dir("alice.key"); /* no certificate in it */
    assert_int_equal(tls_server_new(&t, &o, &why), ERR_BAD_CONFIG);
    o = server_opts(TLS_CLIENT_AUTH_NONE);
    o.ciphers = "TLS_NO_SUCH_SUITE";
    assert_int_equal(tls_server_new(&t, &o, &why), ERR_BAD_CONFIG);
    assert_non_null(strstr(why.text, "TLS_NO_SUCH_SUITE"));
    o.ciphers = NULL;
    o.protocols = "TLSv1.1";
    assert_int_equal(tls_server_new(&t, &o, &why), ERR_BAD_CONFIG);
    o.keystore = NULL;
    assert_int_equal(tls_server_new(&t, &o, &why), ERR_BAD_CONFIG);
}

/* A new certificate is used by the next connection; a broken file leaves the old one in use. */
static void test_reload(void **state)
{
    struct tls_opts so = server_opts(TLS_CLIENT_AUTH_NONE), co = client_opts(NULL);
    struct slice rubbish = slice_str("rubbish");
    struct reason why;
    struct pair p;
    bool changed;

    (void)state;
    issue("ca", "reloaded", true, 5);
    so.keystore = in_dir("reloaded.keystore.pem");
    pair_open(&p, &so, &co, "localhost");
    RUN_UNTIL(p.l, p.client.ready && p.server.ready);
    assert_int_equal(tls_reload(p.server_tls, &changed, &why), ERR_OK);
    assert_false(changed);
    int64_t before = tls_not_after(p.server_tls);
    issue("ca", "reloaded", true, 50);
    assert_int_equal(tls_reload(p.server_tls, &changed, &why), ERR_OK);
    assert_true(changed);
    assert_in_range(tls_not_after(p.server_tls) - before, 45 * 86400 - 60, 45 * 86400 + 60);
    assert_int_equal(fs_write_file(in_dir("reloaded.keystore.pem"), rubbish, 0600, &why), ERR_OK);
    assert_int_equal(tls_reload(p.server_tls, &changed, &why), ERR_BAD_CONFIG);
    conn_close(p.client.conn, CONN_CLOSE_LOCAL, NULL);
    RUN_UNTIL(p.l, p.client.closed && p.server.closed);
    p.client_opts = side_opts(&p.client, p.l);
    p.client_opts.tls = p.client_tls;
    p.server_opts = side_opts(&p.server, p.l);
    p.server_opts.tls = p.server_tls;
    assert_int_equal(conn_connect(&p.client.conn, p.l, "localhost", listener_port(p.listener), &p.client_opts), ERR_OK);
    RUN_UNTIL(p.l, p.client.ready && p.server.ready);
    assert_in_range(tls_cert_not_after(conn_peer_cert(p.client.conn)) - before, 45 * 86400 - 60, 45 * 86400 + 60);
    pair_close(&p);
}

/* Subjects as Java's X500Principal.getName() printed the same names (OpenJDK 17). */
static void test_subjects(void **state)
{
    static const struct {
        const char *expect;
        struct {
            const char *type, *value;
            int set; /* as X509_NAME_add_entry: 0 a new RDN, -1 with the one before */
        } parts[8];
    } cases[] = {
        {"OU=a,O=Ex\\, Inc,L=Adam,ST=Noord Holland,C=NL",
         {{"C", "NL", 0}, {"ST", "Noord Holland", 0}, {"L", "Adam", 0}, {"O", "Ex, Inc", 0}, {"OU", "a", 0}}},
        {"O=\\ lead trail\\ ,CN=al/ice\\=x\\;\\<\\>\\\"\\#\\\\",
         {{"CN", "al/ice=x;<>\"#\\", 0}, {"O", " lead trail ", 0}}},
        {"2.5.4.12=#0c024472,2.5.4.5=#1303313233,CN=x,1.2.840.113549.1.9.1=#16056140622e63",
         {{"emailAddress", "a@b.c", 0}, {"CN", "x", 0}, {"serialNumber", "123", 0}, {"title", "Dr", 0}}},
        {"STREET=Road 1,OU=val+CN=multi,UID=u1,DC=example,DC=org",
         {{"DC", "org", 0},
          {"DC", "example", 0},
          {"UID", "u1", 0},
          {"OU", "val", 0},
          {"CN", "multi", -1},
          {"street", "Road 1", 0}}},
        {"CN=\\#hash", {{"CN", "#hash", 0}}},
        {"O=\u00dcn\u00ef,CN=J\u00fcrgen \u65e5\u672c",
         {{"CN", "J\u00fcrgen \u65e5\u672c", 0}, {"O", "\u00dcn\u00ef", 0}}},
        {"CN=\\ \\ two  spaces\\ \\ ,O=a", {{"O", "a", 0}, {"CN", "  two  spaces  ", 0}}},
        {"OU=y,OU=x,CN=b,CN=a", {{"CN", "a", 0}, {"CN", "b", 0}, {"OU", "x", 0}, {"OU", "y", 0}}},
        {"", {{NULL, NULL, 0}}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        X509 *cert = X509_new();
        X509_NAME *name = X509_get_subject_name(cert);
        struct buf b;
        for (int k = 0; k < 8 && cases[i].parts[k].type; k++)
            assert_int_equal(X509_NAME_add_entry_by_txt(name, cases[i].parts[k].type, MBSTRING_UTF8,
                                                        (const unsigned char *)cases[i].parts[k].value, -1, -1,
                                                        cases[i].parts[k].set),
                             1);
        buf_init(&b, 0);
        assert_int_equal(tls_cert_subject(cert, &b), ERR_OK);
        assert_string_equal(buf_cstr(&b), cases[i].expect);
        buf_free(&b);
        X509_free(cert);
    }
}

static void test_large_and_small(void **state)
{
    enum { BIG = 16 << 20, SMALL = 20000 };
    struct tls_opts so = server_opts(TLS_CLIENT_AUTH_NONE), co = client_opts(NULL);
    uint8_t *bytes = side_pattern(BIG, 5);
    struct slice big = slice_of(bytes, BIG);
    uint64_t sum = side_sum(0, big);
    struct pair p;

    (void)state;
    pair_open(&p, &so, &co, "localhost");
    p.server.echo = true;
    assert_int_equal(conn_write_frame(p.client.conn, &big, 1), ERR_OK);
    for (uint32_t i = 0; i < SMALL; i++) {
        struct slice s = slice_of(bytes + i, 1 + i % 300);
        assert_int_equal(conn_write_frame(p.client.conn, &s, 1), ERR_OK);
        sum = side_sum(sum, s);
    }
    RUN_UNTIL(p.l, p.client.frames == SMALL + 1);
    assert_int_equal(p.server.sum, sum);
    assert_int_equal(p.client.sum, sum);
    pair_close(&p);
    free(bytes);
}

static void test_pause_over_tls(void **state)
{
    struct tls_opts so = server_opts(TLS_CLIENT_AUTH_NONE), co = client_opts(NULL);
    uint8_t *bytes = side_pattern(50000, 6);
    size_t sent = 0;
    struct pair p;

    (void)state;
    pair_open(&p, &so, &co, "localhost");
    RUN_UNTIL(p.l, p.client.ready && p.server.ready);
    p.server.pause_after_frame = true;
    while (!conn_is_congested(p.client.conn)) {
        struct slice s = slice_of(bytes, 1 + (sent * 977) % 50000);
        assert_int_equal(conn_write_frame(p.client.conn, &s, 1), ERR_OK);
        sent++;
        side_settle(p.l);
    }
    assert_int_equal(p.server.frames, 1);
    while (p.server.frames < sent) {
        size_t before = p.server.frames;
        conn_resume(p.server.conn);
        RUN_UNTIL(p.l, p.server.frames > before);
        assert_int_equal(p.server.frames, before + 1);
    }
    conn_resume(p.server.conn);
    pair_close(&p);
    free(bytes);
}

/* A handshake that stops in the middle. */
static void test_handshake_timeout(void **state)
{
    struct tls_opts so = server_opts(TLS_CLIENT_AUTH_NONE);
    struct pair p;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    (void)state;
    p = (struct pair){.l = side_loop(NULL)};
    p.server_opts = side_opts(&p.server, p.l);
    p.server_opts.handshake_ms = 30;
    assert_int_equal(tls_server_new(&p.server_tls, &so, NULL), ERR_OK);
    p.server_opts.tls = p.server_tls;
    listen_on(&p, "127.0.0.1");
    a.sin_port = htons(listener_port(p.listener));
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(write(fd, "\x16\x03\x01", 3), 3);
    RUN_UNTIL(p.l, p.server.closed);
    assert_int_equal(p.server.why, CONN_CLOSE_HANDSHAKE_TIMEOUT);
    close(fd);
    pair_close(&p);
}

static void test_listener(void **state)
{
    struct listener_opts o = {.host = "localhost", .workers = 2, .max_connections = 3, .max_connections_per_ip = 2};
    struct listener *first, *second;
    struct reason why;
    struct pair p = {.l = side_loop(NULL)};
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char expect[64], byte;
    static const struct conn_ops nothing = {0};
    int fds[3];

    (void)state;
    assert_int_equal(listener_open(&first, &o, &why), ERR_OK);
    o.port = listener_port(first);
    assert_int_not_equal(o.port, 0);
    assert_int_equal(listener_open(&second, &o, &why), ERR_ADDRESS_IN_USE);
    snprintf(expect, sizeof expect, "localhost:%u", o.port);
    assert_non_null(strstr(why.text, expect));
    listener_free(first);
    o.workers = 1;
    assert_int_equal(listener_open(&p.listener, &o, &why), ERR_OK); /* free again */
    assert_int_equal(listener_attach(p.listener, 0, p.l, on_accept, &p), ERR_OK);
    p.server_opts = side_opts(&p.server, p.l);
    p.server_opts.ops = &nothing;
    a.sin_port = htons(o.port);
    for (int i = 0; i < 3; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(connect(fds[i], (struct sockaddr *)&a, sizeof a), 0);
        RUN_UNTIL(p.l, p.accepts == (unsigned)(i < 2 ? i + 1 : 2));
    }
    side_settle(p.l);
    assert_int_equal(read(fds[2], &byte, 1), 0); /* max.connections.per.ip */
    assert_int_equal(listener_connections(p.listener), 2);
    close(fds[0]);
    RUN_UNTIL(p.l, listener_connections(p.listener) == 1);
    close(fds[1]);
    close(fds[2]);
    RUN_UNTIL(p.l, listener_connections(p.listener) == 0);
    listener_detach(p.listener, 0);
    listener_free(p.listener);
    loop_free(p.l);
}

/* Out of descriptors: accepting stops for a while instead of spinning, and goes on when there are some again. */
static void test_out_of_descriptors(void **state)
{
    struct env_test t;
    struct pair p = {0};
    struct rlimit old, tight;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), next;

    (void)state;
    env_test_init(&t, 1);
    p.l = side_loop(&t.env);
    p.server_opts = side_opts(&p.server, p.l);
    listen_on(&p, "127.0.0.1");
    a.sin_port = htons(listener_port(p.listener));
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    next = dup(fd);
    close(next);
    tight = old;
    tight.rlim_cur = (rlim_t)next;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    side_settle(p.l);
    assert_int_equal(p.accepts, 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    side_settle(p.l);
    assert_int_equal(p.accepts, 0); /* still in the pause */
    env_test_advance_ms(&t, LISTENER_BACKOFF_MS);
    RUN_UNTIL(p.l, p.accepts == 1);
    close(fd);
    pair_close(&p);
}

static void test_connect_failures(void **state)
{
    struct listener_opts o = {.host = "127.0.0.1", .workers = 1};
    struct listener *gone;
    struct loop *l = side_loop(NULL);
    struct side s;
    struct conn_opts co = side_opts(&s, l);
    uint16_t port;

    (void)state;
    assert_int_equal(listener_open(&gone, &o, NULL), ERR_OK);
    port = listener_port(gone);
    listener_free(gone);
    assert_int_equal(conn_connect(&s.conn, l, "localhost", port, &co), ERR_OK);
    RUN_UNTIL(l, s.closed);
    assert_int_equal(s.why, CONN_CLOSE_CONNECT_FAILED);
    assert_non_null(strstr(s.detail, "refused"));
    co = side_opts(&s, l);
    assert_int_equal(conn_connect(&s.conn, l, "no-such-host.invalid", port, &co), ERR_OK);
    RUN_UNTIL(l, s.closed);
    assert_int_equal(s.why, CONN_CLOSE_RESOLVE_FAILED);
    co = side_opts(&s, l);
    assert_int_equal(conn_connect(&s.conn, l, "no-such-host.invalid", port, &co), ERR_OK);
    loop_free(l); /* while resolving */
    assert_int_equal(s.why, CONN_CLOSE_SHUTDOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handshakes),         cmocka_unit_test(test_subjects),
        cmocka_unit_test(test_refusals),           cmocka_unit_test(test_tls_to_plain_port),
        cmocka_unit_test(test_bad_files),          cmocka_unit_test(test_reload),
        cmocka_unit_test(test_large_and_small),    cmocka_unit_test(test_pause_over_tls),
        cmocka_unit_test(test_handshake_timeout),  cmocka_unit_test(test_listener),
        cmocka_unit_test(test_out_of_descriptors), cmocka_unit_test(test_connect_failures),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
