/* SPDX-License-Identifier: Apache-2.0
 * CreateTopics: CREATE on the cluster, or on each topic. DeleteTopics: DELETE on the cluster, or on each topic. The
 * lists are judged by topic_fates.c; here the refused topics are taken out and put back into the answer, in the order
 * of the request. CreateTopics' answer tells a new topic's configuration to those who may DESCRIBE_CONFIGS on it
 * (KIP-525). A right on the cluster does not reach our own topics: whoever made `__castellan_users` before the gateway
 * does would choose how long it lives. */
#include "gateway/admin.h"
#include "gateway/handlers.h"
#include "gateway/judge.h"
#include "gateway/schema_topics.h"
#include "gateway/split.h"
#include "gateway/topic_fates.h"
#include "gateway/topic_ids.h"
#include "wire/alter_partition_reassignments.h"
#include "wire/create_topics.h"
#include "wire/delete_topics.h"
#include "wire/elect_leaders.h"
#include "wire/metadata.h"

enum { CONFIGS_SINCE = 5, IDS_SINCE = 6, EXISTING_VERSION = 12, ELECTION_PREFERRED = 0 };

typedef struct create_topics_response_creatable_topic_result created;
typedef struct delete_topics_response_deletable_topic_result deleted;

struct topics {
    struct topic_fate *fates; /* one for each topic of the request, in its order */
    int32_t n, refused;
    bool by_cluster; /* the right on the cluster is there */
};

static enum err judge_change(struct pending *p, enum acl_operation op, struct slice topic, const char **text)
{
    const struct topics *s = p->filter;
    const struct reserved_names *names = &p->session->worker->gateway->reserved;
    enum err err = session_judge_by_cluster(p->session, p->api->key, ACL_TOPIC, op, topic, s->by_cluster);
    const struct reserved_row *row = err ? reserved_find(names, ACL_TOPIC, topic, op, p->api->key) : NULL;

    if (row && row->answer == err)
        *text = row->text;
    return err;
}

static enum err may_create(void *ctx, struct slice topic, const char **text)
{
    return judge_change(ctx, ACL_CREATE, topic, text);
}

static enum err may_delete(void *ctx, struct slice topic, const char **text)
{
    return judge_change(ctx, ACL_DELETE, topic, text);
}

static bool may_describe(void *ctx, struct slice topic)
{
    const struct pending *p = ctx;
    return session_sees(p->session, ACL_TOPIC, ACL_DESCRIBE, topic);
}

static struct slice name_of(void *ctx, const struct wire_uuid *id)
{
    const struct pending *p = ctx;
    return slice_str(worker_topic_name(p->session->worker, id->b));
}

static struct topics *topics_new(struct pending *p, enum acl_operation op, int32_t n)
{
    struct topics *s = p->filter = arena_alloc(&p->arena, sizeof *s);

    if (s) {
        s->n = n;
        s->by_cluster = session_sees(p->session, ACL_CLUSTER, op, slice_str(ACL_CLUSTER_NAME));
    }
    return s;
}

static struct slice text_of(const struct topic_fate *f)
{
    return slice_str(f->text ? f->text : err_text(f->err));
}

/* ---- CreateTopics ---- */

static void put_created(created *out, const struct topic_fate *f)
{
    create_topics_response_creatable_topic_result_init(out);
    out->name = f->name;
    out->error_code = err_kafka(f->err);
    out->error_message = text_of(f);
}

/* The cluster's answers and ours, in the order of the request. */
static enum err merge_created(struct pending *p, struct create_topics_response *resp)
{
    const struct topics *s = p->filter;
    struct create_topics_response_creatable_topic_result_array all;
    int32_t n = 0, have = resp->topics.n > 0 ? resp->topics.n : 0;
    enum err err = ERR_OK;
    struct map by_name;

    if (s->refused == 0)
        return ERR_OK;
    if (!create_topics_response_creatable_topic_result_array_alloc(&all, have + s->refused, &p->arena))
        return ERR_NO_MEMORY;
    map_init(&by_name);
    for (int32_t i = 0; !err && i < have; i++)
        err = map_put(&by_name, resp->topics.v[i].name, &resp->topics.v[i], NULL);
    for (int32_t i = 0; !err && i < s->n; i++) {
        const created *got = s->fates[i].err ? NULL : map_remove(&by_name, s->fates[i].name);
        if (got)
            all.v[n++] = *got;
        else if (s->fates[i].err && !s->fates[i].silent)
            put_created(&all.v[n++], &s->fates[i]);
    }
    for (struct map_entry *e = map_first(&by_name); !err && e; e = map_next(&by_name, e))
        all.v[n++] = *(const created *)e->value;
    map_free(&by_name, NULL);
    all.n = n;
    resp->topics = all;
    return err;
}

static void answer_created(struct pending *p, struct create_topics_response *resp)
{
    if (merge_created(p, resp)) {
        pending_fail(p, CONN_CLOSE_NO_MEMORY, NULL);
        return;
    }
    for (int32_t i = 0; p->version >= CONFIGS_SINCE && i < resp->topics.n; i++) {
        created *t = &resp->topics.v[i];
        if (t->error_code || session_sees(p->session, ACL_TOPIC, ACL_DESCRIBE_CONFIGS, t->name))
            continue;
        t->topic_config_error_code = ERR_TOPIC_AUTHORIZATION_FAILED;
        t->num_partitions = -1;
        t->replication_factor = -1;
        t->configs.n = -1;
    }
    schema_topics_changed(p->session->worker->gateway); /* it may have existed before, with another configuration */
    pending_answer(p, resp);
}

static void on_created(struct pending *p, enum err err, struct slice body)
{
    struct create_topics_response resp;

    if (pending_decode(p, err, body, &resp))
        answer_created(p, &resp);
}

void handle_create_topics(struct pending *p)
{
    struct create_topics_request *req = p->body;
    struct topics *s = topics_new(p, ACL_CREATE, req->topics.n);
    struct topic_rights rights = {p, may_create, may_describe, name_of};
    struct create_topics_response resp;
    int32_t kept = 0;

    if (!s || topic_fates_create(&s->fates, req, &rights, &p->arena)) {
        pending_fail(p, CONN_CLOSE_NO_MEMORY, NULL);
        return;
    }
    for (int32_t i = 0; i < s->n; i++)
        if (!s->fates[i].err)
            req->topics.v[kept++] = req->topics.v[i];
    s->refused = s->n - kept;
    req->topics.n = kept;
    if (s->refused == 0) {
        pending_forward(p, on_created);
    } else if (kept) {
        pending_forward_struct(p, req, on_created);
    } else {
        create_topics_response_init(&resp);
        answer_created(p, &resp);
    }
}

/* ---- DeleteTopics ---- */

static void put_deleted(deleted *out, const struct topic_fate *f)
{
    delete_topics_response_deletable_topic_result_init(out);
    out->name = f->name;
    out->topic_id = f->id;
    out->error_code = err_kafka(f->err);
    out->error_message = text_of(f);
}

/* An answer shows name and id, a request names one of the two. */
static const deleted *deleted_of(const struct topic_fate *f, const struct map *by_name, const struct map *by_id)
{
    return slice_is_null(f->name) ? map_get(by_id, slice_of(f->id.b, sizeof f->id.b)) : map_get(by_name, f->name);
}

static enum err merge_deleted(struct pending *p, struct delete_topics_response *resp)
{
    const struct topics *s = p->filter;
    struct delete_topics_response_deletable_topic_result_array all;
    int32_t n = 0, have = resp->responses.n > 0 ? resp->responses.n : 0;
    enum err err = ERR_OK;
    struct map by_name, by_id;
    bool *used = arena_array(&p->arena, (size_t)have + 1, sizeof *used);

    if (s->refused == 0)
        return ERR_OK;
    if (!used || !delete_topics_response_deletable_topic_result_array_alloc(&all, have + s->refused, &p->arena))
        return ERR_NO_MEMORY;
    map_init(&by_name);
    map_init(&by_id);
    for (int32_t i = 0; !err && i < have; i++) {
        deleted *d = &resp->responses.v[i];
        if (!slice_is_null(d->name))
            err = map_put(&by_name, d->name, d, NULL);
        if (!err && !wire_uuid_is_zero(&d->topic_id))
            err = map_put(&by_id, slice_of(d->topic_id.b, sizeof d->topic_id.b), d, NULL);
    }
    for (int32_t i = 0; !err && i < s->n; i++) {
        const struct topic_fate *f = &s->fates[i];
        const deleted *got = f->err ? NULL : deleted_of(f, &by_name, &by_id);
        if (f->err && !f->silent)
            put_deleted(&all.v[n++], f);
        if (!got || used[got - resp->responses.v])
            continue;
        used[got - resp->responses.v] = true;
        all.v[n++] = *got;
    }
    for (int32_t i = 0; !err && i < have; i++) /* whatever else the cluster had to say */
        if (!used[i])
            all.v[n++] = resp->responses.v[i];
    map_free(&by_name, NULL);
    map_free(&by_id, NULL);
    all.n = n;
    resp->responses = all;
    return err;
}

static void answer_deleted(struct pending *p, struct delete_topics_response *resp)
{
    if (merge_deleted(p, resp))
        pending_fail(p, CONN_CLOSE_NO_MEMORY, NULL);
    else
        pending_answer(p, resp);
}

static void on_deleted(struct pending *p, enum err err, struct slice body)
{
    struct delete_topics_response resp;

    if (pending_decode(p, err, body, &resp))
        answer_deleted(p, &resp);
}

static int32_t keep_allowed(struct delete_topics_request *req, const struct topic_fate *fates)
{
    int32_t names = req->topic_names.n > 0 ? req->topic_names.n : 0, topics = req->topics.n > 0 ? req->topics.n : 0;
    int32_t kept_names = 0, kept = 0;

    for (int32_t i = 0; i < names; i++)
        if (!fates[i].err)
            req->topic_names.v[kept_names++] = req->topic_names.v[i];
    for (int32_t i = 0; i < topics; i++)
        if (!fates[names + i].err)
            req->topics.v[kept++] = req->topics.v[i];
    req->topic_names.n = kept_names;
    req->topics.n = kept;
    return kept_names + kept;
}

static void forward_deletions(struct pending *p)
{
    struct delete_topics_request *req = p->body;
    struct topics *s = p->filter;
    struct delete_topics_response resp;
    int32_t kept = keep_allowed(req, s->fates);

    s->refused = s->n - kept;
    if (s->refused == 0) {
        pending_forward(p, NULL);
    } else if (kept) {
        pending_forward_struct(p, req, on_deleted);
    } else {
        delete_topics_response_init(&resp);
        answer_deleted(p, &resp);
    }
}

/* Whom may describe a topic is told that it does not exist, before that it may not be deleted. */
static void on_existing(struct pending *p, enum err err, struct slice body)
{
    const struct topics *s = p->filter;
    struct metadata_response resp;
    struct cursor c = cursor_of(body);
    struct map missing;

    if (!p->session) {
        pending_silent(p);
        return;
    }
    map_init(&missing);
    if (!err)
        err = metadata_response_decode(&resp, &c, EXISTING_VERSION, &p->arena);
    for (int32_t i = 0; !err && i < resp.topics.n; i++)
        if (resp.topics.v[i].error_code == ERR_UNKNOWN_TOPIC_OR_PARTITION)
            err = map_put(&missing, resp.topics.v[i].name, &resp.topics.v[i], NULL);
    for (int32_t i = 0; !err && i < s->n; i++)
        if (s->fates[i].may_miss && map_has(&missing, s->fates[i].name))
            s->fates[i].err = ERR_UNKNOWN_TOPIC_OR_PARTITION;
    map_free(&missing, NULL);
    forward_deletions(p); /* not knowing, they stay refused */
}

static bool ask_existing(struct pending *p)
{
    const struct topics *s = p->filter;
    struct metadata_request ask;
    int32_t n = 0;

    for (int32_t i = 0; i < s->n; i++)
        n += s->fates[i].may_miss;
    metadata_request_init(&ask);
    if (n == 0 || !metadata_request_metadata_request_topic_array_alloc(&ask.topics, n, &p->arena))
        return false;
    ask.topics.n = 0;
    for (int32_t i = 0; i < s->n; i++)
        if (s->fates[i].may_miss)
            ask.topics.v[ask.topics.n++].name = s->fates[i].name;
    ask.allow_auto_topic_creation = false;
    pending_hold(p);
    pending_ask(p, WIRE_METADATA, EXISTING_VERSION, &ask, on_existing);
    return true;
}

static void judge_deletions(struct pending *p)
{
    struct delete_topics_request *req = p->body;
    struct topics *s;
    struct topic_rights rights = {p, may_delete, may_describe, name_of};

    if (!p->session) {
        pending_silent(p);
        return;
    }
    s = topics_new(p, ACL_DELETE, p->version < IDS_SINCE ? req->topic_names.n : req->topics.n);
    if (!s || topic_fates_delete(&s->fates, req, &rights, &p->arena)) {
        pending_fail(p, CONN_CLOSE_NO_MEMORY, NULL);
        return;
    }
    if (!ask_existing(p))
        forward_deletions(p);
}

void handle_delete_topics(struct pending *p)
{
    topic_ids_resolve(p, judge_deletions);
}

/* ---- Rights on the cluster, topics inside ---- */

/* The right on the cluster was asked before. */
static enum err judge_by_cluster(struct pending *p, struct slice topic)
{
    return session_judge_by_cluster(p->session, p->api->key, ACL_TOPIC, ACL_ALTER, topic, true);
}

enum err judge_election(struct pending *p, const void *element)
{
    return judge_by_cluster(p, ((const struct elect_leaders_request_topic_partitions *)element)->topic);
}

/* An unclean election may lose what was written. Asked for all partitions at once it would reach reserved topics. */
void handle_elect_leaders(struct pending *p)
{
    const struct elect_leaders_request *req = p->body;
    struct acl_question q = {ACL_CLUSTER, ACL_ALTER, slice_str(ACL_CLUSTER_NAME), session_principal(p->session),
                             session_host(p->session)};
    struct acl_explanation e = {0};

    if (req->topic_partitions.n < 0 && req->election_type != ELECTION_PREFERRED && p->session->worker->view)
        acl_explain(p->session->worker->view->acl, &q, &e);
    if (e.allowed && e.basis != ACL_BASIS_SUPER_USER)
        split_refuse(p, ERR_CLUSTER_AUTHORIZATION_FAILED);
    else
        handle_split(p);
}

enum err judge_reassignment(struct pending *p, const void *element)
{
    return judge_by_cluster(p,
                            ((const struct alter_partition_reassignments_request_reassignable_topic *)element)->name);
}
