/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_CLI_LAYOUT_H
#define CASTELLAN_CLI_LAYOUT_H

#include "core/base/err.h"
#include <limits.h>
#include <stdbool.h>

/* Where `castellan up` keeps things and on which ports (DESIGN, "What a newcomer meets"). */
enum { LAYOUT_BROKERS_MAX = 15, LAYOUT_ROLES_MAX = LAYOUT_BROKERS_MAX + 3 };

struct layout {
    char data[PATH_MAX / 2]; /* absolute */
    char keyd_socket[PATH_MAX], keyd_admin_socket[PATH_MAX];
    int brokers;
    int port_sasl, port_mtls, port_registry, port_admin, port_broker; /* the first of each */
};

struct layout_role {
    char name[24];         /* "broker-1", "gateway", ... */
    const char *verb;      /* "broker", "gateway", "registry", "keyd" */
    char config[PATH_MAX]; /* its properties file */
    char log[PATH_MAX];    /* where its stderr goes */
};

/* port_base 0: the standard ports. */
enum err layout_init(struct layout *l, const char *data, int port_base, int brokers, struct reason *why) MUST_CHECK;

/* Makes whatever is missing: folders, the two CAs, certificates, the cluster id, the users' passwords and client files;
 * (re)writes the roles' properties. Idempotent; a half-done first start is finished by the next one. */
enum err layout_prepare(const struct layout *l, bool demo_users, struct reason *why) MUST_CHECK;

/* The roles to start, in order; returns how many. */
int layout_roles(const struct layout *l, struct layout_role roles[LAYOUT_ROLES_MAX]);

/* ERR_ADDRESS_IN_USE naming the first port of the layout that somebody else listens on. */
enum err layout_check_ports(const struct layout *l, struct reason *why) MUST_CHECK;

#endif
