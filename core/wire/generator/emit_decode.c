/* SPDX-License-Identifier: Apache-2.0
 * The generated decoders: one straight run of reads per struct, under version conditions where they are needed. */
#include "core/wire/generator/model.h"

#include <stdlib.h>

static const char *scalar_get(const struct field *f, const char *c, struct arena *a)
{
    switch (f->type) {
    case WIRE_BOOL:
        return arena_printf(a, "wire_get_8(%s) != 0", c);
    case WIRE_INT8:
        return arena_printf(a, "(int8_t)wire_get_8(%s)", c);
    case WIRE_INT16:
        return arena_printf(a, "(int16_t)wire_get_16(%s)", c);
    case WIRE_UINT16:
        return arena_printf(a, "wire_get_16(%s)", c);
    case WIRE_INT32:
        return arena_printf(a, "(int32_t)wire_get_32(%s)", c);
    case WIRE_UINT32:
        return arena_printf(a, "wire_get_32(%s)", c);
    case WIRE_INT64:
        return arena_printf(a, "(int64_t)wire_get_64(%s)", c);
    case WIRE_FLOAT64:
        return arena_printf(a, "wire_get_double(%s)", c);
    case WIRE_UUID:
        return arena_printf(a, "wire_get_uuid(%s)", c);
    case WIRE_STRING:
    case WIRE_BYTES:
    case WIRE_RECORDS:
    case WIRE_STRUCT:
        break;
    }
    return NULL;
}

/* Reads one present field from the cursor expression `c`. */
static void emit_get(struct buf *out, const struct message *m, const struct field *f, const char *c, const char *indent,
                     struct arena *a)
{
    const char *flexible = field_flexible(m, f, a), *nullable = field_nullable(m, f, a), *n = f->c_name;

    if (f->array && f->type == WIRE_STRUCT) {
        const char *s = f->body->c_name;
        buf_printf(out,
                   "%sm->%s.v = wire_get_array(%s, a, %s, %s, %zu, sizeof *m->%s.v, &m->%s.n);\n"
                   "%sfor (int32_t i = 0; i < m->%s.n && !(%s)->error; i++)\n%s    get_%s(&m->%s.v[i], %s, v, a);\n",
                   indent, n, c, flexible, nullable, struct_min_encoded(m, f->body), n, n, indent, n, c, indent, s, n,
                   c);
    } else if (f->array) {
        buf_printf(out, "%swire_get_%s_array(%s, a, %s, %s, &m->%s);\n", indent, f->type_name, c, flexible, nullable,
                   n);
    } else if (field_is_pointer(f)) {
        buf_printf(
            out, "%sm->%s = wire_get_struct(%s, a, %s, sizeof *m->%s);\n%sif (m->%s)\n%s    get_%s(m->%s, %s, v, a);\n",
            indent, n, c, nullable, n, indent, n, indent, f->body->c_name, n, c);
    } else if (f->type == WIRE_STRUCT) {
        buf_printf(out, "%sget_%s(&m->%s, %s, v, a);\n", indent, f->body->c_name, n, c);
    } else if (f->type == WIRE_STRING) {
        buf_printf(out, "%sm->%s = wire_get_string(%s, %s, %s);\n", indent, n, c, flexible, nullable);
    } else if (f->type == WIRE_BYTES || f->type == WIRE_RECORDS) {
        buf_printf(out, "%sm->%s = wire_get_bytes(%s, %s, %s);\n", indent, n, c, flexible, nullable);
    } else {
        buf_printf(out, "%sm->%s = %s;\n", indent, n, scalar_get(f, c, a));
    }
}

static bool has_tagged_fields(const struct strukt *s)
{
    for (const struct field *f = s->fields; f; f = f->next)
        if (f->tag >= 0)
            return true;
    return false;
}

static void emit_known_tags(struct buf *out, const struct message *m, const struct strukt *s, const char *indent,
                            struct arena *a)
{
    const char *deeper = arena_printf(a, "%s        ", indent);

    buf_printf(out,
               "%sstruct wire_tags_reader r = wire_tags_begin(c);\n%sstruct cursor field;\n%suint32_t tag;\n\n"
               "%swhile (wire_tags_next(&r, c, &tag, &field)) {\n%s    ",
               indent, indent, indent, indent, indent);
    for (const struct field *f = s->fields; f; f = f->next) {
        const char *when = versions_condition(f->tagged, versions_clip(m->flexible, m->valid), a);
        if (f->tag < 0 || is_false(when))
            continue;
        if (is_true(when))
            buf_printf(out, "if (tag == %d) {\n", f->tag);
        else
            buf_printf(out, "if (tag == %d && %s) {\n", f->tag, when);
        emit_get(out, m, f, "&field", deeper, a);
        buf_printf(out, "%swire_tags_close(c, &field);\n%s    } else ", deeper, indent);
    }
    buf_printf(out, "{\n%swire_tags_keep(&r, c, tag, &field, &m->tags, a);\n%s    }\n%s}\n", deeper, indent, indent);
}

static void emit_tags(struct buf *out, const struct message *m, const struct strukt *s, struct arena *a)
{
    const char *when = versions_condition(m->flexible, m->valid, a);

    if (is_false(when))
        return;
    if (!has_tagged_fields(s)) {
        buf_printf(out,
                   is_true(when) ? "    wire_get_tags(c, &m->tags, a);\n"
                                 : "    if (%s)\n        wire_get_tags(c, &m->tags, a);\n",
                   when);
        return;
    }
    buf_printf(out, is_true(when) ? "    {\n" : "    if (%s) {\n", when);
    emit_known_tags(out, m, s, "        ", a);
    buf_put_str(out, "    }\n");
}

void emit_decode(struct buf *out, const struct message *m, const struct strukt *s, struct arena *a)
{
    buf_printf(out,
               "static void get_%s(struct %s *m, struct cursor *c, int16_t v, struct arena *a)\n{\n"
               "    (void)c;\n    (void)v;\n    (void)a;\n    %s_init(m);\n",
               s->c_name, s->c_name, s->c_name);
    for (const struct field *f = s->fields; f; f = f->next) {
        /* Untagged presence: versions without the tagged ones, which are always the upper part. */
        struct wire_versions present = f->versions;
        const char *when;
        if (f->tag >= 0 && f->tagged.max >= present.max)
            present.max = (int16_t)(f->tagged.min - 1);
        when = versions_condition(present, m->valid, a);
        if (is_false(when))
            continue;
        if (is_true(when)) {
            emit_get(out, m, f, "c", "    ", a);
        } else {
            buf_printf(out, "    if (%s) {\n", when);
            emit_get(out, m, f, "c", "        ", a);
            buf_put_str(out, "    }\n");
        }
    }
    emit_tags(out, m, s, a);
    buf_put_str(out, "}\n\n");
}
