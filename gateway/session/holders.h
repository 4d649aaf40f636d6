/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_HOLDERS_H
#define CASTELLAN_GATEWAY_HOLDERS_H

#include "core/base/err.h"
#include "core/base/map.h"
#include "gateway/request/budget.h"

#include <pthread.h>

/* Whose sessions share a budget of memory: a principal's, and before authentication an address's (IPv6: a /64's). One
 * set for the process; thread-safe. */
struct holder {
    struct budget budget;
    int sessions;
    size_t key_n;
    char key[]; /* "User:alice", or "address " and a struct address_group */
};

struct holders {
    pthread_mutex_t lock;
    struct map by_key; /* struct holder */
    struct budget process;
    int64_t holder_max;
};

void holders_init(struct holders *h, int64_t process_max, int64_t holder_max);
void holders_free(struct holders *h);
/* One more session of this holder. NULL: no memory. */
struct holder *holder_get(struct holders *h, struct slice key);
void holder_put(struct holders *h, struct holder *one); /* NULL is fine */

#endif
