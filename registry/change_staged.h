/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_CHANGE_STAGED_H
#define CASTELLAN_REGISTRY_CHANGE_STAGED_H

#include "registry/change_internal.h"

/* Steps of one decision that build on one another: their records are kept, and applied to an overlay that the steps
 * after them see. They reach the log together with staged_commit(), or not at all. Stages may be nested. Not to be
 * moved while in use. */
struct staged_record {
    struct buf key, value;
    bool tombstone;
};

struct staged {
    struct decision d; /* for the steps: sees what was staged */
    struct store over;
    struct staged_record *records;
    size_t n, cap;
    enum err error;
};

void staged_init(struct staged *s, const struct decision *d);
void staged_free(struct staged *s);
void staged_commit(const struct staged *s, struct decision *d); /* when s->error is ERR_OK */

#endif
