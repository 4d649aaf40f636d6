/* SPDX-License-Identifier: Apache-2.0
 * One broker: reads its configuration, opens its log directory, replays the metadata log, listens, joins the cluster
 * and serves until SIGTERM. Ready means: registered, unfenced by the controller and listening. */
#include "broker/broker.h"
#include "broker/node/coordinators.h"
#include "broker/node/node.h"
#include "core/base/heap.h"
#include "core/base/log.h"
#include "core/base/ready.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static const struct setting_row rows[] = {
    {"process.roles", SETTING_LIST, "broker,controller", 0, 0, "what this process is"},
    {"node.id", SETTING_INT, NULL, 0, INT32_MAX, "the number of this node"},
    {"cluster.id", SETTING_STRING, NULL, 0, 0, "the id of the cluster; all nodes have the same"},
    {"controller.quorum.voters", SETTING_LIST, NULL, 0, 0, "id@host:port of every node"},
    {"listeners", SETTING_STRING, NULL, 0, 0, "SSL://host:port"},
    {"log.dirs", SETTING_STRING, NULL, 0, 0, "the folder of the logs"},
    {"log.retention.check.interval.ms", SETTING_INT, "300000", 1, INT64_MAX / 2,
     "how often segments past retention.ms or retention.bytes are looked for"},
    {"log.initial.task.delay.ms", SETTING_INT, "30000", 0, INT64_MAX / 2,
     "how long after the start for the first time"},
    {"num.partitions", SETTING_INT, "1", 1, PARTITIONS_PER_TOPIC_MAX, "partitions of a topic that names no number"},
    {"default.replication.factor", SETTING_INT, "1", 1, 1, "replicas of a topic that names no number"},
    {"auto.create.topics.enable", SETTING_BOOL, "true", 0, 0, "make unknown topics when a client asks for them"},
    {"offsets.topic.num.partitions", SETTING_INT, "50", 1, 1000, "partitions of __consumer_offsets"},
    {"transaction.state.log.num.partitions", SETTING_INT, "50", 1, 1000, "partitions of __transaction_state"},
    {"group.initial.rebalance.delay.ms", SETTING_INT, "3000", 0, 300000, "how long a new group waits for members"},
    {"group.min.session.timeout.ms", SETTING_INT, "6000", 1, INT32_MAX, "the shortest session a member may ask for"},
    {"group.max.session.timeout.ms", SETTING_INT, "1800000", 1, INT32_MAX, "the longest"},
    {"offsets.retention.minutes", SETTING_INT, "10080", 1, INT32_MAX, "how long an empty group's offsets are kept"},
    {"offsets.retention.check.interval.ms", SETTING_INT, "600000", 1, INT32_MAX,
     "how often expired offsets are sought"},
    {"offset.metadata.max.bytes", SETTING_INT, "4096", 0, INT16_MAX, "metadata of one committed offset"},
    {"group.max.size", SETTING_INT, "2147483647", 1, INT32_MAX, "members of a group"},
    {"transaction.max.timeout.ms", SETTING_INT, "900000", 1, INT32_MAX, "the longest transaction"},
    {"transactional.id.expiration.ms", SETTING_INT, "604800000", 1, INT32_MAX, "when an unused id is forgotten"},
    {"castellan.broker.names", SETTING_STRING, "", 0, 0,
     "common names of the brokers' certificates: who shows another one cannot read the metadata log; empty: all can"},
    TLS_SETTING_ROWS(""),
    {0},
};

const struct setting_row *node_setting_rows(void)
{
    return rows;
}

int64_t node_wall_ms(struct node *n)
{
    return n->env->wall_ms(n->env);
}

struct partition *node_partition_named(struct node *n, struct slice topic, int32_t index)
{
    const struct image_topic *t = image_topic(&n->image, topic);
    return t ? node_partition(n, &t->id, index) : NULL;
}

const struct image_partition *node_image_partition(struct node *n, struct slice topic, int32_t index)
{
    const struct image_topic *t = image_topic(&n->image, topic);
    return t && index >= 0 && index < t->partition_count ? &t->partitions[index] : NULL;
}

enum err node_leading(struct node *n, struct slice topic, int32_t index, int32_t epoch, struct partition **out)
{
    struct partition *p = node_partition_named(n, topic, index);

    *out = NULL;
    if (!p && !node_image_partition(n, topic, index))
        return ERR_UNKNOWN_TOPIC_OR_PARTITION;
    if (!p || !p->leader)
        return ERR_NOT_LEADER_OR_FOLLOWER;
    if (epoch >= 0 && epoch < p->leader_epoch)
        return ERR_FENCED_LEADER_EPOCH;
    if (epoch > p->leader_epoch)
        return ERR_UNKNOWN_LEADER_EPOCH;
    *out = p;
    return ERR_OK;
}

/* "1@127.0.0.1:19092" */
static enum err parse_voter(struct node *n, struct slice text, struct reason *why)
{
    struct node_voter *v = &n->voters[n->voter_count];
    const uint8_t *at = memchr(text.p, '@', text.n);
    struct host_port hp;
    char *end;
    enum err err;

    if (n->voter_count == NODE_VOTERS_MAX)
        return reason_set(why, ERR_BAD_CONFIG, "controller.quorum.voters: more than %d nodes", NODE_VOTERS_MAX);
    v->id = (int32_t)strtol((const char *)text.p, &end, 10);
    if (!at || (const uint8_t *)end != at || v->id < 0)
        return reason_set(why, ERR_BAD_CONFIG, "controller.quorum.voters: \"%.*s\" is not ID@HOST:PORT",
                          SLICE_FMT(text));
    err = host_port_parse(&hp, slice_of(at + 1, text.n - (size_t)(at + 1 - text.p)), why);
    if (err)
        return err;
    memcpy(v->host, hp.host, sizeof v->host);
    v->port = hp.port;
    n->voter_count++;
    return ERR_OK;
}

static enum err need(const struct settings *s, const char *key, const char *path, struct reason *why)
{
    return settings_has(s, key) ? ERR_OK : reason_set(why, ERR_BAD_CONFIG, "%s: %s is missing", path, key);
}

static enum err node_configure(struct node *n, const char *path, struct reason *why)
{
    static const char *const needed[] = {"node.id", "cluster.id", "controller.quorum.voters", "listeners", "log.dirs"};
    enum err err = settings_load(&n->settings, path, rows, why);

    for (size_t i = 0; !err && i < sizeof needed / sizeof *needed; i++)
        err = need(n->settings, needed[i], path, why);
    if (err)
        return err;
    n->id = (int32_t)settings_int(n->settings, "node.id");
    n->cluster_id = settings_string(n->settings, "cluster.id");
    err = host_port_parse(&n->listen, slice_str(settings_string(n->settings, "listeners")), why);
    for (size_t i = 0; !err; i++) {
        struct slice text = settings_list(n->settings, "controller.quorum.voters", i);
        if (slice_is_null(text))
            break;
        err = parse_voter(n, text, why);
    }
    if (err)
        return err;
    bool member = false;
    n->controller_id = n->voters[0].id;
    for (int i = 0; i < n->voter_count; i++) {
        member = member || n->voters[i].id == n->id;
        if (n->voters[i].id < n->controller_id)
            n->controller_id = n->voters[i].id;
    }
    return member
               ? ERR_OK
               : reason_set(why, ERR_BAD_CONFIG, "%s: node.id %d is not in controller.quorum.voters", path, (int)n->id);
}

static enum err node_open_tls(struct node *n, struct reason *why)
{
    struct tls_opts o;
    enum err err = tls_opts_from_settings(&o, n->settings, "", why);

    if (err || strcmp(n->listen.scheme, "SSL") != 0) /* PLAINTEXT listeners are for tests */
        return err;
    err = tls_server_new(&n->tls_server, &o, why);
    return err ? err : tls_client_new(&n->tls_client, &o, why);
}

static enum err node_open_logs(struct node *n, struct reason *why)
{
    struct plog_config config;
    struct log_dir_args a = {.path = settings_string(n->settings, "log.dirs"),
                             .node_id = n->id,
                             .cluster_id = n->cluster_id,
                             .env = n->env,
                             .config = &config,
                             .now_ms = node_wall_ms(n)};
    enum err err;

    plog_config_init(&config);
    err = log_dir_open(&n->dir, &a, why);
    return err ? err : node_metadata_start(n, why);
}

static void controller_work(struct node *n)
{
    struct arena arena;
    struct record_list records;
    struct reason why = {0};
    struct controller_call call = {&arena, &records, n->env, env_mono_ms(n->env)};
    enum err err;

    arena_init(&arena, 0);
    record_list_init(&records);
    err = controller_tick(&n->controller, &call);
    if (!err)
        err = node_commit(n, &records, &why);
    if (err)
        log_error("the controller cannot write its log: %s", why.code ? why.text : err_text(err));
    record_list_free(&records);
    arena_free(&arena);
}

static void on_tick(void *arg)
{
    struct node *n = arg;

    if (n->stopping)
        return;
    if (n->id == n->controller_id)
        controller_work(n);
    log_dir_tick(n->dir, node_wall_ms(n), NODE_CLEAN_BUDGET_BYTES);
    if (loop_now_ms(n->loop) >= n->retention_due_ms) {
        log_dir_retain(n->dir, node_wall_ms(n));
        n->retention_due_ms = loop_now_ms(n->loop) + settings_int(n->settings, "log.retention.check.interval.ms");
    }
    coordinators_tick(n);
    loop_timer_start(&n->tick, NODE_TICK_MS);
}

static void check_ready(void *arg)
{
    struct node *n = arg;

    if (n->stopping || n->serving)
        return;
    if (!n->unfenced || !image_broker_alive(&n->image, n->id)) {
        loop_timer_start(&n->tick, NODE_RETRY_MS);
        return;
    }
    n->serving = true;
    n->retention_due_ms = loop_now_ms(n->loop) + settings_int(n->settings, "log.initial.task.delay.ms");
    log_info("broker %d serves on %s:%u", (int)n->id, n->listen.host, n->listen.port);
    ready_notify();
    loop_timer_init(&n->tick, n->loop, on_tick, n);
    loop_timer_start(&n->tick, NODE_TICK_MS);
}

static void on_stop_signal(void *arg)
{
    struct node *n = arg;
    n->stopping = true;
    loop_stop(n->loop);
}

struct node *node_new(void)
{
    struct node *n = calloc(1, sizeof *n);

    if (n)
        n->magic = NODE_MAGIC;
    return n;
}

enum err node_start(struct node *n, const char *path, struct reason *why)
{
    enum err err;

    n->env = env_system();
    n->broker_epoch = -1;
    n->env->random(n->env, n->incarnation.b, sizeof n->incarnation.b);
    image_init(&n->image);
    map_init(&n->partitions);
    map_init(&n->verified);
    if ((err = node_configure(n, path, why)) || (err = loop_new(&n->loop, n->env, why)) ||
        (err = loop_on_signal(n->loop, SIGTERM, on_stop_signal, n)) ||
        (err = loop_on_signal(n->loop, SIGINT, on_stop_signal, n)) || (err = node_open_tls(n, why)) ||
        (err = coordinators_start(n, why)) || (err = node_open_logs(n, why)))
        return err;
    controller_init(&n->controller, &n->image, n->cluster_id);
    n->controller.default_partitions = (int32_t)settings_int(n->settings, "num.partitions");
    n->controller.default_replication = (int16_t)settings_int(n->settings, "default.replication.factor");
    node_reconcile(n);
    if ((err = node_listen(n, why)))
        return err;
    node_register(n);
    if (n->id != n->controller_id)
        node_metadata_fetch(n);
    loop_timer_init(&n->tick, n->loop, check_ready, n);
    loop_timer_start(&n->tick, NODE_RETRY_MS);
    return ERR_OK;
}

static void free_partition_shell(void *p)
{
    free(((struct partition *)p)->topic);
    free(p);
}

int node_free(struct node *n)
{
    struct reason why = {0};
    int status = 0;

    n->stopping = true;
    if (n->loop) {
        node_close_clients(n);
        node_links_close(n);
        coordinators_stop(n);
        for (int i = 0; i < 100 && (n->clients || i < 2); i++) /* let the closes run their callbacks */
            loop_run_once(n->loop, false);
    }
    if (n->dir && log_dir_close(n->dir, &why)) {
        log_error("the logs could not be closed: %s", why.text);
        status = 1;
    }
    map_free(&n->partitions, free_partition_shell);
    map_free(&n->verified, free);
    controller_free(&n->controller);
    image_free(&n->image);
    listener_free(n->listener);
    tls_free(n->tls_server);
    tls_free(n->tls_client);
    loop_free(n->loop);
    settings_free(n->settings);
    n->magic = 0;
    free(n);
    return status;
}

int broker_main(const char *config_path)
{
    struct node *n = node_new();
    char role[32];
    struct reason why = {0};
    enum err err;
    int status;

    log_set_role("broker");
    heap_keep_frames();
    err = n ? node_start(n, config_path, &why) : ERR_NO_MEMORY;
    if (err) {
        log_error("%s", why.code ? why.text : err_text(err));
        if (n)
            node_free(n);
        return err == ERR_BAD_CONFIG ? 2 : 1;
    }
    snprintf(role, sizeof role, "broker-%d", (int)n->id);
    log_set_role(role);
    loop_run(n->loop);
    status = node_free(n);
    log_info("stopped");
    return status;
}
