/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_TOPIC_FATES_H
#define CASTELLAN_GATEWAY_TOPIC_FATES_H

#include "core/base/err.h"
#include "core/wire/message.h"
#include "gateway/request/seen.h"

struct create_topics_request;
struct delete_topics_request;

/* What becomes of each topic that CreateTopics or DeleteTopics names: Kafka's checks of the list as a whole (a topic
 * named twice, by name and id both, by neither) before and beside the rights. Pure; rights and names are asked through
 * functions. */
struct topic_fate {
    enum err err;      /* ERR_OK: forwarded; else answered with this */
    const char *text;  /* the answer's message; NULL: the error's own */
    bool silent;       /* not forwarded and no answer of its own: an earlier element has it */
    bool may_miss;     /* refused by name, but may be described: when it does not exist, that is the answer */
    struct slice name; /* what the answer shows; null: no name (by id, and the name may not be told) */
    struct wire_uuid id;
};

struct topic_rights {
    void *ctx;
    /* ERR_OK, or what to answer; *text may be set. */
    enum err (*change)(void *ctx, struct slice topic, const char **text);
    bool (*describe)(void *ctx, struct slice topic);
    struct slice (*name_of)(void *ctx, const struct wire_uuid *id); /* null: nobody has that id; DeleteTopics only */
};

enum topic_fates_pass { TOPIC_FATES_LIST, TOPIC_FATES_NAMES, TOPIC_FATES_IDS, TOPIC_FATES_DECIDED };

struct topic_fates {
    struct topic_fate *v; /* one for each topic of the request, in its order */
    int32_t n;
    enum topic_fates_pass pass; /* a client chooses how long the list is: it is walked in steps */
    int32_t at;
    const struct create_topics_request *create; /* the request: one of them */
    const struct delete_topics_request *delete;
    struct seen names, ids;
    struct arena *arena;
};

/* The fates are in the arena; *out stays where it is. False: no memory. */
bool topic_fates_create(struct topic_fates *out, const struct create_topics_request *req, struct arena *a) MUST_CHECK;
/* The same; the topics of all versions: TopicNames up to version 5, then Topics. */
bool topic_fates_delete(struct topic_fates *out, const struct delete_topics_request *req, struct arena *a) MUST_CHECK;
/* One topic of one pass. False: all are decided. */
bool topic_fates_next(struct topic_fates *f, const struct topic_rights *rights);

#endif
