/* SPDX-License-Identifier: Apache-2.0
 * The table of reserved names and its one judge. Rules are asked first, so that whoever has no right learns nothing
 * from a row; then the first row that fits may still refuse. */
#include "gateway/request/reserved.h"
#include "core/wire/message.h"
#include "wire/keys.h"

#include <assert.h>
#include <string.h>

#define BIT(op)    (1u << (op))
#define ALL_OPS    (~0u)
#define DESCRIBING (BIT(ACL_DESCRIBE) | BIT(ACL_DESCRIBE_CONFIGS))
#define ALL_APIS                                                                                                       \
    {                                                                                                                  \
        RESERVED_ANY_API                                                                                               \
    }
#define ONE_API(a)                                                                                                     \
    {                                                                                                                  \
        (a), RESERVED_ANY_API                                                                                          \
    }
#define TWO_APIS(a, b)                                                                                                 \
    {                                                                                                                  \
        (a), (b), RESERVED_ANY_API                                                                                     \
    }
#define SCHEMAS "_schemas" /* castellan.schemas.topic */
#define INTERNAL                                                                                                       \
    {                                                                                                                  \
        "__consumer_offsets", "__transaction_state", "__share_group_state"                                             \
    }
#define OURS                                                                                                           \
    {                                                                                                                  \
        SCHEMAS, "_dek_registry_keys", "__castellan_*"                                                                 \
    }

static const struct reserved_row rows[] = {
    {.type = ACL_TOPIC,
     .names = {"__cluster_metadata"},
     .apis = ONE_API(WIRE_CREATE_TOPICS),
     .operations = ALL_OPS,
     .who = RESERVED_NOBODY,
     .answer = ERR_INVALID_REQUEST,
     .before_rules = true,
     .text = "Creation of internal topic __cluster_metadata is prohibited.",
     .why = "as Apache Kafka answers"},
    {.type = ACL_TOPIC,
     .names = {"__cluster_metadata"},
     .apis = ALL_APIS,
     .operations = ALL_OPS,
     .who = RESERVED_NOBODY,
     .answer = ERR_UNKNOWN_TOPIC_OR_PARTITION,
     .apis_detail = "all others; never listed",
     .why = "the cluster's own log: in Apache Kafka it is no topic of the brokers either; cutting it destroys the "
            "cluster"},
    {.type = ACL_TOPIC,
     .names = INTERNAL,
     .apis = TWO_APIS(WIRE_PRODUCE, WIRE_DELETE_RECORDS),
     .operations = ALL_OPS,
     .who = RESERVED_NOBODY,
     .answer = ERR_INVALID_TOPIC_EXCEPTION,
     .why = "only coordinators write there. Apache Kafka lets a client produce that says its client id is "
            "`__admin_client`: a client id is a claim, not a right"},
    {.type = ACL_TOPIC,
     .names = INTERNAL,
     .apis = ONE_API(WIRE_ADD_PARTITIONS_TO_TXN),
     .operations = ALL_OPS,
     .who = RESERVED_NOBODY,
     .answer = ERR_TOPIC_AUTHORIZATION_FAILED,
     .why = "as Apache Kafka answers, whatever cluster is behind"},
    {.type = ACL_TOPIC,
     .names = INTERNAL,
     .apis = ONE_API(WIRE_METADATA),
     .operations = BIT(ACL_CREATE),
     .who = RESERVED_NOBODY,
     .answer = ERR_UNKNOWN_TOPIC_OR_PARTITION,
     .apis_detail = "making a topic on demand",
     .why = "the cluster makes them with the settings they need"},
    {.type = ACL_TOPIC,
     .names = OURS,
     .apis = ONE_API(WIRE_METADATA),
     .operations = BIT(ACL_CREATE),
     .who = RESERVED_NOBODY,
     .answer = ERR_UNKNOWN_TOPIC_OR_PARTITION,
     .apis_detail = "making a topic on demand",
     .why = "made on demand they would be neither compacted nor replicated as they must be"},
    {.type = ACL_TOPIC,
     .names = OURS,
     .apis = ALL_APIS,
     .operations = ALL_OPS & ~DESCRIBING,
     .who = RESERVED_LITERAL,
     .answer = ERR_TOPIC_AUTHORIZATION_FAILED,
     .apis_detail = "all, beyond describing",
     .why = "users, rules, keys and schemas: a right on all topics is not meant for them"},
    {.type = ACL_TRANSACTIONAL_ID,
     .names = {"castellan-ledger-*"},
     .apis = ALL_APIS,
     .operations = ALL_OPS,
     .who = RESERVED_LITERAL,
     .answer = ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
     .why = "whoever takes such an id stops the gateways and registries from writing their own topics"},
    {.type = ACL_GROUP,
     .names = {"__castellan_*"},
     .apis = ALL_APIS,
     .operations = ALL_OPS,
     .who = RESERVED_LITERAL,
     .answer = ERR_GROUP_AUTHORIZATION_FAILED,
     .why = "kept for groups of our own"},
};
enum { ROWS = sizeof rows / sizeof *rows };

const struct reserved_row *reserved_row_at(size_t i)
{
    return i < ROWS ? &rows[i] : NULL;
}

static bool names_it(const struct reserved_names *n, const char *pattern, struct slice name)
{
    size_t length = strlen(pattern);

    if (strcmp(pattern, SCHEMAS) == 0 && !slice_is_null(n->schemas))
        return slice_eq(name, n->schemas);
    if (pattern[length - 1] == '*')
        return slice_starts(name, slice_of(pattern, length - 1));
    return slice_eq_str(name, pattern);
}

static bool is_for_api(const struct reserved_row *r, int16_t api_key)
{
    if (r->apis[0] == RESERVED_ANY_API)
        return true;
    for (int i = 0; r->apis[i] != RESERVED_ANY_API; i++)
        if (r->apis[i] == api_key)
            return true;
    return false;
}

static bool fits(const struct reserved_names *n, const struct reserved_row *r, struct slice name)
{
    for (int i = 0; r->names[i]; i++)
        if (names_it(n, r->names[i], name))
            return true;
    return false;
}

const struct reserved_row *reserved_find(const struct reserved_names *n, enum acl_type type, struct slice name,
                                         enum acl_operation operation, int16_t api_key)
{
    bool any = operation == ACL_OP_ANY;

    assert(n);
    assert(operation >= ACL_OP_ANY && (int)operation < ACL_OPERATIONS);
    if (slice_is_null(name))
        return NULL;
    for (size_t i = 0; i < ROWS; i++) {
        const struct reserved_row *r = &rows[i];
        if (r->type == type && (any || (r->operations & BIT(operation) && is_for_api(r, api_key))) && fits(n, r, name))
            return r;
    }
    return NULL;
}

enum err reserved_refusal(enum acl_type type)
{
    switch (type) {
    case ACL_TOPIC:
        return ERR_TOPIC_AUTHORIZATION_FAILED;
    case ACL_GROUP:
        return ERR_GROUP_AUTHORIZATION_FAILED;
    case ACL_TRANSACTIONAL_ID:
        return ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    case ACL_DELEGATION_TOKEN:
        return ERR_DELEGATION_TOKEN_AUTHORIZATION_FAILED;
    case ACL_CLUSTER:
    case ACL_USER:
    case ACL_SUBJECT:
    case ACL_DATA_SUBJECT:
    case ACL_TYPE_UNKNOWN:
    case ACL_TYPE_ANY:
        return ERR_CLUSTER_AUTHORIZATION_FAILED;
    }
    return ERR_CLUSTER_AUTHORIZATION_FAILED;
}

/* A super user, or a rule for the very name: no rule at all (allow.everyone.if.no.acl.found) is none. */
static bool allowed_by_name(const struct acl_snapshot *rules, const struct acl_question *q)
{
    struct acl_explanation e;

    acl_explain(rules, q, &e);
    return e.allowed && (e.basis == ACL_BASIS_SUPER_USER ||
                         (e.rule && e.rule->pattern == ACL_LITERAL && slice_eq(e.rule->name, q->name)));
}

enum err reserved_judge(const struct reserved_names *n, const struct acl_snapshot *rules, const struct acl_question *q,
                        int16_t api_key, bool by_cluster, const struct reserved_row **row)
{
    const struct reserved_row *r = reserved_find(n, q->type, q->name, q->operation, api_key);

    assert(rules);
    if (row)
        *row = r;
    if (r && r->before_rules)
        return r->answer;
    if (!by_cluster && !acl_allowed(rules, q)) {
        if (row)
            *row = NULL;
        return reserved_refusal(q->type);
    }
    if (!r)
        return ERR_OK;
    if (r->who == RESERVED_LITERAL && allowed_by_name(rules, q)) {
        if (row)
            *row = NULL;
        return ERR_OK;
    }
    return r->answer;
}

/* ---- For the docs ---- */

static const char *who_text(enum reserved_who who)
{
    switch (who) {
    case RESERVED_NOBODY:
        return "nobody";
    case RESERVED_LITERAL:
        return "super users; whom a literal rule names";
    }
    return "nobody";
}

static const char *kind_text(enum acl_type type)
{
    return type == ACL_TOPIC ? "topic" : type == ACL_GROUP ? "group" : "transactional id";
}

void reserved_row_put(struct buf *out, const struct reserved_row *r)
{
    buf_printf(out, "| %s", kind_text(r->type));
    for (int i = 0; r->names[i]; i++)
        buf_printf(out, "%s `%s`", i ? "," : "", r->names[i]);
    buf_put_str(out, " | ");
    for (int i = 0; r->apis[i] != RESERVED_ANY_API; i++)
        buf_printf(out, "%s%s", i ? ", " : "", wire_api(r->apis[i])->name);
    if (r->apis[0] != RESERVED_ANY_API && r->apis_detail)
        buf_printf(out, " (%s)", r->apis_detail);
    else if (r->apis[0] == RESERVED_ANY_API)
        buf_put_str(out, r->apis_detail ? r->apis_detail : "all");
    buf_printf(out, " | %s | %s | %s |\n", who_text(r->who), err_name(r->answer), r->why);
}
