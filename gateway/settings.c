/* SPDX-License-Identifier: Apache-2.0
 * From the properties file to a configured gateway. Whatever is wrong is said with file and key before anything is
 * opened. */
#include "gateway/settings.h"
#include "gateway/filter/schema_topics.h"
#include "gateway/filter/heavy.h"
#include "gateway/filter/subscriptions.h"

#include <stdio.h>

#define UPSTREAM "castellan.upstream."

const struct setting_row gateway_setting_rows[] = {
    {"bootstrap.servers", SETTING_STRING, NULL, 0, 0, "the cluster behind: host:port,..."},
    {"listeners", SETTING_LIST, NULL, 0, 0, "SASL_SSL://host:port, SSL://host:port (mutual TLS)"},
    {"advertised.listeners", SETTING_LIST, NULL, 0, 0, "what clients are told instead, in the same order"},
    {"sasl.enabled.mechanisms", SETTING_LIST, "SCRAM-SHA-512,SCRAM-SHA-256,PLAIN", 0, 0, "SASL mechanisms offered"},
    {"super.users", SETTING_STRING, "", 0, 0, "User:a;User:b, who may do everything"},
    {"allow.everyone.if.no.acl.found", SETTING_BOOL, "false", 0, 0, "what holds for resources no rule names"},
    {"ssl.principal.mapping.rules", SETTING_STRING, "DEFAULT", 0, 0, "from a certificate's name to a principal"},
    {"num.network.threads", SETTING_INT, "2", 1, WORKERS_MAX, "worker threads"},
    {"max.connections", SETTING_INT, "10000", 1, 1000000, "client connections per port"},
    {"max.connections.per.ip", SETTING_INT, "0", 0, 1000000, "of one address; 0: no limit"},
    {"connections.max.idle.ms", SETTING_INT, "600000", 1000, INT32_MAX, "idle connections end after this time"},
    {"connections.max.reauth.ms", SETTING_INT, "0", 0, INT32_MAX, "sessions must authenticate again; 0: never"},
    DOOR_SETTING_ROWS,
    {"castellan.ssl.close.when.certificate.expires", SETTING_BOOL, "true", 0, 0,
     "mutual TLS: a connection ends when its client's certificate does"},
    {"socket.request.max.bytes", SETTING_INT, "104857600", 1024, INT32_MAX, "the largest request"},
    {"castellan.request.memory.max.bytes", SETTING_INT, "268435456", 1 << 20, INT64_MAX, "what one request may hold"},
    {"castellan.session.memory.max.bytes", SETTING_INT, "268435456", 1 << 20, INT64_MAX,
     "what the requests of one connection may hold; above half of it, it is not read"},
    {"castellan.session.memory.reserve.bytes", SETTING_INT, "1048576", 0, INT64_MAX,
     "what a connection may hold however short of memory the process is"},
    {"castellan.principal.memory.max.bytes", SETTING_INT, "268435456", 1 << 20, INT64_MAX,
     "what the connections of one principal, or before authentication of one address, may hold together"},
    {"castellan.memory.max.bytes", SETTING_INT, "1073741824", 1 << 20, INT64_MAX,
     "what all requests may hold; above it, connections over their reserve are not read"},
    {"castellan.regex.members.max", SETTING_INT, "100000", 1, INT32_MAX,
     "members of consumer groups whose subscription is remembered; at most half of them without a pattern"},
    {"castellan.regex.members.per.principal.max", SETTING_INT, "10000", 1, INT32_MAX, "of one principal"},
    {"castellan.regex.members.bytes.max", SETTING_INT, "67108864", REGEX_MEMBERS_BYTES_MIN, INT64_MAX,
     "what remembering them may take; a member with a pattern that finds no room is refused"},
    {"castellan.write.stall.ms", SETTING_INT, "30000", 100, INT32_MAX,
     "a connection that takes no byte of its answers for this long is closed"},
    {"castellan.admin.listener", SETTING_STRING, NULL, 0, 0, "https://host:port of the admin API, metrics, health"},
    {"castellan.registry.url", SETTING_STRING, NULL, 0, 0, "the registry whose health /health/ready includes"},
    AUDIT_SETTING_ROWS,
    {"castellan.registry.ca", SETTING_STRING, NULL, 0, 0, "PEM file of the CA of that registry"},
    {"castellan.keyd.socket", SETTING_STRING, NULL, 0, 0, "the key process's socket; without it nothing is encrypted"},
    {"castellan.keyd.admin.socket", SETTING_STRING, NULL, 0, 0,
     "the key process's socket for forgetting, holds and receipts; without it this gateway's admin API refuses these"},
    {"castellan.bootstrap.scram", SETTING_STRING, NULL, 0, 0, "file of users to add when they are absent"},
    HEAVY_SETTING_ROWS,
    {"castellan.schemas.topic", SETTING_STRING, "_schemas", 0, 0, "the registry's topic, for schema validation"},
    {"castellan.topic.*", SETTING_STRING, NULL, 0, 0,
     "castellan.topic.TOPIC.value.schema.validation and its kind, where the cluster does not know the topic's keys"},
    TLS_SETTING_ROWS(""),
    TLS_SETTING_ROWS(UPSTREAM),
    {UPSTREAM "security.protocol", SETTING_STRING, "SSL", 0, 0, "SSL or PLAINTEXT, towards the cluster"},
    {0},
};

static const char *const needed[] = {"bootstrap.servers", "listeners"};

static enum err parse_entrance(struct gateway *g, size_t i, struct slice text, struct slice advertised,
                               struct reason *why)
{
    struct entrance *e = &g->entrances[g->entrance_count];
    struct host_port hp, told;
    enum err err = host_port_parse(&hp, text, why);

    if (!err)
        err = host_port_parse(&told, slice_is_null(advertised) ? text : advertised, why);
    if (err)
        return err;
    if (i == GATEWAY_LISTENERS_MAX)
        return reason_set(why, ERR_BAD_CONFIG, "listeners: more than %d", GATEWAY_LISTENERS_MAX);
    if (strcmp(hp.scheme, "SASL_SSL") == 0)
        e->kind = ENTRANCE_SASL_SSL;
    else if (strcmp(hp.scheme, "SSL") == 0)
        e->kind = ENTRANCE_SSL;
    else if (strcmp(hp.scheme, "SASL_PLAINTEXT") == 0)
        e->kind = ENTRANCE_SASL_PLAINTEXT;
    else
        return reason_set(why, ERR_BAD_CONFIG, "listeners: \"%.*s\": use SASL_SSL://, SSL:// or SASL_PLAINTEXT://",
                          SLICE_FMT(text));
    snprintf(e->host, sizeof e->host, "%s", hp.host);
    snprintf(e->advertised, sizeof e->advertised, "%s", *told.host ? told.host : "localhost");
    e->port = hp.port;
    g->entrance_count++;
    return ERR_OK;
}

static enum err open_tls(struct gateway *g, struct reason *why)
{
    struct tls_opts client_facing, upstream;
    enum err err = tls_opts_from_settings(&client_facing, g->settings, "", why);

    if (!err)
        err = tls_opts_from_settings(&upstream, g->settings, UPSTREAM, why);
    for (int i = 0; !err && i < g->entrance_count; i++) {
        struct tls_opts o = client_facing;
        if (g->entrances[i].kind == ENTRANCE_SASL_PLAINTEXT)
            continue;
        o.client_auth = g->entrances[i].kind == ENTRANCE_SSL ? TLS_CLIENT_AUTH_REQUIRED : TLS_CLIENT_AUTH_NONE;
        err = tls_server_new(&g->entrances[i].tls, &o, why);
    }
    if (!err && strcmp(settings_string(g->settings, UPSTREAM "security.protocol"), "PLAINTEXT") != 0)
        err = tls_client_new(&g->tls_upstream, &upstream, why);
    return err;
}

static enum err read_mechanisms(struct gateway *g, struct reason *why)
{
    for (size_t i = 0;; i++) {
        struct slice name = settings_list(g->settings, "sasl.enabled.mechanisms", i);
        enum sasl_mechanism m;
        if (slice_is_null(name))
            return ERR_OK;
        if (!sasl_mechanism_parse(name, &m))
            return reason_set(why, ERR_BAD_CONFIG,
                              "sasl.enabled.mechanisms: \"%.*s\": there are PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512",
                              SLICE_FMT(name));
        g->mechanisms[m] = true;
    }
}

static enum err open_subscriptions(struct gateway *g, struct reason *why)
{
    struct regex_limits limits = {.members_max = (size_t)settings_int(g->settings, "castellan.regex.members.max"),
                                  .members_per_principal_max =
                                      (size_t)settings_int(g->settings, "castellan.regex.members.per.principal.max"),
                                  .bytes_max = (size_t)settings_int(g->settings, "castellan.regex.members.bytes.max")};

    g->subscriptions = subscriptions_new(&limits);
    return g->subscriptions ? ERR_OK : reason_set(why, ERR_NO_MEMORY, "no memory for subscriptions by pattern");
}

enum err gateway_configure(struct gateway *g, const char *path, struct reason *why)
{
    enum err err = settings_load(&g->settings, path, gateway_setting_rows, why);

    for (size_t i = 0; !err && i < sizeof needed / sizeof *needed; i++)
        if (!settings_has(g->settings, needed[i]))
            err = reason_set(why, ERR_BAD_CONFIG, "%s: %s is missing", path, needed[i]);
    if (!err)
        err = cluster_set_bootstrap(&g->cluster, slice_str(settings_string(g->settings, "bootstrap.servers")), why);
    for (size_t i = 0; !err; i++) {
        struct slice text = settings_list(g->settings, "listeners", i);
        if (slice_is_null(text))
            break;
        err = parse_entrance(g, i, text, settings_list(g->settings, "advertised.listeners", i), why);
    }
    if (!err)
        err = read_mechanisms(g, why);
    if (!err)
        err = principal_rules_parse(&g->principal_rules,
                                    slice_str(settings_string(g->settings, "ssl.principal.mapping.rules")), why);
    if (!err)
        err = schema_topics_check_settings(g, why);
    if (!err)
        err = open_tls(g, why);
    if (err)
        return err;
    g->unpack_limits = (struct record_unpack_limits){
        .batch_max = (size_t)settings_int(g->settings, "castellan.batch.decompressed.max.bytes"),
        .request_max = (size_t)settings_int(g->settings, "castellan.request.decompressed.max.bytes")};
    if (g->unpack_limits.request_max < g->unpack_limits.batch_max)
        return reason_set(
            why, ERR_BAD_CONFIG,
            "castellan.request.decompressed.max.bytes is less than castellan.batch.decompressed.max.bytes");
    g->idle_ms = settings_int(g->settings, "connections.max.idle.ms");
    g->ends_with_certificate = settings_bool(g->settings, "castellan.ssl.close.when.certificate.expires");
    g->reauth_ms = settings_int(g->settings, "connections.max.reauth.ms");
    g->frame_max = (uint32_t)settings_int(g->settings, "socket.request.max.bytes");
    g->request_memory_max = settings_int(g->settings, "castellan.request.memory.max.bytes");
    g->session_memory_max = settings_int(g->settings, "castellan.session.memory.max.bytes");
    g->session_memory_reserve = settings_int(g->settings, "castellan.session.memory.reserve.bytes");
    g->write_stall_ms = settings_int(g->settings, "castellan.write.stall.ms");
    holders_init(&g->holders, settings_int(g->settings, "castellan.memory.max.bytes"),
                 settings_int(g->settings, "castellan.principal.memory.max.bytes"));
    g->reserved.schemas = slice_str(settings_string(g->settings, "castellan.schemas.topic"));
    g->keyd_socket = settings_string(g->settings, "castellan.keyd.socket");
    g->keyd_admin_socket = settings_string(g->settings, "castellan.keyd.admin.socket");
    return open_subscriptions(g, why);
}

void gateway_kafka_settings(const struct gateway *g, struct ledger_settings *out)
{
    ledger_settings_cluster(out, g->settings, "bootstrap.servers", UPSTREAM);
}
