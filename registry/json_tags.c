/* SPDX-License-Identifier: Apache-2.0
 * Tags in JSON schemas: listed from the shapes the reference sees, and edited in the text.
 *
 * A path spells the way in: "object", then a property's name, "array", "allof.0" (parts counted in the reference's
 * order), "not", "conditional.if", "definitions.NAME". Finding goes by the text, as the reference does it; where that
 * ends nowhere the shapes are walked, so that whatever is listed can also be edited. References are not followed:
 * what they name is found where it stands. A definition is looked at as a schema of its own, its references cut. */
#include "registry/json_tags.h"

#include "registry/json_compat_shape.h"
#include "registry/tags.h"

#include <stdlib.h>

enum {
    WALK_DEPTH_MAX = 500,
    DEFINITIONS_BYTES_MAX = 8 * 1024 * 1024,
    COMPARES_MAX = 1000000,
    WALK_STEPS_MAX = 200000,
    PARTS_COUNTED_MAX = 2000
};

/* --- schemas of their own --- */

/* The text with every $ref cut. */
static void print_cut(struct buf *out, const struct jvalue *v)
{
    if (v->kind != J_OBJECT && v->kind != J_ARRAY) {
        json_text_print(out, v, JSON_TEXT_AS_WRITTEN);
        return;
    }
    buf_put_str(out, v->kind == J_OBJECT ? "{" : "[");
    for (uint32_t i = 0; i < v->n; i++) {
        buf_put_str(out, i ? "," : "");
        if (v->kind == J_ARRAY) {
            print_cut(out, &v->u.items[i]);
            continue;
        }
        const struct jmember *m = &v->u.object.members[i];
        json_text_print_string(out, m->name);
        buf_put_str(out, ":");
        if (slice_eq_str(m->name, "$ref"))
            buf_put_str(out, "\"#\"");
        else
            print_cut(out, &m->value);
    }
    buf_put_str(out, v->kind == J_OBJECT ? "}" : "]");
}

/* The schema `head` + v + `tail`. NULL: it is none by itself, or the budget is used up. */
static struct json_schema *compile_alone(const char *head, const struct jvalue *v, const char *tail,
                                         enum json_draft draft, size_t *bytes_left)
{
    struct json_schema_options o = {.draft = draft};
    struct json_schema *s = NULL;
    struct buf text;
    buf_init(&text, *bytes_left + 1);
    buf_put_str(&text, head);
    print_cut(&text, v);
    buf_put_str(&text, tail);
    if (buf_error(&text) || text.n > *bytes_left)
        *bytes_left = 0;
    else if (json_schema_compile(&s, buf_slice(&text), &o, NULL))
        s = NULL;
    else
        *bytes_left -= text.n;
    buf_free(&text);
    return s;
}

/* --- walking --- */

struct walk {
    struct shapes shapes;
    struct shape_sorting sorting;
    struct arena *arena;
    schema_entity_visit visit;
    void *context;
    struct map *places; /* instead of visiting: every entity, see key_of() -> struct jvalue */
    uint32_t *left, *compares;
    size_t *bytes_left;
    unsigned depth;
    bool stopped;
    enum err error;
};

static void walk_shape(struct walk *w, struct shape *s, struct slice scope, bool in_field);

static struct slice joined(struct walk *w, struct slice a, struct slice b)
{
    const char *text = arena_printf(w->arena, "%.*s%.*s", SLICE_FMT(a), SLICE_FMT(b));
    if (!text)
        w->error = ERR_NO_MEMORY;
    return text ? slice_str(text) : slice_str("");
}

static struct slice key_of(struct buf *b, const struct schema_entity *e)
{
    bool dot = e->path.n && e->path.p[0] == '.';
    buf_u8(b, (uint8_t)e->kind);
    buf_put(b, e->path.p + dot, e->path.n - dot);
    return buf_slice(b);
}

static void meet(struct walk *w, enum schema_entity_kind kind, struct slice path, const struct jvalue *at)
{
    struct schema_entity e = {kind, path};
    size_t n;
    if (w->places) {
        struct buf b;
        buf_init(&b, 0);
        struct slice key = key_of(&b, &e);
        if (!map_has(w->places, key) && map_put(w->places, key, (void *)at, NULL))
            w->error = ERR_NO_MEMORY;
        buf_free(&b);
        return;
    }
    const struct slice *tags = tags_of_array(w->arena, json_text_get_str(at, TAGS_MEMBER), &n);
    if (n)
        w->stopped = !w->visit(w->context, &e, tags, n);
}

static bool walk_alone(struct walk *w, const struct jvalue *v, struct slice scope, enum json_draft draft)
{
    struct json_schema *s = compile_alone("", v, "", draft, w->bytes_left);
    struct walk inner = *w;
    if (!s)
        return *w->bytes_left > 0;
    if (shapes_init(&inner.shapes, s, w->arena)) {
        inner.sorting.shapes = &inner.shapes;
        walk_shape(&inner, shape_unfollowed(&inner.shapes, s->root), scope, false);
        w->stopped = inner.stopped;
        w->error = inner.error;
    } else {
        w->error = ERR_NO_MEMORY;
    }
    json_schema_free(s);
    return true;
}

static void walk_definitions(struct walk *w, const struct json_node *node, const char *member, struct slice scope)
{
    enum json_draft draft = node->resource->draft;
    const struct jvalue *all = json_text_get_str(node->value, member);
    struct slice *names = arena_array(w->arena, all ? (size_t)all->n + 1 : 1, sizeof *names);
    if (w->places || !all || all->kind != J_OBJECT || !names)
        return; /* when looking for places: their values are not of the tree that is edited */
    for (uint32_t i = 0; i < all->n; i++)
        names[i] = all->u.object.members[i].name;
    uint32_t *order = tags_hash_order(w->arena, names, all->n);
    for (uint32_t i = 0; order && i < all->n && !w->stopped && !w->error; i++) {
        const struct jmember *m = &all->u.object.members[order[i]];
        const char *path = arena_printf(w->arena, "%.*s.%s.%.*s.", SLICE_FMT(scope), member, SLICE_FMT(m->name));
        if (!path || !walk_alone(w, &m->value, slice_str(path), draft))
            w->error = path ? ERR_LIMIT_EXCEEDED : ERR_NO_MEMORY;
    }
}

static void walk_object(struct walk *w, const struct shape *s, struct slice scope, bool in_field)
{
    const struct json_node *node = s->node;
    const struct json_object_rules *o = node->object;
    struct slice path = joined(w, scope, slice_str("object"));
    if (w->places || (!in_field && s->whole))
        meet(w, SCHEMA_ENTITY_RECORD, path, node->value);
    struct slice *names = arena_array(w->arena, o ? (size_t)o->properties_n + 1 : 1, sizeof *names);
    for (uint32_t i = 0; names && o && i < o->properties_n; i++)
        names[i] = o->properties[i].name;
    uint32_t *order = names ? tags_hash_order(w->arena, names, o ? o->properties_n : 0) : NULL;
    for (uint32_t i = 0; order && o && i < o->properties_n && !w->stopped && !w->error; i++) {
        const struct json_property *p = &o->properties[order[i]];
        if (!p->node)
            continue;
        struct slice name = joined(w, path, joined(w, slice_str("."), p->name));
        meet(w, SCHEMA_ENTITY_FIELD, name, p->node->value);
        walk_shape(w, shape_unfollowed(&w->shapes, p->node), joined(w, name, slice_str(".")), true);
    }
    if (!order)
        w->error = ERR_NO_MEMORY;
    if (s->whole && !w->stopped)
        walk_definitions(w, node, "definitions", path);
    if (s->whole && !w->stopped && node->resource->draft >= JSON_DRAFT_2019_09)
        walk_definitions(w, node, "$defs", path);
}

static void walk_combined(struct walk *w, struct shape *s, struct slice scope)
{
    static const char *const words[] = {"allof", "anyof", "oneof"};
    if (!shape_fill(&w->shapes, s)) {
        w->error = ERR_NO_MEMORY;
        return;
    }
    struct shape **parts = shape_sorted(&w->sorting, w->arena, s->parts, s->n);
    for (uint32_t i = 0; parts && i < s->n && !w->stopped; i++) {
        const char *part = arena_printf(w->arena, "%s.%u.", words[s->criterion], (unsigned)i);
        walk_shape(w, parts[i], joined(w, scope, slice_str(part ? part : "")), false);
    }
    if (!parts)
        w->error = ERR_NO_MEMORY;
}

static void walk_conditional(struct walk *w, const struct json_node *n, struct slice scope)
{
    const struct json_node *const nodes[] = {n->if_, n->then_, n->else_};
    static const char *const words[] = {"conditional.if.", "conditional.then.", "conditional.else."};
    for (int i = 0; i < 3 && !w->stopped; i++)
        walk_shape(w, shape_unfollowed(&w->shapes, nodes[i]), joined(w, scope, slice_str(words[i])), false);
}

static void walk_shape(struct walk *w, struct shape *s, struct slice scope, bool in_field)
{
    if (!s || w->stopped || w->error)
        return;
    if (*w->left == 0 || ++w->depth > WALK_DEPTH_MAX) {
        w->error = ERR_LIMIT_EXCEEDED;
        return;
    }
    --*w->left;
    if (s->kind == SHAPE_COMBINED)
        walk_combined(w, s, scope);
    else if (s->kind == SHAPE_ARRAY)
        walk_shape(w, shape_unfollowed(&w->shapes, shape_items_of(&w->shapes, s).every),
                   joined(w, scope, slice_str("array.")), false);
    else if (s->kind == SHAPE_OBJECT)
        walk_object(w, s, scope, in_field);
    else if (s->kind == SHAPE_CONDITIONAL)
        walk_conditional(w, s->node, scope);
    else if (s->kind == SHAPE_NOT)
        walk_shape(w, shape_unfollowed(&w->shapes, s->inner), joined(w, scope, slice_str("not.")), false);
    w->depth--;
}

struct budget {
    uint32_t left, compares;
    size_t bytes;
};

static struct budget whole_budget(void)
{
    return (struct budget){WALK_STEPS_MAX, COMPARES_MAX, DEFINITIONS_BYTES_MAX};
}

static enum err walk_schema(struct walk *w, const struct json_schema *s, struct budget *b)
{
    struct arena a;
    arena_init(&a, 0);
    w->arena = &a;
    w->left = &b->left;
    w->bytes_left = &b->bytes;
    w->sorting = (struct shape_sorting){&w->shapes, &b->compares};
    if (shapes_init(&w->shapes, s, &a))
        walk_shape(w, shape_unfollowed(&w->shapes, s->root), slice_str(""), false);
    else
        w->error = ERR_NO_MEMORY;
    arena_free(&a);
    return w->error;
}

enum err json_tagged(const struct json_schema *s, schema_entity_visit visit, void *context)
{
    struct budget b = whole_budget();
    struct walk w = {.visit = visit, .context = context};
    return walk_schema(&w, s, &b);
}

/* --- finding in the text --- */

struct finding {
    const struct json_schema *schema;
    const struct schema_entity *entity;
    struct schema_entity_path path;
    size_t at; /* names used */
    struct budget budget;
    struct arena *arena;
    struct map orders; /* address of a list -> its parts in order, as indexes */
    struct map places; /* of the walk; filled when the text ends nowhere for the first time */
    bool walked;
};

static bool more(const struct finding *f)
{
    return f->at < f->path.n;
}

static struct slice next(struct finding *f)
{
    return more(f) ? f->path.names[f->at++] : SLICE_NULL;
}

static bool is_next(const struct finding *f, const char *word)
{
    return more(f) && slice_eq_str(f->path.names[f->at], word);
}

/* A member whose name may have dots: as many of the path's names as it takes. */
static const struct jvalue *named_member(struct finding *f, const struct jvalue *object)
{
    struct slice name = next(f);
    if (slice_is_null(name) || !object)
        return NULL;
    while (!json_text_get(object, name) && more(f)) {
        struct slice last = next(f);
        name = slice_of(name.p, (size_t)(last.p + last.n - name.p));
    }
    return json_text_get(object, name);
}

/* The parts of a list in the reference's order, as indexes; NULL: they are no schemas, or it is too much. */
static uint32_t *order_of(struct finding *f, const struct jvalue *list)
{
    struct arena a;
    struct shapes shapes;
    struct shape_sorting sorting = {&shapes, &f->budget.compares};
    uint32_t *order = NULL;
    struct json_schema *s = compile_alone("{\"anyOf\":", list, "}", f->schema->root->resource->draft, &f->budget.bytes);
    if (!s)
        return NULL;
    arena_init(&a, 0);
    const struct json_nodes *nodes = &s->root->any_of;
    struct shape **parts = arena_array(&a, list->n, sizeof *parts);
    bool ok = parts && nodes->n == list->n && shapes_init(&shapes, s, &a);
    for (uint32_t k = 0; ok && k < list->n; k++)
        ok = (parts[k] = shape_unfollowed(&shapes, nodes->v[k])) != NULL;
    struct shape **sorted = ok ? shape_sorted(&sorting, &a, parts, list->n) : NULL;
    if (sorted)
        order = arena_array(f->arena, list->n, sizeof *order);
    for (uint32_t i = 0; order && i < list->n; i++)
        for (uint32_t k = 0; k < list->n; k++)
            if (sorted[i] == parts[k])
                order[i] = k;
    arena_free(&a);
    json_schema_free(s);
    return order;
}

/* The part of a list that the reference counts as the i-th. */
static const struct jvalue *counted_part(struct finding *f, const struct jvalue *list, size_t i)
{
    struct slice key = slice_of(&list, sizeof list);
    if (!list || list->kind != J_ARRAY || i >= list->n || list->n > PARTS_COUNTED_MAX)
        return NULL;
    uint32_t *order = map_get(&f->orders, key);
    if (!order && !map_has(&f->orders, key)) {
        order = order_of(f, list);
        (void)!map_put(&f->orders, key, order, NULL);
    }
    return order ? &list->u.items[order[i]] : NULL;
}

static const struct jvalue *part_of(struct finding *f, const struct jvalue *v, const char *member)
{
    struct slice index = next(f);
    size_t i = 0;
    if (!index.n || index.n > 6)
        return NULL;
    for (size_t k = 0; k < index.n; k++) {
        if (index.p[k] < '0' || index.p[k] > '9')
            return NULL;
        i = i * 10 + (size_t)(index.p[k] - '0');
    }
    return counted_part(f, json_text_get_str(v, member), i);
}

/* A condition stands beside other keywords, as a part of an allOf that is not written. */
static const struct jvalue *unwritten_part(struct finding *f, const struct jvalue *v)
{
    char word[8] = "";
    (void)next(f); /* its number */
    if (!is_next(f, "conditional"))
        return v;
    (void)next(f);
    struct slice which = next(f);
    memcpy(word, which.p ? which.p : (const uint8_t *)"", which.n < sizeof word ? which.n : 0);
    return json_text_get_str(v, word);
}

static const struct jvalue *find_text(struct finding *f, const struct jvalue *v)
{
    while (v && more(f)) {
        struct slice step = next(f);
        if (slice_eq_str(step, "object")) {
            if (!more(f))
                return f->entity->kind == SCHEMA_ENTITY_RECORD ? v : NULL;
            const char *member = is_next(f, "definitions") ? "definitions" : is_next(f, "$defs") ? "$defs" : NULL;
            if (member)
                (void)next(f);
            v = named_member(f, json_text_get_str(v, member ? member : "properties"));
            if (!more(f))
                return v;
        } else if (slice_eq_str(step, "array")) {
            v = json_text_get_str(v, "items");
        } else if (slice_eq_str(step, "anyof")) {
            if (json_text_get_str(v, "anyOf"))
                v = part_of(f, v, "anyOf");
            else
                (void)next(f); /* a list of types */
        } else if (slice_eq_str(step, "allof")) {
            v = json_text_get_str(v, "allOf") ? part_of(f, v, "allOf") : unwritten_part(f, v);
        } else if (slice_eq_str(step, "oneof")) {
            v = part_of(f, v, "oneOf");
        } else if (slice_eq_str(step, "not")) {
            v = json_text_get_str(v, "not");
        } else {
            return NULL;
        }
    }
    return NULL;
}

static enum err find_entity(struct finding *f, const struct schema_entity *e, const struct jvalue **out,
                            struct reason *why)
{
    enum err err = ERR_OK;
    f->entity = e;
    f->at = 0;
    *out = tags_split(e->path, &f->path) ? find_text(f, json_schema_root(f->schema)) : NULL;
    if (!*out && !f->walked) {
        struct walk w = {.places = &f->places};
        err = walk_schema(&w, f->schema, &f->budget);
        f->walked = true;
    }
    if (err)
        return reason_set(why, err, "the schema is too large to look for its entities");
    if (!*out) {
        struct buf b;
        buf_init(&b, 0);
        *out = map_get(&f->places, key_of(&b, e));
        buf_free(&b);
    }
    if (*out && (*out)->kind != J_OBJECT)
        *out = NULL;
    return *out ? ERR_OK : tags_no_path(why, e->path);
}

enum err json_edit_tags(const struct json_schema *s, const struct schema_tag_edit *edits, size_t n, bool *missing,
                        struct buf *out, struct reason *why)
{
    struct arena a;
    struct tag_printer printer = {.arena = &a};
    struct finding f = {.schema = s, .budget = whole_budget(), .arena = &a};
    enum err e = ERR_OK;
    arena_init(&a, 0);
    map_init(&printer.overrides);
    map_init(&f.orders);
    map_init(&f.places);
    for (size_t i = 0; i < n && !e; i++) {
        const struct jvalue *at;
        e = tags_found(find_entity(&f, &edits[i].entity, &at, why), missing, i);
        if (!e && at && out)
            e = tags_override(&printer, at, &edits[i]);
    }
    if (!e && out)
        tags_print(&printer, out, json_schema_root(s));
    map_free(&printer.overrides, NULL);
    map_free(&f.orders, NULL);
    map_free(&f.places, NULL);
    arena_free(&a);
    return e ? e : out ? buf_error(out) : ERR_OK;
}
