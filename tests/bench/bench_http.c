/* SPDX-License-Identifier: Apache-2.0
 * Load for an HTTP/1.1 server on loopback: keep-alive connections, each with one request in flight, for a fixed time.
 *
 *   bench_http PORT CONNECTIONS SECONDS METHOD PATH [BODY [HEADER...]]
 *
 * '#' in PATH and BODY becomes a number counted up over all requests, so that each registers something new. Prints
 * requests per second and the median and 99th percentile of the latency in microseconds; any answer but a 200 ends the
 * run with its text. */
#include "core/base/buf.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 1024, ANSWER_MAX = 64 * 1024 * 1024, SAMPLES_MAX = 8 * 1024 * 1024, READ_PIECE = 64 * 1024 };

struct connection {
    int fd;
    struct buf in;
    int64_t sent_ns;
};

static const char *method, *path, *body = "";
static char **headers;
static int headers_n, epoll;
static unsigned long next_number = 1;
static struct connection connections[CONNECTIONS_MAX];
static uint32_t *samples; /* microseconds */
static size_t samples_n;

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void die(const char *what)
{
    fprintf(stderr, "bench_http: %s\n", what);
    exit(1);
}

static void put_numbered(struct buf *out, const char *text, unsigned long number)
{
    for (; *text; text++)
        if (*text == '#')
            buf_printf(out, "%lu", number);
        else
            buf_put(out, text, 1);
}

static void send_request(struct connection *c)
{
    struct buf out, content;
    unsigned long number = next_number++;
    buf_init(&out, 0);
    buf_init(&content, 0);
    put_numbered(&content, body, number);
    buf_printf(&out, "%s ", method);
    put_numbered(&out, path, number);
    buf_put_str(&out, " HTTP/1.1\r\nHost: localhost\r\n");
    for (int i = 0; i < headers_n; i++)
        buf_printf(&out, "%s\r\n", headers[i]);
    if (content.n)
        buf_printf(&out, "Content-Type: application/json\r\nContent-Length: %zu\r\n", content.n);
    buf_put_str(&out, "\r\n");
    buf_put_slice(&out, buf_slice(&content));
    c->sent_ns = now_ns();
    for (size_t at = 0; at < out.n;) {
        ssize_t n = write(c->fd, out.p + at, out.n - at);
        if (n <= 0)
            die("the server hung up");
        at += (size_t)n;
    }
    buf_free(&out);
    buf_free(&content);
}

static void open_connection(struct connection *c, int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int one = 1;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to))
        die("cannot connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    buf_init(&c->in, ANSWER_MAX);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &ev))
        die("epoll");
}

/* The whole answer's size when it has arrived, else 0. */
static size_t answer_size(struct connection *c)
{
    const char *text = buf_cstr(&c->in);
    const char *end = strstr(text, "\r\n\r\n");
    const char *length = end ? strcasestr(text, "\r\nContent-Length:") : NULL;
    if (!end)
        return 0;
    if (!length || length > end)
        die("an answer without Content-Length");
    size_t size = (size_t)(end - text) + 4 + strtoul(length + 17, NULL, 10);
    return c->in.n >= size ? size : 0;
}

static void on_readable(struct connection *c)
{
    uint8_t *at = buf_reserve(&c->in, READ_PIECE) ? c->in.p + c->in.n : NULL;
    ssize_t n = at ? read(c->fd, at, READ_PIECE) : -1;
    if (n <= 0)
        die("the server hung up");
    c->in.n += (size_t)n;
    if (!answer_size(c))
        return;
    if (strncmp(buf_cstr(&c->in), "HTTP/1.1 200", 12))
        die(buf_cstr(&c->in));
    if (samples_n < SAMPLES_MAX)
        samples[samples_n++] = (uint32_t)((now_ns() - c->sent_ns) / 1000);
    buf_clear(&c->in);
    send_request(c);
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    struct epoll_event events[64];
    if (argc < 6)
        die("usage: bench_http PORT CONNECTIONS SECONDS METHOD PATH [BODY [HEADER...]]");
    int port = (int)strtol(argv[1], NULL, 10), n = (int)strtol(argv[2], NULL, 10);
    double seconds = strtod(argv[3], NULL);
    method = argv[4];
    path = argv[5];
    body = argc > 6 ? argv[6] : "";
    headers = argv + 7;
    headers_n = argc > 7 ? argc - 7 : 0;
    samples = malloc(SAMPLES_MAX * sizeof *samples);
    epoll = epoll_create1(0);
    if (n < 1 || n > CONNECTIONS_MAX || !samples || epoll < 0)
        die("wrong number of connections, or out of memory");
    int64_t started = now_ns(), until = started + (int64_t)(seconds * 1e9);
    for (int i = 0; i < n; i++) {
        open_connection(&connections[i], port);
        send_request(&connections[i]);
    }
    while (now_ns() < until) {
        int ready = epoll_wait(epoll, events, 64, 100);
        for (int i = 0; i < ready; i++)
            on_readable(events[i].data.ptr);
    }
    double took = (double)(now_ns() - started) / 1e9;
    if (!samples_n)
        die("nothing was answered");
    qsort(samples, samples_n, sizeof *samples, by_value);
    printf("%.0f %u %u\n", (double)samples_n / took, samples[samples_n / 2], samples[samples_n * 99 / 100]);
    for (int i = 0; i < n; i++) {
        close(connections[i].fd);
        buf_free(&connections[i].in);
    }
    free(samples);
    close(epoll);
    return 0;
}
