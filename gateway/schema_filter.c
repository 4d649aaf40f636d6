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
#include "gateway/schema_filter.h"
#include "core/base/log.h"
#include "gateway/admin.h"
#include "gateway/crypt.h"
#include "gateway/schema_dead_letter.h"
#include "gateway/schema_topics.h"

#include <stdio.h>
#include <stdlib.h>

enum { LINES_MAX = 3 }; /* violations of one request that are logged */

struct schema_job {
    struct pending *pending;
    struct worker *worker;
    struct schema_run *runs;
    struct buf *outs;
    size_t count, max;
    void (*done)(struct pending *p);
    enum err synced_err;
    bool synced;
    atomic_size_t letters; /* on their way, and one more while they are being sent */
    atomic_bool letter_lost;
    struct loop_task back; /* to the worker, without memory too; one reason at a time */
};

bool schema_filter_wants(struct worker *w, struct slice topic)
{
    const struct schema_topic *t = schema_topic_find(w, topic);
    return !t || schema_settings_check_anything(&t->settings);
}

struct schema_job *schema_job_new(struct pending *p, size_t runs_max)
{
    struct schema_job *j = calloc(1, sizeof *j);

    if (!j)
        return NULL;
    j->pending = p;
    j->worker = p->session->worker;
    j->max = runs_max;
    j->runs = calloc(runs_max + 1, sizeof *j->runs);
    j->outs = calloc(runs_max + 1, sizeof *j->outs);
    if (j->runs && j->outs)
        return j;
    schema_job_free(j);
    return NULL;
}

void schema_job_free(struct schema_job *j)
{
    if (!j)
        return;
    for (size_t i = 0; i < j->count && j->outs; i++)
        buf_free(&j->outs[i]);
    free(j->runs);
    free(j->outs);
    free(j);
}

struct schema_run *schema_job_add(struct schema_job *j)
{
    if (j->count == j->max)
        return NULL;
    buf_init(&j->outs[j->count], 0);
    j->runs[j->count].out = j->count;
    return &j->runs[j->count++];
}

size_t schema_job_count(const struct schema_job *j)
{
    return j->count;
}

const struct schema_run *schema_job_run(const struct schema_job *j, size_t i)
{
    return &j->runs[i];
}

/* ---- Counting and telling ---- */

static void count_violations(struct schema_job *j)
{
    int64_t counts[SCHEMA_FAULTS] = {0};
    int lines = 0;

    for (size_t i = 0; i < j->count; i++) {
        const struct schema_run *r = &j->runs[i];
        for (size_t k = 0; k < r->findings.n; k++)
            counts[r->findings.v[k].fault]++;
        if (r->findings.n && lines++ < LINES_MAX && j->pending->session)
            log_warn("%s (%s): %zu records for %.*s-%d break their schema; the first, %d: %s",
                     conn_peer(j->pending->session->conn), j->pending->session->principal, r->findings.n,
                     SLICE_FMT(r->topic), (int)r->tag_partition, (int)r->findings.v[0].index, r->findings.v[0].text);
    }
    for (int f = 0; f < SCHEMA_FAULTS; f++) {
        if (counts[f])
            metric_add(j->worker->gateway->counters.schema_violations[f], counts[f]);
    }
}

static void finish(struct schema_job *j)
{
    j->done(j->pending);
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

static bool may_part(struct schema_job *j, struct schema_run *r)
{
    const struct session *s = j->pending->session;
    struct slice to = slice_str(r->settings.dead_letter);
    const struct policy *policy;
    struct record_batch batch;

    if (to.n == 0 || !s || !j->worker->gateway->dead_letters || slice_eq(to, r->topic) ||
        reserved_find(&j->worker->gateway->reserved, ACL_TOPIC, to, ACL_OP_ANY, RESERVED_ANY_API) ||
        session_judge(s, WIRE_PRODUCE, ACL_TOPIC, ACL_WRITE, to))
        return false;
    if (crypt_policy(j->pending, r->topic, &policy) || policy || crypt_policy(j->pending, to, &policy) || policy)
        return false;
    for (size_t i = 0; i < r->bad_n; i++)
        if (r->bad[i].must_refuse)
            return false;
    return !record_batch_parse(*r->records, &batch, NULL) && batch.producer_id < 0 &&
           !record_batch_is_transactional(&batch);
}

static void all_letters_sent(void *arg);

static void on_letter(void *arg, enum err err)
{
    struct schema_job *j = arg;

    if (err)
        atomic_store(&j->letter_lost, true);
    if (atomic_fetch_sub(&j->letters, 1) == 1)
        loop_post_task(j->worker->loop, &j->back, all_letters_sent, j);
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
    struct dead_letter letter = {.topic = run->settings.dead_letter,
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
        err = record_batch_finish(&p->kept, &p->job->outs[p->run->out]);
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
    r->emptied = j->outs[r->out].n == 0;
}

/* On the worker's loop: what was sent is stored, or some of it is lost and its batches are refused after all. */
static void all_letters_sent(void *arg)
{
    struct schema_job *j = arg;
    bool lost = atomic_load(&j->letter_lost);

    for (size_t i = 0; i < j->count; i++) {
        struct schema_run *r = &j->runs[i];
        if (r->bad_n == 0 || r->err)
            continue;
        if (lost) {
            r->emptied = false;
            r->err = reason_set(&r->why, ERR_INVALID_RECORD,
                                "One or more records have been rejected, and the "
                                "dead-letter topic does not take them");
        } else if (!r->emptied) {
            *r->records = buf_slice(&j->outs[r->out]);
        }
    }
    finish(j);
}

static void settle(struct schema_job *j)
{
    bool any = false;

    count_violations(j);
    for (size_t i = 0; i < j->count; i++) {
        struct schema_run *r = &j->runs[i];
        if (r->err || r->findings.n == 0)
            continue;
        r->bad = r->findings.v;
        r->bad_n = r->findings.n;
        r->err = reason_set(&r->why, ERR_INVALID_RECORD, "One or more records have been rejected");
    }
    atomic_store(&j->letters, 1);
    for (size_t i = 0; i < j->count; i++) {
        struct schema_run *r = &j->runs[i];
        if (r->bad_n && may_part(j, r)) {
            if (!any)
                pending_hold(j->pending);
            any = true;
            part(j, r);
        }
    }
    if (any)
        on_letter(j, ERR_OK); /* the one more */
    else
        finish(j);
}

/* ---- Judging ---- */

static void judge_run(struct schema_job *j, struct schema_run *r)
{
    struct schema_topic *t = schema_topic_latest(j->worker, r->topic);
    struct schema_judge *judge;

    if (!t || !t->known) {
        r->err = reason_set(&r->why, t && t->err ? t->err : ERR_KAFKA_STORAGE_ERROR,
                            "what the topic's configuration asks of its data is not known");
        return;
    }
    if (!r->asked)
        r->settings = t->settings;
    r->asked = true;
    r->stale = false;
    if (!schema_settings_check_anything(&r->settings))
        return;
    if (!schemas_is_ready(j->worker->gateway->schemas)) {
        r->stale = true;
        r->err = j->synced ? reason_set(&r->why, ERR_KAFKA_STORAGE_ERROR, "the schemas are not loaded yet") : ERR_OK;
        return;
    }
    judge = schema_topic_judge(j->worker, t, r->topic);
    r->findings = (struct schema_findings){.arena = &j->pending->arena};
    r->err = judge ? schema_judge_records(judge, &r->settings, *r->records, &r->findings, &r->why) : ERR_NO_MEMORY;
    r->stale = !r->err && r->findings.stale;
    if (r->stale && j->synced_err)
        r->err = reason_set(&r->why, ERR_KAFKA_STORAGE_ERROR, "a schema is not known, and the newest cannot be read");
}

static void on_synced(void *arg, enum err err);

static void judge_all(struct schema_job *j)
{
    bool stale = false;

    for (size_t i = 0; i < j->count; i++) {
        struct schema_run *r = &j->runs[i];
        if (!r->err && (!j->synced || r->stale))
            judge_run(j, r);
        stale = stale || (!r->err && r->stale);
    }
    if (stale && !j->synced && j->pending->session) {
        pending_hold(j->pending);
        if (!schemas_sync(j->worker->gateway->schemas, on_synced, j))
            return;
    }
    settle(j);
}

static void judge_again(void *arg)
{
    struct schema_job *j = arg;

    j->synced = true;
    judge_all(j);
}

static void on_synced(void *arg, enum err err)
{
    struct schema_job *j = arg;

    j->synced_err = err;
    loop_post_task(j->worker->loop, &j->back, judge_again, j);
}

/* ---- Settings ---- */

static struct schema_job *job_of(struct pending *p);

static void on_settings(struct pending *p, enum err err)
{
    struct schema_job *j = job_of(p);

    for (size_t i = 0; err && i < j->count; i++)
        if (!schema_topic_find(j->worker, j->runs[i].topic))
            j->runs[i].err = reason_set(&j->runs[i].why, ERR_KAFKA_STORAGE_ERROR,
                                        "the topic's configuration cannot be read: %s", err_text(err));
    judge_all(j);
}

static struct schema_job *job_of(struct pending *p)
{
    return p->schema_job;
}

void schema_job_start(struct schema_job *j, void (*done)(struct pending *p))
{
    struct pending *p = j->pending;
    struct slice *ask = arena_array(&p->arena, j->count + 1, sizeof *ask);
    size_t n = 0;

    j->done = done;
    p->schema_job = j;
    for (size_t i = 0; ask && i < j->count; i++) {
        bool there = schema_topic_find(j->worker, j->runs[i].topic) != NULL;
        for (size_t k = 0; k < n && !there; k++)
            there = slice_eq(ask[k], j->runs[i].topic);
        if (!there)
            ask[n++] = j->runs[i].topic;
    }
    if (n == 0) {
        judge_all(j);
        return;
    }
    pending_hold(p);
    schema_topics_ask(p, ask, n, on_settings);
}
