/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_SORTING_H
#define CASTELLAN_GATEWAY_SORTING_H

#include "core/base/arena.h"

/* A merge sort that can pause: a client chooses how long the list is, and how equal its names. What is sorted are
 * places of the list, which stays as it is; equal ones keep their order. */
struct sorting {
    int32_t *sorted;         /* the places in order, once sorting_next() said false */
    int32_t *into;           /* where the pass at hand puts them */
    int32_t n, width;        /* runs of so many are in order */
    int32_t at, left, right; /* of `into`: the next; of the two runs at hand: the next of each */
    int32_t middle, end;     /* where the right one begins and ends */
};

/* False: no memory. */
bool sorting_begin(struct sorting *s, int32_t n, struct arena *a);
/* Moves one place. False: all are in order. About n log n calls. */
bool sorting_next(struct sorting *s, int (*compare)(const void *list, int32_t a, int32_t b), const void *list);

#endif
