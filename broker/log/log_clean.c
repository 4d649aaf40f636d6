/* SPDX-License-Identifier: Apache-2.0
 * Compaction. */
#include "broker/log/log_private.h"

struct cleaner {
    int unused;
};

void cleaner_free(struct cleaner *c)
{
    (void)c;
}

double plog_clean_wanted(struct plog *l, int64_t now_ms)
{
    (void)l;
    (void)now_ms;
    return 0;
}

enum err plog_clean(struct plog *l, int64_t now_ms, size_t budget_bytes, bool *done, struct reason *why)
{
    (void)l;
    (void)now_ms;
    (void)budget_bytes;
    (void)why;
    *done = true;
    return ERR_OK;
}
