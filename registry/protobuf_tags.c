/* SPDX-License-Identifier: Apache-2.0
 * Tags in Protobuf schemas: `tags` of the options (confluent.message_meta) and (confluent.field_meta).
 *
 * Editing reads the canonical text into a file of its own and prints that again. The options of an edited element are
 * first put together as the reference does it: (name).part = value becomes a map, settings of one name one option, in
 * the order of a Java HashMap. Tags added to options without any others thus always end up in the long form. */
#include "registry/protobuf_model.h"
#include "registry/tags.h"

#define MESSAGE_META "confluent.message_meta"
#define FIELD_META   "confluent.field_meta"

/* --- options put together --- */

static struct slice bare_name(struct slice name)
{
    return name.n && name.p[0] == '.' ? slice_of(name.p + 1, name.n - 1) : name;
}

static struct proto_entry *entry_named(const struct proto_value *map, struct slice key)
{
    for (uint32_t i = 0; map->kind == PROTO_MAP && i < map->n; i++)
        if (slice_eq(map->entries[i].key, key))
            return &map->entries[i];
    return NULL;
}

static bool add_entry(struct arena *a, struct proto_value *map, struct slice key, const struct proto_value *v)
{
    struct proto_entry *e = proto_more(a, &map->entries, &map->n, &map->cap, sizeof *e);
    if (e)
        *e = (struct proto_entry){key, *v};
    return e != NULL;
}

static bool add_item(struct arena *a, struct proto_value *list, const struct proto_value *v)
{
    struct proto_value *item = proto_more(a, &list->items, &list->n, &list->cap, sizeof *item);
    if (item)
        *item = *v;
    return item != NULL;
}

/* (name).a.b = v as a map within a map; maps get entries of their own, which may be changed. */
static struct proto_value as_map(struct arena *a, const struct proto_value *v)
{
    struct proto_value out = {.kind = PROTO_MAP};
    if (v->kind == PROTO_OPTION) {
        struct proto_value inner = as_map(a, &v->inner->value);
        (void)add_entry(a, &out, v->inner->name, &inner);
        return out;
    }
    for (uint32_t i = 0; v->kind == PROTO_MAP && i < v->n; i++)
        (void)add_entry(a, &out, v->entries[i].key, &v->entries[i].value);
    return v->kind == PROTO_MAP ? out : *v;
}

static bool same_value(const struct proto_value *x, const struct proto_value *y)
{
    if (x->kind != y->kind || x->n != y->n || !slice_eq(x->text, y->text))
        return false;
    for (uint32_t i = 0; x->kind == PROTO_LIST && i < x->n; i++)
        if (!same_value(&x->items[i], &y->items[i]))
            return false;
    for (uint32_t i = 0; x->kind == PROTO_MAP && i < x->n; i++)
        if (!slice_eq(x->entries[i].key, y->entries[i].key) || !same_value(&x->entries[i].value, &y->entries[i].value))
            return false;
    return x->kind != PROTO_OPTION ||
           (slice_eq(x->inner->name, y->inner->name) && same_value(&x->inner->value, &y->inner->value));
}

static void add_new(struct arena *a, struct proto_value *list, const struct proto_value *v)
{
    for (uint32_t i = 0; v->kind == PROTO_LIST && i < v->n; i++)
        add_new(a, list, &v->items[i]);
    for (uint32_t i = 0; v->kind != PROTO_LIST && i < list->n; i++)
        if (same_value(&list->items[i], v))
            return;
    if (v->kind != PROTO_LIST)
        (void)add_item(a, list, v);
}

/* Two settings of one option: maps become one, what both set a list; else the later counts. */
static void merge(struct arena *a, struct proto_value *into, const struct proto_value *v)
{
    if (into->kind != PROTO_MAP || v->kind != PROTO_MAP) {
        *into = *v;
        return;
    }
    for (uint32_t i = 0; i < v->n; i++) {
        struct proto_entry *e = entry_named(into, v->entries[i].key);
        if (!e) {
            (void)add_entry(a, into, v->entries[i].key, &v->entries[i].value);
            continue;
        }
        struct proto_value list = {.kind = PROTO_LIST};
        add_new(a, &list, &e->value);
        add_new(a, &list, &v->entries[i].value);
        e->value = list;
    }
}

static struct proto_option *option_named(struct proto_options *o, struct slice name)
{
    for (uint32_t i = 0; i < o->n; i++)
        if (slice_eq(bare_name(o->v[i].name), name))
            return &o->v[i];
    return NULL;
}

static struct proto_options put_together(struct arena *a, const struct proto_options *o)
{
    struct proto_options out = {0};
    for (uint32_t i = 0; i < o->n; i++) {
        struct proto_option *known = option_named(&out, bare_name(o->v[i].name));
        struct proto_value v = as_map(a, &o->v[i].value);
        if (known) {
            merge(a, &known->value, &v);
            known->name = o->v[i].name;
            continue;
        }
        struct proto_option *one = PROTO_MORE(a, out);
        if (one)
            *one = (struct proto_option){o->v[i].name, o->v[i].custom, v};
    }
    return out;
}

/* (name).a. = v: Java reads that, and its map of it has no text. */
static bool is_nameless(const struct proto_options *o)
{
    for (uint32_t i = 0; i < o->n; i++)
        for (const struct proto_value *v = &o->v[i].value; v->kind == PROTO_OPTION; v = &v->inner->value)
            if (!v->inner->name.n)
                return true;
    return false;
}

static struct proto_options in_hash_order(struct arena *a, const struct proto_options *o)
{
    struct proto_options out = {0};
    struct slice *names = arena_array(a, (size_t)o->n + 1, sizeof *names);
    for (uint32_t i = 0; names && i < o->n; i++)
        names[i] = bare_name(o->v[i].name);
    uint32_t *order = names ? tags_hash_order(a, names, o->n) : NULL;
    for (uint32_t i = 0; order && i < o->n; i++) {
        struct proto_option *one = PROTO_MORE(a, out);
        if (one)
            *one = o->v[order[i]];
    }
    return out;
}

/* --- the tags of one element --- */

static struct slice *tags_in(struct arena *a, const struct proto_option *meta, size_t *n)
{
    const struct proto_entry *e = meta ? entry_named(&meta->value, slice_str("tags")) : NULL;
    uint32_t count = !e ? 0 : e->value.kind == PROTO_LIST ? e->value.n : 1;
    struct slice *out = arena_array(a, (size_t)count + 1, sizeof *out);
    *n = 0;
    for (uint32_t i = 0; out && i < count; i++) {
        struct slice tag = e->value.kind == PROTO_LIST ? e->value.items[i].text : e->value.text;
        if (!slice_is_null(tag))
            out[(*n)++] = tag;
    }
    return out ? tags_edited(a, out, *n, &(struct schema_tag_edit){.add_n = 0}, n) : NULL; /* each once */
}

static enum err set_tags(struct arena *a, struct proto_options *o, const char *name, const struct slice *tags, size_t n)
{
    struct proto_option *meta = option_named(o, slice_str(name));
    if (!meta && n) {
        meta = PROTO_MORE(a, *o);
        if (!meta)
            return ERR_LIMIT_EXCEEDED;
        *meta = (struct proto_option){slice_str(name), true, {.kind = PROTO_MAP}};
    }
    if (!meta || meta->value.kind != PROTO_MAP)
        return ERR_OK;
    struct proto_entry *e = entry_named(&meta->value, slice_str("tags"));
    struct proto_value list = {.kind = PROTO_LIST};
    for (size_t i = 0; i < n; i++)
        if (!add_item(a, &list, &(struct proto_value){.kind = PROTO_STRING, .text = tags[i]}))
            return ERR_LIMIT_EXCEEDED;
    if (n && e)
        e->value = list;
    else if (n && !add_entry(a, &meta->value, slice_str("tags"), &list))
        return ERR_LIMIT_EXCEEDED;
    if (!n && e) {
        uint32_t at = (uint32_t)(e - meta->value.entries);
        memmove(e, e + 1, (meta->value.n - at - 1) * sizeof *e);
        meta->value.n--;
    }
    if (meta->value.n == 0) {
        uint32_t at = (uint32_t)(meta - o->v);
        memmove(meta, meta + 1, (o->n - at - 1) * sizeof *meta);
        o->n--;
    }
    return ERR_OK;
}

static enum err edit_options(struct arena *a, struct proto_options *o, const char *name,
                             const struct schema_tag_edit *edit)
{
    struct proto_options all = put_together(a, o);
    size_t old_n, n;
    const struct slice *old = tags_in(a, option_named(&all, slice_str(name)), &old_n);
    const struct slice *tags = old ? tags_edited(a, old, old_n, edit, &n) : NULL;
    if (!tags)
        return ERR_NO_MEMORY;
    enum err e = edit->add_n || (edit->remove_n && old_n) ? set_tags(a, &all, name, tags, n) : ERR_OK;
    *o = in_hash_order(a, &all);
    return e;
}

/* --- finding --- */

static struct protobuf_message *message_named(const struct proto_types *types, struct slice name)
{
    for (uint32_t i = 0; i < types->n; i++)
        if (!types->v[i]->is_enum && slice_eq(types->v[i]->name, name))
            return types->v[i];
    return NULL;
}

static struct proto_field *field_in(struct proto_fields *fields, struct slice name)
{
    for (uint32_t i = 0; i < fields->n; i++)
        if (slice_eq(fields->v[i].name, name))
            return &fields->v[i];
    return NULL;
}

static struct proto_field *field_named(struct protobuf_message *m, struct slice name)
{
    struct proto_field *f = field_in(&m->fields, name);
    for (uint32_t i = 0; i < m->oneofs.n && !f; i++)
        f = field_in(&m->oneofs.v[i].fields, name);
    return f;
}

static enum err no_such(struct reason *why, const char *what, struct slice name)
{
    return reason_set(why, ERR_INVALID_RECORD,
                      "java.lang.IllegalArgumentException: No matching %s with name '%.*s' found in the schema", what,
                      SLICE_FMT(name));
}

/* The options of what a path names; the last name before a field's may be its oneof's. */
static enum err find_options(struct proto_file *file, const struct schema_entity *e, struct proto_options **out,
                             struct reason *why)
{
    struct schema_entity_path p;
    struct protobuf_message *m = NULL;
    bool field = e->kind == SCHEMA_ENTITY_FIELD;
    struct slice path = e->path.n && e->path.p[0] == '.' ? slice_of(e->path.p + 1, e->path.n - 1) : e->path;
    if (!tags_split(path, &p))
        return tags_no_path(why, e->path);
    size_t messages = field ? p.n - 1 : p.n, i = 0;
    for (; i < messages; i++) {
        struct protobuf_message *next = message_named(m ? &m->types : &file->types, p.names[i]);
        if (!next && field && i + 1 == messages && m)
            break;
        if (!next && !(field && i + 1 == messages))
            return no_such(why, "Message", p.names[i]);
        if (!next)
            return no_such(why, "Field", p.names[p.n - 1]);
        m = next;
    }
    if (!m)
        return no_such(why, "Field", p.names[p.n - 1]);
    *out = &m->options;
    if (!field)
        return ERR_OK;
    struct proto_field *f = i == messages ? field_named(m, p.names[p.n - 1]) : NULL;
    for (uint32_t k = 0; i < messages && k < m->oneofs.n && !f; k++)
        if (slice_eq(m->oneofs.v[k].name, p.names[i]))
            f = field_in(&m->oneofs.v[k].fields, p.names[p.n - 1]);
    if (!f)
        return no_such(why, "Field", p.names[p.n - 1]);
    *out = &f->options;
    return ERR_OK;
}

enum err proto_edit_tags(const struct parsed_schema *s, const struct schema_tag_edit *edits, size_t n, bool *missing,
                         struct buf *out, struct reason *why)
{
    struct proto_schema copy = {.head = {&schema_type_protobuf}};
    struct buf text;
    arena_init(&copy.arena, 0);
    map_init(&copy.types);
    map_init(&copy.extensions);
    buf_init(&text, PROTOBUF_PRINT_MAX);
    enum err e = schema_canonical(s, &text);
    if (!e)
        e = proto_read_text(&copy.file, buf_slice(&text), &copy.arena, why);
    for (size_t i = 0; i < n && !e; i++) {
        struct proto_options *o = NULL;
        e = tags_found(find_options(&copy.file, &edits[i].entity, &o, why), missing, i);
        if (!e && o && is_nameless(o))
            e = reason_set(why, ERR_INVALID_RECORD, "an option beside the tags has a part without a name");
        if (!e && o && out)
            e = edit_options(&copy.arena, o, edits[i].entity.kind == SCHEMA_ENTITY_FIELD ? FIELD_META : MESSAGE_META,
                             &edits[i]);
    }
    if (!e && out)
        e = proto_print(&copy, PROTO_CANONICAL, out, why);
    buf_free(&text);
    map_free(&copy.types, NULL);
    map_free(&copy.extensions, NULL);
    arena_free(&copy.arena);
    return e;
}

/* --- listing --- */

struct listing {
    schema_entity_visit visit;
    void *context;
    struct arena arena;
    unsigned depth;
    bool stopped;
    enum err error;
};

static void list_options(struct listing *l, enum schema_entity_kind kind, struct slice path,
                         const struct proto_options *o)
{
    size_t n;
    if (!o->n || l->stopped)
        return;
    struct proto_options all = put_together(&l->arena, o);
    const struct slice *tags =
        tags_in(&l->arena, option_named(&all, slice_str(kind == SCHEMA_ENTITY_FIELD ? FIELD_META : MESSAGE_META)), &n);
    struct schema_entity e = {kind, path};
    if (tags && n)
        l->stopped = !l->visit(l->context, &e, tags, n);
}

static void list_fields(struct listing *l, struct slice message, const struct proto_fields *fields)
{
    for (uint32_t i = 0; i < fields->n && !l->stopped; i++) {
        const struct proto_field *f = &fields->v[i];
        if (!f->options.n)
            continue;
        const char *path = arena_printf(&l->arena, "%.*s.%.*s", SLICE_FMT(message), SLICE_FMT(f->name));
        if (path)
            list_options(l, SCHEMA_ENTITY_FIELD, slice_str(path), &f->options);
        else
            l->error = ERR_NO_MEMORY;
    }
}

static void list_types(struct listing *l, struct slice scope, const struct proto_types *types)
{
    if (++l->depth > PROTOBUF_DEPTH_MAX)
        l->error = ERR_LIMIT_EXCEEDED;
    for (uint32_t i = 0; i < types->n && !l->stopped && !l->error; i++) {
        const struct protobuf_message *m = types->v[i];
        const char *name = arena_printf(&l->arena, "%.*s%.*s", SLICE_FMT(scope), SLICE_FMT(m->name));
        const char *inner = name ? arena_printf(&l->arena, "%s.", name) : NULL;
        if (!inner) {
            l->error = ERR_NO_MEMORY;
            break;
        }
        if (m->is_enum)
            continue;
        list_options(l, SCHEMA_ENTITY_RECORD, slice_str(name), &m->options);
        for (uint32_t k = 0; k < m->oneofs.n; k++)
            list_fields(l, slice_str(name), &m->oneofs.v[k].fields);
        list_fields(l, slice_str(name), &m->fields);
        list_types(l, slice_str(inner), &m->types);
    }
    l->depth--;
}

enum err proto_tagged(const struct parsed_schema *s, schema_entity_visit visit, void *context)
{
    struct listing l = {.visit = visit, .context = context};
    arena_init(&l.arena, 0);
    list_types(&l, slice_str(""), &((const struct proto_schema *)s)->file.types);
    arena_free(&l.arena);
    return l.error;
}
