/* SPDX-License-Identifier: Apache-2.0
 * Addresses. A node not seen before gets its ports opened. */
#include "gateway/api/nodes.h"
#include "core/base/log.h"
#include "gateway/cluster/cluster.h"
#include "gateway/request/engine.h"

int32_t node_rewrite(struct request *r, int32_t id, struct slice *host, int32_t port)
{
    struct engine *e = r->engine;
    bool is_new;
    int place = cluster_learn(e->cluster, id, *host, port, &is_new);

    if (place < 0) {
        log_error("node %d has no place: more than %d nodes", (int)id, CLUSTER_NODES_MAX);
        return -1;
    }
    if (is_new)
        e->ops->node_learned(e, place);
    *host = slice_str(request_peer(r)->advertised);
    return request_peer(r)->port + 1 + place;
}

bool node_rewrite_known(struct request *r, int32_t id, struct slice *host, int32_t *port)
{
    int place = cluster_place(r->engine->cluster, id);

    if (place < 0)
        return false;
    *host = slice_str(request_peer(r)->advertised);
    *port = request_peer(r)->port + 1 + place;
    return true;
}
