/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_ACL_FAILURE_LIMIT_H
#define CASTELLAN_ACL_FAILURE_LIMIT_H

#include "core/base/address.h"
#include "core/base/err.h"

/* How fast one address may be wrong about who it is: the one limiter of SASL, mutual TLS, the registry and the admin
 * interface. Pure: state, event, time (any clock that does not go back, in milliseconds). Not thread-safe.
 *
 * An address (IPv6: its /64) has a level: each failure raises it by one, each FAILURE_FORGIVEN_MS without one lowers it
 * by one. From the level follow two delays:
 *   - a failed attempt is answered, or its connection closed, `delay_ms` after it came, doubled for every
 *     FAILURE_PER_DOUBLING failures before it, at most FAILURE_DELAY_MAX_MS;
 *   - from level FAILURE_HOLD_LEVEL on, an attempt waits for the delay of the address's last failure *before* it is
 *     judged, right or wrong. Somebody who does not wait for answers, or asks on many connections, gains nothing, and a
 *     guess costs no more hashing than one in so many seconds and connection.
 * One client that tries a wrong password for ever comes to rest where its failures are FAILURE_FORGIVEN_MS apart, at a
 * delay of three to six seconds; the most is for those who try on many connections.
 * A user's name has no part in it, so nobody can lock somebody else out; an address without recent failures never
 * waits. The level ends at FAILURE_LEVEL_MAX, so all is forgiven after FAILURE_LEVEL_MAX * FAILURE_FORGIVEN_MS.
 *
 * The table is bounded: addresses that are forgiven make room first, then the one with the lowest level that was quiet
 * longest. Whoever comes while it is full is answered with the longest delay. */
struct failure_limit;

enum {
    FAILURE_DELAY_MAX_MS = 10000,
    FAILURE_PER_DOUBLING = 3,
    FAILURE_LEVEL_MAX = 22,  /* 100 ms, doubled seven times, is over FAILURE_DELAY_MAX_MS */
    FAILURE_HOLD_LEVEL = 10, /* some typing errors cost nobody else at the address anything */
    FAILURE_FORGIVEN_MS = 5000,
    FAILURE_ADDRESSES_MAX = 16384,
};

/* For a table of settings (core/base/settings.h). */
#define FAILURE_DELAY_SETTING_ROW                                                                                      \
    {                                                                                                                  \
        "connection.failed.authentication.delay.ms", SETTING_INT, "100", 0, FAILURE_DELAY_MAX_MS,                      \
            "a failed authentication is answered after this, doubled with each further one of the address; 0: at once" \
    }

/* `delay_ms`: Kafka's connection.failed.authentication.delay.ms; 0: no limit, nothing is ever delayed. NULL: no memory.
 */
struct failure_limit *failure_limit_new(int64_t delay_ms, size_t addresses_max);
void failure_limit_free(struct failure_limit *l); /* NULL is fine */

/* An attempt is about to be judged: how long it has to wait before, 0 mostly. */
int64_t failure_limit_before(struct failure_limit *l, const struct address_group *from, int64_t now_ms);
/* It failed: when its answer may leave, from now. `waited_ms`: what failure_limit_before() asked for. */
int64_t failure_limit_failed(struct failure_limit *l, const struct address_group *from, int64_t waited_ms,
                             int64_t now_ms);
size_t
failure_limit_addresses(const struct failure_limit *l); /* with a level, as far as known: for tests and metrics */

#endif
