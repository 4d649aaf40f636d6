/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_DOOR_H
#define CASTELLAN_GATEWAY_DOOR_H

#include "acl/failure_limit.h"
#include "core/net/accept_limit.h"

#include <pthread.h>

struct settings;

/* What stands before a session: how many strangers may wait and how fast they may come (core/net/accept_limit.h), and
 * what an address waits that failed to say who it is (acl/failure_limit.h). One for the process: all listeners, SASL,
 * mutual TLS and the admin interface. Thread-safe; no caller waits in here, it is told how long. */
struct door {
    struct accept_limit *strangers;
    pthread_mutex_t lock; /* guards failures */
    struct failure_limit *failures;
    int64_t authentication_ms; /* a connection that has not authenticated by then is closed */
};

#define DOOR_SETTING_ROWS                                                                                              \
    FAILURE_DELAY_SETTING_ROW,                                                                                         \
        {"castellan.authentication.timeout.ms",                                                                        \
         SETTING_INT,                                                                                                  \
         "30000",                                                                                                      \
         1000,                                                                                                         \
         INT32_MAX,                                                                                                    \
         "a connection that has not authenticated by then is closed"},                                                 \
        {"castellan.unauthenticated.connections.max",                                                                  \
         SETTING_INT,                                                                                                  \
         "4000",                                                                                                       \
         0,                                                                                                            \
         1000000,                                                                                                      \
         "connections that have not authenticated yet, on all ports; 0: no limit"},                                    \
        {"castellan.unauthenticated.connections.per.address.max",  SETTING_INT, "500", 0, 1000000,                     \
         "of these, from one address (IPv6: one /64); 0: no limit"},                                                   \
    {                                                                                                                  \
        "castellan.connection.creation.rate.per.address", SETTING_INT, "200", 0, 1000000,                              \
            "connections a second from one address; what comes faster waits its turn; 0: no limit"                     \
    }

enum err door_open(struct door *d, const struct settings *s, struct reason *why) MUST_CHECK;
void door_close(struct door *d);

/* How long an attempt from this address waits before it is judged; then, when it failed, how long until it is told. */
int64_t door_before(struct door *d, const struct address_group *from);
int64_t door_failed(struct door *d, const struct address_group *from, int64_t waited_ms);

#endif
