/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_NET_LISTENER_INTERNAL_H
#define CASTELLAN_NET_LISTENER_INTERNAL_H

#include "core/net/listener.h"

/* Gives back the place of an accepted connection; thread-safe. */
void listener_leave(const struct accepted *a);
void listener_peer_is_known(struct accepted *a);
/* "127.0.0.1" or "::1" into host, the port into *port; a v4 address mapped into v6 is shown as v4. */
void sockaddr_print(const struct sockaddr_storage *a, char *host, size_t cap, uint16_t *port);

#endif
