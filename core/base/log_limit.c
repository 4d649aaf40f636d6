/* SPDX-License-Identifier: Apache-2.0
 * A window that starts with the first line after the last one ended. */
#include "core/base/log_limit.h"

bool log_limit_pass(struct log_limit *l, int64_t now_ms, uint64_t *held)
{
    if (l->passed == 0 || now_ms - l->window_began_ms >= LOG_LIMIT_WINDOW_MS) {
        l->window_began_ms = now_ms;
        l->passed = 0;
    }
    if (l->passed == LOG_LIMIT_LINES) {
        l->held++;
        return false;
    }
    l->passed++;
    *held = l->held;
    l->held = 0;
    return true;
}
