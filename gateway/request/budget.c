/* SPDX-License-Identifier: Apache-2.0
 * The chain of budgets. A take adds first and looks then, so that two workers never pass the same limit together; what
 * was added is taken back when a level above refuses. */
#include "gateway/request/budget.h"

#include <assert.h>
#include <stddef.h>

void budget_init(struct budget *b, const char *setting, struct budget *parent, int64_t max)
{
    assert(max > 0);
    *b = (struct budget){.setting = setting, .parent = parent, .max = max};
}

const struct budget *budget_take(struct budget *b, int64_t bytes)
{
    assert(bytes >= 0);
    for (struct budget *at = b; at; at = at->parent) {
        int64_t before = atomic_fetch_add(&at->used, bytes);
        if (at->soft || (bytes <= at->max && before <= at->max - bytes))
            continue;
        for (struct budget *back = b;; back = back->parent) {
            atomic_fetch_sub(&back->used, bytes);
            if (back == at)
                return at;
        }
    }
    return NULL;
}

void budget_give(struct budget *b, int64_t bytes)
{
    assert(bytes >= 0);
    for (struct budget *at = b; at; at = at->parent) {
        int64_t before = atomic_fetch_sub(&at->used, bytes);
        assert(before >= bytes);
        (void)before;
    }
}

void budget_move(struct budget *b, struct budget *parent)
{
    int64_t used = budget_used(b);

    if (b->parent)
        budget_give(b->parent, used);
    b->parent = parent;
    for (struct budget *at = parent; at; at = at->parent)
        atomic_fetch_add(&at->used, used);
}

bool budget_has(const struct budget *b, int64_t bytes)
{
    for (; b; b = b->parent)
        if (!b->soft && (bytes > b->max || budget_used(b) > b->max - bytes))
            return false;
    return true;
}

int64_t budget_used(const struct budget *b)
{
    return atomic_load(&b->used);
}
