/* SPDX-License-Identifier: Apache-2.0
 * The HTTPS server of the admin interface: sockets, TLS and requests with libmicrohttpd, a thread for each connection.
 * A request from an address that guessed wrong waits on its connection's thread: before its password is looked at, and
 * before a wrong one is told (door.h). libmicrohttpd cannot suspend a connection that has a thread of its own; one
 * address cannot take all connections with such waits (ADMIN_CONNECTIONS_PER_ADDRESS_MAX).
 *
 * A request, happy path: headers -> body in pieces (kept up to ADMIN_BODY_MAX) -> a view of the newest users and rules
 * -> who is asking -> the route answers -> the bytes are given to the server. A body that is too large is read to its
 * end and refused; what a client never finishes ends with its idle connection. */
#include "gateway/admin/admin_http.h"
#include "core/base/fs.h"
#include "core/base/env.h"
#include "core/base/log.h"
#include "core/base/percent.h"
#include "gateway/admin/admin_request.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <time.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { IDENTIFY_TRIES_MAX = 3, SOCKETS_MAX = 8, PEM_MAX = 1 << 20, ADDRESS_MAX = 300, STATUS_CLASSES = 6 };

struct admin_http {
    struct gateway *gateway;
    struct admin_auth *auth;
    struct admin_health *health;
    pthread_mutex_t lock; /* the two below */
    pthread_cond_t stop_asked;
    bool stopping;
    struct buf pem; /* key and chain, NUL-terminated */
    struct MHD_Daemon *daemons[SOCKETS_MAX];
    char addresses[SOCKETS_MAX][ADDRESS_MAX];
    int n;
    struct metric *answers[STATUS_CLASSES]; /* by the status's first digit; none at 0 */
};

struct exchange { /* what a connection's current request has so far */
    struct buf body;
    const char *uri; /* where the request line says it, until the headers are there */
    size_t uri_n;
    bool started, too_large, uri_is_cut, answered;
};

/* ---- A request ---- */

/* The server hands out what was sent: decoded, a name would be a C string and end at its first %00. */
static size_t leave_encoded(void *ctx, struct MHD_Connection *c, char *text)
{
    (void)ctx;
    (void)c;
    return strlen(text);
}

bool admin_decode(struct arena *a, const char *text, struct slice *out)
{
    uint8_t *p = arena_alloc(a, strlen(text) + 1);
    size_t n;

    if (!p || !percent_decode(slice_str(text), p, &n))
        return false;
    *out = slice_of(p, n);
    return true;
}

bool admin_query(struct admin_request *r, const char *key, struct slice *out)
{
    const char *sent = MHD_lookup_connection_value(r->connection, MHD_GET_ARGUMENT_KIND, key);

    *out = SLICE_NULL;
    if (!sent || admin_decode(&r->arena, sent, out))
        return true;
    admin_refuse(r, 400, "%s is not percent-encoded as it should be: each %% is followed by two hexadecimal digits",
                 key);
    return false;
}

bool admin_query_true(const struct admin_request *r, const char *key)
{
    const char *v = MHD_lookup_connection_value(r->connection, MHD_GET_ARGUMENT_KIND, key);
    return v && strcmp(v, "true") == 0;
}

const char *admin_name_text(struct admin_request *r)
{
    const char *text = slice_has_nul(r->name) ? NULL : arena_strdup(&r->arena, r->name);

    if (!text)
        admin_refuse(r, slice_has_nul(r->name) ? 400 : 500, "this name must not have a NUL byte (%%00) in it");
    return text;
}

static void client_address(struct MHD_Connection *c, char text[INET6_ADDRSTRLEN])
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *a = info ? info->client_addr : NULL;

    text[0] = 0;
    if (a && a->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)a)->sin_addr, text, INET6_ADDRSTRLEN);
    else if (a && a->sa_family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr, text, INET6_ADDRSTRLEN);
}

static enum MHD_Result send_answer(struct admin_http *a, struct admin_request *r, struct MHD_Connection *c)
{
    struct MHD_Response *resp;
    enum MHD_Result result;
    void *bytes;

    if (buf_error(&r->out)) {
        buf_clear(&r->out);
        r->status = 500;
    }
    bytes = r->out.p;
    resp = MHD_create_response_from_buffer(r->out.n, bytes ? bytes : (void *)"",
                                           bytes ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
    if (!resp)
        return MHD_NO;
    buf_init(&r->out, 0); /* the server owns the bytes now */
    MHD_add_response_header(resp, MHD_HTTP_HEADER_CONTENT_TYPE, r->content_type);
    MHD_add_response_header(resp, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(resp, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(resp, "Content-Security-Policy", *r->csp ? r->csp : "default-src 'none'");
    if (r->status == 401)
        MHD_add_response_header(resp, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Basic realm=\"castellan\", charset=\"UTF-8\"");
    result = MHD_queue_response(c, r->status, resp);
    MHD_destroy_response(resp);
    if (r->status >= 100 && r->status / 100 < STATUS_CLASSES)
        metric_add(a->answers[r->status / 100], 1);
    return result;
}

/* On the connection's own thread, which serves nobody else; ends early when the interface stops. */
static void wait_ms(struct admin_http *a, int64_t ms)
{
    int64_t until_ms = env_mono_ms(env_system()) + ms;
    struct timespec until = {until_ms / 1000, until_ms % 1000 * 1000000};

    pthread_mutex_lock(&a->lock);
    while (ms > 0 && !a->stopping && pthread_cond_timedwait(&a->stop_asked, &a->lock, &until) == 0)
        ;
    pthread_mutex_unlock(&a->lock);
}

/* A connection's own: the mark of the header that was good on it last. NULL: no memory. */
static uint64_t *mark_of(struct MHD_Connection *c)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

static void on_connection(void *ctx, struct MHD_Connection *c, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    (void)ctx;
    (void)c;
    switch (code) {
    case MHD_CONNECTION_NOTIFY_STARTED:
        *socket_context = calloc(1, sizeof(uint64_t));
        break;
    case MHD_CONNECTION_NOTIFY_CLOSED:
        free(*socket_context);
        *socket_context = NULL;
        break;
    }
}

/* Who is asking, by the newest users there are: they may change while a password is being hashed. */
static bool identify(struct admin_http *a, struct admin_request *r, const char *header)
{
    for (int tries = 0; tries < IDENTIFY_TRIES_MAX; tries++) {
        struct view *newest;
        bool same;

        buf_clear(&r->principal);
        if (!admin_identify(a->auth, r->view, header, &r->principal))
            return false;
        newest = knowledge_view(a->gateway->knowledge);
        if (!newest)
            return false;
        same = users_snapshot_id(newest->users) == users_snapshot_id(r->view->users);
        view_free(r->view);
        r->view = newest;
        if (same)
            return true;
    }
    return false;
}

/* Judges the header, if there is one, when the address's turn has come, and returns when the outcome may be told. */
static void judge(struct admin_http *a, struct admin_request *r, const char *header)
{
    struct address_group from = address_group_of_text(r->host);
    struct door *door = &a->gateway->door;
    uint64_t *mark = mark_of(r->connection);
    int64_t waited_ms = 0;

    if (!header || !r->view)
        return;
    if (!mark || *mark != admin_header_mark(a->auth, header))
        waited_ms = door_before(door, &from);
    wait_ms(a, waited_ms);
    if (identify(a, r, header)) {
        if (mark)
            *mark = admin_header_mark(a->auth, header);
        return;
    }
    buf_clear(&r->principal);
    gateway_audit_login(a->gateway->audit, SLICE_NULL, slice_str(r->host), "admin interface", "wrong_credentials");
    wait_ms(a, door_failed(door, &from, waited_ms));
}

static enum MHD_Result serve(struct admin_http *a, struct exchange *x, struct MHD_Connection *c, const char *method,
                             const char *path)
{
    char host[INET6_ADDRSTRLEN];
    struct admin_request r = {.gateway = a->gateway,
                              .auth = a->auth,
                              .health = a->health,
                              .connection = c,
                              .method = method,
                              .path = path,
                              .host = host,
                              .body = buf_slice(&x->body),
                              .status = 500,
                              .content_type = "application/json"};
    const char *header = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION);
    enum MHD_Result result;

    x->answered = true;
    client_address(c, host);
    arena_init(&r.arena, 0);
    buf_init(&r.principal, 0);
    buf_init(&r.out, 0);
    r.view = knowledge_view(a->gateway->knowledge);
    judge(a, &r, header);
    if (x->too_large)
        admin_refuse(&r, 413, "the body is larger than %d bytes", ADMIN_BODY_MAX);
    else if (x->uri_is_cut)
        admin_refuse(&r, 400, "the path has a NUL byte in it, which is written %%00");
    else
        admin_route(&r);
    result = send_answer(a, &r, c);
    view_free(r.view);
    buf_free(&r.principal);
    buf_free(&r.out);
    arena_free(&r.arena);
    return result;
}

static void *on_uri(void *ctx, const char *uri, struct MHD_Connection *c)
{
    struct exchange *x = calloc(1, sizeof *x);

    (void)ctx;
    (void)c;
    if (!x)
        return NULL;
    buf_init(&x->body, ADMIN_BODY_MAX);
    x->uri = uri;
    x->uri_n = strlen(uri);
    return x;
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *c, const char *url, const char *method,
                                  const char *version, const char *upload, size_t *upload_n, void **state)
{
    struct exchange *x = *state;

    if (!x)
        return MHD_NO;
    if (!x->started) { /* the first call comes with the headers alone */
        x->started = true;
        x->uri_is_cut = percent_uri_is_cut(x->uri, x->uri_n, version);
        x->uri = NULL;
        return MHD_YES;
    }
    if (*upload_n) {
        buf_put(&x->body, upload, *upload_n);
        x->too_large = x->too_large || buf_error(&x->body) != ERR_OK;
        *upload_n = 0;
        return MHD_YES;
    }
    return x->answered ? MHD_YES : serve(ctx, x, c, method, url);
}

static void on_completed(void *ctx, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode code)
{
    struct exchange *x = *state;

    (void)ctx;
    (void)c;
    (void)code;
    if (x)
        buf_free(&x->body);
    free(x);
    *state = NULL;
}

/* ---- Sockets ---- */

static int open_socket(const struct addrinfo *ai, uint16_t *port)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } a;
    socklen_t n = ai->ai_addrlen;
    int one = 1, fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), saved;

    if (fd < 0 || n > sizeof a) {
        if (fd >= 0)
            close(fd);
        return -1;
    }
    memcpy(&a, ai->ai_addr, n);
    if (ai->ai_family == AF_INET6)
        a.v6.sin6_port = htons(*port);
    else
        a.v4.sin_port = htons(*port);
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) ||
        (ai->ai_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one)) ||
        bind(fd, &a.any, n) || listen(fd, SOMAXCONN) || getsockname(fd, &a.any, &n)) {
        saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    *port = ntohs(ai->ai_family == AF_INET6 ? a.v6.sin6_port : a.v4.sin_port);
    return fd;
}

static enum err serve_socket(struct admin_http *a, int fd, const struct addrinfo *ai, uint16_t port, struct reason *why)
{
    char host[INET6_ADDRSTRLEN];
    struct MHD_OptionItem options[] = {
        {MHD_OPTION_LISTEN_SOCKET, fd, NULL},
        {MHD_OPTION_CONNECTION_LIMIT, ADMIN_CONNECTIONS_MAX, NULL},
        {MHD_OPTION_PER_IP_CONNECTION_LIMIT, ADMIN_CONNECTIONS_PER_ADDRESS_MAX, NULL},
        {MHD_OPTION_CONNECTION_TIMEOUT, ADMIN_IDLE_SECONDS, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, ADMIN_HEAD_MAX, NULL},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, buf_cstr(&a->pem)},
        {MHD_OPTION_HTTPS_MEM_CERT, 0, buf_cstr(&a->pem)},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)"NORMAL:-VERS-TLS1.0:-VERS-TLS1.1"},
        {MHD_OPTION_END, 0, NULL},
    };

    if (getnameinfo(ai->ai_addr, ai->ai_addrlen, host, sizeof host, NULL, 0, NI_NUMERICHOST))
        host[0] = 0;
    snprintf(a->addresses[a->n], ADDRESS_MAX, ai->ai_family == AF_INET6 ? "https://[%s]:%u" : "https://%s:%u", host,
             port);
    a->daemons[a->n] =
        MHD_start_daemon(MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_TLS |
                             (ai->ai_family == AF_INET6 ? MHD_USE_IPv6 : 0),
                         0, NULL, NULL, on_request, a, MHD_OPTION_NOTIFY_COMPLETED, on_completed, a,
                         MHD_OPTION_NOTIFY_CONNECTION, on_connection, a, MHD_OPTION_URI_LOG_CALLBACK, on_uri, a,
                         MHD_OPTION_UNESCAPE_CALLBACK, leave_encoded, a, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
    if (!a->daemons[a->n]) {
        close(fd);
        return reason_set(why, ERR_TLS, "%s: cannot serve (wrong key or certificate in ssl.keystore.location?)",
                          a->addresses[a->n]);
    }
    a->n++;
    return ERR_OK;
}

/* "localhost" is both loopback addresses, whatever a resolver says; a machine without IPv6 has one. */
static enum err listen_on(struct admin_http *a, const char *host, uint16_t port, struct reason *why)
{
    static const char *const loopback[] = {"127.0.0.1", "::1"};
    bool local = strcmp(host, "localhost") == 0;
    int failed = 0;

    for (int i = 0; i < (local ? 2 : 1); i++) {
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found = NULL;
        const char *name = local ? loopback[i] : *host && strcmp(host, "*") != 0 ? host : NULL;
        int code = getaddrinfo(name, "0", &hints, &found);

        if (code)
            return reason_set(why, ERR_BAD_CONFIG, "castellan.admin.listener: %s: %s", host, gai_strerror(code));
        for (struct addrinfo *ai = found; ai && a->n < SOCKETS_MAX; ai = ai->ai_next) {
            int fd = open_socket(ai, &port);
            enum err err;

            if (fd < 0) {
                failed = errno;
                if (failed == EADDRINUSE)
                    break;
                continue;
            }
            err = serve_socket(a, fd, ai, port, why);
            if (err) {
                freeaddrinfo(found);
                return err;
            }
        }
        freeaddrinfo(found);
        if (failed == EADDRINUSE)
            return reason_set(why, ERR_ADDRESS_IN_USE, "castellan.admin.listener: %s:%u is in use by another program",
                              host, port);
    }
    if (a->n == 0)
        return reason_set(why, err_from_errno(failed), "castellan.admin.listener: cannot listen on %s:%u: %s", host,
                          port, strerror(failed));
    return ERR_OK;
}

/* ---- Start and stop ---- */

static enum err configure(struct admin_http *a, struct host_port *hp, struct reason *why)
{
    const char *listener = settings_string(a->gateway->settings, "castellan.admin.listener");
    const char *keystore = settings_string(a->gateway->settings, "ssl.keystore.location");
    enum err err = host_port_parse(hp, slice_str(listener), why);

    if (err)
        return err;
    if (strcmp(hp->scheme, "https") != 0)
        return reason_set(why, ERR_BAD_CONFIG, "castellan.admin.listener must be https://host:port, not %s", listener);
    if (!keystore)
        return reason_set(why, ERR_BAD_CONFIG, "castellan.admin.listener needs ssl.keystore.location");
    err = fs_read_file(keystore, &a->pem, why);
    if (err)
        return err;
    a->auth = admin_auth_new();
    if (!a->auth)
        return reason_set(why, ERR_NO_MEMORY, "no memory for the admin interface");
    return admin_health_new(&a->health, a->gateway, why);
}

static void init_waiting(struct admin_http *a)
{
    pthread_condattr_t monotonic;

    pthread_mutex_init(&a->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&a->stop_asked, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

enum err admin_http_start(struct admin_http **out, struct gateway *g, struct reason *why)
{
    struct admin_http *a;
    struct host_port hp;
    enum err err;

    *out = NULL;
    if (!settings_has(g->settings, "castellan.admin.listener"))
        return ERR_OK;
    a = calloc(1, sizeof *a);
    if (!a)
        return reason_set(why, ERR_NO_MEMORY, "no memory for the admin interface");
    a->gateway = g;
    init_waiting(a);
    buf_init(&a->pem, PEM_MAX);
    for (int i = 1; i < STATUS_CLASSES; i++) {
        char labels[32];
        snprintf(labels, sizeof labels, "status=\"%dxx\"", i);
        a->answers[i] =
            metrics_counter("castellan_admin_requests_total", labels, "Requests to the admin interface, by status.");
    }
    err = configure(a, &hp, why);
    if (!err)
        err = listen_on(a, hp.host, hp.port, why);
    if (err) {
        admin_http_stop(a);
        return err;
    }
    for (int i = 0; i < a->n; i++)
        log_info("admin interface on %s", a->addresses[i]);
    *out = a;
    return ERR_OK;
}

void admin_http_stop(struct admin_http *a)
{
    if (!a)
        return;
    pthread_mutex_lock(&a->lock);
    a->stopping = true;
    pthread_cond_broadcast(&a->stop_asked);
    pthread_mutex_unlock(&a->lock);
    for (int i = 0; i < a->n; i++)
        MHD_stop_daemon(a->daemons[i]);
    admin_auth_free(a->auth);
    admin_health_free(a->health);
    buf_wipe_free(&a->pem);
    pthread_cond_destroy(&a->stop_asked);
    pthread_mutex_destroy(&a->lock);
    free(a);
}
