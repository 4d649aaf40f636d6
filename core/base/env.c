/* SPDX-License-Identifier: Apache-2.0
 * The real environment and the test one. The real random() reads the kernel's generator and stops the process when it
 * cannot: nothing may go on with weak randomness. */
#include "core/base/env.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

static int64_t system_mono_us(struct env *e)
{
    struct timespec t;
    (void)e;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t system_wall_ms(struct env *e)
{
    struct timespec t;
    (void)e;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void system_random(struct env *e, void *out, size_t n)
{
    uint8_t *p = out;
    (void)e;
    while (n) {
        ssize_t r = getrandom(p, n, 0);
        if (r <= 0)
            abort();
        p += r;
        n -= (size_t)r;
    }
}

static bool system_fault(struct env *e, const char *point)
{
    (void)e;
    (void)point;
    return false;
}

struct env *env_system(void)
{
    static struct env e = {system_mono_us, system_wall_ms, system_random,
                           system_fault}; /* allow: the one real world: it holds no state */
    return &e;
}

static int64_t test_mono_us(struct env *e)
{
    return ((struct env_test *)e)->now_us;
}

static int64_t test_wall_ms(struct env *e)
{
    struct env_test *t = (struct env_test *)e;
    return t->wall_base_ms + t->now_us / 1000;
}

static void test_random(struct env *e, void *out, size_t n)
{
    struct env_test *t = (struct env_test *)e;
    uint8_t *p = out;
    for (size_t i = 0; i < n; i++) {
        /* splitmix64, one byte per step: slow, plain and the same everywhere */
        uint64_t z = (t->seed += 0x9e3779b97f4a7c15u);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        p[i] = (uint8_t)(z >> 56);
    }
}

static bool test_fault(struct env *e, const char *point)
{
    struct env_test *t = (struct env_test *)e;
    (void)point;
    if (t->fault_countdown < 0)
        return false;
    if (t->fault_countdown-- > 0)
        return false;
    t->fault_fired = true;
    return true;
}

void env_test_init(struct env_test *t, uint64_t seed)
{
    memset(t, 0, sizeof *t);
    t->env = (struct env){test_mono_us, test_wall_ms, test_random, test_fault};
    t->seed = seed;
    t->now_us = 1000000;
    t->wall_base_ms = 1700000000000;
    t->fault_countdown = -1;
}

void env_test_advance_ms(struct env_test *t, int64_t ms)
{
    t->now_us += ms * 1000;
}
