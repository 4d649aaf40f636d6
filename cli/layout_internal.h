/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_CLI_LAYOUT_INTERNAL_H
#define CASTELLAN_CLI_LAYOUT_INTERNAL_H

#include "cli/layout.h"

/* The steps of layout_prepare(), each idempotent.
 *
 *   DATA/ca.pem               the client-facing CA's certificate
 *   DATA/cluster.id
 *   DATA/secrets/             cluster-ca.*, client-ca.*, users.scram (0600)
 *   DATA/broker-N/            node.* (cluster CA), broker.properties, log/
 *   DATA/gateway/, registry/  server.* (client-facing CA), node.* (cluster CA), ROLE.properties
 *   DATA/keyd/                node.* (cluster CA), keyd.properties, what keyd keeps
 *   DATA/clients/             NAME.properties, NAME.conf, NAME.pem, NAME.key
 *   DATA/logs/                ROLE.log */
enum { LAYOUT_USERS_MAX = 3, LAYOUT_CLUSTER_ID_SIZE = 22, LAYOUT_CERT_DAYS_MIN = 30 };

int layout_users(bool demo_users, const char *users[LAYOUT_USERS_MAX]);
enum err layout_prepare_certs(const struct layout *l, bool demo_users, struct reason *why) MUST_CHECK;
enum err layout_prepare_users(const struct layout *l, bool demo_users, struct reason *why) MUST_CHECK;
enum err layout_prepare_roles(const struct layout *l, const char *cluster_id, struct reason *why) MUST_CHECK;

/* DATA/ and the formatted rest into `out`; ERR_LIMIT_EXCEEDED when it does not fit. */
enum err layout_path(const struct layout *l, char out[PATH_MAX], struct reason *why, const char *fmt, ...) MUST_CHECK
    PRINTF_LIKE(4, 5);

#endif
