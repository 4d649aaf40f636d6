/* SPDX-License-Identifier: Apache-2.0
 * Heavy jobs. A job states the most memory that it may take before it starts (by what each codec can expand to, and the
 * limits); the pool waits with it until there is so much. A request has one such job at a time and asks for nothing
 * more while it holds what one gave it, so requests cannot wait for each other. What is kept of it afterwards counts
 * until it is freed. */
#include "gateway/filter/heavy.h"
#include "gateway/counters.h"

#include <assert.h>
#include <stdlib.h>

enum { UNPACK_MAGIC = 0x556e5061 };

/* ---- Decompression ---- */

struct heavy_unpack {
    uint32_t magic;
    struct work_item item;
    struct heavy heavy;
    struct record_unpack unpack;
    struct buf plain; /* of all runs, one after the other */
    struct arena arena;
    heavy_done_fn done;
    void *arg;
    size_t kept; /* bytes of the pool's memory */
    bool under_way;
    size_t count, max;
    struct unpack_slot {
        struct heavy_unpack_run run; /* first: what the caller sees */
        size_t at, n;                /* in `plain` */
    } runs[];
};

struct heavy_unpack *heavy_unpack_new(const struct heavy *h, size_t runs_max, bool cuts)
{
    struct heavy_unpack *u = NULL;

    if (runs_max < SIZE_MAX / 2 / sizeof u->runs[0])
        u = calloc(1, sizeof *u + runs_max * sizeof u->runs[0]);
    if (!u)
        return NULL;
    u->magic = UNPACK_MAGIC;
    u->heavy = *h;
    u->max = runs_max;
    u->unpack = (struct record_unpack){.limits = h->limits, .cuts = cuts, .cancelled = &u->item.cancelled};
    arena_init(&u->arena, 0);
    return u;
}

struct heavy_unpack_run *heavy_unpack_add(struct heavy_unpack *u, struct slice records)
{
    assert(u->magic == UNPACK_MAGIC && !u->under_way && u->count < u->max);
    u->runs[u->count].run = (struct heavy_unpack_run){.records = records};
    return &u->runs[u->count++].run;
}

/* *limit: what it may not exceed, whatever the codecs can do. */
static size_t bound(const struct heavy_unpack *u, size_t *limit)
{
    size_t sum = 0, copied = 0;

    for (size_t i = 0; i < u->count; i++) {
        struct slice records = u->runs[i].run.records;
        sum += record_unpack_bound(records, &u->heavy.limits) - records.n;
        copied += records.n;
    }
    *limit = copied + u->heavy.limits.request_max;
    return copied + (sum < u->heavy.limits.request_max ? sum : u->heavy.limits.request_max);
}

static void unpack_one(struct heavy_unpack *u, struct unpack_slot *s)
{
    struct reason why = {0};

    s->at = u->plain.n;
    s->run.err = record_unpack_run(&u->unpack, s->run.records, &u->plain, &s->run.used, &why);
    s->n = u->plain.n - s->at;
    if (s->run.err) {
        u->plain.error = ERR_OK; /* of this run only */
        s->run.text = why.code ? arena_printf(&u->arena, "%s", why.text) : NULL;
        if (!s->run.text)
            s->run.text = err_text(s->run.err);
    }
}

static void run_unpack(struct work_item *w)
{
    struct heavy_unpack *u = (struct heavy_unpack *)(void *)((char *)w - offsetof(struct heavy_unpack, item));

    assert(u->magic == UNPACK_MAGIC && u->under_way);
    for (size_t i = 0; i < u->count; i++)
        unpack_one(u, &u->runs[i]);
    w->kept = u->plain.cap < w->entry.bytes ? u->plain.cap : w->entry.bytes;
}

static void count(const struct gateway_counters *c, enum err err)
{
    if (c && err == ERR_MESSAGE_TOO_LARGE)
        metric_add(c->decompression_refused, 1);
}

static void unpack_done(struct work_item *w)
{
    struct heavy_unpack *u = (struct heavy_unpack *)(void *)((char *)w - offsetof(struct heavy_unpack, item));

    assert(u->magic == UNPACK_MAGIC && u->under_way);
    u->under_way = false;
    u->kept = w->kept;
    for (size_t i = 0; i < u->count; i++) {
        struct heavy_unpack_run *r = &u->runs[i].run;
        if (!w->ran) {
            r->err = ERR_CANCELLED;
            r->text = "it was given up";
        } else if (!r->err) {
            r->plain = slice_of(u->plain.p + u->runs[i].at, u->runs[i].n);
        }
        count(u->heavy.counters, r->err);
    }
    if (u->heavy.counters)
        metric_add(u->heavy.counters->decompressed, (int64_t)u->unpack.spent);
    u->done(u->arg);
}

enum err heavy_unpack_start(struct heavy_unpack *u, heavy_done_fn done, void *arg)
{
    size_t limit, most = bound(u, &limit);
    enum err err;

    assert(u->magic == UNPACK_MAGIC && !u->under_way && !u->done);
    u->done = done;
    u->arg = arg;
    buf_init(&u->plain, limit + 1); /* one byte more than allowed is how a decompressor notices */
    work_item_init(&u->item, u->heavy.loop, u->heavy.share, most);
    u->item.run = run_unpack;
    u->item.done = unpack_done;
    u->under_way = true;
    err = work_pool_submit(u->heavy.pool, &u->item);
    if (err)
        u->under_way = false;
    return err;
}

void heavy_unpack_cancel(struct heavy_unpack *u)
{
    work_item_cancel(&u->item);
}

void heavy_unpack_free(struct heavy_unpack *u)
{
    if (!u)
        return;
    assert(u->magic == UNPACK_MAGIC && !u->under_way);
    work_pool_discard(u->heavy.pool, &u->plain);
    work_pool_give_back(u->heavy.pool, u->heavy.share, u->kept);
    arena_free(&u->arena);
    u->magic = 0;
    free(u);
}

/* ---- Judging ---- */

void heavy_judge_init(struct heavy_judge *j, const struct heavy *h)
{
    *j = (struct heavy_judge){.heavy = h};
    j->unpack = (struct record_unpack){.limits = h->limits, .cancelled = &j->item.cancelled};
    arena_init(&j->arena, 0);
}

static void run_judge(struct work_item *w)
{
    struct heavy_judge *j = (struct heavy_judge *)w; /* its first member */
    const struct schema_how how = {.unpack = &j->unpack};

    j->err = schema_judge_records(j->judge, j->settings, j->records, &how, &j->findings, &j->why);
}

static void judge_done(struct work_item *w)
{
    struct heavy_judge *j = (struct heavy_judge *)w;

    if (!w->ran)
        j->err = reason_set(&j->why, ERR_CANCELLED, "it was given up");
    if (j->heavy->counters)
        metric_add(j->heavy->counters->decompressed, (int64_t)(j->unpack.spent - j->spent_before));
    count(j->heavy->counters, j->err);
    j->done(j->arg);
}

enum err heavy_judge_start(struct heavy_judge *j, struct schema_judge *judge, const struct schema_settings *settings,
                           struct slice records, heavy_done_fn done, void *arg)
{
    bool packed = record_unpack_needed(records);

    j->judge = judge;
    j->settings = settings;
    j->records = records;
    j->done = done;
    j->arg = arg;
    j->findings = (struct schema_findings){.arena = &j->arena};
    j->err = ERR_OK;
    j->why = (struct reason){0};
    j->spent_before = j->unpack.spent;
    work_item_init(&j->item, j->heavy->loop, j->heavy->share,
                   packed ? record_unpack_bound(records, &j->heavy->limits) : 0);
    j->item.run = run_judge;
    j->item.done = judge_done;
    return work_pool_submit(j->heavy->pool, &j->item);
}

void heavy_judge_cancel(struct heavy_judge *j)
{
    work_item_cancel(&j->item);
}

void heavy_judge_free(struct heavy_judge *j)
{
    arena_free(&j->arena);
}
