/* SPDX-License-Identifier: Apache-2.0
 * The table of filters. The API's own steps stand in its row. */
#include "gateway/filter/filter.h"
#include "gateway/api/api.h"

static bool own_plan(struct request *r)
{
    return r->row->start != NULL || r->row->finish != NULL;
}

static enum step own_start(struct request *r)
{
    if (r->row->finish && !r->row->finish_if_read)
        r->reads_answer = true;
    return r->row->start ? r->row->start(r) : STEP_NEXT;
}

static enum step own_finish(struct request *r)
{
    return r->row->finish && r->response ? r->row->finish(r) : STEP_NEXT;
}

const struct filter filters[FILTERS] = {
    [FILTER_IDS] = {"ids", filter_ids_plan, filter_ids_start, NULL},
    [FILTER_ACL] = {"acl", filter_acl_plan, filter_acl_start, filter_acl_finish},
    [FILTER_QUOTA] = {"quota", filter_quota_plan, filter_quota_start, filter_quota_finish},
    [FILTER_API] = {"api", own_plan, own_start, own_finish},
    [FILTER_SCHEMA] = {"schema", filter_schema_plan, filter_schema_start, NULL},
    [FILTER_CRYPT] = {"crypt", filter_crypt_plan, filter_crypt_start, filter_crypt_finish},
};
