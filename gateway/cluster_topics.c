/* SPDX-License-Identifier: Apache-2.0
 * Requests that need a right on the cluster and name topics inside: WriteTxnMarkers, AlterReplicaLogDirs,
 * DescribeLogDirs, ListPartitionReassignments. The right on the cluster is the plan's (split_plans.c); here reserved
 * topics are taken out of the request and answered, or left out of a list. (ElectLeaders and
 * AlterPartitionReassignments have their topics in the plan.) */
#include "gateway/admin.h"
#include "gateway/handlers.h"
#include "gateway/split.h"
#include "wire/alter_replica_log_dirs.h"
#include "wire/describe_log_dirs.h"
#include "wire/list_partition_reassignments.h"
#include "wire/write_txn_markers.h"

typedef struct write_txn_markers_request_writable_txn_marker marker;
typedef struct write_txn_markers_request_writable_txn_marker_topic marker_topic;
typedef struct write_txn_markers_response_writable_txn_marker_result marker_answer;
typedef struct write_txn_markers_response_writable_txn_marker_topic_result marker_topic_answer;
typedef struct alter_replica_log_dirs_request_alter_replica_log_dir dir;
typedef struct alter_replica_log_dirs_request_alter_replica_log_dir_topic dir_topic;
typedef struct alter_replica_log_dirs_response_alter_replica_log_dir_topic_result dir_answer;

/* A topic that is answered here. */
struct refused {
    int64_t producer_id; /* of its marker */
    struct slice name;
    struct wire_int32_array partitions;
    enum err err;
};

struct answered {
    struct refused *v;
    int32_t n;
};

static enum err judge(struct pending *p, enum acl_operation op, struct slice topic)
{
    return session_judge_by_cluster(p->session, p->api->key, ACL_TOPIC, op, topic, true);
}

/* ---- WriteTxnMarkers ---- */

static bool take_out_markers(struct pending *p, struct write_txn_markers_request *req, struct answered *r)
{
    size_t max = 0;
    int32_t kept = 0;

    for (int32_t i = 0; i < req->markers.n; i++)
        max += (size_t)req->markers.v[i].topics.n;
    r->v = arena_array(&p->arena, max + 1, sizeof *r->v);
    if (!r->v)
        return false;
    for (int32_t i = 0; i < req->markers.n; i++) {
        marker *m = &req->markers.v[i];
        int32_t asked = m->topics.n, left = 0;

        for (int32_t k = 0; k < asked; k++) {
            marker_topic t = m->topics.v[k];
            enum err err = judge(p, ACL_WRITE, t.name);
            if (err)
                r->v[r->n++] = (struct refused){m->producer_id, t.name, t.partition_indexes, err};
            else
                m->topics.v[left++] = t;
        }
        m->topics.n = left;
        if (left || asked == 0)
            req->markers.v[kept++] = *m;
    }
    req->markers.n = kept;
    return true;
}

/* The answer for a producer id; a new one behind the `*n` there are. NULL: no memory. */
static marker_answer *answer_of(struct map *by_id, marker_answer *all, int32_t *n, const int64_t *producer_id)
{
    struct slice key = slice_of(producer_id, sizeof *producer_id);
    marker_answer *m = map_get(by_id, key);

    if (m)
        return m;
    m = &all[*n];
    m->producer_id = *producer_id;
    (*n)++;
    return map_put(by_id, key, m, NULL) ? NULL : m;
}

static bool put_marker_topic(struct pending *p, marker_topic_answer *t, const struct refused *r)
{
    write_txn_markers_response_writable_txn_marker_topic_result_init(t);
    t->name = r->name;
    if (r->partitions.n > 0 && !write_txn_markers_response_writable_txn_marker_partition_result_array_alloc(
                                   &t->partitions, r->partitions.n, &p->arena))
        return false;
    for (int32_t i = 0; i < t->partitions.n; i++) {
        t->partitions.v[i].partition_index = r->partitions.v[i];
        t->partitions.v[i].error_code = err_kafka(r->err);
    }
    return true;
}

/* Room for `more` topics behind those there are. */
static bool grow_topics(struct pending *p, marker_answer *m, int32_t more)
{
    struct write_txn_markers_response_writable_txn_marker_topic_result_array all;
    int32_t have = m->topics.n > 0 ? m->topics.n : 0;

    if (more == 0)
        return true;
    if (!write_txn_markers_response_writable_txn_marker_topic_result_array_alloc(&all, have + more, &p->arena))
        return false;
    if (have)
        memcpy(all.v, m->topics.v, (size_t)have * sizeof *all.v);
    all.n = have;
    m->topics = all;
    return true;
}

/* One answer for each producer id, as Kafka gives. Counted first, so that every list grows once. */
static bool put_all_markers(struct pending *p, struct write_txn_markers_response *resp, struct map *by_id)
{
    const struct answered *r = p->filter;
    struct write_txn_markers_response_writable_txn_marker_result_array all;
    int32_t have = resp->markers.n > 0 ? resp->markers.n : 0, n = 0;
    int32_t *more = arena_array(&p->arena, (size_t)(have + r->n) + 1, sizeof *more);
    marker_answer **of = arena_array(&p->arena, (size_t)r->n + 1, sizeof *of);

    if (!more || !of ||
        !write_txn_markers_response_writable_txn_marker_result_array_alloc(&all, have + r->n, &p->arena))
        return false;
    for (int32_t i = 0; i < have; i++) {
        marker_answer *m = answer_of(by_id, all.v, &n, &resp->markers.v[i].producer_id);
        if (!m)
            return false;
        *m = resp->markers.v[i];
    }
    for (int32_t i = 0; i < r->n; i++) {
        of[i] = answer_of(by_id, all.v, &n, &r->v[i].producer_id);
        if (!of[i])
            return false;
        more[of[i] - all.v]++;
    }
    for (int32_t i = 0; i < n; i++)
        if (!grow_topics(p, &all.v[i], more[i]))
            return false;
    for (int32_t i = 0; i < r->n; i++)
        if (!put_marker_topic(p, &of[i]->topics.v[of[i]->topics.n++], &r->v[i]))
            return false;
    all.n = n;
    resp->markers = all;
    return true;
}

static bool put_markers(struct pending *p, struct write_txn_markers_response *resp)
{
    struct map by_id;
    bool ok;

    map_init(&by_id);
    ok = put_all_markers(p, resp, &by_id);
    map_free(&by_id, NULL);
    return ok;
}

static void answer_markers(struct pending *p, struct write_txn_markers_response *resp)
{
    if (put_markers(p, resp))
        pending_answer(p, resp);
    else
        pending_fail(p, CONN_CLOSE_NO_MEMORY, NULL);
}

static void on_markers(struct pending *p, enum err err, struct slice body)
{
    struct write_txn_markers_response resp;

    if (pending_decode(p, err, body, &resp))
        answer_markers(p, &resp);
}

void handle_write_txn_markers(struct pending *p)
{
    struct write_txn_markers_request *req = p->body;
    struct write_txn_markers_response resp;
    struct answered *r;

    if (!admin_may(p, ACL_CLUSTER_ACTION)) {
        handle_split(p);
        return;
    }
    r = p->filter = arena_alloc(&p->arena, sizeof *r);
    if (!r || !take_out_markers(p, req, r)) {
        pending_fail(p, CONN_CLOSE_NO_MEMORY, NULL);
    } else if (r->n == 0) {
        pending_forward(p, NULL);
    } else if (req->markers.n) {
        pending_forward_struct(p, req, on_markers);
    } else {
        write_txn_markers_response_init(&resp);
        answer_markers(p, &resp);
    }
}

/* ---- AlterReplicaLogDirs ---- */

static bool take_out_dirs(struct pending *p, struct alter_replica_log_dirs_request *req, struct answered *r)
{
    size_t max = 0;
    int32_t kept = 0;

    for (int32_t i = 0; i < req->dirs.n; i++)
        max += (size_t)req->dirs.v[i].topics.n;
    r->v = arena_array(&p->arena, max + 1, sizeof *r->v);
    if (!r->v)
        return false;
    for (int32_t i = 0; i < req->dirs.n; i++) {
        dir *d = &req->dirs.v[i];
        int32_t asked = d->topics.n, left = 0;

        for (int32_t k = 0; k < asked; k++) {
            dir_topic t = d->topics.v[k];
            enum err err = judge(p, ACL_ALTER, t.name);
            if (err)
                r->v[r->n++] = (struct refused){.name = t.name, .partitions = t.partitions, .err = err};
            else
                d->topics.v[left++] = t;
        }
        d->topics.n = left;
        if (left || asked == 0)
            req->dirs.v[kept++] = *d;
    }
    req->dirs.n = kept;
    return true;
}

static bool put_dirs(struct pending *p, struct alter_replica_log_dirs_response *resp)
{
    const struct answered *r = p->filter;
    struct alter_replica_log_dirs_response_alter_replica_log_dir_topic_result_array all;
    int32_t n = resp->results.n;

    if (!alter_replica_log_dirs_response_alter_replica_log_dir_topic_result_array_alloc(&all, n + r->n, &p->arena))
        return false;
    for (int32_t i = 0; i < n; i++)
        all.v[i] = resp->results.v[i];
    for (int32_t i = 0; i < r->n; i++) {
        dir_answer *t = &all.v[n + i];
        t->topic_name = r->v[i].name;
        if (!alter_replica_log_dirs_response_alter_replica_log_dir_partition_result_array_alloc(
                &t->partitions, r->v[i].partitions.n, &p->arena))
            return false;
        for (int32_t k = 0; k < r->v[i].partitions.n; k++) {
            t->partitions.v[k].partition_index = r->v[i].partitions.v[k];
            t->partitions.v[k].error_code = err_kafka(r->v[i].err);
        }
    }
    resp->results = all;
    return true;
}

static void answer_dirs(struct pending *p, struct alter_replica_log_dirs_response *resp)
{
    if (put_dirs(p, resp))
        pending_answer(p, resp);
    else
        pending_fail(p, CONN_CLOSE_NO_MEMORY, NULL);
}

static void on_dirs(struct pending *p, enum err err, struct slice body)
{
    struct alter_replica_log_dirs_response resp;

    if (pending_decode(p, err, body, &resp))
        answer_dirs(p, &resp);
}

void handle_alter_replica_log_dirs(struct pending *p)
{
    struct alter_replica_log_dirs_request *req = p->body;
    struct alter_replica_log_dirs_response resp;
    struct answered *r;

    if (!admin_may(p, ACL_ALTER)) {
        handle_split(p);
        return;
    }
    r = p->filter = arena_alloc(&p->arena, sizeof *r);
    if (!r || !take_out_dirs(p, req, r)) {
        pending_fail(p, CONN_CLOSE_NO_MEMORY, NULL);
    } else if (r->n == 0) {
        pending_forward(p, NULL);
    } else if (req->dirs.n) {
        pending_forward_struct(p, req, on_dirs);
    } else {
        alter_replica_log_dirs_response_init(&resp);
        answer_dirs(p, &resp);
    }
}

/* ---- Lists ---- */

static void hide_log_dirs(struct pending *p, void *response)
{
    struct describe_log_dirs_response *resp = response;

    for (int32_t i = 0; i < resp->results.n; i++) {
        struct describe_log_dirs_response_describe_log_dirs_result *d = &resp->results.v[i];
        int32_t kept = 0;

        for (int32_t k = 0; k < d->topics.n; k++)
            if (!judge(p, ACL_DESCRIBE, d->topics.v[k].name))
                d->topics.v[kept++] = d->topics.v[k];
        if (d->topics.n > 0)
            d->topics.n = kept;
    }
    pending_answer(p, resp);
}

void handle_describe_log_dirs(struct pending *p)
{
    split_run(p, hide_log_dirs);
}

static void hide_reassignments(struct pending *p, void *response)
{
    struct list_partition_reassignments_response *resp = response;
    int32_t kept = 0;

    for (int32_t i = 0; i < resp->topics.n; i++)
        if (!judge(p, ACL_DESCRIBE, resp->topics.v[i].name))
            resp->topics.v[kept++] = resp->topics.v[i];
    if (resp->topics.n > 0)
        resp->topics.n = kept;
    pending_answer(p, resp);
}

void handle_list_partition_reassignments(struct pending *p)
{
    split_run(p, hide_reassignments);
}
