/* SPDX-License-Identifier: Apache-2.0
 * Looking at groups and deleting them: DescribeGroups, ListGroups, DeleteGroups. */
#include "broker/node/group_coordinator_private.h"
#include "wire/delete_groups.h"
#include "wire/list_groups.h"

#include <strings.h>

/* READ, DELETE, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS as bits of AclOperation: what there is to do with a group.
 * This broker authorizes nobody itself, so whoever reaches it may do all of it. */
enum { GROUP_OPERATIONS = 1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11 };

static void describe(struct request *r, struct slice id, struct describe_groups_response_described_group *out)
{
    const struct describe_groups_request *req = r->body;
    struct group_table *t;
    int32_t partition;
    enum err err = group_coordinator_find_any(r->node, id, &t, &partition);
    const struct group *g = err ? NULL : group_find(t, id);

    if (g) {
        group_describe(g, out, &r->arena);
    } else if (err) {
        out->error_code = err_kafka(err);
    } else { /* Kafka's way to say that there is no such group; since version 6 it is an error too */
        out->group_state = slice_str(group_state_name(GROUP_DEAD));
        if (r->version >= 6) {
            out->error_code = ERR_GROUP_ID_NOT_FOUND;
            out->error_message = slice_str(arena_printf(&r->arena, "Group %.*s not found.", SLICE_FMT(id)));
        }
    }
    out->group_id = id;
    if (!err && req->include_authorized_operations)
        out->authorized_operations = GROUP_OPERATIONS;
}

void node_handle_describe_groups(struct request *r)
{
    const struct describe_groups_request *req = r->body;
    struct describe_groups_response resp;

    describe_groups_response_init(&resp);
    describe_groups_response_described_group_array_alloc(&resp.groups, req->groups.n, &r->arena);
    for (int32_t i = 0; i < resp.groups.n; i++)
        describe(r, req->groups.v[i], &resp.groups.v[i]);
    request_answer(r, &resp);
}

static bool named(const struct wire_string_array *filter, const char *name)
{
    if (filter->n <= 0)
        return true;
    for (int32_t i = 0; i < filter->n; i++)
        if (filter->v[i].n == strlen(name) && strncasecmp((const char *)filter->v[i].p, name, filter->v[i].n) == 0)
            return true;
    return false;
}

void node_handle_list_groups(struct request *r)
{
    const struct list_groups_request *req = r->body;
    struct group_coordinator *g = r->node->coordinators ? r->node->coordinators->groups : NULL;
    struct list_groups_response resp;
    size_t total = 0;
    int32_t n = 0;

    list_groups_response_init(&resp);
    for (int32_t i = 0; g && i < g->count; i++)
        total += g->tables[i] ? map_count(&g->tables[i]->by_id) : 0;
    list_groups_response_listed_group_array_alloc(&resp.groups, (int32_t)total, &r->arena);
    for (int32_t i = 0; g && i < g->count && resp.groups.v; i++) {
        const struct map *groups = g->tables[i] ? &g->tables[i]->by_id : NULL;
        for (const struct map_entry *e = groups ? map_first(groups) : NULL; e; e = map_next(groups, e)) {
            const struct group *x = e->value;
            if (!named(&req->states_filter, group_state_name(x->state)) || !named(&req->types_filter, "classic"))
                continue;
            resp.groups.v[n].group_id = slice_str(x->id);
            resp.groups.v[n].protocol_type = slice_str(x->protocol_type ? x->protocol_type : "");
            resp.groups.v[n].group_state = slice_str(group_state_name(x->state));
            resp.groups.v[n++].group_type = slice_str("classic");
        }
    }
    resp.groups.n = n;
    request_answer(r, &resp);
}

static enum err delete_one(struct request *r, struct slice id)
{
    struct record_list records;
    struct reason why = {0};
    struct group_table *t;
    int32_t partition;
    enum err err = group_coordinator_find_any(r->node, id, &t, &partition);

    if (err)
        return err;
    record_list_init(&records);
    err = group_delete(t, id, &records);
    if (!err && group_coordinator_write(r->node->coordinators->groups, partition, &records, -1, -1, &why))
        err = ERR_COORDINATOR_NOT_AVAILABLE;
    record_list_free(&records);
    return err;
}

void node_handle_delete_groups(struct request *r)
{
    const struct delete_groups_request *req = r->body;
    struct delete_groups_response resp;

    delete_groups_response_init(&resp);
    delete_groups_response_deletable_group_result_array_alloc(&resp.results, req->groups_names.n, &r->arena);
    for (int32_t i = 0; i < resp.results.n; i++) {
        resp.results.v[i].group_id = req->groups_names.v[i];
        resp.results.v[i].error_code = err_kafka(delete_one(r, req->groups_names.v[i]));
    }
    request_answer(r, &resp);
}
