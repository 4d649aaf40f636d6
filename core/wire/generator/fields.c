/* SPDX-License-Identifier: Apache-2.0
 * What the emitters ask about a field: its C type, its default, how it compares with that, its least encoded size. */
#include "core/wire/generator/model.h"

#include <stdlib.h>

const char *field_c_type(const struct field *f, struct arena *a)
{
    switch (f->type) {
    case WIRE_BOOL:
        return "bool";
    case WIRE_INT8:
        return "int8_t";
    case WIRE_INT16:
        return "int16_t";
    case WIRE_UINT16:
        return "uint16_t";
    case WIRE_INT32:
        return "int32_t";
    case WIRE_UINT32:
        return "uint32_t";
    case WIRE_INT64:
        return "int64_t";
    case WIRE_FLOAT64:
        return "double";
    case WIRE_UUID:
        return "struct wire_uuid";
    case WIRE_STRING:
    case WIRE_BYTES:
    case WIRE_RECORDS:
        return "struct slice";
    case WIRE_STRUCT:
        return arena_printf(a, "struct %s", f->body->c_name);
    }
    abort();
}

bool field_is_pointer(const struct field *f)
{
    return f->type == WIRE_STRUCT && !f->array && !versions_none(f->nullable);
}

static bool default_is_null(const struct field *f)
{
    return f->default_text && strcmp(f->default_text, "null") == 0;
}

static const char *integer(const char *text, struct arena *a)
{
    long long v = strtoll(text, NULL, 0);

    if (v == INT32_MIN)
        return "INT32_MIN";
    if (v == INT64_MIN)
        return "INT64_MIN";
    if (v == INT64_MAX)
        return "INT64_MAX";
    return arena_printf(a, "%lld", v);
}

const char *field_default(const struct field *f, struct arena *a)
{
    const char *d = f->default_text;

    switch (f->type) {
    case WIRE_BOOL:
        return d ? d : "false";
    case WIRE_INT8:
    case WIRE_INT16:
    case WIRE_UINT16:
    case WIRE_INT32:
    case WIRE_UINT32:
    case WIRE_INT64:
        return integer(d ? d : "0", a);
    case WIRE_FLOAT64:
        return d ? d : "0.0";
    case WIRE_STRING:
    case WIRE_BYTES:
    case WIRE_RECORDS:
        if (default_is_null(f))
            return "SLICE_NULL";
        return arena_printf(a, "slice_str(\"%s\")", d ? d : "");
    case WIRE_UUID:
    case WIRE_STRUCT:
        break;
    }
    return NULL;
}

const char *field_not_default(const struct field *f, struct arena *a)
{
    bool nullable = !versions_none(f->nullable);
    const char *n = f->c_name;

    if (f->array)
        return arena_printf(a, default_is_null(f) ? "m->%s.n >= 0" : nullable ? "m->%s.n != 0" : "m->%s.n > 0", n);
    switch (f->type) {
    case WIRE_BOOL:
        return arena_printf(a, f->default_text && strcmp(f->default_text, "true") == 0 ? "!m->%s" : "m->%s", n);
    case WIRE_INT8:
    case WIRE_INT16:
    case WIRE_UINT16:
    case WIRE_INT32:
    case WIRE_UINT32:
    case WIRE_INT64:
    case WIRE_FLOAT64:
        return arena_printf(a, "m->%s != %s", n, field_default(f, a));
    case WIRE_UUID:
        return arena_printf(a, "!wire_uuid_is_zero(&m->%s)", n);
    case WIRE_STRING:
    case WIRE_BYTES:
    case WIRE_RECORDS:
        if (default_is_null(f))
            return arena_printf(a, "m->%s.p", n);
        if (f->default_text && *f->default_text)
            return arena_printf(a, "!slice_eq_str(m->%s, \"%s\")", n, f->default_text);
        return nullable ? arena_printf(a, "(!m->%s.p || m->%s.n)", n, n) : arena_printf(a, "m->%s.n", n);
    case WIRE_STRUCT:
        if (field_is_pointer(f))
            return arena_printf(a, "m->%s", n);
        return arena_printf(a, "!is_default_%s(&m->%s)", f->body->c_name, n);
    }
    abort();
}

const char *field_flexible(const struct message *m, const struct field *f, struct arena *a)
{
    return versions_condition(f->flexible_overridden ? f->flexible : m->flexible, m->valid, a);
}

/* A condition that needs to hold only where the field is present at all. */
const char *field_nullable(const struct message *m, const struct field *f, struct arena *a)
{
    struct wire_versions present = versions_clip(f->versions, m->valid);
    if (versions_none(present))
        return "false";
    return versions_condition(f->nullable, present, a);
}

bool field_asks_is_set(const struct message *m, const struct field *f)
{
    return f->tag >= 0 || (!f->ignorable && !versions_cover(f->versions, m->valid));
}

int struct_depth(const struct strukt *s)
{
    int deepest = 0;

    for (const struct field *f = s->fields; f; f = f->next) {
        int depth = f->type == WIRE_STRUCT ? struct_depth(f->body) : 0;
        if (depth > deepest)
            deepest = depth;
    }
    return deepest + 1;
}

bool struct_has_tags(const struct message *m)
{
    return !versions_none(m->flexible);
}

static size_t field_min_encoded(const struct message *m, const struct field *f)
{
    if (f->array || field_is_pointer(f))
        return 1;
    switch (f->type) {
    case WIRE_BOOL:
    case WIRE_INT8:
    case WIRE_STRING:
    case WIRE_BYTES:
    case WIRE_RECORDS:
        return 1;
    case WIRE_INT16:
    case WIRE_UINT16:
        return 2;
    case WIRE_INT32:
    case WIRE_UINT32:
        return 4;
    case WIRE_INT64:
    case WIRE_FLOAT64:
        return 8;
    case WIRE_UUID:
        return 16;
    case WIRE_STRUCT:
        return struct_min_encoded(m, f->body);
    }
    abort();
}

size_t struct_min_encoded(const struct message *m, const struct strukt *s)
{
    size_t n = 0;

    for (const struct field *f = s->fields; f; f = f->next)
        if (f->tag < 0 && versions_cover(f->versions, versions_clip(s->versions, m->valid)))
            n += field_min_encoded(m, f);
    return n ? n : 1;
}
