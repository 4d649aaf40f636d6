/* SPDX-License-Identifier: Apache-2.0
 * The first filter: what a request names by topic id gets its name, before anything is decided by names. */
#include "gateway/api/api.h"
#include "gateway/filter/filter.h"
#include "gateway/request/ids.h"
#include "gateway/request/request.h"

#include <stdio.h>

/* Ids that need no right need no name. */
static bool is_free(const struct request *r, const struct ids *s)
{
    const struct wire_field *in = s->inner ? s->inner : s->outer;
    const struct api_right *right;
    char path[160];

    snprintf(path, sizeof path, "%s%s%s.%s", s->inner ? s->outer->name : "", s->inner ? "." : "", in->name,
             s->id->name);
    right = api_right_of(r->row, WIRE_ENTITY_TOPIC_NAME, path, r->version);
    return right && right->scope == RIGHT_FREE;
}

bool filter_ids_plan(struct request *r)
{
    struct ids s;

    return r->body && ids_begin(&s, r->api->request->body, r->version) && !is_free(r, &s);
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
