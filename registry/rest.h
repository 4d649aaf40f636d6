/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_REST_H
#define CASTELLAN_REGISTRY_REST_H

#include "core/base/arena.h"
#include "registry/change.h"

/* The REST interface apart from HTTP: a parsed request in, an answer or a change out. Reads run against the store as it
 * is (the caller holds its lock); changes go through the ledger and are answered when committed. */
enum rest_method { REST_GET, REST_POST, REST_PUT, REST_DELETE, REST_OPTIONS, REST_OTHER };

enum { REST_SEGMENTS_MAX = 12, REST_PARAMS_MAX = 64, REST_BODY_MAX = 16 * 1024 * 1024 };

const char *rest_right_name(enum rest_right r); /* "WRITE"; NULL for none */

struct rest_param {
    struct slice name, value;
};

struct rest_request {
    enum rest_method method;
    struct slice segments[REST_SEGMENTS_MAX]; /* decoded; a leading contexts/NAME is taken off */
    size_t segment_count;
    struct slice context; /* the one taken off, as ":.ctx:"; null when none */
    struct rest_param params[REST_PARAMS_MAX];
    size_t param_count;
    struct slice body;
    struct arena arena; /* everything above lives here */
    /* May the client? NULL: everything. `subject` null: the whole registry (global configuration). */
    bool (*allowed)(void *ctx, enum rest_right right, struct slice subject);
    void *allowed_ctx;
    /* What a 403 was for: the right that was missing, and on what; null: not about one subject. In the arena. */
    enum rest_right denied_right;
    struct slice denied;
};

struct rest_server {
    struct store *store;
    const struct api_settings *settings;
    struct slice cluster_id, group_id; /* /v1/metadata/id */
    bool (*ready)(void *ctx);          /* /health/ready */
    void *ready_ctx;
};

void rest_request_init(struct rest_request *r);
void rest_request_free(struct rest_request *r);
/* `target` is the request's path and query as sent. ERR_CONFLICT: answered (bad escapes, too many segments). */
enum err rest_request_target(struct rest_request *r, struct slice target, struct answer *a) MUST_CHECK;

/* Is there such a path and method? Answers 404, 405 and OPTIONS itself. */
struct rest_route;
const struct rest_route *rest_route(const struct rest_request *r, struct answer *a);
const char *rest_route_name(const struct rest_route *route); /* for metrics and logs */
bool rest_route_is_public(const struct rest_route *route);   /* health: no authentication */
/* The table, for those who hold something against it: the i-th route, NULL past the end. Names are path segments, '*'
 * for any one. */
const struct rest_route *rest_route_at(size_t i);
size_t rest_route_index(const struct rest_route *route); /* rest_route_at() gives it back */
enum rest_method rest_route_method(const struct rest_route *route);

/* Runs the route. Either the answer is filled, or *change is a new one to put through the ledger (freed with
 * rest_change_free); its answer is `a`. The request must outlive it. */
void rest_run(const struct rest_route *route, const struct rest_server *server, struct rest_request *r,
              struct answer *a, struct change **change);
void rest_change_free(struct change *c);

#endif
