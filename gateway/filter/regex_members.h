/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_FILTER_REGEX_MEMBERS_H
#define CASTELLAN_GATEWAY_FILTER_REGEX_MEMBERS_H

#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/wire/message.h"

/* Members of consumer groups that subscribe with a pattern (ConsumerGroupHeartbeat, KIP-848). The cluster would resolve
 * a pattern with the gateway's rights, so it never sees one: the gateway resolves it over the topics that the member
 * may describe and sends names. This is what it must remember for that, and the work of resolving. Members that said
 * that they have no pattern are remembered too, as long as they need less than half of the room, so that those whose
 * pattern was told to somebody else can be told apart, and asked to say everything again.
 *
 * Of one heartbeat: regex_members_heartbeat() says what to send. REGEX_RESOLVE: call regex_resolution_step() until it
 * is done, send its names, and no pattern. When the answer is here, regex_members_answered(). Nothing here locks, reads
 * a clock or asks for rights by itself. */
struct regex_members;
struct topic_regex;

enum {
    REGEX_MEMBERS_MAX_DEFAULT = 100000,
    REGEX_MEMBERS_PER_PRINCIPAL_MAX_DEFAULT = 10000,
    REGEX_MEMBERS_BYTES_MAX_DEFAULT = 64 << 20, /* of patterns, names and keys */
    REGEX_MEMBERS_BYTES_MIN = 4096,             /* of the setting */
    REGEX_MEMBERS_EXPIRE_MS_DEFAULT = 3600000,  /* without a heartbeat; longer than any session timeout in use */
    REGEX_EXPLICIT_NAMES_MAX = 10000,           /* topics that a member names beside its pattern */
    REGEX_RESOLVE_STEPS_MAX = 50000000,         /* of matching, for one pattern over all topics */
};

struct regex_limits { /* 0: the default */
    size_t members_max, members_per_principal_max, bytes_max;
    uint64_t expire_ms;
};

/* Counters of the caller: whenever the list of topics or any rule changes, one of them does. */
struct regex_versions {
    uint64_t topics, rules;
};

/* What an answer is about: see regex_members_answered(). */
struct regex_ticket {
    struct regex_versions versions;
    uint64_t serial;
};

/* What the request says; slices are borrowed for the call. */
struct regex_heartbeat {
    struct slice group, member, principal;
    int32_t epoch;
    bool says_all;                  /* nothing is left out as unchanged: what it does not say it does not have */
    struct wire_string_array names; /* SubscribedTopicNames; n -1: null, unchanged */
    struct slice regex;             /* null: unchanged; empty: no pattern any more */
};

enum regex_plan {
    REGEX_FORWARD, /* no pattern: send it as it came (an empty pattern may go along) */
    REGEX_KEEP,    /* a pattern, and the cluster has its names: send null names and no pattern */
    REGEX_RESOLVE, /* the names must be found and sent */
    REGEX_REJOIN,  /* answer FENCED_MEMBER_EPOCH, so that the client says everything again: it tells a pattern, but its
                      names were told elsewhere; or its pattern was told by another principal; or nobody here has heard
                      whether it has one (the gateway was started since, or it came from another) */
};

enum regex_progress { REGEX_DONE, REGEX_AGAIN, REGEX_FAILED };

/* Finding the names for one heartbeat. The caller owns it and frees it, whatever happened. */
struct regex_resolution {
    struct regex_ticket ticket;
    struct topic_regex *re;                  /* NULL: the explicit names only */
    struct wire_string_array explicit_names; /* sorted */
    int32_t explicit_next;
    size_t topic_next;
    uint64_t steps;
    struct arena arena;
    struct wire_string_array names; /* the result, sorted, each once; lives as long as this */
    int32_t names_cap;
};

struct regex_members *regex_members_new(const struct regex_limits *limits); /* NULL: no memory */
void regex_members_free(struct regex_members *m);
size_t regex_members_count(const struct regex_members *m);
size_t regex_members_bytes(const struct regex_members *m);

/* Decides, and remembers what the request says. `r` is set for REGEX_RESOLVE only, and must then be freed.
 * ERR_INVALID_REGULAR_EXPRESSION (see topic_regex.h), ERR_GROUP_MAX_SIZE_REACHED (`why` names the limit),
 * ERR_NO_MEMORY; nothing was remembered then. */
enum err regex_members_heartbeat(struct regex_members *m, const struct regex_heartbeat *h, struct regex_versions now,
                                 uint64_t now_ms, enum regex_plan *plan, struct regex_resolution *r,
                                 struct reason *why) MUST_CHECK;

/* Goes on for about `steps` of matching. `topics` is in the order of slice_cmp(), each once, and the same for all calls
 * with one resolution. REGEX_FAILED: `why->code` is ERR_INVALID_REGULAR_EXPRESSION (too much work over this many
 * topics) or ERR_NO_MEMORY. */
enum regex_progress regex_resolution_step(struct regex_resolution *r, const struct slice *topics, size_t topics_n,
                                          bool (*may_describe)(void *context, struct slice topic), void *context,
                                          uint64_t steps, struct reason *why);
void regex_resolution_free(struct regex_resolution *r);

/* The cluster's answer to the names of a resolution with this ticket: on ERR_OK they need not be sent again until
 * something changes, on UNKNOWN_MEMBER_ID the member is forgotten, on anything else they are sent again. */
void regex_members_answered(struct regex_members *m, const struct regex_heartbeat *h, struct regex_ticket sent,
                            enum err answer);

/* For ConsumerGroupDescribe: the member's own words. False: it has no pattern. Borrowed until the next call that
 * changes anything. */
bool regex_members_describe(const struct regex_members *m, struct slice group, struct slice member,
                            struct slice *pattern, struct wire_string_array *names);

#endif
