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
 * Not knowing is not passing: without the schemas, or without the topic's settings, the answer is a retriable error. */
#include "gateway/filter/schema_job.h"
#include "core/base/log.h"
#include "gateway/filter/schema_topics.h"
#include "gateway/request/engine.h"
#include "gateway/filter/schema_dead_letter.h"
#include "gateway/filter/schemas.h"
#include "gateway/session/worker_data.h"

#include <assert.h>
#include <stdlib.h>

enum { SCHEMA_JOB_MAGIC = 0x53634a62, LINES_MAX = 3 /* violations of one request that are logged */ };

enum state { SETTINGS, JUDGING, SYNCING, SETTLING, PARTING, SENDING, THROUGH };

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
    struct loop_task back; /* to the worker, without memory too; one reason at a time */
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
        buf_free(&j->outs[i]);
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

static void judge_records(struct schema_job *j, struct schema_run *run, struct schema_topic *t)
{
    struct schema_judge *judge = schema_topic_judge(j->worker, t, run->topic);
    struct reason why = {0};

    run->findings = (struct schema_findings){.arena = &j->request->arena};
    run->err = judge ? schema_judge_records(judge, run->settings, *run->records, &run->findings, &why) : ERR_NO_MEMORY;
    if (run->err)
        fail(j, run, run->err, why.code ? why.text : err_text(run->err));
    request_spent(j->request, (int32_t)(run->records->n / 16));
    run->stale = !run->err && run->findings.stale;
    if (run->stale && j->synced_err)
        fail(j, run, ERR_KAFKA_STORAGE_ERROR, "a schema is not known, and the newest cannot be read");
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
    while (j->at < j->count) {
        struct schema_run *run = &j->runs[j->at++];
        if (!run->err && (!j->synced || run->stale))
            judge_run(j, run);
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

/* What every dead letter and the rewritten batch are made from. */
struct parting {
    struct schema_job *job;
    struct schema_run *run;
    struct record_batch batch;
    struct record_batch_builder kept;
    struct arena arena;
    size_t at; /* in the findings */
};

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

static enum err keep_record(struct parting *p, const struct record *r)
{
    struct record_header *headers = arena_array(&p->arena, (size_t)r->header_count + 1, sizeof *headers);
    struct cursor c = cursor_of(r->headers);
    int32_t n = 0;

    if (!headers)
        return ERR_NO_MEMORY;
    while (n < r->header_count && record_header_next(&c, &headers[n]))
        n++;
    record_batch_append(&p->kept, r->timestamp, r->key, r->value, headers, n);
    return ERR_OK;
}

static enum err part_record(struct parting *p, const struct record *r, int32_t index)
{
    struct schema_run *run = p->run;
    struct dead_letter letter = {.topic = run->settings->dead_letter,
                                 .from = arena_strdup(&p->arena, run->topic),
                                 .from_partition = run->tag_partition,
                                 .record = r};
    enum err err;

    if (p->at >= run->bad_n || run->bad[p->at].index != index)
        return keep_record(p, r);
    letter.why = run->bad[p->at++].text;
    if (!letter.from)
        return ERR_NO_MEMORY;
    atomic_fetch_add(&p->job->letters, 1);
    err = dead_letters_send(p->job->worker->gateway->dead_letters, &letter, on_letter, p->job);
    if (err)
        atomic_fetch_sub(&p->job->letters, 1);
    return err;
}

static enum err part_records(struct parting *p, struct buf *scratch)
{
    struct record_iter it;
    struct record r;
    bool more = false;
    enum err err = record_batch_parse(*p->run->records, &p->batch, NULL);

    if (!err)
        err = record_iter_open(&it, &p->batch, scratch, 0, NULL);
    if (err)
        return err;
    record_batch_builder_init(&p->kept, record_batch_codec(&p->batch), 0);
    err = record_iter_next(&it, &r, &more, NULL);
    for (int32_t i = 0; !err && more; i++) {
        err = part_record(p, &r, i);
        if (!err)
            err = record_iter_next(&it, &r, &more, NULL);
    }
    if (!err && p->kept.head.record_count > 0)
        err = record_batch_finish(&p->kept, &p->job->outs[p->run - p->job->runs]);
    record_batch_builder_free(&p->kept);
    return err;
}

static void part(struct schema_job *j, struct schema_run *r)
{
    struct parting p = {.job = j, .run = r};
    struct buf scratch;
    enum err err;

    buf_init(&scratch, 0);
    arena_init(&p.arena, 0);
    err = part_records(&p, &scratch);
    buf_free(&scratch);
    arena_free(&p.arena);
    if (err)
        return; /* refused */
    r->err = ERR_OK;
    r->emptied = j->outs[r - j->runs].n == 0;
}

static enum step send_letters(struct schema_job *j)
{
    if (j->at == 0)
        atomic_store(&j->letters, 1);
    while (j->at < j->count) {
        struct schema_run *run = &j->runs[j->at++];
        if (run->bad_n && may_part(j, run)) {
            j->any_letters = true;
            part(j, run);
        }
        if (request_spent(j->request, 1 + (int32_t)run->bad_n))
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
