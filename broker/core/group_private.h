/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_BROKER_CORE_GROUP_PRIVATE_H
#define CASTELLAN_BROKER_CORE_GROUP_PRIVATE_H

#include "broker/core/group.h"

/* What the files of the group's state machine share. */

struct group_promise {
    int64_t deadline_ms;
};

static inline struct slice group_slice(const char *s) /* NULL is null */
{
    return s ? slice_str(s) : SLICE_NULL;
}

static inline bool group_is_junk(const struct group *g) /* nothing in it, and nothing of it in the log */
{
    return g->state == GROUP_EMPTY && g->generation == 0 && !g->protocol_type && map_count(&g->promised) == 0 &&
           map_count(&g->offsets.slots) == 0;
}

/* group.c */
struct group *group_get(struct group_table *t, struct slice id); /* makes an empty one; NULL: no memory */
void group_remove(struct group *g);                              /* out of the table, and freed */
void group_move(struct group *g, enum group_state to, int64_t wall_ms);
/* At the end of every step: works out the wake time, drops the group when it is junk. The group may be gone after. */
void group_settle(struct group *g);
char *group_text(struct slice s); /* a copy; NULL for null or without memory */

/* group_member.c */
struct member_spec {
    struct slice id, instance_id, client_id, client_host;
    int32_t session_ms, rebalance_ms;
    const struct join_group_request_join_group_request_protocol_array *protocols;
};
struct group_member *member_new(const struct member_spec *spec);
void member_free(struct group_member *m);
/* Into the group, whose protocol type is `protocol_type`; leader when it has none. */
enum err member_add(struct group *g, struct group_member *m, struct slice protocol_type) MUST_CHECK;
/* Out of the group and freed; who waits was answered. Elects the next leader. */
void member_remove(struct group *g, struct group_member *m);
enum err member_set_protocols(struct group_member *m,
                              const struct join_group_request_join_group_request_protocol_array *protocols) MUST_CHECK;
enum err member_set_assignment(struct group_member *m, struct slice assignment) MUST_CHECK;
bool member_matches(const struct group_member *m,
                    const struct join_group_request_join_group_request_protocol_array *protocols);
struct slice member_metadata(const struct group_member *m, const char *protocol); /* empty when it has none */
struct group_member *member_find(const struct group *g, struct slice id);
/* UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID */
enum err member_validate(const struct group *g, struct slice id, struct slice instance_id,
                         struct group_member **out) MUST_CHECK;
void member_beat(struct group_member *m, int64_t now_ms);

bool group_supports(const struct group *g, struct slice protocol_type,
                    const struct join_group_request_join_group_request_protocol_array *protocols);
char *group_choose_protocol(const struct group *g); /* the one to free; NULL: no memory */
void group_learn_topics(struct group *g);
size_t group_joining_count(const struct group *g);

/* group_answer.c */
void answer_join_error(struct group_waiter *w, enum err err, struct slice member_id, struct group_call *c);
/* The current generation; with_members: the leader's view. */
void answer_join(struct group *g, struct group_member *m, struct group_waiter *w, bool with_members,
                 struct slice leader, bool skip_assignment, struct group_call *c);
void answer_sync(struct group *g, struct group_member *m, struct group_waiter *w, enum err err, struct group_call *c);
void answer_member(struct group *g, struct group_member *m, enum err err, struct group_call *c); /* whatever waits */

/* group_rebalance.c */
void rebalance_prepare(struct group *g, struct group_call *c); /* unless it is under way: then completes if it can */
void rebalance_maybe_complete(struct group *g, struct group_call *c);
void rebalance_member_gone(struct group *g, struct group_member *m,
                           struct group_call *c); /* removes it, and moves on */

/* group_records.c */
void group_record_put(const struct group *g, struct record_list *out);
void group_record_remove(struct slice id, struct record_list *out);

#endif
