/* SPDX-License-Identifier: Apache-2.0
 * The group coordinator at its edge: one table of groups per partition of `__consumer_offsets` led here, loaded at
 * leadership by reading that partition, stepped by requests and by one timer, and written to before anyone is answered.
 * JoinGroup and SyncGroup wait in the table; a client that went away meanwhile does not matter, its request is
 * finished like any other. Decisions are broker/core/group.h's. */
#include "broker/node/group_coordinator_private.h"
#include "core/base/log.h"

#include <stdlib.h>

enum { WRITE_CHUNK_BYTES = 256 << 10, WRITE_RECORD_OVERHEAD = 24 };

/* ---- Loading ---- */

struct replay {
    struct group_table *table;
    int64_t now_ms;
    const char *topic;
    int32_t partition;
};

static enum err replay_record(void *user, const struct coordinator_record *r)
{
    struct replay *p = user;
    struct group_record record = {.key = r->record.key,
                                  .value = r->record.value,
                                  .offset = r->record.offset,
                                  .producer_id = record_batch_is_transactional(r->batch) ? r->batch->producer_id : -1,
                                  .now_ms = p->now_ms};
    enum err err;

    if (record_batch_is_control(r->batch)) {
        enum record_control_type type = record_control_type(r->record.key);
        if (type == RECORD_CONTROL_COMMIT || type == RECORD_CONTROL_ABORT)
            group_table_txn_ended(p->table, r->batch->producer_id, type == RECORD_CONTROL_COMMIT);
        return ERR_OK;
    }
    err = group_table_apply(p->table, &record);
    if (err == ERR_CORRUPT_MESSAGE) {
        log_warn("skipping a record of %s-%d that does not parse, at offset %lld", p->topic, (int)p->partition,
                 (long long)r->record.offset);
        return ERR_OK;
    }
    return err;
}

static enum err room_for(struct group_coordinator *g, int32_t partition)
{
    struct group_table **grown;

    if (partition < g->count)
        return ERR_OK;
    grown = realloc(g->tables, (size_t)(partition + 1) * sizeof *grown);
    if (!grown)
        return ERR_NO_MEMORY;
    for (int32_t i = g->count; i <= partition; i++)
        grown[i] = NULL;
    g->tables = grown;
    g->count = partition + 1;
    return ERR_OK;
}

static void load(struct group_coordinator *g, struct partition *p)
{
    struct reason why = {0};
    struct group_table *t = calloc(1, sizeof *t);
    struct replay r = {t, loop_now_ms(g->c->node->loop), p->topic, p->index};
    enum err err = t ? room_for(g, p->index) : ERR_NO_MEMORY;

    if (t)
        group_table_init(t, &g->config);
    if (!err)
        err = coordinator_replay(p, replay_record, &r, &why);
    if (err) {
        log_error("groups of %s-%d cannot be loaded: %s", p->topic, (int)p->index, why.code ? why.text : err_text(err));
        if (t)
            group_table_free(t);
        free(t);
        return;
    }
    g->tables[p->index] = t;
}

/* ---- Answers ---- */

static void answer_waiter(struct group_waiter *w)
{
    struct request *r = w->user;

    if (w->is_sync) {
        request_answer(r, &w->answer.sync);
        return;
    }
    if (w->answer.join.protocol_name.n == 0)
        w->answer.join.protocol_name = r->version < 7 ? slice_str("") : SLICE_NULL;
    request_answer(r, &w->answer.join);
}

static void answer_all(struct group_waiter *list)
{
    for (struct group_waiter *w = list, *next; w; w = next) {
        next = w->next; /* the waiter is in its request's memory */
        answer_waiter(w);
    }
}

static void answers_become(struct group_waiter *list, enum err err)
{
    for (struct group_waiter *w = list; w; w = w->next) {
        struct slice member_id = w->is_sync ? SLICE_NULL : w->answer.join.member_id;
        if (w->is_sync) {
            sync_group_response_init(&w->answer.sync);
            w->answer.sync.assignment = slice_str("");
            w->answer.sync.error_code = err_kafka(err);
        } else {
            join_group_response_init(&w->answer.join);
            w->answer.join.leader = slice_str("");
            w->answer.join.member_id = member_id;
            w->answer.join.error_code = err_kafka(err);
        }
    }
}

/* Take the table out of use; who waits in it is answered with `err`. */
static void drop(struct group_coordinator *g, int32_t partition, enum err err)
{
    struct group_table *t = partition < g->count ? g->tables[partition] : NULL;
    struct group_call call;

    if (!t)
        return;
    g->tables[partition] = NULL;
    group_call_init(&call, 0, 0, NULL);
    group_table_fail_waiters(t, err, &call);
    group_table_free(t);
    free(t);
    answer_all(call.answers);
}

void group_coordinator_unload(struct group_coordinator *g, int32_t partition)
{
    drop(g, partition, ERR_NOT_COORDINATOR);
}

static void on_timer(void *arg);

static void set_timer(struct group_coordinator *g)
{
    int64_t now = loop_now_ms(g->c->node->loop), wake = INT64_MAX;

    for (int32_t i = 0; i < g->count; i++) {
        int64_t at = g->tables[i] ? group_table_wake_ms(g->tables[i]) : INT64_MAX;
        if (at < wake)
            wake = at;
    }
    if (wake == INT64_MAX)
        loop_timer_stop(&g->timer);
    else
        loop_timer_start(&g->timer, wake > now ? wake - now : 0);
}

void group_coordinator_load(struct group_coordinator *g, struct partition *p)
{
    drop(g, p->index, ERR_NOT_COORDINATOR);
    load(g, p);
    set_timer(g);
}

/* ---- Steps ---- */

enum err group_coordinator_find(struct node *n, struct slice group, struct group_table **t, int32_t *partition)
{
    *t = NULL;
    *partition = -1;
    return group.n ? group_coordinator_find_any(n, group, t, partition) : ERR_INVALID_GROUP_ID;
}

enum err group_coordinator_find_any(struct node *n, struct slice group, struct group_table **t, int32_t *partition)
{
    const struct image_topic *topic = image_topic(&n->image, slice_str(OFFSETS_TOPIC));
    struct group_coordinator *g = n->coordinators ? n->coordinators->groups : NULL;

    *t = NULL;
    *partition = -1;
    if (slice_has_nul(group)) /* ids are kept as C strings */
        return ERR_INVALID_GROUP_ID;
    if (!g || !topic)
        return ERR_COORDINATOR_NOT_AVAILABLE;
    *partition = coordinator_partition(group, topic->partition_count);
    if (*partition >= g->count || !g->tables[*partition])
        return ERR_NOT_COORDINATOR;
    *t = g->tables[*partition];
    return ERR_OK;
}

void group_step_begin(struct group_step *s, struct group_coordinator *g, int32_t partition)
{
    s->g = g;
    s->partition = partition;
    record_list_init(&s->records);
    group_call_init(&s->call, loop_now_ms(g->c->node->loop), node_wall_ms(g->c->node), &s->records);
}

static struct partition *partition_of(struct group_coordinator *g, int32_t partition)
{
    return node_partition_named(g->c->node, slice_str(OFFSETS_TOPIC), partition);
}

enum err group_step_finish(struct group_step *s)
{
    struct group_coordinator *g = s->g;
    struct partition *p = partition_of(g, s->partition);
    struct reason why = {0};
    enum err err = p && p->leader ? coordinator_append(p, &s->records, -1, -1, &why) : ERR_NOT_COORDINATOR;

    record_list_free(&s->records);
    if (err) {
        /* too large to write is the members' doing and stays so; anything else may pass */
        enum err say = err == ERR_MESSAGE_TOO_LARGE ? ERR_UNKNOWN_SERVER_ERROR : ERR_COORDINATOR_NOT_AVAILABLE;
        log_error("cannot write %s-%d: %s", OFFSETS_TOPIC, (int)s->partition, why.code ? why.text : err_text(err));
        answers_become(s->call.answers, say);
        drop(g, s->partition, say);
        if (p && p->leader)
            load(g, p);
        err = say;
    }
    set_timer(g);
    answer_all(s->call.answers); /* last: an answer lets its connection send the next request */
    return err;
}

static void apply_written(struct group_coordinator *g, int32_t partition, const struct record_list *records,
                          int64_t offset, int64_t producer_id)
{
    for (size_t i = 0; i < records->count; i++) {
        struct group_record r = {.key = record_list_key(records, i),
                                 .value = record_list_value(records, i),
                                 .offset = offset + (int64_t)i,
                                 .producer_id = producer_id,
                                 .now_ms = loop_now_ms(g->c->node->loop)};
        if (!group_table_apply(g->tables[partition], &r))
            continue;
        /* no memory: what is written must be known, so read it all again, or coordinate no more */
        log_error("%s-%d is loaded again: out of memory", OFFSETS_TOPIC, (int)partition);
        group_coordinator_load(g, partition_of(g, partition));
        return;
    }
}

static enum err write_batch(struct group_coordinator *g, int32_t partition, const struct record_list *records,
                            int64_t producer_id, int16_t producer_epoch, struct reason *why)
{
    struct partition *p = partition_of(g, partition);
    int64_t offset;
    enum err err;

    if (!p || !p->leader || partition >= g->count || !g->tables[partition])
        return ERR_NOT_COORDINATOR;
    offset = plog_end_offset(p->log);
    err = coordinator_append(p, records, producer_id, producer_epoch, why);
    if (!err)
        apply_written(g, partition, records, offset, producer_id);
    return err;
}

enum err group_coordinator_write(struct group_coordinator *g, int32_t partition, const struct record_list *records,
                                 int64_t producer_id, int16_t producer_epoch, struct reason *why)
{
    struct record_list part;
    size_t bytes = 0;
    enum err err = record_list_error(records);

    if (err || records->count == 0)
        return err;
    if (producer_id >= 0)
        return write_batch(g, partition, records, producer_id, producer_epoch, why);
    record_list_init(&part);
    for (size_t i = 0; i < records->count && !err; i++) {
        struct slice key = record_list_key(records, i), value = record_list_value(records, i);
        record_list_add(&part, key, value);
        bytes += key.n + value.n + WRITE_RECORD_OVERHEAD;
        if (bytes < WRITE_CHUNK_BYTES && i + 1 < records->count)
            continue;
        err = record_list_error(&part);
        if (!err)
            err = write_batch(g, partition, &part, -1, -1, why);
        record_list_clear(&part);
        bytes = 0;
    }
    record_list_free(&part);
    return err;
}

/* ---- Time ---- */

static void on_timer(void *arg)
{
    struct group_coordinator *g = arg;

    for (int32_t i = 0; i < g->count; i++) {
        while (g->tables[i] && group_table_wake_ms(g->tables[i]) <= loop_now_ms(g->c->node->loop)) {
            struct group_step s;
            group_step_begin(&s, g, i);
            group_table_expire(g->tables[i], &s.call);
            if (group_step_finish(&s))
                break;
        }
    }
    set_timer(g);
}

static void sweep(struct group_coordinator *g, int32_t partition)
{
    struct reason why = {0};
    struct record_list records;
    struct group_call call;
    enum err err;

    record_list_init(&records);
    group_call_init(&call, loop_now_ms(g->c->node->loop), node_wall_ms(g->c->node), &records);
    group_table_sweep(g->tables[partition], &call);
    err = group_coordinator_write(g, partition, &records, -1, -1, &why);
    if (err)
        log_warn("expired offsets of %s-%d stay for now: %s", OFFSETS_TOPIC, (int)partition,
                 why.code ? why.text : err_text(err));
    record_list_free(&records);
}

void group_coordinator_tick(struct group_coordinator *g)
{
    int64_t now = loop_now_ms(g->c->node->loop);

    if (now < g->sweep_ms)
        return;
    g->sweep_ms = now + settings_int(g->c->node->settings, "offsets.retention.check.interval.ms");
    for (int32_t i = 0; i < g->count; i++)
        if (g->tables[i])
            sweep(g, i);
}

void group_coordinator_txn_ended(struct group_coordinator *g, int32_t partition, int64_t producer_id, bool commit)
{
    if (partition < g->count && g->tables[partition])
        group_table_txn_ended(g->tables[partition], producer_id, commit);
}

void group_coordinator_topic_deleted(struct group_coordinator *g, struct slice topic)
{
    struct reason why = {0};
    struct record_list records;

    for (int32_t i = 0; i < g->count; i++) {
        enum err err;
        if (!g->tables[i])
            continue;
        record_list_init(&records);
        group_table_forget_topic(g->tables[i], topic, &records);
        err = group_coordinator_write(g, i, &records, -1, -1, &why);
        if (err)
            log_warn("offsets of the deleted topic %.*s stay in %s-%d: %s", SLICE_FMT(topic), OFFSETS_TOPIC, (int)i,
                     why.code ? why.text : err_text(err));
        record_list_free(&records);
    }
}

enum err group_coordinator_new(struct group_coordinator **out, struct coordinators *c)
{
    const struct settings *s = c->node->settings;
    struct group_coordinator *g = calloc(1, sizeof *g);

    *out = g;
    if (!g)
        return ERR_NO_MEMORY;
    g->c = c;
    g->config = (struct group_config){
        .initial_delay_ms = (int32_t)settings_int(s, "group.initial.rebalance.delay.ms"),
        .session_min_ms = (int32_t)settings_int(s, "group.min.session.timeout.ms"),
        .session_max_ms = (int32_t)settings_int(s, "group.max.session.timeout.ms"),
        .members_max = (int32_t)settings_int(s, "group.max.size"),
        .metadata_max_bytes = (int32_t)settings_int(s, "offset.metadata.max.bytes"),
        .retention_ms = settings_int(s, "offsets.retention.minutes") * 60 * 1000,
    };
    g->sweep_ms = loop_now_ms(c->node->loop) + settings_int(s, "offsets.retention.check.interval.ms");
    loop_timer_init(&g->timer, c->node->loop, on_timer, g);
    return ERR_OK;
}

void group_coordinator_free(struct group_coordinator *g)
{
    if (!g)
        return;
    for (int32_t i = 0; i < g->count; i++)
        drop(g, i, ERR_COORDINATOR_NOT_AVAILABLE);
    loop_timer_stop(&g->timer);
    free(g->tables);
    free(g);
}
