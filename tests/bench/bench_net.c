/* SPDX-License-Identifier: Apache-2.0
 * How fast connections move bytes on this machine, against the same bytes over bare sockets, in one run:
 *     raw        write() and read() of 256 KiB in two threads
 *     conn       frames between two plain connections, one loop each
 *     conn+tls   the same over TLS 1.3
 *     relay+tls  client ~> middle ~> server, all TLS, the middle passing frames on while they stream in
 * Usage: bench_net [MiB per measurement (2000)] [frame KiB (1024)] */
#include "certs/certs.h"
#include "core/base/fs.h"
#include "core/net/conn.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static size_t total_bytes, frame_bytes;
static struct tls *server_tls, *client_tls;

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "bench_net: %s failed\n", what);
    exit(1);
}

/* ---- bare sockets ---- */

static void *raw_writer(void *arg)
{
    int fd = *(int *)arg;
    size_t cap = 256 << 10;
    uint8_t *p = calloc(1, cap);

    for (size_t sent = 0; sent < total_bytes;) {
        ssize_t n = write(fd, p, cap);
        must(n > 0, "write");
        sent += (size_t)n;
    }
    free(p);
    shutdown(fd, SHUT_WR);
    return NULL;
}

struct ends {
    int client, server;
};

static void on_raw_accept(void *arg, struct accepted a)
{
    *(int *)arg = dup(a.fd);
    listener_drop(a);
}

/* A connected pair of TCP sockets over loopback. */
static struct ends tcp_pair(void)
{
    const struct listener_opts o = {.host = "127.0.0.1", .workers = 1};
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct ends e = {socket(AF_INET, SOCK_STREAM, 0), -1};
    struct listener *l;
    struct loop *loop;

    must(!loop_new(&loop, NULL, NULL) && !listener_open(&l, &o, NULL) &&
             !listener_attach(l, 0, loop, on_raw_accept, &e.server),
         "listen");
    a.sin_port = htons(listener_port(l));
    must(!connect(e.client, (struct sockaddr *)&a, sizeof a), "connect");
    while (e.server < 0)
        loop_run_once(loop, true);
    listener_free(l);
    loop_free(loop);
    return e;
}

static double bench_raw(void)
{
    struct ends e = tcp_pair();
    size_t cap = 256 << 10;
    uint8_t *p = malloc(cap);
    pthread_t t;
    double start = now_s();
    int flags = 0;

    must(ioctl(e.server, FIONBIO, &flags) == 0, "ioctl");
    must(!pthread_create(&t, NULL, raw_writer, &e.client), "thread");
    while (read(e.server, p, cap) > 0)
        ;
    pthread_join(t, NULL);
    start = now_s() - start;
    free(p);
    close(e.client);
    close(e.server);
    return start;
}

/* ---- connections ---- */

struct end {
    struct loop *l;
    struct conn *c, *next; /* next: where a relay passes to */
    size_t sent, got;
    uint8_t *frame;
    int fd, fd_next;
    bool tls;
    struct tls *own_client;
};

static void feed(struct end *e)
{
    struct slice s = slice_of(e->frame, frame_bytes);

    while (e->sent < total_bytes && !conn_is_congested(e->c)) {
        must(!conn_write_frame(e->c, &s, 1), "write");
        e->sent += frame_bytes;
    }
    if (e->sent >= total_bytes)
        conn_close_after_flush(e->c, CONN_CLOSE_LOCAL, NULL);
}

static void sender_go(void *user, struct conn *c)
{
    (void)c;
    feed(user);
}

static void stop_on_close(void *user, struct conn *c, enum conn_close why, const char *detail)
{
    struct end *e = user;

    (void)c;
    if (why != CONN_CLOSE_LOCAL && why != CONN_CLOSE_PEER)
        fprintf(stderr, "closed: %s\n", detail);
    loop_stop(e->l);
}

static void count_frame(void *user, struct conn *c, struct slice frame)
{
    struct end *e = user;

    (void)c;
    e->got += frame.n;
}

static enum conn_frame_choice relay_start(void *user, struct conn *c, uint32_t n, struct slice head)
{
    struct end *e = user;
    uint8_t length[4] = {(uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};
    struct slice s = slice_of(length, 4);

    (void)head;
    must(!conn_write(e->next, &s, 1) && !conn_stream_to(c, e->next, 0), "stream");
    return CONN_FRAME_STREAMED;
}

static void relay_closed(void *user, struct conn *c, enum conn_close why, const char *detail)
{
    struct end *e = user;

    if (why != CONN_CLOSE_LOCAL && why != CONN_CLOSE_PEER)
        fprintf(stderr, "closed: %s\n", detail);
    if (c == e->c)
        conn_close_after_flush(e->next, CONN_CLOSE_LOCAL, NULL);
    else
        loop_stop(e->l);
}

static void *run_end(void *arg)
{
    struct end *e = arg;

    loop_run(e->l);
    loop_free(e->l);
    return NULL;
}

static void adopt(struct end *e, struct conn **c, int fd, bool server, const struct conn_ops *ops)
{
    struct conn_opts o = {.ops = ops, .user = e, .server_name = "localhost", .stream_peek = 64};

    if (e->tls)
        o.tls = server ? server_tls : client_tls;
    must(!conn_adopt(c, e->l, fd, server, &o), "adopt");
}

static double bench_conns(bool tls, bool relay)
{
    static const struct conn_ops sender = {.on_ready = sender_go, .on_drained = sender_go, .on_closed = stop_on_close};
    static const struct conn_ops receiver = {.on_frame = count_frame, .on_closed = stop_on_close};
    static const struct conn_ops middle = {.on_frame_start = relay_start, .on_closed = relay_closed};
    struct end a = {.tls = tls}, m = {.tls = tls}, b = {.tls = tls};
    struct ends first = tcp_pair(), second = {-1, -1};
    pthread_t ta, tm = 0, tb;
    double start;

    a.frame = calloc(1, frame_bytes);
    must(!loop_new(&a.l, NULL, NULL) && !loop_new(&b.l, NULL, NULL) && !loop_new(&m.l, NULL, NULL), "loop");
    adopt(&a, &a.c, first.client, false, &sender);
    if (relay) {
        second = tcp_pair();
        adopt(&m, &m.c, first.server, true, &middle);
        adopt(&m, &m.next, second.client, false, &middle);
        adopt(&b, &b.c, second.server, true, &receiver);
    } else {
        adopt(&b, &b.c, first.server, true, &receiver);
    }
    start = now_s();
    must(!pthread_create(&ta, NULL, run_end, &a), "thread");
    must(!pthread_create(&tb, NULL, run_end, &b), "thread");
    if (relay)
        must(!pthread_create(&tm, NULL, run_end, &m), "thread");
    else
        loop_free(m.l);
    pthread_join(tb, NULL);
    start = now_s() - start;
    pthread_join(ta, NULL);
    if (relay)
        pthread_join(tm, NULL);
    must(b.got >= total_bytes, "everything arriving");
    free(a.frame);
    return start;
}

static void make_contexts(const char *dir)
{
    static const char *const sans[] = {"DNS:localhost", NULL};
    const struct certs_request r = {.common_name = "bench", .sans = sans, .server = true, .client = true};
    char keystore[128], truststore[128];
    struct tls_opts so = {.keystore = keystore}, co = {.truststore = truststore};

    snprintf(keystore, sizeof keystore, "%s/node.keystore.pem", dir);
    snprintf(truststore, sizeof truststore, "%s/ca.pem", dir);
    must(!certs_make_ca(dir, "ca", "bench", 0, NULL) && !certs_issue(dir, "ca", dir, "node", &r, NULL), "certificates");
    must(!tls_server_new(&server_tls, &so, NULL) && !tls_client_new(&client_tls, &co, NULL), "TLS");
}

static void report(const char *name, double s, double base)
{
    double rate = (double)total_bytes / s / 1e9;

    printf("%-10s %6.2f GB/s  %5.1f%%\n", name, rate, base > 0 ? 100 * rate / base : 100.0);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    char dir[] = "/tmp/bench-net-XXXXXX";
    double raw, tls;

    total_bytes = (argc > 1 ? strtoul(argv[1], NULL, 10) : 2000) << 20;
    frame_bytes = (argc > 2 ? strtoul(argv[2], NULL, 10) : 1024) << 10;
    must(mkdtemp(dir) != NULL, "mkdtemp");
    make_contexts(dir);
    raw = bench_raw();
    report("raw", raw, 0);
    report("conn", bench_conns(false, false), (double)total_bytes / raw / 1e9);
    tls = bench_conns(true, false);
    report("conn+tls", tls, (double)total_bytes / raw / 1e9);
    report("relay", bench_conns(false, true), (double)total_bytes / raw / 1e9);
    printf("against conn+tls: ");
    report("relay+tls", bench_conns(true, true), (double)total_bytes / tls / 1e9);
    tls_free(server_tls);
    tls_free(client_tls);
    return fs_remove_tree(dir) ? 1 : 0;
}
