/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_SCHEMA_JOB_H
#define CASTELLAN_GATEWAY_SCHEMA_JOB_H

#include "gateway/request/request.h"
#include "gateway/filter/schema_check.h"

struct worker;

/* Schema validation of one Produce. A run is the record set of one partition; where records went to the dead-letter
 * topic, `records` is replaced by a batch without them, in the job's own memory. */
struct schema_run {
    struct slice topic;
    struct slice *records;            /* the field to judge, and maybe to replace */
    int32_t tag_topic, tag_partition; /* the caller's own */
    /* how it went */
    enum err err;                       /* ERR_INVALID_RECORD: `bad` lists the records, which may be none */
    const char *text;                   /* why, in words; NULL: the error says it */
    const struct schema_violation *bad; /* in the request's arena */
    size_t bad_n;
    bool emptied; /* every record went to the dead-letter topic: nothing to forward, and no error */
    /* the job's own */
    bool judged, stale;
    const struct schema_settings *settings; /* in the arena; the runs of one topic share them */
    struct schema_findings findings;
};

struct schema_job;

/* False: the topic is known to ask nothing of its data. */
bool schema_job_wants(struct worker *w, struct slice topic);
struct schema_job *schema_job_new(struct request *r, struct worker *w, size_t runs_max); /* the request's; or NULL */
struct schema_run *schema_job_add(struct schema_job *j); /* the caller fills topic, records and tags */
size_t schema_job_count(const struct schema_job *j);
const struct schema_run *schema_job_run(const struct schema_job *j, size_t i);
/* NEXT when all runs are through. Also AGAIN, WAIT and FAIL. */
enum step schema_job_step(struct schema_job *j);

#endif
