/* SPDX-License-Identifier: Apache-2.0
 * Fates, and what follows from them: what is left of the request, and the answer put together again. Every loop is
 * linear and stops when the request's slice is used up; where it stopped stands in the list.
 *
 * The cluster may answer in another order than it was asked, so its elements are found by name: first where the order
 * says, else through an index made once. */
#include "gateway/request/list.h"
#include "gateway/api/api.h"
#include "gateway/request/engine_data.h"
#include "gateway/request/list_index.h"
#include "gateway/request/request.h"
#include "gateway/request/topic_names.h"

#include <assert.h>

struct request_list *list_new(struct request *r, const struct shape *shape)
{
    struct request_list *l = arena_alloc(&r->arena, sizeof *l);

    if (!l)
        return NULL;
    l->shape = *shape;
    l->array = (struct wire_array *)(void *)((uint8_t *)r->body + shape->list->offset);
    l->elements = l->array->v;
    l->size = wire_field_size(shape->list);
    l->n = l->array->n > 0 ? l->array->n : 0;
    l->fate = arena_array(&r->arena, (size_t)l->n, sizeof *l->fate);
    return l->fate ? l : NULL;
}

const void *list_element(const struct request_list *l, int32_t i)
{
    assert(i >= 0 && i < l->n);
    return l->elements + (size_t)i * l->size;
}

struct slice list_name(const struct request *r, const struct request_list *l, int32_t i, const struct wire_uuid **id)
{
    const void *e = list_element(l, i);

    *id = NULL;
    if (l->shape.list->type != WIRE_STRUCT)
        return *(const struct slice *)e;
    if (l->shape.name && !slice_is_null(*(const struct slice *)wire_at(e, l->shape.name)))
        return *(const struct slice *)wire_at(e, l->shape.name);
    if (!l->shape.id)
        return SLICE_NULL;
    *id = wire_at(e, l->shape.id);
    return topic_names_find(r->engine->topics, *id);
}

void list_set_silent(struct request_list *l, int32_t i)
{
    l->refused += l->fate[i] == ERR_OK;
    l->fate[i] = FATE_SILENT;
}

void list_refuse(struct request_list *l, int32_t i, enum err err)
{
    assert(err && i >= 0 && i < l->n);
    l->refused += l->fate[i] == ERR_OK;
    l->fate[i] = err_kafka(err);
    l->any_error = true;
}

void list_refuse_twice(struct request_list *l, int32_t i)
{
    list_refuse(l, i, ERR_INVALID_REQUEST);
    l->fate[i] = FATE_TWICE;
}

bool list_any_error(const struct request_list *l)
{
    return l->any_error;
}

/* ---- Partitions ---- */

static const struct wire_array *parts_of(const struct request_list *l, int32_t i)
{
    return wire_at(list_element(l, i), l->shape.parts);
}

int32_t list_parts(const struct request_list *l, int32_t i)
{
    int32_t n = l->shape.parts ? parts_of(l, i)->n : 0;
    return n > 0 ? n : 0;
}

size_t list_parts_all(const struct request_list *l)
{
    size_t n = 0;

    for (int32_t i = 0; i < l->n; i++)
        n += l->fate[i] == ERR_OK ? (size_t)list_parts(l, i) : 0;
    return n;
}

int32_t list_part_index(const struct request_list *l, int32_t i, int32_t part)
{
    const uint8_t *v = parts_of(l, i)->v;

    if (!l->shape.index)
        return ((const int32_t *)(const void *)v)[part];
    return *(const int32_t *)wire_at(v + (size_t)part * l->shape.parts->body->size, l->shape.index);
}

static bool make_part_fates(struct request *r, struct request_list *l)
{
    int32_t n = 0;

    l->first = arena_array(&r->arena, (size_t)l->n + 1, sizeof *l->first);
    l->parts_refused = arena_array(&r->arena, (size_t)l->n, sizeof *l->parts_refused);
    if (!l->first || !l->parts_refused)
        return false;
    for (int32_t i = 0; i < l->n; i++) {
        l->first[i] = n;
        n += list_parts(l, i); /* the frame held them all: no overflow */
    }
    l->first[l->n] = n;
    l->part_fate = arena_array(&r->arena, (size_t)n, sizeof *l->part_fate);
    return l->part_fate != NULL;
}

static bool keep_note(struct request *r, struct request_list *l, int32_t at, const struct list_note *note)
{
    int32_t n = l->first[l->n];

    if (!l->note_of) {
        l->note_of = arena_array(&r->arena, (size_t)n, sizeof *l->note_of);
        l->notes = arena_array(&r->arena, (size_t)n, sizeof *l->notes);
        if (!l->note_of || !l->notes)
            return false;
    }
    if (!l->note_of[at])
        l->note_of[at] = ++l->notes_n;
    l->notes[l->note_of[at] - 1] = *note;
    return true;
}

bool list_refuse_part(struct request *r, int32_t i, int32_t part, int16_t fate, const struct list_note *note)
{
    struct request_list *l = r->list;
    int32_t at;

    assert(fate != ERR_OK && part >= 0 && part < list_parts(l, i));
    if (!l->first && !make_part_fates(r, l))
        return false;
    at = l->first[i] + part;
    if (l->part_fate[at] == ERR_OK) {
        l->refused++;
        l->parts_refused[i]++;
    }
    l->part_fate[at] = fate;
    l->any_error = l->any_error || fate != FATE_ANSWERED_HERE;
    return !note || keep_note(r, l, at, note);
}

bool list_goes(const struct request_list *l, int32_t i, int32_t part)
{
    if (l->fate[i] != ERR_OK)
        return false;
    return part < 0 || !l->first || l->part_fate[l->first[i] + part] == ERR_OK;
}

/* ---- What goes on ---- */

/* The partitions of element i that go on, as a list of their own in `element`. */
static enum step keep_parts(struct request *r, struct request_list *l, int32_t i, uint8_t *element)
{
    const struct wire_field *f = l->shape.parts;
    struct wire_array *parts = (struct wire_array *)(void *)(element + f->offset);
    const uint8_t *all = parts_of(l, i)->v;
    size_t size = wire_field_size(f);
    int32_t n = list_parts(l, i);

    if (l->parts_refused[i] == 0)
        return STEP_NEXT;
    if (l->at_part == 0) {
        parts->v = arena_array_unset(&r->arena, (size_t)(n - l->parts_refused[i]), size);
        parts->n = 0;
        if (!parts->v)
            return request_no_memory(r);
    }
    while (l->at_part < n) {
        int32_t k = l->at_part++;
        if (list_goes(l, i, k))
            memcpy((uint8_t *)parts->v + (size_t)parts->n++ * size, all + (size_t)k * size, size);
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    l->at_part = 0;
    return STEP_NEXT;
}

static enum step take_out_one(struct request *r, struct request_list *l, int32_t i)
{
    uint8_t *to = (uint8_t *)l->array->v + (size_t)l->kept * l->size;
    enum step step = STEP_NEXT;

    if (l->fate[i] != ERR_OK || (l->first && l->parts_refused[i] > 0 && l->parts_refused[i] == list_parts(l, i)))
        return STEP_NEXT;
    if (l->at_part == 0)
        memcpy(to, list_element(l, i), l->size);
    if (l->first)
        step = keep_parts(r, l, i, to);
    l->kept += step == STEP_NEXT;
    return step;
}

enum step list_take_out(struct request *r)
{
    struct request_list *l = r->list;

    if (!l || l->refused == 0 || l->taken_out)
        return STEP_NEXT;
    if (!r->changed || l->array->v == l->elements) {
        l->array->v = arena_array_unset(&r->arena, (size_t)l->n, l->size); /* as few as go on are written */
        if (!l->array->v)
            return request_no_memory(r);
        l->at = l->kept = l->at_part = 0;
        r->changed = true;
    }
    while (l->at < l->n) {
        enum step step = take_out_one(r, l, l->at);
        if (step != STEP_NEXT)
            return step;
        l->at++;
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    l->array->n = l->kept;
    l->taken_out = true;
    return STEP_NEXT;
}

/* ---- The answer ---- */

static void *out_at(void *m, const struct wire_field *f)
{
    return (uint8_t *)m + f->offset;
}

static const struct list_note named_twice = {.text = "The request names this more than once."};

static void put_error(const struct request *r, const struct request_list *l, int32_t i, void *m, int16_t fate,
                      const struct list_note *note)
{
    const struct shape *s = &l->shape;
    bool ok = fate == FATE_ANSWERED_HERE;

    if (fate == FATE_TWICE) {
        fate = ERR_INVALID_REQUEST;
        note = &named_twice;
    }
    if (s->out_error)
        *(int16_t *)out_at(m, s->out_error) = ok ? 0 : fate;
    if (s->out_message && !ok && note && note->text)
        *(struct slice *)out_at(m, s->out_message) = slice_str(note->text);
    else if (s->out_message && !ok && l->texts)
        *(struct slice *)out_at(m, s->out_message) = slice_str(err_text((enum err)fate));
    if (r->row->fill)
        r->row->fill(r, i, m, note);
}

/* The answer's partition for one that was refused. */
static void refuse_part(const struct request *r, const struct request_list *l, int32_t i, int32_t part, void *out,
                        int16_t fate)
{
    const struct list_note *note = NULL;

    l->shape.out_parts->body->init(out);
    *(int32_t *)out_at(out, l->shape.out_index) = list_part_index(l, i, part);
    if (l->note_of && l->note_of[l->first[i] + part])
        note = &l->notes[l->note_of[l->first[i] + part] - 1];
    put_error(r, l, i, out, fate, note);
}

/* The head of an answer's element: what it is about. */
static void name_element(const struct request *r, const struct request_list *l, int32_t i, void *out)
{
    const struct shape *s = &l->shape;
    const void *e = list_element(l, i);
    const struct wire_uuid *id;
    struct slice name = list_name(r, l, i, &id);

    s->out_list->body->init(out);
    if (id && s->out_id)
        *(struct wire_uuid *)out_at(out, s->out_id) = *id;
    else if (s->out_name)
        *(struct slice *)out_at(out, s->out_name) = name;
    if (s->kind && s->out_kind)
        *(int8_t *)out_at(out, s->out_kind) = *(const int8_t *)wire_at(e, s->kind);
}

/* Partitions of element i that were refused, put behind those that the cluster answered. */
static enum step put_parts(struct request *r, struct request_list *l, int32_t i, void *out)
{
    const struct wire_struct *body = l->shape.out_parts->body;
    struct wire_array *parts = out_at(out, l->shape.out_parts);
    int32_t n = list_parts(l, i), have = parts->n > 0 ? parts->n : 0;
    bool whole = l->fate[i] != ERR_OK;

    if (l->at_part == 0) {
        uint8_t *v = arena_array_unset(&r->arena, (size_t)have + (size_t)(whole ? n : l->parts_refused[i]), body->size);
        if (!v)
            return request_no_memory(r);
        if (have)
            memcpy(v, parts->v, (size_t)have * body->size);
        *parts = (struct wire_array){v, have};
    }
    while (l->at_part < n) {
        int32_t k = l->at_part++;
        if (whole || !list_goes(l, i, k))
            refuse_part(r, l, i, k, (uint8_t *)parts->v + (size_t)parts->n++ * body->size,
                        whole ? l->fate[i] : l->part_fate[l->first[i] + k]);
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    l->at_part = 0;
    return STEP_NEXT;
}

static bool begin_merge(struct request *r, struct request_list *l)
{
    struct wire_array *got;

    if (!r->response && !(r->response = wire_struct_new(r->api->response->body, &r->arena)))
        return false;
    got = out_at(r->response, l->shape.out_list);
    l->merging = true;
    l->at = l->at_part = 0;
    l->merged = (struct wire_array){arena_array_unset(&r->arena, (size_t)l->n, l->shape.out_list->body->size), 0};
    l->index = list_index_new(r, got->v, got->n > 0 ? got->n : 0);
    return l->merged.v && l->index;
}

/* One element of the answer; while its partitions are put in, `at_part` says how far that is. */
static enum step merge_one(struct request *r, struct request_list *l, int32_t i)
{
    size_t size = l->shape.out_list->body->size;
    uint8_t *out = (uint8_t *)l->merged.v + (size_t)l->merged.n * size;
    bool goes = l->fate[i] == ERR_OK, parts_refused = goes && l->first && l->parts_refused[i] > 0;
    enum step step = STEP_NEXT;

    if (l->at_part == 0) {
        const void *got = NULL;
        if (goes)
            step = list_index_find(r, l->index, i, &got);
        if (step != STEP_NEXT)
            return step;
        if ((goes && !got && !parts_refused) || l->fate[i] == FATE_SILENT)
            return STEP_NEXT; /* the cluster said nothing about it, or an earlier element has its answer */
        if (got)
            memcpy(out, got, size);
        else
            name_element(r, l, i, out);
    }
    if (!goes && !l->shape.out_parts)
        put_error(r, l, i, out, l->fate[i], NULL);
    else if (!goes || parts_refused)
        step = put_parts(r, l, i, out);
    l->merged.n += step == STEP_NEXT;
    return step;
}

enum step list_merge(struct request *r)
{
    struct request_list *l = r->list;

    if (!l || l->refused == 0 || !l->shape.out_list)
        return STEP_NEXT;
    if (!l->merging && !begin_merge(r, l))
        return request_no_memory(r);
    while (l->at < l->n) {
        enum step step = merge_one(r, l, l->at);
        if (step != STEP_NEXT)
            return step;
        l->at++;
        if (request_spent(r, 1))
            return STEP_AGAIN;
    }
    *(struct wire_array *)out_at(r->response, l->shape.out_list) = l->merged;
    return STEP_NEXT;
}

enum step list_answer(struct request *r)
{
    assert(r->list && r->list->refused > 0);
    if (r->no_answer && list_any_error(r->list))
        return request_refuse(r, ERR_INVALID_REQUEST);
    if (r->no_answer)
        return STEP_DONE;
    r->response = wire_struct_new(r->api->response->body, &r->arena);
    return r->response ? STEP_DONE : request_no_memory(r);
}
