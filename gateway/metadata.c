/* SPDX-License-Identifier: Apache-2.0
 * Where things are: Metadata, DescribeCluster, FindCoordinator. The cluster's addresses never
 * reach a client: each node is told as the gateway's host with the node's own port (entrance port + 1 + place).
 * Metadata also needs DESCRIBE on each topic, and CREATE (on the topic or the cluster) before a missing one may be made
 * on demand (metadata_plan.h); topics a principal may not describe are refused when named and left out when all are
 * asked for. */
#include "core/base/log.h"
#include "gateway/admin.h"
#include "gateway/handlers.h"
#include "gateway/metadata_plan.h"
#include "gateway/split.h"
#include "wire/describe_cluster.h"
#include "wire/find_coordinator.h"

enum { OPERATIONS_ABSENT = INT32_MIN };

/* ---- Addresses ---- */

/* The gateway's own address for a node; a node not seen before gets its ports opened. -1: no room. */
static int32_t rewrite(struct pending *p, int32_t id, struct slice *host, int32_t port)
{
    struct entrance *e = p->session->entrance;
    struct gateway *g = p->session->worker->gateway;
    bool is_new;
    int place = cluster_learn(&g->cluster, id, *host, port, &is_new);

    if (place < 0) {
        log_error("node %d has no place: more than %d nodes", (int)id, CLUSTER_NODES_MAX);
        return -1;
    }
    if (is_new)
        gateway_node_learned(g, place);
    *host = slice_str(e->advertised);
    return e->port + 1 + place;
}

int32_t authorized_operations(const struct session *s, enum acl_type type, struct slice name)
{
    int32_t bits = 0;
    for (int op = ACL_READ; op < ACL_OPERATIONS; op++)
        if (acl_operation_supported(type, (enum acl_operation)op) &&
            session_sees(s, type, (enum acl_operation)op, name))
            bits |= 1 << op;
    return bits;
}

/* ---- Metadata ---- */

struct metadata {
    struct metadata_plan plan;
    struct metadata_response held; /* what was asked for without making it */
    int32_t asked_n;               /* topics of the request as it came; negative: all */
};

typedef struct metadata_response_metadata_response_topic topic_answer;

static void refuse_topic(struct pending *p, topic_answer *out, struct slice name, const struct wire_uuid *id,
                         enum err err)
{
    metadata_response_metadata_response_topic_init(out);
    out->name = id && p->version >= METADATA_IDS_SINCE ? SLICE_NULL : slice_is_null(name) ? slice_of("", 0) : name;
    if (id)
        out->topic_id = *id;
    out->error_code = err_kafka(err);
}

/* Drop or refuse what the principal may not describe; learn the ids of the rest. */
static void filter_topics(struct pending *p, const struct metadata_request *req, struct metadata_response *resp)
{
    const struct metadata *s = p->filter;
    bool all = p->version == 0 ? s->asked_n == 0 : s->asked_n < 0;
    int32_t kept = 0;

    for (int32_t i = 0; i < resp->topics.n; i++) {
        topic_answer *t = &resp->topics.v[i];
        struct wire_uuid id = t->topic_id;
        bool unnamed = slice_is_null(t->name); /* an id nobody knows */
        enum err err = ERR_OK;

        if (!unnamed && all)
            err = session_decide(p->session, WIRE_METADATA, ACL_TOPIC, ACL_DESCRIBE, t->name, false);
        else if (!unnamed)
            err = session_judge(p->session, WIRE_METADATA, ACL_TOPIC, ACL_DESCRIBE, t->name);

        if (err && all)
            continue;
        if (err && s->plan.by_id) /* the name stays unknown to it */
            refuse_topic(p, t, t->name, &id, err == ERR_UNKNOWN_TOPIC_OR_PARTITION ? ERR_UNKNOWN_TOPIC_ID : err);
        else if (err)
            refuse_topic(p, t, t->name, NULL, err);
        else if (!t->error_code && !unnamed)
            worker_learn_topic(p->session->worker, id.b, t->name);
        if (!err && req->include_topic_authorized_operations && !t->error_code && !unnamed)
            t->topic_authorized_operations = authorized_operations(p->session, ACL_TOPIC, t->name);
        else
            t->topic_authorized_operations = OPERATIONS_ABSENT;
        resp->topics.v[kept++] = *t;
    }
    resp->topics.n = kept;
}

/* The answers that were had apart, and the refusals. */
static bool add_topics(struct pending *p, struct metadata_response *resp)
{
    const struct metadata *s = p->filter;
    struct metadata_response_metadata_response_topic_array all;
    int32_t n = 0, have = resp->topics.n > 0 ? resp->topics.n : 0, held = s->held.topics.n;

    if (!metadata_response_metadata_response_topic_array_alloc(&all, have + held + s->plan.refused_n, &p->arena))
        return have + held + s->plan.refused_n == 0;
    for (int32_t i = 0; i < have; i++)
        all.v[n++] = resp->topics.v[i];
    for (int32_t i = 0; i < held; i++)
        all.v[n++] = s->held.topics.v[i];
    for (int32_t i = 0; i < s->plan.refused_n; i++)
        refuse_topic(p, &all.v[n++], s->plan.refused[i].name, NULL, s->plan.refused[i].err);
    resp->topics = all;
    return true;
}

static void answer_metadata(struct pending *p, struct metadata_response *resp)
{
    const struct metadata_request *req = p->body;
    int32_t kept = 0;

    for (int32_t i = 0; i < resp->brokers.n; i++) {
        struct metadata_response_metadata_response_broker *b = &resp->brokers.v[i];
        b->port = rewrite(p, b->node_id, &b->host, b->port);
        if (b->port >= 0)
            resp->brokers.v[kept++] = *b;
    }
    resp->brokers.n = kept;
    filter_topics(p, req, resp);
    if (!add_topics(p, resp)) {
        pending_fail(p, CONN_CLOSE_NO_MEMORY, NULL);
        return;
    }
    resp->cluster_authorized_operations = OPERATIONS_ABSENT;
    if (p->version >= 8 && p->version <= 10 && req->include_cluster_authorized_operations)
        resp->cluster_authorized_operations =
            session_sees(p->session, ACL_CLUSTER, ACL_DESCRIBE, slice_str(ACL_CLUSTER_NAME))
                ? authorized_operations(p->session, ACL_CLUSTER, slice_str(ACL_CLUSTER_NAME))
                : 0;
    pending_answer(p, resp);
}

static void on_metadata(struct pending *p, enum err err, struct slice body)
{
    struct metadata_response resp;

    if (pending_decode(p, err, body, &resp))
        answer_metadata(p, &resp);
}

static enum err may_describe(void *ctx, struct slice topic)
{
    const struct pending *p = ctx;
    return session_judge(p->session, WIRE_METADATA, ACL_TOPIC, ACL_DESCRIBE, topic);
}

static enum err may_make(void *ctx, struct slice topic)
{
    const struct pending *p = ctx;
    bool by_cluster = session_sees(p->session, ACL_CLUSTER, ACL_CREATE, slice_str(ACL_CLUSTER_NAME));
    return session_decide(p->session, WIRE_METADATA, ACL_TOPIC, ACL_CREATE, topic, by_cluster);
}

static int16_t asked_version(const struct pending *p)
{
    return p->version < METADATA_CREATE_FLAG_SINCE ? METADATA_CREATE_FLAG_SINCE : p->version;
}

/* What may not be made was asked for without making it. The missing ones are refused, as Kafka refuses them. */
static void refuse_missing(struct pending *p, struct metadata_response *resp)
{
    for (int32_t i = 0; i < resp->topics.n; i++) {
        topic_answer *t = &resp->topics.v[i];
        if (t->error_code == ERR_UNKNOWN_TOPIC_OR_PARTITION)
            refuse_topic(p, t, t->name, NULL, may_make(p, t->name));
    }
}

static void on_asked(struct pending *p, enum err err, struct slice body)
{
    struct metadata *s = p->filter;
    struct metadata_request *req = p->body;
    struct metadata_response resp;
    enum err wrong = ERR_OK;
    struct cursor c;

    if (!p->session) {
        pending_silent(p);
        return;
    }
    body = err ? body : arena_copy(&p->arena, body); /* kept while the rest is asked for */
    c = cursor_of(body);
    if (!err)
        wrong = slice_is_null(body) ? ERR_NO_MEMORY : metadata_response_decode(&resp, &c, asked_version(p), &p->arena);
    if (err || wrong) {
        pending_fail_unanswered(p, err, wrong);
        return;
    }
    refuse_missing(p, &resp);
    if (s->plan.send.n == 0) {
        answer_metadata(p, &resp);
        return;
    }
    filter_topics(p, req, &resp);
    s->held = resp;
    req->topics = s->plan.send;
    pending_forward_struct(p, req, on_metadata);
}

static void ask_without_making(struct pending *p)
{
    const struct metadata *s = p->filter;
    struct metadata_request ask = *(const struct metadata_request *)p->body;

    ask.topics = s->plan.ask;
    ask.allow_auto_topic_creation = false;
    pending_hold(p);
    pending_ask(p, WIRE_METADATA, asked_version(p), &ask, on_asked);
}

void handle_metadata(struct pending *p)
{
    struct metadata_request *req = p->body;
    struct metadata *s = p->filter = arena_alloc(&p->arena, sizeof *s);
    struct metadata_rights rights = {p, may_describe, may_make};
    enum err err = s ? metadata_plan_make(&s->plan, req, p->version, &rights, &p->arena) : ERR_NO_MEMORY;
    struct metadata_response resp;

    if (!err && s->plan.whole)
        err = metadata_refuse_whole(&resp, req, s->plan.whole, &p->arena);
    if (err) {
        pending_fail(p, CONN_CLOSE_NO_MEMORY, NULL);
        return;
    }
    s->asked_n = req->topics.n;
    if (s->plan.whole) {
        pending_answer(p, &resp);
    } else if (s->plan.ask.n || (p->version == 0 && req->topics.n > 0 && s->plan.send.n == 0)) {
        ask_without_making(p); /* in version 0 an empty list means all */
    } else if (req->topics.n <= 0 || (s->plan.send.n == req->topics.n && !s->plan.by_id)) {
        pending_forward(p, on_metadata);
    } else {
        req->topics = s->plan.send; /* none, maybe: the nodes must be told all the same */
        pending_forward_struct(p, req, on_metadata);
    }
}

/* ---- DescribeCluster ---- */

static void on_cluster(struct pending *p, enum err err, struct slice body)
{
    const struct describe_cluster_request *req = p->body;
    struct describe_cluster_response resp;
    int32_t kept = 0;

    if (!pending_decode(p, err, body, &resp))
        return;
    for (int32_t i = 0; i < resp.brokers.n; i++) {
        struct describe_cluster_response_describe_cluster_broker *b = &resp.brokers.v[i];
        b->port = rewrite(p, b->broker_id, &b->host, b->port);
        if (b->port >= 0)
            resp.brokers.v[kept++] = *b;
    }
    resp.brokers.n = kept;
    resp.cluster_authorized_operations = OPERATIONS_ABSENT;
    if (req->include_cluster_authorized_operations)
        resp.cluster_authorized_operations =
            session_sees(p->session, ACL_CLUSTER, ACL_DESCRIBE, slice_str(ACL_CLUSTER_NAME))
                ? authorized_operations(p->session, ACL_CLUSTER, slice_str(ACL_CLUSTER_NAME))
                : 0;
    pending_answer(p, &resp);
}

void handle_describe_cluster(struct pending *p)
{
    pending_forward(p, on_cluster);
}

/* ---- FindCoordinator ---- */

enum { KEY_GROUP = 0, KEY_TRANSACTION = 1, KEY_SHARE = 2 };

static enum err may_find(struct pending *p, int8_t type, struct slice key)
{
    if (type == KEY_TRANSACTION)
        return session_may(p->session, ACL_TRANSACTIONAL_ID, ACL_DESCRIBE, key)
                   ? ERR_OK
                   : ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    if (type == KEY_GROUP)
        return session_may(p->session, ACL_GROUP, ACL_DESCRIBE, key) ? ERR_OK : ERR_GROUP_AUTHORIZATION_FAILED;
    return ERR_INVALID_REQUEST;
}

static void refuse_coordinator(struct find_coordinator_response_coordinator *c, struct slice key, enum err err)
{
    find_coordinator_response_coordinator_init(c);
    c->key = key;
    c->node_id = -1;
    c->host = slice_of("", 0);
    c->port = -1;
    c->error_code = err_kafka(err);
    c->error_message = slice_str(err_text(err));
}

struct refused_keys {
    struct slice *keys;
    enum err *errs;
    int32_t n;
};

static void on_coordinator(struct pending *p, enum err err, struct slice body)
{
    const struct refused_keys *r = p->filter;
    struct find_coordinator_response resp;
    struct find_coordinator_response_coordinator_array all;

    if (!pending_decode(p, err, body, &resp))
        return;
    if (p->version < 4 && !resp.error_code)
        resp.port = rewrite(p, resp.node_id, &resp.host, resp.port);
    for (int32_t i = 0; i < resp.coordinators.n; i++)
        if (!resp.coordinators.v[i].error_code)
            resp.coordinators.v[i].port =
                rewrite(p, resp.coordinators.v[i].node_id, &resp.coordinators.v[i].host, resp.coordinators.v[i].port);
    if (r && r->n && find_coordinator_response_coordinator_array_alloc(&all, resp.coordinators.n + r->n, &p->arena)) {
        for (int32_t i = 0; i < resp.coordinators.n; i++)
            all.v[i] = resp.coordinators.v[i];
        for (int32_t i = 0; i < r->n; i++)
            refuse_coordinator(&all.v[resp.coordinators.n + i], r->keys[i], r->errs[i]);
        resp.coordinators = all;
    }
    pending_answer(p, &resp);
}

static void find_one(struct pending *p, const struct find_coordinator_request *req)
{
    struct find_coordinator_response resp;
    enum err err = may_find(p, req->key_type, req->key);

    if (!err) {
        pending_forward(p, on_coordinator);
        return;
    }
    find_coordinator_response_init(&resp);
    resp.error_code = err_kafka(err);
    resp.error_message = slice_str(err_text(err));
    resp.node_id = -1;
    resp.host = slice_of("", 0);
    resp.port = -1;
    pending_answer(p, &resp);
}

void handle_find_coordinator(struct pending *p)
{
    struct find_coordinator_request *req = p->body;
    struct refused_keys *r = arena_alloc(&p->arena, sizeof *r);
    int32_t n = req->coordinator_keys.n > 0 ? req->coordinator_keys.n : 0, kept = 0;

    if (p->version < 4) {
        find_one(p, req);
        return;
    }
    if (!r || !(r->keys = arena_array(&p->arena, (size_t)n, sizeof *r->keys)) ||
        !(r->errs = arena_array(&p->arena, (size_t)n, sizeof *r->errs))) {
        pending_fail(p, CONN_CLOSE_NO_MEMORY, NULL);
        return;
    }
    for (int32_t i = 0; i < n; i++) {
        enum err err = may_find(p, req->key_type, req->coordinator_keys.v[i]);
        if (err) {
            r->keys[r->n] = req->coordinator_keys.v[i];
            r->errs[r->n++] = err;
        } else {
            req->coordinator_keys.v[kept++] = req->coordinator_keys.v[i];
        }
    }
    p->filter = r;
    if (r->n == 0) {
        pending_forward(p, on_coordinator);
        return;
    }
    req->coordinator_keys.n = kept;
    if (kept) {
        pending_forward_struct(p, req, on_coordinator);
        return;
    }
    struct find_coordinator_response resp;
    find_coordinator_response_init(&resp);
    find_coordinator_response_coordinator_array_alloc(&resp.coordinators, r->n, &p->arena);
    for (int32_t i = 0; i < resp.coordinators.n; i++)
        refuse_coordinator(&resp.coordinators.v[i], r->keys[i], r->errs[i]);
    pending_answer(p, &resp);
}
