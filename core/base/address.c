/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

static struct address_group of_v4(const void *address)
{
    struct address_group g = {{4}};
    memcpy(g.bytes + 1, address, 4);
    return g;
}

static struct address_group of_v6(const struct in6_addr *address)
{
    struct address_group g = {{6}};

    if (IN6_IS_ADDR_V4MAPPED(address))
        return of_v4(address->s6_addr + 12);
    memcpy(g.bytes + 1, address->s6_addr, 8);
    return g;
}

struct address_group address_group_of(const struct sockaddr_storage *a)
{
    if (a->ss_family == AF_INET)
        return of_v4(&((const struct sockaddr_in *)(const void *)a)->sin_addr);
    if (a->ss_family == AF_INET6)
        return of_v6(&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr);
    return (struct address_group){{0}};
}

struct address_group address_group_of_text(const char *host)
{
    struct in6_addr v6;
    struct in_addr v4;

    if (inet_pton(AF_INET, host, &v4) == 1)
        return of_v4(&v4);
    if (inet_pton(AF_INET6, host, &v6) == 1)
        return of_v6(&v6);
    return (struct address_group){{0}};
}
