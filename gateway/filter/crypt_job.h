/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_CRYPT_JOB_H
#define CASTELLAN_GATEWAY_CRYPT_JOB_H

#include "crypto/policy.h"
#include "gateway/filter/heavy.h"
#include "gateway/request/request.h"

/* Sealing and opening record values on their way (crypto/record_crypt.h), for one request. A run is the record set of
 * one partition; it is changed in place: `records` then points into the job's own memory, which lives as long as the
 * request. Keys are fetched for all runs of a policy at once, without blocking the loop. */
struct key_client;
struct gateway_counters;

enum crypt_run_state { CRYPT_RUN_NEW, CRYPT_RUN_IN_GROUP, CRYPT_RUN_DONE };

struct crypt_run {
    enum crypt_run_state state;
    struct slice topic;               /* lives as long as the request */
    const struct policy *policy;      /* never NULL unless err is set */
    struct slice *records;            /* the field to replace */
    int32_t tag_topic, tag_partition; /* the caller's own */
    enum err err;                     /* why this run could not be sealed or opened */
    const char *text;                 /* why, in words; NULL: the error says it */
    /* the job's own */
    struct slice input;              /* the records without compression */
    struct heavy_unpack_run *packed; /* NULL: they had none */
};

struct crypt_job;
/* Owned by the request. NULL: no memory. At most `runs_max` runs. Make it in the same event in which its policies are
 * found: it keeps them from then on, whatever the rules become. `keys` NULL: there is no key process, nothing passes.
 */
struct crypt_job *crypt_job_new(struct request *r, size_t runs_max, bool sealing, struct key_client *keys,
                                struct gateway_counters *counters, const struct heavy *heavy);
/* A new run; the caller fills topic, policy, records and tags. */
struct crypt_run *crypt_job_add(struct crypt_job *j);
size_t crypt_job_count(const struct crypt_job *j);
const struct crypt_run *crypt_job_run(const struct crypt_job *j, size_t i);
/* Seal or open the runs. NEXT when all are through: each run's err says how it went. Also AGAIN and WAIT. */
enum step crypt_job_step(struct crypt_job *j);

#endif
