/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_CRYPT_H
#define CASTELLAN_GATEWAY_CRYPT_H

#include "gateway/session.h"

/* Sealing and opening record values on their way (crypto/record_crypt.h), for one request. A run is the record set of
 * one partition; it is changed in place: `records` then points into the job's own memory, which lives as long as the
 * request. Keys are fetched for all runs at once, without blocking the loop. */
enum crypt_run_state { CRYPT_RUN_NEW, CRYPT_RUN_IN_GROUP, CRYPT_RUN_DONE };

struct crypt_run {
    enum crypt_run_state state;
    struct slice topic;               /* lives as long as the request */
    const struct policy *policy;      /* set by crypt_policy(); NULL: none */
    struct slice *records;            /* the field to replace */
    int32_t tag_topic, tag_partition; /* the caller's own */
    enum err err;                     /* why this run could not be sealed or opened */
    struct reason why;
};

/* The policy for a topic. ERR_POLICY_VIOLATION: there is one, but it cannot be understood, so nothing may pass. */
enum err crypt_policy(const struct pending *p, struct slice topic, const struct policy **out) MUST_CHECK;

struct crypt_job;
/* NULL: no memory. At most `runs_max` runs. Freed by crypt_job_free(). Make it in the same event in which its policies
 * are found: it keeps them from then on, whatever the rules become. */
struct crypt_job *crypt_job_new(struct pending *p, size_t runs_max);
void crypt_job_free(struct crypt_job *j);
/* A new run; the caller fills topic, policy and records. */
struct crypt_run *crypt_job_add(struct crypt_job *j);
size_t crypt_job_count(const struct crypt_job *j);
const struct crypt_run *crypt_job_run(const struct crypt_job *j, size_t i);

/* Seal (produce) or open (fetch) every run, then call done(p) exactly once, maybe before this returns. Each run's err
 * says how it went. */
void crypt_seal(struct crypt_job *j, void (*done)(struct pending *p));
void crypt_open(struct crypt_job *j, void (*done)(struct pending *p));

#endif
