/* SPDX-License-Identifier: Apache-2.0
 * How the C library's heap is used. Its defaults return any free megabyte at the top to the kernel; measured on the
 * brokers, a fetch of 1 MiB then spent two thirds of its kernel time on page faults. */
#include "core/base/heap.h"

#include <malloc.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

enum { HEAP_KEPT_MAX = 16 << 20 }; /* free at the top of an arena before some of it is returned */

void heap_keep_frames(void)
{
#ifdef __GLIBC__
    (void)mallopt(M_MMAP_THRESHOLD, HEAP_KEPT_MAX);
    (void)mallopt(M_TRIM_THRESHOLD, HEAP_KEPT_MAX);
#endif
}

void heap_give_back(void)
{
#ifdef __GLIBC__
    (void)malloc_trim(0);
#endif
}

/* ---- What a storm left ---- */

static size_t resident_bytes(void)
{
    unsigned long long size = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "re");

    if (!f)
        return 0;
    if (fscanf(f, "%llu %llu", &size, &resident) != 2)
        resident = 0;
    fclose(f);
    return (size_t)resident * (size_t)sysconf(_SC_PAGESIZE);
}

static int64_t cpu_us(void)
{
    struct rusage u;

    if (getrusage(RUSAGE_SELF, &u))
        return 0;
    return (int64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 + u.ru_utime.tv_usec + u.ru_stime.tv_usec;
}

bool heap_is_worth_it(size_t floor, size_t resident, int64_t used_us, int64_t elapsed_ms)
{
    bool idle = elapsed_ms > 0 && used_us < elapsed_ms * 1000 / 100 * HEAP_IDLE_PERCENT;

    return idle && floor && resident > floor && resident - floor >= HEAP_GROWN_MIN && resident - floor >= floor / 8;
}

bool heap_look(struct heap_keeper *k, int64_t now_ms)
{
    size_t resident = resident_bytes(), after = resident;
    int64_t cpu = cpu_us();
    bool worth =
        now_ms >= k->not_before_ms && heap_is_worth_it(k->floor, resident, cpu - k->cpu_us, now_ms - k->looked_ms);

    if (worth) {
        heap_give_back();
        after = resident_bytes();
        k->wait_ms = after + HEAP_GROWN_MIN <= resident || k->wait_ms == 0 ? HEAP_WAIT_MS_MIN : 2 * k->wait_ms;
        k->wait_ms = k->wait_ms > HEAP_WAIT_MS_MAX ? HEAP_WAIT_MS_MAX : k->wait_ms;
        k->not_before_ms = now_ms + k->wait_ms;
    }
    if (k->floor == 0 || after < k->floor)
        k->floor = after;
    k->cpu_us = cpu_us();
    k->looked_ms = now_ms;
    return worth;
}
