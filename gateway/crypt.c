/* SPDX-License-Identifier: Apache-2.0
 * Two phases around the key process: collect what the runs need, resolve it (cached keys cost no wait), then seal or
 * open each run. Runs under one policy go together, because the policy says whose keys a subject's are. Without a key
 * process, or without its lease, protected data neither goes in nor comes out: fail closed. Output buffers belong to
 * the job. */
#include "gateway/crypt.h"

#include <stdlib.h>

struct crypt_job {
    struct pending *pending;
    struct crypt_run *runs;
    struct buf *outs;
    size_t count, max;
    struct record_crypt_needs needs;
    struct key_set *keys;
    struct policy_set *policies; /* held: the rules may change while keys are fetched, and runs point into them */
    bool sealing;
    const struct gateway_counters *counters; /* NULL: the client left before the job was made */
    void (*done)(struct pending *p);
};

enum err crypt_policy(const struct pending *p, struct slice topic, const struct policy **out)
{
    bool broken = false;

    *out = NULL;
    if (!p->session || !p->session->worker->view)
        return ERR_OK;
    *out = policy_set_find(p->session->worker->view->policies, topic, &broken);
    return broken ? ERR_POLICY_VIOLATION : ERR_OK;
}

struct crypt_job *crypt_job_new(struct pending *p, size_t runs_max)
{
    struct crypt_job *j = calloc(1, sizeof *j);
    if (!j)
        return NULL;
    j->pending = p;
    j->max = runs_max;
    j->runs = calloc(runs_max + 1, sizeof *j->runs);
    j->outs = calloc(runs_max + 1, sizeof *j->outs);
    record_crypt_needs_init(&j->needs);
    j->counters = p->session ? &p->session->worker->gateway->counters : NULL;
    if (p->session && p->session->worker->view)
        j->policies = policy_set_ref(p->session->worker->view->policies);
    if (j->runs && j->outs)
        return j;
    crypt_job_free(j);
    return NULL;
}

void crypt_job_free(struct crypt_job *j)
{
    if (!j)
        return;
    for (size_t i = 0; i < j->count && j->outs; i++)
        buf_free(&j->outs[i]);
    record_crypt_needs_free(&j->needs);
    key_set_free(j->keys);
    policy_set_unref(j->policies);
    free(j->runs);
    free(j->outs);
    free(j);
}

struct crypt_run *crypt_job_add(struct crypt_job *j)
{
    if (j->count == j->max)
        return NULL;
    buf_init(&j->outs[j->count], 0);
    return &j->runs[j->count++];
}

size_t crypt_job_count(const struct crypt_job *j)
{
    return j->count;
}

const struct crypt_run *crypt_job_run(const struct crypt_job *j, size_t i)
{
    return &j->runs[i];
}

static void count_records(const struct gateway_counters *to, const struct record_crypt_counts *c)
{
    if (!to)
        return;
    metric_add(to->sealed, c->sealed);
    metric_add(to->opened, c->opened);
    metric_add(to->erased, c->erased);
}

static void next_group(struct crypt_job *j);

/* Seal or open the runs of the group at hand. */
static void work(struct crypt_job *j)
{
    struct key_lookup lookup = key_set_lookup(j->keys);
    struct record_crypt_counts counts = {0};

    for (size_t i = 0; i < j->count; i++) {
        struct crypt_run *r = &j->runs[i];
        bool changed = false;
        if (r->err || r->state != CRYPT_RUN_IN_GROUP)
            continue;
        if (j->sealing)
            r->err = record_crypt_seal(*r->records, r->policy, r->topic, &lookup, env_system(), 0, &j->outs[i],
                                       &changed, &counts, &r->why);
        else
            r->err = record_crypt_open(*r->records, r->policy, r->topic, &lookup, true, &j->outs[i], &changed, &counts,
                                       &r->why);
        if (!r->err && changed)
            *r->records = buf_slice(&j->outs[i]);
        r->state = CRYPT_RUN_DONE;
    }
    count_records(j->counters, &counts);
}

static void fail_group(struct crypt_job *j, enum err err, const char *text)
{
    for (size_t i = 0; i < j->count; i++) {
        struct crypt_run *r = &j->runs[i];
        if (!r->err && r->state == CRYPT_RUN_IN_GROUP)
            r->err = reason_set(&r->why, err, "%s", text);
        if (r->state == CRYPT_RUN_IN_GROUP)
            r->state = CRYPT_RUN_DONE;
    }
}

static void on_keys(void *arg, enum err err, struct key_set *set, const struct reason *why)
{
    struct crypt_job *j = arg;

    j->keys = set;
    if (err)
        fail_group(j, ERR_KAFKA_STORAGE_ERROR, why && why->code ? why->text : "the keys are not available");
    else
        work(j);
    key_set_free(j->keys);
    j->keys = NULL;
    next_group(j);
}

static enum err collect(struct crypt_job *j, struct crypt_run *r)
{
    return j->sealing ? record_crypt_collect_subjects(*r->records, r->policy, &j->needs, &r->why)
                      : record_crypt_collect_keys(*r->records, &j->needs, &r->why);
}

/* The next runs that share a policy; when there are none left the job is done. */
static void next_group(struct crypt_job *j)
{
    struct pending *p = j->pending;
    struct key_client *keys = p->session ? p->session->worker->keys : NULL;
    struct crypt_run *first = NULL;
    struct reason why = {0};
    enum err err;

    record_crypt_needs_free(&j->needs);
    record_crypt_needs_init(&j->needs);
    for (size_t i = 0; i < j->count; i++) {
        struct crypt_run *r = &j->runs[i];
        if (r->state != CRYPT_RUN_NEW || r->err || (first && r->policy != first->policy))
            continue;
        first = first ? first : r;
        r->state = CRYPT_RUN_IN_GROUP;
        r->err = collect(j, r);
    }
    if (!first) {
        j->done(p);
        return;
    }
    if (record_crypt_needs_nothing(&j->needs)) {
        fail_group(j, ERR_OK, "");
        next_group(j);
        return;
    }
    err = keys ? key_client_resolve(keys, first->policy, &j->needs, on_keys, j, &why) : ERR_UNAVAILABLE;
    if (err) {
        fail_group(j, ERR_KAFKA_STORAGE_ERROR,
                   why.code ? why.text : "the key process is not configured or not reachable");
        next_group(j);
    }
}

void crypt_seal(struct crypt_job *j, void (*done)(struct pending *p))
{
    j->sealing = true;
    j->done = done;
    next_group(j);
}

void crypt_open(struct crypt_job *j, void (*done)(struct pending *p))
{
    j->sealing = false;
    j->done = done;
    next_group(j);
}
