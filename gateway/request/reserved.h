/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_RESERVED_H
#define CASTELLAN_GATEWAY_RESERVED_H

#include "acl/acl.h"

/* The guard of reserved names. Rules decide as Kafka's StandardAuthorizer does, but for what stands in one table: names
 * of topics, groups and transactional ids that hold the cluster's own state or ours. The table is the whole list of
 * where we differ on purpose; docs/authorization.md shows it, a unit test holds the two equal. Pure: no I/O, no state.
 */

enum { RESERVED_NAMES_MAX = 3, RESERVED_APIS_MAX = 3, RESERVED_ANY_API = -1 };

enum reserved_who {
    RESERVED_NOBODY,  /* whatever the rules say, super users too */
    RESERVED_LITERAL, /* a super user, or whom a rule names the resource itself; "*" and prefixes do not reach it */
};

/* Names that a setting gives; the table names the setting's default. */
struct reserved_names {
    struct slice schemas; /* castellan.schemas.topic; borrowed. Null: the default */
};

struct reserved_row {
    enum acl_type type;
    const char *names[RESERVED_NAMES_MAX + 1]; /* a last '*' stands for any rest; NULL ends the list */
    int16_t apis[RESERVED_APIS_MAX + 1];       /* RESERVED_ANY_API ends the list; an empty list: all of them */
    uint32_t operations;                       /* bits 1 << enum acl_operation */
    enum reserved_who who;
    enum err answer;         /* to those who have the right by the rules, and are refused all the same */
    bool before_rules;       /* the same answer to those who have no right */
    const char *text;        /* instead of the error's own; NULL: that */
    const char *apis_detail; /* for the docs: what the column "APIs" says beside the names; NULL: nothing */
    const char *why;
};

/* i-th row, NULL past the end. The first that fits decides. */
const struct reserved_row *reserved_row_at(size_t i);

/* The row that stands between a request and the name, or NULL. `operation` ACL_OP_ANY: any row that names it. */
const struct reserved_row *reserved_find(const struct reserved_names *n, enum acl_type type, struct slice name,
                                         enum acl_operation operation, int16_t api_key);

/* The decision about one name in one request: ERR_OK, the type's ..._AUTHORIZATION_FAILED, or the row's own answer.
 * `by_cluster`: a right on the cluster stands in for the rule, where rules reach (CreateTopics, reassignments).
 * `row` may be NULL; else the row that refused, NULL when it was the rules. */
enum err reserved_judge(const struct reserved_names *n, const struct acl_snapshot *rules, const struct acl_question *q,
                        int16_t api_key, bool by_cluster, const struct reserved_row **row) MUST_CHECK;

/* What says that a principal has no right on a resource of this type. */
enum err reserved_refusal(enum acl_type type);

/* One line of the table in docs/authorization.md. Appends. */
void reserved_row_put(struct buf *out, const struct reserved_row *r);

#endif
