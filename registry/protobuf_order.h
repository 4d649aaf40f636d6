/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_PROTOBUF_ORDER_H
#define CASTELLAN_REGISTRY_PROTOBUF_ORDER_H

#include "core/base/arena.h"
#include "core/base/err.h"

/* The order in which the reference registry meets members it keeps in Java's hash maps. Its messages list differences
 * in that order, and clients see it. Everything lives in the arena given. */

/* A member of one or both schemas under its key: a name, or a number when the name is null. */
struct proto_keyed {
    struct slice name;
    int32_t tag;
    const void *was, *now; /* NULL: not there */
    uint32_t hash, place;  /* private */
};

struct proto_keyed_list {
    struct proto_keyed *v;
    uint32_t n;
};

struct proto_keyed proto_key_name(struct slice name, const void *was, const void *now);
struct proto_keyed proto_key_tag(int32_t tag, const void *was, const void *now);
/* As a HashMap holds them after they were put in this order; of one key the last value stays, in the first's place. */
void proto_order_map(struct proto_keyed_list *list);
/* As a HashSet made of the first map's keys, with the second's added; values of one key come together. */
enum err proto_order_union(struct arena *a, const struct proto_keyed_list *was, const struct proto_keyed_list *now,
                           struct proto_keyed_list *out) MUST_CHECK;

#endif
