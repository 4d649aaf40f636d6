/* SPDX-License-Identifier: Apache-2.0
 * Tags in Avro schemas: listed from the model, references included, and edited in the canonical text.
 *
 * A path means what it means to the reference: the first record, breadth first, of a short name, with the namespace of
 * the text's root before it (whatever its own) or none. Where that is nobody, a record's real full name is tried, so
 * that records of other namespaces, which the reference lists but cannot edit, can be edited too. */
#include "registry/avro_model.h"
#include "registry/tags.h"

#include <stdlib.h>

/* --- listing --- */

struct listing {
    schema_entity_visit visit;
    void *context;
    uint8_t *seen; /* records, by the number of their names */
    struct arena arena;
    unsigned left, depth;
    bool stopped;
    enum err error;
};

static void list_node(struct listing *l, const struct avro_node *n);

static void list_props(struct listing *l, enum schema_entity_kind kind, struct slice path,
                       const struct avro_props *props)
{
    for (uint32_t i = 0; i < props->n && !l->stopped; i++) {
        size_t n;
        if (!slice_eq_str(props->v[i].name, TAGS_MEMBER))
            continue;
        const struct slice *tags = tags_of_array(&l->arena, props->v[i].value, &n);
        struct schema_entity e = {kind, path};
        if (n)
            l->stopped = !l->visit(l->context, &e, tags, n);
    }
}

static void list_record(struct listing *l, const struct avro_node *n)
{
    uint8_t bit = (uint8_t)(1u << n->name_id % 8);
    if (l->seen[n->name_id / 8] & bit)
        return;
    l->seen[n->name_id / 8] |= bit;
    list_props(l, SCHEMA_ENTITY_RECORD, n->name.full, &n->props);
    for (uint32_t i = 0; i < n->n && !l->stopped && !l->error; i++) {
        const struct avro_field *f = &n->u.fields[i];
        const char *path = arena_printf(&l->arena, "%.*s.%.*s", SLICE_FMT(n->name.full), SLICE_FMT(f->name));
        if (!path)
            l->error = ERR_NO_MEMORY;
        else
            list_props(l, SCHEMA_ENTITY_FIELD, slice_str(path), &f->props);
        list_node(l, f->type);
    }
}

static void list_node(struct listing *l, const struct avro_node *n)
{
    if (l->stopped || l->error)
        return;
    if (l->left-- == 0 || ++l->depth > AVRO_SCHEMA_DEPTH_MAX) {
        l->error = ERR_LIMIT_EXCEEDED;
        return;
    }
    if (n->kind == AVRO_RECORD)
        list_record(l, n);
    else if (n->kind == AVRO_ARRAY || n->kind == AVRO_MAP)
        list_node(l, n->u.items);
    for (uint32_t i = 0; n->kind == AVRO_UNION && i < n->n; i++)
        list_node(l, n->u.branches[i]);
    l->depth--;
}

enum err avro_tagged(const struct parsed_schema *s, schema_entity_visit visit, void *context)
{
    const struct avro_schema *a = (const struct avro_schema *)s;
    struct listing l = {.visit = visit, .context = context, .left = TAG_EDIT_WORK_MAX};
    l.seen = calloc(map_count(&a->names) / 8 + 1, 1);
    if (!l.seen)
        return ERR_NO_MEMORY;
    arena_init(&l.arena, 0);
    list_node(&l, a->root);
    arena_free(&l.arena);
    free(l.seen);
    return l.error;
}

/* --- finding --- */

/* Where records and their fields stand in a text, breadth first: by short names, and by full names. */
struct place {
    const struct jvalue *value;
    struct slice space; /* of the record around */
};

struct index {
    struct slice root_space;
    struct map places; /* see key_of() -> struct jvalue */
    struct place *queue;
    size_t n, cap;
    struct arena *arena;
    enum err error;
};

/* "s" or "f", a short or full name, and maybe a field's name. */
static struct slice key_of(struct buf *b, char kind, struct slice space, struct slice record, struct slice field)
{
    buf_clear(b);
    buf_u8(b, (uint8_t)kind);
    if (space.n) {
        buf_put_slice(b, space);
        buf_put_str(b, ".");
    }
    buf_put_slice(b, record);
    if (!slice_is_null(field)) {
        buf_u8(b, 0);
        buf_put_slice(b, field);
    }
    return buf_slice(b);
}

static void visit_later(struct index *x, const struct jvalue *v, struct slice space)
{
    if (!v || (v->kind != J_OBJECT && v->kind != J_ARRAY) || x->error)
        return;
    if (x->n == x->cap) {
        size_t cap = x->cap ? x->cap * 2 : 64;
        struct place *queue = arena_array(x->arena, cap, sizeof *queue);
        if (!queue) {
            x->error = ERR_NO_MEMORY;
            return;
        }
        if (x->n)
            memcpy(queue, x->queue, x->n * sizeof *queue);
        x->queue = queue;
        x->cap = cap;
    }
    x->queue[x->n++] = (struct place){v, space};
}

static struct slice string_of(const struct jvalue *v)
{
    return v && v->kind == J_STRING ? v->u.text : SLICE_NULL;
}

/* The first of a name counts. */
static void note(struct index *x, const struct jvalue *at, struct slice key)
{
    if (!x->error && !map_has(&x->places, key))
        x->error = map_put(&x->places, key, (void *)at, NULL);
}

static void index_record(struct index *x, const struct jvalue *v, bool is_error, struct slice space)
{
    const struct jvalue *fields = json_text_get_str(v, "fields"), *own = json_text_get_str(v, "namespace");
    struct slice name = string_of(json_text_get_str(v, "name"));
    struct buf b;
    if (own)
        space = string_of(own);
    buf_init(&b, 0);
    if (!is_error) /* which the reference does not look at */
        note(x, v, key_of(&b, 's', SLICE_NULL, name, SLICE_NULL));
    note(x, v, key_of(&b, 'f', space, name, SLICE_NULL));
    for (uint32_t i = 0; fields && fields->kind == J_ARRAY && i < fields->n; i++) {
        const struct jvalue *f = &fields->u.items[i];
        struct slice field = string_of(json_text_get_str(f, "name"));
        if (!is_error && field.p)
            note(x, f, key_of(&b, 's', SLICE_NULL, name, field));
        if (field.p)
            note(x, f, key_of(&b, 'f', space, name, field));
        visit_later(x, f, space);
    }
    buf_free(&b);
}

static void index_value(struct index *x, const struct jvalue *v, struct slice space)
{
    const struct jvalue *type = json_text_get_str(v, "type");
    struct slice word = string_of(type);
    for (uint32_t i = 0; v->kind == J_ARRAY && i < v->n; i++)
        visit_later(x, &v->u.items[i], space);
    if (slice_eq_str(word, "record") || slice_eq_str(word, "error"))
        index_record(x, v, slice_eq_str(word, "error"), space);
    else if (slice_eq_str(word, "array"))
        visit_later(x, json_text_get_str(v, "items"), space);
    else if (slice_eq_str(word, "map"))
        visit_later(x, json_text_get_str(v, "values"), space);
    else
        visit_later(x, type, space);
}

static enum err index_text(struct index *x, const struct jvalue *root)
{
    x->root_space = string_of(json_text_get_str(root, "namespace"));
    visit_later(x, root, SLICE_NULL);
    for (size_t i = 0; i < x->n && !x->error; i++) {
        struct place at = x->queue[i];
        index_value(x, at.value, at.space);
    }
    return x->error;
}

/* The names before the last `n` ones, with their dots. */
static struct slice names_before(const struct schema_entity_path *p, size_t n)
{
    size_t k = p->n - n;
    return k ? slice_of(p->names[0].p, (size_t)(p->names[k - 1].p + p->names[k - 1].n - p->names[0].p)) : slice_str("");
}

static enum err find_entity(const struct index *x, const struct schema_entity *e, const struct jvalue **out,
                            struct reason *why)
{
    struct schema_entity_path p;
    size_t last = e->kind == SCHEMA_ENTITY_RECORD ? 1 : 2;
    struct buf b;
    *out = NULL;
    if (!tags_split(e->path, &p))
        return tags_no_path(why, e->path);
    if (p.n < last)
        return reason_set(why, ERR_INVALID_RECORD, "java.lang.IllegalArgumentException: 0 > -1");
    struct slice space = names_before(&p, last), record = p.names[p.n - last];
    struct slice field = last == 2 ? p.names[p.n - 1] : SLICE_NULL;
    buf_init(&b, 0);
    if (!space.n || slice_eq(space, x->root_space))
        *out = map_get(&x->places, key_of(&b, 's', SLICE_NULL, record, field));
    if (space.n && space.p[0] == '.')
        space = slice_of(space.p + 1, space.n - 1);
    if (!*out)
        *out = map_get(&x->places, key_of(&b, 'f', space, record, field));
    buf_free(&b);
    return *out ? ERR_OK : tags_no_path(why, e->path);
}

enum err avro_edit_tags(const struct parsed_schema *s, const struct schema_tag_edit *edits, size_t n, bool *missing,
                        struct buf *out, struct reason *why)
{
    struct arena a;
    struct buf text;
    struct jvalue *root = NULL;
    struct tag_printer printer = {.arena = &a};
    struct index x = {.arena = &a};
    arena_init(&a, 0);
    map_init(&printer.overrides);
    map_init(&x.places);
    buf_init(&text, 0);
    enum err e = schema_canonical(s, &text);
    if (!e)
        e = json_text_parse(&root, buf_slice(&text), &a, why);
    if (!e)
        e = index_text(&x, root);
    for (size_t i = 0; i < n && !e; i++) {
        const struct jvalue *at;
        e = tags_found(find_entity(&x, &edits[i].entity, &at, why), missing, i);
        if (!e && at && out)
            e = tags_override(&printer, at, &edits[i]);
    }
    if (!e && out)
        tags_print(&printer, out, root);
    map_free(&printer.overrides, NULL);
    map_free(&x.places, NULL);
    arena_free(&a);
    buf_free(&text);
    return e ? e : out ? buf_error(out) : ERR_OK;
}
