/* SPDX-License-Identifier: Apache-2.0
 * The table of routes, and what every answer has in common. */
#include "gateway/admin/admin_request.h"
#include "core/base/log.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- Answers ---- */

void admin_give(struct admin_request *r, unsigned status, json_t *value)
{
    char *text = value ? json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY) : NULL;

    json_decref(value);
    if (!text) {
        r->status = 500;
        return;
    }
    r->status = status;
    buf_clear(&r->out);
    buf_put_str(&r->out, text);
    free(text);
}

void admin_refuse(struct admin_request *r, unsigned status, const char *fmt, ...)
{
    char text[1024];
    json_t *o = json_object();
    json_t *message;
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    message = json_string(text);
    json_object_set_new(o, "error_code", json_integer(status));
    json_object_set_new(o, "message", message ? message : json_string("the request names something that is not UTF-8"));
    admin_give(r, status, o);
}

void admin_refuse_err(struct admin_request *r, enum err err, const struct reason *why)
{
    const char *text = why && why->code ? why->text : err_text(err);
    unsigned status = 500;

    if (err == ERR_NOT_FOUND || err == ERR_RESOURCE_NOT_FOUND)
        status = 404;
    else if (err == ERR_CONFLICT)
        status = 409;
    else if (err == ERR_INVALID_REQUEST || err == ERR_MALFORMED || err == ERR_LIMIT_EXCEEDED)
        status = 400;
    else if (err == ERR_UNAVAILABLE || err == ERR_CLOSED || err == ERR_CANCELLED)
        status = 503;
    else if (err == ERR_TIMEOUT || err == ERR_REQUEST_TIMED_OUT)
        status = 504;
    admin_refuse(r, status, "%s", text);
}

bool admin_needs(struct admin_request *r, enum acl_type type, enum acl_operation op, struct slice name)
{
    struct acl_question q = {type, op, name, buf_slice(&r->principal), slice_str(r->host)};

    if (acl_allowed(r->view->acl, &q))
        return true;
    /* without the name: it may be a person's, and logs outlive keys */
    log_warn("admin: %.*s from %s may not %s %s", SLICE_FMT(buf_slice(&r->principal)), r->host, r->method, r->route);
    admin_refuse(r, 403, "%.*s needs %s on %s", SLICE_FMT(buf_slice(&r->principal)), acl_operation_name(op),
                 type == ACL_CLUSTER ? "the cluster" : acl_type_name(type));
    return false;
}

/* ---- Open to everybody ---- */

static void get_metrics(struct admin_request *r)
{
    r->content_type = "text/plain; version=0.0.4; charset=utf-8";
    r->status = 200;
    metrics_render(&r->out);
}

static void get_live(struct admin_request *r)
{
    json_t *o = json_object();
    json_object_set_new(o, "status", json_string("live"));
    admin_give(r, 200, o);
}

static void get_ready(struct admin_request *r)
{
    bool ready;
    json_t *report = admin_health_report(r->health, &ready);
    admin_give(r, ready ? 200 : 503, report);
}

/* ---- Routes ---- */

enum naming { NOTHING_MORE, MAYBE_A_NAME, A_NAME };

struct route {
    const char *method, *path; /* of a route that takes a name: without the '/' before it */
    enum naming naming;
    bool open; /* no authentication */
    void (*serve)(struct admin_request *r);
};

static const struct route routes[] = {
    {"GET", "/metrics", NOTHING_MORE, true, get_metrics},
    {"GET", "/health/live", NOTHING_MORE, true, get_live},
    {"GET", "/health/ready", NOTHING_MORE, true, get_ready},
    {"GET", "/v1/status", NOTHING_MORE, false, admin_get_status},
    {"GET", "/v1/acls/explain", NOTHING_MORE, false, admin_explain_acl},
    {"GET", "/v1/policies", MAYBE_A_NAME, false, admin_get_policies},
    {"PUT", "/v1/policies", A_NAME, false, admin_put_policy},
    {"DELETE", "/v1/policies", A_NAME, false, admin_delete_policy},
    {"DELETE", "/v1/subjects", A_NAME, false, admin_forget},
    {"PUT", "/v1/subjects", A_NAME, false, admin_reopen},
    {"PUT", "/v1/holds", A_NAME, false, admin_hold},
    {"DELETE", "/v1/holds", A_NAME, false, admin_release},
    {"GET", "/v1/receipts", A_NAME, false, admin_get_receipt},
    {"GET", "/", NOTHING_MORE, false, admin_get_page},
    {"GET", "/console", NOTHING_MORE, false, admin_get_page},
};
enum { ROUTES = sizeof routes / sizeof *routes };

/* `name`: what follows, still encoded. */
static bool path_fits(const struct route *route, const char *path, const char **name)
{
    size_t n = strlen(route->path);

    *name = path + strlen(path);
    if (strncmp(path, route->path, n) != 0)
        return false;
    if (path[n] == 0)
        return route->naming != A_NAME;
    if (route->naming == NOTHING_MORE || path[n] != '/')
        return false;
    *name = path + n + 1;
    return **name || route->naming == MAYBE_A_NAME;
}

void admin_route(struct admin_request *r)
{
    const char *method = strcmp(r->method, "HEAD") == 0 ? "GET" : r->method;
    bool found = false;
    const char *name;

    for (size_t i = 0; i < ROUTES; i++) {
        if (!path_fits(&routes[i], r->path, &name))
            continue;
        found = true;
        if (strcmp(routes[i].method, method) != 0)
            continue;
        r->route = routes[i].path;
        if (!admin_decode(&r->arena, name, &r->name)) {
            admin_refuse(r, 400, "the path is not percent-encoded: each %% is followed by two hexadecimal digits");
            return;
        }
        if (!routes[i].open && !r->view) {
            admin_refuse(r, 503, "users and rules are not loaded yet");
            return;
        }
        if (!routes[i].open && r->principal.n == 0) {
            admin_refuse(r, 401, "a user and password are needed (Basic)");
            return;
        }
        routes[i].serve(r);
        return;
    }
    if (found)
        admin_refuse(r, 405, "%s is not possible here", r->method);
    else
        admin_refuse(r, 404, "there is nothing at this path");
}
