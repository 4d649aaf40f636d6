/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_JSON_JAVA_H
#define CASTELLAN_REGISTRY_JSON_JAVA_H

#include "core/base/arena.h"
#include "core/base/slice.h"

/* The order in which Java's HashMap and HashSet hand out string keys. The reference keeps keywords and properties in
 * such maps: the order shows in what it makes of a schema and in the order of its messages. Source: the specification
 * of String.hashCode, and the documented growth of HashMap (16 buckets, doubled beyond three quarters). */
struct json_java_key {
    struct slice name; /* UTF-8 */
    uint32_t index;    /* the caller's; keys of one bucket stay in the order of it */
    uint32_t bucket;
};

uint32_t json_java_hash(struct slice utf8);
uint32_t json_java_buckets(uint32_t keys);                      /* of a map that grew to so many keys */
uint32_t json_java_buckets_copied(uint32_t keys, uint32_t all); /* of a set made from some keys, grown to all */
void json_java_sort(struct json_java_key *keys, uint32_t n, uint32_t buckets);

#endif
