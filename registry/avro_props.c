/* SPDX-License-Identifier: Apache-2.0
 * The properties that a type or a field carries besides the words Avro reserves, and its aliases. Lists may be long, so
 * what must be unique is looked up, not searched for. */
#include "registry/avro_read.h"

const char *const avro_schema_reserved[] = {"doc",     "fields", "items", "name",    "namespace", "size",
                                            "symbols", "values", "type",  "aliases", NULL};
const char *const avro_enum_reserved[] = {"doc",     "fields", "items", "name",    "namespace", "size",
                                          "symbols", "values", "type",  "aliases", "default",   NULL};
const char *const avro_field_reserved[] = {"default", "doc", "name", "order", "type", "aliases", NULL};

static bool is_reserved(struct slice name, const char *const *reserved)
{
    for (; *reserved; reserved++)
        if (slice_eq_str(name, *reserved))
            return true;
    return false;
}

enum err avro_read_props(struct reading *r, const struct jvalue *v, const char *const *reserved, struct avro_props *out)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < v->n; i++)
        n += !is_reserved(v->u.object.members[i].name, reserved);
    if (n == 0)
        return ERR_OK;
    if (!(out->v = arena_array(&r->s->arena, n, sizeof *out->v)))
        return avro_no_memory(r);
    for (uint32_t i = 0; i < v->n; i++) {
        const struct jmember *m = &v->u.object.members[i];
        if (!is_reserved(m->name, reserved))
            out->v[out->n++] = (struct avro_prop){m->name, &m->value};
    }
    return ERR_OK;
}

/* The reference loses whole numbers beyond 64 bits when it copies a type that contains others, and fails on that. */
static bool has_huge_number(const struct jvalue *v)
{
    int64_t number;
    if (v->kind == J_NUMBER)
        return avro_number_is_integral(v->u.text) && !avro_number_int64(v->u.text, &number);
    for (uint32_t i = 0; (v->kind == J_ARRAY || v->kind == J_OBJECT) && i < v->n; i++)
        if (has_huge_number(v->kind == J_ARRAY ? &v->u.items[i] : &v->u.object.members[i].value))
            return true;
    return false;
}

enum err avro_check_props(struct reading *r, const struct avro_node *n)
{
    if (n->kind != AVRO_RECORD && n->kind != AVRO_ARRAY && n->kind != AVRO_MAP)
        return ERR_OK;
    for (uint32_t i = 0; i < n->props.n; i++)
        if (has_huge_number(n->props.v[i].value))
            return reason_set(r->why, ERR_MALFORMED, "Can't set a property to null: %.*s",
                              SLICE_FMT(n->props.v[i].name));
    return ERR_OK;
}

/* Each once, in the order given. */
enum err avro_read_alias_texts(struct reading *r, const struct jvalue *v, struct slice **out, uint32_t *n)
{
    const struct jvalue *list = json_text_get_str(v, "aliases");
    struct map seen;
    enum err e = ERR_OK;
    if (!list)
        return ERR_OK;
    if (list->kind != J_ARRAY)
        return avro_bad_json(r, "aliases not an array", v);
    if (list->n && !(*out = arena_array(&r->s->arena, list->n, sizeof **out)))
        return avro_no_memory(r);
    map_init(&seen);
    for (uint32_t i = 0; i < list->n && e == ERR_OK; i++) {
        struct slice text = list->u.items[i].kind == J_STRING ? list->u.items[i].u.text : SLICE_NULL;
        if (slice_is_null(text))
            e = avro_bad_json(r, "alias not a string", &list->u.items[i]);
        else if (map_has(&seen, text))
            continue;
        else if (map_put(&seen, text, &seen, NULL) != ERR_OK)
            e = avro_no_memory(r);
        else
            (*out)[(*n)++] = text;
    }
    map_free(&seen, NULL);
    return e;
}

enum err avro_read_aliases(struct reading *r, const struct jvalue *v, struct avro_node *n)
{
    struct slice *texts = NULL;
    struct map seen;
    uint32_t count = 0;
    enum err e = avro_read_alias_texts(r, v, &texts, &count);
    if (e == ERR_OK && count && !(n->aliases = arena_array(&r->s->arena, count, sizeof *n->aliases)))
        e = avro_no_memory(r);
    map_init(&seen);
    for (uint32_t i = 0; i < count && e == ERR_OK; i++) {
        struct avro_name name;
        e = avro_make_name(r, texts[i], n->name.space, &name);
        if (e != ERR_OK || map_has(&seen, name.full))
            continue;
        if (map_put(&seen, name.full, &seen, NULL) != ERR_OK)
            e = avro_no_memory(r);
        n->aliases[n->aliases_n++] = name;
    }
    map_free(&seen, NULL);
    return e;
}
