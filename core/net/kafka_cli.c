/* SPDX-License-Identifier: Apache-2.0
 * Blocking calls over the asynchronous client, for programs that do one thing at a time.
 *
 * A private loop runs only inside the calls. Connections are kept: one to whichever bootstrap server answered ("any"),
 * one to each node that was asked for by id, whose addresses come from Metadata through "any". A connection that broke
 * is forgotten when its on_down comes, and opened anew by the next call that needs it. */
#include "core/net/kafka_cli.h"

#include "core/wire/message.h"
#include "wire/find_coordinator.h"
#include "wire/keys.h"
#include "wire/metadata.h"

#include <stdio.h>
#include <stdlib.h>

enum { CLI_NODES_MAX = 1000 };

struct cli_link {
    struct kafka_cli *cli;
    int32_t node_id; /* KAFKA_CLI_ANY for the bootstrap link */
    char host[256];
    uint16_t port;
    struct kafka_client *client;
    bool up;
    struct reason down;
    struct cli_link *next;
};

struct kafka_cli {
    const struct settings *settings;
    struct loop *loop;
    struct tls *tls;
    enum kafka_sasl sasl;
    struct buf user;
    struct secret password;
    int64_t request_ms;
    struct cli_link any;
    struct cli_link *nodes;
    int32_t controller_id;
    bool metadata_known;
};

/* ---- connections ---- */

static void on_up(void *owner, struct kafka_client *k)
{
    struct cli_link *n = owner;

    (void)k;
    n->up = true;
}

static void on_down(void *owner, struct kafka_client *k, enum err err, const char *why)
{
    struct cli_link *n = owner;

    (void)k;
    n->client = NULL;
    n->up = false;
    (void)reason_set(&n->down, err, "%s", why);
}

static enum err link_connect(struct kafka_cli *c, struct cli_link *n, struct reason *why)
{
    const struct kafka_client_opts o = {
        .host = n->host,
        .port = n->port,
        .tls = c->tls,
        .sasl = c->sasl,
        .user = buf_slice(&c->user),
        .password = secret_view(&c->password),
        .client_id = settings_string(c->settings, "client.id"),
        .request_ms = c->request_ms,
        .on_up = on_up,
        .on_down = on_down,
        .owner = n,
    };
    enum err err;

    if (n->up)
        return ERR_OK;
    n->down = (struct reason){0};
    err = kafka_client_connect(&n->client, c->loop, &o);
    if (err)
        return reason_set(why, err, "cannot connect to %s:%u: %s", n->host, n->port, err_text(err));
    while (n->client && !n->up)
        loop_run_once(c->loop, true);
    return n->up ? ERR_OK : reason_set(why, n->down.code, "%s", n->down.text);
}

/* The bootstrap servers in order, until one answers. Wrong credentials are wrong everywhere: no further tries. */
static enum err any_connect(struct kafka_cli *c, struct reason *why)
{
    struct reason last = {0};
    enum err err = ERR_BAD_CONFIG;
    struct slice item;

    if (c->any.up)
        return ERR_OK;
    for (size_t i = 0; !slice_is_null(item = settings_list(c->settings, "bootstrap.servers", i)); i++) {
        struct host_port hp;
        err = host_port_parse(&hp, item, &last);
        if (err)
            return reason_set(why, err, "bootstrap.servers: %s", last.text);
        snprintf(c->any.host, sizeof c->any.host, "%s", hp.host);
        c->any.port = hp.port;
        err = link_connect(c, &c->any, &last);
        if (!err)
            return ERR_OK;
        if (err == ERR_AUTH)
            break;
    }
    return reason_set(why, err, "%s", last.code ? last.text : "bootstrap.servers is empty");
}

/* ---- one call ---- */

struct waiting {
    bool done;
    enum err err;
    int16_t version;
    struct slice body; /* a copy in the caller's arena */
    struct arena *arena;
};

static void on_done(void *user, struct kafka_client *k, enum err err, int16_t version, struct slice body)
{
    struct waiting *w = user;

    (void)k;
    w->done = true;
    w->err = err;
    w->version = version;
    if (err)
        return;
    w->body = arena_copy(w->arena, body);
    if (slice_is_null(w->body))
        w->err = ERR_NO_MEMORY;
}

static enum err link_call(struct kafka_cli *c, struct cli_link *n, int16_t api_key, const void *request, void *response,
                          struct arena *a, struct reason *why)
{
    struct waiting w = {.arena = a};
    const struct wire_api *api = wire_api(api_key);
    const struct kafka_call call = {.api_key = api_key, .version = -1, .done = on_done, .user = &w};
    struct cursor cur;
    enum err err;

    if (!api)
        return reason_set(why, ERR_UNSUPPORTED_VERSION, "API %d is not known", api_key);
    err = kafka_client_send(n->client, &call, request);
    if (err == ERR_UNSUPPORTED_VERSION)
        return reason_set(why, err, "%s:%u does not speak %s in a version that fits", n->host, n->port, api->name);
    if (err)
        return reason_set(why, err, "cannot send %s to %s:%u: %s", api->name, n->host, n->port, err_text(err));
    while (!w.done)
        loop_run_once(c->loop, true);
    /* With the connection gone its own words say more. */
    while (w.err && !n->down.code && n->client)
        loop_run_once(c->loop, true);
    if (w.err)
        return reason_set(why, w.err, "%s", n->down.code ? n->down.text : err_text(w.err));
    cur = cursor_of(w.body);
    err = api->response->decode(response, &cur, w.version, a);
    if (!err)
        err = cursor_finish(&cur);
    if (err)
        return reason_set(why, err, "%s:%u sent a malformed %s answer: %s", n->host, n->port, api->name, err_text(err));
    return ERR_OK;
}

/* ---- nodes ---- */

static struct cli_link *node_find(struct kafka_cli *c, int32_t id)
{
    for (struct cli_link *n = c->nodes; n; n = n->next)
        if (n->node_id == id)
            return n;
    return NULL;
}

static enum err node_learn(struct kafka_cli *c, const struct metadata_response_metadata_response_broker *b)
{
    struct cli_link *n = node_find(c, b->node_id);

    if (b->host.n >= sizeof n->host || b->port < 0 || b->port > 65535)
        return ERR_MALFORMED;
    if (!n) {
        n = calloc(1, sizeof *n);
        if (!n)
            return ERR_NO_MEMORY;
        n->cli = c;
        n->node_id = b->node_id;
        n->next = c->nodes;
        c->nodes = n;
    }
    snprintf(n->host, sizeof n->host, "%.*s", SLICE_FMT(b->host));
    n->port = (uint16_t)b->port;
    return ERR_OK;
}

static enum err refresh(struct kafka_cli *c, struct reason *why)
{
    struct metadata_request q;
    struct metadata_response r;
    struct arena a;
    enum err err = any_connect(c, why);

    if (err)
        return err;
    arena_init(&a, 0);
    metadata_request_init(&q);
    q.allow_auto_topic_creation = true; /* the default: versions before 4 know no other */
    q.topics.n = 0;                     /* none, only the nodes */
    q.topics.v = NULL;
    err = link_call(c, &c->any, WIRE_METADATA, &q, &r, &a, why);
    for (int32_t i = 0; !err && i < r.brokers.n && i < CLI_NODES_MAX; i++) {
        err = node_learn(c, &r.brokers.v[i]);
        if (err)
            (void)reason_set(why, err, "Metadata names a node that cannot be used");
    }
    if (!err) {
        c->controller_id = r.controller_id;
        c->metadata_known = true;
    }
    arena_free(&a);
    return err;
}

/* The link a node id stands for, connected. */
static enum err link_for(struct kafka_cli *c, int32_t node_id, struct cli_link **out, struct reason *why)
{
    struct cli_link *n;
    enum err err;

    /* Since the last call nobody looked: let connections that broke meanwhile say so. */
    loop_run_once(c->loop, false);
    loop_run_once(c->loop, false);
    *out = &c->any;
    if (node_id == KAFKA_CLI_ANY)
        return any_connect(c, why);
    if (!c->metadata_known || (node_id >= 0 && !node_find(c, node_id)) || (node_id < 0 && c->controller_id < 0)) {
        err = refresh(c, why);
        if (err)
            return err;
    }
    if (node_id == KAFKA_CLI_CONTROLLER)
        node_id = c->controller_id;
    n = node_find(c, node_id);
    if (!n)
        return reason_set(why, ERR_UNAVAILABLE,
                          node_id < 0 ? "the cluster names no controller" : "the cluster has no node %d", node_id);
    *out = n;
    err = link_connect(c, n, why);
    if (err)
        c->metadata_known = false; /* it may have moved */
    return err;
}

enum err kafka_cli_call(struct kafka_cli *c, int32_t node_id, int16_t api_key, const void *request, void *response,
                        struct arena *a, struct reason *why)
{
    struct cli_link *n;
    enum err err = link_for(c, node_id, &n, why);

    return err ? err : link_call(c, n, api_key, request, response, a, why);
}

enum err kafka_cli_version(struct kafka_cli *c, int32_t node_id, int16_t api_key, int16_t *version, struct reason *why)
{
    struct cli_link *n;
    enum err err = link_for(c, node_id, &n, why);

    *version = err ? -1 : kafka_client_version(n->client, api_key);
    return err;
}

enum err kafka_cli_coordinator(struct kafka_cli *c, int8_t key_type, struct slice key, int32_t *node_id,
                               struct reason *why)
{
    struct find_coordinator_request q;
    struct find_coordinator_response r;
    struct arena a;
    int16_t version, code;
    enum err err = kafka_cli_version(c, KAFKA_CLI_ANY, WIRE_FIND_COORDINATOR, &version, why);

    *node_id = -1;
    if (err)
        return err;
    arena_init(&a, 0);
    find_coordinator_request_init(&q);
    q.key_type = key_type;
    if (version >= 4) {
        q.coordinator_keys.v = &key;
        q.coordinator_keys.n = 1;
    } else {
        q.key = key;
    }
    err = kafka_cli_call(c, KAFKA_CLI_ANY, WIRE_FIND_COORDINATOR, &q, &r, &a, why);
    if (!err) {
        bool many = version >= 4;
        code = !many ? r.error_code : r.coordinators.n == 1 ? r.coordinators.v[0].error_code : -1;
        if (code)
            err = reason_set(why, (enum err)code, "no coordinator: %s", err_text((enum err)code));
        else
            *node_id = many ? r.coordinators.v[0].node_id : r.node_id;
    }
    arena_free(&a);
    return err;
}

/* ---- opening ---- */

static enum err read_security(struct kafka_cli *c, struct reason *why)
{
    const struct settings *s = c->settings;
    const char *protocol = settings_string(s, "security.protocol"), *jaas;
    bool sasl = !strcmp(protocol, "SASL_PLAINTEXT") || !strcmp(protocol, "SASL_SSL");
    bool tls = !strcmp(protocol, "SSL") || !strcmp(protocol, "SASL_SSL");
    struct tls_opts o;
    enum err err = ERR_OK;

    if (!sasl && !tls && strcmp(protocol, "PLAINTEXT") != 0)
        return reason_set(why, ERR_BAD_CONFIG, "security.protocol=%s is not PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL",
                          protocol);
    if (tls)
        err = tls_opts_from_settings(&o, s, "", why);
    if (tls && !err)
        err = tls_client_new(&c->tls, &o, why);
    if (err || !sasl)
        return err;
    if (kafka_sasl_from_name(settings_string(s, "sasl.mechanism"), &c->sasl))
        return reason_set(why, ERR_BAD_CONFIG, "sasl.mechanism is not PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512");
    jaas = settings_string(s, "sasl.jaas.config");
    if (!jaas)
        return reason_set(why, ERR_BAD_CONFIG, "security.protocol=%s needs sasl.jaas.config", protocol);
    return kafka_jaas_parse(slice_str(jaas), &c->user, &c->password, why);
}

enum err kafka_cli_open_settings(struct kafka_cli **out, const struct settings *s, struct reason *why)
{
    struct kafka_cli *c = calloc(1, sizeof *c);
    enum err err;

    *out = NULL;
    if (!c)
        return reason_set(why, ERR_NO_MEMORY, "no memory for a client");
    c->settings = s;
    c->any.cli = c;
    c->any.node_id = KAFKA_CLI_ANY;
    c->controller_id = -1;
    c->request_ms = settings_int(s, "request.timeout.ms");
    buf_init(&c->user, 0);
    err = loop_new(&c->loop, NULL, why);
    if (!err && slice_is_null(settings_list(s, "bootstrap.servers", 0)))
        err = reason_set(why, ERR_BAD_CONFIG, "bootstrap.servers is not set");
    if (!err)
        err = read_security(c, why);
    if (err) {
        kafka_cli_close(c);
        return err;
    }
    *out = c;
    return ERR_OK;
}

void kafka_cli_close(struct kafka_cli *c)
{
    if (!c)
        return;
    if (c->any.client)
        kafka_client_close(c->any.client, NULL);
    for (struct cli_link *n = c->nodes; n; n = n->next)
        if (n->client)
            kafka_client_close(n->client, NULL);
    loop_free(c->loop); /* reports the closes before it goes */
    while (c->nodes) {
        struct cli_link *n = c->nodes;
        c->nodes = n->next;
        free(n);
    }
    tls_free(c->tls);
    buf_wipe_free(&c->user);
    secret_free(&c->password);
    free(c);
}
