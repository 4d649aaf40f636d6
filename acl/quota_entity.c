/* SPDX-License-Identifier: Apache-2.0
 * Quota entities, keys and filters by themselves: Kafka's checks and texts (ClientQuotaControlManager,
 * ClientQuotasImage), matching, printing. */
#include "acl/quota.h"

#include <arpa/inet.h>
#include <math.h>

struct key_row {
    const char *name;
    bool ip;           /* of ip entities; else of users and client ids */
    double max;        /* 0: no bound */
    const char *width; /* the integer type Kafka keeps it in; NULL: a double */
};

static const struct key_row keys[QUOTA_KEYS] = {
    [QUOTA_PRODUCER_BYTE_RATE] = {"producer_byte_rate", false, 9223372036854775807.0, "LONG"},
    [QUOTA_CONSUMER_BYTE_RATE] = {"consumer_byte_rate", false, 9223372036854775807.0, "LONG"},
    [QUOTA_REQUEST_PERCENTAGE] = {"request_percentage", false, 0, NULL},
    [QUOTA_CONTROLLER_MUTATION_RATE] = {"controller_mutation_rate", false, 0, NULL},
    [QUOTA_CONNECTION_CREATION_RATE] = {"connection_creation_rate", true, 2147483647.0, "INT"},
};

const char *quota_key_name(enum quota_key k)
{
    return keys[k].name;
}

bool quota_key_parse(struct slice s, enum quota_key *out)
{
    for (int k = 0; k < QUOTA_KEYS; k++) {
        if (slice_eq_str(s, keys[k].name)) {
            *out = (enum quota_key)k;
            return true;
        }
    }
    return false;
}

enum err quota_entity_set(struct quota_entity *e, struct slice type, struct slice name, struct reason *why)
{
    struct quota_part *part = slice_eq_str(type, "user")        ? &e->user
                              : slice_eq_str(type, "client-id") ? &e->client_id
                              : slice_eq_str(type, "ip")        ? &e->ip
                                                                : NULL;

    if (!part)
        return reason_set(why, ERR_INVALID_REQUEST, "Unhandled client quota entity type: %.*s", SLICE_FMT(type));
    if (part->kind != QUOTA_ABSENT)
        return reason_set(why, ERR_INVALID_REQUEST, "Invalid client quota entity, contains duplicate entity type %.*s",
                          SLICE_FMT(type));
    if (!slice_is_null(name) && name.n == 0)
        return reason_set(why, ERR_INVALID_REQUEST, "Empty %.*s not supported", SLICE_FMT(type));
    if (name.n > QUOTA_NAME_MAX)
        return reason_set(why, ERR_INVALID_REQUEST, "A %.*s of %zu bytes is too long", SLICE_FMT(type), name.n);
    part->kind = slice_is_null(name) ? QUOTA_DEFAULT : QUOTA_NAMED;
    part->name = name;
    return ERR_OK;
}

static bool is_ip(struct slice s)
{
    char text[INET6_ADDRSTRLEN];
    uint8_t address[16];

    if (s.n >= sizeof text)
        return false;
    memcpy(text, s.p, s.n);
    text[s.n] = 0;
    return inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1;
}

enum err quota_entity_validate(const struct quota_entity *e, struct reason *why)
{
    bool names_client = e->user.kind != QUOTA_ABSENT || e->client_id.kind != QUOTA_ABSENT;

    if (e->ip.kind == QUOTA_ABSENT && !names_client)
        return reason_set(why, ERR_INVALID_REQUEST, "Invalid empty client quota entity");
    if (e->ip.kind != QUOTA_ABSENT && names_client)
        return reason_set(why, ERR_INVALID_REQUEST,
                          "Invalid quota entity combination, IP entity should not be combined with User or ClientId");
    /* Kafka also takes host names and resolves them; a quota that depends on a name server is none. */
    if (e->ip.kind == QUOTA_NAMED && !is_ip(e->ip.name))
        return reason_set(why, ERR_INVALID_REQUEST, "%.*s is not a valid IP address", SLICE_FMT(e->ip.name));
    return ERR_OK;
}

enum err quota_value_validate(const struct quota_entity *e, struct slice key, double value, enum quota_key *out,
                              struct reason *why)
{
    const struct key_row *row;

    if (!quota_key_parse(key, out) || keys[*out].ip != (e->ip.kind != QUOTA_ABSENT))
        return reason_set(why, ERR_INVALID_REQUEST, "Invalid configuration key %.*s", SLICE_FMT(key));
    row = &keys[*out];
    if (!(value > 0) || isinf(value)) /* also NaN */
        return reason_set(why, ERR_INVALID_REQUEST, "Quota %s must be greater than 0", row->name);
    if (row->width && value > row->max)
        return reason_set(why, ERR_INVALID_REQUEST, "Proposed value for %s is too large for a%s %s.", row->name,
                          row->width[0] == 'I' ? "n" : "", row->width);
    if (row->width && fabs(fmod(value, 1.0)) > 1e-6)
        return reason_set(why, ERR_INVALID_REQUEST, "%s cannot be a fractional value.", row->name);
    return ERR_OK;
}

static void put_part(struct buf *out, const char *type, const struct quota_part *p, const char **separator)
{
    if (p->kind == QUOTA_ABSENT)
        return;
    buf_printf(out, "%s%s=%.*s", *separator, type,
               SLICE_FMT(p->kind == QUOTA_DEFAULT ? slice_str("<default>") : p->name));
    *separator = ", ";
}

void quota_entity_put(struct buf *out, const struct quota_entity *e)
{
    const char *separator = "";

    put_part(out, "user", &e->user, &separator);
    put_part(out, "client-id", &e->client_id, &separator);
    put_part(out, "ip", &e->ip, &separator);
}

/* --- DescribeClientQuotas --- */

static enum err check_match(int8_t match_type, struct slice match, struct reason *why)
{
    switch (match_type) {
    case QUOTA_MATCH_EXACT:
        if (slice_is_null(match))
            return reason_set(why, ERR_INVALID_REQUEST,
                              "Request specified MATCH_TYPE_EXACT, but set match string to null.");
        return ERR_OK;
    case QUOTA_MATCH_DEFAULT:
        if (!slice_is_null(match))
            return reason_set(why, ERR_INVALID_REQUEST,
                              "Request specified MATCH_TYPE_DEFAULT, but also specified a match string.");
        return ERR_OK;
    case QUOTA_MATCH_SPECIFIED:
        if (!slice_is_null(match))
            return reason_set(why, ERR_INVALID_REQUEST,
                              "Request specified MATCH_TYPE_SPECIFIED, but also specified a match string.");
        return ERR_OK;
    }
    return reason_set(why, ERR_INVALID_REQUEST, "Unknown match type %d", match_type);
}

enum err quota_filter_add(struct quota_filter *f, struct slice type, int8_t match_type, struct slice match,
                          struct reason *why)
{
    struct quota_filter_part *part = slice_eq_str(type, "user")        ? &f->user
                                     : slice_eq_str(type, "client-id") ? &f->client_id
                                     : slice_eq_str(type, "ip")        ? &f->ip
                                                                       : NULL;
    enum err e;

    if (type.n == 0)
        return reason_set(why, ERR_INVALID_REQUEST, "Invalid empty entity type.");
    if (!part)
        return reason_set(why, ERR_UNSUPPORTED_VERSION, "Unsupported entity type %.*s", SLICE_FMT(type));
    if (part->used)
        return reason_set(why, ERR_INVALID_REQUEST, "Entity type %.*s cannot appear more than once in the filter.",
                          SLICE_FMT(type));
    e = check_match(match_type, match, why);
    if (e)
        return e;
    part->used = true;
    part->match = (enum quota_match)match_type;
    part->name = match;
    return ERR_OK;
}

enum err quota_filter_validate(const struct quota_filter *f, struct reason *why)
{
    if (f->ip.used && (f->user.used || f->client_id.used))
        return reason_set(why, ERR_INVALID_REQUEST,
                          "Invalid entity filter component combination. IP filter component should not be combined "
                          "with user or clientId filter component.");
    return ERR_OK;
}

static bool part_matches(const struct quota_filter_part *f, const struct quota_part *p, bool strict)
{
    if (!f->used)
        return !strict || p->kind == QUOTA_ABSENT;
    switch (f->match) {
    case QUOTA_MATCH_EXACT:
        return p->kind == QUOTA_NAMED && slice_eq(f->name, p->name);
    case QUOTA_MATCH_DEFAULT:
        return p->kind == QUOTA_DEFAULT;
    case QUOTA_MATCH_SPECIFIED:
        return p->kind != QUOTA_ABSENT;
    }
    return false;
}

bool quota_filter_matches(const struct quota_filter *f, const struct quota_entity *e)
{
    return part_matches(&f->user, &e->user, f->strict) && part_matches(&f->client_id, &e->client_id, f->strict) &&
           part_matches(&f->ip, &e->ip, f->strict);
}
