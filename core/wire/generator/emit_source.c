/* SPDX-License-Identifier: Apache-2.0
 * The generated source of one description: for each struct its init, codec and tables, then the message's own. */
#include "core/wire/generator/model.h"

static void emit_init(struct buf *out, const struct strukt *s, struct arena *a)
{
    buf_printf(out, "void %s_init(struct %s *m)\n{\n    memset(m, 0, sizeof *m);\n", s->c_name, s->c_name);
    for (const struct field *f = s->fields; f; f = f->next) {
        const char *value = field_default(f, a);
        if (f->array || field_is_pointer(f)) {
            if (f->array && f->default_text)
                buf_printf(out, "    m->%s.n = -1;\n", f->c_name);
        } else if (f->type == WIRE_STRUCT) {
            buf_printf(out, "    %s_init(&m->%s);\n", f->body->c_name, f->c_name);
        } else if (value && strcmp(value, "0") != 0 && strcmp(value, "false") != 0 &&
                   strcmp(value, "SLICE_NULL") != 0) {
            buf_printf(out, "    m->%s = %s;\n", f->c_name, value);
        }
    }
    buf_put_str(out, "}\n\n");
}

static void emit_array_alloc(struct buf *out, const struct strukt *s)
{
    const char *c = s->c_name;

    buf_printf(out,
               "struct %s *%s_array_alloc(struct %s_array *out, int32_t n, struct arena *a)\n{\n"
               "    out->v = n < 0 ? NULL : arena_array(a, (size_t)n, sizeof *out->v);\n"
               "    out->n = out->v ? n : 0;\n"
               "    for (int32_t i = 0; i < out->n; i++)\n        %s_init(&out->v[i]);\n    return out->v;\n}\n\n",
               c, c, c, c);
}

static void emit_is_default(struct buf *out, const struct message *m, const struct strukt *s, struct arena *a)
{
    buf_printf(out, "__attribute__((unused)) static bool is_default_%s(const struct %s *m)\n{\n", s->c_name, s->c_name);
    for (const struct field *f = s->fields; f; f = f->next)
        buf_printf(out, "    if (%s)\n        return false;\n", field_not_default(f, a));
    buf_put_str(out,
                struct_has_tags(m) ? "    return m->tags.n == 0;\n}\n\n" : "    (void)m;\n    return true;\n}\n\n");
}

static void emit_struct(struct buf *out, const struct message *m, struct strukt *s, struct arena *a)
{
    if (!s->emitted)
        return;
    s->emitted = false; /* the header set it; each struct comes once, after those it holds */
    for (const struct field *f = s->fields; f; f = f->next)
        if (f->type == WIRE_STRUCT)
            emit_struct(out, m, f->body, a);
    emit_init(out, s, a);
    if (s->in_array)
        emit_array_alloc(out, s);
    if (s->as_value)
        emit_is_default(out, m, s, a);
    emit_decode(out, m, s, a);
    emit_encode(out, m, s, a);
    emit_tables(out, m, s, a);
}

static void emit_version_check(struct buf *out, const struct message *m)
{
    if (m->valid.min == 0)
        buf_printf(out, "    if (version < 0 || version > %d)\n", m->valid.max);
    else
        buf_printf(out, "    if (version < %d || version > %d)\n", m->valid.min, m->valid.max);
    buf_put_str(out, "        return ERR_UNSUPPORTED_VERSION;\n");
}

static void emit_message(struct buf *out, const struct message *m)
{
    const char *c = m->c_name;

    buf_printf(out, "enum err %s_decode(struct %s *m, struct cursor *c, int16_t version, struct arena *a)\n{\n", c, c);
    emit_version_check(out, m);
    buf_printf(out, "    get_%s(m, c, version, a);\n    return c->error;\n}\n\n", c);
    buf_printf(
        out,
        "enum err %s_encode(const struct %s *m, struct buf *out, int16_t version)\n{\n    size_t before = out->n;\n\n",
        c, c);
    emit_version_check(out, m);
    buf_printf(out,
               "    if (out->error)\n        return out->error;\n    put_%s(m, out, version);\n    return "
               "wire_encode_finish(out, before);\n}\n\n",
               c);
    buf_printf(out,
               "void %s_print(const struct %s *m, int16_t version, struct buf *out)\n{\n    wire_print(&struct_%s, m, "
               "version, out);\n}\n\n",
               c, c, c);
    buf_printf(out,
               "static enum err decode_any_%s(void *m, struct cursor *c, int16_t version, struct arena *a)\n{\n    "
               "return %s_decode(m, c, version, a);\n}\n\n",
               c, c);
    buf_printf(out,
               "static enum err encode_any_%s(const void *m, struct buf *out, int16_t version)\n{\n    return "
               "%s_encode(m, out, version);\n}\n\n",
               c, c);
    buf_printf(out, "const struct wire_message %s_message = {\"%s\", %s, %d, {%d, %d}, ", c, m->name,
               kind_enum_name(m->kind), m->key, m->valid.min, m->valid.max);
    if (versions_none(m->flexible))
        buf_put_str(out, "{1, 0}");
    else
        buf_printf(out, "{%d, WIRE_VERSION_OPEN}", m->flexible.min);
    buf_printf(out, ", &struct_%s, decode_any_%s, encode_any_%s};\n\n", c, c, c);
}

void emit_source(struct buf *out, const struct file *file, struct arena *a)
{
    buf_printf(out, "/* Generated from %s.msg. */\n#include \"wire/%s.h\"\n#include \"core/wire/codec.h\"\n\n",
               file->base, file->base);
    for (const struct message *m = file->messages; m; m = m->next) {
        emit_struct(out, m, m->root, a);
        emit_message(out, m);
    }
}
