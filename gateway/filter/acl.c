/* SPDX-License-Identifier: Apache-2.0
 * Rights. What a row asks for the whole request is held first: refused, everything is. Then each element of the list
 * gets its fate. The engine takes out of the request what is refused, and `finish` puts it into the answer. */
#include "gateway/api/api.h"
#include "gateway/filter/filter.h"
#include "gateway/request/list.h"
#include "gateway/request/request.h"

struct deciding {
    const struct api_right *each;
    int32_t at;
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

static enum err judge_element(struct request *r, const struct api_right *right, int32_t i)
{
    const struct wire_uuid *id;
    struct slice name;
    enum err err;

    if (r->row->judge)
        return r->row->judge(r, list_element(r->list, i));
    name = list_name(r, r->list, i, &id);
    if (slice_is_null(name) && id)
        return ERR_UNKNOWN_TOPIC_ID;
    err = request_judge(r, right->type, right->operation, name,
                        right->by_cluster || (right->or_cluster && request_sees_cluster(r, right->operation)));
    return id && err == ERR_UNKNOWN_TOPIC_OR_PARTITION ? ERR_UNKNOWN_TOPIC_ID : err;
}

static enum step begin(struct request *r)
{
    struct deciding *d = r->state[FILTER_ACL] = arena_alloc(&r->arena, sizeof *d);
    struct shape shape;
    enum err err;

    if (!d)
        return request_no_memory(r);
    err = judge_whole(r);
    if (!err && r->row->judge_whole)
        err = r->row->judge_whole(r);
    if (err)
        return request_refuse(r, err);
    d->each = each_right(r);
    if (!d->each || !shape_find(r->api, r->version, d->each->entity, &shape))
        return STEP_NEXT;
    r->list = list_new(r, &shape);
    if (!r->list)
        return request_no_memory(r);
    r->list->texts = r->row->texts;
    return STEP_NEXT;
}

enum step filter_acl_start(struct request *r)
{
    struct deciding *d = r->state[FILTER_ACL];
    struct request_list *l;

    if (!d) {
        enum step step = begin(r);
        if (step != STEP_NEXT)
            return step;
        d = r->state[FILTER_ACL];
    }
    l = r->list;
    if (!l)
        return STEP_NEXT;
    while (d->at < l->n) {
        enum err err = judge_element(r, d->each, d->at);
        if (err)
            list_refuse(l, d->at, err);
        d->at++;
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    return l->n > 0 && l->refused == l->n ? list_answer(r) : STEP_NEXT;
}

enum step filter_acl_finish(struct request *r)
{
    return list_merge(r);
}
