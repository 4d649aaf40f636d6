/* SPDX-License-Identifier: Apache-2.0
 * One connection to each node, for questions only. Every tick, a node that is up is asked for the state topics (a small
 * Metadata), which also tells whether it answers at all; now and then for its disk; and one node, the first that
 * answers, for all partitions. A node that keeps a question for NODE_SILENT_MS, or cannot be reached, is silent until
 * it answers again. Nothing here waits: the loop goes on whatever a node does. */
#include "gateway/cluster/node_watch.h"
#include "gateway/filter/subscriptions.h"
#include "gateway/session/worker.h"
#include "core/base/log.h"
#include "core/base/metrics.h"
#include "core/ledger/audit.h"
#include "core/wire/header.h"
#include "crypto/erasure_log.h"
#include "wire/api_versions.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { METADATA_VERSION = 9, WATCHED_MAGIC = 0x77617463 };

struct watched {
    uint32_t magic;
    struct node_watch *watch;
    int place;
    struct kafka_client *client;
    bool asking_topics, asking_all, asking_disk, asking_features;
    bool has_features;
    struct feature_set features; /* as it told them last */
    char host[256];              /* that the connection goes to */
    uint16_t port;
    struct metric *up, *usable;
};

struct node_watch {
    struct gateway *gateway;
    struct loop *loop;
    struct loop_timer timer;
    struct watched nodes[NODE_PLACES_MAX];
    uint64_t ticks;
    bool stopping;
    struct metric *offline, *silent_nodes;
    struct feature_set features; /* of all that answer; told to the workers */
    pthread_mutex_t lock;        /* guards the report */
    struct cluster_report report;
};

static int64_t now_ms(const struct node_watch *w)
{
    return loop_now_ms(w->loop);
}

/* ---- What changed ---- */

/* Under the lock. Tells the workers, the metrics and the log. */
static bool publish(struct watched *n)
{
    struct node_watch *w = n->watch;
    struct node_report *r = &w->report.nodes[n->place];
    uint64_t bit = (uint64_t)1 << n->place;
    bool silent = r->health.state == NODE_SILENT;

    if (silent)
        atomic_fetch_or(&w->gateway->cluster.silent, bit);
    else
        atomic_fetch_and(&w->gateway->cluster.silent, ~bit);
    metric_set(n->up, !silent);
    return silent;
}

static void changed(struct watched *n)
{
    struct node_report *r = &n->watch->report.nodes[n->place];

    if (publish(n)) {
        log_warn("node %d (%s:%u) does not answer%s%s", (int)r->id, r->host, r->port, *r->detail ? ": " : "",
                 r->detail);
        workers_leave_silent(n->watch->gateway);
    } else {
        log_info("node %d (%s:%u) answers", (int)r->id, r->host, r->port);
    }
}

static void answered(struct watched *n)
{
    struct node_watch *w = n->watch;
    struct node_report *r = &w->report.nodes[n->place];

    pthread_mutex_lock(&w->lock);
    r->detail[0] = 0;
    if (node_health_answered(&r->health, now_ms(w)))
        changed(n);
    pthread_mutex_unlock(&w->lock);
}

static void lost(struct watched *n, const char *why)
{
    struct node_watch *w = n->watch;
    struct node_report *r = &w->report.nodes[n->place];

    pthread_mutex_lock(&w->lock);
    snprintf(r->detail, sizeof r->detail, "%s", why);
    if (node_health_lost(&r->health, now_ms(w)))
        changed(n);
    pthread_mutex_unlock(&w->lock);
}

static void asked(struct watched *n)
{
    struct node_watch *w = n->watch;
    struct node_report *r = &w->report.nodes[n->place];

    pthread_mutex_lock(&w->lock);
    if (node_health_asked(&r->health, now_ms(w)))
        changed(n);
    pthread_mutex_unlock(&w->lock);
}

/* ---- Features ---- */

/* A silent node does not count: no client reaches it, and it is asked anew when it is back. One that is there and was
 * not heard yet does: it may lack what the others have. */
static void tell_features(struct node_watch *w)
{
    const struct feature_set *nodes[NODE_PLACES_MAX];
    struct feature_set all;
    size_t n = 0;

    for (int i = 0; i < w->report.node_count; i++)
        if (w->report.nodes[i].known && w->report.nodes[i].health.state != NODE_SILENT)
            nodes[n++] = w->nodes[i].has_features ? &w->nodes[i].features : NULL;
    if (n == 0)
        return; /* the last word holds until somebody answers */
    feature_set_intersect(&all, nodes, n);
    if (feature_set_equal(&all, &w->features))
        return;
    w->features = all;
    cluster_set_features(&w->gateway->cluster, &all);
}

/* ---- Answers ---- */

/* One node tells about topics, so that two that disagree do not take turns: the first that answers. */
static bool is_teller(const struct watched *n)
{
    const struct node_watch *w = n->watch;

    for (int i = 0; i < n->place; i++)
        if (w->report.nodes[i].known && w->report.nodes[i].health.state == NODE_ANSWERS)
            return false;
    return true;
}

/* Patterns of subscriptions are resolved over these. */
static void tell_topics(struct node_watch *w, const struct metadata_response *resp)
{
    struct slice *names = calloc((size_t)(resp->topics.n > 0 ? resp->topics.n : 1), sizeof *names);
    enum err err = names ? ERR_OK : ERR_NO_MEMORY;
    size_t n = 0;

    for (int32_t i = 0; !err && i < resp->topics.n; i++)
        if (!resp->topics.v[i].error_code && !slice_is_null(resp->topics.v[i].name))
            names[n++] = resp->topics.v[i].name;
    if (!err)
        err = subscriptions_set_topics(w->gateway->subscriptions, names, n);
    if (err)
        log_warn("new topics are not found by patterns yet: %s", err_text(err)); /* asked again soon */
    free(names);
}

static void take_topics(struct watched *n, enum err err, int16_t version, struct slice body, bool all)
{
    struct node_watch *w = n->watch;
    struct cursor c = cursor_of(body);
    struct metadata_response resp;
    struct arena a;

    if (err)
        return; /* on_down() follows */
    answered(n);
    arena_init(&a, 0);
    if (!metadata_response_decode(&resp, &c, version, &a) && is_teller(n)) {
        pthread_mutex_lock(&w->lock);
        cluster_report_metadata(&w->report, &resp, all);
        metric_set(w->offline, w->report.offline);
        pthread_mutex_unlock(&w->lock);
        if (all)
            tell_topics(w, &resp);
    }
    arena_free(&a);
}

static void on_topics(void *user, struct kafka_client *k, enum err err, int16_t version, struct slice body)
{
    struct watched *n = user;

    (void)k;
    assert(n->magic == WATCHED_MAGIC);
    n->asking_topics = false;
    take_topics(n, err, version, body, false);
}

static void on_all(void *user, struct kafka_client *k, enum err err, int16_t version, struct slice body)
{
    struct watched *n = user;

    (void)k;
    assert(n->magic == WATCHED_MAGIC);
    n->asking_all = false;
    take_topics(n, err, version, body, true);
}

static void on_features(void *user, struct kafka_client *k, enum err err, int16_t version, struct slice body)
{
    struct watched *n = user;
    struct cursor c = cursor_of(body);
    struct api_versions_response resp;
    struct arena a;

    (void)k;
    assert(n->magic == WATCHED_MAGIC);
    n->asking_features = false;
    if (err)
        return;
    arena_init(&a, 0);
    if (!api_versions_response_decode(&resp, &c, version, &a) && !resp.error_code) {
        feature_set_read(&n->features, &resp);
        n->has_features = true;
    }
    arena_free(&a);
    tell_features(n->watch);
}

static void on_disk(void *user, struct kafka_client *k, enum err err, int16_t version, struct slice body)
{
    struct watched *n = user;
    struct cursor c = cursor_of(body);
    struct describe_log_dirs_response resp;
    struct arena a;

    (void)k;
    assert(n->magic == WATCHED_MAGIC);
    n->asking_disk = false;
    if (err)
        return;
    arena_init(&a, 0);
    if (!describe_log_dirs_response_decode(&resp, &c, version, &a)) {
        pthread_mutex_lock(&n->watch->lock);
        cluster_report_log_dirs(&n->watch->report.nodes[n->place], &resp);
        metric_set(n->usable, n->watch->report.nodes[n->place].disk_usable);
        pthread_mutex_unlock(&n->watch->lock);
    }
    arena_free(&a);
}

/* ---- Questions ---- */

/* Lately, by a request that passed here; a node may not know of it at once. */
static bool topics_have_changed(const struct node_watch *w)
{
    struct gateway *g = w->gateway;

    return atomic_load(&g->topic_changes) > 0 && now_ms(w) - atomic_load(&g->topic_changed_ms) < WATCH_CHANGED_MS;
}

static void ask_topics(struct watched *n)
{
    struct kafka_call call = {.api_key = WIRE_METADATA, .version = METADATA_VERSION, .done = on_topics, .user = n};
    struct metadata_request_metadata_request_topic topics[REPORT_STATE_TOPICS_MAX];
    struct node_watch *w = n->watch;
    struct metadata_request req;

    metadata_request_init(&req);
    req.allow_auto_topic_creation = false;
    req.topics.v = topics;
    req.topics.n = w->report.topic_count;
    for (int i = 0; i < w->report.topic_count; i++) {
        metadata_request_metadata_request_topic_init(&topics[i]);
        topics[i].name = slice_str(w->report.topics[i].name);
    }
    if (n->asking_topics || kafka_client_send(n->client, &call, &req))
        return;
    n->asking_topics = true;
    asked(n);
}

static void ask_all(struct watched *n)
{
    struct kafka_call call = {.api_key = WIRE_METADATA, .version = METADATA_VERSION, .done = on_all, .user = n};
    struct metadata_request req;

    metadata_request_init(&req);
    req.allow_auto_topic_creation = false;
    req.topics.n = -1;
    if (!n->asking_all && !kafka_client_send(n->client, &call, &req))
        n->asking_all = true;
}

static void ask_features(struct watched *n)
{
    struct kafka_call call = {.api_key = WIRE_API_VERSIONS, .version = -1, .done = on_features, .user = n};
    struct api_versions_request req;

    api_versions_request_init(&req);
    req.client_software_name = slice_str("castellan-gateway");
    req.client_software_version = slice_str(CASTELLAN_VERSION);
    if (!n->asking_features && !kafka_client_send(n->client, &call, &req))
        n->asking_features = true;
}

static void ask_disk(struct watched *n)
{
    struct kafka_call call = {.api_key = WIRE_DESCRIBE_LOG_DIRS, .version = -1, .done = on_disk, .user = n};
    struct describe_log_dirs_request req;

    describe_log_dirs_request_init(&req);
    req.topics.n = 0; /* the folders only */
    if (!n->asking_disk && !kafka_client_send(n->client, &call, &req))
        n->asking_disk = true;
}

/* ---- Connections ---- */

static void on_up(void *owner, struct kafka_client *k)
{
    struct watched *n = owner;

    (void)k;
    assert(n->magic == WATCHED_MAGIC);
    ask_topics(n);
    ask_features(n);
    ask_disk(n);
    ask_all(n);
}

static void on_down(void *owner, struct kafka_client *k, enum err err, const char *why)
{
    struct watched *n = owner;

    (void)k;
    assert(n->magic == WATCHED_MAGIC);
    n->client = NULL;
    n->asking_topics = n->asking_all = n->asking_disk = n->asking_features = false;
    n->has_features = false; /* it may come back as another version */
    if (!n->watch->stopping && err != ERR_CANCELLED)
        lost(n, why ? why : err_text(err));
}

static void connect_node(struct watched *n)
{
    struct kafka_client_opts o = {.host = n->host,
                                  .port = n->port,
                                  .tls = n->watch->gateway->tls_upstream,
                                  .client_id = "castellan-gateway-watch",
                                  .connect_ms = NODE_SILENT_MS,
                                  .on_up = on_up,
                                  .on_down = on_down,
                                  .owner = n};

    if (kafka_client_connect(&n->client, n->watch->loop, &o))
        lost(n, "no connection can be made");
}

/* A node that was met, or has another address. */
static void learn(struct watched *n, const struct cluster_node *node)
{
    struct node_watch *w = n->watch;
    struct node_report *r = &w->report.nodes[n->place];
    char labels[32];

    pthread_mutex_lock(&w->lock);
    if (!r->known) {
        snprintf(labels, sizeof labels, "node=\"%d\"", (int)node->id);
        n->up = metrics_gauge("castellan_cluster_node_up", labels, "1: the node behind answers; 0: it does not.");
        n->usable = metrics_gauge("castellan_cluster_disk_usable_bytes", labels,
                                  "Room in the node's log folder; -1: the node does not tell.");
        r->health.since_ms = now_ms(w);
        r->disk_total = r->disk_usable = -1;
    }
    r->known = true;
    r->id = node->id;
    r->port = node->port;
    snprintf(r->host, sizeof r->host, "%s", node->host);
    if (w->report.node_count <= n->place)
        w->report.node_count = n->place + 1;
    pthread_mutex_unlock(&w->lock);
    if (n->client && (n->port != node->port || strcmp(n->host, node->host) != 0))
        kafka_client_close(n->client, "the node has another address");
    n->port = node->port;
    snprintf(n->host, sizeof n->host, "%s", node->host);
}

static void look_at(struct watched *n)
{
    struct node_watch *w = n->watch;
    struct cluster_node node;

    if (!cluster_node_at(&w->gateway->cluster, n->place, &node))
        return;
    learn(n, &node);
    if (!n->client) {
        connect_node(n);
    } else if (kafka_client_is_up(n->client)) {
        ask_topics(n);
        if (w->ticks % WATCH_FEATURES_TICKS == 0)
            ask_features(n);
        if (w->ticks % WATCH_DISK_TICKS == 0)
            ask_disk(n);
        if ((w->ticks % WATCH_PARTITIONS_TICKS == 0 || topics_have_changed(w)) && is_teller(n))
            ask_all(n);
    }
    pthread_mutex_lock(&w->lock);
    if (node_health_look(&w->report.nodes[n->place].health, now_ms(w))) {
        snprintf(w->report.nodes[n->place].detail, sizeof w->report.nodes[n->place].detail,
                 "it is connected and says nothing");
        changed(n);
    }
    pthread_mutex_unlock(&w->lock);
}

static void on_timer(void *arg)
{
    struct node_watch *w = arg;
    int silent = 0;

    if (w->stopping)
        return;
    for (int i = 0; i < cluster_places(&w->gateway->cluster); i++) {
        look_at(&w->nodes[i]);
        silent += w->report.nodes[i].health.state == NODE_SILENT;
    }
    metric_set(w->silent_nodes, silent);
    tell_features(w);
    w->ticks++;
    loop_timer_start(&w->timer, w->ticks < WATCH_START_TICKS ? WATCH_START_MS : WATCH_MS);
}

/* ---- Life ---- */

enum err node_watch_new(struct node_watch **out, struct gateway *g, struct loop *l, struct reason *why)
{
    struct node_watch *w = calloc(1, sizeof *w);

    *out = NULL;
    if (!w)
        return reason_set(why, ERR_NO_MEMORY, "no memory to watch the nodes");
    w->gateway = g;
    feature_set_clear(&w->features);
    w->loop = l;
    pthread_mutex_init(&w->lock, NULL);
    w->offline =
        metrics_gauge("castellan_cluster_offline_partitions", NULL, "Partitions without a leader that answers.");
    w->silent_nodes = metrics_gauge("castellan_cluster_silent_nodes", NULL, "Nodes behind that do not answer.");
    for (int i = 0; i < NODE_PLACES_MAX; i++)
        w->nodes[i] = (struct watched){.magic = WATCHED_MAGIC, .watch = w, .place = i};
    for (int t = 0; t < KNOWLEDGE_TABLES; t++)
        cluster_report_add_topic(&w->report, knowledge_topic(t), true);
    cluster_report_add_topic(&w->report, settings_string(g->settings, "castellan.schemas.topic"), false);
    cluster_report_add_topic(&w->report, AUDIT_TOPIC, false);
    cluster_report_add_topic(&w->report, KEYRING_TOPIC, false);
    cluster_report_add_topic(&w->report, ERASURE_TOPIC, false);
    loop_timer_init(&w->timer, l, on_timer, w);
    loop_timer_start(&w->timer, 0);
    *out = w;
    return ERR_OK;
}

void node_watch_stop(struct node_watch *w)
{
    if (!w)
        return;
    w->stopping = true;
    loop_timer_stop(&w->timer);
    for (int i = 0; i < NODE_PLACES_MAX; i++)
        if (w->nodes[i].client)
            kafka_client_close(w->nodes[i].client, "shutting down");
}

void node_watch_free(struct node_watch *w)
{
    if (!w)
        return;
    pthread_mutex_destroy(&w->lock);
    free(w);
}

void node_watch_report(struct node_watch *w, struct cluster_report *out)
{
    pthread_mutex_lock(&w->lock);
    *out = w->report;
    pthread_mutex_unlock(&w->lock);
}
