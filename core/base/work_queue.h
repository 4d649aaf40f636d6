/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_BASE_WORK_QUEUE_H
#define CASTELLAN_BASE_WORK_QUEUE_H

#include "core/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whose turn it is: the order of a pool's work (core/net/work_pool.h), without its threads. Shares (a principal each)
 * take turns, entries of one share go in the order they came. What runs at once, what waits and the memory that work
 * may hold are bounded for all and for each share, so that what one share sends delays the others by little. Not
 * thread-safe, allocates nothing. */
enum { WORK_SHARES = 1024 }; /* share keys that are equal modulo this are one share */

struct work_entry {
    struct work_entry *next; /* the queue's */
    uint64_t share;          /* the caller's, as `bytes`: constant while the entry waits or runs */
    size_t bytes;            /* the most memory that it will hold; 0: little, it need not wait for memory */
};

struct work_limits {
    size_t waiting_max, waiting_per_share_max;
    size_t running_per_share_max;
    size_t bytes_max, bytes_per_share_max; /* an entry that wants more goes when nothing else is held */
};

struct work_queue {
    struct work_limits limits;
    struct work_share {
        struct work_share *next, *prev; /* the ring of those with entries that wait; NULL: not in it */
        struct work_entry *head, *tail;
        size_t waiting, running, bytes;
    } shares[WORK_SHARES];
    struct work_share *turn; /* who is asked first */
    size_t waiting, running, bytes;
};

void work_queue_init(struct work_queue *q, const struct work_limits *limits);
/* ERR_LIMIT_EXCEEDED: too much waits already. */
enum err work_queue_put(struct work_queue *q, struct work_entry *e) MUST_CHECK;
/* The entry that may run now: it counts as running and holds its bytes. NULL: none may. */
struct work_entry *work_queue_take(struct work_queue *q);
/* It ran, and holds `kept` bytes (at most e->bytes) until work_queue_give_back(). */
void work_queue_ran(struct work_queue *q, const struct work_entry *e, size_t kept);
void work_queue_give_back(struct work_queue *q, uint64_t share, size_t bytes);
/* Any entry that waits, out of the queue, whatever the limits: to end with. */
struct work_entry *work_queue_drop(struct work_queue *q);

#endif
