/* SPDX-License-Identifier: Apache-2.0
 * From a right of the registry to an operation of the rules. */
#include "registry/rights.h"

static bool ask(const struct acl_snapshot *s, enum acl_operation op, struct slice subject, struct slice principal,
                struct slice host)
{
    struct acl_question q = {ACL_SUBJECT, op, subject, principal, host};
    return acl_allowed(s, &q);
}

bool rights_allow(const struct acl_snapshot *s, struct slice principal, struct slice host, enum rest_right right,
                  struct slice subject)
{
    bool global = slice_is_null(subject) || !subject.n;
    struct slice name = global ? slice_str(RIGHTS_GLOBAL) : subject;
    switch (right) {
    case RIGHT_NONE:
        return true;
    case RIGHT_DESCRIBE:
        return ask(s, ACL_DESCRIBE, name, principal, host);
    case RIGHT_READ:
        return ask(s, ACL_READ, name, principal, host);
    case RIGHT_WRITE:
        return ask(s, ACL_WRITE, name, principal, host);
    case RIGHT_DELETE:
        return ask(s, ACL_DELETE, name, principal, host);
    case RIGHT_SEE_CONFIG: /* whoever reads a subject, or is known at all, may know the rules that apply */
        return global || ask(s, ACL_DESCRIBE_CONFIGS, name, principal, host) || ask(s, ACL_READ, name, principal, host);
    case RIGHT_ALTER_CONFIG:
        return ask(s, ACL_ALTER_CONFIGS, name, principal, host);
    }
    return false;
}
