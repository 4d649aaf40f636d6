/* SPDX-License-Identifier: Apache-2.0
 * interim */
#include "gateway/request/refusal.h"
#include "gateway/request/list.h"

enum err refusal_build(const struct wire_api *api, int16_t version, const void *request, enum err refused,
                       struct arena *a, void *response)
{
    const struct wire_struct *body = api->response->body;
    static const enum wire_entity kinds[] = {WIRE_ENTITY_TOPIC_NAME, WIRE_ENTITY_GROUP_ID, WIRE_ENTITY_TRANSACTIONAL_ID,
                                             WIRE_ENTITY_RESOURCE_NAME};
    bool top = false;
    struct shape s;

    for (size_t i = 0; i < body->field_count; i++) {
        const struct wire_field *f = &body->fields[i];
        if (!wire_versions_has(f->versions, version))
            continue;
        if (strcmp(f->name, "ErrorCode") == 0) {
            *(int16_t *)(void *)((uint8_t *)response + f->offset) = err_kafka(refused);
            top = true;
        }
        if (strcmp(f->name, "ErrorMessage") == 0)
            *(struct slice *)(void *)((uint8_t *)response + f->offset) = slice_str(err_text(refused));
    }
    if (top)
        return ERR_OK;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        if (!shape_find(api, version, kinds[k], &s) || !s.out_list)
            continue;
        const struct wire_array *in = wire_at(request, s.list);
        struct wire_array *out = (struct wire_array *)(void *)((uint8_t *)response + s.out_list->offset);
        size_t in_size = s.list->type == WIRE_STRUCT ? s.list->body->size : sizeof(struct slice);
        out->n = in->n > 0 ? in->n : 0;
        out->v = arena_array(a, (size_t)out->n, s.out_list->body->size);
        if (!out->v)
            return ERR_NO_MEMORY;
        for (int32_t i = 0; i < out->n; i++) {
            const uint8_t *e = (const uint8_t *)in->v + (size_t)i * in_size;
            uint8_t *o = (uint8_t *)out->v + (size_t)i * s.out_list->body->size;
            s.out_list->body->init(o);
            if (s.out_name)
                *(struct slice *)(void *)(o + s.out_name->offset) =
                    s.list->type == WIRE_STRUCT ? (s.name ? *(const struct slice *)wire_at(e, s.name) : SLICE_NULL)
                                                : *(const struct slice *)(const void *)e;
            if (s.id && s.out_id)
                memcpy(o + s.out_id->offset, e + s.id->offset, 16);
            if (!s.out_parts) {
                if (s.out_error)
                    *(int16_t *)(void *)(o + s.out_error->offset) = err_kafka(refused);
                continue;
            }
            const struct wire_array *pin = wire_at(e, s.parts);
            struct wire_array *pout = (struct wire_array *)(void *)(o + s.out_parts->offset);
            pout->n = pin->n > 0 ? pin->n : 0;
            pout->v = arena_array(a, (size_t)pout->n, s.out_parts->body->size);
            if (!pout->v)
                return ERR_NO_MEMORY;
            for (int32_t j = 0; j < pout->n; j++) {
                uint8_t *po = (uint8_t *)pout->v + (size_t)j * s.out_parts->body->size;
                s.out_parts->body->init(po);
                *(int32_t *)(void *)(po + s.out_index->offset) =
                    s.index ? *(const int32_t *)wire_at((const uint8_t *)pin->v + (size_t)j * s.parts->body->size, s.index)
                            : ((const int32_t *)pin->v)[j];
                if (s.out_error)
                    *(int16_t *)(void *)(po + s.out_error->offset) = err_kafka(refused);
            }
        }
        return ERR_OK;
    }
    return ERR_OK;
}
