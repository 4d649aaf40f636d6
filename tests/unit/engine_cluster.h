/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_TESTS_ENGINE_CLUSTER_H
#define CASTELLAN_TESTS_ENGINE_CLUSTER_H

#include "core/wire/header.h"

/* A cluster for tests of the request engine: it answers every request of every API from the tables of the messages
 * alone. Lists of what was named are answered one for one; where a request asks for all there is, the answer tells
 * every name this cluster has. It refuses nothing: rights are the gateway's. */
enum { FAKE_NAMES_MAX = 4096 };

struct fake_names {
    const char *const *v;
    int n;
};

struct fake_cluster {
    struct fake_names topics, groups, txns; /* all there are */
    bool shuffled;                          /* lists are answered in another order than asked */
    bool once;                              /* what is named twice is answered once */
    bool with_next;                         /* a page is never the last: its cursor names the cluster's last topic */
    int16_t error;                          /* instead of 0, in every answer */
};

#define FAKE_HOST "node-1.behind.example" /* of its one node: no client may ever see this */
enum { FAKE_NODE = 1, FAKE_PORT = 19092 };

void fake_cluster_init(struct fake_cluster *c);
/* The id of a topic, made from its name. */
struct wire_uuid fake_topic_id(const char *topic);
/* The body of the answer to a request's body, appended. */
void fake_cluster_answer(const struct fake_cluster *c, int16_t key, int16_t version, struct slice request,
                         struct buf *out);

/* What a request shall name. Each list it has names all of one kind; a single name is the first. */
struct fake_asked {
    struct fake_names topics, groups, txns;
    bool by_id; /* topics are named by id, where both ways are there */
    int partitions;
};
/* A request of this API and version that names these, with sensible values in its other fields. */
void *fake_request(int16_t key, int16_t version, const struct fake_asked *asked, struct arena *a);
/* One batch of two plain records. */
struct slice fake_records(struct arena *a);

/* For looking at messages: what kind of thing an array's elements are about. */
enum wire_entity fake_entity_of(const struct wire_field *array, int16_t version);

#endif
