/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_BROKER_LOG_EPOCHS_H
#define CASTELLAN_BROKER_LOG_EPOCHS_H

#include "core/base/buf.h"

/* Which leader epoch began at which offset: the leader-epoch-checkpoint of a partition. Both rise strictly. Pure. */
struct epoch_start {
    int32_t epoch;
    int64_t start_offset;
};

struct epochs {
    struct epoch_start *v;
    size_t n, cap;
};

void epochs_free(struct epochs *e);
int32_t epochs_latest(const struct epochs *e); /* -1: none */
/* A batch of `epoch` begins at `offset`; *changed when it begins a new epoch. Older epochs are ignored; entries that
 * the new one contradicts go. */
enum err epochs_assign(struct epochs *e, int32_t epoch, int64_t offset, bool *changed) MUST_CHECK;
bool epochs_truncate_end(struct epochs *e, int64_t end_offset);     /* drop those at or past it; true: changed */
bool epochs_truncate_start(struct epochs *e, int64_t start_offset); /* the one in force there begins there */
void epochs_end_offset(const struct epochs *e, int32_t epoch, int64_t log_end, int32_t *found, int64_t *end_offset);
int32_t epochs_at(const struct epochs *e, int64_t offset); /* -1: none */

enum err epochs_encode(const struct epochs *e, struct buf *out) MUST_CHECK;
enum err epochs_decode(struct epochs *e, struct slice text, struct reason *why) MUST_CHECK;

#endif
