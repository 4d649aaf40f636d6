/* SPDX-License-Identifier: Apache-2.0
 * Keeping and judging what the nodes behind say. A partition is offline when it has no leader, or when its leader is a
 * node that does not answer: a node that hangs is leader for as long as nobody replaces it. */
#include "gateway/cluster/cluster_report.h"

#include <inttypes.h>
#include <stdio.h>

void cluster_report_add_topic(struct cluster_report *r, const char *name, bool needed)
{
    if (r->topic_count == REPORT_STATE_TOPICS_MAX)
        return;
    snprintf(r->topics[r->topic_count].name, sizeof r->topics[0].name, "%s", name);
    r->topics[r->topic_count++].needed = needed;
}

/* ---- Answers ---- */

static bool is_silent(const struct cluster_report *r, int32_t id)
{
    for (int i = 0; i < r->node_count; i++)
        if (r->nodes[i].known && r->nodes[i].id == id)
            return r->nodes[i].health.state == NODE_SILENT;
    return false;
}

static bool is_offline(const struct cluster_report *r, const struct metadata_response_metadata_response_partition *p)
{
    return p->leader_id < 0 || p->error_code == ERR_LEADER_NOT_AVAILABLE || is_silent(r, p->leader_id);
}

static void note_topic(struct cluster_report *r, const struct metadata_response_metadata_response_topic *t)
{
    for (int i = 0; i < r->topic_count; i++) {
        struct state_topic *own = &r->topics[i];

        if (!slice_eq_str(t->name, own->name))
            continue;
        own->state = t->error_code || t->partitions.n == 0 ? TOPIC_ABSENT : TOPIC_SERVED;
        if (t->error_code == ERR_LEADER_NOT_AVAILABLE)
            own->state = TOPIC_OFFLINE;
        for (int32_t k = 0; k < t->partitions.n; k++)
            if (is_offline(r, &t->partitions.v[k]))
                own->state = TOPIC_OFFLINE;
    }
}

static void note_partitions(struct cluster_report *r, const struct metadata_response_metadata_response_topic *t)
{
    for (int32_t k = 0; k < t->partitions.n; k++) {
        r->partitions++;
        if (!is_offline(r, &t->partitions.v[k]))
            continue;
        if (r->offline < REPORT_NAMES_MAX)
            snprintf(r->offline_names[r->offline], REPORT_NAME_MAX, "%.*s-%d", SLICE_FMT(t->name),
                     (int)t->partitions.v[k].partition_index);
        r->offline++;
    }
}

void cluster_report_metadata(struct cluster_report *r, const struct metadata_response *m, bool all)
{
    if (all) {
        r->partitions = r->offline = 0;
        r->partitions_known = true;
        for (int i = 0; i < r->topic_count; i++)
            r->topics[i].state = TOPIC_ABSENT;
    }
    for (int32_t i = 0; i < m->topics.n; i++) {
        note_topic(r, &m->topics.v[i]);
        if (all)
            note_partitions(r, &m->topics.v[i]);
    }
}

void cluster_report_log_dirs(struct node_report *n, const struct describe_log_dirs_response *d)
{
    n->disk_known = d->results.n > 0;
    n->disk_failed = false;
    n->disk_total = n->disk_usable = -1;
    for (int32_t i = 0; i < d->results.n; i++) {
        int64_t usable = d->results.v[i].usable_bytes;

        n->disk_failed = n->disk_failed || d->results.v[i].error_code;
        if (usable >= 0 && (n->disk_usable < 0 || usable < n->disk_usable)) {
            n->disk_usable = usable;
            n->disk_total = d->results.v[i].total_bytes;
        }
    }
}

bool node_report_disk_full(const struct node_report *n)
{
    return n->disk_known && n->disk_usable >= 0 &&
           (n->disk_usable < DISK_FULL_BYTES || n->disk_usable < n->disk_total / 100 * DISK_FULL_PERCENT);
}

/* ---- Judging ---- */

struct problems {
    struct report_problem *out;
    int n;
};

static void PRINTF_LIKE(3, 4) add(struct problems *p, bool stops_serving, const char *fmt, ...)
{
    va_list ap;

    if (p->n == REPORT_PROBLEMS_MAX)
        return;
    p->out[p->n].stops_serving = stops_serving;
    va_start(ap, fmt);
    vsnprintf(p->out[p->n].text, REPORT_PROBLEM_MAX, fmt, ap);
    va_end(ap);
    p->n++;
}

static void judge_node(struct problems *p, const struct node_report *n, int64_t now_ms)
{
    if (n->health.state == NODE_SILENT)
        add(p, false, "node %d (%s:%u) does not answer since %" PRId64 " s%s%s", (int)n->id, n->host, n->port,
            (now_ms - n->health.since_ms) / 1000, *n->detail ? ": " : "", n->detail);
    else if (n->disk_failed)
        add(p, false, "node %d cannot use one of its log folders; its own log says why", (int)n->id);
    else if (node_report_disk_full(n))
        add(p, false, "node %d: the disk is full: %" PRId64 " of %" PRId64 " bytes are usable", (int)n->id,
            n->disk_usable, n->disk_total);
}

static void judge_partitions(struct problems *p, const struct cluster_report *r)
{
    char names[REPORT_PROBLEM_MAX - 120] = "";
    size_t n = 0;

    if (!r->partitions_known || r->offline == 0)
        return;
    for (int i = 0; i < r->offline && i < REPORT_NAMES_MAX && n < sizeof names; i++)
        n += (size_t)snprintf(names + n, sizeof names - n, "%s%s", i ? ", " : "", r->offline_names[i]);
    add(p, false, "%d of %d partitions have no leader that answers: %s%s", (int)r->offline, (int)r->partitions, names,
        r->offline > REPORT_NAMES_MAX ? " ..." : "");
}

int cluster_report_problems(const struct cluster_report *r, int64_t now_ms,
                            struct report_problem out[REPORT_PROBLEMS_MAX])
{
    struct problems p = {out, 0};
    int known = 0, silent = 0;

    for (int i = 0; i < r->node_count; i++) {
        known += r->nodes[i].known;
        silent += r->nodes[i].known && r->nodes[i].health.state == NODE_SILENT;
    }
    if (known && known == silent)
        add(&p, true, "no node of the cluster behind answers");
    for (int i = 0; i < r->topic_count; i++)
        if (r->topics[i].state == TOPIC_OFFLINE)
            add(&p, r->topics[i].needed, "the topic %s has a partition without a leader that answers",
                r->topics[i].name);
    for (int i = 0; i < r->node_count; i++)
        if (r->nodes[i].known)
            judge_node(&p, &r->nodes[i], now_ms);
    judge_partitions(&p, r);
    return p.n;
}

void cluster_report_summary(const struct cluster_report *r, char *out, size_t size)
{
    int known = 0, silent = 0, full = 0;
    size_t n = 0;

    for (int i = 0; i < r->node_count; i++) {
        const struct node_report *node = &r->nodes[i];
        bool is_lost = node->known && node->health.state == NODE_SILENT;

        known += node->known;
        silent += is_lost;
        full += node->known && !is_lost && (node->disk_failed || node_report_disk_full(node));
    }
    *out = 0;
    if (silent)
        n += (size_t)snprintf(out, size, "%d of %d nodes do not answer", silent, known);
    if (full && n < size)
        n += (size_t)snprintf(out + n, size - n, "%sno room on the disk of %d of %d nodes", n ? "; " : "", full, known);
    if (r->offline && n < size)
        snprintf(out + n, size - n, "%s%d of %d partitions have no leader that answers", n ? "; " : "", (int)r->offline,
                 (int)r->partitions);
}
