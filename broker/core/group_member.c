/* SPDX-License-Identifier: Apache-2.0
 * The members of a group and the protocols they speak. A member owns one block with the names and metadata of its
 * protocols; what waits for it belongs to the caller. */
#include "broker/core/group_private.h"
#include "wire/consumer_protocol.h"

#include <stdlib.h>

typedef struct join_group_request_join_group_request_protocol_array protocol_array;

void member_free(struct group_member *m)
{
    if (!m)
        return;
    free(m->id);
    free(m->client_id);
    free(m->client_host);
    free(m->instance_id);
    free(m->protocols);
    free(m->protocol_bytes);
    free(m->assignment);
    free(m);
}

enum err member_set_protocols(struct group_member *m, const protocol_array *protocols)
{
    size_t bytes = 0, n = protocols->n > 0 ? (size_t)protocols->n : 0;
    struct group_protocol *list = calloc(n + 1, sizeof *list);
    uint8_t *p;

    for (size_t i = 0; i < n; i++)
        bytes += protocols->v[i].name.n + protocols->v[i].metadata.n;
    p = malloc(bytes + 1);
    if (!list || !p) {
        free(list);
        free(p);
        return ERR_NO_MEMORY;
    }
    free(m->protocols);
    free(m->protocol_bytes);
    m->protocols = list;
    m->protocol_bytes = p;
    m->protocol_count = (int32_t)n;
    for (size_t i = 0; i < n; i++) {
        const struct slice *from[2] = {&protocols->v[i].name, &protocols->v[i].metadata};
        struct slice *to[2] = {&list[i].name, &list[i].metadata};
        for (int k = 0; k < 2; k++) {
            if (from[k]->n)
                memcpy(p, from[k]->p, from[k]->n);
            *to[k] = slice_of(p, from[k]->n);
            p += from[k]->n;
        }
    }
    return ERR_OK;
}

enum err member_set_assignment(struct group_member *m, struct slice assignment)
{
    uint8_t *p = malloc(assignment.n + 1);

    if (!p)
        return ERR_NO_MEMORY;
    if (assignment.n)
        memcpy(p, assignment.p, assignment.n);
    free(m->assignment);
    m->assignment = p;
    m->assignment_n = assignment.n;
    return ERR_OK;
}

struct group_member *member_new(const struct member_spec *s)
{
    struct group_member *m = calloc(1, sizeof *m);

    if (!m)
        return NULL;
    m->id = group_text(s->id);
    m->instance_id = group_text(s->instance_id);
    m->client_id = group_text(s->client_id.p ? s->client_id : slice_str(""));
    m->client_host = group_text(s->client_host);
    m->session_ms = s->session_ms;
    m->rebalance_ms = s->rebalance_ms;
    if (!m->id || (s->instance_id.p && !m->instance_id) || !m->client_id || !m->client_host ||
        member_set_protocols(m, s->protocols)) {
        member_free(m);
        return NULL;
    }
    return m;
}

enum err member_add(struct group *g, struct group_member *m, struct slice protocol_type)
{
    char *type = map_count(&g->members) == 0 ? group_text(protocol_type) : NULL;
    enum err err = map_count(&g->members) == 0 && !type ? ERR_NO_MEMORY : ERR_OK;

    if (!err)
        err = map_put(&g->members, slice_str(m->id), m, NULL);
    if (!err && m->instance_id && (err = map_put(&g->statics, slice_str(m->instance_id), m, NULL)))
        map_remove(&g->members, slice_str(m->id));
    if (err) {
        free(type);
        return err;
    }
    if (type) {
        free(g->protocol_type);
        g->protocol_type = type;
    }
    if (!g->leader)
        g->leader = m;
    free(map_remove(&g->promised, slice_str(m->id)));
    return ERR_OK;
}

void member_remove(struct group *g, struct group_member *m)
{
    map_remove(&g->members, slice_str(m->id));
    if (m->instance_id && map_get(&g->statics, slice_str(m->instance_id)) == m)
        map_remove(&g->statics, slice_str(m->instance_id));
    if (g->leader == m) {
        const struct map_entry *e = map_first(&g->members);
        g->leader = e ? e->value : NULL;
    }
    member_free(m);
}

bool member_matches(const struct group_member *m, const protocol_array *protocols)
{
    if (protocols->n != m->protocol_count)
        return false;
    for (int32_t i = 0; i < m->protocol_count; i++) {
        struct slice metadata = protocols->v[i].metadata;
        if (!slice_eq(protocols->v[i].name, m->protocols[i].name) || metadata.n != m->protocols[i].metadata.n ||
            (metadata.n && memcmp(metadata.p, m->protocols[i].metadata.p, metadata.n) != 0))
            return false;
    }
    return true;
}

static const struct group_protocol *protocol_of(const struct group_member *m, struct slice name)
{
    for (int32_t i = 0; i < m->protocol_count; i++)
        if (slice_eq(m->protocols[i].name, name))
            return &m->protocols[i];
    return NULL;
}

struct slice member_metadata(const struct group_member *m, const char *protocol)
{
    const struct group_protocol *p = protocol ? protocol_of(m, slice_str(protocol)) : NULL;
    return p ? p->metadata : slice_str("");
}

struct group_member *member_find(const struct group *g, struct slice id)
{
    return map_get(&g->members, id);
}

enum err member_validate(const struct group *g, struct slice id, struct slice instance_id, struct group_member **out)
{
    struct group_member *m = member_find(g, id);

    *out = NULL;
    if (instance_id.p) {
        const struct group_member *named = map_get(&g->statics, instance_id);
        if (!named)
            return ERR_UNKNOWN_MEMBER_ID;
        if (named != m)
            return ERR_FENCED_INSTANCE_ID;
    }
    if (!m)
        return ERR_UNKNOWN_MEMBER_ID;
    *out = m;
    return ERR_OK;
}

void member_beat(struct group_member *m, int64_t now_ms)
{
    int64_t deadline = now_ms + m->session_ms;

    if (!m->is_new || deadline > m->deadline_ms) /* a first join may last longer than a session */
        m->deadline_ms = deadline;
}

/* ---- The group's protocol ---- */

static bool all_speak(const struct group *g, struct slice protocol)
{
    for (const struct map_entry *e = map_first(&g->members); e; e = map_next(&g->members, e))
        if (!protocol_of(e->value, protocol))
            return false;
    return true;
}

bool group_supports(const struct group *g, struct slice protocol_type, const protocol_array *protocols)
{
    if (g->state == GROUP_EMPTY || map_count(&g->members) == 0)
        return protocol_type.n > 0 && protocols->n > 0;
    if (!g->protocol_type || !slice_eq_str(protocol_type, g->protocol_type))
        return false;
    for (int32_t i = 0; i < protocols->n; i++)
        if (all_speak(g, protocols->v[i].name))
            return true;
    return false;
}

/* Each member votes for the first of its protocols that all speak; the most votes win, the earlier one on a tie. */
char *group_choose_protocol(const struct group *g)
{
    const struct map_entry *first = map_first(&g->members);
    const struct group_member *any = first ? first->value : NULL;
    struct slice best = SLICE_NULL;
    size_t most = 0;

    for (int32_t i = 0; any && i < any->protocol_count; i++) {
        struct slice candidate = any->protocols[i].name;
        size_t votes = 0;
        if (!all_speak(g, candidate))
            continue;
        for (const struct map_entry *e = first; e; e = map_next(&g->members, e)) {
            const struct group_member *m = e->value;
            int32_t k = 0;
            while (k < m->protocol_count && !all_speak(g, m->protocols[k].name))
                k++;
            votes += k < m->protocol_count && slice_eq(m->protocols[k].name, candidate);
        }
        if (votes > most || slice_is_null(best)) {
            best = candidate;
            most = votes;
        }
    }
    return group_text(best.p ? best : slice_str(""));
}

/* The topics stand in what every version begins with, so version 0 is read whatever version is stated, as in Kafka:
 * some clients state 1 and write 0 (docs/leniencies.md). */
static enum err learn_from(struct group *g, struct slice metadata)
{
    struct consumer_protocol_subscription s;
    struct cursor c = cursor_of(metadata);
    struct arena a;
    enum err err;

    arena_init(&a, 0);
    cursor_u16(&c); /* the version */
    err = c.error ? c.error : consumer_protocol_subscription_decode(&s, &c, 0, &a);
    for (int32_t i = 0; !err && i < s.topics.n; i++)
        err = map_put(&g->topics, s.topics.v[i], g, NULL);
    arena_free(&a);
    return err;
}

/* Consumers say what they subscribe to; other users of the protocol have metadata of their own. */
void group_learn_topics(struct group *g)
{
    enum err err = g->protocol_type && strcmp(g->protocol_type, "consumer") == 0 ? ERR_OK : ERR_UNSUPPORTED;

    map_free(&g->topics, NULL);
    map_init(&g->topics);
    for (const struct map_entry *e = map_first(&g->members); e && !err; e = map_next(&g->members, e))
        err = learn_from(g, member_metadata(e->value, g->protocol));
    g->topics_known = !err;
}

size_t group_joining_count(const struct group *g)
{
    size_t n = 0;
    for (const struct map_entry *e = map_first(&g->members); e; e = map_next(&g->members, e))
        n += ((const struct group_member *)e->value)->joining != NULL;
    return n;
}
