/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_ACL_PRINCIPAL_H
#define CASTELLAN_ACL_PRINCIPAL_H

#include "core/base/buf.h"

/* Who is asking. A principal is the text "TYPE:NAME", as everywhere in Kafka ("User:alice"); the type is nearly always
 * "User". "User:*" stands for everyone in ACLs and is never the name of a session's principal. */

#define PRINCIPAL_ANONYMOUS "User:ANONYMOUS"
#define PRINCIPAL_WILDCARD  "User:*"

/* "User:alice" -> "User", "alice" (cut at the first colon; both parts not empty). Slices into `text`. */
enum err principal_parse(struct slice text, struct slice *type, struct slice *name, struct reason *why) MUST_CHECK;
/* Appends "User:" and the name. */
void principal_put_user(struct buf *out, struct slice user);

/* ssl.principal.mapping.rules (KIP-371): comma-separated `RULE:pattern/replacement/[LU]` and `DEFAULT`, tried in order
 * against the certificate's distinguished name; the first rule whose pattern matches the WHOLE name gives the
 * principal's name. Patterns are the common part of Java's and PCRE2's regular expressions ($1..$9 in the
 * replacement); matching is bounded by PRINCIPAL_MATCH_LIMIT, past which the rule counts as an error, not as "no".
 * NULL text, or empty: DEFAULT, the whole name. Immutable once parsed, so it may be shared by threads. */
struct principal_rules;

enum {
    PRINCIPAL_RULES_MAX = 64,
    PRINCIPAL_RULES_TEXT_MAX = 16 * 1024,
    PRINCIPAL_DN_MAX = 4096,
    PRINCIPAL_MATCH_LIMIT = 100000, /* PCRE2 match and depth limit for one rule on one name */
    PRINCIPAL_HEAP_LIMIT_KIB = 1024,
};

enum err principal_rules_parse(struct principal_rules **out, struct slice text, struct reason *why) MUST_CHECK;
void principal_rules_free(struct principal_rules *r);
/* Appends "User:NAME" for the DN, as tls_cert_subject() gives it (RFC 2253). ERR_AUTH when no rule matches (Kafka
 * refuses such a session). */
enum err principal_from_dn(const struct principal_rules *r, struct slice dn, struct buf *out,
                           struct reason *why) MUST_CHECK;

#endif
