/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_BASE_ADDRESS_H
#define CASTELLAN_BASE_ADDRESS_H

#include "core/base/slice.h"

struct sockaddr_storage;

/* What limits by address count as one: an IPv4 address (also when mapped into IPv6), an IPv6 network of 64 bits, which
 * is what one customer or one machine has to itself; everything else (Unix sockets, no address) together. */
struct address_group {
    uint8_t bytes[9]; /* 4 or 6, then the address's first 4 or 8 bytes; zeros */
};

struct address_group address_group_of(const struct sockaddr_storage *a);
struct address_group address_group_of_text(const char *host); /* "127.0.0.1", "2001:db8::1", anything else */
static inline struct slice address_group_slice(const struct address_group *g)
{
    return slice_of(g->bytes, sizeof g->bytes);
}

#endif
