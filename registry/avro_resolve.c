/* SPDX-License-Identifier: Apache-2.0
 * After a text is read: every name becomes the type it means, unions are checked for branches that cannot be told
 * apart, and a new schema's defaults are held against their types once more, now that names are resolved. Innermost
 * types come first, as in the reference: a default that needs a record which is still being resolved is refused.
 * Walking is bounded in depth, since types may contain themselves. */
#include "registry/avro_model.h"

struct resolving {
    struct avro_schema *s;
    bool check_defaults;
    struct reason *why;
};

static enum err resolve_slot(struct resolving *r, struct avro_node **slot, unsigned depth);

static enum err resolve_inside(struct resolving *r, struct avro_node *n, unsigned depth)
{
    enum err e = ERR_OK;
    switch (n->kind) {
    case AVRO_RECORD:
        for (uint32_t i = 0; i < n->n && e == ERR_OK; i++)
            e = resolve_slot(r, &n->u.fields[i].type, depth + 1);
        for (uint32_t i = 0; r->check_defaults && i < n->n && e == ERR_OK; i++)
            e = avro_check_default(r->s, &n->u.fields[i], false, r->why);
        n->ready = true;
        return e;
    case AVRO_ARRAY:
    case AVRO_MAP:
        return resolve_slot(r, &n->u.items, depth + 1);
    case AVRO_UNION:
        for (uint32_t i = 0; i < n->n && e == ERR_OK; i++)
            e = resolve_slot(r, &n->u.branches[i], depth + 1);
        return e == ERR_OK ? avro_check_union(n, r->why) : e;
    }
    return ERR_OK;
}

static enum err resolve_slot(struct resolving *r, struct avro_node **slot, unsigned depth)
{
    struct avro_node *n = *slot;
    if (depth > AVRO_SCHEMA_DEPTH_MAX)
        return reason_set(r->why, ERR_LIMIT_EXCEEDED, "types nested deeper than %d", AVRO_SCHEMA_DEPTH_MAX);
    if (n->kind == AVRO_UNRESOLVED) {
        struct avro_node *known = map_get(&r->s->names, n->name.full);
        if (!known && n->is_type_word)
            return reason_set(r->why, ERR_MALFORMED,
                              "A schema \"type\" MUST be a primitive type or one of \"enum\", \"fixed\", \"record\", "
                              "\"error\", \"array\" or \"map\".");
        if (!known)
            return reason_set(r->why, ERR_MALFORMED, "Undefined schema: %.*s", SLICE_FMT(n->name.full));
        *slot = n = known;
    }
    if (n->visited)
        return ERR_OK;
    n->visited = true;
    return resolve_inside(r, n, depth);
}

enum err avro_resolve(struct avro_schema *s, struct avro_node **root, bool with_defaults, struct reason *why)
{
    struct resolving r = {s, with_defaults, why};
    return resolve_slot(&r, root, 0);
}
