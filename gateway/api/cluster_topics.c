/* SPDX-License-Identifier: Apache-2.0
 * Requests that need a right on the cluster and name topics in lists of lists: WriteTxnMarkers, AlterReplicaLogDirs;
 * and two whose answers name topics: DescribeLogDirs, ListPartitionReassignments. The right on the cluster stands in
 * the table; here reserved topics are taken out of the request and answered, or left out of a list. */
#include "core/base/map.h"
#include "gateway/api/steps.h"
#include "gateway/filter/filter.h"
#include "gateway/request/list.h"
#include "gateway/request/request.h"
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

struct nested {
    struct refused *v;
    int32_t n;
    int32_t at, topic, kept; /* where the work stands */
};

static enum err judge(struct request *r, enum acl_operation op, struct slice topic)
{
    return request_judge(r, ACL_TOPIC, op, topic, true);
}

static struct nested *begin(struct request *r, size_t topics)
{
    struct nested *s = r->state[FILTER_API] = arena_alloc(&r->arena, sizeof *s);

    if (s)
        s->v = arena_array(&r->arena, topics, sizeof *s->v);
    return s && s->v ? s : NULL;
}

/* Something was taken out: the rest is forwarded, or there is none. */
static enum step settle(struct request *r, int32_t left)
{
    const struct nested *s = r->state[FILTER_API];

    if (s->n == 0)
        return STEP_NEXT;
    r->changed = true;
    if (left > 0)
        return STEP_NEXT;
    r->response = wire_struct_new(r->api->response->body, &r->arena);
    return r->response ? STEP_DONE : request_no_memory(r);
}

/* ---- WriteTxnMarkers ---- */

static enum step judge_marker(struct request *r, struct nested *s, marker *m, int32_t asked)
{
    if (s->topic == 0)
        s->kept = 0;
    while (s->topic < asked) {
        marker_topic t = m->topics.v[s->topic++];
        enum err err = judge(r, ACL_WRITE, t.name);
        if (err)
            s->v[s->n++] = (struct refused){m->producer_id, t.name, t.partition_indexes, err};
        else
            m->topics.v[s->kept++] = t;
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    s->topic = 0;
    m->topics.n = s->kept;
    return STEP_NEXT;
}

enum step write_txn_markers_start(struct request *r)
{
    struct write_txn_markers_request *req = r->body;
    struct nested *s = r->state[FILTER_API];
    int32_t kept = 0;

    if (!s) {
        size_t n = 0;
        for (int32_t i = 0; i < req->markers.n; i++)
            n += (size_t)req->markers.v[i].topics.n;
        request_spent(r, req->markers.n);
        s = begin(r, n);
        if (!s)
            return request_no_memory(r);
    }
    while (s->at < req->markers.n) {
        marker *m = &req->markers.v[s->at];
        bool empty = s->topic == 0 && m->topics.n == 0;
        enum step step = empty ? STEP_NEXT : judge_marker(r, s, m, m->topics.n);
        if (step != STEP_NEXT)
            return step;
        s->at++;
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    for (int32_t i = 0; s->n > 0 && i < req->markers.n; i++)
        if (req->markers.v[i].topics.n > 0)
            req->markers.v[kept++] = req->markers.v[i];
    if (s->n > 0)
        req->markers.n = kept;
    s->at = 0;
    return settle(r, kept);
}

static bool put_marker_topic(struct request *r, marker_topic_answer *t, const struct refused *f)
{
    write_txn_markers_response_writable_txn_marker_topic_result_init(t);
    t->name = f->name;
    request_spent(r, f->partitions.n);
    if (!write_txn_markers_response_writable_txn_marker_partition_result_array_alloc(&t->partitions, f->partitions.n,
                                                                                     &r->arena))
        return f->partitions.n == 0;
    for (int32_t i = 0; i < f->partitions.n; i++) {
        t->partitions.v[i].partition_index = f->partitions.v[i];
        t->partitions.v[i].error_code = err_kafka(f->err);
    }
    return true;
}

/* The refused topics of one producer id stand together in s->v, as its marker did in the request. */
static int32_t run_of(const struct nested *s, int32_t from)
{
    int32_t n = 1;

    while (from + n < s->n && s->v[from + n].producer_id == s->v[from].producer_id)
        n++;
    return n;
}

/* The answer for a producer id; a new one behind the `*n` there are. NULL: no memory. */
static marker_answer *marker_of(struct map *by_id, marker_answer *all, int32_t *n, const int64_t *id)
{
    struct slice key = slice_of(id, sizeof *id);
    marker_answer *m = map_get(by_id, key);

    if (m)
        return m;
    m = &all[*n];
    write_txn_markers_response_writable_txn_marker_result_init(m);
    m->producer_id = *id;
    (*n)++;
    return map_put(by_id, key, m, NULL) ? NULL : m;
}

static enum step put_run(struct request *r, marker_answer *m, const struct nested *s, int32_t from, int32_t n)
{
    marker_topic_answer *v = arena_array(&r->arena, (size_t)m->topics.n + (size_t)n, sizeof *v);

    if (!v)
        return request_no_memory(r);
    if (m->topics.n > 0)
        memcpy(v, m->topics.v, (size_t)m->topics.n * sizeof *v);
    for (int32_t i = 0; i < n; i++)
        if (!put_marker_topic(r, &v[m->topics.n + i], &s->v[from + i]))
            return request_no_memory(r);
    m->topics.v = v;
    m->topics.n += n;
    return STEP_NEXT;
}

static enum step put_markers(struct request *r, const struct nested *s, struct map *by_id)
{
    struct write_txn_markers_response *resp = r->response;
    int32_t have = resp->markers.n > 0 ? resp->markers.n : 0, n = have;
    marker_answer *all = arena_array(&r->arena, (size_t)have + (size_t)s->n, sizeof *all);

    if (!all)
        return request_no_memory(r);
    for (int32_t i = 0; i < have; i++) {
        all[i] = resp->markers.v[i];
        if (map_put(by_id, slice_of(&all[i].producer_id, sizeof all[i].producer_id), &all[i], NULL))
            return request_no_memory(r);
    }
    for (int32_t i = 0, run; i < s->n; i += run) {
        marker_answer *m = marker_of(by_id, all, &n, &s->v[i].producer_id);
        enum step step = m ? STEP_NEXT : request_no_memory(r);

        run = run_of(s, i);
        if (step == STEP_NEXT)
            step = put_run(r, m, s, i, run);
        if (step != STEP_NEXT)
            return step;
    }
    resp->markers.v = all;
    resp->markers.n = n;
    return STEP_NEXT;
}

enum step write_txn_markers_finish(struct request *r)
{
    struct nested *s = r->state[FILTER_API];
    struct map by_id;
    enum step step;

    if (!s || s->n == 0)
        return STEP_NEXT;
    map_init(&by_id);
    step = put_markers(r, s, &by_id);
    map_free(&by_id, NULL);
    return step;
}

/* ---- AlterReplicaLogDirs ---- */

static enum step judge_dir(struct request *r, struct nested *s, dir *d)
{
    if (s->topic == 0)
        s->kept = 0;
    while (s->topic < d->topics.n) {
        dir_topic t = d->topics.v[s->topic++];
        enum err err = judge(r, ACL_ALTER, t.name);
        if (err)
            s->v[s->n++] = (struct refused){.name = t.name, .partitions = t.partitions, .err = err};
        else
            d->topics.v[s->kept++] = t;
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    s->topic = 0;
    d->topics.n = s->kept;
    return STEP_NEXT;
}

enum step alter_replica_log_dirs_start(struct request *r)
{
    struct alter_replica_log_dirs_request *req = r->body;
    struct nested *s = r->state[FILTER_API];
    int32_t kept = 0;

    if (!s) {
        size_t n = 0;
        for (int32_t i = 0; i < req->dirs.n; i++)
            n += (size_t)req->dirs.v[i].topics.n;
        request_spent(r, req->dirs.n);
        s = begin(r, n);
        if (!s)
            return request_no_memory(r);
    }
    while (s->at < req->dirs.n) {
        enum step step = judge_dir(r, s, &req->dirs.v[s->at]);
        if (step != STEP_NEXT)
            return step;
        s->at++;
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    for (int32_t i = 0; s->n > 0 && i < req->dirs.n; i++)
        if (req->dirs.v[i].topics.n > 0)
            req->dirs.v[kept++] = req->dirs.v[i];
    if (s->n > 0)
        req->dirs.n = kept;
    s->at = 0;
    return settle(r, kept);
}

enum step alter_replica_log_dirs_finish(struct request *r)
{
    struct alter_replica_log_dirs_response *resp = r->response;
    struct nested *s = r->state[FILTER_API];
    int32_t have = resp->results.n > 0 ? resp->results.n : 0;
    dir_answer *v;

    if (!s || s->n == 0)
        return STEP_NEXT;
    v = arena_array(&r->arena, (size_t)have + (size_t)s->n, sizeof *v);
    if (!v)
        return request_no_memory(r);
    if (have > 0)
        memcpy(v, resp->results.v, (size_t)have * sizeof *v);
    for (int32_t i = 0; i < s->n; i++) {
        dir_answer *t = &v[have + i];
        const struct refused *f = &s->v[i];
        alter_replica_log_dirs_response_alter_replica_log_dir_topic_result_init(t);
        t->topic_name = f->name;
        if (f->partitions.n > 0 && !alter_replica_log_dirs_response_alter_replica_log_dir_partition_result_array_alloc(
                                       &t->partitions, f->partitions.n, &r->arena))
            return request_no_memory(r);
        for (int32_t k = 0; k < f->partitions.n; k++) {
            t->partitions.v[k].partition_index = f->partitions.v[k];
            t->partitions.v[k].error_code = err_kafka(f->err);
        }
    }
    resp->results.v = v;
    resp->results.n = have + s->n;
    return STEP_NEXT;
}

/* ---- Lists ---- */

static bool is_shown(struct request *r, struct slice topic)
{
    return request_judge(r, ACL_TOPIC, ACL_DESCRIBE, topic, true) == ERR_OK;
}

enum step describe_log_dirs_finish(struct request *r)
{
    struct describe_log_dirs_response *resp = r->response;

    for (int32_t i = 0; i < resp->results.n; i++) {
        struct describe_log_dirs_response_describe_log_dirs_result *d = &resp->results.v[i];
        int32_t kept = 0;

        request_spent(r, d->topics.n);
        for (int32_t k = 0; k < d->topics.n; k++)
            if (is_shown(r, d->topics.v[k].name))
                d->topics.v[kept++] = d->topics.v[k];
        if (d->topics.n > 0)
            d->topics.n = kept;
    }
    return STEP_NEXT;
}

enum step list_partition_reassignments_finish(struct request *r)
{
    struct list_partition_reassignments_response *resp = r->response;
    int32_t kept = 0;

    request_spent(r, resp->topics.n);
    for (int32_t i = 0; i < resp->topics.n; i++)
        if (is_shown(r, resp->topics.v[i].name))
            resp->topics.v[kept++] = resp->topics.v[i];
    if (resp->topics.n > 0)
        resp->topics.n = kept;
    return STEP_NEXT;
}
