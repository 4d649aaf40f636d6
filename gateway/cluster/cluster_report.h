/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_CLUSTER_REPORT_H
#define CASTELLAN_GATEWAY_CLUSTER_REPORT_H

#include "gateway/cluster/node_choice.h"
#include "core/base/err.h"
#include "core/base/buf.h"
#include "core/base/slice.h"
#include "wire/describe_log_dirs.h"
#include "wire/metadata.h"

/* What the gateway found out about the cluster behind: which node answers, which disk is full, which partition has no
 * leader, whether its own topics can be reached. Pure: node_watch.c asks, this keeps and judges. */
enum {
    REPORT_NAMES_MAX = 10, /* partitions without a leader that are named */
    REPORT_STATE_TOPICS_MAX = 8,
    REPORT_NAME_MAX = 280,
    DISK_FULL_PERCENT = 1,     /* full: less than this is usable, */
    DISK_FULL_BYTES = 1 << 20, /* or less than this */
};

struct node_report {
    bool known;
    int32_t id;
    char host[256];
    uint16_t port;
    struct node_health health;
    char detail[200]; /* why it is silent */
    bool disk_known, disk_failed;
    int64_t disk_total, disk_usable; /* of the log folder with the least room; -1: not told */
};

enum topic_state { TOPIC_ABSENT, TOPIC_SERVED, TOPIC_OFFLINE };

struct state_topic {
    char name[256];
    bool needed; /* without it the gateway's rules are stale */
    enum topic_state state;
};

struct cluster_report {
    struct node_report nodes[NODE_PLACES_MAX]; /* by place */
    int node_count;
    struct state_topic topics[REPORT_STATE_TOPICS_MAX];
    int topic_count;
    bool partitions_known;
    int32_t partitions, offline;
    char offline_names[REPORT_NAMES_MAX][REPORT_NAME_MAX]; /* "orders-3"; the first ones */
};

void cluster_report_add_topic(struct cluster_report *r, const char *name, bool needed);
/* A Metadata answer about the state topics, or (`all`) about every topic. */
void cluster_report_metadata(struct cluster_report *r, const struct metadata_response *m, bool all);
void cluster_report_log_dirs(struct node_report *n, const struct describe_log_dirs_response *d);
bool node_report_disk_full(const struct node_report *n);

/* One sentence for each thing that is wrong, worst first; returns how many. `now_ms` as in node_health. */
enum { REPORT_PROBLEMS_MAX = 2 * NODE_PLACES_MAX + REPORT_STATE_TOPICS_MAX + 2, REPORT_PROBLEM_MAX = 700 };
struct report_problem {
    bool stops_serving; /* the gateway cannot do its work because of it */
    char text[REPORT_PROBLEM_MAX];
};
int cluster_report_problems(const struct cluster_report *r, int64_t now_ms,
                            struct report_problem out[REPORT_PROBLEMS_MAX]);
/* The same in one sentence that names nothing: for whoever asks without a password. Empty: nothing is wrong. */
void cluster_report_summary(const struct cluster_report *r, char *out, size_t size);

#endif
