/* SPDX-License-Identifier: Apache-2.0
 * How the C library's heap is used. Its defaults return any free megabyte at the top to the kernel; measured on the
 * brokers, a fetch of 1 MiB then spent two thirds of its kernel time on page faults. */
#include "core/base/heap.h"

#include <malloc.h>

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
