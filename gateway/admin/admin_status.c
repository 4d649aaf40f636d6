/* SPDX-License-Identifier: Apache-2.0
 * What this gateway looks like from outside (DESCRIBE on the cluster), and which rule takes a decision. */
#include "acl/acl_json.h"
#include "core/base/env.h"
#include "gateway/admin/admin_request.h"
#include "gateway/cluster/node_watch.h"
#include "gateway/session/session.h"

#include <stdlib.h>

static const char *state_name(enum node_state s)
{
    static const char *const names[] = {"unknown", "answers", "silent"};
    return names[s];
}

static json_t *node_json(const struct node_report *n, int place, int64_t now_ms)
{
    json_t *o = json_object();

    json_object_set_new(o, "id", json_integer(n->id));
    json_object_set_new(o, "place", json_integer(place));
    json_object_set_new(o, "host", json_string(n->host));
    json_object_set_new(o, "port", json_integer(n->port));
    json_object_set_new(o, "state", json_string(state_name(n->health.state)));
    json_object_set_new(o, "for_s", json_integer((now_ms - n->health.since_ms) / 1000));
    if (*n->detail)
        json_object_set_new(o, "detail", json_string(n->detail));
    if (n->disk_known) {
        json_object_set_new(o, "disk_total", json_integer(n->disk_total));
        json_object_set_new(o, "disk_usable", json_integer(n->disk_usable));
        json_object_set_new(o, "disk_failed", json_boolean(n->disk_failed));
    }
    return o;
}

static json_t *topics_json(const struct cluster_report *r)
{
    static const char *const names[] = {"absent", "served", "offline"};
    json_t *o = json_object();

    for (int i = 0; i < r->topic_count; i++)
        json_object_set_new(o, r->topics[i].name, json_string(names[r->topics[i].state]));
    return o;
}

/* nodes, partitions, state_topics, and problems: one sentence for each thing that is wrong. */
static void put_cluster(json_t *to, struct gateway *g)
{
    struct cluster_report *r = malloc(sizeof *r);
    struct report_problem *problems = calloc(REPORT_PROBLEMS_MAX, sizeof *problems);
    json_t *nodes = json_array(), *partitions = json_object(), *said = json_array();
    int64_t now_ms = env_mono_ms(env_system());
    int n = 0;

    if (r && problems) {
        node_watch_report(g->watch, r);
        n = cluster_report_problems(r, now_ms, problems);
        for (int i = 0; i < r->node_count; i++)
            if (r->nodes[i].known)
                json_array_append_new(nodes, node_json(&r->nodes[i], i, now_ms));
        json_object_set_new(partitions, "total", json_integer(r->partitions));
        json_object_set_new(partitions, "offline", json_integer(r->offline));
        json_object_set_new(to, "state_topics", topics_json(r));
    }
    for (int i = 0; i < n; i++)
        json_array_append_new(said, json_string(problems[i].text));
    json_object_set_new(to, "nodes", nodes);
    json_object_set_new(to, "partitions", partitions);
    json_object_set_new(to, "problems", said);
    free(r);
    free(problems);
}

static json_t *workers_json(struct gateway *g)
{
    json_t *list = json_array();

    for (int i = 0; i < g->worker_count; i++) {
        json_t *o = json_object();
        size_t sessions = g->workers[i].session_count;
        json_object_set_new(o, "sessions", json_integer((json_int_t)sessions));
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *tables_json(struct admin_request *r)
{
    int64_t offsets[KNOWLEDGE_TABLES];
    json_t *o = json_object();

    knowledge_offsets(r->gateway->knowledge, offsets);
    for (int t = 0; t < KNOWLEDGE_TABLES; t++)
        json_object_set_new(o, knowledge_topic(t), json_integer(offsets[t]));
    return o;
}

static json_t *counts_json(const struct view *v)
{
    json_t *o = json_object();

    json_object_set_new(o, "users", json_integer((json_int_t)users_snapshot_count(v->users)));
    json_object_set_new(o, "acls", json_integer((json_int_t)acl_snapshot_count(v->acl)));
    json_object_set_new(o, "quotas", json_integer((json_int_t)quota_snapshot_count(v->quotas)));
    json_object_set_new(o, "policies", json_integer((json_int_t)policy_set_count(v->policies)));
    return o;
}

static json_t *keyd_json(struct gateway *g)
{
    struct reason why = {0};
    struct buf answer;
    json_t *o = NULL;

    if (!g->keyd_socket)
        return json_null();
    buf_init(&answer, 0);
    if (!key_admin_status(g->keyd_socket, ADMIN_KEYD_MS, &answer, &why))
        o = acl_json_read(buf_slice(&answer), &why);
    if (!o) {
        o = json_object();
        json_object_set_new(o, "error", json_string(why.text));
    }
    buf_free(&answer);
    return o;
}

void admin_get_status(struct admin_request *r)
{
    struct gateway *g = r->gateway;
    json_t *o, *health;
    bool ready;

    if (!admin_needs(r, ACL_CLUSTER, ACL_DESCRIBE, slice_str(ACL_CLUSTER_NAME)))
        return;
    o = json_object();
    health = admin_health_report(r->health, &ready);
    json_object_set_new(o, "version", json_string(CASTELLAN_VERSION));
    json_object_set_new(o, "cluster_id", json_string(g->cluster.cluster_id));
    put_cluster(o, g);
    json_object_set_new(o, "workers", workers_json(g));
    json_object_set_new(o, "tables", tables_json(r));
    json_object_set_new(o, "counts", counts_json(r->view));
    json_object_set_new(o, "keyd", keyd_json(g));
    json_object_set_new(o, "ready", json_boolean(ready));
    json_object_set(o, "reasons", json_object_get(health, "reasons"));
    json_object_set(o, "parts", json_object_get(health, "parts"));
    json_decref(health);
    admin_give(r, 200, o);
}

void admin_explain_acl(struct admin_request *r)
{
    struct slice type, operation;
    struct acl_question q = {0};
    const struct reserved_row *row;
    struct acl_explanation e;
    struct buf words;
    json_t *o;

    if (!admin_needs(r, ACL_CLUSTER, ACL_DESCRIBE, slice_str(ACL_CLUSTER_NAME)))
        return;
    if (!admin_query(r, "type", &type) || !admin_query(r, "operation", &operation) ||
        !admin_query(r, "name", &q.name) || !admin_query(r, "principal", &q.principal) ||
        !admin_query(r, "host", &q.host))
        return;
    q.type = acl_type_parse(type);
    q.operation = acl_operation_parse(operation);
    if (slice_is_null(q.name))
        q.name = slice_str(ACL_CLUSTER_NAME);
    if (slice_is_null(q.host))
        q.host = slice_str("127.0.0.1");
    if (q.type <= ACL_TYPE_ANY || q.operation <= ACL_ALL || slice_is_null(q.principal)) {
        admin_refuse(r, 400, "principal, type, operation, name and host (default 127.0.0.1) are the question");
        return;
    }
    acl_explain(r->view->acl, &q, &e);
    buf_init(&words, 0);
    if (e.allowed && reserved_judge(&r->gateway->reserved, r->view->acl, &q, RESERVED_ANY_API, false, &row) && row) {
        e.allowed = false;
        buf_printf(&words, "refused: the name is reserved: %s", row->why);
    } else {
        acl_explanation_put(&words, &e);
    }
    o = json_object();
    json_object_set_new(o, "allowed", json_boolean(e.allowed));
    json_object_set_new(o, "explanation", acl_json_text(buf_slice(&words)));
    buf_free(&words);
    admin_give(r, 200, o);
}
