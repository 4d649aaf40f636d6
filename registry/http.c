/* SPDX-License-Identifier: Apache-2.0
 * The registry over HTTP and HTTPS with libmicrohttpd.
 *
 * A request, happy path: MHD hands over the raw target (on_uri), then calls with the headers alone (admit: framing ->
 * route -> identify -> negotiate), then with the body in pieces, then for the answer: read under the lock, or submit a
 * change and suspend the connection until it was committed. The connection is suspended before the change is submitted,
 * so that its completion can only resume it.
 * An Authorization header from an address that failed too often waits before it is judged, and a refusal before it is
 * told (acl/failure_limit.h): the connection is suspended, and a timer thread resumes it.
 * A request refused by its headers keeps no byte of its body: that is read and dropped, so that the client, still
 * sending, does see the answer; a body that is endless or never comes ends with the connection.
 * Ownership: struct request belongs to the connection, freed in on_completed; its answer's bytes are given to MHD.
 * Each listener has its own pool of threads with epoll; nothing blocks in them but a first password check. */
#include "registry/http.h"

#include "core/base/env.h"
#include "core/base/fs.h"
#include "core/base/heap.h"
#include "core/base/later.h"
#include "core/base/log.h"
#include "core/base/percent.h"
#include "core/base/metrics.h"
#include "registry/http_negotiate.h"
#include "registry/http_watch.h"

#include "registry/http_audit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    LISTENERS_MAX = 8,
    TRIM_MIN = 64 * 1024, /* bytes of a body after which memory is given back */
    DRAIN_LOOK_US = 2000,
};

struct listener {
    struct MHD_Daemon *daemon;
    bool tls;
    char address[HTTP_HOST_MAX + 32];
};

struct http {
    struct http_config config;
    struct listener listeners[LISTENERS_MAX];
    size_t n;
    struct watch *watch;
    struct later *later;
    struct buf key, trust;      /* PEM, NUL-terminated */
    struct buf priorities;      /* GnuTLS's */
    struct metric *requests[6]; /* by first digit of the status */
    struct histogram **seconds; /* by route */
    atomic_size_t in_flight;
    atomic_bool draining;
};

enum phase { PHASE_BODY, PHASE_SUBMITTED, PHASE_ANSWERED };

struct request {
    struct http *http;
    struct MHD_Connection *connection;
    struct rest_request rest;
    struct answer answer;
    struct buf body, principal;
    char host[INET6_ADDRSTRLEN];
    const char *content_type;
    const struct rest_route *route;
    struct change *change;
    char *target;
    const char *uri; /* where the request line says it, until the headers are there */
    atomic_int phase;
    uint64_t body_n;    /* bytes received, kept or not */
    int64_t started_us; /* monotonic */
    struct auth_refusal refusal;
    bool has_certificate;
    bool uri_is_cut;
    bool seen, judged, refused; /* refused: the answer stands, the body is dropped */
    bool suspended;             /* in the call at hand */
    struct later_item later;
    int64_t waited_ms; /* before it was judged */
};

/* --- the request --- */

static void *on_uri(void *ctx, const char *uri, struct MHD_Connection *connection)
{
    struct request *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->http = ctx;
    atomic_fetch_add(&r->http->in_flight, 1);
    r->connection = connection;
    rest_request_init(&r->rest);
    answer_init(&r->answer);
    buf_init(&r->body, REST_BODY_MAX);
    buf_init(&r->principal, 0);
    atomic_init(&r->phase, PHASE_BODY);
    r->content_type = HTTP_TYPE_V1;
    r->started_us = env_system()->mono_us(env_system());
    r->target = strdup(uri);
    r->uri = uri;
    return r;
}

static struct watched *watched_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

static void on_connection(void *ctx, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct http *h = ctx;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    switch (code) {
    case MHD_CONNECTION_NOTIFY_STARTED:
        *socket_context = info ? watch_open(h->watch, info->connect_fd) : NULL;
        break;
    case MHD_CONNECTION_NOTIFY_CLOSED:
        watch_close(h->watch, *socket_context);
        *socket_context = NULL;
        break;
    }
}

static void on_completed(void *ctx, struct MHD_Connection *connection, void **con_cls,
                         enum MHD_RequestTerminationCode code)
{
    struct request *r = *con_cls;
    (void)ctx, (void)code;
    watch_waiting(watched_of(connection));
    if (!r)
        return;
    rest_change_free(r->change);
    rest_request_free(&r->rest);
    answer_free(&r->answer);
    buf_free(&r->body);
    buf_free(&r->principal);
    free(r->target);
    bool large = r->body_n >= TRIM_MIN;
    atomic_fetch_sub(&r->http->in_flight, 1);
    free(r);
    *con_cls = NULL;
    if (large) /* what a large request took goes back to the system, not into the arenas of so many threads */
        heap_give_back();
}

static void add_challenges(struct request *r, struct MHD_Response *response)
{
    struct buf text;
    buf_init(&text, 0);
    for (size_t i = 0; auth_challenge(r->http->config.auth, &r->refusal, r->http->config.realm, i, &text); i++) {
        MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, buf_cstr(&text));
        buf_clear(&text);
    }
    buf_free(&text);
}

static enum MHD_Result send_answer(struct request *r)
{
    struct answer *a = &r->answer;
    if (buf_error(&a->body))
        (void)!answer_error(a, 500, "Internal Server Error: %s", err_text(buf_error(&a->body)));
    struct MHD_Response *response = MHD_create_response_from_buffer(a->body.n, a->body.p, MHD_RESPMEM_MUST_FREE);
    if (!response)
        return MHD_NO;
    buf_init(&a->body, 0); /* MHD owns the bytes now */
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
                            a->content_type ? a->content_type : r->content_type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_VARY, "Accept");
    cors_answer(&r->http->config.cors, r->connection, response);
    if (a->allow) {
        char text[HTTP_ALLOW_MAX];
        http_allow(text, a->allow);
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, text);
    }
    if (atomic_load(&r->http->draining))
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    if (a->authenticate)
        add_challenges(r, response);
    enum MHD_Result result = MHD_queue_response(r->connection, (unsigned)a->status, response);
    MHD_destroy_response(response);
    int digit = a->status / 100;
    if (digit >= 1 && digit <= 5)
        metric_add(r->http->requests[digit], 1);
    if (r->route)
        histogram_observe_us(r->http->seconds[rest_route_index(r->route)],
                             env_system()->mono_us(env_system()) - r->started_us);
    atomic_store(&r->phase, PHASE_ANSWERED);
    return result;
}

static bool may(void *ctx, enum rest_right right, struct slice subject)
{
    struct request *r = ctx;
    return auth_allowed(r->http->config.auth, buf_slice(&r->principal), slice_str(r->host), right, subject);
}

static bool needs_certificate(const struct request *r)
{
    return r->http->config.client_auth == CLIENT_AUTH_REQUIRED;
}

static void note_host(struct request *r)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *sa = info ? info->client_addr : NULL;
    if (sa && sa->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)sa)->sin_addr, r->host, sizeof r->host);
    else if (sa && sa->sa_family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)sa)->sin6_addr, r->host, sizeof r->host);
}

static const char *header(const struct request *r, const char *name)
{
    return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}

static enum err refuse_unknown(struct request *r)
{
    bool scope = r->refusal.token && r->refusal.verdict == JWT_SCOPE;
    r->answer.authenticate = r->http->config.auth && (r->has_certificate || !needs_certificate(r));
    return scope ? answer_error(&r->answer, 403, "Forbidden") : answer_error(&r->answer, 401, "Unauthorized");
}

/* ERR_AUTH: refused for its certificate, or for the lack of one. */
static enum err judge_certificate(struct request *r, struct buf *subject, int64_t *from_s)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    enum http_certificate c = CERTIFICATE_NONE;
    const char *why = NULL;
    if (r->http->config.client_auth != CLIENT_AUTH_NONE)
        c = http_certificate_of(info ? info->tls_session : NULL, subject, from_s, &why);
    r->has_certificate = c == CERTIFICATE_GOOD;
    r->refusal.tried = c == CERTIFICATE_BAD;
    if (c == CERTIFICATE_NONE && needs_certificate(r))
        r->refusal.reason = "no_certificate";
    else if (c == CERTIFICATE_BAD)
        r->refusal.reason = why;
    return r->refusal.reason ? ERR_AUTH : ERR_OK;
}

static enum err identify(struct request *r)
{
    struct auth *auth = r->http->config.auth;
    struct buf dn;
    if (rest_route_is_public(r->route))
        return ERR_OK;
    buf_init(&dn, PRINCIPAL_DN_MAX);
    struct auth_shown shown = {.header = header(r, MHD_HTTP_HEADER_AUTHORIZATION)};
    enum err e = judge_certificate(r, &dn, &shown.dn_from_s);
    shown.dn = r->has_certificate ? buf_cstr(&dn) : NULL;
    if (!e && auth) {
        e = auth_identify(auth, &shown, &r->principal, &r->refusal);
        if (!e && shown.header)
            watched_set_mark(watched_of(r->connection), auth_header_mark(auth, shown.header));
        r->rest.allowed = may;
        r->rest.allowed_ctx = r;
    }
    buf_free(&dn);
    return e ? refuse_unknown(r) : ERR_OK;
}

struct framing {
    unsigned lengths, encodings;
    bool chunked; /* the last encoding seen */
};

static enum MHD_Result count_framing(void *ctx, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct framing *f = ctx;
    (void)kind;
    f->lengths += !strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH);
    if (!strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING)) {
        f->encodings++;
        f->chunked = value && !strcasecmp(value, "chunked");
    }
    return MHD_YES;
}

/* How long the body is has to be clear, or a proxy in front and we would see different requests (RFC 9112, 6.3). */
static enum err check_framing(struct request *r)
{
    struct framing f = {0};
    MHD_get_connection_values(r->connection, MHD_HEADER_KIND, count_framing, &f);
    if (f.encodings > 1 || (f.encodings && !f.chunked))
        return answer_error(&r->answer, 501, "HTTP 501 Not Implemented: the only transfer encoding is chunked");
    if (f.lengths > 1 || (f.lengths && f.encodings))
        return answer_error(&r->answer, 400, "Bad Request: the length of the body is given twice");
    return ERR_OK;
}

/* The length announced; 0 when none is (chunked, or no body). MHD has checked that it is a number. */
static uint64_t announced(const struct request *r)
{
    const char *length = header(r, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return length ? strtoull(length, NULL, 10) : 0;
}

static enum err too_large(struct request *r)
{
    return answer_error(&r->answer, 413, "The request body is larger than %d bytes", REST_BODY_MAX);
}

static enum err check_types(struct request *r)
{
    const char *accept = header(r, MHD_HTTP_HEADER_ACCEPT);
    const char *type = header(r, MHD_HTTP_HEADER_CONTENT_TYPE);
    const char *best = http_answer_type(accept);
    bool picky = !rest_route_is_public(r->route) && strcmp(rest_route_name(r->route), "metrics") != 0;
    int status = picky ? http_type_status(type) : 200;
    r->content_type = best && status != 400 ? best : HTTP_TYPE_JSON;
    if (status == 400)
        return answer_error(&r->answer, 400, "Bad Request");
    if (status == 415)
        return answer_error(&r->answer, 415, "HTTP 415 Unsupported Media Type");
    if (picky && !best)
        return answer_error(&r->answer, 406, "HTTP 406 Not Acceptable");
    return ERR_OK;
}

static void audit(struct request *r, void (*done)(void *ctx))
{
    struct http_audited a = {r->route,          &r->rest, r->change, &r->answer, &r->refusal, buf_slice(&r->principal),
                             slice_str(r->host)};
    http_audit(r->http->config.audit, &a, done, r);
}

static void resume(void *ctx)
{
    struct request *r = ctx;
    MHD_resume_connection(r->connection);
}

static void change_done(void *ctx)
{
    audit(ctx, resume);
}

/* What the headers decide, before any byte of the body is kept. */
static enum err admit(struct request *r)
{
    note_host(r);
    enum err e = check_framing(r);
    if (!e && r->uri_is_cut)
        e = answer_error(&r->answer, 400, "Bad Request: the path has a NUL byte in it");
    if (!e)
        e = rest_request_target(&r->rest, slice_str(r->target), &r->answer);
    if (!e) {
        r->route = rest_route(&r->rest, &r->answer);
        e = r->route ? ERR_OK : ERR_CONFLICT;
    }
    if (!e)
        e = identify(r);
    if (!e)
        e = check_types(r);
    if (!e && announced(r) > REST_BODY_MAX)
        e = too_large(r);
    return e;
}

static void let_wait(struct request *r, int64_t ms)
{
    r->suspended = true;
    MHD_suspend_connection(r->connection);
    later_add(r->http->later, &r->later, ms, resume, r);
}

/* How long the request waits until it is judged: only for a header, and not for one that was good on this connection.
 */
static int64_t wait_before(struct request *r)
{
    struct auth *auth = r->http->config.auth;
    const char *shown = header(r, MHD_HTTP_HEADER_AUTHORIZATION);
    if (!auth || !shown || watched_mark(watched_of(r->connection)) == auth_header_mark(auth, shown))
        return 0;
    note_host(r);
    return auth_before(auth, r->host);
}

static void judge(struct request *r)
{
    struct auth *auth = r->http->config.auth;
    r->judged = true;
    r->refused = admit(r) != ERR_OK;
    if (!r->refused)
        return;
    audit(r, NULL);
    bool failed = auth && r->refusal.reason && r->refusal.tried && r->refusal.verdict != JWT_SCOPE;
    int64_t delay_ms = failed ? auth_failed(auth, r->host, r->waited_ms) : 0;
    if (delay_ms > 0)
        let_wait(r, delay_ms);
}

/* The first call of a request. A refusal waits for the end of the body, unless the client waits for us or there is too
 * much of it; MHD closes the connection then. */
static enum MHD_Result begin(struct request *r, const char *method, const char *version)
{
    if (!r->target)
        return MHD_NO;
    r->uri_is_cut = percent_uri_is_cut(r->uri, strlen(r->target), version);
    r->seen = true;
    watch_busy(watched_of(r->connection));
    r->rest.method = http_method(method);
    r->waited_ms = wait_before(r);
    if (r->waited_ms > 0)
        let_wait(r, r->waited_ms);
    else
        judge(r);
    if (r->suspended)
        return MHD_YES; /* an answer that was made to wait comes at the end of the body */
    bool now = header(r, MHD_HTTP_HEADER_EXPECT) || announced(r) > HTTP_DRAIN_MAX || r->answer.status == 501;
    return r->refused && now ? send_answer(r) : MHD_YES;
}

static enum MHD_Result take_body(struct request *r, const char *p, size_t n)
{
    r->body_n += n;
    if (!r->refused && r->body_n > REST_BODY_MAX) {
        r->refused = too_large(r) != ERR_OK;
        buf_free(&r->body);
    }
    if (!r->refused)
        buf_put(&r->body, p, n);
    int64_t took_us = env_system()->mono_us(env_system()) - r->started_us;
    bool late = took_us > r->http->config.body_ms * INT64_C(1000);
    return late || r->body_n > HTTP_DRAIN_MAX || buf_error(&r->body) ? MHD_NO : MHD_YES;
}

static enum MHD_Result serve(struct request *r)
{
    struct http *h = r->http;
    if (r->refused)
        return send_answer(r);
    r->rest.body = buf_slice(&r->body);
    pthread_rwlock_rdlock(h->config.lock);
    rest_run(r->route, h->config.rest, &r->rest, &r->answer, &r->change);
    pthread_rwlock_unlock(h->config.lock);
    if (!r->change) {
        audit(r, NULL);
        return send_answer(r);
    }
    atomic_store(&r->phase, PHASE_SUBMITTED);
    MHD_suspend_connection(r->connection);
    h->config.submit(h->config.submit_ctx, r->change, change_done, r);
    return MHD_YES;
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version, const char *upload, size_t *upload_n, void **con_cls)
{
    struct request *r = *con_cls;
    (void)ctx, (void)connection, (void)url;
    if (!r)
        return MHD_NO;
    switch ((enum phase)atomic_load(&r->phase)) {
    case PHASE_ANSWERED:
        return MHD_YES;
    case PHASE_SUBMITTED: /* resumed: the change is done */
        return send_answer(r);
    case PHASE_BODY:
        break;
    }
    r->suspended = false;
    if (!r->seen)
        return begin(r, method, version);
    if (!r->judged)
        judge(r);
    if (!*upload_n)
        return r->suspended ? MHD_YES : serve(r);
    size_t n = *upload_n;
    *upload_n = 0;
    return take_body(r, upload, n);
}

/* --- listeners --- */

static enum err open_socket(const char *host, const char *port, int *fd, int *bound_port, struct reason *why)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *list = NULL;
    int one = 1, failed = 0;
    if (!strcmp(host, "localhost"))
        host = "127.0.0.1";
    int code = getaddrinfo(*host ? host : NULL, port, &hints, &list);
    if (code)
        return reason_set(why, ERR_BAD_CONFIG, "listener %s:%s: %s", host, port, gai_strerror(code));
    *fd = -1;
    for (struct addrinfo *ai = list; ai && *fd < 0; ai = ai->ai_next) {
        *fd = socket(ai->ai_family, ai->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, ai->ai_protocol);
        if (*fd < 0)
            continue;
        setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        if (bind(*fd, ai->ai_addr, ai->ai_addrlen) || listen(*fd, SOMAXCONN)) {
            failed = errno;
            close(*fd);
            *fd = -1;
        }
    }
    freeaddrinfo(list);
    if (*fd < 0)
        return reason_set(why, err_from_errno(failed), "listener %s:%s: %s", host, port, strerror(failed));
    struct sockaddr_storage ss;
    socklen_t n = sizeof ss;
    getsockname(*fd, (struct sockaddr *)&ss, &n);
    *bound_port = ntohs(ss.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&ss)->sin6_port
                                                 : ((struct sockaddr_in *)&ss)->sin_port);
    return ERR_OK;
}

static enum err start_daemon(struct http *h, struct listener *l, int fd, struct reason *why)
{
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | (l->tls ? MHD_USE_TLS : 0);
    struct MHD_OptionItem options[] = {
        {MHD_OPTION_LISTEN_SOCKET, fd, NULL},
        {MHD_OPTION_CONNECTION_LIMIT, HTTP_CONNECTIONS_MAX, NULL},
        {MHD_OPTION_CONNECTION_TIMEOUT, h->config.idle_seconds, NULL},
        {MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, HTTP_HEADERS_MAX, NULL},
        {h->config.threads > 1 ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_CONNECTION_MEMORY_INCREMENT,
         h->config.threads > 1 ? (intptr_t)h->config.threads : 1024, NULL},
        {l->tls ? MHD_OPTION_HTTPS_MEM_KEY : MHD_OPTION_END, 0, l->tls ? buf_cstr(&h->key) : NULL},
        {MHD_OPTION_HTTPS_KEY_PASSWORD, 0, (void *)h->config.key_password},
        {MHD_OPTION_HTTPS_MEM_CERT, 0, l->tls ? buf_cstr(&h->key) : NULL},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, buf_cstr(&h->priorities)},
        {h->trust.n && h->config.client_auth != CLIENT_AUTH_NONE ? MHD_OPTION_HTTPS_MEM_TRUST : MHD_OPTION_END, 0,
         h->trust.n ? buf_cstr(&h->trust) : NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    l->daemon = MHD_start_daemon(flags, 0, NULL, NULL, on_request, h, MHD_OPTION_URI_LOG_CALLBACK, on_uri, h,
                                 MHD_OPTION_NOTIFY_COMPLETED, on_completed, h, MHD_OPTION_NOTIFY_CONNECTION,
                                 on_connection, h, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
    if (!l->daemon) {
        close(fd);
        return reason_set(why, l->tls ? ERR_TLS : ERR_IO, "%s: cannot serve (wrong key or certificate?)", l->address);
    }
    return ERR_OK;
}

static enum err start_listener(struct http *h, struct slice text, struct reason *why)
{
    struct http_listener where;
    int fd = -1, bound = 0;
    struct listener *l = &h->listeners[h->n];
    if (h->n == LISTENERS_MAX)
        return reason_set(why, ERR_BAD_CONFIG, "more than %d listeners", LISTENERS_MAX);
    enum err e = http_listener_parse(text, &where, why);
    l->tls = !e && where.tls;
    if (l->tls && !h->key.n)
        e = reason_set(why, ERR_BAD_CONFIG, "an https listener needs ssl.keystore.location");
    if (!e)
        e = open_socket(where.host, where.port, &fd, &bound, why);
    if (e)
        return e;
    snprintf(l->address, sizeof l->address, strchr(where.host, ':') ? "%s://[%s]:%d" : "%s://%s:%d",
             l->tls ? "https" : "http", *where.host ? where.host : "0.0.0.0", bound);
    e = start_daemon(h, l, fd, why);
    if (!e)
        h->n++;
    return e;
}

static enum err read_pem(struct buf *out, const char *path, struct reason *why)
{
    return path ? fs_read_file(path, out, why) : ERR_OK;
}

static bool measure_routes(struct http *h)
{
    const struct rest_route *route;
    size_t n = 0;
    while (rest_route_at(n))
        n++;
    h->seconds = calloc(n + 1, sizeof *h->seconds);
    for (size_t i = 0; h->seconds && (route = rest_route_at(i)); i++) {
        char labels[160];
        snprintf(labels, sizeof labels, "method=\"%s\",route=\"/%s\"", http_method_name(rest_route_method(route)),
                 rest_route_name(route));
        h->seconds[i] =
            metrics_histogram("castellan_registry_request_seconds", labels, "From the headers to the answer");
    }
    return h->seconds != NULL;
}

enum err http_start(struct http **out, const struct http_config *config, struct reason *why)
{
    struct http *h = calloc(1, sizeof *h);
    if (!h)
        return reason_set(why, ERR_NO_MEMORY, "out of memory");
    h->config = *config;
    buf_init(&h->key, 1024 * 1024);
    buf_init(&h->trust, 1024 * 1024);
    for (int i = 1; i <= 5; i++) {
        char labels[32];
        snprintf(labels, sizeof labels, "status=\"%dxx\"", i);
        h->requests[i] = metrics_counter("castellan_registry_requests_total", labels, "Requests answered, by status");
    }
    if (!measure_routes(h)) {
        free(h);
        return reason_set(why, ERR_NO_MEMORY, "out of memory");
    }
    buf_init(&h->priorities, 0);
    enum err e = http_tls_priorities(config->protocols, &h->priorities, why);
    h->later = later_start();
    if (!h->later)
        e = e ? e : reason_set(why, ERR_NO_MEMORY, "no thread for requests that wait");
    if (!e)
        e = watch_start(&h->watch, 2000 * config->idle_seconds, why);
    if (!e)
        e = read_pem(&h->key, config->keystore, why);
    if (!e)
        e = read_pem(&h->trust, config->truststore, why);
    struct slice rest = slice_str(config->listeners);
    while (!e && rest.n) {
        const uint8_t *comma = memchr(rest.p, ',', rest.n);
        size_t n = comma ? (size_t)(comma - rest.p) : rest.n;
        struct slice one = slice_of(rest.p, n);
        while (one.n && one.p[0] == ' ')
            one = slice_of(one.p + 1, one.n - 1);
        e = start_listener(h, one, why);
        rest = slice_of(rest.p + n + (comma != NULL), rest.n - n - (comma != NULL));
    }
    if (e)
        http_stop(h);
    else
        *out = h;
    return e;
}

void http_drain(struct http *h, int timeout_ms)
{
    struct env *env = env_system();
    int64_t until = env_mono_ms(env) + timeout_ms;
    if (!h)
        return;
    later_flush(h->later);
    for (size_t i = 0; !atomic_load(&h->draining) && i < h->n; i++) {
        int fd = MHD_quiesce_daemon(h->listeners[i].daemon);
        if (fd >= 0)
            close(fd);
    }
    atomic_store(&h->draining, true);
    while (atomic_load(&h->in_flight) && env_mono_ms(env) < until)
        usleep(DRAIN_LOOK_US);
}

void http_stop(struct http *h)
{
    if (!h)
        return;
    later_flush(h->later); /* no connection may wait when its server stops */
    for (size_t i = 0; i < h->n; i++)
        MHD_stop_daemon(h->listeners[i].daemon);
    later_stop(h->later);
    watch_stop(h->watch);
    buf_wipe_free(&h->key);
    buf_free(&h->trust);
    buf_free(&h->priorities);
    free(h->seconds);
    free(h);
}

const char *http_address(const struct http *h, size_t i)
{
    return i < h->n ? h->listeners[i].address : NULL;
}
