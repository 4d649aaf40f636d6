/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_METADATA_PLAN_H
#define CASTELLAN_GATEWAY_METADATA_PLAN_H

#include "core/base/arena.h"
#include "core/base/err.h"
#include "wire/metadata.h"

/* What becomes of each topic a Metadata request names. Pure; the rights are asked through two functions. */
enum { METADATA_CREATE_FLAG_SINCE = 4, METADATA_IDS_SINCE = 12 };

struct metadata_rights {
    void *ctx;
    enum err (*describe)(void *ctx, struct slice topic); /* ERR_OK, or what to answer */
    enum err (*create)(void *ctx, struct slice topic);   /* may it be made on demand? */
};

struct metadata_refused {
    struct slice name;
    enum err err;
};

struct metadata_plan {
    enum err whole; /* not ERR_OK: the whole request is answered with it, and nothing else here is set */
    int32_t at;     /* topics of the request that are decided */
    bool by_id;     /* topics are named by id; names beside ids are dropped, as Kafka does */
    struct metadata_refused *refused;
    int32_t refused_n;
    /* Named topics that may be described but not made: to be asked for without making them. The missing ones are then
     * answered with what create() says. */
    struct metadata_request_metadata_request_topic_array ask;
    /* The rest, to be forwarded as the client asked. */
    struct metadata_request_metadata_request_topic_array send;
};

/* The request stays as it is. Arrays are in the arena, slices point into the request. ERR_NO_MEMORY. Then one topic
 * after the other, until `at` is the number of topics or `whole` is set. */
enum err metadata_plan_begin(struct metadata_plan *out, const struct metadata_request *req, int16_t version,
                             struct arena *a) MUST_CHECK;
void metadata_plan_next(struct metadata_plan *p, const struct metadata_request *req, int16_t version,
                        const struct metadata_rights *rights);

/* The answer to a request that is refused as a whole: Kafka's, which names no node. */
enum err metadata_refuse_whole(struct metadata_response *out, const struct metadata_request *req, enum err err,
                               struct arena *a) MUST_CHECK;

#endif
