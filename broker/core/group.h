/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_BROKER_CORE_GROUP_H
#define CASTELLAN_BROKER_CORE_GROUP_H

#include "broker/core/offsets.h"
#include "core/base/arena.h"
#include "wire/describe_groups.h"
#include "wire/heartbeat.h"
#include "wire/join_group.h"
#include "wire/leave_group.h"
#include "wire/sync_group.h"

/* The group coordinator's state for one partition of `__consumer_offsets`: Kafka's classic protocol (KIP-62, KIP-134,
 * KIP-345, KIP-394, KIP-559, KIP-814) and the committed offsets, pure.
 *
 *   EMPTY -join-> PREPARING -all joined, or time is up-> COMPLETING -the leader's assignment-> STABLE
 *   STABLE, COMPLETING -a member comes, goes or changes-> PREPARING        PREPARING -nobody left-> EMPTY
 *
 * Every step takes a call: the time, where its records go, and the list of waiters it answers. The state changes at
 * once; the caller writes the records first and then gives out the answers. When it cannot write, it must not give
 * them out: it fails every waiter (group_table_fail_waiters) and loads the table again. Offsets are different: the
 * caller writes the records it made with group_commit_record() and applies them with group_table_apply(), so the live
 * table is what a replay of the log gives. */
enum group_state { GROUP_EMPTY, GROUP_PREPARING, GROUP_COMPLETING, GROUP_STABLE, GROUP_DEAD };

enum {
    GROUP_NEW_MEMBER_JOIN_MS = 5 * 60 * 1000, /* a member without an id cannot heartbeat: its first join ends then */
    GROUP_ID_RANDOM_BYTES = 16,
};

const char *group_state_name(enum group_state s); /* "PreparingRebalance", as tools print it */

struct group_config {
    int32_t initial_delay_ms, session_min_ms, session_max_ms, members_max;
    int32_t metadata_max_bytes; /* of a commit */
    int64_t retention_ms;
};

/* One JoinGroup or SyncGroup that is answered now or later, exactly once. Made by the caller, who owns it; `answer`
 * points into `arena`, which is the request's. */
struct group_waiter {
    struct group_waiter *next; /* in struct group_call.answers */
    struct arena *arena;
    void *user;
    bool is_sync;
    union {
        struct join_group_response join;
        struct sync_group_response sync;
    } answer;
};

struct group_call {
    int64_t now_ms;  /* monotonic: deadlines */
    int64_t wall_ms; /* what is written into records */
    struct record_list *records;
    struct group_waiter *answers, **answers_end; /* in order */
};
void group_call_init(struct group_call *c, int64_t now_ms, int64_t wall_ms, struct record_list *records);

struct group_protocol {
    struct slice name, metadata; /* in the member's protocol_bytes */
};

struct group_member {
    char *id, *client_id, *client_host;
    char *instance_id; /* NULL: a dynamic member */
    int32_t session_ms, rebalance_ms;
    struct group_protocol *protocols; /* in the member's order of preference */
    int32_t protocol_count;
    uint8_t *protocol_bytes;
    uint8_t *assignment;
    size_t assignment_n;
    struct group_waiter *joining, *syncing;
    bool is_new;       /* its first join is not answered yet: it does not know its id */
    bool sync_pending; /* joined this generation, has not synced yet */
    int64_t deadline_ms;
};

struct group {
    struct group_table *table;
    char *id;
    enum group_state state, previous;
    int32_t generation;
    char *protocol_type; /* NULL: never had members */
    char *protocol;      /* NULL: none chosen */
    struct group_member *leader;
    struct map members;  /* id -> struct group_member */
    struct map statics;  /* instance id -> the same */
    struct map promised; /* ids given out with MEMBER_ID_REQUIRED -> struct group_promise */
    int64_t since_ms;    /* wall clock: when it got into its state; -1 unknown */
    bool grew;           /* a member came during the initial delay */
    int64_t join_deadline_ms, join_left_ms, sync_deadline_ms; /* deadlines: -1 none */
    struct map topics;                                        /* subscribed to, when known */
    bool topics_known;
    struct offsets offsets;
    int64_t wake_ms; /* not after its first deadline; INT64_MAX: none */
    size_t heap_at;
};

struct group_table {
    struct group_config config;
    struct map by_id; /* -> struct group */
    struct group **heap;
    size_t heap_n, heap_cap;
    struct offset_txns txns;
};

void group_table_init(struct group_table *t, const struct group_config *config);
void group_table_free(struct group_table *t); /* no waiter may be left */
struct group *group_find(const struct group_table *t, struct slice id);
/* Answers all who wait with `err`; the table is of no further use but to be freed. */
void group_table_fail_waiters(struct group_table *t, enum err err, struct group_call *c);

/* ---- Time ---- */

int64_t group_table_wake_ms(const struct group_table *t); /* when group_table_expire is due; INT64_MAX: never */
/* Works on one group whose time has come; false when there is none (any more). */
bool group_table_expire(struct group_table *t, struct group_call *c);
/* Offsets out of retention, and groups with nothing left: tombstones. Removed from the table when they are applied. */
void group_table_sweep(struct group_table *t, struct group_call *c);

/* ---- Members ---- */

struct group_join {
    const struct join_group_request *request;
    bool id_required; /* version 4 and later: a new dynamic member is first told its id */
    bool may_skip;    /* version 9 and later understands SkipAssignment */
    struct slice client_id, client_host;
    uint8_t random[GROUP_ID_RANDOM_BYTES];
};
void group_join(struct group_table *t, const struct group_join *j, struct group_waiter *w, struct group_call *c);
void group_sync(struct group_table *t, const struct sync_group_request *req, struct group_waiter *w,
                struct group_call *c);
enum err group_heartbeat(struct group_table *t, const struct heartbeat_request *req, struct group_call *c) MUST_CHECK;
/* One answer per identity; the return value is for the whole request. */
enum err group_leave(struct group_table *t, struct slice group_id,
                     const struct leave_group_request_member_identity *members, int32_t n, enum err *errors,
                     struct group_call *c) MUST_CHECK;

/* ---- Offsets ---- */

struct group_commit {
    struct slice group_id, member_id, instance_id; /* instance_id may be null */
    int32_t generation;
    bool transactional;
};
/* May these offsets be committed? Counts as a heartbeat of the member. */
enum err group_check_commit(struct group_table *t, const struct group_commit *commit, struct group_call *c) MUST_CHECK;
/* GROUP_ID_NOT_FOUND, NON_EMPTY_GROUP, or ERR_OK; then ask for each topic with group_is_subscribed. */
enum err group_check_offset_delete(const struct group_table *t, struct slice id) MUST_CHECK;
bool group_is_subscribed(const struct group *g, struct slice topic);
/* DeleteGroups: tombstones for its offsets and itself. GROUP_ID_NOT_FOUND, NON_EMPTY_GROUP. */
enum err group_delete(struct group_table *t, struct slice id, struct record_list *records) MUST_CHECK;
/* Tombstones for what all groups committed for a topic that was deleted. */
void group_table_forget_topic(struct group_table *t, struct slice topic, struct record_list *records);

/* ---- Looking ---- */

/* One group as DescribeGroups tells it; strings are the group's, good until the next step. */
void group_describe(const struct group *g, struct describe_groups_response_described_group *out, struct arena *a);

/* ---- The log ---- */

/* One record, from a replay or just written. `producer_id` -1: a plain batch. Records of kinds this table does not keep
 * (the newer protocols') are skipped; ERR_CORRUPT_MESSAGE: skip it and say so. Groups read here begin their sessions at
 * now_ms. */
struct group_record {
    struct slice key, value;
    int64_t offset, producer_id;
    int64_t now_ms;
};
enum err group_table_apply(struct group_table *t, const struct group_record *r) MUST_CHECK;
/* The marker of a transaction that staged offsets here. */
void group_table_txn_ended(struct group_table *t, int64_t producer_id, bool commit);

/* What must hold between steps; NULL, or what does not (tests, and a debugging aid). */
const char *group_table_broken(const struct group_table *t);

#endif
