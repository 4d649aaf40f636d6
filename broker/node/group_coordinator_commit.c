/* SPDX-License-Identifier: Apache-2.0
 * OffsetCommit, TxnOffsetCommit and OffsetDelete: what is allowed becomes records, the records are written, the table
 * learns them from there. The two kinds of commit differ in their messages only, so both are read into one list. */
#include "broker/node/group_coordinator_private.h"
#include "core/base/log.h"
#include "wire/offset_commit.h"
#include "wire/offset_delete.h"
#include "wire/txn_offset_commit.h"

struct item {
    struct slice topic; /* null: a topic id nobody knows */
    int32_t partition;
    struct offset_value value;
    enum err err;
};

struct items {
    struct item *v;
    size_t n;
};

static enum err check_item(struct node *n, const struct item *i, bool by_id)
{
    int32_t max = (int32_t)settings_int(n->settings, "offset.metadata.max.bytes");

    if (slice_is_null(i->topic))
        return by_id ? ERR_UNKNOWN_TOPIC_ID : ERR_UNKNOWN_TOPIC_OR_PARTITION;
    if (!node_image_partition(n, i->topic, i->partition))
        return ERR_UNKNOWN_TOPIC_OR_PARTITION;
    return i->value.metadata.n > (size_t)max ? ERR_OFFSET_METADATA_TOO_LARGE : ERR_OK;
}

/* What a commit is told when the log refuses its batch. */
static enum err append_error(enum err err)
{
    switch (err_kafka(err)) {
    case ERR_MESSAGE_TOO_LARGE:
    case ERR_RECORD_LIST_TOO_LARGE:
        return ERR_INVALID_COMMIT_OFFSET_SIZE;
    case ERR_INVALID_PRODUCER_EPOCH:
    case ERR_INVALID_TXN_STATE:
    case ERR_NOT_COORDINATOR:
        return err;
    default:
        return ERR_COORDINATOR_NOT_AVAILABLE;
    }
}

static enum err commit_items(struct request *r, const struct group_commit *commit, struct items *items, bool by_id,
                             int64_t producer_id, int16_t producer_epoch)
{
    struct group_call call;
    struct record_list records;
    struct reason why = {0};
    struct group_table *t;
    int32_t partition;
    enum err err = group_coordinator_find_any(r->node, commit->group_id, &t, &partition);

    if (err)
        return err;
    record_list_init(&records);
    group_call_init(&call, loop_now_ms(r->node->loop), node_wall_ms(r->node), &records);
    err = group_check_commit(t, commit, &call);
    for (size_t i = 0; !err && i < items->n; i++) {
        struct item *it = &items->v[i];
        it->err = check_item(r->node, it, by_id);
        it->value.commit_ms = call.wall_ms;
        if (!it->err)
            offset_record_put(&records, commit->group_id, it->topic, it->partition, &it->value);
    }
    if (!err && records.count) {
        err = group_coordinator_write(r->node->coordinators->groups, partition, &records, producer_id, producer_epoch,
                                      &why);
        if (err) {
            log_warn("offsets of group %.*s cannot be written: %s", SLICE_FMT(commit->group_id),
                     why.code ? why.text : err_text(err));
            err = append_error(err);
        }
    }
    record_list_free(&records);
    return err;
}

/* ---- OffsetCommit ---- */

static bool read_commit(struct request *r, struct items *items)
{
    const struct offset_commit_request *req = r->body;
    size_t n = 0;

    for (int32_t t = 0; t < req->topics.n; t++)
        n += (size_t)req->topics.v[t].partitions.n;
    items->v = arena_array(&r->arena, n + 1, sizeof *items->v);
    items->n = items->v ? n : 0;
    n = 0;
    for (int32_t t = 0; t < req->topics.n && items->v; t++) {
        const struct image_topic *known =
            r->version >= 10 ? image_topic_by_id(&r->node->image, &req->topics.v[t].topic_id) : NULL;
        struct slice topic = r->version < 10 ? req->topics.v[t].name : known ? slice_str(known->name) : SLICE_NULL;
        for (int32_t i = 0; i < req->topics.v[t].partitions.n; i++) {
            const struct offset_commit_request_offset_commit_request_partition *p = &req->topics.v[t].partitions.v[i];
            items->v[n++] = (struct item){.topic = topic,
                                          .partition = p->partition_index,
                                          .value = {.offset = p->committed_offset,
                                                    .leader_epoch = p->committed_leader_epoch,
                                                    .metadata = p->committed_metadata,
                                                    .expire_ms = -1}};
            if (req->retention_time_ms >= 0) /* versions 2 to 4 */
                items->v[n - 1].value.expire_ms = node_wall_ms(r->node) + req->retention_time_ms;
        }
    }
    return items->v != NULL;
}

void node_handle_offset_commit(struct request *r)
{
    const struct offset_commit_request *req = r->body;
    struct group_commit commit = {.group_id = req->group_id,
                                  .member_id = req->member_id,
                                  .instance_id = req->group_instance_id,
                                  .generation = req->generation_id_or_member_epoch};
    struct offset_commit_response resp;
    struct items items;
    size_t n = 0;
    enum err err;

    if (!read_commit(r, &items)) {
        request_fail(r, "out of memory");
        return;
    }
    err = commit_items(r, &commit, &items, r->version >= 10, -1, -1);
    offset_commit_response_init(&resp);
    offset_commit_response_offset_commit_response_topic_array_alloc(&resp.topics, req->topics.n, &r->arena);
    for (int32_t t = 0; t < resp.topics.n; t++) {
        struct offset_commit_response_offset_commit_response_topic *out = &resp.topics.v[t];
        out->name = req->topics.v[t].name;
        out->topic_id = req->topics.v[t].topic_id;
        offset_commit_response_offset_commit_response_partition_array_alloc(&out->partitions,
                                                                            req->topics.v[t].partitions.n, &r->arena);
        for (int32_t i = 0; i < out->partitions.n; i++, n++) {
            out->partitions.v[i].partition_index = items.v[n].partition;
            out->partitions.v[i].error_code = err_kafka(items.v[n].err ? items.v[n].err : err);
        }
    }
    request_answer(r, &resp);
}

/* ---- TxnOffsetCommit ---- */

static bool read_txn_commit(struct request *r, struct items *items)
{
    const struct txn_offset_commit_request *req = r->body;
    size_t n = 0;

    for (int32_t t = 0; t < req->topics.n; t++)
        n += (size_t)req->topics.v[t].partitions.n;
    items->v = arena_array(&r->arena, n + 1, sizeof *items->v);
    items->n = items->v ? n : 0;
    n = 0;
    for (int32_t t = 0; t < req->topics.n && items->v; t++) {
        for (int32_t i = 0; i < req->topics.v[t].partitions.n; i++) {
            const struct txn_offset_commit_request_txn_offset_commit_request_partition *p =
                &req->topics.v[t].partitions.v[i];
            items->v[n++] = (struct item){.topic = req->topics.v[t].name,
                                          .partition = p->partition_index,
                                          .value = {.offset = p->committed_offset,
                                                    .leader_epoch = p->committed_leader_epoch,
                                                    .metadata = p->committed_metadata,
                                                    .expire_ms = -1}};
        }
    }
    return items->v != NULL;
}

struct txn_commit {
    struct request *request;
    struct txn_claim claim; /* the partition the group's offsets are in */
};

/* What may pass is COORDINATOR_NOT_AVAILABLE: clients look the coordinator up and try again. */
static enum err claim_error(const struct request *r, enum err err)
{
    switch (err_kafka(err)) {
    case ERR_OK:
    case ERR_INVALID_PRODUCER_ID_MAPPING:
    case ERR_INVALID_PRODUCER_EPOCH:
    case ERR_INVALID_TXN_STATE:
    case ERR_INVALID_GROUP_ID:
    case ERR_NOT_COORDINATOR:
        return err;
    case ERR_PRODUCER_FENCED:
        return ERR_INVALID_PRODUCER_EPOCH;
    case ERR_TRANSACTION_ABORTABLE: /* older clients do not know it */
        return r->version < 4 ? ERR_INVALID_TXN_STATE : err;
    default:
        return ERR_COORDINATOR_NOT_AVAILABLE;
    }
}

static void stage_offsets(void *user)
{
    struct txn_commit *x = user;
    struct request *r = x->request;
    const struct txn_offset_commit_request *req = r->body;
    struct group_commit commit = {.group_id = req->group_id,
                                  .member_id = req->member_id,
                                  .instance_id = req->group_instance_id,
                                  .generation = req->generation_id,
                                  .transactional = true};
    struct txn_offset_commit_response resp;
    struct items items;
    size_t n = 0;
    enum err err = claim_error(r, x->claim.err);

    if (!read_txn_commit(r, &items)) {
        request_fail(r, "out of memory");
        return;
    }
    if (!err)
        err = commit_items(r, &commit, &items, false, req->producer_id, req->producer_epoch);
    txn_offset_commit_response_init(&resp);
    txn_offset_commit_response_txn_offset_commit_response_topic_array_alloc(&resp.topics, req->topics.n, &r->arena);
    for (int32_t t = 0; t < resp.topics.n; t++) {
        struct txn_offset_commit_response_txn_offset_commit_response_topic *out = &resp.topics.v[t];
        out->name = req->topics.v[t].name;
        txn_offset_commit_response_txn_offset_commit_response_partition_array_alloc(
            &out->partitions, req->topics.v[t].partitions.n, &r->arena);
        for (int32_t i = 0; i < out->partitions.n; i++, n++) {
            out->partitions.v[i].partition_index = items.v[n].partition;
            if (!items.v[n].err && !node_image_partition(r->node, out->name, items.v[n].partition))
                items.v[n].err = ERR_UNKNOWN_TOPIC_OR_PARTITION; /* whatever the others are refused for */
            out->partitions.v[i].error_code = err_kafka(items.v[n].err ? items.v[n].err : err);
        }
    }
    request_answer(r, &resp);
}

void node_handle_txn_offset_commit(struct request *r)
{
    const struct txn_offset_commit_request *req = r->body;
    struct txn_commit *x = arena_alloc(&r->arena, sizeof *x);
    struct group_table *t;
    int32_t partition;

    if (!x) {
        request_fail(r, "out of memory");
        return;
    }
    *x = (struct txn_commit){.request = r};
    x->claim.err = group_coordinator_find(r->node, req->group_id, &t, &partition);
    if (!x->claim.err && (req->producer_id < 0 || req->producer_epoch < 0))
        x->claim.err = ERR_INVALID_PRODUCER_ID_MAPPING;
    if (x->claim.err) {
        stage_offsets(x);
        return;
    }
    x->claim.topic = slice_str(OFFSETS_TOPIC);
    x->claim.index = partition;
    x->claim.transactional = true;
    txn_verify(r->node, req->transactional_id, req->producer_id, req->producer_epoch, &x->claim, 1, &r->arena,
               stage_offsets, x);
}

/* ---- OffsetDelete ---- */

static void delete_topic(struct request *r, const struct group *g,
                         const struct offset_delete_request_offset_delete_request_topic *in,
                         struct offset_delete_response_offset_delete_response_topic *out, struct record_list *records)
{
    bool subscribed = group_is_subscribed(g, in->name);

    out->name = in->name;
    offset_delete_response_offset_delete_response_partition_array_alloc(&out->partitions, in->partitions.n, &r->arena);
    for (int32_t i = 0; i < out->partitions.n; i++) {
        int32_t index = in->partitions.v[i].partition_index;
        enum err err = !node_image_partition(r->node, in->name, index) ? ERR_UNKNOWN_TOPIC_OR_PARTITION
                       : subscribed                                    ? ERR_GROUP_SUBSCRIBED_TO_TOPIC
                                                                       : ERR_OK;
        out->partitions.v[i].partition_index = index;
        out->partitions.v[i].error_code = err_kafka(err);
        if (!err && offsets_find(&g->offsets, in->name, index))
            offset_record_remove(records, slice_str(g->id), in->name, index);
    }
}

void node_handle_offset_delete(struct request *r)
{
    const struct offset_delete_request *req = r->body;
    struct offset_delete_response resp;
    struct record_list records;
    struct reason why = {0};
    struct group_table *t;
    int32_t partition;
    enum err err = group_coordinator_find(r->node, req->group_id, &t, &partition);

    offset_delete_response_init(&resp);
    record_list_init(&records);
    if (!err)
        err = group_check_offset_delete(t, req->group_id);
    if (!err) {
        const struct group *g = group_find(t, req->group_id);
        offset_delete_response_offset_delete_response_topic_array_alloc(&resp.topics, req->topics.n, &r->arena);
        for (int32_t i = 0; i < resp.topics.n; i++)
            delete_topic(r, g, &req->topics.v[i], &resp.topics.v[i], &records);
        if (group_coordinator_write(r->node->coordinators->groups, partition, &records, -1, -1, &why))
            err = ERR_COORDINATOR_NOT_AVAILABLE;
    }
    if (err)
        resp.topics.n = 0;
    resp.error_code = err_kafka(err);
    record_list_free(&records);
    request_answer(r, &resp);
}
