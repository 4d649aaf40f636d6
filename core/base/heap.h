/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_BASE_HEAP_H
#define CASTELLAN_BASE_HEAP_H

/* For roles that pass frames of a megabyte along: their memory stays with the process instead of going back to the
 * kernel after each one, which would clear and map the same pages again and again. Call once, at the start. */
void heap_keep_frames(void);
/* Give what is free back to the kernel now: after a start, or a request, that needed more memory than what follows. */
void heap_give_back(void);

#endif
