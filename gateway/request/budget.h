/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_BUDGET_H
#define CASTELLAN_GATEWAY_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* How much memory requests may hold: request -> session -> principal (before authentication: address) -> process.
 * What is taken counts on every level or on none. The process's own level never refuses: when it is full, reading stops
 * (gateway/request/pipeline.h). Levels above a session are shared by workers, so all counts are atomic. */
struct budget {
    const char *setting; /* that sets `max`; named in refusals */
    struct budget *parent;
    int64_t max;
    bool soft; /* counts, never refuses */
    _Atomic int64_t used;
};

void budget_init(struct budget *b, const char *setting, struct budget *parent, int64_t max);
/* NULL: taken. Otherwise the level that is full, and nothing was taken. */
const struct budget *budget_take(struct budget *b, int64_t bytes);
void budget_give(struct budget *b, int64_t bytes);
/* Count from now on under another parent: the client of this session is known now. */
void budget_move(struct budget *b, struct budget *parent);
bool budget_has(const struct budget *b, int64_t bytes); /* would a take go well now? */
int64_t budget_used(const struct budget *b);

#endif
