/* SPDX-License-Identifier: Apache-2.0
 * One rule or filter by itself: Kafka's checks with Kafka's texts, matching, printing. Nothing here allocates but
 * through the caller's buffer. */
#include "acl/acl_internal.h"

#include <arpa/inet.h>

static enum err check_name(const struct acl_rule *r, struct reason *why)
{
    if (r->type == ACL_CLUSTER && !slice_eq_str(r->name, ACL_CLUSTER_NAME))
        return reason_set(why, ERR_INVALID_REQUEST, "The only valid name for the CLUSTER resource is %s",
                          ACL_CLUSTER_NAME);
    if (r->name.n == 0)
        return reason_set(why, ERR_INVALID_REQUEST, "Invalid empty resource name");
    if (r->name.n > ACL_NAME_MAX)
        return reason_set(why, ERR_INVALID_REQUEST, "Resource name of %zu bytes is too long", r->name.n);
    return ERR_OK;
}

static enum err check_who(const struct acl_rule *r, struct reason *why)
{
    if (r->principal.n == 0 || !memchr(r->principal.p, ':', r->principal.n))
        return reason_set(why, ERR_INVALID_REQUEST,
                          "Could not parse principal from `%.*s` (no colon is present separating the principal type "
                          "from the principal name)",
                          SLICE_FMT(r->principal));
    if (r->principal.n > ACL_NAME_MAX)
        return reason_set(why, ERR_INVALID_REQUEST, "Principal of %zu bytes is too long", r->principal.n);
    if (r->host.n == 0)
        return reason_set(why, ERR_INVALID_REQUEST, "Invalid empty host");
    if (r->host.n > ACL_NAME_MAX)
        return reason_set(why, ERR_INVALID_REQUEST, "Host of %zu bytes is too long", r->host.n);
    return ERR_OK;
}

enum err acl_rule_validate(const struct acl_rule *r, struct reason *why)
{
    enum err e = check_name(r, why);

    if (e)
        return e;
    if (acl_type_slot(r->type) < 0)
        return reason_set(why, ERR_INVALID_REQUEST, "Invalid resourceType %s", acl_type_name(r->type));
    if (r->pattern != ACL_LITERAL && r->pattern != ACL_PREFIXED)
        return reason_set(why, ERR_INVALID_REQUEST, "Invalid patternType %s", acl_pattern_name(r->pattern));
    if (r->operation < ACL_ALL || r->operation > ACL_TWO_PHASE_COMMIT)
        return reason_set(why, ERR_INVALID_REQUEST, "Invalid operation %s", acl_operation_name(r->operation));
    if (r->permission != ACL_DENY && r->permission != ACL_ALLOW)
        return reason_set(why, ERR_INVALID_REQUEST, "Invalid permissionType %s", acl_permission_name(r->permission));
    return check_who(r, why);
}

enum err acl_filter_validate(const struct acl_filter *f, struct reason *why)
{
    if (f->type == ACL_TYPE_UNKNOWN || f->pattern == ACL_PATTERN_UNKNOWN)
        return reason_set(why, ERR_INVALID_REQUEST, "Unknown patternFilter.");
    if (f->operation == ACL_OP_UNKNOWN || f->permission == ACL_PERMISSION_UNKNOWN)
        return reason_set(why, ERR_INVALID_REQUEST, "Unknown entryFilter.");
    return ERR_OK;
}

static bool filter_name_matches(const struct acl_filter *f, const struct acl_rule *r)
{
    if (slice_is_null(f->name))
        return true;
    if (f->pattern == ACL_PATTERN_ANY || f->pattern == r->pattern)
        return slice_eq(f->name, r->name);
    switch (r->pattern) { /* the filter says MATCH: would the rule affect the named resource? */
    case ACL_LITERAL:
        return slice_eq(f->name, r->name) || slice_eq_str(r->name, "*");
    case ACL_PREFIXED:
        return slice_starts(f->name, r->name);
    case ACL_PATTERN_UNKNOWN:
    case ACL_PATTERN_ANY:
    case ACL_PATTERN_MATCH:
        return false;
    }
    return false;
}

static bool filter_type_matches(const struct acl_filter *f, const struct acl_rule *r)
{
    if (f->type != ACL_TYPE_ANY)
        return f->type == r->type;
    return f->ours || (r->type != ACL_SUBJECT && r->type != ACL_DATA_SUBJECT);
}

bool acl_filter_matches(const struct acl_filter *f, const struct acl_rule *r)
{
    if (!filter_type_matches(f, r))
        return false;
    if (f->pattern != ACL_PATTERN_ANY && f->pattern != ACL_PATTERN_MATCH && f->pattern != r->pattern)
        return false;
    if (f->operation != ACL_OP_ANY && f->operation != r->operation)
        return false;
    if (f->permission != ACL_PERMISSION_ANY && f->permission != r->permission)
        return false;
    if (!slice_is_null(f->principal) && !slice_eq(f->principal, r->principal))
        return false;
    if (!slice_is_null(f->host) && !slice_eq(f->host, r->host))
        return false;
    return filter_name_matches(f, r);
}

void acl_rule_put(struct buf *out, const struct acl_rule *r)
{
    buf_printf(out, "%s %.*s %s %s %s %.*s from %.*s", acl_permission_name(r->permission), SLICE_FMT(r->principal),
               acl_operation_name(r->operation), acl_type_name(r->type), acl_pattern_name(r->pattern),
               SLICE_FMT(r->name), SLICE_FMT(r->host));
}

struct slice acl_host_canonical(struct slice host, char space[ACL_HOST_TEXT_MAX])
{
    struct in6_addr a;

    if (host.n >= ACL_HOST_TEXT_MAX || !host.n || !memchr(host.p, ':', host.n))
        return host;
    memcpy(space, host.p, host.n);
    space[host.n] = 0;
    if (inet_pton(AF_INET6, space, &a) != 1)
        return host;
    if (IN6_IS_ADDR_V4MAPPED(&a))
        inet_ntop(AF_INET, a.s6_addr + 12, space, ACL_HOST_TEXT_MAX);
    else
        inet_ntop(AF_INET6, &a, space, ACL_HOST_TEXT_MAX);
    return slice_str(space);
}
