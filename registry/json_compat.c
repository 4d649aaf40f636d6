/* SPDX-License-Identifier: Apache-2.0
 * The comparison of two JSON Schemas: the hub through which every pair of subschemas goes. A pair is compared once; its
 * differences are kept with paths relative to the pair and put below whatever path asks for them. A pair met again
 * while it is being compared (a recursive schema) is taken for compatible at first; if that turns out wrong, the whole
 * comparison is repeated with what was found about such pairs, until nothing changes. A pair met too deep in the stack
 * is put off to the end of the round and settled in the same way. Work and the number of differences are limited. Pure:
 * everything lives in the result's arena. */
#include "registry/json_compat_diff.h"

enum pair_state { PAIR_NEW, PAIR_OPEN, PAIR_DONE };

struct diff_pair {
    enum pair_state state;
    bool incompatible, was_incompatible; /* this pass, any pass before */
    bool put_off;
    struct diff_list found, before;
    struct shape *older, *newer;
    struct shapes *older_shapes, *newer_shapes;
    struct diff_pair *next; /* put off */
};

static const struct {
    const char *name;
    bool strict, lenient;
} differences[] = {
#define JSON_DIFFERENCE(name, strict, lenient, text) {#name, strict, lenient},
#include "registry/json_compat.tbl"
#undef JSON_DIFFERENCE
};

const char *json_difference_name(enum json_difference d)
{
    return differences[d].name;
}

bool json_difference_is_compatible(enum json_difference d, enum json_compat_policy policy)
{
    return policy == JSON_COMPAT_LENIENT ? differences[d].lenient : differences[d].strict;
}

bool diff_fail(struct diff *d, enum err e, const char *what)
{
    if (d->error == ERR_OK)
        d->error = reason_set(d->why, e, "%s", what);
    return false;
}

bool diff_spend(struct diff *d, uint64_t steps)
{
    if (d->error != ERR_OK)
        return false;
    if (d->work < steps)
        return diff_fail(d, ERR_LIMIT_EXCEEDED, "the two schemas are too large or too entangled to compare");
    d->work -= steps;
    return true;
}

static bool push(struct diff *d, struct diff_list *list, enum json_difference type, struct slice path)
{
    if (list->n == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 4;
        struct json_compat_item *grown;
        if (list->n >= JSON_COMPAT_ITEMS_MAX)
            return diff_fail(d, ERR_LIMIT_EXCEEDED, "the two schemas differ in too many places");
        if (!(grown = arena_array(d->arena, cap, sizeof *grown)))
            return diff_fail(d, ERR_NO_MEMORY, "out of memory comparing schemas");
        if (list->n)
            memcpy(grown, list->v, list->n * sizeof *grown);
        list->v = grown;
        list->cap = cap;
    }
    list->v[list->n++] = (struct json_compat_item){.type = type, .path = path};
    return true;
}

/* The chain of segments and `rest` as one relative path: "properties/a". */
static struct slice join(struct diff *d, const struct diff_path *path, struct slice rest)
{
    size_t n = rest.n, at;
    for (const struct diff_path *p = path; p; p = p->up)
        n += p->segment.n + 1;
    if (!diff_spend(d, 1 + n / 32))
        return SLICE_NULL;
    uint8_t *out = arena_alloc(d->arena, n + 1);
    if (!out) {
        diff_fail(d, ERR_NO_MEMORY, "out of memory comparing schemas");
        return SLICE_NULL;
    }
    at = n;
    memcpy(out + (at -= rest.n), rest.p, rest.n);
    for (const struct diff_path *p = path; p; p = p->up) {
        if (at < n)
            out[--at] = '/';
        memcpy(out + (at -= p->segment.n), p->segment.p, p->segment.n);
    }
    return slice_of(out + at, n - at);
}

void diff_add(const struct diff_at *at, enum json_difference type)
{
    struct slice path = join(at->diff, at->path, slice_str(""));
    if (!slice_is_null(path))
        push(at->diff, at->out, type, path);
}

void diff_add_below(const struct diff_at *at, const char *segment, enum json_difference type)
{
    struct diff_path path = {.up = at->path, .segment = slice_str(segment)};
    struct diff_at below = *at;
    below.path = &path;
    diff_add(&below, type);
}

/* Differences with paths already complete as far as `at->out` goes. */
void diff_append(const struct diff_at *at, const struct diff_list *list)
{
    for (size_t i = 0; i < list->n && diff_spend(at->diff, 1); i++)
        push(at->diff, at->out, list->v[i].type, list->v[i].path);
}

static void append_below(const struct diff_at *at, const struct diff_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        struct slice path = at->path ? join(at->diff, at->path, list->v[i].path) : list->v[i].path;
        if (slice_is_null(path) || !diff_spend(at->diff, 1) || !push(at->diff, at->out, list->v[i].type, path))
            return;
    }
}

bool diff_list_is_compatible(const struct diff *d, const struct diff_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        if (!json_difference_is_compatible(list->v[i].type, d->policy))
            return false;
    return true;
}

static bool same_member(const struct shape *a, const struct shape *b, const char *keyword)
{
    const struct jvalue *x = a->whole ? json_text_get_str(a->node->value, keyword) : NULL;
    const struct jvalue *y = b->whole ? json_text_get_str(b->node->value, keyword) : NULL;
    return x && y ? json_text_equal(x, y) : x == y;
}

static bool both_bytes(const struct shape *a, const struct shape *b)
{
    return a->whole && b->whole && json_text_is_str(json_text_get_str(a->node->value, "connect.type"), "bytes") &&
           json_text_is_str(json_text_get_str(b->node->value, "connect.type"), "bytes");
}

/* The later drafts' `$id` does not get as far as this in the reference. */
static const struct jvalue *id_of(const struct shapes *s, const struct shape *shape)
{
    if (s->modern || !shape->whole)
        return NULL;
    return json_text_get_str(shape->node->value, json_schema_draft(s->schema) == JSON_DRAFT_4 ? "id" : "$id");
}

/* Arrays and objects are never the same default to the reference, not even when nothing changed. */
static bool same_default(const struct diff_at *at, const struct shape *a, const struct shape *b)
{
    const struct jvalue *x = diff_default(at->older, a), *y = diff_default(at->newer, b);
    if (!x || !y)
        return x == y;
    return x->kind != J_ARRAY && x->kind != J_OBJECT && json_text_equal_java(x, y);
}

static void compare_annotations(const struct diff_at *at, const struct shape *a, const struct shape *b)
{
    const struct jvalue *x = id_of(at->older, a), *y = id_of(at->newer, b);
    if (x && y ? !json_text_equal(x, y) : x != y)
        diff_add(at, JSON_DIFF_ID_CHANGED);
    if (!same_member(a, b, "title"))
        diff_add(at, JSON_DIFF_TITLE_CHANGED);
    if (!same_member(a, b, "description"))
        diff_add(at, JSON_DIFF_DESCRIPTION_CHANGED);
    if (!same_default(at, a, b))
        diff_add(at, JSON_DIFF_DEFAULT_CHANGED);
}

static void compare_not(const struct diff_at *at, const struct shape *a, const struct shape *b)
{
    struct diff_path path = {.up = at->path, .segment = slice_str("not")};
    struct diff_at below = *at, swapped = *at;
    struct diff_list list = {0};
    below.path = &path;
    swapped.path = &path;
    swapped.older = at->newer;
    swapped.newer = at->older;
    if (diff_nodes_apart(&swapped, b->inner, a->inner, &list))
        diff_add(&below, JSON_DIFF_NOT_TYPE_NARROWED);
    else
        diff_add(&below, JSON_DIFF_NOT_TYPE_EXTENDED);
}

/* One plain schema against a combined one: some part may do alone. */
static bool compare_with_parts(const struct diff_at *at, struct shape *a, struct shape *b)
{
    bool widened = b->kind == SHAPE_COMBINED;
    struct shape *combined = widened ? b : a;
    bool any = widened ? combined->criterion != SHAPE_ALL_OF : combined->criterion == SHAPE_ALL_OF;
    if (combined->n != 1 && !any)
        return false;
    for (uint32_t i = 0; i < combined->n && at->diff->error == ERR_OK; i++) {
        struct diff_list list = {0};
        if (!diff_shapes_apart(at, widened ? a : combined->parts[i], widened ? combined->parts[i] : b, &list))
            continue;
        diff_append(at, &list);
        if (combined->n != 1)
            diff_add(at, widened ? JSON_DIFF_SUM_TYPE_EXTENDED : JSON_DIFF_PRODUCT_TYPE_NARROWED);
        return true;
    }
    return false;
}

static void compare_same_kind(const struct diff_at *at, struct shape *a, struct shape *b)
{
    compare_annotations(at, a, b);
    switch (a->kind) {
    case SHAPE_STRING:
        diff_strings(at, a, b);
        return;
    case SHAPE_NUMBER:
        diff_numbers(at, a, b);
        return;
    case SHAPE_CONST:
        if (!json_text_equal_java(a->node->constant, b->node->constant))
            diff_add_below(at, "const", JSON_DIFF_ENUM_ARRAY_CHANGED);
        return;
    case SHAPE_ENUM:
        diff_enums(at, a->node->enumeration, b->node->enumeration);
        return;
    case SHAPE_COMBINED:
        diff_combined(at, a, b);
        return;
    case SHAPE_NOT:
        compare_not(at, a, b);
        return;
    case SHAPE_OBJECT:
        diff_objects(at, a, b);
        return;
    case SHAPE_ARRAY:
        diff_arrays(at, a, b);
        return;
    case SHAPE_EMPTY:
    case SHAPE_FALSE:
    case SHAPE_NULL:
    case SHAPE_BOOLEAN:
    case SHAPE_CONDITIONAL: /* the reference does not look into if/then/else */
    case SHAPE_REFERENCE:
        return;
    }
}

/* Finding parts that repeat compares each with each. */
static bool spend_filling(struct diff *d, const struct shape *s)
{
    uint64_t n = s->literal ? s->literal->n : s->n;
    return s->kind != SHAPE_COMBINED || s->filled || diff_spend(d, n + n * n / 64);
}

static void compare_shapes(const struct diff_at *at, struct shape *a, struct shape *b)
{
    if (!spend_filling(at->diff, a) || !spend_filling(at->diff, b))
        return;
    if (!shape_fill(at->older, a) || !shape_fill(at->newer, b)) {
        diff_fail(at->diff, ERR_NO_MEMORY, "out of memory comparing schemas");
        return;
    }
    if ((a->kind == SHAPE_COMBINED) != (b->kind == SHAPE_COMBINED) && compare_with_parts(at, a, b))
        return;
    if (a->kind == b->kind) {
        compare_same_kind(at, a, b);
        return;
    }
    if (a->kind != SHAPE_FALSE && b->kind != SHAPE_EMPTY && !both_bytes(a, b))
        diff_add(at, JSON_DIFF_TYPE_CHANGED);
}

static struct diff_pair *pair_of(struct diff *d, const struct shape *a, const struct shape *b)
{
    const struct shape *key[2] = {a, b};
    struct diff_pair *p = map_get(&d->pairs, slice_of(key, sizeof key));
    if (p)
        return p;
    if (!diff_spend(d, JSON_COMPAT_PAIR_WORK))
        return NULL;
    p = arena_alloc(d->arena, sizeof *p);
    if (!p || map_put(&d->pairs, slice_of(key, sizeof key), p, NULL) != ERR_OK) {
        diff_fail(d, ERR_NO_MEMORY, "out of memory comparing schemas");
        return NULL;
    }
    return p;
}

static void put_off(const struct diff_at *at, struct diff_pair *p, struct shape *a, struct shape *b)
{
    if (p->put_off)
        return;
    p->put_off = true;
    p->older = a;
    p->newer = b;
    p->older_shapes = at->older;
    p->newer_shapes = at->newer;
    p->next = at->diff->put_off;
    at->diff->put_off = p;
}

static void compare_now(const struct diff_at *at, struct diff_pair *p, struct shape *a, struct shape *b)
{
    struct diff_at inner = {.diff = at->diff, .out = &p->found, .older = at->older, .newer = at->newer};
    p->state = PAIR_OPEN;
    at->diff->depth++;
    compare_shapes(&inner, a, b);
    at->diff->depth--;
    p->state = PAIR_DONE;
    p->incompatible = !diff_list_is_compatible(at->diff, &p->found);
}

/* What the pair's differences are, as far as known now. */
static const struct diff_list *compare_pair(const struct diff_at *at, struct shape *a, struct shape *b)
{
    static const struct diff_list none;
    struct diff *d = at->diff;
    struct diff_pair *p = diff_spend(d, 1) ? pair_of(d, a, b) : NULL;
    if (!p)
        return &none;
    if (p->state == PAIR_NEW && d->depth < JSON_COMPAT_DEPTH_MAX)
        compare_now(at, p, a, b);
    if (p->state == PAIR_DONE)
        return &p->found;
    if (p->state == PAIR_NEW)
        put_off(at, p, a, b);
    d->optimistic = true;
    return p->was_incompatible ? &p->before : &none;
}

/* References are followed to what they name; a chain of nothing but references means anything goes. */
static struct shape *follow(const struct diff_at *at, struct shapes *s, struct shape *shape)
{
    if (shape && shape->kind == SHAPE_REFERENCE)
        shape = shape_of(s, shape->inner);
    if (!shape)
        diff_fail(at->diff, ERR_NO_MEMORY, "out of memory comparing schemas");
    return shape;
}

static void compare_both(const struct diff_at *at, struct shape *a, struct shape *b)
{
    a = follow(at, at->older, a);
    b = follow(at, at->newer, b);
    if (a && b)
        append_below(at, compare_pair(at, a, b));
}

void diff_nodes(const struct diff_at *at, const struct json_node *older, const struct json_node *newer)
{
    if (!older && !newer)
        return;
    if (!older)
        diff_add(at, JSON_DIFF_SCHEMA_ADDED);
    else if (!newer)
        diff_add(at, JSON_DIFF_SCHEMA_REMOVED);
    else
        compare_both(at, shape_unfollowed(at->older, older), shape_unfollowed(at->newer, newer));
}

bool diff_nodes_apart(const struct diff_at *at, const struct json_node *older, const struct json_node *newer,
                      struct diff_list *out)
{
    struct diff_at apart = *at;
    apart.out = out;
    diff_nodes(&apart, older, newer);
    return at->diff->error == ERR_OK && diff_list_is_compatible(at->diff, out);
}

bool diff_shapes_apart(const struct diff_at *at, struct shape *older, struct shape *newer, struct diff_list *out)
{
    struct diff_at apart = *at;
    apart.out = out;
    compare_both(&apart, older, newer);
    return at->diff->error == ERR_OK && diff_list_is_compatible(at->diff, out);
}

/* Ready the pairs for another pass; true when the last one found pairs incompatible that were not known to be. */
static bool next_pass(struct diff *d)
{
    bool news = false;
    for (struct map_entry *e = map_first(&d->pairs); e; e = map_next(&d->pairs, e)) {
        struct diff_pair *p = e->value;
        news |= p->incompatible && !p->was_incompatible;
        if (p->incompatible) {
            p->was_incompatible = true;
            p->before = p->found;
        }
        p->found = (struct diff_list){0};
        p->incompatible = p->put_off = false;
        p->state = PAIR_NEW;
    }
    return news;
}

static void settle_put_off(struct diff *d)
{
    while (d->put_off && d->error == ERR_OK) {
        struct diff_pair *p = d->put_off;
        struct diff_at at = {.diff = d, .older = p->older_shapes, .newer = p->newer_shapes};
        d->put_off = p->next;
        if (p->state == PAIR_NEW)
            compare_now(&at, p, p->older, p->newer);
    }
}

static void run(struct diff *d, struct diff_list *out, const struct json_schema *older, const struct json_schema *newer)
{
    for (int pass = 0; d->error == ERR_OK; pass++) {
        struct diff_at at = {.diff = d, .out = out, .older = &d->shapes[0], .newer = &d->shapes[1]};
        *out = (struct diff_list){0};
        d->optimistic = false;
        diff_nodes(&at, older->root, newer->root);
        settle_put_off(d);
        if (!d->optimistic || !next_pass(d))
            return;
        if (pass == JSON_COMPAT_PASSES_MAX)
            diff_fail(d, ERR_LIMIT_EXCEEDED, "the recursion of the two schemas is too entangled to compare");
    }
}

enum err json_compat_compare(struct json_compat *out, const struct json_schema *older, const struct json_schema *newer,
                             enum json_compat_policy policy, struct reason *why)
{
    struct diff d = {.policy = policy, .work = JSON_COMPAT_WORK_MAX, .arena = &out->arena, .why = why};
    struct diff_list list = {0};
    *out = (struct json_compat){0};
    arena_init(&out->arena, JSON_COMPAT_MEMORY_MAX);
    map_init(&d.pairs);
    if (!shapes_init(&d.shapes[0], older, d.arena) || !shapes_init(&d.shapes[1], newer, d.arena))
        diff_fail(&d, ERR_NO_MEMORY, "out of memory comparing schemas");
    run(&d, &list, older, newer);
    /* from relative to whole paths */
    for (size_t i = 0; i < list.n && d.error == ERR_OK; i++) {
        struct diff_path root = {.segment = slice_str("#")};
        list.v[i].path = list.v[i].path.n ? join(&d, &root, list.v[i].path) : slice_str("#/");
    }
    map_free(&d.pairs, NULL);
    json_regex_scratch_free(&d.regex);
    if (d.error != ERR_OK) {
        json_compat_free(out);
        return d.error;
    }
    out->items = list.v;
    out->n = list.n;
    out->work = JSON_COMPAT_WORK_MAX - d.work;
    out->compatible = diff_list_is_compatible(&d, &list);
    return ERR_OK;
}

void json_compat_free(struct json_compat *c)
{
    arena_free(&c->arena);
    *c = (struct json_compat){0};
}
