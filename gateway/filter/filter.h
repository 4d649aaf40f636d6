/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_FILTER_H
#define CASTELLAN_GATEWAY_FILTER_H

#include "gateway/request/request_data.h"

/* What stands between a client and the cluster, in the order of going in; the way back is the reverse. Which filters an
 * API needs is a column of its row (gateway/api/api.h). */
enum filter_id {
    FILTER_IDS,    /* topic ids that are not known by name yet are asked for */
    FILTER_ACL,    /* rights; what is refused is taken out, and put back into the answer */
    FILTER_QUOTA,  /* bytes and mutations (KIP-13, KIP-599) */
    FILTER_API,    /* the API's own steps */
    FILTER_SCHEMA, /* produced records are held against their schemas */
    FILTER_CRYPT,  /* values are sealed and opened */
};
enum { FILTERS = FILTER_CRYPT + 1 };

struct filter {
    const char *name;
    /* Does it take part in this request? Asked once, when the request is decoded. */
    bool (*plan)(struct request *r);
    enum step (*start)(struct request *r);
    /* On the way back; NULL: nothing. Only called when `start` was. r->response is NULL where nobody asked to read the
     * cluster's answer. */
    enum step (*finish)(struct request *r);
};

extern const struct filter filters[FILTERS];

bool filter_ids_plan(struct request *r);
enum step filter_ids_start(struct request *r);
bool filter_acl_plan(struct request *r);
enum step filter_acl_start(struct request *r);
enum step filter_acl_finish(struct request *r);
bool filter_quota_plan(struct request *r);
enum step filter_quota_start(struct request *r);
enum step filter_quota_finish(struct request *r);
/* Also for an answer that passes through while it arrives. */
void filter_quota_record(struct request *r, double value);
bool filter_schema_plan(struct request *r);
enum step filter_schema_start(struct request *r);
bool filter_crypt_plan(struct request *r);
enum step filter_crypt_start(struct request *r);
enum step filter_crypt_finish(struct request *r);

#endif
