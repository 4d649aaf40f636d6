/* SPDX-License-Identifier: Apache-2.0
 * The steps of validating a Produce:
 *
 *   settings (asked of the cluster when not known) -> judge -> what was found may be for want of the newest schemas:
 *   read barrier, judge again -> dead letters -> done
 *
 * A batch with a bad record is refused whole, as Kafka does, with an error for each bad record. With a dead-letter
 * topic the bad ones go there and the others go on in a batch of their own, but only where that is honest: not for
 * idempotent or transactional producers (their sequence numbers count the records of the batch), not where a rule says
 * ERROR, not when the producer may not write to the dead-letter topic itself, and not when either topic's records are
 * encrypted by a policy, because dead letters are plain. A dead letter is stored before the rest is forwarded; when the
 * forwarding then fails and the producer tries again it is stored once more.
 *
 * What may take long (compressed or large batches, JSON schemas, rules, a schema met for the first time; the dead
 * letters of such a batch) is done on the pool's threads (heavy.h), one run of a request at a time; the rest here.
 *
 * Not knowing is not passing: without the schemas, or without the topic's settings, the answer is a retriable error. */
#include "gateway/filter/schema_job.h"
#include "core/base/log.h"
#include "gateway/filter/heavy.h"
#include "gateway/filter/schema_parting.h"
#include "gateway/filter/schema_topics.h"
#include "gateway/request/engine.h"
#include "gateway/filter/schema_dead_letter.h"
#include "gateway/filter/schemas.h"
#include "gateway/session/worker.h"

#include <assert.h>
#include <stdlib.h>

enum {
    SCHEMA_JOB_MAGIC = 0x53634a62,
    LINES_MAX = 3,        /* violations of one request that are logged */
    PARTED_HERE_MAX = 256 /* dead letters of a batch that are sent without the pool */
};

enum state { SETTINGS, JUDGING, SYNCING, SETTLING, PARTING, SENDING, THROUGH };

/* What every dead letter is made from. */
struct parting {
    struct work_item item; /* first */
    struct schema_job *job;
    struct schema_run *run;
    const char *from; /* the topic's name */
    struct record_unpack unpack;
    enum err err;
};

struct schema_job {
    uint32_t magic;
    struct request *request;
    struct worker *worker;
    struct schema_run *runs;
    struct buf *outs;
    size_t count, max, at;
    enum state state;
    bool asking, stale, any_letters;
    struct schema_asking asked;
    enum err synced_err;
    bool synced;           /* the newest schemas are known, or cannot be */
    bool came;             /* what is waited for */
    atomic_size_t letters; /* on their way, and one more while they are being sent */
    atomic_bool letter_lost;
    struct heavy heavy;
    struct heavy_judge judging; /* of the run before `at` */
    struct parting parting;     /* likewise */
    bool under_way;             /* one of the two is on the pool, or has come back and is not taken */
    struct loop_task back;      /* to the worker, without memory too; one reason at a time */
};

bool schema_job_wants(struct worker *w, struct slice topic)
{
    const struct schema_topic *t = schema_topic_find(w, topic);
    return !t || schema_settings_check_anything(&t->settings);
}

static void job_free(void *p)
{
    struct schema_job *j = p;

    assert(j->magic == SCHEMA_JOB_MAGIC);
    for (size_t i = 0; i < j->count; i++)
        work_pool_discard(j->heavy.pool, &j->outs[i]);
    heavy_judge_free(&j->judging);
    j->magic = 0;
    free(j);
}

struct schema_job *schema_job_new(struct request *r, struct worker *w, size_t runs_max)
{
    struct schema_job *j = calloc(1, sizeof *j);

    if (!j)
        return NULL;
    j->magic = SCHEMA_JOB_MAGIC;
    j->request = r;
    j->worker = w;
    j->max = runs_max;
    j->heavy = worker_heavy(w, request_peer(r)->principal);
    heavy_judge_init(&j->judging, &j->heavy);
    j->runs = arena_array(&r->arena, runs_max, sizeof *j->runs);
    j->outs = arena_array(&r->arena, runs_max, sizeof *j->outs);
    if (!request_own(r, j, job_free))
        return NULL;
    return j->runs && j->outs ? j : NULL;
}

struct schema_run *schema_job_add(struct schema_job *j)
{
    assert(j->count < j->max);
    buf_init(&j->outs[j->count], 0);
    return &j->runs[j->count++];
}

size_t schema_job_count(const struct schema_job *j)
{
    return j->count;
}

const struct schema_run *schema_job_run(const struct schema_job *j, size_t i)
{
    assert(i < j->count);
    return &j->runs[i];
}

static enum err fail(struct schema_job *j, struct schema_run *run, enum err err, const char *text)
{
    run->err = err;
    run->text = arena_printf(&j->request->arena, "%s", text);
    return err;
}

/* Something outside of the engine has come: on the worker's thread. */
static void come_back(void *arg)
{
    struct schema_job *j = arg;

    assert(j->magic == SCHEMA_JOB_MAGIC);
    j->came = true;
    request_wake(j->request);
}

/* ---- Settings ---- */

static enum step ask_settings(struct schema_job *j)
{
    struct slice *ask = arena_array(&j->request->arena, j->count + 1, sizeof *ask);
    size_t n = 0;
    enum err err;
    enum step step;

    if (!ask)
        return request_no_memory(j->request);
    for (size_t i = 0; i < j->count; i++)
        if ((i == 0 || !slice_eq(j->runs[i].topic, j->runs[i - 1].topic)) &&
            !schema_topic_find(j->worker, j->runs[i].topic))
            ask[n++] = j->runs[i].topic;
    request_spent(j->request, (int32_t)j->count);
    if (n == 0)
        return STEP_NEXT;
    j->asking = true;
    step = schema_topics_ask(j->request, j->worker, &j->asked, ask, n, &err);
    return err ? STEP_NEXT : step;
}

static enum step settings(struct schema_job *j)
{
    enum err err;

    if (!j->asking)
        return ask_settings(j);
    if (!j->request->call.arrived)
        return STEP_WAIT;
    err = schema_topics_take(j->request, j->worker, &j->asked);
    for (size_t i = 0; err && i < j->count; i++)
        if (!schema_topic_find(j->worker, j->runs[i].topic))
            fail(j, &j->runs[i], ERR_KAFKA_STORAGE_ERROR, "the topic's configuration cannot be read");
    return STEP_NEXT;
}

/* ---- Judging ---- */

/* What the topic asks of its data, taken once: it may change while the schemas are waited for. */
static bool take_settings(struct schema_job *j, struct schema_run *run, const struct schema_topic *t)
{
    struct schema_settings *copy;
    const struct schema_run *before = run > j->runs ? run - 1 : NULL;

    if (run->settings)
        return true;
    if (before && before->settings && slice_eq(before->topic, run->topic)) {
        run->settings = before->settings;
        return true;
    }
    copy = arena_alloc(&j->request->arena, sizeof *copy);
    if (copy)
        *copy = t->settings;
    run->settings = copy;
    return copy != NULL;
}

static void take_verdict(struct schema_job *j, struct schema_run *run, const struct reason *why)
{
    if (run->err == ERR_CANCELLED)
        fail(j, run, ERR_KAFKA_STORAGE_ERROR, "validating was given up");
    else if (run->err)
        fail(j, run, run->err, why->code ? why->text : err_text(run->err));
    run->stale = !run->err && run->findings.stale;
    if (run->stale && j->synced_err)
        fail(j, run, ERR_KAFKA_STORAGE_ERROR, "a schema is not known, and the newest cannot be read");
}

static void on_left(void *arg)
{
    struct schema_job *j = arg;

    assert(j->magic == SCHEMA_JOB_MAGIC && j->under_way);
    heavy_judge_cancel(&j->judging);
}

static void on_judged(void *arg)
{
    struct schema_job *j = arg;

    j->request->abandoned = NULL;
    schema_topic_give_judge(j->worker, j->runs[j->at - 1].topic, j->judging.judge);
    come_back(j); /* the request may go with it */
}

/* On the pool: true when it is on its way there. */
static bool judge_later(struct schema_job *j, struct schema_run *run, struct schema_judge *judge)
{
    enum err err;

    j->came = false;
    request_wait(j->request);
    err = heavy_judge_start(&j->judging, judge, run->settings, *run->records, on_judged, j);
    j->under_way = !err;
    if (!err) {
        j->request->abandoned = on_left;
        j->request->abandoned_arg = j;
        return true;
    }
    j->request->waits--;
    fail(j, run, ERR_KAFKA_STORAGE_ERROR, "too much waits to be validated; try again");
    return false;
}

static void judge_records(struct schema_job *j, struct schema_run *run, struct schema_topic *t)
{
    struct schema_judge *judge = schema_topic_take_judge(j->worker, t, run->topic);
    const struct schema_how how = {.brief = true, .unpack = &j->judging.unpack};
    struct reason why = {0};

    run->findings = (struct schema_findings){.arena = &j->request->arena};
    run->err =
        judge ? schema_judge_records(judge, run->settings, *run->records, &how, &run->findings, &why) : ERR_NO_MEMORY;
    request_spent(j->request, 1 + (int32_t)((run->records->n < SCHEMA_BRIEF_MAX ? run->records->n : 0) / 16));
    if (!run->err && run->findings.heavy && judge_later(j, run, judge))
        return;
    schema_topic_give_judge(j->worker, run->topic, judge);
    take_verdict(j, run, &why);
}

/* The pool has judged the run before `at`. */
static void take_judged(struct schema_job *j)
{
    struct schema_run *run = &j->runs[j->at - 1];

    j->under_way = false;
    run->findings = j->judging.findings;
    run->err = j->judging.err;
    take_verdict(j, run, &j->judging.why);
    j->stale = j->stale || (!run->err && run->stale);
}

static void judge_run(struct schema_job *j, struct schema_run *run)
{
    struct schema_topic *t = schema_topic_latest(j->worker, run->topic);

    if (!t || !t->known || !take_settings(j, run, t)) {
        fail(j, run, t && t->err ? t->err : ERR_KAFKA_STORAGE_ERROR,
             "what the topic's configuration asks of its data is not known");
        return;
    }
    run->stale = false;
    if (!schema_settings_check_anything(run->settings))
        return;
    if (schemas_is_ready(j->worker->gateway->schemas)) {
        judge_records(j, run, t);
        return;
    }
    run->stale = true;
    if (j->synced)
        fail(j, run, ERR_KAFKA_STORAGE_ERROR, "the schemas are not loaded yet");
}

static enum step judging(struct schema_job *j)
{
    if (j->under_way && !j->came)
        return STEP_WAIT;
    if (j->under_way)
        take_judged(j);
    while (j->at < j->count) {
        struct schema_run *run = &j->runs[j->at++];
        if (!run->err && (!j->synced || run->stale))
            judge_run(j, run);
        if (j->under_way)
            return STEP_WAIT;
        j->stale = j->stale || (!run->err && run->stale);
        if (request_spent(j->request, 1))
            return STEP_AGAIN;
    }
    j->at = 0;
    return STEP_NEXT;
}

/* From the keeper's thread. */
static void on_synced(void *arg, enum err err)
{
    struct schema_job *j = arg;

    j->synced_err = err;
    loop_post_task(j->worker->loop, &j->back, come_back, j);
}

static enum step syncing(struct schema_job *j)
{
    enum err err;

    if (j->synced)
        return j->came ? STEP_NEXT : STEP_WAIT;
    j->synced = true;
    j->came = false;
    request_wait(j->request);
    err = schemas_sync(j->worker->gateway->schemas, on_synced, j);
    if (!err)
        return STEP_WAIT;
    j->request->waits--;
    j->synced_err = err;
    return STEP_NEXT;
}

/* ---- Counting and telling ---- */

static void count_violations(struct schema_job *j)
{
    int64_t counts[SCHEMA_FAULTS] = {0};
    int lines = 0;

    for (size_t i = 0; i < j->count; i++) {
        const struct schema_run *run = &j->runs[i];
        for (size_t k = 0; k < run->findings.n; k++)
            counts[run->findings.v[k].fault]++;
        if (run->findings.n && lines++ < LINES_MAX)
            log_warn("%s (%.*s): %zu records for %.*s-%d break their schema; the first, %d: %s",
                     request_peer(j->request)->label, SLICE_FMT(request_peer(j->request)->principal), run->findings.n,
                     SLICE_FMT(run->topic), (int)run->tag_partition, (int)run->findings.v[0].index,
                     run->findings.v[0].text);
    }
    for (int f = 0; f < SCHEMA_FAULTS; f++)
        if (counts[f])
            metric_add(j->worker->gateway->counters.schema_violations[f], counts[f]);
}

static enum step settling(struct schema_job *j)
{
    count_violations(j);
    for (size_t i = 0; i < j->count; i++) {
        struct schema_run *run = &j->runs[i];
        if (run->err || run->findings.n == 0)
            continue;
        run->bad = run->findings.v;
        run->bad_n = run->findings.n;
        fail(j, run, ERR_INVALID_RECORD, "One or more records have been rejected");
    }
    request_spent(j->request, (int32_t)j->count);
    return STEP_NEXT;
}

/* ---- Dead letters ---- */

static bool is_protected(const struct request *r, struct slice topic)
{
    bool broken = false;

    return policy_set_find(r->engine->view->policies, topic, &broken) || broken;
}

static bool may_part(struct schema_job *j, struct schema_run *run)
{
    struct request *r = j->request;
    struct slice to = slice_str(run->settings->dead_letter);
    struct record_batch batch;

    if (to.n == 0 || !j->worker->gateway->dead_letters || slice_eq(to, run->topic) ||
        reserved_find(&r->engine->reserved, ACL_TOPIC, to, ACL_OP_ANY, RESERVED_ANY_API) ||
        !request_sees(r, ACL_TOPIC, ACL_WRITE, to) || is_protected(r, run->topic) || is_protected(r, to))
        return false;
    for (size_t i = 0; i < run->bad_n; i++)
        if (run->bad[i].must_refuse)
            return false;
    return !record_batch_parse(*run->records, &batch, NULL) && batch.producer_id < 0 &&
           !record_batch_is_transactional(&batch);
}

/* From the producer's thread. */
static void on_letter(void *arg, enum err err)
{
    struct schema_job *j = arg;

    if (err)
        atomic_store(&j->letter_lost, true);
    if (atomic_fetch_sub(&j->letters, 1) == 1)
        loop_post_task(j->worker->loop, &j->back, come_back, j);
}

/* On the pool's thread, or the worker's. */
static enum err send_letter(void *arg, const struct record *r, const struct schema_violation *why)
{
    struct parting *p = arg;
    struct dead_letter letter = {.topic = p->run->settings->dead_letter,
                                 .from = p->from,
                                 .from_partition = p->run->tag_partition,
                                 .record = r,
                                 .why = why->text};
    enum err err;

    atomic_fetch_add(&p->job->letters, 1);
    err = dead_letters_send(p->job->worker->gateway->dead_letters, &letter, on_letter, p->job);
    if (err)
        atomic_fetch_sub(&p->job->letters, 1);
    return err;
}

static void run_parting(struct work_item *w)
{
    struct parting *p = (struct parting *)(void *)w; /* its first member */
    const struct schema_parting parting = {.records = *p->run->records,
                                           .bad = p->run->bad,
                                           .bad_n = p->run->bad_n,
                                           .unpack = &p->unpack,
                                           .send = send_letter,
                                           .arg = p};

    p->err = schema_part(&parting, &p->job->outs[p->run - p->job->runs]);
}

static void parting_done(struct work_item *w)
{
    struct parting *p = (struct parting *)(void *)w;

    if (!w->ran)
        p->err = ERR_CANCELLED;
    come_back(p->job);
}

static void take_parted(struct schema_job *j)
{
    struct schema_run *run = j->parting.run;

    j->under_way = false;
    if (j->parting.err)
        return; /* refused */
    run->err = ERR_OK;
    run->emptied = j->outs[run - j->runs].n == 0;
}

/* Few small records here, else on the pool: then `under_way`. */
static void part(struct schema_job *j, struct schema_run *run)
{
    struct parting *p = &j->parting;
    bool light =
        run->records->n <= SCHEMA_BRIEF_MAX && run->bad_n <= PARTED_HERE_MAX && !record_unpack_needed(*run->records);

    *p = (struct parting){.job = j,
                          .run = run,
                          .from = arena_strdup(&j->request->arena, run->topic),
                          .unpack = {.limits = j->heavy.limits, .cancelled = &p->item.cancelled}};
    work_item_init(&p->item, j->heavy.loop, j->heavy.share, record_unpack_bound(*run->records, &j->heavy.limits));
    p->item.run = run_parting;
    p->item.done = parting_done;
    p->err = p->from ? ERR_OK : ERR_NO_MEMORY;
    if (p->from && light) {
        run_parting(&p->item);
    } else if (p->from) {
        j->came = false;
        request_wait(j->request);
        p->err = work_pool_submit(j->heavy.pool, &p->item);
        j->under_way = !p->err;
        if (j->under_way)
            return;
        j->request->waits--;
    }
    take_parted(j);
}

static enum step send_letters(struct schema_job *j)
{
    if (j->under_way && !j->came)
        return STEP_WAIT;
    if (j->under_way)
        take_parted(j);
    if (j->at == 0)
        atomic_store(&j->letters, 1);
    while (j->at < j->count) {
        struct schema_run *run = &j->runs[j->at++];
        if (run->bad_n && may_part(j, run)) {
            j->any_letters = true;
            part(j, run);
        }
        if (j->under_way)
            return STEP_WAIT;
        if (request_spent(j->request, 1 + (int32_t)(run->bad_n < PARTED_HERE_MAX ? run->bad_n : 1)))
            return STEP_AGAIN;
    }
    if (!j->any_letters)
        return STEP_NEXT;
    j->came = false;
    request_wait(j->request);
    on_letter(j, ERR_OK); /* the one more */
    return STEP_NEXT;
}

/* What was sent is stored, or some of it is lost and its batches are refused after all. */
static void letters_sent(struct schema_job *j)
{
    bool lost = atomic_load(&j->letter_lost);

    for (size_t i = 0; i < j->count; i++) {
        struct schema_run *run = &j->runs[i];
        if (run->bad_n == 0 || run->err)
            continue;
        if (lost) {
            run->emptied = false;
            fail(j, run, ERR_INVALID_RECORD,
                 "One or more records have been rejected, and the dead-letter topic does not take them");
        } else if (!run->emptied) {
            *run->records = buf_slice(&j->outs[i]);
        }
    }
}

/* ---- The steps ---- */

static enum state after(struct schema_job *j)
{
    switch (j->state) {
    case SETTINGS:
        return JUDGING;
    case JUDGING:
        return j->stale && !j->synced ? SYNCING : SETTLING;
    case SYNCING: /* judge those again that the newest schemas may change */
        j->stale = false;
        return JUDGING;
    case SETTLING:
        return PARTING;
    case PARTING:
        return j->any_letters ? SENDING : THROUGH;
    case SENDING:
        letters_sent(j);
        return THROUGH;
    case THROUGH:
        break;
    }
    return THROUGH;
}

static enum step step_of(struct schema_job *j)
{
    switch (j->state) {
    case SETTINGS:
        return settings(j);
    case JUDGING:
        return judging(j);
    case SYNCING:
        return syncing(j);
    case SETTLING:
        return settling(j);
    case PARTING:
        return send_letters(j);
    case SENDING:
        return j->came ? STEP_NEXT : STEP_WAIT;
    case THROUGH:
        break;
    }
    return STEP_NEXT;
}

enum step schema_job_step(struct schema_job *j)
{
    assert(j->magic == SCHEMA_JOB_MAGIC);
    while (j->state != THROUGH) {
        enum step step = step_of(j);
        if (step != STEP_NEXT)
            return step;
        j->state = after(j);
    }
    return STEP_NEXT;
}
