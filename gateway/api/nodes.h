/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_NODES_H
#define CASTELLAN_GATEWAY_NODES_H

#include "gateway/request/request.h"

/* The cluster's addresses never reach a client: each node is told as the gateway's host with the node's own port
 * (bootstrap port + 1 + place). The port, with *host set; -1: no room for a further node, leave it out. */
int32_t node_rewrite(struct request *r, int32_t id, struct slice *host, int32_t port);
/* The same for a node that only an id is told of: it must be known already. */
bool node_rewrite_known(struct request *r, int32_t id, struct slice *host, int32_t *port);

#endif
