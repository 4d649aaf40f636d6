/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_SPLIT_H
#define CASTELLAN_GATEWAY_SPLIT_H

#include "gateway/session.h"

/* Authorization driven by a table. Most APIs ask for something about a list of named things (topics, groups,
 * transactional ids) and answer with a list of the same things. For those a row says which fields these are; the engine
 * takes out of the request what the principal may not touch, forwards the rest, and puts the refusals back into the
 * answer where they belong, in the order of the request. */

/* A check of the whole request: one resource named by a field, or the cluster. Refusing answers every item with it. */
struct split_whole {
    enum acl_type type; /* ACL_TYPE_UNKNOWN ends the list */
    enum acl_operation operation;
    const char *field; /* of the request: a string; NULL: the cluster */
    bool null_passes;  /* a null name needs no right (no transactional id) */
    enum err refused;
};

/* The list. Field names are Kafka's, as in the descriptions. */
struct split_items {
    const char *array;     /* of the request; NULL: no list */
    const char *name;      /* in its struct; NULL: the elements are strings */
    const char *topic_id;  /* in its struct: a uuid that may stand for the name; NULL: none */
    const char *sub_array; /* of the element: its partitions; NULL: none */
    const char *sub_index; /* in their struct; NULL: the elements are int32 */
    enum acl_type type;
    enum acl_operation operation;
    enum err refused;
    const char *out_array;     /* of the response; NULL: nothing is listed (refused items just vanish) */
    const char *out_name;      /* in its struct */
    const char *out_topic_id;  /* NULL: none */
    const char *out_sub_array; /* NULL: none */
    const char *out_sub_index;
    const char *out_error;   /* in the innermost struct */
    const char *out_message; /* beside it, may be NULL */
    bool empty_means_all;    /* an empty list must not be forwarded */
    /* NULL, or what decides about an element instead of `type` and `operation` (their place is then unused) */
    enum err (*judge)(struct pending *p, const void *element);
    const char *kind; /* an int8 beside the name, in request and response: together they name the thing; NULL: none */
};

enum { SPLIT_WHOLE_MAX = 3 };

struct split_plan {
    int16_t api_key;
    int16_t min, max; /* versions this row is for */
    struct split_whole whole[SPLIT_WHOLE_MAX];
    struct split_items items;
};

/* The handler for every API that has plans. */
void handle_split(struct pending *p);
/* The same, and `then` sees the merged (or relayed) response struct before it is sent. */
void split_run(struct pending *p, void (*then)(struct pending *p, void *response));
/* For a test: every field name of every plan exists in its message, in all versions of the row. Returns the first bad
 * one as "API: field", or NULL. */
const char *split_check_plans(void);

/* Answers with this error everywhere it can stand (gateway/refusal.h). */
void split_refuse(struct pending *p, enum err err);

#endif
