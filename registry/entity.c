/* SPDX-License-Identifier: Apache-2.0
 * Schemas as answers show them. Members come in the reference's order; what a schema does not have is left out. Written
 * without printf: these are the answers a registry gives all day. */
#include "registry/change.h"
#include "registry/json_text.h"
#include "registry/text_cache.h"

void put_int_member(struct buf *out, const char *before, int64_t v)
{
    buf_put_str(out, before);
    buf_put_int(out, v);
}

void put_references(struct buf *out, const struct schema_ref *refs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        buf_put_str(out, i ? ",{\"name\":" : ",\"references\":[{\"name\":");
        json_text_print_string(out, refs[i].name);
        buf_put_str(out, ",\"subject\":");
        json_text_print_string(out, refs[i].subject);
        put_int_member(out, ",\"version\":", refs[i].version);
        buf_put_str(out, i + 1 == n ? "}]" : "}");
    }
}

void put_contract(struct buf *out, const char *before, struct slice json)
{
    if (slice_is_null(json))
        return;
    buf_put_str(out, before);
    buf_put_slice(out, json);
}

void put_text(struct buf *out, const struct api_settings *st, const struct content *c, struct slice text)
{
    if (slice_is_null(text))
        text_cache_put(st->texts, out, c);
    else
        json_text_print_string(out, text);
}

void put_time(struct buf *out, const struct version *v)
{
    put_int_member(out, ",\"ts\":", v->timestamp_ms);
    buf_put_str(out, v->deleted ? ",\"deleted\":true" : ",\"deleted\":false");
}

static void put_identity(struct buf *out, const struct api_settings *st, const struct content *c)
{
    if (st->shape >= 80) {
        buf_put_str(out, ",\"guid\":\"");
        guid_put(out, c->guid);
        buf_put_str(out, "\"");
    }
    if (st->shape >= 80 || c->type != SCHEMA_AVRO) {
        buf_put_str(out, ",\"schemaType\":\"");
        buf_put_str(out, schema_type_name(c->type));
        buf_put_str(out, "\"");
    }
}

enum { ROOM = 512 }; /* about what an answer has beside the schema's text */

void put_schema_entity_open(struct buf *out, const struct api_settings *st, struct slice subject,
                            const struct version *v, struct slice text, struct slice tags, bool stored)
{
    (void)buf_reserve(out, v->content->text.n + ROOM); /* grown once, not by and by */
    buf_put_str(out, "{\"subject\":");
    json_text_print_string(out, subject);
    put_int_member(out, ",\"version\":", v->version);
    put_int_member(out, ",\"id\":", v->id);
    put_identity(out, st, v->content);
    put_references(out, v->content->references, v->content->reference_count);
    put_contract(out, ",\"metadata\":", v->content->metadata);
    buf_put_str(out, ",\"schema\":");
    put_text(out, st, v->content, text);
    buf_put_slice(out, tags);
    if (st->shape >= 80 && stored)
        put_time(out, v);
}

/* The rule set comes last: the reference's constructor knows it by another name than its getter. */
void put_schema_entity_close(struct buf *out, const struct version *v)
{
    put_contract(out, ",\"ruleSet\":", v->content->rules);
    buf_put_str(out, "}");
}

void put_schema_entity(struct buf *out, const struct api_settings *st, struct slice subject, const struct version *v,
                       struct slice text, bool stored)
{
    put_schema_entity_open(out, st, subject, v, text, SLICE_NULL, stored);
    put_schema_entity_close(out, v);
}

void put_registered(struct buf *out, const struct api_settings *st, const struct version *v, struct slice text,
                    bool stored)
{
    put_int_member(out, "{\"id\":", v->id);
    if (st->shape >= 80) {
        put_int_member(out, ",\"version\":", v->version);
        put_identity(out, st, v->content);
        put_references(out, v->content->references, v->content->reference_count);
        put_contract(out, ",\"metadata\":", v->content->metadata);
        put_contract(out, ",\"ruleSet\":", v->content->rules);
        buf_put_str(out, ",\"schema\":");
        put_text(out, st, v->content, text);
        if (stored)
            put_time(out, v);
    }
    buf_put_str(out, "}");
}
