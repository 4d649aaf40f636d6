/* SPDX-License-Identifier: Apache-2.0
 * An input of several texts, one a line. */
#ifndef CASTELLAN_TESTS_FUZZ_LINES_H
#define CASTELLAN_TESTS_FUZZ_LINES_H

#include "core/base/slice.h"

static inline struct slice next_line(struct slice *rest)
{
    const uint8_t *end = rest->n ? memchr(rest->p, '\n', rest->n) : NULL;
    size_t n = end ? (size_t)(end - rest->p) : rest->n, used = n + (end != NULL);
    struct slice line = slice_of(rest->p, n);
    *rest = slice_of(rest->p + used, rest->n - used);
    return line;
}

#endif
