/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_API_H
#define CASTELLAN_GATEWAY_API_H

#include "acl/acl.h"
#include "acl/quota.h"
#include "gateway/cluster/cluster.h"
#include "gateway/request/request_data.h"

/* The table of what the gateway serves: one row per API. An API without a row does not exist: it is not advertised, and
 * a request for it closes the connection, as Kafka does. */
enum api_phases { API_BEFORE_AUTH = 1, API_READY = 2 };
enum api_where { API_FORWARDED, API_ANSWERED_HERE };

/* Who decides about the places of a request that name something (marked in core/wire/messages). Every place of every
 * version needs one of these, or the gateway does not start (api_check). */
enum api_scope {
    RIGHT_END,   /* of the list */
    RIGHT_WHOLE, /* one name for the whole request, or the cluster: refused, all is refused */
    RIGHT_EACH,  /* a list of names: each has its own fate */
    RIGHT_OWN,   /* the API's own step decides */
    RIGHT_FREE,  /* needs no right; `why` says it */
};

struct api_right {
    enum api_scope scope;
    enum wire_entity entity; /* WIRE_ENTITY_NONE with RIGHT_WHOLE: the cluster */
    enum acl_type type;
    enum acl_operation operation;
    bool null_passes; /* a null name needs no right (no transactional id) */
    bool by_cluster;  /* a right on the cluster, asked before, stands in for it: only reserved names are refused */
    /* This right on the cluster stands in for it (0: none does): as well as the one on the name, or, with
     * `cluster_instead`, only where that says so, and there the one on the name does not count. */
    enum acl_operation cluster;
    bool (*cluster_instead)(const struct request *r);
    int16_t others;    /* RIGHT_EACH: one refused, none is done, and the others are answered with this error */
    int16_t min, max;  /* versions it is for; 0, 0: all */
    const char *field; /* only this place, by its path ("Cursor.TopicName"); NULL: every place of the entity */
    const char *why;
};
enum { API_RIGHTS_MAX = 6 };

/* What becomes of an element that the request names again. */
enum api_twice {
    TWICE_FREE,       /* nothing: the cluster says what it thinks of it */
    TWICE_ONE_ANSWER, /* INVALID_REQUEST, said once */
    TWICE_EACH,       /* INVALID_REQUEST for each */
};

struct list_note;

struct api_row {
    int16_t key;
    int16_t max;     /* the highest version served; INT16_MAX: as far as it is described */
    unsigned phases; /* enum api_phases */
    enum api_where where;
    unsigned filters;     /* FILTER_BIT()s beyond ids, acl and the API's own, which follow from what stands here */
    enum quota_key quota; /* with FILTER_QUOTA */
    bool texts;           /* refused elements carry the error's text where the answer has room for it */
    enum api_twice twice; /* said to everybody: it tells nothing about what exists */
    bool asks_always;     /* forwarded although nothing is left of its list: the cluster has more to say */
    struct api_right rights[API_RIGHTS_MAX];
    /* About the request as a whole, before all else; NULL: the rights say it all. */
    enum step (*judge_whole)(struct request *r, enum err *err);
    /* Instead of the right, about one element of the list (NULL: the right decides). */
    enum err (*judge)(struct request *r, const void *element);
    /* What a refused element (its partition, where it has some) says besides its error. */
    void (*fill)(const struct request *r, int32_t i, void *out, const struct list_note *note);
    bool (*silent)(const struct request *r); /* it gets no answer (acks=0) */
    /* Before it is forwarded (API_ANSWERED_HERE: makes the answer); on the cluster's answer, which is then decoded. */
    enum step (*start)(struct request *r);
    enum step (*finish)(struct request *r);
    bool spends_frame;   /* nobody looks at the request after it was forwarded whole: its memory goes with it */
    bool finish_if_read; /* `finish` alone is no reason to decode the answer */
};
#define FILTER_BIT(id) (1u << (id))

const struct api_row *api_find(int16_t key);
const struct api_row *api_at(size_t i); /* NULL past the end */
/* The versions advertised: what is described, what this table serves and what the cluster speaks, all at once.
 * False: not served. */
bool api_versions(struct cluster *c, const struct api_row *row, int16_t *min, int16_t *max);
/* Every named thing in every version of every row has a decision. */
enum err api_check(struct reason *why) MUST_CHECK;
/* The right of this row that decides about a place; NULL: none. */
const struct api_right *api_right_of(const struct api_row *row, enum wire_entity entity, const char *path,
                                     int16_t version);

#endif
