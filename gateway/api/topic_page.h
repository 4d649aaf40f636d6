/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_TOPIC_PAGE_H
#define CASTELLAN_GATEWAY_TOPIC_PAGE_H

#include "core/base/err.h"
#include "gateway/request/sorting.h"
#include "wire/describe_topic_partitions.h"

/* DescribeTopicPartitions answers in pages, and its cursor names a topic. What is asked of the cluster is therefore
 * never "all topics" but a list of those the client may describe: then every name in the answer, the next cursor's too,
 * is one of them. Pure; the right is asked through a function. */
enum { TOPIC_PAGE_PARTITIONS_MAX = 2000 }; /* Kafka's max.request.partition.size.limit */

struct topic_page_refused {
    struct slice name;
    enum err err;
};

struct topic_page {
    enum err whole; /* not ERR_OK: each topic of the request is answered with it, and nothing else here is set */
    /* To be asked for: in order, each once, none before the cursor, no more than a page can need. */
    struct describe_topic_partitions_request_topic_request_array send;
    struct slice next;                  /* the first that did not fit; null: none */
    struct topic_page_refused *refused; /* named, and may not be described */
    int32_t refused_n;
    bool
        keeps_cursor; /* the cursor's topic is the first of `send`: it goes on. Else the page begins with partition 0 */
    /* resumable work */
    const struct topic_page_names *names;
    const struct describe_topic_partitions_request *req;
    bool all;
    size_t limit;
    struct sorting order;
    int32_t at;
    bool sorted, listed; /* the cursor's topic is one of the list's */
};

/* Names that stand in structs of any kind. */
struct topic_page_names {
    const void *first; /* struct slice */
    size_t stride;
    int32_t n;
};

struct topic_page_rights {
    void *ctx;
    enum err (*describe)(void *ctx, struct slice topic); /* ERR_OK, or what to answer */
};

/* `names`: the request's topics, or all topics of the cluster when it named none (`all`); both stay as they are until
 * the page is planned. False: no memory. */
bool topic_page_begin(struct topic_page *out, const struct describe_topic_partitions_request *req,
                      const struct topic_page_names *names, bool all, struct arena *a) MUST_CHECK;
/* A little of the work: one name is looked at, or sorted one place further. False: the page is planned. */
bool topic_page_next(struct topic_page *p, const struct topic_page_rights *rights);

#endif
