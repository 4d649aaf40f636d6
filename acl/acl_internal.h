/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_ACL_ACL_INTERNAL_H
#define CASTELLAN_ACL_ACL_INTERNAL_H

#include "acl/acl.h"
#include "core/base/arena.h"
#include "core/base/map.h"

#include <stdatomic.h>

/* The inside of a snapshot, shared by the builder (acl_snapshot.c) and the decision (acl_decide.c).
 *
 * rules     sorted; those of one pattern lie together, and within it those of one (principal, host) pair: an entry
 * entries   what a (principal, host) pair may and may not do on one pattern, as bit masks over operations
 * patterns  one per (type, name, LITERAL or PREFIXED) that any rule names
 * slots     open addressing from a hash of (type, kind, name) to patterns
 * lengths   per type, the distinct lengths of its prefixes: a name is hashed once, byte by byte, and looked up at those
 *           lengths only
 * by_who    entries sorted by (type, principal), for authorize-by-resource-type */

enum { ACL_TYPE_SLOTS = 9, ACL_NOBODY = UINT32_MAX, ACL_HOST_TEXT_MAX = 64 };

struct acl_entry {
    uint32_t principal, host; /* ranks among the snapshot's principals and hosts */
    uint16_t allow;           /* with what it implies */
    uint16_t allow_named;     /* as the rules say */
    uint16_t deny;
    uint32_t pattern;
    uint32_t rule_at, rule_n;
};

struct acl_node { /* a pattern */
    struct slice name;
    uint8_t type; /* slot of the type */
    bool prefixed;
    uint32_t entry_at, entry_n;
};

struct acl_slot {
    uint32_t tag;     /* upper half of the hash */
    uint32_t pattern; /* index + 1; 0: free */
};

struct acl_type_index {
    uint32_t wildcard; /* pattern of the literal "*", or ACL_NOBODY */
    uint32_t lengths_at, lengths_n;
};

struct acl_snapshot {
    atomic_int refs;
    struct arena arena; /* everything below but the maps */
    struct acl_rule *rules;
    struct acl_entry *entries;
    struct acl_node *patterns;
    struct acl_slot *slots;
    uint16_t *lengths;
    uint32_t *by_who;
    uint32_t rules_n, entries_n, patterns_n, slots_mask;
    struct acl_type_index types[ACL_TYPE_SLOTS];
    struct map principals;  /* text -> rank + 1 */
    struct map hosts;       /* canonical text -> rank + 1 */
    struct map super_users; /* text -> non-NULL */
    uint32_t everyone;      /* rank of "User:*", or ACL_NOBODY */
    uint32_t anywhere;      /* rank of "*", or ACL_NOBODY */
    bool allow_if_no_acl;
};

/* 0 .. ACL_TYPE_SLOTS-1, or -1 for types that name no resource. */
static inline int acl_type_slot(enum acl_type t)
{
    switch (t) {
    case ACL_TYPE_UNKNOWN:
    case ACL_TYPE_ANY:
        return -1;
    case ACL_TOPIC:
    case ACL_GROUP:
    case ACL_CLUSTER:
    case ACL_TRANSACTIONAL_ID:
    case ACL_DELEGATION_TOKEN:
    case ACL_USER:
        return (int)t - ACL_TOPIC;
    case ACL_SUBJECT:
        return 6;
    case ACL_DATA_SUBJECT:
        return 7;
    }
    return -1;
}

/* The hash of a name grows byte by byte, so that one pass gives the hash of every prefix. Rules come from
 * administrators; a client's name can at worst hit a wrong tag, which costs one comparison. */
static inline uint64_t acl_hash_start(int type_slot)
{
    return 0x243f6a8885a308d3u ^ ((uint64_t)type_slot << 56);
}

static inline uint64_t acl_hash_byte(uint64_t h, uint8_t b)
{
    return (h ^ b) * 0x9e3779b97f4a7c15u;
}

static inline uint64_t acl_hash_end(uint64_t h, bool prefixed)
{
    h ^= prefixed ? 0xa5a5a5a5a5a5a5a5u : 0;
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93u;
    return h ^ h >> 29;
}

/* "0:0:0:0:0:0:0:1" and "::1" are one host; an IPv4-mapped address is the IPv4 one, as Java prints it. Returns `host`
 * itself or a slice into `space`. */
struct slice acl_host_canonical(struct slice host, char space[ACL_HOST_TEXT_MAX]);

#endif
