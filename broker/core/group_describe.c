/* SPDX-License-Identifier: Apache-2.0
 * A group as DescribeGroups tells it. Outside of STABLE there is no protocol in force: members are listed without
 * metadata and assignment, as Kafka does. */
#include "broker/core/group_private.h"

void group_describe(const struct group *g, struct describe_groups_response_described_group *out, struct arena *a)
{
    bool stable = g->state == GROUP_STABLE;
    int32_t n = 0;

    out->group_id = slice_str(g->id);
    out->group_state = slice_str(group_state_name(g->state));
    out->protocol_type = slice_str(g->protocol_type ? g->protocol_type : "");
    out->protocol_data = slice_str(stable && g->protocol ? g->protocol : "");
    describe_groups_response_described_group_member_array_alloc(&out->members, (int32_t)map_count(&g->members), a);
    for (const struct map_entry *e = map_first(&g->members); e && n < out->members.n; e = map_next(&g->members, e)) {
        const struct group_member *m = e->value;
        struct describe_groups_response_described_group_member *d = &out->members.v[n++];
        d->member_id = slice_str(m->id);
        d->group_instance_id = group_slice(m->instance_id);
        d->client_id = slice_str(m->client_id);
        d->client_host = slice_str(m->client_host);
        d->member_metadata = stable ? member_metadata(m, g->protocol) : slice_str("");
        d->member_assignment = stable && m->assignment_n ? slice_of(m->assignment, m->assignment_n) : slice_str("");
    }
}
