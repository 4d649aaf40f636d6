/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_TESTS_MALLOC_FAULT_H
#define CASTELLAN_TESTS_MALLOC_FAULT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* Countdown faults of malloc and its kin, in everything that is linked statically (tests/CMakeLists.txt has the linker
 * call these in a test that includes this header). Allocations of all threads count. Include it in one file only. */
enum { MALLOC_FAULT_NONE = -1000000000 };
static atomic_int malloc_fault_countdown = MALLOC_FAULT_NONE; /* n: the (n+1)-th allocation from now fails */
static atomic_int malloc_fault_length = 1;                    /* how many fail from there on */
static atomic_bool malloc_fault_fired;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);

static bool malloc_fault_now(void)
{
    int left;

    if (atomic_load(&malloc_fault_countdown) == MALLOC_FAULT_NONE)
        return false;
    left = atomic_fetch_sub(&malloc_fault_countdown, 1);
    if (left > 0 || left <= -atomic_load(&malloc_fault_length))
        return false;
    atomic_store(&malloc_fault_fired, true);
    return true;
}

static inline void malloc_fault_arm(int countdown, int length)
{
    atomic_store(&malloc_fault_fired, false);
    atomic_store(&malloc_fault_length, length);
    atomic_store(&malloc_fault_countdown, countdown);
}

void *__wrap_malloc(size_t n)
{
    return malloc_fault_now() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return malloc_fault_now() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
    return malloc_fault_now() ? NULL : __real_realloc(p, n);
}

char *__wrap_strdup(const char *s)
{
    return malloc_fault_now() ? NULL : __real_strdup(s);
}

char *__wrap_strndup(const char *s, size_t n)
{
    return malloc_fault_now() ? NULL : __real_strndup(s, n);
}

#endif
