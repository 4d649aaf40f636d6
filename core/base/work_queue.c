/* SPDX-License-Identifier: Apache-2.0
 * Round robin over shares. The shares with waiting entries stand in a ring; a take asks them in turn and moves on past
 * the one it served. A share whose limits are used up is passed over. When the memory of all is short, the first that
 * wants some is waited for, so that a large entry is not overtaken for ever by small ones; only entries that want none
 * go before it. Nobody waits for memory while holding some (an entry states all it wants at once), so those who hold
 * it always finish. */
#include "core/base/work_queue.h"

#include <assert.h>

void work_queue_init(struct work_queue *q, const struct work_limits *limits)
{
    *q = (struct work_queue){.limits = *limits};
}

static struct work_share *share_of(struct work_queue *q, uint64_t key)
{
    return &q->shares[key % WORK_SHARES];
}

static void enter_ring(struct work_queue *q, struct work_share *s)
{
    if (!q->turn) {
        s->next = s->prev = q->turn = s;
        return;
    }
    s->next = q->turn; /* the last to have its turn */
    s->prev = q->turn->prev;
    s->prev->next = s->next->prev = s;
}

static void leave_ring(struct work_queue *q, struct work_share *s)
{
    if (q->turn == s)
        q->turn = s->next == s ? NULL : s->next;
    s->prev->next = s->next;
    s->next->prev = s->prev;
    s->next = s->prev = NULL;
}

enum err work_queue_put(struct work_queue *q, struct work_entry *e)
{
    struct work_share *s = share_of(q, e->share);

    if (q->waiting >= q->limits.waiting_max || s->waiting >= q->limits.waiting_per_share_max)
        return ERR_LIMIT_EXCEEDED;
    e->next = NULL;
    if (s->tail)
        s->tail->next = e;
    else
        s->head = e;
    s->tail = e;
    if (s->waiting++ == 0)
        enter_ring(q, s);
    q->waiting++;
    return ERR_OK;
}

static struct work_entry *shift(struct work_queue *q, struct work_share *s)
{
    struct work_entry *e = s->head;

    assert(e && s->waiting > 0 && q->waiting > 0);
    s->head = e->next;
    if (!s->head)
        s->tail = NULL;
    e->next = NULL;
    s->waiting--;
    q->waiting--;
    q->turn = s->next;
    if (s->waiting == 0)
        leave_ring(q, s);
    return e;
}

static bool fits(size_t held, size_t more, size_t max)
{
    return held == 0 || more == 0 || (held <= max && more <= max - held);
}

struct work_entry *work_queue_take(struct work_queue *q)
{
    struct work_share *s = q->turn, *first = s;
    bool short_of_memory = false;

    if (!s)
        return NULL;
    do {
        const struct work_entry *e = s->head;
        if (s->running < q->limits.running_per_share_max && fits(s->bytes, e->bytes, q->limits.bytes_per_share_max) &&
            !(short_of_memory && e->bytes)) {
            if (fits(q->bytes, e->bytes, q->limits.bytes_max)) {
                struct work_entry *taken = shift(q, s);
                s->running++;
                s->bytes += taken->bytes;
                q->running++;
                q->bytes += taken->bytes;
                return taken;
            }
            short_of_memory = true;
        }
        s = s->next;
    } while (s != first);
    return NULL;
}

void work_queue_give_back(struct work_queue *q, uint64_t share, size_t bytes)
{
    struct work_share *s = share_of(q, share);

    assert(s->bytes >= bytes && q->bytes >= bytes);
    s->bytes -= bytes;
    q->bytes -= bytes;
}

void work_queue_ran(struct work_queue *q, const struct work_entry *e, size_t kept)
{
    struct work_share *s = share_of(q, e->share);

    assert(s->running > 0 && q->running > 0 && kept <= e->bytes);
    s->running--;
    q->running--;
    work_queue_give_back(q, e->share, e->bytes - kept);
}

struct work_entry *work_queue_drop(struct work_queue *q)
{
    return q->turn ? shift(q, q->turn) : NULL;
}
