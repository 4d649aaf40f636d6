/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BROKERCORE_GROUP_UTIL_H
#define BROKERCORE_GROUP_UTIL_H

#include "broker/core/group.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

/* A group table under a clock of its own, with the log that its records make: what a coordinator's edge does, without
 * sockets and files. */
enum { BENCH_LOG_MAX = 20000 };

struct logged {
    uint8_t *key, *value;
    size_t key_n, value_n;
    bool tombstone, marker, commit;
    int64_t producer_id; /* -1: plain */
};

struct bench {
    struct group_table table;
    struct group_config config;
    int64_t now_ms;
    struct logged log[BENCH_LOG_MAX];
    size_t log_n;
    struct arena arena;
    uint32_t ids;
};

/* A request under way. */
struct ask {
    struct group_waiter w;
    struct arena arena;
    bool answered;
};

static inline void bench_init(struct bench *b)
{
    memset(b, 0, sizeof *b);
    b->config = (struct group_config){.initial_delay_ms = 3000,
                                      .session_min_ms = 6000,
                                      .session_max_ms = 1800000,
                                      .members_max = INT32_MAX,
                                      .metadata_max_bytes = 4096,
                                      .retention_ms = 3600 * 1000};
    b->now_ms = 1000000;
    group_table_init(&b->table, &b->config);
    arena_init(&b->arena, 0);
}

static inline void deliver(struct group_call *c)
{
    for (struct group_waiter *w = c->answers, *next; w; w = next) {
        struct ask *a = w->user;
        next = w->next;
        assert_false(a->answered);
        a->answered = true;
    }
}

static inline struct logged *log_add(struct bench *b)
{
    assert_true(b->log_n < BENCH_LOG_MAX);
    return &b->log[b->log_n++];
}

static inline uint8_t *keep(struct slice s)
{
    uint8_t *p = malloc(s.n + 1);
    assert_non_null(p);
    if (s.n)
        memcpy(p, s.p, s.n);
    return p;
}

static inline void log_records(struct bench *b, const struct record_list *records, int64_t producer_id)
{
    assert_int_equal(record_list_error(records), ERR_OK);
    for (size_t i = 0; i < records->count; i++) {
        struct slice key = record_list_key(records, i), value = record_list_value(records, i);
        struct logged *l = log_add(b);
        *l = (struct logged){.key = keep(key),
                             .value = keep(value),
                             .key_n = key.n,
                             .value_n = value.n,
                             .tombstone = slice_is_null(value),
                             .producer_id = producer_id};
    }
}

static inline void apply_logged(struct group_table *t, const struct logged *l, int64_t at, int64_t now_ms)
{
    struct group_record r = {.key = slice_of(l->key, l->key_n),
                             .value = l->tombstone ? SLICE_NULL : slice_of(l->value, l->value_n),
                             .offset = at,
                             .producer_id = l->producer_id,
                             .now_ms = now_ms};
    if (l->marker)
        group_table_txn_ended(t, l->producer_id, l->commit);
    else
        assert_int_equal(group_table_apply(t, &r), ERR_OK);
}

/* Write, then apply: commits, tombstones. */
static inline void write_and_apply(struct bench *b, const struct record_list *records, int64_t producer_id)
{
    size_t from = b->log_n;
    log_records(b, records, producer_id);
    for (size_t i = from; i < b->log_n; i++)
        apply_logged(&b->table, &b->log[i], (int64_t)i, b->now_ms);
}

static inline void marker(struct bench *b, int64_t producer_id, bool commit)
{
    *log_add(b) = (struct logged){.marker = true, .commit = commit, .producer_id = producer_id};
    group_table_txn_ended(&b->table, producer_id, commit);
}

#define STEP_BEGIN(b)                                                                                                  \
    struct record_list records_;                                                                                       \
    struct group_call call_;                                                                                           \
    record_list_init(&records_);                                                                                       \
    group_call_init(&call_, (b)->now_ms, (b)->now_ms, &records_)
#define STEP_END(b)                                                                                                    \
    log_records(b, &records_, -1);                                                                                     \
    record_list_free(&records_);                                                                                       \
    deliver(&call_);                                                                                                   \
    assert_string_equal(group_table_broken(&(b)->table) ? group_table_broken(&(b)->table) : "", "")

static inline void advance(struct bench *b, int64_t ms)
{
    int64_t until = b->now_ms + ms;
    while (group_table_wake_ms(&b->table) <= until) {
        if (group_table_wake_ms(&b->table) > b->now_ms)
            b->now_ms = group_table_wake_ms(&b->table);
        STEP_BEGIN(b);
        group_table_expire(&b->table, &call_);
        STEP_END(b);
    }
    b->now_ms = until;
}

static inline void ask_init(struct ask *a)
{
    memset(a, 0, sizeof *a);
    arena_init(&a->arena, 0);
    a->w.arena = &a->arena;
    a->w.user = a;
}

static inline void ask_free(struct ask *a)
{
    arena_free(&a->arena);
}

struct who {
    const char *group, *id, *instance, *client;
    const char *topics[3]; /* the subscription */
    const char *protocols[3];
    int32_t session_ms, rebalance_ms;
    int version;
};

static inline struct slice opt(const char *s)
{
    return s ? slice_str(s) : SLICE_NULL;
}

/* A consumer's subscription, version 0. */
static inline struct slice subscription(const struct who *w, struct arena *a)
{
    struct buf out;
    uint32_t n = 0;
    struct slice s;

    buf_init(&out, 0);
    while (n < 3 && w->topics[n])
        n++;
    buf_u16(&out, 0);
    buf_u32(&out, n);
    for (uint32_t i = 0; i < n; i++) {
        buf_u16(&out, (uint16_t)strlen(w->topics[i]));
        buf_put_str(&out, w->topics[i]);
    }
    buf_u32(&out, (uint32_t)-1);
    s = arena_copy(a, buf_slice(&out));
    buf_free(&out);
    return s;
}

static inline void join(struct bench *b, const struct who *w, struct ask *a)
{
    struct join_group_request req;
    struct join_group_request_join_group_request_protocol protocols[3];
    struct group_join j = {.request = &req,
                           .id_required = w->version >= 4,
                           .may_skip = w->version >= 9,
                           .client_id = slice_str(w->client ? w->client : "client"),
                           .client_host = slice_str("/127.0.0.1")};
    STEP_BEGIN(b);
    ask_init(a);
    join_group_request_init(&req);
    req.group_id = slice_str(w->group ? w->group : "g");
    req.member_id = slice_str(w->id ? w->id : "");
    req.group_instance_id = opt(w->instance);
    req.protocol_type = slice_str("consumer");
    req.session_timeout_ms = w->session_ms ? w->session_ms : 10000;
    req.rebalance_timeout_ms = w->rebalance_ms ? w->rebalance_ms : 60000;
    req.protocols.v = protocols;
    for (req.protocols.n = 0; req.protocols.n < 3 && (req.protocols.n == 0 || w->protocols[req.protocols.n]);
         req.protocols.n++) {
        join_group_request_join_group_request_protocol_init(&protocols[req.protocols.n]);
        protocols[req.protocols.n].name =
            slice_str(w->protocols[req.protocols.n] ? w->protocols[req.protocols.n] : "range");
        protocols[req.protocols.n].metadata = subscription(w, &b->arena);
    }
    memcpy(j.random, &b->ids, sizeof b->ids);
    b->ids++;
    group_join(&b->table, &j, &a->w, &call_);
    STEP_END(b);
}

/* Both steps of a dynamic member that is told its id first; the id lives in the bench's arena. */
static inline const char *join_new(struct bench *b, struct who w, struct ask *a)
{
    struct ask first;
    const char *id;

    w.version = w.version ? w.version : 5;
    join(b, &w, &first);
    assert_true(first.answered);
    assert_int_equal(first.w.answer.join.error_code, ERR_MEMBER_ID_REQUIRED);
    id = arena_strdup(&b->arena, first.w.answer.join.member_id);
    ask_free(&first);
    w.id = id;
    join(b, &w, a);
    return id;
}

static inline void sync_as(struct bench *b, const struct who *w, int32_t generation, const char *const *assign, int n,
                           struct ask *a)
{
    struct sync_group_request req;
    struct sync_group_request_sync_group_request_assignment list[8];
    STEP_BEGIN(b);
    ask_init(a);
    sync_group_request_init(&req);
    req.group_id = slice_str(w->group ? w->group : "g");
    req.member_id = slice_str(w->id);
    req.group_instance_id = opt(w->instance);
    req.generation_id = generation;
    req.assignments.v = list;
    req.assignments.n = n;
    for (int i = 0; i < n; i++) {
        sync_group_request_sync_group_request_assignment_init(&list[i]);
        list[i].member_id = slice_str(assign[i]);
        list[i].assignment = slice_str(assign[i]); /* everyone is assigned its own name */
    }
    group_sync(&b->table, &req, &a->w, &call_);
    STEP_END(b);
}

static inline enum err beat(struct bench *b, const struct who *w, int32_t generation)
{
    struct heartbeat_request req;
    enum err err;
    STEP_BEGIN(b);
    heartbeat_request_init(&req);
    req.group_id = slice_str(w->group ? w->group : "g");
    req.member_id = slice_str(w->id);
    req.group_instance_id = opt(w->instance);
    req.generation_id = generation;
    err = group_heartbeat(&b->table, &req, &call_);
    assert_null(call_.answers);
    STEP_END(b);
    return err;
}

static inline enum err leave(struct bench *b, const struct who *w)
{
    struct leave_group_request_member_identity m;
    enum err one = ERR_OK, err;
    STEP_BEGIN(b);
    leave_group_request_member_identity_init(&m);
    m.member_id = slice_str(w->id ? w->id : "");
    m.group_instance_id = opt(w->instance);
    err = group_leave(&b->table, slice_str(w->group ? w->group : "g"), &m, 1, &one, &call_);
    STEP_END(b);
    return err ? err : one;
}

static inline enum err commit(struct bench *b, const struct group_commit *k, const char *topic, int32_t partition,
                              int64_t offset, int64_t producer_id)
{
    struct offset_value v = {
        .offset = offset, .leader_epoch = 3, .metadata = slice_str("m"), .commit_ms = b->now_ms, .expire_ms = -1};
    enum err err;
    STEP_BEGIN(b);
    err = group_check_commit(&b->table, k, &call_);
    if (!err) {
        offset_record_put(&records_, k->group_id, slice_str(topic), partition, &v);
        write_and_apply(b, &records_, producer_id);
        record_list_clear(&records_);
    }
    STEP_END(b);
    return err;
}

/* -1: none committed; -2: none committed, but staged */
static inline int64_t committed(const struct group_table *t, const char *group, const char *topic, int32_t partition)
{
    const struct group *g = group_find(t, slice_str(group));
    const struct offset_slot *s = g ? offsets_find(&g->offsets, slice_str(topic), partition) : NULL;
    return s && s->committed ? s->value.offset : s ? -2 : -1;
}

/* What a new coordinator would know. */
static inline void replay(const struct bench *b, struct group_table *out)
{
    group_table_init(out, &b->config);
    for (size_t i = 0; i < b->log_n; i++)
        apply_logged(out, &b->log[i], (int64_t)i, b->now_ms);
    assert_string_equal(group_table_broken(out) ? group_table_broken(out) : "", "");
}

/* The same offsets, committed and staged, in both. */
static inline void assert_same_offsets(const struct group_table *x, const struct group_table *y)
{
    for (const struct map_entry *e = map_first(&x->by_id); e; e = map_next(&x->by_id, e)) {
        const struct group *g = e->value, *other = group_find(y, map_key(e));
        for (const struct map_entry *k = map_first(&g->offsets.slots); k; k = map_next(&g->offsets.slots, k)) {
            const struct offset_slot *s = k->value, *o = other ? map_get(&other->offsets.slots, map_key(k)) : NULL;
            assert_non_null(o);
            assert_int_equal(s->committed, o->committed);
            if (s->committed) {
                assert_int_equal(s->value.offset, o->value.offset);
                assert_int_equal(s->value.at, o->value.at);
            }
            assert_int_equal(s->staged != NULL, o->staged != NULL);
        }
    }
}

static inline void bench_free(struct bench *b)
{
    struct group_call c;
    struct group_table again;

    replay(b, &again); /* every test ends with it */
    assert_same_offsets(&b->table, &again);
    assert_same_offsets(&again, &b->table);
    group_table_free(&again);
    group_call_init(&c, b->now_ms, b->now_ms, NULL);
    group_table_fail_waiters(&b->table, ERR_NOT_COORDINATOR, &c);
    deliver(&c);
    group_table_free(&b->table);
    for (size_t i = 0; i < b->log_n; i++) {
        free(b->log[i].key);
        free(b->log[i].value);
    }
    arena_free(&b->arena);
}

#endif
