/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_SEEN_H
#define CASTELLAN_GATEWAY_SEEN_H

#include "core/base/arena.h"

/* Which of the n things in a list were named before: places in a table, four bytes for each slot, and no copies of
 * names. The hash is keyed at random, since clients choose the names. */
struct seen {
    const void *list;
    struct slice (*key)(const void *list, int32_t place); /* of the thing at a place; the same as long as this lives */
    int32_t *slots;                                       /* 1 + a place; 0: free */
    uint32_t mask;
    uint8_t secret[16];
};

/* Room for places 0 to n - 1. False: no memory. */
bool seen_init(struct seen *s, int32_t n, struct slice (*key)(const void *list, int32_t place), const void *list,
               struct arena *a);
/* The place that was put first under the key of this one; `place` itself when it is the first. */
int32_t seen_put(struct seen *s, int32_t place);
/* The place that was put first under a key; -1: none. */
int32_t seen_find(const struct seen *s, struct slice key);

#endif
