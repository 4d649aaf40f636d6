/* SPDX-License-Identifier: Apache-2.0
 * Timers as a pairing heap threaded through their owners: starting and stopping allocate nothing, so they cannot fail,
 * and a connection pays for its timer only with the bytes inside it. One uv_timer wakes the loop for the earliest.
 * In the heap `prev` is the left sibling, or the parent for a first child. */
#include "core/net/loop_internal.h"

static struct loop_timer *merge(struct loop_timer *a, struct loop_timer *b)
{
    if (!a)
        return b;
    if (!b)
        return a;
    if (b->due_ms < a->due_ms) {
        struct loop_timer *t = a;
        a = b;
        b = t;
    }
    b->prev = a;
    b->next = a->child;
    if (a->child)
        a->child->prev = b;
    a->child = b;
    a->next = a->prev = NULL;
    return a;
}

/* The two passes of a pairing heap: pair up the siblings, then join the pairs from the last to the first. */
static struct loop_timer *merge_siblings(struct loop_timer *first)
{
    struct loop_timer *pairs = NULL;

    while (first) {
        struct loop_timer *a = first, *b = a->next;
        first = b ? b->next : NULL;
        a->next = a->prev = NULL;
        if (b)
            b->next = b->prev = NULL;
        a = merge(a, b);
        a->next = pairs;
        pairs = a;
    }
    first = NULL;
    while (pairs) {
        struct loop_timer *next = pairs->next;
        pairs->next = NULL;
        first = merge(first, pairs);
        pairs = next;
    }
    return first;
}

void loop_timer_init(struct loop_timer *t, struct loop *l, loop_fn fn, void *arg)
{
    *t = (struct loop_timer){.loop = l, .fn = fn, .arg = arg};
}

void loop_timer_stop(struct loop_timer *t)
{
    struct loop *l = t->loop;
    struct loop_timer *rest;

    if (!t->running)
        return;
    rest = merge_siblings(t->child);
    if (l->timers == t) {
        l->timers = rest;
    } else {
        if (t->prev->child == t)
            t->prev->child = t->next;
        else
            t->prev->next = t->next;
        if (t->next)
            t->next->prev = t->prev;
        l->timers = merge(l->timers, rest);
    }
    t->child = t->next = t->prev = NULL;
    t->running = false;
}

void loop_timer_start(struct loop_timer *t, int64_t after_ms)
{
    loop_timer_stop(t);
    t->due_ms = loop_now_ms(t->loop) + (after_ms > 0 ? after_ms : 0);
    t->running = true;
    t->loop->timers = merge(t->loop->timers, t);
}
