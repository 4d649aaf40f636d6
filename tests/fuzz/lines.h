/* SPDX-License-Identifier: Apache-2.0
 * An input of several texts, one a line. */
#ifndef CASTELLAN_TESTS_FUZZ_LINES_H
#define CASTELLAN_TESTS_FUZZ_LINES_H

#include "core/base/slice.h"

static inline struct slice next_line(struct slice *rest)
{
    size_t n = 0;
    while (n < rest->n && rest->p[n] != '\n')
        n++;
    struct slice line = slice_of(rest->p, n);
    size_t used = n < rest->n ? n + 1 : n;
    *rest = slice_of(rest->p + used, rest->n - used);
    return line;
}

#endif
