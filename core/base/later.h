/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_BASE_LATER_H
#define CASTELLAN_BASE_LATER_H

#include <stdbool.h>
#include <stdint.h>

/* Calls that are due later, made by one thread of their own; for servers whose threads belong to a library, so that
 * none of them sleeps. (What lives on a loop has loop_timer.) An item is its owner's memory, queued at most once, and
 * must stay until its call was made. Calls must be short. Thread-safe. */
struct later;

struct later_item {
    struct later_item *next, *prev;
    int64_t due_ms; /* monotonic */
    void (*fn)(void *ctx);
    void *ctx;
};

struct later *later_start(void); /* NULL: no memory, or no thread */
void later_add(struct later *l, struct later_item *i, int64_t after_ms, void (*fn)(void *ctx), void *ctx);
/* Makes all calls that wait, and from now on each one at once. When it returns none is under way. NULL is fine. */
void later_flush(struct later *l);
void later_stop(struct later *l); /* nothing may wait; NULL is fine */

#endif
