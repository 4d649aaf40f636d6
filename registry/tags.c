/* SPDX-License-Identifier: Apache-2.0
 * Tags inside schemas, apart from where each kind of schema keeps them. A request names entities by path with tags to
 * add and to remove; equal entities of both lists become one edit, applied to the text by the schema's kind (see
 * schema_edit_tags()). The texts are printed anew with the tags of the edited objects replaced; nothing parsed is ever
 * changed, because models are shared. */
#include "registry/tags.h"

/* --- requests --- */

void tag_edits_init(struct tag_edits *e)
{
    *e = (struct tag_edits){0};
    arena_init(&e->arena, 0);
}

void tag_edits_free(struct tag_edits *e)
{
    arena_free(&e->arena);
    e->list = NULL;
    e->n = 0;
}

static struct slice normal_path(struct slice path)
{
    return path.n && path.p[0] == '.' ? slice_of(path.p + 1, path.n - 1) : path;
}

/* The edit of that entity: the one there is, or a new one. */
static struct schema_tag_edit *edit_of(struct tag_edits *e, struct map *seen, const struct schema_entity *entity)
{
    struct buf key;
    buf_init(&key, 0);
    buf_u8(&key, entity->kind);
    buf_put_slice(&key, normal_path(entity->path));
    struct schema_tag_edit *edit = map_get(seen, buf_slice(&key));
    if (!edit && e->n < TAG_EDITS_MAX) {
        edit = &e->list[e->n];
        *edit = (struct schema_tag_edit){.entity = *entity};
        if (map_put(seen, buf_slice(&key), edit, NULL))
            edit = NULL;
        else
            e->n++;
    }
    buf_free(&key);
    return edit;
}

/* Is it new to the set? Memory running out reads as a repeat; the caller's list is the worse for it, nothing else. */
static bool add_once(struct map *set, struct slice s)
{
    return !map_has(set, s) && map_put(set, s, set, NULL) == ERR_OK;
}

/* What is in `old` and then in `more`, each once, but nothing of `without`. */
static struct slice *joined(struct arena *a, const struct slice *old, size_t old_n, const struct slice *more,
                            size_t more_n, const struct slice *without, size_t without_n, size_t *n)
{
    struct slice *out = arena_array(a, old_n + more_n + 1, sizeof *out);
    struct map seen;
    *n = 0;
    map_init(&seen);
    for (size_t i = 0; i < without_n; i++)
        (void)add_once(&seen, without[i]);
    for (size_t i = 0; out && i < old_n + more_n; i++) {
        struct slice s = i < old_n ? old[i] : more[i - old_n];
        if (add_once(&seen, s))
            out[(*n)++] = s;
    }
    map_free(&seen, NULL);
    return out;
}

static struct slice text_of(const json_t *v)
{
    return json_is_string(v) ? slice_of(json_string_value(v), json_string_length(v)) : SLICE_NULL;
}

static enum err wrong_member(struct reason *why, const char *name)
{
    return reason_set(why, ERR_MALFORMED, "Unrecognized value for field \"%s\"", name);
}

static enum err read_entity(const json_t *v, struct schema_entity *out, struct reason *why)
{
    const json_t *kind = json_object_get(v, "entityType");
    out->path = text_of(json_object_get(v, "entityPath"));
    out->kind = SCHEMA_ENTITY_FIELD; /* also when it is not said */
    if (slice_is_null(out->path))
        return wrong_member(why, "schemaEntity");
    if (!kind || json_is_null(kind) || slice_eq_str(text_of(kind), "sr_field"))
        return ERR_OK;
    out->kind = SCHEMA_ENTITY_RECORD;
    if (slice_eq_str(text_of(kind), "sr_record"))
        return ERR_OK;
    return reason_set(
        why, ERR_MALFORMED,
        "Cannot deserialize value of type `EntityType` from String \"%.*s\": not one of the values accepted "
        "for Enum class: [sr_record, sr_field]",
        SLICE_FMT(text_of(kind)));
}

static enum err read_tags(struct arena *a, const json_t *v, struct slice **out, size_t *n, struct reason *why)
{
    *n = json_array_size(v);
    *out = arena_array(a, *n + 1, sizeof **out);
    if (!*out)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < *n; i++) {
        (*out)[i] = text_of(json_array_get(v, i));
        if (slice_is_null((*out)[i]))
            return wrong_member(why, "tags");
    }
    return json_is_array(v) ? ERR_OK : wrong_member(why, "tags");
}

static enum err read_item(struct tag_edits *e, struct map *seen, const json_t *item, bool remove, struct reason *why)
{
    struct schema_entity entity;
    struct slice *tags;
    size_t n;
    enum err err = read_entity(json_object_get(item, "schemaEntity"), &entity, why);
    if (!err)
        err = read_tags(&e->arena, json_object_get(item, "tags"), &tags, &n, why);
    if (err)
        return err;
    struct schema_tag_edit *edit = edit_of(e, seen, &entity);
    if (!edit)
        return ERR_NO_MEMORY;
    const struct slice **list = remove ? &edit->remove : &edit->add;
    size_t *count = remove ? &edit->remove_n : &edit->add_n;
    *list = joined(&e->arena, *list, *count, tags, n, NULL, 0, count);
    return *list ? ERR_OK : ERR_NO_MEMORY;
}

enum err tag_edits_read(struct tag_edits *e, const json_t *add, const json_t *remove, struct reason *why)
{
    struct map seen;
    enum err err = ERR_OK;
    size_t adds = json_array_size(add), removes = json_array_size(remove);
    if ((add && !json_is_null(add) && !json_is_array(add)) ||
        (remove && !json_is_null(remove) && !json_is_array(remove)) || adds + removes > TAG_EDITS_MAX)
        return wrong_member(why, "schemaTags");
    e->list = arena_array(&e->arena, adds + removes + 1, sizeof *e->list);
    if (!e->list)
        return ERR_NO_MEMORY;
    map_init(&seen);
    for (size_t i = 0; i < adds + removes && !err; i++)
        err = read_item(e, &seen, i < adds ? json_array_get(add, i) : json_array_get(remove, i - adds), i >= adds, why);
    map_free(&seen, NULL);
    return err;
}

/* --- from a schema --- */

struct copying {
    struct tag_edits *edits;
    size_t cap;
    enum err error;
};

static bool copy_entity(void *context, const struct schema_entity *entity, const struct slice *tags, size_t n)
{
    struct copying *c = context;
    struct tag_edits *e = c->edits;
    if (e->n == TAG_EDITS_MAX) {
        c->error = ERR_LIMIT_EXCEEDED;
        return false;
    }
    if (e->n == c->cap) {
        size_t cap = c->cap ? c->cap * 2 : 16;
        struct schema_tag_edit *list = arena_array(&e->arena, cap, sizeof *list);
        if (list && e->n)
            memcpy(list, e->list, e->n * sizeof *list);
        e->list = list ? list : e->list;
        c->cap = list ? cap : c->cap;
    }
    struct slice *add = arena_array(&e->arena, n + 1, sizeof *add), path = arena_copy(&e->arena, entity->path);
    for (size_t i = 0; add && i < n; i++)
        add[i] = arena_copy(&e->arena, tags[i]);
    if (e->n == c->cap || !add || slice_is_null(path)) {
        c->error = ERR_NO_MEMORY;
        return false;
    }
    e->list[e->n++] = (struct schema_tag_edit){.entity = {entity->kind, path}, .add = add, .add_n = n};
    return true;
}

enum err tag_edits_from(struct tag_edits *e, const struct parsed_schema *from)
{
    struct copying c = {.edits = e};
    enum err err = schema_tagged(from, copy_entity, &c);
    err = err ? err : c.error;
    bool *missing = err ? NULL : arena_array(&e->arena, e->n + 1, sizeof *missing);
    if (!err)
        err = missing ? schema_edit_tags(from, e->list, e->n, missing, NULL, NULL) : ERR_NO_MEMORY;
    size_t n = 0;
    for (size_t i = 0; i < e->n && !err; i++)
        if (!missing[i]) /* else a reference's */
            e->list[n++] = e->list[i];
    e->n = err ? e->n : n;
    return err;
}

/* --- answers --- */

struct telling {
    struct buf *out;
    const struct slice *wanted;
    size_t n;
    bool any;
};

static bool is_wanted(const struct telling *t, const struct slice *tags, size_t n)
{
    for (size_t k = 0; k < t->n; k++) {
        if (slice_eq_str(t->wanted[k], "*"))
            return true;
        for (size_t i = 0; i < n; i++)
            if (slice_eq(t->wanted[k], tags[i]))
                return true;
    }
    return false;
}

static bool tell_entity(void *context, const struct schema_entity *e, const struct slice *tags, size_t n)
{
    struct telling *t = context;
    if (!is_wanted(t, tags, n))
        return true;
    buf_put_str(t->out,
                t->any ? ",{\"schemaEntity\":{\"entityPath\":" : ",\"schemaTags\":[{\"schemaEntity\":{\"entityPath\":");
    json_text_print_string(t->out, e->path);
    buf_printf(t->out, ",\"entityType\":\"%s\"},\"tags\":[",
               e->kind == SCHEMA_ENTITY_RECORD ? "sr_record" : "sr_field");
    for (size_t i = 0; i < n; i++) {
        buf_put_str(t->out, i ? "," : "");
        json_text_print_string(t->out, tags[i]);
    }
    buf_put_str(t->out, "]}");
    t->any = true;
    return true;
}

enum err tags_put(struct buf *out, const struct parsed_schema *s, const struct slice *wanted, size_t n)
{
    struct telling t = {out, wanted, n, false};
    enum err e = schema_tagged(s, tell_entity, &t);
    buf_put_str(out, t.any ? "]" : "");
    return e;
}

/* --- for the kinds --- */

bool tags_split(struct slice path, struct schema_entity_path *out)
{
    size_t from = 0;
    out->n = 0;
    for (size_t i = 0; i <= path.n; i++) {
        if (i < path.n && path.p[i] != '.')
            continue;
        if (out->n == sizeof out->names / sizeof *out->names)
            return false;
        out->names[out->n++] = slice_of(path.p + from, i - from);
        from = i + 1;
    }
    while (out->n > 1 && out->names[out->n - 1].n == 0)
        out->n--;
    return true;
}

struct slice *tags_edited(struct arena *a, const struct slice *old, size_t old_n, const struct schema_tag_edit *edit,
                          size_t *n)
{
    return joined(a, old, old_n, edit->add, edit->add_n, edit->remove, edit->remove_n, n);
}

struct slice *tags_of_array(struct arena *a, const struct jvalue *array, size_t *n)
{
    struct buf text;
    *n = 0;
    if (!array || array->kind != J_ARRAY)
        return NULL;
    struct slice *all = arena_array(a, array->n + 1, sizeof *all);
    for (uint32_t i = 0; all && i < array->n; i++) {
        const struct jvalue *v = &array->u.items[i];
        all[i] = v->kind == J_STRING ? v->u.text : SLICE_NULL;
        if (v->kind != J_STRING) {
            buf_init(&text, 0);
            json_text_print(&text, v, JSON_TEXT_AS_WRITTEN);
            all[i] = arena_copy(a, buf_slice(&text));
            buf_free(&text);
        }
    }
    return all ? joined(a, all, array->n, NULL, 0, NULL, 0, n) : NULL;
}

static struct slice address_key(const struct jvalue *const *object)
{
    return slice_of(object, sizeof *object);
}

enum err tags_override(struct tag_printer *p, const struct jvalue *object, const struct schema_tag_edit *edit)
{
    struct tag_override *o = map_get(&p->overrides, address_key(&object));
    if (!o) {
        o = arena_alloc(p->arena, sizeof *o);
        if (!o || map_put(&p->overrides, address_key(&object), o, NULL))
            return ERR_NO_MEMORY;
        o->tags = tags_of_array(p->arena, json_text_get_str(object, TAGS_MEMBER), &o->n);
    }
    o->tags = tags_edited(p->arena, o->tags, o->n, edit, &o->n);
    return o->tags ? ERR_OK : ERR_NO_MEMORY;
}

static void put_tags(struct buf *out, const struct tag_override *o)
{
    buf_put_str(out, "\"" TAGS_MEMBER "\":[");
    for (size_t i = 0; i < o->n; i++) {
        buf_put_str(out, i ? "," : "");
        json_text_print_string(out, o->tags[i]);
    }
    buf_put_str(out, "]");
}

static void print_object(const struct tag_printer *p, struct buf *out, const struct jvalue *v)
{
    const struct tag_override *o = map_get(&p->overrides, address_key(&v));
    bool any = false, told = !o || !o->n;
    buf_put_str(out, "{");
    for (uint32_t i = 0; i < v->n; i++) {
        const struct jmember *m = &v->u.object.members[i];
        bool tags = o && slice_eq_str(m->name, TAGS_MEMBER);
        if (tags && !o->n)
            continue;
        buf_put_str(out, any ? "," : "");
        any = true;
        if (tags) {
            put_tags(out, o);
            told = true;
            continue;
        }
        json_text_print_string(out, m->name);
        buf_put_str(out, ":");
        tags_print(p, out, &m->value);
    }
    if (!told) {
        buf_put_str(out, any ? "," : "");
        put_tags(out, o);
    }
    buf_put_str(out, "}");
}

/* As deep as the text was read: JSON_TEXT_DEPTH_MAX. */
void tags_print(const struct tag_printer *p, struct buf *out, const struct jvalue *v)
{
    if (v->kind == J_OBJECT) {
        print_object(p, out, v);
        return;
    }
    if (v->kind != J_ARRAY) {
        json_text_print(out, v, JSON_TEXT_AS_WRITTEN);
        return;
    }
    buf_put_str(out, "[");
    for (uint32_t i = 0; i < v->n; i++) {
        buf_put_str(out, i ? "," : "");
        tags_print(p, out, &v->u.items[i]);
    }
    buf_put_str(out, "]");
}

enum err tags_found(enum err e, bool *missing, size_t i)
{
    if (!missing)
        return e;
    missing[i] = e == ERR_INVALID_RECORD;
    return missing[i] ? ERR_OK : e;
}

enum err tags_no_path(struct reason *why, struct slice path)
{
    return reason_set(why, ERR_INVALID_RECORD,
                      "java.lang.IllegalArgumentException: No matching path '%.*s' found in the schema",
                      SLICE_FMT(path));
}
