/* SPDX-License-Identifier: Apache-2.0
 * Fetch: authorize -> forward -> open sealed values -> quota. Topics that may not be read are answered here and taken
 * out of what is forwarded. Fetch sessions (KIP-227) end at the gateway: every fetch goes on as a full one and is
 * answered with session id 0, which tells the client to send full fetches, so that a refusal or a policy that changes
 * between two fetches is always seen. An answer that nobody has to change is passed on as it came. */
#include "wire/fetch.h"
#include "core/base/log.h"
#include "gateway/crypt.h"
#include "gateway/handlers.h"
#include "gateway/topic_ids.h"
#include "gateway/traffic.h"

typedef struct fetch_request_fetch_topic topic_request;
typedef struct fetch_response_fetchable_topic_response topic_answer;
typedef struct fetch_response_partition_data partition_answer;

struct fetch {
    topic_request *topics; /* the request as it came */
    int32_t topic_count;
    enum err *fate; /* per topic */
    int32_t refused;
    struct fetch_response response;
    struct slice body; /* the cluster's answer, in `kept` when it had to be kept */
    struct buf kept;
    struct crypt_job *job;
};

static struct fetch *state_of(struct pending *p)
{
    return p->filter;
}

static void free_state(struct pending *p)
{
    crypt_job_free(state_of(p)->job);
    buf_free(&state_of(p)->kept);
}

static struct slice topic_name(struct pending *p, struct slice name, const struct wire_uuid *id)
{
    if (p->version < 13)
        return name;
    return slice_str(p->session ? worker_topic_name(p->session->worker, id->b) : NULL);
}

/* ---- The answer ---- */

static bool put_refused(struct pending *p, const topic_request *in, topic_answer *out, enum err err)
{
    fetch_response_fetchable_topic_response_init(out);
    out->topic = in->topic;
    out->topic_id = in->topic_id;
    if (!fetch_response_partition_data_array_alloc(&out->partitions, in->partitions.n, &p->arena))
        return false;
    for (int32_t i = 0; i < in->partitions.n; i++) {
        partition_answer *a = &out->partitions.v[i];
        a->partition_index = in->partitions.v[i].partition;
        a->error_code = err_kafka(err);
        a->high_watermark = -1;
        a->records = slice_of("", 0);
        a->aborted_transactions.n = -1;
    }
    return true;
}

static bool merge(struct pending *p)
{
    struct fetch *s = state_of(p);
    struct fetch_response_fetchable_topic_response_array all;
    int32_t n = 0;

    if (s->refused == 0)
        return true;
    if (!fetch_response_fetchable_topic_response_array_alloc(&all, s->refused + s->response.responses.n, &p->arena))
        return false;
    for (int32_t i = 0; i < s->response.responses.n; i++)
        all.v[n++] = s->response.responses.v[i];
    for (int32_t t = 0; t < s->topic_count; t++)
        if (s->fate[t] && !put_refused(p, &s->topics[t], &all.v[n++], s->fate[t]))
            return false;
    all.n = n;
    s->response.responses = all;
    return true;
}

static bool hide_nodes(struct pending *p, struct fetch_response *resp)
{
    struct entrance *e = p->session->entrance;
    int32_t kept = 0;
    bool any = resp->node_endpoints.n > 0;

    for (int32_t i = 0; i < resp->node_endpoints.n; i++) {
        struct fetch_response_node_endpoint *n = &resp->node_endpoints.v[i];
        int place = cluster_place(&p->session->worker->gateway->cluster, n->node_id);
        if (place < 0)
            continue;
        n->host = slice_str(e->advertised);
        n->port = e->port + 1 + place;
        resp->node_endpoints.v[kept++] = *n;
    }
    resp->node_endpoints.n = kept;
    return any;
}

static void answer(struct pending *p)
{
    struct fetch *s = state_of(p);
    if (!merge(p)) {
        pending_fail(p, CONN_CLOSE_NO_MEMORY, NULL);
        return;
    }
    s->response.session_id = 0;
    pending_answer(p, &s->response);
}

static void on_opened(struct pending *p)
{
    struct fetch *s = state_of(p);

    if (!p->session) {
        pending_silent(p);
        return;
    }
    for (size_t i = 0; i < crypt_job_count(s->job); i++) {
        const struct crypt_run *r = crypt_job_run(s->job, i);
        partition_answer *a = &s->response.responses.v[r->tag_topic].partitions.v[r->tag_partition];
        if (!r->err)
            continue;
        log_warn("%s: records of %.*s-%d cannot be opened: %s", conn_peer(p->session->conn), SLICE_FMT(r->topic),
                 (int)a->partition_index, r->why.code ? r->why.text : err_text(r->err));
        a->error_code = err_kafka(r->err);
        a->records = slice_of("", 0);
        a->aborted_transactions.n = -1;
    }
    answer(p);
}

/* Sealed values may stand in any topic that ever had a policy; they are looked for where one is set now. */
static bool plan_opening(struct pending *p)
{
    struct fetch *s = state_of(p);
    size_t max = 0;

    if (policy_set_count(p->session->worker->view->policies) == 0)
        return false;
    for (int32_t t = 0; t < s->response.responses.n; t++)
        max += (size_t)s->response.responses.v[t].partitions.n;
    for (int32_t t = 0; t < s->response.responses.n; t++) {
        topic_answer *a = &s->response.responses.v[t];
        struct slice name = topic_name(p, a->topic, &a->topic_id);
        const struct policy *policy = NULL;
        enum err err = slice_is_null(name) ? ERR_OK : crypt_policy(p, name, &policy);
        if (!err && !policy)
            continue;
        name = arena_copy(&p->arena, name); /* the worker may forget the name while keys are fetched */
        if (slice_is_null(name) || (!s->job && !(s->job = crypt_job_new(p, max))))
            return false;
        for (int32_t i = 0; i < a->partitions.n; i++) {
            struct crypt_run *r;
            if (a->partitions.v[i].records.n == 0)
                continue;
            r = crypt_job_add(s->job);
            r->topic = name;
            r->policy = policy;
            r->records = &a->partitions.v[i].records;
            r->err = err;
            r->tag_topic = t;
            r->tag_partition = i;
        }
    }
    return s->job && crypt_job_count(s->job) > 0;
}

static void on_response(struct pending *p, enum err err, struct slice body)
{
    struct fetch *s = state_of(p);
    struct cursor c = cursor_of(body);
    enum err wrong = ERR_OK;
    bool protect;

    if (!p->session || (p->streamed && !err)) {
        pending_silent(p);
        return;
    }
    if (!err)
        wrong = fetch_response_decode(&s->response, &c, p->version, &p->arena);
    if (err || wrong) {
        pending_fail_unanswered(p, err, wrong);
        return;
    }
    traffic_record(p, QUOTA_CONSUMER_BYTE_RATE, (double)body.n);
    protect = plan_opening(p);
    if (!hide_nodes(p, &s->response) && !protect && s->refused == 0 && s->response.session_id == 0) {
        pending_relay(p);
        return;
    }
    if (!protect) {
        answer(p);
        return;
    }
    /* the keys may take a moment: the answer's bytes must outlive this call */
    buf_put_slice(&s->kept, body);
    c = cursor_of(buf_slice(&s->kept));
    crypt_job_free(s->job);
    s->job = NULL;
    if (buf_error(&s->kept) || fetch_response_decode(&s->response, &c, p->version, &p->arena) || !plan_opening(p)) {
        pending_fail(p, CONN_CLOSE_NO_MEMORY, NULL);
        return;
    }
    hide_nodes(p, &s->response);
    crypt_open(s->job, on_opened);
}

/* ---- The request ---- */

static void answer_alone(struct pending *p)
{
    struct fetch *s = state_of(p);
    fetch_response_init(&s->response);
    answer(p);
}

/* Nobody has to look into the answer: no policy, no byte rate, no addresses of nodes in it (version 16+). */
static bool passes_untouched(struct pending *p)
{
    const struct view *v = p->session->worker->view;
    return p->version < 16 && state_of(p)->refused == 0 && policy_set_count(v->policies) == 0 &&
           !quota_snapshot_limits_any(v->quotas, QUOTA_CONSUMER_BYTE_RATE);
}

static void forward(struct pending *p)
{
    struct fetch *s = state_of(p);
    struct fetch_request *req = p->body;
    int32_t kept = 0;
    bool session = p->version >= 7 && (req->session_id != 0 || req->session_epoch != -1);

    p->streamable = passes_untouched(p);

    if (s->refused == 0 && !session) {
        pending_forward(p, on_response);
        return;
    }
    if (s->refused) {
        topic_request *left = arena_array(&p->arena, (size_t)s->topic_count, sizeof *left);
        for (int32_t t = 0; left && t < s->topic_count; t++)
            if (!s->fate[t])
                left[kept++] = s->topics[t];
        req->topics.v = left;
        req->topics.n = kept;
        if (kept == 0) {
            answer_alone(p);
            return;
        }
        req->max_wait_ms = 0; /* what was refused is to be answered now */
    }
    req->session_id = 0;
    req->session_epoch = -1;
    pending_forward_struct(p, req, on_response);
}

static void check_topics(struct pending *p)
{
    struct fetch *s = state_of(p);

    if (!p->session) {
        pending_silent(p);
        return;
    }
    for (int32_t t = 0; t < s->topic_count; t++) {
        struct slice name = topic_name(p, s->topics[t].topic, &s->topics[t].topic_id);
        if (slice_is_null(name))
            s->fate[t] = ERR_UNKNOWN_TOPIC_ID;
        else
            s->fate[t] = session_judge(p->session, WIRE_FETCH, ACL_TOPIC, ACL_READ, name);
        if (s->fate[t] == ERR_UNKNOWN_TOPIC_OR_PARTITION && p->version >= 13)
            s->fate[t] = ERR_UNKNOWN_TOPIC_ID;
        s->refused += s->fate[t] != ERR_OK;
    }
    forward(p);
}

void handle_fetch(struct pending *p)
{
    struct fetch_request *req = p->body;
    struct fetch *s = arena_alloc(&p->arena, sizeof *s);
    struct fetch_response resp;

    if (s)
        s->fate = arena_array(&p->arena, (size_t)req->topics.n + 1, sizeof *s->fate);
    if (!s || !s->fate) {
        pending_fail(p, CONN_CLOSE_NO_MEMORY, NULL);
        return;
    }
    buf_init(&s->kept, 0);
    s->topics = req->topics.v;
    s->topic_count = req->topics.n;
    p->filter = s;
    p->filter_free = free_state;
    /* only a replica may say it is one: its reads go past the high watermark */
    if ((req->replica_id >= 0 || req->replica_state.replica_id >= 0) &&
        !session_may(p->session, ACL_CLUSTER, ACL_CLUSTER_ACTION, slice_str(ACL_CLUSTER_NAME))) {
        for (int32_t t = 0; t < s->topic_count; t++)
            s->fate[t] = ERR_TOPIC_AUTHORIZATION_FAILED;
        s->refused = s->topic_count;
        forward(p);
        return;
    }
    if (p->version >= 7 && req->session_id != 0) { /* we never gave one out */
        fetch_response_init(&resp);
        resp.error_code = ERR_FETCH_SESSION_ID_NOT_FOUND;
        pending_answer(p, &resp);
        return;
    }
    topic_ids_resolve(p, check_topics);
}
