/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_ADMIN_REQUEST_H
#define CASTELLAN_GATEWAY_ADMIN_REQUEST_H

#include "core/base/arena.h"
#include "gateway/session/worker_data.h"

#include <jansson.h>

/* Inside of the admin interface: one request, the routes, who is asking, and what is not ready. Every request runs on
 * its connection's own thread and may block. */
enum {
    ADMIN_CONNECTIONS_MAX = 256,
    ADMIN_CONNECTIONS_PER_ADDRESS_MAX = 64,
    ADMIN_IDLE_SECONDS = 60,
    ADMIN_HEAD_MAX = 32 * 1024, /* request line and headers */
    ADMIN_BODY_MAX = 64 * 1024,
    ADMIN_FORGET_MS = 60000, /* how long an erasure may take before the caller is told to look again */
    ADMIN_KEYD_MS = 3000,
};

struct admin_request {
    struct gateway *gateway;
    struct admin_auth *auth;
    struct admin_health *health;
    void *connection;          /* struct MHD_Connection */
    const char *method, *path; /* the path as it was sent, percent-encoded */
    const char *route;         /* the path without the name in it: for the log */
    struct slice name;         /* what follows the route's path, decoded: bytes, NUL too; empty when nothing does */
    struct arena arena;
    struct slice body;
    struct view *view;    /* NULL: the tables are not read yet */
    struct buf principal; /* "User:alice" */
    const char *host;
    /* the answer */
    unsigned status;
    const char *content_type;
    char csp[256]; /* Content-Security-Policy; empty: nothing may be loaded */
    struct buf out;
};

/* Percent-decoding: every byte may come out, NUL too. False: an escape is broken, or no memory. */
bool admin_decode(struct arena *a, const char *text, struct slice *out);
/* A query argument, decoded; null when absent. False: refused with 400, for it does not decode. */
bool admin_query(struct admin_request *r, const char *key, struct slice *out);
bool admin_query_true(const struct admin_request *r, const char *key);
/* The name as a C string. NULL: refused with 400, for that would cut it. */
const char *admin_name_text(struct admin_request *r);
/* {"error_code": status, "message": ...} */
void admin_refuse(struct admin_request *r, unsigned status, const char *fmt, ...) PRINTF_LIKE(3, 4);
void admin_refuse_err(struct admin_request *r, enum err err, const struct reason *why);
/* Takes the reference; NULL is "no memory". */
void admin_give(struct admin_request *r, unsigned status, json_t *value);
/* One right of the caller; refuses with 403 when it is missing. */
bool admin_needs(struct admin_request *r, enum acl_type type, enum acl_operation op, struct slice name);

/* ---- admin_routes.c ---- */
void admin_route(struct admin_request *r);

/* ---- admin_policies.c ---- */
void admin_get_policies(struct admin_request *r);
void admin_put_policy(struct admin_request *r);
void admin_delete_policy(struct admin_request *r);

/* ---- admin_subjects.c ---- */
void admin_forget(struct admin_request *r);
void admin_reopen(struct admin_request *r);
void admin_hold(struct admin_request *r);
void admin_release(struct admin_request *r);
void admin_get_receipt(struct admin_request *r);

/* ---- admin_status.c ---- */
void admin_get_status(struct admin_request *r);
void admin_explain_acl(struct admin_request *r);
void admin_get_page(struct admin_request *r); /* admin_page.c */

/* ---- admin_auth.c: Basic against the same users ---- */
struct admin_auth;
struct admin_auth *admin_auth_new(void); /* NULL: no memory */
void admin_auth_free(struct admin_auth *a);
/* Fills `principal`. False: unknown. `header` may be NULL. */
bool admin_identify(struct admin_auth *a, const struct view *v, const char *header, struct buf *principal);
/* For a connection to know a header again that was good on it before; never 0. */
uint64_t admin_header_mark(const struct admin_auth *a, const char *header);

/* ---- admin_health.c ---- */
struct admin_health;
enum err admin_health_new(struct admin_health **out, struct gateway *g, struct reason *why) MUST_CHECK;
void admin_health_free(struct admin_health *h);
/* {"ready": bool, "reasons": ["..."], "parts": {"gateway": {"ready": bool, "detail": "..."}, "cluster": ..., "keyd":
 * ..., "registry": ...}}; parts that are not configured are absent. `reasons` says why it is not ready. It names no
 * node and no client's topic. The state of other processes is asked at most every ADMIN_PROBE_MS. */
json_t *admin_health_report(struct admin_health *h, bool *ready);
enum { ADMIN_PROBE_MS = 500 };

#endif
