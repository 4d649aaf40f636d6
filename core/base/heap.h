/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_BASE_HEAP_H
#define CASTELLAN_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* For roles that pass frames of a megabyte along: their memory stays with the process instead of going back to the
 * kernel after each one, which would clear and map the same pages again and again. Call once, at the start. */
void heap_keep_frames(void);
/* Give what is free back to the kernel now: after a start, or a request, that needed more memory than what follows. */
void heap_give_back(void);

/* Gives back by itself what a storm left, for a role's timer. Giving back can hold an arena for long (a second for a
 * few hundred MiB in small pieces), so it is done only while the process does next to nothing. Zeroed is fresh. */
struct heap_keeper {
    size_t floor;   /* the fewest bytes that were resident; 0: not known */
    int64_t cpu_us; /* of the process, at the last look */
    int64_t looked_ms;
    int64_t wait_ms, not_before_ms; /* when it brought little, the next try comes later */
};
enum {
    HEAP_LOOK_MS = 2000,
    HEAP_GROWN_MIN = 8 << 20, /* above the floor, and an eighth of it: then there may be something to give back */
    HEAP_IDLE_PERCENT = 10,   /* of one processor */
    HEAP_WAIT_MS_MIN = 4000,
    HEAP_WAIT_MS_MAX = 300000,
};
/* True: it was tried. */
bool heap_look(struct heap_keeper *k, int64_t now_ms);
/* The decision: pure. `used_us` of processor time in `elapsed_ms`. */
bool heap_is_worth_it(size_t floor, size_t resident, int64_t used_us, int64_t elapsed_ms);

#endif
