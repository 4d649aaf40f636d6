/* SPDX-License-Identifier: Apache-2.0
 * The table of groups: finding and making them, their states and deadlines. A group's wake time is at or before its
 * first deadline: heartbeats only move deadlines away, so they leave it alone, and a group woken too early just works
 * out a new one. Groups with a wake time are in a heap, so the next one is known at once. */
#include "broker/core/group_private.h"

#include <stdlib.h>

static const char *const state_names[] = {"Empty", "PreparingRebalance", "CompletingRebalance", "Stable", "Dead"};

const char *group_state_name(enum group_state s)
{
    return state_names[s];
}

char *group_text(struct slice s)
{
    return s.p && !slice_has_nul(s) ? strndup((const char *)s.p, s.n) : NULL;
}

void group_call_init(struct group_call *c, int64_t now_ms, int64_t wall_ms, struct record_list *records)
{
    *c = (struct group_call){.now_ms = now_ms, .wall_ms = wall_ms, .records = records};
    c->answers_end = &c->answers;
}

/* ---- The heap of wake times ---- */

static void heap_place(struct group_table *t, size_t i, struct group *g)
{
    t->heap[i] = g;
    g->heap_at = i;
}

static void heap_fix(struct group_table *t, size_t i)
{
    struct group *g = t->heap[i];

    for (; i > 0 && t->heap[(i - 1) / 2]->wake_ms > g->wake_ms; i = (i - 1) / 2)
        heap_place(t, i, t->heap[(i - 1) / 2]);
    for (size_t child; (child = 2 * i + 1) < t->heap_n; i = child) {
        if (child + 1 < t->heap_n && t->heap[child + 1]->wake_ms < t->heap[child]->wake_ms)
            child++;
        if (t->heap[child]->wake_ms >= g->wake_ms)
            break;
        heap_place(t, i, t->heap[child]);
    }
    heap_place(t, i, g);
}

static bool heap_reserve(struct group_table *t)
{
    if (t->heap_n == t->heap_cap) {
        size_t cap = t->heap_cap ? 2 * t->heap_cap : 16;
        struct group **grown = realloc(t->heap, cap * sizeof(struct group *));
        if (!grown)
            return false;
        t->heap = grown;
        t->heap_cap = cap;
    }
    return true;
}

static void heap_remove(struct group *g)
{
    struct group_table *t = g->table;
    size_t i = g->heap_at;
    struct group *last = t->heap[--t->heap_n];

    if (last == g)
        return;
    heap_place(t, i, last);
    heap_fix(t, i);
}

int64_t group_table_wake_ms(const struct group_table *t)
{
    return t->heap_n ? t->heap[0]->wake_ms : INT64_MAX;
}

/* ---- Groups ---- */

static void member_free_value(void *m)
{
    member_free(m);
}

static void group_free(void *p)
{
    struct group *g = p;

    map_free(&g->statics, NULL);
    map_free(&g->members, member_free_value);
    map_free(&g->promised, free);
    map_free(&g->topics, NULL);
    offsets_free(&g->offsets);
    free(g->protocol_type);
    free(g->protocol);
    free(g->id);
    free(g);
}

void group_table_init(struct group_table *t, const struct group_config *config)
{
    *t = (struct group_table){.config = *config};
    map_init(&t->by_id);
    map_init(&t->txns.by_producer);
}

void group_table_free(struct group_table *t)
{
    map_free(&t->by_id, group_free);
    offset_txns_free(&t->txns);
    free(t->heap);
    t->heap = NULL;
    t->heap_n = t->heap_cap = 0;
}

struct group *group_find(const struct group_table *t, struct slice id)
{
    return map_get(&t->by_id, id);
}

struct group *group_get(struct group_table *t, struct slice id)
{
    struct group *g = group_find(t, id);

    if (g)
        return g;
    if (!heap_reserve(t) || !(g = calloc(1, sizeof *g)))
        return NULL;
    g->table = t;
    g->since_ms = g->join_deadline_ms = g->sync_deadline_ms = -1;
    map_init(&g->members);
    map_init(&g->statics);
    map_init(&g->promised);
    map_init(&g->topics);
    map_init(&g->offsets.slots);
    g->id = group_text(id);
    g->wake_ms = INT64_MAX;
    if (!g->id || map_put(&t->by_id, id, g, NULL)) {
        group_free(g);
        return NULL;
    }
    t->heap[t->heap_n] = g;
    g->heap_at = t->heap_n++;
    return g;
}

void group_remove(struct group *g)
{
    heap_remove(g);
    map_remove(&g->table->by_id, slice_str(g->id));
    group_free(g);
}

void group_move(struct group *g, enum group_state to, int64_t wall_ms)
{
    static const uint8_t from[] = {/* the states each may be entered from, as bits */
                                   [GROUP_EMPTY] = 1 << GROUP_PREPARING,
                                   [GROUP_PREPARING] = 1 << GROUP_EMPTY | 1 << GROUP_COMPLETING | 1 << GROUP_STABLE,
                                   [GROUP_COMPLETING] = 1 << GROUP_PREPARING,
                                   [GROUP_STABLE] = 1 << GROUP_COMPLETING,
                                   [GROUP_DEAD] = 0};
    if (!(from[to] & 1 << g->state))
        abort(); /* a programmer's error: callers know the state they are in */
    g->previous = g->state;
    g->state = to;
    g->since_ms = wall_ms;
}

static int64_t first_deadline(const struct group *g)
{
    int64_t first = INT64_MAX;

    if (g->join_deadline_ms >= 0)
        first = g->join_deadline_ms;
    if (g->sync_deadline_ms >= 0 && g->sync_deadline_ms < first)
        first = g->sync_deadline_ms;
    for (const struct map_entry *e = map_first(&g->members); e; e = map_next(&g->members, e)) {
        const struct group_member *m = e->value;
        bool waits = (m->joining || m->syncing) && !m->is_new;
        if (!waits && m->deadline_ms < first)
            first = m->deadline_ms;
    }
    for (const struct map_entry *e = map_first(&g->promised); e; e = map_next(&g->promised, e)) {
        const struct group_promise *p = e->value;
        if (p->deadline_ms < first)
            first = p->deadline_ms;
    }
    return first;
}

void group_settle(struct group *g)
{
    if (group_is_junk(g)) {
        group_remove(g);
        return;
    }
    g->wake_ms = first_deadline(g);
    heap_fix(g->table, g->heap_at);
}

void group_table_fail_waiters(struct group_table *t, enum err err, struct group_call *c)
{
    for (struct map_entry *e = map_first(&t->by_id); e; e = map_next(&t->by_id, e)) {
        struct group *g = e->value;
        for (struct map_entry *k = map_first(&g->members); k; k = map_next(&g->members, k))
            answer_member(g, k->value, err, c);
    }
}

/* ---- Invariants ---- */

static const char *member_broken(const struct group *g, const struct group_member *m)
{
    if (m->instance_id && map_get(&g->statics, slice_str(m->instance_id)) != m)
        return "a static member is not the one its instance id names";
    if (m->joining && g->state != GROUP_PREPARING)
        return "a member waits for a join outside of PREPARING";
    if (m->syncing && g->state != GROUP_COMPLETING)
        return "a member waits for a sync outside of COMPLETING";
    if (m->joining && m->syncing)
        return "a member waits for a join and a sync";
    if (map_has(&g->promised, slice_str(m->id)))
        return "a member's id is promised still";
    if (m->is_new && g->state != GROUP_PREPARING)
        return "a new member outside of PREPARING";
    return NULL;
}

static const char *group_broken(const struct group *g)
{
    bool leads = false;
    size_t statics = 0;
    const char *wrong;

    for (const struct map_entry *e = map_first(&g->members); e; e = map_next(&g->members, e)) {
        const struct group_member *m = e->value;
        if ((wrong = member_broken(g, m)))
            return wrong;
        leads = leads || m == g->leader;
        statics += m->instance_id != NULL;
    }
    if (map_count(&g->members) ? !leads : g->leader != NULL)
        return "the leader is not a member";
    if (statics != map_count(&g->statics))
        return "an instance id without its member";
    if (g->state == GROUP_EMPTY && map_count(&g->members))
        return "an empty group has members";
    if ((g->state == GROUP_COMPLETING || g->state == GROUP_STABLE) && (!map_count(&g->members) || !g->protocol))
        return "a generation without members or protocol";
    if ((g->state == GROUP_PREPARING) != (g->join_deadline_ms >= 0))
        return "PREPARING and its deadline disagree";
    if (g->wake_ms > first_deadline(g))
        return "the group wakes too late";
    if (group_is_junk(g))
        return "a group with nothing in it was kept";
    return NULL;
}

const char *group_table_broken(const struct group_table *t)
{
    const char *wrong = NULL;

    if (t->heap_n != map_count(&t->by_id))
        return "the heap and the table disagree";
    for (size_t i = 1; i < t->heap_n; i++)
        if (t->heap[(i - 1) / 2]->wake_ms > t->heap[i]->wake_ms)
            return "the heap is out of order";
    for (const struct map_entry *e = map_first(&t->by_id); e && !wrong; e = map_next(&t->by_id, e))
        wrong = group_broken(e->value);
    return wrong;
}
