/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_NET_ACCEPT_LIMIT_H
#define CASTELLAN_NET_ACCEPT_LIMIT_H

#include "core/base/address.h"
#include "core/base/err.h"

/* How many strangers may stand at the door, and how fast they may come: a stranger is a connection whose peer has not
 * yet said who it is. By address (IPv6: its /64) and together, over all listeners that share the limit. Shared by
 * threads; time is the caller's, so that tests have their own.
 *
 * Coming too fast means waiting, not being refused: each address has its turn every 1/rate seconds, after a burst of a
 * second's worth. So one address cannot take more than its share of the processor for handshakes, and an application
 * that starts with a thousand connections gets them all. */
struct accept_limit;

enum {
    ACCEPT_WAIT_MAX_MS = 10000, /* a turn further away than this is a refusal */
};

struct accept_limit_opts { /* each: 0 is no limit */
    int64_t strangers_max;
    int64_t strangers_per_address_max;
    int64_t rate_per_address; /* connections a second */
};

enum accept_verdict { ACCEPT_IN, ACCEPT_TOO_MANY, ACCEPT_TOO_MANY_OF_ADDRESS, ACCEPT_TOO_FAST, ACCEPT_NO_MEMORY };

struct accept_limit *accept_limit_new(const struct accept_limit_opts *opts); /* NULL: no memory. One hold. */
struct accept_limit *accept_limit_hold(struct accept_limit *l);              /* NULL is fine, here and below */
void accept_limit_free(struct accept_limit *l);                              /* drops one hold */

/* A connection came. ACCEPT_IN: it is a stranger until accept_limit_known(), and its handshake may begin in *wait_ms.
 */
enum accept_verdict accept_limit_enter(struct accept_limit *l, const struct address_group *from, int64_t now_us,
                                       int64_t *wait_ms);
/* The stranger is one no more: it said who it is, or it left. Exactly once for each ACCEPT_IN. */
void accept_limit_known(struct accept_limit *l, const struct address_group *from);
int64_t accept_limit_strangers(struct accept_limit *l);
size_t accept_limit_addresses(struct accept_limit *l); /* remembered at present: for tests */

#endif
