/* SPDX-License-Identifier: Apache-2.0
 * The gateway process: configuration, the first look at the cluster behind (nodes and versions), workers, listeners,
 * the keeper of rules, the admin server. The main thread runs a small control loop that watches the cluster; client
 * connections belong to the workers.
 *
 * Start: control loop asks the cluster (ApiVersions, Metadata) -> nodes get their places and ports -> tables are loaded
 * -> listeners open -> ready. The cluster may be down for as long as it likes; the loop asks again. */
#include "gateway/gateway.h"
#include "core/base/heap.h"
#include "core/base/log.h"
#include "core/base/ready.h"
#include "core/net/work_pool.h"
#include "core/wire/header.h"
#include "gateway/admin/admin_http.h"
#include "gateway/cluster/node_watch.h"
#include "gateway/filter/schema_dead_letter.h"
#include "gateway/filter/schemas.h"
#include "gateway/filter/subscriptions.h"
#include "gateway/api/api.h"
#include "gateway/session/worker.h"
#include "gateway/settings.h"
#include "wire/metadata.h"

#include <assert.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
    CONTROL_RETRY_MS = 50,
    CONTROL_REFRESH_MS = 5000,
    CONTROL_COMPLETE_MS = 2000,
    CONTROL_REQUEST_MS = 5000,
    METADATA_VERSION = 9
};

enum { CONTROL_MAGIC = 0x436f6e74, NODE_PORTS_MAGIC = 0x4e506f72, LEARNED_MAGIC = 0x4c726e64 };

/* One gateway, all of it; several may live in one process. */
struct control {
    uint32_t magic;
    struct gateway gateway;
    struct ledger_settings kafka; /* dead letters use them later */
    struct loop *loop;
    struct loop_timer timer, heap_timer;
    struct heap_keeper heap;
    struct kafka_client *client;
    int next_bootstrap;
    bool cluster_complete, stopping;
    int64_t known_since_ms;
    bool cluster_up;
    bool cluster_known;
    _Atomic bool tables_ready, listening; /* asked for by other threads */
    struct loop_task tables_task;
    atomic_bool tables_posted;
    int exit_status;
    struct admin_http *admin;
};

static struct control *control_of(void *user)
{
    struct control *c = user;

    assert(c && c->magic == CONTROL_MAGIC);
    return c;
}

/* ---- Ports of nodes ---- */

struct node_ports {
    uint32_t magic;
    struct worker *worker;
    struct entrance *entrance;
    int listener;
};

static void attach_node(void *arg)
{
    struct node_ports *n = arg;
    assert(n->magic == NODE_PORTS_MAGIC);
    worker_attach(n->worker, n->entrance, n->listener);
    n->magic = 0;
    free(n);
}

static enum err open_port(struct gateway *g, struct entrance *e, int index, struct reason *why)
{
    struct listener_opts o = {.host = e->host,
                              .port = (uint16_t)(e->port + index),
                              .workers = (unsigned)g->worker_count,
                              .max_connections = settings_int(g->settings, "max.connections"),
                              .max_connections_per_ip = settings_int(g->settings, "max.connections.per.ip"),
                              .strangers = g->door.strangers};
    enum err err;

    assert(index >= 0 && index <= CLUSTER_NODES_MAX);
    if (e->listeners[index])
        return ERR_OK;
    err = listener_open(&e->listeners[index], &o, why);
    for (int w = 0; !err && w < g->worker_count; w++) {
        struct node_ports *n = calloc(1, sizeof *n);
        if (!n)
            return ERR_NO_MEMORY;
        *n = (struct node_ports){NODE_PORTS_MAGIC, &g->workers[w], e, index};
        err = loop_post(g->workers[w].loop, attach_node, n);
    }
    return err;
}

struct learned {
    uint32_t magic;
    struct control *control;
    int place;
};

static void open_node_ports(void *arg)
{
    struct learned *l = arg;
    struct control *c = control_of(l->control);
    struct gateway *g = &c->gateway;
    struct reason why = {0};

    assert(l->magic == LEARNED_MAGIC);
    for (int i = 0; c->listening && i < g->entrance_count; i++)
        if (open_port(g, &g->entrances[i], 1 + l->place, &why))
            log_error("%s", why.text);
    l->magic = 0;
    free(l);
}

static void node_learned(struct gateway *g, int place)
{
    struct control *c = control_of(g->control);
    struct learned *l = calloc(1, sizeof *l);

    assert(place >= 0 && place < CLUSTER_NODES_MAX);
    if (!l)
        return;
    *l = (struct learned){LEARNED_MAGIC, c, place};
    if (loop_post(c->loop, open_node_ports, l))
        free(l);
}

/* A node whose port could not be opened when it was met gets it now. */
static void open_missing_ports(struct control *c)
{
    struct gateway *g = &c->gateway;
    struct cluster_node node;
    struct reason why = {0};

    for (int i = 0; c->listening && i < g->entrance_count; i++)
        for (int k = 0; k < cluster_places(&g->cluster); k++)
            if (cluster_node_at(&g->cluster, k, &node) && open_port(g, &g->entrances[i], 1 + k, &why))
                log_error("%s", why.text);
}

static enum err listen_all(struct control *c, struct reason *why)
{
    struct gateway *g = &c->gateway;
    int places = cluster_places(&g->cluster);
    struct cluster_node node;
    for (int i = 0; i < g->entrance_count; i++) {
        for (int k = 0; k <= places; k++) {
            bool wanted = k == 0 || cluster_node_at(&g->cluster, k - 1, &node);
            enum err err = wanted ? open_port(g, &g->entrances[i], k, why) : ERR_OK;
            if (err)
                return err;
        }
    }
    c->listening = true;
    return ERR_OK;
}

/* ---- Watching the cluster ---- */

static int by_id(const void *a, const void *b)
{
    int32_t x = ((const struct metadata_response_metadata_response_broker *)a)->node_id;
    int32_t y = ((const struct metadata_response_metadata_response_broker *)b)->node_id;
    return (x > y) - (x < y);
}

static void stop_with(struct control *c, int status)
{
    c->exit_status = status;
    c->stopping = true;
    loop_stop(c->loop);
}

static void become_ready(struct control *c)
{
    struct gateway *g = &c->gateway;
    struct reason why = {0};

    if (c->listening || !c->cluster_complete || !c->tables_ready)
        return;
    if (listen_all(c, &why)) {
        log_error("%s", why.text);
        stop_with(c, 1);
        return;
    }
    log_info("gateway serves on port %u, cluster %s with %d nodes", g->entrances[0].port, g->cluster.cluster_id,
             cluster_places(&g->cluster));
    ready_notify();
}

static void learn_versions(struct gateway *g, struct kafka_client *k)
{
    for (int16_t key = 0; key < CLUSTER_APIS; key++) {
        int16_t min, max;
        if (kafka_client_range(k, key, &min, &max)) {
            g->cluster.min_version[key] = min;
            g->cluster.max_version[key] = max;
        }
    }
}

/* A fresh cluster shows its nodes one after the other; ports are opened when all that bootstrap.servers names are
 * there, or after a while without the missing ones. */
static void look_whether_complete(struct control *c, int32_t nodes)
{
    c->cluster_complete = c->cluster_complete || nodes >= c->gateway.cluster.bootstrap_count ||
                          loop_now_ms(c->loop) - c->known_since_ms > CONTROL_COMPLETE_MS;
}

static void on_metadata(void *user, struct kafka_client *k, enum err err, int16_t version, struct slice body)
{
    struct control *c = control_of(user);
    struct gateway *g = &c->gateway;
    struct metadata_response resp;
    struct cursor at = cursor_of(body);
    struct arena a;

    arena_init(&a, 0);
    if (!err)
        err = metadata_response_decode(&resp, &at, version, &a);
    if (!err && resp.brokers.n > 0) {
        if (!c->cluster_known)
            learn_versions(g, k);
        qsort(resp.brokers.v, (size_t)resp.brokers.n, sizeof *resp.brokers.v, by_id);
        for (int32_t i = 0; i < resp.brokers.n; i++) {
            bool is_new;
            int place = cluster_learn(&g->cluster, resp.brokers.v[i].node_id, resp.brokers.v[i].host,
                                      resp.brokers.v[i].port, &is_new);
            if (is_new && place >= 0)
                node_learned(g, place);
        }
        if (!c->cluster_known && !slice_is_null(resp.cluster_id) && resp.cluster_id.n < sizeof g->cluster.cluster_id)
            memcpy(g->cluster.cluster_id, resp.cluster_id.p, resp.cluster_id.n);
        if (!c->cluster_known)
            c->known_since_ms = loop_now_ms(c->loop);
        c->cluster_known = true;
        look_whether_complete(c, resp.brokers.n);
        c->cluster_up = true;
        become_ready(c);
        open_missing_ports(c);
    }
    arena_free(&a);
    loop_timer_start(&c->timer, err || !c->cluster_complete ? CONTROL_RETRY_MS : CONTROL_REFRESH_MS);
}

static void ask_metadata(struct control *c)
{
    struct metadata_request req;
    struct kafka_call call = {.api_key = WIRE_METADATA, .version = METADATA_VERSION, .done = on_metadata, .user = c};

    metadata_request_init(&req);
    req.topics.n = 0; /* the brokers only */
    req.allow_auto_topic_creation = false;
    if (kafka_client_send(c->client, &call, &req))
        loop_timer_start(&c->timer, CONTROL_RETRY_MS);
}

static void on_up(void *owner, struct kafka_client *k)
{
    (void)k;
    ask_metadata(control_of(owner));
}

static void on_down(void *owner, struct kafka_client *k, enum err err, const char *why)
{
    struct control *c = control_of(owner);
    (void)k;
    if (c->cluster_up && !c->stopping)
        log_warn("the cluster behind is lost: %s", why ? why : err_text(err));
    c->cluster_up = false;
    c->client = NULL;
    if (!c->stopping)
        loop_timer_start(&c->timer, CONTROL_RETRY_MS);
}

static void on_timer(void *arg)
{
    struct control *c = control_of(arg);
    struct gateway *g = &c->gateway;
    const struct host_port *hp;
    struct kafka_client_opts o = {.tls = g->tls_upstream,
                                  .client_id = "castellan-gateway",
                                  .connect_ms = 3000,
                                  .request_ms = CONTROL_REQUEST_MS, /* then another node is asked */
                                  .on_up = on_up,
                                  .on_down = on_down,
                                  .owner = c};

    if (c->stopping)
        return;
    if (c->client) {
        if (kafka_client_is_up(c->client))
            ask_metadata(c);
        return;
    }
    hp = &g->cluster.bootstrap[c->next_bootstrap++ % g->cluster.bootstrap_count];
    o.host = hp->host;
    o.port = hp->port;
    if (kafka_client_connect(&c->client, c->loop, &o))
        loop_timer_start(&c->timer, CONTROL_RETRY_MS);
}

/* ---- The keeper of rules ---- */

static void tables_changed(void *arg)
{
    struct control *c = control_of(arg);

    atomic_store(&c->tables_posted, false);
    if (!c->tables_ready && knowledge_is_ready(c->gateway.knowledge)) {
        c->tables_ready = true;
        become_ready(c);
    }
}

/* The view is handed on from here, so that it reaches a worker before the answer to whoever changed it does. */
static enum err on_changed(void *user)
{
    struct control *c = control_of(user);
    enum err err = workers_set_view(&c->gateway);

    if (!err && !atomic_exchange(&c->tables_posted, true))
        loop_post_task(c->loop, &c->tables_task, tables_changed, c);
    return err;
}

bool gateway_is_ready(struct gateway *g, struct reason *why)
{
    struct control *c = control_of(g->control);
    uint64_t known = atomic_load(&g->cluster.known);

    if (!known || (known & ~atomic_load(&g->cluster.silent)) == 0)
        return reason_set(why, ERR_UNAVAILABLE, "no node of the cluster behind answers"), false;
    if (!c->tables_ready)
        return reason_set(why, ERR_UNAVAILABLE, "users and rules are not loaded yet"), false;
    if (!c->listening)
        return reason_set(why, ERR_UNAVAILABLE, "not listening yet"), false;
    return true;
}

/* ---- The process ---- */

static void on_heap_timer(void *arg)
{
    struct control *c = control_of(arg);

    (void)heap_look(&c->heap, loop_now_ms(c->loop));
    loop_timer_start(&c->heap_timer, HEAP_LOOK_MS);
}

static void on_signal(void *arg)
{
    stop_with(control_of(arg), 0);
}

struct gateway *gateway_new(void)
{
    struct control *c = calloc(1, sizeof *c);

    if (!c)
        return NULL;
    c->magic = CONTROL_MAGIC;
    c->gateway.control = c;
    c->gateway.node_learned = node_learned;
    cluster_init(&c->gateway.cluster);
    gateway_counters_init(&c->gateway.counters);
    return &c->gateway;
}

static enum err start_loop(struct control *c, struct reason *why)
{
    enum err err = loop_new(&c->loop, NULL, why);

    if (!err)
        err = loop_on_signal(c->loop, SIGTERM, on_signal, c);
    if (!err)
        err = loop_on_signal(c->loop, SIGINT, on_signal, c);
    return err;
}

enum err gateway_start(struct gateway *g, const char *path, struct reason *why)
{
    struct control *c = control_of(g->control);
    struct knowledge_config knowledge = {.kafka = c->kafka.words};
    struct schemas_config schemas = {.kafka = c->kafka.words};
    struct work_pool_opts pool = {0};
    enum err err;

    assert(!c->loop);
    err = api_check(why);
    if (err)
        return err;
    if ((err = gateway_configure(g, path, why)) || (err = door_open(&g->door, g->settings, why)) ||
        (err = sasl_server_setup(why)) || (err = start_loop(c, why)))
        return err;
    g->meters = quota_meters_new(NULL);
    if (!g->meters)
        return ERR_NO_MEMORY;
    pool.threads = (int)settings_int(g->settings, "castellan.work.threads");
    pool.bytes_max = (size_t)settings_int(g->settings, "castellan.decompressed.max.bytes");
    err = work_pool_new(&g->pool, &pool, why);
    if (!err)
        err = workers_start(g, (int)settings_int(g->settings, "num.network.threads"), why);
    if (err)
        return err;
    gateway_kafka_settings(g, &c->kafka);
    schemas.topic = settings_string(g->settings, "castellan.schemas.topic");
    knowledge.acl.super_users = slice_str(settings_string(g->settings, "super.users"));
    knowledge.acl.allow_if_no_acl = settings_bool(g->settings, "allow.everyone.if.no.acl.found");
    knowledge.bootstrap_scram_file = settings_string(g->settings, "castellan.bootstrap.scram");
    g->dead_letters = dead_letters_new(c->kafka.words);
    err = g->dead_letters ? schemas_open(&g->schemas, &schemas, why) : ERR_NO_MEMORY;
    if (!err)
        err = audit_log_open_settings(&g->audit, "gateway", g->settings, c->kafka.words, why);
    if (!err)
        err = knowledge_open(&g->knowledge, &knowledge, on_changed, c, why);
    if (!err)
        err = node_watch_new(&g->watch, g, c->loop, why);
    if (!err && settings_has(g->settings, "castellan.admin.listener"))
        err = admin_http_start(&c->admin, g, why);
    loop_timer_init(&c->timer, c->loop, on_timer, c);
    loop_timer_start(&c->timer, 0);
    loop_timer_init(&c->heap_timer, c->loop, on_heap_timer, c);
    loop_timer_start(&c->heap_timer, HEAP_LOOK_MS);
    return err;
}

int gateway_run(struct gateway *g)
{
    struct control *c = control_of(g->control);

    loop_run(c->loop);
    log_info("stopping");
    return c->exit_status;
}

void gateway_run_once(struct gateway *g)
{
    loop_run_once(control_of(g->control)->loop, false);
}

void gateway_free(struct gateway *g)
{
    struct control *c;

    if (!g)
        return;
    c = control_of(g->control);
    c->stopping = true;
    admin_http_stop(c->admin);
    if (c->client)
        kafka_client_close(c->client, "shutting down");
    node_watch_stop(g->watch);
    workers_stop(g);
    knowledge_close(g->knowledge);
    audit_log_stop(g->audit); /* whoever waits for a record is told now */
    if (g->pool)
        work_pool_stop(g->pool); /* before what its work uses */
    dead_letters_free(g->dead_letters);
    g->dead_letters = NULL; /* requests that are still to end must not find it */
    schemas_stop(g->schemas);
    workers_free(g);
    work_pool_free(g->pool);
    schemas_close(g->schemas);
    audit_log_free(g->audit);
    for (int i = 0; c->loop && i < 10; i++)
        loop_run_once(c->loop, false);
    node_watch_free(g->watch);
    for (int i = 0; i < g->entrance_count; i++) {
        for (int k = 0; k <= CLUSTER_NODES_MAX; k++)
            listener_free(g->entrances[i].listeners[k]);
        tls_free(g->entrances[i].tls);
    }
    door_close(&g->door);
    tls_free(g->tls_upstream);
    quota_meters_free(g->meters);
    subscriptions_free(g->subscriptions);
    holders_free(&g->holders);
    principal_rules_free(g->principal_rules);
    loop_free(c->loop);
    settings_free(g->settings);
    c->magic = 0;
    free(c);
}

int gateway_main(const char *config_path)
{
    struct gateway *g;
    struct reason why = {0};
    enum err err;
    int status;

    log_set_role("gateway");
    heap_keep_frames();
    g = gateway_new();
    err = g ? gateway_start(g, config_path, &why) : ERR_NO_MEMORY;
    if (err) {
        log_error("%s", why.code ? why.text : err_text(err));
        status = err == ERR_BAD_CONFIG ? 2 : 1;
    } else {
        status = gateway_run(g);
    }
    gateway_free(g);
    return status;
}
