/* SPDX-License-Identifier: Apache-2.0
 * The calls behind schema_type.h: each goes to the schema's kind. What a kind leaves out has a plain answer here. */
#include "registry/schema_type.h"

enum { RESULT_BYTES_MAX = 64 * 1024 * 1024, ITEMS_FIRST = 8 };

enum err schema_parse(struct parsed_schema **out, const struct schema_type_ops *type, struct slice text,
                      const struct schema_ref_text *refs, size_t refs_n, const struct schema_options *options,
                      struct reason *why)
{
    static const struct schema_options plain;
    *out = NULL;
    if (slice_is_null(text))
        return reason_set(why, ERR_MALFORMED, "no schema text");
    return type->parse(out, text, refs, refs_n, options ? options : &plain, why);
}

void schema_free(struct parsed_schema *s)
{
    if (s)
        s->ops->free(s);
}

enum err schema_canonical(const struct parsed_schema *s, struct buf *out)
{
    return s->ops->canonical(s, out);
}

enum err schema_normalized(const struct parsed_schema *s, struct buf *out)
{
    return s->ops->normalized(s, out);
}

enum err schema_format(const struct parsed_schema *s, struct slice format, struct buf *out)
{
    if (format.n && s->ops->format && s->ops->format(s, format, out))
        return buf_error(out);
    return s->ops->canonical(s, out);
}

bool schema_has_field(const struct parsed_schema *s, struct slice name)
{
    return s->ops->has_field && s->ops->has_field(s, name);
}

struct slice schema_record_name(const struct parsed_schema *s)
{
    return s->ops->record_name ? s->ops->record_name(s) : SLICE_NULL;
}

enum err schema_compatible(const struct parsed_schema *reader, const struct parsed_schema *writer,
                           const struct compat_question *q, struct compat_result *out, struct reason *why)
{
    if (reader->ops != writer->ops) {
        struct compat_item *i = compat_result_add(out, "SCHEMA_TYPE");
        if (!i)
            return reason_set(why, ERR_NO_MEMORY, "out of memory");
        i->text = slice_str("Incompatible because of different schema type");
        return ERR_OK;
    }
    return reader->ops->compatible(reader, writer, q, out, why);
}

enum err schema_validate(const struct parsed_schema *s, struct slice payload, struct reason *why)
{
    if (!s->ops->validate)
        return reason_set(why, ERR_UNSUPPORTED, "%s data cannot be validated", s->ops->name);
    return s->ops->validate(s, payload, why);
}

enum err schema_tags(const struct parsed_schema *s, schema_tag_visit visit, void *context)
{
    return s->ops->tags ? s->ops->tags(s, visit, context) : ERR_OK;
}

enum err schema_tagged(const struct parsed_schema *s, schema_entity_visit visit, void *context)
{
    return s->ops->tagged ? s->ops->tagged(s, visit, context) : ERR_OK;
}

enum err schema_edit_tags(const struct parsed_schema *s, const struct schema_tag_edit *edits, size_t n, bool *missing,
                          struct buf *out, struct reason *why)
{
    if (!s->ops->edit_tags)
        return reason_set(why, ERR_UNSUPPORTED, "%s schemas have no tags", s->ops->name);
    return s->ops->edit_tags(s, edits, n, missing, out, why);
}

void compat_result_init(struct compat_result *r)
{
    *r = (struct compat_result){0};
    arena_init(&r->arena, RESULT_BYTES_MAX);
}

void compat_result_free(struct compat_result *r)
{
    arena_free(&r->arena);
    r->items = NULL;
    r->n = r->cap = 0;
}

struct compat_item *compat_result_add(struct compat_result *r, const char *type)
{
    if (r->n == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : ITEMS_FIRST;
        struct compat_item *grown = arena_array(&r->arena, cap, sizeof *grown);
        if (!grown)
            return NULL;
        if (r->n)
            memcpy(grown, r->items, r->n * sizeof *grown);
        r->items = grown;
        r->cap = cap;
    }
    struct compat_item *i = &r->items[r->n++];
    *i = (struct compat_item){.type = type, .path = slice_str(""), .additional = slice_str(""), .text = slice_str("")};
    return i;
}
