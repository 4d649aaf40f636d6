/* SPDX-License-Identifier: Apache-2.0
 * Rights. What a row asks for the whole request is held first: refused, everything is. Then each element of the list
 * gets its fate. The engine takes out of the request what is refused, and `finish` puts it into the answer. */
#include "core/base/map.h"
#include "gateway/api/api.h"
#include "gateway/filter/filter.h"
#include "gateway/request/list.h"
#include "gateway/request/request.h"
#include "gateway/request/reserved.h"

struct deciding {
    const struct api_right *each;
    bool whole, begun;    /* judged as a whole; and the list is there */
    bool by_cluster;      /* a right on the cluster stands in for the one on the name */
    bool only_by_cluster; /* and nothing else would do */
    bool seeing;          /* looking for what is named twice */
    struct map seen;      /* names, each with the first element that has it */
    int32_t named, at, told;
};

bool filter_acl_plan(struct request *r)
{
    return r->row->rights[0].scope != RIGHT_END || r->row->judge;
}

static bool is_for(const struct api_right *right, int16_t version)
{
    return right->max == 0 || (version >= right->min && version <= right->max);
}

/* The names a whole-request right is about: the field of the request's own struct that is marked so. */
static struct slice whole_name(const struct request *r, const struct api_right *right, bool *there)
{
    const struct wire_struct *body = r->api->request->body;

    *there = true;
    if (right->entity == WIRE_ENTITY_NONE)
        return slice_str(ACL_CLUSTER_NAME);
    for (size_t i = 0; i < body->field_count; i++)
        if (body->fields[i].entity == right->entity && !body->fields[i].array &&
            wire_versions_has(body->fields[i].versions, r->version))
            return *(const struct slice *)wire_at(r->body, &body->fields[i]);
    *there = false;
    return SLICE_NULL;
}

static enum err judge_whole(struct request *r)
{
    for (const struct api_right *right = r->row->rights; right->scope != RIGHT_END; right++) {
        struct slice name;
        enum err err;
        bool there;

        if (right->scope != RIGHT_WHOLE || !is_for(right, r->version))
            continue;
        name = whole_name(r, right, &there);
        if (!there || (slice_is_null(name) && right->null_passes))
            continue;
        if (right->cluster && request_sees_cluster(r, right->cluster))
            continue;
        err = request_judge(r, right->type, right->operation, name, false);
        if (err)
            return err;
    }
    return ERR_OK;
}

static const struct api_right *each_right(const struct request *r)
{
    for (const struct api_right *right = r->row->rights; right->scope != RIGHT_END; right++)
        if (right->scope == RIGHT_EACH && is_for(right, r->version))
            return right;
    return NULL;
}

static enum err judge_element(struct request *r, const struct deciding *d, int32_t i)
{
    const struct api_right *right = d->each;
    const struct wire_uuid *id;
    struct slice name;
    enum err err;

    if (r->row->judge)
        return r->row->judge(r, list_element(r->list, i));
    if (d->only_by_cluster && !d->by_cluster)
        return reserved_refusal(right->type);
    name = list_name(r, r->list, i, &id);
    if (slice_is_null(name) && id)
        return ERR_UNKNOWN_TOPIC_ID;
    err = request_judge(r, right->type, right->operation, name, right->by_cluster || d->by_cluster);
    return id && err == ERR_UNKNOWN_TOPIC_OR_PARTITION ? ERR_UNKNOWN_TOPIC_ID : err;
}

/* ---- Named twice ---- */

static void free_map(void *m)
{
    map_free(m, NULL);
    map_init(m);
}

/* What tells an element from others: its name and, of a resource, its kind. Null: no memory. */
static struct slice key_of(struct request *r, int32_t i)
{
    const struct shape *s = &r->list->shape;
    const struct wire_uuid *id;
    struct slice name = list_name(r, r->list, i, &id);
    uint8_t *key = arena_alloc(&r->arena, name.n + 1);

    if (!key)
        return SLICE_NULL;
    if (s->kind)
        key[0] = *(const uint8_t *)wire_at(list_element(r->list, i), s->kind);
    if (name.n)
        memcpy(key + 1, name.p, name.n);
    return slice_of(key, name.n + 1);
}

static bool check_name(struct request *r, struct deciding *d, int32_t i)
{
    struct slice key = key_of(r, i);
    int16_t *first = slice_is_null(key) ? NULL : map_get(&d->seen, key); /* its fate */

    if (!first)
        return !slice_is_null(key) && map_put(&d->seen, key, &r->list->fate[i], NULL) == ERR_OK;
    list_refuse_twice(r->list, (int32_t)(first - r->list->fate));
    if (r->row->twice == TWICE_EACH)
        list_refuse_twice(r->list, i);
    else
        list_set_silent(r->list, i);
    return true;
}

static enum step check_twice(struct request *r, struct deciding *d)
{
    if (r->row->twice == TWICE_FREE || r->list->n < 2)
        return STEP_NEXT;
    if (!d->seeing) {
        map_init(&d->seen);
        d->seeing = true;
        if (!request_own(r, &d->seen, free_map))
            return request_no_memory(r);
    }
    while (d->named < r->list->n) {
        if (!check_name(r, d, d->named++))
            return request_no_memory(r);
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    free_map(&d->seen);
    return STEP_NEXT;
}

/* ---- Going ---- */

/* Where the right on the cluster counts beside the one on the name, or instead of it. */
static void judge_cluster(struct request *r, struct deciding *d)
{
    const struct api_right *right = d->each;

    if (!right->cluster)
        return;
    d->only_by_cluster = right->cluster_instead && right->cluster_instead(r);
    if (d->only_by_cluster)
        d->by_cluster = request_may_cluster(r, right->cluster);
    else if (!right->cluster_instead)
        d->by_cluster = request_sees_cluster(r, right->cluster);
}

static enum step begin(struct request *r, struct deciding *d)
{
    struct shape shape;
    enum err err = d->whole ? ERR_OK : judge_whole(r);

    if (err)
        return request_refuse(r, err);
    d->whole = true;
    if (r->row->judge_whole) {
        enum step step = r->row->judge_whole(r, &err);
        if (step != STEP_NEXT)
            return step;
    }
    if (err)
        return request_refuse(r, err);
    d->begun = true;
    d->each = each_right(r);
    if (!d->each || !shape_find(r->api, r->version, d->each->entity, &shape))
        return STEP_NEXT;
    r->list = list_new(r, &shape);
    if (!r->list)
        return request_no_memory(r);
    r->list->texts = r->row->texts;
    judge_cluster(r, d);
    return STEP_NEXT;
}

static enum step judge_all(struct request *r, struct deciding *d)
{
    struct request_list *l = r->list;

    while (d->at < l->n) {
        enum err err = l->fate[d->at] ? ERR_OK : judge_element(r, d, d->at);
        if (err)
            list_refuse(l, d->at, err);
        d->at++;
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    return STEP_NEXT;
}

/* Where one refusal stops all: what becomes of the others. */
static enum step refuse_others(struct request *r, struct deciding *d)
{
    struct request_list *l = r->list;

    while (d->each->others && l->refused > 0 && d->told < l->n) {
        if (l->fate[d->told] == ERR_OK)
            list_refuse(l, d->told, (enum err)d->each->others);
        d->told++;
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    return STEP_NEXT;
}

enum step filter_acl_start(struct request *r)
{
    struct deciding *d = r->state[FILTER_ACL];
    const struct request_list *l;
    enum step step = STEP_NEXT;

    if (!d && !(d = r->state[FILTER_ACL] = arena_alloc(&r->arena, sizeof *d)))
        return request_no_memory(r);
    if (!d->begun)
        step = begin(r, d);
    l = r->list;
    if (step == STEP_NEXT && l)
        step = check_twice(r, d);
    if (step == STEP_NEXT && l)
        step = judge_all(r, d);
    if (step == STEP_NEXT && l)
        step = refuse_others(r, d);
    if (step != STEP_NEXT || !l)
        return step;
    return l->n > 0 && l->refused == l->n && !r->row->asks_always ? list_answer(r) : STEP_NEXT;
}

enum step filter_acl_finish(struct request *r)
{
    return list_merge(r);
}
