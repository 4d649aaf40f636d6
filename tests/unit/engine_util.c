/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/engine_util.h"
#include "acl/quota_meter.h"
#include "core/base/env.h"
#include "core/base/settings.h"
#include "core/net/loop.h"
#include "gateway/api/api.h"
#include "gateway/filter/schema_topics.h"
#include "gateway/filter/subscriptions.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

enum { ADVERTISED_PORT = 9090 };

void scene_broken(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
    abort();
}

static struct client *client_of(const struct pipeline *p)
{
    return p->session;
}

static struct scene *scene_of(const struct engine *e)
{
    struct worker *w = e->owner;
    return (struct scene *)(void *)((uint8_t *)w - offsetof(struct scene, worker));
}

/* ---- What the engine asks of its surroundings ---- */

/* The others are answered from what a session or the ledger knows. */
bool scene_serves(const struct api_row *row)
{
    return row->where == API_FORWARDED ||
           (row->key >= WIRE_CREATE_DELEGATION_TOKEN && row->key <= WIRE_DESCRIBE_DELEGATION_TOKEN);
}

static enum step admit(struct request *r)
{
    const char *wrong = request_read_header(r);
    int16_t min, max;

    if (wrong)
        return request_end(r, CONN_CLOSE_PROTOCOL, wrong);
    if (!r->row || !r->api || !scene_serves(r->row) || !api_versions(r->engine->cluster, r->row, &min, &max) ||
        r->version < min || r->version > max)
        return request_end(r, CONN_CLOSE_NOT_SERVED, "not served");
    return STEP_NEXT;
}

static enum err send_to_cluster(struct request *r, const struct engine_send *what)
{
    struct client *c = client_of(r->pipeline);
    struct scene *s = c->scene;
    struct sent *t;

    if (s->unreachable)
        return ERR_UNAVAILABLE;
    SCENE_EXPECT(c->here && s->sent_n < SCENE_SENT_MAX);
    t = &s->sent[s->sent_n];
    *t = (struct sent){.client = c, .key = what->api_key, .version = what->version};
    buf_init(&t->body, 0);
    buf_put_slice(&t->body, what->body);
    if (buf_error(&t->body)) {
        buf_free(&t->body);
        return ERR_NO_MEMORY;
    }
    t->request = what->no_answer ? NULL : r;
    t->no_answer = what->no_answer;
    t->is_forwarded = r->forwarded;
    s->sent_n++;
    if (what->owned && c->asked % 2) /* as the connection does where it keeps it */
        buf_free(what->owned);
    return ERR_OK;
}

static bool may_answer(struct pipeline *p)
{
    return !client_of(p)->deaf;
}

static enum err answer(struct pipeline *p, struct request *r)
{
    struct client *c = client_of(p);
    struct buf *out = &c->answers[c->answers_n];
    size_t length = r->relayed ? 0 : 4;

    SCENE_EXPECT(c->here && c->answers_n < SCENE_ANSWERS_MAX && r->answer.n >= length);
    buf_init(out, 0);
    buf_put(out, r->answer.p + length, r->answer.n - length);
    if (buf_error(out)) {
        buf_free(out);
        return ERR_NO_MEMORY;
    }
    c->answers_n++;
    return ERR_OK;
}

static void close_pipeline(struct pipeline *p, enum conn_close why, const char *detail)
{
    struct client *c = client_of(p);

    SCENE_EXPECT(c->here);
    c->here = false; /* the test lets it leave when the engine has returned */
    c->why = why;
    snprintf(c->detail, sizeof c->detail, "%s", detail ? detail : "");
}

static void mute(struct pipeline *p, int64_t ms)
{
    client_of(p)->muted_ms = ms;
}

static void reading(struct pipeline *p)
{
    client_of(p)->looked_at_reading++;
}

static void ready(struct engine *e)
{
    scene_of(e)->ready++;
}

static void refused(const struct request *r, enum acl_type type, enum acl_operation op, struct slice name)
{
    (void)type;
    (void)op;
    (void)name;
    scene_of(r->engine)->refused++;
}

static void throttled(const struct request *r, enum quota_key key)
{
    (void)key;
    scene_of(r->engine)->throttled++;
}

static void surplus(const struct request *r)
{
    scene_of(r->engine)->surplus++;
}

static void topics_changed(struct engine *e)
{
    scene_of(e)->topics_changed++;
}

static void node_learned(struct engine *e, int place)
{
    (void)place;
    scene_of(e)->nodes_learned++;
}

static const struct engine_ops ops = {.admit = admit,
                                      .send = send_to_cluster,
                                      .may_answer = may_answer,
                                      .answer = answer,
                                      .close = close_pipeline,
                                      .mute = mute,
                                      .reading = reading,
                                      .ready = ready,
                                      .refused = refused,
                                      .throttled = throttled,
                                      .surplus = surplus,
                                      .topics_changed = topics_changed,
                                      .node_learned = node_learned};

/* ---- Life ---- */

static void set_cluster(struct cluster *c)
{
    cluster_init(c);
    for (int16_t key = 0; key < CLUSTER_APIS; key++) {
        const struct wire_api *api = wire_api(key);
        c->min_version[key] = api ? api->min : -1;
        c->max_version[key] = api ? api->max : -1;
    }
}

static const struct setting_row no_settings[] = {{"castellan.topic.*", SETTING_STRING, NULL, 0, 0, NULL},
                                                 {NULL, SETTING_STRING, NULL, 0, 0, NULL}};

void scene_init(struct scene *s)
{
    const struct work_pool_opts pool = {.threads = 1, .bytes_max = 64 << 20};
    struct reason why = {0};

    memset(s, 0, sizeof *s);
    set_cluster(&s->gateway.cluster);
    gateway_counters_init(&s->gateway.counters);
    SCENE_EXPECT(settings_parse(&s->gateway.settings, "test", slice_of("", 0), no_settings, &why) == ERR_OK);
    s->worker.gateway = &s->gateway;
    SCENE_EXPECT(loop_new(&s->worker.loop, env_system(), &why) == ERR_OK);
    SCENE_EXPECT(work_pool_new(&s->gateway.pool, &pool, &why) == ERR_OK);
    s->gateway.unpack_limits = (struct record_unpack_limits){.batch_max = 1 << 20, .request_max = 4 << 20};
    map_init(&s->worker.topics.by_id);
    s->rules = acl_set_new();
    s->quotas = quota_table_new();
    s->policies = policy_table_new();
    s->gateway.meters = quota_meters_new(NULL);
    s->gateway.subscriptions = subscriptions_new(NULL);
    SCENE_EXPECT(s->rules && s->quotas && s->policies && s->gateway.meters && s->gateway.subscriptions);
    s->worker.magic = WORKER_MAGIC;
    engine_init(&s->engine, &ops, &s->worker);
    s->engine.meters = s->gateway.meters;
    s->engine.cluster = &s->gateway.cluster;
    s->engine.topics = &s->worker.topics;
    s->engine.subscriptions = s->gateway.subscriptions;
    s->engine.process = &s->process;
    budget_init(&s->process, "castellan.memory.max.bytes", NULL, 1 << 30);
    s->process.soft = true;
    for (int i = 0; i < SCENE_CLIENTS_MAX; i++)
        share_init(&s->shares[i]);
    fake_cluster_init(&s->cluster);
    scene_rules_done(s);
    s->now_ms = 1000;
}

static void free_view(struct scene *s)
{
    acl_snapshot_unref(s->view.acl);
    quota_snapshot_unref(s->view.quotas);
    policy_set_unref(s->view.policies);
    s->view = (struct view){0};
}

void scene_free(struct scene *s)
{
    for (int i = 0; i < SCENE_CLIENTS_MAX; i++) {
        client_leaves(&s->clients[i]);
        client_forget_answers(&s->clients[i]);
    }
    for (int i = 0; i < s->sent_n; i++) /* what was still under way comes back */
        if (s->sent[i].request)
            scene_answer(s, i, ERR_UNAVAILABLE);
    scene_forget_sent(s);
    SCENE_EXPECT(budget_used(&s->process) == 0);
    for (int i = 0; i < SCENE_CLIENTS_MAX; i++)
        SCENE_EXPECT(budget_used(&s->clients[i].principal) == 0);
    SCENE_EXPECT(!turn_is_waiting(&s->engine.ready));
    free_view(s);
    acl_set_free(s->rules);
    quota_table_free(s->quotas);
    policy_table_free(s->policies);
    quota_meters_free(s->gateway.meters);
    subscriptions_free(s->gateway.subscriptions);
    schema_topics_free(s->worker.schema_topics);
    topic_names_free(&s->worker.topics);
    settings_free(s->gateway.settings);
    work_pool_free(s->gateway.pool);
    loop_free(s->worker.loop);
}

static void add_rule(struct scene *s, const char *principal, enum acl_type type, enum acl_operation op,
                     const char *name, enum acl_permission permission)
{
    struct acl_rule rule = {type, ACL_LITERAL, op, permission, slice_str(name), slice_str(principal), slice_str("*")};
    struct reason why = {0};

    SCENE_EXPECT(acl_set_add(s->rules, &rule, NULL, &why) == ERR_OK);
}

void scene_allow(struct scene *s, const char *principal, enum acl_type type, enum acl_operation op, const char *name)
{
    add_rule(s, principal, type, op, name, ACL_ALLOW);
}

void scene_deny(struct scene *s, const char *principal, enum acl_type type, enum acl_operation op, const char *name)
{
    add_rule(s, principal, type, op, name, ACL_DENY);
}

void scene_rules_done(struct scene *s)
{
    struct acl_options o = {.super_users = slice_str("User:root")};
    struct reason why = {0};

    uint64_t rules = s->view.rules;

    free_view(s);
    s->view.rules = rules + 1;
    SCENE_EXPECT(acl_snapshot_build(&s->view.acl, s->rules, &o, &why) == ERR_OK);
    SCENE_EXPECT(quota_snapshot_build(&s->view.quotas, s->quotas) == ERR_OK);
    s->view.policies = policy_table_snapshot(s->policies);
    SCENE_EXPECT(s->view.policies != NULL);
    s->engine.view = &s->view;
}

void scene_tell_topics(struct scene *s)
{
    struct slice names[FAKE_NAMES_MAX];

    for (int i = 0; i < s->cluster.topics.n; i++)
        names[i] = slice_str(s->cluster.topics.v[i]);
    if (s->faults)
        s->faults(false);
    SCENE_EXPECT(subscriptions_set_topics(s->gateway.subscriptions, names, (size_t)s->cluster.topics.n) == ERR_OK);
    if (s->faults)
        s->faults(true);
}

struct client *scene_client(struct scene *s, int i, const char *principal)
{
    struct client *c = &s->clients[i];

    scene_tell_topics(s);
    SCENE_EXPECT(i < SCENE_CLIENTS_MAX && !c->here);
    client_forget_answers(c);
    *c = (struct client){.scene = s, .here = true};
    snprintf(c->name, sizeof c->name, "%s", principal);
    pipeline_init(&c->pipeline, &s->engine, c);
    budget_init(&c->principal, "castellan.principal.memory.max.bytes", &s->process, 256 << 20);
    budget_init(&c->pipeline.budget, "castellan.session.memory.max.bytes", &c->principal, 128 << 20);
    c->pipeline.request_max = 64 << 20;
    c->pipeline.reserve = 1 << 20;
    c->pipeline.peer = (struct peer){.principal = slice_str(c->name),
                                     .user = slice_str(c->name + 5),
                                     .host = slice_str("10.0.0.1"),
                                     .label = c->name,
                                     .advertised = "gateway",
                                     .port = ADVERTISED_PORT};
    for (int k = 0; k < SCENE_CLIENTS_MAX; k++) /* the share of the first client of this principal */
        if (s->clients[k].scene && strcmp(s->clients[k].name, principal) == 0) {
            pipeline_set_share(&c->pipeline, &s->shares[k]);
            break;
        }
    return c;
}

void client_leaves(struct client *c)
{
    c->here = false;
    if (!c->pipeline.magic)
        return;
    pipeline_abandon(&c->pipeline);
    SCENE_EXPECT(budget_used(&c->pipeline.budget) == 0);
}

bool client_sends(struct client *c, struct slice frame)
{
    struct buf b;

    SCENE_EXPECT(c->here);
    buf_init(&b, 0);
    buf_put_slice(&b, frame);
    if (buf_error(&b)) {
        buf_free(&b);
        return false;
    }
    c->asked++;
    return pipeline_take(&c->pipeline, &b);
}

int client_asks(struct client *c, int16_t key, int16_t version, const void *request)
{
    int id = c->asked;
    struct buf frame;

    buf_init(&frame, 0);
    SCENE_EXPECT(wire_request_frame(&frame, key, version, id, slice_str("test"), request) == ERR_OK);
    SCENE_EXPECT(client_sends(c, slice_of(frame.p + 4, frame.n - 4)));
    buf_free(&frame);
    return id;
}

/* ---- Running ---- */

/* Those whose connection the engine ended leave, as the loop lets them. */
static void let_leave(struct scene *s)
{
    for (int i = 0; i < SCENE_CLIENTS_MAX; i++)
        if (!s->clients[i].here)
            client_leaves(&s->clients[i]);
}

/* What the pool's thread works on is done, and back with its owner. */
static void let_work(struct scene *s)
{
    struct work_pool_load load;

    while (load = work_pool_load(s->gateway.pool), load.waiting + load.running > 0)
        sched_yield();
    loop_run_once(s->worker.loop, false);
}

void scene_run(struct scene *s)
{
    int turns = 0;

    do {
        while (engine_run(&s->engine, s->now_ms))
            SCENE_EXPECT(turns++ < SCENE_TURNS_MAX);
        let_work(s);
    } while (turn_is_waiting(&s->engine.ready));
    let_leave(s);
}

int scene_waiting(const struct scene *s)
{
    int n = 0;

    for (int i = 0; i < s->sent_n; i++)
        n += s->sent[i].request != NULL;
    return n;
}

void scene_answer_body(struct scene *s, int sent, struct slice body)
{
    struct sent *t = &s->sent[sent];
    struct request *r = t->request;
    struct response_header h = {.correlation_id = 77};
    struct buf frame;
    size_t body_at;

    SCENE_EXPECT(r != NULL);
    buf_init(&frame, 0);
    SCENE_EXPECT(wire_response_header_encode(&h, &frame, t->key, t->version) == ERR_OK);
    body_at = frame.n;
    buf_put_slice(&frame, body);
    SCENE_EXPECT(buf_error(&frame) == ERR_OK);
    t->request = NULL;
    if (s->faults)
        s->faults(true);
    request_answered(r, ERR_OK, &frame, body_at);
    if (s->faults)
        s->faults(false);
    buf_free(&frame);
}

void scene_answer(struct scene *s, int sent, enum err err)
{
    struct sent *t = &s->sent[sent];
    struct request *r = t->request;
    struct buf body;

    SCENE_EXPECT(r != NULL);
    if (err) {
        t->request = NULL;
        request_answered(r, err, NULL, 0);
        return;
    }
    if (s->faults)
        s->faults(false);
    buf_init(&body, 0);
    fake_cluster_answer(&s->cluster, t->key, t->version, buf_slice(&t->body), &body);
    scene_answer_body(s, sent, buf_slice(&body));
    buf_free(&body);
    if (s->faults)
        s->faults(true);
}

void scene_settle(struct scene *s)
{
    int rounds = 0;

    do {
        scene_run(s);
        for (int i = 0; i < s->sent_n; i++)
            if (s->sent[i].request)
                scene_answer(s, i, ERR_OK);
        scene_run(s);
        SCENE_EXPECT(rounds++ < SCENE_SENT_MAX);
    } while (scene_waiting(s));
}

void scene_forget_sent(struct scene *s)
{
    SCENE_EXPECT(scene_waiting(s) == 0);
    for (int i = 0; i < s->sent_n; i++)
        buf_free(&s->sent[i].body);
    s->sent_n = 0;
}

void client_forget_answers(struct client *c)
{
    for (int i = 0; i < c->answers_n; i++)
        buf_free(&c->answers[i]);
    c->answers_n = 0;
}

void *client_answer(const struct client *c, int i, int16_t key, int16_t version, int correlation_id, struct arena *a)
{
    struct cursor in;
    struct response_header h;
    void *response = wire_struct_new(wire_api(key)->response->body, a);

    SCENE_EXPECT(i < c->answers_n && response);
    in = cursor_of(buf_slice(&c->answers[i]));
    SCENE_EXPECT(wire_response_header_decode(&h, &in, key, version, a) == ERR_OK);
    SCENE_EXPECT(h.correlation_id == correlation_id);
    SCENE_EXPECT(wire_api(key)->response->decode(response, &in, version, a) == ERR_OK);
    SCENE_EXPECT(cursor_left(&in) == 0);
    return response;
}

void *scene_sent(const struct scene *s, int i, struct arena *a)
{
    const struct wire_api *api;
    struct cursor in;
    void *request;

    SCENE_EXPECT(i < s->sent_n);
    api = wire_api(s->sent[i].key);
    request = wire_struct_new(api->request->body, a);
    in = cursor_of(buf_slice(&s->sent[i].body));
    SCENE_EXPECT(request && api->request->decode(request, &in, s->sent[i].version, a) == ERR_OK);
    SCENE_EXPECT(cursor_left(&in) == 0);
    return request;
}
