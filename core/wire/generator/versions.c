/* SPDX-License-Identifier: Apache-2.0
 * Arithmetic on version ranges, and the C conditions they become. */
#include "core/wire/generator/model.h"

bool versions_none(struct wire_versions v)
{
    return v.min > v.max;
}

struct wire_versions versions_clip(struct wire_versions v, struct wire_versions to)
{
    return (struct wire_versions){v.min > to.min ? v.min : to.min, v.max < to.max ? v.max : to.max};
}

bool versions_cover(struct wire_versions v, struct wire_versions all)
{
    return v.min <= all.min && v.max >= all.max;
}

const char *versions_condition(struct wire_versions v, struct wire_versions valid, struct arena *a)
{
    struct wire_versions in = versions_clip(v, valid);

    if (versions_none(v) || versions_none(in))
        return "false";
    if (in.min == valid.min && in.max == valid.max)
        return "true";
    if (in.min == in.max)
        return arena_printf(a, "v == %d", in.min);
    if (in.max == valid.max)
        return arena_printf(a, "v >= %d", in.min);
    if (in.min == valid.min)
        return arena_printf(a, "v <= %d", in.max);
    return arena_printf(a, "v >= %d && v <= %d", in.min, in.max);
}

bool is_true(const char *condition)
{
    return strcmp(condition, "true") == 0;
}

bool is_false(const char *condition)
{
    return strcmp(condition, "false") == 0;
}
