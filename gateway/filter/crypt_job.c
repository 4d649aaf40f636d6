/* SPDX-License-Identifier: Apache-2.0
 * Two phases around the key process: collect what the runs of one policy need, resolve it (cached keys cost no wait),
 * then seal or open each run. Runs under one policy go together, because the policy says whose keys a subject's are.
 * Without a key process, or without its lease, protected data neither goes in nor comes out: fail closed. Output
 * buffers belong to the job, the job to its request. */
#include "gateway/filter/crypt_job.h"
#include "core/base/env.h"
#include "crypto/key_client.h"
#include "crypto/record_crypt.h"
#include "gateway/counters.h"
#include "gateway/knowledge.h"
#include "gateway/request/engine.h"

#include <assert.h>
#include <stdlib.h>

enum { CRYPT_JOB_MAGIC = 0x43724a62, CRYPT_BYTES_PER_UNIT = 64 };

enum state {
    GROUPING,  /* looking for the next runs that share a policy, and what they need */
    RESOLVING, /* their keys are on the way */
    WORKING,   /* on the group's runs */
};

struct crypt_job {
    uint32_t magic;
    struct request *request;
    struct key_client *client;
    struct gateway_counters *counters;
    struct crypt_run *runs;
    struct buf *outs;
    size_t count, max;
    struct record_crypt_needs needs;
    struct key_set *keys;
    struct policy_set *policies; /* held: the rules may change while keys are fetched, and runs point into them */
    bool sealing, came;
    enum state state;
    size_t at; /* in runs */
    const struct policy *group;
    enum err err; /* of resolving */
    const char *text;
};

static void job_free(void *p)
{
    struct crypt_job *j = p;

    assert(j->magic == CRYPT_JOB_MAGIC);
    for (size_t i = 0; i < j->count; i++)
        buf_free(&j->outs[i]);
    record_crypt_needs_free(&j->needs);
    key_set_free(j->keys);
    policy_set_unref(j->policies);
    j->magic = 0;
    free(j);
}

struct crypt_job *crypt_job_new(struct request *r, size_t runs_max, bool sealing, struct key_client *keys,
                                struct gateway_counters *counters)
{
    struct crypt_job *j = calloc(1, sizeof *j);

    if (!j)
        return NULL;
    *j = (struct crypt_job){.magic = CRYPT_JOB_MAGIC,
                            .request = r,
                            .client = keys,
                            .counters = counters,
                            .max = runs_max,
                            .sealing = sealing,
                            .runs = arena_array(&r->arena, runs_max, sizeof *j->runs),
                            .outs = arena_array(&r->arena, runs_max, sizeof *j->outs)};
    record_crypt_needs_init(&j->needs);
    j->policies = policy_set_ref(r->engine->view->policies);
    if (!request_own(r, j, job_free))
        return NULL;
    return j->runs && j->outs ? j : NULL;
}

struct crypt_run *crypt_job_add(struct crypt_job *j)
{
    assert(j->count < j->max);
    buf_init(&j->outs[j->count], 0);
    return &j->runs[j->count++];
}

size_t crypt_job_count(const struct crypt_job *j)
{
    return j->count;
}

const struct crypt_run *crypt_job_run(const struct crypt_job *j, size_t i)
{
    assert(i < j->count);
    return &j->runs[i];
}

/* The words of a failure, as long as the request lives. */
static void fail(struct crypt_job *j, struct crypt_run *run, enum err err, const struct reason *why)
{
    run->err = err;
    run->text = why->code ? arena_printf(&j->request->arena, "%s", why->text) : NULL;
}

/* ---- Grouping ---- */

static void collect(struct crypt_job *j, struct crypt_run *run)
{
    struct reason why = {0};
    enum err err = j->sealing ? record_crypt_collect_subjects(*run->records, run->policy, &j->needs, &why)
                              : record_crypt_collect_keys(*run->records, &j->needs, &why);

    run->state = CRYPT_RUN_IN_GROUP;
    if (err)
        fail(j, run, err, &why);
    request_spent(j->request, (int32_t)(run->records->n / CRYPT_BYTES_PER_UNIT));
}

/* The next runs that share a policy. NEXT: there are none left. */
static enum step gather(struct crypt_job *j)
{
    while (j->at < j->count) {
        struct crypt_run *run = &j->runs[j->at++];
        if (run->state == CRYPT_RUN_NEW && !run->err && (!j->group || run->policy == j->group)) {
            j->group = run->policy;
            collect(j, run);
        }
        if (request_spent(j->request, 1))
            return STEP_AGAIN;
    }
    return STEP_NEXT;
}

static void on_keys(void *arg, enum err err, struct key_set *set, const struct reason *why)
{
    struct crypt_job *j = arg;

    assert(j->magic == CRYPT_JOB_MAGIC && j->state == RESOLVING && !j->came);
    j->came = true;
    j->keys = set;
    j->err = err;
    if (err)
        j->text = arena_printf(&j->request->arena, "%s", why && why->code ? why->text : "the keys are not available");
    request_wake(j->request);
}

static void resolve(struct crypt_job *j)
{
    struct reason why = {0};
    enum err err = ERR_UNAVAILABLE;

    j->state = RESOLVING;
    j->came = false;
    j->err = ERR_OK;
    if (record_crypt_needs_nothing(&j->needs)) {
        j->came = true;
        return;
    }
    request_wait(j->request);
    if (j->client)
        err = key_client_resolve(j->client, j->group, &j->needs, on_keys, j, &why);
    if (!err)
        return;
    j->request->waits--;
    j->came = true;
    j->err = err;
    j->text = arena_printf(&j->request->arena, "%s",
                           why.code ? why.text : "the key process is not configured or not reachable");
}

/* ---- Working ---- */

static void count_records(struct gateway_counters *to, const struct record_crypt_counts *c)
{
    metric_add(to->sealed, c->sealed);
    metric_add(to->opened, c->opened);
    metric_add(to->erased, c->erased);
}

static void work_on(struct crypt_job *j, size_t i)
{
    struct crypt_run *run = &j->runs[i];
    struct record_crypt_counts counts = {0};
    struct reason why = {0};
    bool changed = false;
    enum err err = ERR_OK;

    run->state = CRYPT_RUN_DONE;
    if (run->err)
        return;
    if (j->err) {
        run->err = ERR_KAFKA_STORAGE_ERROR;
        run->text = j->text;
        return;
    }
    if (j->keys) {
        struct key_lookup lookup = key_set_lookup(j->keys);
        err = j->sealing ? record_crypt_seal(*run->records, run->policy, run->topic, &lookup, env_system(), 0,
                                             &j->outs[i], &changed, &counts, &why)
                         : record_crypt_open(*run->records, run->policy, run->topic, &lookup, true, &j->outs[i],
                                             &changed, &counts, &why);
    }
    if (err)
        fail(j, run, err, &why);
    else if (changed)
        *run->records = buf_slice(&j->outs[i]);
    count_records(j->counters, &counts);
    request_spent(j->request, (int32_t)(run->records->n / CRYPT_BYTES_PER_UNIT));
}

static enum step work(struct crypt_job *j)
{
    while (j->at < j->count) {
        size_t i = j->at++;
        if (j->runs[i].state == CRYPT_RUN_IN_GROUP)
            work_on(j, i);
        if (request_spent(j->request, 1))
            return STEP_AGAIN;
    }
    key_set_free(j->keys);
    j->keys = NULL;
    return STEP_NEXT;
}

enum step crypt_job_step(struct crypt_job *j)
{
    enum step step;

    assert(j->magic == CRYPT_JOB_MAGIC);
    for (;;) {
        switch (j->state) {
        case GROUPING:
            step = gather(j);
            if (step != STEP_NEXT || !j->group)
                return step;
            resolve(j);
            break;
        case RESOLVING:
            if (!j->came)
                return STEP_WAIT;
            j->state = WORKING;
            j->at = 0;
            break;
        case WORKING:
            step = work(j);
            if (step != STEP_NEXT)
                return step;
            record_crypt_needs_free(&j->needs);
            record_crypt_needs_init(&j->needs);
            j->group = NULL;
            j->at = 0;
            j->state = GROUPING;
            break;
        }
    }
}
