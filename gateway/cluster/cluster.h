/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_CLUSTER_H
#define CASTELLAN_GATEWAY_CLUSTER_H

#include "core/base/err.h"
#include "core/net/kafka_client.h"
#include "gateway/cluster/features.h"
#include "gateway/cluster/node_choice.h"

#include <pthread.h>
#include <stdatomic.h>

/* The cluster behind, as far as all workers must agree on it: its nodes, which gateway port stands for which, and what
 * API versions it speaks. A node keeps its place (and so its port) for the life of the process. Thread-safe: a short
 * lock, taken only where addresses are rewritten or a connection is opened. */
enum { CLUSTER_NODES_MAX = NODE_PLACES_MAX, CLUSTER_BOOTSTRAP_MAX = 16, CLUSTER_APIS = 128 };

struct cluster_node {
    bool known; /* false: a place kept for an entry of bootstrap.servers that was not met yet */
    int32_t id;
    char host[256];
    uint16_t port;
};

struct cluster {
    pthread_mutex_t lock;
    struct cluster_node nodes[CLUSTER_NODES_MAX]; /* by place */
    int node_count;
    struct host_port bootstrap[CLUSTER_BOOTSTRAP_MAX];
    int bootstrap_count;
    int16_t min_version[CLUSTER_APIS], max_version[CLUSTER_APIS]; /* -1: not served; set once at start */
    char cluster_id[128];                                         /* set once at start too */
    struct feature_set features;    /* of all nodes that answer (gateway/node_watch.c); under the lock */
    _Atomic uint64_t known, silent; /* bits of places: has a node; its node does not answer (gateway/node_watch.c) */
};

void cluster_init(struct cluster *c);
/* "host:port,host:port" */
enum err cluster_set_bootstrap(struct cluster *c, struct slice list, struct reason *why) MUST_CHECK;
/* Learn or refresh a node; returns its place, -1 when there is no room. *is_new when it was not known. */
int cluster_learn(struct cluster *c, int32_t id, struct slice host, int32_t port, bool *is_new);
/* The places are given in the order of ids to all nodes known at once, so that the ports of a fresh start follow ids.
 */
int cluster_place(struct cluster *c, int32_t id); /* -1: unknown */
bool cluster_node_at(struct cluster *c, int place, struct cluster_node *out);
void cluster_set_features(struct cluster *c, const struct feature_set *s);
void cluster_features(struct cluster *c, struct feature_set *out);
int cluster_places(struct cluster *c); /* one past the highest place in use; some may be empty */

#endif
