/* SPDX-License-Identifier: Apache-2.0
 * A ledger over memory alone: the same interface and the same order of events, without a cluster. For tests of others
 * and for development. Records are applied on the writer thread (or posted), offsets count up from 0, a fault can be
 * injected per transaction. */
#include "core/ledger/ledger_internal.h"

#include "core/base/env.h"

#include <stdlib.h>

struct memory_side {
    pthread_mutex_t lock; /* serialises appends, so that offsets and application agree */
    int64_t next_offset;
    enum err fail;
    int fail_count;
};

static enum err memory_start(struct ledger *l, struct reason *why)
{
    struct memory_side *m = calloc(1, sizeof *m);
    static const int64_t zero[1];
    if (!m)
        return reason_set(why, ERR_NO_MEMORY, "no memory for a ledger");
    pthread_mutex_init(&m->lock, NULL);
    l->side = m;
    ledger_targets(l, 1, zero);
    return ERR_OK;
}

static void memory_stop(struct ledger *l)
{
    struct memory_side *m = l->side;
    pthread_mutex_destroy(&m->lock);
    free(m);
    l->side = NULL;
}

static enum err memory_fence(struct ledger *l, int64_t deadline_ms, struct reason *why)
{
    (void)l, (void)deadline_ms, (void)why;
    return ERR_OK;
}

static void append(struct ledger *l, struct slice key, struct slice value, int64_t *offset)
{
    struct memory_side *m = l->side;
    struct env *env = env_system();
    struct ledger_record r = {0, m->next_offset++, env->wall_ms(env), key, value};
    *offset = r.offset;
    ledger_apply(l, &r, 1);
    ledger_advance(l, 0, r.offset + 1);
}

static enum err memory_commit(struct ledger *l, struct ledger_batch *b, int64_t deadline_ms, struct reason *why)
{
    struct memory_side *m = l->side;
    (void)deadline_ms;
    pthread_mutex_lock(&m->lock);
    if (m->fail_count > 0) {
        m->fail_count--;
        pthread_mutex_unlock(&m->lock);
        return reason_set(why, m->fail, "a fault was injected");
    }
    for (size_t i = 0; i < b->record_count; i++) {
        b->records[i].partition = 0;
        append(l, b->records[i].key, b->records[i].value, &b->records[i].offset);
    }
    pthread_mutex_unlock(&m->lock);
    return ERR_OK;
}

static bool memory_landed(struct ledger *l, const struct ledger_batch *b)
{
    (void)l, (void)b;
    return false;
}

static enum err memory_sync(struct ledger *l, int64_t deadline_ms, struct reason *why)
{
    (void)l, (void)deadline_ms, (void)why;
    return ERR_OK;
}

static void memory_wake(struct ledger *l)
{
    (void)l;
}

static const struct ledger_backend backend = {
    .start = memory_start,
    .stop = memory_stop,
    .fence = memory_fence,
    .commit = memory_commit,
    .landed = memory_landed,
    .sync = memory_sync,
    .wake = memory_wake,
};

enum err ledger_memory_new(struct ledger **out, const struct ledger_config *config, const struct ledger_hooks *hooks,
                           struct reason *why)
{
    struct ledger *l = ledger_new(config, hooks, &backend);
    if (!l)
        return reason_set(why, ERR_NO_MEMORY, "no memory for a ledger");
    return ledger_start(l, out, why);
}

void ledger_memory_fail(struct ledger *l, enum err e, int n)
{
    struct memory_side *m = l->side;
    pthread_mutex_lock(&m->lock);
    m->fail = e;
    m->fail_count = n;
    pthread_mutex_unlock(&m->lock);
}

enum err ledger_memory_append(struct ledger *l, struct slice key, struct slice value)
{
    struct memory_side *m = l->side;
    int64_t offset;
    pthread_mutex_lock(&m->lock);
    append(l, key, value, &offset);
    pthread_mutex_unlock(&m->lock);
    return ERR_OK;
}
