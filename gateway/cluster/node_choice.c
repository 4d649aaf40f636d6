/* SPDX-License-Identifier: Apache-2.0
 * The health of the nodes behind, and the choice among them. */
#include "gateway/cluster/node_choice.h"
#include "core/wire/header.h"

#include <assert.h>

static bool move(struct node_health *h, enum node_state to, int64_t now_ms)
{
    if (h->state == to)
        return false;
    h->state = to;
    h->since_ms = now_ms;
    return true;
}

bool node_health_asked(struct node_health *h, int64_t now_ms)
{
    if (!h->waiting)
        h->asked_ms = now_ms;
    h->waiting = true;
    return node_health_look(h, now_ms);
}

bool node_health_answered(struct node_health *h, int64_t now_ms)
{
    h->waiting = false;
    return move(h, NODE_ANSWERS, now_ms);
}

bool node_health_lost(struct node_health *h, int64_t now_ms)
{
    h->waiting = false;
    return move(h, NODE_SILENT, now_ms);
}

bool node_health_look(struct node_health *h, int64_t now_ms)
{
    return h->waiting && now_ms - h->asked_ms >= NODE_SILENT_MS && move(h, NODE_SILENT, now_ms);
}

enum request_class node_choice_class(int16_t api_key)
{
    switch (api_key) {
    case WIRE_API_VERSIONS:
    case WIRE_METADATA:
    case WIRE_FIND_COORDINATOR:
    case WIRE_DESCRIBE_CLUSTER:
    case WIRE_DESCRIBE_TOPIC_PARTITIONS:
    case WIRE_DESCRIBE_QUORUM:
    case WIRE_LIST_PARTITION_REASSIGNMENTS:
    case WIRE_LIST_CONFIG_RESOURCES:
        return REQUEST_ANY_NODE;
    case WIRE_CREATE_TOPICS:
    case WIRE_DELETE_TOPICS:
    case WIRE_CREATE_PARTITIONS:
    case WIRE_ALTER_PARTITION_REASSIGNMENTS:
    case WIRE_ELECT_LEADERS:
        return REQUEST_ANY_ONCE;
    default: /* of an API that is added nothing is assumed */
        return REQUEST_THIS_NODE;
    }
}

/* The first place from `start` on, around, that has its bit. */
static int first_of(uint64_t places, int start)
{
    for (int i = 0; i < NODE_PLACES_MAX; i++) {
        int place = (start + i) % NODE_PLACES_MAX;
        if (places >> place & 1)
            return place;
    }
    return -1;
}

/* The n-th place of those that have one, n going around. */
static int spread(uint64_t places, int n)
{
    int count = 0, place = -1;

    for (int i = 0; i < NODE_PLACES_MAX; i++)
        count += places >> i & 1;
    if (count == 0)
        return -1;
    for (n %= count; n >= 0; n--)
        place = first_of(places, place + 1);
    return place;
}

int node_choice(const struct node_wish *w, uint64_t known, uint64_t silent)
{
    uint64_t left = known & ~w->tried, own = w->own >= 0 ? (uint64_t)1 << w->own : 0;
    int place;

    assert(w->own < NODE_PLACES_MAX && w->start >= 0);
    if (own && w->class == REQUEST_THIS_NODE)
        return left & own ? w->own : -1;
    if (left & own & ~silent)
        return w->own;
    place = spread(left & ~silent, w->start);
    if (place >= 0)
        return place;
    return left & own ? w->own : spread(left, w->start);
}
