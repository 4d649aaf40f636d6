/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_BASE_LOG_LIMIT_H
#define CASTELLAN_BASE_LOG_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

/* Keeps lines that a peer can cause from filling the log: at most LOG_LIMIT_LINES in each LOG_LIMIT_WINDOW_MS pass, the
 * others are counted. Zeroed memory is a fresh limit. One thread at a time. */
enum { LOG_LIMIT_LINES = 10, LOG_LIMIT_WINDOW_MS = 10000 };

struct log_limit {
    int64_t window_began_ms;
    uint32_t passed; /* in this window */
    uint64_t held;   /* since a line passed last */
};

/* Whether a line may be written now (`now_ms` never goes back). If so, *held tells how many were not written since the
 * last one that was. */
bool log_limit_pass(struct log_limit *l, int64_t now_ms, uint64_t *held);

#endif
