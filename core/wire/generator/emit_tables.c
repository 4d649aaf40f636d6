/* SPDX-License-Identifier: Apache-2.0
 * The generated run-time tables: fields, structs, messages, APIs. */
#include "core/wire/generator/model.h"

static void emit_versions(struct buf *out, struct wire_versions v)
{
    if (versions_none(v))
        buf_put_str(out, "{1, 0}");
    else if (v.max == WIRE_VERSION_OPEN)
        buf_printf(out, "{%d, WIRE_VERSION_OPEN}", v.min);
    else
        buf_printf(out, "{%d, %d}", v.min, v.max);
}

static const char *boolean(bool b)
{
    return b ? "true" : "false";
}

static void emit_field_row(struct buf *out, const struct message *m, const struct strukt *s, const struct field *f)
{
    buf_printf(out, "    {\"%s\", %s, %s, %s, %s, %s, %s, %s, %s, %d, offsetof(struct %s, %s),\n     ", f->name,
               type_enum_name(f->type), entity_enum_name(f->entity), boolean(f->array), boolean(field_is_pointer(f)),
               boolean(f->ignorable), boolean(f->map_key), boolean(f->secret), boolean(f->flexible_overridden), f->tag,
               s->c_name, f->c_name);
    emit_versions(out, f->versions);
    buf_put_str(out, ", ");
    emit_versions(out, f->nullable);
    buf_put_str(out, ", ");
    emit_versions(out, f->tagged);
    buf_put_str(out, ", ");
    emit_versions(out, f->flexible);
    if (f->default_text)
        buf_printf(out, ", \"%s\"", f->default_text);
    else
        buf_put_str(out, ", NULL");
    if (f->type == WIRE_STRUCT)
        buf_printf(out, ", &struct_%s, ", f->body->c_name);
    else
        buf_put_str(out, ", NULL, ");
    if (field_asks_is_set(m, f))
        buf_printf(out, "is_set_%s_%s},\n", s->c_name, f->c_name);
    else
        buf_put_str(out, "NULL},\n");
}

static void emit_is_set(struct buf *out, const struct strukt *s, const struct field *f, struct arena *a)
{
    buf_printf(out, "static bool is_set_%s_%s(const void *any)\n{\n    const struct %s *m = any;\n    return %s;\n}\n",
               s->c_name, f->c_name, s->c_name, field_not_default(f, a));
}

void emit_tables(struct buf *out, const struct message *m, const struct strukt *s, struct arena *a)
{
    size_t n = 0;

    for (const struct field *f = s->fields; f; f = f->next) {
        n++;
        if (field_asks_is_set(m, f))
            emit_is_set(out, s, f, a);
    }
    if (n) {
        buf_printf(out, "static const struct wire_field fields_%s[] = {\n", s->c_name);
        for (const struct field *f = s->fields; f; f = f->next)
            emit_field_row(out, m, s, f);
        buf_put_str(out, "};\n");
    }
    buf_printf(out, "static void init_any_%s(void *m)\n{\n    %s_init(m);\n}\n", s->c_name, s->c_name);
    buf_printf(out, "static const struct wire_struct struct_%s = {\"%s\", \"%s\", sizeof(struct %s), ", s->c_name,
               s->name, s->c_name, s->c_name);
    if (struct_has_tags(m))
        buf_printf(out, "offsetof(struct %s, tags), ", s->c_name);
    else
        buf_put_str(out, "SIZE_MAX, ");
    emit_versions(out, s->versions);
    if (n)
        buf_printf(out, ", fields_%s, %zu", s->c_name, n);
    else
        buf_put_str(out, ", NULL, 0");
    buf_printf(out, ", %zu, %d, init_any_%s};\n\n", struct_min_encoded(m, s), struct_depth(s), s->c_name);
}

static void emit_apis(struct buf *out, struct file *const *files, size_t n)
{
    buf_put_str(out, "static const struct wire_api apis[] = {\n");
    for (size_t i = 0; i < n; i++) {
        const struct file *f = files[i];
        const struct message *request = f->messages, *response = request ? request->next : NULL;
        if (!f->is_api)
            continue;
        if (!response || request->kind != WIRE_REQUEST || response->kind != WIRE_RESPONSE || response->next)
            die(f->path, 0, "an api is one request and one response");
        buf_printf(out, "    [%d] = {%d, \"%s\", %d, %d, ", f->api_key, f->api_key, f->api_name, request->valid.min,
                   request->valid.max);
        if (versions_none(request->flexible))
            buf_put_str(out, "WIRE_VERSION_OPEN");
        else
            buf_printf(out, "%d", request->flexible.min);
        buf_printf(out, ", %u, %s, &%s_message, &%s_message},\n", f->listeners, boolean(f->unstable), request->c_name,
                   response->c_name);
    }
    buf_put_str(out, "};\n\n");
    buf_put_str(out, "const struct wire_api *wire_api(int16_t key)\n{\n"
                     "    if (key < 0 || (size_t)key >= sizeof apis / sizeof *apis || !apis[key].name)\n"
                     "        return NULL;\n    return &apis[key];\n}\n\n");
}

static void emit_metadata_records(struct buf *out, struct file *const *files, size_t n)
{
    buf_put_str(out, "static const struct wire_message *const metadata_records[] = {\n");
    for (size_t i = 0; i < n; i++)
        for (const struct message *m = files[i]->messages; m; m = m->next)
            if (m->kind == WIRE_METADATA_RECORD)
                buf_printf(out, "    [%d] = &%s_message,\n", m->key, m->c_name);
    buf_put_str(out, "};\n\nconst struct wire_message *wire_metadata_record(int16_t type)\n{\n"
                     "    if (type < 0 || (size_t)type >= sizeof metadata_records / sizeof *metadata_records)\n"
                     "        return NULL;\n    return metadata_records[type];\n}\n\n");
}

void emit_index(struct buf *out, struct file *const *files, size_t n)
{
    buf_put_str(out, "/* Generated from all descriptions. */\n");
    for (size_t i = 0; i < n; i++)
        buf_printf(out, "#include \"wire/%s.h\"\n", files[i]->base);
    buf_put_str(out, "\n");
    emit_apis(out, files, n);
    emit_metadata_records(out, files, n);
    buf_put_str(out, "static const struct wire_message *const messages[] = {\n");
    for (size_t i = 0; i < n; i++)
        for (const struct message *m = files[i]->messages; m; m = m->next)
            buf_printf(out, "    &%s_message,\n", m->c_name);
    buf_put_str(out, "};\n\nconst struct wire_message *const *wire_messages(size_t *count)\n{\n"
                     "    *count = sizeof messages / sizeof *messages;\n    return messages;\n}\n");
}

void emit_keys(struct buf *out, struct file *const *files, size_t n, struct arena *a)
{
    buf_put_str(out, "/* Generated from all descriptions. */\n#ifndef WIRE_KEYS_H\n#define WIRE_KEYS_H\n\n"
                     "/* API keys. */\nenum wire_key {\n");
    for (size_t i = 0; i < n; i++)
        if (files[i]->is_api)
            buf_printf(out, "    WIRE_%s = %d,\n", upper_case(files[i]->base, a), files[i]->api_key);
    buf_put_str(out, "};\n\n/* Record types of the metadata log. */\nenum wire_metadata_key {\n");
    for (size_t i = 0; i < n; i++)
        for (const struct message *m = files[i]->messages; m; m = m->next)
            if (m->kind == WIRE_METADATA_RECORD)
                buf_printf(out, "    WIRE_%s = %d,\n", upper_case(m->c_name, a), m->key);
    buf_put_str(out, "};\n\n/* The int16 before the keys of coordinator records. */\nenum wire_coordinator_key {\n");
    for (size_t i = 0; i < n; i++)
        for (const struct message *m = files[i]->messages; m; m = m->next)
            if (m->kind == WIRE_COORDINATOR_KEY)
                buf_printf(out, "    WIRE_%s = %d,\n", upper_case(m->c_name, a), m->key);
    buf_put_str(out, "};\n\n#endif\n");
}
