/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_HTTP_H
#define CASTELLAN_REGISTRY_HTTP_H

#include "core/ledger/audit_log.h"
#include "registry/auth.h"
#include "registry/http_cors.h"
#include "registry/http_tls.h"

/* The HTTP side: listeners, TLS, content negotiation, who is asking; then rest.h decides. */
struct http;

/* What carries a change to its commit: calls done(ctx) exactly once, from any thread, the change's answer filled. */
typedef void (*http_submit_fn)(void *ctx, struct change *c, void (*done)(void *ctx), void *done_ctx);

struct http_config {
    const char *listeners;  /* "https://localhost:8081,http://127.0.0.1:0" */
    const char *keystore;   /* PEM, key and chain */
    const char *truststore; /* PEM; may be NULL */
    enum http_client_auth client_auth;
    const char *protocols; /* ssl.enabled.protocols */
    unsigned threads;
    unsigned idle_seconds; /* a connection on which nothing moves is closed; >= 1 */
    unsigned body_ms;      /* a body has to have come by then, however busily it drips */
    const char *realm;
    struct cors cors;
    const char *key_password; /* of an encrypted key in the keystore; may be NULL */
    struct auth *auth;        /* NULL: everybody may do everything */
    struct audit_log *audit;  /* NULL: none */
    const struct rest_server *rest;
    pthread_rwlock_t *lock; /* held for reading while a request reads the store */
    http_submit_fn submit;
    void *submit_ctx;
};

enum {
    HTTP_CONNECTIONS_MAX = 4096,       /* for each listener */
    HTTP_HEADERS_MAX = 16 * 1024,      /* request line and headers; MHD clears as much for each request */
    HTTP_DRAIN_MAX = 4 * REST_BODY_MAX /* bytes read of a body that is refused, so that the answer is seen */
};

enum err http_start(struct http **out, const struct http_config *config, struct reason *why) MUST_CHECK;
/* From now on no new connection, and each one ends with its next answer; waits until no request is in flight, or for so
 * long. May be called again. NULL is fine. */
void http_drain(struct http *h, int timeout_ms);
void http_stop(struct http *h); /* no connection may wait for a change; NULL is fine */
/* The addresses served, in order of the configuration: "http://127.0.0.1:40123"; NULL past the end. */
const char *http_address(const struct http *h, size_t i);

#endif
