/* SPDX-License-Identifier: Apache-2.0
 * The generated encoders. A field that the version lacks must be at its default unless it is ignorable; tagged fields
 * are written only when they are not at theirs, in the order of their tags among the unknown ones. */
#include "core/wire/generator/model.h"

#include <stdlib.h>

enum { TAGGED_MAX = 64 };

static const char *scalar_put(const struct field *f, struct arena *a)
{
    switch (f->type) {
    case WIRE_BOOL:
    case WIRE_INT8:
        return arena_printf(a, "wire_put_8(b, (uint8_t)m->%s)", f->c_name);
    case WIRE_INT16:
    case WIRE_UINT16:
        return arena_printf(a, "wire_put_16(b, (uint16_t)m->%s)", f->c_name);
    case WIRE_INT32:
    case WIRE_UINT32:
        return arena_printf(a, "wire_put_32(b, (uint32_t)m->%s)", f->c_name);
    case WIRE_INT64:
        return arena_printf(a, "wire_put_64(b, (uint64_t)m->%s)", f->c_name);
    case WIRE_FLOAT64:
        return arena_printf(a, "wire_put_double(b, m->%s)", f->c_name);
    case WIRE_UUID:
        return arena_printf(a, "wire_put_uuid(b, &m->%s)", f->c_name);
    case WIRE_STRING:
    case WIRE_BYTES:
    case WIRE_RECORDS:
    case WIRE_STRUCT:
        break;
    }
    return NULL;
}

static void emit_put(struct buf *out, const struct message *m, const struct field *f, const char *indent,
                     struct arena *a)
{
    const char *flexible = field_flexible(m, f, a), *nullable = field_nullable(m, f, a), *n = f->c_name;

    if (f->array && f->type == WIRE_STRUCT) {
        buf_printf(out,
                   "%swire_put_count(b, m->%s.n, %s, %s);\n%sfor (int32_t i = 0; i < m->%s.n && !b->error; i++)\n"
                   "%s    put_%s(&m->%s.v[i], b, v);\n",
                   indent, n, flexible, nullable, indent, n, indent, f->body->c_name, n);
    } else if (f->array) {
        buf_printf(out, "%swire_put_%s_array(b, &m->%s, %s, %s);\n", indent, f->type_name, n, flexible, nullable);
    } else if (field_is_pointer(f)) {
        buf_printf(out, "%sif (wire_put_present(b, m->%s, %s))\n%s    put_%s(m->%s, b, v);\n", indent, n, nullable,
                   indent, f->body->c_name, n);
    } else if (f->type == WIRE_STRUCT) {
        buf_printf(out, "%sput_%s(&m->%s, b, v);\n", indent, f->body->c_name, n);
    } else if (f->type == WIRE_STRING) {
        buf_printf(out, "%swire_put_string(b, m->%s, %s, %s);\n", indent, n, flexible, nullable);
    } else if (f->type == WIRE_BYTES || f->type == WIRE_RECORDS) {
        buf_printf(out, "%swire_put_bytes(b, m->%s, %s, %s);\n", indent, n, flexible, nullable);
    } else {
        buf_printf(out, "%s%s;\n", indent, scalar_put(f, a));
    }
}

/* The untagged part of one field: written, or refused when it carries something the version cannot say. */
static void emit_field(struct buf *out, const struct message *m, const struct field *f, struct arena *a)
{
    struct wire_versions untagged = f->versions;
    const char *when, *known = versions_condition(f->versions, m->valid, a);

    if (f->tag >= 0 && f->tagged.max >= untagged.max)
        untagged.max = (int16_t)(f->tagged.min - 1);
    when = versions_condition(untagged, m->valid, a);
    if (is_true(when)) {
        emit_put(out, m, f, "    ", a);
    } else if (!is_false(when)) {
        buf_printf(out, "    if (%s) {\n", when);
        emit_put(out, m, f, "        ", a);
        buf_put_str(out, "    }\n");
    }
    if (is_true(known) || f->ignorable)
        return;
    if (is_false(known))
        buf_printf(out, "    if (%s)\n", field_not_default(f, a));
    else
        buf_printf(out, "    if (!(%s) && %s)\n", known, field_not_default(f, a));
    buf_put_str(out, "        wire_put_fail(b, ERR_UNSUPPORTED_VERSION);\n");
}

static int by_tag(const void *x, const void *y)
{
    const struct field *const *f = x, *const *g = y;
    return (*f)->tag - (*g)->tag;
}

static size_t collect_tagged(const struct message *m, const struct strukt *s, const struct field **tagged,
                             struct arena *a)
{
    struct wire_versions flexible = versions_clip(m->flexible, m->valid);
    size_t n = 0;

    for (const struct field *f = s->fields; f; f = f->next) {
        if (f->tag < 0 || is_false(versions_condition(f->tagged, flexible, a)))
            continue;
        if (n == TAGGED_MAX)
            die(s->name, f->line, "too many tagged fields");
        tagged[n++] = f;
    }
    qsort(tagged, n, sizeof *tagged, by_tag);
    return n;
}

static void emit_tagged(struct buf *out, const struct message *m, const struct field **tagged, size_t n,
                        struct arena *a)
{
    struct wire_versions flexible = versions_clip(m->flexible, m->valid);

    for (size_t i = 0; i < n; i++) {
        const char *when = versions_condition(tagged[i]->tagged, flexible, a);
        if (is_true(when))
            buf_printf(out, "        const bool has_%s = %s;\n", tagged[i]->c_name, field_not_default(tagged[i], a));
        else
            buf_printf(out, "        const bool has_%s = %s && %s;\n", tagged[i]->c_name, when,
                       field_not_default(tagged[i], a));
    }
    buf_put_str(out, "        struct wire_tags_writer w = wire_put_tags_count(b, &m->tags, 0u");
    for (size_t i = 0; i < n; i++)
        buf_printf(out, " + has_%s", tagged[i]->c_name);
    buf_put_str(out, ");\n");
    for (size_t i = 0; i < n; i++) {
        buf_printf(out, "        if (has_%s) {\n            wire_put_tag_begin(&w, b, %d);\n", tagged[i]->c_name,
                   tagged[i]->tag);
        emit_put(out, m, tagged[i], "            ", a);
        buf_put_str(out, "            wire_put_tag_end(&w, b);\n        }\n");
    }
    buf_put_str(out, "        wire_put_tags_rest(&w, b);\n");
}

void emit_encode(struct buf *out, const struct message *m, const struct strukt *s, struct arena *a)
{
    const char *flexible = versions_condition(m->flexible, m->valid, a);
    const struct field *tagged[TAGGED_MAX];

    buf_printf(out,
               "static void put_%s(const struct %s *m, struct buf *b, int16_t v)\n{\n    (void)m;\n    (void)b;\n    "
               "(void)v;\n",
               s->c_name, s->c_name);
    for (const struct field *f = s->fields; f; f = f->next)
        emit_field(out, m, f, a);
    if (is_true(flexible))
        buf_put_str(out, "    {\n");
    else if (!is_false(flexible))
        buf_printf(out, "    if (%s) {\n", flexible);
    if (!is_false(flexible)) {
        emit_tagged(out, m, tagged, collect_tagged(m, s, tagged, a), a);
        buf_put_str(out, "    }");
        if (is_true(flexible))
            buf_put_str(out, "\n");
        else
            buf_put_str(out, " else if (m->tags.n) {\n        wire_put_fail(b, ERR_UNSUPPORTED_VERSION);\n    }\n");
    }
    buf_put_str(out, "}\n\n");
}
