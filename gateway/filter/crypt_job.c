/* SPDX-License-Identifier: Apache-2.0
 * Two phases around the key process: collect what the runs of one policy need, resolve it (cached keys cost no wait),
 * then seal or open each run. Before both, what is compressed is decompressed on the pool's threads (heavy.h): what a
 * batch may decompress to is bounded, and a Fetch whose batches would grow too large is cut, so that the consumer gets
 * the rest next time. All else is done here in slices (crypto/record_crypt_run.c says why). Runs under one policy go
 * together, because the policy says whose keys a subject's are. Without a key process, or without its lease, protected
 * data neither goes in nor comes out: fail closed. Output buffers belong to the job, the job to its request. */
#include "gateway/filter/crypt_job.h"
#include "core/base/env.h"
#include "crypto/key_client.h"
#include "crypto/record_crypt.h"
#include "gateway/counters.h"
#include "gateway/knowledge.h"
#include "gateway/request/engine.h"

#include <assert.h>
#include <stdlib.h>

enum { CRYPT_JOB_MAGIC = 0x43724a62 };

enum state {
    GROUPING,   /* looking for the next runs that share a policy */
    UNPACKING,  /* they are being decompressed */
    COLLECTING, /* what they need */
    RESOLVING,  /* their keys are on the way */
    WORKING,    /* on the group's runs */
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
    struct heavy heavy;
    struct heavy_unpack *unpack;   /* the group's runs that were compressed */
    size_t packed;                 /* how many they are */
    struct record_crypt_run *work; /* on the run at `at` */
    size_t sealed_bytes;
    const struct policy *group;
    enum err err; /* of resolving */
    const char *text;
};

static void job_free(void *p)
{
    struct crypt_job *j = p;

    assert(j->magic == CRYPT_JOB_MAGIC);
    record_crypt_run_abandon(j->work);
    heavy_unpack_free(j->unpack);
    for (size_t i = 0; i < j->count; i++)
        work_pool_discard(j->heavy.pool, &j->outs[i]);
    record_crypt_needs_free(&j->needs);
    key_set_free(j->keys);
    policy_set_unref(j->policies);
    j->magic = 0;
    free(j);
}

struct crypt_job *crypt_job_new(struct request *r, size_t runs_max, bool sealing, struct key_client *keys,
                                struct gateway_counters *counters, const struct heavy *heavy)
{
    struct crypt_job *j = calloc(1, sizeof *j);

    if (!j)
        return NULL;
    *j = (struct crypt_job){.magic = CRYPT_JOB_MAGIC,
                            .request = r,
                            .client = keys,
                            .counters = counters,
                            .heavy = *heavy,
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
    run->text = why && why->code ? arena_printf(&j->request->arena, "%s", why->text) : NULL;
}

/* ---- Grouping ---- */

/* The next runs that share a policy. NEXT: there are none left. */
static enum step gather(struct crypt_job *j)
{
    while (j->at < j->count) {
        struct crypt_run *run = &j->runs[j->at++];
        if (run->state == CRYPT_RUN_NEW && !run->err && (!j->group || run->policy == j->group)) {
            j->group = run->policy;
            run->state = CRYPT_RUN_IN_GROUP;
            run->input = *run->records;
            j->packed += record_unpack_needed(*run->records);
        }
        if (request_spent(j->request, 1))
            return STEP_AGAIN;
    }
    j->at = 0;
    return STEP_NEXT;
}

static bool in_group(const struct crypt_run *run)
{
    return run->state == CRYPT_RUN_IN_GROUP && !run->err;
}

/* ---- Decompression ---- */

static void on_left(void *arg)
{
    struct crypt_job *j = arg;

    assert(j->magic == CRYPT_JOB_MAGIC && j->state == UNPACKING);
    heavy_unpack_cancel(j->unpack);
}

static void on_unpacked(void *arg)
{
    struct crypt_job *j = arg;

    assert(j->magic == CRYPT_JOB_MAGIC && j->state == UNPACKING && !j->came);
    j->came = true;
    j->request->abandoned = NULL;
    request_wake(j->request);
}

static void fail_packed(struct crypt_job *j, enum err err, const char *text)
{
    for (size_t i = 0; i < j->count; i++)
        if (in_group(&j->runs[i]) && record_unpack_needed(*j->runs[i].records)) {
            j->runs[i].err = err;
            j->runs[i].text = text;
        }
}

static void unpack(struct crypt_job *j)
{
    enum err err = ERR_NO_MEMORY;

    j->state = UNPACKING;
    j->came = j->packed == 0;
    if (j->came)
        return;
    j->unpack = heavy_unpack_new(&j->heavy, j->packed, !j->sealing);
    for (size_t i = 0; j->unpack && i < j->count; i++)
        if (in_group(&j->runs[i]) && record_unpack_needed(*j->runs[i].records))
            j->runs[i].packed = heavy_unpack_add(j->unpack, *j->runs[i].records);
    request_wait(j->request);
    if (j->unpack)
        err = heavy_unpack_start(j->unpack, on_unpacked, j);
    if (!err) {
        j->request->abandoned = on_left;
        j->request->abandoned_arg = j;
        return;
    }
    j->request->waits--;
    j->came = true;
    heavy_unpack_free(j->unpack);
    j->unpack = NULL;
    fail_packed(j, ERR_KAFKA_STORAGE_ERROR, "too much waits to be decompressed; try again");
}

static void take_unpacked(struct crypt_job *j)
{
    for (size_t i = 0; j->unpack && i < j->count; i++) {
        struct crypt_run *run = &j->runs[i];
        if (!in_group(run) || !run->packed)
            continue;
        if (run->packed->err) {
            run->err = run->packed->err == ERR_CANCELLED ? ERR_KAFKA_STORAGE_ERROR : run->packed->err;
            run->text = arena_printf(&j->request->arena, "%s", run->packed->text);
            continue;
        }
        run->input = run->packed->plain;
        if (!j->sealing)
            *run->records = slice_of(run->records->p, run->packed->used);
    }
}

/* ---- In slices ---- */

/* Work on the run at hand. NEXT: it is through. */
static enum step some_work(struct crypt_job *j)
{
    struct request *r = j->request;
    size_t all = (size_t)(r->left > 0 ? r->left : 1) * RECORD_CRYPT_RECORD_COST, left = all;
    bool through = record_crypt_run_step(j->work, &left);

    request_spent(r, (int32_t)((all - left) / RECORD_CRYPT_RECORD_COST));
    return through ? STEP_NEXT : STEP_AGAIN;
}

static enum step collect(struct crypt_job *j)
{
    for (; j->at < j->count; j->at++) {
        struct crypt_run *run = &j->runs[j->at];
        const struct record_crypt_args args = {.kind = j->sealing ? RECORD_CRYPT_SUBJECTS : RECORD_CRYPT_KEYS,
                                               .batches = run->input,
                                               .policy = run->policy,
                                               .needs = &j->needs};
        struct reason why = {0};
        if (!j->work && in_group(run) && !(j->work = record_crypt_run_new(&args)))
            run->err = ERR_NO_MEMORY;
        if (j->work) {
            enum err err;
            if (some_work(j) != STEP_NEXT)
                return STEP_AGAIN;
            err = record_crypt_run_end(j->work, NULL, NULL, &why);
            j->work = NULL;
            if (err)
                fail(j, run, err, &why);
        }
        if (request_spent(j->request, 1)) {
            j->at++;
            return STEP_AGAIN;
        }
    }
    return STEP_NEXT;
}

/* ---- Keys ---- */

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

/* What is sealed may not grow beyond what may be decompressed. */
static size_t sealed_max(const struct crypt_job *j)
{
    size_t max = j->heavy.limits.request_max, left = max > j->sealed_bytes ? max - j->sealed_bytes : 1;

    return left < j->heavy.limits.batch_max ? left : j->heavy.limits.batch_max;
}

static void begin_work(struct crypt_job *j, struct crypt_run *run)
{
    const struct record_crypt_args args = {.kind = j->sealing ? RECORD_CRYPT_SEAL : RECORD_CRYPT_OPEN,
                                           .batches = run->input,
                                           .policy = run->policy,
                                           .topic = run->topic,
                                           .keys = key_set_lookup(j->keys),
                                           .env = j->sealing ? env_system() : NULL,
                                           .max = j->sealing ? sealed_max(j) : 0,
                                           .out = &j->outs[j->at]};

    j->work = record_crypt_run_new(&args);
    if (!j->work)
        run->err = ERR_NO_MEMORY;
}

static void end_work(struct crypt_job *j, struct crypt_run *run)
{
    struct record_crypt_counts counts = {0};
    struct reason why = {0};
    bool changed = false;
    enum err err = record_crypt_run_end(j->work, &changed, &counts, &why);

    j->work = NULL;
    if (err)
        fail(j, run, err, &why);
    else if (changed)
        *run->records = buf_slice(&j->outs[j->at]);
    j->sealed_bytes += j->outs[j->at].n;
    count_records(j->counters, &counts);
}

static enum step work(struct crypt_job *j)
{
    for (; j->at < j->count; j->at++) {
        struct crypt_run *run = &j->runs[j->at];
        if (!j->work && in_group(run) && j->err) {
            run->err = ERR_KAFKA_STORAGE_ERROR;
            run->text = j->text;
        }
        if (!j->work && in_group(run) && j->keys)
            begin_work(j, run);
        if (j->work) {
            if (some_work(j) != STEP_NEXT)
                return STEP_AGAIN;
            end_work(j, run);
        }
        if (run->state == CRYPT_RUN_IN_GROUP)
            run->state = CRYPT_RUN_DONE;
        if (request_spent(j->request, 1)) {
            j->at++;
            return STEP_AGAIN;
        }
    }
    key_set_free(j->keys);
    j->keys = NULL;
    heavy_unpack_free(j->unpack);
    j->unpack = NULL;
    return STEP_NEXT;
}

static void next_group(struct crypt_job *j)
{
    record_crypt_needs_free(&j->needs);
    record_crypt_needs_init(&j->needs);
    j->group = NULL;
    j->packed = 0;
    j->at = 0;
    j->state = GROUPING;
}

/* What comes after the state that is through. */
static void go_on(struct crypt_job *j)
{
    j->at = 0;
    switch (j->state) {
    case GROUPING:
        unpack(j);
        break;
    case UNPACKING:
        take_unpacked(j);
        j->state = COLLECTING;
        break;
    case COLLECTING:
        resolve(j);
        break;
    case RESOLVING:
        j->state = WORKING;
        break;
    case WORKING:
        next_group(j);
        break;
    }
}

static enum step step_of(struct crypt_job *j)
{
    switch (j->state) {
    case GROUPING:
        return gather(j);
    case UNPACKING:
    case RESOLVING:
        return j->came ? STEP_NEXT : STEP_WAIT;
    case COLLECTING:
        return collect(j);
    case WORKING:
        return work(j);
    }
    return STEP_NEXT;
}

enum step crypt_job_step(struct crypt_job *j)
{
    assert(j->magic == CRYPT_JOB_MAGIC);
    for (;;) {
        enum step step = step_of(j);
        if (step != STEP_NEXT || (j->state == GROUPING && !j->group))
            return step;
        go_on(j);
    }
}
