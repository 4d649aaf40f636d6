/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_FILTER_SUBSCRIPTIONS_H
#define CASTELLAN_GATEWAY_FILTER_SUBSCRIPTIONS_H

#include "gateway/filter/regex_members.h"

/* What the workers of one gateway share about subscriptions by pattern: who has one (regex_members.h), and the names of
 * the cluster's topics, which node_watch.c reads again and again, so that no heartbeat asks for them. Thread-safe: a
 * short lock. */
struct subscriptions;

struct topic_list { /* never changed once it is made */
    _Atomic uint32_t refs;
    uint64_t version;
    size_t n;
    struct slice *v; /* in the order of slice_cmp(), each once */
};
void topic_list_unref(struct topic_list *l); /* NULL is fine */

struct subscriptions *subscriptions_new(const struct regex_limits *limits); /* NULL: no memory */
void subscriptions_free(struct subscriptions *s);                           /* NULL is fine */

/* All topics of the cluster, in any order; copied. The same ones as before change nothing. */
enum err subscriptions_set_topics(struct subscriptions *s, const struct slice *names, size_t n) MUST_CHECK;

/* regex_members_heartbeat() by the newest list, and with REGEX_RESOLVE that list: the caller unrefs it. *topics NULL:
 * the topics are not known yet. `rules` changes whenever the rules do. */
enum err subscriptions_heartbeat(struct subscriptions *s, const struct regex_heartbeat *h, uint64_t rules,
                                 uint64_t now_ms, enum regex_plan *plan, struct regex_resolution *r,
                                 struct topic_list **topics, struct reason *why) MUST_CHECK;
void subscriptions_answered(struct subscriptions *s, const struct regex_heartbeat *h, struct regex_ticket sent,
                            enum err answer);
/* What the member said, copied into the arena; *pattern null: it has none that is known here. False: no memory. */
bool subscriptions_describe(struct subscriptions *s, struct slice group, struct slice member, struct arena *a,
                            struct slice *pattern, struct wire_string_array *names);

#endif
