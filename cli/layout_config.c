/* SPDX-License-Identifier: Apache-2.0
 * The roles' properties files, derived from the layout at each start. */
#include "cli/client_files.h"
#include "cli/layout_internal.h"

#include <stdio.h>
#include <string.h>

#define HEADER                                                                                                         \
    "# Written by `castellan up` at each start: changes made here are lost. For a configuration of your own, copy "    \
    "it\n# and run `castellan %s -c FILE`.\n"

struct config {
    const struct layout *l;
    struct buf text;
};

static void put(struct config *c, const char *key, const char *fmt, ...) PRINTF_LIKE(3, 4);

static void put(struct config *c, const char *key, const char *fmt, ...)
{
    char value[PATH_MAX + 1024];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(value, sizeof value, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof value)
        c->text.error = ERR_LIMIT_EXCEEDED;
    else
        property_put(&c->text, key, slice_str(value));
}

/* Where the brokers are, and what opens their door. */
static void put_cluster(struct config *c, const char *role, const char *prefix, const char *ssl_prefix)
{
    char key[96], servers[24 * LAYOUT_BROKERS_MAX];
    int at = 0;

    for (int i = 0; i < c->l->brokers; i++)
        at +=
            snprintf(servers + at, sizeof servers - (size_t)at, "%s127.0.0.1:%d", i ? "," : "", c->l->port_broker + i);
    snprintf(key, sizeof key, "%sbootstrap.servers", prefix);
    put(c, key, "%s", servers);
    snprintf(key, sizeof key, "%ssecurity.protocol", ssl_prefix);
    put(c, key, "SSL");
    snprintf(key, sizeof key, "%sssl.keystore.location", ssl_prefix);
    put(c, key, "%s/%s/node.keystore.pem", c->l->data, role);
    snprintf(key, sizeof key, "%sssl.truststore.location", ssl_prefix);
    put(c, key, "%s/secrets/cluster-ca.pem", c->l->data);
}

static void put_broker(struct config *c, int id, const char *cluster_id)
{
    char voters[32 * LAYOUT_BROKERS_MAX], names[16 * LAYOUT_BROKERS_MAX];
    int at = 0, names_at = 0;

    for (int i = 0; i < c->l->brokers; i++)
        names_at += snprintf(names + names_at, sizeof names - (size_t)names_at, "%sbroker-%d", i ? "," : "", i + 1);
    for (int i = 0; i < c->l->brokers; i++)
        at += snprintf(voters + at, sizeof voters - (size_t)at, "%s%d@127.0.0.1:%d", i ? "," : "", i + 1,
                       c->l->port_broker + i);
    put(c, "process.roles", "broker,controller");
    put(c, "node.id", "%d", id);
    put(c, "cluster.id", "%s", cluster_id);
    put(c, "controller.quorum.voters", "%s", voters);
    put(c, "listeners", "SSL://127.0.0.1:%d", c->l->port_broker + id - 1);
    put(c, "log.dirs", "%s/broker-%d/log", c->l->data, id);
    put(c, "ssl.keystore.type", "PEM");
    put(c, "ssl.keystore.location", "%s/broker-%d/node.keystore.pem", c->l->data, id);
    put(c, "ssl.truststore.type", "PEM");
    put(c, "ssl.truststore.location", "%s/secrets/cluster-ca.pem", c->l->data);
    put(c, "ssl.client.auth", "required");
    put(c, "castellan.broker.names", "%s", names);
    put(c, "num.partitions", "3");
    put(c, "offsets.topic.num.partitions", "12");
    put(c, "transaction.state.log.num.partitions", "12");
    put(c, "group.initial.rebalance.delay.ms", "500");
}

/* What the gateway and the registry show their clients, and how they name them. */
static void put_front(struct config *c, const char *role)
{
    put(c, "ssl.keystore.type", "PEM");
    put(c, "ssl.keystore.location", "%s/%s/server.keystore.pem", c->l->data, role);
    put(c, "ssl.truststore.type", "PEM");
    put(c, "ssl.truststore.location", "%s/ca.pem", c->l->data);
    put(c, "ssl.principal.mapping.rules", "RULE:^CN=([^,]+).*$/$1/,DEFAULT");
    put(c, "super.users", "User:admin");
}

static void put_gateway(struct config *c)
{
    put(c, "listeners", "SASL_SSL://localhost:%d,SSL://localhost:%d", c->l->port_sasl, c->l->port_mtls);
    put(c, "sasl.enabled.mechanisms", "SCRAM-SHA-512,SCRAM-SHA-256,PLAIN");
    put_front(c, "gateway");
    put_cluster(c, "gateway", "", "castellan.upstream.");
    put(c, "castellan.admin.listener", "https://localhost:%d", c->l->port_admin);
    put(c, "castellan.registry.url", "https://localhost:%d", c->l->port_registry);
    put(c, "castellan.keyd.socket", "%s", c->l->keyd_socket);
    put(c, "castellan.keyd.admin.socket", "%s", c->l->keyd_admin_socket);
    put(c, "castellan.bootstrap.scram", "%s/secrets/users.scram", c->l->data);
}

static void put_registry(struct config *c)
{
    put(c, "listeners", "https://localhost:%d", c->l->port_registry);
    put_front(c, "registry");
    put(c, "ssl.client.authentication", "REQUESTED");
    put(c, "kafkastore.topic", "_schemas");
    put_cluster(c, "registry", "kafkastore.", "kafkastore.");
}

static void put_keyd(struct config *c)
{
    put(c, "castellan.keyd.socket", "%s", c->l->keyd_socket);
    put(c, "castellan.keyd.admin.socket", "%s", c->l->keyd_admin_socket);
    put(c, "castellan.keyd.root.file", "%s/keyd/root", c->l->data);
    put(c, "castellan.keyd.signing.key.file", "%s/keyd/receipt-signing.key", c->l->data);
    put_cluster(c, "keyd", "", "");
}

enum err layout_prepare_roles(const struct layout *l, const char *cluster_id, struct reason *why)
{
    struct layout_role roles[LAYOUT_ROLES_MAX];
    int n = layout_roles(l, roles);
    enum err err = ERR_OK;

    for (int i = 0; !err && i < n; i++) {
        struct config c = {.l = l};
        buf_init(&c.text, CLIENT_FILE_MAX);
        buf_printf(&c.text, HEADER, roles[i].verb);
        if (i < l->brokers)
            put_broker(&c, i + 1, cluster_id);
        else if (strcmp(roles[i].verb, "gateway") == 0)
            put_gateway(&c);
        else if (strcmp(roles[i].verb, "registry") == 0)
            put_registry(&c);
        else
            put_keyd(&c);
        err = file_put(roles[i].config, &c.text, 0600, why);
        buf_free(&c.text);
    }
    return err;
}
