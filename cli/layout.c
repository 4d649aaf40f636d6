/* SPDX-License-Identifier: Apache-2.0
 * Paths and ports of one machine's system. Everything is derived from the data folder, the port base and the number of
 * brokers; what it finds or makes there is cli/layout_prepare.c's work. */
#include "cli/layout.h"
#include "core/base/fs.h"
#include "core/base/slice.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum err layout_init(struct layout *l, const char *data, int port_base, int brokers, struct reason *why)
{
    char absolute[PATH_MAX];
    enum err err = fs_private_dir_make(data, why);

    *l = (struct layout){.brokers = brokers,
                         .port_sasl = port_base ? port_base : 9093,
                         .port_mtls = port_base ? port_base + 100 : 9193,
                         .port_registry = port_base ? port_base + 200 : 8081,
                         .port_admin = port_base ? port_base + 300 : 8443,
                         .port_broker = port_base ? port_base + 400 : 19092};
    if (err)
        return err;
    if (!realpath(data, absolute))
        return reason_set(why, err_from_errno(errno), "cannot resolve %s: %s", data, strerror(errno));
    if (strlen(absolute) >= sizeof l->data - 64)
        return reason_set(why, ERR_LIMIT_EXCEEDED, "the path of the data folder is too long: %s", absolute);
    memcpy(l->data, absolute, strlen(absolute) + 1);
    snprintf(l->keyd_socket, sizeof l->keyd_socket, "%s/keyd/keyd.sock", l->data);
    snprintf(l->keyd_admin_socket, sizeof l->keyd_admin_socket, "%s/keyd/admin.sock", l->data);
    return ERR_OK;
}

static void role_paths(const struct layout *l, struct layout_role *r, const char *verb)
{
    r->verb = verb;
    snprintf(r->config, sizeof r->config, "%s/%s/%s.properties", l->data, r->name, verb);
    snprintf(r->log, sizeof r->log, "%s/logs/%s.log", l->data, r->name);
}

int layout_roles(const struct layout *l, struct layout_role roles[LAYOUT_ROLES_MAX])
{
    static const char *const fronts[] = {"keyd", "gateway", "registry"};
    int n = 0;

    for (; n < l->brokers; n++) {
        snprintf(roles[n].name, sizeof roles[n].name, "broker-%d", n + 1);
        role_paths(l, &roles[n], "broker");
    }
    for (size_t i = 0; i < sizeof fronts / sizeof *fronts; i++, n++) {
        snprintf(roles[n].name, sizeof roles[n].name, "%s", fronts[i]);
        role_paths(l, &roles[n], fronts[i]);
    }
    return n;
}

static enum err check_port(int port, const char *what, struct reason *why)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    enum err err = ERR_OK;

    if (fd < 0)
        return reason_set(why, err_from_errno(errno), "cannot make a socket: %s", strerror(errno));
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&a, sizeof a))
        err = reason_set(why, err_from_errno(errno),
                         "port %d (%s): %s; is another castellan running? --port-base N moves every port", port, what,
                         strerror(errno));
    close(fd);
    return err;
}

enum err layout_check_ports(const struct layout *l, struct reason *why)
{
    enum err err = ERR_OK;

    for (int i = 0; !err && i <= l->brokers; i++)
        err = check_port(l->port_sasl + i, "gateway, SASL_SSL", why);
    for (int i = 0; !err && i <= l->brokers; i++)
        err = check_port(l->port_mtls + i, "gateway, mutual TLS", why);
    if (!err)
        err = check_port(l->port_registry, "registry", why);
    if (!err)
        err = check_port(l->port_admin, "admin", why);
    for (int i = 0; !err && i < l->brokers; i++)
        err = check_port(l->port_broker + i, "bundled broker", why);
    return err;
}
