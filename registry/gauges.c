/* SPDX-License-Identifier: Apache-2.0
 * The state in numbers. One pass over the subjects: some milliseconds for 100,000, so nothing is kept up to date in
 * between. */
#include "registry/gauges.h"

#include "core/base/metrics.h"

#include <stdio.h>

struct counts {
    int64_t subjects, contexts, versions[SCHEMA_TYPES][2]; /* [type][softly deleted] */
};

static bool count_subject(void *ctx, const struct subject *u)
{
    struct counts *c = ctx;
    c->subjects += subject_has(u, false);
    for (size_t i = 0; i < u->n; i++)
        c->versions[u->versions[i].content->type][u->versions[i].deleted]++;
    return true;
}

static bool count_context(void *ctx, struct slice context, bool declared)
{
    struct counts *c = ctx;
    c->contexts += declared || subject_is_default_context(context);
    return true;
}

void gauges_update(const struct store *s)
{
    struct counts c = {0};
    store_each_subject(s, count_subject, &c);
    store_each_context(s, count_context, &c);
    metric_set(metrics_gauge("castellan_registry_subjects", NULL, "Subjects with a live version"), c.subjects);
    metric_set(metrics_gauge("castellan_registry_contexts", NULL, "Contexts"), c.contexts);
    metric_set(metrics_gauge("castellan_registry_schemas", NULL, "Distinct schemas"), (int64_t)map_count(&s->contents));
    for (int t = 0; t < SCHEMA_TYPES; t++)
        for (int deleted = 0; deleted < 2; deleted++) {
            char labels[64];
            snprintf(labels, sizeof labels, "type=\"%s\",deleted=\"%s\"", schema_type_name((enum schema_type)t),
                     deleted ? "true" : "false");
            metric_set(metrics_gauge("castellan_registry_versions", labels, "Versions of subjects"),
                       c.versions[t][deleted]);
        }
}
