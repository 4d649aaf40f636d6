/* SPDX-License-Identifier: Apache-2.0
 * Equality of two definitions of one name, as the Java implementation has it: documentation and aliases do not count,
 * properties do. Types may contain themselves, so pairs being compared are remembered, and work is bounded. */
#include "registry/avro_read.h"

enum { EQUAL_WORK_MAX = 200000, EQUAL_DEPTH_MAX = 400 };

struct equal_frame {
    const struct avro_node *a, *b;
    const struct equal_frame *up;
    unsigned depth;
};

/* Most often in the same order, so the search for a name starts where the other has it. */
static bool props_equal(const struct avro_props *a, const struct avro_props *b, unsigned *work)
{
    if (a->n != b->n)
        return false;
    for (uint32_t i = 0; i < a->n; i++) {
        uint32_t tried = 0, j = i;
        for (; tried < b->n && !slice_eq(a->v[i].name, b->v[j].name); tried++)
            j = (j + 1) % b->n;
        if ((*work += tried) > EQUAL_WORK_MAX || tried == b->n || !avro_json_same(a->v[i].value, b->v[j].value))
            return false;
    }
    return true;
}

static bool defaults_equal(const struct avro_field *f, const struct avro_field *g)
{
    if (!f->default_value || !g->default_value || f->default_is_double != g->default_is_double)
        return f->default_value == g->default_value;
    if (f->default_is_double)
        return memcmp(&f->default_double, &g->default_double, sizeof f->default_double) == 0;
    return avro_json_same(f->default_value, g->default_value);
}

static bool nodes_equal(const struct avro_node *a, const struct avro_node *b, const struct equal_frame *up,
                        unsigned *work);

static bool fields_equal(const struct avro_node *a, const struct avro_node *b, const struct equal_frame *frame,
                         unsigned *work)
{
    for (uint32_t i = 0; i < a->n; i++) {
        const struct avro_field *f = &a->u.fields[i], *g = &b->u.fields[i];
        if (!slice_eq(f->name, g->name) || f->order != g->order || !defaults_equal(f, g) ||
            !props_equal(&f->props, &g->props, work) || !nodes_equal(f->type, g->type, frame, work))
            return false;
    }
    return true;
}

static bool nodes_equal(const struct avro_node *a, const struct avro_node *b, const struct equal_frame *up,
                        unsigned *work)
{
    struct equal_frame frame = {a, b, up, up ? up->depth + 1 : 0};
    if (a == b)
        return true;
    if (a->kind != b->kind || a->kind == AVRO_UNRESOLVED || a->n != b->n || !props_equal(&a->props, &b->props, work) ||
        (avro_is_named(a->kind) && !slice_eq(a->name.full, b->name.full)))
        return false;
    if (++*work > EQUAL_WORK_MAX || frame.depth > EQUAL_DEPTH_MAX)
        return false;
    for (const struct equal_frame *f = up; f; f = f->up)
        if (f->a == a && f->b == b)
            return true;
    if (a->kind == AVRO_RECORD)
        return fields_equal(a, b, &frame, work);
    if (a->kind == AVRO_ARRAY || a->kind == AVRO_MAP)
        return nodes_equal(a->u.items, b->u.items, &frame, work);
    if (a->kind == AVRO_FIXED)
        return a->u.size == b->u.size;
    for (uint32_t i = 0; i < a->n; i++)
        if (a->kind == AVRO_ENUM ? !slice_eq(a->u.en.symbols[i], b->u.en.symbols[i])
                                 : !nodes_equal(a->u.branches[i], b->u.branches[i], &frame, work))
            return false;
    return true;
}

bool avro_equal(const struct avro_node *a, const struct avro_node *b)
{
    unsigned work = 0;
    return nodes_equal(a, b, NULL, &work);
}
