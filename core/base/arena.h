/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_BASE_ARENA_H
#define CASTELLAN_BASE_ARENA_H

#include "core/base/slice.h"

/* Memory with one lifetime: allocated in pieces, freed whole. For one request, one decision, one parsed document.
 * Allocation returns NULL when memory or the cap runs out; memory is zeroed and aligned for any type. */
struct arena {
    struct arena_chunk *head;
    size_t used; /* bytes handed out */
    size_t max;  /* cap; 0 means ARENA_MAX_DEFAULT */
};

enum { ARENA_MAX_DEFAULT = 512 * 1024 * 1024 };

void arena_init(struct arena *a, size_t max);
void arena_free(struct arena *a);  /* frees everything; may be used again */
void arena_reset(struct arena *a); /* as arena_free, but keeps one chunk for the next use */
void *arena_alloc(struct arena *a, size_t n);
void *arena_array(struct arena *a, size_t count, size_t size); /* overflow-checked */
/* The same, but the memory is not zeroed: for long arrays whose elements are all written one after the other. */
void *arena_array_unset(struct arena *a, size_t count, size_t size);
struct slice arena_copy(struct arena *a, struct slice s); /* null stays null; SLICE_NULL on failure */
char *arena_strdup(struct arena *a, struct slice s);      /* NUL-terminated copy; "" for null */
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
