/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_SCHEMA_FILTER_H
#define CASTELLAN_GATEWAY_SCHEMA_FILTER_H

#include "gateway/schema_check.h"
#include "gateway/session.h"

/* Schema validation of one Produce. A run is the record set of one partition; where records went to the dead-letter
 * topic, `records` is replaced by a batch without them, in the job's own memory. */
struct schema_run {
    struct slice topic;
    struct slice *records;            /* the field to judge, and maybe to replace */
    int32_t tag_topic, tag_partition; /* the caller's own */
    /* how it went */
    enum err err; /* ERR_INVALID_RECORD: `bad` lists the records, which may be none */
    struct reason why;
    const struct schema_violation *bad; /* in the request's arena */
    size_t bad_n;
    bool emptied; /* every record went to the dead-letter topic: nothing to forward, and no error */
    /* the filter's own */
    bool asked, stale;
    struct schema_settings settings;
    struct schema_findings findings;
    size_t out;
};

struct schema_job;

/* False: the topic is known to ask nothing of its data. */
bool schema_filter_wants(struct worker *w, struct slice topic);
struct schema_job *schema_job_new(struct pending *p, size_t runs_max); /* NULL: no memory */
void schema_job_free(struct schema_job *j);                            /* NULL is fine */
struct schema_run *schema_job_add(struct schema_job *j);               /* the caller fills topic, records and tags */
size_t schema_job_count(const struct schema_job *j);
const struct schema_run *schema_job_run(const struct schema_job *j, size_t i);
/* Calls done(p) exactly once, maybe before this returns. */
void schema_job_start(struct schema_job *j, void (*done)(struct pending *p));

#endif
