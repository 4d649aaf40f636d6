/* SPDX-License-Identifier: Apache-2.0
 * The budgets of principals and addresses: made with their first session, gone with the last. */
#include "gateway/session/holders.h"

#include <assert.h>
#include <stdlib.h>

void holders_init(struct holders *h, int64_t process_max, int64_t holder_max)
{
    pthread_mutex_init(&h->lock, NULL);
    map_init(&h->by_key);
    budget_init(&h->process, "castellan.memory.max.bytes", NULL, process_max);
    h->process.soft = true;
    h->holder_max = holder_max;
}

void holders_free(struct holders *h)
{
    assert(map_count(&h->by_key) == 0);
    map_free(&h->by_key, NULL);
    pthread_mutex_destroy(&h->lock);
}

struct holder *holder_get(struct holders *h, struct slice key)
{
    struct holder *one;

    pthread_mutex_lock(&h->lock);
    one = map_get(&h->by_key, key);
    if (!one) {
        one = calloc(1, sizeof *one + key.n);
        if (one) {
            budget_init(&one->budget, "castellan.principal.memory.max.bytes", &h->process, h->holder_max);
            one->key_n = key.n;
            memcpy(one->key, key.p, key.n);
        }
        if (one && map_put(&h->by_key, key, one, NULL)) {
            free(one);
            one = NULL;
        }
    }
    if (one)
        one->sessions++;
    pthread_mutex_unlock(&h->lock);
    return one;
}

void holder_put(struct holders *h, struct holder *one)
{
    if (!one)
        return;
    pthread_mutex_lock(&h->lock);
    assert(one->sessions > 0);
    if (--one->sessions == 0) {
        assert(budget_used(&one->budget) == 0);
        map_remove(&h->by_key, slice_of(one->key, one->key_n));
        free(one);
    }
    pthread_mutex_unlock(&h->lock);
}
