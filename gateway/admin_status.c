/* SPDX-License-Identifier: Apache-2.0
 * What this gateway looks like from outside (DESCRIBE on the cluster), and which rule takes a decision. */
#include "acl/acl_json.h"
#include "gateway/admin_request.h"
#include "gateway/session.h"

static json_t *nodes_json(struct cluster *c)
{
    json_t *list = json_array();
    struct cluster_node node;

    for (int i = 0; i < cluster_places(c); i++) {
        json_t *o;
        if (!cluster_node_at(c, i, &node))
            continue;
        o = json_object();
        json_object_set_new(o, "id", json_integer(node.id));
        json_object_set_new(o, "place", json_integer(i));
        json_object_set_new(o, "host", json_string(node.host));
        json_object_set_new(o, "port", json_integer(node.port));
        json_array_append_new(list, o);
    }
    return list;
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
    json_object_set_new(o, "nodes", nodes_json(&g->cluster));
    json_object_set_new(o, "workers", workers_json(g));
    json_object_set_new(o, "tables", tables_json(r));
    json_object_set_new(o, "counts", counts_json(r->view));
    json_object_set_new(o, "keyd", keyd_json(g));
    json_object_set_new(o, "ready", json_boolean(ready));
    json_object_set(o, "parts", json_object_get(health, "parts"));
    json_decref(health);
    admin_give(r, 200, o);
}

void admin_explain_acl(struct admin_request *r)
{
    struct slice type, operation;
    struct acl_question q = {0};
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
    acl_explanation_put(&words, &e);
    o = json_object();
    json_object_set_new(o, "allowed", json_boolean(e.allowed));
    json_object_set_new(o, "explanation", acl_json_text(buf_slice(&words)));
    buf_free(&words);
    admin_give(r, 200, o);
}
