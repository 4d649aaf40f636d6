/* SPDX-License-Identifier: Apache-2.0
 * Where the list of a message stands, from the marks of its description. */
#include "gateway/request/list.h"

static bool there(const struct wire_field *f, int16_t version)
{
    return wire_versions_has(f->versions, version);
}

static const struct wire_field *field_of(const struct wire_struct *s, int16_t version, enum wire_type type, bool array,
                                         const char *ending)
{
    for (size_t i = 0; i < s->field_count; i++) {
        const struct wire_field *f = &s->fields[i];
        size_t n = strlen(f->name), m = ending ? strlen(ending) : 0;
        if (f->type == type && f->array == array && there(f, version) &&
            (!ending || (n >= m && strcmp(f->name + n - m, ending) == 0)))
            return f;
    }
    return NULL;
}

static const struct wire_field *marked(const struct wire_struct *s, int16_t version, enum wire_entity entity)
{
    for (size_t i = 0; i < s->field_count; i++)
        if (s->fields[i].entity == entity && !s->fields[i].array && there(&s->fields[i], version))
            return &s->fields[i];
    return NULL;
}

/* The message's first array whose elements are, or hold, a thing of this kind. */
static const struct wire_field *find_list(const struct wire_struct *s, int16_t version, enum wire_entity entity,
                                          const struct wire_field **name, const struct wire_field **id)
{
    for (size_t i = 0; i < s->field_count; i++) {
        const struct wire_field *f = &s->fields[i];
        if (!f->array || !there(f, version))
            continue;
        if (f->type == WIRE_STRING && f->entity == entity)
            return f;
        if (f->type != WIRE_STRUCT)
            continue;
        *name = marked(f->body, version, entity);
        *id = entity == WIRE_ENTITY_TOPIC_NAME ? marked(f->body, version, WIRE_ENTITY_TOPIC_ID) : NULL;
        if (*name || *id)
            return f;
    }
    return NULL;
}

/* The partitions: integers, or structs that have an index (and in an answer an error). */
static const struct wire_field *find_parts(const struct wire_struct *s, int16_t version, bool answer,
                                           const struct wire_field **index)
{
    for (size_t i = 0; i < s->field_count; i++) {
        const struct wire_field *f = &s->fields[i];
        if (!f->array || f->entity != WIRE_ENTITY_NONE || !there(f, version))
            continue;
        if (f->type == WIRE_INT32 && !answer)
            return f;
        if (f->type != WIRE_STRUCT)
            continue;
        *index = field_of(f->body, version, WIRE_INT32, false, NULL);
        if (*index && (!answer || field_of(f->body, version, WIRE_INT16, false, "ErrorCode")))
            return f;
    }
    *index = NULL;
    return NULL;
}

bool shape_find(const struct wire_api *api, int16_t version, enum wire_entity entity, struct shape *out)
{
    const struct wire_struct *error_in;

    *out = (struct shape){0};
    out->list = find_list(api->request->body, version, entity, &out->name, &out->id);
    if (!out->list)
        return false;
    out->out_list = find_list(api->response->body, version, entity, &out->out_name, &out->out_id);
    if (!out->out_list || out->out_list->type != WIRE_STRUCT) {
        out->out_list = out->out_name = out->out_id = NULL;
        return true;
    }
    if (out->list->type == WIRE_STRUCT) {
        out->parts = find_parts(out->list->body, version, false, &out->index);
        out->kind = field_of(out->list->body, version, WIRE_INT8, false, "ResourceType");
    }
    out->out_parts = out->parts ? find_parts(out->out_list->body, version, true, &out->out_index) : NULL;
    if (!out->out_parts)
        out->parts = out->index = NULL;
    out->out_kind = out->kind ? field_of(out->out_list->body, version, WIRE_INT8, false, "ResourceType") : NULL;
    error_in = out->out_parts ? out->out_parts->body : out->out_list->body;
    out->out_error = field_of(error_in, version, WIRE_INT16, false, "ErrorCode");
    out->out_message = field_of(error_in, version, WIRE_STRING, false, "ErrorMessage");
    return true;
}
