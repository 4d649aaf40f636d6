/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_SCHEMA_TOPICS_H
#define CASTELLAN_GATEWAY_SCHEMA_TOPICS_H

#include "gateway/filter/schema_check.h"
#include "gateway/request/request.h"

/* A worker's memory of what topics' configurations say about schemas, and the judges of those that say something. The
 * cluster is asked (DescribeConfigs) when a topic is met first, every SCHEMA_TOPIC_MS, and after every change of a
 * topic's configuration that passes through this gateway. Lives on the worker's thread. */
enum {
    SCHEMA_TOPICS_MAX = 100000,
    SCHEMA_TOPIC_MS = 5000,        /* a change made behind the gateway's back is seen after this time */
    SCHEMA_TOPIC_SETTLE_MS = 3000, /* after a change, while the cluster's nodes may still differ ... */
    SCHEMA_TOPIC_UNSETTLED_MS = 50 /* ... what they say is kept for this long */
};

struct schema_topic {
    bool known;
    enum err err; /* why not, when the cluster was asked */
    int64_t asked_ms;
    uint64_t change; /* of the gateway's count of changes, when the cluster was asked */
    struct schema_settings settings;
    struct schema_judge *judge; /* made when needed; NULL while it judges */
};

struct gateway;
struct worker;
struct schema_topics;
void schema_topics_free(struct schema_topics *t); /* NULL is fine */

/* NULL: not known, or not any more. */
struct schema_topic *schema_topic_find(struct worker *w, struct slice topic);
/* The same as the cluster said it last, however long ago; maybe not known. */
struct schema_topic *schema_topic_latest(struct worker *w, struct slice topic);
/* Ask the cluster about these topics on the request's behalf: WAIT, and when the step is called again
 * schema_topics_take() says how that went. With anything but WAIT there is nothing to take. */
struct schema_asking {
    int16_t version;
    int64_t asked_ms;
    uint64_t change;
};
enum step schema_topics_ask(struct request *r, struct worker *w, struct schema_asking *a, const struct slice *topics,
                            size_t n, enum err *err);
enum err schema_topics_take(struct request *r, struct worker *w, const struct schema_asking *a) MUST_CHECK;
/* The topic's judge, the caller's until it is given back; another one while somebody has it. NULL: no memory. */
struct schema_judge *schema_topic_take_judge(struct worker *w, struct schema_topic *t, struct slice topic);
/* The topic may be unknown by now. NULL is fine. */
void schema_topic_give_judge(struct worker *w, struct slice topic, struct schema_judge *judge);
/* Some topic's configuration is not what it was; any thread. */
void schema_topics_changed(struct gateway *g);
/* castellan.topic.TOPIC.value.schema.validation=... and its kind in gateway.properties, checked. */
enum err schema_topics_check_settings(const struct gateway *g, struct reason *why) MUST_CHECK;
void schema_topics_put_own(const struct gateway *g, struct schema_settings *s, struct slice topic);

#endif
