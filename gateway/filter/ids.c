/* SPDX-License-Identifier: Apache-2.0
 * The first filter: what a request names by topic id gets its name, before anything is decided by names. */
#include "gateway/filter/filter.h"
#include "gateway/request/ids.h"
#include "gateway/request/request.h"

bool filter_ids_plan(struct request *r)
{
    struct ids s;

    return r->body && ids_begin(&s, r->api->request->body, r->version);
}

enum step filter_ids_start(struct request *r)
{
    struct ids *s = r->state[FILTER_IDS];

    if (!s) {
        s = r->state[FILTER_IDS] = arena_alloc(&r->arena, sizeof *s);
        if (!s)
            return request_no_memory(r);
        (void)ids_begin(s, r->api->request->body, r->version);
    }
    return ids_resolve(r, s, r->body);
}
