/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_NODE_WATCH_H
#define CASTELLAN_GATEWAY_NODE_WATCH_H

#include "gateway/cluster/cluster_report.h"
#include "gateway/session/worker_data.h"

/* Asks every node behind, again and again, whether it answers, how full its disk is, which features it has, which
 * topics there are, and where partitions have their leaders. The workers learn of silent nodes through cluster.silent
 * and workers_leave_silent(); clients learn of features by ApiVersions, subscriptions by pattern of topics;
 * /health/ready, status and metrics through the report. Lives on the control loop. */
struct node_watch;

enum {
    WATCH_MS = 1000,      /* between two questions to a node, */
    WATCH_START_MS = 100, /* and at first, so that the report is there when the gateway serves */
    WATCH_START_TICKS = 20,
    WATCH_DISK_TICKS = 5,        /* the disk is asked for every so many, */
    WATCH_FEATURES_TICKS = 2,    /* its features, */
    WATCH_PARTITIONS_TICKS = 10, /* and all topics and partitions, of one node; also, */
    WATCH_CHANGED_MS = 3000      /* for so long, after a change of topics passed through this gateway */
};

enum err node_watch_new(struct node_watch **out, struct gateway *g, struct loop *l, struct reason *why) MUST_CHECK;
void node_watch_stop(struct node_watch *w); /* closes its connections; on the loop's thread. NULL is fine */
void node_watch_free(struct node_watch *w); /* after the loop ran on for a while. NULL is fine */
/* The newest report. Any thread. */
void node_watch_report(struct node_watch *w, struct cluster_report *out);

#endif
