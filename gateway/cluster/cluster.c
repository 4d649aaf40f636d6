/* SPDX-License-Identifier: Apache-2.0
 * The list of nodes. A place, once given, stays. A node that bootstrap.servers names gets the place of that entry, so
 * that the ports of a fresh start do not depend on who answered first; others come after, in the order they are met. */
#include "gateway/cluster/cluster.h"

#include <stdio.h>

void cluster_init(struct cluster *c)
{
    memset(c, 0, sizeof *c);
    pthread_mutex_init(&c->lock, NULL);
    feature_set_clear(&c->features);
    for (int i = 0; i < CLUSTER_APIS; i++)
        c->min_version[i] = c->max_version[i] = -1;
}

enum err cluster_set_bootstrap(struct cluster *c, struct slice list, struct reason *why)
{
    while (list.n) {
        const uint8_t *comma = memchr(list.p, ',', list.n);
        size_t n = comma ? (size_t)(comma - list.p) : list.n;
        struct slice one = slice_of(list.p, n);
        enum err err;

        while (one.n && one.p[0] == ' ')
            one = slice_of(one.p + 1, one.n - 1);
        if (c->bootstrap_count == CLUSTER_BOOTSTRAP_MAX)
            return reason_set(why, ERR_BAD_CONFIG, "bootstrap.servers: more than %d addresses", CLUSTER_BOOTSTRAP_MAX);
        err = host_port_parse(&c->bootstrap[c->bootstrap_count], one, why);
        if (err)
            return err;
        c->bootstrap_count++;
        list = comma ? slice_of(comma + 1, list.n - n - 1) : SLICE_NULL;
    }
    return c->bootstrap_count ? ERR_OK : reason_set(why, ERR_BAD_CONFIG, "bootstrap.servers is empty");
}

static int find(const struct cluster *c, int32_t id)
{
    for (int i = 0; i < c->node_count; i++)
        if (c->nodes[i].known && c->nodes[i].id == id)
            return i;
    return -1;
}

static int free_place(const struct cluster *c, struct slice host, int32_t port)
{
    int place = c->bootstrap_count;

    for (int i = 0; i < c->bootstrap_count; i++)
        if (!c->nodes[i].known && c->bootstrap[i].port == port && slice_eq_str(host, c->bootstrap[i].host))
            return i;
    while (place < CLUSTER_NODES_MAX && c->nodes[place].known)
        place++;
    return place < CLUSTER_NODES_MAX ? place : -1;
}

int cluster_learn(struct cluster *c, int32_t id, struct slice host, int32_t port, bool *is_new)
{
    int place;

    pthread_mutex_lock(&c->lock);
    place = find(c, id);
    *is_new = place < 0;
    if (place < 0)
        place = free_place(c, host, port);
    if (place >= 0) {
        struct cluster_node *n = &c->nodes[place];
        n->known = true;
        n->id = id;
        n->port = (uint16_t)port;
        snprintf(n->host, sizeof n->host, "%.*s", SLICE_FMT(host));
        if (place >= c->node_count)
            c->node_count = place + 1;
        atomic_fetch_or(&c->known, (uint64_t)1 << place);
    }
    pthread_mutex_unlock(&c->lock);
    return place;
}

int cluster_place(struct cluster *c, int32_t id)
{
    int place;
    pthread_mutex_lock(&c->lock);
    place = find(c, id);
    pthread_mutex_unlock(&c->lock);
    return place;
}

bool cluster_node_at(struct cluster *c, int place, struct cluster_node *out)
{
    bool ok;
    pthread_mutex_lock(&c->lock);
    ok = place >= 0 && place < c->node_count && c->nodes[place].known;
    if (ok)
        *out = c->nodes[place];
    pthread_mutex_unlock(&c->lock);
    return ok;
}

int cluster_places(struct cluster *c)
{
    int n;
    pthread_mutex_lock(&c->lock);
    n = c->node_count;
    pthread_mutex_unlock(&c->lock);
    return n;
}

void cluster_set_features(struct cluster *c, const struct feature_set *s)
{
    pthread_mutex_lock(&c->lock);
    c->features = *s;
    pthread_mutex_unlock(&c->lock);
}

void cluster_features(struct cluster *c, struct feature_set *out)
{
    pthread_mutex_lock(&c->lock);
    *out = c->features;
    pthread_mutex_unlock(&c->lock);
}
