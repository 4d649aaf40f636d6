/* SPDX-License-Identifier: Apache-2.0
 * Kafka's names and codes of resource types, operations, pattern types and permissions, and which operation makes sense
 * on which type. Tables only. */
#include "acl/acl.h"

#include <ctype.h>

struct name_row {
    int code;
    const char *name;
};

static const struct name_row type_rows[] = {
    {ACL_TYPE_ANY, "ANY"},
    {ACL_TOPIC, "TOPIC"},
    {ACL_GROUP, "GROUP"},
    {ACL_CLUSTER, "CLUSTER"},
    {ACL_TRANSACTIONAL_ID, "TRANSACTIONAL_ID"},
    {ACL_DELEGATION_TOKEN, "DELEGATION_TOKEN"},
    {ACL_USER, "USER"},
    {ACL_SUBJECT, "SUBJECT"},
    {ACL_DATA_SUBJECT, "DATA_SUBJECT"},
    {ACL_TYPE_UNKNOWN, "UNKNOWN"},
};

static const struct name_row operation_rows[] = {
    {ACL_OP_ANY, "ANY"},
    {ACL_ALL, "ALL"},
    {ACL_READ, "READ"},
    {ACL_WRITE, "WRITE"},
    {ACL_CREATE, "CREATE"},
    {ACL_DELETE, "DELETE"},
    {ACL_ALTER, "ALTER"},
    {ACL_DESCRIBE, "DESCRIBE"},
    {ACL_CLUSTER_ACTION, "CLUSTER_ACTION"},
    {ACL_DESCRIBE_CONFIGS, "DESCRIBE_CONFIGS"},
    {ACL_ALTER_CONFIGS, "ALTER_CONFIGS"},
    {ACL_IDEMPOTENT_WRITE, "IDEMPOTENT_WRITE"},
    {ACL_CREATE_TOKENS, "CREATE_TOKENS"},
    {ACL_DESCRIBE_TOKENS, "DESCRIBE_TOKENS"},
    {ACL_TWO_PHASE_COMMIT, "TWO_PHASE_COMMIT"},
    {ACL_OP_UNKNOWN, "UNKNOWN"},
};

static const struct name_row pattern_rows[] = {
    {ACL_PATTERN_ANY, "ANY"},   {ACL_PATTERN_MATCH, "MATCH"},     {ACL_LITERAL, "LITERAL"},
    {ACL_PREFIXED, "PREFIXED"}, {ACL_PATTERN_UNKNOWN, "UNKNOWN"},
};

static const struct name_row permission_rows[] = {
    {ACL_PERMISSION_ANY, "ANY"},
    {ACL_DENY, "DENY"},
    {ACL_ALLOW, "ALLOW"},
    {ACL_PERMISSION_UNKNOWN, "UNKNOWN"},
};

/* Every table ends with its UNKNOWN row, whose code is 0. */
static int code_of(const struct name_row *rows, int code)
{
    for (; rows->code; rows++)
        if (rows->code == code)
            return code;
    return 0;
}

static const char *name_of(const struct name_row *rows, int code)
{
    while (rows->code && rows->code != code)
        rows++;
    return rows->name;
}

static bool same_word(struct slice s, const char *word)
{
    size_t i = 0;

    for (; i < s.n && word[i]; i++) {
        int c = s.p[i] == '-' ? '_' : toupper(s.p[i]);
        if (c != word[i])
            return false;
    }
    return i == s.n && !word[i];
}

/* kafka-acls prints and takes CamelCase too ("DescribeConfigs", "TransactionalId"): underscores may be missing. */
static bool same_word_joined(struct slice s, const char *word)
{
    size_t i = 0;

    for (; *word; word++) {
        if (*word == '_')
            continue;
        if (i == s.n || toupper(s.p[i]) != *word)
            return false;
        i++;
    }
    return i == s.n;
}

static int code_parse(const struct name_row *rows, struct slice s)
{
    for (; rows->code; rows++)
        if (same_word(s, rows->name) || same_word_joined(s, rows->name))
            return rows->code;
    return 0;
}

enum acl_type acl_type_of(int8_t code)
{
    return (enum acl_type)code_of(type_rows, code);
}

enum acl_operation acl_operation_of(int8_t code)
{
    return (enum acl_operation)code_of(operation_rows, code);
}

enum acl_pattern acl_pattern_of(int8_t code)
{
    return (enum acl_pattern)code_of(pattern_rows, code);
}

enum acl_permission acl_permission_of(int8_t code)
{
    return (enum acl_permission)code_of(permission_rows, code);
}

const char *acl_type_name(enum acl_type t)
{
    return name_of(type_rows, (int)t);
}

const char *acl_operation_name(enum acl_operation o)
{
    return name_of(operation_rows, (int)o);
}

const char *acl_pattern_name(enum acl_pattern p)
{
    return name_of(pattern_rows, (int)p);
}

const char *acl_permission_name(enum acl_permission p)
{
    return name_of(permission_rows, (int)p);
}

enum acl_type acl_type_parse(struct slice s)
{
    return (enum acl_type)code_parse(type_rows, s);
}

enum acl_operation acl_operation_parse(struct slice s)
{
    return (enum acl_operation)code_parse(operation_rows, s);
}

enum acl_pattern acl_pattern_parse(struct slice s)
{
    return (enum acl_pattern)code_parse(pattern_rows, s);
}

enum acl_permission acl_permission_parse(struct slice s)
{
    return (enum acl_permission)code_parse(permission_rows, s);
}

bool acl_operation_supported(enum acl_type t, enum acl_operation o)
{
    unsigned set = 0;

#define OP(name) (1u << ACL_##name)
    switch (t) {
    case ACL_TOPIC:
        set = OP(READ) | OP(WRITE) | OP(CREATE) | OP(DELETE) | OP(ALTER) | OP(DESCRIBE) | OP(DESCRIBE_CONFIGS) |
              OP(ALTER_CONFIGS);
        break;
    case ACL_GROUP:
        set = OP(READ) | OP(DESCRIBE) | OP(DELETE) | OP(DESCRIBE_CONFIGS) | OP(ALTER_CONFIGS);
        break;
    case ACL_CLUSTER:
        set = OP(CREATE) | OP(CLUSTER_ACTION) | OP(DESCRIBE_CONFIGS) | OP(ALTER_CONFIGS) | OP(IDEMPOTENT_WRITE) |
              OP(ALTER) | OP(DESCRIBE);
        break;
    case ACL_TRANSACTIONAL_ID:
        set = OP(DESCRIBE) | OP(WRITE) | OP(TWO_PHASE_COMMIT);
        break;
    case ACL_DELEGATION_TOKEN:
        set = OP(DESCRIBE);
        break;
    case ACL_USER:
        set = OP(CREATE_TOKENS) | OP(DESCRIBE_TOKENS);
        break;
    case ACL_SUBJECT: /* registry: read and write schemas, delete them, change and see the compatibility level */
        set = OP(READ) | OP(WRITE) | OP(DELETE) | OP(DESCRIBE) | OP(DESCRIBE_CONFIGS) | OP(ALTER_CONFIGS);
        break;
    case ACL_DATA_SUBJECT: /* read: see the person's data in the clear; delete: forget them */
        set = OP(READ) | OP(WRITE) | OP(DELETE) | OP(ALTER) | OP(DESCRIBE);
        break;
    case ACL_TYPE_UNKNOWN:
    case ACL_TYPE_ANY:
        return false;
    }
#undef OP
    return o == ACL_ALL || (set >> o & 1u);
}
