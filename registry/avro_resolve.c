/* SPDX-License-Identifier: Apache-2.0
 * After a text is read: every name becomes the type it means, unions are checked for branches that cannot be told
 * apart, and a new schema's defaults are held against their types. Walking and default checks are bounded in depth and
 * work, since types may contain themselves and defaults may use defaults. */
#include "registry/avro_model.h"

enum { DEFAULT_WORK_MAX = 1000000 };

struct resolving {
    struct avro_schema *s;
    bool check_defaults;
    unsigned default_work;
    struct reason *why;
};

static enum err resolve_slot(struct resolving *r, struct avro_node **slot, unsigned depth);

static enum err check_union(struct resolving *r, const struct avro_node *n)
{
    struct map seen;
    enum err e = ERR_OK;
    map_init(&seen);
    for (uint32_t i = 0; i < n->n && e == ERR_OK; i++) {
        struct slice name = avro_full_name(n->u.branches[i]);
        if (map_has(&seen, name))
            e = reason_set(r->why, ERR_MALFORMED, "Duplicate in union:%.*s", SLICE_FMT(name));
        else if (map_put(&seen, name, r, NULL) != ERR_OK)
            e = reason_set(r->why, ERR_NO_MEMORY, "out of memory");
    }
    map_free(&seen, NULL);
    return e;
}

/* --- defaults --- */

static bool is_valid(struct resolving *r, const struct avro_node *n, const struct jvalue *v, unsigned depth);

static bool is_valid_record(struct resolving *r, const struct avro_node *n, const struct jvalue *v, unsigned depth)
{
    for (uint32_t i = 0; i < n->n; i++) {
        const struct avro_field *f = &n->u.fields[i];
        const struct jvalue *given = json_text_get(v, f->name);
        if (!given && f->default_is_double)
            continue;
        if (!given)
            given = f->default_value;
        if (!given || !is_valid(r, f->type, given, depth + 1))
            return false;
    }
    return true;
}

static bool is_valid_integer(const struct jvalue *v, int64_t low, int64_t high)
{
    int64_t number;
    return v->kind == J_NUMBER && avro_number_int64(v->u.text, &number) && number >= low && number <= high;
}

static bool is_valid(struct resolving *r, const struct avro_node *n, const struct jvalue *v, unsigned depth)
{
    if (depth > AVRO_SCHEMA_DEPTH_MAX || ++r->default_work > DEFAULT_WORK_MAX)
        return false;
    switch (n->kind) {
    case AVRO_STRING:
    case AVRO_BYTES:
    case AVRO_ENUM:
    case AVRO_FIXED:
        return v->kind == J_STRING;
    case AVRO_INT:
        return is_valid_integer(v, INT32_MIN, INT32_MAX);
    case AVRO_LONG:
        return is_valid_integer(v, INT64_MIN, INT64_MAX);
    case AVRO_FLOAT:
    case AVRO_DOUBLE:
        return v->kind == J_NUMBER;
    case AVRO_BOOLEAN:
        return v->kind == J_TRUE || v->kind == J_FALSE;
    case AVRO_NULL:
        return v->kind == J_NULL;
    case AVRO_ARRAY:
        for (uint32_t i = 0; v->kind == J_ARRAY && i < v->n; i++)
            if (!is_valid(r, n->u.items, &v->u.items[i], depth + 1))
                return false;
        return v->kind == J_ARRAY;
    case AVRO_MAP:
        for (uint32_t i = 0; v->kind == J_OBJECT && i < v->n; i++)
            if (!is_valid(r, n->u.items, &v->u.object.members[i].value, depth + 1))
                return false;
        return v->kind == J_OBJECT;
    case AVRO_UNION:
        for (uint32_t i = 0; i < n->n; i++)
            if (is_valid(r, n->u.branches[i], v, depth + 1))
                return true;
        return false;
    case AVRO_RECORD:
        return v->kind == J_OBJECT && is_valid_record(r, n, v, depth);
    }
    return false;
}

static enum err check_default(struct resolving *r, const struct avro_field *f)
{
    struct buf value, type;
    if (!f->default_value || f->default_is_double || is_valid(r, f->type, f->default_value, 0))
        return ERR_OK;
    buf_init(&value, AVRO_PRINT_MAX);
    buf_init(&type, AVRO_PRINT_MAX);
    avro_print_json(&value, f->default_value);
    if (avro_print(r->s, f->type, AVRO_PRINT_CANONICAL, NULL, &type) != ERR_OK)
        buf_put_str(&type, avro_kind_name(f->type->kind));
    enum err e = reason_set(r->why, ERR_MALFORMED, "Invalid default for field %.*s: %s not a %s", SLICE_FMT(f->name),
                            buf_cstr(&value), buf_cstr(&type));
    buf_free(&value);
    buf_free(&type);
    return e;
}

static enum err check_defaults(struct resolving *r, const struct avro_node *n)
{
    enum err e = ERR_OK;
    for (uint32_t i = 0; i < n->n && e == ERR_OK; i++)
        e = check_default(r, &n->u.fields[i]);
    return e;
}

/* --- names --- */

static enum err resolve_inside(struct resolving *r, struct avro_node *n, unsigned depth)
{
    enum err e = ERR_OK;
    switch (n->kind) {
    case AVRO_RECORD:
        for (uint32_t i = 0; i < n->n && e == ERR_OK; i++)
            e = resolve_slot(r, &n->u.fields[i].type, depth + 1);
        return e;
    case AVRO_ARRAY:
    case AVRO_MAP:
        return resolve_slot(r, &n->u.items, depth + 1);
    case AVRO_UNION:
        for (uint32_t i = 0; i < n->n && e == ERR_OK; i++)
            e = resolve_slot(r, &n->u.branches[i], depth + 1);
        return e == ERR_OK ? check_union(r, n) : e;
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
        if (!known)
            return reason_set(r->why, ERR_MALFORMED, "Undefined schema: %.*s", SLICE_FMT(n->name.full));
        *slot = n = known;
    }
    if (n->visited)
        return ERR_OK;
    n->visited = true;
    return resolve_inside(r, n, depth);
}

/* A second walk: defaults may look into any type, so all of them must be resolved first. */
static enum err walk_defaults(struct resolving *r, struct avro_node *n, uint8_t *seen)
{
    enum err e = ERR_OK;
    if (seen[n->id / 8] & 1u << n->id % 8)
        return ERR_OK;
    seen[n->id / 8] |= (uint8_t)(1u << n->id % 8);
    if (n->kind == AVRO_ARRAY || n->kind == AVRO_MAP)
        return walk_defaults(r, n->u.items, seen);
    for (uint32_t i = 0; n->kind == AVRO_UNION && i < n->n && e == ERR_OK; i++)
        e = walk_defaults(r, n->u.branches[i], seen);
    for (uint32_t i = 0; n->kind == AVRO_RECORD && i < n->n && e == ERR_OK; i++)
        e = walk_defaults(r, n->u.fields[i].type, seen);
    return e == ERR_OK && n->kind == AVRO_RECORD ? check_defaults(r, n) : e;
}

enum err avro_resolve(struct avro_schema *s, struct avro_node **root, bool with_defaults, struct reason *why)
{
    struct resolving r = {s, with_defaults, 0, why};
    enum err e = resolve_slot(&r, root, 0);
    if (e != ERR_OK || !with_defaults)
        return e;
    uint8_t *seen = arena_alloc(&s->arena, s->nodes / 8 + 1);
    return seen ? walk_defaults(&r, *root, seen) : reason_set(why, ERR_NO_MEMORY, "out of memory");
}
