/* SPDX-License-Identifier: Apache-2.0
 * The generated header: structs, innermost first, and the functions of each. */
#include "core/wire/generator/model.h"

static const char *primitive_array(enum wire_type type)
{
    switch (type) {
    case WIRE_INT8:
        return "wire_int8_array";
    case WIRE_INT16:
        return "wire_int16_array";
    case WIRE_INT32:
        return "wire_int32_array";
    case WIRE_INT64:
        return "wire_int64_array";
    case WIRE_UUID:
        return "wire_uuid_array";
    case WIRE_STRING:
        return "wire_string_array";
    case WIRE_BOOL:
    case WIRE_UINT16:
    case WIRE_UINT32:
    case WIRE_FLOAT64:
    case WIRE_BYTES:
    case WIRE_RECORDS:
    case WIRE_STRUCT:
        break;
    }
    return NULL;
}

static void emit_member(struct buf *out, const struct file *file, const struct field *f, struct arena *a)
{
    if (f->array && f->type == WIRE_STRUCT) {
        buf_printf(out, "    struct %s_array %s;\n", f->body->c_name, f->c_name);
    } else if (f->array) {
        if (!primitive_array(f->type))
            die(file->path, f->line, "arrays of %s are not provided for", f->type_name);
        buf_printf(out, "    struct %s %s;\n", primitive_array(f->type), f->c_name);
    } else {
        buf_printf(out, "    %s %s%s;\n", field_c_type(f, a), field_is_pointer(f) ? "*" : "", f->c_name);
    }
}

static void emit_struct(struct buf *out, const struct file *file, const struct message *m, struct strukt *s,
                        struct arena *a)
{
    if (s->emitted)
        return;
    s->emitted = true;
    for (const struct field *f = s->fields; f; f = f->next)
        if (f->type == WIRE_STRUCT)
            emit_struct(out, file, m, f->body, a);
    buf_printf(out, "struct %s {\n", s->c_name);
    for (const struct field *f = s->fields; f; f = f->next)
        emit_member(out, file, f, a);
    if (struct_has_tags(m))
        buf_put_str(out, "    struct wire_tags tags;\n");
    else if (!s->fields)
        buf_put_str(out, "    char nothing;\n");
    buf_put_str(out, "};\n");
    if (s->in_array)
        buf_printf(out, "struct %s_array {\n    struct %s *v;\n    int32_t n;\n};\n", s->c_name, s->c_name);
    buf_printf(out, "void %s_init(struct %s *m);\n", s->c_name, s->c_name);
    if (s->in_array)
        buf_printf(out,
                   "/* n initialised elements from the arena; NULL (and n = 0) when it is exhausted. */\n"
                   "struct %s *%s_array_alloc(struct %s_array *out, int32_t n, struct arena *a);\n",
                   s->c_name, s->c_name, s->c_name);
    buf_put_str(out, "\n");
}

void emit_header(struct buf *out, const struct file *file, struct arena *a)
{
    const char *guard = upper_case(file->base, a);

    buf_printf(out, "/* Generated from %s.msg. */\n#ifndef WIRE_%s_H\n#define WIRE_%s_H\n\n", file->base, guard, guard);
    buf_put_str(out, "#include \"core/wire/message.h\"\n\n");
    for (const struct message *m = file->messages; m; m = m->next) {
        const char *c = m->c_name;
        emit_struct(out, file, m, m->root, a);
        buf_printf(out, "enum { %s_MIN = %d, %s_MAX = %d };\n", upper_case(c, a), m->valid.min, upper_case(c, a),
                   m->valid.max);
        buf_printf(out,
                   "enum err %s_decode(struct %s *m, struct cursor *c, int16_t version, struct arena *a) MUST_CHECK;\n",
                   c, c);
        buf_printf(out, "enum err %s_encode(const struct %s *m, struct buf *out, int16_t version) MUST_CHECK;\n", c, c);
        buf_printf(out, "void %s_print(const struct %s *m, int16_t version, struct buf *out);\n", c, c);
        buf_printf(out, "extern const struct wire_message %s_message;\n\n", c);
    }
    buf_put_str(out, "#endif\n");
}
