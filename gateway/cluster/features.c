/* SPDX-License-Identifier: Apache-2.0
 * A feature is supported where the nodes' ranges overlap. It is settled where every node says so, at the lowest of
 * their levels: nodes that have not yet read the newest decision of the cluster hold the others back for that long, so
 * that no client begins what some node does not do yet. The epoch is the oldest of theirs for the same reason. */
#include "gateway/cluster/features.h"
#include "wire/api_versions.h"

#include <string.h>

enum { MIN_ZERO_SINCE = 4 /* version of ApiVersions that may tell a minimum of 0 (KAFKA-17011) */ };

void feature_set_clear(struct feature_set *s)
{
    memset(s, 0, sizeof *s); /* so that two sets with the same content are the same bytes */
    s->epoch = -1;
}

static void add(struct feature *v, int *n, struct slice name, int16_t min, int16_t max)
{
    if (*n == FEATURES_MAX || name.n == 0 || name.n >= FEATURE_NAME_MAX)
        return;
    memcpy(v[*n].name, name.p, name.n);
    v[*n].name[name.n] = 0;
    v[*n].min = min;
    v[(*n)++].max = max;
}

void feature_set_read(struct feature_set *out, const struct api_versions_response *answer)
{
    feature_set_clear(out);
    out->epoch = answer->finalized_features_epoch;
    out->migration_ready = answer->zk_migration_ready;
    for (int32_t i = 0; i < answer->supported_features.n; i++)
        add(out->supported, &out->supported_n, answer->supported_features.v[i].name,
            answer->supported_features.v[i].min_version, answer->supported_features.v[i].max_version);
    for (int32_t i = 0; out->epoch >= 0 && i < answer->finalized_features.n; i++)
        add(out->settled, &out->settled_n, answer->finalized_features.v[i].name,
            answer->finalized_features.v[i].min_version_level, answer->finalized_features.v[i].max_version_level);
}

static const struct feature *find(const struct feature *v, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (strcmp(v[i].name, name) == 0)
            return &v[i];
    return NULL;
}

/* Keeps of v what w has too, with what both allow. */
static void narrow(struct feature *v, int *n, const struct feature *w, int w_n)
{
    int kept = 0;

    for (int i = 0; i < *n; i++) {
        const struct feature *other = find(w, w_n, v[i].name);
        struct feature f = v[i];

        if (!other)
            continue;
        f.min = other->min > f.min ? other->min : f.min;
        f.max = other->max < f.max ? other->max : f.max;
        if (f.min <= f.max)
            v[kept++] = f;
    }
    memset(v + kept, 0, (size_t)(*n - kept) * sizeof *v);
    *n = kept;
}

void feature_set_intersect(struct feature_set *out, const struct feature_set *const *nodes, size_t n)
{
    feature_set_clear(out);
    for (size_t i = 0; i < n; i++)
        if (!nodes[i])
            return;
    if (n == 0)
        return;
    *out = *nodes[0];
    for (size_t i = 1; i < n; i++) {
        narrow(out->supported, &out->supported_n, nodes[i]->supported, nodes[i]->supported_n);
        narrow(out->settled, &out->settled_n, nodes[i]->settled, nodes[i]->settled_n);
        out->epoch = nodes[i]->epoch < out->epoch ? nodes[i]->epoch : out->epoch;
        out->migration_ready = out->migration_ready && nodes[i]->migration_ready;
    }
}

bool feature_set_equal(const struct feature_set *a, const struct feature_set *b)
{
    return a->epoch == b->epoch && a->migration_ready == b->migration_ready && a->supported_n == b->supported_n &&
           a->settled_n == b->settled_n && memcmp(a->supported, b->supported, sizeof a->supported) == 0 &&
           memcmp(a->settled, b->settled, sizeof a->settled) == 0;
}

static enum err write_supported(const struct feature_set *s, struct api_versions_response *answer, int16_t version,
                                struct arena *a)
{
    int32_t n = 0;

    if (!api_versions_response_supported_feature_key_array_alloc(&answer->supported_features, s->supported_n, a))
        return ERR_NO_MEMORY;
    for (int i = 0; i < s->supported_n; i++) {
        struct api_versions_response_supported_feature_key *k = &answer->supported_features.v[n];

        if (s->supported[i].min == 0 && version < MIN_ZERO_SINCE)
            continue;
        k->name = arena_copy(a, slice_str(s->supported[i].name));
        if (slice_is_null(k->name))
            return ERR_NO_MEMORY;
        k->min_version = s->supported[i].min;
        k->max_version = s->supported[i].max;
        n++;
    }
    answer->supported_features.n = n;
    return ERR_OK;
}

enum err feature_set_write(const struct feature_set *s, struct api_versions_response *answer, int16_t version,
                           struct arena *a)
{
    enum err err = write_supported(s, answer, version, a);

    if (err)
        return err;
    answer->finalized_features_epoch = s->epoch;
    answer->zk_migration_ready = s->migration_ready;
    if (s->epoch < 0)
        return ERR_OK;
    if (!api_versions_response_finalized_feature_key_array_alloc(&answer->finalized_features, s->settled_n, a))
        return ERR_NO_MEMORY;
    for (int i = 0; i < s->settled_n; i++) {
        struct api_versions_response_finalized_feature_key *k = &answer->finalized_features.v[i];

        k->name = arena_copy(a, slice_str(s->settled[i].name));
        if (slice_is_null(k->name))
            return ERR_NO_MEMORY;
        k->min_version_level = s->settled[i].min;
        k->max_version_level = s->settled[i].max;
    }
    return ERR_OK;
}
