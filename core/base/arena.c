/* SPDX-License-Identifier: Apache-2.0
 * A chain of chunks, newest first. Chunks double from 4 KiB to 1 MiB; larger requests get a chunk of their own. */
#include "core/base/arena.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

struct arena_chunk {
    struct arena_chunk *next;
    size_t cap, used;
    max_align_t data[];
};

enum { CHUNK_MIN = 4096, CHUNK_MAX = 1024 * 1024 };

void arena_init(struct arena *a, size_t max)
{
    *a = (struct arena){.max = max};
}

static void free_chain(struct arena_chunk *c)
{
    while (c) {
        struct arena_chunk *next = c->next;
        free(c);
        c = next;
    }
}

void arena_free(struct arena *a)
{
    free_chain(a->head);
    a->head = NULL;
    a->used = 0;
}

void arena_reset(struct arena *a)
{
    if (!a->head)
        return;
    free_chain(a->head->next);
    a->head->next = NULL;
    a->head->used = 0;
    a->used = 0;
}

static void *take(struct arena *a, size_t n)
{
    const size_t align = sizeof(max_align_t);
    size_t max = a->max ? a->max : (size_t)ARENA_MAX_DEFAULT;
    struct arena_chunk *c = a->head;
    void *p;

    if (n > max || a->used > max - n)
        return NULL;
    n = (n + align - 1) / align * align;
    if (n == 0)
        n = align;
    if (!c || c->cap - c->used < n) {
        size_t cap = c ? c->cap * 2 : CHUNK_MIN;
        if (cap > CHUNK_MAX)
            cap = CHUNK_MAX;
        if (cap < n)
            cap = n;
        c = malloc(sizeof *c + cap);
        if (!c)
            return NULL;
        c->next = a->head;
        c->cap = cap;
        c->used = 0;
        a->head = c;
    }
    p = (uint8_t *)c->data + c->used;
    c->used += n;
    a->used += n;
    return p;
}

void *arena_alloc(struct arena *a, size_t n)
{
    void *p = take(a, n);
    return p ? memset(p, 0, n) : NULL;
}

void *arena_array_unset(struct arena *a, size_t count, size_t size)
{
    size_t n;
    if (__builtin_mul_overflow(count, size, &n))
        return NULL;
    return take(a, n);
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
    size_t n;
    if (__builtin_mul_overflow(count, size, &n))
        return NULL;
    return arena_alloc(a, n);
}

struct slice arena_copy(struct arena *a, struct slice s)
{
    void *p;
    if (!s.p)
        return SLICE_NULL;
    p = arena_alloc(a, s.n);
    if (!p)
        return SLICE_NULL;
    if (s.n)
        memcpy(p, s.p, s.n);
    return slice_of(p, s.n);
}

char *arena_strdup(struct arena *a, struct slice s)
{
    char *p = arena_alloc(a, s.n + 1);
    if (p && s.n)
        memcpy(p, s.p, s.n);
    return p;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    int n;
    char *p;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        return NULL;
    p = arena_alloc(a, (size_t)n + 1);
    if (!p)
        return NULL;
    va_start(ap, fmt);
    vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return p;
}
