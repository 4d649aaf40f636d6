/* SPDX-License-Identifier: Apache-2.0
 * The engine behind the plans. It works on the generated structs through their field tables, so one piece of code
 * serves every API and version. Refused elements are moved out of the request's array before it is forwarded; the
 * response's array is then rebuilt in the order of the request, matching what the cluster answered by name (or topic
 * id), because a cluster may answer in another order. */
#include "gateway/split.h"
#include "core/base/log.h"
#include "gateway/refusal.h"
#include "gateway/split_plans.h"
#include "gateway/topic_ids.h"

#include <stdlib.h>

struct split {
    const struct split_plan *plan;
    void (*then)(struct pending *p, void *response);
    enum err *fate;    /* per element of the request, in its order */
    uint8_t *original; /* copies of all elements, in their order */
    size_t element_size;
    int32_t count;
    int32_t refused;
};

/* ---- Reaching into structs ---- */

static const struct wire_field *field_of(const struct wire_struct *s, const char *name, int16_t version)
{
    for (size_t i = 0; name && i < s->field_count; i++)
        if (strcmp(s->fields[i].name, name) == 0 && wire_versions_has(s->fields[i].versions, version))
            return &s->fields[i];
    return NULL;
}

static void *at(const void *m, const struct wire_field *f)
{
    return (uint8_t *)(uintptr_t)m + f->offset;
}

static size_t element_size(const struct wire_field *f)
{
    return f->type == WIRE_STRUCT ? f->body->size : f->type == WIRE_STRING ? sizeof(struct slice) : sizeof(int32_t);
}

static uint8_t *element(const struct wire_array *a, const struct wire_field *f, int32_t i)
{
    return (uint8_t *)a->v + (size_t)i * element_size(f);
}

static const struct split_plan *plan_of(const struct pending *p)
{
    for (const struct split_plan *plan = split_plans; plan->api_key >= 0; plan++)
        if (plan->api_key == p->api->key && p->version >= plan->min && p->version <= plan->max)
            return plan;
    return NULL;
}

static struct slice item_name(const struct pending *p, const struct split_items *items, const struct wire_field *array,
                              const uint8_t *e, const struct wire_uuid **id)
{
    const struct wire_field *name, *topic_id;
    const char *known;

    *id = NULL;
    if (array->type == WIRE_STRING)
        return *(const struct slice *)(const void *)e;
    name = field_of(array->body, items->name, p->version);
    if (name && !slice_is_null(*(struct slice *)at(e, name)))
        return *(struct slice *)at(e, name);
    topic_id = field_of(array->body, items->topic_id, p->version);
    if (!topic_id)
        return SLICE_NULL;
    *id = at(e, topic_id);
    known = p->session ? worker_topic_name(p->session->worker, (*id)->b) : NULL;
    return slice_str(known);
}

static struct split *split_of(struct pending *p)
{
    return p->filter;
}

/* ---- Refusing ---- */

static void set_error(const struct wire_struct *body, void *m, int16_t version, const char *code, const char *message,
                      enum err err)
{
    const struct wire_field *c = field_of(body, code, version), *t = field_of(body, message, version);
    if (c)
        *(int16_t *)at(m, c) = err_kafka(err);
    if (t)
        *(struct slice *)at(m, t) = slice_str(err_text(err));
}

static bool mirror_partitions(struct pending *p, const struct split_items *items, const struct wire_field *in_array,
                              const uint8_t *in, const struct wire_field *out_array, uint8_t *out, enum err err)
{
    const struct wire_field *sub = field_of(in_array->body, items->sub_array, p->version);
    const struct wire_field *out_sub = field_of(out_array->body, items->out_sub_array, p->version);
    const struct wire_field *index, *out_index;
    const struct wire_array *from = at(in, sub);
    struct wire_array *to = at(out, out_sub);

    index = sub->type == WIRE_STRUCT ? field_of(sub->body, items->sub_index, p->version) : NULL;
    out_index = field_of(out_sub->body, items->out_sub_index, p->version);
    to->n = 0;
    to->v = arena_array(&p->arena, (size_t)(from->n > 0 ? from->n : 0), out_sub->body->size);
    if (!to->v)
        return false;
    for (int32_t i = 0; i < from->n; i++) {
        const uint8_t *e = element(from, sub, i);
        uint8_t *o = element(to, out_sub, i);
        out_sub->body->init(o);
        *(int32_t *)at(o, out_index) = index ? *(int32_t *)at(e, index) : *(const int32_t *)(const void *)e;
        set_error(out_sub->body, o, p->version, items->out_error, items->out_message, err);
        to->n = i + 1;
    }
    return true;
}

/* The response's element for a refused element of the request. */
static bool refuse_item(struct pending *p, const struct split_items *items, const struct wire_field *in_array,
                        const uint8_t *in, const struct wire_field *out_array, uint8_t *out, enum err err)
{
    const struct wire_field *name = field_of(out_array->body, items->out_name, p->version);
    const struct wire_field *topic_id = field_of(out_array->body, items->out_topic_id, p->version);
    const struct wire_uuid *id;
    struct slice text = item_name(p, items, in_array, in, &id);

    out_array->body->init(out);
    if (id && topic_id)
        *(struct wire_uuid *)at(out, topic_id) = *id;
    else if (name)
        *(struct slice *)at(out, name) = text;
    if (items->kind)
        *(int8_t *)at(out, field_of(out_array->body, items->kind, p->version)) =
            *(int8_t *)at(in, field_of(in_array->body, items->kind, p->version));
    if (items->out_sub_array)
        return mirror_partitions(p, items, in_array, in, out_array, out, err);
    set_error(out_array->body, out, p->version, items->out_error, items->out_message, err);
    return true;
}

/* ---- Deciding ---- */

static enum err check_whole(struct pending *p, const struct split_plan *plan)
{
    for (int i = 0; i < SPLIT_WHOLE_MAX && plan->whole[i].type != ACL_TYPE_UNKNOWN; i++) {
        const struct split_whole *w = &plan->whole[i];
        struct slice name = slice_str(ACL_CLUSTER_NAME);
        if (w->field) {
            const struct wire_field *f = field_of(p->api->request->body, w->field, p->version);
            name = f ? *(struct slice *)at(p->body, f) : SLICE_NULL;
            if (slice_is_null(name) && w->null_passes)
                continue;
        }
        if (!session_may(p->session, w->type, w->operation, name))
            return w->refused;
    }
    return ERR_OK;
}

static enum err judge_name(struct pending *p, const struct split_items *items, struct slice name, bool by_id)
{
    enum err err = session_judge(p->session, p->api->key, items->type, items->operation, name);

    return by_id && err == ERR_UNKNOWN_TOPIC_OR_PARTITION ? ERR_UNKNOWN_TOPIC_ID : err;
}

static bool decide(struct pending *p, struct split *s, const struct wire_field *array, struct wire_array *list)
{
    const struct split_items *items = &s->plan->items;

    s->count = list->n > 0 ? list->n : 0;
    s->element_size = element_size(array);
    s->fate = arena_array(&p->arena, (size_t)s->count, sizeof *s->fate);
    if (!s->fate)
        return false;
    for (int32_t i = 0; i < s->count; i++) {
        const struct wire_uuid *id;
        struct slice name = item_name(p, items, array, element(list, array, i), &id);
        if (items->judge)
            s->fate[i] = items->judge(p, element(list, array, i));
        else if (slice_is_null(name) && id)
            s->fate[i] = ERR_UNKNOWN_TOPIC_ID;
        else
            s->fate[i] = judge_name(p, items, name, id != NULL);
        s->refused += s->fate[i] != ERR_OK;
    }
    return true;
}

/* Keep only what is allowed in the request; the elements as they were are kept aside. */
static bool take_out(struct pending *p, struct split *s, const struct wire_field *array, struct wire_array *list)
{
    int32_t kept = 0;

    s->original = arena_array(&p->arena, (size_t)s->count, s->element_size);
    if (!s->original)
        return false;
    memcpy(s->original, list->v, (size_t)s->count * s->element_size);
    for (int32_t i = 0; i < s->count; i++)
        if (!s->fate[i])
            memcpy(element(list, array, kept++), s->original + (size_t)i * s->element_size, s->element_size);
    list->n = kept;
    return true;
}

/* ---- The answer ---- */

static bool same_item(struct pending *p, const struct split_items *items, const struct wire_field *in_array,
                      const uint8_t *in, const struct wire_field *out_array, const uint8_t *out)
{
    const struct wire_field *name = field_of(out_array->body, items->out_name, p->version);
    const struct wire_field *topic_id = field_of(out_array->body, items->out_topic_id, p->version);
    const struct wire_uuid *id;
    struct slice text = item_name(p, items, in_array, in, &id);

    if (id && topic_id)
        return wire_uuid_eq(id, at(out, topic_id));
    if (items->kind && *(int8_t *)at(in, field_of(in_array->body, items->kind, p->version)) !=
                           *(int8_t *)at(out, field_of(out_array->body, items->kind, p->version)))
        return false;
    return name && slice_eq(text, *(struct slice *)at(out, name));
}

static bool merge(struct pending *p, struct split *s, void *response)
{
    const struct split_items *items = &s->plan->items;
    const struct wire_field *in_array = field_of(p->api->request->body, items->array, p->version);
    const struct wire_field *out_array = field_of(p->api->response->body, items->out_array, p->version);
    struct wire_array *got = at(response, out_array), merged;
    size_t size = out_array->body->size;
    int32_t n = 0, have = got->n > 0 ? got->n : 0;
    bool *used = arena_array(&p->arena, (size_t)have, sizeof *used);

    merged.v = arena_array(&p->arena, (size_t)(s->count + have), size);
    if (!merged.v || !used)
        return false;
    for (int32_t i = 0; i < s->count; i++) {
        const uint8_t *in = s->original + (size_t)i * s->element_size;
        uint8_t *out = (uint8_t *)merged.v + (size_t)n * size;
        if (s->fate[i]) {
            if (!refuse_item(p, items, in_array, in, out_array, out, s->fate[i]))
                return false;
            n++;
            continue;
        }
        for (int32_t k = 0; k < have; k++) {
            if (used[k] || !same_item(p, items, in_array, in, out_array, element(got, out_array, k)))
                continue;
            memcpy(out, element(got, out_array, k), size);
            used[k] = true;
            n++;
            break;
        }
    }
    for (int32_t k = 0; k < have; k++) /* whatever else the cluster had to say */
        if (!used[k])
            memcpy((uint8_t *)merged.v + (size_t)n++ * size, element(got, out_array, k), size);
    got->v = merged.v;
    got->n = n;
    return true;
}

static void finish(struct pending *p, void *response)
{
    struct split *s = split_of(p);
    if (s->then && p->session)
        s->then(p, response);
    else
        pending_answer(p, response);
}

static void on_response(struct pending *p, enum err err, struct slice body)
{
    struct split *s = split_of(p);
    struct cursor c = cursor_of(body);
    void *response = wire_struct_new(p->api->response->body, &p->arena);
    enum err wrong = response ? ERR_OK : ERR_NO_MEMORY;

    /* the answer's bytes live only during this call, but `then` may keep the struct for later */
    if (!err && s->then) {
        body = arena_copy(&p->arena, body);
        c = cursor_of(body);
    }
    if (!err && !wrong)
        wrong = p->api->response->decode(response, &c, p->version, &p->arena);
    if (!err && !wrong)
        wrong = cursor_finish(&c);
    if (err || wrong) {
        pending_fail_unanswered(p, err, wrong);
        return;
    }
    if (s->refused && s->plan->items.out_array && !merge(p, s, response)) {
        pending_fail(p, CONN_CLOSE_NO_MEMORY, NULL);
        return;
    }
    finish(p, response);
}

/* All refused, or nothing to ask: the whole answer is made here. */
static void answer_alone(struct pending *p)
{
    struct split *s = split_of(p);
    void *response = wire_struct_new(p->api->response->body, &p->arena);

    if (!response || (s->plan->items.out_array && !merge(p, s, response)))
        pending_fail(p, CONN_CLOSE_NO_MEMORY, NULL);
    else
        finish(p, response);
}

void split_refuse(struct pending *p, enum err err)
{
    void *response = wire_struct_new(p->api->response->body, &p->arena);

    if (!response || refusal_build(p->api, p->version, p->body, err, &p->arena, response))
        pending_fail(p, CONN_CLOSE_NO_MEMORY, NULL);
    else
        pending_answer(p, response);
}

static void decide_and_go(struct pending *p)
{
    struct split *s = split_of(p);
    const struct split_items *items = &s->plan->items;
    const struct wire_field *array = field_of(p->api->request->body, items->array, p->version);
    struct wire_array *list = array ? at(p->body, array) : NULL;

    if (!p->session) {
        pending_silent(p);
        return;
    }
    if (list && !decide(p, s, array, list)) {
        pending_fail(p, CONN_CLOSE_NO_MEMORY, NULL);
        return;
    }
    if (s->refused == 0) {
        pending_forward(p, s->then ? on_response : NULL);
        return;
    }
    if (!take_out(p, s, array, list)) {
        pending_fail(p, CONN_CLOSE_NO_MEMORY, NULL);
        return;
    }
    if (list->n == 0)
        answer_alone(p);
    else
        pending_forward_struct(p, p->body, on_response);
}

void split_run(struct pending *p, void (*then)(struct pending *p, void *response))
{
    const struct split_plan *plan = plan_of(p);
    struct split *s = arena_alloc(&p->arena, sizeof *s);
    enum err err;

    if (!plan || !s) {
        pending_fail(p, CONN_CLOSE_INTERNAL, "no plan for this request");
        return;
    }
    s->plan = plan;
    s->then = then;
    p->filter = s;
    err = check_whole(p, plan);
    if (err)
        split_refuse(p, err);
    else
        topic_ids_resolve(p, decide_and_go);
}

void handle_split(struct pending *p)
{
    split_run(p, NULL);
}

/* ---- For the test ---- */

static const char *check_one(const struct split_plan *plan, int16_t v)
{
    const struct wire_api *api = wire_api(plan->api_key);
    const struct split_items *i = &plan->items;
    const struct wire_field *in = NULL, *out = NULL, *sub = NULL, *out_sub = NULL;

    if (!api)
        return "no such API";
    for (int w = 0; w < SPLIT_WHOLE_MAX && plan->whole[w].type != ACL_TYPE_UNKNOWN; w++)
        if (plan->whole[w].field && !field_of(api->request->body, plan->whole[w].field, v))
            return plan->whole[w].field;
    if (i->array && !(in = field_of(api->request->body, i->array, v)))
        return i->array;
    if (in && i->name && !field_of(in->body, i->name, v) && !field_of(in->body, i->topic_id, v))
        return i->name;
    if (in && i->kind && !field_of(in->body, i->kind, v))
        return i->kind;
    if (in && i->sub_array && !(sub = field_of(in->body, i->sub_array, v)))
        return i->sub_array;
    if (sub && i->sub_index && !field_of(sub->body, i->sub_index, v))
        return i->sub_index;
    if (i->out_array && !(out = field_of(api->response->body, i->out_array, v)))
        return i->out_array;
    if (out && !field_of(out->body, i->out_name, v) && !field_of(out->body, i->out_topic_id, v))
        return i->out_name;
    if (out && i->kind && !field_of(out->body, i->kind, v))
        return i->kind;
    if (out && i->out_sub_array && !(out_sub = field_of(out->body, i->out_sub_array, v)))
        return i->out_sub_array;
    if (out_sub && !field_of(out_sub->body, i->out_sub_index, v))
        return i->out_sub_index;
    if (out && !field_of(out_sub ? out_sub->body : out->body, i->out_error, v))
        return i->out_error;
    if (!refusal_is_known(plan->api_key))
        return "no way to refuse it";
    return NULL;
}

const char *split_check_plans(void)
{
    for (const struct split_plan *plan = split_plans; plan->api_key >= 0; plan++) {
        int16_t min = plan->min > wire_api(plan->api_key)->min ? plan->min : wire_api(plan->api_key)->min;
        for (int16_t v = min; v <= plan->max && v <= wire_api(plan->api_key)->max; v++) {
            const char *bad = check_one(plan, v);
            if (bad)
                return bad;
        }
    }
    return NULL;
}
