/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_ACL_QUOTA_H
#define CASTELLAN_ACL_QUOTA_H

#include "core/base/buf.h"

/* Client quotas: KIP-13, KIP-55 (user, client-id), KIP-124 (request time), KIP-219 (throttling), KIP-546 (the admin
 * API), KIP-599 (controller mutations), KIP-612 (connection rate per IP). `struct quota_table` is the mutable set of
 * limits, `struct quota_snapshot` the immutable one that workers share; the meters are in acl/quota_meter.h. */

enum quota_key {
    QUOTA_PRODUCER_BYTE_RATE,       /* bytes/s, integer */
    QUOTA_CONSUMER_BYTE_RATE,       /* bytes/s, integer */
    QUOTA_REQUEST_PERCENTAGE,       /* percent of one thread's time */
    QUOTA_CONTROLLER_MUTATION_RATE, /* partitions created or deleted per second */
    QUOTA_CONNECTION_CREATION_RATE, /* connections/s, integer; ip entities only */
};
enum { QUOTA_KEYS = 5 };

const char *quota_key_name(enum quota_key k); /* "producer_byte_rate" */
bool quota_key_parse(struct slice s, enum quota_key *out);

/* One part of an entity: absent, the default ("<default>", null on the wire), or a name. */
enum quota_part_kind { QUOTA_ABSENT, QUOTA_DEFAULT, QUOTA_NAMED };
struct quota_part {
    enum quota_part_kind kind;
    struct slice name; /* QUOTA_NAMED only */
};
struct quota_entity {
    struct quota_part user, client_id, ip;
};

/* Fill one part from the wire's entity type and name (null name: the default). Kafka's texts, ERR_INVALID_REQUEST:
 * unknown type, duplicate type, empty name. */
enum err quota_entity_set(struct quota_entity *e, struct slice type, struct slice name, struct reason *why) MUST_CHECK;
/* AlterClientQuotas' checks of the whole entity, and of one key=value on it. ERR_INVALID_REQUEST. */
enum err quota_entity_validate(const struct quota_entity *e, struct reason *why) MUST_CHECK;
enum err quota_value_validate(const struct quota_entity *e, struct slice key, double value, enum quota_key *out,
                              struct reason *why) MUST_CHECK;
/* "user=alice, client-id=<default>". Appends. */
void quota_entity_put(struct buf *out, const struct quota_entity *e);

struct quota_limits {
    bool set[QUOTA_KEYS];
    double value[QUOTA_KEYS];
};

/* --- DescribeClientQuotas --- */
enum quota_match { QUOTA_MATCH_EXACT = 0, QUOTA_MATCH_DEFAULT = 1, QUOTA_MATCH_SPECIFIED = 2 };
struct quota_filter_part {
    bool used;
    enum quota_match match;
    struct slice name; /* QUOTA_MATCH_EXACT */
};
struct quota_filter {
    struct quota_filter_part user, client_id, ip;
    bool strict; /* no further entity types than the components' */
};
/* One component from the wire; Kafka's texts, ERR_INVALID_REQUEST or ERR_UNSUPPORTED_VERSION (unknown type). */
enum err quota_filter_add(struct quota_filter *f, struct slice type, int8_t match_type, struct slice match,
                          struct reason *why) MUST_CHECK;
enum err quota_filter_validate(const struct quota_filter *f, struct reason *why) MUST_CHECK;
bool quota_filter_matches(const struct quota_filter *f, const struct quota_entity *e);

/* --- the mutable table (not thread-safe) --- */
enum { QUOTA_ENTITIES_MAX = 1000000, QUOTA_NAME_MAX = 32767 };
struct quota_table;
struct quota_table *quota_table_new(void); /* NULL: no memory */
void quota_table_free(struct quota_table *t);
void quota_table_clear(struct quota_table *t);
enum err quota_table_put(struct quota_table *t, const struct quota_entity *e, enum quota_key k,
                         double value) MUST_CHECK;
bool quota_table_remove(struct quota_table *t, const struct quota_entity *e, enum quota_key k);
const struct quota_limits *quota_table_get(const struct quota_table *t, const struct quota_entity *e);
size_t quota_table_count(const struct quota_table *t); /* entities */

/* --- the snapshot --- */
struct quota_snapshot;
enum err quota_snapshot_build(struct quota_snapshot **out, const struct quota_table *t) MUST_CHECK;
struct quota_snapshot *quota_snapshot_ref(struct quota_snapshot *s); /* atomic */
void quota_snapshot_unref(struct quota_snapshot *s);                 /* NULL is fine */
size_t quota_snapshot_count(const struct quota_snapshot *s);
/* 0 <= i < count, in the order of insertion */
const struct quota_entity *quota_snapshot_entity(const struct quota_snapshot *s, size_t i);
const struct quota_limits *quota_snapshot_limits(const struct quota_snapshot *s, size_t i);

/* Which limit holds for a client, by Kafka's order: (user, client-id), (user, default client), (user), (default user,
 * client-id), (default user, default client), (default user), (client-id), (default client). The level that gives the
 * limit also says who shares its meter: the tags. No allocation. */
enum quota_tags {
    QUOTA_TAGS_USER_CLIENT, /* each (user, client-id) pair has its own meter */
    QUOTA_TAGS_USER,        /* all clients of the user share one */
    QUOTA_TAGS_CLIENT,      /* all users of the client-id share one */
    QUOTA_TAGS_IP,
};
struct quota_bound {
    enum quota_key key;
    enum quota_tags tags;
    double bound;
    struct slice user, client_id, ip; /* as asked; those outside the tags are empty */
};
/* `user`: the principal's name without "User:". False: no limit holds. */
bool quota_snapshot_resolve(const struct quota_snapshot *s, enum quota_key k, struct slice user, struct slice client_id,
                            struct quota_bound *out);
/* connection_creation_rate: the IP's own limit or the default IP's. */
bool quota_snapshot_resolve_ip(const struct quota_snapshot *s, struct slice ip, struct quota_bound *out);
/* False: no entity anywhere limits this key, so the caller need not even ask. */
bool quota_snapshot_limits_any(const struct quota_snapshot *s, enum quota_key k);

#endif
