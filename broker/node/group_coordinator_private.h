/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_BROKER_NODE_GROUP_COORDINATOR_PRIVATE_H
#define CASTELLAN_BROKER_NODE_GROUP_COORDINATOR_PRIVATE_H

#include "broker/core/group.h"
#include "broker/node/coordinators_private.h"

struct group_coordinator {
    struct coordinators *c;
    struct group_config config;
    struct group_table **tables; /* by partition of OFFSETS_TOPIC; NULL: not led here */
    int32_t count;
    struct loop_timer timer; /* the next deadline of any group */
    int64_t sweep_ms;        /* when offsets are looked through for expired ones */
};

/* One step on a table: begin, ask the core, then finish, which writes the records, gives out the answers and sets the
 * timer. When the records cannot be written all who wait on the table are told COORDINATOR_NOT_AVAILABLE and it is
 * loaded again; then it is not ERR_OK. */
struct group_step {
    struct group_coordinator *g;
    int32_t partition;
    struct record_list records;
    struct group_call call;
};

/* NOT_COORDINATOR, COORDINATOR_NOT_AVAILABLE, INVALID_GROUP_ID */
enum err group_coordinator_find(struct node *n, struct slice group, struct group_table **t,
                                int32_t *partition) MUST_CHECK;
/* The same, and the empty group is one: old clients commit, read and delete offsets in it (docs/leniencies.md). */
enum err group_coordinator_find_any(struct node *n, struct slice group, struct group_table **t,
                                    int32_t *partition) MUST_CHECK;
void group_step_begin(struct group_step *s, struct group_coordinator *g, int32_t partition);
enum err group_step_finish(struct group_step *s);
/* Write offset and tombstone records and apply them, in batches the log takes; on failure nothing after the failed
 * batch is applied. `producer_id` >= 0: one transactional batch. */
enum err group_coordinator_write(struct group_coordinator *g, int32_t partition, const struct record_list *records,
                                 int64_t producer_id, int16_t producer_epoch, struct reason *why) MUST_CHECK;

#endif
