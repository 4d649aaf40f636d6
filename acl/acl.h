/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_ACL_ACL_H
#define CASTELLAN_ACL_ACL_H

#include "core/base/buf.h"

/* Access rules and their decision, exactly Kafka's StandardAuthorizer (KIP-11, KIP-290 prefixes, KIP-679 idempotent
 * writes). Pure: no I/O, no clock. Two objects: `struct acl_set`, the mutable set of rules (not thread-safe), and
 * `struct acl_snapshot`, an immutable index built from it, shared by reference count between threads.
 *
 * The decision, in order:
 *   1. a super user may do everything;
 *   2. a DENY rule that matches refuses, whatever else allows;
 *   3. an ALLOW rule that matches allows; ALLOW of READ, WRITE, DELETE or ALTER also allows DESCRIBE, ALLOW of
 *      ALTER_CONFIGS also allows DESCRIBE_CONFIGS (a DENY never spreads like this); operation ALL is every operation;
 *   4. when no rule at all (of anybody) names the resource: allow.everyone.if.no.acl.found decides;
 *   5. refused.
 * A rule names a resource literally, by the wildcard name "*" (pattern LITERAL), or by a prefix (pattern PREFIXED); it
 * matches a principal exactly or by "User:*", a host exactly or by "*". IP texts are compared by address, so that
 * "::1" and Java's "0:0:0:0:0:0:0:1" are the same host; no CIDR, as in Kafka.
 *
 * Kafka's codes are used as they are. SUBJECT (registry subjects) and DATA_SUBJECT (persons, crypto-shredding) are
 * ours, with codes above Kafka's range. A stock Java client fails on a whole DescribeAcls answer that holds an unknown
 * type, therefore a filter for type ANY does not match ours: they are shown (and deleted) only when a filter names
 * their code, or sets `ours` (our CLI and admin API do). */

enum acl_type {
    ACL_TYPE_UNKNOWN = 0,
    ACL_TYPE_ANY = 1, /* filters only */
    ACL_TOPIC = 2,
    ACL_GROUP = 3,
    ACL_CLUSTER = 4, /* its only name is ACL_CLUSTER_NAME */
    ACL_TRANSACTIONAL_ID = 5,
    ACL_DELEGATION_TOKEN = 6,
    ACL_USER = 7,
    ACL_SUBJECT = 100,
    ACL_DATA_SUBJECT = 101,
};

enum acl_operation {
    ACL_OP_UNKNOWN = 0,
    ACL_OP_ANY = 1, /* filters only */
    ACL_ALL = 2,    /* rules only */
    ACL_READ = 3,
    ACL_WRITE = 4,
    ACL_CREATE = 5,
    ACL_DELETE = 6,
    ACL_ALTER = 7,
    ACL_DESCRIBE = 8,
    ACL_CLUSTER_ACTION = 9,
    ACL_DESCRIBE_CONFIGS = 10,
    ACL_ALTER_CONFIGS = 11,
    ACL_IDEMPOTENT_WRITE = 12,
    ACL_CREATE_TOKENS = 13,
    ACL_DESCRIBE_TOKENS = 14,
    ACL_TWO_PHASE_COMMIT = 15,
};
enum { ACL_OPERATIONS = 16 };

enum acl_pattern {
    ACL_PATTERN_UNKNOWN = 0,
    ACL_PATTERN_ANY = 1,   /* filters only: any pattern type, exact name */
    ACL_PATTERN_MATCH = 2, /* filters only: every rule that would affect the named resource */
    ACL_LITERAL = 3,
    ACL_PREFIXED = 4,
};

enum acl_permission {
    ACL_PERMISSION_UNKNOWN = 0,
    ACL_PERMISSION_ANY = 1, /* filters only */
    ACL_DENY = 2,
    ACL_ALLOW = 3,
};

#define ACL_CLUSTER_NAME "kafka-cluster"

enum {
    ACL_NAME_MAX = 32767,   /* Kafka's string limit */
    ACL_RULES_MAX = 1000000 /* rules in one set */
};

/* One rule. Slices are borrowed by calls and owned by sets and snapshots. */
struct acl_rule {
    enum acl_type type;
    enum acl_pattern pattern;
    enum acl_operation operation;
    enum acl_permission permission;
    struct slice name;      /* resource name, prefix, or "*" */
    struct slice principal; /* "User:alice", "User:*" */
    struct slice host;      /* "*" or an IP address */
};

/* A DescribeAcls/DeleteAcls filter: null slices match anything. */
struct acl_filter {
    enum acl_type type;
    enum acl_pattern pattern;
    enum acl_operation operation;
    enum acl_permission permission;
    struct slice name, principal, host;
    bool ours; /* type ANY includes SUBJECT and DATA_SUBJECT */
};

/* Codes from the wire: values outside the tables become the UNKNOWN member. */
enum acl_type acl_type_of(int8_t code);
enum acl_operation acl_operation_of(int8_t code);
enum acl_pattern acl_pattern_of(int8_t code);
enum acl_permission acl_permission_of(int8_t code);
/* Kafka's names: "TOPIC", "DESCRIBE_CONFIGS", "PREFIXED", "ALLOW"; parsing ignores case and treats '-' as '_';
 * unknown words give the UNKNOWN member. */
const char *acl_type_name(enum acl_type t);
const char *acl_operation_name(enum acl_operation o);
const char *acl_pattern_name(enum acl_pattern p);
const char *acl_permission_name(enum acl_permission p);
enum acl_type acl_type_parse(struct slice s);
enum acl_operation acl_operation_parse(struct slice s);
enum acl_pattern acl_pattern_parse(struct slice s);
enum acl_permission acl_permission_parse(struct slice s);
/* What kafka-acls calls a valid operation of a resource type (the broker itself accepts any): for the CLI. */
bool acl_operation_supported(enum acl_type t, enum acl_operation o);

/* CreateAcls' checks, with Kafka's texts; ERR_INVALID_REQUEST. */
enum err acl_rule_validate(const struct acl_rule *r, struct reason *why) MUST_CHECK;
/* DescribeAcls' and DeleteAcls' checks; ERR_INVALID_REQUEST. */
enum err acl_filter_validate(const struct acl_filter *f, struct reason *why) MUST_CHECK;
bool acl_filter_matches(const struct acl_filter *f, const struct acl_rule *r);
/* "ALLOW User:alice READ TOPIC LITERAL orders from *": for logs and audit. Appends. */
void acl_rule_put(struct buf *out, const struct acl_rule *r);

/* --- the mutable set --- */
struct acl_set;
struct acl_set *acl_set_new(void); /* NULL: no memory */
void acl_set_free(struct acl_set *s);
void acl_set_clear(struct acl_set *s);
/* Copies the rule. A rule that is there already is fine (*added false; added may be NULL). Validates. */
enum err acl_set_add(struct acl_set *s, const struct acl_rule *r, bool *added, struct reason *why) MUST_CHECK;
bool acl_set_remove(struct acl_set *s, const struct acl_rule *r); /* true: it was there */
size_t acl_set_count(const struct acl_set *s);
/* Every rule, insertion order, until fn returns false. fn must not change the set. */
void acl_set_each(const struct acl_set *s, bool (*fn)(void *ctx, const struct acl_rule *r), void *ctx);

/* --- the snapshot --- */
struct acl_snapshot;

struct acl_options {
    struct slice super_users; /* super.users: "User:admin;User:CN=x,O=y", separated by ';' */
    bool allow_if_no_acl;     /* allow.everyone.if.no.acl.found */
};

/* Copies everything. One reference for the caller. About 1 µs per rule: apply many changes, then build once. */
enum err acl_snapshot_build(struct acl_snapshot **out, const struct acl_set *s, const struct acl_options *o,
                            struct reason *why) MUST_CHECK;
struct acl_snapshot *acl_snapshot_ref(struct acl_snapshot *s); /* atomic */
void acl_snapshot_unref(struct acl_snapshot *s);               /* NULL is fine */
size_t acl_snapshot_count(const struct acl_snapshot *s);
/* 0 <= i < count; sorted by type, name, pattern, principal, host, permission, operation (a stable listing order). */
const struct acl_rule *acl_snapshot_rule(const struct acl_snapshot *s, size_t i);

/* --- the decision: no allocation, no lock --- */
struct acl_question {
    enum acl_type type;
    enum acl_operation operation; /* a concrete one, never ANY or ALL */
    struct slice name;
    struct slice principal; /* "User:alice" */
    struct slice host;      /* the client's IP address as text */
};

enum acl_basis {
    ACL_BASIS_SUPER_USER, /* allowed */
    ACL_BASIS_DENY_RULE,
    ACL_BASIS_ALLOW_RULE,
    ACL_BASIS_NO_ACL,   /* no rule names the resource: allow_if_no_acl decided */
    ACL_BASIS_NO_MATCH, /* rules name the resource, none matches: refused */
};

struct acl_explanation {
    bool allowed;
    enum acl_basis basis;
    const struct acl_rule *rule; /* of the snapshot, or NULL */
};

bool acl_allowed(const struct acl_snapshot *s, const struct acl_question *q);
/* The same decision, and which rule took it. */
void acl_explain(const struct acl_snapshot *s, const struct acl_question *q, struct acl_explanation *out);
/* "allowed: rule ALLOW User:... " / "refused: no rule matches". Appends. */
void acl_explanation_put(struct buf *out, const struct acl_explanation *e);
/* May the principal do `operation` on AT LEAST ONE resource of the type (name ignored)? KIP-679: InitProducerId
 * without a transactional id needs CLUSTER:IDEMPOTENT_WRITE or WRITE on any topic by this. */
bool acl_allowed_by_type(const struct acl_snapshot *s, const struct acl_question *q);

#endif
