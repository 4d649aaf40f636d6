/* SPDX-License-Identifier: Apache-2.0
 * Produce: authorize (by the plan of gateway/split_plans.c) -> quota -> validate against schemas -> seal what a privacy
 * policy protects -> forward.
 * Nothing protected leaves here unsealed: a partition that cannot be sealed is answered with its error and taken out of
 * the request. The cluster's answer is rewritten where it names nodes, the refusals put back, the throttle time added.
 */
#include "wire/produce.h"
#include "core/base/log.h"
#include "gateway/crypt.h"
#include "gateway/handlers.h"
#include "gateway/produce_batches.h"
#include "gateway/schema_filter.h"
#include "gateway/topic_ids.h"
#include "gateway/traffic.h"

typedef struct produce_request_topic_produce_data topic_data;
typedef struct produce_response_topic_produce_response topic_answer;
typedef struct produce_response_partition_produce_response partition_answer;

/* A partition that is answered here. */
struct refusal {
    int32_t topic; /* index in the request as it came */
    int32_t partition;
    enum err err;                       /* ERR_OK: done with, nothing to forward */
    const char *text;                   /* in the arena; NULL: the error's own */
    const struct schema_violation *bad; /* ERR_INVALID_RECORD: the records to blame */
    size_t bad_n;
};

struct produce {
    topic_data *topics; /* the request as it came */
    int32_t topic_count;
    struct refusal *refusals;
    int32_t refusal_count;
    struct schema_job *schemas;
    struct crypt_job *job;
    bool changed; /* records were replaced */
};

static struct produce *state_of(struct pending *p)
{
    return p->filter;
}

static void free_state(struct pending *p)
{
    schema_job_free(state_of(p)->schemas);
    crypt_job_free(state_of(p)->job);
}

static struct slice topic_name(struct pending *p, const topic_data *t)
{
    if (p->version < 13)
        return t->name;
    return slice_str(p->session ? worker_topic_name(p->session->worker, t->topic_id.b) : NULL);
}

/* ---- The answer ---- */

static void put_record_errors(struct pending *p, partition_answer *a, const struct refusal *r)
{
    int32_t n = (int32_t)(r->bad_n < SCHEMA_ERRORS_MAX ? r->bad_n : SCHEMA_ERRORS_MAX);

    if (n == 0 || !r->err ||
        !produce_response_batch_index_and_error_message_array_alloc(&a->record_errors, n, &p->arena))
        return;
    for (int32_t i = 0; i < n; i++) {
        a->record_errors.v[i].batch_index = r->bad[i].index;
        a->record_errors.v[i].batch_index_error_message = slice_str(r->bad[i].text);
    }
}

static void put_partition(struct pending *p, topic_answer *out, const struct refusal *r)
{
    partition_answer *a = &out->partition_responses.v[out->partition_responses.n++];
    produce_response_partition_produce_response_init(a);
    a->index = r->partition;
    a->error_code = err_kafka(r->err);
    a->base_offset = -1;
    a->error_message = r->err ? slice_str(r->text ? r->text : err_text(r->err)) : SLICE_NULL;
    put_record_errors(p, a, r);
}

static topic_answer *answer_of(struct pending *p, struct produce_response *resp, const topic_data *t)
{
    for (int32_t i = 0; i < resp->responses.n; i++)
        if (p->version >= 13 ? wire_uuid_eq(&resp->responses.v[i].topic_id, &t->topic_id)
                             : slice_eq(resp->responses.v[i].name, t->name))
            return &resp->responses.v[i];
    return NULL;
}

/* All topics in the order of the request, the cluster's partitions first and then the refused ones. */
static bool merge(struct pending *p, struct produce_response *resp)
{
    struct produce *s = state_of(p);
    struct produce_response_topic_produce_response_array all;

    if (s->refusal_count == 0)
        return true;
    if (!produce_response_topic_produce_response_array_alloc(&all, s->topic_count, &p->arena))
        return false;
    for (int32_t t = 0; t < s->topic_count; t++) {
        const topic_answer *got = answer_of(p, resp, &s->topics[t]);
        int32_t n = got ? got->partition_responses.n : 0;
        all.v[t].name = s->topics[t].name;
        all.v[t].topic_id = s->topics[t].topic_id;
        all.v[t].partition_responses.v =
            arena_array(&p->arena, (size_t)(n + s->refusal_count), sizeof(partition_answer));
        if (!all.v[t].partition_responses.v)
            return false;
        for (int32_t i = 0; i < n; i++)
            all.v[t].partition_responses.v[i] = got->partition_responses.v[i];
        all.v[t].partition_responses.n = n;
        for (int32_t i = 0; i < s->refusal_count; i++)
            if (s->refusals[i].topic == t)
                put_partition(p, &all.v[t], &s->refusals[i]);
    }
    resp->responses = all;
    return true;
}

static void hide_nodes(struct pending *p, struct produce_response *resp)
{
    struct entrance *e = p->session ? p->session->entrance : NULL;
    int32_t kept = 0;

    for (int32_t i = 0; e && i < resp->node_endpoints.n; i++) {
        struct produce_response_node_endpoint *n = &resp->node_endpoints.v[i];
        int place = cluster_place(&p->session->worker->gateway->cluster, n->node_id);
        if (place < 0)
            continue;
        n->host = slice_str(e->advertised);
        n->port = e->port + 1 + place;
        resp->node_endpoints.v[kept++] = *n;
    }
    resp->node_endpoints.n = kept;
}

static void on_response(struct pending *p, enum err err, struct slice body)
{
    struct produce_response resp;
    struct cursor c = cursor_of(body);
    enum err wrong = ERR_OK;

    if (!err)
        wrong = produce_response_decode(&resp, &c, p->version, &p->arena);
    if (!err && !wrong && !merge(p, &resp))
        wrong = ERR_NO_MEMORY;
    if (err || wrong) {
        pending_fail_unanswered(p, err, wrong);
        return;
    }
    hide_nodes(p, &resp);
    pending_answer(p, &resp);
}

static void answer_alone(struct pending *p)
{
    struct produce_response resp;
    produce_response_init(&resp);
    if (merge(p, &resp))
        pending_answer(p, &resp);
    else
        pending_fail(p, CONN_CLOSE_NO_MEMORY, NULL);
}

/* ---- The request ---- */

static struct refusal *refuse(struct pending *p, int32_t topic, int32_t partition, enum err err,
                              const struct reason *why)
{
    struct produce *s = state_of(p);
    struct refusal *r = &s->refusals[s->refusal_count++];
    r->topic = topic;
    r->partition = partition;
    r->err = err;
    r->text = why && why->code ? arena_printf(&p->arena, "%s", why->text) : NULL;
    return r;
}

static bool is_refused(const struct produce *s, int32_t topic, int32_t partition)
{
    for (int32_t i = 0; i < s->refusal_count; i++)
        if (s->refusals[i].topic == topic && s->refusals[i].partition == partition)
            return true;
    return false;
}

static bool any_error(const struct produce *s)
{
    for (int32_t i = 0; i < s->refusal_count; i++)
        if (s->refusals[i].err)
            return true;
    return false;
}

static void refuse_topic(struct pending *p, int32_t topic, enum err err)
{
    const topic_data *t = &state_of(p)->topics[topic];
    for (int32_t i = 0; i < t->partition_data.n; i++)
        if (!is_refused(state_of(p), topic, t->partition_data.v[i].index))
            refuse(p, topic, t->partition_data.v[i].index, err, NULL);
}

/* Forward what is left: the request without the refused partitions. */
static void send_rest(struct pending *p, bool changed)
{
    struct produce *s = state_of(p);
    struct produce_request *req = p->body;
    topic_data *kept;
    int32_t n = 0;

    if (s->refusal_count == 0 && !changed) {
        p->frame_spent = true; /* merge() has nothing to put back, and names no topic */
        if (req->acks == 0)
            pending_forward_silent(p, NULL);
        else
            pending_forward(p, on_response);
        return;
    }
    kept = arena_array(&p->arena, (size_t)s->topic_count, sizeof *kept);
    for (int32_t t = 0; kept && t < s->topic_count; t++) {
        struct produce_request_partition_produce_data *parts =
            arena_array(&p->arena, (size_t)s->topics[t].partition_data.n, sizeof *parts);
        int32_t left = 0;
        for (int32_t i = 0; parts && i < s->topics[t].partition_data.n; i++)
            if (!is_refused(s, t, s->topics[t].partition_data.v[i].index))
                parts[left++] = s->topics[t].partition_data.v[i];
        if (left == 0)
            continue;
        kept[n] = s->topics[t];
        kept[n].partition_data.v = parts;
        kept[n++].partition_data.n = left;
    }
    req->topic_data.v = kept;
    req->topic_data.n = n;
    if (n == 0 && req->acks == 0 && !any_error(s))
        pending_silent(p);
    else if (n == 0 && req->acks == 0)
        pending_fail(p, CONN_CLOSE_PROTOCOL, "a produce with acks=0 was refused"); /* as Kafka tells such a producer */
    else if (n == 0)
        answer_alone(p);
    else if (req->acks == 0)
        pending_forward_silent(p, req);
    else
        pending_forward_struct(p, req, on_response);
}

static void on_sealed(struct pending *p)
{
    struct produce *s = state_of(p);

    if (!p->session) { /* nobody waits for the answer, and unsealed it must not go on */
        pending_silent(p);
        return;
    }
    for (size_t i = 0; i < crypt_job_count(s->job); i++) {
        const struct crypt_run *r = crypt_job_run(s->job, i);
        if (!r->err)
            continue;
        log_warn("%s: produce to %.*s is refused: %s", conn_peer(p->session->conn), SLICE_FMT(r->topic),
                 r->why.code ? r->why.text : err_text(r->err));
        refuse(p, r->tag_topic, r->tag_partition, r->err, &r->why);
    }
    send_rest(p, true);
}

/* Which partitions a policy protects; false when nothing does. Not for what was refused: no keys are made for people
 * named by somebody who may not write. */
static bool plan_sealing(struct pending *p)
{
    struct produce *s = state_of(p);
    size_t max = 0;

    for (int32_t t = 0; t < s->topic_count; t++)
        max += (size_t)s->topics[t].partition_data.n;
    for (int32_t t = 0; t < s->topic_count; t++) {
        struct slice name = topic_name(p, &s->topics[t]);
        const struct policy *policy;
        enum err err;

        if (slice_is_null(name))
            continue;
        err = crypt_policy(p, name, &policy);
        if (err)
            refuse_topic(p, t, err);
        if (err || !policy)
            continue;
        name = arena_copy(&p->arena, name); /* the worker may forget the name while keys are fetched */
        if (slice_is_null(name) || (!s->job && !(s->job = crypt_job_new(p, max)))) {
            refuse_topic(p, t, ERR_KAFKA_STORAGE_ERROR);
            continue;
        }
        for (int32_t i = 0; i < s->topics[t].partition_data.n; i++) {
            struct crypt_run *r;
            if (is_refused(s, t, s->topics[t].partition_data.v[i].index))
                continue;
            r = crypt_job_add(s->job);
            r->topic = name;
            r->policy = policy;
            r->records = &s->topics[t].partition_data.v[i].records;
            r->tag_topic = t;
            r->tag_partition = s->topics[t].partition_data.v[i].index;
        }
    }
    return s->job != NULL;
}

static void seal_and_send(struct pending *p)
{
    struct produce *s = state_of(p);
    int32_t refused_so_far = s->refusal_count;

    if (s->refusal_count == 0 && policy_set_count(p->session->worker->view->policies) == 0) {
        send_rest(p, s->changed);
    } else if (plan_sealing(p)) {
        pending_hold(p);
        crypt_seal(s->job, on_sealed);
    } else {
        send_rest(p, s->changed || s->refusal_count != refused_so_far);
    }
}

static void on_validated(struct pending *p)
{
    struct produce *s = state_of(p);

    if (!p->session) {
        pending_silent(p);
        return;
    }
    for (size_t i = 0; i < schema_job_count(s->schemas); i++) {
        const struct schema_run *r = schema_job_run(s->schemas, i);
        struct refusal *refusal;
        s->changed = s->changed || (!r->err && r->bad_n > 0);
        if (!r->err && !r->emptied)
            continue;
        refusal = refuse(p, r->tag_topic, r->tag_partition, r->err, r->err ? &r->why : NULL);
        refusal->bad = r->bad;
        refusal->bad_n = r->bad_n;
    }
    seal_and_send(p);
}

/* What is to be validated; false when nothing is. */
static bool plan_validation(struct pending *p)
{
    struct produce *s = state_of(p);
    size_t max = 0;

    for (int32_t t = 0; t < s->topic_count; t++)
        max += (size_t)s->topics[t].partition_data.n;
    for (int32_t t = 0; t < s->topic_count; t++) {
        struct slice name = topic_name(p, &s->topics[t]);
        if (slice_is_null(name) || !schema_filter_wants(p->session->worker, name))
            continue;
        name = arena_copy(&p->arena, name); /* the worker may forget the name meanwhile */
        if (slice_is_null(name) || (!s->schemas && !(s->schemas = schema_job_new(p, max)))) {
            refuse_topic(p, t, ERR_KAFKA_STORAGE_ERROR);
            continue;
        }
        for (int32_t i = 0; i < s->topics[t].partition_data.n; i++) {
            struct schema_run *r;
            if (is_refused(s, t, s->topics[t].partition_data.v[i].index))
                continue;
            r = schema_job_add(s->schemas);
            r->topic = name;
            r->records = &s->topics[t].partition_data.v[i].records;
            r->tag_topic = t;
            r->tag_partition = s->topics[t].partition_data.v[i].index;
        }
    }
    return s->schemas && schema_job_count(s->schemas) > 0;
}

static enum err judge_topic(struct pending *p, struct slice name)
{
    enum err err;

    if (slice_is_null(name))
        return p->version >= 13 ? ERR_UNKNOWN_TOPIC_ID : ERR_INVALID_REQUEST;
    err = session_judge(p->session, WIRE_PRODUCE, ACL_TOPIC, ACL_WRITE, name);
    return err == ERR_UNKNOWN_TOPIC_OR_PARTITION && p->version >= 13 ? ERR_UNKNOWN_TOPIC_ID : err;
}

/* One batch for each partition, and no byte behind it goes on. */
static void check_batches(struct pending *p, int32_t topic)
{
    struct produce *s = state_of(p);
    const topic_data *t = &s->topics[topic];

    for (int32_t i = 0; i < t->partition_data.n; i++) {
        struct produce_batches b = produce_batches_look(t->partition_data.v[i].records);
        if (b.wrong)
            refuse(p, topic, t->partition_data.v[i].index, b.wrong, NULL);
        if (b.wrong || t->partition_data.v[i].records.n == b.length)
            continue;
        t->partition_data.v[i].records.n = b.length;
        s->changed = true;
    }
}

static void check_topics(struct pending *p)
{
    struct produce *s = state_of(p);

    for (int32_t t = 0; t < s->topic_count; t++) {
        enum err err = judge_topic(p, topic_name(p, &s->topics[t]));
        if (err)
            refuse_topic(p, t, err);
        else
            check_batches(p, t);
    }
    if (plan_validation(p))
        schema_job_start(s->schemas, on_validated);
    else
        seal_and_send(p);
}

static void on_ids(struct pending *p)
{
    if (p->session)
        check_topics(p);
    else
        pending_silent(p);
}

/* Records of a transaction need WRITE on the transactional id, and are refused as a whole without one. An id that may
 * not be written says nothing over plain records; it stays here. False: answered. */
static bool check_transaction(struct pending *p, struct produce_request *req)
{
    struct produce *s = state_of(p);
    bool transactional = produce_has_transactional_records(req), may = false;

    if (!slice_is_null(req->transactional_id))
        may = transactional ? session_may(p->session, ACL_TRANSACTIONAL_ID, ACL_WRITE, req->transactional_id)
                            : session_sees(p->session, ACL_TRANSACTIONAL_ID, ACL_WRITE, req->transactional_id);
    if (transactional && !may) {
        for (int32_t t = 0; t < s->topic_count; t++)
            refuse_topic(p, t, ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
        send_rest(p, true);
        return false;
    }
    if (!may && !slice_is_null(req->transactional_id)) {
        req->transactional_id = SLICE_NULL;
        s->changed = true;
    }
    return true;
}

void handle_produce(struct pending *p)
{
    struct produce_request *req = p->body;
    struct produce *s = arena_alloc(&p->arena, sizeof *s);
    size_t n = 0;

    for (int32_t t = 0; t < req->topic_data.n; t++)
        n += (size_t)req->topic_data.v[t].partition_data.n;
    if (s)
        s->refusals = arena_array(&p->arena, n * 2 + 1, sizeof *s->refusals);
    if (!s || !s->refusals) {
        pending_fail(p, CONN_CLOSE_NO_MEMORY, NULL);
        return;
    }
    s->topics = req->topic_data.v;
    s->topic_count = req->topic_data.n;
    p->filter = s;
    p->filter_free = free_state;
    traffic_record(p, QUOTA_PRODUCER_BYTE_RATE, (double)p->frame.n);
    if (!check_transaction(p, req))
        return;
    topic_ids_resolve(p, on_ids);
}
