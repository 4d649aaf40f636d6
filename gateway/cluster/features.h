/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_CLUSTER_FEATURES_H
#define CASTELLAN_GATEWAY_CLUSTER_FEATURES_H

#include "core/base/arena.h"
#include "core/base/err.h"
#include "gateway/cluster/node_choice.h"

#include <stddef.h>

/* The features of the cluster behind (KIP-584), as ApiVersions tells them: what a node supports, and what level of each
 * the cluster has settled on. A client of the gateway is told what holds for every node that answers, since the gateway
 * may take it to any. Pure. */
enum {
    FEATURES_MAX = 64,      /* of one node; Kafka 4.3 has 9 */
    FEATURE_NAME_MAX = 128, /* bytes, with the 0 */
};

struct feature {
    char name[FEATURE_NAME_MAX];
    int16_t min, max;
};

struct feature_set {
    int64_t epoch; /* -1: not known; the settled ones mean nothing then */
    bool migration_ready;
    int supported_n, settled_n;
    struct feature supported[FEATURES_MAX], settled[FEATURES_MAX]; /* settled: "finalized" in Kafka's messages */
};

struct api_versions_response;

/* What one node says. Names that are too long, and features past FEATURES_MAX, are left out: nobody can be told of a
 * feature that is not understood here. */
void feature_set_read(struct feature_set *out, const struct api_versions_response *answer);
void feature_set_clear(struct feature_set *s); /* nothing is known */
/* What holds for all of them; NULL for a node that was not heard yet: then nothing is told. n 0: nothing. */
void feature_set_intersect(struct feature_set *out, const struct feature_set *const *nodes, size_t n);
bool feature_set_equal(const struct feature_set *a, const struct feature_set *b);
/* Into an answer of this version; names are copied into the arena. */
enum err feature_set_write(const struct feature_set *s, struct api_versions_response *answer, int16_t version,
                           struct arena *a) MUST_CHECK;

#endif
